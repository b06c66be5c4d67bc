/* SPDX-License-Identifier: MIT */
#include "uaccess.h"

unsigned char *wall_area;
unsigned char *wall;

void wall_build(size_t offset)
{
	wall_area = good_pages(WALL_PAGES);
	wall = wall_area + offset;
	stg(wall, BAD);
}

void unchecked_fill(void *p, int byte, size_t len)
{
	set_tco(1);
	memset(p, byte, len);
	set_tco(0);
}

void unchecked_copy(void *to, const void *from, size_t len)
{
	set_tco(1);
	memcpy(to, from, len);
	set_tco(0);
}

size_t first_not(const unsigned char *p, int byte, size_t len)
{
	size_t i;

	set_tco(1);
	for (i = 0; i < len && p[i] == byte; i++)
		;
	set_tco(0);
	return i;
}

size_t first_difference(const unsigned char *a, const unsigned char *b, size_t len)
{
	size_t i;

	set_tco(1);
	for (i = 0; i < len && a[i] == b[i]; i++)
		;
	set_tco(0);
	return i;
}

static long run_pointer_call(const struct pointer_call *c, void *p)
{
	set_tco(1);
	memset(wall_area, WALL_FILL, WALL_PAGES * PAGE);
	if (c->fill)
		c->fill(p);
	set_tco(0);
	return c->call(p);
}

static void check_untouched(const struct pointer_call *c, const unsigned char *from, size_t len,
			    const char *when)
{
	size_t at = c->fill ? len : first_not(from, WALL_FILL, len);

	CHECK(at == len, "%s, %s: the kernel wrote byte %zu of memory that mismatches", c->name,
	      when, at);
}

/*
 * Checks one call with its memory wholly matching, wholly mismatching, ending right
 * before the wall, and with only its last bytes in the wall.
 */
static void check_pointer_call(const struct pointer_call *c)
{
	size_t step = c->align ? c->align : 1;
	unsigned char *p = wall_area + PAGE; /* far from the wall */
	long result;

	mte_mode(TCF_SYNC);
	result = run_pointer_call(c, p);
	CHECK(result >= 0, "%s, tags match: expected success, saw %ld", c->name, result);
	CHECK_EQ(run_pointer_call(c, with_tag(p, BAD)), -EFAULT, "%s, tags differ", c->name);
	check_untouched(c, p, WALL_PAGES * PAGE - PAGE, "tags differ");

	result = run_pointer_call(c, wall - c->size);
	CHECK(result >= 0, "%s, ends right before a mismatch: expected success, saw %ld", c->name,
	      result);
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
	CHECK(result >= 0, "%s, tags differ, mode none: expected success, saw %ld", c->name,
	      result);
	CHECK_EQ(fault.count, 0, "%s: signals", c->name);
}

void check_pointer_calls(const struct pointer_call *calls, size_t count)
{
	size_t i;

	mte_need();
	catch_signal(SIGSEGV, 0);
	wall_build(2 * PAGE - GRANULE);
	for (i = 0; i < count; i++)
		check_pointer_call(&calls[i]);
}
