#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The Debian package is built, installed in a separate root, run, and removed without a trace."""
import glob
import os
import re
import shutil
import subprocess

import e2e
import elf

BUILD = os.path.dirname(os.path.dirname(e2e.CAPWEIR))


class Package(e2e.Test):
    def do(self, *command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              cwd=self.directory, timeout=e2e.TIMEOUT, text=True, check=False)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}")
        return done.stdout

    def files_in(self, root):
        return sorted(os.path.relpath(os.path.join(folder, name), root)
                      for folder, _, names in os.walk(root) for name in names
                      if not folder.startswith(os.path.join(root, "var")))

    def test_package_installs_runs_and_is_removed(self):
        e2e.need("cpack", "dpkg", "dpkg-shlibdeps")
        if os.geteuid() != 0:
            self.skipTest("dpkg --root wants root")
        self.do("cpack", "-G", "DEB", "--config", os.path.join(BUILD, "CPackConfig.cmake"))
        package, = glob.glob(self.path("capweir_*.deb"))
        shared, = glob.glob(self.path("libcapweir0_*.deb"))
        development, = glob.glob(self.path("libcapweir-dev_*.deb"))
        self.assertIn("libpcap0.8", self.do("dpkg-deb", "-f", shared, "Depends"))
        self.assertIn("libcapweir0 (= ", self.do("dpkg-deb", "-f", development, "Depends"))
        depends = self.do("dpkg-deb", "-f", package, "Depends")
        for library in ("libc6", "libpcap0.8", "libyaml-0-2"):
            self.assertIn(library, depends)
        # The library's packages are not installed: they run ldconfig, which the empty root lacks.
        for package_file in (shared, development):
            self.do("dpkg-deb", "-x", package_file, self.path("libraries"))
        for file in ("lib/libcapweir.so.0", "lib/libcapweir.so", "lib/libcapweir.a",
                     "include/capweir/capweir.h", "lib/pkgconfig/capweir.pc",
                     "lib/cmake/capweir/capweir-config.cmake"):
            self.assertTrue(os.path.exists(self.path("libraries/usr/" + file)), file)
        root = self.path("root")
        for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"):
            os.makedirs(os.path.join(root, folder))
        for name in ("status", "available"):
            open(os.path.join(root, "var/lib/dpkg", name), "w", encoding="ascii").close()
        # --force-depends: the dependencies are installed outside that root.
        self.do("dpkg", "--root", root, "--force-depends", "--install", package)
        installed = self.files_in(root)
        pages = [f"man{name[-1]}/{name}" for name in sorted(os.listdir(
            os.path.join(BUILD, "tools", "manual-pages"))) if re.search(r"\.[157]$", name)]
        if shutil.which("go-md2man"):
            self.assertIn("man1/capweir.1", pages)
            self.assertTrue(os.path.exists(self.path("libraries/usr/share/man/man3/libcapweir.3")))
        for file in ("usr/bin/capweir", *(f"usr/share/man/{page}" for page in pages),
                     "usr/share/bash-completion/completions/capweir",
                     "usr/lib/systemd/system/capweir@.service"):
            self.assertIn(file, installed)
        command = os.path.join(root, "usr/bin/capweir")
        libraries = glob.glob(self.path("libraries/usr/lib/**/libcapweir.so.*"), recursive=True)
        self.assertTrue(libraries)
        for path in (command, *libraries):
            self.assertEqual(elf.missing(path), set(), path)
        self.assertEqual(self.do(command, "--version").split()[0], "capweir")
        self.do(command, "generate", "--packets", "1000", "-w", "in.pcap")
        self.do(command, "split", "-q", "-r", "in.pcap", "-f", "tcp", "-w", "tcp.pcap")
        self.do("dpkg", "--root", root, "--purge", "capweir")
        self.assertEqual(self.files_in(root), [])


if __name__ == "__main__":
    e2e.main()
