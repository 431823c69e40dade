#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""capweir devices, -D, -L and -J, and -i with a number: compared with ip(8) and tcpdump."""
import json
import os
import re
import shutil
import subprocess

import e2e
import live

HOSTILE = "a\x1b[31mb"


def ip_devices():
    done = subprocess.run(["ip", "-j", "addr"], capture_output=True, check=True)
    return {one["ifname"]: one for one in json.loads(done.stdout)}


def tcpdump(*arguments):
    e2e.need("tcpdump")
    done = subprocess.run(["tcpdump", *arguments], capture_output=True, text=True,
                          timeout=e2e.TIMEOUT)
    return done.stdout + done.stderr


class Devices(live.Test):
    def setUp(self):
        super().setUp()
        for name in ("plain", "tagged", "half", "tun0", "7", HOSTILE):
            subprocess.run(["ip", "link", "del", "dev", name], capture_output=True)
        if live.ip("link add plain type dummy"):  # not every kernel has them, or vlan devices
            live.do_ip("link add plain type bridge")
        live.do_ip("link set plain mtu 1300 up",
                   "addr add 192.0.2.7/24 broadcast 192.0.2.255 dev plain",
                   "addr add 192.0.2.9/32 dev plain")
        live.ip("link add link plain name tagged type vlan id 5", "link set tagged up")
        # Not every kernel has IPv6 or lets a namespace turn it on.
        path = "/proc/sys/net/ipv6/conf/plain/disable_ipv6"
        if os.access(path, os.W_OK):
            with open(path, "w", encoding="ascii") as file:
                file.write("0")
            live.do_ip("addr add 2001:db8::7/64 dev plain nodad")
        self.has_tun = live.ip("tuntap add dev tun0 mode tun", "link set tun0 up",
                               "addr add 10.9.9.1 peer 10.9.9.2 dev tun0") is None

    def devices(self, *arguments):
        return json.loads(self.run_ok("devices", "--json", *arguments).out)["devices"]

    def device(self, name):
        found, = self.devices("-i", name)
        return found

    def test_names_flags_and_addresses_are_those_of_ip(self):
        theirs = ip_devices()
        ours = {one["name"]: one for one in self.devices() if "ifindex" in one}
        self.assertEqual(ours.keys(), theirs.keys())
        self.assertIn("plain", ours)
        for name, their in theirs.items():
            our = ours[name]
            with self.subTest(name):
                self.assertEqual(our["ifindex"], their["ifindex"])
                self.assertEqual(our["mtu"], their["mtu"])
                self.assertEqual(our["operstate"], their["operstate"].lower())
                self.assertEqual(our["hardware_address"], their.get("address"))
                # ip tells NO-CARRIER in place of what it leaves out: RUNNING.
                self.assertEqual({flag for flag in our["flags"] if flag != "running"},
                                 {flag.lower() for flag in their["flags"]
                                  if flag not in ("NO-CARRIER", "ECHO")})
                self.assertEqual(our["state"], "down" if "UP" not in their["flags"] else
                                 "no carrier" if "NO-CARRIER" in their["flags"] else "up")
                self.assertEqual(
                    sorted((one["family"], one["address"], one["prefix_bits"], one["broadcast"],
                            one["peer"], one["scope"]) for one in our["addresses"]),
                    sorted((one["family"], one["local"], one["prefixlen"],
                            one.get("broadcast"), one.get("address"), one["scope"])
                           for one in their["addr_info"]))

    def test_netmasks_follow_from_prefixes(self):
        masks = {one["address"]: one["netmask"] for one in self.device("plain")["addresses"]}
        self.assertEqual(masks["192.0.2.7"], "255.255.255.0")
        self.assertEqual(masks["192.0.2.9"], "255.255.255.255")
        self.assertEqual(masks.get("2001:db8::7", "ffff:ffff:ffff:ffff::"),
                         "ffff:ffff:ffff:ffff::")

    def test_a_point_to_point_device_without_hardware_address(self):
        if not self.has_tun:
            self.skipTest("tun devices cannot be made here")
        device = self.device("tun0")
        self.assertEqual(device["hardware_address"], None)
        self.assertEqual(device["addresses"][0]["peer"], "10.9.9.2")
        self.assertEqual(device["link_types"][0]["name"], "RAW")
        self.assertEqual(device["driver"], "tun")
        self.assertIn("no carrier", self.run_ok("devices", "-i", "tun0").out.decode())

    def test_queues_driver_and_offloads(self):
        device = self.device("in")
        self.assertEqual((device["queues"], device["driver"]), (4, "veth"))
        self.assertEqual(device["offloads"]["large-receive-offload"],
                         {"on": False, "fixed": True})
        for name in ("generic-receive-offload", "tcp-segmentation-offload", "rx-checksumming",
                     "tx-checksumming", "rx-vlan-offload"):
            self.assertIn(device["offloads"][name]["on"], (True, False), name)
        if shutil.which("ethtool"):
            told = subprocess.run(["ethtool", "-k", "in"], capture_output=True, text=True,
                                  check=True).stdout
            theirs = dict(re.findall(r"^\s*([\w-]+): (\w+)", told, re.M))
            for name, our in device["offloads"].items():
                self.assertEqual("on" if our and our["on"] else "off", theirs.get(name, "off"),
                                 name)

    def test_the_numbered_list_is_tcpdumps(self):
        self.assertEqual(self.run_ok("-D").out.decode(), tcpdump("-D"))
        self.assertEqual(json.loads(self.run_ok("-D", "--json").out)["devices"], self.devices())

    def test_link_types_are_tcpdumps(self):
        names = ["in", "lo", "any", "plain"] + (["tun0"] if self.has_tun else [])
        for name in names:
            theirs = re.findall(r"^  (\S+) ", tcpdump("-L", "-i", name), re.M)
            ours = re.findall(r"^  (\S+) \(", self.run_ok("-L", "-i", name).out.decode(), re.M)
            self.assertEqual(sorted(ours), sorted(theirs), name)
            self.assertEqual([one["name"] for one in self.device(name)["link_types"]], ours)
            self.assertTrue(self.device(name)["link_types_told"])

    def test_clocks_are_tcpdumps(self):
        for name in ("in", "lo", "plain"):
            theirs = re.findall(r"^  (\S+) ", tcpdump("-J", "-i", name), re.M)
            ours = re.findall(r"^  (\S+) \(", self.run_ok("-J", "-i", name).out.decode(), re.M)
            self.assertEqual(ours, theirs or ["host"], name)

    def test_the_table_has_a_row_for_each_device_and_a_line_for_each_address(self):
        lines = self.run_ok("devices").out.decode().splitlines()
        at = lines[0].index("addresses")
        rows = {line.split()[1]: line for line in lines[1:] if line[:2].strip()}
        self.assertEqual(set(rows), {one["name"] for one in self.devices()})
        self.assertEqual([line for line in lines if line != line.rstrip()], [])
        shown = {line[at:] for line in lines[1:]}
        for name, their in ip_devices().items():
            for one in their["addr_info"]:
                self.assertIn(f"{one['local']}/{one['prefixlen']}", shown, name)

    def test_a_number_is_a_device(self):
        number = next(one["number"] for one in self.devices() if one["name"] == "in")
        path = self.path("all.pcap")
        capture = self.capture("-i", str(number), "-w", path)
        live.send(live.Shape(100))
        capture.wait_seen(100)
        report = self.report_of(capture.stop())
        self.assertEqual(report["devices"][0]["device"], "in")
        self.assertEqual(len(e2e.read_capture(path).packets), 100)

    def test_a_name_comes_before_a_number(self):
        live.do_ip("link add name 7 type bridge")
        self.addCleanup(live.ip, "link del dev 7")
        self.assertEqual(self.device("7")["name"], "7")
        self.assertEqual(self.device("1")["number"], 1)

    def test_names_cannot_steer_a_terminal(self):
        done = subprocess.run(["ip", "link", "add", "name", HOSTILE, "type", "bridge"],
                              capture_output=True, text=True)
        if done.returncode:
            self.skipTest(f"ip refuses such a name: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["ip", "link", "del", "dev", HOSTILE])
        for arguments in (["devices"], ["-D"], ["devices", "-i", HOSTILE], ["-J", "-i", HOSTILE],
                          ["-L", "-i", HOSTILE]):
            done = e2e.capweir(*arguments)
            self.assertNotIn(b"\x1b", done.out + done.err.encode(), arguments)
        self.assertEqual(self.device(HOSTILE)["name"], HOSTILE)

    def test_a_device_that_is_down_has_the_link_type_of_its_kind(self):
        live.do_ip("link set plain down")
        device = self.device("plain")
        self.assertEqual([one["name"] for one in device["link_types"]], ["EN10MB"])
        self.assertFalse(device["link_types_told"])
        self.assertIn("not up", device["link_types_error"])
        done = e2e.capweir("-L", "-i", "plain")
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("plain: That device is not up", done.err)

    def test_without_rights_all_but_link_types_is_told(self):
        if os.geteuid() or not shutil.which("setpriv"):
            self.skipTest("only root can run it as somebody else, with setpriv")
        nobody = ["setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all",
                  "--bounding-set=-all", "--", e2e.CAPWEIR]
        done = subprocess.run([*nobody, "devices", "--json"], capture_output=True, text=True,
                              timeout=e2e.TIMEOUT)
        if done.returncode in (126, 127) or "setpriv" in done.stderr:
            self.skipTest(f"nobody may not run it: {done.stderr.strip()}")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        theirs = {one["name"]: one for one in json.loads(done.stdout)["devices"]}
        ours = {one["name"]: one for one in self.devices() if "ifindex" in one}
        for name, one in ours.items():
            for key in ("flags", "addresses", "driver", "queues", "offloads", "mtu"):
                self.assertEqual(theirs[name][key], one[key], (name, key))
        self.assertIn("CAP_NET_RAW", theirs["in"]["link_types_error"])
        self.assertEqual(theirs["in"]["link_types"][0]["name"], "EN10MB")
        done = subprocess.run([*nobody, "-L", "-i", "in"], capture_output=True, text=True,
                              timeout=e2e.TIMEOUT)
        self.assertEqual(done.returncode, 1)
        self.assertIn("CAP_NET_RAW", done.stderr)

    def test_an_unknown_interface_gets_near_names_or_all(self):
        for word, says in (("inn", "did you mean 'in'"), ("zork", "there are .*lo")):
            for status, arguments in ((1, ["-i", word, "-w", "x.pcap"]), (2, ["-L", "-i", word]),
                                      (2, ["devices", "-i", word]),
                                      (2, ["selftest", "-i", word])):
                done = e2e.capweir(*arguments, cwd=self.directory)
                self.assertEqual((done.status, done.out), (status, b""), (arguments, done.err))
                self.assertRegex(done.err, f"-i {word}: no interface.*{says}.*capweir devices")

    def test_what_is_refused(self):
        for says, arguments in ((r"-i no-such: no interface of", ["devices", "-i", "no-such"]),
                                (r"-i 4711: .*number", ["devices", "-i", "4711"]),
                                (r"-i 4711: .*number", ["-i", "4711", "-w", "x.pcap"]),
                                (r"one interface", ["devices", "-i", "in", "-i", "lo"]),
                                (r"devices lists interfaces", ["devices", "in"]),
                                (r"-D lists interfaces", ["-D", "-w", "x.pcap"]),
                                (r"-L lists interfaces", ["-L", "-i", "in", "udp"]),
                                (r"lists interfaces", ["-L", "-J", "-i", "in"]),
                                (r"-L is for live", ["-L"]), (r"-J is for live", ["-J"]),
                                (r"does not belong", ["devices", "-w", "x.pcap"])):
            done = e2e.capweir(*arguments, cwd=self.directory)
            self.assertEqual((done.status, done.out), (2, b""), (arguments, done.err))
            self.assertRegex(done.err, says)
        self.assertEqual(os.listdir(self.directory), [])


if __name__ == "__main__":
    live.main()
