/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Output name templates: {rule}, {iface}, {seq} and strftime conversions of the packet's time.
 * "{{" and "}}" stand for braces, "%%" for a percent sign.
 */
#ifndef CW_PIPELINE_RULES_TEMPLATE_H
#define CW_PIPELINE_RULES_TEMPLATE_H

#include "core/base/error.h"
#include "core/format/encode.h"

#define CW_TEMPLATE_PATH_BYTES 4096u
#define CW_TEMPLATE_VALUE_BYTES_MAX 128u /* longer values of {rule} and {iface} are cut */
#define CW_CONVERSION_BYTES_MAX 4u       /* "%", a flag, E or O, the letter */

enum cw_part_kind {
	CW_PART_TEXT,
	CW_PART_RULE,
	CW_PART_IFACE,
	CW_PART_SEQ,
	CW_PART_TIME, /* its text is one strftime conversion */
};

struct cw_part {
	enum cw_part_kind kind;
	uint32_t offset; /* into cw_template.text, for TEXT and TIME */
	uint32_t bytes;
};

/* Constant once it is parsed; what it is and has is for all, its texts and parts are the wing's. */
struct cw_template {
	char *text; /* all texts one after the other, directory included */
	struct cw_part *parts;
	uint32_t part_count;
	bool is_stdout; /* "-" */
	bool is_pcapng; /* ".pcapng" and ".ntar"; others are pcap, us or ns by the caller */
	bool is_zst;    /* ".zst" comes last: compressed; what is before it says the format */
	bool has_kind[CW_PART_TIME + 1];
};

struct cw_template_values {
	const char *rule;
	const char *iface; /* NULL = "unknown"; characters unsafe in names become "_" */
	uint64_t seq;      /* number of the file within its rule, from 0 */
	uint64_t ts_ns;
	bool is_utc;
};

/*
 * Parse. `directory` (may be NULL) is put in front of relative paths. A template's own text may
 * name folders ("/"), but values put in for {rule} and {iface} never bring in "/", "..", NUL or
 * control characters. Refused (-EINVAL): empty, unknown {field}, unfinished brace, control
 * characters, a trailing "/", an extension we know but do not have (.gz, .lz4, ...: "not in this
 * version"), strftime conversions that yield unsafe or empty text. "-" alone is standard output.
 */
int cw_template_parse(struct cw_template **result, const char *text, const char *directory,
		      struct cw_error *error);

/* Into `path` (CW_TEMPLATE_PATH_BYTES of room). Bytes without NUL, or -ENAMETOOLONG. */
int cw_template_expand(const struct cw_template *name, const struct cw_template_values *values,
		       char *path);

/* Whether the two could ever expand to one path, each with its own rule's name. Errs towards yes
 * only where time conversions or {iface} make it undecidable. */
bool cw_template_can_collide(const struct cw_template *a, const char *rule_a,
			     const struct cw_template *b, const char *rule_b);

struct cw_template_use {
	const struct cw_template *name; /* borrows */
	const char *rule;               /* borrows */
	bool is_repeated; /* may have to be numbered, cw_template_numbered: the rule rotates */
};

/*
 * As can_collide over all pairs, without trying them all where the names' fixed beginnings differ.
 * 1 and the pair's two indices in ascending order, 0 when none can collide, -ENOMEM, or -E2BIG when
 * too many names begin with something of unknown length ({iface}, %s), or have digits of rule names
 * where others have times (beyond some 200,000 numbered rules of several lengths), to decide it.
 */
int cw_templates_find_collision(const struct cw_template_use *uses, uint32_t count,
				uint32_t pair[2]);

/* A value as it goes into names: unsafe characters and names of dots become "_". Returns bytes. */
size_t cw_template_value(const char *value, const char *if_empty,
			 char result[CW_TEMPLATE_VALUE_BYTES_MAX + 1]);

/* The path with ".N" before its extension: "a.pcap", 2 -> "a.2.pcap". -ENAMETOOLONG. */
int cw_template_numbered(const char *path, unsigned long long number, char *result);

void cw_template_free(struct cw_template *name);

#endif
