/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Windows and the SIGBUS handler. Ordering: [WINDOW-1] reads of a window's memory come before the
 * release of a reference; whoever sees the count at 0 (to free) or 1 (to write again) acquires.
 * [WINDOW-2] a spare buffer's pointer: giving it back releases, taking it acquires. [WINDOW-3] a
 * table entry's window is written before its range. [WINDOW-4] the entry is no longer used.
 * [WINDOW-5] the handler is installed, and its data written. [WINDOW-6] all windows of the pool are
 * back. Counts of windows are relaxed: they are only numbers, and only the owner raises them.
 */
#include "core/packet/window.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SPARES_MAX 16
#define RANGE_UNIT_SHIFT 12 /* ranges count 4 KiB, whatever the page size */
#define RANGE_COUNT_BITS 24 /* windows up to 64 GiB */

struct cw_window_pool {
	_Atomic uint32_t references;   /* one for the source and one for each window */
	_Atomic uint32_t window_count; /* only the owner raises it */
	uint32_t windows_max;
	size_t buffer_bytes;
	int fd;
	_Atomic(struct buffer *) spares[SPARES_MAX];
};

struct mapping {
	struct cw_window window; /* first: release gets its address */
	struct cw_window_pool *pool;
	uint32_t entry;
};

struct buffer {
	struct cw_window window; /* first: release gets its address */
	struct cw_window_pool *pool;
	size_t capacity;
	_Alignas(CW_CACHE_LINE) uint8_t bytes[];
};

/*
 * The table that the handler searches. `range` is one word, start and length in 4 KiB units, so
 * that a changing entry is never read half; 0 = free, 1 = being filled. A thread faults only in a
 * window that it has a lease of, so the entry that its handler searches for does not change.
 */
static struct {
	_Atomic uint64_t range;
	_Atomic(struct cw_window *) window;
} table[CW_WINDOWS_MAPPED_MAX];

#define RANGE_FREE UINT64_C(0)
#define RANGE_TAKEN UINT64_C(1)

static struct sigaction previous;
static _Atomic int handler_state; /* 0 absent, 1 being installed, 2 installed */
static uintptr_t page_bytes;

static uint64_t make_range(const void *data, size_t bytes)
{
	uint64_t units = (bytes + ((size_t)1 << RANGE_UNIT_SHIFT) - 1) >> RANGE_UNIT_SHIFT;

	return ((uint64_t)(uintptr_t)data >> RANGE_UNIT_SHIFT) << RANGE_COUNT_BITS | units;
}

static bool range_has(uint64_t range, uintptr_t address)
{
	uint64_t start = range >> RANGE_COUNT_BITS;
	uint64_t units = range & ((UINT64_C(1) << RANGE_COUNT_BITS) - 1);

	return range > RANGE_TAKEN && address >> RANGE_UNIT_SHIFT >= start &&
	       (address >> RANGE_UNIT_SHIFT) - start < units;
}

/* Put zeros into the page at `address` of a registered window; false: no window, or no memory. */
static bool mend(uintptr_t address)
{
	uintptr_t page = address & ~(page_bytes - 1);
	uint64_t first, known;
	struct cw_window *window;
	uint32_t i;

	for (i = 0; i < CW_WINDOWS_MAPPED_MAX; i++)
		/* [WINDOW-3] acquire */
		if (range_has(atomic_load_explicit(&table[i].range, memory_order_acquire), address))
			break;
	if (i == CW_WINDOWS_MAPPED_MAX)
		return false;
	window = atomic_load_explicit(&table[i].window, memory_order_relaxed); /* by the range */
	/* The system call itself: a sanitizer's wrapper of mmap is not safe in handlers. */
	if (syscall(SYS_mmap, page, page_bytes, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0) == -1)
		return false;
	first = window->offset + (page - (uintptr_t)window->data);
	/* Relaxed, all of them: cw_lease_intact_bytes says why. */
	known = atomic_load_explicit(&window->intact_end, memory_order_relaxed);
	while (first < known &&
	       !atomic_compare_exchange_weak_explicit(&window->intact_end, &known, first,
						      memory_order_relaxed, memory_order_relaxed))
		;
	atomic_store_explicit(&window->is_damaged, true, memory_order_relaxed);
	return true;
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	if (info->si_code > 0 && mend((uintptr_t)info->si_addr)) {
		errno = saved;
		return;
	}
	errno = saved;
	if (previous.sa_flags & SA_SIGINFO) {
		previous.sa_sigaction(number, info, context);
	} else if (previous.sa_handler == SIG_DFL ||
		   (previous.sa_handler == SIG_IGN && info->si_code > 0)) {
		sigaction(number, &previous, NULL); /* the access faults again and ends us */
		if (info->si_code <= 0)
			raise(number); /* a sent signal: delivered again on return */
	} else if (previous.sa_handler != SIG_IGN) {
		previous.sa_handler(number);
	}
}

/* Install the handler, once in the process; it stays, because leases may be anywhere. */
static int install_handler(void)
{
	struct sigaction action = {.sa_sigaction = on_sigbus,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
	int state = 0;

	if (atomic_load_explicit(&handler_state, memory_order_acquire) == 2) /* [WINDOW-5] */
		return 0;
	while (!atomic_compare_exchange_strong_explicit(&handler_state, &state, 1,
							memory_order_acquire, /* [WINDOW-5] */
							memory_order_acquire)) {
		if (state == 2)
			return 0;
		state = 0;
		sched_yield();
	}
	page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	sigemptyset(&action.sa_mask);
	/* Fill `previous` before our handler can run. */
	if (sigaction(SIGBUS, NULL, &previous) < 0 || sigaction(SIGBUS, &action, NULL) < 0) {
		state = -errno;
		atomic_store_explicit(&handler_state, 0, memory_order_release); /* [WINDOW-5] */
		return state;
	}
	atomic_store_explicit(&handler_state, 2, memory_order_release); /* [WINDOW-5] */
	return 0;
}

/* Enter `window` into the table; returns the entry or -ENOSPC. */
static int64_t enter(struct cw_window *window)
{
	for (uint32_t i = 0; i < CW_WINDOWS_MAPPED_MAX; i++) {
		uint64_t expected = RANGE_FREE;

		/* Relaxed: only a hint whether to try. [WINDOW-4] acquire */
		if (atomic_load_explicit(&table[i].range, memory_order_relaxed) != RANGE_FREE ||
		    !atomic_compare_exchange_strong_explicit(&table[i].range, &expected,
							     RANGE_TAKEN, memory_order_acquire,
							     memory_order_relaxed))
			continue;
		atomic_store_explicit(&table[i].window, window, memory_order_relaxed);
		atomic_store_explicit(&table[i].range, make_range(window->data, window->bytes),
				      memory_order_release); /* [WINDOW-3] */
		return i;
	}
	return -ENOSPC;
}

struct cw_window_pool *cw_window_pool_new(int fd, uint32_t windows_max, size_t buffer_bytes)
{
	struct cw_window_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	atomic_init(&pool->references, 1);
	pool->windows_max = windows_max;
	pool->buffer_bytes = buffer_bytes;
	pool->fd = fd;
	return pool;
}

int cw_window_pool_fd(const struct cw_window_pool *pool)
{
	return pool->fd;
}

void cw_window_pool_drop(struct cw_window_pool *pool)
{
	/* [WINDOW-6] acq_rel: the last reference sees the spare buffers that others gave back. */
	if (!pool || atomic_fetch_sub_explicit(&pool->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < SPARES_MAX; i++) /* relaxed: no other thread is left */
		free(atomic_load_explicit(&pool->spares[i], memory_order_relaxed));
	if (pool->fd >= 0)
		close(pool->fd);
	free(pool);
}

static bool may_add(const struct cw_window_pool *pool)
{
	/* Relaxed: a window that comes back just now may be missed. */
	return atomic_load_explicit(&pool->window_count, memory_order_relaxed) < pool->windows_max;
}

static void fill_window(struct cw_window *window, struct cw_window_pool *pool, uint64_t offset)
{
	atomic_init(&window->references, 1);
	atomic_init(&window->is_damaged, false);
	atomic_init(&window->intact_end, UINT64_MAX);
	window->offset = offset;
	/* Relaxed, both: the caller has a reference, so the pool stays. */
	atomic_fetch_add_explicit(&pool->references, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&pool->window_count, 1, memory_order_relaxed);
}

static void leave_pool(struct cw_window_pool *pool)
{
	atomic_fetch_sub_explicit(&pool->window_count, 1, memory_order_relaxed); /* a number */
	cw_window_pool_drop(pool);
}

static void release_mapping(struct cw_window *window)
{
	struct mapping *mapping = window->owner;
	struct cw_window_pool *pool = mapping->pool;

	/* [WINDOW-4] Leave the table before munmap frees the addresses for others. */
	atomic_store_explicit(&table[mapping->entry].range, RANGE_FREE, memory_order_release);
	munmap((void *)(uintptr_t)window->data, window->bytes);
	free(mapping);
	leave_pool(pool);
}

int cw_window_map(struct cw_window_pool *pool, uint64_t offset, size_t bytes,
		  struct cw_window **window)
{
	struct mapping *mapping;
	int64_t entry;
	void *data;
	int result;

	if (!may_add(pool))
		return -EAGAIN;
	if (bytes >> RANGE_UNIT_SHIFT >= (UINT64_C(1) << RANGE_COUNT_BITS) - 1)
		return -ENOMEM;
	result = install_handler();
	if (result)
		return result;
	mapping = calloc(1, sizeof(*mapping));
	if (!mapping)
		return -ENOMEM;
	data = mmap(NULL, bytes, PROT_READ, MAP_SHARED, pool->fd, (off_t)offset);
	if (data == MAP_FAILED) {
		result = -errno;
		goto free_mapping;
	}
	mapping->pool = pool;
	mapping->window.data = data;
	mapping->window.bytes = bytes;
	mapping->window.fd = pool->fd;
	mapping->window.release = release_mapping;
	mapping->window.owner = mapping;
	entry = enter(&mapping->window);
	if (entry < 0) {
		result = (int)entry;
		goto unmap;
	}
	mapping->entry = (uint32_t)entry;
	fill_window(&mapping->window, pool, offset);
	*window = &mapping->window;
	return 0;

unmap:
	munmap(data, bytes);
free_mapping:
	free(mapping);
	return result;
}

/* Keeps buffers of the usual size as spares, because fresh memory costs a fault a page. */
static void release_buffer(struct cw_window *window)
{
	struct buffer *buffer = window->owner;
	struct cw_window_pool *pool = buffer->pool;

	for (size_t i = 0; buffer->capacity == pool->buffer_bytes && i < SPARES_MAX; i++) {
		struct buffer *expected = NULL;

		if (atomic_compare_exchange_strong_explicit(&pool->spares[i], &expected, buffer,
							    memory_order_release, /* [WINDOW-2] */
							    memory_order_relaxed)) {
			buffer = NULL;
			break;
		}
	}
	free(buffer);
	leave_pool(pool);
}

int cw_window_buffer(struct cw_window_pool *pool, uint64_t offset, size_t bytes,
		     struct cw_window **window)
{
	struct buffer *buffer = NULL;

	if (!may_add(pool))
		return -EAGAIN;
	if (bytes < pool->buffer_bytes)
		bytes = pool->buffer_bytes;
	for (size_t i = 0; bytes == pool->buffer_bytes && !buffer && i < SPARES_MAX; i++)
		buffer = atomic_exchange_explicit(&pool->spares[i], NULL,
						  memory_order_acquire); /* [WINDOW-2] */
	if (!buffer) {
		size_t total =
		    (sizeof(*buffer) + bytes + CW_CACHE_LINE - 1) & ~(size_t)(CW_CACHE_LINE - 1);

		buffer = aligned_alloc(CW_CACHE_LINE, total);
	}
	if (!buffer)
		return -ENOMEM;
	buffer->pool = pool;
	buffer->capacity = bytes;
	buffer->window.data = buffer->bytes;
	buffer->window.bytes = 0;
	buffer->window.fd = -1;
	buffer->window.release = release_buffer;
	buffer->window.owner = buffer;
	fill_window(&buffer->window, pool, offset);
	*window = &buffer->window;
	return 0;
}

uint8_t *cw_window_room(struct cw_window *window, size_t *capacity)
{
	struct buffer *buffer = window->owner;

	*capacity = buffer->capacity;
	return buffer->bytes;
}

void cw_window_take(struct cw_window *window)
{
	/* Relaxed: the caller has a reference, so the window stays. */
	atomic_fetch_add_explicit(&window->references, 1, memory_order_relaxed);
}

void cw_window_drop(struct cw_window *window)
{
	struct cw_lease lease = {.window = window};

	cw_lease_give_back(&lease);
}

bool cw_window_is_exclusive(const struct cw_window *window)
{
	/* [WINDOW-1] acquire: the last reader's reads come before new writes. */
	return atomic_load_explicit(&window->references, memory_order_acquire) == 1;
}
