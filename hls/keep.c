#include "hls/keep.h"

#include <string.h>

#include "capture/number.h"

enum { SECOND_US = 1000000, MINUTE = 60, HOUR = 3600, DAY = 86400, MS_DIGITS = 3 };

static int scaled(uint64_t n, uint64_t unit, uint64_t most, enum keep_kind kind, struct keep *k)
{
    if (!n || n > most / unit)
        return -1;
    *k = (struct keep){.kind = kind, .limit = n * unit};
    return 0;
}

int keep_parse(const char *text, struct keep *k)
{
    static const struct {
        char letter;
        enum keep_kind kind;
        uint64_t unit;
    } units[] = {
        {'s', KEEP_AGE, SECOND_US},
        {'m', KEEP_AGE, UINT64_C(1) * MINUTE * SECOND_US},
        {'h', KEEP_AGE, UINT64_C(1) * HOUR * SECOND_US},
        {'d', KEEP_AGE, UINT64_C(1) * DAY * SECOND_US},
        {'M', KEEP_BYTES, UINT64_C(1) << 20},
        {'G', KEEP_BYTES, UINT64_C(1) << 30},
        {'T', KEEP_BYTES, UINT64_C(1) << 40},
    };
    const uint64_t oldest = UINT64_C(1) * KEEP_DAYS_MAX * DAY * SECOND_US;
    uint64_t n;
    const char *unit = number_digits(text, &n);
    if (!unit)
        return -1;
    if (!*unit)
        return scaled(n, 1, KEEP_COUNT_MAX, KEEP_COUNT, k);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (unit[0] == units[i].letter && !unit[1])
            return scaled(n, units[i].unit, units[i].kind == KEEP_AGE ? oldest : INT64_MAX,
                          units[i].kind, k);
    return -1;
}

int keep_parse_segment(const char *text, uint32_t *ms)
{
    uint64_t whole, part = 0;
    const char *point = number_digits(text, &whole), *end = point;
    if (!point || whole > KEEP_SEGMENT_MAX / 1000)
        return -1;
    if (*point == '.') {
        end = number_digits(point + 1, &part);
        if (!end || end - point > 1 + MS_DIGITS)
            return -1;
        for (long digits = end - point - 1; digits < MS_DIGITS; digits++)
            part *= 10;
    }
    uint64_t v = whole * 1000 + part;
    if (*end || v < KEEP_SEGMENT_MIN || v > KEEP_SEGMENT_MAX)
        return -1;
    *ms = (uint32_t)v;
    return 0;
}

uint64_t keep_batch(uint64_t listed)
{
    return listed < 2 * KEEP_BATCHES ? 1 : listed / KEEP_BATCHES;
}

void keep_clock_tick(struct keep_clock *c, int64_t steady, uint64_t utc, int synchronised)
{
    if (!c->fixed && synchronised)
        *c = (struct keep_clock){.fixed = 1, .steady = steady, .utc = utc};
}

uint64_t keep_clock_now(const struct keep_clock *c, int64_t steady)
{
    return c->fixed ? c->utc + (uint64_t)(steady - c->steady) : 0;
}

int keep_is_over(const struct keep *k, uint64_t end_utc, uint64_t now)
{
    return end_utc && end_utc <= now && now - end_utc >= k->limit;
}
