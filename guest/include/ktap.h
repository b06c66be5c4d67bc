/* SPDX-License-Identifier: MIT */
/*
 * KTAP for probes: cases that run in a child of their own, and say what they
 * expected and what they saw.
 *
 * A probe is one C file with a table of cases:
 *
 *	static void swap_in(void) { ... CHECK_EQ(got, want, "tag of granule %d", i); ... }
 *
 *	PROBE(
 *		{ "swap_in", swap_in, 30 },
 *	)
 *
 * Each case runs in a forked child with a time limit, so that a fault or a
 * hang is a `not ok` of that case and the others still run. A case passes when
 * its function returns and no CHECK failed. Format: Documentation/dev-tools/ktap.rst.
 *
 *   CHECK(cond, fmt, ...)          goes on after a failure
 *   CHECK_EQ(got, want, fmt, ...)  the same for integers, printing both
 *   MUST(cond, fmt, ...)           ends the case: what follows would mean nothing
 *   SKIP(fmt, ...)                 the kernel has not got the feature; the harness
 *                                  accepts this only where the kernel's .config
 *                                  says so (`needs:` in the head comment)
 *
 * `PROBE a b` runs only the cases named a and b; `-l` lists them.
 */
#ifndef MTE_HARNESS_KTAP_H
#define MTE_HARNESS_KTAP_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct probe_case {
	const char *name;
	void (*run)(void);
	unsigned int seconds;	/* time limit; 0 is 20 */
};

enum { KTAP_MAX_FAILURES = 12 };	/* lines a case may print; the rest are counted */

/* Shared with the children, so that a count survives fork() inside a case. */
static struct ktap_state {
	int failures;
	int skipped;
	char skip_reason[200];
} *ktap;

__attribute__((format(printf, 1, 2), unused))
static void ktap_note(const char *fmt, ...)
{
	char line[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line + 2, sizeof(line) - 3, fmt, ap);
	va_end(ap);
	line[0] = '#';
	line[1] = ' ';
	if (n > (int)sizeof(line) - 4)
		n = sizeof(line) - 4;
	line[n + 2] = '\n';
	/* One write() a line: cases fork, and lines must not mix. */
	if (write(STDOUT_FILENO, line, n + 3) < 0)
		_exit(112);
}

__attribute__((format(printf, 3, 4), unused))
static void ktap_fail(const char *file, int line, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	int seen = __atomic_add_fetch(&ktap->failures, 1, __ATOMIC_SEQ_CST);

	if (seen > KTAP_MAX_FAILURES)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ktap_note("%s:%d: %s", strrchr(file, '/') ? strrchr(file, '/') + 1 : file,
		  line, text);
}

#define CHECK(cond, fmt, ...) ({						\
	bool ktap_ok = !!(cond);						\
	if (!ktap_ok)								\
		ktap_fail(__FILE__, __LINE__, fmt " [%s]", ##__VA_ARGS__, #cond); \
	ktap_ok; })

#define CHECK_EQ(got, want, fmt, ...) ({					\
	long long ktap_got = (long long)(got), ktap_want = (long long)(want);	\
	bool ktap_ok = ktap_got == ktap_want;					\
	if (!ktap_ok)								\
		ktap_fail(__FILE__, __LINE__,					\
			  fmt ": expected %lld (%#llx), saw %lld (%#llx)",	\
			  ##__VA_ARGS__, ktap_want, ktap_want, ktap_got, ktap_got); \
	ktap_ok; })

#define MUST(cond, fmt, ...) do {						\
	if (!(cond)) {								\
		int ktap_errno = errno;						\
		ktap_fail(__FILE__, __LINE__, fmt " [%s; errno %d %s]",		\
			  ##__VA_ARGS__, #cond, ktap_errno, strerror(ktap_errno)); \
		_exit(111);							\
	} } while (0)

#define SKIP(fmt, ...) do {							\
	snprintf(ktap->skip_reason, sizeof(ktap->skip_reason), fmt, ##__VA_ARGS__); \
	ktap->skipped = 1;							\
	_exit(110);								\
	} while (0)

/*
 * Children that help a case. A CHECK that fails in one counts for the case, as the
 * state is shared; that it died is known to its parent only, which must ask.
 */

/* fork(), or the end of the case. */
__attribute__((unused))
static pid_t fork_child(void)
{
	pid_t pid = fork();

	MUST(pid >= 0, "fork");
	return pid;
}

/* Waits for a child; ends the case unless it exited with status 0. */
#define wait_child(pid) ktap_wait_child(__FILE__, __LINE__, (pid), #pid)

__attribute__((unused))
static void ktap_wait_child(const char *file, int line, pid_t pid, const char *name)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		ktap_fail(file, line, "waitpid(%s): errno %d %s", name, errno, strerror(errno));
	else if (WIFSIGNALED(status))
		ktap_fail(file, line, "process %s was killed by signal %d (%s)", name,
			  WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status))
		ktap_fail(file, line, "process %s: expected exit status 0, saw %d", name,
			  WEXITSTATUS(status));
	else
		return;
	_exit(111);
}

/* Runs fn(arg) in a child and waits for it; ends the case unless fn() returned. */
#define run_child(fn, arg) do {							\
	pid_t child_of_##fn = fork_child();					\
	if (child_of_##fn == 0) {						\
		fn(arg);							\
		_exit(0);							\
	}									\
	wait_child(child_of_##fn);						\
	} while (0)

/* Kills the case's whole process group: cases fork children of their own. */
static pid_t ktap_child;
static volatile sig_atomic_t ktap_timed_out;
static void ktap_alarm(int sig)
{
	(void)sig;
	ktap_timed_out = 1;
	kill(-ktap_child, SIGKILL);
}

static bool ktap_run_case(int number, const struct probe_case *c)
{
	/* How many times slower the kernel at hand is; harness/probe/runner.py says it. */
	const char *slow = getenv("KTAP_SLOW");
	unsigned int seconds = (c->seconds ? c->seconds : 20) * (slow ? atoi(slow) : 1);
	char how[100] = "";
	int status = 0;
	bool ok;

	memset(ktap, 0, sizeof(*ktap));
	ktap_timed_out = 0;
	ktap_child = fork();
	if (ktap_child == 0) {
		setpgid(0, 0);
		signal(SIGALRM, SIG_DFL);
		c->run();
		_exit(0);
	}
	if (ktap_child < 0) {
		printf("# fork: %s\nnot ok %d %s\n", strerror(errno), number, c->name);
		return false;
	}
	setpgid(ktap_child, ktap_child);
	alarm(seconds);
	while (waitpid(ktap_child, &status, 0) < 0 && errno == EINTR)
		;
	alarm(0);
	kill(-ktap_child, SIGKILL);	/* what the case left behind */

	ok = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !ktap->failures;
	if (ktap_timed_out)
		snprintf(how, sizeof(how), "not finished after %u s", seconds);
	else if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "killed by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (ktap->skipped && WEXITSTATUS(status) == 110)
		ok = !ktap->failures;	/* a case that failed a check cannot skip any more */
	else if (WEXITSTATUS(status) && !ktap->failures)
		snprintf(how, sizeof(how), "exit status %d", WEXITSTATUS(status));
	if (ktap->failures > KTAP_MAX_FAILURES)
		printf("# and %d more failed checks\n", ktap->failures - KTAP_MAX_FAILURES);
	if (how[0])
		printf("# %s: expected to return, %s\n", c->name, how);
	printf("%s %d %s%s%s\n", ok ? "ok" : "not ok", number, c->name,
	       ok && ktap->skipped ? " # SKIP " : "",
	       ok && ktap->skipped ? ktap->skip_reason : "");
	fflush(stdout);
	return ok;
}

__attribute__((unused))
static int probe_main(int argc, char **argv, const struct probe_case *cases, int count)
{
	struct sigaction alarm_action = { .sa_handler = ktap_alarm };
	int i, j, number = 0, failed = 0, planned = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 2 && !strcmp(argv[1], "-l")) {
		for (i = 0; i < count; i++)
			puts(cases[i].name);
		return 0;
	}
	for (j = 1; j < argc; j++) {
		for (i = 0; i < count && strcmp(argv[j], cases[i].name); i++)
			;
		if (i == count) {
			fprintf(stderr, "%s: no case %s; -l lists them\n", argv[0], argv[j]);
			return 2;
		}
	}
	ktap = mmap(NULL, sizeof(*ktap), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ktap == MAP_FAILED) {
		perror("mmap");
		return 2;
	}
	sigaction(SIGALRM, &alarm_action, NULL);
	planned = argc > 1 ? argc - 1 : count;
	printf("KTAP version 1\n1..%d\n", planned);
	fflush(stdout);
	for (i = 0; i < count; i++) {
		bool wanted = argc == 1;

		for (j = 1; j < argc; j++)
			wanted |= !strcmp(argv[j], cases[i].name);
		if (wanted)
			failed += !ktap_run_case(++number, &cases[i]);
	}
	return failed ? 1 : 0;
}

#define PROBE(...)								\
	static const struct probe_case probe_cases[] = { __VA_ARGS__ };		\
	int main(int argc, char **argv)						\
	{									\
		return probe_main(argc, argv, probe_cases,			\
				  sizeof(probe_cases) / sizeof(probe_cases[0]));	\
	}

#endif
