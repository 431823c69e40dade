/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Prints filters and sets of filters: classic BPF as tcpdump prints it; decision programs as text
 * for readers of core/filter/FILTERS.md, and as a graph for Graphviz. view.c reads the nodes.
 *
 *	n3: SWITCH on word[26]
 *	    0x0a000001 (10.0.0.1)       -> n4
 *	    0x0a000002 (10.0.0.2)       -> take back 2
 *	    otherwise                   -> nothing
 *
 * Nodes are numbered in the order in which they are printed, the root first.
 */
#include <pcap/pcap.h>

#include "core/filter/set.h"
#include "core/filter/text/names.h"
#include "core/filter/view.h"

/* Limits unless CW_FILTER_SET_FULL is asked for. */
#define NODES_SHOWN 200u /* nodes of a decision program */
#define LINES_SHOWN 16u  /* lines of a node */
#define IDS_SHOWN 16u    /* ids of a leaf */
#define FILTERS_SHOWN 50u
#define VALUES_SHOWN 4u /* values of one line or label */
#define COLUMN 36       /* column of "->" */

struct printer {
	FILE *file;
	const struct cw_decision *decision;
	const uint32_t *ids;  /* ids of the program's filters */
	struct cw_u32s order; /* nodes in the order of print */
	uint32_t *place;      /* node -> its number in print */
	size_t program;       /* index of the program in the set */
	bool is_full;
};

/* ---- one filter ---- */

int cw_filter_print(const struct cw_filter *filter, FILE *file,
		    enum cw_filter_program_format format)
{
	uint32_t count, i;
	const struct bpf_insn *program = cw_filter_program(filter, &count);

	if (format == CW_FILTER_PROGRAM_NUMBERS)
		fprintf(file, "%u\n", count);
	for (i = 0; i < count; i++) {
		const struct bpf_insn *at = &program[i];

		switch (format) {
		case CW_FILTER_PROGRAM_TEXT:
			fprintf(file, "%s\n", bpf_image(at, (int)i));
			break;
		case CW_FILTER_PROGRAM_INITIALIZERS:
			fprintf(file, "{ 0x%x, %u, %u, 0x%08x },\n", at->code, at->jt, at->jf,
				at->k);
			break;
		case CW_FILTER_PROGRAM_NUMBERS:
			fprintf(file, "%u %u %u %u\n", at->code, at->jt, at->jf, at->k);
			break;
		}
	}
	return ferror(file) ? -EIO : 0;
}

/* ---- words for values and targets ---- */

/* Print a value as "0x0050 (80)" or "0x0a000001 (10.0.0.1)". Returns the length of the text. */
static int print_value(FILE *file, enum cw_var_kind kind, uint32_t value)
{
	switch (kind) {
	case CW_VAR_BYTE:
		return fprintf(file, "0x%02x (%u)", value, value);
	case CW_VAR_HALF:
		return fprintf(file, "0x%04x (%u)", value, value);
	case CW_VAR_WORD:
		return fprintf(file, "0x%08x (%u.%u.%u.%u)", value, value >> 24, value >> 16 & 255,
			       value >> 8 & 255, value & 255);
	default:
		return value < 1024 ? fprintf(file, "%u", value)
				    : fprintf(file, "0x%x (%u)", value, value);
	}
}

static int print_interval(FILE *file, enum cw_var_kind kind, const struct cw_view_edge *edge)
{
	int used = print_value(file, kind, edge->low);

	if (edge->low == edge->high)
		return used;
	used += fprintf(file, " .. ");
	return used + print_value(file, kind, edge->high);
}

/* Print the values of `count` edges with one target. Returns the length of the text. */
static int print_intervals(FILE *file, enum cw_var_kind kind, const struct cw_view_edge *edges,
			   uint32_t count, uint32_t count_max)
{
	uint32_t shown = count > count_max ? count_max : count, i;
	int used = 0;

	for (i = 0; i < shown; i++) {
		used += i ? fprintf(file, ", ") : 0;
		used += print_interval(file, kind, &edges[i]);
	}
	if (shown < count)
		used += fprintf(file, " and %u more", count - shown);
	return used;
}

/* The number of neighbouring edges with the target of `first`, itself included. */
static uint32_t count_same(const struct cw_view_edges *edges, uint32_t first)
{
	uint32_t i = first + 1;

	while (i < edges->count && edges->at[i].to == edges->at[first].to)
		i++;
	return i - first;
}

static void print_part(const struct printer *printer, uint32_t part)
{
	const uint32_t *owners = printer->decision->owners;

	if (!owners || part < printer->decision->filter_count)
		fprintf(printer->file, "%u", printer->ids[part]);
	else
		fprintf(printer->file, "%u (part %u)", printer->ids[owners[part]], part);
}

static void print_event(const struct printer *printer, uint32_t ref)
{
	struct cw_view_event event;
	uint32_t shown = 0, part = 0;

	cw_view_event(printer->decision, ref, &event);
	fputs(event.is_exclude ? "take back " : "emit ", printer->file);
	if (event.count > CW_LEAF_LIST_MAX)
		fprintf(printer->file, "%u (a bitmap): ", event.count);
	while ((part = cw_view_part(printer->decision, ref, part)) != CW_NONE) {
		if (shown == IDS_SHOWN && !printer->is_full) {
			fprintf(printer->file, " and %u more", event.count - shown);
			break;
		}
		fputs(shown++ ? ", " : "", printer->file);
		print_part(printer, part++);
	}
}

static void print_ref(const struct printer *printer, uint32_t ref)
{
	if (ref & CW_REF_EVENT)
		print_event(printer, ref);
	else if (ref == CW_REF_EMPTY)
		fputs("nothing", printer->file);
	else
		fprintf(printer->file, "n%u", printer->place[ref]);
}

/* Print an expression on one line. */
static void print_expression(FILE *file, const struct cw_filter *filter, bool is_escaped)
{
	char quote[CW_FILTER_QUOTE_BYTES];
	const char *at = cw_filter_quote(cw_filter_expression(filter), quote);

	for (; *at; at++) {
		if (is_escaped && (*at == '"' || *at == '\\'))
			fputc('\\', file);
		fputc(*at, file);
	}
}

/* ---- the text ---- */

static void print_line(const struct printer *printer, int used, uint32_t ref)
{
	fprintf(printer->file, "%*s -> ", used < COLUMN ? COLUMN - used : 0, "");
	print_ref(printer, ref);
	fputc('\n', printer->file);
}

static void print_fork(const struct printer *printer, const struct cw_view *view)
{
	fputs("FORK, all of\n", printer->file);
	for (uint32_t i = 0; i < view->edges.count; i++) {
		if (i == LINES_SHOWN && !printer->is_full) {
			fprintf(printer->file, "    and %u more\n", view->edges.count - i);
			return;
		}
		fputs("    -> ", printer->file);
		print_ref(printer, view->edges.at[i].to);
		fputc('\n', printer->file);
	}
}

static void print_switch(const struct printer *printer, const struct cw_view *view)
{
	const struct cw_view_edges *edges = &view->edges;
	uint32_t values_max = printer->is_full ? UINT32_MAX : VALUES_SHOWN;
	uint32_t lines = 0, i, same;

	fprintf(printer->file, "SWITCH on %s\n", view->var);
	for (i = 0; i < edges->count; i += same) {
		same = count_same(edges, i);
		if (lines++ == LINES_SHOWN && !printer->is_full) {
			fprintf(printer->file, "    and %u values or ranges more\n",
				edges->count - i);
			break;
		}
		print_line(printer,
			   fprintf(printer->file, "    ") +
			       print_intervals(printer->file, view->value_kind, &edges->at[i], same,
					       values_max),
			   edges->at[i].to);
	}
	print_line(printer,
		   fprintf(printer->file, edges->count ? "    otherwise" : "    any value"),
		   view->otherwise);
	if (view->trap != CW_REF_EMPTY)
		print_line(printer, fprintf(printer->file, "    trap"), view->trap);
}

/* Print the pieces of filters that can be taken back separately. */
static void print_parts(const struct printer *printer)
{
	const struct cw_decision *decision = printer->decision;

	for (uint32_t part = decision->filter_count;
	     decision->owners && part < decision->part_count; part++) {
		if (part - decision->filter_count == LINES_SHOWN && !printer->is_full) {
			fprintf(printer->file, "and %u parts more\n", decision->part_count - part);
			return;
		}
		fprintf(printer->file, "part %u is a piece of %u", part,
			printer->ids[decision->owners[part]]);
		if (decision->parents[part] != CW_NONE) {
			fputs(", gone where this is taken back: ", printer->file);
			print_part(printer, decision->parents[part]);
		}
		fputc('\n', printer->file);
	}
}

static int print_program(const struct printer *printer)
{
	const struct cw_decision *decision = printer->decision;
	struct cw_view view = {0};
	int result = 0;

	fprintf(printer->file, "decision program of %u filters, %u nodes; starts at ",
		decision->filter_count, printer->order.count);
	print_ref(printer, decision->root);
	fputc('\n', printer->file);
	for (uint32_t i = 0; i < printer->order.count; i++) {
		if (i == NODES_SHOWN && !printer->is_full) {
			fprintf(printer->file, "and %u nodes more\n", printer->order.count - i);
			break;
		}
		result = cw_view_node(decision, printer->order.at[i], &view);
		if (result)
			break;
		fprintf(printer->file, "n%u: ", i);
		if (view.is_fork)
			print_fork(printer, &view);
		else
			print_switch(printer, &view);
	}
	print_parts(printer);
	cw_view_fini(&view);
	return result;
}

static void print_stats(const struct cw_filter_set *set, FILE *file, bool is_full)
{
	struct cw_filter_set_stats stats;
	const struct cw_filter *filter;
	uint32_t id;

	cw_filter_set_stats(set, &stats);
	for (size_t i = 0; (filter = cw_filter_set_at(set, i, &id)) != NULL; i++) {
		if (i == FILTERS_SHOWN && !is_full) {
			fprintf(file, "and %zu filters more\n", cw_filter_set_size(set) - i);
			break;
		}
		fprintf(file, "%u: %s, %u instructions: ", id,
			cw_filter_engine_name(cw_filter_set_engine(set, id)),
			cw_filter_bpf(filter)->count);
		print_expression(file, filter, false);
		fputc('\n', file);
	}
	fprintf(file,
		"%zu filters: %zu joined (decision programs: %zu), %zu run separately (with "
		"loops: %zu, over a budget: %zu)\n",
		cw_filter_set_size(set), stats.joint_count, stats.program_count, stats.apart_count,
		stats.loop_count, stats.over_budget_count);
	fprintf(file, "%zu nodes, %zu bytes of which %zu are machine code, built in %.3f ms\n",
		stats.step_count, stats.bytes, stats.code_bytes, (double)stats.build_ns * 1e-6);
}

/* ---- the graph ---- */

/* Print the end of an arrow: a node, or a separate leaf, which the caller describes. */
static void print_dot_target(const struct printer *printer, uint32_t ref, uint32_t from,
			     uint32_t place)
{
	if (ref & CW_REF_EVENT)
		fprintf(printer->file, "p%zun%ue%u", printer->program, from, place);
	else
		fprintf(printer->file, "p%zun%u", printer->program, printer->place[ref]);
}

static void print_dot_leaf(const struct printer *printer, uint32_t ref, uint32_t from,
			   uint32_t place)
{
	if (!(ref & CW_REF_EVENT))
		return;
	fputs("    ", printer->file);
	print_dot_target(printer, ref, from, place);
	fprintf(printer->file, " [style=%s, label=\"",
		ref & CW_EVENT_EXCLUDE ? "dashed" : "\"rounded,bold\"");
	print_event(printer, ref);
	fputs("\"];\n", printer->file);
}

/* Begin arrow number `place` from node `from` to `ref`. The caller prints the label and
 * print_dot_arrow_end. False: there is no arrow. */
static bool print_dot_arrow(const struct printer *printer, uint32_t from, uint32_t place,
			    uint32_t ref)
{
	if (ref == CW_REF_EMPTY)
		return false;
	print_dot_leaf(printer, ref, from, place);
	fprintf(printer->file, "    p%zun%u -> ", printer->program, from);
	print_dot_target(printer, ref, from, place);
	fputs(" [label=\"", printer->file);
	return true;
}

static void print_dot_arrow_end(const struct printer *printer, const char *label)
{
	fprintf(printer->file, "%s\"];\n", label);
}

/* Print how much was left out of a node or the graph. */
static void print_dot_rest(const struct printer *printer, uint32_t node, uint32_t count)
{
	fprintf(printer->file, "    p%zun%urest [shape=plaintext, label=\"and %u more\"];\n",
		printer->program, node, count);
	fprintf(printer->file, "    p%zun%u -> p%zun%urest [style=dotted];\n", printer->program,
		node, printer->program, node);
}

static void print_dot_node(const struct printer *printer, const struct cw_view *view, uint32_t node)
{
	uint32_t i, same, arrows = 0;

	fprintf(printer->file, "    p%zun%u [label=\"n%u: %s\"%s];\n", printer->program, node, node,
		view->is_fork ? "all of" : view->var, view->is_fork ? ", shape=diamond" : "");
	for (i = 0; i < view->edges.count; i += same) {
		same = view->is_fork ? 1 : count_same(&view->edges, i);
		if (arrows++ == LINES_SHOWN) {
			print_dot_rest(printer, node, view->edges.count - i);
			break;
		}
		if (!print_dot_arrow(printer, node, i, view->edges.at[i].to))
			continue;
		if (!view->is_fork)
			print_intervals(printer->file, view->value_kind, &view->edges.at[i], same,
					VALUES_SHOWN);
		print_dot_arrow_end(printer, "");
	}
	i = view->edges.count;
	if (print_dot_arrow(printer, node, i, view->otherwise))
		print_dot_arrow_end(printer, i ? "otherwise" : "any value");
	if (print_dot_arrow(printer, node, i + 1, view->trap))
		print_dot_arrow_end(printer, "trap");
}

static int print_dot_program(const struct printer *printer)
{
	uint32_t count = cw_min_u32(printer->order.count, NODES_SHOWN), i;
	struct cw_view view = {0};
	int result = 0;

	fprintf(printer->file, "  subgraph cluster_%zu {\n    label=\"%u filters, %u nodes\";\n",
		printer->program, printer->decision->filter_count, printer->order.count);
	if (count == 0)
		fprintf(printer->file, "    p%zun0 [label=\"nothing is asked\"];\n",
			printer->program);
	for (i = 0; i < count && result == 0; i++) {
		result = cw_view_node(printer->decision, printer->order.at[i], &view);
		if (result == 0)
			print_dot_node(printer, &view, i);
	}
	if (count < printer->order.count)
		print_dot_rest(printer, count, printer->order.count - count);
	fputs("  }\n", printer->file);
	cw_view_fini(&view);
	return result;
}

static void print_dot_head(const struct cw_filter_set *set, FILE *file)
{
	const struct cw_filter *filter;
	uint32_t id;

	fputs("digraph filters {\n  node [shape=box, fontname=\"monospace\"];\n  labelloc=t;\n"
	      "  labeljust=l;\n  label=\"",
	      file);
	for (size_t i = 0; (filter = cw_filter_set_at(set, i, &id)) != NULL; i++) {
		if (i == LINES_SHOWN) {
			fprintf(file, "and %zu more\\l", cw_filter_set_size(set) - i);
			break;
		}
		fprintf(file, "%u: ", id);
		print_expression(file, filter, true);
		if (cw_filter_set_engine(set, id) == CW_ENGINE_SEQUENTIAL)
			fputs(" (separate)", file);
		fputs("\\l", file);
	}
	fputs("\";\n", file);
}

/* ---- a set ---- */

static int print_decision(struct printer *printer, enum cw_filter_set_format format)
{
	int result = cw_view_order(printer->decision, &printer->order);

	printer->place = calloc(printer->decision->step_count + 1, sizeof(*printer->place));
	if (!printer->place)
		result = -ENOMEM;
	for (uint32_t i = 0; i < printer->order.count && result == 0; i++)
		printer->place[printer->order.at[i]] = i;
	if (result == 0)
		result = format == CW_FILTER_SET_DOT ? print_dot_program(printer)
						     : print_program(printer);
	free(printer->place);
	free(printer->order.at);
	return result;
}

int cw_filter_set_print(const struct cw_filter_set *set, FILE *file,
			enum cw_filter_set_format format)
{
	struct printer printer = {.file = file, .is_full = format == CW_FILTER_SET_FULL};
	struct cw_decision decision;
	int result;

	if (format == CW_FILTER_SET_DOT)
		print_dot_head(set, file);
	for (;; printer.program++) {
		result = cw_filter_set_decision(set, printer.program, &decision, &printer.ids);
		if (result)
			break;
		printer.decision = &decision;
		result = print_decision(&printer, format);
		cw_decision_fini(&decision);
		if (result)
			break;
	}
	if (result == -ENOENT) /* after the last program */
		result = 0;
	if (format == CW_FILTER_SET_DOT)
		fputs("}\n", file);
	else
		print_stats(set, file, printer.is_full);
	return result ? result : ferror(file) ? -EIO : 0;
}
