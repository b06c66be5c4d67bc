/* SPDX-License-Identifier: MIT */
/*
 * probe: mode_tcf_switch
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI
 * timeout: 60
 *
 * The checking mode belongs to the thread. Threads in different modes make mismatching
 * accesses, and each gets exactly the faults of its own mode: none, a synchronous one for
 * each access, or an asynchronous one. That holds after every switch of threads and every
 * migration to another CPU. arch/arm64/kernel/process.c __switch_to(), update_sctlr_el1();
 * mte.c mte_thread_switch(), mte_update_sctlr_user(); entry.S check_mte_async_tcf,
 * clear_mte_async_tcf.
 */
#include "switching.h"

static const struct {
	unsigned long tcf;
	enum behaviour seen;
} modes[] = {
	{ TCF_SYNC, SEEN_SYNC },   { TCF_NONE, SEEN_NONE }, { TCF_ASYNC, SEEN_ASYNC },
	{ TCF_ASYMM, SEEN_ASYNC }, /* mte_tcf_preferred is async by default */
	{ TCF_NONE, SEEN_NONE },
};

static __thread void *granule;

static void setup(int who)
{
	granule = mode_granule();
	must_set(modes[who].tcf, INCLUDE_ALL);
}

static void check(int who, const char *when)
{
	CHECK_MODE(granule, modes[who].seen, "thread %d, %s", who, when);
	if (tag_faults.async)
		CHECK_EQ(tag_faults.async_tid, syscall(SYS_gettid), "thread that got SEGV_MTEAERR");
}

static const struct switching five = { 5, setup, check };
static const struct switching two = { 2, setup, check };

static void run(const struct switching *s, void (*how)(struct switch_thread *))
{
	mte_need();
	catch_signal(SIGSEGV, 0);
	run_switching(s, how);
}

static void threads_that_wait_for_each_other(void)
{
	run(&five, switch_by_barrier);
}

static void threads_that_are_preempted(void)
{
	run(&five, switch_by_preemption);
}

static void threads_that_migrate(void)
{
	need_two_cpus();
	run(&five, switch_by_migration);
}

static void through_idle(void)
{
	need_two_cpus();
	run(&two, switch_through_idle);
}

static int turn_fd[2][2];

static void pass_turn(int who)
{
	char c = 0;

	MUST(write(turn_fd[who][1], &c, 1) == 1, "pass the turn");
}

static void wait_turn(int who)
{
	char c;

	MUST(read(turn_fd[who][0], &c, 1) == 1, "wait for the turn");
}

/* prctl() of one thread does not change the other threads of the process. */
static void *other_thread(void *arg)
{
	void *p = mode_granule();
	(void)arg;

	must_set(TCF_ASYNC, 0x0f00);
	pass_turn(0);
	wait_turn(1);
	CHECK_EQ(get_ctrl(), ctrl_value(TCF_ASYNC, 0x0f00), "the other thread's own value");
	CHECK_MODE(p, SEEN_ASYNC, "the other thread's own mode");
	include_check(0x0f00, "the other thread's own mask");
	return NULL;
}

static void prctl_changes_one_thread(void)
{
	pthread_t thread;
	void *p;

	mte_need();
	catch_signal(SIGSEGV, 0);
	p = mode_granule();
	MUST(pipe(turn_fd[0]) == 0 && pipe(turn_fd[1]) == 0, "pipe");
	must_set(TCF_SYNC, 0x00f0);
	MUST(pthread_create(&thread, NULL, other_thread, NULL) == 0, "pthread_create");
	wait_turn(0);
	CHECK_EQ(get_ctrl(), ctrl_value(TCF_SYNC, 0x00f0), "this thread's value");
	CHECK_MODE(p, SEEN_SYNC, "this thread's mode");
	include_check(0x00f0, "this thread's mask");
	MUST(set_ctrl(0) == 0, "PR_SET 0");
	pass_turn(1);
	pthread_join(thread, NULL);
	CHECK_EQ(get_ctrl(), 0, "this thread's value, set to 0");
	CHECK_MODE(p, SEEN_NONE, "this thread's mode, set to none");
}

PROBE(CASE(threads_that_wait_for_each_other), CASE_SECONDS(threads_that_are_preempted, 30),
      CASE(threads_that_migrate), CASE(through_idle), CASE(prctl_changes_one_thread));
