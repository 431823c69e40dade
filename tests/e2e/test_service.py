#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Under a service manager: it is told how the capture goes."""
import contextlib
import os
import signal
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

    def begin(self, *arguments, environment=(), **options):
        """A capture, and the manager that has heard that it is ready."""
        manager = self.listen(self.path("notify"))
        environment = dict(os.environ, NOTIFY_SOCKET=self.path("notify"), **dict(environment))
        capture = self.capture("-i", "in", *arguments, env=environment, **options)
        self.assertEqual(manager.recv(4096), b"READY=1")
        return manager, capture

    @staticmethod
    def next_state(manager):
        """The next message that is more than a status or a sign of life."""
        while True:
            text = manager.recv(4096).decode()
            if not text.startswith(("STATUS=", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=")):
                return text

    @staticmethod
    def waiting(manager):
        """All messages that have come."""
        found = []
        manager.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(manager.recv(4096).decode())
        manager.settimeout(live.PATIENCE_S)
        return found

    def test_ready_once_packets_are_taken_and_stopping_once_they_are_not(self):
        for address, name in ((self.path("notify"),) * 2, ("\0capweir-test", "@capweir-test")):
            manager = self.listen(address)
            environment = dict(os.environ, NOTIFY_SOCKET=name)
            capture = self.capture("-i", "in", "-w", self.path("all.pcap"), env=environment)
            self.assertEqual(manager.recv(4096), b"READY=1")
            self.assertEqual(manager.recv(4096), b"STATUS=0 packets; dropped by the kernel 0, by "
                             b"the interface 0; 1 rule, generation 1")
            live.send(live.Shape(100))  # what comes after READY is captured
            capture.wait_seen(100)
            capture.signal()
            self.assertEqual(self.next_state(manager), "STOPPING=1\nSTATUS=writing the rest")
            self.assertEqual(manager.recv(4096), b"EXTEND_TIMEOUT_USEC=40000000")
            report = self.report_of(capture.wait())
            self.assertEqual(report["books"]["in_files"], 100)

    def test_stopping_is_told_once_whatever_ends_the_run(self):
        control = self.path("control")
        for cause in ("signal", "control", "--duration", "-c"):
            with self.subTest(cause):
                more = {"--duration": ("--duration", 0.3), "-c": ("-c", 50)}.get(cause, ())
                manager, capture = self.begin("-w", self.path("all.pcap"), "--control", control,
                                              *more)
                if cause == "signal":
                    capture.signal()
                    capture.signal()
                if cause == "control":
                    e2e.capweir("control", "--control", control, "stop")
                if cause == "-c":
                    live.send(live.Shape(100))
                self.report_of(capture.wait())
                told = [text for text in self.waiting(manager) if "STOPPING=1" in text]
                self.assertEqual(len(told), 1, told)
                os.unlink(self.path("notify"))

    def test_reloads_are_told(self):
        """By the answer of the control socket the manager knows that the reload is over."""
        control, rules = self.path("control"), self.path("rules.yaml")
        good, bad = "rules: {a: {filter: udp, write: a.pcap}}", "rules: {a: {filter: upd}}"
        self.write("rules.yaml", good)
        manager, capture = self.begin("-R", rules, "-o", self.directory, "--control", control)
        for text, status, says in ((good, 0, "rules reloaded: generation"),
                                   (bad, 1, "rules not reloaded, generation")):
            self.write("rules.yaml", text)
            done = e2e.capweir("control", "--control", control, "reload")
            self.assertEqual(done.status, status, e2e.text_of(done))
            told = [one for one in self.waiting(manager) if not one.startswith("STATUS=")]
            self.assertRegex(told[0], r"\ARELOADING=1\nMONOTONIC_USEC=\d+\Z")
            self.assertRegex(told[1], rf"\AREADY=1\nSTATUS={says} [^\n]*\Z")
            self.assertEqual(len(told), 2, told)
            capture.signal(signal.SIGHUP)
            self.assertIn("RELOADING=1", self.next_state(manager))
            self.assertIn(f"READY=1\nSTATUS={says}", self.next_state(manager))
        self.report_of(capture.stop())

    def test_a_missing_interface_and_a_refused_reload_are_in_the_status(self):
        self.write("rules.yaml", "rules: {a: {filter: udp, write: a.pcap}}")
        manager, capture = self.begin("-i", "absent", "--wait-device", "-R",
                                      self.path("rules.yaml"), "-o", self.directory)
        self.assertRegex(manager.recv(4096), rb"STATUS=waiting for absent; 0 packets")
        self.write("rules.yaml", "rules: {a: {filter: upd}}")
        capture.signal(signal.SIGHUP)
        while b"; last reload refused" not in manager.recv(4096):
            pass
        self.report_of(capture.stop())

    def test_the_watchdog_hears_of_a_keeper_that_works(self):
        manager, capture = self.begin("-w", self.path("all.pcap"),
                                      environment={"WATCHDOG_USEC": "300000"})

        def wait_sign():
            while manager.recv(4096) != b"WATCHDOG=1":
                pass

        def looks():  # of the main thread, which asks more often while the keeper does not work
            with open(f"/proc/{capture.pid}/status") as file:
                return next(int(line.split()[1]) for line in file
                            if line.startswith("voluntary_ctxt_switches"))

        for _ in range(3):
            wait_sign()
        with live.still(capture, "cw-keeper"):
            for most in (1, 0):  # one for the round before
                end = looks() + 30
                capture.wait_until(lambda: looks() >= end, "the main thread looks")
                self.assertLessEqual(self.waiting(manager).count("WATCHDOG=1"), most)
        wait_sign()
        self.report_of(capture.stop())

    def test_the_watchdog_of_another_process_is_not_fed(self):
        manager, capture = self.begin("-w", self.path("all.pcap"), environment={
            "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"})
        capture.wait_ticks(3)
        self.assertNotIn("WATCHDOG=1", self.waiting(manager))
        self.report_of(capture.stop())

    def test_hooks_do_not_get_the_managers_variables(self):
        hook = self.write("hook", "#!/bin/sh\nenv >\"$1.env\"\n")
        os.chmod(hook, 0o755)
        _, capture = self.begin("-w", self.path("all.pcap"), "-z", hook, environment={
            "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"})
        self.report_of(capture.stop())
        environment = self.read("all.pcap.env")
        self.assertIn(b"CAPWEIR_RULE=", environment)
        for name in (b"NOTIFY_SOCKET", b"WATCHDOG"):
            self.assertNotIn(name, environment)

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
