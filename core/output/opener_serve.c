/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Serves in rounds: a request of each socket that has one. Files published in a round share one
 * fsync of their folder, so several writers cost one journal commit, as their own parallel fsyncs
 * would.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/output/opener_serve.h"
#include "core/output/opener_wire.h"

struct folder {
	int fd;
	dev_t device;
	ino_t inode;
	int sync_failure;
};

struct round {
	struct cw_opener *opener;
	struct pollfd waits[CW_OPENER_CHANNELS]; /* fd -1: it has ended */
	uint32_t open_count;
	struct folder folders[CW_OPENER_CHANNELS]; /* to be synced */
	uint32_t folder_count;
	struct cw_opener_message request;
	struct cw_opener_message answer; /* to it */
	struct cw_error error;           /* of the answer */
	struct {
		uint32_t channel;
		struct cw_opener_answer answer;
		uint32_t folder; /* in `folders` */
		uint32_t handle;
		bool is_kept;
	} delayed[CW_OPENER_CHANNELS];
	uint32_t delayed_count;
};

/* ---- answers ---- */

static void begin(struct cw_opener_message *answer)
{
	answer->answer = (struct cw_opener_answer){0};
	answer->text_bytes = 0;
	answer->fd = -1;
}

static void leave(struct round *round, uint32_t channel)
{
	round->waits[channel].fd = -1;
	round->open_count--;
}

static void send_answer(struct round *round, uint32_t channel)
{
	struct cw_opener_message *answer = &round->answer;
	const struct cw_error *error = &round->error;
	const int socket = round->waits[channel].fd;

	answer->answer.error_code = error->code;
	cw_opener_put(answer, error->code ? error->text : "");
	/* A side that has ended needs no answer; its socket is found closed next. One that asks
	 * without reading is not waited for: the other sockets would wait too. */
	if (cw_opener_send(socket, answer, sizeof(answer->answer)) == -EAGAIN)
		leave(round, channel);
	if (answer->fd >= 0)
		close(answer->fd);
}

static void fill_entry(struct cw_opener_message *message, const struct cw_entry *entry)
{
	message->answer.kind = entry->kind;
	message->answer.device = entry->device;
	message->answer.inode = entry->inode;
	cw_opener_put(message, entry->directory);
	cw_opener_put(message, entry->base);
}

static void fill_found(struct cw_opener_message *message, const struct cw_opener_found *found)
{
	message->answer.handle = found->number;
	message->answer.kind = found->kind;
	message->answer.owner = found->owner;
	message->answer.given_to = found->given_to;
	message->answer.status = found->status;
	message->answer.folder_status = found->folder_status;
	cw_opener_put(message, found->base);
}

static int answer_add(struct round *round)
{
	const struct cw_opener_message *message = &round->request;
	struct cw_opener_found found = {0};
	struct cw_opener_output output;
	const struct cw_access *access = &message->request.access;
	const char *texts[5];
	unsigned char has_group;
	int result = cw_opener_texts(message, texts, 5);

	memcpy(&has_group, &access->has_group, 1); /* any byte, which a bool must not have */
	if (has_group > 1)
		return -EINVAL;
	if (access->file_mode & ~0666u || access->folder_mode & ~0777u)
		return -EINVAL;
	if (result || strlen(texts[0]) >= PATH_MAX ||
	    message->request.fixed_bytes > strlen(texts[0]) ||
	    (message->request.fixed_bytes && texts[0][message->request.fixed_bytes - 1] != '/'))
		return -EINVAL;
	output = (struct cw_opener_output){
	    .path = texts[0],
	    .fixed_bytes = message->request.fixed_bytes,
	    .prefix = texts[1],
	    .suffix = texts[2],
	    .ring = texts[3],
	    .hook = texts[4],
	    .is_fixed = message->request.flags & CW_OPENER_FIXED,
	    .no_clobber = message->request.flags & CW_OPENER_NO_CLOBBER,
	    .sync = message->request.flags & CW_OPENER_SYNC,
	    .access = *access,
	};
	result = cw_opener_add(round->opener, &output, &found, &round->error);
	if (result == 0)
		fill_found(&round->answer, &found);
	return result;
}

static int answer_find(struct round *round)
{
	struct cw_opener_found found;
	int result =
	    cw_opener_find(round->opener, round->request.request.output, &found, &round->error);

	if (result == 0)
		fill_found(&round->answer, &found);
	return result;
}

static int answer_open(struct round *round)
{
	const struct cw_opener_request *request = &round->request.request;
	struct cw_opener_message *answer = &round->answer;
	const struct cw_entry *entry;
	const char *path;
	int result = cw_opener_texts(&round->request, &path, 1);

	if (result || memchr(request->random, '\0', sizeof(request->random)) == NULL ||
	    strlen(path) >= PATH_MAX)
		return -EINVAL;
	result = cw_opener_open(round->opener,
				&(struct cw_opener_wish){.output = request->output,
							 .flags = request->flags,
							 .path = path,
							 .random = request->random},
				&answer->answer.handle, &answer->fd, &round->error);
	if (result)
		return result;
	entry = cw_opener_entry(round->opener, answer->answer.handle);
	fill_entry(answer, entry);
	if (entry->kind != CW_ENTRY_REGULAR) /* a stream, which has no further calls */
		cw_opener_forget(round->opener, answer->answer.handle);
	return 0;
}

/* Opens the folder to sync, once a round. Returns its index or a negative errno. */
static int add_folder(struct round *round, uint32_t handle)
{
	int fd = cw_opener_folder(round->opener, handle);
	struct stat status;

	if (fd < 0)
		return fd;
	if (fstat(fd, &status)) {
		int failure = -errno;

		close(fd);
		return failure;
	}
	for (uint32_t i = 0; i < round->folder_count; i++) {
		if (round->folders[i].device == status.st_dev &&
		    round->folders[i].inode == status.st_ino) {
			close(fd);
			return (int)i;
		}
	}
	round->folders[round->folder_count] =
	    (struct folder){.fd = fd, .device = status.st_dev, .inode = status.st_ino};
	return (int)round->folder_count++;
}

/* Asks for the hook of a published file; if it `is_kept`, its number is free from now on. Returns 0
 * or a negative errno. */
static int run_hook(struct round *round, uint32_t handle, bool is_kept)
{
	int result = cw_opener_run_hook(round->opener, handle);

	if (is_kept)
		cw_opener_forget(round->opener, handle);
	return result;
}

/* Returns whether the answer waits for the end of the round. */
static bool answer_publish(struct round *round, uint32_t channel)
{
	const struct cw_opener_request *request = &round->request.request;
	struct cw_opener_answer *answer = &round->answer.answer;
	struct cw_entry_outcome outcome = {.step = "rename to"};
	const char *base = NULL;
	int result = cw_opener_texts(&round->request, &base, 1);
	const bool is_kept = request->flags & CW_OPENER_KEEPS;
	const struct cw_entry *entry;
	int folder = -1;

	if (!result)
		result = cw_opener_publish(round->opener, request->handle, base, request->flags,
					   &outcome);
	answer->result = result;
	answer->step = strcmp(outcome.step, "rename to") != 0;
	answer->obstacle = outcome.obstacle;
	if (result)
		return false;
	entry = cw_opener_entry(round->opener, request->handle);
	answer->bytes = (uint64_t)entry->published_bytes;
	answer->time = entry->published_time;
	if (cw_opener_syncs(round->opener, request->handle)) {
		folder = add_folder(round, request->handle);
		if (folder < 0)
			answer->sync_failure = folder;
	}
	if (folder < 0) {
		answer->hook_failure = run_hook(round, request->handle, is_kept);
		return false;
	}
	round->delayed[round->delayed_count].channel = channel;
	round->delayed[round->delayed_count].folder = (uint32_t)folder;
	round->delayed[round->delayed_count].handle = request->handle;
	round->delayed[round->delayed_count].is_kept = is_kept;
	round->delayed[round->delayed_count++].answer = *answer;
	return true;
}

static int answer_by_number(struct round *round)
{
	const struct cw_opener_request *request = &round->request.request;
	struct cw_opener_message *answer = &round->answer;
	struct cw_opener *opener = round->opener;
	int result;

	switch (request->call) {
	case CW_OPENER_REOPEN:
		return cw_opener_reopen(opener, request->handle, &answer->fd, &round->error);
	case CW_OPENER_DISCARD:
		result = cw_opener_discard(opener, request->handle);
		break;
	case CW_OPENER_REMOVE:
		result = cw_opener_remove(opener, request->handle, &round->error);
		if (result == -ESTALE) /* another program's by now */
			cw_opener_forget(opener, request->handle);
		break;
	case CW_OPENER_DROP:
		return cw_opener_drop(opener, request->output, request->handle);
	case CW_OPENER_RULES:
		return cw_opener_rules(opener, &answer->fd, &round->error);
	case CW_OPENER_FREE_SPACE:
		return cw_opener_free_space(opener, request->output, &answer->answer.bytes);
	default:
		return -EINVAL;
	}
	if (!result)
		cw_opener_forget(opener, request->handle);
	return result;
}

/* Calls of file rings, all but renaming with one text. */
static int answer_ring(struct round *round)
{
	const struct cw_opener_request *request = &round->request.request;
	struct cw_opener_answer *answer = &round->answer.answer;
	struct cw_opener *opener = round->opener;
	const uint32_t output = request->output;
	const char *texts[2];
	int result =
	    cw_opener_texts(&round->request, texts, request->call == CW_OPENER_RENAME ? 2 : 1);

	if (result)
		return -EINVAL;
	switch (request->call) {
	case CW_OPENER_STATUS:
		return cw_opener_status(opener, output, texts[0], &answer->status);
	case CW_OPENER_OPEN_NAME:
		result = request->how > CW_FOLDER_NEW
			     ? -EINVAL
			     : cw_opener_open_name(opener, output, texts[0],
						   (enum cw_folder_access)request->how);
		break;
	case CW_OPENER_NAMES:
		result = cw_opener_names(opener, output, texts[0]);
		break;
	case CW_OPENER_RENAME:
		return cw_opener_rename(opener, output, texts[0], texts[1],
					request->flags & CW_OPENER_REPLACES);
	case CW_OPENER_REMOVE_NAME:
		return cw_opener_remove_name(opener, output, texts[0]);
	case CW_OPENER_SYNC_FOLDER:
		return cw_opener_sync_folder(opener, output);
	default:
		return cw_opener_adopt(opener,
				       &(struct cw_opener_adoptee){.output = output,
								   .path = texts[0],
								   .device = request->device,
								   .inode = request->inode,
								   .bytes = request->bytes,
								   .time = request->time},
				       &answer->handle);
	}
	if (result < 0)
		return result;
	round->answer.fd = result;
	return 0;
}

/* ---- the loop ---- */

/* Answers the request. Returns false if the answer waits for the end of the round. */
static bool answer(struct round *round, uint32_t channel)
{
	int *result = &round->answer.answer.result;

	switch (round->request.request.call) {
	case CW_OPENER_ADD:
		*result = answer_add(round);
		break;
	case CW_OPENER_FIND:
		*result = answer_find(round);
		break;
	case CW_OPENER_OPEN:
		*result = answer_open(round);
		break;
	case CW_OPENER_PUBLISH:
		if (answer_publish(round, channel))
			return false;
		break;
	case CW_OPENER_STATUS:
	case CW_OPENER_OPEN_NAME:
	case CW_OPENER_RENAME:
	case CW_OPENER_REMOVE_NAME:
	case CW_OPENER_SYNC_FOLDER:
	case CW_OPENER_NAMES:
	case CW_OPENER_ADOPT:
		*result = answer_ring(round);
		break;
	default:
		*result = answer_by_number(round);
	}
	return true;
}

/* Syncs the folders of a round, then sends the answers that waited. */
static void end_round(struct round *round)
{
	for (uint32_t i = 0; i < round->folder_count; i++) {
		struct folder *folder = &round->folders[i];

		folder->sync_failure = cw_entry_sync(folder->fd, fsync) ? -errno : 0;
		close(folder->fd);
	}
	for (uint32_t i = 0; i < round->delayed_count; i++) {
		begin(&round->answer);
		round->error.code = 0;
		round->answer.answer = round->delayed[i].answer;
		round->answer.answer.sync_failure =
		    round->folders[round->delayed[i].folder].sync_failure;
		/* Synced before its hook may copy and remove it. */
		round->answer.answer.hook_failure =
		    run_hook(round, round->delayed[i].handle, round->delayed[i].is_kept);
		send_answer(round, round->delayed[i].channel);
	}
	round->folder_count = round->delayed_count = 0;
}

/* Whether the request may free the number of a file whose answer waits. */
static bool touches_delayed(const struct round *round)
{
	const struct cw_opener_request *request = &round->request.request;

	for (uint32_t i = 0; i < round->delayed_count; i++) {
		if (request->call == CW_OPENER_DROP ||
		    ((request->call == CW_OPENER_REMOVE || request->call == CW_OPENER_DISCARD) &&
		     request->handle == round->delayed[i].handle))
			return true;
	}
	return false;
}

/* Reads and answers a request of the channel. */
static void serve(struct round *round, uint32_t channel)
{
	int result = cw_opener_receive(round->waits[channel].fd, &round->request,
				       sizeof(round->request.request), MSG_DONTWAIT);

	if (round->request.fd >= 0)
		close(round->request.fd);
	if (result == -EAGAIN)
		return;
	if (result && result != -EBADMSG) {
		leave(round, channel); /* its other end is closed */
		return;
	}
	if (!result && touches_delayed(round))
		end_round(round);
	begin(&round->answer);
	round->error.code = 0;
	round->answer.answer.result = -EINVAL;
	if (result || answer(round, channel))
		send_answer(round, channel);
}

/* Serves rounds until all channels have ended. */
static int serve_all(struct round *round, uint32_t count)
{
	while (round->open_count) {
		if (poll(round->waits, count, -1) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		for (uint32_t i = 0; i < count; i++) {
			if (round->waits[i].fd >= 0 && round->waits[i].revents)
				serve(round, i);
		}
		end_round(round);
	}
	return 0;
}

int cw_opener_serve(struct cw_opener *opener, const int *sockets, uint32_t count)
{
	struct round *round = calloc(1, sizeof(*round)); /* too large for the stack */
	int result = 0;

	if (!round)
		return -ENOMEM;
	round->opener = opener;
	round->open_count = count;
	for (uint32_t i = 0; i < count; i++) {
		round->waits[i] = (struct pollfd){.fd = sockets[i], .events = POLLIN};
		if (fcntl(sockets[i], F_SETFL, O_NONBLOCK))
			result = -errno;
	}
	if (result == 0)
		result = serve_all(round, count);
	cw_opener_remove_socket(opener);
	free(round);
	return result;
}
