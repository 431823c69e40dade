/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An output: one rule's packets as a stream of records, divided into files. An output has two
 * sides.
 *
 *   The reserving side gives each record its place: file, offset, chunk. Only the holder of the
 *   sequencer's turn works on it, in sequence order, so the places do not depend on the number of
 *   threads. It makes no system call. (reserve.c)
 *
 *   The writing side passes complete chunks to the kernel in offset order. Each output has one
 *   writer at a time: a worker that learned of a complete chunk. (write.c)
 *
 * Chunks connect the two: the turn pushes sealed chunks to `inbox`.
 */
#ifndef CW_PIPELINE_OUTPUT_OUTPUT_H
#define CW_PIPELINE_OUTPUT_OUTPUT_H

#include "core/format/encode.h"
#include "core/packet/block_walk.h"
#include "pipeline/run/batch.h"
#include "pipeline/run/books.h"
#include "pipeline/output/files.h"
#include "pipeline/output/file_ring.h"
#include "pipeline/rules/rules.h"
#include "pipeline/rules/template.h"

/* A record this large (with its headers) gets a separate chunk instead of several of the pool's. */
#define CW_RECORD_SPLIT_MAX ((size_t)512 << 10)

enum cw_output_state {
	CW_OUTPUT_FREE,
	CW_OUTPUT_USED,
	CW_OUTPUT_LEAVING, /* its rule is gone: no more packets */
};

/* The rule's settings in the generation adopted last. Owner: the turn. (limits.c) */
struct cw_output_limits {
	uint64_t rotate_bytes;
	uint64_t rotate_records;
	uint64_t rotate_every_ns; /* in packet timestamps; 0 = not by time */
	bool is_rotate_aligned;   /* at multiples since the epoch; false: from the first packet */
	bool is_thinned;          /* samples or has limits: decided packet by packet */
	bool is_at_limit;         /* a limit is reached: nothing more is written */
	uint32_t priority;
	uint64_t sample_every;
	uint64_t packets;
	uint64_t bytes;
	uint64_t rate;
	uint64_t ring_files;
	uint64_t ring_bytes;
};

struct cw_sections {
	const struct cw_section **at;
	uint32_t count;
	uint32_t capacity;
};

/* Blocks of pcapng inputs beside packets. Owner: the turn. (blocks.h) */
struct cw_output_blocks {
	struct cw_block_place place; /* its section stays that of the last pcapng record; has_ended:
				      * the section is in `ended` or was */
	struct cw_sections ended;    /* sections whose statistics end the file */
	uint64_t copied[CW_BLOCK_KINDS];
	uint32_t dropped;          /* blocks with secrets that the rule does not keep */
	uint32_t left_out;         /* blocks that the output cannot hold; each counts once */
	uint64_t left_out_options; /* of sections, interfaces and packets; as above */
};

/* Place of the next record, and totals reserved so far. Owner: the turn. */
struct cw_output_turn {
	bool shall_rotate;           /* the next record begins a new file */
	bool is_over_share;          /* losing records to leave chunks to others; reported */
	bool has_begun;              /* the first file has begun */
	uint32_t fcs;                /* pcap: bits of the file's header for the FCS length */
	struct cw_file *file;        /* being filled; NULL before the first record */
	struct cw_chunk *open;       /* NULL: the next record starts a new chunk */
	struct cw_chunk *held_first; /* oldest full chunk gathered for a write */
	struct cw_chunk *held_last;  /* newest full chunk; linked by `queued` */
	uint64_t held_bytes;
	uint64_t offset;          /* of the next byte, in the file */
	uint64_t anchor_offset;   /* of the last record boundary reserved, in the file */
	uint64_t file_records;    /* records before the boundary, in the file */
	uint64_t file_bytes;      /* captured bytes before the boundary, in the file */
	uint64_t period_start_ns; /* timestamp of the file's first packet */
	uint64_t period_end_ns;   /* lowest timestamp of the next file */
	uint64_t matched;
	uint64_t matched_bytes; /* captured bytes, after truncation */
	uint64_t left_out[CW_LEFT_OUT_COUNT];
	uint64_t lost[CW_LOSS_COUNT]; /* without the losses of an ongoing failure */
	uint64_t retry_ns; /* CLOCK_MONOTONIC time of a failed output's next try; 0: none */
	const struct cw_batch *last_batch; /* batch of the record reserved last */
	struct cw_file *restart;           /* file without a written byte, to be filled next */
	uint32_t linktype;                 /* pcap: of the first record; CW_LINKTYPE_ANY before */
	enum cw_format format;             /* of the file: us or ns is chosen for each */
	uint32_t file_count;
	uint32_t kept_count; /* ended files from kept_first on */
	struct cw_file *files_first;
	struct cw_file *files_last;
	struct cw_file *kept_first; /* the first file that did not expire (expire.c) */
	uint64_t kept_bytes;        /* bytes of these files */
};

/* Records that differ from what their file's header or name says. Owner: the turn. */
struct cw_output_odd {
	uint64_t timestamps_truncated; /* written without their nanoseconds */
	uint64_t other_fcs;            /* of another FCS length than the header says */
	uint64_t early;                /* before the period of the file */
	uint64_t truncated;            /* to the snapshot length that the header promises */
};

/* State of a rule that samples or has limits. Owner: the turn. (limits.c) */
struct cw_output_thin {
	uint64_t taken; /* packets matched and not left out */
	uint64_t taken_bytes;
	uint64_t rate_second; /* latest second among packet timestamps */
	uint64_t rate_count;  /* packets taken in that second */
};

/*
 * Sequentially consistent unless an order is given: accessed at most once a chunk, so a weaker
 * order saves nothing. is_writing needs it, against is_aborting of the run [ABORT-1].
 */
struct cw_output_shared {
	_Atomic uint32_t state;         /* enum cw_output_state; set by the turn */
	struct cw_chunk *_Atomic inbox; /* sealed chunks, newest first */
	_Atomic uint32_t kicks;         /* requests to write since the output had a writer */
	_Atomic int failure;            /* negative errno: nothing more is reserved; 0: none */
	_Atomic uint64_t written;       /* records accepted by the kernel */
	_Atomic bool is_writing;        /* the writer uses its file, [ABORT-1] */
	_Atomic uint32_t chunks_out;    /* [RETRY-1] chunks and giants not given back yet */
	_Atomic bool is_retrying;       /* trying again after a failure, nothing written yet */
	_Atomic bool is_cut_off;        /* chunks reserved before the failure are lost too */
	_Atomic uint64_t failures;      /* of its files, also those recovered from */
	/* How the turn would encode the next records: a hint for the quick way, relaxed, written by
	 * the turn, which compares the value with the file before it takes a draft. */
	_Atomic uint64_t encoding;
};

/*
 * An encoding: the format, and for pcapng an interface of the run and its number in the file. NONE:
 * no file has begun. REFUSED: the turn decides on each record.
 */
#define CW_ENCODING_NONE UINT64_C(0)
#define CW_ENCODING_REFUSED UINT64_C(1)
#define CW_ENCODING_IS_VALID UINT64_C(2)

static inline uint64_t cw_encoding(enum cw_format format, uint32_t iface, uint32_t number)
{
	uint64_t value = CW_ENCODING_IS_VALID | (uint64_t)format << 2;

	return format == CW_FORMAT_PCAPNG ? value | (uint64_t)iface << 4 | (uint64_t)number << 32
					  : value;
}

static inline enum cw_format cw_encoding_format(uint64_t encoding)
{
	return (enum cw_format)(encoding >> 2 & 3);
}

static inline uint32_t cw_encoding_number(uint64_t encoding)
{
	return (uint32_t)(encoding >> 32);
}

/* Returns whether records of this interface of the run can be encoded so. */
static inline bool cw_encoding_is_for(uint64_t encoding, uint32_t iface)
{
	return encoding ==
		   cw_encoding(cw_encoding_format(encoding), iface, cw_encoding_number(encoding)) &&
	       encoding & CW_ENCODING_IS_VALID;
}

/* What the files of the output held that were freed or handed over (expire.c). Owner: the turn. */
struct cw_output_spent {
	uint64_t records;
	uint64_t bytes; /* captured */
	uint32_t files;
	uint32_t inherited_files;   /* whose records another output of the ring wrote */
	uint64_t inherited_records; /* in these */
	uint64_t handed_records;    /* written, in files that another output inherited */
	uint64_t handed_bytes;      /* captured, in these */
};

/* Owner: the writer (the thread that took kicks from 0 to 1). If the output failed, the turn writes
 * cause and text (cw_output_fail), and reads everything once no chunk is out ([RETRY-1]). */
struct cw_output_writer {
	struct cw_chunk *queue_first;
	struct cw_chunk *queue_last;
	struct cw_file *file;      /* NULL before the first write */
	uint64_t reported_ns;      /* CLOCK_MONOTONIC time of the last failure reported */
	bool has_reported_failure; /* reported, and the recovery not yet */
	bool has_reported_expiry;  /* reported that a file cannot be removed */
	bool is_whole;             /* at an abort: every reserved record is in its file */
	enum cw_loss failure_cause;
	char failure_text[256];
};

struct cw_output {
	/* constant while in use */
	uint32_t index;
	bool is_stream;        /* a FIFO, a device or a descriptor: its name never gets a number */
	bool is_numbered;      /* each file's name gets a number: x.00001.pcap */
	bool discards_secrets; /* of pcapng inputs */
	bool is_precision_given;    /* the user chose us or ns for pcap files */
	const struct cw_rule *rule; /* as first read; settings that may change are in `limits` */
	struct cw_template *name;
	enum cw_format format;     /* pcap: ns if the user chose it, else us; see turn.format */
	uint32_t snaplen;          /* bytes to truncate records to; UINT32_MAX = never */
	bool is_snaplen_promised;  /* the inputs' headers chose the snaplen, not the user */
	uint32_t first_number;     /* of the first file: {seq}, or the added number */
	uint64_t generation;       /* number of the rules that the output began with */
	struct cw_rule *own_rule;  /* owned; NULL: the rule is the caller's */
	struct cw_file_ring *ring; /* of its files; NULL: later runs do not know them; a reload may
				    * begin one, in the turn */

	/* owner: the reloader */
	_Alignas(CW_CACHE_LINE) uint64_t leaves_at; /* first generation without it; 0: none */
	struct cw_rule *last_rule; /* owned: the rule at its end; NULL: the rule is in force */

	/* owner: the turn; here, because the reloader writes this line once at most */
	struct cw_output_spent spent;

	/* owner: the turn */
	_Alignas(CW_CACHE_LINE) struct cw_output_limits limits;
	struct cw_output_turn turn;
	struct cw_output_blocks blocks;
	struct cw_output_thin thin;
	struct cw_output_odd odd;

	_Alignas(CW_CACHE_LINE) struct cw_output_shared shared;
	_Alignas(CW_CACHE_LINE) struct cw_output_writer writer;

	/* constant; here, because the first line is full */
	bool is_asked;  /* another process opens its files... */
	uint32_t asked; /* ...and knows the output by this number */
	uid_t owner;    /* is_asked: user that its files belong to */
	uid_t given_to; /* is_asked: user that its published files belong to */
};
CW_ASSERT_LINE(struct cw_output, leaves_at);
CW_ASSERT_LINE(struct cw_output, limits);
CW_ASSERT_LINE(struct cw_output, shared);
CW_ASSERT_LINE(struct cw_output, writer);
CW_ASSERT_BYTES(struct cw_output_limits, 80);
CW_ASSERT_BYTES(struct cw_output_turn, 280);
CW_ASSERT_BYTES(struct cw_output_thin, 32);
CW_ASSERT_BYTES(struct cw_output_shared, 64);
CW_ASSERT_BYTES(struct cw_output_writer, 296);
/* A power of two: the copying worker multiplies by it for each record. */
CW_ASSERT_BYTES(struct cw_output, 16 * CW_CACHE_LINE);

/* Stops the output with `failure` (negative errno) and a text for the user. Returns false if the
 * output had failed before: the first call counts. */
bool cw_output_fail(struct cw_output *output, int failure, bool is_rotation, const char *text);

void cw_output_fini(struct cw_output *output);

#endif
