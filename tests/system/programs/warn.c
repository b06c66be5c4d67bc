/* SPDX-License-Identifier: MIT */
/* The kernel warns (drivers/misc/lkdtm), the program succeeds. */
#include <fcntl.h>
#include <unistd.h>
int main(void)
{
	int fd = open("/sys/kernel/debug/provoke-crash/DIRECT", O_WRONLY);

	return fd >= 0 && write(fd, "WARNING", 7) == 7 ? 0 : 1;
}
