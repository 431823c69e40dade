/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From an expression to a classic BPF program, by libpcap in this process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include "core/filter/text/names.h"
#include "core/filter/text/translate.h"

#define NEVER_ERROR "expression rejects all packets"

#define IS_LITTLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

static void store_ordered(uint8_t *to, uint32_t value, bool is_swapped)
{
	cw_store_u32(to, is_swapped ? __builtin_bswap32(value) : value);
}

/*
 * Open an empty capture file with this link type and byte order. For a dead handle libpcap would
 * compile as for a capture on this system (loopback headers with this system's numbers for IPv6,
 * direction as the kernel reports it), unlike tcpdump on a file.
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

/* Copy the program into `translation`. */
static int keep_program(struct cw_bpf *translation, const struct bpf_insn *program, uint32_t count,
			struct cw_error *error)
{
	uint32_t backward_count;

	if (count > CW_FILTER_INSTRUCTIONS_MAX)
		return cw_filter_verify(program, count, &backward_count, error);
	if (cw_bpf_copy(translation, program, count))
		return cw_error_set(error, -ENOMEM, "cannot compile a filter: out of memory");
	return 0;
}

/* The result for an expression that libpcap refused with `message`. */
static int take_refusal(pcap_t *handle, const char *expression, const char *message,
			struct cw_bpf *translation, struct cw_error *error)
{
	const struct bpf_insn reject = BPF_STMT(BPF_RET | BPF_K, 0);
	char quote[CW_FILTER_QUOTE_BYTES];
	int result;

	if (strncmp(message, "malloc", 6) == 0 || strcmp(message, "out of memory") == 0)
		return cw_error_set(error, -ENOMEM, "cannot compile a filter: out of memory");
	if (!strstr(message, NEVER_ERROR)) {
		result = cw_filter_report_refusal(handle, expression, message, error);
		return cw_filter_report_display(expression, result, error);
	}
	result = keep_program(translation, &reject, 1, error);
	if (result)
		return result;
	cw_error_set(error, 0, "filter \"%s\" can never match a packet",
		     cw_filter_quote(expression, quote));
	return CW_FILTER_NEVER;
}

/* Returns libpcap's netmask, where 0 stands for no netmask. Its compiler takes it in the order of
 * this machine, although pcap_lookupnet gives the network's. */
static bpf_u_int32 netmask_of(const struct cw_filter_options *options)
{
	if (options->netmask == CW_NETMASK_NONE)
		return 0;
	return options->netmask ? ntohl(options->netmask) : PCAP_NETMASK_UNKNOWN;
}

int cw_filter_translate(const char *expression, const struct cw_filter_options *options,
			struct cw_bpf *translation, struct cw_error *error)
{
	struct bpf_program program;
	char message[PCAP_ERRBUF_SIZE];
	pcap_t *handle;
	int result = 0;

	*translation = (struct cw_bpf){0};
	if (!options->resolve_names)
		result = cw_filter_names_check(expression, error);
	if (result)
		return cw_filter_report_display(expression, result, error);
	handle = open_handle(options);
	if (!handle)
		return cw_error_set(error, -ENOMEM, "cannot compile a filter: out of memory");
	if (pcap_compile(handle, &program, expression, !options->unoptimized,
			 netmask_of(options)) == 0) {
		result = keep_program(translation, program.bf_insns, program.bf_len, error);
		pcap_freecode(&program);
	} else {
		/* A copy, because finding the place overwrites the handle's message. */
		snprintf(message, sizeof(message), "%s", pcap_geterr(handle));
		result = take_refusal(handle, expression, message, translation, error);
	}
	pcap_close(handle);
	return result;
}
