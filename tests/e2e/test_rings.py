# SPDX-License-Identifier: BSD-3-Clause
"""Rings: the last files stay, older ones of the run go, no others, and the books know."""
import os
import tempfile

import e2e

THREADS = (1, 2, 4) if e2e.SCALE >= 1 else (4,)
SMALL = ["--buffer", 1024, "--chunk-size", 512, "--batch-packets", 3]
WAYS = [(1, SMALL), (2, ()), (4, SMALL), (4, ())] if e2e.SCALE >= 1 else [(1, ()), (4, SMALL)]


class Rings(e2e.Test):
    def setUp(self):
        super().setUp()
        self.packets = e2e.simple_packets(e2e.scaled(1500, 1500), size=100)
        self.source = self.write("in.pcap", e2e.pcap(self.packets))

    def outputs(self, *arguments, before=()):
        """Per rule, the names and contents of what a run leaves; and the report."""
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            for name in before:
                with open(os.path.join(directory, name), "w") as file:
                    file.write("mine")
            report, _ = self.run_json("split", "-r", self.source, "-o", directory, *arguments)
            self.check_files(report)
            found, names = [], list(before)
            for rule in report["rules"]:
                found.append([])
                for path in rule["files"]:
                    with open(path, "rb") as file:
                        found[-1].append((os.path.basename(path), file.read()))
                names += [name for name, _ in found[-1]]
                self.assertEqual(rule["file_bytes"], sum(len(content) for _, content in found[-1]))
            self.assertEqual(sorted(os.listdir(directory)), sorted(names))
            self.assertEqual(report["books"]["expired"],
                             sum(rule["expired"] for rule in report["rules"]))
            return found, report

    def check(self, arguments, ring, wanted_of):
        """wanted_of(all files of the unringed run) are those that the ring leaves."""
        everything, _ = self.outputs(*arguments)
        wanted = wanted_of(everything)
        for threads, small in WAYS:
            found, report = self.outputs(*arguments, *ring, "-t", threads, *small)
            self.assertEqual(found, wanted, (threads, small))
        for rule, files, left in zip(report["rules"], everything, wanted):
            self.assertEqual(rule["expired_files"], len(files) - len(left))
            self.assertEqual(rule["written"], sum(len(e2e.parse_capture(content).packets)
                                                  for _, content in files))
            self.assertEqual(rule["expired"], rule["written"] -
                             sum(len(e2e.parse_capture(content).packets) for _, content in left))
        return report

    def pairs(self):
        return ["-f", "udp port 1001", "-w", "a.pcap", "-f", "udp portrange 1002-1009", "-w",
                "{rule}-{seq}.pcapng"]

    def test_the_last_files_stay(self):
        for count in (1, 2, 5, 100000) if e2e.SCALE >= 1 else (2, 100000):
            for limit in (["-C", "10k"], ["-b", "packets:37"], ["-b", "interval:0.1"]):
                report = self.check(
                    [*self.pairs(), *limit], ["-b", f"files:{count}"],
                    lambda files: [one[-count:] for one in files])
        self.assertEqual(report["books"]["expired"], 0)

    def test_tcpdumps_letter(self):
        self.check([*self.pairs(), "-C", "10k"], ["-W", 3],
                   lambda files: [one[-3:] for one in files])

    def rules(self, rotate="{size: 8KiB}", keep=None, **more):
        text = e2e.rules_yaml([("a", "udp portrange 1000-1003", more.get("a", {})),
                               ("b", "udp port 1004", more.get("b", {})),
                               ("c", "unmatched", more.get("c", {}))],
                              defaults="{write: '{rule}-{seq}.pcap', rotate: %s}" % rotate)
        return self.write("rules.yaml", text + (f"keep: {keep}\n" if keep else ""))

    def test_a_total_of_a_rule(self):
        """What is kept and the file that is begun, at its largest, fit the total."""
        def wanted(files):
            left = []
            for one in files:
                last, kept = one[-1:], one[:-1]
                while sum(len(content) for _, content in kept) + 8192 > 50000:
                    kept = kept[1:]
                left.append(kept + last)
            return left

        everything, _ = self.outputs("-R", self.rules())
        found, report = self.outputs("-R", self.rules("{size: 8KiB, total: 50KB}"))
        self.assertEqual(found, wanted(everything))
        for threads in THREADS:
            self.assertEqual(self.outputs("-R", self.rules("{size: 8KiB, total: 50KB}"), "-t",
                                          threads, *SMALL)[0], found)
        for rule in report["rules"]:
            self.assertLessEqual(rule["file_bytes"], 50000)
        self.assertGreater(report["rules"][0]["expired_files"], 0)

    def test_a_total_of_all_rules_and_priorities(self):
        """The least rule's oldest files go first; of equals, what ended first."""
        total = 40 * len(self.packets)
        results = {}
        for name, priorities in (("equal", {}),
                                 ("c", {"c": {"priority": 2}, "b": {"priority": 1}})):
            rules = self.rules(keep=f"{{total: {total}}}", **priorities)
            found, report = self.outputs("-R", rules)
            for threads in THREADS:
                self.assertEqual(self.outputs("-R", rules, "-t", threads, *SMALL)[0], found)
            self.assertLessEqual(sum(rule["file_bytes"] for rule in report["rules"]), total)
            self.assertGreater(sum(rule["file_bytes"] for rule in report["rules"]),
                               total - 4 * 8192)
            results[name] = [len(files) for files in found]
        everything, _ = self.outputs("-R", self.rules())
        self.assertEqual(results["c"][0], 1, "the least rule keeps what it writes")
        self.assertGreater(results["c"][2], results["equal"][2])
        self.assertLess(results["equal"][2], len(everything[2]))
        for files, left in zip(everything, found):
            self.assertEqual(left, files[-len(left):])

    def test_files_that_were_there_stay(self):
        """A file of before the run is nobody's to remove, even where its name would be next."""
        found, _ = self.outputs(*self.pairs(), "-C", "10k", "-b", "files:2",
                                before=("a.9999.pcap", "other.pcap", "rule2-9999.pcapng"))
        self.assertEqual([len(one) for one in found], [2, 2])

    def test_room_on_a_small_disk(self):
        """More goes through the disk than it has room for, and nothing is lost."""
        count = e2e.scaled(30000, 15000)  # 10 MB
        source = e2e.generate(self.path("big.pcap"), count)
        with e2e.tmpfs(self.path("disk"), "size=2m"):
            for arguments in (["-C", "300k", "-b", "files:4"],
                              ["-R", self.write("keep.yaml", e2e.rules_yaml(
                                  [("all", "", {"rotate": "{size: 300KiB}"})],
                                  defaults=f"{{write: '{self.path('disk')}/{{seq}}.pcap'}}") +
                                  "keep: {free: 600KiB}\n")]):
                more = [] if "-R" in arguments else ["-w", self.path("disk", "a.pcap")]
                # Small buffers: what is in memory does not count, and the turn runs ahead of the
                # writer by that much when it is asked for space.
                report, _ = self.run_json("split", "-r", source, *more, *arguments, "--buffer",
                                          "64KiB", "--chunk-size", "16KiB", "--batch-packets", 50)
                self.assertGreater(report["books"]["expired"], count // 2)
                self.assertEqual(report["books"]["lost"], 0)
                self.check_files(report)
                self.assert_no_parts()
                for name in os.listdir(self.path("disk")):
                    os.unlink(self.path("disk", name))

    def test_rings_that_cannot_be(self):
        for text, says in (
                (e2e.rules_yaml([("a", "udp", {"rotate": "{files: 3}"})],
                                defaults="{write: a.pcap}"), "rule a.*its file never ends"),
                (e2e.rules_yaml([("a", "udp", {"rotate": "{total: 3MB, packets: 5}"})],
                                defaults="{write: a.pcap}"), "rule a.*needs a file size"),
                (e2e.rules_yaml([("a", "udp", {"rotate": "{total: 3MB, size: 5MB}"})],
                                defaults="{write: a.pcap}"), "less than one file"),
                (e2e.rules_yaml([("a", "udp"), ("b", "tcp")], defaults="{write: '{rule}.pcap', "
                                "rotate: {size: 5MB}}") + "keep: {total: 9MB}\n", "keep: a total"),
                (e2e.rules_yaml([("a", "udp")], defaults="{write: a.pcap}") +
                 "keep: {total: 9MB}\n", "rule a.*needs a file size"),
                (e2e.rules_yaml([("a", "udp", {"priority": "high"})], defaults="{write: a.pcap}"),
                 "priority.*high"),
                (e2e.rules_yaml([("a", "udp")], defaults="{write: a.pcap}") + "keep: {age: 3}\n",
                 "unknown key 'age'")):
            path = self.write("rules.yaml", text)
            for command in (["split", "-r", self.source, "-R", path], ["check", path]):
                done = e2e.capweir(*command)
                self.assertEqual(done.status, 2, text)
                self.assertRegex(done.err, says)
        for arguments in (["-W", "3"], ["-W", "0", "-C", "1"], ["-b", "files:x", "-C", "1"]):
            done = e2e.capweir("-r", self.source, "-w", self.path("a.pcap"), *arguments)
            self.assertEqual(done.status, 2, arguments)
        self.assertFalse(os.path.exists(self.path("a.pcap")))


if __name__ == "__main__":
    e2e.main()
