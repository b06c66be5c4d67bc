/* SPDX-License-Identifier: MIT */
/*
 * The MTE mode of a thread as the CPU has it, which instructions show, and not as
 * prctl() reports it. SCTLR_EL1.TCF0 selects how tag check faults are reported,
 * GCR_EL1.Exclude which tags IRG and ADDG may generate; the kernel writes both when it
 * switches threads (arch/arm64/kernel/mte.c mte_thread_switch()).
 */
#ifndef MTE_HARNESS_MODES_H
#define MTE_HARNESS_MODES_H

#include "fault.h"

/* --- the raw mode value --------------------------------------------------- */

/* The argument of PR_SET_TAGGED_ADDR_CTRL, and the result of PR_GET_TAGGED_ADDR_CTRL. */
static inline unsigned long ctrl_value(unsigned long tcf, unsigned long include)
{
	return PR_TAGGED_ADDR_ENABLE | tcf | (include << PR_MTE_TAG_SHIFT);
}

static inline long get_ctrl(void)
{
	return prctl(PR_GET_TAGGED_ADDR_CTRL, 0, 0, 0, 0);
}

static inline int set_ctrl(unsigned long value)
{
	return prctl(PR_SET_TAGGED_ADDR_CTRL, value, 0, 0, 0);
}

/* Sets this thread's mode; a failure ends the case. */
void must_set(unsigned long tcf, unsigned long include);

/* --- GCR_EL1.Exclude ------------------------------------------------------ */

/* The tag that ADDG with a constant tag offset (0 to 15) gives to a pointer with tag `tag`. */
#define ADDG_TAG(tag, offset)                                                \
	({                                                                   \
		void *addg_in = with_tag((void *)0x10000, (tag)), *addg_out; \
		asm volatile(".arch_extension memtag\n addg %0, %1, #0, %2"  \
			     : "=r"(addg_out)                                \
			     : "r"(addg_in), "i"(offset));                   \
		tag_of(addg_out);                                            \
	})

/*
 * The include mask of GCR_EL1: ADDG with offset 0 keeps an included tag and replaces an
 * excluded one by the next that is included (Arm ARM, shared pseudocode
 * ChooseNonExcludedTag). With all tags excluded every tag becomes 0, as it does with only
 * tag 0 included: both masks read as 0x1, and no instruction distinguishes them.
 */
unsigned int gcr_include(void);

/* Checks that ADDG keeps exactly the tags of the include mask, and IRG gives no other. */
bool include_check(unsigned int include, const char *when);

/* --- SCTLR_EL1.TCF0 ------------------------------------------------------- */

enum behaviour { SEEN_NONE, SEEN_SYNC, SEEN_ASYNC, SEEN_ASYMM, SEEN_ODD };

extern const char *const behaviour_name[];

/*
 * How mismatching accesses of this thread are reported now. Makes a load and a store of
 * `granule`, which has tag 3, with tag 4, each followed by a kernel entry. Needs
 * catch_signal(SIGSEGV, 0).
 */
enum behaviour observe(void *granule);

#define CHECK_MODE(granule, want, fmt, ...)                                               \
	({                                                                                \
		enum behaviour seen_mode = observe(granule), want_mode = (want);          \
		CHECK(seen_mode == want_mode, fmt ": expected %s, saw %s", ##__VA_ARGS__, \
		      behaviour_name[want_mode], behaviour_name[seen_mode]);              \
	})

/* A page whose first granule has tag 3, for observe(). */
void *mode_granule(void);

#endif
