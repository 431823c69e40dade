/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/traffic.h"
#include "tools/bench/bench.h"
#include "tools/bench/traffic.h"
#include "tools/commands/commands.h"
#include "tools/text/numbers.h"

static int add_file(struct cw_bench_traffic_list *list, const char *path)
{
	struct cw_bench_traffic *traffic = &list->at[list->count];
	const char *slash = strrchr(path, '/');
	struct stat status;

	errno = 0;
	if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
		return cw_fail("%s: %s", path,
			       errno ? strerror(errno)
				     : "not a regular file: it is read several times");
	cw_format_printable(slash ? slash + 1 : path, traffic->name, sizeof(traffic->name));
	snprintf(traffic->path, sizeof(traffic->path), "%s", path);
	traffic->file_bytes = (uint64_t)status.st_size;
	list->count++;
	return 0;
}

static bool is_profile(const char *name)
{
	for (size_t index = 0; cw_traffic_profiles[index]; index++)
		if (strcmp(name, cw_traffic_profiles[index]) == 0)
			return true;
	return false;
}

static int generate(struct cw_bench_traffic_list *list, const struct cw_arguments *arguments,
		    const char *profile, const char *folder)
{
	struct cw_words words = {0};
	struct cw_arguments generated = {.command = CW_GENERATE, .traffic = arguments->traffic};
	char path[CW_BENCH_PATH_BYTES];
	int result;

	generated.traffic.profile = profile;
	snprintf(path, sizeof(path), "%s/%s.pcap", folder, profile);
	if (cw_words_add(&words, path) < 0)
		return cw_complain_no_memory();
	generated.rules.writes = words;
	result = cw_command_generate(&generated);
	free(words.words);
	if (result == 0)
		result = add_file(list, path);
	if (result == 0)
		snprintf(list->at[list->count - 1].name, sizeof(list->at->name), "%s", profile);
	return result;
}

static int generate_all(struct cw_bench_traffic_list *list, const struct cw_arguments *arguments,
			const char *profiles, const char *folder)
{
	char *copy = strdup(profiles), *state = NULL, *name;
	int result = 0;

	if (!copy)
		return cw_complain_no_memory();
	list->is_generated = true;
	for (name = strtok_r(copy, ",", &state); name && result == 0;
	     name = strtok_r(NULL, ",", &state)) {
		if (list->count == CW_BENCH_TRAFFIC_MAX || !is_profile(name))
			result = cw_refuse(
			    "--profile takes up to %u of imix, small, large and mix, not '%s'",
			    CW_BENCH_TRAFFIC_MAX, profiles);
		else
			result = generate(list, arguments, name, folder);
	}
	free(copy);
	if (result == 0 && list->count == 0)
		result = cw_refuse("--profile takes imix, small, large and mix, not ''");
	return result;
}

int cw_bench_find_traffic(struct cw_bench_traffic_list *list, const struct cw_arguments *arguments,
			  const char *profiles, const char *folder)
{
	const char *name = arguments->rest.words[0];
	uint32_t named = arguments->inputs.count + arguments->rest.count - 1;

	if (arguments->traffic.packets == 0)
		return cw_refuse("bench %s: --packets takes a whole number of at least 1", name);
	if (named > 1)
		return cw_refuse("bench %s takes at most one FILE", name);
	if (named == 0)
		return generate_all(
		    list, arguments,
		    arguments->traffic.profile ? arguments->traffic.profile : profiles, folder);
	if (arguments->traffic.profile || cw_arguments_have(arguments, "packets"))
		return cw_refuse("--profile and --packets apply to generated traffic; a FILE is "
				 "read to its end");
	return add_file(list, arguments->inputs.count ? arguments->inputs.words[0]
						      : arguments->rest.words[1]);
}
