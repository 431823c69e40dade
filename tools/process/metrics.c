/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "core/base/base.h"
#include "core/base/clock.h"
#include "pipeline/control/metrics.h"
#include "tools/process/metrics.h"

#define CONNECTIONS_MAX 16u
#define CONNECTION_TIMEOUT_S 10u /* without a byte */
#define REQUEST_TIMEOUT_S 20u    /* from connecting or the answer before to the answer's end */
#define CONNECTION_BYTES ((size_t)16 << 10)
#define ADDRESS_BYTES (INET6_ADDRSTRLEN + 16)

struct client {
	int fd;          /* belongs to libmicrohttpd; -1: the place is free */
	uint64_t end_ns; /* CLOCK_MONOTONIC: the request has failed by then */
};

struct cw_metrics {
	struct MHD_Daemon *daemon;
	int fd;                       /* epoll descriptor of the daemon */
	struct cw_pipeline *pipeline; /* set during cw_metrics_serve */
	struct client clients[CONNECTIONS_MAX];
	char address[ADDRESS_BYTES];
	bool is_loopback; /* of the address */
};

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

/* ---- answering ---- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
			      const char *type, char *body, size_t bytes)
{
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(bytes, body, MHD_RESPMEM_MUST_COPY);
	enum MHD_Result result;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned int status, char *words)
{
	return answer(connection, status, "text/plain; charset=utf-8", words, strlen(words));
}

static enum MHD_Result answer_metrics(struct cw_metrics *metrics, struct MHD_Connection *connection)
{
	static char too_soon[] = "the capture is not running\n", no_memory[] = "out of memory\n";
	const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Accept");
	enum cw_metrics_format format = accept && strstr(accept, "application/openmetrics-text")
					    ? CW_METRICS_OPENMETRICS
					    : CW_METRICS_PROMETHEUS;
	struct cw_snapshot snapshot;
	enum MHD_Result result;
	char *body = NULL;
	size_t bytes = 0;
	FILE *file;
	int failure;

	if (!metrics->pipeline)
		return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, too_soon);
	file = open_memstream(&body, &bytes);
	failure = file ? cw_snapshot_take(metrics->pipeline, &snapshot) : -ENOMEM;
	if (failure == 0) {
		failure = cw_metrics_print(&snapshot, format, file);
		cw_snapshot_fini(&snapshot);
	}
	if (file && fclose(file) != 0)
		failure = -ENOMEM;
	result = failure < 0 ? refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, no_memory)
			     : answer(connection, MHD_HTTP_OK, cw_metrics_content_type(format),
				      body, bytes);
	free(body);
	return result;
}

/*
 * Returns whether the Host header may name this server. A page whose name is made to resolve to the
 * loopback address (DNS rebinding) would otherwise read the names of rules and interfaces. At other
 * addresses the server may have any name.
 */
static bool is_host_ours(const struct cw_metrics *metrics, struct MHD_Connection *connection)
{
	const char *host =
	    MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST);
	char name[INET6_ADDRSTRLEN];
	struct in6_addr address;
	bool is_six = host && host[0] == '[';
	size_t bytes;

	if (!metrics->is_loopback || !host)
		return true;
	host += is_six;
	bytes = strcspn(host, is_six ? "]" : ":");
	if (bytes >= sizeof(name))
		return false;
	memcpy(name, host, bytes);
	name[bytes] = '\0';
	return strcasecmp(name, "localhost") == 0 ||
	       inet_pton(is_six ? AF_INET6 : AF_INET, name, &address) == 1;
}

/* Callback of libmicrohttpd: the first call of a request has its head, later calls its body. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *data_bytes, void **request)
{
	static char nowhere[] = "not found: the path is /metrics\n",
		    otherwise[] = "method not allowed: use GET\n",
		    not_ours[] = "forbidden: use an IP address or localhost as the host's name\n";
	static int is_begun;

	(void)version;
	(void)data;
	if (!*request) {
		*request = &is_begun;
		return MHD_YES;
	}
	*data_bytes = 0; /* discard the body */
	if (!is_host_ours(context, connection))
		return refuse(connection, MHD_HTTP_FORBIDDEN, not_ours);
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, otherwise);
	if (strcmp(url, "/metrics") != 0)
		return refuse(connection, MHD_HTTP_NOT_FOUND, nowhere);
	return answer_metrics(context, connection);
}

/* ---- the time of a request ---- */

/*
 * libmicrohttpd only limits the time without a byte: clients that send a byte now and then would
 * hold all places for ever.
 */
static void begin_request(struct client *client)
{
	client->end_ns = cw_now_ns() + REQUEST_TIMEOUT_S * CW_NS_PER_S;
}

static void note_connection(void *context, struct MHD_Connection *connection, void **client,
			    enum MHD_ConnectionNotificationCode code)
{
	struct cw_metrics *metrics = context;
	struct client *place = *client;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (place)
			place->fd = -1;
		return;
	}
	for (uint32_t index = 0; index < CONNECTIONS_MAX && !place; index++) {
		if (metrics->clients[index].fd < 0)
			place = &metrics->clients[index];
	}
	*client = place;
	if (!place)
		return;
	place->fd =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	begin_request(place);
}

static void note_answered(void *context, struct MHD_Connection *connection, void **request,
			  enum MHD_RequestTerminationCode code)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	(void)context;
	(void)request;
	(void)code;
	if (info && info->socket_context)
		begin_request(info->socket_context);
}

/* Ends the connections of late requests; libmicrohttpd then closes them. */
static void end_late_requests(struct cw_metrics *metrics)
{
	uint64_t now_ns = cw_now_ns();

	for (uint32_t index = 0; index < CONNECTIONS_MAX; index++) {
		struct client *client = &metrics->clients[index];

		if (client->fd >= 0 && now_ns >= client->end_ns)
			shutdown(client->fd, SHUT_RDWR);
	}
}

/* ---- listening ---- */

static int bad_address(const char *at, struct cw_error *error)
{
	cw_error_set(error, -EINVAL,
		     "--metrics: '%.100s' is not [ADDRESS:]PORT: write 9100, 0.0.0.0:9100 or "
		     "[::1]:9100",
		     at);
	return -EINVAL;
}

/* Converts "[ADDRESS:]PORT" to a socket address. */
static int parse(const char *at, union address *address, socklen_t *bytes, struct cw_error *error)
{
	const char *colon = strrchr(at, ':');
	const char *digits = colon ? colon + 1 : at;
	size_t host_bytes = colon ? (size_t)(colon - at) : 0;
	bool is_six = colon && at[0] == '[' && colon[-1] == ']';
	char host[INET6_ADDRSTRLEN + 2] = "127.0.0.1";
	unsigned long port;
	char *end;

	port = strtoul(digits, &end, 10);
	if (!*digits || *end || digits[0] < '0' || digits[0] > '9' || port > UINT16_MAX ||
	    host_bytes >= sizeof(host) || (colon && host_bytes == 0))
		return bad_address(at, error);
	if (colon)
		snprintf(host, sizeof(host), "%.*s", (int)(host_bytes - (is_six ? 2 : 0)),
			 at + is_six);
	memset(address, 0, sizeof(*address));
	*bytes = is_six ? sizeof(address->six) : sizeof(address->four);
	address->any.sa_family = is_six ? AF_INET6 : AF_INET;
	address->four.sin_port = htons((uint16_t)port); /* same offset in sockaddr_in6 */
	if (inet_pton(address->any.sa_family, host,
		      is_six ? (void *)&address->six.sin6_addr : (void *)&address->four.sin_addr) !=
	    1)
		return bad_address(at, error);
	return 0;
}

/* Returns a listening socket or a negative errno. */
static int listen_at(const union address *address, socklen_t bytes)
{
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int yes = 1, code;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
	    bind(fd, &address->any, bytes) == 0 && listen(fd, (int)CONNECTIONS_MAX) == 0)
		return fd;
	code = -errno;
	close(fd);
	return code;
}

static void name_address(struct cw_metrics *metrics, int fd)
{
	union address address;
	socklen_t bytes = sizeof(address);
	char host[INET6_ADDRSTRLEN] = "";
	bool is_six;

	memset(&address, 0, sizeof(address));
	(void)getsockname(fd, &address.any, &bytes);
	is_six = address.any.sa_family == AF_INET6;
	metrics->is_loopback = is_six ? IN6_IS_ADDR_LOOPBACK(&address.six.sin6_addr)
				      : ntohl(address.four.sin_addr.s_addr) >> 24 == 127;
	inet_ntop(address.any.sa_family,
		  is_six ? (void *)&address.six.sin6_addr : (void *)&address.four.sin_addr, host,
		  sizeof(host));
	snprintf(metrics->address, sizeof(metrics->address), is_six ? "[%s]:%u" : "%s:%u", host,
		 ntohs(address.four.sin_port));
}

int cw_metrics_open(struct cw_metrics **result, const char *at, struct cw_error *error)
{
	union address address;
	struct cw_metrics *metrics;
	const union MHD_DaemonInfo *info;
	socklen_t bytes = 0;
	int fd, failure = parse(at, &address, &bytes, error);

	*result = NULL;
	if (failure < 0)
		return failure;
	metrics = calloc(1, sizeof(*metrics));
	if (!metrics)
		return cw_error_set(error, -ENOMEM, "out of memory for the metrics server");
	fd = listen_at(&address, bytes);
	if (fd < 0) {
		free(metrics);
		return cw_error_set_errno(error, fd, "--metrics: cannot listen at %.100s", at);
	}
	for (uint32_t index = 0; index < CONNECTIONS_MAX; index++)
		metrics->clients[index].fd = -1;
	name_address(metrics, fd);
	metrics->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL, 0, NULL, NULL, handle, metrics, MHD_OPTION_LISTEN_SOCKET, fd,
	    MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
	    CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES,
	    MHD_OPTION_NOTIFY_CONNECTION, note_connection, metrics, MHD_OPTION_NOTIFY_COMPLETED,
	    note_answered, NULL, MHD_OPTION_END);
	info =
	    metrics->daemon ? MHD_get_daemon_info(metrics->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info) {
		if (!metrics->daemon)
			close(fd);
		cw_metrics_close(metrics);
		return cw_error_set(error, -EIO, "--metrics: libmicrohttpd failed to start");
	}
	metrics->fd = info->epoll_fd;
	*result = metrics;
	return 0;
}

const char *cw_metrics_address(const struct cw_metrics *metrics)
{
	return metrics->address;
}

int cw_metrics_fd(const struct cw_metrics *metrics)
{
	return metrics->fd;
}

int cw_metrics_wait_ms(const struct cw_metrics *metrics)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (MHD_get_timeout(metrics->daemon, &ms) != MHD_YES)
		return -1;
	return ms > 1000 ? 1000 : (int)ms;
}

void cw_metrics_serve(struct cw_metrics *metrics, struct cw_pipeline *pipeline)
{
	metrics->pipeline = pipeline;
	end_late_requests(metrics);
	MHD_run(metrics->daemon);
	MHD_run(metrics->daemon); /* accepts again after the connection limit was reached */
	metrics->pipeline = NULL;
}

void cw_metrics_close(struct cw_metrics *metrics)
{
	if (!metrics)
		return;
	if (metrics->daemon)
		MHD_stop_daemon(metrics->daemon);
	free(metrics);
}
