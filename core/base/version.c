/* SPDX-License-Identifier: BSD-3-Clause */
/* Versions of the library, and what its codes mean. */
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
		return "success, otherwise than asked for";
	case CW_NOT_ACTIVATED:
		return "the handle is not activated";
	case CW_ALREADY_ACTIVATED:
		return "the handle is activated already";
	case CW_CANNOT_SET_RFMON:
		return "the device has no monitor mode";
	case CW_NO_SUCH_TIMESTAMP_SOURCE:
		return "the device does not have this source of times";
	case CW_NOT_LIVE:
		return "only devices have that";
	case CW_IS_DEAD:
		return "a dead handle has no packets";
	case CW_CLOSED:
		return "the handle was closed";
	default:
		return code < 0 && code > -4096 ? strerror(-code) : "no such code";
	}
}
