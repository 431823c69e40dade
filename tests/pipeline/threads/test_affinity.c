/* SPDX-License-Identifier: BSD-3-Clause */
/* Plans for machines that are not here: their sysfs is a folder that the test makes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/mempolicy.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/base/base.h"
#include "pipeline/threads/affinity.h"

static char root[] = "/tmp/capweir-place-XXXXXX";

static void put(const char *path, const char *text)
{
	char whole[512], *slash;
	FILE *file;

	snprintf(whole, sizeof(whole), "%s/%s", root, path);
	for (slash = strchr(whole + strlen(root) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(whole, 0700);
		*slash = '/';
	}
	file = fopen(whole, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* 64 cores: even ones on node 0, odd ones on node 1; node 2 has memory only; eth0 is on node 1. */
static int make_machine(void **state)
{
	char list[512] = "";
	uint32_t cpu;

	(void)state;
	assert_non_null(mkdtemp(root));
	for (cpu = 0; cpu < 64; cpu += 2)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%u", cpu ? "," : "",
			 cpu);
	put("devices/system/node/node0/cpulist", list);
	list[0] = '\0';
	for (cpu = 1; cpu < 64; cpu += 2)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%u",
			 cpu > 1 ? "," : "", cpu);
	put("devices/system/node/node1/cpulist", list);
	put("devices/system/node/node2/cpulist", "\n");
	put("class/net/eth0/device/numa_node", "1\n");
	put("one/devices/system/node/node0/cpulist", "0-63\n");
	put("one/class/net/eth0/device/numa_node", "0\n");
	put("class/net/eth1/device/numa_node", "-1\n");
	put("class/net/eth2/device/numa_node", "1\n");
	put("class/net/eth3/device/numa_node", "0\n");
	return 0;
}

static int remove_machine(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void lists_are_read_as_the_kernel_writes_them(void **state)
{
	static const char *const bad[] = {"",    ",",     "1,",   "a",      "3-1",
					  "1-",  "1--2",  "0x1",  "1 2",    "-1",
					  "1,1", "0-3,2", "1024", "0-1024", "99999999999999999999"};
	struct cw_cpu_list list;
	struct cw_error error = {0};
	size_t index;

	(void)state;
	assert_int_equal(cw_cpu_list_parse("0-3,8,1023", &list, NULL), 0);
	assert_int_equal(list.count, 6);
	assert_int_equal(list.at[3], 3);
	assert_int_equal(list.at[4], 8);
	assert_int_equal(list.at[5], 1023);
	for (index = 0; index < CW_ARRAY_COUNT(bad); index++)
		assert_int_equal(cw_cpu_list_parse(bad[index], &list, &error), -EINVAL);
	assert_int_equal(cw_cpu_list_allowed(&list), 0);
	assert_true(list.count >= 1);
}

static void topology_is_read(void **state)
{
	struct cw_topology topology;

	(void)state;
	cw_topology_read(root, &topology);
	assert_int_equal(topology.node_count, 2);
	assert_int_equal(topology.node_of_cpu[62], 0);
	assert_int_equal(topology.node_of_cpu[63], 1);
	assert_int_equal(topology.node_of_cpu[64], CW_NODE_NONE);
	assert_int_equal(cw_topology_device_node(root, "eth0"), 1);
	assert_int_equal(cw_topology_device_node(root, "eth1"), CW_NODE_NONE);
	assert_int_equal(cw_topology_device_node(root, "none"), CW_NODE_NONE);
	assert_int_equal(cw_topology_device_node(root, "../net/eth0"), CW_NODE_NONE);
	cw_topology_read("/nowhere", &topology);
	assert_int_equal(topology.node_count, 1);
	assert_int_equal(topology.node_of_cpu[0], CW_NODE_NONE);
}

static void devices_have_a_node_in_common_or_none(void **state)
{
	const char *const same[] = {"eth0", "eth2"}, *const differ[] = {"eth0", "eth3"},
			  *const mute[] = {"eth0", "eth1"};
	char one[64];

	(void)state;
	assert_int_equal(cw_topology_common_node(root, same, 2), 1);
	assert_int_equal(cw_topology_common_node(root, differ, 2), CW_NODE_NONE);
	assert_int_equal(cw_topology_common_node(root, differ + 1, 1), 0);
	assert_int_equal(cw_topology_common_node(root, mute, 2), CW_NODE_NONE);
	assert_int_equal(cw_topology_common_node(root, mute + 1, 1), CW_NODE_NONE);
	assert_int_equal(cw_topology_common_node(root, same, 0), CW_NODE_NONE);
	assert_int_equal(cw_topology_common_node("/nowhere", same, 2), CW_NODE_NONE);
	snprintf(one, sizeof(one), "%s/one", root);
	assert_int_equal(cw_topology_device_node(one, "eth0"), 0);
	assert_int_equal(cw_topology_common_node(one, same, 1), CW_NODE_NONE);
}

static void capture_threads_get_cores_of_their_own_near_the_device(void **state)
{
	int wanted[32];
	uint16_t cpus[64];
	bool is_used[64] = {false};
	struct cw_topology topology;
	struct cw_cpu_list all;
	uint32_t index;

	(void)state;
	cw_topology_read(root, &topology);
	assert_int_equal(cw_cpu_list_parse("0-63", &all, NULL), 0);
	for (index = 0; index < 32; index++)
		wanted[index] = 1;
	cw_affinity_plan(&topology, &all, wanted, 16, 16, cpus);
	for (index = 0; index < 32; index++) { /* node 1 has 32 cores: enough for all */
		assert_int_equal(topology.node_of_cpu[cpus[index]], 1);
		assert_false(is_used[cpus[index]]);
		is_used[cpus[index]] = true;
	}
	cw_affinity_plan(&topology, &all, wanted, 32, 32, cpus);
	for (index = 0; index < 64; index++) /* each core one thread, the near ones capture */
		assert_int_equal(topology.node_of_cpu[cpus[index]], index < 32 ? 1 : 0);
}

/* 64 threads on 32 cores, as Linux numbers them: n and n + 32; the first 16 cores are node 0. */
static void make_hyper_machine(void)
{
	char path[128], text[64];
	uint32_t cpu;

	put("hyper/devices/system/node/node0/cpulist", "0-15,32-47\n");
	put("hyper/devices/system/node/node1/cpulist", "16-31,48-63\n");
	for (cpu = 0; cpu < 64; cpu++) {
		snprintf(path, sizeof(path),
			 "hyper/devices/system/cpu/cpu%u/topology/thread_siblings_list", cpu);
		snprintf(text, sizeof(text), "%u,%u\n", cpu % 32, cpu % 32 + 32);
		put(path, text);
	}
}

static void siblings_come_after_idle_cores_but_before_another_node(void **state)
{
	/* Siblings side by side, so that taking the first of equals is not the answer. */
	struct cw_cpu_list all = {.count = 64};
	struct cw_topology topology;
	uint32_t threads_of_core[32] = {0};
	uint16_t cpus[48];
	int wanted[16];
	char hyper[64];
	uint32_t index;

	(void)state;
	make_hyper_machine();
	snprintf(hyper, sizeof(hyper), "%s/hyper", root);
	cw_topology_read(hyper, &topology);
	assert_int_equal(topology.core_of_cpu[5], 5);
	assert_int_equal(topology.core_of_cpu[37], 5);
	assert_int_equal(topology.core_of_cpu[64], 64);
	for (index = 0; index < 64; index++)
		all.at[index] = (uint16_t)(index / 2 + index % 2 * 32);
	for (index = 0; index < 16; index++)
		wanted[index] = 1;
	cw_affinity_plan(&topology, &all, wanted, 16, 32, cpus);
	for (index = 0; index < 48; index++) {
		uint16_t core = topology.core_of_cpu[cpus[index]];

		assert_int_equal(topology.node_of_cpu[cpus[index]], index < 32 ? 1 : 0);
		threads_of_core[core]++;
		if (index < 16) /* capture: none beside another */
			assert_int_equal(threads_of_core[core], 1);
	}
	for (index = 0; index < 32; index++) /* their siblings, then the other node's cores */
		assert_int_equal(threads_of_core[index], index < 16 ? 1 : 2);
}

static void with_few_cores_workers_share(void **state)
{
	const int wanted[2] = {CW_NODE_NONE, CW_NODE_NONE};
	struct cw_topology topology;
	uint32_t count[4] = {0}, index;
	struct cw_cpu_list few;
	uint16_t cpus[8];

	(void)state;
	cw_topology_read("/nowhere", &topology);
	assert_int_equal(cw_cpu_list_parse("2,3", &few, NULL), 0);
	cw_affinity_plan(&topology, &few, wanted, 2, 4, cpus);
	assert_int_not_equal(cpus[0], cpus[1]);
	for (index = 0; index < 6; index++)
		count[cpus[index]]++;
	assert_int_equal(count[2], 3);
	assert_int_equal(count[3], 3);
}

static void the_kernel_takes_what_it_is_asked(void **state)
{
	struct cw_cpu_list allowed, now;
	uint32_t index;

	(void)state;
	assert_int_equal(cw_cpu_list_allowed(&allowed), 0);
	assert_int_equal(cw_affinity_pin(allowed.at[allowed.count - 1]), 0);
	assert_int_equal(cw_cpu_list_allowed(&now), 0);
	assert_int_equal(now.count, 1);
	assert_int_equal(now.at[0], allowed.at[allowed.count - 1]);
	assert_int_equal(cw_affinity_pin(CW_CPUS_MAX - 1), -EINVAL);
	assert_int_equal(cw_affinity_realtime(1000), -EINVAL);
	index = (uint32_t)-cw_affinity_memory(0);
	assert_true(index == 0 || index == ENOSYS || index == EPERM || index == EINVAL);
	assert_int_equal(cw_affinity_memory(CW_NODE_NONE), index == 0 ? 0 : -(int)index);
}

/* The policy of a thread, or of the page that `memory` is in; -errno where there is none to ask. */
static int policy_of(void *memory)
{
	int policy = -1;

	if (syscall(SYS_get_mempolicy, &policy, NULL, 0ul, memory,
		    memory ? (unsigned long)MPOL_F_ADDR : 0ul))
		return -errno;
	return policy;
}

static void *thread_touches(void *memory)
{
	memset(memory, 1, 4096);
	return (void *)(intptr_t)policy_of(memory);
}

/* It is the pool that has to carry it: workers are elsewhere, and their policy is their own. */
static void a_mapping_keeps_its_node_whoever_touches_it(void **state)
{
	const size_t bytes = 1 << 20;
	uint8_t *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pthread_t thread;
	void *policy;

	(void)state;
	assert_true(memory != MAP_FAILED);
	if (policy_of(NULL) != MPOL_DEFAULT)
		skip(); /* no nodes in this kernel, or somebody chose for this run */
	assert_int_equal(cw_affinity_mapping(memory, bytes, CW_NODE_NONE), 0);
	assert_int_equal(policy_of(memory), MPOL_DEFAULT);
	assert_int_equal(cw_affinity_mapping(memory, bytes, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, thread_touches, memory), 0);
	assert_int_equal(pthread_join(thread, &policy), 0);
	assert_int_equal((intptr_t)policy, MPOL_PREFERRED);
	assert_int_equal(policy_of(memory + bytes - 1), MPOL_PREFERRED);
	assert_int_equal(cw_affinity_mapping(memory, bytes, CW_NODES_MAX - 1), -EINVAL);
	assert_false(cw_affinity_has_memory()); /* the thread's own did not change */
	assert_int_equal(cw_affinity_memory(0), 0);
	assert_true(cw_affinity_has_memory());
	assert_int_equal(cw_affinity_memory(CW_NODE_NONE), 0);
	assert_false(cw_affinity_has_memory());
	munmap(memory, bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lists_are_read_as_the_kernel_writes_them),
	    cmocka_unit_test(topology_is_read),
	    cmocka_unit_test(capture_threads_get_cores_of_their_own_near_the_device),
	    cmocka_unit_test(siblings_come_after_idle_cores_but_before_another_node),
	    cmocka_unit_test(with_few_cores_workers_share),
	    cmocka_unit_test(devices_have_a_node_in_common_or_none),
	    cmocka_unit_test(a_mapping_keeps_its_node_whoever_touches_it),
	    cmocka_unit_test(the_kernel_takes_what_it_is_asked),
	};

	return cmocka_run_group_tests(tests, make_machine, remove_machine);
}
