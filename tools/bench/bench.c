/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir bench: one sub-command for each measurement, each in a separate file. */
#include <string.h>

#include "core/base/base.h"
#include "core/base/near.h"
#include "tools/bench/bench.h"
#include "tools/commands/commands.h"
#include "tools/options/table.h"

/* The sub-commands; tools/options has their texts. */
static const struct bench {
	const char *name;
	int (*run)(const struct cw_arguments *arguments);
	uint64_t packets, rounds; /* defaults of --packets and --repeat */
	bool takes_words;         /* it checks words after its name itself */
} benches[] = {
    {"split", cw_bench_split, 1000000, 5, true},   {"capture", cw_bench_capture, 1, 3, false},
    {"ring", cw_bench_ring, 5000000, 5, true},     {"write", cw_bench_writing, 0, 5, false},
    {"filter", cw_bench_filter, 100000, 9, false}, {"decode", cw_bench_decode, 100000, 9, true},
    {"serial", cw_bench_serial, 500000, 3, true},  {"limits", cw_bench_limits, 1, 1, false},
};

/* Returns whether the benchmark has the option. */
static bool takes(const struct bench *bench, const char *name)
{
	const struct cw_command_text *page = cw_command_page("bench", bench->name);

	for (size_t index = 0; index < cw_option_row_count; index++)
		if (strcmp(cw_option_rows[index].name, name) == 0)
			return cw_option_belongs(&cw_option_rows[index], page);
	return false;
}

static int run_bench(const struct bench *bench, const struct cw_arguments *arguments)
{
	struct cw_arguments filled = *arguments;

	for (uint32_t index = 0; index < arguments->given.count; index++) {
		if (takes(bench, arguments->given.words[index]))
			continue;
		return cw_refuse("bench %s does not take --%s", bench->name,
				 arguments->given.words[index]);
	}
	if (arguments->rest.count > 1 && !bench->takes_words)
		return cw_refuse("bench %s takes no other words, not '%s'", bench->name,
				 arguments->rest.words[1]);
	if (!cw_arguments_have(arguments, "packets"))
		filled.traffic.packets = bench->packets;
	if (!filled.bench.repeat)
		filled.bench.repeat = bench->rounds;
	return bench->run(&filled);
}

static int refuse_name(const char *word)
{
	struct cw_near near = {.word = word, .bytes = strlen(word)};
	char meant[CW_NEAR_TEXT_BYTES];

	for (size_t index = 0; index < CW_ARRAY_COUNT(benches); index++)
		cw_near_offer(&near, benches[index].name);
	cw_near_say(&near, "'", "'", meant, sizeof(meant));
	if (*word)
		cw_complain("unknown benchmark '%s'%s%s", word, meant[0] ? ";" : "", meant);
	cw_complain("bench needs the name of one of these:");
	for (size_t index = 0; index < CW_ARRAY_COUNT(benches); index++)
		cw_print(stderr, "  %-10s %s\n", benches[index].name,
			 cw_command_page("bench", benches[index].name)->summary);
	return CW_EXIT_USAGE;
}

int cw_command_bench(const struct cw_arguments *arguments)
{
	const char *word = arguments->rest.count ? arguments->rest.words[0] : "";

	for (size_t index = 0; index < CW_ARRAY_COUNT(benches); index++) {
		if (strcmp(word, benches[index].name) == 0)
			return run_bench(&benches[index], arguments);
	}
	return refuse_name(word);
}
