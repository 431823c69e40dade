# SPDX-License-Identifier: BSD-3-Clause
"""Names, formats, contents and permissions of output files."""
import os
import re
import select
import stat
import struct
import subprocess
import time
import unittest
import zlib

import command
import e2e


class Outputs(command.Test):
    def test_an_expression_is_given_as_for_tcpdump(self):
        self.run_ok("-r", "in.pcap", "-w", "out.pcap", "udp port 1001", cwd=self.directory)
        self.assertEqual(self.packets_of("out.pcap"), self.source[1::10])
        self.run_ok("-n", "-r", "in.pcap", "-w", "words.pcap", "udp", "port", "1001",
                    cwd=self.directory)
        self.assertEqual(self.packets_of("words.pcap"), self.source[1::10])
        self.write("filter", "udp port 1001\n")
        self.run_ok("-r", "in.pcap", "-w", "file.pcap", "-F", "filter", cwd=self.directory)
        self.assertEqual(self.packets_of("file.pcap"), self.source[1::10])

    def test_a_tcpdump_command_line_writes_the_same_file(self):
        e2e.need("tcpdump")
        self.run_ok("-r", "in.pcap", "-w", "out.pcap", "udp port 1001", cwd=self.directory)
        status, content, err = e2e.tcpdump([self.input], "udp port 1001", nano=False)
        self.assertEqual(status, 0, err)
        self.assertEqual(self.read("out.pcap"), content)

    def test_options_of_tcpdump_are_what_the_manual_says(self):
        e2e.need("tcpdump")
        with open(os.path.join(e2e.ROOT, "tools/manual/capweir.1.md.in"), encoding="utf-8") as file:
            table, = re.findall(r"^## TCPDUMP'S OPTIONS$(.*?)^## ", file.read(), re.M | re.S)
        self.write("FILE", self.read("in.pcap"))
        self.write("LIST", "FILE\n\nFILE")
        plain, runs = ["-q", "-r", "in.pcap", "-w", "out.pcap"], 0
        for spans, meaning in re.findall(r"^\| (`.*?) \| (.*?) \|$", table, re.M):
            for words in [span.split(" ") for span in re.findall("`(.*?)`", spans)]:
                if meaning.startswith("refused"):
                    self.assert_refused(*plain, *words)
                elif meaning.startswith("prints"):
                    line = ("-r", "in.pcap", *words, "udp port 1001")
                    done = subprocess.run(["tcpdump", *line], cwd=self.directory,
                                          capture_output=True)
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertEqual(self.run_ok(*line, cwd=self.directory).out, done.stdout)
                else:
                    wanted = re.findall("`(.*?)`", meaning) if meaning.startswith("as ") else []
                    wanted = wanted[0].split(" ") if wanted else []
                    self.assertTrue(wanted or meaning.startswith("accepted"), meaning)
                    self.run_ok(*plain, *words, cwd=self.directory)
                    content = self.read("out.pcap")
                    self.run_ok(*plain, *wanted * (1 + ("-V" in words)), cwd=self.directory)
                    self.assertEqual(content, self.read("out.pcap"), words)
                runs += 1
        self.assertGreater(runs, 30)
        self.assert_refused("-e", "-tttt", "-r", "in.pcap", says="no output")
        self.assert_refused("--print", "-r", "in.pcap", says="does not print packets")

    def test_options_of_tcpdump_may_be_in_one_word(self):
        self.run_ok("-ttttnneqr", "in.pcap", "-w", "out.pcap", "udp", cwd=self.directory)
        self.assertEqual(self.read("out.pcap"), self.read("in.pcap"))

    def test_a_list_of_inputs_is_read_in_its_place(self):
        self.write("second.pcap", e2e.pcap(self.packets[:3]))
        self.write("list", "second.pcap\nsecond.pcap\r\n")
        self.run_ok("-r", "second.pcap", "-V", "list", "-r", "in.pcap", "-w", "out.pcap",
                    cwd=self.directory)
        self.assertEqual(self.packets_of("out.pcap"), 3 * self.source[:3] + self.source)
        self.run_ok("split", "-V", "-", "-w", "out.pcap", cwd=self.directory, input=b"in.pcap\n")
        self.assertEqual(self.packets_of("out.pcap"), self.source)
        self.assert_refused("split", "-V", "-", "-r", "-", "-w", "out.pcap", says="once only",
                            input=b"in.pcap\n")
        for names in (b"in.pcap\0second.pcap\0", b"in.pcap\n\0"):
            self.write("list", names)
            self.assert_refused("split", "-V", "list", "-w", "out.pcap", says="NUL")
        done = e2e.capweir("split", "-V", "nowhere", "-w", "out.pcap", cwd=self.directory)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("-V nowhere: No such file", done.err)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_split_becomes_another_user_if_asked(self):
        os.chmod(self.directory, 0o755)
        os.mkdir(self.path("theirs"))
        os.chown(self.path("theirs"), 65534, 65534)
        self.split("-Z", "nobody", "-w", "theirs/out.pcap")
        self.assertEqual(os.stat(self.path("theirs/out.pcap")).st_uid, 65534)
        self.assertEqual(self.packets_of("theirs/out.pcap"), self.source)
        self.split("-w", "theirs/ours.pcap")
        self.assertEqual(os.stat(self.path("theirs/ours.pcap")).st_uid, 0)

    def test_comments_of_a_filter_file_are_blanks(self):
        e2e.need("tcpdump")
        text = "udp # 'quoted\n# host of a name\nport 1001 #\n or # \nip broadcast"
        self.write("filter", text)
        self.write("rules.yaml", "rules:\n  a:\n    write: rules.pcap\n    filter: |\n" +
                   "".join(f"      {line}\n" for line in text.split("\n")) +
                   "  b:\n    write: rest.pcap\n    filter: |\n      unmatched # others\n")
        done = subprocess.run(["tcpdump", "-r", self.input, "-w", "-", "-F", self.path("filter")],
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.split("-w", "file.pcap", "-F", "filter")
        self.assertEqual(self.read("file.pcap"), done.stdout)
        self.split("-R", "rules.yaml")
        self.assertEqual(self.read("rules.pcap"), done.stdout)
        self.assertEqual(len(self.packets_of("rest.pcap")), 90)
        self.write("filter", "udp # comment\n and nonsense")
        self.assert_refused("split", "-r", "in.pcap", "-w", "a.pcap", "-F", "filter",
                            says="nonsense")

    def test_ip_broadcast_is_what_tcpdump_takes(self):
        e2e.need("tcpdump")
        to = ((10, 0, 0, 255), (255,) * 4, (0,) * 4, (10, 0, 0, 1))
        frames = [e2e.udp_frame(1, 2, 3, 4) for _ in to]
        packets = [(index, frame[:30] + bytes(address) + frame[34:])
                   for index, (frame, address) in enumerate(zip(frames, to))]
        path = self.write("broadcast.pcap", e2e.pcap(packets))
        for expression, count in (("ip broadcast", 2), ("not ip broadcast", 2)):
            status, content, err = e2e.tcpdump([path], expression, nano=False)
            self.assertEqual(status, 0, err)
            self.run_ok("split", "-q", "-r", path, "-w", self.path("out.pcap"), expression)
            self.assertEqual(self.read("out.pcap"), content)
            self.assertEqual(len(self.packets_of("out.pcap")), count)

    def test_pairs_are_in_either_order_after_a_global_filter(self):
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

    def test_an_input_without_packets_gives_an_empty_output(self):
        for content in (e2e.pcap([]), e2e.section(), e2e.section() + e2e.interface()):
            path = self.write("empty", content)
            report, _ = self.run_json("split", "-r", path, "-w", self.path("none.pcap"))
            self.assertEqual(report["packets"], 0)
            self.assertEqual(self.packets_of("none.pcap"), [])

    def test_names_hold_rule_and_sequence_number(self):
        self.write("rules.yaml", e2e.rules_yaml(
            [("dns", "udp port 1001"), ("web", "udp port 1002")],
            defaults="{write: '{rule}-{seq}.pcap', rotate: {packets: 4}}"))
        self.split("-R", "rules.yaml")
        self.assertEqual(sorted(name for name in os.listdir(self.directory)
                                if name.startswith(("dns", "web"))),
                         [f"{rule}-{number}.pcap" for rule in ("dns", "web")
                          for number in range(3)])
        self.assertEqual(self.packets_of("dns-1.pcap"), self.source[1::10][4:8])

    def test_interface_names_in_file_names_are_sanitised(self):
        frame = e2e.udp_frame(1, 2, 3, 4)
        self.write("two.pcapng", e2e.section() + e2e.interface(name="../eth/0") +
                   e2e.enhanced(0, 1, frame))
        os.mkdir(self.path("out"))
        self.run_ok("split", "-q", "-r", self.path("two.pcapng"), "-o", self.path("out"), "-w",
                    "x-{iface}.pcap")
        (name,) = os.listdir(self.path("out"))
        self.assertRegex(name, r"^x-[^/]*eth_0\.pcap$")

    def test_interface_names_cannot_leave_the_folder(self):
        frame = e2e.udp_frame(1, 2, 3, 4)
        os.makedirs(self.path("out", "in"))
        for name in ("..", ".", "...", "/", "a\nb", "../..", "\x7f"):
            self.write("evil.pcapng", e2e.section() + e2e.interface(name=name) +
                       e2e.enhanced(0, 1, frame))
            for template in ("{iface}/in.pcap", "{iface}.pcap", "{iface}", "{iface}./a",
                             ".{iface}"):
                before = command.snapshot(self.directory)
                e2e.capweir("split", "-q", "-r", self.path("evil.pcapng"), "-o",
                            self.path("out", "in"), "-w", template)
                for path in set(command.snapshot(self.directory)) - set(before):
                    self.assertTrue(path.startswith(self.path("out", "in") + "/"), path)
                    self.assertTrue(path.isprintable(), path)

    def test_names_hold_the_first_packets_time(self):
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

    def test_doubled_braces_and_percent_signs_are_literal(self):
        self.split("-w", "a{{b}}%%.pcap")
        self.assertEqual(self.packets_of("a{b}%.pcap"), self.source)

    def test_a_folder_is_for_relative_outputs_only(self):
        os.mkdir(self.path("out"))
        self.split("-o", "out", "-f", "udp", "-w", "a.pcap", "-f", "udp", "-w",
                   self.path("absolute.pcap"))
        self.assertEqual(self.packets_of("out/a.pcap"), self.source)
        self.assertEqual(self.packets_of("absolute.pcap"), self.source)

    def test_the_magic_follows_the_input_or_the_option(self):
        nano = self.write("ns.pcap", e2e.pcap([(1_000_000_007, b"\0" * 60)], ns=True))
        tagged = self.write("ns.pcapng", e2e.section() + e2e.interface() +
                            e2e.enhanced(0, 5, b"\0" * 60))
        swapped = self.write("be.pcap", e2e.pcap(self.packets, order=">"))
        for path, more, is_ns, precision in (
                (self.input, [], False, 1), (swapped, [], False, 1), (nano, [], True, 1),
                (tagged, [], False, 1), (nano, ["--time-precision", "us"], False, 1000),
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

    def test_a_pipe_decides_the_magic_by_its_interfaces_or_before_it_is_opened(self):
        out = self.path("out.pcap")
        for resolution, is_ns in ((None, False), (9, True)):
            path = self.write("in", e2e.section() + e2e.interface(resolution=resolution) +
                              e2e.enhanced(0, 5000, b"\0" * 60))
            for before, is_ns_then in (([], is_ns), (["-r", self.input], True)):
                with subprocess.Popen(["cat", path], stdout=subprocess.PIPE) as pipe:
                    self.run_ok("split", "-q", *before, "-r", "-", "-w", out, stdin=pipe.stdout)
                self.assertEqual(e2e.read_capture(out).is_ns, is_ns_then)

    def test_the_snaplen_field_is_the_largest_of_the_inputs_or_the_rules(self):
        one = self.write("one.pcap", e2e.pcap(self.packets, snaplen=1000))
        two = self.write("two.pcap", e2e.pcap(self.packets, snaplen=2000))
        for arguments, wanted in (([], 2000), (["-s", "70"], 70), (["-s", "0"], 2000)):
            self.run_ok("split", "-q", "-r", one, "-r", two, "-w", self.path("out.pcap"),
                        *arguments)
            self.assertEqual(e2e.read_capture(self.path("out.pcap")).snaplen, wanted)

    def test_a_snaplen_truncates_after_filtering(self):
        self.split("-w", "cut.pcap", "-s", "20", "udp port 1001")
        self.assertEqual(self.packets_of("cut.pcap"),
                         [(ts, 20, length, data[:20]) for ts, _, length, data in
                          self.source[1::10]])

    def test_pcapng_keeps_names_and_comments_and_does_not_name_the_host(self):
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

    def test_capinfos_reads_every_output(self):
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

    def test_an_existing_output_is_replaced_not_overwritten(self):
        self.write("out.pcap", b"precious" * 10000)
        os.link(self.path("out.pcap"), self.path("old"))
        self.split("-w", "out.pcap")
        self.assertEqual(self.packets_of("out.pcap"), self.source)
        self.assertEqual(self.read("old"), b"precious" * 10000, "written in place")
        self.assert_no_parts()

    def test_an_existing_output_stays_until_the_run_ends(self):
        self.write("out.pcap", b"precious")
        process = e2e.start("split", "-q", "-r", "-", "-w", self.path("out.pcap"),
                            stdin=subprocess.PIPE)
        process.stdin.write(e2e.pcap(self.packets))
        process.stdin.flush()
        e2e.wait_packets(process, len(self.packets))
        self.assertEqual(self.read("out.pcap"), b"precious")
        process.stdin.close()
        process.stdin = None
        self.assertEqual(e2e.finish(process).status, 0)
        self.assertEqual(self.packets_of("out.pcap"), self.source)

    def test_a_symbolic_link_is_followed_and_stays(self):
        os.mkdir(self.path("big"))
        os.symlink("big/target.pcap", self.path("link.pcap"))
        for _ in range(2):  # dangling at first
            self.split("-w", "link.pcap", "udp port 1001")
            self.assertEqual(os.readlink(self.path("link.pcap")), "big/target.pcap")
            self.assertEqual(len(self.packets_of("big/target.pcap")), 10)
            self.assertEqual(os.listdir(self.path("big")), ["target.pcap"])

    def test_standard_output_gives_the_same_bytes_as_a_file(self):
        self.split("-w", "out.pcap", "udp port 1001")
        done = self.split("-w", "-", "udp port 1001")
        self.assertEqual(done.out, self.read("out.pcap"))
        done = self.run_ok("split", "-r", self.input, "-w", "-")
        self.assertEqual(e2e.essence(e2e.parse_capture(done.out).packets), self.source)
        self.assertIn("0 lost: balanced", done.err)

    def start_pipes(self, *options):
        return e2e.start("split", "-q", "-r", "-", "-w", "-", *options, stdin=subprocess.PIPE,
                         bufsize=0)

    def read_bytes(self, process, count):
        """Read `count` bytes of standard output, which stays open."""
        content = b""
        while len(content) < count:
            ready, _, _ = select.select([process.stdout], [], [], e2e.TIMEOUT)
            piece = os.read(process.stdout.fileno(), count - len(content)) if ready else b""
            if not piece:
                process.kill()
                raise AssertionError(f"{len(content)} bytes of {count}: "
                                     f"{e2e.text_of(e2e.finish(process))}")
            content += piece
        return content

    def end_pipes(self, process):
        process.stdin.close()
        process.stdin = None
        done = e2e.finish(process)
        self.assertEqual((done.status, done.out), (0, b""), e2e.text_of(done))

    def test_packets_of_a_silent_pipe_are_passed_on(self):
        parts = [e2e.pcap(self.packets[:3]), e2e.pcap(self.packets[3:5])[24:]]
        for options in ([], ["-U"], ["--packet-buffered"], ["-l"]):
            for packer in (None, zlib.compressobj(wbits=31)):
                process = self.start_pipes(*options)
                for part in parts:
                    process.stdin.write(part if packer is None else packer.compress(part) +
                                        packer.flush(zlib.Z_SYNC_FLUSH))
                    self.assertEqual(self.read_bytes(process, len(part)), part)
                if packer:
                    process.stdin.write(packer.flush())
                self.end_pipes(process)

    def test_packets_of_a_pipe_that_is_never_silent_are_passed_on(self):
        process = self.start_pipes()
        process.stdin.write(e2e.pcap([]))
        record = e2e.pcap(self.packets[:1])[24:]
        for _ in range(int(e2e.TIMEOUT / 0.05)):  # a pause is shorter than what counts as silent
            process.stdin.write(record)
            if select.select([process.stdout], [], [], 0.05)[0]:
                break
        else:
            self.fail("no packet came out")
        self.assertEqual(self.read_bytes(process, 24 + len(record))[24:], record)
        process.stdin.close()
        process.stdin = None
        self.assertEqual(e2e.finish(process).status, 0)

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


if __name__ == "__main__":
    e2e.main()
