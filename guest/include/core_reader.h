/* SPDX-License-Identifier: MIT */
/*
 * Makes a child dump core, and reads the segments of the core.
 *
 * Tag segments: Documentation/arch/arm64/memory-tagging-extension.rst, "Core dump
 * support"; arch/arm64/kernel/elfcore.c. Reads only cores that are 64-bit, in native byte
 * order and with fewer than 65535 segments.
 */
#ifndef MTE_HARNESS_CORE_READER_H
#define MTE_HARNESS_CORE_READER_H

#include <elf.h>
#include <sys/resource.h>

#include "child.h"
#include "procfs.h"

#ifndef PT_AARCH64_MEMTAG_MTE
#define PT_AARCH64_MEMTAG_MTE (PT_LOPROC + 2)
#endif
#define TAG_BYTES(len) ((len) / GRANULE / 2) /* two tags per byte */

struct core {
	unsigned char *data;
	size_t size;
	Elf64_Phdr *ph;
	int count;
};

/* Shared with the child that dumps core: its mappings. */
extern struct core_shared {
	char *mem[32];
	int count; /* entries of mem in use */
	int mte_vmas; /* VMAs with PROT_MTE, from smaps */
} *core_shared;

/* Appends a mapping to core_shared->mem. Called by the child. */
void *core_note(void *p);

/*
 * Maps private anonymous memory and notes it. PROT_NONE pages on both sides keep the VMA
 * from merging with another one.
 */
char *core_map(size_t pages, int prot);

/*
 * Runs `prepare` and then abort() in a child with RLIMIT_CORE `limit`. Returns the path
 * of the core. If there is none, ends the case if `needed`, else returns NULL.
 */
const char *core_dump(void (*prepare)(void), rlim_t limit, bool needed);

/* Maps a core file; ends the case if it is not a whole arm64 core. */
struct core core_open(const char *path);

/* core_open() of the core of a child that ran `prepare`, with no size limit. */
struct core core_of(void (*prepare)(void));

void core_close(struct core *c);

/* The segment of `type` that begins at `mem`, or NULL. Ends the case if it is cut off. */
Elf64_Phdr *core_segment(const struct core *c, Elf64_Word type, const void *mem);

/* The number of segments of `type`. */
int core_count(const struct core *c, Elf64_Word type);

/* The tag of granule g of a tag segment: the lower granule is the low nibble. */
unsigned int core_tag(const struct core *c, const Elf64_Phdr *tags, size_t g);

/*
 * Checks the headers of the tag segment at `mem`, for `memsz` bytes of memory of which
 * `dumped` have tags in the file. Returns the header; ends the case if there is none.
 */
Elf64_Phdr *core_check_header(const struct core *c, const void *mem, size_t memsz, size_t dumped,
			      const char *what);

/* Checks headers, tags and data of a mapping that a pattern fills wholly. */
void core_check_pattern(const struct core *c, const void *mem, size_t len, uint64_t seed,
			const char *what);

#endif
