/* SPDX-License-Identifier: BSD-3-Clause */
/* The global filter, and the link type for which filters are compiled. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/near.h"
#include "core/packet/linktype.h"
#include "core/packet/packet.h"
#include "pipeline/rules/rules.h"
#include "tools/options/options.h"
#include "tools/request/request.h"

#define LINKTYPES 512u     /* more than libpcap has names for */
#define LINKTYPE_BYTES 32u /* of a name that libpcap does not have */
#define FILTER_FILE_BYTES_MAX ((size_t)64 << 20)

static int refuse_linktype(const char *word)
{
	struct cw_near near = {.word = word, .bytes = strlen(word)};
	char buffer[LINKTYPE_BYTES], meant[CW_NEAR_TEXT_BYTES];

	for (uint32_t linktype = 0; linktype < LINKTYPES; linktype++) {
		const char *name = cw_linktype_name(linktype, buffer, sizeof(buffer));

		if (name != buffer)
			cw_near_offer(&near, name);
	}
	if (!cw_near_say(&near, "", "", meant, sizeof(meant)))
		snprintf(meant, sizeof(meant),
			 " some names are EN10MB, RAW, LINUX_SLL2, IEEE802_11");
	return cw_refuse("-y: unknown link type '%s';%s (pcap-linktype(7) lists all)", word, meant);
}

int cw_arguments_linktype(const struct cw_arguments *arguments, uint32_t *linktype)
{
	int64_t value;

	*linktype = CW_LINKTYPE_ANY;
	if (!arguments->filter.linktype)
		return 0;
	value = cw_linktype_from_name(arguments->filter.linktype);
	if (value < 0)
		return refuse_linktype(arguments->filter.linktype);
	*linktype = (uint32_t)value;
	return 0;
}

static int read_filter_file(const char *path, char **expression)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	size_t used = 0, room = 4096;
	char *text = malloc(room);
	int result = CW_EXIT_PROBLEM;

	if (!file || !text) {
		cw_complain("-F %s: %s", path, strerror(errno));
		goto out;
	}
	for (;;) {
		size_t got = fread(text + used, 1, room - used - 1, file);
		char *grown;

		used += got;
		if (got == 0)
			break;
		if (used + 1 < room)
			continue;
		room *= 2;
		grown = room > FILTER_FILE_BYTES_MAX ? NULL : realloc(text, room);
		if (!grown) {
			cw_complain("-F %s: the expression is too long: the limit is 64 MiB", path);
			goto out;
		}
		text = grown;
	}
	if (ferror(file) || memchr(text, '\0', used)) {
		cw_complain("-F %s: %s", path, ferror(file) ? strerror(errno) : "holds a NUL byte");
		goto out;
	}
	text[used] = '\0';
	cw_filter_blank_comments(text);
	*expression = text;
	text = NULL;
	result = 0;
out:
	if (file && file != stdin)
		fclose(file);
	free(text);
	return result;
}

int cw_arguments_expression(const struct cw_arguments *arguments, char **expression)
{
	const struct cw_words *rest = &arguments->rest;
	size_t bytes = 1;

	*expression = NULL;
	if (arguments->filter.file && rest->count)
		return cw_refuse("two global filters, -F and '%s': give one of them",
				 rest->words[0]);
	if (arguments->filter.file)
		return read_filter_file(arguments->filter.file, expression);
	if (!rest->count)
		return 0;
	for (uint32_t index = 0; index < rest->count; index++)
		bytes += strlen(rest->words[index]) + 1;
	*expression = calloc(bytes, 1);
	if (!*expression)
		return cw_complain_no_memory();
	for (uint32_t index = 0; index < rest->count; index++) {
		if (index)
			strcat(*expression, " ");
		strcat(*expression, rest->words[index]);
	}
	return 0;
}
