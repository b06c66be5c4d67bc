/* SPDX-License-Identifier: MIT */
/*
 * Swap areas and zram of a board. A probe turns all swap off and adds its own (guest/lib/swap.c,
 * swap_none()); so the board's areas are off during a visit, and on again afterwards, each with
 * its priority. A zram device is added for the visit: zram0 may be the board's swap, or its log.
 * The first page of the disk for swap gets a probe's swap header, and its own content back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "keeper.h"

#define HOT_ADD	   "/sys/class/zram-control/hot_add"
#define HOT_REMOVE "/sys/class/zram-control/hot_remove"

enum { MOST = 32, HEAD = 65536 /* the largest page */ };

struct area {
	char path[512];
	int priority;
};

static struct area saved[MOST];
static int count;
static int zram = -1;
static const char *disk;
static char head[HEAD];
static bool have_head;

/* Undoes seq_escape() of /proc/swaps (mm/swapfile.c): "\040" is a space. */
static void unescape(char *text)
{
	char *out = text;

	for (; *text; text++) {
		if (text[0] == '\\' && text[1] && text[2] && text[3]) {
			*out++ = (char)strtol((char[]){ text[1], text[2], text[3], 0 }, NULL, 8);
			text += 3;
		} else {
			*out++ = *text;
		}
	}
	*out = 0;
}

static int read_areas(struct area *areas)
{
	FILE *f = fopen("/proc/swaps", "re");
	char line[800], kind[32];
	unsigned long size, used;
	int n = 0;

	if (!f)
		return 0;
	if (!fgets(line, sizeof(line), f)) /* the head */
		line[0] = 0;
	while (n < MOST && fgets(line, sizeof(line), f))
		if (sscanf(line, "%511s %31s %lu %lu %d", areas[n].path, kind, &size, &used,
			   &areas[n].priority) == 5)
			unescape(areas[n++].path);
	fclose(f);
	return n;
}

void areas_save(const char *device)
{
	int fd;

	count = read_areas(saved);
	disk = device;
	if (!device)
		return;
	fd = open(device, O_RDONLY | O_CLOEXEC);
	have_head = fd >= 0 && pread(fd, head, HEAD, 0) == HEAD;
	if (fd >= 0)
		close(fd);
}

bool areas_prepare(void)
{
	char text[16];
	int i;

	if (disk && !have_head) {
		tell("unfit", "%s cannot be read: %s", disk, strerror(errno));
		return false;
	}
	for (i = 0; i < count; i++)
		if (swapoff(saved[i].path)) {
			tell("busy", "its swap %s cannot be turned off: %s", saved[i].path,
			     strerror(errno));
			return false;
		}
	if (read_text(HOT_ADD, text, sizeof(text)) > 0) { /* the read adds one */
		zram = atoi(text);
		tell("zram", "%d", zram);
	}
	return true;
}

static void restore_head(void)
{
	static char now[HEAD];
	int fd = open(disk, O_RDWR | O_CLOEXEC);

	if (fd < 0 || pread(fd, now, HEAD, 0) != HEAD ||
	    (memcmp(now, head, HEAD) && (pwrite(fd, head, HEAD, 0) != HEAD || fsync(fd))))
		tell("left", "the first page of %s: %s", disk, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void remove_zram(void)
{
	char path[64], text[16];
	int i;

	snprintf(path, sizeof(path), "/sys/block/zram%d/reset", zram);
	snprintf(text, sizeof(text), "%d", zram);
	/* udev may have the device open for a moment (zram_remove(): EBUSY). */
	for (i = 0; i < 50; i++) {
		write_text(path, "1");
		if (write_text(HOT_REMOVE, text) == 0)
			return;
		usleep(100 * 1000);
	}
	tell("left", "/dev/zram%d: %s", zram, strerror(errno));
}

static bool is_in(const struct area *one, const struct area *areas, int n)
{
	while (n--)
		if (!strcmp(areas[n].path, one->path))
			return true;
	return false;
}

void areas_off(void)
{
	struct area now[MOST];
	int i, n = read_areas(now);

	/* Those of the board are off: nothing of it is lost here. */
	for (i = 0; i < n; i++)
		if (swapoff(now[i].path))
			tell("left", "swap %s: %s", now[i].path, strerror(errno));
}

void areas_restore(void)
{
	struct area now[MOST];
	int i, n;

	if (zram >= 0)
		remove_zram();
	if (disk && have_head)
		restore_head();
	n = read_areas(now);
	for (i = 0; i < count; i++) {
		int p = saved[i].priority;
		int flags = p < 0 ? 0 : SWAP_FLAG_PREFER | (p & SWAP_FLAG_PRIO_MASK);

		if (!is_in(&saved[i], now, n) && swapon(saved[i].path, flags))
			tell("left", "swap %s is off: %s", saved[i].path, strerror(errno));
	}
}
