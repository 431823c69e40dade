/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A snapshot of a run (snapshot.h) as metrics, in the text formats of OpenMetrics 1.0 and
 * Prometheus (which differ in the names of counters and in the last line). Each line of the books
 * is a counter; the collector computes rates. A rule's series have the label `generation`: the
 * generation that its current output began with, so that counters never go backwards.
 * Sources: openmetrics.io, prometheus.io/docs/instrumenting/exposition_formats.
 */
#ifndef CW_PIPELINE_CONTROL_METRICS_H
#define CW_PIPELINE_CONTROL_METRICS_H

#include <stdio.h>

#include "pipeline/control/snapshot.h"

enum cw_metrics_format {
	CW_METRICS_PROMETHEUS,
	CW_METRICS_OPENMETRICS,
};

/* Returns the HTTP content type, a static string: "text/plain; ...". */
const char *cw_metrics_content_type(enum cw_metrics_format format);

/* Prints the metrics to `file` (borrows). 0, or -EIO if writing failed. */
int cw_metrics_print(const struct cw_snapshot *snapshot, enum cw_metrics_format format, FILE *file);

#endif
