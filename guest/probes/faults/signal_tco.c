/* SPDX-License-Identifier: MIT */
/*
 * probe: signal_tco
 * needs: CONFIG_ARM64_MTE
 * timeout: 60
 *
 * PSTATE.TCO belongs to the thread: a signal handler starts with it clear, whatever was
 * interrupted; sigreturn() restores it; system calls, context switches and fork() keep it;
 * execve() clears it; and it does not switch off the checks of the kernel's own accesses.
 * arch/arm64/kernel/signal.c setup_return(), restore_sigframe();
 * arch/arm64/include/asm/mte.h mte_disable_tco_entry();
 * Documentation/arch/arm64/memory-tagging-extension.rst.
 */
#include <pthread.h>

#include "child.h"
#include "fault.h"
#include "pin.h"

static unsigned char *page; /* tagged GOOD */

/* With TCO set no access is checked, in synchronous and in asynchronous mode. */
static void set_tco_stops_checks(void)
{
	static const unsigned long modes[] = { TCF_SYNC, TCF_ASYNC };
	int i;

	page = fault_begin(TCF_NONE);
	for (i = 0; i < 2; i++) {
		mte_mode(modes[i]);
		fault_reset();
		set_tco(1);
		load_byte(with_tag(page, BAD));
		store_byte(with_tag(page, BAD));
		kernel_entry();
		CHECK_EQ(fault.count, 0, "mode %#lx, TCO set: signals", modes[i]);
		CHECK_EQ(get_tco(), 1, "TCO after a system call");
		set_tco(0);
		kernel_entry();
		CHECK_EQ(fault.count, 0, "mode %#lx, TCO cleared again: signals", modes[i]);
		store_byte(with_tag(page, BAD));
		kernel_entry();
		CHECK_EQ(fault.count, 1, "mode %#lx, TCO clear: signals", modes[i]);
	}
}

/* --- a handler that records TCO and makes a mismatching access ------------ */

static volatile int handler_tco, handler_saved_tco, handler_runs, handler_faults;
static volatile int leave_tco; /* what the handler sets TCO to before it returns */
static volatile int change_frame; /* the handler flips TCO in the frame */

static void usr1_handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	int before = fault.count;

	(void)sig;
	(void)info;
	handler_runs++;
	handler_tco = get_tco();
	handler_saved_tco = !!(uc->uc_mcontext.pstate & PSTATE_TCO);
	store_byte(with_tag(page, BAD));
	kernel_entry();
	handler_faults = fault.count - before;
	if (change_frame)
		uc->uc_mcontext.pstate ^= PSTATE_TCO;
	set_tco(leave_tco);
}

static void catch_usr1(void)
{
	struct sigaction sa = { .sa_sigaction = usr1_handler, .sa_flags = SA_SIGINFO };

	MUST(sigaction(SIGUSR1, &sa, NULL) == 0, "sigaction");
}

static void in_handler(unsigned long tcf)
{
	int interrupted, leave;

	page = fault_begin(tcf);
	catch_usr1();
	for (interrupted = 0; interrupted < 2; interrupted++)
		for (leave = 0; leave < 2; leave++) {
			int after;

			fault_reset();
			handler_runs = 0;
			leave_tco = leave;
			set_tco(interrupted);
			SYS(kill, getpid(), SIGUSR1);
			after = get_tco();
			set_tco(0);
			CHECK_EQ(handler_runs, 1, "handler runs");
			CHECK_EQ(handler_tco, 0, "TCO in the handler, interrupted with %d",
				 interrupted);
			CHECK_EQ(handler_saved_tco, interrupted, "TCO in the signal frame");
			CHECK_EQ(handler_faults, 1,
				 "faults of a bad store in the handler, interrupted with TCO %d",
				 interrupted);
			CHECK_EQ(after, interrupted, "TCO after a handler that left %d", leave);
		}
}

static void handler_starts_clear_sync(void)
{
	in_handler(TCF_SYNC);
}

static void handler_starts_clear_async(void)
{
	in_handler(TCF_ASYNC);
}

/* sigreturn() takes TCO from the frame, so a handler can change it. */
static void handler_changes_frame(void)
{
	int interrupted, after;

	page = fault_begin(TCF_SYNC);
	catch_usr1();
	change_frame = 1;
	for (interrupted = 0; interrupted < 2; interrupted++) {
		set_tco(interrupted);
		SYS(kill, getpid(), SIGUSR1);
		after = get_tco();
		set_tco(0);
		CHECK_EQ(after, !interrupted, "TCO after the handler flipped %d in the frame",
			 interrupted);
	}
}

/* With TCO set in the frame by the handler, the faulting access is performed. */
static void pass_by_tco_handler(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	handler_runs++;
	((ucontext_t *)context)->uc_mcontext.pstate |= PSTATE_TCO;
}

static void fault_handler_lets_access_pass(void)
{
	struct sigaction sa = { .sa_sigaction = pass_by_tco_handler, .sa_flags = SA_SIGINFO };

	page = fault_begin(TCF_SYNC);
	page[3] = 0x77;
	MUST(sigaction(SIGSEGV, &sa, NULL) == 0, "sigaction");
	handler_runs = 0;
	store_byte(with_tag(page + 3, BAD));
	CHECK_EQ(get_tco(), 1, "TCO after the handler");
	set_tco(0);
	CHECK_EQ(handler_runs, 1, "handler runs");
	CHECK_EQ(page[3], 0, "the byte that was stored");
}

/* TCO is clear in the signal frame of a tag fault, and in its handler. */
static void fault_frame(void)
{
	page = fault_begin(TCF_SYNC);
	store_byte(with_tag(page, BAD));
	CHECK_EQ(fault.count, 1, "signals");
	CHECK_EQ(fault.tco, 0, "TCO in the handler");
	CHECK_EQ(fault.pstate & PSTATE_TCO, 0, "TCO in the frame");
	CHECK_EQ(get_tco(), 0, "TCO after");
}

/* --- context switches, interrupts, fork, exec ----------------------------- */

enum { SWITCHES = 300 };

static void *other_thread(void *arg)
{
	int i;

	(void)arg;
	pin_cpu(0);
	for (i = 0; i < SWITCHES; i++) {
		set_tco(0);
		sched_yield();
		if (!CHECK_EQ(get_tco(), 0, "TCO of the thread that cleared it, switch %d", i))
			break;
	}
	return NULL;
}

static void kept_across_switches(void)
{
	pthread_t other;
	int i;

	page = fault_begin(TCF_SYNC);
	pin_cpu(0);
	MUST(pthread_create(&other, NULL, other_thread, NULL) == 0, "pthread_create");
	for (i = 0; i < SWITCHES; i++) {
		set_tco(1);
		sched_yield();
		if (!CHECK_EQ(get_tco(), 1, "TCO of the thread that set it, switch %d", i))
			break;
	}
	set_tco(0);
	pthread_join(other, NULL);
}

/* Timer interrupts of user code do not change TCO. */
static void kept_across_interrupts(void)
{
	struct timespec start, now;
	int on;

	page = fault_begin(TCF_SYNC);
	for (on = 0; on < 2; on++) {
		bool ok = true;

		set_tco(on);
		clock_gettime(CLOCK_MONOTONIC, &start);
		do {
			ok = get_tco() == on;
			clock_gettime(CLOCK_MONOTONIC, &now);
		} while (ok &&
			 (now.tv_sec - start.tv_sec) * 1000000000LL + now.tv_nsec - start.tv_nsec <
				 50000000);
		set_tco(0);
		CHECK(ok, "TCO changed from %d while the thread made no system call", on);
	}
}

static void fork_keeps_it(void)
{
	int on;

	page = fault_begin(TCF_SYNC);
	for (on = 0; on < 2; on++) {
		pid_t pid;

		set_tco(on);
		pid = SYS(clone, SIGCHLD, 0, 0, 0, 0);
		if (pid == 0)
			SYS(exit_group, get_tco());
		set_tco(0);
		/* The exit status is TCO in the child. */
		wait_child_exit(pid, on);
	}
}

/* The program after execve() exits with 40 + TCO, before main(). */
__attribute__((constructor)) static void exec_child(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--tco"))
		_exit(40 + get_tco());
}

static void exec_clears_it(void)
{
	static char name[] = "/proc/self/exe", option[] = "--tco";
	char *args[] = { name, option, NULL };
	char *no_environment[] = { NULL };
	pid_t pid;

	page = fault_begin(TCF_SYNC);
	pid = child_fork();
	if (pid == 0) {
		set_tco(1);
		SYS(execve, name, args, no_environment);
		_exit(1);
	}
	wait_child_exit(pid, 40);
}

/* --- the kernel's own accesses -------------------------------------------- */

/* The kernel's accesses are checked according to the mode, whatever TCO was in user space. */
static void kernel_does_not_inherit_it(void)
{
	int fds[2], on;

	page = fault_begin(TCF_SYNC);
	MUST(pipe(fds) == 0, "pipe");
	for (on = 0; on < 2; on++) {
		long wrote, got;

		set_tco(on);
		wrote = SYS(write, fds[1], with_tag(page, BAD), 8);
		set_tco(0);
		CHECK_EQ(wrote, -EFAULT, "write() of a mismatching buffer, user TCO %d", on);
		MUST(write(fds[1], "12345678", 8) == 8, "write");
		set_tco(on);
		got = SYS(read, fds[0], with_tag(page, BAD), 8);
		set_tco(0);
		CHECK_EQ(got, -EFAULT, "read() into a mismatching buffer, user TCO %d", on);
		MUST(read(fds[0], page, 8) == 8, "read");
	}
	CHECK_EQ(fault.count, 0, "signals of the kernel's accesses");
	mte_mode(TCF_NONE);
	for (on = 0; on < 2; on++) {
		long wrote;

		set_tco(on);
		wrote = SYS(write, fds[1], with_tag(page, BAD), 8);
		set_tco(0);
		CHECK_EQ(wrote, 8, "write() of a mismatching buffer, mode NONE, user TCO %d", on);
	}
}

PROBE(CASE(set_tco_stops_checks), CASE(handler_starts_clear_sync), CASE(handler_starts_clear_async),
      CASE(handler_changes_frame), CASE(fault_handler_lets_access_pass), CASE(fault_frame),
      CASE(kept_across_switches), CASE(kept_across_interrupts), CASE(fork_keeps_it),
      CASE(exec_clears_it), CASE(kernel_does_not_inherit_it));
