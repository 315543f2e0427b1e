#include "scripts/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "capture/exit.h"
#include "scripts/conffile.h"
#include "scripts/places.h"
#include "scripts/secure.h"
#include "serve/listen.h"
#include "serve/ringfile.h"
#include "serve/users.h"

enum {
    MISTAKES_SAID = 16,
    RUN_BYTES = 512 << 10,
    SEGMENT_BYTES = 8 << 20, /* of a recording: six seconds of a good camera's */
};

struct preflight {
    const struct config *config;
    const struct tree *tree;
    const char *file; /* the configuration's, for messages */
    int running; /* an appliance, as the run directory says; what a dead one left says nothing */
    int worst;
};

/* One line; status: what it comes to, EXIT_CLEAN where it is only to be known. */
static void say(struct preflight *p, int status, unsigned line, const char *format, ...)
{
    va_list list;
    fprintf(stderr, "fmp4streamer: %s:", p->file);
    if (line)
        fprintf(stderr, "%u:", line);
    fputc(' ', stderr);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    if (status != EXIT_CLEAN && p->worst != EXIT_USAGE)
        p->worst = status;
}

/* Whether a service of that role could open the file for that (4 reading, 2 writing, 1 passing
 * through a directory). Root could always, but services do not run as root. */
static int may_open(const struct preflight *p, enum role role, const char *path, mode_t how)
{
    const struct roles *roles = p->tree->roles;
    struct stat st;
    if (!roles->known)
        return access(path, (how & 4 ? R_OK : 0) | (how & 2 ? W_OK : 0) | (how & 1 ? X_OK : 0)) ==
               0;
    if (stat(path, &st) < 0)
        return 0;
    if (st.st_uid == roles->of[role].uid)
        return (st.st_mode >> 6 & how) == how;
    for (int i = 0; i < roles->of[role].count; i++)
        if (st.st_gid == roles->of[role].groups[i])
            return (st.st_mode >> 3 & how) == how;
    return (st.st_mode & how) == how;
}

static const char *who(const struct preflight *p, enum role role)
{
    return p->tree->roles->known ? roles_name(role) : "this user";
}

static void look_at_camera(struct preflight *p, const struct config_camera *c)
{
    struct stat st;
    if (c->has_command) {
        if (!places_have(c->command.text))
            say(p, EXIT_USAGE, c->line, "[%s]: command: %s: no such program", c->device,
                c->command.text);
    } else if (stat(c->device, &st) < 0) {
        say(p, EXIT_AGAIN, c->line, "[%s]: %s: it is waited for", c->device, strerror(errno));
    } else if (!S_ISCHR(st.st_mode)) {
        say(p, EXIT_USAGE, c->line, "[%s]: not a device", c->device);
    } else if (!may_open(p, ROLE_CAPTURE, c->device, 6)) {
        say(p, EXIT_USAGE, c->line, "[%s]: %s may not open it: the group video usually may",
            c->device, who(p, ROLE_CAPTURE));
    }
}

/* Reads a file of the run directory, as far as it fits, with a NUL behind it. Returns its length.
 */
static size_t read_run(const struct preflight *p, const char *file, char *text, size_t size)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", p->tree->dir, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

/* Whether the appliance that runs has that port, on whatever address: it gives it up when a changed
 * file takes it elsewhere. */
static int is_held(const struct preflight *p, unsigned port)
{
    static char text[ARGS_BYTES + 1];
    char number[16], accept[32];
    int listens = 0;
    snprintf(number, sizeof number, "%u", port);
    snprintf(accept, sizeof accept, ":%u\nconnect", port);
    size_t n = read_run(p, "service/web/args", text, sizeof text);
    for (const char *word = text; word < text + n; word += strlen(word) + 1) {
        const char *colon = strrchr(word, ':');
        if (listens && strcmp(colon ? colon + 1 : word, number) == 0)
            return 1;
        listens = strcmp(word, "-l") == 0 || strcmp(word, "-P") == 0;
    }
    return read_run(p, "tls/stunnel.conf", text, sizeof text) && strstr(text, accept);
}

static void look_at_port(struct preflight *p, unsigned line, const char *key, const char *host,
                         unsigned port)
{
    char text[LISTEN_HOST_MAX];
    int v6 = strchr(host, ':') != NULL;
    snprintf(text, sizeof text, "%s%s%s%s%u", v6 ? "[" : "", host, v6 ? "]" : "", *host ? ":" : "",
             port);
    if (p->running && is_held(p, port))
        return;
    struct addrinfo *list = listen_parse(text, 0);
    for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) {
        int fd = listen_open(ai);
        if (fd >= 0) {
            close(fd);
        } else if (errno != EAFNOSUPPORT) {
            if (errno == EADDRNOTAVAIL)
                say(p, EXIT_AGAIN, p->config->listen_line, "listen = %s: %s", host,
                    strerror(errno));
            else
                say(p, EXIT_AGAIN, line, "%s = %u: %s", key, port, strerror(errno));
            break;
        }
    }
    if (list)
        freeaddrinfo(list);
}

static void look_at_ports(struct preflight *p)
{
    const struct config *c = p->config;
    look_at_port(p, c->port_line, "port", c->listen, c->port);
    if (c->https_port)
        look_at_port(p, c->https_line, "https_port", c->listen, c->https_port);
    if (c->proxy_port)
        look_at_port(p, 0, "proxy_port", "127.0.0.1", c->proxy_port);
}

static void look_at_users(struct preflight *p)
{
    static char text[USERS_BYTES + 1];
    static struct users users;
    struct users_mistake mistakes[MISTAKES_SAID];
    const struct config_path *file = &p->config->users;
    struct stat st;
    int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    int regular = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    ssize_t n = regular ? read(fd, text, sizeof text) : -1;
    if (fd >= 0 && !regular)
        say(p, EXIT_USAGE, file->line, "users = %s: not a regular file", file->path);
    else if (n < 0)
        say(p, EXIT_USAGE, file->line, "users = %s: %s", file->path, strerror(errno));
    else if (!may_open(p, ROLE_WEB, file->path, 4))
        say(p, EXIT_USAGE, file->line, "users = %s: %s may not read it", file->path,
            who(p, ROLE_WEB));
    unsigned count = n < 0 ? 0 : users_parse(&users, text, (size_t)n, mistakes, MISTAKES_SAID);
    for (unsigned i = 0; i < count && i < MISTAKES_SAID; i++)
        say(p, EXIT_USAGE, file->line, "users = %s: line %u: %s", file->path, mistakes[i].line,
            mistakes[i].why);
    if (n >= 0 && !count && !users.count)
        say(p, EXIT_USAGE, file->line, "users = %s: nobody is in it", file->path);
    if (fd >= 0)
        close(fd);
}

static void look_at_www(struct preflight *p)
{
    const struct config_path *www = &p->config->www;
    struct stat st;
    if (stat(www->path, &st) < 0)
        say(p, EXIT_USAGE, www->line, "www = %s: %s", www->path, strerror(errno));
    else if (!S_ISDIR(st.st_mode) || !may_open(p, ROLE_WEB, www->path, 4))
        say(p, EXIT_USAGE, www->line, "www = %s: not a directory that %s may read", www->path,
            who(p, ROLE_WEB));
}

/* Whether that role gets to path, as far as that is there. */
static int passes(struct preflight *p, enum role role, char *path)
{
    const struct config_path *dir = &p->config->record.dir;
    struct stat st;
    for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        int shut = stat(path, &st) == 0 && S_ISDIR(st.st_mode) && !may_open(p, role, path, 1);
        if (shut)
            say(p, EXIT_USAGE, dir->line, "dir = %s: %s may not pass %s", dir->path, who(p, role),
                path);
        *slash = '/';
        if (shut)
            return 0;
    }
    return 1;
}

/* Cuts path down to what is there of it. */
static void cut_down(char *path)
{
    struct stat st;
    for (char *slash; stat(path, &st) < 0 && (slash = strrchr(path, '/')) && slash > path;)
        *slash = 0;
}

/* A recorder writes what is there already; what is not is made by who runs the appliance, and so is
 * a way through where nothing was said. Returns whether it is there, or -1. */
static int look_at_recorder(struct preflight *p, const char *camera, char *path)
{
    const struct config_path *dir = &p->config->record.dir;
    char whole[PATH_MAX];
    struct stat st;
    snprintf(whole, sizeof whole, "%.*s/%s", PATH_MAX - CONFIG_NAME_MAX - 2, dir->path, camera);
    snprintf(path, PATH_MAX, "%s", whole);
    if ((dir->line || !p->tree->roles->known) && !passes(p, ROLE_RECORD, path))
        return -1;
    cut_down(path);
    int there = strcmp(path, whole) == 0;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        say(p, EXIT_USAGE, dir->line, "dir = %s: %s is not a directory", dir->path, path);
    else if (access(path, W_OK) < 0 && errno == EROFS)
        say(p, EXIT_USAGE, dir->line,
            "dir = %s: read-only here: ReadWritePaths in the unit's settings makes it writable",
            dir->path);
    else if (there && st.st_uid != 0 && !may_open(p, ROLE_RECORD, path, 7))
        say(p, EXIT_USAGE, dir->line, "dir = %s: %s may not write to %s", dir->path,
            who(p, ROLE_RECORD), path);
    else if (access(path, W_OK | X_OK) < 0)
        say(p, EXIT_USAGE, dir->line, "dir = %s: %s: %s", dir->path, path, strerror(errno));
    else
        return there;
    return -1;
}

/* One that keeps a size makes room by itself once it has begun. */
static void look_at_record(struct preflight *p)
{
    const struct config_record *record = &p->config->record;
    char path[PATH_MAX];
    struct statvfs fs;
    uint64_t count = 0;
    int there = 1;
    for (size_t i = 0; i < p->config->count; i++) {
        if (!p->config->camera[i].recorded)
            continue;
        int found = look_at_recorder(p, p->config->camera[i].name, path);
        if (found < 0)
            return;
        there &= found;
        count++;
    }
    if (!count || statvfs(path, &fs) < 0)
        return;
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize, all = (uint64_t)fs.f_blocks * fs.f_frsize;
    if (room < count * SEGMENT_BYTES && !(there && record->keep_bytes))
        say(p, EXIT_AGAIN, record->dir.line, "dir = %s: room for %llu MiB: too little to record",
            record->dir.path, (unsigned long long)room >> 20);
    /* What recordings have taken is room for them, and how much that is is not looked up here. */
    uint64_t most = there ? all : room;
    if (record->keep_bytes > most / count)
        say(p, EXIT_CLEAN, record->keep_line,
            "keep = %s: %s more than there is room for, %llu MiB: it will be less", record->keep,
            count > 1 ? "each, and together" : "that is", (unsigned long long)most >> 20);
}

static void look_for_programs(struct preflight *p)
{
    static const struct {
        const char *name, *why;
    } programs[] = {{"s6-svscan", "supervises all: install s6"},
                    {"busybox", "serves the page: install busybox"},
                    {"stunnel", "makes HTTPS: install stunnel4"},
                    {"openssl", "makes and compares certificates: install openssl"}};
    size_t count = sizeof programs / sizeof *programs - (p->config->https_port ? 0 : 2);
    for (size_t i = 0; i < count; i++)
        if (!places_have(programs[i].name))
            say(p, EXIT_USAGE, 0, "%s: not installed; it %s", programs[i].name, programs[i].why);
}

/* Where a run directory can be written to and has room, a file of its largest part's size can be
 * made. */
static void look_at_run(struct preflight *p)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/.room", p->tree->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int e = fd < 0 ? errno : posix_fallocate(fd, 0, RUN_BYTES);
    if (e && e != EOPNOTSUPP)
        say(p, EXIT_AGAIN, 0, "%s: %s", p->tree->dir, strerror(e));
    if (fd < 0)
        return;
    close(fd);
    unlink(path);
}

/* Each ring that is not there yet takes its memory when it is made. */
static void look_at_rings(struct preflight *p)
{
    char dir[PATH_MAX], path[PATH_MAX];
    struct statvfs fs;
    uint64_t want = 0;
    if (ringfile_dir(dir, sizeof dir) < 0 || statvfs(dir, &fs) < 0)
        return; /* it is made later */
    for (size_t i = 0; i < p->config->count; i++) {
        int n = snprintf(path, sizeof path, "%s/%s.ring", dir, p->config->camera[i].name);
        if (n < (int)sizeof path && access(path, F_OK) < 0)
            want += RING_DATA_BYTES;
    }
    uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (want > room)
        say(p, EXIT_AGAIN, 0, "%s: room for %llu MiB, and the cameras need %llu", dir,
            (unsigned long long)room >> 20, (unsigned long long)want >> 20);
}

int preflight_say(const struct config *config, const char *given, const struct tree *tree,
                  int besides)
{
    struct preflight p = {config, tree, conffile_name(given), !(besides & PREFLIGHT_ROOM),
                          EXIT_CLEAN};
    for (size_t i = 0; i < config->count; i++)
        look_at_camera(&p, &config->camera[i]);
    look_for_programs(&p);
    if (*config->users.path)
        look_at_users(&p);
    if (*config->www.path)
        look_at_www(&p);
    if (config->record.line)
        look_at_record(&p);
    if ((besides & PREFLIGHT_CERTIFICATE) && secure_check(config, tree) < 0)
        p.worst = EXIT_USAGE;
    look_at_ports(&p);
    if (besides & PREFLIGHT_ROOM) {
        look_at_run(&p);
        look_at_rings(&p);
    }
    return p.worst;
}
