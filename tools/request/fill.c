/* SPDX-License-Identifier: BSD-3-Clause */
/* The road from arguments to the rules and options of a run, which a check takes too. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pipeline/pipeline.h"
#include "tools/options/options.h"
#include "tools/request/request.h"
#include "tools/text/report.h"

/* Refuses several readers of standard input among -r, -V, -R and -F. */
static int check_stdin(const struct cw_arguments *arguments)
{
	uint32_t count = 0;

	for (uint32_t index = 0; index < arguments->inputs.count; index++)
		count += strcmp(arguments->inputs.words[index], "-") == 0;
	count += arguments->rules.file && strcmp(arguments->rules.file, "-") == 0;
	for (uint32_t index = 0; index < arguments->lists.count; index++)
		count += strcmp(arguments->lists.words[index], "-") == 0;
	count += arguments->filter.file && strcmp(arguments->filter.file, "-") == 0;
	if (count < 2)
		return 0;
	return cw_refuse("standard input (-) can be read once only: use a file for the others");
}

static void fill_options(const struct cw_arguments *arguments, const struct cw_rules *rules,
			 const char *prefilter, struct cw_pipeline_options *options)
{
	options->inputs = arguments->inputs.words;
	options->input_count = arguments->inputs.count;
	options->resyncs = arguments->resyncs;
	options->cure = arguments->resyncs ? NULL : CW_RESYNC_CURE;
	options->rules = rules;
	options->match.prefilter = prefilter;
	options->output.directory = arguments->output.directory;
	options->threads = (uint32_t)arguments->output.threads;
	options->packet_limit = arguments->output.packet_count;
	options->output.snaplen = (uint32_t)arguments->output.snaplen;
	options->output.time_precision = (enum cw_time_precision)arguments->output.precision;
	options->output.direct = (enum cw_direct_mode)arguments->output.direct;
	options->match.engine = (enum cw_filter_engine)arguments->filter.engine;
	options->match.verify_every = (uint32_t)arguments->filter.verify_every;
	options->match.unoptimized = arguments->filter.unoptimized;
	options->match.resolve_names = arguments->filter.resolve;
	options->output.packet_buffered = arguments->output.packet_buffered;
	options->output.discards_secrets = arguments->output.discards_secrets;
	options->output.no_clobber = arguments->output.no_clobber;
	options->output.adopts_all = arguments->output.adopts_all;
	options->output.adopts_none = arguments->output.adopts_none;
	options->output.sync = arguments->devices.count ? arguments->output.sync != CW_SYNC_OFF
							: arguments->output.sync == CW_SYNC_CLOSE;
	options->output.is_utc = arguments->output.utc;
	options->output.standard_output = STDOUT_FILENO;
	options->sizes.pool_bytes = arguments->output.buffer_bytes;
	options->sizes.chunk_bytes = arguments->output.chunk_bytes;
	/* With a given chunk size, each chunk is written once full. */
	options->sizes.gather_bytes = arguments->output.chunk_bytes;
	options->sizes.batch_bytes = arguments->output.batch_bytes;
	options->sizes.batch_records = (uint32_t)arguments->output.batch_packets;
	if (arguments->output.segment_bytes != UINT64_MAX) {
		options->sizes.segment_bytes = arguments->output.segment_bytes;
		options->sizes.no_segments = !arguments->output.segment_bytes;
	}
	options->sizes.guess_wrong = (enum cw_guess_wrong)arguments->output.wrong_guess;
}

int cw_request_make(struct cw_request *request, const struct cw_arguments *arguments)
{
	struct cw_pipeline_options *options = &request->options;
	int result;

	*request = (struct cw_request){.expression = NULL};
	cw_pipeline_options_init(options);
	result = check_stdin(arguments);
	if (result == 0)
		result = cw_arguments_expression(arguments, &request->expression);
	if (result == 0)
		result = cw_arguments_rules(arguments, &request->rules, &request->expression);
	if (result == 0)
		result = cw_arguments_linktype(arguments, &options->linktype);
	if (result == 0) {
		fill_options(arguments, &request->rules, request->expression, options);
		result = cw_arguments_live(arguments, options);
	}
	return result;
}

void cw_request_fini(struct cw_request *request)
{
	cw_rules_fini(&request->rules);
	free(request->expression);
}
