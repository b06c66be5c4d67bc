/* SPDX-License-Identifier: MIT */
/*
 * probe: fault_asymm
 * needs: CONFIG_ARM64_MTE CONFIG_SYSFS
 * timeout: 60
 *
 * In asymmetric mode mismatching loads fault synchronously and stores asynchronously,
 * those of the thread and those of the kernel for it. So a system call that reads a
 * mismatching buffer fails, and one that writes to it succeeds without a signal: the
 * kernel clears what its own stores left in TFSRE0_EL1. arch/arm64/include/asm/mte.h
 * mte_disable_tco_entry(); arch/arm64/kernel/entry.S check_mte_async_tcf,
 * clear_mte_async_tcf; mte.c set_mte_ctrl().
 */
#include <pthread.h>

#include "fault.h"
#include "pin.h"

static unsigned char *page; /* tagged GOOD */

static void prefer_everywhere(const char *text)
{
	char path[80];
	int cpu, fd;

	for (cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/mte_tcf_preferred",
			 cpu);
		fd = open(path, O_WRONLY);
		MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text),
		     "write \"%s\" to %s", text, path);
		close(fd);
	}
}

static void restore(void)
{
	prefer_everywhere("async");
}

static void begin(void)
{
	mte_need();
	MUST(getauxval(AT_HWCAP2) & HWCAP2_MTE3, "hwcap mte3: no asymmetric mode on this machine");
	prefer_everywhere("asymm");
	page = good_pages(2);
	catch_signal(SIGSEGV, SA_EXPOSE_TAGBITS);
	mte_mode(TCF_ASYMM);
}

static void loads_are_sync(void)
{
	int i;

	begin();
	for (i = 0; i < 20; i++) {
		void *bad = with_tag(page + i, BAD);

		fault_reset();
		load_byte(bad);
		CHECK_EQ(fault.count, 1, "signals of a load");
		CHECK_EQ(fault.code, SEGV_MTESERR, "si_code of a load");
		CHECK_EQ(fault.addr, (uintptr_t)bad, "si_addr of a load");
		CHECK_EQ(fault.esr & (ESR_DFSC | ESR_WNR), ESR_DFSC_TAG, "ESR of a load");
		kernel_entry();
		CHECK_EQ(fault.count, 1, "signals after the next system call");
	}
	restore();
}

static void stores_are_async(void)
{
	int i;

	begin();
	for (i = 0; i < 20; i++) {
		page[i] = 0x55;
		fault_reset();
		CHECK_EQ(store_enter_read(with_tag(page + i, BAD), &fault.count), 1,
			 "signals when the system call after a bad store has returned");
		CHECK_EQ(fault.code, SEGV_MTEAERR, "si_code of a store");
		CHECK_EQ(fault.addr, 0, "si_addr of a store");
		CHECK_EQ(page[i], 0, "the byte that was stored");
		kernel_entry();
		kernel_entry();
		CHECK_EQ(fault.count, 1, "signals after two more system calls");
	}
	restore();
}

/* System calls that read the buffer: the kernel's loads are checked synchronously. */
static void kernel_reads_are_checked(void)
{
	int fds[2], on;

	begin();
	MUST(pipe(fds) == 0, "pipe");
	for (on = 0; on < 2; on++) {
		long result;

		set_tco(on);
		result = SYS(write, fds[1], with_tag(page, BAD), 64);
		set_tco(0);
		CHECK_EQ(result, -EFAULT, "write() of a mismatching buffer, user TCO %d", on);
		set_tco(on);
		result = SYS(openat, AT_FDCWD, with_tag(page, BAD), O_RDONLY, 0);
		set_tco(0);
		CHECK_EQ(result, -EFAULT, "open() of a mismatching path, user TCO %d", on);
	}
	CHECK_EQ(SYS(write, fds[1], page, 64), 64, "write() of a matching buffer");
	CHECK_EQ(fault.count, 0, "signals");
	restore();
}

/* System calls that write to the buffer: the kernel's stores are not reported. */
static void kernel_writes_are_not(void)
{
	int fds[2], zero = open("/dev/zero", O_RDONLY), i;
	void *bad;

	begin();
	bad = with_tag(page, BAD);
	MUST(pipe(fds) == 0 && zero >= 0, "pipe, /dev/zero");
	for (i = 0; i < 20; i++) {
		fault_reset();
		memset(page, 0x55, 64);
		MUST(write(fds[1], "0123456789abcdef", 16) == 16, "write");
		CHECK_EQ(SYS(read, fds[0], bad, 16), 16, "read() into a mismatching buffer");
		CHECK(!memcmp(page, "0123456789abcdef", 16), "what read() gave");
		CHECK_EQ(SYS(read, zero, bad, 32), 32, "read() of /dev/zero into it");
		CHECK_EQ(page[31] | page[0], 0, "bytes of /dev/zero");
		CHECK_EQ(SYS(clock_gettime, CLOCK_MONOTONIC, bad), 0, "clock_gettime() into it");
		kernel_entry();
		CHECK_EQ(fault.count, 0, "signals");
	}
	restore();
}

/*
 * A thread wakes up in read() and the kernel stores to its buffer, right after a switch
 * from another thread in the same mode on this CPU: neither thread gets a signal.
 */
static int pipe_fds[2];
static volatile long reader_result;

static void *reader(void *arg)
{
	(void)arg;
	pin_cpu(0);
	reader_result = SYS(read, pipe_fds[0], with_tag(page + 512, BAD), 16);
	return NULL;
}

static void kernel_writes_beside_another_thread(void)
{
	int i;

	begin();
	pin_cpu(0);
	MUST(pipe(pipe_fds) == 0, "pipe");
	for (i = 0; i < 20; i++) {
		pthread_t thread;
		int j;

		MUST(pthread_create(&thread, NULL, reader, NULL) == 0, "pthread_create");
		for (j = 0; j < 5; j++)
			sched_yield();
		MUST(write(pipe_fds[1], "0123456789abcdef", 16) == 16, "write");
		for (j = 0; j < 5; j++)
			sched_yield();
		pthread_join(thread, NULL);
		CHECK_EQ(reader_result, 16, "read() into a mismatching buffer");
	}
	CHECK_EQ(fault.count, 0, "signals");
	restore();
}

PROBE(CASE(loads_are_sync), CASE(stores_are_async), CASE(kernel_reads_are_checked),
      CASE(kernel_writes_are_not), CASE(kernel_writes_beside_another_thread));
