/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first numbers of live outputs that rotate: one more than the highest number that an earlier
 * run's file has, so that no such file is replaced. Reads each folder once for the rules that
 * follow each other in it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/grow.h"
#include "pipeline/setup/setup.h"

#define FOLDERS_MAX 10000u /* folders of one template */

static void words_fini(struct cw_words *words)
{
	while (words->count)
		free(words->at[--words->count]);
	free(words->at);
	*words = (struct cw_words){0};
}

static int words_add(struct cw_words *words, const char *text)
{
	char *copy = strdup(text);

	if (!copy || CW_GROW(words, 1) < 0) {
		free(copy);
		return -ENOMEM;
	}
	words->at[words->count++] = copy;
	return 0;
}

static int compare_words(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

int cw_setup_folder(const struct cw_outputs *outputs, const struct cw_output *output,
		    struct cw_folder *folder)
{
	char path[CW_TEMPLATE_PATH_BYTES];

	if (output->is_asked) {
		*folder = cw_asking_folder(outputs->asking, output->asked, output->owner);
		return 0;
	}
	cw_template_prefix(output->name, output->rule->name, path);
	path[cw_template_fixed_folder(output->name)] = 0;
	return cw_folder_open(folder, *path ? path : ".");
}

/* Opens a folder of the output to read its names. Returns its descriptor, or a negative errno;
 * -ENOENT, too, for a folder that no file of the output can be in. */
static int open_names(const struct cw_outputs *outputs, const struct cw_output *output,
		      const char *path)
{
	struct cw_folder folder;
	int result = cw_setup_folder(outputs, output, &folder);

	if (result == 0) {
		result = folder.ops->names(&folder, path + cw_template_fixed_folder(output->name));
		cw_folder_close(&folder);
	}
	return result == -ENOTDIR || result == -ELOOP ? -ENOENT : result;
}

/* Fills the names of the folder. 0, also for a folder that is missing, or a negative errno. */
static int list(struct cw_folder_names *listing, const struct cw_outputs *outputs,
		const struct cw_output *output, const char *folder)
{
	const struct dirent *entry;
	int status = 0, fd;
	DIR *stream;

	if (listing->folder && !strcmp(listing->folder, folder))
		return 0;
	words_fini(&listing->names);
	free(listing->folder);
	listing->folder = strdup(folder);
	if (!listing->folder)
		return -ENOMEM;
	fd = open_names(outputs, output, folder);
	if (fd < 0)
		return fd == -ENOENT ? 0 : fd;
	stream = fdopendir(fd);
	if (!stream) {
		close(fd);
		return -ENOMEM;
	}
	for (errno = 0; !status && (entry = readdir(stream)) != NULL; errno = 0)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			status = words_add(&listing->names, entry->d_name);
	if (!status)
		status = -errno;
	closedir(stream);
	if (!status && listing->names.count)
		qsort(listing->names.at, listing->names.count, sizeof(char *), compare_words);
	return status;
}

/* Returns the index of the first name that is not less than the beginning. */
static uint32_t find_first(const struct cw_words *names, const char *beginning)
{
	uint32_t low = 0, high = names->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (strcmp(names->at[middle], beginning) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Visits the output's files in the folder, and adds the folders below to look at. */
static int look_into(const struct cw_output *output, const struct cw_folder_visitor *visitor,
		     const char *folder, struct cw_words *folders)
{
	struct cw_folder_names *listing = visitor->names;
	char prefix[CW_TEMPLATE_PATH_BYTES], path[CW_TEMPLATE_PATH_BYTES];
	size_t folder_bytes = strlen(folder);
	const char *beginning;
	uint64_t number;
	int status = list(listing, visitor->outputs, output, folder);

	cw_template_prefix(output->name, output->rule->name, prefix);
	if (output->is_numbered) /* the number precedes the extension */
		prefix[cw_template_extension(prefix) - prefix] = 0;
	beginning = strlen(prefix) > folder_bytes ? prefix + folder_bytes : "";
	for (uint32_t i = find_first(&listing->names, beginning);
	     !status && i < listing->names.count; i++) {
		const char *name = listing->names.at[i];

		if (strncmp(name, beginning, strlen(beginning)) != 0)
			break;
		if (snprintf(path, sizeof(path) - 1, "%s%s", folder, name) >= (int)sizeof(path) - 1)
			continue;
		if (cw_template_match(output->name, output->rule->name, path, &number))
			status = visitor->visit(visitor->context, path, number);
		if (status)
			break;
		strcat(path, "/");
		if (folders->count < FOLDERS_MAX &&
		    cw_template_match_folder(output->name, output->rule->name, path))
			status = words_add(folders, path);
	}
	return status;
}

int cw_setup_visit(const struct cw_output *output, const struct cw_folder_visitor *visitor,
		   struct cw_error *error)
{
	char folder[CW_TEMPLATE_PATH_BYTES];
	struct cw_words folders = {0};
	int status;

	cw_template_prefix(output->name, output->rule->name, folder);
	*(strrchr(folder, '/') ? strrchr(folder, '/') + 1 : folder) = 0;
	status = words_add(&folders, folder);
	if (status)
		cw_error_set_errno(error, status, "rule %s: cannot look for its files",
				   output->rule->name);
	for (uint32_t i = 0; !status && i < folders.count; i++) {
		status = look_into(output, visitor, folders.at[i], &folders);
		if (status)
			cw_error_set_errno(error, status,
					   "rule %s: cannot read the folder %s, to find the rule's "
					   "files",
					   output->rule->name,
					   *folders.at[i] ? folders.at[i] : ".");
	}
	words_fini(&folders);
	return status;
}

void cw_folder_names_fini(struct cw_folder_names *names)
{
	words_fini(&names->names);
	free(names->folder);
	*names = (struct cw_folder_names){0};
}

/* Raises the output's first number above that of a file. */
static int raise_number(void *context, const char *path, uint64_t number)
{
	struct cw_output *output = context;

	(void)path;
	if (number >= output->first_number && number < UINT32_MAX)
		output->first_number = (uint32_t)number + 1;
	return 0;
}

bool cw_setup_has_ring(const struct cw_rules *rules, const struct cw_rule *rule)
{
	return rule->ring_files || rule->ring_bytes || rules->total_bytes || rules->free_bytes;
}

bool cw_setup_has_list(const struct cw_outputs *outputs, const struct cw_output *output,
		       const struct cw_rules *rules, const struct cw_rule *rule)
{
	return !output->is_stream && !output->name->is_stdout && !rule->is_count &&
	       (cw_rule_rotates(rule) || output->name->has_kind[CW_PART_TIME] ||
		output->name->has_kind[CW_PART_IFACE]) &&
	       cw_setup_has_ring(rules, rule) && outputs->run->is_live;
}

bool cw_setup_has_numbers(const struct cw_output *output)
{
	return cw_rule_rotates(output->rule) &&
	       (output->is_numbered || output->name->has_kind[CW_PART_SEQ]);
}

int cw_setup_numbers(const struct cw_outputs *outputs, struct cw_output *first, uint32_t count,
		     struct cw_error *error)
{
	struct cw_folder_names names = {0};
	int status = 0;

	for (uint32_t i = 0; outputs->run->is_live && !status && i < count; i++) {
		const struct cw_folder_visitor visitor = {outputs, &names, raise_number, &first[i]};

		if (cw_setup_has_numbers(&first[i]))
			status = cw_setup_visit(&first[i], &visitor, error);
	}
	cw_folder_names_fini(&names);
	return status;
}
