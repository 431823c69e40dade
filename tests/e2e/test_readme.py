#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The README's and the manual's commands, run as they stand there, on small captures of the names
they use."""
import os
import re
import shutil
import socket
import subprocess

import e2e

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
README = os.path.join(ROOT, "README.md")
MANUAL = os.path.join(ROOT, "tools", "manual", "capweir.1.in")


def shell_commands(text):
    """Lines indented as code that start with capweir or feed it; comments go."""
    lines = [re.sub(r"\s+#.*", "", line[4:]) for line in text.splitlines()
             if line.startswith("    ")]
    return [line for line in lines if re.match(r"(capweir|zcat|mkdir) ", line)]


def manual_commands(text):
    """The manual's examples: what is set apart in the section of them."""
    examples = text[text.index(".SH EXAMPLES"):]
    return re.findall(r"\.RS\n(.*)\n\.RE", examples.replace("\\-", "-"))


def may_capture():
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        return True
    except OSError:
        return False


class Readme(e2e.Test):
    def setUp(self):
        super().setUp()
        with open(README, encoding="utf-8") as file:
            self.text = file.read()
        # Its traffic has every protocol that the examples filter for.
        self.run_ok("generate", "--packets", "2000", "-w", "big.pcap", cwd=self.directory)
        for name in ("in.pcap", "old.pcap", "tuesday.pcap"):
            shutil.copy(self.path("big.pcap"), self.path(name))
        self.run_ok("split", "-q", "-r", "big.pcap", "-w", "monday.pcapng", cwd=self.directory)
        subprocess.run(["gzip", self.path("old.pcap")], check=True)
        subprocess.run(["zstd", "-q", "--rm", self.path("tuesday.pcap")], check=True)
        self.write("test.pcap", e2e.pcap(e2e.simple_packets(100)))
        with open(self.path("rules.yaml"), "w", encoding="utf-8") as file:
            file.write(re.search(r"```yaml\n(.*?)```", self.text, re.S).group(1))

    def run_all(self, commands):
        environment = dict(os.environ)
        environment["PATH"] = f"{os.path.dirname(e2e.CAPWEIR)}:{environment['PATH']}"
        for command in commands:
            if "| dot " in command and not shutil.which("dot"):
                continue
            if re.search(" -i lo | bench capture ", command) and not may_capture():
                print(f"skipped: {command}: packet sockets are not allowed here")
                continue
            with self.subTest(command=command):
                run = subprocess.run(["sh", "-ec", command], cwd=self.directory, env=environment,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     timeout=e2e.TIMEOUT)
                self.assertEqual(run.returncode, 0, run.stdout.decode(errors="replace"))

    def test_every_command_of_the_readme_works(self):
        commands = shell_commands(self.text)
        self.assertGreater(len(commands), 8)
        self.run_all(commands)

    def test_every_command_of_the_manual_works(self):
        with open(MANUAL, encoding="utf-8") as file:
            commands = manual_commands(file.read())
        self.assertGreater(len(commands), 4)
        self.run_all(commands)


if __name__ == "__main__":
    e2e.main()
