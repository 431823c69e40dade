/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Writes generated traffic as a pcap file, in little endian on every machine, so that its SHA-256
 * can be compared with datasets/checksums.txt.
 * Usage: traffic_pcap PROFILE PACKETS SEED FILE
 */
#include <stdio.h>
#include <stdlib.h>

#include "datasets/traffic.h"

#define MAGIC_US 0xa1b2c3d4u
#define VERSION_2_4 0x00040002u
#define LINKTYPE_ETHERNET 1u

static int write_le32(FILE *file, const uint32_t *values, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint8_t octets[4];

		for (size_t k = 0; k < sizeof(octets); k++)
			octets[k] = (uint8_t)(values[i] >> (8 * k));
		if (fwrite(octets, sizeof(octets), 1, file) != 1)
			return -1;
	}
	return 0;
}

static int write_packet(FILE *file, const struct cw_packet *packet)
{
	const uint32_t header[] = {
	    (uint32_t)(packet->ts_ns / CW_NS_PER_S),
	    (uint32_t)(packet->ts_ns % CW_NS_PER_S / 1000),
	    packet->caplen,
	    packet->wire_len,
	};

	if (write_le32(file, header, CW_ARRAY_COUNT(header)) < 0)
		return -1;
	return fwrite(packet->data, 1, packet->caplen, file) == packet->caplen ? 0 : -1;
}

static int write_file(FILE *file, struct cw_traffic *traffic, uint64_t packet_count)
{
	const uint32_t header[] = {MAGIC_US, VERSION_2_4, 0, 0, CW_CAPLEN_MAX, LINKTYPE_ETHERNET};

	if (write_le32(file, header, CW_ARRAY_COUNT(header)) < 0)
		return -1;
	for (uint64_t i = 0; i < packet_count; i++) {
		struct cw_packet packet;

		cw_traffic_next(traffic, &packet);
		if (write_packet(file, &packet) < 0)
			return -1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct cw_traffic *traffic = NULL;
	struct cw_error error = {0};
	FILE *file;
	int result;

	if (argc != 5) {
		fprintf(stderr, "usage: traffic_pcap PROFILE PACKETS SEED FILE\n");
		return 2;
	}
	if (cw_traffic_open(&traffic, argv[1], strtoull(argv[3], NULL, 10), &error) < 0) {
		fprintf(stderr, "traffic_pcap: %s\n", error.text);
		return 2;
	}
	file = fopen(argv[4], "wb");
	if (!file) {
		perror(argv[4]);
		cw_traffic_close(traffic);
		return 1;
	}
	result = write_file(file, traffic, strtoull(argv[2], NULL, 10));
	if (fclose(file) != 0)
		result = -1;
	if (result < 0)
		perror(argv[4]);
	cw_traffic_close(traffic);
	return result < 0;
}
