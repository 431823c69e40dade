/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a file ring asks of an opener beside its files: its list, the unfinished files of earlier
 * runs, names, and the adoption of complete files. The calls are those of folder.c in the output's
 * place. What is in a file is the asking process's matter.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/output/opener_parts.h"

enum name_kind {
	NAME_NONE, /* of another output, or of nobody */
	NAME_LIST,
	NAME_NEW_LIST, /* the list's next version */
	NAME_HIDDEN,   /* of an unfinished file */
	NAME_FILE,
};

/* Whether the name, perhaps truncated, begins as those of the output. */
static bool has_prefix(const struct output *output, const char *name)
{
	return !strncmp(name, output->prefix, cw_min_size(strlen(name), strlen(output->prefix)));
}

/* Whether the name is ".BASE.XXXXXX.part" in its folder, for a BASE of the output, which may be
 * truncated (cw_entry_hidden_name). */
static bool is_hidden(const struct output *output, const char *name)
{
	const char *slash = strrchr(name, '/');
	const size_t before = slash ? (size_t)(slash + 1 - name) : 0;
	const char *base = name + before;
	const size_t bytes = strlen(base);
	const char *random = base + bytes - (sizeof("XXXXXX.part") - 1);
	char plain[PATH_MAX];

	if (bytes <= CW_ENTRY_EXTRA_BYTES || bytes > NAME_MAX || before + bytes >= PATH_MAX ||
	    base[0] != '.' || random[-1] != '.' || !cw_opener_is_random(random) ||
	    strcmp(random + CW_ENTRY_RANDOM_CHARS, ".part") != 0)
		return false;
	snprintf(plain, sizeof(plain), "%.*s%.*s", (int)before, name,
		 (int)(bytes - CW_ENTRY_EXTRA_BYTES), base + 1);
	if (cw_opener_is_name(output, plain))
		return true;
	return bytes == NAME_MAX && has_prefix(output, plain) &&
	       cw_opener_has_only_names(plain, output->may_be_hidden);
}

static enum name_kind kind_of(const struct output *output, const char *name)
{
	char next[CW_ENTRY_NAME_BYTES];

	snprintf(next, sizeof(next), "%.240s.new", output->ring); /* as in ring_list.c */
	if (!*output->ring || strlen(name) >= PATH_MAX)
		return NAME_NONE;
	if (!strcmp(name, output->ring))
		return NAME_LIST;
	if (!strcmp(name, next))
		return NAME_NEW_LIST;
	if (is_hidden(output, name))
		return NAME_HIDDEN;
	return cw_opener_is_name(output, name) ? NAME_FILE : NAME_NONE;
}

/* Acts with the rights of the output's owner from now on, and fills its folder. NULL: no such
 * output. */
static const struct output *enter(struct cw_opener *opener, uint32_t number,
				  struct cw_folder *folder)
{
	const struct output *output = cw_opener_output_at(opener, number);

	if (!output)
		return NULL;
	cw_opener_become(opener, output->is_roots);
	*folder = (struct cw_folder){.ops = &cw_folder_here,
				     .owner = cw_opener_owner(opener, output->is_roots),
				     .fd = output->place.fd};
	return output;
}

int cw_opener_status(struct cw_opener *opener, uint32_t number, const char *name,
		     struct stat *status)
{
	struct cw_folder folder;
	const struct output *output = enter(opener, number, &folder);

	if (!output)
		return -EINVAL;
	if (*name && kind_of(output, name) == NAME_NONE)
		return -EPERM;
	return folder.ops->status(&folder, name, status);
}

int cw_opener_open_name(struct cw_opener *opener, uint32_t number, const char *name,
			enum cw_folder_access access)
{
	struct cw_folder folder;
	const struct output *output = enter(opener, number, &folder);

	if (!output)
		return -EINVAL;
	switch (kind_of(output, name)) {
	case NAME_LIST:
		return access == CW_FOLDER_NEW ? -EPERM : folder.ops->open(&folder, name, access);
	case NAME_NEW_LIST:
		return access != CW_FOLDER_NEW ? -EPERM : folder.ops->open(&folder, name, access);
	case NAME_HIDDEN:
		return access != CW_FOLDER_EXISTING || output->has_opened
			   ? -EPERM
			   : folder.ops->open(&folder, name, access);
	default:
		return -EPERM;
	}
}

/* Whether the name is a regular file of the owner with one link, or nothing: root could rename and
 * remove those of others too. */
static bool is_ours(const struct cw_folder *folder, const char *name)
{
	struct stat status;
	int result = folder->ops->status(folder, name, &status);

	return result == -ENOENT || (result == 0 && S_ISREG(status.st_mode) &&
				     status.st_nlink == 1 && status.st_uid == folder->owner);
}

int cw_opener_rename(struct cw_opener *opener, uint32_t number, const char *from, const char *to,
		     bool replaces)
{
	struct cw_folder folder;
	const struct output *output = enter(opener, number, &folder);
	enum name_kind kind;

	if (!output)
		return -EINVAL;
	kind = kind_of(output, from);
	if (!is_ours(&folder, from) || (replaces && !is_ours(&folder, to)))
		return -EPERM;
	if (kind == NAME_NEW_LIST && replaces && kind_of(output, to) == NAME_LIST)
		return folder.ops->rename(&folder, from, to, true);
	if (kind == NAME_HIDDEN && !replaces && kind_of(output, to) == NAME_FILE &&
	    !output->has_opened)
		return folder.ops->rename(&folder, from, to, false);
	return -EPERM;
}

int cw_opener_remove_name(struct cw_opener *opener, uint32_t number, const char *name)
{
	struct cw_folder folder;
	const struct output *output = enter(opener, number, &folder);
	enum name_kind kind;

	if (!output)
		return -EINVAL;
	kind = kind_of(output, name);
	if ((kind == NAME_NEW_LIST || (kind == NAME_HIDDEN && !output->has_opened)) &&
	    is_ours(&folder, name))
		return folder.ops->remove(&folder, name);
	return -EPERM;
}

int cw_opener_sync_folder(struct cw_opener *opener, uint32_t number)
{
	struct cw_folder folder;

	return enter(opener, number, &folder) ? folder.ops->sync(&folder) : -EINVAL;
}

int cw_opener_names(struct cw_opener *opener, uint32_t number, const char *below)
{
	struct cw_folder folder;
	const struct output *output = enter(opener, number, &folder);
	size_t bytes = strlen(below);
	char names[PATH_MAX];

	if (!output)
		return -EINVAL;
	if (output->has_opened || bytes >= sizeof(names) || !has_prefix(output, below))
		return -EPERM;
	if (!bytes)
		return folder.ops->names(&folder, below);
	while (bytes && below[bytes - 1] == '/')
		bytes--;
	snprintf(names, sizeof(names), "%.*s", (int)bytes, below);
	return cw_opener_has_only_names(names, output->may_be_hidden)
		   ? folder.ops->names(&folder, names)
		   : -EPERM;
}

/* Fills the entry of a published file, as if this run had published it. */
static int init_adopted(struct file *file, const struct output *output,
			const struct cw_opener_adoptee *adoptee)
{
	const char *name = adoptee->path + output->fixed_bytes;
	const char *slash = strrchr(name, '/');
	struct cw_entry *entry = &file->entry;
	int result;

	file->options = (struct cw_outfile_options){.is_later = true,
						    .makes_folders = true,
						    .place = &output->place,
						    .fixed_bytes = output->fixed_bytes,
						    .standard_output = -1};
	result = cw_entry_init(entry, adoptee->path, &file->options);
	if (result)
		return result;
	free(entry->directory);
	entry->directory = NULL;
	if (asprintf(&entry->directory, "%s%.*s", output->place.folder,
		     slash ? (int)(slash + 1 - name) : 0, name) < 0) {
		entry->directory = NULL;
		return -ENOMEM;
	}
	entry->kind = CW_ENTRY_PUBLISHED;
	entry->device = (dev_t)adoptee->device;
	entry->inode = (ino_t)adoptee->inode;
	entry->published_bytes = (off_t)adoptee->bytes;
	entry->published_time = adoptee->time;
	return 0;
}

static bool is_capture(const struct cw_folder *folder, const char *name)
{
	const char *slash = strrchr(name, '/');
	char path[PATH_MAX];
	bool result;
	int fd;

	snprintf(path, sizeof(path), "%.*s", slash ? (int)(slash - name) : 1, slash ? name : ".");
	fd = cw_entry_open_below(folder->fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	result = cw_opener_is_capture(fd, slash ? slash + 1 : name);
	close(fd);
	return result;
}

/* Published files may have been given to the user of the hooks. */
static bool is_owner(const struct cw_opener *opener, const struct output *output,
		     const struct stat *status)
{
	return status->st_uid == cw_opener_owner(opener, output->is_roots) ||
	       (output->is_given && status->st_uid == opener->hooks.user);
}

int cw_opener_adopt(struct cw_opener *opener, const struct cw_opener_adoptee *adoptee,
		    uint32_t *handle)
{
	struct cw_folder folder;
	const struct output *output = enter(opener, adoptee->output, &folder);
	const char *name;
	struct stat status;
	int result;

	if (!output)
		return -EINVAL;
	if (output->has_opened || strlen(adoptee->path) >= PATH_MAX ||
	    strncmp(adoptee->path, output->path, output->fixed_bytes) != 0)
		return -EPERM;
	name = adoptee->path + output->fixed_bytes;
	if (kind_of(output, name) != NAME_FILE)
		return -EPERM;
	result = folder.ops->status(&folder, name, &status);
	if (result)
		return result == -ENOENT ? -ESTALE : result;
	if (!S_ISREG(status.st_mode) || status.st_nlink != 1 ||
	    !is_owner(opener, output, &status) || status.st_dev != adoptee->device ||
	    status.st_ino != adoptee->inode || (uint64_t)status.st_size != adoptee->bytes ||
	    status.st_mtim.tv_sec != adoptee->time.tv_sec ||
	    status.st_mtim.tv_nsec != adoptee->time.tv_nsec)
		return -ESTALE;
	if (output->is_late && !is_capture(&folder, name))
		return -EPERM;
	result = cw_opener_add_file(opener, adoptee->output, handle);
	if (result)
		return result;
	result = init_adopted(opener->files.at[*handle], output, adoptee);
	opener->files.at[*handle]->was_given = status.st_uid != folder.owner;
	if (result)
		cw_opener_forget(opener, *handle);
	return result;
}
