/* SPDX-License-Identifier: MIT */
#include "taggable.h"

void taggable_check(char *p, size_t len, const char *what)
{
	CHECK(smaps_flag(p, "mt"), "%s: no VM_MTE", what);
	pattern_set(p, len, 1);
	pattern_check(p, len, 1, what);
}

void untaggable_check(int flags, int fd, int prot, size_t len, const char *what)
{
	char *p;

	mte_need();
	errno = 0;
	p = mmap(NULL, len, prot | PROT_MTE, flags, fd, 0);
	CHECK(p == MAP_FAILED, "%s: mmap(PROT_MTE) was allowed", what);
	CHECK_EQ(errno, EINVAL, "%s: errno of mmap(PROT_MTE)", what);
	p = mmap(NULL, len, prot, flags, fd, 0);
	MUST(p != MAP_FAILED, "%s: mmap()", what);
	errno = 0;
	CHECK_EQ(mprotect(p, len, prot | PROT_MTE), -1, "%s: mprotect(PROT_MTE)", what);
	CHECK_EQ(errno, EINVAL, "%s: errno of mprotect(PROT_MTE)", what);
	CHECK(!smaps_flag(p, "mt"), "%s: VM_MTE after a refused mprotect()", what);
	touch_read(p, len);
}
