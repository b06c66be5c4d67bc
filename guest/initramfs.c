/* SPDX-License-Identifier: MIT */
/*
 * The first process of a kernel whose drivers are modules: loads them, and goes on in the
 * root file system as a kernel with drivers built in does.
 *
 * The initramfs holds this program, the modules as /0.ko, /1.ko, ... in the order in which
 * they can be loaded, and empty directories. A step that fails is printed to the kernel's
 * console, and ends this process: the kernel then panics, and the harness shows the line.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void fail(const char *what)
{
	int error = errno;

	dprintf(2, "mte-harness: initramfs: %s: %s\n", what, strerror(error));
	exit(1);
}

/* Loads /NUMBER.ko; returns false when there is none. */
static int load(int number)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/%d.ko", number);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return 0;
	/* EEXIST: the module is a part of this kernel. */
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
		fail(path);
	close(fd);
	return 1;
}

/* The disk appears when its driver has read its size. */
static void wait_for(const char *path)
{
	struct stat status;
	int tries;

	for (tries = 0; stat(path, &status); tries++) {
		if (tries == 500)
			fail(path);
		usleep(10000);
	}
}

int main(void)
{
	int number = 0;

	if (mount("dev", "/dev", "devtmpfs", 0, NULL))
		fail("mount devtmpfs");
	while (load(number))
		number++;
	wait_for("/dev/vda");
	if (mount("/dev/vda", "/root", "ext4", MS_RDONLY, NULL))
		fail("mount /dev/vda");
	if (mount("/dev", "/root/dev", NULL, MS_MOVE, NULL))
		fail("move /dev");
	if (chdir("/root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		fail("change the root");
	execl("/init", "/init", NULL);
	fail("/init");
}
