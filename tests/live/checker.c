/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reads capture files of numbered frames (stamp.h) and compares each with what was sent. It shares
 * no code with the readers and writers under test. Prints one line of JSON; what it finds is no
 * failure of its own: it ends with 0 unless a file cannot be read.
 *
 *	checker [--first N] [--count N] [--size B] [--size-max B] [--flows N] [--vlan TCI]
 *	        [--outer TCI] [--tcp 1] FILE...
 *
 *   packets     whole records            missing     expected numbers that are in no record
 *   strangers   without a stamp, or      duplicated  records whose number was there before
 *               with a number that was   disorder    records with a lower number than the one
 *               not expected                         before them in their flow
 *   damaged     with a stamp and other   cut         records shorter than their frame, right so far
 *               than they were sent      backwards   records with an earlier time than the one
 *                                         before
 *   first, last  the least and the greatest number
 *   torn_files, torn_bytes   files that end within a record; the largest such rest
 *
 * Files are read in the order given; they are one stream. The frames of a file are those of a
 * little-endian machine of today: pcap 2.4, pcapng with sections of that order.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/rig/stamp.h"

#define RECORD_MAX (1u << 20)

struct checker {
	struct stamp_shape shape;
	uint64_t first, count;
	uint8_t *seen;  /* a bit for each expected number */
	uint64_t *last; /* by flow: its last number + 1 */
	uint64_t last_ts, greatest, least;
	uint64_t packets, strangers, damaged, duplicated, disorder, cut, backwards, distinct;
	uint64_t torn_files, torn_bytes;
};

struct record {
	uint64_t ts;
	uint32_t caplen, wire_len;
	const uint8_t *data;
};

static uint32_t load32(const uint8_t *at)
{
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

static void check_number(struct checker *checker, uint64_t number)
{
	uint64_t index = number - checker->first;
	uint64_t *last = &checker->last[number % checker->shape.flows];

	if (number < checker->first || index >= checker->count) {
		checker->strangers++;
		return;
	}
	if (checker->seen[index / 8] & 1u << index % 8)
		checker->duplicated++;
	else
		checker->distinct++;
	checker->seen[index / 8] |= (uint8_t)(1u << index % 8);
	if (number + 1 < *last)
		checker->disorder++;
	*last = number + 1;
	if (number < checker->least)
		checker->least = number;
	if (number > checker->greatest)
		checker->greatest = number;
}

static void check_record(struct checker *checker, const struct record *record)
{
	uint64_t number = UINT64_MAX;
	bool is_intact = stamp_is_intact(&checker->shape, record->data, record->caplen,
					 record->wire_len, &number);

	checker->packets++;
	if (record->ts < checker->last_ts)
		checker->backwards++;
	checker->last_ts = record->ts;
	if (number == UINT64_MAX) {
		checker->strangers++;
		return;
	}
	if (!is_intact)
		checker->damaged++;
	if (record->caplen < record->wire_len)
		checker->cut++;
	check_number(checker, number);
}

/* Each of the two: how many octets are whole records. */
static size_t read_pcap(struct checker *checker, const uint8_t *data, size_t bytes)
{
	uint64_t unit = load32(data) == 0xa1b23c4d ? 1 : 1000;
	size_t at = 24;

	while (at <= bytes && bytes - at >= 16) {
		const uint8_t *head = data + at;
		struct record record = {load32(head) * CW_NS_PER_S + load32(head + 4) * unit,
					load32(head + 8), load32(head + 12), head + 16};

		if (record.caplen > RECORD_MAX || record.caplen > bytes - at - 16)
			break;
		check_record(checker, &record);
		at += 16 + record.caplen;
	}
	return at <= bytes ? at : 0;
}

/* Timestamps are compared with each other only, so their unit does not matter. */
static bool read_packet_block(struct checker *checker, const uint8_t *block, uint32_t length)
{
	struct record record;

	if (length < 32)
		return false;
	record = (struct record){(uint64_t)load32(block + 12) << 32 | load32(block + 16),
				 load32(block + 20), load32(block + 24), block + 28};
	if (record.caplen > length - 32)
		return false;
	check_record(checker, &record);
	return true;
}

static size_t read_pcapng(struct checker *checker, const uint8_t *data, size_t bytes)
{
	size_t at = 0;

	while (bytes - at >= 12) {
		const uint8_t *block = data + at;
		uint32_t length = load32(block + 4);

		if (length < 12 || length % 4 || length > bytes - at ||
		    load32(block + length - 4) != length)
			break;
		if (load32(block) == 6 && !read_packet_block(checker, block, length))
			break;
		at += length;
	}
	return at;
}

static int read_file(struct checker *checker, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	size_t bytes, whole = 0;
	uint8_t *data;

	if (fd < 0 || fstat(fd, &status) < 0) {
		fprintf(stderr, "checker: %s: %s\n", path, strerror(errno));
		return 1;
	}
	bytes = (size_t)status.st_size;
	data = bytes ? mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	close(fd);
	if (data == MAP_FAILED) {
		fprintf(stderr, "checker: %s: %s\n", path, strerror(errno));
		return 1;
	}
	if (bytes >= 12 && load32(data) == 0x0a0d0d0a && load32(data + 8) == 0x1a2b3c4d)
		whole = read_pcapng(checker, data, bytes);
	else if (bytes >= 24 && (load32(data) == 0xa1b2c3d4 || load32(data) == 0xa1b23c4d))
		whole = read_pcap(checker, data, bytes);
	if (whole < bytes || whole == 0) {
		checker->torn_files++;
		if (bytes - whole > checker->torn_bytes)
			checker->torn_bytes = bytes - whole;
	}
	if (data)
		munmap(data, bytes);
	return 0;
}

static int parse(struct checker *checker, int argc, char **argv)
{
	static const char *const names[] = {"first", "count", "size",  "size-max",
					    "flows", "vlan",  "outer", "tcp"};
	uint64_t values[CW_ARRAY_COUNT(names)] = {0, 1000,           STAMP_FRAME_MIN, 0,
						  1, STAMP_TAG_NONE, STAMP_TAG_NONE,  0};
	struct option options[CW_ARRAY_COUNT(names) + 1] = {{0}};
	int choice, index = 0;
	char *end;
	size_t i;

	for (i = 0; i < CW_ARRAY_COUNT(names); i++)
		options[i] = (struct option){names[i], required_argument, NULL, 1};
	while ((choice = getopt_long(argc, argv, "", options, &index)) != -1) {
		if (choice != 1)
			return -1;
		values[index] = strtoull(optarg, &end, 0);
		if (*end)
			return -1;
	}
	checker->first = values[0];
	checker->count = values[1];
	checker->shape = (struct stamp_shape){.bytes = (uint32_t)values[2],
					      .bytes_max = (uint32_t)values[3],
					      .flows = (uint32_t)values[4],
					      .vlan = (uint32_t)values[5],
					      .outer = (uint32_t)values[6],
					      .is_tcp = values[7] != 0};
	return checker->shape.flows && checker->shape.flows <= STAMP_FLOWS_MAX &&
		       checker->shape.bytes >= stamp_bytes_min(&checker->shape) &&
		       checker->shape.bytes <= STAMP_FRAME_MAX &&
		       checker->shape.bytes_max <= STAMP_FRAME_MAX
		   ? 0
		   : -1;
}

static void print_number(const char *name, uint64_t value, const char *behind)
{
	printf("\"%s\": %llu%s", name, (unsigned long long)value, behind);
}

int main(int argc, char **argv)
{
	static struct checker checker;
	int failures = 0;
	int i;

	if (parse(&checker, argc, argv) < 0) {
		fprintf(stderr, "checker: bad arguments; see the head of checker.c\n");
		return 2;
	}
	checker.least = UINT64_MAX;
	checker.seen = calloc(checker.count / 8 + 1, 1);
	checker.last = calloc(checker.shape.flows, sizeof(*checker.last));
	if (!checker.seen || !checker.last) {
		fprintf(stderr, "checker: no memory\n");
		return 1;
	}
	for (i = optind; i < argc; i++)
		failures += read_file(&checker, argv[i]);
	printf("{");
	print_number("packets", checker.packets, ", ");
	print_number("first", checker.distinct ? checker.least : 0, ", ");
	print_number("last", checker.greatest, ", ");
	print_number("missing", checker.count - checker.distinct, ", ");
	print_number("duplicated", checker.duplicated, ", ");
	print_number("strangers", checker.strangers, ", ");
	print_number("damaged", checker.damaged, ", ");
	print_number("disorder", checker.disorder, ", ");
	print_number("cut", checker.cut, ", ");
	print_number("backwards", checker.backwards, ", ");
	print_number("torn_files", checker.torn_files, ", ");
	print_number("torn_bytes", checker.torn_bytes, "}\n");
	free(checker.seen);
	free(checker.last);
	return failures ? 1 : 0;
}
