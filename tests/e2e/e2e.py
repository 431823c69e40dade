# SPDX-License-Identifier: BSD-3-Clause
"""Shared by the end-to-end tests: running capweir, a naive capture reader, builders, file systems.

The reader and the builders follow the format documents and share no code with capweir, so that they
check it independently. Environment:
  CAPWEIR             the program under test (default: build/release/tools/capweir)
  CAPWEIR_CORPUS      the capture corpus (default: ../shared/corpus beside the project)
  CAPWEIR_TEST_SCALE  size of loops and inputs (default: 1; less in sanitizer builds)
  CAPWEIR_TEST_FULL   1: all combinations instead of samples
"""
import collections
import contextlib
import csv
import json
import os
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CAPWEIR = os.environ.get("CAPWEIR") or os.path.join(ROOT, "build", "release", "tools", "capweir")
CORPUS = os.environ.get("CAPWEIR_CORPUS") or os.path.join(ROOT, "..", "shared", "corpus")
SCALE = float(os.environ.get("CAPWEIR_TEST_SCALE", "1"))
FULL = os.environ.get("CAPWEIR_TEST_FULL") == "1"
TIMEOUT = 60 + 60 / min(SCALE, 1)
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a folder, or the default one

NS = 1_000_000_000
ETHERNET = 1
RAW = 101

Result = collections.namedtuple("Result", "status out err")


def scaled(number, least=1):
    return max(least, int(number * SCALE))


# ---- running ----


def text_of(result):
    return f"exit {result.status}\nstderr: {result.err[-3000:]}"


def start(*arguments, limits=(), signals=(), under=(), program=(CAPWEIR,), **options):
    """Start capweir; `limits` are (resource, value) pairs set in the child, `signals` pairs of a
    signal and what it does there: SIG_DFL or SIG_IGN; `under` is a program that starts it,
    `program` the words of one that becomes capweir."""
    def before():
        for kind, value in limits:
            resource.setrlimit(kind, (value, value))
        for number, action in signals:
            signal.signal(number, action)

    is_capture = "-i" in arguments and str(arguments[0]).startswith(("-", "capture"))
    if is_capture and "-Z" not in arguments and os.geteuid() == 0:
        arguments += ("-Z", "root")  # only root may write to the tests' folders
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.Popen([*under, *program, *map(str, arguments)],
                            preexec_fn=before if limits or signals else None, **options)


def finish(process, timeout=None):
    before = getattr(process, "said", b"")
    try:
        out, err = process.communicate(timeout=timeout or TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"capweir hangs: {process.args}\n{(before + (err or b'')).decode()}")
    err = (before + (err or b"")).decode("utf-8", "replace")
    for sign in ("AddressSanitizer", "ThreadSanitizer", "runtime error:", "LeakSanitizer"):
        if sign in err:
            raise AssertionError(f"{sign}: {process.args}\n{err}")
    if process.returncode < 0:
        raise AssertionError(f"capweir died of signal {-process.returncode}: {process.args}\n{err}")
    return Result(process.returncode, out or b"", err)


def capweir(*arguments, timeout=None, input=None, **options):
    if input is not None:
        with tempfile.TemporaryFile() as file:
            file.write(input)
            file.seek(0)
            return finish(start(*arguments, stdin=file, **options), timeout)
    return finish(start(*arguments, **options), timeout)


def wait_until(is_so, what, process=None):
    """Poll until is_so() is true; fail if the process ends first, or after TIMEOUT."""
    end = time.monotonic() + TIMEOUT
    while not is_so():
        if process and process.poll() is not None and not is_so():
            raise AssertionError(f"the program ended before: {what}\n"
                                 f"{text_of(finish(process))}")
        if time.monotonic() > end:
            raise AssertionError(f"not within {TIMEOUT:.0f} s: {what}")
        time.sleep(0.01)


def wait_said(process, words):
    """Wait until standard error holds the words; finish() returns this text too."""
    process.said = getattr(process, "said", b"")
    while words.encode() not in process.said:
        read_said(process, words)


def read_said(process, wanted):
    """Wait for one more piece of standard error."""
    ready, _, _ = select.select([process.stderr], [], [], TIMEOUT)
    piece = os.read(process.stderr.fileno(), 1 << 16) if ready else b""
    if not piece:
        process.kill()
        raise AssertionError(f"never said '{wanted}': {process.said.decode()}")
    process.said += piece


def abort(process):
    """Interrupt a run that is stopping until it ends: an interrupt soon after the first signal
    repeats it. Its result."""
    end = time.monotonic() + TIMEOUT
    while process.poll() is None and time.monotonic() < end:
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    return finish(process)


def wait_for_signals(process):
    """Wait until SIGINT and SIGTERM have a handler; a mask would not tell, as forks block all."""
    def takes_them():
        with open(f"/proc/{process.pid}/status") as file:
            caught, = [int(line.split()[1], 16) for line in file if line.startswith("SigCgt")]
        return caught & 1 << (signal.SIGTERM - 1)

    wait_until(takes_them, "signals are handled", process)


def wait_packets(process, count):
    """Wait until the program has read `count` packets by the counters that SIGUSR1 prints."""
    def read_count():
        lines = getattr(process, "said", b"").count(b" packets, ")
        process.send_signal(signal.SIGUSR1)
        while process.said.count(b" packets, ") == lines:
            read_said(process, "packets")
        return int(re.findall(rb"([\d,]+) packets, ", process.said)[-1].replace(b",", b""))

    wait_for_signals(process)
    process.said = getattr(process, "said", b"")
    wait_until(lambda: read_count() >= count, f"{count} packets are read", process)


def wait_written(process, directory, count, more):
    """Wait until a directory's files exceed `count` bytes for `more` looks, or the program ends."""
    def is_written():
        with contextlib.suppress(FileNotFoundError):  # it was renamed
            return count < sum(os.path.getsize(os.path.join(directory, name))
                               for name in os.listdir(directory))

    while more and process.poll() is None:
        more -= bool(is_written())
        time.sleep(0.0001)


def wait_compiling(process):
    """Wait until libpcap computes; the process that starts compilers, and the compiler."""
    def compiler():
        helper = child_of(process.pid)
        worker = child_of(helper) if helper else None
        return worker and cpu_seconds_of(worker) >= 0.1 and (helper, worker)

    wait_until(compiler, "filters are compiled", process)
    return compiler()


def children_of(parent):
    """The process ids of the children."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
            if int(file.read().rpartition(")")[2].split()[1]) == parent:
                found.append(int(name))
    return found


def child_of(parent):
    """The process id of a child, or None."""
    return next(iter(children_of(parent)), None)


def cpu_seconds_of(process):
    """CPU time that a process has used; 0 after its end."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/stat") as file:
        return sum(map(int,
                       file.read().rpartition(")")[2].split()[11:13])) / os.sysconf("SC_CLK_TCK")
    return 0


class Test(unittest.TestCase):
    """A test with a separate directory, `self.path(name)`."""

    maxDiff = 2000
    place = None  # folder of the directory; MEMORY for many small files, where no disk is judged

    def shortDescription(self):
        """None, so that a test is one line with its name, as tests/summary.py expects."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="capweir-test-", dir=self.place)
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def path(self, *names):
        return os.path.join(self.directory, *names)

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb" if isinstance(content, bytes) else "w") as file:
            file.write(content)
        return path

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def run_ok(self, *arguments, **options):
        result = capweir(*arguments, **options)
        self.assertEqual(result.status, 0, text_of(result))
        return result

    def run_json(self, *arguments, status=0, **options):
        result = capweir(*arguments, "--json", **options)
        self.assertEqual(result.status, status, text_of(result))
        report = json.loads(result.out)
        self.check_books(report)
        return report, result

    def check_books(self, report):
        """Check the identities of the books, independently of `balanced`."""
        books = report["books"]
        self.assertTrue(books["balanced"], books)
        self.assertEqual(books["received"], books["shed"] + books["malformed"] +
                         books["prefiltered"] + books["classified"])
        self.assertEqual(books["classified"], books["matched_any"] + books["unmatched"])
        self.assertEqual(books["written"],
                         books["in_files"] + books["expired"] + books["sent_to_pipe"])
        for rule in report["rules"]:
            self.assertEqual(rule["matched"],
                             rule["left_out_total"] + rule["written"] + rule["lost_total"], rule)
            self.assertEqual(rule["left_out_total"], sum(rule["left_out"].values()), rule)
            self.assertEqual(rule["lost_total"], sum(rule["lost"].values()), rule)
        self.assertEqual(books["left_out"], sum(rule["left_out_total"] for rule in report["rules"]))
        for name in ("matched", "written"):
            self.assertEqual(books[name], sum(rule[name] for rule in report["rules"]))
        self.assertEqual(books["lost"], sum(rule["lost_total"] for rule in report["rules"]))
        self.assertEqual(report["packets"], sum(one["packets"] for one in report["inputs"]))

    def check_files(self, report):
        """Check that the report's files are intact and hold the packets that the books count."""
        in_files = 0
        for rule in report["rules"]:
            for file in rule["files"]:
                if os.path.isfile(file):
                    in_files += len(read_capture(file).packets)
        self.assertEqual(report["books"]["in_files"], in_files)

    def assert_no_parts(self, directory=None):
        left = [name for _, _, names in os.walk(directory or self.directory)
                for name in names if ".part" in name]
        self.assertEqual(left, [], "unfinished files are left")


def yaml_text(value):
    return "'" + str(value).replace("'", "''") + "'"


def rules_yaml(rules, mode=None, defaults=None):
    """A rules file; `rules` are (name, filter[, {key: yaml}]) triples."""
    lines = [f"mode: {mode}"] if mode else []
    if defaults:
        lines.append(f"defaults: {defaults}")
    lines.append("rules:")
    for name, expression, *more in rules:
        lines.append(f"  {name}:")
        lines.append(f"    filter: {yaml_text(expression)}")
        for key, value in (more[0] if more else {}).items():
            lines.append(f"    {key}: {value}")
    return "\n".join(lines) + "\n"


# ---- the naive reader ----

Packet = collections.namedtuple("Packet", "ts_ns caplen len data linktype iface")


class Torn(Exception):
    """A truncated or inconsistent file."""


class Capture:
    def __init__(self):
        self.format = None
        self.snaplen = None
        self.linktype = None
        self.is_ns = False
        self.interfaces = []  # (linktype, snaplen, units per second, offset in s, options)
        self.packets = []


def read_pcap(content, capture):
    magics = {b"\xd4\xc3\xb2\xa1": ("<", 1000), b"\xa1\xb2\xc3\xd4": (">", 1000),
              b"\x4d\x3c\xb2\xa1": ("<", 1), b"\xa1\xb2\x3c\x4d": (">", 1)}
    order, unit = magics[content[:4]]
    if len(content) < 24:
        raise Torn("header")
    _, major, minor, _, _, capture.snaplen, capture.linktype = struct.unpack(
        order + "IHHiIII", content[:24])
    if (major, minor) != (2, 4):
        raise Torn(f"version {major}.{minor}")
    capture.format, capture.is_ns = "pcap", unit == 1
    record = struct.Struct(order + "IIII")
    linktype, packets, at = capture.linktype, capture.packets, 24
    while at < len(content):
        if at + 16 > len(content):
            raise Torn(f"record header at {at}")
        seconds, part, caplen, length = record.unpack_from(content, at)
        end = at + 16 + caplen
        if end > len(content):
            raise Torn(f"record at {at}")
        packets.append(Packet(seconds * NS + part * unit, caplen, length, content[at + 16:end],
                              linktype, 0))
        at = end


def read_options(order, content):
    options, at = [], 0
    while at + 4 <= len(content):
        code, length = struct.unpack(order + "HH", content[at:at + 4])
        if code == 0:
            break
        options.append((code, content[at + 4:at + 4 + length]))
        at += 4 + (length + 3) // 4 * 4
    return options


def read_interface(order, body):
    linktype, _, snaplen = struct.unpack(order + "HHI", body[:8])
    options = read_options(order, body[8:])
    units, offset = 1000000, 0
    for code, value in options:
        if code == 9:
            units = 2 ** (value[0] & 0x7f) if value[0] & 0x80 else 10 ** value[0]
        if code == 14:
            offset = struct.unpack(order + "q", value)[0]
    return linktype, snaplen, units, offset, options


def read_pcapng(content, capture):
    capture.format, capture.is_ns = "pcapng", True
    at, order, section = 0, None, []
    while at < len(content):
        if at + 12 > len(content):
            raise Torn(f"block at {at}")
        if content[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}[content[at + 8:at + 12]]
            section = []
        kind, length = struct.unpack(order + "II", content[at:at + 8])
        if length < 12 or length % 4 or at + length > len(content):
            raise Torn(f"block at {at}")
        if struct.unpack(order + "I", content[at + length - 4:at + length])[0] != length:
            raise Torn(f"trailer of the block at {at}")
        body = content[at + 8:at + length - 4]
        if kind == 1:
            section.append(read_interface(order, body))
            capture.interfaces.append(section[-1])
        elif kind == 6:
            iface, high, low, caplen, wire = struct.unpack(order + "IIIII", body[:20])
            linktype, _, units, offset, _ = section[iface]
            data = body[20:20 + caplen]
            if len(data) != caplen:
                raise Torn(f"packet at {at}")
            ticks = high << 32 | low
            capture.packets.append(Packet(ticks * NS // units + offset * NS, caplen, wire, data,
                                          linktype, iface))
        at += length
    if order is None:
        raise Torn("no section")


def parse_capture(content):
    capture = Capture()
    if content[:4] == b"\x0a\x0d\x0d\x0a":
        read_pcapng(content, capture)
    elif len(content) >= 4:
        read_pcap(content, capture)
    else:
        raise Torn("no header")
    return capture


def read_capture(path):
    with open(path, "rb") as file:
        content = file.read()
    try:
        return parse_capture(content)
    except Torn as torn:
        raise AssertionError(f"{path} is truncated or damaged: {torn}")


def essence(packets):
    """The parts of packets that every output keeps."""
    return [(one.ts_ns, one.caplen, one.len, one.data) for one in packets]


# ---- builders ----


def pcap_header(linktype=ETHERNET, ns=False, order="<", snaplen=262144):
    return struct.pack(order + "IHHiIII", 0xa1b23c4d if ns else 0xa1b2c3d4, 2, 4, 0, 0, snaplen,
                       linktype)


def pcap_record(ts_ns, data, length=None, ns=False, order="<"):
    return struct.pack(order + "IIII", ts_ns // NS, ts_ns % NS // (1 if ns else 1000), len(data),
                       len(data) if length is None else length) + data


def pcap(packets, **options):
    """A capture file of (ts_ns, data) pairs."""
    how = {key: options[key] for key in ("ns", "order") if key in options}
    return pcap_header(**options) + b"".join(
        pcap_record(ts_ns, data, **how) for ts_ns, data in packets)


def option(code, value, order="<"):
    return struct.pack(order + "HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def block(kind, body, order="<"):
    length = struct.pack(order + "I", 12 + len(body))
    return struct.pack(order + "I", kind) + length + body + length


def section(order="<"):
    return block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1), order)


def interface(linktype=ETHERNET, name=None, snaplen=0, resolution=None, order="<"):
    options = b""
    if name:
        options += option(2, os.fsencode(name), order)
    if resolution is not None:
        options += option(9, bytes([resolution]), order)
    if options:
        options += option(0, b"", order)
    return block(1, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order)


def enhanced(iface, ticks, data, length=None, comment=None, order="<"):
    options = option(1, comment.encode(), order) + option(0, b"", order) if comment else b""
    return block(6, struct.pack(order + "IIIII", iface, ticks >> 32, ticks & 0xffffffff, len(data),
                                len(data) if length is None else length) +
                 data + b"\0" * (-len(data) % 4) + options, order)


def udp_frame(source, destination, source_port, destination_port, payload=b""):
    """An Ethernet frame with IPv4 and UDP; addresses are numbers."""
    udp = struct.pack(">HHHH", source_port, destination_port, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, source, destination)
    return b"\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\0" + ip + udp


def simple_packets(count, size=0, start_s=1_700_000_000, step_ns=1_000_000):
    """UDP packets to ports 1000 to 1009 in turn, all different."""
    return [(start_s * NS + index * step_ns,
             udp_frame(0x0a000001, 0x0a000002 + index % 7, 2000, 1000 + index % 10,
                       struct.pack(">I", index) + b"x" * size))
            for index in range(count)]


def generate(path, packets, profile="imix", seed=1):
    result = capweir("generate", "--profile", profile, "--packets", packets, "--seed", seed, "-w",
                     path)
    if result.status:
        raise AssertionError(text_of(result))
    return path


# ---- tcpdump, the reference ----


def tcpdump(paths, expression, nano=True):
    """(status, bytes of the capture, stderr) of tcpdump, which reads files of one link type."""
    command = ["tcpdump", *(["-r", *paths] if len(paths) == 1 else ["-V", "-"]), "-w", "-"]
    if nano:
        command.append("--nano")
    if os.geteuid() == 0:
        command += ["-Z", "root"]
    with tempfile.TemporaryFile() as names:  # tcpdump may end before a pipe is written
        names.write("\n".join(paths).encode())
        names.seek(0)
        done = subprocess.run(command + ["--", expression], stdin=names, capture_output=True,
                              timeout=TIMEOUT)
    return done.returncode, done.stdout, done.stderr.decode("utf-8", "replace")


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed")


def run_or_skip(*command):
    """Run a command whose success is needed; a skip says why there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as missing:
        raise unittest.SkipTest(str(missing))
    if done.returncode:
        raise unittest.SkipTest(f"{command[0]}: {done.stderr.strip()}")


# ---- the corpus ----


def corpus():
    """MANIFEST.tsv's rows as dictionaries, each with the file's `path`."""
    manifest = os.path.join(CORPUS, "MANIFEST.tsv")
    if not os.path.exists(manifest):
        raise unittest.SkipTest("no capture corpus at CAPWEIR_CORPUS or ../shared/corpus")
    with open(manifest, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    for row in rows:
        row["path"] = os.path.join(CORPUS, row["file"])
    return rows


# ---- file systems that fail ----


@contextlib.contextmanager
def tmpfs(directory, options="size=1m"):
    """A small file system mounted on `directory`; a skip if mounting is not allowed."""
    os.makedirs(directory, exist_ok=True)
    if os.geteuid():
        raise unittest.SkipTest("mounting a tmpfs needs root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory],
                          capture_output=True, text=True)
    if done.returncode:
        raise unittest.SkipTest(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], capture_output=True)


def remount_readonly(directory):
    done = subprocess.run(["mount", "-o", "remount,ro", directory], capture_output=True, text=True)
    if done.returncode:
        raise unittest.SkipTest(f"cannot remount read-only: {done.stderr.strip()}")


def main():
    """Run the tests of the calling file and print the reasons of skips."""
    if not os.path.exists(CAPWEIR):
        print(f"no program at CAPWEIR={CAPWEIR}", file=sys.stderr)
        sys.exit(1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    unittest.main(module="__main__", verbosity=2)
