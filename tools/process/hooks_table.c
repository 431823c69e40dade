/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands of hooks, by rule (sorted by name) and by output (its number is the index). */
#include <errno.h>
#include <string.h>

#include "core/output/opener.h"
#include "tools/process/hooks_parts.h"

static struct cw_hook_words *new_words(const char *name, char *const *words)
{
	size_t bytes = strlen(name) + 1;
	struct cw_hook_words *made;
	char *at;

	for (char *const *word = words; *word; word++)
		bytes += strlen(*word) + 1;
	made = malloc(sizeof(*made) + bytes);
	if (!made)
		return NULL;
	made->bytes = bytes;
	at = stpcpy(made->words, name) + 1;
	for (; *words; words++)
		at = stpcpy(at, *words) + 1;
	return made;
}

int cw_hooks_table_add(struct cw_hooks_table *table, const char *name, char *const *words)
{
	struct cw_hook_words *made = new_words(name, words);

	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	if (!made || CW_GROW(table, 1)) {
		free(made);
		return -ENOMEM;
	}
	table->at[table->count++] = made;
	return 0;
}

static int compare(const void *left, const void *right)
{
	const struct cw_hook_words *const *one = left, *const *other = right;

	return strcmp((*one)->words, (*other)->words);
}

void cw_hooks_table_sort(struct cw_hooks_table *table)
{
	if (table->count)
		qsort(table->at, table->count, sizeof(struct cw_hook_words *), compare);
}

const struct cw_hook_words *cw_hooks_table_find(const struct cw_hooks_table *table,
						const char *name)
{
	uint32_t low = 0, high = table->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = strcmp(name, table->at[middle]->words);

		if (order == 0)
			return table->at[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Makes room for the output. Returns false without memory. */
static bool reach(struct cw_hooks_table *outputs, uint32_t output)
{
	if (output < outputs->count)
		return true;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	if (output >= CW_OPENER_OUTPUTS_MAX || CW_GROW(outputs, output + 1 - outputs->count))
		return false;
	while (outputs->count <= output)
		outputs->at[outputs->count++] = NULL;
	return true;
}

void cw_hooks_table_set(struct cw_hooks_table *outputs, uint32_t output,
			const struct cw_hook_words *words)
{
	struct cw_hook_words *copy = NULL;

	if (!reach(outputs, output))
		return;
	if (words)
		copy = malloc(sizeof(*copy) + words->bytes);
	if (copy)
		memcpy(copy, words, sizeof(*copy) + words->bytes);
	free(outputs->at[output]);
	outputs->at[output] = copy;
}

const struct cw_hook_words *cw_hooks_table_get(const struct cw_hooks_table *outputs,
					       uint32_t output)
{
	return output < outputs->count ? outputs->at[output] : NULL;
}

void cw_hooks_table_fini(struct cw_hooks_table *table)
{
	for (uint32_t i = 0; i < table->count; i++)
		free(table->at[i]);
	free(table->at);
	*table = (struct cw_hooks_table){0};
}
