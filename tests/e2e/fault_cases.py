# SPDX-License-Identifier: BSD-3-Clause
"""Runs of the command with calls of the system that fail (fault.c), and the judge of such a run."""
import collections
import errno
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess

import e2e

LIBRARY = os.environ.get("CAPWEIR_FAULT") or os.path.join(
    e2e.ROOT, "build", "release", "tests", "e2e", "libfault.so")
HANG_S = 60  # a run takes 0.02 s

# Call: (errnos, whether it transfers bytes and can transfer fewer).
CALLS = {
    "malloc": ("ENOMEM", False),
    "openat": ("EIO EMFILE EACCES EINTR", False),
    "open": ("EIO EMFILE EACCES EINTR", False),
    "close": ("EIO ENOSPC EINTR", False),
    "read": ("EIO EINTR EAGAIN", True),
    "pread": ("EIO EINTR", True),
    "write": ("EIO EINTR", False),
    "writev": ("EIO EINTR EAGAIN", True),
    "pwrite": ("EIO ENOSPC EINTR", True),
    "fallocate": ("ENOSPC EOPNOTSUPP EINTR", False),
    "pwritev": ("EIO ENOSPC EDQUOT EINTR", True),
    "fstat": ("EIO", False),
    "fstatat": ("EIO", False),
    "stat": ("EIO", False),
    "ftruncate": ("EIO EINTR", False),
    "fchmod": ("EPERM EIO", False),
    "fchown": ("EPERM EIO", False),
    "fdatasync": ("EIO EINTR", False),
    "fsync": ("EIO EINTR", False),
    "renameat": ("EIO ENOSPC", False),
    "renameat2": ("EIO EINVAL", False),
    "linkat": ("EIO", False),
    "unlinkat": ("EIO", False),
    "mmap": ("ENOMEM EIO EINTR", False),
    "poll": ("EINTR ENOMEM", False),
    "fcntl": ("EINVAL", False),
    "lseek": ("EIO", False),
    "getrandom": ("EINTR EAGAIN", False),
    "statvfs": ("EIO", False),
    "statx": ("EIO EINVAL", False),
    "fstatfs": ("EIO", False),
    "pthread_create": ("EAGAIN", False),
    "eventfd": ("EMFILE", False),
    "signalfd": ("EMFILE", False),
    "fork": ("EAGAIN", False),
    "socketpair": ("EMFILE", False),
    "send": ("EPIPE EINTR", False),
    "recv": ("EPIPE EINTR", False),
    "recvfrom": ("ENOBUFS EINTR", False),
    "recvmsg": ("ENOBUFS EINTR", False),
    "sendto": ("ENOBUFS EINTR", False),
    "sendmsg": ("EPIPE EINTR", False),
    "socket": ("EMFILE", False),
    "bind": ("ENODEV", False),
    "ioctl": ("EIO", False),
    "getsockopt": ("EINVAL", False),
    "setsockopt": ("ENOMEM EINVAL", False),
    "epoll_create1": ("EMFILE", False),
    "epoll_ctl": ("ENOMEM", False),
    "epoll_wait": ("EINTR EBADF", False),
    "io_uring_queue_init": ("ENOMEM EIO", False),
    "io_uring_submit": ("EIO EINTR EAGAIN", False),
    "io_uring_wait": ("EIO EINTR", False),
    "io_uring_result": ("EIO ENOSPC EINVAL EAGAIN", True),
    "ZSTD_createCCtx": ("ENOMEM", False),
    "ZSTD_compress2": ("ENOMEM", False),
    "ZSTD_decompressStream": ("ENOMEM", False),
    "inflate": ("ENOMEM EIO", False),
}
# (scenario, call, complaint): without memory the filters are not joined or are no machine code, and
# the output says so
EXPECTED = tuple(("filter", call, "SILENT: standard output differs")
                 for call in ("malloc", "mmap", "fcntl", "pwrite"))
# Never for ever: the caller may repeat the call without end.
PASSING = ("EINTR", "EAGAIN", "ENOBUFS")

Fault = collections.namedtuple("Fault", "call first error mode also", defaults=("",))
Run = collections.namedtuple("Run", "status out err files counts")


def fault_text(fault):
    number = getattr(errno, fault.error)
    return f"{fault.call}:{fault.first}:{number}:{fault.mode}" + (fault.also and ":" + fault.also)


def faults_of(call, count):
    """All faults of a call that is made `count` times."""
    names, is_moving = CALLS[call]
    for first in range(1, count + 1):
        for name in names.split():
            yield Fault(call, first, name, "once")
            if name not in PASSING:
                yield Fault(call, first, name, "ever")
                if call == "pwritev":
                    yield Fault(call, first, name, "ever", "ftruncate")
        if is_moving:
            yield Fault(call, first, "EIO", "short")


# ---- an independent reader that counts ----


def content_of(path):
    """The bytes of a file, decompressed."""
    if ".zst" in os.path.basename(path):
        done = subprocess.run(["zstd", "-qdc", path], capture_output=True)
        if done.returncode:
            raise e2e.Torn(done.stderr.decode())
        return done.stdout
    with open(path, "rb") as file:
        return file.read()


def count_packets(path):
    """The packets of an intact file; e2e.Torn if it is none."""
    content, at, count = content_of(path), 0, 0
    is_pcapng = content[:4] == b"\x0a\x0d\x0d\x0a"
    if not is_pcapng:
        if len(content) < 24 or content[:4] not in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"):
            raise e2e.Torn("no header")
        at = 24
    while at < len(content):
        if is_pcapng:
            kind, length = struct.unpack_from("<II", content, at) if at + 12 <= len(content) \
                else (0, 0)
            is_whole = 12 <= length <= len(content) - at and \
                struct.unpack_from("<I", content, at + length - 4)[0] == length
            count += kind == 6
        else:
            length = 16 + struct.unpack_from("<I", content, at + 8)[0] \
                if at + 16 <= len(content) else 0
            is_whole = 0 < length <= len(content) - at
            count += 1
        if not is_whole:
            raise e2e.Torn(f"at {at} of {len(content)}")
        at += length
    return count


def record_edges(path):
    """The offsets in a pcap file where a record ends."""
    with open(path, "rb") as file:
        content = file.read()
    edges = [24]
    while edges[-1] < len(content):
        edges.append(edges[-1] + 16 + struct.unpack_from("<I", content, edges[-1] + 8)[0])
    return edges


# ---- one run ----


class Scenario:
    """A command line, started in an empty folder; "@" in an argument is the folder of inputs."""

    def __init__(self, name, line, limits=(), stdin=None, copies=()):
        self.name, self.limits, self.stdin, self.copies = name, limits, stdin, copies
        self.arguments = line.split(" ")
        self.command = self.arguments[0]
        self.is_json = "--json" in self.arguments
        self.is_split = self.command == "split"

    def run(self, inputs, folder, fault=None, more=()):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        for name in self.copies:
            shutil.copy(os.path.join(inputs, name), folder)
        return self.run_again(inputs, folder, fault, more)

    def run_again(self, inputs, folder, fault=None, more=()):
        """Run with what an earlier run left."""
        counts = os.path.join(inputs, "counts")
        environment = dict(os.environ, LD_PRELOAD=LIBRARY, FAULT_COUNTS=counts, **dict(more))
        if fault:
            environment["FAULT"] = fault_text(fault) if isinstance(fault, Fault) else fault
        if os.path.exists(counts):
            os.unlink(counts)
        arguments = [one.replace("@", inputs + "/") for one in self.arguments]
        stdin = open(os.path.join(inputs, self.stdin), "rb") if self.stdin else None
        process = e2e.start(*arguments, cwd=folder, env=environment, limits=self.limits,
                            stdin=stdin or subprocess.DEVNULL)
        if stdin:
            stdin.close()
        try:
            out, err = process.communicate(timeout=HANG_S)
            status = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            status = None
        return Run(status, out, err.decode(errors="replace"), read_files(folder),
                   read_counts(counts))

    def essence(self, out):
        """Standard output without times."""
        if self.is_json and self.is_split:
            try:
                report = json.loads(out)
            except ValueError:
                return out
            report.pop("elapsed_s", None)
            return report
        return re.sub(rb"[0-9.]+ [mun]?s\b", b"", out)


def read_files(folder):
    files = {}
    for directory, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(directory, name)
            if name.endswith((".ring", ".ring.new")):
                continue  # the list of a file ring
            with open(path, "rb") as file:
                files[os.path.relpath(path, folder)] = hashlib.md5(file.read()).hexdigest()
    return files


def read_counts(path):
    """The calls of a run, and what crashed: {} if the process did not end by itself."""
    try:
        with open(path) as file:
            lines = [line.split(" ", 1) for line in file.read().splitlines()]
    except OSError:
        return {}
    return {name: value if name == "crash" else int(value) for name, value in lines}


def wrongs(scenario, judge, run, fault):
    """What is wrong with a run, as lines."""
    return [f"{scenario.name} {fault_text(fault)}: exit {run.status}: {complaint}\n"
            f"    {run.err.strip()[-300:]}"
            for complaint in judge.complaints(run)
            if (scenario.name, fault.call, complaint) not in EXPECTED]


def is_published(name):
    return ".part" not in name


# ---- the judge ----


class Judge:
    """Says what is wrong with a run, given the undisturbed run."""

    def __init__(self, scenario, reference, folder, before=None):
        self.before = before
        self.scenario, self.reference, self.folder = scenario, reference, folder
        self.essence = scenario.essence(reference.out)
        self.packets = {name: self.count(name) for name in reference.files
                        if scenario.is_split}
        words = [re.sub(r"[{].*", "", os.path.basename(one.lstrip("@")))
                 for one in scenario.arguments[1:] if "." in one and not one.startswith("-")]
        self.words = [word for word in words if word] + [
            "rule", "memory", "hook", "thread", "filter", "descriptor", "standard output",
            "standard input", "signal", "report", "open -:"]

    def count(self, name):
        try:
            return count_packets(os.path.join(self.folder, name))
        except e2e.Torn as torn:
            return f"TORN {name}: {torn}"

    def complaints(self, run):
        if run.status is None:
            return ["HANG"]
        if run.status < 0:
            return [f"SIGNAL {-run.status} in {run.counts.get('crash', 'capweir')}"]
        found = []
        if run.status == 0:
            found += self.silent_complaints(run)
        else:
            found += self.message_complaints(run)
        if self.scenario.is_split:
            found += self.split_complaints(run)
        elif self.scenario.is_json:
            found += self.json_complaints(run)
        for name in self.scenario.copies:
            found += self.copy_complaints(run, name)
        return found

    def silent_complaints(self, run):
        """Exit 0 means that nothing differs from the undisturbed run."""
        found = []
        # A check counts the warning that it printed.
        is_told = self.scenario.name == "check" and "capweir: warning: " in run.err
        if not is_told and self.scenario.essence(run.out) != self.essence:
            found.append("SILENT: standard output differs")
        if run.files != self.reference.files:
            found.append("SILENT: files differ")
        return found

    def message_complaints(self, run):
        text = run.err if self.scenario.is_split else run.err + run.out.decode(errors="replace")
        found = []
        if not text.strip():
            found.append("NO MESSAGE")
        elif run.status != self.reference.status and not any(word in text for word in self.words):
            found.append(f"MESSAGE names nothing: {text.strip().splitlines()[-1]}")
        for name in run.files:
            if not is_published(name) and name not in run.err:
                found.append("PART is not named")
        return found

    def split_complaints(self, run):
        found, total = [], 0
        for name, content in run.files.items():
            if not is_published(name):
                continue
            if content == self.reference.files.get(name):
                count = self.packets[name]
            else:
                count = self.count(name)
            if isinstance(count, str):
                found.append(count)
            else:
                total += count
        if not self.scenario.is_json or (run.status and not run.out):
            return found
        try:
            report = json.loads(run.out)
        except ValueError:
            return found + ["JSON is broken"]
        return found + self.report_complaints(run, report, total)

    def report_complaints(self, run, report, total):
        books, found = report.get("books", {}), []
        if not books.get("balanced"):
            found.append("BOOKS do not balance")
        if books.get("written") != total:
            found.append(f"BOOKS: written {books.get('written')}, readable {total}")
        if report.get("complete") != (run.status == 0):
            found.append(f"VERDICT: complete {report.get('complete')}, exit {run.status}")
        errors = [one["error"] for one in report.get("rules", []) + report.get("inputs", [])
                  if one.get("error")]
        if run.status == 0 and errors:
            found.append(f"VERDICT: exit 0, and {errors}")
        return found

    def copy_complaints(self, run, name):
        """A file to repair is repaired, or as it was; and the report knows."""
        if run.files[name] not in (self.before[name], self.reference.files[name]):
            return ["REPAIR: the file is neither as before nor repaired"]
        is_cut = run.files[name] != self.before[name]
        try:
            says_cut = any(one["is_cut"] for one in json.loads(run.out)) \
                if self.scenario.is_json else is_cut
        except (ValueError, KeyError):
            return []  # nothing was printed
        return [] if is_cut == says_cut else [f"REPAIR: is_cut is {says_cut}"]

    def json_complaints(self, run):
        if run.status and not run.out:
            return []
        try:
            json.loads(run.out)
        except ValueError:
            return ["JSON is broken"]
        return []
