#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Who captures: root becomes nobody or whom -Z names and goes on; others need CAP_NET_RAW."""
import os
import pwd
import shutil
import subprocess

import e2e
import live


def status_of(process):
    with open(f"/proc/{process}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


class Privileges(live.Test):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root can become somebody else")
        os.chmod(self.directory, 0o755)
        self.mine = self.path("mine")
        os.mkdir(self.mine)
        try:
            os.chown(self.mine, pwd.getpwnam("nobody").pw_uid, -1)
            subprocess.run(["setpriv", "--reuid", "nobody", "--clear-groups", "true"], check=True,
                           capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("this namespace has no user nobody")

    def helpers_of(self, process):
        """What compiles filters for it: the helper and its worker."""
        parents = {}
        for other in filter(str.isdigit, os.listdir("/proc")):
            try:
                parents.setdefault(int(status_of(other)["PPid"]), []).append(int(other))
            except (OSError, KeyError):
                pass  # ended meanwhile
        helpers = parents.get(process, [])
        return helpers + [worker for helper in helpers for worker in parents.get(helper, [])]

    def test_what_compiles_filters_is_nobody_too(self):
        for user, number in (("nobody", pwd.getpwnam("nobody").pw_uid), ("root", 0)):
            with self.subTest(user):
                path = os.path.join(self.mine, f"{user}.pcap")
                capture = self.capture("-i", "in", "-w", path, "-Z", user, "tcp port 80")
                helpers = self.helpers_of(capture.process.pid)
                self.assertEqual(len(helpers), 2)
                for helper in helpers:
                    status = status_of(helper)
                    self.assertEqual(set(status["Uid"].split()), {str(number)})
                    self.assertEqual(int(status["CapPrm"], 16), 0)
                    self.assertEqual(int(status["CapBnd"], 16), 0)
                    self.assertEqual(status["NoNewPrivs"], "1")
                self.report_of(capture.stop())

    def test_root_becomes_nobody_and_rotation_goes_on(self):
        path = os.path.join(self.mine, "all.pcap")
        capture = self.capture("-i", "in", "-w", path, "-Z", "nobody", "-b", "packets:1000",
                               "-b", "files:4")
        shape = live.Shape(5500)
        live.send(shape)
        capture.wait_seen(shape.count)
        for process in os.listdir(f"/proc/{capture.process.pid}/task"):
            status = status_of(process)
            self.assertEqual(set(status["Uid"].split()), {str(pwd.getpwnam("nobody").pw_uid)})
            self.assertEqual(int(status["CapEff"], 16), 1 << 13, "CAP_NET_RAW only")
            self.assertEqual(status["NoNewPrivs"], "1")
            self.assertEqual(status["Seccomp"], "0" if live.SANITIZED else "2")
        report = self.report_of(capture.stop())
        files = report["rules"][0]["files"]
        self.assertEqual(len(files), 4)
        for file in files:
            self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
            self.assertEqual(os.stat(file).st_uid, pwd.getpwnam("nobody").pw_uid)
        self.assertEqual(report["books"]["in_files"], 3500)
        self.assertEqual(report["books"]["expired"], 2000)
        self.assertEqual(sorted(os.path.basename(file) for file in files),
                         sorted(os.listdir(self.mine)))

    def test_nobody_makes_the_folders_of_a_template_and_removes_them(self):
        capture = self.capture("-i", "in", "-w", os.path.join(self.mine, "{seq}", "all.pcap"),
                               "-Z", "nobody", "-b", "packets:1000", "-b", "files:2")
        shape = live.Shape(3500)
        live.send(shape)
        capture.wait_seen(shape.count)
        self.assertEqual(len(self.report_of(capture.stop())["rules"][0]["files"]), 2)
        self.assertEqual(sorted(os.listdir(self.mine)), ["2", "3"])
        folder = os.stat(os.path.join(self.mine, "3"))
        self.assertEqual((folder.st_mode & 0o7777, folder.st_uid),
                         (0o700, pwd.getpwnam("nobody").pw_uid))

    def test_targets_are_judged_for_nobody_at_the_start(self):
        roots = os.path.join(self.mine, "root.pcap")
        with open(roots, "w"):
            pass
        os.mkfifo(os.path.join(self.mine, "fifo"))
        os.chmod(os.path.join(self.mine, "fifo"), 0o622)
        for arguments, says in (([roots], "exists and belongs to root, not to nobody"),
                                ([self.mine], "is a folder"),
                                (["-", "-b", "packets:5"], "rotation by packets needs a file"),
                                ([os.path.join(self.mine, "fifo"), "-C", "1"], "is a FIFO")):
            done = e2e.capweir("-i", "in", "-Z", "nobody", "-w", *arguments)
            self.assertEqual((done.status, done.out), (2, b""), e2e.text_of(done))
            self.assertIn(says, done.err)
            self.assertNotIn("listening", done.err)

    def test_hooks_run_as_nobody_too(self):
        """Of a capture that may start nothing itself."""
        log = os.path.join(self.mine, "log")
        spy = self.write("spy", "#!/bin/sh\n"
                         f"(id -u; grep -E '^(Cap|NoNew)' /proc/self/status; echo $1) >> {log}\n")
        os.chmod(spy, 0o755)
        path = os.path.join(self.mine, "{seq}.pcap")
        capture = self.capture("-i", "in", "-w", path, "-Z", "nobody", "-b", "packets:1000", "-z",
                               spy)
        shape = live.Shape(3500)
        live.send(shape)
        capture.wait_seen(shape.count)
        report = self.report_of(capture.stop())
        self.assertEqual(report["hooks"], {"run": 4, "failed": 0})
        with open(log) as file:
            lines = file.read().splitlines()
        self.assertEqual(len(lines), 4 * 8)
        self.assertEqual(sorted(line for line in lines if line.endswith(".pcap")),
                         sorted(report["rules"][0]["files"]))
        self.assertEqual(lines.count(str(pwd.getpwnam("nobody").pw_uid)), 4)
        self.assertEqual(lines.count("NoNewPrivs:\t1"), 4)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(lines.count(f"{name}:\t0000000000000000"), 4, name)

    def test_a_folder_that_nobody_may_write(self):
        done = e2e.capweir("-i", "in", "-w", self.path("all.pcap"), "-Z", "nobody")
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertRegex(done.err, "cannot write to the folder .* as user nobody")
        self.assertIn("-Z root", done.err)
        self.assertEqual(os.listdir(self.directory), ["mine"])

    def test_a_pipe_that_nobody_may_write(self):
        pipe = os.path.join(self.mine, "pipe")
        os.mkfifo(pipe, 0o600)
        done = e2e.capweir("-i", "in", "-w", pipe, "-Z", "nobody")
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertIn(f"cannot write to {pipe} as user nobody", done.err)
        self.assertIn("-Z root", done.err)

    def test_a_user_that_does_not_exist(self):
        done = e2e.capweir("-i", "in", "-w", os.path.join(self.mine, "a.pcap"), "-Z",
                           "no-such-user")
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertIn("no-such-user", done.err)

    def test_without_root_the_right_to_packet_sockets_is_enough(self):
        if not shutil.which("setpriv"):
            self.skipTest("setpriv (util-linux) is not installed")
        path = os.path.join(self.mine, "all.pcap")
        command = ["setpriv", "--reuid", "nobody", "--clear-groups", "--inh-caps", "+net_raw",
                   "--ambient-caps", "+net_raw", "--", e2e.CAPWEIR, "-i", "in", "-w", path,
                   "--duration", "0.3"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=e2e.TIMEOUT)
        if "Permission denied" in done.stderr and not os.path.exists(path):
            self.skipTest(f"nobody may not run {e2e.CAPWEIR}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(e2e.read_capture(path).packets, [])


if __name__ == "__main__":
    live.main()
