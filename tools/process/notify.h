/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * State changes for the service manager: datagrams to the socket that NOTIFY_SOCKET names, as
 * sd_notify(3) describes. Without the variable nothing is sent. Nothing here blocks.
 */
#ifndef CW_TOOLS_PROCESS_NOTIFY_H
#define CW_TOOLS_PROCESS_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/base.h"

struct cw_notify {
	int fd;               /* -1: no service manager */
	uint64_t watchdog_ns; /* the manager expects a sign of life this often; 0: none */
	uint64_t due_ns;      /* CLOCK_MONOTONIC time of the next sign of life */
	bool is_stopping;     /* reported */
	char status[512];     /* sent last */
};

/*
 * Connects to the socket, if NOTIFY_SOCKET is set and reachable (a service manager that waits for a
 * state reports that itself). Removes the manager's variables from the environment: call it before
 * another process starts, and before cw_confine().
 */
void cw_notify_open(struct cw_notify *notify);

/* The run has begun. */
void cw_notify_ready(struct cw_notify *notify);

/* Sends a line for `systemctl status`, if it is another one than before. */
void cw_notify_status(struct cw_notify *notify, const char *text);

/* A reload begins: call it before the reload is requested. Any thread. */
void cw_notify_reloading(const struct cw_notify *notify);

/* A reload has ended, with this message. Any thread. */
void cw_notify_reloaded(const struct cw_notify *notify, const char *text);

/* The run ends, whatever ends it, within `extend_ms` more than the manager allows. The first call
 * counts. */
void cw_notify_stopping(struct cw_notify *notify, uint64_t extend_ms);

/* Returns the milliseconds until a sign of life is due, 0: now, -1: never. */
int cw_notify_wait_ms(const struct cw_notify *notify, uint64_t now_ns);

/* Sends the sign of life that is due, or, if the run is not alive, nothing. */
void cw_notify_live(struct cw_notify *notify, uint64_t now_ns, bool is_alive);

void cw_notify_close(struct cw_notify *notify);

#endif
