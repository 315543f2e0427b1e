/* What a filter costs: runs it with a file fed into its stdin through a pipe and its stdout
 * drained, and reports the CPU time the filter itself used (not its feeder's, not its reader's).
 *
 *   pipebench [-a] [-n runs] [-l loops] -f file command [argument...]
 *
 * The file is fed `loops` times over, 64 KiB a write, or with -a one access unit a write (the file
 * then has access unit delimiters). One line, medians over the runs:
 *
 *   cpu_ms=.. user_ms=.. sys_ms=.. mb_per_cpu_s=.. rss_kib=.. in=bytes out=bytes */
#include "tests/bench/bench.h"
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { CHUNK = 64 << 10, RUNS_MAX = 99, DRAIN = 1 << 20 };

struct job {
    struct span file;
    int loops, by_unit;
    char **command;
};

struct run {
    double user, sys, rss_kib;
    uint64_t out;
};

static double milliseconds(struct timeval t)
{
    return (double)t.tv_sec * 1e3 + (double)t.tv_usec / 1e3;
}

/* Feeder and reader stay off the filter's CPU: bytes already in its cache would halve its time, in
 * some runs and not in others. On a machine with one CPU the call fails, which is as good. */
static void stay_on(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

static pid_t start_feeder(const struct job *job, int to)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    for (int i = 0; i < job->loops; i++) {
        for (size_t at = 0, next; at < job->file.len; at = next) {
            size_t rest = job->file.len - at;
            next = job->by_unit ? unit_end(job->file, at) : at + (rest < CHUNK ? rest : CHUNK);
            if (write_all(to, job->file.p + at, next - at) < 0)
                _exit(1);
        }
    }
    _exit(0);
}

static pid_t start_filter(const struct job *job, int from, int to)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    stay_on(0);
    dup2(from, 0);
    dup2(to, 1);
    execvp(job->command[0], job->command);
    _exit(127);
}

static uint64_t drain(int from)
{
    static uint8_t scrap[DRAIN];
    uint64_t total = 0;
    ssize_t got;
    while ((got = read(from, scrap, sizeof scrap)) > 0)
        total += (uint64_t)got;
    return total;
}

static struct run run_once(const struct job *job)
{
    int in[2], out[2], status;
    struct rusage used;
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        die(BENCH_FAILED, "pipe: %s", strerror(errno));
    pid_t filter = start_filter(job, in[0], out[1]);
    close(in[0]);
    close(out[1]);
    pid_t feeder = start_feeder(job, in[1]);
    close(in[1]);
    struct run r = {.out = drain(out[0])};
    close(out[0]);
    if (filter < 0 || feeder < 0 || wait4(filter, &status, 0, &used) < 0)
        die(BENCH_FAILED, "fork: %s", strerror(errno));
    if (status)
        die(BENCH_FAILED, "%s: failed, wait status %d", job->command[0], status);
    if (waitpid(feeder, &status, 0) < 0 || status)
        die(BENCH_FAILED, "%s: did not read its whole input", job->command[0]);
    r.user = milliseconds(used.ru_utime);
    r.sys = milliseconds(used.ru_stime);
    r.rss_kib = (double)used.ru_maxrss;
    return r;
}

static void report(const struct job *job, const struct run *run, int runs)
{
    double user[RUNS_MAX], sys[RUNS_MAX], cpu[RUNS_MAX], rss[RUNS_MAX];
    for (int i = 0; i < runs; i++) {
        user[i] = run[i].user;
        sys[i] = run[i].sys;
        cpu[i] = run[i].user + run[i].sys;
        rss[i] = run[i].rss_kib;
    }
    size_t n = (size_t)runs;
    double bytes = (double)job->file.len * job->loops, median = percentile(cpu, n, 50);
    printf("cpu_ms=%.2f user_ms=%.2f sys_ms=%.2f mb_per_cpu_s=%.1f rss_kib=%.0f in=%.0f out=%llu\n",
           median, percentile(user, n, 50), percentile(sys, n, 50), bytes / median / 1e3,
           percentile(rss, n, 50), bytes, (unsigned long long)run[runs - 1].out);
}

int main(int argc, char **argv)
{
    struct job job = {.loops = 1};
    struct run run[RUNS_MAX];
    int option, runs = 1;
    while ((option = getopt(argc, argv, "+an:l:f:")) != -1) {
        if (option == 'a')
            job.by_unit = 1;
        else if (option == 'n')
            runs = number(option, optarg, 1, RUNS_MAX);
        else if (option == 'l')
            job.loops = number(option, optarg, 1, 1000000);
        else if (option == 'f')
            job.file = map_file(optarg);
        else
            exit(BENCH_USAGE);
    }
    job.command = argv + optind;
    if (!job.file.p || optind == argc)
        die(BENCH_USAGE, "usage: pipebench [-a] [-n runs] [-l loops] -f file command [arg...]");
    stay_on(1);
    for (int i = 0; i < runs; i++)
        run[i] = run_once(&job);
    report(&job, run, runs);
    return 0;
}
