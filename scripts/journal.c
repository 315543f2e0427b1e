#include "scripts/journal.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 4096, LOG_MODE = 0644 };

void journal_init(struct journal *j, int fd, const char *name, const char *run)
{
    memset(j, 0, sizeof *j);
    j->fd = fd;
    snprintf(j->name, sizeof j->name, "%s", name);
    snprintf(j->path, sizeof j->path, "%s/log/%s", run, name);
}

static void write_line(const struct journal *j, const char *line)
{
    char old[PATH_MAX + 8], text[PLAN_NAME_MAX + LINES_MAX + 40];
    struct stat st;
    int n = snprintf(text, sizeof text, "%s: %s\n", j->name, line);
    /* Who reads our errors may have stopped: the services must not wait for him, nor must SIGTERM.
     */
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t ignored = 0;
    if (poll(&out, 1, 0) > 0 && out.revents & POLLOUT)
        ignored = write(STDERR_FILENO, text, (size_t)n);
    int fd = open(j->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, LOG_MODE);
    if (fd < 0)
        return;
    ignored = write(fd, text, (size_t)n);
    (void)ignored;
    if (fstat(fd, &st) == 0 && st.st_size > JOURNAL_BYTES) {
        snprintf(old, sizeof old, "%s.old", j->path);
        rename(j->path, old);
    }
    close(fd);
}

/* Returns 1 when one more line may be logged. */
static int may_log(struct journal *j, int64_t now)
{
    char text[64];
    j->credit += (now - j->credited) * JOURNAL_RATE;
    j->credited = now;
    if (j->credit > JOURNAL_BURST * 1000)
        j->credit = JOURNAL_BURST * 1000;
    if (j->credit < 1000) {
        j->left_out++;
        return 0;
    }
    j->credit -= 1000;
    if (j->left_out) {
        snprintf(text, sizeof text, "(%u lines were too many)", j->left_out);
        write_line(j, text);
        j->left_out = 0;
    }
    return 1;
}

/* A camera that is not plugged in says so every two seconds: once a minute is enough to read. */
static void log_line(struct journal *j, const char *line, int64_t now)
{
    char text[LINES_MAX + 32];
    unsigned k = 0;
    while (k < JOURNAL_KNOWN && strcmp(j->known[k].text, line) != 0)
        k++;
    int again = k < JOURNAL_KNOWN;
    if (again && now - j->known[k].logged < JOURNAL_REPEAT_MS) {
        j->known[k].repeated++;
        return;
    }
    if (!may_log(j, now))
        return;
    if (!again) {
        k = j->oldest;
        j->oldest = (k + 1) % JOURNAL_KNOWN;
        snprintf(j->known[k].text, sizeof j->known[k].text, "%s", line);
        j->known[k].repeated = 0;
    }
    snprintf(text, sizeof text, "%s (%u times more before)", line, j->known[k].repeated);
    write_line(j, j->known[k].repeated ? text : line);
    j->known[k].repeated = 0;
    j->known[k].logged = now;
}

void journal_read(struct journal *j, int64_t now)
{
    char bytes[READ_BYTES];
    const char *line, *p = bytes;
    ssize_t n = read(j->fd, bytes, sizeof bytes);
    size_t length = n > 0 ? (size_t)n : 0;
    while ((line = lines_next(&j->lines, &p, &length)))
        log_line(j, line, now);
}
