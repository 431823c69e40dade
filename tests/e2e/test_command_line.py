# SPDX-License-Identifier: BSD-3-Clause
"""The command as its users meet it: what it refuses, what it writes, and what it says."""
import json
import os
import re
import resource
import signal
import stat
import struct
import subprocess
import time

import e2e


def snapshot(directory):
    """Every name below, with kind and content."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                found[path] = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    found[path] = file.read()
            else:
                found[path] = None
    return found


class CommandLine(e2e.Test):
    def setUp(self):
        super().setUp()
        self.packets = e2e.simple_packets(100)
        self.input = self.write("in.pcap", e2e.pcap(self.packets))
        self.source = e2e.essence(e2e.read_capture(self.input).packets)

    def assert_refused(self, *arguments, says="", **options):
        """Exit 2, a message with `says` (a regular expression), and nothing written."""
        before = snapshot(self.directory)
        done = e2e.capweir(*arguments, cwd=self.directory, **options)
        self.assertEqual(done.status, 2, f"{arguments}: {e2e.text_of(done)}")
        self.assertRegex(done.err, r"^capweir: ", str(arguments))
        self.assertRegex(done.err, re.compile(says, re.I), str(arguments))
        self.assertEqual(done.out, b"", str(arguments))
        self.assertEqual(snapshot(self.directory), before, str(arguments))
        return done

    def split(self, *arguments, **options):
        return self.run_ok("split", "-q", "-r", self.input, *arguments, cwd=self.directory,
                           **options)

    def packets_of(self, name):
        return e2e.essence(e2e.read_capture(self.path(name)).packets)

    # ---- usage errors ----

    def test_filters_and_outputs_that_do_not_pair(self):
        for arguments in (["-f", "udp"], ["-f", "udp", "-f", "tcp", "-w", "a.pcap"],
                          ["-f", "udp", "-w", "a.pcap", "-w", "b.pcap"],
                          ["-w", "a.pcap", "-w", "b.pcap"]):
            self.assert_refused("split", "-r", "in.pcap", *arguments, says="-w")

    def test_no_output(self):
        self.assert_refused("split", "-r", "in.pcap", says="no output.*-w")
        self.assert_refused("split", "-r", "in.pcap", "udp", says="no output.*-w")
        self.assert_refused("-r", "in.pcap", "udp", says="no output.*-w")

    def test_no_input(self):
        self.assert_refused("split", "-w", "a.pcap", says="no input.*-r")
        self.assert_refused("-w", "a.pcap", says="no input.*-r")

    def test_a_report_and_packets_cannot_share_standard_output(self):
        self.assert_refused("split", "-r", "in.pcap", "-w", "-", "--json", says="--json")
        rules = e2e.rules_yaml([("a", "udp", {"write": "'-'"})])
        self.write("rules.yaml", rules)
        self.assert_refused("split", "-r", "in.pcap", "-R", "rules.yaml", "--json", says="--json")

    def test_an_output_that_is_an_input(self):
        os.symlink("in.pcap", self.path("link.pcap"))
        os.link(self.input, self.path("hard.pcap"))
        for name in ("in.pcap", "./in.pcap", self.input, "link.pcap", "hard.pcap"):
            self.assert_refused("split", "-r", "in.pcap", "-w", name, says="input")
        self.assert_refused("split", "-r", "link.pcap", "-w", "in.pcap", says="input")
        other = self.write("second.pcap", e2e.pcap(self.packets))
        self.assert_refused("split", "-r", "in.pcap", "-r", other, "-f", "udp", "-w", "a.pcap",
                            "-f", "tcp", "-w", "second.pcap", says="input")

    def test_two_rules_with_one_path(self):
        os.mkdir(self.path("folder"))
        os.symlink("folder", self.path("same"))
        for one, two in (("a.pcap", "a.pcap"), ("a.pcap", "./a.pcap"),
                         ("a.pcap", self.path("a.pcap")), ("folder/a.pcap", "folder//a.pcap"),
                         ("folder/a.pcap", "folder/../folder/a.pcap"),
                         ("folder/a.pcap", "same/a.pcap"), ("-", "-"),
                         ("%Y.pcap", "%Y.pcap"), ("{seq}.pcap", "{seq}.pcap")):
            self.assert_refused("split", "-r", "in.pcap", "-f", "udp", "-w", one, "-f", "tcp",
                                "-w", two, says="rule")

    def test_two_templates_that_can_collide(self):
        self.assert_refused("split", "-r", "in.pcap", "-f", "udp", "-w", "%Y-a.pcap", "-f", "tcp",
                            "-w", "2023-a.pcap", says="rule1.*rule2|rule2.*rule1")

    def test_a_numbered_name_that_is_another_rules(self):
        self.assert_refused("split", "-r", "in.pcap", "-b", "packets:5", "-f", "udp", "-w",
                            "a.pcap", "-f", "tcp", "-w", "a.1.pcap", says="rule1.*rule2")

    def test_closed_standard_descriptors(self):
        """Nothing else gets their numbers: no hang, no packets to where they do not belong."""
        for line in ("split -q -r - -w a.pcap <&-", "split -q -r - -w a.pcap <&- >&- 2>&-",
                     "split -q -r in.pcap -w - >&-", "split -q -r in.pcap -w - <&- >&-",
                     "inspect in.pcap --json >&-"):
            done = subprocess.run(["sh", "-c", f"exec {e2e.CAPWEIR} {line}"], cwd=self.directory,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  timeout=e2e.TIMEOUT)
            self.assertEqual((done.returncode, done.stdout), (1, b""), line)
        done = subprocess.run(["sh", "-c", f"exec {e2e.CAPWEIR} split -r in.pcap -w a.pcap 2>&-"],
                              cwd=self.directory, timeout=e2e.TIMEOUT)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(len(self.read("a.pcap")), len(self.read("in.pcap")))

    def test_standard_output_by_other_names(self):
        with open(self.path("to"), "wb") as file:
            done = e2e.capweir("split", "--json", "-q", "-r", "in.pcap", "-f", "udp", "-w",
                               "/dev/stdout", cwd=self.directory, stdout=file)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertEqual(self.read("to"), b"")
        before = self.read("in.pcap")
        with open(self.path("in.pcap"), "ab") as file:
            done = e2e.capweir("split", "-r", "in.pcap", "-w", "-", cwd=self.directory,
                               stdout=file)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertEqual(self.read("in.pcap"), before)

    def test_names_that_are_no_text(self):
        name = os.fsencode(self.path("bad")) + b"\xff.pcap"
        with open(name, "wb") as file:
            file.write(self.read("in.pcap"))
        done = e2e.capweir("inspect", "--json", os.fsdecode(name))
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertEqual(len(json.loads(done.out)), 1)

    def test_a_folder_that_is_not_there(self):
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-o", "nowhere",
                            says="nowhere does not exist")
        self.assert_refused("split", "-r", "in.pcap", "-w", "nowhere/a.pcap",
                            says="nowhere does not exist")

    def test_every_rule_that_never_matches_a_link_type_is_told(self):
        frame = e2e.udp_frame(1, 2, 3, 4)
        self.write("two.pcapng", e2e.section() + e2e.interface() + e2e.interface(e2e.RAW) +
                   e2e.enhanced(0, 1, frame) + e2e.enhanced(1, 2, frame[14:]))
        done = e2e.capweir("split", "-q", "-r", "two.pcapng", "-f", "ether host 0:0:0:0:0:0", "-w",
                           "a.pcapng", "-f", "ether src 0:0:0:0:0:1", "-w", "b.pcapng",
                           cwd=self.directory)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertRegex(done.err, "rule1")
        self.assertRegex(done.err, "rule2")

        self.write("rules.yaml", "rules: {a: {filter: 'ether host 0:0:0:0:0:0', write: a.pcapng}}")
        done = self.run_ok("check", "rules.yaml", "-r", "two.pcapng", cwd=self.directory)
        self.assertRegex(done.out.decode(), "0 errors, 1 warning")
        self.write("raw.pcapng", e2e.section() + e2e.interface(e2e.RAW))
        done = e2e.capweir("check", "rules.yaml", "-r", "raw.pcapng", cwd=self.directory)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertRegex(done.err, "rule a")

    def test_words_that_cannot_be_written(self):
        self.write("rules.yaml", "rules: {a: {filter: udp, write: a.pcap}}")
        for arguments in (["--help"], ["split", "--help"], ["--version"], ["check", "rules.yaml"]):
            with open("/dev/full", "wb") as full:
                done = e2e.capweir(*arguments, cwd=self.directory, stdout=full)
            self.assertEqual(done.status, 1, f"{arguments}: {e2e.text_of(done)}")

    def test_an_unknown_letter_among_others(self):
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-nX", "-s0",
                            says="unknown option -X")

    def test_no_clobber_refuses_what_exists(self):
        self.write("old.pcap", b"precious")
        self.assert_refused("split", "-r", "in.pcap", "-f", "udp", "-w", "new.pcap", "-f", "tcp",
                            "-w", "old.pcap", "--no-clobber", says="old.pcap")
        self.split("-f", "udp", "-w", "new.pcap", "--no-clobber")
        for more in (["-C", "1"], ["-b", "packets:5"]):
            self.assert_refused("split", "-r", "in.pcap", "-w", "other.pcap", "--no-clobber",
                                *more, says="without rotation")
        self.assert_refused("split", "-r", "in.pcap", "-w", "%Y.pcap", "--no-clobber",
                            says="fixed names")
        self.assertEqual(self.packets_of("new.pcap"), self.source)

    def test_unknown_filters(self):
        for expression, says in (("nonsense words", "nonsense"), ("udp and", "syntax|end"),
                                 ("port 99999999", "99999999|port"), ("((udp)", "syntax|end"),
                                 ("host 300.1.1.1", "300"), ("wlan type mgt", "wlan|802.11")):
            self.assert_refused("split", "-r", "in.pcap", "-f", "tcp", "-w", "a.pcap", "-f",
                                expression, "-w", "b.pcap", says=says)
            self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", expression, says=says)
        done = self.assert_refused("split", "-r", "in.pcap", "-f", "tcp", "-w", "a.pcap", "-f",
                                   "nonsense", "-w", "b.pcap")
        self.assertIn("rule2", done.err)

    def test_a_bad_global_filter(self):
        self.assert_refused("split", "-r", "in.pcap", "-f", "tcp", "-w", "a.pcap", "nonsense x",
                            says="nonsense")

    def test_host_names_need_resolve(self):
        for expression in ("host localhost", "src host www.example.org", "net example",
                           "localhost", "udp and host localhost"):
            self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", expression,
                                says="--resolve")
        self.split("-w", "a.pcap", "host localhost", "--resolve")

    def test_what_is_not_in_this_version(self):
        for arguments in (["-W", "5", "-G", "60"], ["-U"],
                          ["-b", "printname:stdout"]):
            self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", *arguments,
                                says="not in this version")
        for name in ("a.pcap.gz", "a.pcapng.zstd", "a.lz4"):
            self.assert_refused("split", "-r", "in.pcap", "-w", name, says="not in.*this version")

    def test_files_and_devices_do_not_mix(self):
        self.assert_refused("-r", "in.pcap", "-i", "lo", "-w", "a.pcap", says="-r does not go with")
        self.assert_refused("-r", "in.pcap", "-w", "a.pcap", "--queues", "2",
                            says="--queues is for live")
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-i", "lo",
                            says="does not belong")
        self.assert_refused("capture", "-w", "a.pcap", says="-i DEVICE")
        self.assert_refused("-i", "lo", "-w", "a.pcap", "--fanout", "odd", says="hash, cpu, qm")
        self.assert_refused("-i", "lo", "-w", "a.pcap", "-y", "RAW", says="-y")

    def test_unknown_options_and_commands(self):
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "--frobnicate", says="frob")
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-X", says="-X")
        self.assert_refused("split", "-r", says="-r.*value")
        self.assert_refused("splt", "-r", "in.pcap", "-w", "a.pcap", says="splt")
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "--seed", "3",
                            says="--seed")

    def test_bad_numbers(self):
        for option, values in {
                "-t": ["0", "-1", "x", "1025", "", "1.5", "99999999999999999999"],
                "-c": ["0", "-5", "x", "1K"], "-s": ["-1", "x", "4294967296"],
                "-C": ["0", "-1", "x", "1p", "1kk"],
                "-b": ["packets:0", "packets:x", "filesize:0", "nothing:3", "packets"],
                "--buffer": ["0", "1000", "x", "-1"], "--chunk-size": ["100", "1000", "x"],
                "--batch-packets": ["0", "x"], "--sync": ["maybe"], "--direct": ["maybe", ""],
                "--time-precision": ["ms"],
                "-y": ["NOTHING"], "--filter-engine": ["magic"],
                "--filter-time": ["0", "-1", "x", "1w", "nan", "inf", "1e9", ""],
                "--filter-memory": ["0", "1000", "x"]}.items():
            for value in values:
                done = self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", option, value)
                self.assertIn(option, done.err)
        for value in ("1/0", "1/x", "2/3", "1", "100", "", "1/4294967296"):
            self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap",
                                "--verify-filters=" + value, says="--verify-filters")

    def test_standard_input_can_be_taken_once(self):
        for content in (e2e.pcap(self.packets), b"rules: {a: {filter: udp, write: a.pcap}}"):
            self.assert_refused("split", "-r", "-", "-r", "-", "-w", "a.pcap", input=content,
                                says="standard input")
            self.assert_refused("split", "-r", "-", "-R", "-", input=content,
                                says="standard input")

    def test_bad_templates(self):
        for name, says in (("{nothing}.pcap", "nothing"), ("{rule.pcap", r"\{"), ("", "output|name"),
                           ("%Q.pcap", "%Q"), ("folder/", "/"), ("a\nb.pcap", "control")):
            self.assert_refused("split", "-r", "in.pcap", "-w", name, says=says)

    def test_rules_and_pairs_cannot_be_mixed(self):
        self.write("rules.yaml", e2e.rules_yaml([("a", "udp", {"write": "a.pcap"})]))
        for arguments in (["-w", "b.pcap"], ["-f", "udp", "-w", "b.pcap"], ["-f", "udp"]):
            self.assert_refused("split", "-r", "in.pcap", "-R", "rules.yaml", *arguments,
                                says="-R")

    def test_two_expressions(self):
        self.write("filter", "udp")
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-F", "filter", "tcp",
                            says="-F")

    def test_rules_file_errors_name_file_and_line(self):
        for text, line, says in (
                ("rules:\n  a:\n    filter: udp\n    wirte: a.pcap\n", 4, "wirte.*write"),
                ("rules:\n  a:\n    filter: udp\n", 2, "write"),
                ("rules:\n  a:\n    write: a.pcap\n", 2, "filter"),
                ("mode: best\nrules:\n  a: {filter: udp, write: a}\n", 1, "best"),
                ("rules:\n  a: {filter: udp, write: a}\n  b: {filter: udp, write: b}\n"
                 "  a: {filter: tcp, write: c}\n", 4, "a is there|twice"),
                ("rules:\n  a: {filter: udp, write: a, snaplen: many}\n", 2, "many"),
                ("rules:\n  a: {filter: udp, write: a, rotate: {size: big}}\n", 2, "big"),
                ("rules:\n  a: {filter: udp, write: a, rotate: {every: soon}}\n", 2,
                 "every.*suffixes.*soon"),
                ("rules:\n  a: {filter: udp, write: a, every: 1h}\n", 2, "unknown key 'every'"),
                ("rules:\n  a: {filter: udp, write: a, files: 3}\n", 2, "unknown key 'files'"),
                ("rules:\n  a: *b\n", 2, "alias"),
                ("rules: [a, b]\n", 1, "mapping"),
                ("rules:\n  a: {filter: udp\n", None, "YAML"),
                ("rules:\n  ../a: {filter: udp, write: a}\n", 2, "name"),
                ("rules:\n  a:\n    write: a.pcap\n    filter: nonsense words\n", 4, "nonsense"),
                ("rules:\n  a: {filter: udp, write: x.pcap}\n  b: {filter: tcp, write: x.pcap}\n",
                 None, "x.pcap|b"),
                ("", 1, "empty"), ("rules:\n", 1, "rules")):
            path = self.write("bad.yaml", text)
            where = rf"bad\.yaml:{line if line else '[0-9]+'}: .*({says})" if line else says
            for arguments in (["split", "-r", "in.pcap", "-R", "bad.yaml"], ["check", "bad.yaml"]):
                if arguments[0] == "check":
                    done = e2e.capweir(*arguments, cwd=self.directory)
                    self.assertEqual(done.status, 2, text + e2e.text_of(done))
                    self.assertRegex(done.err, re.compile(where, re.I | re.S), text)
                else:
                    self.assert_refused(*arguments, says=where)
            os.unlink(path)
        self.assert_refused("split", "-r", "in.pcap", "-R", "missing.yaml", says="missing.yaml")

    def test_a_rule_legal_for_one_of_two_link_types_is_a_warning_and_exit_1(self):
        frame = e2e.udp_frame(1, 2, 3, 4)
        self.write("two.pcapng", e2e.section() + e2e.interface() + e2e.interface(e2e.RAW) +
                   e2e.enhanced(0, 1, frame) + e2e.enhanced(1, 2, frame[14:]))
        report, done = self.run_json("split", "-r", self.path("two.pcapng"), "-f",
                                     "ether src 02:00:00:00:00:02", "-w", self.path("a.pcapng"),
                                     status=1)
        self.assertEqual(report["rules"][0]["written"], 1)
        self.assertIn("rule1", done.err)
        self.assertIn("never matches", done.err)

    # ---- outputs ----

    def test_an_expression_as_in_tcpdump(self):
        self.run_ok("-r", "in.pcap", "-w", "out.pcap", "udp port 1001", cwd=self.directory)
        self.assertEqual(self.packets_of("out.pcap"), self.source[1::10])
        self.run_ok("-n", "-r", "in.pcap", "-w", "words.pcap", "udp", "port", "1001",
                    cwd=self.directory)
        self.assertEqual(self.packets_of("words.pcap"), self.source[1::10])
        self.write("filter", "udp port 1001\n")
        self.run_ok("-r", "in.pcap", "-w", "file.pcap", "-F", "filter", cwd=self.directory)
        self.assertEqual(self.packets_of("file.pcap"), self.source[1::10])

    def test_the_tcpdump_line_gives_the_file_of_tcpdump(self):
        e2e.need("tcpdump")
        self.run_ok("-r", "in.pcap", "-w", "out.pcap", "udp port 1001", cwd=self.directory)
        status, content, err = e2e.tcpdump(self.input, "udp port 1001", nano=False)
        self.assertEqual(status, 0, err)
        self.assertEqual(self.read("out.pcap"), content)

    def test_pairs_in_either_order_and_a_global_filter(self):
        self.split("-w", "a.pcap", "-f", "udp port 1001", "-f", "udp port 1002", "-w", "b.pcap",
                   "dst", "host", "10.0.0.3")
        both = [[packet for index, packet in enumerate(self.source)
                 if index % 7 == 1 and index % 10 == port] for port in (1, 2)]
        self.assertEqual([self.packets_of("a.pcap"), self.packets_of("b.pcap")], both)
        report, _ = self.run_json("split", "-r", self.input, "-f", "udp port 1001", "-w",
                                  self.path("a.pcap"), "dst host 10.0.0.3")
        prefiltered = report["books"]["prefiltered"]
        self.assertEqual(prefiltered, len([0 for index in range(100) if index % 7 != 1]))

    def test_one_output_without_filter_takes_everything(self):
        self.split("-w", "all.pcap")
        self.assertEqual(self.packets_of("all.pcap"), self.source)

    def test_rules_that_match_nothing_give_valid_empty_files(self):
        for name in ("none.pcap", "none.pcapng", "{rule}.pcap", "{seq}.pcap"):
            with self.subTest(name=name):
                report, _ = self.run_json("split", "-r", self.input, "-f", "tcp", "-w",
                                          self.path(name))
                (file,) = report["rules"][0]["files"]
                capture = e2e.read_capture(file)
                self.assertEqual(capture.packets, [])
                if capture.format == "pcap":
                    self.assertEqual((capture.linktype, capture.snaplen), (1, 262144))
        report, _ = self.run_json("split", "-r", self.input, "-f", "tcp", "-w",
                                  self.path("%Y.pcap"))
        self.assertEqual(report["rules"][0]["files"], [])
        self.assertFalse(os.path.exists(self.path("2023.pcap")))

    def test_an_input_without_packets(self):
        for content in (e2e.pcap([]), e2e.section(), e2e.section() + e2e.interface()):
            path = self.write("empty", content)
            report, _ = self.run_json("split", "-r", path, "-w", self.path("none.pcap"))
            self.assertEqual(report["packets"], 0)
            self.assertEqual(self.packets_of("none.pcap"), [])

    def test_names_from_rule_and_sequence(self):
        self.write("rules.yaml", e2e.rules_yaml(
            [("dns", "udp port 1001"), ("web", "udp port 1002")],
            defaults="{write: '{rule}-{seq}.pcap', rotate: {packets: 4}}"))
        self.split("-R", "rules.yaml")
        self.assertEqual(sorted(name for name in os.listdir(self.directory)
                                if name.startswith(("dns", "web"))),
                         [f"{rule}-{number}.pcap" for rule in ("dns", "web")
                          for number in range(3)])
        self.assertEqual(self.packets_of("dns-1.pcap"), self.source[1::10][4:8])

    def test_names_from_interfaces_are_made_safe(self):
        frame = e2e.udp_frame(1, 2, 3, 4)
        self.write("two.pcapng", e2e.section() + e2e.interface(name="../eth/0") +
                   e2e.enhanced(0, 1, frame))
        os.mkdir(self.path("out"))
        self.run_ok("split", "-q", "-r", self.path("two.pcapng"), "-o", self.path("out"), "-w",
                    "x-{iface}.pcap")
        (name,) = os.listdir(self.path("out"))
        self.assertRegex(name, r"^x-[^/]*eth_0\.pcap$")

    def test_names_from_interfaces_lead_nowhere_else(self):
        frame = e2e.udp_frame(1, 2, 3, 4)
        os.makedirs(self.path("out", "in"))
        for name in ("..", ".", "...", "/", "a\nb", "../..", "\x7f"):
            self.write("evil.pcapng", e2e.section() + e2e.interface(name=name) +
                       e2e.enhanced(0, 1, frame))
            for template in ("{iface}/in.pcap", "{iface}.pcap", "{iface}", "{iface}./a", ".{iface}"):
                before = snapshot(self.directory)
                e2e.capweir("split", "-q", "-r", self.path("evil.pcapng"), "-o",
                            self.path("out", "in"), "-w", template)
                for path in set(snapshot(self.directory)) - set(before):
                    self.assertTrue(path.startswith(self.path("out", "in") + "/"), path)
                    self.assertTrue(path.isprintable(), path)

    def test_names_from_the_first_packets_time(self):
        stamp = 1_700_000_000
        environment = dict(os.environ, TZ="XXX-05:30")
        self.split("-w", "utc-%Y%m%d-%H%M%S.pcap", "--utc", env=environment)
        self.split("-w", "here-%Y%m%d-%H%M%S.pcap", env=environment)
        for prefix, offset in (("utc", 0), ("here", 5 * 3600 + 1800)):
            name = prefix + time.strftime("-%Y%m%d-%H%M%S.pcap", time.gmtime(stamp + offset))
            self.assertEqual(self.packets_of(name), self.source)

    def test_repeated_names_get_numbers_and_never_overwrite(self):
        self.split("-w", "%Y.pcap", "-b", "packets:30", "--utc")
        names = ["2023.pcap", "2023.1.pcap", "2023.2.pcap", "2023.3.pcap"]
        self.assertEqual([packet for name in names for packet in self.packets_of(name)],
                         self.source)

    def test_braces_and_percent_signs_stand_for_themselves_when_doubled(self):
        self.split("-w", "a{{b}}%%.pcap")
        self.assertEqual(self.packets_of("a{b}%.pcap"), self.source)

    def test_a_directory_for_relative_outputs(self):
        os.mkdir(self.path("out"))
        self.split("-o", "out", "-f", "udp", "-w", "a.pcap", "-f", "udp", "-w",
                   self.path("absolute.pcap"))
        self.assertEqual(self.packets_of("out/a.pcap"), self.source)
        self.assertEqual(self.packets_of("absolute.pcap"), self.source)

    def test_the_magic_follows_the_source_or_the_option(self):
        nano = self.write("ns.pcap", e2e.pcap([(1_000_000_007, b"\0" * 60)], ns=True))
        tagged = self.write("ns.pcapng", e2e.section() + e2e.interface() +
                            e2e.enhanced(0, 5, b"\0" * 60))
        swapped = self.write("be.pcap", e2e.pcap(self.packets, order=">"))
        for path, more, is_ns, precision in (
                (self.input, [], False, 1), (swapped, [], False, 1), (nano, [], True, 1),
                (tagged, [], True, 1), (nano, ["--time-precision", "us"], False, 1000),
                (self.input, ["--time-precision", "ns"], True, 1)):
            self.run_ok("split", "-q", "-r", path, "-w", self.path("out.pcap"), *more)
            capture = e2e.read_capture(self.path("out.pcap"))
            self.assertEqual(capture.is_ns, is_ns, f"{path} {more}")
            self.assertEqual(capture.packets[0].ts_ns,
                             e2e.read_capture(path).packets[0].ts_ns // precision * precision)
            native = "<" if struct.pack("=H", 1) == b"\1\0" else ">"
            magic = struct.unpack(native + "I", self.read("out.pcap")[:4])[0]
            self.assertEqual(magic, 0xa1b23c4d if is_ns else 0xa1b2c3d4)
        self.run_ok("split", "-q", "-r", self.input, "-r", nano, "-w", self.path("out.pcap"))
        self.assertTrue(e2e.read_capture(self.path("out.pcap")).is_ns)

    def test_pipes_of_pcapng_count_as_nanoseconds(self):
        content = e2e.section() + e2e.interface() + e2e.enhanced(0, 5, b"\0" * 60)
        self.run_ok("split", "-q", "-r", "-", "-w", self.path("out.pcap"), input=content)
        self.assertTrue(e2e.read_capture(self.path("out.pcap")).is_ns)

    def test_the_snaplen_field_is_the_largest_of_the_inputs_or_the_rules(self):
        one = self.write("one.pcap", e2e.pcap(self.packets, snaplen=1000))
        two = self.write("two.pcap", e2e.pcap(self.packets, snaplen=2000))
        for arguments, wanted in (([], 2000), (["-s", "70"], 70), (["-s", "0"], 2000)):
            self.run_ok("split", "-q", "-r", one, "-r", two, "-w", self.path("out.pcap"),
                        *arguments)
            self.assertEqual(e2e.read_capture(self.path("out.pcap")).snaplen, wanted)

    def test_a_snaplen_cuts_after_filtering(self):
        self.split("-w", "cut.pcap", "-s", "20", "udp port 1001")
        self.assertEqual(self.packets_of("cut.pcap"),
                         [(ts, 20, length, data[:20]) for ts, _, length, data in
                          self.source[1::10]])

    def test_pcapng_keeps_names_and_comments_and_says_nothing_of_this_machine(self):
        frame = e2e.udp_frame(1, 2, 3, 4)
        self.write("in.pcapng", e2e.section() + e2e.interface(name="eth7", resolution=9) +
                   e2e.enhanced(0, 123, frame, comment="a remark"))
        self.run_ok("split", "-q", "-r", self.path("in.pcapng"), "-w", self.path("out.pcapng"))
        capture = e2e.read_capture(self.path("out.pcapng"))
        ((_, _, units, _, options),) = capture.interfaces
        self.assertEqual((units, dict(options)[2]), (e2e.NS, b"eth7"))
        content = self.read("out.pcapng")
        self.assertIn(b"a remark", content)
        self.assertNotIn(os.uname().nodename.encode(), content)

    def test_tshark_opens_what_was_written(self):
        e2e.need("capinfos")
        self.split("-f", "udp", "-w", "a.pcap", "-f", "udp", "-w", "a.pcapng", "-f", "tcp", "-w",
                   "none.pcapng")
        for name in ("a.pcap", "a.pcapng", "none.pcapng"):
            done = subprocess.run(["capinfos", self.path(name)], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_outputs_are_private(self):
        os.umask(0o022)
        self.split("-f", "udp", "-w", "a.pcap", "-f", "tcp", "-w", "b.pcapng")
        self.run_ok("generate", "-w", self.path("g.pcap"), "--packets", 1)
        for name in ("a.pcap", "b.pcapng", "g.pcap"):
            self.assertEqual(stat.S_IMODE(os.stat(self.path(name)).st_mode), 0o600)

    def test_an_existing_output_is_replaced_whole(self):
        self.write("out.pcap", b"precious" * 10000)
        os.link(self.path("out.pcap"), self.path("old"))
        self.split("-w", "out.pcap")
        self.assertEqual(self.packets_of("out.pcap"), self.source)
        self.assertEqual(self.read("old"), b"precious" * 10000, "it was written in place")
        self.assert_no_parts()

    def test_an_existing_output_stays_until_the_run_is_over(self):
        self.write("out.pcap", b"precious")
        process = e2e.start("split", "-q", "-r", "-", "-w", self.path("out.pcap"),
                            stdin=subprocess.PIPE)
        process.stdin.write(e2e.pcap(self.packets))
        process.stdin.flush()
        time.sleep(0.3)
        self.assertEqual(self.read("out.pcap"), b"precious")
        process.stdin.close()
        process.stdin = None
        self.assertEqual(e2e.finish(process).status, 0)
        self.assertEqual(self.packets_of("out.pcap"), self.source)

    def test_a_link_is_replaced_and_not_what_it_leads_to(self):
        self.write("target.pcap", b"precious")
        os.symlink("target.pcap", self.path("link.pcap"))
        self.split("-w", "link.pcap")
        self.assertEqual(self.read("target.pcap"), b"precious")
        self.assertFalse(os.path.islink(self.path("link.pcap")))

    def test_standard_output_gives_what_the_file_gives(self):
        self.split("-w", "out.pcap", "udp port 1001")
        done = self.split("-w", "-", "udp port 1001")
        self.assertEqual(done.out, self.read("out.pcap"))
        done = self.run_ok("split", "-r", self.input, "-w", "-")
        self.assertEqual(e2e.essence(e2e.parse_capture(done.out).packets), self.source)
        self.assertIn("books balance", done.err)

    def test_sync_close_gives_the_same_file(self):
        self.split("-w", "off.pcap")
        report, _ = self.run_json("split", "-r", self.input, "-w", self.path("close.pcap"),
                                  "--sync", "close")
        self.assertTrue(report["durable"])
        self.assertEqual(self.read("close.pcap"), self.read("off.pcap"))

    def test_a_link_type_can_be_overridden(self):
        frames = [(one, data[14:]) for one, data in self.packets]
        raw = self.write("raw.pcap", e2e.pcap(frames))
        self.run_ok("split", "-q", "-r", raw, "-y", "RAW", "-w", self.path("out.pcap"),
                    "udp port 1001")
        capture = e2e.read_capture(self.path("out.pcap"))
        self.assertEqual((len(capture.packets), capture.linktype), (10, e2e.RAW))

    # ---- reports ----

    def test_the_report_has_every_field(self):
        report, done = self.run_json("split", "-r", self.input, "-f", "udp port 1001", "-w",
                                     self.path("a.pcap"), "-f", "unmatched", "-w",
                                     self.path("rest.pcap"))
        self.assertEqual(report["version"], 1)
        self.assertEqual(report["packets"], 100)
        self.assertEqual(report["bytes"], sum(one[1] for one in self.source))
        self.assertIsInstance(report["elapsed_s"], float)
        self.assertIsNone(report["durable"])
        (one,) = report["inputs"]
        self.assertEqual((one["file"], one["packets"], one["bytes"], one["file_bytes"]),
                         (self.input, 100, report["bytes"], os.path.getsize(self.input)))
        rule, rest = report["rules"]
        self.assertEqual((rule["name"], rule["filter"], rule["matched"], rule["written"],
                          rule["files"]),
                         ("rule1", "udp port 1001", 10, 10, [self.path("a.pcap")]))
        self.assertEqual(rule["bytes"], sum(one[1] for one in self.source[1::10]))
        self.assertEqual(rule["file_bytes"], os.path.getsize(self.path("a.pcap")))
        self.assertEqual(set(rule["lost"]), {
            "disk_full", "io_error", "quota", "fd_limit", "rotate", "compress", "link_type",
            "unrepresentable", "backlog", "shutdown"})
        self.assertEqual((rest["name"], rest["written"]), ("rule2", 90))
        books = report["books"]
        self.assertEqual((books["received"], books["matched_any"], books["unmatched"],
                          books["in_files"], books["lost"]), (100, 10, 90, 100, 0))
        self.check_files(report)
        self.assertEqual(done.err, "")

    def test_samples_are_checked_against_libpcap(self):
        arguments = ("split", "-r", self.input, "-f", "udp port 1001", "-w", self.path("a.pcap"))
        report, _ = self.run_json(*arguments)
        self.assertIsNone(report["verify"])
        for option, every, sampled in (("", 100, 1), ("=1/1", 1, 100), ("=1/33", 33, 4)):
            report, done = self.run_json(*arguments, "--verify-filters" + option)
            self.assertEqual(report["verify"],
                             {"every": every, "sampled": sampled, "differences": 0})
            self.assertEqual(done.err, "")
        done = self.run_ok(*arguments, "--verify-filters=1/2")
        self.assertIn("50 packets checked against libpcap, 1 in 2: no differences", done.err)

    def test_captured_bytes_count_as_cut(self):
        report, _ = self.run_json("split", "-r", self.input, "-w", self.path("a.pcap"), "-s", "20")
        self.assertEqual(report["rules"][0]["bytes"], 2000)

    def test_a_report_that_cannot_be_written_is_exit_1(self):
        with open("/dev/full", "wb") as full:
            done = e2e.capweir("split", "-r", self.input, "-w", self.path("a.pcap"), "--json",
                               stdout=full)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("report", done.err)
        self.assertEqual(self.packets_of("a.pcap"), self.source)

    def test_a_packet_count_does_not_wait_for_the_end_of_a_pipe(self):
        process = e2e.start("split", "-q", "-r", "-", "-w", self.path("out.pcap"), "-c", "5",
                            stdin=subprocess.PIPE)
        process.stdin.write(e2e.pcap(self.packets))
        process.stdin.flush()
        process.wait(e2e.TIMEOUT)
        process.stdin.close()
        process.stdin = None
        self.assertEqual(e2e.finish(process).status, 0)
        self.assertEqual(self.packets_of("out.pcap"), self.source[:5])

    def test_the_table_balances(self):
        done = self.run_ok("split", "-r", self.input, "-f", "udp port 1001", "-w",
                           self.path("a.pcap"))
        self.assertIn("the books balance", done.err)
        self.assertIn("100 packets read", done.err)
        self.assertEqual(done.out, b"")
        self.assertEqual(self.split("-w", "b.pcap").err, "")

    # ---- the other commands ----

    def test_help_and_version(self):
        for arguments in (["--help"], ["split", "--help"], ["check", "--help"],
                          ["inspect", "--help"], ["generate", "--help"], ["bench", "--help"],
                          ["devices", "--help"]):
            done = self.run_ok(*arguments)
            self.assertIn(b"usage: capweir", done.out)
        self.assertRegex(self.run_ok("--version").out, rb"capweir \d+\.\d+")
        self.assertEqual(e2e.capweir().status, 2)

    def test_check(self):
        self.write("good.yaml", e2e.rules_yaml([("a", "udp", {"write": "a.pcap"}),
                                                ("b", "1 = 2", {"write": "b.pcap"})]))
        before = snapshot(self.directory)
        done = self.run_ok("check", "good.yaml", cwd=self.directory)
        self.assertRegex(done.out, rb"2 rules, 0 errors")
        self.assertEqual(snapshot(self.directory), before)
        self.write("bad.yaml", e2e.rules_yaml([("a", "udp", {"write": "a.pcap"}),
                                               ("b", "nonsense", {"write": "b.pcap"}),
                                               ("c", "wlan type mgt", {"write": "c.pcap"})]))
        done = e2e.capweir("check", "bad.yaml", cwd=self.directory)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        for line in (6, 9):
            self.assertIn(f"bad.yaml:{line}: ", done.err)
        self.assert_refused("check", says="rules file")

    # ---- limits of compiling ----

    def heavy_rules(self, hosts):
        """A rules file; its rule 'blocklist' or-s so many hosts, which libpcap is slow at."""
        text = " or ".join(f"host 10.{i % 200}.{i // 256}.{i * 7 % 256}" for i in range(hosts))
        self.write("heavy.yaml", e2e.rules_yaml([("good", "udp", {"write": "good.pcap"}),
                                                 ("blocklist", text, {"write": "heavy.pcap"})]))

    def test_a_filter_that_takes_too_long_is_an_error_that_names_the_rule(self):
        self.heavy_rules(1500)
        says = r"rule blocklist: .*even unoptimised, takes longer than 0\.5 s \(--filter-time"
        start = time.monotonic()
        self.assert_refused("split", "-r", "in.pcap", "-R", "heavy.yaml", "--filter-time", "0.5",
                            says=says)
        self.assertLess(time.monotonic() - start, 60)
        done = e2e.capweir("check", "heavy.yaml", "--filter-time", "0.5", cwd=self.directory)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertRegex(done.err, says)
        self.assertIn(b"2 rules, 1 errors", done.out)
        text = self.read("heavy.yaml").decode().splitlines()[-2].partition("filter: ")[2]
        self.assert_refused("-r", "in.pcap", "-w", "a.pcap", "--filter-time", "0.2",
                            text.strip("'\""), says="rule1: .*longer than 0.2 s")

    def test_a_filter_that_takes_long_to_optimise_is_a_warning(self):
        self.heavy_rules(600)
        for limit in (1, 2, 4, 8, 16, 32):  # one is between the times with and without optimising
            done = e2e.capweir("split", "-q", "-r", "in.pcap", "-R", "heavy.yaml",
                               "--filter-time", limit, cwd=self.directory)
            if done.status != 2:
                break
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertRegex(done.err, f"warning: .*rule blocklist: .*is not optimised, which takes "
                                   f"longer than {limit} s")
        self.assertEqual(self.packets_of("good.pcap"), self.source)
        wanted = self.packets_of("heavy.pcap")
        done = self.split("-R", "heavy.yaml", "--filter-time", 10 * limit, "-O")
        self.assertEqual(done.err, "")
        self.assertEqual(self.packets_of("heavy.pcap"), wanted)

    def test_filters_are_compiled_where_no_process_can_be_started(self):
        self.write("rules.yaml", e2e.rules_yaml([("a", "udp", {"write": "a.pcap"})]))
        done = e2e.capweir("check", "rules.yaml", cwd=self.directory,
                           limits=[(resource.RLIMIT_NOFILE, 4)])
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertRegex(done.err, "warning: no process can be started for filters: .*without lim")
        self.assertIn(b"1 rules, 0 errors", done.out)

    def test_a_lost_compile_process_is_exit_1(self):
        self.heavy_rules(1500)
        run = e2e.start("check", "heavy.yaml", "--filter-time", 60, cwd=self.directory)
        deadline = time.monotonic() + 60
        helper = worker = None
        # Before it compiles, its loss is one of start-up, and filters are compiled without it.
        while worker is None or e2e.cpu_seconds_of(worker) < 0.1:
            self.assertIsNone(run.poll(), "it ends before it compiles")
            self.assertLess(time.monotonic(), deadline)
            helper = e2e.child_of(run.pid)
            worker = e2e.child_of(helper) if helper else None
        os.kill(helper, signal.SIGKILL)
        done = e2e.finish(run, timeout=20)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("the process that compiles filters is lost", done.err)

    def test_inspect(self):
        done = self.run_ok("inspect", self.input)
        self.assertIn(b"pcap", done.out)
        self.assertIn(b"100", done.out)
        done = self.run_ok("inspect", "--json", self.input)
        (found,) = json.loads(done.out)
        self.assertEqual((found["format"], found["packets"], found["bytes"], found["damage"],
                          found["compression"], found["nanoseconds"]),
                         ("pcap", 100, sum(one[1] for one in self.source), None, "none", False))
        self.assertEqual((found["first_ns"], found["last_ns"]),
                         (self.source[0][0], self.source[-1][0]))
        self.assertEqual(found["interfaces"][0]["linktype_value"], 1)

    def test_inspect_tells_damage(self):
        damaged = self.write("damaged.pcap", e2e.pcap(self.packets)[:-3])
        done = e2e.capweir("inspect", "--json", damaged)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        (found,) = json.loads(done.out)
        self.assertEqual(found["packets"], 99)
        self.assertTrue(found["damage"])
        done = e2e.capweir("inspect", self.write("text", b"no capture file at all"), self.input)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("text", done.err)
        self.assertIn(b"100", done.out)
        self.assert_refused("inspect", says="files")

    def test_inspect_agrees_with_split_over_the_corpus(self):
        rows = [row for row in e2e.corpus() if "unknown data link type" not in row["tcpdump_msg"]]
        for row in rows[::max(1, int(4 / e2e.SCALE))]:
            with self.subTest(file=row["file"]):
                done = e2e.capweir("inspect", "--json", row["path"])
                self.assertIn(done.status, (0, 1), e2e.text_of(done))
                (found,) = json.loads(done.out)
                split = e2e.capweir("split", "-q", "-r", row["path"], "-w",
                                    self.path("out.pcapng"))
                self.assertEqual(split.status, done.status, e2e.text_of(split))
                if "error" in found:
                    self.assertFalse(os.path.exists(self.path("out.pcapng")))
                else:
                    self.assertEqual(len(e2e.read_capture(self.path("out.pcapng")).packets),
                                     found["packets"])
                    os.unlink(self.path("out.pcapng"))

    def test_generate_is_deterministic(self):
        for profile in ("imix", "small", "large", "mix"):
            contents = []
            for seed in (1, 1, 2):
                e2e.generate(self.path("g.pcap"), e2e.scaled(2000, 200), profile, seed)
                contents.append(self.read("g.pcap"))
            self.assertEqual(contents[0], contents[1])
            self.assertNotEqual(contents[0], contents[2])
            self.assertEqual(len(e2e.parse_capture(contents[0]).packets), e2e.scaled(2000, 200))
        e2e.generate(self.path("more.pcap"), e2e.scaled(4000, 400), "mix", 1)
        e2e.generate(self.path("less.pcap"), e2e.scaled(2000, 200), "mix", 1)
        self.assertTrue(self.read("more.pcap").startswith(self.read("less.pcap")))
        self.run_ok("generate", "-w", self.path("g.pcapng"), "--packets", e2e.scaled(2000, 200),
                    "--profile", "mix")
        self.assertEqual(len(self.packets_of("g.pcapng")), e2e.scaled(2000, 200))

    def test_generate_refuses_what_it_cannot_do(self):
        self.assert_refused("generate", says="-w")
        self.assert_refused("generate", "-w", "g.pcap", "--profile", "nothing", says="nothing")
        self.assert_refused("generate", "-w", "g.pcap", "--packets", "many", says="--packets")
        self.assert_refused("generate", "-w", "g.pcap.zst", says="not in.*this version")
        self.assert_refused("generate", "-w", "in.pcap", "--no-clobber", "--packets", "1",
                            says="in.pcap")
        done = e2e.capweir("generate", "-w", "/dev/full", "--packets", "100")
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("No space", done.err)


if __name__ == "__main__":
    e2e.main()
