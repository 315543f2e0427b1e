#include "hls/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORY_MODE = 0755, FILE_MODE = 0644, BLOCK_LEAST = 4096 };

int folder_open(struct folder *f, const char *path)
{
    struct stat st;
    if (mkdir(path, DIRECTORY_MODE) < 0 && errno != EEXIST)
        return -1;
    *f = (struct folder){.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (f->fd < 0 || fstat(f->fd, &st) < 0 || flock(f->fd, LOCK_EX | LOCK_NB) < 0)
        return -1;
    f->block = st.st_blksize > BLOCK_LEAST ? (uint64_t)st.st_blksize : BLOCK_LEAST;
    return 0;
}

uint64_t folder_charge(const struct folder *f, uint64_t size)
{
    return (size + f->block - 1) / f->block * f->block;
}

void folder_account(struct folder *f, uint64_t from, uint64_t to)
{
    uint64_t gone = folder_charge(f, from);
    f->bytes -= gone < f->bytes ? gone : f->bytes;
    f->bytes += folder_charge(f, to);
}

int folder_sync(struct folder *f)
{
    return fsync(f->fd);
}

int folder_has(const struct folder *f, const char *name, uint64_t *size)
{
    struct stat st;
    if (fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
        return 0;
    *size = (uint64_t)st.st_size;
    return 1;
}

int folder_remove(struct folder *f, const char *name)
{
    uint64_t size = 0;
    folder_has(f, name, &size);
    if (unlinkat(f->fd, name, 0) < 0)
        return errno == ENOENT ? 0 : -1;
    folder_account(f, size, 0);
    return 0;
}

int folder_rename(struct folder *f, const char *from, const char *to)
{
    uint64_t size = 0;
    folder_has(f, to, &size);
    if (renameat(f->fd, from, f->fd, to) < 0)
        return -1;
    folder_account(f, size, 0);
    return 0;
}

long folder_read(const struct folder *f, const char *name, void *buf, size_t cap, uint64_t at)
{
    int fd = openat(f->fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    size_t got = 0;
    ssize_t n = 0;
    while (got < cap && (n = pread(fd, (char *)buf + got, cap - got, (off_t)(at + got))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        got += (size_t)n;
    }
    close(fd);
    return n < 0 ? -1 : (long)got;
}

int folder_write_at(int fd, const void *data, size_t n, uint64_t at)
{
    const char *p = data;
    while (n) {
        ssize_t w = pwrite(fd, p, n, (off_t)at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -1;
        p += w;
        n -= (size_t)w;
        at += (uint64_t)w;
    }
    return 0;
}

int folder_append(struct folder *f, const char *name, const void *data, size_t n, uint64_t at)
{
    int fd = openat(f->fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    int failed = folder_write_at(fd, data, n, at) < 0 || fdatasync(fd) < 0, error = errno;
    if (failed && ftruncate(fd, (off_t)at) == 0)
        errno = error;
    else if (!failed)
        folder_account(f, at, at + n);
    close(fd);
    return failed ? -1 : 0;
}

int folder_cut(struct folder *f, const char *name, uint64_t size)
{
    uint64_t was = size;
    folder_has(f, name, &was);
    int fd = openat(f->fd, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    int failed = ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0;
    close(fd);
    if (!failed)
        folder_account(f, was, size);
    return failed ? -1 : 0;
}

int folder_begin(struct folder *f, struct folder_file *file, const char *name)
{
    file->folder = f;
    file->error = 0;
    file->size = 0;
    file->used = 0;
    snprintf(file->name, sizeof file->name, "%s", name);
    snprintf(file->temporary, sizeof file->temporary, "%s.tmp", name);
    file->fd = openat(f->fd, file->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                      FILE_MODE);
    return file->fd < 0 ? -1 : 0;
}

static void flush(struct folder_file *file)
{
    if (!file->error && folder_write_at(file->fd, file->buffer, file->used, file->size) < 0)
        file->error = errno;
    folder_account(file->folder, file->size, file->size + file->used);
    file->size += file->used;
    file->used = 0;
}

void folder_add(struct folder_file *file, const void *data, size_t n)
{
    const char *p = data;
    while (n) {
        size_t some = sizeof file->buffer - file->used;
        some = n < some ? n : some;
        memcpy(file->buffer + file->used, p, some);
        file->used += some;
        p += some;
        n -= some;
        if (file->used == sizeof file->buffer)
            flush(file);
    }
}

void folder_abort(struct folder_file *file)
{
    int error = errno;
    close(file->fd);
    unlinkat(file->folder->fd, file->temporary, 0);
    folder_account(file->folder, file->size, 0);
    errno = error;
}

int folder_commit(struct folder_file *file)
{
    flush(file);
    if (!file->error && fsync(file->fd) < 0)
        file->error = errno;
    errno = file->error;
    if (file->error || folder_rename(file->folder, file->temporary, file->name) < 0) {
        folder_abort(file);
        return -1;
    }
    close(file->fd);
    return 0;
}

int folder_put(struct folder *f, struct folder_file *file, const char *name, const void *data,
               size_t n)
{
    if (folder_begin(f, file, name) < 0)
        return -1;
    folder_add(file, data, n);
    return folder_commit(file);
}
