/* SPDX-License-Identifier: BSD-3-Clause */
/* The report at the end of a run, from the counters that the turn and the writers kept. */
#ifndef CW_PIPELINE_REPORT_REPORT_H
#define CW_PIPELINE_REPORT_REPORT_H

#include "core/net/netdev.h"
#include "core/source/live/tpacket.h"
#include "core/source/source.h"
#include "pipeline/output/file_ring.h"
#include "pipeline/rules/rules.h"
#include "pipeline/run/books.h"

struct cw_report_input {
	const char *file;
	uint64_t packets;
	uint64_t bytes; /* captured */
	uint64_t file_bytes;
	const char *format;
	uint64_t truncated; /* packets that the file's own snapshot length truncates */
	const struct cw_source_joined *joined; /* the first ones; borrowed from the run */
	uint32_t joined_shown;
	uint32_t joined_count;
	struct cw_source_resynced resynced;
	char *error;                   /* NULL: read to the end */
	struct cw_block_counts blocks; /* pcapng: blocks beside packets */
};

/* A queue of a live run: kernel_seen = kernel_dropped + received + left. */
struct cw_report_queue {
	const char *device;
	uint32_t queue;
	struct cw_live_stats stats;
	uint64_t discarded; /* packets received after the run's end (-c) */
};

/* An interface of a live run. */
struct cw_report_device {
	const char *device;
	uint32_t linktype;
	uint32_t queue_count;
	bool has_kernel_filter;   /* packets that no rule can match were neither seen nor counted */
	uint32_t event_count;     /* events: down, up, renamed, ... */
	uint32_t gap_count;       /* times the interface was gone */
	double gap_s;             /* total time it was gone, in seconds */
	bool is_waiting;          /* it was never captured: the link type is unknown */
	double waited_s;          /* from the start of the run to the first opening, in seconds */
	bool has_losses;          /* the counters below are known */
	bool is_lower_bound;      /* of the counters below */
	uint64_t lost_before_tap; /* packets lost before any kernel ring, at least */
	char lost_counter[CW_NETDEV_COUNTER_NAME_BYTES]; /* the counter that has them */
	uint64_t rx_packets, rx_errors, rx_dropped, rx_missed, rx_fifo, rx_over;
	struct cw_netdev_drop *drops; /* driver counters that grew */
	uint32_t drop_count;
};

/* The file ring of a rule that later runs know. */
struct cw_report_ring {
	char *list;     /* path of its list; NULL: there is none */
	uint64_t files; /* complete files that it has */
	uint64_t bytes; /* of these, before compression */
	struct cw_ring_adopted adopted;
};

struct cw_report_rule {
	const struct cw_rule *rule;
	uint64_t matched;
	uint64_t written;
	uint64_t bytes;      /* captured bytes written, after truncation */
	uint64_t file_bytes; /* size of the files that still exist */
	uint64_t expired;    /* written packets in files that file rings removed again */
	uint32_t expired_files;
	uint64_t left_out[CW_LEFT_OUT_COUNT];
	uint64_t left_out_total;
	uint64_t lost[CW_LOSS_COUNT];
	uint64_t lost_total;
	uint64_t timestamps_truncated;   /* written packets, to microseconds */
	uint64_t truncated;              /* written packets, to the snaplen of the pcap header */
	uint64_t other_fcs;              /* of another FCS length than their pcap file's header */
	uint64_t early;                  /* before the period of their file */
	uint64_t failures;               /* also those that the output recovered from */
	uint64_t blocks[CW_BLOCK_KINDS]; /* copied beside packets */
	uint64_t dropped_secrets;        /* blocks that the rule does not keep */
	uint64_t left_out_blocks;        /* the output cannot hold them */
	uint64_t left_out_options;       /* likewise, of sections, interfaces and packets */
	char *error;  /* reason that the output stopped, or what a file of it lacks; or NULL */
	char **files; /* paths, in order */
	uint32_t file_count;
	uint32_t *illegal_linktypes; /* types for which the filter is illegal: it matches none */
	uint32_t illegal_linktype_count;
	struct cw_report_ring ring;
	bool is_removed; /* by a reload: not in force at the end */
};

/* A generation of rules, and the packet of each queue that it began with. */
struct cw_report_generation {
	uint64_t number; /* from 1 */
	uint32_t rule_count;
	double start_s;   /* seconds since the run's start */
	uint64_t *firsts; /* per queue: packets before it; UINT64_MAX: it had no packet */
};

/* The comparison with libpcap. */
struct cw_report_verify {
	uint32_t every; /* one packet in this many was compared; 0: none */
	uint64_t sampled;
	uint64_t differences; /* sampled packets that differ */
};

struct cw_report {
	struct cw_report_input *inputs;
	uint32_t input_count;
	struct cw_report_rule *rules;
	uint32_t rule_count;
	struct cw_report_queue *queues; /* live */
	uint32_t queue_count;
	struct cw_report_device *devices;
	uint32_t device_count;
	struct cw_report_generation *generations; /* live: the last ones, at most 64 */
	uint32_t generation_count;
	uint64_t generation; /* number of the generation in force at the end */
	uint64_t reloads_accepted, reloads_refused;
	uint64_t kernel_seen, kernel_dropped; /* sums over the queues */
	uint64_t late; /* time order: packets written after one with a later timestamp */
	struct cw_books books;
	struct cw_report_verify verify;
	uint64_t packets;
	uint64_t bytes;
	uint64_t hooks_run; /* files with a hook run; filled by the owner of on_file */
	uint64_t hooks_failed;
	bool has_unfinished_hooks; /* as hooks_run */
	bool was_interrupted;      /* inputs were not read to their ends; as hooks_run */
	bool has_problem;          /* a problem of no rule or input was reported */
	bool is_balanced;
	bool is_complete; /* the verdict: nothing lost, nothing failed */
	bool is_durable;  /* files are synced (--sync) */
	double elapsed_s;
	uint32_t threads;
};

enum cw_verdict {
	CW_VERDICT_COMPLETE,
	CW_VERDICT_INCOMPLETE, /* something was lost or failed */
	CW_VERDICT_DROPS,      /* complete, but the kernel dropped more packets than allowed */
};

/* Judges by the report alone: any recorded loss, error or failure is in the verdict. */
enum cw_verdict cw_report_judge(const struct cw_report *report, uint64_t max_drop);

void cw_report_fini(struct cw_report *report);

#endif
