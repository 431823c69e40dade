#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The program and the shared library are built with every protection of compiler and linker."""
import glob
import os
import subprocess

import e2e
import elf

BUILD = os.path.dirname(os.path.dirname(e2e.CAPWEIR))


class Hardened(e2e.Test):
    def setUp(self):
        super().setUp()
        e2e.need("readelf")

    def test_program_and_library_lack_no_protection(self):
        library, = glob.glob(os.path.join(BUILD, "core", "libcapweir.so"))
        for path in (e2e.CAPWEIR, library):
            self.assertEqual(elf.missing(path), set(), path)

    def test_each_protection_that_a_program_lacks_is_found(self):
        e2e.need("cc")
        source = self.write("plain.c", "void _start(void)\n{\n}\n")
        program = self.path("plain")
        subprocess.run(["cc", "-O2", "-fno-pie", "-nostdlib", "-static", "-z", "norelro", "-z",
                        "execstack", "-Wl,-N,--no-warn-rwx-segments", source, "-o", program],
                       check=True)
        found = {"position independent", "bound at the start", "read-only after relocation",
                 "data stack", "no writable code", "stack protector", "fortified calls"}
        if os.uname().machine == "x86_64":
            found.add("indirect branch targets")
        self.assertEqual(elf.missing(program), found)


if __name__ == "__main__":
    e2e.main()
