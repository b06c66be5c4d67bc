/* SPDX-License-Identifier: MIT */
/* Pinning: a thread to a CPU, pages to their frames. */
#ifndef MTE_HARNESS_PIN_H
#define MTE_HARNESS_PIN_H

#include <sched.h>

/*
 * Runs this thread on one CPU only. Free pages wait in per-CPU lists, so "freed here,
 * allocated here" holds on one CPU only.
 */
void pin_cpu(int cpu);

/* Ends the case as failed unless there are two CPUs to move threads between. */
void need_two_cpus(void);

/*
 * Puts the page at `page` into a pipe with vmsplice(): the pipe keeps the page's frame,
 * so that the page cannot be migrated, until it is read or closed.
 */
void pin_page(int pipe, void *page);

#endif
