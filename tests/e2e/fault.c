/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A library to preload: lets calls of one process fail; with FAULT_CHILDREN=1 those of its children
 * too, each with a count of its own.
 *
 *     FAULT=call:k:errno:once|ever|short|cut[:also]
 *
 * The k-th call fails with the errno: "once", "ever" after, or once as a "short" transfer of half
 * the bytes. With "ever", calls of `also` fail too from then on. "cut" lets no call fail: before
 * the k-th, the file FAULT_FILE is truncated to FAULT_BYTES. FAULT_COUNTS=path: at exit the file
 * gets a line per call, "name count", and the line "struck 0|1"; at a crash, the line "crash FILE"
 * with the program or library of the function that crashed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CALLS(X)                 \
	X(malloc)                \
	X(openat)                \
	X(open)                  \
	X(close)                 \
	X(read)                  \
	X(pread)                 \
	X(write)                 \
	X(writev)                \
	X(pwrite)                \
	X(pwritev)               \
	X(fallocate)             \
	X(fstat)                 \
	X(fstatat)               \
	X(stat)                  \
	X(ftruncate)             \
	X(fchmod)                \
	X(fchown)                \
	X(fdatasync)             \
	X(fsync)                 \
	X(renameat)              \
	X(renameat2)             \
	X(linkat)                \
	X(unlinkat)              \
	X(mmap)                  \
	X(poll)                  \
	X(fcntl)                 \
	X(lseek)                 \
	X(getrandom)             \
	X(statvfs)               \
	X(statx)                 \
	X(fstatfs)               \
	X(pthread_create)        \
	X(eventfd)               \
	X(signalfd)              \
	X(fork)                  \
	X(socketpair)            \
	X(send)                  \
	X(recv)                  \
	X(recvfrom)              \
	X(recvmsg)               \
	X(sendto)                \
	X(sendmsg)               \
	X(socket)                \
	X(bind)                  \
	X(ioctl)                 \
	X(getsockopt)            \
	X(setsockopt)            \
	X(epoll_create1)         \
	X(epoll_ctl)             \
	X(epoll_wait)            \
	X(io_uring_queue_init)   \
	X(io_uring_submit)       \
	X(io_uring_wait)         \
	X(io_uring_result)       \
	X(ZSTD_createCCtx)       \
	X(ZSTD_compress2)        \
	X(ZSTD_decompressStream) \
	X(inflate)

enum call {
#define X(name) CALL_##name,
	CALLS(X)
#undef X
	    CALL_COUNT
};

#define COUNTS_FD 250 /* out of the way of the descriptors that the program expects */

static const char *const names[] = {
#define X(name) #name,
    CALLS(X)
#undef X
};

static atomic_long counts[CALL_COUNT];
static atomic_bool has_struck;
static enum call target = CALL_COUNT, also = CALL_COUNT;
static enum { ONCE, EVER, SHORT, CUT } mode;
static long first;
static int code;
static pid_t process;
static bool has_children;  /* fail too */
static int counts_fd = -1; /* opened at the start: later the process may have no right to */

static enum call find(const char *name)
{
	enum call call = 0;

	while (call < CALL_COUNT && (!name || strcmp(name, names[call]) != 0))
		call++;
	return call;
}

static int open_counts(const char *path)
{
	int low = path ? (int)syscall(SYS_openat, AT_FDCWD, path,
				      O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666)
		       : -1;
	int high = low < 0 ? -1 : (int)syscall(SYS_fcntl, low, F_DUPFD_CLOEXEC, COUNTS_FD);

	if (high < 0)
		return low;
	syscall(SYS_close, low);
	return high;
}

/* Names the file of the innermost function outside libc and this library. */
static void on_crash(int number)
{
	void *frames[32];
	int count = backtrace(frames, 32);
	const char *name = "?";
	Dl_info here, info;

	target = also = CALL_COUNT;
	dladdr((void *)names, &here);
	for (int frame = 1; frame < count; frame++) {
		if (!dladdr(frames[frame], &info) || !info.dli_fname ||
		    info.dli_fbase == here.dli_fbase || strstr(info.dli_fname, "/libc.so"))
			continue;
		name = strrchr(info.dli_fname, '/');
		name = name ? name + 1 : info.dli_fname;
		break;
	}
	if (counts_fd >= 0)
		dprintf(counts_fd, "crash %s\n", name);
	signal(number, SIG_DFL);
	raise(number);
}

__attribute__((constructor)) static void begin(void)
{
	static const char *const modes[] = {"once", "ever", "short", "cut"};
	const char *fault = getenv("FAULT");
	char text[128] = "", *next = NULL, *word;
	void *frame;

	counts_fd = open_counts(getenv("FAULT_COUNTS"));
	if (fault) {
		snprintf(text, sizeof(text), "%s", fault);
		target = find(strtok_r(text, ":", &next));
		word = strtok_r(NULL, ":", &next);
		first = word ? atol(word) : 0;
		word = strtok_r(NULL, ":", &next);
		code = word ? atoi(word) : 0;
		word = strtok_r(NULL, ":", &next);
		while (word && mode < CUT && strcmp(word, modes[mode]) != 0)
			mode++;
		also = find(strtok_r(NULL, ":", &next));
		if (target == CALL_COUNT || first <= 0 || code <= 0)
			abort(); /* code 0: glibc asserts that malloc sets ENOMEM */
	}
	(void)backtrace(&frame, 1); /* its first call allocates */
	signal(SIGSEGV, on_crash);
	signal(SIGABRT, on_crash);
	has_children = getenv("FAULT_CHILDREN") != NULL;
	process = getpid();
}

__attribute__((destructor)) static void end(void)
{
	if (counts_fd < 0 || syscall(SYS_getpid) != process)
		return;
	target = also = CALL_COUNT;
	for (int call = 0; call < CALL_COUNT; call++)
		dprintf(counts_fd, "%s %ld\n", names[call], atomic_load(&counts[call]));
	dprintf(counts_fd, "struck %d\n", atomic_load(&has_struck));
}

static void cut(void)
{
	const char *path = getenv("FAULT_FILE"), *bytes = getenv("FAULT_BYTES");

	if (path && bytes && syscall(SYS_truncate, path, atol(bytes)) == 0)
		atomic_store(&has_struck, true);
}

/* Counts the call. Returns whether it fails, with errno set. */
static bool strikes(enum call call)
{
	long count;

	if (process == 0 || (!has_children && syscall(SYS_getpid) != process)) /* 0: before begin */
		return false;
	count = atomic_fetch_add(&counts[call], 1) + 1;
	if (call == target && mode == CUT && count == first)
		cut();
	if (mode == CUT)
		return false;
	if (call == target && (count == first || (mode == EVER && count > first)))
		atomic_store(&has_struck, true);
	else if (call != also || mode != EVER || !atomic_load(&has_struck))
		return false;
	errno = code;
	return true;
}

/* Defines a call that fails with `failed`. */
#define FAILING(type, name, failed, parameters, arguments)                  \
	type name parameters;                                               \
	type name parameters                                                \
	{                                                                   \
		static type(*_Atomic real) parameters;                      \
                                                                            \
		if (!real)                                                  \
			real = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
		return strikes(CALL_##name) ? failed : real arguments;      \
	}

/* Defines a call that transfers bytes: `half` is a transfer of half of them. */
#define MOVING(name, parameters, arguments, bytes, half)                       \
	ssize_t name parameters;                                               \
	ssize_t name parameters                                                \
	{                                                                      \
		static ssize_t(*_Atomic real) parameters;                      \
                                                                               \
		if (!real)                                                     \
			real = (ssize_t(*) parameters)dlsym(RTLD_NEXT, #name); \
		if (!strikes(CALL_##name))                                     \
			return real arguments;                                 \
		if (mode != SHORT || (bytes) < 2)                              \
			return -1;                                             \
		return real half;                                              \
	}

/* ---- files ---- */

MOVING(read, (int fd, void *data, size_t size), (fd, data, size), size, (fd, data, size / 2))
MOVING(pread, (int fd, void *data, size_t size, off_t offset), (fd, data, size, offset), size,
       (fd, data, size / 2, offset))

static const struct iovec *half_of(const struct iovec *vector)
{
	static _Thread_local struct iovec half;

	half = *vector;
	half.iov_len /= 2;
	return &half;
}

MOVING(writev, (int fd, const struct iovec *vectors, int count), (fd, vectors, count),
       vectors->iov_len, (fd, half_of(vectors), 1))
MOVING(pwrite, (int fd, const void *data, size_t size, off_t offset), (fd, data, size, offset),
       size, (fd, data, size / 2, offset))
MOVING(pwritev, (int fd, const struct iovec *vectors, int count, off_t offset),
       (fd, vectors, count, offset), vectors->iov_len, (fd, half_of(vectors), 1, offset))

ssize_t write(int fd, const void *data, size_t size)
{
	struct stat status;
	bool is_event = size == 8 && syscall(SYS_fstat, fd, &status) == 0 &&
			(status.st_mode & S_IFMT) == 0; /* an eventfd: cannot fail */

	if (!is_event && strikes(CALL_write)) {
		if (mode != SHORT || size < 2)
			return -1;
		size /= 2;
	}
	return syscall(SYS_write, fd, data, size);
}

int open(const char *path, int flags, ...)
{
	va_list rest;
	int permissions;

	va_start(rest, flags);
	permissions = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0;
	va_end(rest);
	return strikes(CALL_open) ? -1
				  : (int)syscall(SYS_openat, AT_FDCWD, path, flags, permissions);
}

int openat(int folder, const char *path, int flags, ...)
{
	va_list rest;
	int permissions;

	va_start(rest, flags);
	permissions = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, int) : 0;
	va_end(rest);
	return strikes(CALL_openat) ? -1
				    : (int)syscall(SYS_openat, folder, path, flags, permissions);
}

int close(int fd) /* closes, and then fails: as the kernel does */
{
	bool fails = strikes(CALL_close);
	int result = (int)syscall(SYS_close, fd);

	if (!fails)
		return result;
	errno = code;
	return -1;
}

int fcntl(int fd, int command, ...)
{
	va_list rest;
	void *argument;

	va_start(rest, command);
	argument = va_arg(rest, void *);
	va_end(rest);
	return strikes(CALL_fcntl) ? -1 : (int)syscall(SYS_fcntl, fd, command, argument);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list rest;
	void *argument;

	va_start(rest, request);
	argument = va_arg(rest, void *);
	va_end(rest);
	return strikes(CALL_ioctl) ? -1 : (int)syscall(SYS_ioctl, fd, request, argument);
}

FAILING(int, fstat, -1, (int fd, struct stat *status), (fd, status))
FAILING(int, fstatat, -1, (int folder, const char *path, struct stat *status, int flags),
	(folder, path, status, flags))
FAILING(int, stat, -1, (const char *path, struct stat *status), (path, status))
FAILING(int, ftruncate, -1, (int fd, off_t bytes), (fd, bytes))
FAILING(int, fchmod, -1, (int fd, mode_t bits), (fd, bits))
FAILING(int, fchown, -1, (int fd, uid_t user, gid_t group), (fd, user, group))
FAILING(int, fallocate, -1, (int fd, int how, off_t offset, off_t size), (fd, how, offset, size))
FAILING(int, fdatasync, -1, (int fd), (fd))
FAILING(int, fsync, -1, (int fd), (fd))
FAILING(int, renameat, -1, (int from, const char *name, int to, const char *as),
	(from, name, to, as))
FAILING(int, renameat2, -1,
	(int from, const char *name, int to, const char *as, unsigned int flags),
	(from, name, to, as, flags))
FAILING(int, linkat, -1, (int from, const char *name, int to, const char *as, int flags),
	(from, name, to, as, flags))
FAILING(int, unlinkat, -1, (int folder, const char *name, int flags), (folder, name, flags))
FAILING(off_t, lseek, -1, (int fd, off_t offset, int from), (fd, offset, from))
FAILING(int, statvfs, -1, (const char *path, struct statvfs *space), (path, space))
FAILING(int, statx, -1,
	(int folder, const char *path, int flags, unsigned int mask, struct statx *status),
	(folder, path, flags, mask, status))
FAILING(int, fstatfs, -1, (int fd, struct statfs *system), (fd, system))

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	static void *(*_Atomic real)(void *, size_t, int, int, int, off_t);

	if (!real)
		real = (void *(*)(void *, size_t, int, int, int, off_t))dlsym(RTLD_NEXT, "mmap");
	if (fd >= 0 && strikes(CALL_mmap))
		return MAP_FAILED;
	return real(address, size, protection, flags, fd, offset);
}

/* ---- the system besides files ---- */

FAILING(int, poll, -1, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
FAILING(ssize_t, getrandom, -1, (void *data, size_t size, unsigned int flags), (data, size, flags))
FAILING(int, pthread_create, code,
	(pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *),
	 void *argument),
	(thread, attributes, run, argument))
FAILING(int, eventfd, -1, (unsigned int value, int flags), (value, flags))
FAILING(int, signalfd, -1, (int fd, const sigset_t *signals, int flags), (fd, signals, flags))
FAILING(pid_t, fork, -1, (void), ())
FAILING(int, socketpair, -1, (int domain, int type, int protocol, int fds[2]),
	(domain, type, protocol, fds))
FAILING(ssize_t, send, -1, (int fd, const void *data, size_t size, int flags),
	(fd, data, size, flags))
FAILING(ssize_t, recv, -1, (int fd, void *data, size_t size, int flags), (fd, data, size, flags))
FAILING(ssize_t, recvfrom, -1,
	(int fd, void *data, size_t size, int flags, __SOCKADDR_ARG from, socklen_t *length),
	(fd, data, size, flags, from, length))
FAILING(ssize_t, recvmsg, -1, (int fd, struct msghdr *message, int flags), (fd, message, flags))
FAILING(ssize_t, sendto, -1,
	(int fd, const void *data, size_t size, int flags, __CONST_SOCKADDR_ARG to,
	 socklen_t length),
	(fd, data, size, flags, to, length))
FAILING(ssize_t, sendmsg, -1, (int fd, const struct msghdr *message, int flags),
	(fd, message, flags))
FAILING(int, socket, -1, (int domain, int type, int protocol), (domain, type, protocol))
FAILING(int, bind, -1, (int fd, __CONST_SOCKADDR_ARG address, socklen_t length),
	(fd, address, length))
FAILING(int, getsockopt, -1, (int fd, int level, int option, void *value, socklen_t *length),
	(fd, level, option, value, length))
FAILING(int, setsockopt, -1, (int fd, int level, int option, const void *value, socklen_t length),
	(fd, level, option, value, length))
FAILING(int, epoll_create1, -1, (int flags), (flags))
FAILING(int, epoll_ctl, -1, (int epoll, int action, int fd, struct epoll_event *event),
	(epoll, action, fd, event))
FAILING(int, epoll_wait, -1, (int epoll, struct epoll_event *events, int count, int timeout),
	(epoll, events, count, timeout))

/* ---- what fortified code calls instead: counts as the call itself ---- */

#define CHECKED(type, name, parameters, arguments) \
	type name parameters;                      \
	type name parameters                       \
	{                                          \
		(void)room;                        \
		return arguments;                  \
	}

CHECKED(int, __poll_chk, (struct pollfd * fds, nfds_t count, int timeout, size_t room),
	poll(fds, count, timeout))
CHECKED(ssize_t, __read_chk, (int fd, void *data, size_t size, size_t room), read(fd, data, size))
CHECKED(ssize_t, __pread_chk, (int fd, void *data, size_t size, off_t offset, size_t room),
	pread(fd, data, size, offset))
CHECKED(ssize_t, __recv_chk, (int fd, void *data, size_t size, size_t room, int flags),
	recv(fd, data, size, flags))
CHECKED(ssize_t, __recvfrom_chk,
	(int fd, void *data, size_t size, size_t room, int flags, __SOCKADDR_ARG from,
	 socklen_t *length),
	recvfrom(fd, data, size, flags, from, length))

/* ---- memory: every allocation counts as malloc ---- */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
	return strikes(CALL_malloc) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return strikes(CALL_malloc) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
	return size && strikes(CALL_malloc) ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return strikes(CALL_malloc) ? NULL : __libc_memalign(alignment, size);
}

static char *copy_text(const char *text, size_t length)
{
	char *copy = strikes(CALL_malloc) ? NULL : __libc_malloc(length + 1);

	if (!copy)
		return NULL;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return copy;
}

char *strndup(const char *text, size_t size)
{
	return copy_text(text, strnlen(text, size));
}

char *strdup(const char *text)
{
	return copy_text(text, strlen(text));
}

/* ---- libraries ---- */

struct io_uring;
struct io_uring_cqe { /* <linux/io_uring.h> */
	uint64_t user_data;
	int32_t res;
	uint32_t flags;
};

FAILING(int, io_uring_queue_init, -code,
	(unsigned int entries, struct io_uring *ring, unsigned int flags), (entries, ring, flags))
FAILING(int, io_uring_submit, -code, (struct io_uring * ring), (ring))

int __io_uring_get_cqe(struct io_uring *ring, struct io_uring_cqe **entry, unsigned int submitted,
		       unsigned int awaited, sigset_t *signals);
int __io_uring_get_cqe(struct io_uring *ring, struct io_uring_cqe **entry, unsigned int submitted,
		       unsigned int awaited, sigset_t *signals)
{
	static int (*_Atomic real)(struct io_uring *, struct io_uring_cqe **, unsigned int,
				   unsigned int, sigset_t *);
	int result;

	if (!real)
		real = (int (*)(struct io_uring *, struct io_uring_cqe **, unsigned int,
				unsigned int, sigset_t *))dlsym(RTLD_NEXT, "__io_uring_get_cqe");
	if (strikes(CALL_io_uring_wait))
		return -code;
	result = real(ring, entry, submitted, awaited, signals);
	if (result == 0 && *entry && strikes(CALL_io_uring_result))
		(*entry)->res = mode == SHORT ? (*entry)->res / 2 & ~4095 : -code;
	return result;
}

FAILING(void *, ZSTD_createCCtx, NULL, (void), ())
FAILING(size_t, ZSTD_compress2, (size_t)-64, /* no memory */
	(void *context, void *to, size_t room, const void *from, size_t size),
	(context, to, room, from, size))
FAILING(size_t, ZSTD_decompressStream, (size_t)-64, (void *stream, void *output, void *input),
	(stream, output, input))
FAILING(int, inflate, code == ENOMEM ? -4 : -3, (void *stream, int flush), (stream, flush))
