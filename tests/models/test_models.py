# SPDX-License-Identifier: BSD-3-Clause
"""spin goes through every interleaving of segments.pml; models with a mistake must fail.

CAPWEIR_TEST_FULL=1: all sizes and all mistakes (minutes), else one of each (seconds).
"""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "segments.pml")
FULL = os.environ.get("CAPWEIR_TEST_FULL") == "1"
MEMORY_MIB = 6000
DEPTH = 1_000_000

# Settings of segments.pml; others have the model's defaults.
TINY = {"SEGMENTS": 1}
SIZES = [
    {},
    {"SEGMENTS": 3},
    {"LIMIT": 1},
    {"LIMIT": 2, "SEGMENTS": 3},
    {"FAILS": 1},
    {"DAMAGE": 1},
    {"WORKERS": 2, "SEGMENTS": 1},
    {"WORKERS": 2, "SEGMENTS": 1, "CHUNKS": 1, "LENT_MAX": 0, "FAILS": 1},
    {"SPANS": 1, "SEGMENTS": 1, "CHUNKS": 1, "LENT_MAX": 0},
    {"SPANS": 1, "SEGMENTS": 1, "LIMIT": 1},
]

# A mistake, in a size that shows it, and spin's words for what it finds.
HANGS, ASSERTS = "invalid end state", "assertion violated"
RUN_NUMBER = {"NUMBER_FIRST": 1}, ASSERTS  # published before the position
MISTAKES = [
    RUN_NUMBER,
    # starvation is announced after the look at the pool
    ({"LATE_ANNOUNCEMENT": 1, "CHUNKS": 1, "LENT_MAX": 0}, HANGS),
    ({"LEASE_TWICE": 1}, ASSERTS),
    ({"LATE_LOOK": 1}, HANGS),  # a worker looks at its gate after it looked for work
    ({"DEAD_RUN": 1, "DAMAGE": 1}, HANGS),  # segments of a truncated input do not end their run
    ({"CHUNKS": 1, "LENT_MAX": 1}, HANGS),  # the whole pool may be lent
]


class Models(unittest.TestCase):
    def setUp(self):
        for program in ("spin", "gcc"):
            if not shutil.which(program):
                self.skipTest(f"{program} is not installed: tools/install-deps long")
        self.directory = tempfile.mkdtemp(prefix="capweir-model-")
        self.addCleanup(shutil.rmtree, self.directory)

    def run_in(self, *command):
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def search(self, size):
        """Whether all was searched, spin's findings as a text, and the number of states."""
        settings = [f"-D{name}={value}" for name, value in size.items()]
        self.run_in("spin", "-a", *settings, MODEL)
        self.run_in("gcc", "-O1" if FULL else "-O0", "-w", "-DSAFETY", "-DCOLLAPSE",
                    "-DVECTORSZ=2048", f"-DMEMLIM={MEMORY_MIB}", "-o", "pan", "pan.c")
        text = self.run_in("./pan", "-n", f"-m{DEPTH}")
        states = int(float(re.search(r"([\d.e+]+) states, stored", text).group(1)))
        found = "\n".join(line for line in text.splitlines() if line.startswith("pan:"))
        is_whole = re.search(r"errors: 0$", text, re.M) and not \
            re.search(r"Search not completed|max search depth|out of memory", text)
        what = " ".join(f"{name}={value}" for name, value in size.items()) or "default"
        print(f"{what}: {states} states, {'no error' if is_whole else 'stopped'}", flush=True)
        return is_whole, found or text, states

    def test_every_interleaving_of_segments_is_right(self):
        for size in SIZES if FULL else [TINY]:
            with self.subTest(**size):
                is_whole, text, states = self.search(size)
                self.assertTrue(is_whole, text)
                self.assertGreater(states, 10_000)

    def test_a_model_with_a_mistake_fails(self):
        for size, finding in MISTAKES if FULL else [RUN_NUMBER]:
            with self.subTest(**size):
                is_whole, text, _ = self.search(size)
                self.assertFalse(is_whole, text)
                self.assertIn(finding, text)


if __name__ == "__main__":
    unittest.main(verbosity=2)
