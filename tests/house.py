#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tests that sources and libraries follow the rules of the tree.

usage: house.py ROOT BUILD CORE_LIBRARY

ROOT is the checkout, BUILD a build folder of it, CORE_LIBRARY the library of core/ in it.
"""
import ast
import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

import circles

ROOT = pathlib.Path(sys.argv[1]).resolve()
BUILD = sys.argv[2]
CORE_LIBRARY = sys.argv[3]

TOP_LEVEL = {"core", "pipeline", "bench", "tests", "tools", "datasets", "CMakeLists.txt",
             "CMakePresets.json", "README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md",
             "SECURITY.md"}

# Files that a wing (folder) may include, besides its own. "core/*" is core/ and every wing below;
# a name with a suffix is that file alone.
CORE = "core/*"
LAW = {
    "core/base": (),
    "core/packet": ("core/base",),
    "core/net": ("core/base",),
    "core/format": ("core/packet", "core/base"),
    "core/source/live": ("core/net", "core/packet", "core/base"),
    "core/source": ("core/source/live", "core/format", "core/packet", "core/base"),
    "core/output": ("core/format", "core/base"),
    "core/decode": ("core/packet", "core/base"),
    "core/filter/bpf": ("core/base",),
    "core/filter/engine": ("core/base",),
    "core/filter/passes": ("core/filter/engine", "core/filter/bpf", "core/base"),
    "core/filter/text": ("core/filter/bpf", "core/packet", "core/base"),
    "core/filter": ("core/filter/*", "core/packet", "core/base"),
    "core/library": (CORE,),
    "pipeline/threads": ("core/base",),
    "pipeline/rules": (CORE,),
    "pipeline/run": ("pipeline/rules", "pipeline/threads", CORE),
    "pipeline/output": ("pipeline/run", "pipeline/rules", "pipeline/threads", CORE),
    "pipeline/match": ("pipeline/output/output.h", "pipeline/run", "pipeline/rules",
                       "pipeline/threads", CORE),
    "pipeline/turn": ("pipeline/output", "pipeline/match", "pipeline/run", "pipeline/threads",
                      CORE),
    "pipeline/setup": ("pipeline/output", "pipeline/match", "pipeline/run", "pipeline/rules",
                       "pipeline/threads", CORE),
    "pipeline/capture": ("pipeline/turn", "pipeline/match", "pipeline/output", "pipeline/run",
                         "pipeline/threads", CORE),
    "pipeline/report": ("pipeline/capture", "pipeline/output", "pipeline/match", "pipeline/run",
                        "pipeline/rules", CORE),
    "pipeline/reload": ("pipeline/report", "pipeline/setup", "pipeline/turn", "pipeline/match",
                        "pipeline/output", "pipeline/run", "pipeline/rules", CORE),
    "pipeline": ("pipeline/*", CORE),
    "pipeline/control": ("pipeline", "pipeline/reload", "pipeline/turn", "pipeline/match",
                         "pipeline/output", "pipeline/run", CORE),
    "tools/text": ("pipeline/pipeline.h", CORE),
    "tools/process": ("tools/text", "pipeline/pipeline.h", "pipeline/control", CORE),
    "tools/options": ("tools/text", "pipeline/rules", CORE),
    "tools/devices": ("tools/text", "tools/options", CORE),
    "tools/request": ("tools/process", "tools/options", "tools/text", "pipeline/*", CORE),
    "tools/commands": ("tools/devices", "tools/request", "tools/process", "tools/options",
                       "tools/text", "pipeline/*", "datasets", CORE),
    "tools/bench": ("tools/commands", "tools/devices", "tools/request", "tools/options",
                    "tools/text", "bench/stages", "datasets", "pipeline/*", CORE),
    "tools/manual": ("tools/options", "core/base"),
    "tools": ("tools/*", "pipeline/*", CORE),
    "datasets": (CORE,),
    "tests/rig": ("datasets", "tools/*", "pipeline/*", CORE),
    "bench/stages": ("datasets", "pipeline/*", CORE),
    "bench": ("bench/stages", "tests/rig", "datasets", "pipeline/*", CORE),
    "tests": ("tests/rig", "tools/*", "bench/stages", "datasets", "pipeline/*", CORE),
}

# Exceptions from the limits, with the reason. MOST bounds the length of these lists.
FUNCTIONS = {  # more than 60 lines
    "core/filter/bpf/exec.c:cw_filter_run": "one case an operation, in the order of the dispatch "
                                            "table: parts would be slower and harder to read",
}
FILES = {}  # more than 600 lines
STRUCTS = {}  # more than 30 fields; a struct within a struct counts by its own fields
PARAMETERS = {  # more than 6
    "tools/process/metrics.c:handle": "libmicrohttpd defines the parameters of its callback",
}
PRINTERS = {  # files of tools/ that print by stdio, with what they print; others call cw_print
    "tools/text/complain.c": "cleaned text",
    "tools/text/numbers.c": "JSON, escaped",
    "tools/options/help.c": "the table of options",
    "tools/commands/run_progress.c": "progress lines: numbers",
}
MOST = {"functions": 3, "files": 5, "structs": 3, "parameters": 5}
CLANG_FORMAT = "14."  # version that decides the layout

FOLDERS = ("core", "pipeline", "tools", "datasets", "bench", "tests")
SUFFIXES = (".c", ".h", ".cpp", ".hpp")
LABEL = re.compile(r"\[([A-Z]+-\d+)\]")


def tracked():
    """Files of the checkout that git tracks or would add; without git, those of FOLDERS."""
    done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
                          capture_output=True, text=True)
    if done.returncode == 0:
        names = done.stdout.splitlines()
    else:
        names = [str(path.relative_to(ROOT)) for folder in FOLDERS
                 for path in (ROOT / folder).rglob("*") if "build" not in path.parts]
    return sorted(name for name in names if (ROOT / name).is_file())


NAMES = tracked()
SOURCES = [name for name in NAMES
           if name.split("/")[0] in FOLDERS and name.endswith(SUFFIXES)]
TEXT = {name: (ROOT / name).read_text(encoding="utf-8") for name in SOURCES}


def includes(name):
    """Paths from the root of the files of this tree that a source includes."""
    found = re.findall(r'^\s*#\s*include\s+"([^"]+)"', TEXT[name], re.M)
    return [path for path in found if "/" in path]


def wing(name):
    """The folder of a file; bench and tests are one wing each, except their folders in LAW."""
    folder, _, _ = name.rpartition("/")
    top = folder.split("/")[0]
    return top if top in ("bench", "tests") and folder not in LAW else folder


def may_include(name, target):
    if wing(name) == wing(target):
        return True
    for entry in LAW[wing(name)]:
        if entry in (target, wing(target)):
            return True
        if entry.endswith("/*") and target.startswith(entry[:-1]):
            return True
    return False


def tags():
    """Definitions in the sources, listed by Universal Ctags."""
    done = subprocess.run(["ctags", "--output-format=json", "--fields=+neS", "--kinds-C=fm",
                           "--kinds-C++=fm", "-f", "-", *SOURCES],
                          cwd=ROOT, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def python_functions():
    """(place, lines, parameters without self) of each function in the Python scripts."""
    for name in NAMES:
        if name.split("/")[0] not in FOLDERS or interpreter(name) != "python3" and \
                not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse((ROOT / name).read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                arguments = [each.arg for each in node.args.args + node.args.kwonlyargs]
                yield (f"{name}:{node.name}", node.end_lineno - node.lineno + 1,
                       len([each for each in arguments if each != "self"]))


def interpreter(name):
    """The program named in the first line of a script, or ""."""
    with open(ROOT / name, "rb") as file:
        line = file.readline(100)
    if not line.startswith(b"#!"):
        return ""
    return pathlib.Path(line[2:].decode().split()[-1]).name


class Law(unittest.TestCase):
    maxDiff = None

    def test_every_wing_has_a_row(self):
        wings = {wing(name) for name in SOURCES if not name.startswith("core/include/")}
        self.assertEqual(wings - set(LAW), set())
        self.assertEqual(set(LAW) - wings, set())

    def test_files_include_only_what_the_row_of_their_wing_names(self):
        wrong = [f"{name} includes {target}" for name in SOURCES
                 if not name.startswith("core/include/")
                 for target in includes(name) if not may_include(name, target)]
        self.assertEqual(wrong, [])

    def test_public_headers_include_public_headers_only(self):
        wrong = [f"{name} includes {target}" for name in SOURCES
                 if name.startswith("core/include/") for target in includes(name)]
        self.assertEqual(wrong, [])

    def test_wings_do_not_include_each_other_in_circles(self):
        arrows = collections.defaultdict(set)
        for name in SOURCES:
            arrows[wing(name)] |= {wing(target) for target in includes(name)} - {wing(name)}
        self.assertEqual(circles.circles(arrows), [])

    def test_files_do_not_call_in_circles(self):
        arrows = circles.calls(BUILD)
        self.assertGreater(len(arrows), 100)  # the build has objects
        self.assertEqual(circles.circles(arrows), [])

    def test_every_wing_has_a_readme(self):
        """Each has a README.md of at most a page; those of bench and tests cover their folders."""
        wrong = []
        for place in sorted(set(LAW) - {"bench/stages", "tests/rig", "tools/manual"}):
            path = ROOT / place / "README.md"
            if not path.exists():
                wrong.append(f"{place} has none")
            elif place != "pipeline" and path.read_text(encoding="utf-8").count("\n") > 60:
                wrong.append(f"{path.relative_to(ROOT)} is longer than a page")
        self.assertEqual(wrong, [])

    def test_core_includes_no_thread_library(self):
        wrong = []
        for name in SOURCES:
            if name.startswith("core/"):
                found = re.findall(r"^\s*#\s*include\s+<([^>]+)>", TEXT[name], re.M)
                wrong += [f"{name}: {header}" for header in found
                          if header in ("pthread.h", "threads.h") or
                          header.startswith(("ck_", "urcu"))]
        self.assertEqual(wrong, [])

    def test_core_library_has_no_undefined_thread_symbol(self):
        listing = subprocess.run(["nm", "-u", CORE_LIBRARY], capture_output=True, text=True,
                                 check=True).stdout
        symbols = re.findall(r"U (pthread_\w+|thrd_\w+|mtx_\w+|ck_\w+)", listing)
        self.assertIn(" U ", listing)  # nm listed symbols
        self.assertEqual(symbols, [])

    def test_top_level_holds_only_listed_names(self):
        top = {name.split("/")[0] for name in NAMES}
        self.assertEqual({name for name in top if not name.startswith(".")} - TOP_LEVEL, set())


class Orders(unittest.TestCase):
    """Ordering pairs share a label, [NAME-n]: at both places and in a table."""

    NO_ORDER = re.compile(r"\batomic_(?:load|store|exchange|fetch_[a-z]+|"
                          r"compare_exchange_[a-z]+)\(([^,)]*)")

    @staticmethod
    def near(lines, index, above=8):
        return "\n".join(lines[max(0, index - above):index + 4])

    @staticmethod
    def lines(*folders):
        return {name: TEXT[name].splitlines() for name in SOURCES
                if name.split("/")[0] in folders}

    def test_every_ordering_label_is_used_and_tabled(self):
        rows = [label for readme in ("pipeline/README.md", "core/README.md") for label in
                re.findall(r"^\| ([A-Z]+-\d+) \|", (ROOT / readme).read_text(encoding="utf-8"),
                           re.M)]
        self.assertEqual(len(rows), len(set(rows)))
        used = collections.Counter(label for name in SOURCES
                                   if name.startswith(("core/", "pipeline/"))
                                   for label in LABEL.findall(TEXT[name]))
        self.assertEqual(set(used), set(rows))
        self.assertEqual([label for label, count in used.items() if count < 2], [])

    def test_explicit_orders_stand_near_a_label_or_reason(self):
        """A label is near acquire, release and acq_rel, or the word kernel if the kernel is the
        partner. In core, a comment says why relaxed is enough."""
        wrong = []
        for name, lines in self.lines("core", "pipeline").items():
            for index, line in enumerate(lines):
                near = self.near(lines, index)
                ordered = re.search(r"memory_order_(acquire|release|acq_rel)", line)
                kernel = re.search(r"__ATOMIC_(ACQUIRE|RELEASE|ACQ_REL|SEQ_CST)", line)
                relaxed = name.startswith("core/") and \
                    re.search(r"memory_order_relaxed|__ATOMIC_RELAXED", line)
                reason = re.sub(r"memory_order_\w+|__ATOMIC_\w+", "", near)
                if not LABEL.search(near) and (
                        ordered or kernel and "kernel" not in near or
                        relaxed and "elaxed" not in reason):
                    wrong.append(f"{name}:{index + 1}")
        self.assertEqual(wrong, [])

    def test_implicit_orders_give_a_reason(self):
        """An operation without an order is sequentially consistent. A label nearby, or a comment
        with these words nearby or above the declaration, says why."""
        words = "equentially consistent"
        texts = self.lines("core", "pipeline", "tools")
        declared = {field for lines in texts.values() for index, line in enumerate(lines)
                    if "_Atomic" in line and words in self.near(lines, index, 12)
                    for field in re.findall(r"(\w+)(?=[,;])", line.split("/*")[0])}
        wrong = []
        for name, lines in texts.items():
            for index, line in enumerate(lines):
                operation = self.NO_ORDER.search(line)
                if not operation:
                    continue
                near = self.near(lines, index, 12)
                field = re.sub(r"\[.*", "", re.split(r"->|\.", operation[1])[-1]).strip("&*( ")
                if field not in declared and not LABEL.search(near) and words not in near:
                    wrong.append(f"{name}:{index + 1}: {field}")
        self.assertEqual(wrong, [])


class Size(unittest.TestCase):
    """Files, functions and structs that can be read in one go; exceptions are listed above."""

    def check(self, kind, found, listed):
        self.assertEqual(sorted(set(found) - set(listed)), [], f"{kind} over the limit: {found}")
        self.assertEqual(sorted(set(listed) - set(found)), [], "listed, but within the limit")
        self.assertLessEqual(len(listed), MOST[kind])
        self.assertEqual([name for name, reason in listed.items() if len(reason) < 20], [])

    def test_files_are_within_the_limit(self):
        found = {name: count for name in NAMES if name.split("/")[0] in FOLDERS and
                 name.endswith((*SUFFIXES, ".py"))
                 for count in [(ROOT / name).read_text(encoding="utf-8").count("\n")]
                 if count > 600}
        self.check("files", found, FILES)

    def test_functions_and_structs_are_within_the_limits(self):
        functions, parameters, fields = {}, {}, collections.Counter()
        for tag in tags():
            where = f"{tag['path']}:{tag['name']}"
            if tag["kind"] == "member":
                fields[f"{tag['path']}:{tag.get('scope')}"] += 1
            elif "end" in tag:
                if tag["end"] - tag["line"] + 1 > 60:
                    functions[where] = tag["end"] - tag["line"] + 1
                count = tag.get("signature", "").count(",") + 1
                if count > 6:
                    parameters[where] = count
        self.assertGreater(len(fields), 100)  # ctags listed members
        for where, lines, count in python_functions():
            if lines > 60:
                functions[where] = lines
            if count > 6:
                parameters[where] = count
        self.check("functions", functions, FUNCTIONS)
        self.check("parameters", parameters, PARAMETERS)
        self.check("structs", {name: n for name, n in fields.items() if n > 30}, STRUCTS)


class Layout(unittest.TestCase):
    def test_every_source_names_its_licence(self):
        wrong = [name for name in SOURCES
                 if "SPDX-License-Identifier: BSD-3-Clause" not in TEXT[name][:200]]
        self.assertEqual(wrong, [])

    def test_lines_end_within_100_columns(self):
        """Also comments and macros, which clang-format does not reflow."""
        wrong = [f"{name}:{number}" for name in SOURCES
                 for number, line in enumerate(TEXT[name].splitlines(), 1)
                 if len(line.expandtabs(8)) > 100]
        self.assertEqual(wrong, [])

    def test_text_for_terminals_is_cleaned(self):
        """Names of files, interfaces and rules would command a terminal: tools/text/complain.h."""
        call = re.compile(r"\b(v?f?printf|dprintf|f?puts|putchar|f?putc|perror|fwrite)\(")
        found = {name for name in SOURCES if name.startswith("tools/") and
                 wing(name) != "tools/manual" and name.endswith(".c") and call.search(TEXT[name])}
        self.assertEqual(found, set(PRINTERS))

    def test_header_guards_are_the_path(self):
        wrong = []
        for name in SOURCES:
            path = name.removeprefix("core/include/")
            guard = "CW_" + re.sub(r"\W", "_", path).upper()
            if name.endswith(".h") and f"#ifndef {guard}\n#define {guard}\n" not in TEXT[name]:
                wrong.append(name)
        self.assertEqual(wrong, [])

    def test_clang_format_changes_nothing(self):
        version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True,
                                 check=True).stdout
        self.assertIn(f"version {CLANG_FORMAT}", version)
        done = subprocess.run(["clang-format", "--dry-run", "-Werror", *SOURCES], cwd=ROOT,
                              capture_output=True, text=True)
        wrong = sorted(set(re.findall(r"^([^:\n]+):\d+:\d+: error", done.stderr, re.M)))
        self.assertEqual(wrong, [])
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_shellcheck_reports_nothing(self):
        scripts = [name for name in NAMES if interpreter(name) in ("sh", "bash")]
        self.assertGreater(len(scripts), 5)
        done = subprocess.run(["shellcheck", *scripts], cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(done.stdout, "")

    def test_flake8_reports_nothing(self):
        scripts = [name for name in NAMES
                   if name.endswith(".py") or interpreter(name) == "python3"]
        self.assertGreater(len(scripts), 20)
        done = subprocess.run(["flake8", *scripts], cwd=ROOT, capture_output=True, text=True)
        self.assertEqual(done.stdout, "")

    def test_nothing_generated_is_tracked(self):
        done = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-ci", "--exclude-standard"],
                              capture_output=True, text=True)
        if done.returncode:
            self.skipTest("not a git checkout")
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    for program in ("ctags", "clang-format", "shellcheck", "flake8"):
        if not shutil.which(program):
            sys.exit(f"house.py: {program} is not installed: tools/install-deps test")
    unittest.main(argv=sys.argv[:1], verbosity=2)
