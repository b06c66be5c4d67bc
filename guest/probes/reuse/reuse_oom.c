/* SPDX-License-Identifier: MIT */
/*
 * probe: reuse_oom
 * needs: CONFIG_ARM64_MTE_TAG_STORAGE CONFIG_MEMCG CONFIG_PROC_PAGE_MONITOR
 * timeout: 240
 *
 * A program that needs ever more tagged memory, with no memory left and no swap, is killed
 * as on any kernel, it alone, and its tag storage is released: in all of memory, and in a
 * memory cgroup with a limit.
 */
#include "fault.h"
#include "reuse.h"

#define STEP  (1UL << 20)
#define SPARE (16UL << 20)

/* Maps memory, and makes this process the first choice of the OOM killer. */
static char *first_choice(size_t room, int prot)
{
	char *p = mmap(NULL, room, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	MUST(p != MAP_FAILED, "mmap");
	madvise(p, room, MADV_NOHUGEPAGE);
	write_file("/proc/self/oom_score_adj", "1000");
	return p;
}

/* Populates memory until the OOM killer comes. */
static void take_all(int prot)
{
	size_t at, room = 4UL << 30;
	char *p = first_choice(room, prot);

	for (at = 0; at < room; at += PAGE)
		*(volatile char *)(p + at) = 1;
}

/* The same with page tables, which cannot be moved: one per 2 MiB of zero page mappings. */
static void take_tables(void)
{
	size_t at, room = 4UL << 40;
	char *p = first_choice(room, PROT_READ);

	for (at = 0; at < room; at += 512 * PAGE)
		(void)*(volatile char *)(p + at);
}

static void killed(int prot, const char *limit, const char *what)
{
	struct reuse before;
	pid_t pid;
	char *t;

	swap_none();
	before = reuse_check("before");
	t = mte_map(STEP);
	pattern_set(t, STEP, 1);
	pid = child_fork();
	if (pid == 0) {
		if (limit) {
			memcg_enter();
			memcg_write("memory.max", limit);
			memcg_write("memory.swap.max", "0");
		}
		take_all(prot);
		_exit(3);
	}
	wait_child_killed(pid, SIGKILL);
	pattern_check(t, STEP, 1, what);
	munmap(t, STEP);
	reuse_back(&before, what);
}

static void tagged_memory(void)
{
	reuse_need();
	killed(PROT_READ | PROT_WRITE | PROT_MTE, NULL, "tagged");
}

static void plain_data(void)
{
	reuse_need();
	killed(PROT_READ | PROT_WRITE, NULL, "plain");
}

static void tagged_in_a_cgroup(void)
{
	reuse_need();
	killed(PROT_READ | PROT_WRITE | PROT_MTE, "64M", "tagged, in a cgroup");
}

/*
 * A process that the OOM killer takes next. It takes another one if the first is not gone
 * after two seconds (OOM_REAPER_DELAY of mm/oom_kill.c), and to free so many page tables
 * takes longer on a busy host. The probe must not be that one.
 */
static pid_t second_choice(void)
{
	pid_t pid = child_fork();

	if (pid == 0) {
		memset(first_choice(SPARE, PROT_READ | PROT_WRITE), 1, SPARE);
		write_file("/proc/self/oom_score_adj", "999");
		for (;;)
			pause();
	}
	return pid;
}

/* Page tables cannot use tag storage, so the OOM killer must not wait until it is used. */
static void page_tables(void)
{
	struct reuse before;
	siginfo_t ended = { 0 };
	long least, now;
	pid_t pid, spare;

	reuse_need();
	swap_none();
	before = reuse_check("before");
	least = meminfo_kb("MetadataFree");
	spare = second_choice();
	pid = child_fork();
	if (pid == 0) {
		take_tables();
		_exit(3);
	}
	while (waitid(P_PID, pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && !ended.si_pid) {
		now = meminfo_kb("MetadataFree");
		least = now < least ? now : least;
		usleep(10000);
	}
	wait_child_killed(pid, SIGKILL);
	kill(spare, SIGKILL);
	wait_child_killed(spare, SIGKILL);
	/* Movable memory of other processes may be moved there. */
	CHECK(least > (long)(before.free * (PAGE / 1024)) * 9 / 10,
	      "%ld kB of storage free at the least, %ld before", least,
	      before.free * (long)(PAGE / 1024));
	reuse_back(&before, "page tables");
}

PROBE(CASE_SECONDS(tagged_memory, 90), CASE_SECONDS(plain_data, 90),
      CASE_SECONDS(tagged_in_a_cgroup, 60), CASE_SECONDS(page_tables, 90));
