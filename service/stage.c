/* stage: what every service's run script becomes. In the service's directory it finds, as data,
 *
 *   args      the argument list of the program, each argument followed by a NUL
 *   stderr    a fifo that the appliance's log is read from
 *
 * and executes the program, which from then on dies with its supervisor: one that lived on would
 * hold the camera, the ring's lock or the port against the one that the next supervisor starts. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "capture/exit.h"
#include "capture/number.h"
#include "scripts/args.h"

enum { FIRST_FOREIGN_FD = 4 }; /* 3 is where a service says that it is ready */

static struct args args;

static _Noreturn void fail(int status, const char *what, const char *why)
{
    fprintf(stderr, "stage: %s: %s\n", what, why);
    exit(status);
}

/* A log that nobody reads must not stop the video: what does not fit into the fifo is lost. */
static void open_log(void)
{
    int fd = open("stderr", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        fail(EXIT_AGAIN, "stderr", strerror(errno));
}

/* The kernel tells nothing of a supervisor that died before this call. Its children are the
 * appliance's then, whose process number it has left in the environment. */
static void die_with_parent(void)
{
    const char *appliance = getenv("FMP4STREAMER_PID");
    uint64_t pid = 0;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        fail(EXIT_AGAIN, "prctl", strerror(errno));
    if (!appliance || number_parse(appliance, 1, INT32_MAX, &pid) < 0)
        fail(EXIT_USAGE, "FMP4STREAMER_PID", "not set: this is started by fmp4streamer only");
    if ((uint64_t)getppid() == pid || getppid() == 1)
        exit(EXIT_AGAIN);
}

static void read_args(void)
{
    char text[ARGS_BYTES];
    int fd = open("args", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (n < 0)
        fail(EXIT_AGAIN, "args", strerror(errno));
    args_init(&args);
    for (const char *p = text, *end = text + n; p < end;) {
        const char *zero = memchr(p, 0, (size_t)(end - p));
        if (!zero)
            fail(EXIT_USAGE, "args", "cut short");
        args_add(&args, p);
        p = zero + 1;
    }
    if (args.full || args.count == 0)
        fail(EXIT_USAGE, "args", args.count ? "too long" : "empty");
}

int main(void)
{
    static char *argv[ARGS_COUNT + 1];
    die_with_parent();
    open_log();
    read_args();
    args_vector(&args, argv);
    syscall(SYS_close_range, FIRST_FOREIGN_FD, ~0u, CLOSE_RANGE_CLOEXEC);
    execvp(argv[0], argv);
    fail(errno == ENOENT || errno == EACCES ? EXIT_USAGE : EXIT_AGAIN, argv[0], strerror(errno));
}
