#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Generate the files that datasets/checksums.txt names and compare them with it.
# Usage: traffic_checksums.sh TRAFFIC_PCAP CHECKSUMS
# New sums, after a wanted change: TRAFFIC_PCAP ... in a directory, then sha256sum *.pcap.
set -eu

traffic_pcap=$1
checksums=$2
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

for profile in imix large mix small; do
	"$traffic_pcap" "$profile" 20000 1 "$directory/$profile-20000-seed1.pcap"
done
cd "$directory"
sha256sum -c "$checksums"
