/* SPDX-License-Identifier: BSD-3-Clause */
/* Counting layers as gopacket 1.1.19 would: for comparing results of its benchmark with ours. */
#ifndef CW_TOOLS_BENCH_GOPACKET_H
#define CW_TOOLS_BENCH_GOPACKET_H

#include "core/decode/decode.h"

/* How many layers it makes of a packet; *is_failed: the last of them is its decode failure. */
uint32_t cw_gopacket_count(const struct cw_layers *layers, const uint8_t *data, bool *is_failed);

/* Whether its parser for Ethernet, IPv4, ICMPv4, TCP, UDP and payload decodes the packet without an
 * error; then *count is the number of layers. */
bool cw_gopacket_parse(const struct cw_layers *layers, uint32_t *count);

#endif
