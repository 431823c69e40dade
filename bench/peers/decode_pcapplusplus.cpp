// SPDX-License-Identifier: BSD-3-Clause
// decode_pcapplusplus FILE PACKETS ROUNDS: PcapPlusPlus over packets in memory, all layers and, for
// the parser's phase, those up to the transport, which are the ones chosen there. Two lines of
// JSON.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <Packet.h>
#include <RawPacket.h>
#include <pcap/pcap.h>

static void measure(const std::vector<std::vector<uint8_t>> &packets, const char *phase,
		    long rounds, pcpp::OsiModelLayer until)
{
	std::vector<double> times;
	size_t layers = 0;

	for (long round = 0; round <= rounds; round++) {
		const auto start = std::chrono::steady_clock::now();
		layers = 0;
		for (const auto &data : packets) {
			pcpp::RawPacket raw(data.data(), static_cast<int>(data.size()), timespec{},
					    false, pcpp::LINKTYPE_ETHERNET);
			const pcpp::Packet packet(&raw, false, pcpp::UnknownProtocol, until);
			for (const pcpp::Layer *at = packet.getFirstLayer(); at;
			     at = at->getNextLayer())
				layers++;
		}
		const std::chrono::duration<double, std::nano> took =
		    std::chrono::steady_clock::now() - start;
		if (round)
			times.push_back(took.count() / static_cast<double>(packets.size()));
	}
	std::sort(times.begin(), times.end());
	std::printf("{\"program\": \"PcapPlusPlus\", \"phase\": \"%s\", \"packets\": %zu, "
		    "\"layers\": %zu, \"errors\": 0, \"ns_per_packet\": %.1f, \"min\": %.1f, "
		    "\"max\": %.1f}\n",
		    phase, packets.size(), layers, times[times.size() / 2], times.front(),
		    times.back());
}

int main(int argc, char **argv)
{
	char text[PCAP_ERRBUF_SIZE];
	std::vector<std::vector<uint8_t>> packets;

	if (argc != 4) {
		std::fprintf(stderr, "usage: decode_pcapplusplus FILE PACKETS ROUNDS\n");
		return 2;
	}
	pcap_t *pcap = pcap_open_offline(argv[1], text);
	pcap_pkthdr *header;
	const u_char *data;
	while (pcap && packets.size() < std::strtoul(argv[2], nullptr, 10) &&
	       pcap_next_ex(pcap, &header, &data) == 1)
		packets.emplace_back(data, data + header->caplen);
	if (packets.empty()) {
		std::fprintf(stderr, "%s: no packets\n", argv[1]);
		return 1;
	}
	pcap_close(pcap);
	measure(packets, "eager", std::atol(argv[3]), pcpp::OsiModelLayerUnknown);
	measure(packets, "parser", std::atol(argv[3]), pcpp::OsiModelTransportLayer);
	return 0;
}
