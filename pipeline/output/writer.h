/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the outputs' writing side share. The output's one writer only, or the end. */
#ifndef CW_PIPELINE_OUTPUT_WRITER_H
#define CW_PIPELINE_OUTPUT_WRITER_H

#include "pipeline/output/outputs.h"

/* Fail the output and tell, unless it was told a moment ago. (write.c) */
void cw_writer_fail(struct cw_outputs *outputs, struct cw_output *output,
		    const struct cw_file *file, int failure, bool is_rotation, const char *text);

/*
 * The file holds `offset` good bytes, the last of them perhaps in the middle of a record: find the
 * last whole one from the anchor on, count what is there, cut the rest off.
 */
void cw_writer_cut_to_whole(struct cw_outputs *outputs, struct cw_output *output,
			    struct cw_file *file);

/* Close the file and put it under its name, or throw away what is no file. */
void cw_writer_finish_file(struct cw_outputs *outputs, struct cw_output *output,
			   struct cw_file *file);

/* Finish the file before and open this one; it is acquired then. 0 or a negative errno. */
int cw_writer_switch_file(struct cw_outputs *outputs, struct cw_output *output,
			  struct cw_file *file);

#endif
