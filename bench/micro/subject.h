/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The code timed by the C++ benchmarks, as plain C functions: the library's headers use C11
 * atomics, which C++17 cannot read. Each call is one repetition over a complete data set, so the
 * cost of the call is negligible. Functions report failures on stderr and return NULL, or -1 for a
 * count.
 */
#ifndef CW_BENCH_MICRO_SUBJECT_H
#define CW_BENCH_MICRO_SUBJECT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A generated pcap file in memory. */
struct subject_file;

struct subject_file *subject_file_make(const char *profile, uint32_t packet_count);
uint64_t subject_file_bytes(const struct subject_file *file);
const char *subject_file_path(const struct subject_file *file); /* valid in this process */
void subject_file_free(struct subject_file *file);

/* Return the number of packets, read by: splitting into spans; splitting and decoding; the public
 * handle (zero-copy one by one, copying, zero-copy in bursts); a pcap_next_ex loop. */
int64_t subject_scan(const struct subject_file *file);
int64_t subject_decode(const struct subject_file *file);
int64_t subject_handle_next(const struct subject_file *file);
int64_t subject_handle_read(const struct subject_file *file);
int64_t subject_handle_burst(const struct subject_file *file);
int64_t subject_libpcap_read(const struct subject_file *file);

/* Generated packets in memory, and `filter_count` filters for them. */
struct subject_match;

struct subject_match *subject_match_make(const char *profile, uint32_t packet_count,
					 uint32_t filter_count);
void subject_match_free(struct subject_match *match);

/* Return the number of matches, of a filter set in bursts; of libpcap's bpf_filter, filter by
 * filter. */
int64_t subject_match_set(const struct subject_match *match);
int64_t subject_match_libpcap(const struct subject_match *match);

/* Generated packets in memory, for decoding. */
struct subject_packets;

struct subject_packets *subject_packets_make(const char *profile, uint32_t packet_count);
void subject_packets_free(struct subject_packets *subject);

/* Return a checksum of the results, of: a minimal decoder; the same in bursts with hashes; flows in
 * bursts; all layers; chosen layers; flows and TCP streams. */
int64_t subject_packets_minimal(struct subject_packets *subject);
int64_t subject_packets_minimal_flows(struct subject_packets *subject);
int64_t subject_packets_flows(struct subject_packets *subject);
int64_t subject_packets_layers(struct subject_packets *subject);
int64_t subject_packets_chosen(struct subject_packets *subject);
int64_t subject_packets_streams(struct subject_packets *subject);

#ifdef __cplusplus
}
#endif

#endif
