/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Cost of a live packet for a program with capweir's library, compared with libpcap: each reads a
 * byte of every packet and keeps nothing.
 *
 *	live_read DEVICE handle|dispatch      until SIGINT or SIGTERM
 *
 * handle is cw_handle_next_burst, dispatch is pcap_dispatch; both with a kernel ring of 64 MiB.
 * Prints one line of JSON: packets received, and packets dropped by the kernel.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <pcap/pcap.h>

#include <capweir/capweir.h>

#define BURST 256
#define RING_BYTES (64 << 20)

static struct cw_handle *handle;
static pcap_t *pcap;
static uint64_t received, dropped;
static volatile uint32_t sum;

static void stop(int number)
{
	(void)number;
	if (handle)
		cw_handle_close(handle);
	if (pcap)
		pcap_breakloop(pcap);
}

static int fail(const char *text)
{
	fprintf(stderr, "live_read: %s\n", text);
	return 1;
}

static int read_handle(const char *device)
{
	struct cw_packet packets[BURST];
	struct cw_error error;
	struct cw_stats stats = {0};
	int count;

	if (cw_handle_open_live(&handle, device, 0, true, CW_TIMEOUT_NEVER, &error) < 0)
		return fail(error.text);
	fprintf(stderr, "listening\n");
	while ((count = cw_handle_next_burst(handle, packets, BURST)) > 0) {
		for (int i = 0; i < count; i++)
			sum += packets[i].data[packets[i].caplen / 2];
		received += (uint64_t)count;
	}
	if (cw_handle_stats(handle, &stats) == 0)
		dropped = stats.kernel_dropped;
	cw_handle_free(handle);
	return count == CW_NEXT_CLOSED ? 0 : fail(cw_next_text(count));
}

static void take(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
	(void)user;
	sum += data[header->caplen / 2];
	received++;
}

static int read_dispatch(const char *device)
{
	char text[PCAP_ERRBUF_SIZE];
	struct pcap_stat stats = {0};
	int result;

	pcap = pcap_create(device, text);
	if (!pcap)
		return fail(text);
	pcap_set_snaplen(pcap, CW_CAPLEN_MAX);
	pcap_set_buffer_size(pcap, RING_BYTES);
	pcap_set_timeout(pcap, 20);
	if (pcap_activate(pcap) < 0)
		return fail(pcap_geterr(pcap));
	fprintf(stderr, "listening\n");
	do {
		result = pcap_dispatch(pcap, -1, take, NULL);
	} while (result >= 0);
	if (pcap_stats(pcap, &stats) == 0)
		dropped = stats.ps_drop;
	pcap_close(pcap);
	return result == PCAP_ERROR_BREAK ? 0 : fail("reading failed");
}

int main(int argc, char **argv)
{
	bool is_handle = argc == 3 && strcmp(argv[2], "handle") == 0;
	int result;

	if (argc != 3 || (!is_handle && strcmp(argv[2], "dispatch") != 0)) {
		fprintf(stderr, "usage: live_read DEVICE handle|dispatch\n");
		return 2;
	}
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	result = is_handle ? read_handle(argv[1]) : read_dispatch(argv[1]);
	printf("{\"received\": %" PRIu64 ", \"kernel_dropped\": %" PRIu64 "}\n", received, dropped);
	return result;
}
