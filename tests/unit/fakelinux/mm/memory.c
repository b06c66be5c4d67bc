/* SPDX-License-Identifier: MIT */

int do_swap_page(int entry)
{
	int page = entry;

	return page;
}

int do_wp_page(int page)
{
	return page;
}
