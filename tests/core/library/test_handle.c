/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The public handle without a device: files, dead handles, inactive ones. Files are held against
 * libpcap's pcap_next_ex, packet by packet, where libpcap opens them: those made here, and the
 * corpus ($CAPWEIR_CORPUS, or ../shared/corpus beside the project).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <capweir/capweir.h>

#include "core/base/base.h"
#include "core/format/encode.h"
#include "datasets/traffic.h"
#include "tests/rig/capture.h"

#define PACKETS 5000u

static char folder[] = "/tmp/capweir-handle-XXXXXX";
static char path[128];

static int make_folder(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/in.pcap", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void write_file(const void *data, size_t bytes)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
	assert_int_equal(fclose(file), 0);
}

/* So many packets of generated traffic as a pcap file with nanoseconds; `cut` bytes off its end. */
static void write_traffic(uint32_t count, size_t cut)
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

static struct cw_handle *open_file(void)
{
	struct cw_handle *handle;
	struct cw_error error = {0};

	if (cw_handle_open_offline(&handle, path, &error) < 0)
		fail_msg("%s", error.text);
	return handle;
}

/* ---- reading ---- */

/* One after the other, copied, or in bursts of odd sizes: `way` 0, 1, 2. */
static int read_some(struct cw_handle *handle, int way, struct cw_packet *packets, uint8_t *buffer)
{
	static uint32_t turn;

	if (way == 0)
		return cw_handle_next(handle, packets);
	if (way == 1)
		return cw_handle_read(handle, buffer, CW_CAPLEN_MAX, packets);
	return cw_handle_next_burst(handle, packets, 1 + turn++ % 300);
}

static void expect_same(const struct cw_packet *packet, const struct pcap_pkthdr *header,
			const u_char *data)
{
	assert_int_equal(packet->caplen, header->caplen);
	assert_int_equal(packet->wire_len, header->len);
	assert_memory_equal(packet->data, data, header->caplen);
	/* libpcap takes a pcap file's seconds as signed, and so what a damaged one has for
	 * fractions: test_source.c looks at those. */
	if (header->ts.tv_sec >= 0 && header->ts.tv_usec >= 0)
		assert_int_equal(packet->ts_ns, (uint64_t)header->ts.tv_sec * CW_NS_PER_S +
						    (uint64_t)header->ts.tv_usec);
}

/* How many packets were equal. libpcap refuses more than we do: then it is the first to end. */
static uint32_t compare_file(const char *name, const char *expression, int way)
{
	static struct cw_packet packets[300];
	static uint8_t buffer[CW_CAPLEN_MAX];
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *pcap =
	    pcap_open_offline_with_tstamp_precision(name, PCAP_TSTAMP_PRECISION_NANO, text);
	struct pcap_pkthdr *header;
	struct bpf_program program;
	struct cw_handle *handle;
	const u_char *data;
	int count, i, status = 1;
	uint32_t compared = 0;

	if (!pcap)
		return 0;
	/* "invalid interface capture length" and the like: ours reads on, or not at all. */
	if (cw_handle_open_offline(&handle, name, NULL) < 0) {
		pcap_close(pcap);
		return 0;
	}
	if (expression) {
		if (pcap_compile(pcap, &program, expression, 1, PCAP_NETMASK_UNKNOWN) < 0) {
			/* libpcap also looks at the bits beside the link type. */
			if (cw_handle_set_filter(handle, expression, NULL) >= 0 &&
			    !strstr(pcap_geterr(pcap), "unknown data link type"))
				fail_msg("%s: '%s' is refused by libpcap: %s", name, expression,
					 pcap_geterr(pcap));
			goto out;
		}
		assert_int_equal(pcap_setfilter(pcap, &program), 0);
		pcap_freecode(&program);
		assert_true(cw_handle_set_filter(handle, expression, NULL) >= 0);
	}
	while (status == 1 && (count = read_some(handle, way, packets, buffer)) > 0) {
		for (i = 0; i < count && status == 1; i++) {
			status = pcap_next_ex(pcap, &header, &data);
			if (status == 1)
				expect_same(&packets[i], header, data);
			compared += status == 1;
		}
	}
	if (status == 1) /* ours ended: so has libpcap's */
		assert_int_not_equal(pcap_next_ex(pcap, &header, &data), 1);
out:
	cw_handle_free(handle);
	pcap_close(pcap);
	return compared;
}

static void packets_are_those_of_libpcap(void **state)
{
	(void)state;
	write_traffic(PACKETS, 0);
	for (int way = 0; way < 3; way++) {
		assert_int_equal(compare_file(path, NULL, way), PACKETS);
		assert_in_range(compare_file(path, "tcp port 443 or udp", way), 50, PACKETS - 50);
		assert_int_equal(compare_file(path, "", way), PACKETS);
	}
}

static void corpus_is_read_as_by_libpcap(void **state)
{
	const char *corpus =
	    getenv("CAPWEIR_CORPUS") ? getenv("CAPWEIR_CORPUS") : CW_ROOT "/../shared/corpus";
	DIR *list = opendir(corpus);
	uint64_t packets = 0;
	uint32_t files = 0;
	struct dirent *entry;

	(void)state;
	if (!list) {
		printf("skipped: no corpus at %s (set CAPWEIR_CORPUS)\n", corpus);
		skip();
	}
	while ((entry = readdir(list))) {
		char name[4096];

		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", corpus, entry->d_name);
		packets += compare_file(name, NULL, (int)(files % 3));
		packets += compare_file(name, "ip or ip6", (int)(files % 3));
		files++;
	}
	closedir(list);
	printf("%llu packets of %u files\n", (unsigned long long)packets, files);
	assert_true(packets > 10000);
}

static void a_torn_record_is_an_error_behind_all_whole_ones(void **state)
{
	struct cw_packet packet;
	struct cw_handle *handle;
	uint32_t count;

	(void)state;
	write_traffic(100, 3);
	for (int way = 0; way < 2; way++) {
		handle = open_file();
		for (count = 0; cw_handle_next(handle, &packet) == CW_NEXT_OK; count++)
			;
		assert_int_equal(count, 99);
		for (int again = 0; again < 3; again++)
			assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_ERROR);
		assert_int_equal(cw_handle_next_burst(handle, &packet, 1), CW_NEXT_ERROR);
		if (!strstr(cw_handle_error(handle), "record"))
			fail_msg("%s", cw_handle_error(handle));
		cw_handle_free(handle);
	}
	write_traffic(100, 0);
	handle = open_file();
	for (count = 0; cw_handle_next(handle, &packet) == CW_NEXT_OK; count++)
		;
	assert_int_equal(count, 100);
	for (int again = 0; again < 3; again++)
		assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_END);
	cw_handle_free(handle);
}

/* Also when it then ends between two records, where nothing looks torn. */
static void a_file_that_shrinks_is_an_error(void **state)
{
	struct cw_handle *handle;
	struct cw_packet packet;
	uint64_t end = 24;

	(void)state;
	write_traffic(PACKETS, 0);
	handle = open_file();
	while (end < 1000000 && cw_handle_next(handle, &packet) == CW_NEXT_OK)
		end += 16 + packet.caplen;
	cw_handle_free(handle);
	for (int is_torn = 0; is_torn < 2; is_torn++) {
		uint32_t count = 0;

		write_traffic(PACKETS, 0);
		handle = open_file();
		assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_OK);
		assert_int_equal(truncate(path, (off_t)end - is_torn), 0);
		while (cw_handle_next(handle, &packet) == CW_NEXT_OK)
			count++;
		assert_in_range(count, 100, PACKETS - 100);
		assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_ERROR);
		if (!strstr(cw_handle_error(handle), is_torn ? "record" : "truncated"))
			fail_msg("%s", cw_handle_error(handle));
		cw_handle_free(handle);
	}
}

static void reading_cuts_to_the_buffer(void **state)
{
	struct cw_handle *handle, *other;
	struct cw_packet packet, whole;
	uint8_t buffer[40];

	(void)state;
	write_traffic(50, 0);
	handle = open_file();
	other = open_file();
	while (cw_handle_next(other, &whole) == CW_NEXT_OK) {
		assert_int_equal(cw_handle_read(handle, buffer, sizeof(buffer), &packet),
				 CW_NEXT_OK);
		assert_ptr_equal(packet.data, buffer);
		assert_int_equal(packet.caplen, whole.caplen < 40 ? whole.caplen : 40);
		assert_int_equal(packet.wire_len, whole.wire_len);
		assert_memory_equal(buffer, whole.data, packet.caplen);
	}
	assert_int_equal(cw_handle_read(handle, buffer, sizeof(buffer), &packet), CW_NEXT_END);
	cw_handle_free(handle);
	cw_handle_free(other);
}

/* Interfaces of two link types in one file: the filter means each packet as what it is. */
static void a_filter_fits_each_interface(void **state)
{
	static struct image image;
	static const uint8_t frame[54] = {[12] = 8, [14] = 0x45, [17] = 40, [23] = 6, [37] = 80};
	struct cw_interface interface_;
	struct cw_handle *handle;
	struct cw_packet packet;
	uint32_t linktypes[] = {CW_LINKTYPE_ETHERNET, CW_LINKTYPE_RAW};
	uint32_t i;

	(void)state;
	image.bytes = 0;
	put_u32(&image, 0x0a0d0d0a);
	put_u32(&image, 28);
	put_u32(&image, 0x1a2b3c4d);
	put_u32(&image, 1); /* version 1.0 */
	put_u64(&image, UINT64_MAX);
	put_u32(&image, 28);
	for (i = 0; i < 2; i++) {
		put_u32(&image, 1);
		put_u32(&image, 20);
		put_u32(&image, linktypes[i]);
		put_u32(&image, 1000 + i);
		put_u32(&image, 20);
	}
	for (i = 0; i < 4; i++) {
		uint32_t bytes = i % 2 ? 40 : 54, padded = (bytes + 3) & ~3u;

		put_u32(&image, 6);
		put_u32(&image, 32 + padded);
		put_u32(&image, i % 2);
		put_u64(&image, 0);
		put_u32(&image, bytes);
		put_u32(&image, bytes);
		put_bytes(&image, frame + (i % 2 ? 14 : 0), bytes);
		put_pattern(&image, 0, padded - bytes);
		put_u32(&image, 32 + padded);
	}
	write_file(image.data, image.bytes);
	handle = open_file();
	assert_int_equal(cw_handle_linktype(handle), CW_LINKTYPE_ETHERNET);
	assert_int_equal(cw_handle_set_filter(handle, "tcp dst port 80", NULL), 0);
	for (i = 0; cw_handle_next(handle, &packet) == CW_NEXT_OK; i++) {
		assert_int_equal(packet.iface, i % 2);
		assert_int_equal(cw_handle_interface(handle, packet.iface, &interface_), 0);
		assert_int_equal(interface_.linktype, linktypes[i % 2]);
		assert_int_equal(interface_.snaplen, 1000 + i % 2);
	}
	assert_int_equal(i, 4);
	assert_int_equal(cw_handle_interface(handle, 2, &interface_), -ENOENT);
	cw_handle_free(handle);
	/* A program is for the handle's own link type; packets of others do not match it. */
	handle = open_file();
	assert_int_equal(
	    cw_handle_set_filter_program(
		handle, (const struct bpf_insn[]){BPF_STMT(BPF_RET | BPF_K, 1)}, 1, NULL),
	    0);
	for (i = 0; cw_handle_next(handle, &packet) == CW_NEXT_OK; i++)
		assert_int_equal(packet.iface, 0);
	assert_int_equal(i, 2);
	cw_handle_free(handle);
}

static void a_filter_can_be_changed_in_between(void **state)
{
	struct cw_filter *tcp;
	struct cw_handle *handle;
	struct cw_packet packet;
	uint32_t count[2] = {0};

	(void)state;
	write_traffic(PACKETS, 0);
	handle = open_file();
	assert_int_equal(cw_handle_compile(handle, &tcp, "tcp", NULL), 0);
	for (uint32_t i = 0; i < 2; i++) {
		struct cw_error error = {0};

		assert_int_equal(cw_handle_set_filter(handle, i ? "not tcp" : "tcp", &error), 0);
		/* One that is wrong changes nothing, and says where. */
		assert_int_equal(cw_handle_set_filter(handle, "tcp port port", &error), -EINVAL);
		assert_non_null(strstr(error.text, "column 10"));
		assert_string_equal(cw_handle_error(handle), error.text);
		while (count[i] < PACKETS / 20 && cw_handle_next(handle, &packet) == CW_NEXT_OK) {
			bool is_tcp =
			    cw_filter_match(tcp, packet.data, packet.caplen, packet.wire_len) != 0;

			assert_int_equal(is_tcp, !i);
			count[i]++;
		}
		assert_true(count[i] > 100);
	}
	cw_filter_free(tcp);
	cw_handle_free(handle);
}

/* As in the Go package's own test: a SYN with ACK, by its flags. */
static void flags_of_a_syn_ack_match(void **state)
{
	static const uint8_t frame[54] = {[12] = 8,  [14] = 0x45, [17] = 40,   [23] = 6,
					  [35] = 80, [46] = 0x50, [47] = 0x12, [48] = 4};
	static const struct {
		const char *expression;
		bool is_match;
	} cases[] = {{"tcp[tcpflags] & (tcp-syn|tcp-ack) == (tcp-syn|tcp-ack)", true},
		     {"tcp[tcpflags] == (tcp-syn|tcp-ack)", true},
		     {"tcp[tcpflags] & tcp-syn == tcp-syn", true},
		     {"tcp[tcpflags] & tcp-ack == tcp-ack", true},
		     {"tcp[tcpflags] & tcp-fin == tcp-fin", false},
		     {"udp", false}};
	struct cw_handle *handle;

	(void)state;
	assert_int_equal(cw_handle_open_dead(&handle, CW_LINKTYPE_ETHERNET, 0, NULL), 0);
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_filter *filter;

		assert_int_equal(cw_handle_compile(handle, &filter, cases[i].expression, NULL), 0);
		assert_string_equal(cw_filter_expression(filter), cases[i].expression);
		assert_int_equal(cw_filter_match(filter, frame, sizeof(frame), sizeof(frame)) != 0,
				 cases[i].is_match);
		assert_int_equal(cw_filter_match(filter, NULL, 0, 0), 0);
		cw_filter_free(filter);
	}
	cw_handle_free(handle);
}

static void broadcast_needs_a_netmask(void **state)
{
	struct cw_error error = {0};
	struct cw_handle *handle;

	(void)state;
	write_traffic(10, 0);
	handle = open_file();
	assert_int_equal(cw_handle_set_filter(handle, "ip broadcast", &error), -EINVAL);
	assert_non_null(strstr(error.text, "netmask"));
	cw_handle_free(handle);
}

/* ---- what is no open file ---- */

static void files_that_cannot_be_read_say_why(void **state)
{
	struct cw_error error = {0};
	struct cw_handle *handle = (void *)1;

	(void)state;
	assert_int_equal(cw_handle_open_offline(&handle, "/nowhere/in.pcap", &error), -ENOENT);
	assert_null(handle);
	assert_non_null(strstr(error.text, "/nowhere/in.pcap"));
	write_file("what is no capture file", 23);
	assert_int_equal(cw_handle_open_offline(&handle, path, &error), -EBADMSG);
	assert_null(handle);
	write_file("", 0);
	assert_true(cw_handle_open_offline(&handle, path, NULL) < 0);
}

static void a_dead_handle_has_no_packets(void **state)
{
	struct cw_handle *handle;
	struct cw_filter *filter;
	struct cw_packet packet;
	struct cw_stats stats;
	uint32_t *linktypes;
	uint8_t byte = 0;

	(void)state;
	assert_int_equal(cw_handle_open_dead(&handle, CW_LINKTYPE_LINUX_SLL2, 96, NULL), 0);
	assert_int_equal(cw_handle_linktype(handle), 276); /* more than eight bits */
	assert_int_equal(cw_handle_snaplen(handle), 96);
	assert_false(cw_handle_is_live(handle));
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_NOT_ACTIVATED);
	assert_int_equal(cw_handle_next_burst(handle, &packet, 1), CW_NEXT_NOT_ACTIVATED);
	assert_int_equal(cw_handle_read(handle, &byte, 1, &packet), CW_NEXT_NOT_ACTIVATED);
	assert_non_null(strstr(cw_handle_error(handle), "dead"));
	assert_int_equal(cw_handle_stats(handle, &stats), CW_IS_DEAD);
	assert_int_equal(cw_handle_inject(handle, &byte, 1), CW_IS_DEAD);
	assert_int_equal(cw_handle_activate(handle, NULL), CW_NOT_LIVE);
	assert_int_equal(cw_handle_set_snaplen(handle, 1), CW_NOT_LIVE);
	assert_int_equal(cw_handle_set_linktype(handle, 1, NULL), CW_IS_DEAD);
	assert_int_equal(cw_handle_linktypes(handle, &linktypes, NULL), 1);
	assert_int_equal(linktypes[0], CW_LINKTYPE_LINUX_SLL2);
	free(linktypes);
	assert_int_equal(cw_handle_compile(handle, &filter, "ip6", NULL), 0);
	cw_filter_free(filter);
	cw_handle_close(handle);
	cw_handle_close(handle);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_CLOSED);
	cw_handle_free(handle);
	cw_handle_free(NULL);
}

static void a_file_has_nothing_of_devices(void **state)
{
	struct cw_timestamp_source *sources;
	struct cw_handle *handle;
	struct cw_stats stats;
	uint32_t *linktypes;

	(void)state;
	write_traffic(10, 0);
	handle = open_file();
	assert_false(cw_handle_is_live(handle));
	assert_true(cw_handle_is_ns(handle));
	assert_int_equal(cw_handle_snaplen(handle), CW_CAPLEN_MAX);
	assert_int_equal(cw_handle_stats(handle, &stats), CW_NOT_LIVE);
	assert_int_equal(cw_handle_inject(handle, "x", 1), CW_NOT_LIVE);
	assert_int_equal(cw_handle_set_direction(handle, CW_DIRECTION_IN, NULL), CW_NOT_LIVE);
	assert_int_equal(cw_handle_set_timeout(handle, 0), CW_NOT_LIVE);
	assert_int_equal(cw_handle_set_linktype(handle, 1, NULL), CW_NOT_LIVE);
	assert_int_equal(cw_handle_timestamp_sources(handle, &sources, NULL), CW_NOT_LIVE);
	assert_int_equal(cw_handle_linktypes(handle, &linktypes, NULL), 1);
	free(linktypes);
	cw_handle_free(handle);
}

static void an_inactive_handle_takes_settings(void **state)
{
	struct cw_error error = {0};
	struct cw_handle *handle;
	struct cw_packet packet;
	struct cw_filter *filter;
	struct cw_stats stats;
	char name[400];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(cw_handle_create(&handle, "", &error), -EINVAL);
	assert_int_equal(cw_handle_create(&handle, name, &error), -EINVAL);
	assert_null(handle);
	assert_int_equal(cw_handle_create(&handle, "nowhere0", NULL), 0);
	assert_true(cw_handle_is_live(handle));
	assert_int_equal(cw_handle_linktype(handle), CW_LINKTYPE_ANY);
	assert_int_equal(cw_handle_set_snaplen(handle, 0), 0);
	assert_int_equal(cw_handle_snaplen(handle), CW_CAPLEN_MAX);
	assert_int_equal(cw_handle_set_snaplen(handle, INT64_C(1) << 40), 0);
	assert_int_equal(cw_handle_snaplen(handle), CW_CAPLEN_MAX);
	assert_int_equal(cw_handle_set_snaplen(handle, 64), 0);
	assert_int_equal(cw_handle_snaplen(handle), 64);
	assert_int_equal(cw_handle_set_promiscuous(handle, true), 0);
	assert_int_equal(cw_handle_set_timeout(handle, INT64_MAX), -EINVAL);
	assert_int_equal(cw_handle_set_timeout(handle, 1), 0);
	assert_int_equal(cw_handle_set_buffer_bytes(handle, 0), -EINVAL);
	assert_int_equal(cw_handle_set_buffer_bytes(handle, UINT64_C(1) << 40), -EINVAL);
	assert_int_equal(cw_handle_set_buffer_bytes(handle, UINT64_C(1) << 20), 0);
	assert_int_equal(cw_handle_set_immediate(handle, true), 0);
	assert_int_equal(cw_handle_set_timestamp_source(handle, 12345),
			 CW_NO_SUCH_TIMESTAMP_SOURCE);
	assert_int_equal(cw_handle_set_precision_ns(handle, false), 0);
	assert_false(cw_handle_is_ns(handle));
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_NOT_ACTIVATED);
	assert_int_equal(cw_handle_stats(handle, &stats), CW_NOT_ACTIVATED);
	assert_int_equal(cw_handle_inject(handle, "x", 1), CW_NOT_ACTIVATED);
	assert_int_equal(cw_handle_set_filter(handle, "tcp", &error), CW_NOT_ACTIVATED);
	assert_int_equal(cw_handle_compile(handle, &filter, "tcp", &error), CW_NOT_ACTIVATED);
	assert_true(cw_handle_activate(handle, &error) < 0);
	assert_true(error.text[0]);
	cw_handle_free(handle); /* without activation */
	assert_int_equal(cw_handle_create(&handle, "nowhere0", NULL), 0);
	cw_handle_close(handle);
	cw_handle_free(handle);
	assert_int_equal(cw_handle_open_live(&handle, "nowhere0", 100, true, -1, &error), -ENODEV);
	assert_null(handle);
}

/* ---- closing ---- */

static void *close_soon(void *argument)
{
	usleep(20000);
	cw_handle_close(argument);
	return NULL;
}

static void closing_ends_reading_from_a_pipe(void **state)
{
	uint8_t header[64];
	size_t bytes = cw_format_header(CW_FORMAT_PCAP_NS, CW_LINKTYPE_ETHERNET, 1000, header);
	struct cw_handle *handle;
	struct cw_packet packet;
	pthread_t thread;
	char name[64];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], header, bytes), bytes);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", ends[0]);
	assert_int_equal(cw_handle_open_offline(&handle, name, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, close_soon, handle), 0);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_CLOSED);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_CLOSED);
	pthread_join(thread, NULL);
	cw_handle_free(handle);
	close(ends[0]);
	close(ends[1]);
}

static void closing_ends_reading_at_once(void **state)
{
	struct cw_handle *handle;
	struct cw_packet packet;

	(void)state;
	write_traffic(10, 0);
	handle = open_file();
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_OK);
	cw_handle_close(handle);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_CLOSED);
	assert_int_equal(cw_handle_next_burst(handle, &packet, 1), CW_NEXT_CLOSED);
	cw_handle_close(handle);
	cw_handle_free(handle);
}

static void every_result_has_words(void **state)
{
	(void)state;
	for (int result = 1; result >= -4; result--)
		assert_true(strlen(cw_next_text(result)) > 5);
	assert_string_equal(cw_next_text(-99), "no such result");
	assert_string_equal(cw_timestamp_source_name(cw_timestamp_source_from_name("HOST")),
			    "host");
	assert_int_equal(cw_timestamp_source_from_name("sundial"), CW_NO_SUCH_TIMESTAMP_SOURCE);
	assert_null(cw_timestamp_source_name(12345));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(packets_are_those_of_libpcap),
	    cmocka_unit_test(corpus_is_read_as_by_libpcap),
	    cmocka_unit_test(a_torn_record_is_an_error_behind_all_whole_ones),
	    cmocka_unit_test(a_file_that_shrinks_is_an_error),
	    cmocka_unit_test(reading_cuts_to_the_buffer),
	    cmocka_unit_test(a_filter_fits_each_interface),
	    cmocka_unit_test(a_filter_can_be_changed_in_between),
	    cmocka_unit_test(flags_of_a_syn_ack_match),
	    cmocka_unit_test(broadcast_needs_a_netmask),
	    cmocka_unit_test(files_that_cannot_be_read_say_why),
	    cmocka_unit_test(a_dead_handle_has_no_packets),
	    cmocka_unit_test(a_file_has_nothing_of_devices),
	    cmocka_unit_test(an_inactive_handle_takes_settings),
	    cmocka_unit_test(closing_ends_reading_from_a_pipe),
	    cmocka_unit_test(closing_ends_reading_at_once),
	    cmocka_unit_test(every_result_has_words),
	};

	alarm(300);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
