/* The reader takes items apart loosely and lets the writer judge: what comes out differently when
 * it is written again was none of ours. */
#include <string.h>

#include "capture/number.h"
#include "hls/date.h"
#include "hls/playlist.h"

enum {
    ITEM_MAX = PLAYLIST_HEAD_MAX > PLAYLIST_SEGMENT_MAX ? PLAYLIST_HEAD_MAX : PLAYLIST_SEGMENT_MAX
};

/* Whether *p begins so; then it is behind that. */
static int take(const char **p, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(*p, word, n) != 0)
        return 0;
    *p += n;
    return 1;
}

static void next_line(const char **p)
{
    const char *end = strchr(*p, '\n');
    *p = end ? end + 1 : *p + strlen(*p);
}

/* The number at *p, whose line it goes over; 0 where there is none. */
static uint64_t take_number(const char **p)
{
    uint64_t v = 0;
    if (!number_digits(*p, &v))
        v = 0;
    next_line(p);
    return v;
}

static void take_head(struct playlist_reader *r, const char *p)
{
    struct playlist *out = &r->playlist;
    uint64_t target = 0;
    next_line(&p);
    next_line(&p);
    if (take(&p, "#EXT-X-TARGETDURATION:"))
        target = take_number(&p);
    out->target_duration = target <= SEGMENT_TARGET_MAX ? (uint32_t)target : 0;
    if (take(&p, "#EXT-X-PLAYLIST-TYPE:EVENT\n"))
        out->type = PLAYLIST_EVENT;
    else if (take(&p, "#EXT-X-PLAYLIST-TYPE:VOD\n"))
        out->type = PLAYLIST_VOD;
    out->independent = take(&p, "#EXT-X-INDEPENDENT-SEGMENTS\n");
    if (take(&p, "#EXT-X-MEDIA-SEQUENCE:"))
        r->seg.sequence = take_number(&p);
    if (take(&p, PLAYLIST_HEAD_LAST))
        r->seg.discontinuities = take_number(&p);
}

static void take_segment(struct playlist_reader *r, const char *p)
{
    struct segment *s = &r->seg;
    uint64_t whole = 0, part = 0;
    s->sequence += r->listed ? 1 : 0;
    s->independent = r->playlist.independent;
    s->discontinuity = take(&p, "#EXT-X-DISCONTINUITY\n");
    s->discontinuities += s->discontinuity ? 1 : 0;
    if (take(&p, "#EXT-X-MAP:URI=\"init-"))
        s->epoch = (uint32_t)take_number(&p);
    s->utc_us = 0;
    if (take(&p, "#EXT-X-PROGRAM-DATE-TIME:")) {
        s->utc_us = strlen(p) >= DATE_LENGTH ? date_read(p) : 0;
        next_line(&p);
    }
    if (take(&p, "#EXTINF:")) {
        const char *point = number_digits(p, &whole);
        if (point && *point == '.' && !number_digits(point + 1, &part))
            part = 0;
    }
    s->duration_us = whole * SEGMENT_SECOND + part;
}

/* Takes a head or a segment apart. Returns how long it is when it is written again, in `again`. */
static size_t take_item(struct playlist_reader *r, const char *item, char again[ITEM_MAX])
{
    uint64_t most;
    if (!r->has_head) {
        r->item = PLAYLIST_ITEM_HEAD;
        take_head(r, item);
        if (!r->playlist.target_duration)
            return 0;
        return playlist_head(again, ITEM_MAX, &r->playlist, &r->seg);
    }
    struct segment before = r->seg;
    r->item = PLAYLIST_ITEM_SEGMENT;
    take_segment(r, item);
    most = (uint64_t)r->playlist.target_duration * SEGMENT_SECOND + SEGMENT_MOST_US;
    if (r->seg.duration_us > most || (r->seg.sequence | r->seg.discontinuities) >> 63)
        return 0;
    return playlist_segment(again, ITEM_MAX, r->listed ? &before : NULL, &r->seg);
}

/* The end of the line with which an item ends: the head's last, or a URI. 0 when it is not there.
 */
static size_t item_size(const struct playlist_reader *r, const char *text, size_t len)
{
    size_t last = strlen(PLAYLIST_HEAD_LAST);
    for (size_t at = 0; at < len;) {
        const char *line = text + at, *end = memchr(line, '\n', len - at);
        if (!end)
            return 0;
        at = (size_t)(end - text) + 1;
        if (r->has_head ? *line != '#'
                        : text + len - line > (ptrdiff_t)last &&
                              memcmp(line, PLAYLIST_HEAD_LAST, last) == 0)
            return at;
    }
    return 0;
}

int playlist_next(struct playlist_reader *r, const char *text, size_t len)
{
    char item[ITEM_MAX + 1], again[ITEM_MAX];
    size_t end = strlen(PLAYLIST_END), most = len < ITEM_MAX ? len : ITEM_MAX;
    if (r->playlist.ended)
        return len ? PLAYLIST_BAD : PLAYLIST_MORE;
    if (r->listed && len >= end && memcmp(text, PLAYLIST_END, end) == 0) {
        r->item = PLAYLIST_ITEM_END;
        r->playlist.ended = 1;
        return (int)end;
    }
    size_t n = item_size(r, text, most);
    if (!n)
        return len < ITEM_MAX ? PLAYLIST_MORE : PLAYLIST_BAD;
    memcpy(item, text, n);
    item[n] = 0;
    if (take_item(r, item, again) != n || memcmp(item, again, n) != 0)
        return PLAYLIST_BAD;
    if (r->item == PLAYLIST_ITEM_SEGMENT)
        r->listed++;
    r->has_head = 1;
    return (int)n;
}
