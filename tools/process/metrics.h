/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An HTTP server of the run's metrics (pipeline/control/metrics.h), without a thread of its own:
 * whoever waits for the run polls one descriptor and calls serve. GET /metrics; nothing else is
 * there. A request costs a snapshot, as `capweir stats`; a slow client costs a connection of 16,
 * for 10 s.
 */
#ifndef CW_TOOLS_PROCESS_METRICS_H
#define CW_TOOLS_PROCESS_METRICS_H

#include "core/base/error.h"

struct cw_metrics;
struct cw_pipeline;

/*
 * Listen at "[ADDRESS:]PORT" (ADDRESS numeric, IPv6 in brackets; 127.0.0.1 without; port 0: any).
 * 0; -EINVAL for what is no such address; -EADDRINUSE; -EOPNOTSUPP in a build without; others the
 * system's.
 */
int cw_metrics_open(struct cw_metrics **metrics, const char *at, struct cw_error *error);
/* Where it listens: "127.0.0.1:9100". */
const char *cw_metrics_address(const struct cw_metrics *metrics);

/* To be polled for reading; and how long at most until serve has to be called, -1: for ever. */
int cw_metrics_fd(const struct cw_metrics *metrics);
int cw_metrics_wait_ms(const struct cw_metrics *metrics);

/* Answer what came, from the pipeline (NULL: it is not there yet, or no more). Never waits. */
void cw_metrics_serve(struct cw_metrics *metrics, struct cw_pipeline *pipeline);

void cw_metrics_close(struct cw_metrics *metrics); /* accepts NULL */

#endif
