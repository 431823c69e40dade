/* SPDX-License-Identifier: BSD-3-Clause */
/* Capture files for the public handle, made and opened. */
#ifndef CW_TESTS_CORE_LIBRARY_HANDLE_RIG_H
#define CW_TESTS_CORE_LIBRARY_HANDLE_RIG_H

#include <capweir/capweir.h>

#include "core/format/encode.h"
#include "datasets/traffic.h"
#include "tests/rig/capture.h"
#include "tests/rig/run_tests.h"

static char folder[] = "/tmp/capweir-handle-XXXXXX";
static char path[128];

static inline int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/in.pcap", folder);
	return 0;
}

static inline int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static inline void write_file(const void *data, size_t bytes)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
	assert_int_equal(fclose(file), 0);
}

/* So many packets of generated traffic as a pcap file with nanoseconds; `cut` bytes off its end. */
static inline void write_traffic(uint32_t count, size_t cut)
{
	uint8_t *data = malloc((size_t)count * 2048 + 64);
	struct cw_traffic *traffic;
	struct cw_packet packet;
	size_t bytes;
	uint32_t i;

	assert_non_null(data);
	assert_int_equal(cw_traffic_open(&traffic, "mix", 7, NULL), 0);
	bytes = cw_format_header(CW_FORMAT_PCAP_NS, CW_LINKTYPE_ETHERNET, CW_CAPLEN_MAX, data);
	for (i = 0; i < count; i++) {
		size_t record;

		cw_traffic_next(traffic, &packet);
		record = cw_format_record_bytes(CW_FORMAT_PCAP_NS, &packet, UINT32_MAX);
		cw_format_record(CW_FORMAT_PCAP_NS, &packet, UINT32_MAX, 0, record, data + bytes);
		bytes += record;
	}
	cw_traffic_close(traffic);
	write_file(data, bytes - cut);
	free(data);
}

static inline struct cw_handle *open_file(void)
{
	struct cw_handle *handle;
	struct cw_error error = {0};

	if (cw_handle_open_offline(&handle, path, &error) < 0)
		fail_msg("%s", error.text);
	return handle;
}

#endif
