# SPDX-License-Identifier: BSD-3-Clause
"""Outputs that fail: what fails is said, counted and reflected in the exit code; everything else is
complete."""
import json
import os
import resource
import stat
import struct
import subprocess
import threading

import e2e
import faults


class Reader(threading.Thread):
    """Reads a FIFO to its end: `after` an event, or slowly, in small pieces."""

    def __init__(self, path, after=None, is_slow=False):
        super().__init__(daemon=True)
        self.path, self.after, self.is_slow = path, after, is_slow
        self.has_some = threading.Event()
        self.content = b""
        self.start()

    def run(self):
        if self.after:
            self.after.wait(e2e.TIMEOUT)
        with open(self.path, "rb", buffering=0) as file:
            while data := file.read(4096 if self.is_slow else 65536):
                self.content += data
                self.has_some.set()


class Outputs(faults.Test):
    # ---- devices, disks, limits ----

    def test_a_full_device(self):
        for threads in faults.THREADS:
            with self.subTest(threads=threads):
                report, done = self.run_json(
                    "split", "-r", self.input, "-f", "udp", "-w", "/dev/full", *self.other(), "-t",
                    threads, status=1)
                self.check_loss(report, done, "/dev/full", "disk_full", ["No space"])
                self.assertEqual(report["rules"][0]["matched"], faults.COUNT)
                self.assertEqual(report["rules"][0]["lost_total"], faults.COUNT)
                self.assertEqual(report["rules"][1]["lost_total"], 0)
                self.check_other()

    def test_a_full_device_for_a_rule_without_packets(self):
        report, done = self.run_json("split", "-r", self.input, "-f", "tcp", "-w", "/dev/full",
                                     *self.other(), status=1)
        self.assertIn("/dev/full", done.err)
        self.assertIn("No space", done.err)
        self.check_other()

    def test_a_full_file_system(self):
        with e2e.tmpfs(self.path("small")) as small:
            for threads in faults.THREADS:
                for extension in ("pcap", "pcapng"):
                    for more in ([], ["--sync", "close"], ["-C", "300k"]):
                        with self.subTest(threads=threads, extension=extension, more=more):
                            output = os.path.join(small, "out." + extension)
                            report, done = self.run_json(
                                "split", "-r", self.input, "-f", "udp", "-w", output,
                                *self.other(), "-t", threads, *more, status=1)
                            if "-C" in more:
                                rule = report["rules"][0]
                                self.assertGreater(rule["lost_total"], 0)
                                self.assertIn("No space", done.err)
                            else:
                                self.check_loss(report, done, output, "disk_full", ["No space"])
                            self.check_prefix(report, small)
                            if not more:
                                self.check_other()

    def check_prefix(self, report, directory):
        """The rule's files hold the first packets, as many as the books say; then clean up."""
        packets = []
        for file in report["rules"][0]["files"]:
            packets += e2e.read_capture(file).packets
        self.assertEqual(e2e.essence(packets), self.source[:len(packets)])
        self.assertEqual(len(packets), report["rules"][0]["written"])
        self.check_files(report)
        self.assert_no_parts()
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))

    def test_the_disk_is_nearly_used_to_its_end(self):
        with e2e.tmpfs(self.path("small")) as small:
            report, _ = self.run_json("split", "-r", self.input, "-w", small + "/out.pcap",
                                      status=1)
            self.assertGreater(os.path.getsize(small + "/out.pcap"), (1 << 20) - 8192)

    def test_a_limit_on_file_sizes(self):
        limit = 100_000
        for threads in faults.THREADS:
            for extension in ("pcap", "pcapng"):
                with self.subTest(threads=threads, extension=extension):
                    output = self.path("limited." + extension)
                    report, done = self.run_json(
                        "split", "-r", self.input, "-f", "udp", "-w", output, "-f",
                        "udp port 1001 and less 0", "-w", self.path("none.pcap"), "-t", threads,
                        limits=[(resource.RLIMIT_FSIZE, limit)], status=1)
                    self.check_loss(report, done, output, "quota", ["File too large"])
                    self.assertLessEqual(os.path.getsize(output), limit)
                    self.assertGreater(os.path.getsize(output), limit - 400)
                    self.check_files(report)
                    self.assertEqual(e2e.essence(e2e.read_capture(output).packets),
                                     self.source[:report["rules"][0]["written"]])
                    self.assert_no_parts()

    def test_a_limit_on_file_sizes_smaller_than_a_header(self):
        output = self.path("limited.pcap")
        report, done = self.run_json("split", "-r", self.input, "-f", "udp", "-w", output,
                                     limits=[(resource.RLIMIT_FSIZE, 10)], status=1)
        self.check_loss(report, done, output, "quota", ["File too large"])
        self.assertEqual(report["rules"][0]["lost_total"], faults.COUNT)
        self.check_files(report)
        self.assertFalse(os.path.exists(output) and os.path.getsize(output) < 24)
        self.assert_no_parts()

    def test_a_read_only_directory(self):
        with e2e.tmpfs(self.path("fixed")) as fixed:
            e2e.remount_readonly(fixed)
            output = fixed + "/out.pcap"
            for threads in faults.THREADS:
                report, done = self.run_json("split", "-r", self.input, "-f", "udp", "-w", output,
                                             *self.other(), "-t", threads, status=1)
                self.check_loss(report, done, output, "io_error", ["Read-only"])
                self.assertEqual(report["rules"][0]["files"], [])
                self.check_other()

    def test_a_directory_that_does_not_exist(self):
        output = self.path("nowhere", "out.pcap")
        done = e2e.capweir("split", "-r", self.input, "-f", "udp", "-w", output, *self.other())
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertRegex(done.err, "nowhere does not exist")
        self.assert_no_parts()

    def test_a_directory_that_vanishes_loses_the_file_and_says_so(self):
        os.mkdir(self.path("gone"))
        brake = faults.Brake(self.path("brake"))
        process = e2e.start("split", "-r", self.input, "-f", "udp", "-w", self.path("gone/a.pcap"),
                            "-f", "udp", "-w", brake.path, *self.other(), "--json", "--buffer",
                            "64KiB")
        brake.wait_full(process)
        for name in os.listdir(self.path("gone")):
            os.unlink(self.path("gone", name))
        os.rmdir(self.path("gone"))
        brake.drain(process)
        brake.close()
        done = e2e.finish(process)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        report = json.loads(done.out)
        self.check_books(report)
        self.assertEqual(report["rules"][0]["lost_total"], faults.COUNT)
        self.assertEqual(report["rules"][0]["files"], [])
        self.check_other()

    # ---- descriptors ----

    def test_a_second_file_whose_name_is_too_long_leaves_the_first_complete(self):
        frame = e2e.udp_frame(1, 2, 3, 4, b"x" * 900)
        source = self.write("two.pcapng", e2e.section() + e2e.interface(name="a") +
                            e2e.interface(name="b" * 200) +
                            b"".join(e2e.enhanced(index // 1000, index, frame)
                                     for index in range(2000)))
        names = ["x" * 200] * 19
        names.append("y" * (4020 - 201 * len(names)))
        folders = [os.open(self.directory, os.O_RDONLY)]
        for name in names:
            os.mkdir(name, dir_fd=folders[-1])
            folders.append(os.open(name, os.O_RDONLY, dir_fd=folders[-1]))
            os.close(folders[-2])
        self.addCleanup(os.close, folders[-1])
        for threads in faults.THREADS:
            with self.subTest(threads=threads):
                done = e2e.capweir("split", "-r", source, "-w", "{iface}-{seq}.pcap", "-b",
                                   "packets:1000", "-o", "/".join(names), "-t", threads, "--json",
                                   cwd=self.directory)
                self.assertEqual(done.status, 1, e2e.text_of(done))
                self.assertIn("1,000 packets lost", done.err)
                self.check_books(json.loads(done.out))
                self.assertEqual(os.listdir(folders[-1]), ["a-0.pcap"])
                with open(os.open("a-0.pcap", os.O_RDONLY, dir_fd=folders[-1]), "rb") as file:
                    self.assertEqual(len(e2e.parse_capture(file.read()).packets), 1000)

    def test_thousands_of_rules_under_256_descriptors(self):
        rules = e2e.scaled(2000, 600)
        count = rules * 3
        packets = [(e2e.NS * (1 + index // 1000), e2e.udp_frame(
            0x0a000000 + index * 7919 % rules, 0xc0a80001, 5, 6, struct.pack(">I", index)))
            for index in range(count)]
        path = self.write("many.pcap", e2e.pcap(packets))
        source = e2e.essence(e2e.read_capture(path).packets)
        wanted = {}
        for index in range(count):
            wanted.setdefault(index * 7919 % rules, []).append(source[index])
        names = self.write("rules.yaml", e2e.rules_yaml(
            [(f"r{index}", f"src host 10.0.{index >> 8}.{index & 255}") for index in range(rules)],
            defaults="{write: '{rule}.pcap'}"))
        os.mkdir(self.path("out"))
        for threads in faults.THREADS:
            report, _ = self.run_json("split", "-r", path, "-R", names, "-o", self.path("out"),
                                      "-t", threads, "--batch-packets", 500,
                                      limits=[(resource.RLIMIT_NOFILE, 256)])
            self.assertEqual(len(os.listdir(self.path("out"))), rules)
            for index in range(rules):
                self.assertEqual(
                    e2e.essence(e2e.read_capture(self.path("out", f"r{index}.pcap")).packets),
                    wanted[index], f"r{index}")
            self.assertEqual(report["books"]["in_files"], count)

    def test_hardly_any_descriptors(self):
        """From none that is free to enough: an error that says so, or complete work; never else."""
        seen = set()
        for limit in range(4, 40):
            output = self.path("out.pcap")
            done = e2e.capweir("split", "-r", self.input, "-f", "udp", "-w", output, *self.other(),
                               "--json", limits=[(resource.RLIMIT_NOFILE, limit)])
            seen.add(done.status)
            self.assertIn(done.status, (0, 1), f"limit {limit}: {e2e.text_of(done)}")
            self.assert_no_parts()
            if done.status == 0:
                self.assertEqual(e2e.essence(e2e.read_capture(output).packets), self.source)
                self.check_other()
            elif done.out:
                report = json.loads(done.out)
                self.check_books(report)
                self.check_files(report)
            else:
                self.assertIn("capweir: ", done.err)
            if done.status:
                self.assertIn("Too many open files", done.err, f"limit {limit}")
            for name in (output, self.path("other.pcap")):
                if os.path.exists(name):
                    os.unlink(name)
        self.assertEqual(seen, {0, 1})

    # ---- pipes ----

    def test_a_reader_that_goes_away(self):
        for threads in faults.THREADS:
            read_end, write_end = os.pipe()
            process = e2e.start("split", "-r", self.input, "-f", "udp", "-w", "-", *self.other(),
                                "-t", threads, stdout=write_end)
            os.close(write_end)
            os.read(read_end, 5000)
            os.close(read_end)
            done = e2e.finish(process)
            self.assertEqual(done.status, 1, e2e.text_of(done))
            self.assertIn("Broken pipe", done.err)
            self.assertIn("packets lost", done.err)
            self.assertIn("lost: balanced", done.err)
            self.check_other()

    def test_a_reader_that_was_never_there(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        process = e2e.start("split", "-r", self.input, "-f", "udp", "-w", "-", *self.other(),
                            stdout=write_end)
        os.close(write_end)
        done = e2e.finish(process)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn(f"{faults.COUNT:,} packets lost", done.err)
        self.check_other()

    def test_a_closed_standard_output(self):
        process = subprocess.Popen(
            ["sh", "-c", 'exec "$@" >&-', "sh", e2e.CAPWEIR, "split", "-r", self.input, "-f",
             "udp", "-w", "-", *self.other()], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
        done = e2e.finish(process)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.check_other()
        self.assertEqual(e2e.essence(e2e.read_capture(self.input).packets), self.source)

    def test_a_fifo_reader_that_goes_away(self):
        os.mkfifo(self.path("fifo"))

        def read_some():
            with open(self.path("fifo"), "rb", buffering=0) as file:
                file.read(1000)

        thread = threading.Thread(target=read_some, daemon=True)
        thread.start()
        report, done = self.run_json("split", "-r", self.input, "-f", "udp", "-w",
                                     self.path("fifo"), *self.other(), status=1)
        thread.join(e2e.TIMEOUT)
        self.check_loss(report, done, "fifo", "io_error", ["Broken pipe"])
        self.check_other()

    def test_fifos_with_late_and_slow_readers_get_everything(self):
        for name in ("slow", "late", "fast"):
            os.mkfifo(self.path(name))
        slow = Reader(self.path("slow"), is_slow=True)
        readers = [slow, Reader(self.path("late"), after=slow.has_some), Reader(self.path("fast"))]
        for threads in (2,):
            report, _ = self.run_json(
                "split", "-r", self.input, "-f", "udp", "-w", self.path("slow"), "-f", "ip", "-w",
                self.path("late"), "-f", "udp port 1003", "-w", self.path("fast"), *self.other(),
                "-t", threads, "--buffer", "1MiB")
        for reader in readers:
            reader.join(e2e.TIMEOUT)
        for reader, wanted in zip(readers, (self.source, self.source, self.source[3::10])):
            self.assertEqual(e2e.essence(e2e.parse_capture(reader.content).packets), wanted)
        self.assertEqual(report["books"]["sent_to_pipe"], 2 * faults.COUNT + faults.COUNT // 10)
        self.check_other()

    def test_a_fifo_is_opened_in_place_and_stays(self):
        os.mkfifo(self.path("fifo"))
        reader = Reader(self.path("fifo"))
        self.run_ok("split", "-q", "-r", self.input, "-w", self.path("fifo"), "tcp")
        reader.join(e2e.TIMEOUT)
        self.assertEqual(e2e.parse_capture(reader.content).packets, [])
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("fifo")).st_mode))


if __name__ == "__main__":
    e2e.main()
