/* SPDX-License-Identifier: BSD-3-Clause */
/* tcpdump's -d, -dd and -ddd on a line of split or capture: prints filter programs and runs
 * nothing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/filter/text/compiler.h"
#include "core/packet/linktype.h"
#include "core/source/source.h"
#include "tools/commands/commands.h"
#include "tools/devices/catalogue.h"
#include "tools/request/request.h"

/* Fills link type, byte order and snapshot length from a file's first interface. */
static int look_at_file(const char *path, struct cw_filter_options *options)
{
	const struct cw_source_options as_it_is = {.wake_fd = -1, .linktype = CW_LINKTYPE_ANY};
	const struct cw_iface *iface;
	struct cw_error error = {0};
	struct cw_source *source;
	struct cw_ifaces ifaces;
	int result = 0;

	cw_ifaces_init(&ifaces);
	if (cw_source_open(&source, path, &ifaces, &as_it_is, &error) < 0) {
		result = cw_fail("%s", error.text);
	} else {
		if (ifaces.count) {
			iface = cw_ifaces_at(&ifaces, 0);
			options->linktype = iface->linktype;
			options->is_swapped =
			    iface->is_swapped && cw_linktype_has_file_order(iface->linktype);
			options->snaplen = iface->snaplen > INT32_MAX ? 0 : iface->snaplen;
		}
		cw_source_close(source);
	}
	cw_ifaces_fini(&ifaces);
	return result;
}

/* Fills the link type of an interface, which is opened only if its kind does not tell. */
static int look_at_device(const char *name, struct cw_filter_options *options)
{
	struct cw_catalogue catalogue = {0};
	struct cw_catalogue_device *device = NULL;
	struct cw_error error = {0};
	int result = cw_catalogue_fill(&catalogue, &error);

	if (result == 0)
		device = cw_catalogue_find(&catalogue, name);
	if (device && !device->link_types.count)
		result = cw_catalogue_ask_link_types(&catalogue, device);
	if (result == 0 && device && device->link_types.count)
		options->linktype = device->link_types.at[0].value;
	else
		result = cw_fail("-i %s: its link type is unknown%s%s: give -y TYPE instead", name,
				 device || error.text[0] ? ": " : "",
				 device ? device->link_types_error : error.text);
	cw_catalogue_fini(&catalogue);
	return result;
}

/* Ethernet without an input and without -y, as tcpdump. */
static int fill_options(const struct cw_arguments *arguments, struct cw_filter_options *options)
{
	uint32_t linktype;
	int result = cw_arguments_linktype(arguments, &linktype);

	*options = (struct cw_filter_options){.linktype = CW_LINKTYPE_ETHERNET,
					      .snaplen = (uint32_t)arguments->output.snaplen,
					      .netmask = CW_NETMASK_NONE,
					      .unoptimized = arguments->filter.unoptimized,
					      .resolve_names = arguments->filter.resolve};
	if (result == 0 && arguments->inputs.count)
		result = look_at_file(arguments->inputs.words[0], options);
	else if (result == 0 && arguments->devices.count)
		result = look_at_device(arguments->devices.words[0], options);
	if (linktype != CW_LINKTYPE_ANY)
		options->linktype = linktype;
	return result;
}

void cw_dump_filter(const struct cw_filter *filter, uint64_t letters)
{
	cw_filter_print(filter, stdout,
			letters == 1   ? CW_FILTER_PROGRAM_TEXT
			: letters == 2 ? CW_FILTER_PROGRAM_INITIALIZERS
				       : CW_FILTER_PROGRAM_NUMBERS);
}

static int dump(const char *expression, const struct cw_filter_options *options, uint64_t letters)
{
	struct cw_error error = {0};
	struct cw_filter *filter = NULL;
	int result = cw_filter_compile(&filter, expression, options, &error);

	if (error.text[0])
		cw_complain("%s%s", result > 0 ? "warning: " : "", error.text);
	if (result < 0)
		return result == -ENOMEM ? CW_EXIT_PROBLEM : CW_EXIT_USAGE;
	cw_dump_filter(filter, letters);
	cw_filter_free(filter);
	return 0;
}

/* Prints the expression, or each -f and then the expression. */
static int dump_all(const struct cw_arguments *arguments, const char *expression,
		    const struct cw_filter_options *options)
{
	const struct cw_words *filters = &arguments->rules.filters;
	uint64_t letters = arguments->filter.dumps;
	int result = 0;

	for (uint32_t index = 0; index < filters->count && result == 0; index++) {
		if (index)
			cw_print(stdout, "\n");
		result = dump(filters->words[index], options, letters);
	}
	if (result || (filters->count && !expression))
		return result;
	if (filters->count)
		cw_print(stdout, "\n");
	return dump(expression ? expression : "", options, letters);
}

int cw_dump_filters(const struct cw_arguments *arguments)
{
	struct cw_filter_options options;
	char *expression = NULL;
	int result;

	if (arguments->json)
		return cw_refuse("-d does not support --json");
	if (arguments->rules.file)
		return cw_refuse("-d prints the filters of the command line: capweir inspect "
				 "filter -d -R %s prints those of the rules",
				 arguments->rules.file);
	result = cw_arguments_expression(arguments, &expression);
	if (result == 0)
		result = fill_options(arguments, &options);
	if (result == 0) {
		options.compiler = cw_arguments_start_compiler(arguments);
		result = dump_all(arguments, expression, &options);
		cw_filter_compiler_free(options.compiler);
	}
	free(expression);
	return result;
}
