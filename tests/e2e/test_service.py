#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Under a service manager: it is told how the capture goes, and the unit gives it little."""
import os
import re
import shutil
import socket
import subprocess

import e2e
import live

UNIT = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "service", "capweir@.service")


class Notify(live.Test):
    def listen(self, address):
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(manager.close)
        manager.bind(address)
        manager.settimeout(live.PATIENCE_S)
        return manager

    def test_ready_once_packets_are_taken_and_stopping_once_they_are_not(self):
        for address, name in ((self.path("notify"),) * 2, ("\0capweir-test", "@capweir-test")):
            manager = self.listen(address)
            environment = dict(os.environ, NOTIFY_SOCKET=name)
            capture = self.capture("-i", "in", "-w", self.path("all.pcap"), env=environment)
            self.assertEqual(manager.recv(100), b"READY=1")
            live.send(live.Shape(100))  # what comes after READY is captured
            capture.wait_seen(100)
            capture.signal()
            self.assertEqual(manager.recv(100), b"STOPPING=1")
            report = self.report_of(capture.wait())
            self.assertEqual(report["books"]["in_files"], 100)

    def test_a_run_that_does_not_start_is_never_ready(self):
        manager = self.listen(self.path("notify"))
        done = e2e.capweir("-i", "none", "-w", self.path("all.pcap"),
                           env=dict(os.environ, NOTIFY_SOCKET=self.path("notify")))
        self.assertNotEqual(done.status, 0)
        manager.setblocking(False)
        with self.assertRaises(BlockingIOError):
            manager.recv(100)

    def test_a_manager_that_cannot_be_reached_is_no_problem(self):
        for name in ("", "/", "@", "relative", self.path("none"), "/" + "x" * 200):
            self.run_ok("-i", "in", "--duration", "0.1", "-w", self.path("all.pcap"),
                        env=dict(os.environ, NOTIFY_SOCKET=name))


class Unit(e2e.Test):
    def setUp(self):
        super().setUp()
        e2e.need("systemd-analyze")

    def analyze(self, *arguments):
        return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True,
                              timeout=e2e.TIMEOUT, check=False)

    def test_unit_is_well_formed(self):
        # With the command that was built, and without the manual, which may not be installed.
        path = self.path("capweir@.service")
        with open(UNIT, encoding="utf-8") as file:
            text = file.read()
        text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={shutil.which('true')}", text)
        text = re.sub(r"(?m)^Documentation=.*\n", "", text)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        done = self.analyze("verify", path)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_unit_exposes_little(self):
        done = self.analyze("security", "--offline=true", UNIT)
        exposure = re.search(r"exposure level .*: ([0-9.]+)", done.stdout)
        self.assertTrue(exposure, done.stdout + done.stderr)
        self.assertLessEqual(float(exposure.group(1)), 2.0)


if __name__ == "__main__":
    live.main()
