/* stage: what every service's run script becomes. In the service's directory it finds, as data,
 *
 *   args          the argument list of the program, each argument followed by a NUL
 *   stderr        a fifo that the appliance's log is read from
 *   become        where it is there: the user's number, its group's, 1 where ports below 1024 are
 *                 to be bound or 0, and its groups, in one line
 *   starts-ready  where it is there: the program does not say that it is ready
 *   talks         where it is there: the log gets the program's standard output, too
 *
 * and executes the program, which from then on dies with its supervisor: one that lived on would
 * hold the camera, the ring's lock or the port against the one that the next supervisor starts. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capture/exit.h"
#include "capture/number.h"
#include "scripts/args.h"

enum {
    READY_FD = 3, /* where a service says that it is ready */
    FIRST_FOREIGN_FD,
    LINE_MAX_BYTES = 512,
    MASK = 027, /* what a service makes is its own, and its group's to read */
    GROUPS_MAX = 32,
    ENVIRONMENT_MAX = 64,
};

/* Whom to become: see scripts/roles.h. */
struct user {
    uint64_t uid, gid, binds;
    gid_t groups[GROUPS_MAX];
    size_t count;
};

static struct args args;

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "stage: %s: %s\n", what, why);
    exit(status);
}

/* A log that nobody reads must not stop the video: what does not fit into the fifo is lost. */
static void open_log(void)
{
    int fd = open("stderr", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 ||
        (access("talks", F_OK) == 0 && dup2(fd, STDOUT_FILENO) < 0))
        fail(EXIT_AGAIN, "stderr", strerror(errno));
}

/* The kernel tells nothing of a supervisor that died before this call. Its children are the
 * appliance's then, whose process number it has left in the environment. */
static void die_with_parent(void)
{
    const char *appliance = getenv("FMP4STREAMER_PID");
    uint64_t pid = 0;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        fail(EXIT_AGAIN, "prctl", strerror(errno));
    if (!appliance || number_parse(appliance, 1, INT32_MAX, &pid) < 0)
        fail(EXIT_USAGE, "FMP4STREAMER_PID", "not set: this is started by fmp4streamer only");
    if ((uint64_t)getppid() == pid || getppid() == 1)
        exit(EXIT_AGAIN);
}

/* All numbers of the line, or none. */
static int read_numbers(const char *p, struct user *user)
{
    uint64_t *const first[] = {&user->uid, &user->gid, &user->binds};
    uint64_t n;
    for (size_t i = 0; *p != '\n'; i++) {
        p = number_digits(p + (*p == ' '), &n);
        if (!p || n > INT32_MAX || i == 3 + GROUPS_MAX)
            return -1;
        if (i < 3)
            *first[i] = n;
        else
            user->groups[user->count++] = (gid_t)n;
    }
    return user->count ? 0 : -1;
}

/* 0: nobody is to become anybody. */
static int read_user(struct user *user)
{
    char line[LINE_MAX_BYTES];
    int fd = open("become", O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof line - 1);
    if (n < 0)
        fail(EXIT_AGAIN, "become", strerror(errno));
    line[n] = 0;
    if (!strchr(line, '\n') || read_numbers(line, user) < 0)
        fail(EXIT_USAGE, "become", "not the numbers of a user and its groups");
    return 1;
}

/* Of all that root may, only the binding of low ports is left, and that through the execution. */
static void keep_bind(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    data[0].effective = data[0].permitted = data[0].inheritable = 1u << CAP_NET_BIND_SERVICE;
    if (syscall(SYS_capset, &header, data) < 0 ||
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_BIND_SERVICE, 0, 0) < 0)
        fail(EXIT_AGAIN, "capset", strerror(errno));
}

/* What root's environment holds is not for others. */
static void clean_environment(void)
{
    static const char *const kept[] = {"PATH=", "FMP4STREAMER_", "LANG=", "LC_", "TZ="};
    static char *clean[ENVIRONMENT_MAX + 2] = {"HOME=/"};
    size_t n = 1;
    for (char **p = environ; *p && n <= ENVIRONMENT_MAX; p++)
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            if (strncmp(*p, kept[i], strlen(kept[i])) == 0)
                clean[n++] = *p;
    environ = clean;
}

/* With no way back, and no program that would be one. */
static void become(const struct user *user)
{
    gid_t gid = (gid_t)user->gid;
    uid_t uid = (uid_t)user->uid;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_KEEPCAPS, user->binds) < 0 ||
        setgroups(user->count, user->groups) < 0 || setresgid(gid, gid, gid) < 0 ||
        setresuid(uid, uid, uid) < 0)
        fail(EXIT_AGAIN, "become", strerror(errno));
    if (user->binds)
        keep_bind();
    umask(MASK);
    clean_environment();
}

static void read_args(void)
{
    char text[ARGS_BYTES];
    int fd = open("args", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (n < 0)
        fail(EXIT_AGAIN, "args", strerror(errno));
    args_init(&args);
    for (const char *p = text, *end = text + n; p < end;) {
        const char *zero = memchr(p, 0, (size_t)(end - p));
        if (!zero)
            fail(EXIT_USAGE, "args", "cut short");
        args_add(&args, p);
        p = zero + 1;
    }
    if (args.full || args.count == 0)
        fail(EXIT_USAGE, "args", args.count ? "too long" : "empty");
}

int main(void)
{
    static char *argv[ARGS_COUNT + 1];
    struct user user = {0};
    open_log();
    read_args();
    if (read_user(&user))
        become(&user);
    die_with_parent(); /* another user's process has to ask for it anew */
    args_vector(&args, argv);
    if (access("starts-ready", F_OK) == 0 && write(READY_FD, "\n", 1) == 1)
        close(READY_FD);
    syscall(SYS_close_range, FIRST_FOREIGN_FD, ~0u, CLOSE_RANGE_CLOEXEC);
    execvp(argv[0], argv);
    fail(errno == ENOENT || errno == EACCES ? EXIT_USAGE : EXIT_AGAIN, argv[0], strerror(errno));
}
