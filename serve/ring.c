#include "serve/ring.h"

#include <string.h>

enum { PAGE = 4096 };

/* The writer may go over bytes that a reader is copying: the reader finds out afterwards, by fences
 * and tail. ThreadSanitizer knows nothing of fences and would call it a race; for it these bytes,
 * and no others, are atomic one by one. */
#if defined __SANITIZE_THREAD__
#define BYTES_ATOMIC 1
#elif defined __has_feature
#if __has_feature(thread_sanitizer)
#define BYTES_ATOMIC 1
#endif
#endif

#ifdef BYTES_ATOMIC
static void store_bytes(uint8_t *shared, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        atomic_store_explicit((_Atomic uint8_t *)shared + i, from[i], memory_order_relaxed);
}

static void load_bytes(uint8_t *to, const uint8_t *shared, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = atomic_load_explicit((const _Atomic uint8_t *)shared + i, memory_order_relaxed);
}
#else
static void store_bytes(uint8_t *shared, const uint8_t *from, size_t n)
{
    memcpy(shared, from, n);
}

static void load_bytes(uint8_t *to, const uint8_t *shared, size_t n)
{
    memcpy(to, shared, n);
}
#endif

static size_t init_at(void)
{
    return PAGE + RING_CUTS * sizeof(struct ring_cut);
}

static size_t index_at(void)
{
    return init_at() + RING_INIT_SLOTS * sizeof(struct ring_init);
}

static size_t data_at(uint32_t entries)
{
    size_t at = index_at() + entries * sizeof(struct ring_slot);
    return (at + PAGE - 1) / PAGE * PAGE;
}

size_t ring_bytes(uint64_t data_bytes, uint32_t entries)
{
    return data_at(entries) + (size_t)data_bytes;
}

static void lay_out(struct ring *r, void *memory, uint64_t data_bytes, uint32_t entries)
{
    uint8_t *base = memory;
    r->header = memory;
    r->cut = (struct ring_cut *)(void *)(base + PAGE);
    r->init = (struct ring_init *)(void *)(base + init_at());
    r->slot = (struct ring_slot *)(void *)(base + index_at());
    r->data = base + data_at(entries);
    r->data_bytes = data_bytes;
    r->entries = entries;
    r->next = 0;
}

void ring_format(struct ring *r, void *memory, uint64_t data_bytes, uint32_t entries)
{
    lay_out(r, memory, data_bytes, entries);
    r->header->magic = RING_MAGIC;
    r->header->version = RING_VERSION;
    r->header->entries = entries;
    r->header->data_bytes = data_bytes;
    r->header->data_at = data_at(entries);
}

int ring_attach(struct ring *r, void *memory, size_t bytes)
{
    const struct ring_header *h = memory;
    if (bytes < PAGE || h->magic != RING_MAGIC || h->version != RING_VERSION)
        return -1;
    uint32_t entries = h->entries;
    uint64_t data_bytes = h->data_bytes;
    if (entries < RING_ENTRIES_MIN || entries > RING_ENTRIES_MAX || data_bytes < RING_DATA_MIN ||
        data_bytes > RING_DATA_MAX || h->data_at != data_at(entries) ||
        bytes != ring_bytes(data_bytes, entries))
        return -1;
    lay_out(r, memory, data_bytes, entries);
    return 0;
}

/* A writer may have died behind `tail`, behind the bytes or behind head: the newest fragment in the
 * index says where it stood, and the keyframe is looked for again. */
void ring_resume(struct ring *r)
{
    struct ring_header *h = r->header;
    struct ring_frag f;
    uint64_t head = ring_head(r);
    r->next = 0;
    if (head && ring_get(r, head - 1, &f) == 0)
        r->next = f.pos + f.size;
    else /* nothing that can be read: begin above all that may be believed to be there */
        r->next = atomic_load_explicit(&h->tail, memory_order_relaxed) + r->data_bytes;
    for (uint64_t i = head; i-- > 0 && ring_get(r, i, &f) == 0;) {
        if (f.flags & RING_SYNC) {
            atomic_store_explicit(&h->last_key, i + 1, memory_order_release);
            break;
        }
    }
}

int ring_put_init(struct ring *r, const uint8_t *bytes, size_t size, uint32_t timescale)
{
    if (size > RING_INIT_BYTES)
        return -1;
    uint32_t epoch = atomic_load_explicit(&r->header->epoch, memory_order_relaxed) + 1;
    if (epoch == 1 && r->header->first_epoch)
        epoch = r->header->first_epoch;
    struct ring_init *slot = &r->init[epoch % RING_INIT_SLOTS];
    atomic_store_explicit(&slot->epoch, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    store_bytes(slot->bytes, bytes, size);
    atomic_store_explicit(&slot->size, (uint32_t)size, memory_order_relaxed);
    atomic_store_explicit(&slot->timescale, timescale, memory_order_relaxed);
    atomic_store_explicit(&slot->epoch, epoch, memory_order_release);
    atomic_store_explicit(&r->header->epoch, epoch, memory_order_release);
    return 0;
}

/* The index slot's words, in the order of struct ring_frag. */
static void pack(const struct ring_frag *f, uint64_t w[RING_WORDS])
{
    w[0] = f->pos;
    w[1] = f->dts;
    w[2] = f->utc_us;
    w[3] = (uint64_t)f->size << 32 | f->duration;
    w[4] = (uint64_t)f->epoch << 32 | f->flags;
    w[5] = (uint64_t)f->samples << 48 | (uint64_t)f->moof_at << 32 |
           (uint64_t)f->sequence_at << 16 | f->tfdt_at;
    w[6] = (uint64_t)f->payload_at << 48 | (uint64_t)f->duration_at << 32 |
           (uint64_t)f->duration_n << 16 | f->duration_step;
    w[7] = (uint64_t)f->flags_at << 48 | (uint64_t)f->flags_n << 32 |
           (uint64_t)f->flags_step << 16 | f->first_flags_at;
    w[8] = (uint64_t)f->offset_at << 48 | (uint64_t)f->offset_n << 32 |
           (uint64_t)f->offset_step << 16 | f->trun_version_at;
    w[9] = 0;
}

static void unpack(const uint64_t w[RING_WORDS], struct ring_frag *f)
{
    f->pos = w[0];
    f->dts = w[1];
    f->utc_us = w[2];
    f->size = (uint32_t)(w[3] >> 32);
    f->duration = (uint32_t)w[3];
    f->epoch = (uint32_t)(w[4] >> 32);
    f->flags = (uint32_t)w[4];
    f->samples = (uint16_t)(w[5] >> 48);
    f->moof_at = (uint16_t)(w[5] >> 32);
    f->sequence_at = (uint16_t)(w[5] >> 16);
    f->tfdt_at = (uint16_t)w[5];
    f->payload_at = (uint16_t)(w[6] >> 48);
    f->duration_at = (uint16_t)(w[6] >> 32);
    f->duration_n = (uint16_t)(w[6] >> 16);
    f->duration_step = (uint16_t)w[6];
    f->flags_at = (uint16_t)(w[7] >> 48);
    f->flags_n = (uint16_t)(w[7] >> 32);
    f->flags_step = (uint16_t)(w[7] >> 16);
    f->first_flags_at = (uint16_t)w[7];
    f->offset_at = (uint16_t)(w[8] >> 48);
    f->offset_n = (uint16_t)(w[8] >> 32);
    f->offset_step = (uint16_t)(w[8] >> 16);
    f->trun_version_at = (uint16_t)w[8];
}

/* A fragment lies in one piece: where it would be cut in two it goes to the start instead. */
static uint64_t place(const struct ring *r, size_t size)
{
    uint64_t all = r->data_bytes, into = r->next % all;
    return into + size > all ? r->next + (all - into) : r->next;
}

int ring_put(struct ring *r, struct ring_frag *frag, const uint8_t *bytes, size_t size, int64_t now)
{
    struct ring_header *h = r->header;
    uint32_t epoch = atomic_load_explicit(&h->epoch, memory_order_relaxed);
    if (size > r->data_bytes / 4 || !epoch)
        return -1;
    uint64_t head = atomic_load_explicit(&h->head, memory_order_relaxed);
    frag->pos = place(r, size);
    frag->size = (uint32_t)size;
    frag->epoch = epoch;
    r->next = frag->pos + size;
    if (r->next > r->data_bytes &&
        r->next - r->data_bytes > atomic_load_explicit(&h->tail, memory_order_relaxed))
        atomic_store_explicit(&h->tail, r->next - r->data_bytes, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    store_bytes(r->data + frag->pos % r->data_bytes, bytes, size);
    uint64_t w[RING_WORDS];
    pack(frag, w);
    for (int i = 0; i < RING_WORDS; i++)
        atomic_store_explicit(&r->slot[head % r->entries].word[i], w[i], memory_order_relaxed);
    atomic_store_explicit(&h->head, head + 1, memory_order_release);
    if (frag->flags & RING_SYNC) /* behind head: whoever sees the key finds it in the index */
        atomic_store_explicit(&h->last_key, head + 1, memory_order_release);
    atomic_store_explicit(&h->published, now, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->wake, 1, memory_order_release);
    return 0;
}

int64_t ring_last_key(const struct ring *r)
{
    return (int64_t)(atomic_load_explicit(&r->header->last_key, memory_order_acquire) - 1);
}

/* n values of 4 bytes, `step` apart from `at` on, end by `end`. */
static int fits(unsigned at, unsigned n, unsigned step, unsigned end)
{
    return n == 0 || at + (n - 1) * step + 4 <= end;
}

/* Whoever wrote it, nothing in the index may lead a reader outside the fragment. */
static int is_sound(const struct ring *r, const struct ring_frag *f)
{
    unsigned end = f->payload_at;
    return f->size <= r->data_bytes / 4 && f->pos % r->data_bytes + f->size <= r->data_bytes &&
           end <= f->size && f->moof_at + 8u <= end && f->sequence_at >= f->moof_at &&
           f->sequence_at + 4u <= end && f->tfdt_at >= f->moof_at && f->tfdt_at + 8u <= end &&
           f->samples && f->duration_n && f->duration_at >= f->moof_at &&
           fits(f->duration_at, f->duration_n, f->duration_step, end) &&
           (!f->flags_n || f->flags_at >= f->moof_at) &&
           fits(f->flags_at, f->flags_n, f->flags_step, end) && f->first_flags_at + 4u <= end &&
           (!f->offset_n || (f->offset_at >= f->moof_at && f->trun_version_at >= f->moof_at)) &&
           fits(f->offset_at, f->offset_n, f->offset_step, end) && f->trun_version_at < end;
}

int ring_get(const struct ring *r, uint64_t i, struct ring_frag *frag)
{
    uint64_t w[RING_WORDS];
    uint64_t head = ring_head(r);
    /* The slot behind head may be being written: one entry less than all is readable. */
    if (i >= head || head - i >= r->entries)
        return -1;
    for (int k = 0; k < RING_WORDS; k++)
        w[k] = atomic_load_explicit(&r->slot[i % r->entries].word[k], memory_order_relaxed);
    unpack(w, frag);
    if (!ring_whole(r, frag) || ring_head(r) - i >= r->entries)
        return -1;
    return is_sound(r, frag) ? 0 : -1;
}

void ring_read(const struct ring *r, const struct ring_frag *frag, uint8_t *out)
{
    load_bytes(out, ring_data(r, frag), frag->size);
}

static uint32_t relaxed(const _Atomic uint32_t *p)
{
    return atomic_load_explicit(p, memory_order_relaxed);
}

const struct ring_init *ring_init_of(const struct ring *r, uint32_t epoch)
{
    const struct ring_init *slot = &r->init[epoch % RING_INIT_SLOTS];
    if (!epoch || atomic_load_explicit(&slot->epoch, memory_order_acquire) != epoch)
        return NULL;
    return relaxed(&slot->size) <= RING_INIT_BYTES && relaxed(&slot->timescale) ? slot : NULL;
}

int ring_copy_init(const struct ring *r, uint32_t epoch, struct ring_init *copy)
{
    const struct ring_init *slot = ring_init_of(r, epoch);
    if (!slot)
        return -1;
    load_bytes(copy->bytes, slot->bytes, RING_INIT_BYTES);
    uint32_t size = relaxed(&slot->size), timescale = relaxed(&slot->timescale);
    atomic_thread_fence(memory_order_acquire);
    if (relaxed(&slot->epoch) != epoch || size > RING_INIT_BYTES || !timescale)
        return -1;
    atomic_init(&copy->epoch, epoch);
    atomic_init(&copy->size, size);
    atomic_init(&copy->timescale, timescale);
    return 0;
}
