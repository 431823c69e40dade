# SPDX-License-Identifier: BSD-3-Clause
"""`split -f '' -w out.pcapng` keeps what tshark, capinfos and editcap show of a pcapng file.

Inputs: the corpus's valid pcapng files (a sample; all with CAPWEIR_TEST_FULL=1), and generated
files with every kind of option and block.
"""
import collections
import os
import re
import struct
import subprocess

import e2e
import test_pcapng_contents as contents

SAMPLE = ("gopacket__test102.pcapng", "tcpdump__vsock-1.pcapng")
FIELDS = ("frame.time_epoch frame.len frame.cap_len frame.encap_type frame.interface_name "
          "frame.interface_description frame.comment frame.packet_flags frame.packet_id "
          "frame.interface_queue frame.drop_count frame.md5_hash ip.src_host ip.dst_host "
          "_ws.col.Protocol _ws.col.Info").split()

# The unit of timestamps is damaged for libpcap and capweir, not for tshark.
REFUSED = {f"syn11__tsresol-{what}.pcapng" for what in ("20", "dup", "ff", "len2")}

# What differs by design:
# - An output without packets is an empty file, without options of a section and interfaces.
# - A packet without a timestamp (simple packet block) has the time 0 in the output.
# - Interfaces without packets and statistics have no block in an output.
# - Custom blocks marked as not to be copied are left out, and so are all custom blocks of a file in
#   the other byte order, whose layout is not known.
# - Interfaces without packets whose link type differs from the first's have no statistics.
# - An output has one section, with the options of the first: of files with several sections,
#   capinfos's lines on sections are not compared. tshark and capinfos 4.0 take the interfaces of
#   later sections for those of the first, so the blocks themselves are compared there.
# - Outputs have nanoseconds since 1970. Timestamps are compared as tshark shows them, but not lines
#   of capinfos that depend on resolutions and offsets.
UNLIKE = re.compile(r"File (name|size|type|timestamp precision)|SHA|RIPEMD|Capture duration|"
                    r"(First|Last) packet time|Average packet rate|Data (byte|bit) rate|Strict|"
                    r"\s+Time(stamp)? (precision|ticks|resolution|offset)")


def run(*words):
    return subprocess.run(words, capture_output=True, text=True, errors="replace",
                          env={**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8"})


def tshark(path):
    words = [word for field in FIELDS for word in ("-e", field)]
    return run("tshark", "-N", "n", "-o", "frame.generate_md5_hash:TRUE", "-r", path, "-T",
               "fields", *words)


def packets_of(text, has_names, has_custom):
    """Rows of tshark for packets and for custom blocks that may be copied."""
    rows = [line.split("\t") for line in text.splitlines()]
    return [[row[0] or "0.000000000", *row[1:4], *(row[4:6] if has_names else ()), *row[6:]]
            for row in rows if row[-2] != "PCAPNG" or
            has_custom and "will not be copied" not in row[-1]]


def infos(text):
    """What capinfos shows of a file: lines of the file, and lines of each interface."""
    section, ifaces = [], []
    for line in text.splitlines():
        if re.match(r"Interface #\d+ info:", line):
            ifaces.append([])
        elif UNLIKE.match(line):
            pass
        elif ifaces and line.startswith(" "):
            ifaces[-1].append(line.strip())
        elif line and not line.startswith(("Section ", "Number of interfaces")):
            section.append(line)
    return section, sorted(ifaces)


def is_shown(iface):
    return not {"Number of stat entries = 0", "Number of packets = 0"} <= set(iface)


def blocks(content):
    """Names, secrets, statistics and custom blocks, without interface numbers."""
    found = collections.Counter()
    order, at = None, 0
    while at < len(content):
        if content[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if content[at + 8:at + 9] == b"\x4d" else ">"
        kind, length = struct.unpack_from(order + "II", content, at)
        if kind in (4, 10, 0xBAD):
            found[(kind, content[at + 8:at + length - 4])] += 1
        elif kind == 5:
            found[kind] += 1
        at += length
    return found


def interfaces(path):
    """[name, link type and snapshot length, packets, statistics] of each, and the sections."""
    with open(path, "rb") as file:
        content = file.read()
    end = len(content)
    content += bytes(4)
    found, at, first, sections, order = [], 0, 0, 0, None
    while at < end:
        if content[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if content[at + 8:at + 9] == b"\x4d" else ">"
            first = len(found)
            sections += 1
        kind, length, number, snaplen = struct.unpack_from(order + "IIII", content, at)
        if kind == 1:
            options = dict(e2e.read_options(order, content[at + 16:at + length - 4]))
            link = struct.unpack_from(order + "H", content, at + 8)
            found.append([options.get(2, b""), (*link, snaplen), 0, 0])
        elif kind in (2, 3, 5, 6):
            if kind == 2:
                number, = struct.unpack_from(order + "H", content, at + 8)
            found[first + (number if kind != 3 else 0)][3 if kind == 5 else 2] += 1
        at += length
    return found, sections


class RoundTrip(e2e.Test):
    def setUp(self):
        super().setUp()
        for program in ("tshark", "capinfos", "editcap"):
            e2e.need(program)

    def compare(self, path):
        """Returns what tshark shows of the file, or the reason why it is not compared."""
        out = self.path("out.pcapng")
        before, about = tshark(path), run("capinfos", "-A", path)
        if before.returncode or about.returncode:
            return "invalid"
        is_refused = os.path.basename(path) in REFUSED
        done = e2e.capweir("split", "-q", "-f", "", "-r", path, "-w", out)
        self.assertEqual(done.status, int(is_refused), e2e.text_of(done))
        if is_refused:
            return "refused"
        if all(row.split("\t")[-2] == "PCAPNG" for row in before.stdout.splitlines()):
            return "no packets"
        sources, sections = interfaces(path)
        is_one = sections == 1
        with open(path, "rb") as file:
            is_native = struct.unpack_from("=I", file.read(12), 8)[0] == 0x1A2B3C4D
        self.assertEqual(packets_of(before.stdout, is_one, is_native),
                         packets_of(tshark(out).stdout, is_one, is_native), path)
        had, has = infos(about.stdout), infos(run("capinfos", "-A", out).stdout)
        if is_one:
            self.assertEqual([iface for iface in had[1] if is_shown(iface)], has[1], path)
        else:
            found, _ = interfaces(out)
            self.assertEqual(sorted(iface for iface in sources if iface[2] or
                                    iface[3] and iface[1] == found[0][1]), sorted(found), path)
        if is_one and packets_of(before.stdout, is_one, True) == \
                packets_of(before.stdout, is_one, is_native) and "will not" not in before.stdout:
            self.assertEqual(had[0], has[0], path)
            edited = []
            for name in (path, out):
                run("editcap", name, self.path("edited.pcapng"))
                edited.append(blocks(self.read("edited.pcapng")))
            self.assertEqual(edited[0], edited[1], path)
        return before.stdout

    def test_generated_files_with_every_option_and_block(self):
        for order in "<>":
            file = contents.File(order).section(contents.section_options(contents.File(order)))
            file.interface([(2, b"eth7"), (3, b"description"),
                            *contents.interface_options(contents.File(order))])
            file.interface([(2, b"eth8"), (9, b"\x09")])
            file.names(b"h1.example", [(1, b"of the names")]).secrets(options=[(1, b"of secrets")])
            for ts in range(1, 4):
                file.packet(contents.packet_options(file), iface=ts % 2, ts=ts * 10 ** 6)
            file.packet().secrets(b"CLIENT_RANDOM cc dd\n").statistics(0).statistics(1)
            if order == "<":  # in the other byte order, custom blocks cannot be copied
                file.custom()
            shown = self.compare(self.write("in.pcapng", file.content))
            for text in ("of the packet", "h1.example", "eth7", "eth8", "description"):
                self.assertIn(text, shown)

    def test_files_of_the_corpus(self):
        names = [row["path"] for row in e2e.corpus() if row["format"].startswith("pcapng")]
        done = collections.Counter()
        for path in names:
            if not e2e.FULL and os.path.basename(path) not in SAMPLE:
                continue
            shown = self.compare(path)
            done[shown if shown in ("invalid", "no packets", "refused") else "equal"] += 1
        print(f"{len(names)} pcapng files: {dict(done)}")
        self.assertGreaterEqual(done["equal"], 30 if e2e.FULL else len(SAMPLE))


if __name__ == "__main__":
    e2e.main()
