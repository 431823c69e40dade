# SPDX-License-Identifier: BSD-3-Clause
"""Compressed outputs have the same bytes for any number of threads and unpack to the plain file."""
import os
import shutil
import struct
import subprocess
import tempfile

import e2e

FRAME = 1 << 20
THREADS = (1, 2, 4) if e2e.SCALE >= 1 else (2, 4)
SMALL = ["--buffer", 16384, "--chunk-size", 2048, "--batch-packets", 50]
PAIRS = ["-f", "tcp", "-w", "tcp.pcap{}", "-f", "udp", "-w", "udp.pcapng{}", "-f", "", "-w",
         "all.pcap{}", "-f", "udp and tcp", "-w", "none.pcap{}"]


def unpack(path):
    done = subprocess.run(["zstd", "-q", "-d", "-c", path], capture_output=True)
    if done.returncode:
        raise AssertionError(f"{path}: {done.stderr.decode()}")
    return done.stdout


def frames_of(content):
    """(packed, plain) sizes of the frames, from the table at the file's end; the table's offset."""
    assert content[-4:] == struct.pack("<I", 0x8F92EAB1), "no table"
    count, descriptor = struct.unpack("<IB", content[-9:-4])
    assert descriptor == 0
    at = len(content) - 9 - 8 * count - 8
    assert struct.unpack("<II", content[at:at + 8]) == (0x184D2A5E, 8 * count + 9)
    return [struct.unpack("<II", content[at + 8 + 8 * index:at + 16 + 8 * index])
            for index in range(count)], at


class Zst(e2e.Test):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="capweir-zst-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.source = e2e.generate(os.path.join(cls.shared, "in.pcap"),
                                  e2e.scaled(12000, 12000), "mix")

    def setUp(self):
        e2e.need("zstd")
        super().setUp()

    def outputs(self, extension, *arguments, is_unpacked=True):
        """(content, unpacked or None) of each file of a run, by name."""
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            report, _ = self.run_json("split", "-r", self.source, "-o", directory,
                                      *[word.format(extension) for word in PAIRS], *arguments)
            found = {}
            for name in sorted(os.listdir(directory)):
                path = os.path.join(directory, name)
                with open(path, "rb") as file:
                    content = file.read()
                found[name] = (content, content if not extension else
                               unpack(path) if is_unpacked else None)
            for rule in report["rules"]:
                self.assertEqual(rule["file_bytes"], sum(os.path.getsize(file)
                                                         for file in rule["files"]))
            return found

    def check(self, *arguments):
        plain = self.outputs("", *arguments)
        wanted = self.outputs(".zst", *arguments, "-t", 1)
        self.assertEqual(len(wanted), len(plain))
        for threads in THREADS:
            for small in ((), SMALL) if threads == 2 else ((),):
                found = self.outputs(".zst", *arguments, "-t", threads, *small,
                                     is_unpacked=False)
                self.assertEqual({name: content for name, (content, _) in found.items()},
                                 {name: content for name, (content, _) in wanted.items()},
                                 (threads, small))
        return plain, wanted

    def test_frames_hold_the_plain_file_in_equal_parts(self):
        plain, packed = self.check()
        for name, (content, _) in plain.items():
            compressed, unpacked = packed[name + ".zst"]
            self.assertEqual(unpacked, content, name)
            sizes, table_at = frames_of(compressed)
            self.assertEqual(sum(size for size, _ in sizes), table_at)
            self.assertEqual([size for _, size in sizes],
                             [min(FRAME, len(content) - at)
                              for at in range(0, len(content), FRAME)])
            at = 0
            for index, (size, bytes_) in enumerate(sizes):  # each unpacks alone
                path = self.write("frame.zst", compressed[at:at + size])
                self.assertEqual(unpack(path), content[index * FRAME:index * FRAME + bytes_])
                at += size
        self.assertGreater(len(plain["all.pcap"][0]), 3 * FRAME)

    def test_rotation_counts_uncompressed_bytes(self):
        """Limits count uncompressed bytes, so files unpack to those of the plain run."""
        plain, packed = self.check("-C", "1500k", "-b", "packets:7000")
        self.assertEqual(sorted(content for content, _ in plain.values()),
                         sorted(content for _, content in packed.values()))
        self.assertGreater(len(plain), 5)

    def test_capweir_and_zstd_read_the_output(self):
        path = self.path("a.pcapng.zst")
        self.run_ok("split", "-q", "-r", self.source, "-w", path)
        self.run_ok("split", "-q", "-r", self.source, "-w", self.path("a.pcapng"))
        self.run_ok("split", "-q", "-r", path, "-w", self.path("again.pcapng"))
        self.assertEqual(self.read("again.pcapng"), self.read("a.pcapng"))
        if shutil.which("tshark"):
            done = subprocess.run(f"zstd -q -d -c {path} | tshark -r - | wc -l", shell=True,
                                  capture_output=True, text=True)
            self.assertEqual(int(done.stdout), len(e2e.read_capture(self.path("a.pcapng")).packets))

    def test_a_pipe_gets_the_bytes_of_the_file(self):
        path = self.path("pipe.pcap.zst")
        os.mkfifo(path)
        with open(self.path("got.zst"), "wb") as got, \
                subprocess.Popen(["cat", path], stdout=got) as reader:
            self.run_ok("split", "-q", "-r", self.source, "-f", "", "-w", path, "-t", 2)
            reader.wait(20)
        self.run_ok("split", "-q", "-r", self.source, "-w", self.path("a.pcap.zst"))
        self.assertEqual(self.read("got.zst"), self.read("a.pcap.zst"))

    def test_outputs_may_outnumber_frames_being_compressed(self):
        """Each output fills a separate frame; only few frames can be compressed at once."""
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [(f"r{index}", "") for index in range(8)], defaults="{write: '{rule}.pcap.zst'}"))
        for threads in (1, 4):
            directory = self.path(f"out{threads}")
            os.mkdir(directory)
            self.run_ok("split", "-q", "-r", self.source, "-R", rules, "-o", directory, "-t",
                        threads)
            contents = {e2e_bytes(os.path.join(directory, name)) for name in os.listdir(directory)}
            self.assertEqual(len(contents), 1)
            self.assertEqual(unpack(os.path.join(directory, "r0.pcap.zst")), e2e_bytes(self.source))

    def test_few_descriptors_are_enough(self):
        import resource
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [(f"r{index}", "") for index in range(40)], defaults="{write: '{rule}.pcap.zst'}"))
        os.mkdir(self.path("out"))
        count = ["-c", 3000]  # more than a frame
        self.run_ok("split", "-q", "-r", self.source, "-w", self.path("plain.pcap"), *count)
        self.assertGreater(os.path.getsize(self.path("plain.pcap")), FRAME)
        self.run_ok("split", "-q", "-r", self.source, "-R", rules, "-o", self.path("out"), *count,
                    limits=[(resource.RLIMIT_NOFILE, 50)])
        for index in (0, 39):
            self.assertEqual(unpack(self.path("out", f"r{index}.pcap.zst")),
                             self.read("plain.pcap"))

    # ---- failures ----

    def check_prefix(self, report, path):
        """Check that the file holds complete packets, the first ones, as many as the books say."""
        content = unpack(path)
        source = e2e_bytes(self.source)
        self.assertEqual(content, source[:len(content)])
        count = len(e2e.parse_capture(content).packets)
        self.assertEqual(report["rules"][0]["written"], count)
        self.assertEqual(report["books"]["in_files"] - report["rules"][1]["written"], count)
        return count

    def test_a_full_disk_keeps_complete_packets(self):
        """At any fill, the frame that does not fit ends after a packet."""
        for kib in (64, 700, 1100, 1900):
            with self.subTest(kib), e2e.tmpfs(self.path("disk"), f"size={kib}k"):
                for threads in (1, 4):
                    path = self.path("disk", "a.pcap.zst")
                    report, done = self.run_json(
                        "split", "-r", self.source, "-f", "", "-w", path, "-f", "", "-w",
                        self.path("fine.pcap.zst"), "-t", threads, status=1)
                    rule = report["rules"][0]
                    self.assertGreater(rule["lost"]["disk_full"], 0)
                    self.assertIn("No space", done.err)
                    if rule["files"]:
                        self.check_prefix(report, path)
                        os.unlink(path)
                    self.assertEqual(unpack(self.path("fine.pcap.zst")), e2e_bytes(self.source))
                    self.assert_no_parts(self.path("disk"))

    def test_a_limit_on_file_sizes_keeps_complete_packets(self):
        import resource
        for limit in (1000, 300_000, 2_000_000):
            path = self.path("a.pcap.zst")
            done = e2e.start("split", "-r", self.source, "-f", "", "-w", path, "-f", "arp", "-w",
                             "/dev/null", "--json", limits=[(resource.RLIMIT_FSIZE, limit)])
            result = e2e.finish(done)
            self.assertEqual(result.status, 1)
            import json
            report = json.loads(result.out)
            self.check_books(report)
            self.assertGreater(report["rules"][0]["lost"]["quota"], 0)
            if report["rules"][0]["files"]:
                content = unpack(path)
                self.assertEqual(len(e2e.parse_capture(content).packets),
                                 report["rules"][0]["written"])
                self.assertEqual(content, e2e_bytes(self.source)[:len(content)])

    def test_a_full_device_loses_only_its_output(self):
        os.symlink("/dev/full", self.path("full.pcap.zst"))
        report, _ = self.run_json("split", "-r", self.source, "-f", "", "-w",
                                  self.path("full.pcap.zst"), "-f", "", "-w",
                                  self.path("fine.pcap.zst"), status=1)
        full, fine = report["rules"]
        self.assertEqual((full["written"], full["lost"]["disk_full"]), (0, full["matched"]))
        self.assertEqual(fine["lost_total"], 0)


def e2e_bytes(path):
    with open(path, "rb") as file:
        return file.read()


if __name__ == "__main__":
    e2e.main()
