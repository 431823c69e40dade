# SPDX-License-Identifier: BSD-3-Clause
"""The slow, obvious twin of --resync: it tries every offset after a damage."""
import collections
import struct

WINDOW = 4 << 20
CHAIN = 4
YEAR, DAY = 366 * 86400, 86400
US, NS, KUZNETZOV = 0xa1b2c3d4, 0xa1b23c4d, 0xa1b2cd34
SHB, IDB, PB, SPB, EPB = 0x0a0d0d0a, 1, 2, 3, 6
KNOWN = {1, 2, 3, 4, 5, 6, 10, 0xbad, 0x40000bad}
LEAST = {SHB: 28, IDB: 20, PB: 32, SPB: 16, EPB: 32}
LONGEST = {231: 128 << 20, 249: 1 << 20, 279: 8 << 20}  # D-Bus, USBPcap, EBHSCR
LONGEST_BLOCK = 129 << 20

# What the bytes at a place are read as.
Pcap = collections.namedtuple("Pcap", "order header per_s lengths longest")
Blocks = collections.namedtuple("Blocks", "order")
# The content without what was skipped, how often, how many bytes, whether it was read to its end.
Result = collections.namedtuple("Result", "content places skipped is_complete")


class Damage(Exception):
    pass


def pcap_header(content, at):
    """The layout by the pcap header at `at`, or None."""
    head = content[at:at + 24]
    if len(head) < 24:
        return None
    for order in "<>":
        magic, major, minor, link = struct.unpack(order + "IHH12xI", head)
        if magic not in (US, NS, KUZNETZOV):
            continue
        lengths = {(2, 4): "in order", (2, 3): "maybe swapped", (2, 2): "swapped",
                   (2, 1): "swapped", (2, 0): "swapped", (543, 0): "swapped"}.get((major, minor))
        if not lengths or link & 0x0bff0000:
            return None
        return Pcap(order, 24 if magic == KUZNETZOV else 16, 10 ** (9 if magic == NS else 6),
                    lengths, LONGEST.get(link & 0xffff, 262144))
    return None


def section_order(content, at):
    """The byte order by the section header at `at`, or None."""
    for order in "<>":
        if content[at:at + 4] == b"\n\r\r\n" and content[at + 8:at + 12] == struct.pack(
                order + "I", 0x1a2b3c4d):
            return order
    return None


def fields(content, at, layout):
    """(seconds, fraction, captured length, length) of a pcap record."""
    seconds, fraction, captured, length = struct.unpack_from(layout.order + "IIII", content, at)
    if layout.lengths == "swapped" or (layout.lengths == "maybe swapped" and captured > length):
        captured, length = length, captured
    return seconds, fraction, captured, length


def block_of(content, at, order):
    """(order, type, length) of the block at `at`, or None if its frame is wrong. The length may
    reach beyond the end: then the trailer is not known."""
    kind, = struct.unpack_from(order + "I", content, at)
    if kind == SHB:
        order = section_order(content, at)
        if not order:
            return None
    length, = struct.unpack_from(order + "I", content, at + 4)
    if length < 12 or length % 4 or length > LONGEST_BLOCK:
        return None
    if at + length <= len(content) and \
            content[at + length - 4:at + length] != content[at + 4:at + 8]:
        return None
    return order, kind, length


class Chain:
    """A chain of plausible records from `start` on."""

    def __init__(self, content, layout, start, times=(), is_lenient=False):
        self.content, self.layout, self.start = content, layout, start
        self.times, self.is_lenient = times, is_lenient
        self.at, self.count, self.before = start, 0, None

    def pcap_record(self):
        """The bytes of a plausible record, or 0."""
        seconds, fraction, captured, length = fields(self.content, self.at, self.layout)
        if captured > self.layout.longest:
            return 0
        if captured == 0 and (self.count == 0 or seconds == 0 or length == 0):
            return 0
        if captured == 0 or not self.is_lenient:
            if fraction >= self.layout.per_s or captured > length or \
                    length > max(self.layout.longest, 1 << 20):
                return 0
        if not self.is_lenient:
            if self.before is not None and abs(seconds - self.before) > DAY:
                return 0
            if self.times and all(abs(seconds - time) > YEAR for time in self.times):
                return 0
        self.before = seconds
        return self.layout.header + captured

    def is_good_block(self, kind, length, order):
        if self.count == 0 and kind not in KNOWN | {SHB} or length < LEAST.get(kind, 12):
            return False
        if self.at + length > len(self.content):
            return True
        if kind == SHB:
            return struct.unpack_from(order + "HH", self.content, self.at + 12) in ((1, 0), (1, 2))
        return kind not in (PB, EPB) or \
            struct.unpack_from(order + "I", self.content, self.at + 20)[0] <= length - 32

    def holds(self, count=0):
        end = len(self.content)
        self.count = count
        while self.count < count + CHAIN:
            is_blocks = isinstance(self.layout, Blocks)
            if self.at - self.start + 24 > WINDOW:
                return self.count >= 2
            if self.at + (12 if is_blocks else self.layout.header) > end:
                return self.count >= (1 if self.at <= end else 3 if self.is_lenient else 2)
            if self.count and (is_header(self.content, self.at) or
                               (not is_blocks and section_order(self.content, self.at))):
                return True
            if is_blocks:
                block = block_of(self.content, self.at, self.layout.order)
                if not block or not self.is_good_block(block[1], block[2], block[0]):
                    return False
                self.layout, length = Blocks(block[0]), block[2]
                if self.at - self.start + length > WINDOW:
                    return self.count >= 2
                if self.at + length > end:
                    return self.count >= 1
            else:
                length = self.pcap_record()
                if not length:
                    return False
            self.at += length
            self.count += 1
        return True


def is_header(content, at):
    """Whether a pcap header begins at `at`; one that the end truncates counts."""
    head = content[at:at + 24]
    return len(head) >= 16 and pcap_header(head + b"\0" * (24 - len(head)), 0) is not None


def chain_begins(content, at, layout, times):
    if struct.unpack_from("<I", content, at)[0] in (US, NS, KUZNETZOV) or \
            struct.unpack_from(">I", content, at)[0] in (US, NS, KUZNETZOV):
        header = pcap_header(content, at)
        if not header:
            return False
        chain = Chain(content, header, at)
        chain.at += 24
        return chain.holds(1)
    order = section_order(content, at)
    if order:
        return Chain(content, Blocks(order), at).holds()
    return Chain(content, layout, at, times).holds()


class Twin:
    def __init__(self, content):
        self.content = content
        self.at = 0
        self.layout = None
        self.times = []  # seconds of the first and the last record
        self.kept = []

    def keep(self, length):
        self.kept.append(self.content[self.at:self.at + length])
        self.at += length

    def switch(self):
        """Reads a pcap header, or leaves a section header to be read as a block."""
        header = pcap_header(self.content, self.at)
        if is_header(self.content, self.at):
            if not header:
                raise Damage
            self.layout, self.times = header, []
            self.keep(24)
            return True
        if section_order(self.content, self.at):
            self.layout = Blocks(section_order(self.content, self.at))
            return True
        return False

    def take_pcap(self):
        layout, end = self.layout, len(self.content)
        if self.at + layout.header > end:
            raise Damage
        if is_header(self.content, self.at):
            self.switch()
            return
        seconds, _, captured, length = fields(self.content, self.at, layout)
        record = layout.header + captured
        if captured == 0 or captured > length:
            if self.switch():
                return
            if captured > layout.longest or self.at + record > end or \
                    not any(self.content[self.at:self.at + layout.header]):
                raise Damage
            chain = Chain(self.content, layout, self.at, is_lenient=True)
            chain.at += record
            if not chain.holds(1):
                raise Damage
        elif captured > layout.longest:
            if not self.switch():
                raise Damage
            return
        if self.at + record > end:
            raise Damage
        self.times = [self.times[0] if self.times else seconds, seconds]
        self.keep(record)

    def take_block(self):
        end = len(self.content)
        if is_header(self.content, self.at):
            self.switch()
            return
        block = block_of(self.content, self.at, self.layout.order) if self.at + 12 <= end else None
        if not block or self.at + block[2] > end or block[2] < {SHB: 28, IDB: 20}.get(block[1], 12):
            raise Damage
        order, kind, length = block
        if kind == SHB and struct.unpack_from(order + "HH", self.content,
                                              self.at + 12) not in ((1, 0), (1, 2)):
            raise Damage
        self.layout = Blocks(order)
        self.keep(length)

    def begins(self, at):
        return chain_begins(self.content, at, self.layout, self.times)

    def take(self):
        """Takes what is at the position; false: it is damaged."""
        try:
            if isinstance(self.layout, Blocks):
                self.take_block()
            else:
                self.take_pcap()
        except Damage:
            return False
        return True

    def read(self):
        self.switch()
        gaps = []  # [start, end] of what was skipped
        while self.at < len(self.content):
            if self.take():
                continue
            start = gaps.pop()[0] if gaps and gaps[-1][1] == self.at else self.at
            last = len(self.content) - 12
            found = next((at for at in range(self.at + 1, last + 1) if self.begins(at)), None)
            if found is None:
                return self.result(gaps, False)
            gaps.append([start, found])
            self.at = found
        return self.result(gaps, True)

    def result(self, gaps, is_complete):
        return Result(b"".join(self.kept), len(gaps), sum(end - start for start, end in gaps),
                      is_complete)
