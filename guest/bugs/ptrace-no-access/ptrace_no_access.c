/* SPDX-License-Identifier: MIT */
/*
 * probe: ptrace_no_access
 * needs: CONFIG_ARM64_MTE CONFIG_MEMFD_CREATE CONFIG_PROC_PAGE_MONITOR CONFIG_TRANSPARENT_HUGEPAGE
 * timeout: 20
 *
 * PTRACE_PEEKMTETAGS of shared memory that has PROT_MTE only in a mapping without access.
 * On 6.12.117 the kernel warns and gives tags that an earlier owner of the page left:
 * set_pte_at() initialises tags only of a page that may be accessed (__set_ptes(),
 * arch/arm64/include/asm/pgtable.h), ptrace() ignores the protection, and
 * __access_remote_tags() checks only VM_MTE. The core dump has the check that is missing
 * here (elfcore.c mte_dump_tag_range()).
 */
#include "ptrace_mte.h"
#include "stale.h"

enum { PAGES = 64, LEN = PAGES * PAGE };

/* Maps untagged shared pages in stale frames, and again without access but with PROT_MTE. */
static void map_shared(void)
{
	int fd = memory_file(LEN);
	char *plain;

	pin_cpu(0);
	stale_fill(STALE_SMALL, false);
	plain = map_file(fd, LEN, PROT_RW, MAP_SHARED);
	memset(plain, 1, LEN);
	need_stale(plain, LEN, "shared pages");
	tracee->mem = map_file(fd, LEN, PROT_MTE, MAP_SHARED);
}

static void no_stale_tags(void)
{
	static const unsigned char zeros[LEN / GRANULE];
	pid_t pid;

	mte_need();
	pid = tracee_start();
	tracee_run(pid, map_shared);
	check_peek(pid, tracee->mem, zeros, LEN / GRANULE, "shared memory without access");
}

PROBE(CASE(no_stale_tags));
