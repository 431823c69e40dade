/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Link types. On Linux, LINKTYPE_ and DLT_ values are equal except the five below; a test compares
 * all of them with the system's libpcap. Files hold either value of these five.
 */
#include "core/packet/linktype.h"

#define LINKTYPE_ENC 109u

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <linux/if_arp.h>
#include <pcap/pcap.h>

#include "core/packet/packet.h"

#define LINKTYPE_IEEE802_11 105u
#define LINKTYPE_PRISM_HEADER 119u
#define LINKTYPE_IEEE802_11_RADIOTAP 127u
#define LINKTYPE_DBUS 231u
#define LINKTYPE_USBPCAP 249u
#define LINKTYPE_EBHSCR 279u

static const struct {
	uint32_t linktype;
	int dlt;
} differing[] = {
    {100, 11}, /* ATM RFC 1483 */
    {101, 12}, /* raw IP */
    {102, 15}, /* SLIP, BSD/OS */
    {103, 16}, /* PPP, BSD/OS */
    {106, 19}, /* Linux Classical IP over ATM */
};

int cw_linktype_to_dlt(uint32_t linktype)
{
	for (size_t i = 0; i < CW_ARRAY_COUNT(differing); i++)
		if (differing[i].linktype == linktype)
			return differing[i].dlt;
	return (int)linktype;
}

uint32_t cw_linktype_from_dlt(int dlt)
{
	for (size_t i = 0; i < CW_ARRAY_COUNT(differing); i++)
		if (differing[i].dlt == dlt)
			return differing[i].linktype;
	return (uint32_t)dlt;
}

uint32_t cw_linktype_canonical(uint32_t linktype)
{
	return cw_linktype_from_dlt((int)linktype);
}

static const struct {
	uint16_t hardware_type;
	uint16_t linktype;
} raw_sockets[] = {
    {ARPHRD_ETHER, CW_LINKTYPE_ETHERNET},
    {ARPHRD_LOOPBACK, CW_LINKTYPE_ETHERNET},
    {ARPHRD_NONE, CW_LINKTYPE_RAW}, /* tun */
    {ARPHRD_RAWIP, CW_LINKTYPE_RAW},
    {ARPHRD_IEEE80211, LINKTYPE_IEEE802_11},
    {ARPHRD_IEEE80211_PRISM, LINKTYPE_PRISM_HEADER},
    {ARPHRD_IEEE80211_RADIOTAP, LINKTYPE_IEEE802_11_RADIOTAP},
};

int64_t cw_linktype_from_hardware(uint16_t hardware_type)
{
	for (size_t i = 0; i < CW_ARRAY_COUNT(raw_sockets); i++)
		if (raw_sockets[i].hardware_type == hardware_type)
			return raw_sockets[i].linktype;
	return -EPROTONOSUPPORT;
}

const char *cw_linktype_name(uint32_t linktype, char *buffer, size_t buffer_bytes)
{
	const char *name = pcap_datalink_val_to_name(cw_linktype_to_dlt(linktype));

	if (name)
		return name;
	snprintf(buffer, buffer_bytes, "LINKTYPE_%u", linktype);
	return buffer;
}

const char *cw_linktype_description(uint32_t linktype)
{
	const char *description = pcap_datalink_val_to_description(cw_linktype_to_dlt(linktype));

	return description ? description : "";
}

int64_t cw_linktype_from_name(const char *name)
{
	int dlt = pcap_datalink_name_to_val(name);
	unsigned long value;
	char *end;

	if (dlt >= 0)
		return cw_linktype_from_dlt(dlt);
	if (!isdigit((unsigned char)name[0]))
		return -EINVAL;
	errno = 0;
	value = strtoul(name, &end, 10);
	if (errno || *end || value > UINT16_MAX)
		return -EINVAL;
	return cw_linktype_canonical((uint32_t)value);
}

uint32_t cw_linktype_caplen_max(uint32_t linktype)
{
	switch (linktype) {
	case LINKTYPE_DBUS:
		return UINT32_C(128) << 20;
	case LINKTYPE_EBHSCR:
		return UINT32_C(8) << 20;
	case LINKTYPE_USBPCAP:
		return UINT32_C(1) << 20;
	default:
		return CW_CAPLEN_MAX;
	}
}

bool cw_linktype_has_file_order(uint32_t linktype)
{
	return linktype == CW_LINKTYPE_NULL || linktype == LINKTYPE_ENC;
}
