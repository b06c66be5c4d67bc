/* SPDX-License-Identifier: MIT */
/*
 * What a thread's MTE mode really is: not what prctl() answers, but what the
 * instructions do. The checked tags come from SCTLR_EL1.TCF0, the tags that
 * IRG and ADDG may give from GCR_EL1.Exclude; the kernel writes both when it
 * switches threads (arch/arm64/kernel/mte.c mte_thread_switch()).
 */
#ifndef MTE_HARNESS_MODES_H
#define MTE_HARNESS_MODES_H

#include <sched.h>		/* needs _GNU_SOURCE before any #include */
#include <sys/syscall.h>
#include <ucontext.h>

#include "mte.h"

/* --- CPUs and the raw mode value ----------------------------------------- */

static inline void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	MUST(sched_setaffinity(0, sizeof(set), &set) == 0, "run on CPU %d", cpu);
}

/* The value that PR_SET takes and PR_GET gives. */
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

static inline void must_set(unsigned long tcf, unsigned long include)
{
	MUST(set_ctrl(ctrl_value(tcf, include)) == 0,
	     "PR_SET_TAGGED_ADDR_CTRL tcf %#lx include %#lx", tcf, include);
}

/* --- GCR_EL1.Exclude ------------------------------------------------------ */

/* ADDG with a constant tag offset, 0 to 15: the tag it gives for a pointer with tag `tag`. */
#define ADDG_TAG(tag, offset) ({						\
	void *addg_in = with_tag((void *)0x10000, (tag)), *addg_out;		\
	asm volatile(".arch_extension memtag\n addg %0, %1, #0, %2"		\
		     : "=r"(addg_out) : "r"(addg_in), "i"(offset));		\
	tag_of(addg_out); })

/*
 * The tags that GCR_EL1 includes, read back exactly: ADDG with offset 0 keeps
 * an included tag and moves an excluded one on (Arm ARM, shared pseudocode
 * ChooseNonExcludedTag). With all excluded every tag becomes 0, as with only
 * tag 0 included: both read 0x1, and no instruction tells them apart.
 */
static inline unsigned int gcr_include(void)
{
	unsigned int tag, mask = 0;

	for (tag = 0; tag < 16; tag++)
		mask |= (ADDG_TAG(tag, 0) == tag) << tag;
	return mask;
}

/* Checks that ADDG sees exactly the include mask, and IRG nothing outside it. */
static inline bool include_check(unsigned int include, const char *when)
{
	unsigned int want = include ? include : 1, drawn = 0, i;

	for (i = 0; i < 40; i++)
		drawn |= 1U << tag_of(irg((void *)0x10000, 0));
	return CHECK_EQ(gcr_include(), want, "%s: tags that ADDG keeps, include mask %#x",
			when, include) &
	       CHECK((drawn & ~want) == 0, "%s: include mask %#x: expected IRG within %#x, saw %#x",
		     when, include, want, drawn);
}

/* --- SCTLR_EL1.TCF0 ------------------------------------------------------- */

/* Tag check faults this thread's handler has seen. */
struct tag_faults {
	volatile int sync, async, other;
	volatile pid_t async_tid;	/* thread that took the last asynchronous one */
};

static __thread struct tag_faults tag_faults __attribute__((unused));

/* Counts the fault; a synchronous one goes on after the faulting instruction. */
static void tag_fault_handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	if (info->si_code == SEGV_MTESERR) {
		tag_faults.sync++;
		uc->uc_mcontext.pc += 4;
	} else if (info->si_code == SEGV_MTEAERR) {
		tag_faults.async++;
		tag_faults.async_tid = syscall(SYS_gettid);
	} else {
		/* Not a tag fault: die of it at the same instruction. */
		tag_faults.other++;
		signal(sig, SIG_DFL);
	}
}

__attribute__((unused))
static void catch_tag_faults(void)
{
	struct sigaction sa = { .sa_sigaction = tag_fault_handler, .sa_flags = SA_SIGINFO };

	MUST(sigaction(SIGSEGV, &sa, NULL) == 0, "sigaction");
}

static inline void load_byte(const volatile void *p)
{
	uint32_t v;

	asm volatile("ldrb %w0, [%1]" : "=r"(v) : "r"(p) : "memory");
}

static inline void store_byte(volatile void *p)
{
	asm volatile("strb wzr, [%0]" : : "r"(p) : "memory");
}

/* Any kernel entry: an asynchronous fault is reported not later than its exit. */
static inline void kernel_entry(void)
{
	syscall(SYS_getppid);
}

enum behaviour { SEEN_NONE, SEEN_SYNC, SEEN_ASYNC, SEEN_ASYMM, SEEN_ODD };

__attribute__((unused))
static const char *const behaviour_name[] = {
	"no fault", "sync", "async", "asymm", "neither of the modes",
};

/*
 * How this thread's mismatching accesses behave now. `granule` has tag 3; the
 * load and the store each use tag 4, and each ends with a kernel entry.
 * catch_tag_faults() comes first.
 */
static inline enum behaviour observe(void *granule)
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
	ktap_note("load: %d sync %d async; store: %d sync %d async",
		  load_sync, load_async, store_sync, store_async);
	return SEEN_ODD;
}

#define CHECK_MODE(granule, want, fmt, ...) ({					\
	enum behaviour seen_mode = observe(granule), want_mode = (want);	\
	CHECK(seen_mode == want_mode, fmt ": expected %s, saw %s", ##__VA_ARGS__, \
	      behaviour_name[want_mode], behaviour_name[seen_mode]); })

/* A page whose first granule has tag 3, for observe(). */
static inline void *mode_granule(void)
{
	void *p = mte_map(PAGE);

	stg(p, 3);
	return p;
}

#endif
