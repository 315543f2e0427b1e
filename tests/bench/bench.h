/* What the measuring programs share: a clock, medians, strict numbers, a mapped input file, access
 * unit boundaries, and a box walker. Errors end the program: a benchmark has nothing to save. */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BENCH_FAILED = 1, BENCH_USAGE = 100 };

__attribute__((noreturn, format(printf, 2, 3))) static inline void die(int status,
                                                                       const char *format, ...)
{
    va_list ap;
    fprintf(stderr, "bench: ");
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    exit(status);
}

/* Monotonic time in seconds. */
static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Time of day in nanoseconds, as the kernel stamps packets. */
static inline uint64_t wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* What a clock says, of a process its CPU time; a clock that is gone is the end. */
static inline double milliseconds_of(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) < 0)
        die(BENCH_FAILED, "a clock: %s", strerror(errno));
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline void sleep_until(double when)
{
    time_t whole = (time_t)when;
    struct timespec t = {.tv_sec = whole, .tv_nsec = (long)((when - (double)whole) * 1e9)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

/* A whole number in min..max, or a usage error that names the option. */
static inline int number(int option, const char *text, int min, int max)
{
    char *end;
    errno = 0;
    long n = strtol(text, &end, 10);
    if (errno || end == text || *end || n < min || n > max)
        die(BENCH_USAGE, "-%c: %s: want a number from %d to %d", option, text, min, max);
    return (int)n;
}

static inline int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts v and returns its percentile p (0 to 100, nearest rank); n > 0. */
static inline double percentile(double *v, size_t n, unsigned p)
{
    qsort(v, n, sizeof *v, ascending);
    return v[(n - 1) * p / 100];
}

struct span {
    uint8_t *p;
    size_t len;
};

static inline struct span map_file(const char *path)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
        die(BENCH_FAILED, "%s: %s", path, errno ? strerror(errno) : "empty");
    struct span s = {.len = (size_t)st.st_size};
    s.p = mmap(NULL, s.len, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (s.p == MAP_FAILED)
        die(BENCH_FAILED, "%s: %s", path, strerror(errno));
    close(fd);
    return s;
}

/* The access unit at `from`: the offset just behind it, which is where the next access unit
 * delimiter's start code begins, or the end of the stream. */
static inline size_t unit_end(struct span s, size_t from)
{
    static const uint8_t aud[] = {0, 0, 0, 1, 9};
    if (s.len - from <= sizeof aud)
        return s.len;
    uint8_t *next = memmem(s.p + from + 1, s.len - from - 1, aud, sizeof aud);
    return next ? (size_t)(next - s.p) : s.len;
}

static inline int write_all(int fd, const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t w = write(fd, p, n);
        if (w < 0)
            return -1;
        p += w;
        n -= (size_t)w;
    }
    return 0;
}

static inline uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Walks top-level boxes in a stream that arrives in pieces. Only the first BOX_HEAD bytes of a box
 * are kept: enough for a moof's mfhd, and for an mdat's stamp: wall_ns() as its writing began,
 * which feed puts there, big-endian. */
enum { BOX_HEAD = 24, STAMP_AT = 16 };

struct boxes {
    uint8_t head[BOX_HEAD];
    uint64_t size, seen; /* of the current box; size 0 = header not complete */
};

enum box_kind { BOX_NONE, BOX_OTHER, BOX_MOOF, BOX_MDAT, BOX_BAD };

/* Takes bytes up to the end of the current box. *used is how many; the answer names the box that
 * ended there, BOX_NONE when more bytes are needed. A moof's sequence number is then be32(head+20).
 */
static inline enum box_kind boxes_feed(struct boxes *b, const uint8_t *p, size_t n, size_t *used)
{
    size_t i = 0;
    while (b->seen < BOX_HEAD && i < n && (!b->size || b->seen < b->size)) {
        b->head[b->seen++] = p[i++];
        if (b->seen == 8 && (b->size = be32(b->head)) < 8)
            return BOX_BAD;
    }
    if (b->size && b->seen < b->size) {
        uint64_t rest = b->size - b->seen;
        size_t take = rest < n - i ? (size_t)rest : n - i;
        b->seen += take;
        i += take;
    }
    *used = i;
    if (!b->size || b->seen < b->size)
        return BOX_NONE;
    b->size = b->seen = 0;
    return !memcmp(b->head + 4, "moof", 4)   ? BOX_MOOF
           : !memcmp(b->head + 4, "mdat", 4) ? BOX_MDAT
                                             : BOX_OTHER;
}

#endif
