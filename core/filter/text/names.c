/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tells the names in an expression apart before libpcap sees it: for a host, network or Ethernet
 * name libpcap would ask a resolver, which can block for minutes. Tokens are those of libpcap's
 * scanner (longest match). A bare identifier has the meaning of the nearest qualifier before it, as
 * in libpcap's grammar: "port ssh or domain" names two services, "host a or b" two hosts, and a
 * closing parenthesis restores the qualifier that was valid before the opening one.
 * If the two could differ (in an expression that is wrong anyway), the name counts as a host name.
 * Source: scanner.l and grammar.y of libpcap 1.10.
 */
#include "core/filter/text/names.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>

#define ADDRESS_BYTES_MAX 64u

enum meaning {
	MEANS_NOTHING,  /* qualifiers do not change */
	MEANS_HOST,     /* later identifiers are host or network names */
	MEANS_SERVICE,  /* later identifiers are names of ports */
	MEANS_PROTOCOL, /* later identifiers are names of protocols */
	MEANS_LITERAL,  /* the next identifier is an argument */
};

static const struct keyword {
	const char *text;
	enum meaning meaning;
} keywords[] = {
    {"dst", MEANS_HOST},
    {"src", MEANS_HOST},
    {"host", MEANS_HOST},
    {"net", MEANS_HOST},
    {"gateway", MEANS_HOST},
    {"ra", MEANS_HOST},
    {"ta", MEANS_HOST},
    {"addr1", MEANS_HOST},
    {"addr2", MEANS_HOST},
    {"addr3", MEANS_HOST},
    {"addr4", MEANS_HOST},
    {"address1", MEANS_HOST},
    {"address2", MEANS_HOST},
    {"address3", MEANS_HOST},
    {"address4", MEANS_HOST},
    {"port", MEANS_SERVICE},
    {"portrange", MEANS_SERVICE},
    {"proto", MEANS_PROTOCOL},
    {"protochain", MEANS_PROTOCOL},
    {"ifname", MEANS_LITERAL},
    {"on", MEANS_LITERAL},
    {"rset", MEANS_LITERAL},
    {"ruleset", MEANS_LITERAL},
    {"reason", MEANS_LITERAL},
    {"action", MEANS_LITERAL},
    {"type", MEANS_LITERAL},
    {"subtype", MEANS_LITERAL},
    {"dir", MEANS_LITERAL},
    {"direction", MEANS_LITERAL},
    {"llc", MEANS_LITERAL},
    {"link", MEANS_NOTHING},
    {"ether", MEANS_NOTHING},
    {"ppp", MEANS_NOTHING},
    {"slip", MEANS_NOTHING},
    {"fddi", MEANS_NOTHING},
    {"tr", MEANS_NOTHING},
    {"wlan", MEANS_NOTHING},
    {"arp", MEANS_NOTHING},
    {"rarp", MEANS_NOTHING},
    {"ip", MEANS_NOTHING},
    {"sctp", MEANS_NOTHING},
    {"tcp", MEANS_NOTHING},
    {"udp", MEANS_NOTHING},
    {"icmp", MEANS_NOTHING},
    {"igmp", MEANS_NOTHING},
    {"igrp", MEANS_NOTHING},
    {"pim", MEANS_NOTHING},
    {"vrrp", MEANS_NOTHING},
    {"carp", MEANS_NOTHING},
    {"radio", MEANS_NOTHING},
    {"ip6", MEANS_NOTHING},
    {"icmp6", MEANS_NOTHING},
    {"ah", MEANS_NOTHING},
    {"esp", MEANS_NOTHING},
    {"atalk", MEANS_NOTHING},
    {"aarp", MEANS_NOTHING},
    {"decnet", MEANS_NOTHING},
    {"lat", MEANS_NOTHING},
    {"sca", MEANS_NOTHING},
    {"moprc", MEANS_NOTHING},
    {"mopdl", MEANS_NOTHING},
    {"iso", MEANS_NOTHING},
    {"esis", MEANS_NOTHING},
    {"es-is", MEANS_NOTHING},
    {"isis", MEANS_NOTHING},
    {"is-is", MEANS_NOTHING},
    {"l1", MEANS_NOTHING},
    {"l2", MEANS_NOTHING},
    {"iih", MEANS_NOTHING},
    {"lsp", MEANS_NOTHING},
    {"snp", MEANS_NOTHING},
    {"csnp", MEANS_NOTHING},
    {"psnp", MEANS_NOTHING},
    {"clnp", MEANS_NOTHING},
    {"stp", MEANS_NOTHING},
    {"ipx", MEANS_NOTHING},
    {"netbeui", MEANS_NOTHING},
    {"mask", MEANS_NOTHING},
    {"less", MEANS_NOTHING},
    {"greater", MEANS_NOTHING},
    {"byte", MEANS_NOTHING},
    {"broadcast", MEANS_NOTHING},
    {"multicast", MEANS_NOTHING},
    {"and", MEANS_NOTHING},
    {"or", MEANS_NOTHING},
    {"not", MEANS_NOTHING},
    {"len", MEANS_NOTHING},
    {"length", MEANS_NOTHING},
    {"inbound", MEANS_NOTHING},
    {"outbound", MEANS_NOTHING},
    {"ifindex", MEANS_NOTHING},
    {"vlan", MEANS_NOTHING},
    {"mpls", MEANS_NOTHING},
    {"pppoed", MEANS_NOTHING},
    {"pppoes", MEANS_NOTHING},
    {"geneve", MEANS_NOTHING},
    {"lane", MEANS_NOTHING},
    {"metac", MEANS_NOTHING},
    {"bcc", MEANS_NOTHING},
    {"oam", MEANS_NOTHING},
    {"oamf4", MEANS_NOTHING},
    {"oamf4ec", MEANS_NOTHING},
    {"oamf4sc", MEANS_NOTHING},
    {"sc", MEANS_NOTHING},
    {"ilmic", MEANS_NOTHING},
    {"vpi", MEANS_NOTHING},
    {"vci", MEANS_NOTHING},
    {"connectmsg", MEANS_NOTHING},
    {"metaconnect", MEANS_NOTHING},
    {"rnr", MEANS_NOTHING},
    {"rulenum", MEANS_NOTHING},
    {"srnr", MEANS_NOTHING},
    {"subrulenum", MEANS_NOTHING},
    {"fisu", MEANS_NOTHING},
    {"lssu", MEANS_NOTHING},
    {"lsu", MEANS_NOTHING},
    {"msu", MEANS_NOTHING},
    {"hfisu", MEANS_NOTHING},
    {"hlssu", MEANS_NOTHING},
    {"hmsu", MEANS_NOTHING},
    {"sio", MEANS_NOTHING},
    {"opc", MEANS_NOTHING},
    {"dpc", MEANS_NOTHING},
    {"sls", MEANS_NOTHING},
    {"hsio", MEANS_NOTHING},
    {"hopc", MEANS_NOTHING},
    {"hdpc", MEANS_NOTHING},
    {"hsls", MEANS_NOTHING},
};

/* Names of numbers: offsets, ICMP types, TCP flags. */
static const char *const constants[] = {
    "icmptype",
    "icmpcode",
    "icmp6type",
    "icmp6code",
    "tcpflags",
    "tcp-fin",
    "tcp-syn",
    "tcp-rst",
    "tcp-push",
    "tcp-ack",
    "tcp-urg",
    "tcp-ece",
    "tcp-cwr",
    "icmp-echoreply",
    "icmp-unreach",
    "icmp-sourcequench",
    "icmp-redirect",
    "icmp-echo",
    "icmp-routeradvert",
    "icmp-routersolicit",
    "icmp-timxceed",
    "icmp-paramprob",
    "icmp-tstamp",
    "icmp-tstampreply",
    "icmp-ireq",
    "icmp-ireqreply",
    "icmp-maskreq",
    "icmp-maskreply",
    "icmp6-destinationunreach",
    "icmp6-packettoobig",
    "icmp6-timeexceeded",
    "icmp6-parameterproblem",
    "icmp6-echo",
    "icmp6-echoreply",
    "icmp6-multicastlistenerquery",
    "icmp6-multicastlistenerreportv1",
    "icmp6-multicastlistenerdone",
    "icmp6-routersolicit",
    "icmp6-routeradvert",
    "icmp6-neighborsolicit",
    "icmp6-neighboradvert",
    "icmp6-redirect",
    "icmp6-routerrenum",
    "icmp6-nodeinformationquery",
    "icmp6-nodeinformationresponse",
    "icmp6-ineighbordiscoverysolicit",
    "icmp6-ineighbordiscoveryadvert",
    "icmp6-multicastlistenerreportv2",
    "icmp6-homeagentdiscoveryrequest",
    "icmp6-homeagentdiscoveryreply",
    "icmp6-mobileprefixsolicit",
    "icmp6-mobileprefixadvert",
    "icmp6-certpathsolicit",
    "icmp6-certpathadvert",
    "icmp6-multicastrouteradvert",
    "icmp6-multicastroutersolicit",
    "icmp6-multicastrouterterm",
};

static bool is_text(const char *text, size_t length, const char *word)
{
	return strncmp(text, word, length) == 0 && strlen(word) == length;
}

static const struct keyword *find_keyword(const char *text, size_t length)
{
	for (size_t i = 0; i < CW_ARRAY_COUNT(keywords); i++)
		if (is_text(text, length, keywords[i].text))
			return &keywords[i];
	return NULL;
}

const char *cw_filter_keyword(size_t index)
{
	return index < CW_ARRAY_COUNT(keywords) ? keywords[index].text : NULL;
}

static bool is_constant(const char *text, size_t length)
{
	for (size_t i = 0; i < CW_ARRAY_COUNT(constants); i++)
		if (is_text(text, length, constants[i]))
			return true;
	return false;
}

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

/* [A-Za-z0-9]([-_.A-Za-z0-9]*[.A-Za-z0-9])? */
static size_t word_length(const char *text)
{
	size_t length = 0;

	if (!isalnum((unsigned char)text[0]))
		return 0;
	while (is_word_char(text[length]))
		length++;
	while (text[length - 1] == '-' || text[length - 1] == '_')
		length--;
	return length;
}

/* The length of a decimal number, or of 0x and hexadecimal digits. */
static size_t number_length(const char *text)
{
	size_t length = 0;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X') &&
	    isxdigit((unsigned char)text[2])) {
		for (length = 2; isxdigit((unsigned char)text[length]); length++)
			;
		return length;
	}
	while (isdigit((unsigned char)text[length]))
		length++;
	return length;
}

/* Whether the word is one to four numbers with dots between them. */
static bool is_dotted_number(const char *text, size_t length)
{
	size_t at = 0;

	for (uint32_t count = 0; count < 4; count++) {
		size_t digits = number_length(text + at);

		if (digits == 0)
			return false;
		at += digits;
		if (at >= length)
			return at == length;
		if (text[at++] != '.')
			return false;
	}
	return false;
}

/* Whether the text is `count` groups of up to `digits_max` hexadecimal digits (exactly that many if
 * `is_exact`). */
static bool is_hex_groups(const char *text, size_t length, char separator, uint32_t count,
			  uint32_t digits_max, bool is_exact)
{
	size_t at = 0;

	for (uint32_t group = 0; group < count; group++) {
		uint32_t digits = 0;

		if (group && separator) {
			if (at >= length || text[at] != separator)
				return false;
			at++;
		}
		while (digits < digits_max && at < length && isxdigit((unsigned char)text[at])) {
			digits++;
			at++;
		}
		if (digits == 0 || (is_exact && digits != digits_max))
			return false;
	}
	return at == length;
}

/* Whether the word is a link-layer address without colons. */
static bool is_mac_word(const char *text, size_t length)
{
	return is_hex_groups(text, length, '-', 6, 2, false) ||
	       is_hex_groups(text, length, '.', 6, 2, false) ||
	       is_hex_groups(text, length, '.', 3, 4, true) ||
	       is_hex_groups(text, length, '\0', 3, 4, true);
}

/* The length of the longest IPv6 or link-layer address with colons at `text`; 0: none. */
static size_t colon_address_length(const char *text)
{
	char buffer[ADDRESS_BYTES_MAX];
	struct in6_addr address;
	bool has_colon = false;
	size_t length = 0;

	while (length < sizeof(buffer) - 1 && (isxdigit((unsigned char)text[length]) ||
					       text[length] == ':' || text[length] == '.')) {
		has_colon |= text[length] == ':';
		buffer[length] = text[length];
		length++;
	}
	for (; has_colon && length > 1; length--) {
		buffer[length] = '\0';
		if (inet_pton(AF_INET6, buffer, &address) == 1 ||
		    is_hex_groups(buffer, length, ':', 6, 2, false))
			return length;
	}
	return 0;
}

/* Bytes of the operator, bracket or stray character at `text`. */
static size_t operator_length(const char *text)
{
	static const char *const doubles[] = {"&&", "||", ">=", "<=", "!=", "==", "<<", ">>"};

	for (size_t i = 0; i < CW_ARRAY_COUNT(doubles); i++)
		if (text[0] == doubles[i][0] && text[1] == doubles[i][1])
			return 2;
	return 1;
}

static void open_group(struct cw_filter_tokens *tokens)
{
	if (tokens->depth < CW_FILTER_NESTING_MAX)
		tokens->kinds[tokens->depth] = (uint8_t)tokens->name_kind;
	tokens->depth++;
}

static void close_group(struct cw_filter_tokens *tokens)
{
	if (tokens->depth == 0)
		return;
	tokens->depth--;
	tokens->name_kind = tokens->depth < CW_FILTER_NESTING_MAX
				? (enum cw_filter_token_kind)tokens->kinds[tokens->depth]
				: CW_TOKEN_HOST;
}

static enum cw_filter_token_kind identifier_kind(struct cw_filter_tokens *tokens)
{
	if (tokens->is_literal_next)
		return CW_TOKEN_LITERAL;
	return tokens->name_kind == CW_TOKEN_OTHER ? CW_TOKEN_HOST : tokens->name_kind;
}

static enum cw_filter_token_kind keyword_kind(struct cw_filter_tokens *tokens,
					      const struct keyword *keyword)
{
	switch (keyword->meaning) {
	case MEANS_HOST:
		tokens->name_kind = CW_TOKEN_HOST;
		break;
	case MEANS_SERVICE:
		tokens->name_kind = CW_TOKEN_SERVICE;
		break;
	case MEANS_PROTOCOL:
		tokens->name_kind = CW_TOKEN_PROTOCOL;
		break;
	case MEANS_NOTHING:
	case MEANS_LITERAL:
		break;
	}
	return CW_TOKEN_OTHER;
}

/* Fill a token that begins like a word: keyword, number, address or name. */
static void take_word(struct cw_filter_tokens *tokens, struct cw_filter_token *token)
{
	const struct keyword *keyword = NULL;

	if (is_dotted_number(token->text, token->length) ||
	    is_mac_word(token->text, token->length) || is_constant(token->text, token->length))
		token->kind = CW_TOKEN_NUMBER;
	else if ((keyword = find_keyword(token->text, token->length)))
		token->kind = keyword_kind(tokens, keyword);
	else
		token->kind = identifier_kind(tokens);
	tokens->is_literal_next = keyword && keyword->meaning == MEANS_LITERAL;
}

/* Fill a token "\word": always an identifier. */
static void take_escaped(struct cw_filter_tokens *tokens, struct cw_filter_token *token)
{
	token->length = 1 + strcspn(token->text + 1, " !()\n\t");
	token->kind = token->length > 1 ? identifier_kind(tokens) : CW_TOKEN_OTHER;
	tokens->is_literal_next = false;
}

bool cw_filter_token_next(struct cw_filter_tokens *tokens, struct cw_filter_token *token)
{
	const char *text = tokens->next + strspn(tokens->next, " \r\n\t");
	size_t word = word_length(text);
	size_t address = colon_address_length(text);

	if (*text == '\0')
		return false;
	token->text = text;
	if (*text == '\\') {
		take_escaped(tokens, token);
	} else if (address > word) {
		token->length = address;
		token->kind = CW_TOKEN_NUMBER;
		tokens->is_literal_next = false;
	} else if (word) {
		token->length = word;
		take_word(tokens, token);
	} else if (*text == '$' && isxdigit((unsigned char)text[1])) { /* ARCnet address */
		token->length = isxdigit((unsigned char)text[2]) ? 3 : 2;
		token->kind = CW_TOKEN_NUMBER;
		tokens->is_literal_next = false;
	} else {
		token->length = operator_length(text);
		token->kind = CW_TOKEN_OTHER;
		tokens->is_literal_next = false;
		if (*text == '(')
			open_group(tokens);
		else if (*text == ')')
			close_group(tokens);
	}
	tokens->next = text + token->length;
	return true;
}

int cw_filter_names_check(const char *expression, struct cw_error *error)
{
	struct cw_filter_tokens tokens = {.next = expression};
	char quote[CW_FILTER_QUOTE_BYTES];
	struct cw_filter_token token;

	while (cw_filter_token_next(&tokens, &token)) {
		if (token.kind != CW_TOKEN_HOST)
			continue;
		return cw_error_set(
		    error, -EACCES,
		    "filter \"%s\": \"%.*s\" (column %zu) is neither a keyword nor an "
		    "address; add --resolve to look it up as a host name",
		    cw_filter_quote(expression, quote), (int)cw_min_size(token.length, 100),
		    token.text, (size_t)(token.text - expression) + 1);
	}
	return 0;
}

const char *cw_filter_quote(const char *expression, char buffer[CW_FILTER_QUOTE_BYTES])
{
	const size_t half = CW_FILTER_QUOTE_BYTES / 2 - 8;
	size_t length = strlen(expression);
	size_t i, used = 0;

	for (i = 0; i < length; i++) {
		if (length >= CW_FILTER_QUOTE_BYTES && i == half) {
			memcpy(buffer + used, " ... ", 5);
			used += 5;
			i = length - half;
		}
		buffer[used++] =
		    (char)(iscntrl((unsigned char)expression[i]) ? ' ' : expression[i]);
	}
	buffer[used] = '\0';
	return buffer;
}
