/* SPDX-License-Identifier: MIT */
/*
 * probe: mode_gcr_switch
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI
 * timeout: 60
 *
 * The include mask belongs to the thread: IRG and ADDG use the mask of the running thread,
 * and only that, after every switch of threads, every kernel entry and exit and every
 * migration to another CPU. arch/arm64/kernel/process.c __switch_to(); mte.c
 * mte_thread_switch(), mte_update_gcr_excl(); entry.S mte_set_user_gcr.
 */
#include <sys/time.h>

#include "child.h"
#include "switching.h"

/* Masks that differ from each other, and from the complements of their neighbours. */
static const unsigned int masks[] = { 0x0002, 0xfff0, 0x0000, 0x8001, 0xffff };

static void setup(int who)
{
	must_set(TCF_NONE, masks[who]);
}

static void check(int who, const char *when)
{
	include_check(masks[who], when);
}

static const struct switching five = { 5, setup, check };
static const struct switching two = { 2, setup, check };

static void threads_that_wait_for_each_other(void)
{
	mte_need();
	run_switching(&five, switch_by_barrier);
}

static void threads_that_are_preempted(void)
{
	mte_need();
	run_switching(&two, switch_by_preemption);
}

static void threads_that_migrate(void)
{
	mte_need();
	need_two_cpus();
	run_switching(&five, switch_by_migration);
}

static void through_idle(void)
{
	mte_need();
	need_two_cpus();
	run_switching(&two, switch_through_idle);
}

static volatile unsigned int mask_in_handler;

static void handler(int sig)
{
	(void)sig;
	mask_in_handler = gcr_include();
}

/* Each kind of kernel entry and exit, with no other thread on the CPU. */
static void kernel_entries(void)
{
	struct itimerval timer = { .it_value = { .tv_usec = 2000 } };
	char *p = mte_map(16 * PAGE), *bad;
	pid_t child;
	int i;

	mte_need();
	pin_cpu(1);
	catch_signal(SIGSEGV, 0);
	must_set(TCF_SYNC, 0x0a50);
	include_check(0x0a50, "after prctl");
	syscall(SYS_getppid);
	include_check(0x0a50, "after a system call");
	syscall(100000);
	include_check(0x0a50, "after a system call that does not exist");
	for (i = 0; i < 16; i++) {
		p[i * PAGE] = 1;
		include_check(0x0a50, "after a page fault");
	}
	bad = with_tag(p, 9);
	store_byte(bad);
	include_check(0x0a50, "after a tag check fault");
	MUST(tag_faults.sync == 1, "one tag check fault, not %d", tag_faults.sync);

	signal(SIGUSR1, handler);
	raise(SIGUSR1);
	CHECK_EQ(mask_in_handler, 0x0a50, "in a signal handler");
	include_check(0x0a50, "after a signal handler");

	mask_in_handler = 0;
	signal(SIGALRM, handler);
	setitimer(ITIMER_REAL, &timer, NULL);
	for (i = 0; !mask_in_handler && i < 200000000; i++)
		;
	CHECK_EQ(mask_in_handler, 0x0a50, "in the handler of a timer's signal");
	include_check(0x0a50, "after a timer's signal");

	child = child_fork();
	if (!child) {
		include_check(0x0a50, "in the child of fork");
		_exit(0);
	}
	include_check(0x0a50, "after fork");
	wait_child(child);
	include_check(0x0a50, "after waiting for the child");
}

/* Switches between processes, with different masks and address spaces. */
static void processes(void)
{
	int to[2], back[2], i;
	pid_t child;
	char c = 0;

	mte_need();
	pin_cpu(0);
	MUST(pipe(to) == 0 && pipe(back) == 0, "pipe");
	must_set(TCF_NONE, 0x0300);
	child = child_fork();
	if (!child) {
		close(to[1]);
		must_set(TCF_SYNC, 0x00c0);
		while (read(to[0], &c, 1) == 1) {
			include_check(0x00c0, "child, switched to");
			if (write(back[1], &c, 1) != 1)
				break;
		}
		_exit(0);
	}
	for (i = 0; i < 30; i++) {
		MUST(write(to[1], &c, 1) == 1 && read(back[0], &c, 1) == 1, "round %d", i);
		include_check(0x0300, "parent, switched back");
	}
	close(to[1]);
	wait_child(child);
}

PROBE(CASE(threads_that_wait_for_each_other), CASE_SECONDS(threads_that_are_preempted, 30),
      CASE(threads_that_migrate), CASE(through_idle), CASE(kernel_entries), CASE(processes));
