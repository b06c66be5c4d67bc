/* SPDX-License-Identifier: MIT */
/*
 * probe: ptrace_regset
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI
 * timeout: 30
 *
 * The register set NT_ARM_TAGGED_ADDR_CTRL is the tracee's prctl() value, for reading and
 * writing: a value that the tracer sets has effect when the tracee runs on, and does not
 * change the tracer's own mode. A write of 0 bytes changes nothing (ca62d90085f4).
 * PSTATE.TCO is in the registers of the tracee. arch/arm64/kernel/ptrace.c
 * tagged_addr_ctrl_get(), tagged_addr_ctrl_set(); process.c set_tagged_addr_ctrl(); mte.c
 * set_mte_ctrl(), get_mte_ctrl().
 */
#include <asm/ptrace.h>
#include <elf.h>

#include "modes.h"
#include "pin.h"
#include "ptrace_mte.h"

static const unsigned long modes[] = { TCF_NONE, TCF_SYNC, TCF_ASYNC, TCF_ASYMM };
static const enum behaviour seen_for[] = { SEEN_NONE, SEEN_SYNC, SEEN_ASYNC, SEEN_ASYNC };

/* Makes one request; returns 0 or -errno. *len is iov_len before and after it. */
static int regset(long request, pid_t pid, long type, void *buf, size_t *len)
{
	struct iovec iov = { buf, *len };
	int ret = ptrace(request, pid, type, &iov);

	*len = iov.iov_len;
	return ret ? -errno : 0;
}

static unsigned long get_remote(pid_t pid)
{
	unsigned long value = 0xdead;
	size_t len = sizeof(value);

	MUST(regset(PTRACE_GETREGSET, pid, NT_ARM_TAGGED_ADDR_CTRL, &value, &len) == 0,
	     "GETREGSET");
	CHECK_EQ(len, sizeof(value), "size of the register set");
	return value;
}

static int set_remote(pid_t pid, unsigned long value)
{
	size_t len = sizeof(value);

	return regset(PTRACE_SETREGSET, pid, NT_ARM_TAGGED_ADDR_CTRL, &value, &len);
}

/* --- functions that the tracee runs --------------------------------------- */

static void set_own(void)
{
	MUST(set_ctrl(tracee->value[0]) == 0, "PR_SET %#lx", tracee->value[0]);
}

static void find_out(void)
{
	static void *granule;

	if (!granule)
		granule = mode_granule();
	tracee->value[0] = get_ctrl();
	tracee->value[1] = gcr_include();
	tracee->value[2] = observe(granule);
	tracee->value[3] = 1U << tag_of(irg(granule, 0));
}

static pid_t start(void)
{
	mte_need();
	catch_signal(SIGSEGV, 0);
	return tracee_start();
}

/* Checks the state of the tracee, which the switch to it must have set. */
static void check_tracee(pid_t pid, unsigned long mode, unsigned long include, enum behaviour seen)
{
	unsigned long want = include ? include : 1;

	tracee_run(pid, find_out);
	CHECK_EQ(tracee->value[0], ctrl_value(mode, include), "tracee's PR_GET");
	CHECK_EQ(tracee->value[1], want, "tags that the tracee's ADDG keeps, include %#lx",
		 include);
	CHECK((tracee->value[3] & ~want) == 0, "tag that the tracee's IRG drew, include %#lx",
	      include);
	CHECK(tracee->value[2] == (long)seen, "tracee set to mode %#lx: expected %s, saw %s", mode,
	      behaviour_name[seen], behaviour_name[tracee->value[2]]);
}

static void get_is_the_tracees_prctl(void)
{
	pid_t pid = start();
	unsigned int m;

	must_set(TCF_SYNC, 0x1111);
	for (m = 0; m < 4; m++) {
		unsigned long value = ctrl_value(modes[m], 0x8421 << m & 0xffff);

		tracee->value[0] = value;
		tracee_run(pid, set_own);
		CHECK_EQ(get_remote(pid), value, "GETREGSET after the tracee's PR_SET");
	}
	tracee->value[0] = 0;
	tracee_run(pid, set_own);
	CHECK_EQ(get_remote(pid), 0, "GETREGSET after the tracee's PR_SET 0");
}

/* Tracer and tracee on the same CPU, and on different CPUs. */
static void set_takes_effect(void)
{
	static const unsigned long masks[] = { 0, 0xffff, 0x00f0, 0x8000 };
	pid_t pid = start();
	unsigned int round, m;

	pin_cpu(0);
	for (round = 0; round < 2; round++) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(round, &set);
		MUST(sched_setaffinity(pid, sizeof(set), &set) == 0, "tracee on CPU %d", round);
		for (m = 0; m < 4; m++) {
			unsigned long value = ctrl_value(modes[m], masks[m]);

			CHECK_EQ(set_remote(pid, value), 0, "SETREGSET %#lx", value);
			CHECK_EQ(get_remote(pid), value, "GETREGSET after SETREGSET");
			check_tracee(pid, modes[m], masks[m], seen_for[m]);
		}
	}
}

/* set_mte_ctrl() may write the registers of the CPU only for the current task. */
static void the_tracer_keeps_its_mode(void)
{
	pid_t pid = start();
	unsigned int m, own;
	void *p = mode_granule();

	pin_cpu(0);
	for (own = 0; own < 3; own++) {
		must_set(modes[own], 0x0ff0);
		for (m = 0; m < 4; m++) {
			CHECK_EQ(set_remote(pid, ctrl_value(modes[m], 0xf00f)), 0, "SETREGSET");
			include_check(0x0ff0, "tracer after SETREGSET");
			CHECK_MODE(p, seen_for[own], "tracer after SETREGSET of mode %#lx",
				   modes[m]);
			CHECK_EQ(get_ctrl(), ctrl_value(modes[own], 0x0ff0), "tracer's PR_GET");
		}
	}
}

static void invalid_values(void)
{
	unsigned long before = ctrl_value(TCF_SYNC, 0x1234);
	pid_t pid = start();
	int bit;

	CHECK_EQ(set_remote(pid, before), 0, "SETREGSET");
	for (bit = 19; bit < 64; bit++)
		CHECK_EQ(set_remote(pid, ctrl_value(TCF_ASYNC, 0xff) | 1UL << bit), -EINVAL,
			 "SETREGSET with bit %d", bit);
	CHECK_EQ(get_remote(pid), before, "GETREGSET after refused values");
	check_tracee(pid, TCF_SYNC, 0x1234, SEEN_SYNC);
}

static void other_sizes(void)
{
	unsigned long before = ctrl_value(TCF_SYNC, 0x1234), value[2];
	pid_t pid = start();
	size_t len, i;

	CHECK_EQ(set_remote(pid, before), 0, "SETREGSET");
	/* Repeated, as uninitialised kernel stack may happen to hold the old value. */
	for (i = 0; i < 20; i++) {
		len = 0;
		value[0] = 0;
		CHECK_EQ(regset(PTRACE_SETREGSET, pid, NT_ARM_TAGGED_ADDR_CTRL, value, &len), 0,
			 "SETREGSET of 0 bytes");
		CHECK_EQ(get_remote(pid), before, "GETREGSET after SETREGSET of 0 bytes");
	}
	/* A size must be a multiple of the size of the register. */
	for (i = 1; i < 8; i++) {
		len = i;
		CHECK_EQ(regset(PTRACE_SETREGSET, pid, NT_ARM_TAGGED_ADDR_CTRL, value, &len),
			 -EINVAL, "SETREGSET of %zu bytes", i);
		len = i;
		CHECK_EQ(regset(PTRACE_GETREGSET, pid, NT_ARM_TAGGED_ADDR_CTRL, value, &len),
			 -EINVAL, "GETREGSET of %zu bytes", i);
	}
	value[1] = 77;
	len = 16;
	CHECK_EQ(regset(PTRACE_GETREGSET, pid, NT_ARM_TAGGED_ADDR_CTRL, value, &len), 0,
		 "GETREGSET of 16 bytes");
	CHECK_EQ(len, 8, "size after GETREGSET of 16 bytes");
	CHECK_EQ(value[0], before, "GETREGSET of 16 bytes");
	CHECK_EQ(value[1], 77, "memory behind the register");
	value[0] = ctrl_value(TCF_NONE, 0x4321);
	len = 16;
	CHECK_EQ(regset(PTRACE_SETREGSET, pid, NT_ARM_TAGGED_ADDR_CTRL, value, &len), 0,
		 "SETREGSET of 16 bytes");
	CHECK_EQ(get_remote(pid), value[0], "GETREGSET after SETREGSET of 16 bytes");
}

static void read_tagged(void)
{
	static char data[16];
	int fd = open("/dev/zero", O_RDONLY);

	tracee->value[0] = read(fd, with_tag(data, 3), 1);
	close(fd);
}

static void tagged_addr_abi(void)
{
	pid_t pid = start();

	CHECK_EQ(set_remote(pid, PR_TAGGED_ADDR_ENABLE), 0, "SETREGSET");
	tracee_run(pid, read_tagged);
	CHECK_EQ(tracee->value[0], 1, "tracee's read() to a tagged pointer, ABI set on");
	CHECK_EQ(set_remote(pid, 0), 0, "SETREGSET");
	tracee_run(pid, read_tagged);
	CHECK_EQ(tracee->value[0], -1, "tracee's read() to a tagged pointer, ABI set off");
}

/* --- PSTATE.TCO ----------------------------------------------------------- */

static void report_tco(void)
{
	tracee->value[0] = get_tco();
}

static void turn_tco_on(void)
{
	set_tco(1);
}

static void tco_in_the_registers(void)
{
	const unsigned long tco = 1UL << 25; /* Arm ARM C5.2, PSTATE.TCO in SPSR */
	struct user_pt_regs regs;
	size_t len = sizeof(regs);
	pid_t pid = start();

	tracee_run(pid, turn_tco_on);
	MUST(regset(PTRACE_GETREGSET, pid, NT_PRSTATUS, &regs, &len) == 0, "GETREGSET");
	CHECK_EQ(regs.pstate & tco, tco, "TCO in the tracee's pstate, which set it");
	regs.pstate &= ~tco;
	MUST(regset(PTRACE_SETREGSET, pid, NT_PRSTATUS, &regs, &len) == 0, "SETREGSET");
	tracee_run(pid, report_tco);
	CHECK_EQ(tracee->value[0], 0, "tracee's TCO, cleared by the tracer");
	MUST(regset(PTRACE_GETREGSET, pid, NT_PRSTATUS, &regs, &len) == 0, "GETREGSET");
	CHECK_EQ(regs.pstate & tco, 0, "TCO in the tracee's pstate, cleared");
	regs.pstate |= tco;
	MUST(regset(PTRACE_SETREGSET, pid, NT_PRSTATUS, &regs, &len) == 0, "SETREGSET");
	tracee_run(pid, report_tco);
	CHECK_EQ(tracee->value[0], 1, "tracee's TCO, set by the tracer");
}

PROBE(CASE(get_is_the_tracees_prctl), CASE(set_takes_effect), CASE(the_tracer_keeps_its_mode),
      CASE(invalid_values), CASE(other_sizes), CASE(tagged_addr_abi), CASE(tco_in_the_registers));
