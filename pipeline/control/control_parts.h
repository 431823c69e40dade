/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions that the control socket's files share. */
#ifndef CW_PIPELINE_CONTROL_CONTROL_PARTS_H
#define CW_PIPELINE_CONTROL_CONTROL_PARTS_H

#include "pipeline/control/control.h"

/* Each returns an answer, a line with its newline, to be freed; NULL: no memory. */
char *cw_control_answer(enum cw_control_command command);
char *cw_control_answer_error(const char *text);
char *cw_control_answer_reload(const struct cw_reload_status *status);
char *cw_control_answer_rotate(uint32_t count);
char *cw_control_answer_stats(struct cw_pipeline *pipeline);
char *cw_control_answer_rules(struct cw_pipeline *pipeline);

#endif
