/* SPDX-License-Identifier: MIT */
/*
 * Prints page frames, for the harness, which reads the guest's physical memory.
 *
 *	frames PID ADDRESS COUNT	prints a line per page: address, frame, kpageflags
 *	frames samples			prints frames of all kinds with their kpageflags
 *
 * A page without a frame has "-" for both. "samples" has some tagged and some untagged
 * pages of its own, prints "done" and keeps them until it is killed.
 *
 * The guest image has one such program for kernels of all page sizes.
 */
#include "procfs.h"

#undef PAGE /* a constant of programs that are compiled for one page size */
#define OWN  32 /* pages of each kind */
#define SCAN 4096 /* page frames from the start of memory */

static size_t page; /* bytes of a page */

static uint64_t read_entry(const char *path, uint64_t index)
{
	static uint64_t entry;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	MUST(fd >= 0, "open %s", path);
	MUST(pread(fd, &entry, sizeof(entry), index * sizeof(entry)) == sizeof(entry),
	     "%s has nothing for %#lx", path, (unsigned long)index);
	close(fd);
	return entry;
}

static void walk(const char *pid, uintptr_t address, size_t count)
{
	char path[64];
	uint64_t entry;

	snprintf(path, sizeof(path), "/proc/%s/pagemap", pid);
	for (address &= ~(page - 1); count--; address += page) {
		entry = read_entry(path, address / page);
		if (entry & PM_PRESENT)
			printf("%#lx %#llx %#llx\n", address, entry & PM_PFN_MASK,
			       (unsigned long long)read_entry("/proc/kpageflags",
							      entry & PM_PFN_MASK));
		else
			printf("%#lx - -\n", address);
	}
}

/* The frame of a page of this process. */
static uint64_t frame_of(const char *p)
{
	uint64_t entry = read_entry("/proc/self/pagemap", (uintptr_t)untagged(p) / page);

	MUST(entry & PM_PRESENT, "page %p is not present", (const void *)p);
	return entry & PM_PFN_MASK;
}

static void print_sample(uint64_t pfn)
{
	uint64_t flags = read_entry("/proc/kpageflags", pfn);

	if (!(flags & (1UL << KPF_COMPOUND_HEAD | 1UL << KPF_COMPOUND_TAIL | 1UL << KPF_NOPAGE)))
		printf("%#llx %#llx\n", (unsigned long long)pfn, (unsigned long long)flags);
}

static void samples(void)
{
	char *tagged = mte_map(OWN * page);
	char *plain = untagged_map(OWN * page);
	const uint64_t first = (1UL << 30) / page; /* first frame of DRAM on QEMU's virt machine */
	uint64_t pfn;
	size_t i;

	for (i = 0; i < OWN; i++) {
		tagged[i * page] = 1;
		plain[i * page] = 1;
		print_sample(frame_of(tagged + i * page));
		print_sample(frame_of(plain + i * page));
	}
	/* Every 13th frame from the start: kernel text, free pages and others. */
	for (pfn = first; pfn < first + SCAN; pfn += 13)
		print_sample(pfn);
	printf("done\n");
	fflush(stdout);
	pause();
}

int main(int argc, char **argv)
{
	page = sysconf(_SC_PAGESIZE);
	if (argc == 2 && !strcmp(argv[1], "samples"))
		samples();
	else if (argc == 4)
		walk(argv[1], strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0));
	else
		return 2;
	return 0;
}
