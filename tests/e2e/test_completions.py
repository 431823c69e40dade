#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Completions of bash and zsh at a terminal, and of fish by `complete -C`."""
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import unittest

import e2e

MADE = os.path.join(os.path.dirname(e2e.CAPWEIR), "manual-pages")
COMMANDS = re.findall(r"^  ([a-z]+) ", e2e.capweir("--help").out.decode(), re.M)
SUBS = {"bench": {"split", "capture", "ring", "write", "filter", "decode", "serial", "limits"},
        "inspect": {"filter"}}
ORDERS = {"reload", "rules", "rotate", "flush", "stop", "stats", "log"}
CHOICES = {
    "split --filter-engine": {"auto", "jit", "walker", "sequential", "libpcap"},
    "split --sync": {"off", "close"}, "split --direct": {"auto", "on", "off"},
    "split --time-precision": {"us", "ns"}, "generate --time-precision": {"us", "ns"},
    "capture --backend": {"auto", "packet", "pcap", "xdp"},
    "bench capture --backend": {"auto", "packet", "pcap", "xdp"},
    "capture --fanout": {"hash", "cpu", "qm", "lb", "rollover"},
    "capture -Q": {"inout", "in", "out"}, "capture --direction": {"inout", "in", "out"},
    "capture -j": {"host", "adapter"}, "capture --order": {"arrival", "time"},
    "capture --kernel-filter": {"auto", "off"}, "capture --pin": {"auto"},
    "replay --cut": {"skip", "send"}, "generate --profile": {"imix", "small", "large", "mix"},
    "bench split --profile": {"imix", "small", "large", "mix"},
    "selftest --mode": {"basic", "filtered", "timestamp"},
    "-r in.pcap --direct": {"auto", "on", "off"}, "-i lo --fanout": {"hash", "cpu", "qm", "lb",
                                                                     "rollover"},
}
PROMPT = "ready, please> "  # shown once the shell reads single keys
LIMITS = {"filesize:", "packets:", "duration:", "interval:", "files:"}

# The completions offered go to a FIFO: words, then END.
BASH = """
HISTFILE=
PS1='{prompt}'
bind 'set bell-style none'
bind 'set enable-bracketed-paste off'
source {made}/capweir.bash
offer() {{ _capweir "$@"; {{ printf '%s\\n' "${{COMPREPLY[@]}}"; echo END; }} >{answers}; }}
complete -F offer capweir
cd {folder}
echo END >{answers}
"""
ZSH = """
setopt no_auto_list no_beep
PS1='{prompt}'
unset zle_bracketed_paste
fpath=({folder}/functions $fpath)
autoload -Uz compinit && compinit -u -D
zstyle ':completion:*' completer _complete
compadd() {{
    local -a offered
    local word
    for word; do
        [[ $word != (-|--) ]] || break
        [[ $word != -*[OAD]* ]] || {{ builtin compadd "$@"; return }}
    done
    builtin compadd -A offered "$@"
    (( ! $#offered )) || print -rl -- $offered >{answers}
    builtin compadd "$@"
}}
finish() {{ print END >{answers}; comppostfuncs=(finish) }}
comppostfuncs=(finish)
cd {folder}
print END >{answers}
"""


class Terminal:
    """An interactive shell at a pseudo terminal, in a folder with in.pcap, rules.yaml and sub."""

    def __init__(self, folder, arguments, rc_file, rc_text):
        self.path = os.path.join(folder, "answers")
        os.mkfifo(self.path)
        self.answers = os.open(self.path, os.O_RDWR)
        with open(rc_file, "w", encoding="utf-8") as file:
            file.write(rc_text.format(made=MADE, folder=folder, answers=self.path,
                                      prompt=PROMPT))
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.environ.update(HOME=folder, ZDOTDIR=folder, TERM="xterm")
            os.execvp(arguments[0], arguments)
        self.shown = b""
        self.answer = b""
        self.read_until(lambda: self.answer and PROMPT.encode() in self.shown)
        self.answer = b""

    def read_until(self, is_over):
        while not is_over():
            ready, _, _ = select.select([self.answers, self.terminal], [], [], e2e.TIMEOUT)
            if not ready:
                raise TimeoutError(f"no answer from the shell, but {self.answer}, {self.shown}")
            if self.terminal in ready:
                self.shown += os.read(self.terminal, 65536)
            if self.answers in ready:
                self.answer += os.read(self.answers, 65536)

    def offer(self, line):
        self.shown = self.answer = b""
        os.write(self.terminal, line.encode() + b"\t")
        self.read_until(lambda: self.answer.endswith(b"END\n"))
        os.write(self.terminal, b"\x15")  # clears the line
        return {word for word in self.answer.decode().splitlines()[:-1] if word}

    def close(self):
        os.close(self.terminal)
        os.close(self.answers)
        os.waitpid(self.process, 0)


class Bash(Terminal):
    def __init__(self, folder):
        rc_file = os.path.join(folder, ".rc")
        super().__init__(folder, ["bash", "--noprofile", "--rcfile", rc_file, "-i"], rc_file, BASH)


class Zsh(Terminal):
    def __init__(self, folder):
        os.mkdir(os.path.join(folder, "functions"))
        shutil.copy(os.path.join(MADE, "capweir.zsh"),
                    os.path.join(folder, "functions", "_capweir"))
        super().__init__(folder, ["zsh", "-d", "-i"], os.path.join(folder, ".zshrc"), ZSH)


class Fish:
    def __init__(self, folder):
        self.folder = folder

    def offer(self, line):
        script = 'source $argv[1]; complete -C $argv[2]'
        environment = dict(os.environ, HOME=self.folder, XDG_CONFIG_HOME=self.folder)
        done = subprocess.run(["fish", "-N", "-c", script, os.path.join(MADE, "capweir.fish"),
                               line], cwd=self.folder, env=environment, capture_output=True,
                              text=True, timeout=e2e.TIMEOUT, check=True)
        words = {word.split("\t")[0] for word in done.stdout.splitlines()}
        # --name=VALUE is one word.
        return {word.partition("=")[2] if "=" in line.split(" ")[-1] else word for word in words}

    def close(self):
        pass


class Completions:
    """Tests for each shell."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        e2e.need(cls.__name__[4:].lower())
        cls.folder = tempfile.mkdtemp(prefix="capweir-test-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        os.mkdir(os.path.join(cls.folder, "sub"))
        for name in ("in.pcap", "rules.yaml"):
            with open(os.path.join(cls.folder, name), "w", encoding="ascii"):
                pass
        cls.shell = cls.kind(cls.folder)
        cls.addClassCleanup(cls.shell.close)

    def check(self, line, words):
        self.assertEqual(self.shell.offer(line), words, line)

    def has(self, line, *words):
        offered = self.shell.offer(line)
        for word in words:
            self.assertIn(word, offered, line)

    def names(self, line):
        """The long options offered, without the suffix that zsh adds."""
        return {word.rstrip("=") for word in self.shell.offer(line) if word.startswith("--")}

    def test_commands_and_help_are_offered(self):
        self.assertGreater(len(COMMANDS), 8)
        self.check("capweir ", {*COMMANDS, "help"})
        self.check("capweir help ", set(COMMANDS))
        self.check("capweir sp", {"split"})
        for command, subs in SUBS.items():
            self.check(f"capweir help {command} ", subs)
        self.check("capweir bench ", SUBS["bench"])
        self.check("capweir bench r", {"ring"})
        self.has("capweir inspect ", "filter", "in.pcap")

    def test_every_command_offers_the_options_of_its_help(self):
        pages = COMMANDS + [f"{command} {sub}" for command, subs in SUBS.items() for sub in subs]
        for page in pages:
            text = e2e.capweir(*page.split(), "--help").out.decode()
            names = re.findall(r"^  (?:-.,|   ) (--[a-z-]+)", text, re.M)
            self.assertIn("--help", names)
            self.assertEqual(self.names(f"capweir {page} --"), set(names), page)

    def test_every_enumerated_value_is_offered(self):
        for line, words in CHOICES.items():
            self.check(f"capweir {line} ", words)
            if " --" in line and line.split()[-1].startswith("--"):
                self.check(f"capweir {line}=", words)
        self.check("capweir split --sync c", {"close"})
        self.check("capweir split -b ", LIMITS)
        self.check("capweir split -c ", set())

    def test_each_word_of_a_list_is_offered(self):
        words = CHOICES["bench split --profile"]
        for option in ("--profile ", "--profile="):
            for begun, end, expected in (("imix,", "", words), ("imix,small,", "", words),
                                         ("imix,small,", "la", {"large"}), ("imix,", "q", set())):
                line = f"capweir bench split {option}{begun}"
                offered = self.shell.offer(line + end)
                # bash and fish replace the list, zsh the word that was begun.
                found = {word.removeprefix(begun) for word in offered}
                self.assertEqual(found, expected - set(begun.split(",")) if self.kind is Zsh
                                 else expected, line + end)
        self.check("capweir generate --profile imix,", set())

    def test_commands_of_control_are_offered(self):
        self.check("capweir control --control /x ", ORDERS)
        self.check("capweir control --control /x re", {"reload"})
        self.check("capweir control --control /x log ", {"note", "warning", "problem"})
        self.check("capweir control --control /x flush ", set())

    def test_interfaces_and_files_are_offered(self):
        for line in ("capture -i", "replay -r in.pcap -i", "-i", "-w x.pcap -i", "-i lo -i"):
            self.has(f"capweir {line} ", "lo", "any")
        for line in ("split -r", "-r", "-r in.pcap -r", "inspect", "bench split", "split -R"):
            self.has(f"capweir {line} in", "in.pcap")
        self.has("capweir check ", "rules.yaml")
        folders = {word.rstrip("/") for word in self.shell.offer("capweir split -o ")}
        self.assertIn("sub", folders)
        self.assertNotIn("in.pcap", folders)
        self.check("capweir split -f ", set())

    def test_options_are_offered_without_a_command(self):
        for line in ("capweir -", "capweir --", "capweir -i lo --"):
            self.assertGreaterEqual(self.names(line),
                                    {"--interface", "--read", "--write", "--fanout", "--filter"})
        self.assertIn("--version", self.names("capweir --"))

    def test_options_of_other_commands_are_not_offered(self):
        self.assertNotIn("--queues", self.names("capweir split --"))
        self.assertIn("--filter", self.names("capweir split -f udp -w a.pcap --"))


class TestBash(Completions, unittest.TestCase):
    kind = Bash


class TestZsh(Completions, unittest.TestCase):
    kind = Zsh


class TestFish(Completions, unittest.TestCase):
    kind = Fish


if __name__ == "__main__":
    e2e.main()
