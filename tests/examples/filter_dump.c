/* SPDX-License-Identifier: BSD-3-Clause */
/* Copy the packets that a filter matches to another file: filter_dump IN FILTER OUT */
#include <stdio.h>

#include <capweir/capweir.h>

int main(int argc, char **argv)
{
	struct cw_handle *handle;
	struct cw_dumper *dumper = NULL;
	struct cw_packet packet;
	struct cw_error error;
	int result, failure = 0;

	if (argc != 4) {
		fprintf(stderr, "usage: filter_dump IN FILTER OUT\n");
		return 2;
	}
	if (cw_handle_open_offline(&handle, argv[1], &error) < 0 ||
	    cw_handle_set_filter(handle, argv[2], &error) < 0 ||
	    cw_dumper_open(&dumper, handle, argv[3], CW_DUMPER_PCAP, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		cw_handle_free(handle);
		return 1;
	}
	while ((result = cw_handle_next(handle, &packet)) == CW_NEXT_OK && failure == 0)
		failure = cw_dumper_write(dumper, &packet);
	if (result == CW_NEXT_ERROR)
		fprintf(stderr, "%s\n", cw_handle_error(handle));
	if (failure)
		cw_dumper_close(dumper);
	else
		failure = cw_dumper_close(dumper); /* buffered records can fail here */
	if (failure)
		fprintf(stderr, "%s: %s\n", argv[3], cw_code_text(failure));
	cw_handle_free(handle);
	return failure || result == CW_NEXT_ERROR;
}
