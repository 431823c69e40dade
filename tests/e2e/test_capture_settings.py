#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A capture whose options stand in its rules file, in the mapping capture."""
import os
import signal
import subprocess

import e2e
import live

MINE = 12345  # a user who is not root
RULES = "rules:\n  all: {filter: udp, write: all.pcap}\n"


class Given(live.Test):
    def setUp(self):
        super().setUp()
        self.rules = self.path("rules.yaml")

    def write_rules(self, settings, rules=RULES):
        with open(self.rules, "w", encoding="utf-8") as file:
            file.write("capture:\n" + "".join(f"  {line}\n" for line in settings) + rules)

    def finish(self, capture):
        shape = live.Shape(200)
        live.send(shape)
        capture.wait_seen(shape.count)
        report = self.report_of(capture.stop())
        self.assertEqual(self.kept(report), report["books"]["in_files"])
        return report


class Settings(Given):
    def test_a_capture_needs_no_option_but_its_rules(self):
        self.write_rules(["interface: [in]", f"directory: {self.directory}", "queues: 2",
                          "relinquish-privileges: root"])
        report = self.finish(self.capture("capture", "-R", self.rules))
        self.assertEqual([queue["device"] for queue in report["queues"]], ["in", "in"])
        self.assertEqual(self.files_of(report), [self.path("all.pcap")])

    def test_the_command_line_wins(self):
        self.write_rules(["interface: none", "directory: /nowhere", "queues: 2"])
        for command in (["capture"], []):
            report = self.finish(self.capture(*command, "-R", self.rules, "-i", "in", "-o",
                                              self.directory, "--queues", 1))
            self.assertEqual([queue["device"] for queue in report["queues"]], ["in"])

    def test_all_faults_end_the_start(self):
        self.write_rules(["interface: in", "queues: many", "buffer-sise: 1", "json: true"])
        done = e2e.capweir("capture", "-R", self.rules)
        self.assertEqual(done.status, 2)
        for line, text in ((3, "queues takes"), (4, "did you mean 'buffer-size'?"),
                           (5, "json is for the command line")):
            self.assertIn(f"{self.rules}:{line}: capture: ", done.err)
            self.assertIn(text, done.err)
        checked = e2e.capweir("check", self.rules)
        self.assertEqual((checked.status, checked.err), (2, done.err))
        self.assertIn(b"3 errors", checked.out)
        self.assertFalse(os.path.exists(self.path("all.pcap")))

    def test_split_takes_no_settings(self):
        self.write("in.pcap", e2e.pcap(e2e.simple_packets(3)))
        self.write_rules(["interface: none", "count: 1"])
        self.run_ok("split", "-r", self.path("in.pcap"), "-R", self.rules, "-o", self.directory)
        done = e2e.capweir("-R", self.rules)
        self.assertEqual(done.status, 2)
        self.assertIn(f"capweir capture -R {self.rules}", done.err)


class Trust(Given):
    """Hooks, users and filter files come only from what root or the starting user can write."""

    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o755)
        try:
            os.chown(self.directory, MINE, -1)
            os.chown(self.directory, 0, -1)
            subprocess.run(["setpriv", "--reuid", str(MINE), "--clear-groups", "true"],
                           check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("this namespace has one user only")

    def start(self, *before, **environment):
        """Whether the file is taken: the start then fails for want of the interface."""
        done = subprocess.run([*before, e2e.CAPWEIR, "capture", "-R", self.rules, "-i", "none"],
                              capture_output=True, text=True, check=False, timeout=e2e.TIMEOUT,
                              env=dict(os.environ, **environment))
        self.assertIn(done.returncode, (1, 2), done.stderr)
        self.assertEqual("can write" in done.stderr, done.returncode == 2, done.stderr)
        return done.returncode == 1

    def test_owner_and_mode_decide(self):
        self.write_rules(["utc: true"], RULES.replace("write:", "hook: 'true', write:"))
        mine = ["setpriv", "--reuid", str(MINE), "--clear-groups"]
        for owner in (0, MINE, MINE + 1):
            for mode in (0o644, 0o664, 0o646):
                os.chown(self.rules, owner, -1)
                os.chmod(self.rules, mode)
                with self.subTest(owner=owner, mode=oct(mode)):
                    closed = mode == 0o644
                    self.assertEqual(self.start(), closed and owner == 0)
                    self.assertEqual(self.start(*mine), closed and owner in (0, MINE))
                    self.assertEqual(self.start(SUDO_UID=str(MINE)), closed and owner in (0, MINE))
                    self.assertEqual(self.start(*mine, SUDO_UID=str(MINE + 1)),
                                     closed and owner in (0, MINE))
        os.chown(self.rules, MINE, -1)
        for word in ("", "x", f"{MINE}x", "-1", "18446744073709551616"):
            self.assertFalse(self.start(SUDO_UID=word), word)

    def test_only_what_gives_power_is_refused(self):
        for settings, rules, is_taken in (
                (["utc: true"], RULES, True),
                (["hook: 'true'"], RULES, False),
                (["relinquish-privileges: root"], RULES, False),
                (["filter-file: global"], RULES, False),
                (["utc: true"], RULES + "defaults: {hook: 'true'}\n", False)):
            self.write_rules(settings, rules)
            os.chmod(self.rules, 0o666)
            self.assertEqual(self.start(), is_taken, settings)

    def test_a_reload_is_refused_too(self):
        self.write_rules(["interface: in", f"directory: {self.directory}",
                          "relinquish-privileges: root"])
        capture = self.capture("capture", "-R", self.rules)
        os.chmod(self.rules, 0o666)
        capture.signal(signal.SIGHUP)
        capture.wait_line("rules not reloaded, generation 1 stays in force: ")
        self.assertIn("can write the file (mode 0666)", capture.text())
        os.chmod(self.rules, 0o644)
        capture.signal(signal.SIGHUP)
        capture.wait_line("rules reloaded: generation 2")
        self.finish(capture)

    def test_split_asks_only_as_root(self):
        self.write("in.pcap", e2e.pcap(e2e.simple_packets(3)))
        self.write_rules(["utc: true"], RULES.replace("write:", "hook: 'true', write:"))
        os.chmod(self.rules, 0o666)
        os.mkdir(self.path("out"))
        os.chmod(self.path("out"), 0o777)
        for before, status in ((["setpriv", "--reuid", str(MINE), "--clear-groups"], 0), ([], 2)):
            done = subprocess.run([*before, e2e.CAPWEIR, "split", "-r", self.path("in.pcap"),
                                   "-R", self.rules, "-o", self.path("out")],
                                  capture_output=True, text=True, check=False,
                                  timeout=e2e.TIMEOUT)
            self.assertEqual(done.returncode, status, done.stderr)


if __name__ == "__main__":
    live.main()
