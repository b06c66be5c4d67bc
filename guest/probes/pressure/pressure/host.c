/* SPDX-License-Identifier: MIT */
/*
 * The protocol with the harness on the host: where the machine keeps its tags (--tags), and
 * a table of all pages in memory (--hold), which the host reads and compares with DRAM.
 */
#include "pressure.h"

/* An entry of the table, little-endian; the harness has the same layout (RECORD). */
struct record {
	uint64_t address, pfn;
	uint32_t generation, flags;
	uint64_t check; /* of the other fields: the table is itself in the memory under test */
};

static struct {
	uint64_t base, size, storage;
} regions[8];
static int region_count;
static struct record *table;
static size_t table_size; /* in records */

void add_region(const char *text)
{
	char *end;

	if (region_count == ARRAY_SIZE(regions))
		exit(2);
	regions[region_count].base = strtoul(text, &end, 0);
	regions[region_count].size = strtoul(end + (*end == ':'), &end, 0);
	regions[region_count++].storage = strtoul(end + (*end == ':'), &end, 0);
	if (*end)
		exit(2);
}

bool have_regions(void)
{
	return region_count > 0;
}

uint64_t storage_of(uint64_t pfn)
{
	int i;

	for (i = 0; i < region_count; i++)
		if (pfn * PAGE - regions[i].base < regions[i].size)
			return regions[i].storage + (pfn * PAGE - regions[i].base) / 32;
	return 0;
}

uint64_t stored_in(uint64_t pfn)
{
	int i;

	for (i = 0; i < region_count; i++)
		if (pfn * PAGE - regions[i].storage < regions[i].size / 32)
			return (regions[i].base + (pfn * PAGE - regions[i].storage) * 32) / PAGE;
	return 0;
}

void table_allocate(void)
{
	/* The kernel migrates mlocked pages unless this is 0. */
	write_file("/proc/sys/vm/compact_unevictable_allowed", "0");
	table_size = (budget + SLOT_PAGES) * WORKERS;
	table = mmap(NULL, table_size * sizeof(*table), PROT_RW,
		     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	MUST(table != MAP_FAILED && mlock(table, table_size * sizeof(*table)) == 0, "table");
}

/* Writes a record of the page, unless it is not in memory. Allocates no memory. */
static void add_record(struct slot *s, unsigned char *page)
{
	uint64_t entry = pagemap(page);
	uint32_t at, flags;
	struct record *r;

	if (!(entry & PM_PRESENT))
		return;
	flags = (s->tagged ? TAGGED : 0) | check_page(page, s->generation, s->tagged);
	at = __atomic_fetch_add(&run->records, 1, __ATOMIC_SEQ_CST);
	MUST(at < table_size, "more than %zu pages", table_size);
	r = &table[at];
	*r = (struct record){ (uintptr_t)page, entry & PM_PFN_MASK, s->generation, flags, 0 };
	r->check = r->address ^ r->pfn << 1 ^ (uint64_t)r->generation << 32 ^ r->flags;
}

void table_add(struct slot *s)
{
	size_t i;

	/* khugepaged would copy the pages to a huge page. */
	madvise(s->at, s->pages * PAGE, MADV_NOHUGEPAGE);
	MUST(mlock2(s->at, s->pages * PAGE, MLOCK_ONFAULT) == 0, "mlock2");
	for (i = 0; i < s->pages; i++)
		add_record(s, s->at + i * PAGE);
}

void table_publish(void)
{
	ktap_note("%llu pages of data seen in tag storage", (unsigned long long)run->in_storage);
	ktap_note("hold %d %#lx %u", getpid(), (unsigned long)table, run->records);
	pause();
}
