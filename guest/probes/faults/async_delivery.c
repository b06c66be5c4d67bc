/* SPDX-License-Identifier: MIT */
/*
 * probe: async_delivery
 * needs: CONFIG_ARM64_MTE
 * timeout: 60
 *
 * An asynchronous tag fault is reported once, and not later than the next kernel entry,
 * whichever it is: system call, page fault, breakpoint, interrupt. Nothing stays pending
 * afterwards, and the kernel's own accesses cause no signal. arch/arm64/kernel/entry.S
 * check_mte_async_tcf and clear_mte_async_tcf; entry-common.c do_notify_resume().
 */
#include <sched.h>
#include <sys/uio.h>

#include "child.h"
#include "fault.h"

static unsigned char *page; /* tagged GOOD */

static void check_async(const char *what)
{
	CHECK_EQ(fault.count, 1, "%s: signals", what);
	CHECK_EQ(fault.signo, SIGSEGV, "%s: si_signo", what);
	CHECK_EQ(fault.code, SEGV_MTEAERR, "%s: si_code", what);
	CHECK_EQ(fault.err, 0, "%s: si_errno", what);
	CHECK_EQ(fault.addr, 0, "%s: si_addr", what);
	CHECK_EQ(fault.tco, 0, "%s: TCO in the handler", what);
}

static void before_system_call_returns(void)
{
	int i;

	page = fault_begin(TCF_ASYNC);
	for (i = 0; i < 20; i++) {
		fault_reset();
		CHECK_EQ(store_enter_read(with_tag(page + i * GRANULE, BAD), &fault.count), 1,
			 "signals when the system call after the bad store has returned");
		check_async("system call");
	}
}

/* The kernel entry is a page fault, on new memory without PROT_MTE. */
static void before_page_fault_returns(void)
{
	char *fresh =
		mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	MUST(fresh != MAP_FAILED, "mmap");
	madvise(fresh, 8 * PAGE, MADV_NOHUGEPAGE);
	page = fault_begin(TCF_ASYNC);
	for (i = 0; i < 8; i++) {
		int seen;

		fault_reset();
		asm volatile("strb wzr, [%1]\n strb wzr, [%2]\n ldr %w0, [%3]"
			     : "=&r"(seen)
			     : "r"(with_tag(page, BAD)), "r"(fresh + i * PAGE), "r"(&fault.count)
			     : "memory");
		CHECK_EQ(seen, 1, "signals when the page fault after the bad store has returned");
		check_async("page fault");
	}
}

/* The thread makes no kernel entry itself: the timer interrupt must report the fault. */
static void at_an_interrupt(void)
{
	struct timespec start, now;
	int i;

	page = fault_begin(TCF_ASYNC);
	for (i = 0; i < 3; i++) {
		fault_reset();
		clock_gettime(CLOCK_MONOTONIC, &start);
		store_byte(with_tag(page, BAD));
		do
			clock_gettime(CLOCK_MONOTONIC, &now); /* the vDSO: no system call */
		while (!fault.count && now.tv_sec - start.tv_sec < 8);
		check_async("interrupt, waited for 8 s");
	}
}

/* Many mismatches before one kernel entry are one signal; later entries report none. */
static void once(unsigned long tcf)
{
	int i;

	page = fault_begin(tcf);
	for (i = 0; i < 50; i++)
		store_byte(with_tag(page + i, BAD));
	kernel_entry();
	/* More than one signal is possible, as interrupts may come between the stores. */
	CHECK(fault.count >= 1 && fault.count <= 25, "50 bad stores: expected few signals, saw %d",
	      fault.count);
	fault_reset();
	store_byte(with_tag(page, BAD));
	for (i = 0; i < 200; i++)
		kernel_entry();
	sched_yield();
	usleep(20000);
	check_async("1 bad store, 200 system calls, a sleep");
	fault_reset();
	for (i = 0; i < 200; i++) {
		store_byte(page + i);
		kernel_entry();
	}
	CHECK_EQ(fault.count, 0, "signals of 200 good stores");
}

static void once_async(void)
{
	once(TCF_ASYNC);
}

/* With both modes requested the mode is asynchronous or asymmetric: stores behave alike. */
static void once_both(void)
{
	once(TCF_ASYNC | TCF_SYNC);
}

/* In asynchronous mode a mismatching load returns its value, and a signal follows. */
static void loads(void)
{
	register int value;

	page = fault_begin(TCF_ASYNC);
	page[5] = 0x5c;
	asm volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(with_tag(page + 5, BAD)) : "memory");
	kernel_entry();
	CHECK_EQ(value, 0x5c, "what the load gave");
	check_async("load");
}

/* A fault inside the handler is a fault of its own. */
static volatile int in_handler;

static void faulting_handler(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fault.count++;
	fault.code = info->si_code;
	if (!in_handler) {
		in_handler = 1;
		store_byte(with_tag(page, BAD));
		kernel_entry();
	}
}

static void in_its_own_handler(void)
{
	struct sigaction sa = { .sa_sigaction = faulting_handler, .sa_flags = SA_SIGINFO };

	page = fault_begin(TCF_ASYNC);
	MUST(sigaction(SIGSEGV, &sa, NULL) == 0, "sigaction");
	store_byte(with_tag(page, BAD));
	kernel_entry();
	/* SIGSEGV is blocked in its handler: the second comes when that returns. */
	CHECK_EQ(fault.count, 2, "signals");
	CHECK_EQ(fault.code, SEGV_MTEAERR, "si_code of the second");
}

/* The kernel's accesses to mismatching memory cause no signal. */
static void kernel_accesses_give_no_signal(unsigned long tcf)
{
	int fds[2], zero = open("/dev/zero", O_RDONLY), i;
	void *bad;

	page = fault_begin(tcf);
	bad = with_tag(page, BAD);
	MUST(pipe(fds) == 0 && zero >= 0, "pipe, /dev/zero");
	for (i = 0; i < 20; i++) {
		CHECK_EQ(SYS(write, fds[1], bad, 64), 64, "write() of a mismatching buffer");
		CHECK_EQ(SYS(read, fds[0], bad, 64), 64, "read() into a mismatching buffer");
		CHECK_EQ(SYS(read, zero, bad, 64), 64, "read() of /dev/zero into it");
		CHECK_EQ(SYS(clock_gettime, CLOCK_MONOTONIC, bad), 0, "clock_gettime() into it");
		kernel_entry();
	}
	usleep(10000);
	CHECK_EQ(fault.count, 0, "signals");
}

static void kernel_accesses_async(void)
{
	kernel_accesses_give_no_signal(TCF_ASYNC);
}

static void kernel_accesses_none(void)
{
	kernel_accesses_give_no_signal(TCF_NONE);
}

/* The system call after the fault changes the mode. */
static void store_then_mode_none(void)
{
	page = fault_begin(TCF_ASYNC);
	store_byte(with_tag(page, BAD));
	SYS(prctl, PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 0);
	check_async("bad store, then prctl(mode none)");
	fault_reset();
	store_byte(with_tag(page, BAD));
	kernel_entry();
	mte_mode(TCF_ASYNC);
	kernel_entry();
	CHECK_EQ(fault.count, 0, "signals of a bad store in mode none, then prctl(async)");
	mte_mode(TCF_SYNC);
	store_byte(with_tag(page, BAD));
	CHECK_EQ(fault.count, 1, "signals of a bad store right after prctl(sync)");
	CHECK_EQ(fault.code, SEGV_MTESERR, "its si_code");
}

/* Leaving at once does not hang, oops or report to the parent. */
static void store_then_exit(void)
{
	int i;

	page = fault_begin(TCF_ASYNC);
	for (i = 0; i < 10; i++) {
		pid_t pid = child_fork();

		if (pid == 0) {
			store_byte(with_tag(page, BAD));
			SYS(exit_group, 7);
		}
		wait_child_exit(pid, 7);
	}
	CHECK_EQ(fault.count, 0, "signals of the parent");
}

PROBE(CASE(before_system_call_returns), CASE(before_page_fault_returns),
      CASE_SECONDS(at_an_interrupt, 40), CASE(once_async), CASE(once_both), CASE(loads),
      CASE(in_its_own_handler), CASE(kernel_accesses_async), CASE(kernel_accesses_none),
      CASE(store_then_mode_none), CASE(store_then_exit));
