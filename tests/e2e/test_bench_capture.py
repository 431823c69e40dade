#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""capweir bench capture: on a cable of its own and on given devices; what it counts adds up."""
import errno
import json
import os
import subprocess
import unittest

import e2e
import live


class BenchCapture(live.Test):
    def setUp(self):
        super().setUp()
        self.out = self.path("out")
        os.mkdir(self.out)

    def bench(self, *arguments, status=0):
        done = e2e.capweir("bench", "capture", "-o", self.out, *arguments)
        self.assertEqual(done.status, status, e2e.text_of(done))
        self.assertEqual(os.listdir(self.out), [])
        return done

    def report(self, *arguments):
        return json.loads(self.bench("--json", "--repeat", 1, "--duration", 0.1, *arguments).out)

    def check(self, row, rules):
        """One round: what was sent was received or lost; each frame is one rule's."""
        self.assertGreater(row["offered"], 0)
        self.assertEqual(row["offered"], row["packets"] + row["dropped"])
        self.assertEqual((row["rules"], row["written"] + row["unwritten"]), (rules, row["packets"]))
        self.assertEqual(row["written_bytes"], row["written"] * row["packet_bytes"])

    def test_on_its_own_cable(self):
        before = subprocess.run(["ip", "-br", "link"], capture_output=True, check=True).stdout
        report = self.report("--pps", live.FLOW, "--frame-size", "60,1514", "--rule-count",
                             "1,20", "--queues", "1,2")
        after = subprocess.run(["ip", "-br", "link"], capture_output=True, check=True).stdout
        self.assertEqual(after, before)
        rows = [(row["packet_bytes"], row["rules"], row["program"], row["queues"])
                for row in report["results"]]
        self.assertEqual(rows, [(size, rules, program, queues) for size in (60, 1514)
                                for rules in (1, 20)
                                for program, queues in (("libpcap", 1), ("capweir", 1),
                                                        ("capweir", 2))])
        for row in report["results"]:
            self.check(row, row["rules"])
            self.assertGreater(row["cpu_ns_per_packet"], 0)
            if row["program"] == "capweir":
                self.assertEqual((row["dropped"], row["unwritten"]), (0, 0))

    def test_unpaced_losses_are_counted(self):
        for row in self.report("--rule-count", 8)["results"]:
            self.check(row, 8)

    def test_on_given_devices(self):
        report = self.report("-i", "in", "-i", "out", "--pps", 2000, "--frame-size", 100,
                             "--rule-count", 1)
        for row in report["results"]:
            self.check(row, 1)
            self.assertEqual(row["dropped"], 0)

    def test_on_a_device_where_others_send(self):
        sender = self.sender(live.Shape(100000), rate=2000)
        report = self.report("-i", "in", "--rule-count", 1)
        sender.stop()
        for row in report["results"]:
            self.assertNotIn("offered", row)
            self.assertEqual(row["traffic"], "in")
            self.assertGreater(row["packets"], 0)
            self.assertEqual((row["dropped"], row["written"]), (0, row["packets"]))

    def test_own_rules(self):
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [("all", "udp"), ("none", "tcp"), ("rest", "unmatched")],
            defaults={"write": "{rule}.pcap"}))
        for row in self.report("-R", rules, "--pps", 2000, "--frame-size", 60)["results"]:
            self.check(row, 2)

    def test_xdp(self):
        done = e2e.capweir("bench", "capture", "--backend", "xdp", "--pps", 2000, "--frame-size",
                           60,
                           "--rule-count", 1, "--repeat", 1, "--duration", 0.3, "--json", "-o",
                           self.out)
        if done.status and "AF_XDP" in done.err:
            self.skipTest(done.err.strip())
        self.assertEqual(done.status, 0, e2e.text_of(done))
        _, row = json.loads(done.out)["results"]
        self.assertEqual(row["program"], "capweir-xdp")
        self.check(row, 1)
        self.assertEqual(row["dropped"], 0)

    def test_mistakes_are_told(self):
        for arguments, status, says in (
                (["-i", "nodev0"], 1, "nodev0"),
                (["-i", "in", "-i", "nodev0"], 1, "nodev0"),
                (["-i", "in", "-i", "in", "-i", "in"], 2, "at most two interfaces"),
                (["--frame-size", "59"], 2, "60"),
                (["--frame-size", "1515"], 2, "1514"),
                (["--queues", "0"], 2, "--queues"),
                (["--backend", "pcap"], 2, "packet or xdp"),
                (["--duration", "3601"], 2, "3600"),
                (["--rule-count", "0"], 2, "--rule-count"),
                (["--pps", "0"], 2, "--pps"),
                (["word"], 2, "no other words"),
                (["--profile", "imix"], 2, "does not take --profile")):
            with self.subTest(arguments=arguments):
                done = self.bench("--repeat", 1, *arguments, status=status)
                self.assertIn(says, done.err)
                self.assertEqual(done.out, b"")

    def test_a_disk_that_fills_ends_it(self):
        """The natural program, which comes first, needs more than there is, however few it gets."""
        with e2e.tmpfs(self.path("small"), "size=64k") as small:
            done = e2e.capweir("bench", "capture", "--frame-size", 1514, "--rule-count", 1,
                               "--json", "--repeat", 1, "--duration", 0.3, "-o", small)
            self.assertEqual(done.status, 1, e2e.text_of(done))
            self.assertIn("libpcap: an output was not written completely", done.err)
            self.assertEqual((done.out, os.listdir(small)), (b"", []))

    @unittest.skipUnless("CAPWEIR_FAULT" in os.environ, "no library that lets calls fail here")
    def test_records_that_are_not_written_are_counted(self):
        """capweir writes by pwritev, which fails; libpcap does not."""
        done = e2e.finish(e2e.start(
            "bench", "capture", "-i", "in", "-i", "out", "--json", "--frame-size", 1514,
            "--rule-count", 1, "--repeat", 1, "--duration", 0.1, "-o", self.out,
            env={**os.environ, "LD_PRELOAD": os.environ["CAPWEIR_FAULT"],
                 "FAULT": f"pwritev:1:{errno.ENOSPC}:ever", "FAULT_CHILDREN": "1"}))
        self.assertEqual(done.status, 0, e2e.text_of(done))
        libpcap, capweir = json.loads(done.out)["results"]
        for row in (libpcap, capweir):
            self.check(row, 1)
        self.assertEqual(libpcap["unwritten"], 0)
        self.assertGreater(capweir["unwritten"], 0)

    def test_without_rights_it_says_so(self):
        if os.geteuid():
            self.skipTest("this is no root")
        os.chmod(self.directory, 0o755)
        os.chmod(self.out, 0o777)
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all",
                               e2e.CAPWEIR, "bench", "capture", "-i", "in", "--repeat", "1", "-o",
                               self.out], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "(?i)permi|rights|CAP_NET_RAW")


if __name__ == "__main__":
    live.main()
