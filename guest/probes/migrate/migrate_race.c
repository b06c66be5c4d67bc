/* SPDX-License-Identifier: MIT */
/*
 * probe: migrate_race
 * needs: CONFIG_MIGRATION CONFIG_MEMORY_FAILURE CONFIG_PROC_PAGE_MONITOR
 * timeout: 60
 *
 * A thread tags pages while they migrate: no tag store is lost between the copy
 * and the new mapping (the page must be unmapped, and TLBs flushed, before its
 * tags are copied). The thread keeps a model of the tags; it is compared at the end
 * and, page by page, after each move.
 */

#include <pthread.h>

#include "pin.h"
#include "thp.h"

#define PAGES 8
#define LEN   (PAGES * PAGE)
#define MOVES 40

static char *memory;
static unsigned char model[LEN / GRANULE];
static volatile bool stop;
static size_t lost, stores;

/* Each round checks a granule against the model, and gives it the next tag. */
static void *store_tags(void *unused)
{
	size_t g = 0;

	pin_cpu(1 % sysconf(_SC_NPROCESSORS_ONLN));
	while (!stop) {
		char *at = memory + g * GRANULE;

		lost += ldg(at) != model[g];
		model[g] = (model[g] + 1 + g % 3) & 0xf;
		stg(at, model[g]);
		lost += ldg(at) != model[g];
		stores++;
		g = (g + 61) % (LEN / GRANULE); /* hops from page to page */
	}
	return unused;
}

static void race(void)
{
	pthread_t thread;
	size_t g, bad = 0;
	int i;

	memset(memory, 1, LEN);
	pin_cpu(0);
	MUST(pthread_create(&thread, NULL, store_tags, NULL) == 0, "pthread_create");
	for (i = 0; i < MOVES; i++)
		move_page(memory + i % PAGES * PAGE);
	stop = true;
	pthread_join(thread, NULL);
	for (g = 0; g < LEN / GRANULE; g++)
		bad += ldg(memory + g * GRANULE) != model[g];
	CHECK(stores > LEN / GRANULE, "only %zu stores", stores);
	CHECK_EQ(lost, 0, "tags that differed while %zu were stored", stores);
	CHECK_EQ(bad, 0, "wrong tags at the end");
}

static void private_memory(void)
{
	mte_need();
	memory = mte_map(LEN);
	race();
}

static void memfd(void)
{
	int fd = memfd_create("race", 0);

	mte_need();
	MUST(fd >= 0 && ftruncate(fd, LEN) == 0, "memfd");
	memory = mmap(NULL, LEN, PROT_RW_MTE, MAP_SHARED, fd, 0);
	MUST(memory != MAP_FAILED, "mmap");
	race();
}

PROBE(CASE_SECONDS(private_memory, 20), CASE_SECONDS(memfd, 20));
