/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/run/batch.h"

int cw_batch_init(struct cw_batch *batch, const struct cw_batch_sizes *sizes)
{
	*batch = (struct cw_batch){.match_capacity = sizes->match_capacity,
				   .piece_capacity = sizes->piece_capacity};
	batch->packets = calloc(sizes->records_max, sizeof(*batch->packets));
	batch->ends = calloc(sizes->records_max, sizeof(*batch->ends));
	batch->classes = calloc(sizes->records_max, sizeof(*batch->classes));
	batch->matches = calloc(sizes->match_capacity, sizeof(*batch->matches));
	batch->tallies = calloc(sizes->tally_capacity, sizeof(*batch->tallies));
	batch->pieces = calloc(sizes->piece_capacity, sizeof(*batch->pieces));
	batch->samples = calloc(sizes->sample_capacity + 1, sizeof(*batch->samples));
	if (batch->packets && batch->ends && batch->classes && batch->matches && batch->tallies &&
	    batch->pieces && batch->samples)
		return 0;
	cw_batch_fini(batch);
	return -ENOMEM;
}

void cw_batch_fini(struct cw_batch *batch)
{
	cw_lease_give_back(&batch->lease);
	free(batch->packets);
	free(batch->ends);
	free(batch->classes);
	free(batch->matches);
	free(batch->tallies);
	free(batch->pieces);
	free(batch->samples);
	*batch = (struct cw_batch){0};
}
