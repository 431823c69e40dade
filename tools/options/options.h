/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The command line: one table of every option of every command, from which parsing and help are
 * made. Parsing gives raw values; what they mean together is the commands' business.
 */
#ifndef CW_TOOLS_OPTIONS_H
#define CW_TOOLS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/text/complain.h"

enum cw_command {
	CW_SPLIT = 1 << 0,
	CW_CHECK = 1 << 1,
	CW_GENERATE = 1 << 2,
	CW_INSPECT = 1 << 3,
	CW_BENCH = 1 << 4,
	CW_CAPTURE = 1 << 5, /* with CW_SPLIT: tcpdump's line, which may be either */
	CW_DEVICES = 1 << 6,
	CW_REPLAY = 1 << 7,
	CW_SELFTEST = 1 << 8,
	CW_REPAIR = 1 << 9,
	CW_STATUS = 1 << 10, /* stats, top and control: ask a capture that runs */
};

#define CW_REPEAT_MAX 1001u /* rounds of a benchmark */
#define CW_GIVEN_MAX 64u    /* options remembered by name; a benchmark has fewer */

enum cw_sync { CW_SYNC_DEFAULT, CW_SYNC_OFF, CW_SYNC_CLOSE };

/* A growing list of words of the command line (borrowed from argv). */
struct cw_words {
	const char **words;
	uint32_t count;
};

struct cw_arguments {
	enum cw_command command;
	const char *split_word;   /* an option that is not capture's, as written */
	const char *capture_word; /* one that is not split's */
	struct cw_words inputs;   /* -r */
	struct cw_words devices;  /* -i */
	struct cw_words filters;  /* -f */
	struct cw_words writes;   /* -w */
	struct cw_words rest;     /* positional */
	struct cw_words owned;    /* words not of argv, freed with the others */
	const char *rules;        /* -R */
	const char *directory;    /* -o */
	const char *filter_file;  /* -F */
	const char *linktype;     /* -y */
	const char *profile;
	const char *engine;
	const char *fanout;
	const char *backend;
	const char *pin;
	const char *user;      /* -Z */
	const char *direction; /* -Q */
	const char *clock;     /* -j */
	const char *control;
	const char *metrics;
	uint64_t threads;         /* -t; 0 = by cores */
	uint64_t packet_count;    /* -c */
	uint64_t snaplen;         /* -s */
	uint64_t rotate_bytes;    /* -C, -b filesize: */
	uint64_t rotate_packets;  /* -b packets: */
	uint64_t rotate_every_ns; /* -G, -b duration:, -b interval: */
	bool is_rotate_aligned;   /* -b interval: */
	uint64_t ring_files;      /* -W, -b files: */
	const char *hook;         /* -z */
	uint64_t hook_ms;
	bool has_file_count;     /* -W */
	uint64_t packets;        /* generate, bench */
	uint64_t repeat;         /* bench; 0: the benchmark's own */
	bool has_packets;        /* --packets was given */
	const char *thread_list; /* bench: -t, and so on */
	const char *queue_list;
	const char *rule_counts;
	const char *frame_sizes;
	const char *given[CW_GIVEN_MAX]; /* names of the options that were given */
	uint32_t given_count;
	uint64_t dumps; /* how often -d was given */
	uint64_t seed;
	uint64_t buffer_bytes;
	uint64_t chunk_bytes;
	uint64_t batch_bytes;
	uint64_t batch_packets;
	uint64_t filter_time_ms; /* 0: the default */
	uint64_t filter_memory;
	uint64_t verify_every; /* 0 = not at all */
	uint64_t queues;
	uint64_t block_bytes;
	uint64_t ring_bytes; /* -B */
	uint64_t retire_ms;
	uint64_t realtime;
	uint64_t max_drop;
	uint64_t stats_ms;
	uint64_t duration_ms;
	uint64_t drain_ms;
	uint64_t rate;  /* --pps */
	uint64_t loops; /* --loop */
	double speed;   /* 0: not given */
	int cut;        /* 1 skip, 2 send */
	bool topspeed;
	const char *mode; /* selftest */
	bool own_cable;
	int precision; /* 0 auto, 1 us, 2 ns */
	int direct;    /* enum cw_direct_mode */
	bool json;
	bool dry_run;
	bool quiet;
	bool no_clobber;
	enum cw_sync sync;
	bool not_promiscuous;
	bool has_max_drop;
	bool no_kernel_filter;
	bool time_order;
	bool huge_pages;
	bool utc;
	bool resolve;
	bool unoptimized;
	bool dot;
	bool full;
	bool lists_devices;   /* -D */
	bool lists_linktypes; /* -L */
	bool lists_clocks;    /* -J */
	bool lazy;            /* this and the next: bench decode */
	bool print_errors;
	bool print_layers;
	bool gopacket_compat;
};

/*
 * Parse argv (argv[0] is the command's own word, skipped). Returns 0; or, with a message on stderr,
 * CW_EXIT_USAGE; or -1 when help was printed and the run is over.
 */
int cw_options_parse(struct cw_arguments *arguments, enum cw_command command, int argc,
		     char *const *argv);
void cw_arguments_fini(struct cw_arguments *arguments);

void cw_options_help(FILE *file, enum cw_command command);

int cw_words_add(struct cw_words *words, const char *word);

#endif
