/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Link types, as LINKTYPE_ values.
 *
 * A link type says what a packet's bytes begin with. Values are those of capture files (LINKTYPE_),
 * not the DLT_ values of one system, and have 32 bits. Source: the tcpdump.org registry of
 * link-layer header types.
 */
#ifndef CW_CAPWEIR_LINKTYPE_H
#define CW_CAPWEIR_LINKTYPE_H

#include <capweir/base.h>

CW_BEGIN_DECLS

#define CW_LINKTYPE_NULL 0u         /* BSD loopback */
#define CW_LINKTYPE_ETHERNET 1u     /* Ethernet */
#define CW_LINKTYPE_RAW 101u        /* IPv4 or IPv6 without a link layer */
#define CW_LINKTYPE_LINUX_SLL 113u  /* Linux interface "any" */
#define CW_LINKTYPE_LINUX_SLL2 276u /* Linux interface "any", version 2 */

/* Returns the name that tcpdump -L prints, such as "EN10MB". If libpcap has none, fills `buffer`
 * with "LINKTYPE_n" and returns it. Any thread. */
CW_API const char *cw_linktype_name(uint32_t linktype, char *buffer, size_t buffer_bytes);

/* Returns the link type in words, such as "Ethernet"; "" if libpcap has none (static). Any thread.
 */
CW_API const char *cw_linktype_description(uint32_t linktype);

/* Returns the value of a name as tcpdump -y takes it, in either case, or of a decimal number;
 * -EINVAL for an unknown name. Any thread. */
CW_API int64_t cw_linktype_from_name(const char *name);

CW_END_DECLS

#endif
