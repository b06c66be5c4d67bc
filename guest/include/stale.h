/* SPDX-License-Identifier: MIT */
/*
 * Stale frames: free page frames whose last owner left tag 15 in every granule and data
 * that is not zero. A page that is handed out with its tags or data not cleared, or not
 * copied, then shows them. The frames are remembered, so that need_stale() can prove
 * that the pages under test really reuse such frames.
 *
 * The allocator hands out first what was freed last on the same CPU: call pin_cpu().
 */
#ifndef MTE_HARNESS_STALE_H
#define MTE_HARNESS_STALE_H

#include "pin.h"
#include "thp.h"

#define STALE_TAG  15
#define STALE_BYTE 0xa5

/*
 * Leaves `len` bytes of free memory stale: in small pages, a multiple of STALE_SMALL, or in
 * at most 32 huge pages, which are then the next huge pages to be handed out.
 */
#define STALE_SMALL (512 * PAGE)
void stale_fill(size_t len, bool huge);

/*
 * The same for folios of `len` bytes, a size between a page and a huge page that the caller has
 * enabled: leaves `count` of them free, each between two that stay allocated. Without those
 * the allocator would merge free neighbours to a larger block, which it hands out last.
 */
void stale_fill_folios(size_t len, size_t count);

/* Begins a case: returns `count` populated huge pages, in stale frames. */
char *stale_thp(size_t count, int prot);

/* How many present pages of [p, p + len) are in stale frames. */
size_t stale_pages(const void *p, size_t len);

/*
 * Ends the case as untested unless at least half of the pages of [p, p + len) are in stale
 * frames: in other frames wrong tags could not be seen.
 */
#define need_stale(p, len, when) stale_need(__FILE__, __LINE__, p, len, when)

void stale_need(const char *file, int line, const void *p, size_t len, const char *when);

#endif
