#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""List the files that call each other in circles.

usage: circles.py BUILD

nm reads from the objects of a build folder which file of core, pipeline and tools defines and which
uses each external function and variable. Prints each group of files that all reach each other, the
symbols between them, and the number of groups.
"""
import collections
import pathlib
import re
import subprocess
import sys

TARGETS = (("core", "cw_core"), ("pipeline", "cw_pipeline"), ("tools", "capweir"),
           ("tools", "cw_confine"))


def circles(arrows):
    """The strongly connected groups of more than one node (Tarjan), each sorted."""
    number, low, stack, found = {}, {}, [], []
    for start in sorted(arrows):
        if start in number:
            continue
        work = [(start, iter(sorted(arrows[start])))]
        number[start] = low[start] = len(number)
        stack.append(start)
        while work:
            node, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == number[node]:
                    group = []
                    while not group or group[-1] != node:
                        group.append(stack.pop())
                    if len(group) > 1:
                        found.append(sorted(group))
            elif following not in number:
                number[following] = low[following] = len(number)
                stack.append(following)
                work.append((following, iter(sorted(arrows.get(following, ())))))
            elif following in stack:
                low[node] = min(low[node], number[following])
    return found


def calls(build):
    """{file: {file it uses: {symbol}}} of the objects in a build folder."""
    defined, used = {}, collections.defaultdict(set)
    cache = (pathlib.Path(build) / "CMakeCache.txt").read_text(encoding="utf-8")
    root = pathlib.Path(re.search(r"^CMAKE_HOME_DIRECTORY:\w+=(.*)$", cache, re.M)[1])
    sources = {}  # of objects
    for folder, target in TARGETS:
        objects = pathlib.Path(build) / folder / "CMakeFiles" / f"{target}.dir"
        for path in sorted(objects.rglob("*.c.o")):
            source = f"{folder}/{path.relative_to(objects)}"[:-len(".o")]
            if (root / source).exists():  # the object is not of a file that has been moved
                sources[str(path)] = source
    listing = subprocess.run(["nm", "-A", *sources], capture_output=True, text=True, check=True)
    for line in listing.stdout.splitlines():
        path, _, symbol = line.partition(":")
        kind, name = symbol.split()[-2:]
        if kind in "TDRBVW":
            defined[name] = sources[path]
        elif kind == "U":
            used[sources[path]].add(name)
    arrows = collections.defaultdict(lambda: collections.defaultdict(set))
    for source, names in used.items():
        for name in names:
            if defined.get(name, source) != source:
                arrows[source][defined[name]].add(name)
    return arrows


def main(build):
    arrows = calls(build)
    found = circles(arrows)
    for group in found:
        print(f"{len(group)} files:")
        for source in group:
            for target in sorted(set(arrows[source]) & set(group)):
                print(f"    {source} -> {target}: {', '.join(sorted(arrows[source][target]))}")
    print(f"{len(arrows)} files use others; {len(found)} groups call in circles")
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
