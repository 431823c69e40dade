/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What must hold for any bytes whatever: layers lie inside of the packet and behind each other, the
 * chosen layers are the same layers, the fast flow is the slow one, reading DNS ends. The packet is
 * copied to memory of exactly its size, so that the address sanitizer sees any byte read too many.
 * Returns NULL, or what does not hold.
 */
#ifndef CW_TESTS_RIG_DECODE_CHECK_H
#define CW_TESTS_RIG_DECODE_CHECK_H

#include <stdlib.h>

#include "core/decode/decode.h"
#include "core/decode/dns.h"
#include "core/decode/flow.h"

static inline const char *check_layers(const struct cw_layers *layers, uint32_t caplen)
{
	uint32_t at = 0, end = caplen, tunnel = 0, index;

	if (layers->count > CW_LAYERS_MAX || layers->padding_bytes > caplen ||
	    (layers->count == 0) != (caplen == 0))
		return "counts";
	for (index = 0; index < layers->count; index++) {
		const struct cw_layer *layer = &layers->at[index];
		bool is_last = index == layers->count - 1;

		if (layer->offset < at || layer->offset > end ||
		    layer->header_bytes > end - layer->offset ||
		    layer->payload_bytes > end - layer->offset - layer->header_bytes)
			return "a layer leaves its place";
		if (layer->type == CW_LAYER_NONE || layer->type >= CW_LAYER_COUNT)
			return "no such type";
		if (layer->tunnel < tunnel || layer->tunnel > CW_TUNNELS_MAX)
			return "tunnels";
		if ((layer->type == CW_LAYER_FAILURE || layer->type == CW_LAYER_PAYLOAD ||
		     layer->type == CW_LAYER_FRAGMENT) &&
		    (layer->header_bytes || !is_last))
			return "a rest that is none";
		if (is_last && layer->header_bytes && layer->payload_bytes &&
		    layer->type != CW_LAYER_DNS)
			return "bytes that are in no layer";
		tunnel = layer->tunnel;
		at = layer->offset + layer->header_bytes;
		end = at + layer->payload_bytes;
	}
	return NULL;
}

static inline const char *check_dns(const uint8_t *data, const struct cw_layer *layer)
{
	struct cw_dns_record record;
	struct cw_dns_reader reader;
	uint32_t count = 0, at = 12;
	int result;

	cw_dns_begin(&reader, data, layer);
	while ((result = cw_dns_next(&reader, &record)) == 1) {
		if (reader.at <= at || reader.at > reader.bytes ||
		    record.data_offset + record.data_bytes > reader.bytes ||
		    strlen(record.name) >= CW_DNS_NAME_BYTES)
			return "a DNS record leaves its message";
		at = reader.at;
		count++;
	}
	if (result == 0 && count != (uint32_t)layer->dns.question_count + layer->dns.answer_count +
					layer->dns.authority_count + layer->dns.additional_count)
		return "DNS records are missing";
	return NULL;
}

/* Whether what was chosen is what stands in `layers`; `left_out` was not chosen. */
static inline const char *check_chosen(const uint8_t *data, uint32_t caplen, uint32_t linktype,
				       const struct cw_layers *layers, unsigned left_out)
{
	static struct cw_layer room[CW_LAYER_COUNT];
	struct cw_chosen chosen = {0};
	uint8_t last[CW_LAYER_COUNT] = {0};
	uint32_t type, index, wanted = 0;

	for (type = 0; type < CW_LAYER_COUNT; type++)
		if (type != left_out)
			chosen.at[type] = &room[type];
	cw_decode_chosen(data, caplen, linktype, &chosen);
	while (wanted < layers->count && layers->at[wanted].type != left_out &&
	       layers->at[wanted].type != CW_LAYER_FAILURE)
		wanted++;
	if (chosen.count != wanted)
		return "another number of chosen layers";
	if (wanted == layers->count) {
		if (chosen.next != CW_LAYER_NONE)
			return "chosen layers stop too early";
	} else if (chosen.next == left_out && layers->at[wanted].type == CW_LAYER_FAILURE &&
		   layers->at[wanted].failure.type == left_out) {
		return NULL; /* nobody found out that it cannot be decoded */
	} else if (chosen.next != layers->at[wanted].type) {
		return "chosen layers stop at another one";
	} else if (chosen.next == CW_LAYER_FAILURE &&
		   (chosen.failure.type != layers->at[wanted].failure.type ||
		    chosen.failure.error != layers->at[wanted].failure.error)) {
		return "another failure";
	}
	for (index = 0; index < wanted; index++) {
		if (chosen.order[index] != layers->at[index].type)
			return "another order";
		last[chosen.order[index]] = (uint8_t)(index + 1);
	}
	for (type = 0; type < CW_LAYER_COUNT; type++) {
		const struct cw_layer *layer = last[type] ? &layers->at[last[type] - 1] : NULL;

		/* A failed step has overwritten its room. */
		if (layer && room[type].type != CW_LAYER_FAILURE &&
		    (room[type].offset != layer->offset || room[type].flags != layer->flags ||
		     room[type].header_bytes != layer->header_bytes ||
		     room[type].payload_bytes != layer->payload_bytes))
			return "another layer";
	}
	return NULL;
}

/* `left_out`: a layer type that is not to be chosen the second time. */
static inline const char *check_packet(const uint8_t *data, uint32_t caplen, uint32_t linktype,
				       unsigned left_out)
{
	uint8_t *copy = malloc(caplen ? caplen : 1);
	struct cw_packet packet = {.data = copy, .caplen = caplen, .wire_len = caplen};
	struct cw_layers *layers = aligned_alloc(CW_CACHE_LINE, sizeof(*layers));
	struct cw_flow fast, slow;
	const char *wrong;
	uint32_t index;

	if (!copy || !layers)
		abort();
	memset(&fast, 0xee, sizeof(fast));
	memset(layers, 0xee, sizeof(*layers));
	if (caplen)
		memcpy(copy, data, caplen);
	cw_decode_layers(copy, caplen, linktype, layers);
	wrong = check_layers(layers, caplen);
	for (index = 0; index < layers->count && !wrong; index++)
		if (layers->at[index].type == CW_LAYER_DNS)
			wrong = check_dns(copy, &layers->at[index]);
	if (!wrong)
		wrong = check_chosen(copy, caplen, linktype, layers, CW_LAYER_COUNT);
	if (!wrong)
		wrong = check_chosen(copy, caplen, linktype, layers, left_out);
	cw_decode_flows(&packet, 1, linktype, 7, &fast);
	cw_decode_flow_slowly(&packet, linktype, 7, &slow);
	if (!wrong && memcmp(&fast, &slow, sizeof(fast)) != 0)
		wrong = "the fast flow is not the slow one";
	free(layers);
	free(copy);
	return wrong;
}

#endif
