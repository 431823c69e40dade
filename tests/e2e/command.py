# SPDX-License-Identifier: BSD-3-Clause
"""The command in a folder with a capture file of 100 packets."""
import os
import re

import e2e


def snapshot(directory):
    """Every name below a folder, with kind and content."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                found[path] = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    found[path] = file.read()
            else:
                found[path] = None
    return found


class Test(e2e.Test):
    def setUp(self):
        super().setUp()
        self.packets = e2e.simple_packets(100)
        self.input = self.write("in.pcap", e2e.pcap(self.packets))
        self.source = e2e.essence(e2e.read_capture(self.input).packets)

    def assert_refused(self, *arguments, says="", **options):
        """Check exit status 2, a message that matches `says`, and that nothing is written."""
        before = snapshot(self.directory)
        done = e2e.capweir(*arguments, cwd=self.directory, **options)
        self.assertEqual(done.status, 2, f"{arguments}: {e2e.text_of(done)}")
        self.assertRegex(done.err, r"^capweir: ", str(arguments))
        self.assertRegex(done.err, re.compile(says, re.I), str(arguments))
        self.assertEqual(done.out, b"", str(arguments))
        self.assertEqual(snapshot(self.directory), before, str(arguments))
        return done

    def split(self, *arguments, **options):
        return self.run_ok("split", "-q", "-r", self.input, *arguments, cwd=self.directory,
                           **options)

    def packets_of(self, name):
        return e2e.essence(e2e.read_capture(self.path(name)).packets)
