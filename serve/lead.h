/* What is known of the clock of one viewer's <video>: its lead. For what steers it
 * (elastic.c) and what learns of it (delivery.c). Times are microseconds. */
#ifndef SERVE_LEAD_H
#define SERVE_LEAD_H

#include "serve/elastic.h"

static inline int64_t lead_us(const struct elastic *e, uint64_t ticks)
{
    return (int64_t)(ticks * 1000000 / e->timescale);
}

static inline uint64_t lead_ticks(const struct elastic *e, int64_t us)
{
    return ((uint64_t)us * e->timescale + 500000) / 1000000;
}

/* Of few pictures a second: a clock that stopped would wait long for those that it wants. */
static inline int lead_resumes_late(const struct elastic *e)
{
    return e->dries && (ELASTIC_RESUME - 1) * e->frame > ELASTIC_RESUME_WAIT;
}

/* It is `now`. A clock that stops at the end of its media cannot fall behind it. */
void lead_pass_time(struct elastic *e, int64_t now);

/* Nothing was sent for longer than there may have been media. duration: of a fragment. */
int lead_is_silence(const struct elastic *e, int64_t duration);

/* A clock that stopped goes on only when some frames have come, of which there are `count` now.
 * duration: of one. */
void lead_end_silence(struct elastic *e, uint64_t count, int64_t duration);

/* A clock that runs has gone past the end: what comes now belongs where the clock is. */
void lead_open_hole(struct elastic *e);

#endif
