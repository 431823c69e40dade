#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel counts in rx_dropped is no loss: frames without a protocol handler are captured.

Linux counts a frame there, after it was captured, if no protocol of the host takes it. Inside a
VLAN that is every frame but IP and ARP; switches send such frames all the time.
"""
import json
import socket
import subprocess

import e2e
import live

HEADS = {
    "LLDP": "88cc",
    "MPLS": "8847" "00064140",
    "a VLAN with LLDP": "81000064" "88cc",
    "a VLAN with MPLS": "81000064" "8847" "00064140",
    "a VLAN with PPPoE discovery": "81000064" "8863",
    "a VLAN with an unknown type": "81000064" "9999",
    "a provider's VLAN with an unknown type": "88a80064" "9999",
    "two VLANs with LLDP": "88a80007" "81000064" "88cc",
}
EACH = 40
IN_VLANS = EACH * sum("VLAN" in name for name in HEADS)
FRAMES = [bytes.fromhex("0180c200000e" "020000000001" + head) + bytes((number,) * 60)
          for head in HEADS.values() for number in range(EACH)]


class Loss(live.Fresh):
    def start_and_send(self, *arguments, **options):
        """A capture that has seen all frames, and whose keeper has read what the kernel counted."""
        self.control = self.path("control")
        capture = self.start("-Q", "in", "--queues", 1, "--control", self.control, *arguments,
                             **options)
        self.send_all(capture)
        return capture

    def send_all(self, capture, times=1):
        live.wait_for_link("out")
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
            out.bind(("out", 0))
            for frame in FRAMES:
                out.send(frame)
        capture.wait_until(lambda: self.stats()["kernel_seen"] == times * len(FRAMES), "all seen")
        if not self.kernel_count():
            self.skipTest("this kernel does not count frames without a handler in rx_dropped")
        capture.wait_until(lambda: self.stats()["interface_rx_dropped"] >= times * IN_VLANS,
                           "the frames in VLANs are counted")

    @staticmethod
    def kernel_count():
        done = subprocess.run(["ip", "-s", "-j", "link", "show", "in"], capture_output=True,
                              check=True)
        return json.loads(done.stdout)[0]["stats64"]["rx"]["dropped"]

    def stats(self):
        done = e2e.capweir("stats", "--control", self.control, "--json")
        self.assertEqual(done.status, 0, done.err)
        return json.loads(done.out)

    def check_all_is_there(self, times=1):
        packets = e2e.read_capture(self.output).packets
        self.assertEqual([packet.data for packet in packets], times * FRAMES)

    def test_frames_that_no_protocol_takes_are_no_loss(self):
        capture = self.start_and_send()
        for stats in (self.stats(), capture.stats()):
            self.assertEqual(stats["lost_before_tap"], 0)
            self.assertGreaterEqual(stats["interface_rx_dropped"], IN_VLANS)
        result = capture.stop()
        device, = self.report_of(result)["devices"]
        self.check_all_is_there()
        self.assertNotIn("lost", result.err)
        before = device["before_tap"]
        self.assertGreaterEqual(device["interface_rx_dropped"], IN_VLANS)
        self.assertEqual(before["rx_dropped"], device["interface_rx_dropped"])
        self.assertEqual([before[name] for name in ("rx_missed", "rx_fifo", "rx_over")], [0] * 3)

    def test_counts_go_on_with_an_interface_created_again(self):
        capture = self.start_and_send()
        before = self.stats()["interface_rx_dropped"]
        live.do_ip("link del out")
        capture.wait_line("is gone")
        self.assertIsNone(live.make_pair())
        capture.wait_line("captured again")
        capture.wait_ticks(2)
        self.assertGreaterEqual(self.stats()["interface_rx_dropped"], before)
        self.send_all(capture, 2)
        device, = self.report_of(capture.stop())["devices"]
        self.check_all_is_there(2)
        self.assertGreaterEqual(device["interface_rx_dropped"], 2 * IN_VLANS)
        self.assertTrue(device["before_tap"]["is_lower_bound"])

    def test_the_balance_sheet_has_them_and_no_message(self):
        for quiet in (False, True):
            with self.subTest(quiet=quiet):
                self.setUp()
                capture = self.start_and_send(*["-q"] * quiet, json=False)
                result = capture.stop()
                self.assertEqual(result.status, 0, result.err)
                self.check_all_is_there()
                self.assertNotIn("lost before capture", result.err)
                count = 0 if quiet else 1
                self.assertEqual(result.err.count("in: rx_dropped rose by "), count, result.err)


if __name__ == "__main__":
    live.main()
