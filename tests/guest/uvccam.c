/* uvccam: an H.264 webcam on a USB cable that is a socket. The kernel's vhci-hcd takes the other
 * end (Documentation/usb/usbip_protocol), so the stock uvcvideo finds a camera and makes a
 * /dev/videoN. It offers one size for each file, named by the file's own parameter sets, and plays
 * that file from its beginning, over and over, whenever a stream is begun. */
#include "capture/number.h"
#include "tests/guest/units.h"
#include "tests/guest/uvc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "usage: uvccam [-B] [-d n[,ms]] [-e n] [-g n] [-l log] [-s n[,ms]] [-z n] file.h264...\n"
    "  -B         frames that are late follow each other at once: the driver, on two CPUs, may "
    "then\n"
    "             hand them out in another order\n"
    "  -d n[,ms]  after n frames the cable is pulled, and plugged in again ms later; without, the "
    "end\n"
    "  -e n       every nth frame carries the error bit: the driver drops it\n"
    "  -g n       in front of every nth frame comes one of garbage\n"
    "  -l log     a line for each frame: number, bytes, CLOCK_MONOTONIC in us when it began\n"
    "  -s n[,ms]  after n frames nothing is sent for ms; without, never again\n"
    "  -z n       in front of every nth frame comes an empty one: the driver drops it\n";

enum {
    USAGE = 100,
    HEADER_LEN = 48, /* of every USB/IP message; numbers are big-endian */
    URBS_MAX = 64,
    OUT_MAX = 4096,
    PAYLOAD_HEADER = 2,
    GARBAGE_LEN = 5000,
    FELL_BEHIND_NS = 1000000000, /* more than this late: the pace begins anew */
    HIGH_SPEED = 3,
};

enum usbip { CMD_SUBMIT = 1, CMD_UNLINK = 2, RET_SUBMIT = 3, RET_UNLINK = 4 };

struct options {
    int back_to_back;
    uint64_t unplug_after, replug_ms; /* 0: never */
    uint64_t error_every, garbage_every, empty_every;
    uint64_t stall_after, stall_ms;
    FILE *log;
};

struct urb {
    uint32_t seq, len;
};

struct camera {
    struct options o;
    struct uvc uvc;
    struct units stream[UVC_SIZES_MAX];
    int fd; /* the cable */
    struct urb urb[URBS_MAX];
    unsigned urbs;

    int streaming;
    int64_t due, ended; /* when the next frame begins, when the last one ended; ns */
    size_t next;        /* access unit of the stream */
    uint64_t frames;    /* sent since it was plugged in, what is not the stream's not counted */

    int sending; /* a frame is on its way: */
    const uint8_t *frame;
    size_t len, sent;
    uint8_t flags; /* of its payloads' headers */
    int extra;     /* it is none of the stream's */
    uint8_t noise[GARBAGE_LEN];
};

__attribute__((noreturn, format(printf, 2, 3))) static void die(int status, const char *format, ...)
{
    va_list ap;
    fprintf(stderr, "uvccam: ");
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    exit(status);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* --- The cable --- */

static uint32_t get32(const uint8_t *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return ntohl(value);
}

static void put32(uint8_t *p, uint32_t value)
{
    value = htonl(value);
    memcpy(p, &value, sizeof value);
}

/* Returns -1 when the kernel has let go of the cable. */
static int receive(const struct camera *c, uint8_t *p, size_t len)
{
    return recv(c->fd, p, len, MSG_WAITALL) == (ssize_t)len ? 0 : -1;
}

/* A cable nobody holds any more is noticed at the next receive(). */
static void transmit(const struct camera *c, const uint8_t *p, size_t len)
{
    while (len) {
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        p += n;
        len -= (size_t)n;
    }
}

static void reply(const struct camera *c, enum usbip command, uint32_t seq, int status,
                  uint32_t actual, const uint8_t *data)
{
    uint8_t header[HEADER_LEN] = {0};
    put32(header, command);
    put32(header + 4, seq);
    put32(header + 20, (uint32_t)status);
    put32(header + 24, actual);
    transmit(c, header, sizeof header);
    if (data)
        transmit(c, data, actual);
}

/* Plugs it into the first port; after an unplugging the kernel takes a while to free that. */
static void plug(struct camera *c)
{
    static const char attach[] = "/sys/devices/platform/vhci_hcd.0/attach";
    enum { TRIES = 100, TRY_NS = 50000000, DEVICE_ID = 0x10001 };
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        die(1, "socketpair: %s", strerror(errno));
    int port = open(attach, O_WRONLY | O_CLOEXEC);
    if (port < 0)
        die(1, "%s: %s: is vhci-hcd loaded?", attach, strerror(errno));
    int tries = 0;
    while (dprintf(port, "0 %d %d %d", pair[1], DEVICE_ID, HIGH_SPEED) < 0) {
        if (++tries == TRIES)
            die(1, "%s: %s", attach, strerror(errno));
        nanosleep(&(struct timespec){.tv_nsec = TRY_NS}, NULL);
    }
    close(port);
    close(pair[1]);
    c->fd = pair[0];
    c->urbs = 0;
    c->streaming = c->sending = 0;
    c->frames = 0;
}

/* --- Requests --- */

static void on_control(struct camera *c, const uint8_t *header, const uint8_t *data, size_t len)
{
    uint8_t answer[UVC_ANSWER_MAX];
    const uint8_t *setup = header + 40;
    uint32_t seq = get32(header + 4);
    int n = uvc_request(&c->uvc, setup, data, len, answer);
    if (n < 0)
        reply(c, RET_SUBMIT, seq, -EPIPE, 0, NULL);
    else if (setup[0] & 0x80)
        reply(c, RET_SUBMIT, seq, 0, (uint32_t)n, answer);
    else
        reply(c, RET_SUBMIT, seq, 0, (uint32_t)len, NULL);
    if (c->uvc.committed || c->uvc.halted)
        c->streaming = c->sending = 0;
    c->uvc.committed = c->uvc.halted = 0;
}

/* The kernel wants a URB back: answered as undone where it still waits, else it was too late. */
static void on_unlink(struct camera *c, const uint8_t *header)
{
    uint32_t victim = get32(header + 20);
    int status = 0;
    for (unsigned i = 0; i < c->urbs && !status; i++) {
        if (c->urb[i].seq == victim) {
            memmove(c->urb + i, c->urb + i + 1, (--c->urbs - i) * sizeof *c->urb);
            status = -ECONNRESET;
        }
    }
    reply(c, RET_UNLINK, get32(header + 4), status, 0, NULL);
    c->sending = 0;
}

/* Reads and answers one message. Returns -1 when the kernel has let go. */
static int on_message(struct camera *c)
{
    uint8_t header[HEADER_LEN], data[OUT_MAX];
    if (receive(c, header, sizeof header) < 0)
        return -1;
    uint32_t command = get32(header), in = get32(header + 12), endpoint = get32(header + 16);
    uint32_t len = get32(header + 24);
    if (command == CMD_UNLINK) {
        on_unlink(c, header);
        return 0;
    }
    if (command != CMD_SUBMIT || (!in && len > sizeof data))
        die(1, "message %u with %u bytes", command, len);
    if (!in && len && receive(c, data, len) < 0)
        return -1;
    if (endpoint == 0)
        on_control(c, header, data, in ? 0 : len);
    else if (c->urbs < URBS_MAX && len > PAYLOAD_HEADER)
        c->urb[c->urbs++] = (struct urb){get32(header + 4), len};
    else
        die(1, "more than %d requests for %u bytes", URBS_MAX, len);
    return 0;
}

/* --- Frames --- */

static const struct units *playing(const struct camera *c)
{
    return &c->stream[c->uvc.chosen];
}

/* A camera's frames are never close together, and uvcvideo, which copies payloads in several
 * threads, may swap those that are: one that is late keeps a quarter of the interval's distance. */
static int64_t next_at(const struct camera *c)
{
    int64_t apart = c->ended + (int64_t)c->uvc.interval * 100 / 4;
    return !c->o.back_to_back && apart > c->due ? apart : c->due;
}

static int every(uint64_t n, uint64_t frame)
{
    return n && (frame + 1) % n == 0;
}

static void begin_stream(struct camera *c)
{
    c->streaming = 1;
    c->due = now();
    c->ended = 0;
    c->next = 0;
    c->extra = 0;
}

static void begin_frame(struct camera *c)
{
    enum { END_OF_HEADER = 0x80, ERROR_BIT = 0x40, FRAME_ID = 0x01 };
    int64_t began = now();
    int garbage = every(c->o.garbage_every, c->frames);
    c->extra = !c->extra && (garbage || every(c->o.empty_every, c->frames));
    c->flags = END_OF_HEADER | ((c->flags & FRAME_ID) ^ FRAME_ID);
    c->sending = 1;
    c->sent = 0;
    if (c->extra) {
        c->frame = c->noise;
        c->len = garbage ? sizeof c->noise : 0;
        return;
    }
    c->frame = units_get(playing(c), c->next, &c->len);
    if (every(c->o.error_every, c->frames))
        c->flags |= ERROR_BIT;
    c->due += (int64_t)c->uvc.interval * 100;
    if (began - c->due > FELL_BEHIND_NS)
        c->due = began;
    if (c->o.log) {
        fprintf(c->o.log, "%llu %zu %lld\n", (unsigned long long)c->frames, c->len,
                (long long)began / 1000);
        fflush(c->o.log);
    }
}

static void end_frame(struct camera *c)
{
    c->sending = 0;
    c->ended = now();
    if (c->extra)
        return;
    c->next = (c->next + 1) % playing(c)->count;
    c->frames++;
    if (c->frames == c->o.stall_after)
        c->due = c->o.stall_ms ? c->ended + (int64_t)c->o.stall_ms * 1000000 : INT64_MAX;
}

/* Answers the oldest URB with the frame's next piece. */
static void send_payload(struct camera *c)
{
    enum { END_OF_FRAME = 0x02 };
    static uint8_t payload[UVC_PAYLOAD_MAX];
    struct urb urb = c->urb[0];
    size_t room = (urb.len < sizeof payload ? urb.len : sizeof payload) - PAYLOAD_HEADER;
    size_t n = c->len - c->sent < room ? c->len - c->sent : room;
    payload[0] = PAYLOAD_HEADER;
    payload[1] = c->flags;
    memcpy(payload + PAYLOAD_HEADER, c->frame + c->sent, n);
    c->sent += n;
    if (c->sent == c->len)
        payload[1] |= END_OF_FRAME;
    memmove(c->urb, c->urb + 1, --c->urbs * sizeof *c->urb);
    reply(c, RET_SUBMIT, urb.seq, 0, (uint32_t)(n + PAYLOAD_HEADER), payload);
    if (c->sent == c->len)
        end_frame(c);
}

/* How long there is nothing to send; a null pointer: until the kernel asks. */
static const struct timespec *patience(const struct camera *c, struct timespec *t)
{
    if (!c->urbs)
        return NULL;
    int64_t wait = c->sending || !c->streaming ? 0 : next_at(c) - now();
    if (wait < 0)
        wait = 0;
    *t = (struct timespec){.tv_sec = (time_t)(wait / 1000000000), .tv_nsec = wait % 1000000000};
    return t;
}

/* A camera from one plugging in to the next pulling out. Returns 1 when it pulled the cable itself,
 * 0 when the kernel let go. */
static int play(struct camera *c)
{
    while (!c->o.unplug_after || c->frames < c->o.unplug_after) {
        struct pollfd cable = {.fd = c->fd, .events = POLLIN};
        struct timespec t;
        if (ppoll(&cable, 1, patience(c, &t), NULL) > 0) {
            if (on_message(c) < 0)
                return 0;
            continue;
        }
        if (!c->streaming)
            begin_stream(c);
        if (!c->sending && now() >= next_at(c))
            begin_frame(c);
        if (c->sending)
            send_payload(c);
    }
    return 1;
}

/* --- Options --- */

/* "n" or "n,ms" */
static void count_option(int option, const char *text, uint64_t *n, uint64_t *ms)
{
    enum { MOST = 1000000000 };
    const char *rest = number_digits(text, n);
    if (rest && *rest == ',' && ms)
        rest = number_digits(rest + 1, ms);
    if (!rest || *rest || !*n || *n > MOST || (ms && *ms > MOST))
        die(USAGE, "-%c: %s: want a number%s", option, text, ms ? ", or two: frames,ms" : "");
}

static void read_options(struct options *o, int argc, char **argv)
{
    int option;
    while ((option = getopt(argc, argv, "Bd:e:g:hl:s:z:")) != -1) {
        switch (option) {
        case 'B':
            o->back_to_back = 1;
            break;
        case 'd':
            count_option(option, optarg, &o->unplug_after, &o->replug_ms);
            break;
        case 'e':
            count_option(option, optarg, &o->error_every, NULL);
            break;
        case 'g':
            count_option(option, optarg, &o->garbage_every, NULL);
            break;
        case 'h':
            fputs(usage, stdout);
            exit(0);
        case 'l':
            o->log = fopen(optarg, "w");
            if (!o->log)
                die(USAGE, "%s: %s", optarg, strerror(errno));
            break;
        case 's':
            count_option(option, optarg, &o->stall_after, &o->stall_ms);
            break;
        case 'z':
            count_option(option, optarg, &o->empty_every, NULL);
            break;
        default:
            fputs(usage, stderr);
            exit(USAGE);
        }
    }
}

int main(int argc, char **argv)
{
    static struct camera c;
    read_options(&c.o, argc, argv);
    argv += optind;
    argc -= optind;
    if (argc < 1 || argc > UVC_SIZES_MAX) {
        fputs(usage, stderr);
        return USAGE;
    }
    c.uvc.sizes = (unsigned)argc;
    for (int i = 0; i < argc; i++) {
        units_load(&c.stream[i], argv[i]);
        c.uvc.size[i].width = c.stream[i].width;
        c.uvc.size[i].height = c.stream[i].height;
    }
    /* No zeros, so no start codes. */
    for (unsigned i = 0; i < GARBAGE_LEN; i++)
        c.noise[i] = (uint8_t)(1 + i * 7919 % 255);
    uvc_negotiate(&c.uvc, NULL, 0);

    for (;;) {
        plug(&c);
        int pulled = play(&c);
        close(c.fd);
        if (!pulled || !c.o.replug_ms)
            break;
        nanosleep(&(struct timespec){.tv_sec = (time_t)(c.o.replug_ms / 1000),
                                     .tv_nsec = (long)(c.o.replug_ms % 1000) * 1000000},
                  NULL);
    }
    for (int i = 0; i < argc; i++)
        units_free(&c.stream[i]);
    return 0;
}
