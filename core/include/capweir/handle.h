/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handles, which read packets from a capture file or from a network interface.
 *
 *     struct cw_handle *handle;
 *     struct cw_packet packet;
 *     struct cw_error error;
 *
 *     if (cw_handle_open_offline(&handle, "in.pcap", &error) < 0)
 *             ... error.text says why
 *     while (cw_handle_next(handle, &packet) == CW_NEXT_OK)
 *             ... packet.data is valid until the next call
 *     cw_handle_free(handle);
 *
 * A handle of an interface is opened at once (cw_handle_open_live), or created, set up and
 * activated. A dead handle has no packets; it serves to compile filters and to open dumpers.
 *
 * Units: timestamps and timeouts are nanoseconds, lengths are bytes, link types have 32 bits,
 * counts have 64. Returned strings belong to the handle, unless the function says otherwise.
 *
 * Threads: one thread at a time uses a handle, except for cw_handle_close: any thread and any
 * signal handler may call it until cw_handle_free, and a waiting reader returns at once.
 */
#ifndef CW_CAPWEIR_HANDLE_H
#define CW_CAPWEIR_HANDLE_H

#include <capweir/filter.h>

CW_BEGIN_DECLS

struct cw_handle;

/* Results of reading. */
enum cw_next {
	CW_NEXT_OK = 1,             /* a packet */
	CW_NEXT_TIMEOUT = 0,        /* no packet within the timeout */
	CW_NEXT_ERROR = -1,         /* an error, see cw_handle_error; every later read repeats it */
	CW_NEXT_END = -2,           /* end of the file, after a complete record */
	CW_NEXT_NOT_ACTIVATED = -3, /* the handle is not activated, or is dead */
	CW_NEXT_CLOSED = -4,        /* the handle was closed */
};

/* Returns the meaning of a result of reading, in words (static). Any thread. */
CW_API const char *cw_next_text(int result);

/* Timeout: wait for a packet without limit. */
#define CW_TIMEOUT_NEVER INT64_C(-1)

/* ---- opening ---- */

/*
 * Open a capture file: pcap or pcapng of any byte order and resolution, plain, .gz or .zst. The
 * path "-" is standard input. Fills *handle; free it with cw_handle_free.
 *
 * Returns 0. On failure *handle is NULL and the result is -EBADMSG (not a capture file, or a
 * damaged header), -EPROTONOSUPPORT (a version that capweir does not read), -ENOMEM, or the
 * negative errno of the system call.
 */
CW_API int cw_handle_open_offline(struct cw_handle **handle, const char *path,
				  struct cw_error *error);

/*
 * Open a descriptor of a file, pipe or socket as a capture file. Reading starts at the descriptor's
 * position. Takes the descriptor on success. Fills *handle. Returns as cw_handle_open_offline.
 * Source: pcap_fopen_offline.
 */
CW_API int cw_handle_open_offline_fd(struct cw_handle **handle, int fd, struct cw_error *error);

/*
 * Open an interface for reading at once: create, set up, activate. A snaplen outside 1 to
 * CW_CAPLEN_MAX means CW_CAPLEN_MAX; timeout_ns is that of cw_handle_set_timeout.
 *
 * Fills *handle, or sets it to NULL on failure. Returns as cw_handle_activate.
 */
CW_API int cw_handle_open_live(struct cw_handle **handle, const char *device, int64_t snaplen,
			       bool promiscuous, int64_t timeout_ns, struct cw_error *error);

/*
 * Open a dead handle of a link type. Reading fails with CW_NEXT_NOT_ACTIVATED; statistics and
 * sending fail with CW_IS_DEAD. Fills *handle. Returns 0 or -ENOMEM.
 */
CW_API int cw_handle_open_dead(struct cw_handle **handle, uint32_t linktype, uint32_t snaplen,
			       struct cw_error *error);

/*
 * Create an inactive handle for an interface, to set up and activate. Activation finds out whether
 * the interface exists. Fills *handle. Returns 0, -EINVAL for an empty or too long name, or
 * -ENOMEM. Source: pcap_create.
 */
CW_API int cw_handle_create(struct cw_handle **handle, const char *device, struct cw_error *error);

/* ---- settings ---- */

/*
 * Settings apply to inactive handles of interfaces. They return 0, CW_ALREADY_ACTIVATED,
 * CW_NOT_LIVE, or -EINVAL for a value out of range.
 */

/* Set the bytes kept of a packet. Filters see complete packets; a filter set between reads sees of
 * packets that arrived before it only what the earlier filter or snaplen needed. A value outside 1
 * to CW_CAPLEN_MAX means CW_CAPLEN_MAX, the default. */
CW_API int cw_handle_set_snaplen(struct cw_handle *handle, int64_t bytes);

/* Capture packets for other hosts too. Default: no. */
CW_API int cw_handle_set_promiscuous(struct cw_handle *handle, bool promiscuous);

/*
 * Set how long a read waits for a packet, also on an idle interface: nanoseconds, rounded up to
 * milliseconds, at most 2^31 - 1 ms. Negative, the default: without limit; 0: not at all.
 *
 * The kernel gathers packets before it wakes the reader, for at most 20 ms or the timeout,
 * whichever is shorter.
 */
CW_API int cw_handle_set_timeout(struct cw_handle *handle, int64_t timeout_ns);

/* Give packets to the reader within about 1 ms, ungathered. Default: no. */
CW_API int cw_handle_set_immediate(struct cw_handle *handle, bool immediate);

/* Set the size of the kernel's buffer, 4 KiB to 64 GiB. Default: 64 MiB. */
CW_API int cw_handle_set_buffer_bytes(struct cw_handle *handle, uint64_t bytes);

/* Capture in the monitor mode of a wireless interface. Default: no. If the interface has no monitor
 * mode, activation fails with CW_CANNOT_SET_RFMON. */
CW_API int cw_handle_set_rfmon(struct cw_handle *handle, bool rfmon);

/* Set the timestamp source, one of cw_handle_timestamp_sources. Also returns
 * CW_NO_SUCH_TIMESTAMP_SOURCE. */
CW_API int cw_handle_set_timestamp_source(struct cw_handle *handle, int source);

/* Choose nanoseconds, the default, or microseconds for the files of the handle's dumpers. */
CW_API int cw_handle_set_precision_ns(struct cw_handle *handle, bool nanoseconds);

/*
 * Start to capture.
 *
 * Returns 0, or CW_WARNED: success, with a warning in the error's text and in cw_handle_error. On
 * failure the handle stays inactive, and the result is -ENODEV (no such interface), -ENETDOWN (the
 * interface is down), -EPERM (CAP_NET_RAW is missing), CW_CANNOT_SET_RFMON, CW_ALREADY_ACTIVATED,
 * CW_NOT_LIVE, or the negative errno of the system call. Source: pcap_activate.
 */
CW_API int cw_handle_activate(struct cw_handle *handle, struct cw_error *error);

/* ---- reading ---- */

/*
 * Read the next packet without copying it (fills). Its data, in a buffer of the handle or of the
 * kernel, is valid until the next call that reads from, closes or frees the handle.
 *
 * Returns enum cw_next. A truncated record is an error, reported after all complete records before
 * it.
 */
CW_API int cw_handle_next(struct cw_handle *handle, struct cw_packet *packet);

/*
 * Read up to `capacity` packets (fills), waiting for the first only. The data is valid as that of
 * cw_handle_next. Returns the number of packets, or another value of enum cw_next.
 */
CW_API int cw_handle_next_burst(struct cw_handle *handle, struct cw_packet *packets,
				uint32_t capacity);

/*
 * Read the next packet into `buffer` (fills) of `bytes` bytes; packet->data is the buffer, and
 * packet->caplen is truncated to its size. pcapng options are not copied. Returns enum cw_next.
 */
CW_API int cw_handle_read(struct cw_handle *handle, void *buffer, size_t bytes,
			  struct cw_packet *packet);

/* The interface of a packet, found by the packet's `iface`. */
struct cw_interface {
	uint32_t linktype;       /* LINKTYPE_ value */
	uint32_t snaplen;        /* snapshot length in bytes; 0: not given */
	const char *name;        /* name; NULL: not given */
	const char *description; /* description; NULL: not given */
	bool has_ns;             /* timestamps are finer than microseconds */
};

/* Describe the interface with a number (fills; strings belong to the handle). Returns 0, or -ENOENT
 * for a number that no packet had. */
CW_API int cw_handle_interface(const struct cw_handle *handle, uint32_t iface,
			       struct cw_interface *interface_);

/* Returns the text of the handle's last error, or of the warning of its activation; "" for none.
 * Valid until the next call for this handle. */
CW_API const char *cw_handle_error(const struct cw_handle *handle);

/*
 * Close a handle: a waiting read and every later one return CW_NEXT_CLOSED. Sending, and setting a
 * filter, a direction or a link type, return CW_CLOSED from then on. Properties, statistics and
 * dumpers still work until cw_handle_free.
 *
 * Any thread and any signal handler, any number of times.
 */
CW_API void cw_handle_close(struct cw_handle *handle);

/* Close and free a handle in any state (takes; accepts NULL). No other thread may use it. */
CW_API void cw_handle_free(struct cw_handle *handle);

/* ---- properties ---- */

/* Returns the bytes kept of a packet. */
CW_API uint32_t cw_handle_snaplen(const struct cw_handle *handle);

/* Returns whether timestamps are finer than microseconds; of a file, those of the interfaces before
 * its first packet. */
CW_API bool cw_handle_is_ns(const struct cw_handle *handle);

/* Returns whether the handle is one of an interface, activated or not. */
CW_API bool cw_handle_is_live(const struct cw_handle *handle);

/* Returns the link type of the packets; for a pcapng file that of its first interface.
 * CW_LINKTYPE_ANY: unknown, because the handle is not activated or the file has no interface. */
CW_API uint32_t cw_handle_linktype(const struct cw_handle *handle);

/* List the link types that the handle can have (fills; free the array with free()). Returns their
 * number, CW_NOT_ACTIVATED or -ENOMEM. Source: pcap_list_datalinks. */
CW_API int cw_handle_linktypes(struct cw_handle *handle, uint32_t **linktypes,
			       struct cw_error *error);

/* Choose another link type of cw_handle_linktypes. Returns 0, -EINVAL for any other,
 * CW_NOT_ACTIVATED, CW_NOT_LIVE or CW_IS_DEAD. */
CW_API int cw_handle_set_linktype(struct cw_handle *handle, uint32_t linktype,
				  struct cw_error *error);

/* A clock that timestamps packets. */
struct cw_timestamp_source {
	int value;               /* libpcap's PCAP_TSTAMP_ value */
	const char *name;        /* name (static) */
	const char *description; /* description (static) */
};

/* List the interface's timestamp sources (fills; free the array with free()). Returns their number,
 * CW_NOT_LIVE, -ENODEV or -ENOMEM. Source: pcap_list_tstamp_types. */
CW_API int cw_handle_timestamp_sources(struct cw_handle *handle,
				       struct cw_timestamp_source **sources,
				       struct cw_error *error);

/* Returns the value of a timestamp source's name, in either case, or CW_NO_SUCH_TIMESTAMP_SOURCE.
 * Any thread. */
CW_API int cw_timestamp_source_from_name(const char *name);

/* Returns the name of a timestamp source (static); NULL for an unknown value. Any thread. */
CW_API const char *cw_timestamp_source_name(int source);

/* ---- filters, directions, statistics, sending ---- */

/*
 * Read only packets that an expression (borrows) matches, from the next read on. `ip broadcast`
 * uses the interface's netmask; without one, and for files, it is an error.
 *
 * Returns as cw_filter_compile, or CW_NOT_ACTIVATED. If compiling fails, the previous filter
 * stays.
 */
CW_API int cw_handle_set_filter(struct cw_handle *handle, const char *expression,
				struct cw_error *error);

/* Read only packets that `count` classic BPF instructions (copies) match, from the next read on.
 * Returns as cw_filter_from_program, or CW_NOT_ACTIVATED. */
CW_API int cw_handle_set_filter_program(struct cw_handle *handle,
					const struct bpf_insn *instructions, uint32_t count,
					struct cw_error *error);

/* Compile a filter (fills) for the handle's link type, netmask and byte order; it does not depend
 * on the handle afterwards. Returns as cw_filter_compile, or CW_NOT_ACTIVATED. */
CW_API int cw_handle_compile(struct cw_handle *handle, struct cw_filter **filter,
			     const char *expression, struct cw_error *error);

/* Directions of packets, seen from this host. */
enum cw_direction {
	CW_DIRECTION_BOTH, /* the default */
	CW_DIRECTION_IN,   /* received */
	CW_DIRECTION_OUT,  /* sent */
};

/* Read only packets of one direction. Before or after activation. Returns 0, -EINVAL for an unknown
 * direction, CW_NOT_LIVE, or -EOPNOTSUPP if the interface does not tell directions, or was
 * activated for one direction. */
CW_API int cw_handle_set_direction(struct cw_handle *handle, enum cw_direction direction,
				   struct cw_error *error);

/* Counts since activation, in packets. They never decrease. */
struct cw_stats {
	uint64_t received;          /* passed the kernel's filter, not dropped; read or not */
	uint64_t kernel_dropped;    /* dropped because the kernel's buffer was full */
	uint64_t interface_dropped; /* lost in the interface or its driver, at least */
};

/* Read the counts (fills). Returns 0, CW_NOT_LIVE, CW_IS_DEAD or CW_NOT_ACTIVATED. */
CW_API int cw_handle_stats(struct cw_handle *handle, struct cw_stats *stats);

/*
 * Send a frame (borrows) on the interface unchanged.
 *
 * Returns 0, -EINVAL for an empty frame, -EMSGSIZE for a too long one, CW_NOT_LIVE, CW_IS_DEAD,
 * CW_NOT_ACTIVATED, -EAGAIN if the interface takes nothing for 100 ms, or the negative errno of the
 * system call. Source: pcap_inject.
 */
CW_API int cw_handle_inject(struct cw_handle *handle, const void *frame, size_t bytes);

CW_END_DECLS

#endif
