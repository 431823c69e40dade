/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dumpers, the list of devices and the texts of the public library. What libpcap's pcap_dump writes
 * of the same packets is what is expected, byte for byte; and where writing fails, that it is told,
 * and that the file ends with a whole record.
 */
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <capweir/capweir.h>

#include "core/base/base.h"
#include "datasets/traffic.h"
#include "tests/rig/capture.h"

#define PACKETS 3000u

static char folder[] = "/tmp/capweir-dumper-XXXXXX";
static char ours[128], theirs[128];

/* ---- calls that tests let fail ---- */

static int failing_write;         /* countdown: the write that fails; 0: none */
static int failing_code;          /* with this; 0: it writes a part, and the next one fails */
static ssize_t failing_part = -1; /* so much; -1: half */
static int failing_close;

ssize_t __real_write(int fd, const void *data, size_t bytes);
ssize_t __wrap_write(int fd, const void *data, size_t bytes);
int __real_close(int fd);
int __wrap_close(int fd);

ssize_t __wrap_write(int fd, const void *data, size_t bytes)
{
	if (!failing_write || --failing_write)
		return __real_write(fd, data, bytes);
	if (!failing_code) {
		failing_write = 1; /* the next one fails */
		failing_code = ENOSPC;
		return __real_write(fd, data, failing_part < 0 ? bytes / 2 : (size_t)failing_part);
	}
	errno = failing_code;
	return -1;
}

int __wrap_close(int fd)
{
	int result = __real_close(fd);

	if (!failing_close)
		return result;
	errno = failing_close;
	failing_close = 0;
	return -1;
}

/* ---- */

static int make_folder(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (!mkdtemp(folder))
		return -1;
	snprintf(ours, sizeof(ours), "%s/ours", folder);
	snprintf(theirs, sizeof(theirs), "%s/theirs", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(ours);
	unlink(theirs);
	return rmdir(folder);
}

static uint8_t *read_all(const char *path, size_t *bytes)
{
	FILE *file = fopen(path, "rb");
	uint8_t *data;
	struct stat status;

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &status), 0);
	*bytes = (size_t)status.st_size;
	data = malloc(*bytes + 1);
	assert_int_equal(fread(data, 1, *bytes, file), *bytes);
	fclose(file);
	return data;
}

static void expect_same_files(void)
{
	size_t bytes[2];
	uint8_t *data[2] = {read_all(ours, &bytes[0]), read_all(theirs, &bytes[1])};

	assert_int_equal(bytes[0], bytes[1]);
	assert_memory_equal(data[0], data[1], bytes[0]);
	free(data[0]);
	free(data[1]);
}

/* Write generated packets; what the first failure was, of whatever call. */
static int dump_traffic(struct cw_dumper *dumper, uint32_t count, pcap_dumper_t *other, bool is_ns)
{
	struct cw_traffic *traffic;
	struct cw_packet packet;
	int result = 0;

	assert_int_equal(cw_traffic_open(&traffic, "mix", 3, NULL), 0);
	for (uint32_t i = 0; i < count && result == 0; i++) {
		struct pcap_pkthdr header;

		cw_traffic_next(traffic, &packet);
		packet.iface = 0;
		result = cw_dumper_write(dumper, &packet);
		if (!other)
			continue;
		header.ts.tv_sec = (time_t)(packet.ts_ns / CW_NS_PER_S);
		header.ts.tv_usec = (suseconds_t)(packet.ts_ns % CW_NS_PER_S / (is_ns ? 1 : 1000));
		header.caplen = packet.caplen < 256 ? packet.caplen : 256; /* the handle's */
		header.len = packet.wire_len;
		pcap_dump((u_char *)other, &header, packet.data);
	}
	cw_traffic_close(traffic);
	return result;
}

static void files_are_those_of_pcap_dump(void **state)
{
	(void)state;
	for (int is_ns = 0; is_ns < 2; is_ns++) {
		pcap_t *dead = pcap_open_dead_with_tstamp_precision(
		    DLT_EN10MB, 256,
		    is_ns ? PCAP_TSTAMP_PRECISION_NANO : PCAP_TSTAMP_PRECISION_MICRO);
		pcap_dumper_t *other = pcap_dump_open(dead, theirs);
		struct cw_handle *handle;
		struct cw_dumper *dumper;
		struct stat status;

		assert_int_equal(cw_handle_open_dead(&handle, CW_LINKTYPE_ETHERNET, 256, NULL), 0);
		assert_int_equal(cw_dumper_open(&dumper, handle, ours,
						is_ns ? CW_DUMPER_PCAP : CW_DUMPER_PCAP_US, NULL),
				 0);
		assert_int_equal(stat(ours, &status), 0);
		assert_int_equal(status.st_size, 24); /* the header is there at once */
		assert_int_equal(dump_traffic(dumper, PACKETS, other, is_ns), 0);
		assert_int_equal(cw_dumper_flush(dumper), 0);
		pcap_dump_flush(other);
		expect_same_files();
		assert_int_equal(cw_dumper_close(dumper), 0);
		pcap_dump_close(other);
		pcap_close(dead);
		expect_same_files();
		cw_handle_free(handle);
	}
}

static uint32_t count_by_libpcap(const char *path)
{
	char text[PCAP_ERRBUF_SIZE];
	pcap_t *pcap = pcap_open_offline(path, text);
	struct pcap_pkthdr *header;
	const u_char *data;
	uint32_t count = 0;
	int result;

	assert_non_null(pcap);
	while ((result = pcap_next_ex(pcap, &header, &data)) == 1)
		count++;
	assert_int_equal(result, PCAP_ERROR_BREAK);
	pcap_close(pcap);
	return count;
}

/* What a handle reads of the file is what was written: names of interfaces and times too. */
static void a_round_trip_keeps_packets(void **state)
{
	static const enum cw_dumper_format formats[] = {CW_DUMPER_PCAP, CW_DUMPER_PCAP_NS,
							CW_DUMPER_PCAPNG};

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(formats); i++) {
		struct cw_handle *first, *second, *dead;
		struct cw_packet packet, again;
		struct cw_dumper *dumper;
		uint32_t count = 0;

		assert_int_equal(cw_handle_open_dead(&dead, CW_LINKTYPE_ETHERNET, 0, NULL), 0);
		assert_int_equal(cw_dumper_open(&dumper, dead, theirs, formats[i], NULL), 0);
		assert_int_equal(dump_traffic(dumper, PACKETS, NULL, true), 0);
		assert_int_equal(cw_dumper_close(dumper), 0);
		cw_handle_free(dead);
		assert_int_equal(cw_handle_open_offline(&first, theirs, NULL), 0);
		assert_int_equal(cw_dumper_open(&dumper, first, ours, formats[i], NULL), 0);
		while (cw_handle_next(first, &packet) == CW_NEXT_OK)
			assert_int_equal(cw_dumper_write(dumper, &packet), 0);
		assert_int_equal(cw_dumper_close(dumper), 0);
		cw_handle_free(first);
		expect_same_files();
		assert_int_equal(cw_handle_open_offline(&first, theirs, NULL), 0);
		assert_int_equal(cw_handle_open_offline(&second, ours, NULL), 0);
		while (cw_handle_next(first, &packet) == CW_NEXT_OK) {
			assert_int_equal(cw_handle_next(second, &again), CW_NEXT_OK);
			assert_int_equal(packet.ts_ns, again.ts_ns);
			assert_int_equal(packet.wire_len, again.wire_len);
			assert_int_equal(packet.caplen, again.caplen);
			assert_memory_equal(packet.data, again.data, packet.caplen);
			count++;
		}
		assert_int_equal(count, PACKETS);
		assert_int_equal(count_by_libpcap(ours), PACKETS);
		assert_int_equal(cw_handle_next(second, &again), CW_NEXT_END);
		cw_handle_free(first);
		cw_handle_free(second);
	}
}

/* The link field of the file `ours`. */
static uint32_t link_field(void)
{
	size_t bytes;
	uint8_t *data = read_all(ours, &bytes);
	uint32_t field;

	assert_true(bytes >= 24);
	field = cw_load_u32(data + 20, 0);
	free(data);
	return field;
}

static void the_header_has_the_canonical_link_type_and_the_fcs_length(void **state)
{
	static const uint32_t fields[][2] = {{12, 101}, {0x44000001, 0x44000001}, {1, 1}};
	struct cw_handle *handle;
	struct cw_dumper *dumper;

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(fields); i++) {
		const uint32_t header[] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, fields[i][0]};
		FILE *file = fopen(theirs, "wb");

		assert_int_equal(fwrite(header, sizeof(header), 1, file), 1);
		fclose(file);
		assert_int_equal(cw_handle_open_offline(&handle, theirs, NULL), 0);
		assert_int_equal(cw_handle_linktype(handle), fields[i][1] & UINT16_MAX);
		assert_int_equal(cw_dumper_open(&dumper, handle, ours, CW_DUMPER_PCAP, NULL), 0);
		assert_int_equal(cw_dumper_close(dumper), 0);
		cw_handle_free(handle);
		assert_int_equal(link_field(), fields[i][1]);
	}
	assert_int_equal(cw_handle_open_dead(&handle, 12, 0, NULL), 0);
	assert_int_equal(cw_handle_linktype(handle), CW_LINKTYPE_RAW);
	cw_handle_free(handle);
	assert_int_equal(
	    cw_dumper_open_fd(&dumper, open(ours, O_WRONLY | O_TRUNC), 12, 0, CW_DUMPER_PCAP, NULL),
	    0);
	assert_int_equal(cw_dumper_close(dumper), 0);
	assert_int_equal(link_field(), CW_LINKTYPE_RAW);
}

/* The second interface has longer packets than the first one's snapshot length. */
static void packets_of_later_interfaces_are_written_whole(void **state)
{
	static struct image image;
	struct cw_packet packet;
	struct cw_handle *handle;
	struct cw_dumper *dumper;
	size_t bytes;
	uint8_t *data;
	FILE *file = fopen(theirs, "wb");

	(void)state;
	put_shb(&image, 1, 0);
	put_idb(&image, 1, 64, NULL, 0);
	put_epb(&image, 0, 1, 44, 44, 44);
	put_idb(&image, 1, 1500, NULL, 0);
	put_epb(&image, 1, 2, 1042, 1042, 1042);
	assert_int_equal(fwrite(image.data, image.bytes, 1, file), 1);
	fclose(file);
	assert_int_equal(cw_handle_open_offline(&handle, theirs, NULL), 0);
	assert_int_equal(cw_dumper_open(&dumper, handle, ours, CW_DUMPER_PCAP, NULL), 0);
	while (cw_handle_next(handle, &packet) == CW_NEXT_OK)
		assert_int_equal(cw_dumper_write(dumper, &packet), 0);
	assert_int_equal(cw_dumper_close(dumper), 0);
	cw_handle_free(handle);
	data = read_all(ours, &bytes);
	assert_int_equal(bytes, 24 + 16 + 44 + 16 + 1042);
	assert_int_equal(cw_load_u32(data + 16, 0), CW_CAPLEN_MAX);
	free(data);
}

static void what_no_file_can_hold_is_refused(void **state)
{
	struct cw_packet packet = {.data = (const uint8_t *)"x", .caplen = 1, .wire_len = 1};
	struct cw_error error = {0};
	struct cw_dumper *dumper = (void *)1;
	struct cw_handle *handle;

	(void)state;
	assert_int_equal(cw_handle_create(&handle, "nowhere0", NULL), 0);
	assert_int_equal(cw_dumper_open(&dumper, handle, ours, CW_DUMPER_PCAP, &error),
			 CW_NOT_ACTIVATED);
	assert_null(dumper);
	cw_handle_free(handle);
	assert_int_equal(cw_handle_open_dead(&handle, 70000, 0, NULL), 0);
	assert_int_equal(cw_dumper_open(&dumper, handle, ours, CW_DUMPER_PCAP, &error), -EINVAL);
	cw_handle_free(handle);
	assert_int_equal(cw_handle_open_dead(&handle, 1, 0, NULL), 0);
	assert_int_equal(cw_dumper_open(&dumper, handle, "/nowhere/x", CW_DUMPER_PCAP, &error),
			 -ENOENT);
	assert_non_null(strstr(error.text, "/nowhere/x"));
	assert_int_equal(cw_dumper_open(&dumper, handle, ours, (enum cw_dumper_format)9, &error),
			 -EINVAL);
	assert_int_equal(cw_dumper_open(&dumper, handle, ours, CW_DUMPER_PCAP, NULL), 0);
	packet.ts_ns = (UINT64_C(1) << 32) * CW_NS_PER_S; /* 2106 and later */
	assert_int_equal(cw_dumper_write(dumper, &packet), -ERANGE);
	packet.ts_ns = 0;
	packet.data = NULL;
	assert_int_equal(cw_dumper_write(dumper, &packet), -EINVAL);
	packet.caplen = 0;
	assert_int_equal(cw_dumper_write(dumper, &packet), 0); /* what is refused leaves no mark */
	assert_int_equal(cw_dumper_close(dumper), 0);
	assert_int_equal(cw_dumper_close(NULL), 0);
	assert_int_equal(cw_dumper_open_fd(&dumper, -1, 1, 0, CW_DUMPER_PCAP, &error), -EBADF);
	assert_null(dumper);
	cw_handle_free(handle);
}

/* ---- failures ---- */

/* The packets of the file, which ends with a whole record. */
static uint32_t count_whole(const char *path)
{
	struct cw_handle *handle;
	struct cw_packet packet;
	uint32_t count = 0;

	assert_int_equal(cw_handle_open_offline(&handle, path, NULL), 0);
	while (cw_handle_next(handle, &packet) == CW_NEXT_OK)
		count++;
	assert_int_equal(cw_handle_next(handle, &packet), CW_NEXT_END);
	cw_handle_free(handle);
	return count;
}

static struct cw_dumper *open_ours(enum cw_dumper_format format)
{
	struct cw_dumper *dumper;
	int fd = open(ours, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(cw_dumper_open_fd(&dumper, fd, 1, 0, format, NULL), 0);
	return dumper;
}

/* Whichever call meets it, the failure is told, and by every call after it. */
static void expect_failure(struct cw_dumper *dumper, int code)
{
	const struct cw_packet packet = {.data = (const uint8_t *)"x", .caplen = 1, .wire_len = 1};
	int result = dump_traffic(dumper, PACKETS, NULL, true);

	if (result == 0)
		result = cw_dumper_flush(dumper);
	assert_int_equal(result, code);
	assert_int_equal(cw_dumper_write(dumper, &packet), code);
	assert_int_equal(cw_dumper_flush(dumper), code);
	assert_int_equal(cw_dumper_close(dumper), code);
}

static void failing_writes_are_told_and_cut_to_whole_records(void **state)
{
	static const enum cw_dumper_format formats[] = {CW_DUMPER_PCAP_US, CW_DUMPER_PCAPNG};
	static const int codes[] = {EIO, ENOSPC, EDQUOT, 0};
	uint32_t counts[4];

	(void)state;
	for (size_t i = 0; i < CW_ARRAY_COUNT(formats); i++) {
		for (size_t k = 0; k < CW_ARRAY_COUNT(codes); k++) {
			struct cw_dumper *dumper = open_ours(formats[i]);

			failing_write = 3;
			failing_code = codes[k];
			expect_failure(dumper, codes[k] ? -codes[k] : -ENOSPC);
			failing_write = 0;
			counts[k] = count_whole(ours);
			assert_in_range(counts[k], 100, PACKETS - 1);
		}
		assert_true(counts[3] > counts[0] + 20); /* half a buffer more */
	}
	for (failing_part = 1; failing_part < 30; failing_part += 7) { /* not even the header */
		struct cw_dumper *dumper = open_ours(CW_DUMPER_PCAP_US);
		struct stat status;

		assert_int_equal(dump_traffic(dumper, 3, NULL, true), 0);
		failing_write = 1;
		failing_code = 0;
		assert_int_equal(cw_dumper_flush(dumper), -ENOSPC);
		assert_int_equal(cw_dumper_close(dumper), -ENOSPC);
		assert_int_equal(stat(ours, &status), 0);
		assert_int_equal(status.st_size, failing_part < 24 ? 0 : 24);
	}
	failing_write = 0;
	failing_part = -1;
}

/* What was in the file before the dumper came stays, wherever the descriptor stands. */
static void what_was_there_is_not_cut(void **state)
{
	static const char before[] = "0123456789";
	struct cw_dumper *dumper;
	uint8_t *data;
	size_t bytes;

	(void)state;
	for (int is_append = 0; is_append < 2; is_append++) {
		int fd = open(ours, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

		assert_int_equal(__real_write(fd, before, 10), 10);
		if (is_append) {
			close(fd);
			fd = open(ours, O_WRONLY | O_APPEND | O_CLOEXEC);
		}
		assert_int_equal(cw_dumper_open_fd(&dumper, fd, 1, 0, CW_DUMPER_PCAP, NULL), 0);
		assert_int_equal(dump_traffic(dumper, 3, NULL, true), 0);
		failing_write = 1;
		failing_code = 0;
		failing_part = 30;
		assert_int_equal(cw_dumper_close(dumper), -ENOSPC);
		failing_part = -1;
		failing_write = 0;
		data = read_all(ours, &bytes);
		assert_int_equal(bytes, 10 + 24);
		assert_memory_equal(data, before, 10);
		free(data);
	}
}

static void a_failing_close_is_told(void **state)
{
	struct cw_dumper *dumper = open_ours(CW_DUMPER_PCAP);

	(void)state;
	assert_int_equal(dump_traffic(dumper, 10, NULL, true), 0);
	failing_close = EIO;
	assert_int_equal(cw_dumper_close(dumper), -EIO);
	assert_int_equal(count_whole(ours), 10);
}

static void a_full_device_and_a_closed_pipe_are_told(void **state)
{
	struct cw_dumper *dumper;
	struct cw_handle *handle;
	int ends[2];

	(void)state;
	assert_int_equal(cw_handle_open_dead(&handle, 1, 0, NULL), 0);
	assert_int_equal(cw_dumper_open(&dumper, handle, "/dev/full", CW_DUMPER_PCAP, NULL),
			 -ENOSPC);
	cw_handle_free(handle);
	assert_int_equal(
	    cw_dumper_open_fd(&dumper, open("/dev/full", O_WRONLY), 1, 0, CW_DUMPER_PCAP, NULL), 0);
	expect_failure(dumper, -ENOSPC);
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	assert_int_equal(cw_dumper_open_fd(&dumper, ends[1], 1, 0, CW_DUMPER_PCAP, NULL), 0);
	expect_failure(dumper, -EPIPE);
}

static void a_limit_on_files_is_told(void **state)
{
	struct rlimit limit, before;
	struct cw_dumper *dumper = open_ours(CW_DUMPER_PCAP);

	(void)state;
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = 400000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	expect_failure(dumper, -EFBIG);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_in_range(count_whole(ours), 100, PACKETS - 1);
}

static void a_full_disk_is_told(void **state)
{
	char disk[sizeof(folder) + 8], file[sizeof(ours)];
	struct cw_dumper *dumper;

	(void)state;
	snprintf(disk, sizeof(disk), "%s/disk", folder);
	assert_int_equal(mkdir(disk, 0700), 0);
	if (mount("capweir", disk, "tmpfs", 0, "size=400k")) {
		print_message("skipped: mounting a tmpfs needs root: %s\n", strerror(errno));
		rmdir(disk);
		skip();
	}
	memcpy(file, ours, sizeof(file));
	snprintf(ours, sizeof(ours), "%s/full", disk);
	dumper = open_ours(CW_DUMPER_PCAP);
	expect_failure(dumper, -ENOSPC);
	assert_in_range(count_whole(ours), 100, PACKETS - 1);
	memcpy(ours, file, sizeof(file));
	assert_int_equal(umount(disk), 0);
	rmdir(disk);
}

/* ---- devices, texts ---- */

static void devices_are_those_of_libpcap(void **state)
{
	char text[PCAP_ERRBUF_SIZE];
	struct cw_device *devices;
	pcap_if_t *list;
	const pcap_if_t *each;
	size_t count, i = 0;

	(void)state;
	assert_int_equal(cw_devices_list(&devices, &count, NULL), 0);
	assert_int_equal(pcap_findalldevs(&list, text), 0);
	for (each = list; each; each = each->next, i++) {
		uint32_t addresses = 0;

		assert_true(i < count);
		assert_string_equal(devices[i].name, each->name);
		assert_int_equal(!devices[i].description, !each->description);
		assert_int_equal(!(devices[i].flags & CW_DEVICE_LOOPBACK),
				 !(each->flags & PCAP_IF_LOOPBACK));
		assert_int_equal(!(devices[i].flags & CW_DEVICE_UP), !(each->flags & PCAP_IF_UP));
		for (const pcap_addr_t *address = each->addresses; address;
		     address = address->next) {
			const struct cw_device_address *our = &devices[i].addresses[addresses++];

			assert_int_equal(!our->address, !address->addr);
			assert_int_equal(!our->netmask, !address->netmask);
			assert_int_equal(!our->broadcast, !address->broadaddr);
			assert_int_equal(!our->peer, !address->dstaddr);
			if (our->address)
				assert_int_equal(our->address->sa_family, address->addr->sa_family);
		}
		assert_int_equal(addresses, devices[i].address_count);
	}
	assert_int_equal(i, count);
	pcap_freealldevs(list);
	cw_devices_free(devices);
	cw_devices_free(NULL);
}

static void every_code_has_words(void **state)
{
	char buffer[32];

	(void)state;
	for (int code = CW_CLOSED; code <= CW_NOT_ACTIVATED; code++)
		assert_true(strlen(cw_code_text(code)) > 10);
	assert_string_equal(cw_code_text(-ENOSPC), strerror(ENOSPC));
	assert_string_equal(cw_code_text(-20000), "no such code");
	assert_string_equal(cw_code_text(5), "no such code");
	assert_non_null(strstr(cw_libpcap_version(), "libpcap"));
	assert_string_equal(cw_version(), CW_VERSION);
	assert_string_equal(cw_linktype_description(1), "Ethernet");
	assert_string_equal(cw_linktype_description(64000), "");
	assert_string_equal(cw_linktype_name(276, buffer, sizeof(buffer)), "LINUX_SLL2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(files_are_those_of_pcap_dump),
	    cmocka_unit_test(a_round_trip_keeps_packets),
	    cmocka_unit_test(the_header_has_the_canonical_link_type_and_the_fcs_length),
	    cmocka_unit_test(packets_of_later_interfaces_are_written_whole),
	    cmocka_unit_test(what_no_file_can_hold_is_refused),
	    cmocka_unit_test(failing_writes_are_told_and_cut_to_whole_records),
	    cmocka_unit_test(what_was_there_is_not_cut),
	    cmocka_unit_test(a_failing_close_is_told),
	    cmocka_unit_test(a_full_device_and_a_closed_pipe_are_told),
	    cmocka_unit_test(a_limit_on_files_is_told),
	    cmocka_unit_test(devices_are_those_of_libpcap),
	    cmocka_unit_test(every_code_has_words),
	    cmocka_unit_test(a_full_disk_is_told),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
