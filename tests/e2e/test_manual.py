#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The manual pages are complete and well-formed, and their commands work."""
import glob
import os
import re
import shlex
import shutil
import subprocess

import commands
import e2e

MADE = os.path.join(os.path.dirname(e2e.CAPWEIR), "manual-pages")
SOURCES = sorted(glob.glob(os.path.join(e2e.ROOT, "tools", "manual", "*.[1-8].md*")))
NAMES = [re.sub(r"\.md(\.in)?$", "", os.path.basename(source)) for source in SOURCES]
COMMANDS = re.findall(r"^  ([a-z]+) ", e2e.capweir("--help").out.decode(), re.M)
COLUMNS = 80


def run(*arguments, text=None):
    return subprocess.run(arguments, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=e2e.TIMEOUT, text=True, check=False)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def options_of(command):
    """The long options in the command's help."""
    text = e2e.capweir(command, "--help").out.decode()
    return re.findall(r"^  (?:-.,|   ) --([a-z-]+)", text, re.M)


class Pages(commands.Test):
    def pages(self):
        """(name, path) of each page in roff."""
        if not shutil.which("go-md2man"):
            self.skipTest("the pages are not made: go-md2man is not installed")
        e2e.need("groff")
        made = sorted(name for name in os.listdir(MADE) if re.search(r"\.[1-8]$", name))
        self.assertLessEqual(set(NAMES), set(made))
        return [(name, os.path.join(MADE, name)) for name in made]

    def test_manual_has_every_option(self):
        self.assertGreater(len(COMMANDS), 8)
        page = read(os.path.join(MADE, "capweir.1.md"))
        for command in COMMANDS:
            self.assertIn(f"\n**{command}**\n", page)
            self.assertIn("help", options_of(command))
            for name in options_of(command):
                self.assertRegex(page, rf"(?m)^(\*\*-.\*\*, )?\*\*--{name}\*\*")

    def test_groff_accepts_the_pages(self):
        for name, path in self.pages():
            result = run("groff", "-man", "-t", "-ww", "-z", path)
            self.assertEqual((result.returncode, result.stdout), (0, ""), name)

    def test_pages_fit_a_terminal(self):
        for name, path in self.pages():
            result = run("groff", "-man", "-t", "-Tutf8", "-P-cbou", f"-rLL={COLUMNS}n",
                         path)
            lines = result.stdout.splitlines()
            self.assertGreater(len(lines), 20, name)
            self.assertEqual([line for line in lines if len(line) > COLUMNS], [], name)

    def test_pages_name_existing_pages(self):
        for source in SOURCES:
            for name, section in re.findall(r"\*\*(capweir[a-z-]*|libcapweir[a-z-]*)\*\*\((\d)\)",
                                            read(source)):
                self.assertIn(f"{name}.{section}", NAMES, source)
            for target in re.findall(r"\]\(([^)]+)\)", read(source)):
                self.assertIn(target.removesuffix(".md"), NAMES, source)

    def start_capture(self):
        """Start the capture that commands of the pages ask, at the socket that they name."""
        capture = e2e.start("capture", "-i", "lo", "-R", "rules.yaml", "--control", "capweir.sock",
                            cwd=self.directory)
        self.addCleanup(e2e.finish, capture)
        self.addCleanup(capture.terminate)
        for line in capture.stderr:
            if b"listening on" in line:
                return

    def test_every_command_of_the_pages_works(self):
        rules = commands.blocks(read(SOURCES[NAMES.index("capweir-rules.5")]), "yaml")[0]
        self.make_inputs(rules)
        if commands.may_capture():
            self.start_capture()
        for source in SOURCES:
            self.run_all(commands.blocks(read(source), "sh"))

    def test_report_of_the_manual_is_what_the_command_prints(self):
        page = read(SOURCES[NAMES.index("capweir.1")])
        report, = [text for text in commands.blocks(page, "text") if text.startswith("rule ")]
        self.run_ok("generate", "--packets", "50000", "--seed", "1", "-w", "big.pcap",
                    cwd=self.directory)
        line = commands.blocks(page, "sh")[0].replace("\\\n", " ")
        real = self.run_ok(*shlex.split(line)[1:], cwd=self.directory).err
        # Without the last line's times.
        self.assertEqual(report.split()[:-8], real.split()[:-8])

    def test_rules_of_the_pages_are_valid(self):
        for source in SOURCES:
            for number, rules in enumerate(commands.blocks(read(source), "yaml")):
                self.run_ok("check", "--portable", self.write(f"rules-{number}.yaml", rules))

    def test_examples_of_keys_are_valid(self):
        text = read(SOURCES[NAMES.index("capweir-rules.5")])
        examples = re.findall(r"Example:\s+`([^`]+)`", text)
        self.assertGreater(len(examples), 10)
        for example in examples:
            key = example.partition(":")[0]
            lines = ["rules:", "  a:", f"    {example}"]
            lines += ["    filter: udp"] if key != "filter" else []
            lines += ["    write: a.pcap"] if key != "write" else []
            lines += ["    rotate: {size: 1MiB}"] if key != "rotate" else []
            if key in ("mode", "keep", "defaults", "rules"):
                del lines[2]
                lines = [*(lines if key != "rules" else ["defaults: {write: '{rule}.pcap'}"]),
                         example]
            self.run_ok("check", self.write("example.yaml", "\n".join(lines)))


if __name__ == "__main__":
    e2e.main()
