# SPDX-License-Identifier: BSD-3-Clause
"""What headers of inputs say, and what becomes of it in outputs: link types, FCS, timestamps."""
import json

import e2e

LINK_TYPES = ((11, 100), (12, 101), (15, 102), (16, 103), (19, 106))


class Headers(e2e.Test):
    def out(self, *inputs, name="out.pcap", status=0, more=()):
        """Splits the inputs to one output; returns it as the naive reader sees it."""
        arguments = [word for path in inputs for word in ("-r", path)]
        done = e2e.capweir("split", *arguments, "-w", self.path(name), *more)
        self.assertEqual(done.status, status, e2e.text_of(done))
        return e2e.read_capture(self.path(name)), done

    def inspect(self, path, status=0):
        done = e2e.capweir("inspect", "--json", path)
        self.assertEqual(done.status, status, e2e.text_of(done))
        return json.loads(done.out)[0]

    def test_both_numbers_of_a_link_type_are_one_type(self):
        packets = e2e.simple_packets(5)
        for old, canonical in LINK_TYPES:
            tagged = e2e.section() + e2e.interface(linktype=old) + e2e.enhanced(0, 1, b"\0" * 60)
            paths = [self.write("old.pcap", e2e.pcap(packets, linktype=old)),
                     self.write("new.pcap", e2e.pcap(packets, linktype=canonical)),
                     self.write("old.pcapng", tagged)]
            for some in (paths, paths[:1], paths[2:]):
                capture, _ = self.out(*some)
                self.assertEqual(capture.linktype, canonical)
                self.assertEqual(len(capture.packets), sum(5 if path[-1] == "p" else 1
                                                           for path in some))
            capture, _ = self.out(paths[0], more=("-y", old))
            self.assertEqual(capture.linktype, canonical)
            self.assertEqual(self.inspect(paths[0])["interfaces"][0]["linktype_value"], canonical)

    def test_the_length_of_the_frame_check_sequence_is_kept(self):
        packets = e2e.simple_packets(3)
        for field, wanted in ((0x44000001, 0x44000001), (0xf4ff0001, 0xf4000001),
                              (0x40000001, 1), (1, 1)):
            source = self.write("fcs.pcap", e2e.pcap(packets, linktype=field))
            self.assertEqual(self.out(source)[0].linktype, wanted)
        source = self.write("fcs.pcap", e2e.pcap(packets, linktype=0x44000001))
        self.out(source, name="part.pcap", more=("-b", "packets:1"))
        for name in ("part.pcap", "part.1.pcap", "part.2.pcap"):
            self.assertEqual(e2e.read_capture(self.path(name)).linktype, 0x44000001)

    def test_inspect_says_how_fine_the_timestamps_are(self):
        for resolution, is_fine in ((None, False), (6, False), (9, True), (3, False), (7, True),
                                    (0x80 | 6, False), (0x80 | 7, True), (0x80 | 20, True)):
            path = self.write("in.pcapng", e2e.section() + e2e.interface(resolution=resolution) +
                              e2e.enhanced(0, 1, b"\0" * 60))
            self.assertEqual(self.inspect(path)["nanoseconds"], is_fine, resolution)
        late = e2e.section() + e2e.interface() + e2e.enhanced(0, 1, b"\0" * 60) + e2e.interface(
            resolution=9) + e2e.enhanced(1, 1, b"\0" * 60)
        self.assertTrue(self.inspect(self.write("late.pcapng", late))["nanoseconds"])


if __name__ == "__main__":
    e2e.main()
