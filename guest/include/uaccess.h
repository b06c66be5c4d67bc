/* SPDX-License-Identifier: MIT */
/*
 * The kernel's accesses to user memory: system calls whose buffer ends right before a
 * granule of another tag, or reaches into it.
 *
 * In synchronous mode these accesses are checked, and a mismatch makes the system call
 * fail with EFAULT or return a short count. In asynchronous mode and in mode none they
 * are not checked (arch/arm64/include/asm/mte.h mte_disable_tco_entry()). A copy that
 * faults must copy at least one byte if it can, and must not report bytes as copied that
 * it did not copy (include/linux/uaccess.h).
 */
#ifndef MTE_HARNESS_UACCESS_H
#define MTE_HARNESS_UACCESS_H

#include "fault.h"

/* --- a wall: a granule of tag BAD behind memory of tag GOOD --------------- */

enum { WALL_PAGES = 4, WALL_FILL = 0x55 };

extern unsigned char *wall_area; /* WALL_PAGES pages, pointer tag GOOD */
extern unsigned char *wall; /* the mismatching granule, pointer tag GOOD */

/*
 * Puts the wall at `offset` (a multiple of 16) of new pages of tag GOOD. The memory
 * behind the wall matches again, so an access that skips the wall does not fault.
 */
void wall_build(size_t offset);

/* memset() and memcpy() with tag checks off (PSTATE.TCO). */
void unchecked_fill(void *p, int byte, size_t len);

void unchecked_copy(void *to, const void *from, size_t len);

/* Index of the first of `len` bytes that is not `byte`, or len. Tag checks are off. */
size_t first_not(const unsigned char *p, int byte, size_t len);

/* Index of the first byte at which a and b differ, or len. Tag checks are off. */
size_t first_difference(const unsigned char *a, const unsigned char *b, size_t len);

/* --- system calls that take one pointer ----------------------------------- */

struct pointer_call {
	const char *name;
	size_t size; /* bytes that the kernel accesses at the pointer */
	long (*call)(void *p); /* makes the system call; returns its result or -errno */
	void (*fill)(void *p); /* writes what the call reads; NULL if the kernel writes */
	size_t align; /* of the pointer; 0 is any */
};

/*
 * Defines call_NAME() of a table of calls: SIMPLE_CALL(uname, uname, p) makes one system
 * call with the pointer p, POINTER_CALL(pipe2) is followed by a body.
 */
#define POINTER_CALL(name) static long call_##name(void *p)
#define SIMPLE_CALL(name, nr, ...)           \
	POINTER_CALL(name)                   \
	{                                    \
		return SYS(nr, __VA_ARGS__); \
	}

/* Checks each call with its memory matching, mismatching, before and across the wall. */
void check_pointer_calls(const struct pointer_call *calls, size_t count);

#define CHECK_POINTER_CALLS(calls) check_pointer_calls(calls, ARRAY_SIZE(calls))

#endif
