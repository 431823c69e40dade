/* SPDX-License-Identifier: BSD-3-Clause */
/* Stubs of metrics.c for a build without libmicrohttpd. */
#include <errno.h>

#include "tools/process/metrics.h"

int cw_metrics_open(struct cw_metrics **metrics, const char *at, struct cw_error *error)
{
	(void)at;
	*metrics = NULL;
	return cw_error_set(
	    error, -EOPNOTSUPP,
	    "--metrics: this build has no HTTP server: rebuild it with libmicrohttpd");
}

const char *cw_metrics_address(const struct cw_metrics *metrics)
{
	(void)metrics;
	return "";
}

int cw_metrics_fd(const struct cw_metrics *metrics)
{
	(void)metrics;
	return -1;
}

int cw_metrics_wait_ms(const struct cw_metrics *metrics)
{
	(void)metrics;
	return -1;
}

void cw_metrics_serve(struct cw_metrics *metrics, struct cw_pipeline *pipeline)
{
	(void)metrics;
	(void)pipeline;
}

void cw_metrics_close(struct cw_metrics *metrics)
{
	(void)metrics;
}
