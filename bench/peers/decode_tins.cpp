// SPDX-License-Identifier: BSD-3-Clause
// decode_tins FILE PACKETS ROUNDS: decodes packets in memory with libtins. Prints a line of JSON.
#include <tins/tins.h>

#include "bench/peers/decode_rounds.hpp"

static size_t count_layers(const Bytes &packet)
{
	Tins::EthernetII frame(packet.data(), static_cast<uint32_t>(packet.size()));
	size_t layers = 0;

	for (const Tins::PDU *at = &frame; at; at = at->inner_pdu())
		layers++;
	return layers;
}

int main(int argc, char **argv)
{
	const auto packets = read_packets(argc, argv);

	measure(packets, std::atol(argv[3]), "libtins", "eager", count_layers);
	return 0;
}
