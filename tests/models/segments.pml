/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The turn with segments, for the model checker spin: every interleaving of a few segments, batches,
 * chunks and workers. test_models.py runs it.
 *
 * Modelled, as in pipeline/: the capture thread of a file, which hands out runs of segments and spans
 * whose records it has walked (turn/chain.h); a second lane of spans; workers, which guess, walk,
 * encode drafts, copy and write; the turn and an output's one writer, which are counters of offers;
 * the gates of workers and capture threads, where a signal wakes one of the sleepers; the chunk pool
 * with chunks lent to drafts; the life of leases. By lot: whether a guess is right, one odd place
 * anywhere, one record that covers a whole segment, whether a batch is quick or careful, a turn that
 * gives up segments, a write that fails for ever, an input that is truncated while it is read; -c.
 *
 * Checked: no process waits for ever; a lease is given back once; a chunk goes free, lent, whole,
 * free, or free, open, whole, free; the turn and the writer have one holder; records are accepted
 * and written in order without a gap; at the end every batch and chunk is free, and what was
 * accepted is what a walk from the head finds.
 *
 * Not modelled: weak memory (labels in the code, ThreadSanitizer); the futex below a gate; the rings,
 * which are channels here; several outputs; a batch in several parts; order by time; live capture.
 *
 * A position is the number of a segment, in which one record begins. Each of these is a mistake that
 * the model must find: NUMBER_FIRST, LATE_ANNOUNCEMENT, LEASE_TWICE, LATE_LOOK, DEAD_RUN.
 */
#ifndef SEGMENTS
#define SEGMENTS 2
#endif
#ifndef SPANS
#define SPANS 0 /* of the second lane, which has one batch */
#endif
#ifndef WORKERS
#define WORKERS 1 /* at most 2 */
#endif
#ifndef CHUNKS
#define CHUNKS 2
#endif
#ifndef LENT_MAX
#define LENT_MAX 1
#endif
#ifndef LIMIT
#define LIMIT 0 /* of -c, in records; 0: none */
#endif
#ifndef FAILS
#define FAILS 0 /* a write may fail */
#endif
#ifndef DAMAGE
#define DAMAGE 0 /* the input may be truncated */
#endif

/* Sizes of arrays are plain numbers. */
#define BATCHES 2 /* of the file */
#if SPANS
#define LANES 2
#define ALL_BATCHES 3
#define SLOTS 4
#else
#define LANES 1
#define ALL_BATCHES 2
#define SLOTS 2
#endif
#define LANE(batch) ((batch) >= BATCHES)
#define SLOT(lane, number) ((lane) * BATCHES + (number) % BATCHES)
#define NOWHERE 15  /* a wrong start, or none */
#define NO_CHUNK 15

mtype = { MATCH, AGAIN, CAREFUL, COPY, DISCARD }; /* what a worker does with a batch next */
mtype = { FREE, LENT, OPEN, WHOLE };              /* a chunk */
mtype = { LOOKED, CHANGED, ASLEEP };              /* a worker at its gate */

/* batches: one holder at a time */
byte number[ALL_BATCHES];  /* in the lane */
byte from[ALL_BATCHES];    /* nominal beginning */
byte run_of[ALL_BATCHES];     /* 0: a span */
byte start[ALL_BATCHES];
byte end[ALL_BATCHES];
byte chunk_of[ALL_BATCHES]; /* of its draft, or the place to copy to */
bool is_odd[ALL_BATCHES];  /* the walk stopped before an odd place */
bool is_damaged[ALL_BATCHES];
bool is_counted[ALL_BATCHES];
bool has_lease[ALL_BATCHES];
mtype step[ALL_BATCHES];
chan cut0 = [BATCHES] of { byte };
chan cut1 = [1] of { byte };
chan reserved = [ALL_BATCHES] of { byte };
chan free0 = [BATCHES] of { byte };
chan free1 = [1] of { byte };
byte parked[SLOTS]; /* batch + 1 */
byte cut_count[LANES];
bool is_cut[LANES];

/* the file */
byte odd_at = NOWHERE;
byte long_at = NOWHERE;

/* the turn */
byte kicks;
bool is_asked; /* by the thread that has the turn */
bool lane_waits[LANES];
byte next[LANES];
bool is_through[LANES];
bool is_dead;       /* the input was truncated */
byte chain_run;
byte proven;
bool is_run_over;
byte counted;       /* records */
byte accepted[LANES]; /* end of the records that count */
byte over_run;      /* [RUN-1] to the capture thread */
byte over_at;
bool is_starved;    /* [STARVE-1] */
bool is_stopping;   /* -c is reached */
bool is_sealed;
bool is_done;

/* chunks, and the output's queue of them in file order */
mtype chunk[CHUNKS];
byte lane_of[CHUNKS];
byte first_of[CHUNKS];
byte end_of[CHUNKS];
byte free_chunks = CHUNKS;
byte lent;
byte live_chunks;
byte live_batches;
chan queue = [CHUNKS] of { byte };
bool is_writable;
byte output_kicks;
bool is_written; /* somebody writes */
bool has_failed;
byte written[LANES];

mtype gate[WORKERS];
bool reader_changed;
bool second_changed;

inline wake_workers(is_all) {
	atomic {
		if :: gate[0] == LOOKED -> gate[0] = CHANGED :: else fi;
		if :: gate[WORKERS - 1] == LOOKED -> gate[WORKERS - 1] = CHANGED :: else fi;
		if
		:: gate[0] == ASLEEP -> gate[0] = CHANGED
		:: gate[WORKERS - 1] == ASLEEP -> gate[WORKERS - 1] = CHANGED
		:: else
		fi;
		if :: is_all -> gate[0] = CHANGED; gate[WORKERS - 1] = CHANGED :: else fi
	}
}

inline check_end() {
	atomic {
		if
		:: is_sealed && !live_chunks && !live_batches && !is_done ->
			is_done = true;
			wake_workers(true)
		:: else
		fi
	}
}

inline take_chunk(c) {
	c = 0;
	do :: chunk[c] != FREE -> c++ :: else -> break od;
	assert(c < CHUNKS);
	free_chunks--
}

inline kick_output() {
	atomic {
		if :: !output_kicks -> is_writable = true; wake_workers(false) :: else fi;
		output_kicks = 2
	}
}

/* A record begins at each position but the one after `long_at`. */
#define after(position) ((position) + 1 + ((position) == long_at))

/* ---- the turn ---- */

inline end_run() {
#ifdef NUMBER_FIRST
	over_run = chain_run;
	over_at = proven;
#else
	over_at = proven;
	over_run = chain_run; /* [RUN-1] */
#endif
	is_run_over = true;
	reader_changed = true
}

/* Sets what becomes of the batch in line: MATCH, if it counts. */
inline judge(lane, b) {
	atomic {
		verdict = MATCH;
		ends_run = false;
		if
		:: run_of[b] && run_of[b] != chain_run ->
			chain_run = run_of[b]; proven = from[b]; is_run_over = false
		:: else
		fi;
		if
		:: is_stopping && !is_counted[b] -> verdict = DISCARD
		:: !(is_stopping && !is_counted[b]) && lane == 0 && is_dead ->
			verdict = DISCARD;
#ifndef DEAD_RUN
			ends_run = run_of[b] && !is_run_over
#endif
		:: else ->
			if
			:: !run_of[b]
			:: run_of[b] && is_run_over -> verdict = DISCARD
			:: run_of[b] && !is_run_over && start[b] != proven ->
				if
				:: proven > from[b] -> /* a record covers it */
					verdict = DISCARD; ends_run = from[b] == SEGMENTS - 1
				:: proven == from[b] -> verdict = AGAIN; start[b] = proven
				:: proven == from[b] -> verdict = DISCARD; ends_run = true /* gives up */
				fi
			:: else
			fi
		fi
	}
}

/* Gives a batch that counts its place: sets COPY, CAREFUL or DISCARD, or MATCH if there is no chunk. */
inline place(lane, b, c) {
	atomic {
		if
		:: end[b] == start[b] -> verdict = DISCARD
		:: end[b] != start[b] && chunk_of[b] != NO_CHUNK &&
		   ((LIMIT && counted + 1 == LIMIT)) -> verdict = CAREFUL
		:: end[b] != start[b] && chunk_of[b] != NO_CHUNK -> verdict = CAREFUL
		:: end[b] != start[b] && !(chunk_of[b] != NO_CHUNK && LIMIT && counted + 1 == LIMIT) ->
			if
			:: !is_counted[b] ->
				is_counted[b] = true; counted++;
				assert(start[b] == accepted[lane]); accepted[lane] = end[b];
				if :: counted == LIMIT -> is_stopping = true; reader_changed = true;
					second_changed = true :: else fi
			:: else
			fi;
			if
			:: has_failed -> verdict = DISCARD /* a loss */
			:: !has_failed && chunk_of[b] != NO_CHUNK -> /* adopts the draft */
				assert(chunk[chunk_of[b]] == LENT); chunk[chunk_of[b]] = WHOLE; lent--;
				lane_of[chunk_of[b]] = lane; first_of[chunk_of[b]] = start[b];
				end_of[chunk_of[b]] = end[b];
				live_chunks++; queue!chunk_of[b]; chunk_of[b] = NO_CHUNK;
				verdict = DISCARD; is_adopted = true
#ifdef LEASE_TWICE
				; has_lease[b] = false
#endif
			:: else
			fi
		fi
	};
	if :: is_adopted -> is_adopted = false; kick_output() :: else fi;
	if
	:: verdict == MATCH ->
#ifndef LATE_ANNOUNCEMENT
		if :: !free_chunks -> is_starved = true :: else fi; /* [STARVE-1] */
#endif
		atomic {
			if
			:: free_chunks ->
				take_chunk(c); chunk[c] = OPEN; live_chunks++; lane_of[c] = lane;
				first_of[c] = start[b]; end_of[c] = end[b]; queue!c; chunk_of[b] = c;
				verdict = COPY; c = 0
			:: else -> is_waiting = true
			fi
		};
#ifdef LATE_ANNOUNCEMENT
		if :: is_waiting -> is_starved = true :: else fi;
#endif
		if :: verdict == COPY -> is_starved = false :: else fi
	:: else
	fi
}

/* Takes the batch in, whose records have their place. */
inline take_in(lane, b) {
	ends_run = false;
	if
	:: run_of[b] -> proven = end[b]; ends_run = is_odd[b] || is_damaged[b] || end[b] >= SEGMENTS
	:: else
	fi;
	if :: lane == 0 && is_damaged[b] -> is_dead = true :: else fi
}

/* One step for the batch in line of a lane. */
inline advance(lane, b, c) {
	is_more = false;
	is_waiting = false;
	if
	:: !parked[SLOT(lane, next[lane])] ->
		atomic {
			if
			:: is_cut[lane] && next[lane] == cut_count[lane] && !is_through[lane] ->
				is_through[lane] = true;
				is_sealed = is_through[0] && is_through[LANES - 1];
				check_end()
			:: else
			fi
		}
	:: else ->
		b = parked[SLOT(lane, next[lane])] - 1;
		judge(lane, b);
		if
		:: verdict == MATCH ->
			place(lane, b, c);
			if :: verdict == COPY || verdict == DISCARD -> take_in(lane, b) :: else fi
		:: else
		fi;
		if :: ends_run -> end_run() :: else fi;
		if
		:: is_waiting -> lane_waits[lane] = true
		:: else ->
			atomic {
				is_more = true;
				step[b] = verdict;
				parked[SLOT(lane, next[lane])] = 0;
				if :: verdict != AGAIN && verdict != CAREFUL -> next[lane]++ :: else fi;
				reserved!b; b = 0; verdict = MATCH; ends_run = false
			};
			wake_workers(false)
		fi
	fi
}

/* Offers the turn; waits for its use, as that of this thread, if nobody has it. */
inline offer() {
	atomic { has_turn = !kicks; is_asked = is_asked || has_turn; kicks = 2 };
	if :: has_turn -> atomic { !is_asked -> has_turn = false } :: else fi
}

/* What a thread does with the turn that it has. */
proctype turn() {
	byte b, c, lane;
	mtype verdict = MATCH;
	bool is_more, is_waiting, ends_run, is_adopted;

end_idle:
	do
	:: is_asked ->
		kicks = 1;
		do
		:: lane == LANES -> lane = 0; break
		:: lane < LANES ->
			if
			:: lane_waits[lane] ->
				lane_waits[lane] = false;
				do :: advance(lane, b, c); if :: is_more :: else -> break fi od
			:: else
			fi;
			lane++
		od;
		atomic { if :: kicks == 1 -> kicks = 0; is_asked = false :: else fi }
	od
}

/* ---- capture threads ---- */

inline hand_out(b, position, of_run, lane, free, cut) {
	atomic {
		from[b] = position; run_of[b] = of_run; step[b] = MATCH; chunk_of[b] = NO_CHUNK;
		assert(!has_lease[b]); has_lease[b] = true;
		number[b] = cut_count[lane]; cut_count[lane]++; live_batches++; cut!b; b = 0
	};
	wake_workers(false)
}

proctype reader() {
	byte b, position, cut_to, my_run;
	bool is_after_run;
	bool has_turn;

	if :: odd_at = 0 :: SEGMENTS > 1 -> odd_at = 1 :: odd_at = NOWHERE fi;
	if :: SEGMENTS > 1 -> long_at = SEGMENTS - 2 :: long_at = NOWHERE fi;
	do
	:: position == SEGMENTS || is_stopping -> break
	:: position != SEGMENTS && !is_after_run -> /* a run of segments */
		my_run++;
		cut_to = position;
		is_after_run = true;
		do
		:: reader_changed = false;
			if
			:: is_stopping -> goto leave
			:: !is_stopping && over_run == my_run -> break
			:: else ->
				if
				:: atomic { cut_to < SEGMENTS && free0?[b] -> free0?b };
					hand_out(b, cut_to, my_run, 0, free0, cut0);
					cut_to++
				:: cut_to == SEGMENTS || empty(free0) -> reader_changed
				fi
			fi
		od;
		atomic { position = over_at; cut_to = 0 }
	:: position != SEGMENTS -> /* a span */
		do
		:: reader_changed = false;
			if
			:: is_stopping -> goto leave
			:: atomic { !is_stopping && free0?[b] -> free0?b }; break
			:: !is_stopping && empty(free0) -> reader_changed
			fi
		od;
		hand_out(b, position, 0, 0, free0, cut0);
		position = after(position);
		is_after_run = false
	od;
leave:
	atomic { is_cut[0] = true; lane_waits[0] = true }; /* [END-1] */
	offer()
}

/* The second lane hands out spans. */
proctype second() {
	byte b, position;
	bool has_turn;

	do
	:: position == SPANS || is_stopping -> break
	:: else ->
		second_changed = false;
		if
		:: is_stopping -> break
		:: atomic { !is_stopping && free1?[b] -> free1?b };
			hand_out(b, position, 0, LANES - 1, free1, cut1);
			position++
		:: !is_stopping && empty(free1) -> second_changed
		fi
	od;
	atomic { is_cut[LANES - 1] = true; lane_waits[LANES - 1] = true }; /* [END-1] */
	offer()
}

/* ---- workers ---- */

/* Guesses unless the start is known, walks, and encodes a draft or, careful, none. */
inline walk(b, c) {
	atomic {
		if
		:: step[b] == MATCH && run_of[b] && from[b] != 0 -> /* start: by lot, right or wrong */
			if
			:: start[b] = from[b] + (long_at != NOWHERE && from[b] == long_at + 1)
			:: start[b] = NOWHERE
			fi
		:: step[b] == MATCH && !(run_of[b] && from[b] != 0) -> start[b] = from[b]
		:: else
		fi;
		is_odd[b] = false;
		if
		:: start[b] == from[b] && run_of[b] && odd_at == from[b] ->
			end[b] = start[b]; is_odd[b] = true
		:: start[b] == from[b] && !(run_of[b] && odd_at == from[b]) ->
			end[b] = (LANE(b) -> from[b] + 1 : after(from[b]))
		:: start[b] == NOWHERE -> end[b] = from[b] + 1
		:: else -> end[b] = start[b]
		fi;
		if :: DAMAGE && !LANE(b) -> is_damaged[b] = true :: is_damaged[b] = false fi;
		if
		:: step[b] != CAREFUL && end[b] != start[b] && lent < LENT_MAX -> lent++; c = 1
		:: true -> c = 0
		fi
	};
	atomic {
		if
		:: c && free_chunks -> take_chunk(c); chunk[c] = LENT; chunk_of[b] = c
		:: c && !free_chunks -> lent--
		:: else
		fi;
		c = 0
	}
}

inline drop_draft(b) {
	if
	:: chunk_of[b] != NO_CHUNK ->
		atomic {
			assert(chunk[chunk_of[b]] == LENT);
			chunk[chunk_of[b]] = FREE; free_chunks++; lent--; chunk_of[b] = NO_CHUNK
		};
		is_returned = true
	:: else
	fi
}

/* Gives the lease back, then the batch. */
inline finish(b) {
	assert(has_lease[b]);
	atomic {
		has_lease[b] = false; is_counted[b] = false; is_odd[b] = false;
		is_damaged[b] = false; start[b] = 0; end[b] = 0; from[b] = 0; run_of[b] = 0; number[b] = 0;
		if
		:: LANE(b) -> free1!b; second_changed = true
		:: else -> free0!b; reader_changed = true
		fi
	};
	atomic { live_batches--; b = 0 }
}

proctype worker(byte me) {
	byte b, c;
	bool is_writer, is_returned, is_parking;
	bool has_turn;

look:
#ifndef LATE_LOOK
	gate[me] = LOOKED;
#endif
	if
	:: atomic { is_writable -> is_writable = false }; is_writer = true;
		assert(!is_written); is_written = true;
		goto write
	:: else
	fi;
	if
	:: reserved?b -> goto handed_on
	:: empty(reserved)
	fi;
	if
	:: cut0?b -> walk(b, c); goto park
	:: cut1?b -> walk(b, c); goto park
	:: empty(cut0) && empty(cut1)
	fi;
	if
	:: is_done -> goto leave
	:: else
	fi;
#ifdef LATE_LOOK
	gate[me] = LOOKED;
#endif
	atomic { if :: gate[me] == LOOKED -> gate[me] = ASLEEP :: else fi };
	gate[me] == CHANGED;
	goto look;

write:	/* kicked: writes whole chunks from the queue's head */
	output_kicks = 1;
write_next:
	atomic {
		if
		:: nempty(queue) ->
			queue?<c>;
			if :: chunk[c] == WHOLE -> queue?c :: else -> c = NO_CHUNK fi
		:: empty(queue) -> c = NO_CHUNK
		fi
	};
	if
	:: c != NO_CHUNK ->
		atomic {
			if :: FAILS && !has_failed -> has_failed = true :: true fi;
			assert(first_of[c] == written[lane_of[c]]);
			written[lane_of[c]] = end_of[c];
			lane_of[c] = 0; first_of[c] = 0; end_of[c] = 0
		};
		atomic { chunk[c] = FREE; free_chunks++; c = 0 };
		live_chunks--;
		goto resume
	:: else -> c = 0
	fi;
	atomic {
		is_written = false;
		if
		:: output_kicks == 1 -> output_kicks = 0; is_writer = false; goto look
		:: else -> is_written = true; goto write
		fi
	};

handed_on:
	if
	:: step[b] == COPY ->
		assert(chunk[chunk_of[b]] == OPEN);
		c = chunk_of[b]; chunk_of[b] = NO_CHUNK;
		finish(b);
		atomic { chunk[c] = WHOLE; c = 0 };
		kick_output();
		goto resume
	:: step[b] == DISCARD -> drop_draft(b); is_returned = false; finish(b); goto resume
	:: else -> drop_draft(b);
		walk(b, c);
		step[b] = MATCH
	fi;

park:
	atomic {
		c = number[b];
		parked[SLOT(LANE(b), c)] = b + 1;
		lane_waits[LANE(b)] = true;
		is_parking = true; b = 0; c = 0
	};
resume:
	if
	:: is_parking || is_starved -> /* [STARVE-1] */
		is_parking = false; is_returned = false;
		offer()
	:: else
	fi;
	check_end();
	if
	:: is_writer -> goto write_next
	:: else -> goto look
	fi;

leave:
	assert(free_chunks == CHUNKS && !lent && !live_batches && !live_chunks && empty(queue));
	assert(has_failed || written[0] == accepted[0] && written[LANES - 1] == accepted[LANES - 1]);
	assert(is_dead || is_stopping || accepted[0] == SEGMENTS);
	assert(is_stopping || LANES == 1 || accepted[LANES - 1] == SPANS);
	assert(!is_stopping || counted == LIMIT)
}

init {
	byte i;

	atomic {
		for (i : 0 .. BATCHES - 1) { free0!i; chunk_of[i] = NO_CHUNK; step[i] = MATCH }
		if :: SPANS -> i = BATCHES; free1!i; chunk_of[ALL_BATCHES - 1] = NO_CHUNK;
			step[ALL_BATCHES - 1] = MATCH; run second() :: else fi;
		for (i : 0 .. CHUNKS - 1) { chunk[i] = FREE }
		for (i : 0 .. WORKERS - 1) { gate[i] = CHANGED; run worker(i) }
		run turn();
		run reader()
	}
}
