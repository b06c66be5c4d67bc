/* SPDX-License-Identifier: MIT */
#include "switching.h"

#include <sys/resource.h>

static pthread_barrier_t switch_barrier;

void thread_switches(long *voluntary, long *forced)
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

void run_switching(const struct switching *what, void (*run)(struct switch_thread *))
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

void switch_by_barrier(struct switch_thread *t)
{
	long sleeps, forced;
	int round;

	pin_cpu(0);
	for (round = 0; round < 40; round++) {
		t->what->check(t->who, "before giving up the CPU");
		pthread_barrier_wait(&switch_barrier);
		t->what->check(t->who, "switched to another thread and back");
	}
	thread_switches(&sleeps, &forced);
	NEED(sleeps + forced >= 20, "thread %d was switched %ld times in 40 rounds", t->who,
	     sleeps + forced);
}

void switch_by_preemption(struct switch_thread *t)
{
	struct timespec now, end;
	long sleeps, forced;

	pin_cpu(0);
	pthread_barrier_wait(&switch_barrier);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 10;
	do {
		t->what->check(t->who, "preempted");
		thread_switches(&sleeps, &forced);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (forced < 8 && now.tv_sec < end.tv_sec);
	/* Without the barrier the last thread would have no other to be switched to. */
	pthread_barrier_wait(&switch_barrier);
	NEED(forced >= 1, "thread %d was never preempted", t->who);
}

void switch_by_migration(struct switch_thread *t)
{
	int round;

	for (round = 0; round < 30; round++) {
		int cpu = (round + t->who) & 1;

		pin_cpu(cpu);
		MUST(sched_getcpu() == cpu, "on CPU %d", cpu);
		t->what->check(t->who, cpu ? "moved to CPU 1" : "moved to CPU 0");
	}
}

void switch_through_idle(struct switch_thread *t)
{
	struct timespec now, end, nap = { .tv_nsec = 3000000 };
	long sleeps, forced, before;

	pin_cpu(t->who & 1);
	thread_switches(&before, &forced);
	clock_gettime(CLOCK_MONOTONIC, &end);
	end.tv_sec += 10;
	/* On a late vCPU the timer expires before the thread sleeps: no switch is counted. */
	do {
		nanosleep(&nap, NULL);
		t->what->check(t->who, "woken");
		thread_switches(&sleeps, &forced);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (sleeps - before < 10 && now.tv_sec < end.tv_sec);
	NEED(sleeps - before >= 10, "thread %d slept %ld times in 10 s", t->who, sleeps - before);
}
