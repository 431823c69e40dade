/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data that flows through capweir: packets (views into memory of another owner), the interfaces
 * they came from, spans (runs of complete records in one piece of memory) and leases (the duty to
 * give a span's memory back, once).
 */
#ifndef CW_CORE_PACKET_PACKET_H
#define CW_CORE_PACKET_PACKET_H

#include <capweir/packet.h>
#include <stdatomic.h>

#include "core/base/base.h"

/* The length of the frame check sequence in a pcap header's link field, in units of 16 bits. The
 * other bits above the link type are reserved. */
#define CW_FCS_IS_KNOWN 0x04000000u
#define CW_FCS_MASK 0xF4000000u
#define CW_FCS_SHIFT 28

static inline uint8_t cw_fcs_bits(uint32_t fcs)
{
	return (uint8_t)(16 * (fcs >> CW_FCS_SHIFT));
}

/* Returns 0 for a length that is not a multiple of 16 bits: a pcap header cannot hold it. */
static inline uint32_t cw_fcs_from_bits(uint32_t bits)
{
	return bits % 16 ? 0 : CW_FCS_IS_KNOWN | bits / 16 << CW_FCS_SHIFT;
}

/* Options of a pcapng section or interface, in native byte order, without an end of options. */
struct cw_described {
	struct cw_described *next; /* of the table that owns it */
	size_t bytes;
	uint32_t count;
	uint8_t options[];
};

/* A section of a pcapng file. */
struct cw_section {
	struct cw_section *next;            /* of the table that owns it */
	const struct cw_described *options; /* or NULL; owned by the table */
	uint32_t first_block;               /* index in the table of the section's first block */
	struct cw_block *statistics_first;  /* its statistics; to be read once it has ended */
	struct cw_block *statistics_last;
	uint64_t iface_options; /* options of its interfaces that no pcap file holds; as above */
};

/* Blocks of pcapng files that are neither of packets nor of interfaces. */
enum cw_block_kind {
	CW_BLOCK_SECRETS,
	CW_BLOCK_NAMES,
	CW_BLOCK_CUSTOM,     /* marked as to be copied */
	CW_BLOCK_STATISTICS, /* of an interface */
	CW_BLOCK_OTHER,      /* not copied */
	CW_BLOCK_KINDS,
};

/* Blocks of a file, and what no output has of them. */
struct cw_block_counts {
	uint64_t of_kind[CW_BLOCK_KINDS];
	uint64_t left_out;
	uint64_t left_out_options; /* of sections, interfaces and blocks */
};

/* A block that outputs copy, in native byte order, with its frame. */
struct cw_block {
	const struct cw_section *section;
	struct cw_block *statistics_next; /* of the section */
	enum cw_block_kind kind;
	uint32_t iface; /* statistics: index in the table; `data` has the file's number */
	uint32_t bytes;
	uint8_t data[];
};

/* An interface: live, or of a capture file (pcapng describes each; a pcap file is one). */
struct cw_iface {
	uint32_t linktype;       /* LINKTYPE_ value, canonical, 16 bits used */
	uint32_t snaplen;        /* snapshot length as recorded; 0: none given */
	uint32_t fcs;            /* bits of a pcap header for the FCS length; 0: unknown */
	uint64_t ts_offset_s;    /* added to every timestamp, two's complement (if_tsoffset) */
	uint64_t ts_units_per_s; /* 10^n; 0: ts_shift is used */
	uint8_t ts_shift;        /* units of 2^-ts_shift s; 0: ts_units_per_s is used */
	uint8_t has_ns;          /* timestamps are finer than a microsecond */
	uint8_t is_swapped;      /* file and loopback headers have the other byte order */
	uint8_t is_copy;         /* the two strings belong to another interface of the table */
	uint16_t input;          /* index of the input that describes it */
	char *name;              /* if_name or NULL; owned by the table */
	char *description;       /* if_description or NULL; owned by the table */
	const struct cw_described *options; /* further options, or NULL; owned by the table */
	const struct cw_section *section;   /* pcapng: its section; owned by the table */
};

/*
 * The run's interfaces: append-only, one appender (the capture thread). A reader may look up an
 * index that came with a packet without locks: entries never move, and handing over the batch
 * orders the writes before it.
 */
#define CW_IFACES_BLOCK 256u
#define CW_IFACES_BLOCKS_MAX 4096u

/* Bytes of options, blocks and long names that a run keeps. Beyond, options and blocks are left out
 * and counted, and names are truncated to CW_NAME_BYTES. */
#define CW_DESCRIBED_BYTES_MAX ((size_t)64 << 20)
#define CW_NAME_BYTES 256u

struct cw_ifaces {
	/* owner: the appender */
	uint32_t count;
	size_t described_bytes;         /* options, blocks and long names */
	struct cw_described *described; /* all, newest first */
	struct cw_section *sections;    /* all, newest first */
	uint32_t kept_count;            /* blocks that outputs copy */
	struct cw_block **kept[CW_IFACES_BLOCKS_MAX];
	struct cw_iface *blocks[CW_IFACES_BLOCKS_MAX];
};

void cw_ifaces_init(struct cw_ifaces *ifaces);
void cw_ifaces_fini(struct cw_ifaces *ifaces);
/* Fills memory for `bytes` of options, owned by the table. Returns 0, -ENOMEM, or -ENOSPC: too many
 * bytes. */
int cw_ifaces_describe(struct cw_ifaces *ifaces, size_t bytes, struct cw_described **described);
/* Adds a section, whose blocks follow. NULL: no memory. */
struct cw_section *cw_ifaces_add_section(struct cw_ifaces *ifaces);
/* Fills a block with room for `block->bytes` bytes and the other fields of `block`. Returns 0,
 * -ENOMEM, or -ENOSPC: too many. Readers find it at index kept_count - 1, as interfaces. */
int cw_ifaces_add_block(struct cw_ifaces *ifaces, const struct cw_block *block,
			struct cw_block **added);
/* Takes the last block away again. */
void cw_ifaces_drop_block(struct cw_ifaces *ifaces);
/* Copies *iface, takes its two strings on success. Returns the index, -ENOMEM, or -ENOSPC. */
int64_t cw_ifaces_add(struct cw_ifaces *ifaces, const struct cw_iface *iface);

static inline const struct cw_iface *cw_ifaces_at(const struct cw_ifaces *ifaces, uint32_t index)
{
	return &ifaces->blocks[index / CW_IFACES_BLOCK][index % CW_IFACES_BLOCK];
}

static inline const struct cw_block *cw_ifaces_block(const struct cw_ifaces *ifaces, uint32_t index)
{
	return ifaces->kept[index / CW_IFACES_BLOCK][index % CW_IFACES_BLOCK];
}

/* Returns a pcapng timestamp in nanoseconds: the general case, any resolution and offset. Sets
 * CW_PACKET_TS_OUT_OF_RANGE in *flags and returns 0 if 64 bits cannot hold it. */
uint64_t cw_iface_time(const struct cw_iface *iface, uint64_t units, uint32_t *flags);

static inline const struct cw_described *cw_iface_section_options(const struct cw_iface *iface)
{
	return iface->section ? iface->section->options : NULL;
}

/* Whether a pcap record has its two lengths in the order before version 2.3. */
enum cw_swapped_lengths {
	CW_LENGTHS_IN_ORDER,
	CW_LENGTHS_SWAPPED,       /* 2.0 to 2.2, and 543.0 */
	CW_LENGTHS_MAYBE_SWAPPED, /* 2.3: swapped if caplen > len */
};

/* Layout of a span's records: all that decoding needs, without the parser. */
struct cw_layout {
	uint8_t is_pcapng;
	uint8_t is_ring;    /* records of a TPACKET_V3 kernel ring block (tpacket.h) */
	uint8_t is_frames;  /* data is struct cw_frame, pointing at frames (live_parts.h) */
	uint8_t is_swapped; /* the file's byte order is not this machine's */
	uint8_t has_swapped_lengths; /* pcap up to 2.3: enum cw_swapped_lengths */
	uint8_t record_header_bytes; /* pcap: 16, or 24 (Kuznetzov) */
	uint32_t ts_unit_ns;         /* pcap: 1 or 1000 */
	uint32_t iface_base;         /* index of the section's interface 0 */
	uint32_t iface_count;        /* interfaces of the section so far */
	uint32_t caplen_max;         /* pcap: longest capture length; longer is damage */
	uint32_t caplen_cut; /* pcap, ring, frames: most bytes handed out a packet (snaplen) */
	uint32_t block_end;  /* blocks that the run had kept when the span was read */
	const struct cw_section *section; /* pcapng: the section of the span */
	const struct cw_ifaces *ifaces;
};

/* A run of complete records in one piece of memory. */
struct cw_span {
	const uint8_t *data;
	size_t bytes;
	uint32_t record_count; /* packet records (well-formed or not) */
	uint64_t offset;       /* offset of data[0] in the (uncompressed) input */
	struct cw_layout layout;
};

/*
 * The memory of spans: a mapped window of a file, a buffer, a kernel ring block. References are
 * counted; giving back the last one releases the memory. `release` may run on any thread.
 */
struct cw_window {
	_Atomic uint32_t references;
	_Atomic bool is_damaged;     /* the mapped file shrank; zeros replace its bytes */
	_Atomic uint64_t intact_end; /* offset in the input of the first such zero, or max */
	const uint8_t *data;
	size_t bytes;
	uint64_t offset; /* offset of data[0] in the input */
	int fd;          /* mapped file; -1: buffer */
	void (*release)(struct cw_window *window);
	void *owner;
};

struct cw_lease {
	struct cw_window *window; /* NULL: nothing to give back */
};

/* Give a span's memory back; any thread, exactly once; a zeroed lease is accepted. */
void cw_lease_give_back(struct cw_lease *lease);

/*
 * The number of leading bytes of the span that are the file's. Less than span->bytes only if the
 * mapped file was truncated since it was opened, when its length was fixed. Costs one fstat for
 * mapped windows, nothing for buffers. Call after the last read of the span's memory.
 */
size_t cw_lease_intact_bytes(const struct cw_lease *lease, const struct cw_span *span);

/* Position of decoding in a span. Zero-initialise to start. */
struct cw_cursor {
	size_t offset;
};

/*
 * Decode up to `capacity` next packets of the span into `packets` (fills). Non-packet blocks are
 * skipped. Returns the number decoded; 0 at the span's end. Never reads outside the span, even if
 * the bytes changed since the scan; a record that no longer fits ends the span there.
 */
size_t cw_span_decode(const struct cw_span *span, struct cw_cursor *cursor,
		      struct cw_packet *packets, size_t capacity);

#endif
