/* SPDX-License-Identifier: MIT */
#include "thp.h"

void *aligned_map(size_t len, int prot, int flags, int fd)
{
	char *room = mmap(NULL, len + 3 * HUGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at;

	MUST(room != MAP_FAILED, "mmap(%zu)", len + 3 * HUGE);
	at = (char *)(((uintptr_t)room + 2 * HUGE - 1) & ~(HUGE - 1));
	MUST(mmap(at, len, prot, flags | MAP_FIXED, fd, 0) == at, "mmap(%p, %zu)", at, len);
	return at;
}

static void folio_path(char *path, size_t size, size_t len, const char *file)
{
	snprintf(path, size, THP_SYSFS "hugepages-%zukB/%s", len / 1024, file);
}

bool folio_offered(size_t len)
{
	char path[128];

	folio_path(path, sizeof(path), len, "enabled");
	return access(path, F_OK) == 0;
}

void folio_write(size_t len, const char *file, const char *mode)
{
	char path[128];

	folio_path(path, sizeof(path), len, file);
	write_file(path, mode);
}

void thp_sizes(const char *small, const char *shmem)
{
	write_file(THP_SYSFS "enabled", "madvise");
	/* Before 6.8 (3485b88390b0) there are no such folios that could be turned off. */
	if (strcmp(small, "never") || folio_offered(FOLIO))
		folio_write(FOLIO, "enabled", small);
	write_file(THP_SYSFS "shmem_enabled", shmem);
}

void *thp_map(size_t count, int prot)
{
	void *p;

	HUGE_FITS();
	p = aligned_map(count * HUGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	MUST(madvise(p, count * HUGE, MADV_HUGEPAGE) == 0, "MADV_HUGEPAGE");
	return p;
}

void need_huge(const void *p, size_t len, size_t count)
{
	long kb = smaps_kb(p, len, "AnonHugePages") + smaps_kb(p, len, "ShmemPmdMapped");

	NEED(kb == (long)(count * HUGE / 1024), "%p is not mapped huge: %ld kB of %zu kB", p, kb,
	     count * HUGE / 1024);
}

void *thp_alloc(size_t count, int prot)
{
	char *p = thp_map(count, prot);
	size_t i;

	for (i = 0; i < count; i++)
		*(volatile char *)(p + i * HUGE) = 0;
	need_huge(p, count * HUGE, count);
	return p;
}

void thp_collapse(void *p)
{
	int err = madvise(p, HUGE, MADV_COLLAPSE);

	MUST(err == 0 || errno == EAGAIN || errno == EBUSY || errno == ENOMEM, "MADV_COLLAPSE");
	NEED(err == 0, "MADV_COLLAPSE: %s", strerror(errno));
	need_huge(p, HUGE, 1);
}

bool in_large_folio(const void *p)
{
	uint64_t pfn = pfn_of(p);

	return kpageflag(pfn, KPF_COMPOUND_HEAD) || kpageflag(pfn, KPF_COMPOUND_TAIL);
}

void thp_split(const void *p, size_t len, int order)
{
	char text[100];
	int tries = 0;

	snprintf(text, sizeof(text), "%d,%p,%p,%d", getpid(), untagged(p),
		 (char *)untagged(p) + len, order);
	do {
		write_file("/sys/kernel/debug/split_huge_pages", text);
		(void)*(volatile char *)untagged(p); /* a split unmaps shared memory */
	} while (order == 0 && in_large_folio(p) && ++tries < 100 && usleep(10000) == 0);
	NEED(order || !in_large_folio(p), "%p is still part of a large folio", p);
}

void move_page(void *p)
{
	uint64_t before = pfn_of(p);
	int tries, err = -1;

	for (tries = 0; tries < 100; tries++) {
		err = madvise(untagged(p), PAGE, MADV_SOFT_OFFLINE);
		if (err == 0 || errno != EBUSY)
			break;
		usleep(10000);
	}
	MUST(err == 0 || errno == EBUSY || errno == EIO || errno == ENOMEM,
	     "madvise(%p, MADV_SOFT_OFFLINE)", p);
	NEED(err == 0, "page %p cannot be migrated, after %d tries: %s", p, tries, strerror(errno));
	NEED(pfn_of(p) != before, "page %p did not move: still frame %#llx", p,
	     (unsigned long long)before);
}

size_t other_bytes(const void *p, unsigned char value, size_t len)
{
	const volatile uint64_t *word = untagged(p);
	uint64_t want = value * 0x0101010101010101ULL;
	size_t i, n = 0;

	for (i = 0; i < len / 8; i++)
		n += word[i] != want ? 8 : 0;
	return n;
}

void check_made_tagged(char *p, size_t len, unsigned char byte, const char *when)
{
	MUST(mprotect(p, len, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(p, len, when);
	CHECK_EQ(other_bytes(p, byte, len), 0, "%s: bytes that changed", when);
}

void page_zero_check(const void *p, const char *when)
{
	tags_zero_check(untagged(p), PAGE, when);
	CHECK_EQ(other_bytes(p, 0, PAGE), 0, "%s: bytes of page %p that are not zero", when, p);
}
