/* SPDX-License-Identifier: BSD-3-Clause */
/* The walk over a segment (segment.h), against the parser's walk from the head of the file. */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "core/format/encode.h"
#include "datasets/traffic.h"
#include "tests/core/format/segment_files.h"
#include "tests/rig/run_tests.h"
#include "tests/rig/scale.h"
#include "tests/rig/segment_twin.h"

#define CUTS_OF_A_FILE 256
#define GUARDED_BYTES ((size_t)64 << 10)

static struct twin twin;
static uint8_t *guarded_end; /* the last byte before this place is the last readable one */

/* Copies bytes so that the page after them cannot be read. */
static const uint8_t *guard(const uint8_t *data, size_t bytes)
{
	assert_true(bytes <= GUARDED_BYTES);
	return memcpy(guarded_end - bytes, data, bytes);
}

static uint64_t start_of(const struct twin_cut *cut)
{
	const struct twin_record *record = &twin.records[cut->index];

	return cut->is_after ? record->end : record->at;
}

/* Walks the cut in memory that ends where the span ends. */
static void walk_guarded(struct twin_cut *cut)
{
	cut->copy = guard(twin.data + start_of(cut) - cut->lead, cut->lead + cut->present);
	twin_walk(&twin, cut);
	cut->copy = NULL;
}

/* Every start, end and truncation of a small file. Returns the number of walks. */
static size_t walk_every_cut(void)
{
	size_t count = 0;

	for (size_t index = 0; index < twin.count; index++) {
		for (int is_after = 0; is_after < 2; is_after++) {
			struct twin_cut cut = {.index = index, .is_after = is_after, .burst = 3};
			const uint64_t from = start_of(&cut);
			const size_t rest = twin.bytes - from;

			cut.present = rest;
			for (cut.to = from; cut.to <= twin.bytes + 1; cut.to++, count++)
				twin_walk(&twin, &cut);
			for (cut.present = 0; cut.present < rest; cut.present++, count++)
				walk_guarded(&cut);
		}
	}
	return count;
}

/* Makes a file of four records, the oddity, and four records. Returns the oddity's offset. */
static size_t put_around(const struct variant *next, enum oddity oddity, uint32_t number)
{
	size_t at;

	start(0);
	put_file_header(next);
	for (uint32_t i = 0; i < 4; i++)
		put_plain(1700000002 + i, 5 * i + 1);
	at = image.bytes;
	put_oddity(oddity, number);
	for (uint32_t i = 0; i < 4; i++)
		put_plain(1700000012 + i, 3 * i + 1);
	return at;
}

/* Returns whether a walk up to the oddity must stop at it. In a file that is read without resync,
 * lengths do not matter, an empty record is one, and a packet's block is plain, whatever it holds.
 */
static bool must_stop(const struct variant *next, enum oddity oddity, bool is_checked)
{
	if (!next->magic)
		return oddity != ODDITY_EMPTY && oddity != ODDITY_LENGTHS;
	if (oddity == ODDITY_LENGTHS)
		return is_checked && next->minor != 3;
	if (oddity == ODDITY_EMPTY)
		return is_checked;
	return oddity < ODDITY_BLOCK || oddity == ODDITY_TOO_LONG;
}

static void every_oddity_stops_the_walk_at_every_edge_near_it(void **state)
{
	size_t walks = 0, stops = 0;

	(void)state;
	for (size_t k = 0; k < CW_ARRAY_COUNT(variants); k++) {
		for (int n = 0; n < ODDITIES * 4; n++) {
			const enum oddity oddity = (enum oddity)(n / 4);
			const bool is_checked = n & 1;
			const size_t at = put_around(&variants[k], oddity, (uint32_t)(n % 4 * 7));
			struct twin_cut cut = {.burst = 2, .to = image.bytes};

			twin_read(&twin, image.data, image.bytes, is_checked);
			assert_true(twin.count >= 4);
			cut.present = image.bytes - start_of(&cut);
			twin_walk(&twin, &cut);
			if (must_stop(&variants[k], oddity, is_checked)) {
				assert_int_equal(cut.end, at);
				assert_true(cut.is_odd);
				stops++;
			}
			walks += walk_every_cut();
			twin_free(&twin);
		}
	}
	print_message("%zu walks, %zu oddities\n", walks, stops);
	assert_true(stops > 100);
}

/* Chooses a cut of the file that was read. */
static struct twin_cut random_cut(uint64_t *random)
{
	uint64_t draw = next_random(random), sizes = next_random(random);
	struct twin_cut cut = {.index = draw % twin.count,
			       .is_after = draw >> 32 & 1,
			       .burst = 1 + (draw >> 33) % TWIN_BURST};
	const uint64_t from = start_of(&cut);

	cut.lead = cw_min_size((size_t)from, (draw >> 40) % 64);
	cut.to = from + sizes % 512 - cw_min_size(cut.lead, (draw >> 48) % 8);
	cut.present = twin.bytes - from;
	if (draw >> 56 & 1)
		cut.present = cw_min_size(cut.present, (sizes >> 32) % 1024);
	return cut;
}

/* With CAPWEIR_TEST_FULL=1, 10^8 of them: minutes. */
static void a_walk_from_any_boundary_returns_what_the_parser_returned(void **state)
{
	const char *full = getenv("CAPWEIR_TEST_FULL"), *seed = getenv("CAPWEIR_TEST_SEED");
	const uint64_t count =
	    full && !strcmp(full, "1") ? 100000000 : scaled(500000, CUTS_OF_A_FILE);
	uint64_t random = seed ? strtoull(seed, NULL, 10) : SEED;
	uint64_t walks = 0, stops[2] = {0}, inside = 0;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)random);
	while (walks < count) {
		put_random_file(&random, 4 + (uint32_t)next_random(&random) % 40);
		twin_read(&twin, image.data, image.bytes, next_random(&random) % 2);
		for (uint32_t i = 0; twin.count && i < CUTS_OF_A_FILE; i++, walks++) {
			struct twin_cut cut = random_cut(&random);

			if (i % 8)
				twin_walk(&twin, &cut);
			else
				walk_guarded(&cut);
			stops[cut.is_odd]++;
			inside += cut.is_odd && cut.end > start_of(&cut) &&
				  cut.end < start_of(&cut) + cut.present;
		}
		twin_free(&twin);
	}
	print_message("%llu walks: %llu to the edge, %llu to an oddity, %llu of these inside\n",
		      (unsigned long long)walks, (unsigned long long)stops[false],
		      (unsigned long long)stops[true], (unsigned long long)inside);
	assert_true(stops[false] > count / 8 && inside > count / 8);
}

/* ---- guesses ---- */

static uint8_t *traffic_data;
static size_t traffic_bytes;

/* Fills traffic_data with a capture file of a profile. */
static void make_traffic(const char *profile, enum cw_format format, uint32_t packets)
{
	static const struct cw_iface iface = {.linktype = 1, .snaplen = CW_TRAFFIC_CAPLEN_MAX};
	const size_t capacity = packets * (size_t)(CW_TRAFFIC_CAPLEN_MAX + 100);
	struct cw_traffic *traffic = NULL;
	struct cw_packet packet;
	struct cw_error error;

	traffic_data = malloc(capacity);
	assert_non_null(traffic_data);
	traffic_bytes = cw_format_header(format, 1, CW_TRAFFIC_CAPLEN_MAX, traffic_data);
	if (format == CW_FORMAT_PCAPNG)
		traffic_bytes += cw_format_iface(&iface, 0, traffic_data + traffic_bytes);
	assert_int_equal(cw_traffic_open(&traffic, profile, SEED, &error), 0);
	while (packets--) {
		size_t bytes;

		cw_traffic_next(traffic, &packet);
		bytes = cw_format_record_bytes(format, &packet, CW_CAPLEN_MAX);
		cw_format_record(format, &packet, CW_CAPLEN_MAX, 0, bytes,
				 traffic_data + traffic_bytes);
		traffic_bytes += bytes;
	}
	cw_traffic_close(traffic);
}

/* Returns where the first record at or after byte `from` begins. */
static uint64_t first_boundary(uint64_t from)
{
	size_t low = 0, high = twin.count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (twin.records[middle].at < from)
			low = middle + 1;
		else
			high = middle;
	}
	assert_true(low < twin.count);
	return twin.records[low].at;
}

static struct cw_boundary boundary_of_twin(void)
{
	const struct twin_record *first = &twin.records[0];
	const uint32_t seconds = (uint32_t)(first->packet.ts_ns / CW_NS_PER_S);

	return (struct cw_boundary){.layout = &first->layout,
				    .records = 8,
				    .has_times = true,
				    .first_s = seconds,
				    .last_s = seconds};
}

/* A segment from `from` to the file's end. */
static struct cw_segment segment_at(const uint8_t *data, size_t bytes, uint64_t from)
{
	return (struct cw_segment){.span = {.data = data + from,
					    .bytes = bytes - (size_t)from,
					    .offset = from,
					    .layout = twin.records[0].layout},
				   .from = from,
				   .to = bytes,
				   .is_at_end = true};
}

static void a_guess_finds_a_boundary_of_ordinary_traffic(void **state)
{
	static const enum cw_format formats[] = {CW_FORMAT_PCAP_US, CW_FORMAT_PCAPNG};

	(void)state;
	for (size_t n = 0; cw_traffic_profiles[n / 2]; n++) {
		uint32_t guesses = 0, late = 0;
		struct cw_boundary boundary;

		make_traffic(cw_traffic_profiles[n / 2], formats[n % 2], scaled(20000, 5000));
		twin_read(&twin, traffic_data, traffic_bytes, false);
		boundary = boundary_of_twin();
		for (uint64_t from = 1000; from + 3000 < traffic_bytes; from += 4096, guesses++) {
			struct cw_segment segment = segment_at(traffic_data, traffic_bytes, from);

			assert_true(cw_segment_guess(&segment, &boundary));
			assert_int_equal(segment.start, first_boundary(segment.start));
			late += segment.start > first_boundary(from);
			assert_int_equal(segment.end, segment.start);
		}
		print_message("%s, format %d: %u of %u guesses pass over a boundary\n",
			      cw_traffic_profiles[n / 2], formats[n % 2], late, guesses);
		assert_true(late * 100 <= guesses);
		twin_free(&twin);
		free(traffic_data);
	}
}

static void no_place_is_guessed_within_a_long_record(void **state)
{
	struct cw_boundary boundary;
	struct cw_segment segment;

	(void)state;
	start(0);
	put_file_header(&variants[0]);
	put_plain(1700000000, 9);
	put_lengths(1700000000, 262144, 262144, 262144); /* the longest of all */
	for (uint32_t i = 0; i < 20; i++)
		put_plain(1700000000, 9);
	twin_read(&twin, image.data, image.bytes, false);
	assert_int_equal(twin.count, 22);
	boundary = boundary_of_twin();
	segment = segment_at(image.data, image.bytes, twin.records[1].at + 1);
	segment.start = 99;
	assert_false(cw_segment_guess(&segment, &boundary));
	assert_int_equal(segment.start, UINT64_MAX);
	segment = segment_at(image.data, image.bytes, twin.records[1].at + 400);
	assert_true(cw_segment_guess(&segment, &boundary));
	assert_int_equal(segment.start, twin.records[2].at);
	segment = segment_at(image.data, image.bytes, image.bytes);
	assert_false(cw_segment_guess(&segment, &boundary));
	twin_free(&twin);
}

static void the_longest_record_is_plain_and_a_longer_one_is_not(void **state)
{
	(void)state;
	for (uint32_t bytes = 262144; bytes <= 262145; bytes++) {
		struct twin_cut cut = {.burst = 1};

		start(0);
		put_file_header(&variants[0]);
		put_plain(1700000000, 9);
		put_lengths(1700000000, bytes, bytes, bytes);
		twin_read(&twin, image.data, image.bytes, false);
		cut.to = image.bytes;
		cut.present = image.bytes - twin.records[0].at;
		twin_walk(&twin, &cut);
		assert_int_equal(cut.is_odd, bytes != 262144);
		twin_free(&twin);
	}
}

/* ---- bytes that change ---- */

/* A walk from a guess, one from a boundary, and the decoding of a span. */
static void walk_changing(struct cw_segment segment, uint64_t start_at)
{
	const struct cw_boundary boundary = boundary_of_twin();
	const struct cw_span *span = &segment.span;
	struct cw_cursor cursor = {0};
	struct cw_packet packets[TWIN_BURST];
	size_t count;

	if (cw_segment_guess(&segment, &boundary))
		twin_walk_inside(&segment);
	cw_segment_begin(&segment, start_at);
	twin_walk_inside(&segment);
	while ((count = cw_span_decode(span, &cursor, packets, TWIN_BURST)) > 0)
		for (size_t i = 0; i < count; i++)
			twin_check(packets[i].data + packets[i].caplen <= span->data + span->bytes,
				   "a packet outside its span", cursor.offset);
	twin_check(cursor.offset == span->bytes, "the span has no end", cursor.offset);
}

/* What the fuzz target does. */
static void fuzzed_files_are_walked_as_the_parser_reads_them(void **state)
{
	static uint8_t data[GUARDED_BYTES];
	uint64_t random = SEED;

	(void)state;
	for (uint32_t n = scaled(2000, 100); n > 0; n--) {
		size_t bytes;

		put_random_file(&random, 30);
		bytes = 4 + image.bytes;
		memcpy(data + 4, image.data, image.bytes);
		cw_store_u32(data, (uint32_t)next_random(&random));
		for (uint32_t i = n % 4; i > 0; i--)
			data[28 + next_random(&random) % (bytes - 27)] ^=
			    (uint8_t)(1 << next_random(&random) % 8);
		twin_feed(data, bytes);
	}
}

static void bytes_that_differ_from_the_parsers_never_lead_out_of_the_span(void **state)
{
	uint64_t random = SEED;

	(void)state;
	for (uint32_t n = scaled(3000, 100); n > 0; n--) {
		size_t left;

		put_random_file(&random, 100);
		twin_read(&twin, image.data, image.bytes, false);
		for (int i = 0; twin.count && i < 8; i++) {
			uint8_t *copy;
			uint64_t from;

			from = twin.records[next_random(&random) % twin.count].at;
			left = image.bytes - (size_t)from;
			left -= next_random(&random) % 2 ? 0 : next_random(&random) % left;
			copy = (uint8_t *)(uintptr_t)guard(image.data + from, left);
			for (int k = 0; k < 3 && left; k++)
				copy[next_random(&random) % left] = (uint8_t)next_random(&random);
			walk_changing(
			    (struct cw_segment){.span = {.data = copy,
							 .bytes = left,
							 .offset = from,
							 .layout = twin.records[0].layout},
						.from = from,
						.to = image.bytes,
						.is_checked = i % 2},
			    from);
		}
		twin_free(&twin);
	}
}

/* Memory that another thread changes, by another address: the sanitizers do not see a race. */
struct changed {
	uint8_t *alias;
	const size_t *places; /* of lengths */
	size_t count;
	_Atomic bool is_over;
	_Atomic uint32_t changes;
};

static void *change(void *argument)
{
	static const uint8_t values[] = {0xFF, 0, 1, 40};
	struct changed *changed = argument;
	uint64_t random = SEED;

	while (!atomic_load(&changed->is_over)) {
		uint64_t draw = next_random(&random);

		changed->alias[changed->places[draw % changed->count] + (draw >> 32) % 4] =
		    values[draw >> 40 & 3];
		atomic_fetch_add(&changed->changes, 1);
	}
	return NULL;
}

static void walk_while_changing(void)
{
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	const size_t bytes = image.bytes, mapped = (bytes + page_bytes - 1) & ~(page_bytes - 1);
	const int fd = memfd_create("changing", MFD_CLOEXEC);
	struct changed changed = {0};
	uint8_t *memory, *data;
	size_t places[64];
	pthread_t thread;

	assert_true(fd >= 0 && !ftruncate(fd, (off_t)mapped));
	memory = mmap(NULL, mapped + page_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(memory != MAP_FAILED);
	data = mmap(memory, mapped, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);
	assert_true(data == memory);
	changed.alias = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(changed.alias != MAP_FAILED);
	data += mapped - bytes;
	changed.alias += mapped - bytes;
	memcpy(changed.alias, image.data, bytes);
	for (changed.count = 0; changed.count < twin.count; changed.count++)
		places[changed.count] = (size_t)twin.records[changed.count].at +
					(twin.records[0].layout.is_pcapng ? 4 : 8);
	changed.places = places;
	assert_int_equal(pthread_create(&thread, NULL, change, &changed), 0);
	for (uint32_t n = scaled(6000, 1000); n > 0 || !atomic_load(&changed.changes); n -= n > 0) {
		const uint64_t from = twin.records[n % twin.count].at;

		walk_changing(segment_at(data, bytes, from), from);
	}
	atomic_store(&changed.is_over, true);
	pthread_join(thread, NULL);
	munmap(memory, mapped + page_bytes);
	munmap(changed.alias - (mapped - bytes), mapped);
	close(fd);
}

static void bytes_that_change_during_a_walk_never_lead_out_of_the_span(void **state)
{
	(void)state;
	for (size_t k = 0; k < CW_ARRAY_COUNT(variants); k++) {
		start(0);
		put_file_header(&variants[k]);
		for (uint32_t i = 0; i < 40; i++)
			put_plain(1700000000 + i, 30);
		twin_read(&twin, image.data, image.bytes, false);
		assert_int_equal(twin.count, 40);
		walk_while_changing();
		twin_free(&twin);
	}
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_oddity_stops_the_walk_at_every_edge_near_it),
	    cmocka_unit_test(a_walk_from_any_boundary_returns_what_the_parser_returned),
	    cmocka_unit_test(fuzzed_files_are_walked_as_the_parser_reads_them),
	    cmocka_unit_test(a_guess_finds_a_boundary_of_ordinary_traffic),
	    cmocka_unit_test(no_place_is_guessed_within_a_long_record),
	    cmocka_unit_test(the_longest_record_is_plain_and_a_longer_one_is_not),
	    cmocka_unit_test(bytes_that_differ_from_the_parsers_never_lead_out_of_the_span),
	    cmocka_unit_test(bytes_that_change_during_a_walk_never_lead_out_of_the_span),
	};
	const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *memory = mmap(NULL, GUARDED_BYTES + page_bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	twin_check(memory != MAP_FAILED && !mprotect(memory + GUARDED_BYTES, page_bytes, PROT_NONE),
		   "no guarded memory", 0);
	guarded_end = memory + GUARDED_BYTES;
	return RUN_TESTS(0, tests, NULL, free_all, argc, argv);
}
