#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Finds regressions: compares two results of one benchmark.

usage: gate.py BEFORE.json AFTER.json [--least PERCENT] [--spreads N]

Both results come from one machine within a short time: from a Google Benchmark program with
repetitions, or from capweir bench with rounds:

    bench_reader --benchmark_repetitions=9 --benchmark_out=AFTER.json --benchmark_out_format=json
    capweir bench split --repeat 9 --json >AFTER.json

A regression is a median that grew by more than --least percent (10) and by more than --spreads (3)
times the spread of both results together. The spread is half the interquartile range of the
repetitions. Exit 1 if there is a regression, or if AFTER lacks a benchmark; 2 if the results cannot
be compared.
"""
import argparse
import json
import statistics
import sys

LEAST_RUNS = 3
UNITS_NS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
PARAMETERS = ("program", "phase", "threads", "queues", "rules", "traffic", "packet_bytes")


def fail(text):
    print(f"gate: {text}", file=sys.stderr)
    sys.exit(2)


def times_of_google(report):
    """Benchmark -> (repetitions, median ns, spread ns)."""
    times = {}
    for entry in report["benchmarks"]:
        if entry.get("run_type", "iteration") == "iteration" and not entry.get("error_occurred"):
            name = entry.get("run_name", entry["name"])
            times.setdefault(name, []).append(entry["real_time"] * UNITS_NS[entry["time_unit"]])
    return {name: (len(found), *summary(found)) for name, found in times.items()}


def summary(times):
    """(median, spread); the spread of fewer than LEAST_RUNS times is 0."""
    if len(times) < LEAST_RUNS:
        return times[0], 0
    low, median, high = statistics.quantiles(times, n=4, method="inclusive")
    return median, (high - low) / 2


def times_of_capweir(report):
    """Row -> (rounds, median ns, spread ns)."""
    times = {}
    for row in report.get("results") or report["phases"]:
        if row.get("rounds", LEAST_RUNS) < LEAST_RUNS <= report["rounds"]:
            continue  # a slow program, measured once
        name = " ".join(f"{key}={row[key]}" for key in PARAMETERS if key in row)
        median = next(row[key] for key in ("ns_per_packet", "ns_per_item") if key in row)
        times[f"{report['bench']} {name}"] = (row.get("rounds", report["rounds"]), median,
                                              row["spread"])
    return times


def load(path):
    """Benchmark -> (median ns, spread ns)."""
    try:
        with open(path, encoding="utf-8") as file:
            report = json.load(file)
        times = times_of_google(report) if "benchmarks" in report else times_of_capweir(report)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as failure:
        fail(f"{path}: not a comparable benchmark result: {failure!r}")
    few = [name for name, (count, _, _) in times.items() if count < LEAST_RUNS]
    if few or not times:
        fail(f"{path}: at least {LEAST_RUNS} repetitions of each are needed"
             f"{', of ' + few[0] if few else ''} (--benchmark_repetitions, --repeat)")
    return {name: (median, spread) for name, (_, median, spread) in times.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--least", type=float, default=10,
                        help="least growth in percent [default: 10]")
    parser.add_argument("--spreads", type=float, default=3,
                        help="least growth in spreads [default: 3]")
    options = parser.parse_args()
    before, after = load(options.before), load(options.after)
    regressions = 0
    for name, (old, old_spread) in before.items():
        if name not in after:
            print(f"{name}: missing in {options.after}")
            regressions += 1
            continue
        new, new_spread = after[name]
        noise = options.spreads * (old_spread ** 2 + new_spread ** 2) ** 0.5
        is_slower = new - old > max(old * options.least / 100, noise)
        regressions += is_slower
        print(f"{name}: {old:.4g} -> {new:.4g} ns, {100 * (new / old - 1):+.1f} % (noise "
              f"{100 * noise / old:.1f} %){' SLOWER' if is_slower else ''}")
    for name in after:
        if name not in before:
            print(f"{name}: new, {after[name][0]:.4g} ns")
    print(f"{regressions} regressions" if regressions else "no regression")
    return 1 if regressions else 0


if __name__ == "__main__":
    sys.exit(main())
