# SPDX-License-Identifier: BSD-3-Clause
"""Each output holds exactly the packets that tcpdump writes for the same filter."""
import collections
import concurrent.futures
import itertools
import os
import re
import struct
import subprocess
import tempfile

import e2e
from expressions import expressions

SAMPLE = (len(expressions()) if e2e.FULL
          else e2e.scaled(12) if e2e.SCALE >= 1 else e2e.scaled(15, 3))  # a group of files
GROUP = 8  # files of a group at most

# Files with subsecond fields beyond 4.29 s. tcpdump --nano multiplies these by 1000 in 32 bits and
# wraps. capweir keeps the timestamp like tcpdump without --nano, which is compared instead.
WITHOUT_NANO = {
    "syn11__subsec-overflow.pcap",
    "tcpdump__rx_serviceid_oobr.pcap",
    "tcpdump__atm-oam-loopback-print-overrun.pcap",
    "tcpdump__timestamp_invalid_micro.pcap",
    "tcpreplay__test2.replay_include",
    "tcpreplay__test2.replay_unique_ip",
}


# Files that end in zeros. tcpdump takes these for empty packets, capweir for the tail of an
# unfinished write. (capweir also reads joined files on; tcpdump fails on them.)
ZERO_TAIL = {
    "syn11__tail-zero-filled.pcap",
    "tcpdump__vtp_asan.pcap",
}


def groups():
    """Lists of files that one tcpdump reads with one filter: of one format and link type. tcpdump
    reads only its first file with nanoseconds, so that only files of microseconds share a group."""
    alike = collections.defaultdict(list)
    for row in e2e.corpus():
        if row["tcpdump_rc"] == "0" and row["file"] not in ZERO_TAIL:
            alone = "" if is_micro(row) else row["file"]
            alike[row["format"], row["linktypes"], alone].append(row)
    return [rows[at:at + GROUP] for rows in alike.values() for at in range(0, len(rows), GROUP)]


def is_micro(row):
    return row["format"].endswith("-us") or row["file"] in WITHOUT_NANO


def sample_of(group, count):
    """The expressions of a group, by its number: each group takes the next ones."""
    return {(group * SAMPLE + index) % count for index in range(min(SAMPLE, count))}


def inputs_of(paths):
    return [word for path in paths for word in ("-r", path)]


def refused_rules(paths, rules_path):
    """Indices of the rules that `check` refuses for the link types of these files."""
    done = e2e.capweir("check", rules_path, *inputs_of(paths))
    if done.status not in (0, 2):
        raise AssertionError(f"check {paths}: {e2e.text_of(done)}")
    return {int(number) for number, warning in
            re.findall(r": rule r(\d+): (warning: )?", done.err) if not warning}


def same_records(path, wanted):
    """Whether all bytes after the file header are equal, so that parsing is not needed."""
    with open(path, "rb") as file:
        content = file.read()
    return content[:4] == wanted[:4] and content[20:] == wanted[20:]


def compare_group(group, rows):
    """The problems with a group of files, as texts, and the number of comparisons."""
    paths = [row["path"] for row in rows]
    name = ", ".join(row["file"] for row in rows)
    is_nano = not is_micro(rows[0])
    filters = expressions()
    problems = []
    with tempfile.TemporaryDirectory(prefix="capweir-exact-") as directory:
        def rules_of(indices):
            rules = os.path.join(directory, "rules.yaml")
            with open(rules, "w") as file:
                file.write(e2e.rules_yaml([(f"r{index}", filters[index]) for index in indices],
                                          defaults="{write: '{rule}.pcap'}"))
            return rules

        sample = sorted(sample_of(group, len(filters)))
        refused = refused_rules(paths, rules_of(sample))
        taken = [index for index in sample if index not in refused]
        if taken:
            done = e2e.capweir("split", *inputs_of(paths), "-R", rules_of(taken), "-o", directory,
                               "-q", "--time-precision", "ns" if is_nano else "us",
                               "-t", 1 + group % 4)
            if done.status:
                return [f"{name}: {e2e.text_of(done)}"], 0
        compared = 0
        for index in sample:
            expression = filters[index]
            status, wanted, err = e2e.tcpdump(paths, expression, is_nano)
            compared += len(paths)
            if index in refused:
                if status == 0:
                    problems.append(f"{name}: {expression!r}: only capweir refuses it")
                continue
            if status and "rejects all packets" not in err:
                problems.append(f"{name}: {expression!r}: only tcpdump refuses it: {err}")
                continue
            output = os.path.join(directory, f"r{index}.pcap")
            if status == 0 and same_records(output, wanted):
                continue
            wanted = e2e.essence(e2e.parse_capture(wanted).packets) if status == 0 else []
            got = e2e.essence(e2e.read_capture(output).packets)
            if got != wanted:
                first = next((at for at, (one, two) in enumerate(zip(got, wanted)) if one != two),
                             min(len(got), len(wanted)))
                shown = [str(list_[first])[:120] for list_ in (got, wanted) if first < len(list_)]
                problems.append(f"{name}: {expression!r}: {len(got)} packets, tcpdump has "
                                f"{len(wanted)}; first difference at {first}: {shown}")
    return problems, compared


class Exact(e2e.Test):
    def test_every_file_gives_the_packets_of_tcpdump(self):
        e2e.need("tcpdump")
        self.assertGreaterEqual(len(expressions()), 60)
        with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
            results = list(pool.map(compare_group, itertools.count(), groups()))
        problems = [text for found, _ in results for text in found]
        compared = sum(count for _, count in results)
        print(f"{sum(map(len, groups()))} files, {len(expressions())} expressions, {compared} "
              "comparisons", flush=True)
        self.assertEqual(problems, [], "\n".join(problems[:40]) + f"\n{len(problems)} in all")

    def test_loopback_headers_match_for_every_system_and_byte_order(self):
        """DLT_NULL's header is in the writer's byte order; IPv6 is 10, 24, 28 or 30 there."""
        e2e.need("tcpdump")
        for order in "<>":
            for linktype in (0, 108):
                ipv4 = e2e.udp_frame(1, 2, 3, 4)[14:]
                ipv6 = b"\x60" + bytes(5) + b"\x11" + bytes(33) + ipv4[20:]
                header = ">I" if linktype else order + "I"
                path = self.write("loop.pcap", e2e.pcap(
                    [(e2e.NS * family, struct.pack(header, family) + (ipv6 if family > 2 else ipv4))
                     for family in (2, 10, 24, 28, 30, 77)], linktype=linktype, order=order))
                for expression in ("ip", "ip6", "udp", "not ip", "udp port 4"):
                    with self.subTest(order=order, linktype=linktype, expression=expression):
                        self.run_ok("split", "-q", "-r", path, "-w", self.path("out.pcap"),
                                    expression)
                        status, wanted, err = e2e.tcpdump([path], expression)
                        self.assertEqual(status, 0, err)
                        self.assertEqual(
                            e2e.essence(e2e.read_capture(self.path("out.pcap")).packets),
                            e2e.essence(e2e.parse_capture(wanted).packets))

    def test_the_sample_of_expressions_reaches_every_expression(self):
        count = len(expressions())
        reached = set()
        for group, _ in enumerate(groups()):
            reached |= sample_of(group, count)
        self.assertEqual(reached, set(range(count)))

    def test_mixed_link_types_have_the_packet_count_of_capinfos(self):
        e2e.need("capinfos")
        rows = [row for row in e2e.corpus() if "," in row["linktypes"]]
        self.assertGreaterEqual(len(rows), 5)
        for row in rows:
            with self.subTest(file=row["file"]):
                output = self.path("out.pcapng")
                done = e2e.capweir("split", "-r", row["path"], "-w", output, "-q")
                counted = subprocess.run(["capinfos", "-M", "-Tm", "-r", "-c", row["path"]],
                                         capture_output=True, text=True)
                fields = counted.stdout.strip().split(",")
                self.assertGreaterEqual(len(fields), 2, counted.stderr)
                if counted.returncode == 0:
                    self.assertEqual(done.status, 0, e2e.text_of(done))
                self.assertEqual(len(e2e.read_capture(output).packets), int(fields[1]))


if __name__ == "__main__":
    e2e.main()
