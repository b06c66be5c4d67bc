/* SPDX-License-Identifier: MIT */
/*
 * probe: reuse_pin_waits
 * needs: CONFIG_ARM64_MTE_TAG_STORAGE CONFIG_SWAP CONFIG_USERFAULTFD CONFIG_PROC_PAGE_MONITOR
 * disk: yes
 * timeout: 420
 *
 * A pinned page becomes PROT_MTE that cannot have tags in its frame: it is in tag storage,
 * or the data in the storage of its tags is pinned as well. A thread that accesses it
 * waits until the pin is gone, and then finds the right data. If that takes more than ten
 * seconds the thread gets SIGBUS, and the kernel logs why (mm/memory_metadata.c
 * do_metadata_none_page()). The pins are those of a pipe (vmsplice(2)), and of a direct
 * read in progress.
 */

#include <pthread.h>
#include <sys/klog.h>
#include <sys/uio.h>

#include "pin.h"
#include "reuse_data.h"
#include "uffd.h"

#define PIN_MSECS    1500
#define LOG_READ_ALL 3 /* syslog(2) */
#define LOG_SIZE     10

static int fds[2];

/* Starts a child that reads the pages in the pipe after a while, and so unpins them. */
static pid_t read_later(char *const pages[], int count)
{
	pid_t pid = child_fork();
	int i;

	if (pid == 0) {
		static uint64_t words[PAGE / 8];

		usleep(PIN_MSECS * 1000);
		for (i = 0; i < count; i++) {
			MUST(read(fds[0], words, PAGE) == (ssize_t)PAGE, "read");
			CHECK_EQ(words[0], (uintptr_t)pages[i], "data of page %d in the pipe", i);
		}
		_exit(0);
	}
	close(fds[0]);
	close(fds[1]);
	return pid;
}

static void make_tagged(char *page)
{
	MUST(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_MTE) == 0, "mprotect");
}

/* Uses tags of a page that has just become PROT_MTE: waits until the pin is gone. */
static void use_tags(char *page)
{
	stg(page, 5);
	CHECK_EQ(ldg(page), 5, "tag of the page");
	reuse_check_tagged(page, PAGE, "after the pin is gone");
}

static void pinned_page_waits(void)
{
	struct reuse before;
	char *p, *page;
	size_t len;
	pid_t pid;

	p = reuse_fill(&before, &len);
	page = reuse_first(p, len);
	MUST(pipe2(fds, O_CLOEXEC) == 0, "pipe");
	pin_page(fds[1], page);
	pid = read_later(&page, 1);
	make_tagged(page);
	CHECK_EQ(*(uint64_t *)page, (uintptr_t)page, "data of the page");
	use_tags(page);
	wait_child(pid);
	munmap(p, len);
	reuse_back_from_swap(&before);
}

#define CANDIDATES 1024

static char *stored[CANDIDATES];
static uint64_t frames[CANDIDATES];
static size_t candidates;

static bool is_candidate(char *page)
{
	stored[candidates] = page;
	frames[candidates] = pfn_of(page);
	return ++candidates < CANDIDATES;
}

/* Pins a page of plain data, and the page of data in the storage of its tags. */
static void pin_both(char *p, size_t len, char *pages[2])
{
	int tries;

	/* reuse_page_over() allocates memory, so a page may be swapped out meanwhile. */
	for (tries = 0; tries < 20; tries++) {
		unsigned int n;
		uint64_t frame;
		size_t i = 0;

		candidates = 0;
		reuse_each(p, len, is_candidate);
		pages[0] = reuse_page_over(p, len, frames, candidates, &frame);
		NEED(pages[0], "no page over data in storage");
		while (i < candidates - 1 && pfn_of(stored[i]) != frame)
			i++;
		pages[1] = stored[i];
		MUST(pipe2(fds, O_CLOEXEC) == 0, "pipe");
		pin_page(fds[1], pages[0]);
		pin_page(fds[1], pages[1]);
		if (pfn_of(pages[1]) == frame && frame - block_of(pfn_of(pages[0]), &n) < n)
			return;
		close(fds[0]);
		close(fds[1]);
	}
	NEED(false, "the pages were moved before they were pinned");
}

static void both_pinned(void)
{
	struct reuse before;
	char *p, *pages[2];
	size_t len;
	pid_t pid;

	p = reuse_fill(&before, &len);
	pin_both(p, len, pages);
	pid = read_later(pages, 2);
	make_tagged(pages[0]);
	CHECK_EQ(*(uint64_t *)pages[0], (uintptr_t)pages[0], "data of the page");
	use_tags(pages[0]);
	plain_check(pages[1], PAGE, "data that was in the storage of its tags");
	wait_child(pid);
	munmap(p, len);
	reuse_back_from_swap(&before);
}

/* How often the kernel log has the message that tag storage is pinned. */
static int log_messages(void)
{
	int size = klogctl(LOG_SIZE, NULL, 0), n, count = 0;
	char *log, *at;

	MUST(size > 0, "klogctl");
	log = malloc(size + 1);
	MUST(log, "malloc");
	n = klogctl(LOG_READ_ALL, log, size);
	MUST(n >= 0, "klogctl");
	log[n] = 0;
	for (at = log; (at = strstr(at, "no storage for the metadata of")); at++)
		count++;
	free(log);
	return count;
}

static void pinned_for_good(void)
{
	int logged = log_messages();
	struct reuse before;
	char *p, *pages[2];
	size_t len;
	pid_t pid;

	p = reuse_fill(&before, &len);
	pin_both(p, len, pages);
	pid = child_fork();
	if (pid == 0) {
		make_tagged(pages[0]);
		(void)*(volatile char *)pages[0];
		_exit(3);
	}
	wait_child_killed(pid, SIGBUS);
	CHECK_EQ(log_messages() - logged, 1, "messages in the kernel log");
	close(fds[0]);
	close(fds[1]);
	plain_end(p, len, "after SIGBUS");
	reuse_back_from_swap(&before);
}

/* --- a direct read -------------------------------------------------------- */

static struct iovec parts[2];
static int disk;

/* The kernel pins the first part, and waits for the page fault of the second. */
static void *direct_read(void *unused)
{
	MUST(preadv(disk, parts, 2, 0) == (ssize_t)(2 * PAGE), "direct read");
	return unused;
}

struct fill {
	int uffd;
	char *to;
	volatile bool done;
};

static void *fill_later(void *arg)
{
	static char zeroes[PAGE];
	struct fill *fill = arg;

	usleep(PIN_MSECS * 1000);
	fill->done = true;
	uffd_copy(fill->uffd, fill->to, zeroes, PAGE, 0);
	return NULL;
}

static void read_waits(void)
{
	struct fill fill = { .uffd = uffd_open(0) };
	char *p, *page, expected[PAGE];
	pthread_t reader, filler;
	struct reuse before;
	uint64_t flags;
	size_t len;

	reuse_need();
	swap_disk();
	/* The direct read reads the swap header of this device. */
	disk = open(SWAP_DISK, O_RDONLY | O_DIRECT | O_CLOEXEC);
	MUST(disk >= 0, "open %s", SWAP_DISK);
	before = reuse_check("before");
	fill.to = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(fill.to != MAP_FAILED, "mmap");
	uffd_register(fill.uffd, fill.to, PAGE, UFFDIO_REGISTER_MODE_MISSING);
	p = plain_memory(&len);
	page = reuse_first(p, len);
	parts[0] = (struct iovec){ page, PAGE };
	parts[1] = (struct iovec){ fill.to, PAGE };
	MUST(pthread_create(&reader, NULL, direct_read, NULL) == 0, "thread");
	CHECK_EQ(uffd_wait(fill.uffd, &flags), (uintptr_t)fill.to,
		 "address at which the read waits");
	MUST(pthread_create(&filler, NULL, fill_later, &fill) == 0, "thread");
	make_tagged(page);
	stg(page, 5);
	CHECK(fill.done, "a page was replaced while a direct read writes to it");
	MUST(pthread_join(filler, NULL) == 0 && pthread_join(reader, NULL) == 0, "join");
	use_tags(page);
	MUST(pread(disk, parts[1].iov_base, PAGE, 0) == (ssize_t)PAGE, "read %s", SWAP_DISK);
	memcpy(expected, fill.to, PAGE);
	CHECK(memcmp(page, expected, PAGE) == 0, "the data that was read differs from the device");
	close(disk);
	close(fill.uffd);
	munmap(fill.to, PAGE);
	munmap(p, len);
	reuse_back_from_swap(&before);
}

PROBE(CASE_SECONDS(pinned_page_waits, 90), CASE_SECONDS(both_pinned, 90),
      CASE_SECONDS(pinned_for_good, 120), CASE_SECONDS(read_waits, 90));
