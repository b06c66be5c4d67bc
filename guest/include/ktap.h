/* SPDX-License-Identifier: MIT */
/*
 * KTAP for probes: cases that run in a child process each, and report what they
 * expected and what they saw.
 *
 * A probe is one C file with a table of cases:
 *
 *	static void swap_in(void) { ... CHECK_EQ(got, want, "tag of granule %d", i); ... }
 *
 *	PROBE(CASE(swap_in), CASE_SECONDS(swap_out, 30));
 *
 * Each case runs in a forked child with a time limit (20 s unless given), so that a
 * fault or a hang is a `not ok` of that case and the others still run. A case passes
 * when its function returns and no CHECK failed.
 * Format: Documentation/dev-tools/ktap.rst.
 *
 *   CHECK(cond, fmt, ...)          counts a failure and goes on
 *   CHECK_EQ(got, want, fmt, ...)  the same for integers, printing both
 *   MUST(cond, fmt, ...)           ends the case as failed: a step that succeeds on every
 *                                  right kernel (mmap, fork, swapon) did not
 *   NEED(cond, fmt, ...)           ends the case as untested: the state of memory or of the
 *                                  scheduler that the case needs did not come about (no
 *                                  stale frame, no huge page, nothing swapped). The case
 *                                  neither passed nor failed, and the harness tries it
 *                                  again in a fresh guest
 *   SKIP(fmt, ...)                 ends the case: the kernel lacks the feature. The
 *                                  harness counts this as an error; where a kernel's
 *                                  .config may lack a symbol, `needs:` of the head
 *                                  comment skips the whole probe
 *
 * `PROBE a b` runs only the cases named a and b; `-l` lists them.
 */
#ifndef MTE_HARNESS_KTAP_H
#define MTE_HARNESS_KTAP_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

struct probe_case {
	const char *name;
	void (*run)(void);
	unsigned int seconds; /* time limit; 0 means 20 */
};

/* Prints a diagnostic line: "# ...". */
void ktap_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Counts a failure of the running case, and prints it unless there were many. */
void ktap_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Ends the case as failed. */
void ktap_end(void) __attribute__((noreturn));

/* Ends the case as untested, unless a check of it has failed; see NEED(). */
void ktap_untested(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4), noreturn));

/*
 * For who waited for a child of the case: ends this process as the child was, if `status`
 * (of waitpid()) says that a NEED() of the child did not hold.
 */
void ktap_hand_on(int status);

/*
 * Whether less than two thirds of the case's time have passed. For a loop that waits for what chance
 * may deny: the case ends as untested then, and not by its time limit.
 */
bool ktap_in_time(void);

/* Ends the case as skipped, unless a check of it has failed. */
void ktap_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#define CHECK(cond, fmt, ...)                                                             \
	({                                                                                \
		bool ktap_ok = !!(cond);                                                  \
		if (!ktap_ok)                                                             \
			ktap_fail(__FILE__, __LINE__, fmt " [%s]", ##__VA_ARGS__, #cond); \
		ktap_ok;                                                                  \
	})

#define CHECK_EQ(got, want, fmt, ...)                                                             \
	({                                                                                        \
		long long ktap_got = (long long)(got), ktap_want = (long long)(want);             \
		bool ktap_ok = ktap_got == ktap_want;                                             \
		if (!ktap_ok)                                                                     \
			ktap_fail(__FILE__, __LINE__,                                             \
				  fmt ": expected %lld (%#llx), saw %lld (%#llx)", ##__VA_ARGS__, \
				  ktap_want, ktap_want, ktap_got, ktap_got);                      \
		ktap_ok;                                                                          \
	})

#define MUST(cond, fmt, ...)                                                                   \
	do {                                                                                   \
		if (!(cond)) {                                                                 \
			int ktap_errno = errno;                                                \
			ktap_fail(__FILE__, __LINE__, fmt " [%s; errno %d %s]", ##__VA_ARGS__, \
				  #cond, ktap_errno, strerror(ktap_errno));                    \
			ktap_end();                                                            \
		}                                                                              \
	} while (0)

#define NEED(cond, fmt, ...)                                                                  \
	do {                                                                                  \
		if (!(cond))                                                                  \
			ktap_untested(__FILE__, __LINE__, fmt " [%s]", ##__VA_ARGS__, #cond); \
	} while (0)

#define SKIP(fmt, ...) ktap_skip(fmt, ##__VA_ARGS__)

/* The cases of a probe, in the order in which they run. */
#define CASE(function)		      { #function, function, 0 }
#define CASE_SECONDS(function, limit) { #function, function, limit }
#define PROBE(...)                                                        \
	int main(int argc, char **argv)                                   \
	{                                                                 \
		static const struct probe_case cases[] = { __VA_ARGS__ }; \
                                                                          \
		return probe_main(argc, argv, cases, ARRAY_SIZE(cases));  \
	}                                                                 \
	struct probe_case

/* Runs the cases named on the command line, or all; returns the exit status. */
int probe_main(int argc, char **argv, const struct probe_case *cases, int count);

#endif
