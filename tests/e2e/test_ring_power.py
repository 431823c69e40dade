#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""File rings over restarts under load, on a file system of their own: a run ends by a signal, by
SIGKILL or by a power cut, after which the disk holds what had been written to it.

CAPWEIR_TEST_FULL=1: 100 restarts.
"""
import collections
import contextlib
import os
import random
import re
import signal
import subprocess
import unittest

import e2e
import live
import test_ring_restarts

SYNCED, UNSYNCED = (70, 30) if e2e.FULL else (7, 3)
IMAGE_BYTES = 16 << 20
PER_FILE = test_ring_restarts.PER_FILE
FILE_BYTES = test_ring_restarts.FILE_BYTES
RATE = 4000  # packets a second
FREE_BYTES = 160 << 10  # what the limit of free space leaves to files; each needs a block of 4 KiB
FREE_SLACK = 16 << 10  # files begun before the limit acts

# Limits of a ring: what keep and rotate have, and the files to make until it has removed some.
Kind = collections.namedtuple("Kind", "name keep rotate count most")


class Disk:
    """An ext4 in a file, mounted on a folder."""

    def __init__(self, image, folder):
        self.image, self.folder = image, folder
        if os.geteuid():
            raise unittest.SkipTest("mounting an image needs root")
        with open(image, "wb") as file:
            file.truncate(IMAGE_BYTES)
        e2e.run_or_skip("mkfs.ext4", "-q", "-F", image)
        self.mount()
        os.rmdir(os.path.join(folder, "lost+found"))

    def mount(self):
        e2e.run_or_skip("mount", "-o", "loop", self.image, self.folder)

    def unmount(self):
        """Once nobody uses it any more."""
        def is_done():
            return not os.path.ismount(self.folder) or \
                subprocess.run(["umount", self.folder], capture_output=True).returncode == 0

        e2e.wait_until(is_done, "the disk is not in use")

    def end(self):
        if os.path.ismount(self.folder):
            subprocess.run(["fsfreeze", "-u", self.folder], capture_output=True)
            subprocess.run(["umount", "-l", self.folder], capture_output=True)

    def settle(self):
        e2e.run_or_skip("sync", "-f", self.folder)

    def content(self):
        with open(self.image, "rb") as file:
            return file.read()

    def look(self, see):
        """The content at a moment, and what was to be seen then. The capture stands still, but
        what it began may still arrive."""
        while True:
            before = self.content()
            seen = see()
            if self.content() == before:
                return before, seen

    def free(self):
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize


class Cuts(test_ring_restarts.Ring):
    def setUp(self):
        super().setUp()
        self.disk = Disk(self.path("image"), self.path("out"))
        self.addCleanup(self.disk.end)
        self.chance_seed = int(os.environ.get("CAPWEIR_TEST_SEED") or random.randrange(1 << 32))
        self.chance = random.Random(self.chance_seed)

    @contextlib.contextmanager
    def told(self, **where):
        """The first failure ends the test, and says where it was."""
        try:
            yield
        except AssertionError as failure:
            raise AssertionError(f"seed {self.chance_seed}, {where}: {failure}") from failure

    # ---- what is there ----

    def state(self, names):
        found = {}
        for name in names:
            status = os.lstat(self.path("out", name))
            content = b""
            if os.path.isfile(self.path("out", name)):
                with open(self.path("out", name), "rb") as file:
                    content = file.read()
            found[name] = (status.st_ino, status.st_mtime_ns, status.st_mode, content)
        return found

    def make_theirs(self):
        """Files of others, and another ring, all of names that the ring could give."""
        self.write("out/x.00001.pcap", b"theirs")
        self.write("out/.x.00002.pcap.abcdef.part", b"theirs")
        self.write("out/x.3.pcap", b"theirs")
        os.symlink("x.3.pcap", self.path("out/x.00004.pcap"))
        os.mkdir(self.path("out/x.00005.pcap"))
        other = self.write("other.yaml", e2e.rules_yaml(
            [("b", "", {"write": "x.{seq:05}.pcap", "rotate": "{packets: 7, files: 4}"})]))
        capture = self.start(rules=other)
        self.send(capture, 40)
        self.report_of(capture.stop())
        self.disk.settle()
        self.theirs = self.state(self.names(hidden=True))
        self.assertEqual(len(self.theirs), 5 + 4 + 1)
        self.unlisted = sum(os.path.isfile(path) and not os.path.islink(path)
                            for path in self.paths())
        self.free_at_first = self.disk.free()

    def ours(self):
        """Name -> bytes of the ring's files."""
        return {name: os.path.getsize(self.path("out", name)) for name in self.names()
                if name not in self.theirs}

    def last(self):
        return max([int(name.split(".")[1]) for name in self.names() if name not in self.theirs],
                   default=0)

    # ---- a run ----

    def choose_kind(self):
        files = self.chance.choice((2, 3, 5))
        total = files * FILE_BYTES
        return self.chance.choice((
            Kind("files", "", {"files": files}, files + 2, files),
            Kind("size", "", {"packets": 0, "files": 0, "size": FILE_BYTES, "total": total},
                 files + 2, files),
            Kind("time", "", {"packets": 0, "every": "10ms", "files": files}, files + 2, files),
            Kind("free", f"free: {self.free_at_first - FREE_BYTES}", {"files": 0},
                 2 * (FREE_BYTES + FREE_SLACK) // 4096, None)))

    def check_limit(self, kind, ours, more=0):
        """`more`: files that may be there beside the ring's."""
        if kind.most:
            self.assertLessEqual(len(ours), kind.most + more, ours)
        if kind.name == "size":
            self.assertLessEqual(sum(ours.values()), (kind.most + more) * FILE_BYTES)

    def check_content(self, names):
        """All files are whole, no packet is there twice, all are in the order of the names."""
        if names:
            found = live.check(live.Shape(self.sent), self.paths(sorted(names)))
            self.expect(found, packets=found["packets"], missing=found["missing"])

    def flow(self):
        """Packets under way until it is stopped."""
        flow = self.sender(live.Shape(RATE * 600, first=self.sent), rate=RATE)
        self.sent += RATE * 600
        return flow

    def run_until_full(self, kind, capture):
        """Packets flow, until the ring has had to remove files. They flow on."""
        end = self.last() + kind.count
        flow = self.flow()
        capture.wait_until(lambda: self.last() >= end, "the ring is full", poll_s=0.02)
        if kind.most:
            return flow
        # The writer looks at the disk, and the next file makes room: with a disk that is slow to
        # sync, some files later.
        flow.stop()
        capture.wait_until(self.has_room, "the disk has room", poll_s=0.02)
        return self.flow()

    def has_room(self):
        live.send(live.Shape(PER_FILE, first=self.sent))
        self.sent += PER_FILE
        return self.disk.free() >= self.free_at_first - FREE_BYTES - FREE_SLACK

    def end_by_signal(self, capture):
        capture.signal(signal.SIGTERM)
        self.report_of(capture.wait())
        return self.ours()

    def end_by_kill(self, capture):
        capture.kill()
        return self.ours()

    def end_by_cut(self, capture):
        for child in e2e.children_of(capture.pid):
            os.kill(child, signal.SIGSTOP)
        capture.freeze()
        content, ours = self.disk.look(self.ours)
        capture.kill()
        self.disk.unmount()
        with open(self.path("image"), "wb") as file:
            file.write(content)
        self.disk.mount()
        return ours

    def adoption(self, capture):
        """What the start said: files adopted, in no list, missing and changed."""
        capture.wait_line("listening on")
        text = capture.text()
        counts = [re.search(pattern, text) for pattern in (
            r"(\d+) files? of earlier runs adopted", r"(\d+) files? here match",
            r"(\d+) missing", r"(\d+) changed")]
        return [int(found.group(1)) if found else 0 for found in counts]

    def check_parts(self):
        self.assertEqual([name for name in self.names(hidden=True) if name.endswith(".part")],
                         [".x.00002.pcap.abcdef.part"])

    # ---- the tests ----

    def test_restarts_lose_no_file(self):
        self.make_theirs()
        before = {}
        ends = [self.end_by_signal, self.end_by_kill, self.end_by_cut]
        kinds = set()
        for restart in range(SYNCED):
            kind = self.choose_kind()
            end = ends[restart % 3]
            kinds.add(kind.name)
            with self.told(restart=restart, kind=kind, end=end.__name__):
                self.rules(kind.keep, **kind.rotate)
                capture = self.start()
                after = self.ours()
                adopted, unlisted, _, changed = self.adoption(capture)
                self.assertEqual((adopted, unlisted, changed), (len(after), self.unlisted, 0))
                self.assertEqual({name: after.get(name) for name in before}, before)
                self.assertEqual(len(after) > 0, restart > 0)
                self.check_parts()
                self.check_content(after)
                flow = self.run_until_full(kind, capture)
                before = end(capture)
                flow.stop()
                self.check_limit(kind, before)
                self.assertEqual(self.state(self.theirs), self.theirs)
        self.rules(files=2)
        capture = self.start()
        self.send(capture, 3 * PER_FILE)
        report = self.report_of(capture.stop())
        self.assertEqual(len(self.ours()), 2)
        self.check_content(self.ours())
        self.check_parts()
        ring = self.ring_of(report)
        self.assertEqual((ring["files"], ring["unlisted"]), (2, self.unlisted))
        self.assertEqual(self.state(self.theirs), self.theirs)
        if e2e.FULL:
            self.assertEqual(len(kinds), 4)

    def test_power_cuts_without_sync_leave_known_files(self):
        """Files and their list may be lost. Each file that stays is adopted or reported."""
        self.make_theirs()
        for restart in range(UNSYNCED):
            kind = self.choose_kind()
            with self.told(restart=restart, kind=kind):
                self.rules(kind.keep, **kind.rotate)
                capture = self.start("--sync", "off")
                after = self.ours()
                adopted, unlisted, _, changed = self.adoption(capture)
                lost = unlisted - self.unlisted + changed
                self.assertEqual(adopted + lost, len(after))
                flow = self.run_until_full(kind, capture)
                if self.chance.randrange(2):
                    self.disk.settle()
                self.check_limit(kind, self.end_by_cut(capture), more=lost)
                flow.stop()
                self.assertEqual(self.state(self.theirs), self.theirs)
        self.rules(files=2)
        capture = self.start()
        adopted, unlisted, _, changed = self.adoption(capture)
        lost = unlisted - self.unlisted + changed
        self.assertEqual(adopted + lost, len(self.ours()))
        self.send(capture, 3 * PER_FILE)
        self.report_of(capture.stop())
        self.assertEqual(len(self.ours()), 2 + lost)
        self.assertEqual(self.state(self.theirs), self.theirs)


class Frozen(test_ring_restarts.Ring):
    def test_packets_are_written_while_a_reload_adopts(self):
        """The disk of a ring that a reload begins does not answer: another rule's files grow."""
        disk = Disk(self.path("image"), self.path("out"))
        self.addCleanup(disk.end)
        a, b = self.path("a.pcap"), self.path("out/b.pcap")
        for files in (0, 3):
            self.write(f"{files}.yaml", e2e.rules_yaml(
                [("a", "", {"write": a}),
                 ("b", "udp port 1", {"write": b, "rotate": "{packets: 10" + (
                     f", files: {files}}}" if files else "}")})]))
        os.rename(self.path("0.yaml"), self.path("rules.yaml"))
        capture = self.start()
        self.send(capture, 100)
        os.rename(self.path("3.yaml"), self.path("rules.yaml"))
        e2e.run_or_skip("fsfreeze", "-f", self.path("out"))
        capture.signal(signal.SIGHUP)
        capture.wait_until(lambda: self.is_stuck(capture), "the reload waits for the disk")
        self.send(capture, 100)
        self.assertNotIn("reloaded", capture.text())
        e2e.run_or_skip("fsfreeze", "-u", self.path("out"))
        capture.wait_line("outputs: 1 kept, 1 new, 1 closed")
        self.send(capture, 100)
        self.report_of(capture.stop())
        self.expect_all(live.Shape(300), [a])
        disk.unmount()

    def test_an_abort_names_the_file_of_a_disk_that_does_not_answer(self):
        disk = Disk(self.path("image"), self.path("out"))
        self.addCleanup(disk.end)
        self.write("rules.yaml", e2e.rules_yaml([("b", "", {"write": "b.pcap"})]))
        capture = self.start(env=self.breaking_off())
        self.send(capture, 100)
        e2e.run_or_skip("fsfreeze", "-f", self.path("out"))
        live.send(live.Shape(100, first=100))
        capture.wait_until(lambda: self.is_stuck(capture), "a worker waits for the disk")
        capture.signal(signal.SIGQUIT)
        capture.wait_line("rule b: the disk of b.pcap does not answer. Once it does, "
                          "\"capweir repair\" reads the .part file there")
        e2e.run_or_skip("fsfreeze", "-u", self.path("out"))
        self.assertEqual(capture.wait().status, 130)
        part, = [name for name in self.names(hidden=True) if name.endswith(".part")]
        self.assertEqual(e2e.capweir("repair", self.path("out", part)).status, 0)

    @staticmethod
    def is_stuck(capture):
        """Whether a thread of the capture, or of a process that helps it, waits for a disk."""
        for process in (capture.pid, *e2e.children_of(capture.pid)):
            for task in os.listdir(f"/proc/{process}/task"):
                with open(f"/proc/{process}/task/{task}/stat") as file:
                    if file.read().rpartition(")")[2].split()[0] == "D":
                        return True
        return False


if __name__ == "__main__":
    live.main()
