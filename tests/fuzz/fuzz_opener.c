/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Any bytes as messages to the process that opens files. They change nothing outside its folder,
 * and in the folder only what names of its outputs and their hidden files say, unless a message
 * adds an output. Small numbers and the words below stand for most of the bytes, so that many
 * messages make sense.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/output/opener_serve.h"
#include "core/output/opener_wire.h"

#define MESSAGES_MAX 24 /* their answers fit into a socket */
#define SOCKETS 2
#define WORD_BYTES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct input {
	const uint8_t *at;
	size_t bytes;
};

static char root[64]; /* has "in", which is the opener's, and "out" */

static void require(bool is_true)
{
	if (!is_true)
		abort();
}

static const char *path_of(const char *name)
{
	static char paths[4][256];
	static unsigned turn;
	char *path = paths[turn++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", root, name);
	return path;
}

/* ---- the place ---- */

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static void remove_all(void)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_file(const char *name)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	require(fd >= 0 && write(fd, name, strlen(name)) == (ssize_t)strlen(name));
	close(fd);
}

static void make_place(void)
{
	static bool is_known;

	if (!is_known) {
		snprintf(root, sizeof(root), "%s/capweir-fuzz-XXXXXX",
			 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		require(mkdtemp(root) != NULL && atexit(remove_all) == 0);
		is_known = true;
	} else {
		remove_all();
		require(mkdir(root, 0700) == 0);
	}
	require(mkdir(path_of("in"), 0700) == 0 && mkdir(path_of("out"), 0700) == 0 &&
		mkdir(path_of("in/sub"), 0700) == 0);
	make_file("out/sentinel");
	make_file("in/victim");
	make_file("in/sub/victim");
	require(symlink("../out", path_of("in/a-out")) == 0);
	require(symlink("../out/sentinel", path_of("in/a-link.pcap")) == 0);
	require(mkfifo(path_of("in/a-fifo"), 0600) == 0);
}

static void check_file(const char *name)
{
	char text[64] = "";
	int fd = open(path_of(name), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	require(fd >= 0 && read(fd, text, sizeof(text) - 1) == (ssize_t)strlen(name) &&
		!strcmp(text, name));
	close(fd);
}

static uint32_t count_names(const char *folder)
{
	DIR *names = opendir(path_of(folder));
	uint32_t count = 0;

	require(names != NULL);
	while (readdir(names))
		count++;
	closedir(names);
	return count;
}

/* Names of the outputs below are "a...", and hidden ones ".a...". */
static void check_names(void)
{
	DIR *names = opendir(path_of("in"));
	const struct dirent *name;

	require(names != NULL);
	while ((name = readdir(names)) != NULL)
		require(!strcmp(name->d_name, ".") || !strcmp(name->d_name, "..") ||
			!strcmp(name->d_name, "victim") || !strcmp(name->d_name, "sub") ||
			name->d_name[0] == 'a' || !strncmp(name->d_name, ".a", 2));
	closedir(names);
	check_file("in/victim");
	check_file("in/sub/victim");
	require(count_names("in/sub") == 3);
}

/* ---- messages ---- */

static uint8_t take(struct input *input)
{
	if (!input->bytes)
		return 0;
	input->bytes--;
	return *input->at++;
}

/* Adds a text: words by their numbers, other bytes as they are, in a frame of what outputs' names
 * have. */
static void put_text(struct input *input, struct cw_opener_message *message, bool is_path)
{
	static const char *const words[] = {
	    "",       "/",    "1",  "b",      "a",     "..",           ".",    "sub", "a-out",
	    "a-link", "a/b/", ".a", "victim", "-fifo", ".abcdef.part", ".ring"};
	const uint8_t frame = take(input);
	size_t left = take(input) % 6u;
	char text[8 * WORD_BYTES_MAX + 256];
	size_t used = (size_t)snprintf(text, sizeof(text), "%s%s",
				       is_path && frame < 240 ? path_of("in/") : "",
				       frame % 8u == 1 ? "" : "a");

	for (; left; left--) {
		const uint8_t one = take(input) % 128u;

		if (one < 64) {
			const char *word = words[one % CW_ARRAY_COUNT(words)];

			memcpy(text + used, word, strlen(word));
			used += strlen(word);
		} else {
			text[used++] = (char)one;
		}
	}
	snprintf(text + used, sizeof(text) - used, "%s", frame % 4u == 0 ? "" : ".pcap");
	cw_opener_put(message, text);
}

/* Returns how many texts a call has. */
static uint32_t count_texts(uint32_t call)
{
	switch (call) {
	case CW_OPENER_ADD:
		return 4;
	case CW_OPENER_RENAME:
		return 2;
	case CW_OPENER_OPEN:
	case CW_OPENER_PUBLISH:
		return 1;
	default:
		return call >= CW_OPENER_STATUS;
	}
}

/* Takes a call's number; most often one of those that make files. */
static uint32_t take_call(struct input *input)
{
	const uint8_t call = take(input) % 64u;

	if (call <= CW_OPENER_CALLS)
		return call;
	return call % 3u ? CW_OPENER_OPEN : CW_OPENER_PUBLISH;
}

/* Fills a message. Returns whether it may add an output. */
static bool make_message(struct input *input, struct cw_opener_message *message)
{
	struct cw_opener_request *request = &message->request;
	uint32_t texts;
	uint8_t odd;

	*request = (struct cw_opener_request){.call = take_call(input),
					      .output = take(input) % 4u,
					      .handle = take(input) % 4u,
					      .flags = take(input),
					      .fixed_bytes = (uint32_t)strlen(path_of("in/"))};
	memcpy(request->random, "abcdef", 7);
	message->text_bytes = 0;
	message->fd = -1;
	odd = take(input);
	texts = odd & 3 ? count_texts(request->call) : odd % 5u;
	request->how = odd >> 6;
	request->random[odd % 6u] = (char)(odd & 32 ? take(input) : 'z');
	if (!(odd & 24))
		request->fixed_bytes = take(input);
	for (; texts; texts--)
		put_text(input, message,
			 request->call == CW_OPENER_ADD || request->call == CW_OPENER_OPEN ||
			     request->call == CW_OPENER_ADOPT);
	return request->call == CW_OPENER_ADD;
}

static void add_output(struct cw_opener *opener, const char *name, bool is_fixed)
{
	const struct cw_opener_output output = {.path = path_of(name),
						.fixed_bytes = strlen(path_of("in/")),
						.prefix = "a",
						.suffix = is_fixed ? "" : ".pcap",
						.ring = is_fixed ? "" : ".a.ring",
						.is_fixed = is_fixed,
						.sync = true};
	struct cw_opener_found found;

	require(cw_opener_add(opener, &output, &found, &(struct cw_error){0}) == 0);
}

/* Sends the messages, and lets them be served until the end. Returns whether an output was added.
 */
static bool serve(struct cw_opener *opener, struct input *input)
{
	static struct cw_opener_message message;
	int here[SOCKETS], there[SOCKETS];
	bool has_added = false;

	for (int i = 0; i < SOCKETS; i++) {
		int pair[2];
		int room = 1 << 20;

		require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
		here[i] = pair[0];
		there[i] = pair[1];
		for (int k = 0; k < 2; k++)
			setsockopt(pair[k], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	}
	for (int i = 0; i < MESSAGES_MAX && input->bytes; i++) {
		size_t head = take(input) % 32u ? sizeof(message.request) : take(input);

		has_added |= make_message(input, &message);
		if (head > sizeof(message.request))
			head = sizeof(message.request);
		require(cw_opener_send(here[i % SOCKETS], &message, head) == 0);
	}
	for (int i = 0; i < SOCKETS; i++)
		shutdown(here[i], SHUT_WR);
	require(cw_opener_serve(opener, there, SOCKETS) == 0);
	for (int i = 0; i < SOCKETS; i++) {
		close(here[i]);
		close(there[i]);
	}
	return has_added;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct input input = {.at = data, .bytes = bytes};
	struct cw_opener *opener;
	bool has_added;

	if (bytes > 2048)
		return 0;
	make_place();
	require(cw_opener_new(&opener, NULL) == 0);
	add_output(opener, "in/a.pcap", false);
	add_output(opener, "in/a-fifo", true);
	add_output(opener, "in/a", true);
	cw_opener_close_list(opener);
	has_added = serve(opener, &input);
	cw_opener_free(opener);
	check_file("out/sentinel");
	require(count_names("out") == 3);
	if (!has_added)
		check_names();
	return 0;
}
