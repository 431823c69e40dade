/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sources: windows on files and pipes, leased and given back by anybody, cut underneath, waited
 * for; bus errors of others.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/core/source/source_rig.h"

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
	pid_t child = 0;
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
	struct feeder feeder;
	char name[32];
	int result, is_pipe;

	(void)state;
	data = read_file(path, &bytes);
	options.window_bytes = 8192;
	options.buffer_bytes = 8192;
	for (is_pipe = 0; is_pipe < 2; is_pipe++) {
		held = total = 0;
		if (is_pipe) {
			snprintf(name, sizeof(name), "/dev/fd/%d",
				 start_feed(&feeder, data, bytes, false));
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
		if (is_pipe)
			end_feed(&feeder);
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

/* Hand it over as soon as there is room. */
static void hand_over(const struct cw_span *span, const struct cw_lease *lease)
{
	bool is_handed = false;

	while (!is_handed) {
		pthread_mutex_lock(&handed.lock);
		is_handed = handed.tail - handed.head < HANDED_MAX;
		if (is_handed) {
			handed.spans[handed.tail % HANDED_MAX] = *span;
			handed.leases[handed.tail % HANDED_MAX] = *lease;
			handed.tail++;
		}
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
	struct feeder feeder;
	char name[32];
	int result, is_pipe;

	(void)state;
	data = read_file(path, &bytes);
	options.window_bytes = options.buffer_bytes = 16384;
	for (is_pipe = 0; is_pipe < 2; is_pipe++) {
		if (is_pipe) {
			snprintf(name, sizeof(name), "/dev/fd/%d",
				 start_feed(&feeder, data, bytes, false));
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
			assert_true(result == 1 || result == -EAGAIN);
			if (result == 1)
				hand_over(&span, &lease);
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
		if (is_pipe)
			end_feed(&feeder);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(foreign_bus_errors_go_where_they_went_before), /* first */
	    cmocka_unit_test(file_cut_underneath_gives_its_whole_records_and_an_error),
	    cmocka_unit_test(leased_memory_survives_a_cut_and_says_what_is_left),
	    cmocka_unit_test(more_windows_than_allowed_are_refused_until_one_comes_back),
	    cmocka_unit_test(leases_come_back_from_any_thread),
	    cmocka_unit_test(wake_descriptor_ends_waiting),
	};

	printf("seed %llu\n", (unsigned long long)SEED);
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
