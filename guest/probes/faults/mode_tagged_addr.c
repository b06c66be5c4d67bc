/* SPDX-License-Identifier: MIT */
/*
 * probe: mode_tagged_addr
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI
 * timeout: 30
 *
 * System calls accept tagged pointers of a thread that requested this with
 * PR_TAGGED_ADDR_ENABLE, and of no other. Calls on address ranges follow the list in
 * Documentation/arch/arm64/tagged-address-abi.rst. arch/arm64/include/asm/uaccess.h
 * access_ok(); process.c set_tagged_addr_ctrl(), get_tagged_addr_ctrl(); mm/mprotect.c,
 * madvise.c, mmap.c, mremap.c, mlock.c, mincore.c untagged_addr().
 */
#include <pthread.h>
#include <sys/uio.h>

#include "modes.h"

static int zero_fd;

/* A page whose first granule has tag 3; the pointer has that tag. */
static char *start(void)
{
	mte_need();
	zero_fd = open("/dev/zero", O_RDWR);
	MUST(zero_fd >= 0, "open /dev/zero");
	return with_tag(mode_granule(), 3);
}

static void check_syscalls(char *p, bool on)
{
	struct iovec iov = { p, 16 };
	const char *abi = on ? "on" : "off";
	int fds[2] = { -1, -1 }, out;

	errno = 0;
	CHECK_EQ(read(zero_fd, p, 16), on ? 16 : -1, "read, ABI %s", abi);
	CHECK_EQ(errno, on ? 0 : EFAULT, "errno of read, ABI %s", abi);
	MUST(pipe(fds) == 0, "pipe");
	errno = 0;
	CHECK_EQ(write(fds[1], p, 16), on ? 16 : -1, "write to a pipe, ABI %s", abi);
	CHECK_EQ(errno, on ? 0 : EFAULT, "errno of write, ABI %s", abi);
	errno = 0;
	CHECK_EQ(readv(zero_fd, &iov, 1), on ? 16 : -1, "readv, ABI %s", abi);
	CHECK_EQ(errno, on ? 0 : EFAULT, "errno of readv, ABI %s", abi);
	errno = 0;
	CHECK_EQ(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, p), on ? 0 : -1,
		 "clock_gettime, ABI %s", abi);
	CHECK_EQ(errno, on ? 0 : EFAULT, "errno of clock_gettime, ABI %s", abi);
	out = syscall(SYS_pipe2, p, 0);
	CHECK_EQ(out, on ? 0 : -1, "pipe2, ABI %s", abi);
	if (out == 0) {
		close(((int *)p)[0]);
		close(((int *)p)[1]);
	}
	close(fds[0]);
	close(fds[1]);
}

static void off_by_default_and_on_by_request(void)
{
	char *p = start();

	CHECK_EQ(get_ctrl() & PR_TAGGED_ADDR_ENABLE, 0, "PR_TAGGED_ADDR_ENABLE at the start");
	check_syscalls(p, false);
	MUST(set_ctrl(PR_TAGGED_ADDR_ENABLE) == 0, "PR_SET");
	check_syscalls(p, true);
	MUST(set_ctrl(0) == 0, "PR_SET 0");
	check_syscalls(p, false);
	/* Setting a checking mode does not enable the ABI. */
	MUST(set_ctrl(TCF_SYNC | PR_MTE_TAG_MASK) == 0, "PR_SET");
	check_syscalls(p, false);
	must_set(TCF_SYNC, INCLUDE_ALL);
	check_syscalls(p, true);
}

/* The kernel ignores all eight bits of a pointer's top byte, not only the four of the tag. */
static void whole_top_byte(void)
{
	char *p = start();
	unsigned int top;

	MUST(set_ctrl(PR_TAGGED_ADDR_ENABLE) == 0, "PR_SET");
	for (top = 0; top < 256; top++) {
		char *q = (char *)((uintptr_t)untagged(p) | (uintptr_t)top << TAG_SHIFT);

		CHECK_EQ(read(zero_fd, q, 16), 16, "read to a pointer with top byte %#x", top);
	}
	/* Bit 55 is not part of the tag: it makes this a kernel address. */
	CHECK_EQ(read(zero_fd, (char *)((uintptr_t)p | 1UL << 55), 16), -1,
		 "read to a kernel address");
}

static void *other_thread(void *arg)
{
	check_syscalls(arg, false);
	MUST(set_ctrl(PR_TAGGED_ADDR_ENABLE) == 0, "PR_SET");
	check_syscalls(arg, true);
	return NULL;
}

static void belongs_to_the_thread(void)
{
	char *p = start();
	pthread_t id;

	MUST(pthread_create(&id, NULL, other_thread, p) == 0, "pthread_create");
	pthread_join(id, NULL);
	check_syscalls(p, false);
}

/*
 * Calls on ranges accept tagged addresses with the tagged address ABI on or off
 * (Documentation/arch/arm64/tagged-address-abi.rst, section 2).
 */
static void range_calls(void)
{
	char *base, *p;
	unsigned char vec[4];
	int on;

	start();
	for (on = 0; on < 2; on++) {
		MUST(set_ctrl(on ? PR_TAGGED_ADDR_ENABLE : 0) == 0, "PR_SET");
		base = mte_map(4 * PAGE);
		p = with_tag(base, 7);
		memset(base, 1, 4 * PAGE);
		CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_MTE), 0, "mprotect, ABI %d", on);
		CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_MTE), 0,
			 "mprotect, ABI %d", on);
		CHECK_EQ(mlock(p, PAGE), 0, "mlock, ABI %d", on);
		CHECK_EQ(munlock(p, PAGE), 0, "munlock, ABI %d", on);
		CHECK_EQ(msync(p, PAGE, MS_ASYNC), 0, "msync, ABI %d", on);
		CHECK_EQ(mincore(p, 4 * PAGE, vec), 0, "mincore, ABI %d", on);
		CHECK_EQ(madvise(p, PAGE, MADV_DONTNEED), 0, "madvise, ABI %d", on);
		CHECK_EQ(base[0], 0, "the first byte after MADV_DONTNEED");
		CHECK_EQ(munmap(p + 3 * PAGE, PAGE), 0, "munmap, ABI %d", on);
		CHECK_EQ(mincore(base + 3 * PAGE, PAGE, vec), -1, "mincore of what was unmapped");
		munmap(base, 3 * PAGE);
	}
}

/* These calls refuse tagged addresses with the ABI on or off. */
static void addresses_of_new_mappings(void)
{
	char *base = start(), *p;

	MUST(set_ctrl(PR_TAGGED_ADDR_ENABLE) == 0, "PR_SET");
	base = mte_map(2 * PAGE);
	p = with_tag(base, 7);
	CHECK(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
		      MAP_FAILED,
	      "mmap(MAP_FIXED) at a tagged address");
	CHECK(mremap(base, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, with_tag(base + PAGE, 7)) ==
		      MAP_FAILED,
	      "mremap() to a tagged address");
	base[0] = 5;
	CHECK(mremap(with_tag(base, 7), PAGE, PAGE, 0) == base, "mremap() of a tagged address");
	CHECK_EQ(base[0], 5, "the byte after mremap()");
}

PROBE(CASE(off_by_default_and_on_by_request), CASE(whole_top_byte), CASE(belongs_to_the_thread),
      CASE(range_calls), CASE(addresses_of_new_mappings));
