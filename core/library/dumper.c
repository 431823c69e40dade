/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dumpers: records are gathered in a buffer, which is written when full. After a failed write every
 * call reports that failure, and a regular file is truncated to its last complete record, so that
 * it stays a capture file; a pipe keeps the bytes it took.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <capweir/dumper.h>

#include "core/format/encode.h"
#include "core/format/pcapfile.h"
#include "core/library/handle_parts.h"
#include "core/packet/block_walk.h"
#include "core/packet/linktype.h"

#define BUFFER_BYTES ((size_t)256 << 10)

/* An interface in the file. */
struct written_iface {
	uint32_t number; /* in the file, + 1; 0: not in the file yet */
	uint32_t linktype;
};

struct cw_dumper {
	int fd;
	bool is_regular;
	enum cw_format format;
	uint32_t linktype;
	uint32_t snaplen;               /* bytes to truncate packets to */
	uint32_t caplen_max;            /* longer packets are refused */
	int failure;                    /* code of the first failed write; 0: none */
	bool is_torn;                   /* could not be truncated after the failure */
	const struct cw_handle *handle; /* of the packets' interfaces; borrowed, may be NULL */
	struct written_iface *ifaces;   /* pcapng: by the handle's interface */
	uint32_t iface_capacity;
	uint32_t iface_count;
	struct cw_block_place place; /* pcapng: in the blocks of the handle's input */
	bool discards_secrets;
	uint64_t start;      /* position of the file at opening, bytes */
	uint64_t written;    /* bytes given to the system */
	uint64_t whole;      /* bytes of these, up to the last complete record */
	size_t header_bytes; /* pcap: bytes of the header that is written first */
	size_t used;         /* bytes in the buffer */
	size_t capacity;     /* size of the buffer in bytes */
	uint8_t *buffer;
};

/* ---- writing ---- */

/* Find the last record boundary within the `flushed` bytes of the buffer. */
static void find_whole(struct cw_dumper *dumper, size_t flushed)
{
	/* The buffer begins at a boundary, or with the file's header. */
	size_t from = dumper->written ? 0 : dumper->header_bytes;
	uint64_t records, bytes;

	dumper->whole = dumper->written;
	if (flushed >= from)
		dumper->whole +=
		    from + cw_format_whole_records(dumper->format, dumper->buffer + from,
						   flushed - from, &records, &bytes);
}

/* Truncates a failed dumper's file to complete records. */
static void cut(struct cw_dumper *dumper)
{
	dumper->is_torn = dumper->is_regular &&
			  ftruncate(dumper->fd, (off_t)(dumper->start + dumper->whole)) != 0;
	if (dumper->is_regular && !dumper->is_torn)
		(void)lseek(dumper->fd, (off_t)(dumper->start + dumper->whole), SEEK_SET);
}

/* Write nothing more; truncate the file to complete records. Returns the code. */
static int fail(struct cw_dumper *dumper, int code, size_t flushed)
{
	find_whole(dumper, flushed);
	dumper->failure = code;
	cut(dumper);
	dumper->used = 0;
	return code;
}

static int write_out(struct cw_dumper *dumper)
{
	size_t done = 0;

	while (done < dumper->used) {
		ssize_t count = write(dumper->fd, dumper->buffer + done, dumper->used - done);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return fail(dumper, count < 0 ? -errno : -EIO, done);
		done += (size_t)count;
	}
	dumper->written += done;
	dumper->whole = dumper->written; /* only complete records are appended */
	dumper->used = 0;
	return 0;
}

/* Make room for `bytes` more bytes in the buffer. */
static int make_room(struct cw_dumper *dumper, size_t bytes)
{
	uint8_t *grown;
	int result;

	if (dumper->capacity - dumper->used >= bytes)
		return 0;
	result = write_out(dumper);
	if (result < 0 || dumper->capacity >= bytes)
		return result;
	grown = realloc(dumper->buffer, bytes);
	if (!grown)
		return -ENOMEM; /* of this packet only: the dumper stays usable */
	dumper->buffer = grown;
	dumper->capacity = bytes;
	return 0;
}

/* ---- interfaces ---- */

static int grow_ifaces(struct cw_dumper *dumper, uint32_t iface)
{
	uint32_t capacity = dumper->iface_capacity ? dumper->iface_capacity : 8;
	struct written_iface *grown;

	while (capacity <= iface)
		capacity *= 2;
	grown = realloc(dumper->ifaces, capacity * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	memset(grown + dumper->iface_capacity, 0,
	       (capacity - dumper->iface_capacity) * sizeof(*grown));
	dumper->ifaces = grown;
	dumper->iface_capacity = capacity;
	return 0;
}

/* Returns the number of the packet's interface in the file, described there first if needed: at its
 * first packet, and after cw_handle_set_linktype. */
static int64_t number_iface(struct cw_dumper *dumper, uint32_t iface)
{
	const struct cw_iface plain = {.linktype = dumper->linktype,
				       .snaplen =
					   dumper->snaplen == UINT32_MAX ? 0 : dumper->snaplen,
				       .ts_units_per_s = CW_NS_PER_S,
				       .has_ns = true};
	const struct cw_iface *source = &plain;
	int result = 0;

	if (dumper->handle && iface < dumper->handle->ifaces.count)
		source = cw_ifaces_at(&dumper->handle->ifaces, iface);
	else
		iface = 0;
	if (iface >= dumper->iface_capacity)
		result = grow_ifaces(dumper, iface);
	if (result == 0 &&
	    (!dumper->ifaces[iface].number || dumper->ifaces[iface].linktype != source->linktype)) {
		result = make_room(dumper, cw_format_iface_bytes(source));
		if (result == 0) {
			dumper->used += cw_format_iface(source, 0, dumper->buffer + dumper->used);
			dumper->ifaces[iface] =
			    (struct written_iface){++dumper->iface_count, source->linktype};
		}
	}
	return result < 0 ? result : (int64_t)dumper->ifaces[iface].number - 1;
}

/* ---- blocks beside packets ---- */

/* Copies the blocks of the input that the next packet of the section needs; NULL: all that follow
 * the file's last packet in its section. */
static int copy_blocks(struct cw_dumper *dumper, const struct cw_section *section)
{
	const struct cw_ifaces *ifaces = &dumper->handle->ifaces;
	uint32_t end = ifaces->kept_count;
	const struct cw_block *block;
	struct cw_block_walk walk;
	size_t bytes = 0;
	int result;

	for (int is_copying = 0; is_copying < 2; is_copying++) {
		cw_block_walk_start(&walk, ifaces, &dumper->place, section, end, false);
		while ((block = cw_block_walk_next(&walk))) {
			if (block->kind == CW_BLOCK_SECRETS && dumper->discards_secrets)
				continue;
			if (is_copying) {
				memcpy(dumper->buffer + dumper->used, block->data, block->bytes);
				dumper->used += block->bytes;
			} else {
				bytes += block->bytes;
			}
		}
		result = is_copying ? 0 : make_room(dumper, bytes);
		if (result < 0)
			return result;
	}
	cw_block_place_move(&dumper->place, section, end);
	return 0;
}

/* Copies the blocks that precede the packet. */
static int copy_blocks_before(struct cw_dumper *dumper, const struct cw_packet *packet)
{
	const struct cw_handle *handle = dumper->handle;
	const struct cw_section *section;

	if (!handle || packet->iface >= handle->ifaces.count)
		return 0;
	section = cw_ifaces_at(&handle->ifaces, packet->iface)->section;
	return cw_block_place_has(&dumper->place, section, handle->ifaces.kept_count)
		   ? 0
		   : copy_blocks(dumper, section);
}

void cw_dumper_discard_secrets(struct cw_dumper *dumper)
{
	dumper->discards_secrets = true;
}

/* ---- the dumper ---- */

/* Returns whether a pcap file's header gives the packet another link type, or the link type is
 * unknown. */
static bool has_other_linktype(const struct cw_dumper *dumper, const struct cw_packet *packet)
{
	const struct cw_handle *handle = dumper->handle;

	if (packet->flags & CW_PACKET_MALFORMED)
		return true;
	return dumper->format != CW_FORMAT_PCAPNG && handle &&
	       packet->iface < handle->ifaces.count &&
	       cw_ifaces_at(&handle->ifaces, packet->iface)->linktype != dumper->linktype;
}

int cw_dumper_write(struct cw_dumper *dumper, const struct cw_packet *packet)
{
	struct cw_packet empty;
	int64_t iface = 0;
	size_t bytes;
	int result = 0;

	if (dumper->failure)
		return dumper->failure;
	if (has_other_linktype(dumper, packet))
		return CW_OTHER_LINKTYPE;
	if (packet->caplen > dumper->caplen_max)
		return -EMSGSIZE;
	if (packet->caplen && !packet->data)
		return -EINVAL;
	if (!packet->data) {
		empty = *packet;
		empty.data = (const uint8_t *)"";
		empty.options_bytes = 0;
		packet = &empty;
	}
	if (!cw_format_can_hold(dumper->format, packet))
		return -ERANGE;
	if (dumper->format == CW_FORMAT_PCAPNG)
		result = copy_blocks_before(dumper, packet);
	if (dumper->format == CW_FORMAT_PCAPNG && result == 0)
		iface = number_iface(dumper, packet->iface);
	if (result < 0 || iface < 0)
		return result < 0 ? result : (int)iface;
	bytes = cw_format_record_bytes(dumper->format, packet, dumper->snaplen);
	result = make_room(dumper, bytes);
	if (result < 0)
		return result;
	cw_format_record(dumper->format, packet, dumper->snaplen, (uint32_t)iface, bytes,
			 dumper->buffer + dumper->used);
	dumper->used += bytes;
	return 0;
}

int cw_dumper_flush(struct cw_dumper *dumper)
{
	if (dumper->failure)
		return dumper->failure;
	return dumper->used ? write_out(dumper) : 0;
}

int cw_dumper_close(struct cw_dumper *dumper)
{
	int result = 0, flushed;

	if (!dumper)
		return 0;
	if (dumper->place.section && !dumper->failure)
		result = copy_blocks(dumper, NULL);
	flushed = cw_dumper_flush(dumper);
	if (result == 0)
		result = flushed;
	if (dumper->is_torn)
		cut(dumper);
	if (close(dumper->fd) < 0 && result == 0)
		result = -errno;
	free(dumper->ifaces);
	free(dumper->buffer);
	free(dumper);
	return result;
}

static enum cw_format choose_format(enum cw_dumper_format format, bool is_ns)
{
	switch (format) {
	case CW_DUMPER_PCAPNG:
		return CW_FORMAT_PCAPNG;
	case CW_DUMPER_PCAP_NS:
		return CW_FORMAT_PCAP_NS;
	case CW_DUMPER_PCAP_US:
		return CW_FORMAT_PCAP_US;
	case CW_DUMPER_PCAP:
		break;
	}
	return is_ns ? CW_FORMAT_PCAP_NS : CW_FORMAT_PCAP_US;
}

/* What a new file begins with. */
struct beginning {
	enum cw_format format;
	uint32_t link_field;                /* of a pcap file's header */
	uint32_t snaplen;                   /* in the header; 0: the link type's maximum */
	bool keeps_whole;                   /* packets are not truncated */
	const struct cw_described *section; /* options of a pcapng section, or NULL */
};

static size_t header_bytes(const struct beginning *beginning)
{
	return beginning->format == CW_FORMAT_PCAPNG ? cw_format_section_bytes(beginning->section)
						     : CW_PCAP_HEADER_BYTES;
}

static size_t write_header(const struct beginning *beginning, uint32_t snaplen, uint8_t *buffer)
{
	return beginning->format == CW_FORMAT_PCAPNG
		   ? cw_format_section(beginning->section, buffer)
		   : cw_format_header(beginning->format, beginning->link_field, snaplen, buffer);
}

/* Takes the descriptor on success. */
static int make(struct cw_dumper **result, int fd, const struct beginning *beginning,
		struct cw_error *error)
{
	struct cw_dumper *dumper = calloc(1, sizeof(*dumper));
	size_t capacity = header_bytes(beginning);
	struct stat status;
	off_t at;

	if (capacity < BUFFER_BYTES)
		capacity = BUFFER_BYTES;
	*result = NULL;
	if (dumper)
		dumper->buffer = malloc(capacity);
	if (!dumper || !dumper->buffer) {
		free(dumper);
		return cw_error_set(error, -ENOMEM, "no memory for a dumper");
	}
	dumper->fd = fd;
	dumper->format = beginning->format;
	dumper->linktype = beginning->link_field & UINT16_MAX;
	dumper->snaplen =
	    beginning->snaplen ? beginning->snaplen : cw_linktype_caplen_max(dumper->linktype);
	dumper->capacity = capacity;
	dumper->is_regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
	at = !dumper->is_regular             ? 0
	     : fcntl(fd, F_GETFL) & O_APPEND ? status.st_size
					     : lseek(fd, 0, SEEK_CUR);
	dumper->start = at > 0 ? (uint64_t)at : 0;
	dumper->used = write_header(beginning, dumper->snaplen, dumper->buffer);
	dumper->header_bytes = dumper->format == CW_FORMAT_PCAPNG ? 0 : dumper->used;
	dumper->caplen_max = UINT32_MAX;
	if (beginning->keeps_whole) {
		if (beginning->format != CW_FORMAT_PCAPNG)
			dumper->caplen_max = dumper->snaplen;
		dumper->snaplen = UINT32_MAX;
	}
	*result = dumper;
	return 0;
}

/* Reads the first bytes of a file. Returns 1 or the failure. */
static int read_magic(const char *path, uint32_t *magic, struct cw_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? -1 : pread(fd, magic, sizeof(*magic), 0);
	int result = bytes == sizeof(*magic) ? 1 : bytes < 0 ? -errno : -EIO;

	if (fd >= 0)
		close(fd);
	return result < 0 ? cw_error_set_errno(error, result, "cannot read %s", path) : result;
}

/* Reads the file of a descriptor to its end. Returns 1 and fills `info` and the first bytes; 0 if
 * the file is no capture file; or the damage in it, or why it cannot be read. */
static int read_file(int fd, struct cw_source_info *info, uint32_t *magic, struct cw_error *error)
{
	struct cw_source_options options = {
	    .linktype = CW_LINKTYPE_ANY, .is_unmapped = true, .wake_fd = -1};
	struct cw_error why = {0};
	struct cw_source *source;
	struct cw_ifaces ifaces;
	struct cw_lease lease;
	struct cw_span span;
	char path[32];
	int result;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* it may be for writing only */
	cw_ifaces_init(&ifaces);
	result = cw_source_open(&source, path, &ifaces, &options, &why);
	if (result == -EBADMSG || result == -EPROTONOSUPPORT) {
		result = 0;
	} else if (result == 0) {
		do {
			result =
			    cw_source_next(source, BUFFER_BYTES, UINT32_MAX, &span, &lease, &why);
			cw_lease_give_back(&lease);
		} while (result == 1);
		cw_source_info(source, info);
		cw_source_close(source);
		if (result == 0)
			result = read_magic(path, magic, &why);
	}
	if (result < 0 && error)
		*error = why;
	cw_ifaces_fini(&ifaces);
	return result;
}

/*
 * Handles a file that is not empty: bytes that are no capture file stay before the new header; a
 * pcapng file gets a further section; a pcap file continues without a second header, which would
 * damage it. Returns 0, -EEXIST if the file cannot continue so, or the damage in it.
 */
static int continue_file(struct cw_dumper *dumper, enum cw_dumper_format wanted,
			 struct cw_error *error)
{
	bool is_pcapng = dumper->format == CW_FORMAT_PCAPNG, is_at_end, is_ns;
	struct cw_source_info info = {0};
	struct stat status;
	uint32_t magic = 0;
	int result;

	if (!dumper->is_regular || !dumper->start)
		return 0;
	if (fstat(dumper->fd, &status))
		return cw_error_set_errno(error, -errno, "descriptor %d", dumper->fd);
	result = read_file(dumper->fd, &info, &magic, error);
	if (result <= 0)
		return result;
	is_at_end = dumper->start == (uint64_t)status.st_size && !info.joined_count;
	is_ns = magic == CW_PCAP_MAGIC_NS;
	if (is_at_end && is_pcapng && magic == CW_PCAPNG_SHB)
		return 0;
	if (!is_at_end || is_pcapng || (!is_ns && magic != CW_PCAP_MAGIC_US) ||
	    info.linktype != dumper->linktype ||
	    choose_format(wanted, is_ns) != (is_ns ? CW_FORMAT_PCAP_NS : CW_FORMAT_PCAP_US))
		return cw_error_set(error, -EEXIST,
				    "cannot append to descriptor %d: its capture file has another "
				    "format, link type or position. Give an empty file",
				    dumper->fd);
	dumper->format = is_ns ? CW_FORMAT_PCAP_NS : CW_FORMAT_PCAP_US;
	dumper->header_bytes = dumper->used = 0;
	if (info.limit && info.limit < dumper->snaplen)
		dumper->caplen_max = info.limit;
	return 0;
}

static int refuse_linktype(uint32_t linktype, struct cw_error *error)
{
	return cw_error_set(error, -EINVAL, "link type %u does not fit a capture file's 16 bits",
			    linktype);
}

int cw_dumper_open_fd(struct cw_dumper **dumper, int fd, uint32_t linktype, uint32_t snaplen,
		      enum cw_dumper_format format, struct cw_error *error)
{
	const struct beginning beginning = {.format = choose_format(format, true),
					    .link_field = cw_linktype_canonical(linktype),
					    .snaplen = snaplen};
	int result;

	*dumper = NULL;
	if ((unsigned)format > CW_DUMPER_PCAPNG)
		return cw_error_set(error, -EINVAL, "%d is not a file format", (int)format);
	if (linktype > UINT16_MAX)
		return refuse_linktype(linktype, error);
	if (fcntl(fd, F_GETFL) < 0)
		return cw_error_set_errno(error, -errno, "descriptor %d", fd);
	result = make(dumper, fd, &beginning, error);
	if (result == 0)
		result = continue_file(*dumper, format, error);
	if (result < 0 && *dumper) {
		free((*dumper)->buffer);
		free(*dumper);
		*dumper = NULL;
	}
	return result;
}

/* Fills what a file of the handle's packets begins with. */
static int begin(const struct cw_handle *handle, enum cw_dumper_format format,
		 struct beginning *beginning, struct cw_error *error)
{
	uint32_t linktype = handle->linktype;

	if (handle->kind == CW_HANDLE_LIVE && !handle->is_activated)
		return cw_error_set(error, CW_NOT_ACTIVATED,
				    "the handle of %s is not activated: its link type is unknown",
				    handle->device);
	if ((unsigned)format > CW_DUMPER_PCAPNG)
		return cw_error_set(error, -EINVAL, "%d is not a file format", (int)format);
	if (linktype == CW_LINKTYPE_ANY) /* a file without interfaces has no packets */
		linktype = CW_LINKTYPE_ETHERNET;
	if (linktype > UINT16_MAX)
		return refuse_linktype(linktype, error);
	if (handle->ifaces.count)
		linktype |= cw_ifaces_at(&handle->ifaces, 0)->fcs;
	*beginning = (struct beginning){.format = choose_format(format, handle->settings.is_ns),
					.link_field = linktype,
					.snaplen = handle->settings.snaplen};
	if (handle->source) { /* later interfaces may have longer packets */
		struct cw_source_info info;

		cw_source_info(handle->source, &info);
		beginning->snaplen = info.limit;
		beginning->keeps_whole = true;
	}
	if (handle->ifaces.sections) /* the newest: packets read next are of this section */
		beginning->section = handle->ifaces.sections->options;
	return 0;
}

int cw_dumper_open(struct cw_dumper **dumper, const struct cw_handle *handle, const char *path,
		   enum cw_dumper_format format, struct cw_error *error)
{
	struct beginning beginning;
	int fd, result;

	*dumper = NULL;
	result = begin(handle, format, &beginning, error);
	if (result < 0)
		return result;
	fd = strcmp(path, "-") == 0 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
				    : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return cw_error_set_errno(error, -errno, "cannot write %s", path);
	result = make(dumper, fd, &beginning, error);
	if (result < 0) {
		close(fd);
		return result;
	}
	(*dumper)->handle = handle;
	result = cw_dumper_flush(*dumper);
	if (result == 0)
		return 0;
	cw_error_set_errno(error, result, "cannot write %s", path);
	cw_dumper_close(*dumper);
	*dumper = NULL;
	return result;
}
