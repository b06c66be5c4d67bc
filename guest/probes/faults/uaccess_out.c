/* SPDX-License-Identifier: MIT */
/*
 * probe: uaccess_out
 * needs: CONFIG_ARM64_MTE CONFIG_EPOLL CONFIG_AIO CONFIG_TIMERFD CONFIG_UNIX CONFIG_SYSVIPC
 * timeout: 60
 *
 * System calls that write a result through a pointer: EFAULT if the tag of any of its
 * bytes mismatches, of the first as of the last, and no byte of a mismatching granule is
 * written; success if the result ends right before it, and always in asynchronous mode and
 * in mode none. put_user() of 2, 4 and 8 bytes, unsafe_put_user(), copy_to_user(),
 * clear_user(): arch/arm64/include/asm/uaccess.h, arch/arm64/lib/copy_to_user.S.
 */
#include <linux/aio_abi.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/un.h>
#include <sys/utsname.h>

#include "child.h"
#include "uaccess.h"

/* --- put_user(): one integer ---------------------------------------------- */

static int a_pipe(int nonblock)
{
	static int fds[2] = { -1, -1 };

	if (fds[0] < 0)
		MUST(pipe2(fds, O_NONBLOCK) == 0, "pipe2");
	return fds[nonblock];
}

SIMPLE_CALL(fionread, ioctl, a_pipe(0), FIONREAD, p)
SIMPLE_CALL(pdeathsig, prctl, PR_GET_PDEATHSIG, p, 0, 0, 0)
SIMPLE_CALL(subreaper, prctl, PR_GET_CHILD_SUBREAPER, p, 0, 0, 0)
SIMPLE_CALL(getcpu, getcpu, p, 0, 0)
SIMPLE_CALL(getresuid, getresuid, p, p, p)
POINTER_CALL(robust_list)
{
	static size_t length;
	return SYS(get_robust_list, 0, p, &length);
}

POINTER_CALL(io_setup)
{
	aio_context_t id = 0;
	long result;

	/* The kernel requires a zero there. */
	unchecked_fill(p, 0, sizeof(id));
	result = SYS(io_setup, 1, p);
	unchecked_copy(&id, p, sizeof(id));
	if (result == 0) {
		SYS(io_destroy, id);
		unchecked_fill(p, 1, 1);
	} else {
		unchecked_fill(p, WALL_FILL, sizeof(id));
	}
	return result;
}

/* A child that exits with 3, and for which nothing has waited yet. */
static pid_t exited_child(void)
{
	pid_t pid = SYS(clone, SIGCHLD, 0, 0, 0, 0);

	if (pid == 0)
		SYS(exit_group, 3);
	MUST(pid > 0, "clone: %d", pid);
	return pid;
}

POINTER_CALL(wait4)
{
	pid_t pid = exited_child();
	long result;
	int status;

	result = SYS(wait4, pid, p, 0, 0);
	if (result == -EFAULT) /* the child was reaped nevertheless */
		CHECK_EQ(SYS(wait4, pid, &status, 0, 0), -ECHILD, "wait4() again");
	return result;
}

POINTER_CALL(waitid)
{
	pid_t pid = exited_child();
	long result = SYS(waitid, P_PID, pid, p, WEXITED | WNOWAIT, 0);

	wait_child_exit(pid, 3);
	return result;
}

static void put_user_calls(void)
{
	static const struct pointer_call calls[] = {
		{ "ioctl(FIONREAD)", 4, call_fionread, NULL, 0 },
		{ "prctl(PR_GET_PDEATHSIG)", 4, call_pdeathsig, NULL, 0 },
		{ "prctl(PR_GET_CHILD_SUBREAPER)", 4, call_subreaper, NULL, 0 },
		{ "getcpu", 4, call_getcpu, NULL, 0 },
		{ "getresuid", 4, call_getresuid, NULL, 0 },
		{ "get_robust_list", 8, call_robust_list, NULL, 0 },
		{ "io_setup", 8, call_io_setup, NULL, 0 },
		{ "wait4", 4, call_wait4, NULL, 0 },
	};

	CHECK_POINTER_CALLS(calls);
}

/* --- block device ioctls: 2, 4 and 8 bytes -------------------------------- */

static int disk = -1;

SIMPLE_CALL(sectget, ioctl, disk, BLKSECTGET, p)
SIMPLE_CALL(sszget, ioctl, disk, BLKSSZGET, p)
SIMPLE_CALL(getsize64, ioctl, disk, BLKGETSIZE64, p)

static void put_user_sizes(void)
{
	static const struct pointer_call calls[] = {
		{ "ioctl(BLKSECTGET), 2 bytes", 2, call_sectget, NULL, 0 },
		{ "ioctl(BLKSSZGET), 4 bytes", 4, call_sszget, NULL, 0 },
		{ "ioctl(BLKGETSIZE64), 8 bytes", 8, call_getsize64, NULL, 0 },
	};
	static const char *const names[] = { "/dev/vda",     "/dev/vdb",     "/dev/zram0",
					     "/dev/nvme0n1", "/dev/mmcblk0", "/dev/sda",
					     "/dev/loop0" };
	unsigned int i;

	for (i = 0; disk < 0 && i < ARRAY_SIZE(names); i++)
		disk = open(names[i], O_RDONLY);
	MUST(disk >= 0, "open a block device");
	CHECK_POINTER_CALLS(calls);
}

/* --- copy_to_user(): structures ------------------------------------------- */

SIMPLE_CALL(uname, uname, p)
SIMPLE_CALL(fstat, fstat, a_pipe(0), p)
SIMPLE_CALL(newfstatat, newfstatat, AT_FDCWD, "/", p, 0)
SIMPLE_CALL(statx, statx, AT_FDCWD, "/", 0, STATX_BASIC_STATS, p)
SIMPLE_CALL(statfs, statfs, "/tmp", p)
SIMPLE_CALL(clock_gettime, clock_gettime, CLOCK_MONOTONIC, p)
SIMPLE_CALL(clock_getres, clock_getres, CLOCK_MONOTONIC, p)
SIMPLE_CALL(times, times, p)
SIMPLE_CALL(getrusage, getrusage, RUSAGE_SELF, p)
SIMPLE_CALL(sysinfo, sysinfo, p)
SIMPLE_CALL(prlimit, prlimit64, 0, RLIMIT_NOFILE, 0, p)
SIMPLE_CALL(getitimer, getitimer, ITIMER_REAL, p)
SIMPLE_CALL(sigaction_old, rt_sigaction, SIGUSR1, 0, p, 8)
SIMPLE_CALL(sigprocmask_old, rt_sigprocmask, SIG_BLOCK, 0, p, 8)
SIMPLE_CALL(sigpending, rt_sigpending, p, 8)
SIMPLE_CALL(sigaltstack_old, sigaltstack, 0, p)
SIMPLE_CALL(getparam, sched_getparam, 0, p)
SIMPLE_CALL(rr_interval, sched_rr_get_interval, 0, p)
SIMPLE_CALL(getcwd, getcwd, p, 64)
SIMPLE_CALL(getname, prctl, PR_GET_NAME, p, 0, 0, 0)
SIMPLE_CALL(getrandom, getrandom, p, 48, 0)
SIMPLE_CALL(readlink, readlinkat, AT_FDCWD, "/proc/self/exe", p, 100)

static long close_both(long result, const void *p)
{
	int fds[2];

	if (result == 0) {
		unchecked_copy(fds, p, sizeof(fds));
		close(fds[0]);
		close(fds[1]);
	}
	return result;
}

POINTER_CALL(pipe2)
{
	return close_both(SYS(pipe2, p, O_CLOEXEC), p);
}
POINTER_CALL(socketpair)
{
	return close_both(SYS(socketpair, AF_UNIX, SOCK_STREAM, 0, p), p);
}

static void structures(void)
{
	static const struct pointer_call calls[] = {
		{ "uname", sizeof(struct utsname), call_uname, NULL, 0 },
		{ "fstat", sizeof(struct stat), call_fstat, NULL, 0 },
		{ "newfstatat", sizeof(struct stat), call_newfstatat, NULL, 0 },
		{ "statx", sizeof(struct statx), call_statx, NULL, 0 },
		{ "statfs", sizeof(struct statfs), call_statfs, NULL, 0 },
		{ "clock_gettime", 16, call_clock_gettime, NULL, 0 },
		{ "clock_getres", 16, call_clock_getres, NULL, 0 },
		{ "times", sizeof(struct tms), call_times, NULL, 0 },
		{ "getrusage", sizeof(struct rusage), call_getrusage, NULL, 0 },
		{ "sysinfo", sizeof(struct sysinfo), call_sysinfo, NULL, 0 },
		{ "prlimit64", 16, call_prlimit, NULL, 0 },
		{ "getitimer", 32, call_getitimer, NULL, 0 },
		{ "rt_sigaction, old", 32, call_sigaction_old, NULL, 0 },
		{ "rt_sigprocmask, old", 8, call_sigprocmask_old, NULL, 0 },
		{ "rt_sigpending", 8, call_sigpending, NULL, 0 },
		{ "sigaltstack, old", sizeof(stack_t), call_sigaltstack_old, NULL, 0 },
		{ "sched_getparam", 4, call_getparam, NULL, 0 },
		{ "sched_rr_get_interval", 16, call_rr_interval, NULL, 0 },
		{ "pipe2", 8, call_pipe2, NULL, 0 },
		{ "socketpair", 8, call_socketpair, NULL, 0 },
		{ "prctl(PR_GET_NAME)", 16, call_getname, NULL, 0 },
		{ "waitid", 28, call_waitid, NULL, 0 },
	};

	CHECK_POINTER_CALLS(calls);
}

/* Results whose length the kernel finds first: a path with its NUL, the text of a link. */
static void lengths_of_the_kernel(void)
{
	struct pointer_call calls[] = {
		{ "getcwd", 0, call_getcwd, NULL, 0 },
		{ "readlinkat", 0, call_readlink, NULL, 0 },
	};
	char text[100];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		long length = calls[i].call(text);

		MUST(length > 1, "%s: %ld", calls[i].name, length);
		calls[i].size = length;
	}
	CHECK_POINTER_CALLS(calls);
}

/* --- calls on file descriptors and other objects -------------------------- */

POINTER_CALL(epoll_wait)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 0x1234567812345678 };
	int epoll = epoll_create1(0), ready = eventfd(1, 0);
	long result;

	MUST(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, ready, &event) == 0, "epoll_ctl");
	result = SYS(epoll_pwait, epoll, p, 1, 0, 0, 8);
	close(epoll);
	close(ready);
	return result;
}

POINTER_CALL(timerfd_gettime)
{
	int timer = timerfd_create(CLOCK_MONOTONIC, 0);
	long result = SYS(timerfd_gettime, timer, p);

	close(timer);
	return result;
}

POINTER_CALL(eventfd_read)
{
	int event = eventfd(5, EFD_NONBLOCK);
	long result = SYS(read, event, p, 8);

	close(event);
	return result;
}

POINTER_CALL(getsockopt)
{
	socklen_t length = 4;
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	long result = SYS(getsockopt, s, SOL_SOCKET, SO_TYPE, p, &length);

	close(s);
	return result;
}

POINTER_CALL(shm_stat)
{
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	long result = SYS(shmctl, id, IPC_STAT, p);

	shmctl(id, IPC_RMID, NULL);
	return result;
}

POINTER_CALL(mincore)
{
	static unsigned char memory[40 * PAGE] __attribute__((aligned(PAGE)));

	return SYS(mincore, memory, sizeof(memory), p);
}

static void objects(void)
{
	static const struct pointer_call calls[] = {
		{ "epoll_pwait", sizeof(struct epoll_event), call_epoll_wait, NULL, 0 },
		{ "timerfd_gettime", 32, call_timerfd_gettime, NULL, 0 },
		{ "read of an eventfd", 8, call_eventfd_read, NULL, 0 },
		{ "getsockopt", 4, call_getsockopt, NULL, 0 },
		{ "shmctl(IPC_STAT)", sizeof(struct shmid_ds), call_shm_stat, NULL, 0 },
		{ "mincore", 40, call_mincore, NULL, 0 },
	};

	CHECK_POINTER_CALLS(calls);
}

/* clone() makes the child nevertheless: the kernel ignores the error of the put_user(). */
static void clone_parent_tid(void)
{
	static const struct {
		unsigned long tcf;
		unsigned int tag;
		bool written;
	} ways[] = {
		{ TCF_SYNC, GOOD, true },
		{ TCF_SYNC, BAD, false },
		{ TCF_ASYNC, BAD, true },
		{ TCF_NONE, BAD, true },
	};
	int i;

	mte_need();
	catch_signal(SIGSEGV, 0);
	wall_build(PAGE);
	for (i = 0; i < 4; i++) {
		pid_t pid;

		mte_mode(ways[i].tcf);
		unchecked_fill(wall_area, WALL_FILL, GRANULE);
		pid = SYS(clone, SIGCHLD | CLONE_PARENT_SETTID, 0, with_tag(wall_area, ways[i].tag),
			  0, 0);
		if (pid == 0)
			SYS(exit_group, 0);
		MUST(pid > 0, "clone: %d", pid);
		wait_child(pid);
		CHECK_EQ(first_not(wall_area, WALL_FILL, 4) < 4, ways[i].written,
			 "mode %#lx, pointer tag %u: parent_tid written", ways[i].tcf, ways[i].tag);
	}
	CHECK_EQ(fault.count, 0, "signals");
}

/* getrandom() returns a short count, as read() does. */
static void getrandom_is_short(void)
{
	int good;

	mte_need();
	wall_build(2 * PAGE);
	mte_mode(TCF_SYNC);
	for (good = 0; good <= 48; good++) {
		long result;

		unchecked_fill(wall_area, WALL_FILL, WALL_PAGES * PAGE);
		result = call_getrandom(wall - good);
		if (good == 0)
			CHECK_EQ(result, -EFAULT, "no byte matches");
		else
			CHECK(result > 0 && result <= good && (good < 48 || result == 48),
			      "%d of 48 bytes match: expected a count of 1 to %d, saw %ld", good,
			      good, result);
		CHECK_EQ(first_not(wall, WALL_FILL, 64), 64, "bytes of the mismatch untouched");
	}
}

PROBE(CASE(put_user_calls), CASE(put_user_sizes), CASE(structures), CASE(lengths_of_the_kernel),
      CASE(objects), CASE(clone_parent_tid), CASE(getrandom_is_short));
