/* SPDX-License-Identifier: BSD-3-Clause */
/* The public handle on devices: what is sent is read; filters, directions, activation. */
#include <pcap/pcap.h>

#include "core/base/base.h"
#include "tests/core/library/handle_live.h"

static uint32_t number_of(const struct cw_packet *packet)
{
	assert_in_range(packet->caplen, 46, 9100);
	return cw_load_be32(packet->data + 42);
}

/* ---- what is sent is read ---- */

static void what_is_injected_is_read(void **state)
{
	static uint8_t buffer[10000];
	static struct cw_packet packets[50];
	struct cw_handle *handle;
	struct cw_stats stats = {0}, before = {0};
	uint64_t start_ns, last_ns = 0;

	NEED_DEVICES();
	for (int way = 0; way < 3; way++) {
		uint32_t number = 0;

		handle = open_device("in", QUIET);
		assert_int_equal(cw_handle_linktype(handle), CW_LINKTYPE_ETHERNET);
		assert_int_equal(cw_handle_snaplen(handle), CW_CAPLEN_MAX);
		assert_true(cw_handle_is_ns(handle));
		start_ns = cw_wall_ns();
		send_numbers(0, 3000, 60);
		while (number < 3000) {
			int count = way == 0 ? cw_handle_next(handle, packets)
				    : way == 1
					? cw_handle_read(handle, buffer, sizeof(buffer), packets)
					: cw_handle_next_burst(handle, packets, 50);

			if (count == CW_NEXT_TIMEOUT)
				continue;
			assert_true(count > 0);
			for (int i = 0; i < count; i++) {
				assert_int_equal(number_of(&packets[i]), number++);
				assert_int_equal(packets[i].wire_len, 60);
				assert_true(packets[i].ts_ns >= start_ns);
				assert_true(packets[i].ts_ns >= last_ns || way == 0);
				last_ns = packets[i].ts_ns;
			}
			if (way < 2 && number % 100)
				continue;
			before = stats;
			assert_int_equal(cw_handle_stats(handle, &stats), 0);
			assert_true(stats.received >= before.received || number < 100);
		}
		last_ns = 0;
		assert_int_equal(cw_handle_next(handle, packets), CW_NEXT_TIMEOUT);
		assert_int_equal(cw_handle_stats(handle, &stats), 0);
		assert_int_equal(stats.received, 3000);
		assert_int_equal(stats.kernel_dropped, 0);
		assert_int_equal(stats.interface_dropped, 0);
		stats = (struct cw_stats){0};
		cw_handle_free(handle);
	}
}

static void a_flood_is_counted_to_the_packet(void **state)
{
	struct cw_handle *handle;
	struct cw_packet packet;
	struct cw_stats stats;
	uint32_t count = 0;

	NEED_DEVICES();
	assert_int_equal(cw_handle_create(&handle, "in", NULL), 0);
	assert_int_equal(cw_handle_set_buffer_bytes(handle, 1 << 20), 0);
	assert_int_equal(cw_handle_set_timeout(handle, QUIET), 0);
	assert_true(cw_handle_activate(handle, NULL) >= 0);
	send_numbers(0, 5000, 1500); /* more than the buffer has room for */
	do {
		while (cw_handle_next(handle, &packet) == CW_NEXT_OK)
			count++;
		assert_int_equal(cw_handle_stats(handle, &stats), 0);
	} while (count < stats.received || stats.received + stats.kernel_dropped < 5000);
	assert_true(stats.kernel_dropped > 0);
	assert_int_equal(stats.received, count);
	assert_int_equal(stats.received + stats.kernel_dropped, 5000);
	cw_handle_free(handle);
}

static void what_cannot_be_injected_is_told(void **state)
{
	struct cw_handle *handle;
	static uint8_t frame[20000];

	NEED_DEVICES();
	handle = open_device("out", 0);
	assert_int_equal(cw_handle_inject(handle, frame, 0), -EINVAL);
	assert_int_equal(cw_handle_inject(handle, frame, sizeof(frame)), -EMSGSIZE);
	assert_true(cw_handle_error(handle)[0]);
	assert_int_equal(cw_handle_inject(handle, make_frame(1, 60), 60), 0);
	cw_handle_free(handle);
}

static void snaplen_cuts(void **state)
{
	struct cw_handle *handle;
	struct cw_packet packet;

	NEED_DEVICES();
	assert_int_equal(cw_handle_open_live(&handle, "in", 50, true, CW_TIMEOUT_NEVER, NULL), 0);
	assert_int_equal(cw_handle_snaplen(handle), 50);
	send_numbers(7, 1, 200);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_OK);
	assert_int_equal(packet.caplen, 50);
	assert_int_equal(packet.wire_len, 200);
	assert_int_equal(number_of(&packet), 7);
	cw_handle_free(handle);
}

/* ---- filters and directions ---- */

/* So many packets come, and no more. Fills their numbers. */
static void expect_numbers(struct cw_handle *handle, uint32_t *numbers, uint32_t count)
{
	struct cw_packet packet;

	while (count--) {
		assert_int_equal(read_packet(handle, &packet), CW_NEXT_OK);
		*numbers++ = number_of(&packet);
	}
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_TIMEOUT);
}

static void filters_let_through_what_they_say(void **state)
{
	struct cw_handle *handle;
	struct cw_stats stats;
	uint32_t numbers[100];
	struct cw_filter *filter;
	const struct bpf_insn *program;
	uint32_t length;

	NEED_DEVICES();
	handle = open_device("in", QUIET);
	assert_int_equal(cw_handle_set_filter(handle, "udp dst port 1001", NULL), 0);
	send_numbers(0, 10, 60);
	expect_numbers(handle, numbers, 5);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(numbers[i], 2 * i + 1);
	assert_int_equal(cw_handle_stats(handle, &stats), 0);
	assert_int_equal(stats.received, 5); /* the kernel left the others out */
	assert_int_equal(cw_handle_set_filter(handle, "udp dst port 1000", NULL), 0);
	send_numbers(10, 10, 60);
	expect_numbers(handle, numbers, 5);
	assert_int_equal(numbers[0], 10);
	assert_int_equal(cw_handle_set_filter(handle, "", NULL), 0);
	send_numbers(20, 10, 60);
	expect_numbers(handle, numbers, 10);
	assert_int_equal(cw_handle_compile(handle, &filter, "udp dst port 1001", NULL), 0);
	program = cw_filter_program(filter, &length);
	assert_int_equal(cw_handle_set_filter_program(handle, program, length, NULL), 0);
	cw_filter_free(filter);
	send_numbers(30, 10, 60);
	expect_numbers(handle, numbers, 5);
	cw_handle_free(handle);
}

/* So many packets of 200 bytes come, truncated to 34, and no more. */
static void expect_short(struct cw_handle *handle, uint32_t count)
{
	struct cw_packet packets[16];
	uint32_t found = 0;
	int result;

	while ((result = cw_handle_next_burst(handle, packets, 1 + found % 16)) > 0 ||
	       (found < count && result == CW_NEXT_TIMEOUT))
		for (int i = 0; i < result; i++, found++) {
			assert_int_equal(packets[i].caplen, 34);
			assert_int_equal(packets[i].wire_len, 200);
		}
	assert_int_equal(result, CW_NEXT_TIMEOUT);
	assert_int_equal(found, count);
}

static void filters_see_bytes_after_the_snapshot_length(void **state)
{
	struct cw_interface interface_;
	struct cw_handle *handle;
	struct cw_packet packet;

	NEED_DEVICES();
	for (int is_pcap = 0; is_pcap < 2; is_pcap++) {
		assert_int_equal(cw_handle_create(&handle, "in", NULL), 0);
		assert_int_equal(cw_handle_set_snaplen(handle, 34), 0);
		assert_int_equal(cw_handle_set_timeout(handle, QUIET), 0);
		if (is_pcap) /* only libpcap sets clocks */
			assert_int_equal(cw_handle_set_timestamp_source(handle, PCAP_TSTAMP_HOST),
					 0);
		assert_true(cw_handle_activate(handle, NULL) >= 0);
		assert_int_equal(cw_handle_set_filter(handle, "udp dst port 1001", NULL), 0);
		send_numbers(0, 20, 200);
		expect_short(handle, 10);
		assert_int_equal(cw_handle_set_filter(handle, "ether[44:2] < 5", NULL), 0);
		send_numbers(0, 20, 200);
		expect_short(handle, 5);
		assert_int_equal(cw_handle_set_filter(handle, "udp[150] = 0", NULL), 0);
		send_numbers(0, 20, 200);
		expect_short(handle, 20);
		/* Decoded packets that were not read yet are matched again, complete. */
		assert_int_equal(cw_handle_set_filter(handle, "", NULL), 0);
		send_numbers(0, 20, 200);
		assert_int_equal(read_packet(handle, &packet), CW_NEXT_OK);
		assert_int_equal(packet.caplen, 34);
		assert_int_equal(cw_handle_set_filter(handle, "udp dst port 1001", NULL), 0);
		expect_short(handle, 10);
		assert_int_equal(cw_handle_interface(handle, 0, &interface_), 0);
		assert_int_equal(interface_.snaplen, 34);
		cw_handle_free(handle);
	}
}

/* `ip broadcast` asks for the device's netmask: 10.0.0.2 is one in 10.0.0.0/31 shifted, not in /8.
 */
static void broadcast_takes_the_netmask_of_the_device(void **state)
{
	struct cw_error error = {0};
	struct cw_handle *handle;
	uint32_t numbers[10];

	NEED_DEVICES();
	handle = open_device("in", QUIET);
	assert_int_equal(cw_handle_set_filter(handle, "ip broadcast", &error), -EINVAL);
	assert_non_null(strstr(error.text, "netmask"));
	cw_handle_free(handle);
	/* In 10.0.0.0/255.255.255.253 no host bit but the second is there: 10.0.0.2 is all ones. */
	assert_true(rig_run("ip addr add 10.0.0.0/30 broadcast 10.0.0.3 dev in"));
	handle = open_device("in", QUIET);
	assert_int_equal(cw_handle_set_filter(handle, "ip broadcast", &error), 0);
	send_numbers(0, 4, 60); /* to 10.0.0.2: neither all ones nor all zeros */
	expect_numbers(handle, numbers, 0);
	cw_handle_free(handle);
	assert_true(rig_run("ip addr flush dev in && ip addr add 10.0.0.2/31 dev in"));
	handle = open_device("in", QUIET);
	assert_int_equal(cw_handle_set_filter(handle, "ip broadcast", &error), 0);
	send_numbers(0, 4, 60); /* all of its one host bit is zero */
	expect_numbers(handle, numbers, 4);
	cw_handle_free(handle);
	assert_true(rig_run("ip addr flush dev in"));
}

static void directions_are_kept_apart(void **state)
{
	static const struct {
		enum cw_direction direction;
		uint32_t expected;
	} cases[] = {{CW_DIRECTION_BOTH, 10}, {CW_DIRECTION_IN, 0}, {CW_DIRECTION_OUT, 10}};
	struct cw_handle *handle;
	uint32_t numbers[100];

	NEED_DEVICES();
	for (size_t i = 0; i < 2 * CW_ARRAY_COUNT(cases); i++) {
		bool is_after = i % 2;

		assert_int_equal(cw_handle_create(&handle, "out", NULL), 0);
		assert_int_equal(cw_handle_set_timeout(handle, QUIET), 0);
		assert_int_equal(cw_handle_set_direction(handle, (enum cw_direction)9, NULL),
				 -EINVAL);
		if (!is_after)
			assert_int_equal(
			    cw_handle_set_direction(handle, cases[i / 2].direction, NULL), 0);
		assert_true(cw_handle_activate(handle, NULL) >= 0);
		if (is_after)
			assert_int_equal(
			    cw_handle_set_direction(handle, cases[i / 2].direction, NULL), 0);
		send_numbers(0, 10, 60);
		expect_numbers(handle, numbers, cases[i / 2].expected);
		cw_handle_free(handle);
	}
}

/* ---- activation ---- */

static void activation_says_what_became_of_it(void **state)
{
	struct cw_error error = {0};
	struct cw_handle *handle;

	NEED_DEVICES();
	handle = open_device("in", 0);
	assert_int_equal(cw_handle_activate(handle, &error), CW_ALREADY_ACTIVATED);
	assert_int_equal(cw_handle_set_snaplen(handle, 100), CW_ALREADY_ACTIVATED);
	assert_int_equal(cw_handle_set_promiscuous(handle, true), CW_ALREADY_ACTIVATED);
	assert_int_equal(cw_handle_set_timeout(handle, 1), CW_ALREADY_ACTIVATED);
	assert_int_equal(cw_handle_set_immediate(handle, true), CW_ALREADY_ACTIVATED);
	assert_int_equal(cw_handle_set_buffer_bytes(handle, 1 << 20), CW_ALREADY_ACTIVATED);
	assert_int_equal(cw_handle_set_rfmon(handle, true), CW_ALREADY_ACTIVATED);
	assert_int_equal(cw_handle_set_timestamp_source(handle, 0), CW_ALREADY_ACTIVATED);
	assert_int_equal(cw_handle_set_precision_ns(handle, true), CW_ALREADY_ACTIVATED);
	cw_handle_free(handle);

	assert_int_equal(cw_handle_create(&handle, "in", NULL), 0);
	assert_int_equal(cw_handle_set_rfmon(handle, true), 0);
	assert_int_equal(cw_handle_activate(handle, &error), CW_CANNOT_SET_RFMON);
	assert_int_equal(error.code, CW_CANNOT_SET_RFMON);
	assert_non_null(strstr(error.text, "monitor mode"));
	assert_int_equal(cw_handle_set_rfmon(handle, false), 0); /* it stayed inactive */
	assert_int_equal(cw_handle_activate(handle, &error), 0);
	cw_handle_free(handle);

	assert_true(rig_run("ip link set in down"));
	assert_int_equal(cw_handle_open_live(&handle, "in", 0, false, 0, &error), -ENETDOWN);
	assert_null(handle);
	assert_non_null(strstr(error.text, "down"));
	assert_true(rig_run("ip link set in up"));
}

static void a_device_that_goes_is_told(void **state)
{
	struct cw_handle *handle;
	struct cw_packet packet;

	NEED_DEVICES();
	assert_true(rig_run("ip link add left type veth peer name right && "
			    "ip link set left up && ip link set right up"));
	handle = open_device("left", QUIET);
	while (cw_handle_next(handle, &packet) == CW_NEXT_OK)
		;
	assert_true(rig_run("ip link set left down"));
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_TIMEOUT);
	assert_non_null(strstr(cw_handle_error(handle), "went down"));
	assert_true(rig_run("ip link set left up"));
	assert_true(rig_run("ip link del left"));
	while (cw_handle_next(handle, &packet) >= 0)
		;
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_ERROR);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_ERROR);
	assert_non_null(strstr(cw_handle_error(handle), "was removed"));
	cw_handle_free(handle);
}

static void link_types_and_clocks_are_listed(void **state)
{
	struct cw_timestamp_source *sources;
	struct cw_handle *handle;
	uint32_t *linktypes;
	int count;

	NEED_DEVICES();
	assert_int_equal(cw_handle_create(&handle, "in", NULL), 0);
	assert_int_equal(cw_handle_linktypes(handle, &linktypes, NULL), CW_NOT_ACTIVATED);
	count = cw_handle_timestamp_sources(handle, &sources, NULL);
	assert_true(count >= 1);
	assert_string_equal(sources[0].name, "host");
	assert_true(sources[0].description[0]);
	assert_int_equal(cw_handle_set_timestamp_source(handle, sources[0].value), 0);
	free(sources);
	assert_int_equal(cw_handle_set_timeout(handle, QUIET), 0);
	assert_true(cw_handle_activate(handle, NULL) >= 0); /* with libpcap */
	send_numbers(3, 1, 60);
	{
		struct cw_packet packet;

		assert_int_equal(read_packet(handle, &packet), CW_NEXT_OK);
		assert_int_equal(number_of(&packet), 3);
	}
	cw_handle_free(handle);
	handle = open_device("in", QUIET);
	count = cw_handle_linktypes(handle, &linktypes, NULL);
	assert_true(count >= 1);
	assert_int_equal(linktypes[0], CW_LINKTYPE_ETHERNET);
	assert_int_equal(cw_handle_set_linktype(handle, 105, NULL), -EINVAL);
	if (count > 1) { /* DOCSIS: Ethernet frames by another name */
		struct cw_interface interface_;

		assert_int_equal(cw_handle_set_linktype(handle, linktypes[1], NULL), 0);
		assert_int_equal(cw_handle_linktype(handle), linktypes[1]);
		assert_int_equal(cw_handle_interface(handle, 0, &interface_), 0);
		assert_int_equal(interface_.linktype, linktypes[1]);
		assert_string_equal(interface_.name, "in");
	}
	free(linktypes);
	cw_handle_free(handle);
}

/* A file whose first packet is Ethernet and whose second packet has another link type. */
static void a_dumper_follows_the_link_type(void **state)
{
	static const enum cw_dumper_format formats[] = {CW_DUMPER_PCAP, CW_DUMPER_PCAPNG};
	char file[] = "/tmp/capweir-linktypes-XXXXXX";
	struct cw_interface interface_;
	struct cw_handle *handle;
	struct cw_dumper *dumper;
	struct cw_packet packet;
	uint32_t *linktypes, other;
	int fd;

	NEED_DEVICES();
	fd = mkstemp(file);
	assert_true(fd >= 0);
	close(fd);
	for (size_t i = 0; i < CW_ARRAY_COUNT(formats); i++) {
		bool is_pcapng = formats[i] == CW_DUMPER_PCAPNG;

		handle = open_device("in", QUIET);
		assert_int_equal(cw_handle_linktypes(handle, &linktypes, NULL), 2);
		other = linktypes[1];
		free(linktypes);
		assert_int_equal(cw_dumper_open(&dumper, handle, file, formats[i], NULL), 0);
		send_numbers(7, 2, 60);
		assert_int_equal(read_packet(handle, &packet), CW_NEXT_OK);
		assert_int_equal(cw_dumper_write(dumper, &packet), 0);
		assert_int_equal(cw_handle_set_linktype(handle, other, NULL), 0);
		assert_int_equal(read_packet(handle, &packet), CW_NEXT_OK);
		assert_int_equal(cw_dumper_write(dumper, &packet),
				 is_pcapng ? 0 : CW_OTHER_LINKTYPE);
		assert_int_equal(cw_dumper_close(dumper), 0);
		cw_handle_free(handle);
		assert_int_equal(cw_handle_open_offline(&handle, file, NULL), 0);
		assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_OK);
		assert_int_equal(cw_handle_linktype(handle), CW_LINKTYPE_ETHERNET);
		assert_int_equal(cw_handle_next(handle, &packet),
				 is_pcapng ? CW_NEXT_OK : CW_NEXT_END);
		if (is_pcapng) {
			assert_int_equal(cw_handle_interface(handle, packet.iface, &interface_), 0);
			assert_int_equal(interface_.linktype, other);
		}
		cw_handle_free(handle);
	}
	unlink(file);
}

static void a_closed_handle_sends_nothing_and_still_counts(void **state)
{
	struct cw_handle *handle;
	struct cw_stats stats;

	NEED_DEVICES();
	handle = open_device("in", QUIET);
	cw_handle_close(handle);
	assert_int_equal(cw_handle_inject(handle, make_frame(1, 60), 60), CW_CLOSED);
	assert_int_equal(cw_handle_set_filter(handle, "ip", NULL), CW_CLOSED);
	assert_int_equal(cw_handle_set_filter_program(handle, NULL, 0, NULL), CW_CLOSED);
	assert_int_equal(cw_handle_set_direction(handle, CW_DIRECTION_IN, NULL), CW_CLOSED);
	assert_int_equal(cw_handle_set_linktype(handle, CW_LINKTYPE_ETHERNET, NULL), CW_CLOSED);
	assert_int_equal(cw_handle_stats(handle, &stats), 0);
	assert_string_equal(cw_handle_error(handle), "the handle was closed");
	cw_handle_free(handle);
}

static void any_is_read_with_libpcap(void **state)
{
	struct cw_handle *handle;
	struct cw_packet packet;
	struct cw_stats stats;

	NEED_DEVICES();
	handle = open_device("any", QUIET);
	assert_int_equal(cw_handle_linktype(handle), CW_LINKTYPE_LINUX_SLL);
	send_numbers(0, 10, 60);
	for (uint32_t count = 0; count < 20; count++) /* out, and in */
		assert_int_equal(read_packet(handle, &packet), CW_NEXT_OK);
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_TIMEOUT);
	assert_int_equal(cw_handle_stats(handle, &stats), 0);
	assert_int_equal(stats.received, 20);
	assert_int_equal(cw_handle_set_direction(handle, CW_DIRECTION_IN, NULL), -EOPNOTSUPP);
	assert_true(cw_handle_inject(handle, make_frame(0, 60), 60) < 0);
	cw_handle_free(handle);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_injected_is_read),
	    cmocka_unit_test(a_flood_is_counted_to_the_packet),
	    cmocka_unit_test(what_cannot_be_injected_is_told),
	    cmocka_unit_test(snaplen_cuts),
	    cmocka_unit_test(filters_let_through_what_they_say),
	    cmocka_unit_test(filters_see_bytes_after_the_snapshot_length),
	    cmocka_unit_test(broadcast_takes_the_netmask_of_the_device),
	    cmocka_unit_test(directions_are_kept_apart),
	    cmocka_unit_test(activation_says_what_became_of_it),
	    cmocka_unit_test(a_device_that_goes_is_told),
	    cmocka_unit_test(link_types_and_clocks_are_listed),
	    cmocka_unit_test(a_dumper_follows_the_link_type),
	    cmocka_unit_test(a_closed_handle_sends_nothing_and_still_counts),
	    cmocka_unit_test(any_is_read_with_libpcap),
	};

	return RUN_TESTS(300, tests, make_devices, NULL, argc, argv);
}
