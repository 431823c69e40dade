/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "core/base/plural.h"
#include "core/packet/linktype.h"
#include "pipeline/capture/capture.h"

#define REOPEN_EVERY_NS CW_NS_PER_S /* limits retries of an interface that fails at once */

/* ---- start ---- */

/* Returns the queues that an interface gets at most: half of the cores are left for workers. */
static uint32_t most_queues(const struct cw_capture *capture)
{
	uint32_t most = cw_usable_cores() / 2 / capture->run->options.device_count;

	return most ? most : 1;
}

/* Chooses the number of queues from the interface's receive queues and the cores. */
static uint32_t choose_queue_count(struct cw_capture *capture, const char *device)
{
	struct cw_netdev_facts facts;

	if (!capture->probe || cw_netdev_facts_read(capture->probe, device, &facts, NULL) < 0)
		return 1;
	return cw_min_u32(facts.rx_queues, most_queues(capture));
}

/* Returns the bytes of the kernel rings of all other interfaces. */
static uint64_t memory_of_others(const struct cw_capture *capture, const struct cw_tap *tap)
{
	uint64_t bytes = 0;

	for (uint32_t index = 0; index < capture->tap_count; index++) {
		const struct cw_tap *other = &capture->taps[index];

		if (other != tap && other->live)
			bytes += (uint64_t)other->info.queue_count * other->info.block_count *
				 other->info.block_bytes;
	}
	return bytes;
}

/* Opens the interface with kernel rings in memory near it: the kernel takes their pages then. */
static int open_near(struct cw_capture *capture, struct cw_tap *tap,
		     const struct cw_live_options *asked, struct cw_error *error)
{
	struct cw_live_options options = *asked;
	bool is_near = cw_run_prefer_device(capture->run, tap->device);
	int result;

	options.memory_taken = memory_of_others(capture, tap);
	result = cw_live_open(&tap->live, &capture->inputs->ifaces, &options, error);
	if (is_near)
		cw_affinity_memory(CW_NODE_NONE);
	return result;
}

/* Returns whether opening failed for a reason that ends. Without a watch nothing would tell. */
static bool may_wait(const struct cw_capture *capture, const struct cw_tap *tap, int failure)
{
	return capture->run->options.waits_for_devices && tap->watch &&
	       (failure == -ENODEV || failure == -ENETDOWN);
}

static void start_waiting(struct cw_capture *capture, struct cw_tap *tap, int failure)
{
	uint32_t queues = tap->options.queue_count ? tap->options.queue_count : 1;

	tap->is_waiting = true;
	tap->gap_start_ns = capture->run->start_ns;
	atomic_store(&tap->is_missing, true);
	tap->info.snaplen = tap->options.snaplen ? tap->options.snaplen : CW_CAPLEN_MAX;
	/* The queues of a missing interface are unknown. */
	tap->lane_count = tap->chooses_queues && failure == -ENODEV ? most_queues(capture) : queues;
}

static int open_tap(struct cw_capture *capture, struct cw_tap *tap, uint32_t index,
		    struct cw_error *error)
{
	struct cw_input *input = &capture->inputs->at[index];
	int result;

	tap->device = capture->run->options.devices[index];
	input->path = tap->device;
	tap->options = capture->run->options.live;
	tap->options.device = tap->device;
	tap->options.input = (uint16_t)index;
	tap->options.wake_fd = capture->run->wake_fd;
	/* 0 stays for AF_XDP, which takes all queues, and libpcap, which has one. */
	tap->chooses_queues = !tap->options.queue_count && tap->options.backend <= CW_LIVE_PACKET;
	if (tap->chooses_queues)
		tap->options.queue_count = choose_queue_count(capture, tap->device);
	/* Watch before opening, so that no event is missed. Some interfaces have no watch. */
	if (cw_netdev_watch_open(&tap->watch, tap->device, NULL) < 0)
		tap->watch = NULL;
	if (capture->probe)
		cw_netdev_counters_read(capture->probe, tap->device, &tap->before, NULL);
	result = open_near(capture, tap, &tap->options, error);
	if (result == CW_LIVE_WARNED)
		cw_run_tell(capture->run, CW_WARNING, "%s", error->text);
	if (result >= 0) {
		cw_live_info(tap->live, &tap->info);
		tap->queue_count = tap->lane_count = tap->info.queue_count;
	} else if (may_wait(capture, tap, result)) {
		start_waiting(capture, tap, result);
	} else {
		return result;
	}
	input->info.format = "live";
	input->info.has_ns = capture->inputs->has_ns = true;
	input->info.snaplen = tap->info.snaplen;
	if (tap->info.snaplen > capture->inputs->snaplen_max)
		capture->inputs->snaplen_max = tap->info.snaplen;
	tap->lane_first = capture->run->lane_count;
	capture->run->lane_count += tap->lane_count;
	return 0;
}

int cw_taps_open(struct cw_capture *capture, struct cw_error *error)
{
	uint32_t count = capture->run->options.device_count;

	capture->inputs->at = calloc(count, sizeof(*capture->inputs->at));
	capture->taps = calloc(count, sizeof(*capture->taps));
	if (!capture->inputs->at || !capture->taps)
		return cw_error_set(error, -ENOMEM, "no memory for %u interfaces", count);
	capture->inputs->count = count;
	capture->tap_count = count;
	if (cw_netdev_probe_open(&capture->probe, NULL) < 0)
		capture->probe = NULL; /* losses before the tap are unknown */
	for (uint32_t index = 0; index < count; index++) {
		int result = open_tap(capture, &capture->taps[index], index, error);

		if (result < 0)
			return result;
	}
	*error = (struct cw_error){0};
	return 0;
}

/* Returns the one filter that every packet of this link type must pass to be written, or NULL. */
static struct cw_filter *find_prefilter(struct cw_capture *capture, uint32_t linktype)
{
	const struct cw_rules *rules = capture->run->options.rules;
	const char *expression = capture->run->options.match.prefilter;
	struct cw_filter_options options = capture->generations->filter_options.filter;
	struct cw_filter *filter;

	options.linktype = linktype;
	/* A rule that can change cannot be left to the kernel. */
	if (!expression && rules->count == 1 && !capture->run->is_reloadable)
		expression = rules->rules[0].filter; /* NULL: unmatched */
	if (!expression || !expression[0] ||
	    cw_filter_compile(&filter, expression, &options, NULL) < 0)
		return NULL;
	return filter;
}

/*
 * Returns the bytes of a packet that filters and records need: the kernel truncates the rest. If
 * rules can change, that is all, because later rules match packets that are in the kernel ring now.
 */
static uint32_t find_reach(struct cw_capture *capture, const struct cw_tap *tap)
{
	const struct cw_iface *iface = cw_ifaces_at(&capture->inputs->ifaces, tap->info.iface);
	const struct cw_rule_set *set =
	    cw_matcher_find(&capture->generations->current->matcher, iface);
	const struct cw_outputs *outputs = capture->turn->outputs;
	uint32_t reach, other;

	if (capture->run->is_reloadable || !set)
		return UINT32_MAX;
	reach = cw_filter_set_reach(set->filters);
	other = set->prefilter ? cw_filter_set_reach(set->prefilter) : 0;
	reach = other > reach ? other : reach;
	for (uint32_t index = 0; index < outputs->count; index++) {
		other = outputs->at[index].snaplen;
		reach = other > reach ? other : reach;
	}
	return reach;
}

static int set_prefilter(struct cw_tap *tap, const struct bpf_insn *program, uint32_t count,
			 uint32_t reach)
{
	int result = 0;

	/* A program on only some of the queues would be correct as well. */
	for (uint32_t queue = 0; queue < tap->info.queue_count && result == 0; queue++)
		result = cw_live_prefilter(tap->live, queue, program, count, reach, NULL);
	return result;
}

static void prefilter_tap(struct cw_capture *capture, struct cw_tap *tap)
{
	const struct cw_pipeline_options *options = &capture->run->options;
	uint32_t count, reach = find_reach(capture, tap);
	struct bpf_insn *program = NULL;
	struct cw_filter *filter = NULL;

	if (!options->no_kernel_filter && !options->match.verify_every)
		filter = find_prefilter(capture, tap->info.linktype);
	tap->has_prefilter = filter && cw_filter_kernel_program(filter, &program, &count) == 0 &&
			     set_prefilter(tap, program, count, reach) == 0;
	if (!tap->has_prefilter)
		set_prefilter(tap, NULL, 0, reach);
	free(program);
	cw_filter_free(filter);
}

void cw_taps_prefilter(struct cw_capture *capture)
{
	for (uint32_t index = 0; index < capture->tap_count; index++)
		if (capture->taps[index].live)
			prefilter_tap(capture, &capture->taps[index]);
}

void cw_taps_connect(struct cw_capture *capture)
{
	uint32_t index, queue;

	for (index = 0; index < capture->tap_count; index++) {
		struct cw_tap *tap = &capture->taps[index];

		for (queue = 0; queue < tap->lane_count; queue++) {
			struct cw_lane *lane = &capture->run->lanes[tap->lane_first + queue];

			lane->input = index;
			lane->queue = queue;
			atomic_init(&lane->shared.live, tap->live);
			/* A lane without an interface holds up no other. */
			atomic_init(&lane->shared.horizon_ns, tap->live ? 0 : UINT64_MAX);
		}
	}
}

static void tell_listening(struct cw_capture *capture, const struct cw_tap *tap)
{
	const struct cw_live_info *info = &tap->info;
	uint32_t snaplen = capture->run->options.output.snaplen;
	char type[64];

	cw_run_tell(capture->run, CW_NOTE,
		    "listening on %s, link type %s, snapshot length %u, %u kernel %s of %zu MiB%s",
		    tap->device, cw_linktype_name(info->linktype, type, sizeof(type)),
		    snaplen ? snaplen : info->snaplen, info->queue_count,
		    info->queue_count == 1 ? "ring" : "rings",
		    info->block_bytes * info->block_count >> 20,
		    tap->has_prefilter ? ", filtered in the kernel" : "");
}

void cw_taps_report_start(struct cw_capture *capture)
{
	for (uint32_t index = 0; index < capture->tap_count; index++) {
		const struct cw_tap *tap = &capture->taps[index];

		if (!tap->is_waiting)
			tell_listening(capture, tap);
		else
			cw_run_tell(capture->run, CW_NOTE, "waiting for %s, which %s", tap->device,
				    cw_netdev_watch_state(tap->watch)->ifindex ? "is down"
									       : "is missing");
	}
}

/* ---- the keeper ---- */

static bool has_lost_every_lane(const struct cw_capture *capture, const struct cw_tap *tap)
{
	for (uint32_t queue = 0; queue < tap->lane_count; queue++) {
		/* [TAP-1] acquire: the lane no longer uses the interface. */
		if (atomic_load_explicit(&capture->run->lanes[tap->lane_first + queue].shared.live,
					 memory_order_acquire))
			return false;
	}
	return true;
}

/* Returns whether an interface of that name seems to be there; only opening it can tell. */
static bool may_open(const struct cw_tap *tap)
{
	const struct cw_netdev_state *state;

	if (!tap->watch)
		return true;
	state = cw_netdev_watch_state(tap->watch);
	return state->ifindex && state->is_called && state->is_up;
}

/* Opens the interface with the queues that it had before, if it was open. */
static int open_again(struct cw_capture *capture, struct cw_tap *tap, struct cw_error *error)
{
	struct cw_live_options options = tap->options;
	int result;

	if (tap->is_waiting) {
		if (tap->chooses_queues)
			options.queue_count =
			    cw_min_u32(choose_queue_count(capture, tap->device), tap->lane_count);
		/* Counters from here on; there may have been no others. */
		if (capture->probe)
			cw_netdev_counters_read(capture->probe, tap->device, &tap->before, NULL);
	} else if (options.backend <= CW_LIVE_PACKET) {
		options.queue_count = tap->queue_count;
	}
	result = open_near(capture, tap, &options, error);
	if (result < 0)
		return result;
	if (result == CW_LIVE_WARNED)
		cw_run_tell(capture->run, CW_WARNING, "%s", error->text);
	cw_live_info(tap->live, &tap->info);
	if (tap->is_waiting || tap->info.queue_count == tap->queue_count)
		return 0;
	return cw_error_set(error, -EOPNOTSUPP, "%s came back with %u queue%s; it had %u before",
			    tap->device, tap->info.queue_count, cw_plural(tap->info.queue_count),
			    tap->queue_count);
}

static void end_gap(struct cw_capture *capture, struct cw_tap *tap, uint64_t now_ns)
{
	uint64_t gap_ns = now_ns - tap->gap_start_ns;

	tap->gap_start_ns = 0;
	atomic_store(&tap->is_missing, false);
	tap->opened_ns = now_ns;
	atomic_store(&tap->is_replaced, false);
	if (tap->is_waiting) {
		tap->is_waiting = false;
		tap->queue_count = tap->info.queue_count;
		tap->waited_ns = gap_ns;
		cw_run_tell(capture->run, CW_NOTE, "%s: captured after waiting %.1f s", tap->device,
			    (double)gap_ns * 1e-9);
		tell_listening(capture, tap);
		return;
	}
	tap->gap_ns += gap_ns;
	cw_run_tell(capture->run, CW_NOTE,
		    "%s: captured again after %.1f s; packets in between were not captured",
		    tap->device, (double)gap_ns * 1e-9);
}

static void reopen(struct cw_capture *capture, struct cw_tap *tap, uint64_t now_ns)
{
	struct cw_error error = {0};
	int result = open_again(capture, tap, &error);

	if (result >= 0) {
		atomic_store(&capture->run->is_keeper_compiling, true);
		result = cw_matcher_prepare(&capture->generations->current->matcher,
					    cw_ifaces_at(&capture->inputs->ifaces, tap->info.iface),
					    cw_run_report_rule, capture->run, &error);
		atomic_store(&capture->run->is_keeper_compiling, false);
	}
	if (result < 0) {
		cw_live_close(tap->live);
		tap->live = NULL;
		if (result != tap->reopen_failure)
			cw_run_tell(capture->run, CW_WARNING, "%s; capweir keeps trying",
				    error.text);
		tap->reopen_failure = result;
		return;
	}
	tap->reopen_failure = 0;
	prefilter_tap(capture, tap);
	end_gap(capture, tap, now_ns);
	for (uint32_t queue = 0; queue < tap->queue_count; queue++) {
		struct cw_lane *lane = &capture->run->lanes[tap->lane_first + queue];

		atomic_store(&lane->shared.horizon_ns, 0);
		/* [TAP-1] release: the new `live`, its interface entry and filter set. */
		atomic_store_explicit(&lane->shared.live, tap->live, memory_order_release);
		cw_gate_signal(&lane->shared.gate);
	}
}

static void tell_events(struct cw_capture *capture, struct cw_tap *tap)
{
	struct cw_netdev_event event;

	while (tap->watch && cw_netdev_watch_next(tap->watch, &event) > 0) {
		tap->event_count++;
		cw_run_tell(capture->run, CW_NOTE, "%s", event.text);
	}
}

/* Lets go of a renamed interface once another interface has the name that the user asked for. */
static void notice_successor(struct cw_capture *capture, struct cw_tap *tap)
{
	const struct cw_netdev_state *state;

	if (!tap->watch || tap->info.device_index <= 0 || atomic_load(&tap->is_replaced))
		return;
	state = cw_netdev_watch_state(tap->watch);
	if (!state->is_called || state->ifindex == tap->info.device_index)
		return;
	cw_run_tell(capture->run, CW_NOTE,
		    "another interface is now called %s: it takes the place of interface %d",
		    tap->device, tap->info.device_index);
	atomic_store(&tap->is_replaced, true);
	for (uint32_t queue = 0; queue < tap->lane_count; queue++)
		cw_gate_signal(&capture->run->lanes[tap->lane_first + queue].shared.gate);
}

void cw_taps_look_after(struct cw_capture *capture, uint64_t now_ns)
{
	for (uint32_t index = 0; index < capture->tap_count; index++) {
		struct cw_tap *tap = &capture->taps[index];

		tell_events(capture, tap);
		if (tap->live)
			notice_successor(capture, tap);
		if (tap->live && has_lost_every_lane(capture, tap)) {
			cw_live_close(tap->live); /* blocks still leased out stay valid */
			tap->live = NULL;
			tap->gap_count++;
			tap->gap_start_ns = now_ns;
			atomic_store(&tap->is_missing, true);
			cw_run_tell(capture->run, CW_NOTE,
				    "%s is gone; capweir captures it again when it comes back",
				    tap->device);
		}
		/* If a reload holds the compiler, the next call tries again. */
		if (!tap->live && !atomic_load(&capture->run->is_stopping) && may_open(tap) &&
		    now_ns >= tap->opened_ns + REOPEN_EVERY_NS &&
		    pthread_mutex_trylock(&capture->generations->sets_lock) == 0) {
			reopen(capture, tap, now_ns);
			pthread_mutex_unlock(&capture->generations->sets_lock);
		}
	}
}

/* Returns the captured interface's current name (the first name without a watch); NULL: gone. */
static const char *present_name(const struct cw_tap *tap)
{
	const struct cw_netdev_state *state;

	if (!tap->watch)
		return tap->device;
	state = cw_netdev_watch_state(tap->watch);
	return state->ifindex && state->ifindex == tap->info.device_index ? state->name : NULL;
}

/* Reads what the interface lost, and adds what those lost that had its name before. */
static int count_tap(struct cw_capture *capture, struct cw_tap *tap)
{
	const char *name = present_name(tap);
	int result;

	if (!name) { /* its counts since the last call are unknown */
		tap->losses.is_lower_bound = true;
		return -ENODEV;
	}
	result = cw_netdev_counters_read(capture->probe, name, &tap->now, NULL);
	if (result < 0)
		return result;
	if (tap->counted_index && tap->counted_index != tap->now.ifindex) {
		struct cw_netdev_losses earlier = tap->losses;

		tap->losses = tap->earlier; /* for its memory */
		tap->earlier = earlier;
	}
	tap->counted_index = tap->now.ifindex;
	result = cw_netdev_losses_between(&tap->before, &tap->now, &tap->losses);
	return result < 0 ? result : cw_netdev_losses_add(&tap->losses, &tap->earlier);
}

void cw_taps_count(struct cw_capture *capture)
{
	for (uint32_t index = 0; index < capture->tap_count && capture->probe; index++) {
		struct cw_tap *tap = &capture->taps[index];
		const char *counter;

		if (tap->is_waiting || count_tap(capture, tap) < 0)
			continue;
		atomic_store_explicit(&tap->lost_before_tap,
				      cw_netdev_losses_before_tap(&tap->losses, &counter),
				      memory_order_relaxed);
		atomic_store_explicit(&tap->rx_dropped, tap->losses.rx_dropped,
				      memory_order_relaxed);
	}
}

void cw_taps_fini(struct cw_capture *capture)
{
	for (uint32_t index = 0; index < capture->tap_count; index++) {
		struct cw_tap *tap = &capture->taps[index];

		cw_live_close(tap->live);
		cw_netdev_watch_close(tap->watch);
		cw_netdev_counters_fini(&tap->before);
		cw_netdev_counters_fini(&tap->now);
		cw_netdev_losses_fini(&tap->losses);
		cw_netdev_losses_fini(&tap->earlier);
	}
	cw_netdev_probe_close(capture->probe);
	free(capture->taps);
	capture->taps = NULL;
	capture->tap_count = 0;
}
