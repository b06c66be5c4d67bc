/* SPDX-License-Identifier: MIT */
/*
 * probe: zero_mprotect
 * needs: CONFIG_PROC_PAGE_MONITOR
 * cases: CONFIG_TRANSPARENT_HUGEPAGE huge_page
 * timeout: 60
 *
 * Populated memory that becomes PROT_MTE has tag 0 everywhere, in stale frames, and keeps
 * its data. Exercises pte_modify(), which must change the memory type of a present page,
 * and __sync_cache_and_tags() and mte_sync_tags(), which clear the tags once: of a page
 * that became PROT_MTE while it was PROT_NONE, when it becomes accessible.
 */
#include "child.h"
#include "fault.h"
#include "stale.h"

#define LEN (48 * PAGE)

static char *plain_map(int flags)
{
	char *p;

	mte_need();
	pin_cpu(0);
	stale_fill(STALE_SMALL, false);
	p = mmap(NULL, LEN, PROT_RW, flags | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED, "mmap");
	madvise(p, LEN, MADV_NOHUGEPAGE);
	pattern_set_data(p, LEN, 6);
	need_stale(p, LEN, "plain memory");
	return p;
}

static void protect(char *p, size_t len, int prot)
{
	MUST(mprotect(p, len, prot) == 0, "mprotect(prot %#x)", prot);
}

static void check_tagged(char *p, const char *when)
{
	tags_zero_check(p, LEN, when);
	pattern_check_data(p, LEN, 6, when);
	pattern_set(p, LEN, 8);
	pattern_check(p, LEN, 8, when);
}

static void private_memory(void)
{
	char *p = plain_map(MAP_PRIVATE);

	protect(p, LEN, PROT_RW_MTE);
	check_tagged(p, "mprotect(PROT_MTE)");
}

static void shared_memory(void)
{
	char *p = plain_map(MAP_SHARED);

	protect(p, LEN, PROT_RW_MTE);
	check_tagged(p, "mprotect(PROT_MTE) of shared memory");
}

static void through_none(void)
{
	char *p = plain_map(MAP_PRIVATE);

	protect(p, LEN, PROT_NONE | PROT_MTE);
	protect(p, LEN, PROT_RW_MTE);
	check_tagged(p, "through PROT_NONE | PROT_MTE");
}

static void through_exec(void)
{
	char *p = plain_map(MAP_PRIVATE);

	protect(p, LEN, PROT_EXEC | PROT_MTE);
	protect(p, LEN, PROT_RW_MTE);
	check_tagged(p, "through PROT_EXEC | PROT_MTE");
}

/* Tags of a read-only page can be loaded, so they must be cleared at once. */
static void through_read_only(void)
{
	char *p = plain_map(MAP_PRIVATE);

	protect(p, LEN, PROT_READ | PROT_MTE);
	tags_zero_check(p, LEN, "PROT_READ | PROT_MTE");
	protect(p, LEN, PROT_RW_MTE);
	check_tagged(p, "through PROT_READ | PROT_MTE");
}

/* mprotect() cannot remove VM_MTE (mm/mprotect.c), so tags survive all protections. */
static void tags_stay(void)
{
	static const int prots[] = { PROT_READ,
				     PROT_NONE,
				     PROT_RW,
				     PROT_READ | PROT_EXEC,
				     PROT_NONE | PROT_MTE,
				     PROT_EXEC,
				     PROT_READ | PROT_MTE };
	char *p;
	size_t i;

	mte_need();
	p = mte_map(LEN);
	pattern_set(p, LEN, 9);
	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		protect(p, LEN, prots[i]);
		CHECK(smaps_flag(p, "mt"), "mprotect(%#x) removed VM_MTE", prots[i]);
		if (prots[i] & PROT_READ)
			pattern_check(p, LEN, 9, "under another protection");
		protect(p, LEN, PROT_RW);
		pattern_check(p, LEN, 9, "back to PROT_READ | PROT_WRITE");
	}
}

/* mprotect() of a part: the rest of the old VMA stays untagged memory. */
static void middle_of_vma(void)
{
	char *p = plain_map(MAP_PRIVATE), *mid = p + 16 * PAGE;

	protect(mid, 16 * PAGE, PROT_RW_MTE);
	CHECK(!smaps_flag(p, "mt"), "VM_MTE before the range");
	CHECK(smaps_flag(mid, "mt"), "no VM_MTE on the range");
	CHECK(!smaps_flag(mid + 16 * PAGE, "mt"), "VM_MTE after the range");
	pattern_set(mid, 16 * PAGE, 3);
	protect(p, LEN, PROT_RW_MTE);
	pattern_check(mid, 16 * PAGE, 3, "tagged first");
	tags_zero_check(p, 16 * PAGE, "tagged later, before");
	tags_zero_check(p + 32 * PAGE, 16 * PAGE, "tagged later, after");
	pattern_check_data(p, 16 * PAGE, 6, "tagged later");
}

static void make_tagged_in_child(char *p)
{
	protect(p, LEN, PROT_RW_MTE);
	check_tagged(p, "child, after fork");
}

/* The pages are shared with a child, and so write-protected, when they become PROT_MTE. */
static void shared_by_fork(void)
{
	char *p = plain_map(MAP_PRIVATE);

	run_child(make_tagged_in_child, p);
	pattern_check_data(p, LEN, 6, "parent, after the child wrote");
	protect(p, LEN, PROT_RW_MTE);
	check_tagged(p, "parent, after the child");
}

static void huge_page(void)
{
	char *p = stale_thp(1, PROT_RW);

	pattern_set_data(p, HUGE, 6);
	protect(p, HUGE, PROT_RW_MTE);
	need_huge(p, HUGE, 1);
	tags_zero_check(p, HUGE, "huge page");
	pattern_check_data(p, HUGE, 6, "huge page");
	pattern_set(p, HUGE, 4);
	pattern_check(p, HUGE, 4, "huge page");
}

PROBE(CASE(private_memory), CASE(shared_memory), CASE(through_none), CASE(through_exec),
      CASE(through_read_only), CASE(tags_stay), CASE(middle_of_vma), CASE(shared_by_fork),
      CASE(huge_page));
