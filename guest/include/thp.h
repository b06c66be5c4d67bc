/* SPDX-License-Identifier: MIT */
/*
 * Transparent huge pages and page migration for probes: get a huge page, prove that it
 * is one, split it, move a page to another frame. Each helper ends the case as untested
 * (NEED) if the kernel did not do so.
 *
 * Interfaces: Documentation/admin-guide/mm/transhuge.rst, madvise(2).
 */
#ifndef MTE_HARNESS_THP_H
#define MTE_HARNESS_THP_H

#include "procfs.h"

/*
 * A PMD maps as many pages as a page table has entries, of 8 bytes: 2, 32 or 512 MiB for
 * pages of 4, 16 or 64 KiB.
 */
#define HUGE_PAGES    (PAGE / 8)
#define HUGE	      (HUGE_PAGES * PAGE)
#define HUGE_GRANULES (HUGE / GRANULE)
/* Ends the case as skipped where a guest has no room for huge pages. */
#define HUGE_FITS() PAGES_UP_TO(16, "huge pages of 512 MiB do not fit in the guest")
#define THP_SYSFS   "/sys/kernel/mm/transparent_hugepage/"

/* The large folios that probes choose: of 16 pages, which are 64 kB, 256 kB or 1 MB. */
#define FOLIO (16 * PAGE)

/* Whether the kernel offers folios of `len` bytes. */
bool folio_offered(size_t len);

/* Writes `mode` to a file of the folio size `len` in sysfs: "enabled", "shmem_enabled". */
void folio_write(size_t len, const char *file, const char *mode);

/*
 * A mapping of `len` bytes at a multiple of HUGE, not populated. PROT_NONE memory on
 * both sides keeps the VMA from merging with another one, whose huge pages would then be
 * part of its counts in smaps.
 */
void *aligned_map(size_t len, int prot, int flags, int fd);

/*
 * Sets which folio sizes the kernel uses, whatever was set before: HUGE with
 * MADV_HUGEPAGE only, `small` ("always" or "never") for FOLIO, and `shmem` for
 * huge pages of memfds.
 */
void thp_sizes(const char *small, const char *shmem);

/* Anonymous memory for `count` huge pages, MADV_HUGEPAGE, not populated. */
void *thp_map(size_t count, int prot);

/*
 * Ends the case as untested unless PMDs map `count` huge pages in the VMAs of
 * [p, p + len).
 */
void need_huge(const void *p, size_t len, size_t count);

/* thp_map(), populated by a write to each huge page. */
void *thp_alloc(size_t count, int prot);

/* Collapses the small pages of the HUGE bytes at p into a huge page, with MADV_COLLAPSE. */
void thp_collapse(void *p);

/* Whether the page at p is part of a large folio. */
bool in_large_folio(const void *p);

/*
 * Splits the huge pages of [p, p + len) through debugfs into folios of 1 << order pages.
 * The kernel skips a folio to which it holds a reference for a moment, so this retries.
 */
void thp_split(const void *p, size_t len, int order);

/*
 * Migrates the page at p to another frame, with MADV_SOFT_OFFLINE: the kernel migrates a
 * page away from a frame that is to be taken out of service (mm/memory-failure.c,
 * soft_offline_page()). On a machine with one node this is the only way to migrate a
 * chosen page. The call fails with EBUSY while the page is in another CPU's LRU batch;
 * this retries.
 */
void move_page(void *p);

/* --- checks --------------------------------------------------------------- */

/* How many bytes of [p, p + len) are in 8-byte words that are not filled with `value`. */
size_t other_bytes(const void *p, unsigned char value, size_t len);

/*
 * Makes untagged memory that is filled with `byte` PROT_MTE, and checks that all tags are
 * then 0 and the data is kept.
 */
void check_made_tagged(char *p, size_t len, unsigned char byte, const char *when);

/* Checks that the page at p has tag 0 everywhere and zero data. */
void page_zero_check(const void *p, const char *when);

#endif
