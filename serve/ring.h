/* The newest fragments of one stream, in memory: written once, read by any number.
 *
 * The writer never waits and never looks at readers; a reader that is lapped loses. The layout is a
 * wire format, meant to be shared between programs:
 *
 *   0      struct ring_header            magic, version, sizes, tail, head
 *   4096   struct ring_cut[RING_CUTS]    the newest segments, cut for HLS: cut.h
 *   12288  struct ring_init[INIT_SLOTS]  the init segment of each epoch still reachable
 *   ...    struct ring_slot[entries]     the index: fragment i is in slot i % entries
 *   ...    data                          data_bytes of fragments, each in one piece
 *
 * Positions are absolute: byte p lies at p % data_bytes, and everything below `tail` may have been
 * overwritten. `head` counts fragments published; they are numbered from 0.
 *
 * Order. Writer: tail (relaxed), release fence, bytes and index slot, head (release). Reader: head
 * (acquire), slot and bytes, acquire fence, tail and head again. A reader that finds its fragment
 * at or above tail, and its slot not yet reused, has read what was written.
 *
 * A writer that dies leaves nothing half done that a reader could see: what it was writing lies
 * above the newest fragment and below nobody's tail, and the next writer goes on from there. */
#ifndef SERVE_RING_H
#define SERVE_RING_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RING_VERSION = 2,
    RING_INIT_SLOTS = 8,
    RING_INIT_BYTES = 16368, /* the longest init segment a ring takes */
    RING_WORDS = 10,         /* of an index slot */
    RING_CUTS = 128,         /* segments in the table */
    RING_CUT_WORDS = 8,      /* of one of them */
    RING_ENTRIES = 8192,     /* 34 s at 240 frames a second, 4.5 min at 30 */
    RING_DATA_BYTES = 32 << 20,
    RING_ENTRIES_MIN = 16,
    RING_ENTRIES_MAX = 1 << 20,
    RING_DATA_MIN = 64 << 10,
    RING_SYNC = 1, /* flag: the first sample is a sync sample */
};

/* A ring is mapped as a whole: where addresses have 32 bits it must leave room for more. */
#define RING_DATA_MAX ((uint64_t)(SIZE_MAX > UINT32_MAX ? 16 : 1) << 30)
#define RING_MAGIC    0x676e697234706d66u /* "fmp4ring" */

struct ring_header {
    uint64_t magic;
    uint32_t version;
    uint32_t entries;
    uint64_t data_bytes;
    uint64_t data_at;            /* offset of the data from the start */
    _Atomic uint64_t tail;       /* the oldest byte that is still whole */
    _Atomic uint64_t head;       /* fragments published */
    _Atomic uint64_t last_key;   /* number of the newest sync fragment, plus 1; 0 = none yet */
    _Atomic uint32_t epoch;      /* of the newest init segment; 0 = none yet */
    _Atomic uint32_t wake;       /* futex: goes up with every fragment, and when superseded */
    _Atomic int64_t published;   /* CLOCK_MONOTONIC, us: when the newest fragment came */
    _Atomic uint32_t superseded; /* 1: another ring has taken this one's name */
    uint32_t first_epoch;        /* what the first init segment is called; 0 is 1 */
    /* cut.h's */
    _Atomic uint64_t cut_next;        /* media sequence number of the segment that is next to end */
    uint64_t cut_first;               /* and of the first there was */
    uint64_t discontinuities;         /* of the newest segment */
    _Atomic uint32_t target_duration; /* seconds; 0: not known yet */
    _Atomic uint32_t dependent;       /* 1: a segment began without a keyframe */
    uint32_t target_ms;               /* what its writer wants segments to last; 0: none has said */
    uint32_t reserved;
};

struct ring_cut {
    _Atomic uint64_t word[RING_CUT_WORDS];
};

struct ring_init {
    _Atomic uint32_t epoch; /* 0 = empty */
    _Atomic uint32_t size;
    _Atomic uint32_t timescale;
    uint32_t reserved;
    uint8_t bytes[RING_INIT_BYTES];
};

struct ring_slot {
    _Atomic uint64_t word[RING_WORDS];
};

static_assert(sizeof(struct ring_header) == 120, "wire format");
static_assert(offsetof(struct ring_header, tail) == 32, "wire format");
static_assert(offsetof(struct ring_header, head) == 40, "wire format");
static_assert(offsetof(struct ring_header, epoch) == 56, "wire format");
static_assert(offsetof(struct ring_header, wake) == 60, "wire format");
static_assert(offsetof(struct ring_header, superseded) == 72, "wire format");
static_assert(offsetof(struct ring_header, cut_next) == 80, "wire format");
static_assert(offsetof(struct ring_header, target_duration) == 104, "wire format");
static_assert(sizeof(struct ring_cut) == 64, "wire format");
static_assert(sizeof(struct ring_init) == 16384, "wire format");
static_assert(sizeof(struct ring_slot) == 80, "wire format");
/* A lock would be one of each process for itself. ARM has them from v7 on, x86 from i586 on, and
 * whatever has 64 bits; 32-bit PowerPC and MIPS have not. */
static_assert(ATOMIC_LLONG_LOCK_FREE == 2,
              "no ring on this processor: its 64-bit atomics are not lock-free");

/* A fragment as the index describes it, so that no reader parses a box. */
struct ring_frag {
    uint64_t pos;      /* absolute position of its first byte */
    uint64_t dts;      /* ticks */
    uint64_t utc_us;   /* capture time of its first sample, or 0 */
    uint32_t size;     /* bytes */
    uint32_t duration; /* ticks, all samples */
    uint32_t epoch;
    uint32_t flags; /* RING_SYNC */
    uint16_t samples;
    uint16_t moof_at, sequence_at, tfdt_at, payload_at; /* from the fragment's first byte */
    uint16_t duration_at, duration_n, duration_step;    /* 32-bit sample durations */
    uint16_t flags_at, flags_n, flags_step;             /* 32-bit sample flags */
    uint16_t first_flags_at;                            /* or 0 */
    uint16_t offset_at, offset_n, offset_step;          /* 32-bit composition offsets */
    uint16_t trun_version_at;                           /* 8 bits; above 0 they are signed */
};

struct ring {
    struct ring_header *header;
    struct ring_cut *cut;
    struct ring_init *init;
    struct ring_slot *slot;
    uint8_t *data;
    uint64_t data_bytes; /* of the header, checked: what is shared may change under us */
    uint32_t entries;
    uint64_t next; /* writer: where the next fragment goes */
};

/* Bytes of memory a ring takes. */
size_t ring_bytes(uint64_t data_bytes, uint32_t entries);

/* Makes an empty ring in zeroed memory of ring_bytes(), page-aligned, and attaches to it as its
 * writer. */
void ring_format(struct ring *r, void *memory, uint64_t data_bytes, uint32_t entries);

/* Attaches to a ring that is there, in memory[0, bytes); a reader's may be read-only. Returns -1
 * when it is none: another magic, version or size. */
int ring_attach(struct ring *r, void *memory, size_t bytes);

/* The writer goes on where another stopped, wherever that was. */
void ring_resume(struct ring *r);

/* Publishes an init segment: the fragments put from now on belong to a new epoch. Returns -1 when
 * it is longer than RING_INIT_BYTES. */
int ring_put_init(struct ring *r, const uint8_t *bytes, size_t size, uint32_t timescale);

/* Publishes a fragment at `now` (CLOCK_MONOTONIC, us); pos, size and epoch of *frag are set here.
 * Returns -1 when it is longer than a quarter of the ring, or there is no init segment yet. */
int ring_put(struct ring *r, struct ring_frag *frag, const uint8_t *bytes, size_t size,
             int64_t now);

/* Readers. */
static inline uint64_t ring_head(const struct ring *r)
{
    return atomic_load_explicit(&r->header->head, memory_order_acquire);
}
/* Number of the newest sync fragment; -1 when there is none. */
int64_t ring_last_key(const struct ring *r);
/* Looks fragment i up. Returns -1 when it is not there: not yet, or no more. What it says has been
 * checked: every offset lies inside the fragment, the fragment inside the ring. */
int ring_get(const struct ring *r, uint64_t i, struct ring_frag *frag);
/* Copies all its bytes. The writer may be going over them: ask ring_whole() afterwards. */
void ring_read(const struct ring *r, const struct ring_frag *frag, uint8_t *out);
static inline const uint8_t *ring_data(const struct ring *r, const struct ring_frag *frag)
{
    return r->data + frag->pos % r->data_bytes;
}
/* The fragment's bytes have not been overwritten up to now. */
static inline int ring_whole(const struct ring *r, const struct ring_frag *frag)
{
    atomic_thread_fence(memory_order_acquire);
    return frag->pos >= atomic_load_explicit(&r->header->tail, memory_order_relaxed);
}
/* The same, with at least an eighth of the ring to go: reading may begin. */
static inline int ring_safe(const struct ring *r, const struct ring_frag *frag)
{
    uint64_t tail = atomic_load_explicit(&r->header->tail, memory_order_relaxed);
    return tail == 0 || frag->pos >= tail + r->data_bytes / 8;
}
/* Copies the init segment of an epoch. Returns -1 when it is no more. What was copied is whole, and
 * does not change under whoever parses it. */
int ring_copy_init(const struct ring *r, uint32_t epoch, struct ring_init *copy);
/* The init segment of an epoch, or NULL when it is no more. It may be overwritten while it is read:
 * for its writer, and for what needs no more than one of its numbers. */
const struct ring_init *ring_init_of(const struct ring *r, uint32_t epoch);

#endif
