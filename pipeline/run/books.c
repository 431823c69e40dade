/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "pipeline/run/books.h"

static const char *const loss_names[CW_LOSS_COUNT] = {
    [CW_LOSS_DISK_FULL] = "disk_full", [CW_LOSS_IO_ERROR] = "io_error",
    [CW_LOSS_QUOTA] = "quota",         [CW_LOSS_FD_LIMIT] = "fd_limit",
    [CW_LOSS_ROTATE] = "rotate",       [CW_LOSS_COMPRESS] = "compress",
    [CW_LOSS_LINK_TYPE] = "link_type", [CW_LOSS_UNREPRESENTABLE] = "unrepresentable",
    [CW_LOSS_BACKLOG] = "backlog",     [CW_LOSS_SHUTDOWN] = "shutdown",
};

static const char *const left_out_names[CW_LEFT_OUT_COUNT] = {
    [CW_LEFT_OUT_SAMPLE] = "sample",
    [CW_LEFT_OUT_LIMIT] = "limit",
};

const char *cw_left_out_name(enum cw_left_out cause)
{
	return left_out_names[cause];
}

const char *cw_loss_name(enum cw_loss cause)
{
	return loss_names[cause];
}

enum cw_loss cw_loss_from_errno(int failure, bool is_rotation)
{
	switch (failure < 0 ? -failure : failure) {
	case ENOSPC:
		return CW_LOSS_DISK_FULL;
	case EDQUOT:
	case EFBIG:
		return CW_LOSS_QUOTA;
	case EMFILE:
	case ENFILE:
		return CW_LOSS_FD_LIMIT;
	case EINTR:
		return CW_LOSS_SHUTDOWN;
	default:
		return is_rotation ? CW_LOSS_ROTATE : CW_LOSS_IO_ERROR;
	}
}

bool cw_books_balance(const struct cw_books *books)
{
	return books->received ==
		   books->shed + books->malformed + books->prefiltered + books->classified &&
	       books->classified == books->matched_any + books->unmatched &&
	       books->matched == books->left_out + books->written + books->lost &&
	       books->written == books->in_files + books->expired + books->sent_to_pipe;
}
