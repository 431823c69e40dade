# SPDX-License-Identifier: BSD-3-Clause
"""Names from anywhere (files, interfaces, comments of a peer) never command a terminal.

Whatever a command prints is valid UTF-8 without C0 characters but newlines, without DEL and C1. No
name begins a line."""
import json
import os
import socket
import subprocess
import threading
import unittest

import e2e

NASTY = os.fsdecode(b"n\x1b[2J\x7f\x9b2J\xc2\x9b2J\xff\xe2\x82\nforged: ")
SHOWN = "n?[2J??2J??2J????forged: "
READABLE = os.fsdecode("\u00e9\u20ac\U0001f600".encode())
STATS = {
    "elapsed_s": 1.5, "packets": 1, "bytes": 60, "lost_before_tap": 0, "kernel_dropped": 0,
    "reloads": {"generation": 1, "accepted": 0, "refused": 0}, "pool": {"chunks": 4, "free": 4},
    "queues": [{"device": "n\x1b[2J\x7f\x9b2J\nforged: ", "queue": 0, "kernel_seen": 1}],
    "outputs": [{"rule": "r\x1b[2J\x9b2J\nforged: ", "matched": 1, "written": 1, "lost": 0}]}


class TerminalText(e2e.Test):
    def check(self, *arguments, status=None, **options):
        done = e2e.capweir(*arguments, cwd=self.directory, **options)
        if status is not None:
            self.assertEqual(done.status, status, e2e.text_of(done))
        out = done.out.decode()  # strict
        for character in out + done.err:
            self.assertFalse(character != "\n" and ord(character) < 0x20 or
                             0x7f <= ord(character) < 0xa0 or character == "\ufffd",
                             f"{arguments}: {out + done.err!r}")
        for line in (out + done.err).splitlines():
            self.assertFalse(line.lstrip().startswith("forged"), f"{arguments}: {out + done.err}")
        return done, out

    def setUp(self):
        super().setUp()
        self.frame = e2e.udp_frame(1, 2, 3, 4)
        self.named = self.write("named.pcapng", e2e.section() + e2e.interface(
            name=NASTY) + e2e.enhanced(0, 1, self.frame))
        self.nasty = self.write(NASTY + ".pcap", e2e.pcap([(1, self.frame)]) + b"torn")

    def test_file_names(self):
        name = os.path.basename(self.nasty)
        for arguments, status in (
                (("inspect", name), 1), (("repair", "--dry-run", name), 1),
                (("split", "-r", name, "-w", "a.pcap"), 1),
                (("split", "-r", "none" + name, "-w", "a.pcap"), None),
                (("split", "-r", "named.pcapng", "-w", NASTY + "/a.pcap"), 2),
                (("split", "-r", "named.pcapng", "-w", "a.pcap", NASTY), 2),
                (("split", "-r", "named.pcapng", "-w", "a.pcap", "-z", NASTY), 2),
                (("check", name), 2), (("inspect", "filter", NASTY), 2), ((NASTY,), 2),
                (("split", "--" + NASTY), 2), (("split", "-c", NASTY), 2),
                (("devices", "-i", NASTY), None), (("stats", "--control", NASTY), 1)):
            done, out = self.check(*arguments, status=status)
            if name in arguments:
                self.assertIn(SHOWN, out + done.err, arguments)

    def test_no_name_looks_like_a_line_of_a_report(self):
        name = "a\n  damage       none\n    forged.pcap"
        self.write(name, b"no capture")
        shown = name.replace("\n", "?")
        for arguments in (("inspect", name), ("repair", "--dry-run", name),
                          ("split", "-r", "named.pcapng", "-w", name)):
            done, out = self.check(*arguments)
            self.assertIn(shown, out + done.err, arguments)
            self.assertNotIn("\n  damage       none", out + done.err, arguments)

    def test_other_names_are_as_they_were(self):
        self.write(READABLE, b"no capture")
        done, _ = self.check("inspect", READABLE, status=1)
        self.assertIn(READABLE, done.err)

    def test_names_of_interfaces(self):
        _, out = self.check("inspect", "named.pcapng", status=0)
        self.assertIn(SHOWN, out)

    def test_json_is_utf8_and_keeps_what_was(self):
        _, out = self.check("inspect", "--json", "named.pcapng", self.nasty, status=1)
        named, nasty = json.loads(out)
        self.assertEqual(named["interfaces"][0]["name"], "n\x1b[2J\x7f?2J\x9b2J???\nforged: ")
        self.assertTrue(nasty["file"].endswith(
            "n\x1b[2J\x7f?2J\x9b2J???\nforged: .pcap"), nasty["file"])
        _, out = self.check("repair", "--json", "--dry-run", self.nasty, status=1)
        self.assertTrue(json.loads(out)[0]["file"].endswith("2J???\nforged: .pcap"))
        _, out = self.check("split", "--json", "-r", self.nasty, "-w", READABLE + "\u009b.pcap",
                            status=1)
        report = json.loads(out)
        self.assertEqual(report["rules"][0]["files"], [READABLE + "\u009b.pcap"])
        self.assertTrue(report["inputs"][0]["file"].endswith("2J???\nforged: .pcap"))

    def test_hooks(self):
        """The process that runs hooks prints the failures."""
        name = READABLE + "\u009b2J.pcap"
        done, _ = self.check("split", "-q", "-r", "named.pcapng", "-w", name, "-z", "false",
                             status=1)
        self.assertIn(f"hook false failed for {READABLE}??2J.pcap", done.err)

    def test_answers_of_another_program(self):
        path = self.path("control")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()

            def serve(answers):
                for answer in answers:
                    client, _ = listener.accept()
                    with client:
                        client.makefile().readline()
                        client.sendall(json.dumps(answer).encode() + b"\n")

            error = {"ok": False, "error": "no \x1b[2J\x9b2J\x7f\nforged: "}
            stats = {"ok": True, "command": "stats", "stats": STATS}
            server = threading.Thread(target=serve, args=((stats, stats, error),),
                                      daemon=True)
            server.start()
            _, out = self.check("stats", "--control", path, status=0)
            self.assertIn("n?[2J???2J?forged:  queue 0", out)
            self.assertIn("r?[2J??2J?forged: ", out)
            _, out = self.check("stats", "--json", "--control", path, status=0)
            self.assertEqual(json.loads(out), STATS)
            done, _ = self.check("control", "flush", "--control", path, status=1)
            self.assertIn("no ?[2J??2J?", done.err)
            server.join()

    def test_a_filter_is_explained_on_lines_of_its_own(self):
        done, _ = self.check("split", "-r", "named.pcapng", "-f", "udp prot 53", "-w", "a.pcap",
                             status=2)
        self.assertIn("\n    udp prot 53\n        ^~~~", done.err)

    def test_names_of_devices(self):
        """The kernel takes any bytes but blanks, colons and slashes as an interface's name."""
        name = os.fsdecode(b"n\x1b[2J\x9b2J\xc2\x9b2")
        script = ('ip link add "$1" type veth peer name peer && shift && exec "$@"')
        place = ("unshare", "-rn", "sh", "-c", script, "sh", name)
        if subprocess.run((*place, "true"), capture_output=True).returncode:
            raise unittest.SkipTest("no network namespace, or no virtual cable in it")
        for arguments in (("devices",), ("-D",)):
            done = subprocess.run((*place, e2e.CAPWEIR, *arguments), capture_output=True)
            self.assertIn("n?[2J?2J??2", done.stdout.decode(), arguments)
            self.assertNotIn(b"\x1b", done.stdout + done.stderr)
        done = subprocess.run((*place, e2e.CAPWEIR, "devices", "--json"), capture_output=True)
        self.assertNotIn(b"\xc2\x9b", done.stdout)
        self.assertIn("n\x1b[2J?2J\x9b2",
                      [device["name"] for device in json.loads(done.stdout)["devices"]])


if __name__ == "__main__":
    e2e.main()
