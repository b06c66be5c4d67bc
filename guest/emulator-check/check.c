/* SPDX-License-Identifier: MIT */
/*
 * Emulator check: does this QEMU implement MTE according to the architecture?
 *
 * Runs without a kernel, at EL1 and EL0, and writes KTAP to the serial port. Sections
 * are those of the Arm ARM (DDI 0487): D10 "Memory Tagging Extension", C6.2 for the
 * instructions, D24.2 for the registers. QEMU 7.2 fails: it keeps one tag for all granules
 * of a page (docs/facts/tag-storage.md 5.2).
 */
typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long u64;

#define UART	((volatile u32 *)0x09000000) /* hw/arm/virt.c, base_memmap */
#define GRANULE 16UL
#define PAGE	4096UL
#define MIB2	0x200000UL
/* Where the tables below map tagged memory. */
#define TAGGED	     ((u8 *)0x48000000) /* EL1 only */
#define TAGGED_ALIAS ((u8 *)0x4a000000) /* the same physical memory */
#define TAGGED_EL0   ((u8 *)0x48200000) /* EL0 may read and write */
#define EL0_CODE     ((u8 *)0x48400000)
#define PLAIN	     ((u8 *)0x48600000) /* Normal memory that is not Tagged */
#define CLEAN	     ((u8 *)0x48800000) /* writable, and not yet dirty: see below */

extern struct {
	u64 esr, far, context[14];
} fault;
extern u8 el0_load[], el0_store[], el0_end[];
void run_el0(void *code, void *pointer);

/* The class is 6 bits. What stands above (ISS2) says other things: QEMU 11.1.3 sets it. */
#define EC(esr)	     ((esr) >> 26 & 0x3f)
#define DFSC(esr)    ((esr) & 0x3f)
#define WNR(esr)     ((esr) >> 6 & 1)
#define EC_ABORT_EL0 0x24
#define EC_ABORT_EL1 0x25
#define EC_SVC	     0x15
#define DFSC_TAG     0x11 /* synchronous Tag Check Fault */

#define read_reg(r)                                                 \
	({                                                          \
		u64 v;                                              \
		asm volatile("mrs %0, " #r : "=r"(v) : : "memory"); \
		v;                                                  \
	})
#define write_reg(r, v) asm volatile("msr " #r ", %0\n isb" : : "r"((u64)(v)) : "memory")

/* --- output --------------------------------------------------------------- */

static void put(const char *s)
{
	for (; *s; s++)
		*UART = *s;
}

static void put_hex(u64 v)
{
	int i;

	put("0x");
	for (i = 60; i > 0 && !(v >> i); i -= 4)
		;
	for (; i >= 0; i -= 4)
		*UART = "0123456789abcdef"[v >> i & 15];
}

static void put_dec(u64 v)
{
	if (v >= 10)
		put_dec(v / 10);
	*UART = '0' + v % 10;
}

static int number, failures;

static int expect(u64 got, u64 want, const char *what, u64 where)
{
	if (got == want)
		return 1;
	if (++failures <= 4) {
		put("# ");
		put(what);
		put(" at ");
		put_hex(where);
		put(": expected ");
		put_hex(want);
		put(", saw ");
		put_hex(got);
		put("\n");
	}
	return 0;
}

/* --- instructions --------------------------------------------------------- */

static u8 *tagged(void *p, u64 tag)
{
	return (u8 *)(((u64)p & ~(0xffUL << 56)) | tag << 56);
}

static u64 ldg(void *p)
{
	u64 x = (u64)tagged(p, 0);

	asm volatile("ldg %0, [%0]" : "+r"(x) : : "memory");
	return x >> 56 & 15;
}

#define STORE_TAG(name)                                                             \
	static void name(void *p, u64 tag)                                          \
	{                                                                           \
		asm volatile(#name " %0, [%0]" : : "r"(tagged(p, tag)) : "memory"); \
	}
STORE_TAG(stg)
STORE_TAG(st2g)
STORE_TAG(stzg)
STORE_TAG(stz2g)

static void fill(u8 *p, u64 size, u64 tag)
{
	u64 i;

	for (i = 0; i < size; i += GRANULE) {
		stg(p + i, tag);
		*(volatile u64 *)tagged(p + i, tag) = ~0UL;
		*(volatile u64 *)tagged(p + i + 8, tag) = ~0UL;
	}
}

enum { TCF_NONE, TCF_SYNC, TCF_ASYNC };

/* SCTLR_EL1: TCF0 is bits 39:38 (EL0), TCF bits 41:40 (EL1). */
static void check_tags(u64 tcf0, u64 tcf)
{
	u64 v = read_reg(sctlr_el1) & ~(15UL << 38);

	write_reg(sctlr_el1, v | tcf0 << 38 | tcf << 40);
}

static void load(u8 *p)
{
	fault.esr = fault.far = 0;
	asm volatile("ldr xzr, [%0]" : : "r"(p) : "memory");
}

static void store(u8 *p)
{
	fault.esr = fault.far = 0;
	asm volatile("strb %w1, [%0]" : : "r"(p), "r"(0x5a) : "memory");
}

/* --- cases ---------------------------------------------------------------- */

static void one_tag_per_granule(void)
{
	u64 page, i;

	for (page = 0; page < 3; page++)
		for (i = 0; i < 256; i++)
			stg(TAGGED + page * PAGE + i * GRANULE, (i + (i >> 4) + page) & 15);
	for (page = 0; page < 3; page++)
		for (i = 0; i < 256; i++)
			expect(ldg(TAGGED + page * PAGE + i * GRANULE), (i + (i >> 4) + page) & 15,
			       "tag of the granule", page * PAGE + i * GRANULE);
}

static void a_tag_store_leaves_neighbours_and_data(void)
{
	fill(TAGGED, 2 * PAGE, 3);
	stg(TAGGED + 33 * GRANULE, 9);
	expect(ldg(TAGGED + 32 * GRANULE), 3, "tag before", 32);
	expect(ldg(TAGGED + 33 * GRANULE), 9, "tag", 33);
	expect(ldg(TAGGED + 34 * GRANULE), 3, "tag after", 34);
	expect(*(volatile u64 *)(TAGGED + 33 * GRANULE), ~0UL, "data", 33);
	stg(TAGGED + PAGE - GRANULE, 7);
	expect(ldg(TAGGED + PAGE - GRANULE), 7, "tag at the page's end", 255);
	expect(ldg(TAGGED + PAGE), 3, "tag of the next page", 256);
}

static void st2g_tags_two_granules(void)
{
	fill(TAGGED, PAGE, 3);
	st2g(TAGGED + 5 * GRANULE, 12);
	expect(ldg(TAGGED + 4 * GRANULE), 3, "tag before", 4);
	expect(ldg(TAGGED + 5 * GRANULE), 12, "first tag", 5);
	expect(ldg(TAGGED + 6 * GRANULE), 12, "second tag", 6);
	expect(ldg(TAGGED + 7 * GRANULE), 3, "tag after", 7);
	expect(*(volatile u64 *)(TAGGED + 6 * GRANULE), ~0UL, "data", 6);
	fill(TAGGED, 2 * PAGE, 3);
	st2g(TAGGED + PAGE - GRANULE, 4);
	expect(ldg(TAGGED + PAGE - GRANULE), 4, "tag before the page's end", 255);
	expect(ldg(TAGGED + PAGE), 4, "tag after the page's end", 256);
}

static void stzg_zeroes_data(void)
{
	fill(TAGGED, PAGE, 3);
	stzg(TAGGED + 8 * GRANULE, 6);
	stz2g(TAGGED + 16 * GRANULE, 11);
	expect(ldg(TAGGED + 8 * GRANULE), 6, "tag", 8);
	expect(ldg(TAGGED + 9 * GRANULE), 3, "tag after", 9);
	expect(*(volatile u64 *)(TAGGED + 8 * GRANULE), 0, "data", 8);
	expect(*(volatile u64 *)(TAGGED + 8 * GRANULE + 8), 0, "data", 8);
	expect(*(volatile u64 *)(TAGGED + 9 * GRANULE), ~0UL, "data after", 9);
	expect(ldg(TAGGED + 17 * GRANULE), 11, "second tag", 17);
	expect(*(volatile u64 *)(TAGGED + 17 * GRANULE + 8), 0, "data", 17);
	expect(ldg(TAGGED + 18 * GRANULE), 3, "tag after", 18);
}

static void ldgm_and_stgm_move_a_block(void)
{
	u64 i, v, tags = 0xfedcba9876543210UL;
	u64 bytes = 4UL << (read_reg(gmid_el1) & 15); /* GMID_EL1.BS: log2 of words */
	u64 granules = bytes / GRANULE;
	u64 mask = granules == 16 ? ~0UL : (1UL << granules * 4) - 1;

	fill(TAGGED, PAGE, 3);
	asm volatile("stgm %0, [%1]" : : "r"(tags), "r"(TAGGED + bytes) : "memory");
	for (i = 0; i < granules; i++)
		expect(ldg(TAGGED + bytes + i * GRANULE), tags >> (i * 4) & 15, "stgm: tag", i);
	expect(ldg(TAGGED + bytes - GRANULE), 3, "stgm: tag before", 0);
	expect(ldg(TAGGED + 2 * bytes), 3, "stgm: tag after", 0);
	asm volatile("ldgm %0, [%1]" : "=r"(v) : "r"(TAGGED + bytes) : "memory");
	expect(v & mask, tags & mask, "ldgm", bytes);
}

static void dc_gva_and_gzva_tag_a_line(void)
{
	u64 i, bytes = 4UL << (read_reg(dczid_el0) & 15);

	fill(TAGGED, PAGE, 3);
	asm volatile("dc gva, %0" : : "r"(tagged(TAGGED + bytes, 5)) : "memory");
	asm volatile("dc gzva, %0" : : "r"(tagged(TAGGED + 3 * bytes, 8)) : "memory");
	for (i = 0; i < bytes; i += GRANULE) {
		expect(ldg(TAGGED + i), 3, "tag before", i);
		expect(ldg(TAGGED + bytes + i), 5, "dc gva: tag", i);
		expect(*(volatile u64 *)(TAGGED + bytes + i), ~0UL, "dc gva: data", i);
		expect(ldg(TAGGED + 3 * bytes + i), 8, "dc gzva: tag", i);
		expect(*(volatile u64 *)(TAGGED + 3 * bytes + i), 0, "dc gzva: data", i);
		expect(ldg(TAGGED + 4 * bytes + i), 3, "tag after", i);
	}
}

static void irg_obeys_the_exclude_mask(void)
{
	u64 i, seen = 0, x;

	write_reg(gcr_el1, 1UL << 16 | (0xffff & ~(1 << 4 | 1 << 9))); /* GCR_EL1.RRND, Exclude */
	for (i = 0; i < 200; i++) {
		asm volatile("irg %0, %1" : "=r"(x) : "r"(TAGGED));
		seen |= 1UL << (x >> 56 & 15);
	}
	expect(seen, 1 << 4 | 1 << 9, "tags that IRG gave", 0);
	asm volatile("irg %0, %1, %2" : "=r"(x) : "r"(TAGGED), "r"(1UL << 9));
	expect(x >> 56 & 15, 4, "IRG with an exclude operand", 0);
	write_reg(gcr_el1, 1UL << 16 | 0xffff);
	asm volatile("irg %0, %1" : "=r"(x) : "r"(tagged(TAGGED, 5)));
	expect(x >> 56 & 15, 0, "IRG with all tags excluded", 0);
	write_reg(gcr_el1, 1UL << 16);
	asm volatile("addg %0, %1, #32, #3" : "=r"(x) : "r"(tagged(TAGGED, 4)));
	expect(x, (u64)tagged(TAGGED + 32, 7), "ADDG", 0);
}

static void tags_belong_to_physical_memory(void)
{
	u64 i;

	for (i = 0; i < 256; i++)
		stg(TAGGED + i * GRANULE, (i * 7) & 15);
	for (i = 0; i < 256; i++)
		expect(ldg(TAGGED_ALIAS + i * GRANULE), (i * 7) & 15, "tag through the alias", i);
}

static void el1_sync_faults(void)
{
	u8 *good = tagged(TAGGED + 0x120, 3), *bad = tagged(TAGGED + 0x120, 2);

	fill(TAGGED, PAGE, 3);
	check_tags(TCF_NONE, TCF_SYNC);
	load(good);
	expect(fault.esr, 0, "load that matches", 0);
	store(good);
	expect(fault.esr, 0, "store that matches", 0);
	load(bad);
	expect(EC(fault.esr), EC_ABORT_EL1, "load: exception class", 0);
	expect(DFSC(fault.esr), DFSC_TAG, "load: fault status", 0);
	expect(WNR(fault.esr), 0, "load: WnR", 0);
	expect((u64)tagged((void *)fault.far, 0), (u64)tagged(bad, 0), "load: FAR", 0);
	*(volatile u8 *)good = 0x11;
	store(bad);
	expect(EC(fault.esr), EC_ABORT_EL1, "store: exception class", 0);
	expect(DFSC(fault.esr), DFSC_TAG, "store: fault status", 0);
	expect(WNR(fault.esr), 1, "store: WnR", 0);
	expect(*(volatile u8 *)good, 0x11, "store that faulted: data", 0);
	check_tags(TCF_NONE, TCF_NONE);
}

static void a_mismatch_in_each_granule_is_seen(void)
{
	u64 i;

	for (i = 0; i < 256; i++)
		stg(TAGGED + i * GRANULE, i & 15);
	check_tags(TCF_NONE, TCF_SYNC);
	for (i = 0; i < 256; i++) {
		load(tagged(TAGGED + i * GRANULE + 8, i & 15));
		expect(fault.esr, 0, "load that matches", i);
		load(tagged(TAGGED + i * GRANULE + 8, (i + 1) & 15));
		expect(DFSC(fault.esr), DFSC_TAG, "load that does not match", i);
	}
	check_tags(TCF_NONE, TCF_NONE);
}

static void el1_async_faults(void)
{
	u8 *good = tagged(TAGGED + 0x120, 3), *bad = tagged(TAGGED + 0x120, 2);

	fill(TAGGED, PAGE, 3);
	write_reg(tfsr_el1, 0);
	check_tags(TCF_NONE, TCF_ASYNC);
	store(good);
	expect(read_reg(tfsr_el1) & 3, 0, "TFSR_EL1 after a match", 0);
	load(bad);
	expect(fault.esr, 0, "load: no exception", 0);
	expect(read_reg(tfsr_el1) & 3, 1, "TFSR_EL1 after a load", 0);
	write_reg(tfsr_el1, 0);
	store(bad);
	expect(fault.esr, 0, "store: no exception", 0);
	expect(read_reg(tfsr_el1) & 3, 1, "TFSR_EL1 after a store", 0);
	check_tags(TCF_NONE, TCF_NONE);
	expect(*(volatile u8 *)good, 0x5a, "store is done: data", 0);
	write_reg(tfsr_el1, 0);
}

static void el0_faults(void)
{
	u8 *good = tagged(TAGGED_EL0 + 0x340, 6), *bad = tagged(TAGGED_EL0 + 0x340, 1);
	u8 *do_load = EL0_CODE, *do_store = EL0_CODE + (el0_store - el0_load);

	fill(TAGGED_EL0, PAGE, 6);
	check_tags(TCF_SYNC, TCF_NONE);
	run_el0(do_load, good);
	expect(EC(fault.esr), EC_SVC, "sync load that matches", 0);
	run_el0(do_store, good);
	expect(EC(fault.esr), EC_SVC, "sync store that matches", 0);
	run_el0(do_load, bad);
	expect(EC(fault.esr), EC_ABORT_EL0, "sync load: exception class", 0);
	expect(DFSC(fault.esr), DFSC_TAG, "sync load: fault status", 0);
	*(volatile u8 *)good = 0x11;
	run_el0(do_store, bad);
	expect(EC(fault.esr), EC_ABORT_EL0, "sync store: exception class", 0);
	expect(DFSC(fault.esr), DFSC_TAG, "sync store: fault status", 0);
	expect(*(volatile u8 *)good, 0x11, "sync store that faulted: data", 0);

	write_reg(tfsre0_el1, 0);
	check_tags(TCF_ASYNC, TCF_NONE);
	run_el0(do_store, good);
	expect(read_reg(tfsre0_el1) & 3, 0, "TFSRE0_EL1 after a match", 0);
	run_el0(do_load, bad);
	expect(EC(fault.esr), EC_SVC, "async load: no exception", 0);
	expect(read_reg(tfsre0_el1) & 3, 1, "TFSRE0_EL1 after a load", 0);
	write_reg(tfsre0_el1, 0);
	run_el0(do_store, bad);
	expect(EC(fault.esr), EC_SVC, "async store: no exception", 0);
	expect(read_reg(tfsre0_el1) & 3, 1, "TFSRE0_EL1 after a store", 0);
	write_reg(tfsre0_el1, 0);
	check_tags(TCF_NONE, TCF_NONE);
	run_el0(do_store, bad);
	expect(EC(fault.esr), EC_SVC, "mode none: no exception", 0);
	expect(read_reg(tfsre0_el1) & 3, 0, "mode none: TFSRE0_EL1", 0);
}

static void nothing_is_checked_with_tco_or_untagged_memory(void)
{
	fill(TAGGED, PAGE, 3);
	check_tags(TCF_NONE, TCF_SYNC);
	asm volatile("msr tco, #1");
	load(tagged(TAGGED, 2));
	expect(fault.esr, 0, "load with TCO set", 0);
	asm volatile("msr tco, #0");
	load(tagged(TAGGED, 2));
	expect(DFSC(fault.esr), DFSC_TAG, "load with TCO clear", 0);
	load(tagged(PLAIN, 2));
	expect(fault.esr, 0, "load from memory that is not Tagged", 0);
	check_tags(TCF_NONE, TCF_NONE);
}

/* Addresses all over DRAM: pages that this program tags, and pages that the host tags. */
#define PLACES 3
static u8 *const left[PLACES] = { (u8 *)0x4c000000, (u8 *)0x55000000, (u8 *)0x7e000000 };
static u8 *const found[PLACES] = { (u8 *)0x4c200000, (u8 *)0x55200000, (u8 *)0x7e200000 };

/* --- set-up --------------------------------------------------------------- */

static u64 level1[512] __attribute__((aligned(4096)));
static u64 level2[512] __attribute__((aligned(4096)));

#define BLOCK	1UL
#define TABLE	3UL
#define ATTR(i) ((u64)(i) << 2)
#define EL0_RW	(1UL << 6)
#define SHARED	(3UL << 8)
#define AF	(1UL << 10)
enum { DEVICE, NORMAL, NORMAL_TAGGED };

static void map(u8 *at, u64 physical, u64 attributes)
{
	level2[((u64)at - 0x40000000UL) / MIB2] = physical | attributes | BLOCK | AF | SHARED;
}

static void mmu_on(void)
{
	u64 i;

	for (i = 0; i < 512; i++)
		map((u8 *)0x40000000UL + i * MIB2, 0x40000000UL + i * MIB2, ATTR(NORMAL));
	map(TAGGED, (u64)TAGGED, ATTR(NORMAL_TAGGED));
	map(TAGGED_ALIAS, (u64)TAGGED, ATTR(NORMAL_TAGGED));
	map(TAGGED_EL0, (u64)TAGGED_EL0, ATTR(NORMAL_TAGGED) | EL0_RW);
	for (i = 0; i < PLACES; i++) {
		map(left[i], (u64)left[i], ATTR(NORMAL_TAGGED));
		map(found[i], (u64)found[i], ATTR(NORMAL_TAGGED));
	}
	map(EL0_CODE, (u64)EL0_CODE, ATTR(NORMAL) | EL0_RW);
	level1[0] = 0UL | ATTR(DEVICE) | BLOCK | AF;
	level1[1] = (u64)level2 | TABLE;
	write_reg(mair_el1, 0x00UL | 0xffUL << 8 | 0xf0UL << 16); /* 0xf0: Normal Tagged */
	/* T0SZ 32, cacheable, inner shareable, EPD1, IPS 36 bits, TBI0 */
	write_reg(tcr_el1,
		  32UL | 1UL << 8 | 1UL << 10 | 3UL << 12 | 1UL << 23 | 1UL << 32 | 1UL << 37);
	write_reg(ttbr0_el1, level1);
	asm volatile("dsb sy\n tlbi vmalle1\n dsb sy\n isb");
	/* RES1 bits, M, C, I, ATA0 (42), ATA (43) */
	write_reg(sctlr_el1, 0x30d00800UL | 1UL | 1UL << 2 | 1UL << 12 | 1UL << 42 | 1UL << 43);
	asm volatile("msr tco, #0");
}

/*
 * On a machine that keeps tags in DRAM the harness compares its view of them with this
 * program's: tags that the program sets, and tags that it loads.
 */
static void show_tags_to_host(void)
{
	u64 i, place;

	for (place = 0; place < PLACES; place++) {
		for (i = 0; i < 256; i++)
			stg(left[place] + i * GRANULE, (i * 7 + place) & 15);
		put("# tags found at ");
		put_hex((u64)found[place]);
		put(": ");
		for (i = 0; i < 256; i++)
			*UART = "0123456789abcdef"[ldg(found[place] + i * GRANULE)];
		put("\n");
	}
}

#define READ_ONLY (1UL << 7) /* AP[2] */
#define DBM	  (1UL << 51)
#define TCR_HA	  (1UL << 39)
#define TCR_HD	  (1UL << 40)

static void make_clean(void)
{
	map(CLEAN, (u64)CLEAN, ATTR(NORMAL_TAGGED) | READ_ONLY | DBM);
	asm volatile("dsb sy\n tlbi vmalle1\n dsb sy\n isb");
	load(CLEAN);
}

static u64 dirty(void)
{
	volatile u64 *entry = &level2[((u64)CLEAN - 0x40000000UL) / MIB2];

	asm volatile("dsb sy");
	return !(*entry & READ_ONLY);
}

/*
 * With FEAT_HAFDBS a store to memory that is writable and clean makes its descriptor
 * dirty (D8.5). Linux writes no clean page to swap: where a store leaves it clean, the
 * data are lost. Each store comes after a load, which has put the page into the TLB.
 */
static void stores_make_memory_dirty(void)
{
	u64 tcr = read_reg(tcr_el1);

	if ((read_reg(id_aa64mmfr1_el1) & 15) < 2) /* HAFDBS */
		return;
	write_reg(tcr_el1, tcr | TCR_HA | TCR_HD);
	make_clean();
	expect(dirty(), 0, "dirty after a load", 0);
	store(CLEAN);
	expect(dirty(), 1, "dirty after a store", 0);
	make_clean();
	stg(CLEAN, 0);
	expect(dirty(), 1, "dirty after STG with tag 0", 0);
	make_clean();
	stg(CLEAN, 5);
	expect(dirty(), 1, "dirty after STG with tag 5", 0);
	make_clean();
	stzg(CLEAN, 0);
	expect(dirty(), 1, "dirty after STZG", 0);
	make_clean();
	stg(CLEAN, 0);
	store(CLEAN);
	expect(dirty(), 1, "dirty after STG and a store", 0);
	map(CLEAN, (u64)CLEAN, ATTR(NORMAL_TAGGED) | EL0_RW | READ_ONLY | DBM);
	asm volatile("dsb sy\n tlbi vmalle1\n dsb sy\n isb");
	run_el0(EL0_CODE, CLEAN);
	expect(dirty(), 0, "dirty after a load of EL0", 0);
	run_el0(EL0_CODE + (el0_store - el0_load), CLEAN);
	expect(dirty(), 1, "dirty after a store of EL0", 0);
	write_reg(tcr_el1, tcr);
	asm volatile("dsb sy\n tlbi vmalle1\n dsb sy\n isb");
}

/*
 * The same work on every host: the harness takes its time limits from how much CPU time it
 * costs. Stores, loads and tags in turn, which is what probes do most. Where the result is
 * wrong, so is the time.
 */
static void measured_work(void)
{
	u64 i, sum = 0;

	check_tags(TCF_NONE, TCF_SYNC);
	for (i = 0; i < 1 << 20; i++) {
		u8 *p = TAGGED + i % 256 * GRANULE;

		stg(p, i & 15);
		p = tagged(p, i & 15);
		*(volatile u64 *)p = i;
		sum += *(volatile u64 *)p + ldg(p);
	}
	check_tags(TCF_NONE, TCF_NONE);
	expect(sum, (1UL << 19) * ((1UL << 20) - 1) + (1UL << 16) * 120, "sum", 0);
}

#define CASE(f) { f, #f }
static const struct {
	void (*run)(void);
	const char *name;
} cases[] = {
	CASE(one_tag_per_granule),
	CASE(a_tag_store_leaves_neighbours_and_data),
	CASE(st2g_tags_two_granules),
	CASE(stzg_zeroes_data),
	CASE(ldgm_and_stgm_move_a_block),
	CASE(dc_gva_and_gzva_tag_a_line),
	CASE(irg_obeys_the_exclude_mask),
	CASE(tags_belong_to_physical_memory),
	CASE(el1_sync_faults),
	CASE(a_mismatch_in_each_granule_is_seen),
	CASE(el1_async_faults),
	CASE(el0_faults),
	CASE(nothing_is_checked_with_tco_or_untagged_memory),
	CASE(stores_make_memory_dirty),
	CASE(measured_work),
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

void main(void)
{
	u64 i;

	put("KTAP version 1\n1..");
	put_dec(CASES);
	put("\n");
	if ((read_reg(id_aa64pfr1_el1) >> 8 & 15) < 2) { /* ID_AA64PFR1_EL1.MTE */
		put("Bail out! the CPU has no FEAT_MTE2\n");
		return;
	}
	put("# ID_AA64PFR2_EL1: ");
	put_hex(read_reg(s3_0_c0_c4_2));
	put("\n");
	mmu_on();
	for (i = 0; i < (u64)(el0_end - el0_load); i++)
		EL0_CODE[i] = el0_load[i];
	asm volatile("dsb sy\n ic iallu\n dsb sy\n isb");
	for (i = 0; i < CASES; i++) {
		failures = 0;
		cases[i].run();
		put(failures ? "not ok " : "ok ");
		put_dec(++number);
		put(" ");
		put(cases[i].name);
		put("\n");
	}
	show_tags_to_host();
}
