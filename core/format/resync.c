/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/format/resync.h"

#include <errno.h>

#define CHAIN_RECORDS 4u

static struct cw_boundary boundary_of(const struct cw_pcapfile *file)
{
	return (struct cw_boundary){.layout = &file->layout,
				    .records = CHAIN_RECORDS,
				    .has_times = file->resync.has_times,
				    .first_s = file->resync.first_s,
				    .last_s = file->resync.last_s};
}

void cw_resync_start(struct cw_pcapfile *file, struct cw_pcapfile_step *step,
		     const struct cw_error *error)
{
	struct cw_resync *resync = &file->resync;

	if (resync->places && file->offset == resync->end) { /* the place was none */
		resync->places--;
		resync->bytes -= resync->end - resync->start;
	} else {
		resync->start = file->offset;
		resync->damage = *error;
	}
	if (!resync->places)
		resync->first = resync->damage;
	resync->is_searching = true;
	file->offset++;
	step->consumed++;
}

int cw_resync_search(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		     struct cw_pcapfile_step *step, struct cw_error *error)
{
	const struct cw_pcapfile_shown rest = {shown->data + step->consumed,
					       shown->bytes - step->consumed, shown->is_at_end};
	const struct cw_boundary boundary = boundary_of(file);
	struct cw_resync *resync = &file->resync;
	enum cw_boundary_result result;
	size_t at;

	result = cw_boundary_find(&boundary, &rest, &at, &step->needed);
	step->consumed += at;
	file->offset += at;
	if (result == CW_BOUNDARY_MORE)
		return CW_PCAPFILE_MORE;
	if (result == CW_BOUNDARY_NONE) {
		*error = resync->damage;
		return file->is_torn
			   ? -EBADMSG
			   : cw_error_set(error, -EBADMSG, "%s; no plausible record follows",
					  resync->damage.text);
	}
	resync->is_searching = false;
	resync->end = file->offset;
	resync->places++;
	resync->bytes += resync->end - resync->start;
	return 0;
}

enum cw_boundary_result cw_resync_confirm(const struct cw_pcapfile *file,
					  const struct cw_pcapfile_shown *shown, size_t bytes,
					  size_t *needed)
{
	struct cw_boundary boundary = boundary_of(file);

	boundary.is_lenient = true;
	return cw_boundary_after(&boundary, shown, bytes, needed);
}
