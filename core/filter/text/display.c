/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Wireshark display filters that were written in place of a capture filter: recognised by fields
 * ("ip.addr") and operators ("contains"); the commonest fields are translated.
 * Source: wireshark-filter(4), pcap-filter(7).
 */
#include <ctype.h>
#include <stdio.h>

#include "core/filter/text/names.h"
#include "core/filter/text/translate.h"

#define CAPTURE_BYTES 160u
#define VALUE_BYTES_MAX 60u
#define GENERAL "host 1.2.3.4 and tcp port 80"

/* A display-filter field, and the capture filter for it. */
static const struct field {
	const char *name;
	const char *capture;
	const char *value; /* example, after `capture`; NULL: none */
} fields[] = {
    {"ip.addr", "host", "1.2.3.4"},
    {"ip.src", "src host", "1.2.3.4"},
    {"ip.dst", "dst host", "1.2.3.4"},
    {"ip.proto", "ip proto", "17"},
    {"ipv6", "ip6", NULL},
    {"ipv6.addr", "host", "2001:db8::1"},
    {"ipv6.src", "src host", "2001:db8::1"},
    {"ipv6.dst", "dst host", "2001:db8::1"},
    {"eth.addr", "ether host", "00:11:22:33:44:55"},
    {"eth.src", "ether src", "00:11:22:33:44:55"},
    {"eth.dst", "ether dst", "00:11:22:33:44:55"},
    {"eth.type", "ether proto", "0x0800"},
    {"vlan.id", "vlan", "100"},
    {"tcp.port", "tcp port", "80"},
    {"tcp.srcport", "tcp src port", "80"},
    {"tcp.dstport", "tcp dst port", "80"},
    {"tcp.flags.syn", "tcp[tcpflags] & tcp-syn != 0", NULL},
    {"tcp.flags.reset", "tcp[tcpflags] & tcp-rst != 0", NULL},
    {"udp.port", "udp port", "53"},
    {"udp.srcport", "udp src port", "53"},
    {"udp.dstport", "udp dst port", "53"},
    {"icmp.type", "icmp[icmptype] =", "8"},
    {"icmpv6", "icmp6", NULL},
    {"frame.len", "len =", "1500"},
    {"dhcp", "port 67 or port 68", NULL},
    {"dns", "port 53", NULL},
    {"http", "tcp port 80", NULL},
    {"tls", "tcp port 443", NULL},
    {"ssl", "tcp port 443", NULL},
};

static const char *const equals[] = {"==", "eq", NULL};
static const char *const differs[] = {"!=", "ne", NULL};
static const char *const compares[] = {">", "<", ">=", "<=", "gt", "lt", "ge", "le", "in", NULL};
static const char *const searches[] = {"contains", "matches", NULL};
static const char *const connects[] = {"and", "or", "not", "!", "(", "&&", "||", NULL};

static bool is_word(const struct cw_filter_token *token, const char *word)
{
	return strlen(word) == token->length && memcmp(token->text, word, token->length) == 0;
}

static bool is_one_of(const struct cw_filter_token *token, const char *const *words)
{
	while (*words && !is_word(token, *words))
		words++;
	return *words != NULL;
}

static const struct field *find_field(const struct cw_filter_token *token)
{
	for (size_t i = 0; i < CW_ARRAY_COUNT(fields); i++)
		if (is_word(token, fields[i].name))
			return &fields[i];
	return NULL;
}

/* Whether the token is "protocol.rest" with the protocol of a field in the table. */
static bool has_known_protocol(const struct cw_filter_token *token)
{
	for (size_t i = 0; i < CW_ARRAY_COUNT(fields); i++) {
		size_t length = strcspn(fields[i].name, ".");

		if (length < token->length && token->text[length] == '.' &&
		    memcmp(token->text, fields[i].name, length) == 0)
			return true;
	}
	return false;
}

/* Whether a token is a word of display filters; `tokens` continues after it. Names that a qualifier
 * asks for ("host dns.example") are none. */
static bool is_display(struct cw_filter_tokens tokens, const struct cw_filter_token *previous,
		       const struct cw_filter_token *token)
{
	bool has_dot = memchr(token->text, '.', token->length) != NULL;
	struct cw_filter_token next;

	if (token->kind != CW_TOKEN_HOST && token->kind != CW_TOKEN_SERVICE &&
	    token->kind != CW_TOKEN_PROTOCOL)
		return false;
	if (is_one_of(token, searches))
		return true;
	if (previous->length && !is_one_of(previous, connects))
		return false;
	if (find_field(token))
		return has_dot || token->kind == CW_TOKEN_HOST;
	if (has_known_protocol(token))
		return true;
	return has_dot && cw_filter_token_next(&tokens, &next) &&
	       (is_one_of(&next, equals) || is_one_of(&next, differs) ||
		is_one_of(&next, compares) || is_one_of(&next, searches));
}

/* Whether a comparison and a value come next that the field's capture filter can take over. */
static bool takes_value(struct cw_filter_tokens tokens, const struct field *field,
			struct cw_filter_token *comparison, struct cw_filter_token *value)
{
	bool is_relation = field->capture[strlen(field->capture) - 1] == '=';

	if (!cw_filter_token_next(&tokens, comparison) || !cw_filter_token_next(&tokens, value) ||
	    value->kind != CW_TOKEN_NUMBER)
		return false;
	if (is_relation)
		return !isalpha((unsigned char)comparison->text[0]);
	return is_one_of(comparison, equals) || is_one_of(comparison, differs);
}

/* Write the capture filter for a field, with the value that the field is compared with. */
static void translate(struct cw_filter_tokens tokens, const struct cw_filter_token *token,
		      char capture[CAPTURE_BYTES])
{
	const struct field *field = find_field(token);
	struct cw_filter_token comparison, value;
	const char *last = "";
	size_t length, word;

	if (!field || !field->value) {
		snprintf(capture, CAPTURE_BYTES, "%s", field ? field->capture : GENERAL);
		return;
	}
	if (!takes_value(tokens, field, &comparison, &value)) {
		snprintf(capture, CAPTURE_BYTES, "%s %s", field->capture, field->value);
		return;
	}
	length = cw_min_size(value.length, VALUE_BYTES_MAX);
	word = strlen(field->capture);
	if (field->capture[word - 1] == '=') {
		snprintf(capture, CAPTURE_BYTES, "%.*s%.*s %.*s", (int)word - 1, field->capture,
			 (int)comparison.length, comparison.text, (int)length, value.text);
		return;
	}
	if (value.text[length] == '/' && word >= 4 &&
	    strcmp(field->capture + word - 4, "host") == 0) {
		length += 1 + strspn(value.text + length + 1, "0123456789");
		word -= 4;
		last = "net";
	}
	snprintf(capture, CAPTURE_BYTES, "%s%.*s%s %.*s",
		 is_one_of(&comparison, differs) ? "not " : "", (int)word, field->capture, last,
		 (int)cw_min_size(length, 2 * VALUE_BYTES_MAX), value.text);
}

int cw_filter_report_display(const char *expression, int code, struct cw_error *error)
{
	struct cw_filter_tokens tokens = {.next = expression};
	struct cw_filter_token previous = {.length = 0}, token;
	char quote[CW_FILTER_QUOTE_BYTES], capture[CAPTURE_BYTES];

	for (; cw_filter_token_next(&tokens, &token); previous = token) {
		if (!is_display(tokens, &previous, &token))
			continue;
		translate(tokens, &token, capture);
		return cw_error_set(error, code,
				    "filter \"%s\": \"%.*s\" (column %zu) looks like Wireshark "
				    "display-filter syntax; capture filters are written '%s'",
				    cw_filter_quote(expression, quote),
				    (int)cw_min_size(token.length, VALUE_BYTES_MAX), token.text,
				    (size_t)(token.text - expression) + 1, capture);
	}
	return code;
}
