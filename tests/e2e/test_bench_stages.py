#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""capweir bench split, ring, write and limits: what they count is so, and nothing is left.

No time is looked at, but that there is one.
"""
import json
import os
import resource
import signal
import subprocess

import e2e

FILTERS = ["tcp port 443", "udp", "vlan 100"]


class Bench(e2e.Test):
    def setUp(self):
        super().setUp()
        self.out = self.path("out")
        os.mkdir(self.out)

    def bench(self, *arguments, status=0):
        done = e2e.capweir("bench", *arguments, cwd=self.directory)
        self.assertEqual(done.status, status, e2e.text_of(done))
        self.assertEqual(os.listdir(self.out), [])
        return done

    def report(self, *arguments):
        report = json.loads(self.bench(*arguments, "--json").out)
        self.assertEqual(report["version"], 1)
        self.assertEqual(report["bench"], arguments[0])
        self.assertEqual(set(report["machine"]), {"cpu", "kernel", "cores", "governor",
                                                  "memory_gib", "load"})
        for row in report["results"]:
            unit = "item" if arguments[0] == "ring" else "packet"
            self.assertGreater(row[f"ns_per_{unit}"], 0)
            self.assertLessEqual(row["min"], row[f"ns_per_{unit}"])
            self.assertLessEqual(row[f"ns_per_{unit}"], row["max"])
            self.assertLessEqual(row["spread"], row["max"] - row["min"])
            if report["rounds"] == 2:
                middle = (row["min"] + row["max"]) / 2
                self.assertAlmostEqual(row[f"ns_per_{unit}"] / middle, 1, 4)
            self.assertGreater(row[f"cpu_ns_per_{unit}"], 0)
            self.assertAlmostEqual(row[f"{unit}s_per_s"] * row[f"ns_per_{unit}"] / 1e9, 1, 3)
            self.assertIn("dropped", row)
            if row["limit_fraction"] is not None:
                self.assertAlmostEqual(row["limit_fraction"] * row[f"ns_per_{unit}"]
                                       / row[f"limit_ns_per_{unit}"], 1, 3)
        return report

    def rules(self):
        return self.write("rules.yaml", e2e.rules_yaml(
            [(f"r{index}", expression) for index, expression in enumerate(FILTERS)]
            + [("rest", "unmatched")], defaults={"write": "{rule}.pcap"}))


class Split(Bench):
    def test_generated_traffic_by_profile_rules_and_threads(self):
        report = self.report("split", "--packets", 3000, "--repeat", 2, "--profile", "small,mix",
                             "--rule-count", "8,30", "-t", "1,2,3", "--seed", 9, "-o", self.out)
        self.assertEqual((report["seed"], report["rounds"]), (9, 2))
        rows = [(row["traffic"], row["rules"], row["program"], row["threads"])
                for row in report["results"]]
        self.assertEqual(rows, [(traffic, rules, program, threads)
                                for traffic in ("small", "mix") for rules in (8, 30)
                                for program, threads in (("libpcap", 1), ("capweir", 1),
                                                         ("capweir", 2), ("capweir", 3))])
        for row in report["results"]:
            self.assertEqual((row["packets"], row["dropped"], row["unwritten"], row["rounds"]),
                             (3000, 0, 0, 2))
        for limit in ("walk", "write"):
            self.assertEqual([rate["threads"] for rate in report["limits"][limit]], [1, 2, 3])

    def test_what_is_written_is_what_tcpdump_finds(self):
        e2e.need("tcpdump")
        path = e2e.generate(self.path("in.pcap"), 5000, "mix")
        found = [len(e2e.parse_capture(e2e.tcpdump([path], expression)[1]).packets)
                 for expression in FILTERS]
        for row in self.report("split", path, "-R", self.rules(), "--repeat", 1, "-t", 1,
                               "-o", self.out)["results"]:
            self.assertEqual((row["traffic"], row["packets"], row["rules"], row["written"]),
                             ("in.pcap", 5000, 3, sum(found)))

    def test_seeds_give_other_traffic(self):
        one, same, other = (
            self.report("split", "--packets", 2000, "--repeat", 1, "--seed", seed, "-t", 1, "-o",
                        self.out)["results"][0] for seed in (1, 1, 2))
        self.assertEqual((one["bytes"], one["written"]), (same["bytes"], same["written"]))
        self.assertNotEqual(one["bytes"], other["bytes"])

    def test_text_names_machine_seed_limit_and_losses(self):
        text = self.bench("split", "--packets", 1000, "--repeat", 1, "-t", 1, "-o",
                          self.out).out.decode()
        self.assertRegex(text, r"governor \S+, Linux \S+")
        self.assertRegex(text, r"seed 1; medians of 1 round\n")
        self.assertRegex(text, r"(?m)^walk +[0-9.]+ GB/s")
        self.assertRegex(text, r"(?m)^program .*lost of limit$")
        self.assertRegex(text, r"(?m)^capweir +1 +8 +imix .* 0 +\d+ %$")

    def test_mistakes_are_told(self):
        rules = self.rules()
        for arguments, status, says in (
                (["a.pcap", "b.pcap"], 2, "one FILE"),
                (["no.pcap"], 1, "no.pcap"),
                (["."], 1, "not a regular file"),
                (["no.pcap", "--packets", "5"], 2, "generated traffic"),
                (["--packets", "0"], 2, "--packets"),
                (["--profile", "imix,never"], 2, "imix,never"),
                (["--profile", ""], 2, "--profile"),
                (["-t", "1,,2"], 2, "-t takes"),
                (["-t", "0"], 2, "-t takes"),
                (["-t", ",".join(["1"] * 17)], 2, "at most 16"),
                (["--rule-count", "10001"], 2, "10000"),
                (["--rule-count", "3", "-R", rules], 2, "--rule-count"),
                (["-R", "no.yaml"], 2, "no.yaml"),
                (["-R", self.write("none.yaml", "rules: {a: {filter: unmatched, write: a.pcap}}")],
                 2, "no rule has a filter"),
                (["--frame-size", "60"], 2, "does not take --frame-size"),
                (["-o", "/nowhere"], 1, "/nowhere")):
            with self.subTest(arguments=arguments):
                done = self.bench("split", *(["-o", self.out] if "-o" not in arguments else []),
                                  *arguments, status=status)
                self.assertIn(says, done.err)
                self.assertEqual(done.out, b"")

    def test_a_bad_file_is_no_result(self):
        path = self.write("bad.pcap", b"nothing of the kind" * 100)
        done = self.bench("split", path, "--repeat", 1, "-o", self.out, status=1)
        self.assertIn("bad.pcap", done.err)
        self.assertEqual(done.out, b"")

    def test_what_libpcap_cannot_read_is_measured_without_it(self):
        path = e2e.generate(self.path("in.pcap"), 3000)
        subprocess.run(["gzip", path], check=True)
        done = self.bench("split", path + ".gz", "--repeat", 1, "-t", "1,2", "-o", self.out,
                          "--json")
        self.assertRegex(done.err, "warning: libpcap, 8 rules, in.pcap.gz: .*left out")
        rows = json.loads(done.out)["results"]
        self.assertEqual([(row["program"], row["threads"], row["packets"]) for row in rows],
                         [("capweir", 1, 3000), ("capweir", 2, 3000)])
        self.assertGreater(rows[0]["written"], 500)

    def test_more_rules_than_libpcap_may_open_files(self):
        arguments = ("bench", "split", "--packets", 1000, "--rule-count", "5,200", "-t", "1",
                     "--repeat",
                     "1", "--json", "-o", self.out)
        done = e2e.capweir(*arguments, limits=[(resource.RLIMIT_NOFILE, 120)])
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertRegex(done.err, "warning: libpcap, 200 rules, .*[Tt]oo many open files")
        self.assertEqual([(row["program"],
                           row["rules"]) for row in json.loads(done.out)["results"]],
                         [("libpcap", 5), ("capweir", 5), ("capweir", 200)])

    def test_a_signal_ends_it_and_nothing_is_left(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process = e2e.start("bench", "split", "--packets", 200000, "--repeat", 900, "-o",
                                self.out)
            e2e.wait_until(lambda: any(names for _, _, names in os.walk(self.out)),
                           "a file is begun", process)
            process.send_signal(number)
            self.assertEqual(e2e.finish(process).status, 130)
            self.assertEqual(os.listdir(self.out), [])

    def test_a_full_disk_is_told_and_nothing_is_left(self):
        with e2e.tmpfs(self.path("small"), "size=3m") as small:
            for what in (["split", "--packets", 30000], ["split", "--packets", 8000, "-t", "1"],
                         ["write", "--packets", 9000, "--frame-size", "1514"], ["limits"]):
                done = e2e.capweir("bench", *what, "-o", small)
                self.assertEqual(done.status, 1, (what, e2e.text_of(done)))
                self.assertRegex(done.err, "(?i)no space|not written|disk|full")
                self.assertEqual(done.out, b"")
                self.assertEqual(os.listdir(small), [])


class Ring(Bench):
    def test_rows_by_way_and_threads(self):
        report = self.report("ring", "--packets", 20000, "--repeat", 2, "-t", "1,3")
        self.assertEqual([(row["program"], row["threads"], row["items"], row["rounds"])
                          for row in report["results"]],
                         [(way, threads, 20000, 2) for threads in (1, 3)
                          for way in ("ring", "mutex")])

    def test_mistakes_are_told(self):
        for arguments, says in ((["--packets", "0"], "--packets"), (["word"], "no other words"),
                                (["-t", "257"], "256"), (["-R", "x"], "does not take --rules")):
            done = e2e.capweir("bench", "ring", *arguments)
            self.assertEqual(done.status, 2)
            self.assertIn(says, done.err)


class Write(Bench):
    def test_rows_by_size_threads_and_way(self):
        report = self.report("write", "--packets", 5000, "--frame-size", "1,500", "-t", "1,2",
                             "--repeat", 1, "-o", self.out)
        rows = [row for row in report["results"] if row["program"] != "direct"]
        self.assertEqual([(row["packet_bytes"], row["threads"], row["program"]) for row in rows],
                         [(size, threads, way) for size in (1, 500) for threads in (1, 2)
                          for way in ("dumper", "outfile", "pcap_dump")])
        for row in rows:
            self.assertEqual((row["packets"], row["bytes"]),
                             (5000 * row["threads"], 5000 * row["threads"] * row["packet_bytes"]))

    def test_where_nothing_is_written_directly_that_is_left_out(self):
        with e2e.tmpfs(self.path("small"), "size=64m") as small:
            done = e2e.capweir("bench", "write", "--packets", "9000", "--frame-size", "1514", "-t",
                               "1", "--repeat", "1", "--json", "-o", small)
            self.assertEqual(done.status, 0, e2e.text_of(done))
            programs = [row["program"] for row in json.loads(done.out)["results"]]
            self.assertEqual([name for name in programs if name != "direct"],
                             ["dumper", "outfile", "pcap_dump"])
            # tmpfs takes O_DIRECT since Linux 6.6: then it is there, else it is told.
            self.assertEqual("direct" in programs, "past the page cache" not in done.err)


class Serial(Bench):
    def serial(self, *arguments, status=0):
        done = self.bench("serial", "--repeat", 1, "-o", self.out, *arguments, status=status)
        return done.out.decode(), done.err

    def test_rows_by_profile_and_threads(self):
        report = json.loads(self.serial("--packets", 3000, "--profile", "small,large", "-t", "1,3",
                                        "--json")[0])
        self.assertEqual((report["bench"], report["rounds"], report["seed"]), ("serial", 1, 1))
        self.assertEqual([(row["traffic"], row["threads"], row["packets"])
                          for row in report["results"]],
                         [(traffic, threads, 3000) for traffic in ("small", "large")
                          for threads in (1, 3)])
        for row in report["results"]:
            self.assertEqual(sorted(one["thread"] for one in row["work"]),
                             ["reader"] + ["worker"] * row["threads"])
            sums = {kind: sum(one[kind] for one in row["work"]) for kind in
                    ("read", "turn", "again", "guess", "walk", "copy", "write", "idle")}
            self.assertTrue(all(sums[kind] > 0
                                for kind in ("read", "turn", "walk", "copy", "write")), sums)
            serial = sums["read"] + sums["turn"] + sums["again"]
            rest = sums["guess"] + sums["walk"] + sums["copy"] + sums["write"]
            self.assertAlmostEqual(row["serial_ns_per_packet"] / serial, 1, 3)
            self.assertAlmostEqual(row["rest_ns_per_packet"] / rest, 1, 3)
            self.assertAlmostEqual(row["packets_per_s_max"] / 1e9
                                   * max(serial, rest / row["threads"]), 1, 3)
            self.assertLess(serial + rest, row["cpu_ns_per_packet"])

    def test_text_has_a_line_for_reader_and_workers(self):
        path = e2e.generate(self.path("in.pcap"), 3000)
        text, _ = self.serial(path, "-t", 2)
        self.assertRegex(text, r"(?m)^traffic +threads in +read +turn +again +guess +walk +copy "
                               r"+write +idle +serial +max M/s$")
        self.assertRegex(text, r"(?m)^in\.pcap +2 reader ( +[0-9.]+){8}$")
        self.assertRegex(text, r"(?m)^in\.pcap +2 workers( +[0-9.]+){10}$")
        self.assertNotIn("seed", text)

    def test_a_serial_part_over_the_limit_is_exit_1(self):
        path = e2e.generate(self.path("in.pcap"), 300)
        text, told = self.serial(path, "-t", "1,2", "--max-serial", 1, status=1)
        self.assertIn("serial", text)
        self.assertEqual(told.count("more than --max-serial 1"), 2)
        self.serial(path, "-t", 1, "--max-serial", 1000000000)

    def test_mistakes_are_told(self):
        for arguments, status, says in ((["--packets", "0"], 2, "--packets"),
                                        (["a.pcap", "b.pcap"], 2, "one FILE"),
                                        (["-t", "257"], 2, "256"),
                                        (["--max-serial", "0"], 2, "--max-serial"),
                                        (["--rule-count", "8"], 2, "does not take --rule-count"),
                                        (["no.pcap"], 1, "no.pcap")):
            self.assertIn(says, self.serial(*arguments, status=status)[1])


class Limits(Bench):
    def test_every_limit_by_threads(self):
        limits = self.report("limits", "-t", "1,2", "-o", self.out)["limits"]
        for name in ("copy", "walk", "read", "write"):
            self.assertEqual([rate["threads"] for rate in limits[name]], [1, 2])
            for rate in limits[name]:
                self.assertGreater(rate["min"], 0)
        self.assertRegex(self.bench("limits", "-t", "1", "-o", self.out).out.decode(),
                         r"(?m)^copy +[0-9.]+ GB/s \([0-9.]+-[0-9.]+\) by 1$")

    def test_no_root_is_needed(self):
        if os.geteuid():
            self.skipTest("this is no root")
        os.chmod(self.directory, 0o755)
        os.chmod(self.out, 0o777)
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", e2e.CAPWEIR,
                               "bench",
                               "split", "--packets", "1000", "--repeat", "1", "-t", "1", "-o",
                               self.out],
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    e2e.main()
