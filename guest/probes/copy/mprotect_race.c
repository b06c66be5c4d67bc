/* SPDX-License-Identifier: MIT */
/*
 * probe: mprotect_race
 * needs: CONFIG_MEMFD_CREATE
 * fixed: 6.2 d77e59a8fccd two_processes
 * timeout: 60
 *
 * Two processes make the same memfd page PROT_MTE at the same time, and the first one sets
 * tags at once. The second must not clear these tags: their initialisation is locked
 * (try_page_mte_tagging(), PG_mte_lock; d77e59a8fccd "arm64: mte: Lock a page for MTE tag
 * initialisation"). This is a race: on a broken kernel tags are lost in some of the rounds
 * only, and in more of them on a busy host.
 */

#include <sys/timerfd.h>

#include "child.h"
#include "fault.h"
#include "pin.h"

#define PAGES	1024
#define SECONDS 4
#define TIMERS	8

/* A barrier of two processes, in shared memory: each stores the step that it has reached. */
struct meeting {
	volatile size_t arrived[2];
	volatile bool stop;
};

/* Waits until the other process reaches `step`; yields, as there may be only one CPU. */
static bool meet(struct meeting *m, int me, size_t step)
{
	size_t spins = 0;

	__atomic_store_n(&m->arrived[me], step, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&m->arrived[!me], __ATOMIC_SEQ_CST) < step) {
		if (m->stop)
			return false;
		if (++spins % 1000 == 0)
			sched_yield();
	}
	return true;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/*
 * Timer interrupts on this CPU prolong the race window, which is the microsecond in which
 * this CPU clears tags: the other one must clear, map and tag the page within it.
 */
static void interrupt_me(void)
{
	struct itimerspec often = { .it_interval.tv_nsec = 50000, .it_value.tv_nsec = 50000 };
	int i;

	for (i = 0; i < TIMERS; i++)
		MUST(timerfd_settime(timerfd_create(CLOCK_MONOTONIC, 0), 0, &often, NULL) == 0,
		     "timerfd");
}

/* One process's part of a round: makes page after page PROT_MTE, as the other one does. */
static size_t round_of(struct meeting *m, int me, int fd, size_t step)
{
	char *p = mmap(NULL, PAGES * PAGE, PROT_RW, MAP_SHARED, fd, 0);
	size_t i, g, lost = 0;

	MUST(p != MAP_FAILED, "mmap");
	for (i = 0; i < PAGES; i++)
		(void)*(volatile char *)(p + i * PAGE);
	meet(m, me, step);
	for (i = 0; i < PAGES; i++) {
		char *page = p + i * PAGE;

		MUST(mprotect(page, PAGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
		for (g = 0; me == 0 && g < GRANULES_PER_PAGE; g += 85)
			stg(page + g * GRANULE, 7);
	}
	meet(m, me, step + 1);
	for (i = 0; me == 0 && i < PAGES; i++)
		for (g = 0; g < GRANULES_PER_PAGE; g += 85)
			lost += ldg(p + i * PAGE + g * GRANULE) != 7;
	munmap(p, PAGES * PAGE);
	return lost;
}

static void two_processes(void)
{
	struct meeting *m = mmap(NULL, PAGE, PROT_RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("race", 0), me;
	size_t step = 1, lost = 0, rounds = 0;
	double end;
	pid_t child;

	mte_need();
	MUST(m != MAP_FAILED && fd >= 0 && ftruncate(fd, PAGES * PAGE) == 0, "memfd");
	child = child_fork();
	me = child == 0;
	pin_cpu(me % sysconf(_SC_NPROCESSORS_ONLN));
	if (me == 1)
		interrupt_me();
	end = now() + SECONDS;
	for (; !m->stop; step += 4) {
		lost += round_of(m, me, fd, step);
		/* Replace the pages by new ones while neither process maps them. */
		if (!meet(m, me, step + 2))
			break;
		if (me == 0) {
			rounds++;
			MUST(ftruncate(fd, 0) == 0 && ftruncate(fd, PAGES * PAGE) == 0,
			     "ftruncate");
			m->stop = now() > end;
		}
		meet(m, me, step + 3);
	}
	if (child == 0)
		_exit(0);
	wait_child(child);
	ktap_note("%zu pages were made PROT_MTE by two processes at once", rounds * PAGES);
	CHECK_EQ(lost, 0, "tags lost, on %zu pages", rounds * PAGES);
}

PROBE(CASE_SECONDS(two_processes, 30));
