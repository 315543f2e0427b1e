#include "capture/outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_pipe(struct outlet *o)
{
    char name[64];

    fcntl(o->given, F_SETPIPE_SZ, OUTLET_PIPE_BYTES); /* a smaller one works as well */
    snprintf(name, sizeof name, "/proc/self/fd/%d", o->given);
    int fd = open(name, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) {
        o->fd = fd;
        o->own = 1;
        return 0;
    }
    int flags = fcntl(o->given, F_GETFL);
    if (flags < 0 || fcntl(o->given, F_SETFL, flags | O_NONBLOCK))
        return -1;
    if (!(flags & O_NONBLOCK))
        o->flags = flags;
    return 0;
}

int outlet_open(struct outlet *o, int fd)
{
    struct stat st;

    *o = (struct outlet){.fd = fd, .given = fd, .flags = -1};
    if (fstat(fd, &st))
        return -1;
    o->socket = S_ISSOCK(st.st_mode);
    return S_ISFIFO(st.st_mode) ? open_pipe(o) : 0;
}

void outlet_close(struct outlet *o)
{
    if (o->own)
        close(o->fd);
    if (o->flags >= 0)
        fcntl(o->given, F_SETFL, o->flags);
}

void outlet_begin(struct outlet *o, struct iovec *iov, unsigned count)
{
    o->iov = iov;
    o->left = count;
}

static ssize_t write_some(struct outlet *o)
{
    unsigned count = o->left < IOV_MAX ? o->left : IOV_MAX;

    if (o->socket) {
        struct msghdr m = {.msg_iov = o->iov, .msg_iovlen = count};
        return sendmsg(o->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    return writev(o->fd, o->iov, (int)count);
}

int outlet_go(struct outlet *o)
{
    while (o->left) {
        ssize_t w = write_some(o);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EAGAIN)
            return 0;
        if (w < 0) {
            o->left = 0;
            return -1;
        }
        size_t done = (size_t)w;
        while (o->left && done >= o->iov->iov_len) {
            done -= o->iov->iov_len;
            o->iov++;
            o->left--;
        }
        if (o->left) {
            o->iov->iov_base = (char *)o->iov->iov_base + done;
            o->iov->iov_len -= done;
        }
    }
    return 0;
}
