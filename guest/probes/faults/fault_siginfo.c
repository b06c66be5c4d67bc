/* SPDX-License-Identifier: MIT */
/*
 * probe: fault_siginfo
 * needs: CONFIG_ARM64_MTE
 * timeout: 30
 *
 * What the handler of a fault is given: si_addr is the faulting address without a tag, or
 * with SA_EXPOSE_TAGBITS with the tag in bits 59:56 (tag check faults) or the whole top
 * byte (other faults); sigcontext.fault_address never has a tag; the signal frame has the
 * ESR. arch/arm64/mm/fault.c do_tag_check_fault(), set_thread_esr(); kernel/signal.c
 * hide_si_addr_tag_bits(); arch/arm64/kernel/signal.c setup_sigframe();
 * Documentation/arch/arm64/tagged-pointers.rst.
 */
#include "fault.h"

#define ADDRESS(p) ((uint64_t)(uintptr_t)untagged(p))

static void *with_top_byte(const volatile void *p, unsigned int byte)
{
	return (void *)(ADDRESS(p) | (uint64_t)byte << TAG_SHIFT);
}

static void begin(int flags)
{
	mte_need();
	catch_signal(SIGSEGV, flags);
	mte_mode(TCF_SYNC);
}

/* Each pointer tag, at several places of the first and the last granule of a page. */
static void tag_fault_addresses(int flags)
{
	static const int places[] = { 0, 1, 7, 15, 4080, 4095 };
	unsigned char *p;
	bool far = getauxval(AT_HWCAP3) & HWCAP3_MTE_FAR;
	unsigned int tag, top, i;

	begin(flags);
	p = good_pages(1);
	for (i = 0; i < ARRAY_SIZE(places); i++)
		for (tag = 0; tag < 16; tag++)
			for (top = 0; top < 2; top++) {
				unsigned int byte = tag | (top ? 0xa0 : 0);
				uint64_t want = ADDRESS(p) + places[i];

				if (tag == GOOD)
					continue;
				/* With FEAT_MTE_TAGGED_FAR bits 63:60 are exposed as well. */
				if (flags & SA_EXPOSE_TAGBITS)
					want |= (uint64_t)(far ? byte : tag) << TAG_SHIFT;
				fault_reset();
				store_byte(with_top_byte(p + places[i], byte));
				CHECK_EQ(fault.count, 1, "top byte %#x: signals", byte);
				CHECK_EQ(fault.code, SEGV_MTESERR, "top byte %#x: si_code", byte);
				CHECK_EQ(fault.err, 0, "top byte %#x: si_errno", byte);
				CHECK_EQ(fault.addr, want, "top byte %#x: si_addr", byte);
				CHECK_EQ(fault.fault_address, ADDRESS(p) + places[i],
					 "top byte %#x: sigcontext.fault_address", byte);
				CHECK_EQ(fault.has_esr, 1, "top byte %#x: ESR in the frame", byte);
				CHECK_EQ(fault.esr & ESR_DFSC, ESR_DFSC_TAG,
					 "top byte %#x: fault status of ESR", byte);
			}
}

static void tag_fault_hides_tag(void)
{
	tag_fault_addresses(0);
}

static void tag_fault_exposes_tag(void)
{
	tag_fault_addresses(SA_EXPOSE_TAGBITS);
}

/* Other data aborts report the whole top byte with SA_EXPOSE_TAGBITS. */
static void other_fault_addresses(int flags)
{
	static const unsigned int bytes[] = { 0x00, 0x05, 0x09, 0xa5, 0xff };
	unsigned char *unmapped = mte_map(PAGE), *readonly = mte_map(PAGE);
	unsigned int i;

	begin(flags);
	fault_skip_access_faults = true;
	MUST(munmap(unmapped, PAGE) == 0, "munmap");
	MUST(mprotect(readonly, PAGE, PROT_READ | PROT_MTE) == 0, "mprotect");
	for (i = 0; i < ARRAY_SIZE(bytes); i++) {
		uint64_t top = flags & SA_EXPOSE_TAGBITS ? (uint64_t)bytes[i] << TAG_SHIFT : 0;

		fault_reset();
		load_byte(with_top_byte(unmapped + 5, bytes[i]));
		CHECK_EQ(fault.count, 1, "unmapped, top byte %#x: signals", bytes[i]);
		CHECK_EQ(fault.code, SEGV_MAPERR, "unmapped, top byte %#x: si_code", bytes[i]);
		CHECK_EQ(fault.addr, (ADDRESS(unmapped) + 5) | top,
			 "unmapped, top byte %#x: si_addr", bytes[i]);
		CHECK_EQ(fault.fault_address, ADDRESS(unmapped) + 5,
			 "unmapped, top byte %#x: sigcontext.fault_address", bytes[i]);
		fault_reset();
		/* The memory has tag 0; the permission fault comes before a tag check. */
		store_byte(with_top_byte(readonly + 9, bytes[i] & 0xf0));
		CHECK_EQ(fault.count, 1, "read-only, top byte %#x: signals", bytes[i]);
		CHECK_EQ(fault.code, SEGV_ACCERR, "read-only, top byte %#x: si_code", bytes[i]);
		CHECK_EQ(fault.addr, (ADDRESS(readonly) + 9) | (top & ~(0xfUL << TAG_SHIFT)),
			 "read-only, top byte %#x: si_addr", bytes[i]);
	}
}

static void other_fault_hides_top_byte(void)
{
	other_fault_addresses(0);
}

static void other_fault_exposes_top_byte(void)
{
	other_fault_addresses(SA_EXPOSE_TAGBITS);
}

/* Each of the 16 tags in memory matches exactly one pointer tag: no tag matches all. */
static void no_tag_matches_all(void)
{
	unsigned char *p;
	unsigned int memory, pointer;

	begin(0);
	p = mte_map(PAGE);
	for (memory = 0; memory < 16; memory++)
		for (pointer = 0; pointer < 16; pointer++) {
			fault_reset();
			stg(p, memory);
			load_byte(with_tag(p, pointer));
			store_byte(with_tag(p, pointer));
			CHECK_EQ(fault.count, memory == pointer ? 0 : 2,
				 "memory tag %u, pointer tag %u: signals of a load and a store",
				 memory, pointer);
		}
}

/* Bits 63:60 of the pointer are not checked. */
static void top_nibble_is_ignored(void)
{
	unsigned char *p;
	unsigned int nibble;

	begin(0);
	p = good_pages(1);
	for (nibble = 0; nibble < 16; nibble++) {
		fault_reset();
		store_byte(with_top_byte(p, nibble << 4 | GOOD));
		CHECK_EQ(fault.count, 0, "top nibble %#x, tag matches: signals", nibble);
		store_byte(with_top_byte(p, nibble << 4 | BAD));
		CHECK_EQ(fault.count, 1, "top nibble %#x, tag differs: signals", nibble);
	}
}

/* The first access to a page that is not populated is a page fault; tags are checked then. */
static void first_touch(void)
{
	unsigned char *p;

	begin(0);
	p = mte_map(3 * PAGE);
	load_byte(p);
	store_byte(p + PAGE);
	CHECK_EQ(fault.count, 0, "new pages through tag 0: signals");
	store_byte(with_tag(p + 2 * PAGE, 1));
	CHECK_EQ(fault.count, 1, "new page through tag 1: signals");
	CHECK_EQ(fault.code, SEGV_MTESERR, "new page through tag 1: si_code");
	CHECK_EQ(fault.addr, ADDRESS(p) + 2 * PAGE, "new page through tag 1: si_addr");
}

/* Accesses to memory without PROT_MTE are not checked, whatever the tag of the pointer. */
static void memory_without_prot_mte(void)
{
	unsigned char *p = untagged_map(PAGE);
	unsigned int tag;

	begin(0);
	for (tag = 0; tag < 16; tag++) {
		load_byte(with_tag(p, tag));
		store_byte(with_tag(p, tag));
		kernel_entry();
		CHECK_EQ(fault.count, 0, "tag %u: signals", tag);
	}
	MUST(mprotect(p, PAGE, PROT_READ | PROT_WRITE | PROT_MTE) == 0, "mprotect(PROT_MTE)");
	store_byte(with_tag(p, 1));
	CHECK_EQ(fault.count, 1, "the same memory after mprotect(PROT_MTE): signals");
	MUST(mprotect(p, PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect without PROT_MTE");
	store_byte(with_tag(p, 1));
	CHECK_EQ(fault.count, 2, "PROT_MTE stays after mprotect() without it: signals");
}

/* sigaction() returns SA_EXPOSE_TAGBITS, by which a program detects that it is supported. */
static void expose_tagbits_round_trip(void)
{
	struct sigaction sa;

	catch_signal(SIGSEGV, SA_EXPOSE_TAGBITS);
	MUST(sigaction(SIGSEGV, NULL, &sa) == 0, "sigaction");
	CHECK_EQ(sa.sa_flags & SA_EXPOSE_TAGBITS, SA_EXPOSE_TAGBITS, "sa_flags");
	catch_signal(SIGSEGV, 0);
	MUST(sigaction(SIGSEGV, NULL, &sa) == 0, "sigaction");
	CHECK_EQ(sa.sa_flags & SA_EXPOSE_TAGBITS, 0, "sa_flags");
}

PROBE(CASE(tag_fault_hides_tag), CASE(tag_fault_exposes_tag), CASE(other_fault_hides_top_byte),
      CASE(other_fault_exposes_top_byte), CASE(no_tag_matches_all), CASE(top_nibble_is_ignored),
      CASE(first_touch), CASE(memory_without_prot_mte), CASE(expose_tagbits_round_trip));
