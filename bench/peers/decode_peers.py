#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Decoding one file with capweir, gopacket, libtins and PcapPlusPlus in turns, if installed.

Debian packages: golang-go, golang-github-google-gopacket-dev, golang-golang-x-net-dev and
golang-golang-x-sys-dev; libtins-dev. PcapPlusPlus is found by pkg-config. Prints the minimum and
the median of all rounds.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile

import runs

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def build_gopacket(directory):
    """Builds the program and returns its path; None without Go or gopacket."""
    if not shutil.which("go"):
        return None
    program = os.path.join(directory, "decode_gopacket")
    environment = dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode",
                       GOCACHE=os.path.join(directory, "cache"))
    done = subprocess.run(["go", "build", "-o", program, os.path.join(HERE, "decode_gopacket.go")],
                          env=environment, capture_output=True)
    return program if done.returncode == 0 else None


def build_cpp(directory, name, flags):
    program = os.path.join(directory, name)
    done = subprocess.run(["c++", "-std=c++17", "-O3", "-I", ROOT,
                           os.path.join(HERE, f"{name}.cpp"), "-o", program, *flags, "-lpcap"],
                          capture_output=True)
    return program if done.returncode == 0 else None


def build_pcapplusplus(directory):
    done = subprocess.run(["pkg-config", "--cflags", "--libs", "PcapPlusPlus"],
                          capture_output=True, text=True)
    return build_cpp(directory, "decode_pcapplusplus", done.stdout.split()) \
        if done.returncode == 0 else None


def run_capweir(arguments):
    done = subprocess.run([arguments.capweir, "bench", "decode", arguments.file, "--json",
                           "--packets", str(arguments.packets), "--repeat",
                           str(arguments.rounds)], capture_output=True, check=True)
    return [dict(phase, program="capweir") for phase in json.loads(done.stdout)["phases"]]


def run_peer(arguments, peer):
    done = subprocess.run([peer, arguments.file, str(arguments.packets), str(arguments.rounds)],
                          capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--capweir", required=True)
    parser.add_argument("--packets", type=int, default=100000)
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each program in each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="the result as JSON on stdout")
    parser.add_argument("file")
    arguments = parser.parse_args()
    times = {}
    with tempfile.TemporaryDirectory() as directory:
        peers = [program for program in (build_gopacket(directory),
                                         build_cpp(directory, "decode_tins", ["-ltins"]),
                                         build_pcapplusplus(directory)) if program]
        for turn in range(arguments.turns):
            for peer in runs.in_turns([None, *peers], turn):
                for result in run_peer(arguments, peer) if peer else run_capweir(arguments):
                    times.setdefault((result["phase"], result["program"]), []).append(result)
    rows = [{"phase": phase, "program": program,
             "min": min(result["min"] for result in results),
             "ns_per_packet": statistics.median(result["ns_per_packet"] for result in results)}
            for (phase, program), results in sorted(times.items())]
    if arguments.json:
        runs.print_json({"version": 1, "bench": "decode-peers", "machine": runs.machine_facts(),
                         "file": os.path.basename(arguments.file), "packets": arguments.packets,
                         "rounds": arguments.rounds * arguments.turns, "results": rows})
        return
    print(f"{'phase':12} {'program':10} {'least':>9} {'median':>9}  ns a packet")
    for row in rows:
        print(f"{row['phase']:12} {row['program']:10} {row['min']:9.1f} "
              f"{row['ns_per_packet']:9.1f}")


if __name__ == "__main__":
    main()
