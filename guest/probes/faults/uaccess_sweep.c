/* SPDX-License-Identifier: MIT */
/*
 * probe: uaccess_sweep
 * needs: CONFIG_ARM64_MTE CONFIG_CROSS_MEMORY_ATTACH CONFIG_TMPFS CONFIG_PROC_FS
 * timeout: 90
 *
 * How many bytes a copy that runs into a mismatching granule has copied: for each distance
 * of 0 to 160 bytes to the granule and many sizes, and so for each alignment and each step
 * of the copy loops. Callers that continue a copy from where it stopped get exactly the
 * bytes before the granule. A single copy never gives more than those, and at least what
 * the routines of 6.12 give (the models below; a newer routine may give more). All bytes
 * that are reported as copied are right, and no byte of the granule is written.
 * arch/arm64/lib/copy_template.S, copy_from_user.S (295cf156231c: at least one byte, or
 * write() loops for ever), copy_to_user.S, clear_user.S.
 */
#include <sys/uio.h>

#include "uaccess.h"

enum { MOST_GOOD = 160, SPAN = 1024 };

/* How many bytes the copy goes beyond those before the granule. */
static const int beyond[] = {
	0, 1, 2, 3, 4, 7, 8, 9, 12, 15, 16, 17, 31, 32, 48, 63, 64, 65, 100, 127, 128, 200,
};
enum { BEYONDS = ARRAY_SIZE(beyond) };

/* --- models: the user accesses of 6.12, in order -------------------------- */

/*
 * copy_template.S: bytes copied if only the first `good` of n user bytes can be accessed.
 * In the large loop loads are ahead of the stores; after a fault before the first store
 * the routine tries a single byte.
 */
static size_t copy_model(bool to_user, unsigned int src_misaligned, size_t n, size_t good)
{
	size_t src = 0, dst = 0, i;
	long count = n;

#define LOAD(size)                                   \
	do {                                         \
		if (!to_user && src + (size) > good) \
			goto fault;                  \
		src += (size);                       \
	} while (0)
#define STORE(size)                                 \
	do {                                        \
		if (to_user && dst + (size) > good) \
			goto fault;                 \
		dst += (size);                      \
	} while (0)
#define MOVE(size)           \
	do {                 \
		LOAD(size);  \
		STORE(size); \
	} while (0)
	if (count >= 16) {
		unsigned int lead = -src_misaligned & 15;

		count -= lead;
		for (i = 1; i < 16; i *= 2)
			if (lead & i)
				MOVE(i);
		if (count >= 128) {
			count -= 128;
			for (i = 0; i < 4; i++)
				LOAD(16);
			do {
				for (i = 0; i < 4; i++) {
					STORE(16);
					LOAD(16);
				}
				count -= 64;
			} while (count >= 0);
			for (i = 0; i < 4; i++)
				STORE(16);
		} else if (count >= 64) {
			MOVE(16);
			LOAD(16);
			LOAD(16);
			STORE(16);
			STORE(16);
			MOVE(16);
		}
		count &= 63;
		for (; count >= 16; count -= 16)
			MOVE(16);
	}
	for (i = 8; i; i /= 2)
		if (count & i)
			MOVE(i);
	return dst;
fault:
	return dst ? dst : good > 0;
}

/*
 * Returns how many of n bytes arch/arm64/lib/clear_user.S clears when only the first
 * `good` may be written. Its last store of a long run overlaps the one before it.
 */
static size_t clear_model(size_t n, size_t good)
{
	size_t at = 0;

	if (n <= good)
		return n;
	if (n >= 8) {
		/* Words from the start while more than 8 bytes remain, then the last 8. */
		while (n - at > 8 && at + 8 <= good)
			at += 8;
		return n - at == 8 || at + 8 > good ? at : at + 8;
	}
	if (n >= 4)
		return good >= 4 ? 4 : 0;
	if (n & 2)
		return good >= 2 ? 2 : 0;
	return 0;
}

/* --- the sweep ------------------------------------------------------------ */

static unsigned char pattern[SPAN], got[SPAN];
static int memfd, zero_fd;

static void begin(void)
{
	int i;

	mte_need();
	catch_signal(SIGSEGV, 0);
	for (i = 0; i < SPAN; i++)
		pattern[i] = 1 + i % 251;
	memfd = memfd_create("uaccess_sweep", 0);
	zero_fd = open("/dev/zero", O_RDONLY);
	MUST(memfd >= 0 && zero_fd >= 0, "memfd, /dev/zero");
	MUST(pwrite(memfd, pattern, SPAN, 0) == SPAN, "pwrite");
	wall_build(PAGE + 512);
	mte_mode(TCF_SYNC);
}

static bool check_count(const char *what, long result, size_t n, size_t good, size_t least)
{
	if (n <= good)
		return CHECK_EQ(result, n, "%s of %zu bytes, all match", what, n);
	if (good == 0)
		return CHECK_EQ(result, -EFAULT, "%s of %zu bytes, the first mismatches", what, n);
	if (least == 0 && result == -EFAULT)
		return true;
	return CHECK(result >= (long)least && result <= (long)good,
		     "%s of %zu bytes, %zu match: expected a count of %zu to %zu, saw %ld", what, n,
		     good, least, good, result);
}

/* Checks that a copy wrote `result` bytes of `want`, and none beyond `good`. */
static bool check_written(const char *what, const unsigned char *to, const unsigned char *want,
			  long result, size_t n, size_t good)
{
	size_t tail = n > good ? n - good : 0;

	if (result > 0 && !CHECK_EQ(first_difference(to, want, result), result,
				    "%s of %zu, %zu match: right bytes", what, n, good))
		return false;
	return CHECK_EQ(first_not(to + good, WALL_FILL, tail + 16), tail + 16,
			"%s of %zu, %zu match: bytes of the mismatch and past it untouched", what,
			n, good);
}

/* Runs `one` for each size and distance, until it returns false after a failure. */
static void sweep(bool (*one)(size_t n, size_t good))
{
	size_t good;
	int b;

	begin();
	unchecked_copy(wall - MOST_GOOD, pattern, MOST_GOOD);
	for (good = 0; good <= MOST_GOOD; good++)
		for (b = 0; b < BEYONDS; b++)
			if (good + beyond[b] && !one(good + beyond[b], good))
				return;
	CHECK_EQ(fault.count, 0, "signals");
}

/* process_vm_writev() reads the local buffer with copy_page_from_iter(), which continues. */
static bool copy_from_user(size_t n, size_t good)
{
	struct iovec local = { wall - good, n }, remote = { got, n };
	const unsigned char *want = pattern + MOST_GOOD - good;
	long result;

	memset(got, WALL_FILL, n);
	result = SYS(process_vm_writev, getpid(), &local, 1, &remote, 1, 0);
	return check_count("process_vm_writev()", result, n, good, good) &&
	       (result <= 0 ||
		CHECK_EQ(first_difference(got, want, result), result,
			 "process_vm_writev() of %zu, %zu match: right bytes", n, good));
}

/* read() of a tmpfs file: copy_page_to_iter(), which continues. */
static bool copy_to_user(size_t n, size_t good)
{
	unsigned int at = (good + n) % 16; /* the alignment of the source matters too */
	long result;

	unchecked_fill(wall - good, WALL_FILL, n + 16);
	result = SYS(pread64, memfd, wall - good, n, at);
	return check_count("read()", result, n, good, good) &&
	       check_written("read()", wall - good, pattern + at, result, n, good);
}

/* write() to a tmpfs file: copy_folio_from_iter_atomic(); generic_perform_write() continues. */
static bool file_write(size_t n, size_t good)
{
	long result = SYS(pwrite64, memfd, wall - good, n, 3 * good);

	if (!check_count("write()", result, n, good, good) || result <= 0)
		return result <= 0;
	MUST(pread(memfd, got, result, 3 * good) == result, "pread");
	return CHECK_EQ(first_difference(got, pattern + MOST_GOOD - good, result), result,
			"write() of %zu, %zu match: right bytes", n, good);
}

/* read() of /dev/zero: one clear_user(), whose words lie across the granule's edge. */
static bool clear_user(size_t n, size_t good)
{
	static const unsigned char zeroes[SPAN];
	long result;

	unchecked_fill(wall - good, WALL_FILL, n + 16);
	result = SYS(read, zero_fd, wall - good, n);
	return check_count("read() of /dev/zero", result, n, good, clear_model(n, good)) &&
	       check_written("read() of /dev/zero", wall - good, zeroes, result, n, good);
}

/* read() of a /proc file from its start: one copy_to_user() out of a page (fs/seq_file.c). */
static unsigned char text[SPAN];
static int text_fd;

static bool one_copy_to_user(size_t n, size_t good)
{
	long result;

	unchecked_fill(wall - good, WALL_FILL, n + 16);
	result = SYS(pread64, text_fd, wall - good, n, 0);
	return check_count("read() of /proc/cpuinfo", result, n, good,
			   copy_model(true, 0, n, good)) &&
	       check_written("read() of /proc/cpuinfo", wall - good, text, result, n, good);
}

/* write() to /dev/urandom: one copy_from_user() for each 64 bytes (write_pool_user()). */
static int random_fd;

static bool one_copy_from_user(size_t n, size_t good)
{
	enum { BLOCK = 64 }; /* BLAKE2S_BLOCK_SIZE */
	size_t least = 0, block, copied;
	unsigned char *from = wall - good;

	do {
		block = n - least < BLOCK ? n - least : BLOCK;
		copied = least + block <= good ? block
					       : copy_model(false, (uintptr_t)(from + least) & 15,
							    block, good - least);
		least += copied;
	} while (copied == BLOCK && least < n);
	return check_count("write() to /dev/urandom", SYS(write, random_fd, from, n), n, good,
			   least);
}

static void copy_from_user_counts(void)
{
	sweep(copy_from_user);
}

static void copy_to_user_counts(void)
{
	sweep(copy_to_user);
}

static void file_write_counts(void)
{
	sweep(file_write);
}

static void clear_user_counts(void)
{
	sweep(clear_user);
}

static void one_copy_to_user_counts(void)
{
	text_fd = open("/proc/cpuinfo", O_RDONLY);
	MUST(text_fd >= 0 && pread(text_fd, text, SPAN, 0) >= MOST_GOOD + 200, "/proc/cpuinfo");
	sweep(one_copy_to_user);
}

static void one_copy_from_user_counts(void)
{
	random_fd = open("/dev/urandom", O_WRONLY);
	MUST(random_fd >= 0, "/dev/urandom");
	sweep(one_copy_from_user);
}

PROBE(CASE_SECONDS(copy_from_user_counts, 30), CASE_SECONDS(copy_to_user_counts, 30),
      CASE_SECONDS(file_write_counts, 30), CASE_SECONDS(clear_user_counts, 30),
      CASE_SECONDS(one_copy_to_user_counts, 30), CASE_SECONDS(one_copy_from_user_counts, 30));
