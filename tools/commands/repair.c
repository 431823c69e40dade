/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir repair: truncates capture files after their last intact record. */
#include <string.h>

#include "core/base/plural.h"
#include "core/format/repair.h"
#include "tools/commands/commands.h"
#include "tools/text/numbers.h"

/* Returns whether the name is ".NAME.XXXXXX.part", as a killed run leaves it. */
static bool is_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	size_t bytes = strlen(base);

	return base[0] == '.' && bytes > 5 && strcmp(base + bytes - 5, ".part") == 0;
}

static void print_repair(const char *path, bool dry_run, const struct cw_repair *repair)
{
	char cut[CW_NUMBER_BYTES], packets[CW_NUMBER_BYTES], kept[CW_NUMBER_BYTES];
	const char *plural = cw_plural(repair->packets);

	cw_format_count(repair->file_bytes - repair->kept_bytes, cut);
	cw_format_count(repair->packets, packets);
	cw_format_count(repair->kept_bytes, kept);
	if (!repair->torn[0])
		cw_print(stdout, "%s: intact: %s packet%s, %s bytes\n", path, packets, plural,
			 kept);
	else
		cw_print(stdout, "%s: %s %s byte%s (%s); %s packet%s, %s bytes %s\n", path,
			 dry_run ? "incomplete, would remove" : "removed", cut,
			 cw_plural(repair->file_bytes - repair->kept_bytes), repair->torn, packets,
			 plural, kept, dry_run ? "would be kept" : "are kept");
	if (!dry_run && is_part(path))
		cw_print(stdout, "%s: still has its temporary name: rename it with mv\n", path);
}

static json_t *repair_json(const char *path, const struct cw_repair *repair,
			   const struct cw_error *error)
{
	bool is_torn = repair->torn[0];

	return json_pack("{s:o, s:s, s:I, s:I, s:I, s:b, s:b, s:o, s:o}", "file",
			 cw_json_text(path), "format", repair->format, "packets",
			 (json_int_t)repair->packets, "file_bytes", (json_int_t)repair->file_bytes,
			 "kept_bytes", (json_int_t)repair->kept_bytes, "is_torn", is_torn, "is_cut",
			 repair->is_cut, "torn", cw_json_text(is_torn ? repair->torn : NULL),
			 "error", cw_json_text(error->code ? error->text : NULL));
}

int cw_command_repair(const struct cw_arguments *arguments)
{
	json_t *list = arguments->json ? json_array() : NULL;
	int status = CW_EXIT_COMPLETE;

	if (!arguments->rest.count)
		return cw_refuse("nothing to repair: give capture files");
	if (arguments->json && !list)
		return cw_complain_no_memory();
	for (uint32_t index = 0; index < arguments->rest.count; index++) {
		const char *path = arguments->rest.words[index];
		struct cw_error error = {0};
		struct cw_repair repair;
		int result = cw_repair_file(path, arguments->dry_run, &repair, &error);

		if (result < 0)
			cw_complain("%s", error.text);
		else if (!list)
			print_repair(path, arguments->dry_run, &repair);
		if (list)
			json_array_append_new(list, repair_json(path, &repair, &error));
		if (result < 0 || (arguments->dry_run && repair.torn[0]))
			status = CW_EXIT_PROBLEM;
	}
	if (list && cw_json_print(list, JSON_INDENT(1), ""))
		status = CW_EXIT_PROBLEM;
	return status;
}
