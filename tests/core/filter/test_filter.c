/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filters against libpcap: every program, made from expressions of all kinds or at random, gives on
 * every packet what bpf_filter gives, and reads nothing behind the packet; names are told apart
 * without asking anybody; errors say what and where.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <netdb.h>

#include "core/filter/filter_parts.h"
#include "core/packet/linktype.h"
#include "datasets/traffic.h"
#include "tests/rig/filter_random.h"
#include "tests/rig/filter_reference.h"

#define EXPRESSIONS_PATH CW_ROOT "/tests/data/expressions.txt"
#define PACKET_COUNT 3000u
#define PROGRAM_COUNT 20000u
#define EXPRESSION_BYTES 512u

/* ---- no resolver is asked: libpcap's calls come here ---- */

static uint32_t lookup_count;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	static int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	struct addrinfo numeric = hints ? *hints : (struct addrinfo){0};

	if (!next) /* the cast goes through a pointer: ISO C has none from object to function */
		*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
	numeric.ai_flags |= AI_NUMERICHOST;
	if (next(node, service, &numeric, result) == 0)
		return 0;
	lookup_count += node != NULL;
	return EAI_NONAME;
}

/* ---- helpers ---- */

static const struct cw_filter_options ethernet = {.linktype = CW_LINKTYPE_ETHERNET};

static struct cw_filter *compile(const char *expression, const struct cw_filter_options *options)
{
	struct cw_filter *filter = NULL;
	struct cw_error error = {0};

	if (cw_filter_compile(&filter, expression, options, &error) < 0)
		fail_msg("%s", error.text);
	return filter;
}

/* Compile and expect a refusal; returns its text. */
static const char *refuse(const char *expression, int code)
{
	static struct cw_error error;
	struct cw_filter *filter = NULL;

	error = (struct cw_error){0};
	assert_int_equal(cw_filter_compile(&filter, expression, &ethernet, &error), code);
	assert_int_equal(error.code, code);
	assert_null(filter);
	return error.text;
}

static void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not contain \"%s\"", text, part);
}

static uint32_t oracle(const struct cw_filter *filter, const uint8_t *data, uint32_t caplen,
		       uint32_t wire_len)
{
	uint32_t count;
	const struct bpf_insn *program = cw_filter_program(filter, &count);

	return reference_filter(program, count, data, caplen, wire_len);
}

/* Call `check` for each expression of the data file. */
static void for_expressions(void (*check)(const char *expression, void *context), void *context)
{
	FILE *file = fopen(EXPRESSIONS_PATH, "r");
	char line[EXPRESSION_BYTES];
	uint32_t count = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#')
			continue;
		assert_true(line[0]);
		check(line, context);
		count++;
	}
	fclose(file);
	assert_true(count >= 60);
}

/* ---- equality with bpf_filter ---- */

struct stage {
	struct random random;
	struct guarded guarded;
	struct cw_traffic *traffic;
	uint64_t checks;
	uint64_t matches;
};

static void stage_init(struct stage *stage, const char *test)
{
	*stage = (struct stage){.random = {random_seed(test)}};
	guarded_init(&stage->guarded);
	assert_int_equal(cw_traffic_open(&stage->traffic, "mix", stage->random.state, NULL), 0);
}

static void stage_fini(struct stage *stage)
{
	printf("%llu checks, %llu matches\n", (unsigned long long)stage->checks,
	       (unsigned long long)stage->matches);
	cw_traffic_close(stage->traffic);
	guarded_fini(&stage->guarded);
}

/* The next generated packet, mutated, in front of the guard page. */
static struct cw_packet next_packet(struct stage *stage)
{
	uint8_t bytes[CW_TRAFFIC_CAPLEN_MAX];
	struct cw_packet packet;

	cw_traffic_next(stage->traffic, &packet);
	memcpy(bytes, packet.data, packet.caplen);
	packet.caplen = random_mutate(&stage->random, bytes, packet.caplen);
	packet.data = guarded_copy(&stage->guarded, bytes, packet.caplen);
	return packet;
}

static void check_packet(struct stage *stage, const struct cw_filter *filter,
			 const struct cw_packet *packet)
{
	uint32_t expected = oracle(filter, packet->data, packet->caplen, packet->wire_len);
	uint32_t got = cw_filter_match(filter, packet->data, packet->caplen, packet->wire_len);

	stage->checks++;
	stage->matches += expected != 0;
	if (got != expected)
		fail_msg("\"%s\" gives %u, not %u, on %u bytes", cw_filter_expression(filter), got,
			 expected, packet->caplen);
}

static void check_expression(const char *expression, void *context)
{
	struct stage *stage = context;
	struct cw_filter_options options = ethernet;
	uint32_t optimized;

	for (optimized = 0; optimized < 2; optimized++) {
		struct cw_filter *filter;

		options.unoptimized = !optimized;
		filter = compile(expression, &options);
		for (uint32_t i = 0; i < PACKET_COUNT; i++) {
			struct cw_packet packet = next_packet(stage);

			check_packet(stage, filter, &packet);
		}
		cw_filter_free(filter);
	}
}

static void expressions_match_as_in_libpcap(void **state)
{
	struct stage stage;

	(void)state;
	stage_init(&stage, __func__);
	for_expressions(check_expression, &stage);
	stage_fini(&stage);
}

static void random_programs_match_as_in_libpcap(void **state)
{
	struct bpf_insn program[RANDOM_PROGRAM_MAX];
	struct stage stage;

	(void)state;
	stage_init(&stage, __func__);
	for (uint32_t i = 0; i < PROGRAM_COUNT; i++) {
		uint32_t count = random_program(&stage.random, program);
		struct cw_filter *filter = NULL;
		struct cw_error error = {0};

		assert_true(bpf_validate(program, (int)count));
		if (cw_filter_from_program(&filter, program, count, &error))
			fail_msg("%s", error.text);
		for (uint32_t n = 0; n < 20; n++) {
			struct cw_packet packet = next_packet(&stage);

			check_packet(&stage, filter, &packet);
		}
		cw_filter_free(filter);
	}
	stage_fini(&stage);
}

/* An authentication header from which libpcap's own interpreter never comes back. */
static void protochain_that_libpcap_never_ends_ends(void **state)
{
	struct cw_filter *filter = compile("ip6 protochain 6", &ethernet);
	uint8_t packet[128] = {[12] = 0x86, [13] = 0xdd, [14] = 0x60, [20] = 51};

	(void)state;
	for (uint32_t i = 14; i < sizeof(packet); i++)
		packet[i] = i % 4 == 2 ? 51 : 1; /* X = 12, and there 51 and 1 again */
	for (uint32_t bytes = 0; bytes <= sizeof(packet); bytes++)
		assert_int_equal(cw_filter_match_libpcap(filter, packet, bytes, bytes),
				 cw_filter_match(filter, packet, bytes, bytes));
	cw_filter_free(filter);
}

/* Authentication headers at each of the 256 places that X = (length + 2) * 4 can name, that lead
 * from one to another all over the packet; the one before the last has `last` as its next header.
 */
static void lay_turns(struct random *random, uint8_t packet[1046], uint8_t last,
		      bool is_permutation)
{
	uint8_t order[256];
	uint32_t i;

	memset(packet, 0, 1046);
	memcpy(packet + 12, "\x86\xdd\x60", 3);
	packet[20] = 51;
	for (i = 0; i < 256; i++) {
		uint32_t other = random_below(random, i + 1);

		order[i] = order[other];
		order[other] = (uint8_t)i;
	}
	for (i = 0; i < 256; i++) { /* next header and length of the place */
		uint32_t at = 14 + 8 + 4 * (uint32_t)order[i];
		uint32_t to = is_permutation ? (i + 1) % 256 : random_below(random, 256);

		packet[at] = random_is(random, 40) && !is_permutation ? 0 : 51;
		packet[at + 1] = order[to];
	}
	packet[14 + 8 + 4 * (uint32_t)order[random_below(random, 256)]] = last;
}

static void protochain_that_turns_back_ends_where_libpcap_does(void **state)
{
	struct cw_filter *filter = compile("ip6 protochain 6", &ethernet);
	uint8_t packet[1046];
	uint32_t matches = 0, misses = 0, seed;

	(void)state;
	for (seed = 0; seed < 1000; seed++) {
		struct random random = {.state = seed};
		bool is_permutation = seed % 2, is_match;

		lay_turns(&random, packet, seed % 5 ? 6 : 51, is_permutation);
		is_match = oracle(filter, packet, sizeof(packet), sizeof(packet)) != 0;
		assert_int_equal(
		    is_match, cw_filter_match(filter, packet, sizeof(packet), sizeof(packet)) != 0);
		if (is_permutation) /* it comes by everywhere */
			assert_int_equal(is_match, seed % 5 != 0);
		matches += is_match;
		misses += !is_match;
	}
	assert_true(matches > 300);
	assert_true(misses > 300);
	cw_filter_free(filter);
}

/* A tower of hop-by-hop headers as long as a packet can be. */
static void protochain_follows_as_many_headers_as_fit(void **state)
{
	struct cw_filter *filter = compile("ip6 protochain 17", &ethernet);
	uint32_t bytes = CW_CAPLEN_MAX;
	uint8_t *data = calloc(1, bytes);
	uint32_t at;

	(void)state;
	assert_non_null(data);
	memcpy(data + 12, "\x86\xdd\x60", 3); /* hop-by-hop is next header 0 */
	for (at = 54; at + 8 < bytes; at += 8)
		;
	data[at - 8] = 17;
	assert_true(oracle(filter, data, bytes, bytes));
	assert_true(cw_filter_match(filter, data, bytes, bytes));
	data[at - 8] = 0;
	assert_false(cw_filter_match(filter, data, bytes, bytes));
	free(data);
	cw_filter_free(filter);
}

static void endless_loop_ends_without_a_match(void **state)
{
	const struct bpf_insn loop[] = {BPF_STMT(BPF_LD | BPF_IMM, 1),
					BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX - 1),
					BPF_STMT(BPF_RET | BPF_K, 1)};
	uint8_t byte = 0;
	struct cw_filter *filter = NULL;

	(void)state;
	assert_int_equal(cw_filter_from_program(&filter, loop, 3, NULL), 0);
	assert_int_equal(cw_filter_match(filter, &byte, 1, 1), 0);
	cw_filter_free(filter);
}

static void scratch_memory_starts_as_zero(void **state)
{
	const struct bpf_insn program[] = {BPF_STMT(BPF_LDX | BPF_MEM, 15),
					   BPF_STMT(BPF_MISC | BPF_TXA, 0),
					   BPF_STMT(BPF_RET | BPF_A, 0)};
	struct cw_filter *filter = NULL;

	(void)state;
	assert_int_equal(cw_filter_from_program(&filter, program, 3, NULL), 0);
	assert_int_equal(cw_filter_match(filter, NULL, 0, 0), 0);
	cw_filter_free(filter);
}

/* ---- compiling ---- */

static void compiled_program_is_libpcaps_own(void **state)
{
	pcap_t *handle = pcap_open_dead(DLT_EN10MB, CW_CAPLEN_MAX);
	struct cw_filter *filter = compile("tcp port 80", &ethernet);
	struct bpf_program program;
	uint32_t count;

	(void)state;
	assert_int_equal(pcap_compile(handle, &program, "tcp port 80", 1, PCAP_NETMASK_UNKNOWN), 0);
	assert_memory_equal(cw_filter_program(filter, &count), program.bf_insns,
			    program.bf_len * sizeof(struct bpf_insn));
	assert_int_equal(count, program.bf_len);
	assert_string_equal(cw_filter_expression(filter), "tcp port 80");
	pcap_freecode(&program);
	pcap_close(handle);
	cw_filter_free(filter);
}

static void empty_expression_matches_everything(void **state)
{
	struct cw_filter *filter = compile("", &ethernet);

	(void)state;
	assert_int_equal(cw_filter_match(filter, NULL, 0, 0), CW_CAPLEN_MAX);
	cw_filter_free(filter);
}

static void snaplen_is_what_a_match_returns(void **state)
{
	struct cw_filter_options options = {.linktype = CW_LINKTYPE_ETHERNET, .snaplen = 96};
	struct cw_filter *filter = compile("len >= 0", &options);

	(void)state;
	assert_int_equal(cw_filter_match(filter, NULL, 0, 0), 96);
	cw_filter_free(filter);
}

static void impossible_expression_is_a_warning(void **state)
{
	struct cw_filter *filter = NULL;
	struct cw_error error = {0};
	uint8_t data[64] = {0};

	(void)state;
	assert_int_equal(cw_filter_compile(&filter, "tcp and udp", &ethernet, &error),
			 CW_FILTER_NEVER);
	assert_int_equal(error.code, 0);
	assert_contains(error.text, "\"tcp and udp\"");
	assert_int_equal(cw_filter_match(filter, data, sizeof(data), sizeof(data)), 0);
	cw_filter_free(filter);
}

/* The same words mean other bytes under another link type, and some mean nothing. */
static void link_type_decides_where_bytes_are(void **state)
{
	static const uint8_t ipv4[20] = {0x45, 0,  0, 20, 0, 0,  0, 0, 64,
					 6,    10, 0, 0,  1, 10, 0, 0, 2};
	static const struct {
		uint32_t linktype;
		uint32_t header_bytes;
		uint8_t header[20];
	} cases[] = {
	    {CW_LINKTYPE_RAW, 0, {0}},
	    {CW_LINKTYPE_NULL, 4, {2}},
	    {CW_LINKTYPE_ETHERNET, 14, {[12] = 8, [13] = 0}},
	    {CW_LINKTYPE_LINUX_SLL, 16, {[14] = 8, [15] = 0}},
	    {CW_LINKTYPE_LINUX_SLL2, 20, {[0] = 8, [1] = 0}},
	};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_filter_options options = {.linktype = cases[i].linktype};
		struct cw_filter *filter = compile("src host 10.0.0.1", &options);
		uint8_t data[40] = {0};

		memcpy(data, cases[i].header, cases[i].header_bytes);
		memcpy(data + cases[i].header_bytes, ipv4, sizeof(ipv4));
		data[cases[i].header_bytes + 12] = 10;
		data[cases[i].header_bytes + 13] = 0;
		data[cases[i].header_bytes + 14] = 0;
		data[cases[i].header_bytes + 15] = 1;
		assert_true(cw_filter_match(filter, data, sizeof(data), sizeof(data)));
		data[cases[i].header_bytes + 15] = 9;
		assert_false(cw_filter_match(filter, data, sizeof(data), sizeof(data)));
		cw_filter_free(filter);
	}
}

static void unsupported_link_type_is_named(void **state)
{
	struct cw_filter_options options = {.linktype = CW_LINKTYPE_RAW};
	struct cw_filter *filter = NULL;
	struct cw_error error = {0};

	(void)state;
	assert_int_equal(cw_filter_compile(&filter, "ether host 0:1:2:3:4:5", &options, &error),
			 -EINVAL);
	assert_contains(error.text, "RAW");
}

/* ---- error texts ---- */

static void wrong_expression_names_the_first_bad_token(void **state)
{
	static const struct {
		const char *expression;
		const char *place;
	} cases[] = {
	    {"tcp port and udp", "at \"and\" (column 10)"},
	    {"port 80)", "at \")\" (column 8)"},
	    {"tcp and (port 80", "at its end"},
	    {"host", "at its end"},
	    {"tcp[0 = 1", "at \"=\" (column 7)"},
	    {"tcp @ udp", "at \"@\" (column 5)"},
	    {"vlan vlan", "at \"vlan\" (column 6)"},
	    {"len >", "at its end"},
	    {"tcp and and udp", "at \"and\" (column 9)"},
	    {"(tcp or udp) 80", "at \"80\" (column 14)"},
	    {"port nosuchservice", "at \"nosuchservice\" (column 6)"},
	    {"tcp and port 70000", "at \"70000\" (column 14)"},
	    {"net 10.0.0.1/8", "at \"10.0.0.1\" (column 5)"},
	    {"ip[0:3] = 1", "data size must be 1, 2, or 4"},
	};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		const char *text = refuse(cases[i].expression, -EINVAL);

		assert_contains(text, cases[i].expression);
		assert_contains(text, cases[i].place);
		assert_contains(text, "EN10MB");
	}
}

static void long_expression_is_quoted_in_part(void **state)
{
	char expression[4096] = "";
	const char *text;

	(void)state;
	while (strlen(expression) < 3000)
		strcat(expression, "host 10.1.2.3 or ");
	strcat(expression, "port 70000");
	text = refuse(expression, -EINVAL);
	assert_contains(text, " ... ");
	assert_contains(text, "\"70000\"");
	assert_true(strlen(text) < CW_ERROR_TEXT_BYTES - 1);
}

/* ---- names ---- */

static void host_names_are_refused_without_asking_anybody(void **state)
{
	static const char *const cases[][2] = {
	    {"host sundown", "sundown"},
	    {"host helios and (hot or ace)", "helios"},
	    {"host 1.2.3.4 and (1.2.3.5 or ace)", "ace"},
	    {"ip host ace and not helios", "ace"},
	    {"net ucb-ether", "ucb-ether"},
	    {"gateway snup and (port ftp or ftp-data)", "snup"},
	    {"ip and not net localnet", "localnet"},
	    {"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net localnet", "localnet"},
	    {"ether host foo", "foo"},
	    {"wlan addr1 foo", "foo"},
	    {"src foo.example.org", "foo.example.org"},
	    {"port http or host foo", "foo"},
	    {"port 80 and (host 1.2.3.4 or foo)", "foo"},
	    {"host 1.2.3.4.5", "1.2.3.4.5"},
	    {"host abcd", "abcd"},
	    {"host fe80.example", "fe80.example"},
	    {"host aabbccddeeff0", "aabbccddeeff0"},
	    {"host \\tcp", "\\tcp"},
	    {"tcp por 80", "por"},
	    {"type mgt or foo", "foo"},
	    {"host 10.1.2.3-10.1.2.9", "10.1.2.3-10.1.2.9"},
	};

	(void)state;
	lookup_count = 0;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		const char *text = refuse(cases[i][0], -EACCES);

		assert_contains(text, cases[i][1]);
		assert_contains(text, "column ");
		assert_contains(text, "--resolve");
	}
	assert_int_equal(lookup_count, 0);
}

static void host_names_are_asked_for_where_allowed(void **state)
{
	struct cw_filter_options options = ethernet;
	struct cw_filter *filter = NULL;

	(void)state;
	options.resolve_names = true;
	lookup_count = 0;
	assert_int_equal(cw_filter_compile(&filter, "host nowhere.invalid", &options, NULL),
			 -EINVAL);
	assert_true(lookup_count > 0);
}

static void check_names(const char *expression, void *context)
{
	struct cw_error error = {0};

	(void)context;
	if (cw_filter_names_check(expression, &error))
		fail_msg("%s", error.text);
}

/* Everything that pcap-filter(7) shows without names of hosts; other link types' too. */
static void other_words_are_not_taken_for_host_names(void **state)
{
	static const char *const expressions[] = {
	    "port ftp or ftp-data or domain",
	    "tcp dst port ftp or ftp-data or domain",
	    "port 80 or (host 1.2.3.4) or http",
	    "not port ftp and not port ftp-data",
	    "portrange ftp-data-ssh",
	    "portrange 6000-6008",
	    "port ((http))",
	    "ip proto vrrp or 50",
	    "proto \\tcp or \\udp or (\\icmp)",
	    "ether proto loopback",
	    "ether proto \\arp",
	    "iso proto \\clnp",
	    "ether host 0:1:2:3:4:5",
	    "ether host 00-01-02-03-04-05 or aabb.ccdd.eeff or aabbccddeeff or 1.2.3.4.5.6",
	    "wlan addr2 0:2:3:4:5:6",
	    "host ::1 or fe80::1 or ::ffff:1.2.3.4 or 1:2:3:4:5:6:7:8",
	    "net 2001:db8::/32",
	    "net 10 or 172.16 or 192.168.1 or 1.2.3.4",
	    "net 10.0.0.0 mask 255.0.0.0",
	    "decnet src 10.123",
	    "on eth0 or ifname pppoe1",
	    "rset foo and ruleset bar and rnr 3 and srnr 5",
	    "reason match or reason bad-offset",
	    "action pass or action block",
	    "type mgt subtype probe-req",
	    "wlan type data subtype qos-data",
	    "subtype beacon or subtype deauth",
	    "dir fromds or direction tods or dir 2",
	    "llc rr or llc rnr or llc sabme",
	    "link[0] & 1 != 0 and radio[2] = 3",
	    "vpi 3 or vci (5 or 6)",
	    "sio 3 or opc > 5 or hsls 1",
	    "byte 3 = 5",
	    "inbound or outbound",
	    "$0a or $f",
	    "icmp[icmptype] = icmp-echo and icmp6[icmp6code] = icmp6-multicastrouterterm",
	    "tcp[0:2]>1023",
	    "ether[0x0c:2]=0x800&&ip[9]=6||!(udp)",
	};

	(void)state;
	lookup_count = 0;
	for (size_t i = 0; i < CW_ARRAY_COUNT(expressions); i++)
		check_names(expressions[i], NULL);
	for_expressions(check_names, NULL);
	assert_int_equal(lookup_count, 0);
}

/* Whatever words are strung together: when the check lets them pass, libpcap asks nobody. */
static void no_mixture_of_words_reaches_a_resolver(void **state)
{
	static const char *const words[] = {
	    "host", "net",        "port",       "portrange", "proto",        "src",     "dst",
	    "ip",   "tcp",        "ether",      "and",       "or",           "not",     "(",
	    ")",    "foo",        "http",       "\\tcp",     "80",           "1.2.3.4", "::1",
	    "/8",   "gateway",    "type",       "mgt",       "llc",          "vlan",    "[0]",
	    "=",    "1:2",        "abcd:1",     "ab-cd",     "0x0a.1",       "on",      "mask",
	    "len",  "src or dst", "protochain", "10.2",      "aabbccddeeff", "action",  "ab:cd:ef",
	    "&",    "-",          "fe80:"};
	struct random random = {random_seed(__func__)};
	uint32_t passed = 0;

	(void)state;
	lookup_count = 0;
	for (uint32_t i = 0; i < 100000; i++) {
		char expression[EXPRESSION_BYTES] = "";
		struct cw_filter *filter = NULL;
		uint32_t count = 1 + random_below(&random, 8);

		while (count--) {
			strcat(expression, words[random_below(&random, CW_ARRAY_COUNT(words))]);
			if (!random_is(&random, 8))
				strcat(expression, " ");
		}
		if (cw_filter_names_check(expression, NULL))
			continue;
		passed++;
		if (cw_filter_compile(
			&filter, expression,
			&(struct cw_filter_options){.linktype = 1, .unoptimized = true}, NULL) >= 0)
			cw_filter_free(filter);
		if (lookup_count)
			fail_msg("\"%s\" asked a resolver", expression);
	}
	printf("%u of 100000 passed\n", passed);
	assert_true(passed > 1000);
}

/* ---- verification ---- */

static void unsafe_program_is_refused_by_instruction(void **state)
{
	static const struct {
		struct bpf_insn program[3];
		uint32_t count;
		const char *text;
	} cases[] = {
	    {{BPF_STMT(BPF_LD | BPF_IMM, 1)}, 1, "instruction 0 is the last"},
	    {{BPF_STMT(BPF_RET | BPF_K, 1)}, 0, "without instructions"},
	    {{BPF_STMT(BPF_LD | BPF_MEM, 16), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "scratch"},
	    {{BPF_STMT(BPF_STX, 99), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "scratch"},
	    {{BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "zero"},
	    {{BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 0), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "zero"},
	    {{BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "31 bits"},
	    {{BPF_STMT(0xffff, 0), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "instruction 0 (code 0xffff"},
	    {{BPF_STMT(BPF_RET | BPF_X, 0), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "unknown code"},
	    {{BPF_STMT(BPF_JMP | BPF_JA, 1), BPF_STMT(BPF_RET | BPF_K, 1)}, 2, "jumps out"},
	    {{BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX - 2), BPF_STMT(BPF_RET | BPF_K, 1)},
	     2,
	     "jumps out"},
	    {{BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), BPF_STMT(BPF_RET | BPF_K, 1)},
	     2,
	     "jumps out"},
	    {{BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 255, 0), BPF_STMT(BPF_RET | BPF_K, 1)},
	     2,
	     "jumps out"},
	};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		struct cw_filter *filter = NULL;
		struct cw_error error = {0};

		assert_int_equal(
		    cw_filter_from_program(&filter, cases[i].program, cases[i].count, &error),
		    -EINVAL);
		assert_contains(error.text, cases[i].text);
	}
}

static void too_long_program_is_refused(void **state)
{
	const uint32_t count = CW_FILTER_INSTRUCTIONS_MAX + 1;
	struct bpf_insn *program = calloc(count, sizeof(*program));
	struct cw_filter *filter = NULL;
	struct cw_error error = {0};

	(void)state;
	assert_non_null(program);
	program[count - 1].code = program[count - 2].code = BPF_RET | BPF_K;
	assert_int_equal(cw_filter_from_program(&filter, program, count, &error), -E2BIG);
	assert_contains(error.text, "1000000");
	assert_int_equal(cw_filter_from_program(&filter, program, count - 1, &error), 0);
	cw_filter_free(filter);
	free(program);
}

/* Any bytes as a program: refused, or run without harm and equal to libpcap. */
static void random_bytes_as_a_program_do_no_harm(void **state)
{
	struct random random = {random_seed(__func__)};
	uint8_t data[64];
	uint32_t accepted = 0;

	(void)state;
	for (uint32_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random_u64(&random);
	for (uint32_t i = 0; i < 200000; i++) {
		struct bpf_insn program[6];
		uint32_t count = 1 + random_below(&random, CW_ARRAY_COUNT(program));
		struct cw_filter *filter = NULL;

		for (uint32_t n = 0; n < count; n++)
			program[n] = (struct bpf_insn){.code = (uint16_t)random_below(&random, 256),
						       .jt = (uint8_t)random_below(&random, 4),
						       .jf = (uint8_t)random_below(&random, 4),
						       .k = random_constant(&random)};
		if (cw_filter_from_program(&filter, program, count, NULL))
			continue;
		accepted++;
		cw_filter_match(filter, data, sizeof(data), sizeof(data));
		cw_filter_free(filter);
	}
	printf("%u of 200000 accepted\n", accepted);
	assert_true(accepted > 100);
}

/* ---- sets: the contract; engines are compared in test_filter_set ---- */

static struct cw_filter_set *new_set(enum cw_filter_mode mode, enum cw_filter_engine engine)
{
	struct cw_filter_set_options options = {ethernet, mode, engine};
	struct cw_filter_set *set = NULL;

	assert_int_equal(cw_filter_set_new(&set, &options, NULL), 0);
	return set;
}

static void set_gives_ids_in_ascending_order(void **state)
{
	struct cw_filter_set *set = new_set(CW_FILTER_ALL, CW_ENGINE_AUTO);
	struct cw_packet packet = {.data = (const uint8_t *)"x", .caplen = 1, .wire_len = 1};
	uint32_t ids[3];

	(void)state;
	assert_int_equal(cw_filter_set_add(set, CW_FILTER_ID_MAX, "len > 0", NULL), 0);
	assert_int_equal(cw_filter_set_add(set, 7, "", NULL), 0);
	assert_int_equal(cw_filter_set_add(set, 5, "tcp and udp", NULL), CW_FILTER_NEVER);
	assert_int_equal(cw_filter_set_size(set), 3);
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	assert_int_equal(cw_filter_set_match(set, &packet, ids), 2);
	assert_int_equal(ids[0], 7);
	assert_int_equal(ids[1], CW_FILTER_ID_MAX);
	packet.flags = CW_PACKET_MALFORMED;
	assert_int_equal(cw_filter_set_match(set, &packet, ids), 0);
	cw_filter_set_free(set);
}

static void first_match_is_the_lowest_id(void **state)
{
	struct cw_filter_set *set = new_set(CW_FILTER_FIRST, CW_ENGINE_AUTO);
	struct cw_packet packet = {.data = (const uint8_t *)"x", .caplen = 1, .wire_len = 1};
	uint32_t id;

	(void)state;
	assert_int_equal(cw_filter_set_add(set, 9, "", NULL), 0);
	assert_int_equal(cw_filter_set_add(set, 3, "len > 0", NULL), 0);
	assert_int_equal(cw_filter_set_add(set, 1, "len > 1", NULL), 0);
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	assert_int_equal(cw_filter_set_match(set, &packet, &id), 1);
	assert_int_equal(id, 3);
	cw_filter_set_free(set);
}

static void set_refuses_what_it_cannot_take(void **state)
{
	struct cw_filter_set *set = new_set(CW_FILTER_ALL, CW_ENGINE_AUTO);
	struct cw_filter *filter = compile("udp", &ethernet);
	struct cw_error error = {0};

	(void)state;
	assert_int_equal(cw_filter_set_add(set, 4, "tcp", &error), 0);
	assert_int_equal(cw_filter_set_add(set, 4, "udp", &error), -EEXIST);
	assert_contains(error.text, "4");
	assert_int_equal(cw_filter_set_add_filter(set, 4, filter, &error), -EEXIST);
	assert_int_equal(cw_filter_set_add(set, CW_FILTER_ID_MAX + 1, "tcp", &error), -EINVAL);
	assert_int_equal(cw_filter_set_add(set, 5, "host foo", &error), -EACCES);
	assert_int_equal(cw_filter_set_add_filter(set, 5, filter, &error), 0);
	assert_int_equal(cw_filter_set_build(set, &error), 0);
	assert_int_equal(cw_filter_set_build(set, &error), -EINVAL);
	assert_int_equal(cw_filter_set_add(set, 6, "tcp", &error), -EINVAL);
	assert_int_equal(cw_filter_set_size(set), 2);
	cw_filter_set_free(set);
	cw_filter_set_free(NULL);
	cw_filter_free(NULL);
}

/* Packets of 0 to 9 bytes; the filter with id i matches those of more than i bytes. */
static void burst_stops_where_ids_might_not_fit(void **state)
{
	struct cw_filter_set *set = new_set(CW_FILTER_ALL, CW_ENGINE_AUTO);
	static const uint8_t data[10];
	struct cw_packet packets[10];
	uint32_t ids[10], ends[10];
	char expression[32];

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		packets[i] = (struct cw_packet){.data = data, .caplen = i, .wire_len = i};
		snprintf(expression, sizeof(expression), "len > %u", i);
		assert_int_equal(cw_filter_set_add(set, i, expression, NULL), 0);
	}
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	assert_int_equal(cw_filter_set_match_burst(set, packets, 10, ids, 9, ends), 0);
	/* 0 + 1 ids, then 9 places are left for up to 10. */
	assert_int_equal(cw_filter_set_match_burst(set, packets, 10, ids, 10, ends), 2);
	assert_int_equal(ends[0], 0);
	assert_int_equal(ends[1], 1);
	assert_int_equal(cw_filter_set_match_burst(set, packets + 9, 1, ids, 10, ends), 1);
	assert_int_equal(ends[0], 9);
	for (uint32_t i = 0; i < 9; i++)
		assert_int_equal(ids[i], i);
	cw_filter_set_free(set);
}

static void empty_set_matches_nothing(void **state)
{
	struct cw_filter_set *set = new_set(CW_FILTER_FIRST, CW_ENGINE_AUTO);
	struct cw_packet packet = {.data = (const uint8_t *)"x", .caplen = 1, .wire_len = 1};
	uint32_t ends[1] = {9};

	(void)state;
	assert_int_equal(cw_filter_set_build(set, NULL), 0);
	assert_int_equal(cw_filter_set_match(set, &packet, NULL), 0);
	assert_int_equal(cw_filter_set_match_burst(set, &packet, 1, NULL, 0, ends), 1);
	assert_int_equal(ends[0], 0);
	cw_filter_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(expressions_match_as_in_libpcap),
	    cmocka_unit_test(random_programs_match_as_in_libpcap),
	    cmocka_unit_test(protochain_follows_as_many_headers_as_fit),
	    cmocka_unit_test(protochain_that_libpcap_never_ends_ends),
	    cmocka_unit_test(protochain_that_turns_back_ends_where_libpcap_does),
	    cmocka_unit_test(endless_loop_ends_without_a_match),
	    cmocka_unit_test(scratch_memory_starts_as_zero),
	    cmocka_unit_test(compiled_program_is_libpcaps_own),
	    cmocka_unit_test(empty_expression_matches_everything),
	    cmocka_unit_test(snaplen_is_what_a_match_returns),
	    cmocka_unit_test(impossible_expression_is_a_warning),
	    cmocka_unit_test(link_type_decides_where_bytes_are),
	    cmocka_unit_test(unsupported_link_type_is_named),
	    cmocka_unit_test(wrong_expression_names_the_first_bad_token),
	    cmocka_unit_test(long_expression_is_quoted_in_part),
	    cmocka_unit_test(host_names_are_refused_without_asking_anybody),
	    cmocka_unit_test(host_names_are_asked_for_where_allowed),
	    cmocka_unit_test(other_words_are_not_taken_for_host_names),
	    cmocka_unit_test(no_mixture_of_words_reaches_a_resolver),
	    cmocka_unit_test(unsafe_program_is_refused_by_instruction),
	    cmocka_unit_test(too_long_program_is_refused),
	    cmocka_unit_test(random_bytes_as_a_program_do_no_harm),
	    cmocka_unit_test(set_gives_ids_in_ascending_order),
	    cmocka_unit_test(first_match_is_the_lowest_id),
	    cmocka_unit_test(set_refuses_what_it_cannot_take),
	    cmocka_unit_test(burst_stops_where_ids_might_not_fit),
	    cmocka_unit_test(empty_set_matches_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
