#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of a running capture: what collectors can read, what clients may do."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess

import e2e
import live

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DASHBOARD = os.path.join(ROOT, "tools", "service", "capweir-dashboard.json")
RULES = ("rules:\n  all: {filter: udp, write: 'all-{seq}.pcap'}\n"
         "  some: {filter: udp, write: some.pcap, sample: 1/4}\n")
SOME = 4000
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def parse(text):
    """Samples by name and labels; every line must be one, or say something of a family."""
    samples, families = {}, {}
    for line in text.splitlines():
        said = re.fullmatch(r"# (TYPE|HELP) (capweir_[a-z_]+) (.+)", line)
        if said:
            families.setdefault(said[2], {})[said[1]] = said[3]
            continue
        if line == "# EOF":
            continue
        sample = re.fullmatch(r'(capweir_[a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? '
                              r"([0-9.]+)", line)
        assert sample, line
        assert (sample[1], sample[2]) not in samples, line
        samples[(sample[1], sample[2])] = float(sample[3])
    return samples, families


class Metrics(live.Test):
    def start(self, *arguments):
        self.rules = self.write("rules.yaml", RULES)
        os.chmod(self.rules, 0o644)
        capture = self.capture("-i", "in", "-R", self.rules, "-o", self.directory, "--queues", 2,
                               "--metrics", 0, *arguments)
        capture.wait_line("serving metrics at http://127.0.0.1:")
        self.port = int(re.search(r"http://127.0.0.1:(\d+)/metrics", capture.text())[1])
        return capture

    def get(self, path="/metrics", method="GET", headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=live.PATIENCE_S)
        connection.request(method, path, headers=headers or {})
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer, body

    def samples(self):
        return parse(self.get()[1])[0]

    def wait_received(self, capture, count):
        capture.wait_until(
            lambda: self.samples()[("capweir_packets_received_total", None)] == count, f"{count}")

    def test_counters_are_the_books(self):
        capture = self.start()
        live.send(live.Shape(SOME))
        self.wait_received(capture, SOME)
        answer, body = self.get()
        self.assertEqual(answer.getheader("Content-Type"),
                         "text/plain; version=0.0.4; charset=utf-8")
        samples, families = parse(body)
        for name, expected in (("packets_received", SOME), ("packets_matched", SOME),
                               ("packets_unmatched", 0), ("packets_malformed", 0),
                               ("records_matched", 2 * SOME), ("records_left_out", SOME * 3 // 4),
                               ("records_lost", 0), ("packets_shed", 0),
                               ("lost_before_tap_packets", 0)):
            self.assertEqual(samples[(f"capweir_{name}_total", None)], expected, name)
        self.assertIn(("capweir_interface_rx_dropped_packets_total", None), samples)
        rules = {labels: value for (name, labels), value in samples.items()
                 if name == "capweir_rule_matched_records_total"}
        self.assertEqual(rules, {'{rule="all",generation="1"}': SOME,
                                 '{rule="some",generation="1"}': SOME})
        seen = [value for (name, _), value in samples.items()
                if name == "capweir_queue_kernel_seen_packets_total"]
        self.assertEqual(len(seen), 2)
        for name, said in families.items():
            self.assertEqual(set(said), {"TYPE", "HELP"}, name)
            self.assertEqual(name.endswith("_total"), said["TYPE"] == "counter", name)
        if shutil.which("promtool"):
            done = subprocess.run(["promtool", "check", "metrics"], input=body, text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            self.assertEqual((done.returncode, done.stdout), (0, ""))
        else:
            print("promtool (Debian's prometheus) is not installed: only this test checked it")
        answer, body = self.get(headers=OPENMETRICS)
        self.assertIn("application/openmetrics-text; version=1.0.0",
                      answer.getheader("Content-Type"))
        self.assertTrue(body.endswith("# EOF\n"))
        again, families = parse(body)
        self.assertEqual(set(again), set(samples))
        self.assertFalse([name for name in families if name.endswith("_total")])
        self.report_of(capture.stop())

    def test_every_metric_of_the_dashboard_is_there(self):
        capture = self.start()
        with open(DASHBOARD, encoding="utf-8") as file:
            expressions = re.findall(r'"expr": "([^"]|\\")*"', file.read())
            file.seek(0)
            dashboard = json.load(file)
        named = {name for panel in dashboard["panels"] for target in panel["targets"]
                 for name in re.findall(r"capweir_\w+", target["expr"])}
        self.assertGreater(len(expressions), 8)
        self.assertEqual(named - {name for name, _ in self.samples()}, set())
        self.report_of(capture.stop())

    def test_counters_never_go_back(self):
        capture = self.start()
        before = self.samples()
        for number in range(2, 8):
            live.send(live.Shape(500, first=500 * (number - 2)))
            text = RULES.replace("some.pcap", f"some-{number}.pcap") if number % 2 else RULES
            with open(self.rules, "w", encoding="ascii") as file:
                file.write(text)
            capture.signal(signal.SIGHUP)
            capture.wait_line(f"generation {number},")
            for _ in range(5):
                after = self.samples()
                for key, value in after.items():
                    if key[0].endswith("_total"):
                        self.assertGreaterEqual(value, before.get(key, 0), key)
                before.update(after)
        self.assertEqual(before[("capweir_reloads_accepted_total", None)], 6)
        self.wait_received(capture, 3000)
        self.report_of(capture.stop())

    def test_what_clients_do_harms_nobody(self):
        capture = self.start()
        for path, method, status in (("/", "GET", 404), ("/metrics/x", "GET", 404),
                                     ("/metrics", "POST", 405), ("/metrics", "HEAD", 200),
                                     ("/" + "x" * 20000, "GET", 414)):
            self.assertEqual(self.get(path, method)[0].status, status, path[:20])
        idle = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(24)]
        for number, client in enumerate(idle):
            if number % 2:
                try:
                    client.send(b"GET /metrics HT" if number % 4 == 1 else b"\0\xff\r\n\r\n")
                except OSError:
                    pass
        live.send(live.Shape(SOME))
        capture.wait_seen(SOME)
        for client in idle:
            client.close()
        self.wait_received(capture, SOME)
        report = self.report_of(capture.stop())
        self.assertEqual(report["books"]["received"], SOME)

    def test_addresses(self):
        def expect_refusal(at, says):
            done = e2e.capweir("-i", "in", "-w", self.path("a.pcap"), "--metrics", at)
            self.assertEqual(done.status, 2, e2e.text_of(done))
            self.assertIn(says, done.err)

        for at in ("x", "1:2:3", "70000", ":9100", "host:9100", "", "[::1", "127.0.0.1:-1"):
            expect_refusal(at, "--metrics: '")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            expect_refusal(taken.getsockname()[1], "cannot listen at")
        self.assertFalse(os.path.exists(self.path("a.pcap")))


if __name__ == "__main__":
    live.main()
