#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Rules that change during a capture: SIGHUP, as an operator uses it."""
import json
import os
import platform
import pwd
import signal
import struct
import subprocess
import sys

import e2e
import live

SOME = 4000
ROUNDS = 500 if live.LONG else 20


def numbers_in(path):
    """The frames' numbers, in the file's order (shape: no tags, UDP)."""
    return [struct.unpack(">Q", packet.data[46:54])[0]
            for packet in e2e.read_capture(path).packets]


class Rules(live.Test):
    def setUp(self):
        super().setUp()
        self.rules = self.path("rules.yaml")
        self.mode = 0o644

    def write_rules(self, text):
        """As editors do: a new file under the old name."""
        with open(f"{self.rules}.new", "w") as file:
            file.write(text)
        os.chmod(f"{self.rules}.new", self.mode)
        os.rename(f"{self.rules}.new", self.rules)

    def reload(self, capture, text, said):
        """Reload the rules; what was said."""
        self.write_rules(text)
        before = capture.text().count(said)
        capture.signal(signal.SIGHUP)
        capture.wait_until(lambda: capture.text().count(said) > before, said)
        return capture.text()

    def where(self):
        """Options for the way in which a capture is asked."""
        return []

    def start(self, text, *arguments, **options):
        self.write_rules(text)
        return self.capture("-i", "in", "-R", self.rules, "-o", self.directory, "--queues", 1,
                            *self.where(), *arguments, **options)

    def check_code(self, capture):
        """The new filters are machine code, in memory that nobody can write."""
        with open(f"/proc/{capture.process.pid}/maps") as file:
            maps = [line.split() for line in file]
        self.assertEqual([line for line in maps if "w" in line[1] and "x" in line[1]], [])
        if platform.machine() == "x86_64":
            self.assertIn("r-xs", [line[1] for line in maps if "/memfd:cw-filter" in line])

    @staticmethod
    def rule(report, name):
        return next(rule for rule in report["rules"] if rule["name"] == name)


class Both:
    """What is asked for by a signal and over --control alike."""

    def test_rules_come_go_and_change(self):
        capture = self.start("rules:\n  all: {filter: udp, write: all.pcap}\n"
                             "  first: {filter: udp, write: first.pcap}\n")
        live.send(live.Shape(SOME))
        capture.wait_seen(SOME)
        capture.wait_stats(lambda stats: stats["received"] == SOME, "all are counted")
        self.reload(capture, "rules:\n  all: {filter: udp, write: all.pcap}\n"
                    "  second: {filter: src host 10.0.0.1, write: second.pcap}\n",
                    "rules reloaded: generation 2, 2 rules (outputs: 1 kept, 1 new, 1 closed)")
        capture.wait_until(lambda: os.path.exists(self.path("first.pcap")), "first.pcap is closed")
        self.assertEqual(numbers_in(self.path("first.pcap")), list(range(SOME)))
        live.send(live.Shape(SOME, first=SOME))
        capture.wait_seen(2 * SOME)
        self.check_code(capture)
        report = self.report_of(capture.stop())
        self.assertEqual(numbers_in(self.path("all.pcap")), list(range(2 * SOME)))
        self.assertEqual(numbers_in(self.path("second.pcap")),
                         [n for n in range(SOME, 2 * SOME) if n % 97 == 1])
        self.assertTrue(self.rule(report, "first")["removed"])
        self.assertFalse(self.rule(report, "all")["removed"])
        reloads = report["reloads"]
        self.assertEqual((reloads["generation"], reloads["accepted"], reloads["refused"]),
                         (2, 1, 0))
        self.assertEqual([(g["generation"], g["rules"], g["queues_from"])
                          for g in reloads["generations"]], [(1, 2, [0]), (2, 2, [SOME])])

    def test_a_faulty_file_is_told_and_changes_nothing(self):
        good = "rules:\n  all: {filter: udp, write: all.pcap}\n"
        cases = (
            ("rules:\n  all: {filter: udp\n", ("rules.yaml:", "generation 1 stays in force")),
            ("rules:\n  all:\n    filter: tcp prot 80\n    write: all.pcap\n",
             ("rules.yaml:3: rule all:", "\n    tcp prot 80\n        ^~~~ did you mean \"port\"")),
            ("rules:\n  all: {filter: udp and, write: all.pcap}\n", ("something is missing here",)),
            ("rules: {}\n", ("no rules; add a rule",)),
            (good + "  b: {filter: udp, write: all.pcap}\n", ("can write the same file",)),
            (good + "  b: {filter: udp, write: none/b.pcap}\n", ("folder", "none")),
            (good + "  b: {filter: udp, write: b.pcap, color: red}\n", ("color",)),
            (good + "  b: {filter: udp, write: '-'}\n", ("standard output",)),
        )
        capture = self.start(good)
        for index, (text, words) in enumerate(cases):
            with self.subTest(text):
                self.reload(capture, text, "rules not reloaded")
                for word in words:
                    capture.wait_until(lambda: word in capture.text(), word)
                live.send(live.Shape(100, first=100 * index))
        os.unlink(self.rules)
        capture.signal(signal.SIGHUP)
        capture.wait_line("cannot find the rules file")
        os.mkfifo(self.rules)
        capture.signal(signal.SIGHUP)
        capture.wait_line("is not a regular file")
        capture.wait_seen(100 * len(cases))
        report = self.report_of(capture.stop())  # and complete: exit 0
        self.assertEqual(report["reloads"]["refused"], len(cases) + 2)
        self.assertEqual(numbers_in(self.path("all.pcap")), list(range(100 * len(cases))))
        self.assertEqual(sorted(os.listdir(self.directory)), ["all.pcap", "rules.yaml"])

    def test_rules_that_only_root_can_read_are_reloaded(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become somebody else")
        mine = self.path("mine")
        os.chmod(self.directory, 0o755)
        os.mkdir(mine)
        try:
            user = pwd.getpwnam("nobody").pw_uid
            os.chown(mine, user, -1)
            subprocess.run(["setpriv", "--reuid", "nobody", "--clear-groups", "true"], check=True,
                           capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("this namespace has no user nobody")
        rules = "rules:\n  all: {filter: udp, write: mine/all.pcap}\n"
        self.mode = 0o600
        capture = self.start(rules, "-Z", "nobody")
        # All that a reload does is on the list of system calls.
        rules += "  more: {filter: src port 10001, write: mine/more.pcap}\n"
        self.reload(capture, rules, "rules reloaded: generation 2")
        rules += "  roots: {filter: src port 10001, write: roots.pcap}\n"
        self.reload(capture, rules, "rules reloaded: generation 3")
        live.send(live.Shape(SOME))
        capture.wait_seen(SOME)
        self.report_of(capture.stop())
        for path, owner in (("mine/all.pcap", user), ("mine/more.pcap", user), ("roots.pcap", 0)):
            status = os.stat(self.path(path))
            self.assertEqual((status.st_uid, status.st_mode & 0o7777), (owner, 0o600), path)
            self.assertEqual(len(numbers_in(self.path(path))),
                             SOME if path == "mine/all.pcap" else
                             len([n for n in range(SOME) if n % 97 == 1]), path)

    def test_hooks_come_only_where_there_were_some(self):
        hook = self.write("hook", "#!/bin/sh\necho \"$@\" >&2\n")
        os.chmod(hook, 0o755)
        plain = "rules:\n  all: {filter: udp, write: 'all-{seq}.pcap'}\n"
        hooked = plain.replace("'}", f"', hook: [{hook}, %s]}}")
        capture = self.start(plain)
        self.assertIn("this run started without any",
                      self.reload(capture, hooked % "a", "rules not reloaded"))
        self.report_of(capture.stop())
        capture = self.start(hooked % "a")
        self.assertIn("is not an executable",
                      self.reload(capture, hooked.replace(hook, "/nowhere/hook") % "a",
                                  "rules not reloaded"))
        self.reload(capture, hooked % "b", "(outputs: 0 kept, 1 new, 1 closed)")
        capture.wait_line(f"a {self.directory}")
        self.reload(capture, plain, "(outputs: 0 kept, 1 new, 1 closed)")
        capture.wait_line(f"b {self.directory}")
        report = self.report_of(capture.stop())
        self.assertEqual(report["hooks"], {"run": 2, "failed": 0})

    def test_standard_output_has_one_stream(self):
        rules = ("rules:\n  {}: {{filter: {}, write: '-'}}\n"
                 "  all: {{filter: udp, write: all.pcap}}\n")
        with open(self.path("stream"), "wb") as stream:
            capture = self.start(rules.format("a", "udp"), json=False, stdout=stream)
        live.send(live.Shape(SOME))
        self.assertIn("already written to standard output",
                      self.reload(capture, rules.format("b", "udp"), "rules not reloaded"))
        self.reload(capture, rules.format("a", "src port 10001"),
                    "(outputs: 2 kept, 0 new, 0 closed)")
        live.send(live.Shape(SOME, first=SOME))
        done = capture.stop()
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertEqual(len(numbers_in(self.path("all.pcap"))), 2 * SOME)
        self.assertGreaterEqual(len(numbers_in(self.path("stream"))), SOME // 97)

    def test_a_removed_fifo_that_nobody_reads_delays_nothing(self):
        os.mkfifo(self.path("fifo"))
        stays = "rules:\n  all: {filter: udp, write: all.pcap}\n"
        capture = self.start(stays + "  slow: {filter: udp, write: fifo}\n", json=True)
        live.send(live.Shape(SOME))
        capture.wait_seen(SOME)
        for _ in range(3):
            self.reload(capture, stays, "rules reloaded")
        live.send(live.Shape(SOME, first=SOME))
        capture.wait_seen(2 * SOME)
        done = capture.stop()
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertEqual(numbers_in(self.path("all.pcap")), list(range(2 * SOME)))


class Reload(Both, Rules):
    """By a signal."""

    def test_each_packet_is_filed_by_one_generation(self):
        """Every generation has a rule of its own that takes all: together they have each packet
        once, in order, and each goes on where the last one ended."""
        def rules(number):
            fillers = "".join(f"  x{n}: {{filter: dst host 10.8.{n // 200}.{n % 200}, "
                              f"write: 'x-%s-{{rule}}.pcap'}}\n" for n in range(number * 13 % 100))
            return (f"rules:\n  all: {{filter: udp, write: all.pcap}}\n{fillers}"
                    f"  g{number}: {{filter: udp, write: '{{rule}}.pcap'}}\n")

        capture = self.start(rules(1), "--sync", "off", *live.FLOWING)
        sender = self.sender(live.Shape(live.FLOW * 1000), rate=2 * live.FLOW)
        for number in range(2, ROUNDS + 2):
            self.reload(capture, "rules:\n  all: {filter: udp udp, write: all.pcap}\n",
                        "rules not reloaded")
            self.reload(capture, rules(number), "rules reloaded")
        self.assertIsNone(sender.process.poll())
        count = sender.end()
        capture.wait_seen(count)
        report = self.report_of(capture.stop())
        self.assertEqual(self.sum_of(report, "kernel_dropped"), 0)
        self.expect_all(live.Shape(count), [self.path("all.pcap")])
        found = []
        for number in range(1, ROUNDS + 2):
            numbers = numbers_in(self.path(f"g{number}.pcap"))
            self.assertEqual(numbers, list(range(len(found), len(found) + len(numbers))), number)
            found += numbers
        self.assertEqual(len(found), count)
        self.assertEqual(report["books"]["lost"], 0)
        self.assertEqual(report["reloads"]["accepted"], ROUNDS)

    def test_limits_of_a_file_change_in_place(self):
        rules = "rules:\n  all: {filter: udp, write: 'all-{seq}.pcap', rotate: {packets: %d}}\n"
        capture = self.start(rules % 1000)
        live.send(live.Shape(2500))
        capture.wait_stats(lambda stats: stats["received"] == 2500, "all are counted")
        self.reload(capture, rules % 2000, "(outputs: 1 kept, 0 new, 0 closed)")
        live.send(live.Shape(4000, first=2500))
        capture.wait_stats(lambda stats: stats["received"] == 6500, "all are counted")
        report = self.report_of(capture.stop())
        self.assertEqual([len(numbers_in(file)) for file in self.rule(report, "all")["files"]],
                         [1000, 1000, 2000, 2000, 500])

    def test_what_is_left_out_kept_and_compressed_changes(self):
        first = "rules:\n  all: {filter: udp, write: 'all-{seq}.pcap'}\n"
        steps = (  # what the rule has more, and what of the next SOME packets is written
            ("sample: 1/10", SOME // 10),
            ("sample: 1/10, limit: {packets: 100}", 100),
            ("limit: {packets: 1000}", 1000),
            # An output without a list cannot begin a file ring: another one takes over its files.
            ("rotate: {packets: 500, files: 2}", SOME),
            ("rotate: {every: 1h}", SOME))
        capture = self.start(first)
        sent = written = SOME
        live.send(live.Shape(SOME))
        capture.wait_seen(SOME)
        for number, (more, expected) in enumerate(steps, 2):
            capture.wait_stats(lambda stats: stats["received"] == sent, "all are counted")
            self.reload(capture, first.replace("'}", f"', {more}}}"),
                        f"generation {number}, 1 rule (outputs: " +
                        ("0 kept, 1 new, 1 closed)" if "files" in more else
                         "1 kept, 0 new, 0 closed)"))
            live.send(live.Shape(SOME, first=sent))
            sent += SOME
            written += expected
            capture.wait_seen(sent)
        capture.wait_stats(lambda stats: stats["received"] == sent, "all are counted")
        self.reload(capture, "rules:\n  all: {filter: udp, write: 'all-{seq}.pcap.zst'}\n",
                    "(outputs: 0 kept, 1 new, 1 closed)")
        live.send(live.Shape(SOME, first=sent))
        capture.wait_seen(sent + SOME)
        report = self.report_of(capture.stop())
        rule = self.rule(report, "all")
        self.assertEqual(rule["matched"], sent + SOME)
        self.assertEqual(rule["written"], written + SOME)
        self.assertEqual(rule["left_out_total"], sent - written)
        self.assertEqual(rule["lost_total"], 0)
        # The ring of two let go what was before its own last files; those of the last hour stay.
        self.assertGreater(rule["expired"], written - 3 * SOME)
        packed = [name for name in rule["files"] if name.endswith(".zst")]
        self.assertEqual(len(packed), 1)
        subprocess.run(["zstd", "-dq", packed[0]], check=True)
        self.assertEqual(numbers_in(packed[0][:-4]), list(range(sent, sent + SOME)))
        kept = [n for name in rule["files"] if name not in packed for n in numbers_in(name)]
        self.assertEqual(kept, list(range(sent - len(kept), sent)))
        self.assertEqual(len(kept) + SOME, rule["written"] - rule["expired"])

    def test_a_device_that_comes_back_has_the_new_rules(self):
        rules = "rules:\n  all: {filter: udp, write: all.pcap}\n"
        capture = self.start(rules)
        self.reload(capture, rules + "  more: {filter: src port 10001, write: more.pcap}\n",
                    "rules reloaded")
        live.do_ip("link del in")
        capture.wait_line("is gone")
        self.reload(capture, rules + "  new: {filter: src port 10002, write: new.pcap}\n",
                    "rules reloaded")
        self.assertIsNone(live.make_pair())
        capture.wait_line("captured again")
        live.send(live.Shape(SOME))
        capture.wait_seen(SOME)
        report = self.report_of(capture.stop())
        numbers = numbers_in(self.path("all.pcap"))
        self.assertEqual(numbers, list(range(SOME)))
        self.assertEqual(numbers_in(self.path("new.pcap")), [n for n in numbers if n % 97 == 2])
        self.assertEqual(numbers_in(self.path("more.pcap")), [])
        self.assertEqual(report["reloads"]["generation"], 3)

    def test_the_order_of_time_and_another_mode(self):
        all_of = "rules:\n  one: {filter: src port 10001, write: one.pcap}\n" \
                 "  all: {filter: udp, write: all.pcap}\n"
        self.write_rules(all_of)
        capture = self.start(all_of, "--order", "time", "--queues", 2, "--fanout", "lb")
        live.send(live.Shape(SOME))
        capture.wait_stats(lambda stats: stats["received"] == SOME, "all are counted")
        self.reload(capture, "mode: first\n" + all_of, "(outputs: 2 kept, 0 new, 0 closed)")
        live.send(live.Shape(SOME, first=SOME))
        capture.wait_stats(lambda stats: stats["received"] == 2 * SOME, "all are counted")
        self.report_of(capture.stop())
        ones = [n for n in range(2 * SOME) if n % 97 == 1]
        self.assertEqual(sorted(numbers_in(self.path("one.pcap"))), ones)
        self.assertEqual(sorted(numbers_in(self.path("all.pcap"))),
                         [n for n in range(2 * SOME) if n < SOME or n % 97 != 1])


class Control(Both, Rules):
    """The same, and more, over --control; by a capture that has become nobody where it may."""

    def where(self):
        self.socket = self.path("control")
        return ["--control", self.socket]

    def ask(self, *words, status=0):
        """The answer as JSON, or what was complained about."""
        done = e2e.capweir("control", "--control", self.socket, *words)
        self.assertEqual(done.status, status, e2e.text_of(done))
        return json.loads(done.out) if status == 0 else done.err

    def stats(self):
        done = e2e.capweir("stats", "--control", self.socket, "--json")
        self.assertEqual(done.status, 0, e2e.text_of(done))
        return json.loads(done.out)

    def test_without_a_file_there_is_nothing_to_reload(self):
        capture = self.capture("-i", "in", "-w", self.path("all.pcap"), *self.where())
        self.refuse_reload(capture, "no rules file that could be read again")
        self.report_of(capture.stop())
        with open(self.path("in.yaml"), "w") as file:
            file.write("rules:\n  all: {filter: udp, write: other.pcap}\n")
        with open(self.path("in.yaml")) as file:
            capture = self.capture("-i", "in", "-R", "-", "-o", self.directory, *self.where(),
                                   stdin=file)
        self.refuse_reload(capture, "no rules file that could be read again")
        self.report_of(capture.stop())

    def reload(self, capture, text, said):
        """By the socket instead of the signal: the answer comes when it is done."""
        self.write_rules(text)
        is_refused = "not reloaded" in said or "cannot" in said
        answer = self.ask("reload", status=1) if is_refused else self.ask("reload")["text"]
        self.assertIn(said, answer)
        return answer

    def refuse_reload(self, capture, said):
        self.assertIn(said, self.ask("reload", status=1))

    def wait_received(self, capture, count):
        capture.wait_until(lambda: self.stats()["books"]["received"] == count, f"{count} received")

    def counters_of(self, stats):
        return {**stats["books"], "packets": stats["packets"], "seen": stats["kernel_seen"],
                **{output["rule"]: output["matched"] for output in stats["outputs"]}}

    def test_every_command_does_what_it_says(self):
        capture = self.start("rules:\n  all: {filter: udp, write: 'all-{seq}.pcap'}\n")
        live.send(live.Shape(SOME))
        self.wait_received(capture, SOME)
        stats = self.stats()
        self.assertEqual(stats["outputs"][0]["matched"], SOME)
        capture.wait_until(lambda: self.stats()["queues"][0]["kernel_seen"] == SOME, "all are seen")
        self.assertEqual(self.ask("rotate")["outputs"], 1)
        live.send(live.Shape(SOME, first=SOME))
        self.wait_received(capture, 2 * SOME)
        self.ask("rotate", "none", status=1)
        self.ask("rotate", "all")
        self.ask("flush")
        capture.wait_until(lambda: self.stats()["books"]["written"] == 2 * SOME, "it is flushed")
        rules = self.ask("rules")
        self.assertEqual([(r["name"], r["filter"]) for r in rules["rules"]], [("all", "udp")])
        self.ask("log", "problem")
        self.write_rules("rules: {}\n")
        self.ask("reload", status=1)
        self.assertNotIn("not reloaded", capture.text())
        self.ask("log", "note")
        words = e2e.capweir("stats", "--control", self.socket)
        self.assertEqual(words.status, 0)
        self.assertIn(f"{2 * SOME:,} packets", words.out.decode())
        self.ask("dance", status=1)
        self.assertTrue(self.ask("stop")["ok"])
        report = self.report_of(capture.wait())
        self.assertEqual([len(numbers_in(f)) for f in report["rules"][0]["files"]], [SOME, SOME])
        self.assertFalse(os.path.exists(self.socket))

    def test_counters_never_go_back(self):
        capture = self.start("rules:\n  all: {filter: udp, write: all.pcap}\n")
        sender = self.sender(live.Shape(10**9), rate=live.FLOW)
        last = {}
        for number in range(30):
            self.write_rules("rules:\n  all: {filter: udp, write: 'all.pcap'}\n" +
                             f"  r{number % 3}: {{filter: src port 10001, "
                             "write: '{rule}.pcap'}\n")
            self.ask("reload")
            for _ in range(2):
                now = self.counters_of(self.stats())
                for name in ("received", "matched", "written", "lost", "packets", "seen", "all"):
                    self.assertGreaterEqual(now[name], last.get(name, 0), name)
                last = now
        sender.stop()
        report = self.report_of(capture.stop())
        self.assertGreaterEqual(report["books"]["written"], last["written"])
        self.assertEqual(self.rule(report, "r0")["written"] + self.rule(report, "r1")["written"] +
                         self.rule(report, "r2")["written"] + self.rule(report, "all")["written"],
                         report["books"]["in_files"])

    def test_others_are_sent_away(self):
        if os.geteuid() != 0:
            self.skipTest("only root can become somebody else")
        capture = self.start("rules:\n  all: {filter: udp, write: all.pcap}\n", "-Z", "root")
        os.chmod(self.directory, 0o755)
        self.assertEqual(os.stat(self.socket).st_mode & 0o7777, 0o600)
        client = [sys.executable, "-c",
                  "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
                  "print(s.recv(1000))", self.socket]
        for opened in (False, True):
            if opened:
                os.chmod(self.socket, 0o666)
            done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", *client],
                                  capture_output=True, text=True)
            if "setpriv" in done.stderr:
                self.skipTest("this namespace has no user nobody")
            if opened:
                self.assertIn("only root", done.stdout + done.stderr)
            else:
                self.assertIn("PermissionError", done.stderr)
        self.assertFalse(self.stats()["stopping"])
        self.report_of(capture.stop())

    def test_what_is_at_the_path_is_not_touched(self):
        path = self.path("file")
        with open(path, "w") as file:
            file.write("precious")
        done = e2e.capweir("capture", "-i", "in", "-w", self.path("a.pcap"), "--control", path)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        with open(path) as file:
            self.assertEqual(file.read(), "precious")
        # After a kill the next run takes over.
        for kill in (True, False):
            capture = self.start("rules:\n  all: {filter: udp, write: all.pcap}\n")
            other = e2e.capweir("capture", "-i", "in", "-w", self.path("b.pcap"), "--control",
                                self.socket)
            self.assertEqual(other.status, 2)
            self.assertIn("in use", other.err)
            if kill:
                capture.kill()
            else:
                self.report_of(capture.stop())
        done = e2e.capweir("stats", "--control", self.socket)
        self.assertEqual(done.status, 1)
        self.assertEqual(e2e.capweir("stats").status, 2)


if __name__ == "__main__":
    live.main()
