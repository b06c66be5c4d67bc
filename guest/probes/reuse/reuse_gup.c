/* SPDX-License-Identifier: MIT */
/*
 * probe: reuse_gup
 * needs: CONFIG_ARM64_MTE_TAG_STORAGE CONFIG_SWAP CONFIG_PROC_PAGE_MONITOR
 * timeout: 480
 *
 * A page that was tag storage, and has just become PROT_MTE, is first got by somebody
 * who pins it, or who reads and writes its tags for a debugger. He gets another page,
 * that can have tags: mm/gup.c follow_page_pte(), mm/memory_metadata.c
 * do_metadata_none_page(), arch/arm64/kernel/mte.c __access_remote_tags(). Where the
 * mapping allows no access there are no tags to be had.
 */
#include "fault.h"
#include "ptrace_mte.h"
#include "reuse_data.h"

static char *filled, *page;
static size_t filled_len;

/* `page` is plain data in tag storage, and PROT_MTE; nobody has touched it since. */
static void storage_made_tagged(void)
{
	filled = plain_memory(&filled_len);
	page = reuse_first(filled, filled_len);
	MUST(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_MTE) == 0, "mprotect");
}

static void check_page(void)
{
	reuse_check_tagged(page, PAGE, "got by somebody");
	plain_check(page, PAGE, "got by somebody");
}

static void pinned(void)
{
	struct reuse before;
	char buffer[PAGE];
	int fds[2];

	mte_need();
	reuse_need();
	swap_disk();
	before = reuse_check("before");
	storage_made_tagged();
	MUST(pipe2(fds, O_CLOEXEC) == 0, "pipe");
	MUST(vmsplice(fds[1], &(struct iovec){ page, PAGE }, 1, 0) == (ssize_t)PAGE, "vmsplice");
	/* What the pipe has is this page, so this page must be able to have tags now. */
	stg(page, 5);
	CHECK_EQ(ldg(page), 5, "tag of a page that a pipe has");
	check_page();
	MUST(read(fds[0], buffer, PAGE) == (ssize_t)PAGE, "read");
	CHECK(memcmp(buffer, page, PAGE) == 0, "what the pipe had is not what the page has");
	munmap(filled, filled_len);
	close(fds[0]);
	close(fds[1]);
	reuse_back_from_swap(&before);
}

static void map_page(void)
{
	storage_made_tagged();
	tracee->mem = page;
}

static void check_poked(void)
{
	CHECK_EQ(ldg(page), 0, "tag of the first granule");
	CHECK_EQ(ldg(page + 3 * GRANULE), 9, "tag of the fourth granule, which the debugger set");
	check_page();
}

static void peeked(void)
{
	static const unsigned char none[GRANULES_PER_PAGE], nine = 9;
	pid_t pid;

	mte_need();
	reuse_need();
	swap_disk();
	pid = tracee_start();
	tracee_run(pid, map_page);
	check_peek(pid, tracee->mem, none, GRANULES_PER_PAGE, "of plain data made PROT_MTE");
	must_poke(pid, tracee->mem + 3 * GRANULE, &nine, 1);
	tracee_run(pid, check_poked);
	tracee_end(pid);
	swap_none();
}

/* Nobody can have seen to storage for tags of this page: nothing may use them. */
static void map_no_access(void)
{
	filled = plain_memory(&filled_len);
	MUST(mprotect(filled, PAGE, PROT_NONE | PROT_MTE) == 0, "mprotect");
	tracee->mem = filled;
}

static void check_filled(void)
{
	MUST(mprotect(filled, PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
	plain_end(filled, filled_len, "a debugger has set tags of a page without access");
}

static void no_access(void)
{
	unsigned char tags[GRANULES_PER_PAGE];
	size_t n = sizeof(tags);
	struct reuse before;
	pid_t pid;
	int ret;

	mte_need();
	reuse_need();
	swap_disk();
	before = reuse_check("before");
	pid = tracee_start();
	tracee_run(pid, map_no_access);
	ret = peek_tags(pid, tracee->mem, tags, &n);
	CHECK(ret == -EIO, "PEEKMTETAGS gives %d, and %zu tags of a page that has no storage", ret,
	      n);
	memset(tags, 10, sizeof(tags));
	n = sizeof(tags);
	ret = poke_tags(pid, tracee->mem, tags, &n);
	CHECK(ret == -EIO, "POKEMTETAGS gives %d, and sets %zu tags of a page that has no storage",
	      ret, n);
	tracee_run(pid, check_filled);
	tracee_end(pid);
	swap_none();
	reuse_back_from_swap(&before);
}

PROBE(CASE_SECONDS(pinned, 150), CASE_SECONDS(peeked, 150), CASE_SECONDS(no_access, 150));
