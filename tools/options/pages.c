/* SPDX-License-Identifier: BSD-3-Clause */
/* What help says of the commands; of their options, see table.c. */
#include <string.h>

#include "core/base/base.h"
#include "tools/options/table.h"

#define BENCH_ALL                                                                               \
	(CW_BENCH_SPLIT | CW_BENCH_CAPTURE | CW_BENCH_RING | CW_BENCH_WRITE | CW_BENCH_FILTER | \
	 CW_BENCH_DECODE | CW_BENCH_SERIAL | CW_BENCH_LIMITS)
#define USAGE_EXIT "2\tthe command line is wrong"
#define RULES_EXIT "2\tthe command line, the rules or a filter are wrong; nothing is written"

#define SPLITTING "Split packets"
#define CHECKING "Check and repair"
#define RUNNING "Watch a running capture"
#define TRYING "Test and measure"

const struct cw_command_text cw_command_texts[] = {
    {"split", CW_SPLIT, CW_SPLIT, SPLITTING, "split capture files by many filters in one pass",
     "capweir split (-r FILE)... (-f EXPR -w FILE)... [OPTIONS] [EXPR]\n"
     "capweir split (-r FILE)... -R RULES [OPTIONS] [EXPR]\n"
     "capweir -r FILE -w FILE [OPTIONS] [EXPR]",
     "Reads capture files and writes the packets that match a rule's filter to the rule's file. "
     "EXPR after the options is a global filter: packets that do not match it are left out. The "
     "last usage is tcpdump's.",
     NULL,
     "# DNS, web and the rest in three files\n"
     "capweir split -r big.pcap -f 'port 53' -w dns.pcap \\\n"
     "        -f 'tcp port 443' -w web.pcap -f unmatched -w rest.pcap\n"
     "# by the rules of a file\n"
     "capweir split -r monday.pcap -r tuesday.pcap.zst -R rules.yaml -o out\n"
     "# as tcpdump\n"
     "capweir -r in.pcap -w out.pcap 'not port 22'",
     "0\tcomplete\n"
     "1\ta file cannot be read or written, or packets are lost; the report says which\n" RULES_EXIT
     "\n130\tstopped by a signal"},
    {"capture", CW_CAPTURE, CW_CAPTURE, SPLITTING, "capture from interfaces, split in the same way",
     "capweir capture (-i IFACE)... (-f EXPR -w FILE)... [OPTIONS] [EXPR]\n"
     "capweir capture [-i IFACE]... -R RULES [OPTIONS] [EXPR]\n"
     "capweir -i IFACE -w FILE [OPTIONS] [EXPR]",
     "Captures packets and writes those that match a rule's filter to the rule's file. EXPR after "
     "the options is a global filter. The last usage is tcpdump's.\n"
     "Stops at -c, --duration or a signal, after writing everything captured. A second Ctrl-C, "
     "more than a second later, aborts. Needs the capability CAP_NET_RAW.",
     NULL,
     "# the last 24 hours, in files of one hour\n"
     "capweir capture -i eth0 -b interval:1h -b files:24 -w '%Y%m%d-%H.pcap'\n"
     "# two rules for one minute, with a control socket\n"
     "capweir capture -i eth0 --duration 1m --control /run/capweir.sock \\\n"
     "        -f 'port 53' -w dns.pcapng -f unmatched -w rest.pcapng\n"
     "# as tcpdump\n"
     "capweir -i eth0 -c 1000 -w out.pcap 'not port 22'",
     "0\tcomplete\n"
     "1\tcapturing or writing fails, or packets are lost; the report says which\n" RULES_EXIT
     "\n3\tthe kernel dropped more packets than --max-drop\n"
     "130\taborted by a second Ctrl-C or by SIGQUIT"},
    {"check", CW_CHECK, CW_CHECK, CHECKING, "check a rules file",
     "capweir check RULES [OPTIONS]\n"
     "capweir check --service NAME [OPTIONS]",
     "Reads a rules file, compiles its filters, and looks at the hooks, folders, outputs, user, "
     "interfaces and ports that a run by the file needs on this machine. A file with capture: "
     "{interface: ...}, and any file with -i, is checked for a capture. Writes nothing.",
     NULL,
     "# for Ethernet\n"
     "capweir check rules.yaml\n"
     "# for the link types of a file\n"
     "capweir check rules.yaml -r sample.pcapng\n"
     "# a file for another machine\n"
     "capweir check --portable rules.yaml",
     "0\tno errors; warnings do not count\n"
     "1\ta file given with -r cannot be read\n"
     "2\tthe rules or the command line are wrong, or a run by them would be refused"},
    {"inspect", CW_INSPECT, CW_INSPECT_FILES, CHECKING, "describe capture files, or filters",
     "capweir inspect FILE... [OPTIONS]",
     "Reports the format, link types, packets, timestamps and damage of capture files. A file "
     "called filter is ./filter.",
     NULL,
     "capweir inspect big.pcap\n"
     "# JSON, for scripts\n"
     "capweir inspect --json *.pcapng",
     "0\tall files are intact\n"
     "1\ta file is damaged or cannot be read\n" USAGE_EXIT},
    {"inspect filter", CW_INSPECT, CW_INSPECT_FILTER, NULL, "show what filters are compiled to",
     "capweir inspect filter EXPR... [OPTIONS]\n"
     "capweir inspect filter -R RULES [EXPR]... [OPTIONS]",
     "Each argument is one expression. Prints the classic BPF program of each, then the decision "
     "program: the one program that all filters of a set are compiled to.",
     NULL,
     "capweir inspect filter 'tcp port 80' 'udp port 53' 'net 10.0.0.0/8'\n"
     "# tcpdump -d\n"
     "capweir inspect filter -d 'tcp port 80'\n"
     "# a picture\n"
     "capweir inspect filter --dot -R rules.yaml | dot -Tsvg >rules.svg",
     "0\tall filters compile\n"
     "1\tan operating error\n"
     "2\ta filter, the rules or the command line are wrong"},
    {"repair", CW_REPAIR, CW_REPAIR, CHECKING, "truncate damaged ends of capture files",
     "capweir repair FILE... [OPTIONS]",
     "Truncates a pcap or pcapng file, hidden .part files too, after its last intact record: the "
     "rest stems from a crash or a full disk. Intact files stay as they are, and so do files with "
     "more packets after the damage.",
     NULL,
     "# what would be removed\n"
     "capweir repair --dry-run *.pcap\n"
     "capweir repair .big.pcap.Xk2f9a.part",
     "0\tall files are intact now\n"
     "1\ta file cannot be repaired; with --dry-run: a file is damaged\n" USAGE_EXIT},
    {"stats", CW_STATUS, CW_STATS, RUNNING, "print the counters of a running capture",
     "capweir stats --control PATH [--json]\n"
     "capweir stats --service NAME [--json]",
     "Prints packets, kernel drops, losses and each rule's share. PATH is the --control of the "
     "capture.",
     NULL, "capweir stats --control /run/capweir.sock",
     "0\tthe capture answered\n"
     "1\tthe capture does not answer\n" USAGE_EXIT},
    {"top", CW_STATUS, CW_TOP, RUNNING, "show a running capture as a live dashboard",
     "capweir top --control PATH\n"
     "capweir top --service NAME",
     "Shows queues, workers and outputs, losses in red at the stage where they happen, and the "
     "bottleneck. PATH is the --control of the capture. The key q ends the display.",
     NULL, "capweir top --control /run/capweir.sock",
     "0\tended by q or with the capture\n"
     "1\tthe capture does not answer\n" USAGE_EXIT},
    {"control", CW_STATUS, CW_CONTROL, RUNNING, "send a command to a running capture",
     "capweir control --control PATH COMMAND [ARGUMENT]\n"
     "capweir control --service NAME COMMAND [ARGUMENT]",
     "Sends a command to a running capture and prints the answer, JSON. PATH is the --control of "
     "the capture.",
     "reload\tread the rules file again\n"
     "rules\tlist the rules\n"
     "rotate [RULE]\tstart new files, of one rule or of all\n"
     "flush\twrite captured packets to the files\n"
     "stop\tend the capture\n"
     "stats\treport the counters\n"
     "log LEVEL\treport messages from note, warning or problem on",
     "# after an edit of the rules file\n"
     "capweir control --control /run/capweir.sock reload",
     "0\tdone\n"
     "1\tthe capture refuses or does not answer\n" USAGE_EXIT},
    {"devices", CW_DEVICES, CW_DEVICES, TRYING, "list interfaces",
     "capweir devices [-i IFACE] [--json]\ncapweir -D | -L -i IFACE | -J -i IFACE",
     "Lists the interfaces that can be captured from; with -i, describes one of them. The last "
     "usage is tcpdump's.",
     NULL,
     "capweir devices\n"
     "# queues, timestamps and drivers\n"
     "capweir devices -i eth0",
     "0\tcomplete\n"
     "1\tinterfaces cannot be listed\n"
     "2\tno such interface, or the command line is wrong"},
    {"selftest", CW_SELFTEST, CW_SELFTEST, TRYING, "test that capture works on this machine",
     "capweir selftest [-i IFACE | --own-cable] [OPTIONS]",
     "Sends a few frames to an unused address and checks that they are captured. Without -i, "
     "tests each interface in turn, loopback last, until the first success.",
     NULL,
     "capweir selftest\n"
     "# without touching an interface\n"
     "capweir selftest --own-cable --mode timestamp",
     "0\tcapture works\n"
     "1\tcapture does not work\n" USAGE_EXIT},
    {"replay", CW_REPLAY, CW_REPLAY, TRYING, "send the packets of capture files",
     "capweir replay (-r FILE)... -i IFACE [OPTIONS]",
     "Sends the packets on an interface, at the pace of their timestamps unless an option says "
     "otherwise. Needs the capability CAP_NET_RAW.",
     NULL,
     "# ten times as fast\n"
     "capweir replay -r big.pcap -i eth1 --speed 10\n"
     "capweir replay -r big.pcap -i eth1 --pps 100k --loop 0",
     "0\tall packets are sent\n"
     "1\tsome packets are not sent\n" USAGE_EXIT "\n130\tstopped by a signal"},
    {"generate", CW_GENERATE, CW_GENERATE, TRYING, "generate a capture file of synthetic traffic",
     "capweir generate -w FILE [OPTIONS]",
     "Generates realistic traffic. The same seed gives the same bytes.", NULL,
     "capweir generate -w big.pcap\n"
     "capweir generate --profile small --packets 100k --seed 7 -w small.pcapng",
     "0\tcomplete\n"
     "1\tthe file cannot be written\n" USAGE_EXIT "\n130\tstopped by a signal"},
    {"bench", CW_BENCH, BENCH_ALL, TRYING, "measure this machine on your files and rules",
     "capweir bench BENCHMARK [OPTIONS]",
     "Measures one stage, or the complete pipeline, and compares the result with the limits of "
     "this machine. capweir bench BENCHMARK --help describes a benchmark.",
     NULL,
     "# eight filters, by one thread and by two\n"
     "capweir bench split big.pcap -t 1,2 --rule-count 8 --repeat 2",
     "0\tmeasured\n"
     "1\ta measurement fails\n" USAGE_EXIT},
    {"bench split", CW_BENCH, CW_BENCH_SPLIT, NULL, "measure split on a file",
     "capweir bench split [FILE] [-R RULES] [OPTIONS]",
     "Measures the complete pipeline on FILE, or on generated traffic, in turns with a program "
     "that does the same with libpcap.",
     NULL,
     "capweir bench split big.pcap -R rules.yaml\n"
     "capweir bench split --profile imix,small -t 1,2,4 --rule-count 1,100",
     "0\tmeasured\n"
     "1\ta measurement fails\n" USAGE_EXIT},
    {"bench capture", CW_BENCH, CW_BENCH_CAPTURE, NULL, "measure live capture",
     "capweir bench capture [-i IFACE [-i SENDER]] [-R RULES] [OPTIONS]",
     "Measures live capture on a virtual cable, where a separate process sends; or on IFACE, with "
     "the traffic that arrives there or is sent on SENDER.",
     NULL,
     "capweir bench capture --frame-size 60 --pps 1M\n"
     "capweir bench capture -i eth1 -i eth2 --queues 1,2,4",
     "0\tmeasured\n"
     "1\ta measurement fails\n" USAGE_EXIT},
    {"bench ring", CW_BENCH, CW_BENCH_RING, NULL, "measure handing items from thread to thread",
     "capweir bench ring [OPTIONS]",
     "Measures the pipeline's queue between threads, in turns with a queue that a mutex protects.",
     NULL, "capweir bench ring -t 1,3",
     "0\tmeasured\n"
     "1\ta measurement fails\n" USAGE_EXIT},
    {"bench write", CW_BENCH, CW_BENCH_WRITE, NULL, "measure writing capture files",
     "capweir bench write [OPTIONS]",
     "Measures each way in which capweir writes files, in turns with libpcap's.", NULL,
     "capweir bench write -o /data --frame-size 1514",
     "0\tmeasured\n"
     "1\ta measurement fails\n" USAGE_EXIT},
    {"bench filter", CW_BENCH, CW_BENCH_FILTER, NULL, "measure filters by every engine",
     "capweir bench filter -r FILE -R RULES [OPTIONS]",
     "Measures the cost of the filters of RULES for each packet of FILE, by every engine and by "
     "libpcap, in turns, and checks that all agree.",
     NULL, "capweir bench filter -r big.pcap -R rules.yaml",
     "0\tmeasured\n"
     "1\ta measurement fails, or engines disagree\n" USAGE_EXIT},
    {"bench decode", CW_BENCH, CW_BENCH_DECODE, NULL, "measure decoding packets",
     "capweir bench decode [FILE] [OPTIONS]",
     "Measures the cost of decoding each packet of FILE: all layers, chosen layers, TCP "
     "streams, flows. The default FILE is capweir_benchmark.pcap in the temporary folder; it is "
     "generated if it is missing.",
     NULL, "capweir bench decode big.pcap",
     "0\tmeasured\n"
     "1\ta measurement fails\n" USAGE_EXIT},
    {"bench serial", CW_BENCH, CW_BENCH_SERIAL, NULL, "measure the serial part of split",
     "capweir bench serial [FILE] [OPTIONS]",
     "Measures the CPU time of each thread by kind of work, on FILE or on generated traffic. The "
     "serial part limits the rate with any number of cores: reading, turns, and batches worked on "
     "again while others wait. Eight filters write to /dev/null.",
     NULL,
     "capweir bench serial big.pcap -t 1,16\n"
     "capweir bench serial --profile small --max-serial 100",
     "0\tmeasured\n"
     "1\ta measurement fails, or the serial part exceeds --max-serial\n" USAGE_EXIT},
    {"bench limits", CW_BENCH, CW_BENCH_LIMITS, NULL, "measure the limits of this machine",
     "capweir bench limits [OPTIONS]",
     "Measures the rates that other benchmarks compare with: memory, files in the page cache, and "
     "cache lines between cores.",
     NULL, "capweir bench limits",
     "0\tmeasured\n"
     "1\ta measurement fails\n" USAGE_EXIT},
};

const size_t cw_command_text_count = CW_ARRAY_COUNT(cw_command_texts);

static const struct cw_command_text *find_page(const char *word, const char *sub_word)
{
	size_t bytes = strlen(word);

	for (size_t index = 0; index < cw_command_text_count; index++) {
		const char *name = cw_command_texts[index].name;

		if (strncmp(name, word, bytes) != 0)
			continue;
		if (sub_word ? name[bytes] == ' ' && strcmp(name + bytes + 1, sub_word) == 0
			     : name[bytes] == '\0')
			return &cw_command_texts[index];
	}
	return NULL;
}

const struct cw_command_text *cw_command_page(const char *word, const char *sub_word)
{
	const struct cw_command_text *page = NULL;

	if (sub_word)
		page = find_page(word, sub_word);
	return page ? page : find_page(word, NULL);
}
