/* SPDX-License-Identifier: MIT */
/*
 * probe: mode_irg
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI
 * timeout: 30
 *
 * IRG, ADDG and SUBG generate only tags of the include mask, and every tag of it; GMI and
 * SUBP work on tags and addresses as the architecture says. The kernel controls this with
 * GCR_EL1.Exclude and SCTLR_EL1.ATA0: arch/arm64/kernel/mte.c set_mte_ctrl(),
 * mte_update_gcr_excl(); cpufeature.c cpu_enable_mte(), which each CPU calls for itself.
 */
#include "modes.h"
#include "pin.h"

enum { DRAWS = 400 };

static unsigned int draw(uint64_t exclude)
{
	unsigned int drawn = 0, i;

	for (i = 0; i < DRAWS; i++)
		drawn |= 1U << tag_of(irg((void *)0x10000, exclude));
	return drawn;
}

static void one_tag_masks(void)
{
	unsigned int tag;

	mte_need();
	for (tag = 0; tag < 16; tag++) {
		must_set(TCF_NONE, 1U << tag);
		CHECK_EQ(draw(0), 1U << tag, "tags drawn, include mask %#x", 1U << tag);
	}
}

static void empty_mask_gives_tag_zero(void)
{
	mte_need();
	must_set(TCF_SYNC, 0);
	CHECK_EQ(draw(0), 1, "tags drawn, include mask 0");
}

/* IRG generates each tag of a mask: 400 draws miss one of 16 about once in 10^10 runs. */
static void masks_and_their_complements(void)
{
	static const unsigned int masks[] = {
		0xffff, 0xfffe, 0x00ff, 0x5555, 0x8001, 0x0ff0, 0x1248
	};
	unsigned int i, pass;

	mte_need();
	for (i = 0; i < ARRAY_SIZE(masks); i++)
		for (pass = 0; pass < 2; pass++) {
			unsigned int mask = pass ? ~masks[i] & 0xffff : masks[i];

			must_set(TCF_NONE, mask);
			CHECK_EQ(draw(0), mask ? mask : 1, "tags drawn, include mask %#x", mask);
		}
}

/* Bits 15:0 of the operand exclude further tags; its other bits have no effect. */
static void excluded_operand(void)
{
	unsigned int tag;

	mte_need();
	must_set(TCF_NONE, 0x00f0);
	for (tag = 4; tag < 8; tag++)
		CHECK_EQ(draw(1U << tag), 0xf0 ^ 1U << tag, "tags drawn from 0xf0, operand %#x",
			 1U << tag);
	CHECK_EQ(draw(0x00f0), 1, "tags drawn from 0xf0, operand 0xf0");
	CHECK_EQ(draw(0xff0f), 0xf0, "tags drawn from 0xf0, operand 0xff0f");
	must_set(TCF_NONE, 0xffff);
	CHECK_EQ(draw(0xfffffffffffe7fffULL), 1U << 15, "tags drawn from 0xffff, operand ~0x18000");
}

/* IRG changes bits 59:56 of the address and no other, also if it has a tag already. */
static void irg_keeps_the_address(void)
{
	uintptr_t in = 0xa500123456789abcUL, out;
	int i;

	mte_need();
	must_set(TCF_NONE, 0xffff);
	for (i = 0; i < 50; i++) {
		out = (uintptr_t)irg((void *)in, 0);
		CHECK_EQ(out & ~(0xfUL << TAG_SHIFT), in & ~(0xfUL << TAG_SHIFT), "IRG of %#lx",
			 in);
	}
}

/* ChooseNonExcludedTag() of the Arm ARM. */
static unsigned int choose_tag(unsigned int tag, unsigned int offset, unsigned int include)
{
	if (!include)
		return 0;
	if (!offset)
		while (!(include >> tag & 1))
			tag = (tag + 1) & 15;
	for (; offset; offset--) {
		tag = (tag + 1) & 15;
		while (!(include >> tag & 1))
			tag = (tag + 1) & 15;
	}
	return tag;
}

#define CHECK_ADDG(offset)                                                \
	for (tag = 0; tag < 16; tag++)                                    \
	CHECK_EQ(ADDG_TAG(tag, offset), choose_tag(tag, offset, include), \
		 "ADDG tag %u offset %u, include mask %#x", tag, offset, include)

static void addg_skips_excluded_tags(void)
{
	static const unsigned int masks[] = { 0, 1, 0xffff, 0xfffe, 0x7fff, 0x5555, 0x0810 };
	unsigned int i, tag;

	mte_need();
	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		unsigned int include = masks[i];

		must_set(TCF_NONE, include);
		CHECK_ADDG(0);
		CHECK_ADDG(1);
		CHECK_ADDG(2);
		CHECK_ADDG(3);
		CHECK_ADDG(5);
		CHECK_ADDG(8);
		CHECK_ADDG(14);
		CHECK_ADDG(15);
	}
}

/* SUBG subtracts from the address, and chooses the tag as ADDG does. */
static void subg_and_address_offsets(void)
{
	uintptr_t in = 0x0300000000010000UL, out;

	mte_need();
	must_set(TCF_NONE, 0xffff);
	asm volatile(".arch_extension memtag\n addg %0, %1, #1008, #2" : "=r"(out) : "r"(in));
	CHECK_EQ(out, 0x05000000000103f0UL, "ADDG #1008, #2");
	asm volatile(".arch_extension memtag\n subg %0, %1, #1008, #2" : "=r"(out) : "r"(in));
	CHECK_EQ(out, 0x050000000000fc10UL, "SUBG #1008, #2");
	must_set(TCF_NONE, 0xffff ^ 1 << 5);
	asm volatile(".arch_extension memtag\n subg %0, %1, #16, #2" : "=r"(out) : "r"(in));
	CHECK_EQ(out, 0x060000000000fff0UL, "SUBG #16, #2, tag 5 excluded");
}

static void gmi_and_subp(void)
{
	uint64_t out, a = 0x0a00000000020010UL, b = 0x0500000000010000UL;
	unsigned int tag;

	mte_need();
	must_set(TCF_NONE, 0); /* neither uses the mask */
	for (tag = 0; tag < 16; tag++) {
		asm volatile(".arch_extension memtag\n gmi %0, %1, %2"
			     : "=r"(out)
			     : "r"(with_tag((void *)0x10000, tag)), "r"(0x1001UL));
		CHECK_EQ(out, 0x1001UL | 1UL << tag, "GMI tag %u", tag);
	}
	asm volatile(".arch_extension memtag\n subp %0, %1, %2" : "=r"(out) : "r"(a), "r"(b));
	CHECK_EQ(out, 0x10010, "SUBP");
	asm volatile(".arch_extension memtag\n subp %0, %1, %2" : "=r"(out) : "r"(b), "r"(a));
	CHECK_EQ(out, -0x10010L, "SUBP the other way");
}

/* The same on each CPU (cpu_enable_mte(), mte_cpu_setup()). */
static void every_cpu(void)
{
	long cpu, cpus = sysconf(_SC_NPROCESSORS_ONLN);

	mte_need();
	for (cpu = 0; cpu < cpus; cpu++) {
		char *p = mte_map(PAGE);

		pin_cpu(cpu);
		must_set(TCF_NONE, 0x0240);
		CHECK_EQ(draw(0), 0x0240, "tags drawn on CPU %ld", cpu);
		pattern_set(p, PAGE, cpu);
		pattern_check(p, PAGE, cpu, "tags stored on this CPU");
	}
}

PROBE(CASE(one_tag_masks), CASE(empty_mask_gives_tag_zero), CASE(masks_and_their_complements),
      CASE(excluded_operand), CASE(irg_keeps_the_address), CASE(addg_skips_excluded_tags),
      CASE(subg_and_address_offsets), CASE(gmi_and_subp), CASE(every_cpu));
