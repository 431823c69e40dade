/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Expressions as text: their tokens, the names that libpcap would resolve, and quoting.
 */
#ifndef CW_CORE_FILTER_TEXT_NAMES_H
#define CW_CORE_FILTER_TEXT_NAMES_H

#include <stdbool.h>

#include "core/base/base.h"
#include "core/base/error.h"

/* Kind of a token, as far as needed to tell names apart. */
enum cw_filter_token_kind {
	CW_TOKEN_OTHER,    /* keyword, operator, bracket */
	CW_TOKEN_NUMBER,   /* number or numeric address: never looked up */
	CW_TOKEN_LITERAL,  /* argument of ifname, type, reason, ...: never looked up */
	CW_TOKEN_SERVICE,  /* port or portrange name: looked up in /etc/services */
	CW_TOKEN_PROTOCOL, /* proto or protochain name: looked up in /etc/protocols */
	CW_TOKEN_HOST,     /* host, network or Ethernet name: a resolver would be asked */
};

struct cw_filter_token {
	const char *text;
	size_t length;
	enum cw_filter_token_kind kind;
};

#define CW_FILTER_NESTING_MAX 64u /* parentheses whose qualifiers the tokenizer remembers */

/* A walk over an expression's tokens; starts with .next = expression, the rest zero. */
struct cw_filter_tokens {
	const char *next;
	enum cw_filter_token_kind name_kind;  /* kind of a bare identifier at this point */
	bool is_literal_next;                 /* the next identifier is a keyword's argument */
	uint32_t depth;                       /* open parentheses */
	uint8_t kinds[CW_FILTER_NESTING_MAX]; /* name_kind at each open parenthesis */
};

/* The next token (fills); false at the end. */
bool cw_filter_token_next(struct cw_filter_tokens *tokens, struct cw_filter_token *token);

/* Keyword number `index` of the language; NULL after the last. */
const char *cw_filter_keyword(size_t index);

/* Refuse names that only a resolver knows: 0, or -EACCES with the name in `error`. */
int cw_filter_names_check(const char *expression, struct cw_error *error);

/* Copy `expression` for a message: control characters become spaces, a long middle is left out. */
#define CW_FILTER_QUOTE_BYTES 240u
const char *cw_filter_quote(const char *expression, char buffer[CW_FILTER_QUOTE_BYTES]);

#endif
