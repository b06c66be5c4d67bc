/* SPDX-License-Identifier: MIT */
/*
 * probe: tagged_ranges
 * needs: CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_TMPFS
 * cases: CONFIG_NUMA move_pages_page
 * cases: CONFIG_USERFAULTFD uffd_copy_source
 * timeout: 20
 *
 * Three system calls that refuse a tagged address, though Documentation/arch/arm64/
 * tagged-address-abi.rst, sections 2 and 3, do not except them: remap_file_pages() (mm/mmap.c), the page
 * that move_pages() is asked about (do_pages_stat_array(), mm/migrate.c), and the source of
 * UFFDIO_COPY (validate_unaligned_range(), 6.6). Each compares the address with those of VMAs, or
 * with the end of the address space, without untagged_addr().
 */
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "mte.h"

enum { TAG = 5 };

static void tagged_addresses(void)
{
	MUST(prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 0) == 0,
	     "PR_TAGGED_ADDR_ENABLE");
}

static void remap(char *p, size_t page, char content, const char *how)
{
	long got = syscall(SYS_remap_file_pages, p, PAGE, 0, page, 0);

	CHECK(got == 0, "remap_file_pages() of %s returned %ld, errno %d", how, got, errno);
	CHECK(*(char *)untagged(p) == content, "%s shows page '%c', expected '%c'", how,
	      *(char *)untagged(p), content);
}

static void remap_file_address(void)
{
	int fd = memfd_create("pages", 0);
	char *p;

	MUST(fd >= 0 && ftruncate(fd, 2 * (off_t)PAGE) == 0, "memfd");
	MUST(pwrite(fd, "a", 1, 0) == 1 && pwrite(fd, "b", 1, (off_t)PAGE) == 1, "pwrite");
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	MUST(p != MAP_FAILED, "mmap");
	tagged_addresses();
	remap(p, 1, 'b', "an untagged address");
	remap(p, 0, 'a', "an untagged address");
	remap(with_tag(p, TAG), 1, 'b', "a tagged address");
}

static void ask(void *p, const char *how)
{
	int status = 77;
	long got = syscall(SYS_move_pages, 0, 1L, &p, NULL, &status, 0);

	CHECK(got == 0, "move_pages() of %s returned %ld, errno %d", how, got, errno);
	CHECK(status == 0, "move_pages() of %s says %d, expected node 0", how, status);
}

static void move_pages_page(void)
{
	char *p = untagged_map(PAGE);

	*p = 7;
	tagged_addresses();
	ask(p, "an untagged address");
	ask(with_tag(p, TAG), "a tagged address");
}

static void copy(int fd, char *to, char *from, const char *how)
{
	struct uffdio_copy copy = { (uintptr_t)to, (uintptr_t)from, PAGE, 0, 0 };
	int got = ioctl(fd, UFFDIO_COPY, &copy);

	/* A page that is still missing would be waited for. */
	if (CHECK(got == 0, "UFFDIO_COPY from %s returned %d, errno %d", how, got, errno))
		CHECK(*to == 7, "the page copied from %s has %d, expected 7", how, *to);
}

static void uffd_copy_source(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	char *to = untagged_map(2 * PAGE), *from = untagged_map(PAGE);
	struct uffdio_register range = { { (uintptr_t)to, 2 * PAGE },
					 UFFDIO_REGISTER_MODE_MISSING,
					 0 };

	MUST(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0, "userfaultfd");
	MUST(ioctl(fd, UFFDIO_REGISTER, &range) == 0, "UFFDIO_REGISTER");
	memset(from, 7, PAGE);
	tagged_addresses();
	copy(fd, to, from, "an untagged address");
	copy(fd, to + PAGE, with_tag(from, TAG), "a tagged address");
}

PROBE(CASE(remap_file_address), CASE(move_pages_page), CASE(uffd_copy_source));
