#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Files of live captures: they end by the clock when nothing comes, and exactly where they should."""
import os
import time

import e2e
import live


class Clock(live.Test):
    def published(self, directory):
        return sorted(name for name in os.listdir(directory) if not name.startswith("."))

    def test_a_period_ends_without_packets(self):
        """One burst, then silence: its file gets its name although nothing follows."""
        for name, option in (("a.pcap", "interval:1"), ("b-{seq}.pcapng", "duration:1")):
            with self.subTest(option):
                directory = self.path(option.replace(":", "-"))
                os.mkdir(directory)
                capture = self.capture("-i", "in", "-w", os.path.join(directory, name), "-b",
                                       option)
                shape = live.Shape(500)
                live.send(shape)
                capture.wait_seen(shape.count)
                capture.wait_until(lambda: self.published(directory), "the file has its name", 10)
                time.sleep(0.3)
                first = self.published(directory)
                found = live.check(shape, [os.path.join(directory, one) for one in first])
                self.assertEqual(found["packets"], shape.count)
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

    def test_periods_in_full_flow(self):
        """Every file holds one period's packets only, and all are there."""
        shape = live.Shape(e2e.scaled(60_000, 10_000))
        directory = self.path("out")
        os.mkdir(directory)
        capture = self.capture("-i", "in", "-w", os.path.join(directory, "{seq}.pcap"), "-b",
                               "interval:0.05", "-b", "packets:9000", "--queues", 2, "--order",
                               "time", "-B", 65536)
        live.send(shape, rate=live.RATE // 4)
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
                               "-C", "100k", "-b", "interval:1", "-B", 65536)
        live.send(shape, rate=live.RATE // 4)
        capture.wait_seen(shape.count)
        report = self.report_of(capture.stop())
        self.assertGreaterEqual(len(self.files_of(report)), shape.count // 20)
        self.expect_all(shape, self.files_of(report))
        self.assert_no_parts()


if __name__ == "__main__":
    live.main()
