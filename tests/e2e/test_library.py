#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The library as others use it: installed, linked from C and C++ by pkg-config and find_package,
shared and static; what it exports; and the examples, whose output is checked."""
import glob
import os
import re
import shlex
import subprocess

import e2e

BUILD = os.path.dirname(os.path.dirname(e2e.CAPWEIR))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, "tests", "examples")
STRICT = "-std=c11 -Wall -Wextra -Wpedantic -Werror"
STRICT_CXX = "-std=c++11 -Wall -Wextra -Wpedantic -Werror"


HEADERS = [path for path in glob.glob(os.path.join(ROOT, "core/include/capweir/*.h"))
           if not path.endswith("/capweir.h")]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def public_functions():
    """What the headers declare for export."""
    names = set()
    for header in HEADERS:
        for declaration in re.findall(r"^CW_API[^_][\s\S]*?;", read(header), re.MULTILINE):
            names.add(re.search(r"\b(cw_\w+)\s*\(", declaration).group(1))
    return names


class Library(e2e.Test):
    def setUp(self):
        super().setUp()
        self.prefix = self.path("prefix")
        for component in ("library", "development"):
            self.do("cmake", "--install", BUILD, "--prefix", self.prefix, "--component", component)
        self.libraries = os.path.dirname(glob.glob(f"{self.prefix}/lib*/**/libcapweir.so",
                                                   recursive=True)[0])
        self.environment = dict(os.environ, LD_LIBRARY_PATH=self.libraries)
        self.packets = self.write("in.pcap", e2e.pcap(e2e.simple_packets(100)))

    def do(self, *command, status=0, environment=None):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              cwd=self.directory, timeout=e2e.TIMEOUT, env=environment, check=False)
        self.assertEqual(done.returncode, status, f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def run_example(self, name, *arguments, status=0):
        return self.do(os.path.join(self.directory, name), *arguments, status=status,
                       environment=self.environment)

    def flags(self, *arguments):
        environment = dict(os.environ, PKG_CONFIG_PATH=os.path.join(self.libraries, "pkgconfig"))
        return shlex.split(self.do("pkg-config", f"--define-variable=prefix={self.prefix}",
                                   *arguments, "capweir", environment=environment))

    def build(self, compiler, options, source, name, *libraries):
        self.do(compiler, *options.split(), *self.flags("--cflags"),
                os.path.join(EXAMPLES, source), "-o", name, *libraries)

    def test_exports_are_what_headers_declare(self):
        library = os.path.join(self.libraries, "libcapweir.so")
        lines = self.do("nm", "-D", "--defined-only", library).splitlines()
        exported = {line.split()[2].split("@")[0] for line in lines if line.split()[1] == "T"}
        self.assertEqual(exported, public_functions())
        self.assertEqual({line.split()[2] for line in lines if line.split()[1] != "T"},
                         {"CAPWEIR_0"})
        self.assertIn("SONAME", self.do("readelf", "-d", library))
        self.assertIn("[libcapweir.so.0]", self.do("readelf", "-d", library))
        names = self.do("nm", "-g", "--defined-only",
                        os.path.join(self.libraries, "libcapweir.a")).splitlines()
        names = [line.split()[2] for line in names if len(line.split()) == 3]
        self.assertGreater(len(names), 200)
        self.assertEqual([name for name in names if not name.startswith("cw_")], [])
        undefined = self.do("nm", "-D", "-u", library)
        self.assertEqual(re.findall(r"\b(?:pthread|thrd|mtx)_\w+", undefined), [])

    def test_pkg_config(self):
        for compiler in ("gcc", "clang"):
            self.build(compiler, STRICT, "read_file.c", "shared", *self.flags("--libs"))
            self.assertEqual(self.run_example("shared", self.packets)[:12], "100 packets,")
            static = [f"-Wl,-Bstatic {flag} -Wl,-Bdynamic" if flag == "-lcapweir" else flag
                      for flag in self.flags("--libs", "--static")]
            self.build(compiler, STRICT, "read_file.c", "static", *" ".join(static).split())
            self.assertNotIn("libcapweir", self.do("readelf", "-d", self.path("static")))
            self.assertEqual(self.do(self.path("static"), self.packets)[:12], "100 packets,")
        for compiler in ("g++", "clang++"):
            self.build(compiler, STRICT_CXX, "devices.cpp", "devices", *self.flags("--libs"))
            self.assertIn("Ethernet\n", self.run_example("devices", self.packets))

    def test_find_package_and_what_examples_print(self):
        self.do("cmake", "-S", EXAMPLES, "-B", self.directory + "/build",
                f"-DCMAKE_PREFIX_PATH={self.prefix}")
        self.do("cmake", "--build", self.directory + "/build")
        everything = self.run_example("build/read_file", self.packets)
        self.assertEqual(self.run_example("build/read_file_static", self.packets), everything)
        self.assertEqual(self.run_example("build/read_file", self.packets, "not ip"),
                         "0 packets, 0 bytes\n")
        self.run_example("build/read_file", "/nowhere", status=1)
        self.run_example("build/filter_dump", self.packets, "", "out.pcap")
        self.assertEqual(self.run_example("build/read_file", "out.pcap"), everything)
        self.run_example("build/filter_dump", self.packets, "", "/dev/full", status=1)
        self.assertEqual(self.run_example("build/zero_copy", self.packets, "ip", "not ip", ""),
                         "100 ip\n0 not ip\n100 \n")
        self.assertIn("lo", self.run_example("build/devices", self.packets))

    def test_example_and_table_of_the_manual(self):
        text = read(os.path.join(ROOT, "tools", "manual", "libcapweir.3.md"))
        source = self.write("example.c", re.search(r"```c\n(.*?)```", text, re.S).group(1))
        self.build("gcc", STRICT, source, "example", *self.flags("--libs"))
        self.assertEqual(self.run_example("example", self.packets).count(" bytes\n"), 100)
        self.run_example("example", "/nowhere", status=1)
        named = re.findall(r"(?:`|\*\*)(cw_\w+)(?:`|\*\*(?!\())", text[text.index("## SOURCES"):])
        self.assertEqual([name for name in named if name not in public_functions()], [])
        self.assertGreater(len(named), 45)

    def test_every_header_has_a_page_with_every_function(self):
        declared = set()
        for header in HEADERS:
            name = "cw_" + os.path.basename(header)[:-2]
            page = read(os.path.join(BUILD, "tools", "manual-pages", f"{name}.3.md"))
            for function, prototype in re.findall(r"^### (\w+)\n\n```c\n(.*?)```\n\n\w", page,
                                                  re.S | re.M):
                self.assertIn(f"{function}(", prototype)
                declared.add(function)
        self.assertEqual(declared, public_functions())

    def test_live_examples(self):
        if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
            self.skipTest("network namespaces are not allowed here")
        for name in ("inject", "read_live"):
            self.build("gcc", STRICT, name + ".c", name, *self.flags("--libs"))
        script = self.write("live.sh", """set -e
ip link set lo up
./read_live lo 100 ip >live.txt &
until grep -q listening live.txt; do kill -0 $!; sleep 0.01; done
./inject lo in.pcap
wait $!
""")
        self.assertEqual(self.do("unshare", "-n", "sh", script, environment=self.environment),
                         "100 sent\n")
        with open(self.path("live.txt"), encoding="ascii") as file:
            lines = file.read().splitlines()
        self.assertEqual(len(lines), 102)
        self.assertRegex(lines[1], r"^\d+\.\d{9} \d+ bytes$")
        self.assertEqual(lines[-1], "100 received, 0 dropped by the kernel, 0 by the interface")


if __name__ == "__main__":
    e2e.main()
