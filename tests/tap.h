/* The smallest TAP producer that prove understands: ok(condition, format...), then done(). */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int tap_run, tap_failed;

__attribute__((format(printf, 2, 3))) static int ok(int good, const char *format, ...)
{
    va_list ap;
    printf("%sok %d - ", good ? "" : "not ", ++tap_run);
    va_start(ap, format);
    vprintf(format, ap);
    va_end(ap);
    printf("\n");
    fflush(stdout);
    tap_failed += !good;
    return good;
}

/* Of what is done very often, so that it is seen to hold always: n times, or a part of that where
 * TAP_PART says which, for emulated processors. */
__attribute__((unused)) static unsigned tap_often(unsigned n)
{
    const char *part = getenv("TAP_PART");
    long p = part ? strtol(part, NULL, 10) : 1;
    return p > 1 ? n / (unsigned)p : n;
}

/* The plan comes last; the exit status says whether every test passed. */
static int done(void)
{
    printf("1..%d\n", tap_run);
    return tap_failed != 0;
}

#endif
