#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Files of live captures: they end by the clock when nothing comes, and exactly where they should.
"""
import contextlib
import os
import re
import signal
import subprocess

import e2e
import live


class Clock(live.Test):
    def published(self, directory):
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))

    def holds(self, directory, shape):
        """How many packets the files with a name hold; the clock may have parted the burst."""
        files = [os.path.join(directory, one) for one in self.published(directory)]
        return live.check(shape, files)["packets"] if files else 0

    def test_a_period_ends_without_packets(self):
        """One burst, then silence: its file gets its name although nothing follows."""
        for name, option in (("a.pcap", "interval:0.3"), ("b-{seq}.pcapng", "duration:0.3")):
            with self.subTest(option):
                directory = self.path(option.replace(":", "-"))
                os.mkdir(directory)
                capture = self.capture("-i", "in", "-w", os.path.join(directory, name), "-b",
                                       option)
                shape = live.Shape(500)
                live.send(shape)
                capture.wait_seen(shape.count)
                capture.wait_until(lambda: self.holds(directory, shape) == shape.count,
                                   "all packets are in files with a name")
                first = self.published(directory)
                self.assert_no_parts(directory)
                more = shape.part(500, 300)  # after the silence the capture goes on in a new file
                live.send(more)
                capture.wait_seen(800)
                report = self.report_of(capture.stop())
                files = self.files_of(report)
                self.assertEqual(sorted(files), [os.path.join(directory, one)
                                                 for one in self.published(directory)])
                self.assertGreater(len(files), len(first))
                self.expect_all(live.Shape(800), files)

    def is_opener(self, process):
        with open(f"/proc/{process}/comm") as file:
            return file.read().strip() == "cw-opener"

    def test_the_end_of_the_opener_ends_an_idle_capture(self):
        """The packets stay in the unfinished file, which is named with the command to read it."""
        path = self.path("a.pcap")
        capture = self.capture("-i", "in", "-w", path, "-b", "packets:100")
        shape = live.Shape(150)
        live.send(shape)
        capture.wait_until(lambda: os.path.exists(self.path("a.00001.pcap")), "a file is named")
        opener, = filter(self.is_opener, e2e.children_of(capture.process.pid))
        os.kill(opener, signal.SIGKILL)
        done = capture.wait()
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertEqual(done.err.count("the process that opens files has ended: capweir stops"), 1)
        part, = (name for name in os.listdir(self.directory) if name.endswith(".part"))
        self.assertRegex(done.err, f'{re.escape(part)}: "capweir repair" reads it')
        self.assertNotIn("twice a second", done.err)
        os.rename(self.path(part), path)
        self.expect_all(shape, [self.path("a.00001.pcap"), path])

    def test_a_run_ends_with_its_last_file(self):
        """By the clock. What comes after the first file's period is left out."""
        shape = live.Shape(100)
        capture = self.capture("-i", "in", "-f", "udp", "-w", self.path("a.pcap"), "-f", "udp",
                               "-w", self.path("b.pcap"), "-G", "0.3", "-W", "1")
        live.send(shape)
        report = self.report_of(capture.wait())
        self.assertEqual([os.path.basename(file) for file in self.files_of(report)],
                         ["a.pcap", "b.pcap"])
        for rule in report["rules"]:
            self.assertEqual(rule["written"] + rule["left_out_total"], rule["matched"])
            self.assertEqual(len(e2e.read_capture(rule["files"][0]).packets), rule["written"])
            self.assertGreater(rule["written"], 0)

    def test_periods_in_full_flow(self):
        """Every file holds one period's packets only, and all are there."""
        shape = live.Shape(e2e.scaled(60_000, 10_000))
        directory = self.path("out")
        os.mkdir(directory)
        capture = self.capture("-i", "in", "-w", os.path.join(directory, "{seq}.pcap"), "-b",
                               "interval:0.05", "-b", "packets:9000", "--queues", 2, "--order",
                               "time", "--block-timeout", 300, "-B", 65536)
        # Sending takes half a second at least, ten periods. The rings hold it all.
        live.send(shape, rate=2 * shape.count, core=min(os.sched_getaffinity(0)))
        capture.wait_seen(shape.count)
        report = self.report_of(capture.stop())
        files = self.files_of(report)
        self.expect_all(shape, files)
        self.assertGreater(len(files), 5)
        for file in files:
            packets = e2e.read_capture(file).packets
            self.assertEqual(len({one.ts_ns // 50_000_000 for one in packets}), 1, file)

    def test_two_thousand_rotations(self):
        shape = live.Shape(e2e.scaled(40_000, 10_000))
        capture = self.capture("-i", "in", "-w", self.path("{seq}.pcap"), "-b", "packets:20",
                               "-C", "100k", "-b", "interval:1", "-B", 65536, "--sync", "off",
                               "--drain-timeout", 600)
        live.send(shape)
        capture.wait_seen(shape.count)
        report = self.report_of(capture.stop())
        self.assertGreaterEqual(len(self.files_of(report)), shape.count // 20)
        self.expect_all(shape, self.files_of(report))
        self.assert_no_parts()


class Numbers(live.Test):
    """A run goes on behind the files of earlier ones."""

    def run_once(self, name, first, count, *more):
        capture = self.capture("-i", "in", "-o", self.path("out"), "-w", name, "-b", "packets:10",
                               *more)
        live.send(live.Shape(count, first=first))
        capture.wait_seen(count)
        return [os.path.relpath(file, self.path("out"))
                for file in self.files_of(self.report_of(capture.stop()))]

    def test_names_go_on_behind_the_highest_number(self):
        os.mkdir(self.path("out"))
        for other in ("b.00009.pcap", "a.00099.pcapng", "a.x.pcap", "a.99999999999.pcap"):
            self.write(f"out/{other}", b"")
        self.assertEqual(self.run_once("a.pcap", 0, 15), ["a.00001.pcap", "a.00002.pcap"])
        self.assertEqual(self.run_once("a.pcap", 15, 25),
                         ["a.00003.pcap", "a.00004.pcap", "a.00005.pcap"])
        self.write("out/a.77.pcap", b"theirs")
        self.assertEqual(self.run_once("a.pcap", 40, 5), ["a.00078.pcap"])
        self.expect_all(live.Shape(45), [self.path("out", f"a.{number:05}.pcap")
                                         for number in (1, 2, 3, 4, 5, 78)])

    def test_so_do_those_with_seq_in_any_folder(self):
        for wanted in (["d0/x-000.pcap", "d1/x-001.pcap"], ["d2/x-002.pcap", "d3/x-003.pcap"]):
            os.makedirs(self.path("out"), exist_ok=True)
            self.assertEqual(self.run_once("d{seq}/x-{seq:03}.pcap", 0, 15), wanted)
        self.assertEqual(self.run_once("{iface}/a.pcap", 0, 5), ["in/a.00001.pcap"])
        self.assertEqual(self.run_once("{iface}/a.pcap", 0, 5), ["in/a.00002.pcap"])

    def test_a_reload_that_begins_to_rotate_begins_numbered_files(self):
        os.mkdir(self.path("out"))
        self.write("out/a.00004.pcap", b"theirs")
        rules = self.write("rules.yaml", e2e.rules_yaml([("a", "", {"write": "a.pcap"})]))
        capture = self.capture("-i", "in", "-o", self.path("out"), "-R", rules)
        live.send(live.Shape(10))
        capture.wait_seen(10)
        for rotate, outputs in (("{packets: 10}", "0 kept, 1 new"), ("{packets: 5}", "1 kept")):
            self.write("rules.yaml", e2e.rules_yaml([("a", "", {"write": "a.pcap",
                                                                "rotate": rotate})]))
            capture.signal(signal.SIGHUP)
            capture.wait_line(f"outputs: {outputs}")
        live.send(live.Shape(10, first=10))
        capture.wait_seen(20)
        report = self.report_of(capture.stop())
        self.assertEqual(sorted(os.path.basename(file) for file in self.files_of(report)),
                         ["a.00005.pcap", "a.00006.pcap", "a.pcap"])
        self.expect_all(live.Shape(20), [self.path("out", name) for name in
                                         ("a.pcap", "a.00005.pcap", "a.00006.pcap")])


class Rings(live.Test):
    def begin(self, *arguments):
        directory = self.path("ring")
        os.mkdir(directory)
        capture = self.capture("-i", "in", "-w", os.path.join(directory, "{seq}.pcap"), "-b",
                               "packets:100", "-b", "files:3", *arguments)
        return directory, capture

    def send(self, capture, first, count):
        live.send(live.Shape(count, first=first))
        capture.wait_seen(first + count)

    def names(self, directory):
        return sorted(name for name in os.listdir(directory) if name.endswith(".pcap"))

    def test_a_ring_of_a_long_run(self):
        directory, capture = self.begin("--queues", 2)
        shape = live.Shape(e2e.scaled(30_000, 5000))
        live.send(shape)
        capture.wait_seen(shape.count)
        report = self.report_of(capture.stop())
        files = self.files_of(report)
        self.assertEqual(len(files), 3)
        self.assertEqual(sorted(files), [os.path.join(directory, one)
                                         for one in self.names(directory)])
        self.assert_no_parts(directory)
        kept = sum(len(e2e.read_capture(file).packets) for file in files)
        self.assertEqual(report["books"]["in_files"], kept)
        self.assertEqual(report["books"]["expired"], shape.count - kept)
        self.assertEqual(report["rules"][0]["written"], shape.count)

    def test_files_that_others_removed_or_replaced(self):
        """What is gone is gone; what took its place stays, and that is told."""
        directory, capture = self.begin()
        self.send(capture, 0, 350)
        wanted = [os.path.join(directory, f"{index}.pcap") for index in (1, 2)]
        capture.wait_until(lambda: all(map(os.path.exists, wanted)), "files")
        os.unlink(wanted[0])
        os.rename(wanted[1], wanted[1] + ".mine")
        with open(wanted[1], "w") as file:
            file.write("theirs")
        self.send(capture, 350, 650)
        report = self.report_of(capture.stop(), 1)
        with open(wanted[1]) as file:
            self.assertEqual(file.read(), "theirs")
        self.assertIn("was replaced", capture.text())
        self.assertTrue(os.path.exists(wanted[1] + ".mine"))
        self.assertEqual(report["books"]["lost"], 0)
        # 3 files of the ring, and that which could not be removed
        self.assertEqual(report["books"]["in_files"], 400)

    def test_a_ring_on_a_small_disk(self):
        """Room for two files and a half: weeks of capture fit, as long as it is written so fast."""
        with e2e.tmpfs(self.path("disk"), "size=900k"):
            capture = self.capture("-i", "in", "-w", self.path("disk", "{seq}.pcapng"), "-C",
                                   "200k", "-b", "files:3", "-t", 2)
            shape = live.Shape(e2e.scaled(20_000, 8000), size=400)
            live.send(shape)
            capture.wait_seen(shape.count)
            report = self.report_of(capture.stop())
            self.assertEqual(report["rules"][0]["written"], shape.count)
            self.assertEqual(len(self.files_of(report)), 3)


class Compressed(live.Test):
    def unpacked(self, path):
        e2e.need("zstd")
        plain = self.path("plain-" + os.path.basename(path))
        subprocess.run(["zstd", "-q", "-d", "-f", path, "-o", plain], check=True)
        return plain

    def test_everything_is_there(self):
        shape = live.Shape(e2e.scaled(40_000, 10_000), size=300)
        for name in ("all.pcap.zst", "{seq}.pcapng.zst"):
            directory = self.path("ng" if "ng" in name else "classic")
            os.mkdir(directory)
            capture = self.capture("-i", "in", "-w", os.path.join(directory, name), "-C", "2000k",
                                   "-b", "interval:1", "-B", 65536)
            live.send(shape)
            capture.wait_seen(shape.count)
            report = self.report_of(capture.stop())
            self.assertGreater(len(self.files_of(report)), 1)
            self.expect_all(shape, [self.unpacked(file) for file in self.files_of(report)])

    def test_a_disk_that_is_full_for_a_while(self):
        """It goes on in the same file, behind its last whole packet."""
        shape = live.Shape(e2e.scaled(60_000, 20_000), size=700)
        with e2e.tmpfs(self.path("disk"), "size=20m"):
            path, ballast = self.path("disk", "a.pcap.zst"), self.path("disk", "ballast")
            with open(ballast, "wb") as file, contextlib.suppress(OSError):
                file.write(bytes((20 << 20) - (96 << 10)))
            capture = self.capture("-i", "in", "-w", path, "-B", 65536)
            sent = shape.count // 2
            live.send(shape.part(0, sent))
            capture.wait_line("until writing works again")
            os.unlink(ballast)
            while "is written again" not in capture.text():
                live.send(shape.part(sent, 100))
                sent += 100
                capture.wait_seen(sent)
            live.send(shape.part(sent, shape.count - sent))
            capture.wait_seen(shape.count)
            report = self.report_of(capture.stop(), 1)
            rule = report["rules"][0]
            self.assertGreater(rule["lost"]["disk_full"], 0)
            self.assertEqual(rule["lost_total"], rule["lost"]["disk_full"])
            plain = self.unpacked(path)
            self.expect(live.check(shape, [plain]), packets=rule["written"],
                        missing=rule["lost_total"], first=0, last=shape.count - 1)


if __name__ == "__main__":
    live.main()
