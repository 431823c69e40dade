/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * All public headers of the capture library.
 */
#ifndef CW_CAPWEIR_CAPWEIR_H
#define CW_CAPWEIR_CAPWEIR_H

#include <capweir/base.h>
#include <capweir/device.h>
#include <capweir/dumper.h>
#include <capweir/error.h>
#include <capweir/filter.h>
#include <capweir/handle.h>
#include <capweir/linktype.h>
#include <capweir/packet.h>

#endif
