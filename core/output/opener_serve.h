/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop of a process that opens files for another one. */
#ifndef CW_CORE_OUTPUT_OPENER_SERVE_H
#define CW_CORE_OUTPUT_OPENER_SERVE_H

#include "core/output/opener.h"

#define CW_OPENER_CHANNELS 8u /* requests that are answered at once */

/*
 * Answers requests until the other ends of all sockets are closed. A request that makes no sense is
 * answered by -EINVAL or -EPERM; a socket whose answers are not read is given up. Returns 0, or a
 * negative errno if it cannot wait for requests.
 */
int cw_opener_serve(struct cw_opener *opener, const int *sockets, uint32_t count);

#endif
