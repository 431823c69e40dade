/* SPDX-License-Identifier: BSD-3-Clause */
/* Read a capture file packet by packet: read_file FILE [FILTER] */
#include <inttypes.h>
#include <stdio.h>

#include <capweir/capweir.h>

int main(int argc, char **argv)
{
	struct cw_handle *handle;
	struct cw_packet packet;
	struct cw_error error;
	uint64_t packets = 0, bytes = 0;
	int result;

	if (argc < 2) {
		fprintf(stderr, "usage: read_file FILE [FILTER]\n");
		return 2;
	}
	if (cw_handle_open_offline(&handle, argv[1], &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	if (argc > 2 && cw_handle_set_filter(handle, argv[2], &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		cw_handle_free(handle);
		return 1;
	}
	while ((result = cw_handle_next(handle, &packet)) == CW_NEXT_OK) {
		packets++;
		bytes += packet.caplen; /* at packet.data until the next call */
	}
	if (result != CW_NEXT_END)
		fprintf(stderr, "%s: %s\n", cw_next_text(result), cw_handle_error(handle));
	printf("%" PRIu64 " packets, %" PRIu64 " bytes\n", packets, bytes);
	cw_handle_free(handle);
	return result != CW_NEXT_END;
}
