/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir generate: writes synthetic traffic to a capture file. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/format/encode.h"
#include "core/output/outfile.h"
#include "core/output/target.h"
#include "datasets/traffic.h"
#include "pipeline/rules/template.h"
#include "tools/commands/commands.h"

#define BUFFER_BYTES ((size_t)1 << 20)

struct output {
	struct cw_outfile *file;
	enum cw_format format;
	uint8_t *buffer;
	size_t used;
	uint64_t offset;
};

static int flush_output(struct output *output)
{
	struct iovec vector = {output->buffer, output->used};
	int failure = 0;

	if (!output->used)
		return 0;
	cw_outfile_write(output->file, &vector, 1, output->offset, &failure);
	output->offset += output->used;
	output->used = 0;
	return failure;
}

static void put_header(struct output *output)
{
	const struct cw_iface iface = {
	    .linktype = 1, .snaplen = CW_CAPLEN_MAX, .ts_units_per_s = CW_NS_PER_S};

	output->used = cw_format_header(output->format, 1, CW_CAPLEN_MAX, output->buffer);
	if (output->format == CW_FORMAT_PCAPNG)
		output->used += cw_format_iface(&iface, 0, output->buffer + output->used);
}

static volatile sig_atomic_t is_stopped;

static void stop(int number)
{
	(void)number;
	is_stopped = 1;
}

static int put_packets(struct output *output, struct cw_traffic *traffic, uint64_t count)
{
	struct cw_packet packet;
	int failure = 0;

	for (; count && !failure; count--) {
		size_t bytes;

		if (is_stopped)
			return -EINTR;
		cw_traffic_next(traffic, &packet);
		bytes = cw_format_record_bytes(output->format, &packet, UINT32_MAX);
		if (bytes > BUFFER_BYTES - output->used)
			failure = flush_output(output);
		cw_format_record(output->format, &packet, UINT32_MAX, 0, bytes,
				 output->buffer + output->used);
		output->used += bytes;
	}
	return failure ? failure : flush_output(output);
}

static int choose_format(const struct cw_arguments *arguments, enum cw_format *format)
{
	struct cw_template *name;
	struct cw_error error = {0};

	if (cw_template_parse(&name, arguments->rules.writes.words[0], NULL, &error) < 0)
		return cw_refuse("%s", error.text);
	if (name->is_zst) {
		cw_complain("compressed output is not in this version of generate: write a plain "
			    "file, then capweir split -r FILE -w FILE.zst");
		cw_template_free(name);
		return CW_EXIT_USAGE;
	}
	*format = name->is_pcapng                                  ? CW_FORMAT_PCAPNG
		  : arguments->output.precision == CW_PRECISION_NS ? CW_FORMAT_PCAP_NS
								   : CW_FORMAT_PCAP_US;
	cw_template_free(name);
	return 0;
}

/* Refuses what cannot be written before the work; opening and publishing check it again. */
static int check_target(const char *path, const struct cw_outfile_options *options)
{
	const struct cw_target_query query = {.standard_output = options->standard_output,
					      .owner = geteuid()};
	struct cw_error error = {0};
	struct cw_target target;
	int result = cw_target_find(&target, path, &query, &error);

	if (result == 0 && target.kind == CW_TARGET_FILE && options->no_clobber)
		result = cw_error_set(&error, -EEXIST,
				      "%s exists: choose another name, or omit --no-clobber", path);
	if (result == 0)
		result = cw_target_check(&target, query.owner, path, &error);
	cw_target_fini(&target);
	return result < 0 ? cw_refuse("%s", error.text) : 0;
}

static int write_traffic(const struct cw_arguments *arguments, struct output *output,
			 struct cw_traffic *traffic)
{
	const struct cw_outfile_options options = {.no_clobber = arguments->output.no_clobber,
						   .standard_output = STDOUT_FILENO,
						   .wake_fd = -1};
	const struct sigaction stopping = {.sa_handler = stop, .sa_flags = SA_RESTART};
	const char *path = arguments->rules.writes.words[0];
	struct cw_error error = {0};
	int result;

	result = check_target(path, &options);
	if (result)
		return result;
	result = cw_outfile_new(&output->file, path, &options);
	if (result < 0)
		return cw_fail("cannot write %s: %s", path, strerror(-result));
	output->buffer = malloc(BUFFER_BYTES);
	if (!output->buffer)
		return cw_complain_no_memory();
	if (cw_outfile_open(output->file, &error) < 0)
		return cw_fail("%s", error.text);
	put_header(output);
	sigaction(SIGINT, &stopping, NULL);
	sigaction(SIGTERM, &stopping, NULL);
	result = put_packets(output, traffic, arguments->traffic.packets);
	if (result == -EINTR) {
		cw_complain("stopped by a signal: %s was not written", path);
		cw_outfile_discard(output->file, false);
		return CW_EXIT_STOPPED;
	}
	if (result < 0) {
		cw_complain("cannot write %s: %s", path, strerror(-result));
		cw_outfile_discard(output->file, false);
		return CW_EXIT_PROBLEM;
	}
	if (cw_outfile_publish(output->file, &error) < 0) {
		cw_complain("%s", error.text); /* names the .part file, which stays */
		cw_outfile_discard(output->file, true);
		return CW_EXIT_PROBLEM;
	}
	return CW_EXIT_COMPLETE;
}

int cw_command_generate(const struct cw_arguments *arguments)
{
	const char *profile = arguments->traffic.profile ? arguments->traffic.profile : "imix";
	struct output output = {0};
	struct cw_traffic *traffic;
	struct cw_error error = {0};
	int result;

	if (arguments->rules.writes.count != 1 || arguments->rest.count)
		return cw_refuse(
		    "generate takes one -w FILE and no other words: capweir generate -w imix.pcap");
	result = choose_format(arguments, &output.format);
	if (result)
		return result;
	if (cw_traffic_open(&traffic, profile, arguments->traffic.seed, &error) < 0) {
		cw_complain("%s", error.text);
		return error.code == -ENOMEM ? CW_EXIT_PROBLEM : CW_EXIT_USAGE;
	}
	result = write_traffic(arguments, &output, traffic);
	cw_outfile_free(output.file);
	free(output.buffer);
	cw_traffic_close(traffic);
	return result;
}
