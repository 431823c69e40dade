#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The packaged service in a booted Debian 12: started, reloaded, restarted, upgraded, removed.

usage: test_service_boot.py (with CAPWEIR and CAPWEIR_SENDER, as live.py)
"""
import glob
import os
import re
import shutil
import subprocess
import sys

import e2e
import live
import machine
import unit

RULES = "rules:\n  all: {filter: udp, write: \"all-%Y%m%d-%H%M%S.pcap\"}\n"
SERVICE = "capweir@cap0"
# The unit of version 0.1 had a dynamic user, and could start with the calls that it lacked.
OLD = (("User=capweir\nGroup=capweir", "DynamicUser=yes"),
       ("capture --service=%i", "capture -i %I -R /etc/capweir/%i.yaml -o /var/lib/capweir/%i "
        "--control /run/capweir/%i/control"))


class Boot(e2e.Test):
    def setUp(self):
        super().setUp()
        reason = machine.why_not()
        if reason:
            self.skipTest(reason)
        subprocess.run(["cpack", "-G", "DEB", "--config",
                        os.path.join(machine.BUILD, "CPackConfig.cmake")], check=True,
                       cwd=self.directory, capture_output=True)
        self.package = glob.glob(self.path("capweir_*.deb"))[0]
        self.machine = machine.Machine()
        self.addCleanup(self.machine.stop)
        self.machine.boot()
        self.machine.do("ip", "link", "add", "cap0", "type", "veth", "peer", "name", "far0")
        for end in ("cap0", "far0"):
            self.machine.do("ip", "link", "set", end, "up")
        self.machine.write("/etc/capweir/cap0.yaml", RULES)

    def install(self, package):
        self.machine.copy(package, "/package.deb")
        return self.machine.do("dpkg", "--install", "/package.deb")

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

    def send(self, count):
        subprocess.run(["nsenter", "-t", self.machine.leader, "-n", live.SENDER, "far0",
                        *live.Shape(count).arguments(), "--rate", "0", "--seconds", "60"],
                       check=True, stdout=subprocess.DEVNULL)

    def packets(self):
        """Those in the complete files."""
        folder = f"/proc/{self.machine.leader}/root/var/lib/capweir/cap0"
        return sum(len(e2e.read_capture(path).packets)
                   for path in glob.glob(os.path.join(folder, "*.pcap")))

    def test_it_starts_reloads_restarts_and_is_removed(self):
        self.install(self.package)
        self.machine.do("systemctl", "start", SERVICE)
        self.send(1000)
        self.machine.do("systemctl", "reload", SERVICE)
        self.machine.write("/etc/capweir/cap0.yaml", RULES.replace("udp", "icpm"))
        self.assertNotEqual(self.machine.run("systemctl", "reload", SERVICE).returncode, 0)
        self.assertIn("icmp", self.journal())
        self.assertEqual(self.show("ActiveState"), "active")
        self.machine.write("/etc/capweir/cap0.yaml", RULES)
        for _ in range(3):
            self.machine.do("systemctl", "restart", SERVICE)
        self.assertEqual(self.packets(), 1000, self.journal())
        self.machine.do("systemctl", "kill", "--kill-whom=main", "--signal=KILL", SERVICE)
        self.wait(lambda: self.show("NRestarts") == "1", "it starts again")
        self.wait_active()
        self.assertEqual(self.machine.do("stat", "-c", "%U:%G %a", "/var/lib/capweir/cap0"),
                         "capweir:capweir 750\n")
        self.machine.do("dpkg", "--purge", "capweir")
        self.assertEqual(self.machine.run("systemctl", "is-active", SERVICE).stdout, "inactive\n")
        self.assertEqual(self.packets(), 1000)

    def test_a_missing_rules_file_makes_the_start_fail(self):
        self.install(self.package)
        self.machine.do("rm", "/etc/capweir/cap0.yaml")
        self.assertNotEqual(self.machine.run("systemctl", "start", SERVICE).returncode, 0)
        self.assertIn("/etc/capweir/cap0.yaml", self.journal())
        self.assertEqual(self.show("NRestarts"), "0")

    def test_it_waits_for_an_interface(self):
        self.install(self.package)
        self.machine.do("ip", "link", "del", "cap0")
        self.machine.do("systemctl", "start", SERVICE)
        self.machine.do("ip", "link", "add", "cap0", "type", "veth", "peer", "name", "far0")
        for end in ("cap0", "far0"):
            self.machine.do("ip", "link", "set", end, "up")
        self.wait(lambda: "captured after waiting" in self.journal(), "cap0 is captured")

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
        self.install(self.old_package())
        self.machine.do("systemctl", "daemon-reload")
        self.machine.do("systemctl", "start", SERVICE)
        self.send(1000)
        self.assertNotIn("capweir", self.machine.do("cat", "/etc/passwd"))
        self.install(self.package)
        self.wait_active()
        self.assertRegex(self.machine.do("cat", "/etc/passwd"), r"(?m)^capweir:")
        self.assertEqual(self.packets(), 1000)
        owners = self.machine.do("find", "/var/lib/capweir/cap0", "-printf", "%U %u\n")
        user = re.search(r"(?m)^capweir:x:(\d+):", self.machine.do("cat", "/etc/passwd")).group(1)
        self.assertEqual(set(owners.splitlines()), {f"{user} capweir"})
        self.machine.do("test", "!", "-e", "/var/lib/private/capweir")


if __name__ == "__main__":
    if not os.path.exists(live.SENDER):
        sys.exit(f"no program at {live.SENDER}")
    e2e.main()
