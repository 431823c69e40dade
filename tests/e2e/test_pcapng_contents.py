# SPDX-License-Identifier: BSD-3-Clause
"""What pcapng files hold beside packets: options, secrets, names, custom blocks, statistics."""
import os
import struct
import subprocess

import e2e

FRAME = e2e.udp_frame(0x0A000001, 2, 3, 4)
OWN = (9, b"\x09")  # capweir's resolution, nanoseconds


class File:
    """A pcapng file in one byte order."""

    def __init__(self, order):
        self.order = order
        self.content = b""

    def pack(self, letters, *values):
        return struct.pack(self.order + letters, *values)

    def block(self, kind, body, options=()):
        for code, value in options:
            body += self.pack("HH", code, len(value)) + value + b"\xaa" * (-len(value) % 4)
        body += self.pack("HH", 0, 0) if options else b""
        length = self.pack("I", 12 + len(body))
        self.content += self.pack("I", kind) + length + body + length
        return self

    def section(self, options=()):
        return self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, 1, 0, -1), options)

    def interface(self, options=(), linktype=1):
        return self.block(1, self.pack("HHI", linktype, 0, 0), options)

    def secrets(self, data=b"CLIENT_RANDOM aa bb\n", options=()):
        body = self.pack("II", 0x544C534B, len(data)) + data + b"\0" * (-len(data) % 4)
        return self.block(10, body, options)

    def names(self, name=b"h1.x", options=()):
        value = b"\x0a\0\0\1" + name + b"\0"
        return self.block(4, self.pack("HH", 1, len(value)) + value + b"\0" * (-len(value) % 4) +
                          self.pack("HH", 0, 0), options)

    def custom(self, data=b"12345678", kind=0xBAD):
        return self.block(kind, self.pack("I", 32473) + data)

    def statistics(self, iface=0, options=None, ts=1):
        options = [(4, self.pack("Q", 100))] if options is None else options
        return self.block(5, self.pack("III", iface, ts >> 32, ts & 0xFFFFFFFF), options)

    def packet(self, options=(), iface=0, ts=1):
        data = FRAME + b"\0" * (-len(FRAME) % 4)
        return self.block(6, self.pack("IIIII", iface, 0, ts, len(FRAME), len(FRAME)) + data,
                          options)


def blocks_of(content):
    """(type, body, options) of each block, as the format document has them."""
    blocks, at, order = [], 0, None
    while at < len(content):
        if content[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            order = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}[content[at + 8:at + 12]]
        kind, length = struct.unpack_from(order + "II", content, at)
        body = content[at + 8:at + length - 4]
        fixed = {0x0A0D0D0A: 16, 1: 8, 5: 12}.get(kind, 0)
        if kind == 6:
            caplen, = struct.unpack_from(order + "I", body, 12)
            fixed = 20 + (caplen + 3) // 4 * 4
        blocks.append((kind, body[:fixed], e2e.read_options(order, body[fixed:])))
        at += length
    return blocks


def section_options(file):
    return [(1, b"of the section"), (2, b"hardware"), (3, b"system"), (4, b"program"),
            (2988, file.pack("I", 32473) + b"text")]


def interface_options(file):
    return [(1, b"one"), (1, b"two"), (4, bytes(8)), (5, bytes(17)), (6, b"\2\0\0\0\0\7"),
            (7, bytes(8)), (8, file.pack("Q", 10 ** 9)), (10, file.pack("i", -3600)),
            (11, b"\0tcp"), (12, b"system"), (13, b"\x20"), (15, b"hardware"),
            (16, file.pack("Q", 1)), (17, file.pack("Q", 2)), (18, b"Europe/Berlin")]


def packet_options(file):
    return [(1, b"of the packet"), (2, file.pack("I", 2)), (3, b"\2\xec\x1d\x87\x97"),
            (4, file.pack("Q", 9)), (5, file.pack("Q", 0x1122334455667788)),
            (6, file.pack("I", 3)), (7, b"\2" + file.pack("Q", 2)),
            (8, file.pack("II", 1234, 5678)), (2989, file.pack("I", 32473) + b"\1\2\3")]


def described(order):
    """A file with every option that can be copied."""
    file = File(order)
    file.section(section_options(file))
    file.interface([(9, b"\6"), (3, b"a description"), *interface_options(file), (2, b"eth7"),
                    (14, file.pack("q", 5))])
    for ts in range(1, 5):
        file.packet(packet_options(file), ts=ts)
    return file.content


class Contents(e2e.Test):
    def split(self, content, *words, name="out.pcapng"):
        """Splits a file of this content; returns the blocks of an output."""
        self.write("in.pcapng", content)
        words = words or ("-w", self.path(name))
        self.run_ok("split", "-q", "-r", self.path("in.pcapng"), *words)
        return blocks_of(self.read(name))

    def kinds(self, name="out.pcapng"):
        return [kind for kind, _, _ in blocks_of(self.read(name))]

    def report(self, content, *words, status=0):
        path = self.write("in.pcapng", content)
        report, done = self.run_json("split", "-r", path, *words, status=status)
        return report["inputs"][0]["blocks"], report["rules"][0]["blocks"], done


class Options(Contents):
    def test_every_option_reaches_the_output_in_either_byte_order(self):
        here = File("<")
        found = self.split(described("<"))
        self.assertEqual(found[0][2], section_options(here))
        self.assertEqual(found[1][2], [(2, b"eth7"), (3, b"a description"), OWN,
                                       *interface_options(here)])
        self.assertEqual([block[2] for block in found[2:]], 4 * [packet_options(here)])
        self.assertEqual(self.split(described(">")), found)
        self.assertEqual(e2e.read_capture(self.path("out.pcapng")).packets[0].ts_ns,
                         5 * e2e.NS + 1000)

    def test_every_rotated_file_begins_with_the_options_of_its_section(self):
        whole = self.split(described("<"))
        for part in ("part.00001.pcapng", "part.00002.pcapng"):
            found = self.split(described("<"), "-b", "packets:2", "-w", self.path("part.pcapng"),
                               name=part)
            self.assertEqual(found[:2], whole[:2])
            self.assertEqual(len(found), 4)

    def test_a_truncated_packet_keeps_its_options(self):
        found = self.split(described(">"), "-s", 20, "-w", self.path("out.pcapng"))
        self.assertEqual(found[2][2], packet_options(File("<")))

    def test_options_marked_as_not_to_be_copied_are_left_out(self):
        file = File("<")
        private = [(19372, file.pack("I", 1) + b"text"), (19373, file.pack("I", 1))]
        for options in (private, private + [(1, b"kept")]):
            file = File("<").section(options).interface(options).packet(options)
            found = self.split(file.content)
            self.assertEqual(found[0][2], options[2:])
            self.assertEqual(found[1][2], [OWN] + options[2:])
            self.assertEqual(found[2][2], options[2:])

    def test_unknown_options_are_copied_in_the_same_byte_order_only(self):
        for order, kept in (("<", [(77, b"?"), (1, b"kept")]), (">", [(1, b"kept")])):
            options = [(77, b"?"), (1, b"kept")]
            found = self.split(File(order).section(options).interface(options)
                               .packet(options).content)
            self.assertEqual([block[2] for block in found], [kept, [OWN] + kept, kept])

    def test_an_output_has_the_section_of_its_first_packet(self):
        file = File("<")
        for comment, port in ((b"first", 1), (b"second", 2)):
            file.section([(1, comment)]).interface([(1, comment)]).packet()
        found = self.split(file.content)
        self.assertEqual([options for kind, _, options in found if kind == 0x0A0D0D0A],
                         [[(1, b"first")]])
        self.assertEqual([options for kind, _, options in found if kind == 1],
                         [[OWN, (1, b"first")], [OWN, (1, b"second")]])

    def test_names_up_to_65535_bytes_are_kept(self):
        names = [b"n" * 65534 + b"a", b"n" * 65534 + b"b"]
        file = File(">").section()
        for name in names:
            file.interface([(2, name), (3, name)])
        found = self.split(file.packet(iface=0).packet(iface=1).content)
        self.assertEqual([options for kind, _, options in found if kind == 1],
                         [[(2, name), (3, name), OWN] for name in names])

    def test_options_larger_than_a_chunk_are_written_whole(self):
        options = [(1, bytes([n]) * 65000) for n in range(40)]
        file = File("<").section(options).interface(options)
        file.packet(options).packet(options)
        for words in ((), ("-b", "packets:1", "-t", 2)):
            found = self.split(file.content, *words, "-w", self.path("out.pcapng"))
            self.assertEqual(found[0][2], options)
            self.assertEqual(found[1][2], [OWN] + options)
            self.assertEqual(found[2][2], options)

    def test_several_inputs_keep_their_own_options(self):
        for name in ("a", "b"):
            file = File("<").section([(1, name.encode())]).interface([(1, name.encode())])
            file.interface([(12, name.encode())])
            self.write(f"{name}.pcapng", file.packet(iface=0).packet(iface=1).content)
        self.run_ok("split", "-q", "-r", self.path("a.pcapng"), "-r", self.path("b.pcapng"), "-w",
                    self.path("out.pcapng"))
        found = blocks_of(self.read("out.pcapng"))
        self.assertEqual([options for kind, _, options in found if kind == 1],
                         [[OWN, (1, b"a")], [OWN, (12, b"a")], [OWN, (1, b"b")], [OWN, (12, b"b")]])

    def test_the_fcs_length_passes_between_pcap_and_pcapng(self):
        source = self.write("in.pcap", e2e.pcap(e2e.simple_packets(1), linktype=0x24000001))
        self.run_ok("split", "-q", "-r", source, "-w", self.path("out.pcapng"))
        self.assertEqual(blocks_of(self.read("out.pcapng"))[1][2], [OWN, (13, b"\x20")])
        self.run_ok("split", "-q", "-r", self.path("out.pcapng"), "-w", self.path("back.pcap"))
        self.assertEqual(e2e.read_capture(self.path("back.pcap")).linktype, 0x24000001)

    def test_capinfos_reads_the_options(self):
        e2e.need("capinfos")
        self.split(described(">"))
        done = subprocess.run(["capinfos", self.path("out.pcapng")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        for words in ("hardware", "system", "program", "of the section", "eth7", "a description"):
            self.assertIn(words, done.stdout)


SHB, IDB, NRB, ISB, EPB, DSB, CUSTOM = 0x0A0D0D0A, 1, 4, 5, 6, 10, 0xBAD


class Blocks(Contents):
    def test_secrets_and_names_precede_the_packets_in_either_byte_order(self):
        outputs = []
        for order in "<>":
            file = File(order).section()
            file.names(options=[(1, b"comment"), (2, b"server"), (3, bytes(4))])
            file.secrets(options=[(1, b"comment")]).interface().packet()
            self.split(file.content)
            self.assertEqual(self.kinds(), [SHB, NRB, DSB, IDB, EPB])
            outputs.append(self.read("out.pcapng"))
        wanted = File("<").names(options=[(1, b"comment"), (2, b"server"), (3, bytes(4))])
        wanted.secrets(options=[(1, b"comment")])
        self.assertEqual(outputs[0], outputs[1])
        self.assertIn(wanted.content.replace(b"\xaa", b"\0"), outputs[0])

    def test_later_blocks_stay_where_they_were_met_and_at_the_end(self):
        file = File("<").section().interface().packet().packet().secrets().packet().custom()
        file.packet().names().secrets(b"last")
        for threads in (1, 3):
            self.split(file.content, "-t", threads, "-w", self.path("out.pcapng"))
            self.assertEqual(self.kinds(), [SHB, IDB, EPB, EPB, DSB, EPB, CUSTOM, EPB, NRB, DSB])

    def test_every_rotated_file_begins_with_the_secrets_and_names_so_far(self):
        file = File("<").section().secrets().interface().packet().packet().names().packet()
        file.packet().packet().secrets()
        found, _, _ = self.report(file.content, "-b", "packets:2", "-w", self.path("out.pcapng"))
        self.assertEqual((found["secrets"], found["names"], found["left_out"]), (2, 1, 0))
        self.assertEqual(self.kinds("out.00001.pcapng"), [SHB, DSB, IDB, EPB, EPB])
        self.assertEqual(self.kinds("out.00002.pcapng"), [SHB, DSB, NRB, IDB, EPB, EPB])
        self.assertEqual(self.kinds("out.00003.pcapng"), [SHB, DSB, NRB, IDB, EPB, DSB])

    def test_an_output_has_the_blocks_of_the_sections_of_its_packets_only(self):
        file = File("<").section().secrets(b"one").interface().packet().names(b"late")
        file.section().secrets(b"two").interface(linktype=101).packet()
        path = self.write("in.pcapng", file.content)
        self.run_ok("split", "-q", "-r", path, "-f", "ether proto 0x800", "-w",
                    self.path("first.pcapng"), "-f", "len > 0", "-w", self.path("both.pcapng"))
        self.assertEqual(self.kinds("first.pcapng"), [SHB, DSB, IDB, EPB, NRB])
        self.assertEqual(self.kinds("both.pcapng"), [SHB, DSB, IDB, EPB, NRB, DSB, IDB, EPB])

    def test_several_inputs_bring_their_own_blocks(self):
        for name in "ab":
            file = File("<").section().secrets(name.encode()).interface().packet().names().packet()
            self.write(f"{name}.pcapng", file.secrets(name.encode() * 2).content)
        self.run_ok("split", "-q", "-r", self.path("a.pcapng"), "-r", self.path("b.pcapng"), "-w",
                    self.path("out.pcapng"))
        one = [DSB, IDB, EPB, NRB, EPB, DSB]
        self.assertEqual(self.kinds(), [SHB] + one + one)

    def test_blocks_reach_compressed_outputs(self):
        file = File("<").section().secrets().interface().packet().names()
        self.split(file.content)
        path = self.write("in.pcapng", file.content)
        self.run_ok("split", "-q", "-r", path, "-w", self.path("out.pcapng.zst"))
        plain = subprocess.run(["zstd", "-dcq", self.path("out.pcapng.zst")], capture_output=True)
        self.assertEqual(plain.stdout, self.read("out.pcapng"))

    def test_what_no_output_has_is_counted_and_told(self):
        file = File(">").section([(77, b"?")]).interface().statistics(1).custom()
        file.custom(kind=0x40000BAD).block(0x80000001, b"1234").packet()
        file.block(10, file.pack("II", 0x544C534B, 400)).packet()  # longer than its block
        found, written, done = self.report(file.content, "-w", self.path("out.pcapng"))
        self.assertEqual(found, {"secrets": 1, "names": 0, "custom": 1, "statistics": 1, "other": 2,
                                 "left_out": 5, "left_out_options": 1})
        self.assertEqual(written, {"secrets": 0, "names": 0, "custom": 0, "statistics": 0,
                                   "secrets_dropped": 0, "left_out": 0, "left_out_options": 0})
        self.assertIn("5 blocks and 1 option are in no output", done.err)
        self.assertEqual(self.kinds(), [SHB, IDB, EPB, EPB])

    def test_a_pcap_output_counts_what_it_cannot_hold(self):
        file = File("<").section().secrets().names().interface().packet().custom().packet()
        _, written, _ = self.report(file.secrets().statistics().content, "-b", "packets:1", "-w",
                                    self.path("out.pcap"))
        self.assertEqual(written, {"secrets": 0, "names": 0, "custom": 0, "statistics": 0,
                                   "secrets_dropped": 0, "left_out": 5, "left_out_options": 0})

    def test_large_secrets_and_many_are_written_whole(self):
        file = File("<").section().secrets(b"k" * 3_000_000).interface()
        for number in range(300):
            file.packet(ts=number + 1).names(b"n%d" % number)
        found = self.split(file.content, "-t", 3, "-w", self.path("out.pcapng"))
        self.assertEqual([kind for kind, _, _ in found], [SHB, DSB, IDB] + 300 * [EPB, NRB])


class Secrets(Contents):
    CONTENT = (File("<").section().secrets(b"one").names().interface().packet().packet()
               .secrets(b"two").packet().secrets(b"late").statistics().content)

    def test_discarded_secrets_are_in_no_file_and_counted_once(self):
        for threads in (1, 3):
            _, written, _ = self.report(self.CONTENT, "--discard-secrets", "-b", "packets:2", "-t",
                                        threads, "-w", self.path("out.pcapng"))
            self.assertEqual(self.kinds("out.00001.pcapng"), [SHB, NRB, IDB, EPB, EPB])
            self.assertEqual(self.kinds("out.00002.pcapng"), [SHB, NRB, IDB, EPB, ISB])
            self.assertEqual((written["secrets"], written["secrets_dropped"]), (0, 3))
            self.assertEqual((written["names"], written["left_out"]), (2, 0))

    def test_each_rule_keeps_or_drops_them(self):
        rules = self.write("rules.yaml", b"""
defaults: {secrets: drop}
rules:
  plain: {filter: '', write: plain.pcapng}
  kept: {filter: '', write: kept.pcapng, secrets: keep}
  classic: {filter: '', write: classic.pcap}
""")
        path = self.write("in.pcapng", self.CONTENT)
        for words, kept in (((), 3), (("--discard-secrets",), 0)):
            words = ("split", "-r", path, "-R", rules, "-o", self.path("."), *words)
            report, _ = self.run_json(*words)
            blocks = [rule["blocks"] for rule in report["rules"]]
            self.assertEqual([block["secrets"] for block in blocks], [0, kept, 0])
            self.assertEqual([block["secrets_dropped"] for block in blocks], [3, 3 - kept, 3])
            self.assertEqual([block["left_out"] for block in blocks], [0, 0, 2])
            self.assertEqual([self.kinds(name).count(DSB) for name in
                              ("plain.pcapng", "kept.pcapng")], [0, kept])
            done = self.run_ok(*words)
            self.assertIn(f"decryption secrets: {kept} blocks written, {9 - kept} dropped\n",
                          done.err)


class LeftOut(Contents):
    def count(self, content, *words):
        _, written, done = self.report(content, *words)
        return written["left_out_options"], done

    def test_a_pcap_output_counts_the_options_of_its_packets_sections_and_interfaces(self):
        here = File("<")
        once = len(section_options(here)) + len(interface_options(here)) - 1 + 2  # FCS; names
        each = len(packet_options(here))
        for order in "<>":
            content = described(order)
            for words, packets in (((), 4), (("-t", 3), 4), (("-c", 2), 2), (("-C", 1), 4)):
                count, done = self.count(content, *words, "-w", self.path("out.pcap"))
                self.assertEqual(count, once + packets * each)
            self.assertEqual(self.count(content + content, "-w", self.path("out.pcap"))[0],
                             2 * (once + 4 * each))
            self.assertEqual(self.count(content, "-f", "len < 0", "-w", self.path("a.pcap"))[0], 0)

    def test_a_pcapng_output_counts_the_options_of_a_second_section(self):
        file = File("<").section([(1, b"one")]).interface([(2, b"a")]).packet().packet([(1, b"x")])
        file.section([(1, b"two"), (2, b"three")]).interface([(2, b"b")]).packet()
        for words, wanted in (((), 2), (("-b", "packets:2"), 0), (("-b", "packets:1"), 0)):
            self.assertEqual(self.count(file.content, *words, "-w", self.path("out.pcapng"))[0],
                             wanted)

    def test_options_of_packets_that_are_not_copied_are_counted(self):
        options = [(19372, struct.pack(">I", 1)), (77, b"?"), (1, b"kept")]
        for order, each in (("<", 1), (">", 2)):
            file = File(order).section().interface()
            for ts in range(1, 4):
                file.packet(options, ts=ts)
            for words, packets in (((), 3), (("-c", 2), 2)):
                count, _ = self.count(file.content, *words, "-w", self.path("out.pcapng"))
                self.assertEqual(count, packets * each)

    def test_the_report_says_how_much_is_left_out(self):
        file = File("<").section([(1, b"comment")]).interface().names().packet()
        self.write("in.pcapng", file.content)
        done = self.run_ok("split", "-r", self.path("in.pcapng"), "-w", self.path("out.pcap"))
        self.assertIn("left out, because outputs cannot hold them: 1 block, 1 option\n", done.err)


class Statistics(Contents):
    """Interface statistics. The first interface has microseconds and begins 5 s later."""

    def begin(self, order="<", ifaces=2):
        file = File(order).section().interface([(2, b"eth0"), (14, struct.pack(order + "q", 5))])
        for number in range(1, ifaces):
            file.interface([(2, b"eth%d" % number), (9, b"\x09")])
        return file

    def statistics(self, name="out.pcapng"):
        """(name of the interface, timestamp, options) of each block."""
        found, names = [], []
        for kind, body, options in blocks_of(self.read(name)):
            if kind == IDB:
                names.append(dict(options).get(2))
            if kind == ISB:
                iface, high, low = struct.unpack("<III", body)
                found.append((names[iface], high << 32 | low, options))
        return found

    def all_options(self, file, ts):
        words = file.pack("II", ts >> 32, ts & 0xFFFFFFFF)
        return [(1, b"comment"), (2, words), (3, words)] + [
            (code, file.pack("Q", 2 ** 40 + code)) for code in range(4, 9)] + [
                (2988, file.pack("I", 32473) + b"text")]

    def test_statistics_end_the_file_in_either_byte_order(self):
        outputs = []
        late = 2 ** 33 + 7  # microseconds
        for order in "<>":
            file = self.begin(order).statistics(1, []).packet(iface=1).packet(iface=0)
            file.statistics(0, self.all_options(file, late), ts=late).packet(iface=1).names()
            self.split(file.content)
            self.assertEqual(self.kinds(), [SHB, IDB, EPB, IDB, EPB, EPB, NRB, ISB, ISB])
            outputs.append(self.read("out.pcapng"))
        ts_ns = late * 1000 + 5 * e2e.NS
        self.assertEqual(outputs[0], outputs[1])
        self.assertEqual(self.statistics(), [
            (b"eth1", 1, []), (b"eth0", ts_ns, self.all_options(File("<"), ts_ns))])

    def test_the_file_of_the_sections_last_packet_has_them(self):
        file = self.begin().statistics().packet().packet().packet().statistics(1)
        for words in ((), ("-t", 3)):
            self.split(file.content, "-b", "packets:2", *words, "-w", self.path("out.pcapng"),
                       name="out.00001.pcapng")
            self.assertEqual(self.kinds("out.00001.pcapng"), [SHB, IDB, EPB, EPB])
            self.assertEqual(self.kinds("out.00002.pcapng"), [SHB, IDB, EPB, ISB, IDB, ISB])
            self.assertEqual([name for name, _, _ in self.statistics("out.00002.pcapng")],
                             [b"eth0", b"eth1"])

    def test_a_section_that_ends_with_a_file_has_its_statistics_there(self):
        file = File("<")
        for name in b"abc":
            file.section().interface([(2, bytes([name]))]).packet().packet().statistics()
        whole = [SHB, IDB, EPB, EPB, ISB]
        for threads in (1, 3):
            for packets, kinds in ((2, [whole] * 3),
                                   (4, [whole[:-1] + whole[1:] + [ISB], whole]),
                                   (3, [[SHB, IDB, EPB, EPB, IDB, EPB, ISB],
                                        [SHB, IDB, EPB, IDB, EPB, EPB, ISB, ISB]])):
                self.split(file.content, "-b", f"packets:{packets}", "-t", threads, "-w",
                           self.path("out.pcapng"), name="out.00001.pcapng")
                names = [f"out.0000{number}.pcapng" for number in range(1, len(kinds) + 1)]
                self.assertEqual([self.kinds(name) for name in names], kinds)
                self.assertEqual(sum([self.statistics(name) for name in names], []),
                                 [(bytes([name]), 1000, [(4, file.pack("Q", 100))])
                                  for name in b"abc"])

    def test_inputs_that_follow_do_not_move_statistics(self):
        file = self.begin().packet().statistics().secrets()
        pcap = self.write("in.pcap", e2e.pcap(e2e.simple_packets(2)))
        path = self.write("in.pcapng", file.content)
        inputs = ("-r", path, "-r", pcap, "-r", path)
        self.run_ok("split", "-q", *inputs, "-w", self.path("out.pcapng"))
        self.assertEqual(self.kinds(), [SHB, IDB, EPB, IDB, EPB, EPB, DSB, IDB, EPB, DSB, ISB, ISB])
        self.assertEqual([name for name, _, _ in self.statistics()], [b"eth0", b"eth0"])
        self.run_ok("split", "-q", *inputs, "-b", "packets:2", "-w", self.path("out.pcapng"))
        self.assertEqual(self.kinds("out.00001.pcapng"), [SHB, IDB, EPB, IDB, EPB, ISB])
        self.assertEqual(self.kinds("out.00002.pcapng"), [SHB, DSB, IDB, EPB, IDB, EPB, DSB, ISB])

    def test_an_interface_without_packets_is_described_if_tcpdump_can_read_that(self):
        file = self.begin(ifaces=1).interface([(2, b"quiet")])
        file.interface([(2, b"raw")], linktype=101)
        file.packet().statistics(1).statistics(1).statistics(2).statistics(0)
        found, written, _ = self.report(file.content, "-w", self.path("out.pcapng"))
        self.assertEqual([name for name, _, _ in self.statistics()], [b"quiet", b"quiet", b"eth0"])
        self.assertEqual(self.kinds(), [SHB, IDB, EPB, IDB, ISB, ISB, ISB])
        self.assertEqual((found["statistics"], found["left_out"]), (4, 0))
        self.assertEqual((written["statistics"], written["left_out"]), (3, 1))
        file.packet(iface=2)
        self.report(file.content, "-w", self.path("out.pcapng"))
        self.assertEqual([name for name, _, _ in self.statistics()],
                         [b"quiet", b"quiet", b"raw", b"eth0"])

    def test_only_outputs_with_packets_of_the_section_have_statistics(self):
        file = self.begin().packet().statistics()
        file.section().interface([(2, b"raw")], linktype=101).packet().statistics()
        path = self.write("in.pcapng", file.content)
        self.run_ok("split", "-q", "-r", path, "-f", "ether proto 0x800", "-w",
                    self.path("first.pcapng"), "-f", "len < 0", "-w", self.path("none.pcapng"))
        self.assertEqual(self.kinds("first.pcapng"), [SHB, IDB, EPB, ISB])
        self.assertEqual(self.kinds("none.pcapng"), [SHB])

    def test_statistics_that_cannot_be_copied_are_counted(self):
        file = self.begin().statistics(2).statistics(ts=2 ** 64 - 1)
        file.statistics(options=[(2, file.pack("II", 2 ** 32 - 1, 0))]).block(5, bytes(8)).packet()
        found, written, _ = self.report(file.content, "-w", self.path("out.pcapng"))
        self.assertEqual((found["statistics"], found["left_out"], written["statistics"]), (4, 4, 0))

    def test_statistics_larger_than_a_chunk_are_written_whole(self):
        file = self.begin()
        options = [(1, bytes([n]) * 65000) for n in range(40)]
        file.packet().statistics(0, options).section().interface([(2, b"x")])
        for number in range(2000):
            file.packet(ts=number).statistics(0, [(4, file.pack("Q", number))])
        for threads in (1, 3):
            self.split(file.content, "-b", "packets:1000", "-t", threads, "-w",
                       self.path("out.pcapng"), name="out.00001.pcapng")
            self.assertEqual(self.statistics("out.00001.pcapng"),
                             [(b"eth0", 5 * e2e.NS + 1000, options)])
            self.assertEqual(self.kinds("out.00002.pcapng"), [SHB, IDB] + 1000 * [EPB])
            self.assertEqual(self.kinds("out.00003.pcapng"), [SHB, IDB, EPB] + 2000 * [ISB])
            self.assertEqual([options for _, _, options in self.statistics("out.00003.pcapng")],
                             [[(4, file.pack("Q", number))] for number in range(2000)])

    def test_statistics_reach_pipes_and_compressed_outputs(self):
        self.split(self.begin().packet().statistics().content)
        source, fifo = self.path("in.pcapng"), self.path("fifo.pcapng")
        os.mkfifo(fifo)
        with subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE) as reader:
            self.run_ok("split", "-q", "-r", source, "-w", fifo)
            self.assertEqual(reader.communicate()[0], self.read("out.pcapng"))
        self.run_ok("split", "-q", "-r", source, "-w", self.path("out.pcapng.zst"))
        plain = subprocess.run(["zstd", "-dcq", self.path("out.pcapng.zst")], capture_output=True)
        self.assertEqual(plain.stdout, self.read("out.pcapng"))


if __name__ == "__main__":
    e2e.main()
