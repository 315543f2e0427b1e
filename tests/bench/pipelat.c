/* The delay a muxer adds: access units go into its stdin at a camera's pace, and each is timed from
 * just before its write to the moment the last byte of its fragment has been read from its stdout.
 *
 *   pipelat [-n units] [-r units-per-second] -f file command [argument...]
 *
 * The file is Annex-B with access unit delimiters. As from a camera, every write ends in the
 * delimiter of the next access unit. The last one has none and is not counted. Nor is the first
 * half: some commands probe their input for seconds first, and some then drop what they probed, so
 * access units without a fragment are taken to be the first ones.
 * One line: units=.. fragments=.. p50_us=.. p99_us=.. max_us=.. */
#include "tests/bench/bench.h"
#include <poll.h>
#include <sys/wait.h>

enum {
    UNITS_MAX = 10000,
    FEWEST = 10,         /* fragments to say anything about */
    PIPE_ROOM = 1 << 20, /* so that the write of an access unit does not wait for its reader */
    DELIMITER = 6,       /* start code, header, primary_pic_type */
    PATIENCE_MS = 10000, /* for what comes after the last access unit */
};

static double written[UNITS_MAX], complete[UNITS_MAX];
static size_t fragments;

/* Reads what there is, notes each mdat's end. 0 at the end of the stream. */
static int take_output(int from, struct boxes *boxes)
{
    static uint8_t buf[PIPE_ROOM];
    ssize_t got = read(from, buf, sizeof buf);
    double when = now();
    if (got <= 0)
        return 0;
    for (size_t at = 0, used; at < (size_t)got; at += used) {
        enum box_kind kind = boxes_feed(boxes, buf + at, (size_t)got - at, &used);
        if (kind == BOX_BAD)
            die(BENCH_FAILED, "the output is not made of boxes");
        if (kind == BOX_MDAT && fragments < UNITS_MAX)
            complete[fragments++] = when;
    }
    return 1;
}

/* Takes output until `deadline`, or the end of the stream. */
static int listen_until(int from, struct boxes *boxes, double deadline)
{
    struct pollfd p = {.fd = from, .events = POLLIN};
    for (double left; (left = deadline - now()) > 0;) {
        struct timespec t = {.tv_sec = (time_t)left,
                             .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
        if (ppoll(&p, 1, &t, NULL) > 0 && !take_output(from, boxes))
            return 0;
    }
    return 1;
}

static size_t feed(struct span file, int to, int from, size_t units, int rate)
{
    struct boxes boxes = {0};
    double start = now();
    size_t at = 0, n = 0;
    for (; n < units && at < file.len; n++) {
        size_t end = unit_end(file, at);
        size_t next = end < file.len && n + 1 < units ? end + DELIMITER : end;
        if (!listen_until(from, &boxes, start + (double)n / rate))
            die(BENCH_FAILED, "the command ended early");
        written[n] = now();
        if (write_all(to, file.p + at, next - at) < 0)
            die(BENCH_FAILED, "write: %s", strerror(errno));
        at = next;
    }
    listen_until(from, &boxes, start + (double)n / rate);
    close(to);
    if (listen_until(from, &boxes, now() + PATIENCE_MS / 1e3))
        die(BENCH_FAILED, "the command did not end with its input");
    return n;
}

static pid_t start(char **command, int *to, int *from)
{
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        die(BENCH_FAILED, "pipe: %s", strerror(errno));
    fcntl(in[1], F_SETPIPE_SZ, PIPE_ROOM);
    fcntl(out[1], F_SETPIPE_SZ, PIPE_ROOM);
    pid_t pid = fork();
    if (!pid) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        execvp(command[0], command);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    *to = in[1];
    *from = out[0];
    return pid;
}

static void report(size_t fed)
{
    static double delay[UNITS_MAX];
    size_t n = 0, missing = fed - fragments;
    if (fragments > fed || fragments < FEWEST)
        die(BENCH_FAILED, "%zu fragments from %zu access units", fragments, fed);
    for (size_t i = missing > fed / 2 ? missing : fed / 2; i < fed - 1; i++)
        delay[n++] = (complete[i - missing] - written[i]) * 1e6;
    printf("units=%zu fragments=%zu p50_us=%.0f p99_us=%.0f max_us=%.0f\n", fed, fragments,
           percentile(delay, n, 50), percentile(delay, n, 99), percentile(delay, n, 100));
}

int main(int argc, char **argv)
{
    struct span file = {0};
    int option, units = 300, rate = 30, to, from, status;
    while ((option = getopt(argc, argv, "+n:r:f:")) != -1) {
        if (option == 'n')
            units = number(option, optarg, FEWEST, UNITS_MAX);
        else if (option == 'r')
            rate = number(option, optarg, 1, 1000);
        else if (option == 'f')
            file = map_file(optarg);
        else
            exit(BENCH_USAGE);
    }
    if (!file.p || optind == argc)
        die(BENCH_USAGE, "usage: pipelat [-n units] [-r rate] -f file command [arg...]");
    pid_t pid = start(argv + optind, &to, &from);
    size_t fed = feed(file, to, from, (size_t)units, rate);
    if (waitpid(pid, &status, 0) < 0 || status)
        die(BENCH_FAILED, "%s: failed, wait status %d", argv[optind], status);
    report(fed);
    return 0;
}
