#include "capture/holder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAME_BYTES = 64 };

static int is_number(const char *name)
{
    return *name && strspn(name, "0123456789") == strlen(name);
}

/* A directory below an open one; NULL when it is not for us to see. */
static DIR *open_below(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);

    if (fd >= 0 && !dir)
        close(fd);
    return dir;
}

/* Looking through the links of /proc/PID/fd opens nothing. */
static int has_open(int process, const struct stat *device)
{
    DIR *fds = open_below(process, "fd");
    const struct dirent *entry;
    struct stat st;
    int found = 0;

    if (!fds)
        return 0;
    while (!found && (entry = readdir(fds)))
        found = is_number(entry->d_name) && !fstatat(dirfd(fds), entry->d_name, &st, 0) &&
                S_ISCHR(st.st_mode) && st.st_rdev == device->st_rdev;
    closedir(fds);
    return found;
}

static void read_name(int process, char name[NAME_BYTES])
{
    int fd = openat(process, "comm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, name, NAME_BYTES - 1);

    if (fd >= 0)
        close(fd);
    name[n > 0 ? n : 0] = 0;
    name[strcspn(name, "\n")] = 0;
}

unsigned holder_find(const char *device, char *out, size_t size)
{
    struct stat st;
    DIR *proc = open_below(AT_FDCWD, "/proc");
    const struct dirent *entry;
    char name[NAME_BYTES], own[16];
    unsigned found = 0;
    size_t len = 0;

    *out = 0;
    snprintf(own, sizeof own, "%ld", (long)getpid());
    if (proc && !stat(device, &st) && S_ISCHR(st.st_mode)) {
        while (found < HOLDERS_MAX && (entry = readdir(proc))) {
            if (!is_number(entry->d_name) || !strcmp(entry->d_name, own))
                continue;
            int process = openat(dirfd(proc), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
            if (process < 0)
                continue;
            if (has_open(process, &st) && len < size) {
                read_name(process, name);
                len += (size_t)snprintf(out + len, size - len, "%s%s (pid %s)", found++ ? ", " : "",
                                        name, entry->d_name);
            }
            close(process);
        }
    }
    if (proc)
        closedir(proc);
    return found;
}
