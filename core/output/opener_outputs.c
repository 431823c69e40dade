/* SPDX-License-Identifier: BSD-3-Clause */
/* The outputs of an opener: the folders that their names lead to, and who their files belong to. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/output/opener_parts.h"

void cw_opener_free_output(struct output *output)
{
	if (output)
		CW_FREE_ALL(output->path, output->prefix, output->suffix, output->ring,
			    output->base, (char *)output->place.folder,
			    (char *)output->target.folder, output);
}

bool cw_opener_has_only_names(const char *path, bool may_be_hidden)
{
	const char *at = path;

	for (;;) {
		const size_t bytes = strcspn(at, "/");
		const bool is_here = !bytes || (bytes == 1 && at[0] == '.');

		if (!is_here && at[0] == '.' && (!may_be_hidden || (bytes == 2 && at[1] == '.')))
			return false;
		if (!at[bytes]) /* the file; before it, "" and "." stay in the folder */
			return !is_here && *path != '/';
		at += bytes + 1;
	}
}

struct output *cw_opener_output_at(const struct cw_opener *opener, uint32_t number)
{
	return number < opener->outputs.count ? opener->outputs.at[number] : NULL;
}

/* Whether the last folders of a path lead from an allowed one to this one, and none of them is
 * hidden: a user's own settings are in such ones. A link of procfs in the path could lead anywhere.
 */
static bool is_open_way(int allowed_fd, const struct cw_target *target, int count)
{
	const char *path = target->folder;
	const char *end = path + strlen(path);
	struct stat status;
	bool result;
	int fd;

	while (count > 0 && end > path) {
		const char *slash;

		end -= end[-1] == '/';
		slash = memrchr(path, '/', (size_t)(end - path));
		end = slash ? slash + 1 : path;
		if (*end == '.')
			return false;
		count--;
	}
	if (!*end)
		return true; /* the allowed one */
	/* A relative path may be shorter: it begins in the current folder, which is below. */
	fd = cw_entry_open_below(count > 0 ? AT_FDCWD : allowed_fd, end,
				 O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	result = !fstatat(fd, "", &status, AT_EMPTY_PATH) &&
		 cw_target_is_same(&status, &target->folder_status);
	close(fd);
	return result;
}

/* Makes the folder found a place; takes the folder from the target. */
static int take_place(struct cw_opener *opener, struct cw_target *target, struct cw_place *place,
		      struct cw_error *error)
{
	int allowed_fd = -1;
	int within =
	    opener->is_closed ? cw_opener_lies_within(opener, target->folder_fd, &allowed_fd) : 1;
	int result;

	if (within < 0)
		return cw_error_set_errno(error, within, "cannot examine the folder %s",
					  target->folder);
	if (!within || !is_open_way(allowed_fd, target, within - 1))
		return cw_error_set(
		    error, -EXDEV,
		    "folder %s is outside the folders that this run may write: start "
		    "it with --allow-folder %s",
		    target->folder, target->folder);
	result = cw_opener_keep(opener, target->folder_fd, &target->folder_status, &place->fd);
	target->folder_fd = -1;
	if (result)
		return cw_error_set(error, result, "too many folders");
	place->folder = target->folder;
	target->folder = NULL;
	return 0;
}

/* A stream of an output is kept open, for whoever confines this process. */
static int keep_stream(struct cw_opener *opener, const struct cw_target *target)
{
	int kept, fd;

	if (target->kind != CW_TARGET_STREAM && target->kind != CW_TARGET_SINK)
		return 0;
	fd = openat(target->folder_fd, target->base,
		    O_PATH | O_CLOEXEC | (target->is_magic ? 0 : O_NOFOLLOW));
	return fd < 0 ? -errno : cw_opener_keep(opener, fd, &target->status, &kept);
}

/* After the start: devices are those of the start, and other files than captures stay. */
static int check_late(const struct cw_opener *opener, const struct cw_target *target,
		      const char *path, struct cw_error *error)
{
	if (!opener->is_closed)
		return 0;
	if (target->kind == CW_TARGET_STREAM && !S_ISFIFO(target->status.st_mode) &&
	    !cw_opener_knows(opener, &target->status))
		return cw_error_set(error, -EPERM,
				    "%.200s is a device file: only the rules of the start write to "
				    "one",
				    path);
	if (target->kind == CW_TARGET_FILE &&
	    !cw_opener_is_capture(target->folder_fd, target->base))
		return cw_error_set(error, -EEXIST,
				    "%.200s exists and is not a capture file, so a reload does not "
				    "replace it: remove it, or choose another name",
				    path);
	return 0;
}

/* Finds what a fixed name leads to. */
static int find_target(const struct cw_opener *opener, const struct output *output,
		       struct cw_target *target, struct cw_opener_found *found,
		       struct cw_error *error)
{
	const struct cw_target_query query = {.standard_output = -1,
					      .owner = cw_opener_owner(opener, output->is_roots),
					      .folders = CW_TARGET_FOLDERS_MAY_MISS,
					      .fixed_bytes = output->fixed_bytes};
	int result = cw_target_find(target, output->path, &query, error);

	if (result)
		return result;
	found->kind = target->kind;
	found->status = target->status;
	found->folder_status = target->folder_status;
	if (target->base)
		memcpy(found->base, target->base,
		       cw_min_size(strlen(target->base) + 1, sizeof(found->base)));
	return 0;
}

/* Keeps the folder and the name that a fixed name leads to. A descriptor of the asking process is
 * not ours, and a folder is refused by the caller. */
static int find_fixed(struct cw_opener *opener, struct output *output,
		      struct cw_opener_found *found, struct cw_error *error)
{
	struct cw_target target;
	int result = find_target(opener, output, &target, found, error);

	if (result)
		return result;
	if (target.kind == CW_TARGET_DESCRIPTOR || !target.base)
		goto out;
	result = check_late(opener, &target, output->path, error);
	if (result)
		goto out;
	result = keep_stream(opener, &target);
	if (result == 0 && (target.kind == CW_TARGET_MISSING || target.kind == CW_TARGET_FILE))
		result = cw_opener_may_write(target.folder_fd);
	if (result)
		cw_error_set_errno(error, result, "cannot write to %s", output->path);
	else
		result = take_place(opener, &target, &output->target, error);
	if (result == 0) {
		output->base = target.base;
		target.base = NULL;
		if (target.kind == CW_TARGET_STREAM && !output->is_roots &&
		    S_ISFIFO(target.status.st_mode) && target.status.st_uid == opener->root)
			output->fifo = target.status;
	}
out:
	cw_target_fini(&target);
	return result;
}

int cw_opener_find(struct cw_opener *opener, uint32_t number, struct cw_opener_found *found,
		   struct cw_error *error)
{
	const struct output *output = cw_opener_output_at(opener, number);
	struct cw_target target;
	int result;

	if (!output)
		return -EINVAL;
	cw_opener_become(opener, output->is_roots);
	*found = (struct cw_opener_found){.number = number,
					  .owner = cw_opener_owner(opener, output->is_roots),
					  .kind = CW_TARGET_MISSING};
	found->given_to = output->is_given ? opener->hooks.user : found->owner;
	if (!output->is_fixed)
		return fstatat(output->place.fd, "", &found->folder_status, AT_EMPTY_PATH) ? -errno
											   : 0;
	result = find_target(opener, output, &target, found, error);
	if (result == 0)
		cw_target_fini(&target);
	return result;
}

static struct output *new_output(const struct cw_opener_output *wanted)
{
	struct output *output = malloc(sizeof(*output));

	if (!output)
		return NULL;
	*output = (struct output){.is_fixed = wanted->is_fixed,
				  .no_clobber = wanted->no_clobber,
				  .sync = wanted->sync,
				  .access = wanted->access,
				  .fixed_bytes = wanted->fixed_bytes,
				  .path = strdup(wanted->path),
				  .prefix = strdup(wanted->prefix),
				  .suffix = strdup(wanted->suffix),
				  .ring = strdup(wanted->ring ? wanted->ring : "")};
	if (output->path && output->prefix && output->suffix && output->ring)
		return output;
	cw_opener_free_output(output);
	return NULL;
}

static int reserve_output(struct cw_opener *opener, uint32_t *number)
{
	if (opener->free_outputs.count) {
		*number = opener->free_outputs.at[--opener->free_outputs.count];
		return 0;
	}
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	if (opener->outputs.count == CW_OPENER_OUTPUTS_MAX || CW_GROW(&opener->outputs, 1))
		return -ENOMEM;
	*number = opener->outputs.count++;
	opener->outputs.at[*number] = NULL;
	/* So that dropping one needs no memory. */
	return cw_grow((void **)&opener->free_outputs.at, &opener->free_outputs.capacity,
		       opener->outputs.count, sizeof(uint32_t));
}

/* Remembers the group of an output; refuses another one once the list is closed. */
static int take_group(struct cw_opener *opener, const struct cw_access *access,
		      struct cw_error *error)
{
	if (!access->has_group)
		return 0;
	for (uint32_t i = 0; i < opener->groups.count; i++) {
		if (opener->groups.at[i] == access->group)
			return 0;
	}
	if (opener->is_closed)
		return cw_error_set(error, -EPERM, "no rule named its group at the start");
	if (CW_GROW(&opener->groups, 1))
		return cw_error_set(error, -ENOMEM, "no memory for another output");
	opener->groups.at[opener->groups.count++] = access->group;
	return 0;
}

/* Whether a file of the output would be hidden, as far as its names are known. */
static bool has_hidden_name(const struct output *output)
{
	const char *base = output->base ? output->base : "x";
	const char *prefix = *output->prefix ? output->prefix : "x";

	return !cw_opener_has_only_names(base, false) || *prefix == '.' || strstr(prefix, "/.");
}

static bool leads_up(const char *path)
{
	return !strncmp(path, "../", 3) || strstr(path, "/../");
}

/* The asking process chooses the name, but only one that no other file has. */
static bool is_list_name(const char *ring)
{
	const size_t bytes = ring ? strlen(ring) : 0;

	return !bytes ||
	       (bytes > sizeof("..ring") - 1 && bytes <= CW_OPENER_LIST_BYTES && ring[0] == '.' &&
		!strchr(ring, '/') && !strcmp(ring + bytes - (sizeof(".ring") - 1), ".ring"));
}

static int check_wanted(const struct cw_opener *opener, const struct cw_opener_output *wanted,
			struct cw_error *error)
{
	if (opener->is_closed && !opener->rules) /* then there are no rules to read again */
		return cw_error_set(error, -EPERM, "this run has all of its outputs");
	if (!is_list_name(wanted->ring))
		return cw_error_set(error, -EINVAL, "it is not the name of a list");
	if (leads_up(wanted->path + wanted->fixed_bytes))
		return cw_error_set(error, -EINVAL,
				    "output name '%.200s': a folder that is made cannot be left "
				    "with '..'; name the folder itself",
				    wanted->path);
	return 0;
}

int cw_opener_add(struct cw_opener *opener, const struct cw_opener_output *wanted,
		  struct cw_opener_found *found, struct cw_error *error)
{
	const bool has_hook = wanted->hook && wanted->hook[0];
	struct output *output;
	struct cw_target folder;
	int result = check_wanted(opener, wanted, error);

	if (result)
		return result;
	result = reserve_output(opener, &found->number);
	if (result)
		return cw_error_set(error, result, "no memory for another output");
	output = new_output(wanted);
	result = output ? take_group(opener, &wanted->access, error)
			: cw_error_set(error, -ENOMEM, "no memory for another output");
	if (result)
		goto failed;
	result = cw_opener_find_writable(opener, wanted->path, wanted->fixed_bytes, &folder, error);
	if (result)
		goto failed;
	output->is_roots = opener->is_root;
	output->is_late = opener->is_closed;
	output->may_be_hidden = !output->is_late && !cw_opener_has_only_names(
							wanted->path + wanted->fixed_bytes, false);
	found->owner = cw_opener_owner(opener, output->is_roots);
	found->given_to = has_hook && opener->hooks.has_user ? opener->hooks.user : found->owner;
	found->kind = CW_TARGET_MISSING;
	found->folder_status = folder.folder_status;
	found->base[0] = '\0';
	result = take_place(opener, &folder, &output->place, error);
	cw_target_fini(&folder);
	if (result == 0 && output->is_fixed)
		result = find_fixed(opener, output, found, error);
	if (result == 0 && output->is_late && has_hidden_name(output))
		result = cw_error_set(error, -EPERM,
				      "hidden files are written by the rules of the start only");
	if (result == 0 && has_hook)
		result = cw_opener_add_hook(opener, output, found->number, wanted->hook, error);
	if (result == 0) {
		opener->outputs.at[found->number] = output;
		return 0;
	}
failed:
	cw_opener_free_output(output);
	opener->free_outputs.at[opener->free_outputs.count++] = found->number;
	return result;
}
