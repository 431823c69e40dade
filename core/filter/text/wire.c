/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages between the processes that compile filters: complete ones, over stream sockets, with
 * deadlines, in whatever pieces the kernel moves them. A process that is gone is a result, never a
 * signal.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/base/clock.h"
#include "core/filter/text/helper.h"

#define POLL_MS_MAX 60000 /* longest wait between looks at the clock */

int cw_wire_wait(int fd, short events, int watched, uint64_t deadline_ns)
{
	/* The watched side sends nothing: its only event is its end. */
	struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = watched, .events = POLLRDHUP}};

	for (;;) {
		uint64_t now_ns = cw_now_ns();
		uint64_t left_ms;
		int timeout_ms = POLL_MS_MAX;

		if (now_ns >= deadline_ns)
			return -ETIMEDOUT;
		left_ms = (deadline_ns - now_ns) / 1000000 + 1;
		if (left_ms < POLL_MS_MAX)
			timeout_ms = (int)left_ms;
		if (poll(fds, 2, timeout_ms) < 0 && errno != EINTR)
			return -errno;
		if (fds[1].revents)
			return -ECANCELED;
		if (fds[0].revents)
			return 0;
	}
}

/* The result for errno after a call that moved nothing; 0: try again. */
static int judge_errno(int fd, short events, int watched, uint64_t deadline_ns)
{
	if (errno == EINTR)
		return 0;
	if (errno == EAGAIN || errno == EWOULDBLOCK)
		return cw_wire_wait(fd, events, watched, deadline_ns);
	return errno == ECONNRESET ? -EPIPE : -errno;
}

/* Send all parts, usually in one call, because a first piece alone would wake the other side for
 * nothing. Changes `parts`. */
static int send_parts(int fd, struct iovec *parts, size_t count, uint64_t deadline_ns)
{
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
	int result = 0;

	while (message.msg_iovlen && result == 0) {
		ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		size_t left = sent < 0 ? 0 : (size_t)sent;

		if (sent < 0)
			result = judge_errno(fd, POLLOUT, -1, deadline_ns);
		for (; message.msg_iovlen && left >= message.msg_iov->iov_len;
		     message.msg_iovlen--, message.msg_iov++)
			left -= message.msg_iov->iov_len;
		if (left) {
			message.msg_iov->iov_base = (uint8_t *)message.msg_iov->iov_base + left;
			message.msg_iov->iov_len -= left;
		}
	}
	return result;
}

int cw_wire_send(int fd, const void *data, size_t bytes, uint64_t deadline_ns)
{
	struct iovec part = {(void *)(uintptr_t)data, bytes};

	return send_parts(fd, &part, 1, deadline_ns);
}

int cw_wire_receive(int fd, int watched, void *data, size_t bytes, uint64_t deadline_ns)
{
	uint8_t *to = data;
	int result = 0;

	while (bytes && result == 0) {
		ssize_t got = recv(fd, to, bytes, MSG_DONTWAIT);

		if (got < 0) {
			result = judge_errno(fd, POLLIN, watched, deadline_ns);
		} else if (got == 0) {
			result = -EPIPE;
		} else {
			to += got;
			bytes -= (size_t)got;
		}
	}
	return result;
}

int cw_wire_send_request(int fd, const struct cw_helper_request *request, const char *expression,
			 uint64_t deadline_ns)
{
	struct iovec parts[] = {{(void *)(uintptr_t)request, sizeof(*request)},
				{(void *)(uintptr_t)expression, request->expression_bytes}};

	return send_parts(fd, parts, CW_ARRAY_COUNT(parts), deadline_ns);
}

int cw_wire_receive_request(int fd, struct cw_helper_request *request, char **expression)
{
	int result = cw_wire_receive(fd, -1, request, sizeof(*request), CW_HELPER_FOREVER);

	*expression = NULL;
	if (result)
		return result;
	if (request->expression_bytes > CW_HELPER_EXPRESSION_MAX)
		return -EPROTO;
	*expression = malloc(request->expression_bytes + (size_t)1);
	if (!*expression)
		return -ENOMEM;
	(*expression)[request->expression_bytes] = '\0';
	result = cw_wire_receive(fd, -1, *expression, request->expression_bytes, CW_HELPER_FOREVER);
	if (result) {
		free(*expression);
		*expression = NULL;
	}
	return result;
}

int cw_wire_send_answer(int fd, const struct cw_helper_answer *answer, uint64_t deadline_ns)
{
	const struct cw_helper_answer_head *head = &answer->head;
	struct iovec parts[] = {
	    {(void *)(uintptr_t)head, sizeof(*head)},
	    {answer->translation.at, head->count * sizeof(*answer->translation.at)},
	    {(void *)(uintptr_t)answer->text, head->text_bytes}};

	return send_parts(fd, parts, CW_ARRAY_COUNT(parts), deadline_ns);
}

/* Whether kinds and sizes of the answer are possible. */
static bool is_sane(const struct cw_helper_answer_head *head)
{
	bool has_program = head->stop == CW_STOP_NONE && head->result >= 0;

	return head->count <= CW_FILTER_INSTRUCTIONS_MAX && has_program == (head->count > 0) &&
	       head->text_bytes < CW_ERROR_TEXT_BYTES && head->first_stop < CW_STOP_COUNT &&
	       head->stop < CW_STOP_COUNT && head->result <= CW_FILTER_UNOPTIMIZED;
}

int cw_wire_receive_answer(int fd, int watched, struct cw_helper_answer *answer,
			   uint64_t deadline_ns)
{
	struct cw_helper_answer_head *head = &answer->head;
	struct cw_bpf *translation = &answer->translation;
	size_t program_bytes;
	int result;

	*translation = (struct cw_bpf){0};
	result = cw_wire_receive(fd, watched, head, sizeof(*head), deadline_ns);
	if (result)
		return result;
	if (!is_sane(head))
		return -EPROTO;
	program_bytes = head->count * sizeof(*translation->at);
	if (head->count) {
		translation->at = malloc(program_bytes);
		if (!translation->at)
			return -ENOMEM;
		translation->count = head->count;
	}
	result = cw_wire_receive(fd, watched, translation->at, program_bytes, deadline_ns);
	if (result == 0)
		result = cw_wire_receive(fd, watched, answer->text, head->text_bytes, deadline_ns);
	answer->text[result ? 0 : head->text_bytes] = '\0';
	if (result)
		cw_bpf_fini(translation);
	return result;
}
