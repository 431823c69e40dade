#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""capweir check takes the road of the start: what the start refuses, check refuses, all at once."""
import json
import os
import socket
import subprocess

import e2e
import live

RULE = "rules: {a: {filter: udp, write: a.pcap}}\n"


def rule(text):
    return f"rules: {{a: {{filter: udp, {text}}}}}\n"


def captures(text, rules=RULE):
    return f"capture: {{{text}}}\n{rules}"


# Files that the start refuses with exit status 2, and a part of its message.
REFUSED = (
    (rule("write: a.pcap, hook: 'gzip -9'"), "hook 'gzip -9' is not an executable"),
    (rule("write: a.pcap, group: no-such-group"), "group 'no-such-group' does not exist"),
    (rule("write: a.pcap, hook: [no-such-program]"), "hook 'no-such-program'"),
    (rule("write: missing/a.pcap"), "folder missing"),
    (rule("write: 'missing/%Y.pcap'"), "missing"),
    (rule("write: sub"), "sub is a folder"),
    (rule("write: fifo, rotate: {size: 1MiB}"), "fifo is a FIFO"),
    (rule("write: fifo, hook: 'true'"), "a hook needs a file"),
    (rule("write: '-', rotate: {size: 1MiB}"), "- is standard output"),
    (rule("write: a.pcap, rotate: {files: 3}"), "its file never ends"),
    ("rules: {a: {filter: udp, write: a.pcap}, b: {filter: ip, write: ./a.pcap}}\n", "a.pcap"),
    ("rules: {a: {filter: udp, write: a.pcap}, b: {filter: ip, write: link.pcap}}\n",
     "another rule writes"),
    (rule("write: a.pcap").replace("udp", "icpm"), "icpm"),
    (rule("write: a.pcap, snaplne: 5"), "did you mean 'snaplen'"),
    (captures("queues: many"), "queues takes"),
    (captures("buffer-sise: 1"), "did you mean 'buffer-size'"),
    (captures("pin: x"), "not a list of cores"),
    (captures("file-count: 5"), "its file never ends"),
    (captures("hook: no-such-program"), "hook 'no-such-program'"),
    (captures("no-clobber: true", rule("write: old.pcap")), "exists already"),
    (captures("no-clobber: true", rule("write: '%H.pcap'")), "--no-clobber needs a fixed name"),
    (captures("directory: missing"), "missing"),
    (captures(f"control: {'x' * 120}"), "a path must have 1 to 107 bytes"),
    (captures("metrics: word"), "[ADDRESS:]PORT"),
    (captures("backend: xdp, wait-device: true"), "cannot wait"),
)

# Requests, the interfaces they capture from, the status of the start, and a part of its message.
REFUSED_HERE = (
    (captures("control: missing/x"), "in", 1, "cannot create the control socket missing/x"),
    (captures("control: old.pcap"), "in", 2, "old.pcap exists and is not a socket"),
    (captures("control: old.pcap/x"), "in", 1, "Not a directory"),
    (captures("filter-file: bad"), "in", 2, "the global filter: filter \"icpm"),
    (captures("autostop: 'files:2'"), "in", 2, "-a files: needs files that end"),
    (captures("autostop: 'filesize:1', file-size: 1", RULE), "in", 2, "exclude each other"),
    (RULE, "in tun", 2, "link types EN10MB and RAW, and a .pcap file holds one"),
    (rule("write: a.pcap").replace("udp", "ether src 1:2:3:4:5:6"), "tun", 2,
     "rule a: filter \"ether src 1:2:3:4:5:6\" for link type RAW"),
)
WITHOUT_RIGHTS = ("setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw")

TAKEN_HERE = (
    (rule("write: a.pcapng"), "in tun", 0),
    (rule("write: a.pcap").replace("udp", "ether src 1:2:3:4:5:6"), "in tun", 1),
    (captures("control: c.sock, filter-file: good"), "in", 0),
)

TAKEN = (
    RULE,
    rule("write: '%Y/%m/a.pcap'"),
    rule("write: a.pcap, hook: ['true', word]"),
    rule("write: /dev/null"),
    rule("write: a.pcap, rotate: {packets: 1000, files: 3}"),
    rule("write: fifo"),
    rule("write: old.pcap"),
    captures("pin: '0', queues: 1, buffer-size: 1MiB"),
    captures("directory: sub, utc: true"),
    captures("ring-buffer: ['files:3', 'packets:1000']"),
)


class Check(live.Test):
    def setUp(self):
        super().setUp()
        os.mkdir(self.path("sub"))
        os.mkfifo(self.path("fifo"))
        os.symlink("a.pcap", self.path("link.pcap"))
        self.write("old.pcap", e2e.pcap([]))

    def run_in(self, *arguments, **options):
        done = e2e.capweir(*arguments, cwd=self.directory, **options)
        if live.SANITIZED:  # a start then warns that nothing confines it
            done = done._replace(err="".join(line for line in done.err.splitlines(True)
                                             if "are not confined" not in line))
        return done

    def test_what_the_start_refuses_is_an_error(self):
        for text, says in REFUSED:
            self.write("rules.yaml", text)
            started = self.run_in("capture", "-R", "rules.yaml", "-i", "in", "-Z", "root",
                                  "--duration", 1)
            self.assertEqual((started.status, says in started.err), (2, True), started.err)
            checked = self.run_in("check", "rules.yaml", "-i", "in", "-Z", "root")
            self.assertEqual(checked.status, 2, f"{text}{e2e.text_of(checked)}")
            self.assertIn(says, checked.err, text)

    def test_what_the_start_takes_is_no_error(self):
        for text in TAKEN:
            self.write("rules.yaml", text)
            checked = self.run_in("check", "rules.yaml", "-i", "in", "-Z", "root")
            self.assertEqual((checked.status, checked.err), (0, ""), text)
            self.assertIn(b"0 errors, 0 warnings", checked.out)
            if "fifo" not in text:  # which would wait for a reader
                started = self.run_in("capture", "-R", "rules.yaml", "-i", "in", "-Z", "root",
                                      "--duration", 0.1)
                self.assertEqual(started.status, 0, f"{text}{started.err}")
        self.assertEqual(sorted(os.listdir(self.path("sub"))), ["a.pcap"])

    def need_tun(self, devices):
        if "tun" in devices and "tun" not in (name for _, name in socket.if_nameindex()):
            if live.ip("tuntap add tun mode tun", "link set tun up"):
                self.skipTest("tun devices cannot be made here")
            self.addCleanup(live.ip, "tuntap del tun mode tun")
        return [word for device in devices.split() for word in ("-i", device)]

    def test_what_the_start_refuses_here_is_an_error_with_the_same_text(self):
        self.write("bad", b"icpm")
        for text, devices, status, says in REFUSED_HERE:
            with self.subTest(says):
                self.write("rules.yaml", text)
                words = ["rules.yaml", *self.need_tun(devices), "-Z", "root"]
                started = self.run_in("capture", "-R", *words, "--duration", 1)
                self.assertEqual((started.status, says in started.err), (status, True), started.err)
                checked = self.run_in("check", *words)
                self.assertEqual(checked.status, 2, e2e.text_of(checked))
                if "global filter" in says:  # check names the link type
                    checked = checked._replace(err=checked.err.replace(" (link type EN10MB)", ""))
                self.assertIn(checked.err, started.err)
                checked = self.run_in("check", "--json", *words)
                self.assertEqual((checked.status, checked.err), (2, ""))
                (found,) = json.loads(checked.out)["findings"]
                self.assertIn(says.replace("rule a: ", ""), found["text"])

    def test_what_the_start_takes_here_is_no_error(self):
        self.write("good", b"ip")
        for text, devices, warnings in TAKEN_HERE:
            with self.subTest(text):
                self.write("rules.yaml", text)
                words = ["rules.yaml", *self.need_tun(devices), "-Z", "root"]
                checked = self.run_in("check", *words)
                self.assertEqual(checked.status, 0, e2e.text_of(checked))
                self.assertIn(b"0 errors, %d warning" % warnings, checked.out)
                started = self.run_in("capture", "-R", *words, "--duration", 0.1)
                self.assertEqual(started.status, 0, e2e.text_of(started))

    def test_without_the_right_to_capture(self):
        self.write("rules.yaml", RULE)
        if subprocess.run([*WITHOUT_RIGHTS, "true"], capture_output=True).returncode:
            self.skipTest("setpriv cannot drop the capability here")
        for device in ("in", "any"):
            words = ["rules.yaml", "-i", device, "-Z", "root"]
            started = self.run_in("capture", "-R", *words, under=WITHOUT_RIGHTS)
            checked = self.run_in("check", *words, under=WITHOUT_RIGHTS)
            self.assertEqual((started.status, checked.status), (1, 2), e2e.text_of(started))
            self.assertEqual(checked.err, started.err)
            self.assertIn("without the capability CAP_NET_RAW", checked.err)

    def test_a_control_socket_that_is_in_use(self):
        self.write("rules.yaml", captures("control: c.sock"))
        with socket.socket(socket.AF_UNIX) as held:
            held.bind(self.path("c.sock"))
            held.listen()
            done = self.run_in("check", "rules.yaml", "-i", "in", "-Z", "root")
        self.assertEqual(done.status, 0, done.err)
        self.assertIn("warning: the control socket c.sock is in use", done.err)
        # A killed run leaves the socket. A check lets it lie.
        done = self.run_in("check", "rules.yaml", "-i", "in", "-Z", "root")
        self.assertEqual((done.status, done.err), (0, ""))
        self.assertTrue(os.path.exists(self.path("c.sock")))

    def test_rules_that_no_packet_reaches(self):
        rules = ("rules:\n  a: {filter: udp, write: a.pcap}\n  b: {filter: udp, write: b.pcap}\n"
                 "  c: {filter: '', write: c.pcap}\n  d: {filter: tcp, write: d.pcap}\n"
                 "  e: {filter: unmatched, write: e.pcap}\n")
        self.write("rules.yaml", "mode: first\n" + rules)
        done = self.run_in("check", "rules.yaml")
        self.assertEqual(done.status, 0)
        lines = [f"capweir: warning: rules.yaml:{line}: rule {rule} gets no packets: with 'mode: "
                 f"first', rule {other} takes them. Move rule {rule} up, or remove it"
                 for line, rule, other in ((4, "b", "a"), (6, "d", "c"), (7, "e", "c"))]
        self.assertEqual(done.err.splitlines(), lines)
        self.write("rules.yaml", rules)
        self.assertEqual(self.run_in("check", "rules.yaml").err, "")

    def test_a_user_who_is_not_there(self):
        self.write("rules.yaml", captures("interface: in, relinquish-privileges: not-there"))
        for words in (["capture", "-R"], ["check"]):
            done = self.run_in(*words, "rules.yaml")
            self.assertEqual(done.status, 2)
            self.assertIn("not-there", done.err)

    def test_all_faults_at_once_and_as_json(self):
        self.write("rules.yaml", "capture: {interface: [in, none], pin: x}\nrules:\n"
                   "  hook: {filter: udp, write: h.pcap, hook: 'gzip -9'}\n"
                   "  folder: {filter: udp, write: sub}\n"
                   "  filter: {filter: icpm, write: f.pcap}\n"
                   "  stream: {filter: udp, write: fifo, rotate: {packets: 5}}\n")
        text = self.run_in("check", "rules.yaml", "-Z", "root")
        done = self.run_in("check", "rules.yaml", "-Z", "root", "--json")
        self.assertEqual((text.status, done.status, done.err), (2, 2, ""))
        report = json.loads(done.out)
        self.assertEqual({key: report[key] for key in ("type", "version", "file", "rules",
                                                       "errors", "warnings")},
                         {"type": "check", "version": 1, "file": "rules.yaml", "rules": 4,
                          "errors": 6, "warnings": 0})
        found = [(one["about"], one["rule"], one["line"]) for one in report["findings"]]
        self.assertEqual(found, [("hook", "hook", 3), ("interface", None, None),
                                 ("cores", None, None), ("output", "folder", 4),
                                 ("output", "stream", 6), ("filter", "filter", 5)])
        for one in report["findings"]:
            self.assertEqual(one["severity"], "error")
            self.assertIn(one["text"].splitlines()[0], text.err)
        self.assertIn(b"rules.yaml: 4 rules, 6 errors, 0 warnings", text.out)

    def test_faults_of_keys_and_of_filters_in_one_run(self):
        self.write("rules.yaml", "capture: {queues: none}\nrules:\n"
                   "  a: {filter: udp, wirte: a.pcap}\n"
                   "  b: {filter: tpc, write: b.pcap}\n"
                   "  c: {filter: icpm, write: c.pcap, hook: [no-such]}\n"
                   "  d: {filter: udp, write: d.pcap, rotate: {sise: 5}}\n")
        done = self.run_in("check", "rules.yaml")
        self.assertEqual(done.status, 2)
        for says in ("1: capture: queues takes", "3: unknown key 'wirte'", '4: rule b: filter "tpc',
                     '5: rule c: filter "icpm', "5: rule c: hook", "6: unknown key 'sise'"):
            self.assertIn(f"rules.yaml:{says}", done.err)
        self.assertIn(b"2 rules, 6 errors", done.out)

    def test_a_portable_file_is_checked_alone(self):
        self.write("rules.yaml", "capture: {interface: none, metrics: 1.2.3.4:9, directory: no}\n"
                   "rules: {a: {filter: udp, write: no/a.pcap, hook: [no-such]}}\n")
        os.chmod(self.path("rules.yaml"), 0o666)
        self.run_ok("check", "--portable", self.path("rules.yaml"))
        self.write("bad.yaml", "capture: {queues: 0}\nrules: {a: {filter: icpm, write: a.pcap}}\n")
        done = self.run_in("check", "--portable", "bad.yaml")
        self.assertEqual(done.status, 2)
        self.assertIn(b"2 errors", done.out)

    def test_devices_and_ports(self):
        self.write("rules.yaml", RULE)
        self.assertIsNone(live.ip("link add idle type veth peer name idler"))
        self.addCleanup(live.ip, "link del idle")
        self.write("waits.yaml", captures("wait-device: true"))
        for word, says, waits in (("none", "no interface of this name", "No such device"),
                                  ("99", "no interface of this name", None),
                                  ("idle", "interface idle is down", "interface idle is down")):
            started = self.run_in("capture", "-R", "rules.yaml", "-i", word, "-Z", "root")
            done = self.run_in("check", "rules.yaml", "-i", word, "-Z", "root")
            self.assertEqual((done.status, done.err), (2, started.err))
            self.assertIn(says, done.err)
            done = self.run_in("check", "waits.yaml", "-i", word, "-Z", "root")
            self.assertEqual(done.status, 0 if waits else 2, done.err)
            if waits:
                self.assertIn("warning: ", done.err)
        with socket.create_server(("127.0.0.1", 0)) as held:
            self.write("rules.yaml", captures(f"metrics: {held.getsockname()[1]}"))
            done = self.run_in("check", "rules.yaml")
        if "built without" not in done.err:
            self.assertEqual(done.status, 0, done.err)
            self.assertIn(b"0 errors, 1 warning", done.out)


if __name__ == "__main__":
    live.main()
