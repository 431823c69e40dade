/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every public header needs: which functions the library exports, C++, and its version.
 */
#ifndef CW_CAPWEIR_BASE_H
#define CW_CAPWEIR_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef DOXYGEN /* these have no meaning for the reader */
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

/* The library's version, "0.2.0". Static. */
CW_API const char *cw_version(void);

/* The version of the libpcap in use, in its own words (pcap_lib_version). Static. */
CW_API const char *cw_libpcap_version(void);

CW_END_DECLS

#endif
