/* SPDX-License-Identifier: MIT */
/*
 * Page frames, for the harness on the host, which sees physical memory.
 *
 *	frames PID ADDRESS COUNT	a line for each page: address, frame, kpageflags
 *	frames samples			frames of all kinds with their kpageflags, then waits
 *
 * A page without a frame has "-" for both. "samples" holds some tagged and some
 * untagged pages of its own, prints "done" and keeps them until it is killed.
 */
#include "procfs.h"

#define OWN  32 /* pages of each kind */
#define SCAN 4096 /* frames looked at from the start of memory */

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
	char *plain =
		mmap(NULL, OWN * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const uint64_t first = (1UL << 30) / PAGE; /* of DRAM on QEMU's virt machine */
	uint64_t pfn;
	size_t i;

	MUST(plain != MAP_FAILED, "mmap");
	madvise(plain, OWN * PAGE, MADV_NOHUGEPAGE);
	for (i = 0; i < OWN; i++) {
		tagged[i * PAGE] = 1;
		plain[i * PAGE] = 1;
		print_sample(pfn_of(tagged + i * PAGE));
		print_sample(pfn_of(plain + i * PAGE));
	}
	/* Kernel text, free pages, whatever there is. */
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
