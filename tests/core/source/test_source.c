/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sources: every way in must give the same packets. The slow, obvious twin is libpcap, packet by
 * packet on the whole corpus ($CAPWEIR_CORPUS, or ../shared/corpus beside the project).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "core/source/source.h"
#include "tests/rig/capture.h"
#include "tests/rig/feed.h"

#define SEED UINT64_C(7919)
#define RECORD_BYTES 116        /* of the large pcap file made here: 16 and 100 */
#define PCAPNG_RECORD_BYTES 132 /* the same in pcapng */
#define PCAPNG_HEAD_BYTES 56

static struct image image;
static char folder[64];
static uint64_t random_state = SEED;

static char *in_folder(const char *name)
{
	static char path[4][128];
	static int turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", folder, name);
	return path[turn];
}

static const char *write_file(const char *name, const void *data, size_t bytes)
{
	char *path = in_folder(name);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
	close(fd);
	return path;
}

static uint8_t *read_file(const char *path, size_t *bytes)
{
	struct stat status;
	uint8_t *data;
	int fd = open(path, O_RDONLY);

	assert_true(fd >= 0 && !fstat(fd, &status));
	*bytes = (size_t)status.st_size;
	data = malloc(*bytes + 1);
	assert_int_equal(read(fd, data, *bytes), (ssize_t)*bytes);
	close(fd);
	return data;
}

static const struct cw_source_options plain = {.wake_fd = -1, .linktype = CW_LINKTYPE_ANY};

/* All packets of a source; list->result says how opening or reading ended. */
static void read_source(const char *path, const struct cw_source_options *options,
			size_t span_bytes, struct seen_list *list)
{
	struct cw_error error = {0};
	struct cw_ifaces ifaces;
	struct cw_source *source;
	struct cw_lease lease;
	struct cw_span span;
	int result;

	memset(list, 0, sizeof(*list));
	cw_ifaces_init(&ifaces);
	result = cw_source_open(&source, path, &ifaces, options, &error);
	if (!result) {
		while ((result = cw_source_next(source, span_bytes, 1000, &span, &lease, &error)) ==
		       1) {
			see_span(list, &span, 1 + next_random(&random_state) % 64);
			assert_int_equal(cw_lease_intact_bytes(&lease, &span), span.bytes);
			cw_lease_give_back(&lease);
		}
		assert_int_equal(cw_source_next(source, span_bytes, 1000, &span, &lease, &error),
				 result); /* it stays so */
	}
	list->result = result;
	snprintf(list->text, sizeof(list->text), "%s", result < 0 ? error.text : "");
	cw_source_close(source);
	cw_ifaces_fini(&ifaces);
}

/* A child that writes data into a pipe in random pieces. Gives the end to read from. */
static int feed_pipe(const uint8_t *data, size_t bytes, pid_t *child)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	*child = fork();
	assert_true(*child >= 0);
	if (!*child) {
		size_t at = 0;

		close(ends[0]);
		signal(SIGPIPE, SIG_IGN);
		while (at < bytes) {
			size_t piece = 1 + next_random(&random_state) %
					       (next_random(&random_state) % 4 ? 3000 : 40);
			ssize_t wrote = write(ends[1], data + at, cw_min_size(piece, bytes - at));

			if (wrote < 0)
				_exit(0);
			at += (size_t)wrote;
		}
		_exit(0);
	}
	close(ends[1]);
	next_random(&random_state);
	return ends[0];
}

static void read_pipe(const uint8_t *data, size_t bytes, const struct cw_source_options *options,
		      struct seen_list *list)
{
	char path[32];
	pid_t child;
	int fd = feed_pipe(data, bytes, &child);

	snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	read_source(path, options, 2000, list);
	close(fd);
	waitpid(child, NULL, 0);
}

/* The data as gzip members or zstd frames, cut in two at a random place. Caller frees. */
static uint8_t *pack(const uint8_t *data, size_t bytes, bool is_gzip, size_t *packed_bytes)
{
	size_t capacity = ZSTD_compressBound(bytes) + bytes / 2 + 4096;
	size_t cut = bytes ? next_random(&random_state) % bytes : 0;
	uint8_t *packed = malloc(capacity);
	int part;

	*packed_bytes = 0;
	for (part = 0; part < 2; part++) {
		const uint8_t *from = part ? data + cut : data;
		size_t length = part ? bytes - cut : cut;
		z_stream gzip = {0};

		if (!is_gzip) {
			*packed_bytes += ZSTD_compress(packed + *packed_bytes,
						       capacity - *packed_bytes, from, length, 1);
			continue;
		}
		assert_int_equal(deflateInit2(&gzip, 1, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY),
				 Z_OK);
		gzip.next_in = (uint8_t *)(uintptr_t)from;
		gzip.avail_in = (uInt)length;
		gzip.next_out = packed + *packed_bytes;
		gzip.avail_out = (uInt)(capacity - *packed_bytes);
		assert_int_equal(deflate(&gzip, Z_FINISH), Z_STREAM_END);
		*packed_bytes += gzip.total_out;
		deflateEnd(&gzip);
	}
	return packed;
}

static const char *find_corpus(void)
{
	const char *path = getenv("CAPWEIR_CORPUS");

	if (!path)
		path = CW_ROOT "/../shared/corpus";
	if (!access(path, R_OK))
		return path;
	printf("skipped: no corpus at %s (set CAPWEIR_CORPUS)\n", path);
	return NULL;
}

/* Call `check` for each file of the corpus; skips the test when there is none. */
static void for_corpus(void (*check)(const char *path, const char *name))
{
	const char *corpus = find_corpus();
	struct dirent *entry;
	size_t count = 0;
	char path[1024];
	DIR *list;

	if (!corpus)
		skip();
	list = opendir(corpus);
	assert_non_null(list);
	while ((entry = readdir(list))) {
		if (entry->d_name[0] == '.' || !strcmp(entry->d_name, "MANIFEST.tsv"))
			continue;
		snprintf(path, sizeof(path), "%s/%s", corpus, entry->d_name);
		check(path, entry->d_name);
		count++;
	}
	closedir(list);
	printf("%zu files\n", count);
	assert_true(count > 0);
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

/* libpcap's packets are ours, in order; and all of ours when it read to the end. */
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

/* A file of `count` records, numbered by their seconds: pcap of RECORD_BYTES each, or pcapng. */
static const char *make_large_of(const char *name, uint32_t count, bool is_pcapng)
{
	char *path = in_folder(name);
	FILE *stream = fopen(path, "wb");
	uint32_t i;

	assert_non_null(stream);
	image.is_swapped = 0;
	image.bytes = 0;
	if (is_pcapng) {
		put_shb(&image, 1, 0);
		put_idb(&image, 1, 0, (uint16_t[]){9, 1, 0, 0}, 8); /* whole seconds */
	} else {
		put_pcap_header(&image, 0xA1B23C4D, 2, 4, 65535, 1);
	}
	fwrite(image.data, 1, image.bytes, stream);
	for (i = 0; i < count; i++) {
		image.bytes = 0;
		if (is_pcapng)
			put_epb(&image, 0, i + 1, 100, 100, 100);
		else
			put_pcap_record(&image, i + 1, 9, 100, 100, 100);
		fwrite(image.data, 1, image.bytes, stream);
	}
	fclose(stream);
	return path;
}

static const char *make_large(const char *name, uint32_t count)
{
	return make_large_of(name, count, false);
}

/*
 * cmocka puts its own handler in place for each test, which a program does not do: the reader's,
 * once installed, is kept here and put back where it is needed.
 */
static struct sigaction handler;

/* A fault in a mapping that is not ours, in a child whose handler before ours was `before`. */
static void fault_in_a_foreign_mapping(void (*before)(int))
{
	struct cw_error error;
	struct cw_ifaces ifaces;
	struct cw_source *source;
	volatile uint8_t *foreign;
	int fd;

	signal(SIGBUS, before);
	cw_ifaces_init(&ifaces);
	if (cw_source_open(&source, in_folder("large"), &ifaces, &plain, &error))
		_exit(1);
	fd = open(in_folder("foreign"), O_CREAT | O_RDWR, 0600);
	if (fd < 0 || ftruncate(fd, 8192))
		_exit(2);
	foreign = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	if (foreign == MAP_FAILED || ftruncate(fd, 0))
		_exit(3);
	_exit(foreign[5000] == 0 ? 4 : 5);
}

static void leave_with_42(int number)
{
	(void)number;
	_exit(42);
}

static void foreign_bus_errors_go_where_they_went_before(void **state)
{
	struct seen_list list;
	pid_t child;
	int status;

	(void)state;
	make_large("large", 100);
	child = fork();
	if (!child)
		fault_in_a_foreign_mapping(leave_with_42);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 42);
	child = fork();
	if (!child)
		fault_in_a_foreign_mapping(SIG_DFL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	read_source(in_folder("large"), &plain, 1 << 18, &list);
	assert_int_equal(list.count, 100);
	seen_free(&list);
	assert_int_equal(sigaction(SIGBUS, NULL, &handler), 0);
}

/*
 * Read some spans, cut the file to `size_after` and read on: no record from beyond may come out,
 * every whole one before must, and the end says why.
 */
static void cut_underneath(bool is_pcapng, uint32_t spans_before, off_t size_after)
{
	const char *path = make_large_of("cut", 40000, is_pcapng);
	const size_t head = is_pcapng ? PCAPNG_HEAD_BYTES : 24;
	const size_t record = is_pcapng ? PCAPNG_RECORD_BYTES : RECORD_BYTES;
	struct cw_source_options options = plain;
	struct cw_error error = {0};
	struct cw_ifaces ifaces;
	struct cw_source *source;
	struct cw_packet packets[64];
	struct cw_lease lease;
	struct cw_span span;
	uint32_t next = 1, spans = 0;
	size_t count, i;
	int result;

	sigaction(SIGBUS, &handler, NULL);
	options.window_bytes = 1 << 20;
	cw_ifaces_init(&ifaces);
	assert_int_equal(cw_source_open(&source, path, &ifaces, &options, &error), 0);
	while ((result = cw_source_next(source, 50000, 9999, &span, &lease, &error)) == 1) {
		struct cw_cursor cursor = {0};
		size_t intact, end = 0;

		if (spans++ == spans_before)
			assert_int_equal(truncate(path, size_after), 0);
		while ((count = cw_span_decode(&span, &cursor, packets, 64)) > 0)
			for (i = 0; i < count; i++) {
				/* What was decoded is looked at before we know that it is intact.
				 */
				uint64_t seconds = packets[i].ts_ns / CW_NS_PER_S;
				uint8_t first = packets[i].caplen ? packets[i].data[0] : 0;

				end = (size_t)(packets[i].data - span.data) + packets[i].caplen;
				intact = cw_lease_intact_bytes(&lease, &span);
				if (end > intact)
					continue;
				assert_int_equal(seconds, next);
				assert_int_equal(first, (uint8_t)next);
				assert_int_equal(packets[i].caplen, 100);
				next++;
			}
		cw_lease_give_back(&lease);
	}
	assert_int_equal(result, -EBADMSG);
	assert_non_null(strstr(error.text, "truncated"));
	assert_int_equal(next - 1, ((size_t)size_after - head) / record);
	assert_int_equal(cw_source_next(source, 1, 1, &span, &lease, &error), -EBADMSG);
	cw_source_close(source);
	cw_ifaces_fini(&ifaces);
}

static void file_cut_underneath_gives_its_whole_records_and_an_error(void **state)
{
	int is_pcapng;

	(void)state;
	for (is_pcapng = 0; is_pcapng < 2; is_pcapng++) {
		off_t boundary = is_pcapng ? PCAPNG_HEAD_BYTES + 2000 * PCAPNG_RECORD_BYTES
					   : 24 + 2000 * RECORD_BYTES;

		cut_underneath(is_pcapng, 3, 1 << 20);          /* a page and a window boundary */
		cut_underneath(is_pcapng, 3, (1 << 20) + 4096); /* a page inside a window */
		cut_underneath(is_pcapng, 3, (1 << 19) + 1234); /* mid page, in the window read */
		cut_underneath(is_pcapng, 3, boundary);         /* between records */
		cut_underneath(is_pcapng, 3, 3 << 20);
		cut_underneath(is_pcapng, 25, (1 << 20) + (1 << 18) + 77);
	}
}

static void leased_memory_survives_a_cut_and_says_what_is_left(void **state)
{
	const char *path = make_large("cut", 40000);
	struct cw_error error = {0};
	struct cw_ifaces ifaces;
	struct cw_source *source;
	struct cw_lease lease;
	struct cw_span span;
	uint64_t sum = 0;
	size_t i;

	(void)state;
	sigaction(SIGBUS, &handler, NULL);
	cw_ifaces_init(&ifaces);
	assert_int_equal(cw_source_open(&source, path, &ifaces, &plain, &error), 0);
	assert_int_equal(cw_source_next(source, 4 << 20, 99999, &span, &lease, &error), 1);
	assert_int_equal(cw_lease_intact_bytes(&lease, &span), span.bytes);
	assert_int_equal(truncate(path, 10000), 0);
	for (i = 0; i < span.bytes; i++)
		sum += span.data[i];
	assert_true(sum > 0);
	assert_int_equal(span.data[span.bytes - 1], 0);
	assert_true(lease.window->is_damaged);
	assert_int_equal(cw_lease_intact_bytes(&lease, &span), 10000 - span.offset);
	/* grown again: what was zeros for us stays untrusted */
	assert_int_equal(truncate(path, 5 << 20), 0);
	assert_int_equal(cw_lease_intact_bytes(&lease, &span), 12288 - span.offset);
	cw_source_close(source);
	cw_lease_give_back(&lease);
	cw_ifaces_fini(&ifaces);
}

static void more_windows_than_allowed_are_refused_until_one_comes_back(void **state)
{
	const char *path = make_large("large", 10000);
	struct cw_lease leases[1000], lease;
	struct cw_source_options options = plain;
	struct cw_error error = {0};
	struct cw_ifaces ifaces;
	struct cw_source *source;
	struct cw_span span;
	size_t bytes, held, total;
	uint8_t *data;
	pid_t child;
	char name[32];
	int result, is_pipe, fd = -1;

	(void)state;
	data = read_file(path, &bytes);
	options.window_bytes = 8192;
	options.buffer_bytes = 8192;
	for (is_pipe = 0; is_pipe < 2; is_pipe++) {
		held = total = 0;
		if (is_pipe) {
			fd = feed_pipe(data, bytes, &child);
			snprintf(name, sizeof(name), "/dev/fd/%d", fd);
			path = name;
		}
		cw_ifaces_init(&ifaces);
		assert_int_equal(cw_source_open(&source, path, &ifaces, &options, &error), 0);
		do {
			result = cw_source_next(source, 4000, 20, &span, &lease, &error);
			if (result == 1) {
				assert_true(held < 1000);
				leases[held++] = lease;
				total += span.record_count;
			} else if (result == -EAGAIN) {
				assert_true(held >= 4);
				assert_int_equal(
				    cw_source_next(source, 4000, 20, &span, &lease, &error),
				    -EAGAIN);
				while (held)
					cw_lease_give_back(&leases[--held]);
			}
		} while (result == 1 || result == -EAGAIN);
		assert_int_equal(result, 0);
		assert_int_equal(total, 10000);
		cw_source_close(source); /* with leases out */
		while (held)
			cw_lease_give_back(&leases[--held]);
		cw_ifaces_fini(&ifaces);
		if (is_pipe) {
			close(fd);
			waitpid(child, NULL, 0);
		}
	}
	free(data);
}

/* Spans on their way from the reader to two threads that decode them and give them back. */
#define HANDED_MAX 64u
static struct {
	pthread_mutex_t lock;
	struct cw_span spans[HANDED_MAX];
	struct cw_lease leases[HANDED_MAX];
	uint32_t head, tail;
	bool is_over;
	uint64_t packets, seconds;
} handed = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void *give_back_leases(void *unused)
{
	(void)unused;
	for (;;) {
		struct cw_packet packets[64];
		struct cw_cursor cursor = {0};
		uint64_t total = 0, seconds = 0;
		struct cw_lease lease = {NULL};
		struct cw_span span;
		size_t count, i;
		bool is_over;

		pthread_mutex_lock(&handed.lock);
		is_over = handed.is_over;
		if (handed.head != handed.tail) {
			span = handed.spans[handed.head % HANDED_MAX];
			lease = handed.leases[handed.head % HANDED_MAX];
			handed.head++;
		}
		pthread_mutex_unlock(&handed.lock);
		if (!lease.window) {
			if (is_over)
				return NULL;
			sched_yield();
			continue;
		}
		while ((count = cw_span_decode(&span, &cursor, packets, 64)) > 0)
			for (i = 0; i < count; i++, total++)
				seconds += packets[i].ts_ns / CW_NS_PER_S + packets[i].data[5] -
					   (uint8_t)(packets[i].data[0] + 5);
		cw_lease_give_back(&lease);
		pthread_mutex_lock(&handed.lock);
		handed.packets += total;
		handed.seconds += seconds;
		pthread_mutex_unlock(&handed.lock);
	}
}

static void leases_come_back_from_any_thread(void **state)
{
	const uint32_t records = 20000;
	const char *path = make_large("large", records);
	struct cw_source_options options = plain;
	struct cw_error error = {0};
	struct cw_ifaces ifaces;
	struct cw_source *source;
	struct cw_lease lease;
	struct cw_span span;
	pthread_t threads[2];
	size_t bytes, i;
	uint8_t *data;
	pid_t child;
	char name[32];
	int result, is_pipe, fd = -1;

	(void)state;
	data = read_file(path, &bytes);
	options.window_bytes = options.buffer_bytes = 16384;
	for (is_pipe = 0; is_pipe < 2; is_pipe++) {
		if (is_pipe) {
			fd = feed_pipe(data, bytes, &child);
			snprintf(name, sizeof(name), "/dev/fd/%d", fd);
			path = name;
		}
		handed.packets = handed.seconds = 0;
		handed.is_over = false;
		cw_ifaces_init(&ifaces);
		assert_int_equal(cw_source_open(&source, path, &ifaces, &options, &error), 0);
		for (i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, give_back_leases, NULL),
					 0);
		while ((result = cw_source_next(source, 5000, 99, &span, &lease, &error)) != 0) {
			bool is_handed = result == -EAGAIN;

			assert_true(result == 1 || result == -EAGAIN);
			while (!is_handed) {
				pthread_mutex_lock(&handed.lock);
				is_handed = handed.tail - handed.head < HANDED_MAX;
				if (is_handed) {
					handed.spans[handed.tail % HANDED_MAX] = span;
					handed.leases[handed.tail % HANDED_MAX] = lease;
					handed.tail++;
				}
				pthread_mutex_unlock(&handed.lock);
			}
		}
		cw_source_close(source); /* while leases are still out */
		pthread_mutex_lock(&handed.lock);
		handed.is_over = true;
		pthread_mutex_unlock(&handed.lock);
		for (i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		cw_ifaces_fini(&ifaces);
		assert_int_equal(handed.packets, records);
		assert_int_equal(handed.seconds, (uint64_t)records * (records + 1) / 2);
		if (is_pipe) {
			close(fd);
			waitpid(child, NULL, 0);
		}
	}
	free(data);
}

static void wake_descriptor_ends_waiting(void **state)
{
	struct cw_source_options options = plain;
	struct cw_error error = {0};
	struct cw_ifaces ifaces;
	struct cw_source *source;
	struct cw_lease lease;
	struct cw_span span;
	uint64_t one = 1;
	char name[32];
	int ends[2];

	(void)state;
	options.wake_fd = eventfd(0, EFD_CLOEXEC);
	cw_ifaces_init(&ifaces);
	assert_int_equal(pipe(ends), 0);
	image.bytes = 0;
	put_pcap_header(&image, 0xA1B2C3D4, 2, 4, 65535, 1);
	assert_int_equal(write(ends[1], image.data, image.bytes), 24);
	snprintf(name, sizeof(name), "/dev/fd/%d", ends[0]);
	assert_int_equal(cw_source_open(&source, name, &ifaces, &options, &error), 0);
	assert_int_equal(write(options.wake_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(cw_source_next(source, 9999, 9, &span, &lease, &error), -EINTR);
	assert_int_equal(read(options.wake_fd, &one, sizeof(one)), sizeof(one));
	image.bytes = 0;
	put_pcap_record(&image, 1, 1, 4, 4, 4);
	assert_int_equal(write(ends[1], image.data, image.bytes), 20);
	close(ends[1]);
	assert_int_equal(cw_source_next(source, 9999, 9, &span, &lease, &error), 1); /* goes on */
	cw_lease_give_back(&lease);
	assert_int_equal(cw_source_next(source, 9999, 9, &span, &lease, &error), 0);
	cw_source_close(source);
	close(ends[0]);
	assert_int_equal(write(options.wake_fd, &one, sizeof(one)), sizeof(one));
	assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0); /* nobody will ever write */
	assert_int_equal(cw_source_open(&source, in_folder("fifo"), &ifaces, &options, &error),
			 -EINTR);
	assert_int_equal(cw_source_open(&source, make_large("large", 9), &ifaces, &options, &error),
			 0);
	assert_int_equal(cw_source_next(source, 9999, 9, &span, &lease, &error), -EINTR);
	cw_source_close(source);
	close(options.wake_fd);
	cw_ifaces_fini(&ifaces);
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

static void damaged_packed_data_gives_what_is_whole_and_an_error(void **state)
{
	size_t bytes, packed_bytes;
	uint8_t *data, *packed;
	struct seen_list list;
	int is_gzip;

	(void)state;
	data = read_file(make_large("large", 40000), &bytes);
	for (is_gzip = 0; is_gzip < 2; is_gzip++) {
		packed = pack(data, bytes, is_gzip, &packed_bytes);
		read_source(write_file("packed", packed, packed_bytes - 5), &plain, 1 << 18, &list);
		assert_int_equal(list.result, -EBADMSG);
		assert_true(list.count > 1000 && list.count <= 40000);
		assert_non_null(strstr(list.text, "cut short"));
		seen_free(&list);
		packed[packed_bytes - 9] ^= 0x55;
		packed[packed_bytes - 2000] ^= 0x55;
		read_source(write_file("packed", packed, packed_bytes), &plain, 1 << 18, &list);
		assert_int_equal(list.result, -EBADMSG);
		assert_true(list.count > 1000);
		seen_free(&list);
		free(packed);
	}
	packed = pack(data, bytes, true, &packed_bytes);
	packed = realloc(packed, packed_bytes + 700);
	memset(packed + packed_bytes, 0, 700); /* a tape's padding, say */
	read_source(write_file("packed", packed, packed_bytes + 700), &plain, 1 << 18, &list);
	assert_int_equal(list.result, 0);
	assert_int_equal(list.count, 40000);
	seen_free(&list);
	free(packed);
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
	pid_t child;
	int fd;

	(void)state;
	fd = feed_pipe(data, bytes, &child);
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	close(fd);
	read_source("-", &plain, 5000, &list);
	assert_int_equal(list.result, 0);
	assert_int_equal(list.count, 1000);
	seen_free(&list);
	waitpid(child, NULL, 0);
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

static int make_folder(void **state)
{
	const char *parent = getenv("TMPDIR");

	(void)state;
	snprintf(folder, sizeof(folder), "%.40s/capweir.XXXXXX", parent ? parent : "/tmp");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	struct dirent *entry;
	DIR *list = opendir(folder);

	(void)state;
	while (list && (entry = readdir(list)))
		if (entry->d_name[0] != '.')
			unlinkat(dirfd(list), entry->d_name, 0);
	if (list)
		closedir(list);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(foreign_bus_errors_go_where_they_went_before), /* first */
	    cmocka_unit_test(mapped_pipe_gzip_and_zstd_give_the_same_packets),
	    cmocka_unit_test(corpus_replays_through_the_fuzz_targets),
	    cmocka_unit_test(every_packet_is_as_libpcap_reads_it),
	    cmocka_unit_test(packet_counts_are_those_of_the_manifest),
	    cmocka_unit_test(file_cut_underneath_gives_its_whole_records_and_an_error),
	    cmocka_unit_test(leased_memory_survives_a_cut_and_says_what_is_left),
	    cmocka_unit_test(more_windows_than_allowed_are_refused_until_one_comes_back),
	    cmocka_unit_test(leases_come_back_from_any_thread),
	    cmocka_unit_test(wake_descriptor_ends_waiting),
	    cmocka_unit_test(giant_records_pass_through_small_windows_and_buffers),
	    cmocka_unit_test(damaged_packed_data_gives_what_is_whole_and_an_error),
	    cmocka_unit_test(what_cannot_be_opened_is_named),
	    cmocka_unit_test(facts_about_a_source_are_told),
	    cmocka_unit_test(standard_input_is_a_source),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
