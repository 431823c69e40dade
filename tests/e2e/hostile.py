# SPDX-License-Identifier: BSD-3-Clause
"""Capture files whose packets look like records: they mislead who looks for a record boundary in
the middle of a file. Equal seeds give equal bytes.

HOSTILE has the files by name; each is a function that yields pieces without end. A file's records
are as long as its name says, so a file of some sizes has few of them.
"""
import random
import struct

import e2e

START_S = 1_600_000_000
HEADERS = 54  # Ethernet, IPv4 and TCP
MTU = 1448    # payload of a full TCP segment
OFFLOADED = 65_000


def time_ns(index):
    return START_S * e2e.NS + index * 100_000


def frame(payload, port=443):
    """An Ethernet frame with IPv4 and TCP."""
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, min(40 + len(payload), 65535), 1, 0, 64, 6, 0,
                     0xc6120102, 0xc6120103)
    tcp = struct.pack(">HHIIBBHHH", 1024, port, 1, 1, 0x50, 0x10, 1000, 0, 0)
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01\x08\0" + ip + tcp + payload


def record(index, data):
    return e2e.pcap_record(time_ns(index), data)


def block(index, data, iface=0):
    return e2e.enhanced(iface, time_ns(index) // 1000, data)


# ---- payload ----


def zeros(size):
    return lambda draw, index: bytes(size)


def zeros_of_all_sizes(draw, index):
    return bytes(draw.randrange(1, 3000))


def equal(byte):
    return lambda draw, index: bytes([byte]) * draw.randrange(60, 1500)


def small_integers(draw, index):
    return struct.pack("<I", draw.randrange(1, 200)) * draw.randrange(15, 370)


def noise(size):
    return lambda draw, index: draw.randbytes(size)


def integers_of_half_a_record(draw, index):
    """Two numbers in turn: any two neighbours are a pair of lengths."""
    return struct.pack("<II", draw.randrange(40, 60), draw.randrange(60, 90)) * \
        draw.randrange(10, 180)


# ---- files of one kind of payload ----


def pcap_of(make, as_frame=False, header=None):
    def pieces(draw):
        yield header or e2e.pcap_header()
        index = 0
        while True:
            data = make(draw, index)
            yield record(index, frame(data) if as_frame else data)
            index += 1
    return pieces


def pcapng_of(make, between=None, every=100):
    """`between` makes a block, which stands after each `every`-th packet."""
    def pieces(draw):
        yield e2e.section() + e2e.interface()
        index = 0
        while True:
            yield block(index, frame(make(draw, index)))
            index += 1
            if between and index % every == 0:
                yield between(index)
    return pieces


# ---- a capture file carried over the network ----


def carried(step, is_pcapng=False):
    """Packets of at most `step` bytes that carry a capture file of the same format."""
    def pieces(draw):
        outer, inner = (block, block) if is_pcapng else (record, record)
        head = e2e.section() + e2e.interface() if is_pcapng else e2e.pcap_header()
        content = head + b"".join(
            inner(index, frame(draw.randbytes(draw.randrange(20, 1400)))) for index in range(2000))
        yield head
        index = at = 0
        while True:
            yield outer(index, frame(content[at:at + step]))
            index += 1
            at = at + step if at + step < len(content) else 0
    return pieces


# ---- a second chain of records, beside the true one ----


def second_pcap(foreign=0.0):
    """Each packet carries records. The last one takes in the true header after it and ends where
    the next packet's payload begins. `foreign` is the share of packets that break the chain."""
    def pieces(draw):
        yield e2e.pcap_header()
        index = 0
        while True:
            own = b"".join(record(index, bytes(draw.randrange(60, 300))) for _ in range(8))
            across = struct.pack("<IIII", time_ns(index) // e2e.NS, 1, 16 + HEADERS, 16 + HEADERS)
            yield record(index, frame(own + across))
            index += 1
            if draw.random() < foreign:
                yield record(index, frame(draw.randbytes(700)))
                index += 1
    return pieces


def second_pcapng(foreign=0.0):
    """The same with blocks: the last one ends in its length, with which the next payload begins."""
    padding = -HEADERS % 4

    def pieces(draw):
        yield e2e.section() + e2e.interface()
        index = 0
        length = 0  # of the last block that was begun
        while True:
            own = b"".join(block(index, bytes(draw.randrange(60, 300))) for _ in range(8))
            # From its header to the end of the outer block, and the next one up to its payload.
            covered = 4 + 28 + HEADERS + padding
            stamp = time_ns(index) // 1000
            next_length = 28 + covered + 4
            across = struct.pack("<IIIIIII", 6, next_length, 0, stamp >> 32, stamp & 0xffffffff,
                                 covered, covered)
            yield block(index, frame(bytes(padding) + struct.pack("<I", length) + own + across))
            length = next_length
            index += 1
            if draw.random() < foreign:
                yield block(index, frame(draw.randbytes(700)))
                index += 1
    return pieces


# ---- blocks everywhere ----


def more_interfaces(index):
    return e2e.interface(name=f"eth{index}", resolution=9 if index % 200 else 6)


def statistics(index):
    return e2e.block(5, struct.pack("<III", 0, index, index))


def names(index):
    host = f"h{index}.example".encode() + b"\0"
    return e2e.block(4, struct.pack("<HHI", 1, 4 + len(host), index) + host +
                     b"\0" * (-len(host) % 4) + b"\0\0\0\0")


def another_section(index):
    return e2e.section() + e2e.interface(name=f"after{index}")


def of_many_interfaces(draw):
    """A new interface after each 100 packets; packets of all interfaces so far."""
    yield e2e.section() + e2e.interface()
    index, count = 0, 1
    while True:
        yield block(index, frame(draw.randbytes(400)), draw.randrange(count))
        index += 1
        if index % 100 == 0:
            yield e2e.interface(name=f"eth{count}")
            count += 1


HOSTILE = {
    "zeros-1400.pcap": pcap_of(zeros(1400), as_frame=True),
    "zeros-varied.pcap": pcap_of(zeros_of_all_sizes),
    "zeros-64k.pcap": pcap_of(zeros(64 << 10)),
    "zeros-256k.pcap": pcap_of(zeros(256 << 10)),
    "ones.pcap": pcap_of(equal(1)),
    "ff.pcap": pcap_of(equal(0xff)),
    "small-integers.pcap": pcap_of(small_integers),
    "two-integers.pcap": pcap_of(integers_of_half_a_record),
    "noise-64k.pcap": pcap_of(noise(65_535)),
    "noise-256k.pcap": pcap_of(noise(256 << 10)),
    "carried-1448.pcap": carried(MTU),
    "carried-64k.pcap": carried(OFFLOADED),
    "second.pcap": second_pcap(),
    "second-foreign.pcap": second_pcap(0.01),
    "zeros-1400.pcapng": pcapng_of(zeros(1400)),
    "noise-64k.pcapng": pcapng_of(noise(OFFLOADED)),
    "carried-1448.pcapng": carried(MTU, is_pcapng=True),
    "carried-64k.pcapng": carried(OFFLOADED, is_pcapng=True),
    "second.pcapng": second_pcapng(),
    "second-foreign.pcapng": second_pcapng(0.01),
    "interfaces.pcapng": of_many_interfaces,
    "interfaces-unused.pcapng": pcapng_of(zeros(400), more_interfaces),
    "statistics.pcapng": pcapng_of(zeros(400), statistics, 50),
    "names.pcapng": pcapng_of(noise(200), names, 70),
    "sections.pcapng": pcapng_of(noise(300), another_section, 500),
}


def content(name, size, seed=1):
    """The file's first records, of `size` bytes or little more."""
    pieces, taken = [], 0
    for piece in HOSTILE[name](random.Random(f"{name} {seed}")):
        pieces.append(piece)
        taken += len(piece)
        if taken >= size:
            return b"".join(pieces)


def write(path, name, size, seed=1):
    with open(path, "wb") as file:
        file.write(content(name, size, seed))
    return path
