#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A capture's files are those of split over the packets that were sent, whatever is asked.

Live, the kernel filters, truncates and takes one direction, and the interface keeps VLAN tags
beside the frames; offline there is none of that. Filters see complete packets all the same; then
come samples and limits, and records are truncated last. All captures of a test run side by side on
one interface and see the same frames. Timestamps differ from socket to socket: what is compared is
each record's length and bytes, in order.
"""
import os
import socket
import unittest

import e2e
import live

MARK = "0x4d41524b"
RULES = [
    ("s", f"udp[130:4] = {MARK}", {"write": "s.pcap", "sample": "1/7"}),
    ("l", "udp port 53", {"write": "l.pcap", "limit": "{packets: 11}"}),
    ("b", "udp port 54", {"write": "b.pcap", "limit": "{bytes: 1000}"}),
    ("n", f"udp and ip[150:4] = {MARK}", {"write": "n.pcap", "snaplen": 40}),
    ("v", "vlan 100", {"write": "v.pcap"}),
    ("j", "greater 5000", {"write": "j.pcapng"}),
    ("g", "greater 100", {"write": "g.pcapng"}),
    ("u", "unmatched", {"write": "u.pcap"}),
]
# Rules that cannot change: the kernel truncates to what they reach.
PAIRS = [("udp[130:4] = " + MARK, "s.pcap"), ("udp port 53", "l.pcap"), ("vlan 100", "v.pcap"),
         ("greater 5000", "j.pcapng"), ("unmatched", "u.pcap")]
# One filter: the kernel runs it, too. No packet has its ports after byte 78.
ONE = [("udp port 53", "l.pcap")]
ONE_REACH = 78 + 4  # and a VLAN tag that the kernel keeps beside the frame

RULES_RUNS = [[], ["-Q", "in"], ["-Q", "out"], ["-c", 33], ["-s", 34], ["-s", 34, "-c", 20],
              ["-s", 10], ["-Q", "out", "-s", 34], ["--block-size", 4096], ["-t", 4],
              ["--order", "time"], ["--filter-engine", "walker", "-s", 34]]
PAIRS_RUNS = [["-s", 34], ["-s", 10], ["-s", 100], ["-Q", "in", "-s", 34], ["-s", 34, "-c", 20],
              ["--block-size", 4096, "-s", 34], ["--kernel-filter", "off", "-s", 34]]
ONE_RUNS = [[], ["-s", 34], ["-s", 10], ["-s", 34, "-c", 7], ["-Q", "out", "-s", 34]]
PCAP_RUNS = [("rules", []), ("rules", ["-Q", "in", "-s", 34]), ("pairs", ["-s", 34]),
             ("pairs", ["-s", 10, "-Q", "out"]), ("one", ["-s", 34]), ("one", ["-s", 34, "-c", 7])]
XDP_RUNS = [("rules", ["-s", 34]), ("pairs", ["-s", 34, "-c", 20]), ("one", ["-s", 10])]
LIVE_ONLY = ("-Q", "--backend", "--block-size", "--kernel-filter", "--queues", "-i", "-B", "-t",
             "--order")


def frames(first, count, size=200):
    """UDP to ports 53, 54 and 55, every other with a mark far behind; some in a VLAN, some long."""
    for number in range(first, first + count):
        payload = bytearray((number % 251,)) * (size - 42)
        payload[122:126] = b"MARK" if number % 2 else b"NONE"
        frame = e2e.udp_frame(0x0a000001, 0x0a000002, 1000 + number, 53 + number % 3, payload)
        yield frame[:12] + b"\x81\0\0\x64" * (number % 5 == 4) + frame[12:]


COMING = [*frames(0, 50), *frames(50, 3, 8015)]
GOING = [*frames(60, 40), *frames(100, 3, 8015)]


class Run:
    """A capture with its options, and what it should have."""

    def __init__(self, test, kind, arguments, backend):
        self.test, self.kind, self.backend = test, kind, backend
        self.arguments = [*map(str, arguments)]
        self.name = f"{kind} {' '.join(self.arguments)} {backend}"
        way = self.arguments[self.arguments.index("-Q") + 1] if "-Q" in arguments else "inout"
        self.frames = COMING * (way != "out") + GOING * (way != "in" and backend != "xdp")
        self.offline = self.split()

    def outputs(self, folder):
        if self.kind == "rules":
            return ["-R", self.test.rules, "-o", folder]
        pairs = PAIRS if self.kind == "pairs" else ONE
        return [word for expression, name in pairs
                for word in ("-f", expression, "-w", os.path.join(folder, name))]

    def folder(self, kind):
        folder = self.test.path(f"{self.name}, {kind}".replace("/", ""))
        os.mkdir(folder)
        return folder

    def split(self):
        folder = self.folder("offline")
        path = self.test.write("sent.pcap", e2e.pcap(
            [(e2e.NS + number, data) for number, data in enumerate(self.frames)]))
        words = iter(self.arguments)
        arguments = [word for word in words if word not in LIVE_ONLY or not next(words)]
        self.test.run_ok("split", "-q", "-r", path, *self.outputs(folder), *arguments)
        return self.records(folder)

    @staticmethod
    def records(folder):
        return {name: [(one.len, one.data) for one in
                       e2e.read_capture(os.path.join(folder, name)).packets]
                for name in sorted(os.listdir(folder))}

    def start(self):
        self.live = self.folder("live")
        self.capture = self.test.capture(
            "-i", "xin" if self.backend == "xdp" else "in", "--backend", self.backend, "-B", 4096,
            *self.outputs(self.live), *self.arguments,
            *["--queues", 1] * (self.backend == "packet"), wait=False)

    def finish(self):
        """The end, when it has seen everything; with -c by itself."""
        if "-c" not in self.arguments:
            # A filter in the kernel leaves the others out.
            self.capture.wait_seen(len(self.offline["l.pcap"]) if self.kind == "one"
                                   else len(self.frames))
            self.capture.signal()
        report = self.test.report_of(self.capture.wait())
        found = self.records(self.live)
        self.test.assertEqual(
            {name: len(packets) for name, packets in found.items()},
            {name: len(packets) for name, packets in self.offline.items()}, self.name)
        for name, packets in found.items():
            self.test.assertTrue(packets == self.offline[name], f"{self.name}: other {name}")
        if self.kind == "one" and "-s" in self.arguments and self.backend != "xdp":
            self.test.assertLessEqual(report["bytes"], ONE_REACH * report["packets"], self.name)


class SameOrder(live.Test):
    def setUp(self):
        super().setUp()
        self.rules = self.write("rules.yaml", e2e.rules_yaml(RULES))
        os.chmod(self.directory, 0o755)

    @staticmethod
    def send(device, what):
        """From one core: on two cores, two captures could see two frames in different orders."""
        cores = os.sched_getaffinity(0)
        live.wait_for_link(device)
        os.sched_setaffinity(0, {min(cores)})
        try:
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
                out.bind((device, 0))
                for frame in what:
                    out.send(frame)
        finally:
            os.sched_setaffinity(0, cores)

    def check(self, wanted):
        runs = [Run(self, kind, arguments, backend) for backend, kind, arguments in wanted]
        watch = Run(self, "pairs", [], "packet")
        for run in (watch, *runs):
            run.start()
        for run in (watch, *runs):
            run.capture.wait_ready()
        self.send("out", COMING)
        watch.capture.wait_seen(len(COMING))  # so that all captures see these before the others
        self.send("in", GOING)
        for run in (watch, *runs):
            run.finish()

    def test_kernel_rings(self):
        self.check([("packet", "rules", one) for one in RULES_RUNS])

    def test_kernel_rings_with_fixed_rules(self):
        self.check([("packet", "pairs", one) for one in PAIRS_RUNS] +
                   [("packet", "one", one) for one in ONE_RUNS])

    def test_libpcap(self):
        self.check([("pcap", *one) for one in PCAP_RUNS])

    def test_xdp(self):
        """On an interface with one queue: packets of several queues come in any order."""
        live.do_ip("link add xout numtxqueues 1 numrxqueues 1 type veth peer name xin numtxqueues 1"
                   " numrxqueues 1", "link set xout mtu 9000 arp off up",
                   "link set xin mtu 9000 arp off up")
        self.addCleanup(live.ip, "link del xout")
        for kind, arguments in XDP_RUNS:  # one at a time: nobody else sees the packets
            run = Run(self, kind, arguments, "xdp")
            run.start()
            try:
                run.capture.wait_ready()
            except AssertionError:
                if "AF_XDP" in run.capture.text():
                    raise unittest.SkipTest(run.capture.text().strip()) from None
                raise
            self.send("xout", COMING)
            run.finish()

    def test_the_traffic_means_something(self):
        """Each rule has packets, and most need bytes that -s 34 cuts off."""
        everything = Run(self, "rules", [], "packet").offline
        self.assertEqual(sorted(everything), sorted(rule[2]["write"] for rule in RULES))
        self.assertEqual([name for name, packets in everything.items() if not packets], ["u.pcap"])
        cut = self.write("cut.pcap", e2e.pcap_header() + b"".join(
            e2e.pcap_record(e2e.NS, frame[:34], len(frame)) for frame in COMING + GOING))
        folder = self.path("cut")
        os.mkdir(folder)
        self.run_ok("split", "-q", "-r", cut, "-R", self.rules, "-o", folder)
        self.assertEqual({name for name, packets in Run.records(folder).items() if packets},
                         {"v.pcap", "j.pcapng", "g.pcapng"})


if __name__ == "__main__":
    live.main()
