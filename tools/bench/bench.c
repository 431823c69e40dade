/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir bench: measurements, each a sub-command in a file of its own. */
#include <string.h>

#include "core/base/base.h"
#include "tools/bench/bench.h"
#include "tools/commands/commands.h"

/* `options`: those that it takes, by name. */
static const struct bench {
	const char *name;
	int (*run)(const struct cw_arguments *arguments);
	const char *what;
	const char *options;
	uint64_t packets, rounds; /* unless told otherwise */
	bool takes_words;         /* behind its name; it checks them itself */
} benches[] = {
    {"split", cw_bench_split, "the whole pipeline on a file, and what one writes with libpcap",
     "read rules rule-count threads profile packets seed repeat directory json", 1000000, 5, true},
    {"capture", cw_bench_capture, "live capture on a virtual cable, or on devices",
     "interface rules rule-count queues backend frame-size pps duration repeat directory json", 1,
     3, false},
    {"ring", cw_bench_ring, "handing packets from one thread to others",
     "threads packets repeat json", 5000000, 5, true},
    {"write", cw_bench_writing, "writing packets to capture files",
     "threads frame-size packets repeat directory json", 0, 5, false},
    {"filter", cw_bench_filter, "what a file's packets cost by every filter engine",
     "read rules linktype no-optimize resolve filter-time filter-memory packets repeat json",
     100000, 9, false},
    {"decode", cw_bench_decode, "what decoding a file's packets costs, by every way",
     "read linktype packets repeat lazy print-errors print-layers gopacket-compat json", 100000, 9,
     true},
    {"limits", cw_bench_limits, "what this machine can do at all", "threads directory json", 1, 1,
     false},
};

/* Whether the word is in the list, whose words are separated by spaces. */
static bool is_listed(const char *list, const char *word)
{
	size_t bytes = strlen(word);

	while (list) {
		if (strncmp(list, word, bytes) == 0 && (list[bytes] == ' ' || !list[bytes]))
			return true;
		list = strchr(list, ' ');
		list = list ? list + 1 : NULL;
	}
	return false;
}

static int run_bench(const struct bench *bench, const struct cw_arguments *arguments)
{
	struct cw_arguments filled = *arguments;

	for (uint32_t index = 0; index < arguments->given.count; index++) {
		if (is_listed(bench->options, arguments->given.words[index]))
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

int cw_command_bench(const struct cw_arguments *arguments)
{
	const char *word = arguments->rest.count ? arguments->rest.words[0] : "";

	for (size_t index = 0; index < CW_ARRAY_COUNT(benches); index++) {
		if (strcmp(word, benches[index].name) == 0)
			return run_bench(&benches[index], arguments);
	}
	cw_complain("bench measures one of these, not '%s':", word);
	for (size_t index = 0; index < CW_ARRAY_COUNT(benches); index++)
		fprintf(stderr, "  %-10s %s\n", benches[index].name, benches[index].what);
	return CW_EXIT_USAGE;
}
