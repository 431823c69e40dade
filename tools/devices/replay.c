/* SPDX-License-Identifier: BSD-3-Clause */
/* Implements replay.h: timing and sending. */
#include <errno.h>
#include <poll.h>

#include "core/base/clock.h"
#include "core/packet/linktype.h"
#include "tools/devices/replay.h"

#define SPAN_BYTES ((size_t)1 << 20)
#define DECODED 256u
/* A sleep ends late, by timer slack and a context switch: the last SPIN_NS are busy waiting. */
#define SPIN_NS 100000u
#define RETRY_NS 50000u
#define WAIT_NS_MAX 1e18 /* 30 years */

struct replay {
	const struct cw_replay_options *options;
	struct cw_replay_counts *counts;
	struct cw_transmit *transmit;
	struct cw_transmit_info device;
	struct cw_error *error;
	struct cw_ifaces ifaces; /* interfaces of the current input */
	uint64_t now_ns;         /* last reading of the clock */
	uint64_t base_ns;        /* due time of the pass's first packet */
	uint64_t base_ts;        /* timestamp of that packet */
	uint64_t due_last_ns;    /* due time of the latest packet */
	uint64_t scheduled;      /* packets of this pass; with a rate, of all passes */
	bool is_timed;           /* by timestamps or a rate */
	size_t count;            /* packets in the burst below */
	struct cw_packet packets[CW_TRANSMIT_BURST]; /* due and not sent yet */
	uint64_t due_ns[CW_TRANSMIT_BURST];
};

static uint64_t look_at_clock(struct replay *replay)
{
	return replay->now_ns = cw_now_ns();
}

/* Sleeps; a signal ends the sleep with -EINTR. */
static int sleep_ns(struct replay *replay, uint64_t wait_ns)
{
	struct pollfd signals = {.fd = replay->options->signal_fd, .events = POLLIN};
	const struct timespec wait = {.tv_sec = (time_t)(wait_ns / CW_NS_PER_S),
				      .tv_nsec = (long)(wait_ns % CW_NS_PER_S)};

	return ppoll(&signals, 1, &wait, NULL) > 0 ? -EINTR : 0;
}

/* ---- sending ---- */

static void count_sent(struct replay *replay, size_t at, size_t count)
{
	struct cw_replay_counts *counts = replay->counts;

	counts->sent += count;
	for (size_t index = at; index < at + count; index++) {
		uint64_t late_ns = 0;

		counts->sent_bytes += replay->packets[index].caplen;
		if (replay->is_timed && replay->now_ns > replay->due_ns[index])
			late_ns = replay->now_ns - replay->due_ns[index];
		counts->late_ns_sum += late_ns;
		if (late_ns > counts->late_ns_max)
			counts->late_ns_max = late_ns;
	}
}

/* Counts a packet that the kernel refused. Returns 0 to continue with the next one. */
static int count_refused(struct replay *replay, int failure)
{
	struct cw_replay_counts *counts = replay->counts;

	switch (failure) {
	case -EMSGSIZE:
		counts->too_long++;
		return 0;
	case -EINVAL:
		counts->refused++;
		counts->refusal = counts->refusal ? counts->refusal : failure;
		return 0;
	default:
		return cw_error_set_errno(replay->error, failure, "cannot send");
	}
}

/* Waits while the interface has no room; returns 0 to try again. */
static int wait_for_room(struct replay *replay, uint64_t *since_ns)
{
	uint64_t now_ns = look_at_clock(replay);

	replay->counts->retries++;
	*since_ns = *since_ns ? *since_ns : now_ns;
	if (now_ns - *since_ns > (uint64_t)CW_REPLAY_STUCK_MS * 1000000)
		return cw_error_set(replay->error, -ENOBUFS,
				    "the interface has accepted no packet for %u s: is anything "
				    "connected to it?",
				    CW_REPLAY_STUCK_MS / 1000);
	return sleep_ns(replay, RETRY_NS);
}

/* Sends the burst. Returns 0, -EINTR when stopped, or the negative errno of the interface. */
static int flush(struct replay *replay)
{
	uint64_t since_ns = 0;
	size_t at = 0;
	int result = 0;

	while (result == 0 && at < replay->count) {
		int taken;

		if (replay->is_timed)
			look_at_clock(replay);
		taken =
		    cw_transmit_send(replay->transmit, replay->packets + at, replay->count - at);
		if (taken > 0) {
			count_sent(replay, at, (size_t)taken);
			at += (size_t)taken;
			since_ns = 0;
		} else if (taken == -EAGAIN) {
			result = wait_for_room(replay, &since_ns);
		} else {
			result = count_refused(replay, taken);
			at += result == 0;
		}
	}
	replay->counts->unsent += replay->count - at;
	replay->count = 0;
	return result;
}

/* ---- time ---- */

/* Returns when a packet is due; 0: at once. Never earlier than its predecessor. */
static uint64_t due_time(struct replay *replay, const struct cw_packet *packet)
{
	const struct cw_replay_options *options = replay->options;
	uint64_t number = replay->scheduled++;
	double wait_ns;

	if (!replay->is_timed)
		return 0;
	if (number == 0) {
		replay->base_ns = look_at_clock(replay);
		replay->base_ts = packet->ts_ns;
	}
	if (options->rate) /* in two parts: the product could overflow */
		return replay->base_ns + number / options->rate * CW_NS_PER_S +
		       number % options->rate * CW_NS_PER_S / options->rate;
	if (number == 0)
		replay->due_last_ns = replay->base_ns;
	if (packet->ts_ns <= replay->base_ts)
		return replay->due_last_ns;
	wait_ns = (double)(packet->ts_ns - replay->base_ts) / options->speed;
	if (wait_ns > WAIT_NS_MAX)
		wait_ns = WAIT_NS_MAX;
	if (replay->base_ns + (uint64_t)wait_ns > replay->due_last_ns)
		replay->due_last_ns = replay->base_ns + (uint64_t)wait_ns;
	return replay->due_last_ns;
}

static int wait_until(struct replay *replay, uint64_t due_ns)
{
	while (due_ns > replay->now_ns + SPIN_NS) {
		if (sleep_ns(replay, due_ns - replay->now_ns - SPIN_NS) < 0)
			return -EINTR;
		look_at_clock(replay);
	}
	while (look_at_clock(replay) < due_ns)
		;
	return 0;
}

/* ---- packets ---- */

/* Returns whether a packet can be sent, and counts it by cause otherwise. */
static bool can_send(struct replay *replay, const struct cw_packet *packet)
{
	struct cw_replay_counts *counts = replay->counts;

	counts->read++;
	if (packet->flags & CW_PACKET_MALFORMED || packet->caplen == 0)
		counts->malformed++;
	else if (cw_ifaces_at(&replay->ifaces, packet->iface)->linktype != replay->device.linktype)
		counts->link_type++;
	else if (packet->caplen < packet->wire_len && !replay->options->sends_cut)
		counts->cut++;
	else
		return true;
	return false;
}

static int take_packet(struct replay *replay, const struct cw_packet *packet)
{
	uint64_t due_ns;
	int result = 0;

	if (!can_send(replay, packet))
		return 0;
	due_ns = due_time(replay, packet);
	/* The burst is due before this packet: it must not wait for it. */
	if (due_ns > replay->now_ns && due_ns > look_at_clock(replay)) {
		result = flush(replay);
		if (result == 0)
			result = wait_until(replay, due_ns);
	}
	if (result < 0) {
		replay->counts->unsent++;
		return result;
	}
	replay->due_ns[replay->count] = due_ns;
	replay->packets[replay->count++] = *packet;
	return replay->count == CW_TRANSMIT_BURST ? flush(replay) : 0;
}

static int take_span(struct replay *replay, const struct cw_span *span)
{
	struct cw_packet packets[DECODED];
	struct cw_cursor cursor = {0};
	size_t count, index;
	int result = 0;

	while (result == 0 && (count = cw_span_decode(span, &cursor, packets, DECODED)) > 0)
		for (index = 0; result == 0 && index < count; index++)
			result = take_packet(replay, &packets[index]);
	if (result == 0) /* the packets' bytes lie in the span */
		result = flush(replay);
	return result == 0 ? sleep_ns(replay, 0) : result;
}

static int take_source(struct replay *replay, struct cw_source *source)
{
	struct cw_lease lease;
	struct cw_span span;
	int result;

	do {
		lease = (struct cw_lease){0};
		result =
		    cw_source_next(source, SPAN_BYTES, UINT32_MAX, &span, &lease, replay->error);
		if (result > 0) {
			result = take_span(replay, &span);
			result = result == 0 ? 1 : result;
		}
		cw_lease_give_back(&lease);
	} while (result > 0);
	return result;
}

/* Refuses a file if none of its interfaces has the link type of the output interface. */
static int check_link_types(const struct replay *replay, const char *input)
{
	char theirs[32], device[32];

	for (uint32_t index = 0; index < replay->ifaces.count; index++)
		if (cw_ifaces_at(&replay->ifaces, index)->linktype == replay->device.linktype)
			return 0;
	if (replay->ifaces.count == 0)
		return 0;
	return cw_error_set(
	    replay->error, -EPROTONOSUPPORT,
	    "%s has packets of link type %s: the interface sends %s only", input,
	    cw_linktype_name(cw_ifaces_at(&replay->ifaces, 0)->linktype, theirs, sizeof(theirs)),
	    cw_linktype_name(replay->device.linktype, device, sizeof(device)));
}

static int take_input(struct replay *replay, const char *input)
{
	const struct cw_source_options options = {.wake_fd = replay->options->signal_fd,
						  .linktype = replay->options->linktype,
						  .resyncs = replay->options->resyncs,
						  .cure = replay->options->cure};
	struct cw_source_info info;
	struct cw_source *source;
	int result;

	cw_ifaces_init(&replay->ifaces);
	result = cw_source_open(&source, input, &replay->ifaces, &options, replay->error);
	if (result >= 0) {
		result = check_link_types(replay, input);
		if (result == 0)
			result = take_source(replay, source);
		cw_source_info(source, &info);
		replay->counts->resynced.places += info.resynced.places;
		replay->counts->resynced.bytes += info.resynced.bytes;
		cw_source_close(source);
	}
	cw_ifaces_fini(&replay->ifaces);
	return result;
}

int cw_replay(struct cw_transmit *transmit, const struct cw_replay_options *options,
	      struct cw_replay_counts *counts, struct cw_error *error)
{
	struct replay replay = {.options = options,
				.counts = counts,
				.transmit = transmit,
				.error = error,
				.is_timed = options->rate || options->speed > 0};
	uint64_t loop, start_ns;
	uint32_t input;
	int result = 0;

	*counts = (struct cw_replay_counts){0};
	cw_transmit_info(transmit, &replay.device);
	start_ns = look_at_clock(&replay);
	for (loop = 0; result == 0 && (options->loops == 0 || loop < options->loops); loop++) {
		if (!options->rate) /* each pass starts a new schedule */
			replay.scheduled = 0;
		for (input = 0; result == 0 && input < options->input_count; input++)
			result = take_input(&replay, options->inputs[input]);
		if (counts->sent == 0) /* no pass would send anything */
			break;
	}
	counts->elapsed_ns = look_at_clock(&replay) - start_ns;
	counts->was_stopped = result == -EINTR;
	return result == -EINTR ? 0 : result;
}
