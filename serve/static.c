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
#include <sys/wait.h>
#include <unistd.h>

#include "serve/server.h"

/* The child begins as if from a shell: no signal blocked or ignored, nothing of our environment,
 * no descriptor but the connection (twice) and standard error: all of ours are close-on-exec. */
/* Returns its process number, or -1. */
static pid_t spawn_httpd(const struct server *s, const char *www, int fd)
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
    posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
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

void static_serve(struct server *s, struct conn *c, const struct http_request *req)
{
    const int stuck = LIMIT_CHILD_STUCK_MS;
    struct http_request last = *req;
    last.keep_alive = 0;
    if (s->children == LIMIT_CHILDREN || children_of(s, &c->addr) >= LIMIT_CHILDREN_EACH) {
        s->count.refused++;
        conn_answer(s, c, &last, "503 Service Unavailable", "too many files being served");
        return;
    }
    /* The child blocks in write(); the kernel gives up on a client that takes nothing. */
    setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stuck, sizeof stuck);
    fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) & ~O_NONBLOCK);
    pid_t pid = spawn_httpd(s, choose(s, req->path), c->fd);
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
