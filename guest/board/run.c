/* SPDX-License-Identifier: MIT */
/*
 * Runs a shell line on a board, in the mount namespace of the visit, and ends all that it
 * started.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper.h"

/* Kills the children of this process that /proc shows. */
static void kill_children(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && (entry = readdir(proc))) {
		char path[64], text[512], *name_end;
		pid_t pid = atoi(entry->d_name), parent;

		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		if (pid <= 0 || read_text(path, text, sizeof(text)) <= 0)
			continue;
		name_end = strrchr(text, ')'); /* a name may have any character */
		if (name_end && sscanf(name_end, ") %*c %d", &parent) == 1 && parent == getpid())
			kill(pid, SIGKILL);
	}
	if (proc)
		closedir(proc);
}

/* Ends every child; the orphans of each become children, too (PR_SET_CHILD_SUBREAPER). */
static void end_children(void)
{
	int i;

	for (i = 0; i < 500; i++) {
		pid_t gone;

		while ((gone = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (gone < 0) /* ECHILD: there are none */
			return;
		kill_children();
		usleep(10 * 1000);
	}
}

int run_line(const char *directory, const char *line)
{
	struct pollfd polled[2] = { { .fd = 0, .events = POLLIN }, { .events = POLLIN } };
	int status = 0, code = 126;
	sigset_t signals, before;
	bool given_up = false;
	pid_t child;

	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, &before);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (mounts_join(directory)) {
		fprintf(stderr, "keeper: no mount namespace: %s\n", strerror(errno));
		return code;
	}
	polled[1].fd = signalfd(-1, &signals, SFD_CLOEXEC);
	child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_RDONLY);

		setsid();
		dup2(null, 0);
		signal(SIGPIPE, SIG_DFL);
		sigprocmask(SIG_SETMASK, &before, NULL);
		write_text("/proc/self/oom_score_adj", "0");
		execl("/bin/sh", "sh", "-c", line, (char *)NULL);
		_exit(127);
	}
	write_text("/proc/self/oom_score_adj", "-900");
	while (child > 0 && !given_up) {
		struct signalfd_siginfo info;
		char input[64];

		if (waitpid(child, &status, WNOHANG) == child) {
			code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			break;
		}
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			break;
		if (polled[1].revents && read(polled[1].fd, &info, sizeof(info)) > 0)
			given_up = info.ssi_signo != SIGCHLD;
		if (polled[0].revents && read(0, input, sizeof(input)) <= 0)
			given_up = true; /* the connection is gone, or the harness has ended this */
	}
	end_children();
	return code;
}
