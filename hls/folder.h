/* A directory that files are put into whole: written under a temporary name, on the disk (fsync),
 * then renamed, so that whoever reads it, and whoever finds it after a power cut, sees all of a
 * file or none.
 *
 * It counts the bytes of the files in it that are ours, each rounded up to what the file system
 * gives out. Errors are -1 with errno. */
#ifndef HLS_FOLDER_H
#define HLS_FOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "hls/names.h"

enum {
    FOLDER_BUFFER = 16 << 10,
    FOLDER_NAME = NAME_LENGTH + 10, /* one of ours, and some */
};

struct folder {
    int fd;
    uint64_t block; /* bytes are given out in multiples of this */
    uint64_t bytes; /* of all files, rounded up */
};

/* Opens the directory, which is made if only it itself is missing, and locks it: errno EWOULDBLOCK
 * when another process has. */
int folder_open(struct folder *f, const char *path);

/* What a file of that size takes. */
uint64_t folder_charge(const struct folder *f, uint64_t size);

/* A file of ours was `from` bytes long and is `to` bytes long now. */
void folder_account(struct folder *f, uint64_t from, uint64_t to);

/* Renames and removals so far are on the disk. */
int folder_sync(struct folder *f);

/* Whether it is there; *size then is how long. */
int folder_has(const struct folder *f, const char *name, uint64_t *size);

/* Removes it, if it is there. */
int folder_remove(struct folder *f, const char *name);

/* Gives it another name, over what is there. */
int folder_rename(struct folder *f, const char *from, const char *to);

/* Reads up to `cap` bytes from `at`: how many, or -1. */
long folder_read(const struct folder *f, const char *name, void *buf, size_t cap, uint64_t at);

/* Writes n bytes at offset `at` of an open file. Returns 0, or -1 with errno: some may have been
 * written. */
int folder_write_at(int fd, const void *data, size_t n, uint64_t at);

/* Writes all of it at `at`, which is at the end of what is wanted of the file, and makes it
 * durable. When that fails the file ends at `at`. */
int folder_append(struct folder *f, const char *name, const void *data, size_t n, uint64_t at);

/* Cuts it off there. */
int folder_cut(struct folder *f, const char *name, uint64_t size);

/* A file being written under its temporary name. What fails is remembered until the end. */
struct folder_file {
    struct folder *folder;
    char name[FOLDER_NAME + 1], temporary[FOLDER_NAME + 5];
    int fd;
    int error; /* errno of what failed first */
    uint64_t size;
    size_t used;
    char buffer[FOLDER_BUFFER];
};

/* `file` may be reused; returns -1 when it cannot be created. */
int folder_begin(struct folder *f, struct folder_file *file, const char *name);
void folder_add(struct folder_file *file, const void *data, size_t n);
/* Makes it durable and gives it its name; the rename itself is durable after folder_sync(). When
 * anything failed the temporary file is removed, and the old one is what it was. */
int folder_commit(struct folder_file *file);
void folder_abort(struct folder_file *file);

/* All of that for a small file. */
int folder_put(struct folder *f, struct folder_file *file, const char *name, const void *data,
               size_t n);

#endif
