/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Decodes the records of a kernel ring's block. The kernel removes a frame's outer VLAN tag and
 * stores it in the record's header. Decoding restores the tag in place, in the room that
 * PACKET_RESERVE keeps before the frame, and updates the header, so decoding again finds an
 * ordinary frame. Only the thread that decodes a record touches it, also if spans share a block.
 */
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "core/packet/linktype.h"
#include "core/source/live/tpacket_parts.h"

#define ADDRESSES_BYTES (2u * ETH_ALEN) /* the tag follows the addresses */
#define RECORD_BYTES_MIN sizeof(struct ring_record)

/* The header before each frame. */
struct ring_record {
	struct tpacket3_hdr header;
	struct sockaddr_ll address;
};

static_assert(sizeof(struct tpacket3_hdr) % TPACKET_ALIGNMENT == 0 &&
		  offsetof(struct ring_record, address) == sizeof(struct tpacket3_hdr),
	      "the address follows the header without a gap");

/* Restores the tag of the frame at record + tp_mac, whose bounds the caller has checked. */
static void put_tag_back(struct tpacket3_hdr *record)
{
	uint8_t *frame = (uint8_t *)record + record->tp_mac;
	uint16_t type = ETH_P_8021Q;

	if (record->tp_status & TP_STATUS_VLAN_TPID_VALID)
		type = record->hv1.tp_vlan_tpid;
	record->tp_status &= ~(uint32_t)(TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID);
	record->tp_len += CW_LIVE_TAG_BYTES;
	if (record->tp_snaplen < ADDRESSES_BYTES) /* truncated before the tag's place */
		return;
	frame -= CW_LIVE_TAG_BYTES;
	memmove(frame, frame + CW_LIVE_TAG_BYTES, ADDRESSES_BYTES);
	cw_store_u16(frame + ADDRESSES_BYTES, __builtin_bswap16(type));
	cw_store_u16(frame + ADDRESSES_BYTES + 2,
		     __builtin_bswap16((uint16_t)record->hv1.tp_vlan_tci));
	record->tp_mac = (uint16_t)(record->tp_mac - CW_LIVE_TAG_BYTES);
	record->tp_snaplen += CW_LIVE_TAG_BYTES;
}

/* Returns whether the frame follows the header and lies within the span, as the header does. */
static bool is_whole(const struct tpacket3_hdr *record, size_t left)
{
	return record->tp_mac >= RECORD_BYTES_MIN && record->tp_mac <= left &&
	       record->tp_snaplen <= left - record->tp_mac;
}

/* Returns whether to restore a tag. PACKET_RESERVE ensures the room; check it before writing. */
static bool has_tag(const struct tpacket3_hdr *record)
{
	return record->tp_status & TP_STATUS_VLAN_VALID &&
	       record->tp_mac >= RECORD_BYTES_MIN + CW_LIVE_TAG_BYTES;
}

size_t cw_live_decode(const struct cw_span *span, struct cw_cursor *cursor,
		      struct cw_packet *packets, size_t capacity)
{
	const uint32_t iface = span->layout.iface_base;
	const bool is_ethernet =
	    cw_ifaces_at(span->layout.ifaces, iface)->linktype == CW_LINKTYPE_ETHERNET;
	/* The kernel ring is mapped writable; spans are const for their users. */
	uint8_t *at = (uint8_t *)(uintptr_t)span->data + cursor->offset;
	const uint8_t *ahead = at;
	size_t left = span->bytes - cursor->offset;
	size_t count = 0;

	while (count < capacity && left >= RECORD_BYTES_MIN) {
		struct tpacket3_hdr *record = (struct tpacket3_hdr *)(void *)at;
		const struct sockaddr_ll *address = &((struct ring_record *)(void *)at)->address;
		struct cw_packet *packet = &packets[count];
		uint32_t next = record->tp_next_offset;

		if (cw_unlikely(!is_whole(record, left))) {
			left = 0;
			break;
		}
		ahead = cw_prefetch_ahead(ahead, at);
		if (cw_unlikely(has_tag(record)) && is_ethernet)
			put_tag_back(record);
		packet->data = at + record->tp_mac;
		packet->ts_ns = record->tp_sec * CW_NS_PER_S + record->tp_nsec;
		packet->caplen = cw_min_u32(record->tp_snaplen, span->layout.caplen_cut);
		packet->wire_len = record->tp_len;
		packet->iface = iface;
		packet->flags = address->sll_pkttype == PACKET_OUTGOING ? CW_PACKET_OUTGOING : 0;
		packet->options_bytes = 0;
		packet->carried_s = 0;
		count++;
		/* 0 after a block's last record; the kernel aligns headers to 8. */
		if (next < RECORD_BYTES_MIN || next >= left || next % 8) {
			left = 0;
			break;
		}
		at += next;
		left -= next;
	}
	if (left < RECORD_BYTES_MIN)
		left = 0;
	cursor->offset = span->bytes - left;
	return count;
}
