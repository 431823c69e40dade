/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals of a run. They are read from a descriptor in one thread, and each is judged: terminals,
 * timeout(1) and supervisors often send a request to end two or three times at once, so requests
 * within a second of the first one repeat it. A later SIGINT aborts, and SIGQUIT always does; no
 * other signal does.
 *
 *   cw_signals_open()   before anything may block: requests to end then end the process at once
 *   cw_signals_ready()  before the first thread and the first write: requests are judged
 *   cw_signals_next()   whenever `fd` is readable, until CW_SIGNAL_NONE
 */
#ifndef CW_TOOLS_PROCESS_SIGNALS_H
#define CW_TOOLS_PROCESS_SIGNALS_H

#include <stdbool.h>
#include <stdint.h>

#define CW_SIGNAL_SAME_MS 1000u /* a request to end this soon after the first one repeats it */

enum cw_signal {
	CW_SIGNAL_NONE,   /* none to read, or one that changes nothing */
	CW_SIGNAL_STOP,   /* the first request to end: write what was taken in */
	CW_SIGNAL_SAME,   /* repeats that request */
	CW_SIGNAL_ABORT,  /* end now */
	CW_SIGNAL_PRESS,  /* a later request to end that is no abort */
	CW_SIGNAL_RELOAD, /* read the rules again */
	CW_SIGNAL_STATS,  /* print the counters */
	CW_SIGNAL_FLUSH,  /* write what is in memory */
};

struct cw_signals {
	int fd;               /* readable: call cw_signals_next; -1: closed */
	bool reloads;         /* SIGHUP reloads the rules; false: SIGHUP asks to end */
	bool was_hup_ignored; /* at the start, as under nohup(1) */
	bool was_asked;       /* a signal asked to end */
	uint64_t asked_ns;    /* time of the first request, CLOCK_MONOTONIC */
};

/* Watches every signal that would end the process, except faults, SIGPIPE and SIGXFSZ. Returns 0 or
 * a negative errno. */
int cw_signals_open(struct cw_signals *signals, bool reloads);

/* From here on requests to end are judged, and do not end the process at once. */
void cw_signals_ready(void);

/* Reads a signal and judges it. A descriptor that cannot be read is reported and asks to end. */
enum cw_signal cw_signals_next(struct cw_signals *signals);

/* Returns what a signal read at `now_ns` asks for; the first request to end is remembered. */
enum cw_signal cw_signals_judge(struct cw_signals *signals, int number, uint64_t now_ns);

/* Sets the time of the first request. After acting on it: the action may block, and signals sent
 * meanwhile repeat the request. */
void cw_signals_asked(struct cw_signals *signals, uint64_t now_ns);

/* From here on a request to end ends the process at once, unless it comes within a second. For an
 * abort that may hang. */
void cw_signals_let_go(struct cw_signals *signals);

void cw_signals_close(struct cw_signals *signals);

#endif
