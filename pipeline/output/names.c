/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "pipeline/output/names.h"
#include "pipeline/rules/template.h"

static uint64_t hash(const char *text)
{
	uint64_t value = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (; *text; text++)
		value = (value ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return value ^ value >> 29;
}

/* Returns the path's entry, or the empty entry where it belongs. The table is never full. */
static struct cw_name *find(const struct cw_names *names, const char *path)
{
	size_t index = hash(path) & (names->capacity - 1);

	while (names->table[index].path && strcmp(names->table[index].path, path) != 0)
		index = (index + 1) & (names->capacity - 1);
	return &names->table[index];
}

static int grow(struct cw_names *names)
{
	struct cw_names grown = {.capacity = names->capacity ? names->capacity * 2 : 256};

	grown.table = calloc(grown.capacity, sizeof(*grown.table));
	if (!grown.table)
		return -1;
	for (size_t index = 0; index < names->capacity; index++) {
		if (names->table[index].path)
			*find(&grown, names->table[index].path) = names->table[index];
	}
	grown.count = names->count;
	free(names->table);
	*names = grown;
	return 0;
}

static char *insert(struct cw_names *names, struct cw_name *entry, const char *path)
{
	char *result = strdup(path);

	entry->path = strdup(path);
	if (!result || !entry->path) {
		free(entry->path);
		entry->path = NULL;
		free(result);
		return NULL;
	}
	entry->next_number = 1;
	names->count++;
	return result;
}

char *cw_names_claim(struct cw_names *names, const char *path)
{
	char numbered[CW_TEMPLATE_PATH_BYTES];
	struct cw_name *first, *entry;

	if (names->count * 2 >= names->capacity && grow(names))
		return NULL;
	first = find(names, path);
	if (!first->path)
		return insert(names, first, path);
	do {
		if (cw_template_numbered(path, first->next_number++, 1, numbered) < 0)
			return NULL;
		entry = find(names, numbered);
	} while (entry->path);
	return insert(names, entry, numbered);
}

char *cw_names_claim_number(struct cw_names *names, const char *path, uint64_t number)
{
	char numbered[CW_TEMPLATE_PATH_BYTES];
	struct cw_name *entry;

	if (names->count * 2 >= names->capacity && grow(names))
		return NULL;
	do {
		if (cw_template_numbered(path, number++, CW_NUMBER_WIDTH, numbered) < 0)
			return NULL;
		entry = find(names, numbered);
	} while (entry->path);
	return insert(names, entry, numbered);
}

void cw_names_forget(struct cw_names *names, const char *path)
{
	struct cw_name *hole = names->capacity ? find(names, path) : NULL;
	size_t mask = names->capacity - 1, at;

	if (!hole || !hole->path)
		return;
	free(hole->path);
	names->count--;
	/* Moves later entries of the run back, if the hole is on their way. */
	at = (size_t)(hole - names->table);
	for (size_t index = (at + 1) & mask; names->table[index].path; index = (index + 1) & mask) {
		size_t home = hash(names->table[index].path) & mask;

		if (((index - home) & mask) < ((index - at) & mask))
			continue;
		names->table[at] = names->table[index];
		at = index;
	}
	names->table[at] = (struct cw_name){0};
}

void cw_names_fini(struct cw_names *names)
{
	for (size_t index = 0; index < names->capacity; index++)
		free(names->table[index].path);
	free(names->table);
	*names = (struct cw_names){0};
}
