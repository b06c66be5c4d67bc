/* SPDX-License-Identifier: MIT */
/*
 * The guard: keeps a board as it is while probes run there, until its standard input ends or
 * is silent. Its standard output is the kernel's log (/dev/kmsg) from its start on.
 *
 * A lost connection ends the input at once where the board's SSH server notices it, and after
 * SILENCE where it does not. Then all that runs for the harness is ended, and the board is put
 * back as it was. The guard is no service: it goes with the visit.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "keeper.h"

/* Seconds; the harness writes a line every ten. */
enum { SILENCE = 60 };

static int kmsg;

void tell(const char *word, const char *fmt, ...)
{
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	dprintf(1, MARK "%s %s\n", word, text);
}

long read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	long got = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	if (got < 0)
		return -1;
	while (got && text[got - 1] == '\n')
		got--;
	text[got] = 0;
	return got;
}

int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t length = strlen(text), done = fd < 0 ? -1 : write(fd, text, length);

	if (fd >= 0)
		close(fd);
	return done == length ? 0 : -1;
}

/* Prints a record as the console does. Those of user space (facility not 0) are no splats. */
static void print_record(char *record)
{
	unsigned long prefix, sequence, useconds;
	char *text = strchr(record, ';'), *in, *out;

	if (!text || sscanf(record, "%lu,%lu,%lu", &prefix, &sequence, &useconds) != 3 ||
	    prefix >> 3)
		return;
	text++;
	if ((in = strchr(text, '\n')))
		*in = 0; /* the dictionary follows (Documentation/ABI/testing/dev-kmsg) */
	for (in = out = text; *in; in++) {
		unsigned int byte;

		if (in[0] == '\\' && in[1] == 'x' && sscanf(in + 2, "%2x", &byte) == 1 && byte) {
			*out++ = byte == 1 ? '?' : byte;
			in += 3;
		} else {
			*out++ = *in;
		}
	}
	*out = 0;
	dprintf(1, "[%5lu.%06lu] %s\n", useconds / 1000000, useconds % 1000000, text);
}

static void drain_kmsg(void)
{
	char record[9000];
	ssize_t got;

	while ((got = read(kmsg, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (got < 0) {
			tell("overrun", "records of the kernel's log were overwritten unread");
			continue;
		}
		record[got] = 0;
		print_record(record);
	}
}

/* Ends the runners, which are this same program, and with them what they started. */
static void end_runners(void)
{
	struct stat own, other;
	char path[64];
	int round, left = 1;

	if (stat("/proc/self/exe", &own))
		return;
	for (round = 0; left && round < 100; round++) {
		DIR *proc = opendir("/proc");
		struct dirent *entry;

		for (left = 0; proc && (entry = readdir(proc));) {
			pid_t pid = atoi(entry->d_name);
			if (pid <= 0 || pid == getpid())
				continue;
			snprintf(path, sizeof(path), "/proc/%d/exe", pid);
			if (stat(path, &other) || other.st_dev != own.st_dev ||
			    other.st_ino != own.st_ino)
				continue;
			left++;
			kill(pid, round < 80 ? SIGTERM : SIGKILL);
		}
		if (proc)
			closedir(proc);
		if (left)
			usleep(100 * 1000);
	}
	if (left)
		tell("left", "%d runners that do not end", left);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at)
{
	(void)info, (void)kind, (void)at;
	return remove(path);
}

/* Seconds since boot; a probe may set the clock. */
static time_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static int guard(const char *directory, const char *device)
{
	struct pollfd polled[2] = { { .fd = 0, .events = POLLIN }, { .events = POLLIN } };
	bool quit = false, ready = false;
	char input[4096];
	time_t heard;

	setsid();
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	write_text("/proc/self/oom_score_adj", "-1000");
	polled[1].fd = kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0 || lseek(kmsg, 0, SEEK_END) < 0) {
		tell("unfit", "/dev/kmsg cannot be read: %s", strerror(errno));
		quit = true;
	}
	settings_save(device);
	areas_save(device);
	quit = quit || !areas_prepare();
	if (!quit && mounts_make(directory)) {
		tell("unfit", "no mount namespace: %s", strerror(errno));
		quit = true;
	}
	ready = !quit;
	if (ready) {
		settings_prepare();
		tell("ready", "%d", getpid());
	}
	for (heard = seconds(); !quit && seconds() - heard < SILENCE;) {
		if (poll(polled, 2, 1000) < 0 && errno != EINTR)
			break;
		if (polled[1].revents)
			drain_kmsg();
		if (polled[0].revents) {
			ssize_t got = read(0, input, sizeof(input));

			if (got <= 0)
				break;
			heard = seconds();
			drain_kmsg();
			if (memchr(input, 's', got))
				tell("sync", "%d", getpid());
			quit = memchr(input, 'q', got);
		}
	}
	end_runners();
	if (ready)
		areas_off();
	mounts_leave();
	areas_restore();
	settings_restore();
	drain_kmsg();
	nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	if (access(directory, F_OK) == 0)
		tell("left", "%s: %s", directory, strerror(errno));
	tell("restored", "%d", getpid());
	return 0;
}

int main(int argc, char **argv)
{
	if (argc >= 3 && !strcmp(argv[1], "guard"))
		return guard(argv[2], argc > 3 && *argv[3] ? argv[3] : NULL);
	if (argc == 4 && !strcmp(argv[1], "run"))
		return run_line(argv[2], argv[3]);
	fprintf(stderr, "usage: keeper guard DIR [DEVICE] | keeper run DIR LINE\n");
	return 2;
}
