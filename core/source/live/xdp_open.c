/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opening a device with AF_XDP: what it is, the program, then for each of its queues memory, rings
 * and a socket. The program is first, since it tells whether the driver takes one, and then which
 * ways there are to bind; until a queue is let in by the map, its packets go their usual way.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <linux/if_xdp.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "core/net/ethtool.h"
#include "core/packet/linktype.h"
#include "core/source/live/xdp_parts.h"

#define USE_PIECES (1u << 4) /* XDP_USE_SG, Linux 6.6 */
#define LINK_BYTES 22u       /* a header with two tags, in front of the MTU's octets */
#define COMPLETION_ENTRIES 64u
/* The kernel frees a queue some time after its last socket was closed. */
#define BUSY_TRIES 50u
#define BUSY_WAIT_MS 10

/* ---- the device ---- */

static int ask(const struct cw_live_xdp *live, unsigned long question, struct ifreq *answer,
	       struct cw_error *error)
{
	*answer = (struct ifreq){0};
	memcpy(answer->ifr_name, live->base.device, sizeof(answer->ifr_name));
	if (ioctl(live->device_fd, question, answer) < 0)
		return cw_error_set_errno(error, -errno, "capturing on %s", live->base.device);
	return 0;
}

static int open_device_socket(struct cw_live_xdp *live, struct cw_error *error)
{
	live->device_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* receives nothing */
	if (live->device_fd >= 0)
		return 0;
	return cw_error_set(error, errno == EACCES ? -EPERM : -errno,
			    "capturing on %s with AF_XDP needs the capabilities CAP_NET_ADMIN, "
			    "CAP_NET_RAW and CAP_BPF: run as root",
			    live->base.device);
}

static int find_device(struct cw_live_xdp *live, struct cw_error *error)
{
	struct cw_live_info *info = &live->base.info;
	const char *device = live->base.device;
	struct ifreq answer;
	int result = ask(live, SIOCGIFINDEX, &answer, error);

	if (result < 0)
		return result;
	info->device_index = answer.ifr_ifindex;
	result = ask(live, SIOCGIFFLAGS, &answer, error);
	if (result < 0)
		return result;
	if (!(answer.ifr_flags & IFF_UP))
		return cw_error_set(error, -ENETDOWN,
				    "device %s is down: bring it up with 'ip link set %s up'",
				    device, device);
	info->is_loopback = answer.ifr_flags & IFF_LOOPBACK;
	result = ask(live, SIOCGIFMTU, &answer, error);
	if (result < 0)
		return result;
	live->mtu = (uint32_t)answer.ifr_mtu;
	result = ask(live, SIOCGIFHWADDR, &answer, error);
	if (result < 0)
		return result;
	if (answer.ifr_hwaddr.sa_family != ARPHRD_ETHER &&
	    answer.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		return cw_error_set(
		    error, -EPROTONOSUPPORT,
		    "device %s is no Ethernet device (ARPHRD %u): AF_XDP is not for "
		    "it",
		    device, answer.ifr_hwaddr.sa_family);
	info->linktype = CW_LINKTYPE_ETHERNET;
	return 0;
}

/* As long as the device's socket lives. */
static int set_promiscuous(const struct cw_live_xdp *live, struct cw_error *error)
{
	struct packet_mreq request = {.mr_ifindex = live->base.info.device_index,
				      .mr_type = PACKET_MR_PROMISC};

	if (setsockopt(live->device_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request,
		       sizeof(request)) == 0)
		return 0;
	return cw_error_set_errno(error, -errno, "making %s promiscuous", live->base.device);
}

/* ---- one queue ---- */

/* Ways to bind, best first. Without pieces only where no packet needs them. */
static const struct {
	uint16_t flags;
	bool is_zero_copy, has_pieces;
} ways[] = {
    {XDP_ZEROCOPY | XDP_USE_NEED_WAKEUP | USE_PIECES, true, true},
    {XDP_ZEROCOPY | XDP_USE_NEED_WAKEUP, true, false},
    {XDP_COPY | XDP_USE_NEED_WAKEUP | USE_PIECES, false, true},
    {XDP_COPY | XDP_USE_NEED_WAKEUP, false, false},
};

static bool is_open_way(const struct cw_live_xdp *live, size_t way)
{
	bool is_long =
	    live->mtu + LINK_BYTES > live->base.info.block_bytes - CW_XDP_FRAME_EXTRA_BYTES;

	if (ways[way].is_zero_copy)
		return !live->base.info.is_generic && (ways[way].has_pieces || !is_long);
	return true;
}

/* 0 or -errno; undone by cw_xdp_queue_close. */
static int bind_queue(struct cw_live_xdp *live, uint32_t index, size_t way)
{
	struct cw_xdp_queue *queue = &live->queues[index];
	uint32_t frame_count = live->base.info.block_count;
	struct xsk_umem_config umem = {.fill_size = frame_count,
				       .comp_size = COMPLETION_ENTRIES,
				       .frame_size = (uint32_t)live->base.info.block_bytes,
				       .frame_headroom = sizeof(struct cw_xdp_stamp)};
	struct xsk_socket_config config = {.rx_size = frame_count,
					   .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
					   .bind_flags = ways[way].flags};
	int result;

	queue->memory = cw_xdp_memory_new(umem.frame_size, frame_count);
	if (!queue->memory)
		return -errno;
	result = xsk_umem__create(&queue->umem, queue->memory->base, queue->memory->frames_bytes,
				  &queue->fill, &queue->completion, &umem);
	if (result < 0)
		return result;
	result = xsk_socket__create(&queue->socket, live->base.device, index, queue->umem,
				    &queue->rx, NULL, &config);
	if (result < 0)
		return result;
	queue->fd = xsk_socket__fd(queue->socket);
	cw_xdp_queue_start(queue);
	return 0;
}

static int refuse_queue(const struct cw_live_xdp *live, uint32_t index, int code,
			struct cw_error *error)
{
	const char *device = live->base.device;

	if (code == -EBUSY)
		return cw_error_set(
		    error, code, "queue %u of %s has an AF_XDP socket already, of another program",
		    index, device);
	if (code == -ENOMEM || code == -ENOBUFS)
		return cw_error_set(error, -ENOMEM,
				    "no memory for even %u frames of %zu bytes for queue %u of %s "
				    "(ulimit -l is a limit too): take fewer queues",
				    live->base.info.block_count, live->base.info.block_bytes, index,
				    device);
	return cw_error_set_errno(error, code, "binding an AF_XDP socket to queue %u of %s", index,
				  device);
}

/* The first way that goes, from the last queue's on; with half the frames while memory is short. */
static int open_queue(struct cw_live_xdp *live, uint32_t index, struct cw_error *error)
{
	struct cw_live_info *info = &live->base.info;
	uint32_t busy_tries = BUSY_TRIES;
	int result = -EOPNOTSUPP;

	while (live->way < CW_ARRAY_COUNT(ways)) {
		if (!is_open_way(live, live->way)) {
			live->way++;
			continue;
		}
		result = bind_queue(live, index, live->way);
		if (result == 0)
			break;
		cw_xdp_queue_close(&live->queues[index]);
		if (result == -EPERM || (result == -EBUSY && busy_tries-- == 0))
			break;
		if (result == -EBUSY)
			(void)poll(NULL, 0, BUSY_WAIT_MS);
		else if (result != -ENOMEM && result != -ENOBUFS)
			live->way++;
		else if (info->block_count / 2 >= CW_XDP_FRAMES_MIN)
			info->block_count /= 2;
		else
			break;
	}
	if (result < 0)
		return refuse_queue(live, index, result, error);
	info->is_zero_copy = ways[live->way].is_zero_copy;
	return 0;
}

/* ---- all of them ---- */

/* A queue without a socket would keep its packets from us: as many as the device has. */
static int choose_queues(struct cw_live_xdp **live, uint32_t asked, struct cw_error *error)
{
	uint32_t count = cw_ethtool_rx_queues((*live)->device_fd, (*live)->base.device);
	struct cw_live_xdp *larger;
	size_t bytes;

	if (count == 0)
		count = 1;
	if (count > CW_LIVE_QUEUES_MAX)
		return cw_live_refuse(error, (*live)->base.device, "the device's number of queues",
				      count, 1, CW_LIVE_QUEUES_MAX);
	if (asked && asked != count)
		return cw_error_set(
		    error, -EINVAL,
		    "device %s has %u receive queues, and AF_XDP takes as many, not "
		    "%u: change the device's with 'ethtool -L'",
		    (*live)->base.device, count, asked);
	bytes = sizeof(*larger) + count * sizeof(larger->queues[0]);
	bytes = (bytes + CW_CACHE_LINE - 1) & ~(size_t)(CW_CACHE_LINE - 1);
	larger = aligned_alloc(CW_CACHE_LINE, bytes);
	if (!larger)
		return cw_error_set_errno(error, -ENOMEM, "capturing on %s", (*live)->base.device);
	memset(larger, 0, bytes);
	*larger = **live;
	larger->base.info.queue_count = count;
	for (uint32_t i = 0; i < count; i++)
		larger->queues[i].fd = -1;
	free(*live);
	*live = larger;
	return 0;
}

/* The size of a frame, and how many: a power of two, as the rings are. */
static int choose_frames(struct cw_live_xdp *live, const struct cw_live_options *options,
			 struct cw_error *error)
{
	struct cw_live_info *info = &live->base.info;
	uint64_t memory_bytes = (uint64_t)info->block_bytes * info->block_count;
	struct sysinfo memory;
	uint32_t count;
	uint64_t most;

	info->block_bytes = live->mtu + LINK_BYTES + CW_XDP_FRAME_EXTRA_BYTES <= 2048 ? 2048 : 4096;
	for (count = CW_XDP_FRAMES_MAX;
	     count > CW_XDP_FRAMES_MIN && (uint64_t)count * info->block_bytes > memory_bytes;)
		count /= 2;
	if (sysinfo(&memory) < 0)
		return cw_error_set_errno(error, -errno, "asking how much memory there is");
	/* Beyond this the kernel would end processes to find memory, rather than refuse. */
	most = cw_live_memory_most(options, (uint64_t)memory.totalram * memory.mem_unit);
	info->block_count = count;
	while (info->block_count > CW_XDP_FRAMES_MIN && cw_live_memory_bytes(info) > most)
		info->block_count /= 2;
	if (cw_live_memory_bytes(info) > most)
		return cw_live_refuse_memory(info, live->base.device, most, error);
	return 0;
}

/* What was asked for and is not so. */
static int warn(const struct cw_live_xdp *live, uint32_t asked_count, struct cw_error *error)
{
	const struct cw_live_info *info = &live->base.info;
	const char *device = live->base.device;

	if (info->block_count < asked_count)
		cw_error_set(error, 0,
			     "no memory for %u frames of %zu bytes for each of %u queues on %s: "
			     "some have only %u",
			     asked_count, info->block_bytes, info->queue_count, device,
			     info->block_count);
	else if (info->is_generic)
		cw_error_set(error, 0,
			     "the driver of %s runs no XDP programs as it is: AF_XDP in generic "
			     "mode, which is no faster than packet rings",
			     device);
	else if (!info->is_zero_copy)
		cw_error_set(error, 0,
			     "the driver of %s does not write to our memory: AF_XDP with one copy",
			     device);
	else
		return 0;
	return CW_LIVE_WARNED;
}

static int let_in(struct cw_live_xdp *live, struct cw_error *error)
{
	int result;

	for (uint32_t i = 0; i < live->base.info.queue_count; i++) {
		result = cw_live_xdp_let_in(live, i);
		if (result < 0)
			return cw_error_set_errno(error, result,
						  "directing queue %u of %s to its socket", i,
						  live->base.device);
	}
	return 0;
}

/* *live changes: it grows by its queues. */
static int open_all(struct cw_live_xdp **live, struct cw_ifaces *ifaces,
		    const struct cw_live_options *options, struct cw_error *error)
{
	uint32_t i, asked_count;
	int result = open_device_socket(*live, error);

	if (result == 0)
		result = find_device(*live, error);
	if (result == 0)
		result = choose_queues(live, options->queue_count, error);
	if (result == 0)
		result = choose_frames(*live, options, error);
	if (result == 0)
		result = cw_live_xdp_attach(*live, error);
	asked_count = (*live)->base.info.block_count;
	for (i = 0; i < (*live)->base.info.queue_count && result == 0; i++)
		result = open_queue(*live, i, error);
	if (result == 0 && options->promiscuous)
		result = set_promiscuous(*live, error);
	if (result == 0)
		result = cw_live_add_iface(&(*live)->base, ifaces, options->input, true, error);
	for (i = 0; i < (*live)->base.info.queue_count && result == 0; i++) {
		struct cw_xdp_queue *queue = &(*live)->queues[i];

		queue->wake_fd = options->wake_fd;
		queue->layout = (struct cw_layout){.is_frames = 1,
						   .iface_base = (*live)->base.info.iface,
						   .iface_count = 1,
						   .caplen_max = (*live)->base.info.snaplen,
						   .caplen_cut = (*live)->base.info.snaplen,
						   .ifaces = ifaces};
	}
	if (result == 0)
		result = let_in(*live, error);
	return result < 0 ? result : warn(*live, asked_count, error);
}

static int refuse_options(const struct cw_live_options *options, struct cw_error *error)
{
	if (strlen(options->device) >= IFNAMSIZ)
		return cw_error_set(error, -ENODEV, "capturing on '%s': no such device",
				    options->device);
	if (options->direction == CW_LIVE_OUT)
		return cw_error_set(error, -EOPNOTSUPP,
				    "capturing on %s: AF_XDP has only what comes in; packet rings "
				    "have what goes out",
				    options->device);
	if (options->clock == CW_LIVE_CLOCK_ADAPTER)
		return cw_error_set(error, -EOPNOTSUPP,
				    "capturing on %s: AF_XDP does not read the device's clock: use "
				    "the host's",
				    options->device);
	return 0;
}

int cw_live_xdp_open(struct cw_live **opened, struct cw_ifaces *ifaces,
		     const struct cw_live_options *options, struct cw_error *error)
{
	libbpf_print_fn_t bpf_print;
	libxdp_print_fn_t xdp_print;
	struct cw_live_xdp *live;
	struct cw_live_info info;
	int result = cw_live_info_init(&info, options, error);

	if (result == 0)
		result = refuse_options(options, error);
	if (result < 0)
		return result;
	live = aligned_alloc(CW_CACHE_LINE, sizeof(*live)); /* whole lines, by its queues */
	if (!live)
		return cw_error_set_errno(error, -ENOMEM, "capturing on %s", options->device);
	memset(live, 0, sizeof(*live));
	live->base.ops = &cw_live_xdp_ops;
	memcpy(live->base.device, options->device, strlen(options->device));
	live->base.info = info;
	live->base.info.backend = CW_LIVE_XDP;
	live->base.info.queue_count = 0;
	live->device_fd = live->map_fd = live->program_fd = live->link_fd = -1;
	/* The libraries would print what we try and have another way for. */
	bpf_print = libbpf_set_print(NULL);
	xdp_print = libxdp_set_print(NULL);
	result = open_all(&live, ifaces, options, error);
	libbpf_set_print(bpf_print);
	libxdp_set_print(xdp_print);
	if (result < 0) {
		cw_live_xdp_ops.close(&live->base);
		return result;
	}
	*opened = &live->base;
	return result;
}
