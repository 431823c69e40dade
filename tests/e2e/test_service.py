#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Under a service manager: it is told how the capture goes."""
import os
import socket

import e2e
import live


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


if __name__ == "__main__":
    live.main()
