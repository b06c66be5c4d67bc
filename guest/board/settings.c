/* SPDX-License-Identifier: MIT */
/*
 * The settings of a board that probes change: sysctls, THP, KSM, zswap, huge pages, CPUs, the
 * swap disk's queue, and the controllers of the root cgroup. All files are noted, and not only
 * those that today's probes write: a new probe need not be declared here.
 */
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keeper.h"

enum { MOST = 4096, TEXT = 4096 };

#define CGROUP	 "/sys/fs/cgroup"
#define SUBTREE	 CGROUP "/cgroup.subtree_control"
#define KSM_RUN	 "/sys/kernel/mm/ksm/run"
#define THP_MODE "/sys/kernel/mm/transparent_hugepage/enabled"

static struct setting {
	char *path, *text;
} settings[MOST];
static int count;
static char controllers[256];

static const char *const trees[] = {
	"/proc/sys/vm",
	"/proc/sys/kernel",
	"/proc/sys/abi",
	"/proc/sys/fs",
	"/proc/sys/debug",
	"/sys/kernel/mm",
	"/sys/module/zswap/parameters",
};

/* Files that act when they are read or written, that change on their own, or are others' twins. */
static const char *const skipped[] = {
	"stat_refresh",
	"compact_memory",
	"drop_caches",
	"ns_last_pid",
	"tainted",
	"random",
	"perf_event_max_sample_rate",
	"nr_hugepages_mempolicy",
	"binfmt_misc",
	"damon",
	"sched_domain",
};

static bool is_skipped(const char *path)
{
	size_t i;

	for (i = 0; i < sizeof(skipped) / sizeof(skipped[0]); i++) {
		const char *at = strstr(path, skipped[i]);
		size_t length = strlen(skipped[i]);

		if (at && at[-1] == '/' && (at[length] == '/' || !at[length]))
			return true;
	}
	return false;
}

static void note(const char *path)
{
	char text[TEXT];
	struct stat info;
	long length;

	if (count == MOST || is_skipped(path) || stat(path, &info) || !S_ISREG(info.st_mode) ||
	    (info.st_mode & 0600) != 0600)
		return;
	length = read_text(path, text, sizeof(text));
	if (length < 0 || length == TEXT - 1)
		return;
	settings[count].path = strdup(path);
	settings[count++].text = strdup(text);
}

static int note_file(const char *path, const struct stat *info, int kind, struct FTW *at)
{
	(void)info, (void)at;
	if (kind == FTW_F)
		note(path);
	return 0;
}

/* Notes NAME of each entry of a directory: /sys/devices/system/cpu/cpu3/online. */
static void note_each(const char *directory, const char *prefix, const char *name)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	char path[600];

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, prefix, strlen(prefix)))
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", directory, entry->d_name, name);
		note(path);
	}
	if (dir)
		closedir(dir);
}

static void note_queue(const char *device)
{
	char real[PATH_MAX], path[PATH_MAX + 64];
	const char *name = strrchr(device, '/');

	snprintf(path, sizeof(path), "/sys/class/block/%s", name ? name + 1 : device);
	if (!realpath(path, real))
		return;
	snprintf(path, sizeof(path), "%s/queue/rotational", real);
	note(path);
	snprintf(path, sizeof(path), "%s/../queue/rotational", real); /* of a partition's disk */
	note(path);
}

void settings_save(const char *device)
{
	size_t i;

	for (i = 0; i < sizeof(trees) / sizeof(trees[0]); i++)
		nftw(trees[i], note_file, 16, FTW_PHYS | FTW_MOUNT);
	note_each("/sys/devices/system/cpu", "cpu", "online");
	note_each("/sys/devices/system/cpu", "cpu", "mte_tcf_preferred");
	note("/sys/kernel/debug/fault_around_bytes");
	if (device)
		note_queue(device);
	read_text(SUBTREE, controllers, sizeof(controllers));
	if (count == MOST)
		tell("unfit", "more than %d settings", MOST);
}

/* Returns whether a word is in a text of words. */
static bool has_word(const char *text, const char *word, size_t length)
{
	const char *at;

	for (at = text; (at = strstr(at, word)); at++)
		if ((at == text || at[-1] == ' ') && (!at[length] || at[length] == ' '))
			return true;
	return false;
}

static void each_controller(const char *sign, bool missing_before)
{
	static const char *const names[] = { "memory", "pids", "cpuset" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char word[32];

		snprintf(word, sizeof(word), "%s%s", sign, names[i]);
		if (!missing_before || !has_word(controllers, names[i], strlen(names[i])))
			write_text(SUBTREE, word);
	}
}

void settings_prepare(void)
{
	write_text("/proc/sys/kernel/panic_on_oops", "0");
	write_text("/proc/sys/kernel/panic_on_warn", "0");
	write_text("/proc/sys/vm/nr_hugepages", "0");
	write_text(THP_MODE, "madvise");
	/* Else a WARN_ONCE() that an earlier program has met is not printed again. */
	write_text("/sys/kernel/debug/clear_warn_once", "1");
	each_controller("+", false);
}

/* Removes the cgroups that probes have made (guest/lib/swap.c, memcg_enter()). */
static void remove_cgroups(void)
{
	DIR *dir = opendir(CGROUP);
	struct dirent *entry;
	char path[300];

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "probe-", 6))
			continue;
		snprintf(path, sizeof(path), CGROUP "/%.250s", entry->d_name);
		if (rmdir(path))
			tell("left", "%s: %s", path, strerror(errno));
	}
	if (dir)
		closedir(dir);
}

/* Returns what to write for a text: of "always [madvise] never" the word in brackets. */
static const char *value_of(const char *text, char *word, size_t size)
{
	const char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;

	if (!close)
		return text;
	snprintf(word, size, "%.*s", (int)(close - open - 1), open + 1);
	return word;
}

/* Writes back what has changed, and returns how many have; `told`: says so. */
static int restore_changed(bool told)
{
	int i, changed = 0;

	for (i = 0; i < count; i++) {
		char now[TEXT], word[TEXT];

		if (read_text(settings[i].path, now, sizeof(now)) < 0 ||
		    !strcmp(now, settings[i].text))
			continue;
		changed++;
		if (told)
			tell("left", "%s: \"%.200s\", was \"%.200s\"", settings[i].path, now,
			     settings[i].text);
		else
			write_text(settings[i].path,
				   value_of(settings[i].text, word, sizeof(word)));
	}
	return changed;
}

void settings_restore(void)
{
	char now[TEXT];
	int i;

	remove_cgroups();
	each_controller("-", true);
	/* While pages are shared, KSM refuses some of its settings: 2 unshares them. */
	for (i = 0; i < count; i++)
		if (!strcmp(settings[i].path, KSM_RUN) &&
		    read_text(KSM_RUN, now, sizeof(now)) >= 0 && strcmp(now, settings[i].text))
			write_text(KSM_RUN, "2");
	/* One setting may change another (overcommit_kbytes and _ratio): twice, then look. */
	for (i = 0; i < 3 && restore_changed(false); i++)
		;
	restore_changed(true);
	if (read_text(SUBTREE, now, sizeof(now)) >= 0 && strcmp(now, controllers))
		tell("left", SUBTREE ": \"%s\", was \"%s\"", now, controllers);
}
