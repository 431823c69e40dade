/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "pipeline/output/files.h"

/* Descriptors left for libraries, the inputs' windows, a directory at publishing, a name lookup. */
#define FILES_MARGIN 24u
#define FILES_LIMIT_MAX 65536u

static uint32_t count_open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	uint32_t count = 0;

	if (!directory)
		return 16;
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static uint32_t find_limit(void)
{
	struct rlimit limit;
	uint64_t used = count_open_descriptors() + FILES_MARGIN;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 64;
	if (limit.rlim_cur < limit.rlim_max) {
		struct rlimit raised = {limit.rlim_max, limit.rlim_max};

		if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
			limit = raised;
	}
	if (limit.rlim_cur <= used)
		return 1;
	if (limit.rlim_cur - used > FILES_LIMIT_MAX)
		return FILES_LIMIT_MAX;
	return (uint32_t)(limit.rlim_cur - used);
}

int cw_files_init(struct cw_files *files, uint32_t limit)
{
	int failure;

	*files = (struct cw_files){.limit = limit ? limit : find_limit()};
	failure = pthread_mutex_init(&files->lock, NULL);
	return -failure;
}

void cw_files_fini(struct cw_files *files)
{
	pthread_mutex_destroy(&files->lock);
}

static void unlink_idle(struct cw_files *files, struct cw_file *file)
{
	if (file->cache.idle_previous)
		file->cache.idle_previous->cache.idle_next = file->cache.idle_next;
	else
		files->idle_oldest = file->cache.idle_next;
	if (file->cache.idle_next)
		file->cache.idle_next->cache.idle_previous = file->cache.idle_previous;
	else
		files->idle_newest = file->cache.idle_previous;
	file->cache.idle_next = file->cache.idle_previous = NULL;
	file->cache.is_idle = false;
}

/* Closes the file idle for longest. False: no file is idle. */
static bool evict_oldest(struct cw_files *files)
{
	struct cw_file *file = files->idle_oldest;

	if (!file)
		return false;
	unlink_idle(files, file);
	file->cache.late_failure = cw_outfile_evict(file->outfile);
	files->open_count--;
	return true;
}

bool cw_files_acquire_open(struct cw_files *files, struct cw_file *file)
{
	bool is_open;

	pthread_mutex_lock(&files->lock);
	is_open = !file->cache.late_failure && cw_outfile_is_open(file->outfile);
	if (is_open && file->cache.is_idle)
		unlink_idle(files, file);
	pthread_mutex_unlock(&files->lock);
	return is_open;
}

int cw_files_acquire(struct cw_files *files, struct cw_file *file, struct cw_error *error)
{
	uint32_t seen;
	int result;

	pthread_mutex_lock(&files->lock);
	if (file->cache.late_failure) {
		result = file->cache.late_failure;
		pthread_mutex_unlock(&files->lock);
		return cw_error_set_errno(error, result, "cannot close %s", file->path);
	}
	if (cw_outfile_is_open(file->outfile)) {
		if (file->cache.is_idle)
			unlink_idle(files, file);
		pthread_mutex_unlock(&files->lock);
		return 0;
	}
	while (files->open_count >= files->limit && !evict_oldest(files)) {
		if (files->pinned_count >= files->limit) {
			pthread_mutex_unlock(&files->lock);
			return cw_error_set(error, -EMFILE,
					    "cannot open %s: pipes and device files hold all %u "
					    "descriptors; raise the limit (ulimit -n)",
					    file->path, files->limit);
		}
		seen = cw_gate_look(&files->changed);
		pthread_mutex_unlock(&files->lock);
		cw_gate_wait(&files->changed, seen);
		pthread_mutex_lock(&files->lock);
	}
	files->open_count++;
	pthread_mutex_unlock(&files->lock);
	for (;;) {
		bool has_evicted;

		result = cw_outfile_open(file->outfile, error);
		if (result != -EMFILE && result != -ENFILE)
			break;
		pthread_mutex_lock(&files->lock);
		has_evicted = evict_oldest(files);
		pthread_mutex_unlock(&files->lock);
		if (!has_evicted)
			break;
	}
	pthread_mutex_lock(&files->lock);
	if (result < 0) {
		files->open_count--;
		cw_gate_signal(&files->changed);
	} else {
		file->cache.is_regular = cw_outfile_is_seekable(file->outfile);
		file->cache.is_pinned = !file->cache.is_regular;
		files->pinned_count += file->cache.is_pinned;
	}
	pthread_mutex_unlock(&files->lock);
	return result;
}

void cw_files_release(struct cw_files *files, struct cw_file *file)
{
	if (file->cache.is_pinned)
		return;
	pthread_mutex_lock(&files->lock);
	file->cache.is_idle = true;
	file->cache.idle_next = NULL;
	file->cache.idle_previous = files->idle_newest;
	if (files->idle_newest)
		files->idle_newest->cache.idle_next = file;
	else
		files->idle_oldest = file;
	files->idle_newest = file;
	pthread_mutex_unlock(&files->lock);
	cw_gate_signal(&files->changed);
}

void cw_files_closed(struct cw_files *files, struct cw_file *file)
{
	pthread_mutex_lock(&files->lock);
	assert(files->open_count > 0);
	files->open_count--;
	if (file->cache.is_pinned)
		files->pinned_count--;
	file->cache.is_pinned = false;
	pthread_mutex_unlock(&files->lock);
	cw_gate_signal(&files->changed);
}

static uint32_t *iface_entry(const struct cw_file_turn *file, uint32_t iface)
{
	uint32_t index = (iface * 2654435761u) & (file->iface_capacity - 1);

	while (file->ifaces[index * 2] && file->ifaces[index * 2] != iface + 1)
		index = (index + 1) & (file->iface_capacity - 1);
	return &file->ifaces[index * 2];
}

uint32_t cw_file_find_iface(const struct cw_file_turn *file, uint32_t iface)
{
	uint32_t *entry;

	if (!file->iface_count)
		return CW_FILE_IFACE_NONE;
	entry = iface_entry(file, iface);
	return entry[0] ? entry[1] : CW_FILE_IFACE_NONE;
}

/* Rebuilds the table with this capacity, without interfaces whose blocks end after `offset`. */
static int rebuild_ifaces(struct cw_file_turn *file, uint32_t capacity, uint64_t offset)
{
	struct cw_file_turn made = {.iface_capacity = capacity};

	made.ifaces = calloc(capacity, 2 * sizeof(*made.ifaces));
	made.iface_ends = calloc(capacity, sizeof(*made.iface_ends));
	if (!made.ifaces || !made.iface_ends) {
		free(made.ifaces);
		free(made.iface_ends);
		return -ENOMEM;
	}
	for (uint32_t index = 0; index < file->iface_capacity; index++) {
		const uint32_t *entry = &file->ifaces[index * 2];

		if (!entry[0] || file->iface_ends[entry[1]] > offset)
			continue;
		memcpy(iface_entry(&made, entry[0] - 1), entry, 2 * sizeof(*entry));
		made.iface_ends[entry[1]] = file->iface_ends[entry[1]];
		made.iface_count++;
	}
	free(file->ifaces);
	free(file->iface_ends);
	file->ifaces = made.ifaces;
	file->iface_ends = made.iface_ends;
	file->iface_count = made.iface_count;
	file->iface_capacity = capacity;
	return 0;
}

int cw_file_add_iface(struct cw_file_turn *file, uint32_t iface, uint64_t end)
{
	uint32_t *entry;

	if (file->iface_count * 2 >= file->iface_capacity &&
	    rebuild_ifaces(file, file->iface_capacity ? file->iface_capacity * 2 : 4, UINT64_MAX))
		return -ENOMEM;
	if (!file->iface_count)
		file->iface_first = iface;
	entry = iface_entry(file, iface);
	entry[0] = iface + 1;
	entry[1] = file->iface_count++;
	file->iface_ends[entry[1]] = end;
	return 0;
}

int cw_file_forget_ifaces(struct cw_file_turn *file, uint64_t offset)
{
	return file->iface_capacity ? rebuild_ifaces(file, file->iface_capacity, offset) : 0;
}
