/* SPDX-License-Identifier: MIT */
/*
 * probe: abi_ipc
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_TMPFS CONFIG_SYSVIPC CONFIG_POSIX_MQUEUE
 * cases: CONFIG_UNIX98_PTYS termios window_size
 * cases: CONFIG_FILE_LOCKING fcntl_getlk fcntl_setlk
 * cases: CONFIG_KEYS key_type key_description key_payload key_read key_describe
 * cases: CONFIG_BPF_SYSCALL bpf_attributes bpf_key bpf_value
 * cases: CONFIG_PERF_EVENTS perf_attributes perf_read
 * timeout: 150
 *
 * The tagged address ABI for System V and POSIX IPC, and for calls that take a struct of their
 * own: fcntl(), ioctl(), keyctl(), bpf() and perf_event_open(). Each call is tried with an
 * untagged, a tagged, a matching and a mismatching pointer (guest/include/abi.h).
 */
#include <linux/bpf.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/perf_event.h>
#include <mqueue.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <termios.h>

#include "abi.h"

#define TEXT "sixteen letters!"
enum { LEN = sizeof(TEXT) - 1 };

/* What a call returned, after others that removed what it was tried on. */
static long with_errno(long got, int error)
{
	errno = error;
	return got;
}

/* What is made here outlives the case's processes: each entry removes its own. */
static int semaphores(void)
{
	int id = sys(semget, IPC_PRIVATE, 2, 0600);

	MUST(id >= 0, "semget");
	return id;
}

static void no_semaphores(int id)
{
	MUST(sys(semctl, id, 0, IPC_RMID, 0) == 0, "IPC_RMID");
}

/* What an entry does with an ID of IPC: the call between making and removing it. */
static long with_semaphores(long (*call)(int id, void *p), void *p)
{
	int id = semaphores(), error;
	long got = call(id, p);

	error = errno;
	no_semaphores(id);
	return with_errno(got, error);
}

/* --- semaphores: ipc/sem.c ------------------------------------------------ */

static long operate(int id, void *p)
{
	long got = sys(semtimedop, id, p, 1, NULL);

	if (got == 0)
		return sys(semctl, id, 1, GETVAL, 0);
	return got;
}

ABI(semop_operations, "ipc/sem.c do_semtimedop()", 0)
{
	struct sembuf *operation = abi_mem(sizeof(*operation));
	long value;

	*operation = (struct sembuf){ 1, 7, 0 };
	value = OK(with_semaphores(operate, U(operation)));
	EFFECT(value == 7);
}

static long wait_for_it(int id, void *p)
{
	struct sembuf take = { 0, -1, 0 };
	long got = sys(semtimedop, id, &take, 1, p);

	return got == -1 && errno == EAGAIN ? 0 : -1;
}

ABI(semop_timeout, "ipc/sem.c do_semtimedop(), timeout", 0)
{
	struct timespec *span = abi_mem(sizeof(*span)), begin, now;

	span->tv_nsec = 10000000;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	CALL(with_semaphores(wait_for_it, U(span)), 0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	EFFECT((now.tv_sec - begin.tv_sec) * 1000000000L + now.tv_nsec - begin.tv_nsec >= 10000000);
}

static long set_all(int id, void *p)
{
	long got = sys(semctl, id, 0, SETALL, p);

	return got ? got : sys(semctl, id, 1, GETVAL, 0);
}

ABI(semctl_set_all, "ipc/sem.c semctl_main(), SETALL", 0)
{
	unsigned short *values = abi_mem(2 * sizeof(*values));
	long second;

	values[1] = 7;
	second = OK(with_semaphores(set_all, U(values)));
	EFFECT(second == 7);
}

static long get_all(int id, void *p)
{
	MUST(sys(semctl, id, 1, SETVAL, 7) == 0, "SETVAL");
	return sys(semctl, id, 0, GETALL, p);
}

ABI(semctl_get_all, "ipc/sem.c semctl_main(), GETALL", 0)
{
	unsigned short *values = abi_mem(2 * sizeof(*values));

	CALL(with_semaphores(get_all, U(values)), 0);
	EFFECT(values[1] == 7);
}

static long semaphores_stat(int id, void *p)
{
	return sys(semctl, id, 0, IPC_STAT, p);
}

ABI(semctl_stat, "ipc/sem.c copy_semid_to_user()", 0)
{
	struct semid_ds *stat = abi_mem(sizeof(*stat));

	CALL(with_semaphores(semaphores_stat, U(stat)), 0);
	EFFECT(stat->sem_nsems == 2);
}

/* --- messages: ipc/msg.c -------------------------------------------------- */

struct message {
	long type;
	char text[LEN + 1];
};

/* A queue with a message in it, if `sent`. */
static long with_queue(const struct message *sent, long (*call)(int id, void *p), void *p)
{
	int id = sys(msgget, IPC_PRIVATE, 0600), error;
	long got;

	MUST(id >= 0, "msgget");
	if (sent)
		MUST(sys(msgsnd, id, sent, LEN, 0) == 0, "msgsnd");
	errno = 0;
	got = call(id, p);
	error = errno;
	MUST(sys(msgctl, id, IPC_RMID, NULL) == 0, "IPC_RMID");
	return with_errno(got, error);
}

static const struct message message = { 7, TEXT };

static long send_and_receive(int id, void *p)
{
	struct message got = {};

	if (sys(msgsnd, id, p, LEN, 0) < 0)
		return -1;
	return sys(msgrcv, id, &got, LEN, 7, IPC_NOWAIT) == LEN && !strcmp(got.text, TEXT) ? 0 : 1;
}

ABI(msgsnd_message, "ipc/msg.c SYSCALL_DEFINE4(msgsnd), load_msg()", 0)
{
	struct message *p = abi_mem(sizeof(*p));
	long wrong;

	*p = message;
	wrong = OK(with_queue(NULL, send_and_receive, U(p)));
	EFFECT(!wrong);
}

static long receive(int id, void *p)
{
	return sys(msgrcv, id, p, LEN, 7, IPC_NOWAIT);
}

ABI(msgrcv_message, "ipc/msg.c do_msg_fill(), store_msg()", 0)
{
	struct message *p = abi_mem(sizeof(*p));

	CALL(with_queue(&message, receive, U(p)), LEN);
	EFFECT(p->type == 7 && !strcmp(p->text, TEXT));
}

static long queue_stat(int id, void *p)
{
	return sys(msgctl, id, IPC_STAT, p);
}

ABI(msgctl_stat, "ipc/msg.c copy_msqid_to_user()", 0)
{
	struct msqid_ds *stat = abi_mem(sizeof(*stat));

	CALL(with_queue(&message, queue_stat, U(stat)), 0);
	EFFECT(stat->msg_qnum == 1);
}

/* --- shared memory: ipc/shm.c --------------------------------------------- */

static int segment(void)
{
	int id = sys(shmget, IPC_PRIVATE, PAGE, 0600);

	MUST(id >= 0, "shmget");
	return id;
}

ABI(shmctl_stat, "ipc/shm.c copy_shmid_to_user()", 0)
{
	struct shmid_ds *stat = abi_mem(sizeof(*stat));
	int id = segment();
	long got = sys(shmctl, id, IPC_STAT, U(stat));
	int error = errno;

	MUST(sys(shmctl, id, IPC_RMID, NULL) == 0, "IPC_RMID");
	CALL(with_errno(got, error), 0);
	EFFECT(stat->shm_segsz == PAGE);
}

/* Section 3 of the document names shmat() and shmdt(). */
ABI(shmat_address, "ipc/shm.c do_shmat()", ABI_REFUSES)
{
	char *p = abi_pages(1), *at;
	int id = segment();

	MUST(munmap(untagged(p), PAGE) == 0, "munmap");
	at = (char *)sys(shmat, id, U(p), 0);
	MUST(sys(shmctl, id, IPC_RMID, NULL) == 0, "IPC_RMID");
	CALL(at == untagged(p), 1);
	EFFECT((*at = 7) == 7);
}

ABI(shmdt_address, "ipc/shm.c ksys_shmdt()", ABI_REFUSES)
{
	char *p = abi_pages(1), *at;
	int id = segment();
	unsigned char vec;

	MUST(munmap(untagged(p), PAGE) == 0, "munmap");
	at = (char *)sys(shmat, id, untagged(p), 0);
	MUST(sys(shmctl, id, IPC_RMID, NULL) == 0, "IPC_RMID");
	CALL(sys(shmdt, U(at)), 0);
	EFFECT(mincore(at, PAGE, &vec) == -1 && errno == ENOMEM);
}

/* --- POSIX message queues: ipc/mqueue.c ----------------------------------- */

#define QUEUE "mte-abi"

/* A queue that has no name any more, with a message of priority 7 in it, if `sent`. */
static int queue(const char *sent)
{
	struct mq_attr attr = { .mq_maxmsg = 2, .mq_msgsize = LEN };
	int fd = sys(mq_open, QUEUE, O_CREAT | O_RDWR | O_NONBLOCK, 0600, &attr);

	MUST(fd >= 0 && sys(mq_unlink, QUEUE) == 0, "mq_open");
	if (sent)
		MUST(sys(mq_timedsend, fd, sent, LEN, 7, NULL) == 0, "mq_timedsend");
	return fd;
}

ABI(mq_open_name, "ipc/mqueue.c do_mq_open()", 0)
{
	OK(sys(mq_open, U(abi_string(QUEUE)), O_CREAT | O_RDWR, 0600, NULL));
	EFFECT(sys(mq_unlink, QUEUE) == 0);
}

ABI(mq_open_attributes, "ipc/mqueue.c SYSCALL_DEFINE4(mq_open)", 0)
{
	struct mq_attr *attr = abi_mem(sizeof(*attr)), now = {};
	int fd;

	*attr = (struct mq_attr){ .mq_maxmsg = 3, .mq_msgsize = 77 };
	fd = OK(sys(mq_open, QUEUE, O_CREAT | O_RDWR, 0600, U(attr)));
	MUST(sys(mq_unlink, QUEUE) == 0, "mq_unlink");
	EFFECT(sys(mq_getsetattr, fd, NULL, &now) == 0 && now.mq_msgsize == 77);
}

ABI(mq_unlink_name, "ipc/mqueue.c SYSCALL_DEFINE1(mq_unlink)", 0)
{
	int other = sys(mq_open, QUEUE, O_CREAT | O_RDWR, 0600, NULL);

	MUST(other >= 0, "mq_open");
	errno = 0;
	long got = sys(mq_unlink, U(abi_string(QUEUE)));
	int error = errno;
	long again = sys(mq_unlink, QUEUE);

	CALL(with_errno(got, error), 0);
	EFFECT(again == -1);
}

static bool in_queue(int fd)
{
	char text[LEN];
	unsigned int priority = 0;

	return sys(mq_timedreceive, fd, text, LEN, &priority, NULL) == LEN && priority == 7 &&
	       !memcmp(text, TEXT, LEN);
}

ABI(mq_send_message, "ipc/mqueue.c do_mq_timedsend(), load_msg()", 0)
{
	int fd = queue(NULL);

	CALL(sys(mq_timedsend, fd, U(abi_string(TEXT)), LEN, 7, NULL), 0);
	EFFECT(in_queue(fd));
}

ABI(mq_send_timeout, "ipc/mqueue.c prepare_timeout()", 0)
{
	struct timespec *past = abi_mem(sizeof(*past));
	int fd = queue(NULL);

	past->tv_nsec = 1;
	CALL(sys(mq_timedsend, fd, TEXT, LEN, 7, U(past)), 0);
	EFFECT(in_queue(fd));
}

ABI(mq_receive_message, "ipc/mqueue.c do_mq_timedreceive(), store_msg()", 0)
{
	char *p = abi_mem(LEN);

	CALL(sys(mq_timedreceive, queue(TEXT), U(p), LEN, NULL, NULL), LEN);
	EFFECT(!memcmp(p, TEXT, LEN));
}

ABI(mq_receive_priority, "ipc/mqueue.c do_mq_timedreceive(), u_msg_prio", 0)
{
	unsigned int *priority = abi_mem(sizeof(*priority));
	char text[LEN];

	CALL(sys(mq_timedreceive, queue(TEXT), text, LEN, U(priority), NULL), LEN);
	EFFECT(*priority == 7);
}

ABI(mq_notify_event, "ipc/mqueue.c SYSCALL_DEFINE2(mq_notify)", 0)
{
	struct sigevent *event = abi_mem(sizeof(*event));
	struct timespec second = { 1, 0 };
	int fd = queue(NULL);
	siginfo_t info = {};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	event->sigev_notify = SIGEV_SIGNAL;
	event->sigev_signo = SIGUSR2;
	event->sigev_value.sival_int = 77;
	CALL(sys(mq_notify, fd, U(event)), 0);
	MUST(sys(mq_timedsend, fd, TEXT, LEN, 7, NULL) == 0, "mq_timedsend");
	EFFECT(sigtimedwait(&set, &info, &second) == SIGUSR2 && info.si_value.sival_int == 77);
}

ABI(mq_new_attributes, "ipc/mqueue.c SYSCALL_DEFINE3(mq_getsetattr), u_mqstat", 0)
{
	struct mq_attr *attr = abi_mem(sizeof(*attr)), now = {};
	int fd = queue(NULL);

	CALL(sys(mq_getsetattr, fd, U(attr), NULL), 0);
	EFFECT(sys(mq_getsetattr, fd, NULL, &now) == 0 && !(now.mq_flags & O_NONBLOCK));
}

ABI(mq_old_attributes, "ipc/mqueue.c SYSCALL_DEFINE3(mq_getsetattr), u_omqstat", 0)
{
	struct mq_attr *now = abi_mem(sizeof(*now));

	CALL(sys(mq_getsetattr, queue(TEXT), NULL, U(now)), 0);
	EFFECT(now->mq_curmsgs == 1 && now->mq_msgsize == LEN);
}

/* --- fcntl(): fs/fcntl.c -------------------------------------------------- */

ABI(fcntl_getlk, "fs/fcntl.c do_fcntl(), F_GETLK", 0)
{
	struct flock *lock = abi_mem(sizeof(*lock));

	*lock = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	CALL(sys(fcntl, file_with(TEXT), F_GETLK, U(lock)), 0);
	EFFECT(lock->l_type == F_UNLCK);
}

ABI(fcntl_setlk, "fs/fcntl.c do_fcntl(), F_OFD_SETLK", 0)
{
	struct flock *lock = abi_mem(sizeof(*lock)), now;
	int fd = file_with(TEXT), other = open("file", O_RDWR);

	*lock = now = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
	CALL(sys(fcntl, fd, F_OFD_SETLK, U(lock)), 0);
	EFFECT(sys(fcntl, other, F_OFD_GETLK, &now) == 0 && now.l_type == F_WRLCK);
}

ABI(fcntl_set_owner, "fs/fcntl.c f_setown_ex()", 0)
{
	struct f_owner_ex *owner = abi_mem(sizeof(*owner));
	int fd = pipe_with("");

	*owner = (struct f_owner_ex){ F_OWNER_PID, getpid() };
	CALL(sys(fcntl, fd, F_SETOWN_EX, U(owner)), 0);
	EFFECT(sys(fcntl, fd, F_GETOWN, 0) == getpid());
}

ABI(fcntl_get_owner, "fs/fcntl.c f_getown_ex()", 0)
{
	struct f_owner_ex *owner = abi_mem(sizeof(*owner));
	int fd = pipe_with("");

	MUST(sys(fcntl, fd, F_SETOWN, getpid()) == 0, "F_SETOWN");
	CALL(sys(fcntl, fd, F_GETOWN_EX, U(owner)), 0);
	EFFECT(owner->pid == getpid());
}

/* --- ioctl() with pointers to data ---------------------------------------- */

ABI(file_flags, "fs/ioctl.c FIONREAD of a file", 0)
{
	int *left = abi_mem(sizeof(*left));

	CALL(sys(ioctl, file_with(TEXT), FIONREAD, U(left)), 0);
	EFFECT(*left == LEN);
}

ABI(nonblocking, "fs/ioctl.c ioctl_fionbio()", 0)
{
	int *on = abi_mem(sizeof(*on)), fd = pipe_with("");

	*on = 1;
	CALL(sys(ioctl, fd, FIONBIO, U(on)), 0);
	EFFECT(sys(fcntl, fd, F_GETFL, 0) & O_NONBLOCK);
}

static int terminal(void)
{
	int fd = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY);

	if (fd < 0)
		fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	MUST(fd >= 0, "open ptmx");
	return fd;
}

ABI(termios, "drivers/tty/tty_ioctl.c tty_mode_ioctl(), TCGETS", 0)
{
	char *state = abi_mem(64);

	CALL(sys(ioctl, terminal(), 0x5401 /* TCGETS */, U(state)), 0);
	EFFECT(memcmp(state, (char[64]){}, 36));
}

ABI(window_size, "drivers/tty/tty_io.c tiocswinsz()", 0)
{
	struct winsize *size = abi_mem(sizeof(*size)), now = {};
	int fd = terminal();

	size->ws_row = 77;
	CALL(sys(ioctl, fd, TIOCSWINSZ, U(size)), 0);
	EFFECT(sys(ioctl, fd, TIOCGWINSZ, &now) == 0 && now.ws_row == 77);
}

ABI(disk_size, "block/ioctl.c put_u64(), BLKGETSIZE64", 0)
{
	uint64_t *size = abi_mem(sizeof(*size));
	int fd = open("/dev/vda", O_RDONLY);

	MUST(fd >= 0, "open /dev/vda");
	CALL(sys(ioctl, fd, BLKGETSIZE64, U(size)), 0);
	EFFECT(*size > 0);
}

ABI(disk_sector, "block/ioctl.c put_int(), BLKSSZGET", 0)
{
	int *size = abi_mem(sizeof(*size)), fd = open("/dev/vda", O_RDONLY);

	MUST(fd >= 0, "open /dev/vda");
	CALL(sys(ioctl, fd, BLKSSZGET, U(size)), 0);
	EFFECT(*size >= 512);
}

ABI(file_extents, "fs/ioctl.c ioctl_fiemap()", 0)
{
	struct fiemap *map = abi_mem(sizeof(*map) + sizeof(struct fiemap_extent));
	int fd = open("/bin/busybox", O_RDONLY);

	MUST(fd >= 0, "open /bin/busybox");
	map->fm_length = ~0UL;
	map->fm_extent_count = 1;
	CALL(sys(ioctl, fd, FS_IOC_FIEMAP, U(map)), 0);
	EFFECT(map->fm_mapped_extents == 1 && map->fm_extents[0].fe_length);
}

/* --- keys: security/keys -------------------------------------------------- */

static long new_key(const char *type, const char *description, const void *payload)
{
	return sys(add_key, type, description, payload, 5, -2 /* KEY_SPEC_PROCESS_KEYRING */);
}

static bool key_says(long key, const char *want)
{
	char text[8] = "";

	return sys(keyctl, 11 /* KEYCTL_READ */, key, text, 7) == 5 && !strcmp(text, want);
}

ABI(key_type, "security/keys/keyctl.c key_get_type_from_user()", 0)
{
	long key = OK(new_key(U(abi_string("user")), "mte", "seven"));

	EFFECT(key_says(key, "seven"));
}

ABI(key_description, "security/keys/keyctl.c SYSCALL_DEFINE5(add_key), _description", 0)
{
	long key = OK(new_key("user", U(abi_string("mte")), "seven"));

	EFFECT(key_says(key, "seven"));
}

ABI(key_payload, "security/keys/keyctl.c SYSCALL_DEFINE5(add_key), _payload", 0)
{
	long key = OK(new_key("user", "mte", U(abi_string("seven"))));

	EFFECT(key_says(key, "seven"));
}

ABI(key_read, "security/keys/keyctl.c keyctl_read_key()", 0)
{
	char *p = abi_mem(8);

	CALL(sys(keyctl, 11, new_key("user", "mte", "seven"), U(p), 7), 5);
	EFFECT(!strcmp(p, "seven"));
}

ABI(key_describe, "security/keys/keyctl.c keyctl_describe_key()", 0)
{
	char *p = abi_mem(64);

	OK(sys(keyctl, 6 /* KEYCTL_DESCRIBE */, new_key("user", "mte", "seven"), U(p), 64));
	EFFECT(!strncmp(p, "user;", 5));
}

/* --- bpf(): kernel/bpf/syscall.c ------------------------------------------ */

static union bpf_attr *map_of_one(union bpf_attr *attr)
{
	attr->map_type = BPF_MAP_TYPE_ARRAY;
	attr->key_size = 4;
	attr->value_size = 8;
	attr->max_entries = 1;
	return attr;
}

static int bpf_map(void)
{
	union bpf_attr attr = {};
	int fd = sys(bpf, BPF_MAP_CREATE, map_of_one(&attr), sizeof(attr));

	MUST(fd >= 0, "BPF_MAP_CREATE");
	return fd;
}

ABI(bpf_attributes, "kernel/bpf/syscall.c __sys_bpf()", 0)
{
	union bpf_attr *attr = map_of_one(abi_mem(sizeof(*attr)));
	int fd = OK(sys(bpf, BPF_MAP_CREATE, U(attr), sizeof(*attr)));

	EFFECT(fd >= 0 && close(fd) == 0);
}

static long update(const void *key, const void *value)
{
	union bpf_attr attr = { .map_fd = bpf_map(),
				.key = (uintptr_t)key,
				.value = (uintptr_t)value };
	uint64_t now = 0;
	uint32_t zero = 0;

	if (sys(bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)) < 0)
		return -1;
	attr.key = (uintptr_t)&zero;
	attr.value = (uintptr_t)&now;
	MUST(sys(bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)) == 0, "BPF_MAP_LOOKUP_ELEM");
	return now;
}

ABI(bpf_key, "kernel/bpf/syscall.c map_update_elem(), key", 0)
{
	uint32_t *key = abi_mem(sizeof(*key));
	uint64_t value = 77;
	long now = OK(update(U(key), &value));

	EFFECT(now == 77);
}

ABI(bpf_value, "kernel/bpf/syscall.c map_update_elem(), value", 0)
{
	uint64_t *value = abi_mem(sizeof(*value));
	uint32_t key = 0;
	long now;

	*value = 77;
	now = OK(update(&key, U(value)));
	EFFECT(now == 77);
}

/* --- perf events: kernel/events/core.c ------------------------------------ */

static struct perf_event_attr *task_clock(struct perf_event_attr *attr)
{
	*attr = (struct perf_event_attr){ .type = PERF_TYPE_SOFTWARE,
					  .size = sizeof(*attr),
					  .config = PERF_COUNT_SW_TASK_CLOCK };
	return attr;
}

ABI(perf_attributes, "kernel/events/core.c perf_copy_attr()", 0)
{
	struct perf_event_attr *attr = task_clock(abi_mem(sizeof(*attr)));
	uint64_t count = 0;
	int fd = OK(sys(perf_event_open, U(attr), 0, -1, -1, 0));

	EFFECT(read(fd, &count, 8) == 8 && count);
}

ABI(perf_read, "kernel/events/core.c perf_read_one()", 0)
{
	struct perf_event_attr attr;
	uint64_t *count = abi_mem(sizeof(*count));
	int fd = sys(perf_event_open, task_clock(&attr), 0, -1, -1, 0);

	MUST(fd >= 0, "perf_event_open");
	CALL(sys(read, fd, U(count), 8), 8);
	EFFECT(*count);
}

PROBE(CASE(semop_operations), CASE(semop_timeout), CASE(semctl_set_all), CASE(semctl_get_all),
      CASE(semctl_stat), CASE(msgsnd_message), CASE(msgrcv_message), CASE(msgctl_stat),
      CASE(shmctl_stat), CASE(shmat_address), CASE(shmdt_address), CASE(mq_open_name),
      CASE(mq_open_attributes), CASE(mq_unlink_name), CASE(mq_send_message), CASE(mq_send_timeout),
      CASE(mq_receive_message), CASE(mq_receive_priority), CASE(mq_notify_event),
      CASE(mq_new_attributes), CASE(mq_old_attributes), CASE(fcntl_getlk), CASE(fcntl_setlk),
      CASE(fcntl_set_owner), CASE(fcntl_get_owner), CASE(file_flags), CASE(nonblocking),
      CASE(termios), CASE(window_size), CASE(disk_size), CASE(disk_sector), CASE(file_extents),
      CASE(key_type), CASE(key_description), CASE(key_payload), CASE(key_read), CASE(key_describe),
      CASE(bpf_attributes), CASE(bpf_key), CASE(bpf_value), CASE(perf_attributes), CASE(perf_read));
