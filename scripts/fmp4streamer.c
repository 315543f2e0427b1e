/* fmp4streamer: one INI file in, a supervised appliance out. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capture/exit.h"
#include "scripts/conffile.h"
#include "scripts/config.h"
#include "scripts/instance.h"
#include "scripts/journal.h"
#include "scripts/places.h"
#include "scripts/plan.h"
#include "scripts/show.h"
#include "scripts/tree.h"
#include "serve/children.h"

#define USAGE                                                                                      \
    "usage: fmp4streamer [-c conf] [run | check | status | stop]\n"                                \
    "       fmp4streamer [-c conf] -l\n"                                                           \
    "       fmp4streamer -h | -V\n"

enum {
    READY_TRY_MS = 100, /* between two looks whether the web server is ready */
    STOP_MS = 8000,     /* for all services to end; what is left then is killed */
    AGAIN_MS = 1000,    /* between two starts of the supervisor, at least */
    LOOK_MS = 5000,     /* between two looks for processes that lost their parent */
};

static struct {
    const char *conf; /* NULL: the default */
    struct tree tree;
    struct config config;
    struct plan plan;
    struct journal journal[PLAN_SERVICES];
    int signals;
    pid_t supervisor, waiter;
    int ready, stopping;
    int64_t next_try;  /* ms; for the waiter, or the supervisor when there is none */
    int64_t started;   /* ms; the supervisor */
    int64_t kill_at;   /* ms, while stopping */
    int64_t next_look; /* ms; for orphans */
    struct orphans orphans;
} app;

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "fmp4streamer: %s: %s\n", what, why);
    exit(status);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int make_plan(struct plan *plan, const struct config *config)
{
    char www[PATH_MAX];
    snprintf(www, sizeof www, "%s/www", app.tree.data);
    if (plan_make(plan, config, www) == 0)
        return 0;
    fprintf(stderr, "fmp4streamer: %s: too many or too long arguments\n",
            plan->service[plan->count].name);
    return -1;
}

/* --- where things are --- */

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

static void take_lock(void)
{
    char why[64];
    pid_t other;
    if (instance_take(app.tree.dir, &other) == 0)
        return;
    snprintf(why, sizeof why, "it runs already, as process %d", (int)other);
    fail(EXIT_AGAIN, app.tree.dir,
         errno == EBUSY       ? why
         : errno == ETIMEDOUT ? "an earlier run has not ended"
                              : strerror(errno));
}

static int stop_other(void)
{
    find_run();
    const struct timespec little = {.tv_nsec = 20000000};
    pid_t pid = instance_running(app.tree.dir);
    if (pid && kill(pid, SIGTERM) < 0)
        fail(EXIT_AGAIN, "stop", strerror(errno));
    for (int64_t until = now_ms() + 2 * STOP_MS; pid && instance_running(app.tree.dir) == pid;
         nanosleep(&little, NULL))
        if (now_ms() >= until)
            fail(EXIT_AGAIN, "stop", "it has not ended yet");
    return EXIT_CLEAN;
}

/* --- the tree --- */

static _Noreturn void tree_failed(void)
{
    fail(EXIT_AGAIN, app.tree.path, strerror(errno));
}

/* Without one a service says nothing and does not start: so it says that. */
static void open_journal(size_t i)
{
    const char *name = app.plan.service[i].name;
    char camera[PLAN_NAME_MAX + 1];
    int fd = tree_open_log(&app.tree, name);
    if (fd < 0)
        fprintf(stderr, "fmp4streamer: %s: %s\n", app.tree.path, strerror(errno));
    snprintf(camera, sizeof camera, "%.*s", (int)strcspn(name, "/"), name);
    journal_init(&app.journal[i], fd, camera, app.tree.dir);
}

static void lay_out(void)
{
    if (tree_clear(&app.tree) < 0)
        tree_failed();
    for (size_t i = 0; i < app.plan.count; i++)
        if (tree_add(&app.tree, &app.plan.service[i]) < 0)
            tree_failed();
    for (size_t i = 0; i < app.plan.count; i++)
        open_journal(i);
}

static void start_supervisor(void)
{
    char scan[PATH_MAX];
    const char *const argv[] = {"s6-svscan", scan, NULL};
    snprintf(scan, sizeof scan, "%s/service", app.tree.dir);
    app.supervisor = children_start(argv, 0);
    if (app.supervisor < 0)
        fail(EXIT_AGAIN, "fork", strerror(errno));
    app.ready = 0;
    app.started = now_ms();
    app.next_try = app.started + READY_TRY_MS;
}

static void kill_rest(void)
{
    if (children_kill() < 0)
        fprintf(stderr, "fmp4streamer: some processes do not end\n");
    app.supervisor = app.waiter = 0;
}

/* --- a changed file --- */

static const struct service *find(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->service[i].name, name) == 0)
            return &plan->service[i];
    return NULL;
}

static void s6(const char *tool, const char *options, const char *name)
{
    char path[PATH_MAX];
    const char *const argv[] = {tool, options, path, NULL};
    snprintf(path, sizeof path, "%s/service%s%s", app.tree.dir, name ? "/" : "", name ? name : "");
    children_start(argv, 0);
}

/* Takes out of the tree what `from` has and `other` has not. A service's log goes with it. */
static int remove_others(const struct plan *from, const struct plan *other)
{
    for (size_t i = 0; i < from->count; i++)
        if (!find(other, from->service[i].name) && !strchr(from->service[i].name, '/') &&
            tree_remove(&app.tree, from->service[i].name) < 0 && errno != ENOENT)
            return -1;
    return 0;
}

/* Only what is other than before is touched: the rest does not notice. What is new comes first, as
 * that is what there may be no room for; nothing has begun then. */
static int apply(const struct plan *old)
{
    for (size_t i = 0; i < app.plan.count; i++)
        if (!find(old, app.plan.service[i].name) && tree_add(&app.tree, &app.plan.service[i]) < 0)
            return -1;
    for (size_t i = 0; i < app.plan.count; i++) {
        const struct service *s = &app.plan.service[i], *was = find(old, s->name);
        if (!was || args_equal(&was->args, &s->args))
            continue;
        if (tree_change(&app.tree, s) < 0)
            return -1;
        s6("s6-svc", "-ru", s->name); /* also one that was given up */
    }
    return remove_others(old, &app.plan);
}

static void reload(void)
{
    static struct config config;
    static struct plan old;
    int fds[PLAN_SERVICES];
    if (app.supervisor == 0)
        return;
    if (conffile_read(&config, app.conf) < 0) {
        fprintf(stderr, "fmp4streamer: nothing changes\n");
        return;
    }
    old = app.plan;
    if (make_plan(&app.plan, &config) < 0) {
        app.plan = old;
        return;
    }
    if (apply(&old) < 0) {
        fprintf(stderr, "fmp4streamer: %s: %s\n", app.tree.path, strerror(errno));
        remove_others(&app.plan, &old);
        app.plan = old;
        return;
    }
    app.config = config;
    s6("s6-svscanctl", "-an", NULL);
    /* The new ones first: who writes to a fifo that nobody has open is killed. */
    for (size_t i = 0; i < old.count; i++)
        fds[i] = app.journal[i].fd;
    for (size_t i = 0; i < app.plan.count; i++)
        open_journal(i);
    for (size_t i = 0; i < old.count; i++)
        close(fds[i]);
    app.ready = 0;
    app.next_try = now_ms() + READY_TRY_MS;
}

/* --- the loop --- */

/* s6-svwait fails while the service has no supervisor yet, and ends when it is ready. */
static void start_waiter(void)
{
    char web[PATH_MAX];
    const char *const argv[] = {"s6-svwait", "-U", web, NULL};
    snprintf(web, sizeof web, "%s/service/web", app.tree.dir);
    app.waiter = children_start(argv, 1);
}

static void child_ended(pid_t pid, int status)
{
    if (pid == app.waiter) {
        app.waiter = 0;
        app.ready = WIFEXITED(status) && WEXITSTATUS(status) == 0;
        if (app.ready && !app.stopping)
            show_addresses(&app.config);
        app.next_try = now_ms() + READY_TRY_MS;
    } else if (pid == app.supervisor) {
        app.supervisor = 0;
        if (app.stopping)
            return;
        if (WIFEXITED(status) && WEXITSTATUS(status) == CHILDREN_NO_PROGRAM)
            fail(EXIT_USAGE, "s6-svscan", "cannot be run: is s6 installed?");
        fprintf(stderr, "fmp4streamer: s6-svscan ended: starting all again\n");
        kill_rest();
        for (size_t i = 0; i < app.plan.count; i++)
            close(app.journal[i].fd);
        app.next_try = app.started + AGAIN_MS;
    }
}

static void stop(void)
{
    if (app.stopping)
        return;
    app.stopping = 1;
    app.kill_at = now_ms() + STOP_MS;
    app.next_look = 0; /* an orphan may hold a pipe whose end somebody waits for */
    if (app.supervisor > 0)
        kill(app.supervisor, SIGTERM);
}

static void read_signal(void)
{
    struct signalfd_siginfo info;
    int status;
    pid_t pid;
    if (read(app.signals, &info, sizeof info) != sizeof info)
        return;
    if (info.ssi_signo == SIGHUP && !app.stopping)
        reload();
    else if (info.ssi_signo != SIGCHLD)
        stop();
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        child_ended(pid, status);
}

static void what_is_due(int64_t now)
{
    if (now >= app.next_look) {
        const pid_t own[] = {app.supervisor, app.waiter};
        children_kill_orphans(&app.orphans, own, sizeof own / sizeof *own);
        app.next_look = now + (app.stopping ? READY_TRY_MS : LOOK_MS);
    }
    if (app.stopping || now < app.next_try)
        return;
    if (app.supervisor == 0) {
        lay_out();
        start_supervisor();
    } else if (!app.ready && app.waiter <= 0) {
        start_waiter();
    }
}

static void loop(void)
{
    while (!app.stopping || (app.supervisor > 0 && now_ms() < app.kill_at)) {
        struct pollfd fds[PLAN_SERVICES + 1];
        nfds_t count = 0;
        int waiting = app.stopping || !app.ready || app.supervisor == 0;
        fds[count++] = (struct pollfd){.fd = app.signals, .events = POLLIN};
        for (size_t i = 0; i < app.plan.count; i++)
            fds[count++] = (struct pollfd){.fd = app.supervisor > 0 ? app.journal[i].fd : -1,
                                           .events = POLLIN};
        if (poll(fds, count, waiting ? READY_TRY_MS : LOOK_MS) < 0 && errno != EINTR)
            fail(EXIT_AGAIN, "poll", strerror(errno));
        for (size_t i = 0; i < app.plan.count; i++)
            if (fds[1 + i].revents & POLLIN)
                journal_read(&app.journal[i], now_ms());
        if (fds[0].revents & POLLIN)
            read_signal();
        what_is_due(now_ms());
    }
}

static void take_signals(void)
{
    sigset_t set;
    signal(SIGPIPE, SIG_IGN); /* a log that nobody reads any more is no reason to end */
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    app.signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (app.signals < 0)
        fail(EXIT_AGAIN, "signalfd", strerror(errno));
}

static int run(void)
{
    char pid[16];
    take_lock();
    take_signals();
    if (setpriority(PRIO_PROCESS, 0, app.config.priority) < 0)
        fprintf(stderr, "fmp4streamer: priority %d: %s\n", app.config.priority, strerror(errno));
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("FMP4STREAMER_PID", pid, 1);
    lay_out();
    start_supervisor();
    loop();
    kill_rest();
    tree_end(&app.tree);
    return EXIT_CLEAN;
}

static int status(void)
{
    if (!instance_running(app.tree.dir))
        fail(EXIT_AGAIN, app.tree.dir, "no appliance runs here");
    return show_status(app.tree.dir, &app.plan);
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
    if (strcmp(verb, "run") != 0 && strcmp(verb, "check") != 0 && strcmp(verb, "status") != 0 &&
        strcmp(verb, "stop") != 0)
        fail(EXIT_USAGE, verb, "none of run, check, status, stop (-h shows the usage)");
    if (strcmp(verb, "stop") == 0)
        return stop_other();
    if (conffile_read(&app.config, app.conf) < 0)
        return EXIT_USAGE;
    if (places_tools() < 0)
        fail(EXIT_USAGE, "/proc/self/exe", strerror(errno));
    if (list)
        return show_controls(&app.config);
    if (strcmp(verb, "check") == 0)
        return conffile_find_commands(&app.config, app.conf) ? EXIT_USAGE : EXIT_CLEAN;
    find_places();
    if (make_plan(&app.plan, &app.config) < 0)
        return EXIT_USAGE;
    return strcmp(verb, "run") == 0 ? run() : status();
}
