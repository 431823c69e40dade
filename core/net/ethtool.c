/* SPDX-License-Identifier: BSD-3-Clause */
/* The ethtool ioctl, with buffers that a driver cannot overrun. Formats: linux/ethtool.h. */
#include "core/net/ethtool.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>

#include "core/base/grow.h"

static_assert(ETH_GSTRING_LEN == CW_NETDEV_COUNTER_NAME_BYTES, "names fit");

/* Memory that ends at a page without write access. */
struct fenced {
	void *at;
	uint8_t *pages;
	size_t pages_bytes;
};

static int fenced_init(struct fenced *fenced, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t padded = (bytes + 7) & ~(size_t)7;
	size_t open_bytes = (padded + page - 1) / page * page;

	fenced->pages_bytes = open_bytes + page;
	fenced->pages = mmap(NULL, fenced->pages_bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fenced->pages == MAP_FAILED) {
		*fenced = (struct fenced){0};
		return -ENOMEM;
	}
	if (mprotect(fenced->pages + open_bytes, page, PROT_NONE) < 0) {
		munmap(fenced->pages, fenced->pages_bytes);
		*fenced = (struct fenced){0};
		return -ENOMEM;
	}
	fenced->at = fenced->pages + open_bytes - padded;
	return 0;
}

static void fenced_fini(struct fenced *fenced)
{
	if (fenced->pages)
		munmap(fenced->pages, fenced->pages_bytes);
	*fenced = (struct fenced){0};
}

static int call(int fd, const char *name, void *command)
{
	struct ifreq request = {.ifr_data = command};

	memcpy(request.ifr_name, name, strnlen(name, sizeof(request.ifr_name) - 1));
	return ioctl(fd, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

/* Reads the number of strings in a set; 0 if the driver does not have the set. */
static int count_strings(int fd, const char *name, uint32_t set, uint32_t *count)
{
	union {
		struct ethtool_sset_info info;
		uint32_t words[sizeof(struct ethtool_sset_info) / 4 + 1];
	} question = {.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = UINT64_C(1) << set}};
	int status = call(fd, name, &question);

	*count = !status && question.info.sset_mask
		     ? question.words[CW_ARRAY_COUNT(question.words) - 1]
		     : 0;
	if (status == -EOPNOTSUPP)
		return 0;
	return status ? status : *count > CW_ETHTOOL_STRINGS_MAX ? -E2BIG : 0;
}

/* Reads the `count` strings of a set. Returns -EAGAIN if their number has changed. */
static int read_strings(int fd, const char *name, uint32_t set, uint32_t count,
			struct fenced *fenced)
{
	struct ethtool_gstrings *strings;
	int status = fenced_init(fenced, sizeof(*strings) + (size_t)count * ETH_GSTRING_LEN);

	if (status)
		return status;
	strings = fenced->at;
	strings->cmd = ETHTOOL_GSTRINGS;
	strings->string_set = set;
	strings->len = count;
	status = call(fd, name, strings);
	if (!status && strings->len == count)
		return 0;
	fenced_fini(fenced);
	return !status || status == -EFAULT ? -EAGAIN : status;
}

static int read_values(int fd, const char *name, uint32_t count, struct fenced *fenced)
{
	struct ethtool_stats *values;
	int status = fenced_init(fenced, sizeof(*values) + (size_t)count * sizeof(uint64_t));

	if (status)
		return status;
	values = fenced->at;
	values->cmd = ETHTOOL_GSTATS;
	values->n_stats = count; /* newer kernels refuse if the number has changed */
	status = call(fd, name, values);
	if (!status && values->n_stats == count)
		return 0;
	fenced_fini(fenced);
	return !status || status == -EFAULT ? -EAGAIN : status;
}

/* Copies a name and terminates it: some drivers fill all bytes of a name. */
static void copy_name(char *to, const void *from, size_t bytes)
{
	size_t length = strnlen(from, bytes - 1);

	memcpy(to, from, length);
	memset(to + length, 0, bytes - length);
}

static int keep_drops(const struct ethtool_gstrings *strings, const struct ethtool_stats *values,
		      bool (*wanted)(const char *statistic), struct cw_netdev_drops *drops,
		      uint32_t *left_out)
{
	char name[CW_NETDEV_COUNTER_NAME_BYTES];

	for (uint32_t i = 0; i < strings->len; i++) {
		copy_name(name, strings->data + (size_t)i * ETH_GSTRING_LEN, sizeof(name));
		if (!wanted(name))
			continue;
		if (drops->count >= CW_NETDEV_DROPS_MAX) {
			++*left_out;
			continue;
		}
		if (CW_GROW(drops, 1))
			return -ENOMEM;
		memcpy(drops->at[drops->count].name, name, sizeof(name));
		drops->at[drops->count++].count = values->data[i];
	}
	return 0;
}

static int try_drops(int fd, const char *name, bool (*wanted)(const char *statistic),
		     struct cw_netdev_drops *drops, uint32_t *left_out)
{
	struct fenced strings, values;
	uint32_t count;
	int status = count_strings(fd, name, ETH_SS_STATS, &count);

	if (status || count == 0)
		return status;
	status = read_strings(fd, name, ETH_SS_STATS, count, &strings);
	if (status)
		return status;
	status = read_values(fd, name, count, &values);
	if (!status) {
		status = keep_drops(strings.at, values.at, wanted, drops, left_out);
		fenced_fini(&values);
	}
	fenced_fini(&strings);
	return status;
}

int cw_ethtool_drops(int fd, const char *name, bool (*wanted)(const char *statistic),
		     struct cw_netdev_drops *drops, uint32_t *left_out)
{
	int status = -EAGAIN;

	for (int i = 0; i < CW_ETHTOOL_TRIES && status == -EAGAIN; i++)
		status = try_drops(fd, name, wanted, drops, left_out);
	return status == -EOPNOTSUPP ? 0 : status;
}

static const struct {
	const char *feature;
	enum cw_netdev_offload offload;
} features[] = {
    {"rx-gro", CW_NETDEV_GRO},
    {"rx-lro", CW_NETDEV_LRO},
    {"rx-gro-hw", CW_NETDEV_GRO_HW},
    {"rx-vlan-hw-parse", CW_NETDEV_RX_VLAN},
    {"rx-fcs", CW_NETDEV_RX_FCS},
    {"rx-all", CW_NETDEV_RX_ALL},
    {"tx-tcp-segmentation", CW_NETDEV_TSO},
    {"tx-generic-segmentation", CW_NETDEV_GSO},
    {"rx-checksum", CW_NETDEV_RX_SUM},
    {"tx-checksum-ip-generic", CW_NETDEV_TX_SUM}, /* a driver has this or the next two */
    {"tx-checksum-ipv4", CW_NETDEV_TX_SUM},
    {"tx-checksum-ipv6", CW_NETDEV_TX_SUM},
};

static void read_feature(const struct ethtool_gfeatures *have, uint32_t number, const char *string,
			 struct cw_netdev_facts *facts)
{
	const struct ethtool_get_features_block *block = &have->features[number / 32];
	uint32_t bit = UINT32_C(1) << number % 32;

	for (size_t i = 0; i < CW_ARRAY_COUNT(features); i++) {
		enum cw_netdev_offload offload = features[i].offload;

		if (strcmp(string, features[i].feature) != 0)
			continue;
		if (facts->offloads[offload].setting == CW_NETDEV_ON)
			continue; /* several features make one offload; one is on */
		facts->offloads[offload].setting =
		    block->active & bit ? CW_NETDEV_ON : CW_NETDEV_OFF;
		facts->offloads[offload].is_fixed =
		    block->never_changed & bit || !(block->available & bit);
	}
}

/* Finds features by name, because their numbers differ between kernels. */
static int read_features(int fd, const char *name, struct cw_netdev_facts *facts)
{
	char string[ETH_GSTRING_LEN];
	const struct ethtool_gstrings *strings;
	struct ethtool_gfeatures *have;
	struct fenced names, blocks;
	uint32_t count, told;
	int status = count_strings(fd, name, ETH_SS_FEATURES, &count);

	if (status || count == 0)
		return status;
	status = read_strings(fd, name, ETH_SS_FEATURES, count, &names);
	if (status)
		return status;
	strings = names.at;
	status =
	    fenced_init(&blocks, sizeof(*have) + (count + 31) / 32 * sizeof(have->features[0]));
	if (status)
		goto free_names;
	have = blocks.at;
	have->cmd = ETHTOOL_GFEATURES;
	have->size = (count + 31) / 32;
	status = call(fd, name, have);
	told = status ? 0 : cw_min_u32(count, 32 * cw_min_u32(have->size, (count + 31) / 32));
	for (uint32_t i = 0; i < told; i++) {
		copy_name(string, strings->data + (size_t)i * ETH_GSTRING_LEN, sizeof(string));
		read_feature(have, i, string, facts);
	}
	fenced_fini(&blocks);
free_names:
	fenced_fini(&names);
	return status;
}

static void read_driver(const struct ethtool_drvinfo *told, struct cw_netdev_facts *facts)
{
	copy_name(facts->driver, told->driver, sizeof(facts->driver));
	copy_name(facts->driver_version, told->version, sizeof(facts->driver_version));
	copy_name(facts->firmware, told->fw_version, sizeof(facts->firmware));
	copy_name(facts->bus, told->bus_info, sizeof(facts->bus));
}

static void read_timestamping(const struct ethtool_ts_info *told, struct cw_netdev_facts *facts)
{
	uint32_t software = SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE;
	uint32_t hardware = SOF_TIMESTAMPING_RX_HARDWARE | SOF_TIMESTAMPING_RAW_HARDWARE;

	facts->has_timestamping = true;
	facts->so_timestamping = told->so_timestamping;
	facts->tx_types = told->tx_types;
	facts->rx_filters = told->rx_filters;
	facts->phc_index = told->phc_index;
	facts->has_software_rx = (told->so_timestamping & software) == software;
	facts->has_hardware_rx = (told->so_timestamping & hardware) == hardware &&
				 told->rx_filters & UINT32_C(1) << HWTSTAMP_FILTER_ALL;
}

int cw_ethtool_facts(int fd, const char *name, struct cw_netdev_facts *facts)
{
	struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
	struct ethtool_ts_info timestamping = {.cmd = ETHTOOL_GET_TS_INFO};
	int status = call(fd, name, &driver);

	if (!status)
		read_driver(&driver, facts);
	if (status == -ENODEV)
		return status;
	status = call(fd, name, &timestamping);
	if (!status)
		read_timestamping(&timestamping, facts);
	if (status == -ENODEV)
		return status;
	status = read_features(fd, name, facts);
	return status == -ENODEV || status == -ENOMEM ? status : 0;
}

uint32_t cw_ethtool_rx_queues(int fd, const char *name)
{
	struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
	uint64_t count;

	if (call(fd, name, &channels))
		return 0;
	count = (uint64_t)channels.rx_count + channels.combined_count;
	return count > CW_ETHTOOL_STRINGS_MAX ? 0 : (uint32_t)count;
}
