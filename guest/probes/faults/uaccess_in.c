/* SPDX-License-Identifier: MIT */
/*
 * probe: uaccess_in
 * needs: CONFIG_ARM64_MTE CONFIG_EPOLL CONFIG_AIO CONFIG_TIMERFD CONFIG_SIGNALFD CONFIG_UNIX CONFIG_FUTEX_PI
 * timeout: 60
 *
 * System calls that read an argument through a pointer: EFAULT if the tag of any of its
 * bytes mismatches, of the first as of the last; success if the argument ends right before
 * the mismatch, and always in asynchronous mode and in mode none. get_user() of 4 and 8
 * bytes, also with page faults disabled (futex), copy_from_user(), iov_iter imports:
 * arch/arm64/include/asm/uaccess.h, futex.h, arch/arm64/lib/copy_from_user.S.
 */
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "uaccess.h"

#define FILL(n, type, ...)                        \
	static void fill_##n(void *p)             \
	{                                         \
		type value = __VA_ARGS__;         \
		memcpy(p, &value, sizeof(value)); \
	}

static int fds[2]; /* a pipe, not blocking */
static int memfd; /* a page of zeroes */

static void open_files(void)
{
	MUST(pipe2(fds, O_NONBLOCK) == 0, "pipe2");
	memfd = memfd_create("uaccess_in", 0);
	MUST(memfd >= 0 && ftruncate(memfd, PAGE) == 0, "memfd");
}

/* --- small structures ----------------------------------------------------- */

FILL(zero4, int, 0)
FILL(timespec, struct timespec, { 0, 1 })
FILL(rlimit, struct rlimit64, { 64, 1024 })
FILL(sigset, uint64_t, 1ULL << (SIGUSR2 - 1))
FILL(param, int, 0)
FILL(mask, uint64_t, 3)
FILL(itimer, struct itimerspec, { { 0, 0 }, { 100, 0 } })
FILL(itimerval, struct itimerval, { { 0, 0 }, { 0, 0 } })
FILL(stack, stack_t, { .ss_flags = SS_DISABLE })
FILL(pollfd, struct pollfd, { .fd = -1 })
FILL(fd_set, uint64_t, 0)
FILL(offset, int64_t, 0)

static void fill_sigaction(void *p)
{
	memset(p, 0, 32); /* SIG_DFL, no flags, no restorer, empty mask */
}

static struct timespec no_time;

SIMPLE_CALL(fioasync, ioctl, fds[0], FIOASYNC, p)
SIMPLE_CALL(nanosleep, nanosleep, p, 0)
SIMPLE_CALL(prlimit, prlimit64, 0, RLIMIT_CORE, p, 0)
SIMPLE_CALL(sigprocmask, rt_sigprocmask, SIG_UNBLOCK, p, 0, 8)
SIMPLE_CALL(sigaction, rt_sigaction, SIGUSR2, p, 0, 8)
SIMPLE_CALL(sigaltstack, sigaltstack, p, 0)
SIMPLE_CALL(setscheduler, sched_setscheduler, 0, SCHED_OTHER, p)
SIMPLE_CALL(setaffinity, sched_setaffinity, 0, 8, p)
SIMPLE_CALL(setitimer, setitimer, ITIMER_VIRTUAL, p, 0)
SIMPLE_CALL(ppoll, ppoll, p, 1, &no_time, 0, 8)
SIMPLE_CALL(ppoll_time, ppoll, 0, 0, p, 0, 8)
SIMPLE_CALL(pselect, pselect6, 64, p, 0, 0, &no_time, 0)
SIMPLE_CALL(sendfile, sendfile, fds[1], memfd, p, 8)

POINTER_CALL(timerfd)
{
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	long result = SYS(timerfd_settime, timer, 0, p, 0);

	close(timer);
	return result;
}

POINTER_CALL(signalfd)
{
	long result = SYS(signalfd4, -1, p, 8, 0);

	if (result >= 0)
		close(result);
	return result;
}

static void structures(void)
{
	static const struct pointer_call calls[] = {
		{ "ioctl(FIOASYNC)", 4, call_fioasync, fill_zero4, 0 },
		{ "nanosleep", 16, call_nanosleep, fill_timespec, 0 },
		{ "prlimit64", 16, call_prlimit, fill_rlimit, 0 },
		{ "rt_sigprocmask", 8, call_sigprocmask, fill_sigset, 0 },
		{ "rt_sigaction", 32, call_sigaction, fill_sigaction, 0 },
		{ "sigaltstack", sizeof(stack_t), call_sigaltstack, fill_stack, 0 },
		{ "sched_setscheduler", 4, call_setscheduler, fill_param, 0 },
		{ "sched_setaffinity", 8, call_setaffinity, fill_mask, 0 },
		{ "setitimer", 32, call_setitimer, fill_itimerval, 0 },
		{ "ppoll, pollfd", sizeof(struct pollfd), call_ppoll, fill_pollfd, 0 },
		{ "ppoll, timeout", 16, call_ppoll_time, fill_timespec, 0 },
		{ "pselect6, fd_set", 8, call_pselect, fill_fd_set, 0 },
		{ "timerfd_settime", 32, call_timerfd, fill_itimer, 0 },
		{ "signalfd4", 8, call_signalfd, fill_sigset, 0 },
	};

	open_files();
	CHECK_POINTER_CALLS(calls);
}

/* sendfile() reads the offset and writes it back after the transfer. */
static void sendfile_offset(void)
{
	static const struct pointer_call calls[] = {
		{ "sendfile, offset", 8, call_sendfile, fill_offset, 0 },
	};

	open_files();
	CHECK_POINTER_CALLS(calls);
}

/* --- iovec, msghdr, sockaddr ---------------------------------------------- */

static char plain[64];
static struct iovec one_vector = { plain, 8 };

FILL(iovec, struct iovec, { plain, sizeof(plain) })
FILL(msghdr, struct msghdr, { .msg_iov = &one_vector, .msg_iovlen = 1 })
FILL(sockaddr, sa_family_t, AF_UNIX)
FILL(epoll, struct epoll_event, { .events = EPOLLIN })

/* Empties the pipe of what a call wrote, and returns the result of the call. */
static long drained(long result)
{
	char buffer[64];

	SYS(read, fds[0], buffer, sizeof(buffer));
	return result;
}

POINTER_CALL(writev)
{
	return drained(SYS(writev, fds[1], p, 1));
}
SIMPLE_CALL(pwritev, pwritev, memfd, p, 1, 0, 0)
SIMPLE_CALL(preadv, preadv, memfd, p, 1, 0, 0)
POINTER_CALL(vmsplice)
{
	return drained(SYS(vmsplice, fds[1], p, 1, 0));
}

POINTER_CALL(process_vm_local)
{
	static char there[64];
	struct iovec remote = { there, sizeof(there) };

	return SYS(process_vm_readv, getpid(), p, 1, &remote, 1, 0);
}

POINTER_CALL(process_vm_remote)
{
	static char here[64];
	struct iovec local = { here, sizeof(here) };

	return SYS(process_vm_readv, getpid(), &local, 1, p, 1, 0);
}

POINTER_CALL(sendmsg)
{
	int s[2];
	long result;

	MUST(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0, "socketpair");
	result = SYS(sendmsg, s[0], p, 0);
	close(s[0]);
	close(s[1]);
	return result;
}

POINTER_CALL(bind)
{
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	long result = SYS(bind, s, p, sizeof(sa_family_t));

	close(s);
	return result;
}

POINTER_CALL(setsockopt)
{
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	long result = SYS(setsockopt, s, SOL_SOCKET, SO_PASSCRED, p, 4);

	close(s);
	return result;
}

POINTER_CALL(epoll_ctl)
{
	int epoll = epoll_create1(0);
	long result = SYS(epoll_ctl, epoll, EPOLL_CTL_ADD, fds[0], p);

	close(epoll);
	return result;
}

static void vectors(void)
{
	static const struct pointer_call calls[] = {
		{ "writev", sizeof(struct iovec), call_writev, fill_iovec, 0 },
		{ "pwritev", sizeof(struct iovec), call_pwritev, fill_iovec, 0 },
		{ "preadv", sizeof(struct iovec), call_preadv, fill_iovec, 0 },
		{ "vmsplice", sizeof(struct iovec), call_vmsplice, fill_iovec, 0 },
		{ "process_vm_readv, local iovec", sizeof(struct iovec), call_process_vm_local,
		  fill_iovec, 0 },
		{ "process_vm_readv, remote iovec", sizeof(struct iovec), call_process_vm_remote,
		  fill_iovec, 0 },
		{ "sendmsg", sizeof(struct msghdr), call_sendmsg, fill_msghdr, 0 },
		{ "bind", sizeof(sa_family_t), call_bind, fill_sockaddr, 0 },
		{ "setsockopt", 4, call_setsockopt, fill_zero4, 0 },
		{ "epoll_ctl", sizeof(struct epoll_event), call_epoll_ctl, fill_epoll, 0 },
	};

	open_files();
	CHECK_POINTER_CALLS(calls);
}

/* --- io_submit(): the array of pointers and the control block ------------- */

static aio_context_t aio;
static struct iocb block;

static void fill_iocb(void *p)
{
	struct iocb cb = { .aio_lio_opcode = IOCB_CMD_PREAD,
			   .aio_fildes = memfd,
			   .aio_buf = (uintptr_t)plain,
			   .aio_nbytes = 8 };

	memcpy(p, &cb, sizeof(cb));
}

static void fill_iocb_pointer(void *p)
{
	struct iocb *cb = &block;

	fill_iocb(&block);
	memcpy(p, &cb, sizeof(cb));
}

static long submit(void *array)
{
	struct io_event event;
	long result = SYS(io_submit, aio, 1, array);

	if (result == 1)
		MUST(SYS(io_getevents, aio, 1, 1, &event, 0) == 1, "io_getevents");
	return result;
}

POINTER_CALL(io_submit_array)
{
	return submit(p);
}
POINTER_CALL(io_submit_block)
{
	void *array = p;
	return submit(&array);
}

static void aio_blocks(void)
{
	static const struct pointer_call calls[] = {
		{ "io_submit, array", 8, call_io_submit_array, fill_iocb_pointer, 0 },
		{ "io_submit, iocb", sizeof(struct iocb), call_io_submit_block, fill_iocb, 0 },
	};

	open_files();
	MUST(SYS(io_setup, 4, &aio) == 0, "io_setup");
	CHECK_POINTER_CALLS(calls);
}

/* --- futex ---------------------------------------------------------------- */

static const struct timespec soon = { 0, 1000000 };
static uint32_t other_word;

FILL(seven, uint32_t, 7)

static long timed_out_is_success(long result)
{
	return result == -ETIMEDOUT ? 0 : result;
}

POINTER_CALL(futex_wait)
{
	return timed_out_is_success(SYS(futex, p, FUTEX_WAIT_PRIVATE, 7, &soon, 0, 0));
}

POINTER_CALL(futex_wait_shared)
{
	return timed_out_is_success(SYS(futex, p, FUTEX_WAIT, 7, &soon, 0, 0));
}

POINTER_CALL(futex_wait_bitset)
{
	/* The timeout is an absolute time, and long past. */
	return timed_out_is_success(SYS(futex, p, FUTEX_WAIT_BITSET_PRIVATE, 7, &soon, 0, ~0U));
}

SIMPLE_CALL(futex_cmp_requeue, futex, p, FUTEX_CMP_REQUEUE_PRIVATE, 1, 1, &other_word, 7)

static void futexes(void)
{
	static const struct pointer_call calls[] = {
		{ "FUTEX_WAIT_PRIVATE", 4, call_futex_wait, fill_seven, 4 },
		{ "FUTEX_WAIT", 4, call_futex_wait_shared, fill_seven, 4 },
		{ "FUTEX_WAIT_BITSET", 4, call_futex_wait_bitset, fill_seven, 4 },
		{ "FUTEX_CMP_REQUEUE", 4, call_futex_cmp_requeue, fill_seven, 4 },
	};

	CHECK_POINTER_CALLS(calls);
}

/*
 * The kernel makes the atomic operations of a futex with tag checks off (futex.h,
 * uaccess_enable_privileged()), so FUTEX_WAKE_OP succeeds with any tag. Accesses after it
 * are checked again.
 */
static void futex_wake_op(void)
{
	static const unsigned int tags[] = { GOOD, BAD };
	uint32_t *word;
	int i;

	mte_need();
	catch_signal(SIGSEGV, 0);
	wall_build(PAGE);
	word = (uint32_t *)wall_area;
	mte_mode(TCF_SYNC);
	for (i = 0; i < 2; i++) {
		*word = 7;
		CHECK_EQ(SYS(futex, &other_word, FUTEX_WAKE_OP_PRIVATE, 1, 1,
			     with_tag(word, tags[i]),
			     FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 0)),
			 0, "FUTEX_WAKE_OP, tag %u", tags[i]);
		CHECK_EQ(*word, 12, "the word after FUTEX_WAKE_OP, tag %u", tags[i]);
		CHECK_EQ(call_futex_wait(with_tag(word, BAD)), -EFAULT, "FUTEX_WAIT after it");
		CHECK_EQ(SYS(clock_gettime, CLOCK_MONOTONIC, with_tag(word, BAD)), -EFAULT,
			 "clock_gettime() after it");
	}
	CHECK_EQ(fault.count, 0, "signals");
}

PROBE(CASE(structures), CASE(sendfile_offset), CASE(vectors), CASE(aio_blocks), CASE(futexes),
      CASE(futex_wake_op));
