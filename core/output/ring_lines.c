/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the lines of a file ring's list: which files it names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/grow.h"
#include "core/output/ring_list.h"

struct reader {
	struct cw_ring_files *files;
	uint64_t next;
	struct cw_index hidden; /* files by their hidden names */
	struct cw_index names;  /* complete files by their names, former names included */
};

void cw_ring_files_fini(struct cw_ring_files *files)
{
	for (uint32_t index = 0; index < files->count; index++) {
		free(files->at[index].name);
		free(files->at[index].hidden);
	}
	CW_GROWN_FINI(files);
}

static uint32_t hash_text(const char *text)
{
	return cw_hash_bytes(text, strlen(text), 0);
}

static struct cw_ring_file *find_hidden(const struct reader *reader, const char *hidden)
{
	uint32_t hash = hash_text(hidden), cursor = hash, found;

	while ((found = cw_index_next(&reader->hidden, hash, &cursor)) != CW_NONE) {
		struct cw_ring_file *file = &reader->files->at[found];

		if (!file->is_gone && file->hidden && !strcmp(file->hidden, hidden))
			return file;
	}
	return NULL;
}

static struct cw_ring_file *find_name(const struct reader *reader, const char *name)
{
	uint32_t hash = hash_text(name), cursor = hash, found;

	while ((found = cw_index_next(&reader->names, hash, &cursor)) != CW_NONE) {
		struct cw_ring_file *file = &reader->files->at[found];

		if (!file->is_gone && file->is_complete && !strcmp(file->name, name))
			return file;
	}
	return NULL;
}

/* Returns whether the name lies below the folder, and nowhere else. */
static bool is_below(const char *name)
{
	if (*name == '/' || !*name)
		return false;
	while (*name) {
		size_t bytes = strcspn(name, "/");

		if (!bytes || !strncmp(name, ".", bytes) ||
		    (bytes == 2 && !strncmp(name, "..", bytes)))
			return false;
		name += bytes;
		if (*name == '/' && !*++name)
			return false;
	}
	return true;
}

/* Returns the file of the line, a new one unless `hidden` is known; NULL: no memory. */
static struct cw_ring_file *take_file(struct reader *reader, const char *hidden, const char *name)
{
	struct cw_ring_file *file = hidden ? find_hidden(reader, hidden) : NULL;
	char *kept = strdup(name);

	if (!file && kept && !CW_GROW(reader->files, 1)) {
		file = &reader->files->at[reader->files->count];
		*file = (struct cw_ring_file){.hidden = hidden ? strdup(hidden) : NULL};
		if ((hidden && !file->hidden) ||
		    (hidden &&
		     cw_index_add(&reader->hidden, hash_text(hidden), reader->files->count))) {
			free(file->hidden);
			file = NULL;
		} else {
			reader->files->count++;
		}
	}
	if (!kept || !file) {
		free(kept);
		return NULL;
	}
	free(file->name);
	file->name = kept;
	return file;
}

static bool parse_number(const char *text, int64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoll(text, &end, 10);
	return *text && !*end && !errno;
}

static int read_file_line(struct reader *reader, char *const *fields)
{
	const char *hidden = strcmp(fields[5], "-") ? fields[5] : NULL;
	int64_t bytes, mtime_ns, content_bytes;
	struct cw_ring_file *file;

	if (!parse_number(fields[2], &bytes) || !parse_number(fields[3], &mtime_ns) ||
	    !parse_number(fields[4], &content_bytes) || bytes < 0 || content_bytes < 0 ||
	    !is_below(fields[1]) || (hidden && (!is_below(hidden) || strchr(hidden, '/'))))
		return 0;
	file = take_file(reader, hidden, fields[1]);
	if (!file || cw_index_add(&reader->names, hash_text(file->name),
				  (uint32_t)(file - reader->files->at)))
		return -ENOMEM;
	file->is_complete = true;
	file->bytes = (uint64_t)bytes;
	file->mtime_ns = mtime_ns;
	file->content_bytes = (uint64_t)content_bytes;
	return 0;
}

/* Reads a line, whose end is cut off. Lines of unknown kinds are skipped. */
static int read_line(struct reader *reader, char *line)
{
	char *fields[6];
	struct cw_ring_file *file;
	int64_t number;
	int count = 0;

	while (count < 6 && line)
		fields[count++] = strsep(&line, "\t");
	if (line)
		return 0;
	if (count == 6 && !strcmp(fields[0], "file"))
		return read_file_line(reader, fields);
	if (count == 3 && !strcmp(fields[0], "part") && is_below(fields[1]) &&
	    !strchr(fields[1], '/') && is_below(fields[2])) {
		file = take_file(reader, fields[1], fields[2]);
		if (file)
			file->is_complete = false;
		return file ? 0 : -ENOMEM;
	}
	if (count == 2 && !strcmp(fields[0], "gone")) {
		file = find_hidden(reader, fields[1]);
		if (!file)
			file = find_name(reader, fields[1]);
		if (file)
			file->is_gone = true;
	} else if (count == 2 && !strcmp(fields[0], "next") && parse_number(fields[1], &number) &&
		   number > 0) {
		reader->next = (uint64_t)number;
	}
	return 0;
}

static void leave_out_gone(struct cw_ring_files *files)
{
	uint32_t left = 0;

	for (uint32_t index = 0; index < files->count; index++) {
		struct cw_ring_file file = files->at[index];

		if (!file.is_gone) {
			files->at[left++] = file;
			continue;
		}
		free(file.name);
		free(file.hidden);
	}
	files->count = left;
}

int cw_ring_files_parse(struct cw_ring_files *files, char *text, size_t bytes, uint64_t *line_count,
			uint64_t *next)
{
	struct reader reader = {.files = files};
	char *line = memchr(text, '\n', bytes); /* after the header */
	char *end;
	int failure = 0;

	*line_count = 0;
	while (!failure && line &&
	       (end = memchr(line + 1, '\n', (size_t)(text + bytes - line - 1)))) {
		*end = '\0';
		failure = read_line(&reader, line + 1);
		++*line_count;
		line = end;
	}
	cw_index_fini(&reader.hidden);
	cw_index_fini(&reader.names);
	if (failure) {
		cw_ring_files_fini(files);
		return failure;
	}
	leave_out_gone(files);
	*next = reader.next;
	return 0;
}
