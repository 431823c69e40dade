/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Match many filters on every packet of a file in one pass, in bursts, without copying a packet:
 * zero_copy FILE FILTER...
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <capweir/capweir.h>

#define BURST 64

int main(int argc, char **argv)
{
	struct cw_filter_set_options options = {.filter = {.linktype = CW_LINKTYPE_ETHERNET}};
	struct cw_packet packets[BURST];
	uint32_t ends[BURST], *ids;
	struct cw_filter_set *set = NULL;
	struct cw_handle *handle = NULL;
	struct cw_error error;
	uint64_t *counts;
	size_t room = (size_t)argc * BURST;
	int count;

	if (argc < 3 || argc > 1000000) {
		fprintf(stderr, "usage: zero_copy FILE FILTER...\n");
		return 2;
	}
	ids = calloc(room, sizeof(*ids));
	counts = calloc((size_t)argc, sizeof(*counts));
	if (!ids || !counts || cw_handle_open_offline(&handle, argv[1], &error) < 0)
		goto failed;
	options.filter.linktype = cw_handle_linktype(handle);
	if (cw_filter_set_new(&set, &options, &error) < 0)
		goto failed;
	for (int i = 2; i < argc; i++) {
		if (cw_filter_set_add(set, (uint32_t)i, argv[i], &error) < 0)
			goto failed;
	}
	if (cw_filter_set_build(set, &error) < 0)
		goto failed;
	while ((count = cw_handle_next_burst(handle, packets, BURST)) > 0) {
		cw_filter_set_match_burst(set, packets, (size_t)count, ids, room, ends);
		for (uint32_t i = 0; i < ends[count - 1]; i++)
			counts[ids[i]]++;
	}
	for (int i = 2; i < argc; i++)
		printf("%" PRIu64 " %s\n", counts[i], argv[i]);
	cw_filter_set_free(set);
	cw_handle_free(handle);
	free(ids);
	free(counts);
	return count != CW_NEXT_END;
failed:
	fprintf(stderr, "%s\n", ids && counts ? error.text : "no memory");
	cw_filter_set_free(set);
	cw_handle_free(handle);
	free(ids);
	free(counts);
	return 1;
}
