/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/base.h"
#include "core/filter_compiler.h"
#include "pipeline/pipeline.h"
#include "tools/option_values.h"
#include "tools/options.h"

#define NOT_YET 0u /* an option of the design that this version does not have */
#define LETTERLESS 256
#define DAY_MS (UINT64_C(86400) * 1000)
#define BOTH (CW_SPLIT | CW_CAPTURE)

enum option_id {
	OPTION_HELP = LETTERLESS,
	OPTION_JSON,
	OPTION_NO_CLOBBER,
	OPTION_SYNC,
	OPTION_DIRECT,
	OPTION_UTC,
	OPTION_PRECISION,
	OPTION_RESOLVE,
	OPTION_ENGINE,
	OPTION_FILTER_TIME,
	OPTION_FILTER_MEMORY,
	OPTION_VERIFY,
	OPTION_BUFFER,
	OPTION_CHUNK,
	OPTION_BATCH_BYTES,
	OPTION_BATCH_PACKETS,
	OPTION_PROFILE,
	OPTION_PACKETS,
	OPTION_SEED,
	OPTION_REPEAT,
	OPTION_DOT,
	OPTION_FULL,
	OPTION_QUEUES,
	OPTION_FANOUT,
	OPTION_PIN,
	OPTION_REALTIME,
	OPTION_HUGE_PAGES,
	OPTION_BACKEND,
	OPTION_BLOCK,
	OPTION_RETIRE,
	OPTION_ORDER,
	OPTION_KERNEL_FILTER,
	OPTION_MAX_DROP,
	OPTION_STATS,
	OPTION_DURATION,
	OPTION_DRAIN,
	OPTION_NOT_YET,
};

struct option_row {
	int id; /* the letter, or LETTERLESS and above */
	const char *name;
	const char *argument; /* NULL: takes none; "[=...": may be left out */
	const char *help;     /* NULL: not shown */
	unsigned commands;
};

static const struct option_row rows[] = {
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
	 BOTH | CW_INSPECT | CW_BENCH},
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
	 BOTH | CW_CHECK | CW_GENERATE | CW_INSPECT | CW_BENCH},
	/* Letters that mean what tcpdump means by them, and are to come. */
	{'G', NULL, "SECONDS", NULL, NOT_YET},
	{'W', NULL, "COUNT", NULL, NOT_YET},
	{'U', NULL, NULL, NULL, NOT_YET},
	{'z', NULL, "COMMAND", NULL, NOT_YET},
	{'D', "list-interfaces", NULL, NULL, NOT_YET},
	{'L', "list-data-link-types", NULL, NULL, NOT_YET},
};

#define ROW_COUNT CW_ARRAY_COUNT(rows)

static const struct {
	enum cw_command command;
	const char *usage;
	const char *what;
} command_texts[] = {
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
	{CW_BENCH, "capweir bench filter -r FILE -R RULES [options]",
	 "Measure. filter: what the rules' filters cost a packet of the file, by every engine and "
	 "by\nlibpcap, in turns; and whether all agree."},
};

void cw_complain(const char *format, ...)
{
	va_list arguments;

	fputs("capweir: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

int cw_words_add(struct cw_words *words, const char *word)
{
	const char **grown = realloc(words->words, (words->count + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	words->words = grown;
	words->words[words->count++] = word;
	return 0;
}

void cw_arguments_fini(struct cw_arguments *arguments)
{
	free(arguments->inputs.words);
	free(arguments->devices.words);
	free(arguments->filters.words);
	free(arguments->writes.words);
	free(arguments->rest.words);
	*arguments = (struct cw_arguments){0};
}

static bool is_optional(const struct option_row *row)
{
	return row->argument && row->argument[0] == '[';
}

static void print_row(FILE *file, const struct option_row *row)
{
	char left[64];

	if (row->id < LETTERLESS)
		snprintf(left, sizeof(left), "-%c, --%s%s%s", row->id, row->name,
			 row->argument ? " " : "", row->argument ? row->argument : "");
	else
		snprintf(left, sizeof(left), "    --%s%s%s", row->name,
			 row->argument && !is_optional(row) ? " " : "",
			 row->argument ? row->argument : "");
	fprintf(file, "  %-28s %s\n", left, row->help);
}

void cw_options_help(FILE *file, enum cw_command command)
{
	size_t index;

	for (index = 0; index < CW_ARRAY_COUNT(command_texts); index++) {
		if (command_texts[index].command & command)
			fprintf(file, "usage: %s\n\n%s\n\n", command_texts[index].usage,
				command_texts[index].what);
	}
	for (index = 0; index < ROW_COUNT; index++) {
		if ((rows[index].commands & (unsigned)command) && rows[index].help)
			print_row(file, &rows[index]);
	}
}

static int add_word(struct cw_words *words, const char *word)
{
	if (cw_words_add(words, word) == 0)
		return 0;
	cw_complain("no memory");
	return CW_EXIT_PROBLEM;
}

static int take_text(struct cw_arguments *arguments, int id, const char *text)
{
	switch (id) {
	case 'r':
		return add_word(&arguments->inputs, text);
	case 'i':
		return add_word(&arguments->devices, text);
	case 'f':
		return add_word(&arguments->filters, text);
	case 'w':
		return add_word(&arguments->writes, text);
	case 'R':
		arguments->rules = text;
		return 0;
	case 'o':
		arguments->directory = text;
		return 0;
	case 'F':
		arguments->filter_file = text;
		return 0;
	case 'y':
		arguments->linktype = text;
		return 0;
	case OPTION_PROFILE:
		arguments->profile = text;
		return 0;
	case OPTION_ENGINE:
		arguments->engine = text;
		return 0;
	case 'Z':
		arguments->user = text;
		return 0;
	case OPTION_PIN:
		arguments->pin = text;
		return 0;
	case OPTION_BACKEND:
		arguments->backend = text;
		return 0;
	case OPTION_FANOUT:
		arguments->fanout = text;
		return 0;
	case 'Q':
		arguments->direction = text;
		return 0;
	case 'j':
		arguments->clock = text;
		return 0;
	default:
		return -1;
	}
}

static int take_number(struct cw_arguments *arguments, int id, const char *text)
{
	int choice = 0;
	int result;

	switch (id) {
	case 't':
		return cw_option_number("-t", text, 1, 1024, &arguments->threads);
	case 'c':
		return cw_option_number("-c", text, 1, UINT64_MAX, &arguments->packet_count);
	case 's': /* 0: whole packets, as in tcpdump */
		return cw_option_number("-s", text, 0, UINT32_MAX - 1, &arguments->snaplen);
	case 'C':
		return cw_option_file_size(text, &arguments->rotate_bytes);
	case 'b':
		return cw_option_ring(arguments, text);
	case OPTION_PACKETS:
		return cw_option_number("--packets", text, 0, UINT64_MAX, &arguments->packets);
	case OPTION_REPEAT:
		return cw_option_number("--repeat", text, 1, CW_REPEAT_MAX, &arguments->repeat);
	case OPTION_SEED:
		return cw_option_number("--seed", text, 0, UINT64_MAX, &arguments->seed);
	case OPTION_FILTER_TIME:
		return cw_option_seconds("--filter-time", text, CW_COMPILER_TIME_MS_MAX,
				     &arguments->filter_time_ms);
	case OPTION_FILTER_MEMORY:
		return cw_option_bytes("--filter-memory", text, UINT64_C(1) << 20, UINT64_C(1) << 40,
				   &arguments->filter_memory);
	case OPTION_BUFFER:
		return cw_option_bytes("--buffer", text, 1024, UINT64_C(1) << 40,
				   &arguments->buffer_bytes);
	case OPTION_CHUNK:
		result = cw_option_bytes("--chunk-size", text, 512, UINT64_C(1) << 30,
				     &arguments->chunk_bytes);
		if (result == 0 && (arguments->chunk_bytes & (arguments->chunk_bytes - 1))) {
			cw_complain("--chunk-size takes a power of two");
			result = CW_EXIT_USAGE;
		}
		return result;
	case OPTION_BATCH_BYTES:
		return cw_option_bytes("--batch-size", text, 1, UINT64_C(1) << 30,
				   &arguments->batch_bytes);
	case OPTION_BATCH_PACKETS:
		return cw_option_number("--batch-packets", text, 1, 1u << 20,
				    &arguments->batch_packets);
	case OPTION_VERIFY:
		return cw_option_verify(text, &arguments->verify_every);
	case OPTION_SYNC:
		result = cw_option_choose("--sync", text, "off", "close", &choice);
		arguments->sync = (enum cw_sync)choice;
		return result;
	case 'B':
		result = cw_option_number("-B", text, 1, UINT64_C(1) << 30, &arguments->ring_bytes);
		arguments->ring_bytes *= 1024;
		return result;
	case OPTION_QUEUES:
		return cw_option_number("--queues", text, 1, CW_LIVE_QUEUES_MAX, &arguments->queues);
	case OPTION_BLOCK:
		return cw_option_bytes("--block-size", text, 4096, CW_LIVE_BLOCK_BYTES_MAX,
				   &arguments->block_bytes);
	case OPTION_REALTIME:
		return cw_option_number("--realtime", text, 1, 99, &arguments->realtime);
	case OPTION_RETIRE:
		return cw_option_number("--block-timeout", text, 1, CW_LIVE_RETIRE_MS_MAX,
				    &arguments->retire_ms);
	case OPTION_ORDER:
		result = cw_option_choose("--order", text, "arrival", "time", &choice);
		arguments->time_order = choice == 2;
		return result;
	case OPTION_KERNEL_FILTER:
		result = cw_option_choose("--kernel-filter", text, "auto", "off", &choice);
		arguments->no_kernel_filter = choice == 2;
		return result;
	case OPTION_MAX_DROP:
		arguments->has_max_drop = true;
		return cw_option_number("--max-drop", text, 0, UINT64_MAX, &arguments->max_drop);
	case OPTION_STATS:
		return cw_option_seconds("--stats", text, DAY_MS, &arguments->stats_ms);
	case OPTION_DURATION:
		return cw_option_seconds("--duration", text, 366 * DAY_MS, &arguments->duration_ms);
	case OPTION_DRAIN:
		return cw_option_seconds("--drain-timeout", text, DAY_MS, &arguments->drain_ms);
	case OPTION_DIRECT:
		return cw_option_direct(text, &arguments->direct);
	case OPTION_PRECISION:
		return cw_option_choose("--time-precision", text, "us", "ns", &arguments->precision);
	default:
		return -1;
	}
}

static void take_flag(struct cw_arguments *arguments, int id)
{
	switch (id) {
	case 'O':
		arguments->unoptimized = true;
		break;
	case 'd':
		arguments->dumps++;
		break;
	case 'p':
		arguments->not_promiscuous = true;
		break;
	case 'q':
		arguments->quiet = true;
		break;
	case OPTION_JSON:
		arguments->json = true;
		break;
	case OPTION_DOT:
		arguments->dot = true;
		break;
	case OPTION_FULL:
		arguments->full = true;
		break;
	case OPTION_HUGE_PAGES:
		arguments->huge_pages = true;
		break;
	case OPTION_NO_CLOBBER:
		arguments->no_clobber = true;
		break;
	case OPTION_UTC:
		arguments->utc = true;
		break;
	case OPTION_RESOLVE:
		arguments->resolve = true;
		break;
	default: /* -n changes nothing */
		break;
	}
}

/* ---- parsing ---- */

static const struct option_row *find_row(int id)
{
	size_t index;

	for (index = 0; index < ROW_COUNT; index++) {
		/* The rows of OPTION_NOT_YET share it; any of them says what there is to say. */
		if (rows[index].id == id)
			return &rows[index];
	}
	return NULL;
}

/* The table as getopt_long wants it. */
static void make_getopt_tables(char *letters, struct option *longs)
{
	size_t index;

	/* "+" would stop at the first positional word; tcpdump users put them anywhere. */
	*letters++ = ':';
	for (index = 0; index < ROW_COUNT; index++) {
		const struct option_row *row = &rows[index];

		if (row->id < LETTERLESS) {
			*letters++ = (char)row->id;
			if (row->argument)
				*letters++ = ':';
		}
		if (row->name)
			*longs++ = (struct option){row->name,
						   is_optional(row)	   ? optional_argument
						   : row->argument ? required_argument
								   : no_argument,
						   NULL, row->id};
	}
	*letters = '\0';
	*longs = (struct option){0};
}

/*
 * tcpdump's line may be a capture or a split: what it is, is known at the end. Options of the other
 * one are told then.
 */
static int settle_command(struct cw_arguments *arguments)
{
	bool is_live = arguments->devices.count || arguments->command == CW_CAPTURE;

	if (!(arguments->command & CW_CAPTURE))
		return 0;
	arguments->command = is_live ? CW_CAPTURE : CW_SPLIT;
	if (arguments->split_word && is_live) {
		cw_complain("%s does not go with -i", arguments->split_word);
		return CW_EXIT_USAGE;
	}
	if (arguments->capture_word && !is_live) {
		cw_complain("%s is for live capture (-i)", arguments->capture_word);
		return CW_EXIT_USAGE;
	}
	return 0;
}

static int take_option(struct cw_arguments *arguments, int id, const char *word)
{
	const struct option_row *row = find_row(id);
	int result;

	if (row->commands == NOT_YET) {
		cw_complain("%s is not in this version", word);
		return CW_EXIT_USAGE;
	}
	if (!(row->commands & (unsigned)arguments->command)) {
		cw_complain("%s does not belong to this command (see --help)", word);
		return CW_EXIT_USAGE;
	}
	if (!(row->commands & CW_CAPTURE))
		arguments->split_word = word;
	if (!(row->commands & CW_SPLIT))
		arguments->capture_word = word;
	if (id == OPTION_HELP) {
		cw_options_help(stdout, arguments->command);
		return -1;
	}
	if (!row->argument) {
		take_flag(arguments, id);
		return 0;
	}
	result = take_text(arguments, id, optarg);
	return result >= 0 ? result : take_number(arguments, id, optarg);
}

int cw_options_parse(struct cw_arguments *arguments, enum cw_command command, int argc,
		     char *const *argv)
{
	char letters[2 * ROW_COUNT + 2];
	struct option longs[ROW_COUNT + 1];
	int result = 0;
	int id;

	*arguments = (struct cw_arguments){.command = command,
					   .packets = command == CW_BENCH ? 100000 : 1000000,
					   .repeat = 9,
					   .seed = 1};
	make_getopt_tables(letters, longs);
	optind = 1;
	while (result == 0 && (id = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		/* The word that getopt took the option from: "-xVALUE", "--name=VALUE", ... */
		const char *word = argv[optind - 1] == optarg && optarg ? argv[optind - 2]
								       : argv[optind - 1];

		if (id == ':') {
			cw_complain("%s needs a value", argv[optind - 1]);
			result = CW_EXIT_USAGE;
		} else if (id == '?') {
			/* For a long one it is the word; a letter may stand among others. */
			if (optopt)
				cw_complain("unknown option -%c (see --help)", optopt);
			else
				cw_complain("unknown option %s (see --help)", argv[optind - 1]);
			result = CW_EXIT_USAGE;
		} else {
			result = take_option(arguments, id, word);
		}
	}
	for (; result == 0 && optind < argc; optind++)
		result = add_word(&arguments->rest, argv[optind]);
	return result ? result : settle_command(arguments);
}
