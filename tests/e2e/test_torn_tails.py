# SPDX-License-Identifier: BSD-3-Clause
"""capweir repair: torn tails go, whatever they are; whole files and other damage stay."""
import gzip
import json
import os
import random
import signal
import tempfile

import e2e

SEED = 20240917
STEP = 1 if e2e.SCALE >= 1 else 3  # bytes between places to truncate at


def boundaries(content):
    """Where the file may end and be whole: [(offset, packets before it)]; read by its lengths."""
    if content[:4] == b"\x0a\x0d\x0d\x0a":
        order = "<" if content[8:12] == b"\x4d\x3c\x2b\x1a" else ">"
        found, at, packets = [], 0, 0
        while at < len(content):
            kind = int.from_bytes(content[at:at + 4], "little" if order == "<" else "big")
            at += int.from_bytes(content[at + 4:at + 8], "little" if order == "<" else "big")
            packets += kind == 6
            found.append((at, packets))
        return found
    order = "little" if content[0] in (0xd4, 0x4d) else "big"
    found, at = [(24, 0)], 24
    while at < len(content):
        at += 16 + int.from_bytes(content[at + 8:at + 12], order)
        found.append((at, len(found)))
    return found


class Repair(e2e.Test):
    def contents(self):
        packets = e2e.simple_packets(6, size=9)
        ticks = [ts // 1000 for ts, _ in packets]
        for order in "<>":
            yield f"pcap{order}", e2e.pcap_header(order=order) + b"".join(
                e2e.pcap_record(ts, data, order=order) for ts, data in packets)
            yield f"pcapng{order}", (
                e2e.section(order=order) + e2e.interface(order=order, name="first") +
                b"".join(e2e.enhanced(0, tick, data, order=order)
                         for tick, (_, data) in zip(ticks, packets[:3])) +
                e2e.interface(order=order, name="second") +
                b"".join(e2e.enhanced(1, tick, data, order=order, comment="no comment")
                         for tick, (_, data) in zip(ticks[3:], packets[3:])))

    def repair(self, *arguments, status=0):
        done = e2e.capweir("repair", "--json", *arguments)
        self.assertEqual(done.status, status, e2e.text_of(done))
        return json.loads(done.out), done

    def check_tails(self, torn_of):
        """torn_of(content, offset) is a file torn there; each comes back to the boundary before."""
        for name, content in self.contents():
            places = boundaries(content)
            self.assertEqual(places[-1], (len(content), 6))
            cuts = range(places[0][0], len(content) + 1, STEP)
            torn = {self.write(f"{name[:-1]}{ord(name[-1])}-{at}", torn_of(content, at)): at
                    for at in cuts}
            before = {path: e2e_bytes(path) for path in torn}
            dry, _ = self.repair("--dry-run", *torn, status=1)
            self.assertEqual({path: e2e_bytes(path) for path in torn}, before)
            found, _ = self.repair(*torn)
            for one, said in zip(found, dry):
                at = torn[one["file"]]
                wanted, packets = max(place for place in places if place[0] <= at)
                whole = len(before[one["file"]]) == wanted
                self.assertEqual(e2e_bytes(one["file"]), content[:wanted], (name, at, one))
                self.assertEqual(
                    (one["packets"], one["kept_bytes"], one["file_bytes"], one["is_torn"],
                     one["is_cut"], one["error"], one["format"]),
                    (packets, wanted, len(before[one["file"]]), not whole, not whole, None,
                     name[:-1]), (name, at))
                self.assertEqual({**said, "is_cut": one["is_cut"]}, one)
            again, _ = self.repair(*torn)
            self.assertEqual([one["is_torn"] for one in again], [False] * len(torn))

    def test_a_file_cut_anywhere(self):
        """In memory where that is possible: thousands of files are synced."""
        self.directory = self.enterContext(tempfile.TemporaryDirectory(dir=e2e.MEMORY))
        self.check_tails(lambda content, at: content[:at])

    def test_zeros_behind_whole_records(self):
        """One byte, a pcap record's header and a page of them; in pcap they read as packets."""
        for name, content in self.contents():
            for count in (1, 15, 16, 17, 4096, 5 << 20):
                path = self.write("zeros", content + b"\0" * count)
                (found,), _ = self.repair(path)
                self.assertEqual((found["packets"], found["kept_bytes"], found["is_cut"]),
                                 (6, len(content), True), (name, count))
                self.assertEqual(e2e_bytes(path), content)

    def test_a_pcapng_block_whose_end_reads_as_zeros(self):
        for name, content in self.contents():
            if not name.startswith("pcapng"):
                continue
            places = boundaries(content)
            path = self.write("torn", content[:places[-2][0] + 30] + b"\0" * 8192)
            (found,), _ = self.repair(path)
            self.assertEqual((found["packets"], found["is_cut"]), (5, True), name)
            self.assertEqual(e2e_bytes(path), content[:places[-2][0]])

    def test_packets_of_zeros_that_are_no_tail(self):
        """Zero data at the end, and empty records of 1970 in the middle, are what was captured."""
        empty = e2e.pcap_record(0, b"", 0)
        content = (e2e.pcap_header() + empty * 3 +
                   e2e.pcap_record(0, b"\0" * 100))
        (found,), _ = self.repair(self.write("zeros.pcap", content))
        self.assertEqual((found["packets"], found["is_torn"]), (4, False))
        self.assertEqual(self.read("zeros.pcap"), content)

    def test_damage_with_data_behind_it_is_left_alone(self):
        for name, content in self.contents():
            places = boundaries(content)
            at = places[3][0] + (8 if name.startswith("pcap<") or name == "pcap>" else 4)
            damaged = content[:at] + b"\xff\xff\xff\xff" + content[at + 4:]
            path = self.write("file", damaged)
            (found,), done = self.repair(path, status=1)
            self.assertEqual(e2e_bytes(path), damaged)
            self.assertFalse(found["is_cut"])
            self.assertIn("not a truncated tail", done.err)
            self.assertRegex(done.err, r"file: damaged: .* claims .*; \d+ bytes follow")

    def test_what_is_no_capture_file_is_refused(self):
        whole = e2e.pcap(e2e.simple_packets(3))
        refused = {
            "empty": b"", "short": whole[:23], "zeros": b"\0" * 5000, "text": b"no capture\n" * 9,
            "shb": e2e.section()[:20], "packed.gz": gzip.compress(whole),
        }
        for name, content in refused.items():
            done = e2e.capweir("repair", self.write(name, content))
            self.assertEqual(done.status, 1, name)
            self.assertIn(name, done.err)
            self.assertEqual("compressed" in done.err, name == "packed.gz", done.err)
            self.assertEqual(self.read(name), content)
        os.mkfifo(self.path("fifo"))
        os.symlink(self.write("real", whole[:-1]), self.path("link"))
        for name, words in (("fifo", "not a regular file"), ("link", "symbolic link"),
                            ("", "directory"), ("nothing", "No such file")):
            done = e2e.capweir("repair", self.path(name))
            self.assertEqual(done.status, 1, name)
            self.assertIn(words, done.err)
        self.assertEqual(self.read("real"), whole[:-1])
        self.assertEqual(e2e.capweir("repair").status, 2)
        self.assertEqual(e2e.capweir("repair", "-w", "x", self.path("real")).status, 2)

    def test_one_bad_file_does_not_keep_the_others_from_repair(self):
        torn = e2e.pcap(e2e.simple_packets(3))[:-1]
        found, _ = self.repair(self.write("text", b"text"), self.write("torn", torn),
                               self.path("nothing"), status=1)
        self.assertEqual([one["is_cut"] for one in found], [False, True, False])
        self.assertEqual([bool(one["error"]) for one in found], [True, False, True])

    def test_a_file_that_somebody_has_open(self):
        torn = e2e.pcap(e2e.simple_packets(3))[:-1]
        path = self.write("torn", torn)
        with open(path, "ab"):
            done = e2e.capweir("repair", path)
            self.assertEqual(done.status, 1, e2e.text_of(done))
            self.assertIn("another program", done.err)
            self.assertEqual(self.read("torn"), torn)
        self.assertEqual(e2e.capweir("repair", path).status, 0)

    def test_words(self):
        whole = e2e.pcap(e2e.simple_packets(2000))
        path = self.write(".a.pcap.AbCdEf.part", whole[:-7])
        done = e2e.capweir("repair", "--dry-run", path)
        self.assertEqual(done.status, 1)
        self.assertRegex(done.out.decode(), r"would remove \d+ bytes .*; 1,999 packets")
        done = self.run_ok("repair", path)
        self.assertRegex(done.out.decode(), r": removed \d+ bytes \(a record that wants \d+ bytes\)"
                                            r"; 1,999 packets, .* are kept\n.*temporary name")
        self.assertIn(b"intact: 1,999 packets", self.run_ok("repair", path).out)

    def test_what_a_kill_leaves(self):
        """Hidden leftovers of killed runs become whole files of the first packets."""
        random.seed(SEED)
        source = e2e.generate(self.path("in.pcap"), e2e.scaled(50_000, 20_000))
        size = os.path.getsize(source)
        repaired = 0
        for round_, extension in enumerate(("pcap", "pcapng") * 4):
            directory = self.path(f"out{round_}")
            os.mkdir(directory)
            run = e2e.start("split", "-q", "-r", source, "-w",
                            os.path.join(directory, f"a.{extension}"), "-t", 2)
            e2e.wait_written(run, directory, random.randrange(size // 2), random.randrange(20))
            run.send_signal(signal.SIGKILL)
            run.communicate()
            for name in os.listdir(directory):
                path = os.path.join(directory, name)
                if os.path.getsize(path) < 28:
                    continue
                (found,), _ = self.repair(path)
                self.assertEqual(len(e2e.read_capture(path).packets), found["packets"])
                repaired += found["packets"] > 0
        self.assertGreater(repaired, 0, f"no run was killed while it wrote; seed {SEED}")


def e2e_bytes(path):
    with open(path, "rb") as file:
        return file.read()


if __name__ == "__main__":
    e2e.main()
