# SPDX-License-Identifier: BSD-3-Clause
"""What headers of inputs say, and what becomes of it in outputs: link types, FCS, timestamps,
snapshot lengths. Where one input ends and another one begins."""
import json
import os
import resource
import select
import signal
import struct
import subprocess
import threading

import e2e

LINK_TYPES = ((11, 100), (12, 101), (15, 102), (16, 103), (19, 106))


class Headers(e2e.Test):
    def out(self, *inputs, name="out.pcap", status=0, more=()):
        """Splits the inputs to one output; returns it as the naive reader sees it."""
        arguments = [word for path in inputs for word in ("-r", path)]
        done = e2e.capweir("split", *arguments, "-w", self.path(name), *more)
        self.assertEqual(done.status, status, e2e.text_of(done))
        return e2e.read_capture(self.path(name)), done

    def inspect(self, path, status=0):
        done = e2e.capweir("inspect", "--json", path)
        self.assertEqual(done.status, status, e2e.text_of(done))
        return json.loads(done.out)[0]

    def test_both_numbers_of_a_link_type_are_one_type(self):
        packets = e2e.simple_packets(5)
        for old, canonical in LINK_TYPES:
            tagged = e2e.section() + e2e.interface(linktype=old) + e2e.enhanced(0, 1, b"\0" * 60)
            paths = [self.write("old.pcap", e2e.pcap(packets, linktype=old)),
                     self.write("new.pcap", e2e.pcap(packets, linktype=canonical)),
                     self.write("old.pcapng", tagged)]
            for some in (paths, paths[:1], paths[2:]):
                capture, _ = self.out(*some)
                self.assertEqual(capture.linktype, canonical)
                self.assertEqual(len(capture.packets), sum(5 if path[-1] == "p" else 1
                                                           for path in some))
            capture, _ = self.out(paths[0], more=("-y", old))
            self.assertEqual(capture.linktype, canonical)
            self.assertEqual(self.inspect(paths[0])["interfaces"][0]["linktype_value"], canonical)

    def test_the_length_of_the_frame_check_sequence_is_kept(self):
        packets = e2e.simple_packets(3)
        for field, wanted in ((0x44000001, 0x44000001), (0xf4ff0001, 0xf4000001),
                              (0x40000001, 1), (1, 1)):
            source = self.write("fcs.pcap", e2e.pcap(packets, linktype=field))
            self.assertEqual(self.out(source)[0].linktype, wanted)
        source = self.write("fcs.pcap", e2e.pcap(packets, linktype=0x44000001))
        self.run_ok("split", "-q", "-r", source, "-w", self.path("part.pcap"), "-b", "packets:1")
        for name in ("part.00001.pcap", "part.00002.pcap", "part.00003.pcap"):
            self.assertEqual(e2e.read_capture(self.path(name)).linktype, 0x44000001)

    def test_packets_with_another_length_of_the_frame_check_sequence_are_counted(self):
        packets = e2e.simple_packets(e2e.scaled(2000, 300))
        four = self.write("four.pcap", e2e.pcap(packets, linktype=0x44000001))
        none = self.write("none.pcap", e2e.pcap(packets[:3]))
        for threads in (1, 4):
            for inputs, count in (((four, four), 0), ((none, none), 0), ((four, none, four), 3),
                                  ((none, four), len(packets))):
                arguments = [word for path in inputs for word in ("-r", path)]
                for name in ("out.pcap", "out.pcapng"):
                    report, done = self.run_json("split", *arguments, "-t", threads, "-w",
                                                 self.path(name))
                    count *= name == "out.pcap"
                    self.assertEqual(report["rules"][0]["other_fcs"], count)
                    self.assertEqual(done.err.count("frame check sequence of another length"),
                                     count > 0, done.err)
        report, _ = self.run_json("split", "-r", none, "-r", four, "-b", "packets:3", "-w",
                                  self.path("part.pcap"))
        self.assertEqual(report["rules"][0]["other_fcs"], 0)

    def test_inspect_says_how_fine_the_timestamps_are(self):
        for resolution, is_fine in ((None, False), (6, False), (9, True), (3, False), (7, True),
                                    (0x80 | 6, False), (0x80 | 7, True), (0x80 | 20, True)):
            path = self.write("in.pcapng", e2e.section() + e2e.interface(resolution=resolution) +
                              e2e.enhanced(0, 1, b"\0" * 60))
            self.assertEqual(self.inspect(path)["nanoseconds"], is_fine, resolution)
        late = e2e.section() + e2e.interface() + e2e.enhanced(0, 1, b"\0" * 60) + e2e.interface(
            resolution=9) + e2e.enhanced(1, 1, b"\0" * 60)
        self.assertTrue(self.inspect(self.write("late.pcapng", late))["nanoseconds"])

    def test_a_fraction_of_a_second_or_more_keeps_its_field(self):
        last = 2 ** 32 - 1
        for ns, per_s in ((False, 10 ** 6), (True, 10 ** 9)):
            times = [(100, per_s), (100, 3 * per_s + 7), (100, last), (last, per_s), (last, last)]
            source = self.timed("in.pcap", times, ns=ns)
            precision = "ns" if ns else "us"
            for more in ((), ("--time-precision", precision)):
                _, done = self.out(source, more=more)
                self.assertEqual(self.times(), times)
            if e2e.shutil.which("tcpdump"):
                status, wanted, err = e2e.tcpdump([source], "", nano=ns)
                self.assertEqual((status, self.read("out.pcap")[24:]), (0, wanted[24:]), err)

    def test_a_fraction_of_a_second_or_more_is_carried_where_its_field_is_too_small(self):
        last = 2 ** 32 - 1
        source = self.timed("in.pcap", [(100, 1_500_000), (100, 4_294_967), (100, 4_294_968),
                                        (100, last), (last, 4_000_000)])
        self.out(source, more=("--time-precision", "ns"))
        self.assertEqual(self.times(), [(100, 1_500_000_000), (100, 4_294_967_000),
                                        (101, 3_294_968_000), (4391, 3_967_295_000),
                                        (last, 4_000_000_000)])
        self.out(source, name="out.pcapng")
        self.assertEqual([one.ts_ns for one in e2e.read_capture(self.path("out.pcapng")).packets],
                         [101_500_000_000, 104_294_967_000, 104_294_968_000, 4_394_967_295_000,
                          (last + 4) * 10 ** 9])
        source = self.timed("in.pcap", [(1, 0), (last, 5_000_000)])
        report, _ = self.run_json("split", "-r", source, "--time-precision", "ns", "-w",
                                  self.path("out.pcap"), status=1)
        self.assertEqual(report["rules"][0]["lost"]["unrepresentable"], 1)
        source = self.timed("in.pcap", [(100, 2_500_000_000), (last, last)], ns=True)
        self.out(source, more=("--time-precision", "us"))
        self.assertEqual(self.times(), [(100, 2_500_000), (last, 4_294_967)])

    def timed(self, name, times, ns=False):
        """A file of equal packets with these two fields of a timestamp."""
        return self.write(name, e2e.pcap_header(ns=ns) + b"".join(
            struct.pack("<IIII", *fields, 60, 60) + b"\0" * 60 for fields in times))

    def times(self):
        return [fields[:2] for fields in struct.iter_unpack("<II68x", self.read("out.pcap")[24:])]

    def test_packets_longer_than_their_files_snapshot_length_are_counted(self):
        packets = e2e.simple_packets(10, size=30)
        source = self.write("big.pcap", e2e.pcap(packets, snaplen=40))
        for more, count in (((), 10), (("-c", 4), 4), (("-t", 4), 10)):
            report, done = self.run_json("split", "-r", source, "-w", self.path("out.pcap"), *more)
            self.assertEqual(report["inputs"][0]["truncated"], count)
            self.assertIn(f"more of {count} packets than its snapshot length of 40", done.err)
            written = e2e.read_capture(self.path("out.pcap")).packets
            self.assertEqual({one.caplen for one in written}, {40})
        self.assertEqual(self.inspect(source)["truncated"], 10)
        source = self.write("good.pcap", e2e.pcap(packets, snaplen=len(packets[0][1])))
        report, done = self.run_json("split", "-r", source, "-w", self.path("out.pcap"))
        self.assertEqual((report["inputs"][0]["truncated"], done.err), (0, ""))
        self.assertEqual(self.inspect(source)["truncated"], 0)

    def late(self, count):
        """A pcapng file of microseconds, then as many packets of nanoseconds."""
        return self.write("late.pcapng", e2e.section() + e2e.interface() + b"".join(
            e2e.enhanced(0, 10 + n, b"\0" * 60) for n in range(count)) +
            e2e.interface(resolution=9) + b"".join(
                e2e.enhanced(1, 2_000_001 + n, b"\1" * 60) for n in range(count)))

    def test_fine_timestamps_that_come_late_are_truncated_counted_and_told_once(self):
        count = e2e.scaled(20000, 3000)
        source = self.late(count)
        odd = sum((2_000_001 + n) % 1000 != 0 for n in range(count))
        wanted = None
        for threads in (1, 2, 4):
            report, done = self.run_json("split", "-r", source, "-t", threads, "-w",
                                         self.path("o.pcap"), status=1)
            self.assertEqual(report["rules"][0]["timestamps_truncated"], odd)
            self.assertEqual((report["rules"][0]["lost_total"],
                              done.err.count("truncated to microseconds")), (0, 1))
            wanted = wanted or self.read("o.pcap")
            self.assertEqual(self.read("o.pcap"), wanted)
        capture = e2e.read_capture(self.path("o.pcap"))
        self.assertFalse(capture.is_ns)
        self.assertEqual([one.ts_ns for one in capture.packets],
                         [(10 + n) * 1000 for n in range(count)] +
                         [(2_000_001 + n) // 1000 * 1000 for n in range(count)])
        for precision in ("us", "ns"):  # the user's choice: nothing to tell
            report, done = self.run_json("split", "-r", source, "-w", self.path("o.pcap"),
                                         "--time-precision", precision)
            self.assertEqual((report["rules"][0]["timestamps_truncated"], done.err), (0, ""))
            self.assertEqual(e2e.read_capture(self.path("o.pcap")).is_ns, precision == "ns")

    def test_each_rotated_file_has_the_magic_that_its_packets_need(self):
        source = self.late(1000)
        self.run_ok("split", "-q", "-r", source, "-w", self.path("r.pcap"), "-b", "packets:500")
        self.assertEqual([e2e.read_capture(self.path(name)).is_ns for name in
                          [f"r.0000{number}.pcap" for number in range(1, 5)]],
                         [False, False, True, True])

    def snaplen_cases(self):
        packet = e2e.simple_packets(1, size=1000)
        short = e2e.simple_packets(1)
        kuznetzov = struct.pack("<IHHiIII", 0xa1b2cd34, 2, 4, 0, 0, 64, 1) + struct.pack(
            "<IIIIQ", 1_700_000_000, 0, 78, 1042, 0) + packet[0][1][:78]
        tagged = e2e.section() + e2e.interface(snaplen=64) + e2e.enhanced(0, 1, packet[0][1])
        return {
            "64": (e2e.pcap(short, snaplen=64), 64), "2000": (e2e.pcap(packet, snaplen=2000), 2000),
            "none": (e2e.pcap(packet, snaplen=0), None),
            "all bits": (e2e.pcap(packet, snaplen=0xffffffff), None),
            "pcapng": (tagged, None), "kuznetzov": (kuznetzov, 78),
        }

    def test_no_record_is_longer_than_the_header_says(self):
        cases = self.snaplen_cases()
        for a, (first, one) in cases.items():
            for b, (second, two) in cases.items():
                paths = [self.write("a", first), self.write("b", second)]
                capture, _ = self.out(*paths)
                self.assertEqual(capture.snaplen, max(one, two) if one and two else 262144, (a, b))
                longest = max(one.caplen for one in capture.packets)
                self.assertLessEqual(longest, capture.snaplen, (a, b))
                whole = len(e2e.simple_packets(1, size=1000)[0][1])
                self.assertEqual(longest == whole, "2000" in (a, b) or not (one and two), (a, b))
        usb = self.write("usb.pcap", e2e.pcap([(0, b"x" * 400_000)], linktype=249, snaplen=0))
        self.assertEqual(self.out(usb)[0].snaplen, 1 << 20)

    def test_packets_of_a_joined_file_beyond_the_headers_promise_are_counted(self):
        short, count = e2e.simple_packets(3, size=20), e2e.scaled(20000, 2000)
        packets = short + e2e.simple_packets(count, size=1000)
        for name, second in (("ab.pcap", e2e.pcap(packets)),
                             ("ab.pcapng", e2e.section() + e2e.interface() + b"".join(
                                 e2e.enhanced(0, when // 1000, data) for when, data in packets))):
            path = self.write(name, e2e.pcap(packets[-5:], snaplen=500) + second)
            for more in ((), ("-t", 4), ("-b", f"packets:{count // 3}")):
                report, done = self.run_json("split", "-r", path, "-w", self.path("o.pcap"), *more,
                                             status=1)
                rule = report["rules"][0]
                self.assertEqual((rule["truncated"], rule["lost_total"], rule["written"]),
                                 (count, 0, count + 8))
                self.assertEqual(done.err.count("truncated to 500 bytes"), 1, done.err)
            wanted = [500] * 5 + [len(data) for _, data in short] + [500] * count
            got = []
            for number in range(1, 5):  # the files of -b
                capture = e2e.read_capture(self.path(f"o.{number:05}.pcap"))
                self.assertEqual(capture.snaplen, 500)
                got += [one.caplen for one in capture.packets]
            self.assertEqual(got, wanted)
            for more, name, longest in ((("-s", 2000), "s.pcap", len(packets[-1][1])),
                                        (("-s", 100), "s.pcap", 100),
                                        ((), "o.pcapng", len(packets[-1][1]))):
                report, done = self.run_json("split", "-r", path, "-w", self.path(name), *more)
                self.assertEqual(report["rules"][0]["truncated"], 0)
                self.assertNotIn("joined files are", done.err)
                written = e2e.read_capture(self.path(name)).packets
                self.assertEqual(max(one.caplen for one in written), longest)

    def test_a_joined_header_without_longer_packets_is_no_truncation(self):
        packet = e2e.simple_packets(1, size=1000)
        for first, second in ((2000, 0), (2000, 0xffffffff), (2000, 3000), (0, 0xffffffff)):
            path = self.write("ab.pcap", e2e.pcap(packet, snaplen=first) +
                              e2e.pcap(packet, snaplen=second))
            report, done = self.run_json("split", "-r", path, "-w", self.path("o.pcap"))
            self.assertEqual(report["rules"][0]["truncated"], 0)
            self.assertNotIn("truncate", done.err)

    def test_the_snapshot_length_of_one_joined_file_is_not_given_for_all(self):
        packets = e2e.simple_packets(10, size=30)
        path = self.write("ab.pcap", e2e.pcap(packets) + e2e.pcap(packets, snaplen=40))
        report, done = self.run_json("split", "-r", path, "-w", self.path("o.pcap"))
        self.assertEqual(report["inputs"][0]["truncated"], 10)
        self.assertIn("more of 10 packets than the snapshot lengths in its headers", done.err)
        self.assertNotIn("262144", done.err)


class Streams(e2e.Test):
    """Each stream is opened when its turn comes."""

    def setUp(self):
        super().setUp()
        self.contents = [e2e.pcap(e2e.simple_packets(count, size=500)) for count in (5000, 10, 20)]
        self.names = [self.path(f"f{number}") for number in range(3)]
        for name in self.names:
            os.mkfifo(name)

    def fill(self, names, contents):
        for name, content in zip(names, contents):
            with open(name, "wb") as file:
                file.write(content)

    def test_fifos_filled_one_after_the_other(self):
        thread = threading.Thread(target=self.fill, args=(self.names, self.contents))
        thread.start()
        inputs = [word for name in self.names for word in ("-r", name)]
        report, _ = self.run_json("split", *inputs, "-w", self.path("o.pcap"))
        thread.join()
        self.assertEqual([one["packets"] for one in report["inputs"]], [5000, 10, 20])
        self.assertEqual(len(e2e.read_capture(self.path("o.pcap")).packets), 5030)

    def test_a_file_is_read_before_the_next_fifo_has_a_writer(self):
        before = self.write("before.pcap", self.contents[0])
        after = self.write("after.pcap", self.contents[1])
        running = e2e.start("split", "-r", before, "-r", self.names[0], "-r", after, "-w",
                            self.path("o.pcap"))
        e2e.wait_packets(running, 5000)
        self.fill(self.names, self.contents[2:])
        done = e2e.finish(running)
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertEqual(len(e2e.read_capture(self.path("o.pcap")).packets), 5030)

    def test_packets_are_written_before_the_next_fifo_has_a_writer(self):
        for first in (self.names[0], self.write("before.pcap", self.contents[1])):
            with self.subTest(first):
                running = e2e.start("split", "-r", first, "-r", self.names[1], "-w", "-")
                if first == self.names[0]:
                    self.fill([first], self.contents[1:])
                out = b""
                while len(out) < len(self.contents[1]):
                    ready, _, _ = select.select([running.stdout], [], [], e2e.TIMEOUT)
                    self.assertTrue(ready, f"{len(out)} bytes before the next input is opened")
                    out += os.read(running.stdout.fileno(), 1 << 16)
                self.fill(self.names[1:], self.contents[2:])
                done = e2e.finish(running)
                self.assertEqual(done.status, 0, e2e.text_of(done))
                self.assertEqual(len(e2e.parse_capture(out + done.out).packets), 30)

    def test_a_stop_before_the_next_fifo_has_a_writer_is_no_error_of_the_input(self):
        before = self.write("before.pcap", self.contents[1])
        running = e2e.start("split", "-r", before, "-r", self.names[0], "-w",
                            self.path("o.pcap"), "--json")
        e2e.wait_packets(running, 10)
        running.send_signal(signal.SIGINT)
        done = e2e.finish(running)
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.assertNotIn("f0", done.err)
        report = json.loads(done.out)
        self.assertEqual([one["error"] for one in report["inputs"]], [None, None])
        self.assertEqual(len(e2e.read_capture(self.path("o.pcap")).packets), 10)

    def test_a_stream_that_is_no_capture_file_fails_in_its_turn(self):
        thread = threading.Thread(target=self.fill, args=(self.names, [b"no capture file"]))
        thread.start()
        done = e2e.capweir("split", "-r", self.write("a.pcap", self.contents[1]), "-r",
                           self.names[0], "-r", self.write("b.pcap", self.contents[2]), "-w",
                           self.path("o.pcap"))
        thread.join()
        self.assertEqual(done.status, 1)
        self.assertIn("f0: not a capture file", done.err)
        self.assertEqual(len(e2e.read_capture(self.path("o.pcap")).packets), 30)


class Ends(e2e.Test):
    """split, split from a pipe, inspect and repair agree on where a file ends, and on why."""

    def contents(self):
        """(name, content, packets, status, status of repair, bytes that repair keeps)"""
        packets = e2e.simple_packets(10)
        whole, swapped = e2e.pcap(packets), e2e.pcap(packets, order=">", ns=True, linktype=101)
        tagged = e2e.section() + e2e.interface() + b"".join(
            e2e.enhanced(0, ts // 1000, data) for ts, data in packets)
        more = whole[24:24 + 16 + len(packets[0][1])]
        for count in (5, 16, 20, 4096):
            yield f"zeros {count}", whole + b"\0" * count, 10, 1, 1, len(whole)
            yield f"zeros {count} in pcapng", tagged + b"\0" * count, 10, 1, 1, len(tagged)
        yield "zeros before a record", whole + b"\0" * 64 + more, 15, 0, 0, None
        yield "zeros before half a record", whole + b"\0" * 64 + more[:7], 14, 1, 1, len(whole) + 64
        yield "no record at all", whole[:24] + b"\0" * 64, 0, 1, 1, 24
        for first, second in ((whole, whole), (whole, swapped), (swapped, whole), (whole, tagged),
                              (tagged, whole), (tagged, tagged)):
            yield "joined", first + second, 20, 0, 0, None
            yield "joined and torn", first + second[:-1], 19, 1, 1, None
        yield "joined three times", whole + tagged + swapped + whole, 40, 0, 0, None
        for zone, accuracy in ((3600, 0), (-18000, 0), (0, 6), (3600, 3600)):
            header = struct.pack("<iI", zone, accuracy)
            yield (f"joined, zone {zone}, accuracy {accuracy}",
                   whole + whole[:8] + header + whole[16:], 20, 0, 0, None)
        yield "half a header", whole + whole[:20], 10, 1, 1, len(whole)

    def test_all_parts_agree(self):
        for name, content, packets, status, repaired, kept in self.contents():
            with self.subTest(name):
                path = self.write("in", content)
                report, _ = self.run_json("split", "-r", path, "-w", self.path("o.pcapng"),
                                          status=status)
                self.assertEqual((report["packets"], bool(report["inputs"][0]["error"])),
                                 (packets, bool(status)))
                self.assertEqual(len(e2e.read_capture(self.path("o.pcapng")).packets), packets)
                with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as cat:
                    done = e2e.capweir("split", "-q", "-r", "-", "-w", self.path("p.pcapng"),
                                       stdin=cat.stdout)
                self.assertEqual(done.status, status, e2e.text_of(done))
                self.assertEqual(self.read("p.pcapng"), self.read("o.pcapng"))
                done = e2e.capweir("inspect", "--json", path)
                self.assertEqual((done.status, json.loads(done.out)[0]["packets"]),
                                 (status, packets))
                done = e2e.capweir("repair", "--json", "--dry-run", path)
                found, = json.loads(done.out)
                self.assertEqual((done.status, found["packets"]), (repaired, packets))
                if kept:
                    self.assertEqual(found["kept_bytes"], kept)

    def test_joined_files_are_as_several_inputs(self):
        packets = e2e.simple_packets(20)
        one = self.write("a.pcap", e2e.pcap(packets[:9]))
        two = self.write("b.pcap", e2e.pcap(packets[9:], order=">"))
        both = self.write("ab.pcap", self.read("a.pcap") + self.read("b.pcap"))
        for name in ("o.pcap", "o.pcapng"):
            self.run_ok("split", "-q", "-r", one, "-r", two, "-w", self.path(name))
            wanted = self.read(name)
            report, done = self.run_json("split", "-r", both, "-w", self.path(name))
            self.assertEqual(self.read(name), wanted)
            self.assertEqual(report["inputs"][0]["joined"], [
                {"at": os.path.getsize(one), "format": "pcap", "linktype": "EN10MB"}])
            self.assertEqual(report["inputs"][0]["joined_count"], 1)
            self.assertIn(f"joined at byte {os.path.getsize(one)}", done.err)
        found = json.loads(self.run_ok("inspect", "--json", both).out)[0]
        self.assertEqual(found["joined"], report["inputs"][0]["joined"])
        self.assertIn(b"joined       at byte", self.run_ok("inspect", both).out)

    def test_zeros_from_a_pipe_take_no_memory(self):
        """They are counted; only what follows them says what they are."""
        count = e2e.scaled(256 << 20, 64 << 20)
        command = f"cat '{self.write('a.pcap', e2e.pcap(e2e.simple_packets(3)))}'; head -c {count}"
        with subprocess.Popen(["sh", "-c", command + " /dev/zero"],
                              stdout=subprocess.PIPE) as sender:
            done = e2e.start("split", "-q", "-r", "-", "-w", self.path("o.pcap"),
                             stdin=sender.stdout)
            _, status, used = os.wait4(done.pid, 0)
        done.returncode = os.waitstatus_to_exitcode(status)
        err = done.stderr.read().decode()
        done.stdout.close()
        done.stderr.close()
        self.assertEqual(done.returncode, 1, err)
        self.assertIn("only zeros follow", err)
        self.assertLess(used.ru_maxrss * 1024, (40 << 20) + resource.getpagesize())
        self.assertEqual(len(e2e.read_capture(self.path("o.pcap")).packets), 3)


if __name__ == "__main__":
    e2e.main()
