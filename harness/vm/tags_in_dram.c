/* SPDX-License-Identifier: MIT */
/*
 * Puts the tags of QEMU's virt machine into guest DRAM. Preloaded into QEMU.
 *
 * QEMU's "mach-virt.tag" block (hw/arm/virt.c, create_tag_ram) is anonymous memory
 * of 1/32 of DRAM. Like each RAM block it is reserved first and then mapped in place,
 * readable and writable (util/mmap-alloc.c, mmap_activate). That second mmap() is
 * answered with a shared mapping of the file that holds DRAM, at the offsets where
 * the machine has its tag storage. From then on a tag store and an ordinary store
 * reach the same bytes.
 *
 * MTE_TAGS_IN_DRAM=FD:OFFSET+LENGTH[,OFFSET+LENGTH...] in bytes, the sum of the lengths
 * being the size of the block. That the tag block was mapped so, and no other, is checked
 * from outside (harness/vm/tags_in_dram.py).
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REGIONS 8

static struct {
	unsigned long offset, length;
} regions[REGIONS];
static unsigned long total;
static int count, dram = -1, taken;

static void refuse(const char *why)
{
	fprintf(stderr, "tags_in_dram: %s\n", why);
	_exit(1);
}

__attribute__((constructor)) static void parse(void)
{
	char *at = getenv("MTE_TAGS_IN_DRAM");

	if (!at)
		return;
	dram = strtol(at, &at, 0);
	for (; *at && count < REGIONS; count++) {
		regions[count].offset = strtoul(at + 1, &at, 0);
		regions[count].length = *at == '+' ? strtoul(at + 1, &at, 0) : 0;
		if (!regions[count].length)
			refuse("MTE_TAGS_IN_DRAM cannot be read");
		total += regions[count].length;
	}
}

static void *map(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, at, length, prot, flags, fd, offset);
}

void *mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
	char *next = at;
	int i;

	if (!total || length != total || fd != -1 || !(flags & MAP_ANONYMOUS) ||
	    !(flags & MAP_FIXED) || prot != (PROT_READ | PROT_WRITE))
		return map(at, length, prot, flags, fd, offset);
	if (taken++)
		refuse("QEMU maps a second block of the size of the tag block");
	for (i = 0; i < count; next += regions[i++].length)
		if (map(next, regions[i].length, prot, MAP_SHARED | MAP_FIXED, dram,
			regions[i].offset) == MAP_FAILED)
			refuse("DRAM cannot be mapped a second time");
	return at;
}

void *mmap64(void *at, size_t length, int prot, int flags, int fd, off_t offset)
	__attribute__((alias("mmap")));
