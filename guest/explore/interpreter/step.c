// SPDX-License-Identifier: MIT
/* What each step does. */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "mte.h"
#include "procfs.h"
#include "ptrace_mte.h"
#include "steps.h"

extern __thread sigjmp_buf fault_return;
extern __thread volatile sig_atomic_t fault_armed;

/* Runs a statement that a signal may cut short; fault_code is 0 or its si_code then. */
#define GUARDED(statement)                         \
	do {                                       \
		fault_code = 0;                    \
		if (!sigsetjmp(fault_return, 1)) { \
			fault_armed = 1;           \
			statement;                 \
		}                                  \
		fault_armed = 0;                   \
	} while (0)

#define BUFFER 4096

static void store_tags(char *p, size_t granules, unsigned int tag, enum tag_store how)
{
	size_t i;

	switch (how) {
	case STORE_STG:
		for (i = 0; i < granules; i++)
			stg(p + i * GRANULE, tag);
		break;
	case STORE_ST2G:
		for (i = 0; i + 1 < granules; i += 2)
			st2g(p + i * GRANULE, tag);
		if (i < granules)
			stg(p + i * GRANULE, tag);
		break;
	case STORE_STZG:
		for (i = 0; i < granules; i++)
			stzg(p + i * GRANULE, tag);
		break;
	case STORE_GVA: /* a block of 64 bytes, by DCZID_EL0 of QEMU's CPUs */
		for (i = 0; i < granules; i += 4)
			asm volatile(".arch_extension memtag\n dc gva, %0"
				     :
				     : "r"(with_tag(p + i * GRANULE, tag))
				     : "memory");
		break;
	case STORE_GZVA:
		for (i = 0; i < granules; i += 4)
			asm volatile(".arch_extension memtag\n dc gzva, %0"
				     :
				     : "r"(with_tag(p + i * GRANULE, tag))
				     : "memory");
		break;
	}
}

/* Plain stores of the whole granule, without tag checks. */
static void fill(char *p, size_t granules, unsigned char byte)
{
	uint64_t word = 0x0101010101010101UL * byte;
	volatile uint64_t *words = (volatile uint64_t *)p;
	size_t i;

	set_tco(1);
	for (i = 0; i < granules * GRANULE / 8; i++)
		words[i] = word;
	set_tco(0);
}

static int64_t load(const volatile unsigned char *p)
{
	unsigned char byte = 0;

	GUARDED(byte = *p; syscall(SYS_getppid));
	return fault_code ? -fault_code : byte;
}

/* Stores a granule through a pointer with a tag, which is checked as the mode says. */
static int64_t store(volatile uint64_t *words, unsigned char byte)
{
	uint64_t word = 0x0101010101010101UL * byte;

	/* An asynchronous fault is reported when the kernel is entered, which getppid() does. */
	GUARDED(words[0] = word; words[1] = word; syscall(SYS_getppid));
	return -fault_code;
}

int memory_check(uint32_t number, const char *p, const struct run *runs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t word = 0x0101010101010101UL * (uint8_t)runs[i].byte;
		int tag = runs[i].tag;

		for (size_t n = runs[i].granules; n; n--, p += GRANULE) {
			const volatile uint64_t *words = (const volatile uint64_t *)p;

			if (tag >= 0 && (int)ldg(p) != tag) {
				set_tco(0);
				deviate(number, "tag at %p: expected %d, saw %u", (void *)p, tag,
					ldg(p));
				return 1;
			}
			if (runs[i].byte >= 0 && (words[0] != word || words[1] != word)) {
				uint64_t first = words[0], second = words[1];

				set_tco(0);
				deviate(number,
					"data at %p: expected %02x in each byte, saw %016llx %016llx",
					(void *)p, runs[i].byte, (unsigned long long)first,
					(unsigned long long)second);
				return 1;
			}
		}
	}
	return 0;
}

static int64_t check(const struct step *step)
{
	int wrong = 0;

	GUARDED(set_tco(1); wrong = memory_check(control->turn, (const char *)step->args[0],
						 (const struct run *)step->args[1], step->args[2]);
		set_tco(0));
	set_tco(0);
	if (fault_code)
		deviate(control->turn, "reading memory: a signal with si_code %d", fault_code);
	return wrong;
}

static void *thread(void *actor)
{
	control->pids[(uintptr_t)actor] = syscall(SYS_gettid);
	actor_run((uintptr_t)actor);
}

/*
 * A process like fork(2)'s whose parent is the supervisor, which so learns how each one ends.
 * actor_run() uses nothing of the C library that knows the process's number.
 */
static int64_t begin_process(unsigned int actor)
{
	pid_t pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

	if (pid == 0) {
		actor_run(actor);
	} else if (pid > 0) {
		control->pids[actor] = pid;
	}
	return pid < 0 ? -errno : 0;
}

static int64_t begin_thread(unsigned int actor)
{
	pthread_t id;

	return -pthread_create(&id, NULL, thread, (void *)(uintptr_t)actor);
}

static int64_t make_file(int fd, size_t length)
{
	int made = syscall(SYS_memfd_create, "explore", 0);
	int64_t result = made < 0 || ftruncate(made, length) < 0 || dup2(made, fd) < 0 ? -errno : 0;

	if (made >= 0)
		close(made);
	return result;
}

static int64_t pipe_read(long pointer, size_t bytes, unsigned char byte)
{
	char buffer[BUFFER];
	int ends[2];
	long got;

	if (pipe(ends) < 0)
		return -errno;
	memset(buffer, byte, bytes);
	got = write(ends[1], buffer, bytes) == (ssize_t)bytes
		      ? syscall(SYS_read, ends[0], pointer, bytes)
		      : -1;
	got = got < 0 ? -errno : got;
	close(ends[0]);
	close(ends[1]);
	return got;
}

static int64_t same(const char *buffer, size_t bytes, unsigned char byte)
{
	for (size_t i = 0; i < bytes; i++)
		if ((unsigned char)buffer[i] != byte)
			return -EBADMSG;
	return bytes;
}

static int64_t pipe_write(long pointer, size_t bytes, unsigned char byte)
{
	char buffer[BUFFER];
	int ends[2];
	long got;

	if (pipe(ends) < 0)
		return -errno;
	got = syscall(SYS_write, ends[1], pointer, bytes);
	got = got < 0 ? -errno : got;
	if (got == (long)bytes)
		got = read(ends[0], buffer, bytes) == got ? same(buffer, bytes, byte) : -EIO;
	close(ends[0]);
	close(ends[1]);
	return got;
}

static int64_t peer_access(const struct step *step, bool writes)
{
	char buffer[BUFFER];
	size_t bytes = step->args[2];
	struct iovec own = { buffer, bytes }, peer = { (void *)step->args[1], bytes };
	pid_t pid = control->pids[step->args[0]];
	long got;

	memset(buffer, step->args[3], bytes);
	if (writes)
		got = process_vm_writev(pid, &own, 1, &peer, 1, 0);
	else
		got = process_vm_readv(pid, &own, 1, &peer, 1, 0);
	got = got < 0 ? -errno : got;
	return writes || got != (long)bytes ? got : same(buffer, bytes, step->args[3]);
}

static int64_t peer_tags(const struct step *step, int request)
{
	unsigned char tags[BUFFER / GRANULE];
	size_t granules = step->args[2];
	struct iovec own = { tags, granules };
	pid_t pid = control->pids[step->args[0]];
	int64_t got;
	int status;

	memset(tags, step->args[3], granules);
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0)
		return -errno;
	if (ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0 || waitpid(pid, &status, __WALL) < 0)
		return -errno;
	got = ptrace(request, pid, step->args[1], &own) < 0 ? -errno : (int64_t)own.iov_len;
	ptrace(PTRACE_DETACH, pid, 0, 0);
	if (request != PTRACE_PEEKMTETAGS || got != (int64_t)granules)
		return got;
	return same((const char *)tags, granules, step->args[3]);
}

/* The huge pages of this process there: Documentation/admin-guide/mm/transhuge.rst. */
static int64_t split_huge(unsigned long address, unsigned long length)
{
	char text[80];

	snprintf(text, sizeof(text), "%ld,0x%lx,0x%lx", (long)syscall(SYS_getpid), address,
		 address + length);
	return try_write_file("/sys/kernel/debug/split_huge_pages", text) ? -errno : 0;
}

int64_t step_run(const struct step *step)
{
	const int64_t *a = step->args;
	long result;

	switch (step->code) {
	case STEP_CALL:
		result = syscall(step->number, a[0], a[1], a[2], a[3], a[4], a[5]);
		return result == -1 ? -errno : result;
	case STEP_TAGS:
		GUARDED(store_tags((char *)a[0], a[1], a[2], a[3]));
		return -fault_code;
	case STEP_FILL:
		GUARDED(fill((char *)a[0], a[1], a[2]));
		set_tco(0);
		return -fault_code;
	case STEP_PATTERN:
		for (int64_t i = 0; i < a[1]; i++) {
			char *p = (char *)a[0] + i * PAGE;

			if (a[2])
				store_tags(p, GRANULES_PER_PAGE, 1 + (a[2] + i) % 15, STORE_STG);
			fill(p, GRANULES_PER_PAGE, (a[3] + i) % 251);
		}
		return 0;
	case STEP_LOAD:
		return load((const unsigned char *)a[0]);
	case STEP_STORE:
		return store((uint64_t *)a[0], a[1]);
	case STEP_CHECK:
		return check(step);
	case STEP_FORK:
		return begin_process(a[0]);
	case STEP_THREAD:
		return begin_thread(a[0]);
	case STEP_FILE:
		return try_write_file((const char *)a[0], (const char *)a[1]) ? -errno : 0;
	case STEP_MEMFD:
		return make_file(a[0], a[1]);
	case STEP_READ:
		return pipe_read(a[0], a[1], a[2]);
	case STEP_WRITE:
		return pipe_write(a[0], a[1], a[2]);
	case STEP_PEER_READ:
		return peer_access(step, false);
	case STEP_PEER_WRITE:
		return peer_access(step, true);
	case STEP_PEEK_TAGS:
		return peer_tags(step, PTRACE_PEEKMTETAGS);
	case STEP_POKE_TAGS:
		return peer_tags(step, PTRACE_POKEMTETAGS);
	case STEP_SPLIT:
		return split_huge(a[0], a[1]);
	case STEP_SLEEP:
		usleep(a[0] * 1000);
		return 0;
	case STEP_SHELL:
		return system((const char *)a[0]);
	case STEP_UFFD_COPY:
	case STEP_UFFD_ZERO:
	case STEP_UFFD_PROTECT:
	case STEP_UFFD_MOVE:
		return uffd_step(step);
	}
	return -ENOSYS;
}
