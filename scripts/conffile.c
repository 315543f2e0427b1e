#include "scripts/conffile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/exit.h"

#define CONF_HERE   "fmp4streamer.conf"
#define CONF_SYSTEM "/etc/fmp4streamer/fmp4streamer.conf"

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "fmp4streamer: %s: %s\n", what, why);
    exit(status);
}

const char *conffile_name(const char *given)
{
    if (given)
        return given;
    return access(CONF_HERE, F_OK) == 0 ? CONF_HERE : CONF_SYSTEM;
}

/* Without a file there is one camera, /dev/video0; but a file that was named must be there. */
static size_t read_file(const char *path, int named, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT && !named)
        return 0;
    if (fd < 0)
        fail(EXIT_USAGE, path, strerror(errno));
    size_t length = 0;
    ssize_t n;
    while ((n = read(fd, text + length, size - length)) > 0)
        length += (size_t)n;
    if (n < 0)
        fail(EXIT_USAGE, path, strerror(errno));
    if (length == size)
        fail(EXIT_USAGE, path, "larger than 64 KiB");
    close(fd);
    return length;
}

const char *conffile_path(const char *given)
{
    static char path[PATH_MAX];
    return realpath(conffile_name(given), path) ? path : conffile_name(given);
}

int conffile_read(struct config *config, const char *given)
{
    static char text[CONFIG_BYTES + 1];
    const char *path = conffile_name(given);
    size_t length = read_file(path, given != NULL, text, sizeof text);
    static struct config_mistakes mistakes;
    const struct config_mistakes *m = &mistakes;
    if (config_read(config, text, length, &mistakes) == 0)
        return 0;
    for (size_t i = 0; i < m->count && i < CONFIG_MISTAKES; i++)
        fprintf(stderr, "fmp4streamer: %s:%u: %s\n", path, m->list[i].line, m->list[i].text);
    if (m->count > CONFIG_MISTAKES)
        fprintf(stderr, "fmp4streamer: %s: %zu more mistakes\n", path, m->count - CONFIG_MISTAKES);
    return -1;
}
