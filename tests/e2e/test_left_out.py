# SPDX-License-Identifier: BSD-3-Clause
"""Samples and limits keep exactly the packets of a plain loop, and the books count the others."""
import random
import tempfile

import e2e

SEED = 20241104
THREADS = (1, 2, 4)
SMALL = ["--buffer", 1024, "--chunk-size", 512, "--batch-packets", 3]


def model(packets, sample=1, count=0, bytes_=0, rate=0, snaplen=1 << 30):
    """(kept packets, left out by the sample, by limits)."""
    kept, by_sample, by_limit = [], 0, 0
    second, in_second, taken, is_over = 0, 0, 0, False
    for index, (ts, data) in enumerate(packets):
        size = min(len(data), snaplen)
        if index % sample:
            by_sample += 1
            continue
        is_over = is_over or (count and len(kept) >= count) or \
            (bytes_ and taken + size > bytes_)
        now = max(second, ts // e2e.NS)
        if is_over or (rate and now == second and in_second >= rate):
            by_limit += 1
            continue
        if now > second:
            second, in_second = now, 0
        in_second += 1
        taken += size
        kept.append((ts, data))
    return kept, by_sample, by_limit


class LeftOut(e2e.Test):
    def setUp(self):
        super().setUp()
        draw = random.Random(SEED)
        now, self.packets = 1_700_000_000 * e2e.NS + 900_000_000, []
        for index in range(e2e.scaled(4000, 1000)):
            self.packets.append((now, e2e.udp_frame(1, 2, 3, 1000 + index % 10,
                                                    bytes(draw.randint(1, 300)))))
            now += draw.choice((0, 1_000_000, 40_000_000))
            if draw.random() < 0.01:
                now += draw.choice((-1_500_000_000, 3 * e2e.NS))
        self.source = self.write("in.pcap", e2e.pcap(self.packets))

    def run_rules(self, rules, *arguments):
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            report, done = self.run_json("split", "-r", self.source, "-R", rules, "-o", directory,
                                         *arguments)
            self.check_files(report)
            contents = []
            for rule in report["rules"]:
                contents.append([])
                for path in rule["files"]:
                    with open(path, "rb") as file:
                        contents[-1].append(file.read())
            return contents, report

    def test_samples_and_limits_keep_the_packets_of_a_plain_loop(self):
        """All combinations in one run; rules without limits keep every packet."""
        shapes = [dict(), dict(sample=2), dict(sample=7), dict(sample=1000000), dict(count=1),
                  dict(count=100), dict(bytes_=10000), dict(rate=5), dict(rate=1),
                  dict(sample=3, count=50), dict(sample=2, rate=4, bytes_=20000),
                  dict(count=10 ** 9, bytes_=1 << 40, rate=10 ** 9), dict(bytes_=5000, snaplen=60)]
        names = {"count": "packets", "bytes_": "bytes", "rate": "rate"}
        rules = []
        for index, shape in enumerate(shapes):
            more = {}
            if "sample" in shape:
                more["sample"] = f"1/{shape['sample']}"
            limits = ", ".join(f"{names[key]}: {value}" for key, value in shape.items()
                               if key in names)
            if limits:
                more["limit"] = "{" + limits + "}"
            if "snaplen" in shape:
                more["snaplen"] = shape["snaplen"]
            rules.append((f"r{index}", "udp port 1003 or udp portrange 1005-1008", more))
        rules = self.write("rules.yaml", e2e.rules_yaml(
            rules + [("rest", "unmatched", {"sample": "1/3"})], defaults="{write: '{rule}.pcap'}"))
        found, report = self.run_rules(rules, "-t", 1)
        matched = [packet for index, packet in enumerate(self.packets)
                   if index % 10 in (3, 5, 6, 7, 8)]
        rest = [packet for index, packet in enumerate(self.packets)
                if index % 10 in (0, 1, 2, 4, 9)]
        for (content,), rule, shape, packets in zip(
                found, report["rules"], shapes + [dict(sample=3)],
                [matched] * len(shapes) + [rest]):
            kept, by_sample, by_limit = model(packets, **shape)
            cut = shape.get("snaplen", 1 << 30)
            self.assertEqual(e2e.essence(e2e.parse_capture(content).packets),
                             [(ts, min(len(data), cut), len(data), data[:cut])
                              for ts, data in kept], shape)
            self.assertEqual(rule["left_out"], {"sample": by_sample, "limit": by_limit}, shape)
            self.assertEqual((rule["matched"], rule["lost_total"]), (len(packets), 0))
        for threads in THREADS:
            for small in ((), SMALL):
                self.assertEqual(self.run_rules(rules, "-t", threads, *small)[0], found)

    def test_samples_and_limits_work_with_rotation_and_file_rings(self):
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [("a", "", {"sample": "1/4"}), ("b", "", {"limit": "{rate: 3}"})],
            defaults="{write: '{rule}-{seq}.pcapng', rotate: {packets: 10, every: 2s, files: 3}}"))
        found, _ = self.run_rules(rules)
        self.assertEqual([len(files) for files in found], [3, 3])
        kept = [model(self.packets, sample=4)[0], model(self.packets, rate=3)[0]]
        for files, wanted in zip(found, kept):
            got = [one for content in files for one in
                   e2e.essence(e2e.parse_capture(content).packets)]
            self.assertEqual(got, [(ts, len(data), len(data), data)
                                   for ts, data in wanted[-len(got):]])
        for threads in THREADS:
            self.assertEqual(self.run_rules(rules, "-t", threads, *SMALL)[0], found)

    def test_a_count_counts_matched_packets(self):
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [("a", "", {"sample": "1/4"})], defaults="{write: '{rule}.pcap'}"))
        for threads in THREADS:
            (((content,),), report) = self.run_rules(rules, "-c", 101, "-t", threads)
            self.assertEqual(len(e2e.parse_capture(content).packets), 26)
            self.assertEqual(report["books"]["matched_any"], 101)

    def test_a_rule_that_keeps_nothing_gives_a_valid_empty_file(self):
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [("a", "", {"limit": "{bytes: 1}"})], defaults="{write: '{rule}.pcap'}"))
        (((content,),), report) = self.run_rules(rules)
        self.assertEqual(content, e2e.pcap([]))
        self.assertTrue(report["complete"])
        self.assertEqual(report["rules"][0]["left_out"]["limit"], len(self.packets))

    def test_left_out_packets_are_not_losses_on_a_full_disk(self):
        """Also if the output fails, packets left out by the sample are not lost."""
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [("full", "", {"sample": "1/5", "write": "/dev/full"}),
             ("fine", "", {"sample": "1/5", "write": self.path("fine.pcap")})]))
        for threads in THREADS:
            report, _ = self.run_json("split", "-r", self.source, "-R", rules, "-t", threads,
                                      status=1)
            full, fine = report["rules"]
            taken = (len(self.packets) + 4) // 5
            self.assertEqual(full["left_out"]["sample"], len(self.packets) - taken)
            self.assertEqual(full["lost"]["disk_full"], taken)
            self.assertEqual(fine["written"], taken)

    def test_the_report_counts_left_out_packets_and_bad_values_are_refused(self):
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [("a", "", {"sample": "1/2"})], defaults=f"{{write: '{self.path('a.pcap')}'}}"))
        done = self.run_ok("split", "-r", self.source, "-R", rules)
        half = len(self.packets) // 2
        self.assertIn(f"{len(self.packets):,} records matched = {half:,} left out by samples and "
                      f"limits + {half:,} to write\n{half:,} records to write", done.err)
        for more in ("sample: 5", "sample: 1/0", "sample: 1/", "sample: 1/x", "sample: 2/3",
                     "limit: 5", "limit: {packets: x}", "limit: {rate: 5/s}", "limit: {time: 3}"):
            path = self.write("bad.yaml", "rules:\n  a: {filter: udp, write: a.pcap, %s}\n" % more)
            done = e2e.capweir("check", path)
            self.assertEqual(done.status, 2, more)
            self.assertIn("bad.yaml:2: ", done.err)


if __name__ == "__main__":
    e2e.main()
