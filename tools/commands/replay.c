/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir replay: options, signals and report. tools/devices/replay.c sends. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "core/base/plural.h"
#include "tools/commands/commands.h"
#include "tools/devices/replay.h"
#include "tools/request/request.h"
#include "tools/text/numbers.h"
#include "tools/text/report.h"

static int check_arguments(const struct cw_arguments *arguments)
{
	int ways =
	    (arguments->send.rate > 0) + (arguments->send.speed > 0) + arguments->send.topspeed;
	uint32_t inputs_from_stdin = 0, index;

	for (index = 0; index < arguments->inputs.count; index++)
		inputs_from_stdin += strcmp(arguments->inputs.words[index], "-") == 0;
	if (arguments->rest.count)
		cw_complain("replay takes no words but options, not '%s': files are given with -r",
			    arguments->rest.words[0]);
	else if (!arguments->inputs.count)
		cw_complain("no input: give -r FILE");
	else if (arguments->devices.count != 1)
		cw_complain("give one interface to send on: -i INTERFACE");
	else if (ways > 1)
		cw_complain("--speed, --pps and --topspeed exclude each other: give one of them");
	else if (inputs_from_stdin > 1 || (inputs_from_stdin && arguments->send.rounds != 1))
		cw_complain("standard input (-) can be read once only: use a file instead");
	else
		return 0;
	return CW_EXIT_USAGE;
}

static int watch_signals(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC);
}

/* ---- the report ---- */

static uint64_t not_sent(const struct cw_replay_counts *counts)
{
	return counts->read - counts->sent;
}

static void complain(const struct cw_replay_counts *counts)
{
	char number[CW_NUMBER_BYTES], other[CW_NUMBER_BYTES];

	if (counts->resynced.places)
		cw_complain("damage in the files: resynced at %s place%s, %s bytes skipped",
			    cw_format_count(counts->resynced.places, number),
			    cw_plural(counts->resynced.places),
			    cw_format_count(counts->resynced.bytes, other));
	if (counts->cut)
		cw_complain(
		    "%s packet%s not sent: truncated in the file (--cut send sends the bytes "
		    "that the file has)",
		    cw_format_count(counts->cut, number), cw_plural(counts->cut));
	if (counts->too_long)
		cw_complain(
		    "%s packet%s not sent: too long for the interface. Raise its MTU with 'ip link "
		    "set "
		    "INTERFACE mtu BYTES'; segments merged by a network card cannot be sent",
		    cw_format_count(counts->too_long, number), cw_plural(counts->too_long));
	if (counts->link_type)
		cw_complain("%s packet%s not sent: of another link type than the interface's",
			    cw_format_count(counts->link_type, number),
			    cw_plural(counts->link_type));
	if (counts->malformed)
		cw_complain(
		    "%s packet%s not sent: empty, longer than its block, or of an interface "
		    "that the file does not describe",
		    cw_format_count(counts->malformed, number), cw_plural(counts->malformed));
	if (counts->refused)
		cw_complain("%s packet%s not sent: refused by the system: %s",
			    cw_format_count(counts->refused, number), cw_plural(counts->refused),
			    strerror(-counts->refusal));
	if (counts->unsent)
		cw_complain("%s packet%s not sent: replay ended before the due time",
			    cw_format_count(counts->unsent, number), cw_plural(counts->unsent));
}

static int print_report(const struct cw_replay_counts *counts, bool is_timed)
{
	char a[CW_NUMBER_BYTES], b[CW_NUMBER_BYTES], c[CW_NUMBER_BYTES];
	double seconds = (double)counts->elapsed_ns * 1e-9;
	double per_s = seconds > 0 ? 1 / seconds : 0;

	cw_print(stderr, "%s packet%s read = %s sent + %s not sent\n",
		 cw_format_count(counts->read, a), cw_plural(counts->read),
		 cw_format_count(counts->sent, b), cw_format_count(not_sent(counts), c));
	cw_print(stderr, "%s in %.6f s: %s packets/s, %.1f Mbit/s\n",
		 cw_format_bytes(counts->sent_bytes, a), seconds,
		 cw_format_count((uint64_t)((double)counts->sent * per_s + 0.5), b),
		 (double)counts->sent_bytes * 8e-6 * per_s);
	if (is_timed && counts->sent)
		cw_print(stderr, "late by %.1f us on average, %.1f us at most\n",
			 (double)counts->late_ns_sum * 1e-3 / (double)counts->sent,
			 (double)counts->late_ns_max * 1e-3);
	return cw_check_messages();
}

static json_t *count_json(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static int print_json(const struct cw_replay_counts *counts, bool is_timed)
{
	json_t *lateness = is_timed && counts->sent
			       ? json_pack("{s:f, s:I}", "mean",
					   (double)counts->late_ns_sum / (double)counts->sent,
					   "max", (json_int_t)counts->late_ns_max)
			       : json_null();
	json_t *failures =
	    json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "cut", count_json(counts->cut), "too_long",
		      count_json(counts->too_long), "link_type", count_json(counts->link_type),
		      "malformed", count_json(counts->malformed), "refused",
		      count_json(counts->refused), "unsent", count_json(counts->unsent));
	json_t *whole = json_pack(
	    "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:b}", "read", count_json(counts->read),
	    "sent", count_json(counts->sent), "bytes", count_json(counts->sent_bytes), "resynced",
	    cw_resynced_json(&counts->resynced), "not_sent", count_json(not_sent(counts)),
	    "failures", failures, "retries", count_json(counts->retries), "late_ns", lateness,
	    "elapsed_s", (double)counts->elapsed_ns * 1e-9, "stopped", (int)counts->was_stopped);

	return cw_json_print(whole, JSON_INDENT(1) | JSON_REAL_PRECISION(12), "the report ");
}

/* ---- the command ---- */

static int replay(const struct cw_arguments *arguments, struct cw_transmit *transmit,
		  const struct cw_replay_options *options)
{
	bool is_timed = options->rate || options->speed > 0;
	struct cw_replay_counts counts;
	struct cw_error error = {0};
	int result = cw_replay(transmit, options, &counts, &error);
	int status = CW_EXIT_COMPLETE;

	if (result < 0)
		cw_complain("%s", error.text);
	/* The file has no packet that the interface could send. */
	if (result == -EPROTONOSUPPORT && counts.read == 0)
		return CW_EXIT_USAGE;
	complain(&counts);
	if (arguments->json)
		status = print_json(&counts, is_timed);
	else if (!arguments->quiet)
		status = print_report(&counts, is_timed);
	if (counts.was_stopped)
		return CW_EXIT_STOPPED;
	return result < 0 || not_sent(&counts) || counts.resynced.places ? CW_EXIT_PROBLEM : status;
}

int cw_command_replay(const struct cw_arguments *arguments)
{
	struct cw_replay_options options = {
	    .inputs = arguments->inputs.words,
	    .input_count = arguments->inputs.count,
	    .loops = arguments->send.rounds,
	    .rate = arguments->send.rate,
	    .speed = arguments->send.speed > 0                          ? arguments->send.speed
		     : arguments->send.rate || arguments->send.topspeed ? 0
									: 1,
	    .resyncs = arguments->resyncs,
	    .cure = arguments->resyncs ? NULL : CW_RESYNC_CURE,
	    .sends_cut = arguments->send.sends_cut,
	};
	struct cw_transmit *transmit;
	struct cw_error error = {0};
	int status = check_arguments(arguments);
	int result;

	if (status == 0)
		status = cw_arguments_linktype(arguments, &options.linktype);
	if (status)
		return status;
	result = cw_transmit_open(&transmit, arguments->devices.words[0], &error);
	if (result < 0) {
		cw_complain("%s", error.text);
		return result == -ENODEV || result == -EPROTONOSUPPORT ? CW_EXIT_USAGE
								       : CW_EXIT_PROBLEM;
	}
	options.signal_fd = watch_signals();
	if (options.signal_fd < 0) {
		status = cw_fail("cannot watch signals: %s", strerror(errno));
	} else {
		status = replay(arguments, transmit, &options);
		close(options.signal_fd);
	}
	cw_transmit_close(transmit);
	return status;
}
