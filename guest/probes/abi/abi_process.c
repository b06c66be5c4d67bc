/* SPDX-License-Identifier: MIT */
/*
 * probe: abi_process
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_TMPFS CONFIG_CROSS_MEMORY_ATTACH
 * cases: CONFIG_SECCOMP_FILTER seccomp_program seccomp_filter
 * timeout: 150
 *
 * The tagged address ABI for processes: creation, waiting, limits, credentials, scheduling,
 * prctl() and other processes' memory. Each call is tried with an untagged, a
 * tagged, a matching and a mismatching pointer (guest/include/abi.h).
 */
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "abi.h"

/* --- new processes -------------------------------------------------------- */

/* A child that ends with status 7. */
static pid_t seven(void)
{
	pid_t pid = child_fork();

	if (pid == 0)
		_exit(7);
	return pid;
}

ABI(wait4_status, "kernel/exit.c SYSCALL_DEFINE4(wait4), stat_addr", 0)
{
	int *status = abi_mem(sizeof(*status));
	pid_t pid = seven();

	CALL(sys(wait4, pid, U(status), 0, NULL), pid);
	EFFECT(WIFEXITED(*status) && WEXITSTATUS(*status) == 7);
}

ABI(wait4_usage, "kernel/exit.c SYSCALL_DEFINE4(wait4), ru", 0)
{
	struct rusage *usage = abi_mem(sizeof(*usage));
	pid_t pid = seven();

	CALL(sys(wait4, pid, NULL, 0, U(usage)), pid);
	EFFECT(usage->ru_minflt > 0);
}

ABI(waitid_info, "kernel/exit.c SYSCALL_DEFINE5(waitid), infop", 0)
{
	siginfo_t *info = abi_mem(sizeof(*info));
	pid_t pid = seven();

	CALL(sys(waitid, P_PID, pid, U(info), WEXITED, NULL), 0);
	EFFECT(info->si_pid == pid && info->si_status == 7);
}

ABI(waitid_usage, "kernel/exit.c SYSCALL_DEFINE5(waitid), ru", 0)
{
	struct rusage *usage = abi_mem(sizeof(*usage));

	CALL(sys(waitid, P_PID, seven(), NULL, WEXITED, U(usage)), 0);
	EFFECT(usage->ru_minflt > 0);
}

/*
 * clone(), clone3() and the exit of a thread say nothing of an ID that they could not write:
 * kernel_clone() and mm_release() (kernel/fork.c) ignore what put_user() returns.
 */
ABI(clone_parent_tid, "kernel/fork.c kernel_clone(), parent_tid", ABI_NO_MISMATCH)
{
	int *tid = abi_mem(sizeof(*tid));
	pid_t pid = sys(clone, CLONE_PARENT_SETTID | SIGCHLD, 0, U(tid), 0, 0);

	if (pid == 0)
		_exit(0);
	CALL(sys(wait4, pid, NULL, 0, NULL), pid);
	EFFECT(*tid == pid);
}

ABI(clone_child_tid, "kernel/sched/core.c schedule_tail(), set_child_tid", ABI_NO_MISMATCH)
{
	int *tid = abi_mem(sizeof(*tid)), status;
	pid_t pid = sys(clone, CLONE_CHILD_SETTID | SIGCHLD, 0, 0, 0, U(tid));

	if (pid == 0)
		_exit(*tid == getpid() ? 3 : 4);
	CALL(sys(wait4, pid, &status, 0, NULL), pid);
	EFFECT(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

ABI(clone3_arguments, "kernel/fork.c copy_clone_args_from_user()", 0)
{
	struct clone_args *arguments = abi_mem(sizeof(*arguments));
	int status;
	pid_t pid;

	arguments->exit_signal = SIGCHLD;
	pid = OK(sys(clone3, U(arguments), sizeof(*arguments)));
	if (pid == 0)
		_exit(7);
	status = child_status(pid);
	EFFECT(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

ABI(clone3_pidfd, "kernel/fork.c copy_process(), args->pidfd", 0)
{
	int *pidfd = abi_mem(sizeof(*pidfd));
	struct clone_args arguments = { .flags = CLONE_PIDFD,
					.exit_signal = SIGCHLD,
					.pidfd = (uintptr_t)U(pidfd) };
	siginfo_t info;
	pid_t pid = OK(sys(clone3, &arguments, sizeof(arguments)));

	if (pid == 0)
		_exit(7);
	EFFECT(sys(waitid, P_PIDFD, *pidfd, &info, WEXITED, NULL) == 0 && info.si_pid == pid);
}

ABI(clone3_set_tid, "kernel/fork.c copy_clone_args_from_user(), set_tid", 0)
{
	pid_t *wanted = abi_mem(sizeof(*wanted)), pid;
	struct clone_args arguments = { .exit_signal = SIGCHLD,
					.set_tid = (uintptr_t)U(wanted),
					.set_tid_size = 1 };

	*wanted = 23456;
	pid = OK(sys(clone3, &arguments, sizeof(arguments)));
	if (pid == 0)
		_exit(0);
	EFFECT(pid == 23456 && WIFEXITED(child_status(pid)));
}

/* What is executed: a script that writes its argument and the variable WORD into a file. */
static void script(void)
{
	int fd = open("script", O_CREAT | O_WRONLY, 0700);
	static const char text[] = "#!/bin/busybox sh\nprintf '%s %s' \"$1\" \"$WORD\" > said\n";

	MUST(write(fd, text, sizeof(text) - 1) == sizeof(text) - 1 && close(fd) == 0, "a script");
}

struct execution {
	const char *path, **arguments, **environment;
};

static const char **list(const char **place, const char *one, const char *two)
{
	place[0] = one;
	place[1] = two;
	place[2] = NULL;
	return place;
}

/* execve() of the script in a child; 0 if that was executed, or -1 and errno. */
static long execute(struct execution with)
{
	int status;
	pid_t pid = child_fork();

	if (pid == 0) {
		sys(execve, with.path, with.arguments, with.environment);
		_exit(errno);
	}
	status = child_status(pid);
	MUST(WIFEXITED(status), "wait status %#x", status);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

static struct execution plain_execution(void)
{
	script();
	return (struct execution){ "./script",
				   list(abi_plain(3 * sizeof(char *)), "script", "tagged"),
				   list(abi_plain(3 * sizeof(char *)), "WORD=too", NULL) };
}

#define EXECUTION_SEEN EFFECT(file_has("said", "tagged too"))

ABI(execve_path, "fs/exec.c do_execveat_common()", 0)
{
	struct execution with = plain_execution();

	with.path = U(abi_string("./script"));
	CALL(execute(with), 0);
	EXECUTION_SEEN;
}

ABI(execve_arguments, "fs/exec.c get_user_arg_ptr(), argv", 0)
{
	struct execution with = plain_execution();

	with.arguments = U(list(abi_mem(3 * sizeof(char *)), "script", "tagged"));
	CALL(execute(with), 0);
	EXECUTION_SEEN;
}

ABI(execve_argument, "fs/exec.c copy_strings(), argv", 0)
{
	struct execution with = plain_execution();

	with.arguments[1] = U(abi_string("tagged"));
	CALL(execute(with), 0);
	EXECUTION_SEEN;
}

ABI(execve_environment, "fs/exec.c get_user_arg_ptr(), envp", 0)
{
	struct execution with = plain_execution();

	with.environment = U(list(abi_mem(3 * sizeof(char *)), "WORD=too", NULL));
	CALL(execute(with), 0);
	EXECUTION_SEEN;
}

ABI(execve_variable, "fs/exec.c copy_strings(), envp", 0)
{
	struct execution with = plain_execution();

	with.environment[0] = U(abi_string("WORD=too"));
	CALL(execute(with), 0);
	EXECUTION_SEEN;
}

static long execute_at(const char *path)
{
	const char *arguments[3], *environment[3];
	int status;
	pid_t pid;

	script();
	pid = child_fork();
	if (pid == 0) {
		sys(execveat, AT_FDCWD, path, list(arguments, "script", "tagged"),
		    list(environment, "WORD=too", NULL), 0);
		_exit(errno);
	}
	status = child_status(pid);
	MUST(WIFEXITED(status), "wait status %#x", status);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

ABI(execveat_path, "fs/exec.c SYSCALL_DEFINE5(execveat)", 0)
{
	CALL(execute_at(U(abi_string("./script"))), 0);
	EXECUTION_SEEN;
}

/* --- limits and the system ------------------------------------------------ */

ABI(getrusage_usage, "kernel/sys.c SYSCALL_DEFINE2(getrusage)", 0)
{
	struct rusage *usage = abi_mem(sizeof(*usage));

	CALL(sys(getrusage, RUSAGE_SELF, U(usage)), 0);
	EFFECT(usage->ru_minflt > 0);
}

ABI(getrlimit_limit, "kernel/sys.c SYSCALL_DEFINE2(getrlimit)", 0)
{
	struct rlimit *limit = abi_mem(sizeof(*limit));

	CALL(sys(getrlimit, RLIMIT_NOFILE, U(limit)), 0);
	EFFECT(limit->rlim_cur > 0);
}

ABI(setrlimit_limit, "kernel/sys.c SYSCALL_DEFINE2(setrlimit)", 0)
{
	struct rlimit *limit = abi_mem(sizeof(*limit)), now;

	*limit = (struct rlimit){ 77, 99 };
	CALL(sys(setrlimit, RLIMIT_NOFILE, U(limit)), 0);
	EFFECT(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 77);
}

ABI(prlimit_new, "kernel/sys.c SYSCALL_DEFINE4(prlimit64), new_rlim", 0)
{
	struct rlimit *limit = abi_mem(sizeof(*limit)), now;

	*limit = (struct rlimit){ 77, 99 };
	CALL(sys(prlimit64, 0, RLIMIT_NOFILE, U(limit), NULL), 0);
	EFFECT(getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur == 77);
}

ABI(prlimit_old, "kernel/sys.c SYSCALL_DEFINE4(prlimit64), old_rlim", 0)
{
	struct rlimit *limit = abi_mem(sizeof(*limit));

	CALL(sys(prlimit64, 0, RLIMIT_NOFILE, NULL, U(limit)), 0);
	EFFECT(limit->rlim_cur > 0);
}

ABI(uname_buffer, "kernel/sys.c SYSCALL_DEFINE1(newuname)", 0)
{
	struct utsname *name = abi_mem(sizeof(*name));

	CALL(sys(uname, U(name)), 0);
	EFFECT(!strcmp(name->sysname, "Linux"));
}

ABI(sysinfo_buffer, "kernel/sys.c SYSCALL_DEFINE1(sysinfo)", 0)
{
	struct sysinfo *info = abi_mem(sizeof(*info));

	CALL(sys(sysinfo, U(info)), 0);
	EFFECT(info->totalram > 0);
}

ABI(getcpu_cpu, "kernel/sys.c SYSCALL_DEFINE3(getcpu), cpup", 0)
{
	unsigned int *cpu = abi_mem(sizeof(*cpu));

	*cpu = 77777;
	CALL(sys(getcpu, U(cpu), NULL, NULL), 0);
	EFFECT(*cpu != 77777);
}

ABI(getcpu_node, "kernel/sys.c SYSCALL_DEFINE3(getcpu), nodep", 0)
{
	unsigned int *node = abi_mem(sizeof(*node));

	*node = 77777;
	CALL(sys(getcpu, NULL, U(node), NULL), 0);
	EFFECT(*node != 77777);
}

/* The names are set back, as the machine may have no UTS namespaces. */
ABI(sethostname_name, "kernel/sys.c SYSCALL_DEFINE2(sethostname)", 0)
{
	struct utsname before, now;

	MUST(uname(&before) == 0, "uname");
	CALL(sys(sethostname, U(abi_string("tagged")), 6), 0);
	uname(&now);
	sys(sethostname, before.nodename, strlen(before.nodename));
	EFFECT(!strcmp(now.nodename, "tagged"));
}

ABI(setdomainname_name, "kernel/sys.c SYSCALL_DEFINE2(setdomainname)", 0)
{
	struct utsname before, now;

	MUST(uname(&before) == 0, "uname");
	CALL(sys(setdomainname, U(abi_string("tagged")), 6), 0);
	uname(&now);
	sys(setdomainname, before.domainname, strlen(before.domainname));
	EFFECT(!strcmp(now.domainname, "tagged"));
}

ABI(syslog_buffer, "kernel/printk/printk.c syslog_print_all()", 0)
{
	char *p = abi_mem(2048);

	OK(sys(syslog, 3 /* SYSLOG_ACTION_READ_ALL */, U(p), 2048));
	EFFECT(strchr(p, '\n'));
}

/* --- credentials ---------------------------------------------------------- */

ABI(getgroups_list, "kernel/groups.c groups_to_user()", 0)
{
	gid_t set[2] = { 12, 34 }, *list = abi_mem(sizeof(set));

	MUST(sys(setgroups, 2, set) == 0, "setgroups");
	CALL(sys(getgroups, 2, U(list)), 2);
	EFFECT(list[0] == 12 && list[1] == 34);
}

ABI(setgroups_list, "kernel/groups.c groups_from_user()", 0)
{
	gid_t *list = abi_mem(2 * sizeof(*list)), now[2];

	list[0] = 12;
	list[1] = 34;
	CALL(sys(setgroups, 2, U(list)), 0);
	EFFECT(sys(getgroups, 2, now) == 2 && now[1] == 34);
}

/* The three IDs are one struct here, of which `which` is tagged. */
static long get_ids(long number, unsigned int *ids, int which)
{
	void *p[3] = { abi_plain(4), abi_plain(4), abi_plain(4) };

	p[which] = U(ids);
	return syscall(number, p[0], p[1], p[2]);
}

static void give_ids(void)
{
	MUST(sys(setresgid, 4, 5, 6) == 0 && sys(setresuid, 1, 2, 3) == 0, "setresuid");
}

#define IDS(name, call, which, want)                     \
	ABI(name, "kernel/sys.c " #call "()", 0)         \
	{                                                \
		unsigned int *id = abi_mem(sizeof(*id)); \
                                                         \
		give_ids();                              \
		CALL(get_ids(SYS_##call, id, which), 0); \
		EFFECT(*id == (want));                   \
	}

IDS(getresuid_real, getresuid, 0, 1)
IDS(getresuid_effective, getresuid, 1, 2)
IDS(getresuid_saved, getresuid, 2, 3)
IDS(getresgid_real, getresgid, 0, 4)
IDS(getresgid_effective, getresgid, 1, 5)
IDS(getresgid_saved, getresgid, 2, 6)

ABI(capget_header, "kernel/capability.c cap_validate_magic()", 0)
{
	struct __user_cap_header_struct *header = abi_mem(sizeof(*header));
	struct __user_cap_data_struct data[2] = {};

	header->version = _LINUX_CAPABILITY_VERSION_3;
	CALL(sys(capget, U(header), data), 0);
	EFFECT(data[0].effective);
}

ABI(capget_data, "kernel/capability.c SYSCALL_DEFINE2(capget)", 0)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct *data = abi_mem(2 * sizeof(*data));

	CALL(sys(capget, &header, U(data)), 0);
	EFFECT(data[0].effective);
}

ABI(capset_data, "kernel/capability.c SYSCALL_DEFINE2(capset)", 0)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct *data = abi_mem(2 * sizeof(*data)), now[2];

	MUST(sys(capget, &header, data) == 0, "capget");
	data[0].effective &= ~(1U << CAP_NET_ADMIN);
	CALL(sys(capset, &header, U(data)), 0);
	EFFECT(sys(capget, &header, now) == 0 && !(now[0].effective & 1U << CAP_NET_ADMIN));
}

/* --- scheduling: kernel/sched/syscalls.c, before 6.11 core.c -------------- */

ABI(setaffinity_mask, "kernel/sched/syscalls.c get_user_cpu_mask()", 0)
{
	unsigned long *mask = abi_mem(sizeof(*mask)), now = 0;

	*mask = 1;
	CALL(sys(sched_setaffinity, 0, sizeof(*mask), U(mask)), 0);
	EFFECT(sys(sched_getaffinity, 0, sizeof(now), &now) > 0 && now == 1);
}

ABI(getaffinity_mask, "kernel/sched/syscalls.c SYSCALL_DEFINE3(sched_getaffinity)", 0)
{
	unsigned long *mask = abi_mem(sizeof(*mask));

	OK(sys(sched_getaffinity, 0, sizeof(*mask), U(mask)));
	EFFECT(*mask & 1);
}

ABI(setscheduler_parameter, "kernel/sched/syscalls.c do_sched_setscheduler()", 0)
{
	struct sched_param *parameter = abi_mem(sizeof(*parameter));

	parameter->sched_priority = 7;
	CALL(sys(sched_setscheduler, 0, SCHED_FIFO, U(parameter)), 0);
	EFFECT(sched_getscheduler(0) == SCHED_FIFO);
}

ABI(setparam_parameter, "kernel/sched/syscalls.c SYSCALL_DEFINE2(sched_setparam)", 0)
{
	struct sched_param *parameter = abi_mem(sizeof(*parameter)), now = { 1 };

	MUST(sched_setscheduler(0, SCHED_FIFO, &now) == 0, "SCHED_FIFO");
	parameter->sched_priority = 7;
	CALL(sys(sched_setparam, 0, U(parameter)), 0);
	EFFECT(sched_getparam(0, &now) == 0 && now.sched_priority == 7);
}

ABI(getparam_parameter, "kernel/sched/syscalls.c SYSCALL_DEFINE2(sched_getparam)", 0)
{
	struct sched_param *parameter = abi_mem(sizeof(*parameter)), seven = { 7 };

	MUST(sched_setscheduler(0, SCHED_FIFO, &seven) == 0, "SCHED_FIFO");
	CALL(sys(sched_getparam, 0, U(parameter)), 0);
	EFFECT(parameter->sched_priority == 7);
}

ABI(rr_interval, "kernel/sched/syscalls.c SYSCALL_DEFINE2(sched_rr_get_interval)", 0)
{
	struct timespec *span = abi_mem(sizeof(*span));
	struct sched_param seven = { 7 };

	MUST(sched_setscheduler(0, SCHED_RR, &seven) == 0, "SCHED_RR");
	CALL(sys(sched_rr_get_interval, 0, U(span)), 0);
	EFFECT(span->tv_nsec > 0);
}

/* include/uapi/linux/sched/types.h, version 0 */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

ABI(setattr_attributes, "kernel/sched/syscalls.c sched_copy_attr()", 0)
{
	struct attributes *want = abi_mem(sizeof(*want));

	*want = (struct attributes){ .size = sizeof(*want), .nice = 7 };
	CALL(sys(sched_setattr, 0, U(want), 0), 0);
	EFFECT(getpriority(PRIO_PROCESS, 0) == 7);
}

ABI(getattr_attributes, "kernel/sched/syscalls.c SYSCALL_DEFINE4(sched_getattr)", 0)
{
	struct attributes *now = abi_mem(sizeof(*now));

	MUST(setpriority(PRIO_PROCESS, 0, 7) == 0, "setpriority");
	CALL(sys(sched_getattr, 0, U(now), sizeof(*now), 0), 0);
	EFFECT(now->nice == 7);
}

/* --- prctl() with pointers to data, and seccomp() ------------------------- */

ABI(prctl_set_name, "kernel/sys.c PR_SET_NAME", 0)
{
	CALL(sys(prctl, PR_SET_NAME, U(abi_string("tagged")), 0, 0, 0), 0);
	EFFECT(file_has("/proc/self/comm", "tagged\n"));
}

ABI(prctl_get_name, "kernel/sys.c PR_GET_NAME", 0)
{
	char *p = abi_mem(16);

	MUST(prctl(PR_SET_NAME, "tagged") == 0, "PR_SET_NAME");
	CALL(sys(prctl, PR_GET_NAME, U(p), 0, 0, 0), 0);
	EFFECT(!strcmp(p, "tagged"));
}

ABI(prctl_death_signal, "kernel/sys.c PR_GET_PDEATHSIG", 0)
{
	int *number = abi_mem(sizeof(*number));

	MUST(prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0, "PR_SET_PDEATHSIG");
	CALL(sys(prctl, PR_GET_PDEATHSIG, U(number), 0, 0, 0), 0);
	EFFECT(*number == SIGUSR1);
}

ABI(prctl_subreaper, "kernel/sys.c PR_GET_CHILD_SUBREAPER", 0)
{
	int *on = abi_mem(sizeof(*on));

	MUST(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "PR_SET_CHILD_SUBREAPER");
	CALL(sys(prctl, PR_GET_CHILD_SUBREAPER, U(on), 0, 0, 0), 0);
	EFFECT(*on == 1);
}

static struct sock_filter *refuse_getppid(struct sock_filter *code)
{
	const struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 77),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	return memcpy(code, program, sizeof(program));
}

ABI(seccomp_program, "kernel/seccomp.c seccomp_prepare_user_filter()", 0)
{
	struct sock_fprog *program = abi_mem(sizeof(*program));

	*program = (struct sock_fprog){ 4, refuse_getppid(abi_plain(4 * 8)) };
	CALL(sys(seccomp, SECCOMP_SET_MODE_FILTER, 0, U(program)), 0);
	EFFECT(sys(getppid) == -1 && errno == 77);
}

ABI(seccomp_filter, "kernel/seccomp.c seccomp_prepare_filter()", 0)
{
	struct sock_fprog program = { 4, U(refuse_getppid(abi_mem(4 * 8))) };

	CALL(sys(seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), 0);
	EFFECT(sys(getppid) == -1 && errno == 77);
}

/* --- threads -------------------------------------------------------------- */

ABI(robust_list_head, "kernel/futex/syscalls.c SYSCALL_DEFINE3(get_robust_list)", 0)
{
	void **head = abi_mem(sizeof(*head));
	size_t len;

	*head = (void *)77;
	CALL(sys(get_robust_list, 0, U(head), &len), 0);
	EFFECT(*head != (void *)77);
}

ABI(robust_list_length, "kernel/futex/syscalls.c SYSCALL_DEFINE3(get_robust_list)", 0)
{
	size_t *len = abi_mem(sizeof(*len));
	void *head;

	CALL(sys(get_robust_list, 0, &head, U(len)), 0);
	EFFECT(*len == 24);
}

/* The kernel clears the word, and wakes who waits for it, when the task ends. */
ABI(clear_child_tid, "kernel/fork.c mm_release()", ABI_NO_MISMATCH)
{
	int *shared = abi_pages(1), status;
	pid_t pid;

	*shared = 77;
	/* The child shares the memory, so that its end is seen in it. */
	pid = sys(clone, CLONE_VM | CLONE_VFORK | CLONE_CHILD_CLEARTID | SIGCHLD, 0, 0, 0,
		  U(shared));
	if (pid == 0)
		sys(exit, 0);
	CALL(sys(wait4, pid, &status, 0, NULL), pid);
	EFFECT(*shared == 0);
}

/* --- other processes' memory: mm/process_vm_access.c ---------------------- */

#define TEXT "sixteen letters!"
enum { LEN = sizeof(TEXT) - 1 };

ABI(process_readv_local, "mm/process_vm_access.c process_vm_rw(), lvec", 0)
{
	char text[LEN];
	struct iovec *local = abi_mem(sizeof(*local)), remote = { TEXT, LEN };

	*local = (struct iovec){ text, LEN };
	CALL(sys(process_vm_readv, getpid(), U(local), 1, &remote, 1, 0), LEN);
	EFFECT(!memcmp(text, TEXT, LEN));
}

ABI(process_readv_into, "mm/process_vm_access.c process_vm_rw_pages(), copy_page_to_iter()", 0)
{
	char *p = abi_mem(LEN);
	struct iovec local = { U(p), LEN }, remote = { TEXT, LEN };

	CALL(sys(process_vm_readv, getpid(), &local, 1, &remote, 1, 0), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(process_readv_remote, "mm/process_vm_access.c process_vm_rw(), rvec", 0)
{
	char text[LEN];
	struct iovec local = { text, LEN }, *remote = abi_mem(sizeof(*remote));

	*remote = (struct iovec){ TEXT, LEN };
	CALL(sys(process_vm_readv, getpid(), &local, 1, U(remote), 1, 0), LEN);
	EFFECT(!memcmp(text, TEXT, LEN));
}

/* The other process's pages are pinned: process_vm_rw_single_vec(). */
ABI(process_readv_from, "mm/process_vm_access.c process_vm_rw_single_vec()", ABI_UNCHECKED)
{
	char text[LEN];
	struct iovec local = { text, LEN }, remote = { U(abi_string(TEXT)), LEN };

	CALL(sys(process_vm_readv, getpid(), &local, 1, &remote, 1, 0), LEN);
	EFFECT(!memcmp(text, TEXT, LEN));
}

ABI(process_writev_from, "mm/process_vm_access.c process_vm_rw_pages(), copy_page_from_iter()", 0)
{
	char text[LEN];
	struct iovec local = { U(abi_string(TEXT)), LEN }, remote = { text, LEN };

	CALL(sys(process_vm_writev, getpid(), &local, 1, &remote, 1, 0), LEN);
	EFFECT(!memcmp(text, TEXT, LEN));
}

ABI(process_writev_to, "mm/process_vm_access.c process_vm_rw_single_vec()", ABI_UNCHECKED)
{
	char *p = abi_mem(LEN);
	struct iovec local = { TEXT, LEN }, remote = { U(p), LEN };

	CALL(sys(process_vm_writev, getpid(), &local, 1, &remote, 1, 0), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

PROBE(CASE(wait4_status), CASE(wait4_usage), CASE(waitid_info), CASE(waitid_usage),
      CASE(clone_parent_tid), CASE(clone_child_tid), CASE(clone3_arguments), CASE(clone3_pidfd),
      CASE(clone3_set_tid), CASE(execve_path), CASE(execve_arguments), CASE(execve_argument),
      CASE(execve_environment), CASE(execve_variable), CASE(execveat_path), CASE(getrusage_usage),
      CASE(getrlimit_limit), CASE(setrlimit_limit), CASE(prlimit_new), CASE(prlimit_old),
      CASE(uname_buffer), CASE(sysinfo_buffer), CASE(getcpu_cpu), CASE(getcpu_node),
      CASE(sethostname_name), CASE(setdomainname_name), CASE(syslog_buffer), CASE(getgroups_list),
      CASE(setgroups_list), CASE(getresuid_real), CASE(getresuid_effective), CASE(getresuid_saved),
      CASE(getresgid_real), CASE(getresgid_effective), CASE(getresgid_saved), CASE(capget_header),
      CASE(capget_data), CASE(capset_data), CASE(setaffinity_mask), CASE(getaffinity_mask),
      CASE(setscheduler_parameter), CASE(setparam_parameter), CASE(getparam_parameter),
      CASE(rr_interval), CASE(setattr_attributes), CASE(getattr_attributes), CASE(prctl_set_name),
      CASE(prctl_get_name), CASE(prctl_death_signal), CASE(prctl_subreaper), CASE(seccomp_program),
      CASE(seccomp_filter), CASE(robust_list_head), CASE(robust_list_length), CASE(clear_child_tid),
      CASE(process_readv_local), CASE(process_readv_into), CASE(process_readv_remote),
      CASE(process_readv_from), CASE(process_writev_from), CASE(process_writev_to));
