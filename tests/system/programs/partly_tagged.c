/* SPDX-License-Identifier: MIT */
/*
 * A huge page of which one page is tagged, and not the first: prints process, the
 * address of the huge page and the number of the tagged page, and keeps it.
 */
#include "fault.h"
#include "thp.h"

#define WHICH 5

int main(void)
{
	unsigned char *p = mte_map_aligned(HUGE, HUGE, PROT_RW, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	madvise(p, HUGE, MADV_HUGEPAGE);
	memset(p, 1, HUGE);
	if (mprotect(p + WHICH * PAGE, PAGE, PROT_RW | PROT_MTE))
		return 1;
	stg(p + WHICH * PAGE + 3 * GRANULE, 9);
	printf("%d %p %d\n", getpid(), p, WHICH);
	fflush(stdout);
	pause();
	return 0;
}
