/* SPDX-License-Identifier: MIT */
/*
 * Threads that the scheduler switches in each way that it has, while each thread keeps
 * checking its own MTE state. A probe supplies `setup` and `check`; the functions here
 * prove with getrusage() that the switches really happened, and end the case as untested if
 * they did not.
 */
#ifndef MTE_HARNESS_SWITCHING_H
#define MTE_HARNESS_SWITCHING_H

#include <pthread.h>

#include "modes.h"
#include "pin.h"

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

/* Voluntary and forced context switches of this thread so far. */
void thread_switches(long *voluntary, long *forced);

/* Starts the threads, each of which runs setup() and then `run`, one of those below. */
void run_switching(const struct switching *what, void (*run)(struct switch_thread *));

/* On one CPU, all threads wait for each other: each round switches to each of them. */
void switch_by_barrier(struct switch_thread *t);

/* On one CPU that no thread gives up: the timer preempts between any two instructions. */
void switch_by_preemption(struct switch_thread *t);

/* Each thread migrates to the other CPU and back, while the others do the same. */
void switch_by_migration(struct switch_thread *t);

/* Each thread sleeps, alone on its CPU: the idle task runs, with its own MTE state. */
void switch_through_idle(struct switch_thread *t);

#endif
