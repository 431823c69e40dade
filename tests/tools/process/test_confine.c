/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is left to a process that has confined itself: users, capabilities, folders, calls, by what
 * the kernel says of it and by what it can still do.
 */
#include <linux/ethtool.h>
#include <linux/if.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#include "tools/process/confine.h"
#include "tests/tools/process/confine_rig.h"

/* ---- what it can do ---- */

/* Opened before, as by the opener and by who started capweir. */
static int file_fd, tcp_fd;

/* How filters become machine code: read-only memory of a file that has no name. */
static void expect_code_of_a_file(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	void *page;

	EXPECT(fd >= 0 && !ftruncate(fd, 4096));
	page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	EXPECT(page != MAP_FAILED);
	munmap(page, 4096);
	close(fd);
}

/* Calls that nobody has a right to here, and ones that any process has but this. */
static void expect_no_calls(void)
{
	char *const nothing[] = {NULL};
	char letter = 'x';

	/* Past glibc, which would interrupt the other threads to change them as well. */
	if (!RESULT || getuid() != 0)
		EXPECT_REFUSED((int)syscall(SYS_setresuid, 0, 0, 0));
	if (RESULT)
		return;
	EXPECT_REFUSED(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	EXPECT_REFUSED(mount("none", "/mnt", "tmpfs", 0, NULL));
	EXPECT_REFUSED(execve("/bin/true", nothing, nothing));
	EXPECT_REFUSED(fork());
	EXPECT_REFUSED(unshare(CLONE_NEWUSER));
	EXPECT(uring_errno(1) == EPERM);
	EXPECT_REFUSED((int)syscall(SYS_io_uring_register, -1, IORING_REGISTER_PROBE, NULL, 0));
	EXPECT(!can_open(AF_INET, SOCK_STREAM, 0) && errno == EPERM);
	EXPECT(!can_open(AF_INET, SOCK_DGRAM, 0) && errno == EPERM);
	EXPECT(!can_open(AF_INET6, SOCK_DGRAM, 0) && errno == EPERM);
	EXPECT(!can_open(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT) && errno == EPERM);
	EXPECT_REFUSED(listen(0, 1));
	EXPECT_REFUSED(connect(0, (struct sockaddr *)&letter, 1));
	expect_no_code();
	expect_code_of_a_file();
	EXPECT_REFUSED(kill(getppid(), 0));
	EXPECT_REFUSED(kill(-1, 0));
	EXPECT_REFUSED(kill(getppid(), SIGCONT)); /* else allowed in the same session */
	EXPECT_REFUSED(ioctl(STDIN_FILENO, TIOCSTI, &letter));
	EXPECT_REFUSED(prctl(PR_SET_DUMPABLE, 1));
	EXPECT_REFUSED(chmod(own, 0777));
	EXPECT_REFUSED(mkdir(foreign, 0777));
	EXPECT(bpf_errno(BPF_PROG_LOAD) == EPERM);
	EXPECT(bpf_errno(BPF_MAP_UPDATE_ELEM) == expected_bpf_errno);
	EXPECT(bpf_errno(BPF_LINK_DETACH) == expected_bpf_errno);
	EXPECT_REFUSED((int)syscall(SYS_prlimit64, getppid(), 0, NULL, NULL));
	EXPECT_REFUSED((int)syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
	errno = 0;
	EXPECT(syscall(SYS_clone3, NULL, 0) == -1 && errno == ENOSYS);
}

/* A socket that it was given cannot become a server's. */
static void expect_no_port(void)
{
	const struct sockaddr_in any = {.sin_family = AF_INET};

	if (!RESULT && landlock_abi >= 4)
		EXPECT(bind(tcp_fd, (const struct sockaddr *)&any, sizeof(any)) == -1 &&
		       errno == EACCES);
}

static void expect_sockets(bool has_raw)
{
	struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
	struct ifreq request = {.ifr_name = "lo"};
	int self = getpid();
	int fd;

	EXPECT(can_open(AF_PACKET, SOCK_RAW, 0) == has_raw);
	EXPECT(can_open(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
	expect_untraceable();
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	EXPECT(fd >= 0);
	EXPECT(!ioctl(fd, SIOCGIFINDEX, &request));
	request.ifr_data = (void *)&link;
	EXPECT(!ioctl(fd, SIOCETHTOOL, &request));
	if (!RESULT) {
		EXPECT_REFUSED(ioctl(fd, FIOSETOWN, &self));
		EXPECT_REFUSED(ioctl(fd, SIOCSPGRP, &self));
	}
	close(fd);
}

static int open_errno(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

/* As the opener passes it: a capture may change its bytes and nothing else. */
static void expect_an_open_file(int fd)
{
	char text[] = "packets", back[sizeof(text)], again[64];
	struct iovec part = {text, sizeof(text)};
	struct stat facts;
	struct statx more;
	int other;

	EXPECT(pwritev(fd, &part, 1, 0) == sizeof(text));
	EXPECT(pread(fd, back, sizeof(back), 0) == sizeof(back) && !strcmp(text, back));
	EXPECT(!fdatasync(fd) && !fsync(fd));
	EXPECT(!ftruncate(fd, sizeof(text)));
	EXPECT(!fstat(fd, &facts) && facts.st_size == sizeof(text));
	EXPECT(!statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &more));
	other = dup(fd);
	EXPECT(other >= 0 && !close(other));
	if (RESULT)
		return;
	EXPECT_REFUSED(fcntl(fd, F_SETOWN, getppid()));
	EXPECT_REFUSED(fcntl(fd, F_SETOWN_EX, &(struct f_owner_ex){F_OWNER_PID, getppid()}));
	EXPECT_REFUSED(fcntl(fd, F_SETSIG, SIGKILL));
	EXPECT_REFUSED(fchmod(fd, 04755));
	EXPECT_REFUSED(fchown(fd, (uid_t)-1, group_id));
	snprintf(again, sizeof(again), "/proc/self/fd/%d", fd);
	EXPECT(open_errno(again, O_RDWR | O_CLOEXEC) == EPERM);
	EXPECT(open_errno(again, O_WRONLY | O_TRUNC | O_CLOEXEC) == EPERM);
	if (has_landlock)
		EXPECT(open_errno(again, O_RDONLY | O_CLOEXEC) == EACCES);
}

static void expect_no_names(void)
{
	char path[128];

	if (RESULT)
		return;
	snprintf(path, sizeof(path), "%s/made", own);
	EXPECT(!can_create(own) && errno == EPERM);
	EXPECT(open_errno(own, O_TMPFILE | O_RDWR | O_CLOEXEC) == EPERM);
	EXPECT_REFUSED(rename(own, path));
	EXPECT_REFUSED(renameat2(AT_FDCWD, own, AT_FDCWD, path, RENAME_NOREPLACE));
	EXPECT_REFUSED(link(path, path));
	EXPECT_REFUSED(symlink(own, path));
	EXPECT_REFUSED(unlink(path));
	EXPECT_REFUSED(unlinkat(AT_FDCWD, own, AT_REMOVEDIR));
	EXPECT_REFUSED(mkdirat(AT_FDCWD, path, 0700));
	EXPECT_REFUSED(mknod(path, S_IFIFO | 0600, 0));
	EXPECT_REFUSED(truncate(path, 0));
	EXPECT_REFUSED((int)umask(0));
	EXPECT_REFUSED((int)syscall(SYS_openat2, AT_FDCWD, own, NULL, 0));
	EXPECT(open_errno("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC) == 0);
	EXPECT(open_errno(own, O_PATH | O_CLOEXEC) == 0);
	if (!has_landlock)
		return;
	EXPECT(open_errno("/etc/passwd", O_RDONLY | O_CLOEXEC) == EACCES);
	EXPECT(open_errno("/proc/self/status", O_RDONLY | O_CLOEXEC) == EACCES);
	EXPECT(open_errno(own, O_RDONLY | O_DIRECTORY | O_CLOEXEC) == EACCES);
}

/* Files as the outputs of a split make them. */
static void write_file(void)
{
	char text[] = "packets", path[128], renamed[160], back[sizeof(text)];
	struct iovec part = {text, sizeof(text)};
	struct stat facts;
	struct statx more;
	int fd;

	snprintf(path, sizeof(path), "%s/part-%ld", own, syscall(SYS_gettid));
	snprintf(renamed, sizeof(renamed), "%s-renamed", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	EXPECT(fd >= 0);
	EXPECT(pwritev(fd, &part, 1, 0) == sizeof(text));
	EXPECT(pread(fd, back, sizeof(back), 0) == sizeof(back) && !strcmp(text, back));
	EXPECT(!fchmod(fd, 0640));
	EXPECT(!fdatasync(fd) && !fsync(fd));
	EXPECT(!ftruncate(fd, 1));
	EXPECT(!fstat(fd, &facts) && facts.st_size == 1);
	EXPECT(!statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &more));
	EXPECT(!renameat2(AT_FDCWD, path, AT_FDCWD, renamed, RENAME_NOREPLACE));
	EXPECT(!close(fd));
	EXPECT(!unlink(renamed));
}

/* Of this thread. */
static void expect_thread_capabilities(uint64_t capabilities)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	EXPECT(!syscall(SYS_capget, &header, data));
	EXPECT(data[0].effective == capabilities && data[0].permitted == capabilities);
	EXPECT(!data[0].inheritable && !data[1].effective && !data[1].permitted);
}

struct work {
	pthread_mutex_t mutex;
	uint64_t capabilities;
	int done;
	int event_fd;
	int file_fd;
};

/* All that a thread of capture may do. */
static void *work_main(void *argument)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	struct work *work = argument;
	cpu_set_t cpus;
	uint8_t *memory, *half;

	EXPECT(!prctl(PR_SET_NAME, "cw-test"));
	EXPECT(!sched_getaffinity(0, sizeof(cpus), &cpus));
	EXPECT(!pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus));
	EXPECT(!clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL));
	memory = malloc(ALLOC_BYTES);
	EXPECT(memory != NULL);
	memset(memory, 1, ALLOC_BYTES);
	half = realloc(memory, ALLOC_BYTES / 2);
	EXPECT(half != NULL);
	free(half);
	expect_an_open_file(work->file_fd);
	expect_no_names();
	expect_thread_capabilities(work->capabilities);
	expect_sockets(work->capabilities & NET_RAW);
	expect_no_calls();
	pthread_mutex_lock(&work->mutex);
	work->done++;
	pthread_mutex_unlock(&work->mutex);
	EXPECT(!eventfd_write(work->event_fd, 1));
	return NULL;
}

static void run_threads(uint64_t capabilities)
{
	struct work work = {
	    .mutex = PTHREAD_MUTEX_INITIALIZER, .capabilities = capabilities, .file_fd = file_fd};
	struct epoll_event event = {.events = EPOLLIN};
	struct signalfd_siginfo info;
	pthread_t threads[THREADS];
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	sigset_t signals;
	int signal_fd;
	int i;

	work.event_fd = eventfd(0, EFD_CLOEXEC);
	EXPECT(epoll_fd >= 0 && work.event_fd >= 0);
	EXPECT(!epoll_ctl(epoll_fd, EPOLL_CTL_ADD, work.event_fd, &event));
	for (i = 0; i < THREADS; i++)
		EXPECT(!pthread_create(&threads[i], NULL, work_main, &work));
	EXPECT(epoll_wait(epoll_fd, &event, 1, -1) == 1);
	for (i = 0; i < THREADS; i++)
		EXPECT(!pthread_join(threads[i], NULL));
	EXPECT(work.done == THREADS);
	/* Signals come by descriptor, and to itself they go by any way. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	EXPECT(!pthread_sigmask(SIG_BLOCK, &signals, NULL));
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	EXPECT(signal_fd >= 0);
	EXPECT(!kill(getpid(), SIGUSR1));
	EXPECT(read(signal_fd, &info, sizeof(info)) == sizeof(info));
	EXPECT(!raise(SIGUSR1));
	EXPECT(read(signal_fd, &info, sizeof(info)) == sizeof(info));
	close(signal_fd);
	close(epoll_fd);
	close(work.event_fd);
}

/* ---- cases ---- */

static void open_before(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/open-%d", own, getpid());
	file_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	EXPECT(file_fd >= 0);
	EXPECT(!unlink(path));
	tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EXPECT(tcp_fd >= 0);
	status_fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	EXPECT(status_fd >= 0);
}

static void confine_as(const struct cw_confine_options *options)
{
	const bool is_held = has_landlock || options->role == CW_CONFINE_SPLIT;
	const int wanted = RESULT || is_held ? RESULT : CW_CONFINE_NO_LANDLOCK;
	struct cw_error error = {0};
	int result;

	open_before();
	result = cw_confine(options, &error);
	if (result != wanted)
		fprintf(stderr, "cw_confine: %s\n", error.text);
	EXPECT(result == wanted);
	if (RESULT)
		EXPECT(strstr(error.text, "not confined: this is a build with sanitizers"));
}

static void confine(const char *user, bool keep_raw)
{
	confine_as(&(struct cw_confine_options){.user = user, .keep_raw = keep_raw});
}

static void expect_nobody(uint64_t capabilities)
{
	expect_user(user_id, group_id);
	expect_groups_of(USER, group_id);
	EXPECT(status_number("CapBnd", 16) == 0);
	expect_state(capabilities);
	expect_sockets(capabilities & NET_RAW);
	expect_an_open_file(file_fd);
	expect_no_names();
	expect_no_calls();
	expect_no_port();
	run_threads(capabilities);
}

static void child_becomes_nobody(void)
{
	confine(NULL, false);
	expect_nobody(0);
}

static void child_keeps_raw(void)
{
	confine(NULL, true);
	expect_nobody(NET_RAW);
}

/* In a thread, as capture does it; it has no effect on the others. */
static void *take_realtime(void *may)
{
	const struct sched_param priority = {.sched_priority = 1};
	int result = pthread_setschedparam(pthread_self(), SCHED_FIFO, &priority);

	EXPECT(result == (*(bool *)may ? 0 : EPERM));
	return NULL;
}

static void expect_realtime(bool may)
{
	pthread_t thread;

	EXPECT(!pthread_create(&thread, NULL, take_realtime, &may));
	EXPECT(!pthread_join(thread, NULL));
}

static void child_keeps_nice(void)
{
	const struct rlimit none = {0};

	EXPECT(!setrlimit(RLIMIT_RTPRIO, &none));
	confine_as(&(struct cw_confine_options){.keep_nice = true});
	expect_state(SYS_NICE);
	expect_realtime(true);
}

static void child_loses_nice(void)
{
	const struct rlimit none = {0};

	EXPECT(!setrlimit(RLIMIT_RTPRIO, &none));
	confine(NULL, true);
	expect_realtime(false);
}

static void child_wakes_its_compiler(void)
{
	confine_as(&(struct cw_confine_options){.compiler = getppid()});
	EXPECT(!kill(getppid(), SIGCONT)); /* of the same session */
}

static void child_becomes_named(void)
{
	const struct passwd *entry = getpwnam("daemon");
	uid_t user;
	gid_t group;

	EXPECT(entry);
	user = entry->pw_uid;
	group = entry->pw_gid;
	confine("daemon", false);
	expect_user(user, group);
	expect_groups_of("daemon", group);
	expect_state(0);
	expect_no_names();
}

static void child_stays_root(void)
{
	confine("root", true);
	expect_user(0, 0);
	EXPECT(status_number("CapBnd", 16) == 0);
	expect_state(NET_RAW);
	expect_sockets(true);
	expect_an_open_file(file_fd);
	expect_no_names();
	expect_no_calls();
}

static void child_splits(void)
{
	confine_as(&(struct cw_confine_options){.role = CW_CONFINE_SPLIT, .keep_raw = true});
	expect_user(user_id, group_id);
	expect_groups_of(USER, group_id);
	EXPECT(status_number("CapBnd", 16) == 0);
	expect_state(0);
	expect_sockets(false);
	expect_folders();
	write_file();
	expect_no_calls();
}

static void child_splits_as_root(void)
{
	confine_as(&(struct cw_confine_options){.role = CW_CONFINE_SPLIT, .user = "root"});
	expect_user(0, 0);
	expect_state(ROOT_KEEPS);
	EXPECT(can_create(own) && can_create(foreign) && can_create(hidden_inside));
	write_file();
	expect_no_calls();
}

static void child_stays_user(void)
{
	become_nobody(false);
	confine(NULL, true);
	expect_user(user_id, group_id);
	expect_state(0);
	expect_sockets(false);
	expect_no_names();
	expect_no_calls();
}

static void child_stays_user_with_raw(void)
{
	become_nobody(true);
	confine(USER, true);
	expect_user(user_id, group_id);
	expect_state(NET_RAW);
	expect_sockets(true);
	expect_no_calls();
}

static void child_loses_raw(void)
{
	become_nobody(true);
	confine(NULL, false);
	expect_state(0);
	expect_sockets(false);
}

/* Confined a second time there is less to lose, but what is lost stays so. */
static void child_cannot_get_back(void)
{
	const struct cw_confine_options options = {.user = "root"};
	struct cw_error error = {0};

	confine_as(&(struct cw_confine_options){.role = CW_CONFINE_SPLIT}); /* it looks up users */
	EXPECT(cw_confine(&options, &error) == -EPERM);
	EXPECT(strstr(error.text, "only root can switch to user root"));
	expect_state(0);
}

CASE(root_becomes_nobody_without_capabilities, child_becomes_nobody)
CASE(the_raw_capability_is_kept_when_asked_for, child_keeps_raw)

/* A control group without real-time runtime, as in some containers, refuses them to root too. */
static void priorities_can_be_real_time_when_asked_for(void **state)
{
	const struct sched_param priority = {.sched_priority = 1}, none = {0};

	(void)state;
	skip_unless_root();
	if (sched_setscheduler(0, SCHED_FIFO, &priority)) {
		print_message("skipped: no real-time priorities here, even for root\n");
		skip();
	}
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &none), 0);
	run_child(child_keeps_nice);
}

CASE(priorities_cannot_be_real_time_otherwise, child_loses_nice)
CASE(the_compiler_can_be_woken, child_wakes_its_compiler)
CASE(root_becomes_a_named_user, child_becomes_named)
CASE(root_stays_root_when_named, child_stays_root)
CASE(a_split_opens_its_files_itself, child_splits)
CASE(a_split_as_root_writes_everywhere, child_splits_as_root)
CASE(a_user_stays_who_it_is, child_stays_user)
CASE(a_user_keeps_its_raw_capability, child_stays_user_with_raw)
CASE(a_user_loses_its_raw_capability, child_loses_raw)
CASE(nothing_comes_back, child_cannot_get_back)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(root_becomes_nobody_without_capabilities),
	    cmocka_unit_test(the_raw_capability_is_kept_when_asked_for),
	    cmocka_unit_test(priorities_can_be_real_time_when_asked_for),
	    cmocka_unit_test(priorities_cannot_be_real_time_otherwise),
	    cmocka_unit_test(the_compiler_can_be_woken),
	    cmocka_unit_test(root_becomes_a_named_user),
	    cmocka_unit_test(root_stays_root_when_named),
	    cmocka_unit_test(a_split_opens_its_files_itself),
	    cmocka_unit_test(a_split_as_root_writes_everywhere),
	    cmocka_unit_test(a_user_stays_who_it_is),
	    cmocka_unit_test(a_user_keeps_its_raw_capability),
	    cmocka_unit_test(a_user_loses_its_raw_capability),
	    cmocka_unit_test(nothing_comes_back),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
