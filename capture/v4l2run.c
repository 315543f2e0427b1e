/* v4l2cap: the stream. One loop between the device and standard output; neither waits for the
 * other. */
#include "capture/cook.h"
#include "capture/exit.h"
#include "capture/outlet.h"
#include "capture/sift.h"
#include "capture/tally.h"
#include "capture/utc.h"
#include "capture/v4l2cap.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SECOND_US = 1000000,
    STALL_US = 2 * SECOND_US,
    STALL_FRAMES = 10,
    LAST_WORDS_US = SECOND_US, /* for a reader to take the rest of a picture at the end */
    CLOCK_ODD_US = SECOND_US,  /* a capture time may be this far in the future */
};

/* Why something did not go out. The first ones are sift.h's. */
enum reason { LOST = SIFT_RESULTS, GARBAGE, TORN, READER_SLOW, WAITING, REASONS };

static const char *const reasons[REASONS] = {
    [SIFT_ERROR] = "damaged, by the driver's own word",
    [SIFT_EMPTY] = "empty",
    [SIFT_FULL] = "filled to the last byte, so cut short or never written",
    [SIFT_LATE] = "later than its successor",
    [LOST] = "lost before it came to us",
    [GARBAGE] = "without H.264 in it",
    [TORN] = "without its front",
    [READER_SLOW] = "dropped, the reader is slow",
    [WAITING] = "dropped up to the next keyframe, they refer to lost ones",
};

enum recovery { RUNNING, RESTARTED, REOPENED };

struct session {
    const struct v4l2cap_options *o;
    struct device *d;
    struct outlet out;
    struct cook cook;
    struct sift sift;
    struct utc utc;
    uint8_t discontinuity; /* to be told in the next stamp that goes out */
    int held;              /* the buffer that is going out; -1: none */
    uint64_t units;        /* access units written */
    uint64_t last_us;      /* the newest buffer, or the start */
    uint64_t start_us;     /* streaming began */
    enum recovery tried;   /* since the last good buffer */
    int clock_told, key_told;
    struct tally tally[REASONS];
};

static uint64_t now_us(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * SECOND_US + (uint64_t)t.tv_nsec / 1000;
}

static void tell_at(struct session *s, enum reason why, uint64_t times, uint64_t now)
{
    uint64_t n = tally_add(&s->tally[why], times, now);

    if (n)
        v4l2cap_say(s->o->device, "%" PRIu64 " frame%s %s", n, n == 1 ? "" : "s", reasons[why]);
}

static void tell(struct session *s, enum reason why, uint64_t times)
{
    tell_at(s, why, times, now_us(CLOCK_MONOTONIC));
}

/* At the end, what was not worth a line yet. */
static void tell_rest(struct session *s)
{
    for (unsigned why = 0; why < REASONS; why++)
        tell_at(s, (enum reason)why, 0, UINT64_MAX);
}

/* --- Capture time --- */

/* `before`: a moment ago. The wall clock may be set between the two readings, or we not run: then
 * they are not of one moment. */
static int64_t utc_offset(uint64_t before)
{
    for (;;) {
        uint64_t wall = now_us(CLOCK_REALTIME), after = now_us(CLOCK_MONOTONIC);

        if (after - before <= UTC_STEP_US / 10)
            return (int64_t)(wall - before);
        before = after;
    }
}

static struct cook_time capture_time(struct session *s, const struct device_frame *frame)
{
    uint64_t now = s->last_us, at = frame->time_us;
    int odd = frame->monotonic && (at > now + CLOCK_ODD_US || at + CLOCK_ODD_US < s->start_us);

    if (odd && !s->clock_told) {
        s->clock_told = 1;
        v4l2cap_say(s->o->device, "the driver's clock is not the monotonic one: arrival times");
    }
    int arrival = odd || !frame->monotonic;
    uint8_t status = utc_fix(&s->utc, utc_offset(now));
    s->discontinuity |= status & MISB_DISCONTINUITY;
    return (struct cook_time){
        .stamp = {.us = (arrival ? now : at) + (uint64_t)s->utc.offset,
                  .status = status | s->discontinuity},
        .arrival = arrival,
    };
}

/* --- Keyframes on request --- */

static void ask_keyframe(struct session *s, int by_somebody)
{
    if (!device_keyframe(s->d) || s->key_told || !by_somebody)
        return;
    s->key_told = 1;
    v4l2cap_say(s->o->device, "this camera has no control to ask for a keyframe: its own interval "
                              "is what there is");
}

/* --- Output --- */

/* -1: keep on; otherwise the exit status. */
static int output_failed(void)
{
    if (errno == EPIPE || errno == ECONNRESET)
        return EXIT_CLEAN;
    v4l2cap_say("standard output", "%s", strerror(errno));
    return EXIT_AGAIN;
}

static int give_back(struct session *s, unsigned index)
{
    return device_give(s->d, index) ? v4l2cap_failed(s->d, s->o->device) : -1;
}

static int go(struct session *s)
{
    if (outlet_go(&s->out))
        return output_failed();
    if (s->out.left || s->held < 0)
        return -1;
    unsigned index = (unsigned)s->held;
    s->held = -1;
    return give_back(s, index);
}

/* --- Input --- */

static int send(struct session *s, const struct device_frame *frame)
{
    s->discontinuity = 0;
    s->units++;
    s->held = (int)frame->index;
    cook_written(&s->cook);
    outlet_begin(&s->out, s->cook.iov, s->cook.count);
    int status = go(s);
    return status < 0 && s->units == s->o->frames ? EXIT_CLEAN : status;
}

static int cook_frame(struct session *s, const struct device_frame *frame)
{
    struct cook_time time = capture_time(s, frame);
    int waiting = s->cook.waiting;

    switch (cook_take(&s->cook, frame->bytes, frame->len, &time)) {
    case COOK_WRITE:
        return send(s, frame);
    case COOK_WAITING:
        tell(s, WAITING, 1);
        if (!waiting)
            ask_keyframe(s, 0);
        break;
    case COOK_GARBAGE:
        tell(s, GARBAGE, 1);
        break;
    case COOK_TORN:
        tell(s, TORN, 1);
        break;
    case COOK_SETS_IN:
        break;
    }
    return give_back(s, frame->index);
}

static int take_frame(struct session *s, const struct device_frame *frame)
{
    uint32_t lost;
    enum sift_result result = sift(&s->sift, frame, &lost);

    s->last_us = now_us(CLOCK_MONOTONIC);
    if (lost) {
        tell(s, LOST, lost);
        cook_lost(&s->cook);
    }
    if (result != SIFT_GOOD) {
        tell(s, (enum reason)result, 1);
        cook_lost(&s->cook);
        return give_back(s, frame->index);
    }
    s->tried = RUNNING;
    if (s->held >= 0) {
        tell(s, READER_SLOW, 1);
        cook_skip(&s->cook, frame->bytes, frame->len);
        return give_back(s, frame->index);
    }
    return cook_frame(s, frame);
}

/* --- When the camera stops --- */

static void begin_streaming(struct session *s)
{
    s->sift = (struct sift){0};
    s->start_us = s->last_us = now_us(CLOCK_MONOTONIC);
}

/* Waits a moment for the reader to take what it has half of. */
static int last_words(struct session *s)
{
    uint64_t end = now_us(CLOCK_MONOTONIC) + LAST_WORDS_US, now;
    int status = -1;

    while (s->out.left && status < 0 && (now = now_us(CLOCK_MONOTONIC)) < end) {
        struct pollfd p = {.fd = s->out.fd, .events = POLLOUT};
        poll(&p, 1, (int)((end - now) / 1000) + 1);
        status = go(s);
    }
    return status;
}

static int reopen(struct session *s)
{
    int status = last_words(s);

    if (status >= 0)
        return status;
    if (s->out.left) {
        v4l2cap_say(s->o->device, "no pictures, and nobody reads: giving up");
        return EXIT_AGAIN;
    }
    device_close(s->d);
    return v4l2cap_open(s->d, s->o) ? EXIT_AGAIN : -1;
}

/* Streaming stopped or broke: restart it, then open the device anew, then leave it to whoever
 * supervises us. */
static int recover(struct session *s, const char *why)
{
    int status = -1;

    switch (s->tried) {
    case RUNNING:
        v4l2cap_say(s->o->device, "%s: restarting the stream", why);
        s->tried = RESTARTED;
        if (!device_restart(s->d, s->held))
            break;
        if (errno == ENODEV)
            return v4l2cap_failed(s->d, s->o->device);
        /* fall through */
    case RESTARTED:
        v4l2cap_say(s->o->device, "%s: opening it again", why);
        s->tried = REOPENED;
        status = reopen(s);
        break;
    case REOPENED:
        v4l2cap_say(s->o->device, "%s: giving up", why);
        return EXIT_AGAIN;
    }
    begin_streaming(s);
    cook_lost(&s->cook);
    return status;
}

/* One filled buffer; poll() tells of the next. `error`: there is an error to fetch. */
static int take_one(struct session *s, int error)
{
    struct device_frame frame;

    if (!device_take(s->d, &frame))
        return take_frame(s, &frame);
    if (errno == EAGAIN && !error)
        return -1;
    if (errno == EIO || errno == EPIPE || errno == EINVAL || errno == EAGAIN)
        return recover(s, "the driver stopped");
    return v4l2cap_failed(s->d, s->o->device);
}

/* --- The loop --- */

static uint64_t stall_us(const struct device *d)
{
    uint64_t ten = d->rate.num ? (uint64_t)STALL_FRAMES * SECOND_US * d->rate.den / d->rate.num : 0;

    return ten > STALL_US ? ten : STALL_US;
}

/* Signals are only let in while it waits, so none slips by between a look and a wait. */
static void block_signals(void)
{
    sigset_t ours;

    sigemptyset(&ours);
    sigaddset(&ours, SIGUSR1);
    sigaddset(&ours, SIGTERM);
    sigaddset(&ours, SIGINT);
    sigprocmask(SIG_BLOCK, &ours, NULL);
}

static int wait_for_either(struct session *s, struct pollfd p[2])
{
    uint64_t due = s->last_us + stall_us(s->d), now = now_us(CLOCK_MONOTONIC);
    uint64_t us = due > now ? due - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(us / SECOND_US),
                               .tv_nsec = (long)(us % SECOND_US) * 1000};
    sigset_t none;

    sigemptyset(&none);
    p[0] = (struct pollfd){.fd = s->d->fd, .events = POLLIN};
    p[1] = (struct pollfd){.fd = s->out.fd, .events = s->out.left ? POLLOUT : 0};
    return ppoll(p, 2, &timeout, &none);
}

/* One round. -1: go on. */
static int turn(struct session *s)
{
    struct pollfd p[2];
    int n = wait_for_either(s, p), status = -1;

    if (v4l2cap_key_wanted) {
        v4l2cap_key_wanted = 0;
        ask_keyframe(s, 1);
    }
    if (n <= 0)
        return n == 0 ? recover(s, "no pictures") : -1;
    if (p[1].revents & POLLOUT)
        status = go(s);
    else if (p[1].revents & (POLLERR | POLLHUP))
        return EXIT_CLEAN; /* nobody reads any more */
    if (status < 0 && p[0].revents)
        status = take_one(s, (p[0].revents & (POLLERR | POLLHUP)) != 0);
    return status;
}

int v4l2cap_run(struct device *d, const struct v4l2cap_options *o)
{
    static struct session s;
    int status = -1;

    s = (struct session){.o = o, .d = d, .held = -1};
    cook_init(&s.cook);
    if (outlet_open(&s.out, STDOUT_FILENO))
        return output_failed();
    block_signals();
    begin_streaming(&s);
    while (status < 0 && !v4l2cap_stop)
        status = turn(&s);
    int late = last_words(&s);
    outlet_close(&s.out);
    if (v4l2cap_stop || s.units == o->frames) /* not for a reader that has gone: that is no news */
        tell_rest(&s);
    if (status < 0)
        status = EXIT_CLEAN;
    return status == EXIT_CLEAN && late > 0 ? late : status;
}
