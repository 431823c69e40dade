/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules files, good and bad, with the exact words of every refusal. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/rules/rules.h"
#include "tests/rig/scale.h"

static struct cw_error error;

/* The linker sends the library's allocations here; number allocations_left of them fails. */
static int64_t allocations_left = INT64_MAX;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t bytes)
{
	return allocations_left-- == 0 ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return allocations_left-- == 0 ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes)
{
	return allocations_left-- == 0 ? NULL : __real_realloc(memory, bytes);
}

char *__wrap_strdup(const char *text)
{
	return allocations_left-- == 0 ? NULL : __real_strdup(text);
}

static struct cw_rules parse(const char *text)
{
	struct cw_rules rules;

	if (cw_rules_parse(&rules, text, strlen(text), "r.yaml", &error))
		fail_msg("%s", error.text);
	return rules;
}

static void the_design_s_example_is_read(void **state)
{
	struct cw_rules rules =
	    parse("defaults: {write: \"{rule}-%Y%m%d.pcapng\", rotate: {size: 1GiB}}\n"
		  "mode: first\n"
		  "rules:\n"
		  "  dns: port 53\n"
		  "  tls: {filter: tcp port 443, write: tls.pcap, snaplen: 192}\n"
		  "  all: ''\n"
		  "  rest: {filter: unmatched, rotate: {packets: 1000, size: 0}}\n");

	(void)state;
	assert_int_equal(rules.mode, CW_FILTER_FIRST);
	assert_string_equal(rules.path, "r.yaml");
	assert_int_equal(rules.count, 4);
	assert_string_equal(rules.rules[0].name, "dns");
	assert_string_equal(rules.rules[0].filter, "port 53");
	assert_string_equal(rules.rules[0].write, "{rule}-%Y%m%d.pcapng");
	assert_int_equal(rules.rules[0].rotate_bytes, 1 << 30);
	assert_int_equal(rules.rules[0].line, 4);
	assert_int_equal(rules.rules[0].filter_line, 4);
	assert_string_equal(rules.rules[1].write, "tls.pcap");
	assert_int_equal(rules.rules[1].snaplen, 192);
	assert_int_equal(rules.rules[1].rotate_bytes, 1 << 30);
	assert_string_equal(rules.rules[2].filter, "");
	assert_int_equal(rules.rules[3].kind, CW_RULE_UNMATCHED);
	assert_null(rules.rules[3].filter);
	assert_int_equal(rules.rules[3].rotate_bytes, 0);
	assert_int_equal(rules.rules[3].rotate_packets, 1000);
	assert_int_equal(cw_rules_check(&rules, &error), 0);
	cw_rules_fini(&rules);
	assert_null(rules.rules);
	cw_rules_fini(&rules);
}

static void defaults_may_come_last_and_are_merged_key_by_key(void **state)
{
	struct cw_rules rules =
	    parse("rules:\n"
		  "  a: {filter: ip, snaplen: 0, rotate: {packets: 5, every: 2h},\n"
		  "      hook: [gzip, -9], secrets: keep, file_mode: 0664, group: adm}\n"
		  "  b: {filter: ip6, folder_mode: 0o755}\n"
		  "defaults: {write: '{rule}.pcap', snaplen: 96, secrets: drop,\n"
		  "           file_mode: 640, folder_mode: 0750, group: pcap,\n"
		  "           rotate: {size: 2KB, packets: 9, every: 90s}, hook: a program}\n");

	(void)state;
	assert_int_equal(rules.mode, CW_FILTER_ALL);
	assert_int_equal(rules.rules[0].snaplen, 0);
	assert_int_equal(rules.rules[0].access.file_mode, 0664);
	assert_int_equal(rules.rules[0].access.folder_mode, 0750);
	assert_string_equal(rules.rules[0].group, "adm");
	assert_int_equal(rules.rules[1].access.file_mode, 0640);
	assert_int_equal(rules.rules[1].access.folder_mode, 0755);
	assert_string_equal(rules.rules[1].group, "pcap");
	assert_int_equal(rules.rules[0].rotate_bytes, 2000);
	assert_int_equal(rules.rules[0].rotate_packets, 5);
	assert_string_equal(rules.rules[0].hook[0], "gzip");
	assert_string_equal(rules.rules[0].hook[1], "-9");
	assert_null(rules.rules[0].hook[2]);
	assert_string_equal(rules.rules[1].hook[0], "a program");
	assert_null(rules.rules[1].hook[1]);
	assert_int_equal(rules.rules[1].snaplen, 96);
	assert_int_equal(rules.rules[0].discards_secrets, 0);
	assert_int_equal(rules.rules[1].discards_secrets, 1);
	assert_int_equal(rules.rules[1].rotate_packets, 9);
	assert_int_equal(rules.rules[0].rotate_every_ns, 7200 * CW_NS_PER_S);
	assert_int_equal(rules.rules[1].rotate_every_ns, 90 * CW_NS_PER_S);
	cw_rules_fini(&rules);
}

static void numbers_mean_what_they_say_bare_and_with_suffixes(void **state)
{
	struct cw_rules rules =
	    parse("keep: {total: 1t, free: 5}\n"
		  "rules:\n"
		  "  bare: {filter: ip, write: a.pcap, snaplen: 96, priority: 7, sample: 1/3,\n"
		  "         rotate: {size: 4096, packets: 5, every: 60, files: 6, total: 8192},\n"
		  "         limit: {packets: 1, bytes: 2, rate: 3}}\n"
		  "  more: {filter: ip, write: b.pcap, snaplen: 64k, sample: 1/2k,\n"
		  "         rotate: {size: 2kB, packets: 5k, every: 1.5h, files: 1k, total: 8m},\n"
		  "         limit: {packets: 1M, bytes: 2g, rate: 3G}}\n");
	const struct cw_rule *bare = &rules.rules[0], *more = &rules.rules[1];

	(void)state;
	assert_true(rules.total_bytes == UINT64_C(1) << 40 && rules.free_bytes == 5);
	assert_int_equal(bare->snaplen, 96);
	assert_int_equal(bare->priority, 7);
	assert_int_equal(bare->sample_every, 3);
	assert_int_equal(bare->rotate_bytes, 4096);
	assert_int_equal(bare->rotate_packets, 5);
	assert_int_equal(bare->rotate_every_ns, 60 * CW_NS_PER_S);
	assert_int_equal(bare->ring_files, 6);
	assert_int_equal(bare->ring_bytes, 8192);
	assert_int_equal(bare->limit_packets, 1);
	assert_int_equal(bare->limit_bytes, 2);
	assert_int_equal(bare->limit_rate, 3);
	assert_int_equal(more->snaplen, 65536);
	assert_int_equal(more->priority, 0);
	assert_int_equal(more->sample_every, 2000);
	assert_int_equal(more->rotate_bytes, 2000);
	assert_int_equal(more->rotate_packets, 5000);
	assert_int_equal(more->rotate_every_ns, 5400 * CW_NS_PER_S);
	assert_int_equal(more->ring_files, 1000);
	assert_int_equal(more->ring_bytes, 8 << 20);
	assert_int_equal(more->limit_packets, 1000000);
	assert_true(more->limit_bytes == UINT64_C(2) << 30);
	assert_true(more->limit_rate == UINT64_C(3000000000));
	cw_rules_fini(&rules);
}

static void filters_may_take_several_lines_and_know_theirs(void **state)
{
	struct cw_rules rules = parse("defaults: {write: '{rule}.pcap'}\n"
				      "rules:\n"
				      "  a:\n"
				      "    filter: |\n"
				      "      tcp\n"
				      "      and port 80\n"
				      "  b: >\n"
				      "    unmatched\n"
				      "  c:\n"
				      "    filter:\n"
				      "      udp\n");

	(void)state;
	assert_string_equal(rules.rules[0].filter, "tcp\nand port 80\n");
	assert_int_equal(rules.rules[0].line, 3);
	assert_int_equal(rules.rules[0].filter_line, 5);
	assert_int_equal(rules.rules[1].kind, CW_RULE_UNMATCHED);
	assert_int_equal(rules.rules[1].filter_line, 8);
	assert_string_equal(rules.rules[2].filter, "udp");
	assert_int_equal(rules.rules[2].filter_line, 11);
	cw_rules_fini(&rules);
}

#define LONG_NAME                                                                        \
	"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz" \
	"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
#define W "defaults: {write: '{rule}.pcap'}\n"

/* What errors say of the numbers that a key takes. */
#define BYTES "a size from 0 to "
#define UNITS " (a bare number is in B; suffixes k, m, g, t, KiB, kB, ...), not "
#define COUNT "a count (suffixes k, M, G), not "
#define TIME "a time from 0 to 106751d (a bare number is in s; suffixes us, ms, s, m, h, d), not "

static const struct {
	const char *text;
	const char *message;
} bad_files[] = {
    /* The whole file */
    {"", "r.yaml:1: the file is empty; write rules: {dns: port 53}"},
    {"# only a comment\n", "r.yaml:1: the file is empty; write rules: {dns: port 53}"},
    {"port 53\n", "r.yaml:1: the file must be a mapping, like rules: {dns: port 53}"},
    {"\n- a\n", "r.yaml:2: the file must be a mapping, like rules: {dns: port 53}"},
    {W, "r.yaml:1: no rules; add the key rules: {dns: port 53}"},
    {W "rules: {a: ip}\n---\nrules: {b: ip}\n",
     "r.yaml:3: a second document; remove the line with ---"},
    {"rule: {a: ip}\n", "r.yaml:1: unknown key 'rule' in the file; did you mean 'rules'?"},
    {"outputs: {a: ip}\n",
     "r.yaml:1: unknown key 'outputs' in the file; the keys are mode, defaults, rules, "
     "keep, capture"},
    {"\norder: 5\n", "r.yaml:2: the key 'order' is not in this version"},
    {"[a]: b\n", "r.yaml:1: a key in the file must be a word"},
    {"mode: all\nmode: all\n", "r.yaml:2: duplicate key 'mode' in the file"},
    {W W, "r.yaml:2: duplicate key 'defaults' in the file"},
    {"mode: best\n", "r.yaml:1: mode: 'best' is unknown; use all or first"},
    {"mode:\n", "r.yaml:1: mode has no value"},
    {"mode: [all]\n", "r.yaml:1: mode must be a single value"},
    /* defaults */
    {"defaults: 5\n", "r.yaml:1: defaults must be a mapping, like {write: '{rule}.pcap'}"},
    {"defaults: {filter: ip}\n",
     "r.yaml:1: unknown key 'filter' in defaults; the keys are write, snaplen, rotate, "
     "secrets, priority, sample, limit, "
     "file_mode, folder_mode, group, hook"},
    {"defaults: {sync: off}\n", "r.yaml:1: the key 'sync' is not in this version"},
    {"defaults: {snaplne: 5}\n",
     "r.yaml:1: unknown key 'snaplne' in defaults; did you mean 'snaplen'?"},
    {"defaults: {snaplen: big}\n", "r.yaml:1: snaplen takes " BYTES "256KiB" UNITS "'big'"},
    {"defaults: {snaplen: 1XB}\n", "r.yaml:1: snaplen takes " BYTES "256KiB" UNITS "'1XB'"},
    {"defaults: {snaplen: -1}\n", "r.yaml:1: snaplen takes " BYTES "256KiB" UNITS "'-1'"},
    {"defaults: {snaplen: 262145}\n", "r.yaml:1: snaplen takes " BYTES "256KiB" UNITS "'262145'"},
    {"defaults: {snaplen: [1]}\n", "r.yaml:1: snaplen must be a single value"},
    {"defaults: {rotate: 1GiB}\n", "r.yaml:1: rotate must be a mapping, like {size: 1GiB}"},
    {"defaults: {rotate: {size: 1 GiB}}\n", "r.yaml:1: size takes "
					    "a size" UNITS "'1 GiB'"},
    {"defaults: {rotate: {size: 99999999TiB}}\n", "r.yaml:1: size takes "
						  "a size" UNITS "'99999999TiB'"},
    {"defaults: {rotate: {packets: 1K}}\n", "r.yaml:1: packets takes " COUNT "'1K'"},
    {"defaults: {rotate: {every: 10 m}}\n", "r.yaml:1: every takes " TIME "'10 m'"},
    {"defaults: {rotate: {every: 1w}}\n", "r.yaml:1: every takes " TIME "'1w'"},
    {"defaults: {rotate: {every: 99999999999d}}\n", "r.yaml:1: every takes " TIME "'99999999999d'"},
    {"defaults: {rotate: {every: [1]}}\n", "r.yaml:1: every must be a single value"},
    {"defaults: {rotate: {sise: 4}}\n",
     "r.yaml:1: unknown key 'sise' in rotate; did you mean 'size'?"},
    {"defaults: {rotate: {size: 1, size: 2}}\n", "r.yaml:1: duplicate key 'size' in rotate"},
    {"defaults: {write: }\n", "r.yaml:1: write has no value"},
    {"defaults: {write: {a: b}}\n",
     "r.yaml:1: write must be a single value; quote a value with braces, like '{rule}.pcap'"},
    {"defaults: {file_mode: 0777}\n",
     "r.yaml:1: file_mode: '0777' is not an octal mode from 0600 to 0666"},
    {"defaults: {file_mode: 0440}\n",
     "r.yaml:1: file_mode: '0440' is not an octal mode from 0600 to 0666"},
    {"defaults: {file_mode: 0680}\n",
     "r.yaml:1: file_mode: '0680' is not an octal mode from 0600 to 0666"},
    {"defaults: {folder_mode: 02750}\n",
     "r.yaml:1: folder_mode: '02750' is not an octal mode from 0700 to 0777"},
    {"defaults: {group: ''}\n", "r.yaml:1: group: it is empty"},
    /* rules */
    {W "rules: {}\n", "r.yaml:2: no rules; add a rule, like dns: port 53"},
    {W "rules:\n", "r.yaml:2: rules must be a mapping, like {dns: port 53}"},
    {W "rules: [ip]\n", "r.yaml:2: rules must be a mapping, like {dns: port 53}"},
    {W "rules:\n  [a]: ip\n", "r.yaml:3: a rule's name must be a word"},
    {W "rules:\n  a:\n", "r.yaml:3: rule a has no filter; write '' to take all packets"},
    {W "rules:\n  a: ~\n", "r.yaml:3: rule a has no filter; write '' to take all packets"},
    {W "rules:\n  a: {filter: null}\n",
     "r.yaml:3: rule a has no filter; write '' to take all packets"},
    {W "rules:\n  a: {snaplen: 5}\n",
     "r.yaml:3: rule a has no filter; add filter: to it ('' takes all packets)"},
    {W "rules:\n  a: [ip]\n",
     "r.yaml:3: rule a must be an expression or a mapping, like {filter: port 53}"},
    {W "rules:\n  a: {filter: [ip]}\n", "r.yaml:3: filter must be a single value"},
    {W "rules:\n  a: {filer: ip}\n",
     "r.yaml:3: unknown key 'filer' in rule a; did you mean 'filter'?"},
    {W "rules:\n  a: {description: ip}\n",
     "r.yaml:3: unknown key 'description' in rule a; the "
     "keys are filter, write, snaplen, rotate, secrets, priority, "
     "sample, limit, file_mode, folder_mode, group, hook"},
    {W "rules:\n  a: {\"a\\nvery long key that goes on and on and on and on and on and on\": 1}\n",
     "r.yaml:3: unknown key 'a?very long key that goes on and on and on and on and on and...' in "
     "rule a; the keys are filter, write, snaplen, rotate, secrets, priority, "
     "sample, limit, file_mode, folder_mode, group, hook"},
    {W "rules:\n  a: {filter: ip, sample: 5}\n",
     "r.yaml:3: sample: '5' is not a sample; write it like 1/100"},
    {W "rules:\n  a: {filter: ip, limit: {rate: fast}}\n", "r.yaml:3: rate takes " COUNT "'fast'"},
    {W "rules:\n  a: {filter: ip, hook: ''}\n", "r.yaml:3: hook must be a program, or a list of it "
						"and its arguments, like [gzip, -9], of at most "
						"100 words"},
    {W "rules:\n  a: {filter: ip, hook: []}\n", "r.yaml:3: hook must be a program, or a list of it "
						"and its arguments, like [gzip, -9], of at most "
						"100 words"},
    {W "rules:\n  a: {filter: ip, hook: [gzip, {a: b}]}\n",
     "r.yaml:3: hook must be a program, or a list of it and its arguments, like [gzip, -9], of at "
     "most "
     "100 words"},
    {W "rules:\n  a: {filter: ip, filter: tcp}\n", "r.yaml:3: duplicate key 'filter' in rule a"},
    {W "rules:\n  a: ip\n  b: ip\n  b: tcp\n  a: tcp\n",
     "r.yaml:5: rule b is already defined in line 4; rename one"},
    {W "rules:\n  a: unmatched\n  b: {filter: ' unmatched '}\n",
     "r.yaml:4: rules a and b are both 'unmatched'; only one rule can be"},
    {"rules:\n  a: {filter: ip, write: x.pcap}\n  b: ip\n",
     "r.yaml:3: rule b has no output; add write: 'b.pcapng' to it, or for all rules defaults: "
     "{write: '{rule}.pcapng'}"},
    {W "rules:\n  'a/b': ip\n",
     "r.yaml:3: rule name 'a/b': use only letters, digits and _ - . + @ :"},
    {W "rules:\n  '..': ip\n", "r.yaml:3: rule name '..': it has only dots"},
    {W "rules:\n  '': ip\n", "r.yaml:3: rule name '': it is empty"},
    {W "rules:\n  " LONG_NAME ": ip\n",
     "r.yaml:3: rule name 'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh...': it is "
     "longer than 128 characters"},
};

static void bad_files_are_refused_with_file_line_and_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(bad_files); i++) {
		const char *text = bad_files[i].text;
		struct cw_rules rules;

		assert_int_equal(cw_rules_parse(&rules, text, strlen(text), "r.yaml", &error),
				 -EINVAL);
		assert_string_equal(error.text, bad_files[i].message);
		assert_int_equal(error.code, -EINVAL);
		assert_null(rules.rules);
		assert_null(rules.path);
		assert_int_equal(cw_rules_parse(&rules, text, strlen(text), "r.yaml", NULL),
				 -EINVAL);
	}
}

static void a_nul_byte_and_a_cut_character_are_reported(void **state)
{
	static const char nul[] = "rules:\n  a: i\0p\n";
	static const char cut[] = "rules:\n\n  a: \xe2\x82";
	struct cw_rules rules;

	(void)state;
	assert_int_equal(cw_rules_parse(&rules, nul, sizeof(nul) - 1, "r.yaml", &error), -EINVAL);
	assert_string_equal(error.text,
			    "r.yaml:2: not UTF-8 text: control characters are not allowed");
	assert_int_equal(cw_rules_parse(&rules, cut, sizeof(cut) - 1, "r.yaml", &error), -EINVAL);
	assert_string_equal(error.text,
			    "r.yaml:3: not UTF-8 text: incomplete UTF-8 octet sequence");
}

static void deep_nesting_is_refused_at_the_grammar_s_depth(void **state)
{
	size_t bytes = 1 << 20;
	char *text = malloc(bytes);
	struct cw_rules rules;

	(void)state;
	memset(text, '[', bytes);
	memcpy(text, "rules: {a: ", 11);
	assert_int_equal(cw_rules_parse(&rules, text, bytes, "r.yaml", &error), -EINVAL);
	assert_string_equal(error.text, "r.yaml:1: rule a must be an expression or a mapping, like "
					"{filter: port 53}");
	free(text);
}

static void a_file_that_is_too_large_is_refused(void **state)
{
	struct cw_rules rules;

	(void)state;
	assert_int_equal(cw_rules_parse(&rules, "", CW_RULES_FILE_BYTES_MAX + 1, "r.yaml", &error),
			 -EFBIG);
	assert_string_equal(error.text, "r.yaml: a rules file has at most 256 MiB");
	/* An endless file is read up to the limit only; a sparse one stands for it. */
	char path[] = "/tmp/capweir-rules-XXXXXX";
	int fd = mkstemp(path);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), 0);
	close(fd);
	assert_int_equal(cw_rules_load(&rules, path, &error), -EFBIG);
	unlink(path);
}

static void files_and_standard_input_are_loaded(void **state)
{
	static const char text[] = "rules: {a: {filter: ip, write: a.pcap}}\n";
	char path[] = "/tmp/capweir-rules-XXXXXX";
	char expected[128];
	struct cw_rules rules;
	int fd = mkstemp(path);
	int before = dup(STDIN_FILENO);

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	assert_int_equal(cw_rules_load(&rules, path, &error), 0);
	assert_string_equal(rules.path, path);
	assert_int_equal(rules.count, 1);
	cw_rules_fini(&rules);
	lseek(fd, 0, SEEK_SET);
	dup2(fd, STDIN_FILENO);
	assert_int_equal(cw_rules_load(&rules, "-", &error), 0);
	assert_string_equal(rules.path, "standard input");
	cw_rules_fini(&rules);
	dup2(before, STDIN_FILENO);
	close(before);
	close(fd);
	unlink(path);
	assert_int_equal(cw_rules_load(&rules, path, &error), -ENOENT);
	snprintf(expected, sizeof(expected),
		 "cannot open the rules file %s: No such file or directory", path);
	assert_string_equal(error.text, expected);
	assert_int_equal(cw_rules_load(&rules, "/tmp", &error), -EISDIR);
	assert_string_equal(error.text, "cannot read the rules file /tmp: Is a directory");
}

static void many_rules_are_read_quickly(void **state)
{
	uint32_t count = 50000;
	char *text = malloc(64 + count * 40u);
	size_t used = (size_t)sprintf(text, "%srules:\n", W);
	struct cw_rules rules;

	(void)state;
	for (uint32_t i = 0; i < count; i++)
		used += (size_t)sprintf(text + used, "  r%u: host 10.0.0.1\n", i);
	assert_int_equal(cw_rules_parse(&rules, text, used, "r.yaml", &error), 0);
	assert_int_equal(rules.count, count);
	assert_string_equal(rules.rules[count - 1].name, "r49999");
	assert_int_equal(cw_rules_check(&rules, &error), 0);
	cw_rules_fini(&rules);
	free(text);
}

/* Command line --------------------------------------------------------------------------------- */

static void command_line_rules_are_added_and_checked(void **state)
{
	struct cw_rules rules = {0};

	(void)state;
	assert_int_equal(cw_rules_add(&rules, "rule1", "port 53", "a.pcap", 96, &error), 0);
	assert_int_equal(cw_rules_add(&rules, "rule2", "unmatched", "b.pcap", 0, &error), 0);
	assert_int_equal(rules.rules[0].snaplen, 96);
	assert_int_equal(rules.rules[1].kind, CW_RULE_UNMATCHED);
	assert_null(rules.rules[1].filter);
	assert_null(rules.path);
	assert_int_equal(cw_rules_check(&rules, &error), 0);
	assert_int_equal(cw_rules_add(&rules, "rule1", "ip", "c.pcap", 0, &error), -EINVAL);
	assert_string_equal(error.text, "two rules have the name rule1");
	assert_int_equal(cw_rules_add(&rules, "rule3", "unmatched", "c.pcap", 0, &error), -EINVAL);
	assert_string_equal(error.text,
			    "rules rule2 and rule3 are both 'unmatched'; only one rule can be");
	assert_int_equal(cw_rules_add(&rules, "a b", "ip", "c.pcap", 0, &error), -EINVAL);
	assert_string_equal(error.text,
			    "rule name 'a b': use only letters, digits and _ - . + @ :");
	assert_int_equal(rules.count, 2);
	assert_int_equal(cw_rules_add(&rules, "rule3", "ip", "./a.pcap", 0, &error), 0);
	assert_int_equal(cw_rules_check(&rules, &error), -EINVAL);
	assert_string_equal(error.text,
			    "rules rule1 and rule3 can write the same file ('a.pcap' and "
			    "'./a.pcap'); give each a separate -w, or use {rule}");
	assert_int_equal(cw_rules_check(&rules, NULL), -EINVAL);
	cw_rules_fini(&rules);
	assert_int_equal(cw_rules_add(&rules, "rule1", "ip", "a.gz", 0, &error), 0);
	assert_int_equal(cw_rules_check(&rules, &error), -EINVAL);
	assert_string_equal(error.text,
			    "rule rule1: output name 'a.gz': compressed output (.gz) is "
			    "not in this version; use .pcap, .pcapng or .zst");
	cw_rules_fini(&rules);
}

static void expect_check_failure(const char *text, const char *message)
{
	struct cw_rules rules = parse(text);

	assert_int_equal(cw_rules_check(&rules, &error), -EINVAL);
	assert_string_equal(error.text, message);
	cw_rules_fini(&rules);
}

static void the_check_names_lines_and_both_rules(void **state)
{
	(void)state;
	expect_check_failure(
	    "rules:\n"
	    "  a: {filter: ip, write: x-%Y.pcap}\n"
	    "  b: {filter: ip, write: '{rule}.pcap'}\n"
	    "  c: {filter: ip, write: x-2026.pcap}\n",
	    "r.yaml:4: rule c can write the same file as rule a in line 2 ('x-2026.pcap' "
	    "and 'x-%Y.pcap'); use {rule} in their names");
	expect_check_failure(
	    "rules:\n  a: {filter: ip, write: '{rul}.pcap'}\n",
	    "r.yaml:2: rule a: output name '{rul}.pcap': unknown field '{rul}'; use "
	    "{rule}, {iface} or {seq}");
	expect_check_failure(
	    "rules:\n  a.pcapng: {filter: ip, write: 'x-{rule}'}\n",
	    "r.yaml:2: rule a.pcapng: its file would be a pcap named 'a.pcapng'; add "
	    ".pcapng after {rule}");
	expect_check_failure(
	    "rules:\n  a.gz: {filter: ip, write: '{rule}'}\n",
	    "r.yaml:2: rule a.gz: its file would be named 'a.gz', which is not a valid "
	    "output name; add an extension after {rule}");
}

static void rules_that_cannot_be_told_apart_in_time_are_refused(void **state)
{
	struct cw_rules rules;
	char *text;
	size_t used;

	(void)state;
	if (scale() < 1) {
		print_message("skipped: the search takes 2^27 steps before it gives up\n");
		skip();
	}
	text = malloc(1 << 20);
	used = (size_t)sprintf(text, "defaults: {write: '{iface}-{rule}'}\nrules:\n");
	for (uint32_t i = 0; i < 30000; i++)
		used += (size_t)sprintf(text + used, "  r%u: ip\n", i);
	assert_int_equal(cw_rules_parse(&rules, text, used, "r.yaml", &error), 0);
	/* {iface} may be anything, so each pair is compared. */
	assert_int_equal(cw_rules_check(&rules, &error), -E2BIG);
	assert_non_null(strstr(error.text, "too many rules"));
	cw_rules_fini(&rules);
	free(text);
}

static int load_add_and_check(const char *path)
{
	struct cw_rules rules;
	int status = cw_rules_load(&rules, path, &error);

	if (!status)
		status = cw_rules_add(&rules, "more", "udp", "more.pcap", 0, &error);
	if (!status)
		status = cw_rules_check(&rules, &error);
	cw_rules_fini(&rules);
	return status;
}

static void every_allocation_that_fails_is_reported_and_leaks_nothing(void **state)
{
	static const char text[] =
	    W "rules: {a: ip, b: unmatched, c: {filter: tcp, write: c, hook: [x, y z]}}\n"
	      "capture: {interface: [lo, eth0], queues: 2}\n";
	char path[] = "/tmp/capweir-rules-XXXXXX";
	int fd = mkstemp(path);
	int64_t count = 0;
	int status;

	(void)state;
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	do {
		error = (struct cw_error){0};
		allocations_left = count++;
		status = load_add_and_check(path);
		allocations_left = INT64_MAX;
		assert_true(!status ||
			    (status == -ENOMEM && error.code == -ENOMEM && error.text[0]));
	} while (status);
	assert_in_range(count, 20, 200);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_design_s_example_is_read),
	    cmocka_unit_test(defaults_may_come_last_and_are_merged_key_by_key),
	    cmocka_unit_test(numbers_mean_what_they_say_bare_and_with_suffixes),
	    cmocka_unit_test(filters_may_take_several_lines_and_know_theirs),
	    cmocka_unit_test(bad_files_are_refused_with_file_line_and_reason),
	    cmocka_unit_test(a_nul_byte_and_a_cut_character_are_reported),
	    cmocka_unit_test(deep_nesting_is_refused_at_the_grammar_s_depth),
	    cmocka_unit_test(a_file_that_is_too_large_is_refused),
	    cmocka_unit_test(files_and_standard_input_are_loaded),
	    cmocka_unit_test(many_rules_are_read_quickly),
	    cmocka_unit_test(command_line_rules_are_added_and_checked),
	    cmocka_unit_test(the_check_names_lines_and_both_rules),
	    cmocka_unit_test(rules_that_cannot_be_told_apart_in_time_are_refused),
	    cmocka_unit_test(every_allocation_that_fails_is_reported_and_leaks_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
