/* SPDX-License-Identifier: MIT */
#include "modes.h"

const char *const behaviour_name[] = {
	"no fault", "sync", "async", "asymm", "none of the modes",
};

void must_set(unsigned long tcf, unsigned long include)
{
	MUST(set_ctrl(ctrl_value(tcf, include)) == 0,
	     "PR_SET_TAGGED_ADDR_CTRL tcf %#lx include %#lx", tcf, include);
}

unsigned int gcr_include(void)
{
	unsigned int tag, mask = 0;

	for (tag = 0; tag < 16; tag++)
		mask |= (ADDG_TAG(tag, 0) == tag) << tag;
	return mask;
}

bool include_check(unsigned int include, const char *when)
{
	unsigned int want = include ? include : 1, drawn = 0, i;

	for (i = 0; i < 40; i++)
		drawn |= 1U << tag_of(irg((void *)0x10000, 0));
	return CHECK_EQ(gcr_include(), want, "%s: tags that ADDG keeps, include mask %#x", when,
			include) &
	       CHECK((drawn & ~want) == 0, "%s: include mask %#x: expected IRG within %#x, saw %#x",
		     when, include, want, drawn);
}

enum behaviour observe(void *granule)
{
	void *bad = with_tag(granule, 4);
	struct tag_faults before = tag_faults;
	int load_sync, load_async, store_sync, store_async;

	load_byte(bad);
	kernel_entry();
	load_sync = tag_faults.sync - before.sync;
	load_async = tag_faults.async - before.async;
	store_byte(bad);
	kernel_entry();
	store_sync = tag_faults.sync - before.sync - load_sync;
	store_async = tag_faults.async - before.async - load_async;

	if (!load_sync && !load_async && !store_sync && !store_async)
		return SEEN_NONE;
	if (load_sync == 1 && !load_async && store_sync == 1 && !store_async)
		return SEEN_SYNC;
	if (!load_sync && load_async == 1 && !store_sync && store_async == 1)
		return SEEN_ASYNC;
	if (load_sync == 1 && !load_async && !store_sync && store_async == 1)
		return SEEN_ASYMM;
	ktap_note("load: %d sync %d async; store: %d sync %d async", load_sync, load_async,
		  store_sync, store_async);
	return SEEN_ODD;
}

void *mode_granule(void)
{
	void *p = mte_map(PAGE);

	stg(p, 3);
	return p;
}
