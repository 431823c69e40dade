# SPDX-License-Identifier: BSD-3-Clause
"""--resync: damage in the middle of inputs is skipped, reported, and makes the exit status 1."""
import gzip
import json
import os
import random
import signal
import struct
import subprocess

import e2e
import resync_twin

SEED = 20261130
VARIANTS = ((0xa1b2c3d4, 2, 4), (0xa1b23c4d, 2, 4), (0xa1b2cd34, 2, 4), (0xa1b2c3d4, 2, 3),
            (0xa1b2c3d4, 2, 2), (0xa1b2c3d4, 543, 0))


def packets(random_, count):
    """(ns, data) pairs of random sizes and contents; some contents are zeros or small numbers."""
    made = []
    for number in range(count):
        size = random_.choice((14, 60, 100, 500, 1400))
        data = random_.choice((random_.randbytes(size), bytes(size),
                               (b"\x01\0\0\0" * size)[:size], (b"\0\0\0\x02" * size)[:size]))
        made.append(((1_700_000_000 + number) * e2e.NS + random_.randrange(e2e.NS), data))
    return made


def pcap_file(made, magic, major, minor, order="<"):
    """A pcap file of any variant."""
    parts = [struct.pack(order + "IHHiIII", magic, major, minor, 0, 0, 65535, 1)]
    for ts_ns, data in made:
        lengths = [len(data), len(data) + (ts_ns % 3 == 0) * 100]
        if (major, minor) in ((2, 2), (543, 0)) or ((major, minor) == (2, 3) and ts_ns % 2):
            lengths.reverse()
        fraction = ts_ns % e2e.NS // (1 if magic == 0xa1b23c4d else 1000)
        parts.append(struct.pack(order + "IIII", ts_ns // e2e.NS, fraction, *lengths))
        parts.append(b"\0" * 8 * (magic == 0xa1b2cd34) + data)
    return b"".join(parts)


def pcapng_file(made, order="<"):
    return e2e.section(order) + e2e.interface(order=order) + e2e.interface(
        linktype=101, order=order) + b"".join(
            e2e.enhanced(number % 2, ts_ns // 1000, data, order=order)
            for number, (ts_ns, data) in enumerate(made))


def files(random_, count=30):
    """(name, content) of each format, variant and byte order."""
    for order in "<>":
        for magic, major, minor in VARIANTS:
            yield (f"pcap {magic:x} {major}.{minor} {order}",
                   pcap_file(packets(random_, count), magic, major, minor, order))
        yield f"pcapng {order}", pcapng_file(packets(random_, count), order)


KINDS = ("random", "zeros", "removed", "inserted", "bit", "text", "repeated", "tail")


def damage(random_, content, kinds=KINDS):
    """One damage after the first header: (what, content)."""
    first = 100
    at = random_.randrange(first, len(content))
    size = random_.choice((1, 4, 16, 60, 700, 4096))
    kind = random_.choice(kinds)
    if kind == "bit":
        return kind, content[:at] + bytes([content[at] ^ 1 << random_.randrange(8)]) + \
            content[at + 1:]
    if kind == "tail":
        return kind, content[:at]
    filling = {"random": random_.randbytes(size), "zeros": bytes(size), "removed": b"",
               "inserted": random_.randbytes(size), "text": (b"GET / HTTP/1.1\r\n" * size)[:size],
               "repeated": content[max(first, at - size):at]}[kind]
    return f"{kind} {size}", content[:at] + filling + \
        content[at + (0 if kind in ("inserted", "repeated") else size):]


def flip(content, at, bits=0xff):
    return content[:at] + bytes([content[at] ^ bits]) + content[at + 1:]


class Twin(e2e.Test):
    def check(self, content):
        """The output is that of the file without the skipped bytes; the report agrees."""
        wanted = resync_twin.Twin(content).read()
        kept = e2e.capweir("split", "-q", "-r", self.write("kept", wanted.content), "-w",
                           self.path("kept.pcapng"))
        done = e2e.capweir("split", "--json", "--resync", "-r", self.write("in", content), "-w",
                           self.path("out.pcapng"))
        if not done.out:  # no input has a packet
            self.assertEqual((done.status, wanted.is_complete), (1, False), done.err)
            return 0
        report = json.loads(done.out)
        found = report["inputs"][0]
        self.assertEqual((found["resynced"], found["error"] is None),
                         ({"places": wanted.places, "bytes": wanted.skipped}, wanted.is_complete))
        self.assertEqual(self.read("out.pcapng"), self.read("kept.pcapng"), kept.err)
        is_intact = not wanted.places and wanted.is_complete and not kept.status
        self.assertEqual((report["complete"], done.status == 0), (is_intact, is_intact))
        return wanted.places

    def test_random_damage_of_every_format_is_skipped_as_the_twin_does(self):
        random_ = random.Random(SEED)
        print("seed", SEED)
        places = 0
        rounds = e2e.scaled(6, 1)
        for number in range(rounds):
            for name, content in files(random_):
                kinds = []
                for _ in range(random_.choice((1, 1, 2, 5))):
                    kind, content = damage(random_, content)
                    kinds.append(kind)
                with self.subTest(number=number, name=name, kinds=kinds):
                    places += self.check(content)
        self.assertGreater(places, 5 * rounds)


class Resync(e2e.Test):
    def split(self, content, *more, status=1, name="in"):
        """Input of the report, packets of the output, and the run."""
        report, done = self.run_json("split", "--resync", "-r", self.write(name, content), "-w",
                                     self.path("out.pcapng"), *more, status=status)
        self.assertEqual(report["complete"], status == 0)
        return report["inputs"][0], e2e.read_capture(self.path("out.pcapng")).packets, done

    def test_one_damaged_record_costs_one_record(self):
        made = packets(random.Random(SEED), 40)
        made[20] = (1_700_000_020 * e2e.NS + 1000, bytes(range(60)))
        wanted = [data for _, data in made]
        del wanted[20]
        for order in "<>":
            whole = pcap_file(made, *VARIANTS[0], order)
            at = len(pcap_file(made[:20], *VARIANTS[0], order))
            blocks, block_at = pcapng_file(made, order), len(pcapng_file(made[:20], order))
            for content, start, field in ((whole, at, 8), (blocks, block_at, 4)):
                low = start + field + (0 if order == "<" else 3)
                for changed in (flip(content, low), flip(content, low, 1 << 7),
                                flip(content, start + field + (3 if order == "<" else 0))):
                    found, seen, done = self.split(changed)
                    skipped = 16 + len(made[20][1]) if field == 8 else \
                        32 + (len(made[20][1]) + 3) // 4 * 4
                    self.assertEqual(found["resynced"], {"places": 1, "bytes": skipped})
                    self.assertEqual([one.data for one in seen], wanted)
                    self.assertIn(f"resynced at 1 place, {skipped} bytes skipped; the first: "
                                  "damaged: the ", done.err)
                    self.assertIn(f"at byte {start} ", done.err)

    def test_without_the_option_damage_ends_the_input_and_names_it(self):
        made = e2e.simple_packets(40)
        path = self.write("in.pcap", flip(e2e.pcap(made), len(e2e.pcap(made[:20])) + 11))
        report, done = self.run_json("split", "-r", path, "-w", self.path("out.pcap"), status=1)
        self.assertEqual((report["packets"], report["inputs"][0]["resynced"]),
                         (20, {"places": 0, "bytes": 0}))
        self.assertIn("With --resync, reading continues after the damage", done.err)
        done = e2e.capweir("inspect", path)
        self.assertIn(b"With --resync, reading continues", done.out)
        torn = self.write("torn.pcap", e2e.pcap(made)[:-1])
        for command in (("split", "-w", self.path("out.pcap"), "-r", torn), ("inspect", torn)):
            done = e2e.capweir(*command)
            self.assertEqual(done.status, 1)
            self.assertNotIn("--resync", done.err + done.out.decode())

    def test_every_kind_of_input_and_number_of_threads_gives_the_same_bytes(self):
        e2e.need("zstd")
        random_ = random.Random(SEED)
        for name, content in (("pcap", pcap_file(packets(random_, 3000), *VARIANTS[0])),
                              ("pcapng", pcapng_file(packets(random_, 3000)))):
            for _ in range(12):
                content = damage(random_, content, KINDS[:-1])[1]
            found, _, _ = self.split(content, "-t", 1)
            wanted = self.read("out.pcapng")
            self.assertGreater(found["resynced"]["places"], 2)
            path = self.write(name, content)
            self.write("in.gz", gzip.compress(content, 1))
            subprocess.run(["zstd", "-q", "-f", path, "-o", self.path("in.zst")], check=True)
            for source in (path, "-", self.path("in.gz"), self.path("in.zst")):
                for more in (("-t", 1), ("-t", 4), ("-t", 3, "--batch-size", 5000)):
                    with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as cat:
                        report, _ = self.run_json("split", "--resync", "-r", source, "-w",
                                                  self.path("o.pcapng"), *more, status=1,
                                                  stdin=cat.stdout)
                    self.assertEqual(report["inputs"][0]["resynced"], found["resynced"])
                    self.assertEqual(self.read("o.pcapng"), wanted, (source, more))
            done = e2e.capweir("inspect", "--json", "--resync", path)
            self.assertEqual(done.status, 1)
            self.assertEqual(json.loads(done.out)[0]["resynced"], found["resynced"])
            self.assertIn(b"  resynced     at ", e2e.capweir("inspect", "--resync", path).out)

    def test_a_page_of_zeros_is_skipped(self):
        made = e2e.simple_packets(200, size=100)
        for content in (e2e.pcap(made), e2e.pcap(made, ns=True, order=">"), pcapng_file(made)):
            content = content[:8192] + bytes(4096) + content[12288:]
            found, seen, _ = self.split(content)
            self.assertEqual((found["resynced"]["places"], found["error"]), (1, None))
            self.assertGreater(len(seen), 170)  # 28 or fewer have a byte in the page
            self.assertEqual([one.data for one in seen[-100:]], [data for _, data in made[-100:]])

    def test_garbage_between_joined_files_is_skipped(self):
        random_ = random.Random(SEED)
        made = e2e.simple_packets(10)
        kinds = (e2e.pcap(made), e2e.pcap(made, order=">", ns=True), pcapng_file(made),
                 pcapng_file(made, ">"))
        for first in kinds:
            for second in kinds:
                for garbage in (b"x", random_.randbytes(1000), b"\0" * 5 + b"end of file\n"):
                    found, seen, done = self.split(first + garbage + second)
                    self.assertEqual((found["resynced"], len(seen)),
                                     ({"places": 1, "bytes": len(garbage)}, 20), done.err)
                    if first[:4] != b"\n\r\r\n" or second[:4] != b"\n\r\r\n":
                        self.assertEqual(found["joined"][0]["at"], len(first + garbage))

    def test_damage_up_to_the_end_is_an_error(self):
        made = e2e.simple_packets(10)
        for content in (e2e.pcap(made), pcapng_file(made)):
            for tail, text in ((b"\xff" * 100, "no plausible record follows"),
                               (bytes(5000), "no plausible record follows"),
                               (content[-30:-10], "")):
                found, seen, _ = self.split(content + tail)
                self.assertEqual((found["resynced"], len(seen)), ({"places": 0, "bytes": 0}, 10))
                self.assertIn(text, found["error"])
            found, seen, _ = self.split(content[:-1])
            self.assertEqual(len(seen), 9)
            self.assertIn("truncated: the ", found["error"])

    def test_the_interfaces_of_a_section_stay_in_force_until_the_next_one(self):
        first = e2e.section() + e2e.interface(name="a") + e2e.interface(linktype=101, name="b")
        second = e2e.section() + e2e.interface(linktype=113, name="c")
        frames = [e2e.enhanced(1, 1000 + number, b"E" * 60) for number in range(5)]
        last = e2e.enhanced(0, 2000, b"c" * 60)
        found, seen, done = self.split(first + b"".join(frames) + b"junk" + b"".join(frames) +
                                       b"junk" + second + last)
        self.assertEqual(found["resynced"], {"places": 2, "bytes": 8}, done.err)
        self.assertEqual([one.linktype for one in seen], [101] * 10 + [113])

    def test_a_capture_inside_a_damaged_packet_can_be_taken_for_the_file(self):
        """The manual says so. Behind the inner capture the outer one is found again."""
        made = e2e.simple_packets(30)
        inner = e2e.simple_packets(10, start_s=1_700_000_100)
        outer = e2e.pcap(made[:10]) + struct.pack(
            "<IIII", 1_700_000_000, 0, 0xffffffff, 2000) + e2e.pcap(inner) + b"rest" + e2e.pcap(
                made[10:])[24:]
        found, seen, _ = self.split(outer)
        self.assertEqual([one.data for one in seen], [data for _, data in
                                                      made[:10] + inner + made[10:]])
        self.assertEqual(found["resynced"], {"places": 2, "bytes": 16 + 4})

    def test_odd_but_intact_records_are_no_damage(self):
        """Capture lengths above the length or the snapshot length, fractions above a second,
        empty records: the output is the same with the option and without."""
        made = e2e.simple_packets(30)
        odd = {
            "length": b"".join(e2e.pcap_record(ts, data, length=10) for ts, data in made),
            "some lengths": b"".join(e2e.pcap_record(ts, data, length=10 if ts % 7 else None)
                                     for ts, data in made),
            "empty": b"".join(e2e.pcap_record(ts, b"", length=60) for ts, data in made),
            "fraction": b"".join(struct.pack("<IIII", 100, 5_000_000, 60, 60) + data[:60].ljust(60)
                                 for _, data in made),
            "times": b"".join(struct.pack("<IIII", number << 27, 0, 60, 60) + bytes(60)
                              for number in range(30)),
        }
        for name, records in odd.items():
            content = e2e.pcap_header(snaplen=20) + records
            report, _ = self.run_json("split", "-r", self.write("in", content), "-w",
                                      self.path("wanted.pcapng"))
            found, _, _ = self.split(content, status=0)
            self.assertEqual((found["resynced"]["places"], found["packets"]),
                             (0, report["packets"]), name)
            self.assertEqual(self.read("out.pcapng"), self.read("wanted.pcapng"), name)

    def test_a_signal_ends_the_way_through_a_hole(self):
        path = self.write("in.pcap", e2e.pcap(e2e.simple_packets(9)))
        os.truncate(path, 4 << 40)  # reading all would take half an hour
        for more in ((), ("--resync",)):
            running = e2e.start("split", "-r", path, "-w", self.path("out.pcap"), *more)
            e2e.wait_packets(running, 9)
            running.send_signal(signal.SIGINT)
            self.assertEqual(e2e.finish(running).status, 130)
            self.assertEqual(len(e2e.read_capture(self.path("out.pcap")).packets), 9)

    def test_intact_files_of_the_corpus_are_read_as_without_the_option(self):
        names = [row["path"] for row in e2e.corpus() if os.path.getsize(row["path"]) < 10 << 20]
        count = 0
        for begin in range(0, len(names), 50):
            plain, skipping = (json.loads(e2e.capweir("inspect", "--json", *more,
                                                      *names[begin:begin + 50]).out)
                               for more in ((), ("--resync",)))
            for one, other in zip(plain, skipping):
                if one.get("damage", 1) is None:
                    self.assertEqual(one, other)
                    count += 1
        self.assertGreater(count, 0)


if __name__ == "__main__":
    e2e.main()
