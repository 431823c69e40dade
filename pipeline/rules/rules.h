/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules: what to match and where to write it. From a YAML file, or from the command line's -f/-w
 * pairs. This part reads, checks and names; it compiles no filter and opens no output.
 */
#ifndef CW_PIPELINE_RULES_RULES_H
#define CW_PIPELINE_RULES_RULES_H

#include "core/base/error.h"
#include "core/filter/filter.h"

#define CW_RULES_MAX 1000000u
#define CW_RULES_FILE_BYTES_MAX ((size_t)256 << 20)
#define CW_RULE_NAME_BYTES_MAX 128u
#define CW_HOOK_WORDS_MAX 100u

enum cw_rule_kind {
	CW_RULE_FILTER,    /* packets its expression matches ("" matches all) */
	CW_RULE_UNMATCHED, /* packets no other rule took */
};

struct cw_rule {
	char *name;   /* unique; letters, digits, and _ - . + @ : only, so safe in file names */
	char *filter; /* libpcap expression; NULL for CW_RULE_UNMATCHED */
	char *write;  /* output template, directory (-o) not yet put in front */
	enum cw_rule_kind kind;
	uint32_t snaplen;          /* 0 = whole packets */
	uint64_t rotate_bytes;     /* 0 = no limit */
	uint64_t rotate_packets;   /* 0 = no limit */
	uint64_t rotate_every_ns;  /* of the packets' time; 0 = no limit */
	bool is_rotate_from_first; /* counted from each file's first packet (-G), not aligned */
	uint64_t sample_every;     /* write one in so many of what matches; 0, 1 = all */
	uint64_t limit_packets;    /* then no more than so many packets; 0 = no limit */
	uint64_t limit_bytes;      /* captured bytes, as cut */
	uint64_t limit_rate;       /* packets a second, by their times */
	char **
	    hook; /* words of a command to run for each complete file, NULL at their end; or NULL */
	uint64_t ring_files;  /* keep so many at most; 0 = all */
	uint64_t ring_bytes;  /* keep files of so many bytes at most; 0 = all; needs rotate_bytes */
	uint32_t priority;    /* whose files go last where all rules share the space */
	unsigned line;        /* in the rules file; 0 from the command line */
	unsigned filter_line; /* line where the filter text stands */
};

struct cw_rules {
	enum cw_filter_mode mode;
	struct cw_rule *rules; /* in file order; ids are indices */
	uint32_t count;
	uint64_t total_bytes; /* keep files of so many bytes at most, of all rules; 0 = all */
	uint64_t free_bytes;  /* that a disk shall have left when a file is begun; 0 = none */
	char *path;           /* of the rules file; NULL from the command line */
};

/*
 * Read a rules file ("-" = standard input). Grammar, with every key:
 *   mode: all | first
 *   defaults: {write: TEMPLATE, snaplen: N, rotate: {size: 1GiB, packets: N, every: 10m, files: N,
 *              total: 1TiB}}
 *   keep: {total: 1TiB, free: 10GiB}
 *   rules: a mapping NAME: EXPRESSION | NAME: {filter:, write:, snaplen:, rotate:,
 *          priority: 0 to 1000000, sample: 1/N, limit: {packets: N, bytes: SIZE, rate: N},
 *          hook: COMMAND | [COMMAND, ARGUMENT...]}; the expression
 *          `unmatched` is the rule for what no other took (at most one)
 * Numbers take the suffixes of amount.h; bare ones are counts, bytes or seconds.
 * Errors (-EINVAL, or the system's) read "FILE:LINE: what is wrong; what would be right"; keys that
 * exist in the design but not in this version (sync, order, ...) are refused as
 * "not in this version"; unknown keys, duplicate keys and names, anchors' cycles and wrong types
 * are refused too. Memory is bounded by the file's size: aliases are not expanded (refused).
 */
int cw_rules_load(struct cw_rules *rules, const char *path, struct cw_error *error);

/* As load, from memory; `name` stands for the file in messages. (What the fuzz target calls.) */
int cw_rules_parse(struct cw_rules *rules, const char *text, size_t bytes, const char *name,
		   struct cw_error *error);

/* Add a command-line rule; the filter "unmatched" makes a CW_RULE_UNMATCHED. Copies strings. */
int cw_rules_add(struct cw_rules *rules, const char *name, const char *filter, const char *write,
		 uint32_t snaplen, struct cw_error *error);

/*
 * What can be checked without packets: templates parse, extensions are known, no two rules'
 * templates can give one path. -EINVAL, the error names both rules.
 */
int cw_rules_check(const struct cw_rules *rules, struct cw_error *error);

/* Copy `words` (NULL at their end) as the rule's hook, for one that has none. 0 or -ENOMEM. */
int cw_rule_set_hook(struct cw_rule *rule, char *const *words);

/* A copy of the rule, NULL without memory; cw_rule_free accepts NULL. */
struct cw_rule *cw_rule_copy(const struct cw_rule *rule);
void cw_rule_free(struct cw_rule *rule);

void cw_rules_fini(struct cw_rules *rules); /* a zeroed object is accepted */

#endif
