/* SPDX-License-Identifier: MIT */
/*
 * probe: ptrace_tagged_address
 * needs: CONFIG_ARM64_MTE
 * timeout: 20
 *
 * PTRACE_PEEKMTETAGS and POKEMTETAGS with the tracee's own, tagged pointer. On 6.12.117
 * they fail with EIO and the kernel warns: __get_user_pages() untags the address,
 * vma_lookup() in get_user_page_vma_remote() (include/linux/mm.h) does not, and
 * WARN_ON_ONCE(!vma) fires. Any user can do this to a child, and a kernel with
 * panic_on_warn then panics. PEEKDATA at the same address works (22883973244b).
 */
#include "ptrace_mte.h"

static void map_pattern(void)
{
	tracee->mem = mte_map(PAGE);
	pattern_set(tracee->mem, PAGE, 5);
}

static void peek_and_poke(void)
{
	unsigned char want[GRANULES_PER_PAGE];
	pid_t pid;

	mte_need();
	pid = tracee_start();
	tracee_run(pid, map_pattern);
	pattern_tags(want, GRANULES_PER_PAGE, 5, 0);
	check_peek(pid, with_tag(tracee->mem, want[0]), want, GRANULES_PER_PAGE, "tagged address");
	want[0] ^= 1;
	must_poke(pid, with_tag(tracee->mem, want[0] ^ 1), want, 1);
	check_peek(pid, tracee->mem, want, GRANULES_PER_PAGE, "poked by a tagged address");
}

PROBE(CASE(peek_and_poke));
