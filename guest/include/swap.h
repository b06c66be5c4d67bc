/* SPDX-License-Identifier: MIT */
/*
 * Swap for probes: devices, a memory cgroup, and page-out that is proved.
 *
 * swap_disk(), swap_ssd() and swap_zram() leave exactly the named device as swap. A case
 * calls one of them first, and so does not depend on the cases before it.
 *
 * page_out() returns only when the pages are out of memory. MADV_PAGEOUT alone is not
 * enough: it starts an asynchronous write, and a fault then finds the page, with its
 * tags, still in the swap cache (mm/vmscan.c shrink_folio_list() keeps a folio under
 * writeback). mincore() shows that: for a swap entry it reports whether the swap cache
 * has the page (mm/mincore.c). Pages that stay in the swap cache, or are mapped twice,
 * are evicted through memory.reclaim of the case's cgroup.
 */
#ifndef MTE_HARNESS_SWAP_H
#define MTE_HARNESS_SWAP_H

#include <sys/swap.h>

#include "child.h"
#include "procfs.h"

#define SWAP_DISK swap_disk_path()
#define SWAP_ZRAM swap_zram_path()
#define SWAP_ALL  (~0UL)

/* --- devices -------------------------------------------------------------- */

/*
 * The disk and the zram device for swap: a guest's, or on a board those that the environment
 * names as PROBE_SWAP_DISK and PROBE_ZRAM.
 */
const char *swap_disk_path(void);
const char *swap_zram_path(void);

/* Declares the disk rotating, or not: swap_disk_of(). */
void swap_disk_rotates(bool rotates);

/* swapoff() of all devices, which brings every page back to memory. */
void swap_none(void);

/* Adds swap of at most `pages` on `device`; the kernel fills a higher `priority` first. */
void swap_add(const char *device, size_t pages, int priority);

/* Resets the zram device to an empty disk of `bytes`. */
void zram_create(size_t bytes);

/*
 * Makes the disk the only swap, with at most `pages`. The kernel has a slot allocator for
 * rotating disks and one for others, and only the second can swap a large folio whole;
 * read-ahead is by swap offset for the first and by address for the second
 * (mm/swapfile.c, mm/swap_state.c).
 */
void swap_disk_of(size_t pages, bool rotating);

/*
 * Devices for swap_begin(): the whole swap disk, declared rotating (swap_disk) or not
 * (swap_ssd); or 256 MiB of zram.
 */
void swap_disk(void);
void swap_ssd(void);
void swap_zram(void);

/*
 * Begins a case: on CPU 0, in a cgroup of its own, with `device` as swap, which is one of
 * the functions above.
 */
void swap_begin(void (*device)(void));

/* --- a memory cgroup of this case ----------------------------------------- */

/* Writes a file of the case's cgroup. */
void memcg_write(const char *file, const char *text);

/* Moves this process to a new cgroup, to which its later allocations are charged. */
void memcg_enter(void);

/* Reclaims up to `bytes` from this case's cgroup. */
void memcg_reclaim(size_t bytes);

/* --- page-out and page-in ------------------------------------------------- */

/* How many pages of [p, p + len) are in memory: mapped, in the page or the swap cache. */
size_t pages_in_memory(const void *p, size_t len);

/*
 * Waits until no page is under writeback, because reclaim cannot drop such a folio; ends
 * the case as untested after 10 s. The vmstat deltas of an idle CPU stay unfolded until
 * /proc/sys/vm/stat_refresh is written (mm/vmstat.c, vmstat_refresh()), so nr_writeback
 * would stay above 0.
 */
void wait_writeback(void);

/*
 * Swaps out all of [p, p + len), and ends the case as untested if a page stays in memory or
 * went elsewhere than to swap. The case must have called memcg_enter() before it touched the
 * pages.
 */
void page_out(void *p, size_t len);

/* Makes a read fault on each page. Tag checks must be off. */
void touch_read(void *p, size_t len);

/* Makes a write fault on each page, and changes no data. Tag checks must be off. */
void touch_write(void *p, size_t len);

#endif
