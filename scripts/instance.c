#include "scripts/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* The inherited descriptor stays clear of those that a supervisor gives its services. */
enum {
    INHERITED_FD_MIN = 10,
    LOCK_MODE = 0600,
    LOOK_MS = 20,
    CONF_WAIT_MS = 500,
    ENDED_MEANWHILE = 10,
    PID_DIGITS = 24
};

static int open_lock(const char *run, int flags)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/lock", run) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, LOCK_MODE);
}

/* The path, and whose it is, as text: one who looks before that is written finds another's. */
static int write_conf(int fd, const char *conf)
{
    char text[PATH_MAX + PID_DIGITS];
    int n = snprintf(text, sizeof text, "%s%c%ld", conf, 0, (long)getpid());
    if (n >= (int)sizeof text) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return pwrite(fd, text, (size_t)n + 1, 0) == n + 1 ? ftruncate(fd, n + 1) : -1;
}

/* Returns whose it is, or 0; -1: it cannot be read. */
static long read_conf(const char *run, char *path)
{
    char text[PATH_MAX + PID_DIGITS + 1];
    int fd = open_lock(run, 0);
    ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof text - 1, 0);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    size_t length = strnlen(text, PATH_MAX - 1);
    memcpy(path, text, length);
    path[length] = 0;
    if (n < 0)
        return -1;
    return (ssize_t)length < n ? strtol(text + length + 1, NULL, 10) : 0;
}

int instance_conf(const char *run, char *path)
{
    return read_conf(run, path) < 0 ? -1 : 0;
}

int instance_conf_is(const char *run, pid_t other, const char *conf, char *path)
{
    const struct timespec little = {.tv_nsec = LOOK_MS * 1000000};
    for (int tries = CONF_WAIT_MS / LOOK_MS;; tries--) {
        long whose = read_conf(run, path);
        if (whose < 0)
            return -1;
        if (whose == other || tries == 0)
            return strcmp(path, conf) == 0;
        nanosleep(&little, NULL);
    }
}

int instance_take(const char *run, const char *conf, pid_t *other)
{
    const struct timespec little = {.tv_nsec = LOOK_MS * 1000000};
    struct flock mine = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open_lock(run, O_CREAT);
    if (fd < 0)
        return -1;
    for (int tries = 0; fcntl(fd, F_SETLK, &mine) < 0; tries++) {
        int why = errno;
        if (fcntl(fd, F_GETLK, &mine) < 0)
            return -1;
        if (mine.l_type != F_UNLCK) {
            *other = mine.l_pid;
            errno = EBUSY;
            return -1;
        }
        if (tries == ENDED_MEANWHILE) {
            errno = why;
            return -1;
        }
        mine.l_type = F_WRLCK;
    }
    int inherited = fcntl(fd, F_DUPFD, INHERITED_FD_MIN);
    if (inherited < 0 || write_conf(fd, conf) < 0)
        return -1;
    for (int tries = INSTANCE_WAIT_MS / LOOK_MS; flock(inherited, LOCK_EX | LOCK_NB) < 0; tries--) {
        if (tries == 0) {
            errno = ETIMEDOUT;
            return -1;
        }
        nanosleep(&little, NULL);
    }
    return 0;
}

pid_t instance_running(const char *run)
{
    struct flock other = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int fd = open_lock(run, 0);
    int known = fd >= 0 && fcntl(fd, F_GETLK, &other) == 0 && other.l_type != F_UNLCK;
    if (fd >= 0)
        close(fd);
    if (!known)
        return 0;
    return other.l_pid > 0 ? other.l_pid : -1;
}
