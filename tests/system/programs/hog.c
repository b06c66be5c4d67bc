/* SPDX-License-Identifier: MIT */
/*
 * Fills all but 48 MiB of the free memory with data, says so on a line, and keeps it.
 *
 * One page of each 2 MiB of the first half has tags. They are spread over memory, and so is
 * their storage; the data of the second half come after them.
 */
#include "mte.h"

#define STRIDE ((size_t)2 << 20)

int main(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128], *p;
	size_t length, i;
	long kb = 0;

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "MemFree: %ld", &kb) != 1)
		;
	kb -= 48 << 10;
	if (kb <= 0)
		return 1;
	length = (size_t)kb << 10;
	p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 1;
	for (i = 0; i < length / 2; i += STRIDE)
		if (mprotect(p + i, PAGE, PROT_READ | PROT_WRITE | PROT_MTE))
			return 1;
	memset(p, 0xa5, length);
	printf("%d\n", getpid());
	fflush(stdout);
	for (;;)
		pause();
}
