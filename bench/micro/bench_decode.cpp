// SPDX-License-Identifier: BSD-3-Clause
// Decodes generated packets in memory: all layers, chosen layers, flows, TCP streams, and, as the
// limit, a minimal hand-written decoder with and without a flow hash. 4,000 packets stay in the
// cache, 200,000 do not.
#include <map>
#include <memory>

#include <benchmark/benchmark.h>

#include "bench/micro/subject.h"

namespace
{

const char *const kProfiles[] = {"small", "imix", "large"};

void run(benchmark::State &state, int64_t (*decode)(subject_packets *))
{
	const char *profile = kProfiles[state.range(0)];
	const auto packets = static_cast<uint32_t>(state.range(1));
	std::unique_ptr<subject_packets, void (*)(subject_packets *)> subject(
	    subject_packets_make(profile, packets), subject_packets_free);

	state.SetLabel(profile);
	if (!subject) {
		state.SkipWithError("no data set");
		return;
	}
	for (auto _ : state)
		benchmark::DoNotOptimize(decode(subject.get()));
	state.SetItemsProcessed(state.iterations() * packets);
	state.counters["ns/packet"] =
	    benchmark::Counter(static_cast<double>(state.iterations()) * packets * 1e-9,
			       benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void arguments(benchmark::internal::Benchmark *benchmark)
{
	for (int profile : {0, 1, 2})
		for (int packets : {4000, 200000})
			benchmark->Args({profile, packets});
}

} // namespace

BENCHMARK_CAPTURE(run, minimal, subject_packets_minimal)->Apply(arguments);
BENCHMARK_CAPTURE(run, minimal_flows, subject_packets_minimal_flows)->Apply(arguments);
BENCHMARK_CAPTURE(run, flows, subject_packets_flows)->Apply(arguments);
BENCHMARK_CAPTURE(run, layers, subject_packets_layers)->Apply(arguments);
BENCHMARK_CAPTURE(run, chosen, subject_packets_chosen)->Apply(arguments);
BENCHMARK_CAPTURE(run, streams, subject_packets_streams)->Apply(arguments);

BENCHMARK_MAIN();
