/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>

#include "core/base/base.h"
#include "tools/options/table.h"

#define BOTH (CW_SPLIT | CW_CAPTURE)

const struct cw_option_row cw_option_rows[] = {
    {'r', "read", "FILE",
     "read a capture file (pcap, pcapng, .gz, .zst; - is standard input); "
     "several are read one after the other",
     CW_SPLIT | CW_CHECK | CW_BENCH | CW_REPLAY},
    {'i', "interface", "DEV",
     "the device, or its number in -D's list; several are captured side by "
     "side",
     CW_CAPTURE | CW_DEVICES | CW_REPLAY | CW_SELFTEST | CW_BENCH},
    {'f', "filter", "EXPR",
     "a rule's filter, in tcpdump's language; 'unmatched' takes what no "
     "other rule took",
     BOTH},
    {'w', "write", "FILE",
     "a rule's output: the k-th -w belongs to the k-th -f; - is standard "
     "output",
     BOTH | CW_GENERATE},
    {'R', "rules", "FILE", "read rules from a YAML file", BOTH | CW_INSPECT | CW_BENCH},
    {'o', "directory", "DIR",
     "put relative outputs there (bench: what is written meanwhile; default: "
     "the temporary folder)",
     BOTH | CW_BENCH},
    {'F', "filter-file", "FILE", "read the filter expression from a file", BOTH},
    {'t', "threads", "N",
     "worker threads (default: the cores it may use; bench: several numbers, "
     "separated by commas)",
     BOTH | CW_BENCH},
    {'c', "count", "N", "stop after N packets that a rule's filter matched", BOTH},
    {'s', "snaplen", "BYTES", "cut packets to so many bytes when writing", BOTH},
    {'y', "linktype", "TYPE", "take the packets for this link type (EN10MB, RAW, 113, ...)",
     CW_SPLIT | CW_CHECK | CW_INSPECT | CW_BENCH | CW_REPLAY},
    {'C', "file-size", "SIZE",
     "start a new file before one grows beyond SIZE (millions of "
     "bytes; k, m, g: KiB, MiB, GiB)",
     BOTH},
    {'b', "ring-buffer", "KEY:N",
     "filesize:N (kB), packets:N, duration:S or interval:S (at "
     "multiples of S seconds since 1970): start a new file at that "
     "limit; files:N: keep the last N",
     BOTH},
    {'W', "file-count", "COUNT",
     "with -C or -b: keep the last COUNT files, remove older ones of this "
     "run",
     BOTH},
    {'G', "rotate-seconds", "SECONDS", "start a new file when one's first packet is so long ago",
     BOTH},
    {'z', "hook", "COMMAND",
     "run this program, without a shell, with the name of each complete file", BOTH},
    {OPTION_HOOK_TIME, "hook-timeout", "SECONDS", "kill one that takes longer (default: 60)", BOTH},
    {'n', "numeric", NULL, "accepted: names are never looked up", BOTH},
    {'O', "no-optimize", NULL, "do not optimise filter programs",
     BOTH | CW_CHECK | CW_INSPECT | CW_BENCH},
    {'d', "dump", NULL,
     "inspect filter: print the expressions' classic BPF only, as tcpdump -d; "
     "-dd as C, -ddd as numbers",
     CW_INSPECT},
    {OPTION_DOT, "dot", NULL,
     "inspect filter: print the decision program as a graph for "
     "Graphviz",
     CW_INSPECT},
    {OPTION_FULL, "full", NULL, "inspect filter: cut nothing, however long", CW_INSPECT},
    {'q', "quiet", NULL, "no table and no progress line", BOTH | CW_REPLAY},
    {OPTION_JSON, "json", NULL, "the report as JSON on standard output",
     BOTH | CW_INSPECT | CW_BENCH | CW_DEVICES | CW_REPLAY | CW_SELFTEST | CW_REPAIR | CW_STATUS},
    {OPTION_DRY_RUN, "dry-run", NULL,
     "say what would be cut, and change nothing; exit 1 if there is "
     "something",
     CW_REPAIR},
    {OPTION_NO_CLOBBER, "no-clobber", NULL, "refuse to replace existing files", BOTH | CW_GENERATE},
    {OPTION_SYNC, "sync", "off|close",
     "close: flush each file to the disk before it gets its "
     "name (default: off for files, close "
     "for live capture)",
     BOTH},
    {OPTION_DIRECT, "direct", "auto|on|off",
     "on: write past the page cache, so that it stays as it "
     "is (auto: when live)",
     BOTH},
    {OPTION_UTC, "utc", NULL, "times in file names are UTC, not local", BOTH},
    {OPTION_PRECISION, "time-precision", "us|ns",
     "of .pcap outputs (default: ns when an input "
     "has ns)",
     BOTH | CW_GENERATE},
    {OPTION_RESOLVE, "resolve", NULL, "let filters name hosts (the lookup can block)",
     BOTH | CW_CHECK | CW_INSPECT | CW_BENCH},
    {OPTION_ENGINE, "filter-engine", "NAME", "auto, jit, walker, sequential or libpcap", BOTH},
    {OPTION_FILTER_TIME, "filter-time", "SECONDS",
     "that compiling one filter may take (default: "
     "1); then it is tried unoptimised",
     BOTH | CW_CHECK | CW_INSPECT | CW_BENCH},
    {OPTION_FILTER_MEMORY, "filter-memory", "SIZE", "likewise (default: 256MiB)",
     BOTH | CW_CHECK | CW_INSPECT | CW_BENCH},
    {OPTION_VERIFY, "verify-filters", "[=1/N]",
     "check one packet in N (default: 100) against "
     "libpcap; any difference is exit 1",
     BOTH},
    {'D', "list-interfaces", NULL, "list devices with their numbers, as tcpdump -D", BOTH},
    {'L', "list-data-link-types", NULL, "list the link types of the device -i", CW_CAPTURE},
    {'J', "list-time-stamp-types", NULL, "list the timestamp types of the device -i", CW_CAPTURE},
    {'p', "no-promiscuous-mode", NULL, "take what is meant for this host only", CW_CAPTURE},
    {'Q', "direction", "WAY", "in, out or inout (default)", CW_CAPTURE},
    {'j', "time-stamp-type", "CLOCK", "host (default) or adapter", CW_CAPTURE},
    {'B', "buffer-size", "KIB", "size of each queue's ring (default: 65536)", CW_CAPTURE},
    {OPTION_QUEUES, "queues", "N",
     "capture threads, each with a ring (default: by the device's "
     "queues and the cores; bench: 1, or several "
     "numbers)",
     CW_CAPTURE | CW_BENCH},
    {OPTION_FANOUT, "fanout", "HOW",
     "which queue gets a packet: hash (default: by flow), cpu, "
     "qm, lb or rollover",
     CW_CAPTURE},
    {OPTION_BACKEND, "backend", "HOW",
     "auto (default: packet, or pcap where that cannot read the "
     "device), packet, pcap or xdp (takes the packets away "
     "from the system); bench: packet or xdp",
     CW_CAPTURE | CW_BENCH},
    {OPTION_BLOCK, "block-size", "SIZE", "of the ring's blocks (default: 1MiB)", CW_CAPTURE},
    {OPTION_RETIRE, "block-timeout", "MS",
     "a block waits so long for more packets (default: "
     "20)",
     CW_CAPTURE},
    {OPTION_ORDER, "order", "arrival|time",
     "arrival (default): packets of one queue stay in order; "
     "time: all are merged by their times",
     CW_CAPTURE},
    {OPTION_KERNEL_FILTER, "kernel-filter", "auto|off",
     "auto (default): where one filter says what "
     "is written, the kernel leaves out the "
     "rest unseen",
     CW_CAPTURE},
    {OPTION_MAX_DROP, "max-drop", "N", "more packets dropped by the kernel are exit 3", CW_CAPTURE},
    {OPTION_STATS, "stats", "SECONDS", "print counters so often (with --json as JSON lines)",
     CW_CAPTURE},
    {OPTION_METRICS, "metrics", "PORT",
     "serve metrics at http://127.0.0.1:PORT/metrics, for "
     "Prometheus and the like (or ADDRESS:PORT)",
     CW_CAPTURE},
    {OPTION_CONTROL, "control", "PATH",
     "a socket there tells how the capture goes, and takes orders "
     "(stats, control)",
     CW_CAPTURE | CW_STATUS},
    {OPTION_DURATION, "duration", "SECONDS", "stop after that time (bench: 2)",
     CW_CAPTURE | CW_BENCH},
    {OPTION_DRAIN, "drain-timeout", "SECONDS",
     "that writing what was captured may take after "
     "the end (default: 10)",
     CW_CAPTURE},
    {'Z', "relinquish-privileges", "USER",
     "become this user once devices are open (default for root: "
     "nobody; root: stay)",
     CW_CAPTURE},
    {OPTION_PIN, "pin", "auto|LIST",
     "threads to cores: a list such as 0-3,8 (capture threads first), "
     "or auto",
     CW_CAPTURE},
    {OPTION_REALTIME, "realtime", "PRIORITY", "of capture threads, SCHED_FIFO (1 to 99)",
     CW_CAPTURE},
    {OPTION_HUGE_PAGES, "huge-pages", NULL, "ask for them for the output's memory", CW_CAPTURE},
    {OPTION_BUFFER, "buffer", "SIZE", "memory for output chunks (default: 64MiB)", BOTH},
    {OPTION_CHUNK, "chunk-size", "SIZE", NULL, BOTH},
    {OPTION_BATCH_BYTES, "batch-size", "SIZE", NULL, BOTH},
    {OPTION_BATCH_PACKETS, "batch-packets", "N", NULL, BOTH},
    {OPTION_PROFILE, "profile", "NAME", "imix (default), small, large or mix; bench: several",
     CW_GENERATE | CW_BENCH},
    {OPTION_PACKETS, "packets", "N",
     "how many (default: 1000000; bench filter, decode: the first "
     "100000; bench ring: 5000000; bench write: 128 MiB)",
     CW_GENERATE | CW_BENCH},
    {OPTION_RULE_COUNT, "rule-count", "N",
     "bench split, capture: so many rules made up instead of "
     "-R (default: 8; capture: 1,8); several numbers",
     CW_BENCH},
    {OPTION_FRAME_SIZE, "frame-size", "BYTES",
     "bench capture, write: of frames (default: 60,1514); "
     "several numbers",
     CW_BENCH},
    {OPTION_REPEAT, "repeat", "N", "rounds to measure (default: 5; filter, decode: 9; capture: 3)",
     CW_BENCH},
    {OPTION_LAZY, "lazy", NULL, "bench decode: the first phase stops behind the transport layer",
     CW_BENCH},
    {OPTION_PRINT_ERRORS, "print-errors", NULL, "bench decode: print what could not be decoded",
     CW_BENCH},
    {OPTION_PRINT_LAYERS, "print-layers", NULL, "bench decode: print each packet's layers",
     CW_BENCH},
    {OPTION_GOPACKET_COMPAT, "gopacket-compat", NULL,
     "bench decode: count layers and packets as "
     "gopacket's benchmark does",
     CW_BENCH},
    {OPTION_SEED, "seed", "N", "other numbers give other traffic (default: 1)",
     CW_GENERATE | CW_BENCH},
    {OPTION_SPEED, "speed", "FACTOR",
     "send so many times as fast as the packets' times say "
     "(default: 1)",
     CW_REPLAY},
    {OPTION_PPS, "pps", "N", "send N packets a second instead (bench: instead of all that can be)",
     CW_REPLAY | CW_BENCH},
    {OPTION_TOPSPEED, "topspeed", NULL, "send as fast as the device takes them instead", CW_REPLAY},
    {OPTION_LOOP, "loop", "N", "send everything N times (default: 1; 0: until a signal comes)",
     CW_REPLAY},
    {OPTION_CUT, "cut", "skip|send",
     "packets whose bytes are not all in the file: skip (default, "
     "and exit 1), or send what is there",
     CW_REPLAY},
    {OPTION_MODE, "mode", "MODE",
     "basic (default): packets are seen; filtered: a filter passes what "
     "it should; timestamp: times are right",
     CW_SELFTEST},
    {OPTION_OWN_CABLE, "own-cable", NULL,
     "test on a virtual cable made for it, which touches no "
     "device",
     CW_SELFTEST},
    {OPTION_HELP, "help", NULL, "print this",
     BOTH | CW_CHECK | CW_GENERATE | CW_INSPECT | CW_BENCH | CW_DEVICES | CW_REPLAY | CW_SELFTEST |
	 CW_REPAIR | CW_STATUS},
    /* Letters that mean what tcpdump means by them, and are to come. */
    {'U', NULL, NULL, NULL, CW_NOT_YET},
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
     "program of all\n(core/filter/README.md explains it). A file called filter is ./filter."},
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

bool cw_option_is_optional(const struct cw_option_row *row)
{
	return row->argument && row->argument[0] == '[';
}

static void print_row(FILE *file, const struct cw_option_row *row)
{
	char left[64];

	if (row->id < CW_LETTERLESS)
		snprintf(left, sizeof(left), "-%c, --%s%s%s", row->id, row->name,
			 row->argument ? " " : "", row->argument ? row->argument : "");
	else
		snprintf(left, sizeof(left), "    --%s%s%s", row->name,
			 row->argument && !cw_option_is_optional(row) ? " " : "",
			 row->argument ? row->argument : "");
	fprintf(file, "  %-28s %s\n", left, row->help);
}

void cw_options_help(FILE *file, enum cw_command command)
{
	size_t index;

	for (index = 0; index < cw_command_text_count; index++) {
		if (cw_command_texts[index].command & command)
			fprintf(file, "usage: %s\n\n%s\n\n", cw_command_texts[index].usage,
				cw_command_texts[index].what);
	}
	for (index = 0; index < cw_option_row_count; index++) {
		if ((cw_option_rows[index].commands & (unsigned)command) &&
		    cw_option_rows[index].help)
			print_row(file, &cw_option_rows[index]);
	}
}
