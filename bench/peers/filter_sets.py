#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Filter sets of every kind and size: one table of their cost, and of missed goals.

usage: filter_sets.py --bench FILTER_SET_BENCH [--json] [--rounds N] [--quick] [KIND[:N]]...

Each row is a run of filter_set_bench, where libpcap's interpreter, the walker and machine code take
turns on the same packets. Without KINDs: host, net, port and mixed from 1 to 10,000, and every
other kind at a hard size. Exit 1 if engines disagree. Missed goals are printed; with --strict they
are exit 1 too.
"""
import argparse
import json
import subprocess
import sys

import runs

SIZES = (1, 10, 100, 1000, 10000)
GROWING = ("host", "net", "port", "mixed")
# Every other kind of tests/rig/filter_sets.h, at a hard size.
SHAPES = (("tuple", 1000), ("bytes", 1000), ("ip6", 1000), ("mask", 500), ("mpls", 100),
          ("not-host", 1000), ("not-port", 1000), ("nested", 1000), ("or-hosts", 50),
          ("pairs", 1000), ("payload", 200), ("range", 1000), ("vlan", 4094), ("proto", 8),
          ("random", 1000), ("bits", 1000), ("sums", 1000), ("checks", 1000), ("ranges", 1000),
          ("len", 1000), ("one-or", 200), ("one-or", 1000),
          ("one-or-pairs", 500), ("-O one-or", 200), ("-O one-or", 1000))
QUICK = tuple((kind, size) for kind in GROWING for size in SIZES[:3]) + (
    ("proto", 8), ("not-host", 100), ("or-hosts", 50), ("one-or", 50))
SINGLE = ("one-or", "one-or-pairs")

# Goal of machine code, as ratio to libpcap: by size, as (other kinds, mixed).
RATIOS = {1: (3, 3), 10: (10, 10), 100: (80, 50), 1000: (800, 250)}
HOSTS_10000_RATIO = 2000
WALKER_SHARE = 0.5  # goal of the walker, as a share of these, from 100 filters
MATCHES_MANY = 50   # matches per packet from which matches dominate the cost
NS_A_MATCH = 1.0
NS_MAX = 400.0      # ns/packet in addition to its matches
BUILD_MS_A_1000 = 50.0
BYTES_A_FILTER = {"host": 200, "port": 200, "net": 400}
PEAK_MIB = 256.0    # memory for building 10,000 filters
FEW = 100           # number of filters below which fixed costs dominate


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--bench", required=True, help="the program filter_set_bench")
    parser.add_argument("--json", action="store_true", help="the result as JSON")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="small sets only; seconds")
    parser.add_argument("--strict", action="store_true", help="a missed goal is exit 1")
    parser.add_argument("kinds", nargs="*", metavar="KIND[:N]")
    return parser.parse_args()


def wanted(options):
    if options.quick:
        return list(QUICK)
    if not options.kinds:
        return [(kind, size) for kind in GROWING for size in SIZES] + list(SHAPES)
    rows = []
    for word in options.kinds:
        kind, _, size = word.partition(":")
        known = dict(SHAPES)
        rows += [(kind, int(size))] if size else (
            [(kind, size) for size in SIZES] if kind not in known else [(kind, known[kind])])
    return rows


def run(options, kind, size):
    """Returns a row: the results of filter_set_bench, and values computed from them."""
    command = [options.bench, "--json", *kind.split(), str(size), str(options.rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if not done.stdout:
        raise SystemExit(f"filter_sets.py: {' '.join(command)}: exit {done.returncode}")
    row = json.loads(done.stdout)
    row["kind"] = kind
    jit, walker = row["engines"]["jit"], row["engines"]["walker"]
    row["agree"] = all(engine["agree"] for engine in row["engines"].values())
    row["ns_per_match"] = jit["ns"] / row["matches"] if row["matches"] >= 1 else None
    # A kind may have fewer filters than requested; one expression counts by its alternatives.
    count = size if kind.split()[-1] in SINGLE else row["filters"]
    row["count"] = count
    # "auto" is built as "jit": the better of the two is less noisy.
    row["build_ms"] = min(jit["build_ms"], row["engines"]["auto"]["build_ms"])
    row["build_ms_per_1000"] = row["build_ms"] * 1000 / count
    row["bytes_per_filter"] = jit["joint_bytes"] / count
    row["peak_mib"] = max(jit["peak_mib"], walker["peak_mib"])
    row["misses"] = misses(row)
    return row


def ratio_goal(row):
    """Returns the ratio to reach; None: not slower than libpcap."""
    if row["kind"] not in GROWING:
        return None
    if row["size"] == 10000:
        return HOSTS_10000_RATIO if row["kind"] == "host" else None
    pair = RATIOS.get(row["size"])
    return pair[row["kind"] == "mixed"] if pair else None


def misses(row):
    """Returns the goals that a row misses, one text each."""
    found = []

    def need(is_met, text):
        if not is_met:
            found.append(text)

    jit, walker = row["engines"]["jit"], row["engines"]["walker"]
    goal = ratio_goal(row)
    need(row["agree"], "ENGINES DISAGREE")
    if goal:
        need(jit["ratio"] >= goal, f"jit {jit['ratio']:.3g}x < {goal}x")
        if row["size"] >= FEW:
            need(walker["ratio"] >= goal * WALKER_SHARE,
                 f"walker {walker['ratio']:.3g}x < {goal * WALKER_SHARE:.0f}x")
    need(jit["ratio"] >= 1, f"slower than libpcap ({jit['ratio']:.2f}x)")
    if row["matches"] >= MATCHES_MANY:
        need(row["ns_per_match"] <= NS_A_MATCH, f"{row['ns_per_match']:.2f} ns a match")
    need(jit["ns"] - row["matches"] * NS_A_MATCH <= NS_MAX, f"{jit['ns']:.0f} ns a packet")
    if row["count"] >= FEW:
        need(row["build_ms_per_1000"] <= BUILD_MS_A_1000,
             f"build {row['build_ms_per_1000']:.0f} ms per 1,000")
        most = BYTES_A_FILTER.get(row["kind"])
        need(not most or row["bytes_per_filter"] <= most,
             f"{row['bytes_per_filter']:.0f} B a filter")
    if row["size"] >= 10000:
        need(row["peak_mib"] < PEAK_MIB, f"peak {row['peak_mib']:.0f} MiB")
    return found


HEADER = (f"{'kind':>14} {'N':>6} {'libpcap ns':>11} {'jit ns':>8} {'ratio':>8} {'walker ns':>9}"
          f" {'ratio':>8} {'matches':>8} {'ns/match':>8} {'ms/1000':>8} {'B/filter':>8}"
          f" {'MiB':>6} agree  misses")


def line(row):
    jit, walker = row["engines"]["jit"], row["engines"]["walker"]
    per_match = "-" if row["ns_per_match"] is None else f"{row['ns_per_match']:.2f}"
    return (f"{row['kind']:>14} {row['count']:6} {row['engines']['libpcap']['ns']:11.1f}"
            f" {jit['ns']:8.1f} {jit['ratio']:7.1f}x {walker['ns']:9.1f} {walker['ratio']:7.1f}x"
            f" {row['matches']:8.2f} {per_match:>8} {row['build_ms_per_1000']:8.1f}"
            f" {row['bytes_per_filter']:8.0f} {row['peak_mib']:6.1f}"
            f" {'yes' if row['agree'] else 'NO':5}  {'; '.join(row['misses'])}")


def main():
    options = parse_arguments()
    report = {"version": 1, "bench": "filter-sets", "machine": runs.machine_facts(),
              "rounds": options.rounds, "results": []}
    if not options.json:
        print(HEADER)
    for kind, size in wanted(options):
        if options.json:
            runs.say(f"{kind} {size}")
        report["results"].append(run(options, kind, size))
        if not options.json:
            print(line(report["results"][-1]), flush=True)
    rows = report["results"]
    missed = [row for row in rows if row["misses"]]
    if options.json:
        runs.print_json(report)
    else:
        print(f"{len(rows)} rows, {len(missed)} with a miss; medians of {options.rounds} rounds")
    wrong = not all(row["agree"] for row in rows)
    return 1 if wrong or (options.strict and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
