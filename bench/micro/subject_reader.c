/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a capture file in memory with capweir's source and a libpcap loop. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include <capweir/handle.h>

#include "bench/micro/subject.h"
#include "core/source/source.h"
#include "datasets/traffic.h"

#define SEED 42
#define SPAN_BYTES ((size_t)1 << 20)
#define SPAN_RECORDS 4096u
#define BURST 64

static volatile uint32_t looked_at; /* keeps the compiler from dropping the reads */

struct subject_file {
	int fd;
	char path[64]; /* of the descriptor, for both readers */
	uint64_t bytes;
};

static int write_packets(struct subject_file *file, struct cw_traffic *traffic,
			 uint32_t packet_count)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, CW_CAPLEN_MAX);
	pcap_dumper_t *dumper = dead ? pcap_dump_open(dead, file->path) : NULL;
	int result = -1;

	if (!dumper)
		goto close_dead;
	for (uint32_t i = 0; i < packet_count; i++) {
		struct pcap_pkthdr header = {0};
		struct cw_packet packet;

		cw_traffic_next(traffic, &packet);
		header.ts.tv_sec = (time_t)(packet.ts_ns / CW_NS_PER_S);
		header.ts.tv_usec = (suseconds_t)(packet.ts_ns % CW_NS_PER_S / 1000);
		header.caplen = packet.caplen;
		header.len = packet.wire_len;
		pcap_dump((u_char *)dumper, &header, packet.data);
		file->bytes += 16u + packet.caplen;
	}
	result = pcap_dump_flush(dumper);
	pcap_dump_close(dumper);
close_dead:
	if (dead)
		pcap_close(dead);
	return result;
}

struct subject_file *subject_file_make(const char *profile, uint32_t packet_count)
{
	struct subject_file *file = calloc(1, sizeof(*file));
	struct cw_traffic *traffic = NULL;
	struct cw_error error = {0};

	if (!file)
		return NULL;
	file->fd = memfd_create("traffic.pcap", MFD_CLOEXEC);
	snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
	if (file->fd < 0 || cw_traffic_open(&traffic, profile, SEED, &error) < 0 ||
	    write_packets(file, traffic, packet_count) < 0) {
		fprintf(stderr, "cannot make the data set: %s\n", error.text);
		cw_traffic_close(traffic);
		subject_file_free(file);
		return NULL;
	}
	cw_traffic_close(traffic);
	return file;
}

uint64_t subject_file_bytes(const struct subject_file *file)
{
	return file->bytes;
}

const char *subject_file_path(const struct subject_file *file)
{
	return file->path;
}

void subject_file_free(struct subject_file *file)
{
	if (!file)
		return;
	if (file->fd >= 0)
		close(file->fd);
	free(file);
}

/* Decodes a span in bursts, as a worker does. */
static int64_t decode_span(const struct cw_span *span)
{
	struct cw_packet packets[BURST];
	struct cw_cursor cursor = {0};
	int64_t packet_count = 0;
	size_t count;

	while ((count = cw_span_decode(span, &cursor, packets, BURST)) > 0)
		packet_count += (int64_t)count;
	return packet_count;
}

static int64_t read_spans(const struct subject_file *file, bool is_decoded)
{
	const struct cw_source_options options = {.wake_fd = -1, .linktype = CW_LINKTYPE_ANY};
	struct cw_source *source = NULL;
	struct cw_error error = {0};
	struct cw_ifaces ifaces;
	struct cw_lease lease;
	struct cw_span span;
	int64_t packet_count = 0;
	int result;

	cw_ifaces_init(&ifaces);
	result = cw_source_open(&source, file->path, &ifaces, &options, &error);
	while (result >= 0 && (result = cw_source_next(source, SPAN_BYTES, SPAN_RECORDS, &span,
						       &lease, &error)) == 1) {
		packet_count += is_decoded ? decode_span(&span) : (int64_t)span.record_count;
		cw_lease_give_back(&lease);
	}
	cw_source_close(source);
	cw_ifaces_fini(&ifaces);
	if (result < 0) {
		fprintf(stderr, "cannot read the data set: %s\n", error.text);
		return -1;
	}
	return packet_count;
}

int64_t subject_scan(const struct subject_file *file)
{
	return read_spans(file, false);
}

int64_t subject_decode(const struct subject_file *file)
{
	return read_spans(file, true);
}

/* Reads with the public handle in one of three ways; reads a byte of each packet. */
static int64_t read_handle(const struct subject_file *file, int way)
{
	static uint8_t buffer[CW_CAPLEN_MAX];
	struct cw_packet packets[BURST];
	struct cw_handle *handle;
	int64_t packet_count = 0;
	uint32_t sum = 0;
	int count;

	if (cw_handle_open_offline(&handle, file->path, NULL) < 0)
		return -1;
	for (;;) {
		count = way == 0   ? cw_handle_next(handle, packets)
			: way == 1 ? cw_handle_read(handle, buffer, sizeof(buffer), packets)
				   : cw_handle_next_burst(handle, packets, BURST);
		if (count <= 0)
			break;
		for (int i = 0; i < count; i++)
			sum += packets[i].data[0];
		packet_count += count;
	}
	looked_at = sum;
	cw_handle_free(handle);
	return count == CW_NEXT_END ? packet_count : -1;
}

int64_t subject_handle_next(const struct subject_file *file)
{
	return read_handle(file, 0);
}

int64_t subject_handle_read(const struct subject_file *file)
{
	return read_handle(file, 1);
}

int64_t subject_handle_burst(const struct subject_file *file)
{
	return read_handle(file, 2);
}

int64_t subject_libpcap_read(const struct subject_file *file)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *input = pcap_open_offline(file->path, error);
	struct pcap_pkthdr *header;
	const u_char *data;
	int64_t packet_count = 0;
	uint32_t sum = 0;

	if (!input) {
		fprintf(stderr, "cannot read the data set: %s\n", error);
		return -1;
	}
	for (; pcap_next_ex(input, &header, &data) == 1; packet_count++)
		sum += data[0];
	looked_at = sum;
	pcap_close(input);
	return packet_count;
}
