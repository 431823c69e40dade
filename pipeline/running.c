/* SPDX-License-Identifier: BSD-3-Clause */
/* Control of a run by its caller, and its end: threads joined, report filled, memory freed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "pipeline/state.h"

#define WAITS_SHOWN 3u

int cw_pipeline_done_fd(const struct cw_pipeline *pipeline)
{
	return pipeline->run.done_fd;
}

bool cw_pipeline_is_done(const struct cw_pipeline *pipeline)
{
	return atomic_load(&pipeline->run.running_threads) == 0;
}

bool cw_pipeline_is_stuck(const struct cw_pipeline *pipeline)
{
	return atomic_load(&pipeline->run.is_stuck);
}

void cw_pipeline_progress(struct cw_pipeline *pipeline, struct cw_progress *progress)
{
	*progress = (struct cw_progress){.read_bytes = atomic_load(&pipeline->inputs.read_bytes),
					 .total_bytes = pipeline->inputs.total_bytes,
					 .packets = atomic_load(&pipeline->run.received),
					 .bytes = atomic_load(&pipeline->run.received_bytes)};
	for (uint32_t index = 0; index < pipeline->capture.tap_count; index++) {
		const struct cw_tap *tap = &pipeline->capture.taps[index];

		progress->lost_before_tap += atomic_load(&tap->lost_before_tap);
		progress->interface_rx_dropped += atomic_load(&tap->rx_dropped);
	}
	for (uint32_t index = 0; index < pipeline->run.lane_count; index++) {
		progress->kernel_seen += atomic_load(&pipeline->run.lanes[index].shared.seen);
		progress->kernel_dropped += atomic_load(&pipeline->run.lanes[index].shared.dropped);
		progress->freezes += atomic_load(&pipeline->run.lanes[index].shared.frozen);
	}
}

void cw_pipeline_request_stop(struct cw_pipeline *pipeline)
{
	cw_run_request_stop(&pipeline->run);
}

void cw_pipeline_lose_opener(struct cw_pipeline *pipeline)
{
	cw_outputs_lose_opener(&pipeline->outputs);
}

/* In the turn. */
static void seal(void *context)
{
	cw_outputs_flush_all(context);
}

/* In the turn. */
static void judge(void *context)
{
	cw_outputs_judge(context);
}

void cw_pipeline_abort(struct cw_pipeline *pipeline)
{
	struct cw_outputs *outputs = &pipeline->outputs;

	cw_run_request_stop(&pipeline->run);
	cw_turn_hold_any(&pipeline->turn, seal, outputs);
	cw_outputs_settle(outputs);
	cw_outputs_silence(outputs);
	cw_turn_hold_any(&pipeline->turn, judge, outputs);
	cw_outputs_abort(outputs);
}

void cw_pipeline_abort_publish(struct cw_pipeline *pipeline)
{
	cw_outputs_publish(&pipeline->outputs);
}

uint64_t cw_pipeline_request_reload(struct cw_pipeline *pipeline)
{
	return cw_reload_request(&pipeline->reload);
}

void cw_pipeline_reload_status(struct cw_pipeline *pipeline, struct cw_reload_status *status)
{
	cw_reload_read_status(&pipeline->reload, status);
}

struct peeking {
	struct cw_pipeline *pipeline;
	struct cw_books *books;
};

/* In the turn. */
static void peek(void *context)
{
	const struct peeking *peeking = context;
	const struct cw_pipeline *pipeline = peeking->pipeline;
	struct cw_books *books = peeking->books;

	*books = pipeline->turn.books;
	books->matched = pipeline->past.books.matched;
	books->written = pipeline->past.written;
	for (uint32_t index = 0; index < pipeline->outputs.count; index++) {
		const struct cw_output *output = &pipeline->outputs.at[index];

		if (output->shared.state == CW_OUTPUT_FREE)
			continue;
		books->matched += output->turn.matched;
		books->written += atomic_load(&output->shared.written);
	}
}

void cw_pipeline_peek(struct cw_pipeline *pipeline, struct cw_books *books)
{
	struct peeking peeking = {.pipeline = pipeline, .books = books};

	cw_turn_hold_any(&pipeline->turn, peek, &peeking);
}

bool cw_pipeline_is_alive(const struct cw_pipeline *pipeline, uint32_t *seen)
{
	uint32_t before = *seen;

	*seen = atomic_load(&pipeline->run.keeper_rounds);
	return !pipeline->run.is_live || *seen != before ||
	       atomic_load(&pipeline->run.is_keeper_compiling);
}

void cw_pipeline_missing(const struct cw_pipeline *pipeline, char *text, size_t text_bytes)
{
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t index = 0; index < pipeline->capture.tap_count; index++) {
		const struct cw_tap *tap = &pipeline->capture.taps[index];

		if (!atomic_load(&tap->is_missing))
			continue;
		used += (size_t)snprintf(text + used, text_bytes - used, "%s%s", used ? ", " : "",
					 tap->device);
		used = cw_min_size(used, text_bytes - 1);
	}
}

struct waits {
	struct cw_pipeline *pipeline;
	char *text;
	size_t text_bytes;
};

/* In the turn. */
static void describe_waits(void *context)
{
	const struct waits *waits = context;
	const struct cw_outputs *outputs = &waits->pipeline->outputs;
	uint32_t count = 0;
	size_t used = 0;

	for (uint32_t index = 0; index < outputs->count; index++) {
		const struct cw_output *output = &outputs->at[index];
		uint32_t chunks = atomic_load(&output->shared.chunks_out);

		if (output->shared.state == CW_OUTPUT_FREE || !chunks || ++count > WAITS_SHOWN)
			continue;
		used += (size_t)snprintf(waits->text + used, waits->text_bytes - used,
					 "%s%.100s -> %.100s (%u chunk%s)", used ? ", " : "",
					 output->rule->name, output->rule->write, chunks,
					 cw_plural(chunks));
		used = cw_min_size(used, waits->text_bytes - 1);
	}
	if (count > WAITS_SHOWN)
		snprintf(waits->text + used, waits->text_bytes - used, " and %u more",
			 count - WAITS_SHOWN);
	if (!count)
		snprintf(waits->text, waits->text_bytes, "the last packets");
}

void cw_pipeline_waits(struct cw_pipeline *pipeline, char *text, size_t text_bytes)
{
	struct waits waits = {.pipeline = pipeline, .text = text, .text_bytes = text_bytes};
	uint64_t give_up_ns = atomic_load(&pipeline->run.give_up_ns), now_ns = cw_now_ns();
	size_t used;

	cw_turn_hold_any(&pipeline->turn, describe_waits, &waits);
	used = strlen(text);
	if (give_up_ns > now_ns)
		snprintf(text + used, text_bytes - used, "; at most %.0f s",
			 (double)(give_up_ns - now_ns) * 1e-9);
}

static void join(pthread_t thread, bool *is_started)
{
	if (*is_started)
		pthread_join(thread, NULL);
	*is_started = false;
}

/* Joins all threads. If starting some failed, first makes the others end. */
static void join_threads(struct cw_pipeline *pipeline)
{
	if (!pipeline->worker_count || !pipeline->workers[0].is_started)
		return;
	if (!pipeline->run.lanes[pipeline->run.lane_count - 1].is_started ||
	    (pipeline->run.is_live && !pipeline->capture.is_keeper_started) ||
	    (pipeline->run.is_reloadable && !pipeline->reload.is_started)) {
		cw_run_stop_reading(&pipeline->run);
		atomic_store(&pipeline->run.is_done, true);
		cw_gate_signal_all(&pipeline->run.worker_gate);
	}
	for (uint32_t index = 0; index < pipeline->run.lane_count; index++)
		join(pipeline->run.lanes[index].thread, &pipeline->run.lanes[index].is_started);
	join(pipeline->capture.keeper_thread, &pipeline->capture.is_keeper_started);
	join(pipeline->reload.thread, &pipeline->reload.is_started);
	for (uint32_t index = 0; index < pipeline->worker_count; index++)
		join(pipeline->workers[index].thread, &pipeline->workers[index].is_started);
}

int cw_pipeline_finish(struct cw_pipeline *pipeline, struct cw_report *report)
{
	int result;

	join_threads(pipeline);
	cw_outputs_finish(&pipeline->outputs);
	result = cw_report_fill(report, &pipeline->capture, &pipeline->past);
	if (result == 0)
		result = cw_reload_report(&pipeline->reload, report);
	if (result < 0)
		cw_report_fini(report);
	return result;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void cw_pipeline_free(struct cw_pipeline *pipeline)
{
	if (!pipeline)
		return;
	join_threads(pipeline);
	for (uint32_t index = 0; index < pipeline->worker_count; index++)
		cw_worker_fini(&pipeline->workers[index]);
	for (uint32_t index = 0; pipeline->run.lanes && index < pipeline->run.lane_count; index++)
		cw_lane_fini(&pipeline->run.lanes[index]);
	for (uint32_t index = 0; pipeline->outputs.at && index < pipeline->outputs.count; index++)
		cw_output_fini(&pipeline->outputs.at[index]);
	for (uint32_t index = 0; index < pipeline->inputs.count; index++) {
		cw_source_close(pipeline->inputs.at[index].source);
		free(pipeline->inputs.at[index].joined);
	}
	cw_reload_fini(&pipeline->reload);
	cw_past_fini(&pipeline->past);
	cw_names_fini(&pipeline->outputs.names);
	cw_sequencer_fini(&pipeline->turn.sequencer);
	cw_chunk_pool_fini(&pipeline->outputs.pool);
	cw_ring_free(pipeline->run.reserved);
	cw_ready_fini(&pipeline->outputs.writable);
	cw_taps_fini(&pipeline->capture);
	cw_ifaces_fini(&pipeline->inputs.ifaces);
	cw_direct_share_free(pipeline->outputs.direct_share);
	cw_pack_free(pipeline->outputs.pack);
	if (pipeline->outputs.has_files)
		cw_files_fini(&pipeline->outputs.files);
	free(pipeline->outputs.turn.tally_of);
	free(pipeline->outputs.found);
	cw_asking_free(pipeline->outputs.asking);
	free(pipeline->outputs.turn.block.at);
	free(pipeline->workers);
	free(pipeline->worker_cpus);
	free(pipeline->run.lanes);
	free(pipeline->outputs.at);
	free(pipeline->inputs.at);
	close_if_open(pipeline->run.wake_fd);
	close_if_open(pipeline->run.abort_fd);
	close_if_open(pipeline->run.keeper_fd);
	close_if_open(pipeline->run.done_fd);
	close_if_open(pipeline->run.reload_fd);
	pthread_mutex_destroy(&pipeline->generations.sets_lock);
	pthread_mutex_destroy(&pipeline->reload.status_lock);
	free(pipeline);
}
