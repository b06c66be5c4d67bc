/* SPDX-License-Identifier: MIT */
/*
 * Memory tagging for probes: the instructions, the prctl() modes, and tagged memory
 * filled with a pattern, so that each tag and byte can be checked later.
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
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ktap.h"
#include "pattern.h"

#define GRANULE		  16UL
#define PAGE		  PROBE_PAGE /* the harness compiles for the kernel's page size */
#define TAG_SHIFT	  56
#define GRANULES_PER_PAGE (PAGE / GRANULE)

/*
 * Ends the case as skipped on a kernel whose pages have more than `kib` KiB: what the case
 * needs is not there, or does not fit in a guest. The harness accepts such a skip on these
 * kernels only (harness/suite/program.py). Where it is so for all cases of a probe, the
 * head comment says it (`pages:`).
 */
#define PAGES_UP_TO(kib, why)                                        \
	do {                                                         \
		if (PAGE > (kib) * 1024UL)                           \
			SKIP("pages of %lu KiB: " why, PAGE / 1024); \
	} while (0)

/* Values of the kernel's UAPI headers; a cross libc may be older. */
#ifndef PROT_MTE
#define PROT_MTE 0x20
#endif
#ifndef HWCAP2_MTE
#define HWCAP2_MTE (1UL << 18)
#endif
#ifndef HWCAP2_MTE3
#define HWCAP2_MTE3 (1UL << 22)
#endif
/* Since 6.17: arch/arm64/include/uapi/asm/hwcap.h, include/uapi/linux/auxvec.h. */
#ifndef AT_HWCAP3
#define AT_HWCAP3 29
#endif
#ifndef HWCAP3_MTE_FAR
#define HWCAP3_MTE_FAR (1UL << 0)
#endif
#ifndef HWCAP3_MTE_STORE_ONLY
#define HWCAP3_MTE_STORE_ONLY (1UL << 1)
#endif
#ifndef SEGV_MTEAERR
#define SEGV_MTEAERR 8
#define SEGV_MTESERR 9
#endif
#ifndef SA_EXPOSE_TAGBITS
#define SA_EXPOSE_TAGBITS 0x00000800
#endif
#ifndef PR_SET_TAGGED_ADDR_CTRL
#define PR_SET_TAGGED_ADDR_CTRL 55
#define PR_GET_TAGGED_ADDR_CTRL 56
#define PR_TAGGED_ADDR_ENABLE	(1UL << 0)
#endif
#ifndef PR_MTE_TCF_SYNC
#define PR_MTE_TCF_NONE	 0UL
#define PR_MTE_TCF_SYNC	 (1UL << 1)
#define PR_MTE_TCF_ASYNC (1UL << 2)
#endif
#ifndef PR_MTE_TAG_SHIFT
#define PR_MTE_TAG_SHIFT 3
#define PR_MTE_TAG_MASK	 (0xffffUL << PR_MTE_TAG_SHIFT)
#endif
#ifndef MADV_COLD
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

#define PROT_RW	    (PROT_READ | PROT_WRITE)
#define PROT_RW_MTE (PROT_RW | PROT_MTE)

#define TCF_NONE    PR_MTE_TCF_NONE
#define TCF_SYNC    PR_MTE_TCF_SYNC
#define TCF_ASYNC   PR_MTE_TCF_ASYNC
#define TCF_ASYMM   (PR_MTE_TCF_SYNC | PR_MTE_TCF_ASYNC) /* if preferred: sysfs mte_tcf_preferred */
#define INCLUDE_ALL 0xfffeUL /* IRG may give 1 to 15 */

/* --- pointers and tags ---------------------------------------------------- */

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
	asm volatile(".arch_extension memtag\n stg %0, [%0]" : : "r"(with_tag(p, tag)) : "memory");
}

/* ST2G: two granules. */
static inline void st2g(volatile void *p, unsigned int tag)
{
	asm volatile(".arch_extension memtag\n st2g %0, [%0]" : : "r"(with_tag(p, tag)) : "memory");
}

/* STZG: set the tag and zero the granule. */
static inline void stzg(volatile void *p, unsigned int tag)
{
	asm volatile(".arch_extension memtag\n stzg %0, [%0]" : : "r"(with_tag(p, tag)) : "memory");
}

/* IRG: p with a random tag out of those GCR_EL1 includes and `exclude` does not name. */
static inline void *irg(const volatile void *p, uint64_t exclude)
{
	void *out;

	asm volatile(".arch_extension memtag\n irg %0, %1, %2" : "=r"(out) : "r"(p), "r"(exclude));
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
	return (v >> 25) & 1; /* PSTATE.TCO, Arm ARM C5.2 */
}

/* --- modes ---------------------------------------------------------------- */

/* Sets this thread's mode; `include` is the mask of tags that IRG may give. */
int mte_set_mode(unsigned long tcf, unsigned long include);

/* The same with INCLUDE_ALL; a failure ends the case. */
void mte_mode(unsigned long tcf);

/* Ends the case as failed where the kernel offers no MTE. */
void mte_need(void);

/* --- tagged memory -------------------------------------------------------- */

/* Private anonymous PROT_MTE memory, never in huge pages. A failure ends the case. */
void *mte_map(size_t len);

/* Private anonymous memory without PROT_MTE, never in huge pages. */
void *untagged_map(size_t len);

/* mte_need() and mte_map(), filled with a pattern. */
char *tagged_map(size_t len, uint64_t seed);

/* A memfd of `len` bytes, and a mapping of all of such a file. */
int memory_file(size_t len);
void *map_file(int fd, size_t len, int prot, int flags);

/* A mapping at a multiple of `align`; the rest of the area found for it is unmapped. */
void *mte_map_aligned(size_t len, size_t align, int prot, int flags, int fd);

/* Writes tags and data of a pattern (pattern.h) to [p, p + len). Tag checks may be on. */
void pattern_set(void *p, size_t len, uint64_t seed);

/*
 * Checks tags and data of `len` bytes at p, whose first granule has number `first` in
 * the pattern. Reports the first wrong granules, and how many wrong tags are 0 (lost)
 * and how many have another value (stale). Returns the number of wrong granules.
 */
size_t pattern_check_from(void *p, size_t len, uint64_t seed, uint64_t first, const char *when);

/* The same for memory that begins with granule 0 of the pattern. */
size_t pattern_check(void *p, size_t len, uint64_t seed, const char *when);

/* Sets only the tags, or only the data, of a pattern; checks only those. */
void pattern_set_tags(void *p, size_t len, uint64_t seed);
void pattern_set_data(void *p, size_t len, uint64_t seed);
size_t pattern_check_tags(void *p, size_t len, uint64_t seed, const char *when);
size_t pattern_check_data(void *p, size_t len, uint64_t seed, const char *when);

/* Checks that every tag of [p, p + len) is 0, as in fresh memory. Reads no data. */
size_t tags_zero_check(void *p, size_t len, const char *when);

#endif
