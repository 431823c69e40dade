/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "core/packet/linktype.h"
#include "pipeline/output/output.h"
#include "pipeline/match/sample.h"

static_assert(CW_MATCH_BURST == 64, "a bit for each packet of a burst");

void cw_matcher_init(struct cw_matcher *matcher, const struct cw_rules *rules,
		     const char *prefilter, const struct cw_filter_set_options *options)
{
	*matcher = (struct cw_matcher){.rules = rules,
				       .prefilter = prefilter,
				       .options = *options,
				       .unmatched_rule = UINT32_MAX};
	matcher->options.mode = rules->mode;
	for (uint32_t index = 0; index < rules->count; index++) {
		if (rules->rules[index].kind == CW_RULE_UNMATCHED)
			matcher->unmatched_rule = index;
	}
}

static void free_set(struct cw_rule_set *set)
{
	if (!set)
		return;
	cw_filter_set_free(set->filters);
	cw_filter_set_free(set->prefilter);
	free(set->is_illegal);
	free(set);
}

void cw_matcher_fini(struct cw_matcher *matcher)
{
	for (uint32_t index = 0; index < atomic_load(&matcher->set_count); index++)
		free_set(matcher->sets[index]);
	atomic_store(&matcher->set_count, 0);
}

static bool is_swapped_for(const struct cw_iface *iface)
{
	return iface->is_swapped && cw_linktype_has_file_order(iface->linktype);
}

const struct cw_rule_set *cw_matcher_find(struct cw_matcher *matcher, const struct cw_iface *iface)
{
	bool is_swapped = is_swapped_for(iface);
	/* [SET-1] acquire: the sets below the count are complete. */
	uint32_t count = atomic_load_explicit(&matcher->set_count, memory_order_acquire);

	for (uint32_t index = 0; index < count; index++) {
		if (matcher->sets[index]->linktype == iface->linktype &&
		    matcher->sets[index]->is_swapped == is_swapped)
			return matcher->sets[index];
	}
	return NULL;
}

/* Returns whether matching cannot continue: the fault is not the expression's. */
static bool is_fatal(int result)
{
	return result == -ENOMEM || result == -EIO;
}

static int compile_prefilter(const struct cw_matcher *matcher, struct cw_rule_set *set,
			     const struct cw_filter_set_options *options, cw_matcher_report *report,
			     void *context, struct cw_error *error)
{
	struct cw_error problem = {0};
	int result;

	if (!matcher->prefilter)
		return 0;
	result = cw_filter_set_new(&set->prefilter, options, error);
	if (result < 0)
		return result;
	result = cw_filter_set_add(set->prefilter, 0, matcher->prefilter, &problem);
	if (is_fatal(result))
		return cw_error_set(error, result, "%s", problem.text);
	if (result)
		report(context, NULL, set->linktype, result > 0, problem.text);
	set->is_prefilter_illegal = result < 0;
	return cw_filter_set_build(set->prefilter, error);
}

static int compile_rules(const struct cw_matcher *matcher, struct cw_rule_set *set,
			 cw_matcher_report *report, void *context, struct cw_error *error)
{
	const struct cw_rules *rules = matcher->rules;
	uint32_t count = 0;

	for (uint32_t index = 0; index < rules->count; index++) {
		const struct cw_rule *rule = &rules->rules[index];
		struct cw_error problem = {0};
		int result;

		if (rule->kind != CW_RULE_FILTER)
			continue;
		if (matcher->is_cancelled && atomic_load(matcher->is_cancelled))
			return cw_error_set(error, -ECANCELED, "the run ends");
		result = cw_filter_set_add(set->filters, index, rule->filter, &problem);
		if (result >= 0 && count < CW_MATCH_BITS)
			set->rule_of[count++] = index;
		if (result == 0)
			continue;
		if (is_fatal(result))
			return cw_error_set(error, result, "%s", problem.text);
		if (result < 0) {
			set->is_illegal[index] = true;
			set->illegal_count++;
		}
		report(context, rule, set->linktype, result > 0, problem.text);
	}
	return 0;
}

int cw_matcher_prepare(struct cw_matcher *matcher, const struct cw_iface *iface,
		       cw_matcher_report *report, void *context, struct cw_error *error)
{
	struct cw_filter_set_options options = matcher->options;
	uint32_t count = atomic_load_explicit(&matcher->set_count, memory_order_relaxed);
	struct cw_rule_set *set;
	int result;

	if (cw_matcher_find(matcher, iface))
		return 0;
	if (count == CW_LINKTYPES_MAX)
		return cw_error_set(error, -ENOSPC, "the inputs have more than %u link types",
				    CW_LINKTYPES_MAX);
	options.filter.linktype = iface->linktype;
	options.filter.is_swapped = is_swapped_for(iface);
	set = calloc(1, sizeof(*set));
	if (!set)
		goto no_memory;
	set->linktype = iface->linktype;
	set->is_swapped = options.filter.is_swapped;
	set->is_illegal = calloc(matcher->rules->count + 1, sizeof(*set->is_illegal));
	if (!set->is_illegal)
		goto no_memory;
	result = cw_filter_set_new(&set->filters, &options, error);
	if (result == 0)
		result = compile_prefilter(matcher, set, &options, report, context, error);
	if (result == 0)
		result = compile_rules(matcher, set, report, context, error);
	if (result == 0)
		result = cw_filter_set_build(set->filters, error);
	if (result < 0) {
		free_set(set);
		return result == -ENOMEM ? cw_error_set(error, result, "no memory for filters")
					 : result;
	}
	matcher->sets[count] = set;
	/* [SET-1] release */
	atomic_store_explicit(&matcher->set_count, count + 1, memory_order_release);
	return 0;
no_memory:
	free_set(set);
	return cw_error_set(error, -ENOMEM, "no memory for filters");
}

int cw_match_scratch_init(struct cw_match_scratch *scratch, uint32_t rule_count)
{
	scratch->ids_capacity = rule_count + CW_MATCH_IDS_EXTRA;
	scratch->ids = calloc(scratch->ids_capacity, sizeof(*scratch->ids));
	scratch->expected_ids = calloc(rule_count + 1, sizeof(*scratch->expected_ids));
	scratch->ends = calloc(CW_MATCH_BURST, sizeof(*scratch->ends));
	scratch->tally_of = calloc(rule_count + 1, sizeof(*scratch->tally_of));
	scratch->passed = calloc(CW_MATCH_BURST, sizeof(*scratch->passed));
	if (scratch->ids && scratch->expected_ids && scratch->ends && scratch->tally_of &&
	    scratch->passed)
		return 0;
	cw_match_scratch_fini(scratch);
	return -ENOMEM;
}

void cw_match_scratch_fini(struct cw_match_scratch *scratch)
{
	free(scratch->ids);
	free(scratch->expected_ids);
	free(scratch->ends);
	free(scratch->tally_of);
	free(scratch->passed);
	*scratch = (struct cw_match_scratch){0};
}

/* Notes one match and adds the packet to the output's tally. */
static inline void add_match(struct cw_match_scratch *scratch, const struct cw_output *outputs,
			     struct cw_batch *batch, uint32_t match, uint32_t index,
			     const struct cw_packet *packet)
{
	const struct cw_output *output = &outputs[index];
	uint32_t tally_index = scratch->tally_of[index];
	struct cw_tally *tally;

	if (cw_unlikely(!tally_index))
		tally_index = cw_part_add_tally(scratch, batch, index) + 1;
	if (cw_unlikely(!cw_format_can_hold(output->format, packet))) {
		batch->matches[match] = index | CW_MATCH_UNREPRESENTABLE;
		batch->part.has_unrepresentable = true;
		return;
	}
	tally = &batch->tallies[tally_index - 1];
	tally->record_count++;
	tally->record_bytes += cw_format_note_record(output->format, packet, output->snaplen,
						     &tally->left_out_options);
	tally->data_bytes += cw_min_u32(packet->caplen, output->snaplen);
	batch->matches[match] = index;
}

/* Adds the burst's matches to the batch. */
static void add_burst(struct cw_matcher *matcher, struct cw_match_scratch *scratch,
		      const struct cw_output *outputs, struct cw_batch *batch,
		      const struct cw_burst *burst, uint32_t *match_count)
{
	uint32_t match = *match_count;
	uint32_t id = 0;

	for (uint32_t index = 0; index < burst->count; index++) {
		const struct cw_packet *packet = &batch->packets[burst->first + index];
		enum cw_packet_class class =
		    cw_part_count(&batch->part, burst, index, packet, id != scratch->ends[index]);

		if (cw_unlikely(packet->caplen + (uint64_t)packet->options_bytes >
				CW_RECORD_SPLIT_MAX / 2))
			batch->part.has_giant = true;
		if (class == CW_CLASS_UNMATCHED && matcher->unmatched_rule != UINT32_MAX)
			add_match(scratch, outputs, batch, match++,
				  matcher->outputs[matcher->unmatched_rule], packet);
		for (; id < scratch->ends[index]; id++)
			add_match(scratch, outputs, batch, match++,
				  matcher->outputs[scratch->ids[id]], packet);
		batch->classes[burst->first + index] = (uint8_t) class;
		batch->ends[burst->first + index] = match;
	}
	*match_count = match;
}

/* Returns how many of the packets one set can match together: packets of one interface, and
 * malformed packets, which have none. */
static uint32_t run_length(const struct cw_packet *packets, uint32_t count, uint32_t iface)
{
	uint32_t index;

	for (index = 0; index < count; index++) {
		if (packets[index].iface != iface && !(packets[index].flags & CW_PACKET_MALFORMED))
			break;
	}
	return index;
}

/* Sets bit i if the prefilter rejects packet i. Malformed packets count as malformed only. */
static uint64_t reject(const struct cw_rule_set *set, struct cw_match_scratch *scratch,
		       const struct cw_packet *packets, uint32_t count)
{
	uint64_t rejected = 0;
	uint32_t index, end = 0;

	if (!set->prefilter)
		return 0;
	/* A packet has at most one id, which fits. An illegal prefilter is an empty set. */
	cw_filter_set_match_burst(set->prefilter, packets, count, scratch->ids,
				  scratch->ids_capacity, scratch->ends);
	for (index = 0; index < count; index++) {
		bool is_rejected =
		    scratch->ends[index] == end && !(packets[index].flags & CW_PACKET_MALFORMED);

		rejected |= (uint64_t)is_rejected << index;
		end = scratch->ends[index];
	}
	return rejected;
}

/*
 * Matches the packets of a run that are not rejected (bit i: packet i), as if the others were not
 * there; rejected packets get no ids. Returns how many packets of the run are done.
 */
static uint32_t match_passed(const struct cw_rule_set *set, struct cw_match_scratch *scratch,
			     const struct cw_packet *packets, uint32_t count, uint64_t rejected,
			     uint32_t ids_capacity)
{
	/* NOLINTNEXTLINE(clang-analyzer-core*): a run has a packet */
	uint64_t passes = ~rejected & (UINT64_MAX >> (CW_MATCH_BURST - count));
	uint32_t passed_count = 0;
	uint32_t index, done;
	uint64_t left;

	if (!rejected)
		return (uint32_t)cw_filter_set_match_burst(
		    set->filters, packets, count, scratch->ids, ids_capacity, scratch->ends);
	for (left = passes; left; left &= left - 1)
		scratch->passed[passed_count++] = packets[__builtin_ctzll(left)];
	done = passed_count ? (uint32_t)cw_filter_set_match_burst(set->filters, scratch->passed,
								  passed_count, scratch->ids,
								  ids_capacity, scratch->ends)
			    : 0;
	if (cw_unlikely(done < passed_count)) { /* stop at the first unmatched packet */
		for (left = passes, index = 0; index < done; index++)
			left &= left - 1;
		count = (uint32_t)__builtin_ctzll(left);
	}
	/* Move the ends to their packets, last first: an end never moves to a lower index. */
	for (index = count; index-- > 0;) {
		scratch->ends[index] = done ? scratch->ends[done - 1] : 0;
		done -= passes >> index & 1;
	}
	return count;
}

void cw_part_begin(struct cw_batch *batch, uint32_t first)
{
	batch->part = (struct cw_batch_part){.first = first,
					     .end = first,
					     .has_one_iface = true,
					     .has_one_link_field = true,
					     .iface = UINT32_MAX,
					     .link_field = CW_LINKTYPE_ANY};
	batch->reserved = (struct cw_batch_reserved){.end = first, .packet = first};
	batch->tally_count = 0;
}

void cw_part_end(struct cw_match_scratch *scratch, struct cw_batch *batch, uint32_t end)
{
	batch->part.end = end;
	batch->part.is_last = end == batch->packet_count;
	for (uint32_t index = 0; index < batch->tally_count; index++)
		scratch->tally_of[batch->tallies[index].output] = 0;
}

static void note_iface(struct cw_batch_part *part, uint32_t iface, uint32_t link_field)
{
	if (part->iface != UINT32_MAX && part->iface != iface)
		part->has_one_iface = false;
	if (part->link_field != CW_LINKTYPE_ANY && part->link_field != link_field)
		part->has_one_link_field = false;
	part->iface = iface;
	part->link_field = link_field;
}

void cw_match_burst(struct cw_matching *matching, struct cw_batch_part *part,
		    const struct cw_packet *packets, uint32_t count, uint32_t ids_capacity,
		    struct cw_burst *burst)
{
	struct cw_match_scratch *scratch = matching->scratch;

	if (!(packets->flags & CW_PACKET_MALFORMED) && packets->iface != matching->iface) {
		const struct cw_iface *iface = cw_ifaces_at(matching->ifaces, packets->iface);

		matching->iface = packets->iface;
		matching->set = cw_matcher_find(matching->matcher, iface);
		note_iface(part, packets->iface, iface->linktype | iface->fcs);
		part->has_fine |= iface->has_ns;
	}
	if (!matching->set) { /* only malformed records so far */
		scratch->ends[0] = 0;
		burst->count = 1;
		burst->rejected = 0;
		return;
	}
	count = run_length(packets, count, part->iface);
	if (burst->bits && !matching->set->prefilter &&
	    cw_filter_set_has_bits(matching->set->filters)) {
		cw_filter_set_match_bits(matching->set->filters, packets, count, burst->bits);
		burst->count = count;
		burst->has_bits = true;
		return;
	}
	burst->rejected = reject(matching->set, scratch, packets, count);
	burst->count =
	    match_passed(matching->set, scratch, packets, count, burst->rejected, ids_capacity);
}

void cw_match_part(struct cw_matcher *matcher, struct cw_match_scratch *scratch,
		   const struct cw_output *outputs, struct cw_batch *batch)
{
	struct cw_matching matching = {.matcher = matcher,
				       .scratch = scratch,
				       .ifaces = batch->span.layout.ifaces,
				       .iface = UINT32_MAX};
	uint32_t match_count = 0;
	uint32_t index = batch->part.end;

	cw_part_begin(batch, index);
	while (index < batch->packet_count) {
		uint32_t room = batch->match_capacity - match_count;
		uint32_t count = cw_min_u32(batch->packet_count - index, CW_MATCH_BURST);
		struct cw_burst burst = {.first = index};

		if (room < matcher->rules->count + CW_MATCH_BURST)
			break;
		/* Each packet without a match may add one for the unmatched rule. */
		cw_match_burst(&matching, &batch->part, &batch->packets[index], count,
			       cw_min_u32(scratch->ids_capacity, room - CW_MATCH_BURST), &burst);
		if (cw_unlikely(matcher->verify_every && matching.set))
			cw_samples_take(matcher, matching.set, scratch, batch, burst);
		add_burst(matcher, scratch, outputs, batch, &burst, &match_count);
		index += burst.count;
	}
	cw_part_end(scratch, batch, index);
}
