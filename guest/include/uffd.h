/* SPDX-License-Identifier: MIT */
/*
 * userfaultfd for probes: open, register, and ioctls whose errors end the case. Defines
 * what the headers of the cross C library are too old for.
 *
 * Interface: Documentation/admin-guide/mm/userfaultfd.rst, ioctl_userfaultfd(2).
 */
#ifndef MTE_HARNESS_UFFD_H
#define MTE_HARNESS_UFFD_H

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include "thp.h"

#ifndef UFFDIO_MOVE
struct uffdio_move {
	uint64_t dst, src, len, mode;
	int64_t move;
};
#define UFFDIO_MOVE	  _IOWR(UFFDIO, 0x05, struct uffdio_move)
#define UFFD_FEATURE_MOVE (1 << 16)
#endif

/* Opens a userfaultfd with the given UFFD_FEATURE_... */
int uffd_open(uint64_t features);

/* Registers [p, p + len) with UFFDIO_REGISTER_MODE_... */
void uffd_register(int fd, void *p, size_t len, uint64_t mode);

/* UFFDIO_COPY and UFFDIO_MOVE of all `len` bytes; UFFDIO_WRITEPROTECT. */
void uffd_copy(int fd, void *to, const void *from, size_t len, uint64_t mode);
void uffd_move(int fd, void *to, void *from, size_t len);
void uffd_protect(int fd, void *p, size_t len, bool on);

/* Waits for a message; false if none comes within 10 s. */
bool uffd_ready(int fd);

/*
 * Waits for a page fault message; returns its address, and its flags in *flags. Ends the
 * case as untested if none comes.
 */
uint64_t uffd_wait(int fd, uint64_t *flags);

#endif
