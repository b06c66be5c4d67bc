/* SPDX-License-Identifier: MIT */
/*
 * probe: proc_smaps
 * needs: CONFIG_ARM64_MTE CONFIG_PROC_PAGE_MONITOR
 * timeout: 30
 *
 * VmFlags in /proc/PID/smaps has `mt` for PROT_MTE mappings and for no other, whatever
 * made them: mmap(), mprotect(), mremap(), splits, merges and fork(). Mappings that differ
 * in it never merge. Nothing else there, or in /proc/PID/maps, depends on it.
 * fs/proc/task_mmu.c show_smap_vma_flags(); arch/arm64/include/asm/mman.h
 * arch_calc_vm_prot_bits(), arch_calc_vm_flag_bits(); mm/mprotect.c; mm/vma.c
 * is_mergeable_vma().
 */
#include "child.h"
#include "procfs.h"

enum { RW = PROT_READ | PROT_WRITE, RWM = RW | PROT_MTE, MOST = 8 };

struct vma {
	char *start, *end;
	bool mt;
	char perms[5], flags[200];
};

/* Reads the VMAs of [p, p + len), at most MOST; `flags` is VmFlags without "mt". */
static int vmas(const char *p, size_t len, struct vma *v)
{
	unsigned long start = 0, end = 0, a, b, lo = (uintptr_t)p, hi = lo + len;
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512], perms[5], *mt;
	int n = 0;

	MUST(f, "open /proc/self/smaps");
	while (fgets(line, sizeof(line), f)) {
		/* Not smaps_header(), as the permissions are needed too. */
		if (sscanf(line, "%lx-%lx %4s", &a, &b, perms) == 3) {
			start = a;
			end = b;
			continue;
		}
		if (strncmp(line, "VmFlags:", 8) || end <= lo || start >= hi)
			continue;
		MUST(n < MOST, "more than %d mappings", MOST);
		v[n].start = (char *)start;
		v[n].end = (char *)end;
		memcpy(v[n].perms, perms, 5);
		line[strcspn(line, "\n")] = 0;
		CHECK(!strstr(line, "??"), "unknown flag: %s", line);
		mt = strstr(line, " mt ");
		v[n].mt = mt;
		if (mt)
			memmove(mt, mt + 3, strlen(mt + 3) + 1);
		CHECK(!strstr(line, " mt "), "mt twice");
		snprintf(v[n].flags, sizeof(v[n].flags), "%.190s", line);
		n++;
	}
	fclose(f);
	return n;
}

/*
 * Checks the mappings from p on. Each character of `want` is a page: m with PROT_MTE,
 * - without, . not mapped; pages of the same kind must be one mapping.
 */
static void check_layout(char *p, const char *want, const char *what)
{
	size_t pages = strlen(want), i, j, n = 0;
	struct vma v[MOST];
	int count = vmas(p, pages * PAGE, v);

	for (i = 0; i < pages; i = j) {
		for (j = i; j < pages && want[j] == want[i]; j++)
			;
		if (want[i] == '.') /* not mapped */
			continue;
		if (!CHECK(n < (size_t)count, "%s: %s: expected a mapping of page %zu, saw none",
			   what, want, i))
			return;
		CHECK_EQ(v[n].start - p, i * PAGE, "%s: %s: start of mapping %zu", what, want, n);
		CHECK_EQ(v[n].end - p, j * PAGE, "%s: %s: end of mapping %zu", what, want, n);
		CHECK_EQ(v[n].mt, want[i] == 'm', "%s: %s: mt of mapping %zu", what, want, n);
		n++;
	}
	CHECK_EQ(count, n, "%s: %s: mappings", what, want);
}

/* Maps pages between holes, so that no other mapping merges with them. */
static char *map_pages(size_t pages, int prot)
{
	char *room = mmap(NULL, (pages + 2) * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	MUST(room != MAP_FAILED, "mmap");
	MUST(munmap(room, PAGE) == 0 && munmap(room + (pages + 1) * PAGE, PAGE) == 0, "munmap");
	return room + PAGE;
}

static void add_mte(char *p, size_t pages)
{
	MUST(mprotect(p, pages * PAGE, RWM) == 0, "mprotect");
}

/* Two mappings that differ only in PROT_MTE differ only in `mt`. */
static void twins_differ_in_mt_only(void)
{
	static const struct {
		const char *name;
		int flags;
	} kind[] = {
		{ "private", MAP_PRIVATE | MAP_ANONYMOUS },
		{ "shared", MAP_SHARED | MAP_ANONYMOUS },
		{ "memfd shared", MAP_SHARED },
		{ "memfd private", MAP_PRIVATE },
	};
	int memfd = memory_file(PAGE), i;

	mte_need();
	for (i = 0; i < 4; i++) {
		int flags = kind[i].flags, fd = flags & MAP_ANONYMOUS ? -1 : memfd;
		const char *name = kind[i].name;
		struct vma with, without;
		char *p, *q;

		p = mmap(NULL, PAGE, RWM, flags, fd, 0);
		q = mmap(NULL, PAGE, RW, flags, fd, 0);
		MUST(p != MAP_FAILED && q != MAP_FAILED, "mmap %s", name);
		MUST(vmas(p, PAGE, &with) == 1 && vmas(q, PAGE, &without) == 1, "one mapping each");
		CHECK(with.mt, "%s with PROT_MTE: no mt in %s", name, with.flags);
		CHECK(!without.mt, "%s without PROT_MTE: mt", name);
		CHECK(!strcmp(with.flags, without.flags), "%s: %s with PROT_MTE, %s without", name,
		      with.flags, without.flags);
		CHECK(!strcmp(with.perms, without.perms), "%s: %s and %s", name, with.perms,
		      without.perms);
		munmap(p, PAGE);
		munmap(q, PAGE);
	}
}

/* The program has no PROT_MTE mapping yet, so none has `mt`. */
static void no_other_mapping_has_it(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	int lines = 0;

	mte_need();
	MUST(f, "open /proc/self/smaps");
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "VmFlags:", 8))
			continue;
		lines++;
		CHECK(!strstr(line, " mt"), "%s", line);
		CHECK(!strstr(line, "??"), "%s", line);
	}
	fclose(f);
	CHECK(lines > 4, "expected VmFlags lines, saw %d", lines);
}

static void mprotect_adds_it(void)
{
	char *p;

	mte_need();
	p = map_pages(6, RW);
	check_layout(p, "------", "plain");
	add_mte(p + 2 * PAGE, 2);
	check_layout(p, "--mm--", "the middle");
	add_mte(p, 1);
	check_layout(p, "m-mm--", "the first");
	add_mte(p + PAGE, 1);
	check_layout(p, "mmmm--", "neighbours merge");
	add_mte(p + 5 * PAGE, 1);
	check_layout(p, "mmmm-m", "the last");
	add_mte(p, 6);
	check_layout(p, "mmmmmm", "all");
}

static void mprotect_does_not_remove_it(void)
{
	char *p;
	int prot;

	mte_need();
	p = map_pages(4, RWM);
	for (prot = 0; prot <= RW; prot++) {
		MUST(mprotect(p + PAGE, 2 * PAGE, prot) == 0, "mprotect %d", prot);
		CHECK(smaps_flag(p + PAGE, "mt"), "mt after mprotect(%d)", prot);
		CHECK(smaps_flag(p + 2 * PAGE, "mt"), "mt after mprotect(%d)", prot);
	}
	check_layout(p, "mmmm", "after mprotect without PROT_MTE");
}

static void unlike_mappings_stay_apart(void)
{
	char *p;
	int i;

	mte_need();
	p = map_pages(6, PROT_NONE);
	for (i = 0; i < 6; i++)
		MUST(mmap(p + i * PAGE, PAGE, i & 1 ? RWM : RW,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p + i * PAGE,
		     "mmap");
	check_layout(p, "-m-m-m", "mapped one by one");
	for (i = 0; i < 6; i += 2)
		MUST(mmap(p + i * PAGE, PAGE, RWM, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
			  0) == p + i * PAGE,
		     "mmap");
	check_layout(p, "mmmmmm", "gaps filled with PROT_MTE");
	MUST(munmap(p + 2 * PAGE, PAGE) == 0, "munmap");
	check_layout(p, "mm.mmm", "with a hole");
}

static void mremap_keeps_it(void)
{
	char *p, *q;
	int i;

	mte_need();
	for (i = 0; i < 2; i++) {
		p = map_pages(4, i ? RWM : RW);
		q = map_pages(8, PROT_NONE);
		CHECK(mremap(p, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q,
		      "mremap");
		munmap(q + 4 * PAGE, 4 * PAGE);
		check_layout(q, i ? "mmmm...." : "----....", "moved");
		CHECK(mremap(q, 4 * PAGE, 8 * PAGE, 0) == q, "mremap to grow");
		check_layout(q, i ? "mmmmmmmm" : "--------", "grown");
		CHECK(mremap(q, 8 * PAGE, 3 * PAGE, 0) == q, "mremap to shrink");
		check_layout(q, i ? "mmm....." : "---.....", "shrunk");
	}
}

static void fork_keeps_it(void)
{
	char *p;
	pid_t child;

	mte_need();
	p = map_pages(6, RW);
	add_mte(p + 2 * PAGE, 2);
	child = child_fork();
	if (!child) {
		check_layout(p, "--mm--", "in the child");
		add_mte(p, 2);
		check_layout(p, "mmmm--", "in the child, changed there");
		_exit(0);
	}
	wait_child(child);
	check_layout(p, "--mm--", "in the parent");
}

/* Heap and stack are not made by mmap(), and may be tagged too. */
static void heap_and_stack(void)
{
	char *heap = sbrk(0), *stack = (char *)((uintptr_t)&heap & ~(PAGE - 1));

	mte_need();
	heap = (char *)(((uintptr_t)heap + PAGE - 1) & ~(PAGE - 1));
	MUST(brk(heap + 2 * PAGE) == 0, "brk");
	CHECK(!smaps_flag(heap, "mt"), "mt of the heap");
	MUST(mprotect(heap, PAGE, RWM) == 0, "mprotect of the heap");
	CHECK(smaps_flag(heap, "mt"), "no mt of the heap's page");
	CHECK(!smaps_flag(heap + PAGE, "mt"), "mt of the heap's next page");
	CHECK(!smaps_flag(stack, "mt"), "mt of the stack");
	MUST(mprotect(stack, PAGE, RWM) == 0, "mprotect of the stack");
	CHECK(smaps_flag(stack, "mt"), "no mt of the stack's page");
}

PROBE(CASE(twins_differ_in_mt_only), CASE(no_other_mapping_has_it), CASE(mprotect_adds_it),
      CASE(mprotect_does_not_remove_it), CASE(unlike_mappings_stay_apart), CASE(mremap_keeps_it),
      CASE(fork_keeps_it), CASE(heap_and_stack));
