/* SPDX-License-Identifier: MIT */
/*
 * probe: async_attribution
 * needs: CONFIG_ARM64_MTE
 * timeout: 60
 *
 * An asynchronous tag fault is reported to the thread that made it and to no other: not to
 * the thread that runs next on the CPU, not to a child of fork() or clone(), not to the
 * program after execve(). TFSRE0_EL1 belongs to the CPU, so the kernel moves its state to
 * the flags of the thread at each kernel entry, and reports the fault before a system call
 * is carried out. arch/arm64/kernel/entry.S check_mte_async_tcf, clear_mte_async_tcf;
 * syscall.c el0_svc_common(); process.c arch_dup_task_struct(), __switch_to(); mte.c
 * mte_thread_init_user(), mte_thread_switch().
 */
#include <linux/sched.h>
#include <pthread.h>

#include "child.h"
#include "fault.h"
#include "pin.h"

enum { ROUNDS = 300 };

/* Shared by all processes of a case. */
static struct shared {
	volatile int turn, stop;
	volatile int signals[2]; /* caught by each side */
	volatile int stores[2]; /* mismatching ones made by each side */
	volatile int wrong; /* signals with an unexpected si_code or si_addr */
} *shared;

static unsigned char *page;
static __thread int side;

static void count_handler(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	shared->signals[side]++;
	if (info->si_code != SEGV_MTEAERR || info->si_addr)
		shared->wrong++;
}

static void begin(void)
{
	struct sigaction sa = { .sa_sigaction = count_handler, .sa_flags = SA_SIGINFO };
	size_t i;

	mte_need();
	shared = map_file(-1, PAGE, PROT_RW, MAP_SHARED | MAP_ANONYMOUS);
	/* Shared memory: copy-on-write would give one side another page. */
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_MTE, MAP_SHARED | MAP_ANONYMOUS, -1,
		    0);
	MUST(page != MAP_FAILED, "mmap of a shared tagged page");
	for (i = 0; i < PAGE; i += GRANULE)
		stg(page + i, GOOD);
	page = with_tag(page, GOOD);
	MUST(sigaction(SIGSEGV, &sa, NULL) == 0, "sigaction");
	mte_mode(TCF_ASYNC);
	pin_cpu(0); /* and its children, so that the scheduler switches between the two */
}

/* Makes `rounds` bad stores, each ended by giving up the CPU. */
static void fault_and_yield(int rounds)
{
	int i;

	for (i = 0; i < rounds; i++) {
		store_byte(with_tag(page, BAD));
		sched_yield();
		shared->stores[side]++;
		if (!CHECK_EQ(
			    shared->signals[side], shared->stores[side],
			    "signals of the faulting side after a bad store and a context switch"))
			return;
	}
}

static void good_and_yield(void)
{
	while (!shared->stop) {
		store_byte(page);
		sched_yield();
	}
	kernel_entry();
}

static void check_two_sides(void)
{
	CHECK_EQ(shared->signals[0], ROUNDS, "signals of the faulting side");
	CHECK_EQ(shared->signals[1], 0, "signals of the side that made no bad store");
	CHECK_EQ(shared->wrong, 0, "signals with another si_code or si_addr");
}

static void processes_on_one_cpu(unsigned long neighbour)
{
	pid_t pid;

	begin();
	pid = child_fork();
	if (pid == 0) {
		side = 1;
		mte_mode(neighbour);
		good_and_yield();
		_exit(0);
	}
	fault_and_yield(ROUNDS);
	shared->stop = 1;
	wait_child(pid);
	check_two_sides();
}

static void next_to_an_async_process(void)
{
	processes_on_one_cpu(TCF_ASYNC);
}

static void next_to_a_sync_process(void)
{
	processes_on_one_cpu(TCF_SYNC);
}

static void next_to_an_unchecked_process(void)
{
	processes_on_one_cpu(TCF_NONE);
}

static void *good_thread(void *arg)
{
	side = 1;
	mte_mode((unsigned long)(uintptr_t)arg);
	good_and_yield();
	return NULL;
}

static void next_to_an_async_thread(void)
{
	pthread_t thread;

	begin();
	MUST(pthread_create(&thread, NULL, good_thread, (void *)TCF_ASYNC) == 0, "pthread_create");
	fault_and_yield(ROUNDS);
	shared->stop = 1;
	pthread_join(thread, NULL);
	check_two_sides();
}

/* The other thread makes mismatching stores in mode none, which are not checked. */
static void *unchecked_thread(void *arg)
{
	(void)arg;
	side = 1;
	mte_mode(TCF_NONE);
	while (!shared->stop) {
		store_byte(with_tag(page, BAD));
		sched_yield();
	}
	return NULL;
}

static void bad_stores_of_an_unchecked_thread(void)
{
	pthread_t thread;
	int i;

	begin();
	MUST(pthread_create(&thread, NULL, unchecked_thread, NULL) == 0, "pthread_create");
	for (i = 0; i < ROUNDS; i++) {
		store_byte(page);
		sched_yield();
	}
	shared->stop = 1;
	pthread_join(thread, NULL);
	CHECK_EQ(shared->signals[0], 0, "signals of the async thread that made only good stores");
	CHECK_EQ(shared->signals[1], 0, "signals of the unchecked thread");
}

/* --- threads on all CPUs, each of which counts its own faults ------------- */

static void *own_faults_thread(void *arg)
{
	int me = (int)(uintptr_t)arg, i, caught;

	side = me & 1;
	pin_cpu(me % sysconf(_SC_NPROCESSORS_ONLN));
	for (i = 0; i < 150; i++) {
		/* The handler runs on the faulting thread, so this count is that of this thread. */
		caught = tag_faults.async;
		if (me < 2)
			store_byte(with_tag(page + me * 64, BAD));
		else
			store_byte(page + me * 64);
		sched_yield();
		if (!CHECK_EQ(tag_faults.async - caught, me < 2, "thread %d: signals of round %d",
			      me, i))
			break;
	}
	return NULL;
}

static void four_threads_at_once(void)
{
	pthread_t threads[4];
	int i;

	begin();
	catch_signal(SIGSEGV, 0);
	for (i = 0; i < 4; i++)
		MUST(pthread_create(&threads[i], NULL, own_faults_thread, (void *)(uintptr_t)i) ==
			     0,
		     "pthread_create");
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

/* --- children and new programs -------------------------------------------- */

/*
 * clone() is the kernel entry that finds the pending fault, which is the parent's:
 * el0_svc_common() reports it before there is a child.
 */
static void check_child(const char *what, unsigned long flags)
{
	int i;

	for (i = 0; i < 20; i++) {
		pid_t pid;
		register long x8 asm("x8") = SYS_clone;
		register long x0 asm("x0") = flags | SIGCHLD;
		register long x1 asm("x1") = 0;
		register long x2 asm("x2") = 0;
		register long x3 asm("x3") = 0;
		register long x4 asm("x4") = 0;

		shared->signals[0] = shared->signals[1] = 0;
		side = 0;
		asm volatile("strb wzr, [%6]\n svc #0"
			     : "+r"(x0)
			     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(with_tag(page, BAD))
			     : "memory");
		pid = x0;
		if (pid == 0) {
			/* A signal of the child would have come before clone() returned. */
			kernel_entry();
			SYS(exit_group, 0);
		}
		wait_child(pid);
		CHECK_EQ(shared->signals[0], 1, "%s: signals of parent and child", what);
	}
}

static void not_to_a_forked_child(void)
{
	begin();
	check_child("fork", 0);
}

static void not_to_a_vforked_child(void)
{
	begin();
	check_child("vfork", CLONE_VM | CLONE_VFORK);
}

/* A fault of a child in asynchronous mode is reported to the child, and not to the parent. */
static void from_a_forked_child(void)
{
	pid_t pid;

	begin();
	pid = child_fork();
	if (pid == 0) {
		side = 1;
		store_byte(with_tag(page, BAD));
		kernel_entry();
		_exit(0);
	}
	wait_child(pid);
	kernel_entry();
	CHECK_EQ(shared->signals[1], 1, "signals of the child");
	CHECK_EQ(shared->signals[0], 0, "signals of the parent");
}

__attribute__((constructor)) static void exec_child(int argc, char **argv)
{
	int i;

	if (argc != 2 || strcmp(argv[1], "--after-exec"))
		return;
	for (i = 0; i < 20; i++)
		kernel_entry();
	mte_set_mode(TCF_ASYNC, INCLUDE_ALL);
	for (i = 0; i < 20; i++)
		kernel_entry();
	_exit(42);
}

/* execve() is the kernel entry that finds the pending fault: the handler runs before it. */
static void not_to_the_next_program(void)
{
	static char name[] = "/proc/self/exe", option[] = "--after-exec";
	char *args[] = { name, option, NULL };
	char *no_environment[] = { NULL };
	int i;

	begin();
	for (i = 0; i < 5; i++) {
		pid_t pid = child_fork();

		if (pid == 0) {
			store_byte(with_tag(page, BAD));
			SYS(execve, name, args, no_environment);
			_exit(1);
		}
		wait_child_exit(pid, 42);
	}
}

PROBE(CASE(next_to_an_async_process), CASE(next_to_a_sync_process),
      CASE(next_to_an_unchecked_process), CASE(next_to_an_async_thread),
      CASE(bad_stores_of_an_unchecked_thread), CASE_SECONDS(four_threads_at_once, 30),
      CASE(not_to_a_forked_child), CASE(not_to_a_vforked_child), CASE(from_a_forked_child),
      CASE(not_to_the_next_program));
