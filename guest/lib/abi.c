/* SPDX-License-Identifier: MIT */
#include <sched.h>
#include <sys/mount.h>

#include "abi.h"

enum { PAGES = 24, TAG = 7, OTHER_TAG = 8, TOP_BYTE = 0xa5 };

struct way {
	const char *name;
	bool tagged_memory;
	bool abi;
	unsigned int top; /* of the pointer that the kernel gets */
};

static const struct way ways[] = {
	{ "an untagged pointer", false, false, 0 },
	{ "a tagged pointer to untagged memory", false, true, TOP_BYTE },
	{ "a matching pointer to tagged memory", true, true, TAG },
	{ "a mismatching pointer", true, true, OTHER_TAG },
};
enum { UNTAGGED, TAGGED, MATCHING, MISMATCHING };

/* What a way came to; in memory shared with the process that tries it. */
struct outcome {
	int calls, effects;
	bool ended; /* a call did not return what it should, or an effect was not seen */
	bool failed_call;
	long got, want;
	int error;
	char what[120];
};

static const struct way *way;
static struct outcome *outcome;
static char *arena;
static size_t used;

void *U(const volatile void *p)
{
	return (void *)((uintptr_t)untagged(p) | (uintptr_t)way->top << TAG_SHIFT);
}

static void *take(size_t len, size_t align)
{
	size_t at = (used + align - 1) & ~(align - 1);

	MUST(at + len <= PAGES * PAGE, "%zu bytes at %zu of the arena", len, at);
	used = at + len;
	return arena + at;
}

void *abi_mem(size_t len)
{
	return take(len, 64);
}

void *abi_pages(size_t pages)
{
	return take(pages * PAGE, PAGE);
}

char *abi_string(const char *text)
{
	return strcpy(abi_mem(strlen(text) + 1), text);
}

void *abi_plain(size_t len)
{
	void *p = calloc(1, len);

	MUST(p, "calloc");
	return p;
}

int abi_file(const char *name, const char *content)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
	size_t len = strlen(content);

	MUST(fd >= 0 && pwrite(fd, content, len, 0) == (ssize_t)len, "a file %s", name);
	return fd;
}

int file_with(const char *content)
{
	return abi_file("file", content);
}

int pipe_with(const char *content)
{
	size_t len = strlen(content);
	int fds[2];

	MUST(pipe(fds) == 0 && write(fds[1], content, len) == (ssize_t)len, "a pipe");
	close(fds[1]);
	return fds[0];
}

bool file_has(const char *name, const char *content)
{
	char text[256] = "";
	int fd = open(name, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return !strcmp(text, content);
}

volatile sig_atomic_t abi_handled;

static void handle(int number)
{
	abi_handled = number;
}

void abi_pending(int number)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, number);
	MUST(sigprocmask(SIG_BLOCK, &set, NULL) == 0, "sigprocmask");
	MUST(signal(number, handle) != SIG_ERR && raise(number) == 0, "raise");
}

long abi_interrupted(long returned)
{
	return returned < 0 && errno == EINTR ? 0 : returned ? returned : -1;
}

static void end(const char *what)
{
	outcome->ended = true;
	snprintf(outcome->what, sizeof(outcome->what), "%s", what);
}

bool abi_returned(long got, long want, int error, const char *call)
{
	outcome->calls++;
	if (want == ABI_ANY ? got >= 0 : got == want)
		return true;
	outcome->failed_call = true;
	outcome->got = got;
	outcome->want = want;
	outcome->error = error;
	end(call);
	return false;
}

bool abi_effect(bool seen, const char *what)
{
	outcome->effects++;
	if (!seen)
		end(what);
	return seen;
}

/* The process of a way: its memory, mode and directory, and then the entry. */
static void try_here(const struct abi_entry *entry)
{
	size_t at;

	MUST(unshare(CLONE_NEWNS) == 0, "unshare");
	MUST(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "mount");
	MUST(mount("abi", "/tmp", "tmpfs", 0, NULL) == 0 && chdir("/tmp") == 0, "tmpfs");
	if (way->tagged_memory) {
		arena = mte_map(PAGES * PAGE);
		for (at = 0; at < PAGES * PAGE; at += GRANULE)
			stzg(arena + at, TAG);
		arena = with_tag(arena, TAG);
		mte_mode(TCF_SYNC);
	} else {
		arena = untagged_map(PAGES * PAGE);
		if (way->abi)
			MUST(prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE, 0, 0, 0) == 0,
			     "PR_TAGGED_ADDR_ENABLE");
	}
	entry->run();
}

/*
 * Tries a way; returns whether its process came to its end, which is checked. A call that hangs
 * ends the case by its time limit, which the harness fits to the host.
 */
static bool try_way(const struct abi_entry *entry, const struct way *which)
{
	pid_t pid;
	int status;

	way = which;
	memset(outcome, 0, sizeof(*outcome));
	pid = child_fork();
	if (pid == 0) {
		try_here(entry);
		_exit(0);
	}
	status = child_status(pid);
	ktap_hand_on(status);
	return CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0,
		     "with %s: the process ended with wait status %#x", way->name, status);
}

static void tell(const struct abi_entry *entry)
{
	if (outcome->failed_call)
		CHECK(false, "with %s: %s (%s): expected %ld, saw %ld, errno %d %s", way->name,
		      outcome->what, entry->source, outcome->want == ABI_ANY ? 0 : outcome->want,
		      outcome->got, outcome->error, strerror(outcome->error));
	else
		CHECK(false, "with %s: not seen after the call (%s): %s", way->name, entry->source,
		      outcome->what);
}

/* Whether the kernel noticed that the tag does not match, and said so as it must. */
static bool noticed(void)
{
	if (!outcome->failed_call)
		return false;
	return outcome->error == EFAULT || (outcome->got >= 0 && outcome->got < outcome->want);
}

void abi_try(const struct abi_entry *entry)
{
	int number;

	mte_need();
	outcome = mmap(NULL, sizeof(*outcome), PROT_RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	MUST(outcome != MAP_FAILED, "mmap");
	for (number = UNTAGGED; number <= MATCHING; number++) {
		bool may_refuse = number != UNTAGGED && entry->flags & ABI_REFUSES;

		if (!try_way(entry, &ways[number]))
			return;
		if (may_refuse)
			continue;
		if (outcome->ended) {
			tell(entry);
			return;
		}
		CHECK(outcome->calls && outcome->effects, "%d calls and %d effects are checked",
		      outcome->calls, outcome->effects);
	}
	if (entry->flags & (ABI_NO_MISMATCH | ABI_REFUSES))
		return;
	if (!try_way(entry, &ways[MISMATCHING]))
		return;
	if (!outcome->ended)
		CHECK(entry->flags & (ABI_UNCHECKED | ABI_NO_ACCESS),
		      "with %s: %s succeeds as if the tag matched", way->name, entry->source);
	else if (entry->flags & ABI_NO_ACCESS || !noticed())
		tell(entry);
}
