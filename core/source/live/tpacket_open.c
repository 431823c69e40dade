/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Opens an interface: its type, a socket and kernel ring per queue, the fanout group, the clock.
 *
 * The order matters. A socket can join a group only after bind, and gets all packets from bind
 * until it joins. So each socket has a filter that passes nothing, from before bind until all have
 * joined.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "core/packet/linktype.h"
#include "core/source/live/tpacket_parts.h"

#define FRAME_BYTES 2048u /* unused by TPACKET_V3, but must divide a block */

/* ---- the interface ---- */

static int find_linktype(struct cw_live_rings *live, struct cw_error *error)
{
	int64_t linktype = cw_linktype_from_hardware(live->hardware_type);

	if (linktype < 0)
		return cw_error_set(error, (int)linktype,
				    "the packet backend cannot read the frames of interface %s "
				    "(ARPHRD %u): try libpcap",
				    live->base.device, live->hardware_type);
	live->base.info.linktype = (uint32_t)linktype;
	return 0;
}

static int find_device(struct cw_live_rings *live, int fd, struct cw_error *error)
{
	struct ifreq request = {0};

	memcpy(request.ifr_name, live->base.device, sizeof(request.ifr_name));
	if (ioctl(fd, SIOCGIFINDEX, &request) < 0)
		return cw_error_set_errno(error, -errno, "cannot capture on %s", live->base.device);
	live->base.info.device_index = request.ifr_ifindex;
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return cw_error_set_errno(error, -errno, "cannot read the flags of %s",
					  live->base.device);
	if (!(request.ifr_flags & IFF_UP))
		return cw_error_set(error, -ENETDOWN,
				    "interface %s is down: bring it up with 'ip link set %s up'",
				    live->base.device, live->base.device);
	live->base.info.is_loopback = request.ifr_flags & IFF_LOOPBACK;
	if (ioctl(fd, SIOCGIFHWADDR, &request) < 0)
		return cw_error_set_errno(error, -errno, "cannot read the type of %s",
					  live->base.device);
	live->hardware_type = request.ifr_hwaddr.sa_family;
	return find_linktype(live, error);
}

/* ---- one queue ---- */

static int set_option(const struct cw_live_rings *live, int fd, int option, int value,
		      const char *what, struct cw_error *error)
{
	if (setsockopt(fd, SOL_PACKET, option, &value, sizeof(value)) == 0)
		return 0;
	return cw_error_set_errno(error, -errno, "cannot set %s on %s", what, live->base.device);
}

static int open_socket(int *fd, const char *device, struct cw_error *error)
{
	/* Protocol 0: no packets arrive before bind. */
	*fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (*fd >= 0)
		return 0;
	if (errno == EPERM || errno == EACCES)
		return cw_error_set(
		    error, -EPERM,
		    "cannot capture on %s without the capability CAP_NET_RAW. Run as "
		    "root, or grant it with 'sudo setcap cap_net_raw+ep PROGRAM'",
		    device);
	return cw_error_set_errno(error, -errno, "cannot open a packet socket for %s", device);
}

/*
 * Opens a kernel ring. Halves the number of blocks until the memory suffices: the kernel prefers
 * contiguous memory for each block.
 */
static int open_ring(struct cw_live_rings *live, struct cw_live_queue *queue,
		     struct cw_error *error)
{
	const size_t block_bytes = live->base.info.block_bytes;
	struct tpacket_req3 request = {.tp_block_size = (unsigned int)block_bytes,
				       .tp_frame_size = FRAME_BYTES,
				       .tp_retire_blk_tov = live->base.info.retire_ms};

	for (;;) {
		request.tp_block_nr = live->base.info.block_count;
		request.tp_frame_nr =
		    (unsigned int)(block_bytes / FRAME_BYTES) * live->base.info.block_count;
		if (setsockopt(queue->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) ==
		    0)
			break;
		if (errno != ENOMEM)
			return cw_error_set_errno(error, -errno,
						  "cannot set up a kernel ring of %u blocks of %zu "
						  "bytes on %s",
						  live->base.info.block_count, block_bytes,
						  live->base.device);
		if (live->base.info.block_count / 2 < CW_LIVE_BLOCKS_MIN)
			return cw_error_set(error, -ENOMEM,
					    "no memory for a kernel ring of even %u blocks of %zu "
					    "bytes on %s. Use smaller blocks or fewer queues",
					    live->base.info.block_count, block_bytes,
					    live->base.device);
		live->base.info.block_count /= 2;
	}
	queue->ring = cw_live_ring_new(queue->fd, block_bytes, live->base.info.block_count);
	if (!queue->ring)
		return cw_error_set_errno(error, -errno, "cannot map the kernel ring of %s",
					  live->base.device);
	return 0;
}

static int open_epoll(struct cw_live_queue *queue, const char *device, struct cw_error *error)
{
	struct epoll_event edge = {.events = EPOLLIN | EPOLLET, .data.fd = queue->fd};
	struct epoll_event wake = {.events = EPOLLIN, .data.fd = queue->wake_fd};

	queue->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (queue->epoll_fd >= 0 &&
	    epoll_ctl(queue->epoll_fd, EPOLL_CTL_ADD, queue->fd, &edge) == 0 &&
	    (queue->wake_fd < 0 ||
	     epoll_ctl(queue->epoll_fd, EPOLL_CTL_ADD, queue->wake_fd, &wake) == 0))
		return 0;
	return cw_error_set_errno(error, -errno, "cannot prepare to wait for packets of %s",
				  device);
}

static int open_queue(struct cw_live_rings *live, struct cw_live_queue *queue,
		      const struct cw_live_options *options, struct cw_error *error)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = __builtin_bswap16(ETH_P_ALL),
				      .sll_ifindex = live->base.info.device_index};
	int result = open_socket(&queue->fd, live->base.device, error);

	if (result == 0)
		result =
		    set_option(live, queue->fd, PACKET_VERSION, TPACKET_V3, "TPACKET_V3", error);
	if (result == 0)
		result = set_option(live, queue->fd, PACKET_RESERVE, CW_LIVE_TAG_BYTES,
				    "room for VLAN tags", error);
	if (result == 0 && options->clock == CW_LIVE_CLOCK_ADAPTER)
		result = set_option(live, queue->fd, PACKET_TIMESTAMP,
				    SOF_TIMESTAMPING_RAW_HARDWARE, "the adapter's clock", error);
	if (result == 0)
		result = open_ring(live, queue, error);
	if (result == 0)
		result = open_epoll(queue, live->base.device, error);
	if (result < 0)
		return result;
	result = cw_live_filter_nothing(queue);
	if (result < 0)
		return cw_error_set_errno(error, result, "cannot set a kernel filter on %s",
					  live->base.device);
	if (bind(queue->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return cw_error_set_errno(error, -errno, "cannot bind to %s", live->base.device);
	return 0;
}

/* ---- all queues ---- */

static int join_group(struct cw_live_rings *live, enum cw_live_fanout fanout,
		      struct cw_error *error)
{
	static const uint32_t modes[] = {
	    [CW_FANOUT_HASH] = PACKET_FANOUT_HASH,
	    [CW_FANOUT_CPU] = PACKET_FANOUT_CPU,
	    [CW_FANOUT_QM] = PACKET_FANOUT_QM,
	    [CW_FANOUT_LB] = PACKET_FANOUT_LB,
	    [CW_FANOUT_ROLLOVER] = PACKET_FANOUT_ROLLOVER,
	};
	/* The first socket requests an unused group number; the others use that number. */
	uint32_t group = (modes[fanout] | PACKET_FANOUT_FLAG_UNIQUEID) << 16;
	socklen_t bytes = sizeof(group);

	if (live->base.info.queue_count == 1)
		return 0;
	for (uint32_t i = 0; i < live->base.info.queue_count; i++) {
		int fd = live->queues[i].fd;

		if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &group, sizeof(group)) < 0 ||
		    (i == 0 && getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &group, &bytes) < 0))
			return cw_error_set_errno(error, -errno,
						  "cannot join queue %u of %s to the others", i,
						  live->base.device);
	}
	return 0;
}

static int set_adapter_clock(const struct cw_live_rings *live, int fd, struct cw_error *error)
{
	struct hwtstamp_config config = {.rx_filter = HWTSTAMP_FILTER_ALL};
	struct ifreq request = {.ifr_data = (void *)&config};
	int code;

	memcpy(request.ifr_name, live->base.device, sizeof(request.ifr_name));
	code = ioctl(fd, SIOCSHWTSTAMP, &request) < 0 ? errno : 0;
	if (code == 0 && config.rx_filter != HWTSTAMP_FILTER_NONE)
		return 0;
	if (code == EPERM)
		return cw_error_set(error, -EPERM,
				    "cannot switch on the clock of %s without the capability "
				    "CAP_NET_ADMIN: use the host's clock",
				    live->base.device);
	return cw_error_set(error, -EOPNOTSUPP,
			    "interface %s cannot timestamp all packets with its own clock: use the "
			    "host's clock",
			    live->base.device);
}

/* Sets promiscuous mode, which lasts as long as the first queue's socket. */
static int set_promiscuous(const struct cw_live_rings *live, struct cw_error *error)
{
	struct packet_mreq request = {.mr_ifindex = live->base.info.device_index,
				      .mr_type = PACKET_MR_PROMISC};

	if (setsockopt(live->queues[0].fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &request,
		       sizeof(request)) == 0)
		return 0;
	return cw_error_set_errno(error, -errno, "cannot set promiscuous mode on %s",
				  live->base.device);
}

static int add_iface(struct cw_live_rings *live, struct cw_ifaces *ifaces, uint16_t input,
		     struct cw_error *error)
{
	int result = cw_live_add_iface(&live->base, ifaces, input, true, error);

	for (uint32_t i = 0; i < live->base.info.queue_count && result == 0; i++)
		live->queues[i].layout = (struct cw_layout){.is_ring = 1,
							    .ts_unit_ns = 1,
							    .iface_base = live->base.info.iface,
							    .iface_count = 1,
							    .caplen_max = live->base.info.snaplen,
							    .caplen_cut = live->base.info.snaplen,
							    .ifaces = ifaces};
	return result;
}

/* Sets the final filters, and starts counting. */
static int let_in(struct cw_live_rings *live, const struct cw_live_options *options,
		  struct cw_error *error)
{
	for (uint32_t i = 0; i < live->base.info.queue_count; i++) {
		struct cw_live_queue *queue = &live->queues[i];
		int result;

		cw_live_read_stats(queue);
		queue->stats = (struct cw_live_stats){0};
		result = cw_live_filter(live, queue, options->program, options->instruction_count,
					live->base.info.snaplen, error);
		if (result < 0)
			return result;
	}
	return 0;
}

static int open_all(struct cw_live_rings *live, struct cw_ifaces *ifaces,
		    const struct cw_live_options *options, struct cw_error *error)
{
	uint32_t asked = options->block_count ? options->block_count : CW_LIVE_BLOCKS;
	int result, fd;

	result = open_socket(&fd, live->base.device, error);
	if (result < 0)
		return result;
	result = find_device(live, fd, error);
	if (result == 0 && options->clock == CW_LIVE_CLOCK_ADAPTER)
		result = set_adapter_clock(live, fd, error);
	close(fd);
	/* Packets pass loopback twice; other programs capture the incoming ones. */
	if (live->base.info.is_loopback && live->direction == CW_LIVE_BOTH)
		live->direction = CW_LIVE_IN;
	for (uint32_t i = 0; i < live->base.info.queue_count && result == 0; i++)
		result = open_queue(live, &live->queues[i], options, error);
	if (result == 0)
		result = join_group(live, options->fanout, error);
	if (result == 0 && options->promiscuous)
		result = set_promiscuous(live, error);
	if (result == 0)
		result = let_in(live, options, error);
	if (result == 0)
		result = add_iface(live, ifaces, options->input, error);
	if (result < 0 || live->base.info.block_count == asked)
		return result;
	cw_error_set(error, 0,
		     "no memory for %u blocks of %zu bytes in each of %u kernel rings on %s: some "
		     "have only %u (the limit is half the machine's memory)",
		     asked, live->base.info.block_bytes, live->base.info.queue_count,
		     live->base.device, live->base.info.block_count);
	return CW_LIVE_FEWER_BLOCKS;
}

/* ---- options ---- */

/* Rounds to a power of two, at least a page, which the kernel allocates without waste. */
static size_t round_block(size_t bytes)
{
	size_t rounded = (size_t)sysconf(_SC_PAGESIZE);

	while (rounded < bytes)
		rounded *= 2;
	return rounded;
}

static int choose_options(struct cw_live_info *info, const struct cw_live_options *options,
			  struct cw_error *error)
{
	const char *device = options->device;
	struct sysinfo memory;
	uint64_t most;
	int result;

	if (strlen(device) >= IFNAMSIZ)
		return cw_error_set(error, -ENODEV, "cannot capture on '%s': no such interface",
				    device);
	if (strcmp(device, "any") == 0)
		return cw_error_set(error, -EPROTONOSUPPORT,
				    "the packet backend cannot capture on 'any': use libpcap");
	result = cw_live_info_init(info, options, error);
	if (result < 0)
		return result;
	info->backend = CW_LIVE_PACKET;
	info->has_prefilter = options->program != NULL;
	/* The kernel silently truncates packets that exceed a block. */
	if (info->block_bytes < info->snaplen + CW_LIVE_BLOCK_EXTRA_BYTES)
		info->block_bytes = info->snaplen + CW_LIVE_BLOCK_EXTRA_BYTES;
	info->block_bytes = round_block(info->block_bytes);
	if (sysinfo(&memory) < 0)
		return cw_error_set_errno(error, -errno, "cannot read the machine's memory size");
	/* For more, the kernel would kill processes to free memory instead of refusing. */
	most = cw_live_memory_most(options, (uint64_t)memory.totalram * memory.mem_unit);
	while (info->block_count / 2 >= CW_LIVE_BLOCKS_MIN && cw_live_memory_bytes(info) > most)
		info->block_count /= 2;
	if (cw_live_memory_bytes(info) > most)
		return cw_live_refuse_memory(info, device, most, error);
	return 0;
}

int cw_live_packet_open(struct cw_live **opened, struct cw_ifaces *ifaces,
			const struct cw_live_options *options, struct cw_error *error)
{
	struct cw_live_info info;
	struct cw_live_rings *live;
	size_t bytes;
	int result = choose_options(&info, options, error);

	if (result < 0)
		return result;
	bytes = sizeof(*live) + info.queue_count * sizeof(live->queues[0]);
	bytes = (bytes + CW_CACHE_LINE - 1) & ~(size_t)(CW_CACHE_LINE - 1);
	live = aligned_alloc(CW_CACHE_LINE, bytes);
	if (!live)
		return cw_error_set_errno(error, -ENOMEM, "cannot capture on %s", options->device);
	memset(live, 0, bytes);
	live->base.ops = &cw_live_packet_ops;
	memcpy(live->base.device, options->device, strlen(options->device));
	live->direction = options->direction;
	live->base.info = info;
	for (uint32_t i = 0; i < info.queue_count; i++) {
		live->queues[i].fd = -1;
		live->queues[i].epoll_fd = -1;
		live->queues[i].wake_fd = options->wake_fd;
		live->queues[i].retire_ms = info.retire_ms;
	}
	result = open_all(live, ifaces, options, error);
	if (result < 0) {
		cw_live_packet_ops.close(&live->base);
		return result;
	}
	*opened = &live->base;
	return result;
}
