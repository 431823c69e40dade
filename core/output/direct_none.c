/* SPDX-License-Identifier: BSD-3-Clause */
/* Direct writing in a build without liburing: making a ring returns -ENOSYS. */
#include <errno.h>
#include <stddef.h>

#include "core/output/direct.h"

int cw_direct_ring_new(struct cw_direct_ring **ring)
{
	*ring = NULL;
	return -ENOSYS;
}

void cw_direct_ring_free(struct cw_direct_ring *ring)
{
	(void)ring;
}

bool cw_direct_ring_is_spoilt(const struct cw_direct_ring *ring)
{
	(void)ring;
	return false;
}

int cw_direct_start(struct cw_direct **direct, struct cw_direct_ring *ring, int fd, uint64_t offset)
{
	(void)ring;
	(void)fd;
	(void)offset;
	*direct = NULL;
	return -ENOSYS;
}

size_t cw_direct_write(struct cw_direct *direct, const struct iovec *vectors, int count,
		       int *failure)
{
	(void)direct;
	(void)vectors;
	(void)count;
	*failure = -ENOSYS;
	return 0;
}

int cw_direct_flush(struct cw_direct *direct)
{
	(void)direct;
	return 0;
}

uint64_t cw_direct_reached(struct cw_direct *direct)
{
	(void)direct;
	return 0;
}

uint64_t cw_direct_next(const struct cw_direct *direct)
{
	(void)direct;
	return 0;
}

bool cw_direct_is_busy(struct cw_direct *direct)
{
	(void)direct;
	return false;
}

bool cw_direct_is_refused(const struct cw_direct *direct)
{
	(void)direct;
	return false;
}

uint64_t cw_direct_stop(struct cw_direct *direct)
{
	(void)direct;
	return 0;
}
