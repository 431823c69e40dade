/* SPDX-License-Identifier: BSD-3-Clause */
/* Who the files of a live capture belong to. */
#ifndef CW_TOOLS_PROCESS_OWNER_H
#define CW_TOOLS_PROCESS_OWNER_H

#include "core/output/opener.h"

/*
 * Fills the user who called sudo, if this process is root and nothing but sudo made it so: SUDO_UID
 * and SUDO_GID are decimal numbers of an existing user, the real and the effective user are root,
 * and no rights came by exec. Returns 1 if filled, 0 if not; -ENOMEM. Free `groups` with free().
 */
int cw_owner_find(struct cw_opener_owner *owner);

/* As above for a user with the groups of the user database. */
int cw_owner_of_user(uid_t user, struct cw_opener_owner *owner);

/* As above for these values of the variables, which may be NULL. */
int cw_owner_of(const char *user, const char *group, struct cw_opener_owner *owner);

#endif
