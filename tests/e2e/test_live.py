# SPDX-License-Identifier: BSD-3-Clause
"""Live capture end to end: what was sent is in the files or counted, exactly."""
import contextlib
import itertools
import os
import socket
import subprocess

import e2e
import live

COUNT = 10_000_000 if live.LONG else e2e.scaled(1_000_000)
PART = e2e.scaled(50_000, 5000)
SOME = e2e.scaled(20_000, 3000)


class Conservation(live.Test):
    """If the kernel ring has room, every packet is there once, intact, in its flow's order."""

    def conserve(self, shape, *arguments, output="all.pcap", core=None, **expected):
        path = self.path(output)
        capture = self.capture("-i", "in", "-w", path, "-B", "65536", *arguments)
        live.send_in_windows(capture, shape, core=core)
        report = self.report_of(capture.stop())
        self.assertEqual(self.sum_of(report, "kernel_seen"), shape.count)
        self.assertEqual(self.sum_of(report, "left"), 0)
        self.assertEqual(report["books"]["lost"], 0)
        self.assertEqual(report["books"]["in_files"], self.kept(report))
        self.expect_all(shape, self.files_of(report), packets=self.kept(report), **expected)
        self.assert_no_parts()
        return report

    def used_queues(self, report):
        return sum(queue["received"] > 0 for queue in report["queues"])

    def test_one_queue_keeps_everything(self):
        report = self.conserve(live.Shape(PART), "--queues", 1)
        self.assertEqual(len(report["queues"]), 1)

    def test_two_queues_keep_a_million(self):
        report = self.conserve(live.Shape(COUNT, size=60, size_max=300), "--queues", 2)
        self.assertEqual(self.used_queues(report), 2)

    def test_four_queues_keep_everything(self):
        report = self.conserve(live.Shape(PART), "--queues", 4)
        self.assertEqual(self.used_queues(report), 4)

    def test_fanout_by_cpu_and_by_queue(self):
        """These may leave queues idle, but no packet out. (One core sends: order is by core.)"""
        core = min(os.sched_getaffinity(0))
        for fanout in ("cpu", "qm"):
            with self.subTest(fanout=fanout):
                self.conserve(live.Shape(SOME), "--queues", 4, "--fanout", fanout, core=core)

    def test_fanout_in_turn_and_by_room(self):
        """These spread flows: each packet once, in any order."""
        for fanout, used in (("lb", 4), ("rollover", None)):
            with self.subTest(fanout=fanout):
                path = self.path(f"{fanout}.pcap")
                capture = self.capture("-i", "in", "-w", path, "--queues", 4, "--fanout", fanout)
                shape = live.Shape(SOME)
                live.send(shape)
                capture.wait_seen(SOME)
                report = self.report_of(capture.stop())
                self.assertEqual(self.sum_of(report, "kernel_seen"), SOME)
                found = live.check(shape, [path])
                self.expect_all(shape, [path], packets=self.kept(report),
                                disorder=found["disorder"])
                if used:
                    self.assertEqual(self.used_queues(report), used)

    def test_tags_are_put_back(self):
        for name, tags in (("vlan", {"vlan": 0x6123}), ("service", {"outer": 0x2042}),
                           ("both", {"vlan": 0x0fff, "outer": 0x2001})):
            with self.subTest(name):
                self.conserve(live.Shape(SOME, size=70, size_max=200, **tags), "--queues", 2,
                              output=f"{name}.pcap")

    def test_a_filter_sees_the_tags(self):
        """What the kernel took off is there for the filter: only one identifier matches."""
        shape = live.Shape(SOME, size=70, vlan=0x6123, outer=0x2042)
        capture = self.capture("-i", "in", "-f", "vlan 66 and vlan 291 and udp", "-w",
                               self.path("both.pcap"), "-f", "vlan 65", "-w",
                               self.path("none.pcap"), "-f", "not vlan", "-w",
                               self.path("untagged.pcap"))
        live.send(shape)
        capture.wait_seen(SOME)
        report = self.report_of(capture.stop())
        self.assertEqual([rule["written"] for rule in report["rules"]], [SOME, 0, 0])
        self.expect_all(shape, [self.path("both.pcap")])

    def test_jumbo_frames(self):
        self.conserve(live.Shape(SOME, size=1400, size_max=9014), "--queues", 2)

    def test_large_segments_are_whole(self):
        """What a device would cut arrives in one piece, up to 64 KiB."""
        for size in (20000, 65530):
            with self.subTest(size=size):
                self.conserve(live.Shape(e2e.scaled(1000, 300), size=size, gso=1448), "--queues",
                              2, output=f"{size}.pcap")

    def test_loopback_shows_each_packet_once(self):
        path = self.path("lo.pcap")
        shape = live.Shape(SOME)
        capture = self.capture("-i", "lo", "-w", path, "--queues", 2)
        live.send(shape, device="lo")
        capture.wait_seen(SOME)
        report = self.report_of(capture.stop())
        self.assertEqual(report["books"]["in_files"], SOME)
        self.expect_all(shape, [path])

    def test_a_thousand_rules(self):
        """Each flow goes to its rule's file, most rules get nothing."""
        flows = 50
        rules = [(f"flow{number}", f"src host 10.0.{number // 256}.{number % 256} and udp")
                 for number in range(999)] + [("all", "udp")]
        path = self.write("rules.yaml", e2e.rules_yaml(
            [(name, expression, {"write": f"{name}.pcap"}) for name, expression in rules]))
        shape = live.Shape(SOME, flows=flows)
        capture = self.capture("-i", "in", "-R", path, "-o", self.path(), "--queues", 2)
        live.send(shape)
        capture.wait_seen(SOME)
        report = self.report_of(capture.stop())
        self.assertEqual(len(report["rules"]), 1000)
        for rule in report["rules"][:-1]:
            number = int(rule["name"][4:])
            expected = len(range(number, SOME, flows)) if number < flows else 0
            self.assertEqual(rule["written"], expected, rule["name"])
        self.expect_all(shape, [self.path("all.pcap")])
        self.expect_all(shape, [self.path(f"flow{number}.pcap") for number in range(flows)])
        self.expect(live.check(shape, [self.path("flow7.pcap")]), packets=len(range(7, SOME,
                                                                                    flows)),
                    first=7, missing=SOME - len(range(7, SOME, flows)))

    def test_several_devices_side_by_side(self):
        """Both ends of the cable: what goes out at one comes in at the other."""
        shape = live.Shape(SOME)
        capture = self.capture("-i", "in", "-i", "out", "-w", self.path("both.pcapng"))
        live.send(shape)
        capture.wait_seen(2 * SOME)
        report = self.report_of(capture.stop())
        self.assertEqual([one["file"] for one in report["inputs"]], ["in", "out"])
        self.assertEqual([one["packets"] for one in report["inputs"]], [SOME, SOME])
        self.assertEqual([one["kernel_seen"] for one in report["queues"]], [SOME, SOME])
        found = live.check(shape, [self.path("both.pcapng")])
        self.expect(found, packets=2 * SOME, duplicated=SOME, disorder=found["disorder"])

    def test_time_order_over_devices_one_of_them_idle(self):
        """Merged by time; a device on which nothing comes does not hold the others up."""
        self.assertIsNone(live.ip("link add idle type veth peer name far",
                                  "link set idle arp off up", "link set far arp off up"))
        self.addCleanup(live.ip, "link del idle")
        shape = live.Shape(SOME)
        path = self.path("all.pcap")
        # A block stays open for up to 300 ms: so late may the kernel be and still be in order.
        capture = self.capture("-i", "in", "-i", "out", "-i", "idle", "--queues", 2, "--order",
                               "time", "--block-timeout", 300, "-w", path)
        live.send(shape, core=min(os.sched_getaffinity(0)))
        capture.wait_seen(2 * SOME)
        # Nothing more comes on any of them: still the capture continues.
        capture.wait_stats(lambda stats: stats["written"] == 2 * SOME, "all is written")
        self.report_of(capture.stop())
        times = [packet.ts_ns for packet in e2e.read_capture(path).packets]
        self.assertEqual(len(times), 2 * SOME)
        behind = sum(this < latest for this, latest in
                     zip(times[1:], itertools.accumulate(times, max)))
        self.assertEqual(behind, 0)

    def test_direction(self):
        for way, packets in (("in", 0), ("out", SOME), ("inout", SOME)):
            with self.subTest(way):
                capture = self.capture("-i", "out", "-Q", way, "-w", self.path(f"{way}.pcap"))
                live.send(live.Shape(SOME))
                if packets:
                    capture.wait_seen(packets)
                report = self.report_of(capture.stop())
                self.assertEqual(report["books"]["in_files"], packets)

    def test_a_count_is_exact(self):
        """-c ends the run by itself with exactly so many matches, whatever came after."""
        for queues in (1, 2):
            for count in (1, SOME // 2, SOME // 2 + 4097):
                with self.subTest(queues=queues, count=count):
                    path = self.path(f"{queues}-{count}.pcap")
                    capture = self.capture("-i", "in", "-f", "udp", "-w", path, "-c", count,
                                           "--queues", queues)
                    sender = self.sender(live.Shape(2 * SOME))
                    report = self.report_of(capture.wait())
                    sender.stop()
                    self.assertEqual(report["books"]["matched_any"], count)
                    self.assertEqual(report["books"]["in_files"], count)
                    found = live.check(live.Shape(2 * SOME), [path])
                    self.expect(found, packets=count, missing=2 * SOME - count)

    def test_snaplen_cuts_what_is_written(self):
        shape = live.Shape(SOME, size=100, size_max=1000)
        for output in ("short.pcap", "short.pcapng"):
            with self.subTest(output):
                self.conserve(shape, "-s", 90, "--queues", 2, output=output, cut=SOME)
                self.assertLess(os.path.getsize(self.path(output)), SOME * (90 + 40))

    def test_pcapng(self):
        self.conserve(live.Shape(PART, size_max=200), "--queues", 2, output="all.pcapng")

    def test_rotation_loses_nothing_between_files(self):
        size = f"{SOME // 100}k"
        runs = 0
        for arguments in (("-C", size), ("-b", f"packets:{SOME // 8}", "-C", size)):
            for name in ("part-{seq}.pcap", "%H%M%S-{seq}.pcapng"):
                with self.subTest(arguments=arguments, name=name):
                    directory = self.path(str(runs := runs + 1))
                    os.mkdir(directory)
                    report = self.conserve(live.Shape(SOME), *arguments, "--queues", 2,
                                           output=os.path.join(directory, name))
                    files = self.files_of(report)
                    self.assertGreaterEqual(len(files), 8)
                    self.assertEqual(sorted(files), sorted(
                        os.path.join(directory, one) for one in os.listdir(directory)))


class Agreement(live.Test):
    """Live and offline, the same packets go to the same rules."""

    RULES = ("udp", "tcp port 80 or tcp port 443", "vlan", "vlan 291", "vlan and vlan",
             "vlan and udp", "not vlan", "ip[6:2] & 0x1fff != 0", "greater 1000", "less 65", "ip6",
             "icmp or arp", "ether multicast", "tcp[tcpflags] & tcp-syn != 0",
             "ether[12:2] = 0x8100", "len >= 104 and len < 109", "ip broadcast", "unmatched")

    def frames(self):
        """Generated traffic, some of it with one tag and some with two, and broadcasts."""
        path = e2e.generate(self.path("source.pcap"), e2e.scaled(6000, 2000))
        frames = [e2e.udp_frame(1, address, 3, 4, bytes(40)) for address in
                  (0xffffffff, 0, 0x0a0000ff)]
        for number, packet in enumerate(e2e.read_capture(path).packets):
            data = packet.data
            if len(data) < 14:
                continue  # no Ethernet frame: cannot be sent
            if number % 3 == 1:
                data = data[:12] + b"\x81\x00" + [b"\x01\x23", b"\x60\x42"][number % 2] + data[12:]
            if number % 9 == 1:
                data = data[:12] + b"\x88\xa8\x00\x07" + data[12:]
            frames.append(data)
        return frames

    def start_tcpdump(self, path):
        command = ["tcpdump", "-i", "in", "-w", path, "-B", "65536", "-U", "-s", "262144", "-n"]
        process = subprocess.Popen(command + (["-Z", "root"] if os.geteuid() == 0 else []),
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.terminate)
        while line := process.stderr.readline():
            if b"listening" in line:
                return process
        with open("/proc/self/setgroups") as file:
            if "deny" in file.read():
                self.skipTest("tcpdump cannot change its user in this user namespace")
        raise AssertionError("tcpdump does not start")

    def wait_packets(self, path, count):
        """Until tcpdump has written so many."""
        def are_there():
            with contextlib.suppress(e2e.Torn), open(path, "rb") as file:
                return len(e2e.parse_capture(file.read()).packets) >= count

        e2e.wait_until(are_there, "tcpdump has written everything")

    def test_rules_choose_the_same_packets_live_and_offline(self):
        e2e.need("tcpdump")
        frames = self.frames()
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [(f"r{number}", rule, {"write": f"{number}.pcap"})
             for number, rule in enumerate(self.RULES)]))
        os.mkdir(self.path("live"))
        os.mkdir(self.path("offline"))
        process = self.start_tcpdump(self.path("full.pcap"))
        capture = self.capture("-i", "in", "-R", rules, "-o", self.path("live"), "--queues", 1,
                               "--verify-filters=1/1")
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind(("out", 0))
            for frame in frames:
                out.send(frame)
        capture.wait_seen(len(frames))
        report = self.report_of(capture.stop())
        self.assertEqual(report["verify"]["differences"], 0)
        self.wait_packets(self.path("full.pcap"), len(frames))
        process.terminate()
        offline, _ = self.run_json("split", "-r", self.path("full.pcap"), "-R", rules, "-o",
                                   self.path("offline"))
        self.assertEqual(offline["packets"], len(frames))
        used = 0
        for number, rule in enumerate(self.RULES):
            found = [[(one.len, one.data) for one in e2e.read_capture(
                self.path(kind, f"{number}.pcap")).packets] for kind in ("live", "offline")]
            self.assertEqual(len(found[0]), len(found[1]), rule)
            self.assertTrue(found[0] == found[1], f"other packets for {rule}")
            used += len(found[0]) > 0
            if rule == "ip broadcast":
                self.assertEqual(found[0], [(len(frame), frame) for frame in frames[:2]])
        self.assertGreaterEqual(used, 10, "the traffic hardly tests anything")

    def test_ip_broadcast_is_what_tcpdump_takes(self):
        e2e.need("tcpdump")
        done = subprocess.run(["tcpdump", "-i", "in", "-d", "ip broadcast"], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertEqual(self.run_ok("-i", "in", "-d", "ip broadcast").out, done.stdout)


if __name__ == "__main__":
    live.main()
