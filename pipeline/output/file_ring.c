/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of a ring tell its list, from the threads that write them. */
#include <stdlib.h>

#include "pipeline/output/file_ring.h"
#include "pipeline/rules/template.h"

/* Writes the list anew if it has become long. If that fails, it only stays long. The lock is held.
 */
static void shorten(struct cw_file_ring *ring)
{
	if (cw_ring_list_is_long(&ring->list))
		(void)cw_ring_list_rewrite(
		    &ring->list, atomic_load_explicit(&ring->next_number, memory_order_relaxed));
}

static int note_part(void *context, const char *hidden, const char *name)
{
	struct cw_file_ring *ring = context;
	int status;

	pthread_mutex_lock(&ring->lock);
	status = cw_ring_list_part(&ring->list, hidden, name);
	pthread_mutex_unlock(&ring->lock);
	return status;
}

static int note_file(void *context, const struct cw_ring_file *file)
{
	struct cw_file_ring *ring = context;
	int status;

	pthread_mutex_lock(&ring->lock);
	status = cw_ring_list_file(&ring->list, file);
	pthread_mutex_unlock(&ring->lock);
	return status;
}

static int note_gone(void *context, const char *name, bool is_part)
{
	struct cw_file_ring *ring = context;
	int status;

	pthread_mutex_lock(&ring->lock);
	status = cw_ring_list_gone(&ring->list, name, is_part);
	shorten(ring);
	pthread_mutex_unlock(&ring->lock);
	return status;
}

static int number(const char *path, unsigned long long count, char *result)
{
	return cw_template_numbered(path, count, 1, result);
}

struct cw_file_ring *cw_file_ring_new(struct cw_file_ring **rings)
{
	struct cw_file_ring *ring = calloc(1, sizeof(*ring));

	if (!ring)
		return NULL;
	ring->listing = (struct cw_listing){note_part, note_file, note_gone, number, ring};
	pthread_mutex_init(&ring->lock, NULL);
	atomic_init(&ring->user_count, 1);
	ring->next = *rings;
	ring->at = rings;
	if (ring->next)
		ring->next->at = &ring->next;
	*rings = ring;
	return ring;
}

struct cw_file_ring *cw_file_ring_use(struct cw_file_ring *ring)
{
	atomic_fetch_add_explicit(&ring->user_count, 1, memory_order_relaxed);
	return ring;
}

void cw_file_ring_move(struct cw_file_ring *ring, uint32_t asked)
{
	pthread_mutex_lock(&ring->lock);
	ring->list.folder.output = asked;
	pthread_mutex_unlock(&ring->lock);
}

void cw_file_ring_release(struct cw_file_ring *ring)
{
	if (!ring || atomic_fetch_sub_explicit(&ring->user_count, 1, memory_order_relaxed) != 1)
		return;
	*ring->at = ring->next;
	if (ring->next)
		ring->next->at = ring->at;
	cw_ring_list_close(&ring->list);
	pthread_mutex_destroy(&ring->lock);
	free(ring);
}
