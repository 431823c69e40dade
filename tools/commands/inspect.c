/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir inspect: contents and damage of capture files. inspect_filter.c has inspect filter. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/base/plural.h"
#include "core/packet/linktype.h"
#include "core/source/source.h"
#include "tools/commands/commands.h"
#include "tools/request/request.h"
#include "tools/text/numbers.h"
#include "tools/text/report.h"

#define BURST 256u
#define SPAN_BYTES ((size_t)1 << 20)
#define IFACES_SHOWN 16u

struct findings {
	struct cw_source_info info;
	uint64_t packets;
	uint64_t bytes;
	uint64_t wire_bytes;
	uint64_t malformed;
	uint64_t backwards; /* timestamps earlier than that of the packet before */
	uint64_t cut;       /* packets with caplen < wire_len */
	uint64_t truncated; /* packets longer than the file's own snapshot length */
	uint64_t first_ns, last_ns, least_ns, most_ns;
	uint32_t caplen_min, caplen_max;
	uint64_t *iface_packets;
	uint32_t iface_capacity;
	struct cw_source_joined joined[CW_SOURCE_JOINED_MAX];
	uint32_t joined_shown;
	struct cw_error damage;
	const char *skipped; /* the first damage that was skipped; or NULL */
};

static int count_iface(struct findings *findings, uint32_t iface)
{
	if (iface >= findings->iface_capacity) {
		uint32_t capacity = (iface + 1) * 2;
		uint64_t *grown = realloc(findings->iface_packets, capacity * sizeof(*grown));

		if (!grown)
			return -1;
		memset(grown + findings->iface_capacity, 0,
		       (capacity - findings->iface_capacity) * sizeof(*grown));
		findings->iface_packets = grown;
		findings->iface_capacity = capacity;
	}
	findings->iface_packets[iface]++;
	return 0;
}

static int count_packet(struct findings *findings, const struct cw_packet *packet)
{
	if (packet->flags & CW_PACKET_MALFORMED) {
		findings->malformed++;
		return 0;
	}
	if (findings->packets == 0) {
		findings->first_ns = findings->least_ns = findings->most_ns = packet->ts_ns;
		findings->caplen_min = packet->caplen;
	} else if (packet->ts_ns < findings->last_ns) {
		findings->backwards++;
	}
	findings->last_ns = packet->ts_ns;
	if (packet->ts_ns < findings->least_ns)
		findings->least_ns = packet->ts_ns;
	if (packet->ts_ns > findings->most_ns)
		findings->most_ns = packet->ts_ns;
	if (packet->caplen < findings->caplen_min)
		findings->caplen_min = packet->caplen;
	if (packet->caplen > findings->caplen_max)
		findings->caplen_max = packet->caplen;
	findings->packets++;
	findings->bytes += packet->caplen;
	findings->wire_bytes += packet->wire_len;
	findings->cut += packet->caplen < packet->wire_len;
	findings->truncated += (packet->flags & CW_PACKET_TRUNCATED) != 0;
	return count_iface(findings, packet->iface);
}

static int walk(struct cw_source *source, struct findings *findings)
{
	struct cw_packet packets[BURST];
	int result;

	for (;;) {
		struct cw_cursor cursor = {0};
		struct cw_lease lease = {0};
		struct cw_span span;
		size_t count, index;

		result = cw_source_next(source, SPAN_BYTES, UINT32_MAX, &span, &lease,
					&findings->damage);
		if (result <= 0)
			return result;
		while ((count = cw_span_decode(&span, &cursor, packets, BURST)) > 0) {
			for (index = 0; index < count; index++) {
				if (count_packet(findings, &packets[index]) < 0) {
					cw_lease_give_back(&lease);
					return cw_error_set(&findings->damage, -12,
							    "out of memory");
				}
			}
		}
		cw_lease_give_back(&lease);
	}
}

static const char *format_time(uint64_t ts_ns, char *buffer, size_t bytes)
{
	time_t seconds = (time_t)(ts_ns / CW_NS_PER_S);
	struct tm parts;
	size_t used;

	gmtime_r(&seconds, &parts);
	used = strftime(buffer, bytes, "%Y-%m-%d %H:%M:%S", &parts);
	snprintf(buffer + used, bytes - used, ".%09u UTC", (unsigned)(ts_ns % CW_NS_PER_S));
	return buffer;
}

static void print_ifaces(const struct findings *findings, const struct cw_ifaces *ifaces)
{
	for (uint32_t index = 0; index < ifaces->count && index < IFACES_SHOWN; index++) {
		const struct cw_iface *iface = cw_ifaces_at(ifaces, index);
		uint64_t packets =
		    index < findings->iface_capacity ? findings->iface_packets[index] : 0;
		char type[64], number[CW_NUMBER_BYTES], name[256];

		cw_print(stdout, "  interface %u  %s, %s, snaplen %u: %s packet%s\n", index,
			 iface->name ? cw_format_printable(iface->name, name, sizeof(name))
				     : "unnamed",
			 cw_linktype_name(iface->linktype, type, sizeof(type)), iface->snaplen,
			 cw_format_count(packets, number), cw_plural(packets));
	}
	if (ifaces->count > IFACES_SHOWN)
		cw_print(stdout, "  and %u more interface%s\n", ifaces->count - IFACES_SHOWN,
			 cw_plural(ifaces->count - IFACES_SHOWN));
}

static void print_findings(const char *path, const struct findings *findings,
			   const struct cw_ifaces *ifaces)
{
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES], c[CW_NUMBER_BYTES], time[64];
	const struct cw_source_info *info = &findings->info;

	cw_print(stdout,
		 "%s\n  format       %s %u.%u, %s-endian, timestamps in %s, compression %s\n", path,
		 info->format, info->version_major, info->version_minor, info->byte_order,
		 info->has_ns ? "ns" : "us", info->compression);
	print_ifaces(findings, ifaces);
	for (uint32_t index = 0; index < findings->joined_shown; index++)
		cw_print(stdout, "  joined       at byte %" PRIu64 ": %s, %s\n",
			 findings->joined[index].at, findings->joined[index].format,
			 cw_linktype_name(findings->joined[index].linktype, time, sizeof(time)));
	if (findings->joined_shown < info->joined_count)
		cw_print(stdout, "  and %u more joined files\n",
			 info->joined_count - findings->joined_shown);
	cw_print(stdout, "  packets      %s (%s captured, %s on the wire)\n",
		 cw_format_count(findings->packets, a), cw_format_bytes(findings->bytes, b),
		 cw_format_bytes(findings->wire_bytes, c));
	if (findings->packets) {
		cw_print(stdout,
			 "  lengths      %u to %u, %.1f on average; %s packet%s truncated\n",
			 findings->caplen_min, findings->caplen_max,
			 (double)findings->bytes / (double)findings->packets,
			 cw_format_count(findings->cut, a), cw_plural(findings->cut));
		if (findings->truncated)
			cw_print(
			    stdout,
			    "  too long     %s packet%s, truncated to the file's own snaplen\n",
			    cw_format_count(findings->truncated, a),
			    cw_plural(findings->truncated));
		cw_print(stdout, "  first time   %s\n",
			 format_time(findings->first_ns, time, sizeof(time)));
		cw_print(stdout, "  last time    %s\n",
			 format_time(findings->last_ns, time, sizeof(time)));
		cw_print(stdout, "  duration     %.6f s\n",
			 (double)(findings->most_ns - findings->least_ns) * 1e-9);
	}
	if (findings->backwards)
		cw_print(stdout, "  order        %s timestamps go backwards\n",
			 cw_format_count(findings->backwards, a));
	if (findings->malformed)
		cw_print(stdout,
			 "  malformed    %s record%s: interface not described, or packet longer "
			 "than its "
			 "block\n",
			 cw_format_count(findings->malformed, a), cw_plural(findings->malformed));
	if (findings->skipped)
		cw_print(stdout, "  resynced     at %s place%s, %s bytes skipped; the first: %s\n",
			 cw_format_count(info->resynced.places, a),
			 cw_plural(info->resynced.places), cw_format_count(info->resynced.bytes, b),
			 findings->skipped);
	cw_print(stdout, "  damage       %s\n",
		 findings->damage.code ? findings->damage.text : "none");
}

static json_t *findings_json(const char *path, const struct findings *findings,
			     const struct cw_ifaces *ifaces)
{
	const struct cw_source_info *info = &findings->info;
	json_t *list = json_array();

	for (uint32_t index = 0; index < ifaces->count; index++) {
		const struct cw_iface *iface = cw_ifaces_at(ifaces, index);
		char type[64];

		json_array_append_new(
		    list,
		    json_pack("{s:o, s:s, s:i, s:I, s:I}", "name", cw_json_text(iface->name),
			      "linktype", cw_linktype_name(iface->linktype, type, sizeof(type)),
			      "linktype_value", (int)iface->linktype, "snaplen",
			      (json_int_t)iface->snaplen, "packets",
			      (json_int_t)(index < findings->iface_capacity
					       ? findings->iface_packets[index]
					       : 0)));
	}
	return json_pack(
	    "{s:o, s:s, s:s, s:s, s:[i,i], s:b, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, "
	    "s:I, s:o, s:I, s:o}",
	    "file", cw_json_text(path), "format", info->format, "compression", info->compression,
	    "byte_order", info->byte_order, "format_version", (int)info->version_major,
	    (int)info->version_minor, "nanoseconds", info->has_ns, "interfaces", list, "packets",
	    (json_int_t)findings->packets, "bytes", (json_int_t)findings->bytes, "wire_bytes",
	    (json_int_t)findings->wire_bytes, "first_ns", (json_int_t)findings->first_ns, "last_ns",
	    (json_int_t)findings->last_ns, "times_backwards", (json_int_t)findings->backwards,
	    "cut", (json_int_t)findings->cut, "truncated", (json_int_t)findings->truncated,
	    "joined", cw_joined_json(findings->joined, findings->joined_shown), "joined_count",
	    (json_int_t)info->joined_count, "resynced", cw_resynced_json(&info->resynced),
	    "malformed", (json_int_t)findings->malformed, "damage",
	    cw_json_text(findings->damage.code ? findings->damage.text : NULL));
}

static int inspect_file(const char *path, const struct cw_source_options *options, json_t *list)
{
	struct findings findings = {0};
	struct cw_error error = {0};
	struct cw_source *source;
	struct cw_ifaces ifaces;
	int status = CW_EXIT_COMPLETE;

	cw_ifaces_init(&ifaces);
	if (cw_source_open(&source, path, &ifaces, options, &error) < 0) {
		cw_complain("%s", error.text);
		if (list)
			json_array_append_new(list,
					      json_pack("{s:o, s:o}", "file", cw_json_text(path),
							"error", cw_json_text(error.text)));
		cw_ifaces_fini(&ifaces);
		return CW_EXIT_PROBLEM;
	}
	if (walk(source, &findings) < 0 || findings.malformed)
		status = CW_EXIT_PROBLEM;
	else
		findings.damage.code = 0;
	cw_source_info(source, &findings.info);
	findings.skipped = cw_source_damage(source);
	if (findings.skipped)
		status = CW_EXIT_PROBLEM;
	findings.joined_shown = cw_source_joined(source, CW_SOURCE_JOINED_MAX, findings.joined);
	if (list)
		json_array_append_new(list, findings_json(path, &findings, &ifaces));
	else
		print_findings(path, &findings, &ifaces);
	free(findings.iface_packets);
	cw_source_close(source);
	cw_ifaces_fini(&ifaces);
	return status;
}

/* Refuses options that only inspect filter has. */
static int refuse_filter_options(const struct cw_arguments *arguments)
{
	const char *option = arguments->filter.dumps         ? "-d"
			     : arguments->filter.dot         ? "--dot"
			     : arguments->filter.full        ? "--full"
			     : arguments->rules.file         ? "-R"
			     : arguments->filter.unoptimized ? "-O"
			     : arguments->filter.resolve     ? "--resolve"
							     : NULL;

	if (!option)
		return 0;
	return cw_refuse("%s applies to filters: capweir inspect filter %s EXPR", option, option);
}

static int inspect_files(const struct cw_arguments *arguments)
{
	json_t *list = NULL;
	int status = CW_EXIT_COMPLETE;
	struct cw_source_options options = {.wake_fd = -1,
					    .resyncs = arguments->resyncs,
					    .cure = arguments->resyncs ? NULL : CW_RESYNC_CURE};
	uint32_t index;

	if (!arguments->rest.count)
		return cw_refuse(
		    "nothing to inspect: give capture files, or filters: capweir inspect "
		    "filter EXPR");
	if (refuse_filter_options(arguments))
		return CW_EXIT_USAGE;
	if (cw_arguments_linktype(arguments, &options.linktype))
		return CW_EXIT_USAGE;
	list = arguments->json ? json_array() : NULL;
	if (arguments->json && !list)
		return cw_complain_no_memory();
	for (index = 0; index < arguments->rest.count; index++) {
		if (inspect_file(arguments->rest.words[index], &options, list))
			status = CW_EXIT_PROBLEM;
	}
	if (list && cw_json_print(list, JSON_INDENT(1), ""))
		status = CW_EXIT_PROBLEM;
	return status;
}

int cw_command_inspect(const struct cw_arguments *arguments)
{
	const struct cw_words *rest = &arguments->rest;

	return rest->count && strcmp(rest->words[0], "filter") == 0 ? cw_inspect_filter(arguments)
								    : inspect_files(arguments);
}
