/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one parser of pcap and pcapng: incremental, without I/O, for mapped files and streams alike.
 * It is shown bytes from where it stands and says how many of them are whole records (a span), that
 * it needs more, that this is the end, or what is wrong and at which byte. It copies no packet and
 * holds nothing but the layout. Single owner.
 *
 *	cw_pcapfile_init(&file, &ifaces, input, CW_LINKTYPE_ANY);
 *	for (;;) {
 *		result = cw_pcapfile_scan(&file, &shown, &limits, &step, &error);
 *		shown.data += step.consumed, shown.bytes -= step.consumed;
 *		... CW_PCAPFILE_SPAN: use step.span; CW_PCAPFILE_MORE: have step.needed bytes
 *	}
 *
 * Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng; where they leave it open, what libpcap
 * 1.10.3 does.
 */
#ifndef CW_CORE_FORMAT_PCAPFILE_H
#define CW_CORE_FORMAT_PCAPFILE_H

#include "core/base/error.h"
#include "core/packet/linktype.h"
#include "core/packet/packet.h"

/* Block types of pcapng, and the bytes their fixed parts take, trailer included. */
#define CW_PCAPNG_SHB 0x0A0D0D0Au
#define CW_PCAPNG_IDB 1u
#define CW_PCAPNG_PB 2u
#define CW_PCAPNG_SPB 3u
#define CW_PCAPNG_EPB 6u
#define CW_PCAPNG_BLOCK_BYTES_MIN ((size_t)12)
#define CW_PCAPNG_EPB_BLOCK_BYTES ((size_t)32)
#define CW_PCAPNG_SPB_BLOCK_BYTES ((size_t)16)

/* The longest block that counts as sane: the longest packet of any link type, and options. */
#define CW_PCAPNG_BLOCK_BYTES_MAX (((size_t)128 << 20) + ((size_t)1 << 20))
#define CW_PCAPNG_NAME_BYTES_MAX 256u /* kept of if_name and if_description */

enum cw_pcapfile_format {
	CW_PCAPFILE_UNKNOWN, /* no header seen yet */
	CW_PCAPFILE_PCAP,
	CW_PCAPFILE_PCAPNG,
};

struct cw_pcapfile {
	/* given */
	struct cw_ifaces *ifaces; /* borrows */
	uint16_t input;
	uint32_t linktype; /* overrides the file's; CW_LINKTYPE_ANY = as the file says */
	/* found; to be read by the owner */
	enum cw_pcapfile_format format;
	struct cw_layout layout;
	uint64_t offset; /* of the next byte to look at */
	uint64_t section_count;
	uint32_t first_linktype; /* CW_LINKTYPE_ANY before the first interface */
	uint32_t first_snaplen;
	uint16_t version_major, version_minor;
	bool has_ns;
	bool is_big_endian; /* the first header */
};

/* Bytes of the file. */
struct cw_pcapfile_shown {
	const uint8_t *data;
	size_t bytes;
	bool is_at_end; /* the file ends with them */
};

/* Of a span. */
struct cw_pcapfile_limits {
	size_t bytes_max;
	uint32_t records_max;
};

enum cw_pcapfile_result {
	CW_PCAPFILE_END = 0,
	CW_PCAPFILE_SPAN = 1,
	CW_PCAPFILE_MORE = 2,
};

struct cw_pcapfile_step {
	struct cw_span span; /* its data ends where `consumed` ends */
	size_t consumed;     /* bytes that are done with, the span among them */
	size_t needed;       /* MORE: bytes that must be present after `consumed` */
};

void cw_pcapfile_init(struct cw_pcapfile *file, struct cw_ifaces *ifaces, uint16_t input,
		      uint32_t linktype);

/*
 * Look at the file's bytes from where the last call left off. Cuts a span within the limits, but of
 * at least one record, and never across a section or interface block. With `records_max` 0 it stops
 * in front of the first packet (pcap: after the header) with an empty span.
 * Returns a cw_pcapfile_result; -EBADMSG for damage in front of which no whole record is left, or
 * bytes that are no capture file; -EPROTONOSUPPORT; -ENOMEM; -ENOSPC for too many interfaces.
 * `step` is filled in every case; after an error the position stays in front of the damage.
 */
int cw_pcapfile_scan(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		     const struct cw_pcapfile_limits *limits, struct cw_pcapfile_step *step,
		     struct cw_error *error);

/* Shorten a span just cut, and the step and position with it, to whole records in `bytes`. */
void cw_pcapfile_trim(struct cw_pcapfile *file, struct cw_pcapfile_step *step, size_t bytes);

/* How much data of a packet libpcap hands out for this interface's snapshot length. */
uint32_t cw_pcapfile_caplen_cut(const struct cw_iface *iface);

struct cw_pcapng_block {
	uint32_t type;
	size_t bytes;
};

/*
 * The pcapng block that begins the bytes, which lie at `offset`, for pcapfile.c. Returns 0 with the
 * block, or CW_PCAPFILE_MORE with the bytes needed in it, or a negative errno.
 */
int cw_pcapng_check(const struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		    uint64_t offset, struct cw_pcapng_block *block, struct cw_error *error);

static inline bool cw_pcapng_is_packet(uint32_t type)
{
	return type == CW_PCAPNG_EPB || type == CW_PCAPNG_SPB || type == CW_PCAPNG_PB;
}

/* Take in a whole section header or interface block that cw_pcapng_check found good. */
int cw_pcapng_section(struct cw_pcapfile *file, const uint8_t *block, size_t block_bytes,
		      struct cw_error *error);
int cw_pcapng_interface(struct cw_pcapfile *file, const uint8_t *block, size_t block_bytes,
			struct cw_error *error);

#endif
