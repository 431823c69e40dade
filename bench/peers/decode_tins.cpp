// SPDX-License-Identifier: BSD-3-Clause
// decode_tins FILE PACKETS ROUNDS: libtins over packets in memory. A line of JSON.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <pcap/pcap.h>
#include <tins/tins.h>

int main(int argc, char **argv)
{
	char text[PCAP_ERRBUF_SIZE];
	std::vector<std::vector<uint8_t>> packets;
	std::vector<double> times;
	size_t layers = 0, errors = 0;

	if (argc != 4) {
		std::fprintf(stderr, "usage: decode_tins FILE PACKETS ROUNDS\n");
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
	for (long round = 0; round <= std::atol(argv[3]); round++) {
		const auto start = std::chrono::steady_clock::now();
		layers = errors = 0;
		for (const auto &packet : packets) {
			try {
				Tins::EthernetII frame(packet.data(),
						       static_cast<uint32_t>(packet.size()));
				for (const Tins::PDU *at = &frame; at; at = at->inner_pdu())
					layers++;
			} catch (const std::exception &) {
				errors++;
			}
		}
		const std::chrono::duration<double, std::nano> took =
		    std::chrono::steady_clock::now() - start;
		if (round)
			times.push_back(took.count() / static_cast<double>(packets.size()));
	}
	std::sort(times.begin(), times.end());
	std::printf("{\"program\": \"libtins\", \"phase\": \"eager\", \"packets\": %zu, "
		    "\"layers\": %zu, \"errors\": %zu, \"ns_per_packet\": %.1f, \"min\": %.1f, "
		    "\"max\": %.1f}\n",
		    packets.size(), layers, errors, times[times.size() / 2], times.front(),
		    times.back());
	return 0;
}
