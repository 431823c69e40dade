/* SPDX-License-Identifier: BSD-3-Clause */
/* The AF_XDP source of builds without libxdp and libbpf. */
#include <errno.h>

#include "core/source/live/live_parts.h"
#include "core/source/live/xdp.h"

static int refuse(struct cw_live **live, struct cw_ifaces *ifaces,
		  const struct cw_live_options *options, struct cw_error *error)
{
	(void)live;
	(void)ifaces;
	return cw_error_set(error, -EOPNOTSUPP,
			    "capturing on %s: this program was built without AF_XDP (libxdp and "
			    "libbpf): packet rings have the device too",
			    options->device);
}

/* Nothing opens, so nothing else is called. */
const struct cw_live_ops cw_live_xdp_ops = {.open = refuse};
