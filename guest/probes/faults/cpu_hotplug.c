/* SPDX-License-Identifier: MIT */
/*
 * probe: cpu_hotplug
 * needs: CONFIG_ARM64_MTE CONFIG_HOTPLUG_CPU
 * destructive: yes
 * timeout: 60
 *
 * A CPU that was offline knows tags again: mte_cpu_setup() (arch/arm64/kernel/mte.c), which each
 * CPU calls as it comes up, makes its MAIR_EL1 say that memory is tagged, and seeds its
 * generator of tags. A thread that had to leave the CPU keeps mode and mask.
 */
#include "fault.h"
#include "modes.h"
#include "pin.h"
#include "procfs.h"

#define PAGES 16

static void set_online(const char *state)
{
	write_file("/sys/devices/system/cpu/cpu1/online", state);
}

/* Begins a case: CPU 1 went offline and is online again, and this thread is on it. */
static void on_a_new_cpu(void)
{
	mte_need();
	need_two_cpus();
	pin_cpu(0);
	set_online("0");
	set_online("1");
	pin_cpu(1);
}

static void tags_and_checks(void)
{
	unsigned char *p;
	char *from_0;

	pin_cpu(0);
	from_0 = tagged_map(PAGES * PAGE, 1);
	on_a_new_cpu();
	pattern_check(from_0, PAGES * PAGE, 1, "tagged by CPU 0, seen by CPU 1");
	pattern_set(from_0, PAGES * PAGE, 2);
	p = fault_begin(TCF_SYNC);
	load_byte(p);
	CHECK(!fault.count, "a matching load on CPU 1 faults");
	load_byte(with_tag(p, BAD));
	CHECK(fault.count == 1 && fault.code == SEGV_MTESERR,
	      "a mismatching load on CPU 1: %d faults, si_code %d", fault.count, fault.code);
	mte_mode(TCF_NONE);
	pin_cpu(0);
	pattern_check(from_0, PAGES * PAGE, 2, "tagged by CPU 1, seen by CPU 0");
}

/* 64 draws give one tag only, or miss all but one, once in 15^63 runs. */
static void generated_tags(void)
{
	unsigned int drawn = 0, i;

	on_a_new_cpu();
	must_set(TCF_NONE, INCLUDE_ALL);
	for (i = 0; i < 64; i++)
		drawn |= 1U << tag_of(irg((void *)0x10000, 0));
	CHECK(drawn & (drawn - 1), "IRG gives one tag only on CPU 1: %#x", drawn);
	CHECK(!(drawn & 1), "IRG gives tag 0, which is not in the mask");
	must_set(TCF_NONE, 1U << 9);
	CHECK_EQ(tag_of(irg((void *)0x10000, 0)), 9, "the tag of a mask with one tag");
}

static void moved_thread(void)
{
	unsigned char *p;

	mte_need();
	need_two_cpus();
	pin_cpu(1);
	p = fault_begin(TCF_SYNC);
	must_set(TCF_SYNC, 1U << 9);
	set_online("0");
	CHECK_EQ(sched_getcpu(), 0, "the CPU of a thread whose CPU went offline");
	CHECK_EQ(tag_of(irg((void *)0x10000, 0)), 9, "the tag of its mask");
	load_byte(with_tag(p, BAD));
	CHECK(fault.count == 1 && fault.code == SEGV_MTESERR,
	      "a mismatching load: %d faults, si_code %d", fault.count, fault.code);
	set_online("1");
}

PROBE(CASE(tags_and_checks), CASE(generated_tags), CASE(moved_thread));
