/* SPDX-License-Identifier: MIT */
/*
 * probe: migrate_race
 * needs: CONFIG_MIGRATION CONFIG_MEMORY_FAILURE CONFIG_PROC_PAGE_MONITOR
 * destructive: yes
 * timeout: 60
 *
 * A thread sets tags of pages while they migrate: no tag store between the copy and the
 * new mapping is lost. The page must be unmapped, and TLBs flushed, before its tags are
 * copied. The thread keeps a model of the tags, and compares each granule with it before
 * and after each store; the main thread compares all of them at the end.
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

/* Checks granule after granule against the model, and gives it another tag. */
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
		g = (g + 61) % (LEN / GRANULE); /* the next granule is on another page */
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
	CHECK_EQ(lost, 0, "tags that differed while %zu were stored", stores);
	CHECK_EQ(bad, 0, "wrong tags at the end");
	NEED(stores > LEN / GRANULE, "only %zu stores", stores);
}

static void private_memory(void)
{
	mte_need();
	memory = mte_map(LEN);
	race();
}

static void memfd(void)
{
	mte_need();
	memory = map_file(memory_file(LEN), LEN, PROT_RW_MTE, MAP_SHARED);
	race();
}

PROBE(CASE_SECONDS(private_memory, 20), CASE_SECONDS(memfd, 20));
