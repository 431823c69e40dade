// SPDX-License-Identifier: BSD-3-Clause
// Passes pointers from one thread to others: the pipeline's ring, and a queue with a mutex. A
// repetition passes all items and includes the negligible start and join of the threads.
#include <benchmark/benchmark.h>

#include "bench/stages/ring.h"

namespace
{

constexpr uint64_t kItems = 2000000;

void run(benchmark::State &state, cw_stage_ring_way way)
{
	const auto consumers = static_cast<uint32_t>(state.range(0));
	cw_stage_time time;
	char text[CW_STAGE_TEXT_BYTES];

	for (auto _ : state) {
		if (cw_stage_ring(way, consumers, kItems, &time, text) < 0) {
			state.SkipWithError(text);
			return;
		}
	}
	state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kItems));
}

} // namespace

BENCHMARK_CAPTURE(run, ring, CW_STAGE_RING)
    ->RangeMultiplier(2)
    ->Range(1, 4)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, mutex, CW_STAGE_MUTEX)
    ->RangeMultiplier(2)
    ->Range(1, 4)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Unit(benchmark::kMillisecond);

BENCHMARK_MAIN();
