/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Compiling filter expressions in a process of its own. libpcap's optimiser takes minutes and
 * gigabytes for some expressions (1,000 hosts joined with "or"), its parser can overflow the stack;
 * here that costs one worker process and gives an error for the one expression.
 *
 *     struct cw_filter_compiler_options limits = {.time_ms = 1000};
 *
 *     cw_filter_compiler_start(&compiler, &limits, &error)   before the first thread
 *     options.compiler = compiler;                           then cw_filter_compile, sets, ...
 *     cw_filter_compiler_free(compiler)
 *
 * An expression that goes over a limit is tried once more unoptimised, within the same limits:
 * cw_filter_compile returns CW_FILTER_UNOPTIMIZED then, or an error that names expression and
 * limit. Programs and errors are else those that compiling in this process gives. What was
 * compiled, one way or the other, or refused by libpcap, is remembered, for as long as the compiler
 * and its limits last. What went over a limit both ways is not, as it may fit in when the machine
 * is less busy; nor what may depend on a resolver.
 *
 * Owner: one thread at a time. The processes end with cw_filter_compiler_free, and with the process
 * that started them, whatever way it ends.
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

/* 0 anywhere: the default. */
struct cw_filter_compiler_options {
	uint32_t time_ms;       /* of the clock on the wall, for one attempt at one expression */
	uint64_t memory_bytes;  /* of address space, likewise, beyond what an idle worker has */
	uint32_t cache_entries; /* results that are remembered, at most */
	size_t cache_bytes;     /* of memory for that, at most */
	/* Called in the helper with `context` (borrowed) before its first worker, to give up what a
	 * compiler does not need. 0, or a negative errno that cw_filter_compiler_start returns.
	 * NULL: it keeps what the caller has. */
	int (*on_start)(void *context);
	void *context;
};

struct cw_filter_compiler_stats {
	uint64_t compiled_count; /* expressions that the helper was asked for */
	uint64_t cached_count;   /* and those that it did not have to be */
	uint64_t fallback_count; /* compiled unoptimised, over a limit otherwise */
	uint64_t failed_count;   /* over a limit both ways */
};

/*
 * Start the helper process and its first worker. Call it before the process has threads or gives up
 * privileges; the helper closes all descriptors but standard error. -EAGAIN, -EPERM and the like
 * where no process can be started: compiling in this process is what is left then.
 */
int cw_filter_compiler_start(struct cw_filter_compiler **compiler,
			     const struct cw_filter_compiler_options *options,
			     struct cw_error *error);

/*
 * What cw_filter_compile uses: as cw_filter_translate (translate.h), which it calls elsewhere.
 * Fills `translation` (to be verified: what comes from another process is not trusted) unless the
 * result is negative. Returns as cw_filter_compile.
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
