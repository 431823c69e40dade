/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hooks of an opener's outputs. The process that runs them hears of files from the opener
 * alone, once they are published: whoever asks for files cannot have anything else run. Which
 * command an output's hook is, that process reads in the rules itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/output/opener_parts.h"
#include "core/output/opener_wire.h"

void cw_opener_set_hooks(struct cw_opener *opener, const struct cw_opener_hooks *hooks)
{
	opener->hooks = *hooks;
}

int cw_opener_hooks_socket(const struct cw_opener *opener)
{
	return opener->hooks.socket;
}

/* The socket waits for room only as long as its owner wants. `text` may be NULL, `fd` -1. */
static int tell(const struct cw_opener *opener, const struct cw_opener_request *request,
		const char *text, int fd)
{
	struct cw_opener_message message;
	int result;

	if (opener->hooks.socket < 0)
		return 0;
	message.request = *request;
	message.text_bytes = 0;
	message.fd = fd;
	if (text)
		cw_opener_put(&message, text);
	result = cw_opener_send(opener->hooks.socket, &message, sizeof(message.request));
	if (result == -ESRCH) /* to whoever asked, this would be the opener's own end */
		return -EPIPE;
	return result == -EAGAIN ? -ETIMEDOUT : result;
}

static bool would_be_root(const struct cw_opener *opener, const struct output *output)
{
	return output->is_roots && opener->root == 0 && !opener->hooks.has_user &&
	       !opener->hooks.may_be_root;
}

int cw_opener_add_hook(struct cw_opener *opener, struct output *output, uint32_t number,
		       const char *rule, struct cw_error *error)
{
	const char *folder = output->place.folder[0] ? output->place.folder : "./";
	const int bytes = (int)strlen(folder) - (strcmp(folder, "/") != 0);
	int result;

	if (would_be_root(opener, output))
		return cw_error_set(error, -EPERM,
				    "its files in %.*s belong to root, so its hook would run as "
				    "root: give --hook-user USER, or -Z root",
				    bytes, folder);
	result = tell(opener, &(struct cw_opener_request){.call = CW_HOOK_ADD, .output = number},
		      rule, -1);
	output->has_hook = result == 0;
	output->is_given = result == 0 && opener->hooks.has_user;
	return result ? cw_error_set_errno(error, result, "cannot ask for its hook") : 0;
}

void cw_opener_drop_hook(const struct cw_opener *opener, uint32_t number)
{
	/* If it fails, the words stay in memory until another output has the number. */
	(void)tell(opener, &(struct cw_opener_request){.call = CW_HOOK_DROP, .output = number},
		   NULL, -1);
}

int cw_opener_ask_hook(const struct cw_opener *opener, uint32_t number, const char *path)
{
	const struct output *output = opener->outputs.at[number];

	if (!output->has_hook)
		return 0;
	return tell(opener,
		    &(struct cw_opener_request){.call = CW_HOOK_RUN,
						.output = number,
						.flags = output->is_roots ? CW_HOOK_ROOTS : 0},
		    path, -1);
}

/* As another open file: the asking process could move the position of its own. */
int cw_opener_pass_rules(const struct cw_opener *opener, const struct stat *status,
			 struct cw_error *error)
{
	struct stat again;
	int result, fd;

	if (opener->hooks.socket < 0)
		return 0;
	fd = open(opener->rules, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &again) || !cw_target_is_same(status, &again))
		result = cw_error_set(error, -EAGAIN,
				      "the rules file %.400s was replaced while it was opened: "
				      "reload again",
				      opener->rules);
	else
		result = tell(opener, &(struct cw_opener_request){.call = CW_HOOK_RULES}, NULL, fd);
	if (result && result != -EAGAIN)
		cw_error_set_errno(error, result, "cannot pass the rules on to the hooks");
	if (fd >= 0)
		close(fd);
	return result;
}
