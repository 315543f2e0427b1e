/* What the tools' exit statuses mean to whoever supervises them. */
#ifndef CAPTURE_EXIT_H
#define CAPTURE_EXIT_H

enum {
    EXIT_CLEAN = 0,
    EXIT_BAD_INPUT = 1,
    EXIT_USAGE = 100, /* wrong usage, or never worth a retry */
    EXIT_AGAIN = 111, /* may work another time */
};

#endif
