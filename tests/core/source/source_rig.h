/* SPDX-License-Identifier: BSD-3-Clause */
/* Capture files in a folder of the test's own, read by any way in. */
#ifndef CW_TESTS_CORE_SOURCE_SOURCE_RIG_H
#define CW_TESTS_CORE_SOURCE_SOURCE_RIG_H

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/source/source.h"
#include "tests/rig/capture.h"

#define SEED UINT64_C(7919)
#define RECORD_BYTES 116        /* of the large pcap file made here: 16 and 100 */
#define PCAPNG_RECORD_BYTES 132 /* the same in pcapng */
#define PCAPNG_HEAD_BYTES 56

static struct image image;
static char folder[64];
static uint64_t random_state = SEED;

static inline char *in_folder(const char *name)
{
	static char path[4][128];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
	return path[turn];
}

static inline uint8_t *read_file(const char *path, size_t *bytes)
{
	struct stat status;
	uint8_t *data;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0 && !fstat(fd, &status));
	*bytes = (size_t)status.st_size;
	data = malloc(*bytes + 1);
	assert_int_equal(read(fd, data, *bytes), (ssize_t)*bytes);
	close(fd);
	return data;
}

static inline const char *write_file(const char *name, const void *data, size_t bytes)
{
	char *path = in_folder(name);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
	close(fd);
	return path;
}

static const struct cw_source_options plain = {.wake_fd = -1, .linktype = CW_LINKTYPE_ANY};

/* All packets of a source; list->result says how opening or reading ended. */
static inline void read_source(const char *path, const struct cw_source_options *options,
			       size_t span_bytes, struct seen_list *list)
{
	struct cw_error error = {0};
	struct cw_ifaces ifaces;
	struct cw_source *source;
	struct cw_lease lease;
	struct cw_span span;
	int result;

	memset(list, 0, sizeof(*list));
	cw_ifaces_init(&ifaces);
	result = cw_source_open(&source, path, &ifaces, options, &error);
	if (!result) {
		while ((result = cw_source_next(source, span_bytes, 1000, &span, &lease, &error)) ==
		       1) {
			see_span(list, &span, 1 + next_random(&random_state) % 64);
			assert_int_equal(cw_lease_intact_bytes(&lease, &span), span.bytes);
			cw_lease_give_back(&lease);
		}
		assert_int_equal(cw_source_next(source, span_bytes, 1000, &span, &lease, &error),
				 result); /* it stays so */
	}
	list->result = result;
	snprintf(list->text, sizeof(list->text), "%s", result < 0 ? error.text : "");
	cw_source_close(source);
	cw_ifaces_fini(&ifaces);
}

/* A thread that writes data into a pipe in random pieces. */
struct feeder {
	pthread_t thread;
	const uint8_t *data;
	size_t bytes;
	uint64_t random;
	bool is_single; /* a read gives one byte */
	int ends[2];    /* of the pipe: to read, to write */
};

static inline void *feed_pieces(void *argument)
{
	struct feeder *feeder = argument;
	sigset_t broken_pipe;
	size_t at = 0;

	sigemptyset(&broken_pipe);
	sigaddset(&broken_pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &broken_pipe, NULL);
	while (at < feeder->bytes) {
		size_t limit = next_random(&feeder->random) % 4 ? 3000 : 40;
		size_t piece = feeder->is_single ? 1 : 1 + next_random(&feeder->random) % limit;
		ssize_t wrote = write(feeder->ends[1], feeder->data + at,
				      cw_min_size(piece, feeder->bytes - at));

		if (wrote < 0) /* the reader has closed its end */
			break;
		at += (size_t)wrote;
	}
	close(feeder->ends[1]);
	return NULL;
}

/* Returns the end to read from. Borrows the data until end_feed. */
static inline int start_feed(struct feeder *feeder, const uint8_t *data, size_t bytes,
			     bool is_single)
{
	*feeder = (struct feeder){.data = data,
				  .bytes = bytes,
				  .random = next_random(&random_state),
				  .is_single = is_single};
	/* With O_DIRECT a read does not join two writes. */
	assert_int_equal(pipe2(feeder->ends, is_single ? O_DIRECT : 0), 0);
	assert_int_equal(pthread_create(&feeder->thread, NULL, feed_pieces, feeder), 0);
	return feeder->ends[0];
}

/* Close the end to read from and wait for the thread. */
static inline void end_feed(struct feeder *feeder)
{
	close(feeder->ends[0]);
	assert_int_equal(pthread_join(feeder->thread, NULL), 0);
}

/* A file of `count` records, numbered by their seconds: pcap of RECORD_BYTES each, or pcapng. */
static inline const char *make_large_of(const char *name, uint32_t count, bool is_pcapng)
{
	char *path = in_folder(name);
	FILE *stream = fopen(path, "wb");
	uint32_t i;

	assert_non_null(stream);
	image.is_swapped = 0;
	image.bytes = 0;
	if (is_pcapng) {
		put_shb(&image, 1, 0);
		put_idb(&image, 1, 0, (uint16_t[]){9, 1, 0, 0}, 8); /* whole seconds */
	} else {
		put_pcap_header(&image, 0xA1B23C4D, 2, 4, 65535, 1);
	}
	fwrite(image.data, 1, image.bytes, stream);
	for (i = 0; i < count; i++) {
		image.bytes = 0;
		if (is_pcapng)
			put_epb(&image, 0, i + 1, 100, 100, 100);
		else
			put_pcap_record(&image, i + 1, 9, 100, 100, 100);
		fwrite(image.data, 1, image.bytes, stream);
	}
	fclose(stream);
	return path;
}

static inline const char *make_large(const char *name, uint32_t count)
{
	return make_large_of(name, count, false);
}

static inline int make_folder(void **state)
{
	const char *parent = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof(folder), "%.40s/capweir.XXXXXX", parent ? parent : "/tmp");
	return mkdtemp(folder) ? 0 : -1;
}

static inline int remove_folder(void **state)
{
	struct dirent *entry;
	DIR *list = opendir(folder);

	(void)state;
	while (list && (entry = readdir(list)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(list), entry->d_name, 0);
	if (list)
		closedir(list);
	return rmdir(folder);
}

#endif
