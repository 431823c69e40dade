/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The questions and records of a DNS message, one at a time. Names are followed through compression
 * pointers; each pointer must lead further back than the last, so that reading a name ends. A name
 * longer than 255 bytes on the wire is an error, as in RFC 1035.
 */
#ifndef CW_CORE_DECODE_DNS_H
#define CW_CORE_DECODE_DNS_H

#include "core/decode/layer.h"

/* A name as text: at most four characters a byte (\ddd), and the NUL. */
#define CW_DNS_NAME_BYTES 1024u

enum cw_dns_section {
	CW_DNS_QUESTION,
	CW_DNS_ANSWER,
	CW_DNS_AUTHORITY,
	CW_DNS_ADDITIONAL,
	CW_DNS_SECTION_COUNT,
};

struct cw_dns_record {
	uint8_t section; /* enum cw_dns_section */
	uint16_t type, class;
	uint32_t ttl;         /* 0 for questions */
	uint32_t data_offset; /* offset of the record's data in the message */
	uint16_t data_bytes;
	char name[CW_DNS_NAME_BYTES]; /* without the last dot; the root is "" */
};

struct cw_dns_reader {
	const uint8_t *message;
	uint32_t bytes; /* bytes present */
	uint32_t at;
	uint16_t left[CW_DNS_SECTION_COUNT];
};

/* Begin to read the message of a DNS layer of the packet at `data` (keeps while reading). */
void cw_dns_begin(struct cw_dns_reader *reader, const uint8_t *data, const struct cw_layer *layer);

/* Read the next question or record (fills). 1; 0 after the last; -EBADMSG, then for all later calls
 * too, if the message ends early or has an impossible name. */
int cw_dns_next(struct cw_dns_reader *reader, struct cw_dns_record *record);

/* Write the name at `offset` of the message as text (fills `text`, CW_DNS_NAME_BYTES of room): dots
 * and backslashes inside labels get a backslash, bytes that are not printable ASCII become \ddd.
 * Returns the offset after the name, or -EBADMSG. */
int64_t cw_dns_name(const struct cw_dns_reader *reader, uint32_t offset, char *text);

#endif
