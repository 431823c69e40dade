/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory for machine code. The code is written to a memory file, which is then sealed, and runs
 * through a mapping of that file. No mapping is ever writable and executable, and none becomes
 * executable, so this works where a process may not make its memory executable (systemd's
 * MemoryDenyWriteExecute=, a list of system calls).
 */
#ifndef CW_CORE_FILTER_ENGINE_CODE_H
#define CW_CORE_FILTER_ENGINE_CODE_H

#include <stddef.h>
#include <stdint.h>

/* Sets *at to executable memory (free it with munmap) with a copy of the code. Returns 0 or a
 * negative errno, which leaves nothing behind. */
int cw_code_install(const uint8_t *code, size_t bytes, void **at);

#endif
