/* SPDX-License-Identifier: MIT */
/* The parts of the pressure probe: oracle.c, workload.c and host.c; pressure.c has the case. */
#ifndef MTE_HARNESS_PRESSURE_H
#define MTE_HARNESS_PRESSURE_H

#include "swap.h"
#include "thp.h"

enum { WORKERS = 4, SLOT_PAGES = 1024 };

/* Shared by all processes of a run. */
struct pressure {
	volatile int stop;
	volatile int reported[2]; /* pages with wrong tags, with wrong data */
	volatile uint64_t wrong_tags, wrong_data, in_storage, operations[WORKERS];
	volatile uint32_t records;
	/* How many workers have all their memory, have stopped, have written their records. */
	volatile int full, stopped, held;
};
extern struct pressure *run;

extern unsigned long seed, seconds;
extern bool hold;
extern size_t budget; /* pages of one worker */

/* Memory of a worker, up to SLOT_PAGES pages. */
struct slot {
	unsigned char *at; /* NULL: the slot is free */
	size_t pages;
	uint32_t generation; /* of its content */
	bool tagged, shared;
};

/* --- oracle.c: what data and tags a page must have ------------------------ */

/* Kinds of wrong pages; TAGGED and these are the flags of a record. */
enum { TAGGED = 1, WRONG_TAGS = 2, WRONG_DATA = 4 };

void fill_page(unsigned char *page, uint32_t generation, bool tagged);

/* Sets the tags of a page, and leaves its data. */
void tag_page(unsigned char *page, uint32_t generation);

/* Checks a page; counts and reports what is wrong. Returns WRONG_... flags. */
uint32_t check_page(unsigned char *page, uint32_t generation, bool tagged);

/* Counts a page with `count` wrong words or tags, and reports the first pages of a kind. */
void report_wrong(int kind, const void *page, uint32_t generation, const char *what,
		  unsigned int count, unsigned int offset, uint64_t want, uint64_t got);

/* --- workload.c: what a worker does --------------------------------------- */

/* Runs worker `number` until run->stop; never returns with --hold. */
void work(int number);

/* --- host.c: the protocol with the harness on the host -------------------- */

/* Parses BASE:SIZE:STORAGE of --tags; exits with status 2 if it is malformed. */
void add_region(const char *text);
bool have_regions(void);

/* The address of the tags of a page frame; 0 if it is in no region. */
uint64_t storage_of(uint64_t pfn);

/* The first page frame whose tags are in this one; 0 if it is not tag storage. */
uint64_t stored_in(uint64_t pfn);

/* Allocates the table of --hold, with room for all pages. */
void table_allocate(void);

/* Keeps the pages of a slot in their frames, and writes a record for each. */
void table_add(struct slot *s);

/* Prints what the host waits for, and keeps memory and table until the process is killed. */
void table_publish(void);

#endif
