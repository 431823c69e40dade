// SPDX-License-Identifier: BSD-3-Clause

// decode_gopacket FILE PACKETS ROUNDS: decodes packets in memory with gopacket: all layers, with its
// decoding-layer parser, and with the parser and TCP reassembly. Prints a line of JSON a phase.
package main

import (
	"fmt"
	"os"
	"sort"
	"strconv"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
	"github.com/google/gopacket/tcpassembly"
)

// whole: layers of packets without an error.
type tally struct{ layers, errors, whole int }

type sink struct{ bytes int }

func (s *sink) Reassembled(pieces []tcpassembly.Reassembly) {
	for _, piece := range pieces {
		s.bytes += len(piece.Bytes)
	}
}
func (s *sink) ReassemblyComplete() {}

type sinks struct{}

func (sinks) New(_, _ gopacket.Flow) tcpassembly.Stream { return &sink{} }

func eager(packets [][]byte) (found tally) {
	options := gopacket.DecodeOptions{NoCopy: true}
	for _, data := range packets {
		packet := gopacket.NewPacket(data, layers.LayerTypeEthernet, options)
		found.layers += len(packet.Layers())
		if packet.ErrorLayer() != nil {
			found.errors++
		} else {
			found.whole += len(packet.Layers())
		}
	}
	return
}

func parse(packets [][]byte, assembler *tcpassembly.Assembler) (found tally) {
	var ethernet layers.Ethernet
	var ipv4 layers.IPv4
	var icmp layers.ICMPv4
	var tcp layers.TCP
	var udp layers.UDP
	var payload gopacket.Payload
	var decoded []gopacket.LayerType
	parser := gopacket.NewDecodingLayerParser(layers.LayerTypeEthernet, &ethernet, &ipv4, &icmp,
		&tcp, &udp, &payload)
	for _, data := range packets {
		if parser.DecodeLayers(data, &decoded) != nil {
			found.errors++
		} else {
			found.whole += len(decoded)
		}
		found.layers += len(decoded)
		if assembler == nil {
			continue
		}
		for _, kind := range decoded {
			if kind == layers.LayerTypeTCP {
				assembler.Assemble(ipv4.NetworkFlow(), &tcp)
			}
		}
	}
	return
}

func read(path string, count int) (packets [][]byte) {
	file, err := os.Open(path)
	if err == nil {
		var reader *pcapgo.Reader
		if reader, err = pcapgo.NewReader(file); err == nil {
			for len(packets) < count {
				data, _, err := reader.ReadPacketData()
				if err != nil {
					break
				}
				packets = append(packets, data)
			}
		}
	}
	if err != nil || len(packets) == 0 {
		fmt.Fprintln(os.Stderr, path, "no packets:", err)
		os.Exit(1)
	}
	return
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: decode_gopacket FILE PACKETS ROUNDS")
		os.Exit(2)
	}
	count, _ := strconv.Atoi(os.Args[2])
	rounds, _ := strconv.Atoi(os.Args[3])
	packets := read(os.Args[1], count)
	phases := []struct {
		name string
		run  func() tally
	}{
		{"eager", func() tally { return eager(packets) }},
		{"parser", func() tally { return parse(packets, nil) }},
		{"reassembly", func() tally {
			assembler := tcpassembly.NewAssembler(tcpassembly.NewStreamPool(sinks{}))
			assembler.MaxBufferedPagesPerConnection = 64
			assembler.MaxBufferedPagesTotal = 32768
			found := parse(packets, assembler)
			assembler.FlushAll()
			return found
		}},
	}
	for _, phase := range phases {
		var times []float64
		var found tally
		for round := 0; round <= rounds; round++ {
			start := time.Now()
			found = phase.run()
			if round > 0 {
				times = append(times, float64(time.Since(start).Nanoseconds())/float64(len(packets)))
			}
		}
		sort.Float64s(times)
		fmt.Printf("{\"program\": \"gopacket\", \"phase\": %q, \"packets\": %d, \"layers\": %d, "+
			"\"errors\": %d, \"whole_layers\": %d, \"ns_per_packet\": %.1f, \"min\": %.1f, \"max\": %.1f}\n", phase.name,
			len(packets), found.layers, found.errors, found.whole, times[len(times)/2],
			times[0], times[len(times)-1])
	}
}
