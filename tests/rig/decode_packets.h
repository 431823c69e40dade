/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets written in hexadecimal, and what they must be decoded to: for the tests of the decoder.
 * Each packet is also cut at every length, and every cut has to keep what decode_check.h demands.
 */
#ifndef CW_TESTS_RIG_DECODE_PACKETS_H
#define CW_TESTS_RIG_DECODE_PACKETS_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/packet/linktype.h"
#include "tests/rig/decode_check.h"

#define PACKET_BYTES_MAX 4096u

#define ETH(type) "020000000001 020000000002 " type " "
#define IP4_FROM(bytes, fragment, protocol) \
	"45b8 " bytes " 1234 " fragment " 40 " protocol " abcd c0a80001 c0a80002 "
#define IP4(bytes, protocol) IP4_FROM(bytes, "4000", protocol)
#define IP6(bytes, protocol)                                                    \
	"6ab 12345 " bytes " " protocol " 3f 20010db8000000000000000000000001 " \
	"20010db8000000000000000000000002 "
#define TCP "3039 0050 00000001 00000002 5018 ffff 1111 0000 "
#define UDP(port, bytes) "3039 " port " " bytes " 2222 "

static struct cw_layers layers;
static uint8_t packet[PACKET_BYTES_MAX];
static uint32_t packet_bytes;

static inline uint32_t digits(const char *text, uint8_t *bytes)
{
	uint32_t count = 0;
	unsigned value;

	for (; *text; text++) {
		if (*text == ' ')
			continue;
		assert_int_equal(sscanf((char[]){*text, '\0'}, "%x", &value), 1);
		if (count % 2 == 0)
			bytes[count / 2] = (uint8_t)(value << 4);
		else
			bytes[count / 2] |= (uint8_t)value;
		count++;
	}
	assert_int_equal(count % 2, 0);
	return count / 2;
}

static inline void chain_text(char *text, size_t bytes)
{
	uint32_t index;
	size_t used = 0;

	text[0] = '\0';
	for (index = 0; index < layers.count; index++) {
		const struct cw_layer *layer = &layers.at[index];

		used += (size_t)snprintf(text + used, bytes - used, "%s%s%s%s%s", index ? " " : "",
					 cw_layer_name(layer->type),
					 layer->flags & CW_LAYER_TRUNCATED ? "-" : "",
					 layer->flags & CW_LAYER_BAD_OPTIONS ? "!" : "",
					 layer->flags & CW_LAYER_PIECE ? "/" : "");
		if (layer->type == CW_LAYER_FAILURE)
			used += (size_t)snprintf(text + used, bytes - used, "(%s: %s)",
						 cw_layer_name(layer->failure.type),
						 cw_layer_error_text(layer->failure.error));
	}
}

/* Decode as `linktype`; the layers must be `chain`: - truncated, ! bad options, / piece. */
static inline void expect_of(uint32_t linktype, const char *text, const char *chain)
{
	uint32_t caplen;
	char got[2048];

	packet_bytes = digits(text, packet);
	cw_decode_layers(packet, packet_bytes, linktype, &layers);
	chain_text(got, sizeof(got));
	assert_string_equal(got, chain);
	for (caplen = 0; caplen <= packet_bytes; caplen++) {
		const char *wrong = check_packet(packet, caplen, linktype, caplen % CW_LAYER_COUNT);

		if (wrong)
			fail_msg("%s, cut at %u: %s", chain, caplen, wrong);
	}
	cw_decode_layers(packet, packet_bytes, linktype, &layers);
}

static inline void expect(const char *text, const char *chain)
{
	expect_of(CW_LINKTYPE_ETHERNET, text, chain);
}

static inline const struct cw_layer *layer(enum cw_layer_type type)
{
	const struct cw_layer *found = cw_layers_find(&layers, type);

	assert_non_null(found);
	return found;
}

#endif
