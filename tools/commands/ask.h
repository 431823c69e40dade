/* SPDX-License-Identifier: BSD-3-Clause */
/* Asking a capture at its control socket. What goes wrong is complained about here. */
#ifndef CW_TOOLS_COMMANDS_ASK_H
#define CW_TOOLS_COMMANDS_ASK_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* A connection; -1 after a complaint. */
int cw_ask_connect(const char *path);

/* One request (taken) and its answer, an object; NULL after a complaint. `is_patient`: however long
 * it takes, else some seconds. */
json_t *cw_ask_at(int fd, const char *path, json_t *request, bool is_patient);

/* The same with a connection of its own. */
json_t *cw_ask(const char *path, json_t *request, bool is_patient);

/* Whether the answer (or NULL) says yes; complains where it says no. */
bool cw_ask_is_good(const json_t *answer);

/* A count of an object; 0 where there is none. */
uint64_t cw_ask_number(const json_t *object, const char *name);

/* Complains that no path was given; CW_EXIT_USAGE. */
int cw_ask_refuse_no_path(void);

#endif
