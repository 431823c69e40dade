# SPDX-License-Identifier: BSD-3-Clause
"""The filter expressions of tests/data/expressions*.txt."""
import os

import e2e

NAMES = ("expressions_any.txt", "expressions.txt")


def expressions():
    """All expressions; some compile for few link types or none."""
    found = []
    for name in NAMES:
        with open(os.path.join(e2e.ROOT, "tests", "data", name)) as file:
            found += [line.strip() for line in file]
    return list(dict.fromkeys(line for line in found if line and not line.startswith("#")))
