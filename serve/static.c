/* Files are busybox httpd's: the connection, its request unread, becomes standard input and output
 * of a process that serves one request and goes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve/server.h"

/* The child begins as if from a shell: no signal blocked or ignored, nothing of our environment,
 * no descriptor but the connection (twice) and standard error: all of ours are close-on-exec. */
/* in: where the request is; out: where the answer goes. Returns its process number, or -1. */
static pid_t spawn_httpd(const struct server *s, const char *www, int in, int out)
{
    char *argv[] = {"busybox", "httpd", "-i", "-h", (char *)(uintptr_t)www, NULL, NULL, NULL};
    char *env[] = {"PATH=/usr/bin:/bin", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, all;
    pid_t pid;
    if (s->httpd_conf) {
        argv[5] = "-c";
        argv[6] = (char *)(uintptr_t)s->httpd_conf;
    }
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &all);
    int e = posix_spawnp(&pid, "busybox", &actions, &attr, argv, env);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attr);
    return e ? -1 : pid;
}

static int has(const char *www, const char *path)
{
    char name[PATH_MAX + HTTP_PATH_MAX + sizeof "/index.html"];
    struct stat st;
    snprintf(name, sizeof name, "%s%s", www, path);
    if (stat(name, &st) < 0)
        return 0;
    if (!S_ISDIR(st.st_mode))
        return 1;
    snprintf(name, sizeof name, "%s%s/index.html", www, path);
    return stat(name, &st) == 0;
}

/* The first directory that has the file, or the page of a directory; the last for what none has. */
static const char *choose(const struct server *s, const char *path)
{
    unsigned i = 0;
    while (i + 1 < s->wwws && !has(s->www[i], path))
        i++;
    return s->www[i];
}

/* A connection that has been handed over counts nowhere else. */
static unsigned children_of(const struct server *s, const struct in6_addr *addr)
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->children && !conn_is_loopback(addr); i++)
        n += memcmp(&s->child[i].addr, addr, sizeof *addr) == 0;
    return n;
}

/* Who has some leaves room for the next: a few clients that take nothing would have all otherwise.
 */
static int is_full(const struct server *s, const struct in6_addr *addr)
{
    unsigned left = LIMIT_CHILDREN - s->children, have = children_of(s, addr);
    return !left || have >= LIMIT_CHILDREN_EACH || (have && have >= left / LIMIT_CHILDREN_PART);
}

/* busybox httpd knows paths, not URLs: the head with the path alone, and the URL's host as its Host
 * (RFC 9112 3.2.2), in a pipe. It cannot ask the pipe whose request it is, as it cannot behind a
 * front end. The head is taken out of the socket. Returns what to read from, or -1. */
static int by_path(struct conn *c, const struct http_request *req, size_t len)
{
    const char *end = req->name.p + len, *host = req->host.p ? req->host.p : end;
    const char *after = host + req->host.len, *origin = req->origin.p;
    const char *slash = req->origin.len && *origin == '/' ? "" : "/";
    struct iovec part[] = {
        {(char *)(uintptr_t)req->name.p, req->name.len},
        {" ", 1},
        {(char *)(uintptr_t)slash, strlen(slash)},
        {(char *)(uintptr_t)origin, (size_t)(host - origin)},
        {(char *)(uintptr_t)req->authority.p, req->host.p ? req->authority.len : 0},
        {(char *)(uintptr_t)after, (size_t)(end - after)},
    };
    const int parts = sizeof part / sizeof part[0];
    size_t want = 0;
    int fd[2];
    for (int i = 0; i < parts; i++)
        want += part[i].iov_len;
    if (conn_consume(c, len) < 0 || pipe2(fd, O_CLOEXEC) < 0)
        return -1;
    fcntl(fd[1], F_SETFL, O_NONBLOCK);
    ssize_t n = writev(fd[1], part, parts);
    close(fd[1]);
    if (n == (ssize_t)want)
        return fd[0];
    close(fd[0]);
    return -1;
}

/* Starts the child. Returns its process number, or -1. */
static pid_t start(const struct server *s, struct conn *c, const struct http_request *req,
                   size_t len)
{
    int in = req->authority.p ? by_path(c, req, len) : c->fd;
    pid_t pid = in < 0 ? -1 : spawn_httpd(s, choose(s, req->path), in, c->fd);
    if (in >= 0 && in != c->fd)
        close(in);
    return pid;
}

void static_serve(struct server *s, struct conn *c, const struct http_request *req, size_t len)
{
    const int stuck = LIMIT_CHILD_STUCK_MS;
    struct http_request last = *req;
    last.keep_alive = 0;
    if (is_full(s, &c->addr)) {
        s->count.refused++;
        conn_answer(s, c, &last, "503 Service Unavailable", "too many files being served");
        return;
    }
    /* The child blocks in write(); the kernel gives up on a client that takes nothing. */
    setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stuck, sizeof stuck);
    fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) & ~O_NONBLOCK);
    pid_t pid = start(s, c, req, len);
    if (pid < 0) {
        fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
        conn_answer(s, c, &last, "500 Internal Server Error", "cannot run busybox httpd");
        return;
    }
    s->child[s->children++] = (struct child){pid, c->addr};
    access_handed(s, c);
    conn_close(s, c);
}

/* One that we were started with is in no list. */
static void forget(struct server *s, pid_t pid)
{
    for (unsigned i = 0; i < s->children; i++)
        if (s->child[i].pid == pid) {
            s->child[i] = s->child[--s->children];
            return;
        }
}

void static_reap(struct server *s)
{
    for (pid_t pid; (pid = waitpid(-1, NULL, WNOHANG)) > 0;)
        if (!s->auth || !auth_reaped(s->auth, pid, now_us()))
            forget(s, pid);
}
