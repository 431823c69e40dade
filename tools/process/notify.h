/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * State changes for the service manager: datagrams to the socket that NOTIFY_SOCKET names, as
 * sd_notify(3) describes. Without the variable nothing is sent.
 */
#ifndef CW_TOOLS_PROCESS_NOTIFY_H
#define CW_TOOLS_PROCESS_NOTIFY_H

/*
 * Returns the connected socket, or -1 if NOTIFY_SOCKET is unset or unreachable (a service manager
 * that waits for a state reports that itself). Call before cw_confine(); the caller closes it.
 */
int cw_notify_open(void);

/* Sends `text`: "READY=1", or several such lines. Never blocks; accepts -1. */
void cw_notify(int fd, const char *text);

#endif
