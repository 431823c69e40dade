/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs of the pipeline over one generated file: the file, six rules, an output folder for each run.
 * Setup and teardown are open_folder and close_folder.
 */
#ifndef CW_TESTS_RIG_FILE_RUN_H
#define CW_TESTS_RIG_FILE_RUN_H

#include <dirent.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/format/encode.h"
#include "datasets/traffic.h"
#include "pipeline/pipeline.h"
#include "tests/rig/scale.h"

#define RULES 6u

/* ---- what the linker wraps ---- */

static inline bool runs_out(_Atomic long *left)
{
	long value = atomic_load(left);

	while (value > 0 && !atomic_compare_exchange_weak(left, &value, value - 1))
		;
	return value == 0;
}

/* ---- a run ---- */

static char folder[48];
static char input_path[64];
static uint32_t input_packets;
static off_t input_bytes;

static const char *const filters[RULES] = {"tcp port 443", "udp port 53", "net 198.18.0.0/19",
					   "ip6",          "ip",          "unmatched"};

static inline void make_input(void)
{
	struct cw_traffic *traffic;
	struct cw_packet packet;
	uint8_t buffer[4096];
	uint32_t index;
	size_t bytes;
	FILE *file;

	snprintf(input_path, sizeof(input_path), "%s/input.pcap", folder);
	assert_int_equal(cw_traffic_open(&traffic, "imix", 3, NULL), 0);
	file = fopen(input_path, "wb");
	assert_non_null(file);
	bytes = cw_format_header(CW_FORMAT_PCAP_US, 1, 262144, buffer);
	assert_int_equal(fwrite(buffer, bytes, 1, file), 1);
	for (index = 0; index < input_packets; index++) {
		cw_traffic_next(traffic, &packet);
		bytes = cw_format_record_bytes(CW_FORMAT_PCAP_US, &packet, UINT32_MAX);
		assert_true(bytes <= sizeof(buffer));
		cw_format_record(CW_FORMAT_PCAP_US, &packet, UINT32_MAX, 0, bytes, buffer);
		assert_int_equal(fwrite(buffer, bytes, 1, file), 1);
	}
	input_bytes = ftell(file);
	assert_int_equal(fclose(file), 0);
	cw_traffic_close(traffic);
}

struct setup {
	struct cw_rules rules;
	struct cw_pipeline_options options;
	const char *inputs[1];
	char directory[96];
};

static inline void make_setup(struct setup *setup, const char *name, bool is_pcapng, bool rotates)
{
	uint32_t index;

	*setup = (struct setup){0};
	snprintf(setup->directory, sizeof(setup->directory), "%s/%s", folder, name);
	mkdir(setup->directory, 0700);
	for (index = 0; index < RULES; index++) {
		char rule[16], write_to[32];

		snprintf(rule, sizeof(rule), "r%u", index);
		snprintf(write_to, sizeof(write_to), "r%u.%s", index,
			 is_pcapng && index % 2 ? "pcapng" : "pcap");
		assert_int_equal(cw_rules_add(&setup->rules, rule, filters[index], write_to,
					      index == 4 ? 60 : 0, NULL),
				 0);
		if (rotates) {
			setup->rules.rules[index].rotate_bytes = index % 2 ? 20000 : 0;
			setup->rules.rules[index].rotate_packets = index % 3 ? 0 : 77;
			setup->rules.rules[index].rotate_every_ns = index % 4 == 1 ? 700000 : 0;
			setup->rules.rules[index].is_rotate_from_first = index % 8 == 1;
		}
	}
	cw_pipeline_options_init(&setup->options);
	setup->inputs[0] = input_path;
	setup->options.inputs = setup->inputs;
	setup->options.input_count = 1;
	setup->options.rules = &setup->rules;
	setup->options.output.directory = setup->directory;
	setup->options.threads = 2;
}

static inline void empty_folder(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)) != NULL) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	if (directory)
		closedir(directory);
}

static inline void end_setup(struct setup *setup)
{
	empty_folder(setup->directory);
	rmdir(setup->directory);
	cw_rules_fini(&setup->rules);
}

static inline int run(struct setup *setup, struct cw_report *report)
{
	struct cw_pipeline *pipeline;
	struct cw_error error = {0};
	struct pollfd done;
	int result = cw_pipeline_start(&pipeline, &setup->options, &error);

	if (result < 0)
		return result;
	done = (struct pollfd){.fd = cw_pipeline_done_fd(pipeline), .events = POLLIN};
	assert_int_equal(poll(&done, 1, 120000), 1);
	assert_int_equal(cw_pipeline_finish(pipeline, report), 0);
	cw_pipeline_free(pipeline);
	return 0;
}

static inline uint64_t digest_word(uint64_t digest, uint64_t word)
{
	digest = (digest ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return digest ^ digest >> 32;
}

/* A digest of every file of a folder, its name included, whatever their order there. */
static inline uint64_t digest_folder(const char *path, uint32_t *file_count)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	uint64_t sum = 0;

	*file_count = 0;
	assert_non_null(directory);
	while ((entry = readdir(directory)) != NULL) {
		static uint64_t words[8192];
		uint64_t digest = 1;
		char whole[512];
		const char *at;
		size_t bytes;
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		for (at = entry->d_name; *at; at++)
			digest = digest_word(digest, (uint8_t)*at);
		snprintf(whole, sizeof(whole), "%s/%s", path, entry->d_name);
		file = fopen(whole, "rb");
		assert_non_null(file);
		while ((bytes = fread(words, 1, sizeof(words), file)) > 0) {
			memset((uint8_t *)words + bytes, 0, sizeof(words) - bytes);
			for (size_t i = 0; i < (bytes + 7) / 8; i++)
				digest = digest_word(digest, words[i]);
			digest = digest_word(digest, bytes);
		}
		fclose(file);
		sum += digest;
		++*file_count;
	}
	closedir(directory);
	return sum;
}

/* ---- samples ---- */

static inline int open_folder(void **state)
{
	(void)state;

	/* In memory: ext4 is slow to make files after many were removed. */
	snprintf(folder, sizeof(folder), "%s/capweir-pipeline-XXXXXX",
		 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	if (!mkdtemp(folder))
		return -1;
	input_packets = scaled(30000, 8000);
	make_input();
	return 0;
}

static inline int close_folder(void **state)
{
	(void)state;
	unlink(input_path);
	return rmdir(folder);
}

#endif
