#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""capweir bench decode: what it counts, what it prints, where its file comes from."""
import json
import os
import re
import subprocess
import sys

import e2e

sys.path.append(os.path.join(e2e.ROOT, "bench", "peers"))
import decode_peers  # noqa: E402

PHASES = ["eager", "parser", "reassembly", "flow"]


class BenchDecode(e2e.Test):
    def setUp(self):
        super().setUp()
        self.run_ok("generate", "--profile", "mix", "--packets", "3000", "-w", "mix.pcap",
                    cwd=self.directory)

    def bench(self, *arguments, **options):
        return self.run_ok("bench", "decode", "--repeat", "1", *arguments, cwd=self.directory,
                           **options)

    def report(self, *arguments):
        return json.loads(self.bench("--json", *arguments).out)

    def phases(self, *arguments):
        return {phase["phase"]: phase for phase in self.report(*arguments)["phases"]}

    def test_json_has_every_phase(self):
        report = self.report("mix.pcap")
        self.assertEqual((report["version"], report["bench"], report["packets"], report["cut"]),
                         (1, "decode", 3000, False))
        self.assertEqual([phase["phase"] for phase in report["phases"]], PHASES)
        for phase in report["phases"]:
            self.assertEqual(phase["packets"], 3000)
            self.assertGreater(phase["layers"], 2000)
            self.assertGreater(phase["ns_per_packet"], 0)
            self.assertLessEqual(phase["min"], phase["max"])
        eager, parser, reassembly, _ = report["phases"]
        self.assertGreater(eager["layers"], parser["layers"])
        self.assertGreater(eager["errors"], parser["errors"])
        self.assertEqual([parser[key] for key in ("layers", "errors", "stopped")],
                         [reassembly[key] for key in ("layers", "errors", "stopped")])
        self.assertGreater(report["streams"]["delivered_bytes"], 10000)

    def test_rounds_do_not_change_what_is_counted(self):
        one, two, three = (self.report("mix.pcap", "--repeat", str(rounds))
                           for rounds in (1, 2, 3))
        for left, right in zip(one["phases"], three["phases"]):
            self.assertEqual([left[key] for key in ("packets", "layers", "errors", "stopped")],
                             [right[key] for key in ("packets", "layers", "errors", "stopped")])
        self.assertEqual(one["streams"], three["streams"])
        self.assertEqual((one["rounds"], three["rounds"]), (1, 3))
        for phase in two["phases"]:
            middle = (phase["min"] + phase["max"]) / 2
            self.assertAlmostEqual(phase["ns_per_packet"] / middle, 1, 4)

    def test_printed_layers_and_errors_are_those_counted(self):
        done = self.bench("--json", "mix.pcap", "--print-layers", "--print-errors")
        eager = json.loads(done.out)["phases"][0]  # standard output is the JSON alone
        chains = re.findall(r"^packet \d+:((?: [a-z0-9-]+(?:\(truncated\))?)*)$", done.err, re.M)
        self.assertEqual(len(chains), 3000)
        self.assertEqual(sum(len(chain.split()) for chain in chains), eager["layers"])
        errors = re.findall(r"^packet \d+: \S+ at byte \d+: .+$", done.err, re.M)
        self.assertEqual(len(errors), eager["errors"])
        self.assertGreater(len(errors), 10)
        self.assertIn(b"\npacket 3000: ethernet ", self.bench("mix.pcap", "--print-layers").out)

    def test_compatible_counting_has_a_packet_more_and_no_broken_ones(self):
        ours, theirs = self.phases("mix.pcap"), self.phases("mix.pcap", "--gopacket-compat")
        self.assertEqual(theirs["eager"]["packets"], 3000)
        self.assertEqual(theirs["parser"]["packets"], 3001)
        self.assertLess(theirs["parser"]["layers"], ours["parser"]["layers"])
        self.assertEqual(theirs["flow"]["layers"], ours["flow"]["layers"])

    def test_compatible_counts_are_those_of_gopacket(self):
        # As gopacket 1.1.19 counted them on this file, but for two IPv6 headers whose version is
        # not 6: it decodes what follows them.
        self.run_ok("generate", "--packets", "20000", "-w", "imix.pcap", cwd=self.directory)
        phases = self.phases("imix.pcap", "--gopacket-compat")
        self.assertEqual(phases["eager"]["layers"], 80532 - 2)
        self.assertEqual(phases["parser"]["layers"], 33954)

    def test_compatible_counts_are_those_of_gopacket_itself(self):
        gopacket = decode_peers.build_gopacket(self.directory)
        if not gopacket:
            self.skipTest("Go and gopacket are not installed (tools/install-deps bench)")
        for profile in ("small", "imix", "large", "mix"):
            for seed in (8, 10, 20):
                with self.subTest(profile=profile, seed=seed):
                    self.run_ok("generate", "--profile", profile, "--seed", seed, "--packets",
                                "10000", "-w", "all.pcap", cwd=self.directory)
                    count = self.leave_out_what_is_not_followed("all.pcap", "some.pcap")
                    self.assertGreater(count, 9000)
                    done = subprocess.run([gopacket, self.path("some.pcap"), "10000", "1"],
                                          capture_output=True, check=True)
                    theirs = [json.loads(line) for line in done.stdout.splitlines()]
                    ours = self.phases("some.pcap", "--gopacket-compat")
                    self.assertEqual(ours["eager"]["packets"], count)
                    self.assertEqual(ours["eager"]["layers"], theirs[0]["layers"])
                    for phase in theirs[1:]:
                        self.assertEqual(ours[phase["phase"]]["packets"], count + 1)
                        self.assertEqual(ours[phase["phase"]]["layers"], phase["whole_layers"])

    def leave_out_what_is_not_followed(self, name, to):
        """gopacket decodes IP headers of any version, and finds fault with LLDP. How many stay."""
        done = self.bench(name, "--print-errors")
        left_out = {int(number) for number in
                    re.findall(rb"^packet (\d+): .*: impossible version$", done.out, re.M)}
        packets = [(packet.ts_ns, packet.data) for number, packet in
                   enumerate(e2e.read_capture(self.path(name)).packets, 1)
                   if number not in left_out and b"\x88\xcc" not in packet.data[12:24]]
        self.write(to, e2e.pcap(packets))
        return len(packets)

    def test_lazy_stops_behind_the_transport_layer(self):
        lazy = self.phases("mix.pcap", "--lazy")
        self.assertIn("lazy", lazy)
        self.assertLess(lazy["lazy"]["layers"], self.phases("mix.pcap")["eager"]["layers"])

    def test_file_is_made_when_absent_and_kept_when_there(self):
        path = self.path("capweir_benchmark.pcap")
        environment = dict(os.environ, TMPDIR=self.directory)
        done = self.bench("--packets", "1000", env=environment)
        self.assertIn("generating", done.err)
        self.assertIn(b"1,000 packets of " + path.encode(), done.out)
        os.unlink(path)
        os.rename(self.path("mix.pcap"), path)
        done = self.bench(env=environment)
        self.assertIn(b"3,000 packets of", done.out)
        self.assertNotIn("generating", done.err)

    def test_link_types_may_be_mixed(self):
        with open(self.path("mix.pcap"), "rb") as file:
            data = bytearray(file.read())
        data[20:24] = (101).to_bytes(4, "little")  # as raw IP nearly all fail
        with open(self.path("raw.pcap"), "wb") as file:
            file.write(data)
        self.assertGreater(self.phases("raw.pcap")["eager"]["errors"], 2900)
        self.assertEqual(self.phases("raw.pcap", "-y", "EN10MB")["eager"]["errors"],
                         self.phases("mix.pcap")["eager"]["errors"])

    def test_mistakes_are_told(self):
        for arguments, status, says in (
                (["a.pcap", "b.pcap"], 2, "one FILE"),
                (["mix.pcap", "-R", "rules.yaml"], 2, "does not take --rules"),
                (["mix.pcap", "--packets", "0"], 2, "--packets"),
                (["mix.pcap", "-y", "NOTHING"], 2, "NOTHING"),
                (["no.pcap"], 1, "no.pcap")):
            with self.subTest(arguments=arguments):
                done = e2e.capweir("bench", "decode", *arguments, cwd=self.directory)
                self.assertEqual(done.status, status, e2e.text_of(done))
                self.assertIn(says, done.err)
                self.assertEqual(done.out, b"")


if __name__ == "__main__":
    e2e.main()
