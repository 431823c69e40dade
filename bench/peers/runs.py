# SPDX-License-Identifier: BSD-3-Clause
"""Shared by the comparisons of this folder: data sets, filters, measured runs, the machine."""
import argparse
import contextlib
import filecmp
import json
import mmap
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PACKETS = {"small": 10_000_000, "imix": 5_000_000, "large": 1_600_000, "mix": 2_000_000}
SEED = 42
WARM_BYTES = 3 << 30
SPARE_BYTES = 64 << 20  # memory to prepare in addition to the output
MADV_POPULATE_WRITE = 23
SAMPLE_S = 0.02


def make_parser(description):
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    add = parser.add_argument
    add("--capweir", default="build/bench/tools/capweir", help="the command under test")
    add("--natural", default="build/bench/bench/natural", help="the baseline program")
    add("--dir", default="build/bench/data", help="folder of data sets and outputs (kept, deleted)")
    add("--no-warm", action="store_true", help="skip touching memory before runs")
    add("--json", action="store_true", help="the result as JSON on stdout")
    return parser


def say(text):
    print(text, file=sys.stderr, flush=True)


def machine_facts():
    """The machine, as results describe it."""
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    governor = "none"
    with contextlib.suppress(OSError), \
            open("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", encoding="ascii") as file:
        governor = file.read().strip()
    return {
        "cpu": model,
        "governor": governor,
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load": os.getloadavg()[0],
    }


def make_filters(count):
    """The eight usual filters and, up to `count`, further hosts, nets and ports.

    The further ones match little, so that runs with more filters write about as many packets.
    """
    with open(os.path.join(HERE, "filters8.txt"), encoding="ascii") as file:
        filters = [line.strip() for line in file if line.strip()]
    for i in range(count - len(filters)):
        host = f"198.19.{i % 32}.{1 + i * 7 % 250}"
        filters.append([f"host {host}", f"tcp port {6000 + i}", f"host {host} and port 8443",
                        f"net 198.18.{128 + i % 128}.{i // 128 * 16}/28", f"port {7000 + i}",
                        f"src net 2001:db8:{i:x}::/48"][i % 6])
    return filters


def data_set(options, profile):
    """Returns the path of the profile's file, after generating it if missing."""
    packets = max(1, int(PACKETS[profile] * options.packets_scale))
    path = os.path.join(options.dir, f"{profile}-{packets}-seed{SEED}.pcap")
    if not os.path.exists(path):
        say(f"generating {path}")
        partial = path[: -len(".pcap")] + ".partial.pcap"
        subprocess.run([options.capweir, "generate", "--profile", profile, "--packets",
                        str(packets), "--seed", str(SEED), "-w", partial],
                       check=True, stdout=subprocess.DEVNULL)
        os.rename(partial, path)
    return path, packets


def warm_memory(directory):
    """Touch page-cache memory: the first use of a page costs several times as much."""
    free = shutil.disk_usage(directory).free
    block = bytes(1 << 20)
    with tempfile.TemporaryFile(dir=directory) as file:
        for _ in range(min(WARM_BYTES, free // 2) >> 20):
            file.write(block)


def touch_free_memory(size):
    """Make the machine back the memory of the next run's files, for either program.

    A virtual machine that returns freed memory to its host pays for every page again: a program
    took six times as long right after a slower one. Uses large pages, as large writes do.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with contextlib.suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
            memory.madvise(MADV_POPULATE_WRITE)
        memory.close()


class Sampler(threading.Thread):
    """Samples the peak anonymous memory of a process; mapped files do not count."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.path = f"/proc/{pid}/status"
        self.peak_kib = 0
        self.ended = threading.Event()

    def run(self):
        while not self.ended.is_set():
            try:
                with open(self.path, encoding="ascii", errors="replace") as status:
                    for line in status:
                        if line.startswith("RssAnon:"):
                            self.peak_kib = max(self.peak_kib, int(line.split()[1]))
            except (OSError, ValueError):
                return
            self.ended.wait(SAMPLE_S)


def measure(command, stdout_path, is_quiet=False):
    """Runs a command; returns wall and CPU seconds and peak anonymous memory."""
    with open(stdout_path, "wb") as stdout:
        start = time.monotonic()
        process = subprocess.Popen(command, stdout=stdout, stdin=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL if is_quiet else None)
        sampler = Sampler(process.pid)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        sampler.ended.set()
        sampler.join()
    if process.returncode != 0:
        raise SystemExit(f"exit {process.returncode}: {' '.join(command[:12])} ...")
    return {"wall_s": wall_s, "cpu_s": usage.ru_utime + usage.ru_stime,
            "user_s": usage.ru_utime, "system_s": usage.ru_stime, "anon_kib": sampler.peak_kib}


def in_turns(names, number):
    """The names in the order of a round: each round begins with another one."""
    names = list(names)
    first = number % len(names) if names else 0
    return names[first:] + names[:first]


def pin_of(options):
    return ["taskset", "-c", str(min(os.sched_getaffinity(0)))] if options.pin_one else []


def split_commands(options, path, filters, filter_path, outputs, threads):
    """Program -> its command for splitting `path` by the filters to <k>.pcap in its folder."""
    pin = pin_of(options)
    split = pin + [options.capweir, "split", "-r", path, "-t", str(threads), "--json"]
    if options.engine:
        split += ["--filter-engine", options.engine]
    for index, expression in enumerate(filters):
        split += ["-f", expression, "-w", os.path.join(outputs["capweir"], f"{index}.pcap")]
    return {"natural": pin + [options.natural, path, outputs["natural"], filter_path],
            "capweir": split}


def compare_outputs(outputs, count):
    """Compares every file of both programs byte for byte; returns the total bytes."""
    total = 0
    for index in range(count):
        ours, theirs = (os.path.join(outputs[who], f"{index}.pcap")
                        for who in ("capweir", "natural"))
        if not filecmp.cmp(ours, theirs, shallow=False):
            raise SystemExit(f"outputs differ: {ours} and {theirs}")
        total += os.path.getsize(ours)
    return total


def summarise(runs):
    walls = [run["wall_s"] for run in runs]
    return {
        "wall_s": statistics.median(walls),
        "wall_min_s": min(walls),
        "wall_max_s": max(walls),
        **{key: statistics.median(run[key] for run in runs)
           for key in ("cpu_s", "user_s", "system_s")},
        "cpu_min_s": min(run["cpu_s"] for run in runs),
        "anon_kib": max(run["anon_kib"] for run in runs),
    }


def write_filters(path, filters):
    """Writes one filter a line, as the natural program reads them."""
    with open(path, "w", encoding="ascii") as file:
        file.write("\n".join(filters) + "\n")


def print_json(report):
    json.dump(report, sys.stdout, indent=1)
    print()
