/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>

#include "core/base.h"
#include "tools/option_table.h"

#define BOTH (CW_SPLIT | CW_CAPTURE)

const struct cw_option_row cw_option_rows[] = {
	{'r', "read", "FILE", "read a capture file (pcap, pcapng, .gz, .zst; - is standard input); "
			      "several are read one after the other",
	 CW_SPLIT | CW_CHECK | CW_BENCH},
	{'i', "interface", "DEV", "capture from this device; several are captured side by side",
	 CW_CAPTURE},
	{'f', "filter", "EXPR", "a rule's filter, in tcpdump's language; 'unmatched' takes what no "
				"other rule took", BOTH},
	{'w', "write", "FILE", "a rule's output: the k-th -w belongs to the k-th -f; - is standard "
			       "output", BOTH | CW_GENERATE},
	{'R', "rules", "FILE", "read rules from a YAML file", BOTH | CW_INSPECT | CW_BENCH},
	{'o', "directory", "DIR", "put relative outputs there", BOTH},
	{'F', "filter-file", "FILE", "read the filter expression from a file", BOTH},
	{'t', "threads", "N", "worker threads (default: the cores it may use)", BOTH},
	{'c', "count", "N", "stop after N packets that a rule's filter matched", BOTH},
	{'s', "snaplen", "BYTES", "cut packets to so many bytes when writing", BOTH},
	{'y', "linktype", "TYPE", "take the packets for this link type (EN10MB, RAW, 113, ...)",
	 CW_SPLIT | CW_CHECK | CW_INSPECT | CW_BENCH},
	{'C', "file-size", "SIZE", "start a new file before one grows beyond SIZE (millions of "
				   "bytes; k, m, g: KiB, MiB, GiB)", BOTH},
	{'b', "ring-buffer", "KEY:N", "filesize:N (kB) or packets:N: start a new file at that "
				      "limit", BOTH},
	{'n', "numeric", NULL, "accepted: names are never looked up", BOTH},
	{'O', "no-optimize", NULL, "do not optimise filter programs",
	 BOTH | CW_CHECK | CW_INSPECT | CW_BENCH},
	{'d', "dump", NULL, "inspect filter: print the expressions' classic BPF only, as tcpdump -d; "
			    "-dd as C, -ddd as numbers", CW_INSPECT},
	{OPTION_DOT, "dot", NULL, "inspect filter: print the decision program as a graph for "
				  "Graphviz", CW_INSPECT},
	{OPTION_FULL, "full", NULL, "inspect filter: cut nothing, however long", CW_INSPECT},
	{'q', "quiet", NULL, "no table and no progress line", BOTH},
	{OPTION_JSON, "json", NULL, "the report as JSON on standard output",
	 BOTH | CW_INSPECT | CW_BENCH | CW_STATUS},
	{OPTION_NO_CLOBBER, "no-clobber", NULL, "refuse to replace existing files",
	 BOTH | CW_GENERATE},
	{OPTION_SYNC, "sync", "off|close", "close: flush each file to the disk before it gets its "
					   "name (default: off for files, close "
					   "for live capture)", BOTH},
	{OPTION_DIRECT, "direct", "auto|on|off", "on: write past the page cache, so that it stays as it "
						 "is (auto: when live)", BOTH},
	{OPTION_UTC, "utc", NULL, "times in file names are UTC, not local", BOTH},
	{OPTION_PRECISION, "time-precision", "us|ns", "of .pcap outputs (default: ns when an input "
						      "has ns)", BOTH | CW_GENERATE},
	{OPTION_RESOLVE, "resolve", NULL, "let filters name hosts (the lookup can block)",
	 BOTH | CW_CHECK | CW_INSPECT | CW_BENCH},
	{OPTION_ENGINE, "filter-engine", "NAME", "auto, jit, walker, sequential or libpcap", BOTH},
	{OPTION_FILTER_TIME, "filter-time", "SECONDS", "that compiling one filter may take (default: "
						       "1); then it is tried unoptimised",
	 BOTH | CW_CHECK | CW_INSPECT | CW_BENCH},
	{OPTION_FILTER_MEMORY, "filter-memory", "SIZE", "likewise (default: 256MiB)",
	 BOTH | CW_CHECK | CW_INSPECT | CW_BENCH},
	{OPTION_VERIFY, "verify-filters", "[=1/N]", "check one packet in N (default: 100) against "
						    "libpcap; any difference is exit 1", BOTH},
	{'p', "no-promiscuous-mode", NULL, "take what is meant for this host only", CW_CAPTURE},
	{'Q', "direction", "WAY", "in, out or inout (default)", CW_CAPTURE},
	{'j', "time-stamp-type", "CLOCK", "host (default) or adapter", CW_CAPTURE},
	{'B', "buffer-size", "KIB", "size of each queue's ring (default: 65536)", CW_CAPTURE},
	{OPTION_QUEUES, "queues", "N", "capture threads, each with a ring (default: by the device's "
				       "queues and the cores)", CW_CAPTURE},
	{OPTION_FANOUT, "fanout", "HOW", "which queue gets a packet: hash (default: by flow), cpu, "
					 "qm, lb or rollover", CW_CAPTURE},
	{OPTION_BACKEND, "backend", "HOW", "auto (default: packet, or pcap where that cannot read the "
					   "device), packet, pcap or xdp (takes the packets away "
					   "from the system)", CW_CAPTURE},
	{OPTION_BLOCK, "block-size", "SIZE", "of the ring's blocks (default: 1MiB)", CW_CAPTURE},
	{OPTION_RETIRE, "block-timeout", "MS", "a block waits so long for more packets (default: "
					       "20)", CW_CAPTURE},
	{OPTION_ORDER, "order", "arrival|time", "arrival (default): packets of one queue stay in order; "
							"time: all are merged by their times", CW_CAPTURE},
	{OPTION_KERNEL_FILTER, "kernel-filter", "auto|off", "auto (default): where one filter says what "
							    "is written, the kernel leaves out the "
							    "rest unseen", CW_CAPTURE},
	{OPTION_MAX_DROP, "max-drop", "N", "more packets dropped by the kernel are exit 3",
	 CW_CAPTURE},
	{OPTION_STATS, "stats", "SECONDS", "print counters so often (with --json as JSON lines)",
	 CW_CAPTURE},
	{OPTION_CONTROL, "control", "PATH", "a socket there tells how the capture goes, and takes orders "
					   "(stats, control)", CW_CAPTURE | CW_STATUS},
	{OPTION_DURATION, "duration", "SECONDS", "stop after that time", CW_CAPTURE},
	{OPTION_DRAIN, "drain-timeout", "SECONDS", "that writing what was captured may take after "
						   "the end (default: 10)", CW_CAPTURE},
	{'Z', "relinquish-privileges", "USER", "become this user once devices are open (default for root: "
					       "nobody; root: stay)", CW_CAPTURE},
	{OPTION_PIN, "pin", "auto|LIST", "threads to cores: a list such as 0-3,8 (capture threads first), "
					 "or auto", CW_CAPTURE},
	{OPTION_REALTIME, "realtime", "PRIORITY", "of capture threads, SCHED_FIFO (1 to 99)", CW_CAPTURE},
	{OPTION_HUGE_PAGES, "huge-pages", NULL, "ask for them for the output's memory", CW_CAPTURE},
	{OPTION_BUFFER, "buffer", "SIZE", "memory for output chunks (default: 64MiB)", BOTH},
	{OPTION_CHUNK, "chunk-size", "SIZE", NULL, BOTH},
	{OPTION_BATCH_BYTES, "batch-size", "SIZE", NULL, BOTH},
	{OPTION_BATCH_PACKETS, "batch-packets", "N", NULL, BOTH},
	{OPTION_PROFILE, "profile", "NAME", "imix (default), small, large or mix", CW_GENERATE},
	{OPTION_PACKETS, "packets", "N", "how many (default: 1000000; bench: the first 100000)",
	 CW_GENERATE | CW_BENCH},
	{OPTION_REPEAT, "repeat", "N", "rounds to measure (default: 9)", CW_BENCH},
	{OPTION_SEED, "seed", "N", "other numbers give other traffic (default: 1)", CW_GENERATE},
	{OPTION_HELP, "help", NULL, "print this",
	 BOTH | CW_CHECK | CW_GENERATE | CW_INSPECT | CW_BENCH | CW_STATUS},
	/* Letters that mean what tcpdump means by them, and are to come. */
	{'G', NULL, "SECONDS", NULL, CW_NOT_YET},
	{'W', NULL, "COUNT", NULL, CW_NOT_YET},
	{'U', NULL, NULL, NULL, CW_NOT_YET},
	{'z', NULL, "COMMAND", NULL, CW_NOT_YET},
	{'D', "list-interfaces", NULL, NULL, CW_NOT_YET},
	{'L', "list-data-link-types", NULL, NULL, CW_NOT_YET},
};

const size_t cw_option_row_count = CW_ARRAY_COUNT(cw_option_rows);
static_assert(CW_ARRAY_COUNT(cw_option_rows) <= CW_OPTION_ROWS_MAX, "raise the limit");

const struct cw_command_text cw_command_texts[] = {
	{CW_SPLIT, "capweir split -r FILE... (-f EXPR -w FILE)... | -R RULES [options] [EXPR]\n"
		   "       capweir -r FILE -w FILE [EXPR]",
	 "Split capture files: each rule's packets to its own file, in one pass."},
	{CW_CAPTURE, "capweir capture -i DEV... (-f EXPR -w FILE)... | -R RULES [options] [EXPR]\n"
		     "       capweir -i DEV -w FILE [EXPR]",
	 "Capture from devices, each rule's packets to its own file. Ends with -c, --duration or a\n"
	 "signal; the first one writes what was captured."},
	{CW_CHECK, "capweir check RULES [options]", "Check a rules file; writes nothing."},
	{CW_GENERATE, "capweir generate -w FILE [options]",
	 "Generate deterministic, realistic traffic: the same seed gives the same bytes."},
	{CW_INSPECT, "capweir inspect FILE... [options]\n"
		     "       capweir inspect filter [-R RULES] [EXPR]... [options]",
	 "Say what is in capture files: format, link types, packets, times, damage. Or what becomes "
	 "of\nfilters, each argument being one expression: their classic BPF, and the decision "
	 "program of all\n(core/FILTERS.md explains it). A file called filter is ./filter."},
	{CW_STATUS, "capweir stats --control PATH [--json]\n"
		    "       capweir top --control PATH\n"
		    "       capweir control --control PATH COMMAND [ARGUMENT]",
	 "Ask a capture that was started with the same --control: how it goes; or to do something:\n"
	 "stats, rules, reload, rotate [RULE], flush, stop, log note|warning|problem. The answer of control\n"
	 "is JSON. Exit 1: it says no."},
	{CW_BENCH, "capweir bench filter -r FILE -R RULES [options]",
	 "Measure. filter: what the rules' filters cost a packet of the file, by every engine and "
	 "by\nlibpcap, in turns; and whether all agree."},
};

const size_t cw_command_text_count = CW_ARRAY_COUNT(cw_command_texts);

bool cw_option_is_optional(const struct cw_option_row *row)
{
	return row->argument && row->argument[0] == '[';
}

static void print_row(FILE *file, const struct cw_option_row *row)
{
	char left[64];

	if (row->id < CW_LETTERLESS)
		snprintf(left, sizeof(left), "-%c, --%s%s%s", row->id, row->name,
			 row->argument ? " " : "", row->argument ? row->argument : "");
	else
		snprintf(left, sizeof(left), "    --%s%s%s", row->name,
			 row->argument && !cw_option_is_optional(row) ? " " : "",
			 row->argument ? row->argument : "");
	fprintf(file, "  %-28s %s\n", left, row->help);
}

void cw_options_help(FILE *file, enum cw_command command)
{
	size_t index;

	for (index = 0; index < cw_command_text_count; index++) {
		if (cw_command_texts[index].command & command)
			fprintf(file, "usage: %s\n\n%s\n\n", cw_command_texts[index].usage,
				cw_command_texts[index].what);
	}
	for (index = 0; index < cw_option_row_count; index++) {
		if ((cw_option_rows[index].commands & (unsigned)command) && cw_option_rows[index].help)
			print_row(file, &cw_option_rows[index]);
	}
}
