/* SPDX-License-Identifier: MIT */
/*
 * Child processes that help a case.
 *
 * A failed CHECK in a child counts for its case, because the failure count is in
 * shared memory. A child that dies of a signal or exits early fails no CHECK: only its
 * parent can see that, so every child must be waited for with one of these. They end the
 * case as untested if a NEED() of the child did not hold.
 */
#ifndef MTE_HARNESS_CHILD_H
#define MTE_HARNESS_CHILD_H

#include "ktap.h"

/* fork() that ends the case if it fails. */
pid_t child_fork(void);

/* Waits for a child; ends the case unless it exited with status 0. */
#define wait_child(pid) child_wait_exit(__FILE__, __LINE__, (pid), 0)

/* Waits for a child; ends the case unless it exited with `status`. */
#define wait_child_exit(pid, status) child_wait_exit(__FILE__, __LINE__, (pid), (status))

/* Waits for a child; ends the case unless it was killed by `signal`. */
#define wait_child_killed(pid, signal) child_wait_killed(__FILE__, __LINE__, (pid), (signal))

/* Runs fn(arg) in a child and waits for it; ends the case unless fn() returned. */
#define run_child(fn, arg)                          \
	do {                                        \
		pid_t run_child_pid = child_fork(); \
		if (run_child_pid == 0) {           \
			fn(arg);                    \
			_exit(0);                   \
		}                                   \
		wait_child(run_child_pid);          \
	} while (0)

/* Waits for a child and returns its wait status, for cases that judge it themselves. */
int child_status(pid_t pid);

/*
 * Ends the case as untested if the child has ended so; for a parent that lacks what the child
 * should have given it. Neither waits for the child nor reaps it.
 */
void child_hand_on(pid_t pid);

/* A gate at which a child waits until its parent opens it; made before the fork. */
struct gate {
	int fds[2];
};

struct gate gate_make(void);
void gate_wait(const struct gate *gate);
void gate_open(const struct gate *gate);

/* A child that waits at a gate before it runs run(p). */
struct held_child {
	pid_t pid;
	struct gate gate;
};

struct held_child hold_child(void (*run)(char *p), char *p);

/* Opens the child's gate and waits for the child; ends the case unless run() returned. */
#define release_child(child)               \
	do {                               \
		gate_open(&(child)->gate); \
		wait_child((child)->pid);  \
	} while (0)

void child_wait_exit(const char *file, int line, pid_t pid, int status);
void child_wait_killed(const char *file, int line, pid_t pid, int signal);

#endif
