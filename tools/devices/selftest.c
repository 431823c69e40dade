/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests one interface: opens it, sends, captures, judges. */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "core/filter/filter.h"
#include "core/packet/linktype.h"
#include "core/source/live/live.h"
#include "core/source/live/transmit.h"
#include "tools/devices/selftest.h"

#define FRAME_BYTES 60u
#define SNAPLEN 256u
#define BLOCK_BYTES ((size_t)256 << 10)
#define BLOCK_COUNT 16u
#define RETIRE_MS 5u
#define BURST 64u
#define ETHERTYPE 0x88b5u
#define PROTOCOL 253u
#define CLOCK_SLACK_NS 1000000 /* tolerance between two clocks of the kernel */

struct selftest {
	const struct cw_netdev *device, *from;
	enum cw_selftest_mode mode;
	struct cw_selftest_result *result;
	struct cw_ifaces ifaces;
	struct cw_live *live;
	struct cw_live_info info;
	struct cw_transmit *transmit;
	struct cw_filter *filter; /* NULL: no filter */
	uint32_t linktype;
	uint32_t run;      /* random ID of the run, in every frame */
	uint32_t numbers;  /* bit n: frame n was captured */
	uint32_t next;     /* least number that is in order */
	uint64_t first_ns; /* CLOCK_REALTIME before sending */
	uint64_t last_ts;
	bool has_odd_ns;
};

static_assert(CW_SELFTEST_FRAMES <= 32, "one bit for each frame");

/* ---- frames ---- */

static uint32_t header_bytes(const struct selftest *test)
{
	return test->linktype == CW_LINKTYPE_RAW ? 20 : 14;
}

static void put_u32(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 24);
	to[1] = (uint8_t)(value >> 16);
	to[2] = (uint8_t)(value >> 8);
	to[3] = (uint8_t)value;
}

static void put_checksum(uint8_t *header)
{
	uint32_t sum = 0;
	size_t at;

	for (at = 0; at < 20; at += 2)
		sum += cw_load_be16(header + at);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~(sum + (sum >> 16));
	header[10] = (uint8_t)(sum >> 8);
	header[11] = (uint8_t)sum;
}

static void make_frame(const struct selftest *test, uint32_t number, uint8_t frame[FRAME_BYTES])
{
	static const uint8_t ip_header[20] = {0x45, 0, 0,   FRAME_BYTES, 0, 0, 0,   0, 1, PROTOCOL,
					      0,    0, 192, 0,           2, 1, 192, 0, 2, 2};
	uint32_t at = header_bytes(test);

	memset(frame, 0, FRAME_BYTES);
	if (test->linktype == CW_LINKTYPE_RAW) {
		memcpy(frame, ip_header, sizeof(ip_header));
		put_checksum(frame);
	} else {
		memcpy(frame, test->from->hardware, 6);
		memcpy(frame + 6, test->from->hardware, 6);
		frame[12] = ETHERTYPE >> 8;
		frame[13] = ETHERTYPE & 0xff;
	}
	put_u32(frame + at, test->run);
	put_u32(frame + at + 4, number);
}

/* Returns the number of a frame; -ENOENT for a packet of another sender, -EBADMSG if damaged. */
static int frame_number(const struct selftest *test, const struct cw_packet *packet)
{
	uint32_t at = header_bytes(test);
	uint8_t whole[FRAME_BYTES];
	uint32_t number;

	if (packet->caplen < at + 8 || cw_load_be32(packet->data + at) != test->run)
		return -ENOENT;
	number = cw_load_be32(packet->data + at + 4);
	if (number >= CW_SELFTEST_FRAMES)
		return -EBADMSG;
	make_frame(test, number, whole);
	if (packet->caplen < FRAME_BYTES || memcmp(packet->data, whole, FRAME_BYTES) != 0)
		return -EBADMSG;
	return (int)number;
}

/* Returns whether the filter should pass a frame, without asking the filter. */
static bool is_expected(const struct selftest *test, uint32_t number)
{
	return test->mode != CW_SELFTEST_FILTERED || number % 2 == 0;
}

/* ---- opening ---- */

static int compile(struct selftest *test, struct bpf_insn **program, uint32_t *count)
{
	const struct cw_filter_options options = {.linktype = test->linktype, .snaplen = SNAPLEN};
	struct cw_error *error = &test->result->failure;
	char text[160];
	int result;

	if (test->linktype == CW_LINKTYPE_RAW)
		snprintf(text, sizeof(text),
			 "ip proto %u and ip[20:4] = 0x%" PRIx32 " and ip[24:4] & 1 = 0", PROTOCOL,
			 test->run);
	else
		snprintf(text, sizeof(text),
			 "ether proto 0x%x and ether[14:4] = 0x%" PRIx32 " and ether[18:4] & 1 = 0",
			 ETHERTYPE, test->run);
	result = cw_filter_compile(&test->filter, text, &options, error);
	if (result != 0)
		return result < 0 ? result : -EINVAL; /* this text causes no warning */
	/* As capture does: the kernel filters if it can. */
	result = cw_filter_kernel_program(test->filter, program, count);
	return result == -EOPNOTSUPP ? 0 : result;
}

static int open_capture(struct selftest *test)
{
	struct cw_live_options options = {.device = test->device->name,
					  .snaplen = SNAPLEN,
					  .block_bytes = BLOCK_BYTES,
					  .block_count = BLOCK_COUNT,
					  .retire_ms = RETIRE_MS,
					  .wake_fd = -1};
	struct cw_error *error = &test->result->failure;
	struct bpf_insn *program = NULL;
	int result = 0;

	if (test->mode == CW_SELFTEST_FILTERED)
		result = compile(test, &program, &options.instruction_count);
	options.program = program;
	if (result == 0)
		result = cw_live_open(&test->live, &test->ifaces, &options, error);
	free(program);
	if (result < 0)
		return result;
	error->code = 0; /* only a warning, about the size of the kernel ring */
	cw_live_info(test->live, &test->info);
	test->result->backend = cw_live_backend_name(test->info.backend);
	if (test->info.linktype == test->linktype)
		return 0;
	return cw_error_set(error, -EPROTONOSUPPORT,
			    "capture on %s has another link type than sending", test->device->name);
}

static int open_both(struct selftest *test)
{
	struct cw_error *error = &test->result->failure;
	struct cw_transmit_info info;
	int result = cw_transmit_open(&test->transmit, test->from->name, error);

	if (result < 0)
		return result;
	cw_transmit_info(test->transmit, &info);
	test->linktype = info.linktype;
	if (info.linktype != CW_LINKTYPE_ETHERNET && info.linktype != CW_LINKTYPE_RAW)
		return cw_error_set(error, -EPROTONOSUPPORT,
				    "%s has a link type without harmless test frames: test another "
				    "interface",
				    test->device->name);
	if (info.mtu < FRAME_BYTES)
		return cw_error_set(error, -EMSGSIZE,
				    "the MTU of %s is below the %u bytes of a test frame",
				    test->from->name, FRAME_BYTES);
	if (getrandom(&test->run, sizeof(test->run), 0) != sizeof(test->run))
		return cw_error_set_errno(error, -errno, "cannot get a random number");
	return open_capture(test);
}

/* ---- sending and looking ---- */

static int send_frame(struct selftest *test, uint32_t number)
{
	uint8_t frame[FRAME_BYTES];
	const struct cw_packet packet = {.data = frame, .caplen = FRAME_BYTES};
	uint64_t end_ns = cw_now_ns() + CW_SELFTEST_WAIT_MS * UINT64_C(1000000);
	int taken;

	make_frame(test, number, frame);
	while ((taken = cw_transmit_send(test->transmit, &packet, 1)) == -EAGAIN &&
	       cw_now_ns() < end_ns)
		nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
	if (taken == 1) {
		test->result->sent++;
		test->result->expected += is_expected(test, number);
		return 0;
	}
	return cw_error_set_errno(&test->result->failure, taken, "cannot send on %s%s",
				  test->from->name,
				  taken == -EAGAIN ? " (is anything connected to it?)" : "");
}

static void judge_time(struct selftest *test, uint64_t ts_ns)
{
	struct cw_selftest_result *result = test->result;
	uint64_t now_ns = cw_wall_ns();
	int64_t off_ns = 0;

	test->has_odd_ns |= ts_ns % 1000 != 0;
	if (ts_ns + CLOCK_SLACK_NS < test->first_ns)
		off_ns = -(int64_t)(test->first_ns - ts_ns);
	else if (ts_ns > now_ns + CLOCK_SLACK_NS)
		off_ns = (int64_t)(ts_ns - now_ns);
	if (off_ns != 0 && (!result->is_clock_off || llabs(off_ns) > llabs(result->clock_off_ns))) {
		result->is_clock_off = true;
		result->clock_off_ns = off_ns;
	}
	/* Frames are sent with pauses, so equal timestamps are wrong too. */
	if (ts_ns <= test->last_ts)
		result->seen_wrongly++;
	test->last_ts = ts_ns;
}

static void look_at(struct selftest *test, const struct cw_packet *packet)
{
	struct cw_selftest_result *result = test->result;
	int number;

	if (test->filter &&
	    !cw_filter_match(test->filter, packet->data, packet->caplen, packet->wire_len))
		return;
	number = frame_number(test, packet);
	if (number == -ENOENT && !test->filter) {
		result->others++;
		return;
	}
	if (number < 0 || !is_expected(test, (uint32_t)number) ||
	    (uint32_t)number < test->next) { /* twice, or out of order */
		result->seen_wrongly++;
		return;
	}
	test->next = (uint32_t)number + 1;
	test->numbers |= UINT32_C(1) << number;
	result->seen++;
	if (test->mode == CW_SELFTEST_TIMESTAMP)
		judge_time(test, packet->ts_ns);
}

/* Checks packets that arrive in time. Returns 0 or the negative errno of the capture. */
static int look(struct selftest *test, int timeout_ms)
{
	struct cw_packet packets[BURST];
	struct cw_cursor cursor = {0};
	struct cw_lease lease = {0};
	struct cw_span span;
	size_t count, index;
	int result = cw_live_next(test->live, 0, 0, timeout_ms, &span, &lease);

	if (result <= 0)
		return result == 0 ? 0
				   : cw_error_set_errno(&test->result->failure, result,
							"cannot capture on %s", test->device->name);
	while ((count = cw_span_decode(&span, &cursor, packets, BURST)) > 0)
		for (index = 0; index < count; index++)
			look_at(test, &packets[index]);
	cw_lease_give_back(&lease);
	return 0;
}

static int run(struct selftest *test)
{
	struct cw_live_stats stats;
	uint64_t end_ns;
	uint32_t number;
	int result = 0;

	test->first_ns = cw_wall_ns();
	for (number = 0; result == 0 && number < CW_SELFTEST_FRAMES; number++) {
		nanosleep(&(struct timespec){.tv_nsec = CW_SELFTEST_GAP_MS * 1000000}, NULL);
		result = send_frame(test, number);
	}
	end_ns = cw_now_ns() + CW_SELFTEST_WAIT_MS * UINT64_C(1000000);
	while (result == 0 && test->result->seen < test->result->expected && cw_now_ns() < end_ns)
		result = look(test, 50);
	/* Also catches frames that should not arrive. */
	if (result == 0)
		result = look(test, 4 * RETIRE_MS);
	cw_live_stats(test->live, 0, &stats);
	test->result->kernel_dropped = stats.kernel_dropped;
	return result;
}

/* ---- the verdict ---- */

static int judge(struct selftest *test)
{
	struct cw_selftest_result *result = test->result;
	struct cw_error *failure = &result->failure;
	const char *name = test->device->name;

	result->has_ns = test->has_odd_ns;
	if (result->seen == 0 && result->seen_wrongly == 0)
		return cw_error_set(
		    failure, -ETIMEDOUT,
		    "none of %u packets sent on %s was captured within %u s%s: an XDP "
		    "program or a special driver may take them first; test another "
		    "interface",
		    result->expected, test->from->name, CW_SELFTEST_WAIT_MS / 1000,
		    result->kernel_dropped ? ", and the kernel ring was full" : "");
	if (result->is_clock_off)
		return cw_error_set(
		    failure, -ERANGE,
		    "timestamps of packets on %s are %.6f s %s their capture: is this machine's "
		    "clock being set, or does the interface use another clock?",
		    name, (double)llabs(result->clock_off_ns) * 1e-9,
		    result->clock_off_ns < 0 ? "before" : "after");
	if (result->seen_wrongly && test->mode == CW_SELFTEST_FILTERED)
		return cw_error_set(
		    failure, -EBADMSG,
		    "a filter on %s passed %u packet%s that it should not: please report this "
		    "with 'capweir --version' and the interface's driver (capweir devices)",
		    name, result->seen_wrongly, cw_plural(result->seen_wrongly));
	if (result->seen_wrongly)
		return cw_error_set(
		    failure, -EBADMSG,
		    "%u packet%s on %s arrived damaged, twice or out of order%s: check the "
		    "interface's offloads (capweir devices -i %s)",
		    result->seen_wrongly, cw_plural(result->seen_wrongly), name,
		    test->mode == CW_SELFTEST_TIMESTAMP ? ", or their timestamps do not ascend"
							: "",
		    name);
	if (result->seen < result->expected)
		return cw_error_set(
		    failure, -EIO,
		    "%u of %u packets sent on %s were not captured (%" PRIu64
		    " dropped by the kernel): the interface may be very busy. Try again, or "
		    "capture with larger kernel rings (-B)",
		    result->expected - result->seen, result->expected, test->from->name,
		    result->kernel_dropped);
	return 0;
}

int cw_selftest(const struct cw_netdev *device, const struct cw_netdev *from,
		enum cw_selftest_mode mode, struct cw_selftest_result *result)
{
	struct selftest test = {.device = device, .from = from, .mode = mode, .result = result};
	int status;

	*result = (struct cw_selftest_result){0};
	cw_ifaces_init(&test.ifaces);
	status = open_both(&test);
	if (status == 0)
		status = run(&test);
	if (status == 0)
		status = judge(&test);
	cw_live_close(test.live);
	cw_transmit_close(test.transmit);
	cw_filter_free(test.filter);
	cw_ifaces_fini(&test.ifaces);
	return status;
}
