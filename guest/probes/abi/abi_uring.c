/* SPDX-License-Identifier: MIT */
/*
 * probe: abi_uring
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_TMPFS CONFIG_IO_URING CONFIG_UNIX
 * timeout: 120
 *
 * The tagged address ABI for io_uring: what a request points to, and what is registered. Each
 * call is tried with an untagged, a tagged, a matching and a mismatching pointer
 * (guest/include/abi.h). A request that is executed by a kernel thread of the ring has the mode
 * of the task that submitted it (io_uring/io-wq.c create_io_thread()).
 */
#include <linux/io_uring.h>
#include <linux/stat.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "abi.h"

#define TEXT "sixteen letters!"
enum { LEN = sizeof(TEXT) - 1, ENTRIES = 4 };

struct ring {
	int fd;
	struct io_uring_params params;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
};

static char *ring_map(int fd, size_t len, off_t what)
{
	char *p = mmap(NULL, len, PROT_RW, MAP_SHARED | MAP_POPULATE, fd, what);

	MUST(p != MAP_FAILED, "mmap of a ring");
	return p;
}

static struct ring ring_new(void)
{
	struct ring ring = {};

	ring.fd = sys(io_uring_setup, ENTRIES, &ring.params);
	MUST(ring.fd >= 0, "io_uring_setup");
	ring.sq = ring_map(ring.fd, ring.params.sq_off.array + ENTRIES * sizeof(unsigned int),
			   IORING_OFF_SQ_RING);
	ring.cq = ring_map(ring.fd,
			   ring.params.cq_off.cqes +
				   ring.params.cq_entries * sizeof(struct io_uring_cqe),
			   IORING_OFF_CQ_RING);
	ring.sqes = (void *)ring_map(ring.fd, ENTRIES * sizeof(*ring.sqes), IORING_OFF_SQES);
	return ring;
}

/* Submits a request, waits for it, and returns its result as a system call would. */
static long request(struct ring *ring, const struct io_uring_sqe *sqe)
{
	unsigned int *tail = (void *)(ring->sq + ring->params.sq_off.tail);
	unsigned int *array = (void *)(ring->sq + ring->params.sq_off.array);
	unsigned int *head = (void *)(ring->cq + ring->params.cq_off.head);
	struct io_uring_cqe *cqes = (void *)(ring->cq + ring->params.cq_off.cqes);
	unsigned int mask = ring->params.cq_entries - 1;
	long got;

	ring->sqes[0] = *sqe;
	array[*tail & (ENTRIES - 1)] = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	MUST(sys(io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1,
	     "io_uring_enter");
	got = cqes[*head & mask].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	errno = got < 0 ? -got : 0;
	return got < 0 ? -1 : got;
}

static long once(struct io_uring_sqe sqe)
{
	struct ring ring = ring_new();

	return request(&ring, &sqe);
}

ABI(setup_parameters, "io_uring/io_uring.c io_uring_setup()", 0)
{
	struct io_uring_params *params = abi_mem(sizeof(*params));

	OK(sys(io_uring_setup, ENTRIES, U(params)));
	EFFECT(params->sq_entries == ENTRIES && params->features);
}

ABI(read_buffer, "io_uring/rw.c io_read()", 0)
{
	char *p = abi_mem(LEN);

	CALL(once((struct io_uring_sqe){ .opcode = IORING_OP_READ,
					 .fd = file_with(TEXT),
					 .addr = (uintptr_t)U(p),
					 .len = LEN }),
	     LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

/* A thread of the ring's executes it: IOSQE_ASYNC. */
ABI(read_in_worker, "io_uring/io-wq.c io_wq_submit_work()", 0)
{
	char *p = abi_mem(LEN);

	CALL(once((struct io_uring_sqe){ .opcode = IORING_OP_READ,
					 .fd = file_with(TEXT),
					 .flags = IOSQE_ASYNC,
					 .addr = (uintptr_t)U(p),
					 .len = LEN }),
	     LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(write_buffer, "io_uring/rw.c io_write()", 0)
{
	char *p = abi_string(TEXT);

	CALL(once((struct io_uring_sqe){ .opcode = IORING_OP_WRITE,
					 .fd = file_with(""),
					 .addr = (uintptr_t)U(p),
					 .len = LEN }),
	     LEN);
	EFFECT(file_has("file", TEXT));
}

ABI(readv_vector, "io_uring/rw.c io_import_iovec()", 0)
{
	char text[LEN];
	struct iovec *v = abi_mem(sizeof(*v));

	*v = (struct iovec){ text, LEN };
	CALL(once((struct io_uring_sqe){ .opcode = IORING_OP_READV,
					 .fd = file_with(TEXT),
					 .addr = (uintptr_t)U(v),
					 .len = 1 }),
	     LEN);
	EFFECT(!memcmp(text, TEXT, LEN));
}

/* The pages are pinned when they are registered: io_sqe_buffer_register(). */
ABI(fixed_buffer, "io_uring/rsrc.c io_sqe_buffer_register(), iov_base", ABI_UNCHECKED)
{
	char *p = abi_mem(LEN);
	struct iovec v = { U(p), LEN };
	struct ring ring = ring_new();
	struct io_uring_sqe sqe = { .opcode = IORING_OP_READ_FIXED,
				    .fd = file_with(TEXT),
				    .addr = (uintptr_t)U(p),
				    .len = LEN };

	CALL(sys(io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &v, 1), 0);
	CALL(request(&ring, &sqe), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(register_vector, "io_uring/rsrc.c io_sqe_buffers_register(), arg", 0)
{
	char *p = untagged_map(PAGE);
	struct iovec *v = abi_mem(sizeof(*v));
	struct ring ring = ring_new();
	struct io_uring_sqe sqe = { .opcode = IORING_OP_READ_FIXED,
				    .fd = file_with(TEXT),
				    .addr = (uintptr_t)p,
				    .len = LEN };

	*v = (struct iovec){ p, LEN };
	CALL(sys(io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, U(v), 1), 0);
	EFFECT(request(&ring, &sqe) == LEN && !memcmp(p, TEXT, LEN));
}

ABI(register_files, "io_uring/rsrc.c io_sqe_files_register()", 0)
{
	char text[LEN];
	int *fds = abi_mem(sizeof(*fds));
	struct ring ring = ring_new();
	struct io_uring_sqe sqe = { .opcode = IORING_OP_READ,
				    .flags = IOSQE_FIXED_FILE,
				    .addr = (uintptr_t)text,
				    .len = LEN };

	fds[0] = file_with(TEXT);
	CALL(sys(io_uring_register, ring.fd, IORING_REGISTER_FILES, U(fds), 1), 0);
	EFFECT(request(&ring, &sqe) == LEN && !memcmp(text, TEXT, LEN));
}

ABI(register_eventfd, "io_uring/eventfd.c io_eventfd_register()", 0)
{
	int *fd = abi_mem(sizeof(*fd));
	struct io_uring_sqe sqe = { .opcode = IORING_OP_NOP };
	struct ring ring = ring_new();
	uint64_t count = 0;

	*fd = sys(eventfd2, 0, 0);
	CALL(sys(io_uring_register, ring.fd, IORING_REGISTER_EVENTFD, U(fd), 1), 0);
	MUST(request(&ring, &sqe) == 0, "IORING_OP_NOP");
	EFFECT(read(*fd, &count, 8) == 8 && count == 1);
}

ABI(register_probe, "io_uring/register.c io_probe()", 0)
{
	struct io_uring_probe *probe = abi_mem(sizeof(*probe) + 4 * sizeof(probe->ops[0]));

	CALL(sys(io_uring_register, ring_new().fd, IORING_REGISTER_PROBE, U(probe), 4), 0);
	EFFECT(probe->last_op > IORING_OP_READ);
}

ABI(openat_path, "io_uring/openclose.c __io_openat_prep()", 0)
{
	struct stat st;

	OK(once((struct io_uring_sqe){ .opcode = IORING_OP_OPENAT,
				       .fd = AT_FDCWD,
				       .addr = (uintptr_t)U(abi_string("new")),
				       .len = 0600,
				       .open_flags = O_CREAT | O_RDWR }));
	EFFECT(stat("new", &st) == 0);
}

ABI(statx_buffer, "io_uring/statx.c io_statx()", 0)
{
	struct statx *stx = abi_mem(sizeof(*stx));

	file_with("tagged");
	CALL(once((struct io_uring_sqe){ .opcode = IORING_OP_STATX,
					 .fd = AT_FDCWD,
					 .addr = (uintptr_t)"file",
					 .len = STATX_SIZE,
					 .off = (uintptr_t)U(stx) }),
	     0);
	EFFECT(stx->stx_size == 6);
}

static long timed_out(struct io_uring_sqe sqe)
{
	return once(sqe) == -1 && errno == ETIME ? 0 : -1;
}

ABI(timeout_span, "io_uring/timeout.c __io_timeout_prep()", 0)
{
	struct {
		int64_t seconds, ns;
	} *span = abi_mem(sizeof(*span));
	struct timespec begin, now;

	span->ns = 10000000;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	CALL(timed_out((struct io_uring_sqe){
		     .opcode = IORING_OP_TIMEOUT, .addr = (uintptr_t)U(span), .len = 1 }),
	     0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	EFFECT((now.tv_sec - begin.tv_sec) * 1000000000L + now.tv_nsec - begin.tv_nsec >= 10000000);
}

ABI(send_buffer, "io_uring/net.c io_send()", 0)
{
	char text[LEN];
	int fds[2];

	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0, "socketpair");
	CALL(once((struct io_uring_sqe){ .opcode = IORING_OP_SEND,
					 .fd = fds[0],
					 .addr = (uintptr_t)U(abi_string(TEXT)),
					 .len = LEN }),
	     LEN);
	EFFECT(read(fds[1], text, LEN) == LEN && !memcmp(text, TEXT, LEN));
}

ABI(recv_buffer, "io_uring/net.c io_recv()", 0)
{
	char *p = abi_mem(LEN);
	int fds[2];

	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0, "socketpair");
	MUST(write(fds[0], TEXT, LEN) == LEN, "write");
	CALL(once((struct io_uring_sqe){
		     .opcode = IORING_OP_RECV, .fd = fds[1], .addr = (uintptr_t)U(p), .len = LEN }),
	     LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(sendmsg_header, "io_uring/net.c io_sendmsg_copy_hdr()", 0)
{
	char text[LEN];
	struct iovec v = { TEXT, LEN };
	struct msghdr *m = abi_mem(sizeof(*m));
	int fds[2];

	*m = (struct msghdr){ .msg_iov = &v, .msg_iovlen = 1 };
	MUST(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds) == 0, "socketpair");
	CALL(once((struct io_uring_sqe){ .opcode = IORING_OP_SENDMSG,
					 .fd = fds[0],
					 .addr = (uintptr_t)U(m),
					 .len = 1 }),
	     LEN);
	EFFECT(read(fds[1], text, LEN) == LEN && !memcmp(text, TEXT, LEN));
}

ABI(epoll_event, "io_uring/epoll.c io_epoll_ctl_prep()", 0)
{
	struct epoll_event *event = abi_mem(sizeof(*event)), got = {};
	int epoll = epoll_create1(0);

	*event = (struct epoll_event){ .events = EPOLLIN, .data.u64 = 77 };
	CALL(once((struct io_uring_sqe){ .opcode = IORING_OP_EPOLL_CTL,
					 .fd = epoll,
					 .len = EPOLL_CTL_ADD,
					 .off = pipe_with("x"),
					 .addr = (uintptr_t)U(event) }),
	     0);
	EFFECT(epoll_wait(epoll, &got, 1, 0) == 1 && got.data.u64 == 77);
}

ABI(unlinkat_path, "io_uring/fs.c io_unlinkat_prep()", 0)
{
	struct stat st;

	file_with("");
	CALL(once((struct io_uring_sqe){ .opcode = IORING_OP_UNLINKAT,
					 .fd = AT_FDCWD,
					 .addr = (uintptr_t)U(abi_string("file")) }),
	     0);
	EFFECT(stat("file", &st) == -1 && errno == ENOENT);
}

ABI(madvise_address, "io_uring/advise.c io_madvise()", ABI_NO_ACCESS)
{
	char *p = abi_pages(1);
	unsigned char vec = 1;

	*p = 7;
	CALL(once((struct io_uring_sqe){ .opcode = IORING_OP_MADVISE,
					 .addr = (uintptr_t)U(p),
					 .len = PAGE,
					 .fadvise_advice = MADV_DONTNEED }),
	     0);
	EFFECT(mincore(untagged(p), PAGE, &vec) == 0 && !(vec & 1));
}

ABI(enter_mask, "io_uring/io_uring.c io_get_ext_arg(), sigmask", 0)
{
	uint64_t *none = abi_mem(sizeof(*none));
	struct io_uring_getevents_arg arg = { .sigmask = (uintptr_t)U(none), .sigmask_sz = 8 };

	abi_pending(SIGUSR1);
	CALL(abi_interrupted(sys(io_uring_enter, ring_new().fd, 0, 1,
				 IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, sizeof(arg))),
	     0);
	EFFECT(abi_handled == SIGUSR1);
}

ABI(enter_argument, "io_uring/io_uring.c io_get_ext_arg(), argp", 0)
{
	struct io_uring_getevents_arg *arg = abi_mem(sizeof(*arg));
	uint64_t none = 0;

	*arg = (struct io_uring_getevents_arg){ .sigmask = (uintptr_t)&none, .sigmask_sz = 8 };
	abi_pending(SIGUSR1);
	CALL(abi_interrupted(sys(io_uring_enter, ring_new().fd, 0, 1,
				 IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, U(arg),
				 sizeof(*arg))),
	     0);
	EFFECT(abi_handled == SIGUSR1);
}

PROBE(CASE(setup_parameters), CASE(read_buffer), CASE(read_in_worker), CASE(write_buffer),
      CASE(readv_vector), CASE(fixed_buffer), CASE(register_vector), CASE(register_files),
      CASE(register_eventfd), CASE(register_probe), CASE(openat_path), CASE(statx_buffer),
      CASE(timeout_span), CASE(send_buffer), CASE(recv_buffer), CASE(sendmsg_header),
      CASE(epoll_event), CASE(unlinkat_path), CASE(madvise_address), CASE(enter_mask),
      CASE(enter_argument));
