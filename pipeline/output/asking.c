/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/output/opener_serve.h"
#include "core/output/opener_wire.h"
#include "pipeline/output/asking.h"
#include "pipeline/threads/gate.h"

struct channel {
	_Alignas(CW_CACHE_LINE) _Atomic bool is_taken; /* [ASK-1]: by the thread that asks */
	int socket;
	struct cw_opener_message message;
};

struct cw_asking {
	uint32_t count;
	int watch_fd; /* never asked by: its other end says when the process ends */
	struct cw_gate given_back;
	struct channel channels[CW_OPENER_CHANNELS];
};

int cw_asking_new(struct cw_asking **result, const int *sockets, uint32_t count)
{
	struct cw_asking *asking = aligned_alloc(CW_CACHE_LINE, sizeof(*asking));

	*result = asking;
	if (!asking) {
		for (uint32_t i = 0; i < count; i++)
			close(sockets[i]);
		return -ENOMEM;
	}
	memset(asking, 0, sizeof(*asking));
	asking->watch_fd = sockets[0];
	asking->count = count - 1;
	for (uint32_t i = 0; i < asking->count; i++)
		asking->channels[i].socket = sockets[i + 1];
	return 0;
}

void cw_asking_free(struct cw_asking *asking)
{
	if (!asking)
		return;
	close(asking->watch_fd);
	for (uint32_t i = 0; i < asking->count; i++)
		close(asking->channels[i].socket);
	free(asking);
}

int cw_asking_fd(const struct cw_asking *asking)
{
	return asking->watch_fd;
}

/* ---- a request and its answer ---- */

static struct channel *take_any(struct cw_asking *asking)
{
	for (;;) {
		uint32_t seen = cw_gate_look(&asking->given_back);

		for (uint32_t i = 0; i < asking->count; i++) {
			bool was_taken = false;

			/* acquire [ASK-1]: the message is this thread's now */
			if (atomic_compare_exchange_strong_explicit(
				&asking->channels[i].is_taken, &was_taken, true,
				memory_order_acquire, memory_order_relaxed))
				return &asking->channels[i];
		}
		cw_gate_wait(&asking->given_back, seen);
	}
}

static void give_back(struct cw_asking *asking, struct channel *channel)
{
	atomic_store_explicit(&channel->is_taken, false, memory_order_release); /* [ASK-1] */
	cw_gate_signal(&asking->given_back);
}

/* Begins a request. The channel is this thread's until give_back. */
static struct channel *begin(struct cw_asking *asking, enum cw_opener_call call)
{
	struct channel *channel = take_any(asking);

	channel->message.request = (struct cw_opener_request){.call = call};
	channel->message.text_bytes = 0;
	channel->message.fd = -1;
	return channel;
}

/* Sends the request and waits for its answer, with `count` texts before the error's. Returns the
 * answer's result. */
static int ask(struct channel *channel, const char **texts, uint32_t count, struct cw_error *error)
{
	struct cw_opener_message *message = &channel->message;
	const char *all[CW_OPENER_TEXTS_MAX];
	int result = cw_opener_send(channel->socket, message, sizeof(message->request));

	if (result == 0)
		result = cw_opener_receive(channel->socket, message, sizeof(message->answer), 0);
	if (result) {
		message->answer = (struct cw_opener_answer){.result = result};
		if (result == -ESRCH && error)
			cw_error_set(error, result, CW_ENTRY_ENDED);
		return result;
	}
	if (message->answer.result) /* then the error's text is the only one that counts */
		count = 0;
	if (cw_opener_texts(message, all, count + 1))
		return message->answer.result ? message->answer.result : -EBADMSG;
	for (uint32_t i = 0; i < count; i++)
		texts[i] = all[i];
	if (message->answer.error_code && error)
		cw_error_set(error, message->answer.error_code, "%s", all[count]);
	return message->answer.result;
}

/* Asks with an entry's number alone. */
static int ask_about(struct cw_asking *asking, enum cw_opener_call call,
		     const struct cw_entry *entry, struct channel **channel, struct cw_error *error)
{
	*channel = begin(asking, call);
	(*channel)->message.request.handle = entry->handle;
	(*channel)->message.request.output = entry->options->output;
	return ask(*channel, NULL, 0, error);
}

/* ---- entries ---- */

/* Takes over what the other process knows of a new file. */
static int take_entry(struct cw_entry *entry, const struct cw_opener_answer *answer,
		      const char *directory, const char *base)
{
	size_t prefix = strcmp(directory, ".") ? strlen(directory) : 0;
	char *part_path = malloc(prefix + CW_ENTRY_NAME_BYTES);
	char *own_directory = strdup(directory);
	char *own_base = strdup(base);

	if (!part_path || !own_directory || !own_base) {
		free(part_path);
		free(own_directory);
		free(own_base);
		return -ENOMEM;
	}
	free(entry->part_path);
	free(entry->directory);
	free(entry->base);
	/* NOLINTNEXTLINE(bugprone-not-null-terminated-result): the hidden name follows */
	memcpy(part_path, directory, prefix);
	cw_entry_hidden_name(own_base, entry->random, part_path + prefix);
	entry->part_path = part_path;
	entry->part_name = part_path + prefix;
	entry->directory = own_directory;
	entry->base = own_base;
	entry->kind = (enum cw_entry_kind)answer->kind;
	entry->has_part = entry->kind == CW_ENTRY_REGULAR;
	entry->handle = entry->has_part ? answer->handle : CW_ENTRY_NO_HANDLE;
	entry->device = answer->device;
	entry->inode = answer->inode;
	return 0;
}

static int open_asked(void *context, struct cw_entry *entry, int *fd, struct cw_error *error)
{
	struct channel *channel = begin(context, CW_OPENER_OPEN);
	struct cw_opener_message *message = &channel->message;
	const char *texts[2];
	int result;

	message->request.output = entry->options->output;
	message->request.flags = entry->options->is_later ? CW_OPENER_IS_LATER : 0;
	memcpy(message->request.random, entry->random, sizeof(entry->random));
	cw_opener_put(message, entry->path);
	result = ask(channel, texts, 2, error);
	if (result == 0 && message->fd < 0)
		result = -EBADMSG;
	if (result == 0)
		result = take_entry(entry, &message->answer, texts[0], texts[1]);
	if (result == 0)
		*fd = message->fd;
	else if (message->fd >= 0)
		close(message->fd);
	give_back(context, channel);
	return result;
}

static int reopen_asked(void *context, struct cw_entry *entry, int *fd, struct cw_error *error)
{
	struct channel *channel;
	int result = ask_about(context, CW_OPENER_REOPEN, entry, &channel, error);

	if (result == 0)
		*fd = channel->message.fd;
	if (result == 0 && *fd < 0)
		result = -EBADMSG;
	give_back(context, channel);
	return result;
}

static int publish_asked(void *context, struct cw_entry *entry, struct cw_entry_outcome *outcome)
{
	struct channel *channel = begin(context, CW_OPENER_PUBLISH);
	const struct cw_opener_answer *answer = &channel->message.answer;
	int result;

	channel->message.request.handle = entry->handle;
	channel->message.request.flags = (entry->options->listing ? CW_OPENER_NEW_NAME : 0) |
					 (entry->options->is_removable ? 0 : CW_OPENER_KEEPS);
	cw_opener_put(&channel->message, entry->base);
	result = ask(channel, NULL, 0, NULL);

	*outcome =
	    (struct cw_entry_outcome){.step = answer->step ? "open the folder of" : "rename to",
				      .obstacle = answer->obstacle,
				      .sync_failure = answer->sync_failure,
				      .hook_failure = answer->hook_failure};
	if (result == 0) {
		entry->published_bytes = (off_t)answer->bytes;
		entry->published_time = answer->time;
		entry->has_part = false;
		entry->kind = CW_ENTRY_PUBLISHED;
		if (!entry->options->is_removable)
			entry->handle = CW_ENTRY_NO_HANDLE;
	}
	give_back(context, channel);
	return result;
}

static int discard_asked(void *context, struct cw_entry *entry)
{
	struct channel *channel;
	int result = ask_about(context, CW_OPENER_DISCARD, entry, &channel, NULL);

	give_back(context, channel);
	if (result == 0) {
		entry->has_part = false;
		entry->handle = CW_ENTRY_NO_HANDLE;
	}
	return result;
}

static int remove_asked(void *context, struct cw_entry *entry, struct cw_error *error)
{
	struct channel *channel;
	int result = ask_about(context, CW_OPENER_REMOVE, entry, &channel, error);

	give_back(context, channel);
	if (result == 0 || result == -ESTALE)
		entry->handle = CW_ENTRY_NO_HANDLE;
	return result;
}

static int adopt_asked(void *context, struct cw_entry *entry)
{
	struct channel *channel = begin(context, CW_OPENER_ADOPT);
	struct cw_opener_request *request = &channel->message.request;
	int result;

	request->output = entry->options->output;
	request->device = entry->device;
	request->inode = entry->inode;
	request->bytes = (uint64_t)entry->published_bytes;
	request->time = entry->published_time;
	cw_opener_put(&channel->message, entry->path);
	result = ask(channel, NULL, 0, NULL);
	if (result == 0)
		entry->handle = channel->message.answer.handle;
	give_back(context, channel);
	return result;
}

static int free_space_asked(void *context, const struct cw_entry *entry, uint64_t *bytes)
{
	struct channel *channel;
	int result = ask_about(context, CW_OPENER_FREE_SPACE, entry, &channel, NULL);

	*bytes = result ? 0 : channel->message.answer.bytes;
	give_back(context, channel);
	return result;
}

struct cw_entries cw_asking_entries(struct cw_asking *asking)
{
	static const struct cw_entry_ops asked = {.open = open_asked,
						  .reopen = reopen_asked,
						  .publish = publish_asked,
						  .discard = discard_asked,
						  .remove = remove_asked,
						  .adopt = adopt_asked,
						  .free_space = free_space_asked};

	return (struct cw_entries){.ops = &asked, .context = asking};
}

/* ---- outputs ---- */

/* Asks, and gives the channel back. */
static int take_found(struct cw_asking *asking, struct channel *channel,
		      struct cw_opener_found *found, struct cw_error *error)
{
	const struct cw_opener_answer *answer = &channel->message.answer;
	const char *base = NULL;
	int result = ask(channel, &base, 1, error);

	if (result == 0) {
		*found = (struct cw_opener_found){.number = answer->handle,
						  .owner = answer->owner,
						  .given_to = answer->given_to,
						  .kind = (enum cw_target_kind)answer->kind,
						  .status = answer->status,
						  .folder_status = answer->folder_status};
		memcpy(found->base, base, cw_min_size(strlen(base), sizeof(found->base) - 1));
	}
	give_back(asking, channel);
	return result;
}

int cw_asking_add(struct cw_asking *asking, const struct cw_opener_output *output,
		  struct cw_opener_found *found, struct cw_error *error)
{
	struct channel *channel = begin(asking, CW_OPENER_ADD);
	struct cw_opener_message *message = &channel->message;

	message->request.fixed_bytes = (uint32_t)output->fixed_bytes;
	message->request.flags = (output->is_fixed ? CW_OPENER_FIXED : 0) |
				 (output->no_clobber ? CW_OPENER_NO_CLOBBER : 0) |
				 (output->sync ? CW_OPENER_SYNC : 0);
	message->request.access = output->access;
	cw_opener_put(message, output->path);
	cw_opener_put(message, output->prefix);
	cw_opener_put(message, output->suffix);
	cw_opener_put(message, output->ring ? output->ring : "");
	cw_opener_put(message, output->hook ? output->hook : "");
	return take_found(asking, channel, found, error);
}

int cw_asking_find(struct cw_asking *asking, uint32_t number, struct cw_opener_found *found,
		   struct cw_error *error)
{
	struct channel *channel = begin(asking, CW_OPENER_FIND);

	channel->message.request.output = number;
	return take_found(asking, channel, found, error);
}

int cw_asking_drop(struct cw_asking *asking, uint32_t number, uint32_t heir)
{
	struct channel *channel = begin(asking, CW_OPENER_DROP);
	int result;

	channel->message.request.output = number;
	channel->message.request.handle = heir;
	result = ask(channel, NULL, 0, NULL);
	give_back(asking, channel);
	return result;
}

int cw_asking_rules(struct cw_asking *asking, int *fd, struct cw_error *error)
{
	struct channel *channel = begin(asking, CW_OPENER_RULES);
	int result = ask(channel, NULL, 0, error);

	*fd = channel->message.fd;
	if (result == 0 && *fd < 0)
		result = cw_error_set(error, -EBADMSG, "cannot read the rules again");
	give_back(asking, channel);
	return result;
}

/* ---- folders ---- */

/* Asks about a name, or two. Takes the descriptor if there has to be one. Returns it, or the
 * result.
 */
static int ask_folder(const struct cw_folder *folder, struct cw_opener_request request,
		      const char *name, const char *other, struct stat *status)
{
	const bool has_fd = request.call == CW_OPENER_OPEN_NAME || request.call == CW_OPENER_NAMES;
	struct channel *channel = begin(folder->context, (enum cw_opener_call)request.call);
	struct cw_opener_message *message = &channel->message;
	int result;

	request.output = folder->output;
	message->request = request;
	cw_opener_put(message, name);
	if (other)
		cw_opener_put(message, other);
	result = ask(channel, NULL, 0, NULL);
	if (result == 0 && status)
		*status = message->answer.status;
	if (result == 0 && has_fd)
		result = message->fd < 0 ? -EBADMSG : message->fd;
	give_back(folder->context, channel);
	return result;
}

static int status_asked(const struct cw_folder *folder, const char *name, struct stat *status)
{
	return ask_folder(folder, (struct cw_opener_request){.call = CW_OPENER_STATUS}, name, NULL,
			  status);
}

static int open_name_asked(const struct cw_folder *folder, const char *name,
			   enum cw_folder_access access)
{
	return ask_folder(folder,
			  (struct cw_opener_request){.call = CW_OPENER_OPEN_NAME, .how = access},
			  name, NULL, NULL);
}

static int rename_asked(const struct cw_folder *folder, const char *from, const char *to,
			bool replaces)
{
	return ask_folder(folder,
			  (struct cw_opener_request){.call = CW_OPENER_RENAME,
						     .flags = replaces ? CW_OPENER_REPLACES : 0},
			  from, to, NULL);
}

static int remove_name_asked(const struct cw_folder *folder, const char *name)
{
	return ask_folder(folder, (struct cw_opener_request){.call = CW_OPENER_REMOVE_NAME}, name,
			  NULL, NULL);
}

static int sync_asked(const struct cw_folder *folder)
{
	return ask_folder(folder, (struct cw_opener_request){.call = CW_OPENER_SYNC_FOLDER}, "",
			  NULL, NULL);
}

static int names_asked(const struct cw_folder *folder, const char *below)
{
	return ask_folder(folder, (struct cw_opener_request){.call = CW_OPENER_NAMES}, below, NULL,
			  NULL);
}

struct cw_folder cw_asking_folder(struct cw_asking *asking, uint32_t number, uid_t owner)
{
	static const struct cw_folder_ops asked = {.status = status_asked,
						   .open = open_name_asked,
						   .rename = rename_asked,
						   .remove = remove_name_asked,
						   .sync = sync_asked,
						   .names = names_asked};

	return (struct cw_folder){
	    .ops = &asked, .owner = owner, .fd = -1, .context = asking, .output = number};
}
