/* SPDX-License-Identifier: BSD-3-Clause */
/* An output's life, apart from its packets: new files, failure, kicks to write, end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/grow.h"
#include "core/packet/linktype.h"
#include "pipeline/output/output_parts.h"

bool cw_output_fail(struct cw_output *output, int failure, bool is_rotation, const char *text)
{
	int expected = 0;

	if (!atomic_compare_exchange_strong(&output->shared.failure, &expected, failure))
		return false;
	/* Relaxed, as everywhere: a number, read after the threads ended. */
	atomic_fetch_add_explicit(&output->shared.failures, 1, memory_order_relaxed);
	/* Only the first failure. Read after the threads ended, and by retry.c ([RETRY-1]). */
	output->writer.failure_cause = cw_loss_from_errno(failure, is_rotation);
	snprintf(output->writer.failure_text, sizeof(output->writer.failure_text), "%s", text);
	return true;
}

void cw_outputs_lose_opener(struct cw_outputs *outputs)
{
	if (atomic_exchange(&outputs->has_lost_opener, true))
		return;
	cw_run_tell(outputs->run, CW_PROBLEM, CW_ENTRY_ENDED ": capweir stops");
	cw_run_request_stop(outputs->run);
}

void cw_output_kick(struct cw_outputs *outputs, struct cw_output *output)
{
	/* [KICK-1] release */
	if (atomic_fetch_add_explicit(&output->shared.kicks, 1, memory_order_acq_rel) != 0)
		return;
	cw_ready_add(&outputs->writable, output->index);
	cw_gate_signal(&outputs->run->worker_gate);
}

void cw_output_free_file(struct cw_file *file)
{
	cw_outfile_free(file->outfile);
	free(file->turn.ifaces);
	free(file->turn.iface_ends);
	free(file->path);
	free(file);
}

void cw_output_fini(struct cw_output *output)
{
	struct cw_file *file = output->turn.files_first;

	while (file) {
		struct cw_file *next = file->turn.next;

		cw_output_free_file(file);
		file = next;
	}
	cw_file_ring_release(output->ring);
	output->ring = NULL;
	CW_GROWN_FINI(&output->blocks.ended);
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

static uint64_t next_number(const struct cw_output *output)
{
	return (uint64_t)output->first_number + output->turn.file_count;
}

static struct cw_outfile_options outfile_options(const struct cw_outputs *outputs,
						 const struct cw_output *output)
{
	return (struct cw_outfile_options){
	    .is_later = output->turn.file_count || output->is_numbered ||
			output->name->has_kind[CW_PART_TIME] ||
			output->name->has_kind[CW_PART_IFACE],
	    .access = output->rule->access,
	    .makes_folders = true,
	    .fixed_bytes = cw_template_fixed_folder(output->name),
	    .no_clobber = outputs->run->options.output.no_clobber,
	    .sync = outputs->run->options.output.sync,
	    .standard_output = outputs->run->options.output.standard_output,
	    .direct = output->name->is_zst ? NULL : outputs->direct_share,
	    .pack = output->name->is_zst ? outputs->pack : NULL,
	    .entries = output->is_asked ? &outputs->entries : NULL,
	    .output = output->asked,
	    .is_removable = output->ring || outputs->run->is_reloadable,
	    .wake_fd = outputs->run->abort_fd,
	    .listing = output->ring ? &output->ring->listing : NULL,
	};
}

static void append_file(struct cw_output *output, struct cw_file *file)
{
	if (output->turn.files_last)
		output->turn.files_last->turn.next = file;
	else
		output->turn.files_first = file;
	output->turn.files_last = file;
	if (!output->turn.kept_first)
		output->turn.kept_first = file;
}

int cw_output_adopt_file(const struct cw_outputs *outputs, struct cw_output *output,
			 const char *path, const struct stat *status, uint64_t content_bytes)
{
	const struct cw_outfile_options options = outfile_options(outputs, output);
	struct cw_file *file = calloc(1, sizeof(*file));
	int failure = -ENOMEM;

	if (file)
		file->path = strdup(path);
	if (file && file->path)
		failure = cw_outfile_adopt(&file->outfile, path, status, &options);
	if (failure) {
		if (file)
			free(file->path);
		free(file);
		return failure;
	}
	file->is_adopted = file->is_later = true;
	file->turn.is_ended = true;
	file->turn.end_number = (uint64_t)cw_ring_time_ns(&status->st_mtim);
	file->turn.kept_bytes = content_bytes;
	file->writer.is_published = file->writer.is_finished = true;
	file->cache.is_regular = true;
	append_file(output, file);
	output->turn.kept_count++;
	output->turn.kept_bytes += content_bytes;
	return 0;
}

/* Returns the next file's path, which the caller frees; NULL: no memory. */
static char *choose_path(struct cw_outputs *outputs, const struct cw_output *output,
			 const char *path)
{
	if (output->name->is_stdout || output->is_stream)
		return strdup(path);
	if (output->is_numbered)
		return cw_names_claim_number(&outputs->names, path, next_number(output));
	return cw_names_claim(&outputs->names, path);
}

/* Raises the number that the ring's list has for the next run. Relaxed: a number only. */
static void note_number(const struct cw_output *output)
{
	uint64_t next = next_number(output);

	if (output->ring &&
	    atomic_load_explicit(&output->ring->next_number, memory_order_relaxed) < next)
		atomic_store_explicit(&output->ring->next_number, next, memory_order_relaxed);
}

struct cw_file *cw_output_new_file(struct cw_outputs *outputs, struct cw_output *output,
				   const struct cw_iface *iface, uint64_t ts_ns)
{
	const struct cw_template_values values = {.rule = output->rule->name,
						  .iface = iface ? iface->name : NULL,
						  .seq = next_number(output),
						  .ts_ns = ts_ns,
						  .is_utc = outputs->run->options.output.is_utc};
	struct cw_outfile_options options = outfile_options(outputs, output);
	char path[CW_TEMPLATE_PATH_BYTES];
	struct cw_file *file = calloc(1, sizeof(*file));
	int result;

	if (!file)
		goto no_memory;
	if (output->name->is_zst && !outputs->pack) {
		cw_output_fail(output, CW_PACK_FAILED, false,
			       "this run has no memory for compressed outputs");
		goto failed;
	}
	result = cw_template_expand(output->name, &values, path);
	if (result < 0) {
		cw_output_fail(output, result, output->turn.file_count > 0,
			       "the file name is too long");
		goto failed;
	}
	file->path = choose_path(outputs, output, path);
	options.is_later |= file->path && strcmp(file->path, path) != 0;
	if (!file->path || cw_outfile_new(&file->outfile, file->path, &options) < 0)
		goto no_memory;
	file->is_rotation = output->turn.file_count > 0;
	file->is_later = options.is_later;
	append_file(output, file);
	output->turn.file_count++;
	note_number(output);
	return file;
no_memory:
	cw_output_fail(output, -ENOMEM, output->turn.file_count > 0, "no memory for the file name");
failed:
	if (file)
		free(file->path);
	free(file);
	return NULL;
}

uint32_t cw_output_snaplen_field(const struct cw_outputs *outputs, const struct cw_output *output,
				 uint32_t linktype)
{
	if (output->snaplen != UINT32_MAX)
		return output->snaplen;
	return outputs->inputs->snaplen_max ? outputs->inputs->snaplen_max
					    : cw_linktype_caplen_max(linktype);
}

enum cw_format cw_output_choose_format(const struct cw_outputs *outputs,
				       const struct cw_output *output, bool has_fine)
{
	enum cw_time_precision precision = outputs->run->options.output.time_precision;

	if (output->format == CW_FORMAT_PCAPNG)
		return CW_FORMAT_PCAPNG;
	if (precision == CW_TIME_AUTO)
		precision = has_fine ? CW_TIME_NS : CW_TIME_US;
	return precision == CW_TIME_NS ? CW_FORMAT_PCAP_NS : CW_FORMAT_PCAP_US;
}
