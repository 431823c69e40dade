# SPDX-License-Identifier: BSD-3-Clause
"""Command lines that are refused before anything is written."""
import json
import os
import re
import socket
import subprocess

import command
import e2e


class Refused(command.Test):
    def test_unpaired_filters_and_outputs_are_refused(self):
        for arguments in (["-f", "udp"], ["-f", "udp", "-f", "tcp", "-w", "a.pcap"],
                          ["-f", "udp", "-w", "a.pcap", "-w", "b.pcap"],
                          ["-w", "a.pcap", "-w", "b.pcap"]):
            self.assert_refused("split", "-r", "in.pcap", *arguments, says="-w")

    def test_a_run_needs_an_output(self):
        self.assert_refused("split", "-r", "in.pcap", says="no output.*-w dns.pcap")
        self.assert_refused("split", "-r", "in.pcap", "udp",
                            says=r"no output.*-w - .*tcpdump -r -")
        self.assert_refused("-r", "in.pcap", "udp", says="no output.*-w")

    def test_a_run_needs_an_input(self):
        self.assert_refused("split", "-w", "a.pcap", says="no input.*-r")
        self.assert_refused("-w", "a.pcap", says="no input.*-r")

    def test_a_hook_must_be_executable(self):
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-z", "no-such-program",
                            says="rule1: hook 'no-such-program' is not an executable.*PATH")
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-z", "gzip -9",
                            says=r"'gzip -9' is not an executable.*hook: \[PROGRAM, ARGUMENT\]")

    def test_asking_needs_a_running_capture(self):
        for name in ("stats", "top", "control"):
            self.assert_refused(name, *["stats"] * (name == "control"), says="--control PATH")
        path = self.path("nobody")
        for _ in range(2):  # without a file, then with a socket without a listener
            done = e2e.capweir("stats", "--control", path)
            self.assertEqual(done.status, 1)
            self.assertIn(f"no running capture at {path}: start one with", done.err)
            if not os.path.exists(path):
                with socket.socket(socket.AF_UNIX) as deaf:
                    deaf.bind(path)
        done = e2e.capweir("stats", "--control", "/" + "x" * 200)
        self.assertIn("the limit is 107 bytes", done.err)

    def test_a_report_and_packets_cannot_share_standard_output(self):
        self.assert_refused("split", "-r", "in.pcap", "-w", "-", "--json", says="--json")
        rules = e2e.rules_yaml([("a", "udp", {"write": "'-'"})])
        self.write("rules.yaml", rules)
        self.assert_refused("split", "-r", "in.pcap", "-R", "rules.yaml", "--json", says="--json")

    def test_an_output_must_not_be_an_input(self):
        os.symlink("in.pcap", self.path("link.pcap"))
        os.link(self.input, self.path("hard.pcap"))
        for name in ("in.pcap", "./in.pcap", self.input, "link.pcap", "hard.pcap"):
            self.assert_refused("split", "-r", "in.pcap", "-w", name, says="input")
        self.assert_refused("split", "-r", "link.pcap", "-w", "in.pcap", says="input")
        other = self.write("second.pcap", e2e.pcap(self.packets))
        self.assert_refused("split", "-r", "in.pcap", "-r", other, "-f", "udp", "-w", "a.pcap",
                            "-f", "tcp", "-w", "second.pcap", says="input")

    def test_two_rules_must_not_share_a_path(self):
        os.mkdir(self.path("folder"))
        os.symlink("folder", self.path("same"))
        for one, two in (("a.pcap", "a.pcap"), ("a.pcap", "./a.pcap"),
                         ("a.pcap", self.path("a.pcap")), ("folder/a.pcap", "folder//a.pcap"),
                         ("folder/a.pcap", "folder/../folder/a.pcap"),
                         ("folder/a.pcap", "same/a.pcap"), ("-", "-"),
                         ("%Y.pcap", "%Y.pcap"), ("{seq}.pcap", "{seq}.pcap")):
            self.assert_refused("split", "-r", "in.pcap", "-f", "udp", "-w", one, "-f", "tcp",
                                "-w", two, says="rule")
        os.symlink("/dev/null", self.path("sink"))
        for one, two in (("/dev/null", "/dev/null"), ("/dev/null", "sink"), ("sink", "sink")):
            self.split("-f", "udp", "-w", one, "-f", "tcp", "-w", two)
            for path in ("/dev/null.1", self.path("sink.1")):
                self.assertFalse(os.path.lexists(path))

    def test_templates_must_not_collide(self):
        self.assert_refused("split", "-r", "in.pcap", "-f", "udp", "-w", "%Y-a.pcap", "-f", "tcp",
                            "-w", "2023-a.pcap", says="rule1.*rule2|rule2.*rule1")

    def test_numbered_names_must_not_be_those_of_another_rule(self):
        self.assert_refused("split", "-r", "in.pcap", "-b", "packets:5", "-f", "udp", "-w",
                            "a.pcap", "-f", "tcp", "-w", "a.1.pcap", says="rule1.*rule2")

    def test_closed_standard_descriptors_stay_closed(self):
        """No other file gets their numbers: no hang, and no packets in a wrong file."""
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

    def test_standard_output_is_recognised_by_other_names(self):
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

    def test_file_names_may_be_invalid_utf8(self):
        name = os.fsencode(self.path("bad")) + b"\xff.pcap"
        with open(name, "wb") as file:
            file.write(self.read("in.pcap"))
        done = e2e.capweir("inspect", "--json", os.fsdecode(name))
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertEqual(len(json.loads(done.out)), 1)

    def test_a_missing_folder_is_refused(self):
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-o", "nowhere",
                            says="nowhere does not exist")
        self.assert_refused("split", "-r", "in.pcap", "-w", "nowhere/a.pcap",
                            says="nowhere does not exist")

    def test_every_rule_that_never_matches_a_link_type_is_reported(self):
        frame = e2e.udp_frame(1, 2, 3, 4)
        self.write("two.pcapng", e2e.section() + e2e.interface() + e2e.interface(e2e.RAW) +
                   e2e.enhanced(0, 1, frame) + e2e.enhanced(1, 2, frame[14:]))
        done = e2e.capweir("split", "-q", "-r", "two.pcapng", "-f", "ether host 0:0:0:0:0:0", "-w",
                           "a.pcapng", "-f", "ether src 0:0:0:0:0:1", "-w", "b.pcapng",
                           cwd=self.directory)
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertRegex(done.err, "rule1")
        self.assertRegex(done.err, "rule2")

        self.write("rules.yaml", "rules: {a: {filter: 'ether host 0:0:0:0:0:0', write: a.pcapng}}")
        done = self.run_ok("check", "rules.yaml", "-r", "two.pcapng", cwd=self.directory)
        self.assertRegex(done.out.decode(), "0 errors, 1 warning")
        self.write("raw.pcapng", e2e.section() + e2e.interface(e2e.RAW))
        done = e2e.capweir("check", "rules.yaml", "-r", "raw.pcapng", cwd=self.directory)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertRegex(done.err, "rule a")

    def test_check_names_the_link_type_once(self):
        for expression in ("wlan host 1", "wlan type mgt", "tcp prot 80", "ip["):
            self.write("rules.yaml", e2e.rules_yaml([("a", expression, {"write": "a.pcap"})]))
            done = e2e.capweir("check", "-y", "RAW", "rules.yaml", cwd=self.directory)
            self.assertEqual(done.status, 2, e2e.text_of(done))
            self.assertEqual(done.err.count("link type RAW"), 1, done.err)

    def test_text_that_cannot_be_written_is_exit_1(self):
        self.write("rules.yaml", "rules: {a: {filter: udp, write: a.pcap}}")
        for arguments in (["--help"], ["split", "--help"], ["--version"], ["check", "rules.yaml"]):
            with open("/dev/full", "wb") as full:
                done = e2e.capweir(*arguments, cwd=self.directory, stdout=full)
            self.assertEqual(done.status, 1, f"{arguments}: {e2e.text_of(done)}")

    def test_an_unknown_letter_among_others_is_refused(self):
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-nY", "-s0",
                            says="unknown option -Y")

    def test_no_clobber_refuses_what_exists(self):
        self.write("old.pcap", b"precious")
        self.assert_refused("split", "-r", "in.pcap", "-f", "udp", "-w", "new.pcap", "-f", "tcp",
                            "-w", "old.pcap", "--no-clobber", says="old.pcap")
        self.split("-f", "udp", "-w", "new.pcap", "--no-clobber")
        for more in (["-C", "1"], ["-b", "packets:5"]):
            self.assert_refused("split", "-r", "in.pcap", "-w", "other.pcap", "--no-clobber",
                                *more, says="without rotation")
        self.assert_refused("split", "-r", "in.pcap", "-w", "%Y.pcap", "--no-clobber",
                            says="a fixed name")
        self.assertEqual(self.packets_of("new.pcap"), self.source)

    def test_unknown_filters_are_refused(self):
        for expression, says in (("nonsense words", "nonsense"), ("udp and", "syntax|end"),
                                 ("port 99999999", "99999999|port"), ("((udp)", "syntax|end"),
                                 ("host 300.1.1.1", "300"), ("wlan type mgt", "wlan|802.11")):
            self.assert_refused("split", "-r", "in.pcap", "-f", "tcp", "-w", "a.pcap", "-f",
                                expression, "-w", "b.pcap", says=says)
            self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", expression, says=says)
        done = self.assert_refused("split", "-r", "in.pcap", "-f", "tcp", "-w", "a.pcap", "-f",
                                   "nonsense", "-w", "b.pcap")
        self.assertIn("rule2", done.err)

    def test_a_bad_global_filter_is_refused(self):
        self.assert_refused("split", "-r", "in.pcap", "-f", "tcp", "-w", "a.pcap", "nonsense x",
                            says="nonsense")

    def test_host_names_need_resolve(self):
        for expression in ("host localhost", "src host www.example.org", "net example",
                           "localhost", "udp and host localhost"):
            self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", expression,
                                says="--resolve")
        self.split("-w", "a.pcap", "host localhost", "--resolve")

    def test_unimplemented_options_are_refused(self):
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-b", "printname:stdout",
                            says="not in this version")
        for name in ("a.pcap.gz", "a.pcapng.zstd", "a.lz4"):
            self.assert_refused("split", "-r", "in.pcap", "-w", name, says="not in.*this version")

    def test_files_and_devices_do_not_mix(self):
        self.assert_refused("-r", "in.pcap", "-i", "lo", "-w", "a.pcap", says="-r does not go with")
        self.assert_refused("-r", "in.pcap", "-w", "a.pcap", "--queues", "2",
                            says="--queues is for live")
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-i", "lo",
                            says="does not belong")
        self.assert_refused("capture", "-w", "a.pcap", says="-i INTERFACE")
        self.assert_refused("-i", "lo", "-w", "a.pcap", "--fanout", "odd", says="hash, cpu, qm")
        self.assert_refused("-i", "lo", "-w", "a.pcap", "-y", "RAW", says="-y")

    def test_unknown_options_and_commands_are_refused(self):
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "--frobnicate", says="frob")
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-k", says="-k")
        self.assert_refused("split", "-r", says="-r.*value")
        self.assert_refused("splt", "-r", "in.pcap", "-w", "a.pcap", says="did you mean 'split'")
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "--threds", "2",
                            says="did you mean --threads")
        self.assert_refused("split", "-r", "in.pcap", "in.pcap", "-w", "a.pcap",
                            says="'in.pcap' is not a filter expression.*-r")
        self.assert_refused("check", "-dd", "a.yaml", says="-d does not belong.*inspect filter -d")
        self.assert_refused("bench", "splt", says="did you mean 'split'")
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "--seed", "3",
                            says="--seed")

    def test_bad_numbers_are_refused(self):
        for option, values in {
                "-t": ["0", "1025", "1.5", "99999999999999999999"],  # others: tcpdump's -t
                "--threads": ["0", "-1", "x", "1025", "", "1.5", "99999999999999999999"],
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
                self.assertIn("-t" if option == "--threads" else option, done.err)
        for value in ("1/0", "1/x", "2/3", "1", "100", "", "1/4294967296"):
            self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap",
                                "--verify-filters=" + value, says="--verify-filters")

    def test_an_unknown_link_type_gets_near_names_or_examples(self):
        for word, says in (("EN10M", "did you mean EN10MB"), ("nothing", "EN10MB, RAW")):
            self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-y", word,
                                says=f"-y: unknown link type '{word}'.*{says}")

    def test_standard_input_can_be_read_only_once(self):
        for content in (e2e.pcap(self.packets), b"rules: {a: {filter: udp, write: a.pcap}}"):
            self.assert_refused("split", "-r", "-", "-r", "-", "-w", "a.pcap", input=content,
                                says="standard input")
            self.assert_refused("split", "-r", "-", "-R", "-", input=content,
                                says="standard input")

    def test_bad_templates_are_refused(self):
        for name, says in (("{nothing}.pcap", "nothing"), ("{rule.pcap", r"\{"),
                           ("", "output|name"),
                           ("%Q.pcap", "%Q"), ("folder/", "/"), ("a\nb.pcap", "control")):
            self.assert_refused("split", "-r", "in.pcap", "-w", name, says=says)

    def test_rules_and_pairs_cannot_be_mixed(self):
        self.write("rules.yaml", e2e.rules_yaml([("a", "udp", {"write": "a.pcap"})]))
        for arguments in (["-w", "b.pcap"], ["-f", "udp", "-w", "b.pcap"], ["-f", "udp"]):
            self.assert_refused("split", "-r", "in.pcap", "-R", "rules.yaml", *arguments,
                                says="-R")

    def test_two_expressions_are_refused(self):
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
                 "  a: {filter: tcp, write: c}\n", 4, "a is already"),
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

    def test_a_rule_legal_for_one_of_two_link_types_is_a_warning(self):
        frame = e2e.udp_frame(1, 2, 3, 4)
        raw = e2e.interface(e2e.RAW)
        ethernet = e2e.section() + e2e.interface()
        files = {"start": ethernet + raw + e2e.enhanced(0, 1, frame) + e2e.enhanced(1, 2, frame),
                 "later": ethernet + e2e.enhanced(0, 1, frame) + raw + e2e.enhanced(1, 2, frame),
                 "unknown": ethernet + e2e.interface(65000) + e2e.enhanced(0, 1, frame)}
        for name, content in files.items():
            path = self.write(name + ".pcapng", content)
            report, done = self.run_json(
                "split", "-r", path, "-f", "ether src 02:00:00:00:00:02", "-w",
                self.path("a.pcapng"), "-f", "unmatched", "-w", self.path("b.pcapng"))
            self.assertEqual([rule["written"] for rule in report["rules"]],
                             [1, int(name != "unknown")], name)
            self.assertEqual([rule["illegal_linktypes"] for rule in report["rules"]],
                             [["RAW" if name != "unknown" else "LINKTYPE_65000"], []])
            self.assertTrue(report["complete"])
            self.assertRegex(done.err, "warning: rule rule1: .*never matches")
        self.assert_refused("split", "-r", "start.pcapng", "-f", "wlan type mgt", "-w", "c.pcapng",
                            says="rule rule1: ")


if __name__ == "__main__":
    e2e.main()
