/* SPDX-License-Identifier: MIT */
/*
 * The sequences that `mte-harness explore` gives to the interpreter: one file, mapped at SCRIPT.
 *
 * harness/explore/steps.py writes it, and has the same numbers. All integers are little-endian.
 * A sequence is a run of steps. Each step belongs to one actor, a process or a thread of the
 * sequence, and they run strictly one after the other, whoever they belong to.
 */
#ifndef MTE_HARNESS_EXPLORE_STEPS_H
#define MTE_HARNESS_EXPLORE_STEPS_H

#include <stdint.h>

/* Below every address that the C library or the loader of a static program uses. */
#define SCRIPT	     0x1000000000UL
#define SCRIPT_MAGIC 0x3145544d45545458UL
#define ACTORS	     8
#define FIRST_FD     100 /* descriptors of the sequence's files; the first two are a pipe */

enum step_code {
	STEP_CALL = 1, /* system call `number` of args; the result is what the kernel returns */
	STEP_TAGS, /* address, granules, tag, enum tag_store; result 0 or -si_code */
	STEP_FILL, /* address, granules, byte; unchecked stores; result as of STEP_TAGS */
	STEP_LOAD, /* pointer; result: the byte there, or -si_code */
	STEP_STORE, /* pointer, byte: a granule; result 0 or -si_code, also of a late fault */
	STEP_CHECK, /* address, pointer to struct run, their number */
	STEP_FORK, /* actor that begins */
	STEP_THREAD, /* actor that begins */
	STEP_EXIT, /* this actor ends */
	STEP_FILE, /* path, text: write(2); result 0 or -errno */
	STEP_MEMFD, /* descriptor, length; result 0 or -errno */
	STEP_READ, /* pointer, bytes, byte: read(2) of so many such bytes */
	STEP_WRITE, /* pointer, bytes, byte: write(2); -EBADMSG if other bytes came out */
	STEP_PEER_READ, /* actor, pointer, bytes, byte: process_vm_readv(2) of its memory */
	STEP_PEER_WRITE, /* actor, pointer, bytes, byte: process_vm_writev(2) */
	STEP_PEEK_TAGS, /* actor, pointer, granules, tag: PTRACE_PEEKMTETAGS */
	STEP_POKE_TAGS, /* actor, pointer, granules, tag: PTRACE_POKEMTETAGS */
	STEP_SLEEP, /* milliseconds */
	STEP_PATTERN, /* address, pages, first tag or 0 for none, first byte: others in each page */
	STEP_SPLIT, /* address, length: split huge pages through debugfs; result 0 or -errno */
	STEP_SHELL, /* text: system(3) */
	STEP_UFFD_COPY, /* address, length, byte: UFFDIO_COPY; results of these: 0 or -errno */
	STEP_UFFD_ZERO, /* address, length: UFFDIO_ZEROPAGE */
	STEP_UFFD_PROTECT, /* address, length: UFFDIO_WRITEPROTECT on, and off again */
	STEP_UFFD_MOVE, /* address, length, address of what is moved there: UFFDIO_MOVE */
};

enum tag_store { STORE_STG, STORE_ST2G, STORE_STZG, STORE_GVA, STORE_GZVA };

/* What a step's result must be. */
enum step_want {
	WANT_EXACT, /* `want` */
	WANT_ANY, /* the model cannot know */
	WANT_FAULT, /* any signal that an access can get */
};

struct step {
	uint8_t code;
	uint8_t actor;
	uint8_t how; /* enum step_want */
	uint8_t unused;
	uint32_t operation; /* of the sequence, for the report */
	int64_t number;
	int64_t args[6];
	int64_t want;
};

/* `granules` granules in a row: tag and data byte; -1 is not known, and not looked at. */
struct run {
	uint16_t granules;
	int16_t tag;
	int16_t byte;
	uint16_t unused;
};

/* What a sequence may have changed in the whole guest, and is set back after it. */
#define CHANGES_SWAP	 1
#define CHANGES_SETTINGS 2

struct sequence {
	uint32_t first; /* step */
	uint32_t steps;
	uint32_t changes;
	uint32_t seconds;
};

struct script {
	uint64_t magic;
	uint64_t bytes; /* of the file */
	uint64_t sequences; /* how many */
	uint64_t sequence_table; /* offset in the file */
	uint64_t steps; /* offset */
	uint64_t unused[3];
};

/* Why a sequence ended early; harness/explore/deviation.py reads the text. */
struct deviation {
	int there;
	uint32_t step;
	char text[240];
};

/* Shared by the supervisor and all actors of a sequence. */
struct control {
	uint32_t turn; /* the step to run: a futex */
	uint32_t end; /* steps of the sequence */
	pid_t pids[ACTORS];
	struct deviation deviation;
};

extern struct control *control;
extern const struct step *steps; /* of the running sequence */

/* Runs the steps of one actor until the sequence ends; does not return. */
void actor_run(unsigned int actor) __attribute__((noreturn));

/* Records why the sequence ends early, unless something else was first, and ends it. */
void deviate(uint32_t step, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Runs one step of this actor; returns its result. */
int64_t step_run(const struct step *step);

/* Runs one of the steps of a userfaultfd. */
int64_t uffd_step(const struct step *step);

/* Compares memory with runs; returns 0, or 1 after deviate(). */
int memory_check(uint32_t number, const char *p, const struct run *runs, size_t count);

/* Whether an access was cut short by a signal, and its si_code. See GUARDED(). */
extern __thread volatile int fault_code;

#endif
