/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of an opener's outputs. The calls are those of entry.c, in a place (target.h): a name
 * leads into the folder that was opened when its output was added.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "core/output/opener_parts.h"

static struct file *find_file(const struct cw_opener *opener, uint32_t handle)
{
	return handle < opener->files.count ? opener->files.at[handle] : NULL;
}

/* Acts with the rights that the file needs. */
static void act_for(struct cw_opener *opener, const struct file *file)
{
	cw_opener_become(opener, file->was_given || opener->outputs.at[file->output]->is_roots);
}

const struct cw_entry *cw_opener_entry(const struct cw_opener *opener, uint32_t handle)
{
	const struct file *file = find_file(opener, handle);

	return file ? &file->entry : NULL;
}

bool cw_opener_is_name(const struct output *output, const char *name)
{
	size_t bytes = strlen(name);
	size_t prefix_bytes = strlen(output->prefix);
	size_t suffix_bytes = strlen(output->suffix);

	return bytes >= prefix_bytes + suffix_bytes &&
	       !memcmp(name, output->prefix, prefix_bytes) &&
	       !strcmp(name + bytes - suffix_bytes, output->suffix) &&
	       cw_opener_has_only_names(name, output->may_be_hidden);
}

static bool is_name_of(const struct output *output, const char *path)
{
	return strncmp(path, output->path, output->fixed_bytes) == 0 &&
	       cw_opener_is_name(output, path + output->fixed_bytes);
}

/* Whether this is the name of a fixed output's first file, which leads where it led at the start.
 */
static bool is_first(const struct output *output, const char *path)
{
	return output->is_fixed && output->base && strcmp(path, output->path) == 0;
}

bool cw_opener_is_random(const char *text)
{
	return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") >=
	       CW_ENTRY_RANDOM_CHARS;
}

int cw_opener_add_file(struct cw_opener *opener, uint32_t number, uint32_t *handle)
{
	struct file *file = calloc(1, sizeof(*file));
	int result = file ? 0 : -ENOMEM;

	if (result == 0 && opener->free_files.count) {
		*handle = opener->free_files.at[--opener->free_files.count];
	} else if (result == 0) {
		if (opener->files.count == CW_OPENER_FILES_MAX)
			result = -ENFILE;
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
		else if (CW_GROW(&opener->files, 1) ||
			 cw_grow((void **)&opener->free_files.at, &opener->free_files.capacity,
				 opener->files.count + 1u, sizeof(uint32_t)))
			result = -ENOMEM;
		else
			*handle = opener->files.count++;
	}
	if (result) {
		free(file);
		return result;
	}
	file->output = number;
	opener->files.at[*handle] = file;
	opener->outputs.at[number]->file_count++;
	return 0;
}

void cw_opener_forget(struct cw_opener *opener, uint32_t handle)
{
	struct file *file = find_file(opener, handle);

	if (!file)
		return;
	opener->outputs.at[file->output]->file_count--;
	cw_entry_fini(&file->entry);
	free(file);
	opener->files.at[handle] = NULL;
	opener->free_files.at[opener->free_files.count++] = handle;
}

/* Gives a published file to another output of its ring, in whose place it has another folder's
 * text. Returns whether it has one. */
static bool hand_over(struct file *file, struct output *output, struct output *heir,
		      uint32_t heir_number)
{
	const struct cw_place *places[] = {&heir->place, heir->base ? &heir->target : NULL};
	const struct cw_place *before = file->options.place;

	if (file->entry.kind != CW_ENTRY_PUBLISHED || heir->is_roots != output->is_roots ||
	    !*heir->ring || strcmp(heir->ring, output->ring) != 0)
		return false;
	for (size_t i = 0; i < CW_ARRAY_COUNT(places) && places[i]; i++) {
		char *directory;

		if (places[i]->fd != before->fd)
			continue;
		if (asprintf(&directory, "%s%s", places[i]->folder,
			     file->entry.directory + strlen(before->folder)) < 0)
			return false;
		free(file->entry.directory);
		file->entry.directory = directory;
		file->options.place = places[i];
		file->output = heir_number;
		output->file_count--;
		heir->file_count++;
		return true;
	}
	return false;
}

int cw_opener_drop(struct cw_opener *opener, uint32_t number, uint32_t heir_number)
{
	struct output *output = cw_opener_output_at(opener, number);
	struct output *heir =
	    heir_number == number ? NULL : cw_opener_output_at(opener, heir_number);

	if (!output)
		return -EINVAL;
	for (uint32_t i = 0; output->file_count && i < opener->files.count; i++) {
		struct file *file = opener->files.at[i];

		if (file && file->output == number &&
		    !(heir && hand_over(file, output, heir, heir_number)))
			cw_opener_forget(opener, i);
	}
	if (output->has_hook)
		cw_opener_drop_hook(opener, number);
	cw_opener_free_output(output);
	opener->outputs.at[number] = NULL;
	opener->free_outputs.at[opener->free_outputs.count++] = number;
	return 0;
}

/* Fills the options and the path of a new file. */
static int init_entry(struct file *file, const struct output *output,
		      const struct cw_opener_wish *wish)
{
	const bool is_fixed = is_first(output, wish->path);
	char *name;
	int result;

	file->options = (struct cw_outfile_options){
	    /* The file that is there was given away too. */
	    .is_later = !is_fixed || output->is_given || wish->flags & CW_OPENER_IS_LATER,
	    .access = output->access,
	    .makes_folders = true,
	    .place = is_fixed ? &output->target : &output->place,
	    .fixed_bytes = is_fixed ? strlen(output->target.folder) : output->fixed_bytes,
	    .sync = false, /* by the caller, for several files at once */
	    .standard_output = -1,
	};
	if (!is_fixed)
		return cw_entry_init(&file->entry, wish->path, &file->options);
	if (asprintf(&name, "%s%s", output->target.folder, output->base) < 0)
		return -ENOMEM;
	result = cw_entry_init(&file->entry, name, &file->options);
	free(name);
	return result;
}

/* Opens a FIFO of root in a folder of the owner, as root: the one that was there at the start. */
static int open_fifo(struct cw_opener *opener, const struct output *output, struct cw_entry *entry,
		     int *result)
{
	struct stat status;
	int failure, fd;

	cw_opener_become(opener, true);
	do
		fd = openat(output->target.fd, output->base,
			    O_WRONLY | O_NOCTTY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return errno == ENXIO ? CW_ENTRY_NO_READER : errno == ELOOP ? -ESTALE : -errno;
	failure = fstat(fd, &status) ? -errno : 0;
	if (failure == 0 && !cw_target_is_same(&status, &output->fifo))
		failure = -ESTALE;
	if (failure == 0 && fcntl(fd, F_SETFL, 0))
		failure = -errno;
	if (failure) {
		close(fd);
		return failure;
	}
	entry->kind = CW_ENTRY_IN_PLACE;
	*result = fd;
	return 0;
}

int cw_opener_open(struct cw_opener *opener, const struct cw_opener_wish *wish, uint32_t *handle,
		   int *fd, struct cw_error *error)
{
	struct output *output = cw_opener_output_at(opener, wish->output);
	struct file *file;
	uid_t owner;
	int result;

	if (!output || strlen(wish->random) != CW_ENTRY_RANDOM_CHARS ||
	    !cw_opener_is_random(wish->random) ||
	    !(is_first(output, wish->path) || is_name_of(output, wish->path)))
		return cw_error_set(error, -EPERM, "it is not a name of this output");
	result = cw_opener_add_file(opener, wish->output, handle);
	if (result)
		return cw_error_set_errno(error, result, "cannot open another file");
	output->has_opened = true;
	file = opener->files.at[*handle];
	result = init_entry(file, output, wish);
	if (result == 0) {
		memcpy(file->entry.random, wish->random, sizeof(file->entry.random));
		owner = cw_opener_owner(opener, output->is_roots);
		cw_opener_become(opener, output->is_roots);
		result = output->fifo.st_ino && !file->options.is_later
			     ? open_fifo(opener, output, &file->entry, fd)
			     : cw_entries_here.ops->open(&owner, &file->entry, fd, error);
	}
	if (result)
		cw_opener_forget(opener, *handle);
	return result;
}

int cw_opener_reopen(struct cw_opener *opener, uint32_t handle, int *fd, struct cw_error *error)
{
	struct file *file = find_file(opener, handle);

	if (!file || file->entry.kind != CW_ENTRY_REGULAR)
		return -EINVAL;
	act_for(opener, file);
	return cw_entries_here.ops->reopen(NULL, &file->entry, fd, error);
}

/* Gives a file another name in its folder. */
static int change_name(const struct output *output, struct cw_entry *entry, const char *base)
{
	const char *slash = strrchr(entry->path, '/');
	char *path;
	int result;

	if (asprintf(&path, "%.*s%s", slash ? (int)(slash - entry->path) + 1 : 0, entry->path,
		     base) < 0)
		return -ENOMEM;
	result = !strchr(base, '/') && is_name_of(output, path) ? cw_entry_set_path(entry, path)
								: -EPERM;
	free(path);
	return result;
}

/* A file with a hook in a folder of the owner is given away too: only root may do that, and rename
 * it in a sticky folder. */
static int give(struct cw_opener *opener, struct file *file)
{
	const struct cw_opener_hooks *hooks = &opener->hooks;
	const bool has_group = file->options.access.has_group;
	struct stat status;
	int result, fd = -1;

	if (!opener->outputs.at[file->output]->is_given || file->was_given)
		return 0;
	result = cw_entries_here.ops->reopen(NULL, &file->entry, &fd, NULL);
	if (result)
		return result;
	if (fstat(fd, &status))
		result = -errno;
	/* Another user's file, by a hard link, could have got the number of an evicted one. */
	else if (status.st_nlink != 1 ||
		 status.st_uid !=
		     cw_opener_owner(opener, opener->outputs.at[file->output]->is_roots))
		result = -ESTALE;
	if (result) {
		close(fd);
		return result;
	}
	cw_opener_become(opener, true);
	if (fchown(fd, hooks->user, has_group ? (gid_t)-1 : hooks->group))
		result = -errno;
	else
		file->was_given = true;
	close(fd);
	return result;
}

/* Whether a file of an output that was added after the start would replace what is no capture. */
static bool is_in_the_way(const struct file *file)
{
	int folder_fd = cw_entry_open_directory(&file->entry, O_PATH);
	bool result;

	if (folder_fd < 0)
		return false; /* said by publishing */
	result = !faccessat(folder_fd, file->entry.base, F_OK, AT_SYMLINK_NOFOLLOW) &&
		 !cw_opener_is_capture(folder_fd, file->entry.base);
	close(folder_fd);
	return result;
}

int cw_opener_publish(struct cw_opener *opener, uint32_t handle, const char *base, uint32_t flags,
		      struct cw_entry_outcome *outcome)
{
	struct file *file = find_file(opener, handle);
	int result = 0;

	*outcome = (struct cw_entry_outcome){.step = "rename to"};
	if (!file || file->entry.kind != CW_ENTRY_REGULAR)
		return -EINVAL;
	if (strcmp(base, file->entry.base) != 0)
		result = change_name(opener->outputs.at[file->output], &file->entry, base);
	if (result)
		return result;
	file->options.no_clobber =
	    opener->outputs.at[file->output]->no_clobber || flags & CW_OPENER_NEW_NAME;
	act_for(opener, file);
	if (opener->outputs.at[file->output]->is_late && !file->options.no_clobber &&
	    is_in_the_way(file))
		return -EEXIST;
	result = give(opener, file);
	if (result == 0)
		result = cw_entries_here.ops->publish(NULL, &file->entry, outcome);
	if (result == 0) { /* there may be many */
		free(file->entry.part_path);
		file->entry.part_path = file->entry.part_name = NULL;
	}
	return result;
}

int cw_opener_run_hook(struct cw_opener *opener, uint32_t handle)
{
	const struct file *file = find_file(opener, handle);
	const struct output *output;
	bool has_first_name;

	if (!file || file->entry.kind != CW_ENTRY_PUBLISHED)
		return -EINVAL;
	output = opener->outputs.at[file->output];
	has_first_name =
	    file->options.place == &output->target && strcmp(file->entry.base, output->base) == 0;
	return cw_opener_ask_hook(opener, file->output,
				  has_first_name ? output->path : file->entry.path);
}

int cw_opener_folder(struct cw_opener *opener, uint32_t handle)
{
	struct file *file = find_file(opener, handle);

	if (!file)
		return -EINVAL;
	act_for(opener, file);
	return cw_entry_open_directory(&file->entry, O_RDONLY);
}

bool cw_opener_syncs(const struct cw_opener *opener, uint32_t handle)
{
	const struct file *file = find_file(opener, handle);

	return file && opener->outputs.at[file->output]->sync;
}

int cw_opener_discard(struct cw_opener *opener, uint32_t handle)
{
	struct file *file = find_file(opener, handle);

	if (!file || file->entry.kind != CW_ENTRY_REGULAR)
		return -EINVAL;
	act_for(opener, file);
	return cw_entries_here.ops->discard(NULL, &file->entry);
}

int cw_opener_remove(struct cw_opener *opener, uint32_t handle, struct cw_error *error)
{
	struct file *file = find_file(opener, handle);

	if (!file || file->entry.kind != CW_ENTRY_PUBLISHED)
		return cw_error_set(error, -EINVAL, "cannot remove a file that is not complete");
	act_for(opener, file);
	return cw_entries_here.ops->remove(NULL, &file->entry, error);
}

int cw_opener_free_space(struct cw_opener *opener, uint32_t number, uint64_t *bytes)
{
	const struct output *output = cw_opener_output_at(opener, number);
	const struct cw_outfile_options options = {.place = output && output->base ? &output->target
							    : output               ? &output->place
										   : NULL};
	const struct cw_entry entry = {.options = &options};

	if (!output)
		return -EINVAL;
	cw_opener_become(opener, output->is_roots);
	return cw_entries_here.ops->free_space(NULL, &entry, bytes);
}

void cw_opener_free(struct cw_opener *opener)
{
	if (!opener)
		return;
	cw_opener_become(opener, true);
	for (uint32_t i = 0; i < opener->files.count; i++)
		cw_opener_forget(opener, i);
	for (uint32_t i = 0; i < opener->outputs.count; i++)
		cw_opener_free_output(opener->outputs.at[i]);
	for (uint32_t i = 0; i < opener->folders.count; i++)
		close(opener->folders.at[i].fd);
	for (uint32_t i = 0; i < opener->others.count; i++)
		close(opener->others.at[i].fd);
	CW_FREE_ALL(opener->others.at, opener->rules, opener->socket, opener->files.at,
		    opener->free_files.at, opener->outputs.at, opener->free_outputs.at,
		    opener->folders.at, opener->groups.at, opener->root_groups, opener);
}
