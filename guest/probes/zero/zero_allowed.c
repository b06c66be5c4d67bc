/* SPDX-License-Identifier: MIT */
/*
 * probe: zero_allowed
 * needs: CONFIG_TMPFS CONFIG_MEMFD_CREATE CONFIG_SYSVIPC
 * timeout: 30
 *
 * PROT_MTE is for memory that can hold tags: anonymous memory and shmem files. For any
 * other memory mmap() and mprotect() refuse it with EINVAL, and the memory stays usable
 * without tags. arch/arm64/include/asm/mman.h: arch_calc_vm_prot_bits(),
 * arch_calc_vm_flag_bits(), arch_validate_prot(), arch_validate_flags();
 * VM_DATA_DEFAULT_FLAGS in asm/page.h for stack and brk. Where it is allowed, a tag that
 * is stored can be loaded again.
 */

#include <sys/shm.h>
#include <sys/syscall.h>

#include "swap.h"
#include "taggable.h"

#define LEN (4 * PAGE)

/* Checks that mmap(PROT_MTE), and mprotect(PROT_MTE) of an untagged mapping, both work. */
static void allowed(int flags, int fd, const char *what)
{
	char *p = mmap(NULL, LEN, PROT_RW_MTE, flags, fd, 0);

	mte_need();
	MUST(p != MAP_FAILED, "%s: mmap(PROT_MTE)", what);
	taggable_check(p, LEN, what);
	p = mmap(NULL, LEN, PROT_RW, flags, fd, 0);
	MUST(p != MAP_FAILED, "%s: mmap()", what);
	CHECK(!smaps_flag(p, "mt"), "%s: VM_MTE without PROT_MTE", what);
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "%s: mprotect(PROT_MTE)", what);
	taggable_check(p, LEN, what);
}

static void anonymous(void)
{
	allowed(MAP_PRIVATE | MAP_ANONYMOUS, -1, "private anonymous");
	allowed(MAP_SHARED | MAP_ANONYMOUS, -1, "shared anonymous");
	allowed(MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, "MAP_GROWSDOWN");
	allowed(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, "MAP_NORESERVE");
	allowed(MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, "MAP_LOCKED");
}

static void shmem_file(void)
{
	int fd = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);

	MUST(fd >= 0 && ftruncate(fd, LEN) == 0, "O_TMPFILE in /dev/shm");
	allowed(MAP_SHARED, memory_file(LEN), "memfd, shared");
	allowed(MAP_PRIVATE, memory_file(LEN), "memfd, private");
	allowed(MAP_SHARED, fd, "tmpfs, shared");
	allowed(MAP_PRIVATE, fd, "tmpfs, private");
}

static void sysv(void)
{
	int id = shmget(IPC_PRIVATE, LEN, IPC_CREAT | 0600);
	char *p = shmat(id, NULL, 0);

	mte_need();
	shmctl(id, IPC_RMID, NULL);
	MUST(p != (void *)-1, "shmat");
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(SysV memory, PROT_MTE)");
	taggable_check(p, LEN, "SysV shared memory");
}

static void stack_and_brk(void)
{
	char here, *p = (char *)(((uintptr_t)&here & ~(PAGE - 1)) - 16 * PAGE);
	char *top;

	mte_need();
	*(volatile char *)p = 0;
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(stack, PROT_MTE)");
	taggable_check(p, LEN, "stack");
	top = (char *)(((uintptr_t)syscall(SYS_brk, 0) + PAGE - 1) & ~(PAGE - 1));
	MUST((char *)syscall(SYS_brk, top + LEN) == top + LEN, "brk");
	MUST(mprotect(top, LEN, PROT_RW_MTE) == 0, "mprotect(brk area, PROT_MTE)");
	taggable_check(top, LEN, "brk area");
}

static void disk_file(void)
{
	int fd = open("/bin/busybox", O_RDONLY);

	MUST(fd >= 0, "open a file of the root file system");
	untaggable_check(MAP_PRIVATE, fd, PROT_READ, LEN, "ext4 file, private");
	untaggable_check(MAP_SHARED, fd, PROT_READ, LEN, "ext4 file, shared");
	untaggable_check(MAP_PRIVATE, fd, PROT_RW, LEN, "ext4 file, private and writable");
}

static void device_file(void)
{
	int zero = open("/dev/zero", O_RDWR);

	MUST(zero >= 0, "open /dev/zero");
	untaggable_check(MAP_PRIVATE, zero, PROT_RW, LEN, "/dev/zero, private");
}

/* A range with a file mapping in its middle: mprotect() stops there with EINVAL. */
static void mixed_range(void)
{
	int fd = open("/bin/busybox", O_RDONLY);
	char *p = mmap(NULL, 3 * LEN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	mte_need();
	MUST(fd >= 0 && p != MAP_FAILED, "open and mmap");
	MUST(mmap(p + LEN, LEN, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == p + LEN, "mmap");
	errno = 0;
	CHECK_EQ(mprotect(p, 3 * LEN, PROT_READ | PROT_MTE), -1, "mprotect over a file mapping");
	CHECK_EQ(errno, EINVAL, "errno of mprotect over a file mapping");
	CHECK(!smaps_flag(p + LEN, "mt"), "VM_MTE on the file mapping");
}

/* An undefined bit is refused with PROT_MTE; PROT_SEM is accepted. */
static void unknown_bits(void)
{
	char *p = mte_map(LEN);

	mte_need();
	errno = 0;
	CHECK_EQ(mprotect(p, LEN, PROT_RW_MTE | 0x400), -1, "mprotect(PROT_MTE | 0x400)");
	CHECK_EQ(errno, EINVAL, "errno of mprotect(PROT_MTE | 0x400)");
	MUST(mprotect(p, LEN, PROT_RW_MTE | 0x8) == 0, "mprotect(PROT_MTE | PROT_SEM)");
	taggable_check(p, LEN, "PROT_MTE | PROT_SEM");
}

/* Without PROT_MTE (memory type Normal) tag stores are ignored and tag loads give 0. */
static void untagged_ignores_tags(void)
{
	char *p = untagged_map(LEN);

	mte_need();
	memset(p, 1, LEN);
	for (size_t i = 0; i < LEN; i += GRANULE)
		stg(p + i, 5);
	tags_zero_check(p, LEN, "memory without PROT_MTE");
	MUST(mprotect(p, LEN, PROT_RW_MTE) == 0, "mprotect(PROT_MTE)");
	tags_zero_check(p, LEN, "after mprotect(PROT_MTE)");
}

PROBE(CASE(anonymous), CASE(shmem_file), CASE(sysv), CASE(stack_and_brk), CASE(disk_file),
      CASE(device_file), CASE(mixed_range), CASE(unknown_bits), CASE(untagged_ignores_tags));
