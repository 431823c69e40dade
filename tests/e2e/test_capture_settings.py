#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A capture whose options stand in its rules file, in the mapping capture."""
import contextlib
import json
import os
import shutil
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


class Reload(Given):
    SETTINGS = ["interface: [in]", "queues: 2", "relinquish-privileges: root"]

    def setUp(self):
        super().setUp()
        self.socket = self.path("control")
        self.write_rules(self.SETTINGS)
        self.running = self.capture("capture", "-R", self.rules, "-o", self.directory,
                                    "--control", self.socket, "-B", 4096)

    def reload(self, status=0):
        done = e2e.capweir("control", "--control", self.socket, "reload")
        self.assertEqual(done.status, status, e2e.text_of(done))
        return json.loads(done.out) if status == 0 else done.err

    def test_a_changed_setting_is_reported_and_not_taken(self):
        self.assertEqual(self.reload()["needs_restart"], [])
        # -B is the command line's, so its key says nothing.
        self.write_rules(["interface: [in, lo]", "utc: true", "buffer-size: 1",
                          "relinquish-privileges: root"])
        answer = self.reload()
        self.assertEqual(answer["needs_restart"], ["interface", "queues", "utc"])
        self.assertIn("changed settings need a restart: interface queues utc", answer["text"])
        report = self.finish(self.running)
        self.assertEqual([queue["device"] for queue in report["queues"]], ["in", "in"])
        self.assertEqual(report["reloads"]["accepted"], 2)

    def test_a_faulty_setting_refuses_the_reload(self):
        self.write_rules([*self.SETTINGS, "fanout: odd"],
                         "rules:\n  other: {filter: udp, write: other.pcap}\n")
        self.assertIn(f"{self.rules}:5: capture: fanout takes", self.reload(1))
        report = self.finish(self.running)
        self.assertEqual([rule["name"] for rule in report["rules"]], ["all"])


class Service(Given):
    """--service NAME, with a folder /etc of the test's own."""

    def setUp(self):
        super().setUp()
        etc = self.path("etc")
        os.makedirs(os.path.join(etc, "capweir"))
        for name in ("passwd", "group", "nsswitch.conf", "services", "protocols"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(os.path.join("/etc", name), etc)
        done = subprocess.run(["mount", "--bind", etc, "/etc"], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            self.skipTest(f"/etc cannot be replaced here: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", "/etc"], check=True)
        self.rules = "/etc/capweir/in.yaml"
        self.environment = dict(os.environ, STATE_DIRECTORY=self.directory,
                                RUNTIME_DIRECTORY=self.directory)

    def start(self, *arguments):
        return self.capture("capture", "--service", "in", *arguments, env=self.environment)

    def ask(self, *words, **options):
        return e2e.capweir(*words, "--service", "in", **options)

    def test_the_name_gives_rules_folder_socket_and_interface(self):
        self.write_rules(["relinquish-privileges: root"])
        self.run_ok("check", "--service", "in")
        running = self.start()
        for words in (["stats"], ["control", "reload"]):
            done = self.ask(*words, env=self.environment)
            self.assertEqual(done.status, 0, e2e.text_of(done))
        report = self.finish(running)
        self.assertEqual(report["queues"][0]["device"], "in")
        self.assertEqual(self.files_of(report), [self.path("all.pcap")])

    def test_file_and_command_line_win(self):
        elsewhere = self.path("out")
        os.mkdir(elsewhere)
        self.write_rules(["relinquish-privileges: root", "interface: in",
                          f"directory: {elsewhere}", f"control: {self.path('socket')}"])
        running = self.start("-Z", "root", "-w", "line.pcap", "udp")
        # The command line has rules, so the file counts for nothing: its socket is not there.
        done = self.ask("stats")
        self.assertEqual(done.status, 1)
        self.assertIn(f"no running capture at {self.path('socket')}", done.err)
        self.assertEqual(self.files_of(self.finish(running)), [self.path("line.pcap")])
        running = self.start()
        self.assertEqual(self.ask("stats").status, 0)
        with open(self.rules, "w", encoding="utf-8") as file:
            file.write("rules: {a: icpm")  # a faulty file: the usual socket
        done = self.ask("control", "reload")
        self.assertIn("no running capture at /run/capweir/in/control", done.err)
        done = e2e.capweir("control", "--control", self.path("socket"), "reload")
        self.assertEqual(done.status, 1)
        self.assertIn("'{' without its '}'", done.err)
        self.assertEqual(self.files_of(self.finish(running)), [f"{elsewhere}/all.pcap"])

    def test_a_service_waits_for_its_interface(self):
        self.write_rules(["relinquish-privileges: root", "interface: none"])
        self.assertEqual(self.start().stop().status, 0)
        self.write_rules(["relinquish-privileges: root", "interface: none", "wait-device: false"])
        self.assertEqual(self.ask("capture", env=self.environment).status, 1)

    def test_what_cannot_be_a_service_is_refused(self):
        for name in ("", ".", "..", "a/b"):
            for words in (["capture"], ["check"], ["stats"], ["control", "stop"]):
                done = e2e.capweir(*words, f"--service={name}")
                self.assertEqual(done.status, 2)
                self.assertIn("--service takes the NAME of capweir@NAME", done.err)
        for words in (["capture"], ["check"]):
            done = self.ask(*words)
            self.assertEqual(done.status, 2)
            self.assertIn(f"cannot open the rules file {self.rules}", done.err)

    def test_the_unit_chooses_the_user(self):
        self.write_rules(["relinquish-privileges: nobody"])
        done = subprocess.run(["setpriv", "--reuid", str(MINE), "--clear-groups", e2e.CAPWEIR,
                               "capture", "--service", "in"], env=self.environment,
                              capture_output=True, text=True, check=False, timeout=e2e.TIMEOUT)
        if "setpriv" in done.stderr:
            self.skipTest("this namespace has one user only")
        self.assertEqual(done.returncode, 2)
        self.assertIn("systemctl edit capweir@in", done.stderr)


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
