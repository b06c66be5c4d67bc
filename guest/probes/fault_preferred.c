/* SPDX-License-Identifier: MIT */
/*
 * probe: fault_preferred
 * area: faults
 * needs: CONFIG_ARM64_MTE CONFIG_SYSFS
 * timeout: 60
 *
 * /sys/devices/system/cpu/cpuN/mte_tcf_preferred chooses, for each CPU, among
 * the modes a thread asked for: it takes async, sync and asymm and nothing
 * else, holds for that CPU only, and never gives a thread a mode it did not
 * ask for. arch/arm64/kernel/mte.c mte_tcf_preferred_show(), _store(),
 * register_mte_tcf_preferred_sysctl(), mte_update_sctlr_user(), set_mte_ctrl().
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/stat.h>

#include "fault.h"

enum { CPUS = 2 };

static const char *path_of(int cpu)
{
	static char path[80];

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/mte_tcf_preferred", cpu);
	return path;
}

/* Writes with one write(); 0 or -errno. */
static int prefer(int cpu, const char *text)
{
	int fd = open(path_of(cpu), O_WRONLY), result;
	ssize_t n;

	MUST(fd >= 0, "open %s", path_of(cpu));
	n = write(fd, text, strlen(text));
	result = n == (ssize_t)strlen(text) ? 0 : n < 0 ? -errno : -EIO;
	close(fd);
	return result;
}

static void must_prefer(int cpu, const char *text)
{
	int result = prefer(cpu, text);

	MUST(result == 0, "write \"%s\" to %s: %d", text, path_of(cpu), result);
}

static const char *preferred(int cpu)
{
	static char text[32];
	int fd = open(path_of(cpu), O_RDONLY);
	ssize_t n;

	MUST(fd >= 0, "open %s", path_of(cpu));
	n = read(fd, text, sizeof(text) - 1);
	MUST(n >= 0, "read %s", path_of(cpu));
	text[n] = 0;
	close(fd);
	return text;
}

static void check_preferred(int cpu, const char *want, const char *when)
{
	const char *got = preferred(cpu);

	CHECK(!strcmp(got, want), "%s, CPU %d: expected \"%.*s\", saw \"%.*s\"", when, cpu,
	      (int)strcspn(want, "\n"), want, (int)strcspn(got, "\n"), got);
}

/*
 * Each case writes the default back before it starts and when it ends: the case
 * before it may have been killed half way.
 */
static void restore(void)
{
	int cpu;

	for (cpu = 0; cpu < CPUS; cpu++)
		prefer(cpu, "async");
}

static bool has_asymm(void)
{
	return getauxval(AT_HWCAP2) & HWCAP2_MTE3;
}

static void begin(void)
{
	mte_need();
	MUST(sysconf(_SC_NPROCESSORS_ONLN) >= CPUS, "two CPUs");
	restore();
	catch_tag_faults();
}

/* --- the file ------------------------------------------------------------- */

static void default_is_async(void)
{
	int cpu;

	mte_need();
	for (cpu = 0; cpu < sysconf(_SC_NPROCESSORS_CONF); cpu++) {
		struct stat st;

		MUST(stat(path_of(cpu), &st) == 0, "%s", path_of(cpu));
		CHECK_EQ(st.st_mode & 0777, 0644, "CPU %d: access mode", cpu);
		CHECK_EQ(st.st_uid, 0, "CPU %d: owner", cpu);
		check_preferred(cpu, "async\n", "after boot");
	}
}

static void round_trip(void)
{
	static const char *const values[] = { "sync", "async", "asymm" };
	int i, cpu;

	begin();
	for (cpu = 0; cpu < CPUS; cpu++)
		for (i = 0; i < 3; i++) {
			char line[16];

			if (!has_asymm() && i == 2)
				break;
			snprintf(line, sizeof(line), "%s\n", values[i]);
			CHECK_EQ(prefer(cpu, values[i]), 0, "write \"%s\"", values[i]);
			check_preferred(cpu, line, "written without newline");
			check_preferred(!cpu, "async\n", "the other CPU");
			must_prefer(cpu, "async");
			CHECK_EQ(prefer(cpu, line), 0, "write \"%s\" and newline", values[i]);
			check_preferred(cpu, line, "written with newline");
			must_prefer(cpu, "async");
		}
	restore();
}

static void refuses_junk(void)
{
	static const char *const junk[] = {
		"junk", "none", "SYNC", "Async", "syn", "synch", "sync ", " sync", "async\n\n",
		"asym", "asymmetric", "0", "1", "sync,async", "\n",
	};
	unsigned int i;

	begin();
	must_prefer(0, "sync");
	for (i = 0; i < sizeof(junk) / sizeof(junk[0]); i++) {
		CHECK_EQ(prefer(0, junk[i]), -EINVAL, "write junk %u", i);
		check_preferred(0, "sync\n", junk[i]);
	}
	restore();
}

/* --- what it does --------------------------------------------------------- */

static const struct choice {
	const char *preferred;
	unsigned long asked;
	enum behaviour want;
} choices[] = {
	{ "async", TCF_NONE, SEEN_NONE },
	{ "async", TCF_SYNC, SEEN_SYNC },
	{ "async", TCF_ASYNC, SEEN_ASYNC },
	{ "async", TCF_ASYMM, SEEN_ASYNC },
	{ "sync", TCF_NONE, SEEN_NONE },
	{ "sync", TCF_SYNC, SEEN_SYNC },
	{ "sync", TCF_ASYNC, SEEN_ASYNC },
	{ "sync", TCF_ASYMM, SEEN_SYNC },
	{ "asymm", TCF_NONE, SEEN_NONE },
	{ "asymm", TCF_SYNC, SEEN_SYNC },
	{ "asymm", TCF_ASYNC, SEEN_ASYNC },
	{ "asymm", TCF_ASYMM, SEEN_ASYMM },
};
enum { CHOICES = sizeof(choices) / sizeof(choices[0]) };

/* prctl() resolves for the CPU it runs on, at once. */
static void chosen_by_prctl(void)
{
	void *granule;
	int i, cpu;

	begin();
	granule = mode_granule();
	for (cpu = 0; cpu < CPUS; cpu++) {
		pin(cpu);
		for (i = 0; i < CHOICES; i++) {
			const struct choice *c = &choices[i];

			if (!has_asymm() && !strcmp(c->preferred, "asymm"))
				continue;
			must_prefer(cpu, c->preferred);
			mte_mode(c->asked);
			CHECK_MODE(granule, c->want, "CPU %d prefers %s, asked %#lx", cpu,
				   c->preferred, c->asked);
			CHECK_EQ(get_ctrl() & TCF_ASYMM, c->asked, "PR_GET");
		}
		must_prefer(cpu, "async");
		mte_mode(TCF_NONE);
	}
	restore();
}

/* A switch to the thread resolves for the CPU it will run on. */
static void chosen_at_a_switch(void)
{
	void *granule;
	int i, round;

	begin();
	granule = mode_granule();
	for (i = 0; i < CHOICES; i++) {
		const struct choice *c = &choices[i];

		if (!has_asymm() && !strcmp(c->preferred, "asymm"))
			continue;
		pin(0);
		must_prefer(0, "async");
		must_prefer(1, c->preferred);
		mte_mode(c->asked);
		for (round = 0; round < 3; round++) {
			enum behaviour here = c->asked == TCF_ASYMM ? SEEN_ASYNC : c->want;

			pin(1);
			CHECK_MODE(granule, c->want, "on CPU 1, which prefers %s, asked %#lx",
				   c->preferred, c->asked);
			pin(0);
			CHECK_MODE(granule, here, "back on CPU 0, which prefers async, asked %#lx",
				   c->asked);
		}
		mte_mode(TCF_NONE);
	}
	restore();
}

/* Threads that ask for different modes, on one CPU, with every preference. */
static void *asking_thread(void *arg)
{
	const struct choice *c = arg;
	void *granule = mode_granule();
	int i;

	pin(0);
	mte_mode(c->asked);
	for (i = 0; i < 20; i++) {
		CHECK_MODE(granule, c->want, "beside threads of other modes, CPU prefers %s, asked %#lx",
			   c->preferred, c->asked);
		sched_yield();
	}
	return NULL;
}

static void threads_beside_each_other(void)
{
	pthread_t threads[4];
	int i, j;

	begin();
	for (i = 0; i < CHOICES; i += 4) {
		if (!has_asymm() && !strcmp(choices[i].preferred, "asymm"))
			continue;
		must_prefer(0, choices[i].preferred);
		for (j = 0; j < 4; j++)
			MUST(pthread_create(&threads[j], NULL, asking_thread,
					    (void *)&choices[i + j]) == 0, "pthread_create");
		for (j = 0; j < 4; j++)
			pthread_join(threads[j], NULL);
	}
	restore();
}

PROBE(
	{ "default_is_async", default_is_async, 0 },
	{ "round_trip", round_trip, 0 },
	{ "refuses_junk", refuses_junk, 0 },
	{ "chosen_by_prctl", chosen_by_prctl, 0 },
	{ "chosen_at_a_switch", chosen_at_a_switch, 0 },
	{ "threads_beside_each_other", threads_beside_each_other, 0 },
)
