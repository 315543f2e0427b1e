#include "serve/ring.h"

#include <string.h>

enum { PAGE = 4096 };

static size_t index_at(void)
{
    return PAGE + RING_INIT_SLOTS * sizeof(struct ring_init);
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

void ring_format(struct ring *r, void *memory, uint64_t data_bytes, uint32_t entries)
{
    uint8_t *base = memory;
    r->header = memory;
    r->init = (struct ring_init *)(void *)(base + PAGE);
    r->slot = (struct ring_slot *)(void *)(base + index_at());
    r->data = base + data_at(entries);
    r->next = 0;
    r->header->magic = RING_MAGIC;
    r->header->version = RING_VERSION;
    r->header->entries = entries;
    r->header->data_bytes = data_bytes;
    r->header->data_at = data_at(entries);
}

int ring_put_init(struct ring *r, const uint8_t *bytes, size_t size, uint32_t timescale)
{
    if (size > RING_INIT_BYTES)
        return -1;
    uint32_t epoch = atomic_load_explicit(&r->header->epoch, memory_order_relaxed) + 1;
    struct ring_init *slot = &r->init[epoch % RING_INIT_SLOTS];
    atomic_store_explicit(&slot->epoch, 0, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    memcpy(slot->bytes, bytes, size);
    slot->size = (uint32_t)size;
    slot->timescale = timescale;
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
    w[8] = w[9] = 0;
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
}

/* A fragment lies in one piece: where it would be cut in two it goes to the start instead. */
static uint64_t place(const struct ring *r, size_t size)
{
    uint64_t all = r->header->data_bytes, into = r->next % all;
    return into + size > all ? r->next + (all - into) : r->next;
}

int ring_put(struct ring *r, struct ring_frag *frag, const uint8_t *bytes, size_t size)
{
    struct ring_header *h = r->header;
    uint32_t epoch = atomic_load_explicit(&h->epoch, memory_order_relaxed);
    if (size > h->data_bytes / 4 || !epoch)
        return -1;
    uint64_t head = atomic_load_explicit(&h->head, memory_order_relaxed);
    frag->pos = place(r, size);
    frag->size = (uint32_t)size;
    frag->epoch = epoch;
    r->next = frag->pos + size;
    if (r->next > h->data_bytes &&
        r->next - h->data_bytes > atomic_load_explicit(&h->tail, memory_order_relaxed))
        atomic_store_explicit(&h->tail, r->next - h->data_bytes, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    memcpy(r->data + frag->pos % h->data_bytes, bytes, size);
    uint64_t w[RING_WORDS];
    pack(frag, w);
    for (int i = 0; i < RING_WORDS; i++)
        atomic_store_explicit(&r->slot[head % h->entries].word[i], w[i], memory_order_relaxed);
    atomic_store_explicit(&h->head, head + 1, memory_order_release);
    if (frag->flags & RING_SYNC) /* behind head: whoever sees the key finds it in the index */
        atomic_store_explicit(&h->last_key, head + 1, memory_order_release);
    return 0;
}

uint64_t ring_head(const struct ring *r)
{
    return atomic_load_explicit(&r->header->head, memory_order_acquire);
}

int64_t ring_last_key(const struct ring *r)
{
    return (int64_t)atomic_load_explicit(&r->header->last_key, memory_order_acquire) - 1;
}

int ring_whole(const struct ring *r, const struct ring_frag *frag)
{
    atomic_thread_fence(memory_order_acquire);
    return frag->pos >= atomic_load_explicit(&r->header->tail, memory_order_relaxed);
}

int ring_safe(const struct ring *r, const struct ring_frag *frag)
{
    const struct ring_header *h = r->header;
    uint64_t tail = atomic_load_explicit(&h->tail, memory_order_relaxed);
    return tail == 0 || frag->pos >= tail + h->data_bytes / 8;
}

int ring_get(const struct ring *r, uint64_t i, struct ring_frag *frag)
{
    const struct ring_header *h = r->header;
    uint64_t w[RING_WORDS];
    uint64_t head = ring_head(r);
    /* The slot behind head may be being written: one entry less than all is readable. */
    if (i >= head || head - i >= h->entries)
        return -1;
    for (int k = 0; k < RING_WORDS; k++)
        w[k] = atomic_load_explicit(&r->slot[i % h->entries].word[k], memory_order_relaxed);
    unpack(w, frag);
    if (!ring_whole(r, frag))
        return -1;
    return ring_head(r) - i >= h->entries ? -1 : 0;
}

const uint8_t *ring_data(const struct ring *r, const struct ring_frag *frag)
{
    return r->data + frag->pos % r->header->data_bytes;
}

const struct ring_init *ring_init_of(const struct ring *r, uint32_t epoch)
{
    const struct ring_init *slot = &r->init[epoch % RING_INIT_SLOTS];
    return epoch && atomic_load_explicit(&slot->epoch, memory_order_acquire) == epoch ? slot : NULL;
}
