/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a parsed template consists of. Private to template.c (parses, expands) and
 * template_collide.c (compares).
 */
#ifndef CW_PIPELINE_TEMPLATE_PARTS_H
#define CW_PIPELINE_TEMPLATE_PARTS_H

#include "pipeline/rules/template.h"

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

struct cw_template {
	char *text; /* all texts one after the other, directory included */
	struct cw_part *parts;
	uint32_t part_count;
	bool is_stdout;
	bool is_pcapng;
	bool is_zst;
	bool has_kind[CW_PART_TIME + 1];
};

/* A value as it goes into names: unsafe characters and names of dots become "_". Returns bytes. */
size_t cw_template_value(const char *value, const char *if_empty,
			 char result[CW_TEMPLATE_VALUE_BYTES_MAX + 1]);

#endif
