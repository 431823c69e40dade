/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules: what to match and where to write it. From a YAML file, or from the command line's -f/-w
 * pairs. This part reads, checks and names; it compiles no filter and opens no output.
 */
#ifndef CW_PIPELINE_RULES_H
#define CW_PIPELINE_RULES_H

#include "core/error.h"
#include "core/filter.h"

#define CW_RULES_MAX 1000000u
#define CW_RULES_FILE_BYTES_MAX ((size_t)256 << 20)
#define CW_RULE_NAME_BYTES_MAX 128u

enum cw_rule_kind {
	CW_RULE_FILTER,	   /* packets its expression matches ("" matches all) */
	CW_RULE_UNMATCHED, /* packets no other rule took */
};

struct cw_rule {
	char *name;   /* unique; letters, digits, and _ - . + @ : only, so safe in file names */
	char *filter; /* libpcap expression; NULL for CW_RULE_UNMATCHED */
	char *write;  /* output template, directory (-o) not yet put in front */
	enum cw_rule_kind kind;
	uint32_t snaplen;	 /* 0 = whole packets */
	uint64_t rotate_bytes;	 /* 0 = no limit */
	uint64_t rotate_packets; /* 0 = no limit */
	unsigned line;		 /* in the rules file; 0 from the command line */
	unsigned filter_line;	 /* line where the filter text stands */
};

struct cw_rules {
	enum cw_filter_mode mode;
	struct cw_rule *rules; /* in file order; ids are indices */
	uint32_t count;
	char *path; /* of the rules file; NULL from the command line */
};

/*
 * Read a rules file ("-" = standard input). Grammar, with every key:
 *   mode: all | first
 *   defaults: {write: TEMPLATE, snaplen: N, rotate: {size: 1GiB, packets: N}}
 *   rules: a mapping NAME: EXPRESSION | NAME: {filter:, write:, snaplen:, rotate:}; the expression
 *          `unmatched` is the rule for what no other took (at most one)
 * Sizes take B, KB, MB, GB, TB (powers of 1000), KiB ... TiB (1024); bare numbers are bytes.
 * Errors (-EINVAL, or the system's) read "FILE:LINE: what is wrong; what would be right"; keys that
 * exist in the design but not in this version (every, files, sample, limit, ...) are refused as
 * "not in this version"; unknown keys, duplicate keys and names, anchors' cycles and wrong types are
 * refused too. Memory is bounded by the file's size: aliases are not expanded (refused).
 */
int cw_rules_load(struct cw_rules *rules, const char *path, struct cw_error *error);

/* As load, from memory; `name` stands for the file in messages. (What the fuzz target calls.) */
int cw_rules_parse(struct cw_rules *rules, const char *text, size_t bytes, const char *name,
		   struct cw_error *error);

/* Add a command-line rule; the filter "unmatched" makes a CW_RULE_UNMATCHED. Copies strings. */
int cw_rules_add(struct cw_rules *rules, const char *name, const char *filter, const char *write,
		 uint32_t snaplen, struct cw_error *error);

/*
 * What can be checked without packets: templates parse, extensions are known, no two rules' templates
 * can give one path. -EINVAL, the error names both rules.
 */
int cw_rules_check(const struct cw_rules *rules, struct cw_error *error);

/* Parse "1GiB", "500", "10MB" as above; 0 on success, -EINVAL or -ERANGE. */
int cw_parse_size(const char *text, uint64_t *bytes);

/* A copy of the rule, NULL without memory; cw_rule_free accepts NULL. */
struct cw_rule *cw_rule_copy(const struct cw_rule *rule);
void cw_rule_free(struct cw_rule *rule);

void cw_rules_fini(struct cw_rules *rules); /* a zeroed object is accepted */

#endif
