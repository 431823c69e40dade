/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests at the control socket: any bytes are parsed, or refused with a message. */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/control/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void check(const char *line, size_t bytes)
{
	struct cw_control_request request;
	struct cw_error error = {0};
	int result = cw_control_parse(line, bytes, &request, &error);

	if ((result != 0 && result != -EINVAL) || (result < 0 && !error.text[0]) ||
	    (result == 0 && (request.command >= CW_CONTROL_COMMANDS ||
			     memchr(request.rule, 0, sizeof(request.rule)) == NULL)))
		abort();
}

/* The first byte chooses a frame for the others, which chance would not find. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const char *const fronts[] = {"", "{\"command\": \"", "{\"command\": \"stats\", ",
					     "{\"command\": \"rotate\", \"rule\": \"",
					     "{\"command\": \"log\", \"level\": \""};
	static const char *const backs[] = {"", "\"}", "}"};
	const char *front, *back;
	size_t front_bytes, back_bytes;
	char *line;

	if (bytes == 0)
		return 0;
	front = fronts[data[0] % CW_ARRAY_COUNT(fronts)];
	back = backs[data[0] / 16 % CW_ARRAY_COUNT(backs)];
	front_bytes = strlen(front);
	back_bytes = strlen(back);
	/* No terminator, as in the server's buffer: bytes after the end must not be read. */
	line = malloc(front_bytes + bytes - 1 + back_bytes + (bytes == 1));
	if (!line)
		return 0;
	memcpy(line, front, front_bytes);
	memcpy(line + front_bytes, data + 1, bytes - 1);
	memcpy(line + front_bytes + bytes - 1, back, back_bytes);
	check(line, front_bytes + bytes - 1 + back_bytes);
	free(line);
	return 0;
}
