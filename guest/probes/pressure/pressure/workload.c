/* SPDX-License-Identifier: MIT */
/* The operations of a worker on its memory, which depend only on the seed and its number. */
#include "pressure.h"

enum {
	SLOTS = 128,
	PHASE = 48, /* operations with the same share of tagged memory */
};

static struct slot slots[SLOTS];
static size_t used[2]; /* pages, untagged and tagged */
static uint64_t rng;
static int me;

/* A number below `below`, by xorshift64*. */
static uint32_t draw(uint32_t below)
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return (uint32_t)((rng * 0x2545f4914f6cdd1dULL) >> 33) % below;
}

/* Counts the pages of data that are in tag storage. */
static void count_in_storage(const struct slot *s)
{
	static uint64_t entries[SLOT_PAGES];
	size_t i, count = 0;

	if (s->tagged || !have_regions())
		return;
	pagemap_read(s->at, entries, s->pages);
	for (i = 0; i < s->pages; i++)
		count += (entries[i] & PM_PRESENT) && stored_in(entries[i] & PM_PFN_MASK);
	__atomic_fetch_add(&run->in_storage, count, __ATOMIC_SEQ_CST);
}

static void fill(struct slot *s)
{
	size_t i;

	s->generation++;
	for (i = 0; i < s->pages; i++)
		fill_page(s->at + i * PAGE, s->generation, s->tagged);
	count_in_storage(s);
}

/* Checks a slot, and corrects what is wrong, so that it is counted only once. */
static void check(struct slot *s)
{
	uint32_t wrong = 0;
	size_t i;

	count_in_storage(s);
	for (i = 0; i < s->pages; i++)
		wrong |= check_page(s->at + i * PAGE, s->generation, s->tagged);
	if (wrong)
		fill(s);
}

static struct slot *any_slot(void)
{
	unsigned int i, start = draw(SLOTS);

	for (i = 0; i < SLOTS; i++)
		if (slots[(start + i) % SLOTS].at)
			return &slots[(start + i) % SLOTS];
	return NULL;
}

static void drop(struct slot *s)
{
	munmap(s->at, s->pages * PAGE);
	used[s->tagged] -= s->pages;
	s->at = NULL;
}

static void add(bool tagged)
{
	int prot = tagged ? PROT_RW_MTE : PROT_RW;
	/* One huge page of 512 MiB would be more than a worker's memory. */
	bool huge = draw(8) == 0 && HUGE < 512 << 20, shared = !huge && draw(6) == 0;
	size_t i, pages = huge ? HUGE_PAGES * (1 + draw(2)) : 1 + draw(SLOT_PAGES);

	for (i = 0; i < SLOTS && slots[i].at; i++)
		;
	if (i == SLOTS)
		return drop(any_slot());
	slots[i] = (struct slot){
		.at = mte_map_aligned(pages * PAGE, huge ? HUGE : PAGE, prot,
				      (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1),
		.pages = pages,
		.tagged = tagged,
		.shared = shared,
		.generation = draw(1 << 20),
	};
	madvise(slots[i].at, pages * PAGE, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	used[tagged] += pages;
	fill(&slots[i]);
}

/* Brings this worker to its budget and to the share of tagged memory of this phase. */
static void balance(unsigned int percent)
{
	bool want_tagged = used[1] * 100 < budget * percent;
	struct slot *s;

	if (used[0] + used[1] < budget)
		return add(want_tagged);
	s = any_slot();
	check(s);
	/* The budget is used up: memory of one kind makes room for the other. */
	if (s->tagged != want_tagged)
		drop(s);
}

/* --- operations ----------------------------------------------------------- */

/* Populated memory becomes tagged: its data is kept, and its tags are 0. */
static void make_tagged(struct slot *s)
{
	size_t i, g;

	if (s->tagged || s->shared)
		return;
	MUST(mprotect(s->at, s->pages * PAGE, PROT_RW_MTE) == 0, "mprotect");
	used[0] -= s->pages;
	used[1] += s->pages;
	s->tagged = true;
	for (i = 0; i < s->pages; i++) {
		unsigned char *page = s->at + i * PAGE;

		for (g = 0; g < GRANULES_PER_PAGE; g++)
			if (ldg(page + g * GRANULE)) {
				report_wrong(WRONG_TAGS, page, s->generation, "tags after mprotect",
					     1, g * GRANULE, 0, ldg(page + g * GRANULE));
				break;
			}
		tag_page(page, s->generation);
	}
	check(s);
}

static void make_fresh(struct slot *s)
{
	size_t i;

	if (s->shared)
		return;
	MUST(madvise(s->at, s->pages * PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	for (i = 0; i < s->pages; i += 1 + draw(16)) {
		unsigned char *page = s->at + i * PAGE;

		*(volatile unsigned char *)page = 0;
		if (*(uint64_t *)page)
			report_wrong(WRONG_DATA, page, 0, "data of a fresh page", 1, 0, 0,
				     *(uint64_t *)page);
		if (s->tagged && ldg(page))
			report_wrong(WRONG_TAGS, page, 0, "tags of a fresh page", 1, 0, 0,
				     ldg(page));
	}
	fill(s);
}

/* The child checks what the parent wrote; then both write to their copies at the same time. */
static void fork_and_write(struct slot *s)
{
	struct slot *other = any_slot();
	int status;
	pid_t pid = fork();

	MUST(pid >= 0 || errno == ENOMEM || errno == EAGAIN, "fork");
	if (pid < 0)
		return;
	if (pid == 0) {
		check(s);
		check(other);
		if (!s->shared) {
			fill(s);
			check(s);
		}
		_exit(0);
	}
	if (!other->shared)
		fill(other);
	status = child_status(pid);
	/* The OOM killer may kill the child, whose memory is not in the budget. */
	MUST(status == 0 || status == SIGKILL, "the child ended with status %#x", status);
	check(s);
	check(other);
}

static void operate(unsigned int percent)
{
	unsigned int what = draw(100);
	struct slot *s = any_slot();

	if (what < 40 || !s)
		balance(percent);
	else if (what < 60)
		check(s);
	else if (what < 72)
		fill(s);
	else if (what < 82)
		madvise(s->at, s->pages * PAGE, MADV_PAGEOUT);
	else if (what < 88)
		make_tagged(s);
	else if (what < 92)
		make_fresh(s);
	else if (what < 97)
		fork_and_write(s);
	else if (me == 0)
		write_file("/proc/sys/vm/compact_memory", "1");
	run->operations[me]++;
}

void work(int number)
{
	size_t i;

	me = number;
	rng = seed * 0x9e3779b97f4a7c15ULL + me + 1;
	while (used[0] + used[1] < budget)
		add(draw(2));
	__atomic_fetch_add(&run->full, 1, __ATOMIC_SEQ_CST);
	while (!run->stop) {
		/* Percent of tagged memory; each change makes the kernel evict the other kind. */
		static const unsigned int share[] = { 25, 100, 0, 75, 50 };

		operate(share[run->operations[me] / PHASE % 5]);
	}
	__atomic_fetch_add(&run->stopped, 1, __ATOMIC_SEQ_CST);
	while (hold && run->stopped < WORKERS)
		usleep(10000);
	for (i = 0; i < SLOTS; i++) {
		if (slots[i].at && hold)
			table_add(&slots[i]);
		else if (slots[i].at)
			check(&slots[i]);
	}
	__atomic_fetch_add(&run->held, 1, __ATOMIC_SEQ_CST);
	while (hold)
		pause();
}
