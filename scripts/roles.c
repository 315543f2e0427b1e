#include "scripts/roles.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* With the sticky bit, as none of these users is to take away another's files. */
enum { RINGS_MODE = 01775 };

const char *roles_name(enum role role)
{
    static const char *const names[ROLES] = {"fmp4s-capture", "fmp4s-mux", "fmp4s-web", "fmp4s-tls",
                                             "fmp4s-record"};
    return names[role];
}

int roles_find(struct roles *roles, const char **missing)
{
    memset(roles, 0, sizeof *roles);
    if (geteuid() != 0 || getenv("FMP4STREAMER_ONE_USER"))
        return 0;
    const struct group *group = getgrnam(ROLES_GROUP);
    *missing = ROLES_GROUP;
    if (!group)
        return -1;
    roles->group = group->gr_gid;
    for (enum role i = 0; i < ROLES; i++) {
        const struct passwd *user = getpwnam(roles_name(i));
        *missing = roles_name(i);
        if (!user)
            return -1;
        roles->of[i].uid = user->pw_uid;
        roles->of[i].gid = user->pw_gid;
        roles->of[i].count = ROLES_GROUPS;
        if (getgrouplist(*missing, user->pw_gid, roles->of[i].groups, &roles->of[i].count) < 0)
            roles->of[i].count = ROLES_GROUPS;
    }
    roles->known = 1;
    return 0;
}

int roles_line(const struct roles *roles, enum role role, int binds, char line[ROLES_LINE])
{
    if (!roles->known)
        return 0;
    int n = snprintf(line, ROLES_LINE, "%u %u %d", (unsigned)roles->of[role].uid,
                     (unsigned)roles->of[role].gid, binds != 0);
    for (int i = 0; i < roles->of[role].count; i++)
        n += snprintf(line + n, (size_t)(ROLES_LINE - n), " %u",
                      (unsigned)roles->of[role].groups[i]);
    n += snprintf(line + n, (size_t)(ROLES_LINE - n), "\n");
    return n;
}

static int is_ours(const struct roles *roles, const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_nlink == 1 &&
           (st->st_uid == 0 || st->st_uid == roles->of[ROLE_MUX].uid ||
            st->st_uid == roles->of[ROLE_CAPTURE].uid);
}

/* A ring is its writer's; the control file is whose service comes first. */
static int own_file(const struct roles *roles, int dir, const char *name)
{
    struct stat st;
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    if (!is_ours(roles, &st))
        return unlinkat(dir, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
    return fchownat(dir, name, roles->of[ROLE_MUX].uid, roles->group, AT_SYMLINK_NOFOLLOW);
}

static int own_files(const struct roles *roles, int dir)
{
    DIR *list = fdopendir(dir);
    int worst = 0;
    if (!list)
        return -1;
    for (const struct dirent *e; (e = readdir(list));) {
        const char *dot = strrchr(e->d_name, '.');
        if (dot && (strcmp(dot, ".ring") == 0 || strcmp(dot, ".ctl") == 0) &&
            own_file(roles, dir, e->d_name) < 0)
            worst = -1;
    }
    int e = errno;
    closedir(list);
    errno = e;
    return worst;
}

int roles_own_rings(const struct roles *roles, const char *dir)
{
    if (!roles->known)
        return 0;
    if (mkdir(dir, RINGS_MODE) < 0 && errno != EEXIST)
        return -1;
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    if (fchown(fd, 0, roles->group) < 0 || fchmod(fd, RINGS_MODE) < 0) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return own_files(roles, fd);
}
