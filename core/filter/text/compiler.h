/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiles filter expressions in a separate process. libpcap's optimiser takes minutes and
 * gigabytes for some expressions (1,000 hosts joined with "or"), and its parser can overflow the
 * stack; here that costs one worker process and gives an error for that expression.
 *
 *     struct cw_filter_compiler_options limits = {.time_ms = 1000};
 *
 *     cw_filter_compiler_start(&compiler, &limits, &error)   before the first thread
 *     options.compiler = compiler;                           then cw_filter_compile, sets, ...
 *     cw_filter_compiler_free(compiler)
 *
 * An expression that exceeds a limit is tried once more unoptimised, within the same limits:
 * cw_filter_compile then returns CW_FILTER_UNOPTIMIZED, or an error that names expression and
 * limit. All other programs and errors equal those of compiling in this process. Programs,
 * optimised or not, and refusals by libpcap are remembered as long as the compiler lives. An
 * expression that exceeded a limit both ways is not remembered, because it may fit when the machine
 * is less busy; nor is a result that may depend on a resolver.
 *
 * Owner: one thread at a time. The processes end with cw_filter_compiler_free, and however the
 * process that started them ends.
 */
#ifndef CW_CORE_FILTER_TEXT_COMPILER_H
#define CW_CORE_FILTER_TEXT_COMPILER_H

#include <capweir/filter.h>
#include <sys/types.h>

struct cw_bpf;

#define CW_COMPILER_TIME_MS_DEFAULT 1000u
#define CW_COMPILER_TIME_MS_MAX 86400000u
#define CW_COMPILER_MEMORY_DEFAULT (UINT64_C(256) << 20)
#define CW_COMPILER_CACHE_ENTRIES_DEFAULT 65536u
#define CW_COMPILER_CACHE_BYTES_DEFAULT ((size_t)64 << 20)

/* 0 in any field: its default. */
struct cw_filter_compiler_options {
	uint32_t time_ms;       /* limit of processor time for one attempt at one expression */
	uint64_t memory_bytes;  /* address space for one attempt, beyond that of an idle worker */
	uint32_t cache_entries; /* most results remembered */
	size_t cache_bytes;     /* most bytes of remembered results */
	/* Called in the helper with `context` (borrowed) before its first worker, to give up
	 * privileges. Returns 0, or a negative errno that cw_filter_compiler_start returns.
	 * NULL: the helper keeps the caller's privileges. */
	int (*on_start)(void *context);
	void *context;
};

struct cw_filter_compiler_stats {
	uint64_t compiled_count; /* expressions sent to the helper */
	uint64_t cached_count;   /* expressions answered from the cache */
	uint64_t fallback_count; /* expressions compiled unoptimised after exceeding a limit */
	uint64_t failed_count;   /* expressions over a limit both ways */
};

/*
 * Start the helper process and its first worker. Call before the process has threads or gives up
 * privileges; the helper closes all descriptors but standard error. -EAGAIN, -EPERM and the like if
 * no process can be started: the caller can still compile in its own process.
 */
int cw_filter_compiler_start(struct cw_filter_compiler **compiler,
			     const struct cw_filter_compiler_options *options,
			     struct cw_error *error);

/*
 * As cw_filter_translate (translate.h), which the worker calls; for cw_filter_compile. Unless the
 * result is negative, fills `translation`, which the caller must verify: another process is not
 * trusted. Returns as cw_filter_compile.
 */
int cw_filter_compiler_translate(struct cw_filter_compiler *compiler, const char *expression,
				 const struct cw_filter_options *options,
				 struct cw_bpf *translation, struct cw_error *error);

void cw_filter_compiler_stats(const struct cw_filter_compiler *compiler,
			      struct cw_filter_compiler_stats *stats);

/* The helper process; its only child is the worker. */
pid_t cw_filter_compiler_pid(const struct cw_filter_compiler *compiler);

/* End the processes and wait for them. Accepts NULL. */
void cw_filter_compiler_free(struct cw_filter_compiler *compiler);

#endif
