#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""capweir-json(5) and the JSON of every command name the same fields, with the same types.

Each test runs a command in several ways, so that every unconditional field appears.
"""
import collections
import json
import os
import re
import socket

import e2e
import live

PAGE = os.path.join(e2e.ROOT, "tools", "manual", "capweir-json.5.md")
TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null",
         dict: "object", list: "array"}
FIXED_NAMES = ("<cause>", "<limit>", "<offload>")  # the page lists them all

Field = collections.namedtuple("Field", "pattern types is_conditional")


def fields_of(section):
    """Path -> Field of a section of the page."""
    with open(PAGE, encoding="utf-8") as file:
        text, = re.findall(rf"^## {section}\n(.*?)(?=^## )", file.read(), re.S | re.M)
    fields = {}
    for path, kind, meaning in re.findall(r"^`(.+?)` \((.+?)\)\n: (.+)", text, re.M):
        kind = kind.split(",")[0]
        types = set(re.split(" or ", kind.replace("array of ", "")))
        if kind.startswith("array of "):
            types = {"array"} | types
        pattern = re.sub(r"<[a-z]+>", r"[^.\\[\\]]+", re.escape(path))
        fields[path] = Field(re.compile(pattern), types, meaning.startswith("If "))
    assert fields, section
    return fields


def paths_of(value, path=""):
    """(path, type) of every member of a value; the type of array elements is in the plural."""
    if isinstance(value, dict):
        for key, member in value.items():
            inner = f"{path}.{key}" if path else key
            inner += "[]" if isinstance(member, list) else ""
            yield inner, TYPES[type(member)]
            yield from paths_of(member, inner)
    elif isinstance(value, list):
        for element in value:
            if isinstance(element, (dict, list)):
                yield from paths_of(element, path or "[]")
            else:
                yield path, TYPES[type(element)] + "s"


class Fields(live.Test):
    def check_fields(self, values, *sections):
        """Check that the values have exactly the fields of these sections, with listed types."""
        with open(PAGE, encoding="utf-8") as file:
            listed = set(re.findall("`([^`]+)`", file.read()))
        fields = {path: field for section in sections for path, field in fields_of(section).items()}
        wrong, seen = set(), set()
        for path, kind in {pair for value in values for pair in paths_of(value)}:
            found = [name for name, field in fields.items() if field.pattern.fullmatch(path)]
            seen.update(found)
            if not found:
                wrong.add(f"not in the page: {path}")
            elif kind not in fields[found[0]].types:
                wrong.add(f"{path} is of type {kind}")
            if found and found[0].endswith(FIXED_NAMES) and path.rpartition(".")[2] not in listed:
                wrong.add(f"the page does not list {path}")
        wrong.update(f"in no output: {path}" for path, field in fields.items()
                     if path not in seen and not field.is_conditional)
        self.assertEqual(sorted(wrong), [])

    def json_of(self, *arguments, status=0):
        result = e2e.capweir(*arguments, cwd=self.directory)
        self.assertEqual(result.status, status, e2e.text_of(result))
        return json.loads(result.out)

    def rules(self, name="rules.yaml", **more):
        rule = {"write": "udp-{seq}.pcap", "rotate": "{packets: 10, files: 2}", "sample": "1/2"}
        return self.write(name, e2e.rules_yaml([("udp", "udp", {**rule, **more}),
                                                ("rest", "unmatched", {"write": "rest.pcap"})]))

    def packets(self, name="in.pcap"):
        return self.write(name, e2e.pcap(e2e.simple_packets(100)))


class Files(Fields):
    def joined(self):
        """A file that is followed by another one."""
        return self.write("joined.pcap", 2 * e2e.pcap(e2e.simple_packets(2)))

    def test_report_of_split_has_the_fields_of_the_page(self):
        common = ("split", "-r", self.packets(), "--json")
        self.check_fields(
            [self.json_of(*common, "-w", "all.pcap", "udp"),
             self.json_of(*common, "-R", self.rules(), "--verify-filters=1/1", "--sync", "close",
                          "-z", "/bin/true"),
             self.json_of(*common, "-r", self.joined(), "-r", "/nowhere", "-w", "all.pcap",
                          status=1)],
            "SPLIT AND CAPTURE: THE REPORT")

    def test_inspect_has_the_fields_of_the_page(self):
        block = e2e.capweir("split", "-r", self.packets(), "-w", "in.pcapng", cwd=self.directory)
        self.assertEqual(block.status, 0, block.err)
        self.check_fields([self.json_of("inspect", "--json", "in.pcap", "in.pcapng",
                                        self.joined(), "/nowhere", status=1)], "INSPECT")

    def test_check_has_the_fields_of_the_page(self):
        rules = self.write("bad.yaml", e2e.rules_yaml([("a", "nonsense", {"write": "a.pcap"})]))
        self.check_fields([self.json_of("check", "--json", rules, status=2),
                           self.json_of("check", "--json", "/nowhere", status=2)], "CHECK")

    def test_repair_has_the_fields_of_the_page(self):
        with open(self.packets("torn.pcap"), "ab") as file:
            file.write(b"torn")
        self.check_fields([self.json_of("repair", "--json", "torn.pcap", self.packets(),
                                        "/nowhere", status=1)], "REPAIR")

    def test_bench_has_the_fields_of_the_page(self):
        few = ("--json", "--repeat", 1, "-t", 1)
        packets = ("--packets", e2e.scaled(1000))
        self.check_fields(
            [self.json_of("bench", "split", *few, *packets),
             self.json_of("bench", "ring", *few, *packets),
             self.json_of("bench", "write", *few, *packets, "--frame-size", 60),
             self.json_of("bench", "limits", "--json", "-t", 1),
             self.json_of("bench", "capture", "--json", "--repeat", 1, "--duration", 0.2, "--pps",
                          2000, "--frame-size", 60, "--rule-count", 1)],
            "ALL BENCHMARKS", "BENCH SPLIT, CAPTURE, RING, WRITE AND LIMITS")

    def test_bench_filter_has_the_fields_of_the_page(self):
        report = self.json_of("bench", "filter", "-r", self.packets(), "-R", self.rules(),
                              "--repeat", 1, "--json")
        report["engines"].append(report["libpcap"])
        report["libpcap"] = {}
        self.check_fields([report], "ALL BENCHMARKS", "BENCH FILTER")

    def test_bench_decode_has_the_fields_of_the_page(self):
        self.check_fields([self.json_of("bench", "decode", self.packets(), "--repeat", 1,
                                        "--json")], "ALL BENCHMARKS", "BENCH DECODE")

    def test_bench_serial_has_the_fields_of_the_page(self):
        self.check_fields([self.json_of("bench", "serial", "--packets", e2e.scaled(1000),
                                        "--profile", "small", "-t", 1, "--repeat", 1, "--json")],
                          "ALL BENCHMARKS", "BENCH SERIAL")


class Devices(Fields):
    def test_devices_has_the_fields_of_the_page(self):
        self.check_fields([self.json_of("devices", "--json"),
                           self.json_of("devices", "-i", "in", "--json")], "DEVICES")

    def test_selftest_has_the_fields_of_the_page(self):
        self.check_fields([self.json_of("selftest", "-i", "lo", "--json")], "SELFTEST")

    def test_replay_has_the_fields_of_the_page(self):
        common = ("replay", "-r", self.packets(), "-i", "out", "--json")
        self.check_fields([self.json_of(*common, "--pps", 100000),
                           self.json_of(*common, "--topspeed")], "REPLAY")


class Capture(Fields):
    def setUp(self):
        super().setUp()
        self.socket = self.path("control")
        self.running = self.capture("-i", "in", "-R", self.rules(), "-o", self.directory, "-z",
                                    "/bin/true", "--verify-filters=1/1", "--control", self.socket)

    def control(self, *words):
        return self.json_of("control", "--control", self.socket, *words)

    def test_report_counters_and_answers_have_the_fields_of_the_page(self):
        live.send(live.Shape(100))
        self.running.wait_seen(100)
        stats = self.json_of("stats", "--control", self.socket, "--json")
        answers = [self.control(*words.split()) for words in (
            "stats", "rules", "rotate", "flush", "log note", "reload")]
        answers[0]["stats"] = {}
        answers.append(self.refused())
        answers.append(self.control("stop"))
        report = self.report_of(self.running.wait())
        self.check_fields([stats], "STATS")
        self.check_fields(answers, "CONTROL")
        self.check_fields([{"stats": line} for line in self.running.stats_lines()],
                          "CAPTURE: COUNTERS DURING THE RUN")
        self.check_fields([report], "CAPTURE: MORE OF THE REPORT", "SPLIT AND CAPTURE: THE REPORT")

    def refused(self):
        """The answer to an invalid request."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(live.PATIENCE_S)
            client.connect(self.socket)
            client.sendall(b"{}\n")
            return json.loads(client.makefile().readline())


if __name__ == "__main__":
    live.main()
