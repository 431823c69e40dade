#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The cost of more rules: capweir split with 8, 100 and 1,000 rules, and the natural program.

Rules after the first eight match little (make_filters in runs.py), so all runs write about as many
packets. The runs take turns (8 100 1000, then 100 1000 8). The natural program needs minutes for
1,000 filters, so it runs once for each number of rules, on the first packets only. Each run gets a
fresh directory, and all are deleted at the end: ext4 is slow to create files where others were
just deleted.
"""
import os
import statistics
import tempfile

import runs


def parse_arguments():
    parser = runs.make_parser(__doc__)
    add = parser.add_argument
    add("--profile", default="imix", choices=sorted(runs.PACKETS))
    add("--packets-scale", type=float, default=1.0, help="factor on the usual packet counts")
    add("--natural-scale", type=float, default=0.2,
        help="further factor on them, for the natural program")
    add("--rules", default="8,100,1000", help="numbers of rules; the first is the baseline")
    add("--rounds", type=int, default=5)
    add("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    options.rules = [int(count) for count in options.rules.split(",")]
    options.pin_one = False
    options.engine = None
    return options


def run_one(options, who, count, path, work):
    """Run once in a new directory. Returns the directory and the measurement."""
    directory = tempfile.mkdtemp(prefix=f"{who}-{count}-", dir=work)
    outputs = {name: directory for name in ("capweir", "natural")}
    filters = runs.make_filters(count)
    filter_path = os.path.join(work, f"filters{count}.txt")
    runs.write_filters(filter_path, filters)
    command = runs.split_commands(options, path, filters, filter_path, outputs,
                                  options.threads)[who]
    if not options.no_warm:
        runs.touch_free_memory(os.path.getsize(path) + runs.SPARE_BYTES)
    run = runs.measure(command, os.path.join(work, "stdout"))
    runs.say(f"{count} rules: {who} {run['wall_s']:.3f} s, CPU {run['cpu_s']:.3f} s")
    return directory, run


def bench_natural(options, count, work):
    """Run both programs on the first packets; the outputs must be equal. Returns wall seconds."""
    scale = options.packets_scale
    options.packets_scale = scale * options.natural_scale
    path, _ = runs.data_set(options, options.profile)
    options.packets_scale = scale
    theirs, natural = run_one(options, "natural", count, path, work)
    walls = []
    for _ in range(options.rounds):
        ours, run = run_one(options, "capweir", count, path, work)
        walls.append(run["wall_s"])
    runs.compare_outputs({"natural": theirs, "capweir": ours}, count)
    return {"natural_wall_s": natural["wall_s"], "capweir_wall_s": statistics.median(walls)}


def main():
    options = parse_arguments()
    os.makedirs(options.dir, exist_ok=True)
    path, packets = runs.data_set(options, options.profile)
    measured = {count: [] for count in options.rules}
    with tempfile.TemporaryDirectory(prefix="rules-", dir=options.dir) as work:
        for number in range(options.rounds + 1):
            for count in runs.in_turns(options.rules, number):
                run = run_one(options, "capweir", count, path, work)[1]
                if number > 0:
                    measured[count].append(run)
        rows = [dict(rules=count, capweir=runs.summarise(measured[count]),
                     **bench_natural(options, count, work)) for count in options.rules]
    first = rows[0]["capweir"]
    for row in rows:
        row["wall_to_first"] = row["capweir"]["wall_s"] / first["wall_s"]
        row["cpu_to_first"] = row["capweir"]["cpu_s"] / first["cpu_s"]
        row["natural_ratio"] = row["natural_wall_s"] / row["capweir_wall_s"]
    report = {"machine": runs.machine_facts(), "profile": options.profile, "packets": packets,
              "natural_packets": int(packets * options.natural_scale),
              "threads": options.threads, "rounds": options.rounds, "results": rows}
    if options.json:
        runs.print_json(report)
        return
    print(f"{report['machine']['cpu']}, load {report['machine']['load']:.1f}; {packets} packets "
          f"({options.profile}), {options.threads} threads, medians of {options.rounds} rounds; "
          f"natural: {report['natural_packets']} packets")
    print(f"{'rules':>6} {'wall s (min-max)':>22} {'CPU s (min)':>13} {'system':>6} "
          f"{'wall':>7} {'CPU':>7} {'anon MiB':>8} {'natural s':>9} {'capweir s':>9} {'ratio':>7}")
    for row in rows:
        ours = row["capweir"]
        span = f"{ours['wall_s']:.3f} ({ours['wall_min_s']:.3f}-{ours['wall_max_s']:.3f})"
        cpu = f"{ours['cpu_s']:.2f} ({ours['cpu_min_s']:.2f})"
        print(f"{row['rules']:6} {span:>22} {cpu:>13} {ours['system_s']:6.2f} "
              f"{row['wall_to_first']:6.2f}x {row['cpu_to_first']:6.2f}x "
              f"{ours['anon_kib'] / 1024:8.1f} "
              f"{row['natural_wall_s']:9.2f} {row['capweir_wall_s']:9.3f} "
              f"{row['natural_ratio']:6.1f}x")


if __name__ == "__main__":
    main()
