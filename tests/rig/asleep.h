/* SPDX-License-Identifier: BSD-3-Clause */
/* The moment when a thread blocks: the event that tests of waking it wait for. */
#ifndef CW_TESTS_RIG_ASLEEP_H
#define CW_TESTS_RIG_ASLEEP_H

#include <stdio.h>
#include <unistd.h>

/* Wait until a thread sleeps in the kernel. Takes its id; that of a process is its first thread. */
static inline void rig_wait_asleep(pid_t thread)
{
	char name[32], state = 0;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)thread);
	while (state != 'S') {
		FILE *file = fopen(name, "r");

		if (!file)
			return; /* it has ended */
		if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		fclose(file);
		usleep(100);
	}
}

#endif
