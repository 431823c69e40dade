/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sources: every way in gives the same packets, those that libpcap reads and the manifest counts;
 * what cannot be opened.
 */
#include <errno.h>

#include <pcap/pcap.h>

#include "tests/rig/feed.h"
#include "tests/core/source/corpus_rig.h"
#include "tests/core/source/pack_rig.h"
#include "tests/core/source/source_rig.h"

static void read_pipe(const uint8_t *data, size_t bytes, const struct cw_source_options *options,
		      struct seen_list *list)
{
	struct feeder feeder;
	char path[32];

	snprintf(path, sizeof(path), "/dev/fd/%d", start_feed(&feeder, data, bytes, false));
	read_source(path, options, 2000, list);
	end_feed(&feeder);
}

static void assert_same_end(const struct seen_list *a, const struct seen_list *b, const char *name)
{
	if (a->count != b->count || a->result != b->result)
		fail_msg("%s: %zu packets, %d against %zu packets, %d (%s; %s)", name, a->count,
			 a->result, b->count, b->result, a->text, b->text);
	assert_same_packets(a, b);
}

static void check_ways_in(const char *path, const char *name)
{
	struct cw_source_options small = plain;
	struct seen_list mapped, other;
	size_t bytes, packed_bytes;
	uint8_t *data = read_file(path, &bytes);
	uint8_t *packed;
	int is_gzip;

	small.window_bytes = 4096;
	small.buffer_bytes = 4096;
	read_source(path, &plain, 1 << 18, &mapped);
	read_source(path, &small, 3000, &other);
	assert_same_end(&mapped, &other, name);
	seen_free(&other);
	read_pipe(data, bytes, &plain, &other);
	assert_same_end(&mapped, &other, name);
	seen_free(&other);
	read_pipe(data, bytes, &small, &other);
	assert_same_end(&mapped, &other, name);
	seen_free(&other);
	for (is_gzip = 0; is_gzip < 2; is_gzip++) {
		if (bytes > 1 && (data[0] == 0x1F && data[1] == 0x8B))
			continue; /* packed twice is not unpacked twice */
		packed = pack(data, bytes, is_gzip, &packed_bytes);
		read_source(write_file("packed", packed, packed_bytes), &small, 1 << 18, &other);
		assert_same_end(&mapped, &other, name);
		seen_free(&other);
		read_pipe(packed, packed_bytes, &plain, &other);
		assert_same_end(&mapped, &other, name);
		seen_free(&other);
		free(packed);
	}
	seen_free(&mapped);
	free(data);
}

static void mapped_pipe_gzip_and_zstd_give_the_same_packets(void **state)
{
	(void)state;
	for_corpus(check_ways_in);
}

/* Whether libpcap takes for a packet what is none to us: zeros up to the end, or the header of
 * another capture file. */
static bool is_no_packet(const struct seen_list *list, size_t count,
			 const struct pcap_pkthdr *header)
{
	if (header->caplen || header->len)
		return false;
	if ((uint32_t)header->ts.tv_sec == 0xA1B2C3D4)
		return true;
	return count == list->count && strstr(list->text, "only zeros follow") &&
	       !header->ts.tv_sec && !header->ts.tv_usec;
}

/* libpcap's packets are ours, in order, up to what is_no_packet names; and all of ours when it read
 * to the end. */
static void check_against_libpcap(const char *path, const char *name)
{
	char reason[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *header;
	const u_char *data;
	struct seen_list list;
	uint32_t magic = 0;
	size_t count = 0;
	FILE *stream;
	pcap_t *pcap;
	int result;

	stream = fopen(path, "rb");
	assert_non_null(stream);
	if (fread(&magic, sizeof(magic), 1, stream) != 1)
		magic = 0;
	rewind(stream);
	pcap = pcap_fopen_offline_with_tstamp_precision(stream, PCAP_TSTAMP_PRECISION_NANO, reason);
	if (!pcap) {
		fclose(stream);
		return;
	}
	read_source(path, &plain, 1 << 18, &list);
	while ((result = pcap_next_ex(pcap, &header, &data)) == 1) {
		const struct seen *seen = &list.items[count];
		uint64_t seconds = (uint64_t)header->ts.tv_sec;
		int64_t fraction = header->ts.tv_usec;

		if (magic != 0x0A0D0D0A)
			seconds = (uint32_t)seconds; /* libpcap takes them as signed */
		if (fraction < 0) /* so too what a damaged file has for fractions */
			fraction = magic == 0xA1B23C4D
				       ? (uint32_t)fraction
				       : (int64_t)(uint32_t)(fraction / 1000) * 1000;
		if (is_no_packet(&list, count, header))
			break;
		if (count >= list.count)
			fail_msg("%s: libpcap has more than %zu packets", name, list.count);
		if (seen->ts_ns != seconds * CW_NS_PER_S + (uint64_t)fraction ||
		    seen->caplen != header->caplen || seen->wire_len != header->len ||
		    seen->data_hash != hash_bytes(data, header->caplen))
			fail_msg("%s: packet %zu differs", name, count);
		count++;
	}
	if (result == PCAP_ERROR_BREAK && count != list.count)
		fail_msg("%s: libpcap ends after %zu packets, we after %zu", name, count,
			 list.count);
	pcap_close(pcap);
	seen_free(&list);
}

static void every_packet_is_as_libpcap_reads_it(void **state)
{
	(void)state;
	for_corpus(check_against_libpcap);
}

static void check_pieces(const char *path, const char *name)
{
	size_t bytes;
	uint8_t *data = read_file(path, &bytes);

	(void)name;
	if (bytes < 100000)
		feed_image(data, bytes, 1 + next_random(&random_state) % 2000);
	free(data);
}

static void corpus_replays_through_the_fuzz_targets(void **state)
{
	(void)state;
	for_corpus(check_pieces);
}

/* Where our count is not the one the manifest has, and why. */
static const struct {
	const char *name;
	const char *reason;
} uncounted[] = {
    {"libpcap__pcap-invalid-version-2.pcap", "version 2.5: refused as libpcap does"},
    {"syn11__version-2.5.pcap", "the same"},
    {"syn11__version-3.0.pcap", "the same, 3.0"},
    {"libtrace__5_packets.erf.gz", "ERF is not read"},
    {"libtrace__fragtest.erf.gz", "ERF is not read"},
    {"syn11__header-cut-01.pcap", "capinfos takes one byte for a text file"},
    {"syn11__header-cut-03.pcap", "the same"},
    {"syn11__tail-zero-filled.pcap", "zeros up to the end are a torn tail, not packets"},
    {"tcpdump__vtp_asan.pcap", "the same"},
    {"syn11__tsresol-20.pcapng", "no 64-bit clock; refused as libpcap does"},
    {"syn11__tsresol-ff.pcapng", "the same"},
    {"syn11__tsresol-dup.pcapng", "two resolutions; refused as libpcap does"},
    {"syn11__tsresol-len2.pcapng", "a resolution of two bytes; likewise"},
};

static bool is_uncounted(const char *name)
{
	size_t i;

	for (i = 0; i < CW_ARRAY_COUNT(uncounted); i++)
		if (!strcmp(uncounted[i].name, name))
			return true;
	return false;
}

static void packet_counts_are_those_of_the_manifest(void **state)
{
	const char *corpus = find_corpus();
	char path[1024], line[4096];
	struct seen_list list;
	size_t compared = 0;
	FILE *manifest;

	(void)state;
	if (!corpus)
		skip();
	snprintf(path, sizeof(path), "%s/MANIFEST.tsv", corpus);
	manifest = fopen(path, "r");
	assert_non_null(manifest);
	assert_non_null(fgets(line, sizeof(line), manifest)); /* column names */
	while (fgets(line, sizeof(line), manifest)) {
		char *fields[17] = {0}, *rest = line;
		int i, tool;

		for (i = 0; i < 17 && rest; i++)
			fields[i] = strsep(&rest, "\t\n");
		assert_non_null(fields[16]);
		snprintf(path, sizeof(path), "%s/%s", corpus, fields[0]);
		read_source(path, &plain, 1 << 18, &list);
		for (tool = 11; tool <= 14; tool += 3) { /* tcpdump, capinfos: rc and count */
			if (strcmp(fields[tool], "0") || is_uncounted(fields[0]))
				continue;
			if (list.count != strtoul(fields[tool + 1], NULL, 10))
				fail_msg("%s: %zu packets, the manifest has %s", fields[0],
					 list.count, fields[tool + 1]);
			compared++;
		}
		seen_free(&list);
	}
	fclose(manifest);
	printf("%zu counts, %zu exceptions\n", compared, CW_ARRAY_COUNT(uncounted));
}

static void giant_records_pass_through_small_windows_and_buffers(void **state)
{
	const size_t giant = (size_t)8 << 20;
	struct cw_source_options options = plain;
	size_t bytes = 24 + 2 * (16 + giant);
	uint8_t *data = calloc(1, bytes);
	struct seen_list mapped, piped;
	int i;

	(void)state;
	image.bytes = 0;
	image.is_swapped = 0;
	put_pcap_header(&image, 0xA1B2C3D4, 2, 4, UINT32_MAX, 279);
	memcpy(data, image.data, 24);
	for (i = 0; i < 2; i++) {
		image.bytes = 0;
		put_pcap_record(&image, 1, 1, (uint32_t)giant, (uint32_t)giant, 0);
		memcpy(data + 24 + (size_t)i * (16 + giant), image.data, 16);
		data[24 + (size_t)i * (16 + giant) + giant] = (uint8_t)(i + 3);
	}
	options.window_bytes = options.buffer_bytes = 4096;
	read_source(write_file("giant", data, bytes), &options, 100, &mapped);
	assert_int_equal(mapped.result, 0);
	assert_int_equal(mapped.count, 2);
	assert_int_equal(mapped.items[1].caplen, giant);
	read_pipe(data, bytes, &options, &piped);
	assert_same_end(&mapped, &piped, "giant");
	seen_free(&mapped);
	seen_free(&piped);
	free(data);
}

static void what_cannot_be_opened_is_named(void **state)
{
	struct seen_list list;

	(void)state;
	read_source(in_folder("missing"), &plain, 1, &list);
	assert_int_equal(list.result, -ENOENT);
	assert_non_null(strstr(list.text, "missing"));
	read_source(folder, &plain, 1, &list);
	assert_int_equal(list.result, -EISDIR);
	read_source(write_file("empty", "", 0), &plain, 1, &list);
	assert_int_equal(list.result, -EBADMSG);
	assert_non_null(strstr(list.text, "empty file"));
	read_source("/dev/null", &plain, 1, &list);
	assert_int_equal(list.result, -EBADMSG);
}

static void facts_about_a_source_are_told(void **state)
{
	struct cw_source_options options = plain;
	const char *path = make_large("large", 10);
	struct cw_source_info info;
	struct cw_error error = {0};
	uint64_t device, inode;
	struct cw_ifaces ifaces;
	struct cw_source *source;
	struct cw_lease lease;
	struct cw_span span;
	struct stat status;
	int fd;

	(void)state;
	options.linktype = 147;
	options.input = 3;
	cw_ifaces_init(&ifaces);
	assert_int_equal(cw_source_open(&source, path, &ifaces, &options, &error), 0);
	assert_int_equal(ifaces.count, 1);
	assert_int_equal(cw_ifaces_at(&ifaces, 0)->linktype, 147);
	assert_int_equal(cw_ifaces_at(&ifaces, 0)->input, 3);
	assert_true(cw_source_identity(source, &device, &inode));
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(inode, status.st_ino);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "more", 4), 4); /* somebody is still writing */
	close(fd);
	assert_int_equal(cw_source_next(source, 99999, 99, &span, &lease, &error), 1);
	assert_int_equal(span.record_count, 10);
	cw_lease_give_back(&lease);
	assert_int_equal(cw_source_next(source, 99999, 99, &span, &lease, &error), 0);
	cw_source_info(source, &info);
	assert_string_equal(info.format, "pcap");
	assert_string_equal(info.compression, "none");
	assert_int_equal(info.version_minor, 4);
	assert_int_equal(info.snaplen, 65535);
	assert_true(info.has_ns);
	assert_true(info.has_grown);
	assert_int_equal(info.file_bytes, 24 + 10 * RECORD_BYTES);
	assert_int_equal(info.consumed_bytes, info.file_bytes);
	cw_source_close(source);
	cw_ifaces_fini(&ifaces);
}

static void standard_input_is_a_source(void **state)
{
	int saved = dup(STDIN_FILENO);
	struct seen_list list;
	size_t bytes;
	uint8_t *data = read_file(make_large("large", 1000), &bytes);
	struct feeder feeder;
	int fd;

	(void)state;
	fd = start_feed(&feeder, data, bytes, false);
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	read_source("-", &plain, 5000, &list);
	assert_int_equal(list.result, 0);
	assert_int_equal(list.count, 1000);
	seen_free(&list);
	end_feed(&feeder);
	fd = open(in_folder("large"), O_RDONLY); /* capweir - < file */
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	close(fd);
	read_source("-", &plain, 5000, &list);
	assert_int_equal(list.count, 1000);
	seen_free(&list);
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	close(saved);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(mapped_pipe_gzip_and_zstd_give_the_same_packets),
	    cmocka_unit_test(corpus_replays_through_the_fuzz_targets),
	    cmocka_unit_test(every_packet_is_as_libpcap_reads_it),
	    cmocka_unit_test(packet_counts_are_those_of_the_manifest),
	    cmocka_unit_test(giant_records_pass_through_small_windows_and_buffers),
	    cmocka_unit_test(what_cannot_be_opened_is_named),
	    cmocka_unit_test(facts_about_a_source_are_told),
	    cmocka_unit_test(standard_input_is_a_source),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
