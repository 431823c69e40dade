// SPDX-License-Identifier: BSD-3-Clause
// Shared by the C++ decoders. PROGRAM FILE PACKETS ROUNDS loads packets into memory, decodes them
// in rounds, of which the first does not count, and prints a line of JSON a phase.
#ifndef CW_BENCH_DECODE_ROUNDS_HPP
#define CW_BENCH_DECODE_ROUNDS_HPP

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <vector>

#include <pcap/pcap.h>

using Bytes = std::vector<uint8_t>;

// Returns the packets of the file. Exits on wrong arguments, or without packets.
inline std::vector<Bytes> read_packets(int argc, char **argv)
{
	char text[PCAP_ERRBUF_SIZE];
	std::vector<Bytes> packets;

	if (argc != 4) {
		std::fprintf(stderr, "usage: %s FILE PACKETS ROUNDS\n", argv[0]);
		std::exit(2);
	}
	pcap_t *pcap = pcap_open_offline(argv[1], text);
	pcap_pkthdr *header;
	const u_char *data;
	while (pcap && packets.size() < std::strtoul(argv[2], nullptr, 10) &&
	       pcap_next_ex(pcap, &header, &data) == 1)
		packets.emplace_back(data, data + header->caplen);
	if (packets.empty()) {
		std::fprintf(stderr, "%s: no packets\n", argv[1]);
		std::exit(1);
	}
	pcap_close(pcap);
	return packets;
}

// Measures `decode`, which returns a packet's number of layers, or throws.
template <typename Decode>
void measure(const std::vector<Bytes> &packets, long rounds, const char *program, const char *phase,
	     Decode decode)
{
	std::vector<double> times;
	size_t layers = 0, errors = 0;

	for (long round = 0; round <= rounds; round++) {
		const auto start = std::chrono::steady_clock::now();
		layers = errors = 0;
		for (const auto &packet : packets) {
			try {
				layers += decode(packet);
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
	std::printf("{\"program\": \"%s\", \"phase\": \"%s\", \"packets\": %zu, "
		    "\"layers\": %zu, \"errors\": %zu, \"ns_per_packet\": %.1f, \"min\": %.1f, "
		    "\"max\": %.1f}\n",
		    program, phase, packets.size(), layers, errors, times[times.size() / 2],
		    times.front(), times.back());
}

#endif
