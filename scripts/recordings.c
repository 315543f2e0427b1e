#include "scripts/recordings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Others may pass, whatever this process was started with; they may read nothing. */
enum { ABOVE_MODE = 0755, DIR_MODE = 0750, PASS_MODE = 0111 };

static int make_dir(const char *path, mode_t mode)
{
    if (mkdir(path, mode) < 0)
        return errno == EEXIST ? 0 : -1;
    return chmod(path, mode);
}

/* All that is above path, from / on; where it fails, path ends there. */
static int make_above(char *path)
{
    for (char *slash = path; (slash = strchr(slash + 1, '/'));) {
        *slash = 0;
        if (make_dir(path, ABOVE_MODE) < 0)
            return -1;
        *slash = '/';
    }
    return 0;
}

/* By default they lie beside the key of a certificate, which may have been made for root alone,
 * directory and all; the key itself is. */
static int open_above(char *path)
{
    struct stat st;
    char *camera = strrchr(path, '/'), *dir;
    *camera = 0;
    dir = strrchr(path, '/');
    *dir = 0;
    int failed = stat(path, &st) < 0 || ((st.st_mode & PASS_MODE) != PASS_MODE &&
                                         chmod(path, (st.st_mode & 07777) | PASS_MODE) < 0);
    if (failed)
        return -1;
    *dir = *camera = '/';
    return 0;
}

static int own_files(const struct roles *roles, int dir)
{
    struct stat st;
    int worst = 0;
    DIR *list = fdopendir(dir);
    if (!list)
        return -1;
    for (const struct dirent *e; (e = readdir(list));)
        if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_nlink == 1 && st.st_uid == 0 &&
            fchownat(dir, e->d_name, roles->of[ROLE_RECORD].uid, roles->group,
                     AT_SYMLINK_NOFOLLOW) < 0)
            worst = -1;
    closedir(list);
    return worst;
}

/* Root's become the recorder's; those of others stay theirs. */
static int own_open(const struct roles *roles, int fd)
{
    struct stat st;
    uid_t uid = roles->of[ROLE_RECORD].uid;
    if (fstat(fd, &st) < 0)
        return -1;
    if (st.st_uid != 0 && st.st_uid != uid) {
        errno = EPERM;
        return -1;
    }
    if (st.st_uid == 0 && own_files(roles, dup(fd)) < 0)
        return -1;
    return fchown(fd, uid, roles->group) < 0 || fchmod(fd, DIR_MODE) < 0 ? -1 : 0;
}

static int own_dir(const struct roles *roles, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int done = fd < 0 ? -1 : own_open(roles, fd), e = errno;
    if (fd >= 0)
        close(fd);
    errno = e;
    return done;
}

int recordings_make(const struct config_record *record, const char *camera,
                    const struct roles *roles, char path[PATH_MAX])
{
    int n = snprintf(path, PATH_MAX, "%s/%s", record->dir.path, camera);
    if (n < 0 || n >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (make_above(path) < 0 || make_dir(path, DIR_MODE) < 0)
        return -1;
    if (!roles->known)
        return 0;
    if (!record->dir.line && open_above(path) < 0)
        return -1;
    return own_dir(roles, path);
}
