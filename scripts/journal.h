/* What one service says on standard error, line by line: to our own standard error with a name in
 * front, and to the file log/NAME in the run directory, of which the newest part is kept. */
#ifndef SCRIPTS_JOURNAL_H
#define SCRIPTS_JOURNAL_H

#include <limits.h>
#include <stdint.h>

#include "scripts/lines.h"
#include "scripts/plan.h"

enum {
    JOURNAL_BYTES = 32768, /* of log/NAME before it becomes log/NAME.old */
    JOURNAL_REPEAT_MS = 60000,
    JOURNAL_KNOWN = 4,   /* different lines that may take turns */
    JOURNAL_BURST = 500, /* lines at once, */
    JOURNAL_RATE = 50,   /* and a second */
};

struct journal {
    int fd; /* where the service says it; the caller's to close */
    char name[PLAN_NAME_MAX + 1];
    char path[PATH_MAX];
    struct lines lines;
    struct {
        char text[LINES_MAX + 1];
        unsigned repeated;  /* how often it came again and was not logged */
        int64_t logged;     /* ms; when it was */
    } known[JOURNAL_KNOWN]; /* the lines that were logged last */
    unsigned oldest;        /* of them */
    int64_t credit;         /* lines that may be logged now, in thousandths */
    int64_t credited;       /* ms; up to when they were counted */
    unsigned left_out;      /* lines that were too many */
};

/* name: whose lines these are. run: the run directory. */
void journal_init(struct journal *journal, int fd, const char *name, const char *run);

/* Reads once from journal->fd and logs the lines that are whole. A line that comes again and again
 * is logged every JOURNAL_REPEAT_MS, and no more of them than JOURNAL_RATE and JOURNAL_BURST allow.
 * A log that cannot be written at once is done without. now: ms. */
void journal_read(struct journal *journal, int64_t now);

#endif
