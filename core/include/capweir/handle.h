/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handles: a device, a capture file, or neither (for compiling filters and opening dumpers).
 *
 *     struct cw_handle *handle;
 *     struct cw_packet packet;
 *     struct cw_error error;
 *
 *     if (cw_handle_open_offline(&handle, "in.pcap", &error) < 0)
 *             ... error.text says why
 *     while (cw_handle_next(handle, &packet) == CW_NEXT_OK)
 *             ... packet.data, valid until the next call for this handle
 *     cw_handle_free(handle);
 *
 * A device can be opened at once (cw_handle_open_live), or created, set up and activated.
 *
 * Threads: one at a time uses a handle, but for cw_handle_close, which any thread may call at any
 * time until cw_handle_free, also from a signal handler: whoever is reading returns at once.
 *
 * Times are in nanoseconds, link types have 32 bits, counts 64. Strings that functions return are
 * the handle's unless it says otherwise.
 */
#ifndef CW_CAPWEIR_HANDLE_H
#define CW_CAPWEIR_HANDLE_H

#include <capweir/filter.h>

CW_BEGIN_DECLS

struct cw_handle;

/* What reading says. */
enum cw_next {
	CW_NEXT_OK = 1,             /* a packet */
	CW_NEXT_TIMEOUT = 0,        /* none came within the timeout */
	CW_NEXT_ERROR = -1,         /* an error, which cw_handle_error tells; it stays one */
	CW_NEXT_END = -2,           /* no more packets: the file's end, at a record's boundary */
	CW_NEXT_NOT_ACTIVATED = -3, /* the handle is not activated, or is a dead one */
	CW_NEXT_CLOSED = -4,        /* the handle was closed */
};

/* What a result of reading means, in words. Static. */
CW_API const char *cw_next_text(int result);

/* Wait for a packet for ever. */
#define CW_TIMEOUT_NEVER INT64_C(-1)

/* ---- opening ---- */

/*
 * Open a capture file: pcap or pcapng in any byte order and resolution, plain, .gz or .zst; "-" is
 * standard input. 0, or *handle is NULL and a negative code: the system's; -EBADMSG for what is no
 * capture file, or a damaged header; -EPROTONOSUPPORT for a version that is known and not read.
 */
CW_API int cw_handle_open_offline(struct cw_handle **handle, const char *path,
				  struct cw_error *error);

/*
 * Open a device for reading at once: create, set, activate. snaplen outside of 1 .. CW_CAPLEN_MAX
 * means CW_CAPLEN_MAX. timeout_ns as cw_handle_set_timeout. Returns as cw_handle_activate; *handle
 * is NULL on failure.
 */
CW_API int cw_handle_open_live(struct cw_handle **handle, const char *device, int64_t snaplen,
			       bool promiscuous, int64_t timeout_ns, struct cw_error *error);

/*
 * A handle without packets, of a link type: for compiling filters and opening dumpers. Reading,
 * statistics and sending fail with CW_NEXT_NOT_ACTIVATED or CW_IS_DEAD. 0 or -ENOMEM.
 */
CW_API int cw_handle_open_dead(struct cw_handle **handle, uint32_t linktype, uint32_t snaplen,
			       struct cw_error *error);

/*
 * An inactive handle for a device, to be set up and activated. That there is such a device is known
 * at activation. 0, -EINVAL for an empty or too long name, -ENOMEM. Source: pcap_create.
 */
CW_API int cw_handle_create(struct cw_handle **handle, const char *device, struct cw_error *error);

/*
 * Settings of an inactive handle: 0; CW_ALREADY_ACTIVATED; -EINVAL out of range; CW_NOT_LIVE.
 */

/* Bytes to keep of a packet; outside of 1 .. CW_CAPLEN_MAX means CW_CAPLEN_MAX, the default. */
CW_API int cw_handle_set_snaplen(struct cw_handle *handle, int64_t bytes);

/* Also what is not meant for this host. Default: no. */
CW_API int cw_handle_set_promiscuous(struct cw_handle *handle, bool promiscuous);

/*
 * How long reading waits for a packet, on an idle device too: rounded up to milliseconds; negative
 * (the default): for ever; 0: not at all. Up to 2^31 - 1 ms. With a timeout packets are also
 * gathered, and given to the reader, at most so long after they came, or 20 ms, whichever is less.
 */
CW_API int cw_handle_set_timeout(struct cw_handle *handle, int64_t timeout_ns);

/* Give packets to the reader as they come, one by one if need be. Default: no. */
CW_API int cw_handle_set_immediate(struct cw_handle *handle, bool immediate);

/* Size of the kernel's buffer, 4 KiB to 64 GiB; out of range is an error. Default: 64 MiB. */
CW_API int cw_handle_set_buffer_bytes(struct cw_handle *handle, uint64_t bytes);

/* Monitor mode of a wireless device. CW_CANNOT_SET_RFMON, now or at activation. Default: no. */
CW_API int cw_handle_set_rfmon(struct cw_handle *handle, bool rfmon);

/* Where times come from, see cw_handle_timestamp_sources. CW_NO_SUCH_TIMESTAMP_SOURCE. */
CW_API int cw_handle_set_timestamp_source(struct cw_handle *handle, int source);

/* Nanoseconds (the default) or microseconds: what dumpers of the handle write. */
CW_API int cw_handle_set_precision_ns(struct cw_handle *handle, bool nanoseconds);

/*
 * Begin to capture. 0; CW_WARNED: success, and error's text (also cw_handle_error) holds a warning;
 * or a negative code, the handle staying inactive: -ENODEV no such device; -ENETDOWN it is down;
 * -EPERM CAP_NET_RAW is missing; CW_CANNOT_SET_RFMON; CW_ALREADY_ACTIVATED; CW_NOT_LIVE; others the
 * system's. Source: pcap_activate.
 */
CW_API int cw_handle_activate(struct cw_handle *handle, struct cw_error *error);

/* ---- reading ---- */

/*
 * The next packet, where it lies in the mapped file or the kernel's ring (fills): valid until the
 * next call that reads from this handle, closes or frees it. Returns enum cw_next. A truncated
 * record is an error, once all whole ones before it were given, and stays one.
 */
CW_API int cw_handle_next(struct cw_handle *handle, struct cw_packet *packet);

/*
 * The next packets, up to `capacity`, without waiting for more than the first (fills): valid as
 * cw_handle_next's. Returns how many, or enum cw_next's other values.
 */
CW_API int cw_handle_next_burst(struct cw_handle *handle, struct cw_packet *packets,
				uint32_t capacity);

/*
 * The next packet, copied into `buffer` of `bytes`; packet->data (fills) is the buffer, and what
 * does not fit is cut off (caplen). Returns enum cw_next.
 */
CW_API int cw_handle_read(struct cw_handle *handle, void *buffer, size_t bytes,
			  struct cw_packet *packet);

/* The interface that a packet's number `iface` stands for. */
struct cw_interface {
	uint32_t linktype;
	uint32_t snaplen;        /* 0: none given */
	const char *name;        /* NULL: none given */
	const char *description; /* NULL: none given */
	bool has_ns;             /* its times are finer than microseconds */
};

/* 0 (fills), or -ENOENT for a number that no packet had. */
CW_API int cw_handle_interface(const struct cw_handle *handle, uint32_t iface,
			       struct cw_interface *interface_);

/* What went wrong last, or what activation warned of; "" for nothing. */
CW_API const char *cw_handle_error(const struct cw_handle *handle);

/* Wakes whoever reads, who gets CW_NEXT_CLOSED, as does every read from then on. Any thread, any
 * number of times. */
CW_API void cw_handle_close(struct cw_handle *handle);

/* Close and free it. Nobody may be reading any more. Accepts NULL and every state. */
CW_API void cw_handle_free(struct cw_handle *handle);

/* ---- what it is ---- */

CW_API uint32_t cw_handle_snaplen(const struct cw_handle *handle); /* bytes kept of a packet */
CW_API bool cw_handle_is_ns(const struct cw_handle *handle);   /* times finer than microseconds */
CW_API bool cw_handle_is_live(const struct cw_handle *handle); /* a device, activated or not */

/* The link type of its packets; of a pcapng file the first interface's; CW_LINKTYPE_ANY: not known
 * (not activated, or a file without interfaces). */
CW_API uint32_t cw_handle_linktype(const struct cw_handle *handle);

/* The link types that the handle could have (fills; allocated, the caller frees with free()).
 * Their number, or a negative code. Source: pcap_list_datalinks. */
CW_API int cw_handle_linktypes(struct cw_handle *handle, uint32_t **linktypes,
			       struct cw_error *error);

/* Another of these. 0, -EINVAL for one that it cannot have, CW_NOT_ACTIVATED, CW_NOT_LIVE,
 * CW_IS_DEAD. */
CW_API int cw_handle_set_linktype(struct cw_handle *handle, uint32_t linktype,
				  struct cw_error *error);

/* A source of times. */
struct cw_timestamp_source {
	int value;
	const char *name; /* static, as is the description */
	const char *description;
};

/* The sources of times that the device has (fills; allocated, the caller frees with free()). Their
 * number, or a negative code. Source: pcap_list_tstamp_types. */
CW_API int cw_handle_timestamp_sources(struct cw_handle *handle,
				       struct cw_timestamp_source **sources,
				       struct cw_error *error);

/* The value of a source's name, in any case of letters; or CW_NO_SUCH_TIMESTAMP_SOURCE. */
CW_API int cw_timestamp_source_from_name(const char *name);
/* Its name; NULL for none. Static. */
CW_API const char *cw_timestamp_source_name(int source);

/* ---- filters, directions, statistics, sending ---- */

/*
 * Let through only what the expression matches, from the next packet read on. `ip broadcast` takes
 * the netmask of the device where it has one; without, and for files, it is an error. 0,
 * CW_FILTER_NEVER, or as cw_filter_compile; CW_NOT_ACTIVATED.
 */
CW_API int cw_handle_set_filter(struct cw_handle *handle, const char *expression,
				struct cw_error *error);

/* The same with a classic BPF program (copies). */
CW_API int cw_handle_set_filter_program(struct cw_handle *handle,
					const struct bpf_insn *instructions, uint32_t count,
					struct cw_error *error);

/* Compile a filter for the handle's link type; it is independent of the handle from then on. */
CW_API int cw_handle_compile(struct cw_handle *handle, struct cw_filter **filter,
			     const char *expression, struct cw_error *error);

/* Which way packets go that are read. */
enum cw_direction {
	CW_DIRECTION_BOTH, /* the default */
	CW_DIRECTION_IN,
	CW_DIRECTION_OUT,
};

/* 0; -EINVAL for no direction; CW_NOT_LIVE; -EOPNOTSUPP where the device does not tell. Before or
 * after activation. */
CW_API int cw_handle_set_direction(struct cw_handle *handle, enum cw_direction direction,
				   struct cw_error *error);

/* Counts since activation; they never go back. */
struct cw_stats {
	uint64_t received; /* packets given to the reader, or waiting for it: what the kernel's
			      filter passed and did not drop */
	uint64_t kernel_dropped;    /* no room in the kernel's buffer */
	uint64_t interface_dropped; /* lost in the device or its driver, as far as it tells */
};

/* 0 (fills); CW_NOT_LIVE, CW_IS_DEAD, CW_NOT_ACTIVATED; or the system's. */
CW_API int cw_handle_stats(struct cw_handle *handle, struct cw_stats *stats);

/*
 * Send a frame on the device as it is. 0; -EINVAL for an empty one; -EMSGSIZE; CW_NOT_LIVE,
 * CW_IS_DEAD, CW_NOT_ACTIVATED; or the system's. Source: pcap_inject.
 */
CW_API int cw_handle_inject(struct cw_handle *handle, const void *frame, size_t bytes);

CW_END_DECLS

#endif
