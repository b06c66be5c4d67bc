/* SPDX-License-Identifier: MIT */
/*
 * probe: mode_inherit
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI
 * timeout: 30
 *
 * A new thread or process starts with the mode, the include mask and the tagged address
 * ABI of the thread that made it; later changes by one do not change the other. A pending
 * asynchronous fault of the parent is not reported to the child.
 * arch/arm64/kernel/process.c arch_dup_task_struct(), copy_thread(); mte.c set_mte_ctrl(),
 * mte_thread_switch().
 */
#include <pthread.h>

#include "child.h"
#include "modes.h"

static const struct state {
	unsigned long tcf, include;
	enum behaviour seen;
} states[] = {
	{ TCF_SYNC, 0x00f0, SEEN_SYNC },
	{ TCF_ASYNC, 0x0001, SEEN_ASYNC },
	{ TCF_NONE, 0xfff7, SEEN_NONE },
	{ TCF_ASYMM, 0, SEEN_ASYNC }, /* mte_tcf_preferred is async by default */
};

enum { STATES = ARRAY_SIZE(states) };

static void set_state(const struct state *s)
{
	must_set(s->tcf, s->include);
}

static void check_state(const struct state *s, void *granule, const char *who)
{
	CHECK_EQ(get_ctrl(), ctrl_value(s->tcf, s->include), "%s: PR_GET", who);
	CHECK_MODE(granule, s->seen, "%s", who);
	include_check(s->include, who);
}

/* Checks that the child has state `s`, and changes it to the next one. */
static void check_child(const struct state *s, void *granule, const char *who)
{
	const struct state *next = s + 1 < states + STATES ? s + 1 : states;

	check_state(s, granule, who);
	set_state(next);
	check_state(next, granule, who);
}

static void start(void)
{
	mte_need();
	catch_signal(SIGSEGV, 0);
}

static void fork_child(void)
{
	void *p = mode_granule();
	pid_t child;
	int i;

	start();
	for (i = 0; i < STATES; i++) {
		set_state(&states[i]);
		child = child_fork();
		if (!child) {
			check_child(&states[i], p, "child of fork");
			_exit(0);
		}
		wait_child(child);
		check_state(&states[i], p, "parent after fork");
	}
}

static const struct state *volatile vfork_state;
static void *volatile vfork_granule;

static void vfork_child(void)
{
	pid_t child;
	volatile int i;

	start();
	vfork_granule = mode_granule();
	for (i = 0; i < STATES; i++) {
		vfork_state = &states[i];
		set_state(vfork_state);
		child = vfork();
		if (!child) {
			check_child(vfork_state, vfork_granule, "child of vfork");
			_exit(0);
		}
		wait_child(child);
		check_state(vfork_state, vfork_granule, "parent after vfork");
	}
}

struct thread_job {
	const struct state *inherited;
	void *granule;
};

static void *thread_main(void *arg)
{
	struct thread_job *job = arg;

	check_child(job->inherited, job->granule, "new thread");
	return NULL;
}

static void run_thread(void *(*run)(void *), struct thread_job *job)
{
	pthread_t id;

	MUST(pthread_create(&id, NULL, run, job) == 0, "pthread_create");
	pthread_join(id, NULL);
}

static void new_thread(void)
{
	struct thread_job job = { .granule = mode_granule() };
	int i;

	start();
	for (i = 0; i < STATES; i++) {
		job.inherited = &states[i];
		set_state(&states[i]);
		run_thread(thread_main, &job);
		check_state(&states[i], job.granule, "creator of the thread");
	}
}

/* The state is inherited from the creating thread, not from the first of the process. */
static void *creating_thread(void *arg)
{
	struct thread_job *outer = arg, job = { &states[2], outer->granule };
	pid_t child;

	set_state(&states[2]);
	run_thread(thread_main, &job);
	check_state(&states[2], job.granule, "creator of the thread");
	child = child_fork();
	if (!child) {
		check_state(&states[2], job.granule, "child that a thread forked");
		_exit(0);
	}
	wait_child(child);
	return NULL;
}

static void the_creating_thread_counts(void)
{
	struct thread_job job = { .granule = mode_granule() };

	start();
	set_state(&states[0]);
	run_thread(creating_thread, &job);
	check_state(&states[0], job.granule, "first thread");
}

/* fork() without code of the C library in the child. */
static pid_t raw_fork(void)
{
	pid_t pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	MUST(pid >= 0, "clone");
	return pid;
}

/* The mismatching store is right before clone(): it is reported before there is a child. */
static void async_fault_stays_with_the_parent(void)
{
	void *bad = with_tag(mode_granule(), 4);
	int i, before;
	pid_t child;

	start();
	must_set(TCF_ASYNC, INCLUDE_ALL);
	for (i = 0; i < 20; i++) {
		before = tag_faults.async;
		store_byte(bad);
		child = raw_fork();
		if (!child) {
			kernel_entry();
			_exit(tag_faults.async_tid == syscall(SYS_gettid) ? 1 : 0);
		}
		wait_child(child);
		CHECK_EQ(tag_faults.async - before, 1, "asynchronous faults of the parent");
	}
}

static void tagged_addr_abi(void)
{
	char *p = with_tag(mode_granule(), 3);
	int fd = open("/dev/zero", O_RDONLY);
	pid_t child;
	int on;

	start();
	MUST(fd >= 0, "open /dev/zero");
	for (on = 0; on < 2; on++) {
		MUST(set_ctrl(on ? PR_TAGGED_ADDR_ENABLE : 0) == 0, "PR_SET %d", on);
		child = raw_fork();
		if (!child) {
			CHECK_EQ(read(fd, p, 16), on ? 16 : -1,
				 "read to a tagged pointer in the child, ABI %s",
				 on ? "on" : "off");
			MUST(set_ctrl(on ? 0 : PR_TAGGED_ADDR_ENABLE) == 0, "PR_SET %d", !on);
			_exit(0);
		}
		wait_child(child);
		CHECK_EQ(read(fd, p, 16), on ? 16 : -1,
			 "read to a tagged pointer in the parent, ABI %s", on ? "on" : "off");
	}
}

PROBE(CASE(fork_child), CASE(vfork_child), CASE(new_thread), CASE(the_creating_thread_counts),
      CASE(async_fault_stays_with_the_parent), CASE(tagged_addr_abi));
