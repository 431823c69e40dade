// SPDX-License-Identifier: BSD-3-Clause
// The complete pipeline: splits a generated file by 8, 100 and 1,000 filters, one file each, with
// one and two threads; and the natural program with libpcap, too slow for 1,000 filters here. The
// traffic is in memory (memfd), the outputs in TMPDIR.
#include <map>
#include <memory>

#include <benchmark/benchmark.h>

#include "bench/micro/folder.hpp"
#include "bench/stages/split.h"
#include "bench/micro/subject.h"

namespace
{

const char *const kProfiles[] = {"small", "imix", "large"};
constexpr uint32_t kPackets = 500000;

using Subject = std::unique_ptr<subject_file, void (*)(subject_file *)>;

// One file for each profile, kept: generating a file takes longer than splitting it.
const subject_file *file_of(int64_t profile)
{
	static std::map<int64_t, Subject> files;
	auto found = files.find(profile);

	if (found == files.end())
		found =
		    files
			.emplace(profile, Subject(subject_file_make(kProfiles[profile], kPackets),
						  subject_file_free))
			.first;
	return found->second.get();
}

void run(benchmark::State &state,
	 int (*split)(const cw_stage_split_options *, cw_split_result *, char *))
{
	static const Folder folder;
	const subject_file *file = file_of(state.range(0));
	const std::string out = folder.make("out");
	cw_stage_split_options options = {};
	cw_split_result result = {};
	char text[CW_STAGE_TEXT_BYTES];

	state.SetLabel(kProfiles[state.range(0)]);
	if (!file) {
		state.SkipWithError("no data set");
		return;
	}
	options.path = subject_file_path(file);
	options.folder = out.c_str();
	options.filter_count = static_cast<uint32_t>(state.range(1));
	options.threads = static_cast<uint32_t>(state.range(2));
	for (auto _ : state) {
		if (split(&options, &result, text) < 0 || result.packets != kPackets) {
			state.SkipWithError(text);
			return;
		}
		state.SetIterationTime(result.time.wall_ns * 1e-9);
		cw_stage_empty(out.c_str());
	}
	state.SetItemsProcessed(state.iterations() * kPackets);
	state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(result.bytes));
	state.counters["CPU ns/packet"] = result.time.cpu_ns / kPackets;
}

void pipeline_arguments(benchmark::internal::Benchmark *benchmark)
{
	for (int profile : {0, 1, 2})
		for (int filters : {8, 100, 1000})
			for (int threads : {1, 2})
				benchmark->Args({profile, filters, threads});
	benchmark->UseManualTime()->Unit(benchmark::kMillisecond);
}

void natural_arguments(benchmark::internal::Benchmark *benchmark)
{
	for (int profile : {0, 1, 2})
		for (int filters : {8, 100})
			benchmark->Args({profile, filters, 1});
	benchmark->UseManualTime()->Unit(benchmark::kMillisecond);
}

} // namespace

BENCHMARK_CAPTURE(run, pipeline, cw_stage_split)->Apply(pipeline_arguments);
BENCHMARK_CAPTURE(run, natural, cw_stage_split_natural)->Apply(natural_arguments);

BENCHMARK_MAIN();
