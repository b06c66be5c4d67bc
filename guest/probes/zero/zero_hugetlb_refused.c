/* SPDX-License-Identifier: MIT */
/*
 * probe: zero_hugetlb_refused
 * needs: CONFIG_HUGETLBFS CONFIG_MEMFD_CREATE
 * until: 6.13 25c17c4b55de
 * pages: 4K 16K
 * timeout: 30
 *
 * Before hugetlb knew of tags, mmap() and mprotect() refuse PROT_MTE for it with EINVAL,
 * and the memory stays usable without tags: arch_calc_vm_flag_bits() takes MAP_HUGETLB
 * for memory that can hold none (arch/arm64/include/asm/mman.h).
 */
#include "taggable.h"
#include "thp.h"

/* The pool of huge pages of the default size, which is HUGE. */
#define POOL "/proc/sys/vm/nr_hugepages"

static void hugetlb(void)
{
	int fd = memfd_create("probe", MFD_HUGETLB);
	char *p;

	write_file(POOL, "4");
	NEED(read_long(POOL) == 4, "the kernel gave no huge pages");
	untaggable_check(MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, PROT_RW, HUGE,
			 "MAP_HUGETLB");
	untaggable_check(MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1, PROT_RW, HUGE,
			 "MAP_HUGETLB, shared");
	MUST(fd >= 0 && ftruncate(fd, HUGE) == 0, "memfd_create(MFD_HUGETLB)");
	untaggable_check(MAP_SHARED, fd, PROT_RW, HUGE, "hugetlb memfd");
	p = mmap(NULL, HUGE, PROT_RW, MAP_SHARED, fd, 0);
	MUST(p != MAP_FAILED, "mmap(hugetlb memfd)");
	*(volatile char *)p = 1;
	close(fd);
	write_file(POOL, "0");
}

PROBE(CASE(hugetlb));
