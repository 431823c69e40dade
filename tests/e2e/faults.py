# SPDX-License-Identifier: BSD-3-Clause
"""Runs with a fault, and with a second output that must stay complete."""
import fcntl
import functools
import os
import select
import termios
import time

import e2e

COUNT = e2e.scaled(6000, 6000)  # more than a small pool or disk holds
THREADS = (1, 4)
F_SETPIPE_SZ = 1031


def read_all(path):
    with open(path, "rb") as file:
        return file.read()


class Brake:
    """A FIFO output that holds the run until it is released."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self.fd, F_SETPIPE_SZ, 4096)

    def wait_full(self, process):
        """Wait until the pipe's only page is used: the next write blocks until somebody reads."""
        e2e.wait_until(lambda: fcntl.ioctl(self.fd, termios.FIONREAD, b"\0" * 4) != b"\0" * 4,
                       "something is in the pipe", process)

    def drain(self, process):
        """The bytes until the writer ends."""
        content = b""
        end = time.monotonic() + e2e.TIMEOUT
        while time.monotonic() < end:
            ready, _, _ = select.select([self.fd], [], [], 0.05)
            try:
                data = os.read(self.fd, 1 << 20) if ready else None
            except BlockingIOError:
                data = None
            if data:
                content += data
            elif process.poll() is not None:
                return content
        process.kill()
        raise AssertionError("the run does not end after the brake was released")

    def close(self):
        os.close(self.fd)


def without_leak_reports():
    """The environment of an aborted run, which does not join its threads."""
    options = os.environ.get("TSAN_OPTIONS", "")
    return dict(os.environ, TSAN_OPTIONS=options + ":report_thread_leaks=0")


@functools.cache
def traffic():
    """(packets, capture file of them, what every output keeps of them), made once."""
    packets = e2e.simple_packets(COUNT, size=200)
    content = e2e.pcap(packets)
    return packets, content, e2e.essence(e2e.parse_capture(content).packets)


class Test(e2e.Test):
    def setUp(self):
        super().setUp()
        self.packets, self.content, self.source = traffic()
        self.input = self.write("in.pcap", self.content)

    def other(self, name="other.pcap"):
        return ["-f", "udp port 1001", "-w", self.path(name)]

    def check_other(self, name="other.pcap"):
        """Check that the output without a fault is complete."""
        self.assertEqual(e2e.essence(e2e.read_capture(self.path(name)).packets),
                         self.source[1::10])

    def check_loss(self, report, done, name, cause, words, index=0):
        """Check that rule `index` lost packets for `cause` only, and that stderr says so."""
        rule = report["rules"][index]
        self.assertGreater(rule["lost"][cause], 0, rule)
        self.assertEqual(rule["lost_total"], rule["lost"][cause], rule)
        self.assertTrue(rule["error"], rule)
        lines = [line for line in done.err.splitlines() if "lost" in line and
                 f"{rule['lost_total']:,}" in line]
        self.assertTrue(lines, f"no line reports {rule['lost_total']:,} lost:\n{done.err}")
        self.assertTrue(any(name in line and any(word in line for word in words)
                            for line in lines), done.err)
        self.assertFalse(report["complete"])
