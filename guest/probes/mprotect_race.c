/* SPDX-License-Identifier: MIT */
/*
 * probe: mprotect_race
 * area: copy
 * needs: CONFIG_MEMFD_CREATE
 * timeout: 60
 *
 * Two processes give the same memfd page PROT_MTE at the same time; the first
 * one tags it at once. The other must not clear these tags: initialisation is
 * locked (try_page_mte_tagging(), PG_mte_lock; d77e59a8fccd "arm64: mte: Lock a
 * page for MTE tag initialisation"). A race: a broken kernel shows in some of
 * the rounds only, and more of them on a busy host.
 */
#include "thp.h"

#define PAGES	128
#define SECONDS	3

/* Shared by both processes: each counts the pages it has reached. */
struct meeting {
	volatile size_t arrived[2];
	volatile bool stop;
};

/* Waits for the other process; yields at times, for there may be one CPU only. */
static bool meet(struct meeting *m, int me, size_t step)
{
	size_t spins = 0;

	__atomic_store_n(&m->arrived[me], step, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&m->arrived[!me], __ATOMIC_SEQ_CST) < step) {
		if (m->stop)
			return false;
		if (++spins % 10000 == 0)
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

/* One process's part in a round: PROT_MTE page by page, in step with the other. */
static size_t round_of(struct meeting *m, int me, int fd, size_t step)
{
	char *p = mmap(NULL, PAGES * PAGE, PROT_RW, MAP_SHARED, fd, 0);
	size_t i, g, lost = 0;

	MUST(p != MAP_FAILED, "mmap");
	for (i = 0; i < PAGES; i++)
		(void)*(volatile char *)(p + i * PAGE);
	for (i = 0; i < PAGES; i++) {
		char *page = p + i * PAGE;

		if (!meet(m, me, step + i))
			break;
		MUST(mprotect(page, PAGE, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
		if (me == 0)
			for (g = 0; g < 16; g++)
				stg(page + g * GRANULE, 7);
	}
	meet(m, me, step + PAGES);
	for (i = 0; me == 0 && i < PAGES; i++)
		for (g = 0; g < 16; g++)
			lost += ldg(p + i * PAGE + g * GRANULE) != 7;
	munmap(p, PAGES * PAGE);
	return lost;
}

static void two_processes(void)
{
	struct meeting *m = mmap(NULL, PAGE, PROT_RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int fd = memfd_create("race", 0), me, status;
	size_t step = 1, lost = 0, rounds = 0;
	double end;
	pid_t child;

	mte_need();
	MUST(m != MAP_FAILED && fd >= 0 && ftruncate(fd, PAGES * PAGE) == 0, "memfd");
	child = fork();
	MUST(child >= 0, "fork");
	me = child == 0;
	pin_cpu(me % sysconf(_SC_NPROCESSORS_ONLN));
	end = now() + SECONDS;
	for (; !m->stop; step += PAGES + 3) {
		lost += round_of(m, me, fd, step);
		/* Fresh pages for the next round, while neither maps any. */
		if (!meet(m, me, step + PAGES + 1))
			break;
		if (me == 0) {
			rounds++;
			MUST(ftruncate(fd, 0) == 0 && ftruncate(fd, PAGES * PAGE) == 0, "ftruncate");
			m->stop = now() > end;
		}
		meet(m, me, step + PAGES + 2);
	}
	if (child == 0)
		_exit(0);
	MUST(waitpid(child, &status, 0) == child && status == 0, "child: status %#x", status);
	ktap_note("%zu pages raced for", rounds * PAGES);
	CHECK_EQ(lost, 0, "tags lost on %zu pages", rounds * PAGES);
}

PROBE(
	{ "two_processes", two_processes, 30 },
)
