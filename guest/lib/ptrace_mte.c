/* SPDX-License-Identifier: MIT */
#include "ptrace_mte.h"

#include <sys/syscall.h>

struct tracee_shared *tracee;

/* Waits until the tracee stops after a job; passes SIGSEGV on to it before that. */
static void tracee_wait_stopped(pid_t pid)
{
	int status;

	MUST(waitpid(pid, &status, 0) == pid, "waitpid");
	while (WIFSTOPPED(status) && WSTOPSIG(status) == SIGSEGV) {
		MUST(ptrace(PTRACE_CONT, pid, 0, SIGSEGV) == 0, "PTRACE_CONT");
		MUST(waitpid(pid, &status, 0) == pid, "waitpid");
	}
	ktap_hand_on(status);
	MUST(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP,
	     "expected the tracee to stop, wait status %#x", status);
}

pid_t tracee_start(void)
{
	pid_t pid;

	if (!tracee) {
		tracee =
			mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		MUST(tracee != MAP_FAILED, "mmap");
	}
	pid = child_fork();
	if (!pid) {
		MUST(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0, "PTRACE_TRACEME");
		for (;;) {
			raise(SIGSTOP);
			tracee->job();
		}
	}
	tracee_wait_stopped(pid);
	/* Without PTRACE_O_EXITKILL it would run its last job again when the case ends. */
	MUST(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL) == 0, "PTRACE_SETOPTIONS");
	return pid;
}

void tracee_run(pid_t pid, void (*job)(void))
{
	tracee->job = job;
	MUST(ptrace(PTRACE_CONT, pid, 0, 0) == 0, "PTRACE_CONT");
	tracee_wait_stopped(pid);
}

void tracee_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

char *scattered_map(size_t pages)
{
	size_t pool = 2 * pages, i, j;
	char *from = mte_map(pool * PAGE), *to = mte_map((pages + 1) * PAGE);
	uint64_t frames[pool], last = 0;

	memset(from, 1, pool * PAGE);
	for (j = 0; j < pool; j++)
		frames[j] = pfn_of(from + j * PAGE);
	for (i = 0; i < pages; i++) {
		/* Skips moved pages (0). Of any two left, one does not follow the last frame. */
		for (j = 0; !frames[j] || frames[j] == last + 1; j++)
			;
		last = frames[j];
		frames[j] = 0;
		MUST(mremap(from + j * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			    to + i * PAGE) == to + i * PAGE,
		     "mremap");
	}
	MUST(munmap(to + pages * PAGE, PAGE) == 0, "munmap");
	return to;
}

int mte_request(long request, pid_t pid, const void *addr, void *buf, size_t *count)
{
	struct iovec iov = { buf, *count };
	/* Not glibc's ptrace(), which treats the result of PEEK requests as data. */
	int ret = syscall(SYS_ptrace, request, pid, addr, &iov);

	*count = iov.iov_len;
	return ret ? -errno : 0;
}

int peek_tags(pid_t pid, const void *addr, void *buf, size_t *count)
{
	return mte_request(PTRACE_PEEKMTETAGS, pid, addr, buf, count);
}

int poke_tags(pid_t pid, const void *addr, void *buf, size_t *count)
{
	return mte_request(PTRACE_POKEMTETAGS, pid, addr, buf, count);
}

void must_poke(pid_t pid, const void *addr, const void *tags, size_t count)
{
	size_t n = count;
	int ret = poke_tags(pid, addr, (void *)tags, &n);

	MUST(ret == 0 && n == count, "poke %zu tags at %p: %d, %zu tags", count, addr, ret, n);
}

bool check_peek(pid_t pid, const void *addr, const unsigned char *want, size_t count,
		const char *when)
{
	enum { EDGE = 16, CANARY = 0xee };
	unsigned char *buf = malloc(count + 2 * EDGE);
	size_t n = count, i, bad = 0;
	int ret;

	MUST(buf, "malloc");
	memset(buf, CANARY, count + 2 * EDGE);
	ret = peek_tags(pid, addr, buf + EDGE, &n);
	if (!CHECK_EQ(ret, 0, "%s: peek %zu tags at %p", when, count, addr) ||
	    !CHECK_EQ(n, count, "%s: tags transferred", when)) {
		free(buf);
		return false;
	}
	for (i = 0; i < EDGE; i++)
		bad += buf[i] != CANARY || buf[EDGE + count + i] != CANARY;
	CHECK_EQ(bad, 0, "%s: bytes around the buffer that peek of %zu tags changed", when, count);
	for (i = 0; i < count; i++)
		if (buf[EDGE + i] != want[i] && bad++ < 2)
			CHECK(false, "%s: tag %zu of %zu at %p: expected %#x, saw %#x", when, i,
			      count, addr, want[i], buf[EDGE + i]);
	free(buf);
	return !bad;
}

void pattern_tags(unsigned char *tags, size_t count, uint64_t seed, uint64_t first)
{
	size_t i;

	for (i = 0; i < count; i++)
		tags[i] = pattern_tag(seed, first + i);
}
