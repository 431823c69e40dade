#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The README's length, links, report and pictures; its commands run unchanged in a folder that
holds only the tools folder."""
import json
import os
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import commands
import e2e

README = os.path.join(e2e.ROOT, "README.md")
PICTURES = os.path.join(e2e.ROOT, "tools", "pictures")
LINES_MAX = 130

# Commands that install packages or build this tree are not run here.
NOT_RUN = re.compile(r"tools/(demo|test|install-deps)\b|cmake --preset |sudo cmake --install ")
# Words that a command must print.
SAYS = (("--verify-filters", r"checked against libpcap.* no difference"),
        (" -w out/ip.pcap ", r"out/ip\.pcap.* lost"),
        ("capweir repair ", r"[1-9][0-9,]* packets"),
        ("&& capweir inspect ", r"packets +[1-9]"))


def commands_of(text):
    """(command, exit status) of each command in sh or indented blocks. A backslash joins lines. A
    comment "exit N" gives the status."""
    found = []
    blocks = re.findall(r"^```sh\n(.*?)^```$|^```.*?^```$|^    ([^\n]*)$", text, re.M | re.S)
    code = "\n".join(fenced or indented for fenced, indented in blocks)
    for line in code.replace("\\\n", " ").splitlines():
        command, _, comment = re.match(r"(.*?)(\s+# (.*))?$", line).groups()
        if command and not line.startswith("#"):
            status = re.match(r"exit (\d+)", comment or "")
            found.append((command, int(status[1]) if status else 0))
    return found


def succeeds(*command):
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def reason_not_to_run(command):
    """Why a command cannot work on this machine, or None."""
    if " -i lo " in command and not commands.may_capture():
        return "packet sockets are not allowed here"
    if "unshare -rm " in command and not succeeds("unshare", "-rm", "mount", "-t", "tmpfs", "none",
                                                  "/mnt"):
        return "user namespaces or mounts in them are not allowed here"
    return None


class Readme(e2e.Test):
    def setUp(self):
        super().setUp()
        with open(README, encoding="utf-8") as file:
            self.text = file.read()
        os.symlink(os.path.join(e2e.ROOT, "tools"), self.path("tools"))
        os.mkdir(self.path("bin"))
        os.symlink(e2e.CAPWEIR, self.path("bin", "capweir"))
        # sudo may be missing or ask for a password; commands that need more rights are skipped.
        self.write("bin/sudo", '#!/bin/sh\nexec "$@"\n')
        os.chmod(self.path("bin", "sudo"), 0o755)
        self.environment = dict(os.environ, PATH=f"{self.path('bin')}:{os.environ['PATH']}")

    def run_command(self, command, status=0):
        """The text printed on both streams."""
        run = subprocess.run(["sh", "-c", command], cwd=self.directory, env=self.environment,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=e2e.TIMEOUT)
        output = run.stdout.decode(errors="replace")
        self.assertEqual(run.returncode, status, f"{command}\n{output}")
        return output

    def run_all(self, to_run):
        skipped = []
        for command, status in to_run:
            reason = reason_not_to_run(command)
            if reason:
                skipped.append(f"{reason}: {command}")
                continue
            with self.subTest(command=command):
                output = self.run_command(command, status)
                for part, words in SAYS:
                    if part in command:
                        self.assertRegex(output, words)
        if skipped:
            self.skipTest("; ".join(skipped))

    def test_fits_on_few_screens(self):
        self.assertLessEqual(len(self.text.splitlines()), LINES_MAX)

    def test_every_command_of_the_readme_works(self):
        to_run = [each for each in commands_of(self.text) if not NOT_RUN.match(each[0])]
        self.assertGreater(len(to_run), 14)
        self.run_all(to_run)

    def test_commands_that_are_not_run_exist(self):
        with open(os.path.join(e2e.ROOT, "CMakePresets.json"), encoding="utf-8") as file:
            presets = [each["name"] for each in json.load(file)["configurePresets"]]
        left = [each for each, _ in commands_of(self.text) if NOT_RUN.match(each)]
        self.assertGreater(len(left), 4)
        for command in left:
            if command.startswith("tools/"):
                self.assertTrue(os.access(os.path.join(e2e.ROOT, command.split()[0]), os.X_OK))
            for preset in re.findall(r"--preset (\S+)", command):
                self.assertIn(preset, presets)

    def test_report_is_what_the_command_prints(self):
        """Without the last line, which measures this machine."""
        shown = re.search(r"^```text\n(.*?)```$", self.text, re.M | re.S)
        before = self.text[:shown.start()]
        generate, split = commands_of(before)[-2:]
        self.run_command(*generate)
        printed = self.run_command(*split).splitlines()
        time = re.compile(r"[0-9.]+ s, [0-9,]+ packets/s, .*/s, [0-9]+ threads?")
        self.assertRegex(printed[-1], time)
        self.assertRegex(shown[1].splitlines()[-1], time)
        self.assertEqual(shown[1].splitlines()[:-1], printed[:-1])

    def test_link_targets_exist(self):
        links = re.findall(r"\]\(([^)#]+)", self.text)
        self.assertGreater(len(links), 10)
        missing = [link for link in links if "://" not in link and
                   not os.path.exists(os.path.join(e2e.ROOT, link))]
        self.assertEqual(missing, [])

    def picture(self, name):
        with open(os.path.join(PICTURES, f"{name}.svg"), encoding="utf-8") as file:
            return file.read()

    def make_picture(self, name):
        run = subprocess.run([os.path.join(PICTURES, name), "--capweir", e2e.CAPWEIR],
                             capture_output=True, text=True, timeout=e2e.TIMEOUT)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_every_manual_page_is_linked(self):
        pages = [name for name in os.listdir(os.path.join(e2e.ROOT, "tools", "manual"))
                 if re.search(r"\.[1-8]\.md(\.in)?$", name)]
        self.assertGreater(len(pages), 5)
        for page in pages:
            self.assertIn(f"(tools/manual/{page})", self.text)

    def test_the_picture_of_the_files_is_what_its_script_draws(self):
        self.assertEqual(self.picture("fanout"), self.make_picture("fanout"))

    def test_the_picture_of_top_shows_the_current_labels(self):
        """Only the labels: the numbers differ from run to run."""
        place = ["-n", "-m"] if os.geteuid() == 0 else ["-U", "-r", "-n", "-m"]
        if not shutil.which("tmux") or not succeeds("unshare", *place, "ip", "link", "add", "out",
                                                    "type", "veth", "peer", "name", "in"):
            self.skipTest("tmux is not installed, or virtual Ethernet interfaces cannot be made")
        self.assertEqual(self.labels("top", self.picture("top")),
                         self.labels("top", self.make_picture("top")))

    def labels(self, name, svg):
        """The labels at the left edge of a screen, without the parts that depend on the run."""
        texts = ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
        first = [each.text for each in texts if each.get("x") == "14.0"]
        self.assertGreater(len(first), 8, name)
        return {re.sub(r"[0-9][0-9,.]*", "N", re.sub(r"(bottleneck: output).*", r"\1", each))
                for each in first}


if __name__ == "__main__":
    e2e.main()
