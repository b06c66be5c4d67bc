/* SPDX-License-Identifier: MIT */
/*
 * A tracee: a child whose tags the case reads and writes with ptrace().
 *
 * The tracee is a fork of the case and has the same code, so that it can run any function
 * of the probe: tracee_run(). It is stopped before and after.
 *
 * Requests: Documentation/arch/arm64/memory-tagging-extension.rst, "The
 * ptrace() interface"; arch/arm64/kernel/mte.c mte_ptrace_copy_tags().
 */
#ifndef MTE_HARNESS_PTRACE_MTE_H
#define MTE_HARNESS_PTRACE_MTE_H

#include <sys/ptrace.h>
#include <sys/uio.h>

#include "child.h"
#include "procfs.h"

#ifndef PTRACE_PEEKMTETAGS
#define PTRACE_PEEKMTETAGS 33
#define PTRACE_POKEMTETAGS 34
#endif
#ifndef NT_ARM_TAGGED_ADDR_CTRL
#define NT_ARM_TAGGED_ADDR_CTRL 0x409
#endif

/* Shared with the tracees: addresses and results of the functions that they run. */
extern struct tracee_shared {
	void (*job)(void);
	char *mem; /* memory of the tracee */
	size_t len;
	long value[4];
} *tracee;

/* Starts a tracee; it is stopped. */
pid_t tracee_start(void);

/*
 * Lets the tracee run `job`; returns when it has stopped again. A NEED() of the job that does
 * not hold ends the case as untested.
 */
void tracee_run(pid_t pid, void (*job)(void));

/* Kills the tracee. */
void tracee_end(pid_t pid);

/*
 * Maps PROT_MTE pages, with an unmapped page behind them, such that no two neighbours are
 * in consecutive frames: a transfer that wrongly runs over the end of a page's frame then
 * accesses a frame of some other page. Called by the tracee.
 */
char *scattered_map(size_t pages);

/*
 * Makes one request; returns 0 or -errno. *count is iov_len before and after it; the
 * kernel changes iov_len only on success.
 */
int mte_request(long request, pid_t pid, const void *addr, void *buf, size_t *count);

/* mte_request() with PTRACE_PEEKMTETAGS and PTRACE_POKEMTETAGS. */
int peek_tags(pid_t pid, const void *addr, void *buf, size_t *count);
int poke_tags(pid_t pid, const void *addr, void *buf, size_t *count);

/* Pokes `count` tags; ends the case if not all were transferred. */
void must_poke(pid_t pid, const void *addr, const void *tags, size_t count);

/*
 * Peeks `count` tags; checks that exactly so many were transferred, that they are those
 * of `want` (one tag per byte), and that the bytes around the buffer did not change.
 */
bool check_peek(pid_t pid, const void *addr, const unsigned char *want, size_t count,
		const char *when);

/* The tags of `count` granules of a pattern (pattern.h), from granule `first` on. */
void pattern_tags(unsigned char *tags, size_t count, uint64_t seed, uint64_t first);

#endif
