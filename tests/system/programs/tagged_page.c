/* SPDX-License-Identifier: MIT */
/*
 * A page with known tags, for a test on the host that reads and changes them from
 * outside: prints process and address; at SIGUSR1 prints the tags that it then finds.
 */
#include "mte.h"

int main(void)
{
	unsigned char *page = mte_map(PAGE);
	sigset_t set;
	int signal;
	size_t i;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (i = 0; i < GRANULES_PER_PAGE; i++)
		stg(page + i * GRANULE, i * 7 + 3);
	memset(page, 0x5a, PAGE);
	printf("%d %p\n", getpid(), page);
	fflush(stdout);
	sigwait(&set, &signal);
	for (i = 0; i < GRANULES_PER_PAGE; i++)
		printf("%x", ldg(page + i * GRANULE));
	printf("\n");
	return 0;
}
