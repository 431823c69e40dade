#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The decoder's layers and fields equal tshark's, on the corpus and on generated packets.

tshark runs without reassembly and with capweir's protocols only. Both must show the same values for
a field (all occurrences, in order), except as excused below. CAPWEIR_TEST_FULL=1: the complete
corpus and 200,000 packets instead of samples. DECODE_DUMP: the program that prints capweir's side.
"""
import os
import subprocess

import e2e

DUMP = os.environ.get("DECODE_DUMP") or os.path.join(
    os.path.dirname(e2e.CAPWEIR), "..", "tests", "decode_dump")

PROTOCOLS = """frame eth vlan ieee8021ad mpls pppoed pppoes ppp arp ip ipv6 ipv6.hopopts
    ipv6.routing ipv6.fraghdr ipv6.dstopts icmp icmpv6 igmp tcp udp sctp udplite gre etherip ah esp
    sll null raw dns mdns llmnr vxlan geneve gtp erspan llc data ppp_hdlc""".split()

FIELDS = """eth.src eth.dst vlan.id ieee8021ad.id mpls.label pppoe.session_id pppoe.payload_length
    ppp.protocol llc.dsap llc.ssap arp.opcode arp.src.proto_ipv4 arp.dst.proto_ipv4 sll.pkttype
    ip.src ip.dst ip.hdr_len ip.dsfield ip.len ip.id ip.frag_offset ip.flags.mf ip.flags.df ip.ttl
    ip.proto ip.checksum ipv6.src ipv6.dst ipv6.tclass ipv6.flow ipv6.plen ipv6.nxt ipv6.hlim
    tcp.srcport tcp.dstport tcp.seq_raw tcp.ack_raw tcp.flags tcp.hdr_len tcp.window_size_value
    tcp.checksum tcp.urgent_pointer tcp.options.mss_val tcp.options.wscale.shift
    tcp.options.timestamp.tsval tcp.options.timestamp.tsecr udp.srcport udp.dstport udp.length
    udp.checksum sctp.srcport sctp.dstport sctp.verification_tag icmp.type icmp.code icmp.checksum
    icmpv6.type icmpv6.code icmpv6.checksum igmp.type ah.spi ah.sequence esp.spi esp.sequence
    gre.proto vxlan.vni geneve.vni gtp.teid gtp.length gtp.message dns.id dns.flags
    dns.count.queries dns.count.answers dns.count.auth_rr dns.count.add_rr dns.qry.name
    dns.qry.type dns.resp.name dns.resp.type""".split()

PREFERENCES = """ip.defragment:FALSE ipv6.defragment:FALSE tcp.desegment_tcp_streams:FALSE
    dns.desegment_dns_messages:FALSE tcp.try_heuristic_first:FALSE udp.try_heuristic_first:FALSE
    sctp.reassembly:FALSE tcp.analyze_sequence_numbers:FALSE ip.tso_support:TRUE""".split()


def number(text):
    try:
        return str(int(text, 0))
    except ValueError:
        return text


def make_home(home):
    """Make a home directory in which tshark knows only capweir's protocols."""
    run = subprocess.run(["tshark", "-G", "protocols"], capture_output=True, text=True, check=True)
    names = {line.split("\t")[2] for line in run.stdout.splitlines()}
    os.makedirs(os.path.join(home, ".config", "wireshark"))
    with open(os.path.join(home, ".config", "wireshark", "disabled_protos"), "w") as file:
        file.writelines(f"{name}\n" for name in sorted(names - set(PROTOCOLS)))


def tshark(path, home):
    """{field: values} of each packet that tshark can read."""
    command = ["tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=/t",
               "-E", "aggregator=/s", "-E", "occurrence=a"]
    for name in PREFERENCES:
        command += ["-o", name]
    for name in ["frame.number", "frame.protocols", "_ws.malformed"] + FIELDS:
        command += ["-e", name]
    environment = dict(os.environ, HOME=home, XDG_CONFIG_HOME=os.path.join(home, ".config"))
    run = subprocess.run(command, capture_output=True, timeout=e2e.TIMEOUT, env=environment)
    if run.returncode not in (0, 2):
        raise AssertionError(f"{path}: tshark: {run.stderr.decode(errors='replace')[-500:]}")
    packets = []
    for line in run.stdout.decode("utf-8", "replace").splitlines():
        values = line.split("\t")
        packet = {name: [number(value) for value in text.split(" ")]
                  for name, text in zip(FIELDS, values[3:]) if text}
        packet["protocols"] = values[1].split(":")
        packet["malformed"] = bool(values[2]) or "_ws.malformed" in packet["protocols"]
        packets.append(packet)
    return packets


def ours(path):
    run = subprocess.run([DUMP, path], capture_output=True, timeout=e2e.TIMEOUT)
    if run.returncode not in (0, 1) or b"Sanitizer" in run.stderr:
        raise AssertionError(f"{path}: decode_dump: {run.stderr.decode(errors='replace')[-500:]}")
    packets = []
    for line in run.stdout.decode("utf-8", "replace").splitlines():
        values = line.split("\t")
        packet = {"chain": values[1].split(" ") if values[1] else []}
        for value in values[2:]:
            name, _, text = value.partition("=")
            packet.setdefault(name, []).append(text)
        packets.append(packet)
    return packets


DNS_PORTS = {"53", "5353", "5355"}
EXCEPTED = {
    "arkime__arkime_synthetic.pcap": "tshark decodes IP on a UDP port that capweir does not",
    "syn11__two-files-concatenated.pcap": "tshark reads the second header as a record",
    "tcpdump__arp-oobr.pcap": "tshark shows no fields of an ARP with impossible lengths",
    "tcpdump__bigtcp-ipv4-vxlan-ipv6.pcap": "tshark 4.0 does not know lengths of 0 in tunnels",
    "tcpdump__mpls-over-udp.pcap": "capweir does not decode MPLS on UDP",
    "tcpdump__ppp_ip_udp_dns.pcap": "tshark takes a single address byte for a PPP header",
    "tcpdump__ppp_error_hexdump.pcap": "tshark takes a single address byte for a PPP header",
}


def is_excused(name, mine, theirs):
    """Whether the field may differ in this packet."""
    ours_, tsharks = mine.get(name, []), theirs.get(name, [])
    chain = mine["chain"]
    if tsharks[:len(ours_)] == ours_:
        # capweir gives no fields of a truncated or impossible header, which is always the last
        # layer; tshark gives those it can read.
        if chain[-1:] in (["failure"], ["failure-"]):
            return True
        # capweir takes the packet in an ICMP error for payload.
        if {"icmpv4", "icmpv6"} & set(chain):
            return True
        # tshark uses the same name for types in NSEC bitmaps.
        if name == "dns.resp.type":
            return True
    # Truncated IPv4 options: tshark stops before the addresses.
    if name.startswith("ip.") and chain[-1] in ("ipv4-", "ipv4-!"):
        return True
    # Contradictory or truncated options: each decoder stops at another place.
    if name.startswith("tcp.options") and {"tcp!", "tcp-", "tcp-!"} & set(chain):
        return True
    # capweir stops at an impossible name; tshark puts a mark in its place and continues.
    if name.startswith("dns.") and "dns.bad" in mine:
        return True
    # tshark remembers DNS conversations, and takes port 8053 for DNS.
    if (name.startswith("dns.") and "dns" not in chain and
            not DNS_PORTS & set(mine.get("udp.srcport", []) + mine.get("udp.dstport", []))):
        return True
    # A length of 0 means the rest of the packet, whose length tshark shows.
    if name == "ip.len" and "0" in ours_:
        return True
    # tshark ignores an 802.3 length beyond the frame, and decodes LLC on UDP.
    return name.startswith("llc.") and ("ethernet-" in chain or "udp:llc" in
                                        ":".join(theirs["protocols"]))


def differences(mine, theirs):
    return [name for name in FIELDS
            if mine.get(name, []) != theirs.get(name, []) and not is_excused(name, mine, theirs)]


class Tshark(e2e.Test):
    def setUp(self):
        super().setUp()
        e2e.need("tshark", DUMP)
        make_home(self.path("home"))

    def compare(self, path):
        """The number of packets that both have, and a list of differences. tshark may have fewer:
        it cannot read all damaged files and link types."""
        mine, theirs = ours(path), tshark(path, self.path("home"))
        if len(theirs) > len(mine):  # tshark shows other pcapng blocks as packets of data
            theirs = [packet for packet in theirs if packet["protocols"] != ["data"]]
        wrong = []
        for index, (left, right) in enumerate(zip(mine, theirs)):
            for name in differences(left, right):
                wrong.append(f"{os.path.basename(path)}:{index + 1} {name}: {left.get(name)}, "
                             f"tshark {right.get(name)} [{' '.join(left['chain'])}] "
                             f"[{':'.join(right['protocols'])}]")
        return min(len(mine), len(theirs)), wrong

    def test_generated_packets_decode_as_in_tshark(self):
        count = 200_000 if e2e.FULL else 4000
        for profile in ("mix", "imix"):
            path = self.path(profile + ".pcap")
            self.run_ok("generate", "--profile", profile, "--packets", str(count), "-w", path)
            compared, wrong = self.compare(path)
            self.assertEqual(compared, count)
            self.assertEqual(wrong[:10], [])

    def test_corpus_decodes_as_in_tshark(self):
        rows = [row for row in e2e.corpus() if row["file"] not in EXCEPTED]
        total = 0
        for row in rows if e2e.FULL else rows[::48]:
            with self.subTest(file=row["file"]):
                compared, wrong = self.compare(row["path"])
                self.assertEqual(wrong[:10], [])
                total += compared
        print(f"{total} packets of the corpus compared")
        self.assertGreater(total, 20_000 if e2e.FULL else 30)


if __name__ == "__main__":
    e2e.main()
