/* SPDX-License-Identifier: MIT */
/*
 * probe: pressure
 * needs: CONFIG_ARM64_MTE CONFIG_SWAP CONFIG_COMPACTION CONFIG_PROC_PAGE_MONITOR
 * disk: yes
 * timeout: 200
 *
 * Several processes fill memory with tagged and untagged data, in changing proportions. Every
 * byte and every tag must be kept over fork and copy-on-write, mprotect(), munmap(),
 * MADV_DONTNEED, swap and compaction. Data and tags of a page follow from its address and
 * the generation of its content; they are checked all the time, and once more at the end.
 *
 *	--seed N	another sequence; with the same seed each process does the same
 *	--seconds N	how long to work (12)
 *	--tags BASE:SIZE:STORAGE
 *			a region of memory and where the machine keeps its tags, repeatable:
 *			reports of wrong pages then have the address of their tags, and --hold
 *			prints how many pages of data were seen in tag storage
 *	--hold		at the end prints "hold PID ADDRESS RECORDS" and keeps all memory, and
 *			a table of its pages (struct record, host.c), until it is killed
 *
 * Parts: pressure/oracle.c (what a page must have), pressure/workload.c (what the processes
 * do), pressure/host.c (--tags and --hold).
 */
#include <getopt.h>
#include <sys/personality.h>

#include "pressure/pressure.h"

struct pressure *run;
unsigned long seed = 1, seconds = 12;
bool hold;
size_t budget;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Whether no worker has ended yet. */
static bool still_working(const pid_t *workers)
{
	siginfo_t info = { 0 };
	int i;

	for (i = 0; i < WORKERS; i++)
		if (waitid(P_PID, workers[i], &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid)
			return false;
	return true;
}

static void under_pressure(void)
{
	pid_t workers[WORKERS];
	uint64_t operations = 0;
	double start;
	int i;

	mte_need();
	swap_disk();
	run = map_file(-1, sizeof(*run), PROT_RW, MAP_SHARED | MAP_ANONYMOUS);
	/* Nearly all memory: children and page tables then cause some swapping, but little. */
	budget = meminfo_kb("MemAvailable") / (PAGE / 1024) * 98 / 100 / WORKERS;
	if (hold)
		table_allocate();
	for (i = 0; i < WORKERS; i++) {
		workers[i] = child_fork();
		if (workers[i] == 0) {
			work(i);
			_exit(0);
		}
	}
	/* A worker that ends early has failed: then stop waiting. */
	while (run->full < WORKERS && still_working(workers))
		usleep(10000);
	for (start = now(); now() - start < seconds && still_working(workers);)
		usleep(10000);
	run->stop = 1;
	while (hold && run->held < WORKERS && still_working(workers))
		usleep(10000);
	MUST(!hold || run->held == WORKERS, "a worker ended early: nothing to hold");
	if (hold)
		table_publish();
	for (i = 0; i < WORKERS; i++) {
		wait_child(workers[i]);
		operations += run->operations[i];
	}
	CHECK_EQ(run->wrong_data, 0, "pages with wrong data");
	CHECK_EQ(run->wrong_tags, 0, "pages with wrong tags");
	for (i = 0; i < WORKERS; i++)
		NEED(run->operations[i] > 0, "worker %d did nothing", i);
	ktap_note("seed %lu: %llu operations", seed, (unsigned long long)operations);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "seed", required_argument, NULL, 'r' },
						 { "seconds", required_argument, NULL, 's' },
						 { "tags", required_argument, NULL, 't' },
						 { "hold", no_argument, NULL, 'h' },
						 {} };
	struct probe_case cases[] = { CASE(under_pressure) };
	int option;

	/* Data and tags depend on addresses, which must be the same each time. */
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE)) {
		personality(ADDR_NO_RANDOMIZE);
		execv("/proc/self/exe", argv);
	}
	while ((option = getopt_long(argc, argv, "l", options, NULL)) != -1) {
		switch (option) {
		case 'r':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seconds = strtoul(optarg, NULL, 0);
			break;
		case 't':
			add_region(optarg);
			break;
		case 'h':
			hold = true;
			break;
		case 'l':
			puts(cases[0].name);
			return 0;
		default:
			return 2;
		}
	}
	/* Filling memory and the last check take long; --hold has no end. */
	cases[0].seconds = hold ? 1 << 20 : seconds + 150;
	return probe_main(1, argv, cases, 1);
}
