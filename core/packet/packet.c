/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The run's table of interfaces, and leases of the memory of spans. Decoding is in
 * core/source/span.c; windows come from core/source/memory.c.
 */
#include "core/packet/packet.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

void cw_ifaces_init(struct cw_ifaces *ifaces)
{
	memset(ifaces, 0, sizeof(*ifaces));
}

void cw_ifaces_fini(struct cw_ifaces *ifaces)
{
	for (uint32_t i = 0; i < ifaces->count; i++) {
		struct cw_iface *iface = &ifaces->blocks[i / CW_IFACES_BLOCK][i % CW_IFACES_BLOCK];

		if (iface->is_copy)
			continue;
		free(iface->name);
		free(iface->description);
	}
	while (ifaces->described) {
		struct cw_described *described = ifaces->described;

		ifaces->described = described->next;
		free(described);
	}
	while (ifaces->sections) {
		struct cw_section *section = ifaces->sections;

		ifaces->sections = section->next;
		free(section);
	}
	for (uint32_t i = 0; i < ifaces->kept_count; i++)
		free(ifaces->kept[i / CW_IFACES_BLOCK][i % CW_IFACES_BLOCK]);
	for (uint32_t i = 0; i < CW_IFACES_BLOCKS_MAX && ifaces->kept[i]; i++)
		free(ifaces->kept[i]);
	for (uint32_t i = 0; i < CW_IFACES_BLOCKS_MAX && ifaces->blocks[i]; i++)
		free(ifaces->blocks[i]);
	memset(ifaces, 0, sizeof(*ifaces));
}

int cw_ifaces_describe(struct cw_ifaces *ifaces, size_t bytes, struct cw_described **described)
{
	if (bytes > CW_DESCRIBED_BYTES_MAX - ifaces->described_bytes)
		return -ENOSPC;
	*described = malloc(sizeof(**described) + bytes);
	if (!*described)
		return -ENOMEM;
	(*described)->bytes = bytes;
	(*described)->next = ifaces->described;
	ifaces->described = *described;
	ifaces->described_bytes += bytes;
	return 0;
}

struct cw_section *cw_ifaces_add_section(struct cw_ifaces *ifaces)
{
	struct cw_section *section = calloc(1, sizeof(*section));

	if (!section)
		return NULL;
	section->first_block = ifaces->kept_count;
	section->next = ifaces->sections;
	ifaces->sections = section;
	return section;
}

int cw_ifaces_add_block(struct cw_ifaces *ifaces, const struct cw_block *block,
			struct cw_block **added)
{
	uint32_t room = ifaces->kept_count / CW_IFACES_BLOCK;
	size_t whole = sizeof(*block) + block->bytes;

	if (room >= CW_IFACES_BLOCKS_MAX ||
	    whole > CW_DESCRIBED_BYTES_MAX - ifaces->described_bytes)
		return -ENOSPC;
	if (!ifaces->kept[room])
		ifaces->kept[room] = calloc(CW_IFACES_BLOCK, sizeof(struct cw_block *));
	*added = ifaces->kept[room] ? malloc(whole) : NULL;
	if (!*added)
		return -ENOMEM;
	**added = *block;
	ifaces->kept[room][ifaces->kept_count++ % CW_IFACES_BLOCK] = *added;
	ifaces->described_bytes += whole;
	return 0;
}

void cw_ifaces_drop_block(struct cw_ifaces *ifaces)
{
	uint32_t last = --ifaces->kept_count;

	struct cw_block *block = ifaces->kept[last / CW_IFACES_BLOCK][last % CW_IFACES_BLOCK];

	ifaces->described_bytes -= sizeof(*block) + block->bytes;
	free(block);
}

int64_t cw_ifaces_add(struct cw_ifaces *ifaces, const struct cw_iface *iface)
{
	uint32_t index = ifaces->count;
	uint32_t block = index / CW_IFACES_BLOCK;

	if (block >= CW_IFACES_BLOCKS_MAX)
		return -ENOSPC;
	if (!ifaces->blocks[block]) {
		ifaces->blocks[block] = calloc(CW_IFACES_BLOCK, sizeof(struct cw_iface));
		if (!ifaces->blocks[block])
			return -ENOMEM;
	}
	ifaces->blocks[block][index % CW_IFACES_BLOCK] = *iface;
	ifaces->count++;
	return index;
}

uint64_t cw_iface_time(const struct cw_iface *iface, uint64_t units, uint32_t *flags)
{
	uint64_t fraction, seconds, fraction_ns;
	__int128 total;

	if (iface->ts_shift) {
		seconds = units >> iface->ts_shift;
		fraction = units & ((UINT64_C(1) << iface->ts_shift) - 1);
		fraction_ns =
		    (uint64_t)(((unsigned __int128)fraction * CW_NS_PER_S) >> iface->ts_shift);
	} else {
		seconds = units / iface->ts_units_per_s;
		fraction = units % iface->ts_units_per_s;
		fraction_ns =
		    (uint64_t)((unsigned __int128)fraction * CW_NS_PER_S / iface->ts_units_per_s);
	}
	total = ((__int128)seconds + (int64_t)iface->ts_offset_s) * (int64_t)CW_NS_PER_S;
	total += (__int128)fraction_ns;
	if (total < 0 || total > (__int128)UINT64_MAX) {
		*flags |= CW_PACKET_TS_OUT_OF_RANGE;
		return 0;
	}
	return (uint64_t)total;
}

void cw_lease_give_back(struct cw_lease *lease)
{
	struct cw_window *window = lease->window;

	lease->window = NULL;
	if (!window)
		return;
	/* [WINDOW-1] Release: this thread's reads of the memory come before the count falls;
	 * acquire: whoever takes the count to 0 (here or in window_drop) unmaps after all reads.
	 */
	if (atomic_fetch_sub_explicit(&window->references, 1, memory_order_acq_rel) == 1)
		window->release(window);
}

size_t cw_lease_intact_bytes(const struct cw_lease *lease, const struct cw_span *span)
{
	struct cw_window *window = lease->window;
	uint64_t end;
	struct stat status;

	if (!window || window->fd < 0)
		return span->bytes;
	if (fstat(window->fd, &status) < 0)
		return 0;
	/* Relaxed is enough: this thread took its own faults, and other threads' faults reach it
	 * with the bytes that they handed over. */
	end = atomic_load_explicit(&window->intact_end, memory_order_relaxed);
	if ((uint64_t)status.st_size < end)
		end = (uint64_t)status.st_size;
	if (end <= span->offset)
		return 0;
	return end - span->offset < span->bytes ? (size_t)(end - span->offset) : span->bytes;
}
