/* SPDX-License-Identifier: BSD-3-Clause */
/* The public handle over files: packets, filters and errors, as libpcap has them. */
#include <dirent.h>
#include <errno.h>

#include <pcap/pcap.h>

#include "core/base/base.h"
#include "tests/core/library/handle_rig.h"

#define PACKETS 5000u

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

/* Zeros to a file's end, and the header of a joined file: libpcap takes them for records. */
static bool is_no_record(const struct pcap_pkthdr *header)
{
	uint32_t seconds = (uint32_t)header->ts.tv_sec;

	return header->caplen == 0 && header->len == 0 &&
	       ((seconds == 0 && header->ts.tv_usec == 0) || seconds == 0xa1b2c3d4);
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
			if (status == 1 && packets[i].wire_len > 0 && is_no_record(header))
				goto out;
			if (status == 1)
				expect_same(&packets[i], header, data);
			compared += status == 1;
		}
	}
	if (status == 1) /* ours ended: so has libpcap's, but for zeros at the end */
		assert_true(pcap_next_ex(pcap, &header, &data) != 1 || is_no_record(header));
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
/* Four packets of two interfaces with different link types, in turn. */
static void write_two_link_types(const uint32_t linktypes[2])
{
	static struct image image;
	static const uint8_t frame[54] = {[12] = 8, [14] = 0x45, [17] = 40, [23] = 6, [37] = 80};
	uint32_t i;

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
}

static void a_filter_fits_each_interface(void **state)
{
	const uint32_t linktypes[2] = {CW_LINKTYPE_ETHERNET, CW_LINKTYPE_RAW};
	struct cw_interface interface_;
	struct cw_handle *handle;
	struct cw_packet packet;
	uint32_t i;

	(void)state;
	write_two_link_types(linktypes);
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

int main(int argc, char **argv)
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
	};

	return RUN_TESTS(300, tests, make_folder, remove_folder, argc, argv);
}
