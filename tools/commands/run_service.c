/* SPDX-License-Identifier: BSD-3-Clause */
/* What the service manager is told of a run. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/base/clock.h"
#include "core/base/plural.h"
#include "tools/commands/run.h"
#include "tools/process/hooks.h"
#include "tools/text/complain.h"
#include "tools/text/numbers.h"

#define STATUS_EVERY_S 10
#define EXTRA_MS 30000u /* for the disk */

void cw_session_complain(const struct cw_session *run, const struct cw_error *error)
{
	const char *drop_in = NULL;

	if (error->code == -EROFS)
		drop_in = "folder";
	else if (run->arguments->live.backend == CW_LIVE_XDP &&
		 (error->code == -EPERM || error->code == -EAFNOSUPPORT))
		drop_in = "xdp";
	else if (error->code == -EAFNOSUPPORT)
		drop_in = "metrics";
	if (drop_in && run->arguments->service)
		cw_complain("%s. A service needs the drop-in %s.conf: see SERVICE in "
			    "capweir-capture(7)",
			    error->text, drop_in);
	else
		cw_complain("%s", error->text);
}

void cw_session_begin_end(struct cw_session *run)
{
	uint64_t hook_ms =
	    run->arguments->rules.hook_ms ? run->arguments->rules.hook_ms : CW_HOOK_TIME_MS_DEFAULT;

	cw_notify_stopping(run->notify,
			   run->options->drain_ms + (run->hooks ? hook_ms : 0) + EXTRA_MS);
}

void cw_session_tell_reloading(void *context)
{
	const struct cw_session *run = context;

	if (cw_session_can_reload(run))
		cw_notify_reloading(run->notify);
}

/* Returns whether an interface is missing, which changes soon. */
static bool describe(struct cw_session *run, char *text, size_t text_bytes)
{
	char packets[CW_NUMBER_BYTES], dropped[CW_NUMBER_BYTES], before[CW_NUMBER_BYTES];
	struct cw_reload_status reload;
	struct cw_progress progress;
	char missing[128];

	cw_pipeline_progress(run->pipeline, &progress);
	cw_pipeline_reload_status(run->pipeline, &reload);
	cw_pipeline_missing(run->pipeline, missing, sizeof(missing));
	snprintf(text, text_bytes,
		 "%s%s%s%s packets; dropped by the kernel %s, by the interface %s; %u rule%s, "
		 "generation %" PRIu64 "%s",
		 missing[0] ? "waiting for " : "", missing, missing[0] ? "; " : "",
		 cw_format_count(progress.packets, packets),
		 cw_format_count(progress.kernel_dropped, dropped),
		 cw_format_count(progress.lost_before_tap, before), reload.rule_count,
		 cw_plural(reload.rule_count), reload.generation,
		 reload.served && !reload.was_accepted ? "; last reload refused" : "");
	return missing[0];
}

int cw_session_tell_state(struct cw_session *run)
{
	struct cw_notify *notify = run->notify;
	double now_s = cw_session_seconds(run);
	uint64_t now_ns = cw_now_ns();
	char text[sizeof(notify->status)];
	int wait_ms, status_ms;

	if (notify->fd < 0 || notify->is_stopping)
		return -1;
	if (now_s >= run->status_s) {
		run->status_s = now_s + (describe(run, text, sizeof(text)) ? 1 : STATUS_EVERY_S);
		cw_notify_status(notify, text);
	}
	wait_ms = cw_notify_wait_ms(notify, now_ns);
	if (wait_ms == 0) {
		cw_notify_live(notify, now_ns,
			       cw_pipeline_is_alive(run->pipeline, &run->seen_rounds));
		wait_ms = cw_notify_wait_ms(notify, now_ns);
	}
	status_ms = (int)((run->status_s - now_s) * 1000) + 1;
	return wait_ms < 0 || status_ms < wait_ms ? status_ms : wait_ms;
}
