/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends numbered frames (stamp.h) on a device: --count of them, for --seconds, or until SIGTERM.
 * Prints one line of JSON: how many the kernel took and how long it took. What it refuses for want
 * of room is sent again, so each number below "sent" was accepted exactly once.
 *
 * It ends when the kernel has let go of all frames. Since it stays on one processor, where the
 * receiving side of a virtual cable runs too, all are in the kernel rings then, and counted.
 *
 *	sender DEVICE [--count N] [--first N] [--rate PPS] [--size B] [--size-max B] [--flows N]
 *	       [--vlan TCI] [--outer TCI] [--gso MSS] [--burst N] [--seconds S] [--core N]
 *	       [--bypass]
 *
 * --gso sends TCP frames of --size (up to 65550) whole, to be segmented by a device that must; a
 * veth hands them on as they are. --bypass leaves out the queueing discipline, and the taps on
 * DEVICE.
 */
#include <errno.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "tests/rig/one_core.h"
#include "tests/rig/stamp.h"

#define BURST_MAX 64u

struct sender {
	struct stamp_shape shape;
	const char *device;
	uint64_t first, count, rate, seconds;
	uint32_t burst, gso;
	int core;
	bool is_bypass;
	int fd;
	struct mmsghdr messages[BURST_MAX];
	struct iovec parts[BURST_MAX][2];
	struct virtio_net_hdr offload;
	uint8_t *frames;
};

static volatile sig_atomic_t is_stopped;

static void stop(int number)
{
	(void)number;
	is_stopped = 1;
}

static int fail(const char *what)
{
	fprintf(stderr, "sender: %s: %s\n", what, strerror(errno));
	return 1;
}

static int parse(struct sender *sender, int argc, char **argv)
{
	static const char *const names[] = {"count", "first", "rate", "size",  "size-max", "flows",
					    "vlan",  "outer", "gso",  "burst", "seconds",  "core"};
	uint64_t values[CW_ARRAY_COUNT(names)] = {
	    1000, 0,  0,  STAMP_FRAME_MIN, 0, 1, STAMP_TAG_NONE, STAMP_TAG_NONE,
	    0,    32, 60, UINT64_MAX};
	struct option options[CW_ARRAY_COUNT(names) + 2] = {{0}};
	int choice, index = 0;
	char *end;
	size_t i;

	for (i = 0; i < CW_ARRAY_COUNT(names); i++)
		options[i] = (struct option){names[i], required_argument, NULL, 1};
	options[i] = (struct option){"bypass", no_argument, NULL, 2};
	while ((choice = getopt_long(argc, argv, "", options, &index)) != -1) {
		if (choice == 2) {
			sender->is_bypass = true;
			continue;
		}
		if (choice != 1)
			return -1;
		values[index] = strtoull(optarg, &end, 0);
		if (*end)
			return -1;
	}
	if (optind + 1 != argc)
		return -1;
	sender->device = argv[optind];
	sender->count = values[0];
	sender->first = values[1];
	sender->rate = values[2];
	sender->shape = (struct stamp_shape){.bytes = (uint32_t)values[3],
					     .bytes_max = (uint32_t)values[4],
					     .flows = (uint32_t)values[5],
					     .vlan = (uint32_t)values[6],
					     .outer = (uint32_t)values[7],
					     .is_tcp = values[8] != 0};
	sender->gso = (uint32_t)values[8];
	sender->burst = (uint32_t)values[9];
	sender->seconds = values[10];
	sender->core = (int)values[11];
	if (sender->shape.bytes < stamp_bytes_min(&sender->shape) ||
	    sender->shape.bytes > STAMP_FRAME_MAX || sender->shape.bytes_max > STAMP_FRAME_MAX ||
	    !sender->shape.flows || sender->shape.flows > STAMP_FLOWS_MAX || !sender->burst ||
	    sender->burst > BURST_MAX)
		return -1;
	return 0;
}

static int open_device(struct sender *sender)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_ifindex = (int)if_nametoindex(sender->device)};
	/* Fewer frames on their way than any queue of a device drops: 256 in a veth with XDP. */
	int buffer_bytes = 64 << 10, yes = 1;

	if (!address.sll_ifindex)
		return fail(sender->device);
	sender->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* receives nothing */
	if (sender->fd < 0)
		return fail("socket");
	(void)setsockopt(sender->fd, SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof(buffer_bytes));
	if (sender->is_bypass &&
	    setsockopt(sender->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes)) < 0)
		return fail("PACKET_QDISC_BYPASS");
	if (sender->gso &&
	    setsockopt(sender->fd, SOL_PACKET, PACKET_VNET_HDR, &yes, sizeof(yes)) < 0)
		return fail("PACKET_VNET_HDR");
	if (bind(sender->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return fail("bind");
	return 0;
}

static int prepare(struct sender *sender)
{
	uint32_t network = stamp_network_offset(&sender->shape);
	size_t i;

	sender->frames = calloc(BURST_MAX, STAMP_FRAME_MAX);
	if (!sender->frames)
		return fail("memory");
	sender->offload = (struct virtio_net_hdr){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
						  .hdr_len = (uint16_t)(network + 40),
						  .gso_size = (uint16_t)sender->gso,
						  .csum_start = (uint16_t)(network + 20),
						  .csum_offset = 16};
	for (i = 0; i < BURST_MAX; i++) {
		struct iovec *parts = sender->parts[i];

		parts[0] = (struct iovec){&sender->offload, sizeof(sender->offload)};
		parts[1].iov_base = sender->frames + i * STAMP_FRAME_MAX;
		sender->messages[i].msg_hdr.msg_iov = sender->gso ? parts : parts + 1;
		sender->messages[i].msg_hdr.msg_iovlen = sender->gso ? 2 : 1;
	}
	return 0;
}

/* Until no frame is on its way, or the time is over: a device may keep them. */
static void wait_delivered(const struct sender *sender, uint64_t start_ns)
{
	int bytes = 0;

	while (cw_now_ns() - start_ns < sender->seconds * CW_NS_PER_S &&
	       ioctl(sender->fd, SIOCOUTQ, &bytes) == 0 && bytes)
		usleep(50);
}

/* How many may be sent now; sleeps while that is none. */
static uint64_t allowance(const struct sender *sender, uint64_t start_ns, uint64_t sent)
{
	uint64_t due = sender->burst;

	if (sender->rate) {
		due = (uint64_t)((unsigned __int128)(cw_now_ns() - start_ns) * sender->rate /
				 CW_NS_PER_S);
		due = due > sent ? due - sent : 0;
		if (due == 0)
			usleep(50);
	}
	if (due > sender->burst)
		due = sender->burst;
	return due < sender->count - sent ? due : sender->count - sent;
}

int main(int argc, char **argv)
{
	static struct sender sender;
	cpu_set_t before;
	uint64_t sent = 0, refused = 0, bytes = 0, start_ns, elapsed_ns;

	if (parse(&sender, argc, argv) < 0) {
		fprintf(stderr, "sender: bad arguments; see the head of sender.c\n");
		return 2;
	}
	if (open_device(&sender) || prepare(&sender))
		return 1;
	one_core_enter(&before, sender.core);
	signal(SIGTERM, stop);
	start_ns = cw_now_ns();
	while (!is_stopped && sent < sender.count &&
	       cw_now_ns() - start_ns < sender.seconds * CW_NS_PER_S) {
		uint64_t due = allowance(&sender, start_ns, sent);
		uint64_t i;
		int done;

		if (due == 0)
			continue;
		for (i = 0; i < due; i++)
			sender.parts[i][1].iov_len =
			    stamp_build(sender.frames + i * STAMP_FRAME_MAX, &sender.shape,
					sender.first + sent + i);
		done = sendmmsg(sender.fd, sender.messages, (unsigned int)due, 0);
		if (done < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
			return fail("sendmmsg");
		if (done <= 0) {
			refused++;
			usleep(20);
			continue;
		}
		for (i = 0; i < (uint64_t)done; i++)
			bytes += sender.parts[i][1].iov_len;
		sent += (uint64_t)done;
	}
	elapsed_ns = cw_now_ns() - start_ns;
	wait_delivered(&sender, start_ns);
	printf("{\"sent\": %llu, \"bytes\": %llu, \"refused\": %llu, \"elapsed_s\": %.6f}\n",
	       (unsigned long long)sent, (unsigned long long)bytes, (unsigned long long)refused,
	       (double)elapsed_ns / 1e9);
	free(sender.frames);
	close(sender.fd);
	return 0;
}
