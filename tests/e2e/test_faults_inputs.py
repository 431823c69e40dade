# SPDX-License-Identifier: BSD-3-Clause
"""Inputs that fail or do not fit: packets before the fault are kept, and the rest is reported."""
import gzip
import json
import os
import shutil
import struct
import subprocess

import e2e
import faults

STEP = max(1, round(1.4 / e2e.SCALE))  # 7 in sanitizer builds: between places to truncate at


class Inputs(faults.Test):
    # ---- inputs ----

    def test_an_input_truncated_during_the_run_gives_the_records_before(self):
        for threads in faults.THREADS:
            for cut in (len(self.content) // 2, 200_000, 24):
                with self.subTest(threads=threads, cut=cut):
                    self.check_truncation(threads, cut)

    def check_truncation(self, threads, cut):
        victim = self.write("victim.pcap", self.content)
        brake = faults.Brake(self.path(f"brake-{threads}-{cut}"))
        process = e2e.start("split", "-r", victim, "-f", "udp", "-w", brake.path, "-f", "udp",
                            "-w", self.path("kept.pcap"), "-t", threads, "--json", "--buffer",
                            "64KiB", "--batch-packets", 100)
        brake.wait_full(process)
        os.truncate(victim, cut)
        piped = brake.drain(process)
        brake.close()
        done = e2e.finish(process)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        report = json.loads(done.out)
        self.check_books(report)
        self.check_files(report)
        self.assertIn("truncated", done.err)
        self.assertTrue(report["inputs"][0]["error"])
        kept = e2e.essence(e2e.read_capture(self.path("kept.pcap")).packets)
        self.assertEqual(kept, self.source[:len(kept)], "the packets are not those of the input")
        # The kernel truncates by pages: records in complete pages are there.
        whole = max(0, (cut // 4096 * 4096 - 24) // (len(self.packets[0][1]) + 16))
        self.assertGreaterEqual(len(kept), min(whole, len(self.source)) - 1)
        if report["rules"][0]["written"]:
            self.assertEqual(piped, self.content[:len(piped)])
        self.assert_no_parts()

    def test_an_input_truncated_anywhere_gives_all_complete_records(self):
        """Three short packets, so that there are few places; with a scale below 1 some of them."""
        packets = [(e2e.NS * index, bytes([index] * 3)) for index in range(1, 4)]
        contents = {"pcap": e2e.pcap(packets),
                    "pcapng": e2e.section() + e2e.interface(name="a") + b"".join(
                        e2e.enhanced(0, ts_ns // 1000, data) for ts_ns, data in packets)}
        for extension, content in contents.items():
            count = None  # packets in the longest intact file so far
            all_packets = e2e.essence(e2e.parse_capture(content).packets)
            for length in range(len(content) + 1):
                try:
                    count = len(e2e.parse_capture(content[:length]).packets)
                    is_whole = True
                except (e2e.Torn, KeyError, struct.error):
                    is_whole = False
                for how in ["file"] * (length % STEP == 0) + ["pipe"] * (length % (5 * STEP) == 0):
                    self.check_cut_input(extension, content[:length], is_whole,
                                         all_packets[:count or 0], how)

    def check_cut_input(self, extension, content, is_whole, wanted, how):
        output = self.path("out." + extension)
        if how == "file":
            done = e2e.capweir("split", "-r", self.write("cut", content), "-w", output, "-q")
        else:
            done = e2e.capweir("split", "-r", "-", "-w", output, "-q", input=content)
        text = f"{extension}, {len(content)} bytes, {how}: {e2e.text_of(done)}"
        self.assertEqual(done.status, 0 if is_whole else 1, text)
        self.assertEqual("capweir: " in done.err, not is_whole, text)
        if wanted or os.path.exists(output):
            self.assertEqual(e2e.essence(e2e.read_capture(output).packets), wanted, text)
            os.unlink(output)
        self.assert_no_parts()

    def test_an_input_that_grew_is_read_to_its_old_end_and_reported(self):
        brake = faults.Brake(self.path("brake"))
        process = e2e.start("split", "-q", "-r", self.input, "-f", "udp", "-w", brake.path,
                            *self.other(), "--buffer", "64KiB", "--batch-packets", 50)
        brake.wait_full(process)
        with open(self.input, "ab") as file:
            file.write(e2e.pcap(self.packets[:10])[24:])
        piped = brake.drain(process)
        brake.close()
        done = e2e.finish(process)
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertIn("grew", done.err)
        self.assertEqual(e2e.essence(e2e.parse_capture(piped).packets), self.source)
        self.check_other()

    def test_a_damaged_compressed_input_gives_the_packets_before_the_damage(self):
        content = faults.read_all(self.input)
        packed = {"gz": gzip.compress(content, 1)}
        if shutil.which("zstd"):
            packed["zst"] = subprocess.run(["zstd", "-q", "-c", self.input], check=True,
                                           capture_output=True).stdout
        for name, data in packed.items():
            middle = len(data) // 2
            for damaged in (data[:middle], data[:-1],
                            data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1:]):
                path = self.write("damaged." + name, damaged)
                report, done = self.run_json("split", "-r", path, "-f", "udp", "-w",
                                             self.path("out.pcap"), "-f", "unmatched", "-w",
                                             self.path("rest.pcap"), status=1)
                self.assertIn(path, done.err)
                self.check_files(report)
                if damaged == data[:len(damaged)]:
                    packets = e2e.essence(e2e.read_capture(self.path("out.pcap")).packets)
                    self.assertEqual(packets, self.source[:len(packets)])
                    self.assertGreater(len(packets), 0)

    def test_bytes_after_a_gzip_member_are_read_or_reported(self):
        halves = [e2e.pcap(self.packets[:10]), e2e.pcap(self.packets[10:20])[24:]]
        first, second = [gzip.compress(half) for half in halves]
        magic = bytes([second[0] ^ 1]) + second[1:]
        for name, content, count in (("zeros", first + bytes(512) + second, 20),
                                     ("magic", first + magic, 10), ("one", first + b"x", 10)):
            path = self.write(name + ".gz", content)
            done = e2e.capweir("split", "-q", "-r", path, "-w", self.path("out.pcap"))
            inspected = e2e.capweir("inspect", "--json", path)
            damage = json.loads(inspected.out)[0]["damage"]
            text = f"{name}: {e2e.text_of(done)}, {damage}"
            self.assertEqual(e2e.essence(e2e.read_capture(self.path("out.pcap")).packets),
                             self.source[:count], text)
            self.assertEqual(done.status, 0 if count == 20 else 1, text)
            self.assertEqual(inspected.status, done.status, text)
            if count == 10:
                self.assertIn("neither gzip data nor padding", done.err)
                self.assertIn("neither gzip data nor padding", damage)
            else:
                self.assertIsNone(damage, text)

    def test_one_bad_input_of_three_is_reported(self):
        bad = {"text": b"This is no capture file.\n" * 10, "empty": b"",
               "header": e2e.pcap_header()[:20]}
        for name, content in bad.items():
            path = self.write(name, content)
            for order in ([self.input, path, self.input], [path, self.input, self.input]):
                report, done = self.run_json(
                    "split", *[word for one in order for word in ("-r", one)], *self.other(),
                    status=1)
                self.assertIn(path, done.err)
                self.assertEqual(e2e.essence(e2e.read_capture(self.path("other.pcap")).packets),
                                 2 * self.source[1::10])
                errors = [bool(one["error"]) for one in report["inputs"]]
                self.assertEqual(errors, [one == path for one in order])

    def test_a_damaged_input_of_three_gives_the_packets_before_the_damage(self):
        damaged = self.write("damaged.pcap", faults.read_all(self.input)[:-5])
        report, done = self.run_json(
            "split", "-r", self.input, "-r", damaged, "-r", self.input, "-f", "udp", "-w",
            self.path("all.pcap"), status=1)
        self.assertIn(damaged, done.err)
        self.assertEqual(e2e.essence(e2e.read_capture(self.path("all.pcap")).packets),
                         self.source + self.source[:-1] + self.source)

    def test_only_bad_inputs_write_nothing(self):
        path = self.write("text", b"This is no capture file.\n")
        done = e2e.capweir("split", "-r", path, "-w", self.path("out.pcap"))
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn(path, done.err)
        self.assertFalse(os.path.exists(self.path("out.pcap")))
        done = e2e.capweir("split", "-r", self.path("missing"), "-w", self.path("out.pcap"))
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("No such file", done.err)

    # ---- packets that a format cannot hold ----

    def test_a_second_link_type_is_lost_in_pcap_and_kept_in_pcapng(self):
        frame = e2e.udp_frame(1, 2, 3, 4)
        content = e2e.section() + e2e.interface() + e2e.interface(e2e.RAW)
        for index in range(100):
            content += e2e.enhanced(index % 2, index, frame[14:] if index % 2 else frame)
        path = self.write("two.pcapng", content)
        for threads in faults.THREADS:
            report, done = self.run_json(
                "split", "-r", path, "-f", "udp", "-w", self.path("one.pcap"), "-f", "udp", "-w",
                self.path("two.out.pcapng"), "-t", threads, "--batch-packets", 7, status=1)
            self.assertEqual(report["rules"][0]["lost"]["link_type"], 50)
            self.assertEqual(report["rules"][1]["lost_total"], 0)
            self.check_files(report)
            self.assertIn("link_type", done.err)
            self.assertIn("one.pcap", done.err)

    def test_a_timestamp_that_does_not_fit_is_unrepresentable(self):
        content = e2e.section() + e2e.interface(resolution=0)
        for ticks in (1, 2 ** 32 - 1, 2 ** 32, 2 ** 33, 5):
            content += e2e.enhanced(0, ticks, e2e.udp_frame(1, 2, 3, 4))
        path = self.write("far.pcapng", content)
        report, done = self.run_json("split", "-r", path, "-f", "udp", "-w", self.path("o.pcap"),
                                     "-f", "udp", "-w", self.path("o.pcapng"), status=1)
        self.assertEqual(report["rules"][0]["lost"]["unrepresentable"], 2)
        self.assertEqual([one.ts_ns // e2e.NS for one in
                          e2e.read_capture(self.path("o.pcap")).packets], [1, 2 ** 32 - 1, 5])
        self.assertEqual([one.ts_ns // e2e.NS for one in
                          e2e.read_capture(self.path("o.pcapng")).packets],
                         [1, 2 ** 32 - 1, 2 ** 32, 2 ** 33, 5])


if __name__ == "__main__":
    e2e.main()
