/* What is concluded from acknowledgements, where the network is made up: how much of the body it
 * has, and what round trip it claims. */
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "serve/delivery.h"
#include "serve/server.h"
#include "tests/unit/elasticrun.h"

enum {
    PICTURE = 9000,
    TRIP = 40000,
    FPS = 30,
    FRAME = SECOND / FPS,
};

static struct camera of;
static struct conn c;
static uint64_t arrived;
static int64_t delay; /* us from sending to acknowledgement, or 0: as the tests say */
static struct {
    int64_t at;
    uint64_t body, tick;
} sent[4096]; /* in a circle */
static unsigned sents;
static unsigned looks;

static void note_sent(void)
{
    sent[sents % 4096].at = now;
    sent[sents % 4096].tick = e.tfdt;
    sent[sents++ % 4096].body = c.body;
}

static void deliver(void)
{
    for (unsigned i = sents > 64 ? sents - 64 : 0; i < sents; i++)
        if (sent[i % 4096].at + delay <= now)
            arrived = sent[i % 4096].body;
}

/* In place of the kernel's. */
int ioctl(int fd, unsigned long what, ...)
{
    va_list more;
    va_start(more, what);
    int *left = va_arg(more, int *);
    va_end(more);
    looks++;
    if (delay)
        deliver();
    *left = (int)(c.body - arrived);
    return fd == c.fd && what == SIOCOUTQ ? 0 : -1;
}

int getsockopt(int fd, int level, int what, void *restrict value, socklen_t *restrict room)
{
    struct tcp_info info = {.tcpi_min_rtt = TRIP};
    memcpy(value, &info, *room < sizeof info ? *room : sizeof info);
    return fd == c.fd && level == IPPROTO_TCP && what == TCP_INFO ? 0 : -1;
}

static int asks, gone;
static uint64_t client_has; /* bytes, where `stands` */
static int stands;

int relay_ask(const struct relay *r, struct relay_left *left)
{
    asks++;
    if (!stands)
        client_has = c.body;
    left->bytes = (uint32_t)(c.body - client_has);
    left->trip = 3 * TRIP;
    return gone || r->diag != 7 ? -1 : 0;
}

/* One picture of the camera, and what becomes of it. held: nothing is acknowledged. */
static void picture_time(int held)
{
    int64_t end = next_frame, look;
    frame();
    for (now = end; now<end + FRAME; now = look> now && look < end + FRAME ? look : end + FRAME) {
        arrived = held || delay ? arrived : c.body;
        c.elastic = e;
        delivery_sent(&c);
        look = c.elastic.woken                  ? delivery_of_burst(&c, now)
               : c.elastic.mode == ELASTIC_LIVE ? delivery_of_live(&c, now)
                                                : now;
        e = c.elastic;
        if (c.stalled)
            continue;
        unsigned before = got.sent, pads = got.pads;
        pump();
        c.body += (uint64_t)(got.sent - before) * PICTURE;
        if (got.sent != before)
            note_sent();
        if (got.pads != pads)
            c.body += ELASTIC_PAD_BYTES - c.body % ELASTIC_PAD_BYTES;
    }
}

static void watch(int64_t us, int held)
{
    for (int64_t n = us / FRAME; n > 0; n--)
        picture_time(held);
}

static void begin(void)
{
    camera(FPS, FPS, PICTURE);
    of.ring = ring;
    c = (struct conn){.fd = 3, .camera = &of};
    arrived = 0;
    delay = 0;
    sents = 0;
    stall(6 * SECOND);
    join(0);
    delivery_begin(&c, now);
    live(12 * SECOND, 0);
    next_frame = now > next_frame ? now : next_frame;
    e.woken = 0;
    watch(2 * SECOND, 0);
}

/* Media on the viewer's timeline that is not in whole blocks of what has arrived. */
static int64_t unseen(void)
{
    unsigned i = sents;
    while (i-- > 0 && sent[i % 4096].body > arrived - arrived % ELASTIC_PAD_BYTES)
        ;
    return (int64_t)(e.tfdt - sent[i % 4096].tick) * SECOND / SCALE;
}

/* The network holds things back for so long that a clock has less in front of it than the two
 * pictures with which it stops; or for less. */
static void held_back(unsigned pictures)
{
    begin();
    c.lag = SECOND / 4; /* it has done that before */
    watch((int64_t)pictures * FRAME, 1);
    int64_t took = (int64_t)pictures * FRAME, lead = e.lead, has = unseen() + 2 * FRAME;
    picture_time(0);
    int stood = has > lead + TRIP + FRAME / 2;
    ok(!c.stalled && e.mode == ELASTIC_LIVE && c.lag > 0, "held back for %d ms",
       (int)(took / 1000));
    if (stood)
        ok(e.most == e.lead && e.lead >= 10 * FRAME && llabs(e.lead - has + TRIP) < FRAME + 5000,
           "the clock has stood with %d ms: it has %d ms", (int)(has / 1000), (int)(e.lead / 1000));
    else
        ok(llabs(e.lead - lead) < FRAME + 5000, "nothing has happened: %d ms",
           (int)(e.lead / 1000));
    int64_t was = e.lead;
    watch(2 * SECOND, 0);
    ok(sound() && e.lead <= was && on_target() && !e.jumps, "and settles: %d ms",
       (int)(e.lead / 1000));
    watch(300 * (int64_t)SECOND, 0);
    ok(on_target() && e.target - target() < 2000, "and is forgotten: %d ms", (int)(e.lead / 1000));
}

static void stalls(void)
{
    begin();
    watch(SECOND, 1);
    ok(c.stalled > SECOND * 3 / 10 && c.stalled < SECOND / 2,
       "nothing for a second: stalled at %d ms", (int)(c.stalled / 1000));
    clear();
    watch(SECOND, 1);
    ok(!got.sent && c.stalled, "and nothing is sent");
    watch(SECOND, 0);
    ok(!c.stalled && e.jumps, "then what is old is left out");
}

/* Nobody looks while the socket is full; when it takes something again all has arrived. */
static void socket_full(void)
{
    begin();
    watch(SECOND / 6, 1);
    unsigned jumps = e.jumps;
    stall(SECOND);
    c.full = 1;
    picture_time(0);
    ok(e.mode == ELASTIC_HOLD && e.jumps == jumps + 1 && !c.full && !c.stalled,
       "a socket that was full: what is on its way is watched first");
    watch(4 * SECOND, 0);
    ok(sound() && on_target(), "and settles: %d ms", (int)(e.lead / 1000));
}

/* A front end takes everything at once; its client does not. */
static void behind_front_end(void)
{
    begin();
    watch(SECOND, 0);
    ok(asks == 0, "who comes by himself is not asked for");
    c.proxied = 1;
    c.relay.diag = 7;
    watch(SECOND, 0);
    ok(asks >= 7 && asks <= 11 && c.trip == 3 * TRIP, "behind a front end: asked %d times", asks);
    stands = 1;
    watch(SECOND, 0);
    ok(c.stalled > SECOND * 3 / 10 && c.stalled < SECOND / 2, "a stall behind it: at %d ms",
       (int)(c.stalled / 1000));
    unsigned jumps = e.jumps;
    stands = 0;
    watch(4 * SECOND, 0);
    ok(!c.stalled && e.jumps > jumps && sound() && on_target(), "over: what is old is left out");
    gone = 1;
    watch(SECOND, 0);
    ok(c.relay.diag == 0 && !c.stalled, "one of whom nothing is known any more is not asked for");
    int before = asks;
    watch(SECOND, 0);
    ok(asks == before, "nor again");
}

/* A camera that pauses is no network that does. */
static void camera_pauses(void)
{
    begin();
    int64_t lag = c.lag;
    next_frame += SECOND / 2;
    int64_t lead = e.lead;
    picture_time(0);
    ok(!c.stalled && c.lag <= lag && e.lead <= lead, "a camera that paused is not late");
}

/* All of it comes late, and goes on doing so: that is no stall, nor is there anything to be left
 * out again and again. */
static void queue(int64_t length, int64_t grows)
{
    begin();
    unsigned jumps = e.jumps;
    for (delay = length - grows; delay < length; delay += 10000)
        picture_time(0);
    watch(10 * SECOND, 0);
    ok(e.jumps - jumps <= 2, "%s %d ms behind: %u jumps", grows ? "slowly" : "at once",
       (int)(length / 1000), e.jumps - jumps);
    jumps = e.jumps;
    int64_t media = got.media;
    watch(20 * SECOND, 0);
    ok(e.jumps == jumps && !c.stalled && llabs(got.media - media - 20 * SECOND) < SECOND / 10,
       "then as fast as it is watched: %d ms in 20 s", (int)((got.media - media) / 1000));
}

static void cost(void)
{
    begin();
    looks = 0;
    watch(10 * SECOND, 0);
    ok(looks <= 100 && looks >= 70, "%u looks in ten seconds of a good network", looks);
}

int main(void)
{
    held_back(2);
    held_back(4);
    held_back(8);
    held_back(13);
    held_back(15);
    stalls();
    socket_full();
    behind_front_end();
    camera_pauses();
    queue(200000, 0);
    queue(400000, 0);
    queue(400000, 350000);
    queue(520000, 350000);
    cost();
    return done();
}
