/* A ring under a name, in files that several programs map: NAME.ring, which only the writer may
 * change, and NAME.ctl, in which readers say what they want.
 *
 * They lie in the directory $FMP4STREAMER_RINGS names; else in /dev/shm/fmp4streamer, where root
 * has made it and this user may write or has no ring of that name; else in
 * $XDG_RUNTIME_DIR/fmp4streamer.
 *
 * NAME.ctl:
 *
 *   0      struct ring_ctl
 *   4096   viewer slots, one byte each: taken while somebody holds the lock on that byte, so that
 *          the kernel frees the slots of one that dies. The bytes themselves are never written.
 *
 * Locks are open file description locks (F_OFD_SETLK): they belong to the descriptor, and go when
 * its last copy is closed. */
#ifndef SERVE_RINGFILE_H
#define SERVE_RINGFILE_H

#include <assert.h>
#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/ring.h"

enum {
    RINGFILE_NAME_MAX = 32, /* characters, of A-Z a-z 0-9 _ - */
    RING_CTL_BYTES = 4096,
    RING_CTL_VERSION = 1,
    RING_VIEWER_SLOTS = 4096,
};

#define RING_CTL_MAGIC 0x6c746334706d6600u /* "\0fmp4ctl" */

struct ring_ctl {
    uint64_t magic;
    uint32_t version;
    uint32_t slots;
    _Atomic uint32_t joins;      /* futex: viewers that came, ever */
    _Atomic uint32_t key_wanted; /* how often somebody asked for a keyframe */
};

static_assert(sizeof(struct ring_ctl) == 24, "wire format");
static_assert(offsetof(struct ring_ctl, key_wanted) == 20, "wire format");

struct ringfile {
    struct ring ring;
    struct ring_ctl *ctl; /* NULL: a reader that may not write there */
    int fd, ctl_fd;       /* -1: not open */
    void *map;
    size_t bytes;
    char path[PATH_MAX]; /* of NAME.ring; when something failed, of what failed */
    int64_t name_seen;   /* reader, CLOCK_MONOTONIC, us: when the name was last looked at */
    int lost_name;       /* reader: another file had it then */
    const char *why;     /* what failed, where errno does not say it; or NULL */
    uint8_t mine[RING_VIEWER_SLOTS /
                 8]; /* slots held through ctl_fd: a lock does not keep itself out */
};

/* The directory that a writer's rings would be in, made where it is missing. Returns 0, or -1 with
 * errno. */
int ringfile_dir(char *out, size_t size);

/* Removes the files of a ring that nobody needs any more: who has it open keeps it until he ends.
 */
void ringfile_remove(const char *name);

/* 1 when the name is one. */
int ringfile_name_ok(const char *name);

/* Opens a ring as its writer: makes it where there is none, goes on with one of the same size, puts
 * one of another size in its place. Only one writer can have it open. Returns 0, or -1 with errno
 * and rf->why; EBUSY: there is another writer. data_bytes: RING_DATA_MIN to RING_DATA_MAX. */
int ringfile_create(struct ringfile *rf, const char *name, uint64_t data_bytes, uint32_t entries);

/* Makes the numbers of a new ring, as cut_number() says, from the clock. */
void ringfile_number(struct ring *r, const struct ring *old);

/* A ring's file that is cut short under who has mapped it would kill with a core: one line that
 * names the tool, and exit 111, instead. */
void ringfile_guard(const char *tool);

/* Opens a ring as a reader. ENOENT: there is none yet. EINVAL: it is no ring, or its files are
 * damaged. */
int ringfile_open(struct ringfile *rf, const char *name);

/* Opens only the control file, and makes it where there is none: for who stands in front of a ring.
 * Nothing but the functions below that are about viewers and keyframes may be called then. */
int ringfile_control(struct ringfile *rf, const char *name);

/* Unmaps and closes; a slot or the writer's place is free then. */
void ringfile_close(struct ringfile *rf);

/* Writer: tells the readers that wait that something is new. */
void ringfile_wake(const struct ringfile *rf);

/* Reader: `seen` is ring.header->wake as it was before looking; returns when it has changed, or
 * after `ms` at the latest. */
void ringfile_wait(const struct ringfile *rf, uint32_t seen, int ms);

/* Reader: another ring has taken the name; this one gets no more. Cheap: its writer says so in the
 * ring; one that died before it could is found out about a second later. */
int ringfile_superseded(struct ringfile *rf);

/* A viewer of this reader has come. Returns its slot, or -1 when all are taken. */
int ringfile_join(struct ringfile *rf);
void ringfile_leave(struct ringfile *rf, int slot);

/* Whether any viewer is there, of whatever program but through this descriptor. */
int ringfile_watched(const struct ringfile *rf);

/* Returns when ctl->joins is not `seen` any more, a keyframe is wanted, a signal came, or after
 * `ms` at the latest. */
void ringfile_wait_join(const struct ringfile *rf, uint32_t seen, int ms);

/* A keyframe is wanted as soon as can be. */
void ringfile_want_key(struct ringfile *rf);

#endif
