#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Count the results in the log folder of tools/test; list skipped tests with their reasons."""
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

# Lines that cmocka and Python's unittest print for one test.
CMOCKA_OK = re.compile(r"^\[       OK \]", re.M)
CMOCKA_SKIPPED = re.compile(r"^\[  SKIPPED \] (\S+)", re.M)
PYTHON_OK = re.compile(r"^(\S+) \(.*\.\.\. ok$", re.M)
PYTHON_SKIPPED = re.compile(r"^(\S+) \(.*\.\.\. skipped (.*)$", re.M)


def skips_of(case):
    """The tests that one ctest entry skipped, each with its reason."""
    output = case.findtext("system-out") or ""
    for name, reason in PYTHON_SKIPPED.findall(output):
        yield f"{name}: {reason}"
    for name in CMOCKA_SKIPPED.findall(output):
        reason = re.search(r"^(?:skip|skipped)[^\n]*", output, re.M | re.I)
        yield f"{name}: {reason.group(0) if reason else 'see the log'}"


def main():
    logs = pathlib.Path(sys.argv[1])
    passed = failed = 0
    skipped = []
    for report in sorted(logs.glob("*.xml")):
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            where = f"{report.stem}/{case.get('name')}"
            if case.get("status") == "run":
                passed += 1
            elif case.get("status") in ("disabled", "notrun"):
                skipped.append(f"{where}: did not run")
                continue
            else:
                failed += 1
                print(f"FAILED {where}")
            skipped += [f"{where} {skip}" for skip in skips_of(case)]
    for result in sorted(logs.glob("*.fuzz")):
        if result.read_text().strip() == "passed":
            passed += 1
        else:
            failed += 1
            print(f"FAILED fuzz/{result.stem}")
    for skip in skipped:
        print(f"skipped {skip}")
    print(f"{passed} passed, {failed} failed, {len(skipped)} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
