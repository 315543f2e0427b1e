/* One writer flat out, many reader processes, and a checksum in every fragment: what a reader takes
 * for whole must be whole.
 *
 *   ringstress [seconds [readers]]
 *
 * TAP. Exit 1 when anything torn went unnoticed, or nothing was tested. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "capture/number.h"
#include "serve/ring.h"

enum {
    DATA = 1 << 20,
    ENTRIES = 64,
    SMALLEST = 64,
    LARGEST = 60000,
    READERS_MAX = 256,
    LOOKS = 4096, /* at the clock, after so many fragments */
};

struct count {
    uint64_t whole, bytes, lapped, torn;
};

static struct count *counts;
static void *memory;
static size_t bytes;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t mix(uint64_t x)
{
    x ^= x >> 31;
    x *= 0x9e3779b97f4a7c15u;
    x ^= x >> 29;
    return x;
}

/* Over all words behind the first, which holds it; the number of the fragment goes in. */
static uint64_t checksum(const uint8_t *p, size_t size, uint64_t n)
{
    uint64_t sum = mix(n + 1), word;
    for (size_t i = 8; i + 8 <= size; i += 8) {
        memcpy(&word, p + i, 8);
        sum = (sum << 5 | sum >> 59) + word;
    }
    return sum;
}

static uint64_t write_for(double duration)
{
    static uint8_t fragment[LARGEST];
    struct ring r;
    uint64_t n = 0;
    double end = seconds() + duration;
    ring_attach(&r, memory, bytes);
    for (; n % LOOKS || seconds() < end; n++) {
        uint64_t random = mix(n * 2654435761u + 12345);
        size_t size = (size_t)(SMALLEST + random % (LARGEST - SMALLEST)) / 8 * 8;
        struct ring_frag f = {.dts = n,
                              .duration = 1,
                              .flags = n % 30 == 0,
                              .samples = 1,
                              .duration_n = 1,
                              .tfdt_at = 8,
                              .payload_at = 32};
        memset(fragment, (int)(n & 0xff), size);
        uint64_t sum = checksum(fragment, size, n);
        memcpy(fragment, &sum, 8);
        ring_put(&r, &f, fragment, size, 0);
    }
    return n;
}

/* Everywhere in the ring, from the newest to what is about to be overwritten. */
static void read_until_killed(struct count *c)
{
    static uint8_t copy[LARGEST];
    struct ring r;
    struct ring_frag f;
    ring_attach(&r, memory, bytes);
    for (uint64_t back = 0;; back = (back + 7) % ENTRIES) {
        uint64_t head = ring_head(&r), sum;
        if (head <= back || ring_get(&r, head - 1 - back, &f) < 0)
            continue;
        ring_read(&r, &f, copy);
        if (!ring_whole(&r, &f)) {
            c->lapped++;
            continue;
        }
        memcpy(&sum, copy, 8);
        if (f.dts != head - 1 - back || sum != checksum(copy, f.size, f.dts))
            c->torn++;
        c->whole++;
        c->bytes += f.size;
    }
}

static void *shared(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        perror("ringstress: memory");
        exit(1);
    }
    return p;
}

int main(int argc, char **argv)
{
    uint64_t time = 5, many = 16;
    if ((argc > 1 && number_parse(argv[1], 1, 86400, &time) < 0) ||
        (argc > 2 && number_parse(argv[2], 1, READERS_MAX, &many) < 0))
        return 1;
    double duration = (double)time;
    int readers = (int)many;
    struct ring r;
    struct count all = {0};
    pid_t pids[READERS_MAX];
    bytes = ring_bytes(DATA, ENTRIES);
    memory = shared(bytes);
    counts = shared((size_t)readers * sizeof *counts);
    ring_format(&r, memory, DATA, ENTRIES);
    ring_put_init(&r, (const uint8_t *)"init", 4, 1);
    for (int i = 0; i < readers; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            read_until_killed(&counts[i]);
    }
    uint64_t wrote = write_for(duration);
    for (int i = 0; i < readers; i++) {
        if (pids[i] > 0)
            kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
        all.whole += counts[i].whole;
        all.bytes += counts[i].bytes;
        all.lapped += counts[i].lapped;
        all.torn += counts[i].torn;
    }
    printf("1..2\n");
    printf("%sok 1 - %g s, %d readers: %llu fragments written, %llu read (%llu MB), %llu lapped\n",
           wrote > 1000 && all.whole > 1000 && all.lapped > 0 ? "" : "not ", duration, readers,
           (unsigned long long)wrote, (unsigned long long)all.whole,
           (unsigned long long)(all.bytes / 1000000), (unsigned long long)all.lapped);
    printf("%sok 2 - torn and not noticed: %llu\n", all.torn ? "not " : "",
           (unsigned long long)all.torn);
    return all.torn || wrote <= 1000 || all.whole <= 1000 || !all.lapped;
}
