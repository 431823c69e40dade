/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the kernel takes with a filter's program for the kernel is all that the filter takes: random
 * programs and expressions, random packets that are cut here and whole there. The kernel is this
 * machine's: each packet is sent through a pair of local sockets, one of them with the filter.
 */
#include <errno.h>
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/filter/filter.h"
#include "tests/rig/filter_random.h"
#include "tests/rig/filter_sets.h"

#define PROGRAMS 1500u
#define PACKETS_EACH 40u

struct kernel {
	int sender, receiver;
};

static void kernel_init(struct kernel *kernel)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
	kernel->sender = fds[0];
	kernel->receiver = fds[1];
}

static void kernel_fini(struct kernel *kernel)
{
	close(kernel->sender);
	close(kernel->receiver);
}

static int kernel_attach(struct kernel *kernel, const struct bpf_insn *program, uint32_t count)
{
	struct sock_filter *copy = calloc(count, sizeof(*copy));
	struct sock_fprog request = {.len = (unsigned short)count, .filter = copy};
	int result;

	assert_non_null(copy);
	memcpy(copy, program, count * sizeof(*copy)); /* the two structs are one */
	result =
	    setsockopt(kernel->receiver, SOL_SOCKET, SO_ATTACH_FILTER, &request, sizeof(request))
		? -errno
		: 0;
	free(copy);
	return result;
}

static bool kernel_takes(struct kernel *kernel, const uint8_t *data, uint32_t bytes)
{
	uint8_t ignored;

	assert_int_equal(send(kernel->sender, data, bytes, MSG_DONTWAIT), bytes);
	return recv(kernel->receiver, &ignored, sizeof(ignored), MSG_DONTWAIT) > 0;
}

static struct cw_filter *make_filter(struct random *random, uint32_t number)
{
	struct cw_filter_options options = {.linktype = 1, .unoptimized = random_is(random, 3)};
	struct cw_filter *filter = NULL;

	if (number % 2) {
		struct bpf_insn program[RANDOM_PROGRAM_MAX];
		uint32_t count = random_program(random, program);

		cw_filter_from_program(&filter, program, count, NULL);
	} else {
		char expression[SETS_EXPRESSION_BYTES];

		sets_expression(random, "random", number, expression);
		if (cw_filter_compile(&filter, expression, &options, NULL) < 0)
			filter = NULL;
	}
	return filter;
}

static void the_kernel_takes_all_that_the_filter_takes(void **state)
{
	struct random random = {random_seed("the_kernel_takes_all_that_the_filter_takes")};
	uint32_t number, tried = 0, taken = 0, left_out = 0;
	struct kernel kernel;

	(void)state;
	kernel_init(&kernel);
	for (number = 0; number < PROGRAMS; number++) {
		struct cw_filter *filter = make_filter(&random, number);
		struct bpf_insn *program = NULL;
		uint32_t count = 0, i;

		if (!filter)
			continue;
		if (cw_filter_kernel_program(filter, &program, &count) < 0 ||
		    kernel_attach(&kernel, program, count) < 0) {
			free(program);
			cw_filter_free(filter);
			continue;
		}
		tried++;
		for (i = 0; i < PACKETS_EACH; i++) {
			uint8_t bytes[RANDOM_PACKET_MAX];
			uint32_t length = sets_packet(&random, bytes);
			uint32_t caplen =
			    random_is(&random, 2) ? length : random_below(&random, length + 1);
			bool here = cw_filter_match(filter, bytes, caplen, length) != 0;
			bool there = kernel_takes(&kernel, bytes, length);

			assert_false(here && !there);
			taken += here;
			left_out += !there;
		}
		free(program);
		cw_filter_free(filter);
	}
	printf("%u filters in the kernel, %u packets taken here, %u left out there\n", tried, taken,
	       left_out);
	/* The test means something: filters of both kinds came through, and tell packets apart. */
	assert_true(tried > PROGRAMS / 4);
	assert_true(taken > 1000);
	assert_true(left_out > 1000);
	kernel_fini(&kernel);
}

static void what_the_kernel_does_otherwise_is_refused(void **state)
{
	static const struct bpf_insn shift[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_MISC | BPF_TAX, 0),
	    BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0), BPF_STMT(BPF_RET | BPF_K, 1)};
	static const struct bpf_insn ret_a[] = {BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
						BPF_STMT(BPF_RET | BPF_A, 0)};
	struct bpf_insn *program;
	struct cw_filter *filter;
	uint32_t count;

	(void)state;
	assert_int_equal(cw_filter_from_program(&filter, shift, 4, NULL), 0);
	assert_int_equal(cw_filter_kernel_program(filter, &program, &count), -EOPNOTSUPP);
	cw_filter_free(filter);
	assert_int_equal(cw_filter_from_program(&filter, ret_a, 2, NULL), 0);
	assert_int_equal(cw_filter_kernel_program(filter, &program, &count), -EOPNOTSUPP);
	cw_filter_free(filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_kernel_takes_all_that_the_filter_takes),
	    cmocka_unit_test(what_the_kernel_does_otherwise_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
