/* SPDX-License-Identifier: BSD-3-Clause */
/* Drafts: every record is kept, in order; outputs adopt them; failed writes leave whole records. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>

#include "core/base/grow.h"
#include "pipeline/output/output_parts.h"
#include "tests/rig/run_tests.h"
#include "tests/rig/scale.h"

#define OUTPUTS_MAX 1000u
#define CHUNK_BYTES_MAX ((size_t)64 << 10)

static uint32_t random_state = 1;
static uint32_t return_count;

static uint32_t draw(uint32_t limit)
{
	random_state = random_state * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)random_state * limit) >> 32);
}

static void count_return(void *context)
{
	(void)context;
	return_count++;
}

static void start_pool(struct cw_chunk_pool *pool, uint32_t count, size_t chunk_bytes)
{
	*pool = (struct cw_chunk_pool){.on_return = count_return};
	assert_int_equal(cw_chunk_pool_init(pool, count * chunk_bytes, chunk_bytes), 0);
	return_count = 0;
}

/* What a draft must hold. */
struct stream {
	struct cw_bytes bytes;
	uint64_t data_bytes;
	uint32_t record_count;
	size_t ends[4096]; /* of the records */
};

static struct stream streams[OUTPUTS_MAX];
static struct cw_draft drafts_at[OUTPUTS_MAX];
static uint8_t record[CHUNK_BYTES_MAX];

/* Adds a record to the draft, and garbage behind it. False: no room. */
static bool add_record(struct cw_drafts *drafts, uint32_t number, size_t bytes)
{
	struct stream *stream = &streams[number];
	uint8_t *to = cw_draft_room(drafts, &drafts_at[number], bytes);
	uint32_t data_bytes = (uint32_t)bytes / 2;

	if (!to)
		return false;
	for (size_t index = 0; index < bytes; index++)
		record[index] = (uint8_t)draw(256);
	assert_true((size_t)(drafts_at[number].end - to) >= bytes);
	memset(to, 0xee, bytes + CW_DRAFT_SLACK);
	memcpy(to, record, bytes);
	cw_draft_add(&drafts_at[number], bytes, data_bytes);
	assert_int_equal(CW_GROW(&stream->bytes, bytes), 0);
	memcpy(stream->bytes.at + stream->bytes.count, record, bytes);
	stream->bytes.count += (uint32_t)bytes;
	stream->data_bytes += data_bytes;
	stream->ends[stream->record_count++] = stream->bytes.count;
	return true;
}

static void clear_streams(void)
{
	for (uint32_t index = 0; index < OUTPUTS_MAX; index++) {
		CW_GROWN_FINI(&streams[index].bytes);
		streams[index] = (struct stream){0};
	}
}

/* Returns the first record that ends after `offset`, which must be where a record begins. */
static uint32_t record_at(const struct stream *stream, size_t offset)
{
	uint32_t index = 0;

	while (index < stream->record_count && stream->ends[index] <= offset)
		index++;
	assert_true(offset == (index ? stream->ends[index - 1] : 0));
	return index;
}

/* Compares a finished draft with its stream. Returns its chunks. */
static uint32_t check_draft(const struct cw_drafts *drafts, uint32_t number)
{
	const struct cw_draft *draft = &drafts_at[number];
	const struct stream *stream = &streams[number];
	size_t offset = 0, before = 0;
	uint64_t data_bytes = 0;
	uint32_t count = 0;

	for (const struct cw_chunk *chunk = draft->first; chunk; chunk = chunk->queued) {
		uint32_t first = record_at(stream, offset);

		assert_memory_equal(chunk->memory, stream->bytes.at + offset, chunk->used);
		offset += chunk->used;
		assert_int_equal(chunk->anchor.records, record_at(stream, offset) - first);
		if (count) /* the record did not fit in the chunk before */
			assert_true(before + chunk->used >
				    drafts->pool->chunk_bytes - CW_DRAFT_SLACK);
		else if (!chunk->queued)
			assert_true(chunk->used >= drafts->pool->chunk_bytes / 2);
		data_bytes += chunk->anchor.bytes;
		before = chunk->used;
		count++;
	}
	if (draft->first) {
		assert_int_equal(draft->slot_used, 0);
		assert_int_equal(data_bytes, stream->data_bytes);
		assert_int_equal(cw_chunk_is_copied(draft->last), true);
	} else {
		assert_true(!draft->small || draft->slot_used < drafts->pool->chunk_bytes / 2);
		if (draft->slot_used)
			assert_memory_equal(draft->slot, stream->bytes.at, draft->slot_used);
		offset = draft->slot_used;
	}
	assert_int_equal(offset, stream->bytes.count);
	return count;
}

/* Returns a record's size: most are small, some as large as a chunk allows. */
static size_t draw_size(size_t chunk_bytes)
{
	size_t most = chunk_bytes - CW_DRAFT_SLACK;

	switch (draw(16)) {
	case 0:
		return most - draw(4);
	case 1:
		return 1 + draw((uint32_t)most);
	case 2:
		return 1 + draw((uint32_t)most / 4);
	default:
		return 16 + draw(100);
	}
}

static void drafts_keep_every_record_in_order_and_in_one_piece(void **state)
{
	static const size_t sizes[] = {512, 1024, 4096, CHUNK_BYTES_MAX};
	static const uint32_t outputs[] = {1, 2, 8, 100, OUTPUTS_MAX};

	(void)state;
	for (uint32_t turn = 0; turn < scaled(60, 20); turn++) {
		size_t chunk_bytes = sizes[draw(CW_ARRAY_COUNT(sizes))];
		uint32_t output_count = outputs[draw(CW_ARRAY_COUNT(outputs))];
		uint32_t steps = draw(4) ? draw(2000) : draw(20);
		struct cw_chunk_pool pool;
		struct cw_drafts drafts;
		uint32_t adopted = 0, lent;

		start_pool(&pool, 16384, chunk_bytes);
		cw_drafts_begin(&drafts, &pool, output_count);
		assert_int_equal(cw_chunk_lent_count(&pool), 0);
		for (uint32_t step = 0; step < steps; step++)
			assert_true(add_record(&drafts, draw(draw(2) ? output_count : 1),
					       draw_size(chunk_bytes)));
		for (uint32_t index = 0; index < output_count; index++) {
			cw_draft_finish(&drafts, &drafts_at[index]);
			adopted += check_draft(&drafts, index);
		}
		lent = cw_chunk_lent_count(&pool);
		assert_int_equal(lent != 0, steps != 0);
		assert_true(adopted <= lent);
		cw_drafts_drop(&drafts, drafts_at, output_count);
		assert_int_equal(return_count, steps != 0);
		assert_int_equal(cw_chunk_lent_count(&pool), 0);
		assert_int_equal(cw_chunk_free_count(&pool), pool.chunk_count);
		cw_drafts_drop(&drafts, drafts_at, output_count);
		assert_int_equal(return_count, steps != 0);
		cw_chunk_pool_fini(&pool);
		clear_streams();
	}
}

static void a_thousand_small_drafts_share_few_chunks(void **state)
{
	struct cw_chunk_pool pool;
	struct cw_drafts drafts;

	(void)state;
	start_pool(&pool, 4096, 16384);
	cw_drafts_begin(&drafts, &pool, OUTPUTS_MAX);
	for (uint32_t step = 0; step < 2 * OUTPUTS_MAX; step++)
		assert_true(add_record(&drafts, step % OUTPUTS_MAX, 90));
	for (uint32_t index = 0; index < OUTPUTS_MAX; index++) {
		cw_draft_finish(&drafts, &drafts_at[index]);
		assert_int_equal(check_draft(&drafts, index), 0);
		assert_null(drafts_at[index].small);
	}
	assert_true(cw_chunk_lent_count(&pool) <= OUTPUTS_MAX * 256 / 16384 + 1);
	cw_drafts_drop(&drafts, drafts_at, OUTPUTS_MAX);
	cw_chunk_pool_fini(&pool);
	clear_streams();
}

static void a_draft_without_a_chunk_to_borrow_or_with_a_longer_record_has_no_room(void **state)
{
	(void)state;
	for (uint32_t count = 2; count < 9; count++) {
		struct cw_chunk_pool pool;
		struct cw_drafts drafts;
		uint32_t lent = 0;

		start_pool(&pool, count, 512);
		cw_drafts_begin(&drafts, &pool, 3);
		assert_false(add_record(&drafts, 1, 512 - CW_DRAFT_SLACK + 1));
		assert_int_equal(cw_chunk_lent_count(&pool), 0);
		while (add_record(&drafts, lent % 3, 512 - CW_DRAFT_SLACK))
			lent++;
		assert_int_equal(lent, count / 2);
		assert_int_equal(cw_chunk_lent_count(&pool), count / 2);
		cw_drafts_drop(&drafts, drafts_at, 3);
		assert_int_equal(cw_chunk_free_count(&pool), count);
		assert_int_equal(return_count, 1);
		cw_chunk_pool_fini(&pool);
		clear_streams();
	}
}

/* ---- outputs ---- */

static uint64_t write_bytes_left = UINT64_MAX; /* until the disk is full */

ssize_t __real_pwritev(int fd, const struct iovec *vectors, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *vectors, int count, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *vectors, int count, off_t offset)
{
	struct iovec part = vectors[0];
	ssize_t done;

	if (write_bytes_left == UINT64_MAX)
		return __real_pwritev(fd, vectors, count, offset);
	part.iov_len = cw_min_size(part.iov_len, write_bytes_left);
	if (!part.iov_len) {
		errno = ENOSPC;
		return -1;
	}
	done = __real_pwritev(fd, &part, 1, offset);
	write_bytes_left -= (uint64_t)done;
	return done;
}

/* One output, as the turn and its writer see it. */
static struct cw_run run;
static struct cw_outputs outputs;
static struct cw_output output;
static struct cw_file file;
static struct cw_rule rule = {.name = "r"};
static struct cw_template name;
static char path[] = "/tmp/capweir-draft-XXXXXX";

static struct stream written; /* the file's records, after its header */

static void begin_output(size_t chunk_bytes, size_t gather_bytes)
{
	const struct cw_outfile_options options = {.standard_output = -1};
	uint8_t header[CW_FORMAT_HEADER_BYTES_MAX];

	output = (struct cw_output){.rule = &rule,
				    .name = &name,
				    .format = CW_FORMAT_PCAP_US,
				    .snaplen = UINT32_MAX,
				    .turn.file = &file};
	file = (struct cw_file){.path = path};
	run.options.sizes.gather_bytes = gather_bytes;
	atomic_store(&run.live_chunks, 0);
	outputs.run = &run;
	outputs.at = &output;
	outputs.count = outputs.capacity = 1;
	start_pool(&outputs.pool, 256, chunk_bytes);
	assert_int_equal(cw_ready_init(&outputs.writable, 1), 0);
	assert_int_equal(cw_files_init(&outputs.files, 4), 0);
	assert_int_equal(cw_outfile_new(&file.outfile, path, &options), 0);
	file.header_bytes = cw_format_header(CW_FORMAT_PCAP_US, 1, 65535, header);
	assert_true(cw_chunk_claim(&outputs.pool, 1));
	cw_output_append(&outputs, &output, header, file.header_bytes);
	write_bytes_left = UINT64_MAX;
}

/* Encodes a pcap record into the draft of number 0. False: no room. */
static bool draft_packet(struct cw_drafts *drafts, uint32_t caplen)
{
	static uint8_t data[65536];
	const struct cw_packet packet = {.data = data,
					 .caplen = caplen,
					 .wire_len = caplen,
					 .ts_ns = UINT64_C(1700000000) * CW_NS_PER_S};
	size_t bytes = cw_format_record_bytes(CW_FORMAT_PCAP_US, &packet, UINT32_MAX);
	struct stream *stream = &written;
	uint8_t *to = cw_draft_room(drafts, &drafts_at[0], bytes);

	if (!to)
		return false;
	assert_true(stream->record_count < CW_ARRAY_COUNT(stream->ends));
	for (uint32_t index = 0; index < caplen; index++)
		data[index] = (uint8_t)draw(256);
	cw_format_record(CW_FORMAT_PCAP_US, &packet, UINT32_MAX, 0, bytes, to);
	assert_int_equal(CW_GROW(&stream->bytes, bytes), 0);
	memcpy(stream->bytes.at + stream->bytes.count, to, bytes);
	stream->bytes.count += (uint32_t)bytes;
	stream->data_bytes += caplen;
	stream->ends[stream->record_count++] = stream->bytes.count;
	cw_draft_add(&drafts_at[0], bytes, caplen);
	return true;
}

/* As the turn and the copying worker do with a small draft. */
static void place_small(const struct cw_draft *draft, uint32_t records, uint64_t data_bytes)
{
	const uint8_t *from = draft->slot;
	uint32_t left = draft->slot_used, start;
	struct cw_chunk *chunk;

	assert_true(cw_chunk_claim(
	    &outputs.pool,
	    cw_output_chunks_needed(&outputs.pool, cw_output_open_room(&output), left)));
	chunk = cw_output_reserve_bytes(&outputs, &output, left, NULL, &start);
	cw_chunk_unclaim(&outputs.pool);
	output.turn.file_records += records;
	output.turn.file_bytes += data_bytes;
	cw_output_set_anchor(&output);
	for (; left; chunk = chunk->following, start = 0) {
		uint32_t part = cw_min_u32(left, chunk->capacity - start);

		memcpy(chunk->memory + start, from, part);
		from += part;
		left -= part;
		if (cw_chunk_copied(chunk, part))
			cw_output_kick(&outputs, &output);
	}
}

/* Each adopted chunk ends with a record, which its anchor names. */
static void adopt(struct cw_draft *draft)
{
	const struct cw_chunk *chunks[64];
	uint32_t count = 0;

	for (struct cw_chunk *chunk = draft->first; chunk; chunk = chunk->queued) {
		assert_true(count < CW_ARRAY_COUNT(chunks));
		chunks[count++] = chunk;
	}
	cw_output_adopt_draft(&outputs, &output, draft);
	while (count--)
		assert_int_equal(chunks[count]->anchor.offset,
				 chunks[count]->offset + chunks[count]->used);
}

/* Drafts `count` records and gives them to the output. */
static void add_batch(uint32_t count, uint32_t caplen_max)
{
	uint32_t records = written.record_count;
	uint64_t data_bytes = written.data_bytes;
	struct cw_drafts drafts;

	cw_drafts_begin(&drafts, &outputs.pool, 8);
	while (count--)
		assert_true(draft_packet(&drafts, draw(caplen_max)));
	cw_draft_finish(&drafts, &drafts_at[0]);
	if (drafts_at[0].first)
		adopt(&drafts_at[0]);
	else if (drafts_at[0].slot_used)
		place_small(&drafts_at[0], written.record_count - records,
			    written.data_bytes - data_bytes);
	output.turn.matched += written.record_count - records;
	cw_drafts_drop(&drafts, drafts_at, 1);
	assert_int_equal(cw_chunk_lent_count(&outputs.pool), 0);
	assert_int_equal(output.turn.offset, file.header_bytes + written.bytes.count);
	assert_int_equal(output.turn.file_records, written.record_count);
	assert_int_equal(output.turn.file_bytes, written.data_bytes);
}

/* Checks a chunk that the output holds: it continues at `offset`, and its anchor is the end of a
 * record. Returns its end. */
static uint64_t check_chunk(const struct cw_chunk *chunk, uint64_t offset)
{
	uint64_t header = file.header_bytes, end = offset + chunk->used;
	uint64_t records = chunk->anchor.records;

	assert_ptr_equal(chunk->file, &file);
	assert_int_equal(chunk->offset, offset);
	assert_true(chunk->used <= chunk->capacity);
	assert_true(chunk->anchor.offset <= end);
	assert_int_equal(chunk->anchor.offset, header + (records ? written.ends[records - 1] : 0));
	for (uint64_t at = offset > header ? offset : header; at < end; at++)
		assert_int_equal(chunk->memory[at - offset], written.bytes.at[at - header]);
	return end;
}

static void check_held(void)
{
	uint64_t offset = 0;
	uint32_t count = 0;

	for (const struct cw_chunk *chunk = output.turn.held_first; chunk; chunk = chunk->queued) {
		offset = check_chunk(chunk, offset);
		count++;
	}
	if (output.turn.open) {
		offset = check_chunk(output.turn.open, offset);
		count++;
	}
	assert_int_equal(offset, output.turn.offset);
	assert_int_equal(atomic_load(&run.live_chunks), count);
	assert_int_equal(atomic_load(&output.shared.chunks_out), count);
	assert_int_equal(outputs.turn.kept_chunks, count);
	assert_int_equal(cw_chunk_free_count(&outputs.pool), outputs.pool.chunk_count - count);
}

/* Writes what is complete, as a worker with nothing else to do. */
static void write_ready(void)
{
	if (cw_ready_take(&outputs.writable, 0) != CW_READY_NONE)
		cw_output_write(&outputs, &output);
}

/* Ends the output's file and compares it with the first `records` of what was drafted. */
static void end_output(uint32_t records)
{
	uint64_t bytes = file.header_bytes + (records ? written.ends[records - 1] : 0);
	uint8_t *content = malloc(bytes + 1);
	int fd;

	cw_output_seal_all(&outputs, &output);
	write_ready();
	cw_writer_finish_file(&outputs, &output, &file);
	assert_int_equal(atomic_load(&output.shared.written), records);
	assert_int_equal(file.writer.anchor.records, records);
	assert_int_equal(atomic_load(&run.live_chunks), 0);
	assert_int_equal(atomic_load(&output.shared.chunks_out), 0);
	assert_int_equal(cw_chunk_free_count(&outputs.pool), outputs.pool.chunk_count);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_non_null(content);
	assert_int_equal(read(fd, content, bytes + 1), bytes);
	if (records)
		assert_memory_equal(content + file.header_bytes, written.bytes.at,
				    written.ends[records - 1]);
	close(fd);
	free(content);
	cw_outfile_free(file.outfile);
	cw_files_fini(&outputs.files);
	cw_ready_fini(&outputs.writable);
	cw_chunk_pool_fini(&outputs.pool);
	CW_GROWN_FINI(&written.bytes);
	written = (struct stream){0};
}

static void an_output_holds_the_records_of_drafts_without_a_gap(void **state)
{
	(void)state;
	for (uint32_t turn = 0; turn < scaled(100, 20); turn++) {
		uint32_t batches = 1 + draw(8);

		begin_output((size_t)1024 << draw(5), SIZE_MAX); /* held until the end */
		while (batches--) {
			add_batch(draw(3) ? draw(40) : draw(4), 900);
			check_held();
		}
		end_output(written.record_count);
	}
}

static void adopted_chunks_gather_until_they_are_worth_a_write(void **state)
{
	(void)state;
	begin_output(4096, 16384);
	for (uint32_t batch = 0; batch < 200; batch++) {
		add_batch(draw(30), 900);
		assert_true(output.turn.held_bytes < 16384 + 4096);
		write_ready();
	}
	assert_true(atomic_load(&output.shared.written) > 0);
	end_output(written.record_count);
}

/* Returns the records that end within the file's first `bytes`. */
static uint32_t whole_records(uint64_t bytes)
{
	uint32_t records = 0;

	while (records < written.record_count && file.header_bytes + written.ends[records] <= bytes)
		records++;
	return records;
}

static void a_full_disk_leaves_the_whole_records_of_adopted_chunks(void **state)
{
	uint32_t seed = random_state;

	(void)state;
	for (uint64_t limit = 24; limit < 24000; limit += scale() < 1 ? 991 : 61) {
		random_state = seed; /* the same records every time */
		begin_output(2048, 4096);
		for (uint32_t batch = 0; batch < 8; batch++)
			add_batch(batch % 3 ? 9 : 2, 400);
		write_bytes_left = limit;
		end_output(whole_records(limit));
	}
}

static void later_records_fill_the_last_adopted_chunk(void **state)
{
	struct cw_chunk *open;

	(void)state;
	begin_output(4096, SIZE_MAX);
	while (!output.turn.held_first)
		add_batch(30, 120); /* about 2,300 bytes */
	open = output.turn.open;
	assert_true(cw_output_open_room(&output) > 400);
	add_batch(2, 120);
	assert_ptr_equal(output.turn.open, open);
	check_held();
	end_output(written.record_count);
}

/* The pool has 256 chunks. Borrows `count` of them. */
static void borrow(struct cw_chunk **lent, uint32_t count)
{
	for (uint32_t index = 0; index < count; index++) {
		lent[index] = cw_chunk_lend_any(&outputs.pool);
		assert_non_null(lent[index]);
	}
}

static void return_lent(struct cw_chunk **lent, uint32_t count)
{
	for (uint32_t index = 0; index < count; index++)
		cw_chunk_return_any(&outputs.pool, lent[index]);
}

static void lent_chunks_are_nobodys_share(void **state)
{
	struct cw_chunk *lent[60];

	(void)state;
	begin_output(1024, SIZE_MAX);
	while (atomic_load(&output.shared.chunks_out) < 100)
		add_batch(20, 120);
	run.is_live = true;
	outputs.turn.used_count = 2;
	borrow(lent, CW_ARRAY_COUNT(lent));
	assert_false(cw_output_is_over_share(&outputs, &output, 50)); /* of 156, 60 are lent */
	assert_true(cw_output_is_over_share(&outputs, &output, 60));
	return_lent(lent, CW_ARRAY_COUNT(lent));
	run.is_live = false;
	end_output(written.record_count);
}

static void gathered_chunks_are_sent_though_many_chunks_are_lent(void **state)
{
	struct cw_chunk *lent[42];

	(void)state;
	begin_output(1024, SIZE_MAX);
	while (atomic_load(&output.shared.chunks_out) < 160)
		add_batch(20, 120);
	cw_outputs_keep_room(&outputs);
	assert_non_null(output.turn.held_first); /* a third of the pool is free */
	borrow(lent, CW_ARRAY_COUNT(lent));
	cw_outputs_keep_room(&outputs);
	assert_null(output.turn.held_first);
	return_lent(lent, CW_ARRAY_COUNT(lent));
	end_output(written.record_count);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(drafts_keep_every_record_in_order_and_in_one_piece),
	    cmocka_unit_test(a_thousand_small_drafts_share_few_chunks),
	    cmocka_unit_test(a_draft_without_a_chunk_to_borrow_or_with_a_longer_record_has_no_room),
	    cmocka_unit_test(an_output_holds_the_records_of_drafts_without_a_gap),
	    cmocka_unit_test(adopted_chunks_gather_until_they_are_worth_a_write),
	    cmocka_unit_test(a_full_disk_leaves_the_whole_records_of_adopted_chunks),
	    cmocka_unit_test(later_records_fill_the_last_adopted_chunk),
	    cmocka_unit_test(lent_chunks_are_nobodys_share),
	    cmocka_unit_test(gathered_chunks_are_sent_though_many_chunks_are_lent),
	};
	int failures, fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	failures = RUN_TESTS(120, tests, NULL, NULL, argc, argv);
	unlink(path);
	return failures;
}
