#include "hls/intake.h"

#include <string.h>
#include <unistd.h>

void intake_init(struct intake *in)
{
    in->from = in->to = in->taken = 0;
    in->bytes = 0;
    in->ended = 0;
    in->why = NULL;
}

long intake_read(struct intake *in, int fd)
{
    if (in->from == in->to) {
        in->from = in->to = 0;
    } else if (sizeof in->window - in->to < INTAKE_READ_MAX || in->from > INTAKE_READ_MAX) {
        memmove(in->window, in->window + in->from, in->to - in->from);
        in->to -= in->from;
        in->from = 0;
    }
    ssize_t n = read(fd, in->window + in->to, INTAKE_READ_MAX);
    if (n > 0)
        in->to += (size_t)n;
    in->ended = n == 0;
    return n;
}

enum intake_result intake_next(struct intake *in, struct unit *unit, const uint8_t **p)
{
    const char *why = NULL;
    for (;;) {
        in->from += in->taken;
        in->bytes += in->taken;
        in->taken = 0;
        if (in->why)
            return INTAKE_BAD;
        enum unit_result r = unit_next(in->window + in->from, in->to - in->from, unit, &why);
        if (r == UNIT_BAD) {
            in->bytes += unit->size;
            in->why = why;
            return INTAKE_BAD;
        }
        if (r == UNIT_MORE && in->ended && in->from < in->to)
            in->why = "ends inside a fragment";
        if (r == UNIT_MORE)
            return in->why ? INTAKE_BAD : in->ended ? INTAKE_END : INTAKE_MORE;
        in->taken = unit->size;
        *p = in->window + in->from;
        if (unit->kind != UNIT_SKIP)
            return INTAKE_UNIT;
    }
}
