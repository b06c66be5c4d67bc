/* SPDX-License-Identifier: MIT */
/*
 * probe: ptrace_errors
 * needs: CONFIG_ARM64_MTE
 * fixed: 6.5 ca5e863233e8 no_tags_asked_for
 * timeout: 30
 *
 * PTRACE_PEEKMTETAGS and POKEMTETAGS refuse what they cannot do with the right error,
 * transfer nothing then, and do not change iov_len. Memory without PROT_MTE gives EIO; the
 * documentation said EOPNOTSUPP until 2026, but the code never returned it.
 * arch/arm64/kernel/mte.c mte_ptrace_copy_tags(), access_remote_tags(),
 * __access_remote_tags().
 */
#include <grp.h>

#include "fault.h"
#include "ptrace_mte.h"

enum { PEEK = PTRACE_PEEKMTETAGS, POKE = PTRACE_POKEMTETAGS };

static const long requests[] = { PEEK, POKE };
static const char *const request_name[] = { "peek", "poke" };

static void map_one_page(void)
{
	char *p = mte_map(2 * PAGE);

	pattern_set(p, PAGE, 5);
	munmap(p + PAGE, PAGE);
	tracee->mem = p;
}

static void check_pattern(void)
{
	pattern_check(tracee->mem, PAGE, 5, "in the tracee, after refused requests");
}

static pid_t start(void)
{
	pid_t pid;

	mte_need();
	pid = tracee_start();
	tracee_run(pid, map_one_page);
	return pid;
}

/* Checks that both requests for tags at `addr` fail with error `want`. */
static void check_error(pid_t pid, const void *addr, int want, const char *what)
{
	unsigned char buf[8];
	size_t n, i;
	int r;

	for (r = 0; r < 2; r++) {
		memset(buf, 0x0e, sizeof(buf));
		n = sizeof(buf);
		CHECK_EQ(mte_request(requests[r], pid, addr, buf, &n), -want, "%s %s",
			 request_name[r], what);
		CHECK_EQ(n, sizeof(buf), "%s %s: iov_len after the error", request_name[r], what);
		for (i = 0; i < sizeof(buf); i++)
			CHECK_EQ(buf[i], 0x0e, "%s %s: byte %zu of the buffer", request_name[r],
				 what, i);
	}
}

static void no_memory_there(void)
{
	pid_t pid = start();

	check_error(pid, tracee->mem + PAGE, EIO, "of an unmapped page");
	check_error(pid, NULL, EIO, "of address 0");
	check_error(pid, (void *)0xffff800080000000UL, EIO, "of a kernel address");
	check_error(pid, (void *)0x0001000000000000UL, EIO, "of an address beyond user space");
	tracee_run(pid, check_pattern);
}

/* Tracee: maps two pages without PROT_MTE, and touches one of them. */
static void map_untagged(void)
{
	tracee->mem =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(tracee->mem, 1, PAGE);
}

static void memory_without_prot_mte(void)
{
	pid_t pid = start();

	tracee_run(pid, map_untagged);
	check_error(pid, tracee->mem, EIO, "of memory without PROT_MTE");
	check_error(pid, tracee->mem + PAGE, EIO, "of untouched memory without PROT_MTE");
	check_error(pid, &requests, EIO, "of the program file");
}

/*
 * A request for no tags touches no page. Until 6.5, __access_remote_tags() then decided by
 * a variable that it had never set whether the error is EIO or EFAULT.
 */
static void no_tags_asked_for(void)
{
	pid_t pid = start();
	unsigned char buf[4] = { 9, 9, 9, 9 };
	size_t n;
	int r;

	for (r = 0; r < 2; r++) {
		n = 0;
		CHECK_EQ(mte_request(requests[r], pid, tracee->mem, buf, &n), -EFAULT,
			 "%s of 0 tags", request_name[r]);
		CHECK_EQ(buf[0], 9, "%s of 0 tags: the buffer", request_name[r]);
	}
	tracee_run(pid, check_pattern);
}

static void bad_tracer_buffer(void)
{
	pid_t pid = start();
	char *hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *read_only = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t n;
	int r;

	MUST(hole != MAP_FAILED && read_only != MAP_FAILED, "mmap");
	for (r = 0; r < 2; r++) {
		n = 4;
		CHECK_EQ(mte_request(requests[r], pid, tracee->mem, hole, &n), -EFAULT,
			 "%s with a buffer that is not there", request_name[r]);
		CHECK_EQ(n, 4, "iov_len");
		n = 4;
		CHECK_EQ(mte_request(requests[r], pid, tracee->mem, (void *)0xffff800080000000UL,
				     &n),
			 -EFAULT, "%s with a buffer in the kernel", request_name[r]);
		n = SIZE_MAX / 2;
		CHECK_EQ(mte_request(requests[r], pid, tracee->mem, (char *)&n, &n), -EFAULT,
			 "%s of more tags than user space has bytes", request_name[r]);
		CHECK_EQ(syscall(SYS_ptrace, requests[r], pid, tracee->mem, hole), -1,
			 "%s with an iovec that is not there", request_name[r]);
		CHECK_EQ(errno, EFAULT, "errno of %s with an iovec that is not there",
			 request_name[r]);
	}
	n = 4;
	CHECK_EQ(mte_request(PEEK, pid, tracee->mem, read_only, &n), -EFAULT,
		 "peek into a read-only buffer");
	n = 4;
	tracee_run(pid, check_pattern);
	/* A poke only reads the buffer, so a read-only one is accepted. */
	CHECK_EQ(mte_request(POKE, pid, tracee->mem, read_only, &n), 0,
		 "poke from a read-only buffer");
	CHECK_EQ(n, 4, "tags transferred from a read-only buffer");
}

static void not_a_stopped_tracee(void)
{
	unsigned char buf[4];
	pid_t pid = start(), other = child_fork();
	size_t n = 4;
	int r;

	if (!other) {
		pause();
		_exit(0);
	}
	for (r = 0; r < 2; r++) {
		CHECK_EQ(mte_request(requests[r], other, tracee->mem, buf, &n), -ESRCH,
			 "%s of a child that is not traced", request_name[r]);
		CHECK_EQ(mte_request(requests[r], 1, tracee->mem, buf, &n), -ESRCH, "%s of init",
			 request_name[r]);
		CHECK_EQ(mte_request(requests[r], 0x7fffffff, tracee->mem, buf, &n), -ESRCH,
			 "%s of a process that does not exist", request_name[r]);
	}
	tracee_run(pid, check_pattern);
	tracee_end(other);
	MUST(ptrace(PTRACE_DETACH, pid, 0, SIGSTOP) == 0, "PTRACE_DETACH");
	CHECK_EQ(peek_tags(pid, tracee->mem, buf, &n), -ESRCH, "peek after PTRACE_DETACH");
}

static void run_on(void)
{
	tracee->value[0] = 1;
	for (;;)
		pause();
}

static void running_tracee(void)
{
	unsigned char buf[4];
	pid_t pid = start();
	size_t n = 4;

	tracee->job = run_on;
	MUST(ptrace(PTRACE_CONT, pid, 0, 0) == 0, "PTRACE_CONT");
	while (!*(volatile long *)&tracee->value[0])
		;
	CHECK_EQ(peek_tags(pid, tracee->mem, buf, &n), -ESRCH, "peek of a running tracee");
	CHECK_EQ(poke_tags(pid, tracee->mem, buf, &n), -ESRCH, "poke of a running tracee");
}

static void undumpable(void)
{
	MUST(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0, "PR_SET_DUMPABLE");
}

/* A tracer without CAP_SYS_PTRACE, whose tracee has become undumpable meanwhile. */
static void undumpable_tracee(void)
{
	pid_t pid;

	mte_need();
	MUST(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0, "setuid");
	MUST(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0, "PR_SET_DUMPABLE");
	pid = tracee_start();
	tracee_run(pid, map_one_page);
	check_peek(pid, tracee->mem, (unsigned char[]){ pattern_tag(5, 0) }, 1, "dumpable tracee");
	tracee_run(pid, undumpable);
	check_error(pid, tracee->mem, EPERM, "of an undumpable tracee");
}

PROBE(CASE(no_memory_there), CASE(memory_without_prot_mte), CASE(no_tags_asked_for),
      CASE(bad_tracer_buffer), CASE(not_a_stopped_tracee), CASE(running_tracee),
      CASE(undumpable_tracee));
