#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Hooks of a live capture: as which user they run, and whose commands they are."""
import json
import os
import pwd
import signal

import e2e
import live

# Appends what it is, and what it was given, to the file that its first argument names.
SPY = """#!/bin/sh
log=$1
shift
for path; do :; done
{
    echo "Words: $*"
    echo "Rule: $CAPWEIR_RULE"
    echo "Owner: $(stat -c %u "$path")"
    test -r "$path" && echo "Reads: yes"
    grep -E '^(Uid|Gid|Groups|NoNewPrivs|Cap[A-Z][a-z]*):' /proc/self/status
    echo
} >>"$log"
"""


class Hooks(live.Test):
    def setUp(self):
        super().setUp()
        os.chmod(self.directory, 0o755)
        self.spy = self.write("spy", SPY)
        os.chmod(self.spy, 0o755)
        self.log = self.write("log", "")
        os.chmod(self.log, 0o666)
        self.hook = self.write("hook", f'#!/bin/sh\nexec {self.spy} {self.log} "$@"\n')
        os.chmod(self.hook, 0o755)

    def said(self):
        with open(self.log) as file:
            said = [dict(line.split(":", 1) for line in each.splitlines())
                    for each in file.read().split("\n\n")[:-1]]
        with open(self.log, "w"):
            return said

    def folder(self, name, owner, mode=0o755):
        path = self.path(name)
        os.mkdir(path)
        os.chmod(path, mode)
        os.chown(path, owner, -1)
        return path

    def run_one(self, path, *arguments, user="nobody", **options):
        """A capture of some packets into the file; what its only hook said."""
        capture = self.capture("-i", "in", "-w", path, "-z", self.hook, "-Z", user, *arguments,
                               **options)
        live.send(live.Shape(10))
        capture.wait_seen(10)
        report = self.report_of(capture.stop())
        self.assertEqual(report["hooks"], {"run": 1, "failed": 0})
        said, = self.said()
        self.assertEqual((said["Words"].split(), said["Reads"].strip()), ([path], "yes"))
        self.assertEqual({int(value, 16) for name, value in said.items()
                          if name.startswith("Cap")}, {0})
        self.assertEqual((said["Rule"].strip(), said["NoNewPrivs"].strip()), ("rule1", "1"))
        return said

    def check_user(self, said, user, group):
        self.assertEqual({int(each) for each in said["Uid"].split()}, {user})
        self.assertEqual({int(each) for each in said["Gid"].split()}, {group})
        self.assertEqual(int(said["Owner"]), user)
        name = next((each.pw_name for each in pwd.getpwall() if each.pw_uid == user), None)
        groups = os.getgrouplist(name, group) if name else [group]
        self.assertLessEqual({int(each) for each in said["Groups"].split()}, set(groups))

    def need_root(self):
        """Fill some user and a second one, who exist, and their groups."""
        if os.geteuid() != 0:
            self.skipTest("only root can run hooks as other users")
        users = [each for each in pwd.getpwall() if 0 < each.pw_uid < 65534 and each.pw_gid]
        try:
            for each in users[:2]:
                os.chown(self.folder(each.pw_name, 0), each.pw_uid, each.pw_gid)
        except OSError:
            self.skipTest("this namespace has no other users")
        return users[0], users[1]

    def refuse(self, *arguments, says, **options):
        done = e2e.capweir("-i", "in", "-Z", "nobody", *arguments, **options)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertIn(says, done.err)
        self.assertNotIn("listening", done.err)

    def test_a_hook_is_the_owner_of_its_file(self):
        """Who called sudo, in folders that this user can write, else root, who has no hooks."""
        user, _ = self.need_root()
        sudo = dict(os.environ, SUDO_UID=str(user.pw_uid), SUDO_GID=str(user.pw_gid))
        roots = self.folder("roots", 0)
        folders = [self.folder("users", user.pw_uid), self.folder("sticky", 0, 0o1777)]
        for folder in folders:
            path = os.path.join(folder, "a.pcap")
            said = self.run_one(path, env=sudo)
            self.check_user(said, user.pw_uid, user.pw_gid)
        path = os.path.join(roots, "a.pcap")
        says = (f"rule rule1: its files in {roots} belong to root, so its hook would run as root: "
                "give --hook-user USER, or -Z root")
        self.refuse("-w", path, "-z", self.hook, says=says, env=sudo)
        self.assertEqual(os.listdir(roots), [])
        self.check_user(self.run_one(path, user="root", env=sudo), 0, 0)
        said = self.run_one(os.path.join(folders[0], "b.pcap"), user="root", env=sudo)
        self.check_user(said, user.pw_uid, user.pw_gid)
        # Without sudo it is the user that captures.
        nobody = pwd.getpwnam("nobody")
        said = self.run_one(os.path.join(folders[1], "b.pcap"))
        self.check_user(said, nobody.pw_uid, nobody.pw_gid)

    def test_a_hook_of_a_split_is_the_user_of_the_split(self):
        user, _ = self.need_root()
        source = self.write("in.pcap", e2e.pcap(e2e.simple_packets(10)))
        for name in ("root", user.pw_name):
            path = os.path.join(self.folder(f"of-{name}", pwd.getpwnam(name).pw_uid), "a.pcap")
            more = ("-Z", name) if name != "root" else ()
            self.run_ok("split", "-q", "-r", source, "-w", path, "-z", self.hook, *more)
            said, = self.said()
            self.check_user(said, pwd.getpwnam(name).pw_uid, pwd.getpwnam(name).pw_gid)
            self.assertEqual(int(said["CapEff"], 16) == 0, name != "root")
        done = e2e.capweir("split", "-r", source, "-w", path, "--hook-user", name)
        self.assertEqual(done.status, 2, e2e.text_of(done))

    def test_a_user_of_the_hooks_gets_the_files(self):
        """In all folders, also those where only root may give files away; and once more, over the
        files that are there."""
        user, other = self.need_root()
        sudo = dict(os.environ, SUDO_UID=str(user.pw_uid), SUDO_GID=str(user.pw_gid))
        for name, owner, mode in (("roots", 0, 0o755), ("users", user.pw_uid, 0o755),
                                  ("sticky", 0, 0o1777)):
            path = os.path.join(self.folder(name, owner, mode), "a.pcap")
            for _ in range(2):
                said = self.run_one(path, "--hook-user", other.pw_name, env=sudo)
                self.check_user(said, other.pw_uid, other.pw_gid)
                self.assertEqual(os.stat(path).st_mode & 0o7777, 0o600)
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [("hooked", "", {"hook": json.dumps([self.spy, self.log])}), ("plain", "")],
            defaults=f"{{write: '{self.path('sticky')}/{{rule}}.pcap', rotate: {{packets: 5, "
                     "files: 2}}"))
        for _ in range(2):  # the second run knows and removes the files of the first one
            capture = self.capture("-i", "in", "-R", rules, "-Z", "nobody", "--hook-user",
                                   other.pw_name, env=sudo)
            live.send(live.Shape(20))
            capture.wait_seen(20)
            report = self.report_of(capture.stop())
            self.assertEqual(report["hooks"], {"run": 4, "failed": 0})
            for rule, owner in zip(report["rules"], (other, user)):
                there = [self.path("sticky", name) for name in os.listdir(self.path("sticky"))
                         if name.startswith(rule["name"])]
                self.assertEqual((sorted(there), len(there)), (sorted(rule["files"]), 2))
                for file in there:
                    self.assertEqual(os.stat(file).st_uid, owner.pw_uid)
        self.refuse("-w", path, "--hook-user", "no-such-user", says="user no-such-user does not")

    def test_a_reload_changes_hooks_by_the_file_alone(self):
        """Files of before have the hook of before. A file that others may write is not taken."""
        def text(hook):
            return e2e.rules_yaml([("a", "", {"hook": json.dumps([self.spy, self.log, hook])})],
                                  defaults=f"{{write: '{folder}/{{rule}}-%f.pcap'}}")

        folder = self.folder("files", os.geteuid(), 0o1777)
        rules = self.write("rules.yaml", text("first").replace("-%f", "-1"))
        capture = self.capture("-i", "in", "-R", rules)
        live.send(live.Shape(10))
        capture.wait_seen(10)
        self.write("rules.yaml", text("bad").replace("-%f", "-2"))
        os.chmod(rules, 0o666)
        capture.signal(signal.SIGHUP)
        capture.wait_line("others than its owner can write the file")
        os.chmod(rules, 0o600)
        self.write("rules.yaml", text("second").replace("-%f", "-2"))
        capture.signal(signal.SIGHUP)
        capture.wait_line("rules reloaded")
        live.send(live.Shape(10, 10))
        capture.wait_seen(20)
        report = self.report_of(capture.stop())
        self.assertEqual(report["hooks"], {"run": 2, "failed": 0})
        self.assertEqual(sorted(said["Words"].split() for said in self.said()),
                         [["first", f"{folder}/a-1.pcap"], ["second", f"{folder}/a-2.pcap"]])

    def test_a_reload_is_refused_a_hook_that_would_be_root(self):
        self.need_root()
        sticky, roots = self.folder("sticky", 0, 0o1777), self.folder("roots", 0)
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [("a", "", {"write": f"{sticky}/a.pcap", "hook": self.hook}),
             ("b", "", {"write": f"{roots}/b.pcap"})]))
        capture = self.capture("-i", "in", "-R", rules, "-Z", "nobody")
        self.write("rules.yaml", e2e.rules_yaml(
            [("a", "", {"write": f"{sticky}/a.pcap", "hook": self.hook}),
             ("b", "", {"write": f"{roots}/b.pcap", "hook": self.hook})]))
        capture.signal(signal.SIGHUP)
        capture.wait_line(f"its files in {roots} belong to root, so its hook would run as root")
        report = self.report_of(capture.stop())
        self.assertEqual(report["hooks"], {"run": 1, "failed": 0})


if __name__ == "__main__":
    live.main()
