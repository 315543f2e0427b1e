/* h264fmp4: H.264 Annex-B on standard input, fragmented MP4 on standard output. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "capture/au.h"
#include "capture/exit.h"
#include "capture/rate.h"
#include "mux/box.h"
#include "mux/muxer.h"

enum {
    READ_MAX = 128 << 10,
    SLIDE_MAX = 512 << 10, /* the window is moved back to the front once it is this far along */
    FRONT_BYTES = 8,       /* a box's size and type */
};

#define USAGE                                                                                      \
    "usage: h264fmp4 [-r fps] [-R 0|90|180|270] [-g au|gop]\n"                                     \
    "       h264fmp4 -h | -V\n"

static volatile sig_atomic_t stop;
static struct au_framer framer;
static struct mux mux;
static off_t file_at = -1; /* where a file that can be written anywhere goes on; -1: a pipe */
static uint8_t buffer[SLIDE_MAX + AU_BYTES_MAX + READ_MAX];

static void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "h264fmp4: %s: %s\n", what, why);
    exit(status);
}

static void bad_option(const char *option, const char *value, const char *why)
{
    fprintf(stderr, "h264fmp4: %s %s: %s\n", option, value, why);
    exit(EXIT_USAGE);
}

static uint64_t clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/* Somebody else may have made a shared pipe non-blocking. */
static void wait_for(int fd, short events)
{
    poll(&(struct pollfd){.fd = fd, .events = events}, 1, -1);
}

/* Where a file's last whole fragment ends, it ends. */
static void output_failed(int error)
{
    if (error == EPIPE)
        exit(0);
    if (file_at >= 0 && ftruncate(STDOUT_FILENO, file_at) < 0)
        fprintf(stderr, "h264fmp4: standard output: half a fragment at its end: %s\n",
                strerror(errno));
    fail(EXIT_AGAIN, "standard output", strerror(error));
}

/* All of the list, however it is cut up on the way: to the pipe, or to the file at `at`. */
static void write_list(struct iovec *iov, unsigned n, off_t at)
{
    while (n) {
        int some = n < IOV_MAX ? (int)n : IOV_MAX;
        ssize_t w =
            at < 0 ? writev(STDOUT_FILENO, iov, some) : pwritev(STDOUT_FILENO, iov, some, at);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EAGAIN) {
            wait_for(STDOUT_FILENO, POLLOUT);
            continue;
        }
        if (w < 0)
            output_failed(errno);
        if (at >= 0)
            at += w;
        size_t left = (size_t)w;
        while (n && left >= iov->iov_len) {
            left -= iov->iov_len;
            iov++;
            n--;
        }
        if (n) {
            iov->iov_base = (uint8_t *)iov->iov_base + left;
            iov->iov_len -= left;
        }
    }
}

/* In a file the front of what is new, the size and type of its first box, comes last: a file that
 * ends inside a moof, or has half of one, is one that ffmpeg refuses as a whole; one with zeros for
 * its front is not. A kill falls between the pages of a write, and eight bytes are seldom on two.
 */
static void write_front_last(struct iovec *iov, unsigned n, off_t at)
{
    struct iovec front = {iov->iov_base, FRONT_BYTES};
    iov->iov_base = (uint8_t *)iov->iov_base + FRONT_BYTES;
    iov->iov_len -= FRONT_BYTES;
    write_list(iov, n, at + FRONT_BYTES);
    write_list(&front, 1, at);
}

static void write_all(struct iovec *iov, unsigned n)
{
    if (file_at < 0 || n == 0) {
        write_list(iov, n, -1);
        return;
    }
    off_t end = file_at;
    for (unsigned i = 0; i < n; i++)
        end += (off_t)iov[i].iov_len;
    write_front_last(iov, n, file_at);
    file_at = end;
    lseek(STDOUT_FILENO, file_at, SEEK_SET); /* whoever shares the descriptor goes on behind us */
}

/* Whoever stops a recording wants what has come so far, and the index: an interrupt is an end. */
static void on_stop(int sig)
{
    (void)sig;
    stop = 1;
}

static void catch_signals(void)
{
    const struct sigaction sa = {.sa_handler = on_stop, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void tell(uint64_t offset)
{
    static const struct {
        unsigned note;
        const char *text;
    } table[] = {
        {MUX_NOTE_RATE_GUESSED, "no capture times and no frame rate (-r): 25 a second assumed"},
        {MUX_NOTE_BAD_PARAMSET, "damaged parameter set dropped"},
        {MUX_NOTE_SKIPPED, "skipping to the first picture that decodes alone"},
    };
    static unsigned told;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (mux.notes & ~told & table[i].note)
            fprintf(stderr, "h264fmp4: byte %" PRIu64 ": %s\n", offset, table[i].text);
    told |= mux.notes;
    mux.notes = 0;
}

static void patch_entry(void)
{
    mux.patch = 0;
    if (pwrite(STDOUT_FILENO, MUX_PATCH, 4, (off_t)mux.patch_at) != 4)
        fail(EXIT_AGAIN, "standard output", strerror(errno));
}

/* How long a file lasts by its moov: no longer than by its fragments, whenever it ends. */
static void patch_length(void)
{
    static uint64_t told;
    uint8_t length[8];
    if (!mux.length_at || mux.length == told)
        return;
    told = mux.length;
    put_u32(length, (uint32_t)(told >> 32));
    put_u32(length + 4, (uint32_t)told);
    if (pwrite(STDOUT_FILENO, length, sizeof length, (off_t)mux.length_at) != sizeof length)
        fail(EXIT_AGAIN, "standard output", strerror(errno));
}

/* Every access unit that is whole in window[0, len) goes out. Returns the bytes used up; *offset,
 * of the window in the stream, goes along. */
static size_t drain(uint8_t *window, size_t len, int end, int live, uint64_t *offset)
{
    size_t used = 0;
    struct au au;
    enum au_result r;
    while ((r = au_next(&framer, window + used, len - used, end, &au)) != AU_MORE) {
        if (r == AU_BAD) {
            fprintf(stderr, "h264fmp4: byte %" PRIu64 ": no access unit in %zu bytes: dropped\n",
                    *offset, au.size);
        } else {
            uint64_t utc = live ? clock_us(CLOCK_REALTIME) : 0;
            unsigned n = mux_add(&mux, window + used, &au, (int64_t)clock_us(CLOCK_MONOTONIC), utc);
            tell(*offset);
            if (mux.patch)
                patch_entry();
            write_all(mux.iov, n);
            patch_length();
        }
        used += au.size;
        *offset += au.size;
    }
    return used;
}

/* What people send by mistake, and what they meant. */
static const char *foreign(const uint8_t *p, size_t n)
{
    enum { TS_PACKET = 188, TS_SYNC = 0x47 };
    if (n >= 8 && !memcmp(p + 4, "ftyp", 4))
        return "an MP4 file, not an H.264 byte stream: ffmpeg -i FILE -an -c copy -f h264 -";
    if (n > 2 * TS_PACKET && p[0] == TS_SYNC && p[TS_PACKET] == TS_SYNC &&
        p[2 * TS_PACKET] == TS_SYNC)
        return "an MPEG transport stream: ffmpeg -i FILE -an -c copy -f h264 -";
    return NULL;
}

static void run(int live)
{
    size_t from = 0, to = 0;
    uint64_t offset = 0;
    while (!stop) {
        ssize_t r = read(STDIN_FILENO, buffer + to, READ_MAX);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0 && errno == EAGAIN) {
            wait_for(STDIN_FILENO, POLLIN);
            continue;
        }
        if (r < 0)
            fail(EXIT_AGAIN, "standard input", strerror(errno));
        to += (size_t)r;
        const char *what = offset == 0 && from == 0 ? foreign(buffer, to) : NULL;
        if (what)
            fail(EXIT_BAD_INPUT, "standard input", what);
        from += drain(buffer + from, to - from, r == 0, live, &offset);
        if (r == 0)
            break;
        if (from == to) {
            from = to = 0;
        } else if (from >= SLIDE_MAX) {
            memmove(buffer, buffer + from, to - from);
            to -= from;
            from = 0;
        }
    }
    write_all(mux.iov, mux_end(&mux));
    patch_length();
    if (mux.index_bytes)
        write_front_last(&(struct iovec){mux.index, mux.index_bytes}, 1, (off_t)mux.index_at);
    if (!mux.started && !stop)
        fail(EXIT_BAD_INPUT, "standard input",
             offset + to ? "no H.264 picture that can be decoded, or no parameter sets"
                         : "nothing came");
}

static unsigned turn(const char *degrees)
{
    static const char *const turns[] = {"0", "90", "180", "270"};
    for (unsigned i = 0; i < 4; i++)
        if (!strcmp(degrees, turns[i]))
            return i * 90;
    bad_option("-R", degrees, "want 0, 90, 180 or 270");
    return 0;
}

static void parse_options(int argc, char **argv, struct mux_options *opt, const char **mode)
{
    int c;
    opterr = 0;
    while ((c = getopt(argc, argv, "+:r:R:g:hV")) != -1) {
        char option[] = {'-', (char)optopt, 0};
        switch (c) {
        case 'r':
            if (rate_parse(optarg, &opt->rate) < 0)
                bad_option("-r", optarg,
                           "want frames a second like 30, 29.97 or 30000/1001, "
                           "0.1 to 240");
            break;
        case 'R':
            opt->rotate = turn(optarg);
            break;
        case 'g':
            if (strcmp(optarg, "au") && strcmp(optarg, "gop"))
                bad_option("-g", optarg, "want au or gop");
            *mode = optarg;
            break;
        case 'h':
            fputs(USAGE, stdout);
            exit(fflush(stdout) ? EXIT_AGAIN : 0);
        case 'V':
            puts("h264fmp4 " VERSION);
            exit(fflush(stdout) ? EXIT_AGAIN : 0);
        case ':':
            bad_option("option", option, "needs a value");
            break;
        default:
            bad_option("option", option, "unknown (-h shows the usage)");
        }
    }
    if (optind < argc)
        bad_option("argument", argv[optind],
                   "unexpected; the stream comes on standard input (-h shows the usage)");
}

int main(int argc, char **argv)
{
    struct mux_options opt = {.mode = MUX_AU};
    const char *mode = NULL;
    struct stat in, out;
    parse_options(argc, argv, &opt, &mode);
    catch_signals();
    if (fstat(STDOUT_FILENO, &out) < 0)
        fail(EXIT_USAGE, "standard output", strerror(errno));
    if (fstat(STDIN_FILENO, &in) < 0)
        fail(EXIT_USAGE, "standard input", strerror(errno));
    if (isatty(STDOUT_FILENO))
        fail(EXIT_USAGE, "standard output", "a terminal; send the video to a file or a pipe");
    int file = S_ISREG(out.st_mode);
    opt.mode = mode ? (mode[0] == 'g' ? MUX_GOP : MUX_AU) : file ? MUX_GOP : MUX_AU;
    opt.live = !S_ISREG(in.st_mode);
    int flags = fcntl(STDOUT_FILENO, F_GETFL);
    off_t base = file ? lseek(STDOUT_FILENO, 0, SEEK_CUR) : -1;
    if (base >= 0 && flags >= 0 && !(flags & O_APPEND)) {
        opt.patchable = 1;
        opt.base = (uint64_t)base;
        file_at = base;
    }
    mux_init(&mux, &opt);
    au_init(&framer);
    run(opt.live);
    return 0;
}
