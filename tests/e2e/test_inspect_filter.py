# SPDX-License-Identifier: BSD-3-Clause
"""capweir inspect filter and bench filter: the output equals tcpdump's, the running program and the
examples in core/filter/FILTERS.md."""
import json
import os
import random
import re
import shlex
import shutil
import subprocess

import e2e

EXPRESSIONS = os.path.join(e2e.ROOT, "tests", "data", "expressions.txt")
FILTERS_MD = os.path.join(e2e.ROOT, "core", "filter", "FILTERS.md")

HOSTS = [f"10.0.{index % 3}.{index}" for index in range(1, 30)]
SETS = {
    "usual": ["host 10.0.0.1 and port 80", "tcp port 80", "not host 10.0.0.2", "ip6 or arp",
              "vlan 5 and udp", "net 198.18.0.0/15", "tcp[tcpflags] & tcp-syn != 0", "greater 100",
              "", "ip6 protochain 17", "portrange 1000-2000", "icmp"],
    "arithmetic": ["ip[2:2] - ((ip[0]&0xf)<<2) > 5", "ip[ip[3] & 7] / len = 2", "4 < -ip[8]",
                   "ip[0] % ip[9] = 3", "len - 14 > ip[2:2]", "ether[ip[9]:2] > 5",
                   "ip[8] * ip[9] > 300 or tcp[((tcp[12] & 0xf0) >> 2)] = 0x47", "len = 60"],
    "hosts": [f"host {host} and port {80 + index}" for index, host in enumerate(HOSTS)],
    "negations": [f"not host {host}" for host in HOSTS] +
                 [f"not host {host} or udp port {80 + index}" for index, host in enumerate(HOSTS)],
    "nets": [f"net 198.{18 + index % 2}.{index * 8 % 256}.0/{21 + index % 4}"
             if index % 4 == 0 else f"net 198.16.0.0/{12 + index % 4}" for index in range(16)] +
            ["net 198.18.0.0/16 and not net 198.18.4.0/22"],
    "prefixes": [f"net 198.{18 + index % 2}.{index}.0/24" for index in range(40)] +
                ["net 10.0.0.0/24", "net 10.0.2.0/24"],
    "one": ["tcp"],
}


# ---- run the printed program ----


class Trap(Exception):
    """A load outside the packet, or a division by zero."""


class Word(int):
    """A 32-bit number with classic BPF's arithmetic."""


def operation(compute):
    def forwards(left, right):
        return Word(compute(int(left), int(right)) & 0xffffffff)

    def backwards(right, left):
        return forwards(left, right)

    return forwards, backwards


def divide(left, right):
    if right == 0:
        raise Trap
    return left // right


def remainder(left, right):
    if right == 0:
        raise Trap
    return left % right


for name, what in {"add": lambda a, b: a + b, "sub": lambda a, b: a - b,
                   "mul": lambda a, b: a * b, "truediv": divide, "mod": remainder,
                   "and": lambda a, b: a & b, "or": lambda a, b: a | b,
                   "xor": lambda a, b: a ^ b, "lshift": lambda a, b: a << b if b < 32 else 0,
                   "rshift": lambda a, b: a >> b if b < 32 else 0}.items():
    both = operation(what)
    setattr(Word, f"__{name}__", both[0])
    setattr(Word, f"__r{name}__", both[1])
Word.__neg__ = lambda self: Word(-int(self) & 0xffffffff)


def value_of(text, data, length):
    """The value of a printed variable, such as half[4*(byte[14] & 15) + 14] & 0x1fff."""
    def load(size, offset):
        if offset + size > len(data):
            raise Trap
        return Word(int.from_bytes(data[offset:offset + size], "big"))

    python = text.replace("]", ")")
    for size, word in ((1, "byte"), (2, "half"), (4, "word")):
        python = python.replace(f"{word}[", f"load({size}, ")
    return int(eval(python, {"load": load, "len": Word(length)}))  # pylint: disable=eval-used


def parse_values(text):
    ranges = []
    for one in text.split(", "):
        low, _, high = one.partition(" .. ")
        ranges.append((int(low.split()[0], 0), int((high or low).split()[0], 0)))
    return ranges


class Program:
    """The program printed by inspect filter --full."""

    def __init__(self, text):
        self.nodes = {}
        self.roots = []
        self.parents = {}
        self.engines = {}
        node = None
        for line in text.splitlines():
            if match := re.fullmatch(r"decision program of (\d+) filters, (\d+) nodes; starts at "
                                     r"(.*)", line):
                # Each program numbers its nodes from 0.
                self.roots.append((len(self.roots), match[3]))
            elif match := re.fullmatch(r"(n\d+): (SWITCH on (.*)|FORK, all of)", line):
                node = {"var": match[3], "ways": []}
                self.nodes[len(self.roots) - 1, match[1]] = node
            elif match := re.fullmatch(r"    (.*?) *-> (.*)", line):
                node["ways"].append((match[1], match[2]))
            elif match := re.fullmatch(r"part (\d+) is a piece of (\d+)(?:, gone where this is "
                                       r"taken back: (.*))?", line):
                self.parents[f"{match[2]} (part {match[1]})"] = match[3]
            elif match := re.fullmatch(r"(\d+): (\w+), \d+ instructions: .*", line):
                self.engines[int(match[1])] = match[2]

    def overlaps(self):
        """Nodes in which ranges overlap or are not in order."""
        found = []
        for name, node in self.nodes.items():
            ranges = [one for text, _ in node["ways"] if text[:1].isdigit()
                      for one in parse_values(text)]
            if any(low > high for low, high in ranges) or any(
                    one[1] >= other[0] for one, other in zip(ranges, ranges[1:])):
                found.append(name)
        return found

    def ids(self, data, length):
        """The joined filters that match."""
        found = set()
        for program, root in self.roots:
            emitted, taken = set(), set()
            waiting = [root]
            while waiting:
                self.step((program, waiting.pop()), (data, length), waiting, emitted, taken)
            for part in emitted:
                at = part
                while at and at not in taken:
                    at = self.parents.get(at)
                if not at:
                    found.add(int(part.split()[0]))
        return found

    def step(self, place, packet, waiting, emitted, taken):
        program, target = place
        if match := re.fullmatch(r"(emit|take back) (?:\d+ \(a bitmap\): )?(.*)", target):
            (emitted if match[1] == "emit" else taken).update(match[2].split(", "))
            return
        if target == "nothing":
            return
        node = self.nodes[program, target]
        if node["var"] is None:
            waiting += [way[1] for way in node["ways"]]
            return
        ways = dict(node["ways"])
        try:
            value = value_of(node["var"], *packet)
        except Trap:
            waiting.append(ways.get("trap", "nothing"))
            return
        fitting = [way for text, way in node["ways"]
                   if text not in ("otherwise", "any value", "trap")
                   for low, high in parse_values(text) if low <= value <= high]
        if len(fitting) > 1:
            raise AssertionError(f"{node} has several ways for {value}")
        waiting.append(fitting[0] if fitting else ways.get("otherwise") or ways["any value"])


class InspectFilter(e2e.Test):
    def inspect(self, *arguments, **options):
        return self.run_ok("inspect", "filter", *arguments, **options).out.decode()

    def assert_refused(self, *arguments, says):
        done = e2e.capweir(*arguments, cwd=self.directory)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertRegex(done.err, "^capweir: ")
        self.assertRegex(done.err, says)
        self.assertEqual(done.out, b"")

    # ---- classic BPF ----

    def tcpdump_dump(self, path, *arguments):
        done = subprocess.run(["tcpdump", "-r", path, *arguments[:-1], "--", arguments[-1]],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, f"{arguments}: {done.stderr}")
        return done.stdout

    def test_dumps_equal_those_of_tcpdump(self):
        e2e.need("tcpdump")
        with open(EXPRESSIONS, encoding="utf-8") as file:
            expressions = [line.rstrip("\n") for line in file if line[0] not in "#\n"]
        empty = self.write("empty.pcap", e2e.pcap([]))
        for options in (["-d"], ["-dd"], ["-ddd"], ["-d", "-O"]):
            sample = expressions[::1 if options == ["-d"] else 10]
            wanted = [self.tcpdump_dump(empty, *options, one) for one in sample]
            self.assertEqual(self.inspect(*options, "--", *sample), "\n".join(wanted))
        self.assertEqual(self.inspect("-d", "-d", "-d", "tcp"), self.inspect("-ddd", "tcp"))
        self.assertNotEqual(self.inspect("-d", "-O", "port 80"), self.inspect("-d", "port 80"))

    def test_dumps_for_other_link_types_equal_those_of_tcpdump(self):
        e2e.need("tcpdump")
        for name, number in (("RAW", 101), ("LINUX_SLL", 113), ("PPP", 9), ("LOOP", 108),
                             ("IEEE802_11", 105), ("NULL", 0)):
            empty = self.write("empty.pcap", e2e.pcap([], linktype=number))
            for expression in ("tcp port 80", "ip6 and udp", "greater 100"):
                self.assertEqual(self.inspect("-y", name, "-d", expression),
                                 self.tcpdump_dump(empty, "-d", expression), name)
        # Without -r tcpdump compiles for an interface, which gives the same program here.
        done = subprocess.run(["tcpdump", "-y", "EN10MB", "-d", "tcp port 80"],
                              capture_output=True, text=True)
        self.assertEqual(self.inspect("-y", "EN10MB", "-d", "tcp port 80"), done.stdout)

    def test_tcpdumps_own_line_prints_its_programs(self):
        e2e.need("tcpdump")
        self.write("filter", "udp port 53 # DNS\n")
        self.write("raw.pcap", e2e.pcap([], linktype=e2e.RAW, snaplen=1500))
        self.write("large.pcap", e2e.pcap([], order=">", snaplen=2 ** 32 - 1))
        self.write("two.pcapng", e2e.section() + e2e.interface(e2e.RAW) + e2e.interface())
        os.mkdir(self.path("empty"))
        for line in (["{d}", "tcp port 80"], ["{d}", "tcp", "port", "80"], ["{d}"],
                     ["-r", "../raw.pcap", "{d}", "tcp"], ["{d}r", "../two.pcapng", "tcp"],
                     ["-r", "../large.pcap", "{d}", "udp"], ["-y", "RAW", "{d}", "tcp"],
                     ["-s", "100", "{d}", "tcp"], ["-F", "../filter", "{d}"], ["-n{c}", "tcp"],
                     ["-O", "{d}", "tcp port 80"], ["{d}", "-w", "x.pcap", "-c", "1", "udp"]):
            for dump in ("-d", "-dd", "-ddd"):
                words = [word.format(d=dump, c=dump[1:]) for word in line]
                done = subprocess.run(["tcpdump", *words], cwd=self.path("empty"),
                                      capture_output=True)
                self.assertEqual(done.returncode, 0, f"{words}: {done.stderr}")
                self.assertEqual(self.run_ok(*words, cwd=self.path("empty")).out, done.stdout,
                                 words)
        self.assertEqual(os.listdir(self.path("empty")), [])

    def test_dumps_of_an_interface_need_no_privileges(self):
        wanted = self.inspect("-y", "EN10MB", "-d", "tcp port 80")
        user = {} if os.geteuid() else {"user": 65534, "extra_groups": []}
        done = subprocess.run([e2e.CAPWEIR, "-i", "lo", "-d", "tcp port 80"], capture_output=True,
                              text=True, cwd="/", **user)
        self.assertEqual((done.returncode, done.stdout), (0, wanted), done.stderr)

    def test_every_filter_of_a_split_is_dumped(self):
        pairs = ["-f", "tcp", "-w", "a.pcap", "-f", "udp", "-w", "b.pcap"]
        done = self.run_ok("split", "-d", *pairs, cwd=self.directory)
        self.assertEqual(done.out.decode(), self.inspect("-d", "tcp", "udp"))
        done = self.run_ok("split", "-d", *pairs, "icmp", cwd=self.directory)
        self.assertEqual(done.out.decode(), self.inspect("-d", "tcp", "udp", "icmp"))
        self.assertNotIn("a.pcap", os.listdir(self.directory))
        self.assert_refused("-d", "-R", "rules.yaml", says="inspect filter -d -R rules.yaml")
        self.assert_refused("-d", "--json", says="does not support --json")
        self.assert_refused("-d", "tcp prot 80", says="column 5")
        done = e2e.capweir("-r", "nowhere", "-d", "tcp", cwd=self.directory)
        self.assertEqual(done.status, 1, e2e.text_of(done))

    def test_an_expression_that_matches_nothing_is_a_warning(self):
        done = self.run_ok("inspect", "filter", "-d", "1 = 2")
        self.assertIn("can never match a packet", done.err)
        self.assertEqual(done.out, b"(000) ret      #0\n")

    # ---- the decision program ----

    def packets(self):
        """Generated traffic, partly rewritten so that filters match, a third truncated."""
        source = random.Random(1)
        made = []
        path = e2e.generate(self.path("mix.pcap"), e2e.scaled(400, 100), "mix", 3)
        for index, (_, _, length, data) in enumerate(
                e2e.essence(e2e.read_capture(path).packets)):
            data = bytearray(data)
            if data[12:14] == b"\x08\0" and index % 2:
                for at in (26, 30):
                    data[at:at + 4] = bytes(map(int, source.choice(HOSTS).split(".")))
                if len(data) > 38 and index % 4 == 1:
                    data[34:36] = source.randint(78, 110).to_bytes(2, "big")
            if index % 3 == 0:
                data = data[:source.randint(0, min(len(data), 80))]
            made.append((e2e.NS * (1000 + index), bytes(data), length))
        return made

    def test_the_printed_program_matches_as_tcpdump_does(self):
        e2e.need("tcpdump")
        made = self.packets()
        records = b"".join(e2e.pcap_record(ts, data, length) for ts, data, length in made)
        path = self.write("in.pcap", e2e.pcap_header() + records)
        seen = set()
        for name, expressions in SETS.items():
            text = self.inspect("--full", *expressions)
            program = Program(text)
            self.assertEqual(len(program.engines), len(expressions), text)
            self.assertTrue(program.roots or name == "one", text)
            self.assertEqual(program.overlaps(), [], text)
            wanted = [set() for _ in made]
            for number, expression in enumerate(expressions):
                if program.engines[number] == "sequential":
                    continue
                status, content, err = e2e.tcpdump([path], expression)
                self.assertEqual(status, 0, err)
                for ts, *_ in e2e.essence(e2e.parse_capture(content).packets):
                    wanted[ts // e2e.NS - 1000].add(number)
            for number, (_, data, length) in enumerate(made):
                if program.roots:
                    self.assertEqual(program.ids(data, length), wanted[number],
                                     f"{name}, packet {number}: {data.hex()}\n{text}")
            seen.update(word for word in ("FORK", "take back", "a bitmap", "trap", "(part ", " .. ")
                        if word in text)
            self.assertNotIn("more\n", text)
        self.assertEqual(len(seen), 6, f"the sets lack a feature: {seen}")

    def test_long_tables_are_shortened_with_a_count(self):
        expressions = [f"host 10.1.{index // 100}.{index % 100} and port {index + 1}"
                       for index in range(300)]
        text = self.inspect(*expressions)
        self.assertLess(text.count("\n"), 2000)
        for cut in (r"^and 284 more filters", r"^    and 2\d\d values or ranges more$",
                    r"^and \d+ nodes more$", r"^and 250 filters more$"):
            self.assertRegex(text, re.compile(cut, re.M))
        self.assertGreater(self.inspect("--full", *expressions).count("\n"), 5000)

    def test_the_worked_examples_of_the_page_are_current(self):
        with open(FILTERS_MD, encoding="utf-8") as file:
            page = file.read()
        examples = re.findall(r"^    \$ capweir (inspect filter .*)\n((?:    .*\n)+)", page, re.M)
        self.assertTrue(examples)
        for command, block in examples:
            wanted = re.sub(r"^    ", "", block, flags=re.M)
            printed = self.run_ok(*shlex.split(command)).out.decode()
            start = printed.index("decision program")
            self.assertEqual(printed[start:start + len(wanted)], wanted,
                             "FILTERS.md is not current; the first text is printed now")
            self.assertRegex(printed[start + len(wanted):], r"^0: ", "the page lacks nodes")

    def test_rules_are_shown_by_name(self):
        self.write("rules.yaml", e2e.rules_yaml([
            ("dns", "port 53", {"write": "a.pcap"}), ("rest", "unmatched", {"write": "b.pcap"}),
            ("web", "tcp port 80", {"write": "c.pcap"})]))
        text = self.inspect("-R", "rules.yaml", "udp", cwd=self.directory)
        for number, name in enumerate(("dns: port 53", "web: tcp port 80", "udp")):
            self.assertRegex(text, re.compile(rf"^{number}: {name}$", re.M))
        self.assertIn("3 filters: 3 joined", text)

    # ---- graphs ----

    def test_graphs_declare_every_node(self):
        for name, expressions in SETS.items():
            with self.subTest(set=name):
                text = self.inspect("--dot", *expressions)
                self.assertRegex(text, r"^digraph filters \{\n(.*\n)*\}\n$")
                declared = set(re.findall(r"^    (p\w+) \[", text, re.M))
                arrows = re.findall(r"^    (p\w+) -> (p\w+) \[", text, re.M)
                self.assertEqual({end for arrow in arrows for end in arrow} - declared, set())
                self.assertTrue(declared)
                if len(expressions) > 1:
                    self.assertTrue(arrows)

    def test_graphs_are_drawn_by_graphviz(self):
        e2e.need("dot")
        for expressions in SETS.values():
            done = subprocess.run(["dot", "-Tsvg"], input=self.inspect("--dot", *expressions),
                                  capture_output=True, text=True)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("</svg>", done.stdout)

    # ---- usage ----

    def test_usage(self):
        self.assert_refused("inspect", "filter", says=r"expressions.*\./filter")
        self.assert_refused("inspect", "filter", "tcp", "port", "80", says="quote")
        self.assert_refused("inspect", "filter", "udp", "nonsense x", says="nonsense")
        self.assert_refused("inspect", "filter", "--json", "udp", says="--json")
        self.assert_refused("inspect", "filter", "-d", "--dot", "udp", says="not both")
        self.assert_refused("inspect", "filter", "-y", "NOTHING", "udp", says="NOTHING")
        self.assert_refused("inspect", "filter", "host localhost", says="--resolve")
        self.assert_refused("inspect", "filter", "-R", "missing.yaml", says="missing.yaml")
        for option in (["-d"], ["--dot"], ["--full"], ["-O"], ["-R", "x"], ["--resolve"]):
            self.assert_refused("inspect", "in.pcap", *option, says="inspect filter")
        self.write("rules.yaml", e2e.rules_yaml([("dns", "port 99999", {"write": "a.pcap"})]))
        self.assert_refused("inspect", "filter", "-R", "rules.yaml", says="(?s)dns.*rules.yaml.* 3")

    def test_a_file_may_be_called_filter(self):
        self.write("filter", e2e.pcap(e2e.simple_packets(7)))
        self.assertIn(b"packets      7 ",
                      self.run_ok("inspect", "./filter", cwd=self.directory).out)
        shutil.copy(self.path("filter"), self.path("a.pcap"))
        done = self.run_ok("inspect", "a.pcap", "filter", cwd=self.directory)
        self.assertEqual(done.out.count(b"packets      7 "), 2)

    def test_output_that_cannot_be_written_is_exit_1(self):
        for arguments in (["udp"], ["-d", "udp"], ["--dot", "udp"]):
            with open("/dev/full", "wb") as full:
                done = e2e.capweir("inspect", "filter", *arguments, stdout=full)
            self.assertEqual(done.status, 1, e2e.text_of(done))


class BenchFilter(e2e.Test):
    def setUp(self):
        super().setUp()
        self.write("in.pcap", e2e.pcap(e2e.simple_packets(300)))
        self.write("rules.yaml", e2e.rules_yaml([
            ("one", "udp port 1001", {"write": "a.pcap"}),
            ("rest", "unmatched", {"write": "b.pcap"}),
            ("loop", "ip protochain 17", {"write": "c.pcap"}),
            ("two", "tcp or host 10.0.0.3", {"write": "d.pcap"}),
            ("three", "not host 10.0.0.4", {"write": "e.pcap"})]))

    def bench(self, *arguments):
        done = self.run_ok("bench", "filter", "-r", "in.pcap", "-R", "rules.yaml", "--repeat", 3,
                           *arguments, cwd=self.directory)
        return done.out.decode()

    def test_every_engine_is_measured_and_agrees(self):
        report = json.loads(self.bench("--json"))
        self.assertEqual((report["version"], report["bench"], report["rules"], report["packets"],
                          report["cut"], report["rounds"]), (1, "filter", 4, 300, False, 3))
        self.assertEqual(set(report["machine"]), {"cpu", "kernel", "cores", "governor",
                                                  "memory_gib", "load"})
        self.assertGreater(report["libpcap_ns_per_packet"], 0)
        self.assertEqual([one["engine"] for one in report["engines"]],
                         ["jit", "walker", "sequential"])
        for one in report["engines"]:
            self.assertTrue(one["agree"])
            self.assertIsNone(one["difference"])
            self.assertGreater(one["ratio"], 0)
            self.assertLessEqual(one["min"], one["ns_per_packet"])
            self.assertLessEqual(one["ns_per_packet"], one["max"])
            self.assertEqual(one["apart"], 4 if one["engine"] == "sequential" else 1)
        # One port of 10, all packets are UDP, one destination of 7, six destinations of 7.
        self.assertAlmostEqual(report["matches_per_packet"],
                               (30 + 300 + len(range(1, 300, 7)) + 300 - len(range(2, 300, 7))) /
                               300, places=3)

    def test_all_engines_are_measured_on_the_same_packets(self):
        """With few packets, libpcap measures all within its time; with many, some."""
        report = json.loads(self.bench("--json"))
        self.assertEqual(report["measured"], 300)
        self.assertIn("on all packets\n", self.bench())
        self.write("rules.yaml", "defaults: {write: '{rule}.pcap'}\nrules:\n" + "".join(
            f"  r{i}: host 10.9.{i // 250}.{i % 250} and port {i + 1}\n"
            for i in range(e2e.scaled(1000, 200))))
        self.write("in.pcap", e2e.pcap(e2e.simple_packets(30000)))
        report = json.loads(self.bench("--json", "--packets", 30000))
        self.assertEqual(report["packets"], 30000)
        self.assertGreaterEqual(report["measured"], 50)
        self.assertLessEqual(report["measured"], 30000)  # depends on the machine
        for one in report["engines"] + [report["libpcap"]]:
            self.assertEqual(one["packets"], report["measured"])
            self.assertTrue(one["agree"])

    def test_a_difference_is_exit_1_and_names_packet_and_rule(self):
        """libpcap is replaced by one that is wrong about one packet."""
        e2e.need("cc")
        self.write("liar.c", """
            #include <dlfcn.h>
            struct bpf_insn;
            unsigned bpf_filter(const struct bpf_insn *program, const unsigned char *data,
                                unsigned wire_len, unsigned caplen)
            {
                unsigned (*real)(const struct bpf_insn *, const unsigned char *, unsigned,
                                 unsigned) = dlsym(RTLD_NEXT, "bpf_filter");
                return wire_len == 99 ? 0 : real(program, data, wire_len, caplen);
            }""")
        subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", self.path("liar.so"),
                        self.path("liar.c"), "-ldl"], check=True)
        records = [e2e.pcap_record(ts, data, 99 if index == 11 else None)
                   for index, (ts, data) in enumerate(e2e.simple_packets(300))]
        self.write("in.pcap", e2e.pcap_header() + b"".join(records))
        done = e2e.capweir("bench", "filter", "-r", "in.pcap", "-R", "rules.yaml", "--repeat", 1,
                           "--json", cwd=self.directory,
                           env={**os.environ, "LD_PRELOAD": self.path("liar.so")})
        self.assertEqual(done.status, 1, e2e.text_of(done))
        for one in json.loads(done.out)["engines"]:
            self.assertFalse(one["agree"])
            self.assertEqual(one["difference"], {"packet": 12, "rule": "one", "missing": False})
            self.assertRegex(done.err, f"{one['engine']} differs .* packet 12, rule one")

    def test_the_report_says_if_only_the_first_packets_were_measured(self):
        report = json.loads(self.bench("--json", "--packets", 100))
        self.assertEqual((report["packets"], report["cut"]), (100, True))
        self.assertIn("the first of the file", self.bench("--packets", 100))
        report = json.loads(self.bench("--json", "--packets", 300))
        self.assertEqual((report["packets"], report["cut"]), (300, False))

    def test_the_table_has_every_engine(self):
        text = self.bench()
        for engine in ("libpcap", "jit", "walker", "sequential"):
            self.assertRegex(text, rf"(?m)^{engine} .* yes")
        self.assertNotIn("first of the file", text)

    def test_packets_of_another_link_type_are_left_out(self):
        frame = e2e.udp_frame(1, 2, 3, 1001)
        self.write("in.pcap", e2e.section() + e2e.interface() + e2e.interface(e2e.RAW) +
                   e2e.enhanced(0, 1, frame) + e2e.enhanced(1, 2, frame[14:]) +
                   e2e.enhanced(7, 2, frame) + e2e.enhanced(0, 3, frame))
        report = json.loads(self.bench("--json"))
        self.assertEqual((report["packets"], report["left_out"], report["linktype"]),
                         (2, 2, "EN10MB"))

    def test_usage(self):
        for arguments, says in ((["bench"], "(?s)one of these.*filter"),
                                (["bench", "nothing"], "(?s)'nothing'.*filter"),
                                (["bench", "filter"], "-r FILE.*-R"),
                                (["bench", "filter", "-r", "in.pcap"], "-R"),
                                (["bench", "filter", "-R", "rules.yaml"], "-r"),
                                (["bench", "filter", "-r", "in.pcap", "-R", "rules.yaml", "x"],
                                 "'x'"),
                                (["bench", "filter", "-r", "in.pcap", "-R", "no.yaml"], "no.yaml"),
                                (["bench", "filter", "-r", "in.pcap", "-R", "rules.yaml",
                                  "--packets", "0"], "--packets"),
                                (["bench", "filter", "-r", "in.pcap", "-R", "rules.yaml",
                                  "--repeat", "0"], "--repeat"),
                                (["bench", "filter", "-r", "-", "-R", "-"], "once"),
                                (["bench", "filter", "-r", "in.pcap", "-R", "rules.yaml", "-y",
                                  "RAW", "-t", "2"], "-t")):
            done = e2e.capweir(*arguments, cwd=self.directory)
            self.assertEqual(done.status, 2, f"{arguments}: {e2e.text_of(done)}")
            self.assertRegex(done.err, says)
            self.assertEqual(done.out, b"")

    def test_unusable_files_are_exit_1(self):
        for name, content, says in (("none.pcap", e2e.pcap([]), "no packets"),
                                    ("text", b"no capture file", "text"),
                                    ("cut.pcap", e2e.pcap(e2e.simple_packets(9))[:-3], "cut")):
            self.write(name, content)
            done = e2e.capweir("bench", "filter", "-r", name, "-R", "rules.yaml",
                               cwd=self.directory)
            self.assertEqual(done.status, 1, e2e.text_of(done))
            self.assertRegex(done.err, says)


if __name__ == "__main__":
    e2e.main()
