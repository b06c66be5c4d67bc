/* SPDX-License-Identifier: MIT */
/*
 * Threads that are switched in every way the scheduler has, while each keeps
 * checking its own MTE state. What `check` looks at is the probe's subject;
 * that the switches really happened is proved here, from getrusage().
 */
#ifndef MTE_HARNESS_SWITCHING_H
#define MTE_HARNESS_SWITCHING_H

#include <pthread.h>
#include <sys/resource.h>

#include "modes.h"

struct switching {
	int threads;
	void (*setup)(int who);
	void (*check)(int who, const char *when);
};

enum { SWITCH_THREADS = 6 };

struct switch_thread {
	const struct switching *what;
	void (*run)(struct switch_thread *t);
	pthread_t id;
	int who;
};

static pthread_barrier_t switch_barrier;

static inline void thread_switches(long *voluntary, long *forced)
{
	struct rusage u;

	MUST(getrusage(RUSAGE_THREAD, &u) == 0, "getrusage");
	*voluntary = u.ru_nvcsw;
	*forced = u.ru_nivcsw;
}

static void *switch_thread_main(void *arg)
{
	struct switch_thread *t = arg;

	t->what->setup(t->who);
	t->run(t);
	return NULL;
}

static inline void run_switching(const struct switching *what, void (*run)(struct switch_thread *))
{
	struct switch_thread threads[SWITCH_THREADS];
	int i;

	MUST(what->threads <= SWITCH_THREADS, "%d threads", what->threads);
	MUST(pthread_barrier_init(&switch_barrier, NULL, what->threads) == 0, "barrier");
	for (i = 0; i < what->threads; i++) {
		threads[i] = (struct switch_thread){ .what = what, .run = run, .who = i };
		MUST(pthread_create(&threads[i].id, NULL, switch_thread_main, &threads[i]) == 0,
		     "pthread_create");
	}
	for (i = 0; i < what->threads; i++)
		pthread_join(threads[i].id, NULL);
}

/* One CPU, and all threads wait for each other: each round switches through all. */
static inline void switch_by_barrier(struct switch_thread *t)
{
	long sleeps, forced;
	int round;

	pin(0);
	for (round = 0; round < 40; round++) {
		t->what->check(t->who, "before giving up the CPU");
		pthread_barrier_wait(&switch_barrier);
		t->what->check(t->who, "switched to another thread and back");
	}
	thread_switches(&sleeps, &forced);
	MUST(sleeps + forced >= 20, "thread %d was switched %ld times in 40 rounds",
	     t->who, sleeps + forced);
}

/* One CPU, nobody gives it up: the timer switches, between any two instructions. */
static inline void switch_by_preemption(struct switch_thread *t)
{
	struct timespec now, end;
	long sleeps, forced;

	pin(0);
	pthread_barrier_wait(&switch_barrier);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 10;
	do {
		t->what->check(t->who, "preempted");
		thread_switches(&sleeps, &forced);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (forced < 8 && now.tv_sec < end.tv_sec);
	/* The last thread left has nobody to switch to. */
	pthread_barrier_wait(&switch_barrier);
	MUST(forced >= 1, "thread %d was never preempted", t->who);
}

/* Each thread moves to the other CPU and back, where the others also are. */
static inline void switch_by_migration(struct switch_thread *t)
{
	int round;

	for (round = 0; round < 30; round++) {
		int cpu = (round + t->who) & 1;

		pin(cpu);
		MUST(sched_getcpu() == cpu, "on CPU %d", cpu);
		t->what->check(t->who, cpu ? "moved to CPU 1" : "moved to CPU 0");
	}
}

/* Alone on its CPU and asleep: the idle task runs, and has a state of its own. */
static inline void switch_through_idle(struct switch_thread *t)
{
	struct timespec now, end, nap = { .tv_nsec = 3000000 };
	long sleeps, forced, before;

	pin(t->who & 1);
	thread_switches(&before, &forced);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 10;
	/* A vCPU that is late wakes the thread before it sleeps: that is no switch. */
	do {
		nanosleep(&nap, NULL);
		t->what->check(t->who, "woken");
		thread_switches(&sleeps, &forced);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (sleeps - before < 10 && now.tv_sec < end.tv_sec);
	MUST(sleeps - before >= 10, "thread %d slept %ld times in 10 s", t->who, sleeps - before);
}

static inline void need_two_cpus(void)
{
	MUST(sysconf(_SC_NPROCESSORS_ONLN) >= 2, "this case moves threads between 2 CPUs");
}

#endif
