/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>

#include "core/base/base.h"
#include "core/filter/filter.h"
#include "core/filter/text/compiler.h"
#include "core/source/live/live.h"
#include "tools/options/values.h"

#define BOTH (CW_SPLIT | CW_CAPTURE)
#define MS (CW_NS_PER_S / 1000)
#define DAY (86400 * CW_NS_PER_S)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)

/* Where a value goes: the offset of a field, which must be of this type. */
#define TO(field, type)                                                                     \
	(offsetof(struct cw_arguments, field) +                                             \
	 0 * sizeof(struct {                                                                \
		 static_assert(                                                             \
		     _Generic(((struct cw_arguments *)NULL)->field, type : 1, default : 0), \
		     #field " is of another type");                                         \
		 int unused;                                                                \
	 }))

/* How a row ends. Amounts: kind, what a bare 1 means, the least and the most. */
#define FLAG(field) .kind = CW_OPTION_FLAG, .to = TO(field, bool)
#define WORD(field) .kind = CW_OPTION_WORD, .to = TO(field, const char *)
#define WORDS(field) .kind = CW_OPTION_WORDS, .to = TO(field, struct cw_words)
#define CHOICE(field, number, words) \
	.kind = CW_OPTION_CHOICE, .to = TO(field, int), .first = number, .choices = words
#define AMOUNT(field, ...) \
	.kind = CW_OPTION_AMOUNT, .to = TO(field, uint64_t), .amount = {__VA_ARGS__}
#define TIME(field, bare, most) \
	.kind = CW_OPTION_MS, .to = TO(field, uint64_t), .amount = {CW_TIME, bare, MS, most}
#define SECONDS(field, most) TIME(field, CW_NS_PER_S, most)
#define OWN(function) .kind = CW_OPTION_OWN, .take = function

static_assert(CW_LIVE_PACKET == 1 && CW_LIVE_PCAP == 2 && CW_LIVE_XDP == 3 && CW_LIVE_IN == 1 &&
		  CW_LIVE_OUT == 2 && CW_LIVE_CLOCK_ADAPTER == 1 && CW_FANOUT_CPU == 1 &&
		  CW_FANOUT_QM == 2 && CW_FANOUT_LB == 3 && CW_FANOUT_ROLLOVER == 4,
	      "choices are numbered as they are listed");

const struct cw_option_row cw_option_rows[] = {
    {'r', "read", "FILE",
     "read a capture file (pcap, pcapng, .gz, .zst; - is standard input); several are read one "
     "after the other",
     CW_SPLIT | CW_CHECK | CW_BENCH | CW_REPLAY, WORDS(inputs)},
    {'i', "interface", "DEV",
     "the device, or its number in -D's list; several are captured side by side",
     CW_CAPTURE | CW_DEVICES | CW_REPLAY | CW_SELFTEST | CW_BENCH, WORDS(devices)},
    {'f', "filter", "EXPR",
     "a rule's filter, in tcpdump's language; 'unmatched' takes what no other rule took", BOTH,
     WORDS(rules.filters)},
    {'w', "write", "FILE",
     "a rule's output: the k-th -w belongs to the k-th -f; - is standard output",
     BOTH | CW_GENERATE, WORDS(rules.writes)},
    {'R', "rules", "FILE", "read rules from a YAML file", BOTH | CW_INSPECT | CW_BENCH,
     WORD(rules.file)},
    {'o', "directory", "DIR",
     "put relative outputs there (bench: what is written meanwhile; default: the temporary folder)",
     BOTH | CW_BENCH, WORD(output.directory)},
    {'F', "filter-file", "FILE", "read the filter expression from a file", BOTH, WORD(filter.file)},
    {'t', "threads", "N",
     "worker threads (default: the cores it may use; bench: several numbers, separated by commas)",
     BOTH | CW_BENCH, AMOUNT(output.threads, CW_COUNT, 1, 1, 1024),
     .bench_list = TO(bench.threads, const char *)},
    {'c', "count", "N", "stop after N packets that a rule's filter matched", BOTH,
     AMOUNT(output.packet_count, CW_COUNT, 1, 1, UINT64_MAX)},
    {'s', "snaplen", "BYTES", "cut packets to so many bytes when writing", BOTH,
     AMOUNT(output.snaplen, CW_SIZE, 1, 0, UINT32_MAX - 1)},
    {'y', "linktype", "TYPE", "take the packets for this link type (EN10MB, RAW, 113, ...)",
     CW_SPLIT | CW_CHECK | CW_INSPECT | CW_BENCH | CW_REPLAY, WORD(filter.linktype)},
    {'C', "file-size", "SIZE",
     "start a new file before one grows beyond SIZE (millions of bytes; k, m, g: KiB, MiB, GiB)",
     BOTH, AMOUNT(rules.rotate_bytes, CW_SIZE, 1000000, 1, UINT64_MAX)},
    {'b', "ring-buffer", "KEY:N",
     "filesize:N (kB), packets:N, duration:S or interval:S (at multiples of S seconds since 1970): "
     "start a new file at that limit; files:N: keep the last N",
     BOTH, OWN(cw_option_take_ring)},
    {'W', "file-count", "COUNT",
     "with -C or -b: keep the last COUNT files, remove older ones of this run", BOTH,
     AMOUNT(rules.ring_files, CW_COUNT, 1, 1, INT64_MAX)},
    {'G', "rotate-seconds", "SECONDS", "start a new file when one's first packet is so long ago",
     BOTH, OWN(cw_option_take_period)},
    {'z', "hook", "COMMAND",
     "run this program, without a shell, with the name of each complete file", BOTH,
     WORD(rules.hook)},
    {0, "hook-timeout", "SECONDS", "kill one that takes longer (default: 60)", BOTH,
     SECONDS(rules.hook_ms, DAY)},
    {'n', "numeric", NULL, "accepted: names are never looked up", BOTH, .kind = CW_OPTION_NOTHING},
    {'O', "no-optimize", NULL, "do not optimise filter programs",
     BOTH | CW_CHECK | CW_INSPECT | CW_BENCH, FLAG(filter.unoptimized)},
    {'d', "dump", NULL,
     "inspect filter: print the expressions' classic BPF only, as tcpdump -d; -dd as C, -ddd as "
     "numbers",
     CW_INSPECT, .kind = CW_OPTION_TALLY, .to = TO(filter.dumps, uint64_t)},
    {0, "dot", NULL, "inspect filter: print the decision program as a graph for Graphviz",
     CW_INSPECT, FLAG(filter.dot)},
    {0, "full", NULL, "inspect filter: cut nothing, however long", CW_INSPECT, FLAG(filter.full)},
    {'q', "quiet", NULL, "no table and no progress line", BOTH | CW_REPLAY, FLAG(quiet)},
    {0, "json", NULL, "the report as JSON on standard output",
     BOTH | CW_INSPECT | CW_BENCH | CW_DEVICES | CW_REPLAY | CW_SELFTEST | CW_REPAIR | CW_STATUS,
     FLAG(json)},
    {0, "dry-run", NULL, "say what would be cut, and change nothing; exit 1 if there is something",
     CW_REPAIR, FLAG(dry_run)},
    {0, "no-clobber", NULL, "refuse to replace existing files", BOTH | CW_GENERATE,
     FLAG(output.no_clobber)},
    {0, "sync", "off|close",
     "close: flush each file to the disk before it gets its name (default: off for files, close "
     "for live capture)",
     BOTH, CHOICE(output.sync, CW_SYNC_OFF, NULL)},
    {0, "direct", "auto|on|off",
     "on: write past the page cache, so that it stays as it is (auto: when live)", BOTH,
     CHOICE(output.direct, 0, NULL)},
    {0, "utc", NULL, "times in file names are UTC, not local", BOTH, FLAG(output.utc)},
    {0, "time-precision", "us|ns", "of .pcap outputs (default: ns when an input has ns)",
     BOTH | CW_GENERATE, CHOICE(output.precision, CW_PRECISION_US, NULL)},
    {0, "resolve", NULL, "let filters name hosts (the lookup can block)",
     BOTH | CW_CHECK | CW_INSPECT | CW_BENCH, FLAG(filter.resolve)},
    {0, "filter-engine", "NAME", "auto, jit, walker, sequential or libpcap", BOTH,
     CHOICE(filter.engine, CW_ENGINE_AUTO, "auto|jit|walker|sequential|libpcap")},
    {0, "filter-time", "SECONDS",
     "that compiling one filter may take (default: 1); then it is tried unoptimised",
     BOTH | CW_CHECK | CW_INSPECT | CW_BENCH, SECONDS(filter.time_ms, CW_COMPILER_TIME_MS_MAX *MS)},
    {0, "filter-memory", "SIZE", "likewise (default: 256MiB)",
     BOTH | CW_CHECK | CW_INSPECT | CW_BENCH, AMOUNT(filter.memory_bytes, CW_SIZE, 1, MIB, TIB)},
    {0, "verify-filters", "[=1/N]",
     "check one packet in N (default: 100) against libpcap; any difference is exit 1", BOTH,
     OWN(cw_option_take_verify)},
    {'D', "list-interfaces", NULL, "list devices with their numbers, as tcpdump -D", BOTH,
     FLAG(live.lists_devices)},
    {'L', "list-data-link-types", NULL, "list the link types of the device -i", CW_CAPTURE,
     FLAG(live.lists_linktypes)},
    {'J', "list-time-stamp-types", NULL, "list the timestamp types of the device -i", CW_CAPTURE,
     FLAG(live.lists_clocks)},
    {'p', "no-promiscuous-mode", NULL, "take what is meant for this host only", CW_CAPTURE,
     FLAG(live.not_promiscuous)},
    {'Q', "direction", "WAY", "in, out or inout (default)", CW_CAPTURE,
     CHOICE(live.direction, CW_LIVE_BOTH, "inout|in|out")},
    {'j', "time-stamp-type", "CLOCK", "host (default) or adapter", CW_CAPTURE,
     CHOICE(live.clock, CW_LIVE_CLOCK_HOST, "host|adapter")},
    {'B', "buffer-size", "KIB", "size of each queue's ring (default: 65536)", CW_CAPTURE,
     AMOUNT(live.ring_bytes, CW_SIZE, 1024, 1024, TIB)},
    {0, "queues", "N",
     "capture threads, each with a ring (default: by the device's queues and the cores; bench: 1, "
     "or several numbers)",
     CW_CAPTURE | CW_BENCH, AMOUNT(live.queues, CW_COUNT, 1, 1, CW_LIVE_QUEUES_MAX),
     .bench_list = TO(bench.queues, const char *)},
    {0, "fanout", "HOW",
     "which queue gets a packet: hash (default: by flow), cpu, qm, lb or rollover", CW_CAPTURE,
     CHOICE(live.fanout, CW_FANOUT_HASH, "hash|cpu|qm|lb|rollover")},
    {0, "backend", "HOW",
     "auto (default: packet, or pcap where that cannot read the device), packet, pcap or xdp "
     "(takes the packets away from the system); bench: packet or xdp",
     CW_CAPTURE | CW_BENCH, CHOICE(live.backend, CW_LIVE_AUTO, "auto|packet|pcap|xdp")},
    {0, "block-size", "SIZE", "of the ring's blocks (default: 1MiB)", CW_CAPTURE,
     AMOUNT(live.block_bytes, CW_SIZE, 1, 4096, CW_LIVE_BLOCK_BYTES_MAX)},
    {0, "block-timeout", "MS", "a block waits so long for more packets (default: 20)", CW_CAPTURE,
     TIME(live.retire_ms, MS, CW_LIVE_RETIRE_MS_MAX *MS)},
    {0, "order", "arrival|time",
     "arrival (default): packets of one queue stay in order; time: all are merged by their times",
     CW_CAPTURE, CHOICE(live.is_time_order, 0, NULL)},
    {0, "kernel-filter", "auto|off",
     "auto (default): where one filter says what is written, the kernel leaves out the rest unseen",
     CW_CAPTURE, CHOICE(live.no_kernel_filter, 0, NULL)},
    {0, "max-drop", "N", "more packets dropped by the kernel are exit 3", CW_CAPTURE,
     AMOUNT(live.max_drop, CW_COUNT, 1, 0, UINT64_MAX), .preset = UINT64_MAX},
    {0, "stats", "SECONDS", "print counters so often (with --json as JSON lines)", CW_CAPTURE,
     SECONDS(live.stats_ms, DAY)},
    {0, "metrics", "PORT",
     "serve metrics at http://127.0.0.1:PORT/metrics, for Prometheus and the like (or "
     "ADDRESS:PORT)",
     CW_CAPTURE, WORD(live.metrics)},
    {0, "control", "PATH",
     "a socket there tells how the capture goes, and takes orders (stats, control)",
     CW_CAPTURE | CW_STATUS, WORD(live.control)},
    {0, "duration", "SECONDS", "stop after that time (bench: 2)", CW_CAPTURE | CW_BENCH,
     SECONDS(live.duration_ms, 366 * DAY)},
    {0, "drain-timeout", "SECONDS",
     "that writing what was captured may take after the end (default: 10)", CW_CAPTURE,
     SECONDS(live.drain_ms, DAY)},
    {'Z', "relinquish-privileges", "USER",
     "become this user once devices are open (default for root: nobody; root: stay)", CW_CAPTURE,
     WORD(live.user)},
    {0, "pin", "auto|LIST",
     "threads to cores: a list such as 0-3,8 (capture threads first), or auto", CW_CAPTURE,
     WORD(live.pin)},
    {0, "realtime", "PRIORITY", "of capture threads, SCHED_FIFO (1 to 99)", CW_CAPTURE,
     AMOUNT(live.realtime, CW_WHOLE, 1, 1, 99)},
    {0, "huge-pages", NULL, "ask for them for the output's memory", CW_CAPTURE,
     FLAG(live.huge_pages)},
    {0, "buffer", "SIZE", "memory for output chunks (default: 64MiB)", BOTH,
     AMOUNT(output.buffer_bytes, CW_SIZE, 1, 1024, TIB)},
    {0, "chunk-size", "SIZE", NULL, BOTH, OWN(cw_option_take_chunk),
     .to = TO(output.chunk_bytes, uint64_t), .amount = {CW_SIZE, 1, 512, GIB}},
    {0, "batch-size", "SIZE", NULL, BOTH, AMOUNT(output.batch_bytes, CW_SIZE, 1, 1, GIB)},
    {0, "batch-packets", "N", NULL, BOTH, AMOUNT(output.batch_packets, CW_COUNT, 1, 1, 1u << 20)},
    {0, "profile", "NAME", "imix (default), small, large or mix; bench: several",
     CW_GENERATE | CW_BENCH, WORD(traffic.profile)},
    {0, "packets", "N",
     "how many (default: 1000000; bench filter, decode: the first 100000; bench ring: 5000000; "
     "bench write: 128 MiB)",
     CW_GENERATE | CW_BENCH, AMOUNT(traffic.packets, CW_COUNT, 1, 0, UINT64_MAX),
     .preset = 1000000},
    {0, "rule-count", "N",
     "bench split, capture: so many rules made up instead of -R (default: 8; capture: 1,8); "
     "several numbers",
     CW_BENCH, WORD(bench.rule_counts)},
    {0, "frame-size", "BYTES",
     "bench capture, write: of frames (default: 60,1514); several numbers", CW_BENCH,
     WORD(bench.frame_sizes)},
    {0, "repeat", "N", "rounds to measure (default: 5; filter, decode: 9; capture: 3)", CW_BENCH,
     AMOUNT(bench.repeat, CW_COUNT, 1, 1, CW_REPEAT_MAX)},
    {0, "lazy", NULL, "bench decode: the first phase stops behind the transport layer", CW_BENCH,
     FLAG(bench.lazy)},
    {0, "print-errors", NULL, "bench decode: print what could not be decoded", CW_BENCH,
     FLAG(bench.print_errors)},
    {0, "print-layers", NULL, "bench decode: print each packet's layers", CW_BENCH,
     FLAG(bench.print_layers)},
    {0, "gopacket-compat", NULL,
     "bench decode: count layers and packets as gopacket's benchmark does", CW_BENCH,
     FLAG(bench.gopacket_compat)},
    {0, "seed", "N", "other numbers give other traffic (default: 1)", CW_GENERATE | CW_BENCH,
     AMOUNT(traffic.seed, CW_WHOLE, 1, 0, UINT64_MAX), .preset = 1},
    {0, "speed", "FACTOR", "send so many times as fast as the packets' times say (default: 1)",
     CW_REPLAY, OWN(cw_option_take_speed)},
    {0, "pps", "N", "send N packets a second instead (bench: instead of all that can be)",
     CW_REPLAY | CW_BENCH, AMOUNT(send.rate, CW_COUNT, 1, 1, CW_NS_PER_S)},
    {0, "topspeed", NULL, "send as fast as the device takes them instead", CW_REPLAY,
     FLAG(send.topspeed)},
    {0, "loop", "N", "send everything N times (default: 1; 0: until a signal comes)", CW_REPLAY,
     AMOUNT(send.rounds, CW_COUNT, 1, 0, UINT64_MAX), .preset = 1},
    {0, "cut", "skip|send",
     "packets whose bytes are not all in the file: skip (default, and exit 1), or send what is "
     "there",
     CW_REPLAY, CHOICE(send.sends_cut, 0, NULL)},
    {0, "mode", "MODE",
     "basic (default): packets are seen; filtered: a filter passes what it should; timestamp: "
     "times are right",
     CW_SELFTEST, CHOICE(selftest.mode, 0, "basic|filtered|timestamp")},
    {0, "own-cable", NULL, "test on a virtual cable made for it, which touches no device",
     CW_SELFTEST, FLAG(selftest.own_cable)},
    {0, "help", NULL, "print this",
     BOTH | CW_CHECK | CW_GENERATE | CW_INSPECT | CW_BENCH | CW_DEVICES | CW_REPLAY | CW_SELFTEST |
	 CW_REPAIR | CW_STATUS,
     .kind = CW_OPTION_HELP},
    /* Letters that mean what tcpdump means by them, and are to come. */
    {'U', NULL, NULL, NULL, CW_NOT_YET, .kind = CW_OPTION_NOTHING},
};

const size_t cw_option_row_count = CW_ARRAY_COUNT(cw_option_rows);
static_assert(CW_ARRAY_COUNT(cw_option_rows) <= CW_OPTION_ROWS_MAX, "raise the limit");

const struct cw_command_text cw_command_texts[] = {
    {CW_SPLIT,
     "capweir split -r FILE... (-f EXPR -w FILE)... | -R RULES [options] [EXPR]\n"
     "       capweir -r FILE -w FILE [EXPR]",
     "Split capture files: each rule's packets to its own file, in one pass."},
    {CW_CAPTURE,
     "capweir capture -i DEV... (-f EXPR -w FILE)... | -R RULES [options] [EXPR]\n"
     "       capweir -i DEV -w FILE [EXPR]",
     "Capture from devices, each rule's packets to its own file. Ends with -c, --duration or a\n"
     "signal; the first one writes what was captured."},
    {CW_DEVICES, "capweir devices [-i DEV] [--json]\n       capweir -D | -L -i DEV | -J -i DEV",
     "List what can be captured from; or, with -i, say all about one device."},
    {CW_REPLAY, "capweir replay -r FILE... -i DEV [--speed X | --pps N | --topspeed] [options]",
     "Send the packets of capture files on a device. Needs CAP_NET_RAW. Exit 1 when any was not\n"
     "sent, 130 when a signal ended it."},
    {CW_SELFTEST, "capweir selftest [-i DEV | --own-cable] [--mode MODE] [--json]",
     "Test that capture works: sends a few frames, meant for nobody, and looks whether and how\n"
     "they are seen. Without -i each device in turn, loopback last; exit 0 on the first success,\n"
     "1 if there is none."},
    {CW_CHECK, "capweir check RULES [options]", "Check a rules file; writes nothing."},
    {CW_GENERATE, "capweir generate -w FILE [options]",
     "Generate deterministic, realistic traffic: the same seed gives the same bytes."},
    {CW_INSPECT,
     "capweir inspect FILE... [options]\n"
     "       capweir inspect filter [-R RULES] [EXPR]... [options]",
     "Say what is in capture files: format, link types, packets, times, damage. Or what becomes "
     "of\nfilters, each argument being one expression: their classic BPF, and the decision "
     "program of all\n(core/filter/FILTERS.md explains it). A file called filter is ./filter."},
    {CW_REPAIR, "capweir repair FILE... [options]",
     "Cut what a kill, a crash or a full disk left behind a capture file's last whole record, "
     "hidden\n"
     ".part files too. Whole files, and damage with more data behind it, stay as they are."},
    {CW_STATUS, "capweir stats --control PATH [--json]",
     "Say how a capture goes that was started with the same --control."},
    {CW_STATUS, "capweir top --control PATH",
     "Show it as bars that move: queues, workers, outputs, losses where they occur, and the\n"
     "bottleneck. q ends it."},
    {CW_STATUS, "capweir control --control PATH COMMAND [ARGUMENT]",
     "Have a running capture do something: reload, rules, rotate [RULE], flush, stop, stats, or\n"
     "log note|warning|problem. The answer is JSON. Exit 1: it says no."},
    {CW_BENCH,
     "capweir bench split [FILE] [-R RULES] [options]\n"
     "       capweir bench capture [-i DEV [-i SENDER]] [-R RULES] [options]\n"
     "       capweir bench ring | write | limits [options]\n"
     "       capweir bench filter -r FILE -R RULES [options]\n"
     "       capweir bench decode [FILE] [options]",
     "Measure, and say what fraction of this machine's limits that is.\n"
     "split: the whole pipeline on FILE, or on traffic made for it, in turns with what one writes\n"
     "with libpcap. capture: live, on a virtual cable where a process of its own sends; or on "
     "DEV,\n"
     "what comes there or is sent on SENDER. ring: handing packets from thread to thread. write:\n"
     "writing capture files. limits: the machine's own rates.\n"
     "filter: what the rules' filters cost a packet of the file, by every engine and by libpcap,\n"
     "in turns; and whether all agree. decode: what decoding costs a packet of FILE (default:\n"
     "capweir_benchmark.pcap in the temporary folder, made when absent): all layers, chosen\n"
     "layers, TCP streams, flows."},
};

const size_t cw_command_text_count = CW_ARRAY_COUNT(cw_command_texts);
