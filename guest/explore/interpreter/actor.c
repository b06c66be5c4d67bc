// SPDX-License-Identifier: MIT
/* An actor of a sequence: it waits for its turn, runs its step, and compares the result. */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/syscall.h>

#include "mte.h"
#include "steps.h"

__thread sigjmp_buf fault_return;
__thread volatile sig_atomic_t fault_armed;
__thread volatile int fault_code;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (sig == SIGSEGV && info->si_code == SEGV_MTEAERR) { /* comes when it comes */
		fault_code = SEGV_MTEAERR;
		return;
	}
	if (fault_armed) {
		fault_code = info->si_code;
		siglongjmp(fault_return, 1);
	}
	deviate(control->turn, "signal %d, si_code %d, address %p", sig, info->si_code,
		info->si_addr);
	_exit(0);
}

static void turn_next(uint32_t number)
{
	uint32_t next = number + 1, expected = number;

	/* A deviation has set it to the end meanwhile. */
	__atomic_compare_exchange_n(&control->turn, &expected, next, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_SEQ_CST);
	if (next >= control->end || steps[next].actor != steps[number].actor)
		syscall(SYS_futex, &control->turn, FUTEX_WAKE, ACTORS, NULL, NULL, 0);
}

static void compare(uint32_t number, const struct step *step, int64_t got)
{
	if (step->how == WANT_ANY || (step->how == WANT_FAULT && got != 0 && got > -16))
		return;
	if (step->how == WANT_FAULT)
		deviate(number, "expected a fault, saw %lld", (long long)got);
	else if (got != step->want)
		deviate(number, "expected %lld, saw %lld", (long long)step->want, (long long)got);
}

void actor_run(unsigned int actor)
{
	struct sigaction action = { .sa_sigaction = on_signal,
				    .sa_flags = SA_SIGINFO | SA_NODEFER };
	uint32_t turn;

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	for (;;) {
		turn = __atomic_load_n(&control->turn, __ATOMIC_SEQ_CST);
		if (turn >= control->end)
			syscall(SYS_exit, 0);
		if (steps[turn].actor != actor) {
			syscall(SYS_futex, &control->turn, FUTEX_WAIT, turn, NULL, NULL, 0);
			continue;
		}
		if (steps[turn].code == STEP_EXIT) {
			turn_next(turn);
			syscall(SYS_exit, 0);
		}
		compare(turn, &steps[turn], step_run(&steps[turn]));
		turn_next(turn);
	}
}
