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
#include "tools/options.h"

#define NOT_YET 0u /* an option of the design that this version does not have */
#define LETTERLESS 256

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
	{'f', "filter", "EXPR", "a rule's filter, in tcpdump's language; 'unmatched' takes what no "
				"other rule took", CW_SPLIT},
	{'w', "write", "FILE", "a rule's output: the k-th -w belongs to the k-th -f; - is standard "
			       "output", CW_SPLIT | CW_GENERATE},
	{'R', "rules", "FILE", "read rules from a YAML file", CW_SPLIT | CW_INSPECT | CW_BENCH},
	{'o', "directory", "DIR", "put relative outputs there", CW_SPLIT},
	{'F', "filter-file", "FILE", "read the filter expression from a file", CW_SPLIT},
	{'t', "threads", "N", "worker threads (default: the cores it may use)", CW_SPLIT},
	{'c', "count", "N", "stop after N packets that a rule's filter matched", CW_SPLIT},
	{'s', "snaplen", "BYTES", "cut packets to so many bytes when writing", CW_SPLIT},
	{'y', "linktype", "TYPE", "take the packets for this link type (EN10MB, RAW, 113, ...)",
	 CW_SPLIT | CW_CHECK | CW_INSPECT | CW_BENCH},
	{'C', "file-size", "SIZE", "start a new file before one grows beyond SIZE (millions of "
				   "bytes; k, m, g: KiB, MiB, GiB)", CW_SPLIT},
	{'b', "ring-buffer", "KEY:N", "filesize:N (kB) or packets:N: start a new file at that "
				      "limit", CW_SPLIT},
	{'n', "numeric", NULL, "accepted: names are never looked up", CW_SPLIT},
	{'O', "no-optimize", NULL, "do not optimise filter programs",
	 CW_SPLIT | CW_CHECK | CW_INSPECT | CW_BENCH},
	{'d', "dump", NULL, "inspect filter: print the expressions' classic BPF only, as tcpdump -d; "
			    "-dd as C, -ddd as numbers", CW_INSPECT},
	{OPTION_DOT, "dot", NULL, "inspect filter: print the decision program as a graph for "
				  "Graphviz", CW_INSPECT},
	{OPTION_FULL, "full", NULL, "inspect filter: cut nothing, however long", CW_INSPECT},
	{'q', "quiet", NULL, "no table and no progress line", CW_SPLIT},
	{OPTION_JSON, "json", NULL, "the report as JSON on standard output",
	 CW_SPLIT | CW_INSPECT | CW_BENCH},
	{OPTION_NO_CLOBBER, "no-clobber", NULL, "refuse to replace existing files",
	 CW_SPLIT | CW_GENERATE},
	{OPTION_SYNC, "sync", "off|close", "close: flush each file to the disk before it gets its "
					   "name (default: off)", CW_SPLIT},
	{OPTION_DIRECT, "direct", "auto|on|off", "on: write past the page cache, so that it stays as it "
						 "is (auto: when live)", CW_SPLIT},
	{OPTION_UTC, "utc", NULL, "times in file names are UTC, not local", CW_SPLIT},
	{OPTION_PRECISION, "time-precision", "us|ns", "of .pcap outputs (default: ns when an input "
						      "has ns)", CW_SPLIT | CW_GENERATE},
	{OPTION_RESOLVE, "resolve", NULL, "let filters name hosts (the lookup can block)",
	 CW_SPLIT | CW_CHECK | CW_INSPECT | CW_BENCH},
	{OPTION_ENGINE, "filter-engine", "NAME", "auto, jit, walker, sequential or libpcap", CW_SPLIT},
	{OPTION_FILTER_TIME, "filter-time", "SECONDS", "that compiling one filter may take (default: "
						       "1); then it is tried unoptimised",
	 CW_SPLIT | CW_CHECK | CW_INSPECT | CW_BENCH},
	{OPTION_FILTER_MEMORY, "filter-memory", "SIZE", "likewise (default: 256MiB)",
	 CW_SPLIT | CW_CHECK | CW_INSPECT | CW_BENCH},
	{OPTION_VERIFY, "verify-filters", "[=1/N]", "check one packet in N (default: 100) against "
						    "libpcap; any difference is exit 1", CW_SPLIT},
	{OPTION_BUFFER, "buffer", "SIZE", "memory for output chunks (default: 64MiB)", CW_SPLIT},
	{OPTION_CHUNK, "chunk-size", "SIZE", NULL, CW_SPLIT},
	{OPTION_BATCH_BYTES, "batch-size", "SIZE", NULL, CW_SPLIT},
	{OPTION_BATCH_PACKETS, "batch-packets", "N", NULL, CW_SPLIT},
	{OPTION_PROFILE, "profile", "NAME", "imix (default), small, large or mix", CW_GENERATE},
	{OPTION_PACKETS, "packets", "N", "how many (default: 1000000; bench: the first 100000)",
	 CW_GENERATE | CW_BENCH},
	{OPTION_REPEAT, "repeat", "N", "rounds to measure (default: 9)", CW_BENCH},
	{OPTION_SEED, "seed", "N", "other numbers give other traffic (default: 1)", CW_GENERATE},
	{OPTION_HELP, "help", NULL, "print this",
	 CW_SPLIT | CW_CHECK | CW_GENERATE | CW_INSPECT | CW_BENCH},
	/* Letters that mean what tcpdump means by them, and come with live capture. */
	{'i', "interface", "DEV", NULL, NOT_YET},
	{'G', NULL, "SECONDS", NULL, NOT_YET},
	{'W', NULL, "COUNT", NULL, NOT_YET},
	{'B', NULL, "KIB", NULL, NOT_YET},
	{'U', NULL, NULL, NULL, NOT_YET},
	{'z', NULL, "COMMAND", NULL, NOT_YET},
	{'Z', NULL, "USER", NULL, NOT_YET},
	{'j', NULL, "TYPE", NULL, NOT_YET},
	{'Q', NULL, "DIRECTION", NULL, NOT_YET},
	{'p', NULL, NULL, NULL, NOT_YET},
	{'D', "list-interfaces", NULL, NULL, NOT_YET},
	{'L', "list-data-link-types", NULL, NULL, NOT_YET},
	{OPTION_NOT_YET, "stats", "SECONDS", NULL, NOT_YET},
	{OPTION_NOT_YET, "queues", "N", NULL, NOT_YET},
	{OPTION_NOT_YET, "max-drop", "N", NULL, NOT_YET},
	{OPTION_NOT_YET, "order", "time|arrival", NULL, NOT_YET},
	{OPTION_NOT_YET, "duration", "SECONDS", NULL, NOT_YET},
	{OPTION_NOT_YET, "drain-timeout", "SECONDS", NULL, NOT_YET},
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
		if (command_texts[index].command == command)
			fprintf(file, "usage: %s\n\n%s\n\n", command_texts[index].usage,
				command_texts[index].what);
	}
	for (index = 0; index < ROW_COUNT; index++) {
		if ((rows[index].commands & (unsigned)command) && rows[index].help)
			print_row(file, &rows[index]);
	}
}

/* ---- values ---- */

static int parse_number(const char *option, const char *text, uint64_t least, uint64_t most,
			uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || *number < least || *number > most) {
		cw_complain("%s takes a whole number from %" PRIu64 " to %" PRIu64 ", not '%s'",
			    option, least, most, text);
		return CW_EXIT_USAGE;
	}
	return 0;
}

static int parse_bytes(const char *option, const char *text, uint64_t least, uint64_t most,
		       uint64_t *bytes)
{
	if (cw_parse_size(text, bytes) < 0 || *bytes < least || *bytes > most) {
		cw_complain("%s takes a size from %" PRIu64 " to %" PRIu64
			    " bytes, such as 64MiB, not '%s'",
			    option, least, most, text);
		return CW_EXIT_USAGE;
	}
	return 0;
}

/* A positive number of seconds, with a fraction or without. */
static int parse_seconds(const char *option, const char *text, uint64_t most_ms, uint64_t *ms)
{
	char *end;
	double seconds = strtod(text, &end);

	/* Written like this it is also false for what is not a number. */
	if (text[0] >= '0' && text[0] <= '9' && !*end && seconds >= 0.001 &&
	    seconds <= (double)most_ms / 1000) {
		*ms = (uint64_t)(seconds * 1000 + 0.5);
		return 0;
	}
	cw_complain("%s takes seconds from 0.001 to %" PRIu64 ", not '%s'", option, most_ms / 1000,
		    text);
	return CW_EXIT_USAGE;
}

/* tcpdump's -C: a number of millions of bytes, or with k, m or g of KiB, MiB or GiB. */
static int parse_file_size(const char *text, uint64_t *bytes)
{
	static const struct {
		char letter;
		uint64_t unit;
	} units[] = {{'\0', 1000000}, {'k', UINT64_C(1) << 10}, {'m', UINT64_C(1) << 20},
		     {'g', UINT64_C(1) << 30}};
	char *end;
	uint64_t number;
	size_t index;

	errno = 0;
	number = strtoull(text, &end, 10);
	for (index = 0; index < CW_ARRAY_COUNT(units); index++) {
		if (end == text || text[0] == '-' || errno || number == 0 ||
		    (*end | 0x20) != (units[index].letter | 0x20) || (*end && end[1]) ||
		    number > UINT64_MAX / units[index].unit)
			continue;
		*bytes = number * units[index].unit;
		return 0;
	}
	cw_complain("-C takes millions of bytes, or a number with k, m or g, not '%s'", text);
	return CW_EXIT_USAGE;
}

static int parse_ring(struct cw_arguments *arguments, const char *text)
{
	int result;

	if (strncmp(text, "filesize:", 9) == 0) {
		result = parse_number("-b filesize:", text + 9, 1, UINT64_MAX / 1000,
				      &arguments->rotate_bytes);
		arguments->rotate_bytes *= 1000;
		return result;
	}
	if (strncmp(text, "packets:", 8) == 0)
		return parse_number("-b packets:", text + 8, 1, UINT64_MAX,
				    &arguments->rotate_packets);
	if (strncmp(text, "duration:", 9) == 0 || strncmp(text, "interval:", 9) == 0 ||
	    strncmp(text, "files:", 6) == 0 || strncmp(text, "printname:", 10) == 0 ||
	    strncmp(text, "nametimenum:", 12) == 0)
		cw_complain("-b %s is not in this version", text);
	else
		cw_complain("-b takes filesize:N or packets:N, not '%s'", text);
	return CW_EXIT_USAGE;
}

/* What --verify-filters may be given: one packet in N. NULL: it was not. */
static int parse_verify(const char *text, uint64_t *every)
{
	*every = CW_VERIFY_EVERY_DEFAULT;
	if (!text)
		return 0;
	if (strncmp(text, "1/", 2) == 0)
		return parse_number("--verify-filters=1/", text + 2, 1, UINT32_MAX, every);
	cw_complain("--verify-filters takes 1/N, such as 1/%u, not '%s'", CW_VERIFY_EVERY_DEFAULT,
		    text);
	return CW_EXIT_USAGE;
}

static int choose(const char *option, const char *text, const char *first, const char *second,
		  int *choice)
{
	*choice = strcmp(text, first) == 0 ? 1 : strcmp(text, second) == 0 ? 2 : 0;
	if (*choice)
		return 0;
	cw_complain("%s takes %s or %s, not '%s'", option, first, second, text);
	return CW_EXIT_USAGE;
}

static int parse_direct(const char *text, int *mode)
{
	static const char *const names[] = {"auto", "on", "off"}; /* as enum cw_direct_mode */

	for (*mode = CW_DIRECT_AUTO; *mode <= CW_DIRECT_OFF; ++*mode) {
		if (strcmp(text, names[*mode]) == 0)
			return 0;
	}
	cw_complain("--direct takes auto, on or off, not '%s'", text);
	return CW_EXIT_USAGE;
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
		return parse_number("-t", text, 1, 1024, &arguments->threads);
	case 'c':
		return parse_number("-c", text, 1, UINT64_MAX, &arguments->packet_count);
	case 's': /* 0: whole packets, as in tcpdump */
		return parse_number("-s", text, 0, UINT32_MAX - 1, &arguments->snaplen);
	case 'C':
		return parse_file_size(text, &arguments->rotate_bytes);
	case 'b':
		return parse_ring(arguments, text);
	case OPTION_PACKETS:
		return parse_number("--packets", text, 0, UINT64_MAX, &arguments->packets);
	case OPTION_REPEAT:
		return parse_number("--repeat", text, 1, CW_REPEAT_MAX, &arguments->repeat);
	case OPTION_SEED:
		return parse_number("--seed", text, 0, UINT64_MAX, &arguments->seed);
	case OPTION_FILTER_TIME:
		return parse_seconds("--filter-time", text, CW_COMPILER_TIME_MS_MAX,
				     &arguments->filter_time_ms);
	case OPTION_FILTER_MEMORY:
		return parse_bytes("--filter-memory", text, UINT64_C(1) << 20, UINT64_C(1) << 40,
				   &arguments->filter_memory);
	case OPTION_BUFFER:
		return parse_bytes("--buffer", text, 1024, UINT64_C(1) << 40,
				   &arguments->buffer_bytes);
	case OPTION_CHUNK:
		result = parse_bytes("--chunk-size", text, 512, UINT64_C(1) << 30,
				     &arguments->chunk_bytes);
		if (result == 0 && (arguments->chunk_bytes & (arguments->chunk_bytes - 1))) {
			cw_complain("--chunk-size takes a power of two");
			result = CW_EXIT_USAGE;
		}
		return result;
	case OPTION_BATCH_BYTES:
		return parse_bytes("--batch-size", text, 1, UINT64_C(1) << 30,
				   &arguments->batch_bytes);
	case OPTION_BATCH_PACKETS:
		return parse_number("--batch-packets", text, 1, 1u << 20,
				    &arguments->batch_packets);
	case OPTION_VERIFY:
		return parse_verify(text, &arguments->verify_every);
	case OPTION_SYNC:
		result = choose("--sync", text, "off", "close", &choice);
		arguments->sync_on_close = choice == 2;
		return result;
	case OPTION_DIRECT:
		return parse_direct(text, &arguments->direct);
	case OPTION_PRECISION:
		return choose("--time-precision", text, "us", "ns", &arguments->precision);
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
	return result;
}
