/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Telling the service manager how it goes: datagrams to the socket that NOTIFY_SOCKET names
 * (sd_notify(3) describes them). Where there is no such socket, nothing happens.
 */
#ifndef CW_TOOLS_PROCESS_NOTIFY_H
#define CW_TOOLS_PROCESS_NOTIFY_H

/*
 * The socket, connected; -1: there is none, or it cannot be reached (a manager that wants to be
 * told will say so itself). Call it before privileges are given up. The caller closes it.
 */
int cw_notify_open(void);

/* Tell it, e.g. "READY=1"; a line each for several. Never blocks; accepts -1. */
void cw_notify(int fd, const char *text);

#endif
