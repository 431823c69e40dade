/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of words in the parsed command line, and freeing them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/base.h"
#include "tools/options/options.h"

int cw_words_add(struct cw_words *words, const char *word)
{
	const char **grown = realloc(words->words, (words->count + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	words->words = grown;
	words->words[words->count++] = word;
	return 0;
}

bool cw_arguments_have(const struct cw_arguments *arguments, const char *name)
{
	for (uint32_t i = 0; i < arguments->given.count; i++)
		if (strcmp(arguments->given.words[i], name) == 0)
			return true;
	return false;
}

void cw_arguments_fini(struct cw_arguments *arguments)
{
	const struct cw_words *const lists[] = {
	    &arguments->live.folders,  &arguments->inputs,       &arguments->devices,
	    &arguments->rest,          &arguments->owned,        &arguments->given,
	    &arguments->rules.filters, &arguments->rules.writes, &arguments->lists,
	    &arguments->rules.faults};

	for (uint32_t i = 0; i < arguments->owned.count; i++)
		free((void *)(uintptr_t)arguments->owned.words[i]);
	for (size_t i = 0; i < CW_ARRAY_COUNT(lists); i++)
		free(lists[i]->words);
	*arguments = (struct cw_arguments){0};
}
