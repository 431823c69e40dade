/* SPDX-License-Identifier: BSD-3-Clause */
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/packet/linktype.h"
#include "pipeline/run/run.h"

#define TELL_BYTES 2048u

void cw_run_tell(struct cw_run *run, enum cw_severity severity, const char *format, ...)
{
	char text[TELL_BYTES];
	va_list arguments;

	if (severity == CW_PROBLEM)
		atomic_store(&run->has_problem, true);
	if (!run->options.tell)
		return;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	run->options.tell(run->options.context, severity, text);
}

void cw_rule_describe(const struct cw_rules *rules, const struct cw_rule *rule, unsigned line,
		      char *text, size_t text_bytes)
{
	if (!rule)
		snprintf(text, text_bytes, "the global filter");
	else if (rules->path)
		snprintf(text, text_bytes, "%s:%u: rule %s", rules->path,
			 line                ? line
			 : rule->filter_line ? rule->filter_line
					     : rule->line,
			 rule->name);
	else
		snprintf(text, text_bytes, "rule %s", rule->name);
}

void cw_run_report_rule(void *context, const struct cw_rule *rule, uint32_t linktype,
			bool is_warning, const char *text)
{
	struct cw_run *run = context;
	char where[512], name[64];

	cw_rule_describe(run->options.rules, rule, 0, where, sizeof(where));
	if (is_warning)
		cw_run_tell(run, CW_WARNING, "%s: %s", where, text);
	else
		cw_run_tell(run, CW_WARNING, "%s: never matches packets of link type %s: %s", where,
			    cw_linktype_name(linktype, name, sizeof(name)), text);
}

uint32_t cw_usable_cores(void)
{
	cpu_set_t cores;

	if (sched_getaffinity(0, sizeof(cores), &cores))
		return (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	return (uint32_t)CPU_COUNT(&cores);
}

/* A write fails only if the eventfd is full, and a full eventfd is readable already. */
static void wake(int fd)
{
	uint64_t one = 1;

	(void)!write(fd, &one, sizeof(one));
}

void cw_run_thread_ends(struct cw_run *run)
{
	if (atomic_fetch_sub(&run->running_threads, 1) == 1)
		wake(run->done_fd);
}

void cw_run_request_stop(struct cw_run *run)
{
	wake(run->abort_fd);
	cw_run_stop_reading(run);
}

void cw_run_stop_reading(struct cw_run *run)
{
	atomic_store(&run->is_stopping, true);
	wake(run->wake_fd);
	cw_run_wake_lanes(run);
}

void cw_run_wake_lanes(struct cw_run *run)
{
	for (uint32_t index = 0; index < run->lane_count; index++)
		cw_gate_signal_all(&run->lanes[index].shared.gate);
}

void cw_run_wake_keeper(struct cw_run *run)
{
	wake(run->keeper_fd);
}

void cw_run_wake_reloader(struct cw_run *run)
{
	wake(run->reload_fd);
}

void cw_run_check_end(struct cw_run *run)
{
	/* [END-2] The thread that makes the last of the three true sees all of them. */
	if (atomic_load(&run->is_sealed) && atomic_load(&run->live_chunks) == 0 &&
	    atomic_load(&run->live_batches) == 0 && !atomic_exchange(&run->is_done, true)) {
		cw_gate_signal_all(&run->worker_gate);
		if (run->is_live)
			cw_run_wake_keeper(run);
		if (run->is_reloadable)
			cw_run_wake_reloader(run);
	}
}

bool cw_inputs_have(const struct cw_inputs *inputs, uint64_t device, uint64_t inode)
{
	for (uint32_t index = 0; index < inputs->count; index++) {
		const struct cw_input *input = &inputs->at[index];

		if (input->has_identity && input->device == device && input->inode == inode)
			return true;
	}
	return false;
}

int cw_inputs_open(struct cw_inputs *inputs, uint32_t index, const struct cw_run *run,
		   struct cw_error *error)
{
	const struct cw_source_options options = {.window_bytes = run->options.sizes.window_bytes,
						  .wake_fd = run->wake_fd,
						  .input = (uint16_t)index,
						  .linktype = run->options.linktype,
						  .resyncs = run->options.resyncs,
						  .cure = run->options.cure};

	return cw_source_open(&inputs->at[index].source, inputs->at[index].path, &inputs->ifaces,
			      &options, error);
}

int cw_affinity_near(const char *const *devices, uint32_t device_count)
{
	return cw_affinity_has_memory() ? CW_NODE_NONE
					: cw_topology_common_node(CW_SYSFS, devices, device_count);
}

void cw_run_report_refusal(struct cw_run *run, uint32_t kind, const char *what, int result)
{
	if (result < 0 && !(atomic_fetch_or(&run->reported_refusals, kind) & kind))
		cw_run_tell(run, CW_WARNING, "%s: %s", what, strerror(-result));
}

void cw_run_pin_thread(struct cw_run *run, int32_t cpu, uint32_t realtime)
{
	char text[64];

	if (cpu >= 0) {
		snprintf(text, sizeof(text), "cannot pin a thread to core %d", cpu);
		cw_run_report_refusal(run, CW_REFUSED_PIN, text, cw_affinity_pin((uint16_t)cpu));
	}
	if (realtime)
		cw_run_report_refusal(run, CW_REFUSED_REALTIME,
				      "cannot give capture threads real-time priority "
				      "(needs CAP_SYS_NICE)",
				      cw_affinity_realtime(realtime));
}

bool cw_run_prefer_device(struct cw_run *run, const char *device)
{
	int node = cw_affinity_near(&device, 1);

	if (node == CW_NODE_NONE)
		return false;
	cw_run_report_refusal(run, CW_REFUSED_MEMORY, CW_NO_MEMORY_NEAR, cw_affinity_memory(node));
	return true;
}
