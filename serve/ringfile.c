#include "serve/ringfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "capture/exit.h"
#include "serve/cut.h"

#define SHARED_DIR "/dev/shm/fmp4streamer"

/* Less than the second in which whoever waits looks again. */
enum { NAME_LOOK_US = 900000 };

enum { WRITER_LOCK = 0, CREATE_TRIES = 16, RING_MODE = 0640, CTL_MODE = 0660, DIR_MODE = 0755 };

int ringfile_name_ok(const char *name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t n = strlen(name);
    return n > 0 && n <= RINGFILE_NAME_MAX && strspn(name, allowed) == n;
}

static int fail(struct ringfile *rf, int e, const char *why)
{
    ringfile_close(rf);
    rf->why = why;
    errno = e;
    return -1;
}

static int is_roots(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == 0;
}

static int has_ring(const char *dir, const char *name)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%s/fmp4streamer/%s.ring", dir, name);
    return n > 0 && n < (int)sizeof path && access(path, F_OK) == 0;
}

/* Beside root's rings a user may have some of his own, and write only there. */
static int is_private(const char *run, const char *name, int make)
{
    if (geteuid() == 0 || !run || !*run)
        return 0;
    if (!is_roots(SHARED_DIR))
        return 1;
    return make ? access(SHARED_DIR, W_OK) < 0 : has_ring(run, name);
}

/* The directory of that ring; a writer makes it. Never one that others could have put there. */
static int find_dir(char *out, size_t cap, const char *name, int make)
{
    const char *given = getenv("FMP4STREAMER_RINGS"), *run = getenv("XDG_RUNTIME_DIR");
    int n;
    if (given && *given)
        n = snprintf(out, cap, "%s", given);
    else if (is_private(run, name, make))
        n = snprintf(out, cap, "%s/fmp4streamer", run);
    else
        n = snprintf(out, cap, SHARED_DIR);
    if (n < 0 || (size_t)n >= cap) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (make && mkdir(out, DIR_MODE) < 0 && errno != EEXIST)
        return -1;
    if (make && geteuid() == 0 && strcmp(out, SHARED_DIR) == 0 && !is_roots(out)) {
        errno = EPERM;
        return -1;
    }
    return 0;
}

void ringfile_remove(const char *name)
{
    char dir[PATH_MAX], path[2 * PATH_MAX];
    if (find_dir(dir, sizeof dir, name, 1) < 0)
        return;
    snprintf(path, sizeof path, "%s/%s.ring", dir, name);
    unlink(path);
    snprintf(path, sizeof path, "%s/%s.ctl", dir, name);
    unlink(path);
}

int ringfile_dir(char *out, size_t size)
{
    return find_dir(out, size, NULL, 1);
}

static int set_path(struct ringfile *rf, const char *name, const char *suffix, int make)
{
    char dir[PATH_MAX];
    if (find_dir(dir, sizeof dir, name, make) < 0) {
        snprintf(rf->path, sizeof rf->path, "%s", dir);
        return -1;
    }
    int n = snprintf(rf->path, sizeof rf->path, "%s/%s%s", dir, name, suffix);
    if (n < 0 || (size_t)n >= sizeof rf->path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return 0;
}

static int lock(int fd, int command, short type, off_t at)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    return fcntl(fd, command, &l);
}

static void begin(struct ringfile *rf)
{
    memset(rf, 0, sizeof *rf);
    rf->fd = rf->ctl_fd = -1;
}

/* The control file has one size for ever, so that it can be made by whoever comes first. */
static int open_ctl(struct ringfile *rf, const char *name, int make)
{
    struct stat st;
    if (set_path(rf, name, ".ctl", make) < 0)
        return -1;
    /* Not made where it is there: in a directory with the sticky bit the kernel forbids that for
     * what is another's. */
    rf->ctl_fd = open(rf->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (rf->ctl_fd < 0 && errno == ENOENT && make) {
        mode_t mask = umask(0);
        rf->ctl_fd = open(rf->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_CREAT, CTL_MODE);
        umask(mask);
    }
    if (rf->ctl_fd < 0)
        return -1;
    if (fstat(rf->ctl_fd, &st) < 0 || (st.st_size < RING_CTL_BYTES && !make)) {
        errno = EINVAL;
        return -1;
    }
    int e = make ? posix_fallocate(rf->ctl_fd, 0, RING_CTL_BYTES) : 0;
    if (e) {
        errno = e;
        return -1;
    }
    void *p = mmap(NULL, RING_CTL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, rf->ctl_fd, 0);
    if (p == MAP_FAILED)
        return -1;
    rf->ctl = p;
    if (make) {
        rf->ctl->magic = RING_CTL_MAGIC;
        rf->ctl->version = RING_CTL_VERSION;
        rf->ctl->slots = RING_VIEWER_SLOTS;
    }
    if (rf->ctl->magic != RING_CTL_MAGIC || rf->ctl->version != RING_CTL_VERSION) {
        errno = EINVAL;
        return -1;
    }
    return 0;
}

static const char *guarded;

static void on_sigbus(int sig)
{
    static const char text[] = ": a ring's file has been cut short\n";
    (void)sig;
    if (write(STDERR_FILENO, guarded, strlen(guarded)) < 0 ||
        write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(EXIT_AGAIN);
    _exit(EXIT_AGAIN);
}

void ringfile_guard(const char *tool)
{
    const struct sigaction sa = {.sa_handler = on_sigbus};
    guarded = tool;
    sigaction(SIGBUS, &sa, NULL);
}

static int map_ring(struct ringfile *rf, int protection)
{
    struct stat st;
    if (fstat(rf->fd, &st) < 0)
        return -1;
    if (!S_ISREG(st.st_mode) || st.st_size <= 0) {
        errno = EINVAL;
        return -1;
    }
    rf->bytes = (size_t)st.st_size;
    void *p = mmap(NULL, rf->bytes, protection, MAP_SHARED, rf->fd, 0);
    if (p == MAP_FAILED)
        return -1;
    rf->map = p;
    return 0;
}

static void unmap_ring(struct ringfile *rf)
{
    if (rf->map)
        munmap(rf->map, rf->bytes);
    if (rf->fd >= 0)
        close(rf->fd);
    rf->map = NULL;
    rf->fd = -1;
}

void ringfile_close(struct ringfile *rf)
{
    int e = errno;
    unmap_ring(rf);
    if (rf->ctl)
        munmap(rf->ctl, RING_CTL_BYTES);
    if (rf->ctl_fd >= 0)
        close(rf->ctl_fd);
    rf->ctl = NULL;
    rf->ctl_fd = -1;
    errno = e;
}

/* The file that has the name now is the one this descriptor is of; -1: none has it. */
static int has_the_name(const struct ringfile *rf)
{
    struct stat by_name, by_fd;
    if (stat(rf->path, &by_name) < 0)
        return errno == ENOENT ? -1 : 1;
    return fstat(rf->fd, &by_fd) == 0 && by_name.st_ino == by_fd.st_ino &&
           by_name.st_dev == by_fd.st_dev;
}

/* A whole new ring under a name of its own, locked and formatted before anybody can see it. All of
 * its memory is taken here: a full /dev/shm is an error now, not a SIGBUS later. */
static int make_ring(struct ringfile *rf, const char *temporary, uint64_t data_bytes,
                     uint32_t entries)
{
    size_t bytes = ring_bytes(data_bytes, entries);
    unlink(temporary);
    rf->fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, RING_MODE);
    if (rf->fd < 0)
        return -1;
    int e = posix_fallocate(rf->fd, 0, (off_t)bytes);
    if (e) {
        errno = e;
        return -1;
    }
    if (lock(rf->fd, F_OFD_SETLK, F_WRLCK, WRITER_LOCK) < 0 ||
        map_ring(rf, PROT_READ | PROT_WRITE) < 0)
        return -1;
    ring_format(&rf->ring, rf->map, data_bytes, entries);
    return 0;
}

void ringfile_number(struct ring *r, const struct ring *old)
{
    struct timespec t;
    uint32_t chance = 0;
    clock_gettime(CLOCK_REALTIME, &t);
    if (getrandom(&chance, sizeof chance, GRND_NONBLOCK) < 0)
        chance = (uint32_t)t.tv_nsec; /* too early after a boot */
    cut_number(r, old, t.tv_sec > 0 ? (uint64_t)t.tv_sec : 0, chance);
}

/* Puts a new ring in the place of `old` (or of nothing) and tells those who read the old one. */
static int replace_ring(struct ringfile *rf, struct ringfile *old, uint64_t data_bytes,
                        uint32_t entries)
{
    char temporary[PATH_MAX + 8];
    snprintf(temporary, sizeof temporary, "%s.new", rf->path);
    int made = make_ring(rf, temporary, data_bytes, entries);
    if (made == 0)
        ringfile_number(&rf->ring, old->ring.header ? &old->ring : NULL);
    if (made < 0 || rename(temporary, rf->path) < 0) {
        int e = errno;
        unlink(temporary);
        errno = e;
        return -1;
    }
    if (old->map && old->bytes >= sizeof(struct ring_header)) {
        struct ring_header *h = old->map;
        atomic_store(&h->superseded, 1);
        atomic_fetch_add(&h->wake, 1);
        old->ring.header = h;
        ringfile_wake(old);
    }
    unmap_ring(old);
    return 0;
}

/* One try. 1: the name changed hands meanwhile, again. */
static int try_create(struct ringfile *rf, uint64_t data_bytes, uint32_t entries)
{
    struct ringfile old;
    begin(&old);
    rf->fd = open(rf->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, RING_MODE);
    if (rf->fd < 0)
        return -1;
    if (lock(rf->fd, F_OFD_SETLK, F_WRLCK, WRITER_LOCK) < 0) {
        if (errno == EAGAIN || errno == EACCES)
            errno = EBUSY;
        return -1;
    }
    if (has_the_name(rf) != 1) {
        unmap_ring(rf);
        return 1;
    }
    int is_ring = map_ring(rf, PROT_READ | PROT_WRITE) == 0 &&
                  ring_attach(&rf->ring, rf->map, rf->bytes) == 0;
    if (is_ring && rf->ring.data_bytes == data_bytes && rf->ring.entries == entries) {
        ring_resume(&rf->ring);
        return 0;
    }
    if (is_ring)
        old.ring = rf->ring;
    old.fd = rf->fd;
    old.map = rf->map;
    old.bytes = rf->bytes;
    rf->fd = -1;
    rf->map = NULL;
    int r = replace_ring(rf, &old, data_bytes, entries);
    unmap_ring(&old);
    return r;
}

int ringfile_create(struct ringfile *rf, const char *name, uint64_t data_bytes, uint32_t entries)
{
    begin(rf);
    if (open_ctl(rf, name, 1) < 0)
        return fail(rf, errno, NULL);
    if (set_path(rf, name, ".ring", 1) < 0)
        return fail(rf, errno, NULL);
    for (int i = 0; i < CREATE_TRIES; i++) {
        int r = try_create(rf, data_bytes, entries);
        if (r < 0)
            return fail(rf, errno, errno == EBUSY ? "another program is writing it" : NULL);
        if (r == 0)
            return 0;
    }
    return fail(rf, EBUSY, "its name keeps changing hands");
}

int ringfile_open(struct ringfile *rf, const char *name)
{
    begin(rf);
    if (set_path(rf, name, ".ring", 0) < 0)
        return fail(rf, errno, NULL);
    rf->fd = open(rf->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (rf->fd < 0)
        return fail(rf, errno, NULL);
    struct stat st;
    if (fstat(rf->fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0)
        return fail(rf, ENOENT, NULL); /* a writer is about to put a ring in its place */
    if (map_ring(rf, PROT_READ) < 0)
        return fail(rf, errno, NULL);
    if (ring_attach(&rf->ring, rf->map, rf->bytes) < 0)
        return fail(rf, EINVAL, "not a ring of this version");
    char path[PATH_MAX];
    memcpy(path, rf->path, sizeof path);
    if (open_ctl(rf, name, 0) < 0 && errno != EACCES && errno != ENOENT)
        return fail(rf, errno, "not a control file of this version");
    memcpy(rf->path, path, sizeof path);
    return 0;
}

int ringfile_control(struct ringfile *rf, const char *name)
{
    begin(rf);
    return open_ctl(rf, name, 1) < 0 ? fail(rf, errno, NULL) : 0;
}

/* 32-bit machines have two of them, and which struct timespec is the C library's may be chosen. */
#ifdef SYS_futex_time64
#define FUTEX (sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex)
#else
#define FUTEX SYS_futex
#endif

static void futex(_Atomic uint32_t *word, int operation, uint32_t value, const struct timespec *ts)
{
    syscall(FUTEX, word, operation, value, ts, NULL, 0);
}

void ringfile_wake(const struct ringfile *rf)
{
    futex(&rf->ring.header->wake, FUTEX_WAKE, INT_MAX, NULL);
}

void ringfile_wait(const struct ringfile *rf, uint32_t seen, int ms)
{
    const struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    futex(&rf->ring.header->wake, FUTEX_WAIT, seen, &ts);
}

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int ringfile_superseded(struct ringfile *rf)
{
    if (atomic_load_explicit(&rf->ring.header->superseded, memory_order_acquire) || rf->lost_name)
        return 1;
    /* A writer may have died between taking the name and saying so. That is rare: this is asked
     * with every fragment, the file system is not. */
    int64_t now = now_us();
    if (now - rf->name_seen < NAME_LOOK_US)
        return 0;
    rf->name_seen = now;
    rf->lost_name = has_the_name(rf) == 0;
    return rf->lost_name;
}

/* Slots are tried from where the process before left off, so that a free one is found at once. */
int ringfile_join(struct ringfile *rf)
{
    if (!rf->ctl)
        return -1;
    uint32_t from = atomic_fetch_add(&rf->ctl->joins, 1);
    for (uint32_t i = 0; i < RING_VIEWER_SLOTS; i++) {
        int slot = (int)((from + i) % RING_VIEWER_SLOTS);
        if (rf->mine[slot / 8] & 1 << slot % 8)
            continue;
        if (lock(rf->ctl_fd, F_OFD_SETLK, F_WRLCK, RING_CTL_BYTES + slot) == 0) {
            rf->mine[slot / 8] |= (uint8_t)(1 << slot % 8);
            futex(&rf->ctl->joins, FUTEX_WAKE, INT_MAX, NULL);
            return slot;
        }
    }
    return -1;
}

void ringfile_leave(struct ringfile *rf, int slot)
{
    if (slot < 0 || rf->ctl_fd < 0)
        return;
    lock(rf->ctl_fd, F_OFD_SETLK, F_UNLCK, RING_CTL_BYTES + slot);
    rf->mine[slot / 8] &= (uint8_t) ~(1 << slot % 8);
}

void ringfile_wait_join(const struct ringfile *rf, uint32_t seen, int ms)
{
    const struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    futex(&rf->ctl->joins, FUTEX_WAIT, seen, &ts);
}

int ringfile_watched(const struct ringfile *rf)
{
    struct flock l = {.l_type = F_WRLCK,
                      .l_whence = SEEK_SET,
                      .l_start = RING_CTL_BYTES,
                      .l_len = RING_VIEWER_SLOTS};
    return fcntl(rf->ctl_fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

void ringfile_want_key(struct ringfile *rf)
{
    if (!rf->ctl)
        return;
    atomic_fetch_add(&rf->ctl->key_wanted, 1);
    futex(&rf->ctl->joins, FUTEX_WAKE, INT_MAX, NULL);
}
