# SPDX-License-Identifier: BSD-3-Clause
"""Rotation by sizes, packets and times puts packets into the same files as a model of one loop."""
import os
import random
import tempfile

import e2e

SEED = 20241030
THREADS = (1, 4)
SMALL = ["--buffer", 1024, "--chunk-size", 512, "--batch-packets", 3]


class Rotation(e2e.Test):
    place = e2e.MEMORY

    def packets(self, count, seed=SEED, jumps=True):
        """Timestamps with uneven steps, repeats, and sometimes gaps or steps back."""
        draw = random.Random(seed)
        now = 1_700_000_000 * e2e.NS + 123_456_000
        for index in range(count):
            yield now, e2e.udp_frame(1, 2, 3, 1000 + index % 10, bytes(draw.randint(1, 300)))
            now += draw.choice((0, 1000, 1_000_000, 30_000_000))
            if jumps and draw.random() < 0.01:
                now += draw.choice((-700_000_000, 5 * e2e.NS, -1_000_000))

    @staticmethod
    def model(packets, size=0, count=0, every=0, aligned=True):
        """A list of packets for each file of a pcap output."""
        files, bytes_, end = [], 0, 0
        for ts, data in packets:
            if not files or (size and bytes_ + 16 + len(data) > size) or \
                    (count and len(files[-1]) == count) or (every and ts >= end):
                files.append([])
                bytes_ = 24
                end = (ts - ts % every if aligned else ts) + every if every else 0
            files[-1].append((ts, data))
            bytes_ += 16 + len(data)
        return files

    @staticmethod
    def early_of(files, every=0, aligned=True, **_):
        """How many packets lie before the period of their file."""
        return sum(ts < (file[0][0] - file[0][0] % every if aligned else file[0][0])
                   for file in files for ts, _ in file) if every else 0

    def outputs(self, *arguments):
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            report, done = self.run_json("split", "--utc", "-o", directory, *arguments)
            found, self.early = [], [rule["early"] for rule in report["rules"]]
            self.assertEqual(done.err.count("timestamps go backwards"), sum(map(bool, self.early)))
            for rule in report["rules"]:
                found.append([])
                for path in rule["files"]:
                    with open(path, "rb") as file:
                        found[-1].append((os.path.basename(path), file.read()))
            names = [name for files in found for name, _ in files]
            self.assertEqual(sorted(os.listdir(directory)), sorted(names))
            return found

    def check(self, packets, arguments, **limits):
        packets = list(packets)
        source = self.write("in.pcap", e2e.pcap(packets))
        arguments = ["-r", source, "-w", "a.pcap", *arguments]
        wanted = self.model(packets, **limits)
        found = self.outputs(*arguments, "-t", 1)
        contents = [content for _, content in found[0]]
        self.assertEqual(contents, [e2e.pcap(file) for file in wanted])
        early = [self.early_of(wanted, **limits)]
        self.assertEqual(self.early, early)
        for more in (["-t", THREADS[1]], [*SMALL, "-t", 2]):
            self.assertEqual(self.outputs(*arguments, *more), found)
            self.assertEqual(self.early, early)
        whole = self.outputs("-r", source, "-w", "whole.pcap")[0][0][1]
        self.early = early
        self.assertEqual(whole[:24] + b"".join(content[24:] for content in contents), whole)
        return found[0]

    def test_intervals_are_multiples_since_the_epoch(self):
        for every in ("0.25", "7", "3600"):
            files = self.check(self.packets(e2e.scaled(4000, 500)), ["-b", f"interval:{every}"],
                               every=int(float(every) * e2e.NS))
            self.assertGreater(len(files), 0 if every == "3600" else 3)

    def test_durations_count_from_each_files_first_packet(self):
        for option in (["-G", "2"], ["-b", "duration:2"], ["-G", "0.5"]):
            every = int(float(option[-1].split(":")[-1]) * e2e.NS)
            files = self.check(self.packets(e2e.scaled(4000, 500)), option, every=every,
                               aligned=False)
            self.assertGreater(len(files), 3)

    def test_a_packet_on_an_edge_starts_a_file(self):
        """One packet on every edge, and one in the last microsecond before the next."""
        count = e2e.scaled(700, 200)
        packets = [(ts, e2e.udp_frame(1, 2, 3, 4)) for index in range(count)
                   for ts in ((1_700_000_000 + index) * e2e.NS,
                              (1_700_000_001 + index) * e2e.NS - 1000)]
        self.assertEqual(len(self.check(packets, ["-b", "interval:1"], every=e2e.NS)), count)

    def test_all_limits_combine(self):
        draw = random.Random(SEED)
        for round_ in range(e2e.scaled(4, 2)):
            size, count = draw.choice((0, 2048, 10240)), draw.choice((0, 7, 40))
            every, aligned = draw.choice((0, 1, 3)), draw.random() < 0.5
            arguments = []
            if size:
                arguments += ["-C", f"{size >> 10}k"]
            if count:
                arguments += ["-b", f"packets:{count}"]
            if every:
                arguments += ["-b", f"{'interval' if aligned else 'duration'}:{every}"]
            self.check(self.packets(e2e.scaled(800, 300), round_), arguments, size=size,
                       count=count, every=every * e2e.NS, aligned=aligned)

    def test_a_timestamp_that_goes_back_stays_in_the_current_file(self):
        at = 1_700_000_000
        packets = [(second * e2e.NS, e2e.udp_frame(1, 2, 3, 4))
                   for second in (at, at + 10, at + 5, at - 50, at + 19, at + 20, at + 3)]
        files = self.check(packets, ["-b", "interval:10"], every=10 * e2e.NS)
        self.assertEqual([len(e2e.parse_capture(content).packets) for _, content in files],
                         [1, 4, 2])
        self.assertEqual(self.early, [3])

    def test_each_rule_has_its_period_and_names_of_times(self):
        packets = list(self.packets(e2e.scaled(3000, 500), jumps=False))
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [("fast", "", {"rotate": "{every: 500ms}"}), ("slow", ""),
             ("none", "", {"rotate": "{every: 0}"}),
             ("ng", "", {"write": "'ng-%H%M%S.pcapng'"})],
            defaults="{write: '{rule}-%Y%m%d-%H%M%S.pcap', rotate: {every: 2s}}"))
        source = self.write("in.pcap", e2e.pcap(packets))
        found = self.outputs("-r", source, "-R", rules)
        for threads in THREADS:
            self.assertEqual(self.outputs("-r", source, "-R", rules, "-t", threads), found)
            self.assertEqual(self.outputs("-r", source, "-R", rules, "-t", threads, *SMALL), found)
        for files, every in zip(found, (e2e.NS // 2, 2 * e2e.NS, 0, 2 * e2e.NS)):
            got = [e2e.essence(e2e.parse_capture(content).packets) for _, content in files]
            self.assertEqual(got, [[(ts, len(data), len(data), data) for ts, data in file]
                                   for file in self.model(packets, every=every)])
        self.assertEqual(found[1][0][0], "slow-20231114-221320.pcap")
        self.assertEqual(found[1][1][0], "slow-20231114-221322.pcap")

    def test_repeated_names_are_numbered(self):
        packets = list(self.packets(200, jumps=False))
        source = self.write("in.pcap", e2e.pcap(packets))
        names = [name for name, _ in self.outputs("-r", source, "-w", "%H%M%S.pcap", "-b",
                                                  "interval:0.5")[0]]
        self.assertIn("221320.pcap", names)
        self.assertIn("221320.1.pcap", names)
        self.assertEqual(len(set(names)), len(names))

    def test_names_without_time_and_number_are_numbered_and_sort(self):
        packets = list(self.packets(120))
        source = self.write("in.pcap", e2e.pcap(packets))
        for name, wanted in (("a.pcap", "a.{:05}.pcap"), ("a.pcap.zst", "a.{:05}.pcap.zst"),
                             ("a.b.PCAPNG", "a.b.{:05}.PCAPNG"), ("a", "a.{:05}"),
                             ("{iface}.pcap", "unknown.{:05}.pcap"),
                             ("{rule}/x.zst", "rule1/x.{:05}.zst")):
            report, _ = self.run_json("split", "-r", source, "-o", self.directory, "-w", name,
                                      "-b", "packets:10")
            names = [os.path.relpath(path, self.directory) for path in report["rules"][0]["files"]]
            self.assertEqual(names, [wanted.format(number) for number in range(1, 13)])
        for name, wanted in (("{seq}.pcap", "{}.pcap"), ("x-{seq:03}.pcap", "x-{:03}.pcap")):
            files, = self.outputs("-r", source, "-w", name, "-b", "packets:10")
            self.assertEqual([name for name, _ in files],
                             [wanted.format(number) for number in range(12)])
        files, = self.outputs("-r", source, "-w", "a.pcap")
        self.assertEqual([name for name, _ in files], ["a.pcap"])
        files, = self.outputs("-r", source, "-w", "a.pcap", "-b", "packets:10", "-f", "len < 1")
        self.assertEqual([name for name, _ in files], ["a.00001.pcap"])

    def test_a_run_replaces_the_numbered_files_of_an_earlier_one(self):
        source = self.write("in.pcap", e2e.pcap(self.packets(50)))
        for limit, count in ((10, 5), (25, 2)):
            report, _ = self.run_json("split", "-r", source, "-w", self.path("a.pcap"), "-b",
                                      f"packets:{limit}")
            self.assertEqual([os.path.basename(path) for path in report["rules"][0]["files"]],
                             [f"a.{number:05}.pcap" for number in range(1, count + 1)])
        self.assertEqual(len(e2e.read_capture(self.path("a.00002.pcap")).packets), 25)
        self.assertEqual(len(e2e.read_capture(self.path("a.00003.pcap")).packets), 10)

    def test_a_run_stops_after_files(self):
        packets = list(self.packets(200, jumps=False))
        source = self.write("in.pcap", e2e.pcap(packets))
        for words, limits, count, name in (
                (["-b", "packets:10", "-a", "files:3"], {"count": 10}, 3, "a.{:05}.pcap"),
                (["-C", "2000B", "-a", "files:4"], {"size": 2000}, 4, "a.{:05}.pcap"),
                (["-G", "0.1", "-W", "5"], {"every": e2e.NS // 10, "aligned": False}, 5,
                 "a.{:05}.pcap"),
                (["-G", "0.1", "-W", "1"], {"every": e2e.NS // 10, "aligned": False}, 1, "a.pcap"),
                (["-a", "filesize:3000B"], {"size": 3000}, 1, "a.pcap"),
                (["-a", "packets:25"], {}, 1, "a.pcap")):
            wanted = [e2e.pcap(file) for file in self.model(packets, **limits)[:count]]
            if words[1] == "packets:25":
                wanted = [e2e.pcap(packets[:25])]
            for threads in THREADS:
                with self.subTest(words=words, threads=threads):
                    files, = self.outputs("-r", source, "-w", "a.pcap", *words, "-t", threads)
                    self.assertEqual([content for _, content in files], wanted)
                    self.assertEqual([one for one, _ in files],
                                     [name.format(number) for number in range(1, count + 1)])

    def test_a_stop_without_what_it_needs_is_refused(self):
        source = self.write("in.pcap", e2e.pcap(self.packets(3)))
        for words, says in ((["-a", "files:3"], "needs files that end"),
                            (["-a", "filesize:3", "-C", "1"], "exclude each other"),
                            (["-a", "filesize:3", "-b", "filesize:1"], "exclude each other"),
                            (["-a", "duration:3"], "for a live capture"),
                            (["-a", "file:3"], "duration:, filesize:, packets: or files:")):
            done = e2e.capweir("split", "-r", source, "-w", self.path("a.pcap"), *words)
            self.assertEqual(done.status, 2, words)
            self.assertIn(says, done.err)
        self.assertEqual(os.listdir(self.directory), ["in.pcap"])

    def test_rules_with_names_that_can_meet_are_refused(self):
        source = self.write("in.pcap", e2e.pcap(self.packets(3)))
        for first, second in (("a.pcap", "a.00001.pcap"), ("a.pcap", "a.{seq:05}.pcap"),
                              ("a.pcap.zst", "a.00001.pcap.zst"), ("{seq:2}", "{seq:3}")):
            rules = self.write("rules.yaml", e2e.rules_yaml(
                [("one", "", {"write": f"'{first}'", "rotate": "{packets: 5}"}),
                 ("two", "", {"write": f"'{second}'"})]))
            done = e2e.capweir("split", "-r", source, "-R", rules, "-o", self.directory)
            self.assertEqual(done.status, 2, (first, second))
            self.assertIn("can write the same file", done.err)

    def test_invalid_periods_are_refused(self):
        source = self.write("in.pcap", e2e.pcap(self.packets(3)))
        for option, value in (("-G", "0"), ("-G", "x"), ("-G", "-1"), ("-b", "interval:0"),
                              ("-b", "duration:1e99"), ("-b", "interval:")):
            done = e2e.capweir("-r", source, "-w", self.path("a.pcap"), option, value)
            self.assertEqual(done.status, 2, (option, value))
            self.assertIn(option, done.err)
        done = e2e.capweir("-r", source, "-w", self.path("a.pcap"), "-G", "1", "-b", "interval:1")
        self.assertEqual(done.status, 2)
        self.assertIn("one of them", done.err)
        done = e2e.capweir("-r", source, "-w", self.path("a.pcap"), "-G", "1", "--no-clobber")
        self.assertEqual(done.status, 2)
        self.assertEqual(os.listdir(self.directory), ["in.pcap"])


if __name__ == "__main__":
    e2e.main()
