/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/base/plural.h"
#include "tools/bench/bench.h"
#include "tools/text/numbers.h"

struct cw_bench_row *cw_bench_table_add(struct cw_bench_table *table)
{
	struct cw_bench_row *rows = realloc(table->rows, (table->row_count + 1) * sizeof(*rows));
	struct cw_bench_row *row;

	if (!rows) {
		cw_complain("out of memory");
		return NULL;
	}
	table->rows = rows;
	row = &rows[table->row_count];
	*row = (struct cw_bench_row){.wall_ns = calloc(3 * (size_t)table->rounds, sizeof(double))};
	if (!row->wall_ns) {
		cw_complain("out of memory");
		return NULL;
	}
	row->cpu_ns = row->wall_ns + table->rounds;
	row->cycles = row->cpu_ns + table->rounds;
	table->row_count++;
	return row;
}

void cw_bench_row_sample(struct cw_bench_row *row, const struct cw_stage_time *time,
			 uint64_t packets)
{
	double count = packets ? (double)packets : 1;

	row->wall_ns[row->sample_count] = time->wall_ns / count;
	row->cpu_ns[row->sample_count] = time->cpu_ns / count;
	row->cycles[row->sample_count++] = time->cycles / count;
}

void cw_bench_table_prune(struct cw_bench_table *table)
{
	uint32_t index, kept = 0;

	for (index = 0; index < table->row_count; index++) {
		if (!table->rows[index].is_left_out)
			table->rows[kept++] = table->rows[index];
		else
			free(table->rows[index].wall_ns);
	}
	table->row_count = kept;
}

void cw_bench_table_fini(struct cw_bench_table *table)
{
	for (uint32_t index = 0; index < table->row_count; index++)
		free(table->rows[index].wall_ns);
	free(table->rows);
	json_decref(table->limits);
	table->rows = NULL;
	table->row_count = 0;
}

/* Returns the quantile `part` of sorted numbers, interpolated. */
static double quantile(const double *sorted, uint64_t count, double part)
{
	double at = part * (double)(count - 1);
	uint64_t below = (uint64_t)at;

	if (below + 1 >= count)
		return sorted[count - 1];
	return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

double cw_bench_spread(const double *sorted, uint64_t count)
{
	return (quantile(sorted, count, 0.75) - quantile(sorted, count, 0.25)) / 2;
}

double cw_bench_median(const double *sorted, uint64_t count)
{
	return quantile(sorted, count, 0.5);
}

/* The printed figures of a row. */
struct figures {
	double wall_ns, min_ns, max_ns, spread_ns, cpu_ns, cycles;
	double limit_fraction; /* 0: unknown */
};

static void take_figures(const struct cw_bench_table *table, struct cw_bench_row *row,
			 struct figures *figures)
{
	uint32_t count = row->sample_count;
	double actual;

	*figures = (struct figures){0};
	if (!count)
		return;
	cw_stage_sort(row->wall_ns, count);
	cw_stage_sort(row->cpu_ns, count);
	cw_stage_sort(row->cycles, count);
	figures->wall_ns = cw_bench_median(row->wall_ns, count);
	figures->min_ns = row->wall_ns[0];
	figures->max_ns = row->wall_ns[count - 1];
	figures->spread_ns = cw_bench_spread(row->wall_ns, count);
	figures->cpu_ns = cw_bench_median(row->cpu_ns, count);
	figures->cycles = cw_bench_median(row->cycles, count);
	actual = table->is_cpu_limit ? figures->cpu_ns : figures->wall_ns;
	if (row->limit_ns > 0 && actual > 0)
		figures->limit_fraction = row->limit_ns / actual;
}

static double bytes_per_packet(const struct cw_bench_row *row)
{
	return row->packets ? (double)row->bytes / (double)row->packets : 0;
}

/* ---- JSON ---- */

/* Returns a number as JSON, or null for 0. */
static json_t *number_or_null(double number)
{
	return number > 0 ? json_real(number) : json_null();
}

static void set_key(json_t *object, const char *pattern, const char *unit, json_t *value)
{
	char key[64];

	snprintf(key, sizeof(key), pattern, unit);
	json_object_set_new(object, key, value);
}

static json_t *row_json(const struct cw_bench_table *table, struct cw_bench_row *row)
{
	json_t *object = json_pack("{s:s}", "program", row->program);
	struct figures figures;

	take_figures(table, row, &figures);
	if (row->threads)
		json_object_set_new(object, table->threads, json_integer(row->threads));
	if (row->rule_count)
		json_object_set_new(object, "rules", json_integer(row->rule_count));
	if (row->traffic)
		json_object_set_new(object, "traffic", cw_json_text(row->traffic));
	if (row->packet_bytes)
		json_object_set_new(object, "packet_bytes", json_integer(row->packet_bytes));
	set_key(object, "%ss", table->unit, json_integer((json_int_t)row->packets));
	json_object_set_new(object, "bytes", json_integer((json_int_t)row->bytes));
	json_object_set_new(object, "written", json_integer((json_int_t)row->written));
	json_object_set_new(object, "written_bytes", json_integer((json_int_t)row->written_bytes));
	json_object_set_new(object, "dropped", json_integer((json_int_t)row->dropped));
	if (row->offered)
		json_object_set_new(object, "offered", json_integer((json_int_t)row->offered));
	json_object_set_new(object, "told_dropped", json_integer((json_int_t)row->told_dropped));
	json_object_set_new(object, "unwritten", json_integer((json_int_t)row->unwritten));
	json_object_set_new(object, "rounds", json_integer(row->sample_count));
	set_key(object, "%ss_per_s", table->unit,
		json_real(figures.wall_ns > 0 ? 1e9 / figures.wall_ns : 0));
	json_object_set_new(
	    object, "gb_per_s",
	    json_real(figures.wall_ns > 0 ? bytes_per_packet(row) / figures.wall_ns : 0));
	set_key(object, "ns_per_%s", table->unit, json_real(figures.wall_ns));
	json_object_set_new(object, "min", json_real(figures.min_ns));
	json_object_set_new(object, "max", json_real(figures.max_ns));
	json_object_set_new(object, "spread", json_real(figures.spread_ns));
	set_key(object, "cpu_ns_per_%s", table->unit, json_real(figures.cpu_ns));
	set_key(object, "cycles_per_%s", table->unit, number_or_null(figures.cycles));
	set_key(object, "limit_ns_per_%s", table->unit, number_or_null(row->limit_ns));
	json_object_set_new(object, "limit_fraction", number_or_null(figures.limit_fraction));
	return object;
}

static json_t *table_json(struct cw_bench_table *table)
{
	json_t *rows = json_array(), *machine = cw_bench_machine(), *result;

	for (uint32_t index = 0; index < table->row_count; index++)
		json_array_append_new(rows, row_json(table, &table->rows[index]));
	result = json_pack("{s:i, s:s, s:o, s:i, s:s, s:o}", "version", 1, "bench", table->bench,
			   "machine", machine, "rounds", (int)table->rounds, "limit", table->limit,
			   "results", rows);
	if (table->has_seed)
		json_object_set_new(result, "seed", json_integer((json_int_t)table->seed));
	if (table->limits)
		json_object_set(result, "limits", table->limits);
	return result;
}

/* ---- text ---- */

static void print_row(const struct cw_bench_table *table, struct cw_bench_row *row)
{
	char number[32], spread[64], traffic[32], lost[CW_NUMBER_BYTES], share[16];
	struct figures figures;

	take_figures(table, row, &figures);
	cw_print(stdout, "%-11s", row->program);
	snprintf(number, sizeof(number), "%u", row->threads);
	cw_print(stdout, " %7s", row->threads ? number : "-");
	snprintf(number, sizeof(number), "%u", row->rule_count);
	cw_print(stdout, " %6s", row->rule_count ? number : "-");
	snprintf(traffic, sizeof(traffic), "%u B", row->packet_bytes);
	cw_print(stdout, " %14.14s",
		 row->traffic        ? row->traffic
		 : row->packet_bytes ? traffic
				     : "-");
	snprintf(spread, sizeof(spread), "(%.1f-%.1f)", figures.min_ns, figures.max_ns);
	cw_print(stdout, " %8.2f %7.2f %9.1f %19s %8.1f",
		 figures.wall_ns > 0 ? 1e3 / figures.wall_ns : 0,
		 figures.wall_ns > 0 ? bytes_per_packet(row) / figures.wall_ns : 0, figures.wall_ns,
		 spread, figures.cpu_ns);
	snprintf(number, sizeof(number), "%.0f", figures.cycles);
	snprintf(share, sizeof(share), "%.0f %%", 100 * figures.limit_fraction);
	cw_print(stdout, " %7s %9s %8s\n", figures.cycles > 0 ? number : "-",
		 cw_format_count(row->dropped + row->unwritten, lost),
		 figures.limit_fraction > 0 ? share : "-");
}

static void print_limits(const json_t *limits)
{
	const char *name;
	json_t *rates, *rate;

	json_object_foreach((json_t *)(uintptr_t)limits, name, rates)
	{
		if (!json_is_array(rates))
			continue;
		cw_print(stdout, "%-8s", name);
		for (size_t index = 0; index < json_array_size(rates); index++) {
			rate = json_array_get(rates, index);
			cw_print(stdout, "%s %.1f GB/s (%.1f-%.1f) by %d", index ? "," : "",
				 json_real_value(json_object_get(rate, "gb_per_s")),
				 json_real_value(json_object_get(rate, "min")),
				 json_real_value(json_object_get(rate, "max")),
				 (int)json_integer_value(json_object_get(rate, "threads")));
		}
		cw_print(stdout, "\n");
	}
}

static void print_text(struct cw_bench_table *table)
{
	char ns[48];

	cw_bench_print_machine();
	if (table->has_seed)
		cw_print(stdout, "seed %llu; ", (unsigned long long)table->seed);
	cw_print(stdout, "medians of %u round%s\n", table->rounds, cw_plural(table->rounds));
	if (table->limits)
		print_limits(table->limits);
	if (!table->row_count)
		return;
	snprintf(ns, sizeof(ns), "ns/%s", table->unit);
	cw_print(stdout, "%-11s %7s %6s %14s %8s %7s %9s %19s %8s %7s %9s %8s\n", "program",
		 table->threads, "rules", "traffic", "M/s", "GB/s", ns, "(min-max)", "CPU ns",
		 "cycles", "lost", "of limit");
	for (uint32_t index = 0; index < table->row_count; index++)
		print_row(table, &table->rows[index]);
	cw_print(stdout, "limit: %s\n", table->limit);
}

int cw_bench_table_print(struct cw_bench_table *table, bool is_json)
{
	if (is_json)
		return cw_bench_write(table_json(table));
	print_text(table);
	return cw_flush_output();
}
