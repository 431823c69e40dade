#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The manual and the completions: made from the table of options, and of use."""
import os
import re
import shutil
import subprocess

import e2e

PAGES = os.path.join(os.path.dirname(e2e.CAPWEIR), "manual-pages")
RULES = os.path.join(os.path.dirname(__file__), "..", "..", "tools", "manual", "capweir-rules.5")
COMMANDS = re.findall(r"^  ([a-z]+) ", e2e.capweir("--help").out.decode(), re.M)


def run(*arguments, text=None):
    return subprocess.run(arguments, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=e2e.TIMEOUT, text=True, check=False)


class Manual(e2e.Test):
    def page(self, name):
        with open(os.path.join(PAGES, name), encoding="utf-8") as file:
            return file.read()

    def options_of(self, command):
        """The long names that the command's help tells."""
        text = self.run_ok(command, "--help").out.decode()
        names = re.findall(r"^  (?:-.,|   ) --([a-z-]+)", text, re.M)
        self.assertIn("help", names)
        return names

    def test_manual_has_every_option(self):
        self.assertGreater(len(COMMANDS), 8)
        page = self.page("capweir.1").replace("\\-", "-")
        for command in COMMANDS:
            for name in self.options_of(command):
                self.assertRegex(page, rf"--{name}\\fR")

    def test_manual_is_good_roff(self):
        if not shutil.which("groff"):
            self.skipTest("groff is not installed")
        for page in (os.path.join(PAGES, "capweir.1"), RULES):
            result = run("groff", "-man", "-ww", "-z", page)
            self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_rules_of_the_manual_are_good(self):
        with open(RULES, encoding="utf-8") as file:
            example, = re.findall(r"\.RS\n(.*?)\n\.RE", file.read(), re.S)
        path = self.write("rules.yaml", example.replace("\\-", "-"))
        self.run_ok("check", path)

    def complete(self, *words):
        """What bash offers for the last word."""
        script = """
            source "$1"; shift
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
            compopt() { :; }
            _capweir
            printf '%s\\n' "${COMPREPLY[@]}"
        """
        result = run("bash", "-c", script, "bash", os.path.join(PAGES, "capweir.bash"), *words)
        self.assertEqual(result.returncode, 0, result.stdout)
        return result.stdout.split()

    def test_bash_completes_commands_options_and_values(self):
        if not shutil.which("bash"):
            self.skipTest("bash is not installed")
        for command in COMMANDS:
            self.assertIn(command, self.complete("capweir", ""))
            self.assertIn(command, self.complete("capweir", command[:4]))
            offered = self.complete("capweir", command, "--")
            for name in self.options_of(command):
                self.assertIn(f"--{name}", offered)
        self.assertEqual(self.complete("capweir", "split", "--sync", ""), ["off", "close"])
        self.assertEqual(self.complete("capweir", "split", "--sync", "c"), ["close"])
        self.assertEqual(self.complete("capweir", "split", "-c", ""), [])
        self.assertNotIn("--queues", self.complete("capweir", "split", "--"))
        self.assertIn("lo", self.complete("capweir", "capture", "-i", ""))
        file = self.path("some.pcap")
        open(file, "w", encoding="ascii").close()
        self.assertEqual(self.complete("capweir", "split", "-r", file[:-3]), [file])

    def test_other_shells_can_read_theirs(self):
        found = [shell for shell in ("zsh", "fish") if shutil.which(shell)]
        for shell in found:
            result = run(shell, "-n", os.path.join(PAGES, f"capweir.{shell}"))
            self.assertEqual((result.returncode, result.stdout), (0, ""))
        for shell in ("zsh", "fish"):
            text = self.page(f"capweir.{shell}")
            for command in COMMANDS:
                for name in self.options_of(command):
                    self.assertIn(name, text)
        if len(found) < 2:
            self.skipTest("zsh and fish are not both installed; only the names were compared")


if __name__ == "__main__":
    e2e.main()
