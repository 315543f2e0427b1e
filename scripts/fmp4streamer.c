/* fmp4streamer: one INI file in, a supervised appliance out. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture/exit.h"
#include "scripts/appliance.h"
#include "scripts/conffile.h"
#include "scripts/instance.h"
#include "scripts/places.h"
#include "scripts/preflight.h"
#include "scripts/roles.h"
#include "scripts/show.h"

#define USAGE                                                                                      \
    "usage: fmp4streamer [-c conf] [run | check | status | stop | reload]\n"                       \
    "       fmp4streamer [-c conf] -l\n"                                                           \
    "       fmp4streamer -h | -V\n"

enum { LOOK_MS = 20 }; /* between two looks whether another has ended */

static struct {
    const char *conf; /* NULL: the default */
    struct tree tree;
    struct config config;
    struct roles roles;
} app;

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "fmp4streamer: %s: %s\n", what, why);
    exit(status);
}

static void find_run(void)
{
    char path[PATH_MAX] = "";
    if (places_run(path, app.tree.dir, sizeof app.tree.dir) == 0)
        return;
    if (!*path)
        fail(EXIT_USAGE, "XDG_RUNTIME_DIR", "not set; FMP4STREAMER_RUN can name a directory");
    fail(EXIT_AGAIN, path, strerror(errno));
}

static void find_places(void)
{
    char path[PATH_MAX] = "";
    if (places_data(path, app.tree.data, sizeof app.tree.data) < 0)
        fail(EXIT_USAGE, path, strerror(errno));
    find_run();
}

/* For all of the tree: without users of their own, services run as who started this. */
static void find_roles(void)
{
    const char *missing;
    app.tree.roles = &app.roles;
    if (roles_find(&app.roles, &missing) < 0)
        fprintf(stderr,
                "fmp4streamer: %s: no such user or group: everything runs as root (%s/users add "
                "makes them)\n",
                missing, app.tree.data);
}

/* Their directory is root's; who writes there is not. */
static void own_rings(void)
{
    char dir[PATH_MAX];
    if (ringfile_dir(dir, sizeof dir) < 0 || roles_own_rings(&app.roles, dir) < 0)
        fail(EXIT_AGAIN, dir,
             errno == EPERM ? "not root's: somebody else made it" : strerror(errno));
}

/* kill() takes what is no process for many. */
static void require_known(pid_t pid)
{
    if (pid <= 0)
        fail(EXIT_AGAIN, app.tree.dir, "it runs already, in another name space of processes");
}

/* Another that has read the same file is told to read it again. */
static int tell_other(pid_t other)
{
    char why[PATH_MAX + 64], path[PATH_MAX];
    snprintf(why, sizeof why, "it runs already, as process %d", (int)other);
    int same = instance_conf_is(app.tree.dir, other, conffile_path(app.conf), path);
    if (same < 0)
        fail(EXIT_AGAIN, app.tree.dir, why);
    if (!same) {
        snprintf(why, sizeof why, "it runs already, as process %d, with %.*s", (int)other,
                 PATH_MAX - 1, path);
        fail(EXIT_AGAIN, app.tree.dir, why);
    }
    require_known(other);
    if (kill(other, SIGHUP) < 0)
        fail(EXIT_AGAIN, "reload", strerror(errno));
    printf("fmp4streamer: %s: told to read %s again\n", why, path);
    return fflush(stdout) ? EXIT_AGAIN : EXIT_CLEAN;
}

/* A file that was there is the one that is read again: where it is missing then, for a moment or
 * for good, its users and addresses must not give way to the defaults. */
static const char *known_conf(void)
{
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", conffile_path(app.conf));
    return app.conf || access(path, F_OK) == 0 ? path : NULL;
}

static int run(void)
{
    pid_t other;
    sigset_t hup;
    /* From the moment that others can find this process it may be told to read its file again. */
    sigemptyset(&hup);
    sigaddset(&hup, SIGHUP);
    sigprocmask(SIG_BLOCK, &hup, NULL);
    if (instance_take(app.tree.dir, conffile_path(app.conf), &other) < 0) {
        if (errno == EBUSY)
            return tell_other(other);
        fail(EXIT_AGAIN, app.tree.dir,
             errno == ETIMEDOUT ? "an earlier run has not ended" : strerror(errno));
    }
    find_roles();
    own_rings();
    preflight_say(&app.config, app.conf, &app.tree, PREFLIGHT_ROOM);
    appliance_run(&app.config, &app.tree, known_conf());
    return EXIT_CLEAN;
}

/* Says what is wrong before the signal does, where whoever calls this sees it. */
static int reload(void)
{
    pid_t pid = instance_running(app.tree.dir);
    if (!pid)
        fail(EXIT_AGAIN, app.tree.dir, "no appliance runs here");
    require_known(pid);
    find_roles();
    int worst = preflight_say(&app.config, app.conf, &app.tree, PREFLIGHT_CERTIFICATE);
    if (kill(pid, SIGHUP) < 0)
        fail(EXIT_AGAIN, "reload", strerror(errno));
    return worst == EXIT_AGAIN ? EXIT_CLEAN : worst; /* a camera that is not there is waited for */
}

static int check(void)
{
    find_roles();
    return preflight_say(&app.config, app.conf, &app.tree,
                         PREFLIGHT_CERTIFICATE |
                             (instance_running(app.tree.dir) ? 0 : PREFLIGHT_ROOM));
}

/* Without -c, status, stop and reload are about the file that the running one has read; with it,
 * only that file's will do. */
static void find_running_conf(void)
{
    static char path[PATH_MAX];
    char why[PATH_MAX + 64];
    find_run();
    pid_t pid = instance_running(app.tree.dir);
    if (!pid || instance_conf(app.tree.dir, path) < 0)
        return;
    if (app.conf && !instance_conf_is(app.tree.dir, pid, conffile_path(app.conf), path)) {
        snprintf(why, sizeof why, "the appliance that runs here is %s's", path);
        fail(EXIT_AGAIN, app.conf, why);
    }
    if (access(path, F_OK) == 0)
        app.conf = path;
}

static int stop_other(void)
{
    find_run();
    const struct timespec little = {.tv_nsec = LOOK_MS * 1000000};
    pid_t pid = instance_running(app.tree.dir);
    if (pid)
        require_known(pid);
    if (pid && kill(pid, SIGTERM) < 0)
        fail(EXIT_AGAIN, "stop", strerror(errno));
    for (int looks = APPLIANCE_STOP_MS / LOOK_MS; pid && instance_running(app.tree.dir) == pid;
         looks--) {
        if (looks == 0)
            fail(EXIT_AGAIN, "stop", "it has not ended yet");
        nanosleep(&little, NULL);
    }
    return EXIT_CLEAN;
}

static int status(void)
{
    if (!instance_running(app.tree.dir))
        fail(EXIT_AGAIN, app.tree.dir, "no appliance runs here");
    static struct plan plan;
    if (appliance_plan(&plan, &app.config, &app.tree) < 0)
        return EXIT_USAGE;
    return show_status(app.tree.dir, &plan);
}

static const struct verb {
    const char *name;
    int (*call)(void);
} verbs[] = {
    {"run", run}, {"check", check}, {"status", status}, {"stop", stop_other}, {"reload", reload},
};

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    fail(EXIT_USAGE, name, "none of run, check, status, stop, reload (-h shows the usage)");
}

int main(int argc, char **argv)
{
    int c, list = 0;
    char option[] = "-?";
    /* Whatever of the standard three is closed must not become another file's number. */
    while ((c = open("/dev/null", O_RDWR)) >= 0 && c <= STDERR_FILENO)
        ;
    close(c);
    signal(SIGCHLD,
           SIG_DFL); /* ignored, as it may be by who starts this, it would hide every end */
    opterr = 0;
    while ((c = getopt(argc, argv, "+:c:lhV")) != -1) {
        switch (c) {
        case 'l':
            list = 1;
            break;
        case 'c':
            app.conf = optarg;
            break;
        case 'h':
            fputs(USAGE, stdout);
            return EXIT_CLEAN;
        case 'V':
            puts("fmp4streamer " VERSION);
            return EXIT_CLEAN;
        default:
            option[1] = (char)optopt;
            fail(EXIT_USAGE, option, c == ':' ? "needs a value" : "unknown (-h shows the usage)");
        }
    }
    const char *verb = optind < argc ? argv[optind] : "run";
    if (optind + 1 - list < argc)
        fail(EXIT_USAGE, argv[argc - 1], "one argument too many (-h shows the usage)");
    const struct verb *known = find_verb(verb);
    if (known->call == status || known->call == reload || known->call == stop_other)
        find_running_conf();
    if (known->call == stop_other)
        return stop_other();
    if (conffile_read(&app.config, app.conf) < 0)
        return EXIT_USAGE;
    if (places_tools() < 0)
        fail(EXIT_USAGE, "/proc/self/exe", strerror(errno));
    if (list)
        return show_controls(&app.config);
    find_places();
    return known->call();
}
