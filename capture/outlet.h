/* Standard output for somebody who must not wait: a list of pieces goes out whole or not at all,
 * and while the reader is slow the caller does something else.
 *
 * A pipe only promises room for 4096 bytes, so whether a whole picture fits can't be asked, and
 * O_NONBLOCK is not ours to set: the open file is shared with whoever else has it as its output.
 * So the pipe is opened a second time, by its name in /proc: the same pipe, but an open file of our
 * own that may be non-blocking. What did not fit the first time goes out as the reader makes room,
 * and until it has, nothing else begins. That costs no thread and no copy, works for a picture
 * larger than the pipe, and needs no assumption about how a pipe's pages fill. (Where the second
 * open is refused - /proc not mounted, the pipe made by another user - the shared one is made
 * non-blocking, and blocking again at the end.) Sockets are asked not to wait call by call; files
 * never make anybody wait. */
#ifndef CAPTURE_OUTLET_H
#define CAPTURE_OUTLET_H

#include <sys/uio.h>

enum { OUTLET_PIPE_BYTES = 1 << 20 }; /* a pipe is enlarged to this where that is allowed */

struct outlet {
    int fd;     /* what poll() is to watch */
    int socket; /* it is one */
    int given;  /* the descriptor the caller gave */
    int own;    /* fd is an open file of our own */
    int flags;  /* of the given one, to be put back; -1: unchanged */
    struct iovec *iov;
    unsigned left; /* pieces that have not gone out; 0: free for the next list */
};

/* Returns 0, or -1 with errno. */
int outlet_open(struct outlet *o, int fd);
void outlet_close(struct outlet *o);

/* Begins a list, which changes as it goes; only when outlet.left is 0. */
void outlet_begin(struct outlet *o, struct iovec *iov, unsigned count);

/* Writes what goes without waiting. 0: look at outlet.left; -1 with errno: it failed, and
 * the rest of the list is given up. */
int outlet_go(struct outlet *o);

#endif
