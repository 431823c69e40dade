/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pipeline through its public interface: the same bytes whatever the sizes and threads, the
 * fast reservation against the record-by-record one, what failures at start leave behind, what the
 * hot threads allocate, inputs that shrink underneath at every moment, the check of samples against
 * a libpcap that lies.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <pcap/pcap.h>

#include "core/format/encode.h"
#include "core/source/source.h"
#include "datasets/traffic.h"
#include "pipeline/output/chunk.h"
#include "pipeline/threads/gate.h"
#include "pipeline/pipeline.h"
#include "pipeline/threads/ready.h"
#include "pipeline/threads/ring.h"

#define PACKETS 30000u
#define RULES 6u

/* ---- what the linker wraps ---- */

static _Atomic long allocations_until_failure = -1; /* -1: none fails */
static _Atomic long calls_until_failure = -1;       /* of pthread_create and eventfd */
static _Atomic long fstats_until_shrunk = -1;
static _Atomic long shrunk_bytes;
static _Atomic unsigned long hot_allocations; /* outside the test's own thread */
static pthread_t test_thread;

static bool runs_out(_Atomic long *left)
{
	long value = atomic_load(left);

	while (value > 0 && !atomic_compare_exchange_weak(left, &value, value - 1))
		;
	return value == 0;
}

static bool allocation_fails(void)
{
	if (!pthread_equal(pthread_self(), test_thread))
		atomic_fetch_add(&hot_allocations, 1);
	return runs_out(&allocations_until_failure);
}

void *__real_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_malloc(size_t bytes)
{
	return allocation_fails() ? NULL : __real_malloc(bytes);
}

void *__real_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes)
{
	return allocation_fails() ? NULL : __real_calloc(count, bytes);
}

void *__real_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	return allocation_fails() ? NULL : __real_aligned_alloc(alignment, bytes);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *argument)
{
	return runs_out(&calls_until_failure)
		   ? EAGAIN
		   : __real_pthread_create(thread, attributes, run, argument);
}

int __real_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags)
{
	if (!runs_out(&calls_until_failure))
		return __real_eventfd(value, flags);
	errno = EMFILE;
	return -1;
}

int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status)
{
	int result = __real_fstat(fd, status);

	if (result == 0 && runs_out(&fstats_until_shrunk))
		status->st_size = atomic_load(&shrunk_bytes);
	return result;
}

/* A filter set and libpcap never differ, so one of them has to lie: about packets whose length on
 * the wire leaves LIE_REST when divided by this; 0: the truth. */
static _Atomic uint32_t lie_divisor;
#define LIE_REST 3u

static bool is_lied_about(uint32_t wire_len)
{
	uint32_t divisor = atomic_load(&lie_divisor);

	return divisor && wire_len % divisor == LIE_REST;
}

u_int __real_bpf_filter(const struct bpf_insn *program, const u_char *data, u_int wire_len,
			u_int caplen);
u_int __wrap_bpf_filter(const struct bpf_insn *program, const u_char *data, u_int wire_len,
			u_int caplen);
u_int __wrap_bpf_filter(const struct bpf_insn *program, const u_char *data, u_int wire_len,
			u_int caplen)
{
	u_int result = __real_bpf_filter(program, data, wire_len, caplen);

	return is_lied_about(wire_len) ? !result : result;
}

/* ---- a run ---- */

static char folder[] = "/tmp/capweir-pipeline-XXXXXX";
static char input_path[64];
static off_t input_bytes;

static const char *const filters[RULES] = {"tcp port 443", "udp port 53", "net 198.18.0.0/19",
					   "ip6",          "ip",          "unmatched"};

static void make_input(void)
{
	struct cw_traffic *traffic;
	struct cw_packet packet;
	uint8_t buffer[4096];
	uint32_t index;
	FILE *file;

	snprintf(input_path, sizeof(input_path), "%s/input.pcap", folder);
	assert_int_equal(cw_traffic_open(&traffic, "imix", 3, NULL), 0);
	file = fopen(input_path, "wb");
	assert_non_null(file);
	fwrite(buffer, cw_format_header(CW_FORMAT_PCAP_US, 1, 262144, buffer), 1, file);
	for (index = 0; index < PACKETS; index++) {
		size_t bytes;

		cw_traffic_next(traffic, &packet);
		bytes = cw_format_record_bytes(CW_FORMAT_PCAP_US, &packet, UINT32_MAX);
		assert_true(bytes <= sizeof(buffer));
		cw_format_record(CW_FORMAT_PCAP_US, &packet, UINT32_MAX, 0, bytes, buffer);
		assert_int_equal(fwrite(buffer, bytes, 1, file), 1);
	}
	input_bytes = ftell(file);
	assert_int_equal(fclose(file), 0);
	cw_traffic_close(traffic);
}

struct setup {
	struct cw_rules rules;
	struct cw_pipeline_options options;
	const char *inputs[1];
	char directory[96];
};

static void make_setup(struct setup *setup, const char *name, bool is_pcapng, bool rotates)
{
	uint32_t index;

	*setup = (struct setup){0};
	snprintf(setup->directory, sizeof(setup->directory), "%s/%s", folder, name);
	mkdir(setup->directory, 0700);
	for (index = 0; index < RULES; index++) {
		char rule[16], write_to[32];

		snprintf(rule, sizeof(rule), "r%u", index);
		snprintf(write_to, sizeof(write_to), "r%u.%s", index,
			 is_pcapng && index % 2 ? "pcapng" : "pcap");
		assert_int_equal(cw_rules_add(&setup->rules, rule, filters[index], write_to,
					      index == 4 ? 60 : 0, NULL),
				 0);
		if (rotates) {
			setup->rules.rules[index].rotate_bytes = index % 2 ? 20000 : 0;
			setup->rules.rules[index].rotate_packets = index % 3 ? 0 : 77;
			setup->rules.rules[index].rotate_every_ns = index % 4 == 1 ? 700000 : 0;
			setup->rules.rules[index].is_rotate_from_first = index % 8 == 1;
		}
	}
	cw_pipeline_options_init(&setup->options);
	setup->inputs[0] = input_path;
	setup->options.inputs = setup->inputs;
	setup->options.input_count = 1;
	setup->options.rules = &setup->rules;
	setup->options.directory = setup->directory;
	setup->options.threads = 2;
}

static void empty_folder(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	while (directory && (entry = readdir(directory)) != NULL) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	if (directory)
		closedir(directory);
}

static void end_setup(struct setup *setup)
{
	empty_folder(setup->directory);
	rmdir(setup->directory);
	cw_rules_fini(&setup->rules);
}

static int run(struct setup *setup, struct cw_report *report)
{
	struct cw_pipeline *pipeline;
	struct cw_error error = {0};
	struct pollfd done;
	int result = cw_pipeline_start(&pipeline, &setup->options, &error);

	if (result < 0)
		return result;
	done = (struct pollfd){.fd = cw_pipeline_done_fd(pipeline), .events = POLLIN};
	assert_int_equal(poll(&done, 1, 120000), 1);
	assert_int_equal(cw_pipeline_finish(pipeline, report), 0);
	cw_pipeline_free(pipeline);
	return 0;
}

/* A digest of every file of a folder, its name included, whatever their order there. */
static uint64_t digest_folder(const char *path, uint32_t *file_count)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	uint64_t sum = 0;

	*file_count = 0;
	assert_non_null(directory);
	while ((entry = readdir(directory)) != NULL) {
		uint64_t digest = UINT64_C(0xcbf29ce484222325);
		char whole[512];
		const char *at;
		FILE *file;
		int byte;

		if (entry->d_name[0] == '.')
			continue;
		for (at = entry->d_name; *at; at++)
			digest = (digest ^ (uint8_t)*at) * UINT64_C(0x100000001b3);
		snprintf(whole, sizeof(whole), "%s/%s", path, entry->d_name);
		file = fopen(whole, "rb");
		assert_non_null(file);
		while ((byte = getc_unlocked(file)) != EOF)
			digest = (digest ^ (uint64_t)byte) * UINT64_C(0x100000001b3);
		fclose(file);
		sum += digest;
		++*file_count;
	}
	closedir(directory);
	return sum;
}

/* ---- tests ---- */

static const struct sizes {
	uint32_t threads;
	size_t pool_bytes, chunk_bytes, batch_bytes;
	uint32_t batch_records, batch_count;
	uint32_t descriptor_limit;
	bool reserve_slowly;
} sizes[] = {
    {1, 0, 0, 0, 0, 0, 0, false},         {1, 0, 0, 0, 0, 0, 0, true},
    {2, 0, 0, 0, 0, 0, 0, false},         {4, 65536, 4096, 5000, 0, 0, 0, false},
    {3, 1024, 512, 5000, 0, 2, 0, false}, {8, 2048, 512, 100, 1, 0, 1, false},
    {2, 4096, 4096, 0, 33, 0, 2, true},   {5, 1u << 20, 16384, 70000, 100, 1, 0, false},
};

static void all_sizes_give_the_bytes_of_one(bool is_pcapng, bool rotates)
{
	uint64_t expected = 0;
	uint32_t expected_count = 0;
	size_t index;

	for (index = 0; index < CW_ARRAY_COUNT(sizes); index++) {
		struct cw_report report;
		struct setup setup;
		uint32_t file_count;
		uint64_t digest;

		make_setup(&setup, "sizes", is_pcapng, rotates);
		setup.options.threads = sizes[index].threads;
		setup.options.pool_bytes = sizes[index].pool_bytes;
		setup.options.chunk_bytes = sizes[index].chunk_bytes;
		setup.options.batch_bytes = sizes[index].batch_bytes;
		setup.options.batch_records = sizes[index].batch_records;
		setup.options.batch_count = sizes[index].batch_count;
		setup.options.descriptor_limit = sizes[index].descriptor_limit;
		setup.options.reserve_slowly = sizes[index].reserve_slowly;
		assert_int_equal(run(&setup, &report), 0);
		assert_true(report.is_balanced);
		assert_true(report.is_complete);
		assert_int_equal(report.packets, PACKETS);
		digest = digest_folder(setup.directory, &file_count);
		if (index == 0) {
			expected = digest;
			expected_count = file_count;
		}
		assert_int_equal(file_count, expected_count);
		assert_true(digest == expected);
		cw_report_fini(&report);
		end_setup(&setup);
	}
}

static void threads_and_sizes_do_not_change_pcap_files(void **state)
{
	(void)state;
	all_sizes_give_the_bytes_of_one(false, false);
}

static void threads_and_sizes_do_not_change_rotated_files(void **state)
{
	(void)state;
	all_sizes_give_the_bytes_of_one(false, true);
}

static void threads_and_sizes_do_not_change_pcapng_files(void **state)
{
	(void)state;
	all_sizes_give_the_bytes_of_one(true, true);
}

static unsigned count_entries(const char *path)
{
	DIR *directory = opendir(path);
	unsigned count = 0;

	assert_non_null(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* Fail one call after the other until the start succeeds; each failure must leave nothing. */
static void failing_starts_leave_nothing(_Atomic long *left, const char *name)
{
	unsigned threads = count_entries("/proc/self/task");
	unsigned descriptors = count_entries("/proc/self/fd");
	struct cw_report report;
	struct setup setup;
	long call;
	int result;

	make_setup(&setup, name, true, false);
	for (call = 0; call < 5000; call++) {
		struct cw_pipeline *pipeline = NULL;
		struct cw_error error = {0};

		atomic_store(left, call);
		result = cw_pipeline_start(&pipeline, &setup.options, &error);
		atomic_store(left, -1);
		if (result == 0) {
			cw_pipeline_request_stop(pipeline);
			assert_int_equal(cw_pipeline_finish(pipeline, &report), 0);
			cw_report_fini(&report);
			cw_pipeline_free(pipeline);
			break;
		}
		assert_int_not_equal(error.text[0], '\0');
		assert_int_equal(count_entries("/proc/self/task"), threads);
		assert_int_equal(count_entries("/proc/self/fd"), descriptors);
		assert_int_equal(count_entries(setup.directory), 2);
	}
	print_message("%s: %ld failed starts\n", name, call);
	assert_true(call > 3 && call < 5000);
	end_setup(&setup);
}

static void a_start_that_runs_out_of_memory_leaves_nothing_behind(void **state)
{
	(void)state;
	failing_starts_leave_nothing(&allocations_until_failure, "memory");
}

static void a_start_that_gets_no_thread_leaves_nothing_behind(void **state)
{
	(void)state;
	failing_starts_leave_nothing(&calls_until_failure, "threads");
}

static unsigned long allocations_of_run(uint32_t batch_records)
{
	struct cw_report report;
	struct setup setup;

	make_setup(&setup, "hot", false, false);
	setup.options.batch_records = batch_records;
	atomic_store(&hot_allocations, 0);
	assert_int_equal(run(&setup, &report), 0);
	cw_report_fini(&report);
	end_setup(&setup);
	return atomic_load(&hot_allocations);
}

static void hot_threads_allocate_for_files_not_for_batches(void **state)
{
	unsigned long few = allocations_of_run(4096);
	unsigned long many = allocations_of_run(16);

	(void)state;
	print_message("%lu allocations with 8 batches, %lu with 1875\n", few, many);
	assert_true(many <= few + 4); /* the C library may differ by a few */
	assert_true(few <= 16 * RULES);
}

/* Every record of the file is whole, and they are a prefix of what the good run wrote. */
static void check_prefix(const char *good_folder, const char *folder_cut, uint32_t rule)
{
	char path[512];
	FILE *good, *cut;
	int byte;

	snprintf(path, sizeof(path), "%s/r%u.pcap", folder_cut, rule);
	cut = fopen(path, "rb");
	if (!cut)
		return; /* not even its header was safe */
	snprintf(path, sizeof(path), "%s/r%u.pcap", good_folder, rule);
	good = fopen(path, "rb");
	assert_non_null(good);
	while ((byte = getc_unlocked(cut)) != EOF)
		assert_int_equal(byte, getc_unlocked(good));
	fclose(good);
	fclose(cut);
}

static uint64_t count_records(const char *path)
{
	const struct cw_source_options options = {.wake_fd = -1, .linktype = CW_LINKTYPE_ANY};
	struct cw_source *source;
	struct cw_ifaces ifaces;
	struct cw_error error;
	struct cw_span span;
	struct cw_lease lease;
	uint64_t count = 0;
	int result;

	cw_ifaces_init(&ifaces);
	if (cw_source_open(&source, path, &ifaces, &options, &error) < 0) {
		cw_ifaces_fini(&ifaces);
		return 0;
	}
	while ((result = cw_source_next(source, 1u << 20, UINT32_MAX, &span, &lease, &error)) > 0) {
		count += span.record_count;
		cw_lease_give_back(&lease);
	}
	assert_int_equal(result, 0); /* a torn tail would be -EBADMSG */
	cw_source_close(source);
	cw_ifaces_fini(&ifaces);
	return count;
}

static void an_input_that_shrinks_keeps_what_was_before(void **state)
{
	struct setup good, setup;
	struct cw_report report;
	unsigned cut_runs = 0;
	long call;

	(void)state;
	make_setup(&good, "good", false, false);
	assert_int_equal(run(&good, &report), 0);
	cw_report_fini(&report);
	for (call = 0; call < 400; call++) {
		uint64_t in_files = 0;
		uint32_t rule;

		make_setup(&setup, "shrunk", false, false);
		setup.options.batch_bytes = 100000;
		setup.options.threads = 1 + (uint32_t)call % 3;
		atomic_store(&shrunk_bytes, input_bytes * (call % 7 + 1) / 9);
		atomic_store(&fstats_until_shrunk, call);
		if (run(&setup, &report) == 0) {
			atomic_store(&fstats_until_shrunk, -1);
			assert_true(report.is_balanced);
			for (rule = 0; rule < RULES; rule++) {
				char path[512];

				check_prefix(good.directory, setup.directory, rule);
				snprintf(path, sizeof(path), "%s/r%u.pcap", setup.directory, rule);
				in_files += count_records(path);
			}
			assert_int_equal(in_files, report.books.in_files);
			cut_runs += !report.is_complete;
			cw_report_fini(&report);
		}
		atomic_store(&fstats_until_shrunk, -1);
		end_setup(&setup);
	}
	print_message("%u of 400 runs met the shrunk file\n", cut_runs);
	assert_true(cut_runs > 40);
	end_setup(&good);
}

/* ---- samples ---- */

struct told {
	char texts[16][256];
	uint32_t count;
};

static void keep_told(void *context, enum cw_severity severity, const char *text)
{
	struct told *told = context;

	assert_int_equal(severity, CW_PROBLEM);
	assert_true(told->count < 16);
	snprintf(told->texts[told->count++], sizeof(told->texts[0]), "%s", text);
}

/* What a run has to count and tell that read the input over and over, and took so many packets. */
static void check_samples(const struct cw_report *report, const struct told *told, uint64_t every,
			  const char *who)
{
	uint64_t sampled = 0, differences = 0, index;
	struct cw_traffic *traffic;
	struct cw_packet packet;

	assert_int_equal(cw_traffic_open(&traffic, "imix", 3, NULL), 0);
	for (index = 0; index < report->books.received; index++) {
		if (index % PACKETS == 0) {
			cw_traffic_close(traffic);
			assert_int_equal(cw_traffic_open(&traffic, "imix", 3, NULL), 0);
		}
		cw_traffic_next(traffic, &packet);
		if (index % every)
			continue;
		sampled++;
		if (!is_lied_about(packet.wire_len))
			continue;
		if (differences < 8) {
			char expected[256];

			snprintf(expected, sizeof(expected),
				 "packet %u of %s: %s: ", (unsigned)(index % PACKETS) + 1,
				 input_path, who);
			assert_true(differences < told->count);
			assert_memory_equal(told->texts[differences], expected, strlen(expected));
		}
		differences++;
	}
	cw_traffic_close(traffic);
	assert_int_equal(report->verify.every, every);
	assert_int_equal(report->verify.sampled, sampled);
	assert_int_equal(report->verify.differences, differences);
	assert_int_equal(report->is_complete, differences == 0);
	assert_int_equal(told->count, differences > 8 ? 9 : differences ? differences + 1 : 0);
}

/* Two inputs, all sizes; `who` is what every lie concerns first. */
static void run_samples(struct setup *setup, uint32_t every, const char *who)
{
	const char *inputs[2] = {input_path, input_path};
	static const uint32_t threads[] = {1, 2, 4};
	uint32_t index;

	setup->options.inputs = inputs;
	setup->options.input_count = 2;
	setup->options.verify_every = every;
	setup->options.tell = keep_told;
	for (index = 0; index < CW_ARRAY_COUNT(threads); index++) {
		struct told told = {.count = 0};
		struct cw_report report;

		setup->options.context = &told;
		setup->options.threads = threads[index];
		setup->options.batch_records = index == 1 ? 37 : 0;
		assert_int_equal(run(setup, &report), 0);
		check_samples(&report, &told, every, who);
		cw_report_fini(&report);
	}
}

static void samples_agree_with_libpcap(void **state)
{
	static const enum cw_filter_engine engines[] = {CW_ENGINE_AUTO, CW_ENGINE_WALKER,
							CW_ENGINE_SEQUENTIAL};
	struct setup setup;
	uint32_t index;

	(void)state;
	make_setup(&setup, "agree", false, false);
	for (index = 0; index < CW_ARRAY_COUNT(engines); index++) {
		setup.options.engine = engines[index];
		setup.rules.mode = index == 1 ? CW_FILTER_FIRST : CW_FILTER_ALL;
		setup.options.prefilter = index == 2 ? "udp" : NULL;
		run_samples(&setup, 1 + 2 * index, "nobody");
	}
	end_setup(&setup);
}

static void differences_are_counted_and_told_whatever_the_threads(void **state)
{
	struct setup setup;

	(void)state;
	make_setup(&setup, "differ", false, false);
	atomic_store(&lie_divisor, 7);
	run_samples(&setup, 1, "rule r0");
	run_samples(&setup, 7, "rule r0");
	run_samples(&setup, CW_VERIFY_EVERY_DEFAULT, "rule r0");
	run_samples(&setup, 59999, "rule r0"); /* at most two samples */
	setup.options.prefilter = "udp";
	run_samples(&setup, 11, "the global filter");
	atomic_store(&lie_divisor, 0);
	end_setup(&setup);
}

/* Packets are matched, and so checked, beyond the end of such a run; they must not count. */
static void differences_beyond_the_last_packet_do_not_count(void **state)
{
	struct setup setup;
	uint32_t limit;

	(void)state;
	make_setup(&setup, "limit", false, false);
	atomic_store(&lie_divisor, 5);
	for (limit = 1; limit < 50000; limit = limit * 3 + 1) {
		setup.options.packet_limit = limit;
		run_samples(&setup, 2, "rule r0");
	}
	atomic_store(&lie_divisor, 0);
	end_setup(&setup);
}

static void first_match_differences_name_the_lower_rule(void **state)
{
	struct told told = {.count = 0};
	struct cw_report report;
	struct setup setup;
	uint32_t index;

	(void)state;
	make_setup(&setup, "first", false, false);
	setup.rules.mode = CW_FILTER_FIRST;
	setup.options.verify_every = 1;
	setup.options.tell = keep_told;
	setup.options.context = &told;
	atomic_store(&lie_divisor, 7);
	assert_int_equal(run(&setup, &report), 0);
	atomic_store(&lie_divisor, 0);
	assert_int_equal(told.count, 9);
	for (index = 0; index < 8; index++)
		assert_non_null(strstr(told.texts[index], ": rule r0: libpcap "));
	assert_non_null(strstr(told.texts[8], "please report this"));
	assert_false(report.is_complete);
	assert_true(report.is_balanced);
	cw_report_fini(&report);
	end_setup(&setup);
}

static void a_ring_is_full_at_its_capacity_and_empty_after(void **state)
{
	int items[100];
	struct cw_ring *ring;
	size_t count = 0, index;

	(void)state;
	assert_int_equal(cw_ring_new(&ring, 5), 0);
	assert_null(cw_ring_pop_spmc(ring));
	while (count < 100 && cw_ring_push_spmc(ring, &items[count]))
		count++;
	assert_true(count >= 5 && count < 100);
	for (index = 0; index < count; index++)
		assert_ptr_equal(cw_ring_pop_spmc(ring), &items[index]);
	assert_null(cw_ring_pop_spmc(ring));
	cw_ring_free(ring);
}

/* The set against an array of flags, with numbers beyond one word and one summary word. */
static void a_ready_set_gives_each_number_once_in_rotation(void **state)
{
	static const uint32_t counts[] = {1, 63, 64, 65, 1000, 5000};
	uint32_t random = 1;
	size_t which;

	(void)state;
	for (which = 0; which < CW_ARRAY_COUNT(counts); which++) {
		uint32_t count = counts[which], from = 0, step;
		bool *is_in = calloc(count, sizeof(*is_in));
		struct cw_ready ready;

		assert_non_null(is_in);
		assert_int_equal(cw_ready_init(&ready, count), 0);
		for (step = 0; step < 20000; step++) {
			uint32_t expected = CW_READY_NONE, taken, index;

			random = random * 1664525 + 1013904223;
			index = (random >> 8) % count;
			if (random >> 31 && !is_in[index]) {
				cw_ready_add(&ready, index);
				is_in[index] = true;
				continue;
			}
			for (index = 0; index < count && expected == CW_READY_NONE; index++)
				if (is_in[(from + index) % count])
					expected = (from + index) % count;
			taken = cw_ready_take(&ready, from);
			assert_int_equal(taken, expected);
			if (taken != CW_READY_NONE) {
				is_in[taken] = false;
				from = (taken + 1) % count;
			}
		}
		cw_ready_fini(&ready);
		free(is_in);
	}
}

struct contest {
	struct cw_ring *ring;
	struct cw_gate gate;
	_Atomic uint64_t sum;
	_Atomic uint32_t taken;
};

#define CONTEST_ITEMS 20000u

static void *contest_consumer(void *argument)
{
	struct contest *contest = argument;

	for (;;) {
		uint32_t seen = cw_gate_look(&contest->gate);
		uint32_t *item = cw_ring_pop_spmc(contest->ring);

		if (item) {
			atomic_fetch_add(&contest->sum, *item);
			if (atomic_fetch_add(&contest->taken, 1) + 1 == CONTEST_ITEMS)
				cw_gate_signal_all(&contest->gate);
		} else if (atomic_load(&contest->taken) >= CONTEST_ITEMS) {
			return NULL;
		} else {
			cw_gate_wait(&contest->gate, seen);
		}
	}
}

static void every_item_reaches_one_of_several_sleepers(void **state)
{
	static uint32_t items[CONTEST_ITEMS];
	struct contest contest = {0};
	pthread_t threads[4];
	uint64_t expected = 0;
	uint32_t index;

	(void)state;
	assert_int_equal(cw_ring_new(&contest.ring, 64), 0);
	for (index = 0; index < 4; index++)
		pthread_create(&threads[index], NULL, contest_consumer, &contest);
	for (index = 0; index < CONTEST_ITEMS; index++) {
		items[index] = index;
		expected += index;
		while (!cw_ring_push_spmc(contest.ring, &items[index]))
			sched_yield();
		cw_gate_signal(&contest.gate);
	}
	for (index = 0; index < 4; index++)
		pthread_join(threads[index], NULL);
	assert_true(atomic_load(&contest.sum) == expected);
	cw_ring_free(contest.ring);
}

static void a_chunk_is_complete_once_sealed_and_copied_in_either_order(void **state)
{
	struct cw_chunk_pool pool = {0};
	struct cw_chunk *a, *b;

	(void)state;
	assert_int_equal(cw_chunk_pool_init(&pool, 1024, 512), 0);
	a = cw_chunk_take(&pool);
	b = cw_chunk_take(&pool);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(cw_chunk_take(&pool));
	atomic_fetch_add(&a->pending, 10);
	assert_false(cw_chunk_copied(a, 4));
	assert_false(cw_chunk_copied(a, 6));
	assert_true(cw_chunk_seal(a));
	atomic_fetch_add(&b->pending, 10);
	assert_false(cw_chunk_seal(b));
	assert_true(cw_chunk_copied(b, 10));
	cw_chunk_give_back_any(&pool, a);
	assert_ptr_equal(cw_chunk_take(&pool), a);
	cw_chunk_pool_fini(&pool);
}

static int open_folder(void **state)
{
	(void)state;
	test_thread = pthread_self();
	if (!mkdtemp(folder))
		return -1;
	make_input();
	return 0;
}

static int close_folder(void **state)
{
	(void)state;
	unlink(input_path);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_ring_is_full_at_its_capacity_and_empty_after),
	    cmocka_unit_test(a_ready_set_gives_each_number_once_in_rotation),
	    cmocka_unit_test(every_item_reaches_one_of_several_sleepers),
	    cmocka_unit_test(a_chunk_is_complete_once_sealed_and_copied_in_either_order),
	    cmocka_unit_test(threads_and_sizes_do_not_change_pcap_files),
	    cmocka_unit_test(threads_and_sizes_do_not_change_rotated_files),
	    cmocka_unit_test(threads_and_sizes_do_not_change_pcapng_files),
	    cmocka_unit_test(a_start_that_runs_out_of_memory_leaves_nothing_behind),
	    cmocka_unit_test(a_start_that_gets_no_thread_leaves_nothing_behind),
	    cmocka_unit_test(hot_threads_allocate_for_files_not_for_batches),
	    cmocka_unit_test(an_input_that_shrinks_keeps_what_was_before),
	    cmocka_unit_test(samples_agree_with_libpcap),
	    cmocka_unit_test(differences_are_counted_and_told_whatever_the_threads),
	    cmocka_unit_test(differences_beyond_the_last_packet_do_not_count),
	    cmocka_unit_test(first_match_differences_name_the_lower_rule),
	};

	return cmocka_run_group_tests(tests, open_folder, close_folder);
}
