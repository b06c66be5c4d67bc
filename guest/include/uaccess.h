/* SPDX-License-Identifier: MIT */
/*
 * The kernel's accesses to user memory on a thread's behalf: system calls given
 * a buffer that lies up against, or reaches into, a granule of another tag.
 *
 * In synchronous mode these accesses are checked and end in EFAULT or a short
 * count; in asynchronous mode and with none they are not checked at all
 * (arch/arm64/include/asm/mte.h mte_disable_tco_entry()). include/linux/
 * uaccess.h says what a copy that faults may leave: at least one byte if one
 * can be had, and no byte claimed that was not copied.
 */
#ifndef MTE_HARNESS_UACCESS_H
#define MTE_HARNESS_UACCESS_H

#include "fault.h"		/* needs _GNU_SOURCE before any #include */

/* --- a wall: bytes of tag GOOD, then a granule of tag BAD ------------------ */

enum { WALL_PAGES = 4, WALL_FILL = 0x55 };

static unsigned char *wall_area __attribute__((unused));	/* WALL_PAGES pages, pointer tag GOOD */
static unsigned char *wall __attribute__((unused));		/* the mismatching granule, tag GOOD */

/*
 * Puts the wall at `offset` (a multiple of 16) of fresh pages of tag GOOD. What
 * follows it matches again: an access past the wall would not fault there.
 */
static inline void wall_build(size_t offset)
{
	wall_area = good_pages(WALL_PAGES);
	wall = wall_area + offset;
	stg(wall, BAD);
}

/* Plain memory access whatever the tags are. */
static inline void unchecked_fill(void *p, int byte, size_t len)
{
	set_tco(1);
	memset(p, byte, len);
	set_tco(0);
}

static inline void unchecked_copy(void *to, const void *from, size_t len)
{
	set_tco(1);
	memcpy(to, from, len);
	set_tco(0);
}

/* The first of `len` bytes that is not `byte`, or len. Unchecked. */
static inline size_t first_not(const unsigned char *p, int byte, size_t len)
{
	size_t i;

	set_tco(1);
	for (i = 0; i < len && p[i] == byte; i++)
		;
	set_tco(0);
	return i;
}

/* The first byte at which they differ, or len. Unchecked. */
static inline size_t first_difference(const unsigned char *a, const unsigned char *b, size_t len)
{
	size_t i;

	set_tco(1);
	for (i = 0; i < len && a[i] == b[i]; i++)
		;
	set_tco(0);
	return i;
}

/* --- system calls that take one pointer ------------------------------------ */

struct pointer_call {
	const char *name;
	size_t size;			/* bytes the kernel accesses at the pointer */
	long (*call)(void *p);		/* makes the system call; -errno as the kernel gives it */
	void (*fill)(void *p);		/* what the call reads there; NULL: the kernel writes it */
	size_t align;			/* of the pointer; 0 is any */
};

static inline long run_pointer_call(const struct pointer_call *c, void *p)
{
	set_tco(1);
	memset(wall_area, WALL_FILL, WALL_PAGES * PAGE);
	if (c->fill)
		c->fill(p);
	set_tco(0);
	return c->call(p);
}

static inline void check_untouched(const struct pointer_call *c, const unsigned char *from, size_t len,
				   const char *when)
{
	size_t at = c->fill ? len : first_not(from, WALL_FILL, len);

	CHECK(at == len, "%s, %s: the kernel wrote byte %zu of memory that mismatches", c->name, when, at);
}

/*
 * One call in all its positions: wholly in memory that matches or not, ending
 * right before the wall, and reaching over it with the last byte only.
 */
static inline void check_pointer_call(const struct pointer_call *c)
{
	size_t step = c->align ? c->align : 1;
	unsigned char *p = wall_area + PAGE;	/* far from the wall */
	long result;

	mte_mode(TCF_SYNC);
	result = run_pointer_call(c, p);
	CHECK(result >= 0, "%s, tags match: expected success, saw %ld", c->name, result);
	CHECK_EQ(run_pointer_call(c, with_tag(p, BAD)), -EFAULT, "%s, tags differ", c->name);
	check_untouched(c, p, WALL_PAGES * PAGE - PAGE, "tags differ");

	result = run_pointer_call(c, wall - c->size);
	CHECK(result >= 0, "%s, ends right before a mismatch: expected success, saw %ld", c->name, result);
	check_untouched(c, wall, PAGE, "ends right before a mismatch");
	if (c->size > step) {
		CHECK_EQ(run_pointer_call(c, wall - c->size + step), -EFAULT,
			 "%s, last %zu of %zu bytes mismatch", c->name, step, c->size);
		check_untouched(c, wall, PAGE, "last bytes mismatch");
	}
	CHECK_EQ(fault.count, 0, "%s: signals", c->name);

	mte_mode(TCF_ASYNC);
	result = run_pointer_call(c, with_tag(p, BAD));
	CHECK(result >= 0, "%s, tags differ, async: expected success, saw %ld", c->name, result);
	CHECK(c->fill || first_not(p, WALL_FILL, c->size) < c->size,
	      "%s, tags differ, async: the kernel wrote nothing", c->name);
	kernel_entry();
	mte_mode(TCF_NONE);
	result = run_pointer_call(c, with_tag(p, BAD));
	CHECK(result >= 0, "%s, tags differ, mode none: expected success, saw %ld", c->name, result);
	CHECK_EQ(fault.count, 0, "%s: signals", c->name);
}

static inline void check_pointer_calls(const struct pointer_call *calls, size_t count)
{
	size_t i;

	mte_need();
	catch_signal(SIGSEGV, 0);
	wall_build(2 * PAGE - GRANULE);
	for (i = 0; i < count; i++)
		check_pointer_call(&calls[i]);
}

#define CHECK_POINTER_CALLS(calls) \
	check_pointer_calls(calls, sizeof(calls) / sizeof((calls)[0]))

#endif
