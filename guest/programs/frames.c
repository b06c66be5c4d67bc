/* SPDX-License-Identifier: MIT */
/*
 * Prints page frames, for the harness, which reads the guest's physical memory.
 *
 *	frames PID ADDRESS COUNT	prints a line per page: address, frame, kpageflags
 *	frames samples			prints frames of all kinds with their kpageflags
 *
 * A page without a frame has "-" for both. "samples" has some tagged and some untagged
 * pages of its own, prints "done" and keeps them until it is killed.
 */
#include "procfs.h"

#define OWN  32 /* pages of each kind */
#define SCAN 4096 /* page frames from the start of memory */

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
	for (address &= ~(PAGE - 1); count--; address += PAGE) {
		entry = read_entry(path, address / PAGE);
		if (entry & PM_PRESENT)
			printf("%#lx %#llx %#llx\n", address, entry & PM_PFN_MASK,
			       (unsigned long long)read_entry("/proc/kpageflags",
							      entry & PM_PFN_MASK));
		else
			printf("%#lx - -\n", address);
	}
}

static void print_sample(uint64_t pfn)
{
	uint64_t flags = read_entry("/proc/kpageflags", pfn);

	if (!(flags & (1UL << KPF_COMPOUND_HEAD | 1UL << KPF_COMPOUND_TAIL | 1UL << KPF_NOPAGE)))
		printf("%#llx %#llx\n", (unsigned long long)pfn, (unsigned long long)flags);
}

static void samples(void)
{
	char *tagged = mte_map(OWN * PAGE);
	char *plain = untagged_map(OWN * PAGE);
	const uint64_t first = (1UL << 30) / PAGE; /* first frame of DRAM on QEMU's virt machine */
	uint64_t pfn;
	size_t i;

	for (i = 0; i < OWN; i++) {
		tagged[i * PAGE] = 1;
		plain[i * PAGE] = 1;
		print_sample(pfn_of(tagged + i * PAGE));
		print_sample(pfn_of(plain + i * PAGE));
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
	if (argc == 2 && !strcmp(argv[1], "samples"))
		samples();
	else if (argc == 4)
		walk(argv[1], strtoul(argv[2], NULL, 0), strtoul(argv[3], NULL, 0));
	else
		return 2;
	return 0;
}
