/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds the place where an expression that libpcap refused goes wrong: the token that libpcap's
 * message quotes, or the first token that cannot continue a valid expression.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/filter/text/names.h"
#include "core/filter/text/translate.h"
#include "core/packet/linktype.h"

#define TOKENS_MAX 4096u               /* in longer expressions the place is not sought */
#define PLACE_NS_MAX (CW_NS_PER_S / 5) /* processor time after which the search ends */
#define COMPLETION_BYTES_MAX 1024u     /* text that completes a prefix */
#define SYNTAX_ERROR "syntax error"
#define HOST_MASK "Mask syntax for networks only" /* libpcap on "host 10.0.0.0/8" */

/* Whether libpcap finds no syntax error in prefix + completion. */
static bool parses(pcap_t *handle, const char *prefix, size_t length, const char *completion)
{
	size_t room = length + strlen(completion) + 1;
	struct bpf_program program;
	char *text = malloc(room);
	bool result;

	if (!text)
		return true;
	snprintf(text, room, "%.*s%s", (int)length, prefix, completion);
	result = true;
	if (pcap_compile(handle, &program, text, 0, PCAP_NETMASK_UNKNOWN) == 0)
		pcap_freecode(&program);
	else
		result = !strstr(pcap_geterr(handle), SYNTAX_ERROR);
	free(text);
	return result;
}

/*
 * Whether the prefix can begin a valid expression. libpcap's parser has no such question, so the
 * common completions are tried: an operand, the end of a comparison, closing brackets.
 */
static bool is_viable(pcap_t *handle, const char *prefix, size_t length)
{
	static const char *const middles[] = {
	    "",     " 1",     " 1.2.3.4",   " tcp", " host 1",  " = 1",          " 1 = 1",
	    "]= 1", " 1]= 1", " 0x1:1]= 1", "/8",   " = 1 = 1", " mask 1.2.3.4", " data"};
	char completion[COMPLETION_BYTES_MAX];
	size_t depth = 0;

	for (size_t i = 0; i < length; i++) {
		if (prefix[i] == '(')
			depth++;
		else if (prefix[i] == ')' && depth)
			depth--;
	}
	for (size_t i = 0; i < CW_ARRAY_COUNT(middles); i++) {
		size_t used = strlen(middles[i]);
		size_t closing = cw_min_size(depth, (sizeof(completion) - used - 8));

		memcpy(completion, middles[i], used);
		memset(completion + used, ')', closing);
		completion[used + closing] = '\0';
		if (parses(handle, prefix, length, completion))
			return true;
		/* "(len" is completed by ") = 1" */
		memcpy(completion + used + closing, " = 1", 5);
		if (closing && parses(handle, prefix, length, completion))
			return true;
	}
	return false;
}

/*
 * Whether libpcap's message quotes the token. Not all messages use quotes: a long number counts as
 * quoted ("port number 70000 > 65535"), a short number could mean anything.
 */
static bool is_quoted(const char *message, const struct cw_filter_token *token)
{
	const char *from = token->text + (token->text[0] == '\\');
	size_t length = token->length - (token->text[0] == '\\');
	bool is_telling = token->kind == CW_TOKEN_NUMBER && length >= 3;
	const char *at;

	for (at = message + 1; message[0] && *at; at++) {
		if (strncmp(at, from, length) != 0 || isalnum((unsigned char)at[length]))
			continue;
		if (at[-1] == '\'' || at[-1] == '"' || (is_telling && at[-1] == ' '))
			return true;
	}
	return false;
}

/* Find the first token that the message quotes (fills `found`). */
static bool find_quoted(const char *expression, const char *message, struct cw_filter_token *found)
{
	struct cw_filter_tokens tokens = {.next = expression};

	while (cw_filter_token_next(&tokens, found))
		if (found->kind != CW_TOKEN_OTHER && is_quoted(message, found))
			return true;
	return false;
}

/*
 * Find the token at which an expression with a syntax error stops being the beginning of a valid
 * one (fills `found`; length 0 = its end). Prefixes of a valid beginning are valid too, so halving
 * finds the token. False: not found in time, because libpcap takes a second for hundreds of hosts.
 */
static bool find_stray(pcap_t *handle, const char *expression, struct cw_filter_token *found)
{
	struct cw_filter_tokens tokens = {.next = expression};
	struct cw_filter_token *all = calloc(TOKENS_MAX, sizeof(*all));
	uint64_t start_ns = cw_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	size_t count = 0, low = 0, high;

	if (!all)
		return false;
	while (count < TOKENS_MAX && cw_filter_token_next(&tokens, &all[count]))
		count++;
	if (count == TOKENS_MAX) {
		free(all);
		return false;
	}
	for (high = count; low < high;) { /* all[low - 1] is viable, all[high] is not */
		size_t middle = low + (high - low) / 2;
		const struct cw_filter_token *token = &all[middle];
		size_t length = (size_t)(token->text - expression) + token->length;

		if (cw_clock_ns(CLOCK_THREAD_CPUTIME_ID) - start_ns > PLACE_NS_MAX) {
			free(all);
			return false;
		}
		if (is_viable(handle, expression, length))
			low = middle + 1;
		else
			high = middle;
	}
	if (low < count)
		*found = all[low];
	else
		*found =
		    (struct cw_filter_token){expression + strlen(expression), 0, CW_TOKEN_OTHER};
	free(all);
	return true;
}

/* Find an address with a mask that does not follow "net" (fills `found`): libpcap quotes none. */
static bool find_masked_host(const char *expression, struct cw_filter_token *found)
{
	struct cw_filter_tokens tokens = {.next = expression};
	bool is_net = false;

	while (cw_filter_token_next(&tokens, found)) {
		if (!is_net && found->kind == CW_TOKEN_NUMBER && *tokens.next == '/')
			return true;
		is_net = found->length == 3 && memcmp(found->text, "net", 3) == 0;
	}
	return false;
}

int cw_filter_report_refusal(pcap_t *handle, const char *expression, const char *message,
			     struct cw_error *error)
{
	char quote[CW_FILTER_QUOTE_BYTES], name[32];
	int dlt = pcap_datalink(handle);
	struct cw_filter_token token;
	const char *linktype = cw_linktype_name(cw_linktype_from_dlt(dlt), name, sizeof(name));
	bool is_masked = strstr(message, HOST_MASK), is_found;

	if (strstr(message, SYNTAX_ERROR))
		is_found = find_stray(handle, expression, &token);
	else if (is_masked)
		is_found = find_masked_host(expression, &token);
	else
		is_found = find_quoted(expression, message, &token);
	cw_filter_quote(expression, quote);
	if (!is_found)
		return cw_error_set(error, -EINVAL, "filter \"%s\" for link type %s: %s", quote,
				    linktype, message);
	if (token.length == 0)
		return cw_error_set(error, -EINVAL,
				    "filter \"%s\" for link type %s: %s, at its end", quote,
				    linktype, message);
	return cw_error_set(error, -EINVAL,
			    "filter \"%s\" for link type %s: %s, at \"%.*s\" (column %zu)%s", quote,
			    linktype, message, (int)cw_min_size(token.length, 100), token.text,
			    (size_t)(token.text - expression) + 1,
			    is_masked ? "; a network is written 'net 10.0.0.0/8'" : "");
}
