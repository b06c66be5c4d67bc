/* SPDX-License-Identifier: MIT */
/*
 * The guest's agent: process 1, and the listener of the SSH port.
 *
 * A guest that has booted is saved once (the template) and restored for each test (a
 * clone). Keys, clock and random seed must differ between clones, so they are not part of
 * the template: each clone gets them on the "run disk", a small virtio disk whose contents
 * the host writes for it. At each connection the agent reads that disk, bypassing the page
 * cache; if it holds another run than before, the agent installs its contents. Then
 * dropbear serves the connection (-i).
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* The harness writes this to the run disk; little endian, as arm64 is. */
struct run_disk {
	char magic[8];
	uint8_t run[16];
	uint64_t realtime_ns;
	uint8_t seed[64];
	uint32_t authorized_length;
	uint32_t host_key_length;
	char data[]; /* authorized_keys, then dropbear's host key */
};

enum { RUN_DISK_SIZE = 64 * 1024 };

static uint8_t installed_run[16];
static void *buffer;
static char device[64];

/* Where the harness finds the disk, to read the files that the host has put there. */
#define RUN_DISK_LINK "/run/disk"

static void log_message(const char *text)
{
	char line[100];
	int length = snprintf(line, sizeof(line), "mte-harness: %s\n", text);
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	/* One write() per message: /dev/kmsg makes a line of each. */
	if (fd < 0 || write(fd, line, length) != length)
		perror("/dev/kmsg");
	close(fd);
}

/* Finds the disk by its serial number, as names like vdc depend on the probe order. */
static int find_device(void)
{
	DIR *dir = opendir("/sys/block");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char path[300], serial[32] = "";
		int fd;

		snprintf(path, sizeof(path), "/sys/block/%s/serial", entry->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (read(fd, serial, sizeof(serial) - 1) > 0 && !strncmp(serial, "mte-run", 7))
			snprintf(device, sizeof(device), "/dev/%.50s", entry->d_name);
		close(fd);
	}
	if (dir)
		closedir(dir);
	return device[0] ? 0 : -1;
}

static void write_file(const char *path, const char *data, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, length) != (ssize_t)length)
		log_message("cannot write a key file");
	if (fd >= 0)
		close(fd);
}

static void reseed(const uint8_t *seed, size_t length)
{
	struct {
		struct rand_pool_info info;
		uint8_t bytes[64];
	} pool = { .info = { .entropy_count = 8 * length, .buf_size = length } };
	int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

	memcpy(pool.bytes, seed, length);
	ioctl(fd, RNDADDENTROPY, &pool);
	ioctl(fd, RNDRESEEDCRNG);
	close(fd);
}

static void install_run(void)
{
	const struct run_disk *disk = buffer;
	struct timespec now;
	int fd = open(device, O_RDONLY | O_DIRECT | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : pread(fd, buffer, RUN_DISK_SIZE, 0);

	if (fd >= 0)
		close(fd);
	if (got != RUN_DISK_SIZE || memcmp(disk->magic, "MTERUN1", 8)) {
		log_message("run disk unreadable");
		return;
	}
	if (!memcmp(disk->run, installed_run, sizeof(installed_run)))
		return;
	if (sizeof(*disk) + (size_t)disk->authorized_length + disk->host_key_length >
	    RUN_DISK_SIZE) {
		log_message("run disk malformed");
		return;
	}
	write_file("/root/.ssh/authorized_keys", disk->data, disk->authorized_length);
	write_file("/run/host_key", disk->data + disk->authorized_length, disk->host_key_length);
	now.tv_sec = disk->realtime_ns / 1000000000;
	now.tv_nsec = disk->realtime_ns % 1000000000;
	clock_settime(CLOCK_REALTIME, &now);
	reseed(disk->seed, sizeof(disk->seed));
	memcpy(installed_run, disk->run, sizeof(installed_run));
}

static void serve(int connection)
{
	/* The OOM killer should kill the program, not the connection that reports on it. */
	write_file("/proc/self/oom_score_adj", "-900", 4);
	setsid();
	signal(SIGCHLD, SIG_DFL);
	dup2(connection, 0);
	dup2(connection, 1);
	/*
	 * -s: authentication by key only.
	 * Standard error stays the console, to which dropbear -i does not write.
	 */
	execl("/usr/sbin/dropbear", "dropbear", "-i", "-s", "-r", "/run/host_key", (char *)NULL);
	_exit(127);
}

int main(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(22),
		.sin_addr.s_addr = INADDR_ANY,
	};
	int one = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	signal(SIGPIPE, SIG_IGN);
	/* Process 1 inherits the children that probes leave behind; the kernel reaps them. */
	signal(SIGCHLD, SIG_IGN);
	if (posix_memalign(&buffer, sysconf(_SC_PAGESIZE), RUN_DISK_SIZE) || find_device() < 0) {
		log_message("failed: no run disk");
		pause();
	}
	if (symlink(device, RUN_DISK_LINK) < 0)
		log_message("cannot link the run disk");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 16) < 0) {
		log_message("failed: cannot listen on port 22");
		pause();
	}
	log_message("ready");
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		if (connection < 0)
			continue;
		setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		install_run();
		if (fork() == 0)
			serve(connection);
		close(connection);
	}
}
