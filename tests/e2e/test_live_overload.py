# SPDX-License-Identifier: BSD-3-Clause
"""Live capture at more than fits, and how a run is ended and asked."""
import array
import contextlib
import fcntl
import os
import signal
import termios
import threading

import e2e
import live

SOME = e2e.scaled(20_000, 3000)


class Pipe:
    """The reading end of a FIFO output: opened at once, read when told."""

    def __init__(self, path):
        os.mkfifo(path)
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.content = bytearray()
        self.thread = None

    def read_on(self):
        """Read to the end, in a thread of its own."""
        def run():
            os.set_blocking(self.fd, True)
            while data := os.read(self.fd, 1 << 20):
                self.content += data

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def close(self):
        if self.thread:
            self.thread.join(live.PATIENCE_S)
        os.close(self.fd)


class Overload(live.Test):
    """At a rate that does not fit, the books say how many are missing, exactly."""

    SMALL = ("--block-size", 65536, "-B", 512, "-s", 200)  # rings of 4 MiB, the least
    COUNT = max(SOME, 20000)  # more than fits into a ring, as 200 bytes and their header

    def overrun(self, *arguments, queues=1, status=0):
        """More packets than the rings hold, while nobody reads them; the report."""
        path = self.path("all.pcap")
        count = self.COUNT * queues
        shape = live.Shape(count, size=180, size_max=200)
        capture = self.capture("-i", "in", "-w", path, "--queues", queues, *self.SMALL, *arguments)
        live.send(shape.part(0, 1000))
        capture.wait_seen(1000)
        capture.freeze()
        live.send(shape.part(1000, count - 2000), rate=0)
        capture.signal(signal.SIGCONT)
        live.send(shape.part(count - 1000, 1000))
        capture.wait_seen(count)
        result = capture.stop()
        report = self.report_of(result, status)
        dropped = self.sum_of(report, "kernel_dropped")
        self.assertEqual(self.sum_of(report, "kernel_seen"), count)
        self.assertGreater(dropped, 0)
        self.assertGreater(self.sum_of(report, "freezes"), 0)
        self.assertEqual(self.sum_of(report, "left"), 0)
        self.assertEqual(report["books"]["in_files"], count - dropped)
        self.expect(live.check(shape, [path]), packets=count - dropped, missing=dropped,
                    first=0)
        return result

    def test_what_the_kernel_dropped_is_counted(self):
        for queues in (1, 2, 4):
            with self.subTest(queues=queues):
                self.overrun(queues=queues)

    def test_more_drops_than_allowed_are_exit_3(self):
        self.overrun("--max-drop", 0, status=3)
        self.overrun("--max-drop", self.COUNT)

    def test_many_rules_and_a_small_ring(self):
        """As fast as it goes, with much to do for each packet: no assertion on how much is lost."""
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [(f"r{number}", f"ip[{number % 40}:4] & {number + 1} != 0 or udp",
              {"write": f"{number}.pcap"}) for number in range(100)]))
        shape = live.Shape(SOME * 2)
        capture = self.capture("-i", "in", "-R", rules, "-o", self.path(), "--queues", 2,
                               *self.SMALL)
        live.send(shape, rate=0)
        capture.wait_seen(shape.count)
        result = capture.stop()
        self.assertIn(result.status, (0, 1))  # 1: backlog, for want of chunks
        report = self.report_of(result, result.status)
        self.assertEqual(self.sum_of(report, "kernel_seen"), shape.count)
        self.assertEqual(report["books"]["matched_any"],
                         shape.count - self.sum_of(report, "kernel_dropped"))
        for rule in report["rules"]:
            self.assertEqual(rule["lost_total"], rule["lost"]["backlog"])
        self.assertEqual(result.status, 1 if report["books"]["lost"] else 0)
        for number in (0, 50, 99):
            rule = report["rules"][number]
            self.expect(live.check(shape, rule["files"]), packets=rule["written"],
                        missing=shape.count - rule["written"])

    def test_a_pipe_that_stands_still_loses_its_own_only(self):
        """The others get everything; what the pipe could not take is backlog, exit 1."""
        pipe = Pipe(self.path("pipe.pcap"))
        self.addCleanup(pipe.close)
        count = 6000  # more than half of the buffer, which is all that the pipe gets
        shape = live.Shape(count, size=1000)
        capture = self.capture("-i", "in", "-f", "udp", "-w", self.path("file.pcap"), "-f", "udp",
                               "-w", self.path("pipe.pcap"), "-t", 2, "--buffer", "4MiB",
                               "--queues", 2)
        for first in range(0, count, 500):  # the file is written meanwhile, but for its last chunk
            live.send(shape.part(first, 500))
            capture.wait_stats(lambda stats, sent=first + 500: stats["written"] >= sent - 600,
                               "the file is written")
        capture.wait_stats(lambda stats: stats["received"] == count, "everything is taken in")
        pipe.read_on()
        report = self.report_of(capture.stop(), 1)
        pipe.thread.join()
        file, fifo = report["rules"]
        self.assertEqual(self.sum_of(report, "kernel_seen"), count)
        self.assertEqual(self.sum_of(report, "kernel_dropped"), 0)
        self.assertEqual((file["written"], file["lost_total"]), (count, 0))
        self.assertGreater(fifo["lost"]["backlog"], 0)
        self.assertEqual(fifo["lost"]["backlog"], fifo["lost_total"])
        self.assertEqual(report["books"]["sent_to_pipe"], fifo["written"])
        self.expect_all(shape, [self.path("file.pcap")])
        self.expect(live.check(shape, [self.write("got.pcap", bytes(pipe.content))]),
                    packets=fifo["written"], missing=fifo["lost_total"])

    def test_a_slow_pipe_alone_lets_the_kernel_drop(self):
        """It is at nobody's expense: the chunks and the ring fill, the kernel drops, exit 0."""
        pipe = Pipe(self.path("pipe.pcap"))
        self.addCleanup(pipe.close)
        shape = live.Shape(self.COUNT, size=1000)
        capture = self.capture("-i", "in", "-w", self.path("pipe.pcap"), "-t", 2, "--buffer",
                               "1MiB", "--block-size", 65536, "-B", 512, "-s", 1000)
        live.send(shape)
        capture.wait_seen(self.COUNT)
        pipe.read_on()
        report = self.report_of(capture.stop())
        pipe.thread.join()
        dropped = self.sum_of(report, "kernel_dropped")
        self.assertGreater(dropped, 0)
        self.assertEqual(report["books"]["lost"], 0)
        self.assertEqual(report["books"]["sent_to_pipe"], self.COUNT - dropped)
        self.expect(live.check(shape, [self.write("got.pcap", bytes(pipe.content))]),
                    packets=self.COUNT - dropped, missing=dropped)

    def test_a_drain_that_ends_late_is_given_up(self):
        """What a pipe takes no more is lost as shutdown once --drain-timeout is over."""
        shape = live.Shape(self.COUNT, size=1000)
        for attempt in range(5):
            path = self.path(f"pipe{attempt}.pcap")
            pipe = Pipe(path)
            self.addCleanup(pipe.close)
            capture = self.capture("-i", "in", "-w", path, "-w", self.path(f"file{attempt}.pcap"),
                                   "-f", "udp", "-f", "udp", "-t", 2, "--buffer", "8MiB",
                                   "--drain-timeout", 0.3, env=self.breaking_off())
            live.send(shape)
            capture.wait_seen(self.COUNT)
            capture.wait_stats(lambda stats: stats["received"] == self.COUNT, "all is taken in")
            capture.signal()
            capture.wait_line("cannot write the last packets within")
            pipe.read_on()
            result = capture.wait()
            pipe.thread.join()
            if "stuck" not in result.err:  # else this program read too late: two seconds
                break
        report = self.report_of(result, 1)
        fifo, file = report["rules"]
        self.assertGreater(fifo["lost"]["shutdown"], 0)
        self.assertEqual(fifo["lost_total"], fifo["lost"]["shutdown"] + fifo["lost"]["backlog"])
        found = live.check(shape, file["files"])
        self.expect(found, packets=file["written"], missing=file["lost_total"])

    def start_beside_a_pipe(self, threads):
        """A file of all packets, and a FIFO of the large ones that nobody reads."""
        pipe = Pipe(self.path("pipe.pcap"))
        self.addCleanup(pipe.close)
        return self.capture("-i", "in", "-w", self.path("file.pcap"), "-w",
                            self.path("pipe.pcap"), "-f", "udp", "-f", "greater 500", "-t",
                            threads, "--drain-timeout", 0.3, env=self.breaking_off()), pipe

    def parts(self):
        return [self.path(name) for name in os.listdir(self.directory) if ".part" in name]

    def wait_written(self, capture, count, size):
        """Until the file's temporary one has so many packets."""
        capture.signal(signal.SIGUSR2)
        capture.wait_until(lambda: sum(map(os.path.getsize, self.parts())) ==
                           24 + count * (16 + size), "the file has all packets")

    def wait_stuck(self, capture, pipe):
        """Until the FIFO is full: a worker waits in its write."""
        def bytes_in():
            held = array.array("i", [0])
            fcntl.ioctl(pipe.fd, termios.FIONREAD, held)
            return held[0]

        capture.signal(signal.SIGUSR2)
        size = fcntl.fcntl(pipe.fd, fcntl.F_GETPIPE_SZ)
        capture.wait_until(lambda: bytes_in() > size - 4096, "the pipe is full")

    def stop_stuck(self, capture):
        done = capture.stop()
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("stuck", done.err)
        return done

    def test_a_drain_that_does_not_end_is_broken_off(self):
        """A worker that hangs in a write does not keep the command: exit 1. A file that has every
        packet gets its name."""
        shape = live.Shape(SOME, size=1000)
        capture, pipe = self.start_beside_a_pipe(threads=2)
        live.send(shape)
        capture.wait_seen(SOME)
        self.wait_stuck(capture, pipe)
        self.wait_written(capture, SOME, 1000)
        done = self.stop_stuck(capture)
        self.assertNotIn("unfinished", done.err)
        self.assertEqual(self.parts(), [])
        self.expect_all(shape, [self.path("file.pcap")])

    def test_a_file_without_its_last_packets_is_named(self):
        shape = live.Shape(100)
        capture, pipe = self.start_beside_a_pipe(threads=1)
        live.send(shape)
        capture.wait_seen(100)
        self.wait_written(capture, 100, 60)
        live.send(live.Shape(1000, first=100, size=1000))
        self.wait_stuck(capture, pipe)
        done = self.stop_stuck(capture)
        part, = self.parts()
        self.assertIn(f"{self.path('file.pcap')} is unfinished; to read it: capweir repair {part}",
                      done.err)
        self.assertEqual(e2e.capweir("repair", part).status, 0)
        os.rename(part, self.path("repaired.pcap"))
        found = live.check(live.Shape(1100), [self.path("repaired.pcap")])
        self.assertGreaterEqual(found["packets"], 100)


class Signals(live.Test):
    """How a run is ended and asked."""

    def test_the_first_signal_finishes(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                shape = live.Shape(SOME)
                capture = self.capture("-i", "in", "-w", self.path(f"{number}.pcap"))
                live.send(shape)
                capture.wait_seen(SOME)
                capture.signal(number)
                report = self.report_of(capture.wait())
                self.assertEqual(report["books"]["in_files"], SOME)
                self.assert_no_parts()

    def test_in_full_flow(self):
        """Stopped while packets go on coming: what the kernel took until then is there."""
        shape = live.Shape(live.FLOW_MAX)
        for queues in (1, 4):
            with self.subTest(queues=queues):
                path = self.path(f"{queues}.pcap")
                capture = self.capture("-i", "in", "-w", path, "--queues", queues, *live.FLOWING)
                sender = self.sender(shape, rate=live.FLOW)
                capture.wait_seen(1000)
                self.assertIsNone(sender.process.poll())
                report = self.report_of(capture.stop())
                sender.stop()
                self.assertEqual(self.sum_of(report, "left"), 0)
                self.assertEqual(report["books"]["in_files"], self.kept(report))
                self.expect_all(shape, [path], packets=self.kept(report))

    def test_the_second_signal_breaks_off(self):
        pipe = Pipe(self.path("pipe.pcap"))
        self.addCleanup(pipe.close)
        shape = live.Shape(SOME, size=1000)
        capture = self.capture("-i", "in", "-f", "udp", "-w", self.path("pipe.pcap"), "-f", "udp",
                               "-w", self.path("file.pcap"), "-t", 2, json=False,
                               env=self.breaking_off())
        live.send(shape)
        capture.signal()
        capture.wait_line("stopping")

        def is_aborted():  # a signal soon after the first is the same request: ask again
            capture.signal()
            return "aborted" in capture.text()

        capture.wait_until(is_aborted, "it is aborted")
        done = capture.wait()
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.assertIn("aborted", done.err)
        left = [self.path(name) for name in os.listdir(self.directory)
                if ".part" in name or name == "file.pcap"]
        self.assertLessEqual(len(left), 1)
        found = live.check(shape, left)
        self.expect(found, missing=SOME - found["packets"])

    def test_counters_are_told_when_asked(self):
        capture = self.capture("-i", "in", "-w", self.path("all.pcap"), json=False)
        live.send(live.Shape(SOME))
        capture.signal(signal.SIGUSR1)
        capture.wait_line("dropped by the kernel 0")
        live.send(live.Shape(SOME, first=SOME))

        def are_told():
            capture.signal(signal.SIGUSR1)
            return f"{2 * SOME:,}" in capture.text()

        capture.wait_until(are_told, "all packets", poll_s=0.1)
        done = capture.stop()
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.expect_all(live.Shape(2 * SOME), [self.path("all.pcap")])

    def test_counters_come_by_the_clock(self):
        shape = live.Shape(SOME)
        capture = self.capture("-i", "in", "-w", self.path("all.pcap"), "--stats", 0.1)
        live.send(shape)
        capture.wait_until(lambda: len(capture.stats_lines()) >= 5 and
                           capture.stats_lines()[-1]["written"] == SOME, "five lines")
        lines = capture.stats_lines()
        report = self.report_of(capture.stop())
        self.assertEqual(report["books"]["in_files"], SOME)
        for earlier, later in zip(lines, lines[1:]):
            for name, value in earlier.items():
                self.assertLessEqual(value, later[name], name)
            self.assertGreater(later["elapsed_s"], earlier["elapsed_s"])
        self.assertEqual(lines[-1]["kernel_seen"], SOME)
        self.assertEqual(lines[-1]["received"], SOME)
        self.assertEqual(lines[-1]["matched"], SOME)
        capture = self.capture("-i", "in", "-w", self.path("all.pcap"), "--stats", 0.1, json=False)
        capture.wait_line("dropped by the kernel")
        self.assertEqual(capture.stop().status, 0)

    def test_a_terminal_is_told_once_a_second(self):
        """A line that is written over; messages do not mix with it."""
        reading, writing = os.openpty()
        self.addCleanup(os.close, reading)
        capture = self.capture("-i", "in", "-w", self.path("all.pcap"), json=False, stderr=writing)
        os.close(writing)
        live.send(live.Shape(SOME))
        text = b""
        while b"dropped by the kernel" not in text:
            text += os.read(reading, 65536)
        live.do_ip("link set in down", "link set in up")
        while b"set down" not in text or text.count(b"dropped by the kernel") < 2:
            text += os.read(reading, 65536)
        capture.signal()
        with contextlib.suppress(OSError):  # the terminal ends with its last writer
            while data := os.read(reading, 65536):
                text += data
        self.assertEqual(capture.wait().status, 0)
        self.assertNotIn(b"Sanitizer", text)
        self.assertIn(b"\r\x1b[Kcapweir: in was set down\r\n", text)
        self.assertRegex(text, rb"\d+ s: [\d,]+ packets, .*dropped by the kernel 0")

    def test_a_duration_ends_the_run(self):
        capture = self.capture("-i", "in", "-w", self.path("all.pcap"), "--duration", 0.3)
        live.send(live.Shape(SOME // 4))
        report = self.report_of(capture.wait())
        self.assertGreaterEqual(report["elapsed_s"], 0.3)
        self.assertEqual(report["books"]["in_files"], self.sum_of(report, "kernel_seen"))

    def test_nothing_captured_is_a_valid_file(self):
        for name in ("none.pcap", "none.pcapng"):
            capture = self.capture("-i", "in", "-w", self.path(name))
            report = self.report_of(capture.stop())
            self.assertEqual(report["packets"], 0)
            self.assertEqual(e2e.read_capture(self.path(name)).packets, [])


if __name__ == "__main__":
    live.main()
