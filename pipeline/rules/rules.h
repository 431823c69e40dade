/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Rules: what to match and where to write it, from a YAML file or the command line's -f and -w
 * pairs. This part reads, checks and names; it compiles no filter and opens no output.
 */
#ifndef CW_PIPELINE_RULES_RULES_H
#define CW_PIPELINE_RULES_RULES_H

#include "core/base/error.h"
#include "core/filter/filter.h"
#include "core/output/access.h"

#define CW_RULES_MAX 1000000u
#define CW_RULES_FILE_BYTES_MAX ((size_t)256 << 20)
#define CW_RULE_NAME_BYTES_MAX 128u
#define CW_HOOK_WORDS_MAX 100u
#define CW_RULES_FAULTS_MAX 20u /* that cw_rules_load_sound reports */
#define CW_SETTINGS_MAX 256u
#define CW_SETTING_BYTES_MAX 4096u

struct cw_template;

enum cw_rule_kind {
	CW_RULE_FILTER,    /* packets that its expression matches ("" matches all) */
	CW_RULE_UNMATCHED, /* packets that no other rule matches */
};

struct cw_rule {
	char *name;         /* unique; letters, digits and _ - . + @ : only; safe in file names */
	char *filter;       /* libpcap expression; NULL for CW_RULE_UNMATCHED */
	char *filter_lines; /* `filter` with the file's line breaks, for messages; or NULL */
	char *write;        /* output template, without the directory of -o */
	enum cw_rule_kind kind;
	uint32_t snaplen;          /* bytes; 0 = no truncation */
	uint32_t discards_secrets; /* 1: pcapng outputs get no decryption secrets */
	uint64_t rotate_bytes;     /* 0 = no limit */
	uint64_t rotate_packets;   /* 0 = no limit */
	uint64_t rotate_every_ns;  /* in packet timestamps; 0 = no limit */
	bool is_count;             /* packets are counted, none is written */
	bool is_rotate_from_first; /* periods start at each file's first packet (-G) */
	uint64_t sample_every;     /* write one in this many matches; 0, 1 = all */
	uint64_t limit_packets;    /* packets to write; 0 = no limit */
	uint64_t limit_bytes;      /* captured bytes to write, after truncation; 0 = no limit */
	uint64_t limit_rate;       /* packets to write per second of timestamps; 0 = no limit */
	struct cw_access access;   /* modes and group of the files */
	char *group;               /* name or number of access.group, unless that is set; or NULL */
	char **hook;               /* command to run for each complete file, NULL-ended; or NULL */
	uint64_t stop_files;       /* files that end the run once complete; 0 = none do */
	uint64_t ring_files;       /* files to keep; 0 = all */
	uint64_t ring_bytes;       /* bytes of files to keep; 0 = all; needs rotate_bytes */
	uint32_t priority;         /* rules of higher priority lose shared file space last */
	unsigned line;             /* in the rules file; 0: from the command line */
	unsigned filter_line;      /* line where the filter text begins */
};

/* A value of the mapping `capture:`. A list gives several of one name. */
struct cw_setting {
	char *name;        /* the key: any text of at most 48 bytes */
	char *value;       /* at most CW_SETTING_BYTES_MAX bytes */
	unsigned line;     /* in the rules file */
	bool is_list_item; /* from a list, also of one value */
};

struct cw_settings {
	struct cw_setting *at; /* in file order */
	uint32_t count;
};

/* Who can change a rules file. Of standard input: the process's own user alone. */
struct cw_rules_facts {
	uint32_t owner; /* user id */
	uint32_t mode;  /* permission bits */
};

struct cw_rules {
	enum cw_filter_mode mode;
	struct cw_rule *rules; /* in file order; ids are indices */
	uint32_t count;
	uint64_t total_bytes;        /* bytes of files to keep, of all rules; 0 = all */
	uint64_t free_bytes;         /* bytes a disk must have left when a file begins; 0 = none */
	char *path;                  /* of the rules file; NULL: from the command line */
	struct cw_settings settings; /* options of a capture; this part does not know them */
	char *restart; /* names of settings that only a restart changes, between spaces; or NULL */
	struct cw_rules_facts facts; /* of the rules file as it was read, by cw_rules_load */
};

/*
 * Reads a rules file ("-" = standard input). Grammar, with every key:
 *   mode: all | first
 *   defaults: {write: TEMPLATE, snaplen: N, rotate: {size: 1GiB, packets: N, every: 10m, files: N,
 *              total: 1TiB}}
 *   keep: {total: 1TiB, free: 10GiB}
 *   capture: {KEY: VALUE | [VALUE...]}, of any keys
 *   rules: a mapping NAME: EXPRESSION | NAME: {filter:, write:, snaplen:, rotate:,
 *          secrets: keep|drop, priority: 0 to 1000000, sample: 1/N,
 *          file_mode: 0600 to 0666, folder_mode: 0700 to 0777, group: NAME|NUMBER,
 *          limit: {packets: N, bytes: SIZE, rate: N},
 *          hook: COMMAND | [COMMAND, ARGUMENT...]}; the expression
 *          `unmatched` takes the packets that no other rule matches (at most one such rule)
 * Numbers take the suffixes of amount.h; bare numbers are counts, bytes or seconds.
 * Errors (-EINVAL, or a system error) read "FILE:LINE: cause; cure". Refused are unknown keys,
 * duplicate keys and names, wrong types, and keys planned for later versions (sync, order, ...:
 * "not in this version"). Aliases are refused, not expanded, so the file's size bounds the memory.
 */
int cw_rules_load(struct cw_rules *rules, const char *path, struct cw_error *error);

/*
 * As cw_rules_load, but leaves out what is faulty: calls `found` with the text of each fault, up to
 * CW_RULES_FAULTS_MAX. Returns the number of faults, or a negative errno after one that ends the
 * reading, such as a mistake in YAML.
 */
int cw_rules_load_sound(struct cw_rules *rules, const char *path,
			void (*found)(void *context, const char *text), void *context);

/* As cw_rules_load_sound, from memory; messages call the file "text". (A fuzz target's entry.) */
int cw_rules_parse_sound(struct cw_rules *rules, const char *text, size_t bytes,
			 void (*found)(void *context, const char *fault), void *context);

/* As cw_rules_load, from a descriptor, which it takes; messages call the file `path`. */
int cw_rules_load_fd(struct cw_rules *rules, int fd, const char *path, struct cw_error *error);

/* As cw_rules_load, from memory; messages call the file `name`. (The fuzz target's entry.) */
int cw_rules_parse(struct cw_rules *rules, const char *text, size_t bytes, const char *name,
		   struct cw_error *error);

/* Adds a command-line rule; the filter "unmatched" makes a CW_RULE_UNMATCHED. Copies strings. */
int cw_rules_add(struct cw_rules *rules, const char *name, const char *filter, const char *write,
		 uint32_t snaplen, struct cw_error *error);

/*
 * Checks the rules without packets: templates parse, extensions are known, file rings have limits,
 * standard output has no setting that needs a file, and no two templates can give one path, except
 * that of /dev/null. -EINVAL with the reason.
 */
int cw_rules_check(const struct cw_rules *rules, struct cw_error *error);

/* Returns whether the rule's files end before the run does. */
static inline bool cw_rule_rotates(const struct cw_rule *rule)
{
	return rule->rotate_bytes || rule->rotate_packets || rule->rotate_every_ns;
}

/* Returns whether the names of the rule's files differ only by the number that each gets. */
bool cw_rule_is_numbered(const struct cw_rule *rule, const struct cw_template *name);

/* Returns the first setting of the rule, or of all rules, that needs files that end and have names,
 * as a message calls it; NULL: none. The cure follows such a message. */
const char *cw_rule_file_setting(const struct cw_rules *rules, const struct cw_rule *rule);
#define CW_RULE_FILE_CURE "write to a file, or omit that setting for this rule"

/*
 * Returns the line of the filter's fault in the rules file, by the message of cw_filter_compile;
 * the filter's first line if the message names no place. Fills `explained` as cw_filter_explain.
 */
unsigned cw_rule_explain(const struct cw_rule *rule, const char *message, char *explained,
			 size_t room);

/* Replaces comments, from # to the end of the line, by blanks, so that columns stay. */
void cw_filter_blank_comments(char *filter);

/* Copies `words` (NULL-ended) as the hook of a rule without one. 0 or -ENOMEM. */
int cw_rule_set_hook(struct cw_rule *rule, char *const *words);

/* Returns a copy of the rule; NULL: no memory. cw_rule_free accepts NULL. */
struct cw_rule *cw_rule_copy(const struct cw_rule *rule);
void cw_rule_free(struct cw_rule *rule);

void cw_settings_fini(struct cw_settings *settings); /* a zeroed object is accepted */

void cw_rules_fini(struct cw_rules *rules); /* a zeroed object is accepted */

#endif
