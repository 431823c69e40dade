/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"
#include "core/filter/text/compiler.h"
#include "pipeline/pipeline.h"
#include "tools/options/table.h"
#include "tools/options/values.h"

#define DAY_MS (UINT64_C(86400) * 1000)

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
	uint32_t index;

	free(arguments->inputs.words);
	free(arguments->devices.words);
	free(arguments->filters.words);
	free(arguments->writes.words);
	free(arguments->rest.words);
	for (index = 0; index < arguments->owned.count; index++)
		free((void *)(uintptr_t)arguments->owned.words[index]);
	free(arguments->owned.words);
	*arguments = (struct cw_arguments){0};
}

static int add_word(struct cw_words *words, const char *word)
{
	if (cw_words_add(words, word) == 0)
		return 0;
	cw_complain("no memory");
	return CW_EXIT_PROBLEM;
}

/* A benchmark tries several of what other commands have one of. */
static int take_list(struct cw_arguments *arguments, int id, const char *text)
{
	if (arguments->command != CW_BENCH)
		return -1;
	switch (id) {
	case 't':
		arguments->thread_list = text;
		return 0;
	case OPTION_QUEUES:
		arguments->queue_list = text;
		return 0;
	case OPTION_RULE_COUNT:
		arguments->rule_counts = text;
		return 0;
	case OPTION_FRAME_SIZE:
		arguments->frame_sizes = text;
		return 0;
	default:
		return -1;
	}
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
	case OPTION_MODE:
		arguments->mode = text;
		return 0;
	case OPTION_ENGINE:
		arguments->engine = text;
		return 0;
	case 'z':
		arguments->hook = text;
		return 0;
	case 'Z':
		arguments->user = text;
		return 0;
	case OPTION_METRICS:
		arguments->metrics = text;
		return 0;
	case OPTION_CONTROL:
		arguments->control = text;
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
		return cw_option_bytes("-s", text, 1, 0, UINT32_MAX - 1, &arguments->snaplen);
	case 'C':
		return cw_option_bytes("-C", text, 1000000, 1, UINT64_MAX,
				       &arguments->rotate_bytes);
	case 'b':
		return cw_option_ring(arguments, text);
	case 'W':
		arguments->has_file_count = true;
		return cw_option_number("-W", text, 1, INT64_MAX, &arguments->ring_files);
	case 'G':
		return cw_option_period(arguments, "-G", text, false);
	case OPTION_PACKETS:
		arguments->has_packets = true;
		return cw_option_number("--packets", text, 0, UINT64_MAX, &arguments->packets);
	case OPTION_REPEAT:
		return cw_option_number("--repeat", text, 1, CW_REPEAT_MAX, &arguments->repeat);
	case OPTION_SEED:
		return cw_option_number("--seed", text, 0, UINT64_MAX, &arguments->seed);
	case OPTION_FILTER_TIME:
		return cw_option_ms("--filter-time", text, CW_NS_PER_S, CW_COMPILER_TIME_MS_MAX,
				    &arguments->filter_time_ms);
	case OPTION_FILTER_MEMORY:
		return cw_option_bytes("--filter-memory", text, 1, UINT64_C(1) << 20,
				       UINT64_C(1) << 40, &arguments->filter_memory);
	case OPTION_BUFFER:
		return cw_option_bytes("--buffer", text, 1, 1024, UINT64_C(1) << 40,
				       &arguments->buffer_bytes);
	case OPTION_CHUNK:
		result = cw_option_bytes("--chunk-size", text, 1, 512, UINT64_C(1) << 30,
					 &arguments->chunk_bytes);
		if (result == 0 && (arguments->chunk_bytes & (arguments->chunk_bytes - 1))) {
			cw_complain("--chunk-size takes a power of two");
			result = CW_EXIT_USAGE;
		}
		return result;
	case OPTION_BATCH_BYTES:
		return cw_option_bytes("--batch-size", text, 1, 1, UINT64_C(1) << 30,
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
		return cw_option_bytes("-B", text, 1024, 1024, UINT64_C(1) << 40,
				       &arguments->ring_bytes);
	case OPTION_QUEUES:
		return cw_option_number("--queues", text, 1, CW_LIVE_QUEUES_MAX,
					&arguments->queues);
	case OPTION_BLOCK:
		return cw_option_bytes("--block-size", text, 1, 4096, CW_LIVE_BLOCK_BYTES_MAX,
				       &arguments->block_bytes);
	case OPTION_REALTIME:
		return cw_option_number("--realtime", text, 1, 99, &arguments->realtime);
	case OPTION_RETIRE:
		return cw_option_ms("--block-timeout", text, CW_NS_PER_S / 1000,
				    CW_LIVE_RETIRE_MS_MAX, &arguments->retire_ms);
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
		return cw_option_ms("--stats", text, CW_NS_PER_S, DAY_MS, &arguments->stats_ms);
	case OPTION_DURATION:
		return cw_option_ms("--duration", text, CW_NS_PER_S, 366 * DAY_MS,
				    &arguments->duration_ms);
	case OPTION_DRAIN:
		return cw_option_ms("--drain-timeout", text, CW_NS_PER_S, DAY_MS,
				    &arguments->drain_ms);
	case OPTION_HOOK_TIME:
		return cw_option_ms("--hook-timeout", text, CW_NS_PER_S, DAY_MS,
				    &arguments->hook_ms);
	case OPTION_DIRECT:
		return cw_option_direct(text, &arguments->direct);
	case OPTION_PPS:
		return cw_option_number("--pps", text, 1, CW_NS_PER_S, &arguments->rate);
	case OPTION_SPEED:
		return cw_option_factor("--speed", text, &arguments->speed);
	case OPTION_LOOP:
		return cw_option_number("--loop", text, 0, UINT64_MAX, &arguments->loops);
	case OPTION_CUT:
		return cw_option_choose("--cut", text, "skip", "send", &arguments->cut);
	case OPTION_PRECISION:
		return cw_option_choose("--time-precision", text, "us", "ns",
					&arguments->precision);
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
	case 'D':
		arguments->lists_devices = true;
		break;
	case 'L':
		arguments->lists_linktypes = true;
		break;
	case 'J':
		arguments->lists_clocks = true;
		break;
	case OPTION_OWN_CABLE:
		arguments->own_cable = true;
		break;
	case OPTION_TOPSPEED:
		arguments->topspeed = true;
		break;
	case 'q':
		arguments->quiet = true;
		break;
	case OPTION_JSON:
		arguments->json = true;
		break;
	case OPTION_DRY_RUN:
		arguments->dry_run = true;
		break;
	case OPTION_LAZY:
		arguments->lazy = true;
		break;
	case OPTION_PRINT_ERRORS:
		arguments->print_errors = true;
		break;
	case OPTION_PRINT_LAYERS:
		arguments->print_layers = true;
		break;
	case OPTION_GOPACKET_COMPAT:
		arguments->gopacket_compat = true;
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

static const struct cw_option_row *find_row(int id)
{
	size_t index;

	for (index = 0; index < cw_option_row_count; index++) {
		/* The rows of OPTION_NOT_YET share it; any of them says what there is to say. */
		if (cw_option_rows[index].id == id)
			return &cw_option_rows[index];
	}
	return NULL;
}

/* The table as getopt_long wants it. */
static void make_getopt_tables(char *letters, struct option *longs)
{
	size_t index;

	/* "+" would stop at the first positional word; tcpdump users put them anywhere. */
	*letters++ = ':';
	for (index = 0; index < cw_option_row_count; index++) {
		const struct cw_option_row *row = &cw_option_rows[index];

		if (row->id < CW_LETTERLESS) {
			*letters++ = (char)row->id;
			if (row->argument)
				*letters++ = ':';
		}
		if (row->name)
			*longs++ = (struct option){row->name,
						   cw_option_is_optional(row) ? optional_argument
						   : row->argument            ? required_argument
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
	const struct cw_option_row *row = find_row(id);
	int result;

	if (row->commands == CW_NOT_YET) {
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
	if (arguments->given_count < CW_GIVEN_MAX)
		arguments->given[arguments->given_count++] = row->name;
	if (!row->argument) {
		take_flag(arguments, id);
		return 0;
	}
	result = take_list(arguments, id, optarg);
	if (result < 0)
		result = take_text(arguments, id, optarg);
	return result >= 0 ? result : take_number(arguments, id, optarg);
}

int cw_options_parse(struct cw_arguments *arguments, enum cw_command command, int argc,
		     char *const *argv)
{
	char letters[2 * CW_OPTION_ROWS_MAX + 2];
	struct option longs[CW_OPTION_ROWS_MAX + 1];
	int result = 0;
	int id;

	*arguments =
	    (struct cw_arguments){.command = command, .packets = 1000000, .loops = 1, .seed = 1};
	make_getopt_tables(letters, longs);
	optind = 1;
	while (result == 0 && (id = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		/* The word that getopt took the option from: "-xVALUE", "--name=VALUE", ... */
		const char *word =
		    argv[optind - 1] == optarg && optarg ? argv[optind - 2] : argv[optind - 1];

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
