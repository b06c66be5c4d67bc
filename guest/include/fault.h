/* SPDX-License-Identifier: MIT */
/*
 * What a tag check fault looks like to the program that made it: the siginfo,
 * the signal frame, the registers, and whether the access was performed.
 *
 * Documentation/arch/arm64/memory-tagging-extension.rst ("Tag Check Faults"),
 * tagged-pointers.rst; arch/arm64/mm/fault.c do_tag_check_fault(), do_bad_area().
 */
#ifndef MTE_HARNESS_FAULT_H
#define MTE_HARNESS_FAULT_H

#include <asm/sigcontext.h>

#include "modes.h"		/* needs _GNU_SOURCE before any #include */

#define PSTATE_TCO	(1UL << 25)	/* Arm ARM C5.2, TCO */
#define ESR_DFSC	0x3fUL		/* Arm ARM, ESR_EL1 for a Data Abort */
#define ESR_DFSC_TAG	0x11UL
#define ESR_WNR		(1UL << 6)
#define ESR_EC(esr)	((esr) >> 26 & 0x3f)
#define ESR_EC_DABT_LOW	0x24UL

/* --- memory whose granules have tags of known kinds ----------------------- */

enum { GOOD = 5, BAD = 9 };	/* tag of the pointers in use, and one that never matches */

/* Writable PROT_MTE pages, each granule tagged GOOD; the pointer has tag GOOD. */
static inline unsigned char *good_pages(size_t pages)
{
	unsigned char *p = mte_map(pages * PAGE);
	size_t i;

	for (i = 0; i < pages * PAGE; i += GRANULE)
		stg(p + i, GOOD);
	return with_tag(p, GOOD);
}

/* --- one caught signal ---------------------------------------------------- */

/* The last SIGSEGV (or other signal given to catch_signal()), and how many came. */
struct fault_seen {
	volatile int count;
	int signo, code, err;
	uint64_t addr;		/* si_addr, all 64 bits */
	uint64_t pc, sp, pstate;	/* of the interrupted code */
	uint64_t fault_address;	/* sigcontext.fault_address */
	uint64_t esr;		/* esr_context record; 0 if there is none */
	bool has_esr;
	int tco;		/* PSTATE.TCO in the handler itself */
	uint64_t handler_sp;
	pid_t tid;
};

static struct fault_seen fault __attribute__((unused));

static inline bool frame_esr(const ucontext_t *uc, uint64_t *esr)
{
	const char *at = (const char *)uc->uc_mcontext.__reserved;
	const char *end = at + sizeof(uc->uc_mcontext.__reserved);

	while (at + sizeof(struct _aarch64_ctx) <= end) {
		const struct _aarch64_ctx *ctx = (const void *)at;

		if (!ctx->magic || !ctx->size)
			return false;
		if (ctx->magic == ESR_MAGIC) {
			*esr = ((const struct esr_context *)at)->esr;
			return true;
		}
		at += ctx->size;
	}
	return false;
}

/*
 * Records the signal. A synchronous tag check fault goes on after the faulting
 * instruction, so that memory shows whether the access was performed; any other
 * synchronous fault dies at the same instruction.
 */
static void fault_handler(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	fault.tco = get_tco();
	fault.handler_sp = (uintptr_t)__builtin_frame_address(0);
	fault.signo = info->si_signo;
	fault.code = info->si_code;
	fault.err = info->si_errno;
	fault.addr = (uintptr_t)info->si_addr;
	fault.pc = uc->uc_mcontext.pc;
	fault.sp = uc->uc_mcontext.sp;
	fault.pstate = uc->uc_mcontext.pstate;
	fault.fault_address = uc->uc_mcontext.fault_address;
	fault.esr = 0;
	fault.has_esr = frame_esr(uc, &fault.esr);
	fault.tid = syscall(SYS_gettid);
	fault.count++;
	if (sig != SIGSEGV || info->si_code == SEGV_MTEAERR || info->si_code <= 0)
		return;
	if (info->si_code == SEGV_MTESERR || info->si_code == SEGV_MAPERR ||
	    info->si_code == SEGV_ACCERR)
		uc->uc_mcontext.pc += 4;
	else
		signal(sig, SIG_DFL);
}

/* Starts recording `sig`; `flags` adds to SA_SIGINFO. */
static inline void catch_signal(int sig, int flags)
{
	struct sigaction sa = { .sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO | flags };

	MUST(sigaction(sig, &sa, NULL) == 0, "sigaction(%d)", sig);
}

static inline void fault_reset(void)
{
	memset(&fault, 0, sizeof(fault));
}

/*
 * Enters the kernel, then reads *count before the next instruction that could
 * hide a late signal. The C library is not in the way.
 */
static inline int enter_kernel_then_read(volatile int *count)
{
	register long x8 asm("x8") = SYS_getppid;
	register long x0 asm("x0");
	int n;

	asm volatile("svc #0\n ldr %w1, [%3]"
		     : "=r"(x0), "=&r"(n) : "r"(x8), "r"(count) : "memory");
	return n;
}

/* STRB that mismatches, a system call, and *count read right after it. */
static inline int store_enter_read(volatile void *p, volatile int *count)
{
	register long x8 asm("x8") = SYS_getppid;
	register long x0 asm("x0");
	int n;

	asm volatile("strb wzr, [%4]\n svc #0\n ldr %w1, [%3]"
		     : "=r"(x0), "=&r"(n) : "r"(x8), "r"(count), "r"(p) : "memory");
	return n;
}

/* --- raw system calls: no errno, no libc around the pointer --------------- */

/* The result of a system call as the kernel gives it: negative is -errno. */
static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 asm("x8") = nr;
	register long x0 asm("x0") = a;
	register long x1 asm("x1") = b;
	register long x2 asm("x2") = c;
	register long x3 asm("x3") = d;
	register long x4 asm("x4") = e;
	register long x5 asm("x5") = f;

	asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
		     : "memory", "cc");
	return x0;
}

#define SYS_PICK(_1, _2, _3, _4, _5, _6, n, ...) n
#define SYS(nr, ...) sys6(SYS_##nr, SYS_ARGS(__VA_ARGS__))
#define SYS_ARGS(...)								\
	SYS_PICK(__VA_ARGS__, SYS_A6, SYS_A5, SYS_A4, SYS_A3, SYS_A2, SYS_A1)(__VA_ARGS__)
#define SYS_A1(a) (long)(a), 0, 0, 0, 0, 0
#define SYS_A2(a, b) (long)(a), (long)(b), 0, 0, 0, 0
#define SYS_A3(a, b, c) (long)(a), (long)(b), (long)(c), 0, 0, 0
#define SYS_A4(a, b, c, d) (long)(a), (long)(b), (long)(c), (long)(d), 0, 0
#define SYS_A5(a, b, c, d, e) (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0
#define SYS_A6(a, b, c, d, e, f)						\
	(long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)

#endif
