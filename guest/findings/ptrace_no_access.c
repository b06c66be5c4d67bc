/* SPDX-License-Identifier: MIT */
/*
 * probe: ptrace_no_access
 * needs: CONFIG_ARM64_MTE CONFIG_MEMFD_CREATE CONFIG_PROC_PAGE_MONITOR CONFIG_TRANSPARENT_HUGEPAGE
 * timeout: 20
 *
 * PTRACE_PEEKMTETAGS of shared memory that has PROT_MTE only in a mapping
 * without access. On 6.12.117 the kernel warns and gives tags that an earlier
 * owner of the page left: set_pte_at() initialises tags only of a page that may
 * be accessed (__set_ptes(), arch/arm64/include/asm/pgtable.h), ptrace forces
 * its way past that, and __access_remote_tags() goes by VM_MTE. The core dump
 * has the check that is missing here (elfcore.c mte_dump_tag_range()).
 */
#include "ptrace_mte.h"
#include "stale.h"

enum { PAGES = 64, LEN = PAGES * PAGE };

/* Untagged shared pages in frames whose last owner used tag 15. */
static void map_shared(void)
{
	int fd = memfd_create("probe", 0);
	char *plain;

	MUST(fd >= 0 && ftruncate(fd, LEN) == 0, "memfd");
	pin_cpu(0);
	stale_fill(HUGE, false);
	plain = mmap(NULL, LEN, PROT_RW, MAP_SHARED, fd, 0);
	MUST(plain != MAP_FAILED, "mmap");
	memset(plain, 1, LEN);
	tracee->mem = mmap(NULL, LEN, PROT_MTE, MAP_SHARED, fd, 0);
	MUST(tracee->mem != MAP_FAILED, "mmap");
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
