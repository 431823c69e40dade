#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""capweir split against a plain libpcap loop, the natural program (bench/peers/natural.c).

Both split the same generated files by the same filters, in turns (A B A B), after a round that
warms memory and page cache. Only the ratio within one run counts: machines differ, and one machine
differs from hour to hour. Every output file is compared byte for byte once.
"""
import os
import shutil
import tempfile

import runs


def parse_arguments():
    parser = runs.make_parser(__doc__)
    parser.set_defaults(capweir="capweir", natural="natural", dir="bench-data")
    add = parser.add_argument
    add("--profiles", default="small,imix,large", help="comma separated; also mix")
    add("--packets-scale", type=float, default=1.0, help="factor on the usual packet counts")
    add("--rounds", type=int, default=5)
    add("--threads", type=int, default=0, help="0: one for each core used")
    add("--pin-one", action="store_true", help="both on one core, with taskset")
    add("--rules", type=int, default=0,
        help="number of filters: those of filters8.txt, then generated ones")
    add("--engine", help="--filter-engine of capweir split")
    options = parser.parse_args()
    if options.rounds < 1 or options.packets_scale <= 0:
        parser.error("--rounds and --packets-scale take positive numbers")
    if not options.threads:
        options.threads = 1 if options.pin_one else len(os.sched_getaffinity(0))
    options.profiles = options.profiles.split(",")
    unknown = [name for name in options.profiles if name not in runs.PACKETS]
    if unknown:
        parser.error(f"unknown profile {unknown[0]}: use {', '.join(runs.PACKETS)}")
    return options


def bench_profile(options, profile, filters, work):
    path, packets = runs.data_set(options, profile)
    outputs = {who: os.path.join(work, who) for who in ("natural", "capweir")}
    filter_path = os.path.join(work, "filters.txt")
    runs.write_filters(filter_path, filters)
    to_run = runs.split_commands(options, path, filters, filter_path, outputs)
    found = {who: [] for who in to_run}
    for number in range(options.rounds + 1):
        for who, command in to_run.items():
            # Fresh files each time: rewriting cached pages would favour the second program. Files
            # of the last run are deleted right before this one, so that each run finds the same
            # amount of memory backed by the machine.
            for folder in outputs.values() if number > 0 else [outputs[who]]:
                shutil.rmtree(folder, ignore_errors=True)
                os.makedirs(folder)
            if not options.no_warm:
                runs.touch_free_memory(os.path.getsize(path) + runs.SPARE_BYTES)
            run = runs.measure(command, os.path.join(work, who + ".stdout"))
            if number > 0:
                found[who].append(run)
            runs.say(f"{profile} round {number}{'' if number else ' (discarded)'}: "
                     f"{who} {run['wall_s']:.3f} s, CPU {run['cpu_s']:.3f} s")
        if number == 0:
            output_bytes = runs.compare_outputs(outputs, len(filters))
    result = {who: runs.summarise(found[who]) for who in found}
    result.update(profile=profile, packets=packets, input_bytes=os.path.getsize(path),
                  output_bytes=output_bytes, identical=True,
                  wall_ratio=result["natural"]["wall_s"] / result["capweir"]["wall_s"],
                  cpu_ratio=result["natural"]["cpu_s"] / max(result["capweir"]["cpu_s"], 1e-6))
    return result


def print_table(report):
    facts = report["machine"]
    print(f"{facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, "
          f"{facts['memory_gib']} GiB, load {facts['load']:.1f}")
    print(f"{report['filters']} filters, {report['threads']} threads, seed {runs.SEED}, medians of "
          f"{report['rounds']} rounds{', one core' if report['pin_one'] else ''}")
    print(f"{'profile':8} {'in GB':>6} {'out GB':>6} {'natural s (min-max)':>22} "
          f"{'capweir s (min-max)':>22} {'ratio':>6} {'CPU s':>13} {'ratio':>6} {'anon MiB':>8}")
    for row in report["results"]:
        spans = [f"{run['wall_s']:.3f} ({run['wall_min_s']:.3f}-{run['wall_max_s']:.3f})"
                 for run in (row["natural"], row["capweir"])]
        cpu = f"{row['natural']['cpu_s']:.2f} / {row['capweir']['cpu_s']:.2f}"
        print(f"{row['profile']:8} {row['input_bytes'] / 1e9:6.2f} {row['output_bytes'] / 1e9:6.2f}"
              f" {spans[0]:>22} {spans[1]:>22} {row['wall_ratio']:5.1f}x {cpu:>13}"
              f" {row['cpu_ratio']:5.1f}x {row['capweir']['anon_kib'] / 1024:8.1f}")
    print("all output files identical")


def main():
    options = parse_arguments()
    os.makedirs(options.dir, exist_ok=True)
    filters = runs.make_filters(options.rules)
    if not options.no_warm:
        runs.say("warming memory")
        runs.warm_memory(options.dir)
    report = {"machine": runs.machine_facts(), "filters": len(filters), "threads": options.threads,
              "rounds": options.rounds, "seed": runs.SEED, "pin_one": options.pin_one,
              "results": []}
    with tempfile.TemporaryDirectory(prefix="split-", dir=options.dir) as work:
        for profile in options.profiles:
            report["results"].append(bench_profile(options, profile, filters, work))
    if options.json:
        runs.print_json(report)
    else:
        print_table(report)


if __name__ == "__main__":
    main()
