/* SPDX-License-Identifier: MIT */
/*
 * probe: uaccess_strings
 * needs: CONFIG_ARM64_MTE CONFIG_TMPFS
 * timeout: 60
 *
 * Strings and other arguments whose length the kernel finds by reading: one that ends
 * right before a mismatching granule is accepted, also where the kernel reads by words;
 * one that reaches into it is refused with EFAULT. Paths, names, program arguments, mount
 * options, directory entries. lib/strncpy_from_user.c, lib/strnlen_user.c, fs/exec.c
 * copy_strings(), fs/namespace.c copy_mount_options(), fs/readdir.c filldir64().
 */
#include <dirent.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "child.h"
#include "uaccess.h"

#define MOUNT_POINT "/tmp/uaccess_strings.mount"

static void begin(void)
{
	mte_need();
	catch_signal(SIGSEGV, 0);
	wall_build(2 * PAGE);
	mte_mode(TCF_SYNC);
}

/* Writes a string to p; it may reach into the wall. */
static void put(void *p, const char *text)
{
	unchecked_copy(p, text, strlen(text) + 1);
}

/* --- paths ---------------------------------------------------------------- */

/* A path of a given length up to 40, "///...//tmp", which exists. */
static const char *path_of(size_t length)
{
	static char path[64];

	memset(path, '/', sizeof(path));
	strcpy(path + length - 3, "tmp");
	return path;
}

static long open_path(const void *path)
{
	long fd = SYS(openat, AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static void paths(void)
{
	size_t length, over;

	begin();
	for (length = 4; length <= 40; length++) {
		const char *path = path_of(length);

		put(wall - length - 1, path);
		CHECK_EQ(open_path(wall - length - 1), 0,
			 "open() of a path of %zu that ends right before a mismatch", length);
		/* First only its NUL mismatches, then more and more of its last bytes. */
		for (over = 0; over <= length && over < GRANULE; over++) {
			put(wall - length + over, path);
			CHECK_EQ(open_path(wall - length + over), -EFAULT,
				 "open() of a path of %zu with %zu bytes past the edge", length,
				 over + 1);
		}
	}
	/* Bytes behind the NUL are not checked, however the words are aligned. */
	for (length = 1; length <= 24; length++) {
		put(wall - length, "/tmp");
		CHECK_EQ(open_path(wall - length), length > 4 ? 0 : -EFAULT,
			 "open() of \"/tmp\", %zu bytes before a mismatch", length);
	}
	mte_mode(TCF_ASYNC);
	put(wall, "/tmp");
	CHECK_EQ(open_path(wall), 0, "open() of a mismatching path, async");
	mte_mode(TCF_NONE);
	CHECK_EQ(open_path(wall), 0, "open() of a mismatching path, mode none");
	CHECK_EQ(fault.count, 0, "signals");
}

/* The kernel reads the right bytes: a file that is made with such a path has that name. */
static void name_that_arrives(void)
{
	size_t length;

	begin();
	for (length = 6; length <= 40; length++) {
		char name[64] = "/tmp/";
		struct stat st;
		long fd;

		memset(name + 5, 'a' + length % 26, length - 5);
		name[length] = 0;
		put(wall - length - 1, name);
		fd = SYS(openat, AT_FDCWD, wall - length - 1, O_CREAT | O_RDWR, 0600);
		CHECK(fd >= 0, "open(O_CREAT) of a name of %zu: %ld", length, fd);
		CHECK_EQ(stat(name, &st), 0, "stat() of the name");
		close(fd);
		unlink(name);
	}
}

static long set_name(const void *p)
{
	return SYS(prctl, PR_SET_NAME, p, 0, 0, 0);
}

/* prctl(PR_SET_NAME) reads at most 15 bytes; memfd_create() finds the length first. */
static void other_names(void)
{
	char name[17];
	long fd;

	begin();
	put(wall - 6, "hello");
	CHECK_EQ(set_name(wall - 6), 0, "PR_SET_NAME, ends right before a mismatch");
	MUST(prctl(PR_GET_NAME, name) == 0, "PR_GET_NAME");
	CHECK(!strcmp(name, "hello"), "expected the name \"hello\", saw \"%s\"", name);
	put(wall - 5, "hello");
	CHECK_EQ(set_name(wall - 5), -EFAULT, "PR_SET_NAME, the NUL mismatches");
	unchecked_fill(wall - 15, 'x', 15);
	CHECK_EQ(set_name(wall - 15), 0, "PR_SET_NAME, 15 bytes without NUL");
	unchecked_fill(wall - 14, 'x', 30);
	CHECK_EQ(set_name(wall - 14), -EFAULT, "PR_SET_NAME, 14 bytes without NUL");

	put(wall - 6, "hello");
	fd = SYS(memfd_create, wall - 6, 0);
	CHECK(fd >= 0, "memfd_create(), ends right before a mismatch: %ld", fd);
	put(wall - 5, "hello");
	CHECK_EQ(SYS(memfd_create, wall - 5, 0), -EFAULT, "memfd_create(), the NUL mismatches");
	CHECK_EQ(fault.count, 0, "signals");
}

/* --- execve() ------------------------------------------------------------- */

__attribute__((constructor)) static void exec_child(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], "--echo"))
		_exit(strlen(argv[2]));
}

/*
 * Executes this program in a child, with its last argument at `text` and the array of
 * arguments at `array`. Returns the exit status, which is the length of that argument, or
 * 100 if execve() fails with EFAULT.
 */
static int exec_with(const char *program, char *text, char **array)
{
	static char option[] = "--echo";
	static char *no_environment[] = { NULL };
	char *args[] = { option, option, text, NULL };
	int status;
	pid_t pid = child_fork();

	if (pid == 0) {
		long result;

		unchecked_copy(array, args, sizeof(args));
		result = SYS(execve, program, array, no_environment);
		_exit(result == -EFAULT ? 100 : 101);
	}
	status = child_status(pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void exec_arguments(void)
{
	static char self[] = "/proc/self/exe";
	static const char text[] = "0123456789";
	char **plain, **array;
	int ahead;

	begin();
	plain = (char **)wall_area;
	for (ahead = 8; ahead <= 14; ahead++) {
		put(wall - ahead, text);
		CHECK_EQ(exec_with(self, (char *)wall - ahead, plain), ahead >= 11 ? 10 : 100,
			 "execve() with an argument of 10 and its NUL, %d bytes before a mismatch",
			 ahead);
	}
	array = (char **)(wall - 4 * sizeof(char *));
	CHECK_EQ(exec_with(self, (char *)text, array), 10,
		 "execve(), the array ends right before a mismatch");
	CHECK_EQ(exec_with(self, (char *)text, array + 1), 100,
		 "execve(), the array's NULL mismatches");
	CHECK_EQ(exec_with(self, (char *)text, (char **)wall), 100,
		 "execve(), the array mismatches");
	put(wall_area + PAGE, self);
	CHECK_EQ(exec_with((char *)wall_area + PAGE, (char *)text, plain), 10,
		 "execve(), a tagged path");
	CHECK_EQ(exec_with(with_tag(wall_area + PAGE, BAD), (char *)text, plain), 100,
		 "execve(), the path mismatches");
}

/* --- mount() -------------------------------------------------------------- */

/* Mounts a tmpfs with the options at `data`; returns its mode bits, or -errno. */
static long mount_with(const void *data)
{
	struct stat st;
	long result = SYS(mount, "none", MOUNT_POINT, "tmpfs", 0, data);

	if (result)
		return result;
	MUST(stat(MOUNT_POINT, &st) == 0, "stat");
	umount(MOUNT_POINT);
	return st.st_mode & 07777;
}

/* The kernel copies as much of a page of options as it can, and zeroes the rest. */
static void mount_options(void)
{
	static const char options[] = "size=64k,mode=0711";
	int length = sizeof(options), ahead;

	begin();
	MUST(mkdir(MOUNT_POINT, 0755) == 0 || errno == EEXIST, "mkdir");
	for (ahead = length; ahead < length + 20; ahead++) {
		unchecked_fill(wall - ahead, 0, ahead);
		put(wall - ahead, options);
		CHECK_EQ(mount_with(wall - ahead), 0711,
			 "mode of a tmpfs, options %d bytes before a mismatch", ahead);
	}
	/* Cut off in the middle of "0711": by one byte the mode is 071. */
	put(wall - (length - 2), options);
	CHECK_EQ(mount_with(wall - (length - 2)), 071,
		 "mode of a tmpfs, options cut by the mismatch");
	put(wall, options);
	CHECK_EQ(mount_with(wall), -EFAULT, "mount(), the options mismatch");
	rmdir(MOUNT_POINT);
	CHECK_EQ(fault.count, 0, "signals");
}

/* --- getdents64() --------------------------------------------------------- */

/* Entries that end before the mismatch are returned; EFAULT if not even the first does. */
static void directory_entries(void)
{
	unsigned char whole[1024];
	long total, room;
	int dir = open("/proc/self", O_RDONLY | O_DIRECTORY);

	begin();
	MUST(dir >= 0, "open a directory");
	total = SYS(getdents64, dir, whole, 400);
	MUST(total > 200, "getdents64: %ld", total);
	for (room = 0; room <= total; room++) {
		long at = 0, result;

		/* The padding after a name and its NUL is not written. */
		while (at < total) {
			const struct dirent64 *entry = (void *)(whole + at);

			if (at + (long)offsetof(struct dirent64, d_name) +
				    (long)strlen(entry->d_name) + 1 >
			    room)
				break;
			at += entry->d_reclen;
		}
		unchecked_fill(wall, WALL_FILL, 512);
		MUST(lseek(dir, 0, SEEK_SET) == 0, "lseek");
		result = SYS(getdents64, dir, wall - room, 400);
		if (!CHECK_EQ(result, at ? at : -EFAULT,
			      "getdents64(), %ld bytes before a mismatch", room))
			break;
		CHECK_EQ(first_not(wall, WALL_FILL, 512), 512,
			 "bytes from the mismatch on untouched");
		if (at)
			CHECK_EQ(((struct dirent64 *)whole)->d_ino,
				 *(volatile uint64_t *)(wall - room), "d_ino of the first entry");
	}
	CHECK_EQ(fault.count, 0, "signals");
}

PROBE(CASE(paths), CASE(name_that_arrives), CASE(other_names), CASE(exec_arguments),
      CASE(mount_options), CASE(directory_entries));
