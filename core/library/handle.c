/* SPDX-License-Identifier: BSD-3-Clause */
/* Handles: settings, properties and errors. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/library/handle_parts.h"
#include "core/source/live/live_parts.h"

#define BUFFER_BYTES_MIN UINT64_C(4096)
#define BUFFER_BYTES_MAX (UINT64_C(64) << 30)

const char *cw_next_text(int result)
{
	switch (result) {
	case CW_NEXT_TIMEOUT:
		return "no packet within the timeout";
	case CW_NEXT_ERROR:
		return "reading failed";
	case CW_NEXT_END:
		return "no more packets";
	case CW_NEXT_NOT_ACTIVATED:
		return "the handle is not activated";
	case CW_NEXT_CLOSED:
		return "the handle was closed";
	default:
		return result > 0 ? "a packet" : "no such result";
	}
}

#undef cw_handle_fail /* a macro where an analyser looks */
int cw_handle_fail(struct cw_handle *handle, struct cw_error *error, int code, const char *format,
		   ...)
{
	va_list arguments;

	handle->error.code = code < 0 ? code : 0;
	va_start(arguments, format);
	vsnprintf(handle->error.text, sizeof(handle->error.text), format, arguments);
	va_end(arguments);
	if (error)
		*error = handle->error;
	return code;
}

int cw_handle_need_open(struct cw_handle *handle, struct cw_error *error)
{
	if (!cw_handle_is_closed(handle))
		return 0;
	return cw_handle_fail(handle, error, CW_CLOSED, "the handle was closed");
}

int cw_handle_need_live(struct cw_handle *handle, struct cw_error *error)
{
	if (handle->kind == CW_HANDLE_DEAD)
		return cw_handle_fail(handle, error, CW_IS_DEAD, "a dead handle has no packets");
	if (handle->kind == CW_HANDLE_OFFLINE)
		return cw_handle_fail(handle, error, CW_NOT_LIVE,
				      "a capture file is not an interface");
	if (!handle->is_activated)
		return cw_handle_fail(handle, error, CW_NOT_ACTIVATED,
				      "the handle of %s is not activated", handle->device);
	return 0;
}

/* ---- settings ---- */

int cw_handle_may_set(struct cw_handle *handle)
{
	if (handle->kind != CW_HANDLE_LIVE)
		return cw_handle_fail(handle, NULL, CW_NOT_LIVE,
				      "only the handle of an interface has settings");
	if (handle->is_activated)
		return cw_handle_fail(handle, NULL, CW_ALREADY_ACTIVATED,
				      "the handle of %s is already activated", handle->device);
	return 0;
}

int cw_handle_set_snaplen(struct cw_handle *handle, int64_t bytes)
{
	int result = cw_handle_may_set(handle);

	if (result == 0)
		handle->settings.snaplen = cw_handle_sane_snaplen(bytes);
	return result;
}

int cw_handle_set_promiscuous(struct cw_handle *handle, bool promiscuous)
{
	int result = cw_handle_may_set(handle);

	if (result == 0)
		handle->settings.is_promiscuous = promiscuous;
	return result;
}

int cw_handle_set_timeout(struct cw_handle *handle, int64_t timeout_ns)
{
	int64_t ms = timeout_ns < 0 ? -1
				    : timeout_ns / (int64_t)CW_NS_PER_MS +
					  (timeout_ns % (int64_t)CW_NS_PER_MS != 0);
	int result = cw_handle_may_set(handle);

	if (result < 0)
		return result;
	if (ms > INT32_MAX)
		return cw_handle_fail(handle, NULL, -EINVAL,
				      "a timeout has at most 2^31 - 1 milliseconds");
	handle->settings.timeout_ms = (int)ms;
	return 0;
}

int cw_handle_set_immediate(struct cw_handle *handle, bool immediate)
{
	int result = cw_handle_may_set(handle);

	if (result == 0)
		handle->settings.is_immediate = immediate;
	return result;
}

int cw_handle_set_buffer_bytes(struct cw_handle *handle, uint64_t bytes)
{
	int result = cw_handle_may_set(handle);

	if (result < 0)
		return result;
	if (bytes < BUFFER_BYTES_MIN || bytes > BUFFER_BYTES_MAX)
		return cw_handle_fail(handle, NULL, -EINVAL,
				      "a buffer has 4 KiB to 64 GiB, not %llu bytes",
				      (unsigned long long)bytes);
	handle->settings.buffer_bytes = bytes;
	return 0;
}

int cw_handle_set_rfmon(struct cw_handle *handle, bool rfmon)
{
	int result = cw_handle_may_set(handle);

	if (result == 0)
		handle->settings.is_rfmon = rfmon;
	return result;
}

int cw_handle_set_precision_ns(struct cw_handle *handle, bool nanoseconds)
{
	int result = cw_handle_may_set(handle);

	if (result == 0)
		handle->settings.is_ns = nanoseconds;
	return result;
}

/* ---- properties ---- */

int cw_handle_interface(const struct cw_handle *handle, uint32_t index,
			struct cw_interface *interface_)
{
	const struct cw_iface *iface;

	if (index >= handle->ifaces.count)
		return -ENOENT;
	iface = cw_ifaces_at(&handle->ifaces, index);
	*interface_ = (struct cw_interface){.linktype = iface->linktype,
					    .snaplen = iface->snaplen,
					    .name = iface->name,
					    .description = iface->description,
					    .has_ns = iface->has_ns};
	return 0;
}

const char *cw_handle_error(const struct cw_handle *handle)
{
	return handle->error.text;
}

uint32_t cw_handle_snaplen(const struct cw_handle *handle)
{
	return handle->settings.snaplen;
}

bool cw_handle_is_ns(const struct cw_handle *handle)
{
	return handle->settings.is_ns;
}

bool cw_handle_is_live(const struct cw_handle *handle)
{
	return handle->kind == CW_HANDLE_LIVE;
}

uint32_t cw_handle_linktype(const struct cw_handle *handle)
{
	return handle->linktype;
}
