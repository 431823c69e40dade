/* SPDX-License-Identifier: BSD-3-Clause */
/* Clients of the metrics server that never finish their request: their time is limited. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/rig/run_tests.h"
#include "tools/process/metrics.h"

#define PLACES 16u
#define ROUNDS 1000u /* of serving, until an answer must have come */

/* ---- the clock ---- */

static time_t clock_s = 1000;

int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	(void)clock;
	*now = (struct timespec){.tv_sec = clock_s};
	return 0;
}

/* ---- clients ---- */

static struct cw_metrics *metrics;

static int client_of(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(sscanf(cw_metrics_address(metrics), "%*[0-9.]:%hu", &address.sin_port), 1);
	address.sin_port = htons(address.sin_port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Serves until the client is answered or its connection ends, at most ROUNDS times. Returns bytes,
 * 0 at the end, or -1 for neither. */
static ssize_t wait_for(int fd, char *text, size_t room)
{
	for (uint32_t round = 0; round < ROUNDS; round++) {
		ssize_t got = recv(fd, text, room, MSG_DONTWAIT);

		if (got >= 0 || errno == ECONNRESET)
			return got > 0 ? got : 0;
		assert_int_equal(errno, EAGAIN);
		cw_metrics_serve(metrics, NULL);
	}
	return -1;
}

/* Waits for the whole answer, which has a line that ends so. */
static void wait_answer(int fd, const char *status, const char *end)
{
	char text[4096];
	size_t used = 0;

	do {
		ssize_t got = wait_for(fd, text + used, sizeof(text) - 1 - used);

		assert_true(got > 0);
		used += (size_t)got;
		text[used] = '\0';
	} while (!strstr(text, end));
	assert_contains(text, status);
}

/* There is no capture to measure. */
static void wait_answered(int fd)
{
	wait_answer(fd, "HTTP/1.1 503", "not running\n");
}

static void slow_requests_end_and_others_are_answered(void **state)
{
	struct cw_error error = {0};
	int slow[PLACES], next;
	char text[4096];

	(void)state;
	assert_int_equal(cw_metrics_open(&metrics, "0", &error), 0);
	for (uint32_t index = 0; index < PLACES; index++) {
		slow[index] = client_of();
		say(slow[index], "G");
	}
	next = client_of();
	say(next, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
	for (uint32_t index = 0; index < PLACES; index++)
		assert_int_equal(wait_for(slow[index], text, sizeof(text)), -1);
	assert_int_equal(wait_for(next, text, sizeof(text)), -1);
	clock_s += 19;
	for (uint32_t index = 0; index < PLACES; index++) {
		say(slow[index], "E"); /* not idle: libmicrohttpd would wait for ever */
		assert_int_equal(wait_for(slow[index], text, sizeof(text)), -1);
	}
	clock_s += 2;
	wait_answered(next);
	for (uint32_t index = 0; index < PLACES; index++) {
		assert_int_equal(wait_for(slow[index], text, sizeof(text)), 0);
		close(slow[index]);
	}
	/* The time begins anew with each answer. */
	clock_s += 15;
	say(next, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
	wait_answered(next);
	clock_s += 15;
	say(next, "G");
	assert_int_equal(wait_for(next, text, sizeof(text)), -1);
	clock_s += 6;
	assert_int_equal(wait_for(next, text, sizeof(text)), 0);
	close(next);
	cw_metrics_close(metrics);
}

static void only_addresses_and_localhost_name_a_loopback_server(void **state)
{
	static const struct {
		const char *host;
		bool is_ours;
	} cases[] = {
	    {"127.0.0.1:9100", true},
	    {"127.0.0.1", true},
	    {"192.0.2.1:80", true},
	    {"localhost:9100", true},
	    {"LocalHost", true},
	    {"[::1]:9100", true},
	    {"page.example", false},
	    {"localhost.example:9100", false},
	    {"127.0.0.1.page", false},
	    {"[page]", false},
	    {"", false},
	    {"a-name-that-is-longer-than-every-address.example", false},
	};
	struct cw_error error = {0};
	char request[256];

	(void)state;
	assert_int_equal(cw_metrics_open(&metrics, "0", &error), 0);
	for (size_t index = 0; index < CW_ARRAY_COUNT(cases); index++) {
		int fd = client_of();

		snprintf(request, sizeof(request), "GET /metrics HTTP/1.1\r\nHost: %s\r\n\r\n",
			 cases[index].host);
		say(fd, request);
		if (cases[index].is_ours)
			wait_answered(fd);
		else
			wait_answer(fd, "HTTP/1.1 403", "host's name\n");
		close(fd);
	}
	cw_metrics_close(metrics);
}

static void a_server_at_another_address_has_any_name(void **state)
{
	struct cw_error error = {0};
	int fd;

	(void)state;
	assert_int_equal(cw_metrics_open(&metrics, "0.0.0.0:0", &error), 0);
	fd = client_of();
	say(fd, "GET /metrics HTTP/1.1\r\nHost: monitor.example\r\n\r\n");
	wait_answered(fd);
	close(fd);
	cw_metrics_close(metrics);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(slow_requests_end_and_others_are_answered),
	    cmocka_unit_test(only_addresses_and_localhost_name_a_loopback_server),
	    cmocka_unit_test(a_server_at_another_address_has_any_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
