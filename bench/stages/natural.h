/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by both natural programs: a filter and a dumper for each output. Not for C++. */
#ifndef CW_BENCH_STAGES_NATURAL_H
#define CW_BENCH_STAGES_NATURAL_H

#include <pcap/pcap.h>

#include "bench/stages/stage.h"

struct cw_channel {
	struct bpf_program program;
	pcap_dumper_t *dumper;
};

struct cw_channels {
	struct cw_channel *all;
	uint32_t count;
	uint64_t written; /* records */
	uint64_t bytes;   /* captured bytes of these */
};

/* Opens FOLDER/<k>.pcap for each filter (NULL: those of cw_stage_filter). Returns 0, or a negative
 * errno and `text`; call cw_channels_close in any case. */
int cw_channels_open(struct cw_channels *channels, pcap_t *input, const char *const *filters,
		     uint32_t count, const char *folder, char text[CW_STAGE_TEXT_BYTES]);

void cw_channels_put(struct cw_channels *channels, const struct pcap_pkthdr *header,
		     const u_char *data);

/* Returns 0, or -EIO and `text` after a failed write. */
int cw_channels_close(struct cw_channels *channels, char text[CW_STAGE_TEXT_BYTES]);

int cw_natural_fail(char text[CW_STAGE_TEXT_BYTES], int code, const char *why);

#endif
