/* SPDX-License-Identifier: MIT */
#include "uffd.h"

#include <poll.h>
#include <sys/syscall.h>

int uffd_open(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);

	MUST(fd >= 0, "userfaultfd");
	MUST(ioctl(fd, UFFDIO_API, &api) == 0, "UFFDIO_API, features %#llx",
	     (unsigned long long)features);
	return fd;
}

void uffd_register(int fd, void *p, size_t len, uint64_t mode)
{
	struct uffdio_register reg = { .range = { (uintptr_t)p, len }, .mode = mode };

	MUST(ioctl(fd, UFFDIO_REGISTER, &reg) == 0, "UFFDIO_REGISTER(%p, %zu)", p, len);
}

void uffd_copy(int fd, void *to, const void *from, size_t len, uint64_t mode)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)to, .src = (uintptr_t)from, .len = len, .mode = mode
	};

	MUST(ioctl(fd, UFFDIO_COPY, &copy) == 0 && copy.copy == (int64_t)len, "UFFDIO_COPY");
}

void uffd_move(int fd, void *to, void *from, size_t len)
{
	struct uffdio_move move;
	size_t done = 0;
	int tries;

	/* EAGAIN: only a part was moved, or a page was busy. */
	for (tries = 0; done < len && tries < 1000; tries++) {
		move = (struct uffdio_move){ .dst = (uintptr_t)to + done,
					     .src = (uintptr_t)from + done,
					     .len = len - done };
		if (ioctl(fd, UFFDIO_MOVE, &move) == 0)
			done += len - done;
		else if (move.move > 0)
			done += move.move;
		else {
			/*
			 * Linux 6.18 loses a move after a page was busy: move_pages() keeps
			 * the EAGAIN of that page, does not count the next ones that it moves,
			 * and finds them in its way. 7.2 clears it (mm/userfaultfd.c, err = 0).
			 */
			NEED(errno != EEXIST, "UFFDIO_MOVE moved pages, and says EEXIST");
			MUST(errno == EAGAIN, "UFFDIO_MOVE at %zu of %zu", done, len);
		}
	}
	NEED(done == len, "UFFDIO_MOVE: %zu of %zu bytes", done, len);
}

void uffd_protect(int fd, void *p, size_t len, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)p, len },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	MUST(ioctl(fd, UFFDIO_WRITEPROTECT, &wp) == 0, "UFFDIO_WRITEPROTECT(%d)", on);
}

bool uffd_ready(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	return poll(&ready, 1, 10000) == 1;
}

uint64_t uffd_wait(int fd, uint64_t *flags)
{
	struct uffd_msg message;

	NEED(uffd_ready(fd), "no userfaultfd message after 10 s");
	MUST(read(fd, &message, sizeof(message)) == sizeof(message), "read userfaultfd");
	MUST(message.event == UFFD_EVENT_PAGEFAULT, "event %#x", message.event);
	*flags = message.arg.pagefault.flags;
	return message.arg.pagefault.address;
}
