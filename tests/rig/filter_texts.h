/* SPDX-License-Identifier: BSD-3-Clause */
/* Expressions of tests/data, compiled or refused. */
#ifndef CW_TESTS_RIG_FILTER_TEXTS_H
#define CW_TESTS_RIG_FILTER_TEXTS_H

#include <dlfcn.h>
#include <netdb.h>

#include "core/filter/bpf/bpf.h"
#include "core/filter/filter.h"
#include "core/filter/text/names.h"
#include "core/packet/linktype.h"
#include "tests/rig/run_tests.h"

#define EXPRESSIONS_PATH CW_ROOT "/tests/data/expressions.txt"
#define PACKET_COUNT 3000u
#define PROGRAM_COUNT 20000u
#define EXPRESSION_BYTES 512u

/* ---- no resolver is asked: libpcap's calls come here ---- */

static uint32_t lookup_count;

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	static int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	struct addrinfo numeric = hints ? *hints : (struct addrinfo){0};

	if (!next) /* the cast goes through a pointer: ISO C has none from object to function */
		*(void **)&next = dlsym(RTLD_NEXT, "getaddrinfo");
	numeric.ai_flags |= AI_NUMERICHOST;
	if (next(node, service, &numeric, result) == 0)
		return 0;
	lookup_count += node != NULL;
	return EAI_NONAME;
}

/* ---- helpers ---- */

static const struct cw_filter_options ethernet = {.linktype = CW_LINKTYPE_ETHERNET};

static inline struct cw_filter *compile(const char *expression,
					const struct cw_filter_options *options)
{
	struct cw_filter *filter = NULL;
	struct cw_error error = {0};

	if (cw_filter_compile(&filter, expression, options, &error) < 0)
		fail_msg("%s", error.text);
	return filter;
}

/* Call `check` for each expression of the data file. */
static inline void for_expressions(void (*check)(const char *expression, void *context),
				   void *context)
{
	FILE *file = fopen(EXPRESSIONS_PATH, "r");
	char line[EXPRESSION_BYTES];
	uint32_t count = 0;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#')
			continue;
		assert_true(line[0]);
		check(line, context);
		count++;
	}
	fclose(file);
	assert_true(count >= 60);
}

#endif
