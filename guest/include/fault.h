/* SPDX-License-Identifier: MIT */
/*
 * The recorder of faults: what a tag check fault looks like to the program that made it
 * (siginfo, signal frame, registers), and accesses that make one.
 *
 * Documentation/arch/arm64/memory-tagging-extension.rst ("Tag Check Faults"),
 * tagged-pointers.rst; arch/arm64/mm/fault.c do_tag_check_fault(), do_bad_area().
 */
#ifndef MTE_HARNESS_FAULT_H
#define MTE_HARNESS_FAULT_H

#include <sys/syscall.h>
#include <ucontext.h>

#include "mte.h"

#define PSTATE_TCO	(1UL << 25) /* Arm ARM C5.2, TCO */
#define ESR_DFSC	0x3fUL /* Arm ARM, ESR_EL1 for a Data Abort */
#define ESR_DFSC_TAG	0x11UL
#define ESR_WNR		(1UL << 6)
#define ESR_EC(esr)	((esr) >> 26 & 0x3f)
#define ESR_EC_DABT_LOW 0x24UL

enum { GOOD = 5, BAD = 9 }; /* tag of memory and pointers; a tag that never matches */

/* Writable PROT_MTE pages, each granule tagged GOOD; the pointer has tag GOOD. */
unsigned char *good_pages(size_t pages);

/* Begins a case: a good page, SIGSEGV recorded, and this thread in mode `tcf`. */
unsigned char *fault_begin(unsigned long tcf);

/* --- the recorder --------------------------------------------------------- */

/* The last signal that catch_signal() caught in this process, and how many there were. */
struct fault_seen {
	volatile int count;
	int signo, code, err;
	uint64_t addr; /* si_addr, all 64 bits */
	uint64_t pc, sp, pstate; /* of the interrupted code */
	uint64_t fault_address; /* sigcontext.fault_address */
	uint64_t esr; /* esr_context record; 0 if there is none */
	bool has_esr;
	int tco; /* PSTATE.TCO in the handler itself */
	uint64_t handler_sp;
	pid_t tid; /* thread that ran the handler */
};
extern struct fault_seen fault;

/* Tag check faults that the handler has seen on this thread. */
struct tag_faults {
	volatile int sync, async;
	volatile pid_t async_tid; /* thread that took the last asynchronous one */
};
extern __thread struct tag_faults tag_faults;

/*
 * Records signal `sig` from now on; `flags` adds to SA_SIGINFO. After a synchronous tag
 * check fault execution goes on behind the faulting instruction, so that memory shows
 * whether the access was performed. Any other synchronous SIGSEGV kills the process,
 * unless fault_skip_access_faults is set: then SEGV_MAPERR and SEGV_ACCERR are skipped too.
 */
void catch_signal(int sig, int flags);
extern bool fault_skip_access_faults;

/* Clears `fault`. */
void fault_reset(void);

/* --- accesses ------------------------------------------------------------- */

static inline void load_byte(const volatile void *p)
{
	uint32_t v;

	asm volatile("ldrb %w0, [%1]" : "=r"(v) : "r"(p) : "memory");
}

static inline void store_byte(volatile void *p)
{
	asm volatile("strb wzr, [%0]" : : "r"(p) : "memory");
}

/* Any kernel entry: an asynchronous fault is reported not later than its exit. */
static inline void kernel_entry(void)
{
	syscall(SYS_getppid);
}

/*
 * Makes a system call and reads *count in the very next instruction, with no code of the
 * C library in between: a signal that comes later is not counted.
 */
static inline int enter_kernel_then_read(volatile int *count)
{
	register long x8 asm("x8") = SYS_getppid;
	register long x0 asm("x0");
	int n;

	asm volatile("svc #0\n ldr %w1, [%3]"
		     : "=r"(x0), "=&r"(n)
		     : "r"(x8), "r"(count)
		     : "memory");
	return n;
}

/* The same, right after a byte store to p, whose tag does not match. */
static inline int store_enter_read(volatile void *p, volatile int *count)
{
	register long x8 asm("x8") = SYS_getppid;
	register long x0 asm("x0");
	int n;

	asm volatile("strb wzr, [%4]\n svc #0\n ldr %w1, [%3]"
		     : "=r"(x0), "=&r"(n)
		     : "r"(x8), "r"(count), "r"(p)
		     : "memory");
	return n;
}

/* --- raw system calls: the C library does not touch the pointer or the result  */

/* A system call; returns the kernel's result, where -errno is an error. */
static inline long sys6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long x8 asm("x8") = nr;
	register long x0 asm("x0") = a;
	register long x1 asm("x1") = b;
	register long x2 asm("x2") = c;
	register long x3 asm("x3") = d;
	register long x4 asm("x4") = e;
	register long x5 asm("x5") = f;

	asm volatile("svc #0"
		     : "+r"(x0)
		     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
		     : "memory", "cc");
	return x0;
}

/* SYS(read, fd, p, n): sys6() of __NR_read, with the other arguments 0. */
#define SYS(nr, ...) sys6(SYS_##nr, SYS_ARGS(__VA_ARGS__))

#define SYS_ARGS(...) \
	SYS_PICK(__VA_ARGS__, SYS_A6, SYS_A5, SYS_A4, SYS_A3, SYS_A2, SYS_A1)(__VA_ARGS__)

#define SYS_PICK(_1, _2, _3, _4, _5, _6, n, ...) n

#define SYS_A1(a)		 (long)(a), 0, 0, 0, 0, 0
#define SYS_A2(a, b)		 (long)(a), (long)(b), 0, 0, 0, 0
#define SYS_A3(a, b, c)		 (long)(a), (long)(b), (long)(c), 0, 0, 0
#define SYS_A4(a, b, c, d)	 (long)(a), (long)(b), (long)(c), (long)(d), 0, 0
#define SYS_A5(a, b, c, d, e)	 (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0
#define SYS_A6(a, b, c, d, e, f) (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f)

#endif
