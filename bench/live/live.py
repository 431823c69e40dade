#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Live capture under load: capweir, tcpdump, dumpcap and netsniff-ng in turns on a virtual cable.

The sender and the kernel's work for a packet run on one core, the tool on another, in a separate
network namespace. Every tool writes every packet to a file. Loss is the share of sent packets that
the file lacks. CPU is the CPU time of the tool's threads while packets arrive, without the start.
"discard" is bench/live/live_discard.c, which keeps nothing: no reader is faster. "library" and
"pcap_dispatch" are bench/live/live_read.c, which keeps nothing either.

A socket sends about half a million packets a second. bench/live/live_flood.c makes the kernel send,
which is faster (the rate "flood"). The receiving end then has GRO on: without GRO, frames without a
socket buffer arrive only at AF_XDP.
"""
import array
import argparse
import fcntl
import json
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time

RING_KIB = 65536
SIOCETHTOOL, ETHTOOL_SGRO = 0x8946, 0x2C
FRAME_MAX = 1514  # bytes, for rate flood


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--capweir", default="build/bench/tools/capweir", help="the command under test")
    add("--discard", default="build/bench/bench/live_discard", help="the baseline")
    add("--sender", default="build/bench/bench/live_sender", help="tests/live/sender.c")
    add("--reader", default="build/bench/bench/live_read", help="bench/live/live_read.c")
    add("--flood", default="build/bench/bench/live_flood", help="sends faster than a socket")
    add("--dir", default="build/bench/live", help="folder for files (deleted)")
    add("--sizes", default="60,1500", help="frame sizes in bytes")
    add("--rates", default="100000,250000,450000,0,flood",
        help="packets/s; 0: the most of a socket; flood: the most of the kernel")
    add("--seconds", type=int, default=3, help="duration of a trial")
    add("--rounds", type=int, default=3)
    add("--tools", help="comma separated; default: all that are installed")
    add("--json", action="store_true", help="the result as JSON on stdout")
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


def rules(count):
    """`count` rules, of which exactly one matches each packet."""
    pairs = []
    for number in range(count - 1):
        pairs += ["-f", f"src host 10.0.0.{number}", "-w", f"rule{number}.pcap"]
    return pairs + ["-f", "unmatched", "-w", "rest.pcap"]


def tools_of(options):
    """Name -> (command, whether it writes)."""
    capweir = [options.capweir, "-i", "in", "-Z", "root", "-q", "--json", "--sync", "off"]
    table = {
        "discard": [options.discard, "in"],
        "discard-xdp": [options.discard, "in", "xdp"],
        "library": [options.reader, "in", "handle"],
        "pcap_dispatch": [options.reader, "in", "dispatch"],
        "tcpdump": ["tcpdump", "-i", "in", "-n", "-Z", "root", "-B", str(RING_KIB),
                    "-w", "all.pcap"],
        "dumpcap": ["dumpcap", "-i", "in", "-q", "-P", "-B", "64", "-w", "all.pcap"],
        "netsniff-ng": ["netsniff-ng", "-i", "in", "-o", "all.pcap", "-s", "-S", "64MiB"],
        "capweir": capweir + ["-w", "all.pcap"],
        "capweir-8": capweir + rules(8),
        "capweir-100": capweir + rules(100),
        "capweir-buffered": capweir + ["--direct", "off", "-w", "all.pcap"],
        "capweir-xdp": capweir + ["--backend", "xdp", "-w", "all.pcap"],
    }
    names = options.tools.split(",") if options.tools else list(table)
    return {name: table[name] for name in names if shutil.which(table[name][0])}


def enter():
    """Restart this program in a separate network namespace."""
    if os.environ.get("CAPWEIR_BENCH_PLACE") == str(os.getppid()):
        return
    child = subprocess.Popen(["unshare", "-n", sys.executable, "-B", *sys.argv],
                             env=dict(os.environ, CAPWEIR_BENCH_PLACE=str(os.getpid())))
    sys.exit(child.wait())


def make_cable():
    for which in ("all", "default"):
        with open(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6", "w") as file:
            file.write("1")
    for command in ("link set lo up", "link add out type veth peer name in",
                    "link set out mtu 9000 arp off up", "link set in mtu 9000 arp off up"):
        subprocess.run(["ip", *command.split()], check=True)


def set_gro(device, value):
    request = array.array("B", struct.pack("II", ETHTOOL_SGRO, value))
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL,
                    struct.pack("16sP16x", device.encode(), request.buffer_info()[0]))


def sender_command(options, size, rate):
    if rate == "flood":
        return [options.flood, "out", str(options.seconds), str(size)]
    command = [options.sender, "out", "--seconds", str(options.seconds), "--count", str(10**9),
               "--size", str(size), "--flows", "128"]
    return command + (["--rate", rate] if rate != "0" else [])


def cpu_ns(process):
    """CPU time of all threads of a process."""
    total = 0
    for thread in os.listdir(f"/proc/{process}/task"):
        with open(f"/proc/{process}/task/{thread}/schedstat") as file:
            total += int(file.read().split()[0])
    return total


def records_in(directory, size):
    """Records in the files, by file size: all frames have one length."""
    return sum((os.path.getsize(os.path.join(directory, name)) - 24) // (16 + size)
               for name in os.listdir(directory)
               if not name.startswith(".") and name.endswith(".pcap"))


def wait_for_start(path):
    """Wait until the tool prints that it captures, and for its start to settle."""
    for _ in range(200):
        with open(path, errors="replace") as file:
            if re.search("listening|Capturing|File:|Running", file.read()):
                break
        time.sleep(0.05)
    time.sleep(0.5)


def trial(options, command, size, rate):
    shutil.rmtree(options.dir, ignore_errors=True)
    os.makedirs(options.dir)
    with open(os.path.join(options.dir, "words"), "wb") as words:
        tool = subprocess.Popen(["taskset", "-c", "1", *command], cwd=options.dir,
                                stdout=subprocess.PIPE, stderr=words)
    try:
        wait_for_start(words.name)
        before = cpu_ns(tool.pid)
        sent = json.loads(subprocess.run(
            ["taskset", "-c", "0", *sender_command(options, size, rate)],
            check=True, stdout=subprocess.PIPE).stdout)
        time.sleep(0.5)
        cpu = cpu_ns(tool.pid) - before
        tool.send_signal(signal.SIGINT)
        out, _ = tool.communicate(timeout=60)
    finally:
        if tool.poll() is None:
            tool.kill()
            tool.wait()
    if command[0] in (options.discard, options.reader):
        captured = json.loads(out)["received"]
    else:
        captured = records_in(options.dir, size)
    if tool.returncode not in (0, 1) or not sent["sent"]:
        with open(words.name, errors="replace") as file:
            say(file.read())
    return {"sent": sent["sent"], "pps": sent["sent"] / sent["elapsed_s"], "captured": captured,
            "loss": 1 - captured / sent["sent"], "cpu_ns": cpu / max(captured, 1)}


def rate_name(rate):
    return "max" if rate == "0" else rate


def compare(options, table, size, rate):
    """Run all tools in turns at one frame size and rate. Returns a row for each tool."""
    trials = {name: [] for name in table}
    names = list(table)
    for number in range(options.rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            found = trial(options, table[name], size, rate)
            trials[name].append(found)
            say(f"{size} B, {rate_name(rate)}: {name} {found['pps']:.0f} pps, loss "
                f"{100 * found['loss']:.2f} %, {found['cpu_ns']:.0f} ns")
    return [{"size": size, "rate": rate, "tool": name,
             **{key: statistics.median(one[key] for one in found)
                for key in ("pps", "captured", "loss", "cpu_ns")},
             "cpu_ns_min": min(one["cpu_ns"] for one in found)}
            for name, found in trials.items()]


def print_table(options, rows):
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Linux "
          f"{platform.release()}, load {os.getloadavg()[0]:.1f}; medians of {options.rounds} "
          f"rounds of {options.seconds:g} s")
    print(f"{'bytes':>6} {'offered':>9} {'tool':<17} {'sent pps':>9} {'loss %':>7} {'CPU ns':>7}"
          f" {'least':>7} {'of tcpdump':>10}")
    for row in rows:
        base = next((one["cpu_ns"] for one in rows if one["tool"] == "tcpdump" and
                     (one["size"], one["rate"]) == (row["size"], row["rate"])), None)
        print(f"{row['size']:6} {rate_name(row['rate']):>9} {row['tool']:<17} "
              f"{row['pps']:9.0f} {100 * row['loss']:7.3f} {row['cpu_ns']:7.0f} "
              f"{row['cpu_ns_min']:7.0f} {row['cpu_ns'] / base if base else float('nan'):9.2f}x")


def main():
    options = parse_arguments()
    enter()
    for name in ("capweir", "discard", "sender", "reader", "flood", "dir"):
        setattr(options, name, os.path.abspath(getattr(options, name)))
    make_cable()
    table = tools_of(options)
    rows = []
    try:
        for size in map(int, options.sizes.split(",")):
            for rate in options.rates.split(","):
                if rate == "flood" and (size > FRAME_MAX or not os.path.exists(options.flood)):
                    say(f"{size} B: no flood: it needs AF_XDP and frames up to {FRAME_MAX} bytes")
                    continue
                set_gro("in", rate == "flood")
                rows += compare(options, table, size, rate)
    finally:
        shutil.rmtree(options.dir, ignore_errors=True)
    if options.json:
        json.dump(rows, sys.stdout, indent=1)
    else:
        print_table(options, rows)


if __name__ == "__main__":
    main()
