/* A writer that is dead behind any single instruction of publishing a fragment: readers see the
 * ring as it was before or as it is after, never a torn fragment, and the next writer goes on. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "serve/ring.h"
#include "tests/tap.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif

enum {
    DATA = RING_DATA_MIN,
    ENTRIES = 16,
    SIZE = 5000, /* a few of them go round the data, ENTRIES of them round the index too */
    FIRST = 40,
    STEPS_MAX = 100000,
};

static void *shared, *memory; /* the stepped writer's, and the copy that is looked at */
static size_t bytes;
static uint8_t fragment[SIZE];

static void fill(uint8_t *p, uint64_t n)
{
    for (size_t i = 0; i < SIZE; i++)
        p[i] = (uint8_t)(n * 37 + i * 11 + (i >> 8));
}

static int publish(struct ring *r, uint64_t n)
{
    struct ring_frag f = {.dts = n * 3000,
                          .duration = 3000,
                          .flags = n % 5 == 0 ? RING_SYNC : 0,
                          .samples = 1,
                          .tfdt_at = 8,
                          .duration_at = 16,
                          .duration_n = 1,
                          .payload_at = 32};
    return ring_put(r, &f, fragment, SIZE, 0);
}

static int put(struct ring *r, uint64_t n)
{
    fill(fragment, n);
    return publish(r, n);
}

/* How many fragments can be read; -1 when one of them is not what was put in, or a hole is. */
static int readable(const struct ring *r, uint64_t *first)
{
    uint8_t want[SIZE];
    struct ring_frag f;
    int n = 0;
    for (uint64_t i = ring_head(r); i-- > 0 && ring_get(r, i, &f) == 0; n++) {
        fill(want, i);
        if (f.dts != i * 3000 || f.size != SIZE || memcmp(ring_data(r, &f), want, SIZE) != 0)
            return -1;
        *first = i;
    }
    return n;
}

static void prepare(struct ring *r)
{
    ring_format(r, shared, DATA, ENTRIES);
    ring_put_init(r, (const uint8_t *)"init", 4, 90000);
    for (uint64_t n = 0; n < FIRST; n++)
        put(r, n);
}

struct found {
    int whole, key, resumed, after, published, torn;
};

/* What a reader sees behind such a death, and whether the next writer goes on from it. */
static void look(struct found *found)
{
    struct ring reader, writer;
    struct ring_frag f;
    uint64_t first = 0;
    if (ring_attach(&reader, memory, bytes) < 0) {
        found->torn++;
        return;
    }
    uint64_t head = ring_head(&reader);
    int64_t key = ring_last_key(&reader);
    int n = readable(&reader, &first);
    found->published += head == FIRST + 1;
    found->torn += n < 0 || head < FIRST || head > FIRST + 1;
    found->whole += n >= 8;
    found->key += key >= 0 && ring_get(&reader, (uint64_t)key, &f) == 0 && (f.flags & RING_SYNC);
    ring_attach(&writer, memory, bytes);
    ring_resume(&writer);
    found->resumed += ring_last_key(&writer) == (int64_t)((head - 1) / 5 * 5);
    int good = 1;
    for (uint64_t i = head; i < head + ENTRIES; i++) {
        good &= put(&writer, i) == 0;
        int now = readable(&reader, &first);
        good &= now >= 8 && ring_head(&reader) == i + 1;
    }
    found->after += good;
}

/* A child publishes one fragment, an instruction at a time. What is in the ring's memory when it is
 * stopped is what it would leave if it were killed there: a copy of that is looked at. */
static pid_t stepped(struct ring *r)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
            _exit(9);
        raise(SIGSTOP);
        publish(r, FIRST);
        _exit(0);
    }
    return pid;
}

static void every_step(void)
{
    struct ring r;
    struct found found = {0};
    int looks = 0, status;
    prepare(&r);
    fill(fragment, FIRST);
    pid_t pid = stepped(&r);
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFSTOPPED(status)) {
        ok(1, "every step # SKIP no ptrace here");
        return;
    }
    for (; looks < STEPS_MAX; looks++) {
        memcpy(memory, shared, bytes);
        look(&found);
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) < 0 ||
            WIFEXITED(status))
            break;
    }
    ok(WIFEXITED(status) && WEXITSTATUS(status) == 0 && looks > 200,
       "dead behind each of %d instructions", looks);
    looks++;
    ok(found.published > 0 && found.published < looks, "%d times before it was published",
       looks - found.published);
    ok(found.torn == 0, "never a torn fragment");
    ok(found.whole == looks, "what was published is there: %d of %d", found.whole, looks);
    ok(found.key == looks, "the newest keyframe is a keyframe: %d", found.key);
    ok(found.resumed == looks, "and right once the next writer has come: %d", found.resumed);
    ok(found.after == looks, "who goes on: %d", found.after);
}

int main(void)
{
    /* A sanitizer's instructions are many and prove nothing more. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ ||                                 \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    ok(1, "every step # SKIP with a sanitizer");
    return done();
#endif
    bytes = ring_bytes(DATA, ENTRIES);
    shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || memory == MAP_FAILED)
        return 1;
    every_step();
    return done();
}
