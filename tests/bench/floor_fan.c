/* The least a live server can do: the yardstick for fanout. fMP4 on stdin, clients on a port; every
 * request gets the init segment and then each moof+mdat as it completes, one send a client. It
 * looks at no request, keeps no backlog, and drops a client whose socket does not take a whole
 * fragment: a free box in front lets the socket's buffer and window grow to that.
 *
 *   floor_fan port */
#include "tests/bench/bench.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum { ROOM = 4 << 20, CHUNK = 256 << 10, CLIENTS_MAX = 4096, PADDING = 1 << 20, EVENTS = 64 };

static const char response[] = "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\n"
                               "Cache-Control: no-store\r\nConnection: close\r\n\r\n";

static uint8_t room[ROOM], init[64 << 10];
static size_t have, done, init_len; /* bytes in room; of those, in whole boxes */
static uint8_t padding[PADDING];
static int viewers[CLIENTS_MAX], viewer_count, poller;

static void watch(int fd)
{
    struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &e) < 0)
        die(BENCH_FAILED, "epoll: %s", strerror(errno));
}

static void broadcast(const uint8_t *p, size_t n)
{
    for (int i = 0; i < viewer_count;) {
        if (send(viewers[i], p, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n) {
            i++;
            continue;
        }
        close(viewers[i]);
        viewers[i] = viewers[--viewer_count];
    }
}

/* Everything before the first moof is the init segment; after it, an mdat ends a fragment. */
static void take_boxes(void)
{
    size_t start = 0;
    while (have - done >= 8 && have - done >= be32(room + done)) {
        const uint8_t *box = room + done;
        done += be32(box);
        if (!memcmp(box + 4, "mdat", 4)) {
            broadcast(room + start, done - start);
            start = done;
        } else if (!memcmp(box + 4, "moov", 4)) {
            init_len = done - start < sizeof init ? done - start : 0;
            memcpy(init, room + start, init_len);
            start = done;
        }
    }
    memmove(room, room + start, have - start);
    have -= start;
    done -= start;
}

static int take_input(void)
{
    ssize_t got = read(0, room + have, CHUNK);
    if (got <= 0 || have + (size_t)got > ROOM - CHUNK)
        return 0;
    have += (size_t)got;
    take_boxes();
    return 1;
}

/* One readable event is one request; a second one is the client's end. */
static void take_client(int fd)
{
    char request[4096];
    ssize_t got = recv(fd, request, sizeof request, MSG_DONTWAIT);
    if (got <= 0 || viewer_count == CLIENTS_MAX) {
        for (int i = 0; i < viewer_count; i++) {
            if (viewers[i] == fd)
                viewers[i] = viewers[--viewer_count];
        }
        close(fd);
        return;
    }
    send(fd, response, sizeof response - 1, MSG_NOSIGNAL | MSG_MORE);
    send(fd, init, init_len, MSG_NOSIGNAL);
    send(fd, padding, sizeof padding, MSG_NOSIGNAL); /* waits */
    viewers[viewer_count++] = fd;
}

static int listen_on(int port)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, CLIENTS_MAX) < 0)
        die(BENCH_FAILED, "port %d: %s", port, strerror(errno));
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        die(BENCH_USAGE, "usage: floor_fan port");
    int one = 1, listener = listen_on(number('p', argv[1], 1, 65535));
    memcpy(padding, (const uint8_t[]){0, PADDING >> 16, 0, 0, 'f', 'r', 'e', 'e'}, 8);
    poller = epoll_create1(EPOLL_CLOEXEC);
    watch(0);
    watch(listener);
    for (;;) {
        struct epoll_event ready[EVENTS];
        int n = epoll_wait(poller, ready, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = ready[i].data.fd;
            if (fd == 0 && !take_input())
                return 0;
            if (fd == listener) {
                fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                watch(fd);
            } else if (fd != 0) {
                take_client(fd);
            }
        }
    }
}
