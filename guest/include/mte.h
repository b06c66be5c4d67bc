/* SPDX-License-Identifier: MIT */
/*
 * Memory tagging for probes: the instructions, the prctl() modes, and tagged
 * memory whose every tag and byte can be checked later.
 *
 * Instructions: Arm ARM (DDI 0487) C6.2; modes: the kernel's
 * Documentation/arch/arm64/memory-tagging-extension.rst.
 *
 * Checked loads and stores are slow under TCG, and LDG/STG are never checked:
 * a probe turns checking on only around the access it is about.
 */
#ifndef MTE_HARNESS_MTE_H
#define MTE_HARNESS_MTE_H

#include <stdint.h>
#include <stdio.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ktap.h"

#define GRANULE		16UL
#define PAGE		4096UL
#define TAG_SHIFT	56
#define GRANULES_PER_PAGE (PAGE / GRANULE)

/* Values of the kernel's UAPI headers; a cross libc may be older. */
#ifndef PROT_MTE
#define PROT_MTE	0x20
#endif
#ifndef HWCAP2_MTE
#define HWCAP2_MTE	(1UL << 18)
#endif
#ifndef HWCAP2_MTE3
#define HWCAP2_MTE3	(1UL << 22)
#endif
#ifndef SEGV_MTEAERR
#define SEGV_MTEAERR	8
#define SEGV_MTESERR	9
#endif
#ifndef SA_EXPOSE_TAGBITS
#define SA_EXPOSE_TAGBITS 0x00000800
#endif
#ifndef PR_SET_TAGGED_ADDR_CTRL
#define PR_SET_TAGGED_ADDR_CTRL	55
#define PR_GET_TAGGED_ADDR_CTRL	56
#define PR_TAGGED_ADDR_ENABLE	(1UL << 0)
#endif
#ifndef PR_MTE_TCF_SYNC
#define PR_MTE_TCF_NONE		0UL
#define PR_MTE_TCF_SYNC		(1UL << 1)
#define PR_MTE_TCF_ASYNC	(1UL << 2)
#endif
#ifndef PR_MTE_TAG_SHIFT
#define PR_MTE_TAG_SHIFT	3
#define PR_MTE_TAG_MASK		(0xffffUL << PR_MTE_TAG_SHIFT)
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

#define TCF_NONE	PR_MTE_TCF_NONE
#define TCF_SYNC	PR_MTE_TCF_SYNC
#define TCF_ASYNC	PR_MTE_TCF_ASYNC
#define TCF_ASYMM	(PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC)	/* if preferred: sysfs mte_tcf_preferred */
#define INCLUDE_ALL	0xfffeUL	/* IRG may give 1 to 15 */

/* --- pointers and tags ------------------------------------------------- */

static inline void *with_tag(const volatile void *p, unsigned int tag)
{
	return (void *)(((uintptr_t)p & ~(0xffUL << TAG_SHIFT)) |
			((uintptr_t)(tag & 0xf) << TAG_SHIFT));
}

static inline void *untagged(const volatile void *p)
{
	return (void *)((uintptr_t)p & ~(0xffUL << TAG_SHIFT));
}

static inline unsigned int tag_of(const volatile void *p)
{
	return ((uintptr_t)p >> TAG_SHIFT) & 0xf;
}

/* LDG: the allocation tag of the granule at p; never checked. */
static inline unsigned int ldg(const volatile void *p)
{
	uintptr_t x = (uintptr_t)untagged(p);

	asm volatile(".arch_extension memtag\n ldg %0, [%0]" : "+r"(x) : : "memory");
	return (x >> TAG_SHIFT) & 0xf;
}

/* STG: set the granule's tag; never checked. */
static inline void stg(volatile void *p, unsigned int tag)
{
	asm volatile(".arch_extension memtag\n stg %0, [%0]"
		     : : "r"(with_tag(p, tag)) : "memory");
}

/* ST2G: two granules. */
static inline void st2g(volatile void *p, unsigned int tag)
{
	asm volatile(".arch_extension memtag\n st2g %0, [%0]"
		     : : "r"(with_tag(p, tag)) : "memory");
}

/* STZG: set the tag and zero the granule. */
static inline void stzg(volatile void *p, unsigned int tag)
{
	asm volatile(".arch_extension memtag\n stzg %0, [%0]"
		     : : "r"(with_tag(p, tag)) : "memory");
}

/* IRG: p with a random tag out of those GCR_EL1 includes and `exclude` does not name. */
static inline void *irg(const volatile void *p, uint64_t exclude)
{
	void *out;

	asm volatile(".arch_extension memtag\n irg %0, %1, %2"
		     : "=r"(out) : "r"(p), "r"(exclude));
	return out;
}

static inline void set_tco(int on)
{
	if (on)
		asm volatile(".arch_extension memtag\n msr tco, #1" : : : "memory");
	else
		asm volatile(".arch_extension memtag\n msr tco, #0" : : : "memory");
}

static inline int get_tco(void)
{
	uint64_t v;

	asm volatile(".arch_extension memtag\n mrs %0, tco" : "=r"(v) : : "memory");
	return (v >> 25) & 1;	/* PSTATE.TCO, Arm ARM C5.2 */
}

/* --- modes ------------------------------------------------------------- */

/* Sets this thread's mode; `include` is the mask of tags that IRG may give. */
static inline int mte_set_mode(unsigned long tcf, unsigned long include)
{
	return prctl(PR_SET_TAGGED_ADDR_CTRL,
		     PR_TAGGED_ADDR_ENABLE | tcf | (include << PR_MTE_TAG_SHIFT), 0, 0, 0);
}

static inline void mte_mode(unsigned long tcf)
{
	MUST(mte_set_mode(tcf, INCLUDE_ALL) == 0, "prctl(PR_SET_TAGGED_ADDR_CTRL, tcf %#lx)", tcf);
}

static inline void mte_need(void)
{
	MUST(getauxval(AT_HWCAP2) & HWCAP2_MTE, "hwcap mte: no MTE on this machine or kernel");
}

/* --- tagged memory ----------------------------------------------------- */

/* Private anonymous memory of `len` bytes with PROT_MTE and no THP. Fails the case. */
static inline void *mte_map(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE | PROT_MTE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED, "mmap(%zu, PROT_MTE)", len);
	madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

/* The same at an address that is a multiple of `align`; the surplus is unmapped. */
static inline void *mte_map_aligned(size_t len, size_t align, int prot, int flags, int fd)
{
	char *p = mmap(NULL, len + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	char *at;

	MUST(p != MAP_FAILED, "mmap(%zu)", len + align);
	at = (char *)(((uintptr_t)p + align - 1) & ~(align - 1));
	MUST(mmap(at, len, prot, flags | MAP_FIXED, fd, 0) == at, "mmap(%p, %zu)", at, len);
	if (at > p)
		munmap(p, at - p);
	munmap(at + len, p + align - at);
	return at;
}

/*
 * A pattern: tag and data of each granule are a function of the granule's
 * number and a seed, so that a tag from another page, granule or time shows.
 * Never tag 0: a lost tag reads 0, and must differ.
 */
static inline uint64_t pattern_hash(uint64_t seed, uint64_t granule)
{
	uint64_t x = seed * 0x9e3779b97f4a7c15ULL + granule;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;	/* splitmix64 */
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline unsigned int pattern_tag(uint64_t seed, uint64_t granule)
{
	return 1 + pattern_hash(seed, granule) % 15;
}

/* Writes data and tags of [p, p + len). Checking may be on or off. */
static inline void pattern_set(void *p, size_t len, uint64_t seed)
{
	size_t g;

	for (g = 0; g < len / GRANULE; g++) {
		char *at = (char *)untagged(p) + g * GRANULE;
		uint64_t *word;

		stg(at, pattern_tag(seed, g));
		word = with_tag(at, pattern_tag(seed, g));
		word[0] = pattern_hash(seed ^ 1, g);
		word[1] = ~word[0];
	}
}

/*
 * Checks tags and data of `len` bytes at p, whose first granule has number
 * `first` of the pattern. Returns the wrong granules; says the first few and
 * how the wrong ones look (all zero is a lost tag, another value a stale one).
 */
static inline size_t pattern_check_from(void *p, size_t len, uint64_t seed, uint64_t first,
					const char *when)
{
	size_t g, bad_tags = 0, bad_data = 0, zero_tags = 0;

	for (g = 0; g < len / GRANULE; g++) {
		char *at = (char *)untagged(p) + g * GRANULE;
		unsigned int want = pattern_tag(seed, first + g), got = ldg(at);
		/* Read through the tag that is there: data and tag are judged apart. */
		volatile uint64_t *word = with_tag(at, got);
		uint64_t want_data = pattern_hash(seed ^ 1, first + g);

		if (got != want) {
			if (++bad_tags <= 2)
				CHECK(false, "%s: page %zu granule %zu: expected tag %u, saw %u",
				      when, g / GRANULES_PER_PAGE, g % GRANULES_PER_PAGE, want, got);
			zero_tags += got == 0;
		}
		if (word[0] != want_data || word[1] != ~want_data) {
			if (++bad_data <= 2)
				CHECK(false, "%s: page %zu granule %zu: expected data %#llx, saw %#llx",
				      when, g / GRANULES_PER_PAGE, g % GRANULES_PER_PAGE,
				      (unsigned long long)want_data, (unsigned long long)word[0]);
		}
	}
	if (bad_tags || bad_data)
		CHECK(false, "%s: of %zu granules %zu have a wrong tag (%zu of them 0), %zu wrong data",
		      when, len / GRANULE, bad_tags, zero_tags, bad_data);
	return bad_tags + bad_data;
}

static inline size_t pattern_check(void *p, size_t len, uint64_t seed, const char *when)
{
	return pattern_check_from(p, len, seed, 0, when);
}

/* Checks that every tag of [p, p + len) is 0 (fresh memory). Reads no data. */
static inline size_t tags_zero_check(void *p, size_t len, const char *when)
{
	size_t g, bad = 0;

	for (g = 0; g < len / GRANULE; g++) {
		unsigned int got = ldg((char *)untagged(p) + g * GRANULE);

		if (got && ++bad <= 2)
			CHECK(false, "%s: page %zu granule %zu: expected tag 0, saw %u", when,
			      g / GRANULES_PER_PAGE, g % GRANULES_PER_PAGE, got);
	}
	if (bad)
		CHECK(false, "%s: %zu of %zu granules have a tag that is not 0", when, bad, len / GRANULE);
	return bad;
}

#endif
