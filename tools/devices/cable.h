/* SPDX-License-Identifier: BSD-3-Clause */
/* A virtual cable (veth pair) in a separate network namespace. Nothing else sees its traffic, and
 * the kernel removes it with the process. */
#ifndef CW_TOOLS_DEVICES_CABLE_H
#define CW_TOOLS_DEVICES_CABLE_H

#include "core/base/error.h"

#define CW_CABLE_NEAR "cable0"
#define CW_CABLE_FAR "cable1"

/*
 * Moves this process, which must have one thread, into a new network namespace and creates the
 * cable there, both ends up. Without the right to do so it first creates a user namespace. Returns
 * 0 or -errno: -EPERM if the system allows neither. After a failure the process may be in the new
 * namespace.
 */
int cw_cable_make(struct cw_error *error);

#endif
