/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Link types: the LINKTYPE_ values of files, always 32 bits.
 * Source: the tcpdump.org registry of link-layer header types.
 */
#ifndef CW_CAPWEIR_LINKTYPE_H
#define CW_CAPWEIR_LINKTYPE_H

#include <capweir/base.h>

CW_BEGIN_DECLS

#define CW_LINKTYPE_NULL 0u         /* BSD loopback */
#define CW_LINKTYPE_ETHERNET 1u     /* Ethernet */
#define CW_LINKTYPE_RAW 101u        /* IPv4 or IPv6, no link layer */
#define CW_LINKTYPE_LINUX_SLL 113u  /* Linux "any" device */
#define CW_LINKTYPE_LINUX_SLL2 276u /* Linux "any" device, version 2 */

/* Name as tcpdump -L prints it ("EN10MB"); "LINKTYPE_n" in `buffer` if libpcap knows none. */
CW_API const char *cw_linktype_name(uint32_t linktype, char *buffer, size_t buffer_bytes);

/* What it is in words ("Ethernet"); "" where libpcap knows none. Static. */
CW_API const char *cw_linktype_description(uint32_t linktype);

/* Value of a name as tcpdump -y takes it, in any case of letters, or of a number; or -EINVAL. */
CW_API int64_t cw_linktype_from_name(const char *name);

CW_END_DECLS

#endif
