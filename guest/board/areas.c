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
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "keeper.h"

#define HOT_ADD	   "/sys/class/zram-control/hot_add"
#define HOT_REMOVE "/sys/class/zram-control/hot_remove"

enum {
	MOST = 32,
	HEAD = 65536, /* the largest page */
	LOOK = 2 * HEAD, /* the superblocks of all usual file systems are in it: btrfs' at 64 KiB */
};

struct area {
	char path[512];
	int priority;
};

static struct area saved[MOST];
static int count;
static int zram = -1;
static const char *disk;
static bool have_head;
static char head[LOOK];

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
	count = read_areas(saved);
	disk = device;
}

/* A disk of swap ends its first page with this (union swap_header, include/linux/swap.h). */
static bool has_swap(void)
{
	static const char mark[] = "SWAPSPACE2";
	size_t page;

	for (page = 4096; page <= HEAD; page *= 2)
		if (!memcmp(head + page - strlen(mark), mark, strlen(mark)))
			return true;
	return false;
}

static bool is_blank(void)
{
	size_t i;

	for (i = 0; i < LOOK; i++)
		if (head[i])
			return false;
	return true;
}

/* Returns whether the disk may be written, and keeps its head. The board's swap is off. */
static bool take_disk(void)
{
	struct stat info;
	int fd = open(disk, O_RDONLY | O_EXCL | O_CLOEXEC); /* EBUSY: mounted, or of a RAID */
	bool whole = fd >= 0 && !fstat(fd, &info) && pread(fd, head, LOOK, 0) == LOOK;

	if (!whole)
		tell("unfit", "--swap-device %s cannot be used: %s", disk, strerror(errno));
	else if (!S_ISBLK(info.st_mode))
		tell("unfit", "--swap-device %s is no block device", disk);
	else if (!has_swap() && !is_blank())
		tell("unfit", "--swap-device %s is neither blank nor swap: wipefs -a %s", disk,
		     disk);
	else
		have_head = true;
	if (fd >= 0)
		close(fd);
	return have_head;
}

bool areas_prepare(void)
{
	char text[16];
	int i;

	for (i = 0; i < count; i++)
		if (swapoff(saved[i].path)) {
			tell("busy", "its swap %s cannot be turned off: %s", saved[i].path,
			     strerror(errno));
			return false;
		}
	if (disk && !take_disk())
		return false;
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
