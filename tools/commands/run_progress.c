/* SPDX-License-Identifier: BSD-3-Clause */
/* Progress lines and statistics of a run. */
#include <stdio.h>

#include "core/base/clock.h"
#include "tools/commands/run.h"
#include "tools/text/numbers.h"
#include "tools/text/report.h"

double cw_session_seconds(const struct cw_session *run)
{
	return (double)(cw_now_ns() - run->start_ns) * 1e-9;
}

static void print_file_progress(struct cw_session *run, bool ends_line)
{
	char packets[CW_NUMBER_BYTES], bytes[CW_NUMBER_BYTES], rate[CW_NUMBER_BYTES];
	double elapsed_s = cw_session_seconds(run);
	struct cw_progress progress;
	char left[64] = "";

	cw_pipeline_progress(run->pipeline, &progress);
	if (progress.total_bytes && progress.read_bytes && elapsed_s > 0)
		snprintf(left, sizeof(left), ", %.0f %%, %.0f s left",
			 100.0 * (double)progress.read_bytes / (double)progress.total_bytes,
			 elapsed_s * (double)(progress.total_bytes - progress.read_bytes) /
			     (double)progress.read_bytes);
	fprintf(stderr, "%s%s packets, %s read, %s/s%s%s", run->has_progress ? "\r\033[K" : "",
		cw_format_count(progress.packets, packets),
		cw_format_bytes(progress.read_bytes, bytes),
		cw_format_bytes((uint64_t)((double)progress.read_bytes / elapsed_s), rate), left,
		ends_line ? "\n" : "");
	fflush(stderr);
	run->has_progress = !ends_line;
}

/* Live: rates since the last progress line, and all losses so far. */
static void print_live_progress(struct cw_session *run, bool ends_line)
{
	char packets[CW_NUMBER_BYTES], bits[CW_NUMBER_BYTES], all[CW_NUMBER_BYTES],
	    dropped[CW_NUMBER_BYTES], before[CW_NUMBER_BYTES];
	double now_s = cw_session_seconds(run);
	double span_s = now_s - run->last_s;
	struct cw_progress progress;

	cw_pipeline_progress(run->pipeline, &progress);
	if (span_s < 1e-3)
		span_s = 1e-3;
	fprintf(
	    stderr,
	    "%s%.0f s: %s packets, %s/s, %s/s; dropped by the kernel %s, by the interface %s%s",
	    run->has_progress ? "\r\033[K" : "", now_s, cw_format_count(progress.packets, all),
	    cw_format_count((uint64_t)((double)(progress.packets - run->last.packets) / span_s),
			    packets),
	    cw_format_bytes((uint64_t)((double)(progress.bytes - run->last.bytes) / span_s), bits),
	    cw_format_count(progress.kernel_dropped, dropped),
	    cw_format_count(progress.lost_before_tap, before), ends_line ? "\n" : "");
	fflush(stderr);
	run->has_progress = !ends_line;
	run->last = progress;
	run->last_s = now_s;
}

void cw_session_print_progress(struct cw_session *run, bool ends_line)
{
	if (run->is_live)
		print_live_progress(run, ends_line);
	else
		print_file_progress(run, ends_line);
}

void cw_session_erase_progress(struct cw_session *run)
{
	if (run->has_progress)
		fputs("\r\033[K", stderr);
	run->has_progress = false;
}

void cw_session_print_stats(struct cw_session *run)
{
	struct cw_progress progress;
	struct cw_books books;

	if (!run->is_live || !run->arguments->json) {
		cw_session_print_progress(run, true);
		return;
	}
	cw_pipeline_progress(run->pipeline, &progress);
	cw_pipeline_peek(run->pipeline, &books);
	cw_stats_print_json(cw_session_seconds(run), &progress, &books);
}
