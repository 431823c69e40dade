/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <string.h>

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

/* Offset of a field, which must be of this type. */
#define TO(field, type)                                                                     \
	(offsetof(struct cw_arguments, field) +                                             \
	 0 * sizeof(struct {                                                                \
		 static_assert(                                                             \
		     _Generic(((struct cw_arguments *)NULL)->field, type : 1, default : 0), \
		     #field " is of another type");                                         \
		 int unused;                                                                \
	 }))

/* Ends of rows. Amounts: kind, unit of a bare number, least, most. */
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
#define MODE(field, ...) OWN(cw_option_take_mode), .to = TO(field, uint32_t), .amount = __VA_ARGS__

#define BENCH_TRAFFIC (CW_BENCH_SPLIT | CW_BENCH_SERIAL)
#define BENCH_FOLDER (BENCH_TRAFFIC | CW_BENCH_CAPTURE | CW_BENCH_WRITE | CW_BENCH_LIMITS)
#define BENCH_RULES (CW_BENCH_SPLIT | CW_BENCH_CAPTURE)
#define BENCH_FILES (CW_BENCH_FILTER | CW_BENCH_DECODE)
#define BENCH_ROUNDS \
	(BENCH_TRAFFIC | CW_BENCH_CAPTURE | CW_BENCH_RING | CW_BENCH_WRITE | BENCH_FILES)
#define BENCH_ALL (BENCH_ROUNDS | CW_BENCH_LIMITS)
#define COMPILE /* all that compile filters */ \
	(BOTH | CW_CHECK | CW_INSPECT | CW_INSPECT_FILTER | CW_BENCH | CW_BENCH_FILTER)
#define EVERYWHERE                                                                             \
	(BOTH | CW_CHECK | CW_GENERATE | CW_INSPECT | CW_INSPECT_FILES | CW_INSPECT_FILTER |   \
	 CW_BENCH | BENCH_ALL | CW_DEVICES | CW_REPLAY | CW_SELFTEST | CW_REPAIR | CW_STATUS | \
	 CW_STATS | CW_TOP | CW_CONTROL)
#define COMMON .is_common = true

static_assert(CW_LIVE_PACKET == 1 && CW_LIVE_PCAP == 2 && CW_LIVE_XDP == 3 && CW_LIVE_IN == 1 &&
		  CW_LIVE_OUT == 2 && CW_LIVE_CLOCK_ADAPTER == 1 && CW_FANOUT_CPU == 1 &&
		  CW_FANOUT_QM == 2 && CW_FANOUT_LB == 3 && CW_FANOUT_ROLLOVER == 4,
	      "choices are numbered as they are listed");

const char *const cw_option_group_names[CW_GROUPS] = {
    [CW_GROUP_INPUT] = "Input",         [CW_GROUP_RULES] = "Rules and filters",
    [CW_GROUP_OUTPUT] = "Output files", [CW_GROUP_ROTATION] = "Rotation and file rings",
    [CW_GROUP_LIVE] = "Live capture",   [CW_GROUP_WATCH] = "Statistics and control",
    [CW_GROUP_SEND] = "Sending",        [CW_GROUP_TRAFFIC] = "Traffic",
    [CW_GROUP_BENCH] = "Measurement",   [CW_GROUP_PERFORMANCE] = "Performance",
    [CW_GROUP_REPORT] = "Report",
};

const struct cw_option_row cw_option_rows[] = {
    {'r', "read", "FILE", CW_GROUP_INPUT,
     CW_SPLIT | CW_CHECK | CW_REPLAY | CW_BENCH | BENCH_TRAFFIC | BENCH_FILES,
     "read this capture file; may be repeated", WORDS(inputs), COMMON,
     .more = "pcap or pcapng, plain or compressed (.gz, .zst); - is standard input. Several files "
	     "are read one after the other."},
    {'V', "input-list", "LIST", CW_GROUP_INPUT, CW_SPLIT, "read the capture files named in LIST",
     .kind = CW_OPTION_OWN, .to = TO(lists, struct cw_words), .take = cw_option_take_list,
     .more = "A text file with one name a line; - is standard input."},
    {'i', "interface", "IFACE", CW_GROUP_INPUT,
     CW_CAPTURE | CW_CHECK | CW_DEVICES | CW_REPLAY | CW_SELFTEST | CW_BENCH | CW_BENCH_CAPTURE,
     "capture on this interface; may be repeated", WORDS(devices), COMMON,
     .more = "A name, or a number in the list of -D. Several interfaces are captured at the same "
	     "time."},
    {'y', "linktype", "TYPE", CW_GROUP_INPUT,
     CW_SPLIT | CW_CHECK | CW_REPLAY | CW_INSPECT | CW_INSPECT_FILES | CW_INSPECT_FILTER |
	 CW_BENCH | BENCH_FILES,
     "read packets as this link type", WORD(filter.linktype),
     .more = "A name or number of pcap-linktype(7), such as EN10MB, RAW or 113."},
    {0, "resync", NULL, CW_GROUP_INPUT, CW_SPLIT | CW_REPLAY | CW_INSPECT | CW_INSPECT_FILES,
     "continue after damage in an input", FLAG(resyncs),
     .more = "Reads on from the next place with several intact records in a row. The bytes "
	     "between are skipped and reported; the exit status is 1."},
    {'f', "filter", "EXPR", CW_GROUP_RULES, BOTH, "select the packets of one rule; repeatable",
     WORDS(rules.filters), COMMON,
     .more =
	 "EXPR is in tcpdump's language, pcap-filter(7). 'unmatched' selects packets that match "
	 "no other rule. The first -f belongs to the first -w, the second to the second.",
     .habit = "tcpdump's -f is not needed here"},
    {'R', "rules", "RULES", CW_GROUP_RULES,
     BOTH | CW_INSPECT | CW_INSPECT_FILTER | CW_BENCH | BENCH_RULES | CW_BENCH_FILTER,
     "read rules from a YAML file", WORD(rules.file), COMMON,
     .more = "capweir-rules(5) describes the file."},
    {'F', "filter-file", "FILE", CW_GROUP_RULES, BOTH, "read the global filter, EXPR, from a file",
     WORD(filter.file)},
    {'O', "no-optimize", NULL, CW_GROUP_RULES, COMPILE, "do not optimise filter programs",
     FLAG(filter.unoptimized)},
    {0, "resolve", NULL, CW_GROUP_RULES, COMPILE, "allow host names in filters",
     FLAG(filter.resolve), .more = "Looking a name up can block."},
    {0, "filter-engine", "NAME", CW_GROUP_RULES, BOTH, "run filters with this engine",
     CHOICE(filter.engine, CW_ENGINE_AUTO, "auto|jit|walker|sequential|libpcap"),
     .preset_text = "auto",
     .more = "jit runs one decision program for all filters as machine code, walker interprets it; "
	     "sequential and libpcap run one filter after the other. All write the same files."},
    {0, "filter-time", "SECONDS", CW_GROUP_RULES, COMPILE, "limit the CPU time to compile a filter",
     SECONDS(filter.time_ms, CW_COMPILER_TIME_MS_MAX *MS), .preset_text = "1",
     .more = "After that time the filter is compiled again, without optimisation."},
    {0, "filter-memory", "SIZE", CW_GROUP_RULES, COMPILE, "limit memory to compile a filter",
     AMOUNT(filter.memory_bytes, CW_SIZE, 1, MIB, TIB), .preset_text = "256MiB"},
    {0, "verify-filters", "[=1/N]", CW_GROUP_RULES, BOTH, "check 1 packet in N by libpcap",
     OWN(cw_option_take_verify), .preset_text = "1/100",
     .more = "Any difference makes the exit status 1."},
    {'d', "dump", NULL, CW_GROUP_RULES, BOTH | CW_INSPECT | CW_INSPECT_FILTER,
     "print only the classic BPF, as tcpdump -d", .kind = CW_OPTION_TALLY,
     .to = TO(filter.dumps, uint64_t), COMMON, .more = "-dd prints C, -ddd numbers.",
     .habit = "capweir inspect filter -d EXPR prints programs"},
    {0, "dot", NULL, CW_GROUP_RULES, CW_INSPECT | CW_INSPECT_FILTER,
     "print the decision program for Graphviz", FLAG(filter.dot), COMMON},
    {0, "full", NULL, CW_GROUP_RULES, CW_INSPECT | CW_INSPECT_FILTER,
     "print everything, however long", FLAG(filter.full), COMMON},
    {'w', "write", "FILE", CW_GROUP_OUTPUT, BOTH | CW_GENERATE,
     "write the packets of one rule; repeatable", WORDS(rules.writes), COMMON,
     .more =
	 "A name that ends in .pcapng gives pcapng, any other pcap; .zst after that compresses. "
	 "- is standard output. {rule}, {iface}, {seq} and strftime(3) conversions are "
	 "replaced."},
    {'o', "directory", "DIR", CW_GROUP_OUTPUT, BOTH | CW_CHECK | CW_BENCH | BENCH_FOLDER,
     "create relative outputs in DIR", WORD(output.directory)},
    {'c', "count", "N", CW_GROUP_OUTPUT, BOTH, "stop after N packets that a rule matched",
     AMOUNT(output.packet_count, CW_COUNT, 1, 1, UINT64_MAX), COMMON,
     .more = "The long form is --count=N. --count alone prints the number of packets that a rule "
	     "matched, as in tcpdump; it needs no output.",
     .fades = "from version 0.3 on, --count takes no value, as in tcpdump",
     .alone = TO(output.counts, bool)},
    {'s', "snaplen", "BYTES", CW_GROUP_OUTPUT, BOTH, "truncate packets to BYTES when writing",
     AMOUNT(output.snaplen, CW_SIZE, 1, 0, UINT32_MAX - 1), .more = "0 keeps all bytes."},
    {0, "discard-secrets", NULL, CW_GROUP_OUTPUT, CW_SPLIT, "leave out decryption secrets",
     FLAG(output.discards_secrets), .more = "Also for rules with secrets: keep."},
    {'U', "packet-buffered", NULL, CW_GROUP_OUTPUT, BOTH, "write packets as soon as they are read",
     FLAG(output.packet_buffered),
     .more = "Without -U, packets of a slow input can wait for a second. -l does the same."},
    {0, "no-clobber", NULL, CW_GROUP_OUTPUT, BOTH | CW_GENERATE, "refuse to replace existing files",
     FLAG(output.no_clobber)},
    {0, "sync", "off|close", CW_GROUP_OUTPUT, BOTH, "flush each file before naming it",
     CHOICE(output.sync, CW_SYNC_OFF, NULL), .preset_text = "off",
     .more = "close: each file is on the disk before it gets its final name."},
    {0, "direct", "auto|on|off", CW_GROUP_OUTPUT, BOTH, "write around the page cache",
     CHOICE(output.direct, 0, NULL), .preset_text = "auto",
     .more = "auto: in live capture only, for files that fill fast."},
    {0, "utc", NULL, CW_GROUP_OUTPUT, BOTH, "use UTC in file names, not local time",
     FLAG(output.utc)},
    {0, "file-mode", "MODE", CW_GROUP_OUTPUT, BOTH, "give files this mode, such as 0640",
     MODE(rules.file_mode, CW_FILE_MODES), .preset_text = "0600",
     .more = "Octal, from 0600 to 0666, whatever the umask. For rules without file_mode."},
    {0, "folder-mode", "MODE", CW_GROUP_OUTPUT, BOTH, "give folders that names make this mode",
     MODE(rules.folder_mode, CW_FOLDER_MODES), .preset_text = "0700",
     .more = "Octal, from 0700 to 0777, whatever the umask. For rules without folder_mode."},
    {0, "group", "GROUP", CW_GROUP_OUTPUT, BOTH, "give files and folders to this group",
     WORD(rules.group),
     .more = "A name or number, of a group of the user who starts capweir unless that is root. For "
	     "rules without group."},
    {0, "time-precision", "us|ns", CW_GROUP_OUTPUT, BOTH | CW_GENERATE,
     "set the timestamps of .pcap outputs", CHOICE(output.precision, CW_PRECISION_US, NULL),
     .more = "Default: ns if an input has nanoseconds, else us."},
    {'C', "file-size", "SIZE", CW_GROUP_ROTATION, BOTH, "start a new file before it exceeds SIZE",
     AMOUNT(rules.rotate_bytes, CW_SIZE, 1000000, 1, UINT64_MAX), COMMON,
     .more = "A bare number is in millions of bytes; k, m and g are KiB, MiB and GiB."},
    {'G', "rotate-seconds", "SECONDS", CW_GROUP_ROTATION, BOTH, "start a new file after SECONDS",
     OWN(cw_option_take_period), COMMON,
     .more = "SECONDS count from the first packet of the current file."},
    {'W', "file-count", "COUNT", CW_GROUP_ROTATION, BOTH, "keep the last COUNT files of a rule",
     AMOUNT(rules.ring_files, CW_COUNT, 1, 1, INT64_MAX), COMMON,
     .more = "With -G and without -C: stop after COUNT files, as tcpdump does. With -C or -b older "
	     "files are removed, in live capture also those of earlier runs."},
    {0, "adopt", NULL, CW_GROUP_ROTATION, CW_CAPTURE, "add all files of a file ring's names to it",
     FLAG(output.adopts_all), .more = "Without it, only files of earlier runs with its list."},
    {0, "no-adopt", NULL, CW_GROUP_ROTATION, CW_CAPTURE, "leave files of earlier runs alone",
     FLAG(output.adopts_none)},
    {'b', "ring-buffer", "KEY:N", CW_GROUP_ROTATION, BOTH, "limit files as dumpcap -b does",
     OWN(cw_option_take_ring),
     .more = "filesize:N (kB), packets:N, duration:S or interval:S (multiples of S seconds since "
	     "1970) start a new file at that limit; files:N keeps the last N files.",
     .habit = "tcpdump's -b is for printing and not needed here"},
    {'a', "autostop", "KEY:N", CW_GROUP_ROTATION, BOTH, "stop as dumpcap -a does",
     OWN(cw_option_take_autostop),
     .more = "duration:S (live), filesize:N (kB, of the first file), packets:N, or files:N: when "
	     "the first rule has N complete files."},
    {'z', "hook", "COMMAND", CW_GROUP_ROTATION, BOTH, "run COMMAND with each complete file",
     WORD(rules.hook),
     .more = "A program, started without a shell; its only argument is the file's name."},
    {0, "hook-timeout", "SECONDS", CW_GROUP_ROTATION, BOTH, "kill a hook that runs longer",
     SECONDS(rules.hook_ms, DAY), .preset_text = "60"},
    {0, "hook-user", "USER", CW_GROUP_ROTATION, CW_CAPTURE | CW_CHECK,
     "run hooks as USER, who gets their files", WORD(live.hook_user),
     .preset_text = "owner of files",
     .more = "Applies if root starts capweir. Hooks for files of root need it, or -Z root."},
    {'D', "list-interfaces", NULL, CW_GROUP_LIVE, BOTH, "list interfaces with their numbers",
     FLAG(live.lists_devices), .unlisted = CW_SPLIT},
    {'L', "list-data-link-types", NULL, CW_GROUP_LIVE, CW_CAPTURE,
     "list the link types of the interface", FLAG(live.lists_linktypes)},
    {'J', "list-time-stamp-types", NULL, CW_GROUP_LIVE, CW_CAPTURE,
     "list the timestamp types of the interface", FLAG(live.lists_clocks)},
    {'p', "no-promiscuous-mode", NULL, CW_GROUP_LIVE, CW_CAPTURE,
     "capture only packets meant for this host", FLAG(live.not_promiscuous)},
    {'Q', "direction", "WAY", CW_GROUP_LIVE, CW_CAPTURE, "capture packets of this direction",
     CHOICE(live.direction, CW_LIVE_BOTH, "inout|in|out"), .preset_text = "inout"},
    {'j', "time-stamp-type", "CLOCK", CW_GROUP_LIVE, CW_CAPTURE, "use timestamps of this clock",
     CHOICE(live.clock, CW_LIVE_CLOCK_HOST, "host|adapter"), .preset_text = "host"},
    {0, "duration", "SECONDS", CW_GROUP_LIVE, CW_CAPTURE | CW_BENCH | CW_BENCH_CAPTURE,
     "stop after SECONDS", SECONDS(live.duration_ms, 366 * DAY), COMMON},
    {0, "drain-timeout", "SECONDS", CW_GROUP_LIVE, CW_CAPTURE,
     "limit the time to write the rest at the end", SECONDS(live.drain_ms, DAY),
     .preset_text = "10"},
    {'Z', "relinquish-privileges", "USER", CW_GROUP_LIVE, BOTH | CW_CHECK,
     "change to USER after the start", WORD(live.user), COMMON,
     .preset_text = "capweir, else nobody", .unlisted = CW_SPLIT,
     .more = "Applies if root starts capweir; -Z root stays root. split changes only with -Z."},
    {0, "allow-folder", "FOLDER", CW_GROUP_LIVE, CW_CAPTURE,
     "let rules that are read later write below FOLDER", WORDS(live.folders),
     .more = "A reload may add outputs below the folders of the first rules, of -o, and of this "
	     "option; another folder is refused. May be repeated."},
    {0, "backend", "HOW", CW_GROUP_LIVE, CW_CAPTURE | CW_BENCH | CW_BENCH_CAPTURE,
     "capture by this mechanism", CHOICE(live.backend, CW_LIVE_AUTO, "auto|packet|pcap|xdp"),
     .preset_text = "auto",
     .more = "auto: packet sockets, or libpcap if they cannot read the interface. xdp takes the "
	     "packets away from the system's network stack."},
    {0, "queues", "N", CW_GROUP_LIVE, CW_CAPTURE | CW_BENCH | CW_BENCH_CAPTURE,
     "run N capture threads on each interface",
     AMOUNT(live.queues, CW_COUNT, 1, 1, CW_LIVE_QUEUES_MAX),
     .bench_list = TO(bench.queues, const char *),
     .more = "Each has a separate kernel ring. Default: by the interface's queues and the cores."},
    {0, "wait-device", NULL, CW_GROUP_LIVE, CW_CAPTURE,
     "wait for interfaces that are missing or down", FLAG(live.waits_for_devices),
     .more = "The others are captured meanwhile. Without it, capweir ends with exit status 1."},
    {0, "fanout", "HOW", CW_GROUP_LIVE, CW_CAPTURE, "distribute packets to the queues",
     CHOICE(live.fanout, CW_FANOUT_HASH, "hash|cpu|qm|lb|rollover"), .preset_text = "hash",
     .more = "hash: by flow; cpu: by the core that receives; qm: by the hardware queue; lb: in "
	     "turn; rollover: to the first queue with room."},
    {0, "order", "arrival|time", CW_GROUP_LIVE, CW_CAPTURE, "order packets of several queues",
     CHOICE(live.is_time_order, 0, NULL), .preset_text = "arrival",
     .more = "arrival: the packets of one queue stay in order. time: all are merged by "
	     "timestamp."},
    {0, "kernel-filter", "auto|off", CW_GROUP_LIVE, CW_CAPTURE, "filter in the kernel",
     CHOICE(live.no_kernel_filter, 0, NULL), .preset_text = "auto",
     .more = "auto: if one filter decides about all packets, the kernel applies that filter."},
    {'B', "buffer-size", "KIB", CW_GROUP_LIVE, CW_CAPTURE, "set the size of each kernel ring",
     AMOUNT(live.ring_bytes, CW_SIZE, 1024, 1024, TIB), COMMON, .preset_text = "65536"},
    {0, "block-size", "SIZE", CW_GROUP_LIVE, CW_CAPTURE, "set the block size of kernel rings",
     AMOUNT(live.block_bytes, CW_SIZE, 1, 4096, CW_LIVE_BLOCK_BYTES_MAX), .preset_text = "1MiB"},
    {0, "block-timeout", "MS", CW_GROUP_LIVE, CW_CAPTURE, "wait MS for a block to fill",
     TIME(live.retire_ms, MS, CW_LIVE_RETIRE_MS_MAX *MS), .preset_text = "20"},
    {0, "max-drop", "N", CW_GROUP_LIVE, CW_CAPTURE, "exit 3 beyond N kernel drops",
     AMOUNT(live.max_drop, CW_COUNT, 1, 0, UINT64_MAX), .preset = UINT64_MAX,
     .preset_text = "no limit"},
    {0, "stats", "SECONDS", CW_GROUP_WATCH, CW_CAPTURE, "print counters every SECONDS",
     SECONDS(live.stats_ms, DAY), .more = "With --json each line is a JSON object."},
    {0, "control", "PATH", CW_GROUP_WATCH, CW_CAPTURE | CW_STATUS | CW_STATS | CW_TOP | CW_CONTROL,
     "create a control socket at PATH", WORD(live.control),
     .more = "capweir stats, top and control connect to the socket."},
    {0, "metrics", "PORT", CW_GROUP_WATCH, CW_CAPTURE, "serve Prometheus metrics on PORT",
     WORD(live.metrics),
     .more = "At http://127.0.0.1:PORT/metrics; ADDRESS:PORT chooses another address."},
    {0, "service", "NAME", CW_GROUP_WATCH,
     CW_CAPTURE | CW_CHECK | CW_STATUS | CW_STATS | CW_TOP | CW_CONTROL,
     "use the paths of the service capweir@NAME", WORD(service),
     .more = "Rules: /etc/capweir/NAME.yaml, -o: /var/lib/capweir/NAME, --control: "
	     "/run/capweir/NAME/control, -i: NAME. The rules file and other options win."},
    {0, "speed", "FACTOR", CW_GROUP_SEND, CW_REPLAY, "send FACTOR times as fast as the timestamps",
     OWN(cw_option_take_speed), COMMON, .preset_text = "1"},
    {0, "pps", "N", CW_GROUP_SEND, CW_REPLAY | CW_BENCH | CW_BENCH_CAPTURE,
     "send N packets a second", AMOUNT(send.rate, CW_COUNT, 1, 1, CW_NS_PER_S), COMMON},
    {0, "topspeed", NULL, CW_GROUP_SEND, CW_REPLAY, "send as fast as the interface can",
     FLAG(send.topspeed), COMMON},
    {0, "loop", "N", CW_GROUP_SEND, CW_REPLAY, "send everything N times",
     AMOUNT(send.rounds, CW_COUNT, 1, 0, UINT64_MAX), .preset = 1, .preset_text = "1", COMMON,
     .more = "0: until a signal."},
    {0, "cut", "skip|send", CW_GROUP_SEND, CW_REPLAY, "skip or send truncated packets",
     CHOICE(send.sends_cut, 0, NULL), .preset_text = "skip",
     .more = "Truncated packets are those of which the file does not hold all bytes. If any are "
	     "skipped, the exit status is 1."},
    {0, "profile", "NAME", CW_GROUP_TRAFFIC, CW_GENERATE | CW_BENCH | BENCH_TRAFFIC,
     "generate this kind of traffic", WORD(traffic.profile), COMMON,
     .choices = "imix|small|large|mix", .preset_text = "imix"},
    {0, "packets", "N", CW_GROUP_TRAFFIC,
     CW_GENERATE | CW_BENCH | BENCH_TRAFFIC | CW_BENCH_RING | CW_BENCH_WRITE | BENCH_FILES,
     "generate N packets", AMOUNT(traffic.packets, CW_COUNT, 1, 0, UINT64_MAX), COMMON,
     .preset = 1000000, .preset_text = "1000000"},
    {0, "seed", "N", CW_GROUP_TRAFFIC, CW_GENERATE | CW_BENCH | BENCH_TRAFFIC,
     "choose other random numbers", AMOUNT(traffic.seed, CW_WHOLE, 1, 0, UINT64_MAX), COMMON,
     .preset = 1, .preset_text = "1"},
    {0, "rule-count", "N", CW_GROUP_BENCH, CW_BENCH | BENCH_RULES, "make up N rules instead of -R",
     WORD(bench.rule_counts), COMMON, .preset_text = "8",
     .more = "A list of numbers, such as 1,8,100, measures each."},
    {0, "frame-size", "BYTES", CW_GROUP_BENCH, CW_BENCH | CW_BENCH_CAPTURE | CW_BENCH_WRITE,
     "use frames of this size", WORD(bench.frame_sizes), COMMON, .preset_text = "60,1514",
     .more = "A list of numbers measures each."},
    {0, "repeat", "N", CW_GROUP_BENCH, CW_BENCH | BENCH_ROUNDS, "measure N rounds",
     AMOUNT(bench.repeat, CW_COUNT, 1, 1, CW_REPEAT_MAX), COMMON, .preset_text = "5"},
    {0, "max-serial", "NS", CW_GROUP_BENCH, CW_BENCH | CW_BENCH_SERIAL,
     "exit 1 if more than NS ns/packet are serial",
     AMOUNT(bench.max_serial, CW_COUNT, 1, 1, CW_NS_PER_S), COMMON, .preset_text = "no limit"},
    {0, "lazy", NULL, CW_GROUP_BENCH, CW_BENCH | CW_BENCH_DECODE,
     "stop the first phase after the transport layer", FLAG(bench.lazy)},
    {0, "print-errors", NULL, CW_GROUP_BENCH, CW_BENCH | CW_BENCH_DECODE,
     "print what cannot be decoded", FLAG(bench.print_errors)},
    {0, "print-layers", NULL, CW_GROUP_BENCH, CW_BENCH | CW_BENCH_DECODE,
     "print the layers of each packet", FLAG(bench.print_layers)},
    {0, "gopacket-compat", NULL, CW_GROUP_BENCH, CW_BENCH | CW_BENCH_DECODE,
     "count layers as gopacket's benchmark does", FLAG(bench.gopacket_compat)},
    {0, "mode", "MODE", CW_GROUP_LIVE, CW_SELFTEST, "choose the test",
     CHOICE(selftest.mode, 0, "basic|filtered|timestamp"), .preset_text = "basic", COMMON,
     .more = "basic: packets are captured; filtered: a filter passes the right packets; "
	     "timestamp: timestamps are right."},
    {0, "own-cable", NULL, CW_GROUP_LIVE, CW_SELFTEST, "test on a temporary virtual cable",
     FLAG(selftest.own_cable), COMMON, .more = "No existing interface is touched."},
    {'t', "threads", "N", CW_GROUP_PERFORMANCE,
     BOTH | CW_BENCH | BENCH_TRAFFIC | CW_BENCH_RING | CW_BENCH_WRITE | CW_BENCH_LIMITS,
     "run N worker threads", AMOUNT(output.threads, CW_COUNT, 1, 1, 1024),
     .bench_list = TO(bench.threads, const char *), .preset_text = "CPU cores",
     .may_be_alone = true,
     .more = "-t to -ttttt without a number are accepted as tcpdump's, and change nothing."},
    {0, "buffer", "SIZE", CW_GROUP_PERFORMANCE, BOTH, "set the memory for output data",
     AMOUNT(output.buffer_bytes, CW_SIZE, 1, 1024, TIB), .preset_text = "64MiB"},
    {0, "pin", "auto|LIST", CW_GROUP_PERFORMANCE, CW_CAPTURE, "pin threads to CPU cores",
     WORD(live.pin), .more = "LIST names cores, such as 0-3,8; capture threads come first."},
    {0, "realtime", "PRIORITY", CW_GROUP_PERFORMANCE, CW_CAPTURE,
     "run capture threads with SCHED_FIFO", AMOUNT(live.realtime, CW_WHOLE, 1, 1, 99),
     .more = "PRIORITY is 1 to 99."},
    {0, "huge-pages", NULL, CW_GROUP_PERFORMANCE, CW_CAPTURE, "use huge pages for output data",
     FLAG(live.huge_pages)},
    {0, "chunk-size", "SIZE", CW_GROUP_PERFORMANCE, BOTH, NULL, OWN(cw_option_take_chunk),
     .to = TO(output.chunk_bytes, uint64_t), .amount = {CW_SIZE, 1, 512, GIB}},
    {0, "batch-size", "SIZE", CW_GROUP_PERFORMANCE, BOTH, NULL,
     AMOUNT(output.batch_bytes, CW_SIZE, 1, 1, GIB)},
    {0, "batch-packets", "N", CW_GROUP_PERFORMANCE, BOTH, NULL,
     AMOUNT(output.batch_packets, CW_COUNT, 1, 1, 1u << 20)},
    {0, "segment-size", "SIZE", CW_GROUP_PERFORMANCE, CW_SPLIT, NULL,
     AMOUNT(output.segment_bytes, CW_SIZE, 1, 0, GIB), .preset = UINT64_MAX, .preset_text = "1MiB"},
    {0, "wrong-guess", "N", CW_GROUP_PERFORMANCE, CW_SPLIT, NULL,
     AMOUNT(output.wrong_guess, CW_COUNT, 1, 0, 3)},
    {0, "portable", NULL, CW_GROUP_RULES, CW_CHECK, "check the file without this machine",
     FLAG(portable), COMMON,
     .more = "For a file that is meant for another machine: hooks, folders, outputs, users, "
	     "interfaces and ports are not looked at."},
    {0, "dry-run", NULL, CW_GROUP_REPORT, CW_REPAIR, "report damage and change nothing",
     FLAG(dry_run), COMMON, .more = "The exit status is 1 if a file would be truncated."},
    {'q', "quiet", NULL, CW_GROUP_REPORT, BOTH | CW_REPLAY, "print no report and no progress",
     FLAG(quiet)},
    {0, "json", NULL, CW_GROUP_REPORT,
     BOTH | CW_CHECK | CW_INSPECT | CW_INSPECT_FILES | CW_BENCH | BENCH_ALL | CW_DEVICES |
	 CW_REPLAY | CW_SELFTEST | CW_REPAIR | CW_STATUS | CW_STATS,
     "print the report as JSON on standard output", FLAG(json), COMMON},
    {'n', "numeric", NULL, CW_GROUP_REPORT, BOTH, "accept tcpdump's -n; changes nothing",
     .kind = CW_OPTION_NOTHING},
    {'h', "help", NULL, CW_GROUP_REPORT, EVERYWHERE, "print this help; -h: a short form",
     .kind = CW_OPTION_HELP},
};

const size_t cw_option_row_count = CW_ARRAY_COUNT(cw_option_rows);
static_assert(CW_ARRAY_COUNT(cw_option_rows) <= CW_OPTION_ROWS_MAX, "raise the limit");

/* Texts of pages that differ from the row's; the first match counts. NULL: the row's text. */
static const struct {
	const char *name;
	unsigned commands;
	struct cw_option_text text;
} notes[] = {
    {"read", CW_CHECK, {"check filters for the link types of FILE", "May be repeated.", NULL}},
    {"read", CW_REPLAY, {"send the packets of FILE; may be repeated", NULL, NULL}},
    {"read", CW_BENCH, {"measure with the packets of FILE", NULL, NULL}},
    {"interface", CW_DEVICES, {"describe only this interface, in detail", NULL, NULL}},
    {"interface", CW_CHECK, {"check for a capture on this interface", "May be repeated.", NULL}},
    {"directory", CW_CHECK, {"check for relative outputs in DIR", NULL, NULL}},
    {"relinquish-privileges", CW_CHECK, {"check for a run as USER", NULL, NULL}},
    {"interface", CW_REPLAY, {"send on this interface", NULL, NULL}},
    {"interface", CW_SELFTEST, {"test only this interface", NULL, NULL}},
    {"interface", CW_BENCH, {"capture here; a second -i: send there", NULL, NULL}},
    {"linktype",
     CW_CHECK,
     {"compile filters for this link type", "Default: those of the -r files, or EN10MB.", NULL}},
    {"linktype", CW_INSPECT_FILTER, {"compile filters for this link type", NULL, "EN10MB"}},
    {"rules", CW_INSPECT, {"show the filters of a YAML file of rules", NULL, NULL}},
    {"rules", CW_BENCH, {"use the filters of a YAML file of rules", NULL, NULL}},
    {"write",
     CW_GENERATE,
     {"write the packets to FILE", "pcapng if FILE ends in .pcapng, else pcap.", NULL}},
    {"directory", CW_BENCH, {"write to a temporary folder in DIR", NULL, "$TMPDIR or /tmp"}},
    {"sync", CW_CAPTURE, {NULL, NULL, "close"}},
    {"time-precision", CW_GENERATE, {"set the timestamps of a .pcap file", NULL, "us"}},
    {"duration", CW_BENCH, {"send or capture for SECONDS a round", NULL, "2"}},
    {"backend", CW_BENCH, {"capture by packet sockets or AF_XDP", NULL, "packet"}},
    {"queues",
     CW_BENCH,
     {"run N capture threads", "A list of numbers, such as 1,2,4, measures each.", "1"}},
    {"service", CW_CHECK, {"check /etc/capweir/NAME.yaml, of capweir@NAME", NULL, NULL}},
    {"service",
     CW_STATUS,
     {"connect to the service capweir@NAME",
      "To the control socket that /etc/capweir/NAME.yaml names, else /run/capweir/NAME/control.",
      NULL}},
    {"control", CW_STATUS, {"connect to the capture's control socket", NULL, NULL}},
    {"pps", CW_BENCH, {"send N packets a second, not all possible", NULL, NULL}},
    {"profile",
     CW_BENCH_SERIAL,
     {NULL, "A list of names, such as imix,small, measures each.", "small,imix,large"}},
    {"profile", CW_BENCH, {NULL, "A list of names, such as imix,small, measures each.", "imix"}},
    {"packets", CW_BENCH_SPLIT, {"generate N packets if no FILE is given", NULL, "1000000"}},
    {"packets", CW_BENCH_SERIAL, {"generate N packets if no FILE is given", NULL, "500000"}},
    {"packets", CW_BENCH_RING, {"hand over N items a round", NULL, "5000000"}},
    {"packets", CW_BENCH_WRITE, {"write N packets a round", NULL, "files of 128 MiB"}},
    {"packets", CW_BENCH, {"use the first N packets of the file", NULL, "100000"}},
    {"rule-count", CW_BENCH_CAPTURE, {NULL, NULL, "1,8"}},
    {"repeat", CW_BENCH_CAPTURE | CW_BENCH_SERIAL, {NULL, NULL, "3"}},
    {"repeat", CW_BENCH_FILTER | CW_BENCH_DECODE, {NULL, NULL, "9"}},
    {"threads",
     CW_BENCH_RING,
     {"run N consumer threads", "A list of numbers measures each.", "1 and CPU cores - 1"}},
    {"threads",
     CW_BENCH_SERIAL,
     {NULL, "A list of numbers, such as 1,2,8, measures each.", "1,2,4,8,16"}},
    {"threads",
     CW_BENCH,
     {NULL, "A list of numbers, such as 1,2,8, measures each.", "1 and CPU cores"}},
    {"json",
     CW_CHECK | CW_DEVICES | CW_INSPECT | CW_STATUS,
     {"print JSON on standard output", NULL, NULL}},
};

bool cw_option_belongs(const struct cw_option_row *row, const struct cw_command_text *page)
{
	return row->help && (row->commands & ~row->unlisted & page->page) == page->page;
}

void cw_option_text(const struct cw_option_row *row, const struct cw_command_text *page,
		    struct cw_option_text *text)
{
	*text = (struct cw_option_text){row->help, row->more, row->preset_text};
	for (size_t index = 0; index < CW_ARRAY_COUNT(notes); index++) {
		const struct cw_option_text *note = &notes[index].text;

		if (strcmp(notes[index].name, row->name) != 0 ||
		    !(notes[index].commands & (page->command | page->page)))
			continue;
		/* With another meaning the row's sentences and default do not apply. */
		text->more = note->help || note->more ? note->more : row->more;
		text->preset_text =
		    note->help || note->preset_text ? note->preset_text : row->preset_text;
		text->help = note->help ? note->help : row->help;
		return;
	}
}

const char *cw_option_choices(const struct cw_option_row *row)
{
	if (row->choices)
		return row->choices;
	return row->argument && strchr(row->argument, '|') ? row->argument : NULL;
}
