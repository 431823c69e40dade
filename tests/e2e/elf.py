# SPDX-License-Identifier: BSD-3-Clause
"""What a hardened program or shared library must have, read with readelf from its file."""
import re
import subprocess

ENDBR64 = b"\xf3\x0f\x1e\xfa"
ENDBR64_LEAST = 20  # the C library's start-up code alone has five


def readelf(path, *options):
    return subprocess.run(["readelf", "-W", *options, path], capture_output=True, text=True,
                          check=True).stdout


def text_section(path):
    """The machine code of the file."""
    offset, size = re.search(r"\] \.text +PROGBITS +\w+ (\w+) (\w+)",
                             readelf(path, "-S")).groups()
    with open(path, "rb") as file:
        file.seek(int(offset, 16))
        return file.read(int(size, 16))


def missing(path):
    """The protections that the file lacks, by name."""
    header, segments, dynamic = readelf(path, "-h"), readelf(path, "-l"), readelf(path, "-d")
    imports = set(re.findall(r" UND (\w+)", readelf(path, "--dyn-syms")))
    flags = re.findall(r"^ +(\w+) +(?:0x\w+ +){5}([RWE ]+?) +0x", segments, re.MULTILINE)
    is_library = ".so" in path
    has = {
        "position independent": "DYN" in header and (is_library or re.search(r"\bPIE\b", dynamic)),
        "bound at the start": re.search(r"\bNOW\b", dynamic),
        "read-only after relocation": "GNU_RELRO" in segments,
        "data stack": ("GNU_STACK", "RW") in flags,
        "no writable code": not any("W" in flag and "E" in flag for _, flag in flags),
        "no relocated code": "TEXTREL" not in dynamic,
        "stack protector": "__stack_chk_fail" in imports,
        "fortified calls": any(name.endswith("_chk") for name in imports),
    }
    if "X86-64" in header:
        has["indirect branch targets"] = text_section(path).count(ENDBR64) >= ENDBR64_LEAST
    return {name for name, holds in has.items() if not holds}
