/* SPDX-License-Identifier: BSD-3-Clause */
/* The natural program, baseline of splitting: a plain loop over libpcap. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/stages/natural.h"
#include "bench/stages/split.h"

int cw_natural_fail(char text[CW_STAGE_TEXT_BYTES], int code, const char *why)
{
	snprintf(text, CW_STAGE_TEXT_BYTES, "%s", why);
	return code;
}

static int open_channel(struct cw_channel *channel, pcap_t *input, const char *expression,
			const char *folder, uint32_t index, char *text)
{
	char path[4096];

	if (pcap_compile(input, &channel->program, expression, 1, PCAP_NETMASK_UNKNOWN) != 0)
		return cw_natural_fail(text, -EINVAL, pcap_geterr(input));
	snprintf(path, sizeof(path), "%s/%u.pcap", folder, index);
	channel->dumper = pcap_dump_open(input, path);
	if (!channel->dumper) {
		pcap_freecode(&channel->program);
		return cw_natural_fail(text, -EIO, pcap_geterr(input));
	}
	return 0;
}

int cw_channels_open(struct cw_channels *channels, pcap_t *input, const char *const *filters,
		     uint32_t count, const char *folder, char text[CW_STAGE_TEXT_BYTES])
{
	char filter[CW_STAGE_FILTER_BYTES];
	int result = 0;

	*channels = (struct cw_channels){.all = calloc(count + 1, sizeof(*channels->all))};
	if (!channels->all)
		return cw_natural_fail(text, -ENOMEM, "out of memory");
	while (result == 0 && channels->count < count) {
		if (!filters)
			cw_stage_filter(channels->count, filter);
		result = open_channel(&channels->all[channels->count], input,
				      filters ? filters[channels->count] : filter, folder,
				      channels->count, text);
		channels->count += result == 0;
	}
	return result;
}

void cw_channels_put(struct cw_channels *channels, const struct pcap_pkthdr *header,
		     const u_char *data)
{
	for (uint32_t i = 0; i < channels->count; i++) {
		if (pcap_offline_filter(&channels->all[i].program, header, data) == 0)
			continue;
		pcap_dump((u_char *)channels->all[i].dumper, header, data);
		channels->written++;
		channels->bytes += header->caplen;
	}
}

/* pcap_dump reports no failure: only the stream's error flag shows one. */
int cw_channels_close(struct cw_channels *channels, char text[CW_STAGE_TEXT_BYTES])
{
	int result = 0;

	for (uint32_t i = 0; i < channels->count; i++) {
		struct cw_channel *channel = &channels->all[i];

		if (pcap_dump_flush(channel->dumper) != 0 ||
		    ferror(pcap_dump_file(channel->dumper)))
			result =
			    cw_natural_fail(text, -EIO, "an output was not written completely");
		pcap_dump_close(channel->dumper);
		pcap_freecode(&channel->program);
	}
	free(channels->all);
	channels->all = NULL;
	channels->count = 0;
	return result;
}

static int split(pcap_t *input, struct cw_channels *channels, struct cw_split_result *result,
		 char *text)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	int status;

	while ((status = pcap_next_ex(input, &header, &data)) == 1) {
		result->packets++;
		result->bytes += header->caplen;
		cw_channels_put(channels, header, data);
	}
	return status == PCAP_ERROR_BREAK ? 0 : cw_natural_fail(text, -EIO, pcap_geterr(input));
}

int cw_stage_split_natural(const struct cw_stage_split_options *options,
			   struct cw_split_result *result, char text[CW_STAGE_TEXT_BYTES])
{
	char error[PCAP_ERRBUF_SIZE];
	struct cw_channels channels;
	struct cw_stage_clock clock;
	pcap_t *input;
	int status, closed;

	*result = (struct cw_split_result){0};
	cw_stage_start(&clock);
	input = pcap_open_offline_with_tstamp_precision(options->path, PCAP_TSTAMP_PRECISION_MICRO,
							error);
	if (!input) {
		cw_stage_stop(&clock, &result->time);
		return cw_natural_fail(text, -EIO, error);
	}
	status = cw_channels_open(&channels, input, options->filters, options->filter_count,
				  options->folder, text);
	if (status == 0)
		status = split(input, &channels, result, text);
	result->written = channels.written;
	result->written_bytes = channels.bytes;
	closed = cw_channels_close(&channels, text);
	pcap_close(input);
	cw_stage_stop(&clock, &result->time);
	return status ? status : closed;
}
