#include "serve/auth.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TRIES = 2 }; /* a request that ends the helper twice is what ends it */

static void give(struct auth *a, int64_t now);

/* --- Jobs and those who wait for them --- */

/* Two lengths first, so that no two pairs give the same bytes. */
static uint64_t hash_of(const struct auth *a, const struct basic *who)
{
    uint8_t bytes[2 + BASIC_USER_MAX + BASIC_PASSWORD_MAX];
    bytes[0] = (uint8_t)who->user_length;
    bytes[1] = (uint8_t)who->password_length;
    memcpy(bytes + 2, who->user, who->user_length);
    memcpy(bytes + 2 + who->user_length, who->password, who->password_length);
    uint64_t hash = siphash(&a->key, bytes, 2 + who->user_length + who->password_length);
    explicit_bzero(bytes, sizeof bytes);
    return hash;
}

/* Whoever asked first is counted, and others from elsewhere: a page asks for several things at
 * once, which is one failure. */
static void count_wrong(struct auth *a, const struct auth_job *job, int64_t now)
{
    a->count.wrong++;
    failures_add(&a->failures, &job->addr, now);
    for (int i = job->first; i >= 0; i = a->waiter[i].next)
        if (!failures_same(&a->waiter[i].addr, &job->addr))
            failures_add(&a->failures, &a->waiter[i].addr, now);
}

/* Takes the job at that place out of the queue; all who wait for it have their verdict. */
static void finish(struct auth *a, unsigned place, enum auth_verdict verdict)
{
    uint8_t index = a->order[place];
    struct auth_job *job = &a->job[index];
    for (int i = job->first; i >= 0; i = a->waiter[i].next) {
        a->waiter[i].verdict = verdict;
        a->count.busy += verdict == AUTH_BUSY;
    }
    a->waiter[job->last].next = a->told;
    a->told = job->first;
    explicit_bzero(job, sizeof *job);
    memmove(a->order + place, a->order + place + 1, a->jobs - place - 1);
    a->order[--a->jobs] = index;
}

static struct auth_job *find_job(struct auth *a, uint64_t hash)
{
    for (unsigned i = 0; i < a->jobs; i++)
        if (a->job[a->order[i]].hash == hash)
            return &a->job[a->order[i]];
    return NULL;
}

static struct auth_job *new_job(struct auth *a, const struct in6_addr *addr)
{
    unsigned same = 0;
    for (unsigned i = 0; i < a->jobs; i++)
        same += (unsigned)failures_same(&a->job[a->order[i]].addr, addr);
    if (a->jobs == AUTH_JOBS || same >= AUTH_JOBS_EACH)
        return NULL;
    struct auth_job *job = &a->job[a->order[a->jobs++]];
    job->addr = *addr;
    job->first = job->last = -1;
    return job;
}

static void wait_for(struct auth *a, struct auth_job *job, const struct in6_addr *addr,
                     uint64_t token)
{
    int i = a->free;
    a->free = a->waiter[i].next;
    a->waiter[i] = (struct auth_waiter){.token = token, .addr = *addr, .next = -1};
    if (job->first < 0)
        job->first = i;
    else
        a->waiter[job->last].next = i;
    job->last = i;
}

static enum auth_verdict check(struct auth *a, const struct basic *who, uint64_t hash,
                               const struct in6_addr *addr, int64_t now, uint64_t token)
{
    struct auth_job *job = a->free < 0 ? NULL : find_job(a, hash);
    if (!job && a->free >= 0 && (job = new_job(a, addr))) {
        job->hash = hash;
        job->asked = now;
        job->who = *who;
    }
    if (!job) {
        a->count.busy++;
        return AUTH_BUSY;
    }
    wait_for(a, job, addr, token);
    give(a, now);
    return AUTH_WAIT;
}

enum auth_verdict auth_ask(struct auth *a, struct http_span authorization,
                           const struct in6_addr *addr, int64_t now, uint64_t token)
{
    struct basic who;
    enum auth_verdict verdict;
    if (!authorization.p || basic_parse(authorization.p, authorization.len, &who) < 0)
        return AUTH_DENIED;
    uint64_t hash = hash_of(a, &who);
    /* This first, even for who is known: one who must wait would else try at the speed of the
     * network which passwords are known. */
    if (failures_blocked(&a->failures, addr, now)) {
        a->count.blocked++;
        verdict = AUTH_BLOCKED;
    } else if (authcache_has(&a->cache, hash, now)) {
        a->count.known++;
        verdict = AUTH_ALLOWED;
    } else {
        verdict = check(a, &who, hash, addr, now, token);
    }
    explicit_bzero(&who, sizeof who);
    return verdict;
}

/* --- The helper --- */

static int spawn(struct auth *a, int fd)
{
    char *argv[] = {"checkpassword", a->path, NULL}, *env[] = {"PATH=/usr/bin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    int e = posix_spawn(&a->pid, a->helper, &actions, &attr, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return e;
}

static int start(struct auth *a, int64_t now)
{
    int pair[2];
    a->started = now;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    struct epoll_event ev = {.events = EPOLLIN};
    int e = epoll_ctl(a->epoll, EPOLL_CTL_ADD, pair[0], &ev) < 0 ? errno : spawn(a, pair[1]);
    close(pair[1]);
    if (e) {
        close(pair[0]);
        a->pid = 0;
        errno = e;
        return -1;
    }
    a->socket = pair[0];
    a->count.starts++;
    return 0;
}

/* Not before the old one has been waited for: its number must not get lost. */
static void start_again(struct auth *a, int64_t now)
{
    if (a->socket < 0 && a->pid == 0 && now - a->started >= AUTH_RESTART_US && start(a, now) == 0)
        give(a, now);
}

static void helper_gone(struct auth *a)
{
    if (a->socket >= 0)
        close(a->socket);
    a->socket = -1;
    if (a->pid > 0)
        kill(a->pid, SIGKILL);
    if (a->running && a->job[a->order[0]].tries >= TRIES)
        finish(a, 0, AUTH_BUSY);
    a->running = 0;
}

/* One at a time: what is not given can still be given up, and a helper that dies takes one along.
 */
static void give(struct auth *a, int64_t now)
{
    struct authwire_request request;
    if (a->running || !a->jobs || a->socket < 0)
        return;
    struct auth_job *job = &a->job[a->order[0]];
    memset(&request, 0, sizeof request);
    request.id = ++a->id;
    request.user_length = (uint16_t)job->who.user_length;
    request.password_length = (uint16_t)job->who.password_length;
    memcpy(request.user, job->who.user, job->who.user_length);
    memcpy(request.password, job->who.password, job->who.password_length);
    a->running = 1;
    a->given = now;
    job->tries++;
    ssize_t n = send(a->socket, &request, sizeof request, MSG_DONTWAIT | MSG_NOSIGNAL);
    explicit_bzero(&request, sizeof request);
    if (n != sizeof request)
        helper_gone(a);
}

static void look(struct auth *a)
{
    struct authwire_file file = authwire_look(a->path);
    if (authwire_same(&file, &a->file))
        return;
    a->file = file;
    a->changed = 1;
    authcache_clear(&a->cache);
}

/* A yes is remembered only where it was given by the file that is there now. */
static void take(struct auth *a, const struct authwire_answer *answer, int64_t now)
{
    const struct auth_job *job = &a->job[a->order[0]];
    a->running = 0;
    a->count.checked++;
    if (!authwire_same(&answer->file, &a->file))
        look(a);
    if (!answer->allowed)
        count_wrong(a, job, now);
    else if (authwire_same(&answer->file, &a->file))
        authcache_put(&a->cache, job->hash, now);
    finish(a, 0, answer->allowed ? AUTH_ALLOWED : AUTH_DENIED);
    give(a, now);
}

/* Returns 1 when somebody may have a verdict now. */
static int hear(struct auth *a, int64_t now)
{
    struct authwire_answer answer;
    if (a->socket < 0)
        return 0;
    ssize_t n = recv(a->socket, &answer, sizeof answer, MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n == sizeof answer && a->running && answer.id == a->id) {
        take(a, &answer, now);
    } else {
        helper_gone(a);
        start_again(a, now);
    }
    return 1;
}

int auth_next(struct auth *a, int64_t now, struct auth_answer *answer)
{
    while (a->told < 0)
        if (!hear(a, now))
            return 0;
    int i = a->told;
    *answer = (struct auth_answer){a->waiter[i].token, a->waiter[i].verdict};
    a->told = a->waiter[i].next;
    a->waiter[i].next = a->free;
    a->free = i;
    return 1;
}

int auth_tick(struct auth *a, int64_t now)
{
    look(a);
    if (a->running && now - a->given > AUTH_STUCK_US) {
        a->job[a->order[0]].tries = TRIES;
        helper_gone(a);
    }
    for (unsigned i = a->jobs; i-- > (unsigned)a->running;)
        if (now - a->job[a->order[i]].asked > AUTH_STUCK_US)
            finish(a, i, AUTH_BUSY);
    start_again(a, now);
    int changed = a->changed;
    a->changed = 0;
    return changed;
}

int auth_reaped(struct auth *a, pid_t pid, int64_t now)
{
    if (pid <= 0 || pid != a->pid)
        return 0;
    a->pid = 0;
    helper_gone(a);
    start_again(a, now);
    return 1;
}

/* --- Beginning and end --- */

static int find_helper(char out[PATH_MAX])
{
    static const char *const places[] = {"../libexec/fmp4streamer/checkpassword", "checkpassword"};
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0)
        return -1;
    program[n] = 0;
    char *slash = strrchr(program, '/');
    *(slash ? slash : program) = 0;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int length = snprintf(out, PATH_MAX, "%s/%s", program, places[i]);
        if (length < PATH_MAX && access(out, X_OK) == 0)
            return 0;
    }
    errno = ENOENT;
    return -1;
}

static int set_path(char out[PATH_MAX], const char *path)
{
    if (snprintf(out, PATH_MAX, "%s", path) < PATH_MAX)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

static void set_free(struct auth *a)
{
    for (int i = 0; i < AUTH_JOBS; i++)
        a->order[i] = (uint8_t)i;
    for (int i = 0; i < AUTH_WAITERS; i++)
        a->waiter[i].next = i + 1 < AUTH_WAITERS ? i + 1 : -1;
    a->told = -1;
}

int auth_open(struct auth *a, const char *path, const char *helper, int64_t now)
{
    memset(a, 0, sizeof *a);
    a->epoll = a->socket = -1;
    set_free(a);
    if (set_path(a->path, path) < 0 ||
        (helper ? set_path(a->helper, helper) : find_helper(a->helper)) < 0 ||
        getrandom(&a->key, sizeof a->key, 0) != sizeof a->key)
        return -1;
    a->file = authwire_look(path);
    a->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (a->epoll >= 0 && start(a, now) == 0)
        return 0;
    int e = errno;
    auth_close(a);
    errno = e;
    return -1;
}

int auth_fd(const struct auth *a)
{
    return a->epoll;
}

void auth_close(struct auth *a)
{
    if (a->socket >= 0)
        close(a->socket);
    if (a->epoll >= 0)
        close(a->epoll);
    if (a->pid > 0)
        kill(a->pid, SIGKILL);
    explicit_bzero(a, sizeof *a);
    a->epoll = a->socket = -1;
}
