/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A snapshot of a run (snapshot.h) as metrics, in the text formats of OpenMetrics 1.0 and of
 * Prometheus (which differ in how counters are announced, and in the end). Each line of the books
 * is a counter; rates are for who collects them to compute. A rule's series have the label
 * `generation`: that of the rules in which its present output began, so that they never go back.
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

/* "text/plain; ..." Static. */
const char *cw_metrics_content_type(enum cw_metrics_format format);

/* Print them to `file` (borrows). 0, or -EIO when the file is in error. */
int cw_metrics_print(const struct cw_snapshot *snapshot, enum cw_metrics_format format, FILE *file);

#endif
