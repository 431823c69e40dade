// SPDX-License-Identifier: BSD-3-Clause
// Matches each packet against N filters: capweir's set in bursts, and libpcap's bpf_filter N times.
#include <memory>

#include <benchmark/benchmark.h>

#include "bench/micro/subject.h"

namespace
{

constexpr uint32_t kPackets = 50000;

void run(benchmark::State &state, int64_t (*match)(const subject_match *))
{
	std::unique_ptr<subject_match, void (*)(subject_match *)> subject(
	    subject_match_make("imix", kPackets, static_cast<uint32_t>(state.range(0))),
	    subject_match_free);

	if (!subject) {
		state.SkipWithError("no filters");
		return;
	}
	// Only equal results are worth comparing.
	if (subject_match_set(subject.get()) != subject_match_libpcap(subject.get())) {
		state.SkipWithError("the set and libpcap disagree");
		return;
	}
	for (auto _ : state)
		benchmark::DoNotOptimize(match(subject.get()));
	state.SetItemsProcessed(state.iterations() * kPackets);
}

} // namespace

BENCHMARK_CAPTURE(run, set, subject_match_set)
    ->Arg(1)
    ->Arg(8)
    ->Arg(100)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, libpcap, subject_match_libpcap)
    ->Arg(1)
    ->Arg(8)
    ->Arg(100)
    ->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
