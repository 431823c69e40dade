/* SPDX-License-Identifier: BSD-3-Clause */
/* capweir top: the live dashboard of a running capture, with ncurses. top_model.c computes it. */
#include <curses.h>
#include <inttypes.h>
#include <locale.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/commands/ask.h"
#include "tools/commands/commands.h"
#include "tools/commands/top_model.h"
#include "tools/text/numbers.h"

#define LABEL_COLUMNS 22
#define BAR_COLUMNS 24
#define EVERY_MS 1000
#define BAD 1          /* colour pair of a stage that loses packets */
#define GOOD 2         /* colour pair of other stages */
#define LINES_BESIDE 5 /* lines that hold no row: head, bottleneck, empty lines */

static json_t *ask_stats(int fd, const char *path)
{
	json_t *answer = cw_ask_at(fd, path, json_pack("{s:s}", "command", "stats"), false);
	json_t *stats = json_incref(json_object_get(answer, "stats"));

	json_decref(answer);
	return stats;
}

static void draw_bar(double fill, bool is_bad)
{
	int filled = (int)(fill * BAR_COLUMNS + 0.5);

	if (fill < 0) {
		printw("%*s", BAR_COLUMNS + 9, "");
		return;
	}
	addch('[');
	attron(COLOR_PAIR(is_bad ? BAD : GOOD));
	for (int column = 0; column < BAR_COLUMNS; column++)
		addch(column < filled ? '|' : ' ');
	attroff(COLOR_PAIR(is_bad ? BAD : GOOD));
	printw("] %3.0f %% ", 100 * fill);
}

static void draw_row(int line, const struct cw_top_row *row)
{
	char number[CW_NUMBER_BYTES];
	bool is_bad = row->loss_rate > 0 || row->has_failed;

	mvprintw(line, 0, "%-*.*s", LABEL_COLUMNS, LABEL_COLUMNS - 1, row->label);
	draw_bar(row->fill, is_bad);
	if (row->rate >= 0)
		printw("%9s/s", cw_format_count((uint64_t)row->rate, number));
	if (!row->lost && !is_bad)
		return;
	if (is_bad)
		attron(COLOR_PAIR(BAD) | A_BOLD);
	printw(" lost %s", cw_format_count(is_bad ? (uint64_t)row->loss_rate : row->lost, number));
	if (is_bad)
		printw("/s");
	attroff(COLOR_PAIR(BAD) | A_BOLD);
}

static void draw_rows(const struct cw_top *top, int line, int end)
{
	/* The last rows, sorted outputs, are omitted if the screen is too small. */
	for (uint32_t index = 0; index < top->row_count; index++) {
		bool is_last_line = line == end - 1 && index + 1 < top->row_count;

		if (line >= end)
			return;
		if (is_last_line) {
			mvprintw(line, 0, "and %u more", top->row_count - index);
			return;
		}
		draw_row(line++, &top->rows[index]);
	}
}

static void draw(const struct cw_top *top, const char *path)
{
	char packets[CW_NUMBER_BYTES], bytes[CW_NUMBER_BYTES], before[CW_NUMBER_BYTES];
	int lines = getmaxy(stdscr);
	int columns = getmaxx(stdscr);
	char name[256];

	erase();
	mvprintw(0, 0, "%.*s  %.0f s  rules generation %" PRIu64 "   (q: quit)", columns - 45,
		 cw_format_printable(path, name, sizeof(name)), top->elapsed_s, top->generation);
	mvprintw(1, 0, "%s packets/s  %s/s  lost by the interface: %s",
		 cw_format_count((uint64_t)top->packet_rate, packets),
		 cw_format_bytes((uint64_t)top->byte_rate, bytes),
		 cw_format_count(top->lost_before, before));
	if (top->is_losing)
		attron(COLOR_PAIR(BAD) | A_BOLD);
	mvprintw(2, 0, "bottleneck: %.*s", columns - 13, top->bottleneck);
	attroff(COLOR_PAIR(BAD) | A_BOLD);
	draw_rows(top, LINES_BESIDE - 1, lines);
	refresh();
}

/* Draws until a key or the end of the capture; returns true if the capture has ended. */
static bool show(int fd, const char *path)
{
	json_t *before = ask_stats(fd, path), *now = NULL;
	struct cw_top top;
	bool has_ended = before == NULL;
	int key = 0;

	timeout(EVERY_MS / 4); /* the first screen comes early */
	while (!has_ended && key != 'q' && key != 'Q' && key != 3) {
		key = getch();
		if (key != ERR && key != KEY_RESIZE)
			continue;
		now = ask_stats(fd, path);
		has_ended = now == NULL;
		if (has_ended || cw_top_make(&top, before, now) < 0)
			break;
		draw(&top, path);
		cw_top_fini(&top);
		/* A resize redraws and keeps the earlier sample. */
		if (key == KEY_RESIZE) {
			json_decref(now);
			continue;
		}
		json_decref(before);
		before = now;
		timeout(EVERY_MS);
	}
	json_decref(before);
	return has_ended;
}

/* https://no-color.org: any value but the empty one switches colours off. */
static bool has_no_color(void)
{
	const char *value = getenv("NO_COLOR");

	return value && *value;
}

int cw_command_top(const struct cw_arguments *arguments)
{
	bool has_ended;
	int fd;

	if (arguments->rest.count)
		return cw_refuse("top takes no words but options, not '%s'",
				 arguments->rest.words[0]);
	if (!arguments->live.control)
		return cw_ask_refuse_no_path();
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return cw_refuse(
		    "top needs a terminal: capweir stats prints the same numbers once");
	fd = cw_ask_connect(arguments->live.control);
	if (fd < 0)
		return CW_EXIT_PROBLEM;
	setlocale(LC_ALL, "");
	if (!newterm(NULL, stdout, stdin)) {
		cw_complain("top does not know the terminal type in TERM: try TERM=xterm");
		close(fd);
		return CW_EXIT_PROBLEM;
	}
	cbreak();
	noecho();
	curs_set(0);
	keypad(stdscr, TRUE);
	if (has_colors() && !has_no_color()) {
		start_color();
		use_default_colors();
		init_pair(BAD, COLOR_RED, -1);
		init_pair(GOOD, COLOR_GREEN, -1);
	}
	has_ended = show(fd, arguments->live.control);
	endwin();
	close(fd);
	if (has_ended)
		cw_complain("the capture has ended");
	return CW_EXIT_COMPLETE;
}
