#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The process that opens a live capture's files: who they belong to, and what it refuses."""
import os
import pwd
import signal
import stat
import subprocess

import e2e
import live

SOME = 500
MOST = [n for n in range(SOME) if n % 97 == 1]  # from port 10001
KINDS = """
  plain-{0}: {{filter: udp, write: {0}/plain.pcap}}
  turns-{0}: {{filter: udp, write: {0}/turns.pcap, rotate: {{packets: 200}}}}
  dated-{0}: {{filter: udp, write: '{0}/%Y-%m-%d/%H/dated.pcapng'}}
  small-{0}: {{filter: udp, write: '{0}/small.pcap.zst'}}
"""
LATER = "  later-{0}: {{filter: src port 10001, write: '{0}/later-{{rule}}.pcap'}}\n"


def uid_of(name):
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None


USER, CAPTURES = uid_of("daemon"), uid_of("capweir") or uid_of("nobody")
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}


class Opener(live.Test):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or USER is None or CAPTURES is None:
            self.skipTest("only root can become somebody else")
        os.chmod(self.directory, 0o755)
        for name, owner, mode in (("roots", 0, 0o755), ("theirs", USER, 0o700),
                                  ("all", 0, 0o1777)):
            os.mkdir(self.path(name))
            os.chmod(self.path(name), mode)
            try:
                os.chown(self.path(name), owner, -1)
            except OSError:
                self.skipTest("this namespace has no other users")

    def start(self, *arguments, sudo=None, **options):
        """A capture in the test's folder, as sudo starts it with these two variables. Not "-i in":
        e2e.start adds -Z root to that."""
        environment = dict(ENVIRONMENT)
        if sudo:
            environment.update(SUDO_UID=sudo[0], SUDO_GID=sudo[1])
        return self.capture("capture", "-iin", "--queues", 1, *arguments, cwd=self.directory,
                            env=environment, **options)

    def refuse(self, *arguments, says, **options):
        capture = self.start(*arguments, wait=False, **options)
        done = capture.wait()
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertRegex(done.err, says)

    def owner_of(self, *names):
        status = os.stat(self.path(*names), follow_symlinks=False)
        self.assertTrue(stat.S_ISREG(status.st_mode), names)
        self.assertEqual(status.st_mode & 0o7777, 0o600, names)
        self.assertEqual(status.st_nlink, 1, names)
        return status.st_uid

    def opener_of(self, capture):
        def find():
            for process in e2e.children_of(capture.process.pid):
                with open(f"/proc/{process}/comm") as file:
                    if file.read() == "cw-opener\n":
                        return process
            return None

        capture.wait_until(find, "its files are opened by a process")
        return find()

    def packets(self, capture, first=0):
        live.send(live.Shape(SOME, first=first))
        capture.wait_seen(first + SOME)

    def report_and_owners(self, capture):
        """The report, and the owners of each rule's files."""
        report = self.report_of(capture.stop())
        return report, {rule["name"]: {self.owner_of(path) for path in rule["files"]}
                        for rule in report["rules"]}

    def parts(self, folder):
        return [name for name in os.listdir(self.path(folder)) if name.endswith(".part")]


class Rings(Opener):
    NAMES = ("ring.pcap", "dated/%Y/ring-{seq}.pcap")
    RULE = ("  {0}{1}: {{filter: udp, write: '{0}/{2}', "
            "rotate: {{packets: 200, files: 2}}}}\n")

    def found(self):
        return sorted(os.path.relpath(os.path.join(folder, name), self.directory)
                      for top in ("roots", "theirs")
                      for folder, _, names in os.walk(self.path(top)) for name in names)

    def test_a_ring_goes_on_where_only_its_owner_can_write(self):
        """Two runs, the first one killed, in folders that the capture cannot even read."""
        owners = {"roots": 0, "theirs": USER}
        rules = "rules:\n"
        for folder in owners:
            os.chmod(self.path(folder), 0o700)
            os.mkdir(self.path(folder, "dated"), 0o700)
            os.chown(self.path(folder, "dated"), owners[folder], -1)
            rules += "".join(self.RULE.format(folder, at, name)
                             for at, name in enumerate(self.NAMES))
        self.write("rules.yaml", rules)
        sudo = (str(USER), str(USER))
        capture = self.start("-R", "rules.yaml", "-U", sudo=sudo)
        self.packets(capture)
        capture.wait_stats(lambda stats: stats["written"] == 4 * SOME, "packets are written")
        capture.kill()
        before = self.found()
        self.assertEqual(len(before), 4 * 3, before)  # a list, a file, an unfinished one
        capture = self.start("-R", "rules.yaml", sudo=sudo)
        for name in self.NAMES:
            of = os.path.basename(name) if "dated" not in name else name[len("dated/"):]
            capture.wait_line(f"{of}: 2 files of earlier runs adopted", 2)
            capture.wait_line("of which 1 had to be completed", 4)
        self.packets(capture)
        self.report_of(capture.stop())
        after = self.found()
        self.assertEqual(len(after), 4 * 3, after)
        self.assertEqual([name for name in after if name.endswith(".part")], [])
        self.assertEqual({name for name in before if name.endswith(".ring")},
                         {name for name in after if name.endswith(".ring")})
        for name in after:
            self.assertEqual(self.owner_of(name), owners[name.split("/")[0]], name)
        sizes = {name: os.path.getsize(self.path(name)) for name in after
                 if not name.endswith(".ring")}
        self.assertEqual(len(set(sizes.values())), 2, sizes)  # 200 and 100 packets


class Owners(Opener):
    FOLDERS = ("roots", "theirs", "all")

    def check(self, owners, *arguments, sudo=None):
        """All kinds of outputs in all folders, and a reload that adds one to each."""
        rules = "rules:" + "".join(map(KINDS.format, self.FOLDERS))
        self.write("rules.yaml", rules)
        os.chmod(self.path("rules.yaml"), 0o600)
        capture = self.start("-R", "rules.yaml", *arguments, sudo=sudo)
        self.packets(capture)
        capture.wait_stats(lambda stats: stats["received"] == SOME, "all are counted")
        self.write("rules.yaml", rules + "".join(map(LATER.format, self.FOLDERS)))
        capture.signal(signal.SIGHUP)
        capture.wait_line("rules reloaded: generation 2")
        self.packets(capture, SOME)
        report, found = self.report_and_owners(capture)
        for rule in report["rules"]:
            kind, folder = rule["name"].split("-")
            self.assertEqual(found[rule["name"]], {owners[self.FOLDERS.index(folder)]}, rule)
            self.assertEqual(rule["written"], 2 * SOME if kind != "later" else
                             sum(n % 97 == 1 for n in range(SOME, 2 * SOME)), rule)
            self.assertEqual(len(rule["files"]), 5 if kind == "turns" else 1, rule)
            for path in rule["files"]:
                os.unlink(self.path(path))
        self.assertEqual([self.parts(folder) for folder in self.FOLDERS], [[], [], []])

    def test_files_belong_to_the_user_of_sudo_where_that_user_can_write(self):
        self.check((0, USER, USER), sudo=(str(USER), str(USER)))

    def test_direct_writing_changes_no_owner(self):
        self.check((0, USER, USER), "--direct", "on", sudo=(str(USER), str(USER)))

    def test_files_belong_to_the_user_that_captures_without_sudo(self):
        self.check((0, 0, CAPTURES))

    def test_files_belong_to_root_for_root(self):
        self.check((0, 0, 0), sudo=("0", "0"))
        self.check((0, 0, 0), "-Z", "root")

    def test_values_that_sudo_does_not_give_do_not_count(self):
        missing = next(number for number in map(str, range(54321, 60000))
                       if not subprocess.run(["getent", "passwd", number],
                                             capture_output=True, check=False).stdout)
        for user, group in (("daemon", str(USER)), (f"0000000000{USER}", str(USER)),
                            (missing, missing), (f" {USER}", str(USER)), ("-1", "-1"), ("", ""),
                            ("4294967296", "0"), (str(USER), "daemon"), (f"0x{USER}", "1")):
            with self.subTest(user=user, group=group):
                capture = self.start("-w", "all/a.pcap", sudo=(user, group))
                self.assertEqual(self.report_and_owners(capture)[1], {"rule1": {CAPTURES}})
                os.unlink(self.path("all/a.pcap"))

    def test_the_variables_of_another_user_do_not_count(self):
        under = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                 "--inh-caps", "+net_raw", "--ambient-caps", "+net_raw"]
        if subprocess.run([*under, "true"], capture_output=True, check=False).returncode:
            self.skipTest("setpriv cannot give the right to capture here")
        capture = self.start("-w", "all/a.pcap", sudo=(str(USER), str(USER)), program=(
            *under, e2e.CAPWEIR))
        self.packets(capture)
        self.assertEqual(self.report_and_owners(capture)[1], {"rule1": {65534}})
        for name, folder, place in (("theirs/a.pcap", ".", "theirs/"), ("a.pcap", "/", ".")):
            capture = self.start("-w", name, wait=False, program=(
                "sh", "-c", 'cd "$0" && exec "$@"', self.path(folder), *under, e2e.CAPWEIR))
            done = capture.wait()
            self.assertEqual(done.status, 2, e2e.text_of(done))
            self.assertIn(f"cannot write to the folder {place}: Permission denied", done.err)

    def test_files_belong_to_root_where_root_can_become_nobody_else(self):
        """In a container with one user."""
        program = ("unshare", "-U", "-r", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh",
                   e2e.CAPWEIR)
        if subprocess.run([*program[:-1], "true"], capture_output=True, check=False).returncode:
            self.skipTest("namespaces of users are not allowed here")
        options = {"cwd": self.directory, "program": program,
                   "env": dict(ENVIRONMENT, SUDO_UID=str(USER), SUDO_GID=str(USER))}
        capture = self.capture("capture", "-ilo", "-w", "all/a.pcap", "-Z", "root", **options)
        self.assertEqual(self.report_and_owners(capture)[1], {"rule1": {0}})
        done = self.capture("capture", "-ilo", "-w", "all/b.pcap", wait=False, **options).wait()
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("cannot switch to user", done.err)

    def test_more_folders_than_descriptors_at_first(self):
        names = [f"d{number}" for number in range(100)]
        for name in names:
            os.mkdir(self.path("theirs", name))
            os.chown(self.path("theirs", name), USER, -1)
        self.write("rules.yaml", "rules:\n" + "".join(
            f"  {name}: {{filter: udp, write: theirs/{name}/a.pcap}}\n" for name in names))
        capture = self.start("-R", "rules.yaml", sudo=(str(USER), str(USER)), program=(
            "sh", "-c", 'ulimit -Sn 64 && exec "$@"', "sh", e2e.CAPWEIR))
        self.packets(capture)
        report, owners = self.report_and_owners(capture)
        self.assertEqual(owners, {name: {USER} for name in names})
        self.assertEqual({rule["written"] for rule in report["rules"]}, {SOME})

    def test_a_full_disk_is_tried_again(self):
        with e2e.tmpfs(self.path("disk"), f"size=256k,uid={USER},mode=700") as disk:
            ballast = os.path.join(disk, "ballast")
            with open(ballast, "wb") as file:
                file.write(bytes(192 << 10))
            capture = self.start("-w", "disk/a.pcap", sudo=(str(USER), str(USER)))
            live.send(live.Shape(2 * SOME, size=400))
            capture.wait_line("until writing works again")
            os.unlink(ballast)

            def is_written():
                live.send(live.Shape(20, size=400))
                return "is written again" in capture.text()

            capture.wait_until(is_written, "packets are written again")
            done = capture.stop()
            self.assertEqual(done.status, 1, e2e.text_of(done))
            self.assertEqual(self.owner_of("disk/a.pcap"), USER)


class Names(Opener):
    """What outputs' names may lead to."""

    SUDO = (str(USER), str(USER))

    def file(self, name, owner=0, mode=0o600):
        self.write(name, "precious")
        os.chmod(self.path(name), mode)
        os.chown(self.path(name), owner, -1)

    def link(self, target, name, owner):
        os.symlink(target, self.path(name))
        os.chown(self.path(name), owner, -1, follow_symlinks=False)

    def test_files_that_are_there(self):
        for name, owner, mode, says in (
                ("theirs/a.pcap", USER, 0o644, None),
                ("theirs/b.pcap", 0, 0o644, "b.pcap exists and belongs to root, not to daemon"),
                ("theirs/c.pcap", USER, 0o444, "c.pcap exists and is write-protected"),
                ("roots/a.pcap", 0, 0o644, None),
                ("roots/b.pcap", USER, 0o644, "b.pcap exists and belongs to daemon, not to root"),
                ("roots/c.pcap", 0, 0o400, "c.pcap exists and is write-protected"),
                ("all/a.pcap", CAPTURES, 0o644, "a.pcap exists and belongs to")):
            with self.subTest(name):
                self.file(name, owner, mode)
                if says:
                    self.refuse("-w", name, says=says, sudo=self.SUDO)
                    self.assertEqual(self.read(name), b"precious")
                    continue
                self.refuse("-w", name, "--no-clobber", sudo=self.SUDO,
                            says="exists already .--no-clobber")
                capture = self.start("-w", name, sudo=self.SUDO)
                self.packets(capture)
                self.assertEqual(self.report_and_owners(capture)[1], {"rule1": {owner}})
        capture = self.start("-w", "theirs/new.pcap", "--no-clobber", sudo=self.SUDO)
        self.file("theirs/new.pcap", USER)
        self.packets(capture)
        done = capture.stop()
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertEqual(self.read("theirs/new.pcap"), b"precious")
        self.assertEqual(len(self.parts("theirs")), 1)

    def test_links(self):
        """Of root, of the files' owner and of the folder's are followed; in a sticky folder for
        all only the latter two."""
        other = CAPTURES
        os.chmod(self.path("theirs"), 0o777)
        for name, owner, target, is_followed in (
                ("roots/root", 0, "r.pcap", True),
                ("roots/user", USER, "u.pcap", True),  # only root can write to the folder
                ("theirs/root", 0, "r.pcap", True),
                ("theirs/user", USER, "u.pcap", True),
                ("theirs/other", other, "o.pcap", False),
                ("all/root", 0, "r.pcap", True),
                ("all/user", USER, "u.pcap", True),
                ("all/other", other, "o.pcap", False)):
            with self.subTest(name):
                folder = os.path.dirname(name)
                self.link(target, name, owner)
                if not is_followed:
                    self.refuse("-w", name, sudo=self.SUDO, says="is a symbolic link of ")
                    self.assertFalse(os.path.exists(self.path(folder, target)))
                    continue
                capture = self.start("-w", name, sudo=self.SUDO)
                self.packets(capture)
                self.report_of(capture.stop())
                self.assertTrue(os.path.islink(self.path(name)))
                self.assertEqual(self.owner_of(folder, target), 0 if folder == "roots" else USER)

    def test_a_link_of_the_user_does_not_lend_rights_of_root(self):
        self.link("../roots/x.pcap", "theirs/x.pcap", USER)
        self.refuse("-w", "theirs/x.pcap", sudo=self.SUDO, says="cannot write to .*denied")
        self.assertEqual(os.listdir(self.path("roots")), [])
        os.mkdir(self.path("theirs/rule1"), 0o755)  # where only root can write
        capture = self.start("-w", "theirs/{rule}/%Y.pcap", sudo=self.SUDO)
        self.packets(capture)
        done = capture.stop()
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("Permission denied", done.err)
        self.assertEqual(os.listdir(self.path("theirs/rule1")), [])

    def test_streams(self):
        for name, owner, mode, says in (("theirs/user", USER, 0o600, None),
                                        ("theirs/root", 0, 0o600, None),
                                        ("roots/root", 0, 0o600, None),
                                        ("all/user", USER, 0o600, None),
                                        ("all/root", 0, 0o600, None),
                                        ("all/other", CAPTURES, 0o666, "is a FIFO of ")):
            with self.subTest(name):
                os.mkfifo(self.path(name))
                os.chmod(self.path(name), mode)
                os.chown(self.path(name), owner, -1)
                if says:
                    self.refuse("-w", name, sudo=self.SUDO, says=says)
                    continue
                capture = self.start("-w", name, sudo=self.SUDO)
                reader = subprocess.Popen(["cat", self.path(name)], stdout=subprocess.PIPE)
                self.packets(capture)
                self.report_of(capture.stop())
                self.assertEqual(len(e2e.parse_capture(reader.communicate()[0]).packets), SOME)
        for words in (("-w", "/dev/null"), ("-f", "udp", "-w", "/dev/null", "-f", "tcp", "-w",
                                            "/dev/null")):
            capture = self.start(*words, sudo=self.SUDO)
            self.packets(capture)
            self.report_of(capture.stop())
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/null").st_mode))
        with open(self.path("out"), "wb") as out:
            capture = self.start("-w", "/dev/stdout", "-q", sudo=self.SUDO, json=False, stdout=out)
            live.send(live.Shape(SOME))
            capture.wait_until(lambda: os.path.getsize(self.path("out")) >= SOME * 76, "all")
            done = capture.stop()
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertEqual(len(e2e.read_capture(self.path("out")).packets), SOME)

    def test_refusals_have_the_text_of_split(self):
        """At a capture's start, and by the process that opens files, which a reload asks."""
        self.file("theirs/root.pcap", 0)
        os.mkdir(self.path("theirs/folder.pcap"))
        os.symlink("loop.pcap", self.path("theirs/loop.pcap"))
        os.mkfifo(self.path("theirs/fifo"))
        e2e.generate(self.path("in.pcap"), 1)
        self.write("good.yaml", "rules: {good: {filter: udp, write: theirs/good.pcap}}\n")
        capture = self.start("-R", "good.yaml", "-Z", "root")
        for number, (name, more, says) in enumerate((
                ("theirs/folder.pcap", "", "is a folder: add a file name"),
                ("theirs/loop.pcap", "", "more than 8 symbolic links"),
                ("theirs/none/a.pcap", "", "does not exist; create it first"),
                ("theirs/none/%Y.pcap", "", "does not exist; create it first"),
                ("theirs/root.pcap/a", "", "is not a folder"),
                ("theirs/fifo", ", rotate: {packets: 5}", "needs a file"),
                ("theirs/" + "x" * 300, "", "too long"))):
            with self.subTest(name):
                rule = f"  bad: {{filter: udp, write: '{name}'{more}}}\n"
                self.write("bad.yaml", f"rules:\n{rule}")
                split = e2e.capweir("split", "-r", "in.pcap", "-R", "bad.yaml", cwd=self.directory)
                self.assertEqual(split.status, 2, e2e.text_of(split))
                text = split.err.partition("bad.yaml:2: ")[2]
                self.assertIn(says, text)
                start = self.start("-R", "bad.yaml", "-Z", "root", wait=False).wait()
                self.assertEqual((start.status, start.err.partition("bad.yaml:2: ")[2]), (2, text))
                self.write("good.yaml", f"rules:\n{rule}"
                           "  good: {filter: udp, write: theirs/good.pcap}\n")
                capture.signal(signal.SIGHUP)
                capture.wait_line("rules not reloaded", number + 1)
                capture.wait_line(f"good.yaml:2: {text}")
        self.report_of(capture.stop())
        self.assertEqual(sorted(os.listdir(self.path("theirs"))),
                         ["fifo", "folder.pcap", "good.pcap", "loop.pcap", "root.pcap"])

    def test_a_reload_writes_only_where_the_start_allowed_it(self):
        good = "rules:\n  good: {filter: udp, write: theirs/good.pcap}\n"
        more = good + "  more: {filter: udp, write: all/more.pcap}\n"
        for allowed in (False, True):
            with self.subTest(allowed=allowed):
                self.write("rules.yaml", good)
                capture = self.start("-R", "rules.yaml", sudo=self.SUDO,
                                     *(("--allow-folder", "all") if allowed else ()))
                self.write("rules.yaml", more)
                capture.signal(signal.SIGHUP)
                if not allowed:
                    capture.wait_line("rules not reloaded, generation 1 stays in force")
                    capture.wait_line("folder all/ is outside the folders that this run may write: "
                                      "start it with --allow-folder all/")
                else:
                    capture.wait_line("rules reloaded: generation 2")
                self.packets(capture)
                _, owners = self.report_and_owners(capture)
                self.assertEqual(owners, {name: {USER} for name in
                                          (("good", "more") if allowed else ("good",))})
                self.assertEqual(os.listdir(self.path("all")), ["more.pcap"] if allowed else [])
        self.refuse("-w", "all/a.pcap", "--allow-folder", "nowhere", sudo=self.SUDO,
                    says="--allow-folder nowhere: the folder nowhere does not exist")


class End(Opener):
    def test_the_end_of_the_opener_while_files_are_written_is_an_error(self):
        capture = self.start("-w", "theirs/a.pcap", "-b", "packets:200",
                             sudo=(str(USER), str(USER)))
        self.packets(capture)
        capture.wait_until(lambda: len(os.listdir(self.path("theirs"))) >= 3, "files are named")
        os.kill(self.opener_of(capture), signal.SIGKILL)
        live.send(live.Shape(SOME, first=SOME))
        done = capture.stop()
        self.assertEqual(done.status, 1, e2e.text_of(done))
        part, = self.parts("theirs")
        self.assertIn(part, done.err)
        self.assertEqual(self.owner_of("theirs", part), USER)

    def test_the_opener_ends_with_the_capture(self):
        capture = self.start("-w", "theirs/a.pcap", sudo=(str(USER), str(USER)))
        opener = self.opener_of(capture)
        capture.process.kill()
        e2e.wait_until(lambda: not os.path.exists(f"/proc/{opener}"), "it ends too")
        capture.kill()

    def test_a_stopped_opener_delays_files_and_loses_nothing(self):
        capture = self.start("-w", "theirs/a.pcap", "-b", "packets:50",
                             sudo=(str(USER), str(USER)))
        self.packets(capture)
        opener = self.opener_of(capture)
        os.kill(opener, signal.SIGSTOP)
        try:
            live.send(live.Shape(SOME, first=SOME))
            capture.wait_seen(2 * SOME)
        finally:
            os.kill(opener, signal.SIGCONT)
        report = self.report_of(capture.stop())
        rule, = report["rules"]
        self.assertEqual((rule["written"], len(rule["files"])), (2 * SOME, 20))


if __name__ == "__main__":
    live.main()
