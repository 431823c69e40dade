// SPDX-License-Identifier: BSD-3-Clause
// Reads a pcap file in memory: splitting into spans, splitting and decoding, pcap_next_ex.
#include <memory>

#include <benchmark/benchmark.h>

#include "bench/micro/subject.h"

namespace
{

const char *const kProfiles[] = {"small", "imix", "large"};
constexpr uint32_t kPackets = 200000;

void run(benchmark::State &state, int64_t (*read)(const subject_file *))
{
	const char *profile = kProfiles[state.range(0)];
	std::unique_ptr<subject_file, void (*)(subject_file *)> file(
	    subject_file_make(profile, kPackets), subject_file_free);

	state.SetLabel(profile);
	if (!file) {
		state.SkipWithError("no data set");
		return;
	}
	for (auto _ : state) {
		if (read(file.get()) != kPackets) {
			state.SkipWithError("packets are missing");
			return;
		}
	}
	state.SetItemsProcessed(state.iterations() * kPackets);
	state.SetBytesProcessed(state.iterations() *
				static_cast<int64_t>(subject_file_bytes(file.get())));
}

} // namespace

BENCHMARK_CAPTURE(run, scan, subject_scan)->DenseRange(0, 2)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, decode, subject_decode)->DenseRange(0, 2)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, handle_next, subject_handle_next)
    ->DenseRange(0, 2)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, handle_read, subject_handle_read)
    ->DenseRange(0, 2)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, handle_burst, subject_handle_burst)
    ->DenseRange(0, 2)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, libpcap, subject_libpcap_read)
    ->DenseRange(0, 2)
    ->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
