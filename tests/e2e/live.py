# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of live capture share: devices of their own, traffic, a capture that runs.

The tests run in a network namespace (and a mount namespace) of their own, where "out" and "in" are
the two ends of a virtual cable. tests/live/sender.c puts numbered frames on "out", capweir captures
on "in", tests/live/checker.c compares what is in the files with what was sent. Nobody else talks
there, so every packet is accounted for. Environment, beside that of e2e.py:
  CAPWEIR_SENDER, CAPWEIR_CHECKER   these programs (default: those of build/release)
  CAPWEIR_LIVE_LONG                 1: the full counts, 10^7 packets and 200 kills
"""
import atexit
import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

import e2e

BUILD = os.path.dirname(os.path.dirname(e2e.CAPWEIR))
SENDER = os.environ.get("CAPWEIR_SENDER") or os.path.join(BUILD, "tests", "sender")
CHECKER = os.environ.get("CAPWEIR_CHECKER") or os.path.join(BUILD, "tests", "checker")
LONG = os.environ.get("CAPWEIR_LIVE_LONG") == "1"
PATIENCE_S = e2e.TIMEOUT  # only a hang takes so long
NO_TAG = 0xffffffff
PAIR = ("link add out numtxqueues 4 numrxqueues 4 type veth peer name in numtxqueues 4 "
        "numrxqueues 4")


def is_sanitized():
    with open(e2e.CAPWEIR, "rb") as file:
        content = file.read()
    return b"__tsan_init" in content or b"__asan_init" in content


SANITIZED = os.path.exists(e2e.CAPWEIR) and is_sanitized()
FLOW = 20000  # packets a second of traffic that continues while something else happens
RING_BYTES = 48 << 20  # a kernel ring of the default size holds these, however the blocks end
FLOW_MAX = RING_BYTES // 260  # packets of 60 bytes that such a ring holds
PART = e2e.scaled(5000, 1000)
# A kernel ring holds a flow for seconds in which nobody reads: few of its blocks end early.
FLOWING = ("--block-timeout", 200)
LONE_DROPS = 2  # the kernel may drop a lone packet in a ring with room: see tests/rig/one_core.h

WALL = 0x40000000  # waitpid: for threads too
SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17  # requests of ptrace(2)
POLLING = {"7", "271", "219", "73", "128"}  # poll, ppoll and their restarts, x86-64 and arm64


# ---- the place ----

reason = None  # why there are no devices; None: there are


def ip(*commands):
    """Commands of ip(8), each a string. What it printed when one fails; None."""
    for command in commands:
        done = subprocess.run(["ip", *command.split()], capture_output=True, text=True)
        if done.returncode:
            return f"ip {command}: {done.stderr.strip()}"
    return None


def do_ip(*commands):
    problem = ip(*commands)
    if problem:
        raise AssertionError(problem)


def make_pair():
    return ip(PAIR, "link set out mtu 9000 arp off up", "link set in mtu 9000 arp off up")


def enter():
    """Run this program again in namespaces of its own; say in `reason` when that is not allowed."""
    global reason
    if os.environ.get("CAPWEIR_LIVE_PLACE") == str(os.getppid()):
        reason = make_place()
        return
    how = ["unshare", "-n", "-m"] if os.geteuid() == 0 else ["unshare", "-U", "-r", "-n", "-m"]
    try:
        done = subprocess.run([*how, "true"], capture_output=True, text=True)
        problem = done.stderr.strip() if done.returncode else None
    except FileNotFoundError:
        problem = "unshare (util-linux) is not installed"
    if problem:
        reason = f"network namespaces are not allowed here: {problem}"
        return
    # The parent stays to be recognised: a variable that leaked from elsewhere means nothing.
    child = subprocess.Popen([*how, sys.executable, "-B", *sys.argv],
                             env=dict(os.environ, CAPWEIR_LIVE_PLACE=str(os.getpid())))
    try:
        sys.exit(child.wait())
    finally:
        if child.poll() is None:
            child.terminate()


def make_place():
    for which in ("all", "default"):
        with contextlib.suppress(OSError), \
                open(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6", "w") as file:
            file.write("1")
    if not LONG:
        use_memory()
    try:
        problem = ip("link set lo up") or make_pair()
    except FileNotFoundError:
        return "ip (iproute2) is not installed"
    return problem and f"virtual Ethernet devices cannot be made here: {problem}"


def use_memory():
    """Keep the tests' files in memory, where allowed: how fast they are synced is not tested."""
    directory = tempfile.mkdtemp(prefix="capweir-live-")
    atexit.register(os.rmdir, directory)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", directory],
                          capture_output=True)
    if done.returncode == 0:
        os.chmod(directory, 0o1777)
        tempfile.tempdir = directory
        atexit.register(subprocess.run, ["umount", "-l", directory], capture_output=True)


# ---- traffic ----


class Shape:
    """What frames look like, and how many: arguments for the sender and the checker."""

    def __init__(self, count, first=0, gso=0, **looks):
        """looks: size, size_max, flows, vlan, outer."""
        self.count, self.first, self.gso = count, first, gso
        self.looks = {"size": 60, "size_max": 0, "flows": 97, "vlan": NO_TAG, "outer": NO_TAG}
        if not looks.keys() <= self.looks.keys():
            raise TypeError(f"no such looks: {looks.keys() - self.looks.keys()}")
        self.looks.update(looks)

    def part(self, first, count):
        """The same frames with other numbers."""
        other = Shape(count, first, gso=self.gso)
        other.looks = self.looks
        return other

    def arguments(self):
        return [text for name, value in (*self.looks.items(), ("first", self.first),
                                         ("count", self.count))
                for text in ("--" + name.replace("_", "-"), str(value))]


def wait_for_link(device):
    """Until the device sends: for up to a second after its peer came up the kernel drops all."""
    def is_up():
        shown = subprocess.run(["ip", "-j", "link", "show", device], capture_output=True, text=True,
                               check=False).stdout
        # Not there, or of a kind that has no link: the sender will say.
        return not shown or "DOWN" not in json.loads(shown)[0].get("operstate", "")

    e2e.wait_until(is_up, f"{device} has a link")
    # The kernel changes the state and then switches the queue on, under one lock. This takes the
    # lock after that, and changes nothing.
    ip(f"link set dev {device} group default")


class Sender:
    """Sends a shape's frames; ends by itself."""

    def __init__(self, shape, device="out", rate=0, seconds=1200, core=None):
        """rate: packets a second; 0: as fast as the kernel takes them."""
        wait_for_link(device)
        command = [SENDER, device, *shape.arguments(), "--rate", str(rate), "--seconds",
                   str(seconds)]
        if shape.gso:
            command += ["--gso", str(shape.gso)]
        if core is not None:
            command += ["--core", str(core)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self):
        """How many frames the kernel took."""
        out, err = self.process.communicate(timeout=1200)
        if self.process.returncode:
            raise AssertionError(f"sender: {err.decode()}")
        return json.loads(out)["sent"]

    def end(self):
        """End it now; how many frames the kernel took."""
        self.process.terminate()
        return self.finish()

    def stop(self):
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()


def send(shape, **options):
    """Send all at once: a kernel ring must hold it (or the test wants drops)."""
    sent = Sender(shape, **options).finish()
    if sent != shape.count:
        raise AssertionError(f"only {sent} of {shape.count} frames could be sent")


def send_in_windows(capture, shape, **options):
    """Send no more at once than a kernel ring holds, each time after the capture took the last."""
    window = RING_BYTES // (max(shape.looks["size"], shape.looks["size_max"]) + 200)
    for first in range(0, shape.count, window):
        count = min(window, shape.count - first)
        send(shape.part(shape.first + first, count), **options)
        capture.wait_seen(first + count)


def check(shape, files):
    """What the checker says about the files."""
    done = subprocess.run([CHECKER, *shape.arguments(), "--tcp", "1" if shape.gso else "0",
                           *files], capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


# ---- a capture that runs ----


class Capture:
    """capweir, capturing; every line that it prints is kept."""

    def __init__(self, *arguments, json=True, wait=True, **options):
        arguments = list(arguments) + (["--json"] if json else [])
        self.process = e2e.start(*arguments, **options)
        self.pid = self.process.pid
        if options.get("under"):
            e2e.wait_until(lambda: e2e.child_of(self.process.pid), "it is started", self.process)
            self.pid = e2e.child_of(self.process.pid)
        self.out, self.err = [], []
        self.threads = [threading.Thread(target=self.read, args=args, daemon=True)
                        for args in ((self.process.stdout, self.out),
                                     (self.process.stderr, self.err)) if args[0]]
        for thread in self.threads:
            thread.start()
        if wait:
            self.wait_ready()

    @staticmethod
    def read(stream, lines):
        for line in stream:
            lines.append(line.decode("utf-8", "replace"))

    def text(self):
        return "".join(self.err)

    def wait_until(self, is_so, what, poll_s=0.005):
        end = time.monotonic() + PATIENCE_S
        while not is_so():
            has_ended = self.process.poll() is not None
            if has_ended and is_so():
                return
            if has_ended or time.monotonic() > end:
                self.kill()
                limit = "before the end" if has_ended else f"in {PATIENCE_S:.0f} s"
                raise AssertionError(f"not {limit}: {what}\n{self.text()}")
            time.sleep(poll_s)

    def thread(self, name):
        """The directory in /proc of the thread with this name, or None."""
        tasks = f"/proc/{self.pid}/task"
        with contextlib.suppress(OSError):
            for task in os.listdir(tasks):
                with contextlib.suppress(OSError), open(f"{tasks}/{task}/comm") as file:
                    if file.read().strip() == name:
                        return f"{tasks}/{task}"
        return None

    def wait_thread(self, name):
        """The same, as soon as the thread has given itself the name."""
        self.wait_until(lambda: self.thread(name), f"a thread {name}")
        return self.thread(name)

    def wait_ticks(self, count):
        """Until the keeper has slept so many times more. Each is 100 ms, if nothing wakes it."""
        status = os.path.join(self.wait_thread("cw-keeper"), "status")

        def sleeps():
            with open(status) as file:
                return next(int(line.split()[1]) for line in file
                            if line.startswith("voluntary_ctxt_switches"))

        end = sleeps() + count
        self.wait_until(lambda: sleeps() >= end, f"{count} ticks of the keeper", poll_s=0.02)

    def freeze(self):
        """Stop all its threads by a signal, and wait until they stand."""
        self.signal(signal.SIGSTOP)
        tasks = f"/proc/{self.process.pid}/task"

        def state(task):
            with open(f"{tasks}/{task}/stat") as file:
                return file.read().rpartition(")")[2].split()[0]

        self.wait_until(lambda: all(state(task) == "T" for task in os.listdir(tasks)),
                        "it is stopped")

    def wait_ready(self):
        """Until every queue is open: the keeper is the last thread to be started."""
        self.wait_until(lambda: self.thread("cw-keeper"), "the capture runs")

    def wait_line(self, text, times=1):
        """Until standard error said so, so many times."""
        self.wait_until(lambda: self.text().count(text) >= times, f"a line with '{text}'")

    def stats_texts(self):
        return [line for line in list(self.out) if line.startswith('{"stats"')]

    def stats_lines(self):
        return [json.loads(line)["stats"] for line in self.stats_texts()]

    def stats(self):
        """The counters of now (needs json)."""
        before = len(self.stats_texts())
        self.signal(signal.SIGUSR1)
        self.wait_until(lambda: len(self.stats_texts()) > before, "counters")
        return json.loads(self.stats_texts()[-1])["stats"]

    def wait_stats(self, is_so, what):
        self.wait_until(lambda: is_so(self.stats()), what, poll_s=0.02)

    def wait_seen(self, count):
        """Until the kernel put so many packets in the queues (or more: the books will tell). The
        capture counts what it received at once, what the kernel saw a little later."""
        self.wait_stats(lambda stats: max(stats["kernel_seen"], stats["received"]) >= count,
                        f"{count} packets are seen")

    def cpu_s(self):
        return e2e.cpu_seconds_of(self.process.pid)

    def signal(self, number=signal.SIGINT):
        if self.process.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.close()

    def close(self):
        """Read what is left of its words."""
        for thread in self.threads:
            thread.join(PATIENCE_S)
        for stream in (self.process.stdout, self.process.stderr):
            if stream:
                stream.close()

    def wait(self, timeout=None):
        """The end; a Result without the lines of counters, and the report (None without json)."""
        try:
            self.process.wait(timeout or e2e.TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"capweir hangs: {self.process.args}\n{self.text()}")
        self.close()
        err = self.text()
        for sign in ("AddressSanitizer", "ThreadSanitizer", "runtime error:", "LeakSanitizer"):
            if sign in err:
                raise AssertionError(f"{sign}: {self.process.args}\n{err}")
        out = "".join(line for line in self.out if not line.startswith('{"stats"'))
        return e2e.Result(self.process.returncode, out.encode(), err)

    def stop(self, timeout=None):
        self.signal()
        return self.wait(timeout)


@contextlib.contextmanager
def still(capture, name):
    """Hold a thread of a capture while it sleeps in poll(2); the others run."""
    libc = ctypes.CDLL(None, use_errno=True)
    task = capture.wait_thread(name)
    thread = int(os.path.basename(task))

    def hold():
        if libc.ptrace(SEIZE, thread, None, None) or libc.ptrace(INTERRUPT, thread, None, None):
            raise OSError(ctypes.get_errno(), "ptrace")
        os.waitpid(thread, WALL)
        with open(f"{task}/syscall") as file:
            if file.read().split()[0] in POLLING:
                return True
        return libc.ptrace(DETACH, thread, None, None) == 1  # it may hold the turn

    e2e.wait_until(hold, f"{name} polls", capture.process)
    try:
        yield
    finally:
        libc.ptrace(DETACH, thread, None, None)


class Test(e2e.Test):
    """A test with devices. Where there are none it is skipped."""

    def setUp(self):
        if reason:
            self.skipTest(reason)
        super().setUp()

    def capture(self, *arguments, **options):
        """A Capture that does not outlive the test."""
        running = Capture(*arguments, **options)
        self.addCleanup(lambda: running.process.poll() is None and running.kill())
        return running

    def sender(self, shape, **options):
        running = Sender(shape, **options)
        self.addCleanup(running.stop)
        return running

    def report_of(self, result, status=0):
        self.assertEqual(result.status, status, e2e.text_of(result))
        report = json.loads(result.out)
        self.check_live_books(report)
        return report

    def check_live_books(self, report):
        """The identities of a live run: the kernel's counts are part of the books."""
        self.check_books(report)
        received = discarded = 0
        for queue in report["queues"]:
            self.assertEqual(queue["kernel_seen"], queue["kernel_dropped"] + queue["received"] +
                             queue["left"], queue)
            received += queue["received"]
            discarded += queue["discarded"]
        self.assertEqual(received, report["books"]["received"] + discarded)

    @staticmethod
    def breaking_off():
        """The environment of a run that ends while its threads are at work."""
        options = os.environ.get("TSAN_OPTIONS", "")
        return dict(os.environ, TSAN_OPTIONS=f"{options} report_thread_leaks=0")

    @staticmethod
    def sum_of(report, name):
        return sum(queue[name] for queue in report["queues"])

    @staticmethod
    def files_of(report):
        return [file for rule in report["rules"] for file in rule["files"]]

    def kept(self, report):
        """How many packets the kernel put in rings that always had room."""
        dropped = self.sum_of(report, "kernel_dropped")
        self.assertLessEqual(dropped, LONE_DROPS, report["queues"])
        return self.sum_of(report, "kernel_seen") - dropped

    def check_files(self, report):
        raise NotImplementedError("naive and slow: use expect")

    def expect(self, found, **values):
        """The checker's figures; those not given are 0, but for the numbers and times."""
        for name, value in found.items():
            if name not in ("packets", "first", "last", "backwards") or name in values:
                self.assertEqual(value, values.get(name, 0), f"{name} of {found}")

    def expect_all(self, shape, files, **values):
        """Every frame that was sent is there once, as it was sent, in order; or all but some, if
        the values say how many packets there are."""
        found = check(shape, files)
        packets = values.pop("packets", shape.count)
        self.expect(found, packets=packets, missing=shape.count - packets, **values)
        return found


class Fresh(Test):
    """Devices made anew for each test; numbered packets in parts."""

    def setUp(self):
        super().setUp()
        for device in ("out", "in", "other"):
            ip(f"link del {device}")
        self.assertIsNone(make_pair())
        self.sent = 0

    def tearDown(self):
        ip("link del inward")

    def start(self, *arguments, output="all.pcap", **options):
        self.output = self.path(output)
        return self.capture("-i", "in", "-w", self.output, *arguments, **options)

    def send_more(self, capture, count=PART):
        """Some more packets, and wait until the kernel gave them to the capture."""
        send(Shape(count, first=self.sent))
        self.sent += count
        capture.wait_seen(self.sent)

    def finish(self, capture, status=0):
        """The end of a run in which nothing may be lost."""
        report = self.report_of(capture.stop(), status)
        self.assertEqual(self.sum_of(report, "kernel_seen"), self.sent)
        self.assertEqual(self.sum_of(report, "left"), 0)
        self.assertEqual(report["books"]["in_files"], self.kept(report))
        self.expect_all(Shape(self.sent), [self.output], packets=self.kept(report))
        self.assert_no_parts()
        return report


def main():
    """Run the calling file's tests in a place of their own."""
    for program in (SENDER, CHECKER):
        if not os.path.exists(program):
            print(f"no program at {program}", file=sys.stderr)
            sys.exit(1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    enter()
    e2e.main()
