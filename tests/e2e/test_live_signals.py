#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How a capture is ended and asked by signals, alone, in groups and by other programs."""
import os
import signal
import subprocess

import e2e
import live

SOME = 500
TIMES = 200 if live.LONG else e2e.scaled(12, 3)


class Signals(live.Test):
    def begin(self, *arguments, hangup=signal.SIG_DFL, **options):
        """A capture that has taken some packets."""
        self.file = self.path("all.pcap")
        self.shape = live.Shape(SOME)
        capture = self.capture("-i", "in", "-w", self.file, *arguments,
                               signals=[(signal.SIGHUP, hangup)], **options)
        live.send(self.shape)
        capture.wait_seen(SOME)
        return capture

    def check_whole(self, capture):
        """It ends with exit 0 and one file, with everything in it."""
        done = capture.wait()
        report = self.report_of(done)
        self.assertEqual(report["books"]["in_files"], SOME)
        self.expect_all(self.shape, [self.file])
        self.assert_no_parts()
        self.assertNotIn("aborted", done.err)
        os.unlink(self.file)
        return done

    def test_several_at_once_are_one_request(self):
        for numbers in ((signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT),
                        (signal.SIGTERM, signal.SIGTERM, signal.SIGTERM),
                        (signal.SIGHUP, signal.SIGTERM, signal.SIGALRM)):
            with self.subTest(numbers):
                capture = self.begin()
                for number in numbers:
                    capture.signal(number)
                done = self.check_whole(capture)
                self.assertEqual(done.err.count("stopping: "), 1, done.err)

    def test_timeout_signals_a_capture_twice(self):
        for _ in range(TIMES):
            capture = self.begin(under=("timeout", "3600"))
            capture.process.terminate()  # as at its limit: the child, then the process group
            self.check_whole(capture)

    def test_a_group_is_signalled_with_its_helpers(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            capture = self.begin("-z", "true", start_new_session=True)
            os.killpg(capture.pid, number)
            os.killpg(capture.pid, number)
            done = self.check_whole(capture)
            self.assertNotIn("hook", done.err)

    def test_other_signals_that_would_end_it_finish_it(self):
        rare = (signal.SIGALRM, signal.SIGXCPU, signal.SIGPWR, signal.SIGRTMIN, signal.SIGRTMAX)
        for number in rare:
            with self.subTest(number):
                capture = self.begin()
                capture.signal(number)
                self.check_whole(capture)

    def test_a_hangup_ends_a_capture_without_rules(self):
        capture = self.begin()
        capture.signal(signal.SIGHUP)
        self.check_whole(capture)

    def test_a_hangup_that_is_ignored_at_the_start_changes_nothing(self):
        capture = self.begin(hangup=signal.SIG_IGN)
        capture.signal(signal.SIGHUP)
        capture.stats()  # answered after the hangup was read
        capture.signal(signal.SIGTERM)
        self.check_whole(capture)

    def test_a_stop_by_another_cause_takes_no_signal_for_the_second(self):
        socket = self.path("control")
        capture = self.begin("--control", socket, "-z", self.slow_hook())
        subprocess.run([e2e.CAPWEIR, "control", "--control", socket, "stop"], check=True,
                       capture_output=True, timeout=e2e.TIMEOUT)
        capture.wait_line("stopping by the control socket")
        capture.signal(signal.SIGINT)
        capture.wait_until(lambda: "stopping: " in capture.text() or
                           "waiting for hooks" in capture.text(), "the signal is answered")
        capture.signal(signal.SIGINT)
        self.hold.write(b"\n")
        self.check_whole(capture)

    def test_an_abort_publishes_what_is_written(self):
        """Nobody reads the FIFO; the other rule's packets are all in its file."""
        os.mkfifo(self.path("fifo"))
        fifo = os.open(self.path("fifo"), os.O_RDWR)
        self.addCleanup(os.close, fifo)
        shape = live.Shape(SOME, size=1000)
        capture = self.capture("-i", "in", "-f", "", "-w", self.path("fifo"), "-f", "", "-w",
                               self.path("file.pcap"), "-t", 2, json=False,
                               env=self.breaking_off())
        live.send(shape)
        capture.signal(signal.SIGTERM)
        capture.wait_line("stopping: ")

        def is_answered():  # not a second after the first one
            capture.signal(signal.SIGTERM)
            return "Waiting for rule1 -> " in capture.text()

        capture.wait_until(is_answered, "what the run waits for")
        capture.signal(signal.SIGINT)
        done = capture.wait()
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.assertIn(f"aborted: {SOME} packets", done.err)
        self.assert_no_parts()
        self.expect_all(shape, [self.path("file.pcap")])

    def slow_hook(self):
        """A hook that ends once it reads a line from `hold`."""
        os.mkfifo(self.path("hold"))
        self.hold = open(self.path("hold"), "r+b", buffering=0)
        self.addCleanup(self.hold.close)
        hook = self.write("hook", f"#!/bin/sh\nread -r none <{self.path('hold')}\n")
        os.chmod(hook, 0o755)
        return hook

    def test_sigusr2_writes_what_is_in_memory(self):
        capture = self.capture("-i", "in", "-w", self.path("all.pcap"))

        def parts():
            return [self.path(name) for name in os.listdir(self.directory) if ".part" in name]

        def size():
            return sum(map(os.path.getsize, parts()))

        with live.still(capture, "cw-keeper"):  # it flushes every second
            live.send(live.Shape(SOME))
            capture.wait_stats(lambda stats: stats["received"] == SOME, "all is taken in")
            before = size()
            self.assertLess(before, SOME * 60)
            capture.signal(signal.SIGUSR2)
            capture.wait_until(lambda: size() > before, "it is written")
            self.assertEqual(len(e2e.read_capture(parts()[0]).packets), SOME)
        self.report_of(capture.stop())


if __name__ == "__main__":
    live.main()
