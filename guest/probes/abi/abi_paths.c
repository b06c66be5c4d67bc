/* SPDX-License-Identifier: MIT */
/*
 * probe: abi_paths
 * needs: CONFIG_ARM64_MTE CONFIG_ARM64_TAGGED_ADDR_ABI CONFIG_TMPFS
 * cases: CONFIG_TMPFS_XATTR setxattr_path setxattr_name setxattr_value getxattr_name getxattr_value
 * cases: CONFIG_TMPFS_XATTR listxattr_list removexattr_name
 * cases: CONFIG_FHANDLE name_to_handle name_to_handle_id open_by_handle
 * cases: CONFIG_INOTIFY_USER inotify_path inotify_event
 * timeout: 150
 *
 * The tagged address ABI for paths, names and what a call says of a file: each call is tried
 * with an untagged, a tagged, a matching and a mismatching pointer (guest/include/abi.h).
 */
#include <linux/openat2.h>
#include <linux/stat.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "abi.h"

static bool there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static bool link_says(const char *path, const char *want)
{
	char text[64] = "";

	return readlink(path, text, sizeof(text) - 1) >= 0 && !strcmp(text, want);
}

/* --- paths: fs/namei.c getname_flags(), strncpy_from_user() --------------- */

ABI(openat_path, "fs/open.c do_sys_openat2()", 0)
{
	OK(sys(openat, AT_FDCWD, U(abi_string("new")), O_CREAT | O_RDWR, 0600));
	EFFECT(there("new"));
}

ABI(openat2_path, "fs/open.c do_sys_openat2()", 0)
{
	struct open_how how = { .flags = O_CREAT | O_RDWR, .mode = 0600 };

	OK(sys(openat2, AT_FDCWD, U(abi_string("new")), &how, sizeof(how)));
	EFFECT(there("new"));
}

ABI(openat2_how, "fs/open.c SYSCALL_DEFINE4(openat2), copy_struct_from_user()", 0)
{
	struct open_how *how = abi_mem(sizeof(*how));

	*how = (struct open_how){ .flags = O_CREAT | O_RDWR, .mode = 0600 };
	OK(sys(openat2, AT_FDCWD, "new", U(how), sizeof(*how)));
	EFFECT(there("new"));
}

ABI(mkdirat_path, "fs/namei.c SYSCALL_DEFINE3(mkdirat)", 0)
{
	CALL(sys(mkdirat, AT_FDCWD, U(abi_string("new")), 0700), 0);
	EFFECT(there("new"));
}

ABI(mknodat_path, "fs/namei.c SYSCALL_DEFINE4(mknodat)", 0)
{
	CALL(sys(mknodat, AT_FDCWD, U(abi_string("new")), S_IFIFO | 0600, 0), 0);
	EFFECT(there("new"));
}

ABI(unlinkat_path, "fs/namei.c SYSCALL_DEFINE3(unlinkat)", 0)
{
	file_with("");
	CALL(sys(unlinkat, AT_FDCWD, U(abi_string("file")), 0), 0);
	EFFECT(!there("file"));
}

ABI(renameat2_old, "fs/namei.c SYSCALL_DEFINE5(renameat2)", 0)
{
	file_with("");
	CALL(sys(renameat2, AT_FDCWD, U(abi_string("file")), AT_FDCWD, "new", 0), 0);
	EFFECT(there("new") && !there("file"));
}

ABI(renameat2_new, "fs/namei.c SYSCALL_DEFINE5(renameat2)", 0)
{
	file_with("");
	CALL(sys(renameat2, AT_FDCWD, "file", AT_FDCWD, U(abi_string("new")), 0), 0);
	EFFECT(there("new") && !there("file"));
}

ABI(linkat_old, "fs/namei.c SYSCALL_DEFINE5(linkat)", 0)
{
	file_with("");
	CALL(sys(linkat, AT_FDCWD, U(abi_string("file")), AT_FDCWD, "new", 0), 0);
	EFFECT(there("new"));
}

ABI(linkat_new, "fs/namei.c SYSCALL_DEFINE5(linkat)", 0)
{
	file_with("");
	CALL(sys(linkat, AT_FDCWD, "file", AT_FDCWD, U(abi_string("new")), 0), 0);
	EFFECT(there("new"));
}

ABI(symlinkat_target, "fs/namei.c SYSCALL_DEFINE3(symlinkat)", 0)
{
	CALL(sys(symlinkat, U(abi_string("target")), AT_FDCWD, "new"), 0);
	EFFECT(link_says("new", "target"));
}

ABI(symlinkat_path, "fs/namei.c SYSCALL_DEFINE3(symlinkat)", 0)
{
	CALL(sys(symlinkat, "target", AT_FDCWD, U(abi_string("new"))), 0);
	EFFECT(link_says("new", "target"));
}

ABI(readlinkat_path, "fs/stat.c do_readlinkat()", 0)
{
	char text[16] = "";

	MUST(symlink("target", "link") == 0, "symlink");
	CALL(sys(readlinkat, AT_FDCWD, U(abi_string("link")), text, 16), 6);
	EFFECT(!strcmp(text, "target"));
}

ABI(readlinkat_buffer, "fs/namei.c readlink_copy()", 0)
{
	char *p = abi_mem(16);

	MUST(symlink("target", "link") == 0, "symlink");
	CALL(sys(readlinkat, AT_FDCWD, "link", U(p), 16), 6);
	EFFECT(!strcmp(p, "target"));
}

ABI(faccessat_path, "fs/open.c do_faccessat()", 0)
{
	file_with("");
	CALL(sys(faccessat, AT_FDCWD, U(abi_string("file")), R_OK), 0);
	EFFECT(sys(faccessat, AT_FDCWD, U(abi_string("none")), R_OK) == -1 && errno == ENOENT);
}

ABI(fchmodat_path, "fs/open.c do_fchmodat()", 0)
{
	struct stat st;

	file_with("");
	CALL(sys(fchmodat, AT_FDCWD, U(abi_string("file")), 0421), 0);
	EFFECT(stat("file", &st) == 0 && (st.st_mode & 0777) == 0421);
}

ABI(fchownat_path, "fs/open.c do_fchownat()", 0)
{
	struct stat st;

	file_with("");
	CALL(sys(fchownat, AT_FDCWD, U(abi_string("file")), 12, 34, 0), 0);
	EFFECT(stat("file", &st) == 0 && st.st_uid == 12 && st.st_gid == 34);
}

ABI(truncate_path, "fs/open.c do_sys_truncate()", 0)
{
	file_with("tagged");
	CALL(sys(truncate, U(abi_string("file")), 3), 0);
	EFFECT(file_has("file", "tag"));
}

ABI(chdir_path, "fs/open.c SYSCALL_DEFINE1(chdir)", 0)
{
	MUST(mkdir("below", 0700) == 0, "mkdir");
	CALL(sys(chdir, U(abi_string("below"))), 0);
	EFFECT(there("../below"));
}

ABI(chroot_path, "fs/open.c SYSCALL_DEFINE1(chroot)", 0)
{
	MUST(mkdir("below", 0700) == 0, "mkdir");
	CALL(sys(chroot, U(abi_string("below"))), 0);
	EFFECT(!there("/tmp"));
}

ABI(getcwd_buffer, "fs/d_path.c SYSCALL_DEFINE2(getcwd)", 0)
{
	char *p = abi_mem(16);

	CALL(sys(getcwd, U(p), 16), 5);
	EFFECT(!strcmp(p, "/tmp"));
}

ABI(memfd_name, "mm/memfd.c alloc_name()", 0)
{
	char path[32];
	int fd = OK(sys(memfd_create, U(abi_string("tagged")), 0));

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EFFECT(link_says(path, "/memfd:tagged (deleted)"));
}

/* --- what is said of a file ----------------------------------------------- */

ABI(utimensat_path, "fs/utimes.c do_utimes()", 0)
{
	struct timespec times[2] = { { 1000, 0 }, { 2000, 0 } };
	struct stat st;

	file_with("");
	CALL(sys(utimensat, AT_FDCWD, U(abi_string("file")), times, 0), 0);
	EFFECT(stat("file", &st) == 0 && st.st_mtim.tv_sec == 2000);
}

ABI(utimensat_times, "fs/utimes.c SYSCALL_DEFINE4(utimensat), get_timespec64()", 0)
{
	struct timespec *times = abi_mem(2 * sizeof(*times));
	struct stat st;

	file_with("");
	times[0].tv_sec = 1000;
	times[1].tv_sec = 2000;
	CALL(sys(utimensat, AT_FDCWD, "file", U(times), 0), 0);
	EFFECT(stat("file", &st) == 0 && st.st_mtim.tv_sec == 2000);
}

ABI(fstatat_path, "fs/stat.c SYSCALL_DEFINE4(newfstatat)", 0)
{
	struct stat st = {};

	file_with("tagged");
	CALL(sys(newfstatat, AT_FDCWD, U(abi_string("file")), &st, 0), 0);
	EFFECT(st.st_size == 6);
}

ABI(fstatat_buffer, "fs/stat.c cp_new_stat()", 0)
{
	struct stat *st = abi_mem(sizeof(*st));

	file_with("tagged");
	CALL(sys(newfstatat, AT_FDCWD, "file", U(st), 0), 0);
	EFFECT(st->st_size == 6);
}

ABI(fstat_buffer, "fs/stat.c SYSCALL_DEFINE2(newfstat)", 0)
{
	struct stat *st = abi_mem(sizeof(*st));

	CALL(sys(fstat, file_with("tagged"), U(st)), 0);
	EFFECT(st->st_size == 6);
}

ABI(statx_path, "fs/stat.c SYSCALL_DEFINE5(statx)", 0)
{
	struct statx stx = {};

	file_with("tagged");
	CALL(sys(statx, AT_FDCWD, U(abi_string("file")), 0, STATX_SIZE, &stx), 0);
	EFFECT(stx.stx_size == 6);
}

ABI(statx_buffer, "fs/stat.c cp_statx()", 0)
{
	struct statx *stx = abi_mem(sizeof(*stx));

	file_with("tagged");
	CALL(sys(statx, AT_FDCWD, "file", 0, STATX_SIZE, U(stx)), 0);
	EFFECT(stx->stx_size == 6);
}

enum { TMPFS = 0x01021994 }; /* include/uapi/linux/magic.h */

ABI(statfs_path, "fs/statfs.c SYSCALL_DEFINE2(statfs)", 0)
{
	struct statfs st = {};

	CALL(sys(statfs, U(abi_string(".")), &st), 0);
	EFFECT(st.f_type == TMPFS);
}

ABI(statfs_buffer, "fs/statfs.c do_statfs_native()", 0)
{
	struct statfs *st = abi_mem(sizeof(*st));

	CALL(sys(statfs, ".", U(st)), 0);
	EFFECT(st->f_type == TMPFS);
}

ABI(fstatfs_buffer, "fs/statfs.c SYSCALL_DEFINE2(fstatfs)", 0)
{
	struct statfs *st = abi_mem(sizeof(*st));

	CALL(sys(fstatfs, file_with(""), U(st)), 0);
	EFFECT(st->f_type == TMPFS);
}

/* --- extended attributes: fs/xattr.c -------------------------------------- */

#define NAME "trusted.tag"

static bool attribute_is(const char *want)
{
	char text[16] = "";

	return sys(getxattr, "file", NAME, text, 15) == (long)strlen(want) && !strcmp(text, want);
}

static void attribute(const char *value)
{
	file_with("");
	MUST(sys(setxattr, "file", NAME, value, strlen(value), 0) == 0, "setxattr");
}

ABI(setxattr_path, "fs/xattr.c path_setxattrat()", 0)
{
	file_with("");
	CALL(sys(setxattr, U(abi_string("file")), NAME, "seven", 5, 0), 0);
	EFFECT(attribute_is("seven"));
}

ABI(setxattr_name, "fs/xattr.c import_xattr_name()", 0)
{
	file_with("");
	CALL(sys(setxattr, "file", U(abi_string(NAME)), "seven", 5, 0), 0);
	EFFECT(attribute_is("seven"));
}

ABI(setxattr_value, "fs/xattr.c setxattr_copy()", 0)
{
	file_with("");
	CALL(sys(setxattr, "file", NAME, U(abi_string("seven")), 5, 0), 0);
	EFFECT(attribute_is("seven"));
}

ABI(getxattr_name, "fs/xattr.c import_xattr_name()", 0)
{
	char text[16] = "";

	attribute("seven");
	CALL(sys(getxattr, "file", U(abi_string(NAME)), text, 15), 5);
	EFFECT(!strcmp(text, "seven"));
}

ABI(getxattr_value, "fs/xattr.c do_getxattr()", 0)
{
	char *p = abi_mem(16);

	attribute("seven");
	CALL(sys(getxattr, "file", NAME, U(p), 15), 5);
	EFFECT(!strcmp(p, "seven"));
}

ABI(listxattr_list, "fs/xattr.c listxattr()", 0)
{
	char *p = abi_mem(64);

	attribute("seven");
	OK(sys(listxattr, "file", U(p), 64));
	EFFECT(memmem(p, 64, NAME, sizeof(NAME)));
}

ABI(removexattr_name, "fs/xattr.c import_xattr_name()", 0)
{
	attribute("seven");
	CALL(sys(removexattr, "file", U(abi_string(NAME))), 0);
	EFFECT(!attribute_is("seven"));
}

/* --- file handles: fs/fhandle.c ------------------------------------------- */

ABI(name_to_handle, "fs/fhandle.c do_sys_name_to_handle(), ufh", 0)
{
	struct file_handle *handle = abi_mem(sizeof(*handle) + MAX_HANDLE_SZ);
	int id = -1;

	file_with("");
	handle->handle_bytes = MAX_HANDLE_SZ;
	CALL(sys(name_to_handle_at, AT_FDCWD, "file", U(handle), &id, 0), 0);
	EFFECT(handle->handle_bytes < MAX_HANDLE_SZ && id >= 0);
}

ABI(name_to_handle_id, "fs/fhandle.c do_sys_name_to_handle(), mnt_id", 0)
{
	struct file_handle *handle = abi_plain(sizeof(*handle) + MAX_HANDLE_SZ);
	int *id = abi_mem(sizeof(*id));

	file_with("");
	*id = -1;
	handle->handle_bytes = MAX_HANDLE_SZ;
	CALL(sys(name_to_handle_at, AT_FDCWD, "file", handle, U(id), 0), 0);
	EFFECT(*id >= 0);
}

ABI(open_by_handle, "fs/fhandle.c handle_to_path()", 0)
{
	struct file_handle *handle = abi_mem(sizeof(*handle) + MAX_HANDLE_SZ);
	struct stat st;
	int id, fd, directory = open(".", O_RDONLY);

	file_with("tagged");
	handle->handle_bytes = MAX_HANDLE_SZ;
	MUST(sys(name_to_handle_at, AT_FDCWD, "file", handle, &id, 0) == 0, "name_to_handle_at");
	fd = OK(sys(open_by_handle_at, directory, U(handle), O_RDONLY));
	EFFECT(fstat(fd, &st) == 0 && st.st_size == 6);
}

/* --- mounts: fs/namespace.c, fs/fsopen.c ---------------------------------- */

static bool is_tmpfs(const char *path)
{
	struct statfs st;

	return statfs(path, &st) == 0 && st.f_type == TMPFS;
}

/* A directory that is no tmpfs, of this namespace only. */
#define PLACE "/sys"

ABI(mount_target, "fs/namespace.c SYSCALL_DEFINE5(mount), dir_name", 0)
{
	CALL(sys(mount, "none", U(abi_string(PLACE)), "tmpfs", 0, NULL), 0);
	EFFECT(is_tmpfs(PLACE));
}

ABI(mount_source, "fs/namespace.c SYSCALL_DEFINE5(mount), dev_name", 0)
{
	MUST(mkdir("below", 0700) == 0, "mkdir");
	CALL(sys(mount, U(abi_string("below")), PLACE, NULL, MS_BIND, NULL), 0);
	EFFECT(is_tmpfs(PLACE));
}

ABI(mount_type, "fs/namespace.c copy_mount_string()", 0)
{
	CALL(sys(mount, "none", PLACE, U(abi_string("tmpfs")), 0, NULL), 0);
	EFFECT(is_tmpfs(PLACE));
}

/* copy_mount_options() takes what it can read, up to a page, and reads a byte at a time. */
ABI(mount_data, "fs/namespace.c copy_mount_options()", 0)
{
	struct stat st;

	CALL(sys(mount, "none", PLACE, "tmpfs", 0, U(abi_string("mode=0421"))), 0);
	EFFECT(stat(PLACE, &st) == 0 && (st.st_mode & 0777) == 0421);
}

ABI(umount_target, "fs/namespace.c ksys_umount()", 0)
{
	MUST(mount("none", PLACE, "tmpfs", 0, NULL) == 0, "mount");
	CALL(sys(umount2, U(abi_string(PLACE)), 0), 0);
	EFFECT(!is_tmpfs(PLACE));
}

ABI(fsopen_name, "fs/fsopen.c SYSCALL_DEFINE2(fsopen)", 0)
{
	int fd = OK(sys(fsopen, U(abi_string("tmpfs")), 0));

	EFFECT(sys(fsconfig, fd, 1 /* FSCONFIG_SET_STRING */, "mode", "0700", 0) == 0);
}

static long tmpfs_mode(const char *key, const char *value)
{
	int fd = sys(fsopen, "tmpfs", 0), tree;
	struct stat st;
	long got;

	MUST(fd >= 0, "fsopen");
	errno = 0;
	got = sys(fsconfig, fd, 1 /* FSCONFIG_SET_STRING */, key, value, 0);
	if (got < 0)
		return got;
	MUST(sys(fsconfig, fd, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) == 0, "fsconfig");
	tree = sys(fsmount, fd, 0, 0);
	MUST(tree >= 0 && fstat(tree, &st) == 0, "fsmount");
	return st.st_mode & 0777;
}

ABI(fsconfig_key, "fs/fsopen.c SYSCALL_DEFINE5(fsconfig), _key", 0)
{
	long mode = OK(tmpfs_mode(U(abi_string("mode")), "0421"));

	EFFECT(mode == 0421);
}

ABI(fsconfig_value, "fs/fsopen.c SYSCALL_DEFINE5(fsconfig), _value", 0)
{
	long mode = OK(tmpfs_mode("mode", U(abi_string("0421"))));

	EFFECT(mode == 0421);
}

ABI(open_tree_path, "fs/namespace.c SYSCALL_DEFINE3(open_tree)", 0)
{
	int fd = OK(sys(open_tree, AT_FDCWD, U(abi_string(".")), 1 /* OPEN_TREE_CLONE */));

	EFFECT(sys(move_mount, fd, "", AT_FDCWD, PLACE, 4 /* MOVE_MOUNT_F_EMPTY_PATH */) == 0 &&
	       is_tmpfs(PLACE));
}

ABI(move_mount_path, "fs/namespace.c SYSCALL_DEFINE5(move_mount)", 0)
{
	int fd = sys(open_tree, AT_FDCWD, ".", 1 /* OPEN_TREE_CLONE */);

	MUST(fd >= 0, "open_tree");
	CALL(sys(move_mount, fd, "", AT_FDCWD, U(abi_string(PLACE)), 4), 0);
	EFFECT(is_tmpfs(PLACE));
}

ABI(mount_setattr_attr, "fs/namespace.c SYSCALL_DEFINE5(mount_setattr)", 0)
{
	struct {
		uint64_t set, clear, propagation, userns;
	} *attr = abi_mem(sizeof(*attr));

	attr->set = 1; /* MOUNT_ATTR_RDONLY */
	CALL(sys(mount_setattr, AT_FDCWD, "/tmp", 0, U(attr), sizeof(*attr)), 0);
	EFFECT(open("/tmp/new", O_CREAT | O_RDWR, 0600) < 0 && errno == EROFS);
}

/* --- inotify -------------------------------------------------------------- */

ABI(inotify_path, "fs/notify/inotify/inotify_user.c SYSCALL_DEFINE3(inotify_add_watch)", 0)
{
	int fd = sys(inotify_init1, IN_NONBLOCK);
	char event[256];

	OK(sys(inotify_add_watch, fd, U(abi_string(".")), IN_CREATE));
	file_with("");
	EFFECT(read(fd, event, sizeof(event)) > 0);
}

ABI(inotify_event, "fs/notify/inotify/inotify_user.c copy_event_to_user()", 0)
{
	struct inotify_event *event = abi_mem(256);
	int fd = sys(inotify_init1, IN_NONBLOCK);

	MUST(inotify_add_watch(fd, ".", IN_CREATE) >= 0, "inotify_add_watch");
	file_with("");
	OK(sys(read, fd, U(event), 256));
	EFFECT(event->mask & IN_CREATE && !strcmp(event->name, "file"));
}

PROBE(CASE(openat_path), CASE(openat2_path), CASE(openat2_how), CASE(mkdirat_path),
      CASE(mknodat_path), CASE(unlinkat_path), CASE(renameat2_old), CASE(renameat2_new),
      CASE(linkat_old), CASE(linkat_new), CASE(symlinkat_target), CASE(symlinkat_path),
      CASE(readlinkat_path), CASE(readlinkat_buffer), CASE(faccessat_path), CASE(fchmodat_path),
      CASE(fchownat_path), CASE(truncate_path), CASE(chdir_path), CASE(chroot_path),
      CASE(getcwd_buffer), CASE(memfd_name), CASE(utimensat_path), CASE(utimensat_times),
      CASE(fstatat_path), CASE(fstatat_buffer), CASE(fstat_buffer), CASE(statx_path),
      CASE(statx_buffer), CASE(statfs_path), CASE(statfs_buffer), CASE(fstatfs_buffer),
      CASE(setxattr_path), CASE(setxattr_name), CASE(setxattr_value), CASE(getxattr_name),
      CASE(getxattr_value), CASE(listxattr_list), CASE(removexattr_name), CASE(name_to_handle),
      CASE(name_to_handle_id), CASE(open_by_handle), CASE(mount_target), CASE(mount_source),
      CASE(mount_type), CASE(mount_data), CASE(umount_target), CASE(fsopen_name),
      CASE(fsconfig_key), CASE(fsconfig_value), CASE(open_tree_path), CASE(move_mount_path),
      CASE(mount_setattr_attr), CASE(inotify_path), CASE(inotify_event));
