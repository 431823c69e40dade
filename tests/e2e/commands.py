# SPDX-License-Identifier: BSD-3-Clause
"""Run the commands of the README and of the manual pages unchanged, on small captures with the
names that the commands use."""
import os
import re
import shutil
import socket
import subprocess

import e2e

NEEDS_SOCKETS = re.compile(r" -i lo\b| bench capture | selftest |--control ")


def may_capture():
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
        return True
    except OSError:
        return False


def blocks(text, language):
    """The contents of the fenced blocks in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.S | re.M)


class Test(e2e.Test):
    def make_inputs(self, rules):
        """Make big.pcap, with every protocol that examples filter for, and the other files."""
        self.run_ok("generate", "--packets", "2000", "-w", "big.pcap", cwd=self.directory)
        for name in ("in.pcap", "old.pcap", "tuesday.pcap"):
            shutil.copy(self.path("big.pcap"), self.path(name))
        self.run_ok("split", "-q", "-r", "big.pcap", "-w", "monday.pcapng", cwd=self.directory)
        subprocess.run(["gzip", self.path("old.pcap")], check=True)
        subprocess.run(["zstd", "-q", "--rm", self.path("tuesday.pcap")], check=True)
        self.write("test.pcap", e2e.pcap(e2e.simple_packets(100)))
        self.write("rules.yaml", rules)

    def run_all(self, commands):
        """Run lines and scripts; skip those that need something missing here."""
        environment = dict(os.environ)
        environment["PATH"] = f"{os.path.dirname(e2e.CAPWEIR)}:{environment['PATH']}"
        for command in commands:
            if re.search(r"\bdot -T", command) and not shutil.which("dot"):
                continue
            if NEEDS_SOCKETS.search(command) and not may_capture():
                print(f"skipped: {command}: packet sockets are not allowed here")
                continue
            with self.subTest(command=command):
                run = subprocess.run(["sh", "-ec", command], cwd=self.directory, env=environment,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     timeout=e2e.TIMEOUT)
                self.assertEqual(run.returncode, 0, run.stdout.decode(errors="replace"))
