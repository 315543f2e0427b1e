#include "scripts/appliance.h"

#include <errno.h>
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
#include "scripts/journal.h"
#include "scripts/notify.h"
#include "scripts/preflight.h"
#include "scripts/recordings.h"
#include "scripts/secure.h"
#include "scripts/show.h"
#include "serve/children.h"
#include "serve/ringfile.h"

enum {
    READY_TRY_MS = 100, /* between two looks whether the web server is ready */
    STOP_MS = 8000,     /* for all services to end; what is left then is killed */
    AGAIN_MS = 1000,    /* between two starts of the supervisor, at least */
    LOOK_MS = 5000,     /* between two looks for processes that lost their parent */
    SURE_MS = 10000,    /* a web server that is not ready by then does not hold the rest up */
    MASK = 022,         /* what is made here, services that are other users read */
};

static struct {
    const char *conf; /* NULL: the default */
    struct tree tree;
    struct config config;
    struct plan plan;
    struct journal journal[PLAN_SERVICES];
    int signals;
    pid_t supervisor, waiter;
    int ready, stopping, notified;
    int64_t next_try;  /* ms; for the waiter, or the supervisor when there is none */
    int64_t first;     /* ms; this program */
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

int appliance_plan(struct plan *plan, const struct config *config, const struct tree *tree)
{
    char www[PATH_MAX], pages[PATH_MAX], tls[PATH_MAX];
    const struct plan_places places = {www, pages, tls};
    snprintf(www, sizeof www, "%s/www", tree->data);
    snprintf(pages, sizeof pages, "%s/www", tree->dir);
    snprintf(tls, sizeof tls, "%s/tls/stunnel.conf", tree->dir);
    if (plan_make(plan, config, &places) == 0)
        return 0;
    fprintf(stderr, "fmp4streamer: %s: too many or too long arguments\n",
            plan->service[plan->count].name);
    return -1;
}

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

/* A recorder that has no directory says so itself, again and again; this says why. */
static void make_recordings(const struct config *config)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < config->count; i++)
        if (config->camera[i].recorded &&
            recordings_make(&config->record, config->camera[i].name, app.tree.roles, path) < 0)
            fprintf(stderr, "fmp4streamer: %s: %s\n", path,
                    errno == EPERM ? "not for recordings: it is somebody else's" : strerror(errno));
}

static void lay_out(void)
{
    if (tree_clear(&app.tree) < 0 || tree_pages(&app.tree, &app.config) < 0)
        tree_failed();
    make_recordings(&app.config);
    secure_install(&app.config, &app.tree);
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
        if (!was || plan_same(was, s))
            continue;
        if (tree_change(&app.tree, s) < 0)
            return -1;
        s6("s6-svc", "-ru", s->name); /* also one that was given up */
    }
    return remove_others(old, &app.plan);
}

/* Those of cameras that are no more: their memory would be gone until the machine's next start. */
static void remove_rings(const struct plan *old)
{
    char name[PLAN_NAME_MAX + 1];
    for (size_t i = 0; i < old->count; i++)
        if (old->service[i].role == ROLE_CAPTURE && !find(&app.plan, old->service[i].name)) {
            snprintf(name, sizeof name, "%s", old->service[i].name);
            ringfile_remove(name);
        }
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
    if (appliance_plan(&app.plan, &config, &app.tree) < 0) {
        app.plan = old;
        return;
    }
    make_recordings(&config);
    int other_tls = secure_install(&config, &app.tree);
    if (apply(&old) < 0 || tree_pages(&app.tree, &config) < 0) {
        fprintf(stderr, "fmp4streamer: %s: %s\n", app.tree.path, strerror(errno));
        remove_others(&app.plan, &old);
        app.plan = old;
        return;
    }
    app.config = config;
    remove_rings(&old);
    preflight_say(&app.config, app.conf, &app.tree, 0);
    s6("s6-svscanctl", "-an", NULL);
    if (other_tls && find(&old, "tls"))
        s6("s6-svc", "-h", "tls"); /* stunnel reads its files again, and drops nobody */
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

/* Whoever waits for the appliance, waits for its web server; but one whose port is taken is no
 * reason to end the cameras. */
static void ready(void)
{
    if (app.ready)
        show_addresses(&app.config);
    if (!app.notified)
        notify_say(app.ready ? "READY=1\nSTATUS=serving"
                             : "READY=1\nSTATUS=the web server is not ready");
    app.notified = 1;
}

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
            ready();
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
    notify_say("STOPPING=1");
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
    if (!app.notified && now - app.first > SURE_MS)
        ready();
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

void appliance_run(const struct config *config, const struct tree *tree, const char *conf)
{
    char pid[16];
    app.config = *config;
    app.tree = *tree;
    app.conf = conf;
    app.first = now_ms();
    if (appliance_plan(&app.plan, &app.config, &app.tree) < 0)
        exit(EXIT_USAGE);
    take_signals();
    if (app.tree.roles->known)
        umask(MASK);
    if (app.config.priority_line && setpriority(PRIO_PROCESS, 0, app.config.priority) < 0)
        fprintf(stderr, "fmp4streamer: priority %d: %s\n", app.config.priority, strerror(errno));
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("FMP4STREAMER_PID", pid, 1);
    lay_out();
    start_supervisor();
    loop();
    kill_rest();
    tree_end(&app.tree);
}
