/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a rules file into memory and hands it to the reader. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/rules/rules_yaml.h"

#define READ_BYTES ((size_t)64 << 10)

/* Reads a file or pipe, at most the limit and one byte. Returns bytes, or negative errno. */
static int64_t read_all(int fd, char **result)
{
	size_t capacity = 0;
	size_t used = 0;
	char *text = NULL;

	*result = NULL;
	for (;;) {
		ssize_t done;

		if (used == capacity) {
			char *grown;

			capacity = capacity ? 2 * capacity : READ_BYTES;
			grown = realloc(text, capacity);
			if (!grown) {
				free(text);
				return -ENOMEM;
			}
			text = grown;
		}
		done = read(fd, text + used, capacity - used);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			int failure = -errno;

			free(text);
			return failure;
		}
		used += (size_t)done;
		if (done == 0 || used > CW_RULES_FILE_BYTES_MAX)
			break;
	}
	*result = text;
	return (int64_t)used;
}

/* Fills the facts of the open file, never of its path, which may lead elsewhere by now. */
static int read_facts(int fd, bool is_stdin, struct cw_rules_facts *facts)
{
	struct stat status;

	*facts = (struct cw_rules_facts){.owner = geteuid(), .mode = 0600};
	if (is_stdin)
		return 0;
	if (fstat(fd, &status))
		return -errno;
	*facts = (struct cw_rules_facts){status.st_uid, status.st_mode & 07777};
	return 0;
}

/* Loads the descriptor's file, with a reader that has its rules, error and callback. */
static int load_fd(struct cw_rules_reader *reader, int fd, const char *path)
{
	bool is_stdin = !strcmp(path, "-");
	struct cw_rules_facts facts;
	char *text = NULL;
	int64_t bytes;
	int status;

	*reader->rules = (struct cw_rules){0};
	bytes = read_facts(fd, is_stdin, &facts);
	if (bytes == 0)
		bytes = read_all(fd, &text);
	if (!is_stdin)
		close(fd);
	if (bytes < 0)
		return cw_error_set_errno(reader->error, (int)bytes,
					  "cannot read the rules file %.400s", path);
	reader->text = text;
	reader->bytes = (size_t)bytes;
	reader->name = is_stdin ? "standard input" : path;
	status = cw_rules_read(reader);
	free(text);
	if (status == 0)
		reader->rules->facts = facts;
	return status;
}

static int load(struct cw_rules_reader *reader, const char *path)
{
	int fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : STDIN_FILENO;

	*reader->rules = (struct cw_rules){0};
	if (fd < 0)
		return cw_error_set_errno(reader->error, -errno,
					  "cannot open the rules file %.400s", path);
	return load_fd(reader, fd, path);
}

int cw_rules_load_fd(struct cw_rules *rules, int fd, const char *path, struct cw_error *error)
{
	struct cw_rules_reader reader = {.rules = rules, .error = error};

	return load_fd(&reader, fd, path);
}

int cw_rules_load(struct cw_rules *rules, const char *path, struct cw_error *error)
{
	struct cw_rules_reader reader = {.rules = rules, .error = error};

	return load(&reader, path);
}

int cw_rules_load_sound(struct cw_rules *rules, const char *path,
			void (*found)(void *context, const char *text), void *context)
{
	struct cw_error error = {0};
	struct cw_rules_reader reader = {
	    .rules = rules, .error = &error, .found = found, .context = context};
	int status = load(&reader, path);

	if (status < 0)
		found(context, error.text);
	return status < 0 ? status : (int)reader.faults;
}
