#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Run cppcheck and clang-tidy over the sources; any finding is a failure.

usage: analysers.py BUILD [cppcheck|clang-tidy] [--newest N] [FILE...]

BUILD is a build folder with compile_commands.json. Without FILE: every source of core, pipeline,
tools, datasets, bench and tests that BUILD compiles; with --newest the N of them that commits
changed last. clang-tidy skips tests: cmocka's assertions leave a test by longjmp, which clang-tidy
does not know, so it reports cases that an assertion has excluded. A false finding is silenced at
its line, with the reason: // NOLINT(check): reason, or // cppcheck-suppress id ; reason.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDERS = ("core", "pipeline", "tools", "datasets", "bench", "tests")
SUPPRESSED = (
    "missingIncludeSystem",  # the C library's headers are described by --library
    "unknownMacro",          # macros of libraries that are not installed for cppcheck
    "invalidFunctionArg",    # posix.cfg of 2.10 calls mmap's descriptor -1 an error
    "readdirCalled",         # glibc's readdir is safe for streams that threads do not share
    "getpwnamCalled",        # called before the first thread
    "getpwuidCalled",        # called before the first thread
    "internalAstError",      # cppcheck's own parser gives up; clang-tidy reads these files
    "syntaxError",           # computed gotos; clang-tidy reads these files
)


def sources(build, chosen):
    """The C sources that BUILD compiles, relative to ROOT."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        commands = json.load(file)
    known = {os.path.relpath(entry["file"], ROOT) for entry in commands}
    return sorted(path for path in known if path.endswith(".c") and
                  path.split(os.sep)[0] in FOLDERS and (not chosen or path in chosen))


def cppcheck(_build, paths):
    """The findings of cppcheck, one a line."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as listing:
        listing.write("\n".join(paths))
        listing.flush()
        done = subprocess.run(
            ["cppcheck", "-q", f"-j{os.cpu_count()}", "--std=c11", "--library=posix",
             "--enable=warning,portability", "--inline-suppr", "-I.", "-Icore/include",
             "-D_GNU_SOURCE", "-D__x86_64__", *(f"--suppress={name}" for name in SUPPRESSED),
             f"--file-list={listing.name}"],
            cwd=ROOT, stderr=subprocess.PIPE, text=True, check=True)
    return [line for line in done.stderr.splitlines() if line.strip()]


def clang_tidy(build, paths):
    """The findings of clang-tidy, one a line."""
    found = set()
    running = []
    share = max(1, os.cpu_count() or 1)
    paths = [path for path in paths if not path.startswith("tests/")]
    for index in range(share):
        part = paths[index::share]
        if part:
            running.append(subprocess.Popen(
                ["clang-tidy", "-quiet", "-p", build, *part], cwd=ROOT, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
    for process in running:
        output = process.communicate()[0]
        lines = [line for line in output.splitlines()
                 if " warning: " in line or " error: " in line]
        found.update(lines)
        if process.returncode and not lines:
            found.add(f"clang-tidy ended with {process.returncode}")
    return sorted(found)


def newest(paths, count):
    """The `count` sources that commits changed last; without git, the first ones."""
    done = subprocess.run(["git", "log", "-n200", "--name-only", "--format="], cwd=ROOT,
                          stdout=subprocess.PIPE, text=True, check=False)
    changed = [name for name in dict.fromkeys(done.stdout.split()) if name in set(paths)]
    rest = [name for name in paths if name not in set(changed)]
    return (changed + rest)[:count]


def main():
    tools = {"cppcheck": cppcheck, "clang-tidy": clang_tidy}
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--newest", type=int, metavar="N")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    chosen = [name for name in options.arguments if name in tools]
    paths = sources(options.build, set(options.arguments) - set(tools))
    if options.newest:
        paths = newest([path for path in paths if not path.startswith("tests/")], options.newest)
    if not paths:
        sys.exit("analysers: no sources")
    found = [line for name in chosen or tools for line in tools[name](options.build, paths)]
    print("\n".join(found))
    print(f"{len(paths)} sources, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
