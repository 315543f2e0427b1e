/* A file of H.264 cut into the access units a camera would send, one a buffer. */
#ifndef TESTS_GUEST_UNITS_H
#define TESTS_GUEST_UNITS_H

#include "capture/au.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { UNITS_BYTES_MAX = 64 << 20 };

struct units {
    uint8_t *bytes;
    size_t *at; /* where each begins; at[count] is where the last ends */
    size_t count;
    unsigned width, height; /* by the first one's sequence parameter set */
};

static inline const uint8_t *units_get(const struct units *u, size_t i, size_t *len)
{
    *len = u->at[i + 1] - u->at[i];
    return u->bytes + u->at[i];
}

/* Cuts u->bytes[0, size). Returns what is wrong with them, or a null pointer. */
static inline const char *units_cut(struct units *u, size_t size)
{
    static struct au_framer framer;
    struct au au;
    size_t end = 0;
    enum au_result result;
    au_init(&framer);
    while ((result = au_next(&framer, u->bytes + end, size - end, 1, &au)) == AU_READY) {
        if (!u->count && au.first.known) {
            u->width = framer.sps[au.first.sps_id].width;
            u->height = framer.sps[au.first.sps_id].height;
        }
        end += au.size;
        u->at[++u->count] = end;
    }
    if (result == AU_BAD)
        return "damaged";
    return u->width ? NULL : "no access unit with parameter sets at its start";
}

/* Reads and cuts the file, or ends the program. read(), not mmap(): every page would be a trip to
 * the host. */
static inline void units_load(struct units *u, const char *path)
{
    struct stat about;
    FILE *in = fopen(path, "rb");
    *u = (struct units){0};
    if (!in || fstat(fileno(in), &about) < 0) {
        perror(path);
        exit(1);
    }
    size_t size = (size_t)about.st_size;
    const char *wrong = "empty or too long";
    if (size && size < UNITS_BYTES_MAX) {
        /* The smallest access unit has a start code, a header byte and one more. */
        u->bytes = malloc(size);
        u->at = calloc(size / 5 + 2, sizeof *u->at);
        wrong = !u->bytes || !u->at                    ? "no memory"
                : fread(u->bytes, 1, size, in) == size ? units_cut(u, size)
                                                       : "cannot be read";
    }
    fclose(in);
    if (wrong) {
        fprintf(stderr, "%s: %s\n", path, wrong);
        exit(1);
    }
}

static inline void units_free(struct units *u)
{
    free(u->bytes);
    free(u->at);
}

#endif
