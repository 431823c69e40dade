/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks of a request before the first thread starts and the first file is made. Errors as
 * cw_pipeline_start. Called in this order: targets, inputs (or interfaces, capture/capture.h),
 * outputs, rules, affinity.
 */
#ifndef CW_PIPELINE_SETUP_SETUP_H
#define CW_PIPELINE_SETUP_SETUP_H

#include "core/output/target.h"
#include "pipeline/match/generation.h"
#include "pipeline/output/outputs.h"

/* Opens every input and checks its header; reports and skips bad inputs. All bad: an error. */
int cw_setup_inputs(struct cw_run *run, struct cw_inputs *inputs, struct cw_error *error);

int cw_setup_outputs(struct cw_outputs *outputs, struct cw_error *error);

/*
 * Builds the sets of the link types present. A rule that is illegal for all of them is an error;
 * the problems of further rules are reported, with `is_reload` as warnings.
 */
int cw_setup_rules(struct cw_run *run, struct cw_inputs *inputs, struct cw_generation *generation,
		   bool is_reload, struct cw_error *error);

/*
 * Checks that the output of a rule can take the packets of all interfaces that are open: a .pcap
 * file holds one link type. Returns 0 or -EINVAL.
 */
int cw_setup_linktypes(const struct cw_matcher *matcher, const struct cw_rules *rules,
		       uint32_t index, struct cw_error *error);

/* Chooses cores for lanes and workers (-1: any) by the options, and places the pool. -EINVAL: not a
 * list of cores. */
int cw_setup_affinity(struct cw_run *run, const struct cw_chunk_pool *pool, int32_t *worker_cpus,
		      struct cw_error *error);

struct cw_words {
	char **at; /* owned, each of them too */
	uint32_t count;
	uint32_t capacity;
};

/* The names in a folder, sorted: kept for the next output whose files lie there. */
struct cw_folder_names {
	char *folder; /* with a "/" at its end, or "" */
	struct cw_words names;
};
void cw_folder_names_fini(struct cw_folder_names *names);

/* Fills the folder that the output's files lie in or below. Returns 0 or a negative errno.
 * (numbers.c) */
int cw_setup_folder(const struct cw_outputs *outputs, const struct cw_output *output,
		    struct cw_folder *folder);

struct cw_folder_visitor {
	const struct cw_outputs *outputs; /* borrows */
	struct cw_folder_names *names;    /* borrows */
	/* Not 0 ends the visit with this status. */
	int (*visit)(void *context, const char *path, uint64_t number);
	void *context;
};

/* Visits each path on the disk that the output's template can give, perhaps with a number:
 * `number`, else 0. Returns 0 or a negative errno. (numbers.c) */
int cw_setup_visit(const struct cw_output *output, const struct cw_folder_visitor *visitor,
		   struct cw_error *error);

/*
 * Live: opens the list of each output that has a file ring with files that later runs shall know,
 * completes the unfinished files of earlier runs, and adopts the files of the list. -EINVAL:
 * another run holds a list, or it cannot be used. `rules` are those of the outputs, `before` are
 * the outputs of this run whose files they take over; NULL: none. (adopt.c)
 */
int cw_setup_rings(struct cw_outputs *outputs, struct cw_output *first, uint32_t count,
		   struct cw_output *const *before, const struct cw_rules *rules,
		   struct cw_error *error);

/* Returns whether later runs shall know the output's files under this rule. */
bool cw_setup_has_list(const struct cw_outputs *outputs, const struct cw_output *output,
		       const struct cw_rules *rules, const struct cw_rule *rule);

/* Returns whether the rule's files are removed for later ones. */
bool cw_setup_has_ring(const struct cw_rules *rules, const struct cw_rule *rule);

/* Makes an output for the rule, not in use yet. `rules` is for messages. */
int cw_setup_output(struct cw_outputs *outputs, struct cw_output *output, uint32_t index,
		    const struct cw_rules *rules, const struct cw_rule *rule,
		    struct cw_error *error);

/* Whether the files of the output have numbers that go on after those of earlier runs. */
bool cw_setup_has_numbers(const struct cw_output *output);

/*
 * Live: lets the numbers of these outputs continue those of the files that are there. -EACCES or
 * another negative errno: a folder cannot be read.
 */
int cw_setup_numbers(const struct cw_outputs *outputs, struct cw_output *first, uint32_t count,
		     struct cw_error *error);

/* The targets of the outputs checked so far, and the last one's kind. (targets.c) */
struct cw_claims {
	const struct cw_run *run;     /* borrows */
	const struct cw_rules *rules; /* borrows; for messages and `keep` */
	struct cw_names names;
	struct stat *inputs; /* owned */
	uint32_t input_count;
	struct cw_opener *opener; /* at the start; borrows; NULL: none, or it is started */
	struct cw_asking *asking; /* borrows; NULL: none, or not started yet */
	struct cw_found_target found;
	bool is_stdout; /* standard output, by whatever name */
};
int cw_claims_init(struct cw_claims *claims, const struct cw_outputs *outputs,
		   const struct cw_rules *rules); /* 0 or -ENOMEM */
void cw_claims_fini(struct cw_claims *claims);

/*
 * Checks that the rule's output may be written, and claims what its name leads to. Refused: targets
 * as cw_target_check, an input, another rule's target, a stream with settings that need a file,
 * existing files with no_clobber, a missing folder. With `kept`, the output is in use and only the
 * settings and the claim count.
 */
int cw_setup_target(struct cw_claims *claims, const struct cw_rule *rule,
		    const struct cw_template *name, const struct cw_output *kept,
		    struct cw_error *error);

/* Takes over what was found. */
void cw_setup_found(struct cw_output *output, const struct cw_found_target *found);

/* Checks the targets of all rules. */
int cw_setup_targets(struct cw_outputs *outputs, struct cw_error *error);

#endif
