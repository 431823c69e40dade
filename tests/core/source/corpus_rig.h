/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of the shared corpus. */
#ifndef CW_TESTS_CORE_SOURCE_CORPUS_RIG_H
#define CW_TESTS_CORE_SOURCE_CORPUS_RIG_H

#include "tests/core/source/source_rig.h"

static inline const char *find_corpus(void)
{
	const char *path = getenv("CAPWEIR_CORPUS");

	if (!path)
		path = CW_ROOT "/../shared/corpus";
	if (!access(path, R_OK))
		return path;
	printf("skipped: no corpus at %s (set CAPWEIR_CORPUS)\n", path);
	return NULL;
}

/* Call `check` for each file of the corpus; skips the test when there is none. */
static inline void for_corpus(void (*check)(const char *path, const char *name))
{
	const char *corpus = find_corpus();
	struct dirent *entry;
	size_t count = 0;
	char path[1024];
	DIR *list;

	if (!corpus)
		skip();
	list = opendir(corpus);
	assert_non_null(list);
	while ((entry = readdir(list))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "MANIFEST.tsv"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", corpus, entry->d_name);
		check(path, entry->d_name);
		count++;
	}
	closedir(list);
	printf("%zu files\n", count);
	assert_true(count > 0);
}

#endif
