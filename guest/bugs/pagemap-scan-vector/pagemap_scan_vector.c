/* SPDX-License-Identifier: MIT */
/*
 * probe: pagemap_scan_vector
 * needs: CONFIG_ARM64_MTE CONFIG_PROC_PAGE_MONITOR
 * since: 6.7 52526ca7fdb9
 * timeout: 20
 *
 * ioctl(PAGEMAP_SCAN) removes the tag of `vec`, where the regions that it found are to go
 * (pagemap_scan_get_args(), fs/proc/task_mmu.c), and then writes there with copy_to_user(). In
 * memory with tags that pointer does not match, and the call fails with EFAULT.
 */
#include <fcntl.h>
#include <sys/ioctl.h>

#include "mte.h"

/* include/uapi/linux/fs.h: struct pm_scan_arg and struct page_region. */
struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t inverted, mask, any, returned;
};
struct region {
	uint64_t start, end, categories;
};
#define SCAN _IOWR('f', 16, struct scan)
enum { PRESENT = 1 << 3, TAG = 5 };

static void find_page(struct region *found, const char *what)
{
	char *page = untagged_map(PAGE);
	struct scan scan = { .size = sizeof(scan), .vec_len = 1 };
	int fd = open("/proc/self/pagemap", O_RDONLY), got;

	*page = 7;
	MUST(fd >= 0, "/proc/self/pagemap");
	scan.start = (uintptr_t)page;
	scan.end = (uintptr_t)page + PAGE;
	scan.vec = (uintptr_t)found;
	scan.mask = scan.returned = PRESENT;
	got = ioctl(fd, SCAN, &scan);
	CHECK(got == 1, "PAGEMAP_SCAN with %s returned %d, errno %d", what, got, errno);
	CHECK(found->start == (uintptr_t)page, "the region in %s starts at %#llx, expected %p",
	      what, (unsigned long long)found->start, page);
}

static void vector_with_tags(void)
{
	struct region plain = { 0 }, *tagged;

	mte_need();
	find_page(&plain, "a plain vector");
	mte_mode(TCF_SYNC);
	tagged = mte_map(PAGE);
	st2g(tagged, TAG);
	tagged = with_tag(tagged, TAG);
	find_page(tagged, "a matching pointer to tagged memory");
}

PROBE(CASE(vector_with_tags));
