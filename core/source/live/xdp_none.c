/* SPDX-License-Identifier: BSD-3-Clause */
/* The AF_XDP source of builds without libxdp and libbpf. */
#include <errno.h>

#include "core/source/live/xdp.h"

int cw_live_xdp_open(struct cw_live **live, struct cw_ifaces *ifaces,
		     const struct cw_live_options *options, struct cw_error *error)
{
	(void)live;
	(void)ifaces;
	return cw_error_set(
	    error, -EOPNOTSUPP,
	    "cannot capture on %s with AF_XDP: this program was built without libxdp "
	    "and libbpf. Use the packet backend",
	    options->device);
}
