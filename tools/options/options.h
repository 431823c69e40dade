/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The parsed command line. Parsing fills raw values by the table of options (table.h); what the
 * values mean together is decided in tools/request/.
 */
#ifndef CW_TOOLS_OPTIONS_OPTIONS_H
#define CW_TOOLS_OPTIONS_OPTIONS_H

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
	CW_STATUS = 1 << 10, /* stats, top and control */
};

struct cw_rules;

#define CW_REPEAT_MAX 1001u /* rounds of a benchmark */

/* --time-precision, numbered as the pipeline's enum cw_time_precision. */
enum cw_precision { CW_PRECISION_AUTO, CW_PRECISION_US, CW_PRECISION_NS };

enum cw_sync { CW_SYNC_DEFAULT, CW_SYNC_OFF, CW_SYNC_CLOSE };

/* A growing list of words of the command line (borrowed from argv). */
struct cw_words {
	const char **words;
	uint32_t count;
};

/* Rules, and limits for rules whose file sets none. Numbers: 0 is no limit. */
struct cw_rules_arguments {
	struct cw_words filters; /* -f */
	struct cw_words writes;  /* -w */
	const char *file;        /* -R */
	struct cw_rules *loaded; /* the file, if it is read already; NULL: not */
	uint32_t trusted;        /* user beside root whose files can name hooks */
	struct cw_words faults;  /* texts about the file, for a check */
	uint32_t line_given;     /* first words of `given` that are the command line's */
	uint64_t rotate_bytes;
	uint64_t rotate_packets;
	uint64_t rotate_every_ns;
	bool is_rotate_aligned; /* -b interval: */
	uint64_t ring_files;
	uint64_t stop_files;  /* -a files: */
	uint64_t stop_bytes;  /* -a filesize: */
	uint32_t file_mode;   /* 0: not given */
	uint32_t folder_mode; /* 0: not given */
	const char *group;
	const char *hook; /* -z */
	uint64_t hook_ms;
};

/* Reading, compiling, running, checking and printing filters. */
struct cw_filter_arguments {
	const char *file;     /* -F */
	const char *linktype; /* -y */
	int engine;           /* enum cw_filter_engine */
	bool unoptimized;
	bool resolve;
	uint64_t time_ms; /* 0: the default */
	uint64_t memory_bytes;
	uint64_t verify_every; /* packets for each one checked; 0: no check */
	uint64_t dumps;        /* number of -d */
	bool dot;
	bool full;
};

/* Outputs, threads and memory. Numbers: 0 is the default. */
struct cw_output_arguments {
	const char *directory; /* -o */
	uint64_t packet_count; /* -c */
	uint64_t snaplen;      /* -s */
	int sync;              /* enum cw_sync */
	int direct;            /* enum cw_direct_mode */
	int precision;         /* enum cw_precision */
	bool packet_buffered;  /* -U */
	bool counts;           /* --count alone */
	bool no_clobber;
	bool adopts_all;
	bool adopts_none;
	bool discards_secrets;
	bool utc;
	uint64_t threads;
	uint64_t buffer_bytes;
	uint64_t chunk_bytes;
	uint64_t batch_bytes;
	uint64_t batch_packets;
	uint64_t segment_bytes; /* 0: no segments; UINT64_MAX: the default */
	uint64_t wrong_guess;   /* enum cw_guess_wrong */
};

/* Live capture. Numbers: 0 is the default. */
struct cw_live_arguments {
	bool lists_devices;   /* -D */
	bool lists_linktypes; /* -L */
	bool lists_clocks;    /* -J */
	bool not_promiscuous;
	int direction;       /* enum cw_live_direction */
	int clock;           /* enum cw_live_clock */
	int fanout;          /* enum cw_live_fanout */
	int backend;         /* enum cw_live_backend */
	uint64_t ring_bytes; /* -B */
	uint64_t queues;
	uint64_t block_bytes;
	uint64_t retire_ms;
	int is_time_order;    /* or 0 */
	int no_kernel_filter; /* or 0 */
	uint64_t max_drop;
	uint64_t stats_ms;
	uint64_t duration_ms;
	uint64_t drain_ms;
	bool waits_for_devices;
	const char *metrics;
	const char *control;     /* also of stats, top and control */
	const char *user;        /* -Z */
	const char *hook_user;   /* --hook-user */
	struct cw_words folders; /* --allow-folder */
	const char *pin;
	uint64_t realtime;
	bool huge_pages;
};

struct cw_send_arguments {
	double speed;    /* 0: not given */
	uint64_t rate;   /* --pps */
	uint64_t rounds; /* --loop */
	bool topspeed;
	int sends_cut; /* or 0 */
};

/* Generated traffic. */
struct cw_traffic_arguments {
	const char *profile;
	uint64_t packets;
	uint64_t seed;
};

struct cw_selftest_arguments {
	int mode; /* enum cw_selftest_mode */
	bool own_cable;
};

/* Lists of numbers as text. */
struct cw_bench_arguments {
	uint64_t repeat; /* rounds; 0: the benchmark's default */
	const char *threads;
	const char *queues;
	const char *rule_counts;
	const char *frame_sizes;
	uint64_t max_serial; /* serial: ns/packet; 0: no limit */
	bool lazy;           /* this and the fields below: decode */
	bool print_errors;
	bool print_layers;
	bool gopacket_compat;
};

struct cw_arguments {
	enum cw_command command;
	struct cw_words inputs;  /* -r, and the names in the files of -V */
	struct cw_words lists;   /* -V */
	struct cw_words devices; /* -i */
	struct cw_words rest;    /* positional */
	struct cw_words owned;   /* allocated words, freed by fini */
	struct cw_words given;   /* long names of the given options */
	const char *service;     /* --service */
	bool json;
	bool quiet;
	bool dry_run;
	bool portable;
	bool resyncs; /* --resync */
	struct cw_rules_arguments rules;
	struct cw_filter_arguments filter;
	struct cw_output_arguments output;
	struct cw_live_arguments live;
	struct cw_send_arguments send;
	struct cw_traffic_arguments traffic;
	struct cw_selftest_arguments selftest;
	struct cw_bench_arguments bench;
};

/*
 * Parse argv (argv[0] is the command's own word, skipped). Returns 0; or, with a message on stderr,
 * CW_EXIT_USAGE; or -1 when help was printed and the run is over.
 */
int cw_options_parse(struct cw_arguments *arguments, enum cw_command command, int argc,
		     char *const *argv);
void cw_arguments_fini(struct cw_arguments *arguments);

/* Whether the option was given; by its long name. */
bool cw_arguments_have(const struct cw_arguments *arguments, const char *name);

int cw_words_add(struct cw_words *words, const char *word);

#endif
