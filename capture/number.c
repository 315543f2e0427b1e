#include "capture/number.h"

const char *number_digits(const char *p, uint64_t *value)
{
    const char *start = p;

    for (*value = 0; *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (*value > (UINT64_MAX - digit) / 10)
            return 0;
        *value = *value * 10 + digit;
    }
    return p > start ? p : 0;
}

int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
    uint64_t v;
    const char *end = number_digits(text, &v);

    if (!end || *end || v < min || v > max)
        return -1;
    *value = v;
    return 0;
}

int number_parse_seconds(const char *text, uint64_t min_ms, uint64_t max_ms, uint64_t *ms)
{
    uint64_t whole, part = 0, unit = 1000;
    const char *p = number_digits(text, &whole);

    if (!p || whole > UINT64_MAX / 1000 - 1)
        return -1;
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9' && unit > 1; p++) {
            unit /= 10;
            part += (uint64_t)(*p - '0') * unit;
        }
        if (unit == 1000)
            return -1;
    }
    if (*p || whole * 1000 + part < min_ms || whole * 1000 + part > max_ms)
        return -1;
    *ms = whole * 1000 + part;
    return 0;
}

int number_parse_size(const char *text, unsigned max, unsigned *width, unsigned *height)
{
    uint64_t w, h;
    const char *p = number_digits(text, &w);

    if (!p || *p != 'x' || w < 1 || w > max || number_parse(p + 1, 1, max, &h))
        return -1;
    *width = (unsigned)w;
    *height = (unsigned)h;
    return 0;
}
