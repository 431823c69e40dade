#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The service's unit: its words, and its program under the restrictions that it names."""
import contextlib
import http.client
import os
import re
import shutil
import socket
import subprocess

import e2e
import live
import unit

UNDER = os.environ.get("CAPWEIR_UNDER") or os.path.join(live.BUILD, "tests", "under")
USER = 12345  # where there is no user capweir
FOLDERS = ("/etc/capweir", "/var/lib/capweir", "/run/capweir")
EXPOSURE_MOST = 2.0
RULES = "rules:\n  all: {filter: udp, write: all.pcap}\n"


class Words(e2e.Test):
    def setUp(self):
        super().setUp()
        e2e.need("systemd-analyze")

    def analyze(self, *arguments):
        return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True,
                              timeout=e2e.TIMEOUT, check=False)

    def write_unit(self, *drop_ins):
        """With a command that is there, and without the manual, which may not be installed."""
        text = ""
        for path in unit.files(*drop_ins):
            with open(path, encoding="utf-8") as file:
                text += file.read()
        text = re.sub(r"(?m)^(Exec\w+=)\S+", rf"\1{shutil.which('true')}", text)
        return self.write("capweir@.service", re.sub(r"(?m)^Documentation=.*\n", "", text))

    def test_unit_and_drop_ins_are_well_formed(self):
        for drop_ins in ((), unit.DROP_INS):
            done = self.analyze("verify", self.write_unit(*drop_ins))
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_unit_exposes_little_with_any_drop_in(self):
        for drop_ins in ((), *((name,) for name in unit.DROP_INS)):
            done = self.analyze("security", "--offline=true", self.write_unit(*drop_ins))
            exposure = re.search(r"exposure level .*: ([0-9.]+)", done.stdout)
            self.assertTrue(exposure, done.stdout + done.stderr)
            self.assertLessEqual(float(exposure.group(1)), EXPOSURE_MOST, drop_ins)

    def test_the_example_rules_are_sound(self):
        self.run_ok("check", os.path.join(unit.EXAMPLES, "example.yaml"))


class UnderUnit(live.Test):
    """As systemd would start it: user, capabilities, system calls, address families, memory."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("only root can become the service's user and mount its folders")
        if live.SANITIZED:
            self.skipTest("sanitizers need more than the unit permits")
        e2e.need("systemd-analyze", "setpriv", "mount")
        os.chmod(self.directory, 0o755)
        # The user may not reach the folder of the build.
        self.under = shutil.copy(UNDER, self.directory)
        self.program = shutil.copy(e2e.CAPWEIR, self.directory)
        for folder in FOLDERS:
            self.mount(folder)
        self.state, self.runtime = (f"{folder}/in" for folder in FOLDERS[1:])
        for folder in (self.state, self.runtime):
            os.mkdir(folder, 0o750)
            os.chown(folder, USER, USER)
        self.write_rules(RULES)

    def mount(self, folder):
        """Memory over a folder, in this program's mount namespace."""
        if not os.path.isdir(folder):
            os.mkdir(folder)
            self.addCleanup(os.rmdir, folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", folder], check=True)

    def write_rules(self, text):
        with open("/etc/capweir/in.yaml", "w", encoding="ascii") as file:
            file.write(text)

    def under_limits(self, service):
        """The words that put a command under the unit's restrictions; keep file 3 open."""
        capabilities = ",".join(f"+{name}" for name in service.capabilities())
        return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups",
                f"--inh-caps=-all,{capabilities}", f"--ambient-caps=-all,{capabilities}",
                f"--bounding-set=-all,{capabilities}", "--no-new-privs", "sh", "-c",
                "exec \"$@\" 3<\"$0\"", self.write("limits", service.limits()), self.under]

    def how(self, service):
        environment = dict(os.environ, STATE_DIRECTORY=self.state, RUNTIME_DIRECTORY=self.runtime)
        return {"program": [*self.under_limits(service), self.program], "env": environment}

    def words_of(self, service, key, options=""):
        program, *words = service.words(key, options)
        self.assertEqual(program, "capweir")
        return words

    def start(self, *drop_ins, options=""):
        service = unit.Unit("in", *drop_ins)
        return self.capture(*self.words_of(service, "ExecStart", f"--json {options}"), json=False,
                            **self.how(service))

    def run_words(self, key, *drop_ins, options=""):
        service = unit.Unit("in", *drop_ins)
        return e2e.capweir(*self.words_of(service, key, options), **self.how(service))

    def rights_of(self, *processes):
        """Names of processes of the unit's user, and their capabilities."""
        found = {}
        for process in processes:
            with open(f"/proc/{process}/status", encoding="ascii") as file:
                status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
            self.assertEqual([int(word) for word in status["Uid"].split()], [USER] * 4)
            found[status["Name"]] = int(status["CapEff"], 16)
        return found

    def test_it_captures_reloads_and_stops(self):
        capture = self.start()
        live.send(live.Shape(100))
        capture.wait_seen(100)
        rights = self.rights_of(capture.process.pid, *e2e.children_of(capture.process.pid))
        self.assertEqual(rights.pop("capweir"), 1 << 13)  # CAP_NET_RAW
        self.assertEqual(rights, {"cw-helper": 0, "cw-opener": 0})
        self.write_rules(RULES + "  few: {filter: tcp, write: few.pcap}\n")
        done = self.run_words("ExecReload")
        self.assertEqual((done.status, done.err), (0, ""), done)
        live.send(live.Shape(100, first=100))
        capture.wait_seen(200)
        self.write_rules("rules:\n  all: {filter: icpm, write: all.pcap}\n")
        done = self.run_words("ExecReload")
        self.assertEqual(done.status, 1, done)
        self.assertIn("in.yaml:2: rule all:", done.err + done.out.decode())
        report = self.report_of(capture.stop())
        self.assertEqual((report["reloads"]["accepted"], report["reloads"]["refused"]), (1, 1))
        path = os.path.join(self.state, "all.pcap")
        live.check(live.Shape(200), [path])
        self.assertEqual(os.stat(path).st_uid, USER)

    def test_it_waits_for_an_interface_that_is_down(self):
        live.do_ip("link set in down")
        self.addCleanup(live.do_ip, "link set in up")
        capture = self.start()
        live.do_ip("link set in up")
        capture.wait_line("captured after waiting")
        self.report_of(capture.stop())

    def test_a_missing_rules_file_is_named(self):
        os.unlink("/etc/capweir/in.yaml")
        done = self.run_words("ExecStart")
        self.assertEqual(done.status, 2, done)
        self.assertIn("/etc/capweir/in.yaml", done.err)

    def test_metrics_need_their_drop_in(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = f"--metrics {port}"
        done = self.run_words("ExecStart", options=options)
        self.assertEqual(done.status, 2, done)
        self.assertRegex(done.err, "Address family not supported.* drop-in metrics.conf")
        capture = self.start("metrics.conf", options=options)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=live.PATIENCE_S)
        with contextlib.closing(connection):
            connection.request("GET", "/metrics")
            self.assertIn(b"capweir_", connection.getresponse().read())
        self.report_of(capture.stop())

    def test_realtime_needs_its_drop_in(self):
        options = "--realtime 10 --queues 1"
        capture = self.start(options=options)
        capture.wait_line("cannot give capture threads real-time priority")
        self.report_of(capture.stop())
        capture = self.start("realtime.conf", options=options)
        thread = int(os.path.basename(capture.wait_thread("cw-capture-0")))
        capture.wait_until(lambda: os.sched_getscheduler(thread) == os.SCHED_FIFO, "real time")
        result = capture.stop()
        self.report_of(result)
        self.assertNotIn("real-time priority", result.err)

    def test_xdp_needs_its_drop_in(self):
        options = "--backend xdp"
        done = self.run_words("ExecStart", options=options)
        self.assertNotEqual(done.status, 0, done)
        self.assertRegex(done.err, "CAP_BPF.* drop-in xdp.conf")
        capture = self.start("xdp.conf", options=options)
        live.send(live.Shape(100))
        capture.wait_seen(100)
        self.assertEqual(self.report_of(capture.stop())["books"]["in_files"], 100)


if __name__ == "__main__":
    live.main()
