/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The file rings of live outputs at the start and at a reload: locks each ring's list, completes
 * what a killed run left unfinished, and adopts the list's files that are still there unchanged.
 * Nothing else is touched. Every step leaves the list true, so it may be interrupted anywhere.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/base/grow.h"
#include "core/base/plural.h"
#include "core/format/repair.h"
#include "core/output/entry.h"
#include "pipeline/setup/setup.h"

#define NAME_TRIES_MAX 100u
#define PARTS_TOLD_MAX 10u
#define PART_EXTRA_BYTES (sizeof("..XXXXXX.part") - 1)

/* A file of the list that this run takes over. */
struct found {
	struct cw_ring_file *listed;
	struct stat status;
};

struct adoption {
	const struct cw_outputs *outputs;
	struct cw_output *output;
	struct cw_ring_list *list;
	struct cw_ring_adopted *counts;
	struct cw_error *error;
	struct cw_ring_files files; /* of the list; those that are forgotten are gone */
	struct found *found;
	uint32_t found_count;
	struct cw_folder_names *names;
	const char **listed; /* names of the list, sorted */
	uint32_t listed_count;
	bool has_before; /* an output of this run has files of these names, too */
	size_t folder_bytes;
	char path[PATH_MAX]; /* of the file looked at */
};

/* ---- one file of the list ---- */

/* Fills the path of a name of the list. Returns it. */
static const char *path_of(struct adoption *adoption, const char *name)
{
	snprintf(adoption->path + adoption->folder_bytes,
		 sizeof(adoption->path) - adoption->folder_bytes, "%s", name);
	return adoption->path;
}

/* Fills the name of the file's .part file below the list's folder. */
static void hidden_name(const struct cw_ring_file *listed, char name[PATH_MAX])
{
	const char *slash = strrchr(listed->name, '/');

	snprintf(name, PATH_MAX, "%.*s%s", slash ? (int)(slash + 1 - listed->name) : 0,
		 listed->name, listed->hidden);
}

static const struct cw_folder *folder_of(const struct adoption *adoption)
{
	return &adoption->list->folder;
}

static bool is_ours(const struct adoption *adoption, const struct stat *status)
{
	return S_ISREG(status->st_mode) && status->st_nlink == 1 &&
	       (status->st_uid == folder_of(adoption)->owner ||
		(adoption->output->is_asked && status->st_uid == adoption->output->given_to));
}

static bool is_as_listed(const struct adoption *adoption, const struct stat *status,
			 const struct cw_ring_file *listed)
{
	return is_ours(adoption, status) && (uint64_t)status->st_size == listed->bytes &&
	       cw_ring_time_ns(&status->st_mtim) == listed->mtime_ns;
}

static void take(struct adoption *adoption, struct cw_ring_file *listed, const struct stat *status)
{
	adoption->found[adoption->found_count++] = (struct found){listed, *status};
	adoption->counts->files++;
	adoption->counts->bytes += (uint64_t)status->st_size;
}

static void say_left(struct adoption *adoption, const char *hidden, const char *why)
{
	cw_run_tell(adoption->outputs->run, CW_WARNING,
		    "rule %s: %s of an earlier run stays unfinished: %s. \"capweir %s %s\" reads "
		    "it",
		    adoption->output->rule->name, path_of(adoption, hidden), why,
		    adoption->output->name->is_zst ? "split -r" : "repair", adoption->path);
}

/* Gives a complete .part file its name, or a numbered one; the list has it before. */
static int publish(struct adoption *adoption, struct cw_ring_file *listed, const char *hidden)
{
	const char *given = listed->name;
	char numbered[PATH_MAX];
	const struct cw_folder *folder = folder_of(adoption);
	int failure = -EEXIST;

	for (unsigned number = 1; failure == -EEXIST && number <= NAME_TRIES_MAX; number++) {
		failure = cw_ring_list_file(adoption->list, listed);
		if (!failure)
			failure = folder->ops->rename(folder, hidden, listed->name, false);
		if (failure != -EEXIST || cw_template_numbered(given, number, 1, numbered) < 0)
			break;
		if (listed->name != given)
			free(listed->name);
		listed->name = strdup(numbered);
		if (!listed->name) {
			listed->name = (char *)(uintptr_t)given;
			return -ENOMEM;
		}
	}
	if (listed->name != given)
		free((char *)(uintptr_t)given);
	return failure;
}

/* Opens the .part file for this run alone. Returns its descriptor; -ENOENT: it is none of ours. */
static int open_part(struct adoption *adoption, const char *hidden, struct stat *status)
{
	const struct cw_folder *folder = folder_of(adoption);
	int fd = folder->ops->open(folder, hidden, CW_FOLDER_EXISTING);

	if (fd < 0)
		return fd == -ELOOP || fd == -ENXIO || fd == -ENOTDIR || fd == -EPERM ||
			       fd == -EISDIR
			   ? -ENOENT
			   : fd;
	if (fstat(fd, status) || !is_ours(adoption, status)) {
		close(fd);
		return -ENOENT;
	}
	if (cw_entry_lock(fd) != -EBUSY)
		return fd;
	close(fd);
	return cw_error_set(adoption->error, -EBUSY,
			    "another program writes %s: end that program first",
			    path_of(adoption, hidden));
}

/* Truncates an unfinished file after its last record. Returns 1 if the file is complete now, 0 if
 * it is not there any more or stays as it is, or a negative errno. */
static int complete(struct adoption *adoption, struct cw_ring_file *listed, const char *hidden,
		    int fd, struct stat *status)
{
	const struct cw_folder *folder = folder_of(adoption);
	struct cw_repair repair;
	struct cw_error error;
	int failure = cw_repair_fd(fd, &repair, &error);

	if ((failure == 0 && !repair.packets) || (failure && status->st_size < 24)) {
		listed->is_gone = !folder->ops->remove(folder, hidden);
		return 0;
	}
	if (!failure && fstat(fd, status))
		failure = cw_error_set_errno(&error, -errno, "cannot examine it");
	if (failure) {
		say_left(adoption, hidden,
			 failure == -EPROTONOSUPPORT ? "it is compressed" : error.text);
		return 0;
	}
	listed->is_complete = true;
	listed->bytes = listed->content_bytes = (uint64_t)status->st_size;
	listed->mtime_ns = cw_ring_time_ns(&status->st_mtim);
	return 1;
}

/* Returns whether a file has the name that the list gives, whatever file it is. */
static bool has_name(const struct adoption *adoption, const struct cw_ring_file *listed)
{
	struct stat status;

	return folder_of(adoption)->ops->status(folder_of(adoption), listed->name, &status) == 0;
}

/* Completes and publishes a file that an earlier run did not, if it is there. */
static int recover(struct adoption *adoption, struct cw_ring_file *listed)
{
	struct cw_error why;
	char hidden[PATH_MAX];
	struct stat status;
	int fd, result = 1;

	hidden_name(listed, hidden);
	fd = open_part(adoption, hidden, &status);
	if (fd == -EBUSY)
		return fd;
	if (fd < 0) {
		if (fd == -ENOENT)
			listed->is_gone = true;
		else
			say_left(adoption, hidden, strerror(-fd));
		adoption->counts->missing += listed->is_complete;
		/* A crash of the system lost the line that says how the file ended. */
		if (fd == -ENOENT && !listed->is_complete && has_name(adoption, listed))
			adoption->counts->changed++;
		return 0;
	}
	if (!listed->is_complete || !is_as_listed(adoption, &status, listed))
		result = complete(adoption, listed, hidden, fd, &status);
	if (result > 0 && adoption->list->sync && cw_entry_sync(fd, fdatasync)) {
		say_left(adoption, hidden, strerror(errno));
		result = 0;
	} else if (result > 0) {
		result = publish(adoption, listed, hidden);
		if (result == 0) {
			adoption->counts->recovered++;
			take(adoption, listed, &status);
		} else {
			cw_error_set_errno(&why, result, "cannot rename it to %s", listed->name);
			say_left(adoption, hidden, why.text);
			result = 0;
		}
	}
	close(fd);
	return result;
}

static int look_at(struct adoption *adoption, struct cw_ring_file *listed)
{
	const struct cw_folder *folder = folder_of(adoption);
	char hidden[PATH_MAX];
	struct stat status;

	if (!listed->is_complete)
		return recover(adoption, listed);
	if (folder->ops->status(folder, listed->name, &status) == 0) {
		if (is_as_listed(adoption, &status, listed)) {
			take(adoption, listed, &status);
			return 0;
		}
		/* Another file has the name: the list's one may never have got it. */
		if (listed->hidden)
			hidden_name(listed, hidden);
		adoption->counts->changed++;
		if (listed->hidden && folder->ops->status(folder, hidden, &status) == 0)
			return recover(adoption, listed);
		listed->is_gone = true;
		return 0;
	}
	if (listed->hidden)
		return recover(adoption, listed);
	listed->is_gone = true;
	adoption->counts->missing++;
	return 0;
}

/* ---- files in no list ---- */

static int compare_names(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* Counts a file that is in no list, or adds it to the list's. */
static int note_unlisted(void *context, const char *path, uint64_t number)
{
	struct adoption *adoption = context;
	const struct cw_folder *folder = folder_of(adoption);
	const char *name = path + adoption->folder_bytes;
	struct cw_ring_file *file;
	struct stat status;

	(void)number;
	if (bsearch(&name, adoption->listed, adoption->listed_count, sizeof(name), compare_names) ||
	    folder->ops->status(folder, name, &status) || !is_ours(adoption, &status))
		return 0;
	if (!adoption->outputs->run->options.output.adopts_all) {
		adoption->counts->unlisted++;
		return 0;
	}
	if (CW_GROW(&adoption->files, 1))
		return -ENOMEM;
	file = &adoption->files.at[adoption->files.count];
	*file = (struct cw_ring_file){.name = strdup(name),
				      .is_complete = true,
				      .bytes = (uint64_t)status.st_size,
				      .content_bytes = (uint64_t)status.st_size,
				      .mtime_ns = cw_ring_time_ns(&status.st_mtim)};
	adoption->files.count += file->name != NULL;
	return file->name ? 0 : -ENOMEM;
}

static int find_unlisted(struct adoption *adoption)
{
	const struct cw_folder_visitor visitor = {adoption->outputs, adoption->names, note_unlisted,
						  adoption};
	int failure;

	adoption->listed_count = adoption->files.count;
	adoption->listed = calloc(adoption->listed_count + 1u, sizeof(*adoption->listed));
	if (!adoption->listed)
		return -ENOMEM;
	for (uint32_t index = 0; index < adoption->listed_count; index++)
		adoption->listed[index] = adoption->files.at[index].name;
	qsort(adoption->listed, adoption->listed_count, sizeof(*adoption->listed), compare_names);
	failure = cw_setup_visit(adoption->output, &visitor, adoption->error);
	free(adoption->listed);
	return failure;
}

/* Returns whether this is the hidden name of an unfinished file of the ring's names that is in no
 * list, and that nobody writes. */
static bool is_foreign_part(struct adoption *adoption, const char *name)
{
	const struct cw_output *output = adoption->output;
	size_t bytes = strlen(name);
	struct stat status;
	uint64_t number;
	int fd;

	if (*name != '.' || bytes <= PART_EXTRA_BYTES ||
	    strcmp(name + bytes - strlen(".part"), ".part") != 0)
		return false;
	path_of(adoption, name + 1);
	adoption->path[adoption->folder_bytes + bytes - PART_EXTRA_BYTES] = '\0';
	if (!cw_template_match(output->name, output->rule->name, adoption->path, &number))
		return false;
	for (uint32_t index = 0; index < adoption->files.count; index++) {
		const char *hidden = adoption->files.at[index].hidden;

		if (hidden && !strcmp(hidden, name))
			return false;
	}
	fd = open_part(adoption, name, &status);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* Names unfinished files of other runs in the list's folder, which stay as they are. */
static void say_foreign_parts(struct adoption *adoption)
{
	int fd = folder_of(adoption)->ops->names(folder_of(adoption), "");
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	uint32_t count = 0;

	while (stream && count < PARTS_TOLD_MAX && (entry = readdir(stream)) != NULL) {
		if (!is_foreign_part(adoption, entry->d_name))
			continue;
		count++;
		cw_run_tell(adoption->outputs->run, CW_NOTE,
			    "%s is an unfinished file of another run: \"capweir %s %s\" reads it",
			    path_of(adoption, entry->d_name),
			    adoption->output->name->is_zst ? "split -r" : "repair", adoption->path);
	}
	if (stream)
		closedir(stream);
	else if (fd >= 0)
		close(fd);
}

/* ---- one ring ---- */

static int compare_found(const void *left, const void *right)
{
	const struct found *a = left, *b = right;

	if (a->listed->mtime_ns != b->listed->mtime_ns)
		return a->listed->mtime_ns < b->listed->mtime_ns ? -1 : 1;
	return a->listed < b->listed ? -1 : a->listed > b->listed; /* as listed */
}

static void say(const struct adoption *adoption)
{
	struct cw_run *run = adoption->outputs->run;
	const struct cw_ring_adopted *counts = adoption->counts;
	const char *of = adoption->list->of;

	if (counts->files)
		cw_run_tell(run, CW_NOTE,
			    "%s: %u file%s of earlier runs adopted (%" PRIu64
			    " bytes), of which %u had to be completed",
			    of, counts->files, cw_plural(counts->files), counts->bytes,
			    counts->recovered);
	if (counts->unlisted == 1)
		cw_run_tell(run, CW_NOTE,
			    "%s: 1 file here matches and is not this file ring's; --adopt adds it",
			    of);
	else if (counts->unlisted)
		cw_run_tell(run, CW_NOTE,
			    "%s: %u files here match and are not this file ring's; --adopt adds "
			    "them",
			    of, counts->unlisted);
	if (counts->missing + counts->changed)
		cw_run_tell(run, CW_WARNING,
			    "%s: files of earlier runs are not the file ring's any more: %u "
			    "missing, %u changed",
			    of, counts->missing, counts->changed);
}

/* Raises the output's first number above that of a file of the list. */
static void note_number(struct cw_output *output, const char *path)
{
	uint64_t number;

	if (cw_template_match(output->name, output->rule->name, path, &number) &&
	    number >= output->first_number && number < UINT32_MAX)
		output->first_number = (uint32_t)number + 1;
}

/* Leaves out the files that are forgotten. Gives the others their order. */
static int take_over(struct adoption *adoption)
{
	struct cw_output *output = adoption->output;
	uint32_t stale = 0;
	int failure = 0;

	qsort(adoption->found, adoption->found_count, sizeof(*adoption->found), compare_found);
	for (uint32_t index = 0; index < adoption->found_count && !failure; index++) {
		struct found *found = &adoption->found[index];
		const char *path = path_of(adoption, found->listed->name);

		failure = cw_output_adopt_file(adoption->outputs, output, path, &found->status,
					       found->listed->content_bytes);
		note_number(output, path);
		if (failure != -ESTALE)
			continue;
		failure = 0;
		found->listed->is_gone = true; /* since it was looked at */
		adoption->counts->bytes -= (uint64_t)found->status.st_size;
		adoption->counts->files--;
		adoption->counts->changed++;
		stale++;
	}
	adoption->found_count -= stale;
	return failure;
}

static void drop_gone(struct cw_ring_files *files)
{
	uint32_t left = 0;

	for (uint32_t index = 0; index < files->count; index++) {
		struct cw_ring_file file = files->at[index];

		if (file.is_gone) {
			free(file.name);
			free(file.hidden);
		} else {
			files->at[left++] = file;
		}
	}
	files->count = left;
}

static int adopt(struct adoption *adoption)
{
	struct cw_output *output = adoption->output;
	struct cw_ring_list *list = adoption->list;
	int failure = cw_ring_list_read(list, &adoption->files);

	adoption->error->code = 0;
	if (failure)
		return cw_error_set_errno(adoption->error, failure, "cannot read the list %s",
					  list->name);
	if (list->next > output->first_number && list->next < UINT32_MAX)
		output->first_number = (uint32_t)list->next;
	if (adoption->outputs->run->options.output.adopts_none)
		goto out;
	if (!adoption->has_before)
		failure = find_unlisted(adoption);
	if (failure)
		goto out;
	if (!adoption->has_before)
		say_foreign_parts(adoption);
	adoption->found = calloc(adoption->files.count + 1u, sizeof(*adoption->found));
	failure = adoption->found ? 0 : -ENOMEM;
	for (uint32_t index = 0; index < adoption->files.count && !failure; index++)
		failure = look_at(adoption, &adoption->files.at[index]);
	if (!failure)
		failure = take_over(adoption);
	if (!failure) {
		drop_gone(&adoption->files);
		failure = cw_ring_list_replace(list, &adoption->files, output->first_number);
		if (failure) /* the list is true all the same */
			cw_run_tell(adoption->outputs->run, CW_WARNING,
				    "cannot write the list %s anew: %s", list->name,
				    strerror(-failure));
		failure = 0;
		say(adoption);
	}
out:
	if (failure && !adoption->error->code)
		cw_error_set_errno(adoption->error, failure, "cannot adopt files");
	free(adoption->found);
	cw_ring_files_fini(&adoption->files);
	return failure;
}

/* Finds the run's ring of this list. */
static struct cw_file_ring *find_ring(const struct cw_outputs *outputs, const struct stat *folder,
				      const char *name)
{
	struct cw_file_ring *ring = outputs->rings;

	while (ring && (ring->device != folder->st_dev || ring->inode != folder->st_ino ||
			strcmp(ring->list.name, name) != 0))
		ring = ring->next;
	return ring;
}

/* Two names of one run, as "%Y,x" and "%Y/x", whose lists would be one file. */
static int refuse_list(const struct cw_output *output, const char *of, struct cw_error *error)
{
	const struct cw_ring_list *list = &output->ring->list;

	return cw_error_set(error, -EINVAL,
			    "the file rings of %s and %s would have the same list, %s: choose "
			    "another output name",
			    of, list->of, list->name);
}

static int setup_ring(struct cw_outputs *outputs, struct cw_output *output, bool has_before,
		      struct cw_folder_names *names, struct cw_error *error)
{
	struct adoption adoption = {.outputs = outputs,
				    .output = output,
				    .names = names,
				    .error = error,
				    .has_before = has_before};
	char name[CW_ENTRY_NAME_BYTES], of[CW_TEMPLATE_PATH_BYTES];
	const struct cw_template_values values = {.rule = output->rule->name};
	struct cw_folder folder;
	struct stat status;
	int failure;

	cw_template_ring_name(output->name, output->rule->name, of, name);
	adoption.folder_bytes = cw_template_fixed_folder(output->name);
	if (cw_template_expand(output->name, &values, adoption.path) < 0)
		return cw_error_set(error, -EINVAL, "the output name is too long");
	adoption.path[adoption.folder_bytes] = '\0';
	failure = cw_setup_folder(outputs, output, &folder);
	if (!failure) {
		failure = folder.ops->status(&folder, "", &status);
		if (failure)
			cw_folder_close(&folder);
	}
	if (failure)
		return cw_error_set_errno(error, failure, "cannot open the folder %s",
					  adoption.path);
	output->ring = find_ring(outputs, &status, name);
	if (output->ring) {
		cw_folder_close(&folder);
		cw_file_ring_use(output->ring);
		return strcmp(output->ring->list.of, of) == 0 ? 0 : refuse_list(output, of, error);
	}
	output->ring = cw_file_ring_new(&outputs->rings);
	if (!output->ring) {
		cw_folder_close(&folder);
		return cw_error_set_errno(error, -ENOMEM, "cannot make a file ring");
	}
	output->ring->device = status.st_dev;
	output->ring->inode = status.st_ino;
	adoption.list = &output->ring->list;
	adoption.counts = &output->ring->adopted;
	failure = cw_ring_list_open(adoption.list, &folder, name, of,
				    outputs->run->options.output.sync, error);
	if (!failure)
		failure = adopt(&adoption);
	/* Relaxed: no other thread has it yet. */
	atomic_store_explicit(&output->ring->next_number, output->first_number,
			      memory_order_relaxed);
	return failure;
}

int cw_setup_rings(struct cw_outputs *outputs, struct cw_output *first, uint32_t count,
		   struct cw_output *const *before, const struct cw_rules *rules,
		   struct cw_error *error)
{
	struct cw_folder_names names = {0};
	int failure = 0;

	for (uint32_t index = 0; index < count && !failure; index++) {
		if (cw_setup_has_list(outputs, &first[index], rules, first[index].rule))
			failure = setup_ring(outputs, &first[index], before && before[index],
					     &names, error);
		if (failure)
			cw_error_prefix(error, "rule %s", first[index].rule->name);
	}
	cw_folder_names_fini(&names);
	if (failure == -EBUSY || failure == -EEXIST || failure == -ELOOP || failure == -EISDIR)
		error->code = failure = -EINVAL; /* the request is wrong, not the moment */
	return failure;
}
