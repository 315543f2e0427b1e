/* Lists go out whole and in order whatever the reader does; the descriptor that others share stays
 * as it is. */
#include "capture/outlet.h"
#include "tests/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BIG = 3 << 20, PIECES = 5 };

static uint8_t bytes[BIG], back[BIG];

static unsigned list(struct iovec iov[PIECES])
{
    size_t at = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        size_t len = i == PIECES - 1 ? BIG - at : 1000 * i + 1;
        iov[i] = (struct iovec){bytes + at, len};
        at += len;
    }
    return PIECES;
}

/* Reads all, a bit at a time. Returns how many calls to outlet_go() it took. */
static int pass(struct outlet *o, int from)
{
    int calls = 0;
    size_t got = 0;
    while (got < BIG) {
        if (o->left && outlet_go(o))
            return -1;
        calls++;
        ssize_t r = read(from, back + got, 70001 < BIG - got ? 70001 : BIG - got);
        if (r <= 0)
            return -1;
        got += (size_t)r;
    }
    return memcmp(bytes, back, BIG) ? -1 : calls;
}

static void through(int to, int from, const char *what)
{
    struct iovec iov[PIECES];
    struct outlet o;
    int before = fcntl(to, F_GETFL);
    ok(!outlet_open(&o, to), "%s: opened", what);
    outlet_begin(&o, iov, list(iov));
    ok(!outlet_go(&o) && o.left, "%s: nobody reads, and it returns", what);
    ok(!outlet_go(&o) && o.left, "%s: and again", what);
    ok(fcntl(to, F_GETFL) == before, "%s: the descriptor is as it was", what);
    ok(pass(&o, from) > 1 && !o.left, "%s: all of it, in order", what);
    outlet_begin(&o, iov, 0);
    ok(!outlet_go(&o) && !o.left, "%s: an empty list", what);
    close(from);
    outlet_begin(&o, iov, list(iov));
    ok(outlet_go(&o) && (errno == EPIPE || errno == ECONNRESET), "%s: the reader has gone", what);
    outlet_close(&o);
    ok(fcntl(to, F_GETFL) == before, "%s: the descriptor is as it was", what);
    close(to);
}

static void a_file(void)
{
    struct iovec iov[PIECES];
    struct outlet o;
    char name[] = "/tmp/outlet.XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    outlet_open(&o, fd);
    outlet_begin(&o, iov, list(iov));
    ok(!outlet_go(&o) && !o.left && pread(fd, back, BIG, 0) == BIG && !memcmp(bytes, back, BIG),
       "a file takes all at once");
    outlet_close(&o);
    close(fd);
    fd = open("/dev/full", O_WRONLY);
    outlet_open(&o, fd);
    outlet_begin(&o, iov, list(iov));
    ok(outlet_go(&o) && errno == ENOSPC, "a full one fails");
    ok(outlet_open(&o, -1) && errno == EBADF, "none");
}

int main(void)
{
    int p[2];
    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < BIG; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    if (pipe(p))
        return 1;
    through(p[1], p[0], "a pipe");
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, p))
        return 1;
    through(p[1], p[0], "a socket");
    a_file();
    return done();
}
