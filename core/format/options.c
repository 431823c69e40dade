/* SPDX-License-Identifier: BSD-3-Clause */
/* The options of pcapng blocks and their values. Text and addresses have no byte order. */
#include "core/format/options.h"

#include <stdbool.h>

#define CUSTOM_TEXT 2988u
#define CUSTOM_OCTETS 2989u
#define CUSTOM_TEXT_PRIVATE 19372u
#define CUSTOM_OCTETS_PRIVATE 19373u
#define ENTERPRISE_BYTES 4u /* a custom option begins with an enterprise number */
#define FILTER_IS_BPF 1u    /* first octet of if_filter: instructions follow */
#define VERDICT_OCTETS 0u   /* first octet of epb_verdict: octets follow */
#define VERDICT_U64_MAX 2u  /* up to this first octet, 64 bits follow */
#define VERDICT_BYTES 9u

enum kind {
	UNKNOWN,
	OCTETS,
	U32,
	U64,
	TWO_U32,
	FILTER,
	VERDICT,
	CUSTOM,
	PRIVATE, /* custom, marked as not to be copied */
	OWN,     /* written by capweir itself */
};

#define KINDS_MAX 19u

static const uint8_t kinds[][KINDS_MAX] = {
    [CW_OPTIONS_SECTION] =
	{
	    [1] = OCTETS, /* comment */
	    [2] = OCTETS, /* shb_hardware */
	    [3] = OCTETS, /* shb_os */
	    [4] = OCTETS, /* shb_userappl */
	},
    [CW_OPTIONS_IFACE] =
	{
	    [1] = OCTETS, /* comment */
	    [CW_OPTION_IF_NAME] = OWN,
	    [CW_OPTION_IF_DESCRIPTION] = OWN,
	    [4] = OCTETS, /* if_IPv4addr */
	    [5] = OCTETS, /* if_IPv6addr */
	    [6] = OCTETS, /* if_MACaddr */
	    [7] = OCTETS, /* if_EUIaddr */
	    [8] = U64,    /* if_speed */
	    [CW_OPTION_IF_TSRESOL] = OWN,
	    [10] = U32,    /* if_tzone */
	    [11] = FILTER, /* if_filter */
	    [12] = OCTETS, /* if_os */
	    [CW_OPTION_IF_FCSLEN] = OCTETS,
	    [CW_OPTION_IF_TSOFFSET] = OWN,
	    [15] = OCTETS, /* if_hardware */
	    [16] = U64,    /* if_txspeed */
	    [17] = U64,    /* if_rxspeed */
	    [18] = OCTETS, /* if_iana_tzname */
	},
    [CW_OPTIONS_PACKET] =
	{
	    [1] = OCTETS,  /* comment */
	    [2] = U32,     /* epb_flags */
	    [3] = OCTETS,  /* epb_hash */
	    [4] = U64,     /* epb_dropcount */
	    [5] = U64,     /* epb_packetid */
	    [6] = U32,     /* epb_queue */
	    [7] = VERDICT, /* epb_verdict */
	    [8] = TWO_U32, /* epb_processid_threadid */
	},
    [CW_OPTIONS_NAMES] =
	{
	    [1] = OCTETS, /* comment */
	    [2] = OCTETS, /* ns_dnsname */
	    [3] = OCTETS, /* ns_dnsIP4addr */
	    [4] = OCTETS, /* ns_dnsIP6addr */
	},
    [CW_OPTIONS_SECRETS] =
	{
	    [1] = OCTETS, /* comment */
	},
    [CW_OPTIONS_STATISTICS] =
	{
	    [1] = OCTETS, /* comment */
	    [CW_OPTION_ISB_START] = TWO_U32,
	    [CW_OPTION_ISB_END] = TWO_U32,
	    [4] = U64, /* isb_ifrecv */
	    [5] = U64, /* isb_ifdrop */
	    [6] = U64, /* isb_filteraccept */
	    [7] = U64, /* isb_osdrop */
	    [8] = U64, /* isb_usrdeliv */
	},
};

/* Kinds of a fixed length. */
static const uint8_t kind_bytes[] = {[U32] = 4, [U64] = 8, [TWO_U32] = 8, [OWN] = 0};

static __attribute__((noinline)) enum kind custom_kind(uint16_t code)
{
	switch (code) {
	case CUSTOM_TEXT:
	case CUSTOM_OCTETS:
		return CUSTOM;
	case CUSTOM_TEXT_PRIVATE:
	case CUSTOM_OCTETS_PRIVATE:
		return PRIVATE;
	default:
		return UNKNOWN;
	}
}

static __attribute__((noinline)) bool can_copy_special(enum kind kind, const uint8_t *value,
						       uint16_t bytes, int is_swapped)
{
	switch (kind) {
	case FILTER:
		return bytes > 0 && !(is_swapped && value[0] == FILTER_IS_BPF);
	case VERDICT:
		if (bytes == 0)
			return false;
		if (value[0] == VERDICT_OCTETS)
			return true;
		return value[0] <= VERDICT_U64_MAX ? bytes == VERDICT_BYTES : !is_swapped;
	case CUSTOM:
		return bytes >= ENTERPRISE_BYTES;
	case UNKNOWN:
		return !is_swapped;
	default:
		return false;
	}
}

static inline bool can_copy(enum kind kind, const uint8_t *value, uint16_t bytes, int is_swapped)
{
	if (cw_likely(kind == OCTETS))
		return true;
	if (cw_likely(kind_bytes[kind]))
		return kind_bytes[kind] == bytes;
	return can_copy_special(kind, value, bytes, is_swapped);
}

/* Swaps the numbers of a copied value. The copy does not change any more, unlike the file. */
static void swap(enum kind kind, uint8_t *value, uint16_t bytes)
{
	if (kind == U32 || kind == TWO_U32 || kind == CUSTOM)
		cw_store_u32(value, cw_load_u32(value, 1));
	if (kind == TWO_U32)
		cw_store_u32(value + 4, cw_load_u32(value + 4, 1));
	if (kind == U64)
		cw_store_u64(value, cw_load_u64(value, 1));
	if (kind == VERDICT && bytes == VERDICT_BYTES && value[0] != VERDICT_OCTETS)
		cw_store_u64(value + 1, cw_load_u64(value + 1, 1));
}

/* Inlined three times: native options, which some files have in each packet, run on constants. */
static inline __attribute__((always_inline)) size_t copy(const struct cw_options *options,
							 uint8_t *to, size_t room,
							 uint64_t *left_out, const int is_swapped)
{
	const uint8_t *known = kinds[options->block];
	const uint8_t *raw = options->raw;
	size_t left = options->bytes;
	size_t used = 0;
	uint64_t refused = 0;

	while (left >= CW_OPTION_HEADER_BYTES) {
		uint16_t code = cw_load_u16(raw, is_swapped);
		uint16_t bytes = cw_load_u16(raw + 2, is_swapped);
		size_t whole = CW_OPTION_HEADER_BYTES + cw_pad4(bytes);
		const uint8_t *value = raw + CW_OPTION_HEADER_BYTES;
		enum kind kind;

		if (code == CW_OPTION_END)
			break;
		if (cw_unlikely(whole > left)) {
			refused++;
			break;
		}
		kind = cw_likely(code < KINDS_MAX) ? known[code] : custom_kind(code);
		if (cw_likely(can_copy(kind, value, bytes, is_swapped) && whole <= room - used)) {
			if (to)
				cw_option_put(to + used, code, value, bytes);
			if (to && is_swapped)
				swap(kind, to + used + CW_OPTION_HEADER_BYTES, bytes);
			used += whole;
		} else {
			refused += kind != OWN;
		}
		raw += whole;
		left -= whole;
	}
	if (left_out)
		*left_out += refused;
	return used;
}

size_t cw_options_copy(const struct cw_options *options, uint8_t *to, size_t room,
		       uint64_t *left_out)
{
	if (cw_unlikely(options->is_swapped))
		return copy(options, to, room, left_out, 1);
	if (!to)
		return copy(options, NULL, room, left_out, 0);
	return copy(options, to, room, left_out, 0);
}
