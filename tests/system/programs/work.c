/* SPDX-License-Identifier: MIT */
/* Work of the kind that probes do, for longer than the case may take. */
#include "mte.h"
#include "pattern.h"

static void work(void)
{
	size_t len = 64 * PAGE;
	char *p = mte_map(len);
	int i;

	for (i = 1; i <= 800; i++) {
		pattern_set(p, len, i);
		pattern_check(p, len, i, "work");
	}
}

PROBE(CASE_SECONDS(work, 1));
