/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One filter: made from an expression (text/) or from a program, verified (bpf/), matched.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/filter/bpf/bpf.h"
#include "core/filter/filter.h"
#include "core/filter/text/compiler.h"
#include "core/filter/text/names.h"
#include "core/filter/text/translate.h"

struct cw_filter {
	struct cw_bpf bpf;        /* as compiled */
	struct cw_filter_op *ops; /* bpf.count pre-decoded operations */
	char *expression;         /* "" for a filter made from a program */
};

/* Make a filter from copies of its arguments; verifies the program. */
static int new_filter(struct cw_filter **filter, const struct bpf_insn *program, uint32_t count,
		      const char *expression, struct cw_error *error)
{
	uint32_t backward_count;
	struct cw_filter *made;
	int result = cw_filter_verify(program, count, &backward_count, error);

	if (result)
		return result;
	result = cw_filter_reads_unset(program, count);
	made = result < 0 ? NULL : calloc(1, sizeof(*made));
	if (!made)
		return cw_error_set(error, -ENOMEM, "cannot make a filter: out of memory");
	made->ops = malloc(count * sizeof(*made->ops));
	made->expression = strdup(expression);
	if (cw_bpf_copy(&made->bpf, program, count) || !made->ops || !made->expression) {
		cw_filter_free(made);
		return cw_error_set(error, -ENOMEM, "cannot make a filter: out of memory");
	}
	made->bpf.backward_count = backward_count;
	made->bpf.reads_unset = result;
	cw_filter_decode(program, count, made->ops);
	*filter = made;
	return 0;
}

static bool is_blank(const char *expression)
{
	return expression[strspn(expression, " \t\r\n")] == '\0';
}

int cw_filter_compile(struct cw_filter **filter, const char *expression,
		      const struct cw_filter_options *options, struct cw_error *error)
{
	const struct bpf_insn accept = BPF_STMT(BPF_RET | BPF_K, CW_CAPLEN_MAX);
	char quote[CW_FILTER_QUOTE_BYTES];
	struct cw_bpf translation;
	int result, failure;

	if (is_blank(expression)) /* works even for link types without filters in libpcap */
		return new_filter(filter, &accept, 1, expression, error);
	if (options->compiler)
		result = cw_filter_compiler_translate(options->compiler, expression, options,
						      &translation, error);
	else
		result = cw_filter_translate(expression, options, &translation, error);
	if (result < 0)
		return result;
	failure = new_filter(filter, translation.at, translation.count, expression, error);
	cw_bpf_fini(&translation);
	if (failure || !(*filter)->bpf.reads_unset)
		return failure ? failure : result;
	cw_error_set(error, 0,
		     "filter \"%s\" reads memory that libpcap's program for it never set: the "
		     "result of tcpdump is arbitrary, capweir reads zeros",
		     cw_filter_quote(expression, quote));
	return CW_FILTER_UNSET;
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
	 * Each turn of libpcap's loop (protochain) reads a header inside the packet and continues
	 * for five next-header numbers (0, 43, 44, 51, 60). A program that jumps backward more
	 * often repeats a state. So the bound stops every program, and none of libpcap's that would
	 * end by itself.
	 */
	uint64_t backward_max = (uint64_t)filter->bpf.backward_count * 5 * ((uint64_t)caplen + 1);

	return cw_filter_run(filter->ops, data, caplen, wire_len, backward_max);
}

uint32_t cw_filter_match_libpcap(const struct cw_filter *filter, const uint8_t *data,
				 uint32_t caplen, uint32_t wire_len)
{
	/* In libpcap's code for IPv6 authentication headers X becomes a length instead of an
	 * offset; with some packets its interpreter then loops for ever. Its scratch memory is
	 * whatever the stack held. */
	if (filter->bpf.backward_count || filter->bpf.reads_unset)
		return cw_filter_match(filter, data, caplen, wire_len);
	return bpf_filter(filter->bpf.at, data, wire_len, caplen);
}

const struct bpf_insn *cw_filter_program(const struct cw_filter *filter, uint32_t *count)
{
	*count = filter->bpf.count;
	return filter->bpf.at;
}

const struct cw_bpf *cw_filter_bpf(const struct cw_filter *filter)
{
	return &filter->bpf;
}

int cw_filter_kernel_program(const struct cw_filter *filter, struct bpf_insn **program,
			     uint32_t *count)
{
	return cw_bpf_for_kernel(&filter->bpf, program, count);
}

uint32_t cw_filter_reach(const struct cw_filter *filter)
{
	return cw_bpf_reach(&filter->bpf);
}

const char *cw_filter_expression(const struct cw_filter *filter)
{
	return filter->expression;
}

size_t cw_filter_bytes(const struct cw_filter *filter)
{
	return sizeof(*filter) +
	       filter->bpf.count * (sizeof(*filter->bpf.at) + sizeof(*filter->ops)) +
	       strlen(filter->expression) + 1;
}

void cw_filter_free(struct cw_filter *filter)
{
	if (!filter)
		return;
	cw_bpf_fini(&filter->bpf);
	free(filter->ops);
	free(filter->expression);
	free(filter);
}
