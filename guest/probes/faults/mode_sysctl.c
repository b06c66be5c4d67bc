/* SPDX-License-Identifier: MIT */
/*
 * probe: mode_sysctl
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_SYSCTL
 * timeout: 20
 *
 * /proc/sys/abi/tagged_addr_disabled refuses new requests for the tagged address ABI, and
 * nothing else: a thread that has the ABI keeps it, and modes and masks can still be set.
 * arch/arm64/kernel/process.c set_tagged_addr_ctrl(), tagged_addr_init().
 */
#include "modes.h"
#include "procfs.h"

#define SWITCH "/proc/sys/abi/tagged_addr_disabled"

static int zero_fd;
static char *tagged;

static void start(void)
{
	mte_need();
	if (access("/proc/sys", F_OK))
		SKIP("no /proc/sys: CONFIG_SYSCTL is off");
	zero_fd = open("/dev/zero", O_RDONLY);
	MUST(zero_fd >= 0, "open /dev/zero");
	tagged = with_tag(mode_granule(), 3);
	MUST(read_long(SWITCH) == 0, "tagged_addr_disabled is 0 at the start");
}

static void check_abi(bool on, const char *when)
{
	errno = 0;
	CHECK_EQ(read(zero_fd, tagged, 16), on ? 16 : -1, "read to a tagged pointer, %s", when);
	CHECK_EQ(errno, on ? 0 : EFAULT, "errno of read, %s", when);
}

static void disabled(void)
{
	unsigned long without = TCF_SYNC | 0xffUL << PR_MTE_TAG_SHIFT;

	start();
	MUST(set_ctrl(PR_TAGGED_ADDR_ENABLE) == 0, "PR_SET");
	write_file(SWITCH, "1");
	check_abi(true, "requested before it was disabled");
	errno = 0;
	CHECK_EQ(set_ctrl(ctrl_value(TCF_SYNC, 0xff)), -1, "PR_SET with the ABI bit, disabled");
	CHECK_EQ(errno, EINVAL, "errno of PR_SET with the ABI bit, disabled");
	CHECK_EQ(get_ctrl(), PR_TAGGED_ADDR_ENABLE, "PR_GET after the refusal");
	CHECK_EQ(set_ctrl(without), 0, "PR_SET without the ABI bit, disabled");
	CHECK_EQ(get_ctrl(), without, "PR_GET");
	include_check(0xff, "set while disabled");
	check_abi(false, "switched off");
	CHECK_EQ(set_ctrl(PR_TAGGED_ADDR_ENABLE), -1, "PR_SET with the ABI bit, disabled");
	write_file(SWITCH, "0");
	CHECK_EQ(set_ctrl(PR_TAGGED_ADDR_ENABLE), 0, "PR_SET with the ABI bit, enabled again");
	check_abi(true, "enabled again");
}

static void takes_0_and_1_only(void)
{
	start();
	CHECK_EQ(try_write_file(SWITCH, "2"), -1, "tagged_addr_disabled = 2");
	CHECK_EQ(errno, EINVAL, "errno of tagged_addr_disabled = 2");
	CHECK_EQ(try_write_file(SWITCH, "-1"), -1, "tagged_addr_disabled = -1");
	CHECK_EQ(read_long(SWITCH), 0, "tagged_addr_disabled");
}

PROBE(CASE(disabled), CASE(takes_0_and_1_only));
