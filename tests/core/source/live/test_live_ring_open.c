/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the AF_PACKET source can open and what it says of the rest: other devices, missing rights
 * and memory, calls of the system that fail.
 */
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

#include <pcap/pcap.h>

#include "core/filter/filter.h"
#include "core/packet/linktype.h"
#include "tests/rig/live_source.h"

/* ---- system calls that tests let fail ---- */

static int failing_option = -1; /* of SOL_PACKET or SOL_SOCKET */
static int failing_errno;
static int failures_left;
static int ring_requests;
static uint64_t pretended_ram;

int __real_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes);
int __real_sysinfo(struct sysinfo *info);
int __wrap_sysinfo(struct sysinfo *info);

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t bytes)
{
	if (level == SOL_PACKET && option == PACKET_RX_RING) /* one thread opens */
		ring_requests++;
	if (failures_left && option == failing_option) {
		failures_left--;
		errno = failing_errno;
		return -1;
	}
	return __real_setsockopt(fd, level, option, value, bytes);
}

int __wrap_sysinfo(struct sysinfo *info)
{
	int result = __real_sysinfo(info);

	if (pretended_ram) {
		info->totalram = pretended_ram;
		info->mem_unit = 1;
	}
	return result;
}

/* A device with a clock of its own, or with reasons not to switch it on. */
static bool is_clock_pretended;
static int clock_errno;
static int clock_rx_filter;

int __real_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument);

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	struct hwtstamp_config *config;

	if (!is_clock_pretended || request != SIOCSHWTSTAMP)
		return __real_ioctl(fd, request, argument);
	config = (void *)((struct ifreq *)argument)->ifr_data;
	assert_int_equal(config->rx_filter, HWTSTAMP_FILTER_ALL);
	config->rx_filter = clock_rx_filter;
	errno = clock_errno;
	return clock_errno ? -1 : 0;
}

static void pretend_clock(int code, int rx_filter)
{
	is_clock_pretended = true;
	clock_errno = code;
	clock_rx_filter = rx_filter;
}

static void let_fail(int option, int code, int times)
{
	failing_option = option;
	failing_errno = code;
	failures_left = times;
}

/* ---- prefilter ---- */

static void prefilter_keeps_the_rest_out_of_the_books(void **state)
{
	const struct cw_filter_options filter_options = {.linktype = CW_LINKTYPE_ETHERNET};
	struct rig_sending sending = sending_of(plain_shape(100), FLOWS * 10, 0);
	struct bpf_insn returns_a[] = {BPF_STMT(BPF_LD | BPF_IMM, 1), BPF_STMT(BPF_RET | BPF_A, 0)};
	/* counts on A being 0 at the start, whatever is put before it */
	struct bpf_insn starts_at_0[] = {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
					 BPF_STMT(BPF_RET | BPF_K, 1),
					 BPF_STMT(BPF_RET | BPF_K, 0)};
	struct cw_live_options options = small_options();
	struct cw_packet packets[BURST];
	struct cw_cursor cursor = {0};
	struct cw_error error = {0};
	struct cw_live_stats stats;
	struct cw_filter *filter;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	int what;

	NEED_DEVICES();
	assert_int_equal(cw_filter_compile(&filter, "udp src port 10003 or udp src port 10005",
					   &filter_options, &error),
			 0);
	options.program = cw_filter_program(filter, &options.instruction_count);
	options.snaplen = 70;
	options.direction = CW_LIVE_IN;
	live = open_live(&options);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
	assert_int_equal(cw_span_decode(&span, &cursor, packets, BURST), span.record_count);
	assert_int_equal(packets[0].caplen, 70);
	assert_int_equal(packets[0].wire_len, 100);
	assert_true(span.bytes <= span.record_count * (70 + 104)); /* nothing more copied */
	cw_lease_give_back(&lease);
	assert_int_equal(span.record_count + count_seen(live, 1, 20), 20);
	cw_live_stats(live, 0, &stats);
	assert_int_equal(stats.kernel_seen, 20);
	assert_int_equal(cw_live_prefilter(live, 0, NULL, 0, UINT32_MAX, &error), 0);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(count_seen(live, 1, 20 + sending.count), sending.count);
	assert_int_equal(cw_live_prefilter(live, 0, starts_at_0, 3, UINT32_MAX, &error), 0);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(count_seen(live, 1, 20 + 2 * sending.count), sending.count);
	assert_int_equal(cw_live_prefilter(live, 0, returns_a, 2, UINT32_MAX, &error), -EINVAL);
	assert_non_null(strstr(error.text, "returns A"));
	assert_int_equal(cw_live_prefilter(live, 0, starts_at_0, 5000, UINT32_MAX, &error), -E2BIG);
	assert_int_equal(cw_live_stop(live, 0), 0);
	assert_int_equal(cw_live_prefilter(live, 0, NULL, 0, UINT32_MAX, &error), -EINVAL);
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(count_until(live, 0, -1, &what), 0);
	assert_int_equal(what, -ENODATA);
	cw_live_close(live);
	cw_filter_free(filter);
}

/* ---- other devices, and what cannot be opened ---- */

static void tun_device_is_raw_ip(void **state)
{
	uint8_t packet[28] = {0x45, 0, 0, 28, 0, 1, 0, 0, 64, 17, 0, 0, 10, 9, 9, 1, 10, 9, 9, 2};
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "tun9"};
	struct cw_live_options options = small_options();
	struct cw_packet packets[BURST];
	struct cw_cursor cursor = {0};
	struct cw_live_info info;
	struct cw_lease lease;
	struct cw_span span;
	struct cw_live *live;
	int fd;

	NEED_DEVICES();
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0) {
		printf("skipped: no tun devices here\n");
		skip();
	}
	assert_true(rig_run("ip link set tun9 up"));
	options.device = "tun9";
	live = open_live(&options);
	cw_live_info(live, &info);
	assert_int_equal(info.linktype, CW_LINKTYPE_RAW);
	assert_int_equal(write(fd, packet, sizeof(packet)), sizeof(packet));
	assert_int_equal(cw_live_next(live, 0, 0, PATIENCE_MS, &span, &lease), 1);
	assert_int_equal(cw_span_decode(&span, &cursor, packets, BURST), 1);
	assert_int_equal(packets[0].caplen, sizeof(packet));
	assert_memory_equal(packets[0].data, packet, sizeof(packet));
	cw_lease_give_back(&lease);
	cw_live_close(live);
	close(fd);
}

/* A tun device can claim to be anything. */
static void refuse_odd_link_type(void)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "tun8"};
	struct cw_live_options options = small_options();
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETLINK, ARPHRD_PPP) < 0) {
		printf("no tun devices here: the refusal of link types is not tried\n");
	} else {
		assert_true(rig_run("ip link set tun8 up"));
		options.device = "tun8";
		refused(options, -EPROTONOSUPPORT, "libpcap");
	}
	close(fd);
}

static void what_cannot_be_opened_says_why_and_what_to_do(void **state)
{
	struct bpf_insn broken[] = {BPF_STMT(BPF_LD | BPF_IMM, 1)};
	struct cw_live_options options = small_options();
	uint32_t descriptors = open_descriptors();

	NEED_DEVICES();
	options.device = "nosuch0";
	refused(options, -ENODEV, "nosuch0");
	options.device = "a name that is too long for a device";
	refused(options, -ENODEV, "too long");
	options.device = "";
	refused(options, -ENODEV, "no such interface");
	options.device = "any";
	refused(options, -EPROTONOSUPPORT, "libpcap");
	assert_true(rig_run("ip link add down0 type veth peer name down1"));
	options.device = "down0";
	refused(options, -ENETDOWN, "ip link set down0 up");
	refuse_odd_link_type();
	options.device = "in";
	options.snaplen = CW_CAPLEN_MAX + 1;
	refused(options, -EINVAL, "snapshot length");
	options = small_options();
	options.queue_count = CW_LIVE_QUEUES_MAX + 1;
	refused(options, -EINVAL, "queue count");
	options = small_options();
	options.block_count = CW_LIVE_BLOCKS_MIN - 1;
	refused(options, -EINVAL, "block count");
	options = small_options();
	options.retire_ms = CW_LIVE_RETIRE_MS_MAX + 1;
	refused(options, -EINVAL, "retire time");
	options = small_options();
	options.block_bytes = CW_LIVE_BLOCK_BYTES_MAX + 1;
	refused(options, -EINVAL, "block size");
	options = small_options();
	options.program = broken;
	options.instruction_count = 1;
	refused(options, -EINVAL, "filter");
	assert_int_equal(open_descriptors(), descriptors);
}

static void clock_of_the_adapter_is_asked_for(void **state)
{
	struct cw_live_options options = small_options();
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live *live;

	NEED_DEVICES();
	options.clock = CW_LIVE_CLOCK_ADAPTER;
	refused(options, -EOPNOTSUPP, "host's"); /* the device as it is */
	pretend_clock(EPERM, 0);
	refused(options, -EPERM, "CAP_NET_ADMIN");
	pretend_clock(0, HWTSTAMP_FILTER_NONE);
	refused(options, -EOPNOTSUPP, "host's");
	pretend_clock(0, HWTSTAMP_FILTER_ALL);
	live = open_live(&options); /* packets without its stamp have the host's */
	assert_int_equal(rig_send(&sending), sending.count);
	assert_int_equal(count_seen(live, 1, sending.count), sending.count);
	cw_live_close(live);
	let_fail(PACKET_TIMESTAMP, EINVAL, 1);
	refused(options, -EINVAL, "clock");
	is_clock_pretended = false;
}

static void each_failing_call_is_told_and_undone(void **state)
{
	static const int sets[] = {PACKET_VERSION, PACKET_RESERVE,        PACKET_RX_RING,
				   PACKET_FANOUT,  PACKET_ADD_MEMBERSHIP, SO_ATTACH_FILTER};
	struct cw_live_options options = small_options();
	uint32_t descriptors = open_descriptors();
	size_t i;

	NEED_DEVICES();
	options.queue_count = 2;
	options.promiscuous = true;
	for (i = 0; i < CW_ARRAY_COUNT(sets); i++) {
		let_fail(sets[i], EIO, 1);
		refused(options, -EIO, strerror(EIO));
		assert_int_equal(failures_left, 0);
	}
	assert_int_equal(open_descriptors(), descriptors);
	let_fail(-1, 0, 0);
	cw_live_close(open_live(&options));
	assert_int_equal(open_descriptors(), descriptors);
}

static void ring_is_halved_while_memory_is_short(void **state)
{
	struct cw_live_options options = small_options();
	struct cw_error error = {0};
	struct cw_live_info info;
	struct cw_live *live;

	NEED_DEVICES();
	let_fail(PACKET_RX_RING, ENOMEM, 1);
	assert_int_equal(cw_live_open(&live, &ifaces, &options, &error), CW_LIVE_FEWER_BLOCKS);
	assert_int_equal(error.code, 0);
	assert_non_null(strstr(error.text, "16 blocks"));
	cw_live_info(live, &info);
	assert_int_equal(info.block_count, 8);
	cw_live_close(live);
	ring_requests = 0;
	let_fail(PACKET_RX_RING, ENOMEM, 100);
	refused(options, -ENOMEM, "even 4 blocks");
	assert_int_equal(ring_requests, 3);
	let_fail(-1, 0, 0);
	/* More than the machine can have is not asked for: the kernel would end processes. */
	pretended_ram = 8 << 20;
	options.queue_count = 2;
	assert_int_equal(cw_live_open(&live, &ifaces, &options, &error), CW_LIVE_FEWER_BLOCKS);
	cw_live_info(live, &info);
	assert_int_equal(info.block_count, 4);
	cw_live_close(live);
	pretended_ram = 0;
}

static void rings_beyond_half_of_the_memory_are_refused(void **state)
{
	struct cw_live_options options = small_options();
	struct cw_error error = {0};
	struct cw_live_info info;
	struct cw_live *live;
	uint64_t least;

	NEED_DEVICES();
	options.queue_count = 2;
	options.block_count = CW_LIVE_BLOCKS_MIN;
	assert_int_equal(cw_live_open(&live, &ifaces, &options, &error), 0);
	cw_live_info(live, &info);
	cw_live_close(live);
	least = 2 * CW_LIVE_BLOCKS_MIN * info.block_bytes;
	ring_requests = 0;
	/* By a byte; and what other devices have counts. No memory is asked for. */
	pretended_ram = 2 * least - 2;
	refused(options, -ENOMEM, "half the machine's memory");
	pretended_ram = 2 * least + 2 * 4096;
	options.memory_taken = 4097;
	refused(options, -ENOMEM, "half the machine's memory");
	options.memory_taken = UINT64_MAX;
	refused(options, -ENOMEM, "half the machine's memory");
	assert_int_equal(ring_requests, 0);
	options.memory_taken = 4096;
	cw_live_close(open_live(&options));
	assert_int_equal(ring_requests, 2);
	pretended_ram = 0;
}

/* In a child that gives its rights up. What it ends with: 0, or the step that went wrong. */
static int lose_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	struct rig_sending sending = sending_of(plain_shape(60), 10, 0);
	struct cw_live_options options = small_options();
	struct cw_live *before, *after;
	struct cw_error error = {0};
	int what;

	if (cw_live_open(&before, &ifaces, &options, &error) != 0)
		return 1;
	if (rig_send(&sending) != 10)
		return 2;
	if (syscall(SYS_capset, &head, none) < 0)
		return 3;
	if (cw_live_open(&after, &ifaces, &options, &error) != -EPERM ||
	    !strstr(error.text, "CAP_NET_RAW") || !strstr(error.text, "setcap"))
		return 4;
	if (cw_live_prefilter(before, 0, NULL, 0, UINT32_MAX, &error) < 0 ||
	    cw_live_stop(before, 0) < 0)
		return 5;
	if (count_until(before, 0, -1, &what) != 10 || what != -ENODATA)
		return 6;
	cw_live_close(before);
	return 0;
}

static void without_the_capability_what_is_open_goes_on_and_the_rest_says_what_to_do(void **state)
{
	NEED_DEVICES();
	assert_child_is_content(lose_capabilities);
}

static void promiscuous_mode_is_on_while_open(void **state)
{
	struct cw_live_options options = small_options();
	struct cw_live *live;

	NEED_DEVICES();
	options.queue_count = 2;
	options.promiscuous = true;
	live = open_live(&options);
	assert_true(rig_run("ip -d link show in | grep -q 'promiscuity 1'"));
	cw_live_close(live);
	assert_true(rig_run("ip -d link show in | grep -q 'promiscuity 0'"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(prefilter_keeps_the_rest_out_of_the_books),
	    cmocka_unit_test(tun_device_is_raw_ip),
	    cmocka_unit_test(what_cannot_be_opened_says_why_and_what_to_do),
	    cmocka_unit_test(clock_of_the_adapter_is_asked_for),
	    cmocka_unit_test(each_failing_call_is_told_and_undone),
	    cmocka_unit_test(ring_is_halved_while_memory_is_short),
	    cmocka_unit_test(rings_beyond_half_of_the_memory_are_refused),
	    cmocka_unit_test(
		without_the_capability_what_is_open_goes_on_and_the_rest_says_what_to_do),
	    cmocka_unit_test(promiscuous_mode_is_on_while_open),
	};

	return RUN_TESTS(540, tests, make_rig, end_rig, argc, argv);
}
