/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/perf_event.h>

#include "bench/stages/stage.h"
#include "core/base/base.h"
#include "core/base/clock.h"

/* ---- time ---- */

double cw_stage_now_ns(void)
{
	return (double)cw_now_ns();
}

/* Opens a counter of cycles, in user mode only if more is not permitted; -1: none. */
static int open_cycles(void)
{
	struct perf_event_attr attributes = {
	    .type = PERF_TYPE_HARDWARE,
	    .size = sizeof(attributes),
	    .config = PERF_COUNT_HW_CPU_CYCLES,
	    .inherit = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0 && (errno == EACCES || errno == EPERM)) {
		attributes.exclude_kernel = 1;
		attributes.exclude_hv = 1;
		fd =
		    (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	}
	return fd;
}

void cw_stage_start(struct cw_stage_clock *clock)
{
	clock->cycles_fd = open_cycles();
	clock->cpu_ns = (double)cw_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	clock->wall_ns = cw_stage_now_ns();
}

void cw_stage_stop(struct cw_stage_clock *clock, struct cw_stage_time *time)
{
	uint64_t cycles = 0;

	time->wall_ns = cw_stage_now_ns() - clock->wall_ns;
	time->cpu_ns = (double)cw_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - clock->cpu_ns;
	if (clock->cycles_fd >= 0) {
		if (read(clock->cycles_fd, &cycles, sizeof(cycles)) != sizeof(cycles))
			cycles = 0;
		close(clock->cycles_fd);
		clock->cycles_fd = -1;
	}
	time->cycles = (double)cycles;
}

static int by_value(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

void cw_stage_sort(double *numbers, size_t count)
{
	qsort(numbers, count, sizeof(*numbers), by_value);
}

/* ---- filters ---- */

static const char *const first_filters[] = {
    "tcp port 443",
    "udp port 53",
    "net 198.18.0.0/19",
    "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
    "ip6",
    "icmp or arp",
    "vlan 100",
    "tcp and portrange 1024-5000 and greater 200",
};

void cw_stage_filter(uint32_t index, char filter[CW_STAGE_FILTER_BYTES])
{
	uint32_t number = index - (uint32_t)CW_ARRAY_COUNT(first_filters);
	char host[48];

	if (index < CW_ARRAY_COUNT(first_filters)) {
		snprintf(filter, CW_STAGE_FILTER_BYTES, "%s", first_filters[index]);
		return;
	}
	snprintf(host, sizeof(host), "host 198.%u.%u.%u", 19 + number / 4000, number % 32,
		 1 + number * 7 % 250);
	switch (number % 6) {
	case 0:
		snprintf(filter, CW_STAGE_FILTER_BYTES, "%s", host);
		break;
	case 1:
		snprintf(filter, CW_STAGE_FILTER_BYTES, "tcp port %u", 6000 + number);
		break;
	case 2:
		snprintf(filter, CW_STAGE_FILTER_BYTES, "%s and port 8443", host);
		break;
	case 3:
		snprintf(filter, CW_STAGE_FILTER_BYTES, "net 198.%u.%u.%u/28",
			 18 + number / 2048 * 40, 128 + number % 128, number / 128 % 16 * 16);
		break;
	case 4:
		snprintf(filter, CW_STAGE_FILTER_BYTES, "port %u", 7000 + number);
		break;
	default:
		snprintf(filter, CW_STAGE_FILTER_BYTES, "src net 2001:db8:%x::/48", number);
	}
}

/* ---- the machine ---- */

void cw_stage_touch_memory(uint64_t bytes)
{
	uint64_t free_bytes = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	void *memory;

	if (bytes > CW_STAGE_MEMORY_BYTES_MAX)
		bytes = CW_STAGE_MEMORY_BYTES_MAX;
	if (bytes > free_bytes / 2)
		bytes = free_bytes / 2;
	if (!bytes)
		return;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return;
	madvise(memory, bytes, MADV_HUGEPAGE);
	madvise(memory, bytes, MADV_POPULATE_WRITE);
	munmap(memory, bytes);
}

void cw_stage_warm_file(const char *path)
{
	static char block[1 << 20];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	while (read(fd, block, sizeof(block)) > 0)
		;
	close(fd);
}

int cw_stage_empty(const char *folder)
{
	DIR *directory = opendir(folder);
	struct dirent *entry;
	int result = 0;

	if (!directory)
		return -errno;
	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(directory), entry->d_name, 0) < 0 && result == 0)
			result = -errno;
	}
	closedir(directory);
	return result;
}
