/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The limit of the comparison: a program for one task only. It splits a pcap file by the eight
 * filters of filters8.txt, which are written here by hand in C as libpcap decides them: a filter
 * that needs a byte behind the captured ones does not match. No rules, no report, no limits of
 * memory, no damaged files. What capweir takes more than this program is the price of being
 * general.
 *
 * Usage: limit IN OUTDIR THREADS (filter k, from 0, writes OUTDIR/<k>.pcap)
 *
 * The input is mapped. Threads take blocks of records in order, find the records of each filter and
 * copy them to a buffer for each output; they place the buffers in the order of the blocks and
 * write at the same time. One thread gathers several blocks before it writes.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILTERS 8u
#define HEADER_BYTES 24u
#define RECORD_HEADER_BYTES 16u
#define RECORD_BYTES_MAX (RECORD_HEADER_BYTES + 262144u)
#define BLOCK_BYTES ((size_t)1 << 20)
#define GATHER_BYTES ((size_t)1 << 20) /* of an output, with one thread */
#define AHEAD_BYTES 2048u              /* distance of prefetching */
#define LINE_BYTES 64u
#define THREADS_MAX 64u

enum filter {
	TCP_443 = 1 << 0,   /* tcp port 443 */
	UDP_53 = 1 << 1,    /* udp port 53 */
	NET = 1 << 2,       /* net 198.18.0.0/19 */
	SYN_FIN = 1 << 3,   /* tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 */
	IP6 = 1 << 4,       /* ip6 */
	ICMP_ARP = 1 << 5,  /* icmp or arp */
	VLAN_100 = 1 << 6,  /* vlan 100 */
	TCP_RANGE = 1 << 7, /* tcp and portrange 1024-5000 and greater 200 */
};

static struct {
	/* constant after start */
	const uint8_t *end; /* of the input */
	int outputs[FILTERS];
	/* owner: the lock */
	pthread_mutex_t lock;
	pthread_cond_t is_placed;
	const uint8_t *next; /* first byte of the next block */
	uint64_t taken;      /* blocks */
	uint64_t placed;     /* blocks; the next one to place has this number */
	off_t offsets[FILTERS];
	uint64_t packets, written;
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER, .is_placed = PTHREAD_COND_INITIALIZER};

/* A thread's records, by output. */
struct buffers {
	uint8_t *bytes[FILTERS];
	size_t used[FILTERS];
	uint64_t packets, written;
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "limit: %s: %s\n", what, why);
	exit(1);
}

/* ---- the filters ---- */

static inline uint32_t load16(const uint8_t *at)
{
	uint16_t number;

	memcpy(&number, at, sizeof(number));
	return be16toh(number);
}

static inline bool is_in_net(const uint8_t *address)
{
	uint32_t number;

	memcpy(&number, address, sizeof(number));
	return (be32toh(number) & 0xffffe000) == 0xc6120000;
}

/* Matches source and destination, of which only the captured ones count. */
static inline bool is_pair_in_net(const uint8_t *packet, uint32_t caplen, uint32_t source,
				  uint32_t destination)
{
	if (caplen < source + 4)
		return false;
	return is_in_net(packet + source) ||
	       (caplen >= destination + 4 && is_in_net(packet + destination));
}

static inline bool is_in_range(uint32_t port)
{
	return port - 1024 <= 5000 - 1024;
}

/* Matches the ports of TCP or UDP at offset `at`. */
static inline unsigned match_ports(const uint8_t *packet, uint32_t caplen, uint32_t wire_len,
				   uint32_t at, bool is_tcp)
{
	uint32_t source, destination = UINT32_MAX; /* not captured */
	unsigned found = 0;

	if (caplen < at + 2)
		return 0;
	source = load16(packet + at);
	if (caplen >= at + 4)
		destination = load16(packet + at + 2);
	if (!is_tcp)
		return source == 53 || destination == 53 ? UDP_53 : 0;
	if (source == 443 || destination == 443)
		found |= TCP_443;
	if (wire_len >= 200 && (is_in_range(source) || is_in_range(destination)))
		found |= TCP_RANGE;
	return found;
}

static inline unsigned match_ip4(const uint8_t *packet, uint32_t caplen, uint32_t wire_len)
{
	unsigned found = is_pair_in_net(packet, caplen, 26, 30) ? NET : 0;
	uint32_t transport;

	if (caplen < 24)
		return 0;
	if (packet[23] == 1)
		return found | ICMP_ARP;
	if ((packet[23] != 6 && packet[23] != 17) || (load16(packet + 20) & 0x1fff) != 0)
		return found; /* or not the first fragment */
	transport = 14 + 4u * (packet[14] & 15);
	if (packet[23] == 6 && caplen > transport + 13 && (packet[transport + 13] & 3))
		found |= SYN_FIN;
	return found | match_ports(packet, caplen, wire_len, transport, packet[23] == 6);
}

static inline unsigned match_ip6(const uint8_t *packet, uint32_t caplen, uint32_t wire_len)
{
	if (caplen < 21 || (packet[20] != 6 && packet[20] != 17))
		return IP6;
	return IP6 | match_ports(packet, caplen, wire_len, 54, packet[20] == 6);
}

static inline unsigned match(const uint8_t *packet, uint32_t caplen, uint32_t wire_len)
{
	if (caplen < 14)
		return 0;
	switch (load16(packet + 12)) {
	case 0x0800:
		return match_ip4(packet, caplen, wire_len);
	case 0x86dd:
		return match_ip6(packet, caplen, wire_len);
	case 0x0806: /* ARP */
		return ICMP_ARP | (is_pair_in_net(packet, caplen, 28, 38) ? NET : 0);
	case 0x8035: /* RARP */
		return is_pair_in_net(packet, caplen, 28, 38) ? NET : 0;
	case 0x8100:
	case 0x88a8:
	case 0x9100:
		return caplen >= 16 && (load16(packet + 14) & 0xfff) == 100 ? VLAN_100 : 0;
	default:
		return 0;
	}
}

/* ---- records ---- */

/* Returns the bytes of the record, all of which are in the file. */
static inline size_t record_bytes(const uint8_t *record)
{
	size_t left = (size_t)(shared.end - record);
	uint32_t caplen;

	if (left < RECORD_HEADER_BYTES)
		fail("input", "it ends inside a record");
	memcpy(&caplen, record + 8, sizeof(caplen));
	if (caplen > left - RECORD_HEADER_BYTES || caplen > RECORD_BYTES_MAX - RECORD_HEADER_BYTES)
		fail("input", "it is damaged or ends inside a record");
	return RECORD_HEADER_BYTES + caplen;
}

static inline void prefetch_to(const uint8_t **fetched, const uint8_t *record)
{
	for (; *fetched < record + AHEAD_BYTES; *fetched += LINE_BYTES)
		__builtin_prefetch(*fetched);
}

/* Copies the matching records from `record` to `end` at least; returns the end of the last one. */
static const uint8_t *split(struct buffers *buffers, const uint8_t *record, const uint8_t *end)
{
	const uint8_t *fetched = record;

	while (record < end) {
		size_t bytes = record_bytes(record);
		uint32_t wire_len;
		unsigned found;

		prefetch_to(&fetched, record);
		memcpy(&wire_len, record + 12, sizeof(wire_len));
		found = match(record + RECORD_HEADER_BYTES, (uint32_t)bytes - RECORD_HEADER_BYTES,
			      wire_len);
		for (; found; found &= found - 1) {
			unsigned index = (unsigned)__builtin_ctz(found);

			memcpy(buffers->bytes[index] + buffers->used[index], record, bytes);
			buffers->used[index] += bytes;
			buffers->written++;
		}
		buffers->packets++;
		record += bytes;
	}
	return record;
}

static const uint8_t *block_end(const uint8_t *from)
{
	return (size_t)(shared.end - from) > BLOCK_BYTES ? from + BLOCK_BYTES : shared.end;
}

static void write_at(unsigned index, const uint8_t *bytes, size_t count, off_t offset)
{
	while (count) {
		ssize_t done = pwrite(shared.outputs[index], bytes, count, offset);

		if (done <= 0)
			fail("output", strerror(errno));
		bytes += done;
		count -= (size_t)done;
		offset += done;
	}
}

/* ---- threads ---- */

static void open_buffers(struct buffers *buffers)
{
	memset(buffers, 0, sizeof(*buffers));
	for (unsigned index = 0; index < FILTERS; index++) {
		buffers->bytes[index] = malloc(GATHER_BYTES + BLOCK_BYTES + RECORD_BYTES_MAX);
		if (!buffers->bytes[index])
			fail("memory", strerror(ENOMEM));
	}
}

/* Adds the thread's counts; the lock is held or no other thread runs. */
static void close_buffers(struct buffers *buffers)
{
	shared.packets += buffers->packets;
	shared.written += buffers->written;
	for (unsigned index = 0; index < FILTERS; index++)
		free(buffers->bytes[index]);
}

static void run_alone(void)
{
	const uint8_t *record = shared.next;
	struct buffers buffers;

	open_buffers(&buffers);
	while (record < shared.end) {
		record = split(&buffers, record, block_end(record));
		for (unsigned index = 0; index < FILTERS; index++) {
			size_t used = buffers.used[index];

			if (used < GATHER_BYTES && record < shared.end)
				continue;
			write_at(index, buffers.bytes[index], used, shared.offsets[index]);
			shared.offsets[index] += (off_t)used;
			buffers.used[index] = 0;
		}
	}
	close_buffers(&buffers);
}

/* Takes the next block; false: there is none. Records end where the block ends. */
static bool take_block(const uint8_t **from, const uint8_t **to, uint64_t *number)
{
	const uint8_t *record, *end, *fetched;

	pthread_mutex_lock(&shared.lock);
	record = fetched = *from = shared.next;
	end = block_end(record);
	while (record < end) {
		prefetch_to(&fetched, record);
		record += record_bytes(record);
	}
	*to = shared.next = record;
	*number = shared.taken++;
	pthread_mutex_unlock(&shared.lock);
	return *from < *to;
}

/* Fills the places of a block's records, once those of the block before are known. */
static void place_block(const struct buffers *buffers, uint64_t number, off_t places[FILTERS])
{
	pthread_mutex_lock(&shared.lock);
	while (shared.placed != number)
		pthread_cond_wait(&shared.is_placed, &shared.lock);
	for (unsigned index = 0; index < FILTERS; index++) {
		places[index] = shared.offsets[index];
		shared.offsets[index] += (off_t)buffers->used[index];
	}
	shared.placed++;
	pthread_cond_broadcast(&shared.is_placed);
	pthread_mutex_unlock(&shared.lock);
}

static void *run_thread(void *unused)
{
	const uint8_t *from, *to;
	struct buffers buffers;
	off_t places[FILTERS];
	uint64_t number;

	open_buffers(&buffers);
	while (take_block(&from, &to, &number)) {
		memset(buffers.used, 0, sizeof(buffers.used));
		split(&buffers, from, to);
		place_block(&buffers, number, places);
		for (unsigned index = 0; index < FILTERS; index++)
			write_at(index, buffers.bytes[index], buffers.used[index], places[index]);
	}
	pthread_mutex_lock(&shared.lock);
	close_buffers(&buffers);
	pthread_mutex_unlock(&shared.lock);
	return unused;
}

static void run_threads(unsigned count)
{
	pthread_t threads[THREADS_MAX];

	for (unsigned index = 0; index < count; index++)
		if (pthread_create(&threads[index], NULL, run_thread, NULL))
			fail("thread", "it cannot be started");
	for (unsigned index = 0; index < count; index++)
		pthread_join(threads[index], NULL);
}

/* ---- files ---- */

static void open_input(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint32_t magic, linktype;
	struct stat status;
	const uint8_t *bytes;

	if (fd < 0 || fstat(fd, &status) < 0)
		fail(path, strerror(errno));
	if (status.st_size < (off_t)HEADER_BYTES)
		fail(path, "not a capture file");
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		fail(path, strerror(errno));
	close(fd);
	memcpy(&magic, bytes, sizeof(magic));
	memcpy(&linktype, bytes + 20, sizeof(linktype));
	if (magic != 0xa1b2c3d4 || linktype != 1)
		fail(path, "not a pcap file of Ethernet with microseconds, of this machine");
	shared.next = bytes + HEADER_BYTES;
	shared.end = bytes + status.st_size;
}

static void open_outputs(const char *folder)
{
	char path[4096];

	for (unsigned index = 0; index < FILTERS; index++) {
		snprintf(path, sizeof(path), "%s/%u.pcap", folder, index);
		shared.outputs[index] = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
		if (shared.outputs[index] < 0)
			fail(path, strerror(errno));
		write_at(index, shared.next - HEADER_BYTES, HEADER_BYTES, 0);
		shared.offsets[index] = HEADER_BYTES;
	}
}

int main(int argc, char **argv)
{
	unsigned long threads = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;

	if (threads < 1 || threads > THREADS_MAX) {
		fprintf(stderr, "usage: limit IN OUTDIR THREADS (1 to %u)\n", THREADS_MAX);
		return 2;
	}
	open_input(argv[1]);
	open_outputs(argv[2]);
	if (threads == 1)
		run_alone();
	else
		run_threads((unsigned)threads);
	for (unsigned index = 0; index < FILTERS; index++)
		if (close(shared.outputs[index]) < 0)
			fail("output", strerror(errno));
	printf("%llu packets in, %llu out\n", (unsigned long long)shared.packets,
	       (unsigned long long)shared.written);
	return 0;
}
