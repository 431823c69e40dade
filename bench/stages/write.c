/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include <capweir/dumper.h>

#include "bench/stages/write.h"
#include "core/format/encode.h"
#include "core/output/outfile.h"
#include "pipeline/pipeline.h"

#define PACKETS 64u /* different packets, in turns */
#define ETHERNET 1u

struct writer {
	/* constant after start */
	const struct cw_stage_write_options *options;
	char path[4096];
	const struct cw_packet *packets;
	struct cw_direct_share *share;
	pthread_t thread;
	/* result */
	int status;
	char text[CW_STAGE_TEXT_BYTES];
};

const char *cw_stage_write_name(enum cw_stage_write_way way)
{
	static const char *const names[CW_STAGE_WRITE_WAYS] = {"dumper", "outfile", "direct",
							       "pcap_dump"};

	return names[way];
}

static int fail(struct writer *writer, int code, const char *why)
{
	snprintf(writer->text, sizeof(writer->text), "%.300s: %.150s", writer->path, why);
	return code;
}

static int write_dumper(struct writer *writer)
{
	struct cw_dumper *dumper;
	struct cw_error error = {0};
	int fd = open(writer->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int result, closed;

	if (fd < 0)
		return fail(writer, -errno, strerror(errno));
	result = cw_dumper_open_fd(&dumper, fd, ETHERNET, 0, CW_DUMPER_PCAP_US, &error);
	if (result < 0) {
		close(fd);
		return fail(writer, result, error.text);
	}
	for (uint64_t i = 0; i < writer->options->packet_count && result == 0; i++)
		result = cw_dumper_write(dumper, &writer->packets[i % PACKETS]);
	closed = cw_dumper_close(dumper);
	result = result ? result : closed;
	return result < 0 ? fail(writer, result, strerror(-result)) : 0;
}

static int flush(struct cw_outfile *file, uint8_t *buffer, size_t *used, uint64_t *offset)
{
	struct iovec vector = {buffer, *used};
	int failure = 0;

	cw_outfile_write(file, &vector, 1, *offset, &failure);
	*offset += *used;
	*used = 0;
	return failure;
}

static int fill_outfile(struct writer *writer, struct cw_outfile *file, uint8_t *buffer)
{
	size_t used = cw_format_header(CW_FORMAT_PCAP_US, ETHERNET, CW_CAPLEN_MAX, buffer);
	uint64_t offset = 0;
	int result = 0;

	for (uint64_t i = 0; i < writer->options->packet_count && result == 0; i++) {
		const struct cw_packet *packet = &writer->packets[i % PACKETS];
		size_t bytes = cw_format_record_bytes(CW_FORMAT_PCAP_US, packet, UINT32_MAX);

		if (bytes > CW_GATHER_BYTES_DEFAULT - used)
			result = flush(file, buffer, &used, &offset);
		cw_format_record(CW_FORMAT_PCAP_US, packet, UINT32_MAX, 0, bytes, buffer + used);
		used += bytes;
	}
	if (result == 0)
		result = flush(file, buffer, &used, &offset);
	return result ? result : cw_outfile_finish(file);
}

/* Writes full buffers of the size that the pipeline's outputs gather. */
static int write_outfile(struct writer *writer)
{
	const struct cw_outfile_options options = {
	    .standard_output = -1, .direct = writer->share, .wake_fd = -1};
	uint8_t *buffer = malloc(CW_GATHER_BYTES_DEFAULT);
	struct cw_outfile *file = NULL;
	struct cw_error error = {0};
	int result = buffer ? cw_outfile_new(&file, writer->path, &options) : -ENOMEM;

	if (result == 0) {
		result = cw_outfile_open(file, &error);
		if (result == 0)
			result = fill_outfile(writer, file, buffer);
		if (result == 0)
			result = cw_outfile_publish(file, &error);
		if (result < 0)
			cw_outfile_discard(file, false);
	}
	cw_outfile_free(file);
	free(buffer);
	return result < 0 ? fail(writer, result, *error.text ? error.text : strerror(-result)) : 0;
}

static int write_pcap_dump(struct writer *writer)
{
	pcap_t *dead = pcap_open_dead(DLT_EN10MB, CW_CAPLEN_MAX);
	pcap_dumper_t *dumper = dead ? pcap_dump_open(dead, writer->path) : NULL;
	int result = 0;

	if (!dumper) {
		result = fail(writer, -EIO, dead ? pcap_geterr(dead) : "out of memory");
	} else {
		for (uint64_t i = 0; i < writer->options->packet_count; i++) {
			const struct cw_packet *packet = &writer->packets[i % PACKETS];
			const struct pcap_pkthdr header = {
			    .ts = {(time_t)(packet->ts_ns / CW_NS_PER_S),
				   (suseconds_t)(packet->ts_ns % CW_NS_PER_S / 1000)},
			    .caplen = packet->caplen,
			    .len = packet->wire_len};

			pcap_dump((u_char *)dumper, &header, packet->data);
		}
		if (pcap_dump_flush(dumper) != 0 || ferror(pcap_dump_file(dumper)))
			result = fail(writer, -EIO, "it was not written completely");
		pcap_dump_close(dumper);
	}
	if (dead)
		pcap_close(dead);
	return result;
}

static void *write_file(void *context)
{
	struct writer *writer = context;

	switch (writer->options->way) {
	case CW_STAGE_DUMPER:
		writer->status = write_dumper(writer);
		break;
	case CW_STAGE_PCAP_DUMP:
		writer->status = write_pcap_dump(writer);
		break;
	default:
		writer->status = write_outfile(writer);
	}
	return NULL;
}

static int run(struct writer *writers, uint32_t count, struct cw_stage_time *time, char *text)
{
	struct cw_stage_clock clock;
	uint32_t started = 0;
	int result = 0;

	cw_stage_start(&clock);
	for (; started < count && result == 0; started += result == 0)
		result =
		    -pthread_create(&writers[started].thread, NULL, write_file, &writers[started]);
	if (result < 0)
		snprintf(text, CW_STAGE_TEXT_BYTES, "cannot start a thread: %s", strerror(-result));
	for (uint32_t i = 0; i < started; i++) {
		pthread_join(writers[i].thread, NULL);
		if (writers[i].status < 0 && result == 0) {
			result = writers[i].status;
			snprintf(text, CW_STAGE_TEXT_BYTES, "%s", writers[i].text);
		}
	}
	cw_stage_stop(&clock, time);
	return result;
}

/* Makes 64 packets in one block of memory, of different bytes and timestamps. */
static uint8_t *make_packets(struct cw_packet *packets, uint32_t packet_bytes)
{
	uint8_t *bytes = malloc((size_t)PACKETS * packet_bytes);

	for (uint32_t i = 0; bytes && i < PACKETS; i++) {
		memset(bytes + (size_t)i * packet_bytes, (int)i, packet_bytes);
		packets[i] =
		    (struct cw_packet){.data = bytes + (size_t)i * packet_bytes,
				       .ts_ns = UINT64_C(1700000000) * CW_NS_PER_S + i * 1000u,
				       .caplen = packet_bytes,
				       .wire_len = packet_bytes};
	}
	return bytes;
}

int cw_stage_write(const struct cw_stage_write_options *options, struct cw_write_result *result,
		   char text[CW_STAGE_TEXT_BYTES])
{
	struct cw_packet packets[PACKETS];
	struct cw_direct_share *share = NULL;
	uint8_t *bytes = make_packets(packets, options->packet_bytes);
	struct writer *writers = calloc(options->threads, sizeof(*writers));
	int status = bytes && writers ? 0 : -ENOMEM;

	*result = (struct cw_write_result){.packets = options->threads * options->packet_count};
	result->bytes = result->packets * options->packet_bytes;
	if (status == 0 && options->way == CW_STAGE_DIRECT)
		status = cw_direct_share_new(&share, options->threads, false);
	if (status == 0) {
		for (uint32_t i = 0; i < options->threads; i++) {
			writers[i].options = options;
			writers[i].packets = packets;
			writers[i].share = share;
			snprintf(writers[i].path, sizeof(writers[i].path), "%s/%u.pcap",
				 options->folder, i);
		}
		status = run(writers, options->threads, &result->time, text);
		if (status == 0 && share && cw_direct_share_refusal(share)) {
			status = -EOPNOTSUPP;
			snprintf(text, CW_STAGE_TEXT_BYTES, "cannot write past the page cache: %s",
				 strerror(-cw_direct_share_refusal(share)));
		}
	} else {
		snprintf(text, CW_STAGE_TEXT_BYTES, "out of memory");
	}
	cw_direct_share_free(share);
	free(writers);
	free(bytes);
	return status;
}
