/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir stats and capweir control: requests to the --control socket of a running capture. */
#include <inttypes.h>
#include <string.h>

#include "core/base/plural.h"
#include "tools/commands/ask.h"
#include "tools/commands/commands.h"
#include "tools/text/numbers.h"

/* ---- stats ---- */

static void print_queues(json_t *stats)
{
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES];
	json_t *queue;
	size_t index;

	json_array_foreach(json_object_get(stats, "queues"), index, queue)
	{
		cw_print(stdout,
			 "%s queue %" PRIu64 ": %s seen by the kernel, %s dropped; %" PRIu64
			 " of %" PRIu64 " batches in use\n",
			 json_string_value(json_object_get(queue, "device")),
			 cw_ask_number(queue, "queue"),
			 cw_format_count(cw_ask_number(queue, "kernel_seen"), a),
			 cw_format_count(cw_ask_number(queue, "kernel_dropped"), b),
			 cw_ask_number(queue, "batches_out"), cw_ask_number(queue, "batches"));
	}
}

static void print_outputs(json_t *stats)
{
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES], c[CW_NUMBER_BYTES];
	json_t *output;
	size_t index;

	cw_print(stdout, "%-24s %15s %15s %12s\n", "rule", "matched", "written", "lost");
	json_array_foreach(json_object_get(stats, "outputs"), index, output)
	{
		cw_print(stdout, "%-24s %15s %15s %12s%s%s\n",
			 json_string_value(json_object_get(output, "rule")),
			 cw_format_count(cw_ask_number(output, "matched"), a),
			 cw_format_count(cw_ask_number(output, "written"), b),
			 cw_format_count(cw_ask_number(output, "lost"), c),
			 json_is_true(json_object_get(output, "failed")) ? "  (writing fails)" : "",
			 json_is_true(json_object_get(output, "leaving")) ? "  (rule removed)"
									  : "");
	}
}

static void print_stats(json_t *stats)
{
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES], c[CW_NUMBER_BYTES];
	json_t *books = json_object_get(stats, "books");
	json_t *reloads = json_object_get(stats, "reloads");
	json_t *pool = json_object_get(stats, "pool");

	cw_print(stdout,
		 "%.0f s: %s packet%s, %s; rules generation %" PRIu64 ", %" PRIu64
		 " reload%s refused%s\n",
		 json_number_value(json_object_get(stats, "elapsed_s")),
		 cw_format_count(cw_ask_number(stats, "packets"), a),
		 cw_plural(cw_ask_number(stats, "packets")),
		 cw_format_bytes(cw_ask_number(stats, "bytes"), b),
		 cw_ask_number(reloads, "generation"), cw_ask_number(reloads, "refused"),
		 cw_plural(cw_ask_number(reloads, "refused")),
		 json_is_true(json_object_get(stats, "stopping")) ? "; stopping" : "");
	print_queues(stats);
	cw_print(stdout, "%" PRIu64 " of %" PRIu64 " chunks free%s\n", cw_ask_number(pool, "free"),
		 cw_ask_number(pool, "chunks"),
		 json_is_true(json_object_get(pool, "starved")) ? "; packets wait for chunks" : "");
	print_outputs(stats);
	cw_print(
	    stdout, "%s records to write, %s written, %s lost\n",
	    cw_format_count(cw_ask_number(books, "matched") - cw_ask_number(books, "left_out"), a),
	    cw_format_count(cw_ask_number(books, "written"), b),
	    cw_format_count(cw_ask_number(books, "lost"), c));
}

int cw_command_stats(const struct cw_arguments *arguments)
{
	json_t *answer;
	bool is_so;

	if (arguments->rest.count)
		return cw_refuse("stats takes no words, not '%s': capweir control sends commands",
				 arguments->rest.words[0]);
	if (!arguments->live.control)
		return cw_ask_refuse_no_path();
	answer = cw_ask(arguments->live.control, json_pack("{s:s}", "command", "stats"), false);
	is_so = cw_ask_is_good(answer);
	if (is_so && arguments->json) {
		cw_json_print(json_incref(json_object_get(answer, "stats")),
			      JSON_INDENT(1) | JSON_REAL_PRECISION(9), "");
	} else if (is_so) {
		print_stats(json_object_get(answer, "stats"));
	}
	json_decref(answer);
	return is_so ? CW_EXIT_COMPLETE : CW_EXIT_PROBLEM;
}

/* ---- control ---- */

int cw_command_control(const struct cw_arguments *arguments)
{
	const struct cw_words *rest = &arguments->rest;
	const char *command = rest->count ? rest->words[0] : "";
	bool is_log = strcmp(command, "log") == 0;
	json_t *request, *answer;

	if (rest->count < 1 || rest->count > 2)
		return cw_refuse(
		    "control takes one command: stats, rules, reload, rotate [RULE], flush, "
		    "stop or log LEVEL (note, warning, problem)");
	if (!arguments->live.control)
		return cw_ask_refuse_no_path();
	request = json_pack("{s:o}", "command", cw_json_text(command));
	if (request && rest->count == 2)
		json_object_set_new(request, is_log ? "level" : "rule",
				    cw_json_text(rest->words[1]));
	answer = cw_ask(arguments->live.control, request, strcmp(command, "reload") == 0);
	if (cw_ask_is_good(answer))
		return cw_json_print(answer, JSON_INDENT(1) | JSON_REAL_PRECISION(9), "");
	json_decref(answer);
	return CW_EXIT_PROBLEM;
}
