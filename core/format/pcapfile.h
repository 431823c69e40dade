/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The only parser of pcap and pcapng: incremental, without I/O, for mapped files and for streams.
 * The caller shows bytes from the current position. The parser returns a span of complete records,
 * asks for more bytes, reports the end, or reports damage and its byte. The parser copies no packet
 * and keeps only the layout. Single owner.
 *
 *	cw_pcapfile_init(&file, &ifaces, input, CW_LINKTYPE_ANY);
 *	for (;;) {
 *		result = cw_pcapfile_scan(&file, &shown, &limits, &step, &error);
 *		shown.data += step.consumed, shown.bytes -= step.consumed;
 *		... CW_PCAPFILE_SPAN: use step.span; CW_PCAPFILE_MORE: provide step.needed bytes
 *	}
 *
 * Sources: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng; where they are silent, libpcap 1.10.3.
 */
#ifndef CW_CORE_FORMAT_PCAPFILE_H
#define CW_CORE_FORMAT_PCAPFILE_H

#include "core/base/error.h"
#include "core/packet/linktype.h"
#include "core/packet/packet.h"

/* Block types of pcapng, and the bytes of their fixed parts, trailer included. */
#define CW_PCAPNG_SHB 0x0A0D0D0Au
#define CW_PCAPNG_IDB 1u
#define CW_PCAPNG_PB 2u
#define CW_PCAPNG_SPB 3u
#define CW_PCAPNG_NRB 4u
#define CW_PCAPNG_ISB 5u
#define CW_PCAPNG_EPB 6u
#define CW_PCAPNG_DSB 10u
#define CW_PCAPNG_CUSTOM 0xBADu /* to be copied; 0x40000BAD is not */
#define CW_PCAPNG_BLOCK_BYTES_MIN ((size_t)12)
#define CW_PCAPNG_SHB_BYTES ((size_t)28)
#define CW_PCAPNG_IDB_BYTES ((size_t)20)
#define CW_PCAPNG_EPB_BLOCK_BYTES ((size_t)32)
#define CW_PCAPNG_SPB_BLOCK_BYTES ((size_t)16)

/* The longest accepted block: the longest packet of any link type, and 1 MiB of options. */
#define CW_PCAPNG_BLOCK_BYTES_MAX (((size_t)128 << 20) + ((size_t)1 << 20))
#define CW_PCAPNG_ORDER_MAGIC 0x1A2B3C4Du

#define CW_PCAPFILE_JOINED_MAX 64u /* joined files that are described; all are counted and read */

enum cw_pcapfile_format {
	CW_PCAPFILE_UNKNOWN, /* no header read yet */
	CW_PCAPFILE_PCAP,
	CW_PCAPFILE_PCAPNG,
};

/* A capture file that begins where a record of the file before it could begin (cat a b). */
struct cw_pcapfile_joined {
	uint64_t at; /* offset of its header */
	enum cw_pcapfile_format format;
	uint32_t linktype; /* of its first interface; CW_LINKTYPE_ANY: none so far */
};

/* Damage in the middle of a file, and the places after it from which reading continued. */
struct cw_resync {
	/* set by the caller */
	bool is_on; /* skip damage; false: damage ends the file */
	/* set by the parser; the owner may read them */
	uint64_t places;       /* where reading continued */
	uint64_t bytes;        /* skipped before these places */
	struct cw_error first; /* the first damage that was skipped, if `places` */
	bool is_searching;
	/* private to the parser */
	bool has_times;           /* pcap: the two below are known */
	uint32_t first_s, last_s; /* pcap: seconds of the first and the last record so far */
	uint64_t start, end;      /* offsets of the last damage and of the place after it */
	struct cw_error damage;   /* the last damage */
};

struct cw_pcapfile {
	/* set by the caller */
	struct cw_ifaces *ifaces; /* borrows */
	uint16_t input;           /* number of the input */
	uint32_t linktype;        /* link type to use; CW_LINKTYPE_ANY: the file's */
	/* set by the parser; the owner may read them */
	enum cw_pcapfile_format format;       /* of the bytes at `offset` */
	enum cw_pcapfile_format first_format; /* of the first header */
	struct cw_layout layout;
	uint64_t offset;     /* file offset of the next byte to parse */
	uint64_t zero_bytes; /* zeros before `offset` that are records or a torn tail */
	uint64_t section_count;
	uint32_t joined_count;
	struct cw_pcapfile_joined joined[CW_PCAPFILE_JOINED_MAX];
	struct cw_section *section;    /* the current section */
	struct cw_block_counts blocks; /* met so far */
	uint32_t first_linktype;       /* CW_LINKTYPE_ANY before the first interface */
	uint32_t first_snaplen;
	uint32_t
	    limit; /* the first header's, of a packet's bytes: a pcap file with a snaplen; or 0 */
	uint16_t version_major, version_minor;
	bool has_ns;        /* an interface so far has timestamps finer than 1 us */
	bool is_big_endian; /* byte order of the first header */
	bool is_torn;       /* the last error: the file ends within a record or in zeros */
	struct cw_resync resync;
};

/* Bytes of the file, from the parser's position. */
struct cw_pcapfile_shown {
	const uint8_t *data;
	size_t bytes;
	bool is_at_end; /* the file ends after these bytes */
};

/* Limits of one span. */
struct cw_pcapfile_limits {
	size_t bytes_max;
	uint32_t records_max;
};

#define CW_PCAPFILE_TORN (-ENODATA) /* within the parser, instead of -EBADMSG: see is_torn */

enum cw_pcapfile_result {
	CW_PCAPFILE_END = 0,
	CW_PCAPFILE_SPAN = 1,
	CW_PCAPFILE_MORE = 2,
};

struct cw_pcapfile_step {
	struct cw_span span; /* its data ends where `consumed` ends; that of zeros lies elsewhere */
	size_t consumed;     /* bytes parsed, the span included */
	size_t needed;       /* MORE: bytes to show next, counted from `consumed` */
};

void cw_pcapfile_init(struct cw_pcapfile *file, struct cw_ifaces *ifaces, uint16_t input,
		      uint32_t linktype);

/*
 * Parses from where the last call stopped. Returns a span within the limits, but of at least one
 * record, and never across a section or interface block. With `records_max` 0, stops before the
 * first packet (pcap: after the header) with an empty span.
 *
 * Zeros in place of a pcap record are consumed and counted first. If only zeros follow to the end,
 * they are a torn tail: -EBADMSG. Else they are empty records, in spans of static memory. Zeros in
 * place of a pcapng block are a torn tail or damage. `zero_bytes` are those without a result yet.
 *
 * A capture file's header in place of a record begins a joined file: it is noted and read on.
 *
 * With resync.is_on, damage after the first header is skipped, up to a place that begins a chain of
 * plausible records (boundary.h); if there is none, the position is the file's end. Zeros in place
 * of a record are damage then, and so is an empty record or one with a capture length above its
 * length, unless a chain of records follows. In pcapng the section's interfaces stay in force.
 *
 * Returns a cw_pcapfile_result; -EBADMSG if no complete record precedes the damage, or if the bytes
 * are not a capture file; -EPROTONOSUPPORT; -ENOMEM; -ENOSPC for too many interfaces.
 * Fills `step` in every case. After an error the position is that of the damage, after `zero_bytes`
 * zeros.
 */
int cw_pcapfile_scan(struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		     const struct cw_pcapfile_limits *limits, struct cw_pcapfile_step *step,
		     struct cw_error *error);

/* Returns the layout of a span that begins at the position. */
struct cw_layout cw_pcapfile_layout(const struct cw_pcapfile *file);

/* Moves the position to `position`, over at least one record, all of them plain (plain.h): as if
 * spans of them had been returned. pcap: with the seconds of the first and the last one. */
void cw_pcapfile_skip(struct cw_pcapfile *file, uint64_t position, uint32_t first_s,
		      uint32_t last_s);

/* Returns whether the last error is damage that resync.is_on can skip. */
bool cw_pcapfile_can_resync(const struct cw_pcapfile *file);

/* Shortens the span of the last scan to the complete records in its first `bytes`, and moves the
 * step and the position back with it. */
void cw_pcapfile_trim(struct cw_pcapfile *file, struct cw_pcapfile_step *step, size_t bytes);

/* Returns the most bytes of a packet that libpcap returns for this interface's snapshot length. */
uint32_t cw_pcapfile_caplen_cut(const struct cw_iface *iface);

struct cw_pcapng_block {
	uint32_t type;
	size_t bytes;
};

/*
 * Checks the frame of the pcapng block at the start of `shown`, which is at `offset` in the file.
 * For pcapfile.c. Returns 0 and fills `block`; CW_PCAPFILE_MORE with the needed bytes in
 * block->bytes; or a negative errno, CW_PCAPFILE_TORN for a file that ends before.
 */
int cw_pcapng_check(const struct cw_pcapfile *file, const struct cw_pcapfile_shown *shown,
		    uint64_t offset, struct cw_pcapng_block *block, struct cw_error *error);

static inline bool cw_pcapng_is_packet(uint32_t type)
{
	return type == CW_PCAPNG_EPB || type == CW_PCAPNG_SPB || type == CW_PCAPNG_PB;
}

static inline bool cw_pcapng_is_length(size_t length)
{
	return length >= CW_PCAPNG_BLOCK_BYTES_MIN && length % 4 == 0 &&
	       length <= CW_PCAPNG_BLOCK_BYTES_MAX;
}

/* Notes what the file's properties take from an interface that was added. */
static inline void cw_pcapfile_note_iface(struct cw_pcapfile *file, const struct cw_iface *iface)
{
	uint32_t count = cw_min_u32(file->joined_count, CW_PCAPFILE_JOINED_MAX);

	file->has_ns |= iface->has_ns;
	if (file->first_linktype == CW_LINKTYPE_ANY) {
		file->first_linktype = iface->linktype;
		file->first_snaplen = iface->snaplen;
	}
	if (count == file->joined_count && count &&
	    file->joined[count - 1].linktype == CW_LINKTYPE_ANY)
		file->joined[count - 1].linktype = iface->linktype;
}

/* Read a section header or an interface block that passed cw_pcapng_check. */
int cw_pcapng_section(struct cw_pcapfile *file, const uint8_t *block, size_t block_bytes,
		      struct cw_error *error);
/* Keeps or counts any other block. Returns 0 or -ENOMEM. */
int cw_pcapng_other(struct cw_pcapfile *file, const struct cw_pcapng_block *block,
		    const uint8_t *data, struct cw_error *error);
int cw_pcapng_interface(struct cw_pcapfile *file, const uint8_t *block, size_t block_bytes,
			struct cw_error *error);

#endif
