/* SPDX-License-Identifier: MIT */
/*
 * Tag storage that the kernel reuses for data (CONFIG_ARM64_MTE_TAG_STORAGE of
 * kernel-configs/tag-storage): where it is, what each page of it is used for, and the
 * kernel's counters of it, which must agree with the pages.
 *
 * Where tag storage is follows from the device tree, not from the kernel's own
 * arithmetic:
 * Documentation/devicetree/bindings/reserved-memory/arm,mte-tag-storage.yaml.
 */
#ifndef MTE_HARNESS_REUSE_H
#define MTE_HARNESS_REUSE_H

#include "swap.h"

#define MB		 (1UL << 20)
#define STORAGE_PER_PAGE 32 /* pages whose tags fit in one page */

/* Memory and its tag storage, in page frames; ends are exclusive. */
struct reuse_region {
	uint64_t base, base_end, storage, storage_end;
	unsigned int block; /* pages of a block, the unit of reservation */
};
extern struct reuse_region reuse_regions[];
extern int reuse_count;

/* Reads the device tree; skips the case where it describes no tag storage to be reused. */
void reuse_need(void);

/* Whether a page frame is tag storage. */
bool is_storage(uint64_t pfn);

/* First page frame of the block with the tags of `pfn`; *pages is the size of a block. */
uint64_t block_of(uint64_t pfn, unsigned int *pages);

/* What tag storage is used for, in pages. */
struct reuse {
	long total, free, reserved, data;
};

/* That according to the counters of /proc. */
struct reuse reuse_counters(void);

/*
 * Checks that the counters agree exactly with the flags of all pages of tag storage, within
 * 2 s: pages may be on their way. Returns the counters.
 */
struct reuse reuse_check(const char *when);

/* Leak check: within a second as many pages of storage are reserved as in `before`. */
void reuse_back(const struct reuse *before, const char *when);

/*
 * The same for a case with swap, after swapoff(): pages that were read ahead stay in the
 * swap cache, with their tag storage reserved, until then.
 */
void reuse_back_from_swap(const struct reuse *before);

/*
 * Checks that each page of [p, p + len) has its tag storage reserved and is not itself in
 * tag storage. For small pages only: of a large folio kpageflags reports the flags of the
 * head page.
 */
void reuse_check_tagged(const void *p, size_t len, const char *when);

#endif
