/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CW_CORE_SOURCE_XDP_H
#define CW_CORE_SOURCE_XDP_H

#include "core/source_live.h"

struct cw_live_ops;

extern const struct cw_live_ops cw_live_xdp_ops;

#endif
