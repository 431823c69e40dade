/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening, closing and freeing handles. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/library/handle_parts.h"
#include "core/packet/linktype.h"

#define BUFFER_BYTES ((size_t)512 << 10) /* of a file */

static int new_handle(struct cw_handle **result, enum cw_handle_kind kind, struct cw_error *error)
{
	struct cw_handle *handle = calloc(1, sizeof(*handle));

	*result = NULL;
	if (!handle)
		return cw_error_set(error, -ENOMEM, "no memory for a handle");
	handle->kind = kind;
	handle->wake_fd = -1;
	handle->settings.snaplen = CW_CAPLEN_MAX;
	handle->reading.caplen_max = UINT32_MAX;
	handle->settings.is_ns = true;
	handle->settings.timeout_ms = -1;
	handle->linktype = CW_LINKTYPE_ANY;
	cw_ifaces_init(&handle->ifaces);
	if (kind != CW_HANDLE_DEAD)
		handle->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (kind != CW_HANDLE_DEAD && handle->wake_fd < 0) {
		int code = -errno;

		cw_handle_free(handle);
		return cw_error_set_errno(error, code, "cannot create an eventfd");
	}
	*result = handle;
	return 0;
}

/* Opens the path, or with `path` NULL a descriptor (takes). */
static int open_offline(struct cw_handle **result, const char *path, int fd, struct cw_error *error)
{
	/* Reading into a buffer that stays in the cache is twice as fast as mapped pages (13 to 21
	 * against 7 to 15 GB/s, ext4 and tmpfs, Linux 6.18), and needs no handler for SIGBUS, which
	 * a library should not install. */
	struct cw_source_options options = {
	    .linktype = CW_LINKTYPE_ANY, .buffer_bytes = BUFFER_BYTES, .is_unmapped = true};
	struct cw_source_info info;
	struct cw_handle *handle;
	char name[32];
	int failure = new_handle(&handle, CW_HANDLE_OFFLINE, error);

	*result = NULL;
	if (!handle) {
		if (!path)
			close(fd);
		return failure;
	}
	options.wake_fd = handle->wake_fd;
	snprintf(name, sizeof(name), "descriptor %d", fd);
	failure =
	    path ? cw_source_open(&handle->source, path, &handle->ifaces, &options, error)
		 : cw_source_open_fd(&handle->source, fd, name, &handle->ifaces, &options, error);
	if (failure < 0) {
		cw_handle_free(handle);
		return failure;
	}
	cw_source_info(handle->source, &info);
	handle->is_activated = true;
	handle->linktype = info.linktype;
	handle->settings.snaplen = info.snaplen ? info.snaplen : CW_CAPLEN_MAX;
	handle->settings.is_ns = info.has_ns;
	*result = handle;
	return 0;
}

int cw_handle_open_offline(struct cw_handle **handle, const char *path, struct cw_error *error)
{
	return open_offline(handle, path, -1, error);
}

int cw_handle_open_offline_fd(struct cw_handle **handle, int fd, struct cw_error *error)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3); /* on failure the caller's stays open */
	int result;

	*handle = NULL;
	if (copy < 0)
		return cw_error_set_errno(error, -errno, "cannot open descriptor %d", fd);
	result = open_offline(handle, NULL, copy, error);
	if (result == 0)
		close(fd);
	return result;
}

int cw_handle_open_dead(struct cw_handle **result, uint32_t linktype, uint32_t snaplen,
			struct cw_error *error)
{
	int failure = new_handle(result, CW_HANDLE_DEAD, error);

	if (!*result)
		return failure;
	(*result)->linktype = cw_linktype_canonical(linktype);
	(*result)->settings.snaplen = cw_handle_sane_snaplen(snaplen);
	return 0;
}

int cw_handle_create(struct cw_handle **result, const char *device, struct cw_error *error)
{
	int failure;

	*result = NULL;
	if (!device[0] || strlen(device) >= CW_LIVE_DEVICE_BYTES)
		return cw_error_set(error, -EINVAL, "an interface name has 1 to %u characters",
				    CW_LIVE_DEVICE_BYTES - 1);
	failure = new_handle(result, CW_HANDLE_LIVE, error);
	if (!*result)
		return failure;
	(*result)->device = strdup(device);
	if ((*result)->device)
		return 0;
	cw_handle_free(*result);
	*result = NULL;
	return cw_error_set(error, -ENOMEM, "no memory for a handle");
}

int cw_handle_open_live(struct cw_handle **result, const char *device, int64_t snaplen,
			bool promiscuous, int64_t timeout_ns, struct cw_error *error)
{
	int status = cw_handle_create(result, device, error);

	if (!*result)
		return status;
	cw_handle_set_snaplen(*result, snaplen);
	cw_handle_set_promiscuous(*result, promiscuous);
	status = cw_handle_set_timeout(*result, timeout_ns);
	if (status < 0 && error)
		*error = (*result)->error;
	if (status == 0)
		status = cw_handle_activate(*result, error);
	if (status < 0) {
		cw_handle_free(*result);
		*result = NULL;
	}
	return status;
}

void cw_handle_close(struct cw_handle *handle)
{
	uint64_t one = 1;
	int before = errno; /* signal handlers may call this */

	/* [CLOSE-1] release, before the descriptor is readable */
	atomic_store_explicit(&handle->is_closed, true, memory_order_release);
	if (handle->wake_fd >= 0)
		(void)!write(handle->wake_fd, &one,
			     sizeof(one)); /* a full eventfd is readable, too */
	errno = before;
}

void cw_handle_free(struct cw_handle *handle)
{
	if (!handle)
		return;
	cw_lease_give_back(&handle->reading.lease);
	cw_live_close(handle->live);
	cw_source_close(handle->source);
	cw_transmit_close(handle->transmit);
	cw_netdev_counters_fini(&handle->counting.before);
	cw_netdev_counters_fini(&handle->counting.now);
	cw_netdev_losses_fini(&handle->counting.losses);
	cw_netdev_probe_close(handle->counting.probe);
	cw_ifaces_fini(&handle->ifaces);
	cw_handle_filters_fini(&handle->filters);
	if (handle->wake_fd >= 0)
		close(handle->wake_fd);
	free(handle->device);
	free(handle);
}
