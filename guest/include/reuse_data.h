/* SPDX-License-Identifier: MIT */
/*
 * Untagged data in all of memory, so that the kernel has to evict it from tag storage
 * (reuse.h) before a page can become tagged; and which of its pages are in tag storage.
 */
#ifndef MTE_HARNESS_REUSE_DATA_H
#define MTE_HARNESS_REUSE_DATA_H

#include "reuse.h"

/*
 * Checks plain data, from its end to its start. The pages that were written first are in
 * swap; read in the order in which they were written, each page would be swapped out just
 * before it is read.
 */
void plain_check(const char *p, size_t len, const char *when);

/* Checks plain data and unmaps it piece by piece, to make room for what is in swap. */
void plain_end(char *p, size_t len, const char *when);

/*
 * Maps and fills plain data until hardly any tag storage is free; *len is its size. The
 * allocator uses tag storage last (mm/page_alloc.c rmqueue_metadata()), so memory is full
 * then, but nothing had to be reclaimed. Ends the case as untested if memory is full before.
 */
char *plain_memory(size_t *len);

/* Begins a case: reuse_need(), swap on the disk, and plain data in all of memory. */
char *reuse_fill(struct reuse *before, size_t *len);

/*
 * Calls `found` for each page of [p, p + len) that is in tag storage, until it returns
 * false. Returns the number of those pages.
 */
size_t reuse_each(char *p, size_t len, bool (*found)(char *page));

/* The first page of [p, p + len) in tag storage; ends the case as untested if none is. */
char *reuse_first(char *p, size_t len);

/* How many pages of [p, p + len) are in tag storage. */
size_t reuse_in_storage(char *p, size_t len);

/*
 * Finds a page of [p, p + len) outside tag storage whose tags belong in one of the
 * `count` frames of tag storage at `wanted`, which this sorts; *frame is that frame.
 * Returns NULL if there is none.
 */
char *reuse_page_over(char *p, size_t len, uint64_t *wanted, size_t count, uint64_t *frame);

#endif
