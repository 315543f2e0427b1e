/* testcard: a synthetic camera. Options, clocks and writing; the picture is card.c, the H.264
 * cardenc.c. */
#include "capture/card.h"
#include "capture/cardenc.h"
#include "capture/exit.h"
#include "capture/misb.h"
#include "capture/number.h"
#include "capture/rate.h"
#include "capture/utc.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SECOND_US = 1000000,
    GOP_MAX = 1000000,
};

static const char usage[] =
    "usage: testcard [-s WxH] [-r fps] [-g keyframe-interval] [-n frames] [-x]\n"
    "       testcard -h | -V\n";

struct options {
    unsigned width, height;
    struct rate rate;
    uint64_t gop, frames; /* 0: one second; no end */
    int fast;
};

/* Everything between two frames. */
struct source {
    struct options o;
    struct card card;
    struct cardenc encoder;
    uint8_t *unit;
    uint64_t frame; /* counts deadlines, so it jumps where frames were lost */
    uint64_t start; /* CLOCK_MONOTONIC at frame 0, microseconds */
    struct utc utc;
    uint64_t last_key; /* the frame number of the newest keyframe */
    uint64_t units;    /* access units written */
};

static volatile sig_atomic_t stop, key_wanted;

static void on_signal(int number)
{
    if (number == SIGUSR1)
        key_wanted = 1;
    else
        stop = 1;
}

static void bad_option(const char *what, const char *value, const char *why)
{
    fprintf(stderr, "testcard: %s %s: %s\n", what, value, why);
    exit(EXIT_USAGE);
}

static void parse_size(struct options *o, const char *text)
{
    if (number_parse_size(text, CARD_WIDTH_MAX, &o->width, &o->height) || o->width % 2 ||
        o->height % 2 || o->height > CARD_HEIGHT_MAX)
        bad_option("-s", text, "want WIDTHxHEIGHT, even numbers, at most 4096x2304");
    if (!card_fits(o->width, o->height))
        bad_option("-s", text, "too small for the 104 cells of 16x16 pixels");
}

static void parse(struct options *o, int argc, char **argv)
{
    int c;

    *o = (struct options){.width = 640, .height = 480, .rate = {30, 1}};
    opterr = 0;
    while ((c = getopt(argc, argv, ":s:r:g:n:xhV")) != -1) {
        char option[] = {'-', (char)optopt, 0};
        switch (c) {
        case 's':
            parse_size(o, optarg);
            break;
        case 'r':
            if (rate_parse(optarg, &o->rate))
                bad_option("-r", optarg,
                           "want frames a second like 30, 29.97 or 30000/1001, "
                           "0.1 to 240");
            break;
        case 'g':
            if (number_parse(optarg, 1, GOP_MAX, &o->gop))
                bad_option("-g", optarg, "want a number of frames, 1 to 1000000");
            break;
        case 'n':
            if (number_parse(optarg, 1, UINT32_MAX, &o->frames))
                bad_option("-n", optarg, "want a number of frames, 1 to 4294967295");
            break;
        case 'x':
            o->fast = 1;
            break;
        case 'h':
            fputs(usage, stdout);
            exit(fflush(stdout) ? EXIT_AGAIN : 0);
        case 'V':
            puts("testcard " VERSION);
            exit(fflush(stdout) ? EXIT_AGAIN : 0);
        case ':':
            bad_option("option", option, "needs a value");
            break;
        default:
            bad_option("option", option, "unknown (-h shows the usage)");
        }
    }
    if (optind < argc)
        bad_option("argument", argv[optind], "unexpected (-h shows the usage)");
    if (isatty(STDOUT_FILENO))
        bad_option("standard output", "is a terminal", "want a pipe or a file for the video");
}

static uint64_t now_us(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * SECOND_US + (uint64_t)t.tv_nsec / 1000;
}

static int64_t utc_offset(void)
{
    return (int64_t)(now_us(CLOCK_REALTIME) - now_us(CLOCK_MONOTONIC));
}

/* Writes it all, whatever kind of descriptor this is. Returns -1 with errno. */
static int write_all(int fd, const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);
        if (done >= 0) {
            p += done;
            n -= (size_t)done;
        } else if (errno == EAGAIN) {
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        } else if (errno != EINTR) {
            return -1;
        }
    }
    return 0;
}

/* The stamp of the current frame: the moment of its deadline. */
static struct misb_stamp stamp(struct source *s)
{
    uint64_t deadline = s->start + rate_us(s->o.rate, s->frame);
    uint8_t status = MISB_STATUS;

    if (!s->o.fast || !s->utc.fixed) /* a run ahead of the clock has only its start from it */
        status = utc_fix(&s->utc, utc_offset());
    return (struct misb_stamp){deadline + (uint64_t)s->utc.offset, status};
}

static int write_frame(struct source *s)
{
    struct misb_stamp when = stamp(s);
    int key = s->frame - s->last_key >= s->o.gop || key_wanted || !s->units;
    size_t len = 0;

    if (key) {
        key_wanted = 0;
        s->last_key = s->frame;
    }
    if (!s->units) {
        cardenc_begin(s->unit);
        len = CARDENC_AUD;
    }
    card_draw(&s->card, (uint32_t)s->frame, when.us);
    len += cardenc_unit(&s->encoder, &s->card.picture, key, &when, s->unit + len);
    s->units++;
    return write_all(STDOUT_FILENO, s->unit, len);
}

/* Sleeps until the next frame is due; frames whose time has passed by an interval are lost, as a
 * camera loses them. */
static void next_frame(struct source *s)
{
    s->frame++;
    if (s->o.fast)
        return;
    uint64_t due = rate_due(s->o.rate, now_us(CLOCK_MONOTONIC) - s->start);
    if (due > s->frame)
        s->frame = due;
    uint64_t us = s->start + rate_us(s->o.rate, s->frame);
    struct timespec deadline = {.tv_sec = (time_t)(us / SECOND_US),
                                .tv_nsec = (long)(us % SECOND_US) * 1000};
    while (!stop && clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL) == EINTR)
        ;
}

static int run(struct source *s)
{
    s->start = now_us(CLOCK_MONOTONIC);
    while (!stop) {
        if (write_frame(s)) {
            if (errno == EPIPE)
                return 0;
            fprintf(stderr, "testcard: standard output: %s\n", strerror(errno));
            return EXIT_AGAIN;
        }
        if (s->o.frames && s->units == s->o.frames)
            break;
        next_frame(s);
    }
    return 0;
}

/* A second SIGTERM or SIGINT ends it even where nobody reads the pipe any more. */
static void catch_signals(void)
{
    struct sigaction key = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sigaction end = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGUSR1, &key, NULL);
    sigaction(SIGTERM, &end, NULL);
    sigaction(SIGINT, &end, NULL);
    signal(SIGPIPE, SIG_IGN);
}

int main(int argc, char **argv)
{
    static struct source s;

    parse(&s.o, argc, argv);
    unsigned w = s.o.width, h = s.o.height;
    if (!s.o.gop)
        s.o.gop = rate_second(s.o.rate);
    void *picture = malloc(card_memory(w, h));
    void *encoder_memory = malloc(cardenc_memory(w, h));
    s.unit = malloc(CARDENC_AUD + cardenc_unit_max(w, h));
    if (!picture || !encoder_memory || !s.unit) {
        fprintf(stderr, "testcard: memory for %ux%u: %s\n", w, h, strerror(errno));
        return EXIT_AGAIN;
    }
    card_init(&s.card, w, h, picture);
    cardenc_init(&s.encoder, w, h, s.o.rate, encoder_memory);
    catch_signals();
    return run(&s);
}
