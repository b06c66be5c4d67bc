/* SPDX-License-Identifier: MIT */
/*
 * Fills all but 48 MiB of the free memory with data, says so on a line, and keeps it.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128], *p;
	long kb = 0;

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "MemFree: %ld", &kb) != 1)
		;
	kb -= 48 << 10;
	if (kb <= 0)
		return 1;
	p = mmap(NULL, kb << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 1;
	memset(p, 0xa5, kb << 10);
	printf("%d %ld\n", getpid(), kb);
	fflush(stdout);
	for (;;)
		pause();
}
