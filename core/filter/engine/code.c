/* SPDX-License-Identifier: BSD-3-Clause */
/* Machine code in a sealed memory file; code.h says why. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/filter/engine/code.h"

#define NAME "cw-filter" /* shown in /proc/PID/maps */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x8u /* Linux 6.3: not a program; some systems create no other ones */
#endif
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

/* Returns a descriptor or a negative errno. */
static int open_file(void)
{
	int fd = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

/* A call rather than a mapping: a mapping raises SIGBUS if memory is short. */
static int write_file(int fd, const uint8_t *code, size_t bytes)
{
	struct rlimit limit;
	ssize_t done;

	/* Beyond the limit the write would raise SIGXFSZ too, which may end the library's user. */
	if (!getrlimit(RLIMIT_FSIZE, &limit) && limit.rlim_cur < bytes)
		return -EFBIG;
	done = pwrite(fd, code, bytes, 0);
	if (done < 0)
		return -errno;
	return (size_t)done == bytes ? 0 : -ENOSPC;
}

int cw_code_install(const uint8_t *code, size_t bytes, void **at)
{
	int fd = open_file();
	int result;

	if (fd < 0)
		return fd;
	result = write_file(fd, code, bytes);
	if (!result && fcntl(fd, F_ADD_SEALS, SEALS))
		result = -errno;
	if (!result) {
		void *memory = mmap(NULL, bytes, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);

		if (memory == MAP_FAILED)
			result = -errno;
		else
			*at = memory;
	}
	close(fd);
	return result;
}
