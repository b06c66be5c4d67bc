/* SPDX-License-Identifier: MIT */
/*
 * probe: mode_prctl
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI
 * timeout: 30
 *
 * PR_SET_TAGGED_ADDR_CTRL accepts every combination of its documented bits and no other,
 * and PR_GET_TAGGED_ADDR_CTRL returns exactly what was set, also with mode none
 * (929c1f3384d7). The CPU follows what was set at once. kernel/sys.c prctl();
 * arch/arm64/kernel/process.c set_tagged_addr_ctrl(), get_tagged_addr_ctrl(); mte.c
 * set_mte_ctrl(), get_mte_ctrl(), mte_update_sctlr_user(), mte_update_gcr_excl().
 */
#include "modes.h"

static const unsigned long modes[] = { TCF_NONE, TCF_SYNC, TCF_ASYNC, TCF_ASYMM };

static void round_trip_one(unsigned long value)
{
	if (CHECK_EQ(set_ctrl(value), 0, "PR_SET %#lx", value))
		CHECK_EQ(get_ctrl(), value, "PR_GET after PR_SET %#lx", value);
}

static void round_trip(void)
{
	unsigned int m, enable, bit;

	mte_need();
	for (m = 0; m < 4; m++)
		for (enable = 0; enable < 2; enable++) {
			unsigned long base = modes[m] | enable;

			round_trip_one(base);
			round_trip_one(base | PR_MTE_TAG_MASK);
			round_trip_one(base | 0x5aa5UL << PR_MTE_TAG_SHIFT);
			for (bit = 0; bit < 16; bit++) {
				round_trip_one(base | 1UL << (PR_MTE_TAG_SHIFT + bit));
				round_trip_one(base |
					       (PR_MTE_TAG_MASK ^ 1UL << (PR_MTE_TAG_SHIFT + bit)));
			}
		}
}

/* A refused value changes neither mode nor mask nor address ABI. */
static void unknown_bits_are_refused(void)
{
	unsigned long before = ctrl_value(TCF_SYNC, 0x1234);
	/* Bit 19 is PR_MTE_STORE_ONLY, where the CPU has FEAT_MTE_STORE_ONLY. */
	int bit = getauxval(AT_HWCAP3) & HWCAP3_MTE_STORE_ONLY ? 20 : 19;

	mte_need();
	MUST(set_ctrl(before) == 0, "PR_SET %#lx", before);
	for (; bit < 64; bit++) {
		unsigned long value = ctrl_value(TCF_ASYNC, 0xff) | 1UL << bit;

		errno = 0;
		CHECK_EQ(set_ctrl(value), -1, "PR_SET %#lx (bit %d is not defined)", value, bit);
		CHECK_EQ(errno, EINVAL, "errno of PR_SET %#lx", value);
		CHECK_EQ(get_ctrl(), before, "PR_GET after a refused PR_SET");
	}
}

static void other_arguments_must_be_zero(void)
{
	unsigned long before = ctrl_value(TCF_NONE, 0x1234), a[5];
	int i;

	mte_need();
	MUST(set_ctrl(before) == 0, "PR_SET %#lx", before);
	for (i = 2; i < 5; i++) {
		memset(a, 0, sizeof(a));
		a[1] = ctrl_value(TCF_SYNC, 0xff);
		a[i] = 1;
		errno = 0;
		CHECK_EQ(prctl(PR_SET_TAGGED_ADDR_CTRL, a[1], a[2], a[3], a[4]), -1,
			 "PR_SET with argument %d = 1", i + 1);
		CHECK_EQ(errno, EINVAL, "errno of PR_SET with argument %d = 1", i + 1);
	}
	for (i = 1; i < 5; i++) {
		memset(a, 0, sizeof(a));
		a[i] = 1;
		errno = 0;
		CHECK_EQ(prctl(PR_GET_TAGGED_ADDR_CTRL, a[1], a[2], a[3], a[4]), -1,
			 "PR_GET with argument %d = 1", i + 1);
		CHECK_EQ(errno, EINVAL, "errno of PR_GET with argument %d = 1", i + 1);
	}
	CHECK_EQ(get_ctrl(), before, "PR_GET after refused calls");
}

/* The next access after each change from mode to mode is checked in the new mode. */
static void mode_takes_effect_at_once(void)
{
	/* SYNC|ASYNC is async where mte_tcf_preferred is the default, async. */
	static const enum behaviour want[] = { SEEN_NONE, SEEN_SYNC, SEEN_ASYNC, SEEN_ASYNC };
	unsigned int from, to;
	void *p;

	mte_need();
	catch_signal(SIGSEGV, 0);
	p = mode_granule();
	for (from = 0; from < 4; from++)
		for (to = 0; to < 4; to++) {
			must_set(modes[from], INCLUDE_ALL);
			CHECK_MODE(p, want[from], "mode %#lx", modes[from]);
			must_set(modes[to], INCLUDE_ALL);
			CHECK_MODE(p, want[to], "mode %#lx after %#lx", modes[to], modes[from]);
		}
}

static void mask_takes_effect_at_once(void)
{
	unsigned int m, bit;
	char when[40];

	mte_need();
	for (m = 0; m < 4; m++) {
		snprintf(when, sizeof(when), "mode %#lx", modes[m]);
		must_set(modes[m], 0);
		include_check(0, when);
		must_set(modes[m], 0xffff);
		include_check(0xffff, when);
		for (bit = 0; bit < 16; bit++) {
			must_set(modes[m], 1U << bit);
			include_check(1U << bit, when);
			must_set(modes[m], 0xffff ^ 1U << bit);
			include_check(0xffff ^ 1U << bit, when);
		}
	}
}

/* Mode and mask have effect without the bit of the tagged address ABI too. */
static void mode_without_tagged_addr_abi(void)
{
	void *p;

	mte_need();
	catch_signal(SIGSEGV, 0);
	p = mode_granule();
	MUST(set_ctrl(TCF_SYNC | 0x10UL << PR_MTE_TAG_SHIFT) == 0, "PR_SET without the ABI bit");
	CHECK_MODE(p, SEEN_SYNC, "sync without PR_TAGGED_ADDR_ENABLE");
	include_check(0x10, "without PR_TAGGED_ADDR_ENABLE");
}

PROBE(CASE(round_trip), CASE(unknown_bits_are_refused), CASE(other_arguments_must_be_zero),
      CASE(mode_takes_effect_at_once), CASE(mask_takes_effect_at_once),
      CASE(mode_without_tagged_addr_abi));
