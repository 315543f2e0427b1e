#include "scripts/children.h"

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
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(CHILDREN_NO_PROGRAM);
    dup2(null, STDIN_FILENO);
    dup2(quiet ? null : STDERR_FILENO, STDOUT_FILENO);
    if (quiet)
        dup2(null, STDERR_FILENO);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    _exit(CHILDREN_NO_PROGRAM);
}

/* Those that are there now. Orphans of theirs become children of a subreaper, and come next. */
static void kill_listed(const char *path)
{
    char text[4096];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    for (char *p = text, *next; *p; p = next) {
        long pid = strtol(p, &next, 10);
        if (pid <= 1)
            break;
        kill((pid_t)pid, SIGKILL);
        next += *next == ' ';
    }
}

void children_kill(void)
{
    const struct timespec little = {.tv_nsec = 5000000};
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    while (waitpid(-1, NULL, WNOHANG) >= 0) {
        kill_listed(path);
        nanosleep(&little, NULL);
    }
}
