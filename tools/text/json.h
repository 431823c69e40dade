/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_TOOLS_JSON_H
#define CW_TOOLS_JSON_H

#include <jansson.h>

/* A string for JSON, which must be UTF-8; where `value` is not, its high bytes become "?". NULL:
 * null. */
json_t *cw_json_text(const char *value);

#endif
