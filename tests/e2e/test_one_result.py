# SPDX-License-Identifier: BSD-3-Clause
"""Outputs have the same bytes for all numbers of threads, sizes of memory and kinds of input."""
import gzip
import os
import random
import shutil
import struct
import subprocess
import tempfile

import e2e

THREADS = (1, 2, 4, 8) if e2e.SCALE >= 1 else (1, 4)
FILTERS = ["tcp", "udp", "ip6", "port 53", "tcp port 80 or tcp port 443", "less 100",
           "vlan", "arp or icmp"]
PACKETS = e2e.scaled(10000, 2500)


def rotated_order(name):
    """Sorts a.00001.pcap, a.00002.pcap, ... as they were written."""
    parts = name.split(".")
    return int(parts[-2]) if parts[-2].isdigit() else 0


class OneResult(e2e.Test):
    place = e2e.MEMORY

    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="capweir-one-", dir=cls.place)
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.input = e2e.generate(os.path.join(cls.shared, "mix.pcap"), PACKETS, "mix")
        cls.others = [
            e2e.generate(os.path.join(cls.shared, "imix.pcap"), PACKETS // 4, "imix", 2),
            e2e.generate(os.path.join(cls.shared, "small.pcapng"), PACKETS // 2, "small", 3),
        ]

    def outputs(self, *arguments, status=0, **options):
        """Names and contents of the files of one run."""
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            done = e2e.capweir("split", "-q", "--utc", "-o", directory, *arguments, **options)
            self.assertEqual(done.status, status, e2e.text_of(done))
            found = {}
            for name in sorted(os.listdir(directory)):
                with open(os.path.join(directory, name), "rb") as file:
                    found[name] = file.read()
            return found

    def assert_same(self, got, wanted, what):
        self.assertEqual(sorted(got), sorted(wanted), what)
        different = [name for name in wanted if got[name] != wanted[name]]
        self.assertEqual(different, [], what)

    def assert_one_result(self, *arguments, threads=THREADS, status=0, **options):
        wanted = self.outputs(*arguments, "-t", threads[0], status=status, **options)
        for count in threads[1:]:
            got = self.outputs(*arguments, "-t", count, status=status, **options)
            self.assert_same(got, wanted, f"-t {count} {arguments}")
        for name, content in wanted.items():
            try:
                e2e.parse_capture(content)
            except e2e.Torn as torn:
                self.fail(f"{name} is truncated or damaged: {torn}")
        return wanted

    def pairs(self, extension="pcap"):
        return [word for index, filter_ in enumerate(FILTERS)
                for word in ("-f", filter_, "-w", f"out{index}.{extension}")]

    def packets_in(self, found, prefix):
        """The packets of a rotated output, in the order of its files."""
        names = sorted((name for name in found if name.startswith(prefix + ".")),
                       key=rotated_order)
        return [packet for name in names for packet in e2e.parse_capture(found[name]).packets]

    # ---- threads ----

    def test_threads_do_not_change_eight_outputs(self):
        found = self.assert_one_result("-r", self.input, *self.pairs())
        self.assertEqual(len(found), len(FILTERS))
        self.assertTrue(all(len(content) > 24 for content in found.values()), "unused filter")

    def test_pcapng_outputs_hold_the_packets_of_pcap_outputs(self):
        found = self.assert_one_result("-r", self.input, *self.pairs("pcapng"))
        plain = self.outputs("-r", self.input, *self.pairs())
        for index in range(len(FILTERS)):
            self.assertEqual(
                e2e.essence(e2e.parse_capture(found[f"out{index}.pcapng"]).packets),
                e2e.essence(e2e.parse_capture(plain[f"out{index}.pcap"]).packets))

    def check_rotation(self, extension, arguments, limit_bytes=None, limit_packets=None):
        whole = self.outputs("-r", self.input, *self.pairs(extension))
        found = self.assert_one_result("-r", self.input, *self.pairs(extension), *arguments)
        self.assertGreater(len(found), 2 * len(FILTERS))
        for index in range(len(FILTERS)):
            prefix = f"out{index}"
            parts = sorted((name for name in found if name.startswith(prefix + ".")),
                           key=rotated_order)
            unrotated = e2e.parse_capture(whole[f"{prefix}.{extension}"])
            self.assertEqual(e2e.essence(self.packets_in(found, prefix)),
                             e2e.essence(unrotated.packets))
            if extension == "pcap":
                joined = found[parts[0]][:24] + b"".join(found[part][24:] for part in parts)
                self.assertEqual(joined, whole[f"{prefix}.pcap"])
            for part, after in zip(parts, parts[1:] + [None]):
                packets = e2e.parse_capture(found[part]).packets
                if limit_packets:
                    self.assertLessEqual(len(packets), limit_packets)
                    if after and not limit_bytes:
                        self.assertEqual(len(packets), limit_packets)
                if limit_bytes and len(packets) > 1:
                    self.assertLessEqual(len(found[part]), limit_bytes)
                if after and limit_bytes and not limit_packets and extension == "pcap":
                    following = e2e.parse_capture(found[after]).packets[0]
                    self.assertGreater(len(found[part]) + 16 + following.caplen, limit_bytes)

    def test_rotation_by_size_fills_every_file(self):
        self.check_rotation("pcap", ["-C", "100k"], limit_bytes=100 << 10)

    def test_rotation_by_size_works_for_pcapng(self):
        self.check_rotation("pcapng", ["-C", "100k"], limit_bytes=100 << 10)

    def test_rotation_by_packets_fills_every_file(self):
        self.check_rotation("pcap", ["-b", "packets:137"], limit_packets=137)

    def test_rotation_can_give_every_packet_a_file(self):
        count = 300
        first = self.write("first.pcap", e2e.pcap(e2e.simple_packets(count)))
        found = self.assert_one_result("-r", first, "-w", "one.pcap", "-b", "packets:1")
        self.assertEqual(len(found), count)

    def test_rotation_from_the_rules_file_by_size_and_packets(self):
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [(f"out{index}", filter_) for index, filter_ in enumerate(FILTERS)],
            defaults="{write: '{rule}-{seq}.pcap', rotate: {size: 64KiB, packets: 150}}"))
        found = self.assert_one_result("-r", self.input, "-R", rules)
        self.assertGreater(len(found), 2 * len(FILTERS))
        for name, content in found.items():
            packets = e2e.parse_capture(content).packets
            self.assertLessEqual(len(packets), 150, name)
            self.assertTrue(len(packets) == 1 or len(content) <= 64 << 10, name)

    def test_time_templates(self):
        found = self.assert_one_result("-r", self.input, "-f", "tcp", "-w", "%Y%m%d-%H%M%S.pcap",
                                       "-b", "packets:50")
        self.assertGreater(len(found), 5)

    def test_snaplen_of_the_run_and_of_a_rule(self):
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [("cut", "ip", {"snaplen": 60}), ("run", "ip"), ("one", "tcp", {"snaplen": 1}),
             ("greater", "greater 200", {"snaplen": 100})], defaults="{write: '{rule}.pcap'}"))
        found = self.assert_one_result("-r", self.input, "-R", rules, "-s", "128")
        whole = self.outputs("-r", self.input, "-f", "ip", "-w", "ip.pcap", "-f", "greater 200",
                             "-w", "greater.pcap")
        for name, other, snaplen in (("cut", "ip", 60), ("run", "ip", 128),
                                     ("greater", "greater", 100)):
            self.assertEqual(
                e2e.essence(e2e.parse_capture(found[name + ".pcap"]).packets),
                [(one.ts_ns, min(one.caplen, snaplen), one.len, one.data[:snaplen])
                 for one in e2e.parse_capture(whole[other + ".pcap"]).packets])

    def test_mode_first_and_unmatched(self):
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [(f"out{index}", filter_) for index, filter_ in enumerate(FILTERS)] +
            [("rest", "unmatched")], mode="first", defaults="{write: '{rule}.pcap'}"))
        found = self.assert_one_result("-r", self.input, "-R", rules)
        count = sum(len(e2e.parse_capture(content).packets) for content in found.values())
        self.assertEqual(count, PACKETS)
        everything = sorted(e2e.essence(
            packet for content in found.values() for packet in e2e.parse_capture(content).packets))
        self.assertEqual(everything, sorted(e2e.essence(e2e.read_capture(self.input).packets)))

    def test_unmatched_with_mode_all(self):
        found = self.assert_one_result("-r", self.input, "-f", "tcp", "-w", "tcp.pcap", "-f",
                                       "unmatched", "-w", "rest.pcap", "-f", "ip", "-w", "ip.pcap")
        taken = {packet for name in ("tcp.pcap", "ip.pcap")
                 for packet in e2e.essence(e2e.parse_capture(found[name]).packets)}
        # "not (tcp or ip)" differs: it too rejects packets that are too short for its loads.
        self.assertEqual(e2e.essence(e2e.parse_capture(found["rest.pcap"]).packets),
                         [one for one in e2e.essence(e2e.read_capture(self.input).packets)
                          if one not in taken])

    def test_a_thousand_rules(self):
        """Hosts and ports of the traffic, so that many rules match."""
        flows = set()
        for packet in e2e.read_capture(self.input).packets:
            data = packet.data
            if data[12:14] == b"\x08\0" and len(data) >= 38 and data[23] in (6, 17):
                at = 14 + (data[14] & 15) * 4
                flows.add((".".join(map(str, data[26:30])),
                           struct.unpack(">H", data[at:at + 2])[0] if len(data) >= at + 2 else 1))
        flows = sorted(flows)[:1000]
        flows += [("10.99.0.1", port) for port in range(1, 1001 - len(flows))]
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [(f"r{index}", f"host {host} and port {port}")
             for index, (host, port) in enumerate(flows)],
            defaults="{write: '{rule}.pcap'}"))
        found = self.assert_one_result("-r", self.input, "-R", rules)
        self.assertEqual(len(found), 1000)
        self.assertGreater(sum(len(content) > 24 for content in found.values()), 100)

    # ---- the smallest sizes ----

    def test_the_smallest_pool(self):
        rules = ["-r", self.input, *self.pairs(), "-C", "300k"]
        wanted = self.outputs(*rules)
        for threads in THREADS:
            got = self.outputs(*rules, "-t", threads, "--buffer", 1024, "--chunk-size", 512)
            self.assert_same(got, wanted, f"-t {threads}")

    def test_the_smallest_pool_with_pcapng(self):
        rules = ["-r", self.others[1], *self.pairs("pcapng"), "-b", "packets:500"]
        wanted = self.outputs(*rules)
        for threads in THREADS:
            got = self.outputs(*rules, "-t", threads, "--buffer", 1024, "--chunk-size", 512)
            self.assert_same(got, wanted, f"-t {threads}")

    def test_tiny_batches(self):
        rules = ["-r", self.input, *self.pairs(), "-b", "packets:1000"]
        wanted = self.outputs(*rules)
        for threads in THREADS:
            for size in (["--batch-packets", 3], ["--batch-packets", 1], ["--batch-size", 100]):
                self.assert_same(self.outputs(*rules, "-t", threads, *size), wanted,
                                 f"-t {threads} {size}")

    def test_tiny_batches_with_the_smallest_pool_and_records_larger_than_it(self):
        packets = [(e2e.NS * index, bytes([index % 251]) * (40 + index * 37 % 9000))
                   for index in range(e2e.scaled(1000, 100))]
        large = self.write("large.pcap", e2e.pcap(packets))
        rules = ["-r", large, "-f", "", "-w", "all.pcap", "-f", "greater 2000", "-w",
                 "greater.pcapng", "-f", "less 500", "-w", "less.pcap"]
        wanted = self.outputs(*rules)
        for threads in THREADS:
            got = self.outputs(*rules, "-t", threads, "--buffer", 1024, "--chunk-size", 512,
                               "--batch-packets", 3)
            self.assert_same(got, wanted, f"-t {threads}")

    def test_sizes_and_rules_drawn_by_lot(self):
        """Seeded, so equal in every run; CAPWEIR_TEST_SCALE draws more."""
        draw = random.Random(20)
        filters = FILTERS + ["", "greater 1000", "ip", "unmatched"]
        for _ in range(e2e.scaled(6, 3)):
            arguments = [word for one in draw.choices(self.others, k=draw.randint(1, 3))
                         for word in ("-r", one)]
            for index, filter_ in enumerate(draw.sample(filters, draw.randint(1, 12))):
                arguments += ["-f", filter_, "-w",
                              f"out{index}." + draw.choice(["pcap", "pcapng"])]
            for option, value in (("-C", f"{draw.randint(5, 300)}k"),
                                  ("-b", f"packets:{draw.randint(20, 500)}"),
                                  ("-c", draw.randint(1, 5000)), ("-s", draw.randint(1, 300))):
                if draw.random() < 0.35:
                    arguments += [option, value]
            wanted = self.outputs(*arguments, "-t", 1)
            for _ in range(3):
                chunk = 1 << draw.randint(9, 14)
                more = ["--chunk-size", chunk, "--buffer",
                        max(1024, draw.choice([0, chunk, chunk * 3, chunk * 40, 1 << 20])),
                        "--batch-packets", draw.choice([1, 2, 3, 7, 50, 1000]),
                        "--batch-size", draw.choice([1, 64, 1000, 100000]),
                        "-t", draw.choice([1, 2, 3, 4, 8, 16])]
                self.assert_same(self.outputs(*arguments, *more), wanted, f"{arguments} {more}")

    # ---- inputs ----

    def test_three_inputs_are_read_one_after_the_other(self):
        inputs = [self.input, *self.others]
        found = self.assert_one_result(*[word for one in inputs for word in ("-r", one)],
                                       *self.pairs(), "-C", "1m")
        alone = [self.outputs("-r", one, *self.pairs("pcapng")) for one in inputs]
        for index in range(len(FILTERS)):
            self.assertEqual(
                e2e.essence(self.packets_in(found, f"out{index}")),
                e2e.essence(packet for one in alone for packet in
                            e2e.parse_capture(one[f"out{index}.pcapng"]).packets))

    def interleaved(self):
        """Packets of three interfaces and two link types in turn; a section for each byte order."""
        content = b""
        for order in "<>":
            content += e2e.section(order)
            content += e2e.interface(name="eth0", resolution=9, order=order)
            content += e2e.interface(e2e.RAW, name="tun0", order=order)
            for index in range(e2e.scaled(2000, 100)):
                frame = e2e.udp_frame(1, 2, 3, 1000 + index % 10, struct.pack(">I", index))
                if index == 50:
                    content += e2e.interface(name="late", resolution=3, order=order)
                kind = index % 3 if index > 50 else index % 2
                ticks = (1_700_000_000 + index) * (10 ** 9, 10 ** 6, 10 ** 3)[kind]
                content += e2e.enhanced(kind, ticks, frame[14:] if kind == 1 else frame,
                                        comment="remark" if index % 100 == 0 else None,
                                        order=order)
        return content

    def test_interleaved_interfaces_of_pcapng_keep_order_and_names(self):
        path = self.write("many.pcapng", self.interleaved())
        pairs = ["-f", "udp port 1003", "-w", "some.pcapng", "-f", "udp", "-w", "all.pcapng",
                 "-f", "unmatched", "-w", "rest.pcapng"]
        for more in ([], ["-b", "packets:77"], ["-C", "20k"],
                     ["--buffer", 1024, "--chunk-size", 512, "--batch-packets", 3]):
            found = self.assert_one_result("-r", path, *pairs, *more)
            source = e2e.read_capture(path).packets
            got = self.packets_in(found, "all")
            self.assertEqual(e2e.essence(got), e2e.essence(source))
            self.assertEqual([one.linktype for one in got], [one.linktype for one in source])
        names = [dict(one[4])[2] for one in
                 e2e.parse_capture(self.outputs("-r", path, *pairs)["all.pcapng"]).interfaces]
        self.assertEqual(set(names), {b"eth0", b"tun0", b"late"})

    def test_standard_input_gives_the_outputs_of_the_file(self):
        for path in (self.input, self.others[1]):
            wanted = self.outputs("-r", path, *self.pairs(), "-C", "500k")
            with open(path, "rb") as file:
                content = file.read()
            for threads in THREADS:
                got = self.outputs("-r", "-", *self.pairs(), "-C", "500k", "-t", threads,
                                   input=content)
                self.assert_same(got, wanted, f"-t {threads}")

    def test_a_slow_pipe_gives_the_output_of_the_file(self):
        content = e2e.pcap(e2e.simple_packets(200))
        path = self.write("plain.pcap", content)
        wanted = self.outputs("-r", path, "-f", "udp port 1001", "-w", "out.pcap")
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            process = e2e.start("split", "-q", "-r", "-", "-f", "udp port 1001", "-w",
                                directory + "/out.pcap", stdin=subprocess.PIPE)
            for at in range(0, len(content), 7):
                process.stdin.write(content[at:at + 7])
                process.stdin.flush()
            process.stdin.close()
            process.stdin = None
            done = e2e.finish(process)
            self.assertEqual(done.status, 0, e2e.text_of(done))
            with open(directory + "/out.pcap", "rb") as file:
                self.assertEqual(file.read(), wanted["out.pcap"])

    def test_gzip_gives_the_outputs_of_the_plain_file(self):
        wanted = self.outputs("-r", self.input, *self.pairs())
        with open(self.input, "rb") as file:
            content = file.read()
        half = len(content) // 2
        packed = {"one.gz": gzip.compress(content),
                  "members.gz": gzip.compress(content[:half]) + gzip.compress(content[half:]),
                  "misnamed.pcap": gzip.compress(content, 1)}
        for name, data in packed.items():
            for threads in (1, 4):
                got = self.outputs("-r", self.write(name, data), *self.pairs(), "-t", threads)
                self.assert_same(got, wanted, f"{name} -t {threads}")

    def test_zstd_gives_the_outputs_of_the_plain_file(self):
        e2e.need("zstd")
        wanted = self.outputs("-r", self.input, *self.pairs())
        packed = self.path("packed.zst")
        subprocess.run(["zstd", "-q", "-f", self.input, "-o", packed], check=True)
        for threads in (1, 4):
            self.assert_same(self.outputs("-r", packed, *self.pairs(), "-t", threads), wanted,
                             f"-t {threads}")
        with open(packed, "rb") as file:
            self.assert_same(self.outputs("-r", "-", *self.pairs(), input=file.read()), wanted,
                             "from a pipe")

    # ---- -c ----

    def test_a_packet_count_is_exact_and_the_same_for_all_threads(self):
        count = e2e.scaled(2000, 500)
        path = self.write("counted.pcap", e2e.pcap(e2e.simple_packets(count)))
        arguments = ["-r", path, "-f", "udp port 1001", "-w", "one.pcap", "-f",
                     "udp port 1001 or udp port 1002", "-w", "two.pcap", "-f", "unmatched", "-w",
                     "rest.pcap"]
        packets = e2e.read_capture(path).packets
        for number, limit in enumerate((1, 2, 3, 7, count // 10, count // 5, count)):
            last = len(packets)
            matched = 0
            for index in range(count):
                matched += index % 10 in (1, 2)
                if matched == limit:
                    last = index + 1
                    break
            taken = {"one.pcap": (1,), "two.pcap": (1, 2), "rest.pcap": (0, 3, 4, 5, 6, 7, 8, 9)}
            for size in ([], ["--batch-packets", 3], ["--buffer", 1024, "--chunk-size", 512]):
                found = self.assert_one_result(*arguments, "-c", limit, *size,
                                               threads=THREADS[number % 2::2])
                for name, ports in taken.items():
                    self.assertEqual(
                        e2e.essence(e2e.parse_capture(found[name]).packets),
                        e2e.essence(packet for index, packet in enumerate(packets[:last])
                                    if index % 10 in ports), f"-c {limit} {size} {name}")

    def test_a_packet_count_over_three_inputs_and_rotation(self):
        arguments = [word for one in (self.input, *self.others) for word in ("-r", one)]
        arguments += [*self.pairs(), "-C", "200k", "-c", PACKETS]
        self.assert_one_result(*arguments)


class ManyRules(e2e.Test):
    """Ten thousand rules work like a few."""

    COUNT = e2e.scaled(10_000)

    def test_ten_thousand_rules(self):
        def host(index):
            return 0x0a000000 + index * 7

        rules = [(f"r{index}", f"host 10.{host(index) >> 16 & 255}.{host(index) >> 8 & 255}."
                  f"{host(index) & 255} and udp port {1000 + index % 5000}")
                 for index in range(self.COUNT)]
        hit = list(range(3, self.COUNT, 97))
        packets = [(1_700_000_000 * 10**9 + number,
                    e2e.udp_frame(host(index), 0x0b000001, 4999, 1000 + index % 5000))
                   for number, index in enumerate(hit * 3)]
        packets += [(1_700_000_001 * 10**9, e2e.udp_frame(host(5), 0x0b000001, 1, 999))]
        self.write("in.pcap", e2e.pcap(packets, ns=True))
        # With a time in the name, rules without packets make no file.
        self.write("rules.yaml", e2e.rules_yaml(rules, defaults='{write: "{rule}-%Y.pcap"}'))
        report, _ = self.run_json("split", "-r", "in.pcap", "-R", "rules.yaml", cwd=self.directory)
        self.assertEqual(len(report["rules"]), self.COUNT)
        self.assertEqual([index for index, rule in enumerate(report["rules"]) if rule["matched"]],
                         hit)
        self.assertEqual(report["books"]["matched_any"], len(packets) - 1)
        for index in hit:
            rule, = [rule for rule in report["rules"] if rule["name"] == f"r{index}"]
            file, = rule["files"]
            self.assertEqual([packet.data for packet in e2e.read_capture(self.path(file)).packets],
                             [packets[hit.index(index)][1]] * 3)


if __name__ == "__main__":
    e2e.main()
