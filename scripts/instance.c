#include "scripts/instance.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

/* The inherited descriptor stays clear of those that a supervisor gives its services. */
enum { INHERITED_FD_MIN = 10, LOCK_MODE = 0644, LOOK_MS = 20, CONF_WAIT_MS = 500 };

static int open_lock(const char *run, int flags)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/lock", run) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, LOCK_MODE);
}

/* The text's NUL says where it ends, so that whoever reads meanwhile finds the one before or this
 * one, and never an empty one between them. */
static int write_conf(int fd, const char *conf)
{
    size_t n = strlen(conf) + 1;
    return pwrite(fd, conf, n, 0) == (ssize_t)n ? ftruncate(fd, (off_t)n) : -1;
}

int instance_conf(const char *run, char *path)
{
    int fd = open_lock(run, 0);
    ssize_t n = fd < 0 ? -1 : pread(fd, path, PATH_MAX - 1, 0);
    if (fd >= 0)
        close(fd);
    path[n > 0 ? n : 0] = 0;
    return n < 0 ? -1 : 0;
}

int instance_conf_is(const char *run, const char *conf, char *path)
{
    const struct timespec little = {.tv_nsec = LOOK_MS * 1000000};
    for (int tries = CONF_WAIT_MS / LOOK_MS;; tries--) {
        if (instance_conf(run, path) < 0)
            return -1;
        if (strcmp(path, conf) == 0)
            return 1;
        if (tries == 0)
            return 0;
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
    if (fcntl(fd, F_SETLK, &mine) < 0) {
        fcntl(fd, F_GETLK, &mine);
        *other = mine.l_pid;
        errno = EBUSY;
        return -1;
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
    return known ? other.l_pid : 0;
}
