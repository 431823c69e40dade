/* SPDX-License-Identifier: BSD-3-Clause */
/* The AF_XDP source of builds without libxdp and libbpf. */
#include <errno.h>

#include "core/source/live/xdp.h"

int cw_live_xdp_open(struct cw_live **live, struct cw_ifaces *ifaces,
		     const struct cw_live_options *options, struct cw_error *error)
{
	(void)live;
	(void)ifaces;
	return cw_error_set(error, -EOPNOTSUPP,
			    "capturing on %s: this program was built without AF_XDP (libxdp and "
			    "libbpf): packet rings have the device too",
			    options->device);
}
