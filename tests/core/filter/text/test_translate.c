/* SPDX-License-Identifier: BSD-3-Clause */
/* From expressions to programs: options, warnings, errors that name the place, names of hosts. */
#include <arpa/inet.h>
#include <errno.h>

#include "tests/rig/filter_random.h"
#include "tests/rig/filter_texts.h"
#include "tests/rig/scale.h"

/* ---- helpers ---- */

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

/* A netmask comes as the interface has it, in network byte order. */
static void broadcast_fills_the_host_bits_of_the_netmask(void **state)
{
	static const struct {
		uint8_t address[4];
		bool is_broadcast;
	} cases[] = {{{10, 1, 31, 255}, true}, {{10, 1, 16, 0}, true}, {{10, 1, 30, 255}, false},
		     {{10, 1, 16, 1}, false},  {{10, 1, 0, 0}, true},  {{255, 15, 16, 1}, false}};
	struct cw_filter_options options = {.linktype = CW_LINKTYPE_RAW,
					    .netmask = inet_addr("255.255.240.0")};
	struct cw_filter *filter = compile("ip broadcast", &options);
	uint8_t data[20] = {0x45, [3] = sizeof(data)};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		memcpy(data + 16, cases[i].address, 4);
		assert_int_equal(cw_filter_match(filter, data, sizeof(data), sizeof(data)) != 0,
				 cases[i].is_broadcast);
	}
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

static void display_filters_are_named_and_translated(void **state)
{
	static const char *const cases[][3] = {
	    {"ip.addr == 1.2.3.4", "\"ip.addr\" (column 1) looks like", "written 'host 1.2.3.4'"},
	    {"ip.src==10.0.0.0/8", "\"ip.src\"", "'src net 10.0.0.0/8'"},
	    {"arp or ip.dst != 10.0.0.1", "(column 8)", "'not dst host 10.0.0.1'"},
	    {"ipv6.addr eq fe80::1", "\"ipv6.addr\"", "'host fe80::1'"},
	    {"eth.src == 0:1:2:3:4:5", "\"eth.src\"", "'ether src 0:1:2:3:4:5'"},
	    {"tcp.port == 443 && udp", "\"tcp.port\"", "'tcp port 443'"},
	    {"udp.port in {53, 5353}", "\"udp.port\"", "'udp port 53'"},
	    {"tcp.flags.syn == 1", "\"tcp.flags.syn\"", "'tcp[tcpflags] & tcp-syn != 0'"},
	    {"frame.len > 100", "\"frame.len\"", "'len > 100'"},
	    {"!dns", "\"dns\" (column 2)", "'port 53'"},
	    {"http.request.method", "\"http.request.method\"", "'host 1.2.3.4 and tcp port 80'"},
	    {"smb2.cmd >= 3", "\"smb2.cmd\"", "'host 1.2.3.4 and tcp port 80'"},
	    {"tcp contains GET", "\"contains\" (column 5)", "display-filter syntax"},
	};
	static const char *const others[] = {"host dns", "src dns.example.org", "lenn > 100",
					     "foo.example.org"};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(cases); i++) {
		const char *text = refuse(cases[i][0], -EACCES);

		assert_contains(text, cases[i][1]);
		assert_contains(text, cases[i][2]);
	}
	/* "tcp.port" would be a port's name: refused by libpcap. */
	assert_contains(refuse("port 80 and tcp.port == 443", -EINVAL), "written 'tcp port 443'");
	for (size_t i = 0; i < CW_ARRAY_COUNT(others); i++)
		assert_null(strstr(refuse(others[i], -EACCES), "Wireshark"));
}

static void mask_of_a_host_suggests_net(void **state)
{
	(void)state;
	assert_contains(refuse("net 10.1.0.0/16 or tcp and host 10.0.0.0/8", -EINVAL),
			"at \"10.0.0.0\" (column 33); a network is written 'net ");
	assert_contains(refuse("src 10.0.0.0/8", -EINVAL), "at \"10.0.0.0\" (column 5); a network");
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
	uint32_t mixtures = scaled(100000, 10000), passed = 0;

	(void)state;
	lookup_count = 0;
	for (uint32_t i = 0; i < mixtures; i++) {
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
	printf("%u of %u passed\n", passed, mixtures);
	assert_true(passed > mixtures / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(compiled_program_is_libpcaps_own),
	    cmocka_unit_test(empty_expression_matches_everything),
	    cmocka_unit_test(snaplen_is_what_a_match_returns),
	    cmocka_unit_test(broadcast_fills_the_host_bits_of_the_netmask),
	    cmocka_unit_test(impossible_expression_is_a_warning),
	    cmocka_unit_test(link_type_decides_where_bytes_are),
	    cmocka_unit_test(unsupported_link_type_is_named),
	    cmocka_unit_test(wrong_expression_names_the_first_bad_token),
	    cmocka_unit_test(long_expression_is_quoted_in_part),
	    cmocka_unit_test(host_names_are_refused_without_asking_anybody),
	    cmocka_unit_test(display_filters_are_named_and_translated),
	    cmocka_unit_test(mask_of_a_host_suggests_net),
	    cmocka_unit_test(host_names_are_asked_for_where_allowed),
	    cmocka_unit_test(other_words_are_not_taken_for_host_names),
	    cmocka_unit_test(no_mixture_of_words_reaches_a_resolver),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
