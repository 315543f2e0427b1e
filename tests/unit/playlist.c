/* Playlists as text, to the byte; reading them again, cut anywhere, spoilt anywhere. */
#include "hls/playlist.h"
#include "hls/date.h"
#include "tests/tap.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { N = 4, SECOND = 1000000 };

static char text[4096];
static char *edge; /* an unreadable page begins here */

static const struct segment segments[N] = {
    {.sequence = 41,
     .discontinuities = 5,
     .duration_us = 2000000,
     .utc_us = UINT64_C(1795342332345999),
     .epoch = 3},
    {.sequence = 42, .discontinuities = 5, .duration_us = 1966667, .epoch = 3},
    {.sequence = 43,
     .discontinuities = 6,
     .duration_us = 2033333,
     .utc_us = UINT64_C(1795342400000000),
     .epoch = 4,
     .discontinuity = 1},
    {.sequence = 44, .discontinuities = 7, .duration_us = 40000, .epoch = 4, .discontinuity = 1},
};

#define HEAD                                                                                       \
    "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:3\n#EXT-X-INDEPENDENT-SEGMENTS\n"            \
    "#EXT-X-MEDIA-SEQUENCE:41\n#EXT-X-DISCONTINUITY-SEQUENCE:5\n"
#define FIRST                                                                                      \
    "#EXT-X-MAP:URI=\"init-3.mp4\"\n#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:12:12.345Z\n"           \
    "#EXTINF:2.000000,\nseg-41.m4s\n"
#define REST                                                                                       \
    "#EXTINF:1.966667,\nseg-42.m4s\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-4.mp4\"\n"         \
    "#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:13:20.000Z\n#EXTINF:2.033333,\nseg-43.m4s\n"           \
    "#EXT-X-DISCONTINUITY\n#EXTINF:0.040000,\nseg-44.m4s\n"

static const char whole[] = HEAD FIRST REST "#EXT-X-ENDLIST\n";

static int is(size_t n, const char *want)
{
    return n == strlen(want) && memcmp(text, want, n) == 0;
}

static void media(void)
{
    struct playlist p = {.independent = 1, .ended = 1, .target_duration = 3};
    size_t n = strlen(whole);
    ok(is(playlist_media(text, sizeof text, &p, segments, N), whole), "a media playlist");
    memset(text, 1, sizeof text);
    ok(playlist_media(text, n, &p, segments, N) == n && text[n] == 1, "in just its room");
    size_t fits = 0;
    for (size_t cap = 0; cap < n; cap++)
        fits += playlist_media(edge - cap, cap, &p, segments, N) != 0;
    ok(fits == 0, "not in less, and nothing is written beyond that");
    ok(playlist_media(text, sizeof text, &p, segments, 0) == 0, "not without a segment");
    p = (struct playlist){.target_duration = 3};
    n = playlist_media(text, sizeof text, &p, segments + 2, 1);
    ok(is(n, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:3\n"
             "#EXT-X-MEDIA-SEQUENCE:43\n#EXT-X-DISCONTINUITY-SEQUENCE:5\n"
             "#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-4.mp4\"\n"
             "#EXT-X-PROGRAM-DATE-TIME:2026-11-22T10:13:20.000Z\n#EXTINF:2.033333,\nseg-43.m4s\n"),
       "a discontinuity goes with the segment behind it, and is counted then");
    playlist_media(text, sizeof text, &p, segments + 3, 1);
    ok(strstr(text, "DISCONTINUITY-SEQUENCE:6\n#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI=\"init-4") !=
           NULL,
       "so is the next; the map stays in front of the first");
    p.type = PLAYLIST_EVENT;
    n = playlist_head(text, sizeof text, &p, segments);
    n += playlist_segment(text + n, sizeof text - n, NULL, &segments[0]);
    for (int i = 1; i < N; i++)
        n += playlist_segment(text + n, sizeof text - n, &segments[i - 1], &segments[i]);
    ok(is(n, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:3\n#EXT-X-PLAYLIST-TYPE:EVENT\n"
             "#EXT-X-MEDIA-SEQUENCE:41\n#EXT-X-DISCONTINUITY-SEQUENCE:5\n" FIRST REST),
       "an EVENT, in pieces");
    p.type = PLAYLIST_VOD;
    playlist_media(text, sizeof text, &p, segments, N);
    ok(strstr(text, "#EXT-X-PLAYLIST-TYPE:VOD\n") != NULL, "a VOD");
}

static void limits(void)
{
    struct playlist p = {.type = PLAYLIST_EVENT, .independent = 1, .target_duration = UINT32_MAX};
    struct segment s = {.sequence = UINT64_MAX,
                        .discontinuities = UINT64_MAX,
                        .duration_us = UINT64_MAX,
                        .utc_us = SEGMENT_UTC_END - 1,
                        .epoch = UINT32_MAX,
                        .discontinuity = 1};
    ok(playlist_head(text, PLAYLIST_HEAD_MAX, &p, &s) > 0, "the longest head fits its maximum");
    ok(playlist_segment(text, PLAYLIST_SEGMENT_MAX, NULL, &s) > 0, "the longest segment does");
    ok(strstr(text, "9999-12-31T23:59:59.999Z") != NULL, "the last date");
    s.utc_us++;
    size_t n = playlist_segment(text, sizeof text - 1, NULL, &s);
    text[n] = 0;
    ok(!strstr(text, "DATE"), "what is beyond has none");
    s.utc_us = SEGMENT_UTC_MIN - 1;
    n = playlist_segment(text, sizeof text - 1, NULL, &s);
    text[n] = 0;
    ok(!strstr(text, "DATE"), "nor has a clock that was never set");
}

static void dates(void)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } known[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782399, "2000-02-28T23:59:59.000Z"},
        {951782400, "2000-02-29T00:00:00.000Z"},
        {1709164800, "2024-02-29T00:00:00.000Z"},
        {1798761599, "2026-12-31T23:59:59.000Z"},
        {1798761600, "2027-01-01T00:00:00.000Z"},
        {4107542400, "2100-03-01T00:00:00.000Z"},
        {4107542399, "2100-02-28T23:59:59.000Z"},
        {253402300799, "9999-12-31T23:59:59.000Z"},
    };
    char out[DATE_LENGTH + 1];
    unsigned good = 0, back = 0, days = 0;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        date_write(out, known[i].seconds * SECOND);
        good += strcmp(out, known[i].text) == 0 && date_read(out) == known[i].seconds * SECOND;
    }
    ok(good == sizeof known / sizeof *known, "dates as date(1) has them");
    uint64_t step = UINT64_C(86399999000) * (1000 / tap_often(1000));
    for (uint64_t us = 0; us < SEGMENT_UTC_END; us += step, days++) {
        date_write(out, us);
        back += date_read(out) == us;
    }
    ok(back == days, "%u days of 8030 years, there and back", days);
}

static void master(void)
{
    struct playlist_variant v = {
        .uri = "live.m3u8", .codecs = "avc1.42C01E,mp4a.40.2", .bandwidth = 4000000};
    ok(is(playlist_master(text, sizeof text, &v),
          "#EXTM3U\n#EXT-X-VERSION:7\n"
          "#EXT-X-STREAM-INF:BANDWIDTH=4000000,CODECS=\"avc1.42C01E,mp4a.40.2\"\nlive.m3u8\n"),
       "a master playlist of what must be said");
    v.average = 3000000;
    v.width = 1280;
    v.height = 720;
    v.frame_rate_milli = 29970;
    size_t n = playlist_master(text, sizeof text, &v);
    ok(is(n, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-STREAM-INF:BANDWIDTH=4000000,"
             "AVERAGE-BANDWIDTH=3000000,CODECS=\"avc1.42C01E,mp4a.40.2\",RESOLUTION=1280x720,"
             "FRAME-RATE=29.970\nlive.m3u8\n"),
       "and of all that can be");
    size_t fits = 0;
    for (size_t cap = 0; cap < n; cap++)
        fits += playlist_master(edge - cap, cap, &v) != 0;
    ok(fits == 0, "not in less room");
    static const char *const bad[] = {"", "a\"b", "a b", "a\nb", "#a", "\xc3\xa9", NULL};
    unsigned refused = 0;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct playlist_variant x = v, y = v;
        x.uri = bad[i];
        y.codecs = bad[i];
        refused += playlist_master(text, sizeof text, &x) == 0;
        refused += playlist_master(text, sizeof text, &y) == 0;
    }
    ok(refused == 2 * sizeof bad / sizeof *bad, "no URI and no codecs that would break a line");
    v.bandwidth = 0;
    ok(!playlist_master(text, sizeof text, &v), "nor without a bandwidth");
}

/* Reads all of it from in front of an unreadable page, each item cut at every length first. Returns
 * the last result; what was written again is in text[0, *n). */
static int read_all(const char *p, size_t len, struct playlist_reader *r, size_t *n, int *cuts)
{
    int got;
    struct segment before = {0};
    size_t at = 0;
    memset(r, 0, sizeof *r);
    *n = 0;
    *cuts = 0;
    do {
        const struct playlist_reader was = *r;
        memcpy(edge - (len - at), p + at, len - at);
        got = playlist_next(r, edge - (len - at), len - at);
        for (int cut = 0; cut < got; cut++) {
            struct playlist_reader part = was;
            memcpy(edge - cut, p + at, (size_t)cut);
            *cuts += playlist_next(&part, edge - cut, (size_t)cut) != PLAYLIST_MORE;
        }
        if (got <= 0)
            break;
        at += (size_t)got;
        if (r->item == PLAYLIST_ITEM_HEAD)
            *n = playlist_head(text, sizeof text, &r->playlist, &r->seg);
        else if (r->item == PLAYLIST_ITEM_SEGMENT)
            *n += playlist_segment(text + *n, sizeof text - *n, r->listed > 1 ? &before : NULL,
                                   &r->seg);
        before = r->seg;
    } while (got > 0);
    return got;
}

static void reading(void)
{
    struct playlist_reader r;
    size_t n;
    int cuts;
    int got = read_all(whole, strlen(whole), &r, &n, &cuts);
    ok(got == PLAYLIST_MORE && r.item == PLAYLIST_ITEM_END && r.playlist.ended, "read to the end");
    ok(is(n, HEAD FIRST REST), "written again it is the same");
    ok(cuts == 0, "an item needs all of its bytes");
    ok(r.listed == N && r.seg.sequence == 44 && r.seg.discontinuities == 7 && r.seg.epoch == 4 &&
           r.seg.duration_us == 40000 && r.seg.discontinuity && r.seg.independent,
       "the last segment is as it was");
    ok(playlist_next(&r, "\n", 1) == PLAYLIST_BAD, "nothing behind the end");
    got = read_all(whole, strlen(HEAD FIRST), &r, &n, &cuts);
    ok(got == PLAYLIST_MORE && r.listed == 1 && !r.playlist.ended &&
           r.seg.utc_us == UINT64_C(1795342332345000),
       "one that goes on; dates to the millisecond");
    unsigned accepted = 0, all = 0;
    for (size_t i = 0; i < strlen(whole); i++) {
        for (int c = 0; c < 256; c++) {
            char spoilt[sizeof whole];
            memcpy(spoilt, whole, sizeof whole);
            if (spoilt[i] == (char)c)
                continue;
            spoilt[i] = (char)c;
            all++;
            memset(&r, 0, sizeof r);
            size_t at = 0;
            while ((got = playlist_next(&r, spoilt + at, strlen(whole) - at)) > 0)
                at += (size_t)got;
            accepted += at == strlen(whole);
        }
    }
    ok(accepted > 300 && accepted < all / 20, "%u of %u with one byte changed are taken: digits",
       accepted, all);
}

static void refusing(void)
{
    static const char *const bad[] = {
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:0\n#EXT-X-MEDIA-SEQUENCE:1\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:0\n",
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4294967299\n#EXT-X-MEDIA-SEQUENCE:1\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:0\n",
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:03\n#EXT-X-MEDIA-SEQUENCE:1\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:0\n",
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:3\n#EXT-X-MEDIA-SEQUENCE:1\n"
        "#EXT-X-DISCONTINUITY-SEQUENCE:0\n",
        HEAD "#EXTINF:2.000000,\nseg-41.m4s\n",
        HEAD "#EXT-X-MAP:URI=\"init-3.mp4\"\n#EXTINF:3.500000,\nseg-41.m4s\n",
        HEAD "#EXT-X-MAP:URI=\"init-3.mp4\"\n#EXTINF:2.00000,\nseg-41.m4s\n",
        HEAD "#EXT-X-MAP:URI=\"init-3.mp4\"\n#EXTINF:2.000000,\nseg-42.m4s\n",
        HEAD "#EXT-X-MAP:URI=\"init-4294967299.mp4\"\n#EXTINF:2.000000,\nseg-41.m4s\n",
        HEAD FIRST "#EXT-X-MAP:URI=\"init-3.mp4\"\n#EXTINF:2.000000,\nseg-42.m4s\n",
        HEAD FIRST "#EXT-X-PROGRAM-DATE-TIME:2026-11-31T10:12:12.345Z\n#EXTINF:2.000000,\n"
                   "seg-42.m4s\n",
    };
    struct playlist_reader r;
    unsigned refused = 0;
    size_t count = sizeof bad / sizeof *bad;
    for (size_t i = 0; i < count; i++) {
        size_t n;
        int cuts;
        refused += read_all(bad[i], strlen(bad[i]), &r, &n, &cuts) == PLAYLIST_BAD;
    }
    ok(refused == count, "what the writer would not write is refused: %u", refused);
    memset(&r, 0, sizeof r);
    memset(text, '#', sizeof text);
    ok(playlist_next(&r, text, PLAYLIST_HEAD_MAX) == PLAYLIST_BAD &&
           playlist_next(&r, text, PLAYLIST_HEAD_MAX - 1) == PLAYLIST_MORE,
       "an item without an end is not waited for");
}

int main(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *map = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map + page, page, PROT_NONE))
        _exit(99);
    edge = map + page;
    media();
    limits();
    dates();
    master();
    reading();
    refusing();
    return done();
}
