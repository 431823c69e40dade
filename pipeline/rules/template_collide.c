/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks whether two output name templates can give one path. A template becomes a pattern: one
 * symbol per character; a symbol stands for one character, any digit, or anything but "/", and may
 * repeat. Two patterns collide if one string fits both. Timestamps of different rules count as
 * independent, which errs towards yes. Paths are compared as text; symbolic links are not followed.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "pipeline/rules/template.h"

/* Symbols: a byte value, or one of these, perhaps with STAR (any number of them, even none). */
#define SYMBOL_DIGIT 0x100u
#define SYMBOL_ANY 0x200u
#define SYMBOL_STAR 0x400u

/* The working directory, the text and its expanded fields (at most 10 symbols for 2 bytes). */
#define SYMBOLS_MAX (2u * CW_TEMPLATE_PATH_BYTES + 5u * CW_TEMPLATE_PATH_BYTES)
/* Work limit of a search; only names that begin with something of unknown length come near. */
#define STEPS_MAX (UINT64_C(1) << 27)

struct pattern {
	uint16_t *memory; /* symbols point into it */
	const uint16_t *symbols;
	uint32_t count;
	uint32_t key_count; /* leading symbols of fixed length; only these can be sorted by */
	uint32_t use;       /* index of the template */
	const uint8_t *is_digit_position;
};

struct builder {
	uint16_t symbols[SYMBOLS_MAX];
	uint32_t count;
};

static void put_symbol(struct builder *builder, uint32_t symbol)
{
	if (builder->count < SYMBOLS_MAX)
		builder->symbols[builder->count++] = (uint16_t)symbol;
}

static void put_text(struct builder *builder, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		put_symbol(builder, (uint8_t)text[i]);
}

/* Puts one or more of the symbol. */
static void put_repeated(struct builder *builder, uint32_t symbol)
{
	put_symbol(builder, symbol);
	put_symbol(builder, symbol | SYMBOL_STAR);
}

const char *cw_template_conversion_shape(const char *conversion)
{
	static const struct {
		const char *letters, *shape;
	} shapes[] = {
	    {"CdgHImMSUVWy", "00"}, {"GY", "0000"}, {"j", "000"},      {"uw", "0"},
	    {"F", "0000-00-00"},    {"R", "00:00"}, {"T", "00:00:00"},
	};

	if (strlen(conversion) != 2)
		return NULL; /* a flag, E or O */
	for (size_t i = 0; i < CW_ARRAY_COUNT(shapes); i++)
		if (strchr(shapes[i].letters, conversion[1]))
			return shapes[i].shape;
	return NULL; /* names, zones, and text that depends on the locale */
}

static void put_time(struct builder *builder, const char *conversion)
{
	const char *shape = cw_template_conversion_shape(conversion);

	if (!strcmp(conversion, "%s")) {
		put_repeated(builder, SYMBOL_DIGIT);
		return;
	}
	if (!shape) {
		put_repeated(builder, SYMBOL_ANY);
		return;
	}
	for (; *shape; shape++)
		put_symbol(builder, *shape == '0' ? SYMBOL_DIGIT : (uint8_t)*shape);
}

/* Drops "//" and "/./", and "x/.." with x; the path is absolute. */
static void normalise(struct builder *builder)
{
	uint16_t *symbols = builder->symbols;
	uint32_t used = 0;

	for (uint32_t i = 0; i < builder->count;) {
		uint32_t end = i + 1; /* symbols[i] is a slash; a component follows */

		while (end < builder->count && symbols[end] != '/')
			end++;
		if (end == i + 1 || (end == i + 2 && symbols[i + 1] == '.')) {
			i = end;
			continue;
		}
		if (end == i + 3 && symbols[i + 1] == '.' && symbols[i + 2] == '.') {
			while (used > 0 && symbols[--used] != '/')
				;
			i = end;
			continue;
		}
		memmove(symbols + used, symbols + i, (end - i) * sizeof(*symbols));
		used += end - i;
		i = end;
	}
	builder->count = used;
}

static bool spells(const struct builder *builder, const char *text)
{
	if (builder->count != strlen(text))
		return false;
	for (uint32_t i = 0; i < builder->count; i++)
		if (builder->symbols[i] != (uint8_t)text[i])
			return false;
	return true;
}

static void build(struct builder *builder, const struct cw_template *name, const char *rule)
{
	char text[CW_TEMPLATE_PATH_BYTES];
	size_t bytes;

	builder->count = 0;
	if (name->is_stdout) {
		put_text(builder, "-", 1); /* unlike any other pattern: those begin with a slash */
		return;
	}
	if (name->parts[0].kind != CW_PART_TEXT || name->text[name->parts[0].offset] != '/') {
		if (getcwd(text, sizeof(text)))
			put_text(builder, text, strlen(text));
		put_symbol(builder, '/');
	}
	for (uint32_t i = 0; i < name->part_count; i++) {
		const struct cw_part *part = &name->parts[i];

		switch (part->kind) {
		case CW_PART_TEXT:
			put_text(builder, name->text + part->offset, part->bytes);
			break;
		case CW_PART_RULE:
			bytes = cw_template_value(rule, "unknown", text);
			put_text(builder, text, bytes);
			break;
		case CW_PART_IFACE:
			put_repeated(builder, SYMBOL_ANY);
			break;
		case CW_PART_SEQ:
			for (uint32_t digit = 1; digit < part->width; digit++)
				put_symbol(builder, SYMBOL_DIGIT);
			put_repeated(builder, SYMBOL_DIGIT);
			break;
		case CW_PART_TIME:
			put_time(builder, name->text + part->offset);
			break;
		}
	}
	normalise(builder);
	if (spells(builder, "/dev/stdout") || spells(builder, "/dev/fd/1") ||
	    spells(builder, "/proc/self/fd/1")) {
		builder->count = 0;
		put_text(builder, "-", 1);
	}
}

/* Returns whether the symbols between the places spell the extension, in any case. */
static bool is_extension(const struct builder *builder, uint32_t from, uint32_t to,
			 const char *extension)
{
	if (to - from != strlen(extension))
		return false;
	for (uint32_t i = from; i < to; i++)
		if (builder->symbols[i] > 0x7f ||
		    tolower((int)builder->symbols[i]) != extension[i - from])
			return false;
	return true;
}

/* Returns the place of the extension's dot, as cw_template_extension; the end without one. */
static uint32_t find_extension(const struct builder *builder)
{
	const uint32_t end = builder->count;
	uint32_t base = end, dot = end, before = end;

	for (; base > 0 && builder->symbols[base - 1] != '/'; base--) {
		if (builder->symbols[base - 1] != '.')
			continue;
		if (dot == end)
			dot = base - 1;
		else if (before == end)
			before = base - 1;
	}
	if (dot == base) /* a hidden file */
		return end;
	if (before < end && before > base && is_extension(builder, dot, end, ".zst") &&
	    (is_extension(builder, before, dot, ".pcap") ||
	     is_extension(builder, before, dot, ".pcapng") ||
	     is_extension(builder, before, dot, ".ntar")))
		return before;
	return dot;
}

/*
 * Adds the number that a repeated name gets: ".N" before the extension, as cw_template_numbered. If
 * {iface} or a time comes last, the place of its dots is unknown: then the number goes to the end,
 * as for names without an extension.
 */
static void put_number(struct builder *builder)
{
	static const uint16_t number[] = {'.', SYMBOL_DIGIT, SYMBOL_DIGIT | SYMBOL_STAR};
	const uint32_t dot = find_extension(builder);

	if (builder->count + CW_ARRAY_COUNT(number) > SYMBOLS_MAX)
		return;
	memmove(builder->symbols + dot + CW_ARRAY_COUNT(number), builder->symbols + dot,
		(builder->count - dot) * sizeof(*number));
	memcpy(builder->symbols + dot, number, sizeof(number));
	builder->count += CW_ARRAY_COUNT(number);
}

static bool is_digit(uint32_t symbol)
{
	return symbol >= '0' && symbol <= '9';
}

/* Returns whether one character fits both symbols. */
static bool overlap(uint32_t a, uint32_t b)
{
	a &= ~SYMBOL_STAR;
	b &= ~SYMBOL_STAR;
	if (a == b)
		return true;
	if (a < b) {
		uint32_t other = a;

		a = b;
		b = other;
	}
	if (a == SYMBOL_ANY)
		return b != '/';
	return a == SYMBOL_DIGIT && is_digit(b);
}

/*
 * Returns whether one string fits both patterns; walks them together. row[j]: after i symbols of
 * `a`, j symbols of `b` can be matched. Keeps only this row and the next, and of each only the part
 * that is reached.
 */
static bool intersect(const struct pattern *a, const struct pattern *b, uint8_t *rows,
		      uint64_t *steps)
{
	uint8_t *row = rows;
	uint8_t *next = rows + SYMBOLS_MAX + 1;
	uint32_t fixed = cw_min_u32(a->key_count, b->key_count);
	uint32_t low, high; /* reached positions lie in low .. high */

	/* Without repeats there is only one way to match. */
	for (uint32_t i = 0; i < fixed; i++)
		if (!overlap(a->symbols[i], b->symbols[i]))
			return false;
	memset(row + fixed, 0, b->count + 1 - fixed);
	memset(next + fixed, 0, b->count + 1 - fixed);
	row[fixed] = 1;
	low = fixed;
	high = fixed;
	for (uint32_t i = fixed; i <= a->count; i++) {
		uint32_t next_low = UINT32_MAX;
		uint32_t next_high = 0;
		uint8_t *other = row;

		for (uint32_t j = low; j <= high; j++) {
			bool a_has = i < a->count;
			bool b_has = j < b->count;
			bool a_star = a_has && (a->symbols[i] & SYMBOL_STAR);
			bool b_star = b_has && (b->symbols[j] & SYMBOL_STAR);
			bool fits = a_has && b_has && overlap(a->symbols[i], b->symbols[j]);
			bool was_reached = row[j];

			++*steps;
			row[j] = 0; /* for the row's next use */
			if (!was_reached)
				continue;
			if (!a_has && !b_has)
				return true;
			if (b_star || (fits && a_star)) {
				row[j + 1] = 1;
				high = high > j + 1 ? high : j + 1;
			}
			if (a_star || (fits && b_star)) {
				next[j] = 1;
				next_low = cw_min_u32(next_low, j);
				next_high = next_high > j ? next_high : j;
			}
			if (fits) {
				next[j + 1] = 1;
				next_low = cw_min_u32(next_low, j + 1);
				next_high = next_high > j + 1 ? next_high : j + 1;
			}
		}
		if (next_low == UINT32_MAX)
			return false;
		low = next_low;
		high = next_high;
		row = next;
		next = other;
	}
	return false;
}

static int pattern_of(struct pattern *pattern, struct builder *builder,
		      const struct cw_template_use *use, bool is_numbered)
{
	build(builder, use->name, use->rule);
	if (is_numbered)
		put_number(builder);
	pattern->count = builder->count;
	pattern->memory =
	    malloc(builder->count * sizeof(*builder->symbols) + 1); /* not 0 for "-" */
	if (!pattern->memory)
		return -ENOMEM;
	memcpy(pattern->memory, builder->symbols, builder->count * sizeof(*builder->symbols));
	pattern->symbols = pattern->memory;
	/* Up to the first symbol that may repeat; "one or more" begins with a fixed one. */
	while (pattern->key_count < pattern->count &&
	       pattern->symbols[pattern->key_count] <= SYMBOL_DIGIT)
		pattern->key_count++;
	return 0;
}

/* Drops the common start of all, mostly the folder, so that pairs need not compare it. */
static void drop_common_start(struct pattern *patterns, uint32_t count)
{
	uint32_t common = count ? patterns[0].key_count : 0;

	for (uint32_t i = 1; i < count; i++) {
		uint32_t limit = cw_min_u32(common, patterns[i].key_count);

		common = 0;
		while (common < limit && patterns[i].symbols[common] == patterns[0].symbols[common])
			common++;
	}
	for (uint32_t i = 0; i < count; i++) {
		patterns[i].symbols += common;
		patterns[i].count -= common;
		patterns[i].key_count -= common;
	}
}

/* Returns the symbol to sort by: where any pattern has SYMBOL_DIGIT, all digits are equal. */
static uint32_t key_at(const struct pattern *pattern, uint32_t index)
{
	uint32_t symbol = pattern->symbols[index];

	return pattern->is_digit_position[index] && is_digit(symbol) ? SYMBOL_DIGIT : symbol;
}

static uint32_t common_key(const struct pattern *a, const struct pattern *b)
{
	uint32_t limit = cw_min_u32(a->key_count, b->key_count);
	uint32_t i = 0;

	while (i < limit && key_at(a, i) == key_at(b, i))
		i++;
	return i;
}

static int compare_patterns(const void *left, const void *right)
{
	const struct pattern *a = left;
	const struct pattern *b = right;
	uint32_t same = common_key(a, b);

	if (same < a->key_count && same < b->key_count)
		return key_at(a, same) < key_at(b, same) ? -1 : 1;
	if (a->key_count != b->key_count)
		return a->key_count < b->key_count ? -1 : 1;
	return a->use < b->use ? -1 : a->use > b->use;
}

/*
 * Equal strings have equal keys, as far as both keys go. So in sorted order a pattern can collide
 * only with the patterns directly after it whose keys begin with its key.
 */
static int search(const struct pattern *patterns, uint32_t count, uint8_t *rows, uint32_t pair[2])
{
	uint64_t steps = 0;

	for (uint32_t i = 0; i < count; i++) {
		for (uint32_t j = i + 1; j < count; j++) {
			const struct pattern *a = &patterns[i];
			const struct pattern *b = &patterns[j];

			steps++;
			if (common_key(a, b) < a->key_count)
				break;
			if (steps > STEPS_MAX)
				return -E2BIG;
			if (a->use == b->use || !intersect(a, b, rows, &steps))
				continue;
			pair[0] = cw_min_u32(a->use, b->use);
			pair[1] = a->use < b->use ? b->use : a->use;
			return 1;
		}
	}
	return 0;
}

int cw_templates_find_collision(const struct cw_template_use *uses, uint32_t use_count,
				uint32_t pair[2])
{
	struct pattern *patterns = calloc(2u * (size_t)use_count + 1, sizeof(*patterns));
	struct builder *builder = malloc(sizeof(*builder));
	uint8_t *rows = malloc(2 * (SYMBOLS_MAX + 1));
	uint8_t *is_digit_position = calloc(SYMBOLS_MAX, 1);
	uint32_t count = 0;
	int status = -ENOMEM;

	if (!patterns || !builder || !rows || !is_digit_position)
		goto out;
	for (uint32_t i = 0; i < use_count; i++) {
		bool is_numbered = uses[i].is_repeated && !uses[i].name->is_stdout;

		for (uint32_t form = 0; form < (is_numbered ? 2 : 1); form++) {
			patterns[count].use = i;
			patterns[count].is_digit_position = is_digit_position;
			if (pattern_of(&patterns[count++], builder, &uses[i], form))
				goto out;
		}
	}
	drop_common_start(patterns, count);
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t j = 0; j < patterns[i].key_count; j++)
			is_digit_position[j] |= patterns[i].symbols[j] == SYMBOL_DIGIT;
	qsort(patterns, count, sizeof(*patterns), compare_patterns);
	status = search(patterns, count, rows, pair);
out:
	for (uint32_t i = 0; i < count; i++)
		free(patterns[i].memory);
	free(patterns);
	free(builder);
	free(rows);
	free(is_digit_position);
	return status;
}

bool cw_template_can_collide(const struct cw_template *a, const char *rule_a,
			     const struct cw_template *b, const char *rule_b)
{
	const struct cw_template_use uses[2] = {{.name = a, .rule = rule_a},
						{.name = b, .rule = rule_b}};
	uint32_t pair[2];

	/* Without memory to decide: yes, to be safe. */
	return cw_templates_find_collision(uses, 2, pair) != 0;
}
