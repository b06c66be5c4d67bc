/* SPDX-License-Identifier: MIT */
/*
 * probe: ksm_merge
 * needs: CONFIG_KSM CONFIG_PROC_PAGE_MONITOR
 * fixed: 6.18/6.12.57/6.1.158 f620d66af316 zero_page; 6.18/6.12.117/6.1.192 f04aad36a07c merged_then_mprotect
 * timeout: 90
 * smoke: yes
 *
 * KSM merges untagged pages of the same data and never a tagged page, whatever its tags
 * are: arm64's memcmp_pages() reports tagged pages as different, in the unstable and the
 * stable tree and against the zero page. A merged page that becomes PROT_MTE begins with
 * tag 0, in each mapping on its own. Beside each pair of tagged pages an untagged pair
 * must merge, because otherwise the scan proves nothing.
 */
#include "fault.h"
#include "stale.h"

#define KSM "/sys/kernel/mm/ksm/"
#ifndef MADV_UNMERGEABLE
#define MADV_UNMERGEABLE 13
#endif

static size_t wrong_words(const char *page, uint64_t data)
{
	size_t i, bad = 0;

	for (i = 0; i < PAGE; i += 8)
		bad += *(const volatile uint64_t *)(page + i) != pattern_hash(data, i);
	return bad;
}

/* Maps a mergeable page in a VMA of its own. Pages with the same `data` can be merged. */
static char *page_of(int prot, uint64_t data)
{
	char *p = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	MUST(p != MAP_FAILED, "mmap");
	p += PAGE;
	MUST(mprotect(p, PAGE, prot) == 0, "mprotect");
	for (i = 0; i < PAGE; i += 8)
		*(uint64_t *)(p + i) = pattern_hash(data, i);
	MUST(madvise(p, PAGE, MADV_MERGEABLE) == 0, "MADV_MERGEABLE");
	return p;
}

static bool merged(const char *a, const char *b)
{
	return pfn_of(a) == pfn_of(b);
}

/* Lets ksmd scan every page three times: it merges a page whose checksum did not change. */
static void scan(void)
{
	long target = read_long(KSM "full_scans") + 4;
	int i;

	write_file(KSM "pages_to_scan", "2000");
	write_file(KSM "sleep_millisecs", "1");
	write_file(KSM "run", "1");
	for (i = 0; i < 2000 && read_long(KSM "full_scans") < target; i++)
		usleep(5000);
	write_file(KSM "run", "0");
	NEED(read_long(KSM "full_scans") >= target, "ksmd did not scan");
}

static void start(void)
{
	mte_need();
	write_file(KSM "run", "2"); /* unmerges all pages */
	write_file(KSM "use_zero_pages", "0");
}

/*
 * Each pair has data of its own. KSM's trees are ordered by memcmp_pages(), where a tagged
 * page sorts above all others and so would hide untagged pages of the same data.
 */
static void tagged_pairs(void)
{
	char *same[2], *different[2], *zero[2], *plain[2];
	int i;

	start();
	for (i = 0; i < 2; i++) {
		same[i] = page_of(PROT_RW_MTE, 1);
		pattern_set_tags(same[i], PAGE, 7);
		different[i] = page_of(PROT_RW_MTE, 2);
		pattern_set_tags(different[i], PAGE, 8 + i);
		zero[i] = page_of(PROT_RW_MTE, 3);
		plain[i] = page_of(PROT_RW, 4);
	}
	scan();
	NEED(merged(plain[0], plain[1]), "the untagged pages were not merged");
	NEED(page_flag(plain[0], KPF_KSM), "no KSM page");
	CHECK(!merged(same[0], same[1]), "pages of the same tags were merged");
	CHECK(!merged(different[0], different[1]), "pages of different tags were merged");
	CHECK(!merged(zero[0], zero[1]), "PROT_MTE pages of tag 0 were merged");
	for (i = 0; i < 2; i++) {
		pattern_check_tags(same[i], PAGE, 7, "same tags");
		pattern_check_tags(different[i], PAGE, 8 + i, "different tags");
		tags_zero_check(zero[i], PAGE, "tags 0");
		CHECK_EQ(wrong_words(same[i], 1) + wrong_words(different[i], 2) +
				 wrong_words(zero[i], 3) + wrong_words(plain[i], 4),
			 0, "wrong words");
	}
}

/* One tagged and one untagged page of the same data; each of the two is the older one once. */
static void tagged_and_untagged(void)
{
	char *tagged[2], *plain[2], *control[2];
	int i;

	start();
	for (i = 0; i < 2; i++) {
		if (i == 0)
			plain[i] = page_of(PROT_RW, 10 + i);
		tagged[i] = page_of(PROT_RW_MTE, 10 + i);
		if (i == 1)
			plain[i] = page_of(PROT_RW, 10 + i);
		pattern_set_tags(tagged[i], PAGE, 3 + i);
		control[i] = page_of(PROT_RW, 20);
	}
	scan();
	NEED(merged(control[0], control[1]), "the untagged pages were not merged");
	for (i = 0; i < 2; i++) {
		CHECK(!merged(tagged[i], plain[i]), "tagged and untagged merged");
		pattern_check_tags(tagged[i], PAGE, 3 + i,
				   "beside an untagged page of the same data");
		MUST(mprotect(plain[i], PAGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
		tags_zero_check(plain[i], PAGE, "the untagged page, PROT_MTE now");
	}
}

/* The tagged page appears when the stable tree already has a page of the same data. */
static void stable_tree(void)
{
	char *plain[2], *tagged;

	start();
	plain[0] = page_of(PROT_RW, 5);
	plain[1] = page_of(PROT_RW, 5);
	scan();
	NEED(merged(plain[0], plain[1]), "the untagged pages were not merged");
	tagged = page_of(PROT_RW_MTE, 5);
	pattern_set_tags(tagged, PAGE, 5);
	scan();
	NEED(merged(plain[0], plain[1]), "the untagged pages are not merged any more");
	CHECK(!merged(tagged, plain[0]), "merged with the page of the stable tree");
	pattern_check_tags(tagged, PAGE, 5, "beside the stable tree");
}

/* With use_zero_pages a page of zero data is replaced by the zero page, but no tagged page. */
static void zero_page(void)
{
	char *plain, *tagged;

	start();
	write_file(KSM "use_zero_pages", "1");
	plain = page_of(PROT_RW, 6);
	tagged = page_of(PROT_RW_MTE, 6);
	memset(plain, 0, PAGE);
	memset(tagged, 0, PAGE);
	pattern_set_tags(tagged, PAGE, 6);
	scan();
	NEED(page_flag(plain, KPF_ZERO_PAGE), "the untagged page is not the zero page");
	CHECK(!page_flag(tagged, KPF_ZERO_PAGE), "the tagged page is the zero page");
	pattern_check_tags(tagged, PAGE, 6, "zero data");
	stg(tagged, 0);
	CHECK_EQ(other_bytes(tagged, 0, PAGE), 0, "bytes that are not zero");
	/* The zero page that KSM mapped, and the copy that a write makes of it, have tag 0. */
	MUST(mprotect(plain, PAGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(plain, PAGE, "zero page");
	stg(plain + GRANULE, 2);
	CHECK_EQ(ldg(plain), 0, "tag beside the first STG");
	CHECK_EQ(ldg(plain + GRANULE), 2, "tag of the first STG");
	write_file(KSM "use_zero_pages", "0");
}

static void merged_then_mprotect(void)
{
	char *a, *b, *c;

	start();
	pin_cpu(0);
	stale_fill(8 * STALE_SMALL, false);
	a = page_of(PROT_RW, 7);
	b = page_of(PROT_RW, 7);
	c = page_of(PROT_RW, 7);
	need_stale(a, PAGE, "first page to be merged");
	need_stale(b, PAGE, "second page to be merged");
	scan();
	NEED(merged(a, b) && merged(a, c), "not merged");
	stale_fill(8 * STALE_SMALL, false);
	MUST(mprotect(a, PAGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(a, PAGE, "merged page, PROT_MTE");
	pattern_set_tags(a, PAGE, 9); /* copies the page */
	CHECK(!merged(a, b), "STG wrote to the merged page");
	pattern_check_tags(a, PAGE, 9, "own tags");
	MUST(mprotect(b, PAGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(b, PAGE, "second merged page, PROT_MTE");
	MUST(madvise(c, PAGE, MADV_UNMERGEABLE) == 0, "MADV_UNMERGEABLE");
	MUST(!merged(b, c), "not unmerged");
	MUST(mprotect(c, PAGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(c, PAGE, "unmerged page, PROT_MTE");
	CHECK_EQ(wrong_words(a, 7) + wrong_words(b, 7) + wrong_words(c, 7), 0, "wrong words");
}

PROBE(CASE_SECONDS(tagged_pairs, 30), CASE_SECONDS(tagged_and_untagged, 30),
      CASE_SECONDS(stable_tree, 30), CASE_SECONDS(zero_page, 30),
      CASE_SECONDS(merged_then_mprotect, 30));
