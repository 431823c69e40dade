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

/* Returns the number that libpcap writes for a link type, whichever of its two numbers is given. */
uint32_t cw_linktype_canonical(uint32_t linktype);

/*
 * The link type of packets that a raw socket delivers, unchanged, from an interface of this ARPHRD_
 * kind; -EPROTONOSUPPORT for kinds whose headers only libpcap knows how to add or remove.
 */
int64_t cw_linktype_from_hardware(uint16_t hardware_type);

/* Whether filters for this type depend on the file's byte order (loopback headers). */
bool cw_linktype_has_file_order(uint32_t linktype);

/* The longest capture length of a record of this type; longer ones count as damage. */
uint32_t cw_linktype_caplen_max(uint32_t linktype);

#endif
