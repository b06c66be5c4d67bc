/* SPDX-License-Identifier: MIT */
/*
 * The keeper: the one program that the harness runs on a board beside its probes.
 *
 *   keeper guard DIR [DEVICE]  keeps the board as it is: settings.c, areas.c, mounts.c
 *   keeper run DIR LINE        runs a shell line, and ends all that it started: run.c
 *
 * DIR is a directory in a tmpfs that the harness has made; DEVICE is the disk that its user
 * gave for swap. Nothing else of the board's file systems is written.
 */
#ifndef MTE_HARNESS_KEEPER_H
#define MTE_HARNESS_KEEPER_H

#include <stdbool.h>
#include <stddef.h>

/* A line that begins with this is the keeper's; all others are the kernel's log. */
#define MARK "\1"

/* Prints a line to the harness: MARK, a word, and a text. */
void tell(const char *word, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Reads up to size - 1 bytes of a file as a string without its last line end; -1: cannot. */
long read_text(const char *path, char *text, size_t size);

/* Writes a text to an existing file in one write(); 0, or -1. */
int write_text(const char *path, const char *text);

/* --- settings: files of /proc and /sys that hold one value each ------------ */

/* Notes what every setting is. */
void settings_save(const char *device);

/* Writes back those that have changed. Tells ("left") what did not come back. */
void settings_restore(void);

/* Sets what guest/init sets in a guest, so that probes find the same. */
void settings_prepare(void);

/* --- swap areas, zram, and the first page of DEVICE ------------------------ */

void areas_save(const char *device);

/* Turns the board's own swap off, and adds a zram device; false ("busy") if that fails. */
bool areas_prepare(void);

/* Turns the board's own swap on again; in the board's own mount namespace. */
void areas_restore(void);

/* Turns off what programs have turned on, in the namespace of the visit. */
void areas_off(void);

/* --- the mount namespace of the visit --------------------------------------- */

/* Makes it, and enters it: programs of the visit join it by the file "guard". 0, or -1. */
int mounts_make(const char *directory);

/* Goes back to the board's own. */
void mounts_leave(void);

/* Joins the one of the guard that has this directory: 0, or -1. */
int mounts_join(const char *directory);

/* --- run ------------------------------------------------------------------- */

int run_line(const char *directory, const char *line);

#endif
