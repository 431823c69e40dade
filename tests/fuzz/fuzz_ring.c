/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as the list of a file ring. Names that it gives lie below the list's folder: they are
 * relative, without empty components, "." and "..". No two files have one hidden name.
 */
#include <stdlib.h>
#include <string.h>

#include "core/output/ring_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static void check_name(const char *name)
{
	char padded[8192];

	require(*name && *name != '/' && strlen(name) + 3 < sizeof(padded));
	padded[0] = '/';
	strcpy(padded + 1, name);
	strcat(padded, "/");
	require(!strstr(padded, "//") && !strstr(padded, "/./") && !strstr(padded, "/../"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct cw_ring_files files = {0};
	uint64_t line_count, next;
	char *text;

	if (bytes > 4096)
		return 0;
	text = malloc(bytes + 1);
	require(text != NULL);
	memcpy(text, data, bytes);
	text[bytes] = '\0';
	require(cw_ring_files_parse(&files, text, bytes, &line_count, &next) == 0);
	require(files.count <= line_count);
	for (uint32_t i = 0; i < files.count; i++) {
		const struct cw_ring_file *file = &files.at[i];

		check_name(file->name);
		require(file->is_complete || file->hidden);
		if (file->hidden)
			require(*file->hidden && !strchr(file->hidden, '/'));
		for (uint32_t other = 0; file->hidden && other < i; other++)
			require(!files.at[other].hidden ||
				strcmp(files.at[other].hidden, file->hidden) != 0);
	}
	cw_ring_files_fini(&files);
	free(text);
	return 0;
}
