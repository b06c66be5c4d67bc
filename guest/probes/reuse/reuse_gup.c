/* SPDX-License-Identifier: MIT */
/*
 * probe: reuse_gup
 * needs: CONFIG_ARM64_MTE_TAG_STORAGE CONFIG_SWAP CONFIG_PROC_PAGE_MONITOR
 * disk: yes
 * timeout: 480
 *
 * A page in tag storage that has just become PROT_MTE is first accessed by pinning it, or
 * by ptrace() that reads and writes its tags. The kernel must first move it to a page that
 * can have tags: mm/gup.c follow_page_pte(), mm/memory_metadata.c do_metadata_none_page(),
 * arch/arm64/kernel/mte.c __access_remote_tags(). If the mapping allows no access, it has
 * no tags to be read or written.
 */
#include "fault.h"
#include "pin.h"
#include "ptrace_mte.h"
#include "reuse_data.h"

static char *filled, *page;
static size_t filled_len;

/* Makes a page of plain data in tag storage PROT_MTE: `page`. It is not accessed yet. */
static void storage_made_tagged(void)
{
	filled = plain_memory(&filled_len);
	page = reuse_first(filled, filled_len);
	MUST(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_MTE) == 0, "mprotect");
}

static void check_page(void)
{
	reuse_check_tagged(page, PAGE, "after pin or ptrace()");
	plain_check(page, PAGE, "after pin or ptrace()");
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
	pin_page(fds[1], page);
	/* The pipe holds a reference to the page, so the page must have been moved before that. */
	stg(page, 5);
	CHECK_EQ(ldg(page), 5, "tag of a page in a pipe");
	check_page();
	MUST(read(fds[0], buffer, PAGE) == (ssize_t)PAGE, "read");
	CHECK(memcmp(buffer, page, PAGE) == 0,
	      "data in the pipe differs from the data of the page");
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
	CHECK_EQ(ldg(page + 3 * GRANULE), 9, "tag of the fourth granule, set with ptrace()");
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
	check_peek(pid, tracee->mem, none, GRANULES_PER_PAGE, "plain data made PROT_MTE");
	must_poke(pid, tracee->mem + 3 * GRANULE, &nine, 1);
	tracee_run(pid, check_poked);
	tracee_end(pid);
	swap_none();
}

/* The kernel has reserved no tag storage for a page that is only PROT_NONE. */
static void map_no_access(void)
{
	filled = plain_memory(&filled_len);
	MUST(mprotect(filled, PAGE, PROT_NONE | PROT_MTE) == 0, "mprotect");
	tracee->mem = filled;
}

static void check_filled(void)
{
	MUST(mprotect(filled, PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
	plain_end(filled, filled_len, "tags of a page without access were set");
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
