/* SPDX-License-Identifier: BSD-3-Clause */
/* Send the frames of a file on an interface, unchanged: inject INTERFACE FILE */
#include <stdio.h>

#include <capweir/capweir.h>

int main(int argc, char **argv)
{
	struct cw_handle *file = NULL, *device = NULL;
	struct cw_packet packet;
	struct cw_error error;
	int sent = 0, result = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: inject INTERFACE FILE\n");
		return 2;
	}
	if (cw_handle_open_offline(&file, argv[2], &error) < 0 ||
	    cw_handle_open_live(&device, argv[1], 64, false, 0, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		cw_handle_free(file);
		return 1;
	}
	while (result == 0 && cw_handle_next(file, &packet) == CW_NEXT_OK) {
		result = cw_handle_inject(device, packet.data, packet.caplen);
		sent += result == 0;
	}
	if (result < 0)
		fprintf(stderr, "%s\n", cw_handle_error(device));
	printf("%d sent\n", sent);
	cw_handle_free(device);
	cw_handle_free(file);
	return result < 0;
}
