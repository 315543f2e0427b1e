/* fanout: live streams, from standard input or from rings, to any number of browsers and players.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture/exit.h"
#include "serve/descriptors.h"
#include "serve/feed.h"
#include "serve/options.h"
#include "serve/ready.h"
#include "serve/server.h"

#define USAGE                                                                                      \
    "usage: fanout [-l [addr:]port] ... [-P [addr:]port] ... [-r port] [-w wwwdir] ...\n"          \
    "              [-u users] [-a connections] [-m viewers] [-d fd] [NAME ...]\n"                  \
    "       fanout -h | -V\n"
#define DEFAULT_LISTEN "8000"

enum {
    EVENTS = 256,
    SWEEP_MS = 1000,
    MISSING_US = 3000000, /* a ring that is not there by then is spoken of */
};

static struct server server;
static struct feed feed; /* of the private ring */
static struct auth auth;
static struct access access_log;
/* What an epoll event points at when it is not a connection. */
static int source_tag, signal_tag, auth_tag;

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "fanout: %s: %s\n", what, why);
    exit(status);
}

static void watch(int fd, uint32_t events, void *tag)
{
    struct epoll_event ev = {.events = events, .data.ptr = tag};
    if (epoll_ctl(server.epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        fail(EXIT_AGAIN, "epoll_ctl", strerror(errno));
}

static void *memory(size_t bytes, const char *what)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        fail(EXIT_AGAIN, what, strerror(errno));
    return p;
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* ignored, as it may have been left to us, children vanish unseen */
    int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0)
        fail(EXIT_AGAIN, "signalfd", strerror(errno));
    return fd;
}

/* Without names: one private ring, filled from standard input. */
static void set_up_private(void)
{
    struct stat st;
    if (fstat(STDIN_FILENO, &st) < 0)
        fail(EXIT_USAGE, "standard input", strerror(errno));
    if (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode))
        fail(EXIT_USAGE, "standard input", "not a pipe; fanout serves a live stream");
    if (camera_private(&server.camera[0]) < 0)
        fail(EXIT_AGAIN, "ring", strerror(errno));
    server.cameras = 1;
    feed_init(&feed, &server.camera[0].ring, CUT_TARGET_MS);
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    watch(STDIN_FILENO, EPOLLIN, &source_tag);
}

static void set_up_named(char **names)
{
    for (; *names; names++) {
        struct camera *c = &server.camera[server.cameras++];
        if (camera_named(c, *names) < 0)
            fail(EXIT_AGAIN, *names, strerror(errno));
        watch(c->event, EPOLLIN, c);
    }
}

/* Their passwords are checked by a program of its own. */
static void set_up_users(const char *users)
{
    if (auth_open(&auth, users, NULL, now_us()) < 0)
        fail(EXIT_USAGE, errno == ENOENT ? "checkpassword" : users, strerror(errno));
    server.auth = &auth;
    watch(auth_fd(&auth), EPOLLIN, &auth_tag);
}

/* For who watches the log for those that try. */
static void say_wrong(const struct conn *c)
{
    char from[INET6_ADDRSTRLEN];
    accesslog_address(from, &c->addr);
    fprintf(stderr, "fanout: %s: wrong name or password\n", from);
}

static void set_up(const struct options *o, char **names)
{
    struct server *s = &server;
    s->conns = descriptors_allow();
    s->conn = memory(s->conns * sizeof *s->conn, "connections");
    if (o->log) {
        access_open(&access_log, STDOUT_FILENO,
                    memory(s->conns * sizeof *access_log.entry, "access log"));
        s->access = &access_log;
    }
    descriptors_keep();
    s->diag = relay_open();
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0)
        fail(EXIT_AGAIN, "epoll_create1", strerror(errno));
    s->signals = open_signals();
    if (o->users)
        set_up_users(o->users);
    if (*names)
        set_up_named(names);
    else
        set_up_private();
    watch(s->signals, EPOLLIN, &signal_tag);
    for (unsigned i = 0; i < s->listeners; i++)
        watch(s->listener[i].fd, EPOLLIN, &s->listener[i]);
    s->started = now_us();
    if (ready_say(o->ready) < 0)
        fail(EXIT_USAGE, "-d", strerror(errno));
}

/* Everyone who can take something gets what is new. Backwards, since a viewer that ends is replaced
 * by the last of the list. Returns when the next one is due. */
static int64_t pump_all(const struct camera *camera, int only_due)
{
    int64_t now = now_us(), next = INT64_MAX;
    for (unsigned i = server.viewers; i-- > 0;) {
        struct conn *c = &server.conn[server.viewer[i]];
        if ((!only_due || server.due[i] <= now) && (!camera || c->camera == camera) && !c->blocked)
            viewer_pump(&server, c, now);
        if (i < server.viewers && server.due[i] < next)
            next = server.due[i];
    }
    return next;
}

/* Returns 1 when it is time to go. */
static int take_signals(void)
{
    struct signalfd_siginfo info;
    int stop = 0;
    while (read(server.signals, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            static_reap(&server);
        else
            stop = 1;
    }
    return stop;
}

/* As ringput says it of a named ring. */
static void say_small(void)
{
    static int said;
    uint64_t wanted = cut_mib_wanted(&feed.cut);
    if (said || !wanted)
        return;
    said = 1;
    fprintf(stderr,
            "fanout: standard input: %d MiB are too little for HLS at this bit rate: a named ring "
            "of %" PRIu64 " would do (ringput -m)\n",
            RING_DATA_BYTES >> 20, wanted);
}

/* Returns 1 at the end of the stream. */
static int take_source(void)
{
    switch (feed_read(&feed, STDIN_FILENO, now_us())) {
    case FEED_FRAG:
        pump_all(NULL, 0);
        hls_news(&server, &server.camera[0], now_us());
        return 0;
    case FEED_BAD:
        fprintf(stderr, "fanout: standard input: byte %" PRIu64 ": %s\n", feed.bytes, feed.why);
        exit(EXIT_BAD_INPUT);
    case FEED_FAILED:
        fail(EXIT_AGAIN, "standard input", strerror(errno));
    case FEED_END:
        return 1;
    default:
        return 0;
    }
}

/* Those who watch a ring that is no more would wait for ever. */
static void look_for(struct camera *camera)
{
    if (camera->there && !ringfile_superseded(&camera->file))
        return;
    for (unsigned i = server.viewers; i-- > 0;) {
        struct conn *c = &server.conn[server.viewer[i]];
        if (c->camera == camera && camera->there) {
            c->why = CLOSE_RING;
            conn_close(&server, c);
        }
    }
    if (camera->there)
        hls_leave(&server, camera);
    if (!camera_look(camera))
        return;
    for (unsigned i = 0; i < server.viewers; i++)
        if (server.conn[server.viewer[i]].camera == camera)
            viewer_attach(&server.conn[server.viewer[i]], now_us());
    hls_arrive(&server, camera);
}

static void take_camera(struct camera *camera)
{
    uint64_t n;
    if (read(camera->event, &n, sizeof n) < 0)
        return;
    look_for(camera);
    pump_all(camera, 0);
    hls_news(&server, camera, now_us());
}

static int is_camera(const void *tag)
{
    const struct camera *c = tag;
    return c >= server.camera && c < server.camera + LIMIT_CAMERAS;
}

static int is_listener(const void *tag)
{
    const struct listener *l = tag;
    return l >= server.listener && l < server.listener + LIMIT_LISTENERS;
}

/* Connections first, then new fragments, then new connections: a slot that is freed here is not
 * given out again while events for its old owner are still in the list. */
static int dispatch(const struct epoll_event *ev, int n)
{
    int stop = 0, source = 0, answers = 0;
    for (int i = 0; i < n; i++) {
        void *tag = ev[i].data.ptr;
        if (tag == &source_tag)
            source = 1;
        else if (tag == &signal_tag)
            stop |= take_signals();
        else if (!is_camera(tag) && !is_listener(tag) && tag != &auth_tag)
            conn_event(&server, tag, ev[i].events);
        answers |= tag == &auth_tag || tag == &signal_tag; /* the helper may have died */
    }
    if (answers)
        request_take_answers(&server, say_wrong);
    if (source)
        stop |= take_source();
    for (int i = 0; i < n; i++)
        if (is_camera(ev[i].data.ptr))
            take_camera(ev[i].data.ptr);
    for (int i = 0; i < n; i++)
        if (is_listener(ev[i].data.ptr))
            conn_accept(&server, ev[i].data.ptr);
    return stop;
}

/* A listener that cannot be accepted from stays readable: it must not be looked at for a while. */
static void listen_for(uint32_t events)
{
    for (unsigned i = 0; i < server.listeners; i++) {
        struct epoll_event ev = {.events = events, .data.ptr = &server.listener[i]};
        if (epoll_ctl(server.epoll, EPOLL_CTL_MOD, server.listener[i].fd, &ev) < 0)
            fail(EXIT_AGAIN, "epoll_ctl", strerror(errno));
    }
}

/* A ring's writer is often started together with this, so a moment is given to it. */
static void say_missing(struct camera *c)
{
    if (c->there || c->told || now_us() - server.started < MISSING_US)
        return;
    fprintf(stderr, "fanout: %s: no such ring yet: waiting for it\n", c->name);
    c->told = 1;
}

/* Whoever read the log has gone, or its disk is full: the video goes on. */
static void say_trouble(void)
{
    int why = access_trouble(&access_log);
    if (why)
        fprintf(stderr, "fanout: standard output: access log: %s\n", strerror(why));
}

static void sweep_all(void)
{
    conn_sweep(&server);
    if (server.auth)
        auth_tick(&auth, now_us());
    request_take_answers(&server, say_wrong);
    if (!server.camera[0].name[0]) {
        if (!camera_fresh(&server.camera[0], now_us()))
            cut_end(&feed.cut);
        say_small();
    }
    for (unsigned i = 0; i < server.cameras; i++) {
        if (server.camera[i].name[0]) {
            look_for(&server.camera[i]);
            say_missing(&server.camera[i]);
        }
        hls_news(&server, &server.camera[i], now_us());
        hls_sweep(&server.hls[i], &server.camera[i], now_us());
    }
    if (server.access)
        say_trouble();
    if (server.deaf)
        listen_for(EPOLLIN);
    server.deaf = 0;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int wait_ms(int64_t due, int64_t sweep)
{
    int64_t until = due < sweep ? due : sweep, now = now_us();
    return until <= now ? 0 : (int)((until - now + 999) / 1000);
}

int main(int argc, char **argv)
{
    struct epoll_event ev[EVENTS];
    struct options options;
    int n;
    /* Whatever of the standard three is closed must not become a socket's number. */
    while ((n = open("/dev/null", O_RDWR)) >= 0 && n <= STDERR_FILENO)
        ;
    close(n);
    options_read(&server, &options, argc, argv);
    ringfile_guard("fanout");
    set_up(&options, argv + optind);
    int64_t sweep = now_us() + SWEEP_MS * 1000;
    for (;;) {
        int64_t due = pump_all(NULL, 1);
        due = earlier(due, hls_tick(&server, now_us()));
        n = epoll_wait(server.epoll, ev, EVENTS, wait_ms(due, sweep));
        if (n < 0 && errno != EINTR)
            fail(EXIT_AGAIN, "epoll_wait", strerror(errno));
        if (n > 0 && dispatch(ev, n)) {
            access_stop(&server);
            return EXIT_CLEAN;
        }
        if (server.deaf)
            listen_for(0);
        if (now_us() >= sweep) {
            sweep_all();
            sweep = now_us() + SWEEP_MS * 1000;
        }
    }
}
