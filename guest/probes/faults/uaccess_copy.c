/* SPDX-License-Identifier: MIT */
/*
 * probe: uaccess_copy
 * needs: CONFIG_ARM64_MTE CONFIG_UNIX CONFIG_TMPFS CONFIG_CROSS_MEMORY_ATTACH
 * timeout: 60
 *
 * read(), write() and their vector forms with a buffer that runs into a mismatching
 * granule: pipes and sockets transfer a piece whole or not at all and lose no data; files
 * transfer exactly the bytes that match; vectors end in the element that mismatches; later
 * pages are checked like the first. The kernel's accesses to another process, or through
 * pinned pages, are not checked. lib/iov_iter.c; arch/arm64/lib/copy_{from,to}_user.S;
 * mm/process_vm_access.c.
 */
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "uaccess.h"

static unsigned char pattern[WALL_PAGES * PAGE], got[WALL_PAGES * PAGE];
static int fds[2]; /* a pipe, not blocking */

static void begin(size_t wall_offset)
{
	size_t i;

	mte_need();
	catch_signal(SIGSEGV, 0);
	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = 1 + i % 251;
	MUST(pipe2(fds, O_NONBLOCK) == 0, "pipe2");
	wall_build(wall_offset);
	unchecked_copy(wall_area, pattern, sizeof(pattern));
	mte_mode(TCF_SYNC);
}

static int queued(int fd)
{
	int n = -1;

	MUST(ioctl(fd, FIONREAD, &n) == 0, "FIONREAD");
	return n;
}

static int pattern_file(void)
{
	int fd = memfd_create("uaccess_copy", 0);

	MUST(fd >= 0 && pwrite(fd, pattern, sizeof(pattern), 0) == sizeof(pattern), "memfd");
	return fd;
}

/* --- pipes ---------------------------------------------------------------- */

static void pipe_write(void)
{
	size_t good;

	begin(PAGE);
	for (good = 0; good <= 80; good++) {
		unsigned char *from = wall - good;

		CHECK_EQ(SYS(write, fds[1], from, good + 9), -EFAULT,
			 "write() of %zu bytes of which %zu match", good + 9, good);
		CHECK_EQ(queued(fds[0]), 0, "bytes in the pipe after it");
		if (!good)
			continue;
		CHECK_EQ(SYS(write, fds[1], from, good), good, "write() of %zu bytes that match",
			 good);
		/* As the pipe is not empty now, the data would be merged into its last buffer. */
		CHECK_EQ(SYS(write, fds[1], from, good + 9), -EFAULT,
			 "second write() of %zu bytes of which %zu match", good + 9, good);
		CHECK_EQ(queued(fds[0]), good, "bytes in the pipe after it");
		memset(got, 0, good);
		MUST(read(fds[0], got, sizeof(got)) == (ssize_t)good, "read");
		CHECK_EQ(first_difference(got, pattern + PAGE - good, good), good,
			 "right bytes transferred");
	}
	CHECK_EQ(fault.count, 0, "signals");
}

/* A read() that fails leaves the data in the pipe. */
static void pipe_read(void)
{
	size_t good;

	begin(PAGE);
	for (good = 0; good <= 80; good++) {
		size_t n = good + 9;

		unchecked_fill(wall, WALL_FILL, 64);
		MUST(write(fds[1], pattern, n) == (ssize_t)n, "write");
		CHECK_EQ(SYS(read, fds[0], wall - good, n), -EFAULT,
			 "read() of %zu bytes of which %zu match", n, good);
		CHECK_EQ(first_not(wall, WALL_FILL, 64), 64, "bytes of the mismatch untouched");
		CHECK_EQ(queued(fds[0]), n, "bytes in the pipe after it");
		CHECK_EQ(SYS(read, fds[0], wall - n, n), n, "read() of %zu bytes that match", n);
		CHECK_EQ(first_difference(wall - n, pattern, n), n, "right bytes transferred");
	}
	CHECK_EQ(fault.count, 0, "signals");
}

/* --- sockets -------------------------------------------------------------- */

static void socket_both_ways(void)
{
	int s[2];
	size_t good;

	begin(PAGE);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0, "socketpair");
	for (good = 0; good <= 70; good++) {
		size_t n = good + 5;

		unchecked_copy(wall_area, pattern, 2 * PAGE);
		CHECK_EQ(SYS(sendto, s[0], wall - good, n, 0, 0, 0), -EFAULT,
			 "send() of %zu bytes of which %zu match", n, good);
		CHECK_EQ(queued(s[1]), 0, "bytes queued after it");
		MUST(write(s[0], pattern, n) == (ssize_t)n, "write");
		unchecked_fill(wall, WALL_FILL, 64);
		CHECK_EQ(SYS(recvfrom, s[1], wall - good, n, 0, 0, 0), -EFAULT,
			 "recv() of %zu bytes of which %zu match", n, good);
		CHECK_EQ(first_not(wall, WALL_FILL, 64), 64, "bytes of the mismatch untouched");
		CHECK_EQ(SYS(recvfrom, s[1], wall - n, n, 0, 0, 0), n,
			 "recv() of %zu bytes that match", n);
		CHECK_EQ(first_difference(wall - n, pattern, n), n, "right bytes transferred");
	}
	CHECK_EQ(fault.count, 0, "signals");
}

/* --- several pages -------------------------------------------------------- */

/* The mismatch is in the second, third or fourth page that is copied. */
static void later_pages(void)
{
	static const size_t places[] = { PAGE,	   PAGE + GRANULE,     2 * PAGE - GRANULE,
					 2 * PAGE, 3 * PAGE - GRANULE, 3 * PAGE + 512 };
	unsigned int i, start;
	int file;

	begin(PAGE);
	file = pattern_file();
	for (i = 0; i < ARRAY_SIZE(places); i++)
		for (start = 0; start < 14; start += 13) {
			size_t n = WALL_PAGES * PAGE - start, good = places[i] - start;
			unsigned char *from;
			long result;

			wall_build(places[i]);
			unchecked_copy(wall_area, pattern, sizeof(pattern));
			from = wall_area + start;

			CHECK_EQ(SYS(pwrite64, file, from, n, start), good,
				 "write() from %u, mismatch at %zu", start, places[i]);
			result = SYS(write, fds[1], from, n);
			/* A pipe takes a page at a time, each whole or not at all. */
			CHECK_EQ(result, good >= PAGE ? (long)(good / PAGE * PAGE) : -EFAULT,
				 "pipe write() from %u, mismatch at %zu", start, places[i]);
			if (result > 0) {
				CHECK_EQ(queued(fds[0]), result, "bytes in the pipe");
				MUST(read(fds[0], got, sizeof(got)) == result, "read");
				CHECK_EQ(first_difference(got, pattern + start, result), result,
					 "right bytes through the pipe");
			}
			unchecked_fill(wall_area, WALL_FILL, WALL_PAGES * PAGE);
			CHECK_EQ(SYS(pread64, file, from, n, start), good,
				 "read() to %u, mismatch at %zu", start, places[i]);
			CHECK_EQ(first_difference(from, pattern + start, good), good,
				 "bytes that were read");
			CHECK_EQ(first_not(wall, WALL_FILL, wall_area + WALL_PAGES * PAGE - wall),
				 wall_area + WALL_PAGES * PAGE - wall,
				 "bytes from the mismatch on untouched");
			munmap(untagged(wall_area), WALL_PAGES * PAGE);
		}
	CHECK_EQ(fault.count, 0, "signals");
}

/* --- vectors -------------------------------------------------------------- */

enum { FIRST = 10, REACH = 7, LAST = 5 };

/* A vector of three elements; of the second only the first REACH bytes match. */
static size_t bad_second(struct iovec *v)
{
	v[0] = (struct iovec){ wall_area, FIRST };
	v[1] = (struct iovec){ wall - REACH, REACH + 20 };
	v[2] = (struct iovec){ wall_area + 256, LAST };
	return FIRST + REACH;
}

static size_t bad_first(struct iovec *v)
{
	v[0] = (struct iovec){ wall, FIRST };
	v[1] = (struct iovec){ wall_area, 20 };
	v[2] = (struct iovec){ wall_area + 256, LAST };
	return 0;
}

static size_t bad_last(struct iovec *v)
{
	v[0] = (struct iovec){ wall_area, FIRST };
	v[1] = (struct iovec){ wall_area + 64, 20 };
	v[2] = (struct iovec){ with_tag(wall_area + 256, BAD), LAST };
	return FIRST + 20;
}

static void vectors(void)
{
	static size_t (*const makers[])(struct iovec *) = { bad_first, bad_second, bad_last };
	unsigned int i;
	int file;

	begin(PAGE);
	file = pattern_file();
	for (i = 0; i < 3; i++) {
		struct iovec v[3], remote = { got, 100 };
		size_t good = makers[i](v);
		long want = good ? (long)good : -EFAULT;
		unsigned char first[FIRST];

		unchecked_copy(wall_area, pattern, sizeof(pattern));
		CHECK_EQ(SYS(pwritev, file, v, 3, 0, 0), want, "pwritev() of vector %u", i);
		CHECK_EQ(SYS(writev, fds[1], v, 3), -EFAULT, "writev() of vector %u to a pipe", i);
		CHECK_EQ(queued(fds[0]), 0, "bytes in the pipe");
		CHECK_EQ(SYS(process_vm_writev, getpid(), v, 3, &remote, 1, 0), want,
			 "process_vm_writev() of vector %u", i);
		MUST(pwrite(file, pattern, PAGE, 0) == PAGE, "pwrite");
		unchecked_fill(wall_area, WALL_FILL, sizeof(pattern));
		CHECK_EQ(SYS(preadv, file, v, 3, 0, 0), want, "preadv() of vector %u", i);
		if (good >= FIRST) {
			unchecked_copy(first, v[0].iov_base, FIRST);
			CHECK_EQ(first_difference(first, pattern, FIRST), FIRST,
				 "bytes of the first element");
			CHECK_EQ(first_not(v[0].iov_base + FIRST, WALL_FILL, 16), 16,
				 "bytes behind the first element untouched");
		}
		CHECK_EQ(first_not(wall, WALL_FILL, 32), 32, "bytes of the mismatch untouched");
		CHECK_EQ(first_not(wall_area + 256, WALL_FILL, LAST), LAST,
			 "last element untouched");
	}
	CHECK_EQ(fault.count, 0, "signals");
}

/* The remote side is another process's memory: its tags are not checked. */
static void remote_side_is_not_checked(void)
{
	struct iovec local = { got, 100 }, remote;

	begin(PAGE);
	remote = (struct iovec){ wall - 50, 100 };
	CHECK_EQ(SYS(process_vm_readv, getpid(), &local, 1, &remote, 1, 0), 100,
		 "process_vm_readv() over a mismatch on the remote side");
	CHECK_EQ(first_difference(got, pattern + PAGE - 50, 100), 100, "right bytes transferred");
	memset(got, 0x33, 100);
	CHECK_EQ(SYS(process_vm_writev, getpid(), &local, 1, &remote, 1, 0), 100,
		 "process_vm_writev() over a mismatch on the remote side");
	CHECK_EQ(first_not(wall - 50, 0x33, 100), 100, "right bytes transferred");
	local = (struct iovec){ with_tag(wall_area, BAD), 100 };
	remote = (struct iovec){ wall_area + 512, 100 };
	CHECK_EQ(SYS(process_vm_readv, getpid(), &local, 1, &remote, 1, 0), -EFAULT,
		 "process_vm_readv() with a mismatch on the local side");
	CHECK_EQ(SYS(process_vm_writev, getpid(), &local, 1, &remote, 1, 0), -EFAULT,
		 "process_vm_writev() with a mismatch on the local side");
	CHECK_EQ(fault.count, 0, "signals");
}

/* Pinned pages are read through the kernel's own mapping, without checks. */
static void pinned_pages_are_not_checked(void)
{
	struct iovec v;

	begin(PAGE);
	v = (struct iovec){ with_tag(wall_area, BAD), 100 };
	CHECK_EQ(SYS(vmsplice, fds[1], &v, 1, 0), 100, "vmsplice() of a mismatching buffer");
	MUST(read(fds[0], got, sizeof(got)) == 100, "read");
	CHECK_EQ(first_difference(got, pattern, 100), 100, "right bytes transferred");
}

/* In asynchronous mode and in mode none each of these calls succeeds in full. */
static void unchecked_modes(void)
{
	static const unsigned long modes[] = { TCF_ASYNC, TCF_NONE };
	int i, file;

	begin(PAGE + 2048);
	file = pattern_file();
	for (i = 0; i < 2; i++) {
		size_t n = 2 * PAGE + 100;

		mte_mode(modes[i]);
		unchecked_copy(wall_area, pattern, sizeof(pattern));
		CHECK_EQ(SYS(pwrite64, file, wall_area + 3, n, 3), n, "write() in mode %#lx",
			 modes[i]);
		CHECK_EQ(SYS(write, fds[1], wall_area + 3, n), n, "pipe write() in mode %#lx",
			 modes[i]);
		unchecked_fill(wall_area, WALL_FILL, sizeof(pattern));
		CHECK_EQ(SYS(read, fds[0], wall_area + 3, n), n, "pipe read() in mode %#lx",
			 modes[i]);
		CHECK_EQ(first_difference(wall_area + 3, pattern + 3, n), n,
			 "right bytes transferred");
		unchecked_fill(wall_area, WALL_FILL, sizeof(pattern));
		CHECK_EQ(SYS(pread64, file, wall_area + 3, n, 3), n, "read() in mode %#lx",
			 modes[i]);
		CHECK_EQ(first_difference(wall_area + 3, pattern + 3, n), n,
			 "bytes that were read");
		kernel_entry();
	}
	CHECK_EQ(fault.count, 0, "signals");
}

PROBE(CASE(pipe_write), CASE(pipe_read), CASE(socket_both_ways), CASE(later_pages), CASE(vectors),
      CASE(remote_side_is_not_checked), CASE(pinned_pages_are_not_checked), CASE(unchecked_modes));
