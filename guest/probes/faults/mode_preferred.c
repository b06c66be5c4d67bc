/* SPDX-License-Identifier: MIT */
/*
 * probe: mode_preferred
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI
 * timeout: 60
 *
 * Each CPU has its own /sys/devices/system/cpu/cpuN/mte_tcf_preferred: a thread that
 * requested SYNC|ASYNC runs in the mode that the CPU it runs on prefers, as soon as it
 * runs there. A thread that requested a single mode, or none, keeps it on every CPU.
 * arch/arm64/kernel/mte.c mte_tcf_preferred_show() and _store(), mte_update_sctlr_user()
 * as called by mte_thread_switch() and set_mte_ctrl().
 */
#include "procfs.h"
#include "switching.h"

static const char *const words[] = { "async", "sync", "asymm" };
static const enum behaviour seen_for[] = { SEEN_ASYNC, SEEN_SYNC, SEEN_ASYMM };

static const char *file_of(int cpu)
{
	static __thread char path[80];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/mte_tcf_preferred", cpu);
	return path;
}

static void prefer(int cpu, const char *word)
{
	write_file(file_of(cpu), word);
}

static void check_file(int cpu, const char *want)
{
	FILE *f = fopen(file_of(cpu), "re");
	char text[40] = "";

	MUST(f, "open %s", file_of(cpu));
	MUST(fgets(text, sizeof(text), f), "read %s", file_of(cpu));
	fclose(f);
	text[strcspn(text, "\n")] = 0;
	CHECK(!strcmp(text, want), "cpu%d: expected %s, saw %s", cpu, want, text);
}

static void start(void)
{
	mte_need();
	need_two_cpus();
	catch_signal(SIGSEGV, 0);
	prefer(0, "async");
	prefer(1, "async");
}

/* A write to the file of one CPU changes that file only, whichever CPU it is made on. */
static void files_belong_to_their_cpu(void)
{
	int on, x, y;

	start();
	for (on = 0; on < 2; on++) {
		pin_cpu(on);
		for (x = 0; x < 3; x++)
			for (y = 0; y < 3; y++) {
				prefer(0, words[x]);
				prefer(1, words[y]);
				check_file(0, words[x]);
				check_file(1, words[y]);
			}
	}
	start();
}

static void unknown_words_are_refused(void)
{
	static const char *const bad[] = { "none", "asy", "asyncx", "1" };
	unsigned int i;

	start();
	prefer(1, "sync");
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK_EQ(try_write_file(file_of(1), bad[i]), -1, "write %s", bad[i]);
		CHECK_EQ(errno, EINVAL, "errno of write %s", bad[i]);
		check_file(1, "sync");
	}
	start();
}

/* A thread that migrates between CPUs that prefer different modes. */
static void mode_follows_the_cpu(void)
{
	void *p;
	int x, y, round;

	start();
	p = mode_granule();
	must_set(TCF_ASYMM, INCLUDE_ALL);
	for (x = 0; x < 3; x++)
		for (y = 0; y < 3; y++) {
			if (x == y)
				continue;
			/* A CPU reads its preference when it switches to a thread. */
			prefer(0, words[x]);
			prefer(1, words[y]);
			for (round = 0; round < 3; round++) {
				pin_cpu(1);
				pin_cpu(0);
				CHECK_MODE(p, seen_for[x], "cpu0 %s, cpu1 %s, on cpu0", words[x],
					   words[y]);
				pin_cpu(1);
				CHECK_MODE(p, seen_for[y], "cpu0 %s, cpu1 %s, on cpu1", words[x],
					   words[y]);
			}
		}
	CHECK_EQ(get_ctrl(), ctrl_value(TCF_ASYMM, INCLUDE_ALL), "PR_GET of the requested modes");
	start();
}

/* prctl() applies the preference of the CPU that it runs on, without a switch. */
static void prctl_takes_this_cpus_mode(void)
{
	int cpu, x;
	void *p;

	start();
	p = mode_granule();
	for (cpu = 0; cpu < 2; cpu++) {
		pin_cpu(cpu);
		for (x = 0; x < 3; x++) {
			prefer(0, words[x]);
			prefer(1, words[(x + 1) % 3]);
			must_set(TCF_NONE, INCLUDE_ALL);
			must_set(TCF_ASYMM, INCLUDE_ALL);
			CHECK_MODE(p, seen_for[(x + cpu) % 3], "prctl on cpu%d, cpu0 %s, cpu1 %s",
				   cpu, words[x], words[(x + 1) % 3]);
		}
	}
	start();
}

/* A single requested mode does not depend on the preference of the CPU. */
static void single_modes_stay(void)
{
	static const unsigned long modes[] = { TCF_NONE, TCF_SYNC, TCF_ASYNC };
	static const enum behaviour want[] = { SEEN_NONE, SEEN_SYNC, SEEN_ASYNC };
	int m, x, cpu;
	void *p;

	start();
	p = mode_granule();
	for (x = 0; x < 3; x++) {
		prefer(0, words[x]);
		prefer(1, words[(x + 1) % 3]);
		for (m = 0; m < 3; m++)
			for (cpu = 0; cpu < 2; cpu++) {
				pin_cpu(!cpu);
				must_set(modes[m], INCLUDE_ALL);
				CHECK_MODE(p, want[m], "mode %#lx, set on cpu%d", modes[m], !cpu);
				pin_cpu(cpu);
				CHECK_MODE(p, want[m], "mode %#lx, moved to cpu%d", modes[m], cpu);
			}
	}
	start();
}

/* Threads with different requests, on two CPUs with different preferences. */
static const unsigned long wishes[] = { TCF_ASYMM, TCF_SYNC, TCF_ASYMM, TCF_ASYNC, TCF_NONE };
static __thread void *granule;

static void setup(int who)
{
	granule = mode_granule();
	must_set(wishes[who], INCLUDE_ALL);
}

static void check(int who, const char *when)
{
	static const enum behaviour single[] = { 0, SEEN_SYNC, 0, SEEN_ASYNC, SEEN_NONE };
	enum behaviour want = single[who];

	if (wishes[who] == TCF_ASYMM)
		want = sched_getcpu() ? SEEN_SYNC : SEEN_ASYMM;
	CHECK_MODE(granule, want, "thread %d that requested %#lx, %s", who, wishes[who], when);
}

static void threads_on_unlike_cpus(void)
{
	static const struct switching five = { 5, setup, check };

	start();
	prefer(0, "asymm");
	prefer(1, "sync");
	run_switching(&five, switch_by_migration);
	start();
}

PROBE(CASE(files_belong_to_their_cpu), CASE(unknown_words_are_refused), CASE(mode_follows_the_cpu),
      CASE(prctl_takes_this_cpus_mode), CASE(single_modes_stay), CASE(threads_on_unlike_cpus));
