#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tables of bench/peers and pictures of bench/results/plot, from little traffic."""
import filecmp
import json
import os
import re
import shutil
import subprocess
import sys
import unittest
import xml.etree.ElementTree

import e2e

BENCH = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
                     "bench")
FILTERS = os.path.join(BENCH, "peers", "filters8.txt")
NAMES = [f"{index}.pcap" for index in range(8)]
MACHINE = {"cpu": "Some CPU \"quoted\"", "cores": 4, "kernel": "6.1.0-x", "governor": "none",
           "memory_gib": 8, "load": 0}


class Compare(e2e.Test):
    def compare(self, *arguments):
        done = subprocess.run([sys.executable, "-B", os.path.join(BENCH, "peers", "compare"),
                               "--capweir",
                               e2e.CAPWEIR, "--natural", self.path("no-such-program"), "--dir",
                               self.directory, "--rounds", "1", "--no-warm", *map(str, arguments)],
                              capture_output=True, text=True, timeout=e2e.TIMEOUT)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_installed_programs_write_the_same_records(self):
        e2e.need("tcpdump", "tshark", "editcap")
        path = e2e.generate(self.path("in.pcap"), 3000)
        report = json.loads(self.compare(path, "--rules", "1,3", "--json"))
        self.assertEqual((report["bench"], report["packets"], report["seed"]),
                         ("compare", 3000, None))
        rows = {(row["task"], row["rules"], row["program"]): row for row in report["results"]}
        for task, rules in (("copy", 0), ("filter", 1), ("split", 1), ("split", 3)):
            ours, theirs = (rows[task, rules, program] for program in ("capweir", "tcpdump"))
            self.assertEqual((ours["ratio"], ours["same_records"]), (1, True))
            self.assertEqual((theirs["same_records"], theirs["records"]), (True, ours["records"]))
            self.assertAlmostEqual(theirs["ratio"], theirs["wall_s"] / ours["wall_s"])
            self.assertNotIn((task, rules, "natural"), rows)
        self.assertEqual(rows["copy", 0, "editcap"]["records"], 3000)
        self.assertEqual(rows["copy", 0, "tshark"]["records"], 3000)
        self.assertEqual([name for name in os.listdir(self.directory) if name != "in.pcap"], [])

    def test_the_table_marks_programs_with_other_records(self):
        fake = self.write("tcpdump", "#!/bin/sh\nwhile [ \"$1\" != -w ]; do shift; done\n"
                                     f"{e2e.CAPWEIR} generate --packets 7 -w \"$2\"\n")
        os.chmod(fake, 0o755)
        os.environ["PATH"] = self.directory + os.pathsep + os.environ["PATH"]
        self.addCleanup(os.environ.update, PATH=os.environ["PATH"].partition(os.pathsep)[2])
        text = self.compare("--packets", 2000, "--tasks", "copy", "--programs", "capweir,tcpdump")
        self.assertRegex(text, r"(?m)^copy +- +capweir .* 2000$")
        self.assertRegex(text, r"(?m)^copy +- +tcpdump .* 7!$")
        self.assertRegex(text, r"governor \S+")

    def test_a_program_that_fails_is_left_out(self):
        fake = self.write("tcpdump", "#!/bin/sh\nexit 3\n")
        os.chmod(fake, 0o755)
        os.environ["PATH"] = self.directory + os.pathsep + os.environ["PATH"]
        self.addCleanup(os.environ.update, PATH=os.environ["PATH"].partition(os.pathsep)[2])
        text = self.compare("--packets", 2000, "--tasks", "copy", "--programs", "capweir,tcpdump")
        self.assertNotIn("tcpdump", text)
        self.assertIn("capweir", text)


def split_row(program, traffic, threads, rules, ns):
    return {"program": program, "traffic": traffic, "threads": threads, "rules": rules,
            "packets": 1000, "bytes": {"small": 77000, "imix": 322000, "large": 1150000}[traffic],
            "ns_per_packet": ns, "min": ns * 0.9, "max": ns * 1.2, "gb_per_s": 1.5}


REPORTS = {
    "threads": ("split", [split_row(program, traffic, threads, 8, 100 / threads)
                          for traffic in ("small", "imix", "large")
                          for program, threads in (("libpcap", 1), ("capweir", 1), ("capweir", 2),
                                                   ("capweir", 4))]),
    "rules": ("split", [split_row(program, "imix", threads, rules, 100 + rules)
                        for rules in (1, 10, 100)
                        for program, threads in (("libpcap", 1), ("capweir", 1), ("capweir", 4))]),
    "compare": ("compare", [{"task": "split", "rules": rules, "program": "tcpdump",
                             "packets": 1000, "records": 5, "same_records": True, "wall_s": rules,
                             "wall_min_s": rules, "wall_max_s": rules} for rules in (1, 10)]),
    "capture": ("capture", [{"program": program, "queues": 1, "rules": 1, "packet_bytes": size,
                             "packets": 10, "offered": 20, "dropped": 10,
                             "cpu_ns_per_packet": size} for size in (60, 1514)
                            for program in ("libpcap", "capweir")]),
    "decode": ("decode-peers", [{"phase": phase, "program": program, "min": 20,
                                 "ns_per_packet": 30} for phase in ("eager", "flow")
                                for program in ("capweir", "gopacket")]),
}


@unittest.skipUnless("CAPWEIR_LIMIT" in os.environ, "the programs of bench/ are not built")
class Baselines(e2e.Test):
    def folder(self, name):
        path = self.path(name)
        os.mkdir(path)
        return path

    def test_hand_written_filters_decide_as_libpcap_also_about_truncated_packets(self):
        whole = e2e.generate(self.path("whole.pcap"), e2e.scaled(20000), "mix")
        for snaplen in (14, 20, 25, 31, 35, 37, 41, 47, 55, 57, 262144):
            path = self.path(f"{snaplen}.pcap")
            self.run_ok("split", "-r", whole, "-s", snaplen, "-w", path)
            natural = self.folder(f"natural{snaplen}")
            subprocess.run([os.environ["CAPWEIR_NATURAL"], path, natural, FILTERS], check=True,
                           stdout=subprocess.DEVNULL)
            for threads in ("1", "3"):
                limit = self.folder(f"limit{snaplen}-{threads}")
                subprocess.run([os.environ["CAPWEIR_LIMIT"], path, limit, threads], check=True,
                               stdout=subprocess.DEVNULL)
                self.assertEqual(filecmp.cmpfiles(natural, limit, NAMES, shallow=False),
                                 (NAMES, [], []), (snaplen, threads))

    def test_a_torn_file_is_reported(self):
        path = self.write("torn.pcap", e2e.pcap(e2e.simple_packets(7))[:-1])
        for threads in ("1", "2"):
            done = subprocess.run([os.environ["CAPWEIR_LIMIT"], path, self.folder(threads),
                                   threads], capture_output=True, text=True)
            self.assertEqual(done.returncode, 1)
            self.assertIn("inside a record", done.stderr)

    def split(self, *arguments):
        return subprocess.run([sys.executable, "-B", os.path.join(BENCH, "peers", "split.py"),
                               "--capweir", e2e.CAPWEIR, "--natural",
                               os.environ["CAPWEIR_NATURAL"], "--dir", self.directory, "--no-warm",
                               "--rounds", "1", "--packets-scale", "0.002", *arguments],
                              capture_output=True, text=True, timeout=e2e.TIMEOUT)

    def test_split_measures_both_baselines(self):
        done = self.split("--limit", os.environ["CAPWEIR_LIMIT"], "--threads", "1,3", "--profiles",
                          "small,mix", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        for result in json.loads(done.stdout)["results"]:
            self.assertEqual([(row["program"], row["threads"]) for row in result["programs"]],
                             [("natural", 1), ("limit", 1), ("limit", 3), ("capweir", 1),
                              ("capweir", 3)])
            for row in result["programs"]:
                self.assertLessEqual(row["wall_min_s"], row["wall_s"])
                self.assertAlmostEqual(row["user_s"] + row["system_s"], row["cpu_s"])
        order = [re.findall(rf"(?m)^small round {number}.*: (\S+ -t \d) ", done.stderr)
                 for number in (0, 1)]
        self.assertEqual(len(order[0]), 5)
        self.assertEqual(order[1], order[0][1:] + order[0][:1])

    def test_other_outputs_are_no_result(self):
        wrong = self.write("wrong", "#!/bin/sh\nfor k in 0 1 2 3 4 5 6 7; do\n"
                                    "head -c 24 \"$1\" >\"$2/$k.pcap\"; done\n")
        os.chmod(wrong, 0o700)
        done = self.split("--limit", wrong, "--threads", "1", "--profiles", "small")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("outputs differ", done.stderr)

    def test_the_table_has_rows_for_the_readme(self):
        done = self.split("--limit", "", "--threads", "1", "--profiles", "small", "--markdown")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^\| small, 20,000 packets of 77 B \| [0-9.]+ s \(")


@unittest.skipUnless(shutil.which("gnuplot"), "gnuplot is not installed")
class Plot(e2e.Test):
    def plot(self, *names, status=0):
        paths = []
        for name in names:
            if name in REPORTS:
                kind, rows = REPORTS[name]
                self.write(name + ".json", json.dumps({"version": 1, "bench": kind,
                                                       "machine": MACHINE, "results": rows}))
            paths.append(self.path(name + ".json"))
        done = subprocess.run([sys.executable, "-B", os.path.join(BENCH, "results", "plot"),
                               "--out",
                               self.path("out"), *paths], capture_output=True, text=True)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def drawn(self):
        return sorted(os.listdir(self.path("out")))

    def test_every_picture_is_drawn_in_both_formats(self):
        self.plot(*REPORTS)
        names = ["capture", "decode", "rules", "size", "threads"]
        self.assertEqual(self.drawn(), [f"{name}.{kind}" for name in names
                                        for kind in ("png", "svg")])
        for name in names:
            self.assertTrue(self.read(f"out/{name}.png").startswith(b"\x89PNG"))
            svg = self.read(f"out/{name}.svg").decode()
            xml.etree.ElementTree.fromstring(svg)
            self.assertIn("Some CPU", svg)
            self.assertIn("capweir", svg)
            self.assertLess(len(svg), 100_000)
        self.assertIn("tcpdump, N runs", self.read("out/rules.svg").decode())
        self.assertIn("50 %", self.read("out/capture.svg").decode())

    def test_one_file_gives_the_pictures_of_its_benchmark(self):
        self.plot("decode")
        self.assertEqual(self.drawn(), ["decode.png", "decode.svg"])

    def test_files_that_are_not_results_are_reported(self):
        self.write("junk.json", "{]")
        self.assertIn("junk.json", self.plot("junk", status=1).stderr)
        self.assertIn("nothing.json", self.plot("nothing", status=1).stderr)
        self.write("other.json", json.dumps({"bench": "x", "results": [], "machine": MACHINE}))
        self.assertIn("can be drawn", self.plot("other", status=1).stderr)

    def test_real_results_are_drawn(self):
        for name, arguments in (("a", ["-t", "1,2", "--profile", "small,imix,large"]),
                                ("b", ["-t", "1,2", "--rule-count", "1,2,3"])):
            done = e2e.capweir("bench", "split", "--packets", "2000", "--repeat", "1", "--json",
                               *arguments)
            self.assertEqual(done.status, 0, e2e.text_of(done))
            self.write(name + ".json", done.out)
        self.plot("a", "b")
        self.assertEqual(self.drawn(), [f"{name}.{kind}" for name in ("rules", "size", "threads")
                                        for kind in ("png", "svg")])


if __name__ == "__main__":
    e2e.main()
