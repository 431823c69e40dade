/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends faster than a socket can: the kernel runs a BPF program on a frame repeatedly and sends the
 * frame each time without a socket buffer (BPF_PROG_TEST_RUN with live frames, Linux 5.18). Frames
 * are those of tests/live/sender.c, all with one number; the last byte of the source address is
 * random.
 *
 *	live_flood DEVICE SECONDS BYTES
 *
 * Prints one line of JSON: frames sent, and seconds.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/clock.h"
#include "tests/rig/stamp.h"

#define FRAMES_A_CALL 1000000u /* setting up a call costs as much as 30,000 frames */
#define FRAMES_A_BATCH 64u
#define HOSTS 128       /* a power of two */
#define ADDRESS_LAST 29 /* last byte of the source: Ethernet, and 15 bytes of IPv4 */

#define OPERATION(operation, to, from, at, value)                                     \
	{                                                                             \
		.code = (operation), .dst_reg = (to), .src_reg = (from), .off = (at), \
		.imm = (value)                                                        \
	}

static int load_program(void)
{
	const struct bpf_insn program[] = {
	    /* sets the address's byte, after the bounds check that the verifier demands */
	    /* 0 */ OPERATION(BPF_LDX | BPF_W | BPF_MEM, 6, 1, offsetof(struct xdp_md, data), 0),
	    /* 1 */
	    OPERATION(BPF_LDX | BPF_W | BPF_MEM, 7, 1, offsetof(struct xdp_md, data_end), 0),
	    /* 2 */ OPERATION(BPF_ALU64 | BPF_MOV | BPF_X, 2, 6, 0, 0),
	    /* 3 */ OPERATION(BPF_ALU64 | BPF_ADD | BPF_K, 2, 0, 0, ADDRESS_LAST + 1),
	    /* 4 */ OPERATION(BPF_JMP | BPF_JGT | BPF_X, 2, 7, 3, 0),
	    /* 5 */ OPERATION(BPF_JMP | BPF_CALL, 0, 0, 0, BPF_FUNC_get_prandom_u32),
	    /* 6 */ OPERATION(BPF_ALU64 | BPF_AND | BPF_K, 0, 0, 0, HOSTS - 1),
	    /* 7 */ OPERATION(BPF_STX | BPF_B | BPF_MEM, 6, 0, ADDRESS_LAST, 0),
	    /* 8 */ OPERATION(BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, XDP_TX),
	    /* 9 */ OPERATION(BPF_JMP | BPF_EXIT, 0, 0, 0, 0),
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "flood", "Dual BSD/GPL", program,
			     sizeof(program) / sizeof(program[0]), NULL);
}

static double now_s(void)
{
	return (double)cw_now_ns() * 1e-9;
}

int main(int argc, char **argv)
{
	static uint8_t frame[STAMP_FRAME_MAX];
	double seconds = argc == 4 ? atof(argv[2]) : 0, start_s, elapsed_s;
	struct stamp_shape shape = {.bytes = argc == 4 ? (uint32_t)atoi(argv[3]) : 0,
				    .flows = 1,
				    .vlan = STAMP_TAG_NONE,
				    .outer = STAMP_TAG_NONE};
	struct xdp_md context = {.ingress_ifindex = argc == 4 ? if_nametoindex(argv[1]) : 0};
	LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame, .ctx_in = &context,
		    .ctx_size_in = sizeof(context), .repeat = FRAMES_A_CALL,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = FRAMES_A_BATCH);
	unsigned long long sent = 0;
	int program_fd;

	if (seconds <= 0 || shape.bytes < 60 || shape.bytes > 1514 || !context.ingress_ifindex) {
		fprintf(stderr, "usage: live_flood DEVICE SECONDS BYTES (60 to 1514)\n");
		return 2;
	}
	options.data_size_in = (uint32_t)stamp_build(frame, &shape, 0);
	context.data_end = options.data_size_in;
	program_fd = load_program();
	if (program_fd < 0) {
		fprintf(stderr, "live_flood: cannot load the BPF program: %s\n",
			strerror(-program_fd));
		return 1;
	}
	start_s = now_s();
	while ((elapsed_s = now_s() - start_s) < seconds) {
		int result = bpf_prog_test_run_opts(program_fd, &options);

		if (result == 0)
			sent += FRAMES_A_CALL;
		else if (result != -EAGAIN && result != -EINTR) {
			fprintf(stderr, "live_flood: cannot send: %s\n", strerror(-result));
			return 1;
		}
	}
	printf("{\"sent\": %llu, \"elapsed_s\": %.6f}\n", sent, elapsed_s);
	return 0;
}
