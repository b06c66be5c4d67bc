/* SPDX-License-Identifier: MIT */
/*
 * The mount namespace of a visit: one for all programs of it, because /proc/swaps names an area
 * by its path in the namespace that turned it on.
 *
 * /tmp, /run and /dev/shm are directories of the visit there, so that a program finds what it
 * finds in a guest, and leaves nothing in the board's own. Mounts of programs go with the
 * namespace.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include "keeper.h"

static int host = -1;

int mounts_make(const char *directory)
{
	/* The last hides the directory itself, which is in the board's /dev/shm. */
	static const char *const places[] = { "tmp", "run", "shm" };
	static const char *const covered[] = { "/tmp", "/run", "/dev/shm" };
	char path[256], text[16];
	int i, fd;

	snprintf(path, sizeof(path), "%s/guard", directory);
	snprintf(text, sizeof(text), "%d", getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || host < 0 || write_text(path, text) || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, places[i]);
		if (mount(path, covered[i], NULL, MS_BIND, NULL))
			return -1;
	}
	/* Where they are mounted already, or the kernel has none, that is as good. */
	if (access("/sys/kernel/debug/fault_around_bytes", F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	if (access("/sys/kernel/tracing/trace", F_OK))
		mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	return 0;
}

void mounts_leave(void)
{
	if (host >= 0 && setns(host, CLONE_NEWNS))
		tell("left", "the keeper is in a mount namespace that it cannot leave");
}

int mounts_join(const char *directory)
{
	char path[256], text[16];
	int fd, err;

	snprintf(path, sizeof(path), "%s/guard", directory);
	if (read_text(path, text, sizeof(text)) <= 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", atoi(text));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	err = fd < 0 ? -1 : setns(fd, CLONE_NEWNS);
	close(fd);
	return err;
}
