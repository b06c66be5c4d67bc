/* SPDX-License-Identifier: MIT */
/*
 * One call of the kernel with one user pointer, tried with an untagged pointer, a tagged one
 * to memory without tags, a matching and a mismatching one to tagged memory.
 *
 *	ABI(read_buf, "fs/read_write.c ksys_read()", 0)
 *	{
 *		char *p = abi_mem(8);
 *
 *		CALL(sys(read, file_with("tagged!"), U(p), 8), 8);
 *		EFFECT(!strcmp(p, "tagged!"));
 *	}
 *
 *	PROBE(CASE(read_buf));
 *
 * "The syscall behaviour for a valid tagged pointer is the same as for the corresponding untagged
 * pointer" (Documentation/arch/arm64/tagged-address-abi.rst, section 2). With an untagged pointer,
 * and with PR_TAGGED_ADDR_ENABLE off, the call must succeed and its effect must be seen, or the
 * case fails: it would prove nothing. With a tagged pointer (all 8 bits of the top byte, to memory
 * without PROT_MTE), and with a matching tag in tagged memory, it must do the same.
 *
 * With a tag that does not match, in mode TCF_SYNC, the call ends with EFAULT or with a part of
 * what was asked for. It may succeed where the kernel reaches the memory through its own mapping
 * (ABI_UNCHECKED), and must where it does not access it (ABI_NO_ACCESS). It never hangs.
 *
 * Each way runs in a process of its own, in a mount namespace with an empty tmpfs as the current
 * directory, as root.
 */
#ifndef MTE_HARNESS_ABI_H
#define MTE_HARNESS_ABI_H

#include <sys/syscall.h>

#include "child.h"
#include "mte.h"

enum {
	/* Documentation/arch/arm64/memory-tagging-extension.rst, "Tag checking during kernel
	 * accesses": get_user_pages() and the like are not checked. */
	ABI_UNCHECKED = 1,
	ABI_NO_ACCESS = 2, /* the address is only a place in the address space */
	ABI_REFUSES = 4, /* section 3 of the document: the kernel may refuse a tagged pointer */
	ABI_NO_MISMATCH = 8, /* a mismatching tag is not tried, for a reason beside the flag */
};

/* The systems calls themselves: glibc touches what some of its wrappers are given. */
#define sys(name, ...) syscall(SYS_##name, ##__VA_ARGS__)

/* Memory of the way that runs: tagged or not, zeroed, aligned to 64 bytes or to a page. */
void *abi_mem(size_t len);
void *abi_pages(size_t pages);
char *abi_string(const char *text);

/* Memory that is never tagged, for the pointers that the call is not about. */
void *abi_plain(size_t len);

/* What the kernel gets for a pointer into abi_mem(). */
void *U(const volatile void *p);

/* Files in the current directory, and a pipe. They end the case if they fail. */
int abi_file(const char *name, const char *content);
int file_with(const char *content);
int pipe_with(const char *content);
bool file_has(const char *name, const char *content);

/*
 * A signal that is blocked and waits: a call that takes a mask without it is interrupted, and
 * the handler puts the signal's number into abi_handled. abi_interrupted() makes 0 of EINTR.
 */
extern volatile sig_atomic_t abi_handled;
void abi_pending(int signal);
long abi_interrupted(long returned);

/* Ends the entry unless the call returned `want`, or at least 0. */
#define CALL(call, want)                                                     \
	do {                                                                 \
		errno = 0;                                                   \
		if (!abi_returned((long)(call), (long)(want), errno, #call)) \
			return;                                              \
	} while (0)
#define OK(call)                                                   \
	({                                                         \
		errno = 0;                                         \
		long abi_got = (long)(call);                       \
		if (!abi_returned(abi_got, ABI_ANY, errno, #call)) \
			return;                                    \
		abi_got;                                           \
	})
#define ABI_ANY (-4096L)

/* Ends the entry unless the call had its effect on memory, or on what memory described. */
#define EFFECT(seen)                              \
	do {                                      \
		if (!abi_effect(!!(seen), #seen)) \
			return;                   \
	} while (0)

bool abi_returned(long got, long want, int error, const char *call);
bool abi_effect(bool seen, const char *what);

struct abi_entry {
	const char *source; /* where the kernel takes the pointer */
	void (*run)(void);
	unsigned int flags;
};

void abi_try(const struct abi_entry *entry);

#define ABI(name, source, flags)                                                      \
	static void name##_call(void);                                                \
	static void name(void)                                                        \
	{                                                                             \
		static const struct abi_entry entry = { source, name##_call, flags }; \
                                                                                      \
		abi_try(&entry);                                                      \
	}                                                                             \
	static void name##_call(void)

#endif
