# SPDX-License-Identifier: BSD-3-Clause
"""A booted Debian 12 for tests of the service: systemd-nspawn over a tree of packages.

The tree is made once, by debootstrap (a minute, 300 MB), at CAPWEIR_TREE or below the build folder;
each machine runs on an overlay of it in memory, in a network namespace of its own.
"""
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

import e2e

BUILD = os.path.dirname(os.path.dirname(e2e.CAPWEIR))
TREE = os.environ.get("CAPWEIR_TREE") or os.path.join(BUILD, "tests", "debian-12")
MIRROR = os.environ.get("CAPWEIR_MIRROR") or "http://deb.debian.org/debian"
# What boots, and what the packages depend on. No procps: the unit may not need it.
PACKAGES = ("systemd systemd-sysv dbus libnss-systemd iproute2 libbpf1 libcap-ng0 libjansson4 "
            "libmicrohttpd12 libncursesw6 libpcap0.8 liburcu8 liburing2 libxdp1 libyaml-0-2 "
            "libzstd1 zlib1g").split()
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
POWER_OFF = signal.SIGRTMIN + 4
# What a host has and a container lacks: for AF_XDP, limits of addresses (IPAddressDeny=), Landlock.
CAPABILITIES = "CAP_BPF,CAP_IPC_LOCK,CAP_NET_ADMIN,CAP_SYS_NICE"
CALLS = "bpf landlock_create_ruleset landlock_add_rule landlock_restrict_self"


def why_not():
    """Why no machine can be made here; None: it can."""
    if os.geteuid() != 0:
        return "only root can boot a machine"
    for program in ("systemd-nspawn", "debootstrap", "nsenter"):
        if not shutil.which(program):
            return f"{program} is not installed"
    if os.path.isdir(TREE):
        return None
    made = TREE + ".new"
    shutil.rmtree(made, ignore_errors=True)
    done = subprocess.run(["debootstrap", "--variant=minbase", "--include=" + ",".join(PACKAGES),
                           "bookworm", made, MIRROR], capture_output=True, text=True, check=False)
    if done.returncode:
        return f"debootstrap: {done.stdout[-300:]}"
    os.rename(made, TREE)
    return None


class Machine:
    """Boots on demand, more than once; stop() powers off and removes it. `root` is its file system,
    `leader` its first process."""

    def __init__(self):
        self.place = tempfile.mkdtemp(prefix="capweir-machine-")
        self.root = os.path.join(self.place, "root")
        self.process = None
        self.mount("tmpfs", "tmpfs", self.place)
        for name in ("upper", "work", "root"):
            os.mkdir(os.path.join(self.place, name))
        self.mount("overlay", "overlay", self.root, f"lowerdir={TREE},upperdir={self.place}/upper,"
                   f"workdir={self.place}/work")
        open(os.path.join(self.root, "etc/machine-id"), "w", encoding="ascii").close()

    def mount(self, kind, what, where, options="rw"):
        done = subprocess.run(["mount", "-t", kind, "-o", options, what, where],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            self.stop()
            raise unittest.SkipTest(f"no machine can be made here: {done.stderr.strip()}")

    def boot(self):
        """Until the machine reports that it is ready."""
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot",
                   "--private-network", "--console=pipe", "--notify-ready=yes",
                   "--capability=" + CAPABILITIES, "--system-call-filter=" + CALLS,
                   "--directory", self.root]
        address = os.path.join(tempfile.mkdtemp(dir=self.place), "notify")
        with (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager,
              open(os.path.join(self.place, "errors"), "wb") as errors):
            manager.bind(address)
            manager.settimeout(e2e.TIMEOUT)
            self.process = subprocess.Popen(
                command, env=dict(os.environ, NOTIFY_SOCKET=address), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)
            said = ""
            while not re.search(r"(?m)^READY=1$", said):
                self.wait_word(manager)
                said += manager.recv(4096).decode() + "\n"
        self.leader = re.search(r"(?m)^X_NSPAWN_LEADER_PID=(\d+)$", said).group(1)

    def wait_word(self, manager):
        """Until systemd-nspawn says something. If it ends instead, it cannot run here."""
        end = os.pidfd_open(self.process.pid)
        ready, _, _ = select.select([manager, end], [], [], e2e.TIMEOUT)
        os.close(end)
        if ready == [end]:
            self.process.wait()
            self.process = None
            with open(os.path.join(self.place, "errors"), encoding="utf-8") as file:
                raise unittest.SkipTest(f"systemd-nspawn cannot boot here: {file.read().strip()}")

    def run(self, *command):
        """Run a command in the machine; its result."""
        return subprocess.run(["nsenter", "-t", self.leader, "-a", "env", f"PATH={PATH}",
                               "LC_ALL=C", *command], capture_output=True, text=True,
                              timeout=e2e.TIMEOUT, check=False)

    def do(self, *command):
        """What a command printed that succeeds."""
        done = self.run(*command)
        if done.returncode:
            raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def write(self, path, text):
        self.do("sh", "-c", "mkdir -p \"${1%/*}\" && printf %s \"$2\" >\"$1\"", "sh", path, text)

    def copy(self, path, to):
        with open(path, "rb") as file:
            subprocess.run(["nsenter", "-t", self.leader, "-m", "sh", "-c", "cat >\"$1\"", "sh",
                            to], stdin=file, check=True)

    def power_off(self):
        """As an operator does it: services are stopped."""
        os.kill(int(self.leader), POWER_OFF)
        self.process.wait(e2e.TIMEOUT)
        self.process = None

    def stop(self):
        if self.process:
            self.power_off()
        for place in (self.root, self.place):
            if os.path.ismount(place):
                subprocess.run(["umount", place], check=True)
        os.rmdir(self.place)
