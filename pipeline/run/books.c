/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>

#include "core/base/base.h"
#include "core/format/pack.h"
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
	case ECANCELED:
		return CW_LOSS_SHUTDOWN;
	case -CW_PACK_FAILED:
		return CW_LOSS_COMPRESS;
	default:
		return is_rotation ? CW_LOSS_ROTATE : CW_LOSS_IO_ERROR;
	}
}

#define LINE(member) #member, offsetof(struct cw_books, member)

const struct cw_books_line cw_books_lines[] = {
    {LINE(received), true, "packets_received", "Packets taken from the kernel."},
    {LINE(shed), false, "packets_shed", "Packets beyond the limit of -c."},
    {LINE(malformed), true, "packets_malformed", "Packets too damaged for any filter."},
    {LINE(prefiltered), true, "packets_prefiltered", "Packets rejected by the global filter."},
    {LINE(classified), false, "packets_classified", "Packets given to the rules."},
    {LINE(matched_any), true, "packets_matched", "Packets that at least one rule matched."},
    {LINE(unmatched), true, "packets_unmatched", "Packets that no rule matched."},
    {LINE(matched), true, "records_matched", "Packets matched, summed over all rules."},
    {LINE(left_out), true, "records_left_out",
     "Matched packets not written because of a rule's sample or limit: not a loss."},
    {LINE(written), true, "records_written", "Matched packets written."},
    {LINE(lost), true, "records_lost",
     "Matched packets lost. The losses of an ongoing failure are added when it ends."},
    {LINE(in_files), false, NULL, NULL},
    {LINE(expired), false, NULL, NULL},
    {LINE(sent_to_pipe), false, NULL, NULL},
    {0},
};
static_assert(sizeof(struct cw_books) == (CW_ARRAY_COUNT(cw_books_lines) - 1) * sizeof(uint64_t),
	      "each counter has a line");

bool cw_books_balance(const struct cw_books *books)
{
	return books->received ==
		   books->shed + books->malformed + books->prefiltered + books->classified &&
	       books->classified == books->matched_any + books->unmatched &&
	       books->matched == books->left_out + books->written + books->lost &&
	       books->written == books->in_files + books->expired + books->sent_to_pipe;
}
