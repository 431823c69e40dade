/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Drops privileges: user, capabilities, files, system calls, in this order. libcap-ng knows the
 * kernel's format of capabilities; this file decides what is kept.
 *
 * The list does not cover requests in an io_uring, which are not system calls. The rings are made
 * before, restricted to writes (core/output/direct.c), and no other can be made.
 */
#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/base/base.h"
#include "tools/process/calls.h"
#include "tools/process/confine.h"
#include "tools/process/landlock.h"
#include "tools/process/list.h"

#define OWN_USER "capweir" /* made by the package */
#define OTHER_USER "nobody"
#define MORE_ROWS_MAX 24u /* rows that depend on the process */

/* Sanitizers make further system calls, and inspect the process from another one at its end. */
#if defined(CW_SANITIZED)
#define IS_SANITIZED true
#else
#define IS_SANITIZED false
#endif

/* ---- system calls and files ---- */

/* The list of the role, and the rows that depend on this process. */
static int load_list(const struct cw_confine_options *options)
{
	const uint32_t self = (uint32_t)getpid();
	struct cw_list_row more[MORE_ROWS_MAX] = {
	    {SYS_kill, {{0, CW_LIST_WHOLE, self}}, 0},
	    {SYS_tgkill, {{0, CW_LIST_WHOLE, self}}, 0},
	};
	uint32_t count = 2;

	/* It is woken at the end, for it could not end while stopped, and killed if it hangs. */
	if (options->compiler > 0)
		more[count++] = (struct cw_list_row){
		    SYS_kill, {{0, CW_LIST_WHOLE, (uint32_t)options->compiler}}, 0};
	if (options->accepts)
		more[count++] = (struct cw_list_row){.call = SYS_accept4};
	for (uint32_t i = 0; options->role == CW_CONFINE_SPLIT && i < cw_list_split.count; i++)
		more[count++] = cw_list_split.rows[i];
	switch (options->role) {
	case CW_CONFINE_COMPILER:
		return options->resolves ? cw_list_load(&cw_list_compiler, cw_list_resolver.rows,
							cw_list_resolver.count)
					 : cw_list_load(&cw_list_compiler, NULL, 0);
	case CW_CONFINE_HOOKS:
		return cw_list_load(&cw_list_hooks, NULL, 0);
	case CW_CONFINE_OPENER:
		return cw_list_load(&cw_list_opener, NULL, 0);
	default:
		return cw_list_load(&cw_list_capture, more, count);
	}
}

static int install_list(const struct cw_confine_options *options, struct cw_error *error)
{
	int result;

	if (IS_SANITIZED) {
		cw_error_set(error, 0,
			     "system calls are not confined: this is a build with sanitizers");
		return CW_CONFINE_NO_LIST;
	}
	if (!cw_list_can_load()) {
		cw_error_set(error, 0, "system calls are not confined: %s",
			     CW_CALL_ARCH ? "the kernel has no seccomp"
					  : "there is no list for this processor");
		return CW_CONFINE_NO_LIST;
	}
	result = load_list(options);
	if (result < 0)
		return cw_error_set_errno(error, result, "cannot install the list of system calls");
	return 0;
}

/* What the process that compiles filters reads: names of services and protocols. An update replaces
 * these files, so their folder is allowed too; each may be a link to somewhere else. */
static const struct cw_landlock_rule name_files[] = {
    {.path = "/etc", .access = LANDLOCK_ACCESS_FS_READ_FILE},
    {.path = "/usr/etc", .access = LANDLOCK_ACCESS_FS_READ_FILE},
    {.path = "/etc/services", .access = LANDLOCK_ACCESS_FS_READ_FILE},
    {.path = "/etc/protocols", .access = LANDLOCK_ACCESS_FS_READ_FILE},
    {.path = "/etc/nsswitch.conf", .access = LANDLOCK_ACCESS_FS_READ_FILE},
};

/* Host names: also modules of the C library, and whatever those read. */
static const struct cw_landlock_rule all_files = {
    .path = "/", .access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR};

/* A capture that runs: interfaces, cores and NUMA nodes. */
static const struct cw_landlock_rule system_files = {
    .path = "/sys", .access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR};

/* Returns 0, -ENOTSUP or another negative errno. */
static int hold_files(const struct cw_confine_options *options)
{
	switch (options->role) {
	case CW_CONFINE_CAPTURE: /* it wakes the process that compiles filters */
		return cw_landlock_restrict(&system_files, 1, CW_LANDLOCK_TCP);
	case CW_CONFINE_OPENER:
		return cw_landlock_restrict(options->files, options->file_count,
					    CW_LANDLOCK_TCP | CW_LANDLOCK_OTHERS);
	case CW_CONFINE_COMPILER:
		return options->resolves
			   ? cw_landlock_restrict(&all_files, 1, CW_LANDLOCK_OTHERS)
			   : cw_landlock_restrict(name_files, CW_ARRAY_COUNT(name_files),
						  CW_LANDLOCK_TCP | CW_LANDLOCK_OTHERS);
	default:
		return 0;
	}
}

static int confine_files(const struct cw_confine_options *options, struct cw_error *error)
{
	static const char *const works[] = {[CW_CONFINE_CAPTURE] = "captures",
					    [CW_CONFINE_OPENER] = "opens files",
					    [CW_CONFINE_COMPILER] = "compiles filters"};
	int result = IS_SANITIZED ? 0 : hold_files(options);

	if (result == -ENOTSUP) {
		cw_error_set(error, 0,
			     "files are not confined for the process that %s: Landlock is not "
			     "available",
			     works[options->role]);
		return CW_CONFINE_NO_LANDLOCK;
	}
	return result < 0
		   ? cw_error_set_errno(error, result,
					"cannot confine files for the process that %s (Landlock)",
					works[options->role])
		   : 0;
}

/* ---- user and capabilities ---- */

struct identity {
	const char *name; /* for messages */
	uid_t user;
	gid_t group;
	bool is_new; /* differs from the current user */
};

/* Whether getpwnam could not look, after it returned NULL. */
static bool has_failed(void)
{
	return errno == ENOMEM || errno == EIO || errno == EMFILE || errno == ENFILE;
}

static const char *default_user(void)
{
	errno = 0;
	return getpwnam(OWN_USER) || has_failed() ? OWN_USER : OTHER_USER;
}

static int find_user(const struct cw_confine_options *options, struct identity *identity,
		     struct cw_error *error)
{
	const char *name = options->user;
	const struct passwd *entry;

	*identity = (struct identity){.name = name, .user = geteuid(), .group = getegid()};
	if (options->role == CW_CONFINE_OPENER)
		return 0;
	if (!name && geteuid() != 0) {
		identity->name = "that runs capweir";
		return 0;
	}
	if (!name)
		name = identity->name = default_user();
	errno = 0;
	entry = getpwnam(name);
	if (!entry && has_failed())
		return cw_error_set_errno(error, -errno, "cannot look up user %s", name);
	if (!entry)
		return cw_error_set(error, -EINVAL,
				    "user %s does not exist: name an existing user with -Z", name);
	if (entry->pw_uid == identity->user)
		return 0;
	if (identity->user != 0)
		return cw_error_set(error, -EPERM,
				    "only root can switch to user %s: omit -Z, or run as root",
				    name);
	identity->user = entry->pw_uid;
	identity->group = entry->pw_gid;
	identity->is_new = true;
	return 0;
}

static int refuse(const struct identity *identity, struct cw_error *error)
{
	return cw_error_set_errno(error, -errno, "cannot switch to user %s (-Z root stays root)",
				  identity->name);
}

/* Adds the groups of the options to those of this process. */
static int join_groups(const struct cw_confine_options *options, struct cw_error *error)
{
	gid_t groups[NGROUPS_MAX];
	int count;

	if (!options->group_count || geteuid() != 0)
		return 0;
	count = getgroups(NGROUPS_MAX, groups);
	if (count < 0 || (uint32_t)count + options->group_count > NGROUPS_MAX)
		return cw_error_set(error, -EINVAL, "this process is in too many groups");
	memcpy(groups + count, options->groups, options->group_count * sizeof(*groups));
	if (setgroups((size_t)count + options->group_count, groups))
		return cw_error_set_errno(error, -errno, "cannot join the groups of the files");
	return 0;
}

static int change_user(const struct cw_confine_options *options, const struct identity *identity,
		       struct cw_error *error)
{
	int result;

	if (identity->is_new && initgroups(identity->name, identity->group))
		return refuse(identity, error);
	result = join_groups(options, error);
	if (result < 0 || !identity->is_new)
		return result;
	/* Without KEEPCAPS, leaving root would drop all capabilities, including those to keep. */
	if (prctl(PR_SET_KEEPCAPS, 1) ||
	    setresgid(identity->group, identity->group, identity->group) ||
	    setresuid(identity->user, identity->user, identity->user) || prctl(PR_SET_KEEPCAPS, 0))
		return refuse(identity, error);
	return 0;
}

static void keep(int capability)
{
	capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, (unsigned)capability);
}

/* To act with the rights of the files' owner, and with root's where only root can write. */
static const unsigned opener_keeps[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_SETGID,
					CAP_SETUID};

/* Changes the user and drops capabilities. A split that stays root keeps the right to write
 * anywhere, which root's own files would give it too. */
static int drop_privileges(const struct cw_confine_options *options,
			   const struct identity *identity, struct cw_error *error)
{
	const bool is_capture = options->role == CW_CONFINE_CAPTURE;
	const bool is_opener = options->role == CW_CONFINE_OPENER;
	bool keeps[CW_ARRAY_COUNT(opener_keeps)];
	bool keeps_raw, keeps_nice, keeps_files, keeps_ids, can_bound;
	int result;

	if (capng_get_caps_process())
		return cw_error_set(error, -EIO, "cannot read the capabilities of this process");
	can_bound = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	keeps_raw =
	    is_capture && options->keep_raw && capng_have_capability(CAPNG_PERMITTED, CAP_NET_RAW);
	keeps_nice = is_capture && options->keep_nice &&
		     capng_have_capability(CAPNG_PERMITTED, CAP_SYS_NICE);
	keeps_ids = options->role == CW_CONFINE_HOOKS && options->keep_ids &&
		    capng_have_capability(CAPNG_PERMITTED, CAP_SETUID) &&
		    capng_have_capability(CAPNG_PERMITTED, CAP_SETGID);
	keeps_files = options->role == CW_CONFINE_SPLIT && identity->user == 0 &&
		      capng_have_capability(CAPNG_PERMITTED, CAP_DAC_OVERRIDE);

	for (size_t i = 0; i < CW_ARRAY_COUNT(opener_keeps); i++)
		keeps[i] = is_opener && capng_have_capability(CAPNG_PERMITTED, opener_keeps[i]);

	capng_clear(CAPNG_SELECT_ALL);
	/* The bounding set first: clearing it needs a capability that is dropped next. */
	if (can_bound && capng_apply(CAPNG_SELECT_BOUNDS))
		return cw_error_set(error, -EPERM, "cannot clear the capability bounding set");
	result = change_user(options, identity, error);
	if (result < 0)
		return result;
	if (keeps_raw)
		keep(CAP_NET_RAW);
	if (keeps_nice)
		keep(CAP_SYS_NICE);
	if (keeps_files) {
		keep(CAP_DAC_OVERRIDE);
		keep(CAP_FOWNER);
	}
	if (keeps_ids) {
		keep(CAP_SETUID);
		keep(CAP_SETGID);
	}
	for (size_t i = 0; i < CW_ARRAY_COUNT(opener_keeps); i++) {
		if (keeps[i])
			keep((int)opener_keeps[i]);
	}
	/* This clears the ambient set too, a subset of the inheritable and permitted ones. */
	if (capng_apply(CAPNG_SELECT_CAPS))
		return cw_error_set(error, -EPERM, "cannot give up capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return cw_error_set_errno(error, -errno, "cannot set no_new_privs");
	/* Another process of this user could trace a dumpable one; the leak checker has to. */
	if (prctl(PR_SET_DUMPABLE, IS_SANITIZED))
		return cw_error_set_errno(error, -errno, "cannot forbid tracing");
	return 0;
}

/* ---- public ---- */

int cw_confine_find_user(const struct cw_confine_options *options, uid_t *user,
			 struct cw_error *error)
{
	struct identity identity;
	int result = find_user(options, &identity, error);

	*user = identity.user;
	return result;
}

int cw_confine(const struct cw_confine_options *options, struct cw_error *error)
{
	struct identity identity;
	int result = find_user(options, &identity, error);
	int files;

	if (result == 0)
		result = drop_privileges(options, &identity, error);
	if (result < 0)
		return result;
	files = confine_files(options, error);
	result = files < 0 ? files : install_list(options, error);
	return result ? result : files;
}
