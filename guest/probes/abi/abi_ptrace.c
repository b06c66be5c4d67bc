/* SPDX-License-Identifier: MIT */
/*
 * probe: abi_ptrace
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_TMPFS
 * timeout: 60
 *
 * The tagged address ABI for ptrace(): the tracer's buffers, and addresses in the tracee. Each
 * call is tried with an untagged, a tagged, a matching and a mismatching pointer
 * (guest/include/abi.h).
 */
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "abi.h"

/* A child that has stopped. */
static pid_t stopped(void)
{
	pid_t pid = child_fork();

	if (pid == 0) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(0);
	}
	MUST(WIFSTOPPED(child_status(pid)), "a child that stops");
	return pid;
}

ABI(ptrace_peek_data, "kernel/ptrace.c generic_ptrace_peekdata(), data", 0)
{
	static const long word = 0x1122334455667788;
	long *p = abi_mem(sizeof(*p));

	CALL(sys(ptrace, PTRACE_PEEKDATA, stopped(), &word, U(p)), 0);
	EFFECT(*p == word);
}

ABI(ptrace_getregset, "kernel/ptrace.c ptrace_request(), PTRACE_GETREGSET", 0)
{
	struct user_regs_struct registers = {};
	struct iovec *v = abi_mem(sizeof(*v));

	*v = (struct iovec){ &registers, sizeof(registers) };
	CALL(sys(ptrace, PTRACE_GETREGSET, stopped(), NT_PRSTATUS, U(v)), 0);
	EFFECT(registers.pc && v->iov_len == sizeof(registers));
}

ABI(ptrace_registers, "include/linux/regset.h copy_regset_to_user()", 0)
{
	struct user_regs_struct *registers = abi_mem(sizeof(*registers));
	struct iovec v = { U(registers), sizeof(*registers) };

	CALL(sys(ptrace, PTRACE_GETREGSET, stopped(), NT_PRSTATUS, &v), 0);
	EFFECT(registers->pc && registers->sp);
}

ABI(ptrace_setregset, "include/linux/regset.h copy_regset_from_user()", 0)
{
	struct user_regs_struct *registers = abi_mem(sizeof(*registers)), now;
	struct iovec v = { registers, sizeof(*registers) }, seen = { &now, sizeof(now) };
	pid_t pid = stopped();

	MUST(sys(ptrace, PTRACE_GETREGSET, pid, NT_PRSTATUS, &v) == 0, "PTRACE_GETREGSET");
	registers->regs[20] = 77;
	v.iov_base = U(registers);
	CALL(sys(ptrace, PTRACE_SETREGSET, pid, NT_PRSTATUS, &v), 0);
	EFFECT(sys(ptrace, PTRACE_GETREGSET, pid, NT_PRSTATUS, &seen) == 0 && now.regs[20] == 77);
}

ABI(ptrace_getsiginfo, "kernel/ptrace.c ptrace_request(), PTRACE_GETSIGINFO", 0)
{
	siginfo_t *info = abi_mem(sizeof(*info));

	CALL(sys(ptrace, PTRACE_GETSIGINFO, stopped(), 0, U(info)), 0);
	EFFECT(info->si_signo == SIGSTOP);
}

ABI(ptrace_event_message, "kernel/ptrace.c ptrace_request(), PTRACE_GETEVENTMSG", 0)
{
	unsigned long *message = abi_mem(sizeof(*message));

	*message = 77;
	CALL(sys(ptrace, PTRACE_GETEVENTMSG, stopped(), 0, U(message)), 0);
	EFFECT(*message != 77);
}

ABI(ptrace_signal_mask, "kernel/ptrace.c ptrace_request(), PTRACE_GETSIGMASK", 0)
{
	uint64_t *mask = abi_mem(sizeof(*mask));

	*mask = 77;
	CALL(sys(ptrace, PTRACE_GETSIGMASK, stopped(), sizeof(*mask), U(mask)), 0);
	EFFECT(*mask != 77);
}

/* --- addresses in the tracee, which has the tracer's memory ----------------------- */

ABI(ptrace_peek_address, "mm/memory.c __access_remote_vm(), PTRACE_PEEKDATA", ABI_UNCHECKED)
{
	long *p = abi_mem(sizeof(*p)), word = 0;

	*p = 0x1122334455667788;
	CALL(sys(ptrace, PTRACE_PEEKDATA, stopped(), U(p), &word), 0);
	EFFECT(word == *p);
}

ABI(ptrace_poke_address, "mm/memory.c __access_remote_vm(), PTRACE_POKEDATA", ABI_UNCHECKED)
{
	long *p = abi_mem(sizeof(*p)), word = 0;
	pid_t pid = stopped();

	CALL(sys(ptrace, PTRACE_POKEDATA, pid, U(p), 77L), 0);
	MUST(sys(ptrace, PTRACE_PEEKDATA, pid, untagged(p), &word) == 0, "PTRACE_PEEKDATA");
	EFFECT(word == 77);
}

PROBE(CASE(ptrace_peek_data), CASE(ptrace_getregset), CASE(ptrace_registers),
      CASE(ptrace_setregset), CASE(ptrace_getsiginfo), CASE(ptrace_event_message),
      CASE(ptrace_signal_mask), CASE(ptrace_peek_address), CASE(ptrace_poke_address));
