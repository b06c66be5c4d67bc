/* SPDX-License-Identifier: MIT */
/*
 * probe: mprotect_tags
 * needs: CONFIG_PROC_PAGE_MONITOR CONFIG_SWAP CONFIG_MEMCG
 * fixed: 6.6 332c151c710a swapped_while_none
 * disk: swapped_while_none untagged_on_swap
 * timeout: 60
 * smoke: yes
 *
 * Tags survive losing and regaining access to the memory, whatever happens in between. LDG
 * needs a readable page and STG a writable one; otherwise they fault with SEGV_ACCERR.
 * PROT_MTE cannot be removed. Exercises mprotect_fixup(), change_pte_range(),
 * pte_modify().
 */

#include <setjmp.h>

#include "fault.h"
#include "stale.h"
#include "swap.h"

#define PAGES 16
#define LEN   (PAGES * PAGE)

static sigjmp_buf resume;
static volatile int fault_code;
static void *volatile fault_address;

static void on_segv(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	fault_code = info->si_code;
	fault_address = info->si_addr;
	siglongjmp(resume, 1);
}

/* Loads or stores the tag at p; returns si_code of the fault, or 0 if there is none. */
static int tag_access(char *p, bool store)
{
	struct sigaction action = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO };

	MUST(sigaction(SIGSEGV, &action, NULL) == 0, "sigaction");
	fault_code = 0;
	fault_address = NULL;
	if (!sigsetjmp(resume, 1)) {
		if (store)
			stg(p, 5);
		else
			ldg(p);
	}
	signal(SIGSEGV, SIG_DFL);
	return fault_code;
}

static char *tagged(uint64_t seed)
{
	pin_cpu(0);
	return tagged_map(LEN, seed);
}

static void protect(char *p, size_t len, int prot)
{
	MUST(mprotect(p, len, prot) == 0, "mprotect(%#x)", prot);
}

static void there_and_back(void)
{
	char *p = tagged(1);
	int i;

	for (i = 0; i < 20; i++) {
		protect(p, LEN, i % 2 ? PROT_NONE : PROT_NONE | PROT_MTE);
		protect(p, LEN, i % 3 ? PROT_READ : PROT_READ | PROT_MTE);
		pattern_check(p, LEN, 1, "read-only");
		protect(p, LEN, i % 4 ? PROT_RW_MTE : PROT_RW);
	}
	protect(p, LEN, PROT_RW | PROT_EXEC);
	pattern_check(p, LEN, 1, "executable");
	pattern_set(p, LEN, 2);
	pattern_check(p, LEN, 2, "tagged anew");
}

/* mprotect() of every second page: VMAs are split and merged again. */
static void every_second_page(void)
{
	char *p = tagged(3);
	size_t i;

	for (i = 0; i < LEN; i += 2 * PAGE)
		protect(p + i, PAGE, PROT_READ);
	pattern_check(p, LEN, 3, "in many VMAs");
	for (i = PAGE; i < LEN; i += 2 * PAGE)
		pattern_set(p + i, PAGE, 4);
	for (i = 0; i < LEN; i += 2 * PAGE) {
		CHECK_EQ(tag_access(p + i, true), SEGV_ACCERR, "si_code of STG on page %zu",
			 i / PAGE);
		protect(p + i, PAGE, PROT_RW);
		pattern_check_from(p + i, PAGE, 3, i / GRANULE, "page that was read-only");
		pattern_check(p + i + PAGE, PAGE, 4, "page beside");
	}
}

static void mte_stays(void)
{
	char *p = tagged(5);

	protect(p, LEN, PROT_RW);
	CHECK(smaps_flag(p, "mt"), "mprotect() without PROT_MTE dropped VM_MTE");
	pattern_check(p, LEN, 5, "after mprotect without PROT_MTE");
	MUST(madvise(p, LEN, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	pattern_set(p, LEN, 6);
	pattern_check(p, LEN, 6, "fresh pages, tagged");
}

static void access_follows_data(void)
{
	char *p = tagged(7);

	CHECK_EQ(tag_access(p, true) | tag_access(p, false), 0, "si_code, read-write");
	stg(p, pattern_tag(7, 0));
	protect(p, LEN, PROT_READ);
	CHECK_EQ(tag_access(p, false), 0, "si_code of LDG, read-only");
	CHECK_EQ(tag_access(p + PAGE + 32, true), SEGV_ACCERR, "si_code of STG, read-only");
	CHECK(fault_address == p + PAGE + 32, "si_addr: expected %p, saw %p",
	      (void *)(p + PAGE + 32), fault_address);
	pattern_check(p, LEN, 7, "after STG to read-only memory");
	protect(p, LEN, PROT_NONE);
	CHECK_EQ(tag_access(p, false), SEGV_ACCERR, "si_code of LDG, PROT_NONE");
	CHECK_EQ(tag_access(p, true), SEGV_ACCERR, "si_code of STG, PROT_NONE");
	protect(p, LEN, PROT_RW);
	pattern_check(p, LEN, 7, "read-write again");
	MUST(munmap(p, LEN) == 0, "munmap");
	CHECK_EQ(tag_access(p, false), SEGV_MAPERR, "si_code of LDG, not mapped");
}

/* The pages are swapped out and in while they are PROT_NONE. */
static void swapped_while_none(void)
{
	char *p;

	memcg_enter();
	swap_disk();
	p = tagged(8);
	protect(p, LEN, PROT_NONE);
	page_out(p, LEN);
	protect(p, LEN, PROT_READ);
	pattern_check(p, LEN, 8, "read from swap");
	page_out(p, LEN);
	protect(p, LEN, PROT_NONE);
	swap_none();
	protect(p, LEN, PROT_RW_MTE);
	pattern_check(p, LEN, 8, "swapped in by swapoff while PROT_NONE");
}

/* The pages become PROT_MTE while they are swapped out, and are swapped in with tag 0. */
static void untagged_on_swap(void)
{
	char *p;

	swap_begin(swap_disk);
	p = untagged_map(LEN);
	memset(p, 0x21, LEN);
	page_out(p, LEN);
	protect(p, LEN, PROT_RW_MTE);
	stale_fill(8 * STALE_SMALL, false);
	CHECK_EQ(other_bytes(p, 0x21, LEN), 0, "bytes that changed");
	need_stale(p, LEN, "pages swapped in");
	tags_zero_check(p, LEN, "swapped in");
	pattern_set(p, LEN, 9);
	page_out(p, LEN);
	pattern_check(p, LEN, 9, "tagged, swapped out and in");
}

/* A memfd mapped with and without PROT_MTE: its tags change only through the first. */
static void shared_and_untagged(void)
{
	int fd = memory_file(LEN);
	char *p, *plain;
	size_t g, tags = 0;

	mte_need();
	p = map_file(fd, LEN, PROT_RW_MTE, MAP_SHARED);
	plain = map_file(fd, LEN, PROT_RW, MAP_SHARED);
	pattern_set(p, LEN, 10);
	for (g = 0; g < LEN / GRANULE; g++) {
		stg(plain + g * GRANULE, 0);
		tags += ldg(plain + g * GRANULE);
	}
	CHECK_EQ(tags, 0, "sum of the tags read without PROT_MTE");
	pattern_check(p, LEN, 10, "after STG through the mapping without PROT_MTE");
	protect(plain, LEN, PROT_RW_MTE);
	pattern_check(plain, LEN, 10, "through the mapping that got PROT_MTE");
	/* A private mapping shows the file's tags; a tag store to it makes a copy of the page. */
	plain = map_file(fd, LEN, PROT_RW_MTE, MAP_PRIVATE);
	pattern_check(plain, LEN, 10, "private mapping");
	stg(plain, pattern_tag(10, 0) ^ 1);
	pattern_check_from(plain + GRANULE, LEN - GRANULE, 10, 1, "private copy");
	pattern_check(p, LEN, 10, "the file after the private write");
}

PROBE(CASE_SECONDS(there_and_back, 20), CASE_SECONDS(every_second_page, 20),
      CASE_SECONDS(mte_stays, 20), CASE_SECONDS(access_follows_data, 20),
      CASE_SECONDS(swapped_while_none, 20), CASE_SECONDS(untagged_on_swap, 20),
      CASE_SECONDS(shared_and_untagged, 20));
