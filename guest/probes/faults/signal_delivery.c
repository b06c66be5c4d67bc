/* SPDX-License-Identifier: MIT */
/*
 * probe: signal_delivery
 * needs: CONFIG_ARM64_MTE
 * timeout: 60
 *
 * How the signal of a tag fault is delivered. A synchronous one is forced: it kills a
 * process that blocks or ignores SIGSEGV. An asynchronous one is sent: if blocked it stays
 * pending, if ignored it is dropped. Both go to the faulting thread, on the alternate
 * stack if there is one. arch/arm64/kernel/traps.c arm64_force_sig_fault(); entry-common.c
 * do_notify_resume(), send_sig_fault();
 * Documentation/arch/arm64/memory-tagging-extension.rst.
 */
#include <pthread.h>
#include <sys/resource.h>

#include "child.h"
#include "fault.h"

static unsigned char *page; /* tagged GOOD */

static void begin(unsigned long tcf)
{
	mte_need();
	page = good_pages(1);
	mte_mode(tcf);
}

static void block_segv(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	MUST(pthread_sigmask(how, &set, NULL) == 0, "sigmask");
}

static bool segv_pending(void)
{
	sigset_t set;

	MUST(sigpending(&set) == 0, "sigpending");
	return sigismember(&set, SIGSEGV);
}

/* Starts a child that runs `prepare`, makes a mismatching store and exits with 42. */
static pid_t faulting_child(unsigned long tcf, void (*prepare)(void))
{
	struct rlimit none = { 0, 0 };
	pid_t pid = child_fork();

	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &none);
		begin(tcf);
		prepare();
		store_byte(with_tag(page, BAD));
		kernel_entry();
		kernel_entry();
		SYS(exit_group, 42);
	}
	return pid;
}

static void default_action(void)
{
	signal(SIGSEGV, SIG_DFL);
}

static void ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
}

static void blocked(void)
{
	catch_signal(SIGSEGV, 0);
	block_segv(SIG_BLOCK);
}

/* Each prints what it tests, as a failure of wait_child_...() names only the child. */
static void must_be_killed(const char *what, unsigned long tcf, void (*prepare)(void))
{
	ktap_note("%s", what);
	wait_child_killed(faulting_child(tcf, prepare), SIGSEGV);
}

static void must_survive(const char *what, unsigned long tcf, void (*prepare)(void))
{
	ktap_note("%s", what);
	wait_child_exit(faulting_child(tcf, prepare), 42);
}

static void sync_is_forced(void)
{
	must_be_killed("sync, default action", TCF_SYNC, default_action);
	must_be_killed("sync, ignored", TCF_SYNC, ignored);
	must_be_killed("sync, blocked", TCF_SYNC, blocked);
}

static void async_is_sent(void)
{
	must_be_killed("async, default action", TCF_ASYNC, default_action);
	must_survive("async, ignored", TCF_ASYNC, ignored);
	must_survive("async, blocked", TCF_ASYNC, blocked);
	must_survive("mode none, default action", TCF_NONE, default_action);
}

/* A fault while SIGSEGV is blocked stays pending, and is delivered once when unblocked. */
static void async_blocked_stays_pending(void)
{
	begin(TCF_ASYNC);
	catch_signal(SIGSEGV, 0);
	block_segv(SIG_BLOCK);
	store_byte(with_tag(page, BAD));
	kernel_entry();
	CHECK_EQ(fault.count, 0, "signals while blocked");
	CHECK(segv_pending(), "expected SIGSEGV to be pending");
	block_segv(SIG_UNBLOCK);
	CHECK_EQ(fault.count, 1, "signals after unblocking");
	CHECK_EQ(fault.code, SEGV_MTEAERR, "si_code");
	CHECK_EQ(fault.addr, 0, "si_addr");
	kernel_entry();
	CHECK_EQ(fault.count, 1, "signals in the end");
	CHECK(!segv_pending(), "expected no SIGSEGV to be pending");
}

/* --- which thread --------------------------------------------------------- */

static volatile int thread_tid, go;

static void *faulting_thread(void *arg)
{
	mte_mode((unsigned long)(uintptr_t)arg);
	thread_tid = SYS(gettid, 0);
	store_byte(with_tag(page, BAD));
	kernel_entry();
	return NULL;
}

static void goes_to_the_thread(unsigned long tcf, int code)
{
	pthread_t thread;

	begin(TCF_NONE);
	catch_signal(SIGSEGV, 0);
	MUST(pthread_create(&thread, NULL, faulting_thread, (void *)(uintptr_t)tcf) == 0,
	     "pthread_create");
	while (pthread_tryjoin_np(thread, NULL) == EBUSY)
		sched_yield();
	CHECK_EQ(fault.count, 1, "signals");
	CHECK_EQ(fault.code, code, "si_code");
	CHECK_EQ(fault.tid, thread_tid, "thread that ran the handler");
}

static void sync_goes_to_the_thread(void)
{
	goes_to_the_thread(TCF_SYNC, SEGV_MTESERR);
}

static void async_goes_to_the_thread(void)
{
	goes_to_the_thread(TCF_ASYNC, SEGV_MTEAERR);
}

/* The asynchronous fault of a thread that blocks SIGSEGV goes to no other thread. */
static void *blocked_faulting_thread(void *arg)
{
	(void)arg;
	mte_mode(TCF_ASYNC);
	block_segv(SIG_BLOCK);
	thread_tid = SYS(gettid, 0);
	store_byte(with_tag(page, BAD));
	kernel_entry();
	go = 1;
	while (go == 1)
		sched_yield();
	block_segv(SIG_UNBLOCK);
	return NULL;
}

static void async_waits_for_the_thread(void)
{
	pthread_t thread;
	int i;

	begin(TCF_NONE);
	catch_signal(SIGSEGV, 0);
	MUST(pthread_create(&thread, NULL, blocked_faulting_thread, NULL) == 0, "pthread_create");
	while (!go)
		sched_yield();
	for (i = 0; i < 20; i++)
		sched_yield();
	CHECK_EQ(fault.count, 0, "signals while the faulting thread blocks them");
	go = 2;
	pthread_join(thread, NULL);
	CHECK_EQ(fault.count, 1, "signals");
	CHECK_EQ(fault.tid, thread_tid, "thread that ran the handler");
}

/* --- stacks --------------------------------------------------------------- */

static void on_alternate_stack(unsigned long tcf, int code)
{
	size_t size = 64 << 10;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = { .ss_sp = memory, .ss_size = size };

	begin(tcf);
	MUST(memory != MAP_FAILED && sigaltstack(&stack, NULL) == 0, "sigaltstack");
	catch_signal(SIGSEGV, SA_ONSTACK);
	store_byte(with_tag(page, BAD));
	kernel_entry();
	CHECK_EQ(fault.count, 1, "signals");
	CHECK_EQ(fault.code, code, "si_code");
	CHECK(fault.handler_sp >= (uintptr_t)memory && fault.handler_sp < (uintptr_t)memory + size,
	      "expected the handler on [%p, +%zu), saw its stack at %#llx", memory, size,
	      (unsigned long long)fault.handler_sp);
	CHECK(fault.sp < (uintptr_t)memory || fault.sp > (uintptr_t)memory + size,
	      "sp of the interrupted code is on the alternate stack");
}

static void sync_on_alternate_stack(void)
{
	on_alternate_stack(TCF_SYNC, SEGV_MTESERR);
}

static void async_on_alternate_stack(void)
{
	on_alternate_stack(TCF_ASYNC, SEGV_MTEAERR);
}

/* If the signal frame cannot be written, because tags mismatch, SIGSEGV kills the process. */
static void no_frame_on_a_mismatching_stack(void)
{
	size_t size = 64 << 10;
	pid_t pid = child_fork();

	if (pid == 0) {
		unsigned char *memory = with_tag(mte_map(size), BAD);
		stack_t stack = { .ss_sp = memory, .ss_size = size };

		begin(TCF_SYNC);
		if (sigaltstack(&stack, NULL))
			_exit(1);
		catch_signal(SIGUSR1, SA_ONSTACK);
		SYS(kill, getpid(), SIGUSR1);
		_exit(2);
	}
	wait_child_killed(pid, SIGSEGV);
}

/* With a matching tag in the stack pointer frame and handler work on a tagged stack. */
static void frame_on_a_tagged_stack(void)
{
	size_t pages = 16;
	unsigned char *memory = good_pages(pages);
	stack_t stack = { .ss_sp = memory, .ss_size = pages * PAGE };

	begin(TCF_SYNC);
	MUST(sigaltstack(&stack, NULL) == 0, "sigaltstack of a tagged address");
	catch_signal(SIGUSR1, SA_ONSTACK);
	SYS(kill, getpid(), SIGUSR1);
	CHECK_EQ(fault.count, 1, "signals");
	CHECK_EQ(tag_of((void *)fault.handler_sp), GOOD, "tag of the handler's stack pointer");
}

PROBE(CASE(sync_is_forced), CASE(async_is_sent), CASE(async_blocked_stays_pending),
      CASE(sync_goes_to_the_thread), CASE(async_goes_to_the_thread),
      CASE(async_waits_for_the_thread), CASE(sync_on_alternate_stack),
      CASE(async_on_alternate_stack), CASE(no_frame_on_a_mismatching_stack),
      CASE(frame_on_a_tagged_stack));
