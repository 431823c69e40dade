#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Generate the files of datasets/checksums.txt and compare their checksums.
# Usage: traffic_checksums.sh TRAFFIC_PCAP CHECKSUMS
# New sums after an intended change: write the four files below, then sha256sum *-seed1.pcap.
set -eu

traffic_pcap=$(realpath "$1")
checksums=$(realpath "$2")
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT

for profile in imix large mix small; do
	"$traffic_pcap" "$profile" 20000 1 "$directory/$profile-20000-seed1.pcap"
done
cd "$directory"
sha256sum -c "$checksums"
