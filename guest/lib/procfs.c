/* SPDX-License-Identifier: MIT */
#include "procfs.h"

int try_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	ssize_t n, len = strlen(text);
	int saved;

	if (fd < 0)
		return -1;
	n = write(fd, text, len);
	saved = errno;
	close(fd);
	errno = saved;
	return n == len ? 0 : -1;
}

void write_file(const char *path, const char *text)
{
	MUST(try_write_file(path, text) == 0, "write \"%s\" to %s", text, path);
}

long read_long(const char *path)
{
	FILE *f = fopen(path, "re");
	long value = 0;
	int fields;

	MUST(f, "open %s", path);
	fields = fscanf(f, "%ld", &value);
	MUST(fields == 1, "%s: no number", path);
	fclose(f);
	return value;
}

long read_field(const char *path, const char *key)
{
	FILE *f = fopen(path, "re");
	size_t n = strlen(key);
	char line[512];
	long value = -1;

	MUST(f, "open %s", path);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, n) && strchr(": \t", line[n])) {
			value = strtol(line + n + 1, NULL, 10);
			break;
		}
	}
	fclose(f);
	return value;
}

long meminfo_kb(const char *key)
{
	long value = read_field("/proc/meminfo", key);

	MUST(value >= 0, "/proc/meminfo has no %s", key);
	return value;
}

long vmstat(const char *key)
{
	long value = read_field("/proc/vmstat", key);

	MUST(value >= 0, "/proc/vmstat has no %s", key);
	return value;
}

bool smaps_header(const char *line, unsigned long *start, unsigned long *end)
{
	unsigned long from, to;
	int used = 0;

	if (sscanf(line, "%lx-%lx %*4s%n", &from, &to, &used) != 2 || !used)
		return false;
	*start = from;
	*end = to;
	return true;
}

long smaps_kb(const void *p, size_t len, const char *key)
{
	unsigned long lo = (unsigned long)untagged(p), hi = lo + len, start = 0, end = 0;
	FILE *f = fopen("/proc/self/smaps", "re");
	size_t n = strlen(key);
	bool seen = false;
	char line[512];
	long sum = 0;

	MUST(f, "open /proc/self/smaps");
	while (fgets(line, sizeof(line), f)) {
		if (smaps_header(line, &start, &end))
			continue;
		if (start < hi && end > lo && !strncmp(line, key, n) && line[n] == ':') {
			sum += strtol(line + n + 1, NULL, 10);
			seen = true;
		}
	}
	fclose(f);
	MUST(seen, "/proc/self/smaps: no %s for %p", key, (void *)lo);
	return sum;
}

bool smaps_flag(const void *p, const char *flag)
{
	unsigned long at = (unsigned long)untagged(p), start = 0, end = 0;
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512], *word;
	int found = -1;

	MUST(f, "open /proc/self/smaps");
	while (found < 0 && fgets(line, sizeof(line), f)) {
		if (smaps_header(line, &start, &end) || at < start || at >= end ||
		    strncmp(line, "VmFlags:", 8))
			continue;
		found = 0;
		for (word = strtok(line + 8, " \n"); word; word = strtok(NULL, " \n"))
			found |= !strcmp(word, flag);
	}
	fclose(f);
	MUST(found >= 0, "/proc/self/smaps: no VmFlags for %p", (void *)at);
	return found;
}

void pagemap_read(const void *p, uint64_t *entries, size_t count)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t want = count * sizeof(*entries);

	MUST(fd >= 0, "open /proc/self/pagemap");
	MUST(pread(fd, entries, want, (uintptr_t)untagged(p) / PAGE * 8) == want,
	     "pread /proc/self/pagemap");
	close(fd);
}

uint64_t pagemap(const void *p)
{
	uint64_t entry;

	pagemap_read(p, &entry, 1);
	return entry;
}

uint64_t pfn_of(const void *p)
{
	uint64_t entry = pagemap(p);

	NEED(entry & PM_PRESENT, "page %p is not present (pagemap %#llx)", p,
	     (unsigned long long)entry);
	return entry & PM_PFN_MASK;
}

unsigned int swap_type_of(const void *p)
{
	return pagemap(p) & 0x1f;
}

uint64_t swap_offset_of(const void *p)
{
	return (pagemap(p) & PM_PFN_MASK) >> 5;
}

size_t pagemap_count(const void *p, size_t len, uint64_t mask)
{
	const unsigned char *at = p;
	size_t i, done, n = len / PAGE, count = 0;
	uint64_t entries[512];

	for (i = 0; i < n; i += done) {
		done = n - i < 512 ? n - i : 512;
		pagemap_read(at + i * PAGE, entries, done);
		for (size_t j = 0; j < done; j++)
			count += (entries[j] & mask) == mask;
	}
	return count;
}

bool page_present(const void *p)
{
	return pagemap(p) & PM_PRESENT;
}

bool page_swapped(const void *p)
{
	return pagemap(p) & PM_SWAP;
}

size_t kpageflags(uint64_t pfn, uint64_t end, uint64_t *flags)
{
	const size_t n = end - pfn < KPAGEFLAGS ? end - pfn : KPAGEFLAGS;
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	ssize_t bytes;

	MUST(fd >= 0, "open /proc/kpageflags");
	bytes = pread(fd, flags, n * 8, pfn * 8);
	MUST(bytes >= 8, "pread /proc/kpageflags");
	close(fd);
	return bytes / 8;
}

bool kpageflag(uint64_t pfn, int bit)
{
	uint64_t flags;

	kpageflags(pfn, pfn + 1, &flags);
	return (flags >> bit) & 1;
}

bool page_flag(const void *p, int bit)
{
	return kpageflag(pfn_of(p), bit);
}
