/* SPDX-License-Identifier: MIT */
/*
 * Readers of /proc and /sys: what the kernel reports about memory.
 *
 * Formats: Documentation/admin-guide/mm/pagemap.rst and filesystems/proc.rst. A file
 * that is missing or cannot be parsed ends the case (MUST), because a check without its
 * input has not run. Page frame numbers need root.
 */
#ifndef MTE_HARNESS_PROCFS_H
#define MTE_HARNESS_PROCFS_H

#include <stdbool.h>
#include <stdint.h>

#include "ktap.h"
#include "mte.h"

/* --- small files ---------------------------------------------------------- */

/* Writes `text` with one write(); returns 0, or -1 with errno. */
int try_write_file(const char *path, const char *text);

/* The same; a failure ends the case. */
void write_file(const char *path, const char *text);

/* The first number of a file. */
long read_long(const char *path);

/* The number after `key` on the first line of `path` that begins with it; -1 if none does. */
long read_field(const char *path, const char *key);

/* /proc/meminfo, in kB: meminfo_kb("SUnreclaim"). */
long meminfo_kb(const char *key);

/* /proc/vmstat: vmstat("pswpin"). Sums the per-CPU counters, so exact when idle. */
long vmstat(const char *key);

/* --- smaps ---------------------------------------------------------------- */

/*
 * Parses the first line of a VMA in maps or smaps; false, with *start and *end unchanged,
 * for any other line. Field lines like "Anonymous:" begin with a hexadecimal digit too.
 */
bool smaps_header(const char *line, unsigned long *start, unsigned long *end);

/* Sum of a field in kB over the VMAs of this process that overlap [p, p + len). */
long smaps_kb(const void *p, size_t len, const char *key);

/* Whether VmFlags of the VMA at p has the two-letter `flag`, for example "mt". */
bool smaps_flag(const void *p, const char *flag);

/* --- pagemap and kpageflags ----------------------------------------------- */

#define PM_PFN_MASK   ((1ULL << 55) - 1)
#define PM_SOFT_DIRTY (1ULL << 55)
#define PM_EXCLUSIVE  (1ULL << 56)
#define PM_FILE	      (1ULL << 61)
#define PM_SWAP	      (1ULL << 62)
#define PM_PRESENT    (1ULL << 63)

/* Bits of /proc/kpageflags, include/uapi/linux/kernel-page-flags.h. In 6.12
 * they are the flags of the folio's head page (fs/proc/page.c). */
#define KPF_LOCKED	  0
#define KPF_UPTODATE	  3
#define KPF_LRU		  5
#define KPF_BUDDY	  10
#define KPF_ANON	  12
#define KPF_SWAPCACHE	  13
#define KPF_SWAPBACKED	  14
#define KPF_COMPOUND_HEAD 15
#define KPF_COMPOUND_TAIL 16
#define KPF_HUGE	  17
#define KPF_NOPAGE	  20
#define KPF_KSM		  21
#define KPF_THP		  22
#define KPF_ZERO_PAGE	  24
#define KPF_RESERVED	  32
#define KPF_ARCH_2	  41 /* PG_mte_tagged */
#define KPF_ARCH_3	  42 /* PG_mte_lock */
#define KPF_ARCH_4	  43 /* holds a reference to its tag storage */

/* Reads `count` pagemap entries from p on: pagemap() opens the file for each page. */
void pagemap_read(const void *p, uint64_t *entries, size_t count);

/* The pagemap entry of the page at p. */
uint64_t pagemap(const void *p);

/* Page frame number of a page; ends the case as untested if the page is not present. */
uint64_t pfn_of(const void *p);

/* Swap type and offset of a swapped page: bits 0 to 4 and 5 to 54 of its pagemap entry. */
unsigned int swap_type_of(const void *p);
uint64_t swap_offset_of(const void *p);

/* How many pages of [p, p + len) have all of the bits `mask` in pagemap. */
size_t pagemap_count(const void *p, size_t len, uint64_t mask);

bool page_present(const void *p);

bool page_swapped(const void *p);

#define KPAGEFLAGS 512 /* entries read at once, at most */

/* The flags of frames from `pfn` on, before `end`; of how many of them, one at least. */
size_t kpageflags(uint64_t pfn, uint64_t end, uint64_t *flags);

/* Is bit KPF_... set for the page frame? */
bool kpageflag(uint64_t pfn, int bit);

/* Is bit KPF_... set for the present page at p? */
bool page_flag(const void *p, int bit);

#endif
