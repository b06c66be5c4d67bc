/* SPDX-License-Identifier: MIT */
/*
 * Measures the cost of the kernel's work on pages in guest instructions: with QEMU's
 * `-icount shift=0` CLOCK_MONOTONIC advances by a nanosecond per instruction. Prints for
 * each operation its name and instructions, the median of several rounds.
 */
#include <sys/wait.h>
#include <time.h>

#include "child.h"
#include "fault.h"
#include "procfs.h"

#define PAGES  2048UL
#define FORKED (64UL << 20)
#define ROUNDS 9
#define PLAIN  (PROT_READ | PROT_WRITE)
#define TAGGED (PLAIN | PROT_MTE)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static char *map(size_t len, int prot)
{
	char *p = mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	madvise(p, len, MADV_NOHUGEPAGE);
	return p;
}

/* Instructions of a write to each `step`th page from `first` on, per page. */
static double touch(char *p, size_t first, size_t step)
{
	double start = now();
	size_t i, n = 0;

	for (i = first; i < PAGES; i += step, n++)
		p[i * PAGE] = 1;
	return (now() - start) / n;
}

static double fault_plain(void)
{
	char *p = map(PAGES * PAGE, PLAIN);
	double cost = touch(p, 0, 1);

	munmap(p, PAGES * PAGE);
	return cost;
}

/* No tag storage is reserved at first: every 32nd page reserves a block. */
static double fault_tagged(void)
{
	char *p = map(PAGES * PAGE, TAGGED);
	double cost = touch(p, 0, 1);

	munmap(p, PAGES * PAGE);
	return cost;
}

/* Every second page is freed and faulted in again: its neighbours keep the storage reserved. */
static double fault_tagged_reserved(void)
{
	char *p = map(PAGES * PAGE, TAGGED);
	double cost;
	size_t i;

	touch(p, 0, 1);
	for (i = 1; i < PAGES; i += 2)
		madvise(p + i * PAGE, PAGE, MADV_DONTNEED);
	cost = touch(p, 1, 2);
	munmap(p, PAGES * PAGE);
	return cost;
}

static double free_of(int prot)
{
	char *p = map(PAGES * PAGE, prot);
	double start;

	touch(p, 0, 1);
	start = now();
	munmap(p, PAGES * PAGE);
	return (now() - start) / PAGES;
}

static double free_plain(void)
{
	return free_of(PLAIN);
}

static double free_tagged(void)
{
	return free_of(TAGGED);
}

static double fork_exit(int prot)
{
	char *p = map(FORKED, prot);
	double start;
	pid_t pid;
	size_t i;

	for (i = 0; i < FORKED; i += PAGE)
		p[i] = 1;
	start = now();
	pid = child_fork();
	if (pid == 0)
		_exit(0);
	wait_child(pid);
	start = now() - start;
	munmap(p, FORKED);
	return start;
}

static double fork_plain(void)
{
	return fork_exit(PLAIN);
}

static double fork_tagged(void)
{
	return fork_exit(TAGGED);
}

/* The child writes to all pages, which copies them. */
static double copy_tagged(void)
{
	char *p = map(PAGES * PAGE, TAGGED);
	int fds[2];
	double cost;
	pid_t pid;

	touch(p, 0, 1);
	if (pipe(fds))
		exit(1);
	pid = child_fork();
	if (pid == 0) {
		cost = touch(p, 0, 1);
		_exit(write(fds[1], &cost, sizeof(cost)) != sizeof(cost));
	}
	if (read(fds[0], &cost, sizeof(cost)) != sizeof(cost))
		exit(1);
	wait_child(pid);
	close(fds[0]);
	close(fds[1]);
	munmap(p, PAGES * PAGE);
	return cost;
}

/* Populated pages become PROT_MTE, and are touched. */
static double mprotect_fault(void)
{
	char *p = map(PAGES * PAGE, PLAIN);
	double start;

	touch(p, 0, 1);
	start = now();
	if (mprotect(p, PAGES * PAGE, TAGGED))
		exit(1);
	touch(p, 0, 1);
	start = (now() - start) / PAGES;
	munmap(p, PAGES * PAGE);
	return start;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void measure(const char *name, double (*what)(void))
{
	double rounds[ROUNDS];
	int i;

	what();
	for (i = 0; i < ROUNDS; i++)
		rounds[i] = what();
	qsort(rounds, ROUNDS, sizeof(*rounds), compare);
	printf("%s %.1f\n", name, rounds[ROUNDS / 2]);
}

/*
 * Populates memory without end, or until `until` of /proc/meminfo is below `left`. `*pages`
 * counts the pages.
 */
static char *fill(volatile long *pages, const char *until, long left)
{
	char *p = mmap(NULL, 1UL << 30, PLAIN, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t i;

	madvise(p, 1UL << 30, MADV_NOHUGEPAGE);
	for (i = 0; i < 1UL << 30; i += PAGE, ++*pages) {
		if (until && i % (1UL << 18) == 0 && read_field("/proc/meminfo", until) < left)
			break;
		p[i] = 1;
	}
	return p;
}

/* Prints the average cost and the worst, which had most data to move or was interrupted. */
static void evict(void)
{
	char *p = map(PAGES * PAGE, TAGGED);
	double start = now(), last = start, worst = 0;
	size_t i;

	for (i = 0; i < PAGES; i++) {
		double before = last;

		p[i * PAGE] = 1;
		last = now();
		worst = last - before > worst ? last - before : worst;
	}
	printf("fault_tagged_evict %.1f\n", (last - start) / PAGES);
	printf("fault_tagged_evict_worst %.0f\n", worst);
}

/* How many KiB a program can populate before the OOM killer kills it; there is no swap. */
static long fill_all(void)
{
	volatile long *pages = mmap(NULL, PAGE, PLAIN, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = child_fork();

	if (pid == 0) {
		FILE *f = fopen("/proc/self/oom_score_adj", "w");

		if (!f || fputs("1000", f) < 0 || fclose(f))
			_exit(1);
		fill(pages, NULL, 0);
		_exit(0);
	}
	wait_child_killed(pid, SIGKILL);
	return *pages * (PAGE / 1024);
}

/*
 * Without an argument: costs of operations. "fill": how much memory a program can populate.
 * "evict": costs of tagged pages while all tag storage holds data.
 */
int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "fill")) {
		printf("filled_kib %ld\n", fill_all());
		return 0;
	}
	if (argc > 1) {
		volatile long pages = 0;

		/* Frees memory that was populated first, which is not tag storage, for tagged pages. */
		munmap(fill(&pages, "MetadataFree", 600), 2 * PAGES * PAGE);
		evict();
		return 0;
	}
	measure("fault_plain", fault_plain);
	measure("fault_tagged_reserved", fault_tagged_reserved);
	measure("fault_tagged", fault_tagged);
	measure("free_plain", free_plain);
	measure("free_tagged", free_tagged);
	measure("copy_tagged", copy_tagged);
	measure("mprotect_fault", mprotect_fault);
	measure("fork_exit_plain", fork_plain);
	measure("fork_exit_tagged", fork_tagged);
	return 0;
}
