/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The basics of joining: pairs, sets of pairs, problems, nodes of the joint graph. join.c explains
 * the algorithm.
 */
#include "core/filter/passes/join_problem.h"

void cw_join_push(struct cw_join *join, struct cw_pairs *pairs, uint32_t node, uint32_t part)
{
	if (node == CW_DIAGRAM_REJECT)
		return;
	if (CW_GROW(pairs, 1))
		cw_build_fail(join->build, -ENOMEM);
	else
		pairs->at[pairs->count++] = cw_make_pair(node, part);
}

void cw_join_spend(struct cw_join *join, uint64_t entries)
{
	join->entries += entries;
	if (join->entries > join->entries_max)
		cw_build_fail(join->build, -E2BIG);
}

/* ---- sorting ---- */

/* The end of the ascending run that begins at `first`. */
static uint32_t run_end(const uint64_t *pairs, uint32_t first, uint32_t count)
{
	uint32_t end = first + 1;

	while (end < count && pairs[end - 1] <= pairs[end])
		end++;
	return end < count ? end : count;
}

/* Merge neighbouring runs of `from` into `to`; returns the number of runs left. */
static uint32_t merge_runs(const uint64_t *from, uint64_t *to, uint32_t count)
{
	uint32_t first, runs = 0;

	for (first = 0; first < count; runs++) {
		uint32_t middle = run_end(from, first, count);
		uint32_t end = middle < count ? run_end(from, middle, count) : count;
		uint32_t left = first, right = middle;

		while (left < middle && right < end) {
			bool is_left = from[left] <= from[right];

			to[first++] = is_left ? from[left] : from[right];
			left += is_left;
			right += !is_left;
		}
		while (left < middle)
			to[first++] = from[left++];
		while (right < end)
			to[first++] = from[right++];
	}
	return runs;
}

/* Merges runs, because a set gathered from sorted sets is sorted or a few ascending runs. */
void cw_join_sort(struct cw_join *join, uint64_t *pairs, uint32_t count)
{
	uint64_t *from = pairs, *to;
	uint32_t i, n;

	if (count > 24) {
		if (run_end(pairs, 0, count) == count)
			return;
		join->spare.count = 0;
		if (CW_GROW(&join->spare, count)) {
			cw_build_fail(join->build, -ENOMEM);
			return;
		}
		to = join->spare.at;
		while (merge_runs(from, to, count) > 1) {
			uint64_t *merged = to;

			to = from;
			from = merged;
		}
		if (to != pairs)
			memcpy(pairs, to, count * sizeof(*pairs));
		return;
	}
	for (i = 1; i < count; i++) {
		uint64_t pair = pairs[i];

		for (n = i; n > 0 && pairs[n - 1] > pair; n--)
			pairs[n] = pairs[n - 1];
		pairs[n] = pair;
	}
}

static int by_number(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return left < right ? -1 : left > right;
}

/* ---- nodes of the joint graph ---- */

uint32_t cw_join_append(struct cw_join *join, const struct cw_joint_node *node)
{
	struct cw_joint *joint = &join->build->joint;

	if (CW_GROW(joint, 1)) {
		cw_build_fail(join->build, -ENOMEM);
		return 0;
	}
	cw_join_spend(join, 1);
	joint->at[joint->count] = *node;
	return joint->count++;
}

uint32_t cw_join_words(struct cw_join *join, const uint32_t *words, uint32_t count)
{
	struct cw_u32s *all = &join->build->joint.words;
	uint32_t first = all->count;

	if (CW_GROW(all, count)) {
		cw_build_fail(join->build, -ENOMEM);
		return 0;
	}
	cw_join_spend(join, count);
	if (count)
		memcpy(all->at + first, words, count * sizeof(*words));
	all->count += count;
	return first;
}

static bool is_same(const uint32_t *a, const uint32_t *b, uint32_t count)
{
	return count == 0 || memcmp(a, b, count * sizeof(*a)) == 0;
}

uint32_t cw_join_fork(struct cw_join *join, const uint32_t *emits, uint32_t emit_count,
		      const uint32_t *kids, uint32_t kid_count)
{
	struct cw_joint *joint = &join->build->joint;
	uint32_t hash = cw_hash_u32s(kids, kid_count, cw_hash_u32s(emits, emit_count, kid_count));
	uint32_t cursor = hash, found;
	struct cw_joint_node node = {.kind = kid_count ? CW_JOINT_FORK : CW_JOINT_LEAF};

	if (emit_count == 0 && kid_count == 0)
		return 0;
	if (emit_count == 0 && kid_count == 1)
		return kids[0];
	while ((found = cw_index_next(&join->node_index, hash, &cursor)) != CW_NONE) {
		const struct cw_joint_node *at = &joint->at[found];

		if (at->emit_count == emit_count && at->count == kid_count &&
		    is_same(joint->words.at + at->emit_first, emits, emit_count) &&
		    is_same(joint->words.at + at->first, kids, kid_count))
			return found;
	}
	node.emit_first = cw_join_words(join, emits, emit_count);
	node.emit_count = emit_count;
	node.first = cw_join_words(join, kids, kid_count);
	node.count = kid_count;
	if (cw_index_add(&join->node_index, hash, joint->count))
		cw_build_fail(join->build, -ENOMEM);
	return cw_join_append(join, &node);
}

/* Find the node for a problem; a new problem is made and noted for solving. */
static uint32_t find_problem(struct cw_join *join, const uint64_t *set, uint32_t count,
			     enum cw_join_mode mode)
{
	uint32_t hash = cw_hash_u32s((const uint32_t *)set, 2 * (size_t)count, mode);
	uint32_t cursor = hash, found;
	struct problem problem = {.set_count = count, .mode = mode};

	while ((found = cw_index_next(&join->problem_index, hash, &cursor)) != CW_NONE) {
		const struct problem *at = &join->problems.at[found];

		/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): what is indexed is there */
		if (at->set_count == count && at->mode == (uint32_t)mode &&
		    memcmp(join->sets.at + at->set_first, set, count * sizeof(*set)) == 0)
			return at->node;
	}
	if (CW_GROW(&join->problems, 1) || CW_GROW(&join->sets, count) ||
	    cw_index_add(&join->problem_index, hash, join->problems.count)) {
		cw_build_fail(join->build, -ENOMEM);
		return 0;
	}
	cw_join_spend(join, count);
	problem.set_first = join->sets.count;
	memcpy(join->sets.at + problem.set_first, set, count * sizeof(*set));
	join->sets.count += count;
	problem.node = cw_join_append(join, &(struct cw_joint_node){.kind = CW_JOINT_PENDING});
	join->problems.at[join->problems.count++] = problem;
	return problem.node;
}

uint32_t cw_joint_certain(const struct cw_joint *joint, uint32_t part)
{
	if (part & CW_PART_EXCLUDE)
		return CW_NONE;
	part &= CW_PART_MASK;
	for (uint32_t at = part; at != CW_NONE; at = joint->parents.at[at])
		if (joint->taken.at[at])
			return CW_NONE;
	return joint->owners.at[part];
}

/*
 * For the first match: drop filters with larger numbers than one that has accepted for certain. A
 * part is taken back, if ever, by an earlier problem than those that emit it, so an acceptance that
 * is certain here stays certain.
 */
static void drop_later(const struct cw_join *join, struct cw_pairs *set)
{
	const struct cw_joint *joint = &join->build->joint;
	uint32_t lowest = CW_NONE, part = 0, kept = 0, i;

	for (i = 0; i < set->count && !join->build->failure; i++) {
		uint32_t filter;

		if (cw_pair_node(set->at[i]) != CW_DIAGRAM_ACCEPT)
			continue;
		filter = cw_joint_certain(joint, cw_pair_part(set->at[i]));
		if (filter < lowest) {
			lowest = filter;
			part = cw_pair_part(set->at[i]);
		}
	}
	if (lowest == CW_NONE || join->build->failure) /* then parts may lack owners */
		return;
	for (i = 0; i < set->count; i++) {
		uint64_t pair = set->at[i];

		if (joint->owners.at[cw_pair_part(pair) & CW_PART_MASK] < lowest ||
		    pair == cw_make_pair(CW_DIAGRAM_ACCEPT, part))
			set->at[kept++] = pair;
	}
	set->count = kept;
}

uint32_t cw_join_set(struct cw_join *join, struct cw_pairs *set, enum cw_join_mode mode)
{
	uint32_t count = 0, i, rest;

	join->emits.count = 0;
	if (join->build->mode == CW_FILTER_FIRST)
		drop_later(join, set);
	cw_join_sort(join, set->at, set->count);
	for (i = 0; i < set->count; i++) {
		if (cw_pair_node(set->at[i]) == CW_DIAGRAM_ACCEPT)
			cw_build_push(join->build, &join->emits,
				      cw_pair_part(set->at[i]) & ~CW_PART_SHARED);
		else if (count == 0 || set->at[count - 1] != set->at[i])
			set->at[count++] = set->at[i];
	}
	if (count == 0 && join->emits.count == 0)
		return 0;
	/* Without their flag, parts can be out of order and repeated. */
	if (join->emits.count > 1) {
		uint32_t kept = 1;

		for (i = 1; i < join->emits.count; i++)
			if (join->emits.at[i - 1] > join->emits.at[i])
				break;
		if (i < join->emits.count)
			qsort(join->emits.at, join->emits.count, sizeof(uint32_t), by_number);
		for (i = 1; i < join->emits.count; i++)
			if (join->emits.at[i] != join->emits.at[kept - 1])
				join->emits.at[kept++] = join->emits.at[i];
		join->emits.count = kept;
	}
	if (count == 0)
		return cw_join_fork(join, join->emits.at, join->emits.count, NULL, 0);
	rest = find_problem(join, set->at, count, mode);
	return cw_join_fork(join, join->emits.at, join->emits.count, &rest, 1);
}
