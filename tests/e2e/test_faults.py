# SPDX-License-Identifier: BSD-3-Clause
"""What fails is said, counted and reflected in the exit code; everything else is complete."""
import fcntl
import gzip
import json
import os
import resource
import select
import shutil
import signal
import stat
import struct
import subprocess
import threading
import time

import e2e

COUNT = e2e.scaled(20000, 6000)
THREADS = (1, 4)
F_SETPIPE_SZ = 1031


def read_all(path):
    with open(path, "rb") as file:
        return file.read()


class Reader(threading.Thread):
    """Reads a FIFO to its end, as slowly and as late as told."""

    def __init__(self, path, delay_s=0, pause_s=0, piece=65536):
        super().__init__(daemon=True)
        self.path, self.delay_s, self.pause_s, self.piece = path, delay_s, pause_s, piece
        self.content = b""
        self.start()

    def run(self):
        time.sleep(self.delay_s)
        with open(self.path, "rb", buffering=0) as file:
            while True:
                data = file.read(self.piece)
                if not data:
                    break
                self.content += data
                time.sleep(self.pause_s)


class Brake:
    """A FIFO output that holds the run until it is released."""

    def __init__(self, path):
        os.mkfifo(path)
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self.fd, F_SETPIPE_SZ, 4096)

    def wait_full(self):
        """Until the pipe is full and stays so: the run stands."""
        end = time.monotonic() + e2e.TIMEOUT
        while time.monotonic() < end:
            used = struct.unpack("i", fcntl.ioctl(self.fd, 0x541b, b"\0" * 4))[0]  # FIONREAD
            if used > 0:
                time.sleep(0.3)
                return
            time.sleep(0.01)
        raise AssertionError("nothing reaches the pipe")

    def drain(self, process):
        """Read until the writer is gone; the bytes."""
        content = b""
        end = time.monotonic() + e2e.TIMEOUT
        while time.monotonic() < end:
            ready, _, _ = select.select([self.fd], [], [], 0.05)
            try:
                data = os.read(self.fd, 1 << 20) if ready else None
            except BlockingIOError:
                data = None
            if data:
                content += data
            elif process.poll() is not None:
                return content
        process.kill()
        raise AssertionError("the run does not end after the brake was released")

    def close(self):
        os.close(self.fd)


def without_leak_reports():
    """The environment of a run that is aborted: its threads are left where they are, on purpose."""
    options = os.environ.get("TSAN_OPTIONS", "")
    return dict(os.environ, TSAN_OPTIONS=options + ":report_thread_leaks=0")


class Faults(e2e.Test):
    def setUp(self):
        super().setUp()
        self.packets = e2e.simple_packets(COUNT, size=200)
        self.input = self.write("in.pcap", e2e.pcap(self.packets))
        self.source = e2e.essence(e2e.read_capture(self.input).packets)

    def other(self, name="other.pcap"):
        return ["-f", "udp port 1001", "-w", self.path(name)]

    def check_other(self, name="other.pcap"):
        """The output that nothing happened to is complete."""
        self.assertEqual(e2e.essence(e2e.read_capture(self.path(name)).packets),
                         self.source[1::10])

    def check_loss(self, report, done, name, cause, words, index=0):
        """Rule `index` lost packets for `cause`, and stderr says which, where, why and how many."""
        rule = report["rules"][index]
        self.assertGreater(rule["lost"][cause], 0, rule)
        self.assertEqual(rule["lost_total"], rule["lost"][cause], rule)
        self.assertTrue(rule["error"], rule)
        lines = [line for line in done.err.splitlines() if "lost" in line and
                 f"{rule['lost_total']:,}" in line]
        self.assertTrue(lines, f"no line tells {rule['lost_total']:,} lost:\n{done.err}")
        self.assertTrue(any(name in line and any(word in line for word in words)
                            for line in lines), done.err)
        self.assertFalse(report["complete"])

    # ---- devices, disks, limits ----

    def test_a_full_device(self):
        for threads in THREADS:
            with self.subTest(threads=threads):
                report, done = self.run_json(
                    "split", "-r", self.input, "-f", "udp", "-w", "/dev/full", *self.other(), "-t",
                    threads, status=1)
                self.check_loss(report, done, "/dev/full", "disk_full", ["No space"])
                self.assertEqual(report["rules"][0]["matched"], COUNT)
                self.assertEqual(report["rules"][0]["lost_total"], COUNT)
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
            for threads in THREADS:
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
        for threads in THREADS:
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
        self.assertEqual(report["rules"][0]["lost_total"], COUNT)
        self.check_files(report)
        self.assertFalse(os.path.exists(output) and os.path.getsize(output) < 24)
        self.assert_no_parts()

    def test_a_read_only_directory(self):
        with e2e.tmpfs(self.path("fixed")) as fixed:
            e2e.remount_readonly(fixed)
            output = fixed + "/out.pcap"
            for threads in THREADS:
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
        brake = Brake(self.path("brake"))
        process = e2e.start("split", "-r", self.input, "-f", "udp", "-w", self.path("gone/a.pcap"),
                            "-f", "udp", "-w", brake.path, *self.other(), "--json", "--buffer",
                            "64KiB")
        brake.wait_full()
        for name in os.listdir(self.path("gone")):
            os.unlink(self.path("gone", name))
        os.rmdir(self.path("gone"))
        brake.drain(process)
        brake.close()
        done = e2e.finish(process)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        report = json.loads(done.out)
        self.check_books(report)
        self.assertEqual(report["rules"][0]["lost_total"], COUNT)
        self.assertEqual(report["rules"][0]["files"], [])
        self.check_other()

    # ---- descriptors ----

    def test_four_thousand_rules_under_256_descriptors(self):
        rules = e2e.scaled(4000, 600)
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
        for threads in THREADS:
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
        for threads in THREADS:
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
            self.assertIn("the books balance", done.err)
            self.check_other()

    def test_a_reader_that_was_never_there(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        process = e2e.start("split", "-r", self.input, "-f", "udp", "-w", "-", *self.other(),
                            stdout=write_end)
        os.close(write_end)
        done = e2e.finish(process)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn(f"{COUNT:,} packets lost", done.err)
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
        readers = [Reader(self.path("slow"), pause_s=0.001, piece=40000),
                   Reader(self.path("late"), delay_s=0.7), Reader(self.path("fast"))]
        for threads in (2,):
            report, _ = self.run_json(
                "split", "-r", self.input, "-f", "udp", "-w", self.path("slow"), "-f", "ip", "-w",
                self.path("late"), "-f", "udp port 1003", "-w", self.path("fast"), *self.other(),
                "-t", threads, "--buffer", "1MiB")
        for reader in readers:
            reader.join(e2e.TIMEOUT)
        for reader, wanted in zip(readers, (self.source, self.source, self.source[3::10])):
            self.assertEqual(e2e.essence(e2e.parse_capture(reader.content).packets), wanted)
        self.assertEqual(report["books"]["sent_to_pipe"], 2 * COUNT + COUNT // 10)
        self.check_other()

    def test_a_fifo_is_opened_in_place_and_stays(self):
        os.mkfifo(self.path("fifo"))
        reader = Reader(self.path("fifo"))
        self.run_ok("split", "-q", "-r", self.input, "-w", self.path("fifo"), "tcp")
        reader.join(e2e.TIMEOUT)
        self.assertEqual(e2e.parse_capture(reader.content).packets, [])
        self.assertTrue(stat.S_ISFIFO(os.stat(self.path("fifo")).st_mode))

    # ---- inputs ----

    def test_an_input_truncated_during_the_run_keeps_the_records_before(self):
        for threads in THREADS:
            for cut in (len(e2e.pcap(self.packets)) // 2, 200_000, 24):
                with self.subTest(threads=threads, cut=cut):
                    self.check_truncation(threads, cut)

    def check_truncation(self, threads, cut):
        victim = self.write("victim.pcap", e2e.pcap(self.packets))
        brake = Brake(self.path(f"brake-{threads}-{cut}"))
        process = e2e.start("split", "-r", victim, "-f", "udp", "-w", brake.path, "-f", "udp",
                            "-w", self.path("kept.pcap"), "-t", threads, "--json", "--buffer",
                            "64KiB", "--batch-packets", 100)
        brake.wait_full()
        os.truncate(victim, cut)
        piped = brake.drain(process)
        brake.close()
        done = e2e.finish(process)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        report = json.loads(done.out)
        self.check_books(report)
        self.check_files(report)
        self.assertIn("truncated", done.err)
        self.assertTrue(report["inputs"][0]["error"])
        kept = e2e.essence(e2e.read_capture(self.path("kept.pcap")).packets)
        self.assertEqual(kept, self.source[:len(kept)], "the packets are not those of the input")
        # A page is the kernel's unit: what lies in pages wholly before the cut is there.
        whole = max(0, (cut // 4096 * 4096 - 24) // (len(self.packets[0][1]) + 16))
        self.assertGreaterEqual(len(kept), min(whole, len(self.source)) - 1)
        if report["rules"][0]["written"]:
            sound = e2e.pcap(self.packets)
            self.assertEqual(piped, sound[:len(piped)])
        self.assert_no_parts()

    def test_an_input_truncated_anywhere_gives_all_whole_records(self):
        packets = e2e.simple_packets(4)
        contents = {"pcap": e2e.pcap(packets),
                    "pcapng": e2e.section() + e2e.interface(name="a") + b"".join(
                        e2e.enhanced(0, ts_ns // 1000, data) for ts_ns, data in packets)}
        for extension, content in contents.items():
            count = None  # of packets in the last length that was whole
            for length in range(len(content) + 1):
                try:
                    count = len(e2e.parse_capture(content[:length]).packets)
                    is_whole = True
                except (e2e.Torn, KeyError, struct.error):
                    is_whole = False
                wanted = e2e.essence(e2e.parse_capture(content).packets)[:count or 0]
                self.check_cut_input(extension, content[:length], is_whole, wanted, "file")
                if length % 5 == 0:
                    self.check_cut_input(extension, content[:length], is_whole, wanted, "pipe")

    def check_cut_input(self, extension, content, is_whole, wanted, how):
        output = self.path("out." + extension)
        if how == "file":
            done = e2e.capweir("split", "-r", self.write("cut", content), "-w", output, "-q")
        else:
            done = e2e.capweir("split", "-r", "-", "-w", output, "-q", input=content)
        text = f"{extension}, {len(content)} bytes, {how}: {e2e.text_of(done)}"
        self.assertEqual(done.status, 0 if is_whole else 1, text)
        self.assertEqual("capweir: " in done.err, not is_whole, text)
        if wanted or os.path.exists(output):
            self.assertEqual(e2e.essence(e2e.read_capture(output).packets), wanted, text)
            os.unlink(output)
        self.assert_no_parts()

    def test_an_input_that_grew_is_read_as_it_was_and_said(self):
        brake = Brake(self.path("brake"))
        process = e2e.start("split", "-q", "-r", self.input, "-f", "udp", "-w", brake.path,
                            *self.other(), "--buffer", "64KiB", "--batch-packets", 50)
        brake.wait_full()
        with open(self.input, "ab") as file:
            file.write(e2e.pcap(self.packets[:10])[24:])
        piped = brake.drain(process)
        brake.close()
        done = e2e.finish(process)
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertIn("grew", done.err)
        self.assertEqual(e2e.essence(e2e.parse_capture(piped).packets), self.source)
        self.check_other()

    def test_a_damaged_compressed_input_gives_what_is_before_the_damage(self):
        content = read_all(self.input)
        packed = {"gz": gzip.compress(content, 1)}
        if shutil.which("zstd"):
            packed["zst"] = subprocess.run(["zstd", "-q", "-c", self.input], check=True,
                                           capture_output=True).stdout
        for name, data in packed.items():
            middle = len(data) // 2
            for damaged in (data[:middle], data[:-1],
                            data[:middle] + bytes([data[middle] ^ 0x55]) + data[middle + 1:]):
                path = self.write("damaged." + name, damaged)
                report, done = self.run_json("split", "-r", path, "-f", "udp", "-w",
                                             self.path("out.pcap"), "-f", "unmatched", "-w",
                                             self.path("rest.pcap"), status=1)
                self.assertIn(path, done.err)
                self.check_files(report)
                if damaged == data[:len(damaged)]:
                    packets = e2e.essence(e2e.read_capture(self.path("out.pcap")).packets)
                    self.assertEqual(packets, self.source[:len(packets)])
                    self.assertGreater(len(packets), 0)

    def test_one_bad_input_of_three(self):
        bad = {"text": b"This is no capture file.\n" * 10, "empty": b"",
               "header": e2e.pcap_header()[:20]}
        for name, content in bad.items():
            path = self.write(name, content)
            for order in ([self.input, path, self.input], [path, self.input, self.input]):
                report, done = self.run_json(
                    "split", *[word for one in order for word in ("-r", one)], *self.other(),
                    status=1)
                self.assertIn(path, done.err)
                self.assertEqual(e2e.essence(e2e.read_capture(self.path("other.pcap")).packets),
                                 2 * self.source[1::10])
                errors = [bool(one["error"]) for one in report["inputs"]]
                self.assertEqual(errors, [one == path for one in order])

    def test_a_damaged_input_of_three_gives_what_is_before_the_damage(self):
        damaged = self.write("damaged.pcap", read_all(self.input)[:-5])
        report, done = self.run_json(
            "split", "-r", self.input, "-r", damaged, "-r", self.input, "-f", "udp", "-w",
            self.path("all.pcap"), status=1)
        self.assertIn(damaged, done.err)
        self.assertEqual(e2e.essence(e2e.read_capture(self.path("all.pcap")).packets),
                         self.source + self.source[:-1] + self.source)

    def test_only_bad_inputs_write_nothing(self):
        path = self.write("text", b"This is no capture file.\n")
        done = e2e.capweir("split", "-r", path, "-w", self.path("out.pcap"))
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn(path, done.err)
        self.assertFalse(os.path.exists(self.path("out.pcap")))
        done = e2e.capweir("split", "-r", self.path("missing"), "-w", self.path("out.pcap"))
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("No such file", done.err)

    # ---- what a format cannot hold ----

    def test_a_second_link_type_is_lost_in_pcap_and_kept_in_pcapng(self):
        frame = e2e.udp_frame(1, 2, 3, 4)
        content = e2e.section() + e2e.interface() + e2e.interface(e2e.RAW)
        for index in range(100):
            content += e2e.enhanced(index % 2, index, frame[14:] if index % 2 else frame)
        path = self.write("two.pcapng", content)
        for threads in THREADS:
            report, done = self.run_json(
                "split", "-r", path, "-f", "udp", "-w", self.path("one.pcap"), "-f", "udp", "-w",
                self.path("two.out.pcapng"), "-t", threads, "--batch-packets", 7, status=1)
            self.assertEqual(report["rules"][0]["lost"]["link_type"], 50)
            self.assertEqual(report["rules"][1]["lost_total"], 0)
            self.check_files(report)
            self.assertIn("link_type", done.err)
            self.assertIn("one.pcap", done.err)

    def test_a_time_that_does_not_fit_is_unrepresentable(self):
        content = e2e.section() + e2e.interface(resolution=0)
        for ticks in (1, 2 ** 32 - 1, 2 ** 32, 2 ** 33, 5):
            content += e2e.enhanced(0, ticks, e2e.udp_frame(1, 2, 3, 4))
        path = self.write("far.pcapng", content)
        report, done = self.run_json("split", "-r", path, "-f", "udp", "-w", self.path("o.pcap"),
                                     "-f", "udp", "-w", self.path("o.pcapng"), status=1)
        self.assertEqual(report["rules"][0]["lost"]["unrepresentable"], 2)
        self.assertEqual([one.ts_ns // e2e.NS for one in
                          e2e.read_capture(self.path("o.pcap")).packets], [1, 2 ** 32 - 1, 5])
        self.assertEqual([one.ts_ns // e2e.NS for one in
                          e2e.read_capture(self.path("o.pcapng")).packets],
                         [1, 2 ** 32 - 1, 2 ** 32, 2 ** 33, 5])

    # ---- signals ----

    def braked(self, threads=2):
        brake = Brake(self.path("brake"))
        process = e2e.start("split", "-r", self.input, "-f", "udp", "-w", brake.path, "-f", "udp",
                            "-w", self.path("file.pcap"), "-t", threads, "--json", "--buffer",
                            "64KiB", "--batch-packets", 50,
                            env=without_leak_reports())
        brake.wait_full()
        return brake, process

    def check_first_signal(self, number):
        for threads in THREADS:
            brake, process = self.braked(threads)
            process.send_signal(number)
            time.sleep(0.2)
            piped = brake.drain(process)
            brake.close()
            os.unlink(brake.path)
            done = e2e.finish(process)
            self.assertEqual(done.status, 130, e2e.text_of(done))
            report = json.loads(done.out)
            self.check_books(report)
            self.check_files(report)
            count = report["packets"]
            self.assertLess(count, COUNT, "it was not interrupted")
            self.assertEqual(report["books"]["lost"], 0)
            for packets in (e2e.parse_capture(piped).packets,
                            e2e.read_capture(self.path("file.pcap")).packets):
                self.assertEqual(e2e.essence(packets), self.source[:count])
            self.assert_no_parts()
            os.unlink(self.path("file.pcap"))

    def test_an_interrupt_ends_with_whole_files_of_what_was_processed(self):
        self.check_first_signal(signal.SIGINT)

    def test_a_termination_does_the_same(self):
        self.check_first_signal(signal.SIGTERM)

    def check_second_signal(self, first, second):
        brake, process = self.braked()
        process.send_signal(first)
        time.sleep(0.2)
        self.assertIsNone(process.poll(), "the first signal must wait for what was handed out")
        begin = time.monotonic()
        process.send_signal(second)
        done = e2e.finish(process)
        self.assertLess(time.monotonic() - begin, 5)
        brake.close()
        os.unlink(brake.path)
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.assertIn("aborted", done.err)
        self.assertFalse(os.path.exists(self.path("file.pcap")))
        self.check_parts(1)

    def check_parts(self, count):
        """There are `count` unfinished files, each a whole prefix of the input."""
        names = [name for name in os.listdir(self.directory) if ".part" in name]
        self.assertEqual(len(names), count, names)
        for name in names:
            packets = e2e.essence(e2e.read_capture(self.path(name)).packets)
            self.assertEqual(packets, self.source[:len(packets)])

    def test_an_abort_between_two_chunks_leaves_a_whole_prefix(self):
        """The one worker stands in the pipe; the file's last chunk written ends within a record."""
        brake = Brake(self.path("brake"))
        process = e2e.start("split", "-r", "-", "-f", "udp", "-w", self.path("file.pcap"), "-f",
                            "udp[8:4] >= 200", "-w", brake.path, "-t", 1, "--chunk-size", 4096,
                            "--buffer", "1MiB", "--batch-packets", 10, stdin=subprocess.PIPE,
                            env=without_leak_reports())
        process.stdin.write(e2e.pcap(self.packets[:600]))
        process.stdin.flush()
        brake.wait_full()
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        process.stdin = None
        done = e2e.finish(process)
        brake.close()
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.check_parts(1)

    def test_a_second_interrupt_ends_promptly_and_leaves_whole_prefixes(self):
        self.check_second_signal(signal.SIGINT, signal.SIGINT)

    def test_a_termination_after_an_interrupt_ends_promptly(self):
        self.check_second_signal(signal.SIGINT, signal.SIGTERM)

    def test_a_fifo_without_reader_can_be_interrupted(self):
        os.mkfifo(self.path("fifo"))
        process = e2e.start("split", "-r", self.input, "-f", "udp", "-w", self.path("fifo"),
                            env=without_leak_reports())
        time.sleep(0.5)
        self.assertIsNone(process.poll(), "it must wait for a reader")
        process.send_signal(signal.SIGINT)
        done = e2e.finish(process, 20)
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.assertRegex(done.err, "shutdown")

    def test_an_interrupt_before_the_first_byte(self):
        os.mkfifo(self.path("in"))
        for source in ("-", self.path("in")):
            for number in (signal.SIGINT, signal.SIGTERM):
                process = e2e.start("split", "-r", source, "-w", self.path("out.pcap"),
                                    stdin=subprocess.PIPE)
                time.sleep(0.5)
                self.assertIsNone(process.poll(), "it must wait for its input")
                process.send_signal(number)
                done = e2e.finish(process, 20)
                self.assertEqual(done.status, 130, e2e.text_of(done))
                self.assertEqual([name for name in os.listdir(self.directory) if "out" in name],
                                 [])

    def test_an_interrupt_while_filters_are_compiled(self):
        hosts = " or ".join(f"host 10.{i // 250}.{i % 250}.7" for i in range(1000))
        process = e2e.start("split", "-r", self.input, "-w", self.path("out.pcap"),
                            "--filter-time", "60", hosts)
        time.sleep(0.5)
        self.assertIsNone(process.poll(), "libpcap must be busy")
        process.send_signal(signal.SIGTERM)
        done = e2e.finish(process, 20)
        self.assertEqual(done.status, 130, e2e.text_of(done))

    def test_generate_interrupted_leaves_nothing(self):
        process = e2e.start("generate", "--packets", "1000000000", "-w", self.path("big.pcap"))
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        done = e2e.finish(process, 20)
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.assertEqual([name for name in os.listdir(self.directory) if "big" in name], [])

    def test_a_hangup_is_refused_and_changes_nothing(self):
        brake, process = self.braked()
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.2)
        brake.drain(process)
        brake.close()
        done = e2e.finish(process)
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertIn("SIGHUP", done.err)
        self.assertIn("packets", done.err)
        self.assertEqual(e2e.essence(e2e.read_capture(self.path("file.pcap")).packets),
                         self.source)

    def test_an_interrupt_while_waiting_for_standard_input(self):
        content = e2e.pcap(self.packets[:100])
        process = e2e.start("split", "-r", "-", "-w", self.path("out.pcap"),
                            stdin=subprocess.PIPE)
        process.stdin.write(content)
        process.stdin.flush()
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        done = e2e.finish(process, 20)
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.assertEqual(e2e.essence(e2e.read_capture(self.path("out.pcap")).packets),
                         self.source[:100])
        self.assert_no_parts()

    def test_nothing_is_left_after_a_normal_run(self):
        self.run_ok("split", "-q", "-r", self.input, *self.other(), "-f", "tcp", "-w",
                    self.path("none.pcap"), "-C", "100k")
        self.assert_no_parts()

    def test_a_file_beyond_the_input_is_not_touched_by_a_failing_replacement(self):
        """An existing output stays as it was when the new one comes to nothing."""
        output = self.write("keep.pcap", b"precious")
        report, done = self.run_json("split", "-r", self.input, "-f", "udp", "-w", output,
                                     limits=[(resource.RLIMIT_FSIZE, 10)], status=1)
        self.assertEqual(read_all(output), b"precious")
        self.assertNotIn(output, report["rules"][0]["files"])
        self.assert_no_parts()


if __name__ == "__main__":
    e2e.main()
