/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The versions of the library and of libpcap.
 *
 * This header also defines what the other public headers share: CW_API marks an exported function,
 * CW_BEGIN_DECLS and CW_END_DECLS enclose C declarations for C++.
 */
#ifndef CW_CAPWEIR_BASE_H
#define CW_CAPWEIR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef DOXYGEN /* attributes mean nothing to a reader */
#elif defined(__GNUC__)
#define CW_API __attribute__((visibility("default")))
#define CW_API_PRINTF(format_index, first_index) \
	__attribute__((format(printf, format_index, first_index)))
#else
#define CW_API
#define CW_API_PRINTF(format_index, first_index)
#endif

#ifdef DOXYGEN
#elif defined(__cplusplus)
#define CW_BEGIN_DECLS extern "C" {
#define CW_END_DECLS }
#else
#define CW_BEGIN_DECLS
#define CW_END_DECLS
#endif

CW_BEGIN_DECLS

/* Returns the library's version, such as "0.2.0" (static). Any thread. */
CW_API const char *cw_version(void);

/* Returns the name and version of the libpcap in use (static). Any thread. Source:
 * pcap_lib_version. */
CW_API const char *cw_libpcap_version(void);

CW_END_DECLS

#endif
