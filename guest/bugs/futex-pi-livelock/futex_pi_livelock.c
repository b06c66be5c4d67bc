/* SPDX-License-Identifier: MIT */
/*
 * probe: futex_pi_livelock
 * needs: CONFIG_FUTEX
 * destructive: yes
 * timeout: 60
 *
 * FUTEX_LOCK_PI on a word whose tag mismatches fails with EFAULT, or at least the task can
 * be killed. docs/findings/futex-pi-livelock.md.
 */
#include <linux/futex.h>
#include <sys/syscall.h>

#include "child.h"
#include "mte.h"

/* Reaps `child`; false if it is still alive after `seconds`. */
static bool reaped(pid_t child, int seconds, int *status)
{
	int i;

	for (i = 0; i < seconds * 20; i++) {
		if (waitpid(child, status, WNOHANG) == child)
			return true;
		usleep(50000);
	}
	return false;
}

static void lock_pi(int operation)
{
	int status = 0;
	pid_t child;

	mte_need();
	child = child_fork();
	if (child == 0) {
		uint32_t *word = mte_map(PAGE);
		long result;

		stg(word, 3);
		mte_mode(TCF_SYNC);
		result = syscall(SYS_futex, with_tag(word, 4), operation, 0, NULL, NULL, 0);
		_exit(result == -1 && errno == EFAULT ? 0 : 1);
	}
	if (!reaped(child, 5, &status)) {
		CHECK(false, "expected EFAULT, saw no return within 5 s");
		kill(child, SIGKILL);
		CHECK(reaped(child, 5, &status),
		      "expected SIGKILL to end it, saw it alive 5 s later");
		return;
	}
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "expected EFAULT, saw status %#x",
	      status);
}

static void lock(void)
{
	lock_pi(FUTEX_LOCK_PI_PRIVATE);
}
static void lock_shared(void)
{
	lock_pi(FUTEX_LOCK_PI);
}

PROBE(CASE_SECONDS(lock, 20), CASE_SECONDS(lock_shared, 20));
