/* SPDX-License-Identifier: MIT */
/*
 * probe: reuse_server
 * needs: CONFIG_ARM64_MTE_TAG_STORAGE CONFIG_SWAP CONFIG_FUSE_FS CONFIG_PROC_PAGE_MONITOR
 * disk: yes
 * timeout: 150
 *
 * Pages of a file are in tag storage, locked, until the server of its file system (FUSE)
 * has read them. Then a page becomes tagged whose tags belong there, and the server uses
 * tagged memory of its own, as malloc() may make it do. If the reservation of that storage
 * waited for the read, while it holds what the server needs, neither would ever go on:
 * mm/page_alloc.c alloc_contig_range_noprof(), arch/arm64/mm/mte_tag_storage.c. The FUSE
 * protocol is that of include/uapi/linux/fuse.h.
 */
#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mount.h>
#include <sys/uio.h>

#include "reuse_data.h"

#define FILE_NODE  2
#define READ_PAGES 32UL
#define FILE_SIZE  (64UL << 20)
#define MESSAGE	   (64UL << 10)
#define TAGGED	   64UL
#define PATIENCE   30000 /* ms */

/* --- the server ----------------------------------------------------------- */

struct server {
	int device;
	char *tagged; /* mapped, not populated yet */
	int found[2]; /* pipe: page frames that the server reads into */
	int go_on[2]; /* pipe: a byte, 1 if a thread waits for their storage */
	int served[2]; /* pipe: the server has used tagged memory */
};

/* Finds page frames of tag storage that are being read into: locked and not up to date. */
static size_t being_read(uint64_t *frames, size_t room)
{
	uint64_t flags[KPAGEFLAGS], pfn;
	size_t j, n, count = 0;
	int i;

	for (i = 0; i < reuse_count; i++) {
		struct reuse_region *r = &reuse_regions[i];

		for (pfn = r->storage; pfn < r->storage_end; pfn += n) {
			n = kpageflags(pfn, r->storage_end, flags);
			for (j = 0; j < n && count < room; j++)
				if (flags[j] >> KPF_LOCKED & 1 && !(flags[j] >> KPF_UPTODATE & 1))
					frames[count++] = pfn + j;
		}
	}
	return count;
}

/* Uses tagged memory as soon as a thread waits for storage that is being read into. */
static void before_read(struct server *s)
{
	uint64_t frames[READ_PAGES];
	static bool done;
	char waits;
	size_t n;

	n = done ? 0 : being_read(frames, READ_PAGES);
	if (!n)
		return;
	MUST(write(s->found[1], frames, n * 8) == (ssize_t)n * 8, "write");
	MUST(read(s->go_on[0], &waits, 1) == 1, "read");
	if (!waits)
		return;
	done = true;
	touch_write(s->tagged, TAGGED * PAGE);
	reuse_check_tagged(s->tagged, TAGGED * PAGE, "tagged memory of the server");
	MUST(write(s->served[1], "", 1) == 1, "write");
}

static void reply(const struct server *s, uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header head = { .len = sizeof(head) + len,
					.error = error,
					.unique = unique };
	struct iovec parts[2] = { { &head, sizeof(head) }, { (void *)data, len } };

	MUST(writev(s->device, parts, 2) == (ssize_t)head.len, "reply to request %llu",
	     (unsigned long long)unique);
}

static struct fuse_attr attributes(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node,
		.size = node == FILE_NODE ? FILE_SIZE : 0,
		.mode = node == FILE_NODE ? S_IFREG | 0444 : S_IFDIR | 0555,
		.nlink = 1,
		.blksize = PAGE,
	};
}

static void answer_read(struct server *s, const struct fuse_in_header *in,
			const struct fuse_read_in *want)
{
	static uint64_t words[READ_PAGES * PAGE / 8];
	size_t i, n = FILE_SIZE - want->offset;

	before_read(s);
	n = n < want->size ? n : want->size;
	MUST(n <= sizeof(words), "a read of %u bytes", want->size);
	for (i = 0; i < n / 8; i++)
		words[i] = want->offset + i * 8;
	reply(s, in->unique, 0, words, n);
}

static void answer(struct server *s, const struct fuse_in_header *in, const void *body)
{
	switch (in->opcode) {
	case FUSE_INIT: {
		const struct fuse_init_in *init = body;
		struct fuse_init_out out = {
			.major = FUSE_KERNEL_VERSION,
			.minor = init->minor,
			.max_readahead = READ_PAGES * PAGE,
			.max_write = PAGE,
		};

		reply(s, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out out = { .nodeid = FILE_NODE, .attr = attributes(FILE_NODE) };

		reply(s, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out out = { .attr = attributes(in->nodeid) };

		reply(s, in->unique, 0, &out, sizeof(out));
		break;
	}
	case FUSE_OPEN:
		reply(s, in->unique, 0, &(struct fuse_open_out){ 0 }, sizeof(struct fuse_open_out));
		break;
	case FUSE_READ:
		answer_read(s, in, body);
		break;
	case FUSE_RELEASE:
		reply(s, in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(s, in->unique, -ENOSYS, NULL, 0);
	}
}

/* Ends when the file system is unmounted. */
static void serve(struct server *s)
{
	static char message[MESSAGE];

	for (;;) {
		const struct fuse_in_header *in = (const void *)message;
		ssize_t n = read(s->device, message, MESSAGE);

		if (n < 0 && errno == ENODEV)
			_exit(0);
		MUST(n >= (ssize_t)sizeof(*in), "read /dev/fuse");
		answer(s, in, in + 1);
	}
}

/* --- its client, and the thread that needs the storage -------------------- */

static void read_file(const char *path)
{
	static uint64_t words[READ_PAGES * PAGE / 8];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t at, i;

	MUST(fd >= 0, "open %s", path);
	for (at = 0; at < FILE_SIZE; at += sizeof(words)) {
		MUST(read(fd, words, sizeof(words)) == (ssize_t)sizeof(words), "read %s", path);
		for (i = 0; i < sizeof(words) / 8; i++)
			MUST(words[i] == at + i * 8, "the file at %zu is %#llx", at + i * 8,
			     (unsigned long long)words[i]);
	}
	_exit(0);
}

static bool drop(char *page)
{
	static size_t dropped;

	MUST(madvise(page, PAGE, MADV_DONTNEED) == 0, "MADV_DONTNEED");
	return ++dropped < 2 * READ_PAGES;
}

static void *use_tags(void *page)
{
	stg(page, 5);
	return NULL;
}

/* Reads from a pipe; returns how many bytes, 0 if none come in time. */
static size_t read_in_time(int fd, void *buffer, size_t room)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (poll(&ready, 1, PATIENCE) != 1)
		return 0;
	n = read(fd, buffer, room);
	MUST(n > 0, "read");
	return n;
}

static void reads_into_storage(void)
{
	char directory[] = "/tmp/reuse_server.XXXXXX", path[64], options[80], *p, *page, byte;
	struct server s = { .device = open("/dev/fuse", O_RDWR | O_CLOEXEC) };
	int full[2]; /* pipe: memory is full of plain data, except for a little tag storage */
	uint64_t frames[READ_PAGES], frame;
	pid_t server, client;
	bool served;
	struct reuse before;
	pthread_t user;
	size_t len;

	mte_need();
	reuse_need();
	swap_disk();
	MUST(s.device >= 0, "open /dev/fuse");
	MUST(pipe(s.found) == 0 && pipe(s.go_on) == 0 && pipe(s.served) == 0 && pipe(full) == 0,
	     "pipe");
	MUST(mkdtemp(directory), "mkdtemp");
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", s.device);
	MUST(mount("reuse_server", directory, "fuse", 0, options) == 0, "mount");
	snprintf(path, sizeof(path), "%s/file", directory);
	before = reuse_check("before");

	s.tagged = mte_map(TAGGED * PAGE);
	server = child_fork();
	if (server == 0)
		serve(&s);
	/* Without this descriptor all requests end if the server does. */
	close(s.device);
	munmap(s.tagged, TAGGED * PAGE);
	client = child_fork();
	if (client == 0) {
		MUST(read(full[0], &byte, 1) == 1, "read");
		read_file(path);
	}
	p = plain_memory(&len);
	/* The next pages to be allocated are tag storage now. */
	reuse_each(p, len, drop);
	MUST(write(full[1], "", 1) == 1, "write");
	for (;;) {
		size_t count = read_in_time(s.found[0], frames, sizeof(frames)) / 8;

		NEED(count, "the server reads nothing into storage");
		page = reuse_page_over(p, len, frames, count, &frame);
		if (page)
			break;
		MUST(write(s.go_on[1], "\0", 1) == 1, "write");
	}
	MUST(mprotect(page, PAGE, PROT_READ | PROT_WRITE | PROT_MTE) == 0, "mprotect");
	MUST(pthread_create(&user, NULL, use_tags, page) == 0, "thread");
	usleep(500 * 1000);
	MUST(write(s.go_on[1], "\1", 1) == 1, "write");
	served = read_in_time(s.served[0], &byte, 1);
	if (!served)
		child_hand_on(server);
	if (!CHECK(served, "the server gets no tagged memory while a thread waits for its read"))
		kill(server, SIGKILL);
	MUST(pthread_join(user, NULL) == 0, "join");
	CHECK_EQ(*(uint64_t *)page, (uintptr_t)page, "data of the page");
	CHECK_EQ(ldg(page), 5, "tag of the page whose storage was read into");
	reuse_check_tagged(page, PAGE, "beside the read");
	wait_child(client);
	MUST(umount2(directory, 0) == 0 && rmdir(directory) == 0, "umount %s", directory);
	wait_child(server);
	munmap(p, len);
	reuse_back_from_swap(&before);
}

PROBE(CASE_SECONDS(reads_into_storage, 120));
