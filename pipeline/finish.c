/* SPDX-License-Identifier: BSD-3-Clause */
/* While a run goes on, as its caller sees it, and its end: joined, reported, taken down. */
#include <stdlib.h>
#include <unistd.h>

#include "pipeline/report/past.h"
#include "pipeline/report/report.h"
#include "pipeline/run/run.h"
#include "pipeline/state.h"

int cw_pipeline_done_fd(const struct cw_pipeline *pipeline)
{
	return pipeline->done_fd;
}

bool cw_pipeline_is_stuck(const struct cw_pipeline *pipeline)
{
	return atomic_load(&pipeline->is_stuck);
}

void cw_pipeline_progress(struct cw_pipeline *pipeline, struct cw_progress *progress)
{
	uint32_t index;

	*progress = (struct cw_progress){.read_bytes = atomic_load(&pipeline->read_bytes),
					 .total_bytes = pipeline->total_bytes,
					 .packets = atomic_load(&pipeline->received),
					 .bytes = atomic_load(&pipeline->received_bytes)};
	for (index = 0; index < pipeline->tap_count; index++)
		progress->lost_before_tap += atomic_load(&pipeline->taps[index].lost_before_tap);
	for (index = 0; index < pipeline->lane_count; index++) {
		progress->kernel_seen += atomic_load(&pipeline->lanes[index].shared.seen);
		progress->kernel_dropped += atomic_load(&pipeline->lanes[index].shared.dropped);
		progress->freezes += atomic_load(&pipeline->lanes[index].shared.frozen);
	}
}

/* Threads that run although starting the others failed: let them find their end. */
static void join_threads(struct cw_pipeline *pipeline)
{
	uint32_t index;

	if (!pipeline->worker_count || !pipeline->workers[0].is_started)
		return;
	if (!pipeline->lanes[pipeline->lane_count - 1].is_started ||
	    (pipeline->tap_count && !pipeline->is_keeper_started) ||
	    (pipeline->reload.is_possible && !pipeline->reload.is_started)) {
		cw_pipeline_stop_reading(pipeline);
		atomic_store(&pipeline->is_done, true);
		cw_gate_signal_all(&pipeline->worker_gate);
	}
	for (index = 0; index < pipeline->lane_count; index++) {
		if (pipeline->lanes[index].is_started)
			pthread_join(pipeline->lanes[index].thread, NULL);
	}
	if (pipeline->is_keeper_started)
		pthread_join(pipeline->keeper_thread, NULL);
	pipeline->is_keeper_started = false;
	if (pipeline->reload.is_started)
		pthread_join(pipeline->reload.thread, NULL);
	pipeline->reload.is_started = false;
	for (index = 0; index < pipeline->worker_count; index++) {
		if (pipeline->workers[index].is_started)
			pthread_join(pipeline->workers[index].thread, NULL);
		pipeline->workers[index].is_started = false;
	}
}

int cw_pipeline_finish(struct cw_pipeline *pipeline, struct cw_report *report)
{
	join_threads(pipeline);
	cw_outputs_finish(pipeline);
	return cw_pipeline_report(pipeline, report);
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void cw_pipeline_free(struct cw_pipeline *pipeline)
{
	uint32_t index;

	if (!pipeline)
		return;
	join_threads(pipeline);
	for (index = 0; index < pipeline->worker_count; index++)
		cw_worker_fini(&pipeline->workers[index]);
	for (index = 0; pipeline->lanes && index < pipeline->lane_count; index++)
		cw_lane_fini(&pipeline->lanes[index]);
	for (index = 0; pipeline->outputs && index < pipeline->output_count; index++)
		cw_output_fini(&pipeline->outputs[index]);
	for (index = 0; index < pipeline->input_count; index++)
		cw_source_close(pipeline->inputs[index].source);
	cw_reload_fini(pipeline);
	cw_past_fini(&pipeline->past);
	cw_names_fini(&pipeline->names);
	cw_sequencer_fini(&pipeline->sequencer);
	cw_chunk_pool_fini(&pipeline->pool);
	cw_ring_free(pipeline->reserved);
	cw_ready_fini(&pipeline->writable);
	cw_taps_fini(pipeline);
	cw_ifaces_fini(&pipeline->ifaces);
	cw_direct_share_free(pipeline->direct_share);
	cw_pack_free(pipeline->pack);
	if (pipeline->has_files)
		cw_files_fini(&pipeline->files);
	free(pipeline->turn_tally_of);
	free(pipeline->workers);
	free(pipeline->lanes);
	free(pipeline->outputs);
	free(pipeline->inputs);
	close_if_open(pipeline->wake_fd);
	close_if_open(pipeline->abort_fd);
	close_if_open(pipeline->keeper_fd);
	close_if_open(pipeline->done_fd);
	free(pipeline);
}
