/* SPDX-License-Identifier: MIT */
#include <stdarg.h>

#include "ktap.h"

enum { MAX_FAILURES = 12 }; /* failures that a case prints; the rest are only counted */

/* Exit statuses of a case's process; guest/lib/probe.py has the same. */
enum { EXIT_SKIPPED = 110, EXIT_ENDED = 111, EXIT_NO_OUTPUT = 112, EXIT_UNTESTED = 113 };

/* In memory shared with the children, so that failures in them count for the case. */
static struct {
	int failures;
	int skipped;
	int untested;
	struct timespec two_thirds; /* CLOCK_MONOTONIC, when they have passed */
	char reason[200]; /* of a skip, or of the first NEED() that did not hold */
} *ktap;

static pid_t ktap_child;
static volatile sig_atomic_t ktap_timed_out;

void ktap_note(const char *fmt, ...)
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
	/* One write() per line, so that lines of several processes do not mix. */
	if (write(STDOUT_FILENO, line, n + 3) < 0)
		_exit(EXIT_NO_OUTPUT);
}

void ktap_fail(const char *file, int line, const char *fmt, ...)
{
	char text[400];
	va_list ap;
	/* A program without cases may use the library too. */
	int seen = ktap ? __atomic_add_fetch(&ktap->failures, 1, __ATOMIC_SEQ_CST) : 1;

	if (seen > MAX_FAILURES)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ktap_note("%s:%d: %s", strrchr(file, '/') ? strrchr(file, '/') + 1 : file, line, text);
}

void ktap_end(void)
{
	_exit(EXIT_ENDED);
}

void ktap_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ktap->reason, sizeof(ktap->reason), fmt, ap);
	va_end(ap);
	ktap->skipped = 1;
	_exit(EXIT_SKIPPED);
}

void ktap_untested(const char *file, int line, const char *fmt, ...)
{
	const char *name = strrchr(file, '/');
	char text[sizeof(ktap->reason)];
	va_list ap;
	int n;

	n = snprintf(text, sizeof(text), "%s:%d: ", name ? name + 1 : file, line);
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - n, fmt, ap);
	va_end(ap);
	if (!ktap) { /* a program without cases has no results: it can only fail */
		ktap_note("%s", text);
		_exit(EXIT_ENDED);
	}
	if (!__atomic_exchange_n(&ktap->untested, 1, __ATOMIC_SEQ_CST))
		memcpy(ktap->reason, text, sizeof(text));
	_exit(EXIT_UNTESTED);
}

void ktap_hand_on(int status)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_UNTESTED && ktap && ktap->untested)
		_exit(EXIT_UNTESTED);
}

bool ktap_in_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return !ktap || now.tv_sec < ktap->two_thirds.tv_sec;
}

/* Kills the process group of the case, because cases fork children of their own. */
static void ktap_alarm(int sig)
{
	(void)sig;
	ktap_timed_out = 1;
	kill(-ktap_child, SIGKILL);
}

/* The directive of a case that ended itself without a result; "" for any other. */
static const char *ktap_directive(int exit_status)
{
	if (ktap->skipped && exit_status == EXIT_SKIPPED)
		return " # SKIP ";
	if (ktap->untested && exit_status == EXIT_UNTESTED)
		return " # UNTESTED ";
	return "";
}

static bool ktap_run_case(int number, const struct probe_case *c)
{
	/* The harness sets KTAP_SLOW where the kernel is several times slower (lockdep). */
	const char *slow = getenv("KTAP_SLOW");
	unsigned int seconds = (c->seconds ? c->seconds : 20) * (slow ? atoi(slow) : 1);
	char how[100] = "";
	const char *directive = "";
	int status = 0;
	bool ok;

	memset(ktap, 0, sizeof(*ktap));
	clock_gettime(CLOCK_MONOTONIC, &ktap->two_thirds);
	ktap->two_thirds.tv_sec += seconds * 2 / 3;
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
	kill(-ktap_child, SIGKILL); /* children that the case left behind */

	ok = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !ktap->failures;
	if (ktap_timed_out)
		snprintf(ktap->reason, sizeof(ktap->reason), "not finished after %u s", seconds);
	else if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else if (!ktap->failures) /* a failed check outweighs what ended the case */
		directive = ktap_directive(WEXITSTATUS(status));
	if (ktap_timed_out && !ktap->failures)
		directive = " # TIMEOUT ";
	ok |= !strcmp(directive, " # SKIP ");
	if (WIFEXITED(status) && WEXITSTATUS(status) && !ktap->failures && !*directive)
		snprintf(how, sizeof(how), "exit status %d", WEXITSTATUS(status));
	if (ktap->failures > MAX_FAILURES)
		printf("# and %d more failed checks\n", ktap->failures - MAX_FAILURES);
	if (how[0])
		printf("# %s: expected to return, %s\n", c->name, how);
	printf("%s %d %s%s%s\n", ok ? "ok" : "not ok", number, c->name, directive,
	       *directive ? ktap->reason : "");
	fflush(stdout);
	return ok;
}

int probe_main(int argc, char **argv, const struct probe_case *cases, int count)
{
	struct sigaction alarm_action = { .sa_handler = ktap_alarm };
	int i, j, number = 0, failed = 0, planned = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (sysconf(_SC_PAGESIZE) != PROBE_PAGE) {
		fprintf(stderr, "%s is for pages of %lu bytes; this kernel has pages of %ld\n",
			argv[0], PROBE_PAGE, sysconf(_SC_PAGESIZE));
		return 2;
	}
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
	ktap = mmap(NULL, sizeof(*ktap), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
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
