/* SPDX-License-Identifier: MIT */
#include "fault.h"

#include <asm/sigcontext.h>

struct fault_seen fault;
__thread struct tag_faults tag_faults;
bool fault_skip_access_faults;

unsigned char *good_pages(size_t pages)
{
	unsigned char *p = mte_map(pages * PAGE);
	size_t i;

	for (i = 0; i < pages * PAGE; i += GRANULE)
		stg(p + i, GOOD);
	return with_tag(p, GOOD);
}

unsigned char *fault_begin(unsigned long tcf)
{
	unsigned char *p;

	mte_need();
	p = good_pages(1);
	catch_signal(SIGSEGV, 0);
	mte_mode(tcf);
	return p;
}

/* Finds the esr_context record of a signal frame (arch/arm64/kernel/signal.c). */
static bool frame_esr(const ucontext_t *uc, uint64_t *esr)
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
	if (sig != SIGSEGV || info->si_code <= 0)
		return;
	switch (info->si_code) {
	case SEGV_MTEAERR:
		tag_faults.async++;
		tag_faults.async_tid = fault.tid;
		return;
	case SEGV_MTESERR:
		tag_faults.sync++;
		uc->uc_mcontext.pc += 4;
		return;
	case SEGV_MAPERR:
	case SEGV_ACCERR:
		if (fault_skip_access_faults) {
			uc->uc_mcontext.pc += 4;
			return;
		}
		break;
	}
	/* The instruction runs again, and its next fault kills the process. */
	signal(sig, SIG_DFL);
}

void catch_signal(int sig, int flags)
{
	struct sigaction sa = { .sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO | flags };

	MUST(sigaction(sig, &sa, NULL) == 0, "sigaction(%d)", sig);
}

void fault_reset(void)
{
	memset(&fault, 0, sizeof(fault));
}
