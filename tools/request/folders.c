/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/output/target.h"
#include "pipeline/pipeline.h"
#include "pipeline/rules/template.h"
#include "tools/request/folders.h"

/* Returns whether the rule's files lie beside its plain name, whatever that is. */
static bool is_numbered(const struct cw_rule *rule)
{
	struct cw_template *name;
	bool result;

	if (cw_template_parse(&name, rule->write, NULL, NULL) < 0)
		return false;
	result = cw_rule_is_numbered(rule, name);
	cw_template_free(name);
	return result;
}

/* Returns the folder of an output, or the output itself if it is opened in place. Returns NULL for
 * descriptors, if the folder depends on packets, or without memory (*result). */
static char *folder_of(const struct cw_pipeline_options *options, const struct cw_rule *rule,
		       int *result)
{
	const struct cw_target_query query = {.standard_output = STDOUT_FILENO,
					      .owner = options->output.owner,
					      .is_later = is_numbered(rule)};
	const char *write = rule->write;
	const char *directory = write[0] == '/' ? NULL : options->output.directory;
	struct cw_target target;
	char *path, *slash;

	*result = 0;
	if (strcmp(write, "-") == 0)
		return NULL;
	if (asprintf(&path, "%s%s%s", directory ? directory : "", directory ? "/" : "", write) <
	    0) {
		*result = -ENOMEM;
		return NULL;
	}
	slash = strrchr(path, '/');
	if (cw_target_find(&target, path, &query, NULL) == 0) {
		if (target.kind == CW_TARGET_MISSING || target.kind == CW_TARGET_FILE ||
		    target.kind == CW_TARGET_LINK) {
			free(path);
			path = strdup(target.folder[0] ? target.folder : ".");
		} else if (target.kind == CW_TARGET_DESCRIPTOR) {
			free(path);
			path = NULL;
		}
		cw_target_fini(&target);
		return path;
	}
	/* Without a folder of this name; the start refuses it unless it is a template. */
	if ((slash && memchr(path, '%', (size_t)(slash - path))) ||
	    (slash && memchr(path, '{', (size_t)(slash - path)))) {
		free(path);
		return NULL;
	}
	if (!slash)
		strcpy(path, ".");
	else if (slash == path)
		slash[1] = '\0';
	else
		*slash = '\0';
	return path;
}

static int add(struct cw_folders *folders, char *folder)
{
	char **grown;

	for (uint32_t index = 0; index < folders->count; index++) {
		if (strcmp(folders->at[index], folder) == 0) {
			free(folder);
			return 0;
		}
	}
	grown = realloc(folders->at, (folders->count + 1) * sizeof(*grown));
	if (!grown) {
		free(folder);
		return -ENOMEM;
	}
	folders->at = grown;
	folders->at[folders->count++] = folder;
	return 0;
}

int cw_folders_find(struct cw_folders *folders, const struct cw_pipeline_options *options)
{
	int result;

	*folders = (struct cw_folders){0};
	for (uint32_t index = 0; index < options->rules->count; index++) {
		char *folder = folder_of(options, &options->rules->rules[index], &result);

		if (folder)
			result = add(folders, folder);
		if (result < 0)
			return result;
	}
	return 0;
}

int cw_folders_check(const struct cw_folders *folders, struct cw_error *error)
{
	for (uint32_t index = 0; index < folders->count; index++) {
		if (faccessat(AT_FDCWD, folders->at[index], W_OK | X_OK, AT_EACCESS))
			return cw_error_set_errno(
			    error, -errno, "cannot write to the folder %.400s", folders->at[index]);
	}
	return 0;
}

void cw_folders_fini(struct cw_folders *folders)
{
	while (folders->count)
		free(folders->at[--folders->count]);
	free(folders->at);
	*folders = (struct cw_folders){0};
}
