/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/commands/ask.h"
#include "core/base/text.h"
#include "tools/commands/top_model.h"

#define BUSY 0.9 /* share of a core from which a worker is the bottleneck */
#define FULL 0.9 /* fill from which the chunk pool is the bottleneck */

/* ---- rates ---- */

struct pair {
	const json_t *before, *now; /* the same object in both answers; before: NULL if it is new */
	double span_s;              /* seconds between the answers */
};

/* Returns the growth of a counter per second. */
static double rate_of(const struct pair *pair, const char *name)
{
	uint64_t now = cw_ask_number(pair->now, name);
	uint64_t before = pair->before ? cw_ask_number(pair->before, name) : 0;

	return now > before ? (double)(now - before) / pair->span_s : 0;
}

static double share(uint64_t part, uint64_t whole)
{
	if (whole == 0)
		return -1;
	return part >= whole ? 1 : (double)part / (double)whole;
}

static struct cw_top_row *new_row(struct cw_top *top, enum cw_top_stage stage)
{
	struct cw_top_row *row = &top->rows[top->row_count++];

	*row = (struct cw_top_row){.stage = stage, .fill = -1, .rate = -1};
	return row;
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "?";
}

/* ---- rows ---- */

static void clean_label(struct cw_top_row *row)
{
	cw_text_clean(row->label);
	for (char *at = row->label; (at = strchr(at, '\n')) != NULL;)
		*at = '?';
}

static void add_queue(struct cw_top *top, const struct pair *pair)
{
	const char *device = text_of(pair->now, "device");
	unsigned queue = (unsigned)cw_ask_number(pair->now, "queue");
	struct cw_top_row *row = new_row(top, CW_TOP_RING);

	snprintf(row->label, sizeof(row->label), "kernel %.20s:%u", device, queue);
	clean_label(row);
	row->fill =
	    share(cw_ask_number(pair->now, "ring_used"), cw_ask_number(pair->now, "ring_blocks"));
	row->rate = rate_of(pair, "kernel_seen");
	row->loss_rate = rate_of(pair, "kernel_dropped");
	row->lost = cw_ask_number(pair->now, "kernel_dropped");
	row = new_row(top, CW_TOP_QUEUE);
	snprintf(row->label, sizeof(row->label), "queue %.20s:%u", device, queue);
	clean_label(row);
	row->fill =
	    share(cw_ask_number(pair->now, "batches_out"), cw_ask_number(pair->now, "batches"));
}

static void add_worker(struct cw_top *top, const struct pair *pair, size_t index)
{
	struct cw_top_row *row = new_row(top, CW_TOP_WORKER);
	double used_s = json_number_value(json_object_get(pair->now, "cpu_s"));

	if (pair->before)
		used_s -= json_number_value(json_object_get(pair->before, "cpu_s"));
	snprintf(row->label, sizeof(row->label), "worker %zu", index);
	row->fill = used_s / pair->span_s;
	row->fill = row->fill < 0 ? 0 : row->fill > 1 ? 1 : row->fill;
}

static void add_pool(struct cw_top *top, const json_t *pool)
{
	struct cw_top_row *row = new_row(top, CW_TOP_POOL);
	uint64_t all = cw_ask_number(pool, "chunks"), left = cw_ask_number(pool, "free");

	snprintf(row->label, sizeof(row->label), "chunks");
	row->fill = share(left < all ? all - left : 0, all);
}

static void add_output(struct cw_top *top, const struct pair *pair, uint64_t pool_chunks)
{
	struct cw_top_row *row = new_row(top, CW_TOP_OUTPUT);

	snprintf(row->label, sizeof(row->label), "output %.30s", text_of(pair->now, "rule"));
	clean_label(row);
	row->fill = share(cw_ask_number(pair->now, "chunks"), pool_chunks);
	row->rate = rate_of(pair, "written");
	row->loss_rate = rate_of(pair, "lost");
	row->lost = cw_ask_number(pair->now, "lost");
	row->has_failed = json_is_true(json_object_get(pair->now, "failed"));
	/* The books count losses of a failed output only once writing works again. */
	if (row->has_failed)
		row->loss_rate += rate_of(pair, "matched");
}

/* Finds the output of the same rule in the earlier answer; a reload adds and removes outputs. */
static const json_t *find_output(const json_t *outputs, const char *rule, size_t hint)
{
	const json_t *output = json_array_get(outputs, hint);
	size_t index;

	if (output && strcmp(text_of(output, "rule"), rule) == 0)
		return output;
	json_array_foreach(outputs, index, output)
	{
		if (strcmp(text_of(output, "rule"), rule) == 0)
			return output;
	}
	return NULL;
}

static int compare_outputs(const void *left, const void *right)
{
	const struct cw_top_row *a = left, *b = right;

	if (a->loss_rate != b->loss_rate)
		return a->loss_rate < b->loss_rate ? 1 : -1;
	if (a->fill != b->fill)
		return a->fill < b->fill ? 1 : -1;
	if (a->lost != b->lost)
		return a->lost < b->lost ? 1 : -1;
	return strcmp(a->label, b->label);
}

/* ---- the bottleneck ---- */

static const struct cw_top_row *fullest(const struct cw_top *top, enum cw_top_stage stage)
{
	const struct cw_top_row *found = NULL;

	for (uint32_t index = 0; index < top->row_count; index++) {
		const struct cw_top_row *row = &top->rows[index];

		if (row->stage == stage && (!found || row->fill > found->fill))
			found = row;
	}
	return found;
}

static double loss_of(const struct cw_top *top, enum cw_top_stage stage)
{
	double sum = 0;

	for (uint32_t index = 0; index < top->row_count; index++)
		sum += top->rows[index].stage == stage ? top->rows[index].loss_rate : 0;
	return sum;
}

static bool is_full(const struct cw_top_row *row, double limit)
{
	return row && row->fill >= limit;
}

/* Kernel drops mean a full kernel ring. The cause is a later stage: looks at the last one first. */
static void blame_for_drops(struct cw_top *top)
{
	const struct cw_top_row *pool = fullest(top, CW_TOP_POOL);
	const struct cw_top_row *output = fullest(top, CW_TOP_OUTPUT);
	const struct cw_top_row *worker = fullest(top, CW_TOP_WORKER);
	const struct cw_top_row *queue = fullest(top, CW_TOP_QUEUE);
	double dropped = loss_of(top, CW_TOP_RING);
	char *text = top->bottleneck;

	if (is_full(pool, FULL) && output)
		snprintf(text, CW_TOP_LINE_BYTES, "%s: written too slowly; the kernel drops %.0f/s",
			 output->label, dropped);
	else if (is_full(worker, BUSY))
		snprintf(text, CW_TOP_LINE_BYTES,
			 "workers: %s is always busy (-t); the kernel drops %.0f/s", worker->label,
			 dropped);
	else if (is_full(queue, 1))
		snprintf(text, CW_TOP_LINE_BYTES,
			 "workers: all batches of %s wait; the kernel drops %.0f/s", queue->label,
			 dropped);
	else
		snprintf(text, CW_TOP_LINE_BYTES,
			 "capture: kernel rings fill in bursts (-B, --queues); drops %.0f/s",
			 dropped);
}

static void find_bottleneck(struct cw_top *top)
{
	const struct cw_top_row *worst = NULL, *row;
	char *text = top->bottleneck;

	for (uint32_t index = 0; index < top->row_count && !worst; index++) {
		if (top->rows[index].stage == CW_TOP_OUTPUT && top->rows[index].loss_rate > 0)
			worst = &top->rows[index]; /* outputs are sorted by losses */
	}
	top->is_losing = worst || loss_of(top, CW_TOP_RING) > 0 || top->before_rate > 0;
	if (loss_of(top, CW_TOP_RING) > 0) {
		blame_for_drops(top);
	} else if (worst) {
		snprintf(text, CW_TOP_LINE_BYTES, "%s: %s and loses %.0f/s", worst->label,
			 worst->has_failed ? "fails" : "is written too slowly", worst->loss_rate);
	} else if (top->before_rate > 0) {
		snprintf(text, CW_TOP_LINE_BYTES, "the interface: loses %.0f/s before the kernel",
			 top->before_rate);
	} else {
		row = fullest(top, CW_TOP_WORKER);
		for (uint32_t index = 0; index < top->row_count; index++) {
			if (!row || top->rows[index].fill > row->fill)
				row = &top->rows[index];
		}
		if (row && row->fill >= 0)
			snprintf(text, CW_TOP_LINE_BYTES,
				 "none: nothing is lost; fullest stage: %s, %.0f %%", row->label,
				 100 * row->fill);
		else
			snprintf(text, CW_TOP_LINE_BYTES, "none: nothing is lost");
	}
}

/* ---- all rows ---- */

int cw_top_make(struct cw_top *top, const json_t *before, const json_t *now)
{
	const json_t *outputs = json_object_get(now, "outputs"),
		     *pool = json_object_get(now, "pool");
	const json_t *queues = json_object_get(now, "queues");
	const json_t *workers = json_object_get(now, "workers");
	const json_t *old_outputs = json_object_get(before, "outputs");
	struct pair whole = {.before = before, .now = now};
	struct cw_top_row *first_output;
	const json_t *each;
	size_t index;

	*top = (struct cw_top){.elapsed_s = json_number_value(json_object_get(now, "elapsed_s"))};
	whole.span_s = top->elapsed_s - json_number_value(json_object_get(before, "elapsed_s"));
	if (whole.span_s < 1e-3)
		whole.span_s = 1e-3;
	top->rows = calloc(2 * json_array_size(queues) + json_array_size(workers) +
			       json_array_size(outputs) + 1,
			   sizeof(*top->rows));
	if (!top->rows)
		return -ENOMEM;
	top->packet_rate = rate_of(&whole, "packets");
	top->byte_rate = rate_of(&whole, "bytes");
	top->before_rate = rate_of(&whole, "lost_before_tap");
	top->lost_before = cw_ask_number(now, "lost_before_tap");
	top->generation = cw_ask_number(json_object_get(now, "reloads"), "generation");
	json_array_foreach(queues, index, each)
	{
		const struct pair pair = {json_array_get(json_object_get(before, "queues"), index),
					  each, whole.span_s};

		add_queue(top, &pair);
	}
	json_array_foreach(workers, index, each)
	{
		const struct pair pair = {json_array_get(json_object_get(before, "workers"), index),
					  each, whole.span_s};

		add_worker(top, &pair, index);
	}
	add_pool(top, pool);
	first_output = &top->rows[top->row_count];
	json_array_foreach(outputs, index, each)
	{
		const struct pair pair = {find_output(old_outputs, text_of(each, "rule"), index),
					  each, whole.span_s};

		add_output(top, &pair, cw_ask_number(pool, "chunks"));
	}
	qsort(first_output, json_array_size(outputs), sizeof(*first_output), compare_outputs);
	find_bottleneck(top);
	return 0;
}

void cw_top_fini(struct cw_top *top)
{
	free(top->rows);
	*top = (struct cw_top){0};
}
