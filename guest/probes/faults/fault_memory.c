/* SPDX-License-Identifier: MIT */
/*
 * probe: fault_memory
 * needs: CONFIG_ARM64_MTE CONFIG_TMPFS CONFIG_TRANSPARENT_HUGEPAGE
 * timeout: 60
 *
 * Accesses to every kind of PROT_MTE memory are checked, those of the thread and those of
 * the kernel, whether mmap() or mprotect() set PROT_MTE. PROT_MTE stays when mprotect()
 * does not name it, and is gone when the mapping is replaced.
 * arch/arm64/include/asm/mman.h arch_calc_vm_prot_bits(); arch/arm64/mm/mmap.c
 * vm_get_page_prot().
 */
#include "fault.h"
#include "thp.h"

static int pipe_fds[2];

static void begin(void)
{
	mte_need();
	catch_signal(SIGSEGV, 0);
	MUST(pipe(pipe_fds) == 0, "pipe");
	mte_mode(TCF_SYNC);
}

/* Tags the granule at p; checks that accesses of the thread and the kernel are checked. */
static void check_checked(const char *what, unsigned char *p)
{
	stg(p, GOOD);
	CHECK_EQ(ldg(p), GOOD, "%s: tag", what);
	fault_reset();
	store_byte(with_tag(p, GOOD));
	load_byte(with_tag(p, GOOD));
	CHECK_EQ(fault.count, 0, "%s, tags match: signals", what);
	load_byte(with_tag(p, BAD));
	CHECK_EQ(fault.count, 1, "%s, tags differ: signals of a load", what);
	store_byte(with_tag(p, BAD));
	CHECK_EQ(fault.count, 2, "%s, tags differ: signals of a store", what);
	CHECK_EQ(fault.code, SEGV_MTESERR, "%s: si_code", what);
	CHECK_EQ(SYS(write, pipe_fds[1], with_tag(p, BAD), 8), -EFAULT, "%s: write() from it",
		 what);
	CHECK_EQ(SYS(write, pipe_fds[1], with_tag(p, GOOD), 8), 8, "%s: write() from it", what);
	CHECK_EQ(SYS(read, pipe_fds[0], with_tag(p, BAD), 8), -EFAULT, "%s: read() into it", what);
	CHECK_EQ(SYS(read, pipe_fds[0], with_tag(p, GOOD), 8), 8, "%s: read() into it", what);
}

static void check_unchecked(const char *what, unsigned char *p)
{
	fault_reset();
	load_byte(with_tag(p, BAD));
	store_byte(with_tag(p, BAD));
	CHECK_EQ(fault.count, 0, "%s: signals", what);
	CHECK_EQ(SYS(write, pipe_fds[1], with_tag(p, BAD), 8), 8, "%s: write() from it", what);
	CHECK_EQ(SYS(read, pipe_fds[0], with_tag(p, BAD), 8), 8, "%s: read() into it", what);
}

static int tmpfs_file(void)
{
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);

	MUST(fd >= 0 && ftruncate(fd, 4 * PAGE) == 0, "file on tmpfs");
	return fd;
}

static void kinds(void)
{
	const struct {
		const char *name;
		int flags, fd;
	} ways[] = {
		{ "private", MAP_PRIVATE | MAP_ANONYMOUS, -1 },
		{ "shared", MAP_SHARED | MAP_ANONYMOUS, -1 },
		{ "populated", MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1 },
		{ "stack", MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1 },
		{ "memfd, shared", MAP_SHARED, memory_file(4 * PAGE) },
		{ "memfd, private", MAP_PRIVATE, memory_file(4 * PAGE) },
		{ "tmpfs file, shared", MAP_SHARED, tmpfs_file() },
		{ "tmpfs file, private", MAP_PRIVATE, tmpfs_file() },
	};
	unsigned int i;

	begin();
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		unsigned char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_MTE,
					ways[i].flags, ways[i].fd, 0);

		if (!CHECK(p != MAP_FAILED, "%s: mmap(PROT_MTE): %s", ways[i].name,
			   strerror(errno)))
			continue;
		check_checked(ways[i].name, p);
		check_checked(ways[i].name, p + PAGE + 512);
		munmap(p, 2 * PAGE);
		/* The same with mprotect() of populated pages. */
		p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, ways[i].flags, ways[i].fd, PAGE);
		MUST(p != MAP_FAILED, "mmap");
		check_unchecked(ways[i].name, p);
		CHECK_EQ(mprotect(p, 2 * PAGE, PROT_READ | PROT_WRITE | PROT_MTE), 0,
			 "%s: mprotect(PROT_MTE)", ways[i].name);
		check_checked(ways[i].name, p);
		check_checked(ways[i].name, p + PAGE);
		munmap(p, 2 * PAGE);
	}
}

/* A huge page is mapped by one entry: accesses to each part of it are checked. */
static void transparent_huge_page(void)
{
	size_t huge = HUGE;
	unsigned char *p;

	begin();
	p = mte_map_aligned(huge, huge, PROT_READ | PROT_WRITE | PROT_MTE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1);
	MUST(madvise(p, huge, MADV_HUGEPAGE) == 0, "madvise(MADV_HUGEPAGE)");
	check_checked("first page", p);
	check_checked("a page in the middle", p + huge / 2 + 48);
	check_checked("last granule", p + huge - GRANULE);
}

static void prot_mte_stays(void)
{
	unsigned char *p;

	begin();
	p = mte_map(2 * PAGE);
	check_checked("mapped", p);
	CHECK_EQ(mprotect(p, PAGE, PROT_READ), 0, "mprotect(PROT_READ)");
	fault_reset();
	load_byte(with_tag(p, BAD));
	CHECK_EQ(fault.count, 1, "read-only without PROT_MTE: signals of a bad load");
	load_byte(with_tag(p, GOOD));
	CHECK_EQ(fault.count, 1, "read-only without PROT_MTE: signals after a good load");
	CHECK_EQ(mprotect(p, PAGE, PROT_READ | PROT_WRITE), 0, "mprotect(PROT_READ | PROT_WRITE)");
	check_checked("after mprotect() without PROT_MTE", p);
	/* A new mapping at the same address does not have PROT_MTE. */
	MUST(mmap(p, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		  0) == p,
	     "mmap(MAP_FIXED)");
	check_unchecked("mapped over without PROT_MTE", p);
	check_checked("the page behind it", p + PAGE);
}

PROBE(CASE(kinds), CASE(transparent_huge_page), CASE(prot_mte_stays));
