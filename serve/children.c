#include "serve/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

pid_t children_start(const char *const *argv, int quiet)
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0)
        return pid;
    sigset_t none;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(CHILDREN_NO_PROGRAM);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    if (quiet)
        dup2(null, STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(CHILDREN_NO_PROGRAM);
}

int children_run(const char *const *argv)
{
    sigset_t none;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        signal(SIGPIPE, SIG_DFL);
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(CHILDREN_NO_PROGRAM);
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0)
        return -1;
    if (WIFEXITED(status) && WEXITSTATUS(status) != CHILDREN_NO_PROGRAM)
        return WEXITSTATUS(status);
    errno = WIFEXITED(status) ? ENOENT : EINTR;
    return -1;
}

/* The children that are there now, at most `max`. */
static size_t list(pid_t *pids, size_t max)
{
    char path[64], text[4096];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    for (char *p = text, *next; *p && count < max; p = next) {
        long pid = strtol(p, &next, 10);
        if (pid <= 1)
            break;
        pids[count++] = (pid_t)pid;
        next += *next == ' ';
    }
    return count;
}

/* Orphans of what is killed become children of a subreaper, and come next. */
int children_kill(void)
{
    const struct timespec little = {.tv_nsec = 5000000};
    pid_t pids[CHILDREN_ORPHANS];
    for (int tries = CHILDREN_KILL_MS / 5; waitpid(-1, NULL, WNOHANG) >= 0; tries--) {
        if (tries == 0)
            return -1;
        for (size_t n = list(pids, CHILDREN_ORPHANS); n-- > 0;)
            kill(pids[n], SIGKILL);
        nanosleep(&little, NULL);
    }
    return 0;
}

static int is_in(const pid_t *pids, size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return 1;
    return 0;
}

void children_kill_orphans(struct orphans *seen, const pid_t *own, size_t count)
{
    struct orphans now = {0};
    pid_t pids[CHILDREN_ORPHANS];
    for (size_t n = list(pids, CHILDREN_ORPHANS); n-- > 0;) {
        if (is_in(own, count, pids[n]))
            continue;
        if (is_in(seen->pid, seen->count, pids[n]))
            kill(pids[n], SIGKILL);
        now.pid[now.count++] = pids[n];
    }
    *seen = now;
}
