# SPDX-License-Identifier: BSD-3-Clause
"""Reports, help, checks, errors of compiling, and other commands."""
import json
import os
import re
import resource
import shlex
import signal
import struct
import subprocess
import unittest

import command
import e2e


class Reports(command.Test):
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

    def count_of(self, *arguments, status=0):
        done = e2e.capweir(*arguments, "--count", cwd=self.directory)
        self.assertEqual(done.status, status, e2e.text_of(done))
        return done.out.decode(), done.err

    def test_packets_are_counted_without_an_output(self):
        before = sorted(os.listdir(self.directory))
        self.assertEqual(self.count_of("-r", "in.pcap"), ("100 packets\n", ""))
        self.assertEqual(self.count_of("-r", "in.pcap", "udp port 1001")[0], "10 packets\n")
        self.assertEqual(self.count_of("-r", "in.pcap", "-c", 1)[0], "1 packet\n")
        self.assertEqual(self.count_of("-r", "in.pcap", "tcp")[0], "0 packets\n")
        self.assertEqual(sorted(os.listdir(self.directory)), before)
        frame = e2e.udp_frame(1, 2, 3, 4)
        self.write("two.pcapng", e2e.section() + e2e.interface() + e2e.interface(e2e.RAW) +
                   e2e.enhanced(0, 1, b"") + e2e.enhanced(1, 2, frame[14:]) +
                   e2e.enhanced(1, 2 ** 63, frame[14:]))
        self.assertEqual(self.count_of("-r", "two.pcapng", "-r", "in.pcap"), ("103 packets\n", ""))
        self.write("cut.pcap", e2e.pcap(self.packets)[:-1])
        out, err = self.count_of("-r", "cut.pcap", status=1)
        self.assertEqual(out, "99 packets\n")
        self.assertIn("cut.pcap: truncated", err)

    def test_packets_are_counted_beside_outputs(self):
        out, err = self.count_of("-r", "in.pcap", "-w", "a.pcap", "-f", "udp port 1001")
        self.assertEqual(out, "10 packets\n")
        self.assertRegex(err, "rule1 +10 +10 +0 .* a.pcap")
        self.assertEqual(len(self.packets_of("a.pcap")), 10)
        self.assert_refused("split", "-r", "in.pcap", "-w", "-", "--count", says="--count and -w -")
        self.assert_refused("split", "-r", "in.pcap", "-f", "udp", "--count", says="no output")
        self.assert_refused("split", "--count", says="no input")
        self.assert_refused("generate", "--count", says="--count does not belong to generate")
        report, _ = self.run_json("split", "--count", "-r", self.input)
        self.assertEqual((report["books"]["matched_any"], report["books"]["written"]), (100, 0))

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

    def test_a_filter_that_reads_unset_memory_is_warned_about_and_not_compared(self):
        """libpcap's program for it reads memory that another packet's run may have left behind."""
        expression = "geneve and tcp or not geneve"
        plain = e2e.udp_frame(1, 2, 3, 4)
        tagged = plain[:12] + b"\x81\0\0\x01" + plain[12:]
        geneve = e2e.udp_frame(1, 2, 40000, 6081, b"\0\0\x65\x58\0\0\x05\0" + tagged)
        frames = (geneve, tagged, plain, plain[:16]) * 9
        source = self.write("geneve.pcap", e2e.pcap(list(enumerate(frames))))
        rules = self.write("rules.yaml", e2e.rules_yaml([("all", expression, {"write": "x.pcap"}),
                                                         ("one", "geneve", {"write": "y.pcap"})]))
        done = self.run_ok("check", rules)
        self.assertEqual(done.err.count("warning: "), 1, done.err)
        self.assertIn("rule all: warning: filter \"geneve and tcp or not geneve\" reads memory",
                      done.err)
        self.assertIn(b"0 errors, 1 warning", done.out)
        outputs = set()
        for engine in ("auto", "libpcap", "sequential"):
            report, done = self.run_json(
                "split", "-r", source, "-f", expression, "-w", self.path("a.pcap"),
                "--filter-engine", engine, "--verify-filters=1/1")
            self.assertEqual(report["verify"], {"every": 1, "sampled": 36, "differences": 0})
            self.assertEqual(done.err.count("reads memory"), 1, done.err)
            with open(self.path("a.pcap"), "rb") as file:
                outputs.add(file.read())
        self.assertEqual(len(outputs), 1)

    def test_truncated_packets_count_their_captured_bytes(self):
        report, _ = self.run_json("split", "-r", self.input, "-w", self.path("a.pcap"), "-s", "20")
        self.assertEqual(report["rules"][0]["bytes"], 2000)

    def test_a_report_that_cannot_be_written_is_exit_1(self):
        with open("/dev/full", "wb") as full:
            done = e2e.capweir("split", "-r", self.input, "-w", self.path("a.pcap"), "--json",
                               stdout=full)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("report", done.err)
        self.assertEqual(self.packets_of("a.pcap"), self.source)

    def test_a_table_that_cannot_be_written_is_exit_1(self):
        for more, status in (((), 1), (("-q",), 0), (("--json",), 0)):
            with open("/dev/full", "wb") as full:
                done = e2e.capweir("split", "-r", self.input, "-w", self.path("a.pcap"), *more,
                                   stderr=full)
            self.assertEqual(done.status, status, more)
            self.assertEqual(self.packets_of("a.pcap"), self.source)

    def test_malformed_packets_are_named_with_every_cause(self):
        head = e2e.section() + e2e.interface()
        long = bytearray(e2e.enhanced(0, 1, b"\0" * 60))
        long[20:24] = struct.pack("<I", 4000)
        for name, record in (("long", bytes(long)), ("unknown", e2e.enhanced(7, 1, b"\0" * 60))):
            path = self.write(f"{name}.pcapng", head + record)
            report, done = self.run_json("split", "-r", path, "-w", self.path("a.pcap"), status=1)
            self.assertEqual(report["books"]["malformed"], 1)
            self.assertIn("cannot filter 1 malformed record: the input does not describe the "
                          "interface, or the packet is longer than its block", done.err)
            done = e2e.capweir("inspect", path)
            self.assertIn(b"1 record: interface not described, or packet longer than its block",
                          done.out)

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
        self.assertIn("lost: balanced", done.err)
        self.assertIn("100 packets read", done.err)
        self.assertEqual(done.out, b"")
        self.assertEqual(self.split("-w", "b.pcap").err, "")

    # ---- the other commands ----

    def test_every_command_has_help_and_a_version(self):
        pages = [[], ["bench", "ring"], ["inspect", "filter"]]
        pages += [[name] for name in ("split", "check", "inspect", "generate", "bench", "devices")]
        for page in pages:
            text = self.run_ok(*page, "--help").out
            self.assertIn(f"usage: {' '.join(['capweir', *page])}".encode(), text)
            self.assertEqual(self.run_ok("help", *page).out, text)
            short = self.run_ok(*page, "-h").out
            self.assertLess(len(short), len(text))
            self.assertEqual(short.splitlines()[0], text.splitlines()[0])
        self.assertEqual(self.run_ok("bench", "help").out, self.run_ok("bench", "--help").out)
        version = self.run_ok("--version").out.splitlines()[0]
        self.assertRegex(version, rb"^capweir \d+\.\d+\.\d+$")
        for arguments in (["-h"], ["-i", "lo", "-h"], ["split", "-nh"]):
            self.assertTrue(self.run_ok(*arguments).out.startswith(version + b" - "))
        done = e2e.capweir()
        self.assertEqual((done.status, done.out), (2, b""))
        self.assertIn("usage: capweir", done.err)
        done = e2e.capweir("help", "splt")
        self.assertEqual((done.status, done.out), (2, b""))
        self.assertIn("did you mean 'split'", done.err)

    def test_examples_of_help_are_valid_lines(self):
        for name in re.findall(r"^  ([a-z]+) ", self.run_ok("--help").out.decode(), re.M):
            text = self.run_ok(name, "--help").out.decode()
            examples = re.findall(r"^    (capweir (?:.*\\\n)*.*)", text, re.M)
            self.assertTrue(examples, name)
            for example in examples:
                words = shlex.split(example.split(" | ")[0].replace("\\\n", " "))
                done = e2e.capweir(*words[1:], "--help")
                self.assertEqual((done.status, done.err), (0, ""), example)

    def test_check_reports_every_faulty_rule_and_writes_nothing(self):
        self.write("good.yaml", e2e.rules_yaml([("a", "udp", {"write": "a.pcap"}),
                                                ("b", "1 = 2", {"write": "b.pcap"})]))
        before = command.snapshot(self.directory)
        done = self.run_ok("check", "good.yaml", cwd=self.directory)
        self.assertRegex(done.out, rb"2 rules, 0 errors")
        self.assertEqual(command.snapshot(self.directory), before)
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
        """Write a rules file whose rule 'blocklist' has many hosts, so that libpcap is slow."""
        text = " or ".join(f"host 10.{i % 200}.{i // 256}.{i * 7 % 256}" for i in range(hosts))
        self.write("heavy.yaml", e2e.rules_yaml([("good", "udp", {"write": "good.pcap"}),
                                                 ("blocklist", text, {"write": "heavy.pcap"})]))

    def test_a_filter_that_takes_too_long_is_an_error_that_names_the_rule(self):
        self.heavy_rules(1500)
        says = r"rule blocklist: .*even unoptimised, compiling takes longer than 0\.1 s; raise --fi"
        self.assert_refused("split", "-r", "in.pcap", "-R", "heavy.yaml", "--filter-time", "0.1",
                            says=says)
        done = e2e.capweir("check", "heavy.yaml", "--filter-time", "0.1", cwd=self.directory)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertRegex(done.err, says)
        self.assertIn(b"2 rules, 1 error,", done.out)
        text = self.read("heavy.yaml").decode().splitlines()[-2].partition("filter: ")[2]
        self.assert_refused("-r", "in.pcap", "-w", "a.pcap", "--filter-time", "0.2",
                            text.strip("'\""), says="rule1: .*longer than 0.2 s")

    @unittest.skipIf(e2e.SCALE < 1, "sanitizers slow compiling without optimising, so that hardly "
                                    "a limit lies between the times")
    def test_a_filter_that_takes_long_to_optimise_is_a_warning(self):
        self.heavy_rules(200)
        # One of these limits is between the times without and with optimising.
        for limit in (round(0.1 * 1.25 ** step, 3) for step in range(20)):
            done = e2e.capweir("split", "-q", "-r", "in.pcap", "-R", "heavy.yaml",
                               "--filter-time", limit, cwd=self.directory)
            if done.status != 2:
                break
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertRegex(done.err, f"warning: .*rule blocklist: .*is not optimised, .*takes longer "
                                   f"than {limit:g} s")
        self.assertEqual(self.packets_of("good.pcap"), self.source)
        wanted = self.packets_of("heavy.pcap")
        done = self.split("-R", "heavy.yaml", "--filter-time", 10 * limit, "-O")
        self.assertEqual(done.err, "")
        self.assertEqual(self.packets_of("heavy.pcap"), wanted)

    def test_filters_are_compiled_even_if_no_process_can_be_started(self):
        self.write("rules.yaml", e2e.rules_yaml([("a", "udp", {"write": "a.pcap"})]))
        done = e2e.capweir("check", "rules.yaml", cwd=self.directory,
                           limits=[(resource.RLIMIT_NOFILE, 4)])
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertRegex(done.err, "warning: cannot start a process that compiles filters: .*"
                                   "without lim")
        self.assertIn(b"1 rule, 0 errors", done.out)

    def test_a_lost_compile_process_is_exit_1(self):
        self.heavy_rules(1500)
        run = e2e.start("check", "heavy.yaml", "--filter-time", 60, cwd=self.directory)
        # If the helper is lost before it compiles, filters are compiled without it.
        helper, _ = e2e.wait_compiling(run)
        os.kill(helper, signal.SIGKILL)
        done = e2e.finish(run)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("the process that compiles filters has failed", done.err)

    def test_inspect_reports_format_counts_and_times(self):
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

    def test_inspect_reports_damage(self):
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

    def test_generate_refuses_bad_options(self):
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
