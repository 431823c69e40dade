/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * HTTP server for the metrics of a run (pipeline/control/metrics.h). The only path is /metrics.
 * It has no thread: the caller's event loop polls one descriptor and calls cw_metrics_serve. Each
 * request takes one snapshot, as `capweir stats` does; a slow client occupies one of 16 connections
 * for at most 10 s.
 */
#ifndef CW_TOOLS_PROCESS_METRICS_H
#define CW_TOOLS_PROCESS_METRICS_H

#include "core/base/error.h"

struct cw_metrics;
struct cw_pipeline;

/*
 * Listens at "[ADDRESS:]PORT": ADDRESS is numeric (IPv6 in brackets) and defaults to 127.0.0.1;
 * port 0 lets the system choose. Returns 0; -EINVAL for any other form; -EADDRINUSE; -EOPNOTSUPP
 * in a build without libmicrohttpd; or the system's negative errno.
 */
int cw_metrics_open(struct cw_metrics **metrics, const char *at, struct cw_error *error);
/* Returns the listening address, such as "127.0.0.1:9100". */
const char *cw_metrics_address(const struct cw_metrics *metrics);

/* The descriptor to poll for reading, and the longest time to wait before calling serve (-1: no
 * limit). */
int cw_metrics_fd(const struct cw_metrics *metrics);
int cw_metrics_wait_ms(const struct cw_metrics *metrics);

/* Answers pending requests. `pipeline` is NULL before the run and after it. Never blocks. */
void cw_metrics_serve(struct cw_metrics *metrics, struct cw_pipeline *pipeline);

void cw_metrics_close(struct cw_metrics *metrics); /* accepts NULL */

#endif
