#include "serve/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/exit.h"
#include "capture/number.h"
#include "serve/listen.h"
#include "serve/ready.h"

#define USAGE                                                                                      \
    "usage: fanout [-l [addr:]port] ... [-P [addr:]port] ... [-r port] [-w wwwdir] ...\n"          \
    "              [-u users] [-a connections] [-m viewers] [-d fd] [-L] [NAME ...]\n"             \
    "       fanout -h | -V\n"
#define DEFAULT_LISTEN "8000"

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "fanout: %s: %s\n", what, why);
    exit(status);
}

/* -l and -P: text is an address and a port. */
static void add_listener(struct server *s, const char *option, const char *text, int proxied)
{
    struct addrinfo *list = listen_parse(text, proxied);
    unsigned before = s->listeners;
    int why = 0;
    if (!list)
        fail(EXIT_USAGE, option, "not [addr:]port with a numeric address");
    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
        if (s->listeners == LIMIT_LISTENERS)
            fail(EXIT_USAGE, option, "too many addresses");
        int fd = listen_open(ai);
        if (fd >= 0)
            s->listener[s->listeners++] = (struct listener){fd, proxied};
        else if (errno != EAFNOSUPPORT)
            why = errno;
    }
    freeaddrinfo(list);
    if (why || s->listeners == before)
        fail(EXIT_AGAIN, text, strerror(why ? why : EAFNOSUPPORT));
}

/* Types come from beside the last of them, which is the installed one. */
static void add_www(struct server *s, const char *dir)
{
    static char www[LIMIT_WWW][PATH_MAX], conf[PATH_MAX + 16];
    struct stat st;
    if (s->wwws == LIMIT_WWW)
        fail(EXIT_USAGE, "-w", "too many directories");
    char *path = www[s->wwws];
    errno = ENOTDIR;
    if (!realpath(dir, path) || stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        fail(EXIT_USAGE, dir, strerror(errno));
    s->www[s->wwws++] = path;
    snprintf(conf, sizeof conf, "%s/../httpd.conf", path);
    s->httpd_conf = stat(conf, &st) == 0 && S_ISREG(st.st_mode) ? conf : NULL;
}

/* The page that was installed with this program, wherever that is: PREFIX/bin/fanout has it in
 * PREFIX/share. */
static void set_installed_www(struct server *s)
{
    char path[PATH_MAX + 64];
    struct stat st;
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    if (n <= 0)
        return;
    path[n] = 0;
    char *slash = strrchr(path, '/');
    snprintf(slash, sizeof path - (size_t)(slash - path), "/../share/fmp4streamer/www");
    if (stat(path, &st) == 0)
        add_www(s, path);
}

static void read_options(struct server *s, struct options *o, int argc, char **argv)
{
    uint64_t n;
    int c;
    char option[] = "-?";
    opterr = 0;
    while ((c = getopt(argc, argv, "+:l:P:r:w:u:a:m:d:LhV")) != -1) {
        switch (c) {
        case 'l':
            add_listener(s, "-l", optarg, 0);
            break;
        case 'P':
            add_listener(s, "-P", optarg, 1);
            break;
        case 'w':
            add_www(s, optarg);
            break;
        case 'u':
            o->users = optarg;
            break;
        case 'a':
            if (number_parse(optarg, 1, LIMIT_CONNECTIONS, &n) < 0)
                fail(EXIT_USAGE, "-a", "not a number of connections, 1 to 4096");
            s->per_address = (unsigned)n;
            break;
        case 'm':
            if (number_parse(optarg, 1, LIMIT_VIEWERS, &n) < 0)
                fail(EXIT_USAGE, "-m", "not a number of viewers, 1 to 2048");
            s->max_viewers = (unsigned)n;
            break;
        case 'r':
            if (number_parse(optarg, 1, 65535, &n) < 0)
                fail(EXIT_USAGE, "-r", "not a port, 1 to 65535");
            s->redirect = (unsigned)n;
            break;
        case 'd':
            if (ready_parse(optarg, &o->ready) < 0)
                fail(EXIT_USAGE, "-d", "not an open descriptor above 2");
            break;
        case 'L':
            o->log = 1;
            break;
        case 'h':
            fputs(USAGE, stdout);
            exit(0);
        case 'V':
            puts("fanout " VERSION);
            exit(0);
        default:
            option[1] = (char)optopt;
            fail(EXIT_USAGE, option, c == ':' ? "needs a value" : "unknown (-h shows the usage)");
        }
    }
}

static void check_names(int argc, char **argv)
{
    if (argc - optind > LIMIT_CAMERAS)
        fail(EXIT_USAGE, argv[optind], "too many rings, at most 16");
    for (int i = optind; i < argc; i++) {
        if (!ringfile_name_ok(argv[i]))
            fail(EXIT_USAGE, argv[i], "not a ring's name: 1 to 32 letters, digits, _ or -");
        for (int k = optind; k < i; k++)
            if (strcmp(argv[i], argv[k]) == 0)
                fail(EXIT_USAGE, argv[i], "named twice");
    }
}

void options_read(struct server *s, struct options *o, int argc, char **argv)
{
    *o = (struct options){.ready = -1};
    read_options(s, o, argc, argv);
    check_names(argc, argv);
    if (!s->listeners)
        add_listener(s, "-l", DEFAULT_LISTEN, 0);
    listen_done();
    if (!s->max_viewers)
        s->max_viewers = LIMIT_VIEWERS;
    if (!s->wwws)
        set_installed_www(s);
}
