# SPDX-License-Identifier: BSD-3-Clause
"""Segments change nothing: whatever their size, the threads and the guesses, outputs, reports and
messages are those of one thread that walks the inputs from their head.

CAPWEIR_TEST_FULL=1: all files of the corpus, all kinds of rules, all sizes (hours).
"""
import json
import os
import random
import shutil
import struct
import tempfile

import e2e
import hostile

KIB, MIB = 1 << 10, 1 << 20
ALONE = ("-t", 1, "--segment-size", 0)
FIRST = ("--batch-size", 1)  # the parser leaves all but the first record to segments
THREADS = (1, 2, 3, 8, 64)
SIZES = (4 * KIB, 64 * KIB, MIB, 16 * MIB)
GUESSES = (0, 1, 2, 3)  # right; one record late, one byte late, none
SEGMENTS_MIN = 4        # a file of fewer has none
AHEAD = ("file_bytes", "blocks", "joined", "joined_count", "resynced", "error")

EVERYTHING = "len >= 0"
KINDS = {
    "plain": ("all", {}, {}, {}),
    "pcapng": ("all", {"write": "'{rule}.pcapng'"}, {}, {}),
    "unmatched": ("first", {}, {}, {}),
    "size": ("all", {"write": "'{rule}-{seq}.pcap'"}, {"rotate": "{size: 20KiB}"},
             {"rotate": "{size: 64KiB}"}),
    "packets": ("all", {"write": "'{rule}-{seq}.pcapng'"}, {"rotate": "{packets: 3}"},
                {"rotate": "{packets: 500}"}),
    "time": ("all", {"write": "'{rule}-%H%M%S.pcap'"}, {"rotate": "{every: 1s}"},
             {"rotate": "{every: 1m, size: 100KiB}"}),
    "sample": ("all", {}, {"sample": "1/3"}, {"sample": "1/100"}),
    "limits": ("all", {}, {"limit": "{packets: 100}"}, {"limit": "{bytes: 50k, rate: 1000}"}),
    "snaplen": ("all", {}, {"snaplen": "60"}, {"snaplen": "1"}),
    "zst": ("all", {"write": "'{rule}.pcap.zst'"}, {}, {"write": "'{rule}.pcapng.zst'"}),
    "mixed": ("all", {}, {"sample": "1/2", "rotate": "{packets: 70}",
                          "write": "'{rule}-{seq}.pcap'"}, {"write": "'{rule}.pcapng'"}),
    "count": ("all", {}, {}, {"write": "'{rule}.pcapng'"}, "-c", "700"),
    "count-rotated": ("all", {"write": "'{rule}-{seq}.pcap'"}, {"rotate": "{size: 9KiB}"}, {},
                      "-c", "901"),
    "micro": ("all", {}, {}, {"snaplen": "100"}, "--time-precision", "us"),
}


def rules_of(kind):
    """Text of the rules file of a kind: three outputs, of which two have settings."""
    mode, every, second, third, *_ = KINDS[kind]
    rest = "unmatched" if mode == "first" else EVERYTHING
    rules = [("everything", rest, {}), ("ip", "ip", second), ("tcp", "tcp", third)]
    return e2e.rules_yaml([(name, filter_, {**every, **keys}) for name, filter_, keys in rules],
                          mode=mode, defaults="{write: '{rule}.pcap'}")


def constant_part(text, directory, has_count):
    """The report without what depends on time and threads. A run that ends early, by -c, has read
    ahead: it tells of more than the packets that count."""
    report = json.loads(text.replace(os.fsencode(directory), b"DIRECTORY"))
    for name in ("elapsed_s", "threads"):
        del report[name]
    if has_count:
        for one in report["inputs"]:
            for name in AHEAD:
                del one[name]
        for rule in report["rules"]:
            del rule["blocks"]
    return report


class Segments(e2e.Test):
    place = e2e.MEMORY

    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="capweir-segments-", dir=cls.place)
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        for kind in KINDS:
            with open(os.path.join(cls.shared, kind + ".yaml"), "w") as file:
                file.write(rules_of(kind))

    def run_one(self, kind, paths, *options):
        """All that a run leaves: status, messages, report, names and contents of files."""
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            done = e2e.capweir(
                "split", "--json", "--utc", "-o", directory, "-R",
                os.path.join(self.shared, kind + ".yaml"), *KINDS[kind][4:],
                *[word for path in paths for word in ("-r", path)], *options)
            found = {}
            for folder, _, names in os.walk(directory):
                for name in names:
                    with open(os.path.join(folder, name), "rb") as file:
                        found[name] = file.read()
            report = constant_part(done.out, directory, "-c" in KINDS[kind]) if done.out else None
            messages = sorted(done.err.replace(directory, "DIRECTORY").splitlines())
            return done.status, messages, report, found

    def assert_same(self, got, wanted, what):
        self.assertEqual(got[0], wanted[0], f"{what}: {got[1]}")
        self.assertEqual(sorted(got[3]), sorted(wanted[3]), what)
        different = [name for name in wanted[3] if got[3][name] != wanted[3][name]]
        self.assertEqual(different, [], what)
        self.assertEqual(got[2], wanted[2], what)
        self.assertEqual(got[1], wanted[1], what)

    def compare(self, kind, paths, ways):
        """Compare ways of options with the walk of one thread."""
        paths = [paths] if isinstance(paths, str) else paths
        wanted = self.run_one(kind, paths, *ALONE)
        for way in ways:
            got = self.run_one(kind, paths, *FIRST, *way)
            self.assert_same(got, wanted, f"{kind} {paths} {way}")

    def ways(self, size, draw=None, count=3):
        """Threads, sizes of segments and guesses: all for a file of `size` bytes, or some drawn."""
        sizes = [one for one in SIZES if size >= SEGMENTS_MIN * one]
        all_ = [("-t", threads, "--segment-size", segment, "--wrong-guess", guess)
                for threads in THREADS for segment in sizes for guess in GUESSES]
        return draw.sample(all_, min(count, len(all_))) if draw else all_


class Hostile(Segments):
    # What -c reads ahead shows in a pcapng output: blocks after the last packet that counts.
    HAVE_BLOCKS = ("interfaces.pcapng", "interfaces-unused.pcapng", "statistics.pcapng",
                   "names.pcapng", "sections.pcapng")

    def kinds(self, name):
        return [kind for kind in KINDS
                if "-c" not in KINDS[kind] or name not in self.HAVE_BLOCKS]

    def check(self, name, size, kinds, draw=None, count=3):
        path = hostile.write(os.path.join(self.shared, name), name, size)
        for kind in kinds:
            self.compare(kind, path, self.ways(size, draw, count))
        os.remove(path)

    def test_files_that_look_like_records(self):
        draw = random.Random(1)
        for name in hostile.HOSTILE:
            with self.subTest(name):
                if e2e.FULL:
                    self.check(name, 5 * MIB, self.kinds(name))
                else:
                    self.check(name, 200 * KIB, draw.sample(self.kinds(name), 1), draw, 1)


# ---- files of ordinary traffic ----


def variants(packets, full):
    """Names and contents of files of these packets in the layouts that a segment may have."""
    pairs = [(one.ts_ns, one.data) for one in packets]
    yield "us.pcap", e2e.pcap(pairs)
    yield "ns.pcap", e2e.pcap(pairs, ns=True)
    yield "ng-us.pcapng", e2e.section() + e2e.interface() + b"".join(
        e2e.enhanced(0, ts_ns // 1000, data) for ts_ns, data in pairs)
    yield "ng-ns.pcapng", e2e.section(">") + e2e.interface(resolution=9, order=">") + b"".join(
        e2e.enhanced(0, ts_ns, data, order=">") for ts_ns, data in pairs)
    if not full:
        return
    yield "be.pcap", e2e.pcap(pairs, order=">")
    yield "modified.pcap", struct.pack("<IHHiIII", 0xa1b2cd34, 2, 4, 0, 0, 262144, 1) + b"".join(
        struct.pack("<IIIIIHBB", ts_ns // e2e.NS, ts_ns % e2e.NS // 1000, len(data), len(data),
                    2, 0x800, 4, 0) + data for ts_ns, data in pairs)
    yield "version-2.3.pcap", struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 3, 0, 0, 262144, 1) + \
        b"".join(struct.pack("<IIII", ts_ns // e2e.NS, ts_ns % e2e.NS // 1000, len(data) + 4,
                             len(data)) + data for ts_ns, data in pairs)


class Profiles(Segments):
    PROFILES = ("small", "imix", "large", "mix")

    def test_segments_are_cut_at_multiples_of_their_size(self):
        """So they are in use: a run that -c ends has read some of them, and not all."""
        path = self.write("in.pcap", e2e.pcap(e2e.simple_packets(5000)))
        for segment in (4 * KIB, 8 * KIB):
            report, _ = self.run_json("split", "-r", path, "-w", "out.pcap", "-c", 5, "-t", 1,
                                      "--segment-size", segment, *FIRST, cwd=self.directory)
            read = report["inputs"][0]["file_bytes"]
            self.assertEqual(read % segment, 0)
            self.assertGreater(os.path.getsize(path), read)

    def test_the_generated_profiles(self):
        draw = random.Random(2)
        for profile in self.PROFILES:
            count = {"small": 70_000, "imix": 14_000, "large": 3000, "mix": 10_000}[profile]
            count = count if e2e.FULL else count // 20
            path = e2e.generate(self.path("made.pcap"), count, profile)
            packets = e2e.read_capture(path).packets
            for name, content in variants(packets, e2e.FULL):
                with self.subTest(profile=profile, name=name):
                    path = self.write(name, content)
                    for kind in KINDS if e2e.FULL else draw.sample(list(KINDS), 1):
                        self.compare(kind, path, self.ways(
                            len(content), None if e2e.FULL else draw, 2))
                    os.remove(path)

    def test_several_inputs_one_after_the_other(self):
        draw = random.Random(3)
        made = [e2e.generate(self.path("a.pcap"), 2000, "imix", 4),
                e2e.generate(self.path("b.pcapng"), 2000, "mix", 5),
                e2e.generate(self.path("c.pcap"), 20, "small", 6),
                hostile.write(self.path("d.pcap"), "second.pcap", 200 * KIB)]
        for kind in KINDS if e2e.FULL else ("packets", "count"):
            self.compare(kind, made, self.ways(64 * KIB, draw, 20 if e2e.FULL else 2))

    def test_large_segments(self):
        if not e2e.FULL:
            self.skipTest("64 MiB and more: CAPWEIR_TEST_FULL=1")
        for profile, count in (("imix", 230_000), ("large", 60_000)):
            path = e2e.generate(os.path.join(self.shared, "large.pcap"), count, profile)
            for kind in ("plain", "size", "pcapng", "count"):
                self.compare(kind, path, [("-t", threads, "--segment-size", 16 * MIB,
                                           "--wrong-guess", guess)
                                          for threads in THREADS for guess in GUESSES])
            os.remove(path)


class Corpus(Segments):
    def test_files_of_the_corpus(self):
        """They are small: segments of 64 to 4,096 bytes."""
        draw = random.Random(4)
        rows = e2e.corpus()
        for row in rows if e2e.FULL else draw.sample(rows, 12):
            size = os.path.getsize(row["path"])
            sizes = [one for one in (64, 256, KIB, 4 * KIB) if size >= SEGMENTS_MIN * one]
            ways = [("-t", threads, "--segment-size", segment, "--wrong-guess", guess, *more)
                    for threads in (1, 3, 8) for segment in sizes for guess in GUESSES
                    for more in ((), ("--resync",))]
            with self.subTest(row["file"]):
                for kind in ("plain", "pcapng", "count") if e2e.FULL else ("plain",):
                    for is_resync in (False, True):
                        chosen = [way for way in ways if ("--resync" in way) == is_resync]
                        self.compare_damaged(kind, row["path"], is_resync, chosen if e2e.FULL else
                                             draw.sample(chosen, min(1, len(chosen))))

    def compare_damaged(self, kind, path, is_resync, ways):
        wanted = self.run_one(kind, [path], *ALONE, *(("--resync",) if is_resync else ()))
        for way in ways:
            self.assert_same(self.run_one(kind, [path], *FIRST, *way), wanted,
                             f"{kind} {path} {way}")


# ---- damage at a segment's edge ----


def record_starts(content):
    """Places of a pcap file's records."""
    at, starts = 24, []
    while at < len(content):
        starts.append(at)
        at += 16 + struct.unpack_from("<I", content, at + 8)[0]
    return starts


def block_starts(content):
    at, starts = 0, []
    while at < len(content):
        starts.append(at)
        at += struct.unpack_from("<I", content, at + 4)[0]
    return starts[2:]


def overwritten(content, at, data):
    return content[:at] + data + content[at + len(data):]


def inserted(content, at, data):
    return content[:at] + data + content[at:]


PCAP_DAMAGE = {
    "a length of 4 GiB": lambda content, at: overwritten(content, at + 8, b"\xff\xff\xff\xff"),
    "an empty record": lambda content, at: inserted(
        content, at, struct.pack("<IIII", 1_700_000_000, 0, 0, 60)),
    "a record of zeros": lambda content, at: inserted(content, at, bytes(16)),
    "a hole": lambda content, at: overwritten(content, at, bytes(200)),
    "zeros to the end": lambda content, at: content[:at] + bytes(len(content) - at),
    "a length that is too short": lambda content, at: overwritten(content, at + 8, b"\x07\0\0\0"),
    "a captured length above the length": lambda content, at: overwritten(
        content, at + 12, b"\x01\0\0\0"),
    "noise": lambda content, at: overwritten(content, at, random.Random(at).randbytes(300)),
    "another file": lambda content, at: inserted(content, at, e2e.pcap_header()),
    "another file with nanoseconds": lambda content, at: inserted(
        content, at, e2e.pcap_header(ns=True)),
    "a time that is a magic number": lambda content, at: overwritten(
        content, at, b"\xd4\xc3\xb2\xa1"),
    "a torn record": lambda content, at: content[:at + 20],
    "a torn header": lambda content, at: content[:at + 7],
    "a record of 200 KiB": lambda content, at: inserted(
        content, at, e2e.pcap_record(1_700_000_000 * e2e.NS, bytes(200 * KIB))),
}
BLOCK_DAMAGE = {
    "a length of 4 GiB": lambda content, at: overwritten(content, at + 4, b"\xfc\xff\xff\xff"),
    "a length that is odd": lambda content, at: overwritten(content, at + 4, b"\x33\0\0\0"),
    "a hole": lambda content, at: overwritten(content, at, bytes(200)),
    "an unknown block": lambda content, at: inserted(content, at, e2e.block(0x77, b"what")),
    "an interface": lambda content, at: inserted(content, at, e2e.interface(name="late")),
    "a section": lambda content, at: inserted(content, at, e2e.section() + e2e.interface()),
    "a section of the other order": lambda content, at: inserted(
        content, at, e2e.section(">") + e2e.interface(order=">") +
        e2e.enhanced(0, 10 ** 15, bytes(60), order=">") + e2e.section() + e2e.interface()),
    "a simple packet": lambda content, at: inserted(
        content, at, e2e.block(3, struct.pack("<I", 60) + bytes(60))),
    "an interface that is missing": lambda content, at: overwritten(
        content, at + 8, b"\x05\0\0\0"),
    "a captured length above the block": lambda content, at: overwritten(
        content, at + 20, b"\xff\xff\0\0"),
    "statistics": lambda content, at: inserted(content, at, hostile.statistics(5)),
    "names": lambda content, at: inserted(content, at, hostile.names(5)),
    "a torn block": lambda content, at: content[:at + 20],
    "zeros to the end": lambda content, at: content[:at] + bytes(len(content) - at),
}


class Damage(Segments):
    SEGMENT = 4 * KIB

    def places(self, starts, draw):
        """The records that end before an edge, lie on it, and begin after it; or some of them."""
        edge = self.SEGMENT * draw.randrange(3, 12)
        after = next(index for index, start in enumerate(starts) if start >= edge)
        return [starts[after - 2], starts[after - 1], starts[after]]

    def check(self, content, starts, damages, name):
        draw = random.Random(name)
        for what, damage in damages.items():
            for at in self.places(starts, draw):
                path = self.write(name, damage(content, at))
                for resync in ((), ("--resync",)):
                    if not e2e.FULL and draw.random() < 0.7:
                        continue
                    ways = [("-t", threads, "--segment-size", self.SEGMENT, "--wrong-guess",
                             guess) for threads in (1, 3, 8) for guess in GUESSES]
                    with self.subTest(what, at=at, resync=resync):
                        self.compare_one(path, resync,
                                         ways if e2e.FULL else draw.sample(ways, 1), draw)

    def compare_one(self, path, resync, ways, draw):
        for kind in ("plain", "pcapng", "size", "count") if e2e.FULL else \
                draw.sample(["plain", "pcapng"], 1):
            wanted = self.run_one(kind, [path], *ALONE, *resync)
            for way in ways:
                self.assert_same(self.run_one(kind, [path], *FIRST, *way, *resync), wanted,
                                 f"{kind} {way} {resync}")

    def test_damage_of_pcap_at_an_edge(self):
        content = e2e.pcap(e2e.simple_packets(500, 100))
        self.check(content, record_starts(content), PCAP_DAMAGE, "damaged.pcap")

    def test_damage_of_pcapng_at_an_edge(self):
        content = e2e.section() + e2e.interface() + b"".join(
            e2e.enhanced(0, ts_ns // 1000, data) for ts_ns, data in e2e.simple_packets(500, 100))
        self.check(content, block_starts(content), BLOCK_DAMAGE, "damaged.pcapng")


del Segments  # has no tests

if __name__ == "__main__":
    e2e.main()
