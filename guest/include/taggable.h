/* SPDX-License-Identifier: MIT */
/*
 * Memory that may have PROT_MTE, and memory for which mmap() and mprotect() refuse it:
 * arch_calc_vm_flag_bits() and arch_validate_flags() (arch/arm64/include/asm/mman.h).
 */
#ifndef MTE_HARNESS_TAGGABLE_H
#define MTE_HARNESS_TAGGABLE_H

#include "procfs.h"
#include "swap.h"

/* Checks that [p, p + len) is VM_MTE, and that its granules keep tags and data. */
void taggable_check(char *p, size_t len, const char *what);

/*
 * Checks that mmap(PROT_MTE), and mprotect(PROT_MTE) of an untagged mapping, both fail
 * with EINVAL, and that the untagged mapping does not change.
 */
void untaggable_check(int flags, int fd, int prot, size_t len, const char *what);

#endif
