/* SPDX-License-Identifier: MIT */
#include "pin.h"

#include <sys/uio.h>

#include "ktap.h"
#include "mte.h"

void pin_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	MUST(sched_setaffinity(0, sizeof(set), &set) == 0, "run on CPU %d", cpu);
}

void need_two_cpus(void)
{
	MUST(sysconf(_SC_NPROCESSORS_ONLN) >= 2, "this case moves threads between 2 CPUs");
}

void pin_page(int pipe, void *page)
{
	struct iovec iov = { page, PAGE };

	MUST(vmsplice(pipe, &iov, 1, 0) == (ssize_t)PAGE, "vmsplice");
}
