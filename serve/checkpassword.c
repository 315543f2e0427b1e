/* checkpassword: whether passwords are right, for fanout, and what stands for one in the users
 * file. A process of its own because crypt(3) takes its time, and so that the library that does it,
 * and the hashes, are nowhere near what talks to the network. */
#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/exit.h"
#include "serve/authwire.h"
#include "serve/basic.h"
#include "serve/siphash.h"
#include "serve/users.h"

#define USAGE                                                                                      \
    "usage: checkpassword USERSFILE\n"                                                             \
    "       checkpassword -m NAME\n"                                                               \
    "       checkpassword -h | -V\n"

enum { MISTAKES = 1 }; /* that are spoken of; of the others, how many */

/* The users file: the good version in force, and room for the next one. */
struct version {
    struct users users;
    char text[USERS_BYTES + 1];
};

static struct version versions[2], *in_force;
static struct authwire_file seen; /* what the last attempt to read it found */
static int again;                 /* that failed in a way that may pass without a change */
static int said;                  /* errno of what was said last about seen, or 0 */
static int refused;               /* a hash of in_force by crypt(3), which was said */
static struct siphash_key key;    /* whose hash an unknown user is checked against */
static struct crypt_data scratch;

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "checkpassword: %s: %s\n", what, why);
    exit(status);
}

static const char *consequence(void)
{
    return in_force ? "the users known before stay" : "nobody is let in";
}

/* --- The users file --- */

static ssize_t read_file(int fd, char *text, size_t size)
{
    size_t used = 0;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -1;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    while (used < size) {
        ssize_t n = read(fd, text + used, size - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    return (ssize_t)used;
}

/* A file with a mistake is no file: a name that is cut in half could be somebody else's. */
static void judge(const char *path, struct version *next, size_t length)
{
    struct users_mistake first = {0, ""};
    unsigned count = users_parse(&next->users, next->text, length, &first, MISTAKES);
    char where[32] = "", others[32] = "";
    if (!count) {
        in_force = next;
        refused = 0;
        return;
    }
    if (first.line)
        snprintf(where, sizeof where, "line %u: ", first.line);
    if (count > 1)
        snprintf(others, sizeof others, " (and %u more)", count - 1);
    fprintf(stderr, "checkpassword: %s: %s%s%s; %s\n", path, where, first.why, others,
            consequence());
}

/* Reads the file where it is another than at the last attempt. What it is is asked before it is
 * opened: changed in between, it is read again next time. */
static void refresh(const char *path)
{
    struct version *next = in_force == &versions[0] ? &versions[1] : &versions[0];
    struct authwire_file now = authwire_look(path);
    if (!again && authwire_same(&now, &seen))
        return;
    if (!authwire_same(&now, &seen))
        said = 0;
    seen = now;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ssize_t n = fd < 0 ? -1 : read_file(fd, next->text, sizeof next->text);
    int e = errno;
    if (fd >= 0)
        close(fd);
    again = n < 0;
    if (n >= 0) {
        judge(path, next, (size_t)n);
    } else if (said != e) {
        said = e;
        fprintf(stderr, "checkpassword: %s: %s; %s\n", path,
                e == EINVAL ? "not a regular file" : strerror(e), consequence());
    }
}

/* --- Passwords --- */

/* Takes as long whatever the two have in common; the length of a hash is no secret. */
static int same(const char *a, const char *b, size_t length)
{
    unsigned char differ = 0;
    for (size_t i = 0; i < length; i++)
        differ |= (unsigned char)(a[i] ^ b[i]);
    return differ == 0;
}

/* 1 or 0; -1 when crypt(3) does not take the hash. */
static int matches(const char *password, const char *hash, size_t length)
{
    memset(&scratch, 0, sizeof scratch);
    const char *got = crypt_r(password, hash, &scratch);
    int result = !got || got[0] == '*' ? -1 : strlen(got) == length && same(got, hash, length);
    explicit_bzero(&scratch, sizeof scratch);
    return result;
}

/* An unknown user is checked against somebody's hash, always the same one's, so that the time it
 * takes says nothing about which names there are, even where kinds of hashes are mixed. */
static int is_right(const char *path, const struct authwire_request *request, const char *password)
{
    char hash[USERS_HASH_MAX + 1];
    if (!in_force || !in_force->users.count)
        return 0;
    const struct users *users = &in_force->users;
    const char *text = in_force->text;
    size_t length = request->user_length;
    const struct users_entry *known = users_find(users, text, request->user, length);
    const struct users_entry *e =
        known ? known : &users->entry[siphash(&key, request->user, length) % users->count];
    memcpy(hash, text + e->hash, e->hash_length);
    hash[e->hash_length] = 0;
    int result = matches(password, hash, e->hash_length);
    if (result < 0 && !refused) {
        refused = 1;
        fprintf(stderr, "checkpassword: %s: %.*s: crypt(3) does not take this hash\n", path,
                (int)e->name_length, text + e->name);
    }
    return known && result > 0;
}

static void answer(const char *path, struct authwire_request *request)
{
    char password[BASIC_PASSWORD_MAX + 1];
    struct authwire_answer say;
    if (request->user_length > BASIC_USER_MAX || request->password_length > BASIC_PASSWORD_MAX)
        fail(EXIT_BAD_INPUT, "standard input", "not a request of this version");
    refresh(path);
    memset(&say, 0, sizeof say);
    memcpy(password, request->password, request->password_length);
    password[request->password_length] = 0;
    say.id = request->id;
    say.allowed = basic_password_ok(request->password, request->password_length) &&
                  is_right(path, request, password);
    say.file = seen;
    explicit_bzero(password, sizeof password);
    explicit_bzero(request, sizeof *request);
    if (send(STDIN_FILENO, &say, sizeof say, MSG_NOSIGNAL) != sizeof say)
        exit(errno == EPIPE || errno == ECONNRESET ? EXIT_CLEAN : EXIT_AGAIN);
}

/* --- As fanout's helper --- */

/* No way up, no passwords on disk, and no life without whoever made the socket: the kernel tells
 * nothing of one who died before the call. */
static void settle(void)
{
    const struct rlimit none = {0, 0};
    struct ucred peer;
    socklen_t size = sizeof peer;
    int type = 0;
    socklen_t type_size = sizeof type;
    if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &type_size) < 0 ||
        type != SOCK_SEQPACKET ||
        getsockopt(STDIN_FILENO, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        fail(EXIT_USAGE, "standard input", "not a socket of fanout, which starts this");
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        setrlimit(RLIMIT_CORE, &none) < 0)
        fail(EXIT_AGAIN, "prctl", strerror(errno));
    if (getppid() != peer.pid)
        exit(EXIT_AGAIN);
    if (getrandom(&key, sizeof key, 0) != sizeof key)
        fail(EXIT_AGAIN, "getrandom", strerror(errno));
}

static void serve(const char *path)
{
    struct authwire_request request;
    settle();
    again = 1; /* a file that is not there is all zeros, as seen is now */
    refresh(path);
    for (;;) {
        ssize_t n = recv(STDIN_FILENO, &request, sizeof request, MSG_TRUNC);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != ECONNRESET)
            fail(EXIT_AGAIN, "standard input", strerror(errno));
        if (n <= 0)
            return;
        if (n != sizeof request)
            fail(EXIT_BAD_INPUT, "standard input", "not a request of this version");
        answer(path, &request);
    }
}

/* --- As the maker of a line --- */

/* One line, or all there is. Returns its length; one that does not fit is too long by one. */
static size_t read_line(char *line, size_t size)
{
    size_t used = 0;
    while (used < size) {
        ssize_t n = read(STDIN_FILENO, line + used, size - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            fail(EXIT_AGAIN, "standard input", strerror(errno));
        const char *newline = n > 0 ? memchr(line + used, '\n', (size_t)n) : NULL;
        if (newline)
            return (size_t)(newline - line);
        if (n == 0)
            break;
        used += (size_t)n;
    }
    return used;
}

static void make(const char *name)
{
    char password[BASIC_PASSWORD_MAX + 2], setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (!basic_user_ok(name, strlen(name)))
        fail(EXIT_BAD_INPUT, "name", "1 to 64 bytes, no colon, no # in front, no blank around it");
    size_t length = read_line(password, sizeof password);
    if (length > BASIC_PASSWORD_MAX)
        fail(EXIT_BAD_INPUT, "password", "too long, at most 128 bytes");
    if (!length || !basic_password_ok(password, length))
        fail(EXIT_BAD_INPUT, "password", length ? "control characters in it" : "empty");
    password[length] = 0;
    if (!crypt_gensalt_rn(NULL, 0, NULL, 0, setting, sizeof setting))
        fail(EXIT_AGAIN, "crypt_gensalt", strerror(errno));
    const char *hash = crypt_r(password, setting, &scratch);
    explicit_bzero(password, sizeof password);
    if (!hash || hash[0] == '*')
        fail(EXIT_AGAIN, "crypt", strerror(errno));
    printf("%s:%s\n", name, hash);
    explicit_bzero(&scratch, sizeof scratch);
    if (fflush(stdout) != 0)
        fail(EXIT_AGAIN, "standard output", strerror(errno));
}

int main(int argc, char **argv)
{
    const char *name = NULL;
    char option[] = "-?";
    int c;
    opterr = 0;
    while ((c = getopt(argc, argv, "+:m:hV")) != -1) {
        switch (c) {
        case 'm':
            name = optarg;
            break;
        case 'h':
            fputs(USAGE, stdout);
            return EXIT_CLEAN;
        case 'V':
            puts("checkpassword " VERSION);
            return EXIT_CLEAN;
        default:
            option[1] = (char)optopt;
            fail(EXIT_USAGE, option, c == ':' ? "needs a value" : "unknown (-h shows the usage)");
        }
    }
    if (argc - optind != (name ? 0 : 1))
        fail(EXIT_USAGE, name || argc - optind > 1 ? argv[argc - 1] : "USERSFILE",
             name || argc - optind > 1 ? "one too many" : "missing");
    if (name)
        make(name);
    else
        serve(argv[optind]);
    return EXIT_CLEAN;
}
