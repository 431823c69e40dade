# SPDX-License-Identifier: BSD-3-Clause
"""Hooks: once a complete file, the last one too, as said; failures are told and counted."""
import contextlib
import json
import os
import signal
import sys
import time

import e2e

# Appends two lines a run to the file that its first argument names: what it was given, and that it
# ends. With SPY_HOLD, the name of a FIFO, it waits in between for a byte of its own.
SPY = f"""#!{sys.executable} -IS
import json, os, sys
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
said = {{"words": sys.argv[2:], "rule": os.environ.get("CAPWEIR_RULE"),
        "input": sys.stdin.read(), "open": sorted(map(int, os.listdir("/proc/self/fd"))),
        "is_there": os.path.isfile(sys.argv[-1]), "uid": os.getuid(),
        "caps": int(status["CapEff"], 16), "no_new": int(status["NoNewPrivs"]),
        "blocked": int(status["SigBlk"], 16), "ignored": int(status["SigIgn"], 16)}}
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
os.write(fd, (json.dumps(said) + "\\n").encode())
if "SPY_HOLD" in os.environ:
    hold = os.open(os.environ["SPY_HOLD"], os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(hold, True)
    os.read(hold, 1)  # nothing, once the test has closed the FIFO
os.write(fd, b"null\\n")
os.write(1, b"spied\\n")
sys.exit(int(os.environ.get("SPY_EXIT", "0")))
"""


class Hooks(e2e.Test):
    def setUp(self):
        super().setUp()
        self.spy = self.write("spy", SPY)
        os.chmod(self.spy, 0o755)
        self.log = self.path("log")
        self.source = self.write("in.pcap", e2e.pcap(e2e.simple_packets(100)))

    def log_lines(self):
        if not os.path.exists(self.log):
            return []
        with open(self.log) as file:
            return [json.loads(line) for line in file]

    def said(self):
        return list(filter(None, self.log_lines()))

    def ended_count(self):
        return self.log_lines().count(None)

    def rules(self, *rules, rotate="{packets: 10}"):
        hook = json.dumps([self.spy, self.log])
        return self.write("rules.yaml", e2e.rules_yaml(
            rules, defaults="{write: '%s/{rule}-{seq}.pcap', rotate: %s, hook: %s}" %
            (self.directory, rotate, hook)))

    def test_once_for_each_file_in_order_and_the_last_one_too(self):
        rules = self.rules(("all", ""), ("none", "tcp"),
                           ("own", "", {"hook": json.dumps([self.spy, self.log, "a b",
                                                            "$(x); 'y'"])}))
        for threads in (1, 4):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.log)
            report, done = self.run_json("split", "-r", self.source, "-R", rules, "-t", threads)
            self.assertEqual(report["hooks"], {"run": 21, "failed": 0})
            self.assertTrue(report["complete"])
            self.assertEqual(done.err.count("spied\n"), 21, done.err)
            wanted = sorted([("all", file) for file in report["rules"][0]["files"]] +
                            [("none", file) for file in report["rules"][1]["files"]] +
                            [("own", "a b", "$(x); 'y'", file)
                             for file in report["rules"][2]["files"]])
            said = self.said()
            self.assertEqual(sorted((one["rule"], *one["words"]) for one in said), wanted)
            for one in said:
                self.assertEqual((one["input"], one["is_there"], one["blocked"]), ("", True, 0))
                # Standard ones, and that of the listing itself
                self.assertEqual(one["open"][:3], [0, 1, 2])
                self.assertLessEqual(len(one["open"]), 4)

    def test_tcpdumps_letter_and_files_only(self):
        """Standard output has no hook; what a hook says does not get among packets."""
        os.chmod(self.write("one", f"#!/bin/sh\nexec {self.spy} {self.log} \"$@\"\n"), 0o755)
        done = self.run_ok("split", "-q", "-r", self.source, "-w", self.path("a.pcap"), "-z",
                           self.path("one"))
        self.assertIn("spied", done.err)
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [("out", "", {"write": "'-'"}), ("null", "", {"write": "/dev/null"}),
             ("b", "", {"write": self.path("b.pcap"), "hook": self.path("one")})]))
        done = self.run_ok("split", "-q", "-r", self.source, "-R", rules)
        self.assertEqual(done.out, self.read("in.pcap"))
        self.assertEqual([one["words"] for one in self.said()],
                         [[self.path("a.pcap")], [self.path("b.pcap")]])
        self.assertIn("spied", done.err)

    def test_a_name_that_reads_as_an_option(self):
        rules = self.write("rules.yaml", e2e.rules_yaml(
            [("a", "", {"write": "'-rf.pcap'", "hook": json.dumps([self.spy, self.log])})]))
        self.run_ok("split", "-q", "-r", self.source, "-R", rules, cwd=self.directory)
        self.assertEqual(self.said()[0]["words"], ["./-rf.pcap"])

    def check_failure(self, hook, says, count=10, *more, env=None, **options):
        rules = self.rules(("all", "", {"hook": json.dumps(hook)}))
        report, done = self.run_json("split", "-r", self.source, "-R", rules, *more, status=1,
                                     env=dict(os.environ, **(env or {})), **options)
        self.assertEqual(report["hooks"], {"run": 10, "failed": count})
        self.assertFalse(report["complete"])
        self.assertEqual(report["books"]["lost"], 0)
        lines = [line for line in done.err.splitlines() if says in line]
        self.assertEqual(len(lines), count, done.err)
        for file in report["rules"][0]["files"]:
            self.assertTrue(any(file in line and "rule all" in line for line in lines), file)
        return done

    def test_failures_are_told(self):
        self.check_failure([self.spy, self.log], "exit status 3", env={"SPY_EXIT": "3"})
        self.check_failure(["/bin/sh", "-c", "kill -SEGV $$"], "killed by signal 11")
        bad = self.write("bad", "#!/nowhere/interpreter\n")
        os.chmod(bad, 0o755)
        self.check_failure([bad], "exit status 127")

    def test_one_that_takes_too_long_is_killed_with_its_children(self):
        pids = self.path("pids")
        self.check_failure(["/bin/sh", "-c", f"sleep 1000 & echo $! >>{pids}; wait"],
                           "killed: ran longer than 300 ms", 10, "--hook-timeout", "0.3")
        with open(pids) as file:
            for pid in map(int, file):
                e2e.wait_until(lambda: self.is_gone(pid), "no child of a hook lives on")

    def test_no_more_than_four_at_once(self):
        run, _, hold = self.begin()
        for count in range(7):
            e2e.wait_until(lambda: self.ended_count() == count and len(self.said()) >= 4 + count,
                           "another hook takes the place of one that ended", run)
            hold.write(b".")
        hold.write(b"...")
        self.assertEqual(e2e.finish(run).status, 0)
        running = most = 0
        for line in self.log_lines():
            running += 1 if line else -1
            most = max(most, running)
        self.assertEqual((len(self.said()), self.ended_count()), (10, 10))
        self.assertEqual(most, 4)

    def test_a_program_that_is_not_there(self):
        for hook in ("/nowhere/at-all", "no-such-program-at-all", self.directory + "/in.pcap"):
            done = e2e.capweir("split", "-r", self.source, "-w", self.path("a.pcap"), "-z", hook)
            self.assertEqual(done.status, 2, e2e.text_of(done))
            self.assertIn(hook, done.err)
        self.assertFalse(os.path.exists(self.path("a.pcap")))

    def test_a_hook_that_is_too_long_is_refused_before_the_first_file(self):
        longest = 65536 - 4098 - len("all") - 1 - len(self.spy) - 1 - len(self.log) - 1 - 1
        for size, status in ((longest, 0), (longest + 1, 2)):
            rules = self.rules(("all", "", {"hook": json.dumps([self.spy, self.log, "x" * size])}))
            for arguments in (("check", rules), ("split", "-q", "-r", self.source, "-R", rules)):
                done = e2e.capweir(*arguments)
                self.assertEqual(done.status, status, e2e.text_of(done)[:1000])
                if status:
                    self.assertIn("rule all: hook is too long", done.err)
                    self.assertIn("limit is 65536", done.err)
        self.assertEqual(len(self.said()), 10)

    def test_check_refuses_a_program_that_is_not_there(self):
        rules = self.rules(("all", "", {"hook": "no-such-program-at-all"}))
        done = e2e.capweir("check", rules)
        self.assertEqual(done.status, 2, e2e.text_of(done))
        self.assertIn("rule all: hook 'no-such-program-at-all'", done.err)
        self.assertIn(b"1 error, 0 warnings", done.out)
        self.run_ok("check", "--portable", rules)  # it may be there on another machine

    def test_a_file_that_fails_has_no_hook(self):
        os.chmod(self.write("full-1.pcap", b"precious"), 0o400)
        rules = self.rules(("full", ""), ("all", ""))
        report, _ = self.run_json("split", "-r", self.source, "-R", rules, status=1)
        self.assertEqual(report["hooks"], {"run": 9 + 10, "failed": 0})

    def runner_of(self, process):
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat") as file:
                text = file.read()
                if "(cw-hooks)" in text and int(text.rpartition(")")[2].split()[1]) == process.pid:
                    return int(name)
        return None

    def begin(self, *arguments):
        """A run with ten files, all written, and four hooks that run; the process that runs them;
        and the FIFO from which each hook takes a byte before it ends."""
        os.mkfifo(self.path("hold"))
        hold = open(self.path("hold"), "r+b", buffering=0)
        self.addCleanup(hold.close)
        run = e2e.start("split", "-q", "-r", self.source, "-R", self.rules(("all", "")),
                        *arguments, env=dict(os.environ, SPY_HOLD=self.path("hold")))
        self.addCleanup(lambda: run.poll() is None and run.kill())
        e2e.wait_until(lambda: os.path.exists(self.path("all-9.pcap")), "the files are there", run)
        e2e.wait_until(lambda: len(self.said()) >= 4, "four hooks run", run)
        return run, self.runner_of(run), hold

    def is_gone(self, pid):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
        return True

    def test_a_first_signal_waits_for_hooks(self):
        for numbers in ((signal.SIGINT,), (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)):
            run, _, hold = self.begin()
            for number in numbers:
                run.send_signal(number)
            e2e.wait_said(run, "waiting for hooks")
            hold.write(bytes(10))
            done = e2e.finish(run)
            self.assertEqual(done.status, 0, e2e.text_of(done))
            self.assertEqual(self.ended_count(), 10)
            self.remove_all()

    def test_a_later_signal_kills_hooks(self):
        for number, status in ((signal.SIGTERM, 1), (signal.SIGINT, 130)):
            run, runner, _ = self.begin("--json")
            hooks = e2e.children_of(runner)
            self.assertEqual(len(hooks), 4)
            run.send_signal(signal.SIGTERM)
            while run.poll() is None:  # signals within a second repeat the first one
                run.send_signal(number)
                time.sleep(0.01)
            done = e2e.finish(run)
            self.assertEqual(done.status, status, e2e.text_of(done))
            report = json.loads(done.out)
            self.assertEqual(report["hooks"], {"run": 10, "failed": 10})
            self.assertFalse(report["complete"])
            self.assertEqual(done.err.count("killed: a second signal"), 4, done.err)
            self.assertIn("6 waiting hooks not run", done.err)
            self.assertEqual((len(self.said()), self.ended_count()), (4, 0))
            for hook in hooks:
                self.assertTrue(self.is_gone(hook))
            self.remove_all()

    def test_sigquit_kills_hooks_at_once(self):
        run, _, _ = self.begin()
        run.send_signal(signal.SIGQUIT)
        done = e2e.finish(run)
        self.assertEqual(done.status, 130, e2e.text_of(done))
        self.assertEqual(done.err.count("killed: a second signal"), 4, done.err)

    def test_signals_to_everybody_reach_the_run_only(self):
        """As by kill -1: the process that runs hooks ignores what would end it."""
        run, runner, hold = self.begin()
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1,
                       signal.SIGUSR2, signal.SIGALRM, signal.SIGRTMIN, signal.SIGRTMAX):
            os.kill(runner, number)
        hold.write(bytes(10))
        done = e2e.finish(run)
        self.assertEqual(done.status, 0, e2e.text_of(done))
        self.assertEqual(self.ended_count(), 10)

    def remove_all(self):
        for name in os.listdir(self.directory):
            if name not in ("spy", "in.pcap"):
                os.unlink(self.path(name))

    def test_a_run_that_is_killed_leaves_no_process_behind(self):
        run, runner, hold = self.begin()
        run.kill()
        run.wait()
        hold.write(bytes(10))
        run.communicate()
        e2e.wait_until(lambda: self.is_gone(runner), "the process ends with the hooks that ran")
        self.assertLess(len(self.said()), 10, "hooks were begun without the run")

    def test_a_lost_process_is_told(self):
        run, runner, hold = self.begin()
        os.kill(runner, signal.SIGKILL)
        run.wait(e2e.TIMEOUT)
        hold.write(bytes(10))
        done = e2e.finish(run)
        self.assertEqual(done.status, 1, e2e.text_of(done))
        self.assertIn("process that runs hooks has died", done.err)


if __name__ == "__main__":
    e2e.main()
