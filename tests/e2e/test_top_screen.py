#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""capweir top in a terminal (tmux, 80x24): bars, losses in red where they are, the bottleneck."""
import os
import re
import shutil
import subprocess

import e2e
import live

RED = re.compile(r"\x1b\[(?:[0-9]+;)*31")
ESCAPE = re.compile(r"\x1b[\[(][0-9;]*[A-Za-z]")
ANY_COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*3[0-7]")


class Top(live.Test):
    def setUp(self):
        super().setUp()
        if not shutil.which("tmux"):
            self.skipTest("tmux is not installed")
        self.socket = self.path("control")

    def tmux(self, *words):
        done = subprocess.run(["tmux", "-S", self.path("tmux"), *words], capture_output=True,
                              text=True, env=dict(os.environ, LC_ALL="C.UTF-8"))
        self.assertEqual(done.returncode, 0, f"{words}: {done.stderr}")
        return done.stdout

    def show(self, columns=80, lines=24, variable="NO_COLOR="):
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(lines),
                  f"{variable} {e2e.CAPWEIR} top --control {self.socket}; echo over $?; cat")
        self.addCleanup(subprocess.run, ["tmux", "-S", self.path("tmux"), "kill-server"],
                        capture_output=True)

    def wait_screen(self, words):
        """The screen, once it has all the words (expressions); with colours."""
        screen = ""

        def is_there():
            nonlocal screen
            screen = self.tmux("capture-pane", "-p", "-e")
            plain = ESCAPE.sub("", screen)
            return all(re.search(word, plain) for word in words)

        try:
            e2e.wait_until(is_there, words)
        except AssertionError as problem:
            raise AssertionError(f"{problem}\n{screen}")
        return screen

    def test_a_calm_capture(self):
        capture = self.capture("-i", "in", "-w", self.path("all.pcap"), "--control", self.socket,
                               "-t", 2, "--queues", 1)
        sender = self.sender(live.Shape(10**9), rate=2000)
        self.show()
        screen = self.wait_screen(["kernel in:0 .*[0-9]/s", "queue in:0", "worker 0", "worker 1",
                                   "chunks",
                                   "output rule1 .*[0-9]/s", "[1-9],?[0-9]* packets/s",
                                   "bottleneck: none: nothing is lost"])
        self.assertIsNone(RED.search(screen))
        self.assertIsNotNone(ANY_COLOUR.search(screen))
        self.assertEqual(max(len(line) for line in
                             self.tmux("capture-pane", "-p").splitlines()) <= 80, True)
        self.tmux("resize-window", "-x", "60", "-y", "8")
        self.wait_screen(["and [0-9]+ more"])
        self.tmux("send-keys", "q")
        self.wait_screen(["over 0"])
        sender.stop()
        self.report_of(capture.stop())

    def test_no_color_means_none(self):
        capture = self.capture("-i", "in", "-w", self.path("all.pcap"), "--control", self.socket)
        self.show(variable="NO_COLOR=1")
        screen = self.wait_screen(["worker 0", "bottleneck: none: nothing is lost"])
        self.assertIsNone(ANY_COLOUR.search(screen), screen)
        self.report_of(capture.stop())

    def test_a_slow_output_is_named_and_red(self):
        os.mkfifo(self.path("fifo"))
        reader = os.open(self.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        # The other output has one flow of 97, so that it needs no prompt writer.
        capture = self.capture("-i", "in", "-f", "udp", "-w", self.path("fifo"), "-f",
                               "src host 10.0.0.1", "-w", self.path("flow.pcap"), "--control",
                               self.socket, "--buffer", "1MiB", "--queues", 1)
        sender = self.sender(live.Shape(10**9, size=1000), rate=5000)
        self.show()
        screen = self.wait_screen(["bottleneck: output rule1: is written too slowly and loses",
                                   "output rule1 .*lost [0-9,]+/s",
                                   "output rule2 (?!.*lost)"])
        red = [line for line in screen.splitlines() if RED.search(line)]
        self.assertTrue(any("rule1" in line for line in red), screen)
        self.assertFalse(any("rule2" in line for line in red), screen)
        sender.stop()
        capture.kill()
        self.wait_screen(["the capture has ended"])

    def test_a_queue_that_drops_because_of_an_output(self):
        os.mkfifo(self.path("fifo"))
        reader = os.open(self.path("fifo"), os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        capture = self.capture("-i", "in", "-f", "udp", "-w", self.path("fifo"), "--control",
                               self.socket, "--buffer", "1MiB", "-B", 4096, "--block-size",
                               "256KiB",
                               "--queues", 1)
        sender = self.sender(live.Shape(10**9, size=1000), rate=5000)
        self.show()
        screen = self.wait_screen(["bottleneck: output rule1: written too slowly; the kernel "
                                   "drops [0-9]+/s", r"kernel in:0 .*\|\|\|\|.*lost [0-9,]+/s"])
        red = [line for line in screen.splitlines() if RED.search(line)]
        self.assertTrue(any("kernel in:0" in line for line in red), screen)
        sender.stop()
        capture.kill()

    def test_without_a_terminal_or_a_capture_it_says_so(self):
        done = e2e.capweir("top", "--control", self.socket)
        self.assertEqual(done.status, 2)
        self.assertIn("terminal", done.err)
        self.assertEqual(e2e.capweir("top").status, 2)
        self.show()
        self.wait_screen(["no running capture at", "over 1"])


if __name__ == "__main__":
    live.main()
