/* SPDX-License-Identifier: MIT */
/*
 * probe: abi_kinds
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_TMPFS CONFIG_MEMFD_CREATE
 * timeout: 60
 *
 * A valid tagged pointer points to memory of each kind that section 2 of
 * Documentation/arch/arm64/tagged-address-abi.rst lists: anonymous memory, private and shared,
 * a mapped file, a memfd, /dev/zero, the heap, data, bss and the stack. read() and write() take
 * such a pointer, madvise() and mprotect() too, whatever its top byte.
 */
#include <sys/syscall.h>

#include "mte.h"

#define TEXT "sixteen letters!"
enum { LEN = sizeof(TEXT) - 1 };

static char data[2 * PROBE_PAGE] = "data";
static char bss[2 * PROBE_PAGE];

static void *top(const void *p, unsigned int byte)
{
	return (void *)((uintptr_t)untagged(p) | (uintptr_t)byte << TAG_SHIFT);
}

static void try_kind(char *p)
{
	char *page = (char *)(((uintptr_t)p + PAGE - 1) & ~(PAGE - 1)), text[LEN] = "";
	unsigned int byte;
	int fds[2];

	MUST(prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 0) == 0,
	     "PR_TAGGED_ADDR_ENABLE");
	MUST(pipe(fds) == 0, "pipe");
	for (byte = 0; byte < 256; byte += 51) { /* 0, 51 ... 255 */
		memset(p, 0, LEN);
		MUST(write(fds[1], TEXT, LEN) == LEN, "write");
		CHECK_EQ(syscall(SYS_read, fds[0], top(p, byte), LEN), LEN, "read, top byte %#x",
			 byte);
		CHECK(!memcmp(p, TEXT, LEN), "what was read, top byte %#x", byte);
		CHECK_EQ(syscall(SYS_write, fds[1], top(p, byte), LEN), LEN, "write, top byte %#x",
			 byte);
		CHECK(read(fds[0], text, LEN) == LEN && !memcmp(text, TEXT, LEN),
		      "what was written, top byte %#x", byte);
		CHECK_EQ(madvise(top(page, byte), PAGE, MADV_WILLNEED), 0,
			 "MADV_WILLNEED, top byte %#x", byte);
		CHECK_EQ(mprotect(top(page, byte), PAGE, PROT_READ | PROT_WRITE), 0,
			 "mprotect, top byte %#x", byte);
	}
}

static void *mapped(int flags, int fd)
{
	void *p = mmap(NULL, 2 * PAGE, PROT_RW, flags, fd, 0);

	MUST(p != MAP_FAILED, "mmap, flags %#x", flags);
	return p;
}

static int opened(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT, 0600);

	MUST(fd >= 0, "open %s", path);
	return fd;
}

static void private_anonymous(void)
{
	try_kind(mapped(MAP_PRIVATE | MAP_ANONYMOUS, -1));
}

static void shared_anonymous(void)
{
	try_kind(mapped(MAP_SHARED | MAP_ANONYMOUS, -1));
}

static void regular_file(void)
{
	char path[] = "/tmp/abi-kinds-XXXXXX";
	int fd = mkstemp(path);

	MUST(fd >= 0 && unlink(path) == 0 && ftruncate(fd, 2 * PAGE) == 0, "a file");
	try_kind(mapped(MAP_SHARED, fd));
	try_kind(mapped(MAP_PRIVATE, fd));
}

static void memfd(void)
{
	try_kind(mapped(MAP_SHARED, memory_file(2 * PAGE)));
}

static void dev_zero(void)
{
	int fd = opened("/dev/zero");

	try_kind(mapped(MAP_PRIVATE, fd));
	try_kind(mapped(MAP_SHARED, fd));
}

static void heap(void)
{
	char *p = sbrk(2 * PAGE);

	MUST(p != (char *)-1, "sbrk");
	try_kind(p);
}

static void data_segment(void)
{
	try_kind(data);
}

static void bss_segment(void)
{
	try_kind(bss);
}

static void stack(void)
{
	char here[2 * PROBE_PAGE];

	try_kind(here);
}

PROBE(CASE(private_anonymous), CASE(shared_anonymous), CASE(regular_file), CASE(memfd),
      CASE(dev_zero), CASE(heap), CASE(data_segment), CASE(bss_segment), CASE(stack));
