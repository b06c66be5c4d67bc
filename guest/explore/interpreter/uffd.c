// SPDX-License-Identifier: MIT
/*
 * Steps that treat private anonymous memory through a userfaultfd, which each of them opens and
 * closes. No actor touches the memory meanwhile, so that nothing waits for a page. They go page by
 * page: one ioctl takes no range with two mappings (mm/userfaultfd.c, uffd_mfill_lock() and
 * validate_move_areas()), and the range may have been treated in parts before.
 *
 * Interface: Documentation/admin-guide/mm/userfaultfd.rst, ioctl_userfaultfd(2).
 */
#include <sched.h>
#include <sys/syscall.h>

#include "mte.h"
#include "steps.h"
#include "uffd.h"

#define TRIES 100
#define PAUSE 10000 /* us */

static int64_t result_of(int result)
{
	return result < 0 ? -errno : 0;
}

static int64_t copy(int fd, uint64_t to, size_t length, int byte)
{
	static char data[PAGE] __attribute__((aligned(PAGE)));
	struct uffdio_copy words;

	memset(data, byte, PAGE);
	for (size_t done = 0; done < length; done += PAGE) {
		words = (struct uffdio_copy){ .dst = to + done,
					      .src = (uintptr_t)data,
					      .len = PAGE };
		if (ioctl(fd, UFFDIO_COPY, &words))
			return -errno;
	}
	return 0;
}

static int64_t zero(int fd, uint64_t to, size_t length)
{
	struct uffdio_zeropage words;

	for (size_t done = 0; done < length; done += PAGE) {
		words = (struct uffdio_zeropage){ .range = { to + done, PAGE } };
		if (ioctl(fd, UFFDIO_ZEROPAGE, &words))
			return -errno;
	}
	return 0;
}

static int64_t protect(int fd, uint64_t p, size_t length)
{
	struct uffdio_writeprotect words = { .range = { p, length },
					     .mode = UFFDIO_WRITEPROTECT_MODE_WP };

	if (ioctl(fd, UFFDIO_WRITEPROTECT, &words))
		return -errno;
	words.mode = 0;
	return result_of(ioctl(fd, UFFDIO_WRITEPROTECT, &words));
}

/*
 * The kernel moves pages that this process has alone: populated for writing, they are. It may find
 * one busy for a moment.
 */
static int64_t move(int fd, uint64_t to, uint64_t from, size_t length)
{
	struct uffdio_move words;
	int tries = 0;

	for (size_t done = 0; done < length;) {
		if (madvise((void *)(from + done), PAGE, MADV_POPULATE_WRITE))
			return -errno;
		words = (struct uffdio_move){ .dst = to + done, .src = from + done, .len = PAGE };
		if (!ioctl(fd, UFFDIO_MOVE, &words))
			done += PAGE;
		else if ((errno != EAGAIN && errno != EBUSY) || ++tries == TRIES)
			return -errno;
		else
			usleep(PAUSE);
	}
	return 0;
}

int64_t uffd_step(const struct step *step)
{
	bool moves = step->code == STEP_UFFD_MOVE, protects = step->code == STEP_UFFD_PROTECT;
	uint64_t p = step->args[0], length = step->args[1];
	struct uffdio_api api = { .api = UFFD_API, .features = moves ? UFFD_FEATURE_MOVE : 0 };
	struct uffdio_register range = { .range = { p, length },
					 .mode = protects ? UFFDIO_REGISTER_MODE_WP
							  : UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	int64_t result;

	if (fd < 0)
		return -errno;
	/* Where pages are put in, they must be missing before. */
	if (ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &range) ||
	    (!protects && madvise((void *)p, length, MADV_DONTNEED)))
		result = -errno;
	else if (step->code == STEP_UFFD_COPY)
		result = copy(fd, p, length, step->args[2]);
	else if (step->code == STEP_UFFD_ZERO)
		result = zero(fd, p, length);
	else if (protects)
		result = protect(fd, p, length);
	else
		result = move(fd, p, step->args[2], length);
	close(fd);
	return result;
}
