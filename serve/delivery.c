#include "serve/delivery.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "serve/lead.h"
#include "serve/server.h"

static void set_mark(struct conn *c, uint64_t body, int64_t now)
{
    c->mark = body;
    c->mark_at = now;
}

void delivery_begin(struct conn *c, int64_t now)
{
    c->joined = JOINING;
    c->blocks = c->tick = 0;
    c->stalled = c->lag = c->waking = c->looked = c->late = 0;
    c->before = 0;
    c->full = 0;
    c->before_tick = c->mark_tick = 0;
    set_mark(c, 0, now);
}

/* Of what a front end took: what its client does not have yet, as far as that is known. */
static uint32_t relayed(struct conn *c)
{
    struct relay_left left;
    if (c->relay.diag <= 0)
        return 0;
    if (relay_ask(&c->relay, &left) < 0) {
        c->relay.diag = 0;
        return 0;
    }
    c->trip = left.trip;
    return left.bytes;
}

/* How much of the body has been acknowledged. Where that cannot be asked: all of it. */
static uint64_t acknowledged(struct conn *c)
{
    int outstanding = 0; /* more than the body while the answer's head is */
    if (ioctl(c->fd, SIOCOUTQ, &outstanding) < 0)
        return c->body;
    uint64_t left = (uint64_t)outstanding + relayed(c);
    return c->body > left ? c->body - left : 0;
}

/* So much of the body there will be when these bytes of it are seen. */
static uint64_t whole_blocks(uint64_t body)
{
    return (body + ELASTIC_PAD_BYTES - 1) / ELASTIC_PAD_BYTES * ELASTIC_PAD_BYTES;
}

static int has_arrived(struct conn *c)
{
    return acknowledged(c) >= c->mark;
}

/* The shortest there has been lately, us: what the network needs when nothing is in its way. */
static int64_t round_trip(const struct conn *c)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    int64_t trip = c->trip;
    if (c->relay.diag <= 0) {
        if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
            return 0;
        trip = info.tcpi_min_rtt;
    }
    return trip < DELIVERY_JOIN_MAX_US ? trip : 0; /* no sample yet */
}

/* A fragment that goes on in the next block does not count. */
void delivery_sent(struct conn *c)
{
    uint64_t whole = c->body / ELASTIC_PAD_BYTES;
    if (c->blocks + DELIVERY_BLOCKS < whole)
        c->blocks = whole - DELIVERY_BLOCKS;
    while (c->blocks < whole) {
        int ends = ++c->blocks * ELASTIC_PAD_BYTES == c->body;
        c->block_tick[c->blocks % DELIVERY_BLOCKS] = (uint32_t)(ends ? c->elastic.tfdt : c->tick);
    }
    c->tick = c->elastic.tfdt;
}

/* Up to where on the timeline a viewer sees that has so much of the body, or 0. Who does not read
 * in blocks sees up to there; and of many bits a second they are short: then it is as good to know
 * that of the marks, and in between about so. */
static uint64_t sees(const struct conn *c, uint64_t has)
{
    uint64_t bytes = c->mark - c->before, ticks = c->mark_tick - c->before_tick;
    uint64_t whole = has / ELASTIC_PAD_BYTES, end = c->elastic.tfdt;
    if (c->elastic.dries && !lead_resumes_late(&c->elastic) && whole + DELIVERY_BLOCKS > c->blocks)
        return end - ((uint32_t)end - c->block_tick[whole % DELIVERY_BLOCKS]);
    if (!c->before_tick || has <= c->before || !bytes)
        return c->before_tick;
    return has < c->mark ? c->before_tick + ticks * (has - c->before) / bytes : c->mark_tick;
}

/* Something has arrived that was not there a moment ago, and of which a clock may have stood. Where
 * all comes late it stood for it once; but not where nothing came for a while, and then all. */
static void came_late(struct conn *c, int64_t now, int64_t age)
{
    if (now - c->had_at < DELIVERY_PAUSE_US + c->elastic.frame &&
        age <= c->late + DELIVERY_LATER_US)
        return;
    c->late = age > c->late ? age : c->late;
    uint64_t saw = sees(c, c->had);
    if (saw)
        elastic_late(&c->elastic, now, round_trip(c), saw);
}

/* So much of the body has arrived. */
static void note_progress(struct conn *c, int64_t now, int64_t age, uint64_t has)
{
    if (has <= c->had)
        return;
    if (!c->stalled && now - c->looked < DELIVERY_LOOKED_US)
        came_late(c, now, age);
    c->had = has;
    c->had_at = now;
}

/* A clock stands, and what it waits for is on its way. */
static int is_awaited(const struct conn *c)
{
    return c->elastic.stands && c->elastic.tfdt >= c->elastic.resumes;
}

/* A clock that stands goes on with what has come. Returns when to look again. */
static int64_t look_at_clock(struct conn *c, int64_t now, uint64_t has)
{
    elastic_seen(&c->elastic, now, round_trip(c), sees(c, has));
    return is_awaited(c) ? now + DELIVERY_LATE_LOOK_US : now;
}

/* What has come as late as this is no stall when it does so again. */
static void learn_lag(struct conn *c, int64_t age)
{
    c->lag -= c->lag / DELIVERY_LAG_FADE;
    if (age < DELIVERY_LAG_MAX_US && age - DELIVERY_MARK_US > c->lag)
        c->lag = age - DELIVERY_MARK_US;
}

/* Media that was sent since the mark, and what was not acknowledged then. */
static int64_t on_its_way(const struct conn *c, int64_t age)
{
    const struct elastic *e = &c->elastic;
    return (c->mark_tick ? lead_us(e, e->tfdt - c->mark_tick) : age) + DELIVERY_MARK_US;
}

int64_t delivery_of_live(struct conn *c, int64_t now)
{
    int64_t age = now - c->mark_at, stall = DELIVERY_MARK_US + DELIVERY_STALL_US + c->lag;
    if (!c->stalled && age < DELIVERY_MARK_US)
        return is_awaited(c) ? look_at_clock(c, now, acknowledged(c)) : now;
    uint64_t has = acknowledged(c);
    if (has < c->mark) {
        if (!c->stalled && age > stall)
            c->stalled = on_its_way(c, age);
        note_progress(c, now, age, has);
        if (is_awaited(c))
            look_at_clock(c, now, has);
        c->looked = now;
        return now + (c->stalled ? DELIVERY_STALLED_LOOK_US : DELIVERY_LATE_LOOK_US);
    }
    int late = now - c->looked < DELIVERY_LOOKED_US;
    if (c->full && !late && age > stall) /* nobody looked while the socket was */
        c->stalled = on_its_way(c, age);
    c->full = 0;
    learn_lag(c, late ? age : 0);
    if (c->stalled)
        elastic_delivered(&c->elastic, &c->camera->ring, now, c->stalled);
    else
        note_progress(c, now, age, has);
    if (!late)
        c->late = 0;
    c->before_tick = c->stalled ? 0 : c->mark_tick;
    c->before = c->mark;
    c->mark_tick = c->elastic.tfdt;
    c->stalled = 0;
    set_mark(c, c->body, now);
    c->had = has;
    c->had_at = now;
    return is_awaited(c) ? look_at_clock(c, now, has) : now;
}

int64_t delivery_of_history(struct conn *c, int64_t now)
{
    if (c->elastic.mode == ELASTIC_BURST || c->elastic.mode == ELASTIC_LIVE)
        c->joined = JOINED; /* by another way */
    if (c->joined == JOINED || c->elastic.mode != ELASTIC_HOLD)
        return now;
    if (c->joined == JOINING) {
        c->joined = SENT;
        set_mark(c, c->body, now);
    }
    if (c->joined == ARRIVED && c->elastic.knocks > ELASTIC_KNOCKS_SPARE)
        return now;
    if (!has_arrived(c) && now - c->mark_at < DELIVERY_JOIN_MAX_US)
        return now + DELIVERY_LOOK_US;
    if (c->joined == ARRIVED) {
        c->joined = JOINED;
        elastic_knocked(&c->elastic, now - round_trip(c));
        return now;
    }
    c->joined = ARRIVED;
    set_mark(c, c->before ? c->before : c->body, now);
    elastic_arrived(&c->elastic, now, round_trip(c), c->proxied && c->relay.diag <= 0);
    return now;
}

void delivery_knocks(struct conn *c, int64_t now)
{
    if (c->elastic.knocks < ELASTIC_KNOCKS_SPARE)
        return;
    if (c->joined == ARRIVED)
        set_mark(c, c->body + c->pad, now);
    else
        c->before = c->body + c->pad;
}

int64_t delivery_of_burst(struct conn *c, int64_t now)
{
    struct elastic *e = &c->elastic;
    if (!e->woken || e->wakers)
        return now;
    if (c->waking != e->woken) {
        c->waking = e->woken;
        c->looked = now;
        c->before_tick = c->mark_tick = 0;
        set_mark(c, whole_blocks(c->body), now);
    }
    if (!has_arrived(c)) {
        c->looked = now;
        if (now - c->mark_at < DELIVERY_LAG_MAX_US)
            return now + DELIVERY_LOOK_US;
        e->woken = 0; /* the network stalls */
        return now;
    }
    /* Nobody looks while the socket is full. */
    elastic_awake(e, now, (now - c->looked < DELIVERY_LOOKED_US ? now : c->looked) - round_trip(c));
    set_mark(c, c->body, now);
    return now;
}
