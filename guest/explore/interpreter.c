// SPDX-License-Identifier: MIT
/*
 * Runs the sequences of `mte-harness explore`, each in processes of its own, and prints a KTAP
 * line for each: `ok 7 s7`, or `not ok 7 s7` after a line that says which step deviated.
 *
 * usage: interpreter FILE DEVICE
 *
 * FILE is described in interpreter/steps.h. DEVICE is the swap of the run: zram, disk or none.
 */
#include <linux/futex.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "interpreter/steps.h"
#include "procfs.h"
#include "swap.h"

struct control *control;
const struct step *steps;

static const char *swap_device;

void deviate(uint32_t step, const char *fmt, ...)
{
	int expected = 0;
	va_list ap;

	if (__atomic_compare_exchange_n(&control->deviation.there, &expected, 1, false,
					__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		control->deviation.step = step;
		va_start(ap, fmt);
		vsnprintf(control->deviation.text, sizeof(control->deviation.text), fmt, ap);
		va_end(ap);
	}
	__atomic_store_n(&control->turn, control->end, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, &control->turn, FUTEX_WAKE, ACTORS, NULL, NULL, 0);
}

/* A page for each copy that up to eight processes can have of four regions, and some more. */
#define HUGE_POOL "40"

static void pool_set(const char *pages)
{
	try_write_file("/proc/sys/vm/nr_hugepages", pages);
}

static void swap_on(void)
{
	if (!strcmp(swap_device, "zram"))
		swap_zram();
	else if (!strcmp(swap_device, "disk"))
		swap_disk();
	else
		swap_none();
}

/* Settings of the guest that operations change. A kernel without one of the files has none. */
static void settings_reset(void)
{
	try_write_file("/sys/kernel/mm/ksm/run", "2"); /* and unmerge all */
	try_write_file("/sys/kernel/mm/ksm/run", "0");
	try_write_file("/sys/kernel/mm/ksm/sleep_millisecs", "0");
	try_write_file("/sys/kernel/mm/ksm/pages_to_scan", "10000");
	try_write_file("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	try_write_file("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "advise");
	try_write_file("/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled", "madvise");
	try_write_file("/sys/devices/system/cpu/cpu1/online", "1");
}

/* Waits for the actors, all children of this process; false if they did not end in time. */
static bool actors_end(unsigned int seconds)
{
	struct timespec left = { .tv_sec = seconds };
	bool in_time = true;
	sigset_t child;
	int status;
	pid_t pid;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		pid = waitpid(-1, &status, WNOHANG);
		if (pid < 0)
			return in_time;
		if (pid > 0) {
			if (WIFSIGNALED(status) && in_time)
				deviate(control->turn, "died of signal %d", WTERMSIG(status));
			continue;
		}
		if (sigtimedwait(&child, NULL, &left) < 0 && errno == EAGAIN) {
			if (!in_time) /* SIGKILL does not end it */
				return false;
			in_time = false;
			deviate(control->turn, "did not end in %u s", seconds);
			for (int i = 0; i < ACTORS; i++)
				if (control->pids[i] > 0)
					kill(control->pids[i], SIGKILL);
		}
	}
}

static bool sequence_run(const struct sequence *sequence, const struct step *all, int slow)
{
	pid_t pid;

	memset(control, 0, sizeof(*control));
	control->end = sequence->steps;
	steps = all + sequence->first;
	if (sequence->steps) {
		pid = fork();
		MUST(pid >= 0, "fork");
		if (!pid) {
			control->pids[0] = getpid();
			actor_run(0);
		}
		actors_end(sequence->seconds * slow);
	}
	if (sequence->changes & CHANGES_SWAP)
		swap_on();
	if (sequence->changes & CHANGES_SETTINGS)
		settings_reset();
	return !control->deviation.there;
}

static const struct script *script_map(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat about;
	const struct script *script;

	MUST(fd >= 0 && fstat(fd, &about) == 0, "open %s", path);
	script = mmap((void *)SCRIPT, about.st_size, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE,
		      fd, 0);
	MUST(script == (void *)SCRIPT, "map %s", path);
	MUST(script->magic == SCRIPT_MAGIC && script->bytes == (uint64_t)about.st_size,
	     "%s is no script of this interpreter", path);
	close(fd);
	return script;
}

int main(int argc, char **argv)
{
	const char *slow = getenv("KTAP_SLOW"); /* set where the kernel is several times slower */
	const struct sequence *table;
	const struct script *script;
	uint64_t i, failed = 0;
	sigset_t child;

	if (argc != 3) {
		fprintf(stderr, "usage: %s FILE zram|disk|none\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	swap_device = argv[2];
	script = script_map(argv[1]);
	table = (const void *)((const char *)script + script->sequence_table);
	control = mmap(NULL, sizeof(*control), PROT_RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(control != MAP_FAILED, "mmap");
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	swap_on();
	settings_reset();
	pool_set(HUGE_POOL);
	printf("KTAP version 1\n1..%lu\n", script->sequences);
	for (i = 0; i < script->sequences; i++) {
		const struct deviation *deviation = &control->deviation;

		if (sequence_run(&table[i], (const void *)((const char *)script + script->steps),
				 slow ? atoi(slow) : 1)) {
			printf("ok %lu s%lu\n", i + 1, i + 1);
			continue;
		}
		failed++;
		printf("# step %u: %s\nnot ok %lu s%lu\n", deviation->step, deviation->text, i + 1,
		       i + 1);
	}
	pool_set("0");
	return failed ? 1 : 0;
}
