# SPDX-License-Identifier: BSD-3-Clause
"""Calls of the system that fail: the k-th call of each function, once or for ever, with each errno
that fits. Exit 0 means that the outputs equal those of an undisturbed run. Whatever the exit
status, published files are intact and the books are true.

CAPWEIR_TEST_SEED: of the sample. CAPWEIR_TEST_FULL=1: all cases.
"""
import gzip
import json
import os
import random
import resource
import shutil
import subprocess
import tempfile
import unittest

import e2e
import fault_cases
from fault_cases import Fault, Scenario

SEED = int(os.environ.get("CAPWEIR_TEST_SEED", "1"))
MEMORY = "/dev/shm"  # a disk's speed is not judged; `direct` needs a disk

SPLIT = "split --json -t 1 "
SCENARIOS = (
    Scenario("plain", SPLIT + "-r @s.pcap -f tcp -w a.pcap -f unmatched -w b.pcapng "
             "-f ip[12:4]==9 -w none.pcap"),
    Scenario("pcapng", SPLIT + "-r @g.pcapng -r @s.pcap -w a.pcapng"),
    Scenario("rotation", SPLIT + "-r @s.pcap -w a-{seq}.pcap -C 100k"),
    Scenario("access", SPLIT + "-r @s.pcap -w {rule}/a.pcap --file-mode 0640 --folder-mode 0750 "
             f"--group {os.getegid()}"),
    Scenario("zst", SPLIT + "-r @b.pcap -w o.pcap.zst"),
    Scenario("zst_rotation", SPLIT + "-r @b.pcap -w o-{seq}.pcapng.zst -C 1500k"),
    Scenario("direct", SPLIT + "--direct on -r @d.pcap -w o.pcap"),
    Scenario("gz_input", SPLIT + "-r @s.pcap.gz -w o.pcap"),
    Scenario("zst_input", SPLIT + "-r @s.pcap.zst -w o.pcap"),
    Scenario("sync", SPLIT + "--sync close --no-clobber -r @s.pcap -w o.pcap"),
    Scenario("hooks", SPLIT + "-r @s.pcap -R @hooks.yaml -o ."),
    Scenario("many", SPLIT + "--sync close -r @s.pcap -R @many.yaml -o .",
             limits=[(resource.RLIMIT_NOFILE, 48)]),
    Scenario("pipe", "split -t 1 -r - -w -", stdin="s.pcap"),
    Scenario("inspect", "inspect @s.pcap @g.pcapng"),
    Scenario("inspect_json", "inspect --json @s.pcap @g.pcapng"),
    Scenario("repair", "repair torn.pcap", copies=["torn.pcap"]),
    Scenario("repair_json", "repair --json torn.pcap torn.pcap", copies=["torn.pcap"]),
    Scenario("repair_dry", "repair --dry-run --json torn.pcap @s.pcap", copies=["torn.pcap"]),
    Scenario("check", "check @hooks.yaml"),
    Scenario("generate", "generate --profile imix --packets 1500 --seed 3 -w o.pcap"),
    Scenario("filter", "inspect filter tcp"),
)

# Faults that were answered wrongly once. Mostly not in a sample.
CORNERS = {
    # the cut of a compressed file must not destroy the frame before
    "zst": [Fault("pwritev", 2, "EIO", "ever"), Fault("pwritev", 3, "EIO", "ever"),
            Fault("pwritev", 4, "EIO", "ever"), Fault("ZSTD_compress2", 2, "ENOMEM", "ever"),
            # the seek table
            Fault("pwritev", 4, "ENOSPC", "once"), Fault("pwritev", 4, "EIO", "ever", "ftruncate")],
    "zst_rotation": [Fault("pwritev", 3, "ENOSPC", "ever", "ftruncate"),
                     Fault("ZSTD_compress2", 3, "ENOMEM", "ever")],
    # a file that cannot be cut keeps its temporary name
    "plain": [Fault("pwritev", 1, "EIO", "ever", "ftruncate"),
              Fault("pwritev", 2, "EIO", "ever", "ftruncate")],
    "pcapng": [Fault("pwritev", 2, "ENOSPC", "ever", "ftruncate")],
    "direct": [Fault("pwritev", 2, "EIO", "ever", "ftruncate"),
               Fault("io_uring_wait", 3, "EIO", "ever")],
    # more files than descriptors: an evicted file that cannot be closed or opened again
    "many": [Fault("fdatasync", 1, "EIO", "once"), Fault("fdatasync", 5, "EIO", "once"),
             Fault("fstat", 55, "EIO", "once"), Fault("fstat", 68, "EIO", "ever"),
             Fault("openat", 33, "EMFILE", "ever"), Fault("open", 98, "EIO", "ever"),
             Fault("fsync", 8, "EIO", "once")],
    "sync": [Fault("fsync", 1, "EIO", "once")],
    # the .part file that the message names stays; is_cut is true, though not on the disk
    "generate": [Fault("renameat", 1, "EIO", "once")],
    "repair_json": [Fault("fsync", 1, "EIO", "once")],
}
# The cause that a lost packet is counted under. EINTR is no stop of the run.
CAUSES = (("zst", Fault("ZSTD_compress2", 2, "ENOMEM", "ever"), "compress"),
          ("zst", Fault("ZSTD_createCCtx", 1, "ENOMEM", "once"), "compress"),
          ("zst", Fault("pwritev", 2, "EIO", "ever"), "io_error"),
          ("plain", Fault("renameat", 1, "EINTR", "once"), "io_error"),
          ("plain", Fault("pwritev", 2, "ENOSPC", "ever"), "disk_full"),
          ("plain", Fault("pwritev", 2, "EDQUOT", "ever"), "quota"),
          ("plain", Fault("openat", 9, "EMFILE", "ever"), "fd_limit"),
          ("rotation", Fault("openat", 10, "EIO", "ever"), "rotate"))
# Cases that a sample takes of each scenario and call.
SAMPLE = {"malloc": 3, "pwritev": 3}
SAMPLE_OTHERS = 2
SAMPLE_FULL = 2000


def sample(randomness, cases, count):
    """`count` cases, among them some of the first and last calls."""
    cases = list(cases)
    if e2e.FULL:
        count = SAMPLE_FULL
    if len(cases) <= count:
        return cases
    edges = [case for case in cases if case.first in (1, 2, cases[-1].first)]
    chosen = randomness.sample(edges, min(len(edges), count // 2))
    return chosen + randomness.sample([case for case in cases if case not in chosen],
                                      count - len(chosen))


class Matrix(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        e2e.need("zstd")
        print(f"CAPWEIR_TEST_SEED={SEED}", flush=True)
        cls.disk = tempfile.mkdtemp(prefix="capweir-test-")
        cls.addClassCleanup(shutil.rmtree, cls.disk, ignore_errors=True)
        where = MEMORY if os.access(MEMORY, os.W_OK) else None
        cls.memory = tempfile.mkdtemp(prefix="capweir-test-", dir=where)
        cls.addClassCleanup(shutil.rmtree, cls.memory, ignore_errors=True)
        cls.inputs = os.path.join(cls.memory, "inputs")
        os.mkdir(cls.inputs)
        cls.make_inputs()

    @classmethod
    def make_inputs(cls):
        def path(name):
            return os.path.join(cls.inputs, name)

        for name, count in (("s.pcap", 1500), ("b.pcap", 8000), ("d.pcap", 22000),
                            ("g.pcapng", 1500)):
            e2e.generate(path(name), count, seed=3)
        with open(path("s.pcap"), "rb") as file:
            content = file.read()
        with open(path("torn.pcap"), "wb") as file:
            file.write(content[:-7])
        with gzip.open(path("s.pcap.gz"), "wb") as file:
            file.write(content)
        subprocess.run(["zstd", "-q", path("s.pcap"), "-o", path("s.pcap.zst")], check=True)
        with open(path("hooks.yaml"), "w") as file:
            file.write("defaults: {write: '{rule}.pcap', hook: ['true']}\n"
                       "rules:\n  a: tcp\n  b: udp\n  none: host 9.9.9.9\n")
        with open(path("many.yaml"), "w") as file:
            file.write("defaults: {write: '{rule}.pcap'}\nrules:\n" + "".join(
                f"  r{index}: greater {index}\n" for index in range(40)))

    def cases(self, scenario, counts):
        randomness = random.Random(f"{SEED} {scenario.name}")
        for fault in CORNERS.get(scenario.name, ()):
            yield fault
        for call in fault_cases.CALLS:
            yield from sample(randomness, fault_cases.faults_of(call, counts.get(call, 0)),
                              SAMPLE.get(call, SAMPLE_OTHERS))

    def check(self, scenario):
        folder = os.path.join(self.disk if scenario.name == "direct" else self.memory, "run")
        reference = scenario.run(self.inputs, folder)
        judge = fault_cases.Judge(scenario, reference, folder, fault_cases.read_files(self.inputs))
        self.assertEqual([count for count in judge.packets.values() if isinstance(count, str)], [])
        wrong, count, struck = [], 0, 0
        for fault in self.cases(scenario, reference.counts):
            run = scenario.run(self.inputs, folder, fault)
            count += 1
            struck += run.counts.get("struck", 1)
            wrong += fault_cases.wrongs(scenario, judge, run, fault)
            if scenario.command == "repair" and run.status:
                again = scenario.run_again(self.inputs, folder)
                if again.files != reference.files:
                    wrong.append(f"{fault_cases.fault_text(fault)}: not to be repaired again")
        print(f"{scenario.name}: {count} faults, {struck} met, {len(wrong)} wrong", flush=True)
        self.assertFalse(wrong, "\n" + "\n".join(wrong))
        self.assertGreater(struck, 0)

    def test_each_truncation_of_an_input_is_reported_or_does_no_harm(self):
        folder = os.path.join(self.memory, "run")
        scenario = Scenario("truncation", SPLIT + "-r @in.pcap -f tcp -w a.pcap -f unmatched "
                            "-w b.pcapng")
        path = shutil.copy(os.path.join(self.inputs, "b.pcap"),
                           os.path.join(self.inputs, "in.pcap"))
        reference = scenario.run(self.inputs, folder)
        judge = fault_cases.Judge(scenario, reference, folder)
        edges = fault_cases.record_edges(path)
        randomness = random.Random(f"{SEED} truncation")
        wrong, statuses = [], []
        while len(statuses) < 300:
            if not e2e.FULL and len(statuses) >= 25 and set(statuses) == {0, 1}:
                break
            call = randomness.choice(("mmap", "fstat", "pwritev", "malloc"))
            fault = Fault(call, randomness.randint(1, reference.counts[call]), "EIO", "cut")
            bytes = randomness.randrange(edges[-1])
            if bytes in edges:
                bytes -= 1
            shutil.copy(os.path.join(self.inputs, "b.pcap"), path)
            run = scenario.run(self.inputs, folder, fault,
                               {"FAULT_FILE": path, "FAULT_BYTES": str(bytes)})
            wrong += fault_cases.wrongs(scenario, judge, run, fault)
            statuses.append(run.status)
        print(f"truncation: {len(statuses)} faults, {statuses.count(1)} reported, "
              f"{len(wrong)} wrong")
        self.assertFalse(wrong, "\n" + "\n".join(wrong))
        self.assertEqual(set(statuses), {0, 1})

    def test_a_lost_packet_is_counted_under_its_cause(self):
        folder = os.path.join(self.memory, "run")
        scenarios = {scenario.name: scenario for scenario in SCENARIOS}
        for name, fault, cause in CAUSES:
            with self.subTest(name=name, fault=fault):
                run = scenarios[name].run(self.inputs, folder, fault)
                self.assertEqual(run.status, 1, run.err)
                rules = json.loads(run.out)["rules"]
                self.assertGreater(sum(rule["lost_total"] for rule in rules), 0)
                self.assertEqual({key for rule in rules for key in rule["lost"]
                                  if rule["lost"][key]}, {cause})

    def test_a_disk_that_breaks_keeps_the_compressed_packets_that_it_has(self):
        """With each frame one write more: none of those before is lost, and the message is true."""
        folder = os.path.join(self.memory, "run")
        scenario = Scenario("broken", SPLIT + "-r @d.pcap -w o.pcap.zst")
        reference = scenario.run(self.inputs, folder)
        content = fault_cases.content_of(os.path.join(folder, "o.pcap.zst"))
        self.assertGreater(reference.counts["pwritev"], 3)
        for first in range(2, reference.counts["pwritev"]):  # the last one writes the table
            with self.subTest(first):
                run = scenario.run(self.inputs, folder, Fault("pwritev", first, "EIO", "ever"))
                self.assertEqual(run.status, 1, run.err)
                part, = run.files
                kept = fault_cases.content_of(os.path.join(folder, part))
                self.assertEqual(kept, content[:(first - 1) << 20])
                self.assertIn(f"its packets are in {part}", run.err)
                done = e2e.capweir("split", "-q", "-r", os.path.join(folder, part), "-w",
                                   os.path.join(folder, "again.pcap"))
                self.assertEqual(done.status, 1)  # the last packet is truncated
                again = fault_cases.content_of(os.path.join(folder, "again.pcap"))
                self.assertEqual(again, content[:len(again)])
                self.assertGreater(len(again), len(kept) - (1 << 17))

    def test_memory_that_ends_at_any_allocation_of_a_short_split_is_reported(self):
        folder = os.path.join(self.memory, "run")
        scenario = Scenario("memory", SPLIT + "-r @s.pcap -w o.pcap")
        reference = scenario.run(self.inputs, folder)
        judge = fault_cases.Judge(scenario, reference, folder)
        count = reference.counts["malloc"]
        wrong, statuses = [], []
        for first in range(1, count + 2, 1 if e2e.FULL else max(1, count // 12)):
            for mode in ("once", "ever"):
                fault = Fault("malloc", first, "ENOMEM", mode)
                run = scenario.run(self.inputs, folder, fault)
                wrong += fault_cases.wrongs(scenario, judge, run, fault)
                statuses.append(run.status)
        print(f"memory: {len(statuses)} faults, {statuses.count(0)} of no effect, "
              f"{len(wrong)} wrong")
        self.assertFalse(wrong, "\n" + "\n".join(wrong))


for each in SCENARIOS:
    def test(self, scenario=each):
        self.check(scenario)

    setattr(Matrix, "test_" + each.name, test)

if __name__ == "__main__":
    e2e.main()
