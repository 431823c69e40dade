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
#define CW_TEMPLATE_VALUE_BYTES_MAX 128u /* longer values of {rule} and {iface} are truncated */
#define CW_CONVERSION_BYTES_MAX 4u       /* "%", a flag, E or O, the letter */
#define CW_NUMBER_WIDTH 5u               /* digits of numbered names, so that they sort */
#define CW_NUMBER_WIDTH_MAX 20u

enum cw_part_kind {
	CW_PART_TEXT,
	CW_PART_RULE,
	CW_PART_IFACE,
	CW_PART_SEQ,
	CW_PART_TIME, /* one strftime conversion */
};

struct cw_part {
	enum cw_part_kind kind;
	uint32_t offset; /* into cw_template.text, for TEXT and TIME */
	uint32_t bytes;
	uint32_t width; /* least digits, for SEQ */
};

/* Constant once parsed. Flags are public, text and parts private to the wing. */
struct cw_template {
	char *text; /* all texts joined, including the directory */
	struct cw_part *parts;
	uint32_t part_count;
	bool is_stdout; /* "-" */
	bool
	    is_pcapng; /* ".pcapng" or ".ntar"; other names are pcap; the caller chooses us or ns */
	bool is_zst;   /* ends in ".zst": compressed; the extension before it gives the format */
	bool has_kind[CW_PART_TIME + 1];
};

struct cw_template_values {
	const char *rule;
	const char *iface; /* NULL = "unknown"; unsafe characters become "_" */
	uint64_t seq;      /* number of the rule's file, from 0 */
	uint64_t ts_ns;
	bool is_utc;
};

/*
 * Parses a template. `directory` (may be NULL) is put before relative paths. The template's literal
 * text may name folders ("/"); values of {rule} and {iface} never contribute "/", "..", NUL or
 * control characters. Refused (-EINVAL): empty, unknown {field}, unfinished brace, control
 * characters, a trailing "/", an unsupported compression (.gz, .lz4, ...: "not in this version"),
 * strftime conversions that give unsafe or empty text. "-" alone is standard output.
 */
int cw_template_parse(struct cw_template **result, const char *text, const char *directory,
		      struct cw_error *error);

/* Fills `path` (CW_TEMPLATE_PATH_BYTES). Returns its bytes without NUL, or -ENAMETOOLONG. */
int cw_template_expand(const struct cw_template *name, const struct cw_template_values *values,
		       char *path);

/* Returns the bytes of each expanded path that name its folder whatever the values, with the last
 * "/"; 0: relative to the current folder. */
size_t cw_template_fixed_folder(const struct cw_template *name);

/* Returns whether the templates, each with its rule's name, could expand to one path. Errs towards
 * yes only if time conversions or {iface} make that undecidable. */
bool cw_template_can_collide(const struct cw_template *a, const char *rule_a,
			     const struct cw_template *b, const char *rule_b);

struct cw_template_use {
	const struct cw_template *name; /* borrows */
	const char *rule;               /* borrows */
	bool is_repeated;               /* the rule rotates, so cw_template_numbered applies */
};

/*
 * Checks as cw_template_can_collide over all pairs, but skips pairs whose fixed beginnings differ.
 * 1 and the pair's two indices in ascending order, 0 if none can collide, -ENOMEM, or -E2BIG: too
 * many names to decide, because they begin with something of unknown length ({iface}, %s), or have
 * digits of rule names where others have times (beyond some 200,000 numbered rules of several
 * lengths).
 */
int cw_templates_find_collision(const struct cw_template_use *uses, uint32_t count,
				uint32_t pair[2]);

/* Fills `result` with a value as used in names: unsafe characters, and values of dots only, become
 * "_". Returns bytes. */
size_t cw_template_value(const char *value, const char *if_empty,
			 char result[CW_TEMPLATE_VALUE_BYTES_MAX + 1]);

/*
 * Fills `result` with the path and ".N" before its extension, N with at least `width` digits:
 * "a.pcap.zst", 2, 5 -> "a.00002.pcap.zst". Returns bytes, or -ENAMETOOLONG.
 */
int cw_template_numbered(const char *path, uint64_t number, uint32_t width, char *result);

/*
 * Returns whether the template, with its rule's name, can give the path, perhaps with a number that
 * cw_template_numbered adds. Fills *number: the highest value that {seq} can have, else the added
 * number; 0: none. Errs towards yes in the values of times.
 */
bool cw_template_match(const struct cw_template *name, const char *rule, const char *path,
		       uint64_t *number);

/* Returns whether the folder, with a "/" at its end, can lead to paths of the template. */
bool cw_template_match_folder(const struct cw_template *name, const char *rule, const char *folder);

/* Fills `prefix` (CW_TEMPLATE_PATH_BYTES) with the beginning that all paths of the rule have.
 * Returns its bytes; a prefix that is too long is truncated. */
size_t cw_template_prefix(const struct cw_template *name, const char *rule, char *prefix);

/*
 * Fills the name of the list of the rule's file ring, which lies in the fixed folder, and what the
 * list is of: the template below that folder, with the rule's name. Slashes are commas in the name;
 * a long one is truncated and ends in its CRC-32.
 */
void cw_template_ring_name(const struct cw_template *name, const char *rule,
			   char of[CW_TEMPLATE_PATH_BYTES], char list[256]);

/* Returns whether all paths of the template end in this text. */
bool cw_template_ends_in(const struct cw_template *name, const char *text);

/* Returns where a path's extension begins; at its end if the path has none. ".zst" and the format's
 * extension before it are one. */
const char *cw_template_extension(const char *path);

/* Returns a conversion's shape for times that ts_ns can hold (1970 to 2554), "0" for any digit;
 * NULL: text of unknown length. (template_collide.c) */
const char *cw_template_conversion_shape(const char *conversion);

void cw_template_free(struct cw_template *name);

#endif
