#include "hls/clip.h"

#include <string.h>

#include "hls/date.h"

enum { SHORT_LENGTH = 20 }; /* of 2026-11-22T10:11:12Z */

/* What is written again as it was read is a date. */
int clip_date(const char *text, uint64_t *us)
{
    static const char shape[] = "0000-00-00T00:00:00.000Z";
    char whole[DATE_LENGTH + 1], again[DATE_LENGTH + 1];
    size_t n = strlen(text);
    if (n != DATE_LENGTH && n != SHORT_LENGTH)
        return -1;
    memcpy(whole, text, n);
    if (n == SHORT_LENGTH)
        memcpy(whole + SHORT_LENGTH - 1, text[n - 1] == 'Z' ? ".000Z" : "none.",
               DATE_LENGTH - SHORT_LENGTH + 1);
    whole[DATE_LENGTH] = 0;
    for (int i = 0; i < DATE_LENGTH; i++)
        if (shape[i] == '0' ? whole[i] < '0' || whole[i] > '9' : whole[i] != shape[i])
            return -1;
    uint64_t value = date_read(whole);
    if (value >= SEGMENT_UTC_END)
        return -1;
    date_write(again, value);
    if (strcmp(again, whole) != 0)
        return -1;
    *us = value;
    return 0;
}

void clip_init(struct clip *c, uint64_t from_us, uint64_t to_us)
{
    *c = (struct clip){.from_us = from_us, .to_us = to_us, .broken = 1};
}

void clip_segment(struct clip *c, uint64_t date_us, int goes_on)
{
    c->date_us = date_us;
    c->dated = 0;
    c->broken |= !goes_on;
}

void clip_break(struct clip *c)
{
    c->broken = 1;
}

/* Microseconds of so many ticks; no product overflows. */
static uint64_t microseconds(uint64_t ticks, uint32_t timescale)
{
    return ticks / timescale * SEGMENT_SECOND + ticks % timescale * SEGMENT_SECOND / timescale;
}

uint64_t clip_when(struct clip *c, uint64_t dts)
{
    if (!c->dated)
        c->date_dts = dts;
    c->dated = 1;
    return c->date_us + (dts > c->date_dts ? microseconds(dts - c->date_dts, c->timescale) : 0);
}

/* A time that goes back, or on by more than a hole, is a break that nobody has told of. */
static int goes_on(const struct clip *c, uint64_t dts)
{
    return !c->broken && dts >= c->dts_end &&
           microseconds(dts - c->dts_end, c->timescale) <= SEGMENT_HOLE_US;
}

enum clip_verdict clip_add(struct clip *c, const struct moof_info *m)
{
    if (clip_when(c, m->tfdt) >= c->to_us)
        return CLIP_END;
    int on = goes_on(c, m->tfdt);
    if (!on && !m->sync) {
        c->broken = 1;
        return CLIP_LEAVE;
    }
    c->time = c->end + (on ? m->tfdt - c->dts_end : 0);
    c->end = c->time + m->duration_ticks;
    c->dts_end = m->tfdt + m->duration_ticks;
    c->broken = 0;
    c->sequence++;
    return CLIP_TAKE;
}

uint64_t clip_dated(const struct segment *s, uint64_t *end_us)
{
    uint64_t date = s->utc_us ? s->utc_us : *end_us;
    if (date)
        *end_us = date + s->duration_us;
    return date;
}
