#include "scripts/places.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIR_MODE = 0755 };

/* The directory of this program. */
static int own_dir(char *out)
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (n <= 0)
        return -1;
    out[n] = 0;
    *strrchr(out, '/') = 0;
    return 0;
}

int places_tools(void)
{
    char dir[PATH_MAX], path[4 * PATH_MAX];
    const char *old = getenv("PATH");
    if (own_dir(dir) < 0)
        return -1;
    int n = snprintf(path, sizeof path, "%s:%s/../libexec/fmp4streamer:%s", dir, dir,
                     old && *old ? old : "/usr/local/bin:/usr/bin:/bin");
    if (n < 0 || (size_t)n >= sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return setenv("PATH", path, 1);
}

int places_have(const char *program)
{
    const char *path = getenv("PATH");
    char file[PATH_MAX];
    if (strchr(program, '/'))
        return access(program, X_OK) == 0;
    for (const char *p = path ? path : ""; *p; p += *p == ':') {
        int n = (int)strcspn(p, ":");
        if (snprintf(file, sizeof file, "%.*s/%s", n, p, program) < (int)sizeof file &&
            access(file, X_OK) == 0)
            return 1;
        p += n;
    }
    return 0;
}

static int real(const char *path, char *out, size_t size)
{
    char full[PATH_MAX];
    if (!realpath(path, full))
        return -1;
    if (strlen(full) >= size) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(out, full, strlen(full) + 1);
    return 0;
}

/* In a checkout this program lies in build/. */
int places_data(char *tried, char *out, size_t size)
{
    static const char *const from_here[] = {"share/fmp4streamer", "service"};
    char dir[PATH_MAX];
    const char *given = getenv("FMP4STREAMER_DATA");
    if (given && *given) {
        snprintf(tried, PATH_MAX, "%s", given);
        return real(tried, out, size);
    }
    if (own_dir(dir) < 0)
        return -1;
    for (size_t i = sizeof from_here / sizeof *from_here; i-- > 0;) {
        snprintf(tried, PATH_MAX, "%.*s/../%s", PATH_MAX / 2, dir, from_here[i]);
        if (access(tried, F_OK) == 0)
            break;
    }
    return real(tried, out, size);
}

int places_state(char *out)
{
    const char *given = getenv("FMP4STREAMER_STATE"), *user = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int n;
    if (given && *given)
        n = snprintf(out, PATH_MAX, "%s", given);
    else if (geteuid() == 0)
        n = snprintf(out, PATH_MAX, "/var/lib/fmp4streamer");
    else if (user && *user)
        n = snprintf(out, PATH_MAX, "%s/fmp4streamer", user);
    else if (home && *home)
        n = snprintf(out, PATH_MAX, "%s/.local/state/fmp4streamer", home);
    else
        return -1;
    return n < PATH_MAX ? 0 : -1;
}

int places_run(char *tried, char *out, size_t size)
{
    const char *given = getenv("FMP4STREAMER_RUN"), *user = getenv("XDG_RUNTIME_DIR");
    struct stat st;
    tried[0] = 0;
    if (given && *given)
        snprintf(tried, PATH_MAX, "%s", given);
    else if (geteuid() == 0)
        snprintf(tried, PATH_MAX, "/run/fmp4streamer");
    else if (user && *user)
        snprintf(tried, PATH_MAX, "%.*s/fmp4streamer", PATH_MAX / 2, user);
    else
        return -1;
    if ((mkdir(tried, DIR_MODE) < 0 && errno != EEXIST) || stat(tried, &st) < 0)
        return -1;
    if (st.st_uid != geteuid()) {
        errno = EPERM;
        return -1;
    }
    return real(tried, out, size);
}
