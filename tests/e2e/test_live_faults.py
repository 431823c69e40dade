# SPDX-License-Identifier: BSD-3-Clause
"""Live capture goes on, or ends well: devices and pipes that go and come, threads frozen."""
import contextlib
import os
import resource
import signal

import e2e
import live

IDLE_SHARE = 0.05 if live.SANITIZED else 0.01


class Checker(live.Fresh):
    def test_the_checker_finds_what_is_wrong(self):
        """One packet lost, doubled, changed, cut, moved or torn: each is seen as that."""
        capture = self.start()
        self.send_more(capture, 100)
        self.finish(capture)
        packets = [(one.ts_ns, one.data) for one in e2e.read_capture(self.output).packets]
        shape = live.Shape(100)  # flows 0, 1 and 2 have two packets each: 0 and 97, ...

        def changed(index, data):
            return packets[:index] + [(packets[index][0], data)] + packets[index + 1:]

        wrongs = [(packets[:50] + packets[51:], {"packets": 99, "missing": 1}),
                  (packets[:51] + packets[50:], {"packets": 101, "duplicated": 1}),
                  (changed(50, packets[50][1][:-1] + b"\0"), {"packets": 100, "damaged": 1}),
                  (changed(50, b"y" * 60), {"packets": 100, "missing": 1, "strangers": 1}),
                  (packets[97:] + packets[:97], {"packets": 100, "disorder": 3}),
                  (packets, {"packets": 100})]
        for wrong, expected in wrongs:
            path = self.write("wrong.pcap", e2e.pcap(wrong, ns=True))
            self.expect(live.check(shape, [path]), **expected)
        torn = self.write("torn.pcap", e2e.pcap(packets, ns=True)[:-7])
        self.expect(live.check(shape, [torn]), packets=99, missing=1, torn_files=1,
                    torn_bytes=16 + 60 - 7)


class Devices(live.Fresh):
    """What happens to the interface is reported, and the capture continues."""

    def test_down_and_up(self):
        for queues in (1, 4):
            with self.subTest(queues=queues):
                self.sent = 0
                capture = self.start("--queues", queues)
                self.send_more(capture)
                for times in (1, 2):
                    live.do_ip("link set in down")
                    capture.wait_line("in was set down", times)
                    live.do_ip("link set in up")
                    capture.wait_line("in was set up", times)
                    self.send_more(capture)
                report = self.finish(capture)
                self.assertGreaterEqual(report["devices"][0]["events"], 4)
                self.assertEqual(report["devices"][0]["gaps"], 0)
                self.assertEqual([queue["downs"] for queue in report["queues"]], [2] * queues)

    def recreate(self, queues, *arguments, rounds=1, output="all.pcap"):
        self.sent = 0
        capture = self.start("--queues", queues, *arguments, output=output)
        self.send_more(capture)
        for times in range(rounds):
            live.do_ip("link del in")
            capture.wait_line("was removed", times + 1)
            capture.wait_line("in is gone", times + 1)
            self.assertIsNone(live.make_pair())
            capture.wait_line("in: captured again", times + 1)
            self.send_more(capture)
            self.assertEqual(capture.text().count("in: captured again"), times + 1)
        report = self.finish(capture)
        self.assertEqual(report["devices"][0]["gaps"], rounds)
        self.assertGreater(report["devices"][0]["gap_s"], 0)
        self.assertEqual(len(report["queues"]), queues)
        return report

    def test_removed_and_created_again(self):
        for queues in (1, 4):
            with self.subTest(queues=queues):
                self.recreate(queues)

    def test_created_again_with_rules_and_pcapng(self):
        """An interface block more, and the rules' filters go on."""
        self.recreate(2, "-f", "udp", rounds=2, output="all.pcapng")

    def test_removed_with_packets_in_an_open_block(self):
        """What the kernel has taken is not forgotten with the device."""
        capture = self.start("--block-timeout", 1000, "--queues", 2)
        self.send_more(capture)
        live.do_ip("link del in")
        capture.wait_line("in is gone")
        self.assertIsNone(live.make_pair())
        capture.wait_line("in: captured again")
        self.send_more(capture)
        self.finish(capture)

    def test_stopped_while_it_is_gone(self):
        capture = self.start("--queues", 2)
        self.send_more(capture)
        live.do_ip("link del in")
        capture.wait_line("in is gone")
        report = self.finish(capture)
        self.assertEqual(report["devices"][0]["gaps"], 1)

    def test_removed_in_full_flow(self):
        """How many were on their way nobody knows; the books balance all the same."""
        shape = live.Shape(2 * live.FLOW_MAX)
        for queues in (1, 4):
            with self.subTest(queues=queues):
                path = self.path(f"{queues}.pcap")
                capture = self.capture("-i", "in", "-w", path, "--queues", queues, *live.FLOWING)
                first = self.sender(shape.part(0, live.FLOW_MAX), rate=live.FLOW)
                capture.wait_seen(1000)
                self.assertIsNone(first.process.poll())
                live.do_ip("link del in")
                capture.wait_line("in is gone")
                first.stop()
                before = capture.stats()["kernel_seen"]
                self.assertIsNone(live.make_pair())
                capture.wait_line("in: captured again")
                second = self.sender(shape.part(live.FLOW_MAX, live.FLOW_MAX), rate=live.FLOW)
                capture.wait_seen(before + 1000)
                report = self.report_of(capture.stop())
                second.stop()
                self.assertEqual(self.sum_of(report, "left"), 0)
                self.assertEqual(report["books"]["in_files"], self.kept(report))
                self.expect_all(shape, [path], packets=self.kept(report))

    def test_one_of_two_removed(self):
        """The other one's capture does not notice."""
        live.do_ip("link add other type veth peer name far", "link set other arp off up",
                   "link set far arp off up")
        capture = self.start("-i", "other")
        self.send_more(capture)
        live.do_ip("link del other")
        capture.wait_line("other is gone")
        self.send_more(capture)
        self.finish(capture)

    def test_renamed(self):
        """The device is followed under its new name."""
        capture = self.start("--queues", 2)
        self.send_more(capture)
        live.do_ip("link set in down", "link set in name inward", "link set inward up")
        capture.wait_line("called inward")
        self.send_more(capture)
        live.do_ip("link set inward down", "link set inward name in", "link set in up")
        capture.wait_line("called in", 2)
        self.send_more(capture)
        self.finish(capture)

    def test_renamed_and_another_one_in_its_place(self):
        """The name is what was asked for: who has it now is captured, and the books balance."""
        for queues in (1, 3):
            with self.subTest(queues=queues):
                self.sent = 0
                capture = self.start("--queues", queues)
                self.send_more(capture)
                live.do_ip("link set in down", "link set in name inward", "link set inward up")
                capture.wait_line("called inward")
                self.send_more(capture)
                live.do_ip("link set out down", "link set out name outward")
                self.assertIsNone(live.make_pair())
                capture.wait_line("takes the place of")
                capture.wait_line("in: captured again")
                self.send_more(capture)  # on the new pair
                report = self.finish(capture)
                self.assertEqual(report["devices"][0]["gaps"], 1)
                live.do_ip("link del inward")

    def test_mtu_changed(self):
        capture = self.start("--queues", 2)
        self.send_more(capture)
        live.do_ip("link set in mtu 1500")
        capture.wait_line("MTU from 9000 to 1500")
        self.send_more(capture)
        live.do_ip("link set in mtu 9000")
        capture.wait_line("MTU from 1500 to 9000")
        self.send_more(capture)
        self.finish(capture)

    def test_counters_of_the_device_under_its_new_name_and_after_its_end(self):
        """What the device says it lost is asked by the name it has, not by the one it had."""
        for is_removed in (False, True):
            with self.subTest(is_removed=is_removed):
                self.setUp()
                capture = self.start("--queues", 1)
                self.send_more(capture)
                live.do_ip("link set in down", "link set in name inward", "link set inward up")
                capture.wait_line("called inward")
                self.send_more(capture)
                if is_removed:
                    capture.wait_ticks(20)  # the keeper reads the counters every second
                    live.do_ip("link del inward")
                    capture.wait_line("in is gone")
                losses = self.finish(capture)["devices"][0]["before_tap"]
                self.assertEqual(losses["rx_packets"], self.sent)
                self.assertEqual(losses["is_lower_bound"], is_removed)
                live.ip("link del inward")

    def test_a_device_that_is_not_there(self):
        done = e2e.capweir("-i", "nowhere", "-w", self.path("all.pcap"))
        self.assertIn(done.status, (1, 2), e2e.text_of(done))
        self.assertIn("nowhere", done.err)
        self.assertEqual(os.listdir(self.directory), [])

    def test_a_ring_out_of_range(self):
        done = e2e.capweir("-i", "in", "-w", self.path("all.pcap"), "-B", 1 << 31)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertEqual(os.listdir(self.directory), [])

    def test_ring_memory_that_is_not_there(self):
        """Refused with a reason. (Real memory is not used up here: the address space is.)"""
        if live.SANITIZED:
            self.skipTest("a sanitizer needs the address space")
        done = e2e.capweir("-i", "in", "-w", self.path("all.pcap"), "--queues", 1, "-B", 512 << 10,
                           limits=[(resource.RLIMIT_AS, 400 << 20)])
        self.assertIn(done.status, (1, 2), e2e.text_of(done))
        self.assertIn("memory", done.err)
        self.assertEqual(os.listdir(self.directory), [])


class Pipes(live.Fresh):
    """Whoever reads our standard output may go."""

    def start_and_leave(self, *arguments):
        """A capture whose reader reads a little of standard output and goes."""
        process = e2e.start("-i", "in", "-q", *arguments)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        process.stdout.read(24 + 16 + 60)  # the first packet: it runs
        process.stdout.close()
        return process

    def test_the_only_output_goes(self):
        sender = self.sender(live.Shape(live.FLOW_MAX), rate=live.FLOW)
        process = self.start_and_leave("-w", "-")
        error = process.stderr.read().decode()  # to its end
        self.assertEqual(process.wait(live.PATIENCE_S), 1, error)
        self.assertIn("no output is left", error)
        self.assertIn("Broken pipe", error)
        sender.stop()

    def test_others_go_on(self):
        def size():
            parts = [self.path(name) for name in os.listdir(self.directory) if ".part" in name]
            return sum(map(os.path.getsize, parts))  # 0: not made yet

        sender = self.sender(live.Shape(live.FLOW_MAX), rate=live.FLOW)
        process = self.start_and_leave("-f", "ip", "-w", "-", "-f", "ip", "-w",
                                       self.path("all.pcap"))
        e2e.wait_said(process, "Broken pipe")
        before = size()
        e2e.wait_until(lambda: size() > before, "the other output continues", process)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGINT)
        sender.stop()
        error = process.stderr.read().decode()
        self.assertEqual(process.wait(live.PATIENCE_S), 1, error)
        self.assertGreater(os.path.getsize(self.path("all.pcap")), before)
        e2e.read_capture(self.path("all.pcap"))  # and it is whole


def run_s(process):
    """Seconds that the threads of a process have run, exactly."""
    total = 0
    for task in os.listdir(f"/proc/{process}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{process}/task/{task}/schedstat") as file:
            total += int(file.read().split()[0])
    return total / 1e9


class Quiet(live.Fresh):
    """Nothing to do costs nothing; a thread that stands still costs its own."""

    def assert_idle(self, capture, ticks=15):
        before = run_s(capture.process.pid)
        capture.wait_ticks(ticks)
        used = run_s(capture.process.pid) - before
        self.assertGreater(used, 0)  # the measure works: the keeper has its ticks
        self.assertLess(used, IDLE_SHARE * ticks * 0.1)  # of CPU time, whatever time passed

    def test_idle(self):
        capture = self.start("--queues", 4)
        self.send_more(capture)
        capture.wait_stats(lambda stats: stats["written"] == self.sent, "all is written")
        self.assert_idle(capture)
        self.finish(capture)

    def test_idle_with_every_block_held(self):
        """A pipe that is not read holds up the run: the ring is full, and nobody spins."""
        path = self.path("pipe.pcap")
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        capture = self.capture("-i", "in", "-w", path, "-t", 2, "--buffer", "1MiB", "--block-size",
                               65536, "-B", 512, "-s", 1000)
        shape = live.Shape(10000, size=1000)
        live.send(shape)
        capture.wait_stats(lambda stats: stats["kernel_dropped"] > 0, "the ring is full")
        self.assert_idle(capture)
        capture.kill()
        os.close(reader)

    def test_a_frozen_worker(self):
        """Stopped by the cgroup freezer for a while, it holds up its own batch at most."""
        group = f"/sys/fs/cgroup/freezer/capweir-test-{os.getpid()}"
        try:
            os.mkdir(group)
        except OSError as error:
            self.skipTest(f"no cgroup freezer here: {error}")
        self.addCleanup(os.rmdir, group)

        def put(name, value):
            with open(os.path.join(group, name), "w") as file:
                file.write(value)

        if not os.path.exists(os.path.join(group, "freezer.state")):
            self.skipTest("no cgroup freezer here: it has no state")
        capture = self.start("--queues", 2, "-t", 2)
        self.send_more(capture)
        for task in os.listdir(f"/proc/{capture.process.pid}/task"):
            with open(f"/proc/{capture.process.pid}/task/{task}/comm") as file:
                if file.read().strip() == "cw-worker-0":
                    put("tasks", task)
        put("freezer.state", "FROZEN")
        try:
            written = capture.stats()["written"]
            for _ in range(3):  # each in blocks of its own
                live.send(live.Shape(1000, first=self.sent))
                self.sent += 1000
                capture.wait_seen(self.sent)
            capture.wait_stats(lambda stats: stats["written"] > written, "the others go on")
        finally:
            put("freezer.state", "THAWED")
        capture.wait_seen(self.sent)
        self.finish(capture)


if __name__ == "__main__":
    live.main()
