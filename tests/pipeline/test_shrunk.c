/* SPDX-License-Identifier: BSD-3-Clause */
/* An input file that shrinks underneath a run, at every moment; and mapping it interrupted. */
#include <errno.h>
#include <sys/mman.h>

#include "core/source/source.h"
#include "tests/rig/file_run.h"

/* ---- what the linker wraps ---- */

static _Atomic long fstats_until_shrunk = -1;
static _Atomic long shrunk_bytes;

int __real_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status);
int __wrap_fstat(int fd, struct stat *status)
{
	int result = __real_fstat(fd, status);

	if (result == 0 && runs_out(&fstats_until_shrunk))
		status->st_size = atomic_load(&shrunk_bytes);
	return result;
}

static _Atomic long mappings_until_interrupted = -1;

void *__real_mmap(void *address, size_t bytes, int access, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int access, int flags, int fd, off_t offset);
void *__wrap_mmap(void *address, size_t bytes, int access, int flags, int fd, off_t offset)
{
	if (fd < 0 || !runs_out(&mappings_until_interrupted))
		return __real_mmap(address, bytes, access, flags, fd, offset);
	atomic_store(&mappings_until_interrupted, -1);
	errno = EINTR;
	return MAP_FAILED;
}

/* ---- tests ---- */

/* Every record of the file is whole, and they are a prefix of what the good run wrote. */
static void check_prefix(const char *good_folder, const char *folder_cut, uint32_t rule)
{
	char path[512];
	static uint8_t left[1 << 16], right[1 << 16];
	FILE *good, *cut;
	size_t bytes;

	snprintf(path, sizeof(path), "%s/r%u.pcap", folder_cut, rule);
	cut = fopen(path, "rb");
	if (!cut)
		return; /* not even its header was safe */
	snprintf(path, sizeof(path), "%s/r%u.pcap", good_folder, rule);
	good = fopen(path, "rb");
	assert_non_null(good);
	while ((bytes = fread(left, 1, sizeof(left), cut)) > 0) {
		assert_in_range(fread(right, 1, sizeof(right), good), bytes, sizeof(right));
		assert_int_equal(memcmp(left, right, bytes), 0);
	}
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

/* Runs with an input that shrinks to `left` bytes before fstat number `call`. Returns whether the
 * call was later than the run's last; adds 1 to `runs`, and to `cut_runs` if the run met the shrunk
 * file. */
static bool run_shrunk(const struct setup *good, struct setup *setup, long call, uint64_t left,
		       unsigned *runs, unsigned *cut_runs)
{
	struct cw_report report;
	uint64_t in_files = 0;
	bool is_reached = true;

	setup->options.threads = 1 + (uint32_t)call % 3;
	atomic_store(&shrunk_bytes, (long)left);
	atomic_store(&fstats_until_shrunk, call);
	if (run(setup, &report) == 0) {
		is_reached = atomic_exchange(&fstats_until_shrunk, -1) <= 0;
		++*runs;
		assert_true(report.is_balanced);
		for (uint32_t rule = 0; rule < RULES; rule++) {
			char path[512];

			check_prefix(good->directory, setup->directory, rule);
			snprintf(path, sizeof(path), "%s/r%u.pcap", setup->directory, rule);
			in_files += count_records(path);
		}
		assert_int_equal(in_files, report.books.in_files);
		*cut_runs += !report.is_complete;
		cw_report_fini(&report);
	}
	atomic_store(&fstats_until_shrunk, -1);
	return is_reached;
}

static void an_input_that_shrinks_keeps_what_was_before(void **state)
{
	struct setup good, setup;
	struct cw_report report;
	unsigned runs = 0, cut_runs = 0;
	long call, step = scale() < 1 ? 3 : 1;
	bool is_reached = true;

	(void)state;
	make_setup(&good, "good", false, false);
	assert_int_equal(run(&good, &report), 0);
	cw_report_fini(&report);
	for (call = 0; is_reached; call += step) { /* until it is later than a run's last */
		make_setup(&setup, "shrunk", false, false);
		setup.options.sizes.batch_bytes = 100000;
		setup.options.sizes.no_segments = true;
		is_reached = run_shrunk(&good, &setup, call,
					(uint64_t)input_bytes * (uint64_t)(call % 7 + 1) / 9, &runs,
					&cut_runs);
		end_setup(&setup);
	}
	print_message("%u of %u runs met the shrunk file\n", cut_runs, runs);
	assert_true(cut_runs > (scale() < 1 ? 8 : 40));
	end_setup(&good);
}

/* A loss in the first span, while segments after it are on their way: their run must end too. */
static void segments_of_an_input_that_shrinks_end_their_run(void **state)
{
	struct setup good, setup;
	struct cw_report report;
	unsigned runs = 0, cut_runs = 0;
	long call, step = scale() < 1 ? 3 : 1;

	(void)state;
	make_setup(&good, "good", false, false);
	assert_int_equal(run(&good, &report), 0);
	cw_report_fini(&report);
	for (call = 0; call < 40; call += step) {
		make_setup(&setup, "shrunk", false, false);
		setup.options.sizes.batch_bytes = 400000;
		setup.options.sizes.segment_bytes = 4096;
		run_shrunk(&good, &setup, call, 50000 * (uint64_t)(call % 3 + 1), &runs, &cut_runs);
		end_setup(&setup);
	}
	print_message("%u of %u runs met the shrunk file\n", cut_runs, runs);
	assert_true(cut_runs > (scale() < 1 ? 8 : 30));
	end_setup(&good);
}

static void an_interrupted_mapping_is_tried_again(void **state)
{
	struct cw_report report;
	struct setup setup;

	(void)state;
	make_setup(&setup, "interrupted", false, false);
	setup.options.sizes.window_bytes = 1 << 16;
	atomic_store(&mappings_until_interrupted, 3);
	assert_int_equal(run(&setup, &report), 0);
	assert_int_equal(atomic_load(&mappings_until_interrupted), -1); /* it was */
	assert_int_equal(report.packets, input_packets);
	assert_true(report.is_complete);
	cw_report_fini(&report);
	end_setup(&setup);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_input_that_shrinks_keeps_what_was_before),
	    cmocka_unit_test(segments_of_an_input_that_shrinks_end_their_run),
	    cmocka_unit_test(an_interrupted_mapping_is_tried_again),
	};

	return cmocka_run_group_tests(tests, open_folder, close_folder);
}
