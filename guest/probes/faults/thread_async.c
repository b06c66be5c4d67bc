/* SPDX-License-Identifier: MIT */
/*
 * probe: thread_async
 * needs: CONFIG_ARM64_MTE
 * timeout: 60
 *
 * An asynchronous tag check fault is reported to the thread that made it, and to no other
 * that runs on its CPU, on the way out of the next kernel entry: before a system call is
 * carried out, or after an interrupt, although it switched to other threads meanwhile.
 * arch/arm64/kernel/entry.S check_mte_async_tcf, clear_mte_async_tcf; syscall.c
 * el0_svc_common(); entry-common.c do_notify_resume(); asm/thread_info.h
 * TIF_MTE_ASYNC_FAULT.
 */
#include <sys/ioctl.h>

#include "switching.h"

/* --- before the system call ----------------------------------------------- */

static int pipe_fds[2];
static volatile int bytes_in_handler, handler_calls;
static volatile siginfo_t handler_info;

static void look_at_pipe(int sig, siginfo_t *info, void *context)
{
	int n = -1;

	(void)sig;
	(void)context;
	ioctl(pipe_fds[0], FIONREAD, &n);
	bytes_in_handler = n;
	handler_calls++;
	memcpy((void *)&handler_info, info, sizeof(*info));
}

static void reported_before_the_system_call(void)
{
	struct sigaction sa = { .sa_sigaction = look_at_pipe, .sa_flags = SA_SIGINFO };
	char byte = 7, got[20];
	void *bad;
	int i;

	mte_need();
	MUST(pipe(pipe_fds) == 0, "pipe");
	MUST(sigaction(SIGSEGV, &sa, NULL) == 0, "sigaction");
	bad = with_tag(mode_granule(), 4);
	must_set(TCF_ASYNC, INCLUDE_ALL);
	for (i = 1; i <= 10; i++) {
		store_byte(bad);
		CHECK_EQ(syscall(SYS_write, pipe_fds[1], &byte, 1), 1, "write after a fault");
		CHECK_EQ(handler_calls, i, "signals after %d faults", i);
		CHECK_EQ(bytes_in_handler, i - 1, "bytes written when the handler ran");
		CHECK_EQ(handler_info.si_code, SEGV_MTEAERR, "si_code");
		CHECK_EQ((uintptr_t)handler_info.si_addr, 0, "si_addr");
	}
	CHECK_EQ(read(pipe_fds[0], got, sizeof(got)), 10, "bytes in the pipe after 10 writes");
}

/* Several faults before one kernel entry are one signal. */
static void faults_between_entries_are_one_signal(void)
{
	void *bad;
	int i, before;

	mte_need();
	catch_signal(SIGSEGV, 0);
	bad = with_tag(mode_granule(), 4);
	must_set(TCF_ASYNC, INCLUDE_ALL);
	for (i = 0; i < 10; i++) {
		before = tag_faults.async;
		store_byte(bad);
		load_byte(bad);
		store_byte(bad);
		kernel_entry();
		/* There may be more if an interrupt came between the three. */
		CHECK(tag_faults.async - before >= 1 && tag_faults.async - before <= 3,
		      "3 faults: expected 1 signal, saw %d", tag_faults.async - before);
		before = tag_faults.async;
		kernel_entry();
		kernel_entry();
		CHECK_EQ(tag_faults.async - before, 0, "signals on later kernel entries");
	}
}

/* --- preempted with the fault pending ------------------------------------- */

static volatile bool stop;
static pthread_barrier_t ready;
static volatile pid_t guilty_tid;

struct watched {
	pthread_t id;
	int cpu; /* -1: the main thread migrates it between CPUs */
	unsigned long tcf;
	bool faults;
	int async, sync;
	long forced;
};

/* No system call between the stores: only interrupts enter the kernel. */
static void *watched_thread(void *arg)
{
	struct watched *w = arg;
	char *granule = mode_granule(), *p = with_tag(granule, w->faults ? 4 : 3);
	long sleeps;

	if (w->cpu >= 0)
		pin_cpu(w->cpu);
	if (w->faults)
		guilty_tid = syscall(SYS_gettid);
	must_set(w->tcf, INCLUDE_ALL);
	pthread_barrier_wait(&ready);
	while (!stop) {
		store_byte(p);
		load_byte(p);
	}
	thread_switches(&sleeps, &w->forced);
	w->async = tag_faults.async;
	w->sync = tag_faults.sync;
	if (tag_faults.async)
		CHECK_EQ(tag_faults.async_tid, guilty_tid, "thread that got SEGV_MTEAERR");
	return NULL;
}

static void watch(struct watched *w, int n, int rounds)
{
	struct timespec nap = { .tv_nsec = 8000000 };
	int i;

	mte_need();
	catch_signal(SIGSEGV, 0);
	stop = false;
	MUST(pthread_barrier_init(&ready, NULL, n + 1) == 0, "barrier");
	for (i = 0; i < n; i++)
		MUST(pthread_create(&w[i].id, NULL, watched_thread, &w[i]) == 0, "pthread_create");
	pthread_barrier_wait(&ready);
	for (i = 0; i < rounds; i++) {
		cpu_set_t set;

		nanosleep(&nap, NULL);
		CPU_ZERO(&set);
		CPU_SET(i & 1, &set);
		if (w[0].cpu < 0)
			MUST(sched_setaffinity(guilty_tid, sizeof(set), &set) == 0,
			     "move the thread");
	}
	stop = true;
	for (i = 0; i < n; i++)
		pthread_join(w[i].id, NULL);
	for (i = 1; i < n; i++) {
		CHECK_EQ(w[i].async, 0, "asynchronous faults of innocent thread %d, mode %#lx", i,
			 w[i].tcf);
		CHECK_EQ(w[i].sync, 0, "synchronous faults of innocent thread %d, mode %#lx", i,
			 w[i].tcf);
	}
	NEED(w[0].forced >= 1, "the faulting thread was never preempted");
	CHECK(w[0].async >= 1,
	      "expected asynchronous faults in the thread that made them, saw none");
}

static void preempted_with_a_fault_pending(void)
{
	struct watched w[] = {
		{ .cpu = 0, .tcf = TCF_ASYNC, .faults = true },
		{ .cpu = 0, .tcf = TCF_ASYNC },
		{ .cpu = 0, .tcf = TCF_SYNC },
	};

	watch(w, 3, 20);
}

static void moved_with_a_fault_pending(void)
{
	struct watched w[] = {
		{ .cpu = -1, .tcf = TCF_ASYNC, .faults = true },
		{ .cpu = 0, .tcf = TCF_ASYNC },
		{ .cpu = 1, .tcf = TCF_ASYNC },
	};

	need_two_cpus();
	watch(w, 3, 20);
}

/* A fault is reported before prctl() switches checking off, and not later. */
static void fault_before_checking_is_turned_off(void)
{
	void *bad;
	int i;

	mte_need();
	catch_signal(SIGSEGV, 0);
	bad = with_tag(mode_granule(), 4);
	for (i = 1; i <= 10; i++) {
		must_set(TCF_ASYNC, INCLUDE_ALL);
		store_byte(bad);
		must_set(TCF_NONE, INCLUDE_ALL);
		CHECK_EQ(tag_faults.async, i,
			 "signals when checking was turned off after %d faults", i);
		store_byte(bad);
		kernel_entry();
		must_set(TCF_ASYNC, INCLUDE_ALL);
		kernel_entry();
		CHECK_EQ(tag_faults.async, i, "signals when checking was turned on again");
	}
}

PROBE(CASE(reported_before_the_system_call), CASE(faults_between_entries_are_one_signal),
      CASE(preempted_with_a_fault_pending), CASE(moved_with_a_fault_pending),
      CASE(fault_before_checking_is_turned_off));
