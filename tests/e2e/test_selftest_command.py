#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""capweir selftest: which devices it tests, what it sends, what it says."""
import json
import os
import shutil
import subprocess

import e2e
import live

MODES = ("basic", "filtered", "timestamp")


class Selftest(live.Test):
    def selftest(self, *arguments, status=0):
        result = e2e.capweir("selftest", "--json", *arguments)
        self.assertEqual(result.status, status, e2e.text_of(result))
        report = json.loads(result.out)
        self.assertEqual(report["works"], status == 0)
        return report

    def down(self, *names):
        for name in names:
            live.do_ip(f"link set {name} down")
            self.addCleanup(live.do_ip, f"link set {name} up")

    def test_each_mode_works_on_each_kind_of_device(self):
        for mode in MODES:
            for name in ("in", "lo"):
                report = self.selftest("-i", name, "--mode", mode)
                device, = report["devices"]
                self.assertEqual((report["mode"], device["device"]), (mode, name))
                self.assertEqual((device["sent"], device["seen"], device["expected"]),
                                 (16, 8, 8) if mode == "filtered" else (16, 16, 16))
                self.assertEqual(device["failure"], None)

    def test_its_own_cable_needs_no_device(self):
        before = subprocess.run(["ip", "-br", "link"], capture_output=True, check=True).stdout
        for mode in MODES:
            report = self.selftest("--own-cable", "--mode", mode)
            self.assertEqual(report["devices"][0]["device"], "cable1")
        after = subprocess.run(["ip", "-br", "link"], capture_output=True, check=True).stdout
        self.assertEqual(after, before)

    def test_a_device_without_link_layer(self):
        if live.ip("tuntap add dev tun8 mode tun", "link set tun8 up"):
            self.skipTest("tun devices cannot be made here")
        self.addCleanup(live.do_ip, "link del tun8")
        # Nobody has opened it: what is sent there is dropped, after capture saw it or before.
        report = e2e.capweir("selftest", "-i", "tun8")
        self.assertRegex(report.out.decode() + report.err, "tun8: (works|fails)")

    def test_the_first_success_ends_it_and_loopback_comes_last(self):
        devices = self.selftest()["devices"]
        self.assertEqual([one["works"] for one in devices], [False] * (len(devices) - 1) + [True])
        self.assertIn(devices[-1]["device"], ("in", "out"))
        self.down("in", "out")
        devices = self.selftest()["devices"]
        self.assertEqual(devices[-1]["device"], "lo")
        self.assertEqual([one["works"] for one in devices], [False] * (len(devices) - 1) + [True])
        self.assertGreaterEqual({one["device"] for one in devices}, {"in", "out", "lo"})

    def test_none_that_works_is_exit_1(self):
        self.down("in", "out", "lo")
        report = self.selftest(status=1)
        for device in report["devices"]:
            self.assertRegex(device["failure"], "ip link set .* up|cannot be")
        done = e2e.capweir("selftest")
        self.assertEqual(done.status, 1)
        self.assertIn("in: fails: interface in is down: bring it up with", done.out.decode())
        self.assertIn("works on none of", done.err)

    def test_words_for_people(self):
        for mode, words in zip(MODES, ("in: works: 16 of 16 packets seen (kernel ring)",
                                       "in: works: a filter passed 8 of 16 packets",
                                       "in: works: timestamps of 16 packets are correct and asc")):
            done = self.run_ok("selftest", "-i", "in", "--mode", mode)
            self.assertTrue(done.out.decode().startswith(words), done.out)
            self.assertEqual(done.err, "")

    def test_what_it_sends_is_for_nobody(self):
        """Seen from the other end of the cable: an experimental type, and our own address."""
        capture = self.capture("-i", "in", "-w", self.path("seen.pcap"))
        self.selftest("-i", "out")
        capture.wait_seen(16)
        self.report_of(capture.stop())
        frames = [one.data for one in e2e.read_capture(self.path("seen.pcap")).packets]
        device, = json.loads(self.run_ok("devices", "--json", "-i", "out").out)["devices"]
        own = bytes.fromhex(device["hardware_address"].replace(":", ""))
        self.assertEqual({(frame[:6], frame[6:12], frame[12:14]) for frame in frames},
                         {(own, own, b"\x88\xb5")})
        self.assertEqual(len(set(frames)), 16)

    def test_somebody_elses_packets_do_no_harm(self):
        sender = self.sender(live.Shape(10**8), rate=live.FLOW)
        for mode in MODES:
            self.selftest("-i", "in", "--mode", mode)
        report = self.selftest("-i", "in")
        self.assertGreater(report["devices"][0]["others"], 0)
        sender.stop()

    def test_a_device_that_takes_nothing(self):
        done = subprocess.run("tc qdisc add dev out root tbf rate 8bit burst 100 limit 100".split(),
                              capture_output=True, text=True)
        if done.returncode:
            self.skipTest(f"tc makes no such queue here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, "tc qdisc del dev out root".split())
        report = self.selftest("-i", "out", status=1)
        self.assertIn("is anything connected", report["devices"][0]["failure"])

    def test_without_rights_it_says_which(self):
        if os.geteuid() or not shutil.which("setpriv"):
            self.skipTest("only root can run it as somebody else, with setpriv")
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all",
                               "--bounding-set=-all", "--", e2e.CAPWEIR, "selftest"],
                              capture_output=True, text=True, timeout=e2e.TIMEOUT)
        if done.returncode in (126, 127) or "setpriv" in done.stderr:
            self.skipTest(f"nobody may not run it: {done.stderr.strip()}")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, "in: fails: .*CAP_NET_RAW")

    def test_what_is_refused(self):
        for says, arguments in (("--mode takes", ["--mode", "odd"]),
                                ("-i no-such: no interface", ["-i", "no-such"]),
                                ("no such", ["-i", "any"]),
                                ("one interface", ["-i", "in", "-i", "lo"]),
                                ("not both", ["-i", "in", "--own-cable"]),
                                ("no words", ["in"]), ("does not belong", ["-w", "x.pcap"])):
            done = e2e.capweir("selftest", *arguments)
            self.assertEqual((done.status, done.out), (2, b""), (arguments, done.err))
            self.assertIn(says, done.err)


if __name__ == "__main__":
    live.main()
