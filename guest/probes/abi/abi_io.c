/* SPDX-License-Identifier: MIT */
/*
 * probe: abi_io
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_TMPFS
 * cases: CONFIG_AIO aio_setup aio_submit_list aio_submit_iocb aio_read_buffer aio_write_buffer
 * cases: CONFIG_AIO aio_vector aio_events aio_timeout aio_sigmask
 * timeout: 120
 *
 * The tagged address ABI for data that are read and written: each call is tried with an
 * untagged, a tagged, a matching and a mismatching pointer (guest/include/abi.h).
 */
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <sys/uio.h>

#include "abi.h"

#define TEXT "sixteen letters!"
#define HALF "sixteen "
enum { LEN = sizeof(TEXT) - 1 };

/* --- read and write ------------------------------------------------------- */

ABI(read_buffer, "fs/read_write.c ksys_read()", 0)
{
	char *p = abi_mem(LEN);

	CALL(sys(read, file_with(TEXT), U(p), LEN), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(write_buffer, "fs/read_write.c ksys_write()", 0)
{
	char *p = abi_string(TEXT);

	CALL(sys(write, file_with(""), U(p), LEN), LEN);
	EFFECT(file_has("file", TEXT));
}

ABI(pread_buffer, "fs/read_write.c ksys_pread64()", 0)
{
	char *p = abi_mem(LEN);

	CALL(sys(pread64, file_with(TEXT), U(p), 8, 8), 8);
	EFFECT(!memcmp(p, &TEXT[8], 8));
}

ABI(pwrite_buffer, "fs/read_write.c ksys_pwrite64()", 0)
{
	char *p = abi_string("letters?");

	CALL(sys(pwrite64, file_with(TEXT), U(p), 8, 8), 8);
	EFFECT(file_has("file", HALF "letters?"));
}

/* What a vector of two parts of LEN bytes in `base` is. */
static struct iovec *vector(struct iovec *v, char *base)
{
	v[0] = (struct iovec){ base, 8 };
	v[1] = (struct iovec){ base + 8, LEN - 8 };
	return v;
}

ABI(readv_vector, "fs/read_write.c vfs_readv(), lib/iov_iter.c import_iovec()", 0)
{
	char *p = abi_plain(LEN);
	struct iovec *v = vector(abi_mem(2 * sizeof(*v)), p);

	CALL(sys(readv, file_with(TEXT), U(v), 2), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(readv_base, "fs/read_write.c vfs_readv(), lib/iov_iter.c copy_to_iter()", 0)
{
	char *p = abi_mem(LEN);
	struct iovec v[2];

	CALL(sys(readv, file_with(TEXT), vector(v, U(p)), 2), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(writev_vector, "fs/read_write.c vfs_writev(), lib/iov_iter.c import_iovec()", 0)
{
	char *p = strdup(TEXT);
	struct iovec *v = vector(abi_mem(2 * sizeof(*v)), p);

	CALL(sys(writev, file_with(""), U(v), 2), LEN);
	EFFECT(file_has("file", TEXT));
}

ABI(writev_base, "fs/read_write.c vfs_writev(), lib/iov_iter.c copy_from_iter()", 0)
{
	char *p = abi_string(TEXT);
	struct iovec v[2];

	CALL(sys(writev, file_with(""), vector(v, U(p)), 2), LEN);
	EFFECT(file_has("file", TEXT));
}

ABI(preadv_vector, "fs/read_write.c do_preadv()", 0)
{
	char *p = abi_plain(LEN);
	struct iovec *v = vector(abi_mem(2 * sizeof(*v)), p);

	CALL(sys(preadv, file_with("0" TEXT), U(v), 2, 1, 0), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(preadv_base, "fs/read_write.c do_preadv()", 0)
{
	char *p = abi_mem(LEN);
	struct iovec v[2];

	CALL(sys(preadv, file_with("0" TEXT), vector(v, U(p)), 2, 1, 0), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(pwritev_vector, "fs/read_write.c do_pwritev()", 0)
{
	char *p = strdup(TEXT);
	struct iovec *v = vector(abi_mem(2 * sizeof(*v)), p);

	CALL(sys(pwritev, file_with("0"), U(v), 2, 1, 0), LEN);
	EFFECT(file_has("file", "0" TEXT));
}

ABI(pwritev_base, "fs/read_write.c do_pwritev()", 0)
{
	char *p = abi_string(TEXT);
	struct iovec v[2];

	CALL(sys(pwritev, file_with("0"), vector(v, U(p)), 2, 1, 0), LEN);
	EFFECT(file_has("file", "0" TEXT));
}

ABI(preadv2_vector, "fs/read_write.c SYSCALL_DEFINE6(preadv2)", 0)
{
	char *p = abi_plain(LEN);
	struct iovec *v = vector(abi_mem(2 * sizeof(*v)), p);

	CALL(sys(preadv2, file_with(TEXT), U(v), 2, -1L, -1L, RWF_HIPRI), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(pwritev2_vector, "fs/read_write.c SYSCALL_DEFINE6(pwritev2)", 0)
{
	char *p = strdup(TEXT);
	struct iovec *v = vector(abi_mem(2 * sizeof(*v)), p);

	CALL(sys(pwritev2, file_with("0"), U(v), 2, -1L, -1L, RWF_APPEND), LEN);
	EFFECT(file_has("file", "0" TEXT));
}

/* --- from file to file ---------------------------------------------------- */

ABI(sendfile_offset, "fs/read_write.c SYSCALL_DEFINE4(sendfile64)", 0)
{
	off_t *at = abi_mem(sizeof(*at));

	*at = 8;
	CALL(sys(sendfile, abi_file("out", ""), file_with(TEXT), U(at), 8), 8);
	EFFECT(*at == 16);
	EFFECT(file_has("out", &TEXT[8]));
}

ABI(copy_file_range_in, "fs/read_write.c SYSCALL_DEFINE6(copy_file_range), off_in", 0)
{
	off_t *at = abi_mem(sizeof(*at));

	*at = 8;
	CALL(sys(copy_file_range, file_with(TEXT), U(at), abi_file("out", ""), NULL, 8, 0), 8);
	EFFECT(*at == 16);
	EFFECT(file_has("out", &TEXT[8]));
}

ABI(copy_file_range_out, "fs/read_write.c SYSCALL_DEFINE6(copy_file_range), off_out", 0)
{
	off_t *at = abi_mem(sizeof(*at));

	*at = 1;
	CALL(sys(copy_file_range, file_with(TEXT), NULL, abi_file("out", "0"), U(at), LEN, 0), LEN);
	EFFECT(*at == 1 + LEN);
	EFFECT(file_has("out", "0" TEXT));
}

ABI(splice_in, "fs/splice.c __do_splice(), off_in", 0)
{
	loff_t *at = abi_mem(sizeof(*at));
	char text[8];
	int fds[2];

	MUST(pipe(fds) == 0, "pipe");
	*at = 8;
	CALL(sys(splice, file_with(TEXT), U(at), fds[1], NULL, 8, 0), 8);
	EFFECT(*at == 16);
	EFFECT(read(fds[0], text, 8) == 8 && !memcmp(text, &TEXT[8], 8));
}

ABI(splice_out, "fs/splice.c __do_splice(), off_out", 0)
{
	loff_t *at = abi_mem(sizeof(*at));

	*at = 1;
	CALL(sys(splice, pipe_with(TEXT), NULL, file_with("0"), U(at), LEN, 0), LEN);
	EFFECT(*at == 1 + LEN);
	EFFECT(file_has("file", "0" TEXT));
}

ABI(vmsplice_vector, "fs/splice.c SYSCALL_DEFINE4(vmsplice)", 0)
{
	char *p = strdup(TEXT), text[LEN];
	struct iovec *v = vector(abi_mem(2 * sizeof(*v)), p);
	int fds[2];

	MUST(pipe(fds) == 0, "pipe");
	CALL(sys(vmsplice, fds[1], U(v), 2, 0), LEN);
	EFFECT(read(fds[0], text, LEN) == LEN && !memcmp(text, TEXT, LEN));
}

/* The pages go into the pipe: iov_iter_get_pages2(). */
ABI(vmsplice_base, "fs/splice.c vmsplice_to_pipe()", ABI_UNCHECKED)
{
	char *p = abi_string(TEXT), text[LEN];
	struct iovec v[2];
	int fds[2];

	MUST(pipe(fds) == 0, "pipe");
	CALL(sys(vmsplice, fds[1], vector(v, U(p)), 2, 0), LEN);
	EFFECT(read(fds[0], text, LEN) == LEN && !memcmp(text, TEXT, LEN));
}

/* From a pipe into memory, which is a copy: vmsplice_to_user(). */
ABI(vmsplice_from_pipe, "fs/splice.c vmsplice_to_user()", 0)
{
	char *p = abi_mem(LEN);
	struct iovec v[2];

	CALL(sys(vmsplice, pipe_with(TEXT), vector(v, U(p)), 2, 0), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

/* --- other files ---------------------------------------------------------- */

ABI(getdents_buffer, "fs/readdir.c filldir64()", 0)
{
	char *p = abi_mem(512);
	int fd;

	file_with("");
	fd = open(".", O_RDONLY | O_DIRECTORY);
	MUST(fd >= 0, "open .");
	OK(sys(getdents64, fd, U(p), 512));
	EFFECT(memmem(p, 512, "file", 5));
}

ABI(eventfd_read, "fs/eventfd.c eventfd_read()", 0)
{
	uint64_t *p = abi_mem(sizeof(*p));
	int fd = sys(eventfd2, 5, 0);

	MUST(fd >= 0, "eventfd2");
	CALL(sys(read, fd, U(p), 8), 8);
	EFFECT(*p == 5);
}

ABI(eventfd_write, "fs/eventfd.c eventfd_write()", 0)
{
	uint64_t *p = abi_mem(sizeof(*p)), seen = 0;
	int fd = sys(eventfd2, 5, 0);

	MUST(fd >= 0, "eventfd2");
	*p = 6;
	CALL(sys(write, fd, U(p), 8), 8);
	EFFECT(read(fd, &seen, 8) == 8 && seen == 11);
}

ABI(zero_read, "drivers/char/mem.c read_zero(), clear_user()", 0)
{
	char *p = abi_string(TEXT);
	int fd = open("/dev/zero", O_RDONLY);

	MUST(fd >= 0, "open /dev/zero");
	CALL(sys(read, fd, U(p), LEN), LEN);
	EFFECT(!p[0] && !p[LEN - 1]);
}

ABI(urandom_read, "drivers/char/random.c get_random_bytes_user()", 0)
{
	uint64_t *p = abi_mem(32);
	int fd = open("/dev/urandom", O_RDONLY);

	MUST(fd >= 0, "open /dev/urandom");
	CALL(sys(read, fd, U(p), 32), 32);
	EFFECT(p[0] && p[3]);
}

ABI(getrandom_buffer, "drivers/char/random.c SYSCALL_DEFINE3(getrandom)", 0)
{
	uint64_t *p = abi_mem(32);

	CALL(sys(getrandom, U(p), 32, 0), 32);
	EFFECT(p[0] && p[3]);
}

ABI(proc_read, "fs/seq_file.c seq_read_iter()", 0)
{
	char *p = abi_mem(64);
	int fd = open("/proc/version", O_RDONLY);

	MUST(fd >= 0, "open /proc/version");
	CALL(sys(read, fd, U(p), 5), 5);
	EFFECT(!strcmp(p, "Linux"));
}

ABI(proc_write, "fs/proc/base.c comm_write()", 0)
{
	char *p = abi_string("tagged");
	int fd = open("/proc/self/comm", O_RDWR);

	MUST(fd >= 0, "open /proc/self/comm");
	CALL(sys(write, fd, U(p), 6), 6);
	EFFECT(file_has("/proc/self/comm", "tagged\n"));
}

ABI(sysfs_read, "fs/kernfs/file.c kernfs_fop_read_iter()", 0)
{
	char *p = abi_mem(64);
	int fd = open("/sys/devices/system/cpu/online", O_RDONLY);

	MUST(fd >= 0, "open online");
	CALL(sys(read, fd, U(p), 1), 1);
	EFFECT(*p == '0');
}

/* --- aio ------------------------------------------------------------------ */

static aio_context_t aio_new(void)
{
	aio_context_t context = 0;

	MUST(sys(io_setup, 4, &context) == 0, "io_setup");
	return context;
}

static struct iocb aio_read(int fd, void *buffer)
{
	return (struct iocb){ .aio_fildes = fd,
			      .aio_lio_opcode = IOCB_CMD_PREAD,
			      .aio_buf = (uintptr_t)buffer,
			      .aio_nbytes = LEN };
}

/* The result of the one request that was submitted. */
static long aio_result(aio_context_t context)
{
	struct io_event event = {};

	MUST(sys(io_getevents, context, 1, 1, &event, NULL) == 1, "io_getevents");
	if (event.res < 0)
		errno = -event.res;
	return event.res < 0 ? -1 : event.res;
}

ABI(aio_setup, "fs/aio.c SYSCALL_DEFINE2(io_setup)", 0)
{
	aio_context_t *context = abi_mem(sizeof(*context));

	CALL(sys(io_setup, 4, U(context)), 0);
	EFFECT(*context && sys(io_destroy, *context) == 0);
}

ABI(aio_submit_list, "fs/aio.c SYSCALL_DEFINE3(io_submit), iocbpp", 0)
{
	char *p = abi_plain(LEN);
	struct iocb iocb = aio_read(file_with(TEXT), p), **list = abi_mem(sizeof(*list));
	aio_context_t context = aio_new();

	*list = &iocb;
	CALL(sys(io_submit, context, 1, U(list)), 1);
	EFFECT(aio_result(context) == LEN && !memcmp(p, TEXT, LEN));
}

ABI(aio_submit_iocb, "fs/aio.c io_submit_one()", 0)
{
	char *p = abi_plain(LEN);
	struct iocb *iocb = abi_mem(sizeof(*iocb)), *list[1] = { U(iocb) };
	aio_context_t context = aio_new();

	*iocb = aio_read(file_with(TEXT), p);
	CALL(sys(io_submit, context, 1, list), 1);
	EFFECT(aio_result(context) == LEN && !memcmp(p, TEXT, LEN));
}

ABI(aio_read_buffer, "fs/aio.c aio_read()", 0)
{
	char *p = abi_mem(LEN);
	struct iocb iocb = aio_read(file_with(TEXT), U(p)), *list[1] = { &iocb };
	aio_context_t context = aio_new();

	OK(sys(io_submit, context, 1, list));
	CALL(aio_result(context), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(aio_write_buffer, "fs/aio.c aio_write()", 0)
{
	char *p = abi_string(TEXT);
	struct iocb iocb = aio_read(file_with(""), U(p)), *list[1] = { &iocb };
	aio_context_t context = aio_new();

	iocb.aio_lio_opcode = IOCB_CMD_PWRITE;
	OK(sys(io_submit, context, 1, list));
	CALL(aio_result(context), LEN);
	EFFECT(file_has("file", TEXT));
}

ABI(aio_vector, "fs/aio.c aio_setup_rw()", 0)
{
	char *p = abi_plain(LEN);
	struct iovec *v = vector(abi_mem(2 * sizeof(*v)), p);
	struct iocb iocb = aio_read(file_with(TEXT), U(v)), *list[1] = { &iocb };
	aio_context_t context = aio_new();

	iocb.aio_lio_opcode = IOCB_CMD_PREADV;
	iocb.aio_nbytes = 2;
	CALL(sys(io_submit, context, 1, list), 1);
	EFFECT(aio_result(context) == LEN && !memcmp(p, TEXT, LEN));
}

ABI(aio_events, "fs/aio.c aio_read_events_ring()", 0)
{
	char *p = abi_plain(LEN);
	struct iocb iocb = aio_read(file_with(TEXT), p), *list[1] = { &iocb };
	struct io_event *event = abi_mem(sizeof(*event));
	aio_context_t context = aio_new();

	MUST(sys(io_submit, context, 1, list) == 1, "io_submit");
	CALL(sys(io_getevents, context, 1, 1, U(event), NULL), 1);
	EFFECT(event->res == LEN && event->obj == (uintptr_t)&iocb);
}

ABI(aio_timeout, "fs/aio.c SYSCALL_DEFINE5(io_getevents)", 0)
{
	struct timespec *now = abi_mem(sizeof(*now)), begin, end;
	struct io_event event;

	*now = (struct timespec){ 0, 20000000 };
	clock_gettime(CLOCK_MONOTONIC, &begin);
	CALL(sys(io_getevents, aio_new(), 1, 1, &event, U(now)), 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	EFFECT((end.tv_sec - begin.tv_sec) * 1000000000L + end.tv_nsec - begin.tv_nsec >= 20000000);
}

ABI(aio_sigmask, "fs/aio.c SYSCALL_DEFINE6(io_pgetevents)", 0)
{
	struct {
		const uint64_t *set;
		size_t size;
	} *arg = abi_mem(sizeof(*arg));
	struct io_event event;
	uint64_t none = 0;

	abi_pending(SIGUSR1);
	*arg = (typeof(*arg)){ &none, sizeof(none) };
	CALL(abi_interrupted(sys(io_pgetevents, aio_new(), 1, 1, &event, NULL, U(arg))), 0);
	EFFECT(abi_handled == SIGUSR1);
}

PROBE(CASE(read_buffer), CASE(write_buffer), CASE(pread_buffer), CASE(pwrite_buffer),
      CASE(readv_vector), CASE(readv_base), CASE(writev_vector), CASE(writev_base),
      CASE(preadv_vector), CASE(preadv_base), CASE(pwritev_vector), CASE(pwritev_base),
      CASE(preadv2_vector), CASE(pwritev2_vector), CASE(sendfile_offset), CASE(copy_file_range_in),
      CASE(copy_file_range_out), CASE(splice_in), CASE(splice_out), CASE(vmsplice_vector),
      CASE(vmsplice_base), CASE(vmsplice_from_pipe), CASE(getdents_buffer), CASE(eventfd_read),
      CASE(eventfd_write), CASE(zero_read), CASE(urandom_read), CASE(getrandom_buffer),
      CASE(proc_read), CASE(proc_write), CASE(sysfs_read), CASE(aio_setup), CASE(aio_submit_list),
      CASE(aio_submit_iocb), CASE(aio_read_buffer), CASE(aio_write_buffer), CASE(aio_vector),
      CASE(aio_events), CASE(aio_timeout), CASE(aio_sigmask));
