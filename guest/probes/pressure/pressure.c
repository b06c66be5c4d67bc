/* SPDX-License-Identifier: MIT */
/*
 * probe: pressure
 * needs: CONFIG_ARM64_MTE CONFIG_SWAP CONFIG_COMPACTION CONFIG_PROC_PAGE_MONITOR
 * timeout: 200
 *
 * Memory full of tagged and untagged data, in changing proportion, in several
 * processes, keeps every byte and every tag: over fork and copy-on-write, mprotect,
 * munmap, MADV_DONTNEED, swap and compaction. All of it is derived from address and
 * generation, looked at all the time and once more at the end.
 *
 *	--seed N	another sequence; the same seed does the same in each process
 *	--seconds N	how long (12)
 *	--tags BASE:SIZE:STORAGE	where the machine keeps its tags, once for each region:
 *			then a wrong page is reported with the address of its storage, and
 *			--hold says before how many pages of data were seen in storage
 *	--hold		at the end says "hold PID ADDRESS RECORDS" and keeps all memory,
 *			and a table of it (struct record), until it is killed
 */
#include <getopt.h>
#include <sys/personality.h>

#include "fault.h"
#include "swap.h"
#include "thp.h"

#define WORKERS	   4
#define SLOTS	   128
#define SLOT_PAGES 1024 /* at most */
#define WORDS	   (PAGE / 8)
#define PHASE	   48 /* operations with one share of tagged memory */
#define TOLD	   12 /* wrong pages of a kind that are told one by one */

/* The table of --hold, little-endian; harness/audit/pressure.py reads it. */
struct record {
	uint64_t address, pfn;
	uint32_t generation, flags;
	uint64_t check; /* of the others: the table itself lies in memory under test */
};
enum { TAGGED = 1, WRONG_TAGS = 2, WRONG_DATA = 4 };

struct slot {
	unsigned char *at; /* NULL: not in use */
	size_t pages;
	uint32_t generation;
	bool tagged, shared;
};

static struct {
	volatile int stop, told[2]; /* of wrong tags, of wrong data */
	volatile uint64_t wrong_tags, wrong_data, in_storage, operations[WORKERS];
	volatile uint32_t records;
	/* How many workers have all their memory, have ended their work, have kept records. */
	volatile int full, quiet, held;
} *all;

static struct {
	uint64_t base, size, storage;
} regions[8];
static int region_count;
static struct record *table;
static size_t table_size, budget; /* in records; in pages, of one worker */
static unsigned long seed = 1, seconds = 12;
static bool hold;

static struct slot slots[SLOTS];
static size_t used[2]; /* pages, untagged and tagged */
static uint64_t rng;
static int me;

/* xorshift64*: what a worker does depends on the seed and its number only. */
static uint32_t draw(uint32_t below)
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return (uint32_t)((rng * 0x2545f4914f6cdd1dULL) >> 33) % below;
}

/* --- what a page must hold ------------------------------------------------ */

static uint64_t page_hash(const void *page, uint32_t generation)
{
	return pattern_hash((uintptr_t)page, generation);
}

static unsigned int page_tag(uint64_t hash, unsigned int granule)
{
	return 1 + ((hash >> (granule & 31)) + granule) % 15;
}

static uint64_t page_word(uint64_t hash, unsigned int i)
{
	return hash + i * 0x9e3779b97f4a7c15ULL;
}

static void fill_page(unsigned char *page, uint32_t generation, bool tagged)
{
	uint64_t hash = page_hash(page, generation), *word = (uint64_t *)page;
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		word[i] = page_word(hash, i);
	for (i = 0; tagged && i < GRANULES_PER_PAGE; i++)
		stg(page + i * GRANULE, page_tag(hash, i));
}

/* Where the tags of a frame live; 0 if nobody said. */
static uint64_t storage_of(uint64_t pfn)
{
	int i;

	for (i = 0; i < region_count; i++)
		if (pfn * PAGE - regions[i].base < regions[i].size)
			return regions[i].storage + (pfn * PAGE - regions[i].base) / 32;
	return 0;
}

/* The first frame whose tags are in this one, if it is tag storage; else 0. */
static uint64_t stored_in(uint64_t pfn)
{
	int i;

	for (i = 0; i < region_count; i++)
		if (pfn * PAGE - regions[i].storage < regions[i].size / 32)
			return (regions[i].base + (pfn * PAGE - regions[i].storage) * 32) / PAGE;
	return 0;
}

/* Counts a wrong page, and tells of the first few. */
static void tell(int kind, const void *page, uint32_t generation, const char *what,
		 unsigned int count, unsigned int where, uint64_t want, uint64_t got)
{
	uint64_t entry = pagemap(page), pfn = entry & PM_PRESENT ? entry & PM_PFN_MASK : 0;
	char holds[64] = "";

	if (stored_in(pfn))
		snprintf(holds, sizeof(holds), ", holds the tags of 32 frames from %#llx",
			 (unsigned long long)stored_in(pfn));

	__atomic_fetch_add(kind == WRONG_TAGS ? &all->wrong_tags : &all->wrong_data, 1,
			   __ATOMIC_SEQ_CST);
	if (__atomic_fetch_add(&all->told[kind == WRONG_DATA], 1, __ATOMIC_SEQ_CST) < TOLD)
		ktap_note(
			"wrong %s: process %d page %p generation %u frame %#llx (tags at %#llx%s); "
			"%u wrong, first at %#x: expected %#llx, saw %#llx",
			what, getpid(), page, generation, (unsigned long long)pfn,
			(unsigned long long)storage_of(pfn), holds, count, where,
			(unsigned long long)want, (unsigned long long)got);
}

/* The flags WRONG_... of a page, with each counted and told. */
static uint32_t check_page(unsigned char *page, uint32_t generation, bool tagged)
{
	uint64_t hash = page_hash(page, generation), *word = (uint64_t *)page;
	unsigned int i, first = 0, bad = 0;
	uint32_t wrong = 0;

	for (i = WORDS; i--;)
		if (word[i] != page_word(hash, i)) {
			first = i;
			bad++;
		}
	if (bad) {
		wrong |= WRONG_DATA;
		tell(WRONG_DATA, page, generation, "data", bad, first * 8, page_word(hash, first),
		     word[first]);
	}
	for (i = GRANULES_PER_PAGE, bad = 0; tagged && i--;)
		if (ldg(page + i * GRANULE) != page_tag(hash, i)) {
			first = i;
			bad++;
		}
	if (bad) {
		wrong |= WRONG_TAGS;
		tell(WRONG_TAGS, page, generation, "tags", bad, first * GRANULE,
		     page_tag(hash, first), ldg(page + first * GRANULE));
	}
	return wrong;
}

/* --- slots ------------------------------------------------------------------ */

/* Counts the pages of data that lie in tag storage. */
static void see_storage(const struct slot *s)
{
	static uint64_t entries[SLOT_PAGES];
	size_t i, count = 0;

	if (s->tagged || !region_count)
		return;
	pagemap_read(s->at, entries, s->pages);
	for (i = 0; i < s->pages; i++)
		count += (entries[i] & PM_PRESENT) && stored_in(entries[i] & PM_PFN_MASK);
	__atomic_fetch_add(&all->in_storage, count, __ATOMIC_SEQ_CST);
}

static void fill(struct slot *s)
{
	size_t i;

	s->generation++;
	for (i = 0; i < s->pages; i++)
		fill_page(s->at + i * PAGE, s->generation, s->tagged);
	see_storage(s);
}

/* Checks a slot; what is wrong is made right again, so that it is counted once. */
static void check(struct slot *s)
{
	uint32_t wrong = 0;
	size_t i;

	see_storage(s);
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
	int prot = PROT_READ | PROT_WRITE | (tagged ? PROT_MTE : 0);
	bool huge = draw(8) == 0, shared = !huge && draw(6) == 0;
	size_t i, pages = huge ? HUGE_PAGES * (1 + draw(2)) : 1 + draw(SLOT_PAGES);

	for (i = 0; i < SLOTS && slots[i].at; i++)
		;
	if (i == SLOTS)
		return drop(any_slot());
	slots[i] = (struct slot){
		.at = mte_map_aligned(pages * PAGE, huge ? HUGE_PAGES * PAGE : PAGE, prot,
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
	/* At the edge, the kind that there is too much of makes room for the other. */
	if (s->tagged != want_tagged)
		drop(s);
}

/* --- operations ------------------------------------------------------------- */

/* Populated memory becomes tagged: its data stay, its tags are 0. */
static void make_tagged(struct slot *s)
{
	size_t i, g;

	if (s->tagged || s->shared)
		return;
	MUST(mprotect(s->at, s->pages * PAGE, PROT_READ | PROT_WRITE | PROT_MTE) == 0, "mprotect");
	used[0] -= s->pages;
	used[1] += s->pages;
	s->tagged = true;
	for (i = 0; i < s->pages; i++) {
		unsigned char *page = s->at + i * PAGE;
		uint64_t hash = page_hash(page, s->generation);

		for (g = 0; g < GRANULES_PER_PAGE; g++)
			if (ldg(page + g * GRANULE)) {
				tell(WRONG_TAGS, page, s->generation, "tags after mprotect", 1,
				     g * GRANULE, 0, ldg(page + g * GRANULE));
				break;
			}
		for (g = 0; g < GRANULES_PER_PAGE; g++)
			stg(page + g * GRANULE, page_tag(hash, g));
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
			tell(WRONG_DATA, page, 0, "data of a fresh page", 1, 0, 0,
			     *(uint64_t *)page);
		if (s->tagged && ldg(page))
			tell(WRONG_TAGS, page, 0, "tags of a fresh page", 1, 0, 0, ldg(page));
	}
	fill(s);
}

/* The child sees what the parent had; then each writes its own copy, at once. */
static void fork_and_write(struct slot *s)
{
	struct slot *other = any_slot();
	int status;
	pid_t pid = child_fork();

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
	MUST(waitpid(pid, &status, 0) == pid, "waitpid");
	/* The OOM killer may take the child: its memory was never in the budget. */
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
	all->operations[me]++;
}

/* --- the end ---------------------------------------------------------------- */

/* What is in memory now stays there, or the table would soon be wrong. */
static void keep_in_place(struct slot *s)
{
	/* khugepaged would copy the pages to a huge one. */
	madvise(s->at, s->pages * PAGE, MADV_NOHUGEPAGE);
	MUST(mlock2(s->at, s->pages * PAGE, MLOCK_ONFAULT) == 0, "mlock2");
}

/* Writes a record for each page in memory. Allocates nothing: the table is there. */
static void keep_record(struct slot *s, size_t i)
{
	unsigned char *page = s->at + i * PAGE;
	uint64_t entry = pagemap(page);
	uint32_t at, flags;
	struct record *r;

	if (!(entry & PM_PRESENT))
		return;
	flags = (s->tagged ? TAGGED : 0) | check_page(page, s->generation, s->tagged);
	at = __atomic_fetch_add(&all->records, 1, __ATOMIC_SEQ_CST);
	MUST(at < table_size, "more than %zu pages", table_size);
	r = &table[at];
	*r = (struct record){ (uintptr_t)page, entry & PM_PFN_MASK, s->generation, flags, 0 };
	r->check = r->address ^ r->pfn << 1 ^ (uint64_t)r->generation << 32 ^ r->flags;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void work(void)
{
	size_t i, j;

	rng = seed * 0x9e3779b97f4a7c15ULL + me + 1;
	while (used[0] + used[1] < budget)
		add(draw(2));
	__atomic_fetch_add(&all->full, 1, __ATOMIC_SEQ_CST);
	while (!all->stop) {
		/* Percent; each change evicts what there was. */
		static const unsigned int share[] = { 25, 100, 0, 75, 50 };

		operate(share[all->operations[me] / PHASE % 5]);
	}
	__atomic_fetch_add(&all->quiet, 1, __ATOMIC_SEQ_CST);
	while (hold && all->quiet < WORKERS)
		usleep(10000);
	for (i = 0; i < SLOTS; i++) {
		if (slots[i].at && !hold)
			check(&slots[i]);
		for (j = 0; slots[i].at && hold && j < slots[i].pages; j++) {
			if (j == 0)
				keep_in_place(&slots[i]);
			keep_record(&slots[i], j);
		}
	}
	__atomic_fetch_add(&all->held, 1, __ATOMIC_SEQ_CST);
	while (hold)
		pause();
}

/* Whether no worker has ended; leaves its status for waitpid(). */
static bool still_working(const pid_t *workers)
{
	siginfo_t info = { 0 };
	int i;

	for (i = 0; i < WORKERS; i++)
		if (waitid(P_PID, workers[i], &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid)
			return false;
	return true;
}

static void under_pressure(void)
{
	pid_t workers[WORKERS];
	int i, status;
	double start;

	mte_need();
	swap_disk();
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(all != MAP_FAILED, "mmap");
	/* All of it: with the children and page tables something is always in swap, but little. */
	budget = meminfo_kb("MemAvailable") / (PAGE / 1024) * 98 / 100 / WORKERS;
	if (hold) {
		write_file("/proc/sys/vm/compact_unevictable_allowed", "0");
		table_size = (budget + SLOT_PAGES) * WORKERS;
		table = mmap(NULL, table_size * sizeof(*table), PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		MUST(table != MAP_FAILED && mlock(table, table_size * sizeof(*table)) == 0,
		     "table");
	}
	for (me = 0; me < WORKERS; me++) {
		workers[me] = fork();
		MUST(workers[me] >= 0, "fork");
		if (workers[me] == 0) {
			work();
			_exit(0);
		}
	}
	/* A worker that ends early has failed; the others must not wait for it. */
	while (all->full < WORKERS && still_working(workers))
		usleep(10000);
	for (start = now(); now() - start < seconds && still_working(workers);)
		usleep(10000);
	all->stop = 1;
	while (hold && all->held < WORKERS && still_working(workers))
		usleep(10000);
	MUST(!hold || all->held == WORKERS, "a worker ended early: nothing to hold");
	if (hold) {
		ktap_note("%llu pages of data seen in tag storage",
			  (unsigned long long)all->in_storage);
		ktap_note("hold %d %#lx %u", getpid(), (unsigned long)table, all->records);
		pause();
	}
	for (i = 0; i < WORKERS; i++) {
		MUST(waitpid(workers[i], &status, 0) == workers[i], "waitpid");
		CHECK_EQ(status, 0, "wait status of worker %d", i);
		CHECK(all->operations[i] > 0, "worker %d did nothing", i);
	}
	CHECK_EQ(all->wrong_data, 0, "pages with wrong data");
	CHECK_EQ(all->wrong_tags, 0, "pages with wrong tags");
	ktap_note("seed %lu: %llu operations", seed,
		  (unsigned long long)(all->operations[0] + all->operations[1] +
				       all->operations[2] + all->operations[3]));
}

static void add_region(const char *text)
{
	char *end;

	if (region_count == 8)
		exit(2);
	regions[region_count].base = strtoul(text, &end, 0);
	regions[region_count].size = strtoul(end + (*end == ':'), &end, 0);
	regions[region_count++].storage = strtoul(end + (*end == ':'), &end, 0);
	if (*end)
		exit(2);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "seed", required_argument, NULL, 'r' },
						 { "seconds", required_argument, NULL, 's' },
						 { "tags", required_argument, NULL, 't' },
						 { "hold", no_argument, NULL, 'h' },
						 {} };
	struct probe_case cases[] = { { "under_pressure", under_pressure, 0 } };
	int option;

	/* Data and tags come of the addresses: with a seed they are the same each time. */
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
		personality(ADDR_NO_RANDOMIZE);
		execv("/proc/self/exe", argv);
	}
	while ((option = getopt_long(argc, argv, "l", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seconds = strtoul(optarg, NULL, 0);
			break;
		case 't':
			add_region(optarg);
			break;
		case 'h':
			hold = true;
			break;
		case 'l':
			puts(cases[0].name);
			return 0;
		default:
			return 2;
		}
	}
	/* To fill memory and to check it at the end takes its time; to hold has no end. */
	cases[0].seconds = hold ? 1 << 20 : seconds + 150;
	return probe_main(1, argv, cases, 1);
}
