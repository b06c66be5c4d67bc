/* SPDX-License-Identifier: MIT */
/*
 * probe: mode_exec
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_PROC_PAGE_MONITOR
 * timeout: 30
 *
 * A program starts with mode none, an empty include mask, without the tagged address ABI
 * and with PSTATE.TCO clear, whatever the process had before execve(), and a fault that
 * was pending is not reported to the new program
 * (Documentation/arch/arm64/memory-tagging-extension.rst, "Initial process state").
 * arch/arm64/kernel/process.c flush_thread(), arch_setup_new_exec(); mte.c
 * mte_thread_init_user().
 *
 * The probe executes itself with --state FD; that program writes its state to FD before
 * main().
 */
#include <pthread.h>

#include "child.h"
#include "modes.h"

struct state {
	long ctrl;
	unsigned int include, drawn;
	int tco;
	int tagged_read; /* result of read() to a pointer with tag 3 */
	enum behaviour seen;
	int mte_mappings; /* VMAs with PROT_MTE */
};

static int count_mte_mappings(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += !strncmp(line, "VmFlags:", 8) && strstr(line, " mt ");
	if (f)
		fclose(f);
	return f ? n : -1;
}

__attribute__((constructor)) static void report_state(int argc, char **argv)
{
	struct state s = { .tco = get_tco(), .ctrl = get_ctrl(), .include = gcr_include() };
	static char data[16] __attribute__((aligned(16)));
	char *tagged = with_tag(data, 3);
	int i, zero;

	if (argc != 3 || strcmp(argv[1], "--state"))
		return;
	for (i = 0; i < 40; i++)
		s.drawn |= 1U << tag_of(irg(tagged, 0));
	s.mte_mappings = count_mte_mappings();
	zero = open("/dev/zero", O_RDONLY);
	s.tagged_read = read(zero, tagged, 1);
	catch_signal(SIGSEGV, 0);
	s.seen = observe(mode_granule());
	if (write(atoi(argv[2]), &s, sizeof(s)) != sizeof(s))
		_exit(2);
	_exit(0);
}

/* Runs `prepare` in a child, which executes this program; returns the state it reports. */
static struct state state_after_exec(void (*prepare)(const char *fd))
{
	struct state s;
	int p[2];
	char fd[12];
	pid_t child;
	ssize_t n;

	MUST(pipe(p) == 0, "pipe");
	snprintf(fd, sizeof(fd), "%d", p[1]);
	child = child_fork();
	if (!child) {
		prepare(fd);
		_exit(3);
	}
	close(p[1]);
	n = read(p[0], &s, sizeof(s));
	wait_child(child);
	MUST(n == sizeof(s), "the executed program reported %zd bytes", n);
	close(p[0]);
	return s;
}

static void exec_self(const char *fd)
{
	char *argv[] = { "mode_exec", "--state", (char *)fd, NULL }, *envp[] = { NULL };

	syscall(SYS_execve, "/proc/self/exe", argv, envp);
}

static void check_initial(const struct state *s, const char *when)
{
	CHECK_EQ(s->ctrl, 0, "%s: PR_GET", when);
	CHECK_EQ(s->include, 1, "%s: tags that ADDG keeps", when);
	CHECK_EQ(s->drawn, 1, "%s: tags that IRG drew", when);
	CHECK_EQ(s->tco, 0, "%s: PSTATE.TCO", when);
	CHECK_EQ(s->tagged_read, -1, "%s: read() to a tagged pointer", when);
	CHECK(s->seen == SEEN_NONE, "%s: expected no fault, saw %s", when, behaviour_name[s->seen]);
	CHECK_EQ(s->mte_mappings, 0, "%s: PROT_MTE mappings", when);
}

static unsigned long before_tcf, before_include;

static void with_mode(const char *fd)
{
	must_set(before_tcf, before_include);
	mode_granule();
	exec_self(fd);
}

static void mode_and_mask_are_reset(void)
{
	static const unsigned long modes[] = { TCF_NONE, TCF_SYNC, TCF_ASYNC, TCF_ASYMM };
	static const unsigned long masks[] = { 0xffff, 0x00f0, 0xfffe, 0x8000 };
	char when[60];
	int i;

	mte_need();
	for (i = 0; i < 4; i++) {
		struct state s;

		before_tcf = modes[i];
		before_include = masks[i];
		snprintf(when, sizeof(when), "exec in mode %#lx with mask %#lx", modes[i],
			 masks[i]);
		s = state_after_exec(with_mode);
		check_initial(&s, when);
	}
}

/* execve() in a child does not change the mode of the parent. */
static void the_parent_keeps_its_mode(void)
{
	void *p;

	mte_need();
	catch_signal(SIGSEGV, 0);
	p = mode_granule();
	must_set(TCF_SYNC, 0x0770);
	before_tcf = TCF_ASYNC;
	before_include = 0x00f0;
	state_after_exec(with_mode);
	CHECK_EQ(get_ctrl(), ctrl_value(TCF_SYNC, 0x0770), "PR_GET in the parent");
	CHECK_MODE(p, SEEN_SYNC, "in the parent");
	include_check(0x0770, "in the parent");
}

static int *
	old_program_faults; /* in shared memory, as that of the old program is gone when it is read */

static void count_fault(int sig)
{
	(void)sig;
	++*old_program_faults;
}

static void with_pending_fault(const char *fd)
{
	void *bad = with_tag(mode_granule(), 4);

	MUST(signal(SIGSEGV, count_fault) != SIG_ERR, "signal");
	must_set(TCF_ASYNC, INCLUDE_ALL);
	store_byte(bad);
	exec_self(fd);
}

/*
 * The pending fault is reported before the system call is carried out (el0_svc_common() in
 * arch/arm64/kernel/syscall.c), to the handler of the old program. A signal that stayed
 * pending would kill the new program, which has no handler.
 */
static void pending_async_fault_is_the_old_programs(void)
{
	struct state s;

	mte_need();
	old_program_faults =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(old_program_faults != MAP_FAILED, "mmap");
	s = state_after_exec(with_pending_fault);
	CHECK_EQ(*old_program_faults, 1, "asynchronous faults that the old program saw");
	check_initial(&s, "exec with an asynchronous fault pending");
}

static void with_tco(const char *fd)
{
	must_set(TCF_SYNC, INCLUDE_ALL);
	set_tco(1);
	exec_self(fd);
}

static void tco_is_cleared(void)
{
	struct state s;

	mte_need();
	s = state_after_exec(with_tco);
	check_initial(&s, "exec with TCO set");
}

static void *exec_thread(void *fd)
{
	must_set(TCF_SYNC, 0x0f00);
	exec_self(fd);
	return NULL;
}

static void from_second_thread(const char *fd)
{
	pthread_t id;

	must_set(TCF_ASYNC, 0x00f0);
	MUST(pthread_create(&id, NULL, exec_thread, (void *)fd) == 0, "pthread_create");
	pthread_join(id, NULL);
}

static void exec_by_a_second_thread(void)
{
	struct state s;

	mte_need();
	s = state_after_exec(from_second_thread);
	check_initial(&s, "exec by a thread that is not the first");
}

static void by_vfork(const char *fd)
{
	void *p;
	pid_t child;

	catch_signal(SIGSEGV, 0);
	p = mode_granule();
	must_set(TCF_SYNC, 0x0ee0);
	child = vfork();
	if (!child) {
		exec_self(fd);
		_exit(4);
	}
	wait_child(child);
	CHECK_EQ(get_ctrl(), ctrl_value(TCF_SYNC, 0x0ee0), "PR_GET in the parent of vfork");
	CHECK_MODE(p, SEEN_SYNC, "in the parent of vfork");
	include_check(0x0ee0, "in the parent of vfork");
	_exit(0);
}

static void exec_after_vfork(void)
{
	struct state s;

	mte_need();
	s = state_after_exec(by_vfork);
	check_initial(&s, "exec after vfork");
}

static void failed_exec_changes_nothing(void)
{
	void *p;

	mte_need();
	catch_signal(SIGSEGV, 0);
	p = mode_granule();
	must_set(TCF_SYNC, 0x0770);
	CHECK_EQ(execl("/no/such/program", "x", NULL), -1, "exec of a file that is not there");
	CHECK_EQ(get_ctrl(), ctrl_value(TCF_SYNC, 0x0770), "PR_GET after a failed exec");
	CHECK_MODE(p, SEEN_SYNC, "after a failed exec");
	include_check(0x0770, "after a failed exec");
}

PROBE(CASE(mode_and_mask_are_reset), CASE(the_parent_keeps_its_mode),
      CASE(pending_async_fault_is_the_old_programs), CASE(tco_is_cleared),
      CASE(exec_by_a_second_thread), CASE(exec_after_vfork), CASE(failed_exec_changes_nothing));
