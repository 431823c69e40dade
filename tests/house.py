#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The law of the house, as tests over the sources and libraries.

usage: house.py ROOT CORE_LIBRARY
"""
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(sys.argv[1]).resolve()
CORE_LIBRARY = sys.argv[2]

MAY_INCLUDE = {
    "core": {"core"},
    "pipeline": {"pipeline", "core"},
    "datasets": {"datasets", "core"},
    "tools": {"tools", "bench", "pipeline", "core", "datasets"},
    "bench": {"bench", "tests", "datasets", "pipeline", "core"},
    "tests": {"tests", "tools", "bench", "datasets", "pipeline", "core"},
}
TOP_LEVEL = {"core", "pipeline", "bench", "tests", "tools", "datasets", "CMakeLists.txt",
             "CMakePresets.json", "README.md", "LICENSE"}
SOURCES = [path for folder in MAY_INCLUDE for path in sorted((ROOT / folder).rglob("*"))
           if path.suffix in (".c", ".h", ".cpp", ".hpp") and "build" not in path.parts]
LABEL = re.compile(r"\[([A-Z]+-\d+)\]")
ORDER = re.compile(r"memory_order_\w+|__ATOMIC_\w+")  # what a reason near an operation is not


def includes(path):
    return re.findall(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', path.read_text(), re.M)


class House(unittest.TestCase):
    def test_folders_include_only_what_the_law_allows(self):
        wrong = []
        for path in SOURCES:
            folder = path.relative_to(ROOT).parts[0]
            for name in includes(path):
                target = name.split("/")[0]
                if "/" in name and target in MAY_INCLUDE and target not in MAY_INCLUDE[folder]:
                    wrong.append(f"{path.relative_to(ROOT)} includes {name}")
        self.assertEqual(wrong, [])

    def test_core_includes_no_thread_library(self):
        wrong = [f"{path.name}: {name}" for path in SOURCES
                 if path.relative_to(ROOT).parts[0] == "core" for name in includes(path)
                 if name in ("pthread.h", "threads.h") or name.startswith(("ck_", "urcu"))]
        self.assertEqual(wrong, [])

    def test_core_library_has_no_undefined_thread_symbol(self):
        listing = subprocess.run(["nm", "-u", CORE_LIBRARY], capture_output=True, text=True,
                                 check=True).stdout
        symbols = re.findall(r"U (pthread_\w+|thrd_\w+|mtx_\w+|ck_\w+)", listing)
        self.assertIn(" U ", listing)  # nm did list something
        self.assertEqual(symbols, [])

    def test_every_ordering_label_is_used_and_tabled(self):
        rows = [label for readme in ("pipeline/README.md", "core/README.md") for label in
                re.findall(r"^\| ([A-Z]+-\d+) \|", (ROOT / readme).read_text(), re.M)]
        table = set(rows)
        self.assertEqual(len(rows), len(table))
        used = {}
        for path in SOURCES:
            if path.relative_to(ROOT).parts[0] in ("core", "pipeline"):
                for label in LABEL.findall(path.read_text()):
                    used[label] = used.get(label, 0) + 1
        self.assertEqual(set(used), table)
        self.assertEqual([label for label, count in used.items() if count < 2], [])

    def test_explicit_orderings_stand_near_a_label_or_reason(self):
        """acquire, release and acq_rel name their label in the comment or code close by; or the
        kernel, where that is the partner. In core, relaxed says why it is enough."""
        wrong = []
        for path in SOURCES:
            folder = path.relative_to(ROOT).parts[0]
            if folder not in ("core", "pipeline"):
                continue
            lines = path.read_text().splitlines()
            for index, line in enumerate(lines):
                near = "\n".join(lines[max(0, index - 8):index + 4])
                if re.search(r"memory_order_(acquire|release|acq_rel)", line):
                    if not LABEL.search(near):
                        wrong.append(f"{path.name}:{index + 1}")
                elif re.search(r"__ATOMIC_(ACQUIRE|RELEASE|ACQ_REL|SEQ_CST)", line):
                    if not LABEL.search(near) and "kernel" not in near:
                        wrong.append(f"{path.name}:{index + 1}")
                elif folder == "core" and re.search(r"memory_order_relaxed|__ATOMIC_RELAXED", line):
                    if not LABEL.search(near) and "elaxed" not in ORDER.sub("", near):
                        wrong.append(f"{path.name}:{index + 1}")
        self.assertEqual(wrong, [])

    def test_implicit_orderings_give_a_reason(self):
        """An operation without an order is sequentially consistent. A label close by, or a comment
        with these words close by or above the declaration, says for what."""
        def close_by(lines, index):
            return "\n".join(lines[max(0, index - 12):index + 4])

        texts = {path: path.read_text().splitlines() for path in SOURCES
                 if path.relative_to(ROOT).parts[0] in ("core", "pipeline", "tools")}
        declared = set()
        for lines in texts.values():
            for index, line in enumerate(lines):
                if "_Atomic" in line and "equentially consistent" in close_by(lines, index):
                    declared.update(re.findall(r"(\w+)(?=[,;])", line.split("/*")[0]))
        wrong = []
        for path, lines in texts.items():
            for index, line in enumerate(lines):
                operation = re.search(r"\batomic_(?:load|store|exchange|fetch_[a-z]+|"
                                      r"compare_exchange_[a-z]+)\(([^,)]*)", line)
                if not operation:
                    continue
                near = close_by(lines, index)
                name = re.sub(r"\[.*", "", re.split(r"->|\.", operation[1])[-1]).strip("&*( ")
                if name not in declared and not LABEL.search(near) and \
                        "equentially consistent" not in near:
                    wrong.append(f"{path.relative_to(ROOT)}:{index + 1}: {name}")
        self.assertEqual(wrong, [])

    def test_every_source_names_its_licence(self):
        wrong = [str(path.relative_to(ROOT)) for path in SOURCES
                 if "SPDX-License-Identifier: BSD-3-Clause" not in path.read_text()[:200]]
        self.assertEqual(wrong, [])

    def test_top_level_holds_what_was_agreed(self):
        listing = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True,
                                 text=True)
        if listing.returncode:
            self.skipTest("not a git checkout")
        top = {name.split("/")[0] for name in listing.stdout.splitlines()}
        self.assertEqual({name for name in top if not name.startswith(".")} - TOP_LEVEL, set())

    def test_sources_are_of_a_size_to_be_read(self):
        """600 lines, or the file's first comment says why it is longer."""
        wrong = []
        for path in SOURCES:
            folder = path.relative_to(ROOT).parts[0]
            text = path.read_text()
            if folder not in ("tests", "bench") and text.count("\n") > 600 and \
                    "longer than" not in text[:3000]:
                wrong.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
