/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Link types: the LINKTYPE_ values of files, their DLT_ values in libpcap, names. Always 32 bits.
 * Source of the mapping: the tcpdump.org link-layer header types registry.
 */
#ifndef CW_CORE_PACKET_LINKTYPE_H
#define CW_CORE_PACKET_LINKTYPE_H

#include <capweir/linktype.h>

#include "core/base/base.h"

/* The DLT_ that libpcap on this system uses for a file's LINKTYPE_, and back. */
int cw_linktype_to_dlt(uint32_t linktype);
uint32_t cw_linktype_from_dlt(int dlt);

/*
 * The link type in which a raw socket on a device of this kind (ARPHRD_) delivers packets, as they
 * stand; -EPROTONOSUPPORT for kinds that need headers made up or taken off, which libpcap knows.
 */
int64_t cw_linktype_from_hardware(uint16_t hardware_type);

/* Whether filters on it depend on the byte order of the file it came from (loopback headers). */
bool cw_linktype_has_file_order(uint32_t linktype);

/* Longest capture length a record of this type can claim before it counts as damage. */
uint32_t cw_linktype_caplen_max(uint32_t linktype);

#endif
