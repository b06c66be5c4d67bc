/* SPDX-License-Identifier: MIT */
/*
 * A page comes back from a swap disk by a read; then it is written, and goes out again.
 * On QEMU 11.1.3 what was written is lost: the page goes out as if it were clean. Memory
 * without tags is hit as well, zram is not.
 */
#include "swap.h"

#define LEN (8 * PAGE)

static void written_after_a_read(int prot, void (*device)(void))
{
	size_t i, lost = 0;
	char *p;

	swap_begin(device);
	p = mmap(NULL, LEN, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(p != MAP_FAILED, "mmap");
	memset(p, 0x11, LEN);
	page_out(p, LEN);
	touch_read(p, LEN);
	memset(p, 0x22, LEN);
	page_out(p, LEN);
	for (i = 0; i < LEN; i++)
		lost += *(volatile char *)(p + i) != 0x22;
	CHECK(!lost, "%zu of %zu bytes lost", lost, (size_t)LEN);
}

static void untagged_memory(void)
{
	written_after_a_read(PROT_RW, swap_disk);
}

static void tagged_memory(void)
{
	written_after_a_read(PROT_RW_MTE, swap_disk);
}

static void zram(void)
{
	written_after_a_read(PROT_RW, swap_zram);
}

PROBE(CASE(untagged_memory), CASE(tagged_memory), CASE(zram));
