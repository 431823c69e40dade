#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""capweir replay: what arrives at the other end of a cable, when, and what is said of the rest."""
import contextlib
import fcntl
import gzip
import json
import os
import select
import shutil
import signal
import struct
import subprocess

import e2e
import live

NS = e2e.NS


class Receiver:
    """tcpdump on a device, until so many packets came."""

    def __init__(self, path, count, device="in"):
        self.path = path
        # Its ring has a place of the snapshot length for each packet: so it holds thousands.
        command = ["tcpdump", "-i", device, "-w", path, "-c", str(count), "-B", "65536", "-s",
                   "4000",
                   "--nano", "--immediate-mode", "-Q", "in"]
        if os.geteuid() == 0:
            command += ["-Z", "root"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        while "listening" not in line:
            if not line:
                raise AssertionError("tcpdump does not start")
            line = self.process.stderr.readline()

    def packets(self):
        try:
            self.process.communicate(timeout=live.PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGINT)
            raise AssertionError(f"tcpdump misses packets: {self.process.communicate()[1]}")
        return e2e.read_capture(self.path).packets

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class Replay(live.Test):
    def setUp(self):
        super().setUp()
        e2e.need("tcpdump")
        self.packets = e2e.simple_packets(500, size=40)
        self.datas = [data for _, data in self.packets]
        self.input = self.write("in.pcap", e2e.pcap(self.packets))

    def receiver(self, count, device="in"):
        receiver = Receiver(self.path("received.pcap"), count, device)
        self.addCleanup(receiver.stop)
        return receiver

    def replay(self, *arguments, status=0, device="out", **options):
        result = e2e.capweir("replay", "-i", device, *arguments, "--json", **options)
        self.assertEqual(result.status, status, e2e.text_of(result))
        report = json.loads(result.out)
        self.assertEqual(report["read"], report["sent"] + report["not_sent"])
        self.assertEqual(report["not_sent"], sum(report["failures"].values()))
        return report, result

    def expect_received(self, datas, *arguments, **options):
        receiver = self.receiver(len(datas))
        report, result = self.replay(*arguments, **options)
        self.assertEqual([one.data for one in receiver.packets()], datas)
        self.assertEqual((report["sent"], report["bytes"]), (len(datas), sum(map(len, datas))))
        return report, result

    # ---- bytes and order ----

    def test_bytes_and_order_from_every_kind_of_file(self):
        e2e.need("zstd")
        self.write("ns.pcap", e2e.pcap(self.packets, ns=True, order=">"))
        self.write("in.pcapng", e2e.section() + e2e.interface() +
                   b"".join(e2e.enhanced(0, ts // 1000, data) for ts, data in self.packets))
        self.write("in.pcap.gz", gzip.compress(self.read("in.pcap")))
        subprocess.run(["zstd", "-q", self.input, "-o", self.path("in.pcap.zst")], check=True)
        for name in ("in.pcap", "ns.pcap", "in.pcapng", "in.pcap.gz", "in.pcap.zst"):
            with self.subTest(name):
                self.expect_received(self.datas, "-r", self.path(name), "--topspeed")
        receiver = self.receiver(500)
        self.replay("-r", "-", "--topspeed", input=self.read("in.pcap"))
        self.assertEqual([one.data for one in receiver.packets()], self.datas)

    def test_files_one_after_the_other_and_again(self):
        other = e2e.simple_packets(70, size=3)
        path = self.write("other.pcap", e2e.pcap(other))
        datas = (self.datas + [data for _, data in other]) * 3
        self.expect_received(datas, "-r", self.input, "-r", path, "--loop", "3", "--pps", "50000")

    def test_generated_traffic_through_capweir_itself(self):
        """What can be sent of all kinds of frames arrives as it was, at full speed."""
        count = e2e.scaled(20000, 2000)
        path = e2e.generate(self.path("traffic.pcap"), count)
        capture = self.capture("-i", "in", "-w", self.path("received.pcap"), "-B", "65536")
        report, _ = self.replay("-r", path, "--topspeed", status=1)
        capture.wait_seen(report["sent"])
        self.report_of(capture.stop())
        whole = [one.data for one in e2e.read_capture(path).packets
                 if one.caplen >= one.len and one.caplen >= 14]
        self.assertEqual(len(whole), report["sent"])
        self.assertEqual([one.data for one in e2e.read_capture(self.path("received.pcap")).packets],
                         whole)
        self.assertGreater(report["failures"]["cut"], 0)

    def test_frames_with_vlan_tags_of_the_mtu(self):
        """A tag may come on top of the MTU."""
        plain = e2e.udp_frame(1, 2, 3, 4, b"x" * (9000 - 28))
        tagged = plain[:12] + b"\x81\0\0\x05" + plain[12:]
        path = self.write("long.pcap", e2e.pcap([(NS, plain), (NS, tagged)]))
        capture = self.capture("-i", "in", "-w", self.path("received.pcap"))
        self.replay("-r", path)
        capture.wait_seen(2)
        self.report_of(capture.stop())
        self.assertEqual([one.data for one in e2e.read_capture(self.path("received.pcap")).packets],
                         [plain, tagged])

    def test_a_device_without_link_layer(self):
        """Frames to a tun device are IP packets."""
        try:
            tun = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"tun9", 0x1001))  # without header
        except OSError as error:
            self.skipTest(f"tun devices cannot be made here: {error}")
        self.addCleanup(os.close, tun)
        live.do_ip("link set tun9 up")
        datas = [data[14:] for data in self.datas[:20]]
        datas.append(b"\x60" + bytes(5) + b"\x3b\x40" + bytes(32))
        path = self.write("raw.pcap", e2e.pcap([(NS, data) for data in datas],
                                               linktype=e2e.RAW))
        self.replay("-r", path, "--topspeed", device="tun9")
        received = []
        while select.select([tun], [], [], e2e.TIMEOUT if len(received) < len(datas) else 0)[0]:
            received.append(os.read(tun, 65536))
        self.assertEqual([one for one in received if one in datas], datas)

    def test_the_loopback_device(self):
        capture = self.capture("-i", "lo", "-w", self.path("received.pcap"))
        self.replay("-r", self.input, "--topspeed", device="lo")
        capture.wait_seen(500)
        self.report_of(capture.stop())
        self.assertEqual([one.data for one in e2e.read_capture(self.path("received.pcap")).packets],
                         self.datas)

    # ---- time ----

    def check_times(self, arguments, due_ns):
        """Nothing is early, and what is late is late by accident only: half of the packets by less
        than a quarter of the whole. At once, at half the pace or at twice it would be more."""
        receiver = self.receiver(len(due_ns))
        report, _ = self.replay("-r", self.path("timed.pcap"), *arguments)
        times = [one.ts_ns for one in receiver.packets()]
        late = sorted(time - due for time, due in zip(times, due_ns))
        self.assertLess(late[len(late) // 2] - late[0], due_ns[-1] // 4, late)
        # An early packet would make the whole shorter, but for how late the first one was.
        self.assertGreaterEqual(report["elapsed_s"] * NS, due_ns[-1])
        self.assertGreaterEqual(report["late_ns"]["max"], report["late_ns"]["mean"])

    def test_the_pace_of_the_files_times_or_a_rate(self):
        gaps = [1, 9, 2, 0, 30, 4, 4, 4, 10, 1, 1, 1, 20, 2, 8, 3] * 2
        times = [1_700_000_000 * NS]
        for gap in gaps:
            times.append(times[-1] + gap * 1_000_000)
        self.write("timed.pcap", e2e.pcap([(ts, self.datas[index])
                                           for index, ts in enumerate(times)], ns=True))
        relative = [ts - times[0] for ts in times]
        self.check_times([], relative)
        self.check_times(["--speed", "2"], [one // 2 for one in relative])
        self.check_times(["--speed", "0.5"], [one * 2 for one in relative])
        self.check_times(["--pps", "200"], [index * 5_000_000 for index in range(len(times))])

    def test_times_that_go_backwards_wait_for_nothing(self):
        times = [5, 4, 3, 6, 1, 5, 6]
        path = self.write("back.pcap", e2e.pcap([(10 * NS + ts * 10_000_000, data) for ts, data
                                                 in zip(times, self.datas)]))
        report, _ = self.expect_received(self.datas[:7], "-r", path)
        self.assertGreaterEqual(report["elapsed_s"], 0.01)
        self.assertLess(report["late_ns"]["mean"], 60 * NS)

    def test_a_report_that_cannot_be_written_is_exit_1(self):
        for more, status in (((), 1), (("-q",), 0)):
            with open("/dev/full", "wb") as full:
                done = e2e.capweir("replay", "-i", "out", "-r", self.input, "--topspeed", *more,
                                   stderr=full)
            self.assertEqual(done.status, status, more)

    # ---- what is not sent ----

    def test_what_cannot_be_sent_is_counted_by_cause(self):
        whole, long = self.datas[0], e2e.udp_frame(1, 2, 3, 4, b"x" * 9100)
        content = (e2e.pcap([(NS, whole), (NS, long), (NS, b"short")]) +
                   e2e.pcap_record(NS, whole[:50], length=80) + e2e.pcap_record(NS, b"") +
                   e2e.pcap_record(NS, whole))
        path = self.write("odd.pcap", content)
        report, result = self.expect_received([whole, whole], "-r", path, status=1)
        self.assertEqual({name: count for name, count in report["failures"].items() if count},
                         {"cut": 1, "too_long": 1, "malformed": 1, "refused": 1})
        for words in ("--cut send", "mtu", "empty", "Invalid argument"):
            self.assertIn(words, result.err)
        report, _ = self.expect_received([whole, whole[:50], whole], "-r", path, "--cut", "send",
                                         status=1)
        self.assertEqual(report["failures"]["cut"], 0)

    def test_link_types_must_suit(self):
        raw = self.write("raw.pcap", e2e.pcap([(NS, self.datas[0][14:])], linktype=e2e.RAW))
        done = e2e.capweir("replay", "-r", raw, "-i", "out")
        self.assertEqual((done.status, done.out), (2, b""), e2e.text_of(done))
        self.assertRegex(done.err, r"raw.pcap has packets of link type RAW.*EN10MB only")
        self.expect_received([self.datas[0][14:]], "-r", raw, "-y", "EN10MB")
        both = self.write("both.pcapng", e2e.section() + e2e.interface() +
                          e2e.interface(linktype=e2e.RAW) + e2e.enhanced(0, 1, self.datas[0]) +
                          e2e.enhanced(1, 2, self.datas[1][14:]) +
                          e2e.enhanced(0, 3, self.datas[2]))
        report, result = self.expect_received([self.datas[0], self.datas[2]], "-r", both, status=1)
        self.assertEqual(report["failures"]["link_type"], 1)
        self.assertIn("another link type", result.err)

    def test_a_damaged_file_is_sent_up_to_the_damage(self):
        content = self.read("in.pcap")
        path = self.write("torn.pcap", content[:-30])
        _, result = self.expect_received(self.datas[:-1], "-r", path, "--topspeed", status=1)
        self.assertIn("torn.pcap", result.err)

    def test_resync_sends_what_follows_damage(self):
        content = self.read("in.pcap")
        path = self.write("hurt.pcap", content + b"\xff" * 20 + content[24:])
        _, result = self.expect_received(self.datas, "-r", path, "--topspeed", status=1)
        self.assertIn("With --resync, reading continues after the damage", result.err)
        report, result = self.expect_received(self.datas * 2, "-r", path, "--topspeed", "--resync",
                                              "--loop", "1", status=1)
        self.assertEqual(report["resynced"], {"places": 1, "bytes": 20})
        self.assertIn("resynced at 1 place, 20 bytes skipped", result.err)

    # ---- the end ----

    def start(self, *arguments, **options):
        process = e2e.start("replay", "-i", "out", "--json", *arguments, **options)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def test_a_signal_ends_waiting(self):
        path = self.write("slow.pcap", e2e.pcap([(NS, self.datas[0]), (4000 * NS, self.datas[1])]))
        for number in (signal.SIGINT, signal.SIGTERM):
            receiver = self.receiver(1)
            process = self.start("-r", path)
            self.assertEqual([one.data for one in receiver.packets()], self.datas[:1])
            process.send_signal(number)
            result = e2e.finish(process)  # the second packet is due in an hour
            self.assertEqual(result.status, 130, e2e.text_of(result))
            report = json.loads(result.out)
            self.assertEqual((report["read"], report["sent"], report["failures"]["unsent"]),
                             (2, 1, 1))
            self.assertTrue(report["stopped"])

    def test_a_signal_ends_what_would_never_end(self):
        for arguments in (["--loop", "0", "--topspeed"], ["--loop", "0", "--pps", "5000"]):
            receiver = self.receiver(1200)
            process = self.start("-r", self.input, *arguments)
            received = [one.data for one in receiver.packets()]
            if "--pps" in arguments:  # for ever at full speed, tcpdump loses some
                self.assertEqual(received, (self.datas * 3)[:1200])
            process.send_signal(signal.SIGINT)
            result = e2e.finish(process)
            self.assertEqual(result.status, 130, e2e.text_of(result))
            self.assertGreaterEqual(json.loads(result.out)["sent"], 1200)

    def test_a_signal_ends_waiting_for_a_pipe(self):
        with contextlib.ExitStack() as stack:
            reader, writer = os.pipe()
            stack.callback(os.close, writer)
            os.write(writer, self.read("in.pcap")[:-1])
            receiver = self.receiver(499)
            process = self.start("-r", "-", "--topspeed", stdin=reader)
            os.close(reader)
            self.assertEqual(len(receiver.packets()), 499)
            process.send_signal(signal.SIGINT)
            self.assertEqual(e2e.finish(process).status, 130)

    def test_nothing_that_can_be_sent_ends_an_endless_loop(self):
        path = self.write("cut.pcap", e2e.pcap_header() + e2e.pcap_record(NS, b"x" * 60, length=90))
        report, _ = self.replay("-r", path, "--loop", "0", status=1)
        self.assertEqual(report["read"], 1)

    def slow_down(self, limit):
        command = f"tc qdisc add dev out root tbf rate 8bit burst 1500 limit {limit}"
        done = subprocess.run(command.split(), capture_output=True, text=True)
        if done.returncode:
            self.skipTest(f"tc makes no such queue here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, "tc qdisc del dev out root".split())

    def test_a_signal_ends_waiting_for_a_slow_device(self):
        self.slow_down("100m")
        receiver = self.receiver(1)
        process = self.start("-r", self.input, "--loop", "0", "--topspeed")
        self.assertEqual([one.data for one in receiver.packets()], self.datas[:1])
        process.send_signal(signal.SIGINT)
        result = e2e.finish(process)
        self.assertEqual(result.status, 130, e2e.text_of(result))

    def test_a_device_that_takes_nothing_is_an_error(self):
        self.slow_down("1500")
        report, result = self.replay("-r", self.input, "--topspeed", status=1)
        self.assertIn("accepted no packet for 5 s", result.err)
        self.assertGreater(report["retries"], 100)
        self.assertLess(report["sent"], 40)
        self.assertGreater(report["failures"]["unsent"], 0)

    def test_a_device_that_goes_down_is_an_error(self):
        receiver = self.receiver(100)
        process = self.start("-r", self.input, "--loop", "0", "--pps", "1000")
        receiver.packets()
        self.addCleanup(live.do_ip, "link set out up")
        live.do_ip("link set out down")
        result = e2e.finish(process)
        self.assertEqual(result.status, 1, e2e.text_of(result))
        self.assertIn("down", result.err)

    # ---- words ----

    def test_the_report_for_people(self):
        done = e2e.capweir("replay", "-r", self.input, "-i", "out", "--pps", "100000")
        self.assertEqual((done.status, done.out), (0, b""), e2e.text_of(done))
        self.assertRegex(done.err, r"500 packets read = 500 sent \+ 0 not sent\n.* in [\d.]+ s: "
                                   r"[\d,]+ packets/s, [\d.]+ Mbit/s\nlate by ")
        done = e2e.capweir("replay", "-q", "-r", self.input, "-i", "out", "--topspeed")
        self.assertEqual((done.status, done.out, done.err), (0, b"", ""))

    def test_what_is_refused(self):
        for says, arguments in (("-r FILE", ["-i", "out"]), ("-i INTERFACE", ["-r", "in.pcap"]),
                                ("one interface", ["-r", "in.pcap", "-i", "out", "-i", "in"]),
                                ("--speed, --pps", ["-r", "in.pcap", "-i", "out", "--speed", "1",
                                                    "--topspeed"]),
                                ("once only", ["-r", "-", "-i", "out", "--loop", "2"]),
                                ("once only", ["-r", "-", "-r", "-", "-i", "out"]),
                                ("no words", ["-r", "in.pcap", "-i", "out", "udp"]),
                                ("--speed takes", ["--speed", "0"]),
                                ("--speed takes", ["--speed", "nan"]),
                                ("--speed takes", ["--speed", "1x"]),
                                ("--pps takes", ["--pps", "0"]),
                                ("--loop takes", ["--loop", "-1"]),
                                ("--cut takes", ["--cut", "off"]),
                                ("-w does not belong", ["-w", "x.pcap"]),
                                ("no-such", ["-r", "in.pcap", "-i", "no-such"])):
            done = e2e.capweir("replay", *arguments, cwd=self.directory)
            self.assertEqual((done.status, done.out), (2, b""), (arguments, done.err))
            self.assertIn(says, done.err)
        done = e2e.capweir("replay", "-r", "missing.pcap", "-i", "out", cwd=self.directory)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("missing.pcap", done.err)
        live.do_ip("link set out down")
        self.addCleanup(live.do_ip, "link set out up")
        done = e2e.capweir("replay", "-r", "in.pcap", "-i", "out", cwd=self.directory)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("ip link set out up", done.err)

    def test_sending_needs_a_right_and_says_which(self):
        if os.geteuid() or not shutil.which("setpriv"):
            self.skipTest("only root can run it as somebody else, with setpriv")
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all",
                               "--bounding-set=-all", "--", e2e.CAPWEIR, "replay", "-r", self.input,
                               "-i", "out"], capture_output=True, text=True, timeout=e2e.TIMEOUT)
        if done.returncode in (126, 127) or "setpriv" in done.stderr:
            self.skipTest(f"nobody may not run it: {done.stderr.strip()}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("CAP_NET_RAW", done.stderr)


if __name__ == "__main__":
    live.main()
