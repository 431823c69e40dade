/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lines of the control socket: requests (the fuzz target's entry) and answers. Counters in
 * answers are sums since the run's start and never decrease.
 */
#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/near.h"
#include "core/base/noted.h"
#include "pipeline/control/control_parts.h"
#include "pipeline/control/snapshot.h"
#include "pipeline/state.h"

/* ---- requests ---- */

static const char *const names[] = {
    [CW_CONTROL_STATS] = "stats",   [CW_CONTROL_RULES] = "rules", [CW_CONTROL_RELOAD] = "reload",
    [CW_CONTROL_ROTATE] = "rotate", [CW_CONTROL_FLUSH] = "flush", [CW_CONTROL_STOP] = "stop",
    [CW_CONTROL_LOG] = "log"};
static_assert(CW_ARRAY_COUNT(names) == CW_CONTROL_COMMANDS, "a name each");

static const char *const levels[] = {
    [CW_NOTE] = "note", [CW_WARNING] = "warning", [CW_PROBLEM] = "problem"};

const char *cw_control_command_name(enum cw_control_command command)
{
	return names[command];
}

/* Returns the word's index in `words`, or `count` if it is not in there. */
static uint32_t find_word(const char *const *words, uint32_t count, const char *word)
{
	uint32_t index;

	for (index = 0; index < count && strcmp(word, words[index]) != 0; index++)
		;
	return index;
}

/* Refuses a word that is not in `words`: names the nearest ones, else all of them. */
static int refuse_word(const char *kind, const char *word, const char *const *words, uint32_t count,
		       const char *all, struct cw_error *error)
{
	struct cw_near near = {.word = word, .bytes = strlen(word)};
	char meant[CW_NEAR_TEXT_BYTES];

	for (uint32_t index = 0; index < count; index++)
		cw_near_offer(&near, words[index]);
	if (cw_near_say(&near, "'", "'", meant, sizeof(meant)))
		return cw_error_set(error, -EINVAL, "unknown %s '%.40s';%s", kind, word, meant);
	return cw_error_set(error, -EINVAL, "unknown %s '%.40s'; there are %s", kind, word, all);
}

static int take_command(const char *name, struct cw_control_request *request,
			struct cw_error *error)
{
	request->command = find_word(names, CW_ARRAY_COUNT(names), name);
	if (request->command < CW_CONTROL_COMMANDS)
		return 0;
	return refuse_word("command", name, names, CW_ARRAY_COUNT(names),
			   "stats, rules, reload, rotate, flush, stop and log", error);
}

static int take_level(const char *text, struct cw_control_request *request, struct cw_error *error)
{
	request->level = find_word(levels, CW_ARRAY_COUNT(levels), text);
	if (request->level < CW_ARRAY_COUNT(levels))
		return 0;
	return refuse_word("level", text, levels, CW_ARRAY_COUNT(levels),
			   "note, warning and problem", error);
}

static int take_rule(const char *text, struct cw_control_request *request, struct cw_error *error)
{
	if (!text[0] || strlen(text) > CW_RULE_NAME_BYTES_MAX)
		return cw_error_set(error, -EINVAL, "there is no rule '%.40s'", text);
	strcpy(request->rule, text);
	return 0;
}

/* Takes one member. Every key but "command" belongs to one command. */
static int take_member(const char *key, const char *text, struct cw_control_request *request,
		       struct cw_error *error)
{
	if (strcmp(key, "command") == 0)
		return 0;
	if (strcmp(key, "rule") == 0 && request->command == CW_CONTROL_ROTATE)
		return take_rule(text, request, error);
	if (strcmp(key, "level") == 0 && request->command == CW_CONTROL_LOG)
		return take_level(text, request, error);
	return cw_error_set(error, -EINVAL, "the command %s has no '%.40s'",
			    names[request->command], key);
}

static int take_members(json_t *object, struct cw_control_request *request, struct cw_error *error)
{
	const char *name = json_string_value(json_object_get(object, "command"));
	const char *key;
	json_t *value;
	int result;

	if (!name)
		return cw_error_set(error, -EINVAL, "there is no \"command\" that is a string");
	result = take_command(name, request, error);
	if (result < 0)
		return result;
	json_object_foreach(object, key, value)
	{
		if (!json_is_string(value))
			return cw_error_set(error, -EINVAL, "'%.40s' must be a string", key);
		result = take_member(key, json_string_value(value), request, error);
		if (result < 0)
			return result;
	}
	if (request->command == CW_CONTROL_LOG && !json_object_get(object, "level"))
		return cw_error_set(error, -EINVAL, "the command log needs a \"level\"");
	return 0;
}

int cw_control_parse(const char *line, size_t bytes, struct cw_control_request *request,
		     struct cw_error *error)
{
	json_error_t fault;
	json_t *object;
	int result;

	*request = (struct cw_control_request){0};
	if (bytes > CW_CONTROL_LINE_BYTES_MAX)
		return cw_error_set(error, -EINVAL, "a line has at most %u bytes",
				    CW_CONTROL_LINE_BYTES_MAX);
	object = json_loadb(line, bytes, JSON_REJECT_DUPLICATES, &fault);
	if (!object)
		return cw_error_set(error, -EINVAL, "not JSON: %s (column %d)", fault.text,
				    fault.column);
	result = json_is_object(object) ? take_members(object, request, error)
					: cw_error_set(error, -EINVAL,
						       "a request is an object, such as "
						       "{\"command\": \"stats\"}");
	json_decref(object);
	return result;
}

/* ---- answers ---- */

static json_t *count(uint64_t value)
{
	return json_integer((json_int_t)value);
}

/* Returns text as JSON even if it is not UTF-8, such as a path. */
static json_t *text_json(const char *text)
{
	json_t *result;
	char *clean;

	if (!text)
		return json_null();
	result = json_string(text);
	if (result)
		return result;
	clean = cw_noted_utf8(text);
	result = clean ? json_string(clean) : NULL;
	free(clean);
	return result;
}

/* Returns the object (takes) as a line, or NULL if memory ran out while this thread made it. */
static char *line_of(json_t *object)
{
	char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	size_t bytes = text ? strlen(text) : 0;
	char *line = text ? realloc(text, bytes + 2) : NULL;

	json_decref(object);
	if (!cw_noted_failure() && line) {
		memcpy(line + bytes, "\n", 2);
		return line;
	}
	free(line ? line : text);
	return NULL;
}

static json_t *new_answer(enum cw_control_command command)
{
	return json_pack("{s:b, s:s}", "ok", 1, "command", cw_control_command_name(command));
}

char *cw_control_answer(enum cw_control_command command)
{
	return line_of(new_answer(command));
}

char *cw_control_answer_error(const char *text)
{
	return line_of(json_pack("{s:b, s:o}", "ok", 0, "error", text_json(text)));
}

char *cw_control_answer_rotate(uint32_t outputs)
{
	json_t *answer = new_answer(CW_CONTROL_ROTATE);

	json_object_set_new(answer, "outputs", count(outputs));
	return line_of(answer);
}

/* An array of the words between spaces. */
static json_t *words_json(const char *words)
{
	json_t *array = json_array();
	size_t bytes;

	for (; array && *words; words += bytes + (words[bytes] == ' ')) {
		bytes = strcspn(words, " ");
		json_array_append_new(array, json_stringn(words, bytes));
	}
	return array;
}

char *cw_control_answer_reload(const struct cw_reload_status *status)
{
	json_t *answer =
	    json_pack("{s:b, s:s, s:o, s:o, s:o}", "ok", status->was_accepted, "command",
		      cw_control_command_name(CW_CONTROL_RELOAD), "generation",
		      count(status->generation), "rules", count(status->rule_count),
		      status->was_accepted ? "text" : "error", text_json(status->text));

	if (status->was_accepted)
		json_object_set_new(answer, "needs_restart", words_json(status->restart));
	return line_of(answer);
}

/* ---- stats ---- */

static json_t *books_json(const struct cw_books *books)
{
	const struct cw_books_line *line;
	json_t *json = json_object();

	for (line = cw_books_lines; line->name; line++) {
		if (line->is_in_stats)
			json_object_set_new(json, line->name, count(cw_books_count(books, line)));
	}
	return json;
}

static json_t *queues_json(const struct cw_snapshot *snapshot)
{
	json_t *list = json_array();

	for (uint32_t index = 0; index < snapshot->queue_count; index++) {
		const struct cw_snapshot_queue *queue = &snapshot->queues[index];

		json_array_append_new(
		    list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "device",
				    text_json(queue->device), "queue", count(queue->queue),
				    "kernel_seen", count(queue->kernel_seen), "kernel_dropped",
				    count(queue->kernel_dropped), "freezes", count(queue->freezes),
				    "handed_out", count(queue->handed_out), "batches_out",
				    count(queue->batches_out), "batches", count(queue->batch_count),
				    "ring_used", count(queue->ring_used), "ring_blocks",
				    count(queue->ring_blocks)));
	}
	return list;
}

static json_t *outputs_json(const struct cw_snapshot *snapshot)
{
	json_t *list = json_array();

	for (uint32_t index = 0; index < snapshot->output_count; index++) {
		const struct cw_snapshot_output *output = &snapshot->outputs[index];

		json_array_append_new(
		    list, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b}", "rule",
				    text_json(output->name), "matched", count(output->matched),
				    "left_out", count(output->left_out), "written",
				    count(output->written), "lost", count(output->lost), "backlog",
				    count(output->backlog), "chunks", count(output->chunks),
				    "failed", output->has_failed, "leaving", output->is_leaving));
	}
	return list;
}

static json_t *workers_json(const struct cw_snapshot *snapshot)
{
	json_t *list = json_array();

	for (uint32_t index = 0; index < snapshot->worker_count; index++)
		json_array_append_new(
		    list,
		    json_pack("{s:f}", "cpu_s", (double)snapshot->workers[index].cpu_ns * 1e-9));
	return list;
}

static json_t *stats_json(const struct cw_snapshot *snapshot)
{
	const struct cw_progress *progress = &snapshot->progress;
	const struct cw_reload_status *reload = &snapshot->reload;
	json_t *stats =
	    json_pack("{s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "elapsed_s", snapshot->elapsed_s,
		      "packets", count(progress->packets), "bytes", count(progress->bytes),
		      "kernel_seen", count(progress->kernel_seen), "kernel_dropped",
		      count(progress->kernel_dropped), "freezes", count(progress->freezes),
		      "lost_before_tap", count(progress->lost_before_tap), "interface_rx_dropped",
		      count(progress->interface_rx_dropped));

	json_object_set_new(stats, "books", books_json(&snapshot->books));
	json_object_set_new(stats, "reloads",
			    json_pack("{s:o, s:o, s:o, s:o}", "generation",
				      count(reload->generation), "rules", count(reload->rule_count),
				      "accepted", count(reload->accepted), "refused",
				      count(reload->refused)));
	json_object_set_new(stats, "pool",
			    json_pack("{s:o, s:o, s:b}", "chunks", count(snapshot->pool_chunks),
				      "free", count(snapshot->pool_free), "starved",
				      snapshot->is_starved));
	json_object_set_new(stats, "stopping", json_boolean(snapshot->is_stopping));
	json_object_set_new(stats, "queues", queues_json(snapshot));
	json_object_set_new(stats, "workers", workers_json(snapshot));
	json_object_set_new(stats, "outputs", outputs_json(snapshot));
	return stats;
}

char *cw_control_answer_stats(struct cw_pipeline *pipeline)
{
	struct cw_snapshot snapshot;
	json_t *answer;

	if (cw_snapshot_take(pipeline, &snapshot) < 0)
		return NULL;
	answer = new_answer(CW_CONTROL_STATS);
	json_object_set_new(answer, "stats", stats_json(&snapshot));
	cw_snapshot_fini(&snapshot);
	return line_of(answer);
}

/* ---- rules ---- */

static json_t *rule_json(const struct cw_rule *rule)
{
	return json_pack(
	    "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
	    text_json(rule->name), "filter", text_json(rule->filter ? rule->filter : "unmatched"),
	    "write", text_json(rule->write), "snaplen", count(rule->snaplen), "rotate_bytes",
	    count(rule->rotate_bytes), "rotate_packets", count(rule->rotate_packets),
	    "rotate_every_ns", count(rule->rotate_every_ns), "keep_files", count(rule->ring_files),
	    "keep_bytes", count(rule->ring_bytes), "priority", count(rule->priority),
	    "sample_every", count(rule->sample_every), "limit_packets", count(rule->limit_packets),
	    "limit_bytes", count(rule->limit_bytes), "limit_rate", count(rule->limit_rate), "line",
	    count(rule->line));
}

char *cw_control_answer_rules(struct cw_pipeline *pipeline)
{
	struct cw_generation *generation = cw_generation_take(&pipeline->generations);
	json_t *answer = new_answer(CW_CONTROL_RULES);
	json_t *list = json_array();

	for (uint32_t index = 0; index < generation->rules->count; index++)
		json_array_append_new(list, rule_json(&generation->rules->rules[index]));
	json_object_set_new(answer, "generation", count(generation->number));
	json_object_set_new(
	    answer, "mode",
	    json_string(generation->rules->mode == CW_FILTER_FIRST ? "first" : "all"));
	json_object_set_new(answer, "rules", list);
	cw_generation_give_back(generation);
	return line_of(answer);
}
