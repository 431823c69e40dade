# SPDX-License-Identifier: BSD-3-Clause
"""Runs that are interrupted: whole files of what was processed, or whole prefixes."""
import json
import os
import re
import resource
import select
import signal
import subprocess

import e2e
import faults


class Interrupts(faults.Test):
    def braked(self, threads=2, hangup=signal.SIG_DFL):
        brake = faults.Brake(self.path("brake"))
        process = e2e.start("split", "-r", self.input, "-f", "udp", "-w", brake.path, "-f", "udp",
                            "-w", self.path("file.pcap"), "-t", threads, "--json", "--buffer",
                            "64KiB", "--batch-packets", 50,
                            env=faults.without_leak_reports(),
                            signals=[(signal.SIGHUP, hangup)])
        brake.wait_full(process)
        return brake, process

    def parts(self):
        return [name for name in os.listdir(self.directory) if ".part" in name]

    def check_first_signal(self, number):
        for threads in faults.THREADS:
            brake, process = self.braked(threads)
            process.send_signal(number)
            e2e.wait_said(process, "stopping")
            piped = brake.drain(process)
            brake.close()
            os.unlink(brake.path)
            done = e2e.finish(process)
            self.assertEqual(done.status, 130, e2e.text_of(done))
            report = json.loads(done.out)
            self.check_books(report)
            self.check_files(report)
            count = report["packets"]
            self.assertLess(count, faults.COUNT, "it was not interrupted")
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

    def stopping(self, number):
        """A run that cannot end after its first signal: the brake is on."""
        brake, process = self.braked()
        e2e.wait_until(self.parts, "the other file is begun", process)
        process.send_signal(number)
        e2e.wait_said(process, "stopping")
        self.assertIsNone(process.poll(), "the first signal must wait for what was handed out")
        return brake, process

    def check_abort(self, first):
        brake, process = self.stopping(first)
        done = e2e.abort(process)  # though nobody reads the pipe
        brake.close()
        os.unlink(brake.path)
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.assertIn("aborted", done.err)
        if os.path.exists(self.path("file.pcap")):  # all that was reserved for it is written
            packets = e2e.essence(e2e.read_capture(self.path("file.pcap")).packets)
            self.assertEqual(packets, self.source[:len(packets)])
            os.unlink(self.path("file.pcap"))
            self.assert_no_parts()
            return
        self.check_parts(1)
        command, = re.findall(r"is unfinished; to read it: capweir (repair .*)", done.err)
        self.assertIn(self.parts()[0], command)
        self.run_ok(*command.split())

    def check_parts(self, count):
        """There are `count` unfinished files, each a whole prefix of the input."""
        names = self.parts()
        self.assertEqual(len(names), count, names)
        for name in names:
            packets = e2e.essence(e2e.read_capture(self.path(name)).packets)
            self.assertEqual(packets, self.source[:len(packets)])

    def test_an_abort_between_two_chunks_leaves_a_whole_prefix(self):
        """The one worker stands in the pipe; the file's last chunk written ends within a record."""
        brake = faults.Brake(self.path("brake"))
        process = e2e.start("split", "-r", "-", "-f", "udp", "-w", self.path("file.pcap"), "-f",
                            "udp[8:4] >= 200", "-w", brake.path, "-t", 1, "--chunk-size", 4096,
                            "--buffer", "1MiB", "--batch-packets", 10, stdin=subprocess.PIPE,
                            env=faults.without_leak_reports())
        process.stdin.write(e2e.pcap(self.packets[:600]))
        process.stdin.flush()
        brake.wait_full(process)
        e2e.wait_until(self.parts, "the file is begun", process)
        process.send_signal(signal.SIGINT)
        e2e.wait_said(process, "stopping")
        process.stdin.close()
        process.stdin = None
        done = e2e.abort(process)
        brake.close()
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.check_parts(1)

    def test_a_later_interrupt_ends_promptly_and_leaves_whole_prefixes(self):
        for first in (signal.SIGINT, signal.SIGTERM):
            self.check_abort(first)
            for name in self.parts():
                os.unlink(self.path(name))

    def test_an_abort_publishes_files_whose_records_are_all_written(self):
        """The pipe of one rule is full; the other rule's packets are all in its file."""
        for name, number in (("few.pcap", signal.SIGQUIT), ("few.pcapng", signal.SIGQUIT),
                             ("few.pcap.zst", signal.SIGINT)):
            brake = faults.Brake(self.path("brake"))
            process = e2e.start("split", "-r", "-", "-f", "udp[8:4] >= 100", "-w", brake.path,
                                "-f", "udp[8:4] < 100", "-w", self.path(name), "-t", 2,
                                "--batch-packets", 10, "--buffer", "4MiB",
                                stdin=subprocess.PIPE, env=faults.without_leak_reports())
            process.stdin.write(e2e.pcap(self.packets[:600]))
            process.stdin.flush()
            brake.wait_full(process)
            e2e.wait_packets(process, 600)
            if number == signal.SIGINT:
                process.send_signal(number)
                e2e.wait_said(process, "stopping")
                done = e2e.abort(process)
            else:
                process.send_signal(number)
                done = e2e.finish(process)
            brake.close()
            os.unlink(brake.path)
            self.assertEqual(done.status, 130, e2e.text_of(done))
            self.assertNotIn("unfinished", done.err)
            self.assert_no_parts()
            self.run_ok("split", "-q", "-r", self.path(name), "-w", self.path("copy.pcap"))
            self.assertEqual(e2e.essence(e2e.read_capture(self.path("copy.pcap")).packets),
                             self.source[:100])

    def test_sigquit_aborts_at_once(self):
        for is_stopping in (False, True):
            brake, process = self.stopping(signal.SIGINT) if is_stopping else self.braked()
            process.send_signal(signal.SIGQUIT)
            done = e2e.finish(process)
            brake.close()
            os.unlink(brake.path)
            self.assertEqual(done.status, 130, e2e.text_of(done))
            self.assertIn("aborted", done.err)
            for name in self.parts():
                os.unlink(self.path(name))

    def test_terminations_never_abort_and_say_what_is_waited_for(self):
        brake, process = self.stopping(signal.SIGINT)
        others = (signal.SIGTERM, signal.SIGALRM, signal.SIGXCPU, signal.SIGRTMAX)

        def is_answered():
            for number in others:
                process.send_signal(number)
            if select.select([process.stderr], [], [], 0)[0]:
                e2e.read_said(process, "Waiting for")
            return b"Waiting for" in process.said

        e2e.wait_until(is_answered, "an answer", process)
        e2e.wait_said(process, f"rule1 -> {brake.path} (")
        self.check_drained(brake, process)

    def check_drained(self, brake, process):
        """A run that was asked to end does so once its pipe is read, with whole files."""
        piped = brake.drain(process)
        brake.close()
        os.unlink(brake.path)
        done = e2e.finish(process)
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.assertNotIn("aborted", done.err)
        self.assertEqual(done.err.count("stopping: "), 1)
        report = json.loads(done.out)
        for packets in (e2e.parse_capture(piped).packets,
                        e2e.read_capture(self.path("file.pcap")).packets):
            self.assertEqual(e2e.essence(packets), self.source[:report["packets"]])
        self.assert_no_parts()
        os.unlink(self.path("file.pcap"))

    def test_several_signals_at_once_are_one_request(self):
        for numbers in ((signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT),
                        (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP),
                        (signal.SIGALRM, signal.SIGINT, signal.SIGRTMIN)):
            with self.subTest(numbers):
                brake, process = self.braked()
                for number in numbers:
                    process.send_signal(number)
                e2e.wait_said(process, "stopping")
                self.check_drained(brake, process)

    def test_a_fifo_without_reader_can_be_interrupted(self):
        os.mkfifo(self.path("fifo"))
        process = e2e.start("split", "-r", self.input, "-f", "udp", "-w", self.path("file.pcap"),
                            "-f", "udp", "-w", self.path("fifo"),
                            env=faults.without_leak_reports())
        e2e.wait_until(self.parts, "the other file is begun", process)
        process.send_signal(signal.SIGINT)
        done = e2e.finish(process)
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.assertRegex(done.err, "shutdown")

    def test_an_interrupt_before_the_first_byte(self):
        os.mkfifo(self.path("in"))
        for source in ("-", self.path("in")):
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGALRM):
                process = e2e.start("split", "-r", source, "-w", self.path("out.pcap"),
                                    stdin=subprocess.PIPE)
                e2e.wait_for_signals(process)
                process.send_signal(number)
                done = e2e.finish(process)
                self.assertEqual(done.status, 130, e2e.text_of(done))
                self.assertEqual([name for name in os.listdir(self.directory) if "out" in name],
                                 [])

    def test_an_interrupt_while_filters_are_compiled(self):
        hosts = " or ".join(f"host 10.{i // 250}.{i % 250}.7" for i in range(1000))
        process = e2e.start("split", "-r", self.input, "-w", self.path("out.pcap"),
                            "--filter-time", "60", hosts)
        e2e.wait_compiling(process)
        process.send_signal(signal.SIGTERM)
        done = e2e.finish(process)
        self.assertEqual(done.status, 130, e2e.text_of(done))

    def test_generate_interrupted_leaves_nothing(self):
        process = e2e.start("generate", "--packets", "1000000000", "-w", self.path("big.pcap"))
        e2e.wait_until(lambda: self.parts() and os.path.getsize(self.path(self.parts()[0])),
                       "something is written", process)
        process.send_signal(signal.SIGTERM)
        done = e2e.finish(process)
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.assertEqual([name for name in os.listdir(self.directory) if "big" in name], [])

    def test_a_hangup_ends_the_run_unless_it_is_ignored(self):
        brake, process = self.braked()
        process.send_signal(signal.SIGHUP)
        e2e.wait_said(process, "stopping")
        self.check_drained(brake, process)
        brake, process = self.braked(hangup=signal.SIG_IGN)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGUSR1)
        process.send_signal(signal.SIGUSR2)
        e2e.wait_said(process, "packets")
        brake.drain(process)
        brake.close()
        done = e2e.finish(process)
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertNotIn("stopping", done.err)
        self.assertEqual(e2e.essence(e2e.read_capture(self.path("file.pcap")).packets),
                         self.source)

    def test_an_interrupt_while_waiting_for_standard_input(self):
        content = e2e.pcap(self.packets[:100])
        process = e2e.start("split", "-r", "-", "-w", self.path("out.pcap"),
                            stdin=subprocess.PIPE)
        process.stdin.write(content)
        process.stdin.flush()
        e2e.wait_packets(process, 100)
        process.send_signal(signal.SIGINT)
        done = e2e.finish(process)
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
        self.assertEqual(faults.read_all(output), b"precious")
        self.assertNotIn(output, report["rules"][0]["files"])
        self.assert_no_parts()


if __name__ == "__main__":
    e2e.main()
