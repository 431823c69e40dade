/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Parses output name templates into parts, and expands them with values. Does not touch the file
 * system. template_collide.c checks whether two templates can give one name.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pipeline/rules/template.h"

/* Conversions of glibc and POSIX; some libraries print others unchanged, others drop them. */
#define CONVERSIONS "aAbBcCdDeFgGhHIjklmMnpPrRsStTuUVwWxXyYzZ"
#define CONVERSION_FLAGS "-_0^#"

struct parser {
	struct cw_template *name;
	uint32_t text_bytes;
	struct cw_error *error;
	const char *whole; /* the template as given; for messages */
};

static int refuse(struct parser *parser, const char *what)
{
	return cw_error_set(parser->error, -EINVAL, "output name '%.200s': %s", parser->whole,
			    what);
}

static void add_part(struct parser *parser, enum cw_part_kind kind, const char *text, size_t bytes)
{
	struct cw_template *name = parser->name;
	bool is_more = kind == CW_PART_TEXT && name->part_count &&
		       name->parts[name->part_count - 1].kind == CW_PART_TEXT;

	memcpy(name->text + parser->text_bytes, text, bytes);
	if (is_more)
		name->parts[name->part_count - 1].bytes += (uint32_t)bytes;
	else
		name->parts[name->part_count++] = (struct cw_part){
		    .kind = kind, .offset = parser->text_bytes, .bytes = (uint32_t)bytes};
	parser->text_bytes += (uint32_t)bytes;
	name->has_kind[kind] = true;
}

/* Parses the width of "{seq:WIDTH}", whose text has these bytes. */
static int parse_width(struct parser *parser, const char *text, size_t bytes)
{
	unsigned long width = 0;

	if (bytes > 0 && bytes <= 4 && strspn(text, "0123456789") >= bytes)
		width = strtoul(text, NULL, 10);
	if (!width || width > CW_NUMBER_WIDTH_MAX)
		return refuse(parser, "the width of {seq:WIDTH} is 1 to 20 digits, like {seq:05}");
	parser->name->parts[parser->name->part_count - 1].width = (uint32_t)width;
	return 0;
}

/* Parses a field such as "{rule}" at `text`. Returns the bytes taken. */
static int parse_field(struct parser *parser, const char *text)
{
	static const struct {
		const char *word;
		enum cw_part_kind kind;
	} fields[] = {{"rule", CW_PART_RULE}, {"iface", CW_PART_IFACE}, {"seq", CW_PART_SEQ}};
	size_t bytes = strcspn(text + 1, "}/{"), word_bytes = strcspn(text + 1, ":}");

	if (text[1 + bytes] != '}')
		return refuse(parser, "a '{' without its '}'; write '{{' for a brace");
	for (size_t i = 0; i < CW_ARRAY_COUNT(fields); i++) {
		bool has_width = fields[i].kind == CW_PART_SEQ && word_bytes < bytes;
		int status = 0;

		if (strlen(fields[i].word) != (has_width ? word_bytes : bytes) ||
		    memcmp(text + 1, fields[i].word, strlen(fields[i].word)) != 0)
			continue;
		add_part(parser, fields[i].kind, "", 0);
		if (has_width)
			status = parse_width(parser, text + 2 + word_bytes, bytes - word_bytes - 1);
		return status ? status : (int)bytes + 2;
	}
	return cw_error_set(
	    parser->error, -EINVAL,
	    "output name '%.200s': unknown field '{%.*s}'; use {rule}, {iface} or {seq}",
	    parser->whole, (int)cw_min_size(bytes, 40), text + 1);
}

/* Fills `result` with one conversion of a time. Returns its bytes; 0: no text. */
static size_t convert(const char *conversion, time_t seconds, bool is_utc, char result[256])
{
	struct tm parts;

	if (!(is_utc ? gmtime_r(&seconds, &parts) : localtime_r(&seconds, &parts)))
		return 0;
	/* strftime would take the parts for local time. */
	if (conversion[strlen(conversion) - 1] == 's')
		return (size_t)snprintf(result, 256, "%" PRIdMAX, (intmax_t)seconds);
	return strftime(result, 256, conversion, &parts);
}

static bool is_unsafe(char character)
{
	return (uint8_t)character < 0x20 || character == 0x7f || character == '/';
}

static int parse_conversion(struct parser *parser, const char *text)
{
	char conversion[CW_CONVERSION_BYTES_MAX + 1] = "%";
	char sample[256];
	size_t bytes = 1;

	if (text[bytes] && strchr(CONVERSION_FLAGS, text[bytes]))
		bytes++;
	if (text[bytes] == 'E' || text[bytes] == 'O')
		bytes++;
	if (!text[bytes] || !strchr(CONVERSIONS, text[bytes]))
		return cw_error_set(parser->error, -EINVAL,
				    "output name '%.200s': '%.*s' is not a time conversion; write "
				    "'%%%%' for a percent sign",
				    parser->whole, (int)(bytes + (text[bytes] != 0)), text);
	bytes++;
	memcpy(conversion, text, bytes);
	conversion[bytes] = 0;
	/* Both halves of the day: %p may be empty in only one of them. */
	for (time_t seconds = 0; seconds <= 43200; seconds += 43200) {
		size_t length = convert(conversion, seconds, true, sample);

		if (!length)
			return cw_error_set(parser->error, -EINVAL,
					    "output name '%.200s': '%s' gives no text",
					    parser->whole, conversion);
		for (size_t i = 0; i < length; i++)
			if (is_unsafe(sample[i]))
				return cw_error_set(
				    parser->error, -EINVAL,
				    "output name '%.200s': '%s' gives '/' or control characters; "
				    "name the fields one by one",
				    parser->whole, conversion);
	}
	add_part(parser, CW_PART_TIME, conversion, bytes + 1); /* with its NUL */
	return (int)bytes;
}

static int parse_text(struct parser *parser, const char *text)
{
	while (*text) {
		int taken = 1;

		if ((uint8_t)*text < 0x20 || *text == 0x7f)
			return refuse(parser, "it contains a control character");
		if (!strncmp(text, "{{", 2) || !strncmp(text, "}}", 2) || !strncmp(text, "%%", 2)) {
			add_part(parser, CW_PART_TEXT, text, 1);
			taken = 2;
		} else if (*text == '{') {
			taken = parse_field(parser, text);
		} else if (*text == '%') {
			taken = parse_conversion(parser, text);
		} else if (*text == '}') {
			return refuse(parser, "a '}' without its '{'; write '}}' for a brace");
		} else {
			add_part(parser, CW_PART_TEXT, text, 1);
		}
		if (taken < 0)
			return taken;
		text += taken;
	}
	return 0;
}

static bool is_extension(const char *dot, const char *end, const char *extension)
{
	size_t bytes = strlen(extension);

	return (size_t)(end - dot) == bytes && !strncasecmp(dot, extension, bytes);
}

/* Takes the format from the extension in the template's literal text; values do not count. */
static int parse_extension(struct parser *parser, const char *text)
{
	static const char *const absent[] = {".zstd", ".gz", ".lz4", ".xz", ".bz2"};
	size_t bytes = strlen(text);
	const char *slash = strrchr(text, '/');
	const char *base = slash ? slash + 1 : text;
	const char *dot = strrchr(base, '.');

	if (text[bytes - 1] == '/')
		return refuse(parser, "it names a folder; add a file name");
	if (!strcmp(base, ".") || !strcmp(base, ".."))
		return refuse(parser, "it names a folder; add a file name");
	for (size_t i = 0; dot && i < CW_ARRAY_COUNT(absent); i++)
		if (!strcasecmp(dot, absent[i]))
			return cw_error_set(parser->error, -EINVAL,
					    "output name '%.200s': compressed output (%s) is not "
					    "in this version; use .pcap, .pcapng or .zst",
					    parser->whole, absent[i]);
	parser->name->is_zst = dot && !strcasecmp(dot, ".zst");
	if (parser->name->is_zst) { /* the extension before gives the format */
		bytes = (size_t)(dot - base);
		dot = memrchr(base, '.', bytes);
	} else {
		bytes = strlen(base);
	}
	parser->name->is_pcapng = dot && (is_extension(dot, base + bytes, ".pcapng") ||
					  is_extension(dot, base + bytes, ".ntar"));
	return 0;
}

int cw_template_parse(struct cw_template **result, const char *text, const char *directory,
		      struct cw_error *error)
{
	struct parser parser = {.error = error, .whole = text};
	size_t directory_bytes = directory && text[0] != '/' ? strlen(directory) : 0;
	size_t bytes = strlen(text);
	int status;

	*result = NULL;
	if (!bytes)
		return cw_error_set(error, -EINVAL, "output name '': it is empty");
	if (bytes + directory_bytes + 2 > CW_TEMPLATE_PATH_BYTES)
		return refuse(&parser, "it is too long");
	parser.name = calloc(1, sizeof(*parser.name));
	if (!parser.name)
		return cw_error_set_errno(error, -ENOMEM, "output name '%.200s'", text);
	/* Each byte gives at most one part and two bytes (a conversion's letter and its NUL). */
	parser.name->parts = calloc(bytes + 1, sizeof(*parser.name->parts));
	parser.name->text = malloc(directory_bytes + 1 + 2 * bytes);
	status = -ENOMEM;
	if (!parser.name->parts || !parser.name->text) {
		cw_error_set_errno(error, status, "output name '%.200s'", text);
		goto failed;
	}
	parser.name->is_stdout = !strcmp(text, "-");
	if (directory_bytes && !parser.name->is_stdout) {
		add_part(&parser, CW_PART_TEXT, directory, directory_bytes);
		if (directory[directory_bytes - 1] != '/')
			add_part(&parser, CW_PART_TEXT, "/", 1);
	}
	status = parse_text(&parser, text);
	if (!status)
		status = parse_extension(&parser, text);
	if (status)
		goto failed;
	*result = parser.name;
	return 0;
failed:
	cw_template_free(parser.name);
	return status;
}

size_t cw_template_value(const char *value, const char *if_empty,
			 char result[CW_TEMPLATE_VALUE_BYTES_MAX + 1])
{
	const char *from = value && value[0] ? value : if_empty;
	size_t bytes = strnlen(from, CW_TEMPLATE_VALUE_BYTES_MAX);
	/* "." and "..", even if the template's text continues with another dot. */
	bool is_dots = strspn(from, ".") >= bytes;

	for (size_t i = 0; i < bytes; i++) {
		bool is_safe = isascii(from[i]) && (isalnum(from[i]) || strchr("_-.+@:", from[i]));

		result[i] = is_safe && !is_dots ? from[i] : '_';
	}
	result[bytes] = 0;
	return bytes;
}

int cw_template_expand(const struct cw_template *name, const struct cw_template_values *values,
		       char *path)
{
	size_t used = 0;

	for (uint32_t i = 0; i < name->part_count; i++) {
		const struct cw_part *part = &name->parts[i];
		const char *text = name->text + part->offset;
		size_t bytes = part->bytes;
		char value[256];

		switch (part->kind) {
		case CW_PART_TEXT:
			break;
		case CW_PART_RULE:
			bytes = cw_template_value(values->rule, "unknown", value);
			break;
		case CW_PART_IFACE:
			bytes = cw_template_value(values->iface, "unknown", value);
			break;
		case CW_PART_SEQ:
			bytes = (size_t)snprintf(value, sizeof(value), "%0*" PRIu64,
						 (int)part->width, values->seq);
			break;
		case CW_PART_TIME:
			bytes = convert(text, (time_t)(values->ts_ns / CW_NS_PER_S), values->is_utc,
					value);
			break;
		}
		if (bytes >= CW_TEMPLATE_PATH_BYTES - used)
			return -ENAMETOOLONG;
		memcpy(path + used, part->kind == CW_PART_TEXT ? text : value, bytes);
		used += bytes;
	}
	path[used] = 0;
	return (int)used;
}

size_t cw_template_fixed_folder(const struct cw_template *name)
{
	const struct cw_part *first = &name->parts[0];
	const char *text = name->text + first->offset;
	const char *slash = first->kind == CW_PART_TEXT ? memrchr(text, '/', first->bytes) : NULL;

	return slash ? (size_t)(slash - text) + 1 : 0;
}

bool cw_template_ends_in(const struct cw_template *name, const char *text)
{
	const struct cw_part *last = &name->parts[name->part_count - 1];
	size_t bytes = strlen(text);

	return last->kind == CW_PART_TEXT && last->bytes >= bytes &&
	       memcmp(name->text + last->offset + last->bytes - bytes, text, bytes) == 0;
}

const char *cw_template_extension(const char *path)
{
	static const char *const formats[] = {".pcap", ".pcapng", ".ntar"};
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	const char *dot = strrchr(base, '.'), *before;

	if (!dot || dot == base) /* none, or a hidden file */
		return path + strlen(path);
	before = strcasecmp(dot, ".zst") ? NULL : memrchr(base, '.', (size_t)(dot - base));
	for (size_t i = 0; before && before > base && i < CW_ARRAY_COUNT(formats); i++)
		if (is_extension(before, dot, formats[i]))
			return before;
	return dot;
}

int cw_template_numbered(const char *path, uint64_t number, uint32_t width, char *result)
{
	const char *dot = cw_template_extension(path);
	int head, bytes;

	if (dot - path >= (ptrdiff_t)CW_TEMPLATE_PATH_BYTES)
		return -ENAMETOOLONG;
	head = (int)(dot - path);
	bytes = snprintf(result, CW_TEMPLATE_PATH_BYTES, "%.*s.%0*" PRIu64 "%s", head, path,
			 (int)width, number, dot);
	return bytes >= (int)CW_TEMPLATE_PATH_BYTES ? -ENAMETOOLONG : bytes;
}

/* Appends text with braces and percent signs written twice. Returns the bytes used. */
static size_t append_escaped(char *to, size_t used, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes && used < CW_TEMPLATE_PATH_BYTES - 2; i++) {
		if (strchr("{}%", text[i]))
			to[used++] = text[i];
		to[used++] = text[i];
	}
	to[used] = '\0';
	return used;
}

/* Fills the template's source below its fixed folder, with the rule's name. */
static void write_source(const struct cw_template *name, const char *rule,
			 char of[CW_TEMPLATE_PATH_BYTES])
{
	size_t fixed = cw_template_fixed_folder(name), used = 0;

	of[0] = '\0';
	for (uint32_t i = 0; i < name->part_count; i++) {
		const struct cw_part *part = &name->parts[i];
		const char *text = name->text + part->offset;
		char value[CW_TEMPLATE_VALUE_BYTES_MAX + 1];

		if (part->kind == CW_PART_TEXT) {
			used = append_escaped(of, used, text + fixed, part->bytes - fixed);
			fixed = 0;
		} else if (part->kind == CW_PART_RULE) {
			size_t bytes = cw_template_value(rule, "unknown", value);

			used = append_escaped(of, used, value, bytes);
		} else {
			snprintf(value, sizeof(value), part->width > 1 ? "{seq:%02u}" : "{seq}",
				 part->width);
			used += (size_t)snprintf(of + used, CW_TEMPLATE_PATH_BYTES - used, "%s",
						 part->kind == CW_PART_IFACE  ? "{iface}"
						 : part->kind == CW_PART_TIME ? text
									      : value);
			used = cw_min_size(used, CW_TEMPLATE_PATH_BYTES - 1);
		}
	}
}

static uint32_t crc32(const char *text)
{
	uint32_t crc = UINT32_MAX;

	for (; *text; text++) {
		crc ^= (uint8_t)*text;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

void cw_template_ring_name(const struct cw_template *name, const char *rule,
			   char of[CW_TEMPLATE_PATH_BYTES], char list[256])
{
	const int kept_bytes = 192;
	char *slash;

	write_source(name, rule, of);
	if (strlen(of) <= 200)
		snprintf(list, 256, ".%s.ring", of);
	else
		snprintf(list, 256, ".%.*s%08x.ring", kept_bytes, of, crc32(of));
	while ((slash = strchr(list, '/')) != NULL)
		*slash = ',';
}

void cw_template_free(struct cw_template *name)
{
	if (!name)
		return;
	free(name->parts);
	free(name->text);
	free(name);
}
