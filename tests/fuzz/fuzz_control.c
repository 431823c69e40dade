/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket's requests: whatever comes, one is understood or refused in words. */
#include <errno.h>
#include <stdlib.h>

#include "pipeline/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	/* As it stands in the server's buffer: not ended, and what is behind it must not be read. */
	char *line = malloc(bytes ? bytes : 1);
	struct cw_control_request request;
	struct cw_error error = {0};
	int result;

	if (!line)
		return 0;
	if (bytes)
		memcpy(line, data, bytes);
	result = cw_control_parse(line, bytes, &request, &error);
	if ((result != 0 && result != -EINVAL) || (result < 0 && !error.text[0]) ||
	    (result == 0 && (request.command >= CW_CONTROL_COMMANDS ||
			     memchr(request.rule, 0, sizeof(request.rule)) == NULL)))
		abort();
	free(line);
	return 0;
}
