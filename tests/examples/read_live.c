/* SPDX-License-Identifier: BSD-3-Clause */
/* Print COUNT packets of an interface; SIGINT stops: read_live INTERFACE COUNT [FILTER] */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <capweir/capweir.h>

static struct cw_handle *handle;

static void stop(int number)
{
	(void)number;
	cw_handle_close(handle); /* wakes the reader; allowed in a signal handler */
}

int main(int argc, char **argv)
{
	struct cw_packet packet;
	struct cw_stats stats;
	struct cw_error error;
	int result = CW_NEXT_OK, left = argc > 2 ? atoi(argv[2]) : 0;

	if (left < 1) {
		fprintf(stderr, "usage: read_live INTERFACE COUNT [FILTER]\n");
		return 2;
	}
	result =
	    cw_handle_open_live(&handle, argv[1], CW_CAPLEN_MAX, true, CW_TIMEOUT_NEVER, &error);
	if (result >= 0 && argc > 3 && cw_handle_set_filter(handle, argv[3], &error) < 0)
		result = error.code;
	if (result != 0)
		fprintf(stderr, "%s\n", error.text); /* CW_WARNED is not a failure */
	if (result < 0) {
		cw_handle_free(handle);
		return 1;
	}
	signal(SIGINT, stop);
	puts("listening");
	fflush(stdout);
	while (left > 0 && (result = cw_handle_next(handle, &packet)) == CW_NEXT_OK) {
		printf("%" PRIu64 ".%09" PRIu64 " %u bytes\n", packet.ts_ns / 1000000000,
		       packet.ts_ns % 1000000000, packet.wire_len);
		left--;
	}
	if (left > 0)
		fprintf(stderr, "%s: %s\n", cw_next_text(result), cw_handle_error(handle));
	if (cw_handle_stats(handle, &stats) == 0)
		printf("%" PRIu64 " received, %" PRIu64 " dropped by the kernel, %" PRIu64
		       " by the interface\n",
		       stats.received, stats.kernel_dropped, stats.interface_dropped);
	cw_handle_free(handle);
	return left > 0 && result != CW_NEXT_CLOSED;
}
