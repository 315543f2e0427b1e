#include "serve/camera.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { WAIT_MS = 1000, STACK = 64 << 10 };

static void *zeroed(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

int camera_private(struct camera *c)
{
    void *p = zeroed(ring_bytes(RING_DATA_BYTES, RING_ENTRIES));
    if (!p)
        return -1;
    ring_format(&c->ring, p, RING_DATA_BYTES, RING_ENTRIES);
    ringfile_number(&c->ring, NULL);
    c->there = 1;
    c->event = -1;
    return 0;
}

/* What stands for a ring that is not there: one in which nothing ever comes. */
static int set_empty(struct camera *c)
{
    static void *nothing;
    if (!nothing)
        nothing = zeroed(ring_bytes(RING_DATA_MIN, RING_ENTRIES_MIN));
    if (!nothing)
        return -1;
    ring_format(&c->ring, nothing, RING_DATA_MIN, RING_ENTRIES_MIN);
    return 0;
}

static void pause_ms(long ms)
{
    const struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&ts, NULL);
}

/* The thread has a mapping of its own, so that neither it nor the loop can pull the ring away from
 * under the other. */
static void *watch(void *arg)
{
    struct camera *c = arg;
    const uint64_t one = 1;
    for (;;) {
        struct ringfile rf;
        if (ringfile_open(&rf, c->name) < 0) {
            pause_ms(CAMERA_RETRY_MS);
            continue;
        }
        if (ringfile_superseded(&rf)) /* and nothing has taken its place */
            pause_ms(CAMERA_RETRY_MS);
        uint32_t seen = atomic_load(&rf.ring.header->wake) - 1;
        while (!ringfile_superseded(&rf)) {
            uint32_t wake = atomic_load_explicit(&rf.ring.header->wake, memory_order_acquire);
            if (wake == seen) {
                ringfile_wait(&rf, seen, WAIT_MS);
                continue;
            }
            seen = wake;
            if (write(c->event, &one, sizeof one) < 0 && errno != EAGAIN)
                return NULL;
        }
        ringfile_close(&rf);
        if (write(c->event, &one, sizeof one) < 0 && errno != EAGAIN)
            return NULL;
    }
}

int camera_named(struct camera *c, const char *name)
{
    pthread_attr_t attr;
    pthread_t thread;
    memcpy(c->name, name, strlen(name) + 1);
    c->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (c->event < 0 || set_empty(c) < 0)
        return -1;
    camera_look(c);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    int e = pthread_create(&thread, &attr, watch, c);
    pthread_attr_destroy(&attr);
    errno = e;
    return e ? -1 : 0;
}

int camera_look(struct camera *c)
{
    int changed = 0;
    if (!c->name[0] || (c->there && !ringfile_superseded(&c->file)))
        return 0;
    if (c->there) {
        ringfile_close(&c->file);
        set_empty(c);
        c->there = 0;
        changed = 1;
    }
    if (ringfile_open(&c->file, c->name) == 0) {
        c->ring = c->file.ring;
        c->there = 1;
        changed = 1;
    }
    return changed;
}

int camera_fresh(const struct camera *c, int64_t now)
{
    int64_t published = atomic_load_explicit(&c->ring.header->published, memory_order_relaxed);
    return ring_head(&c->ring) && now - published < CAMERA_STALE_US;
}
