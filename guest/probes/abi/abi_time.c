/* SPDX-License-Identifier: MIT */
/*
 * probe: abi_time
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_TMPFS CONFIG_POSIX_TIMERS
 * timeout: 120
 *
 * The tagged address ABI for times, timers, waiting and signals: each call is tried with an
 * untagged, a tagged, a matching and a mismatching pointer (guest/include/abi.h).
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>

#include "abi.h"

enum { SET = 8, MS = 1000000 }; /* bytes of the kernel's sigset_t */

static const struct timespec soon = { 0, MS };

/* --- clocks: kernel/time -------------------------------------------------- */

ABI(clock_gettime_time, "kernel/time/posix-timers.c SYSCALL_DEFINE2(clock_gettime)", 0)
{
	struct timespec *now = abi_mem(sizeof(*now));

	CALL(sys(clock_gettime, CLOCK_REALTIME, U(now)), 0);
	EFFECT(now->tv_sec > 1000000);
}

ABI(clock_settime_time, "kernel/time/posix-timers.c SYSCALL_DEFINE2(clock_settime)", 0)
{
	struct timespec *now = abi_mem(sizeof(*now)), after;

	clock_gettime(CLOCK_REALTIME, now);
	CALL(sys(clock_settime, CLOCK_REALTIME, U(now)), 0);
	EFFECT(clock_gettime(CLOCK_REALTIME, &after) == 0 && after.tv_sec - now->tv_sec < 30);
}

ABI(clock_getres_resolution, "kernel/time/posix-timers.c SYSCALL_DEFINE2(clock_getres)", 0)
{
	struct timespec *step = abi_mem(sizeof(*step));

	CALL(sys(clock_getres, CLOCK_MONOTONIC, U(step)), 0);
	EFFECT(step->tv_nsec > 0);
}

ABI(gettimeofday_time, "kernel/time/time.c SYSCALL_DEFINE2(gettimeofday), tv", 0)
{
	struct timeval *now = abi_mem(sizeof(*now));

	CALL(sys(gettimeofday, U(now), NULL), 0);
	EFFECT(now->tv_sec > 1000000);
}

ABI(gettimeofday_zone, "kernel/time/time.c SYSCALL_DEFINE2(gettimeofday), tz", 0)
{
	struct timezone *zone = abi_mem(sizeof(*zone));

	zone->tz_minuteswest = 77777;
	CALL(sys(gettimeofday, NULL, U(zone)), 0);
	EFFECT(zone->tz_minuteswest != 77777);
}

ABI(settimeofday_time, "kernel/time/time.c SYSCALL_DEFINE2(settimeofday), tv", 0)
{
	struct timeval *now = abi_mem(sizeof(*now)), after;

	gettimeofday(now, NULL);
	CALL(sys(settimeofday, U(now), NULL), 0);
	EFFECT(gettimeofday(&after, NULL) == 0 && after.tv_sec - now->tv_sec < 30);
}

ABI(adjtimex_state, "kernel/time/time.c SYSCALL_DEFINE1(adjtimex)", 0)
{
	struct timex *state = abi_mem(sizeof(*state));

	OK(sys(adjtimex, U(state)));
	EFFECT(state->tick > 0);
}

ABI(clock_adjtime_state, "kernel/time/posix-timers.c SYSCALL_DEFINE2(clock_adjtime)", 0)
{
	struct timex *state = abi_mem(sizeof(*state));

	OK(sys(clock_adjtime, CLOCK_REALTIME, U(state)));
	EFFECT(state->tick > 0);
}

ABI(times_buffer, "kernel/sys.c SYSCALL_DEFINE1(times)", 0)
{
	struct tms *spent = abi_mem(sizeof(*spent));

	spent->tms_cutime = -1;
	OK(sys(times, U(spent)));
	EFFECT(spent->tms_cutime >= 0);
}

/* --- sleep ---------------------------------------------------------------- */

static bool slept(const struct timespec *begin)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - begin->tv_sec) * 1000L * MS + now.tv_nsec - begin->tv_nsec >= 10 * MS;
}

static struct timespec *ten_ms(struct timespec *begin)
{
	struct timespec *span = abi_mem(sizeof(*span));

	span->tv_nsec = 10 * MS;
	clock_gettime(CLOCK_MONOTONIC, begin);
	return span;
}

ABI(nanosleep_request, "kernel/time/hrtimer.c SYSCALL_DEFINE2(nanosleep), rqtp", 0)
{
	struct timespec begin, *span = ten_ms(&begin);

	CALL(sys(nanosleep, U(span), NULL), 0);
	EFFECT(slept(&begin));
}

ABI(clock_nanosleep_request, "kernel/time/posix-timers.c SYSCALL_DEFINE4(clock_nanosleep)", 0)
{
	struct timespec begin, *span = ten_ms(&begin);

	CALL(sys(clock_nanosleep, CLOCK_MONOTONIC, 0, U(span), NULL), 0);
	EFFECT(slept(&begin));
}

static void no_action(int number)
{
	(void)number;
}

/* A signal in 20 ms, and every 20 ms from then on. */
static void signals_soon(void)
{
	struct itimerval every = { { 0, 20000 }, { 0, 20000 } };
	struct sigaction action = { .sa_handler = no_action };

	MUST(sigaction(SIGALRM, &action, NULL) == 0, "sigaction");
	MUST(setitimer(ITIMER_REAL, &every, NULL) == 0, "setitimer");
}

ABI(nanosleep_remaining, "kernel/time/hrtimer.c nanosleep_copyout()", 0)
{
	struct timespec minute = { 60, 0 }, *left = abi_mem(sizeof(*left));

	signals_soon();
	CALL(abi_interrupted(sys(nanosleep, &minute, U(left))), 0);
	EFFECT(left->tv_sec > 0);
}

ABI(clock_nanosleep_remaining, "kernel/time/hrtimer.c nanosleep_copyout()", 0)
{
	struct timespec minute = { 60, 0 }, *left = abi_mem(sizeof(*left));

	signals_soon();
	CALL(abi_interrupted(sys(clock_nanosleep, CLOCK_REALTIME, 0, &minute, U(left))), 0);
	EFFECT(left->tv_sec > 0);
}

/* --- timers --------------------------------------------------------------- */

ABI(getitimer_value, "kernel/time/itimer.c SYSCALL_DEFINE2(getitimer)", 0)
{
	struct itimerval hour = { { 0, 0 }, { 3600, 0 } }, *now = abi_mem(sizeof(*now));

	MUST(setitimer(ITIMER_VIRTUAL, &hour, NULL) == 0, "setitimer");
	CALL(sys(getitimer, ITIMER_VIRTUAL, U(now)), 0);
	EFFECT(now->it_value.tv_sec > 3000);
}

ABI(setitimer_new, "kernel/time/itimer.c SYSCALL_DEFINE3(setitimer), value", 0)
{
	struct itimerval *hour = abi_mem(sizeof(*hour)), now;

	hour->it_value.tv_sec = 3600;
	CALL(sys(setitimer, ITIMER_VIRTUAL, U(hour), NULL), 0);
	EFFECT(getitimer(ITIMER_VIRTUAL, &now) == 0 && now.it_value.tv_sec > 3000);
}

ABI(setitimer_old, "kernel/time/itimer.c SYSCALL_DEFINE3(setitimer), ovalue", 0)
{
	struct itimerval hour = { { 0, 0 }, { 3600, 0 } }, none = {}, *old = abi_mem(sizeof(*old));

	MUST(setitimer(ITIMER_VIRTUAL, &hour, NULL) == 0, "setitimer");
	CALL(sys(setitimer, ITIMER_VIRTUAL, &none, U(old)), 0);
	EFFECT(old->it_value.tv_sec > 3000);
}

static int new_timer(void)
{
	struct itimerspec hour = { { 0, 0 }, { 3600, 0 } };
	int timer = -1;

	MUST(sys(timer_create, CLOCK_MONOTONIC, NULL, &timer) == 0, "timer_create");
	MUST(sys(timer_settime, timer, 0, &hour, NULL) == 0, "timer_settime");
	return timer;
}

ABI(timer_create_event, "kernel/time/posix-timers.c SYSCALL_DEFINE3(timer_create)", 0)
{
	struct sigevent *event = abi_mem(sizeof(*event));
	struct itimerspec at = { { 0, 0 }, soon };
	siginfo_t info = {};
	sigset_t set;
	int timer = -1;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	event->sigev_notify = SIGEV_SIGNAL;
	event->sigev_signo = SIGUSR2;
	event->sigev_value.sival_int = 77;
	CALL(sys(timer_create, CLOCK_MONOTONIC, U(event), &timer), 0);
	MUST(sys(timer_settime, timer, 0, &at, NULL) == 0, "timer_settime");
	EFFECT(sigwaitinfo(&set, &info) == SIGUSR2 && info.si_value.sival_int == 77);
}

ABI(timer_create_id, "kernel/time/posix-timers.c do_timer_create()", 0)
{
	int *timer = abi_mem(sizeof(*timer));

	*timer = -1;
	CALL(sys(timer_create, CLOCK_MONOTONIC, NULL, U(timer)), 0);
	EFFECT(*timer >= 0 && sys(timer_delete, *timer) == 0);
}

ABI(timer_settime_new, "kernel/time/posix-timers.c SYSCALL_DEFINE4(timer_settime)", 0)
{
	struct itimerspec *at = abi_mem(sizeof(*at)), now;
	int timer = new_timer();

	at->it_value.tv_sec = 100000;
	CALL(sys(timer_settime, timer, 0, U(at), NULL), 0);
	EFFECT(sys(timer_gettime, timer, &now) == 0 && now.it_value.tv_sec > 90000);
}

ABI(timer_settime_old, "kernel/time/posix-timers.c SYSCALL_DEFINE4(timer_settime)", 0)
{
	struct itimerspec none = {}, *old = abi_mem(sizeof(*old));

	CALL(sys(timer_settime, new_timer(), 0, &none, U(old)), 0);
	EFFECT(old->it_value.tv_sec > 3000);
}

ABI(timer_gettime_value, "kernel/time/posix-timers.c SYSCALL_DEFINE2(timer_gettime)", 0)
{
	struct itimerspec *now = abi_mem(sizeof(*now));

	CALL(sys(timer_gettime, new_timer(), U(now)), 0);
	EFFECT(now->it_value.tv_sec > 3000);
}

ABI(timerfd_settime_new, "fs/timerfd.c SYSCALL_DEFINE4(timerfd_settime)", 0)
{
	struct itimerspec *at = abi_mem(sizeof(*at)), now;
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);

	at->it_value.tv_sec = 3600;
	CALL(sys(timerfd_settime, fd, 0, U(at), NULL), 0);
	EFFECT(timerfd_gettime(fd, &now) == 0 && now.it_value.tv_sec > 3000);
}

ABI(timerfd_settime_old, "fs/timerfd.c SYSCALL_DEFINE4(timerfd_settime)", 0)
{
	struct itimerspec hour = { { 0, 0 }, { 3600, 0 } }, none = {}, *old = abi_mem(sizeof(*old));
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);

	MUST(timerfd_settime(fd, 0, &hour, NULL) == 0, "timerfd_settime");
	CALL(sys(timerfd_settime, fd, 0, &none, U(old)), 0);
	EFFECT(old->it_value.tv_sec > 3000);
}

ABI(timerfd_gettime_value, "fs/timerfd.c SYSCALL_DEFINE2(timerfd_gettime)", 0)
{
	struct itimerspec hour = { { 0, 0 }, { 3600, 0 } }, *now = abi_mem(sizeof(*now));
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);

	MUST(timerfd_settime(fd, 0, &hour, NULL) == 0, "timerfd_settime");
	CALL(sys(timerfd_gettime, fd, U(now)), 0);
	EFFECT(now->it_value.tv_sec > 3000);
}

ABI(timerfd_read, "fs/timerfd.c timerfd_read_iter()", 0)
{
	struct itimerspec at = { { 0, 0 }, soon };
	uint64_t *count = abi_mem(sizeof(*count));
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);

	MUST(timerfd_settime(fd, 0, &at, NULL) == 0, "timerfd_settime");
	CALL(sys(read, fd, U(count), 8), 8);
	EFFECT(*count == 1);
}

/* --- waiting for files: fs/select.c, fs/eventpoll.c ----------------------- */

ABI(ppoll_files, "fs/select.c do_sys_poll()", 0)
{
	struct pollfd *fd = abi_mem(sizeof(*fd));

	*fd = (struct pollfd){ .fd = pipe_with("x"), .events = POLLIN };
	CALL(sys(ppoll, U(fd), 1, &soon, NULL, SET), 1);
	EFFECT(fd->revents & POLLIN);
}

ABI(ppoll_timeout, "fs/select.c SYSCALL_DEFINE5(ppoll), tsp", 0)
{
	struct timespec begin, *span = ten_ms(&begin);

	CALL(sys(ppoll, NULL, 0, U(span), NULL, SET), 0);
	EFFECT(slept(&begin));
}

ABI(ppoll_mask, "kernel/signal.c set_user_sigmask()", 0)
{
	uint64_t *none = abi_mem(SET);

	abi_pending(SIGUSR1);
	CALL(abi_interrupted(sys(ppoll, NULL, 0, NULL, U(none), SET)), 0);
	EFFECT(abi_handled == SIGUSR1);
}

ABI(pselect_read, "fs/select.c core_sys_select(), inp", 0)
{
	fd_set *set = abi_mem(sizeof(*set));
	int fd = pipe_with("x"), other = pipe_with("");

	FD_SET(fd, set);
	CALL(sys(pselect6, other + 1, U(set), NULL, NULL, &soon, NULL), 1);
	EFFECT(FD_ISSET(fd, set));
}

ABI(pselect_write, "fs/select.c core_sys_select(), outp", 0)
{
	fd_set *set = abi_mem(sizeof(*set));
	int fds[2];

	MUST(pipe(fds) == 0, "pipe");
	FD_SET(fds[1], set);
	CALL(sys(pselect6, fds[1] + 1, NULL, U(set), NULL, &soon, NULL), 1);
	EFFECT(FD_ISSET(fds[1], set));
}

ABI(pselect_except, "fs/select.c core_sys_select(), exp", 0)
{
	fd_set *set = abi_mem(sizeof(*set));
	int fd = pipe_with("x");

	FD_SET(fd, set);
	CALL(sys(pselect6, fd + 1, NULL, NULL, U(set), &soon, NULL), 0);
	EFFECT(!FD_ISSET(fd, set));
}

ABI(pselect_timeout, "fs/select.c do_pselect(), tsp", 0)
{
	struct timespec begin, *span = ten_ms(&begin);

	CALL(sys(pselect6, 0, NULL, NULL, NULL, U(span), NULL), 0);
	EFFECT(slept(&begin));
}

ABI(pselect_mask, "fs/select.c get_sigset_argpack()", 0)
{
	struct {
		const uint64_t *set;
		size_t size;
	} *arg = abi_mem(sizeof(*arg));
	uint64_t none = 0;

	abi_pending(SIGUSR1);
	*arg = (typeof(*arg)){ &none, SET };
	CALL(abi_interrupted(sys(pselect6, 0, NULL, NULL, NULL, NULL, U(arg))), 0);
	EFFECT(abi_handled == SIGUSR1);
}

static int epoll_of(int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 77 };
	int epoll = epoll_create1(0);

	MUST(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
	return epoll;
}

ABI(epoll_ctl_event, "fs/eventpoll.c SYSCALL_DEFINE4(epoll_ctl)", 0)
{
	struct epoll_event *event = abi_mem(sizeof(*event)), got = {};
	int epoll = epoll_create1(0);

	*event = (struct epoll_event){ .events = EPOLLIN, .data.u64 = 77 };
	CALL(sys(epoll_ctl, epoll, EPOLL_CTL_ADD, pipe_with("x"), U(event)), 0);
	EFFECT(epoll_wait(epoll, &got, 1, 0) == 1 && got.data.u64 == 77);
}

/* ep_send_events() puts an event back that it could not deliver. */
ABI(epoll_events, "fs/eventpoll.c ep_send_events()", 0)
{
	struct epoll_event *event = abi_mem(sizeof(*event));
	int epoll = epoll_of(pipe_with("x"));

	CALL(sys(epoll_pwait, epoll, U(event), 1, 0, NULL, SET), 1);
	EFFECT(event->data.u64 == 77);
}

ABI(epoll_mask, "fs/eventpoll.c SYSCALL_DEFINE6(epoll_pwait)", 0)
{
	uint64_t *none = abi_mem(SET);
	struct epoll_event event;

	abi_pending(SIGUSR1);
	CALL(abi_interrupted(sys(epoll_pwait, epoll_create1(0), &event, 1, -1, U(none), SET)), 0);
	EFFECT(abi_handled == SIGUSR1);
}

ABI(epoll_timeout, "fs/eventpoll.c SYSCALL_DEFINE6(epoll_pwait2)", 0)
{
	struct timespec begin, *span = ten_ms(&begin);
	struct epoll_event event;

	CALL(sys(epoll_pwait2, epoll_create1(0), &event, 1, U(span), NULL, SET), 0);
	EFFECT(slept(&begin));
}

/* --- signals: kernel/signal.c --------------------------------------------- */

/* The kernel's struct sigaction (include/linux/signal_types.h); glibc's is another. */
struct action {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

ABI(sigaction_new, "kernel/signal.c SYSCALL_DEFINE4(rt_sigaction), act", 0)
{
	struct action *action = abi_mem(sizeof(*action)), now;

	action->handler = no_action;
	CALL(sys(rt_sigaction, SIGUSR1, U(action), NULL, SET), 0);
	EFFECT(sys(rt_sigaction, SIGUSR1, NULL, &now, SET) == 0 && now.handler == no_action);
}

ABI(sigaction_old, "kernel/signal.c SYSCALL_DEFINE4(rt_sigaction), oact", 0)
{
	struct action *old = abi_mem(sizeof(*old));

	MUST(signal(SIGUSR1, no_action) != SIG_ERR, "signal");
	CALL(sys(rt_sigaction, SIGUSR1, NULL, U(old), SET), 0);
	EFFECT(old->handler == no_action);
}

ABI(sigprocmask_new, "kernel/signal.c SYSCALL_DEFINE4(rt_sigprocmask), nset", 0)
{
	uint64_t *set = abi_mem(SET), now = 0;

	*set = 1 << (SIGUSR1 - 1);
	CALL(sys(rt_sigprocmask, SIG_SETMASK, U(set), NULL, SET), 0);
	EFFECT(sys(rt_sigprocmask, SIG_SETMASK, NULL, &now, SET) == 0 && now == *set);
}

ABI(sigprocmask_old, "kernel/signal.c SYSCALL_DEFINE4(rt_sigprocmask), oset", 0)
{
	uint64_t set = 1 << (SIGUSR1 - 1), *old = abi_mem(SET);

	MUST(sys(rt_sigprocmask, SIG_SETMASK, &set, NULL, SET) == 0, "rt_sigprocmask");
	CALL(sys(rt_sigprocmask, SIG_SETMASK, NULL, U(old), SET), 0);
	EFFECT(*old == set);
}

ABI(sigpending_set, "kernel/signal.c SYSCALL_DEFINE2(rt_sigpending)", 0)
{
	uint64_t *set = abi_mem(SET);

	abi_pending(SIGUSR1);
	CALL(sys(rt_sigpending, U(set), SET), 0);
	EFFECT(*set == 1 << (SIGUSR1 - 1));
}

ABI(sigsuspend_mask, "kernel/signal.c SYSCALL_DEFINE2(rt_sigsuspend)", 0)
{
	uint64_t *none = abi_mem(SET);

	abi_pending(SIGUSR1);
	CALL(abi_interrupted(sys(rt_sigsuspend, U(none), SET)), 0);
	EFFECT(abi_handled == SIGUSR1);
}

ABI(sigtimedwait_set, "kernel/signal.c SYSCALL_DEFINE4(rt_sigtimedwait), uthese", 0)
{
	uint64_t *set = abi_mem(SET);

	abi_pending(SIGUSR1);
	*set = 1 << (SIGUSR1 - 1);
	CALL(sys(rt_sigtimedwait, U(set), NULL, &soon, SET), SIGUSR1);
	EFFECT(sys(rt_sigtimedwait, U(set), NULL, &soon, SET) == -1 && errno == EAGAIN);
}

ABI(sigtimedwait_info, "kernel/signal.c copy_siginfo_to_user()", 0)
{
	siginfo_t *info = abi_mem(sizeof(*info));
	uint64_t set = 1 << (SIGUSR1 - 1);

	abi_pending(SIGUSR1);
	CALL(sys(rt_sigtimedwait, &set, U(info), &soon, SET), SIGUSR1);
	EFFECT(info->si_signo == SIGUSR1 && info->si_pid == getpid());
}

ABI(sigtimedwait_timeout, "kernel/signal.c SYSCALL_DEFINE4(rt_sigtimedwait), uts", 0)
{
	struct timespec begin, *span = ten_ms(&begin);
	uint64_t set = 1 << (SIGUSR1 - 1);

	CALL(sys(rt_sigtimedwait, &set, NULL, U(span), SET) == -1 && errno == EAGAIN ? 0 : -1, 0);
	EFFECT(slept(&begin));
}

/* A signal with a value, which sigwaitinfo() gets. */
static siginfo_t *queued(siginfo_t *info)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	info->si_signo = SIGUSR2;
	info->si_code = SI_QUEUE;
	info->si_pid = getpid();
	info->si_value.sival_int = 77;
	return info;
}

static bool value_arrives(void)
{
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return sigtimedwait(&set, &info, &soon) == SIGUSR2 && info.si_value.sival_int == 77;
}

ABI(sigqueueinfo_info, "kernel/signal.c SYSCALL_DEFINE3(rt_sigqueueinfo)", 0)
{
	siginfo_t *info = queued(abi_mem(sizeof(*info)));

	CALL(sys(rt_sigqueueinfo, getpid(), SIGUSR2, U(info)), 0);
	EFFECT(value_arrives());
}

ABI(tgsigqueueinfo_info, "kernel/signal.c SYSCALL_DEFINE4(rt_tgsigqueueinfo)", 0)
{
	siginfo_t *info = queued(abi_mem(sizeof(*info)));

	CALL(sys(rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR2, U(info)), 0);
	EFFECT(value_arrives());
}

ABI(pidfd_send_info, "kernel/signal.c copy_siginfo_from_user_any()", 0)
{
	siginfo_t *info = queued(abi_mem(sizeof(*info)));
	int fd = sys(pidfd_open, getpid(), 0);

	CALL(sys(pidfd_send_signal, fd, SIGUSR2, U(info), 0), 0);
	EFFECT(value_arrives());
}

ABI(signalfd_mask, "fs/signalfd.c SYSCALL_DEFINE4(signalfd4)", 0)
{
	uint64_t *set = abi_mem(SET);
	char info[128];
	int fd;

	*set = 1 << (SIGUSR1 - 1);
	abi_pending(SIGUSR1);
	fd = OK(sys(signalfd4, -1, U(set), SET, 0));
	EFFECT(read(fd, info, 128) == 128);
}

ABI(signalfd_read, "fs/signalfd.c signalfd_copyinfo()", 0)
{
	uint64_t set = 1 << (SIGUSR1 - 1);
	uint32_t *info = abi_mem(128);
	int fd = sys(signalfd4, -1, &set, SET, 0);

	abi_pending(SIGUSR1);
	CALL(sys(read, fd, U(info), 128), 128);
	EFFECT(*info == SIGUSR1);
}

ABI(sigaltstack_new, "kernel/signal.c SYSCALL_DEFINE2(sigaltstack), uss", 0)
{
	stack_t *stack = abi_mem(sizeof(*stack)), now;

	stack->ss_sp = abi_plain(4 * SIGSTKSZ);
	stack->ss_size = 4 * SIGSTKSZ;
	CALL(sys(sigaltstack, U(stack), NULL), 0);
	EFFECT(sigaltstack(NULL, &now) == 0 && now.ss_sp == stack->ss_sp);
}

ABI(sigaltstack_old, "kernel/signal.c SYSCALL_DEFINE2(sigaltstack), uoss", 0)
{
	stack_t *old = abi_mem(sizeof(*old));

	old->ss_flags = 77;
	CALL(sys(sigaltstack, NULL, U(old)), 0);
	EFFECT(old->ss_flags == SS_DISABLE);
}

static volatile uintptr_t frame;

static void where(int number)
{
	(void)number;
	frame = (uintptr_t)untagged(__builtin_frame_address(0));
}

/* With a stack that cannot be written the process dies of SIGSEGV, as it must. */
ABI(sigaltstack_stack, "arch/arm64/kernel/signal.c get_sigframe()", ABI_NO_MISMATCH)
{
	char *p = abi_pages(4);
	stack_t stack = { .ss_sp = U(p), .ss_size = 4 * PAGE };
	struct sigaction action = { .sa_handler = where, .sa_flags = SA_ONSTACK };

	CALL(sys(sigaltstack, &stack, NULL), 0);
	MUST(sigaction(SIGUSR1, &action, NULL) == 0 && raise(SIGUSR1) == 0, "raise");
	EFFECT(frame - (uintptr_t)untagged(p) < 4 * PAGE);
}

PROBE(CASE(clock_gettime_time), CASE(clock_settime_time), CASE(clock_getres_resolution),
      CASE(gettimeofday_time), CASE(gettimeofday_zone), CASE(settimeofday_time),
      CASE(adjtimex_state), CASE(clock_adjtime_state), CASE(times_buffer), CASE(nanosleep_request),
      CASE(clock_nanosleep_request), CASE(nanosleep_remaining), CASE(clock_nanosleep_remaining),
      CASE(getitimer_value), CASE(setitimer_new), CASE(setitimer_old), CASE(timer_create_event),
      CASE(timer_create_id), CASE(timer_settime_new), CASE(timer_settime_old),
      CASE(timer_gettime_value), CASE(timerfd_settime_new), CASE(timerfd_settime_old),
      CASE(timerfd_gettime_value), CASE(timerfd_read), CASE(ppoll_files), CASE(ppoll_timeout),
      CASE(ppoll_mask), CASE(pselect_read), CASE(pselect_write), CASE(pselect_except),
      CASE(pselect_timeout), CASE(pselect_mask), CASE(epoll_ctl_event), CASE(epoll_events),
      CASE(epoll_mask), CASE(epoll_timeout), CASE(sigaction_new), CASE(sigaction_old),
      CASE(sigprocmask_new), CASE(sigprocmask_old), CASE(sigpending_set), CASE(sigsuspend_mask),
      CASE(sigtimedwait_set), CASE(sigtimedwait_info), CASE(sigtimedwait_timeout),
      CASE(sigqueueinfo_info), CASE(tgsigqueueinfo_info), CASE(pidfd_send_info),
      CASE(signalfd_mask), CASE(signalfd_read), CASE(sigaltstack_new), CASE(sigaltstack_old),
      CASE(sigaltstack_stack));
