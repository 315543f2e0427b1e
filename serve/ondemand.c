/* ondemand: runs a program while a ring has viewers, and lets it rest while it has none. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capture/exit.h"
#include "capture/number.h"
#include "serve/children.h"
#include "serve/ready.h"
#include "serve/ringfile.h"

#define USAGE                                                                                      \
    "usage: ondemand [-a | -l linger-seconds] [-d fd] NAME prog [arg ...]\n"                       \
    "       ondemand -h | -V\n"

enum {
    LINGER = 10, /* seconds without a viewer before the program is ended */
    LINGER_MAX = 86400,
    LOOK_MS = 500,  /* a viewer that left, or a signal that came too early, is seen then */
    KILL_MS = 5000, /* what does not end on SIGTERM is killed */
    NO_SUCH_PROGRAM = 127,
};

static volatile sig_atomic_t stop;
static int always; /* the program may not rest */

static void on_stop(int sig)
{
    (void)sig;
    stop = 1;
}

static void on_child(int sig)
{
    (void)sig; /* its only purpose is to end a wait */
}

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "ondemand: %s: %s\n", what, why);
    exit(status);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* SIGUSR1 asks for a keyframe; a program that knows nothing of it must not die of it. */
static pid_t start(char **argv)
{
    pid_t parent = getpid(), pid = fork();
    if (pid < 0)
        fail(EXIT_AGAIN, "fork", strerror(errno));
    if (pid == 0) {
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent)
            _exit(EXIT_AGAIN);
        signal(SIGUSR1, SIG_IGN);
        signal(SIGPIPE, SIG_DFL);
        execvp(argv[0], argv);
        fprintf(stderr, "ondemand: %s: %s\n", argv[0], strerror(errno));
        _exit(NO_SUCH_PROGRAM);
    }
    setpgid(pid, pid); /* whichever of the two comes first */
    return pid;
}

/* How the program ended, for people and for who supervises this. One that could not be executed has
 * said so itself. */
static int exit_status(const char *program, int status)
{
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "ondemand: %s: killed by signal %d\n", program, WTERMSIG(status));
        return EXIT_AGAIN;
    }
    if (WEXITSTATUS(status) && WEXITSTATUS(status) != NO_SUCH_PROGRAM)
        fprintf(stderr, "ondemand: %s: exit status %d\n", program, WEXITSTATUS(status));
    return WEXITSTATUS(status) == NO_SUCH_PROGRAM ? EXIT_USAGE : WEXITSTATUS(status);
}

/* A program that has started others, a shell's pipeline for instance, leaves none of them behind:
 * they would write into the next one's pictures. */
static void kill_rest(void)
{
    if (children_kill() < 0)
        fail(EXIT_AGAIN, "kill", "a process does not end");
}

/* Ends the program and waits for it: a camera must be free again before it is opened anew. */
static void end(pid_t pid)
{
    int64_t killed = now_ms() + KILL_MS;
    kill(-pid, SIGTERM);
    while (now_ms() < killed && waitpid(pid, NULL, WNOHANG) == 0) {
        const struct timespec little = {.tv_nsec = 10000000};
        nanosleep(&little, NULL);
    }
    kill_rest();
}

/* Runs the program until nobody has watched for `linger_ms`. Returns only then; if it ends by
 * itself, so does this, with its status. */
static void run(struct ringfile *rf, char **argv, int64_t linger_ms)
{
    pid_t pid = start(argv);
    int64_t watched = now_ms();
    uint32_t keys = atomic_load(&rf->ctl->key_wanted);
    while (!stop && now_ms() - watched < linger_ms) {
        int status;
        uint32_t seen = atomic_load(&rf->ctl->joins), wanted = atomic_load(&rf->ctl->key_wanted);
        if (waitpid(pid, &status, WNOHANG) == pid) {
            kill_rest();
            exit(exit_status(argv[0], status));
        }
        if (wanted != keys)
            kill(pid, SIGUSR1);
        keys = wanted;
        if (always || ringfile_watched(rf))
            watched = now_ms();
        ringfile_wait_join(rf, seen, LOOK_MS);
    }
    end(pid);
}

static void catch_signals(void)
{
    const struct sigaction end_it = {.sa_handler = on_stop}, child = {.sa_handler = on_child};
    sigaction(SIGTERM, &end_it, NULL);
    sigaction(SIGINT, &end_it, NULL);
    sigaction(SIGCHLD, &child, NULL);
    signal(SIGUSR1, SIG_IGN);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
}

int main(int argc, char **argv)
{
    static struct ringfile rf;
    uint64_t linger = LINGER;
    int c, ready = -1;
    char option[] = "-?";
    opterr = 0;
    while ((c = getopt(argc, argv, "+:ad:l:hV")) != -1) {
        switch (c) {
        case 'a':
            always = 1;
            break;
        case 'd':
            if (ready_parse(optarg, &ready) < 0)
                fail(EXIT_USAGE, "-d", "not an open descriptor above 2");
            break;
        case 'l':
            if (number_parse(optarg, 0, LINGER_MAX, &linger) < 0)
                fail(EXIT_USAGE, "-l", "not a number of seconds up to 86400");
            break;
        case 'h':
            fputs(USAGE, stdout);
            return EXIT_CLEAN;
        case 'V':
            puts("ondemand " VERSION);
            return EXIT_CLEAN;
        default:
            option[1] = (char)optopt;
            fail(EXIT_USAGE, option, c == ':' ? "needs a value" : "unknown (-h shows the usage)");
        }
    }
    if (optind + 2 > argc)
        fail(EXIT_USAGE, "NAME and prog", "missing (-h shows the usage)");
    if (!ringfile_name_ok(argv[optind]))
        fail(EXIT_USAGE, argv[optind], "not a ring's name: 1 to 32 letters, digits, _ or -");
    if (ringfile_control(&rf, argv[optind]) < 0)
        fail(EXIT_AGAIN, rf.path, rf.why ? rf.why : strerror(errno));
    if (ready_say(ready) < 0)
        fail(EXIT_USAGE, "-d", strerror(errno));
    catch_signals();
    while (!stop) {
        uint32_t seen = atomic_load(&rf.ctl->joins);
        if (always || ringfile_watched(&rf))
            run(&rf, argv + optind + 1, (int64_t)linger * 1000);
        else
            ringfile_wait_join(&rf, seen, LOOK_MS);
    }
    return EXIT_CLEAN;
}
