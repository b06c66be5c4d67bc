/* SPDX-License-Identifier: MIT */
/*
 * probe: thread_uaccess
 * needs: CONFIG_ARM64_MTE
 * timeout: 30
 *
 * The kernel's accesses to user memory are checked by the mode of the thread that made the
 * system call, also if that thread slept in it and another thread, in another mode, had
 * the CPU in between. The CPU sets PSTATE.TCO on every exception; the kernel clears it for
 * threads in sync or asymm mode only, and a switch must not leave TCO of the previous
 * thread. arch/arm64/include/asm/mte.h mte_disable_tco_entry() as called by
 * mte_thread_switch() and entry-common.c __enter_from_user_mode(); process.c
 * __switch_to(), update_sctlr_el1().
 */
#include <pthread.h>

#include "modes.h"
#include "pin.h"

static int data[2], asleep[2];
static unsigned long waker_tcf;
static volatile pid_t sleeper_tid;

static bool sleeps(pid_t tid)
{
	char path[60], line[80];
	bool yes = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	f = fopen(path, "re");
	MUST(f, "open %s", path);
	while (fgets(line, sizeof(line), f))
		yes |= !strncmp(line, "State:\tS", 8);
	fclose(f);
	return yes;
}

/* Writes to the pipe as soon as the other thread sleeps in read(). */
static void *waker(void *arg)
{
	char bytes[16] = "0123456789abcde", c;
	int i;

	(void)arg;
	pin_cpu(0);
	must_set(waker_tcf, INCLUDE_ALL);
	while (read(asleep[0], &c, 1) == 1) {
		for (i = 0; i < 5000 && !sleeps(sleeper_tid); i++)
			usleep(1000);
		NEED(sleeps(sleeper_tid), "the reader does not sleep");
		MUST(write(data[1], bytes, sizeof(bytes)) == sizeof(bytes), "write");
	}
	return NULL;
}

/* read() that sleeps before it copies 16 bytes to a buffer whose tag mismatches. */
static ssize_t read_after_sleep(void *bad)
{
	char c = 0;
	ssize_t n;

	MUST(write(asleep[1], &c, 1) == 1, "write");
	n = syscall(SYS_read, data[0], bad, 16);
	/* Empties the pipe, where a failed read() leaves the data. */
	if (n < 0)
		MUST(errno == EFAULT && read(data[0], with_tag(bad, 3), 16) == 16, "read() again");
	return n;
}

static void reader_and_waker(unsigned long reader_tcf, unsigned long waker_mode, ssize_t want)
{
	pthread_t id;
	void *bad;
	int i;

	mte_need();
	catch_signal(SIGSEGV, 0);
	bad = with_tag(mode_granule(), 4);
	MUST(pipe(data) == 0 && pipe(asleep) == 0, "pipe");
	waker_tcf = waker_mode;
	sleeper_tid = syscall(SYS_gettid);
	pin_cpu(0);
	MUST(pthread_create(&id, NULL, waker, NULL) == 0, "pthread_create");
	for (i = 0; i < 5; i++) {
		ssize_t n;

		must_set(reader_tcf, INCLUDE_ALL);
		n = read_after_sleep(bad);
		CHECK_EQ(n, want, "read() in mode %#lx, woken by a thread in mode %#lx", reader_tcf,
			 waker_mode);
	}
	close(asleep[1]);
	pthread_join(id, NULL);
	CHECK_EQ(tag_faults.async, 0, "SEGV_MTEAERR for the kernel's access");
}

static void sync_reader(void)
{
	reader_and_waker(TCF_SYNC, TCF_NONE, -1);
	reader_and_waker(TCF_SYNC, TCF_ASYNC, -1);
	reader_and_waker(TCF_SYNC, TCF_SYNC, -1);
}

static void unchecked_reader(void)
{
	reader_and_waker(TCF_NONE, TCF_SYNC, 16);
	reader_and_waker(TCF_NONE, TCF_ASYNC, 16);
}

static void async_reader(void)
{
	reader_and_waker(TCF_ASYNC, TCF_SYNC, 16);
	reader_and_waker(TCF_ASYNC, TCF_NONE, 16);
}

PROBE(CASE(sync_reader), CASE(unchecked_reader), CASE(async_reader));
