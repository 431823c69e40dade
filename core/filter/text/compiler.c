/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The user's side of the helper process: starts, asks and ends the helper, words its failures, and
 * remembers its answers.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/sockets.h"
#include "core/filter/text/cache.h"
#include "core/filter/text/compiler.h"
#include "core/filter/text/helper.h"
#include "core/filter/text/names.h"
#include "core/packet/linktype.h"

/* The helper answers within twice its limit. This long after, it is lost. */
#define GRACE_NS (30 * CW_NS_PER_S)

struct cw_filter_compiler {
	struct cw_filter_compiler_options options;
	struct cw_filter_compiler_stats stats;
	struct cw_filter_cache cache;
	int fd; /* socket to the helper */
	pid_t pid;
	bool is_lost; /* the helper is gone; every request fails */
};

/* ---- start ---- */

static int start_helper(struct cw_filter_compiler *compiler)
{
	const struct cw_helper_limits limits = {.time_ns =
						    compiler->options.time_ms * UINT64_C(1000000),
						.memory_bytes = compiler->options.memory_bytes,
						.on_start = compiler->options.on_start,
						.context = compiler->options.context};
	sigset_t all, before;
	int sockets[2] = {-1, -1};
	int32_t hello;
	int result = cw_sockets_make(SOCK_STREAM, sockets);

	if (result)
		return result;
	/* This process's signal handlers must not run in the helper. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	compiler->pid = fork();
	if (compiler->pid == 0)
		cw_helper_main(sockets[1], &limits);
	result = compiler->pid < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(sockets[1]);
	compiler->fd = sockets[0];
	if (result == 0)
		result = cw_wire_receive(compiler->fd, -1, &hello, sizeof(hello),
					 cw_now_ns() + GRACE_NS);
	return result ? result : hello;
}

int cw_filter_compiler_start(struct cw_filter_compiler **compiler,
			     const struct cw_filter_compiler_options *options,
			     struct cw_error *error)
{
	struct cw_filter_compiler *made = calloc(1, sizeof(*made));
	int result;

	if (!made)
		return cw_error_set(error, -ENOMEM,
				    "cannot start a filter compiler: out of memory");
	made->options = *options;
	made->fd = -1;
	if (!made->options.time_ms)
		made->options.time_ms = CW_COMPILER_TIME_MS_DEFAULT;
	if (!made->options.memory_bytes)
		made->options.memory_bytes = CW_COMPILER_MEMORY_DEFAULT;
	if (!made->options.cache_entries)
		made->options.cache_entries = CW_COMPILER_CACHE_ENTRIES_DEFAULT;
	if (!made->options.cache_bytes)
		made->options.cache_bytes = CW_COMPILER_CACHE_BYTES_DEFAULT;
	cw_filter_cache_init(&made->cache, made->options.cache_entries, made->options.cache_bytes);
	result = start_helper(made);
	if (result) {
		cw_filter_compiler_free(made);
		return cw_error_set_errno(error, result,
					  "cannot start a process that compiles filters");
	}
	*compiler = made;
	return 0;
}

/* ---- ask ---- */

/* Why an attempt failed, and what to do: "compiling takes ...; raise ..." (fills `text`). */
static const char *describe_stop(const struct cw_filter_compiler *compiler, uint8_t stop,
				 int32_t detail, bool resolve_names, char *text, size_t room)
{
	switch (stop) {
	case CW_STOP_TIME:
		snprintf(text, room, "compiling takes longer than %g s; %sraise --filter-time",
			 compiler->options.time_ms / 1000.0,
			 resolve_names ? "check that the resolver answers, or " : "");
		break;
	case CW_STOP_MEMORY:
		snprintf(text, room, "compiling takes more than %g MiB; raise --filter-memory",
			 (double)compiler->options.memory_bytes / (1 << 20));
		break;
	default:
		if (detail)
			snprintf(text, room, "signal %d ended libpcap; simplify the filter",
				 detail);
		else
			snprintf(text, room, "libpcap exited; simplify the filter");
	}
	return text;
}

/* The error for an expression that exceeded a limit both ways. */
static int report_stop(const struct cw_filter_compiler *compiler, const char *expression,
		       const struct cw_filter_options *options,
		       const struct cw_helper_answer_head *head, struct cw_error *error)
{
	static const int codes[CW_STOP_COUNT] = {
	    [CW_STOP_TIME] = -ETIMEDOUT, [CW_STOP_MEMORY] = -E2BIG, [CW_STOP_DEATH] = -EFAULT};
	char quote[CW_FILTER_QUOTE_BYTES], name[32], why[160];

	return cw_error_set(error, codes[head->stop], "filter \"%s\" for link type %s: %s%s",
			    cw_filter_quote(expression, quote),
			    cw_linktype_name(options->linktype, name, sizeof(name)),
			    head->first_stop ? "even unoptimised, " : "",
			    describe_stop(compiler, head->stop, head->detail,
					  options->resolve_names, why, sizeof(why)));
}

static int warn_unoptimized(const struct cw_filter_compiler *compiler, const char *expression,
			    const struct cw_filter_options *options,
			    const struct cw_helper_answer_head *head, struct cw_error *error)
{
	char quote[CW_FILTER_QUOTE_BYTES], name[32], why[160];

	cw_error_set(error, 0,
		     "filter \"%s\" for link type %s is not optimised, so it runs slower and may "
		     "match other truncated packets, as with tcpdump -O: %s",
		     cw_filter_quote(expression, quote),
		     cw_linktype_name(options->linktype, name, sizeof(name)),
		     describe_stop(compiler, head->first_stop, head->detail, options->resolve_names,
				   why, sizeof(why)));
	return CW_FILTER_UNOPTIMIZED;
}

/* The helper does not answer (`result`) or has no worker: all later requests fail. */
static int lose(struct cw_filter_compiler *compiler, int result, struct cw_error *error)
{
	compiler->is_lost = true;
	cw_error_set_errno(error, result == -EPIPE ? -ESRCH : result,
			   "the process that compiles filters has failed; restart capweir");
	if (error)
		error->code = -EIO;
	return -EIO;
}

/* Ask the helper. Returns 0 and fills the answer, or a negative errno. */
static int ask(struct cw_filter_compiler *compiler, const char *expression,
	       const struct cw_filter_options *options, struct cw_helper_answer *answer)
{
	const struct cw_helper_request request = {.expression_bytes = (uint32_t)strlen(expression),
						  .linktype = options->linktype,
						  .snaplen = options->snaplen,
						  .netmask = options->netmask,
						  .is_swapped = options->is_swapped,
						  .unoptimized = options->unoptimized,
						  .resolve_names = options->resolve_names};
	uint64_t deadline_ns =
	    cw_now_ns() + GRACE_NS +
	    2 * CW_HELPER_STARVED * (uint64_t)compiler->options.time_ms * 1000000;
	int result = compiler->is_lost ? -EPIPE : 0;

	if (result == 0)
		result = cw_wire_send_request(compiler->fd, &request, expression, deadline_ns);
	if (result == 0)
		result = cw_wire_receive_answer(compiler->fd, -1, answer, deadline_ns);
	if (result == 0 && answer->head.stop == CW_STOP_REFUSED)
		result = answer->head.detail < 0 ? answer->head.detail : -EPROTO;
	return result;
}

static int take_cached(const struct cw_cached *cached, struct cw_bpf *translation,
		       struct cw_error *error)
{
	if (cw_bpf_copy(translation, cached->translation.at, cached->translation.count))
		return cw_error_set(error, -ENOMEM, "cannot compile a filter: out of memory");
	if (cached->text)
		cw_error_set(error, cached->code, "%s", cached->text);
	return cached->result;
}

int cw_filter_compiler_translate(struct cw_filter_compiler *compiler, const char *expression,
				 const struct cw_filter_options *options,
				 struct cw_bpf *translation, struct cw_error *error)
{
	struct cw_helper_answer answer;
	const struct cw_cached *cached = NULL;
	struct cw_error said = {0};
	int result;

	*translation = (struct cw_bpf){0};
	if (strlen(expression) > CW_HELPER_EXPRESSION_MAX)
		return cw_error_set(
		    error, -E2BIG,
		    "filter expression of %zu bytes is too long; the limit is %u bytes",
		    strlen(expression), CW_HELPER_EXPRESSION_MAX);
	if (!options->resolve_names)
		cached = cw_filter_cache_find(&compiler->cache, expression, options);
	if (cached) {
		compiler->stats.cached_count++;
		return take_cached(cached, translation, error);
	}
	result = ask(compiler, expression, options, &answer);
	if (result)
		return lose(compiler, result, error);
	compiler->stats.compiled_count++;
	if (answer.head.stop) {
		compiler->stats.failed_count++;
		return report_stop(compiler, expression, options, &answer.head, error);
	}
	*translation = answer.translation;
	result = answer.head.result;
	if (answer.text[0])
		cw_error_set(&said, answer.head.code, "%s", answer.text);
	if (answer.head.first_stop && result >= 0) {
		compiler->stats.fallback_count++;
		result = warn_unoptimized(compiler, expression, options, &answer.head, &said);
	}
	if (!options->resolve_names)
		cw_filter_cache_add(&compiler->cache, expression, options, result, translation,
				    &said);
	if (said.text[0] && error)
		*error = said;
	return result;
}

void cw_filter_compiler_stats(const struct cw_filter_compiler *compiler,
			      struct cw_filter_compiler_stats *stats)
{
	*stats = compiler->stats;
}

pid_t cw_filter_compiler_pid(const struct cw_filter_compiler *compiler)
{
	return compiler->pid;
}

void cw_filter_compiler_free(struct cw_filter_compiler *compiler)
{
	if (!compiler)
		return;
	if (compiler->fd >= 0)
		close(compiler->fd);
	if (compiler->pid > 0) {
		/* The helper ends when it sees the socket closed, which a stopped helper cannot
		 * see. Without the privilege to kill a lost helper, do not wait for it. */
		bool is_ended = kill(compiler->pid, compiler->is_lost ? SIGKILL : SIGCONT) == 0 ||
				!compiler->is_lost;

		while (waitpid(compiler->pid, NULL, is_ended ? 0 : WNOHANG) < 0 && errno == EINTR)
			continue;
	}
	cw_filter_cache_fini(&compiler->cache);
	free(compiler);
}
