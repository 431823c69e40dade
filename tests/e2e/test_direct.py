# SPDX-License-Identifier: BSD-3-Clause
"""--direct on: the same bytes, books and failures as through the page cache."""
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import tempfile
import unittest

import e2e

PACKETS = e2e.scaled(8000, 8000)  # about 1.1 KB each
KILLS = e2e.scaled(20, 10)
THREADS = (1, 2, 4) if e2e.SCALE >= 1 else (1, 4)
RULES = ["-f", "tcp", "-w", "tcp.pcap", "-f", "udp", "-w", "udp.pcapng", "-f", "greater 1000",
         "-w", "large.pcap", "-f", "unmatched", "-w", "rest.pcap"]


@contextlib.contextmanager
def ext4(directory, mebibytes):
    """A small file system that takes direct writes, in a file; skips where it cannot be made."""
    image = directory + ".image"
    os.makedirs(directory)
    if os.geteuid():
        raise unittest.SkipTest("mounting an image needs root")
    for command in (["truncate", "-s", f"{mebibytes}M", image],
                    ["mkfs.ext4", "-q", "-F", "-O", "^has_journal", image],
                    ["mount", "-o", "loop", image, directory]):
        e2e.run_or_skip(*command)
    shutil.rmtree(os.path.join(directory, "lost+found"), ignore_errors=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "-l", directory], capture_output=True)


class Direct(e2e.Test):
    @classmethod
    def setUpClass(cls):
        cls.shared = tempfile.mkdtemp(prefix="capweir-direct-")
        cls.addClassCleanup(shutil.rmtree, cls.shared, ignore_errors=True)
        cls.input = e2e.generate(os.path.join(cls.shared, "large.pcap"), PACKETS, "large")
        with open(cls.input, "rb") as file:
            cls.content = file.read()
        cls.source = e2e.essence(e2e.parse_capture(cls.content).packets)

    def outputs(self, *arguments, **options):
        """Names and contents of what a run wrote."""
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            self.run_ok("split", "-q", "-r", self.input, "-o", directory, *arguments, **options)
            found = {}
            for name in sorted(os.listdir(directory)):
                with open(os.path.join(directory, name), "rb") as file:
                    found[name] = file.read()
            return found

    def assert_same(self, *arguments, rules=RULES, **options):
        wanted = self.outputs(*rules, *arguments, "-t", 1, "--direct", "off")
        for threads in THREADS:
            got = self.outputs(*rules, *arguments, "-t", threads, "--direct", "on", **options)
            self.assertEqual(sorted(got), sorted(wanted))
            self.assertEqual([name for name in wanted if got[name] != wanted[name]], [],
                             f"-t {threads} {arguments}")
        return wanted

    # ---- one result ----

    def test_the_same_bytes(self):
        found = self.assert_same()
        self.assertGreater(max(map(len, found.values())), 4 << 20, "too little to go direct")

    def test_one_output_is_the_input(self):
        found = self.assert_same(rules=["-w", "all.pcap"])
        self.assertEqual(found["all.pcap"], self.content)

    def test_rotation(self):
        found = self.assert_same("-C", "3")
        self.assertGreater(len(found), 5)
        self.assert_same("-b", "packets:3001")

    def test_a_small_pool_and_chunks(self):
        self.assert_same("--buffer", "256KiB")
        self.assert_same("--chunk-size", 4096, "--buffer", "64KiB", "--batch-packets", 100)

    def test_a_file_that_ends_with_its_last_block(self):
        packets = [(e2e.NS * index, bytes(984 if index == 0 else 1008)) for index in range(3072)]
        content = e2e.pcap(packets)
        self.assertEqual(len(content), 3 << 20)
        self.write("even.pcap", content)
        for threads in THREADS:
            report, _ = self.run_json("split", "-r", self.path("even.pcap"), "--direct", "on", "-t",
                                      threads, "-w", self.path("out.pcap"))
            self.assertEqual(self.read("out.pcap"), content)
            self.assertEqual(report["rules"][0]["written"], len(packets))

    def test_sync(self):
        self.assert_same("--sync", "close")

    def test_more_outputs_than_places(self):
        rules = [word for index in range(24)
                 for word in ("-f", f"greater {index}", "-w", f"{index}.pcap")]
        self.assert_same("-s", 400, rules=rules)

    def test_hardly_any_descriptors(self):
        """Files that come and go between two writes."""
        rules = [word for index in range(6)
                 for word in ("-f", f"greater {index}", "-w", f"{index}.pcap")]
        for limit in (40, 52, 56) if e2e.SCALE >= 1 else (52,):
            self.assert_same("--batch-packets", 500, "-s", 400, rules=rules,
                             limits=[(resource.RLIMIT_NOFILE, limit)])

    def test_a_pipe_is_written_as_ever(self):
        done = self.run_ok("split", "-q", "-r", self.input, "-w", "-", "--direct", "on")
        self.assertEqual(done.out, self.content)

    # ---- failures ----

    def check_prefix(self, report, output):
        """The output holds the first packets, as many as the books say."""
        packets = e2e.read_capture(output).packets
        self.assertEqual(e2e.essence(packets), self.source[:len(packets)])
        self.assertEqual(len(packets), report["rules"][0]["written"])
        self.check_files(report)
        self.assert_no_parts()

    def test_a_limit_on_file_sizes(self):
        for limit in (5_000_000, 4 << 20, 3 << 20 | 1):
            for threads in THREADS:
                output = self.path("limited.pcap")
                report, done = self.run_json(
                    "split", "-r", self.input, "-w", output, "-t", threads, "--direct", "on",
                    limits=[(resource.RLIMIT_FSIZE, limit)], status=1)
                self.assertGreater(report["rules"][0]["lost"]["quota"], 0)
                self.assertIn("File too large", done.err)
                self.assertLessEqual(os.path.getsize(output), limit)
                self.assertGreater(os.path.getsize(output), limit - 2000)
                self.check_prefix(report, output)

    def test_a_full_disk(self):
        with ext4(self.path("small"), 8) as small:
            for more in ([], ["--sync", "close"]):
                for threads in THREADS:
                    output = os.path.join(small, "out.pcap")
                    report, done = self.run_json(
                        "split", "-r", self.input, "-f", "", "-w", output, "-f", "udp", "-w",
                        self.path("udp.pcap"), "-t", threads, "--direct", "on", *more, status=1)
                    self.assertGreater(report["rules"][0]["lost"]["disk_full"], 0)
                    self.assertIn("No space", done.err)
                    self.assertEqual(report["rules"][1]["lost_total"], 0)
                    self.assertGreater(os.path.getsize(output), 5 << 20)
                    self.check_prefix(report, output)
                    os.unlink(output)

    def test_where_it_cannot_be_one_warning_says_so(self):
        with e2e.tmpfs(self.path("memory"), "size=200m") as memory:
            for mode, warnings in (("on", 1), ("off", 0), ("auto", 0)):
                done = self.run_ok("split", "-q", "-r", self.input, "--direct", mode, "-f", "tcp",
                                   "-w", memory + "/tcp.pcap", "-f", "", "-w",
                                   memory + "/all.pcap")
                self.assertEqual(done.err.count("cannot be written directly"), warnings, done.err)
                with open(memory + "/all.pcap", "rb") as file:
                    self.assertEqual(file.read(), self.content)

    def test_where_it_can_be_nothing_is_said(self):
        """Skipped where it cannot: then the other tests have seen buffered writing only."""
        done = self.run_ok("split", "-q", "-r", self.input, "--direct", "on", "-w",
                           self.path("all.pcap"))
        if "cannot be written directly" in done.err:
            self.skipTest(f"no direct writing here: {done.err.strip()}")
        self.assertEqual(done.err, "")

    # ---- ends before the end ----

    def check_part(self, name):
        """A prefix of the input's bytes: no hole, nothing but the last record torn."""
        with open(self.path(name), "rb") as file:
            left = file.read()
        self.assertTrue(self.content.startswith(left),
                        f"{name}: {len(left)} bytes are no prefix of the whole file")
        return len(left)

    def test_a_kill_at_any_moment_leaves_a_prefix(self):
        seed = random.randrange(1 << 32)
        lot = random.Random(seed)
        lengths = []
        for round_ in range(KILLS):
            process = e2e.start("split", "-q", "-r", self.input, "--direct", "on", "-t",
                                lot.choice(THREADS), "-w", self.path("out.pcap"))
            e2e.wait_written(process, self.directory, lot.randrange(len(self.content)),
                             lot.randrange(20))
            process.kill()
            process.communicate()
            for name in os.listdir(self.directory):
                lengths.append(self.check_part(name))
                os.unlink(self.path(name))
        middle = [length for length in lengths if 0 < length < len(self.content)]
        self.assertTrue(middle, f"seed {seed}: no kill came while it wrote: {lengths}")

    def test_an_abort_leaves_whole_records(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        brake = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)  # never read: the run stands
        options = os.environ.get("TSAN_OPTIONS", "")
        process = e2e.start("split", "-r", self.input, "-f", "", "-w", self.path("out.pcap"), "-f",
                            "", "-w", fifo, "-t", 2, "--direct", "on",
                            env=dict(os.environ, TSAN_OPTIONS=options + ":report_thread_leaks=0"))
        e2e.wait_until(lambda: any(".part" in one for one in os.listdir(self.directory)),
                       "the file is begun", process)
        name, = (one for one in os.listdir(self.directory) if ".part" in one)
        e2e.wait_until(lambda: os.path.getsize(self.path(name)) > 2 << 20, "it grows", process)
        process.send_signal(signal.SIGINT)
        e2e.wait_said(process, "stopping")
        done = e2e.abort(process)
        os.close(brake)
        self.assertEqual(done.status, 130, e2e.text_of(done))
        if os.path.exists(self.path("out.pcap")):  # all that was reserved for it is written
            name = "out.pcap"
        self.assertGreater(self.check_part(name), 2 << 20)
        packets = e2e.essence(e2e.read_capture(self.path(name)).packets)
        self.assertEqual(packets, self.source[:len(packets)])

    def test_the_report_is_the_same(self):
        reports = []
        for mode in ("off", "on"):
            report, _ = self.run_json("split", "-r", self.input, "--direct", mode, "-w",
                                      self.path("out.pcap"))
            self.check_files(report)
            for changing in ("elapsed_s", "threads"):
                report.pop(changing, None)
            reports.append(json.dumps(report, sort_keys=True))
        self.assertEqual(reports[0], reports[1])


if __name__ == "__main__":
    e2e.main()
