/* SPDX-License-Identifier: MIT */
/*
 * probe: abi_memory
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_TMPFS CONFIG_FUTEX
 * cases: CONFIG_NUMA mbind_address mbind_nodes get_mempolicy_address get_mempolicy_mode
 * cases: CONFIG_NUMA get_mempolicy_nodes set_mempolicy_nodes move_pages_list move_pages_nodes
 * cases: CONFIG_NUMA move_pages_status migrate_pages_nodes
 * cases: CONFIG_USERFAULTFD uffd_api uffd_register uffd_copy_target
 * cases: CONFIG_CACHESTAT_SYSCALL cachestat_range cachestat_result
 * cases: CONFIG_PROC_PAGE_MONITOR pagemap_scan_argument pagemap_scan_range
 * newer: 6.7 52526ca7fdb9 pagemap_scan_argument pagemap_scan_range
 * timeout: 150
 *
 * The tagged address ABI for the address space, for NUMA, userfaultfd and futexes: each call is
 * tried with an untagged, a tagged, a matching and a mismatching pointer (guest/include/abi.h).
 */
#include <linux/futex.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "abi.h"

static bool resident(char *p)
{
	unsigned char vec = 0;

	MUST(mincore(untagged(p), PAGE, &vec) == 0, "mincore");
	return vec & 1;
}

/* Whether the page is mapped with what /proc/self/smaps says in VmFlags, such as "lo". */
static bool has_flag(char *p, const char *flag)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	bool here = false, found = false;
	char line[256];

	MUST(smaps, "smaps");
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = (uintptr_t)untagged(p) >= from && (uintptr_t)untagged(p) < to;
		if (here && !strncmp(line, "VmFlags:", 8))
			found = strstr(line, flag);
	}
	fclose(smaps);
	return found;
}

/* --- ranges: the address is not accessed ---------------------------------- */

ABI(mprotect_address, "mm/mprotect.c do_mprotect_pkey()", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);

	CALL(sys(mprotect, U(p), PAGE, PROT_READ), 0);
	EFFECT(!has_flag(p, " wr "));
}

ABI(madvise_address, "mm/madvise.c do_madvise()", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);

	*p = 7;
	CALL(sys(madvise, U(p), PAGE, MADV_DONTNEED), 0);
	EFFECT(!resident(p));
}

ABI(madvise_populate, "mm/gup.c faultin_page_range()", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);

	MUST(madvise(untagged(p), PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	CALL(sys(madvise, U(p), PAGE, MADV_POPULATE_WRITE), 0);
	EFFECT(resident(p));
}

ABI(mlock_address, "mm/mlock.c do_mlock()", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);

	CALL(sys(mlock, U(p), PAGE), 0);
	EFFECT(has_flag(p, " lo"));
}

ABI(mlock2_address, "mm/mlock.c SYSCALL_DEFINE3(mlock2)", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);

	CALL(sys(mlock2, U(p), PAGE, 1 /* MLOCK_ONFAULT */), 0);
	EFFECT(has_flag(p, " lo"));
}

ABI(munlock_address, "mm/mlock.c SYSCALL_DEFINE2(munlock)", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);

	MUST(mlock(untagged(p), PAGE) == 0, "mlock");
	CALL(sys(munlock, U(p), PAGE), 0);
	EFFECT(!has_flag(p, " lo"));
}

ABI(munmap_address, "mm/mmap.c __vm_munmap()", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);
	unsigned char vec;

	CALL(sys(munmap, U(p), PAGE), 0);
	EFFECT(mincore(untagged(p), PAGE, &vec) == -1 && errno == ENOMEM);
}

ABI(msync_address, "mm/msync.c SYSCALL_DEFINE3(msync)", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);

	CALL(sys(msync, U(p), PAGE, MS_ASYNC), 0);
	MUST(munmap(untagged(p), PAGE) == 0, "munmap");
	EFFECT(sys(msync, U(p), PAGE, MS_ASYNC) == -1 && errno == ENOMEM);
}

ABI(mincore_address, "mm/mincore.c SYSCALL_DEFINE3(mincore), start", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);
	unsigned char vec = 0;

	*p = 7;
	CALL(sys(mincore, U(p), PAGE, &vec), 0);
	EFFECT(vec & 1);
}

ABI(mincore_vector, "mm/mincore.c SYSCALL_DEFINE3(mincore), vec", 0)
{
	char *p = abi_pages(1);
	unsigned char *vec = abi_mem(1);

	*p = 7;
	CALL(sys(mincore, untagged(p), PAGE, U(vec)), 0);
	EFFECT(*vec & 1);
}

ABI(mremap_old, "mm/mremap.c SYSCALL_DEFINE5(mremap), addr", ABI_NO_ACCESS)
{
	char *p = abi_pages(2), *moved;
	unsigned char vec;

	*p = 7;
	moved = (char *)OK(sys(mremap, U(p), PAGE, 4 * PAGE, MREMAP_MAYMOVE));
	EFFECT(moved != untagged(p) && mincore(untagged(p), PAGE, &vec) == -1);
}

ABI(process_madvise_vector, "mm/madvise.c SYSCALL_DEFINE5(process_madvise), vec", 0)
{
	char *p = abi_pages(1);
	struct iovec *v = abi_mem(sizeof(*v));
	int fd = sys(pidfd_open, getpid(), 0);

	*p = 7;
	*v = (struct iovec){ untagged(p), PAGE };
	CALL(sys(process_madvise, fd, U(v), 1, MADV_COLD, 0), PAGE);
	EFFECT(resident(p));
}

ABI(process_madvise_address, "mm/madvise.c vector_madvise()", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);
	struct iovec v = { U(p), PAGE };
	int fd = sys(pidfd_open, getpid(), 0);

	*p = 7;
	CALL(sys(process_madvise, fd, &v, 1, MADV_COLD, 0), PAGE);
	EFFECT(resident(p));
}

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

ABI(cachestat_range, "mm/filemap.c SYSCALL_DEFINE4(cachestat), cstat_range", 0)
{
	uint64_t *range = abi_mem(16), result[5] = {};

	range[1] = PAGE;
	CALL(sys(cachestat, file_with("tagged"), U(range), result, 0), 0);
	EFFECT(result[0] == 1);
}

ABI(cachestat_result, "mm/filemap.c SYSCALL_DEFINE4(cachestat), cstat", 0)
{
	uint64_t range[2] = { 0, PAGE }, *result = abi_mem(40);

	CALL(sys(cachestat, file_with("tagged"), range, U(result), 0), 0);
	EFFECT(result[0] == 1);
}

/* Section 3 of the document: these may refuse a tagged pointer. */
ABI(mmap_fixed, "mm/mmap.c get_unmapped_area()", ABI_REFUSES)
{
	char *p = abi_pages(1);

	*p = 7;
	OK(sys(mmap, U(p), PAGE, PROT_RW, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	EFFECT(*p == 0);
}

ABI(mremap_new, "mm/mremap.c check_mremap_params(), new_addr", ABI_REFUSES)
{
	char *old = untagged_map(PAGE), *p = abi_pages(1);

	*old = 7;
	OK(sys(mremap, old, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, U(p)));
	EFFECT(*(char *)untagged(p) == 7);
}

ABI(brk_address, "mm/mmap.c SYSCALL_DEFINE1(brk)", ABI_REFUSES)
{
	char *end = sbrk(0);

	CALL((char *)sys(brk, U(end + PAGE)) == end + PAGE, 1);
	EFFECT((end[0] = 7) == 7);
}

/* --- PAGEMAP_SCAN (include/uapi/linux/fs.h); its vec is guest/bugs/pagemap-scan-vector --------- */

struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t inverted, mask, any, returned;
};
struct region {
	uint64_t start, end, categories;
};
#define SCAN _IOWR('f', 16, struct scan)
enum { PRESENT = 1 << 3 };

static void wanted(struct scan *scan, struct region *found, char *from)
{
	scan->size = sizeof(*scan);
	scan->start = (uintptr_t)from;
	scan->end = (uintptr_t)from + PAGE;
	scan->vec = (uintptr_t)found;
	scan->vec_len = 1;
	scan->mask = scan->returned = PRESENT;
}

static int pagemap(void)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);

	MUST(fd >= 0, "/proc/self/pagemap");
	return fd;
}

ABI(pagemap_scan_argument, "fs/proc/task_mmu.c pagemap_scan_get_args()", 0)
{
	struct region *found = abi_plain(sizeof(*found));
	struct scan *scan = abi_mem(sizeof(*scan));
	char *p = untagged_map(PAGE);

	*p = 7;
	wanted(scan, found, p);
	CALL(sys(ioctl, pagemap(), SCAN, U(scan)), 1);
	EFFECT(found->start == (uintptr_t)p && scan->walk_end == (uintptr_t)p + PAGE);
}

ABI(pagemap_scan_range, "fs/proc/task_mmu.c pagemap_scan_get_args(), start and end", ABI_NO_ACCESS)
{
	struct region *found = abi_plain(sizeof(*found));
	struct scan scan = { 0 };
	char *p = abi_pages(1);

	*p = 7;
	wanted(&scan, found, U(p));
	CALL(sys(ioctl, pagemap(), SCAN, &scan), 1);
	EFFECT(found->start == (uintptr_t)untagged(p));
}

/* --- NUMA: mm/mempolicy.c, mm/migrate.c ----------------------------------- */

enum { BIND = 2, PREFERRED = 1, MOVE = 2 };

ABI(mbind_address, "mm/mempolicy.c kernel_mbind()", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);
	unsigned long node = 1;
	int mode = 0;

	CALL(sys(mbind, U(p), PAGE, BIND, &node, 64, 0), 0);
	EFFECT(sys(get_mempolicy, &mode, NULL, 0, untagged(p), 2 /* MPOL_F_ADDR */) == 0 &&
	       mode == BIND);
}

ABI(mbind_nodes, "mm/mempolicy.c get_nodes()", 0)
{
	char *p = untagged_map(PAGE);
	unsigned long *node = abi_mem(sizeof(*node));
	int mode = 0;

	*node = 1;
	CALL(sys(mbind, p, PAGE, BIND, U(node), 64, 0), 0);
	EFFECT(sys(get_mempolicy, &mode, NULL, 0, p, 2 /* MPOL_F_ADDR */) == 0 && mode == BIND);
}

ABI(get_mempolicy_address, "mm/mempolicy.c kernel_get_mempolicy(), addr", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);
	unsigned long node = 1;
	int mode = 0;

	MUST(sys(mbind, untagged(p), PAGE, BIND, &node, 64, 0) == 0, "mbind");
	CALL(sys(get_mempolicy, &mode, NULL, 0, U(p), 2 /* MPOL_F_ADDR */), 0);
	EFFECT(mode == BIND);
}

ABI(get_mempolicy_mode, "mm/mempolicy.c kernel_get_mempolicy(), policy", 0)
{
	unsigned long node = 1;
	int *mode = abi_mem(sizeof(*mode));

	MUST(sys(set_mempolicy, BIND, &node, 64) == 0, "set_mempolicy");
	CALL(sys(get_mempolicy, U(mode), NULL, 0, NULL, 0), 0);
	EFFECT(*mode == BIND);
}

ABI(get_mempolicy_nodes, "mm/mempolicy.c copy_nodes_to_user()", 0)
{
	unsigned long node = 1, *nodes = abi_mem(128);

	MUST(sys(set_mempolicy, BIND, &node, 64) == 0, "set_mempolicy");
	CALL(sys(get_mempolicy, NULL, U(nodes), 1024, NULL, 0), 0);
	EFFECT(nodes[0] == 1);
}

ABI(set_mempolicy_nodes, "mm/mempolicy.c kernel_set_mempolicy()", 0)
{
	unsigned long *node = abi_mem(sizeof(*node));
	int mode = 0;

	*node = 1;
	CALL(sys(set_mempolicy, PREFERRED, U(node), 64), 0);
	EFFECT(sys(get_mempolicy, &mode, NULL, 0, NULL, 0) == 0 && mode == PREFERRED);
}

ABI(move_pages_list, "mm/migrate.c do_pages_move(), pages", 0)
{
	void **pages = abi_mem(sizeof(*pages));
	char *p = untagged_map(PAGE);
	int status = 77;

	*pages = p;
	*p = 7;
	CALL(sys(move_pages, 0, 1, U(pages), NULL, &status, 0), 0);
	EFFECT(status == 0);
}

ABI(move_pages_nodes, "mm/migrate.c do_pages_move(), nodes", 0)
{
	int *node = abi_mem(sizeof(*node)), status = 77;
	void *page = untagged_map(PAGE);

	*(char *)page = 7;
	CALL(sys(move_pages, 0, 1, &page, U(node), &status, MOVE), 0);
	EFFECT(status == 0);
}

ABI(move_pages_status, "mm/migrate.c do_pages_stat()", 0)
{
	void *page = untagged_map(PAGE);
	int *status = abi_mem(sizeof(*status));

	*status = 77;
	*(char *)page = 7;
	CALL(sys(move_pages, 0, 1, &page, NULL, U(status), 0), 0);
	EFFECT(*status == 0);
}

ABI(migrate_pages_nodes, "mm/mempolicy.c kernel_migrate_pages(), old_nodes", 0)
{
	unsigned long *from = abi_mem(sizeof(*from)), to = 1;

	*from = 1;
	OK(sys(migrate_pages, 0, 64, U(from), &to));
	*from = 1UL << 63; /* no such node: what the mask says is seen */
	EFFECT(sys(migrate_pages, 0, 65, U(from), &to) >= -1);
}

/* --- userfaultfd ---------------------------------------------------------- */

static int uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = sys(userfaultfd, O_NONBLOCK);

	MUST(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0, "userfaultfd");
	return fd;
}

static char *registered(int fd)
{
	struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *p = abi_pages(2);

	MUST(madvise(untagged(p), 2 * PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	area.range.start = (uintptr_t)untagged(p);
	area.range.len = 2 * PAGE;
	MUST(ioctl(fd, UFFDIO_REGISTER, &area) == 0, "UFFDIO_REGISTER");
	return p;
}

ABI(uffd_api, "fs/userfaultfd.c userfaultfd_api()", 0)
{
	struct uffdio_api *api = abi_mem(sizeof(*api));
	int fd = sys(userfaultfd, O_NONBLOCK);

	api->api = UFFD_API;
	CALL(sys(ioctl, fd, UFFDIO_API, U(api)), 0);
	EFFECT(api->ioctls);
}

/* Section 2 of the document, since 5.14: range.start, start and dst must be untagged. */
ABI(uffd_register, "fs/userfaultfd.c validate_range()", ABI_REFUSES)
{
	struct uffdio_register area = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *p = abi_pages(1);

	area.range.start = (uintptr_t)U(p);
	area.range.len = PAGE;
	CALL(sys(ioctl, uffd(), UFFDIO_REGISTER, &area), 0);
	EFFECT(area.ioctls);
}

ABI(uffd_copy_target, "mm/userfaultfd.c mfill_atomic(), dst", ABI_REFUSES)
{
	int fd = uffd();
	char *to = registered(fd), *from = untagged_map(PAGE);
	struct uffdio_copy copy = { (uintptr_t)U(to), (uintptr_t)from, PAGE, 0, 0 };

	CALL(sys(ioctl, fd, UFFDIO_COPY, &copy), 0);
	EFFECT(copy.copy == (long long)PAGE);
}

/* --- futexes: kernel/futex ------------------------------------------------ */

static const struct timespec soon = { 0, 1000000 };

/* A thread of this process that waits on `word` with bit `bits`, and 0 as the word's value. */
static pid_t waiter(int *word)
{
	pid_t pid = sys(clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		sys(futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(0);
	}
	MUST(pid > 0, "clone");
	return pid;
}

/* A word that two processes share. */
static int *shared_word(void)
{
	void *p = mmap(NULL, PAGE, PROT_RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	MUST(p != MAP_FAILED, "mmap");
	return p;
}

ABI(futex_wait_word, "kernel/futex/waitwake.c futex_wait_setup()", 0)
{
	int *word = abi_mem(sizeof(*word));

	CALL(sys(futex, U(word), FUTEX_WAIT_PRIVATE, 0, &soon) == -1 && errno == ETIMEDOUT ? 0 : -1,
	     0);
	EFFECT(sys(futex, U(word), FUTEX_WAIT_PRIVATE, 1, &soon) == -1 && errno == EAGAIN);
}

ABI(futex_wait_timeout, "kernel/futex/syscalls.c SYSCALL_DEFINE6(futex), utime", 0)
{
	struct timespec *span = abi_mem(sizeof(*span)), begin, now;
	int word = 0;

	span->tv_nsec = 10000000;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	CALL(sys(futex, &word, FUTEX_WAIT, 0, U(span)) == -1 && errno == ETIMEDOUT ? 0 : -1, 0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	EFFECT((now.tv_sec - begin.tv_sec) * 1000000000L + now.tv_nsec - begin.tv_nsec >= 10000000);
}

/* The word is only a key: get_futex_key(). The waiter waits with an untagged pointer. */
ABI(futex_wake_word, "kernel/futex/core.c get_futex_key()", ABI_NO_ACCESS)
{
	int *word = mmap(NULL, PAGE, PROT_RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = waiter(word);
	long woken = 0;

	while (!woken)
		woken = OK(sys(futex, U(word), FUTEX_WAKE, 1));
	EFFECT(woken == 1 && WIFEXITED(child_status(pid)));
}

ABI(futex_requeue_target, "kernel/futex/requeue.c futex_requeue(), uaddr2", ABI_NO_ACCESS)
{
	int *word = shared_word(), *other = shared_word();
	pid_t pid = waiter(word);
	long moved = 0;

	while (!moved)
		moved = OK(sys(futex, word, FUTEX_REQUEUE, 0, 1, U(other)));
	EFFECT(sys(futex, other, FUTEX_WAKE, 1) == 1 && WIFEXITED(child_status(pid)));
}

ABI(futex_requeue_word, "kernel/futex/requeue.c futex_requeue(), cmpval", 0)
{
	int *word = abi_mem(sizeof(*word)), other = 0;

	CALL(sys(futex, U(word), FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &other, 0), 0);
	EFFECT(sys(futex, U(word), FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &other, 1) == -1 &&
	       errno == EAGAIN);
}

/* uaccess_enable_privileged() sets PSTATE.TCO, so atomic operations on futexes are not checked. */
ABI(futex_wake_op, "arch/arm64/include/asm/futex.h arch_futex_atomic_op_inuser()", ABI_UNCHECKED)
{
	int word = 0, *other = abi_mem(sizeof(*other));

	*other = 70;
	CALL(sys(futex, &word, FUTEX_WAKE_OP_PRIVATE, 1, 1, U(other),
		 FUTEX_OP(FUTEX_OP_ADD, 7, FUTEX_OP_CMP_EQ, 0)),
	     0);
	EFFECT(*other == 77);
}

/* With a mismatching tag it never returns: docs/findings/futex-pi-livelock.md. */
ABI(futex_lock_pi, "kernel/futex/pi.c futex_lock_pi()", ABI_NO_MISMATCH)
{
	int *word = abi_mem(sizeof(*word));

	CALL(sys(futex, U(word), FUTEX_LOCK_PI_PRIVATE, 0, NULL), 0);
	EFFECT(*word == gettid());
}

ABI(futex_unlock_pi, "kernel/futex/pi.c futex_unlock_pi()", 0)
{
	int *word = abi_mem(sizeof(*word));

	*word = gettid();
	CALL(sys(futex, U(word), FUTEX_UNLOCK_PI_PRIVATE), 0);
	EFFECT(*word == 0);
}

/* It fails like FUTEX_LOCK_PI with a mismatching tag. */
ABI(futex_trylock_pi, "kernel/futex/pi.c futex_lock_pi(), trylock", ABI_NO_MISMATCH)
{
	int *word = abi_mem(sizeof(*word));

	CALL(sys(futex, U(word), FUTEX_TRYLOCK_PI_PRIVATE), 0);
	EFFECT(*word == gettid());
}

ABI(futex_bitset_word, "kernel/futex/waitwake.c futex_wait(), bitset", 0)
{
	int *word = abi_mem(sizeof(*word));
	struct timespec past = { 0, 1 };

	CALL(sys(futex, U(word), FUTEX_WAIT_BITSET_PRIVATE, 0, &past, NULL, 1) == -1 &&
			     errno == ETIMEDOUT
		     ? 0
		     : -1,
	     0);
	EFFECT(sys(futex, U(word), FUTEX_WAIT_BITSET_PRIVATE, 1, &past, NULL, 1) == -1 &&
	       errno == EAGAIN);
}

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

/* include/uapi/linux/futex.h, struct futex_waitv of 5.16 */
struct wait_entry {
	uint64_t value, word;
	uint32_t flags, reserved;
};

static long wait_vector(const struct wait_entry *entries)
{
	struct timespec past = { 0, 1 };
	long got = sys(futex_waitv, entries, 1, 0, &past, CLOCK_MONOTONIC);

	return got == -1 && errno == ETIMEDOUT ? 0 : -1;
}

ABI(futex_waitv_list, "kernel/futex/syscalls.c futex_parse_waitv()", 0)
{
	struct wait_entry *entry = abi_mem(sizeof(*entry));
	int word = 0;

	*entry = (struct wait_entry){ 0, (uintptr_t)&word, 2 | FUTEX_PRIVATE_FLAG, 0 };
	CALL(wait_vector(U(entry)), 0);
	entry->value = 1;
	EFFECT(wait_vector(U(entry)) == -1 && errno == EAGAIN);
}

ABI(futex_waitv_word, "kernel/futex/waitwake.c futex_wait_multiple_setup()", 0)
{
	int *word = abi_mem(sizeof(*word));
	struct wait_entry entry = { 0, (uintptr_t)U(word), 2 | FUTEX_PRIVATE_FLAG, 0 };

	CALL(wait_vector(&entry), 0);
	*word = 1;
	EFFECT(wait_vector(&entry) == -1 && errno == EAGAIN);
}

PROBE(CASE(mprotect_address), CASE(madvise_address), CASE(madvise_populate), CASE(mlock_address),
      CASE(mlock2_address), CASE(munlock_address), CASE(munmap_address), CASE(msync_address),
      CASE(mincore_address), CASE(mincore_vector), CASE(mremap_old), CASE(process_madvise_vector),
      CASE(process_madvise_address), CASE(cachestat_range), CASE(cachestat_result),
      CASE(pagemap_scan_argument), CASE(pagemap_scan_range), CASE(mmap_fixed), CASE(mremap_new),
      CASE(brk_address), CASE(mbind_address), CASE(mbind_nodes), CASE(get_mempolicy_address),
      CASE(get_mempolicy_mode), CASE(get_mempolicy_nodes), CASE(set_mempolicy_nodes),
      CASE(move_pages_list), CASE(move_pages_nodes), CASE(move_pages_status),
      CASE(migrate_pages_nodes), CASE(uffd_api), CASE(uffd_register), CASE(uffd_copy_target),
      CASE(futex_wait_word), CASE(futex_wait_timeout), CASE(futex_wake_word),
      CASE(futex_requeue_target), CASE(futex_requeue_word), CASE(futex_wake_op),
      CASE(futex_lock_pi), CASE(futex_unlock_pi), CASE(futex_trylock_pi), CASE(futex_bitset_word),
      CASE(futex_waitv_list), CASE(futex_waitv_word));
