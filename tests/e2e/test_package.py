#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The Debian packages: built, installed in a separate root, run, and removed without a trace.

With CAPWEIR_TEST_FULL tools/make-deb builds what it packs, and lintian reads the packages.
"""
import glob
import os
import re
import shutil
import subprocess

import e2e
import elf

BUILD = os.path.dirname(os.path.dirname(e2e.CAPWEIR))
EXAMPLES = os.listdir(os.path.join(e2e.ROOT, "tools", "service", "examples"))


class Package(e2e.Test):
    def do(self, *command, timeout=e2e.TIMEOUT):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              cwd=self.directory, timeout=timeout, text=True, check=False)
        self.assertEqual(done.returncode, 0, f"{command}: {done.stdout}")
        return done.stdout

    def files_in(self, root):
        return sorted(os.path.relpath(os.path.join(folder, name), root)
                      for folder, _, names in os.walk(root) for name in names
                      if not folder.startswith(os.path.join(root, "var")))

    def make(self):
        """The command's, the library's and the development package."""
        if e2e.FULL:
            self.do(os.path.join(e2e.ROOT, "tools", "make-deb"), self.directory, timeout=3600)
        else:
            self.do("cpack", "-G", "DEB", "--config", os.path.join(BUILD, "CPackConfig.cmake"))
        return [glob.glob(self.path(f"{name}_*.deb"))[0]
                for name in ("capweir", "libcapweir0", "libcapweir-dev")]

    def check_control_files(self, package, shared, development):
        version = self.do("dpkg-parsechangelog", "-S", "Version", "-l",
                          os.path.join(e2e.ROOT, "tools", "debian", "changelog"))
        for file in (package, shared, development):
            self.assertEqual(self.do("dpkg-deb", "-f", file, "Version"), version, file)
        self.assertEqual(self.do("dpkg-deb", "-I", shared, "triggers").split(),
                         ["activate-noawait", "ldconfig"])
        self.assertEqual(self.do("dpkg-deb", "-I", shared, "shlibs"),
                         f"libcapweir 0 libcapweir0 (>= {version.strip()})\n")
        if e2e.FULL:
            e2e.need("lintian")
            self.do("lintian", "--no-cfg", "--allow-root", "--fail-on", "error", package, shared,
                    development, timeout=600)

    def test_package_installs_runs_and_is_removed(self):
        e2e.need("cpack", "dpkg", "dpkg-shlibdeps", "systemd-sysusers")
        if os.geteuid() != 0:
            self.skipTest("dpkg --root wants root")
        package, shared, development = self.make()
        self.check_control_files(package, shared, development)
        self.assertIn("libpcap0.8", self.do("dpkg-deb", "-f", shared, "Depends"))
        self.assertIn("libcapweir0 (= ", self.do("dpkg-deb", "-f", development, "Depends"))
        depends = self.do("dpkg-deb", "-f", package, "Depends")
        for library in ("libc6", "libpcap0.8", "libyaml-0-2"):
            self.assertIn(library, depends)
        # The library's packages are not installed: they run ldconfig, which the empty root lacks.
        for package_file in (shared, development):
            self.do("dpkg-deb", "-x", package_file, self.path("libraries"))
        lib = "lib"
        if e2e.FULL:
            lib += "/" + self.do("dpkg-architecture", "-q", "DEB_HOST_MULTIARCH").strip()
        for file in (f"{lib}/libcapweir.so.0", f"{lib}/libcapweir.so", f"{lib}/libcapweir.a",
                     "include/capweir/capweir.h", f"{lib}/pkgconfig/capweir.pc",
                     f"{lib}/cmake/capweir/capweir-config.cmake"):
            self.assertTrue(os.path.exists(self.path("libraries/usr/" + file)), file)
        root = self.path("root")
        for folder in ("etc", "var/lib/dpkg/info", "var/lib/dpkg/updates", "var/log"):
            os.makedirs(os.path.join(root, folder))
        for name in ("status", "available"):
            open(os.path.join(root, "var/lib/dpkg", name), "w", encoding="ascii").close()
        # The dependencies are installed outside that root, and the scripts run outside.
        dpkg = ("dpkg", "--root", root, "--force-depends", "--force-script-chrootless")
        self.do(*dpkg, "--install", package)
        installed = self.files_in(root)
        with open(os.path.join(root, "etc/passwd"), encoding="ascii") as file:
            self.assertRegex(file.read(), r"(?m)^capweir:.*:/usr/sbin/nologin$")
        pages = [f"man{name[-1]}/{name}.gz" for name in sorted(os.listdir(
            os.path.join(BUILD, "tools", "manual-pages"))) if re.search(r"\.[157]$", name)]
        if shutil.which("go-md2man"):
            self.assertIn("man1/capweir.1.gz", pages)
            page = "libraries/usr/share/man/man3/libcapweir.3.gz"
            self.assertTrue(os.path.exists(self.path(page)))
        for file in ("usr/bin/capweir", *(f"usr/share/man/{page}" for page in pages),
                     "usr/share/bash-completion/completions/capweir",
                     "usr/lib/systemd/system/capweir@.service",
                     *(f"usr/share/doc/capweir/examples/{name}" for name in EXAMPLES)):
            self.assertIn(file, installed)
        command = os.path.join(root, "usr/bin/capweir")
        libraries = glob.glob(self.path("libraries/usr/lib/**/libcapweir.so.*"), recursive=True)
        self.assertTrue(libraries)
        for path in (command, *libraries):
            self.assertEqual(elf.missing(path), set(), path)
        self.assertEqual(self.do(command, "--version").split()[0], "capweir")
        self.do(command, "generate", "--packets", "1000", "-w", "in.pcap")
        self.do(command, "split", "-q", "-r", "in.pcap", "-f", "tcp", "-w", "tcp.pcap")
        self.do(*dpkg, "--purge", "capweir")
        self.assertFalse(os.path.exists(os.path.join(root, "etc/capweir")))
        # The user stays: it owns captured files.
        self.assertEqual([name for name in self.files_in(root)
                          if not re.fullmatch(r"etc/(passwd|g?shadow|group|\.pwd\.lock)-?", name)],
                         [])


if __name__ == "__main__":
    e2e.main()
