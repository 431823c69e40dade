/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/output/opener_wire.h"

#define RECEIVE_TRIES 8u

void cw_opener_put(struct cw_opener_message *message, const char *text)
{
	size_t room = sizeof(message->text) - message->text_bytes;
	size_t bytes = cw_min_size(strlen(text) + 1, room);

	memcpy(message->text + message->text_bytes, text, bytes);
	message->text_bytes += (uint32_t)bytes;
}

int cw_opener_texts(const struct cw_opener_message *message, const char **texts, uint32_t count)
{
	const char *at = message->text;
	const char *end = at + message->text_bytes;

	for (uint32_t i = 0; i < count; i++) {
		const char *nul = memchr(at, '\0', (size_t)(end - at));

		if (!nul)
			return -EBADMSG;
		texts[i] = at;
		at = nul + 1;
	}
	return at == end ? 0 : -EBADMSG;
}

int cw_opener_send(int socket, const struct cw_opener_message *message, size_t head_bytes)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec parts[] = {
	    {.iov_base = (void *)&message->request, .iov_len = head_bytes},
	    {.iov_base = (void *)message->text, .iov_len = message->text_bytes}};
	struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t sent;

	if (message->fd >= 0) {
		struct cmsghdr *rights;

		header.msg_control = control.bytes;
		header.msg_controllen = sizeof(control.bytes);
		rights = CMSG_FIRSTHDR(&header);
		rights->cmsg_level = SOL_SOCKET;
		rights->cmsg_type = SCM_RIGHTS;
		rights->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(rights), &message->fd, sizeof(int));
	}
	do
		sent = sendmsg(socket, &header, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent >= 0)
		return 0;
	return errno == EPIPE || errno == ECONNRESET ? -ESRCH : -errno;
}

/* Takes the descriptor of a message; others than the first are closed. */
static void take_descriptor(struct msghdr *header, struct cw_opener_message *message)
{
	for (struct cmsghdr *rights = CMSG_FIRSTHDR(header); rights;
	     rights = CMSG_NXTHDR(header, rights)) {
		size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(rights) + i * sizeof(int), sizeof(int));
			if (message->fd < 0)
				message->fd = fd;
			else
				close(fd);
		}
	}
}

int cw_opener_receive(int socket, struct cw_opener_message *message, size_t head_bytes, int flags)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec parts[] = {{.iov_base = &message->request, .iov_len = head_bytes},
				{.iov_base = message->text, .iov_len = sizeof(message->text)}};
	struct msghdr header = {.msg_iov = parts,
				.msg_iovlen = 2,
				.msg_control = control.bytes,
				.msg_controllen = sizeof(control.bytes)};
	unsigned tries = RECEIVE_TRIES;
	ssize_t bytes;

	message->fd = -1;
	message->text_bytes = 0;
	do /* without memory, the message stays in the socket: it would answer the next request */
		bytes = recvmsg(socket, &header, MSG_CMSG_CLOEXEC | flags);
	while (bytes < 0 &&
	       (errno == EINTR || ((errno == ENOBUFS || errno == ENOMEM) && tries-- > 0)));
	if (bytes < 0)
		return errno == ECONNRESET ? -ESRCH : -errno;
	take_descriptor(&header, message);
	if (!bytes)
		return -ESRCH;
	if ((size_t)bytes < head_bytes || header.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		return -EBADMSG;
	message->text_bytes = (uint32_t)((size_t)bytes - head_bytes);
	return 0;
}
