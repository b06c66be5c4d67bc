/* SPDX-License-Identifier: MIT */

int swap_free(int entry)
{
	return -entry;
}
