# SPDX-License-Identifier: BSD-3-Clause
"""Live capture end to end: what was sent is in the files or counted, exactly."""
import os
import signal

import e2e
import live

COUNT = 10_000_000 if live.LONG else e2e.scaled(1_000_000)
PART = e2e.scaled(100_000, 5000)
SOME = e2e.scaled(20_000, 3000)


class Conservation(live.Test):
    """At a rate that fits, every packet is there once, intact, in its flow's order."""

    def conserve(self, shape, *arguments, output="all.pcap", rate=live.RATE, **expected):
        path = self.path(output)
        capture = self.capture("-i", "in", "-w", path, "-B", "65536", *arguments)
        live.send(shape, rate=rate)
        capture.wait_seen(shape.count)
        report = self.report_of(capture.stop())
        self.assertEqual(self.sum_of(report, "kernel_seen"), shape.count)
        self.assertEqual(self.sum_of(report, "kernel_dropped"), 0, report["queues"])
        self.assertEqual(self.sum_of(report, "left"), 0)
        self.assertEqual(report["books"]["lost"], 0)
        self.assertEqual(report["books"]["in_files"], shape.count)
        self.expect_all(shape, self.files_of(report), **expected)
        self.assert_no_parts()
        return report

    def used_queues(self, report):
        return sum(queue["received"] > 0 for queue in report["queues"])

    def test_one_queue_keeps_everything(self):
        report = self.conserve(live.Shape(PART), "--queues", 1)
        self.assertEqual(len(report["queues"]), 1)

    def test_two_queues_keep_a_million(self):
        report = self.conserve(live.Shape(COUNT, size=60, size_max=300), "--queues", 2)
        self.assertEqual(self.used_queues(report), 2)

    def test_four_queues_keep_everything(self):
        report = self.conserve(live.Shape(PART), "--queues", 4)
        self.assertEqual(self.used_queues(report), 4)


if __name__ == "__main__":
    live.main()
