/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Expressions as text: their tokens, which names a resolver would be asked for, and quoting them.
 */
#ifndef CW_CORE_FILTER_TEXT_NAMES_H
#define CW_CORE_FILTER_TEXT_NAMES_H

#include <stdbool.h>

#include "core/base/base.h"
#include "core/base/error.h"

/* What kind of thing a token of an expression is, as far as telling names apart needs it. */
enum cw_filter_token_kind {
	CW_TOKEN_OTHER,    /* keyword, operator, bracket */
	CW_TOKEN_NUMBER,   /* number or numeric address: never looked up */
	CW_TOKEN_LITERAL,  /* argument of ifname, type, reason, ...: never looked up */
	CW_TOKEN_SERVICE,  /* port or portrange name: /etc/services */
	CW_TOKEN_PROTOCOL, /* proto or protochain name: /etc/protocols */
	CW_TOKEN_HOST,     /* host, network or Ethernet name: a resolver would be asked */
};

struct cw_filter_token {
	const char *text;
	size_t length;
	enum cw_filter_token_kind kind;
};

#define CW_FILTER_NESTING_MAX 64u /* parentheses whose qualifiers the tokenizer remembers */

/* State of a walk over an expression's tokens; start with .next = expression, the rest zero. */
struct cw_filter_tokens {
	const char *next;
	enum cw_filter_token_kind name_kind;  /* what a bare identifier would be now */
	bool is_literal_next;                 /* the next identifier is a keyword's argument */
	uint32_t depth;                       /* open parentheses */
	uint8_t kinds[CW_FILTER_NESTING_MAX]; /* name_kind at each of them */
};

/* The next token (fills); false at the end. */
bool cw_filter_token_next(struct cw_filter_tokens *tokens, struct cw_filter_token *token);

/* The keywords of the language, by number; NULL behind the last. */
const char *cw_filter_keyword(size_t index);

/* -EACCES when the expression names something that only a resolver knows; error names it. */
int cw_filter_names_check(const char *expression, struct cw_error *error);

/* Copy `expression` for an error text: control characters as '?', cut in the middle when long. */
#define CW_FILTER_QUOTE_BYTES 240u
const char *cw_filter_quote(const char *expression, char buffer[CW_FILTER_QUOTE_BYTES]);

#endif
