# SPDX-License-Identifier: BSD-3-Clause
"""What a run writes to is known at its start: streams, links, folders, files of other users. A
refused run opens no input and writes nothing."""
import os
import shutil
import stat
import subprocess
import unittest

import command
import e2e

NEEDS_A_FILE = (["-C", "1"], ["-b", "packets:5"], ["-G", "1"], ["-z", "true"],
                ["-b", "packets:5", "-b", "files:2"])


class Streams(command.Test):
    def shell(self, line):
        """Run `capweir split -q -r in.pcap` with the rest of the line in a shell."""
        return subprocess.run(["sh", "-c", f"exec {e2e.CAPWEIR} split -q -r in.pcap {line}"],
                              cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=e2e.TIMEOUT)

    def assert_shell_refuses(self, line, says):
        done = self.shell(line)
        self.assertEqual(done.returncode, 2, (line, done.stderr))
        self.assertRegex(done.stderr.decode(), says, line)
        self.assertEqual(done.stdout, b"", line)

    def test_what_needs_a_file_is_refused_for_a_stream(self):
        os.mkfifo(self.path("fifo"))
        os.symlink("fifo", self.path("to-fifo"))
        os.symlink("/dev/stdout", self.path("to-stdout"))
        for name, kind in (("-", "standard output"), ("/dev/stdout", "standard output"),
                           ("/dev/fd/1", "standard output"), ("to-stdout", "standard output"),
                           ("fifo", "a FIFO"), ("to-fifo", "a FIFO"), ("/dev/full", "a device"),
                           ("/dev/null", "a device")):
            for more in NEEDS_A_FILE:
                self.assert_refused("split", "-r", "in.pcap", "-w", name, *more,
                                    says=f"rule rule1: .* needs a file, and {name} is {kind}")
        with open(self.path("redirected"), "wb") as file:  # still a stream
            done = e2e.capweir("split", "-q", "-r", "in.pcap", "-w", "-", "-b", "packets:5",
                               cwd=self.directory, stdout=file)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertEqual(self.read("redirected"), b"")

    def assert_check_finds(self, says):
        done = e2e.capweir("check", "rules.yaml", cwd=self.directory)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertRegex(done.err, says)
        self.assertIn(b"1 error, 0 warnings", done.out)

    def test_check_refuses_it_for_standard_output(self):
        for text in ("defaults: {rotate: {packets: 5}}\n", "keep: {total: 1MiB}\n"):
            self.write("rules.yaml", text + "rules: {a: {filter: udp, write: '-'}}\n")
            says = "rules.yaml:2: rule a: .* needs a file, and - is standard output"
            self.assert_refused("split", "-r", "in.pcap", "-R", "rules.yaml", says=says)
            self.assert_check_finds(says)
        self.write("rules.yaml", "rules: {a: {filter: udp, write: '-', hook: ['true']}}\n")
        self.assert_check_finds("a hook needs a file")

    def test_one_stream_has_one_rule(self):
        os.mkfifo(self.path("fifo"))
        os.symlink("fifo", self.path("again"))
        self.write("x.pcap", b"precious")
        self.assert_refused("split", "-r", "in.pcap", "-f", "udp", "-w", "fifo", "-f", "tcp", "-w",
                            "again", says="rule rule2: another rule writes again too")
        for line in ("-f udp -w - -f tcp -w x.pcap > x.pcap",
                     "-f udp -w x.pcap -f tcp -w - > x.pcap",
                     "-f udp -w - -f tcp -w /dev/stdout",
                     "-f udp -w /dev/fd/3 -f tcp -w /dev/fd/4 3> d 4>&3"):
            self.assert_shell_refuses(line, "another rule writes|write the same file")
        self.assertEqual(self.read("x.pcap"), b"")  # the shell's doing
        self.assertEqual(self.read("d"), b"")

    def test_a_descriptor_is_written_by_any_name(self):
        self.split("-w", "file.pcap")
        wanted = self.read("file.pcap")
        os.symlink("/dev/fd/1", self.path("link"))
        for name in ("/dev/fd/1", "/dev//stdout", "/proc/self/fd/1", "/proc/thread-self/fd/1",
                     "link"):
            done = self.shell(f"-w {name}")
            self.assertEqual((done.returncode, done.stdout), (0, wanted), name)
            done = self.shell(f"-w {name} > redirected")
            self.assertEqual((done.returncode, self.read("redirected")), (0, wanted), name)
        done = self.shell("-w /proc/thread-self/fd/3 3> redirected")
        self.assertEqual((done.returncode, self.read("redirected")), (0, wanted))
        self.assertTrue(os.path.islink(self.path("link")))

    def test_a_descriptor_that_cannot_be_written_is_refused(self):
        self.assert_shell_refuses("-w /dev/fd/7", "descriptor 7 is not open")
        self.assert_shell_refuses("-w /dev/stdin < in.pcap", "open for reading only")

    def test_a_fifo_is_not_input_and_output(self):
        os.mkfifo(self.path("fifo"))
        os.symlink("fifo", self.path("again"))
        for name in ("fifo", "again"):
            self.assert_refused("split", "-r", "fifo", "-w", name, says="is one of the inputs")

    def test_a_refused_target_is_reported_before_an_input_is_waited_for(self):
        os.mkfifo(self.path("fifo"))  # without a writer
        os.mkdir(self.path("folder"))
        self.assert_refused("split", "-r", "fifo", "-w", "folder", says="folder is a folder")


class Files(command.Test):
    def test_folders_and_protected_files_are_refused(self):
        os.mkdir(self.path("folder.pcap"))
        self.write("old.pcap", b"precious")
        os.chmod(self.path("old.pcap"), 0o444)
        os.link(self.path("old.pcap"), self.path("hard.pcap"))
        os.symlink("old.pcap", self.path("link.pcap"))
        for arguments in (["split", "-r", "in.pcap"], ["generate", "--packets", "1"]):
            for name, says in (("folder.pcap", "folder.pcap is a folder"),
                               ("old.pcap", "old.pcap exists and is write-protected"),
                               ("hard.pcap", "is write-protected"),
                               ("link.pcap", "is write-protected"),
                               ("nowhere/a.pcap", "folder nowhere does not exist")):
                self.assert_refused(*arguments, "-w", name, says=says)
        self.assert_refused("split", "-r", "in.pcap", "-w", "nowhere/%Y.pcap",
                            says="folder nowhere does not exist")

    def test_a_protected_file_with_a_later_name_stays(self):
        """The packets for its name stay in the hidden file."""
        self.write("a.00004.pcap", b"precious")
        os.chmod(self.path("a.00004.pcap"), 0o444)
        self.check_skipped("a.00004.pcap", "Permission denied")
        self.assertEqual(self.read("a.00004.pcap"), b"precious")

    def check_skipped(self, name, reason):
        """One name of several is in use: only that file is without its name."""
        report, done = self.run_json("split", "-r", "in.pcap", "-w", "a.pcap", "-b", "packets:10",
                                     cwd=self.directory, status=1)
        number = int(name.split(".")[1]) - 1
        skipped = self.source[10 * number:10 * number + 10]
        hidden, = [one for one in os.listdir(self.directory) if one.endswith(".part")]
        self.assertIn(f"{name}: {reason}; the data is in {hidden}", done.err)
        self.assertEqual(self.packets_of(hidden), skipped)
        rule, = report["rules"]
        self.assertNotIn(name, rule["files"])
        self.assertIn(hidden, rule["error"])
        self.assertEqual(sum((self.packets_of(one) for one in rule["files"]), []),
                         [one for one in self.source if one not in skipped])
        self.assertEqual((rule["written"], sum(rule["lost"].values()), report["complete"]),
                         (len(self.source) - 10, 10, False))
        for one in rule["files"] + [hidden]:
            os.unlink(self.path(one))

    def test_a_name_in_use_costs_one_file_of_several(self):
        for make, says in ((os.mkdir, "it is a folder"), (os.mkfifo, "it is a FIFO")):
            for name in ("a.00001.pcap", "a.00006.pcap"):
                with self.subTest(name=name, says=says):
                    make(self.path(name))
                    self.check_skipped(name, says)
                    self.assertTrue(os.path.exists(self.path(name)))
                    (os.rmdir if make == os.mkdir else os.unlink)(self.path(name))

    def test_a_link_with_a_later_name_is_not_followed(self):
        self.write("target", b"precious")
        os.symlink("target", self.path("a.00004.pcap"))
        self.check_skipped("a.00004.pcap", "it is a symbolic link")
        self.assertEqual(self.read("target"), b"precious")
        self.assertTrue(os.path.islink(self.path("a.00004.pcap")))

    def test_a_link_with_the_plain_name_of_numbered_files_is_not_touched(self):
        os.mkdir(self.path("d"))
        self.write("theirs.pcap", b"precious")
        os.chmod(self.path("theirs.pcap"), 0o444)
        for target in ("d/a.pcap", "theirs.pcap", "a.pcap", "nowhere/a.pcap"):
            with self.subTest(target=target):
                os.symlink(target, self.path("a.pcap"))
                report, _ = self.run_json("split", "-r", "in.pcap", "-w", "a.pcap", "-b",
                                          "packets:50", cwd=self.directory)
                files = report["rules"][0]["files"]
                self.assertEqual(files[0], "a.00001.pcap")
                self.assertEqual(sum(map(self.packets_of, files), []), self.source)
                self.assertEqual(os.readlink(self.path("a.pcap")), target)
                self.assertEqual(os.listdir(self.path("d")), [])
                os.unlink(self.path("a.pcap"))
                for name in files:
                    os.unlink(self.path(name))
        os.mkdir(self.path("a.pcap"))
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-b", "packets:50",
                            says="a.pcap is a folder")

    def test_a_name_in_use_is_named_if_the_file_has_one_of_a_time(self):
        """The start cannot check such a name, which one file gets."""
        report, _ = self.run_json("split", "--utc", "-r", "in.pcap", "-w", "%Y.pcap",
                                  cwd=self.directory)
        name, = report["rules"][0]["files"]
        os.unlink(self.path(name))
        os.mkdir(self.path(name))
        report, done = self.run_json("split", "--utc", "-r", "in.pcap", "-w", "%Y.pcap",
                                     cwd=self.directory, status=1)
        hidden, = [one for one in os.listdir(self.directory) if one.endswith(".part")]
        self.assertIn(f"{name}: it is a folder; the data is in {hidden}", done.err)
        self.assertEqual(self.packets_of(hidden), self.source)
        self.assertEqual(report["rules"][0]["written"], 0)

    def test_a_loop_of_links_is_named(self):
        os.symlink("b.pcap", self.path("a.pcap"))
        os.symlink("a.pcap", self.path("b.pcap"))
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap",
                            says="more than 8 symbolic links lead to a.pcap: name the file itself")

    def test_folders_of_a_template_are_made(self):
        self.run_ok("split", "-q", "-r", "in.pcap", "--utc", "-o", ".", "-f", "udp", "-w",
                    "%Y-%m-%d/%H/all.pcap", "-f", "udp port 1001", "-w", "{rule}/{iface}.pcap",
                    "-f", "tcp", "-w", "{rule}/none.pcap", cwd=self.directory)
        made = sorted(os.path.relpath(path, self.directory)
                      for path in command.snapshot(self.directory))
        self.assertEqual(len(made), 4, made)
        self.assertRegex(made[0], r"^\d{4}-\d\d-\d\d/\d\d/all.pcap$")
        self.assertEqual(made[1:], ["in.pcap", "rule2/unknown.pcap", "rule3/none.pcap"])
        self.assertEqual(self.packets_of(made[0]), self.source)
        for folder, names, _ in os.walk(self.directory):
            for name in names:
                self.assertEqual(os.stat(os.path.join(folder, name)).st_mode & 0o7777, 0o700)

    def mode_and_group(self, path):
        status = os.stat(self.path(path))
        return status.st_mode & 0o7777, status.st_gid

    def test_modes_and_group_hold_whatever_the_umask(self):
        group = 12345 if os.geteuid() == 0 else os.getegid()
        self.write("rules.yaml", e2e.rules_yaml(
            [("own", "", {"write": "o/%Y/own.pcap", "file_mode": "0o666", "group": group}),
             ("given", "udp", {"write": "g/{rule}/a.pcap.zst"}),
             ("empty", "tcp", {"write": "e{rule}/none.pcapng", "folder_mode": "0711"})],
            defaults="{file_mode: 640, rotate: {packets: 30}}"))
        for folder in "og":
            os.mkdir(self.path(folder))
        ours = os.getegid()
        for umask in (0o000, 0o022, 0o077, 0o777):
            report, _ = self.run_json("split", "--utc", "-r", "in.pcap", "-R", "rules.yaml",
                                      "--folder-mode", "0755", cwd=self.directory, umask=umask)
            own, given, empty = (rule["files"] for rule in report["rules"])
            self.assertGreater(len(own), 1)
            for paths, wanted in ((own, (0o666, group)), (given, (0o640, ours)),
                                  (empty, (0o640, ours)), (["g"], (None, ours)),
                                  ([os.path.dirname(own[0])], (0o755, group)),
                                  (["g/given"], (0o755, ours)), (["eempty"], (0o711, ours))):
                for path in paths:
                    mode, found = self.mode_and_group(path)
                    self.assertEqual((mode if wanted[0] else None, found), wanted, path)
            for folder in ("o", "g", "eempty"):
                shutil.rmtree(self.path(folder))
            for folder in "og":
                os.mkdir(self.path(folder))

    def test_modes_and_groups_that_cannot_be_given_are_refused(self):
        for words, says in ((("--file-mode", "0777"), "octal mode from 0600 to 0666, not '0777'"),
                            (("--file-mode", "0400"), "octal mode from 0600"),
                            (("--folder-mode", "0o1755"), "octal mode from 0700 to 0777"),
                            (("--folder-mode", "8"), "octal mode"),
                            (("--group", "no such"), "group 'no such' does not exist"),
                            (("--group", "4294967295"), "does not exist")):
            self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", *words, says=says)
        if os.geteuid() == 0 and subprocess.run(
                ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "true"],
                capture_output=True, check=False).returncode == 0:
            os.chmod(self.directory, 0o777)
            done = subprocess.run(
                ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", e2e.CAPWEIR,
                 "split", "-r", "in.pcap", "-w", "a.pcap", "--group", "12345"],
                cwd=self.directory, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("files cannot be given to group 12345", done.stderr)

    def test_a_file_ring_removes_the_folders_that_it_empties(self):
        self.split("-w", "out-{seq}/day/a.pcap", "-b", "packets:10", "-b", "files:2")
        self.assertEqual(sorted(name for name in os.listdir(self.directory)
                                if name.startswith("out")), ["out-8", "out-9"])

    @unittest.skipIf(os.geteuid(), "files of another user need root")
    def test_links_files_and_fifos_of_another_user_are_refused(self):
        os.mkdir(self.path("sticky"))
        os.chmod(self.path("sticky"), 0o1777)
        os.symlink("../a.pcap", self.path("sticky/link"))
        os.chown(self.path("sticky/link"), 65534, 65534, follow_symlinks=False)
        os.mkfifo(self.path("sticky/fifo"))
        self.write("theirs.pcap", b"precious")
        for name in ("sticky/fifo", "theirs.pcap"):
            os.chown(self.path(name), 65534, 65534)
        for name, says in (("sticky/link", "is a symbolic link of "),
                           ("sticky/fifo", "is a FIFO of "),
                           ("theirs.pcap", "exists and belongs to ")):
            self.assert_refused("split", "-r", "in.pcap", "-w", name, says=says)
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("sticky/fifo")).st_mode))


if __name__ == "__main__":
    e2e.main()
