/* SPDX-License-Identifier: MIT */
/*
 * probe: uffd_copy
 * needs: CONFIG_USERFAULTFD CONFIG_PROC_PAGE_MONITOR CONFIG_SHMEM
 * timeout: 60
 *
 * Pages that userfaultfd puts into PROT_MTE memory have tag 0 and the right data, although
 * the source page is tagged and the frame was stale. A page that UFFDIO_CONTINUE maps
 * keeps its tags. Fault messages have no tag in the address, and the ioctls refuse tagged
 * addresses. Exercises mfill_atomic_pte_copy(), shmem_mfill_atomic_pte(),
 * mfill_atomic_install_pte(), handle_userfault().
 */

#include <pthread.h>

#include "fault.h"
#include "stale.h"
#include "uffd.h"

#define PAGES 16
#define LEN   (PAGES * PAGE)

static char *source;

static void start(void)
{
	pin_cpu(0);
	source = tagged_map(LEN, 1);
	stale_fill(8 * STALE_SMALL, false);
}

static size_t wrong_data(const char *p)
{
	size_t g, bad = 0;

	for (g = 0; g < LEN / GRANULE; g++)
		bad += *(const volatile uint64_t *)(p + g * GRANULE) !=
		       *(volatile uint64_t *)(source + g * GRANULE);
	return bad;
}

static void check_copied(char *p)
{
	need_stale(p, LEN, "UFFDIO_COPY");
	tags_zero_check(p, LEN, "after UFFDIO_COPY");
	CHECK_EQ(wrong_data(p), 0, "granules with wrong data");
	pattern_set(p, LEN, 2);
	pattern_check(p, LEN, 2, "tagged");
	pattern_check(source, LEN, 1, "source");
}

static void into_private(void)
{
	int fd = uffd_open(0);
	char *p;

	start();
	p = mte_map(LEN);
	uffd_register(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING);
	uffd_copy(fd, p, source, LEN, 0);
	check_copied(p);
}

static void into_shared(void)
{
	int fd = uffd_open(UFFD_FEATURE_MISSING_SHMEM);
	char *p;

	start();
	p = map_file(memory_file(LEN), LEN, PROT_RW_MTE, MAP_SHARED);
	uffd_register(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING);
	uffd_copy(fd, p, source, LEN, 0);
	check_copied(p);
}

/* UFFDIO_COPY to memory without PROT_MTE, which becomes PROT_MTE afterwards. */
static void then_mprotect(void)
{
	int fd = uffd_open(0);
	char *p;

	start();
	p = untagged_map(LEN);
	uffd_register(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING);
	uffd_copy(fd, p, source, LEN, 0);
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	check_copied(p);
}

static void zeropage(void)
{
	int fd = uffd_open(0);
	struct uffdio_zeropage zero;
	size_t i;
	char *p;

	start();
	p = mte_map(LEN);
	uffd_register(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING);
	zero = (struct uffdio_zeropage){ .range = { (uintptr_t)p, LEN } };
	MUST(ioctl(fd, UFFDIO_ZEROPAGE, &zero) == 0, "UFFDIO_ZEROPAGE");
	for (i = 0; i < PAGES; i++)
		page_zero_check(p + i * PAGE, "UFFDIO_ZEROPAGE");
	for (i = 0; i < PAGES; i++)
		stg(p + i * PAGE, 0);
	need_stale(p, LEN, "written after UFFDIO_ZEROPAGE");
	for (i = 0; i < PAGES; i++)
		page_zero_check(p + i * PAGE, "written after UFFDIO_ZEROPAGE");
}

/* Maps the pages of a file with UFFDIO_CONTINUE. */
static char *map_by_continue(int memfd)
{
	int fd = uffd_open(UFFD_FEATURE_MINOR_SHMEM);
	char *p = map_file(memfd, LEN, PROT_RW_MTE, MAP_SHARED);
	struct uffdio_continue go = { .range = { (uintptr_t)p, LEN } };

	uffd_register(fd, p, LEN, UFFDIO_REGISTER_MODE_MINOR);
	MUST(ioctl(fd, UFFDIO_CONTINUE, &go) == 0, "UFFDIO_CONTINUE");
	return p;
}

/* The page in the file is tagged, and is mapped as it is. */
static void minor_fault(void)
{
	int memfd = memory_file(LEN);
	char *p, *other;

	start();
	other = map_file(memfd, LEN, PROT_RW_MTE, MAP_SHARED);
	pattern_set(other, LEN, 3);
	p = map_by_continue(memfd);
	pattern_check(p, LEN, 3, "after UFFDIO_CONTINUE");
	pattern_set(p, LEN, 4);
	pattern_check(other, LEN, 4, "tagged through the new mapping");
}

/* The page in the file is untagged, in a stale frame. */
static void minor_fault_untagged(void)
{
	int memfd = memory_file(LEN);
	char *p, *plain;

	start();
	plain = map_file(memfd, LEN, PROT_RW, MAP_SHARED);
	memcpy(plain, source, LEN);
	need_stale(plain, LEN, "page cache of the memfd");
	p = map_by_continue(memfd);
	tags_zero_check(p, LEN, "after UFFDIO_CONTINUE");
	CHECK_EQ(wrong_data(p), 0, "granules with wrong data");
}

static void *load(void *at)
{
	return (void *)(uintptr_t)*(volatile unsigned char *)at;
}

/* The access that faults is through a tagged pointer; the message has no tag in its address. */
static void message_address(void)
{
	uint64_t features[] = { 0, UFFD_FEATURE_EXACT_ADDRESS }, flags, address, want;
	size_t i;

	start();
	for (i = 0; i < 2; i++) {
		int fd = uffd_open(features[i]);
		char *p = mte_map(LEN), *at = p + 3 * PAGE + 40;
		pthread_t thread;
		void *byte;

		uffd_register(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING);
		MUST(pthread_create(&thread, NULL, load, with_tag(at, 9)) == 0, "pthread_create");
		address = uffd_wait(fd, &flags);
		want = features[i] ? (uintptr_t)at : (uintptr_t)p + 3 * PAGE;
		CHECK_EQ(address, want, "address of the message, features %#llx",
			 (unsigned long long)features[i]);
		CHECK_EQ(flags, 0, "flags of the message");
		uffd_copy(fd, p + 3 * PAGE, source, PAGE, 0);
		pthread_join(thread, &byte);
		CHECK_EQ((uintptr_t)byte, (unsigned char)source[40],
			 "the byte that the waiting load returned");
	}
}

/* By design the userfaultfd ioctls refuse tagged addresses (e71e2ace5721). */
static void tagged_addresses_refused(void)
{
	int fd = uffd_open(0);
	struct uffdio_register reg;
	struct uffdio_copy copy;
	char *p;

	start();
	p = mte_map(LEN);
	reg = (struct uffdio_register){ .range = { (uintptr_t)with_tag(p, 3), LEN },
					.mode = UFFDIO_REGISTER_MODE_MISSING };
	CHECK(ioctl(fd, UFFDIO_REGISTER, &reg) == -1 && errno == EINVAL,
	      "UFFDIO_REGISTER of a tagged address: expected EINVAL, saw %s", strerror(errno));
	uffd_register(fd, p, LEN, UFFDIO_REGISTER_MODE_MISSING);
	copy = (struct uffdio_copy){ .dst = (uintptr_t)with_tag(p, 3),
				     .src = (uintptr_t)source,
				     .len = PAGE };
	CHECK(ioctl(fd, UFFDIO_COPY, &copy) == -1 && errno == EINVAL,
	      "UFFDIO_COPY to a tagged address: expected EINVAL, saw %s", strerror(errno));
	CHECK(!page_present(p), "a page was mapped");
}

PROBE(CASE_SECONDS(into_private, 20), CASE_SECONDS(into_shared, 20),
      CASE_SECONDS(then_mprotect, 20), CASE_SECONDS(zeropage, 20), CASE_SECONDS(minor_fault, 20),
      CASE_SECONDS(minor_fault_untagged, 20), CASE_SECONDS(message_address, 20),
      CASE_SECONDS(tagged_addresses_refused, 20));
