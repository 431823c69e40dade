#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""--wait-device: interfaces that are missing or down at the start are captured once they are up."""
import os
import pwd
import signal

import e2e
import live

CAPTURED = "in: captured after waiting"


def status_of(process):
    with open(f"/proc/{process}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def name_pair(name):
    """The pair, up, but the captured end has another name."""
    live.do_ip(live.PAIR, "link set out mtu 9000 arp off up", f"link set in name {name}",
               f"link set {name} mtu 9000 arp off up")


class Waiting(live.Fresh):
    def wait_for(self, *arguments, **options):
        """A capture that waits for its interface, which is down or missing."""
        capture = self.start("--wait-device", *arguments, **options)
        capture.wait_line("waiting for in")
        return capture

    def come_up(self, capture):
        live.do_ip("link set in up")
        capture.wait_line(CAPTURED)

    def come(self, capture):
        self.assertIsNone(live.make_pair())
        capture.wait_line(CAPTURED)

    def remove(self):
        live.do_ip("link del in")

    # ---- how it comes ----

    def test_down_then_up(self):
        """The packets and counters from before do not count."""
        live.send(live.Shape(100))
        live.do_ip("link set in down")
        capture = self.wait_for()
        capture.wait_line("waiting for in, which is down")
        self.come_up(capture)
        self.send_more(capture)
        report = self.finish(capture)
        self.assertIn("listening on in, link type EN10MB", capture.text())
        device, = report["devices"]
        self.assertGreater(device["waited_s"], 0)
        self.assertEqual((device["gaps"], device["gap_s"], device["link_type"]), (0, 0, "EN10MB"))
        self.assertIn(device["before_tap"]["rx_packets"], range(self.sent, self.sent + 100))
        self.assertFalse(device["before_tap"]["is_lower_bound"])

    def test_missing_then_created(self):
        """As many queues as asked for, in both orders of packets."""
        for order in ("arrival", "time"):
            with self.subTest(order):
                self.remove()
                self.sent = 0
                capture = self.wait_for("--queues", 4, "--order", order, output=f"{order}.pcap")
                capture.wait_line("waiting for in, which is missing")
                self.come(capture)
                self.send_more(capture)
                report = self.finish(capture)
                self.assertEqual(report["devices"][0]["queues"], 4)
                self.assertEqual(report["late"], 0)

    def test_another_is_renamed_to_the_name(self):
        self.remove()
        name_pair("inward")
        capture = self.wait_for()
        live.do_ip("link set inward down", "link set inward name in", "link set in up")
        capture.wait_line(CAPTURED)
        self.send_more(capture)
        self.finish(capture)

    def test_removed_again(self):
        self.remove()
        capture = self.wait_for("--queues", 2)
        self.come(capture)
        self.send_more(capture)
        self.remove()
        capture.wait_line("in is gone")
        self.assertIsNone(live.make_pair())
        capture.wait_line("in: captured again")
        self.send_more(capture)
        device, = self.finish(capture)["devices"]
        self.assertEqual(device["gaps"], 1)
        self.assertGreater(device["gap_s"], 0)

    def test_without_a_number_of_queues(self):
        """Lanes are made for more queues than the interface has; the others stay idle."""
        self.remove()
        capture = self.wait_for()
        self.come(capture)
        self.send_more(capture)
        report = self.finish(capture)
        cores = len(os.sched_getaffinity(0))
        self.assertEqual(report["devices"][0]["queues"], min(max(cores // 2, 1), 4))

    # ---- what goes on meanwhile ----

    def test_the_others_are_captured_meanwhile(self):
        """In the order of time too: an interface that waits holds up no packets."""
        live.do_ip("link add other type veth peer name far", "link set other arp off up",
                   "link set far arp off up")
        live.do_ip("link set in down")
        for order in ("arrival", "time"):
            with self.subTest(order):
                path = self.path(f"{order}.pcap")
                capture = self.capture("-i", "in", "-i", "other", "--wait-device", "-w", path,
                                       "--order", order, "-U")
                capture.wait_line("waiting for in")
                shape = live.Shape(1000)
                live.send(shape, device="far")
                capture.wait_until(lambda: self.has_all(path, shape.count), "all are written")
                report = self.report_of(capture.stop())
                self.assertEqual(report["books"]["in_files"], shape.count)
                self.expect_all(shape, [path])

    def has_all(self, path, count):
        """Whether the unfinished file has so many packets of 60 bytes."""
        parts = [name for name in os.listdir(self.directory)
                 if os.path.basename(path) in name and name.endswith(".part")]
        return any(os.path.getsize(self.path(name)) == 24 + count * (16 + 60) for name in parts)

    def test_one_filter_is_given_to_the_kernel(self):
        live.do_ip("link set in down")
        capture = self.wait_for("src host 10.0.0.1")
        self.come_up(capture)
        capture.wait_line("filtered in the kernel")
        live.send(live.Shape(970))
        capture.wait_seen(10)
        report = self.report_of(capture.stop())
        self.assertTrue(report["devices"][0]["kernel_filter"])
        self.assertEqual(self.sum_of(report, "kernel_seen"), 10)
        self.assertEqual(report["books"]["in_files"], 10)

    def test_rules_reloaded_meanwhile_hold_from_the_first_packet(self):
        rules = self.write("rules.yaml", "rules:\n  a: {filter: tcp, write: a.pcap}\n")
        os.chmod(rules, 0o644)
        self.remove()
        capture = self.capture("-i", "in", "--wait-device", "-R", rules, "-o", self.directory)
        capture.wait_line("waiting for in")
        self.write("rules.yaml", "rules:\n  b: {filter: udp, write: b.pcap}\n")
        capture.signal(signal.SIGHUP)
        capture.wait_line("rules reloaded: generation 2")
        self.come(capture)
        shape = live.Shape(100)
        live.send(shape)
        capture.wait_seen(shape.count)
        report = self.report_of(capture.stop())
        self.expect_all(shape, [self.path("b.pcap")])
        self.assertEqual(report["books"]["in_files"], shape.count)

    def test_nothing_waits_with_privileges(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become somebody else")
        user = pwd.getpwnam("nobody").pw_uid
        os.chmod(self.directory, 0o755)
        folder = self.path("mine")
        os.mkdir(folder)
        os.chown(folder, user, -1)
        self.remove()
        capture = self.wait_for("-Z", "nobody", output="mine/all.pcap")
        for thread in os.listdir(f"/proc/{capture.process.pid}/task"):
            status = status_of(thread)
            self.assertEqual(set(status["Uid"].split()), {str(user)})
            self.assertEqual(int(status["CapEff"], 16), 1 << 13, "CAP_NET_RAW only")
            self.assertEqual(status["Seccomp"], "0" if live.SANITIZED else "2")
        self.come(capture)
        self.send_more(capture)
        self.finish(capture)

    # ---- how it ends ----

    def test_stopped_while_it_waits(self):
        self.remove()
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number):
                capture = self.wait_for()
                capture.signal(number)
                report = self.report_of(capture.wait())
                device, = report["devices"]
                self.assertEqual((device["link_type"], device["queues"], device["gaps"],
                                  device["before_tap"]), (None, 0, 0, None))
                self.assertGreater(device["waited_s"], 0)
                self.assertEqual(e2e.read_capture(self.output).packets, [])
                self.assert_no_parts()

    def test_what_cannot_be_waited_for_is_refused(self):
        self.remove()
        for status, said, arguments in (
                (1, "no interface of this name", []),
                (1, "No such device", ["--wait-device", "-i", "a/b"]),
                (2, "no interface of this name or number", ["--wait-device", "-i", "99"]),
                (2, "--backend xdp cannot wait", ["--wait-device", "--backend", "xdp"]),
                (2, "-j adapter cannot wait", ["--wait-device", "-j", "adapter"])):
            with self.subTest(arguments):
                if "-i" not in arguments:
                    arguments += ["-i", "in"]
                done = e2e.capweir("capture", "-w", self.path("no.pcap"), *arguments)
                self.assertEqual(done.status, status, e2e.text_of(done))
                self.assertIn(said, done.err)
                self.assertEqual(os.listdir(self.directory), [])


if __name__ == "__main__":
    live.main()
