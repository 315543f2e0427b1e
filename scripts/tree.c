#include "scripts/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scripts/page.h"
#include "scripts/tlsconf.h"

enum { DIR_MODE = 0755, FILE_MODE = 0644, FIFO_MODE = 0600, OPEN_DIRS = 16 };

static const char *const dirs[] = {"service", "log", "tls", "www"};

/* Sets tree->path to dir/... */
static int at(struct tree *tree, const char *format, ...)
{
    va_list list;
    int n = snprintf(tree->path, sizeof tree->path, "%s/", tree->dir);
    va_start(list, format);
    int m = vsnprintf(tree->path + n, sizeof tree->path - (size_t)n, format, list);
    va_end(list);
    if (m >= 0 && (size_t)(n + m) < sizeof tree->path)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

static int make_dir(const char *path)
{
    return mkdir(path, DIR_MODE) < 0 && errno != EEXIST ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int remove_all(const char *path)
{
    return nftw(path, remove_one, OPEN_DIRS, FTW_DEPTH | FTW_PHYS) < 0 && errno != ENOENT ? -1 : 0;
}

/* A whole file or none, under its name. */
static int write_file(struct tree *tree, const char *bytes, size_t length)
{
    char temporary[PATH_MAX + 8];
    snprintf(temporary, sizeof temporary, "%s.new", tree->path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, bytes, length);
    if (n >= 0 && (size_t)n < length)
        errno = ENOSPC;
    int e = errno;
    close(fd);
    errno = e;
    return n < 0 || (size_t)n < length ? -1 : rename(temporary, tree->path);
}

static int link_script(struct tree *tree, const char *dir, const char *script)
{
    char target[PATH_MAX];
    snprintf(target, sizeof target, "%s/%s", tree->data, script);
    return at(tree, "service/%s/%s", dir, script) < 0 ? -1 : symlink(target, tree->path);
}

/* What stage executes, as whom. */
static int describe(struct tree *tree, const char *dir, const struct service *s)
{
    char text[ROLES_LINE];
    int n = roles_line(tree->roles, s->role, s->binds, text);
    if (n > 0 && (at(tree, "service/%s/become", dir) < 0 || write_file(tree, text, (size_t)n) < 0))
        return -1;
    return at(tree, "service/%s/args", dir) < 0 ? -1 : write_file(tree, s->args.text, s->args.used);
}

static int fill(struct tree *tree, const char *dir, const struct service *s)
{
    char number[16];
    if (at(tree, "service/%s", dir) < 0 || make_dir(tree->path) < 0 ||
        link_script(tree, dir, "run") < 0 || link_script(tree, dir, "finish") < 0)
        return -1;
    int n = snprintf(number, sizeof number, "%d\n", TREE_KILL_MS);
    if (at(tree, "service/%s/timeout-kill", dir) < 0 || write_file(tree, number, (size_t)n) < 0)
        return -1;
    n = snprintf(number, sizeof number, "%d\n", PLAN_READY_FD);
    if (at(tree, "service/%s/notification-fd", dir) < 0 || write_file(tree, number, (size_t)n) < 0)
        return -1;
    if (at(tree, "service/%s/stderr", dir) < 0 || mkfifo(tree->path, FIFO_MODE) < 0)
        return -1;
    if (s->starts_ready &&
        (at(tree, "service/%s/starts-ready", dir) < 0 || write_file(tree, "", 0) < 0))
        return -1;
    if (s->talks && (at(tree, "service/%s/talks", dir) < 0 || write_file(tree, "", 0) < 0))
        return -1;
    return describe(tree, dir, s);
}

int tree_clear(struct tree *tree)
{
    if (tree_end(tree) < 0)
        return -1;
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        if (at(tree, "%s", dirs[i]) < 0 || make_dir(tree->path) < 0)
            return -1;
    return 0;
}

/* A producer's directory must not appear before its logger's is in it: the supervisor looks once.
 * So both are laid out under a name that it does not see, the logger first. */
int tree_add(struct tree *tree, const struct service *s)
{
    char hidden[PLAN_NAME_MAX + 2], from[PATH_MAX];
    const char *slash = strchr(s->name, '/');
    int own = (int)(slash ? (size_t)(slash - s->name) : strlen(s->name));
    if (at(tree, "service/.%.*s", own, s->name) < 0)
        return -1;
    memcpy(from, tree->path, sizeof from);
    /* What an earlier try has left; but a logger that has just been laid out is to stay. */
    if ((!s->logged && remove_all(from) < 0) || make_dir(from) < 0)
        return -1;
    snprintf(hidden, sizeof hidden, ".%s", s->name);
    if (fill(tree, hidden, s) < 0)
        return -1;
    if (slash)
        return 0;
    return at(tree, "service/%s", s->name) < 0 ? -1 : rename(from, tree->path);
}

int tree_change(struct tree *tree, const struct service *s)
{
    return describe(tree, s->name, s);
}

/* What runs there has it as its working directory until it has ended, while another service of the
 * name may come: so it keeps a name of its own, and goes at the end. */
int tree_remove(struct tree *tree, const char *name)
{
    char from[PATH_MAX];
    if (at(tree, "service/%s", name) < 0)
        return -1;
    memcpy(from, tree->path, sizeof from);
    if (at(tree, "service/.gone-%u", tree->gone++) < 0)
        return -1;
    return rename(from, tree->path);
}

int tree_end(struct tree *tree)
{
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        if (at(tree, "%s", dirs[i]) < 0 || remove_all(tree->path) < 0)
            return -1;
    return 0;
}

static int holds(const char *path, const char *text, size_t length)
{
    char there[TLSCONF_BYTES];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, there, sizeof there);
    if (fd >= 0)
        close(fd);
    return n == (ssize_t)length && memcmp(there, text, length) == 0;
}

int tree_tls(struct tree *tree, const char *text, size_t length)
{
    if (at(tree, "tls/stunnel.conf") < 0)
        return -1;
    if (holds(tree->path, text, length))
        return 0;
    return write_file(tree, text, length) < 0 ? -1 : 1;
}

/* The installed page at tree->path, with a link to the camera's recordings where there are any. The
 * link is no reason to fail: a page that cannot be read, or is too long for it, goes without. */
static int add_page(struct tree *tree, const struct config_camera *camera, const char *up)
{
    char installed[PATH_MAX], href[PAGE_HREF_MAX], page[PAGE_BYTES], text[PAGE_BYTES];
    snprintf(installed, sizeof installed, "%s/www/index.html", tree->data);
    snprintf(href, sizeof href, "%s" CONFIG_RECORDINGS "/%s/", up, camera->name);
    int fd = camera->recorded ? open(installed, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t n = fd < 0 ? -1 : read(fd, page, sizeof page);
    if (fd >= 0)
        close(fd);
    size_t length = n < 0 ? 0 : page_camera(page, (size_t)n, href, text);
    return length ? write_file(tree, text, length) : symlink(installed, tree->path);
}

static int add_camera(struct tree *tree, const struct config_camera *camera)
{
    return at(tree, "www/%s", camera->name) < 0 || make_dir(tree->path) < 0 ||
                   at(tree, "www/%s/index.html", camera->name) < 0
               ? -1
               : add_page(tree, camera, "../");
}

static int add_recordings(struct tree *tree, const struct config *config)
{
    char text[PAGE_BYTES], target[PATH_MAX + CONFIG_NAME_MAX];
    size_t n = page_recordings(config, text);
    if (at(tree, "www/" CONFIG_RECORDINGS) < 0 || make_dir(tree->path) < 0 ||
        at(tree, "www/" CONFIG_RECORDINGS "/index.html") < 0 || write_file(tree, text, n) < 0)
        return -1;
    for (size_t i = 0; i < config->count; i++) {
        const struct config_camera *camera = &config->camera[i];
        snprintf(target, sizeof target, "%s/%s", config->record.dir.path, camera->name);
        if (camera->recorded && (at(tree, "www/" CONFIG_RECORDINGS "/%s", camera->name) < 0 ||
                                 symlink(target, tree->path) < 0))
            return -1;
    }
    return 0;
}

int tree_pages(struct tree *tree, const struct config *config)
{
    char text[PAGE_BYTES];
    if (at(tree, "www") < 0 || remove_all(tree->path) < 0 || make_dir(tree->path) < 0)
        return -1;
    for (size_t i = 0; i < config->count; i++)
        if (add_camera(tree, &config->camera[i]) < 0)
            return -1;
    if (config->record.line && add_recordings(tree, config) < 0)
        return -1;
    if (at(tree, "www/index.html") < 0)
        return -1;
    if (config->count == 1)
        return add_page(tree, &config->camera[0], "");
    return write_file(tree, text, page_write(config, text));
}

int tree_open_log(struct tree *tree, const char *name)
{
    if (at(tree, "service/%s/stderr", name) < 0)
        return -1;
    return open(tree->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
}
