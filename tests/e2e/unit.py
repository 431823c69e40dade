# SPDX-License-Identifier: BSD-3-Clause
"""The service's unit as systemd reads it: settings of the unit and of drop-ins, as far as the unit
uses them, and the restrictions that they mean."""
import functools
import os
import re
import shlex
import socket
import subprocess

import e2e

SERVICE = os.path.join(e2e.ROOT, "tools", "service")
UNIT = os.path.join(SERVICE, "capweir@.service")
EXAMPLES = os.path.join(SERVICE, "examples")
DROP_INS = sorted(name for name in os.listdir(EXAMPLES) if name.endswith(".conf"))
AF_XDP = 44  # socket does not have it
LISTS = {"AmbientCapabilities", "CapabilityBoundingSet", "RestrictAddressFamilies",
         "SystemCallFilter"}  # more values are added to earlier ones


@functools.lru_cache(maxsize=None)
def calls_in(name):
    """The system calls of a set of systemd's, "@name", or the call."""
    if not name.startswith("@"):
        return {name}
    text = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", name], check=True,
                          capture_output=True, text=True).stdout
    words = (line.strip() for line in text.splitlines()[1:])
    return set().union(*(calls_in(word) for word in words if word and not word.startswith("#")))


def files(*drop_ins):
    """The paths of the unit and of drop-ins, by name."""
    return [UNIT, *(os.path.join(EXAMPLES, name) for name in drop_ins)]


class Unit:
    def __init__(self, instance, *drop_ins):
        self.instance = instance
        self.settings = {}
        for path in files(*drop_ins):
            with open(path, encoding="utf-8") as file:
                for key, value in re.findall(r"(?m)^(\w+)=(.*)$", file.read()):
                    self.add(key, value)

    def add(self, key, value):
        if key not in LISTS or not value:
            self.settings[key] = []
        self.settings.setdefault(key, []).append(value)

    def value(self, key):
        return self.settings[key][-1]

    def words(self, key, options=""):
        """The words of a list, or of a command with its instance's name and OPTIONS."""
        text = " ".join(self.settings.get(key, []))
        return shlex.split(text.replace("%i", self.instance).replace("$OPTIONS", options))

    def capabilities(self):
        """For setpriv: net_raw and the like. ipc_lock stands for LimitMEMLOCK=infinity, which not
        every root may set."""
        names = [word[len("CAP_"):].lower() for word in self.words("AmbientCapabilities")]
        return names + ["ipc_lock"] * (self.value("LimitMEMLOCK") == "infinity")

    def calls(self):
        allowed = None
        for value in self.settings["SystemCallFilter"]:
            names = set().union(*map(calls_in, value.lstrip("~").split()))
            if allowed is None:
                allowed = set(calls_in("@default"))
            allowed = allowed - names if value.startswith("~") else allowed | names
        return allowed | {"execve"}

    def limits(self):
        """The restrictions, as tests/live/under.c reads them."""
        lines = [f"call {name}" for name in sorted(self.calls())]
        lines += [f"family {int(getattr(socket, name, AF_XDP))}"
                  for name in self.words("RestrictAddressFamilies")]
        lines += ["mdwx"] * (self.value("MemoryDenyWriteExecute") == "yes")
        lines += ["realtime"] * (self.value("RestrictRealtime") == "yes")
        return "".join(line + "\n" for line in lines)
