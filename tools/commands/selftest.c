/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir selftest: chooses interfaces and prints results. tools/devices/selftest.c tests one. */
#include <net/if.h>
#include <string.h>

#include "core/base/plural.h"
#include "tools/commands/commands.h"
#include "tools/devices/cable.h"
#include "tools/devices/catalogue.h"
#include "tools/devices/selftest.h"
#include "tools/text/numbers.h"

#define CLEAN_BYTES 128u

static const char *const mode_names[] = {[CW_SELFTEST_BASIC] = "basic",
					 [CW_SELFTEST_FILTERED] = "filtered",
					 [CW_SELFTEST_TIMESTAMP] = "timestamp"};

struct run {
	enum cw_selftest_mode mode;
	json_t *list;    /* results; NULL: text output */
	uint32_t tested; /* interfaces */
	bool has_passed; /* one of them works */
};

static int check_arguments(const struct cw_arguments *arguments)
{
	if (arguments->rest.count)
		cw_complain(
		    "selftest takes no words but options, not '%s': name an interface with -i",
		    arguments->rest.words[0]);
	else if (arguments->devices.count > 1)
		cw_complain("give one interface (-i), or none to test all in turn");
	else if (arguments->devices.count && arguments->selftest.own_cable)
		cw_complain("-i and --own-cable exclude each other: give one of them, not both");
	else
		return 0;
	return CW_EXIT_USAGE;
}

/* ---- output ---- */

static void print_result(const struct run *run, const char *name,
			 const struct cw_selftest_result *result)
{
	char clean[CLEAN_BYTES], text[CW_ERROR_TEXT_BYTES];

	cw_format_printable(name, clean, sizeof(clean));
	if (result->failure.code) {
		cw_print(stdout, "%s: fails: %s\n", clean,
			 cw_format_printable(result->failure.text, text, sizeof(text)));
		return;
	}
	cw_print(stdout, "%s: works: ", clean);
	switch (run->mode) {
	case CW_SELFTEST_BASIC:
		cw_print(stdout, "%u of %u packets seen", result->seen, result->expected);
		break;
	case CW_SELFTEST_FILTERED:
		cw_print(stdout, "a filter passed %u of %u packets, exactly the right ones",
			 result->seen, result->sent);
		break;
	case CW_SELFTEST_TIMESTAMP:
		cw_print(stdout, "timestamps of %u packets are correct and ascending, in %s",
			 result->seen, result->has_ns ? "nanoseconds" : "microseconds");
		break;
	}
	cw_print(stdout, " (%s)\n",
		 strcmp(result->backend, "packet") == 0 ? "kernel ring" : "libpcap");
}

static json_t *result_json(const char *name, const struct cw_selftest_result *result)
{
	return json_pack("{s:o, s:b, s:o, s:i, s:i, s:i, s:i, s:I, s:I, s:b, s:o}", "device",
			 cw_json_text(name), "works", result->failure.code == 0, "backend",
			 cw_json_text(result->backend), "sent", (int)result->sent, "expected",
			 (int)result->expected, "seen", (int)result->seen, "seen_wrongly",
			 (int)result->seen_wrongly, "others", (json_int_t)result->others,
			 "kernel_dropped", (json_int_t)result->kernel_dropped, "nanoseconds",
			 (int)result->has_ns, "failure",
			 cw_json_text(result->failure.code ? result->failure.text : NULL));
}

/* ---- interfaces ---- */

static void test_device(struct run *run, const struct cw_netdev *device,
			const struct cw_netdev *from)
{
	struct cw_selftest_result result;

	run->has_passed = cw_selftest(device, from, run->mode, &result) == 0;
	run->tested++;
	if (run->list)
		json_array_append_new(run->list, result_json(device->name, &result));
	else
		print_result(run, device->name, &result);
	fflush(stdout); /* the next test may take seconds */
}

static void test_each(struct run *run, const struct cw_netdevs *devices, bool loopback)
{
	for (uint32_t index = 0; index < devices->count && !run->has_passed; index++) {
		const struct cw_netdev *device = &devices->at[index];

		if (((device->flags & IFF_LOOPBACK) != 0) == loopback)
			test_device(run, device, device);
	}
}

static int test_devices(struct run *run, const struct cw_netdevs *devices,
			const struct cw_arguments *arguments)
{
	const struct cw_netdev *device;

	if (arguments->selftest.own_cable) {
		const struct cw_netdev *from = cw_catalogue_find_netdev(devices, CW_CABLE_NEAR);

		device = cw_catalogue_find_netdev(devices, CW_CABLE_FAR);
		if (device && from)
			test_device(run, device, from);
	} else if (arguments->devices.count) {
		device = cw_catalogue_find_netdev(devices, arguments->devices.words[0]);
		if (!device)
			return cw_refuse(
			    "-i %s: no such network interface (capweir devices lists them)",
			    arguments->devices.words[0]);
		test_device(run, device, device);
	} else {
		test_each(run, devices, false);
		test_each(run, devices, true);
	}
	return 0;
}

static int list_devices(struct cw_netdevs *devices, bool own_cable)
{
	struct cw_netdev_probe *probe = NULL;
	struct cw_error error = {0};
	int result = own_cable ? cw_cable_make(&error) : 0;

	if (result == 0)
		result = cw_netdev_probe_open(&probe, &error);
	if (result == 0)
		result = cw_netdevs_list(probe, devices, &error);
	cw_netdev_probe_close(probe);
	if (result == 0)
		return 0;
	return cw_fail("%s", error.text);
}

static int print_json(const struct run *run)
{
	json_t *whole = json_pack("{s:s, s:b, s:O}", "mode", mode_names[run->mode], "works",
				  (int)run->has_passed, "devices", run->list);

	return cw_json_print(whole, JSON_INDENT(1), "");
}

int cw_command_selftest(const struct cw_arguments *arguments)
{
	struct cw_netdevs devices = {0};
	struct run run = {.mode = (enum cw_selftest_mode)arguments->selftest.mode};
	int status = check_arguments(arguments);

	if (status == 0)
		status = list_devices(&devices, arguments->selftest.own_cable);
	if (status == 0) {
		run.list = arguments->json ? json_array() : NULL;
		status = arguments->json && !run.list ? cw_complain_no_memory()
						      : test_devices(&run, &devices, arguments);
	}
	if (status == 0 && run.list)
		status = print_json(&run);
	if (status == 0 && !run.has_passed)
		status = cw_fail("capture works on none of %u interface%s", run.tested,
				 cw_plural(run.tested));
	json_decref(run.list);
	cw_netdevs_fini(&devices);
	return status;
}
