#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The benchmarks' regression gate (bench/results/gate.py) reports slower runs and not noise."""
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import unittest

GATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench", "results",
                    "gate.py")


class Gate(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def result(self, name, times, unit="ns"):
        """A file as written by Google Benchmark: repetitions, then aggregates to be ignored."""
        entries = [{"name": f"{run}/repeats:{len(found)}", "run_name": run, "run_type": "iteration",
                    "real_time": time, "time_unit": unit}
                   for run, found in times.items() for time in found]
        entries += [{"name": f"{run}_stddev", "run_name": run, "run_type": "aggregate",
                     "real_time": 1e9, "time_unit": unit} for run in times]
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="ascii") as file:
            json.dump({"context": {}, "benchmarks": entries}, file)
        return path

    def gate(self, *arguments):
        done = subprocess.run([sys.executable, GATE, *arguments], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    @staticmethod
    def around(value, percent, seed, count=9):
        source = random.Random(seed)
        return [value * (1 + source.uniform(-percent, percent) / 100) for _ in range(count)]

    def drawn(self, name, slow, fast, seeds):
        """A file of two benchmarks a seed: (median, percent around it) of x and y."""
        return self.result(name, {f"{run}{index}": self.around(*times, seed)
                                  for index, seed in enumerate(seeds)
                                  for run, times in (("x", slow), ("y", fast))})

    def test_noise_is_not_a_regression(self):
        before = self.drawn("a", (100, 15), (9, 1), range(12))
        after = self.drawn("b", (100, 15), (9, 1), range(-1, -13, -1))
        status, text = self.gate(before, after)
        self.assertEqual(status, 0, text)
        self.assertIn("no regression", text)

    def test_slower_results_are_reported(self):
        before = self.drawn("a", (100, 3), (9, 3), range(12))
        after = self.drawn("b", (130, 3), (8, 3), range(-1, -13, -1))
        status, text = self.gate(before, after)
        self.assertEqual(status, 1, text)
        self.assertEqual(re.findall(r"(?m)^(\w+): .* SLOWER$", text),
                         [f"x{index}" for index in range(12)])
        self.assertEqual(self.gate(before, after, "--least", "50")[0], 0)
        self.assertEqual(self.gate(after, after)[0], 0)

    def test_units_are_converted_and_missing_runs_named(self):
        before = self.result("a", {"x": [100, 101, 102], "y": [1, 1, 1]})
        after = self.result("b", {"x": [.1, .101, .102], "z": [1, 1, 1]}, unit="us")
        status, text = self.gate(before, after)
        self.assertEqual(status, 1)
        self.assertIn("x: 101 -> 101 ns", text)
        self.assertIn("y: missing", text)
        self.assertIn("z: new", text)

    def rows(self, name, times, rounds=9, **more):
        """A file as written by capweir bench split."""
        path = os.path.join(self.folder.name, name)
        report = {"bench": "split", "rounds": rounds, "results": [
            {"program": program, "threads": threads, "rules": 8, "traffic": "imix",
             "ns_per_packet": ns, "spread": spread, "rounds": rounds, **more}
            for (program, threads), (ns, spread) in times.items()]}
        with open(path, "w", encoding="ascii") as file:
            json.dump(report, file)
        return path

    def test_results_of_capweir_bench_are_compared(self):
        before = self.rows("a", {("capweir", 1): (100, 2), ("capweir", 2): (60, 20)})
        after = self.rows("b", {("capweir", 1): (120, 2), ("capweir", 2): (80, 20)})
        status, text = self.gate(before, after)
        self.assertEqual(status, 1, text)
        self.assertRegex(text, r"(?m)^split program=capweir threads=1 .* SLOWER$")
        self.assertRegex(text, r"(?m)^split program=capweir threads=2 .*%\)$")
        self.assertEqual(self.gate(before, before)[0], 0)
        once = self.rows("c", {("libpcap", 1): (9, 0), ("capweir", 1): (100, 2)})
        with open(once, encoding="ascii") as file:
            report = json.load(file)
        report["results"][0]["rounds"] = 1
        with open(once, "w", encoding="ascii") as file:
            json.dump(report, file)
        self.assertNotIn("libpcap", self.gate(once, once)[1])
        self.assertEqual(self.gate(self.rows("d", {("x", 1): (1, 0)}, rounds=2), before)[0], 2)

    def test_phases_of_capweir_bench_decode_are_compared(self):
        path = os.path.join(self.folder.name, "e")
        with open(path, "w", encoding="ascii") as file:
            json.dump({"bench": "decode", "rounds": 9, "phases": [
                {"phase": "eager", "ns_per_packet": 30, "spread": 1}]}, file)
        status, text = self.gate(path, path)
        self.assertEqual((status, text.count("decode phase=eager")), (0, 1), text)

    def test_unusable_results_are_refused(self):
        good = self.result("a", {"x": [1, 1, 1]})
        few = self.result("b", {"x": [1, 1]})
        nothing = self.result("c", {})
        broken = os.path.join(self.folder.name, "d")
        with open(broken, "w", encoding="ascii") as file:
            file.write("{")
        for path in (few, nothing, broken, "/nowhere"):
            status, text = self.gate(good, path)
            self.assertEqual(status, 2, text)
            self.assertTrue(text.startswith("gate: "), text)


if __name__ == "__main__":
    unittest.main()
