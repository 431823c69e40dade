#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The packaged service in a booted Debian 12: started, reloaded, restarted, upgraded, removed.

usage: test_service_boot.py (with CAPWEIR and CAPWEIR_SENDER, as live.py)
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import e2e
import live
import machine
import unit

RULES = "rules:\n  all: {filter: udp, write: \"all-%Y%m%d-%H%M%S.pcap\"}\n"
PER_FILE = 100
RING_FILES = 3
# Each packet is in a file, with a name or a hidden one, once it is counted.
RING = ("capture: {packet-buffered: true}\n"
        f"rules: {{a: {{filter: udp, write: x.pcap, rotate: {{packets: {PER_FILE}, "
        f"files: {RING_FILES}}}}}}}\n")
SERVICE = "capweir@cap0"
FOLDER = "/var/lib/capweir/cap0"
EXAMPLES = "/usr/share/doc/capweir/examples"
DROP_INS = "/etc/systemd/system/capweir@.service.d"
# The unit of version 0.1 had a dynamic user, and could start with the calls that it lacked.
OLD = (("User=capweir\nGroup=capweir", "DynamicUser=yes"),
       ("capture --service=%i", "capture -i %I -R /etc/capweir/%i.yaml -o /var/lib/capweir/%i "
        "--control /run/capweir/%i/control"))


class Boot(e2e.Test):
    """A test with a machine of its own, in which cap0 is captured and far0 sends."""

    packages = None  # the folder of the built packages

    @classmethod
    def setUpClass(cls):
        if machine.why_not() or Boot.packages:
            return
        Boot.packages = tempfile.TemporaryDirectory(prefix="capweir-packages-")
        subprocess.run(["cpack", "-G", "DEB", "--config",
                        os.path.join(machine.BUILD, "CPackConfig.cmake")], check=True,
                       cwd=Boot.packages.name, capture_output=True)

    def setUp(self):
        super().setUp()
        reason = machine.why_not()
        if reason:
            self.skipTest(reason)
        self.package = glob.glob(os.path.join(Boot.packages.name, "capweir_*.deb"))[0]
        self.machine = machine.Machine()
        self.addCleanup(self.machine.stop)
        self.machine.boot()
        self.sent = 0
        self.write_rules(RULES)

    def write_rules(self, text):
        self.machine.write("/etc/capweir/cap0.yaml", text)

    def add_interface(self):
        self.machine.do("ip", "link", "add", "cap0", "type", "veth", "peer", "name", "far0")
        for end in ("cap0", "far0"):
            self.machine.do("ip", "link", "set", end, "up")

    def install(self, package=None):
        self.machine.copy(package or self.package, "/package.deb")
        return self.machine.do("dpkg", "--install", "/package.deb")

    def start(self):
        done = self.machine.run("systemctl", "start", SERVICE)
        self.assertEqual(done.returncode, 0, self.journal())

    def stop(self):
        self.machine.do("systemctl", "stop", SERVICE)
        self.assertEqual(self.show("Result"), "success", self.journal())

    def install_and_start(self):
        self.add_interface()
        self.install()
        self.start()

    def show(self, name):
        return self.machine.do("systemctl", "show", "--value", "-p", name, SERVICE).strip()

    def journal(self):
        return self.machine.run("journalctl", "-u", SERVICE, "-o", "cat", "--no-pager").stdout

    def wait(self, is_so, what):
        try:
            e2e.wait_until(is_so, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.journal()}") from error

    def wait_active(self):
        self.wait(lambda: self.show("ActiveState") == "active", "the service runs")

    def wait_restarted(self):
        self.wait(lambda: self.show("NRestarts") == "1", "it starts again")
        self.wait_active()

    def send(self, count):
        shape = live.Shape(count, first=self.sent)
        subprocess.run(["nsenter", "-t", self.machine.leader, "-n", live.SENDER, "far0",
                        *shape.arguments(), "--rate", "0", "--seconds", "60"],
                       check=True, stdout=subprocess.DEVNULL)
        self.sent += count

    def written(self):
        done = self.machine.run("capweir", "stats", "--service", "cap0", "--json")
        self.assertEqual(done.returncode, 0, done.stderr + self.journal())
        return json.loads(done.stdout)["books"]["written"]

    def send_and_wait(self, count):
        """Until each packet is in a file."""
        before = self.written()
        self.send(count)
        self.wait(lambda: self.written() == before + count, "packets are written")

    def wait_file(self, name):
        path = os.path.join(FOLDER, name)
        self.wait(lambda: self.machine.run("test", "-e", path).returncode == 0, f"{name} is there")

    def names(self, folder=FOLDER):
        """Of the complete files."""
        return sorted(os.path.basename(path) for path in self.paths(folder))

    def paths(self, folder=FOLDER):
        root = f"/proc/{self.machine.leader}/root"
        return glob.glob(root + os.path.join(folder, "*.pcap"))

    def packets(self, folder=FOLDER):
        """Those in the complete files."""
        return sum(len(e2e.read_capture(path).packets) for path in self.paths(folder))


class Service(Boot):
    def test_it_starts_reloads_restarts_and_is_removed(self):
        self.install_and_start()
        self.send(1000)
        self.machine.do("systemctl", "reload", SERVICE)
        self.write_rules(RULES.replace("udp", "icpm"))
        self.assertNotEqual(self.machine.run("systemctl", "reload", SERVICE).returncode, 0)
        self.assertIn("icmp", self.journal())
        self.assertEqual(self.show("ActiveState"), "active")
        self.write_rules(RULES)
        for _ in range(3):
            self.machine.do("systemctl", "restart", SERVICE)
        self.assertEqual(self.packets(), 1000, self.journal())
        self.machine.do("systemctl", "kill", "--kill-whom=main", "--signal=KILL", SERVICE)
        self.wait_restarted()
        self.assertEqual(self.machine.do("stat", "-c", "%U:%G %a", FOLDER),
                         "capweir:capweir 750\n")
        self.machine.do("dpkg", "--purge", "capweir")
        self.assertEqual(self.machine.run("systemctl", "is-active", SERVICE).stdout, "inactive\n")
        self.assertEqual(self.packets(), 1000)

    def test_a_missing_rules_file_makes_the_start_fail(self):
        self.install()
        self.machine.do("rm", "/etc/capweir/cap0.yaml")
        self.assertNotEqual(self.machine.run("systemctl", "start", SERVICE).returncode, 0)
        self.assertIn("/etc/capweir/cap0.yaml", self.journal())
        self.assertEqual(self.show("NRestarts"), "0")

    def test_an_enabled_service_waits_from_the_boot_for_its_interface(self):
        self.install()
        self.machine.do("systemctl", "enable", SERVICE)
        self.machine.power_off()
        self.machine.boot()
        self.wait_active()
        self.wait(lambda: "waiting for cap0" in self.show("StatusText"), "the status says so")
        self.add_interface()
        self.wait(lambda: "captured after waiting" in self.journal(), "cap0 is captured")
        self.send(1000)
        self.wait(lambda: re.match(r"1,0\d\d packets", self.show("StatusText")), "packets")
        self.stop()
        self.assertEqual(self.packets(), 1000)

    def test_the_status_of_the_manager_says_how_the_capture_goes(self):
        self.install_and_start()
        said = self.machine.do("systemctl", "status", "--no-pager", "--full", SERVICE)
        self.assertRegex(said, r'Status: "0 packets; dropped by the kernel 0, by the interface 0; '
                         r'1 rule, generation 1"')
        self.write_rules(RULES + "  few: {filter: tcp, write: few.pcap}\n")
        self.machine.do("systemctl", "reload", SERVICE)
        self.assertRegex(self.show("StatusText"), "rules reloaded: generation 2")

    def test_the_watchdog_restarts_a_capture_that_stands_still(self):
        self.machine.write(f"{DROP_INS}/watchdog.conf", "[Service]\nWatchdogSec=2\n")
        self.write_rules(RING)
        self.install_and_start()
        self.send_and_wait(250)
        self.machine.do("systemctl", "kill", "--kill-whom=main", "--signal=STOP", SERVICE)
        self.wait(lambda: "Failed with result 'watchdog'" in self.journal(), "it is noticed")
        self.wait_restarted()
        self.assertIn("of which 1 had to be completed", self.journal())
        self.assertEqual(self.names(), [f"x.{number:05}.pcap" for number in (1, 2, 3)])
        self.assertEqual(self.packets(), 250)

    def test_a_service_whose_opener_is_killed_starts_again(self):
        self.write_rules(RING)
        self.install_and_start()
        self.send_and_wait(250)
        path = self.machine.do("sh", "-c", "grep -lx cw-opener /proc/[0-9]*/comm").strip()
        self.machine.do("sh", "-c", f"kill -KILL {path.split('/')[2]}")
        self.wait_restarted()
        self.assertIn("the process that opens files has ended: capweir stops", self.journal())
        self.assertEqual(self.names(), [f"x.{number:05}.pcap" for number in (1, 2, 3)])
        self.assertEqual(self.packets(), 250)

    def test_a_stop_lets_hooks_end(self):
        """One runs when the stop is asked for, one begins after it; both wait for a word."""
        self.write_rules("rules: {a: {filter: udp, write: a.pcap, rotate: {packets: 60}, "
                         "hook: [/srv/hook]}}\n")
        self.machine.write("/srv/hook", "#!/bin/sh\n>\"$1.begun\"\n"
                           "read -r line <\"/srv/${1##*/}\" && echo $line >\"$1.ended\"\n")
        self.machine.do("chmod", "755", "/srv/hook")
        names = [f"a.{number:05}.pcap" for number in (1, 2)]
        for name in names:
            self.machine.do("mkfifo", "--mode=644", f"/srv/{name}")
        self.install_and_start()
        self.send(100)
        self.wait_file(f"{names[0]}.begun")
        self.machine.do("systemctl", "stop", "--no-block", SERVICE)
        self.wait_file(f"{names[1]}.begun")
        for name in names:
            self.machine.do("sh", "-c", f"echo said >/srv/{name}")
        self.wait(lambda: self.show("ActiveState") == "inactive", "it stops")
        self.assertEqual(self.show("Result"), "success", self.journal())
        for name in names:
            self.assertEqual(self.machine.do("cat", f"{FOLDER}/{name}.ended"), "said\n")


class Files(Boot):
    def test_restarts_keep_to_the_ring(self):
        self.write_rules(RING)
        self.install_and_start()
        for run in range(4):
            if run:
                self.machine.do("systemctl", "restart", SERVICE)
                self.assertEqual(self.show("Result"), "success", self.journal())
            self.assertLessEqual(len(self.names()), RING_FILES)
            self.send_and_wait(350)
            self.assertLessEqual(len(self.names()), RING_FILES)
        self.stop()
        self.assertEqual(self.names(), [f"x.{number:05}.pcap" for number in (14, 15, 16)])
        self.assertEqual(self.packets(), 250)

    def test_the_example_is_for_the_group_to_read(self):
        self.add_interface()
        self.install()
        self.machine.do("sh", "-c", f"cd {EXAMPLES} && "
                        "install -m644 example.yaml /etc/capweir/cap0.yaml && "
                        "sed -i /^keep:/d /etc/capweir/cap0.yaml")  # memory has less room
        self.start()
        self.send(100)
        self.stop()
        path = self.machine.do("sh", "-c", f"echo {FOLDER}/rest-*.pcapng").strip()
        self.assertEqual(self.machine.do("stat", "-c", "%U:%G %a", path), "capweir:capweir 640\n")
        for user, groups in (("reader", ["--groups", "capweir"]), ("other", [])):
            self.machine.do("useradd", *groups, user)
            done = self.machine.run("setpriv", f"--reuid={user}", f"--regid={user}",
                                    "--init-groups", "capweir", "split", "-r", path, "-w",
                                    "/dev/null")
            self.assertEqual(done.returncode, 0 if groups else 1, (user, done.stderr))


class DropIns(Boot):
    """Each drop-in is installed as its first line says, and is needed."""

    def setUp(self):
        super().setUp()
        self.add_interface()
        self.install()

    def permit(self, name):
        first = self.machine.do("head", "-n1", f"{EXAMPLES}/{name}")
        self.machine.do("sh", "-c", f"cd {EXAMPLES} && {first.removeprefix('# ')}")
        self.machine.do("systemctl", "daemon-reload")

    def refuse(self, text, drop_in):
        """Without its drop-in it does not start, and says so."""
        self.assertNotEqual(self.machine.run("systemctl", "start", SERVICE).returncode, 0)
        self.assertRegex(self.journal(), f"{text}.* needs the drop-in {drop_in}:")

    def read_metrics(self, address):
        return self.machine.run("bash", "-c", f"exec 3<>/dev/tcp/{address}/9100 && "
                                "printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3")

    def test_metrics(self):
        self.write_rules("capture: {metrics: 9100}\n" + RULES)
        self.refuse("Address family not supported", "metrics.conf")
        self.permit("metrics.conf")
        self.start()
        self.assertIn("capweir_packets_received_total", self.read_metrics("127.0.0.1").stdout)
        self.stop()

    def test_realtime(self):
        self.write_rules("capture: {realtime: 10}\n" + RULES)
        self.permit("realtime.conf")
        self.start()
        self.assertIn("SCHED_FIFO", self.machine.do("chrt", "--all-tasks", "--pid",
                                                    self.show("MainPID")))
        self.assertNotIn("real-time priority", self.journal())
        self.stop()

    def test_xdp(self):
        self.write_rules("capture: {backend: xdp}\n" + RULES)
        self.refuse("CAP_BPF", "xdp.conf")
        self.permit("xdp.conf")
        if self.machine.run("prlimit", "--memlock=unlimited", "true").returncode:
            # The host holds the machine to a limit, which LimitMEMLOCK= cannot lift.
            self.machine.write(f"{DROP_INS}/lock.conf", "[Service]\nAmbientCapabilities="
                               "CAP_IPC_LOCK\nCapabilityBoundingSet=CAP_IPC_LOCK\n")
            self.machine.do("systemctl", "daemon-reload")
        self.start()
        self.send(1000)
        self.stop()
        self.assertEqual(self.packets(), 1000, self.journal())

    def test_another_folder(self):
        self.write_rules(RULES.replace("all-", "/data/pcap/all-"))
        self.machine.do("install", "-d", "-o", "capweir", "-g", "capweir", "-m", "750",
                        "/data/pcap")
        self.refuse("/data/pcap/: Read-only file system", "folder.conf")
        self.permit("folder.conf")
        self.start()
        self.send(1000)
        self.stop()
        self.assertEqual(self.packets("/data/pcap"), 1000, self.journal())


class Package(Boot):
    def old_package(self):
        """The package of version 0.1: the program, and a unit with a dynamic user."""
        folder = self.path("old")
        for part in ("DEBIAN", "usr/bin", "usr/lib/systemd/system"):
            os.makedirs(os.path.join(folder, part))
        shutil.copy(e2e.CAPWEIR, os.path.join(folder, "usr/bin"))
        with open(unit.UNIT, encoding="utf-8") as file:
            text = file.read()
        for new, old in OLD:
            self.assertIn(new, text)
            text = text.replace(new, old)
        self.write("old/usr/lib/systemd/system/capweir@.service", text)
        self.write("old/DEBIAN/control", "Package: capweir\nVersion: 0.1.0\nArchitecture: all\n"
                   "Maintainer: nobody <nobody@capweir.invalid>\nDescription: old\n")
        subprocess.run(["dpkg-deb", "--build", folder, self.path("old.deb")], check=True,
                       stdout=subprocess.DEVNULL)
        return self.path("old.deb")

    def test_an_upgrade_from_the_dynamic_user_keeps_files_and_services(self):
        self.add_interface()
        self.install(self.old_package())
        self.machine.do("systemctl", "daemon-reload")
        self.start()
        self.send(1000)
        self.assertNotIn("capweir", self.machine.do("cat", "/etc/passwd"))
        self.install()
        self.wait_active()
        self.assertRegex(self.machine.do("cat", "/etc/passwd"), r"(?m)^capweir:")
        self.assertEqual(self.packets(), 1000)
        owners = self.machine.do("find", FOLDER, "-printf", "%U %u\n")
        user = re.search(r"(?m)^capweir:x:(\d+):", self.machine.do("cat", "/etc/passwd")).group(1)
        self.assertEqual(set(owners.splitlines()), {f"{user} capweir"})
        self.machine.do("test", "!", "-e", "/var/lib/private/capweir")

    def test_an_upgrade_restarts_and_a_removal_stops_what_runs(self):
        self.install_and_start()
        self.machine.do("systemctl", "enable", SERVICE)
        self.send(1000)
        before = self.show("InvocationID")
        self.install()
        self.wait(lambda: self.show("InvocationID") != before, "it runs the new program")
        self.wait_active()
        self.machine.do("dpkg", "--remove", "capweir")
        self.assertEqual(self.machine.run("systemctl", "is-active", SERVICE).stdout, "inactive\n")
        self.assertEqual(self.packets(), 1000)
        # What the operator wrote stays, and holds after the next installation.
        self.install()
        self.assertEqual(self.machine.do("systemctl", "is-enabled", SERVICE), "enabled\n")
        self.start()
        self.stop()
        self.assertEqual(self.packets(), 1000)


if __name__ == "__main__":
    if not os.path.exists(live.SENDER):
        sys.exit(f"no program at {live.SENDER}")
    e2e.main()
