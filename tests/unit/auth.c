/* What fanout is told about a request, with a helper that does what its users' names say: this
 * program itself. The real one is tests/tool/checkpassword.t's. */
#include "serve/auth.h"
#include "tests/tap.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000, S = 1000000, TEXT = 512 };

static struct auth a;
static int64_t now; /* a clock that the tests turn */
static char file[] = "/tmp/auth.XXXXXX", program[PATH_MAX];

/* --- The helper --- */

static int is_user(const struct authwire_request *r, const char *name)
{
    return r->user_length == strlen(name) && !memcmp(r->user, name, r->user_length);
}

static int helper(const char *path)
{
    struct authwire_request r;
    struct authwire_answer answer;
    while (recv(STDIN_FILENO, &r, sizeof r, 0) == sizeof r) {
        memset(&answer, 0, sizeof answer);
        answer.id = r.id;
        answer.allowed = r.password_length >= 5 && !memcmp(r.password, "right", 5);
        answer.file = authwire_look(path);
        if (is_user(&r, "hang"))
            pause();
        if (is_user(&r, "die"))
            return 1;
        if (is_user(&r, "short"))
            send(STDIN_FILENO, &answer, 3, 0);
        if (is_user(&r, "other"))
            answer.id++;
        if (is_user(&r, "past"))
            answer.file.changed--;
        send(STDIN_FILENO, &answer, sizeof answer, 0);
    }
    return 0;
}

/* --- What the tests do --- */

static struct in6_addr address(unsigned i)
{
    struct in6_addr addr;
    memset(&addr, 0, sizeof addr);
    addr.s6_addr[10] = addr.s6_addr[11] = 0xff;
    addr.s6_addr[14] = (uint8_t)(i >> 8);
    addr.s6_addr[15] = (uint8_t)i;
    return addr;
}

static size_t encode(const char *text, char *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t length = strlen(text), n = 0;
    for (size_t i = 0; i < length; i += 3) {
        unsigned b = (unsigned char)text[i + 1], c = b ? (unsigned char)text[i + 2] : 0;
        unsigned bits = (unsigned)(unsigned char)text[i] << 16 | b << 8 | c;
        out[n++] = digits[bits >> 18];
        out[n++] = digits[bits >> 12 & 63];
        out[n++] = i + 1 < length ? digits[bits >> 6 & 63] : '=';
        out[n++] = i + 2 < length ? digits[bits & 63] : '=';
    }
    return n;
}

/* "user:password" from the i-th address. */
static enum auth_verdict ask(const char *who, unsigned i, uint64_t token)
{
    char value[TEXT] = "Basic ";
    struct in6_addr addr = address(i);
    size_t n = 6 + encode(who, value + 6);
    return auth_ask(&a, (struct http_span){value, n}, &addr, now, token);
}

/* The next answer within the real time that a machine with much else to do may need. */
static int next(uint64_t token, enum auth_verdict verdict)
{
    struct auth_answer answer;
    struct pollfd p = {.fd = auth_fd(&a), .events = POLLIN};
    while (!auth_next(&a, now, &answer))
        if (poll(&p, 1, PATIENCE_MS) <= 0)
            return 0;
    if (answer.token == token && answer.verdict == verdict)
        return 1;
    printf("# got token %u, verdict %d\n", (unsigned)answer.token, (int)answer.verdict);
    return 0;
}

static int nothing(void)
{
    struct auth_answer answer;
    return !auth_next(&a, now, &answer);
}

/* Waits for the helper that there is now to end, as fanout does at SIGCHLD. */
static int reap(void)
{
    pid_t pid = a.pid;
    return waitpid(pid, NULL, 0) == pid && auth_reaped(&a, pid, now);
}

/* Hears that the helper has hung up, and waits for it. */
static int hung_up(void)
{
    struct pollfd p = {.fd = auth_fd(&a), .events = POLLIN};
    return poll(&p, 1, PATIENCE_MS) > 0 && nothing() && reap();
}

static int open_files(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

static void set_up(void)
{
    now += 1000 * S;
    if (auth_open(&a, file, program, now) < 0)
        ok(0, "auth_open: %s", strerror(errno));
}

static void tear_down(void)
{
    pid_t pid = a.pid;
    auth_close(&a);
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

/* --- The tests --- */

static void answers(void)
{
    struct http_span none = {NULL, 0}, digest = {"Digest YTpi", 11};
    struct in6_addr addr = address(1);
    set_up();
    ok(auth_ask(&a, none, &addr, now, 1) == AUTH_DENIED &&
           auth_ask(&a, digest, &addr, now, 1) == AUTH_DENIED && nothing(),
       "no credentials are denied at once");
    ok(ask("joe:right", 1, 7) == AUTH_WAIT && next(7, AUTH_ALLOWED) && nothing(), "a right one");
    ok(ask("joe:right", 2, 8) == AUTH_ALLOWED && nothing() && a.count.checked == 1,
       "is known from then on, from anywhere");
    ok(ask("joe:wrong", 1, 9) == AUTH_WAIT && next(9, AUTH_DENIED), "a wrong one");
    ok(ask("joer:ight", 1, 10) == AUTH_WAIT && next(10, AUTH_DENIED),
       "name and password are not one text");
    ok(ask("joe:", 1, 11) == AUTH_WAIT && next(11, AUTH_DENIED), "an empty one");
    now += AUTHCACHE_US;
    ok(ask("joe:right", 1, 12) == AUTH_WAIT && next(12, AUTH_ALLOWED),
       "after a while it is checked");
    ok(a.count.starts == 1 && a.count.wrong == 3 && a.count.known == 1, "counted");
    ok(ask("joe:right-Tr0ub4dor", 1, 13) == AUTH_WAIT && next(13, AUTH_ALLOWED) &&
           !memmem(&a, sizeof a, "Tr0ub", 5),
       "no password stays");
    tear_down();
}

static void at_once(void)
{
    set_up();
    ok(ask("joe:right", 1, 1) == AUTH_WAIT && ask("joe:right", 2, 2) == AUTH_WAIT &&
           ask("ann:right", 1, 3) == AUTH_WAIT && ask("joe:right", 1, 4) == AUTH_WAIT,
       "the same one asked about several times");
    ok(next(1, AUTH_ALLOWED) && next(2, AUTH_ALLOWED) && next(4, AUTH_ALLOWED) &&
           next(3, AUTH_ALLOWED) && a.count.checked == 2,
       "is checked once, and each is told");
    for (int i = 0; i < 9; i++)
        ok(ask("joe:no", 1, 1) == AUTH_WAIT && ask("joe:no", 1, 2) == AUTH_WAIT &&
               next(1, AUTH_DENIED) && next(2, AUTH_DENIED),
           "wrong twice at once is wrong once");
    ok(ask("joe:no", 1, 1) == AUTH_WAIT && ask("joe:no", 3, 2) == AUTH_WAIT &&
           next(1, AUTH_DENIED) && next(2, AUTH_DENIED),
       "the tenth time");
    ok(ask("joe:no", 1, 1) == AUTH_BLOCKED && ask("joe:right", 1, 1) == AUTH_BLOCKED,
       "then that address must wait, whatever it has");
    ok(ask("joe:right", 2, 1) == AUTH_ALLOWED && a.failures.count == 2 &&
           ask("joe:no", 3, 1) == AUTH_WAIT && next(1, AUTH_DENIED),
       "another one need not");
    now += FAILURES_EACH_US;
    ok(ask("joe:right", 1, 1) == AUTH_ALLOWED, "until some time has passed");
    tear_down();
}

static void full(void)
{
    char who[32];
    int all = 1;
    set_up();
    all &= ask("hang:x", 0, 0) == AUTH_WAIT;
    for (unsigned i = 1; i < AUTH_JOBS_EACH; i++) {
        snprintf(who, sizeof who, "a%u:right", i);
        all &= ask(who, 0, i) == AUTH_WAIT;
    }
    ok(all && ask("b:right", 0, 99) == AUTH_BUSY, "one address has its share");
    for (unsigned i = AUTH_JOBS_EACH; i < AUTH_JOBS; i++) {
        snprintf(who, sizeof who, "a%u:right", i);
        all &= ask(who, i, i) == AUTH_WAIT;
    }
    ok(all && ask("b:right", 100, 99) == AUTH_BUSY, "all have the whole queue");
    all = 1;
    for (unsigned i = AUTH_JOBS; i < AUTH_WAITERS; i++)
        all &= ask("a1:right", 100, i) == AUTH_WAIT;
    ok(all && ask("a1:right", 100, 99) == AUTH_BUSY, "who asks the same can wait, to a limit");
    kill(a.pid, SIGKILL);
    now += AUTH_RESTART_US;
    ok(hung_up() && nothing(), "the helper dies, and another has the same request");
    kill(a.pid, SIGKILL);
    now += AUTH_RESTART_US;
    struct pollfd p = {.fd = auth_fd(&a), .events = POLLIN};
    ok(poll(&p, 1, PATIENCE_MS) > 0 && next(0, AUTH_BUSY) && reap(),
       "and again: that one is given up");
    all = next(1, AUTH_ALLOWED);
    for (unsigned i = AUTH_JOBS; i < AUTH_WAITERS; i++)
        all &= next(i, AUTH_ALLOWED);
    for (unsigned i = 2; i < AUTH_JOBS; i++)
        all &= next(i, AUTH_ALLOWED);
    ok(all && nothing() && a.jobs == 0 && a.count.busy == 4, "all others have their answers");
    all = 1;
    for (unsigned i = 0; i < AUTH_WAITERS; i++)
        all &= ask("c:right", i % 9, i) == AUTH_WAIT;
    for (unsigned i = 0; i < AUTH_WAITERS; i++)
        all &= next(i, AUTH_ALLOWED);
    ok(all, "and the places are free again");
    tear_down();
}

static void stuck(void)
{
    set_up();
    ok(ask("hang:x", 1, 1) == AUTH_WAIT && ask("joe:right", 2, 2) == AUTH_WAIT, "a request hangs");
    now += AUTH_STUCK_US / 2;
    ok(ask("ann:right", 2, 3) == AUTH_WAIT && auth_tick(&a, now) == 0 && nothing(), "for a while");
    now += AUTH_STUCK_US / 2 + 1;
    ok(auth_tick(&a, now) == 0 && next(2, AUTH_BUSY) && next(1, AUTH_BUSY) && nothing(),
       "those who waited too long are told so");
    ok(reap() && next(3, AUTH_ALLOWED), "and the others have another helper");
    tear_down();
}

/* Users that end the helper, by its death or by what it says. */
static void deaths(const char *who)
{
    set_up();
    int fd = auth_fd(&a);
    ok(ask(who, 1, 1) == AUTH_WAIT && ask("joe:right", 1, 2) == AUTH_WAIT, "%s", who);
    ok(hung_up() && a.socket < 0 && auth_tick(&a, now) == 0 && a.count.starts == 1,
       "it is not started again at once");
    now += AUTH_RESTART_US;
    ok(auth_tick(&a, now) == 0 && a.count.starts == 2, "but after a second");
    now += AUTH_RESTART_US;
    struct pollfd p = {.fd = auth_fd(&a), .events = POLLIN};
    ok(poll(&p, 1, PATIENCE_MS) > 0 && next(1, AUTH_BUSY), "which ends the next one: given up");
    ok(reap() && a.count.starts == 3 && next(2, AUTH_ALLOWED), "the next request has its answer");
    kill(a.pid, SIGKILL);
    now += AUTH_RESTART_US;
    ok(reap() && a.count.starts == 4 && ask("ann:right", 1, 3) == AUTH_WAIT &&
           next(3, AUTH_ALLOWED) && auth_fd(&a) == fd,
       "one that is killed at rest, and is seen to be dead first");
    ok(auth_reaped(&a, 1, now) == 0 && auth_reaped(&a, getpid(), now) == 0, "others are not it");
    tear_down();
}

static void write_file(const char *text)
{
    int fd = open(file, O_WRONLY | O_TRUNC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        ok(0, "%s: %s", file, strerror(errno));
    close(fd);
}

static void changes(void)
{
    write_file("one");
    set_up();
    ok(ask("joe:right", 1, 1) == AUTH_WAIT && next(1, AUTH_ALLOWED) && auth_tick(&a, now) == 0 &&
           ask("joe:right", 1, 1) == AUTH_ALLOWED,
       "a file that stays");
    write_file("three");
    ok(auth_tick(&a, now) == 1 && auth_tick(&a, now) == 0, "one that changes is noticed once");
    ok(ask("joe:right", 1, 2) == AUTH_WAIT && next(2, AUTH_ALLOWED), "and nobody is known");
    write_file("one");
    ok(ask("ann:right", 1, 3) == AUTH_WAIT && next(3, AUTH_ALLOWED) &&
           ask("joe:right", 1, 2) == AUTH_WAIT && next(2, AUTH_ALLOWED) && auth_tick(&a, now) == 1,
       "also when an answer is the first to say so");
    ok(ask("past:right", 1, 4) == AUTH_WAIT && next(4, AUTH_ALLOWED) &&
           ask("past:right", 1, 5) == AUTH_WAIT && next(5, AUTH_ALLOWED),
       "an answer from before the change is not remembered");
    unlink(file);
    ok(auth_tick(&a, now) == 1 && ask("joe:right", 1, 2) == AUTH_WAIT && next(2, AUTH_ALLOWED),
       "a file that is gone has changed");
    tear_down();
}

static void opening(int before)
{
    ok(auth_open(&a, file, "/nonexistent/helper", now) == -1 && errno == ENOENT &&
           auth_fd(&a) == -1,
       "a helper that is not there");
    static char longer[PATH_MAX + 1];
    memset(longer, 'x', PATH_MAX);
    ok(auth_open(&a, longer, program, now) == -1 && errno == ENAMETOOLONG, "a path too long");
    ok(open_files() == before, "nothing is left open");
}

/* An emulator of another processor may not take what it emulates for a program. */
static int is_executable(void)
{
    char *argv[] = {program, "1", "2", NULL};
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        execv(program, argv);
        _exit(1);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return argc == 2 ? helper(argv[1]) : 0;
    signal(SIGPIPE, SIG_IGN);
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n <= 0 || !is_executable()) {
        ok(1, "# SKIP this machine does not execute this program");
        return done();
    }
    int fd = mkstemp(file);
    close(fd);
    int before = open_files();
    answers();
    at_once();
    full();
    stuck();
    deaths("die:x");
    deaths("short:x");
    deaths("other:x");
    changes();
    opening(before);
    return done();
}
