/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a thread's CPU clock at each change of its work, and charges the kind before. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/stages/pipeline.h"
#include "bench/stages/serial.h"
#include "core/base/clock.h"

#define FILTERS 8u
#define CALIBRATION_ROUNDS 20u
#define CALIBRATION_CALLS 500u

struct account {
	_Alignas(CW_CACHE_LINE) double ns[CW_WORK_KINDS];
	double last_ns; /* CPU clock of the thread at its last change */
	uint64_t changes;
	enum cw_work kind;
	bool is_reader;
};

struct accounts {
	_Atomic uint32_t count; /* sequentially consistent: once a thread */
	double change_ns;       /* cost of a change */
	struct account at[CW_STAGE_SERIAL_THREADS_MAX + 1];
};

static _Thread_local struct account *own; /* NULL: the thread has no account yet */

static const char *const work_names[CW_WORK_KINDS] = {"idle",  "read", "guess", "walk",
						      "again", "turn", "copy",  "write"};

const char *cw_stage_work_name(enum cw_work kind)
{
	return work_names[kind];
}

static double cpu_ns(void)
{
	return (double)cw_clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static void change(struct account *account, enum cw_work kind, double change_ns)
{
	double now_ns = cpu_ns(), spent_ns = now_ns - account->last_ns - change_ns;

	if (spent_ns > 0)
		account->ns[account->kind] += spent_ns;
	account->last_ns = now_ns;
	account->kind = kind;
	account->changes++;
}

/* The first change of a thread opens its account. */
static enum cw_work on_work(void *context, enum cw_work kind)
{
	struct accounts *accounts = context;
	enum cw_work before;

	if (!own) {
		uint32_t index = atomic_fetch_add(&accounts->count, 1);

		if (index > CW_STAGE_SERIAL_THREADS_MAX)
			return kind;
		own = &accounts->at[index];
		own->is_reader = kind == CW_WORK_READ;
		own->kind = kind;
		own->last_ns = cpu_ns();
		return kind;
	}
	before = own->kind;
	if (kind != before)
		change(own, kind, accounts->change_ns);
	return before;
}

/* Returns the least cost of a change, from several rounds: others are interrupted. */
static double find_change_ns(void)
{
	double least = 0;

	for (uint32_t round = 0; round < CALIBRATION_ROUNDS; round++) {
		struct account account = {.last_ns = cpu_ns()};
		double start_ns = account.last_ns;

		for (uint32_t call = 0; call < CALIBRATION_CALLS; call++)
			change(&account, (enum cw_work)(call % CW_WORK_KINDS), 0);
		if (!round || account.last_ns - start_ns < least)
			least = account.last_ns - start_ns;
	}
	return least / CALIBRATION_CALLS;
}

static bool is_serial(enum cw_work kind)
{
	return kind == CW_WORK_READ || kind == CW_WORK_TURN || kind == CW_WORK_AGAIN;
}

static void sum_up(const struct accounts *accounts, struct cw_serial_result *result)
{
	uint32_t count = atomic_load(&accounts->count);

	result->thread_count = cw_min_u32(count, CW_STAGE_SERIAL_THREADS_MAX + 1);
	for (uint32_t index = 0; index < result->thread_count; index++) {
		const struct account *account = &accounts->at[index];
		struct cw_serial_thread *thread = &result->threads[index];

		thread->is_reader = account->is_reader;
		result->account_ns += (double)account->changes * accounts->change_ns;
		for (enum cw_work kind = 0; kind < CW_WORK_KINDS; kind++) {
			thread->ns[kind] = account->ns[kind];
			if (is_serial(kind))
				result->serial_ns += account->ns[kind];
			else if (kind != CW_WORK_IDLE)
				result->rest_ns += account->ns[kind];
		}
	}
}

/* Runs the split; CPU time is that of the process without the calling thread. */
static int run(const char *path, uint32_t threads, struct accounts *accounts,
	       struct cw_serial_result *result, struct cw_report *report, struct cw_error *error)
{
	char filter[CW_STAGE_FILTER_BYTES], name[16];
	struct cw_pipeline_options options;
	struct cw_rules rules = {0};
	int status = 0;

	for (uint32_t index = 0; index < FILTERS && status >= 0; index++) {
		cw_stage_filter(index, filter);
		snprintf(name, sizeof(name), "%u", index);
		status = cw_rules_add(&rules, name, filter, "/dev/null", 0, error);
	}
	cw_pipeline_options_init(&options);
	options.inputs = &path;
	options.input_count = 1;
	options.rules = &rules;
	options.threads = threads;
	options.watch.on_work = on_work;
	options.context = accounts;
	result->cpu_ns = cpu_ns() - (double)cw_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (status >= 0)
		status = cw_stage_run(&options, NULL, NULL, report, error);
	result->cpu_ns += (double)cw_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns();
	cw_rules_fini(&rules);
	return status;
}

int cw_stage_serial(const char *path, uint32_t threads, struct cw_serial_result *result,
		    char text[CW_STAGE_TEXT_BYTES])
{
	struct accounts *accounts = aligned_alloc(CW_CACHE_LINE, sizeof(*accounts));
	struct cw_report report;
	struct cw_error error = {0};
	int status;

	memset(result, 0, sizeof(*result));
	if (!accounts) {
		snprintf(text, CW_STAGE_TEXT_BYTES, "out of memory");
		return -ENOMEM;
	}
	memset(accounts, 0, sizeof(*accounts));
	accounts->change_ns = find_change_ns();
	status = run(path, threads, accounts, result, &report, &error);
	if (status >= 0) {
		sum_up(accounts, result);
		result->packets = report.packets;
		if (!report.is_complete || !report.is_balanced)
			status = cw_error_set(&error, -EIO, "%s",
					      report.inputs->error ? report.inputs->error
								   : "packets were lost");
		cw_report_fini(&report);
	}
	if (status < 0)
		snprintf(text, CW_STAGE_TEXT_BYTES, "%s", error.text);
	free(accounts);
	return status < 0 ? status : 0;
}
