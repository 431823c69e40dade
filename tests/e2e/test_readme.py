#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The README's commands, run as they stand there."""
import os
import re

import commands
import e2e

README = os.path.join(e2e.ROOT, "README.md")


def shell_commands(text):
    """Lines indented as code that start with capweir or feed it; comments go."""
    lines = [re.sub(r"\s+#.*", "", line[4:]) for line in text.splitlines()
             if line.startswith("    ")]
    return [line for line in lines if re.match(r"(capweir|zcat|mkdir) ", line)]


class Readme(commands.Test):
    def test_every_command_of_the_readme_works(self):
        with open(README, encoding="utf-8") as file:
            text = file.read()
        self.make_inputs(commands.blocks(text, "yaml")[0])
        found = shell_commands(text)
        self.assertGreater(len(found), 8)
        self.run_all(found)


if __name__ == "__main__":
    e2e.main()
