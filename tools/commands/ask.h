/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to the control socket of a running capture. These functions report their errors. */
#ifndef CW_TOOLS_COMMANDS_ASK_H
#define CW_TOOLS_COMMANDS_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Returns a connection to the socket at `path`, or -1. */
int cw_ask_connect(const char *path);

/* Sends one request (takes) and returns the answer, a JSON object, or NULL. Waits for the answer
 * 30 s, or without limit if `is_patient`. */
json_t *cw_ask_at(int fd, const char *path, json_t *request, bool is_patient);

/* As cw_ask_at, over a new connection. */
json_t *cw_ask(const char *path, json_t *request, bool is_patient);

/* Returns whether the answer is "ok"; prints its error otherwise. Accepts NULL. */
bool cw_ask_is_good(const json_t *answer);

/* Returns the integer `name` of an object, 0 without one. */
uint64_t cw_ask_number(const json_t *object, const char *name);

/* Reports that --control is missing; returns CW_EXIT_USAGE. */
int cw_ask_refuse_no_path(void);

#endif
