/* SPDX-License-Identifier: MIT */
/*
 * probe: ptrace_memory
 * needs: CONFIG_ARM64_MTE CONFIG_CROSS_MEMORY_ATTACH
 * fixed: 6.5 22883973244b peekdata_pokedata proc_mem proc_mem_across_pages
 * timeout: 30
 *
 * A debugger reads and writes tagged memory through the tracee's own, tagged pointers
 * (22883973244b), with PEEKDATA, POKEDATA, /proc/PID/mem and process_vm_readv(). The
 * kernel makes these accesses: the tags of the tracee's memory are neither checked nor
 * changed. mm/memory.c __access_remote_vm(); mm/gup.c untagged_addr_remote();
 * mm/process_vm_access.c; fs/proc/base.c mem_rw().
 */
#include "fault.h"
#include "ptrace_mte.h"

enum { PAGES = 2, LEN = PAGES * PAGE, SEED = 51 };

static void map_pattern(void)
{
	tracee->mem = mte_map(LEN);
	pattern_set(tracee->mem, LEN, SEED);
	mte_mode(TCF_SYNC);
}

static pid_t start(void)
{
	pid_t pid;

	mte_need();
	/* The tracer's own accesses are checked. */
	mte_mode(TCF_SYNC);
	pid = tracee_start();
	tracee_run(pid, map_pattern);
	return pid;
}

/* A pointer to granule g: with its tag (kind 0), without a tag (1), with a wrong one (2). */
static void *pointer(size_t g, int kind)
{
	char *at = tracee->mem + g * GRANULE;

	return kind == 0   ? with_tag(at, pattern_tag(SEED, g))
	       : kind == 1 ? at
			   : with_tag(at, pattern_tag(SEED, g) ^ 15);
}

static uint64_t word_of(size_t g)
{
	return pattern_data(SEED, g);
}

static const char *const kind_name[] = { "with its tag", "without a tag", "with another tag" };
static const size_t granules[] = { 0, 1, GRANULES_PER_PAGE - 1, GRANULES_PER_PAGE,
				   2 * GRANULES_PER_PAGE - 1 };

static void check_tags_kept(void)
{
	pattern_check_tags(tracee->mem, LEN, SEED, "in the tracee");
}

static void check_new_words(void)
{
	size_t i;

	check_tags_kept();
	for (i = 0; i < 5; i++) {
		uint64_t *word = with_tag(tracee->mem + granules[i] * GRANULE,
					  pattern_tag(SEED, granules[i]));

		CHECK_EQ(word[0], 1000 + i, "word that the tracer wrote");
		CHECK_EQ(word[1], ~word_of(granules[i]), "word beside it");
	}
}

static void peekdata_pokedata(void)
{
	pid_t pid = start();
	size_t i;
	int kind;

	for (kind = 0; kind < 3; kind++) {
		for (i = 0; i < 5; i++) {
			errno = 0;
			CHECK_EQ(ptrace(PTRACE_PEEKDATA, pid, pointer(granules[i], kind), 0),
				 word_of(granules[i]), "PEEKDATA %s, granule %zu", kind_name[kind],
				 granules[i]);
			CHECK_EQ(errno, 0, "errno of PEEKDATA %s", kind_name[kind]);
		}
	}
	for (kind = 0; kind < 3; kind++) {
		for (i = 0; i < 5; i++)
			CHECK_EQ(ptrace(PTRACE_POKEDATA, pid, pointer(granules[i], kind),
					kind == 2 ? 1000 + i : 7),
				 0, "POKEDATA %s, granule %zu", kind_name[kind], granules[i]);
	}
	tracee_run(pid, check_new_words);
}

static void proc_mem(void)
{
	pid_t pid = start();
	char path[40];
	int fd, kind;
	size_t i;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR);
	MUST(fd >= 0, "open %s", path);
	for (kind = 0; kind < 3; kind++)
		for (i = 0; i < 5; i++) {
			uint64_t word = 0, new = kind == 2 ? 1000 + i : word_of(granules[i]);
			off_t at = (off_t)pointer(granules[i], kind);

			CHECK_EQ(pread(fd, &word, 8, at), 8, "read %s", kind_name[kind]);
			CHECK_EQ(word, word_of(granules[i]), "read %s, granule %zu",
				 kind_name[kind], granules[i]);
			CHECK_EQ(pwrite(fd, &new, 8, at), 8, "write %s", kind_name[kind]);
		}
	tracee_run(pid, check_new_words);
}

/* One read of two pages, through a tagged pointer. */
static void proc_mem_across_pages(void)
{
	static uint64_t words[LEN / 8];
	pid_t pid = start();
	size_t g, bad = 0;
	char path[40];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDONLY);
	MUST(fd >= 0, "open %s", path);
	CHECK_EQ(pread(fd, words, LEN, (off_t)pointer(0, 0)), LEN,
		 "read %d bytes by a tagged pointer", LEN);
	for (g = 0; g < LEN / GRANULE; g++)
		bad += words[2 * g] != word_of(g) || words[2 * g + 1] != ~word_of(g);
	CHECK_EQ(bad, 0, "granules read wrong");
}

static void vm_readv_writev(void)
{
	pid_t pid = start();
	size_t i;
	int kind;

	for (kind = 0; kind < 3; kind++)
		for (i = 0; i < 5; i++) {
			uint64_t word = 0, new = kind == 2 ? 1000 + i : word_of(granules[i]);
			struct iovec mine = { &word, 8 },
				     theirs = { pointer(granules[i], kind), 8 };
			struct iovec mine_new = { &new, 8 };

			CHECK_EQ(process_vm_readv(pid, &mine, 1, &theirs, 1, 0), 8,
				 "process_vm_readv %s", kind_name[kind]);
			CHECK_EQ(word, word_of(granules[i]), "process_vm_readv %s, granule %zu",
				 kind_name[kind], granules[i]);
			CHECK_EQ(process_vm_writev(pid, &mine_new, 1, &theirs, 1, 0), 8,
				 "process_vm_writev %s", kind_name[kind]);
		}
	tracee_run(pid, check_new_words);
}

/* Accesses to the tracer's own buffer are checked. */
static void own_buffer_is_checked(void)
{
	pid_t pid = start();
	char *own = mte_map(PAGE);
	struct iovec theirs = { pointer(0, 0), 8 }, mine = { with_tag(own, 9), 8 };

	stg(own, 5);
	CHECK_EQ(process_vm_readv(pid, &mine, 1, &theirs, 1, 0), -1,
		 "process_vm_readv to a buffer with another tag");
	CHECK_EQ(errno, EFAULT, "errno of process_vm_readv to a buffer with another tag");
	mine.iov_base = with_tag(own, 5);
	CHECK_EQ(process_vm_readv(pid, &mine, 1, &theirs, 1, 0), 8,
		 "process_vm_readv to a buffer with its tag");
	CHECK_EQ(*(uint64_t *)mine.iov_base, word_of(0), "what it read");
}

PROBE(CASE(peekdata_pokedata), CASE(proc_mem), CASE(proc_mem_across_pages), CASE(vm_readv_writev),
      CASE(own_buffer_is_checked));
