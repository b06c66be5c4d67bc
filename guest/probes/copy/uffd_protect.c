/* SPDX-License-Identifier: MIT */
/*
 * probe: uffd_protect
 * needs: CONFIG_USERFAULTFD CONFIG_PROC_PAGE_MONITOR CONFIG_TRANSPARENT_HUGEPAGE CONFIG_SWAP CONFIG_MEMCG CONFIG_PTE_MARKER_UFFD_WP
 * disk: swapped_out
 * timeout: 60
 *
 * Write protection by userfaultfd keeps tags and data of small pages, huge pages and
 * swapped pages. A tag store is a write to protected memory, a tag load is not. Exercises
 * change_protection() with MM_CP_UFFD_WP, do_wp_page(), do_huge_pmd_wp_page().
 */

#include <pthread.h>

#include "swap.h"
#include "uffd.h"

#define PAGES 16
#define LEN   (PAGES * PAGE)

static void *store_tag(void *at)
{
	stg(at, 11);
	return NULL;
}

/* Checks that an STG at `at` waits until the handler removes the page's protection. */
static void stg_waits(int fd, char *at)
{
	char *page = (char *)((uintptr_t)at & ~(PAGE - 1));
	uint64_t flags, address;
	pthread_t thread;
	bool ready;

	MUST(pthread_create(&thread, NULL, store_tag, at) == 0, "pthread_create");
	ready = uffd_ready(fd);
	CHECK(ready || ldg(at) != 11, "the tag was stored, and no message came");
	NEED(ready, "no userfaultfd message after 10 s");
	address = uffd_wait(fd, &flags);
	CHECK_EQ(address, (uintptr_t)page, "address of the message");
	CHECK_EQ(flags, UFFD_PAGEFAULT_FLAG_WP | UFFD_PAGEFAULT_FLAG_WRITE, "flags of the message");
	CHECK(ldg(at) != 11, "the tag was stored in spite of the protection");
	uffd_protect(fd, page, PAGE, false);
	pthread_join(thread, NULL);
	CHECK_EQ(ldg(at), 11, "tag after the protection was lifted");
}

static int protect(char *p, size_t len)
{
	int fd = uffd_open(UFFD_FEATURE_PAGEFAULT_FLAG_WP);

	uffd_register(fd, p, len, UFFDIO_REGISTER_MODE_WP);
	uffd_protect(fd, p, len, true);
	return fd;
}

/* Checks an STG to page 5 of the pattern, to the first granule whose tag is not 11 yet. */
static void stored_to(int fd, char *p, size_t len, uint64_t seed)
{
	size_t at = 5 * GRANULES_PER_PAGE;

	while (pattern_tag(seed, at) == 11)
		at++;
	pattern_check(p, len, seed, "write-protected");
	stg_waits(fd, p + at * GRANULE);
	pattern_check(p, at * GRANULE, seed, "granules before");
	pattern_check_from(p + (at + 1) * GRANULE, len - (at + 1) * GRANULE, seed, at + 1,
			   "granules after");
	uffd_protect(fd, p, len, false);
	pattern_set(p, len, seed + 1);
	pattern_check(p, len, seed + 1, "tagged anew");
}

static void small_pages(void)
{
	char *p;

	p = tagged_map(LEN, 1);
	stored_to(protect(p, LEN), p, LEN, 1);
}

static void huge_page(void)
{
	char *p;

	mte_need();
	p = thp_alloc(1, PROT_RW_MTE);
	pattern_set(p, HUGE, 2);
	stored_to(protect(p, HUGE), p, HUGE, 2);
}

static void check_shared(char *p)
{
	pattern_check(p, LEN, 3, "child");
	pattern_set(p, LEN, 4);
}

/* The pages are shared with a child: a store copies them with their tags. */
static void shared_by_fork(void)
{
	int fd;
	char *p;

	p = tagged_map(LEN, 3);
	fd = protect(p, LEN);
	run_child(check_shared, p);
	stored_to(fd, p, LEN, 3);
}

static void swapped_out(void)
{
	char *p;
	int fd;

	swap_begin(swap_disk);
	p = tagged_map(LEN, 5);
	page_out(p, LEN);
	fd = protect(p, LEN);
	pattern_check(p, LEN, 5, "read in");
	page_out(p, LEN);
	stored_to(fd, p, LEN, 5);
}

PROBE(CASE_SECONDS(small_pages, 20), CASE_SECONDS(huge_page, 20), CASE_SECONDS(shared_by_fork, 20),
      CASE_SECONDS(swapped_out, 20));
