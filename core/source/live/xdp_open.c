/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opens an interface with AF_XDP: its type, the program, then memory, kernel rings and a socket for
 * each queue. The program goes first: whether the driver accepts it decides the possible ways to
 * bind. Until the map has a socket for a queue, the queue's packets pass to the host.
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
#define LINK_BYTES 22u       /* a link-layer header with two tags, not part of the MTU */
#define COMPLETION_ENTRIES 64u
/* The kernel frees a queue some time after its last socket is closed. */
#define BUSY_TRIES 50u
#define BUSY_WAIT_MS 10

/* ---- the interface ---- */

static int ask(const struct cw_live_xdp *live, unsigned long question, struct ifreq *answer,
	       struct cw_error *error)
{
	*answer = (struct ifreq){0};
	memcpy(answer->ifr_name, live->base.device, sizeof(answer->ifr_name));
	if (ioctl(live->device_fd, question, answer) < 0)
		return cw_error_set_errno(error, -errno, "cannot capture on %s", live->base.device);
	return 0;
}

static int open_device_socket(struct cw_live_xdp *live, struct cw_error *error)
{
	live->device_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* receives nothing */
	if (live->device_fd >= 0)
		return 0;
	return cw_error_set(
	    error, errno == EACCES ? -EPERM : -errno,
	    "cannot capture on %s with AF_XDP without the capabilities CAP_NET_ADMIN, "
	    "CAP_NET_RAW and CAP_BPF. Run as root",
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
				    "interface %s is down: bring it up with 'ip link set %s up'",
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
		    "cannot capture on %s with AF_XDP: it is not an Ethernet interface (ARPHRD %u)",
		    device, answer.ifr_hwaddr.sa_family);
	info->linktype = CW_LINKTYPE_ETHERNET;
	return 0;
}

/* Sets promiscuous mode, which lasts as long as device_fd. */
static int set_promiscuous(const struct cw_live_xdp *live, struct cw_error *error)
{
	struct packet_mreq request = {.mr_ifindex = live->base.info.device_index,
				      .mr_type = PACKET_MR_PROMISC};

	if (setsockopt(live->device_fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request,
		       sizeof(request)) == 0)
		return 0;
	return cw_error_set_errno(error, -errno, "cannot set promiscuous mode on %s",
				  live->base.device);
}

/* ---- one queue ---- */

/* Ways to bind, best first. A way without pieces needs frames for the longest packets. */
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

/* Opens a queue in one way. Returns 0 or -errno; then call cw_xdp_queue_close. */
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
		    error, code,
		    "cannot capture on queue %u of %s: another program has an AF_XDP socket on it",
		    index, device);
	if (code == -ENOMEM || code == -ENOBUFS)
		return cw_error_set(error, -ENOMEM,
				    "no memory for even %u frames of %zu bytes for queue %u of %s. "
				    "Check ulimit -l, or reduce the number of queues",
				    live->base.info.block_count, live->base.info.block_bytes, index,
				    device);
	return cw_error_set_errno(error, code, "cannot bind an AF_XDP socket to queue %u of %s",
				  index, device);
}

/* Opens a queue in the first way that works, from the last queue's way on. Halves the frames while
 * memory is short. */
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

/* ---- all queues ---- */

/* Sets the number of queues to the interface's: a queue without a socket would lose packets. */
static int choose_queues(struct cw_live_xdp **live, uint32_t asked, struct cw_error *error)
{
	uint32_t count = cw_ethtool_rx_queues((*live)->device_fd, (*live)->base.device);
	struct cw_live_xdp *larger;
	size_t bytes;

	if (count == 0)
		count = 1;
	if (count > CW_LIVE_QUEUES_MAX)
		return cw_live_refuse(error, (*live)->base.device, "number of receive queues",
				      count, 1, CW_LIVE_QUEUES_MAX);
	if (asked && asked != count)
		return cw_error_set(
		    error, -EINVAL,
		    "interface %s has %u receive queues, and AF_XDP needs all of them, not %u: "
		    "change their number with 'ethtool -L'",
		    (*live)->base.device, count, asked);
	bytes = sizeof(*larger) + count * sizeof(larger->queues[0]);
	bytes = (bytes + CW_CACHE_LINE - 1) & ~(size_t)(CW_CACHE_LINE - 1);
	larger = aligned_alloc(CW_CACHE_LINE, bytes);
	if (!larger)
		return cw_error_set_errno(error, -ENOMEM, "cannot capture on %s",
					  (*live)->base.device);
	memset(larger, 0, bytes);
	*larger = **live;
	larger->base.info.queue_count = count;
	for (uint32_t i = 0; i < count; i++)
		larger->queues[i].fd = -1;
	free(*live);
	*live = larger;
	return 0;
}

/* Sets the size of a frame, and the number of frames: a power of two, like the kernel rings. */
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
		return cw_error_set_errno(error, -errno, "cannot read the machine's memory size");
	/* For more, the kernel would kill processes to free memory instead of refusing. */
	most = cw_live_memory_most(options, (uint64_t)memory.totalram * memory.mem_unit);
	info->block_count = count;
	while (info->block_count > CW_XDP_FRAMES_MIN && cw_live_memory_bytes(info) > most)
		info->block_count /= 2;
	if (cw_live_memory_bytes(info) > most)
		return cw_live_refuse_memory(info, live->base.device, most, error);
	return 0;
}

/* Warns of settings other than the requested ones. Returns 0 or CW_LIVE_WARNED. */
static int warn(const struct cw_live_xdp *live, uint32_t asked_count, struct cw_error *error)
{
	const struct cw_live_info *info = &live->base.info;
	const char *device = live->base.device;

	if (info->block_count < asked_count)
		cw_error_set(error, 0,
			     "no memory for %u frames of %zu bytes for each of %u queues on %s: "
			     "some queues have only %u",
			     asked_count, info->block_bytes, info->queue_count, device,
			     info->block_count);
	else if (info->is_generic)
		cw_error_set(
		    error, 0,
		    "the driver of %s cannot run XDP programs as configured: AF_XDP runs in "
		    "generic mode, which is not faster than the packet backend",
		    device);
	else if (!info->is_zero_copy)
		cw_error_set(
		    error, 0,
		    "the driver of %s does not support zero-copy: AF_XDP copies each packet "
		    "once",
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
						  "cannot direct queue %u of %s to its socket", i,
						  live->base.device);
	}
	return 0;
}

/* Opens everything. Replaces *live by a larger one, with queues. */
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
		return cw_error_set(error, -ENODEV, "cannot capture on '%s': no such interface",
				    options->device);
	if (options->direction == CW_LIVE_OUT)
		return cw_error_set(
		    error, -EOPNOTSUPP,
		    "cannot capture outgoing packets on %s: AF_XDP has only incoming "
		    "ones. Use the packet backend",
		    options->device);
	if (options->clock == CW_LIVE_CLOCK_ADAPTER)
		return cw_error_set(
		    error, -EOPNOTSUPP,
		    "cannot capture on %s with the adapter's clock: AF_XDP does not "
		    "read it. Use the host's clock",
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
	live = aligned_alloc(CW_CACHE_LINE, sizeof(*live)); /* a multiple of a cache line */
	if (!live)
		return cw_error_set_errno(error, -ENOMEM, "cannot capture on %s", options->device);
	memset(live, 0, sizeof(*live));
	live->base.ops = &cw_live_xdp_ops;
	memcpy(live->base.device, options->device, strlen(options->device));
	live->base.info = info;
	live->base.info.backend = CW_LIVE_XDP;
	live->base.info.queue_count = 0;
	live->device_fd = live->map_fd = live->program_fd = live->link_fd = -1;
	/* The libraries would print failures of attempts that have a fallback. */
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
