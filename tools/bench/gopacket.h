/* SPDX-License-Identifier: BSD-3-Clause */
/* Counts layers as gopacket 1.1.19 does, to compare results with its benchmark. */
#ifndef CW_TOOLS_BENCH_GOPACKET_H
#define CW_TOOLS_BENCH_GOPACKET_H

#include "core/decode/decode.h"

/* Returns the number of gopacket's layers; *is_failed: the last one is a decode failure. */
uint32_t cw_gopacket_count(const struct cw_layers *layers, const uint8_t *data, bool *is_failed);

/* Returns whether gopacket's parser for Ethernet, IPv4, ICMPv4, TCP, UDP and payload decodes the
 * packet without an error; *count is then the number of layers. */
bool cw_gopacket_parse(const struct cw_layers *layers, uint32_t *count);

#endif
