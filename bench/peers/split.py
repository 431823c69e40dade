#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""capweir split between two baselines: a plain libpcap loop and a program for this task only.

`natural` (bench/peers/natural.c) is what one would write with libpcap; `limit` (limit.c) has the
eight filters of filters8.txt written by hand in C, so it runs with these only. All split the same
generated files, in turns whose order rotates. Before that every program runs once, which is not
measured: its output files are compared byte for byte with natural's. Only ratios within one run
count: machines differ, and one machine differs from hour to hour. --markdown prints the table of
README.md.
"""
import os
import shutil
import tempfile

import runs

TRAFFIC = {"small": "small", "imix": "imix (mixed sizes)", "large": "large", "mix": "mix"}


def parse_arguments():
    parser = runs.make_parser(__doc__)
    parser.set_defaults(capweir="capweir", natural="natural", dir="bench-data")
    add = parser.add_argument
    add("--limit", default="limit", help="the hand-written program; '': without it")
    add("--profiles", default="small,imix,large", help="comma separated; also mix")
    add("--packets-scale", type=float, default=1.0, help="factor on the usual packet counts")
    add("--rounds", type=int, default=5)
    add("--threads", default="1,2", help="of limit and capweir, comma separated")
    add("--pin-one", action="store_true", help="all on one core, with taskset")
    add("--rules", type=int, default=0,
        help="number of filters: those of filters8.txt, then generated ones")
    add("--engine", help="--filter-engine of capweir split")
    add("--markdown", action="store_true", help="the table of README.md")
    options = parser.parse_args()
    if options.rounds < 1 or options.packets_scale <= 0:
        parser.error("--rounds and --packets-scale take positive numbers")
    options.threads = [int(number) for number in options.threads.split(",")]
    options.profiles = options.profiles.split(",")
    unknown = [name for name in options.profiles if name not in runs.PACKETS]
    if unknown:
        parser.error(f"unknown profile {unknown[0]}: use {', '.join(runs.PACKETS)}")
    return options


def commands_of(options, path, filters, filter_path, folder):
    """(Program, threads) -> its command; all write to the same folder."""
    commands = {}
    for threads in options.threads:
        both = runs.split_commands(options, path, filters, filter_path,
                                   {"natural": folder, "capweir": folder}, threads)
        commands.setdefault(("natural", 1), both["natural"])
        if options.limit and filters == runs.make_filters(0):
            commands["limit", threads] = (runs.pin_of(options)
                                          + [options.limit, path, folder, str(threads)])
        commands["capweir", threads] = both["capweir"]
    return dict(sorted(commands.items(), key=lambda item: ["natural", "limit",
                                                           "capweir"].index(item[0][0])))


def run_one(options, command, folder, size):
    """Runs once into a new folder: rewriting cached pages would favour the second program."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    if not options.no_warm:
        runs.touch_free_memory(size + runs.SPARE_BYTES)
    return runs.measure(command, folder + ".stdout")


def check_outputs(options, commands, count, folder, size):
    """Compares the outputs of all programs with natural's. Returns their bytes."""
    wanted = folder + ".natural"
    for who, command in commands.items():
        runs.say(f"comparing {who[0]} -t {who[1]}")
        run_one(options, command, folder, size)
        if who[0] == "natural":
            os.rename(folder, wanted)
        else:
            total = runs.compare_outputs({"natural": wanted, "capweir": folder}, count)
    shutil.rmtree(wanted)
    return total


def bench_profile(options, profile, filters, work):
    path, packets = runs.data_set(options, profile)
    folder, size = os.path.join(work, "out"), os.path.getsize(path)
    filter_path = os.path.join(work, "filters.txt")
    runs.write_filters(filter_path, filters)
    commands = commands_of(options, path, filters, filter_path, folder)
    output_bytes = check_outputs(options, commands, len(filters), folder, size)
    found = {who: [] for who in commands}
    for number in range(options.rounds + 1):
        for who in runs.in_turns(commands, number):
            run = run_one(options, commands[who], folder, size)
            if number > 0:
                found[who].append(run)
            runs.say(f"{profile} round {number}{'' if number else ' (discarded)'}: {who[0]} -t "
                     f"{who[1]} {run['wall_s']:.3f} s, CPU {run['cpu_s']:.3f} s")
    rows = [dict(program=program, threads=threads, **runs.summarise(found[program, threads]))
            for program, threads in commands]
    return {"profile": profile, "packets": packets, "input_bytes": size,
            "output_bytes": output_bytes, "identical": True, "programs": rows}


def find(result, program, threads):
    """The row of a program with this number of threads, or None."""
    return next((row for row in result["programs"]
                 if (row["program"], row["threads"]) == (program, threads)), None)


def print_table(report):
    facts = report["machine"]
    print(f"{facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, "
          f"{facts['memory_gib']} GiB, load {facts['load']:.1f}")
    print(f"{report['filters']} filters, seed {runs.SEED}, medians (minima) of {report['rounds']} "
          f"rounds{', one core' if report['pin_one'] else ''}")
    print(f"{'profile':8} {'program':8} {'threads':>7} {'wall s (min)':>15} {'M/s':>6} "
          f"{'user s':>7} {'system':>7} {'CPU s (min)':>13} {'natural':>8} {'limit':>7} "
          f"{'anon MiB':>8}")
    for result in report["results"]:
        natural = find(result, "natural", 1)
        for row in result["programs"]:
            limit = find(result, "limit", row["threads"])
            wall = f"{row['wall_s']:.3f} ({row['wall_min_s']:.3f})"
            cpu = f"{row['cpu_s']:.2f} ({row['cpu_min_s']:.2f})"
            to_limit = f"{row['wall_s'] / limit['wall_s']:6.2f}x" if limit else "-"
            print(f"{result['profile']:8} {row['program']:8} {row['threads']:7} {wall:>15} "
                  f"{result['packets'] / row['wall_s'] / 1e6:6.1f} {row['user_s']:7.2f} "
                  f"{row['system_s']:7.2f} {cpu:>13} "
                  f"{natural['wall_s'] / row['wall_s']:7.1f}x {to_limit:>7} "
                  f"{row['anon_kib'] / 1024:8.1f}")
    print("natural: times faster than natural; limit: time divided by that of limit with as many "
          "threads\nall output files identical")


def count_text(number):
    return f"{number / 1e6:g} M" if number >= 1e5 else f"{number:,}"


def print_markdown(report):
    """The rows of README.md: medians, and the least in brackets."""
    columns = [("natural", 1)] + [(program, threads) for program in ("limit", "capweir")
                                  for threads in report["threads"]]
    names = {"natural": "libpcap", "limit": "hand-written", "capweir": "capweir"}
    heads = [f"{names[program]}{f' -t {threads}' if program != 'natural' else ''}"
             for program, threads in columns]
    print("| Traffic | " + " | ".join(heads) + " |")
    print("|---" * (1 + len(columns)) + "|")
    for result in report["results"]:
        header = 24 + 16 * result["packets"]
        mean = (result["input_bytes"] - header) / result["packets"]
        cells = []
        for who in columns:
            row = find(result, *who)
            cells.append(f"{row['wall_s']:.2f} s ({row['wall_min_s']:.2f})" if row else "")
        print(f"| {TRAFFIC[result['profile']]}, {count_text(result['packets'])} packets of "
              f"{mean:,.0f} B | " + " | ".join(cells) + " |")


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
        return
    print_table(report)
    if options.markdown:
        print_markdown(report)


if __name__ == "__main__":
    main()
