# SPDX-License-Identifier: BSD-3-Clause
"""Calls of the system that fail during a live capture (fault.c), and the judge of such a run.

Exit 0 means that each packet that the kernel delivered is in the files of each rule that matches
it. Whatever the exit status, published files are intact and the books are true.

CAPWEIR_TEST_SEED: of the sample. CAPWEIR_TEST_FULL=1: far more faults.
"""
import json
import os
import random
import shutil
import subprocess

import e2e
import fault_cases
import live
from fault_cases import Fault

SEED = int(os.environ.get("CAPWEIR_TEST_SEED", "1"))
PART = 1000  # packets sent at once; a run sends them twice
PACKETS = 2 * PART
RECORD_BYTES = 16 + 60
CALLS = ("malloc openat open close read pwrite pwritev fallocate fstat fstatat ftruncate fdatasync "
         "fsync renameat renameat2 mmap poll fcntl getrandom pthread_create eventfd signalfd fork "
         "socketpair recv recvfrom recvmsg sendto sendmsg socket bind ioctl getsockopt setsockopt "
         "epoll_create1 epoll_ctl epoll_wait ZSTD_createCCtx ZSTD_compress2").split()
SAMPLE = 16
SAMPLE_FULL = 24  # of each call


class Scenario:
    """A capture into an empty folder."""

    def __init__(self, name, line):
        self.name = name
        self.arguments = ["-i", "in", "--json", "--block-timeout", "10", *line.split(" ")]
        self.is_json = self.is_split = True
        self.copies = ()

    def start(self, folder, fault):
        environment = dict(os.environ, LD_PRELOAD=fault_cases.LIBRARY,
                           FAULT_COUNTS=self.counts_path(folder))
        if fault:
            environment["FAULT"] = fault_cases.fault_text(fault)
        return live.Capture(*self.arguments, json=False, wait=False, cwd=folder, env=environment)

    @staticmethod
    def counts_path(folder):
        return folder + ".counts"

    def essence(self, out):
        return None

    def run(self, folder, fault=None):
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        capture = self.start(folder, fault)
        try:
            self.feed(capture, folder, fault)
            if capture.process.poll() is None:
                capture.signal()
            status = capture.process.wait(fault_cases.HANG_S)
        except (AssertionError, subprocess.TimeoutExpired):
            capture.process.kill()
            capture.process.wait()
            status = None
        capture.close()
        return fault_cases.Run(status, "".join(capture.out).encode(), capture.text(),
                               fault_cases.read_files(folder),
                               fault_cases.read_counts(self.counts_path(folder)))

    def feed(self, capture, folder, fault):
        """Send packets when it captures; more when it wrote the first, or resumed after a fault."""
        def is_over():
            return capture.process.poll() is not None

        def is_written():
            text = capture.text()
            return is_over() or "again" in text or (text.count("cannot") and fault.mode == "ever") \
                or any(os.path.getsize(os.path.join(folder, name)) >= (PART - live.LONE_DROPS) *
                       RECORD_BYTES for name in os.listdir(folder))

        e2e.wait_until(lambda: is_over() or "listening on" in capture.text(), "it captures")
        for first in (0, PART):
            if is_over():
                return
            subprocess.run([live.SENDER, "out", *live.Shape(PART, first=first).arguments()],
                           check=True, stdout=subprocess.DEVNULL)
            if "-U" in self.arguments and first == 0:
                e2e.wait_until(is_written, "it writes")


class Judge(fault_cases.Judge):
    """Says what is wrong with a run: after exit 0, each file is read and compared with what was
    sent."""

    def __init__(self, scenario, reference, folder):
        super().__init__(scenario, reference, folder)
        self.words += ["of in", "from in", "in:", "user root", "process that"]

    def silent_complaints(self, run):
        report = json.loads(run.out)
        queues = report["queues"]
        seen, dropped, left = (sum(queue[name] for queue in queues)
                               for name in ("kernel_seen", "kernel_dropped", "left"))
        if seen != PACKETS or dropped > live.LONE_DROPS or left:
            return [f"SILENT: seen {seen}, dropped {dropped}, left {left}"]
        found = []
        for rule in report["rules"]:
            paths = [os.path.join(self.folder, name) for name in rule["files"]]
            count = sum(map(fault_cases.count_packets, paths))
            if count != PACKETS - dropped:
                found.append(f"SILENT: {count} of {PACKETS - dropped} packets in {rule['files']}")
            elif not paths[0].endswith(".zst"):
                checked = live.check(live.Shape(PACKETS), paths)
                if any(checked[name] for name in ("duplicated", "damaged", "disorder")):
                    found.append(f"SILENT: {checked}")
        return found


SCENARIOS = (
    Scenario("buffered", "-U -f udp -w first.pcap -f ip -w second.pcapng"),
    Scenario("rotation", "-w all-{seq}.pcap -C 50k"),
    Scenario("ring", "-w all.pcap -b packets:400 -b files:99"),
    Scenario("zst", "-w all.pcap.zst"),
)
# Faults of the writing side that are not left to the sample.
CORNERS = {
    "buffered": [Fault("pwritev", 2, "EIO", "once"), Fault("pwritev", 2, "ENOSPC", "ever"),
                 Fault("pwritev", 2, "EIO", "ever", "ftruncate"),
                 Fault("renameat", 1, "EIO", "once"),
                 # a signal that is not seen
                 Fault("read", 1, "EIO", "ever"), Fault("poll", 5, "ENOMEM", "ever"),
                 Fault("fdatasync", 1, "EIO", "once"), Fault("epoll_wait", 3, "EBADF", "ever"),
                 # no memory from right after the start: said before the end
                 Fault("malloc", 513, "ENOMEM", "ever"), Fault("malloc", 540, "ENOMEM", "ever")],
    # without the kernel's counters, drops are unknown
    "rotation": [Fault("getsockopt", 3, "EINVAL", "ever"), Fault("getsockopt", 3, "EINVAL", "once"),
                 Fault("openat", 40, "EMFILE", "once")],
    "ring": [Fault("pwrite", 4, "EIO", "once"), Fault("fallocate", 1, "ENOSPC", "ever"),
             Fault("renameat2", 2, "EIO", "once"), Fault("pwrite", 2, "ENOSPC", "ever")],
    "zst": [Fault("ZSTD_compress2", 1, "ENOMEM", "once")],
}


class Stop(live.Fresh):
    def test_a_stop_that_the_kernel_refuses_ends_without_the_drains_time_limit(self):
        folder = self.path("run")
        live.wait_for_link("out")
        for backend in ("packet", "pcap"):
            scenario = Scenario("stop", f"--backend {backend} --drain-timeout 1h -U -f udp -w "
                                "first.pcap -f ip -w second.pcapng")
            reference = scenario.run(folder)
            judge = Judge(scenario, reference, folder)
            self.assertEqual((reference.status, judge.complaints(reference)), (0, []))
            for mode in ("once", "ever"):
                # The last call is that of closing.
                fault = Fault("setsockopt", reference.counts["setsockopt"] - 1, "ENOMEM", mode)
                run = scenario.run(folder, fault)
                self.assertIn("cannot stop capturing from in, queue 0", run.err)
                self.assertEqual((run.status, judge.complaints(run)), (0, []), run.err)


class Matrix(live.Fresh):
    def test_each_fault_of_a_capture_is_reported_or_does_no_harm(self):
        print(f"CAPWEIR_TEST_SEED={SEED}", flush=True)
        randomness = random.Random(f"{SEED} live")
        folder = self.path("run")
        live.wait_for_link("out")
        wrong, count, struck = [], 0, 0
        for scenario in SCENARIOS:
            reference = scenario.run(folder)
            judge = Judge(scenario, reference, folder)
            self.assertEqual((reference.status, judge.complaints(reference)), (0, []))
            faults = [fault for call in CALLS
                      for fault in self.sample_of(randomness, call, reference.counts.get(call, 0))]
            if not e2e.FULL:
                faults = randomness.sample(faults, SAMPLE // len(SCENARIOS))
            for fault in CORNERS[scenario.name] + faults:
                run = scenario.run(folder, fault)
                count += 1
                struck += run.counts.get("struck", 1)
                found = fault_cases.wrongs(scenario, judge, run, fault)
                wrong += found
                if found and e2e.FULL:
                    print(*found, sep="\n", flush=True)
        print(f"{count} faults, {struck} met, {len(wrong)} wrong", flush=True)
        self.assertFalse(wrong, "\n" + "\n".join(wrong))
        self.assertGreater(struck, 0)

    @staticmethod
    def sample_of(randomness, call, times):
        faults = list(fault_cases.faults_of(call, times))
        return faults if len(faults) <= SAMPLE_FULL else randomness.sample(faults, SAMPLE_FULL)


if __name__ == "__main__":
    live.main()
