/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Runs of segments against the parser alone: the same files, report and messages for any number of
 * threads, size of segments and guess, whatever the input holds; and a stop at any segment.
 * CAPWEIR_TEST_FULL=1: all combinations instead of a sample. CAPWEIR_TEST_SEED: of the sample.
 */
#include <pthread.h>
#include <semaphore.h>

#include "pipeline/state.h"
#include "tests/rig/every_block.h"
#include "tests/rig/file_run.h"

#define EDGE 65536u
#define TEXT_BYTES 8192u
#define HUGE_BYTES (3u << 19)

static uint64_t seed;

static uint32_t random_below(uint32_t limit)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % limit;
}

/* ---- inputs ---- */

static uint8_t image[24u << 20];
static size_t image_bytes;
static size_t records[1u << 18]; /* offsets in the image */
static uint32_t record_count;

static void put_at(size_t at, const void *data, size_t bytes)
{
	assert_true(at + bytes <= sizeof(image));
	memcpy(image + at, data, bytes);
}

static void append(const void *data, size_t bytes)
{
	put_at(image_bytes, data, bytes);
	image_bytes += bytes;
}

static void append_header(enum cw_format format, uint32_t linktype, uint32_t snaplen)
{
	uint8_t header[64];

	append(header, cw_format_header(format, linktype, snaplen, header));
}

/* A record with `caplen` captured bytes of the packet, which are repeated if it has fewer. */
static void append_record(const struct cw_packet *packet, uint32_t caplen)
{
	const uint32_t header[4] = {(uint32_t)(packet->ts_ns / CW_NS_PER_S),
				    (uint32_t)(packet->ts_ns % CW_NS_PER_S / 1000), caplen, caplen};

	assert_true(record_count < CW_ARRAY_COUNT(records));
	records[record_count++] = image_bytes;
	append(header, sizeof(header));
	for (uint32_t done = 0; done < caplen;) {
		uint32_t bytes = cw_min_u32(caplen - done, packet->caplen);

		append(packet->data, bytes);
		done += bytes;
	}
}

/*
 * Appends records up to `bytes` of the image. With `bytes_max`, one in four has that many. Every
 * other edge of 64 KiB is the start of a record.
 */
static void append_records(const char *profile, size_t bytes, uint32_t bytes_max)
{
	struct cw_traffic *traffic;
	struct cw_packet packet;

	assert_int_equal(cw_traffic_open(&traffic, profile, 3, NULL), 0);
	while (image_bytes < bytes) {
		size_t edge = (image_bytes / (2 * EDGE) + 1) * 2 * EDGE;
		uint32_t caplen;

		cw_traffic_next(traffic, &packet);
		caplen = bytes_max && random_below(4) == 0 ? bytes_max : packet.caplen;
		if (image_bytes + 2 * 16 + caplen + packet.caplen > edge && edge - image_bytes > 16)
			caplen = (uint32_t)(edge - image_bytes - 16);
		append_record(&packet, caplen);
	}
	cw_traffic_close(traffic);
}

static void begin_image(void)
{
	image_bytes = record_count = 0;
	append_header(CW_FORMAT_PCAP_US, 1, 262144);
}

static size_t usual_bytes(void)
{
	return scaled(5u << 20, 1u << 20);
}

static void make_small(void)
{
	begin_image();
	append_records("small", usual_bytes(), 0);
}

static void make_imix(void)
{
	begin_image();
	append_records("imix", usual_bytes(), 0);
}

/* All records begin with the half of a header's magic, as those of one second in 65,536. */
static void make_half_magic(void)
{
	const uint32_t seconds = 0x6553B2A1;

	make_imix();
	for (uint32_t index = 0; index < record_count; index++)
		put_at(records[index], &seconds, sizeof(seconds));
}

static void make_large(void)
{
	begin_image();
	append_records("large", usual_bytes(), 0);
}

static void make_long(void)
{
	begin_image();
	append_records("imix", usual_bytes(), 65535);
}

static void make_joined(void)
{
	begin_image();
	for (uint32_t part = 1; part <= 3; part++) {
		append_records("imix", usual_bytes() * part / 3, 0);
		append_header(part % 2 ? CW_FORMAT_PCAP_NS : CW_FORMAT_PCAP_US, 1, 262144);
	}
}

/* Zeros before other records, and empty records. */
static void make_zeros(void)
{
	const uint32_t empty[4] = {1700000000, 5, 0, 60};

	begin_image();
	for (uint32_t part = 1; part <= 4; part++) {
		append_records("imix", usual_bytes() * part / 4, 0);
		memset(image + image_bytes, 0, part % 2 ? 1600 : 160000);
		image_bytes += part % 2 ? 1600 : 160000;
		append_records("imix", image_bytes + 1000, 0);
		append(empty, sizeof(empty));
	}
	append_records("imix", image_bytes + 100000, 0);
}

static void make_torn(void)
{
	make_imix();
	image_bytes -= 7;
}

static void make_zero_tail(void)
{
	make_imix();
	memset(image + image_bytes, 0, 70001);
	image_bytes += 70001;
}

/* Damage before, at and after edges, `count` times in the second half. */
static void damage(uint32_t count)
{
	const uint32_t wrong = 0xfffffff0;
	size_t edges = image_bytes / EDGE / 2;

	for (uint32_t index = 0; index < count; index++) {
		size_t edge = (edges + index * (edges / count)) / 2 * 2 * EDGE;
		uint32_t record = 0;

		while (record + 1 < record_count && records[record] < edge)
			record++;
		record = record + random_below(3) - 1;
		put_at(records[record] + 8, &wrong, sizeof(wrong));
	}
}

static void make_damaged(void)
{
	make_imix();
	damage(1);
}

static void make_often_damaged(void)
{
	make_imix();
	damage(3);
}

/* Appends a pcapng block of the packet with `caplen` captured bytes, as append_record. */
static void append_block(const struct cw_packet *packet, uint32_t caplen)
{
	static uint8_t data[HUGE_BYTES], block[HUGE_BYTES + 64];
	struct cw_packet longer = *packet;
	size_t bytes;

	for (uint32_t done = 0; done < caplen; done += packet->caplen)
		memcpy(data + done, packet->data, cw_min_u32(caplen - done, packet->caplen));
	longer.data = data;
	longer.caplen = longer.wire_len = caplen;
	bytes = cw_format_record_bytes(CW_FORMAT_PCAPNG, &longer, UINT32_MAX);
	cw_format_record(CW_FORMAT_PCAPNG, &longer, UINT32_MAX, 0, bytes, block);
	append(block, bytes);
}

/* With `huge_every`, each packet of so many has HUGE_BYTES. */
static void make_pcapng_image(uint32_t packets, uint32_t huge_every)
{
	const struct cw_iface iface = {.linktype = 1};
	struct cw_traffic *traffic;
	struct cw_packet packet;
	uint8_t header[256];

	image_bytes = 0;
	append(header, cw_format_section(NULL, header));
	append(header, cw_format_iface(&iface, 0, header));
	assert_int_equal(cw_traffic_open(&traffic, "imix", 3, NULL), 0);
	for (uint32_t index = 1; index <= packets; index++) {
		cw_traffic_next(traffic, &packet);
		append_block(&packet,
			     huge_every && index % huge_every == 0 ? HUGE_BYTES : packet.caplen);
	}
	cw_traffic_close(traffic);
}

static void make_pcapng(void)
{
	make_pcapng_image(scaled(12000, 4000), 0);
}

/* Records longer than any segment. */
static void make_huge(void)
{
	make_pcapng_image(8000, 2000);
}

/* Every kind of block, everywhere. */
static void make_blocks(void)
{
	struct cw_traffic *traffic;
	FILE *file = fopen(input_path, "wb+");

	assert_non_null(file);
	assert_int_equal(cw_traffic_open(&traffic, "imix", 3, NULL), 0);
	put_every_block(file, traffic, scaled(6000, 3000));
	cw_traffic_close(traffic);
	rewind(file);
	image_bytes = fread(image, 1, sizeof(image), file);
	assert_true(image_bytes < sizeof(image));
	assert_int_equal(fclose(file), 0);
}

static const struct input {
	const char *name;
	void (*make)(void);
	bool resyncs;
	bool is_plain; /* segments pay */
} inputs[] = {
    {"small", make_small, false, true},     {"imix", make_imix, true, true},
    {"large", make_large, false, true},     {"long", make_long, false, false},
    {"huge", make_huge, false, false},      {"joined", make_joined, false, false},
    {"joined", make_joined, true, false},   {"zeros", make_zeros, false, false},
    {"zeros", make_zeros, true, false},     {"torn", make_torn, false, true},
    {"torn", make_torn, true, true},        {"zero tail", make_zero_tail, false, true},
    {"damaged", make_damaged, false, true}, {"often damaged", make_often_damaged, true, false},
    {"pcapng", make_pcapng, false, true},   {"blocks", make_blocks, false, false},
    {"blocks", make_blocks, true, false},   {"half magic", make_half_magic, false, true},
};

static void write_input(const struct input *input)
{
	FILE *file;

	seed = 1; /* of the image */
	input->make();
	file = fopen(input_path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(image, image_bytes, 1, file), 1);
	assert_int_equal(fclose(file), 0);
}

/* ---- a run and its results ---- */

struct watch {
	pthread_mutex_t lock;
	char text[TEXT_BYTES]; /* messages */
	uint64_t messages;     /* their digest, in any order */
	uint32_t batches_left; /* before the worker waits; 0: it does not */
	sem_t is_reached, may_continue;
};

struct result {
	uint64_t files, report, messages;
	uint32_t file_count;
	struct cw_segment_counts counts;
};

static void tell(void *context, enum cw_severity severity, const char *text)
{
	struct watch *watch = context;
	uint64_t digest = severity;
	size_t used;

	for (const char *at = text; *at; at++)
		digest = digest_word(digest, (uint8_t)*at);
	pthread_mutex_lock(&watch->lock);
	used = strlen(watch->text);
	snprintf(watch->text + used, TEXT_BYTES - used, "%s\n", text);
	watch->messages += digest;
	pthread_mutex_unlock(&watch->lock);
}

/* Stops one worker at the batch asked for. */
static void on_batch(void *context, uint32_t worker, uint32_t lane)
{
	struct watch *watch = context;
	bool is_it;

	(void)worker;
	(void)lane;
	pthread_mutex_lock(&watch->lock);
	is_it = watch->batches_left && --watch->batches_left == 0;
	pthread_mutex_unlock(&watch->lock);
	if (!is_it)
		return;
	sem_post(&watch->is_reached);
	sem_wait(&watch->may_continue);
}

static void init_watch(struct watch *watch, struct setup *setup)
{
	*watch = (struct watch){.batches_left = 0};
	pthread_mutex_init(&watch->lock, NULL);
	sem_init(&watch->is_reached, 0, 0);
	sem_init(&watch->may_continue, 0, 0);
	setup->options.tell = tell;
	setup->options.watch.on_batch = on_batch;
	setup->options.context = watch;
}

static uint64_t digest_report(const struct cw_report *report, bool is_whole)
{
	const struct cw_report_input *input = &report->inputs[0];
	uint64_t digest = digest_word(is_whole && report->is_complete, report->packets);

	digest = digest_word(digest, report->bytes);
	digest = digest_word(digest, is_whole ? input->file_bytes : 0);
	digest = digest_word(digest, input->truncated);
	digest = digest_word(digest, is_whole ? input->joined_count : 0);
	digest = digest_word(digest, is_whole ? input->resynced.places : 0);
	digest = digest_word(digest, is_whole ? input->resynced.bytes : 0);
	digest = digest_word(digest, is_whole ? input->blocks.left_out_options : 0);
	for (const char *at = is_whole ? input->error : NULL; at && *at; at++)
		digest = digest_word(digest, (uint8_t)*at);
	for (uint32_t index = 0; index < report->rule_count; index++) {
		const struct cw_report_rule *rule = &report->rules[index];

		digest = digest_word(digest, rule->matched);
		digest = digest_word(digest, rule->written);
		digest = digest_word(digest, rule->bytes);
		digest = digest_word(digest, rule->left_out_options);
		digest = digest_word(digest, rule->timestamps_truncated);
		digest = digest_word(digest, rule->truncated);
	}
	return digest;
}

/* Waits until the run is done, and takes its books. */
static void finish(struct cw_pipeline *pipeline, struct cw_report *report,
		   struct cw_segment_counts *counts)
{
	struct pollfd done = {.fd = cw_pipeline_done_fd(pipeline), .events = POLLIN};

	assert_int_equal(poll(&done, 1, 120000), 1);
	assert_int_equal(cw_pipeline_finish(pipeline, report), 0);
	*counts = pipeline->run.lanes[0].turn.chain.counts;
	assert_int_equal(atomic_load(&pipeline->run.live_chunks), 0);
	assert_int_equal(atomic_load(&pipeline->run.live_batches), 0);
	for (uint32_t index = 0; index < pipeline->run.lanes[0].batch_count; index++)
		assert_null(pipeline->run.lanes[0].batches[index].lease.window);
	cw_pipeline_free(pipeline);
}

/* The settings of a run. */
struct how {
	uint32_t threads;
	size_t segment_bytes; /* 0: none */
	enum cw_guess_wrong wrong;
	uint64_t limit;
	uint32_t batch_records;
};

static void set(struct setup *setup, const struct input *input, const struct how *how)
{
	make_setup(setup, "segments", false, true);
	setup->options.resyncs = input->resyncs;
	setup->options.threads = how->threads;
	setup->options.packet_limit = how->limit;
	setup->options.sizes.segment_bytes = how->segment_bytes;
	setup->options.sizes.no_segments = !how->segment_bytes;
	setup->options.sizes.guess_wrong = how->wrong;
	setup->options.sizes.batch_records = how->batch_records;
	setup->options.sizes.window_bytes = 1u << 20;
}

static struct result result_of(const struct input *input, const struct how *how, char *text)
{
	struct cw_pipeline *pipeline;
	struct cw_report report;
	struct result result;
	struct watch watch;
	struct setup setup;

	struct cw_error error = {0};

	set(&setup, input, how);
	init_watch(&watch, &setup);
	if (cw_pipeline_start(&pipeline, &setup.options, &error) < 0)
		fail_msg("%s: %s", input->name, error.text);
	finish(pipeline, &report, &result.counts);
	assert_true(report.is_balanced);
	result.files = digest_folder(setup.directory, &result.file_count);
	result.report = digest_report(&report, !how->limit);
	result.messages = how->limit ? 0 : watch.messages;
	memcpy(text, watch.text, TEXT_BYTES);
	cw_report_fini(&report);
	end_setup(&setup);
	return result;
}

/* ---- tests ---- */

static void compare(const struct input *input, const struct how *how, const struct result *want,
		    const char *want_text)
{
	char text[TEXT_BYTES];
	struct result got = result_of(input, how, text);

	if (got.files != want->files || got.file_count != want->file_count ||
	    got.report != want->report || got.messages != want->messages)
		fail_msg("%s%s -t %u segments %zu guess %u -c %u: %s%s%s\n%s---\n%s", input->name,
			 input->resyncs ? " --resync" : "", how->threads, how->segment_bytes,
			 how->wrong, (unsigned)how->limit, got.files != want->files ? "files " : "",
			 got.report != want->report ? "report " : "",
			 got.messages != want->messages ? "messages" : "", want_text, text);
	/* In a small file the first span, which is cut as ever, can reach up to the damage. */
	if (input->is_plain && !input->resyncs && !how->limit && image_bytes > 3u << 20 &&
	    image_bytes > 8 * how->segment_bytes) {
		/* The segments are used, and what they do is what is asked for. */
		assert_true(got.counts.walked >= image_bytes / how->segment_bytes / 8);
		assert_int_equal(got.counts.serial, 0);
		if (how->wrong)
			assert_true(got.counts.again >= got.counts.walked / 2);
	}
}

static void segments_give_the_bytes_of_the_parser(void **state)
{
	static const uint32_t threads[] = {1, 2, 3, 8};
	static const size_t sizes[] = {4096, 65536, 1u << 20};
	const char *given = getenv("CAPWEIR_TEST_SEED"), *full = getenv("CAPWEIR_TEST_FULL");
	uint64_t sample = given ? strtoull(given, NULL, 10) : 1;
	uint32_t share = full && !strcmp(full, "1") ? 1 : scaled(24, 24) * (scale() < 1 ? 3 : 1);

	(void)state;
	print_message("CAPWEIR_TEST_SEED=%llu\n", (unsigned long long)sample);
	for (uint32_t index = 0; index < CW_ARRAY_COUNT(inputs); index++) {
		static char text[2][TEXT_BYTES];
		struct result want[2];
		struct how how = {.threads = 1};

		write_input(&inputs[index]);
		want[0] = result_of(&inputs[index], &how, text[0]);
		how.limit = 2500;
		want[1] = result_of(&inputs[index], &how, text[1]);
		seed = sample + index;
		for (uint32_t each = 0; each < 4 * 3 * 4 * 2; each++) {
			bool is_limited = each / 48 % 2;

			how = (struct how){.threads = threads[each % 4],
					   .segment_bytes = sizes[each / 4 % 3],
					   .wrong = each / 12 % 4,
					   .limit = is_limited ? 2500 : 0,
					   .batch_records = random_below(2) ? 100 : 0};
			if (random_below(share) == 0)
				compare(&inputs[index], &how, &want[is_limited], text[is_limited]);
		}
	}
}

/* Returns the bytes in which the two files agree from the start. */
static void assert_prefix(const char *path, const char *whole_path)
{
	static uint8_t part[24u << 20], whole[24u << 20];
	FILE *file = fopen(path, "rb"), *whole_file = fopen(whole_path, "rb");
	size_t bytes, whole_bytes;

	assert_true(file && whole_file);
	bytes = fread(part, 1, sizeof(part), file);
	whole_bytes = fread(whole, 1, sizeof(whole), whole_file);
	assert_true(bytes <= whole_bytes);
	assert_memory_equal(part, whole, bytes);
	fclose(file);
	fclose(whole_file);
}

/* A worker holds a segment while the run is stopped; the capture thread waits for batches. */
static void stop_at_any_segment_leaves_a_prefix(void **state)
{
	const struct how whole = {.threads = 2};
	struct cw_pipeline *pipeline;
	struct cw_segment_counts counts;
	struct cw_report report;
	struct watch watch;
	struct setup setup;
	char path[256], kept[128];

	(void)state;
	write_input(&inputs[1]);
	set(&setup, &inputs[1], &whole);
	setup.rules.rules[4].rotate_packets = setup.rules.rules[4].rotate_bytes = 0;
	setup.rules.rules[4].rotate_every_ns = 0;
	assert_int_equal(run(&setup, &report), 0);
	cw_report_fini(&report);
	snprintf(path, sizeof(path), "%s/r4.pcap", setup.directory);
	snprintf(kept, sizeof(kept), "%s/whole", folder);
	assert_int_equal(rename(path, kept), 0);
	end_setup(&setup);
	for (uint32_t batch = 1; batch < 100; batch += 1 + batch / 3) {
		const struct how how = {
		    .threads = 1 + batch % 3, .segment_bytes = 4096, .wrong = batch % 4};

		set(&setup, &inputs[1], &how);
		setup.rules.rules[4].rotate_packets = setup.rules.rules[4].rotate_bytes = 0;
		setup.rules.rules[4].rotate_every_ns = 0;
		setup.options.sizes.batch_count = batch % 2 ? 0 : 2;
		init_watch(&watch, &setup);
		watch.batches_left = batch;
		assert_int_equal(cw_pipeline_start(&pipeline, &setup.options, NULL), 0);
		sem_wait(&watch.is_reached);
		cw_pipeline_request_stop(pipeline);
		sem_post(&watch.may_continue);
		finish(pipeline, &report, &counts);
		assert_true(report.is_balanced);
		assert_true(report.packets < record_count);
		assert_prefix(path, kept);
		cw_report_fini(&report);
		end_setup(&setup);
	}
	unlink(kept);
}

static void input_in_which_segments_do_not_pay_is_left_to_the_parser(void **state)
{
	const struct how how = {.threads = 1, .segment_bytes = 4096};
	static char text[TEXT_BYTES];
	struct result result;

	(void)state;
	for (uint32_t index = 0; index < CW_ARRAY_COUNT(inputs); index++) {
		if (inputs[index].make != make_blocks)
			continue;
		write_input(&inputs[index]);
		result = result_of(&inputs[index], &how, text);
		/* Each time the parser reads as far again. */
		assert_in_range(result.counts.serial, 1, 12);
		assert_true(result.counts.walked < 40);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(segments_give_the_bytes_of_the_parser),
	    cmocka_unit_test(stop_at_any_segment_leaves_a_prefix),
	    cmocka_unit_test(input_in_which_segments_do_not_pay_is_left_to_the_parser),
	};

	return cmocka_run_group_tests(tests, open_folder, close_folder);
}
