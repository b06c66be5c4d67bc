/* SPDX-License-Identifier: MIT */
#include "child.h"

pid_t child_fork(void)
{
	pid_t pid = fork();

	MUST(pid >= 0, "fork");
	return pid;
}

int child_status(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid, "waitpid(%d)", pid);
	return status;
}

/* Fails the case with what `status` means. */
static void unexpected(const char *file, int line, pid_t pid, const char *expected, int status)
{
	if (WIFSIGNALED(status))
		ktap_fail(file, line, "child %d: expected %s, was killed by signal %d (%s)", pid,
			  expected, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		ktap_fail(file, line, "child %d: expected %s, exited with status %d", pid, expected,
			  WEXITSTATUS(status));
	ktap_end();
}

void child_wait_exit(const char *file, int line, pid_t pid, int want)
{
	int status = child_status(pid);
	char expected[32];

	snprintf(expected, sizeof(expected), "exit status %d", want);
	ktap_hand_on(status);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
		unexpected(file, line, pid, expected, status);
}

void child_wait_killed(const char *file, int line, pid_t pid, int want)
{
	int status = child_status(pid);
	char expected[64];

	snprintf(expected, sizeof(expected), "death by signal %d (%s)", want, strsignal(want));
	ktap_hand_on(status);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != want)
		unexpected(file, line, pid, expected, status);
}

void child_hand_on(pid_t pid)
{
	siginfo_t end = { 0 };

	if (waitid(P_PID, pid, &end, WEXITED | WNOHANG | WNOWAIT) == 0 && end.si_pid == pid &&
	    end.si_code == CLD_EXITED)
		ktap_hand_on(W_EXITCODE(end.si_status, 0));
}

struct gate gate_make(void)
{
	struct gate gate;

	MUST(pipe(gate.fds) == 0, "pipe");
	return gate;
}

void gate_wait(const struct gate *gate)
{
	char byte;

	MUST(read(gate->fds[0], &byte, 1) == 1, "wait for the parent");
}

void gate_open(const struct gate *gate)
{
	MUST(write(gate->fds[1], "", 1) == 1, "wake the child");
}

struct held_child hold_child(void (*run)(char *p), char *p)
{
	struct held_child child = { .gate = gate_make() };

	child.pid = child_fork();
	if (child.pid == 0) {
		gate_wait(&child.gate);
		run(p);
		_exit(0);
	}
	return child;
}
