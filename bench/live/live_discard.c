/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The baseline of live capture: a reader of kernel rings that touches and discards each packet. No
 * reader that keeps packets can be faster.
 *
 *	live_discard DEVICE [BACKEND]      until SIGINT or SIGTERM; packet or xdp
 *
 * Prints one line of JSON: packets that the kernel saw and dropped, and packets received.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/source/live/tpacket.h"

#define PACKETS_AT_ONCE 4096u

static int wake_fd;

static void stop(int number)
{
	uint64_t one = 1;

	(void)number;
	(void)!write(wake_fd, &one, sizeof(one));
}

/* Reads a byte of every packet, as matching would. */
static uint64_t touch(const struct cw_span *span, struct cw_packet *packets)
{
	struct cw_cursor cursor = {0};
	uint64_t sum = 0;
	size_t count, i;

	while ((count = cw_span_decode(span, &cursor, packets, PACKETS_AT_ONCE)) > 0) {
		for (i = 0; i < count; i++)
			sum += packets[i].data[packets[i].caplen / 2];
	}
	return sum;
}

int main(int argc, char **argv)
{
	struct cw_packet *packets = calloc(PACKETS_AT_ONCE, sizeof(*packets));
	struct cw_live_options options = {.device = argc > 1 ? argv[1] : "", .promiscuous = true};
	struct cw_live_stats stats;
	struct cw_error error = {0};
	struct cw_ifaces ifaces;
	struct cw_live *live;
	uint64_t sum = 0;
	int result;

	wake_fd = options.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (argc > 2)
		options.backend = argv[2][0] == 'x' ? CW_LIVE_XDP : CW_LIVE_PACKET;
	cw_ifaces_init(&ifaces);
	if (!packets || wake_fd < 0 || cw_live_open(&live, &ifaces, &options, &error) < 0) {
		fprintf(stderr, "live_discard: %s\n", error.text);
		return 1;
	}
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	fprintf(stderr, "listening\n");
	for (;;) {
		struct cw_span span;
		struct cw_lease lease;

		result = cw_live_next(live, 0, 0, -1, &span, &lease);
		if (result == 1) {
			sum += touch(&span, packets);
			cw_lease_give_back(&lease);
		} else if (result == -EINTR) {
			cw_live_stop(live, 0);
		} else if (result != -ENETDOWN && result != 0) {
			break;
		}
	}
	cw_live_stats(live, 0, &stats);
	printf("{\"kernel_seen\": %" PRIu64 ", \"kernel_dropped\": %" PRIu64
	       ", \"received\": %" PRIu64 ", \"sum\": %" PRIu64 "}\n",
	       stats.kernel_seen, stats.kernel_dropped, stats.received, sum);
	cw_live_close(live);
	cw_ifaces_fini(&ifaces);
	free(packets);
	return result == -ENODATA ? 0 : 1;
}
