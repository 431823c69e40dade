/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One filter: from an expression, by libpcap on a dead handle of the link type, here or in the
 * compiler's helper process, or from a given program; and matching it. libpcap's own words end up
 * in the error text, together with the place in the expression that they are about, where that can
 * be found.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/filter/text/compiler.h"
#include "core/filter/filter_parts.h"
#include "core/packet/linktype.h"

#define TOKENS_MAX 4096u /* of a wrong expression; in longer ones the place is not sought */
#define PLACE_NS_MAX (CW_NS_PER_S / 5) /* of processor time, after which it is given up */
#define COMPLETION_BYTES_MAX 1024u /* what may have to be put behind a prefix to make it whole */
#define SYNTAX_ERROR "syntax error"
#define NEVER_ERROR "expression rejects all packets"

#define IS_LITTLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

static void store_ordered(uint8_t *to, uint32_t value, bool is_swapped)
{
	cw_store_u32(to, is_swapped ? __builtin_bswap32(value) : value);
}

/*
 * The handle of an empty capture file with this link type and byte order. A dead handle will not
 * do: for it libpcap compiles what a capture on this system would need (loopback headers with this
 * system's numbers for IPv6, direction by what the kernel knows), which is not what tcpdump does
 * with a file.
 */
static pcap_t *open_handle(const struct cw_filter_options *options)
{
	uint32_t snaplen = options->snaplen ? options->snaplen : CW_CAPLEN_MAX;
	char message[PCAP_ERRBUF_SIZE];
	uint8_t header[24] = {0};
	pcap_t *handle;
	FILE *file;

	store_ordered(header, 0xa1b2c3d4, options->is_swapped);
	header[options->is_swapped == IS_LITTLE ? 5 : 4] = 2; /* version 2.4 */
	header[options->is_swapped == IS_LITTLE ? 7 : 6] = 4;
	store_ordered(header + 16, cw_min_u32(snaplen, INT32_MAX), options->is_swapped);
	store_ordered(header + 20, options->linktype, options->is_swapped);
	file = fmemopen(header, sizeof(header), "rb");
	if (!file)
		return NULL;
	handle = pcap_fopen_offline(file, message);
	if (!handle)
		fclose(file);
	return handle;
}

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
 * Whether the prefix can be the beginning of an expression. libpcap's parser cannot be asked, so
 * the common ways to go on are tried: an operand, the end of a comparison, closing brackets.
 */
static bool is_viable(pcap_t *handle, const char *prefix, size_t length)
{
	static const char *const middles[] = {
	    "",     " 1",     " 1.2.3.4",   " tcp", " host 1",  " = 1",          " 1 = 1",
	    "]= 1", " 1]= 1", " 0x1:1]= 1", "/8",   " = 1 = 1", " mask 1.2.3.4", " data"};
	char completion[COMPLETION_BYTES_MAX];
	size_t depth = 0;
	size_t i;

	for (i = 0; i < length; i++) {
		if (prefix[i] == '(')
			depth++;
		else if (prefix[i] == ')' && depth)
			depth--;
	}
	for (i = 0; i < CW_ARRAY_COUNT(middles); i++) {
		size_t used = strlen(middles[i]);
		size_t closing = cw_min_size(depth, (sizeof(completion) - used - 8));

		memcpy(completion, middles[i], used);
		memset(completion + used, ')', closing);
		completion[used + closing] = '\0';
		if (parses(handle, prefix, length, completion))
			return true;
		/* "(len" goes on with ") = 1" */
		memcpy(completion + used + closing, " = 1", 5);
		if (closing && parses(handle, prefix, length, completion))
			return true;
	}
	return false;
}

/*
 * Whether libpcap's message quotes the token. It does not always use quotes; a long number stands
 * for itself (in "port number 70000 > 65535"), a short one could be about anything.
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

/* The token that the message is about: the first that it quotes. */
static bool find_quoted(const char *expression, const char *message, struct cw_filter_token *found)
{
	struct cw_filter_tokens tokens = {.next = expression};

	while (cw_filter_token_next(&tokens, found))
		if (found->kind != CW_TOKEN_OTHER && is_quoted(message, found))
			return true;
	return false;
}

/*
 * The token at which an expression with a syntax error stops being the beginning of a right one
 * (fills; length 0 = its end). A prefix of a right beginning is one too, so halving finds it.
 * Not found in time: hundreds of hosts take libpcap a second each time that it is asked.
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

/* The error for an expression that libpcap refused with `message`. */
static int report(pcap_t *handle, const char *expression, const char *message,
		  struct cw_error *error)
{
	char quote[CW_FILTER_QUOTE_BYTES], name[32];
	int dlt = pcap_datalink(handle);
	struct cw_filter_token token;
	const char *linktype = cw_linktype_name(cw_linktype_from_dlt(dlt), name, sizeof(name));
	bool is_found;

	if (strstr(message, SYNTAX_ERROR))
		is_found = find_stray(handle, expression, &token);
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
			    "filter \"%s\" for link type %s: %s, at \"%.*s\" (column %zu)", quote,
			    linktype, message, (int)cw_min_size(token.length, 100), token.text,
			    (size_t)(token.text - expression) + 1);
}

/* A filter that owns copies of all it is given; the program is verified. */
static int new_filter(struct cw_filter **filter, const struct bpf_insn *program, uint32_t count,
		      const char *expression, struct cw_error *error)
{
	uint32_t backward_count;
	struct cw_filter *made;
	int result = cw_filter_verify(program, count, &backward_count, error);

	if (result)
		return result;
	made = calloc(1, sizeof(*made));
	if (!made)
		return cw_error_set(error, -ENOMEM, "no memory for a filter");
	made->program = malloc(count * sizeof(*made->program));
	made->ops = malloc(count * sizeof(*made->ops));
	made->expression = strdup(expression);
	if (!made->program || !made->ops || !made->expression) {
		cw_filter_free(made);
		return cw_error_set(error, -ENOMEM, "no memory for a filter");
	}
	memcpy(made->program, program, count * sizeof(*made->program));
	made->count = count;
	made->backward_count = backward_count;
	cw_filter_decode(made->program, count, made->ops);
	*filter = made;
	return 0;
}

static bool is_blank(const char *expression)
{
	return expression[strspn(expression, " \t\r\n")] == '\0';
}

/* Copies. */
static int keep_program(struct cw_translation *translation, const struct bpf_insn *program,
			uint32_t count, struct cw_error *error)
{
	uint32_t backward_count;

	if (count > CW_FILTER_INSTRUCTIONS_MAX)
		return cw_filter_verify(program, count, &backward_count, error);
	translation->program = malloc(count * sizeof(*program));
	if (!translation->program)
		return cw_error_set(error, -ENOMEM, "no memory for a filter");
	memcpy(translation->program, program, count * sizeof(*program));
	translation->count = count;
	return 0;
}

/* libpcap has no program for the expression, and `message` says why. */
static int take_refusal(pcap_t *handle, const char *expression, const char *message,
			struct cw_translation *translation, struct cw_error *error)
{
	const struct bpf_insn reject = BPF_STMT(BPF_RET | BPF_K, 0);
	char quote[CW_FILTER_QUOTE_BYTES];
	int result;

	if (strncmp(message, "malloc", 6) == 0 || strcmp(message, "out of memory") == 0)
		return cw_error_set(error, -ENOMEM, "no memory for a filter");
	if (!strstr(message, NEVER_ERROR))
		return report(handle, expression, message, error);
	result = keep_program(translation, &reject, 1, error);
	if (result)
		return result;
	cw_error_set(error, 0, "filter \"%s\" can match no packet",
		     cw_filter_quote(expression, quote));
	return CW_FILTER_NEVER;
}

int cw_filter_translate(const char *expression, const struct cw_filter_options *options,
			struct cw_translation *translation, struct cw_error *error)
{
	struct bpf_program program;
	char message[PCAP_ERRBUF_SIZE];
	pcap_t *handle;
	int result = 0;

	*translation = (struct cw_translation){0};
	if (!options->resolve_names)
		result = cw_filter_names_check(expression, error);
	if (result)
		return result;
	handle = open_handle(options);
	if (!handle)
		return cw_error_set(error, -ENOMEM, "no memory for a filter");
	if (pcap_compile(handle, &program, expression, !options->unoptimized,
			 options->netmask ? options->netmask : PCAP_NETMASK_UNKNOWN) == 0) {
		result = keep_program(translation, program.bf_insns, program.bf_len, error);
		pcap_freecode(&program);
	} else {
		/* A copy: finding the place compiles again and overwrites the handle's. */
		snprintf(message, sizeof(message), "%s", pcap_geterr(handle));
		result = take_refusal(handle, expression, message, translation, error);
	}
	pcap_close(handle);
	return result;
}

void cw_translation_fini(struct cw_translation *translation)
{
	free(translation->program);
	*translation = (struct cw_translation){0};
}

int cw_filter_compile(struct cw_filter **filter, const char *expression,
		      const struct cw_filter_options *options, struct cw_error *error)
{
	const struct bpf_insn accept = BPF_STMT(BPF_RET | BPF_K, CW_CAPLEN_MAX);
	struct cw_translation translation;
	int result, failure;

	if (is_blank(expression)) /* also for link types that libpcap has no filters for */
		return new_filter(filter, &accept, 1, expression, error);
	if (options->compiler)
		result = cw_filter_compiler_translate(options->compiler, expression, options,
						      &translation, error);
	else
		result = cw_filter_translate(expression, options, &translation, error);
	if (result < 0)
		return result;
	failure = new_filter(filter, translation.program, translation.count, expression, error);
	cw_translation_fini(&translation);
	return failure ? failure : result;
}

int cw_filter_from_program(struct cw_filter **filter, const struct bpf_insn *instructions,
			   uint32_t count, struct cw_error *error)
{
	return new_filter(filter, instructions, count, "", error);
}

uint32_t cw_filter_match(const struct cw_filter *filter, const uint8_t *data, uint32_t caplen,
			 uint32_t wire_len)
{
	/*
	 * A turn of a loop that libpcap makes (protochain) reads a header that is in the packet,
	 * and goes on for five numbers of a next header (0, 43, 44, 51, 60): what comes that way
	 * more often was there before. This bound stops no such program that would end by itself,
	 * and every program ends.
	 */
	uint64_t backward_max = (uint64_t)filter->backward_count * 5 * ((uint64_t)caplen + 1);

	return cw_filter_run(filter->ops, data, caplen, wire_len, backward_max);
}

uint32_t cw_filter_match_libpcap(const struct cw_filter *filter, const uint8_t *data,
				 uint32_t caplen, uint32_t wire_len)
{
	/* In its code for IPv6 authentication headers X becomes a length instead of a place, which
	 * some packets let its interpreter come to again and again, for ever. */
	if (filter->backward_count)
		return cw_filter_match(filter, data, caplen, wire_len);
	return bpf_filter(filter->program, data, wire_len, caplen);
}

const struct bpf_insn *cw_filter_program(const struct cw_filter *filter, uint32_t *count)
{
	*count = filter->count;
	return filter->program;
}

const char *cw_filter_expression(const struct cw_filter *filter)
{
	return filter->expression;
}

size_t cw_filter_bytes(const struct cw_filter *filter)
{
	return sizeof(*filter) + filter->count * (sizeof(*filter->program) + sizeof(*filter->ops)) +
	       strlen(filter->expression) + 1;
}

void cw_filter_free(struct cw_filter *filter)
{
	if (!filter)
		return;
	free(filter->program);
	free(filter->ops);
	free(filter->expression);
	free(filter);
}
