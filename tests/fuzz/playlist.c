/* Any bytes may be a playlist on disk. What is taken is, written again, the same bytes; an item
 * needs all of its bytes; and what was read can be gone on from. */
#include "hls/playlist.h"
#include "hls/window.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEGMENTS = 32 };

/* From memory of just that size, so that one byte too far is seen. */
static int next(struct playlist_reader *r, const uint8_t *p, size_t len)
{
    char *copy = malloc(len);
    if (len)
        memcpy(copy, p, len);
    int got = playlist_next(r, copy, len);
    free(copy);
    return got;
}

static size_t write_again(const struct playlist_reader *r, const struct segment *before, char *out)
{
    switch (r->item) {
    case PLAYLIST_ITEM_HEAD:
        return playlist_head(out, PLAYLIST_HEAD_MAX, &r->playlist, &r->seg);
    case PLAYLIST_ITEM_SEGMENT:
        return playlist_segment(out, PLAYLIST_SEGMENT_MAX, before, &r->seg);
    default:
        memcpy(out, PLAYLIST_END, strlen(PLAYLIST_END));
        return strlen(PLAYLIST_END);
    }
}

/* What a program that goes on from it does. */
static void go_on(const struct playlist *p, const struct segment *seg, size_t n)
{
    struct segmenter s;
    struct window w;
    struct segment room[SEGMENTS], done;
    struct segment_frag f = {.duration = 3000, .timescale = 90000, .epoch = 1, .sync = 1};
    segmenter_init(&s, 1000, p->target_duration, window_longest(p->target_duration, 0), 0);
    window_init(&w, room, SEGMENTS, p->target_duration, 0);
    for (size_t i = 0; i < n; i++) {
        segmenter_continue(&s, &seg[i]);
        assert(window_add(&w, &seg[i]) == 0);
    }
    assert(window_publish(&w, 0) && w.end == n);
    assert(!segmenter_add(&s, &f, &done) && segmenter_end(&s, &done));
    assert(done.sequence == seg[n - 1].sequence + 1 && done.discontinuity);
    assert(done.discontinuities == seg[n - 1].discontinuities + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct playlist_reader r = {0}, part;
    struct segment seg[SEGMENTS], before = {0};
    char out[PLAYLIST_HEAD_MAX];
    size_t at = 0, n = 0;

    for (;;) {
        part = r;
        int got = next(&r, data + at, size - at);
        assert(got >= PLAYLIST_BAD && got <= (int)(size - at));
        if (got <= 0)
            break;
        assert(next(&part, data + at, (size_t)got - 1) == PLAYLIST_MORE);
        assert(write_again(&r, r.listed > 1 ? &before : NULL, out) == (size_t)got);
        assert(memcmp(out, data + at, (size_t)got) == 0);
        at += (size_t)got;
        before = r.seg;
        if (r.item == PLAYLIST_ITEM_SEGMENT && n < SEGMENTS)
            seg[n++] = r.seg;
    }
    if (n)
        go_on(&r.playlist, seg, n);
    return 0;
}
