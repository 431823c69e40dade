#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""File rings over restarts: a run adopts what earlier runs left, and touches nothing else."""
import os
import random
import signal
import subprocess

import e2e
import live

RESTARTS = 100 if live.LONG else 12
PER_FILE = 20
FILE_BYTES = 24 + PER_FILE * (16 + 60)


class Ring(live.Test):
    LIST = ".x.pcap.ring"

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("out"))
        self.sent = 0

    def rules(self, keep="", **more):
        """A rules file of one ring; `more`: settings of its rotation."""
        rotate = {"packets": PER_FILE, "files": 3, **more}
        settings = ", ".join(f"{key}: {value}" for key, value in rotate.items() if value)
        return self.write("rules.yaml", (keep and f"keep: {{{keep}}}\n") + e2e.rules_yaml(
            [("a", "", {"write": "x.pcap", "rotate": f"{{{settings}}}"})]))

    def start(self, *more, rules=None, **options):
        return self.capture("-i", "in", "-o", self.path("out"), "-R",
                            rules or self.path("rules.yaml"), "-U", *more,
                            **options)

    def send(self, capture, count):
        """Send packets, and wait until each is in a file with a name or a hidden one."""
        before = self.seen(capture)
        live.send(live.Shape(count, first=self.sent))
        self.sent += count
        capture.wait_until(lambda: self.seen(capture) >= before + count, "packets are written",
                           poll_s=0.02)

    @staticmethod
    def seen(capture):
        return capture.stats()["written"]

    def names(self, hidden=False):
        return sorted(name for name in os.listdir(self.path("out"))
                      if hidden or not name.startswith("."))

    def numbers(self):
        return [int(name.split(".")[1]) for name in self.names()]

    def ring_of(self, report):
        rule, = report["rules"]
        return rule["ring"]

    def check_rule(self, report, **ring):
        """The one rule's files are those on the disk, and so are its ring's."""
        found = self.ring_of(report)
        self.assertEqual(found["list"], self.path("out", self.LIST))
        self.assertEqual(found["files"], len(self.names()))
        self.assertEqual(found["bytes"], sum(os.path.getsize(path) for path in self.paths()))
        self.assertEqual({name: found[name] for name in ring}, ring)
        rule, = report["rules"]
        self.assertEqual(sorted(rule["files"]), self.paths())
        self.assertEqual(rule["written"] - rule["expired"], report["books"]["in_files"])

    def paths(self, names=None):
        return [self.path("out", name) for name in names or self.names()]


class Restarts(Ring):
    def test_a_ring_keeps_its_number_of_files(self):
        self.rules()
        for run in range(3):
            capture = self.start()
            self.send(capture, 70)
            report = self.report_of(capture.stop())
            self.assertEqual(self.names(), [f"x.{4 * run + number:05}.pcap"
                                            for number in (2, 3, 4)])
            self.assertEqual(len(self.files_of(report)), 3)
            said = "3 files of earlier runs adopted" in capture.text()
            self.assertEqual(said, run > 0, capture.text())
        self.assertEqual(self.names(hidden=True)[0], self.LIST)
        self.assertEqual(os.stat(self.path("out", self.LIST)).st_mode & 0o777, 0o600)

    def test_a_killed_run_is_completed(self):
        self.rules()
        capture = self.start()
        self.send(capture, 50)
        capture.kill()
        parts = [name for name in self.names(hidden=True) if name.endswith(".part")]
        self.assertEqual(len(parts), 1)
        with open(self.path("out", parts[0]), "ab") as file:
            file.write(b"torn")
        capture = self.start()
        capture.wait_line("of which 1 had to be completed")
        self.assertEqual(self.names(), [f"x.{number:05}.pcap" for number in (1, 2, 3)])
        self.expect_all(live.Shape(50), self.paths())
        self.send(capture, 10)
        self.report_of(capture.stop())
        self.assertEqual(self.names(), [f"x.{number:05}.pcap" for number in (2, 3, 4)])
        self.expect_all(live.Shape(40, first=20), self.paths())
        self.assert_no_parts(self.path("out"))

    def test_a_limit_of_bytes_counts_earlier_files(self):
        for keep, more in (("", {"total": 3 * FILE_BYTES}), (f"total: {3 * FILE_BYTES}", {})):
            with self.subTest(keep=keep):
                self.rules(keep, packets=0, files=0, size=FILE_BYTES, **more)
                for _ in range(3):
                    capture = self.start()
                    self.send(capture, 70)
                    self.report_of(capture.stop())
                    sizes = [os.path.getsize(path) for path in self.paths()]
                    self.assertLessEqual(sum(sizes), 3 * FILE_BYTES)
                    self.assertGreaterEqual(len(sizes), 3)
                for name in self.names(hidden=True):
                    os.unlink(self.path("out", name))

    def test_a_second_run_on_a_list_is_refused(self):
        self.rules()
        first = self.start()
        second = self.start(wait=False).wait()
        self.assertEqual(second.status, 2, second.err)
        self.assertIn(f"PID {first.process.pid}", second.err)
        self.send(first, 30)
        self.report_of(first.stop())
        self.expect_all(live.Shape(30), self.paths())

    def test_files_that_changed_are_forgotten_and_stay(self):
        self.rules(files=6)
        capture = self.start()
        self.send(capture, 110)
        self.report_of(capture.stop())
        names = self.names()
        self.assertEqual(len(names), 6)
        with open(self.path("out", names[0]), "ab") as file:
            file.write(b"x")
        os.unlink(self.path("out", names[1]))
        self.write(f"out/{names[1]}", b"theirs")
        os.link(self.path("out", names[2]), self.path("second-name"))
        os.unlink(self.path("out", names[3]))
        if os.geteuid() == 0:
            os.chown(self.path("out", names[4]), 1000, 1000)
        self.rules(files=1)
        capture = self.start()
        is_root = os.geteuid() == 0
        capture.wait_line(f"1 missing, {3 + is_root} changed")
        self.send(capture, 25)
        self.report_of(capture.stop())
        left = [*names[:3], *names[4:5], "x.00008.pcap"] if is_root else \
            [*names[:3], "x.00008.pcap"]
        self.assertEqual(self.names(), left)
        with open(self.path("out", names[1]), "rb") as file:
            self.assertEqual(file.read(), b"theirs")

    def test_runs_without_packets_keep_the_evidence(self):
        self.rules()
        capture = self.start()
        self.send(capture, 50)
        self.report_of(capture.stop())
        names = self.names()
        for _ in range(3):
            self.report_of(self.start().stop())
            self.assertEqual(self.names(), names)

    def test_files_in_no_list_are_adopted_if_asked(self):
        self.rules(files=3)
        for number in range(1, 6):
            self.write(f"out/x.{number:05}.pcap", b"theirs")
        os.symlink("nowhere", self.path("out/x.00006.pcap"))
        theirs = self.names()
        self.write("out/.x.00009.pcap.abcdef.part", b"theirs")
        self.write("out/.y.00009.pcap.abcdef.part", b"theirs")
        capture = self.start()
        part = self.path("out/.x.00009.pcap.abcdef.part")
        capture.wait_line(f"{part} is an unfinished file of another run: \"capweir repair {part}\"")
        capture.wait_line("this file ring's")
        self.assertNotIn(".y.00009", capture.text())
        capture.wait_line("5 files here match and are not this file ring's; --adopt adds them")
        self.send(capture, 50)
        self.report_of(capture.stop())
        ours = [f"x.{number:05}.pcap" for number in (7, 8, 9)]
        self.assertEqual(self.names(), theirs + ours)
        capture = self.start("--no-adopt")
        self.send(capture, 50)
        self.report_of(capture.stop())
        more = [f"x.{number:05}.pcap" for number in (10, 11, 12)]
        self.assertEqual(self.names(), theirs + ours + more)
        capture = self.start("--adopt")
        capture.wait_line("11 files of earlier runs adopted")
        self.send(capture, 10)
        report = self.report_of(capture.stop())
        self.assertEqual(self.names(), ["x.00006.pcap", "x.00011.pcap", "x.00012.pcap",
                                        "x.00013.pcap"])
        self.assertEqual(self.files_of(report), [self.path("out/x.00013.pcap")])

    def test_a_reload_that_replaces_the_output_shares_the_ring(self):
        self.rules()
        capture = self.start()
        self.send(capture, 70)
        for count, snaplen in enumerate((64, 60, 58)):
            self.write("rules.yaml", e2e.rules_yaml(
                [("a", "", {"write": "x.pcap", "snaplen": snaplen, "rotate":
                            f"{{packets: {PER_FILE}, files: 3}}"})]))
            capture.signal(signal.SIGHUP)
            capture.wait_line("1 new", count + 1)
            self.send(capture, 70)
            capture.wait_until(lambda: len(self.names()) <= 3, "the ring has its size")
        report = self.report_of(capture.stop())
        self.assertEqual(len(self.names()), 3, (self.names(), report["rules"]))
        self.check_rule(report)

    def test_a_reload_that_begins_a_ring_adopts_and_takes_over(self):
        self.rules()
        capture = self.start()
        self.send(capture, 70)
        self.report_of(capture.stop())
        self.rules(files=0)
        capture = self.start()
        self.send(capture, 70)
        self.assertEqual(self.numbers(), [2, 3, 4, 5, 6, 7])
        self.rules()
        capture.signal(signal.SIGHUP)
        capture.wait_line("outputs: 0 kept, 1 new, 1 closed")
        self.assertIn("3 files of earlier runs adopted", capture.text())
        self.assertNotIn("are not this file ring's", capture.text())
        self.send(capture, 10)
        capture.wait_until(lambda: len(self.names()) <= 3, "the ring has its size")
        self.rules(files=2)
        capture.signal(signal.SIGHUP)
        capture.wait_line("outputs: 1 kept, 0 new, 0 closed")
        self.send(capture, 35)
        report = self.report_of(capture.stop())
        self.assertEqual(self.numbers(), [10, 11])
        self.check_rule(report, adopted=3, forgotten=0, unlisted=0)
        capture = self.start()
        capture.wait_line("2 files of earlier runs adopted")
        self.report_of(capture.stop())

    def test_files_of_a_run_are_in_the_ring_that_its_reload_began(self):
        self.rules(files=0)
        capture = self.start()
        self.send(capture, 70)
        self.rules(files=5)
        capture.signal(signal.SIGHUP)
        capture.wait_line("outputs: 0 kept, 1 new, 1 closed")
        report = self.report_of(capture.stop())
        self.assertEqual(self.numbers(), [1, 2, 3, 4])
        self.check_rule(report, adopted=0, unlisted=0)
        capture = self.start()
        capture.wait_line("4 files of earlier runs adopted")
        self.assertNotIn("are not this file ring's", capture.text())
        self.send(capture, 30)
        report = self.report_of(capture.stop())
        self.assertEqual(self.numbers(), [2, 3, 4, 5, 6])
        self.assertEqual(self.ring_of(report)["files"], 5)

    def test_two_names_with_one_list_are_refused(self):
        rotate = f"{{packets: {PER_FILE}, files: 3}}"
        rules = e2e.rules_yaml([(name, "", {"write": write, "rotate": rotate})
                                for name, write in (("a", "'%Y,x.pcap'"), ("b", "'%Y/x.pcap'"))])
        self.write("rules.yaml", rules)
        result = self.start(wait=False).wait()
        self.assertEqual(result.status, 2, result.err)
        self.assertIn("rule b: the file rings of %Y/x.pcap and %Y,x.pcap would have the same list, "
                      ".%Y,x.pcap.ring: choose another output name", result.err)


class Model(Ring):
    """Runs ended in all ways, under load, beside files of others and another ring."""

    def foreign(self):
        """Files that look like the ring's, made before the first run."""
        self.write("out/x.00001.pcap", b"theirs")
        self.write("out/x.00007.pcap", b"")
        self.write("out/.x.00002.pcap.abcdef.part", b"theirs")
        self.write("out/x.3.pcap", b"theirs")
        os.symlink("x.3.pcap", self.path("out/x.00004.pcap"))
        os.mkdir(self.path("out/x.00005.pcap"))

    def state(self, names):
        found = {}
        for name in names:
            path = self.path("out", name)
            status = os.lstat(path)
            content = b""
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    content = file.read()
            found[name] = (status.st_ino, status.st_mtime_ns, status.st_mode, content)
        return found

    def test_restarts(self):
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        self.foreign()
        names = self.names(hidden=True)
        foreign = self.state(names)
        other = self.write("other.yaml", e2e.rules_yaml(
            [("b", "", {"write": "x.{seq:05}.pcap", "rotate": "{packets: 7, files: 4}"})]))
        capture = self.start(rules=other)
        self.send(capture, 40)
        self.report_of(capture.stop())
        others = self.state(set(self.names(hidden=True)) - set(names))
        self.assertGreater(len(others), 4)
        for restart in range(RESTARTS):
            with self.subTest(seed=seed, restart=restart):
                files = chance.choice((2, 3, 5))
                self.rules(files=files)
                capture = self.start()
                self.send(capture, chance.randrange(PER_FILE + 1, 4 * PER_FILE))
                ours = set(self.names()) - set(names) - set(others)
                capture.wait_until(
                    lambda: len(set(self.names()) - set(names) - set(others)) <= files,
                    "the ring has its size")
                if chance.randrange(2):
                    capture.kill()
                else:
                    capture.signal(signal.SIGTERM)
                    self.report_of(capture.wait())
                ours = set(self.names()) - set(names) - set(others)
                self.assertLessEqual(len(ours), files)
                self.assertGreater(len(ours), 0)
                self.assertEqual(self.state(names), foreign)
                self.assertEqual(self.state(others), others)
        self.rules(files=5)
        self.report_of(self.start().stop())
        ours = set(self.names()) - set(names) - set(others)
        parts = [name for name in self.names(hidden=True) if name.endswith(".part")]
        self.assertEqual(parts, [".x.00002.pcap.abcdef.part"])
        done = subprocess.run([live.CHECKER, *live.Shape(self.sent).arguments(), "--tcp", "0",
                               *self.paths(sorted(ours))], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)


def resident(process):
    with open(f"/proc/{process}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Memory(live.Test):
    def begin(self, *arguments):
        """A capture with a file for each packet, and the process that opens its files."""
        os.mkdir(self.path("out"))
        capture = self.capture("-i", "in", "-w", self.path("out/x.pcap"), "-b", "packets:1",
                               *arguments, "--sync", "off", "-q")
        for process in e2e.children_of(capture.process.pid):
            with open(f"/proc/{process}/comm") as file:
                if file.read() == "cw-opener\n":
                    return capture, process
        raise AssertionError("no process opens the files")

    @staticmethod
    def send(capture, first, count):
        for at in range(first, first + count, 500):
            live.send(live.Shape(500, first=at))
            capture.wait_stats(lambda stats, at=at: stats["written"] >= at + 500,
                               "packets are written")

    def test_files_that_expired_take_no_memory(self):
        """From 2,000 files on (10,000 in the long run), 2,000 (20,000) more need none."""
        unit = 10_000 if live.LONG else 2_000
        capture, opener = self.begin("-b", "files:2")
        processes = capture.process.pid, opener
        self.send(capture, 0, unit)
        before = [resident(process) for process in processes]
        self.send(capture, unit, 2 * unit)
        grown = [resident(process) - size for process, size in zip(processes, before)]
        self.report_of(capture.stop())
        self.assertEqual(len([name for name in os.listdir(self.path("out"))
                              if not name.startswith(".")]), 2)
        if not live.SANITIZED:
            self.assertLess(max(grown), 1 << 20)

    def test_files_that_nothing_removes_take_no_memory_of_the_opener(self):
        """2,500 would take 1 MB (30,000 in the long run: 12 MB)."""
        capture, opener = self.begin()
        self.send(capture, 0, 500)
        before = resident(opener)
        self.send(capture, 500, 30_000 if live.LONG else 2_500)
        grown = resident(opener) - before
        self.report_of(capture.stop())
        if not live.SANITIZED:
            self.assertLess(grown, 256 << 10)


if __name__ == "__main__":
    live.main()
