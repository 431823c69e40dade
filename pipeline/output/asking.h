/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The files of a run whose process may not open any: asks the one that opens them
 * (core/output/opener_serve.h). A request waits for its answer, so several threads wait at once,
 * each on a socket of its own.
 */
#ifndef CW_PIPELINE_OUTPUT_ASKING_H
#define CW_PIPELINE_OUTPUT_ASKING_H

#include "core/output/opener.h"

struct cw_asking;

/* Takes the sockets, in any case. Returns 0 or -ENOMEM. Any thread may use it. */
int cw_asking_new(struct cw_asking **asking, const int *sockets, uint32_t count);
void cw_asking_free(struct cw_asking *asking); /* accepts NULL; closes the sockets */

/* Operations on entries, whose outputs are those of cw_asking_add. All of them return -ESRCH once
 * the other process has ended. Keeps `asking`. */
struct cw_entries cw_asking_entries(struct cw_asking *asking);

/* As cw_opener_add. */
int cw_asking_add(struct cw_asking *asking, const struct cw_opener_output *output,
		  struct cw_opener_found *found, struct cw_error *error);

/* As cw_opener_find. */
int cw_asking_find(struct cw_asking *asking, uint32_t number, struct cw_opener_found *found,
		   struct cw_error *error);

/* As cw_opener_drop. */
int cw_asking_drop(struct cw_asking *asking, uint32_t number, uint32_t heir);

/* As cw_opener_rules. */
int cw_asking_rules(struct cw_asking *asking, int *fd, struct cw_error *error);

/* Returns the folder of an output, whose files belong to the owner. Keeps `asking`. */
struct cw_folder cw_asking_folder(struct cw_asking *asking, uint32_t number, uid_t owner);

/* Returns a descriptor to poll: readable once the other process has ended. */
int cw_asking_fd(const struct cw_asking *asking);

#endif
