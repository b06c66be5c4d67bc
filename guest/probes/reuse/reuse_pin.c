/* SPDX-License-Identifier: MIT */
/*
 * probe: reuse_pin
 * needs: CONFIG_ARM64_MTE_TAG_STORAGE CONFIG_SWAP CONFIG_PROC_PAGE_MONITOR
 * disk: yes
 * timeout: 300
 *
 * Data in tag storage that cannot be moved for now, because a pipe holds references to it
 * (vmsplice(2) pins without FOLL_LONGTERM), does not keep other pages from becoming
 * tagged: the kernel uses another frame for them. No process is killed, and no data is
 * lost. mm/memory_metadata.c alloc_stored_folio(), mm/memory.c folio_prealloc_copy(). For
 * pages that cannot use another frame see reuse_pin_waits.
 */
#include <sys/uio.h>

#include "pin.h"
#include "reuse_data.h"

#define PIPE_PAGES 256
#define PIPES	   8
#define TAGGED	   2048

static int pipes[PIPES][2];
static size_t pinned;

/* Pins every fourth of the pages that it is called for, until the pipes are full. */
static bool pin_fourth(char *page)
{
	int *fds = pipes[pinned / PIPE_PAGES];
	static unsigned int count;

	if (count++ % 4)
		return true;

	if (pinned % PIPE_PAGES == 0)
		MUST(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0 &&
			     fcntl(fds[1], F_SETPIPE_SZ, PIPE_PAGES * PAGE) >= 0,
		     "pipe");
	pin_page(fds[1], page);
	return ++pinned < PIPES * PIPE_PAGES;
}

/* Pins pages of [p, p + len) that are in tag storage. */
static void pin_storage(char *p, size_t len)
{
	reuse_each(p, len, pin_fourth);
	ktap_note("%zu pages of tag storage pinned", pinned);
	NEED(pinned > 256, "too little data in storage");
}

static void unpin(void)
{
	size_t i;

	for (i = 0; i * PIPE_PAGES < pinned; i++) {
		close(pipes[i][0]);
		close(pipes[i][1]);
	}
	pinned = 0;
}

static void tagged_beside_pins(void)
{
	struct reuse before;
	size_t len;
	char *p, *t;

	p = reuse_fill(&before, &len);
	pin_storage(p, len);
	t = mte_map(TAGGED * PAGE);
	pattern_set(t, TAGGED * PAGE, 1);
	reuse_check_tagged(t, TAGGED * PAGE, "beside pinned storage");
	pattern_check(t, TAGGED * PAGE, 1, "beside pinned storage");
	unpin();
	plain_end(p, len, "unpinned");
	munmap(t, TAGGED * PAGE);
	reuse_back_from_swap(&before);
}

static void mprotect_beside_pins(void)
{
	struct reuse before;
	size_t len, i, part;
	char *p;

	p = reuse_fill(&before, &len);
	pin_storage(p, len);
	/* The pages that were filled first are not in tag storage, so none of them is pinned. */
	part = 32UL << 20;
	NEED(reuse_in_storage(p, part) == 0, "pages that were filled first are in tag storage");
	MUST(mprotect(p, part, PROT_READ | PROT_WRITE | PROT_MTE) == 0, "mprotect");
	for (i = 0; i < part; i += 16 * PAGE) {
		CHECK_EQ(*(uint64_t *)(p + i), (uintptr_t)p + i, "data of page %zu", i / PAGE);
		reuse_check_tagged(p + i, PAGE, "mprotect beside pinned storage");
	}
	unpin();
	plain_end(p, len, "unpinned");
	reuse_back_from_swap(&before);
}

static void write_in_child(char *t)
{
	touch_write(t, TAGGED * PAGE);
	pattern_check(t, TAGGED * PAGE, 2, "the child's copy");
}

static void fork_beside_pins(void)
{
	struct reuse before;
	size_t len;
	char *p, *t;

	reuse_need();
	swap_disk();
	before = reuse_check("before");
	t = mte_map(TAGGED * PAGE);
	pattern_set(t, TAGGED * PAGE, 2);
	p = plain_memory(&len);
	pin_storage(p, len);
	run_child(write_in_child, t);
	pattern_check(t, TAGGED * PAGE, 2, "the parent's");
	unpin();
	plain_end(p, len, "unpinned");
	munmap(t, TAGGED * PAGE);
	reuse_back_from_swap(&before);
}

PROBE(CASE_SECONDS(tagged_beside_pins, 90), CASE_SECONDS(mprotect_beside_pins, 90),
      CASE_SECONDS(fork_beside_pins, 90));
