/* SPDX-License-Identifier: MIT */
/* Leaves 32 MiB that no process has: a System V segment nobody removes. */
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>

int main(void)
{
	int id = shmget(IPC_PRIVATE, 32 << 20, IPC_CREAT | 0600);
	char *p = id < 0 ? (char *)-1 : shmat(id, NULL, 0);

	if (p == (char *)-1)
		return 1;
	memset(p, 1, 32 << 20);
	return 0;
}
