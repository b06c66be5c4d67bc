/* SPDX-License-Identifier: MIT */
#include "core_reader.h"

#include <sys/stat.h>

struct core_shared *core_shared;
static char core_dir[32];

void *core_note(void *p)
{
	MUST(p != MAP_FAILED && core_shared->count < 32, "mmap");
	core_shared->mem[core_shared->count++] = p;
	return p;
}

char *core_map(size_t pages, int prot)
{
	char *room = mmap(NULL, (pages + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p = room + PAGE;

	MUST(room != MAP_FAILED, "mmap");
	MUST(mmap(p, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p,
	     "mmap");
	madvise(p, pages * PAGE, MADV_NOHUGEPAGE);
	return core_note(p);
}

static int count_mte_vmas(void)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	char line[512];
	int n = 0;

	MUST(f, "open /proc/self/smaps");
	while (fgets(line, sizeof(line), f))
		n += !strncmp(line, "VmFlags:", 8) && strstr(line, " mt ");
	fclose(f);
	return n;
}

const char *core_dump(void (*prepare)(void), rlim_t limit, bool needed)
{
	static char path[64];
	pid_t pid;

	if (!core_dir[0]) {
		strcpy(core_dir, "/tmp/core-XXXXXX");
		MUST(mkdtemp(core_dir), "mkdtemp");
		/* The default pattern; without CONFIG_PROC_SYSCTL it cannot have been changed. */
		if (!access("/proc/sys/kernel/core_pattern", W_OK)) {
			write_file("/proc/sys/kernel/core_pattern", "core");
			write_file("/proc/sys/kernel/core_uses_pid", "0");
		}
		core_shared = mmap(NULL, sizeof(*core_shared), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		MUST(core_shared != MAP_FAILED, "mmap");
	}
	snprintf(path, sizeof(path), "%s/core", core_dir);
	unlink(path);
	core_shared->count = 0;
	pid = child_fork();
	if (!pid) {
		struct rlimit r = { limit, limit };

		MUST(chdir(core_dir) == 0 && setrlimit(RLIMIT_CORE, &r) == 0,
		     "prepare to dump core");
		signal(SIGABRT, SIG_DFL);
		prepare();
		core_shared->mte_vmas = count_mte_vmas();
		raise(SIGABRT);
		_exit(1);
	}
	wait_child_killed(pid, SIGABRT);
	MUST(!needed || access(path, R_OK) == 0, "no core");
	return access(path, R_OK) ? NULL : path;
}

struct core core_open(const char *path)
{
	struct core c;
	struct stat st;
	Elf64_Ehdr *eh;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	MUST(fd >= 0 && fstat(fd, &st) == 0, "open %s", path);
	c.size = st.st_size;
	MUST(c.size >= sizeof(*eh), "%s has %zu bytes", path, c.size);
	c.data = mmap(NULL, c.size, PROT_READ, MAP_PRIVATE, fd, 0);
	MUST(c.data != MAP_FAILED, "mmap of %s", path);
	close(fd);
	eh = (Elf64_Ehdr *)c.data;
	MUST(!memcmp(eh->e_ident, ELFMAG, SELFMAG) && eh->e_type == ET_CORE &&
		     eh->e_machine == EM_AARCH64,
	     "%s is no core of this machine", path);
	c.ph = (Elf64_Phdr *)(c.data + eh->e_phoff);
	c.count = eh->e_phnum;
	MUST(eh->e_phoff + c.count * sizeof(*c.ph) <= c.size, "%s ends in its headers", path);
	return c;
}

struct core core_of(void (*prepare)(void))
{
	return core_open(core_dump(prepare, RLIM_INFINITY, true));
}

void core_close(struct core *c)
{
	munmap(c->data, c->size);
}

Elf64_Phdr *core_segment(const struct core *c, Elf64_Word type, const void *mem)
{
	int i;

	for (i = 0; i < c->count; i++) {
		Elf64_Phdr *ph = &c->ph[i];

		if (ph->p_type != type || ph->p_vaddr != (uintptr_t)mem)
			continue;
		MUST(ph->p_offset + ph->p_filesz <= c->size,
		     "segment %d ends at %#llx, the core at %#zx", i,
		     (unsigned long long)(ph->p_offset + ph->p_filesz), c->size);
		return ph;
	}
	return NULL;
}

int core_count(const struct core *c, Elf64_Word type)
{
	int i, n = 0;

	for (i = 0; i < c->count; i++)
		n += c->ph[i].p_type == type;
	return n;
}

unsigned int core_tag(const struct core *c, const Elf64_Phdr *tags, size_t g)
{
	return c->data[tags->p_offset + g / 2] >> (g % 2 * 4) & 15;
}

Elf64_Phdr *core_check_header(const struct core *c, const void *mem, size_t memsz, size_t dumped,
			      const char *what)
{
	Elf64_Phdr *tags = core_segment(c, PT_AARCH64_MEMTAG_MTE, mem);
	Elf64_Phdr *load = core_segment(c, PT_LOAD, mem);

	MUST(tags, "%s: no tag segment for %p", what, mem);
	MUST(load, "%s: no data segment for %p", what, mem);
	CHECK_EQ(load->p_memsz, memsz, "%s: p_memsz of the data segment", what);
	CHECK_EQ(load->p_filesz, dumped, "%s: p_filesz of the data segment", what);
	CHECK_EQ(tags->p_memsz, memsz, "%s: p_memsz", what);
	CHECK_EQ(tags->p_filesz, TAG_BYTES(dumped), "%s: p_filesz", what);
	CHECK_EQ(tags->p_flags, 0, "%s: p_flags", what);
	CHECK_EQ(tags->p_paddr, 0, "%s: p_paddr", what);
	CHECK_EQ(tags->p_align, 0, "%s: p_align", what);
	MUST(tags->p_filesz == TAG_BYTES(dumped), "%s: tags of another size", what);
	return tags;
}

/* Checks tags and data of a mapping that a pattern fills. */
static void core_check_content(const struct core *c, const void *mem, size_t len, uint64_t seed,
			       const char *what)
{
	Elf64_Phdr *tags = core_segment(c, PT_AARCH64_MEMTAG_MTE, mem);
	Elf64_Phdr *load = core_segment(c, PT_LOAD, mem);
	size_t g, n = len / GRANULE, bad_tags = 0, bad_data = 0;

	for (g = 0; g < n; g++) {
		const uint64_t *word = (const void *)(c->data + load->p_offset + g * GRANULE);
		unsigned int want = pattern_tag(seed, g), got = core_tag(c, tags, g);

		if (got != want && bad_tags++ < 2)
			CHECK(false, "%s: granule %zu: expected tag %u, saw %u", what, g, want,
			      got);
		bad_data += word[0] != pattern_data(seed, g) || word[1] != ~word[0];
	}
	CHECK_EQ(bad_tags, 0, "%s: wrong tags of %zu", what, n);
	CHECK_EQ(bad_data, 0, "%s: wrong data of %zu granules", what, n);
}

void core_check_pattern(const struct core *c, const void *mem, size_t len, uint64_t seed,
			const char *what)
{
	core_check_header(c, mem, len, len, what);
	core_check_content(c, mem, len, seed, what);
}
