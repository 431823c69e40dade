/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/decode/dns.h"

#include <errno.h>

#define NAME_BYTES_MAX 255u /* bytes of a name on the wire, with its zero */
#define POINTER 0xc0u

void cw_dns_begin(struct cw_dns_reader *reader, const uint8_t *data, const struct cw_layer *layer)
{
	*reader = (struct cw_dns_reader){
	    .message = data + layer->offset,
	    .bytes = layer->header_bytes + layer->payload_bytes,
	    .at = layer->header_bytes,
	    .left = {layer->dns.question_count, layer->dns.answer_count, layer->dns.authority_count,
		     layer->dns.additional_count}};
}

/* Write a label's bytes as text; returns the end of the text. */
static char *put_label(char *text, const uint8_t *label, uint32_t bytes)
{
	for (uint32_t i = 0; i < bytes; i++) {
		uint8_t byte = label[i];

		if (byte <= ' ' || byte > '~') {
			*text++ = '\\';
			*text++ = (char)('0' + byte / 100);
			*text++ = (char)('0' + byte / 10 % 10);
			*text++ = (char)('0' + byte % 10);
			continue;
		}
		if (byte == '.' || byte == '\\')
			*text++ = '\\';
		*text++ = (char)byte;
	}
	return text;
}

/* 254 bytes at four characters, and a dot in place of each length but the first. */
static_assert(4 * (NAME_BYTES_MAX - 1) + 1 <= CW_DNS_NAME_BYTES, "room for the longest name");

int64_t cw_dns_name(const struct cw_dns_reader *reader, uint32_t offset, char *text)
{
	const uint8_t *message = reader->message;
	uint32_t at = offset, lowest = offset, name_bytes = 1;
	const char *start = text;
	int64_t behind = -1;

	while (at < reader->bytes && message[at]) {
		uint32_t length = message[at];

		if (length >= POINTER) {
			if (reader->bytes - at < 2)
				return -EBADMSG;
			if (behind < 0)
				behind = at + 2;
			at = cw_load_be16(message + at) & 0x3fffu;
			if (at >= lowest)
				return -EBADMSG;
			lowest = at;
			continue;
		}
		name_bytes += length + 1;
		if (length > 63 || length >= reader->bytes - at || name_bytes > NAME_BYTES_MAX)
			return -EBADMSG;
		if (text != start)
			*text++ = '.';
		text = put_label(text, message + at + 1, length);
		at += 1 + length;
	}
	if (at >= reader->bytes)
		return -EBADMSG;
	*text = '\0';
	return behind < 0 ? (int64_t)at + 1 : behind;
}

static int read_record(struct cw_dns_reader *reader, struct cw_dns_record *record)
{
	uint32_t fixed_bytes = record->section == CW_DNS_QUESTION ? 4 : 10;
	int64_t at = cw_dns_name(reader, reader->at, record->name);
	const uint8_t *fixed;

	if (at < 0 || reader->bytes - (uint32_t)at < fixed_bytes)
		return -EBADMSG;
	fixed = reader->message + at;
	record->type = cw_load_be16(fixed);
	record->class = cw_load_be16(fixed + 2);
	record->ttl = 0;
	record->data_offset = (uint32_t)at + fixed_bytes;
	record->data_bytes = 0;
	if (record->section != CW_DNS_QUESTION) {
		record->ttl = cw_load_be32(fixed + 4);
		record->data_bytes = cw_load_be16(fixed + 8);
		if (record->data_bytes > reader->bytes - record->data_offset)
			return -EBADMSG;
	}
	reader->at = record->data_offset + record->data_bytes;
	return 1;
}

int cw_dns_next(struct cw_dns_reader *reader, struct cw_dns_record *record)
{
	uint8_t section = 0;
	int result;

	while (section < CW_DNS_SECTION_COUNT && !reader->left[section])
		section++;
	if (section == CW_DNS_SECTION_COUNT)
		return 0;
	record->section = section;
	result = read_record(reader, record);
	if (result == 1)
		reader->left[section]--;
	return result;
}
