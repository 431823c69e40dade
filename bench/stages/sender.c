/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/stages/sender.h"
#include "core/base/base.h"
#include "core/source/live/transmit.h"

#define FRAMES 1024u       /* different frames, in turns */
#define HEADER_BYTES 42    /* Ethernet, IPv4, UDP */
#define LINK_MS 5000       /* time limit for an interface to come up */
#define SETTLE_NS 10000000 /* pause after that, until its queue works */

struct message {
	int result;
	uint64_t sent;
	double ns;
	char text[CW_STAGE_TEXT_BYTES];
};

void cw_sender_filter(uint32_t index, uint32_t count, char filter[CW_STAGE_FILTER_BYTES])
{
	if (count <= 1)
		filter[0] = '\0';
	else
		snprintf(filter, CW_STAGE_FILTER_BYTES, "src host 10.%u.%u.%u", index / 62500,
			 index / 250 % 250, 1 + index % 250);
}

/* Builds a UDP frame to an address that no interface has, so that the system drops it early. */
static void make_frame(uint8_t *frame, uint32_t bytes, uint32_t number, uint32_t sources)
{
	static const uint8_t head[HEADER_BYTES] = {
	    2,    0, 0,   0,  0,   2, 2,    0, 0,  0,  0, 1, 8,  0, /* Ethernet */
	    0x45, 0, 0,   0,  0,   0, 0x40, 0, 64, 17, 0, 0, 10, 0,
	    0,    1, 198, 51, 100, 1, 0,    0, 0,  9,  0, 0, 0,  0}; /* no checksum */
	uint32_t source = number % sources, sum = 0;

	memset(frame, (int)number, bytes);
	memcpy(frame, head, sizeof(head));
	frame[16] = (uint8_t)((bytes - 14) >> 8);
	frame[17] = (uint8_t)(bytes - 14);
	frame[27] = (uint8_t)(source / 62500);
	frame[28] = (uint8_t)(source / 250 % 250);
	frame[29] = (uint8_t)(1 + source % 250);
	frame[34] = (uint8_t)(4 + number / 256 % 64);
	frame[35] = (uint8_t)number;
	frame[38] = (uint8_t)((bytes - 34) >> 8);
	frame[39] = (uint8_t)(bytes - 34);
	for (int at = 14; at < 34; at += 2)
		sum += (uint32_t)frame[at] << 8 | frame[at + 1];
	sum = (sum >> 16) + (sum & 0xffff);
	sum += sum >> 16;
	frame[24] = (uint8_t)(~sum >> 8);
	frame[25] = (uint8_t)~sum;
}

/* Waits for the interface: the kernel drops all frames up to 1 s after the peer came up. */
static int wait_for_link(const char *device)
{
	struct ifreq request = {0};
	const struct timespec settle = {.tv_nsec = SETTLE_NS};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int result = -ENETDOWN;

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	for (int waited = 0; waited < LINK_MS && result == -ENETDOWN; waited += 10) {
		if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
			result = -errno;
		else if (request.ifr_flags & IFF_RUNNING)
			result = 0;
		nanosleep(&settle, NULL);
	}
	close(fd);
	return result;
}

/* Sends until the time is over; with a rate, each burst waits until it is due. */
static int send_frames(struct cw_transmit *transmit, const struct cw_packet *packets,
		       const struct cw_stage_capture_options *options, struct message *message)
{
	double start = cw_stage_now_ns(), end = start + options->duration_ms * 1e6, now;
	double gap_ns = options->rate ? 1e9 / (double)options->rate : 0;

	while ((now = cw_stage_now_ns()) < end) {
		size_t at = message->sent % FRAMES, burst = CW_TRANSMIT_BURST;
		int count;

		if (gap_ns > 0) {
			double due = (now - start) / gap_ns - (double)message->sent;

			if (due < 1) {
				const struct timespec pause = {.tv_nsec = 50000};

				nanosleep(&pause, NULL);
				continue;
			}
			if (due < (double)burst)
				burst = (size_t)due;
		}
		if (burst > FRAMES - at)
			burst = FRAMES - at;
		count = cw_transmit_send(transmit, packets + at, burst);
		if (count < 0 && count != -EAGAIN)
			return count;
		message->sent += count > 0 ? (uint64_t)count : 0;
	}
	message->ns = cw_stage_now_ns() - start;
	return 0;
}

/* Main function of the sending process. */
static void run(const struct cw_stage_capture_options *options, int go_fd, struct message *message)
{
	uint8_t *bytes = malloc((size_t)FRAMES * options->frame_bytes);
	struct cw_packet *packets = calloc(FRAMES, sizeof(*packets));
	struct cw_transmit *transmit = NULL;
	struct cw_error error = {0};
	char go;

	message->result = bytes && packets ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < FRAMES && message->result == 0; i++) {
		packets[i].data = bytes + (size_t)i * options->frame_bytes;
		packets[i].caplen = packets[i].wire_len = options->frame_bytes;
		make_frame(bytes + (size_t)i * options->frame_bytes, options->frame_bytes, i,
			   options->filters || !options->filter_count ? 1 : options->filter_count);
	}
	if (message->result == 0)
		message->result = wait_for_link(options->sender);
	if (message->result == 0)
		message->result = cw_transmit_open(&transmit, options->sender, &error);
	if (message->result == 0 && read(go_fd, &go, 1) == 1)
		message->result = send_frames(transmit, packets, options, message);
	if (message->result < 0)
		snprintf(message->text, sizeof(message->text), "cannot send on %.60s: %.300s",
			 options->sender, *error.text ? error.text : strerror(-message->result));
	cw_transmit_close(transmit);
	free(packets);
	free(bytes);
}

/* Returns the first core of a set, which is not empty. */
static size_t first_core(const cpu_set_t *cores)
{
	size_t core = 0;

	while (!CPU_ISSET(core, cores))
		core++;
	return core;
}

static void leave_first_core(struct cw_sender *sender)
{
	cpu_set_t others = sender->cores;

	if (CPU_COUNT(&others) < 2)
		return;
	CPU_CLR(first_core(&others), &others);
	sched_setaffinity(0, sizeof(others), &others);
}

static void take_first_core(const struct cw_sender *sender)
{
	cpu_set_t first;

	if (CPU_COUNT(&sender->cores) < 2)
		return;
	CPU_ZERO(&first);
	CPU_SET(first_core(&sender->cores), &first);
	sched_setaffinity(0, sizeof(first), &first);
}

static _Noreturn void be_sender(const struct cw_sender *sender,
				const struct cw_stage_capture_options *options, int go_fd,
				int result_fd)
{
	struct message message = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	take_first_core(sender);
	run(options, go_fd, &message);
	_exit(write(result_fd, &message, sizeof(message)) == sizeof(message) ? 0 : 1);
}

int cw_sender_start(struct cw_sender *sender, const struct cw_stage_capture_options *options,
		    char text[CW_STAGE_TEXT_BYTES])
{
	int go[2], result[2];

	*sender = (struct cw_sender){.go_fd = -1, .result_fd = -1};
	if (!options->sender)
		return 0;
	if (sched_getaffinity(0, sizeof(sender->cores), &sender->cores) < 0)
		CPU_ZERO(&sender->cores);
	if (pipe(go) < 0)
		goto fail;
	if (pipe(result) < 0)
		goto close_go;
	sender->process = fork();
	if (sender->process < 0)
		goto close_result;
	if (sender->process == 0) {
		close(go[1]);
		close(result[0]);
		be_sender(sender, options, go[0], result[1]);
	}
	close(go[0]);
	close(result[1]);
	sender->go_fd = go[1];
	sender->result_fd = result[0];
	leave_first_core(sender);
	return 0;
close_result:
	close(result[0]);
	close(result[1]);
close_go:
	close(go[0]);
	close(go[1]);
fail:
	sender->process = 0;
	snprintf(text, CW_STAGE_TEXT_BYTES, "cannot start the sending process: %s",
		 strerror(errno));
	return -errno;
}

void cw_sender_go(struct cw_sender *sender)
{
	/* cw_sender_wait reports a process that has died. */
	if (sender->process && write(sender->go_fd, "g", 1) < 0)
		return;
}

int cw_sender_wait(struct cw_sender *sender, int timeout_ms, uint64_t *sent, double *ns,
		   char text[CW_STAGE_TEXT_BYTES])
{
	struct pollfd event = {.fd = sender->result_fd, .events = POLLIN};
	struct message message;

	if (poll(&event, 1, timeout_ms) <= 0)
		return 0;
	if (read(sender->result_fd, &message, sizeof(message)) != sizeof(message)) {
		snprintf(text, CW_STAGE_TEXT_BYTES, "the sending process died");
		return -EIO;
	}
	*sent = message.sent;
	*ns = message.ns;
	if (message.result < 0)
		memcpy(text, message.text, sizeof(message.text));
	return message.result < 0 ? message.result : 1;
}

void cw_sender_stop(struct cw_sender *sender)
{
	if (!sender->process)
		return;
	close(sender->go_fd);
	close(sender->result_fd);
	kill(sender->process, SIGKILL);
	waitpid(sender->process, NULL, 0);
	sched_setaffinity(0, sizeof(sender->cores), &sender->cores);
	sender->process = 0;
}
