/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The baseline: the program that one naturally writes with libpcap to split a capture file by
 * several filters. One thread, one filter after the other, libpcap's own reading and writing.
 * Usage: natural IN OUTDIR FILTERFILE (one filter a line, the k-th goes to OUTDIR/<k>.pcap, from 0)
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pcap/pcap.h>

#define CHANNELS_MAX 1000
#define LINE_BYTES_MAX 4096

struct channel {
	struct bpf_program program;
	pcap_dumper_t *dumper;
	unsigned long long packet_count;
};

static struct channel channels[CHANNELS_MAX];

static int open_channel(struct channel *channel, pcap_t *input, const char *expression,
			const char *directory, size_t index)
{
	char path[LINE_BYTES_MAX];

	if (pcap_compile(input, &channel->program, expression, 1, PCAP_NETMASK_UNKNOWN) != 0) {
		fprintf(stderr, "natural: '%s': %s\n", expression, pcap_geterr(input));
		return -1;
	}
	snprintf(path, sizeof(path), "%s/%zu.pcap", directory, index);
	channel->dumper = pcap_dump_open(input, path);
	if (!channel->dumper) {
		fprintf(stderr, "natural: %s\n", pcap_geterr(input));
		return -1;
	}
	return 0;
}

/* Returns the number of channels, or -1. */
static int open_channels(pcap_t *input, const char *directory, const char *filter_path)
{
	FILE *file = fopen(filter_path, "r");
	char line[LINE_BYTES_MAX];
	int count = 0;

	if (!file) {
		fprintf(stderr, "natural: %s: %s\n", filter_path, strerror(errno));
		return -1;
	}
	while (count >= 0 && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '\0')
			continue;
		if (count == CHANNELS_MAX) {
			fprintf(stderr, "natural: more than %d filters\n", CHANNELS_MAX);
			count = -1;
		} else if (open_channel(&channels[count], input, line, directory, (size_t)count) <
			   0) {
			count = -1;
		} else {
			count++;
		}
	}
	fclose(file);
	return count;
}

/* Returns 0 at the input's end, -1 on a read error. */
static int split(pcap_t *input, int channel_count, unsigned long long *packet_count)
{
	struct pcap_pkthdr *header;
	const u_char *data;
	int result;

	while ((result = pcap_next_ex(input, &header, &data)) == 1) {
		++*packet_count;
		for (int i = 0; i < channel_count; i++) {
			if (pcap_offline_filter(&channels[i].program, header, data) == 0)
				continue;
			pcap_dump((u_char *)channels[i].dumper, header, data);
			channels[i].packet_count++;
		}
	}
	if (result != PCAP_ERROR_BREAK) {
		fprintf(stderr, "natural: %s\n", pcap_geterr(input));
		return -1;
	}
	return 0;
}

/* Returns the number of packets written, or -1 when a file is not whole. */
static long long close_channels(int channel_count)
{
	long long written = 0;

	for (int i = 0; i < channel_count; i++) {
		/* pcap_dump reports nothing: an earlier failure is only in the stream's flag. */
		if (pcap_dump_flush(channels[i].dumper) != 0 ||
		    ferror(pcap_dump_file(channels[i].dumper))) {
			fprintf(stderr, "natural: output %d was not written\n", i);
			written = -1;
		}
		if (written >= 0)
			written += (long long)channels[i].packet_count;
		pcap_dump_close(channels[i].dumper);
		pcap_freecode(&channels[i].program);
	}
	return written;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	char error[PCAP_ERRBUF_SIZE];
	unsigned long long packet_count = 0;
	double start_s = now_s();
	long long written;
	pcap_t *input;
	int channel_count, result;

	if (argc != 4) {
		fprintf(stderr, "usage: natural IN OUTDIR FILTERFILE\n");
		return 2;
	}
	input =
	    pcap_open_offline_with_tstamp_precision(argv[1], PCAP_TSTAMP_PRECISION_MICRO, error);
	if (!input) {
		fprintf(stderr, "natural: %s\n", error);
		return 1;
	}
	channel_count = open_channels(input, argv[2], argv[3]);
	if (channel_count < 0) {
		pcap_close(input);
		return 2;
	}
	result = split(input, channel_count, &packet_count);
	written = close_channels(channel_count);
	pcap_close(input);
	if (result < 0 || written < 0)
		return 1;
	printf("%llu packets in, %lld out, %.3f s\n", packet_count, written, now_s() - start_s);
	return 0;
}
