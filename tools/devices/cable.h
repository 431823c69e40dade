/* SPDX-License-Identifier: BSD-3-Clause */
/* A virtual cable (veth pair) in a network namespace of this process's own: what is done on it
 * touches nothing else, and it goes with the process. */
#ifndef CW_TOOLS_DEVICES_CABLE_H
#define CW_TOOLS_DEVICES_CABLE_H

#include "core/base/error.h"

#define CW_CABLE_NEAR "cable0"
#define CW_CABLE_FAR "cable1"

/*
 * Move this process, which must have one thread, into a new network namespace (and, without the
 * right to make one, into a user namespace of its own first), and make the cable there, both ends
 * up. 0 or -errno: -EPERM where the system allows neither; the process may be in the namespace all
 * the same.
 */
int cw_cable_make(struct cw_error *error);

#endif
