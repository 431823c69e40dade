// SPDX-License-Identifier: BSD-3-Clause
// decode_pcapplusplus FILE PACKETS ROUNDS: decodes packets in memory with PcapPlusPlus: all layers
// (phase eager), and layers up to transport (phase parser). Prints two lines of JSON.
#include <Packet.h>
#include <RawPacket.h>

#include "bench/peers/decode_rounds.hpp"

static void measure_until(const std::vector<Bytes> &packets, long rounds, const char *phase,
			  pcpp::OsiModelLayer until)
{
	measure(packets, rounds, "PcapPlusPlus", phase, [until](const Bytes &data) {
		pcpp::RawPacket raw(data.data(), static_cast<int>(data.size()), timespec{}, false,
				    pcpp::LINKTYPE_ETHERNET);
		const pcpp::Packet packet(&raw, false, pcpp::UnknownProtocol, until);
		size_t layers = 0;

		for (const pcpp::Layer *at = packet.getFirstLayer(); at; at = at->getNextLayer())
			layers++;
		return layers;
	});
}

int main(int argc, char **argv)
{
	const auto packets = read_packets(argc, argv);

	measure_until(packets, std::atol(argv[3]), "eager", pcpp::OsiModelLayerUnknown);
	measure_until(packets, std::atol(argv[3]), "parser", pcpp::OsiModelTransportLayer);
	return 0;
}
