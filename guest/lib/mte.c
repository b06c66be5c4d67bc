/* SPDX-License-Identifier: MIT */
#include "mte.h"

int mte_set_mode(unsigned long tcf, unsigned long include)
{
	return prctl(PR_SET_TAGGED_ADDR_CTRL,
		     PR_TAGGED_ADDR_ENABLE | tcf | (include << PR_MTE_TAG_SHIFT), 0, 0, 0);
}

void mte_mode(unsigned long tcf)
{
	MUST(mte_set_mode(tcf, INCLUDE_ALL) == 0, "prctl(PR_SET_TAGGED_ADDR_CTRL, tcf %#lx)", tcf);
}

void mte_need(void)
{
	MUST(getauxval(AT_HWCAP2) & HWCAP2_MTE, "hwcap mte: no MTE on this machine or kernel");
}

/* Private anonymous memory in small pages only. */
static void *small_pages(size_t len, int prot)
{
	void *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED, "mmap(%zu bytes, prot %#x)", len, prot);
	madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

void *mte_map(size_t len)
{
	return small_pages(len, PROT_RW_MTE);
}

void *untagged_map(size_t len)
{
	return small_pages(len, PROT_RW);
}

char *tagged_map(size_t len, uint64_t seed)
{
	char *p;

	mte_need();
	p = mte_map(len);
	pattern_set(p, len, seed);
	return p;
}

int memory_file(size_t len)
{
	int fd = memfd_create("probe", MFD_CLOEXEC);

	MUST(fd >= 0 && ftruncate(fd, len) == 0, "memfd_create, ftruncate to %zu bytes", len);
	return fd;
}

void *map_file(int fd, size_t len, int prot, int flags)
{
	void *p = mmap(NULL, len, prot, flags, fd, 0);

	MUST(p != MAP_FAILED, "mmap of a file, prot %#x, flags %#x", prot, flags);
	return p;
}

void *mte_map_aligned(size_t len, size_t align, int prot, int flags, int fd)
{
	char *p = mmap(NULL, len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		       -1, 0);
	char *at;

	MUST(p != MAP_FAILED, "mmap(%zu)", len + align);
	at = (char *)(((uintptr_t)p + align - 1) & ~(align - 1));
	MUST(mmap(at, len, prot, flags | MAP_FIXED, fd, 0) == at, "mmap(%p, %zu)", at, len);
	if (at > p)
		munmap(p, at - p);
	munmap(at + len, p + align - at);
	return at;
}

void pattern_set_tags(void *p, size_t len, uint64_t seed)
{
	size_t g;

	for (g = 0; g < len / GRANULE; g++)
		stg((char *)p + g * GRANULE, pattern_tag(seed, g));
}

/* Writes the two words of a granule, with the tag that it has. */
static void set_data(char *at, uint64_t data)
{
	uint64_t *word = with_tag(at, ldg(at));

	word[0] = data;
	word[1] = ~data;
}

void pattern_set_data(void *p, size_t len, uint64_t seed)
{
	size_t g;

	for (g = 0; g < len / GRANULE; g++)
		set_data((char *)untagged(p) + g * GRANULE, pattern_data(seed, g));
}

void pattern_set(void *p, size_t len, uint64_t seed)
{
	size_t g;

	for (g = 0; g < len / GRANULE; g++) {
		char *at = (char *)untagged(p) + g * GRANULE;

		stg(at, pattern_tag(seed, g));
		set_data(at, pattern_data(seed, g));
	}
}

enum { TAGS = 1, DATA = 2 };

/* Checks tags, data or both of a pattern. */
static size_t check(void *p, size_t len, uint64_t seed, uint64_t first, int what, const char *when)
{
	size_t g, bad_tags = 0, bad_data = 0, zero_tags = 0;

	for (g = 0; g < len / GRANULE; g++) {
		char *at = (char *)untagged(p) + g * GRANULE;
		unsigned int want = pattern_tag(seed, first + g), got = ldg(at);
		/* Read with the tag found, so that a wrong tag does not hide the data. */
		volatile uint64_t *word = with_tag(at, got);
		uint64_t want_data = pattern_data(seed, first + g);

		if (what & TAGS && got != want) {
			if (++bad_tags <= 2)
				CHECK(false, "%s: page %zu granule %zu: expected tag %u, saw %u",
				      when, g / GRANULES_PER_PAGE, g % GRANULES_PER_PAGE, want,
				      got);
			zero_tags += got == 0;
		}
		if (what & DATA && (word[0] != want_data || word[1] != ~want_data)) {
			if (++bad_data <= 2)
				CHECK(false,
				      "%s: page %zu granule %zu: expected data %#llx, saw %#llx",
				      when, g / GRANULES_PER_PAGE, g % GRANULES_PER_PAGE,
				      (unsigned long long)want_data, (unsigned long long)word[0]);
		}
	}
	if (bad_tags || bad_data)
		CHECK(false,
		      "%s: of %zu granules %zu have a wrong tag (%zu of them 0), %zu wrong data",
		      when, len / GRANULE, bad_tags, zero_tags, bad_data);
	return bad_tags + bad_data;
}

size_t pattern_check_from(void *p, size_t len, uint64_t seed, uint64_t first, const char *when)
{
	return check(p, len, seed, first, TAGS | DATA, when);
}

size_t pattern_check(void *p, size_t len, uint64_t seed, const char *when)
{
	return check(p, len, seed, 0, TAGS | DATA, when);
}

size_t pattern_check_tags(void *p, size_t len, uint64_t seed, const char *when)
{
	return check(p, len, seed, 0, TAGS, when);
}

size_t pattern_check_data(void *p, size_t len, uint64_t seed, const char *when)
{
	return check(p, len, seed, 0, DATA, when);
}

size_t tags_zero_check(void *p, size_t len, const char *when)
{
	size_t g, bad = 0;

	for (g = 0; g < len / GRANULE; g++) {
		unsigned int got = ldg((char *)untagged(p) + g * GRANULE);

		if (got && ++bad <= 2)
			CHECK(false, "%s: page %zu granule %zu: expected tag 0, saw %u", when,
			      g / GRANULES_PER_PAGE, g % GRANULES_PER_PAGE, got);
	}
	if (bad)
		CHECK(false, "%s: %zu of %zu granules have a tag that is not 0", when, bad,
		      len / GRANULE);
	return bad;
}
