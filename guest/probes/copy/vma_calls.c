/* SPDX-License-Identifier: MIT */
/*
 * probe: vma_calls
 * needs: CONFIG_PROC_PAGE_MONITOR CONFIG_MEMCG
 * cases: CONFIG_SECRETMEM secret_memory
 * newer: 6.13 662df3e5c376 guard_pages; 6.11 9651fcedf7b9 droppable
 * newer: 6.10 8be7258aad44 sealed; 6.17 d23cb648e365 move_several
 * newer: 6.5 b758fe6df50d secret_memory
 * timeout: 60
 *
 * Calls that are newer than MTE, or that MTE knows nothing of: guard pages (MADV_GUARD_INSTALL),
 * memory that may be dropped (MAP_DROPPABLE), sealed memory (mseal()), one mremap() of several
 * VMAs, and memfd_secret(), whose pages may not have tags, as the kernel does not map them.
 */
#include <sys/mman.h>
#include <sys/syscall.h>

#include "fault.h"
#include "stale.h"
#include "swap.h"

#define PAGES 16
#define LEN   (PAGES * PAGE)

/* include/uapi/asm-generic/mman-common.h, mman.h, unistd.h */
enum { GUARD_INSTALL = 102, GUARD_REMOVE = 103, DROPPABLE = 8 };
enum { SYS_SEAL = 462, SYS_SECRET = 447 };

static char *start(uint64_t seed)
{
	pin_cpu(0);
	memcg_enter();
	return tagged_map(LEN, seed);
}

/* A guard takes the pages below it; without it there are new ones. Its neighbours stay. */
static void guard_pages(void)
{
	char *p = start(1), *middle = p + 4 * PAGE;
	size_t len = 8 * PAGE, i;

	MUST(madvise(middle, len, GUARD_INSTALL) == 0, "MADV_GUARD_INSTALL");
	catch_signal(SIGSEGV, 0);
	fault_skip_access_faults = true;
	for (i = 0; i < len; i += PAGE) {
		fault_reset();
		load_byte(middle + i);
		CHECK(fault.count == 1 && fault.code != SEGV_MTESERR,
		      "a load from a guard page: %d faults, si_code %d", fault.count, fault.code);
	}
	fault_skip_access_faults = false;
	stale_fill(STALE_SMALL, false);
	MUST(madvise(middle, len, GUARD_REMOVE) == 0, "MADV_GUARD_REMOVE");
	touch_write(middle, len);
	need_stale(middle, len, "after the guard");
	tags_zero_check(middle, len, "after the guard");
	pattern_check(p, 4 * PAGE, 1, "before the guard");
	pattern_check_from(middle + len, 4 * PAGE, 1, 12 * PAGE / GRANULE, "behind the guard");
}

/* A page that was dropped has neither data nor tags; one that was not has both. */
static void droppable(void)
{
	size_t i, kept = 0, dropped = 0;
	char *p;

	mte_need();
	pin_cpu(0);
	memcg_enter();
	p = mmap(NULL, LEN, PROT_RW | PROT_MTE, DROPPABLE | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED, "mmap(MAP_DROPPABLE)");
	MUST(madvise(p, LEN, MADV_NOHUGEPAGE) == 0, "MADV_NOHUGEPAGE");
	pattern_set(p, LEN, 2);
	pattern_check(p, LEN, 2, "droppable");
	for (i = 0; i < PAGES / 2; i++)
		MUST(madvise(p + 2 * i * PAGE, PAGE, MADV_PAGEOUT) == 0, "MADV_PAGEOUT");
	for (i = 0; i < PAGES; i++) {
		char *page = p + i * PAGE;

		if (page_present(page)) {
			pattern_check_from(page, PAGE, 2, i * PAGE / GRANULE, "kept");
			kept++;
		} else {
			touch_write(page, PAGE);
			tags_zero_check(page, PAGE, "dropped");
			dropped++;
		}
	}
	NEED(kept && dropped, "%zu pages were kept and %zu dropped", kept, dropped);
}

static void sealed(void)
{
	char *p = start(3);

	MUST(syscall(SYS_SEAL, p, LEN, 0) == 0, "mseal");
	CHECK(mprotect(p, LEN, PROT_READ | PROT_MTE) == -1 && errno == EPERM,
	      "mprotect() of sealed memory did not fail with EPERM");
	CHECK(smaps_flag(p, "mt"), "VmFlags of sealed memory have no mt");
	pattern_check(p, LEN, 3, "sealed");
	pattern_set(p, LEN, 4);
	pattern_check(p, LEN, 4, "tagged while sealed");
}

/* One call moves a VMA with tags, one without, and one with; each keeps what it has. */
static void move_several(void)
{
	char *p = start(5), *to, *plain = p + 4 * PAGE;

	to = mmap(NULL, LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(to != MAP_FAILED, "mmap");
	MUST(mmap(plain, 4 * PAGE, PROT_RW, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
		     plain,
	     "mmap of plain pages");
	memset(plain, 7, 4 * PAGE);
	MUST(mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to, "mremap of three VMAs");
	pattern_check(to, 4 * PAGE, 5, "the first VMA");
	pattern_check_from(to + 8 * PAGE, 8 * PAGE, 5, 8 * PAGE / GRANULE, "the third VMA");
	CHECK(smaps_flag(to, "mt"), "VmFlags of the first VMA have no mt");
	CHECK(!smaps_flag(to + 4 * PAGE, "mt"), "VmFlags of the plain VMA have mt");
	CHECK(smaps_flag(to + 8 * PAGE, "mt"), "VmFlags of the third VMA have no mt");
	CHECK(to[4 * PAGE] == 7 && to[8 * PAGE - 1] == 7, "data of the plain VMA");
}

static void secret_memory(void)
{
	int fd;
	char *p;

	mte_need();
	fd = (int)syscall(SYS_SECRET, 0);
	MUST(fd >= 0 && ftruncate(fd, PAGE) == 0, "memfd_secret");
	CHECK(mmap(NULL, PAGE, PROT_RW | PROT_MTE, MAP_SHARED, fd, 0) == MAP_FAILED &&
		      errno == EINVAL,
	      "mmap(PROT_MTE) of secret memory did not fail with EINVAL");
	p = mmap(NULL, PAGE, PROT_RW, MAP_SHARED, fd, 0);
	MUST(p != MAP_FAILED, "mmap of secret memory");
	*p = 7;
	CHECK(mprotect(p, PAGE, PROT_RW | PROT_MTE) == -1 && errno == EINVAL,
	      "mprotect(PROT_MTE) of secret memory did not fail with EINVAL");
	CHECK(*p == 7, "secret memory has %d, expected 7", *p);
}

PROBE(CASE(guard_pages), CASE(droppable), CASE(sealed), CASE(move_several), CASE(secret_memory));
