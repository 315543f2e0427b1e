#include "serve/lead.h"

void lead_pass_time(struct elastic *e, int64_t now)
{
    e->lead -= now - e->at;
    e->most -= now - e->at;
    e->at = now;
    if (!e->runs && e->lead < 0)
        e->lead = 0;
    if (e->most < e->lead)
        e->most = e->lead;
}

int lead_is_silence(const struct elastic *e, int64_t duration)
{
    return !e->runs && e->lead == 0 && e->at - e->sent > 2 * duration;
}

void lead_end_silence(struct elastic *e, uint64_t count, int64_t duration)
{
    int64_t waited = count < ELASTIC_RESUME ? (ELASTIC_RESUME - (int64_t)count) * duration : 0;
    if (lead_is_silence(e, duration) && e->most < waited)
        e->most = waited;
}

void lead_open_hole(struct elastic *e)
{
    if (e->runs && e->lead < 0) {
        e->tfdt += lead_ticks(e, -e->lead);
        e->lead = e->most = 0;
        e->resumes = e->tfdt;
    }
}

/* A clock that stops has all that was sent from `tick` on yet, but for what it played since. */
static void stood_at(struct elastic *e, uint64_t tick, int64_t since, int64_t now)
{
    int64_t lead = lead_us(e, e->tfdt - tick) - (now - since);
    lead_pass_time(e, now);
    if (e->dries && lead > e->lead)
        e->lead = lead;
    if (e->most < e->lead)
        e->most = e->lead;
}

void elastic_awake(struct elastic *e, int64_t now, int64_t sent)
{
    stood_at(e, e->begun, sent > e->woken ? sent : e->woken, now);
    e->most = e->lead;
    e->woken = 0;
}

/* Late once more: more of it is to be there. */
static void add_margin(struct elastic *e, int64_t now)
{
    if (e->late && now - e->late < ELASTIC_MARGIN_AGAIN)
        e->margin += ELASTIC_MARGIN_STEP;
    int64_t most = e->runs ? ELASTIC_MARGIN_RUNS : ELASTIC_MARGIN;
    if (e->margin > most)
        e->margin = most;
    e->late = now;
}

void elastic_late(struct elastic *e, int64_t now, int64_t trip, uint64_t seen)
{
    if (lead_resumes_late(e)) {
        stood_at(e, seen, now - trip, now);
        return;
    }
    int64_t left = e->runs ? ELASTIC_UNSURE : ELASTIC_STOPS_WITH * e->frame;
    int64_t had = lead_us(e, e->tfdt - seen) + left;
    lead_pass_time(e, now);
    if (e->stands || e->lead + trip > had)
        return;
    if (e->runs && seen >= e->resumes) {
        add_margin(e, now);
        e->resumes = e->tfdt;
    }
    if (!e->dries)
        return;
    e->stands = seen - lead_ticks(e, ELASTIC_STOPS_WITH * e->frame);
    e->resumes = e->stands + lead_ticks(e, ELASTIC_RESUMES_WITH * e->frame);
    e->pad = 1;
    add_margin(e, now);
}

void elastic_seen(struct elastic *e, int64_t now, int64_t trip, uint64_t seen)
{
    if (!e->stands || seen < e->resumes)
        return;
    lead_pass_time(e, now);
    e->lead = e->most = lead_us(e, e->tfdt - e->stands) - trip;
    e->stands = 0;
}
