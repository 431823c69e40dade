/* SPDX-License-Identifier: BSD-3-Clause */
/* An output's life beside its packets: it fails, is kicked to write, and is taken down. */
#include <stdio.h>
#include <stdlib.h>

#include "pipeline/output/outputs.h"

bool cw_output_fail(struct cw_output *output, int failure, bool is_rotation, const char *text)
{
	int expected = 0;

	if (!atomic_compare_exchange_strong(&output->shared.failure, &expected, failure))
		return false;
	/* Read only after the threads ended. */
	output->writer.failure_cause = cw_loss_from_errno(failure, is_rotation);
	snprintf(output->writer.failure_text, sizeof(output->writer.failure_text), "%s", text);
	return true;
}

void cw_output_kick(struct cw_outputs *outputs, struct cw_output *output)
{
	/* [KICK-1] release */
	if (atomic_fetch_add_explicit(&output->shared.kicks, 1, memory_order_acq_rel) != 0)
		return;
	cw_ready_add(&outputs->writable, output->index);
	cw_gate_signal(&outputs->run->worker_gate);
}

void cw_output_fini(struct cw_output *output)
{
	struct cw_file *file = output->turn.files_first;

	while (file) {
		struct cw_file *next = file->turn.next;

		cw_outfile_free(file->outfile);
		free(file->turn.ifaces);
		free(file->turn.iface_ends);
		free(file->path);
		free(file);
		file = next;
	}
	cw_template_free(output->name);
	cw_rule_free(output->own_rule);
	cw_rule_free(output->last_rule);
	output->name = NULL;
	output->own_rule = output->last_rule = NULL;
	output->turn.files_first = output->turn.files_last = NULL;
	output->turn.file = output->turn.restart = output->writer.file = NULL;
}

bool cw_output_may_retry(const struct cw_outputs *outputs, const struct cw_output *output)
{
	return outputs->run->is_live && !atomic_load(&outputs->run->is_stopping) &&
	       !(output->writer.file && cw_outfile_was_created(output->writer.file->outfile) &&
		 !output->writer.file->cache.is_regular);
}
