// SPDX-License-Identifier: BSD-3-Clause
// Writes packets in memory to capture files, one file a thread: with the library's dumper, the
// writer of the pipeline's outputs (through the page cache and past it), and libpcap's pcap_dump.
#include <cerrno>

#include <benchmark/benchmark.h>

#include "bench/micro/folder.hpp"
#include "bench/stages/write.h"

namespace
{

constexpr uint64_t kFileBytes = 64 << 20;

void run(benchmark::State &state, cw_stage_write_way way)
{
	static const Folder folder;
	const auto packet_bytes = static_cast<uint32_t>(state.range(0));
	const auto threads = static_cast<uint32_t>(state.range(1));
	const uint64_t packets = kFileBytes / (packet_bytes + 16);
	const std::string out = folder.make("out");
	const cw_stage_write_options options = {way, out.c_str(), threads, packets, packet_bytes};
	cw_write_result result = {};
	char text[CW_STAGE_TEXT_BYTES];

	for (auto _ : state) {
		int status = cw_stage_write(&options, &result, text);

		if (status < 0) {
			state.SkipWithError(text);
			return;
		}
		state.SetIterationTime(result.time.wall_ns * 1e-9);
		cw_stage_empty(out.c_str());
	}
	state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(result.packets));
	state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(result.bytes));
	state.counters["CPU ns/packet"] = result.time.cpu_ns / static_cast<double>(result.packets);
}

void arguments(benchmark::internal::Benchmark *benchmark)
{
	for (int packet_bytes : {60, 1514})
		for (int threads : {1, 2})
			benchmark->Args({packet_bytes, threads});
	benchmark->UseManualTime()->Unit(benchmark::kMillisecond);
}

} // namespace

BENCHMARK_CAPTURE(run, dumper, CW_STAGE_DUMPER)->Apply(arguments);
BENCHMARK_CAPTURE(run, outfile, CW_STAGE_OUTFILE)->Apply(arguments);
BENCHMARK_CAPTURE(run, direct, CW_STAGE_DIRECT)->Apply(arguments);
BENCHMARK_CAPTURE(run, pcap_dump, CW_STAGE_PCAP_DUMP)->Apply(arguments);

BENCHMARK_MAIN();
