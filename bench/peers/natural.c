/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The baseline as a separate program: splits a capture file by several filters with a plain libpcap
 * loop (bench/stages/natural.c).
 * Usage: natural IN OUTDIR FILTERFILE (one filter a line; filter k, from 0, writes OUTDIR/<k>.pcap)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/stages/split.h"

#define LINE_BYTES_MAX 4096

static char *filters[CW_STAGE_FILTERS_MAX];

/* Reads the filters and returns their number, or -1. */
static int read_filters(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[LINE_BYTES_MAX];
	int count = 0;

	if (!file) {
		fprintf(stderr, "natural: %s: %s\n", path, strerror(errno));
		return -1;
	}
	while (count >= 0 && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '\0')
			continue;
		if (count == (int)CW_STAGE_FILTERS_MAX) {
			fprintf(stderr, "natural: more than %u filters\n", CW_STAGE_FILTERS_MAX);
			count = -1;
		} else {
			filters[count] = strdup(line);
			count = filters[count] ? count + 1 : -1;
		}
	}
	fclose(file);
	return count;
}

int main(int argc, char **argv)
{
	char text[CW_STAGE_TEXT_BYTES];
	struct cw_stage_split_options options = {.filters = (const char *const *)filters};
	struct cw_split_result result;
	int count, status;

	if (argc != 4) {
		fprintf(stderr, "usage: natural IN OUTDIR FILTERFILE\n");
		return 2;
	}
	count = read_filters(argv[3]);
	if (count < 0)
		return 2;
	options.path = argv[1];
	options.folder = argv[2];
	options.filter_count = (uint32_t)count;
	status = cw_stage_split_natural(&options, &result, text);
	for (int i = 0; i < count; i++)
		free(filters[i]);
	if (status < 0) {
		fprintf(stderr, "natural: %s\n", text);
		return status == -EINVAL ? 2 : 1;
	}
	printf("%llu packets in, %llu out, %.3f s\n", (unsigned long long)result.packets,
	       (unsigned long long)result.written, result.time.wall_ns / 1e9);
	return 0;
}
