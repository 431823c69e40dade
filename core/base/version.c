/* SPDX-License-Identifier: BSD-3-Clause */
/* The version of the library and of libpcap, and the texts of the library's codes. */
#include <pcap/pcap.h>

#include <capweir/error.h>

#include "core/base/base.h"

const char *cw_version(void)
{
	return CW_VERSION;
}

const char *cw_libpcap_version(void)
{
	return pcap_lib_version();
}

const char *cw_code_text(int code)
{
	switch (code) {
	case 0:
		return "success";
	case CW_WARNED:
		return "success, with a setting other than the requested one";
	case CW_NOT_ACTIVATED:
		return "the handle is not activated yet";
	case CW_ALREADY_ACTIVATED:
		return "the handle is already activated";
	case CW_CANNOT_SET_RFMON:
		return "the interface has no monitor mode";
	case CW_NO_SUCH_TIMESTAMP_SOURCE:
		return "the interface does not have this timestamp source";
	case CW_NOT_LIVE:
		return "only live handles support this call";
	case CW_IS_DEAD:
		return "a dead handle has no packets";
	case CW_CLOSED:
		return "the handle was closed";
	case CW_OTHER_LINKTYPE:
		return "a pcap file holds packets of one link type; this packet has another or an "
		       "unknown one: write pcapng";
	default:
		return code < 0 && code > -4096 ? strerror(-code) : "no such code";
	}
}
