#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Who captures: root becomes nobody or whom -Z names and goes on; others need CAP_NET_RAW."""
import collections
import ctypes
import os
import pwd
import shutil
import signal
import subprocess

import e2e
import live


# A process's user, the one that its files are opened as, groups, capabilities (inheritable,
# permitted, effective, bounding, ambient) and open files, by their kinds.
Privileges = collections.namedtuple("Privileges",
                                    "name user fsuid groups capabilities seccomp files")
HELD_BY_LANDLOCK = ("capweir", "cw-helper", "cw-compiler", "cw-opener")
NAMES = {0: "CHOWN", 1: "DAC_OVERRIDE", 3: "FOWNER", 6: "SETGID", 7: "SETUID", 13: "NET_RAW"}
OPENER_KEEPS = "CHOWN+DAC_OVERRIDE+FOWNER+SETGID+SETUID"
KEPT = {"cw-hooks": "SETGID+SETUID"}  # to run each hook as the owner of its file
FILES = {  # of each process but the capture
    "cw-hooks": ["[signalfd]", "null", "socket", "socket", "stderr", "stderr"],
    "cw-helper": ["null", "null", "socket", "socket", "stderr"],
    "cw-compiler": ["null", "null", "socket", "stderr"] if live.SANITIZED else
    ["null", "null", "null", "socket"],
    "cw-opener": ["folder", "folder", "null", "null"] + ["socket"] * 9 + ["stderr"],
}
# The capture waits, counts and captures; its files are those that it was passed.
CAPTURE_FILES = {"[eventfd]", "[eventpoll]", "[io_uring]", "[signalfd]", "[timerfd]", "null",
                 "output", "pipe", "socket", "stderr"}


def has_landlock():
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(444, None, 0, 1) > 0  # landlock_create_ruleset: the kernel's version


def names_of(mask):
    """Capabilities, from a mask in hexadecimal."""
    bits = [bit for bit in range(64) if int(mask, 16) >> bit & 1]
    return "+".join(NAMES.get(bit, str(bit)) for bit in bits) or "-"


def kind_of(link, stderr, folder):
    """What an open file is, from the link in /proc."""
    if link == stderr:
        return "stderr"
    if link.startswith("anon_inode:"):
        return link[len("anon_inode:"):]
    if link == folder:
        return "folder"
    if link.startswith(folder + "/"):
        return "output"
    return os.path.basename(link.partition(":")[0])


def status_of(process):
    with open(f"/proc/{process}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


class Confinement(live.Test):
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

    def family_of(self, process):
        """A process and all that it started, as {process: status}."""
        family, found = {}, {}
        for other in filter(str.isdigit, os.listdir("/proc")):
            try:
                found[int(other)] = status_of(other)
            except OSError:
                pass  # ended meanwhile
        added = {process}
        while added:
            family.update({each: found[each] for each in added})
            added = {each for each, status in found.items()
                     if int(status["PPid"]) in family and each not in family}
        return family

    def privileges_of(self, process, status, stderr):
        """Also checks what all processes have in common: one user, no way to gain a right. The
        opener acts as another one."""
        for kind in ("Uid", "Gid"):
            real_to_saved, of_files = status[kind].split()[:3], status[kind].split()[3]
            self.assertEqual(len(set(real_to_saved)), 1, status)
            self.assertTrue(of_files in real_to_saved or status["Name"] == "cw-opener", status)
        self.assertEqual(status["NoNewPrivs"], "1", status)
        self.assertEqual(status["Seccomp"], "0" if live.SANITIZED else "2", status)
        if not live.SANITIZED:  # nobody but root traces it: its files in /proc belong to root
            self.assertEqual(os.stat(f"/proc/{process}/comm").st_uid, 0, status)
        folder = f"/proc/{process}/fd"
        files = sorted(kind_of(os.readlink(f"{folder}/{fd}"), stderr, self.mine)
                       for fd in os.listdir(folder)
                       if (status["Name"], fd) != ("capweir", "0"))  # this test's own
        groups = {status["Gid"].split()[0], *status["Groups"].split()}
        return Privileges(status["Name"], *map(int, status["Uid"].split()[2:]), sorted(groups),
                          tuple(names_of(status[f"Cap{kind}"])
                                for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")),
                          status["Seccomp"], files)

    def table_of(self, *arguments):
        """A capture's processes, while it runs, and its result."""
        capture = self.capture("-i", "in", *arguments)
        process = capture.process.pid
        stderr = os.readlink(f"/proc/{process}/fd/2")
        rows = [self.privileges_of(each, status, stderr)
                for each, status in self.family_of(process).items()]
        result = capture.stop()
        self.report_of(result)
        return rows, result

    def check_table(self, rows, user):
        entry = pwd.getpwnam(user)
        groups = sorted({str(each) for each in os.getgrouplist(user, entry.pw_gid)})
        self.assertEqual(sorted(row.name for row in rows),
                         ["capweir", "cw-compiler", "cw-helper", "cw-hooks", "cw-opener"])
        for row in rows:
            if row.name == "cw-opener":  # it acts as root until it opens a user's file
                self.assertEqual((row.user, row.fsuid), (0, 0), row)
                self.assertEqual(row.capabilities, ("-", OPENER_KEEPS, OPENER_KEEPS, "-", "-"))
                self.assertEqual(row.files, FILES[row.name], row)
                continue
            self.assertEqual((row.user, row.groups), (entry.pw_uid, groups), row)
            if row.name == "capweir":
                self.assertEqual(row.capabilities, ("-", "NET_RAW", "NET_RAW", "-", "-"), row)
                self.assertLessEqual(set(row.files), CAPTURE_FILES, row)
            else:
                mine = KEPT.get(row.name, "-")
                self.assertEqual(row.capabilities, ("-", mine, mine, "-", "-"), row)
                self.assertEqual(row.files, FILES[row.name], row)

    def test_the_privileges_of_every_process(self):
        """By what the kernel says of each, in a table. test_confine tries what they can do."""
        for user in ("nobody", "root"):
            with self.subTest(user):
                path = os.path.join(self.mine, f"{user}.pcap")
                for _ in range(8):  # on a busy machine, what compiled a filter ends after it
                    rows, result = self.table_of(
                        "-w", path, "-Z", user, "-z", "true", "--control",
                        os.path.join(self.mine, "control"), "tcp port 80")
                    if "cw-compiler" in [row.name for row in rows]:
                        break
                # /proc does not tell: a process that should be held by Landlock says if it is not.
                is_held = not live.SANITIZED and "Landlock is not available" not in result.err
                print(f"\n-Z {user:9} user  fsuid groups  inheritable permitted effective bounding "
                      "ambient  seccomp  Landlock  open files")
                for row in rows:
                    print(f"{row.name:12} {row.user:5}  {row.fsuid:5} {','.join(row.groups):6}  "
                          f"{' '.join(row.capabilities)}  {row.seccomp}  "
                          f"{'yes' if is_held and row.name in HELD_BY_LANDLOCK else 'no'}  "
                          + " ".join(f"{count}*{kind}" for kind, count in
                                     collections.Counter(row.files).items()), flush=True)
                self.check_table(rows, user)
                self.assertEqual(is_held, has_landlock() and not live.SANITIZED)

    def test_a_confined_compiler_knows_names(self):
        """Of services and protocols; with --resolve of hosts too."""
        path = os.path.join(self.mine, "a.pcap")
        for words in (("port domain or port https or ip proto ospf",),
                      ("--resolve", "host localhost")):
            capture = self.capture("-i", "in", "-w", path, "-Z", "nobody", *words)
            result = capture.stop()
            self.report_of(result)
            self.assertNotIn("without limits", result.err)

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
        self.assertEqual(sorted([".all.pcap.ring", *map(os.path.basename, files)]),
                         sorted(os.listdir(self.mine)))

    def test_files_of_nobody_are_given_to_a_group(self):
        """One that the user is not in; a reload takes no other one."""
        def text(*groups):
            return e2e.rules_yaml(
                [(f"g{group}", "", {"write": f"'{{rule}}/{kind}.pcap'", "group": group})
                 for kind, group in enumerate(groups)],
                defaults="{file_mode: 0640, folder_mode: 0750, rotate: {packets: 1000}}")

        for user in ("nobody", "root"):
            directory = os.path.join(self.mine, user)
            os.mkdir(directory)
            shutil.chown(directory, user)
            rules = self.write("rules.yaml", text(12345))
            capture = self.capture("-i", "in", "-R", rules, "-o", directory, "-Z", user,
                                   umask=0o077)
            live.send(live.Shape(1500))
            capture.wait_seen(1500)
            self.write("rules.yaml", text(12345, 12346))
            capture.signal(signal.SIGHUP)
            capture.wait_line("no rule named group 12346 at the start")
            report = self.report_of(capture.stop())
            files = report["rules"][0]["files"]
            self.assertEqual(len(files), 2)
            for path, mode in [(file, 0o640) for file in files] + [
                    (os.path.dirname(files[0]), 0o750)]:
                status = os.stat(path)
                self.assertEqual((status.st_mode & 0o7777, status.st_gid, status.st_uid),
                                 (mode, 12345, pwd.getpwnam(user).pw_uid), path)

    def test_nobody_makes_the_folders_of_a_template_and_removes_them(self):
        capture = self.capture("-i", "in", "-w", os.path.join(self.mine, "{seq}", "all.pcap"),
                               "-Z", "nobody", "-b", "packets:1000", "-b", "files:2")
        shape = live.Shape(3500)
        live.send(shape)
        capture.wait_seen(shape.count)
        self.assertEqual(len(self.report_of(capture.stop())["rules"][0]["files"]), 2)
        self.assertEqual(sorted(os.listdir(self.mine)), [".{seq},all.pcap.ring", "2", "3"])
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
                         "(id -u; grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status; echo $1) "
                         f">> {log}\n")
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
        self.assertEqual(len(lines), 4 * 9)
        self.assertEqual(sorted(line for line in lines if line.endswith(".pcap")),
                         sorted(report["rules"][0]["files"]))
        self.assertEqual(lines.count(str(pwd.getpwnam("nobody").pw_uid)), 4)
        self.assertEqual(lines.count("NoNewPrivs:\t1"), 4)
        self.assertEqual(lines.count(f"Seccomp:\t{0 if live.SANITIZED else 2}"), 4)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(lines.count(f"{name}:\t0000000000000000"), 4, name)

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
