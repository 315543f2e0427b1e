#include "scripts/conffile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scripts/places.h"

#define CONF_HERE   "fmp4streamer.conf"
#define CONF_SYSTEM "/etc/fmp4streamer/fmp4streamer.conf"

static int refuse(int fd, const char *path, const char *why)
{
    fprintf(stderr, "fmp4streamer: %s: %s\n", path, why);
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Where a user keeps his, or NULL. */
static const char *users_own(void)
{
    static char path[PATH_MAX];
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    int n = -1;
    if (config && *config)
        n = snprintf(path, sizeof path, "%s/fmp4streamer/" CONF_HERE, config);
    else if (home && *home)
        n = snprintf(path, sizeof path, "%s/.config/fmp4streamer/" CONF_HERE, home);
    return n > 0 && n < (int)sizeof path ? path : NULL;
}

const char *conffile_name(const char *given)
{
    if (given)
        return given;
    if (access(CONF_HERE, F_OK) == 0)
        return CONF_HERE;
    const char *own = geteuid() == 0 ? NULL : users_own();
    return own && access(own, F_OK) == 0 ? own : CONF_SYSTEM;
}

/* Without a file there is one camera, /dev/video0; but a file that was named must be there. A fifo
 * would be waited for, by one who has an appliance to look after. Returns 0 or -1. */
static int read_file(const char *path, int named, char *text, size_t size, size_t *length)
{
    struct stat st;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *length = 0;
    if (fd < 0 && errno == ENOENT && !named)
        return 0;
    if (fd < 0 || fstat(fd, &st) < 0)
        return refuse(fd, path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(fd, path, "not a regular file");
    while ((n = read(fd, text + *length, size - *length)) > 0)
        *length += (size_t)n;
    if (n < 0)
        return refuse(fd, path, strerror(errno));
    if (*length == size)
        return refuse(fd, path, "larger than 64 KiB");
    close(fd);
    return 0;
}

const char *conffile_path(const char *given)
{
    static char path[PATH_MAX];
    return realpath(conffile_name(given), path) ? path : conffile_name(given);
}

/* Where recordings go when the file does not say it: nobody else knows where the state is. */
static int place_recordings(struct config_record *record, const char *path)
{
    char state[PATH_MAX];
    if (!record->line || *record->dir.path)
        return 0;
    int n = places_state(state) < 0 ? -1
                                    : snprintf(record->dir.path, sizeof record->dir.path,
                                               "%s/" CONFIG_RECORDINGS, state);
    return n >= 0 && n < (int)sizeof record->dir.path
               ? 0
               : refuse(-1, path, "[record]: dir: none is given, and HOME is not set");
}

int conffile_read(struct config *config, const char *given)
{
    static char text[CONFIG_BYTES + 1];
    const char *path = conffile_name(given);
    static struct config_mistakes mistakes;
    const struct config_mistakes *m = &mistakes;
    size_t length;
    if (read_file(path, given != NULL, text, sizeof text, &length) < 0)
        return -1;
    if (config_read(config, text, length, &mistakes) == 0)
        return place_recordings(&config->record, path);
    for (size_t i = 0; i < m->count && i < CONFIG_MISTAKES; i++)
        fprintf(stderr, "fmp4streamer: %s:%u: %s\n", path, m->list[i].line, m->list[i].text);
    if (m->count > CONFIG_MISTAKES)
        fprintf(stderr, "fmp4streamer: %s: %zu more mistakes\n", path, m->count - CONFIG_MISTAKES);
    return -1;
}
